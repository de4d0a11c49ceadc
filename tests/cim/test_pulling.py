"""Enumerations that are pulled piece by piece: what comes, when they end, and who may pull them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest
import pywbem

from agent.access import Principal
from agent.cim import pulling
from agent.cim.pulling import Contexts, Pull
from agent.cim.results import Walk
from agent.cim.status import CimError, Status
from agent.model import Domain
from agent.schema.declare import Access
from agent.snapshot import Table
from tests.cim.served import OBSERVER, OPERATOR, Running, call, path_of, serve
from tests.servers import eventually

ANN = Principal(name="ann", role=Access.OBSERVE, front_end="cim")
EVE = Principal(name="eve", role=Access.OBSERVE, front_end="cim")


def code(caught: pytest.ExceptionInfo[pywbem.CIMError]) -> int:
    return int(caught.value.status_code)


def pulled(client: Any, opened: Any, pull: str, most: int) -> list[Any]:
    """Everything that an opened enumeration gives."""
    found = list(opened[0])
    while not opened.eos:
        opened = getattr(client, pull)(opened.context, MaxObjectCount=most)
        assert len(opened[0]) <= most
        found += opened[0]
    return found


@pytest.mark.parametrize("most", [1, 3, 8, 1000])
def test_pulled_instances_are_those_of_one_answer(running: Running, most: int) -> None:
    client = running.client()
    for name in ("Virtmap_Domain", "CIM_LogicalDevice", "Virtmap_DomainDevice", "Virtmap_DomainSettingData"):
        whole = client.EnumerateInstances(name)
        found = pulled(client, client.OpenEnumerateInstances(name, MaxObjectCount=most), "PullInstancesWithPath", most)
        assert [i.path.keybindings for i in found] == [i.path.keybindings for i in whole]
        assert [i.properties for i in found] == [i.properties for i in whole]
        names = pulled(client, client.OpenEnumerateInstancePaths(name, MaxObjectCount=most), "PullInstancePaths", most)
        assert names == [i.path for i in found]


@pytest.mark.parametrize("most", [1, 2, 100])
def test_pulled_neighbours_are_those_of_one_answer(running: Running, most: int) -> None:
    client, domain = running.client(), path_of(running, "guest1")
    pairs = (
        ("Associators", "OpenAssociatorInstances", "PullInstancesWithPath"),
        ("AssociatorNames", "OpenAssociatorInstancePaths", "PullInstancePaths"),
        ("References", "OpenReferenceInstances", "PullInstancesWithPath"),
        ("ReferenceNames", "OpenReferenceInstancePaths", "PullInstancePaths"),
    )
    for whole, opening, pull in pairs:
        for filters in ({}, {"ResultClass": "CIM_SystemDevice" if "Reference" in whole else "CIM_LogicalDevice"}):
            opened = getattr(client, opening)(domain, MaxObjectCount=most, **filters)
            assert pulled(client, opened, pull, most) == getattr(client, whole)(domain, **filters)


def test_an_enumeration_ends_with_its_last_instance(running: Running) -> None:
    client = running.client()
    assert not client.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=7).eos
    assert client.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=8).eos
    opened = client.OpenEnumerateInstances("Virtmap_Domain")  # none at once
    assert (len(opened.instances), opened.eos) == (0, False)
    assert client.OpenEnumerateInstances("CIM_RecordLog").eos


def test_one_that_was_pulled_closed_or_invented_is_there_no_more(running: Running) -> None:
    client = running.client()
    opened = client.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=1)
    client.CloseEnumeration(opened.context)
    ended = client.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=1)
    assert client.PullInstancesWithPath(ended.context, MaxObjectCount=100).eos
    for context in (opened.context, ended.context, ("nonsense", "root/virtmap")):
        for do in (client.CloseEnumeration, lambda c: client.PullInstancesWithPath(c, MaxObjectCount=1)):
            with pytest.raises(pywbem.CIMError) as caught:
                do(context)
            assert code(caught) == pywbem.CIM_ERR_INVALID_ENUMERATION_CONTEXT


def test_it_is_pulled_as_it_was_opened_and_by_who_opened_it(running: Running) -> None:
    client = running.client(OPERATOR)
    opened = client.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=1)
    others = running.client(OBSERVER)
    attempts = (
        lambda: client.PullInstancePaths(opened.context, MaxObjectCount=1),
        lambda: client.PullInstances(opened.context, MaxObjectCount=1),
        lambda: client.PullInstancesWithPath((opened.context[0], "root/cimv2"), MaxObjectCount=1),
        lambda: others.PullInstancesWithPath(opened.context, MaxObjectCount=1),
        lambda: others.CloseEnumeration(opened.context),
    )
    for attempt in attempts:
        with pytest.raises(pywbem.CIMError) as caught:
            attempt()
        assert code(caught) == pywbem.CIM_ERR_INVALID_ENUMERATION_CONTEXT
    assert len(client.PullInstancesWithPath(opened.context, MaxObjectCount=3).instances) == 3


def test_a_pull_of_none_keeps_it_open(running: Running) -> None:
    client = running.client()
    opened = client.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=1)
    kept = client.PullInstancesWithPath(opened.context, MaxObjectCount=0)
    assert (kept.instances, kept.eos) == ([], False)


@pytest.mark.parametrize("seconds", [0, pulling.LONGEST + 1])
def test_times_that_it_cannot_have(running: Running, seconds: int) -> None:
    with pytest.raises(pywbem.CIMError) as caught:
        running.client().OpenEnumerateInstances("Virtmap_Domain", OperationTimeout=seconds, MaxObjectCount=1)
    assert code(caught) == pywbem.CIM_ERR_INVALID_OPERATION_TIMEOUT


@pytest.fixture
def changing() -> Iterator[Running]:
    """A server whose domains may come and go."""
    yield from serve({"local": "fake:///?domains=13"})


def test_rows_come_and_go_between_two_pulls(changing: Running) -> None:
    client = changing.client()
    names = [i["ElementName"] for i in client.EnumerateInstances("Virtmap_Domain")]
    opened = client.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=2)
    first = [i["ElementName"] for i in opened.instances]
    gone = names[3]
    changing.drivers["local"].remove(gone)
    changing.drivers["local"].add("newcomer")
    changing.run(changing.inventories["local"].refresh)
    rest = [i["ElementName"] for i in pulled(client, opened, "PullInstancesWithPath", 2)[2:]]
    assert first + rest == [n for n in names if n != gone] + ["newcomer"]


def test_an_open_enumeration_holds_no_snapshot(changing: Running) -> None:
    client, domain = changing.client(), path_of(changing, "guest1")
    (host,) = client.EnumerateInstanceNames("Virtmap_Host")
    inventory = changing.inventories["local"]
    opened = [
        client.OpenEnumerateInstances("CIM_ManagedElement", MaxObjectCount=1),
        client.OpenAssociatorInstances(host, MaxObjectCount=1),
        client.OpenAssociatorInstancePaths(domain, MaxObjectCount=1),
        client.OpenReferenceInstances(host, MaxObjectCount=1),
        client.OpenReferenceInstancePaths(domain, MaxObjectCount=1),
    ]
    assert not any(each.eos for each in opened)
    for _ in range(3):
        changing.run(inventory.refresh)

    def kept() -> int:
        gc.collect()
        current = inventory.snapshot
        return sum(t.row is Domain and t is not current.table(Domain) and len(t) == 13 for t in _tables())

    eventually(lambda: kept() <= 2, what="the tables of before to go")  # the indexes remember the newest two


def _tables() -> list[Table]:
    return [each for each in gc.get_objects() if type(each) is Table]


def test_what_is_left_is_counted(running: Running) -> None:
    client = running.client()
    opened = client.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=3)
    answer = call(running, "EnumerationCount", f'<IPARAMVALUE NAME="EnumerationContext"><VALUE>{opened.context[0]}'
                  "</VALUE></IPARAMVALUE>")  # fmt: skip
    assert "<VALUE>5</VALUE>" in answer


def test_their_number_is_bounded(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    client = running.client(OBSERVER)
    monkeypatch.setattr(pulling, "OF_ONE", 3)
    opened = [client.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=1) for _ in range(3)]
    with pytest.raises(pywbem.CIMError) as caught:
        client.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=1)
    assert code(caught) == pywbem.CIM_ERR_SERVER_LIMITS_EXCEEDED
    client.CloseEnumeration(opened[0].context)
    client.CloseEnumeration(client.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=1).context)
    for each in opened[1:]:
        client.CloseEnumeration(each.context)


def test_clients_that_iterate_use_it(running: Running) -> None:
    client = running.client()
    found = list(client.IterEnumerateInstances("CIM_ManagedElement", MaxObjectCount=7))
    assert len(found) == len(client.EnumerateInstances("CIM_ManagedElement"))


class TestContexts:
    """Without a server: times, and a client that goes away."""

    def opened(self, contexts: Contexts, timeout: int = 60) -> str:
        walk = Walk(tell=None, sources=[None])  # type: ignore[arg-type, list-item]
        return contexts.open(Pull.INSTANCES, "root/virtmap", ANN, walk, timeout)

    def status(self, contexts: Contexts, name: str, who: Principal = ANN) -> Status | None:
        try:
            contexts.find(name, Pull.INSTANCES, "root/virtmap", who)
        except CimError as error:
            return error.status
        return None

    def test_one_that_nobody_pulls_goes_after_its_time(self) -> None:
        now = [100.0]
        contexts = Contexts(clock=lambda: now[0])
        name = self.opened(contexts, 30)
        now[0] += 29
        assert self.status(contexts, name) is None
        assert self.status(contexts, name, EVE) is Status.INVALID_ENUMERATION_CONTEXT
        now[0] += 2
        assert self.status(contexts, name) is Status.INVALID_ENUMERATION_CONTEXT
        assert len(contexts) == 0

    def test_names_cannot_be_guessed(self) -> None:
        contexts = Contexts()
        assert len({self.opened(contexts) for _ in range(20)}) == 20

    def test_one_whose_client_went_away_within_a_piece_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        contexts = Contexts()
        name = self.opened(contexts)
        monkeypatch.setattr(pulling, "pieces", lambda *_: iter((b"one", b"two")))
        told = contexts.pulled(name, None, 10)  # type: ignore[arg-type]
        assert next(told) == b"one"
        with pytest.raises(CimError) as caught:
            contexts.close(name)
        assert caught.value.status is Status.PULL_CANNOT_BE_ABANDONED
        with pytest.raises(CimError) as caught:
            contexts.pulled(name, None, 10)  # type: ignore[arg-type]
        assert caught.value.status is Status.FAILED
        told.close()  # type: ignore[attr-defined]
        assert self.status(contexts, name) is Status.INVALID_ENUMERATION_CONTEXT
