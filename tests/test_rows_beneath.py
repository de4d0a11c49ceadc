"""Rows beneath a vCPU or a disk, the third level under a domain: their arcs, their way through SNMP and through CIM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pywbem

from agent.inventory import Inventory
from agent.model import MODEL, Disk, DiskInterval, DiskLatency, Domain, Nic, Vcpu, VcpuStatistic
from agent.model import domain as guest
from agent.model.disk_latency import DiskOperation
from agent.schema.declare import Key, Row
from agent.schema.types import Kind, fits
from agent.snmp import mib
from agent.state import State
from drivers.fake import Fake
from tests import wire
from tests.agents import World, looped, world
from tests.cim.served import Running, serve

URI = "fake:///?domains=3&disks=2&vcpus=2&statistics=3&details=0"
COUNTS = {VcpuStatistic: 3 * 2 * 3, DiskLatency: 3 * 2 * 4 * 3, DiskInterval: 3 * 2 * 3}


def read(fake: Fake) -> list[Row]:
    return [row for piece in fake.plan().pieces for row in piece.read().rows]


def arcs(inventory: Inventory, row: type[Row]) -> dict[Key, tuple[int, ...]]:
    """The index arcs of each row, by its key."""
    table = inventory.snapshot.table(row)
    return {table.at(i).key: arc for i, arc in enumerate(table.indexes)}


# --- the fake


def test_the_fake_has_none_unless_asked() -> None:
    fake = Fake("x", "fake:///")
    fake.connect()
    assert not [r for r in read(fake) if isinstance(r, tuple(COUNTS))]


def test_the_fake_fills_every_column_while_a_domain_runs() -> None:
    fake = Fake("x", URI)
    fake.connect()
    rows = read(fake)
    assert {kind: sum(isinstance(r, kind) for r in rows) for kind in COUNTS} == COUNTS
    for row in rows:
        for f in row.fields:
            value = row.values[f.position]
            assert value is not None, f"{type(row).__name__}.{f.name}"
            assert fits(f.semantic, value) is None, f"{type(row).__name__}.{f.name}: {value!r}"
    key = fake.find("guest1")
    fake.perform(guest.Destroy(), key)
    assert {r.key[0] for r in read(fake) if isinstance(r, tuple(COUNTS))} == {
        fake.find(n)[0] for n in ("guest2", "guest3")
    }


def test_the_fake_counts_anew_in_each_run() -> None:
    fake = Fake("x", URI)
    fake.connect()
    key = fake.find("guest1")

    def counted() -> list[int]:
        return [
            row.values[f.position]
            for row in read(fake)
            if isinstance(row, tuple(COUNTS)) and row.key[0] == key[0]
            for f in row.fields
            if f.semantic.kind is Kind.COUNTER
        ]

    first, second = counted(), counted()
    assert all(a <= b for a, b in zip(first, second, strict=True))
    assert sum(second) > sum(first)
    fake.perform(guest.Suspend(), key)
    assert counted() == counted()
    fake.perform(guest.Destroy(), key)
    fake.perform(guest.Start(), key)
    assert sum(counted()) < sum(first)


# --- arcs


@looped
async def test_an_index_is_that_of_the_row_above_and_its_own() -> None:
    async with world(URI) as w:
        above = {Disk: arcs(w.inventory, Disk), Vcpu: arcs(w.inventory, Vcpu)}
        for row, count in COUNTS.items():
            table = w.inventory.snapshot.table(row)
            assert len(table) == count
            assert list(table.indexes) == sorted(set(table.indexes))
            assert row.parent_row is not None
            for key, arc in arcs(w.inventory, row).items():
                assert len(arc) == 3
                assert arc[:2] == above[row.parent_row][key[:2]]
        intervals = arcs(w.inventory, DiskInterval)
        assert all(arc[2] == key[2] + 1 for key, arc in intervals.items()), "interval 0 is arc 1"
        for row in (DiskLatency, VcpuStatistic):
            by_parent: dict[Any, set[int]] = {}
            for arc in arcs(w.inventory, row).values():
                by_parent.setdefault(arc[:2], set()).add(arc[2])
            assert all(own == set(range(1, len(own) + 1)) for own in by_parent.values())


@looped
async def test_arcs_stay_when_a_disk_and_a_run_go_and_come_back(tmp_path: Path) -> None:
    fake = Fake("default", URI)
    state = State(tmp_path)
    async with world(fake=fake, state=state) as w:
        before = {row: arcs(w.inventory, row) for row in COUNTS}
        domain = fake._guests[fake.find("guest2")[0]]
        gone = domain.disks.pop(0)
        await w.inventory.refresh()
        less = {row: arcs(w.inventory, row) for row in COUNTS}
        assert all(less[row].items() < before[row].items() for row in (DiskLatency, DiskInterval))
        assert less[VcpuStatistic] == before[VcpuStatistic]
        domain.disks.append(gone)
        fake.perform(guest.Destroy(), fake.find("guest1"))
    state.close()
    state = State(tmp_path)
    async with world(fake=fake, state=state) as w:
        stopped = fake.find("guest1")[0]
        for row, known in before.items():
            assert arcs(w.inventory, row) == {key: arc for key, arc in known.items() if key[0] != stopped}
        fake.perform(guest.Start(), (stopped,))
        await w.inventory.refresh()
        assert {row: arcs(w.inventory, row) for row in before} == before
    state.close()


class Counting(State):
    """Notes of each commit of new arcs for which table it is."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.written: list[int] = []

    def _write(self, hypervisor: str, table: int, given: Any) -> None:
        if given:
            self.written.append(table)
        super()._write(hypervisor, table, given)


@looped
async def test_the_first_reading_commits_once_for_each_table(tmp_path: Path) -> None:
    """A commit for each disk and vCPU on its own would wait for the storage hundreds of times."""
    state = Counting(tmp_path)
    async with world("fake:///?domains=100&statistics=2&details=0", state=state) as w:
        assert len(w.inventory.snapshot.table(DiskLatency)) == 100 * 2 * 4 * 2
        assert sorted(state.written) == sorted({r.table for r in (Domain, Disk, Nic, VcpuStatistic, DiskLatency)})
    state.close()


# --- SNMP


def walked(w: World, start: wire.Oid) -> list[tuple[wire.Oid, int, bytes]]:
    found: list[tuple[wire.Oid, int, bytes]] = []
    at = start
    for _ in range(1000):
        for name, tag, contents in w.read(wire.getbulk(0, 50, at)).variables:
            if name[: len(start)] != start:
                return found
            found.append((name, tag, contents))
            at = name
    raise AssertionError("the walk does not end")


@looped
async def test_a_walk_gives_every_column_under_three_arcs() -> None:
    async with world(URI) as w:
        for row, count in COUNTS.items():
            table = mib.project(MODEL).table(row)
            snapshot = w.inventory.snapshot.table(row)
            found = walked(w, table.oid)
            assert [name for name, _, _ in found] == [
                (*o.oid, *arc) for o in table.readable for arc in snapshot.indexes
            ]
            assert len(found) == count * len(table.readable)
        columns = {o.name: o for o in mib.project(MODEL).table(DiskLatency).objects}
        (key, arc), *_ = arcs(w.inventory, DiskLatency).items()
        operation, requests = columns["virtmapDiskLatencyOperation"], columns["virtmapDiskLatencyRequests"]
        answer = w.read(wire.get((*operation.oid, *arc), (*requests.oid, *arc)))
        latency = w.inventory.snapshot.get(DiskLatency, key)
        assert latency is not None
        assert answer.numbers == [int(latency.operation), latency.requests]
        assert answer.tags == [wire.INTEGER, 0x46]


def test_the_index_clause_names_all_three() -> None:
    table = mib.project(MODEL).table(VcpuStatistic)
    assert table.indexes == ("virtmapDomainIndex", "virtmapVcpuIndex", "virtmapVcpuStatisticIndex")


# --- CIM


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    yield from serve({"local": URI})


def test_instances_are_got_by_their_paths(running: Running) -> None:
    client = running.client()
    instances = client.EnumerateInstances("CIM_StatisticalData")
    assert len(instances) == sum(COUNTS.values())
    for instance in instances:
        assert client.GetInstance(instance.path).properties == instance.properties
    uuid = running.drivers["local"].find("guest1")[0]
    paths = {i.path["InstanceID"]: i for i in instances}
    assert paths[f"virtmap:{uuid}/vda/latency/read/2"]["Operation"] == int(DiskOperation.READ)
    assert paths[f"virtmap:{uuid}/vdb/latency/zoneAppend/0"]["Start"] == 0
    assert paths[f"virtmap:{uuid}/vda/interval/1"]["Interval"] == 120
    assert paths[f"virtmap:{uuid}/vcpu1/statistic/halt_exits"]["ElementName"] == "halt_exits"
    gone = pywbem.CIMInstanceName("Virtmap_DiskLatency", {"InstanceID": f"virtmap:{uuid}/vda/latency/read/3"})
    with pytest.raises(pywbem.CIMError) as caught:
        client.GetInstance(gone)
    assert caught.value.status_code == pywbem.CIM_ERR_NOT_FOUND


def test_a_device_leads_to_its_statistics_and_they_back(running: Running) -> None:
    client = running.client()
    uuid = running.drivers["local"].find("guest2")[0]
    disk = next(p for p in client.EnumerateInstanceNames("Virtmap_Disk") if p["DeviceID"] == f"{uuid}/vdb")
    found = client.AssociatorNames(disk, AssocClass="CIM_ElementStatisticalData", ResultRole="Stats")
    assert sorted(p["InstanceID"] for p in found) == sorted(
        [f"virtmap:{uuid}/vdb/latency/{o.label}/{n}" for o in DiskOperation for n in range(3)]
        + [f"virtmap:{uuid}/vdb/interval/{n}" for n in range(3)]
    )
    for path in found:
        (back,) = client.AssociatorNames(path)
        assert (back.classname, back.keybindings) == (disk.classname, disk.keybindings)
        (reference,) = client.References(path)
        assert reference["ManagedElement"].keybindings == disk.keybindings
        assert reference["Stats"].keybindings == path.keybindings
        assert client.GetInstance(reference.path).properties == reference.properties
    vcpu = next(p for p in client.EnumerateInstanceNames("Virtmap_Vcpu") if p["DeviceID"] == f"{uuid}/vcpu1")
    found = client.AssociatorNames(vcpu, ResultClass="CIM_StatisticalData")
    assert {p["InstanceID"].rsplit("/", 2)[0] for p in found} == {f"virtmap:{uuid}/vcpu1"}
    assert len(found) == 3
    assert len(client.EnumerateInstanceNames("Virtmap_DeviceStatistics")) == sum(COUNTS.values())
