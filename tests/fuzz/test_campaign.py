"""The corpus of the engine's fuzzing, replayed, and some seconds of fresh search; see campaign.py for what must hold.

VIRTMAP_FUZZ_SECONDS in the environment makes the search longer.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from agent.snmp.setting import Setting
from tests import wire, wire3
from tests.fuzz import protos
from tests.fuzz.campaign import (
    DATAGRAM,
    FOUND,
    LIMITS,
    LONGEST,
    PEER,
    TRUSTED,
    WITHIN,
    Input,
    Search,
    Target,
    Violation,
    covered,
    read,
    seeds,
    well_formed,
)
from tests.peers.oracle import ANN

SECONDS = float(os.environ.get("VIRTMAP_FUZZ_SECONDS", "10"))
SEED = 20_261_123
"""Fixed, so that a failure comes again."""


@pytest.fixture
def target() -> Iterator[Target]:
    made = Target()
    yield made
    made.close()


@pytest.mark.parametrize("one", read(FOUND), ids=lambda one: f"{one.way}-{len(one.data)}")
def test_what_broke_the_invariant_holds_it(target: Target, one: Input) -> None:
    target.run(one)
    target.sane()


def test_the_corpus_is_small_and_goes_every_way() -> None:
    corpus = read()
    assert 100 < len(corpus) < 400
    assert {one.way for one in corpus} == {DATAGRAM, WITHIN, TRUSTED}
    assert sum(len(one.data) for one in corpus) < 100_000


@pytest.mark.timeout(120 + 2 * SECONDS)
def test_whatever_arrives_the_engine_holds_its_invariant(target: Target) -> None:
    search = Search(target, random.Random(SEED), read())
    search.replay()
    reached = len(search.edges)
    assert reached > 800, "the corpus no longer reaches the engine"
    search.explore(SECONDS)
    assert search.tried > 100 * SECONDS, "too slow to find anything"


def test_ordinary_and_odd_requests_hold_it_in_any_order(target: Target) -> None:
    inputs = seeds()
    random.Random(SEED).shuffle(inputs)
    for one in inputs:
        target.run(one)
    target.sane()


def test_every_class_of_malformed_packets_holds_it(target: Target) -> None:
    for at, (_, octets) in enumerate(protos.every(ANN, PEER)):
        if at % 3 == 0:
            target.run(Input(DATAGRAM, LIMITS[at // 3 % len(LIMITS)], octets[: 10 * LONGEST]))
    target.sane()


def test_what_is_remembered_is_bounded_whoever_asks(target: Target) -> None:
    """Many managers, request-ids, lengths, contexts and SETs, good and refused."""
    engine = target.engine
    for i in range(6000):
        host = f"127.{i >> 14 & 127}.{i >> 7 & 127}.{i & 127}"
        assert engine.receive(wire.get(protos.SYS_DESCR, request=i), host, i) is not None
        put = [(protos.CONTACT, wire.text(str(i)))]
        for community in (b"secret", b"public", str(i).encode()):
            answer = engine.receive(wire.setting(put, request=i, community=community), host, i)
            if isinstance(answer, Setting):
                engine.finish(answer)
        asked = wire3.pdu(
            wire.SET if i % 3 else wire.GET, [wire.binding(protos.CONTACT, wire.text("x" * (i % 300)))], request=i
        )
        for context in (b"", str(i).encode()):
            answer = engine.receive(wire3.message(ANN, PEER, asked, context=context, msg_id=i), host, i)
            if isinstance(answer, Setting):
                engine.finish(answer)
    target.sane()


def test_a_violation_names_its_input(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness itself: an engine that raises, or answers with too much or with nonsense, is found out."""
    one = Input(DATAGRAM, 484, wire.get(protos.SYS_DESCR))
    for fault in (lambda *_, **__: 1 // 0, lambda *_, **__: bytes(485), lambda *_, **__: b"\x30\x03\x02\x01\x01"):
        monkeypatch.setattr(target.engine, "receive", fault)
        with pytest.raises(Violation, match=f"input: {one.line()}"):
            target.run(one)


def test_coverage_tells_inputs_apart(target: Target) -> None:
    asked = Input(DATAGRAM, LIMITS[0], wire.get(protos.SYS_DESCR))
    assert covered(target, asked) != covered(target, Input(DATAGRAM, LIMITS[0], b""))
    assert covered(target, asked) == covered(target, asked)


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"\x30\x80\x00\x00", wire.get(protos.SYS_DESCR)])
def test_what_is_no_answer_is_not_taken_for_one(data: bytes) -> None:
    with pytest.raises(AssertionError):
        well_formed(data)
