"""Which indications arise of events and of changes of instances, and what they say, as a pywbem listener has them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pywbem

from agent.cim.classes import class_name
from agent.cim.indications.arising import CREATION, DELETION, MODIFICATION, Arising, alert, changes, instance
from agent.driver import Happened
from agent.events import Announcement, seen, sentence
from agent.model import MODEL, Disk, Domain
from agent.model.device_events import DiskIoFailed, DomainClockChanged, IoErrorAction
from agent.model.domain import DomainState, Resume, SetMemory, Suspend
from agent.model.domain_events import DomainCrashed
from agent.schema.declare import Field
from agent.snapshot import Table
from drivers.fake.values import value
from tests.agents import OPERATOR, World, looped, until, world
from tests.cim.subscribed import (
    HOST,
    Heard,
    new_destination,
    new_filter,
    new_subscription,
    pywbem_listener,
    schema,
    subscribed,
)
from tests.cim.subscribed import World as Subscribed

ALERTS = "SELECT * FROM CIM_AlertIndication"


@contextlib.asynccontextmanager
async def arising(
    *queries: str, uri: str = "fake:///?domains=3"
) -> AsyncIterator[tuple[World, Heard, Subscribed, Arising]]:
    """An agent, and a listener that has subscribed to what these queries ask for."""
    with pywbem_listener() as heard:
        async with world(uri) as w, subscribed() as s:
            one = Arising(schema(), s.delivery, host=HOST)
            one.follow(w.inventory, w.events)
            for number, query in enumerate(queries):
                await s.subscribe(heard.url, query, f"console{number}")
            await w.inventory.refresh()
            try:
                yield w, heard, s, one
            finally:
                await one.stop()


@looped
async def test_an_event_is_an_alert_with_its_values_and_those_of_its_row() -> None:
    async with arising(ALERTS) as (w, heard, _, _one):
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        (told,) = await heard.some(1)
        domain = w.domain("guest1")
        assert told.classname == "Virtmap_DomainSuspended"
        values = {name: prop.value for name, prop in told.properties.items()}
        assert (values["Uuid"], values["Name"], values["State"]) == (domain.uuid, "guest1", DomainState.PAUSED)
        assert values["PreviousState"] == DomainState.RUNNING
        assert (values["PerceivedSeverity"], values["AlertType"], values["ProbableCause"]) == (3, 1, 0)
        assert values["EventID"] == "virtmap:DomainSuspended"
        assert values["Message"] == "domain guest1: suspended: detail suspendedPaused, previous state running"
        assert (values["SystemName"], values["Sequence"], values["HeldBack"]) == ("default", 1, 0)
        assert isinstance(values["EventTime"], pywbem.CIMDateTime)
        named = pywbem.CIMInstanceName.from_wbem_uri(values["AlertingManagedElement"])
        assert (named.classname, named.keybindings["Name"]) == ("Virtmap_Domain", domain.uuid)


@looped
async def test_a_filter_may_ask_for_one_class_or_for_grave_ones_only() -> None:
    grave = "SELECT * FROM CIM_AlertIndication WHERE PerceivedSeverity >= 5"
    async with arising(grave, "SELECT * FROM Virtmap_DomainResumed") as (w, heard, _, _one):
        key = w.key("guest1")
        await w.operations.perform(OPERATOR, "default", Suspend(), key)
        await w.operations.perform(OPERATOR, "default", Resume(), key)
        w.events.tell(Happened(event=DomainCrashed(), key=key))
        w.inventory.look_again((Domain, key))
        told = await heard.some(2)
        assert {each.classname for each in told} == {"Virtmap_DomainResumed", "Virtmap_DomainCrashed"}


@looped
async def test_a_domain_that_comes_changes_and_goes_is_told_as_changes_of_its_instance() -> None:
    async with arising("SELECT * FROM CIM_InstIndication WHERE SourceInstance ISA CIM_ComputerSystem") as (
        w,
        heard,
        _,
        _one,
    ):
        w.fake.add("guest9")
        (made,) = await heard.some(1)
        key = w.key("guest9")
        assert (made.classname, made["SourceInstance"].classname) == (CREATION, "Virtmap_Domain")
        assert (made["SourceInstance"]["ElementName"], made["SourceInstanceHost"]) == ("guest9", HOST)
        await w.operations.perform(OPERATOR, "default", Suspend(), key)
        (changed,) = await heard.some(1)
        assert changed.classname == MODIFICATION
        assert changed["SourceInstance"]["State"] == DomainState.PAUSED
        assert changed["PreviousInstance"]["State"] == DomainState.RUNNING
        assert {"State", "EnabledState"} <= set(changed["ChangedPropertyNames"])
        w.fake.remove("guest9")
        (gone,) = await heard.some(1)
        if gone.classname == MODIFICATION:  # it was read between its stop and its end
            (gone,) = await heard.some(1)
        assert (gone.classname, gone["SourceInstance"]["ElementName"]) == (DELETION, "guest9")
        named = pywbem.CIMInstanceName.from_wbem_uri(gone["SourceInstanceModelPath"])
        assert named.keybindings["Name"] == key[0]


@looped
async def test_a_query_may_compare_an_instance_with_what_it_was() -> None:
    query = (
        "SELECT * FROM CIM_InstModification WHERE SourceInstance ISA CIM_ComputerSystem "
        "AND SourceInstance.CIM_ComputerSystem::EnabledState <> PreviousInstance.CIM_ComputerSystem::EnabledState"
    )
    async with arising(query) as (w, heard, _, _one):
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        (told,) = await heard.some(1)
        assert told["SourceInstance"]["ElementName"] == "guest1"


@looped
async def test_measurements_alone_are_no_change() -> None:
    async with arising("SELECT * FROM CIM_InstIndication", ALERTS) as (w, heard, _, _one):
        for _ in range(3):
            await w.inventory.refresh()  # counters move
        w.events.tell(Happened(event=DomainClockChanged(offset=1), key=w.key("guest1")))
        (told,) = await heard.some(1)
        assert told.classname == "Virtmap_DomainClockChanged"
        assert heard.waiting == 0


@looped
async def test_the_first_change_after_somebody_subscribed_is_told() -> None:
    async with arising(ALERTS) as (w, heard, s, _one):
        await s.subscribe(heard.url, "SELECT * FROM CIM_InstCreation WHERE SourceInstance ISA Virtmap_Domain", "late")
        w.fake.add("guest9")
        told = await heard.some(3)  # it was defined, it started, and its instance is there
        assert [each["SourceInstance"]["ElementName"] for each in told if each.classname == CREATION] == ["guest9"]


@looped
async def test_nobody_compares_what_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    async with arising(ALERTS) as (w, heard, _, one):
        w.fake.add("guest9")
        told = await heard.some(1)
        assert told[0].classname == "Virtmap_DomainDefined"
        assert one._last == {"default": w.inventory.snapshot}
        assert not one._comparing


@looped
async def test_an_alert_without_its_row_tells_its_key() -> None:
    async with world() as w:
        key = ("11111111-2222-3333-4444-555555555555", "vda")
        event = DiskIoFailed(action=IoErrorAction.PAUSE, image="/x")
        made = alert(
            schema(),
            Announcement(
                happened=Happened(event=event, key=key), hypervisor="default", last=None, before=None,
                snapshot=w.inventory.snapshot, gone=True, domain=None,
            ),
        )  # fmt: skip
        assert (made["Target"], made["Action"], made["Image"]) == ("vda", IoErrorAction.PAUSE, "/x")
        assert "AlertingManagedElement" not in made


@looped
async def test_every_event_of_the_mapping_has_its_alert() -> None:
    """All of whose properties its class declares, with their types."""
    known = schema()
    async with world("fake:///?domains=1") as w:
        for event in MODEL.events:
            table = w.inventory.snapshot.table(event.on)
            last = seen(w.inventory.snapshot, event.on, table.at(0).key) if len(table) else None
            filled = event(**{f.name: example(f) for f in event.fields})
            key = table.at(0).key if len(table) else tuple("1" for _ in event.on.key_fields())
            made = alert(
                known,
                Announcement(
                    happened=Happened(event=filled, key=key), hypervisor="default", last=last, before=None,
                    snapshot=w.inventory.snapshot, gone=False, domain=None,
                ),
            )  # fmt: skip
            lineage = (made.classname.lower(), *known.ancestors(made.classname))
            declared = {
                n.lower(): p for each in reversed(lineage) for n, p in known.classes[each].local.properties.items()
            }
            for prop in made.properties.values():
                spec = declared[prop.name.lower()]
                assert (prop.type, bool(prop.is_array)) == (spec.type, bool(spec.is_array)), (event, prop.name)
            assert "cim_alertindication" in lineage
            assert sentence(filled, key, last, None)


def example(field: Field) -> Any:
    return value(field, "an event", 1)


@looped
async def test_what_comes_changes_and_goes_in_a_table() -> None:
    async with world() as w:
        table = w.inventory.snapshot.table(Domain)
        all_of_them = frozenset((CREATION, MODIFICATION, DELETION))
        without = Table(Domain, table.records[1:], table.indexes[1:], table)
        renamed = list(table.records)
        renamed[0] = table.at(0).replace(name="other").values
        moved = Table(Domain, renamed, table.indexes, table)
        assert list(changes(table, table, all_of_them)) == []
        assert list(changes(table, without, all_of_them)) == [(DELETION, table.records[0], None)]
        assert list(changes(without, table, all_of_them)) == [(CREATION, table.records[0], None)]
        assert list(changes(table, moved, all_of_them)) == [(MODIFICATION, renamed[0], table.records[0])]
        assert list(changes(table, moved, frozenset((CREATION,)))) == []


@looped
async def test_an_instance_has_the_properties_of_its_class() -> None:
    known = schema()
    async with world() as w:
        for row in (Domain, Disk):
            cls = known.instances[class_name(row).lower()]
            made = instance(cls, w.inventory.snapshot.table(row).records[0], "default")
            assert [p.name for p in cls.properties] == list(made.properties)
            assert {p.name for p in cls.keys} == set(made.path.keybindings)


@looped
async def test_more_than_can_wait_is_lost_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.cim.indications.arising.WAITING", 5)
    monkeypatch.setattr("agent.cim.indications.arising.UNDERWAY", 1)

    class Slow:
        listening = True

        def wanted(self, classname: str, namespace: str) -> bool:
            return True

        async def publish(self, indication: pywbem.CIMInstance, namespace: str) -> int:
            await asyncio.sleep(30)
            return 1

    async with world() as w:
        one = Arising(schema(), Slow(), host=HOST)
        w.events.on_told(one._told)
        w.events.limits = dataclasses.replace(w.events.limits, burst=100)
        for offset in range(20):
            w.events.tell(Happened(event=DomainClockChanged(offset=offset), key=w.key("guest1")))
        await until(lambda: not w.events.waiting)
        assert one.lost == 20 - 5 - 1
        await one.stop(limit=0.01)


@looped
async def test_order_is_kept() -> None:
    async with arising(ALERTS) as (w, heard, _, _one):
        for _ in range(5):
            await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
            await w.operations.perform(OPERATOR, "default", Resume(), w.key("guest1"))
        told = await heard.some(10)
        assert [each["Sequence"] for each in told] == list(range(1, 11))
        assert [each["SequenceNumber"] for each in told] == list(range(10))


@looped
async def test_changed_memory_is_an_alert_of_the_balloon_only_where_the_hypervisor_tells_it() -> None:
    async with arising("SELECT * FROM CIM_InstModification") as (w, heard, _, _one):
        before = w.domain("guest1").memory
        assert before is not None
        await w.operations.perform(OPERATOR, "default", SetMemory(memory=before // 2), w.key("guest1"))
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        (told,) = await heard.some(1)
        assert "State" in told["ChangedPropertyNames"]


@looped
async def test_clients_of_libvirt_cim_hear_of_domains_as_they_are_used_to() -> None:
    query = "SELECT * FROM KVM_ComputerSystemModifiedIndication"
    async with arising(uri="fake:///?domains=3") as (w, heard, s, _one):
        wanted = await s.subscriptions.create(new_filter("acme:kvm", query, SourceNamespaces=["root/virt"]), OPERATOR)
        receiver = await s.subscriptions.create(new_destination(heard.url, "acme:kvm"), OPERATOR)
        await s.subscriptions.create(new_subscription(wanted, receiver), OPERATOR)
        await w.inventory.refresh()
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        (told,) = await heard.some(1)
        assert told.classname == "KVM_ComputerSystemModifiedIndication"
        source = told["SourceInstance"]
        assert (source.classname, source["Name"], source["EnabledState"]) == ("KVM_ComputerSystem", "guest1", 9)
