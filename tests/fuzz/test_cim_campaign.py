"""The corpora of the WBEM server's fuzzing, replayed, and some seconds of fresh search in each; what must hold stands in
hypertext.py, familiar.py, cim_requests.py and cim_queries.py.

VIRTMAP_FUZZ_SECONDS in the environment makes the search longer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from agent.cim import hypertext as reader
from agent.cim import server
from agent.cim.arguments import Parameters
from agent.cim.familiar import Familiar
from agent.cim.provider import Provider
from agent.cim.pulling import OF_ONE
from agent.cim.query import Query
from agent.cim.renderings import TEMPLATES
from agent.cim.status import CimError
from tests.fuzz import cim_requests, guided, hypertext
from tests.fuzz.cim_campaign import CAMPAIGNS
from tests.fuzz.cim_requests import array, extrinsic, intrinsic, named, text, value
from tests.fuzz.guided import Violation, covered

SECONDS = float(os.environ.get("VIRTMAP_FUZZ_SECONDS", "6"))
"""Of search, in all campaigns together."""
SEED = 20_261_127
"""Fixed, so that a failure comes again."""

SHARES = {"hypertext": 0.15, "familiar": 0.3, "cim_requests": 0.8, "cim_queries": 0.25}
REACHED = {"hypertext": 200, "familiar": 60, "cim_requests": 2600, "cim_queries": 1000}
"""Edges that a corpus is at least to reach."""

FAULTS = {
    "hypertext": (reader.Reader, "head"),
    "familiar": (Familiar, "read"),
    "cim_requests": (Provider, "answer"),
    "cim_queries": (Query, "matches"),
}
"""What is made to fail, to see whether it is noticed."""

campaigns = pytest.mark.parametrize("name", CAMPAIGNS)


@pytest.fixture
def target(name: str) -> Iterator[guided.Target[Any]]:
    made = CAMPAIGNS[name].target()
    yield made
    made.close()


@campaigns
def test_what_broke_the_invariant_holds_it(name: str, target: guided.Target[Any]) -> None:
    campaign = CAMPAIGNS[name]
    for one in guided.read(campaign.corpus.with_name(f"{name}_found.txt"), campaign.of_line):
        target.run(one)
    target.sane()


@campaigns
def test_a_corpus_is_small(name: str) -> None:
    corpus = CAMPAIGNS[name].read()
    assert 4 < len(corpus) < 600
    assert sum(len(one.data) for one in corpus) < 400_000
    assert [CAMPAIGNS[name].of_line(one.line()) for one in corpus] == corpus


@campaigns
@pytest.mark.timeout(120 + 2 * SECONDS)
def test_whatever_arrives_the_server_holds_its_invariant(name: str, target: guided.Target[Any]) -> None:
    search = CAMPAIGNS[name].search(target, SEED, CAMPAIGNS[name].read())
    search.replay()
    assert len(search.edges) > REACHED[name], "the corpus no longer reaches the server"
    search.explore(SECONDS * SHARES[name])
    assert search.tried > 30 * SECONDS * SHARES[name], "too slow to find anything"


@campaigns
def test_seeds_hold_it(name: str, target: guided.Target[Any]) -> None:
    for one in CAMPAIGNS[name].seeds():
        target.run(one)
    target.sane()


@campaigns
def test_a_violation_names_its_input(name: str, target: guided.Target[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness itself: a server that raises is found out."""
    one = next(each for each in CAMPAIGNS[name].seeds() if "SELECT" in each.line() or name != "cim_queries")
    monkeypatch.setattr(*FAULTS[name], lambda *_, **__: 1 // 0)
    with pytest.raises(Violation, match="ZeroDivisionError"):
        target.run(one)


@campaigns
def test_coverage_tells_inputs_apart(name: str, target: guided.Target[Any]) -> None:
    first, *_, last = CAMPAIGNS[name].seeds()
    covered(target, first)  # what is made once is made now
    covered(target, last)
    assert covered(target, first) == covered(target, first)
    assert covered(target, first) != covered(target, last)


# --- HTTP


def test_a_limit_is_the_same_however_the_octets_come() -> None:
    """Half of the end of a line that is as long as it may be had it refused, when the other half came later."""
    line = b"POST / HTTP/1.1\r\nHost: a\r\nX: "
    longest = line + b"y" * (reader.HEAD_LIMIT - len(line)) + b"\r\n\r\n"
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    extended = chunked + b"1;" + b"x" * (reader.CHUNK_LINE - 2) + b"\r\na\r\n0\r\n\r\n"
    for data in (longest, extended, chunked + b"0\r\n" + b"T" * (reader.TRAILERS - 2) + b":y\r\n\r\n"):
        whole = hypertext.came([data])
        assert (len(whole.requests), whole.refused) == (1, None)
        for cut in (1, 2, 3, 4, 7, 10):
            assert hypertext.came([data[:-cut], data[-cut:]]) == whole
            assert hypertext.came([data[: len(data) - 8 - cut], data[len(data) - 8 - cut :]]) == whole


def test_headers_are_understood_quickly_however_long() -> None:
    began = time.process_time()
    server._declared("http://www.dmtf.org/cim/" + " " * 6000 + "x")
    assert time.process_time() - began < 0.1


# --- requests


def test_a_number_with_many_noughts_is_none() -> None:
    for digits in ("0" * 30 + "9" * 30, "0" * 5000, "4294967296", "٣", "-1", "1e3", ""):
        with pytest.raises(CimError, match="is no uint32"):
            Parameters({"n": digits}, ("n",)).number("n")
    assert Parameters({"n": " 04294967295\n"}, ("n",)).number("n") == 2**32 - 1


@pytest.fixture
def requests() -> Iterator[cim_requests.Target]:
    made = cim_requests.Target()
    yield made
    made.close()


def _differently(requests: cim_requests.Target) -> None:
    """Ask for many different things, and open many enumerations without an end."""
    path = requests.domain
    for i in range(TEMPLATES + 50):
        requests.told(intrinsic("GetInstance", value("InstanceName", path), array("PropertyList", "Name", f"p{i}")))
        requests.told(intrinsic(f"Operation{i}", named("ClassName", f"Virtmap_{i}"), namespace=f"root/{i}"))
        requests.told(intrinsic("GetProperty", value("InstanceName", path), text("PropertyName", f"p{i}")))
        requests.told(
            intrinsic("OpenEnumerateInstancePaths", named("ClassName", "Virtmap_Disk"), text("OperationTimeout", 900))
        )


def test_what_is_remembered_is_bounded_whoever_asks(requests: cim_requests.Target) -> None:
    _differently(requests)
    assert len(requests.contexts) == OF_ONE
    requests.sane()


def test_renderings_count_for_what_they_take(requests: cim_requests.Target) -> None:
    for i in range(cim_requests.REMEMBERED + 1):
        path = value("InstanceName", requests.domain)
        requests.told(intrinsic("GetInstance", path, array("PropertyList", f"p{i}")))
    requests.sane()


@pytest.mark.parametrize(("name", "key"), [("a&#10;b", "x"), ("a", "x&#10;y"), ("a" * 5000, "x"), ("a", "x" * 5000)])
def test_what_is_audited_is_one_short_line(requests: cim_requests.Target, name: str, key: str) -> None:
    path = f'<INSTANCENAME CLASSNAME="A"><KEYBINDING NAME="k"><KEYVALUE>{key}</KEYVALUE></KEYBINDING></INSTANCENAME>'
    requests.told(extrinsic(name, path))
    (record,) = requests.world.trail.records
    assert all(len(each) < 500 and each.isprintable() for each in record.values())
