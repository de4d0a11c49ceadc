"""VM-MIB: its text is what is declared, what is declared is what is served, and RFC 7666 says what it means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.driver import Happened
from agent.errors import DeclarationError
from agent.model.disk import Disk
from agent.model.domain import Domain, DomainState, DomainStateReason, ManagedSave, Shutdown, Start, Suspend
from agent.model.domain_events import (
    DomainCrashed,
    DomainDefined,
    DomainLifecycle,
    DomainPmSuspended,
    DomainResumed,
    DomainStarted,
    DomainStopped,
    DomainSuspended,
    DomainUndefined,
    LifecycleDetail,
)
from agent.model.nic import Nic
from agent.model.vcpu import Vcpu
from agent.schema.declare import Access
from agent.snmp.herald import Herald
from agent.snmp.message import Status
from agent.snmp.notice import Notice
from agent.snmp.security import Community
from agent.snmp.setting import Ask, Asker
from agent.snmp.standards import vm_mib
from agent.snmp.standards.declared import ADMIN_STRING, DeclaredTable, shown
from agent.snmp.standards.vm_mib import (
    MODULE,
    AdminState,
    Affinity,
    OperState,
    SourceType,
    VmMib,
    administrative,
    affinity,
    operational,
    processors,
    source_type,
    unit,
)
from tests import wire
from tests.agents import ADMINISTRATOR, COMMUNITIES, LOOPBACK, World, looped, until, world
from tests.standards import carried, declared_facts, misfits, named, served, standard, text_facts
from tests.wire import Oid, get, getnext, oid

VM = oid("1.3.6.1.2.1.236")
PER_VM, BULK = (*VM, 1, 9, 0), (*VM, 1, 10, 0)
ROOT = Community(name=b"root", label="administrator", role=Access.ADMINISTER, sources=LOOPBACK, hypervisor="default")
S, R = DomainState, DomainStateReason


def vm_world(uri: str = "fake:///?domains=3", *, per_vm: bool = False, bulk: bool = False, **more: Any) -> Any:
    return world(uri, serves=[vm_mib.serve(per_vm=per_vm, bulk=bulk)], communities=(*COMMUNITIES, ROOT), **more)


def the(w: World) -> VmMib:
    found = standard(w)
    assert isinstance(found, VmMib)
    return found


def values(w: World) -> dict[tuple[str, Oid], Any]:
    """Everything served, by name and instance: numbers, or octets."""
    return {
        (name, instance): contents
        if tag in (wire.OCTETS, wire.OID)
        else int.from_bytes(contents, "big", signed=tag == 2)
        for name, instance, tag, contents in named(MODULE, served(w, VM))
    }


def column(table: int, number: int, *instance: int) -> Oid:
    return (*VM, 1, table, 1, number, *instance)


# --- text, declaration, service


def test_the_text_says_what_is_declared() -> None:
    assert text_facts("VM-MIB") == declared_facts(MODULE)


@looped
async def test_every_value_is_one_that_the_text_allows() -> None:
    async with vm_world("fake:///?domains=4&disks=3&nics=2") as w:
        await w.operations.perform(ADMINISTRATOR, "default", Suspend(), w.key("guest1"))
        await w.operations.perform(ADMINISTRATOR, "default", Shutdown(), w.key("guest2"))
        await w.operations.perform(ADMINISTRATOR, "default", ManagedSave(), w.key("guest3"))
        found = served(w, VM)
        assert misfits(MODULE, found) == []
        assert {name for name, *_ in named(MODULE, found)} == {
            name
            for name, told in declared_facts(MODULE).items()
            if told[1] in ("read-only", "read-write")  # type: ignore[index]
        }


@looped
async def test_a_domain_that_could_never_be_read_breaks_nothing() -> None:
    async with vm_world(wait=False) as w:
        w.fake.break_domain("guest2")
        await w.inventory.wait_refreshed()
        found = values(w)
        assert misfits(MODULE, served(w, VM)) == []
        assert (found["vmOperState", (w.arc("guest2"),)], found["vmName", (w.arc("guest2"),)]) == (
            OperState.UNKNOWN,
            b"",
        )
        assert ("vmAdminState", (w.arc("guest2"),)) not in found


@looped
async def test_before_the_first_reading_there_are_no_machines() -> None:
    async with vm_world(wait=False) as w:
        found = values(w)
        assert found["vmNumber", (0,)] == 0
        assert not [name for name, _ in found if name == "vmName"]


@looped
async def test_a_row_tells_of_the_domain_with_its_index() -> None:
    async with vm_world() as w:
        found, row = values(w), w.domain("guest2")
        at = (w.arc("guest2"),)
        assert found["vmName", at] == b"guest2"
        assert found["vmUUID", at].hex() == row.uuid.replace("-", "")
        assert found["vmCpuTime", at] == (row.cpu_time or 0) // 1000
        assert (found["vmMemUnit", at], found["vmCurMem", at], found["vmMaxMem", at]) == (
            1024,
            row.memory,
            row.max_memory,
        )
        assert (found["vmCurCpuNumber", at], found["vmMinCpuNumber", at], found["vmMaxCpuNumber", at]) == (2, -1, 4)
        assert found["vmNumber", (0,)] == 3
        assert found["vmHvSoftware", (0,)] == b"Fake"


@looped
async def test_the_rows_beneath_have_the_indexes_of_the_mapping() -> None:
    async with vm_world("fake:///?domains=2&disks=2&nics=1&vcpus=3") as w:
        found, snapshot = values(w), w.inventory.snapshot
        for row, name in ((Vcpu, "vmCpuCoreTime"), (Disk, "vmStorageResourceID"), (Nic, "vmNetworkModel")):
            assert [at for n, at in found if n == name] == list(snapshot.table(row).indexes)
        disk = snapshot.table(Disk).at(1)
        at = snapshot.table(Disk).indexes[1]
        assert isinstance(disk, Disk)
        assert found["vmStorageReadLatency", at] == (disk.read_time or 0) // 1000
        assert found["vmStorageDefinedSize", at] * found["vmStorageSizeUnit", at] == disk.capacity
        assert found["vmNetworkPhysAddress", snapshot.table(Nic).indexes[0]][:2] == b"\x52\x54"
        assert min(at[1] for n, at in found if n == "vmCpuCoreTime") == 1


@looped
async def test_what_lets_a_vcpu_run_where() -> None:
    async with vm_world("fake:///?domains=2&vcpus=2") as w:
        rows = {at: value for (name, at), value in values(w).items() if name == "vmCpuAffinity"}
        assert list(rows) == [(d, c, 196608 + p) for d in (1, 2) for c in (1, 2) for p in range(16)]
        assert set(rows.values()) == {Affinity.ENABLE}
        for at in rows:
            assert w.read(get(column(6, 3, *at))).tags == [wire.INTEGER]
        assert w.read(get(column(6, 3, 1, 1, 196624))).tags == [wire.NO_SUCH_INSTANCE]
        assert w.read(get(column(6, 3, 1, 1))).tags == [wire.NO_SUCH_INSTANCE]
        assert w.read(getnext(column(6, 3, 1, 2, 196623))).names == [column(6, 3, 2, 1, 196608)]


@looped
async def test_instances_stand_in_order_and_are_found_where_they_stand() -> None:
    async with vm_world("fake:///?domains=3&vcpus=3") as w:
        for one in w.engine.contexts["default"].view().columns:
            arcs, suffixes = list(one.index.arcs), list(one.index.suffixes)
            assert arcs == sorted(set(arcs))
            assert [one.index.positions[s] for s in suffixes] == list(range(one.count))
            assert list(one.index.positions) == suffixes
            assert len(one.index.positions) == one.count


@looped
async def test_times() -> None:
    async with vm_world() as w:
        first = values(w)
        assert 0 <= first["vmTableLastChange", (0,)] <= first["vmHvUpTime", (0,)]
        w.fake.add("newcomer")
        number = w.inventory.snapshot.number
        await w.inventory.refresh()
        await w.inventory.wait_refreshed(number)
        second = values(w)
        assert second["vmNumber", (0,)] == 4
        assert first["vmTableLastChange", (0,)] <= second["vmTableLastChange", (0,)] <= second["vmHvUpTime", (0,)]
        await w.operations.perform(ADMINISTRATOR, "default", Shutdown(), w.key("guest1"))
        assert values(w)["vmUpTime", (w.arc("guest1"),)] == 0


def test_hundredths_never_run_backwards() -> None:
    now = datetime.now(UTC)
    assert vm_mib.hundredths(now + timedelta(seconds=1.5), now) == 150
    assert vm_mib.hundredths(now, now + timedelta(seconds=5)) == 0


@looped
async def test_what_did_not_change_is_handed_on_and_what_did_is_not() -> None:
    async with vm_world() as w:

        def by_name() -> dict[str, Any]:
            columns = w.engine.contexts["default"].view().columns
            return {c.object.name: c for c in columns if c.object is not None and c.oid[: len(VM)] == VM}

        before = by_name()
        for one in before.values():
            one.page(0)
        number = w.inventory.snapshot.number
        await w.inventory.refresh()
        await w.inventory.wait_refreshed(number)
        after = by_name()
        assert after["vmName"].index is before["vmName"].index
        for name in ("vmName", "vmUUID", "vmOperState", "vmStorageSizeUnit", "vmMinMem"):
            assert after[name].pages[0] is before[name].pages[0], name
        assert after["vmCpuTime"].pages[0] is not None  # encoded anew, since it was asked for
        assert after["vmCpuTime"].pages[0].blob != before["vmCpuTime"].pages[0].blob
        assert after["vmCpuTime"].wide
        assert not after["vmUpTime"].wide


@looped
async def test_an_agent_that_serves_it_says_so() -> None:
    async with vm_world() as w:
        assert [module for module, _ in standard(w).modules] == [VM]


# --- what the values mean


def test_every_state_and_every_reason_has_a_value() -> None:
    for reason in R:
        state = S(reason // 100)
        assert operational(state, reason, False) in OperState
        assert administrative(state, reason, False) in AdminState


@pytest.mark.parametrize(
    ("state", "reason", "saved", "oper", "admin"),
    [
        (S.NO_STATE, None, None, OperState.UNKNOWN, AdminState.RUNNING),
        (S.RUNNING, R.RUNNING_BOOTED, False, OperState.RUNNING, AdminState.RUNNING),
        (S.BLOCKED, None, None, OperState.RUNNING, AdminState.RUNNING),
        (S.PAUSED, R.PAUSED_USER, False, OperState.PAUSED, AdminState.PAUSED),
        (S.PAUSED, R.PAUSED_MIGRATION, False, OperState.MIGRATING, AdminState.RUNNING),
        (S.PAUSED, R.PAUSED_SAVE, False, OperState.SUSPENDING, AdminState.SUSPENDED),
        (S.PAUSED, R.PAUSED_STARTING_UP, False, OperState.PREPARING, AdminState.RUNNING),
        (S.PAUSED, R.PAUSED_CRASHED, False, OperState.CRASHED, AdminState.PAUSED),
        (S.PAUSED, R.PAUSED_POSTCOPY_FAILED, False, OperState.OTHER, AdminState.PAUSED),
        (S.SHUTTING_DOWN, None, False, OperState.SHUTTING_DOWN, AdminState.SHUTDOWN),
        (S.SHUT_OFF, R.SHUT_OFF_SHUTDOWN, False, OperState.SHUTDOWN, AdminState.SHUTDOWN),
        (S.SHUT_OFF, R.SHUT_OFF_SAVED, True, OperState.SUSPENDED, AdminState.SUSPENDED),
        (S.SHUT_OFF, R.SHUT_OFF_CRASHED, False, OperState.CRASHED, AdminState.SHUTDOWN),
        (S.CRASHED, None, None, OperState.CRASHED, AdminState.SHUTDOWN),
        (S.PM_SUSPENDED, None, False, OperState.OTHER, AdminState.RUNNING),
        (
            S.RUNNING,
            R.PAUSED_SAVE,
            False,
            OperState.RUNNING,
            AdminState.RUNNING,
        ),  # a reason of another state says nothing
    ],
)
def test_states(state: S, reason: R | None, saved: bool | None, oper: OperState, admin: AdminState) -> None:
    assert (operational(state, reason, saved), administrative(state, reason, saved)) == (oper, admin)


GIB = 2**30


@pytest.mark.parametrize(
    ("kind", "form", "capacity", "allocation", "expected"),
    [
        ("block", "raw", 10 * GIB, GIB, SourceType.BLOCK),
        ("file", "raw", 10 * GIB, 10 * GIB, SourceType.RAW),
        ("file", "raw", 10 * GIB, 11 * GIB, SourceType.RAW),
        ("file", "raw", 10 * GIB, GIB, SourceType.SPARSE),
        ("file", "raw", None, None, SourceType.RAW),
        ("file", "qcow2", 10 * GIB, 10 * GIB, SourceType.SPARSE),
        ("file", None, 10 * GIB, GIB, SourceType.UNKNOWN),
        ("network", "raw", 10 * GIB, GIB, SourceType.NETWORK),
        ("volume", "raw", 10 * GIB, GIB, SourceType.OTHER),
        (None, None, None, None, SourceType.UNKNOWN),
        ("file", "qcow2", None, 3 * GIB, SourceType.SPARSE),
        ("file", "qcow2", 5 * 2**40, 2**20, SourceType.SPARSE),
        ("block", "raw", 2**52, None, SourceType.BLOCK),
    ],
)
def test_storage(
    kind: str | None, form: str | None, capacity: int | None, allocation: int | None, expected: SourceType
) -> None:
    disk = Disk(
        domain="00112233-4455-6677-8899-aabbccddeeff", target="vda", type=kind, format=form, capacity=capacity,
        allocation=allocation,
    )  # fmt: skip
    take = vm_mib.VM_STORAGE_TABLE.takers
    got = {
        name: take[f"vmStorage{name}"](disk.values)
        for name in ("SourceType", "SizeUnit", "DefinedSize", "AllocatedSize")
    }
    assert got["SourceType"] == expected
    if kind and form:
        assert got["SourceType"] == source_type(kind, form, capacity, allocation)
    assert -1 <= got["DefinedSize"] <= 2**31 - 1
    assert got["DefinedSize"] == (-1 if capacity is None else -(-capacity // got["SizeUnit"]))
    if expected in (SourceType.BLOCK, SourceType.RAW):
        assert got["AllocatedSize"] == got["DefinedSize"]
    else:
        assert got["AllocatedSize"] == (-1 if allocation is None else -(-allocation // got["SizeUnit"]))


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, 2**10), (2**41 - 2**10, 2**10), (2**41, 2**20), (2**51 - 2**20, 2**20), (2**51, 2**30), (None, 2**10)],
)
def test_units_are_such_that_31_bits_do(size: int | None, expected: int) -> None:
    assert unit(size, None) == expected


def test_much_memory_is_told_in_a_larger_unit() -> None:
    big = Domain(uuid="00112233-4455-6677-8899-aabbccddeeff", memory=2**30 + 1, max_memory=2**31)
    take = vm_mib.VM_TABLE.takers
    assert [take[n](big.values) for n in ("vmMemUnit", "vmCurMem", "vmMaxMem")] == [2**20, 2**20 + 1, 2**21]


@pytest.mark.parametrize(
    ("listed", "expected"),
    [("0-3,8", {0, 1, 2, 3, 8}), ("5", {5}), ("", set()), ("^3,x,1-2", {1, 2}), ("0, 2", {0, 2})],
)
def test_lists_of_processors(listed: str, expected: set[int]) -> None:
    assert processors(listed) == expected
    assert affinity(listed, 99) is (Affinity.DISABLE if listed else Affinity.UNKNOWN)


# --- SET


@looped
async def test_nothing_is_writable_but_the_switches() -> None:
    async with vm_world() as w:
        for name in list(served(w, VM)):
            answer = await w.write((name, wire.number(1)), community=b"root")
            assert answer.status == (0 if name in (PER_VM, BULK) else Status.NOT_WRITABLE), name


@looped
async def test_an_administrator_turns_the_switches() -> None:
    async with vm_world() as w:
        both = await w.write((PER_VM, wire.number(1)), (BULK, wire.number(1)), community=b"root")
        assert both.error == (0, 0)
        assert w.read(get(PER_VM, BULK)).numbers == [1, 1]
        assert (await w.write((BULK, wire.number(2)), community=b"root", request=2)).error == (0, 0)
        assert (the(w).switches.per_vm, the(w).switches.bulk) == (True, False)
    async with vm_world(per_vm=False, bulk=True) as again:
        assert again.read(get(PER_VM, BULK)).numbers == [2, 1]


@looped
async def test_others_do_not() -> None:
    async with vm_world() as w:
        for community in (b"public", b"secret"):
            assert (await w.write((PER_VM, wire.number(1)), community=community)).error == (Status.NO_ACCESS, 1)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (wire.number(0), Status.WRONG_VALUE),
        (wire.number(3), Status.WRONG_VALUE),
        (wire.text("1"), Status.WRONG_TYPE),
        (wire.number(1, wire.UNSIGNED), Status.WRONG_TYPE),
    ],
)
def test_a_switch_takes_true_and_false(value: bytes, status: Status) -> None:
    @looped
    async def run() -> None:
        async with vm_world() as w:
            assert (await w.write((BULK, wire.number(1)), (PER_VM, value), community=b"root")).error == (status, 2)
            assert not the(w).switches.bulk

    run()


@looped
async def test_a_switch_has_one_instance() -> None:
    async with vm_world() as w:
        answer = await w.write(((*PER_VM[:-1], 1), wire.number(1)), community=b"root")
        assert answer.error == (Status.NO_CREATION, 1)


@looped
async def test_a_switch_goes_back_when_the_rest_of_the_set_fails() -> None:
    async with vm_world() as w:
        steps = the(w).switches
        asker = Asker(principal=ADMINISTRATOR, hypervisor="default", write=None)
        (change,) = steps.steps([_ask(w, PER_VM, 1)], asker)
        change.commit()
        assert steps.per_vm
        assert change.undo is not None
        change.undo()
        assert not steps.per_vm


def _ask(w: World, name: Oid, value: int) -> Ask:
    found = next(c for c in w.engine.contexts["default"].view().columns if c.oid == name[:-1])
    return Ask(index=1, column=found, instance=(0,), row=0, tag=wire.INTEGER, value=bytes([value]))


# --- notifications


class Heard:
    """What is told of a world, as its herald tells it."""

    def __init__(self, w: World) -> None:
        self.notices: list[Notice] = []
        Herald(w.events, w.engine.mib, self._hear, standards=[standard(w)])

    def _hear(self, notice: Notice) -> None:
        if notice.oid[: len(VM)] == VM:
            self.notices.append(notice)

    async def these(self, *names: str) -> list[Notice]:
        """All notices since the last call, once they are these."""
        await until(lambda: len(self.notices) >= len(names), ", ".join(names))
        found, self.notices = self.notices, []
        assert told(found) == list(names)
        return found


def told(notices: list[Notice]) -> list[str]:
    names = {n.oid: n.name for n in MODULE.notifications}
    return [names[n.oid] for n in notices]


def happened(
    w: World, name: str, event: type[DomainLifecycle], detail: LifecycleDetail, before: DomainState | None
) -> list[Notice]:
    made = Happened(event=event(detail=detail, previous_state=before), key=w.key(name))
    return list(the(w).notices(made, w.inventory.snapshot))


@looped
async def test_nothing_is_told_while_the_switches_are_off() -> None:
    async with vm_world() as w:
        assert happened(w, "guest1", DomainStarted, LifecycleDetail.STARTED_BOOTED, S.SHUT_OFF) == []


@looped
async def test_a_notification_carries_the_state_before_under_the_index_of_the_machine() -> None:
    async with vm_world(per_vm=True) as w:
        heard, at, row = Heard(w), w.arc("guest2"), w.domain("guest2")
        await w.operations.perform(ADMINISTRATOR, "default", Suspend(), w.key("guest2"))
        (notice,) = await heard.these("vmPaused")
        assert notice.hypervisor == "default"
        assert notice.oid == (*VM, 0, 4)
        assert carried(notice.varbinds) == {
            column(4, 2, at): b"guest2",
            column(4, 3, at): bytes.fromhex(row.uuid.replace("-", "")),
            column(4, 6, at): bytes([OperState.RUNNING]),
        }


@pytest.mark.parametrize(
    ("event", "detail", "before", "name", "state"),
    [
        (DomainStarted, LifecycleDetail.STARTED_BOOTED, S.SHUT_OFF, "vmRunning", OperState.SHUTDOWN),
        (DomainStarted, LifecycleDetail.STARTED_RESTORED, S.SHUT_OFF, "vmRunning", OperState.SUSPENDED),
        (DomainStarted, LifecycleDetail.STARTED_BOOTED, S.RUNNING, "vmRunning", OperState.UNKNOWN),
        (DomainStarted, LifecycleDetail.STARTED_BOOTED, None, "vmRunning", OperState.UNKNOWN),
        (DomainResumed, LifecycleDetail.RESUMED_UNPAUSED, S.PAUSED, "vmRunning", OperState.PAUSED),
        (DomainSuspended, LifecycleDetail.SUSPENDED_IO_ERROR, S.RUNNING, "vmPaused", OperState.RUNNING),
        (DomainSuspended, LifecycleDetail.SUSPENDED_MIGRATED, S.RUNNING, "vmMigrating", OperState.RUNNING),
        (DomainSuspended, LifecycleDetail.SUSPENDED_POSTCOPY_FAILED, S.RUNNING, None, None),
        (DomainStopped, LifecycleDetail.STOPPED_SHUTDOWN, S.SHUTTING_DOWN, "vmShutdown", OperState.SHUTTING_DOWN),
        (DomainStopped, LifecycleDetail.STOPPED_CRASHED, S.RUNNING, "vmCrashed", OperState.RUNNING),
        (DomainCrashed, LifecycleDetail.CRASHED_PANICKED, S.RUNNING, "vmCrashed", OperState.RUNNING),
        (DomainStopped, LifecycleDetail.STOPPED_CRASHED, S.CRASHED, None, None),  # told already
        (DomainPmSuspended, LifecycleDetail.PM_SUSPENDED_MEMORY, S.RUNNING, None, None),
        (DomainPmSuspended, LifecycleDetail.PM_SUSPENDED_DISK, S.RUNNING, "vmSuspended", OperState.RUNNING),
        (DomainDefined, LifecycleDetail.DEFINED_UPDATED, S.RUNNING, None, None),
        (DomainUndefined, LifecycleDetail.UNDEFINED_REMOVED, S.RUNNING, None, None),  # it still runs
        (DomainUndefined, LifecycleDetail.UNDEFINED_RENAMED, S.SHUT_OFF, None, None),
        (DomainUndefined, LifecycleDetail.UNDEFINED_REMOVED, S.SHUT_OFF, "vmDeleted", OperState.SHUTDOWN),
    ],
)
def test_which_event_becomes_which_notification(
    event: type[DomainLifecycle], detail: LifecycleDetail, before: S | None, name: str | None, state: OperState | None
) -> None:
    @looped
    async def run() -> None:
        async with vm_world(per_vm=True) as w:
            notices = happened(w, "guest1", event, detail, before)
            assert told(notices) == ([name] if name else [])
            if notices:
                assert carried(notices[0].varbinds)[column(4, 6, 1)] == bytes([state or 0])
                assert notices[0].severity is event.perceived
                assert {(n.kind, n.domain) for n in notices} == {("domain", "guest1")}

    run()


@looped
async def test_a_machine_that_was_saved_is_suspended_not_shut_down() -> None:
    async with vm_world(per_vm=True) as w:
        heard = Heard(w)
        await w.operations.perform(ADMINISTRATOR, "default", ManagedSave(), w.key("guest1"))
        await heard.these("vmSuspended")
        await w.operations.perform(ADMINISTRATOR, "default", Start(), w.key("guest1"))
        (notice,) = await heard.these("vmRunning")
        assert carried(notice.varbinds)[column(4, 6, 1)] == bytes([OperState.SUSPENDED])


@looped
async def test_a_deleted_machine_is_told_of_when_its_row_is_gone() -> None:
    async with vm_world(per_vm=True, bulk=True) as w:
        heard, at = Heard(w), w.arc("guest2")
        w.fake.remove("guest2")
        notices = await heard.these("vmShutdown", "vmBulkShutdown", "vmDeleted", "vmBulkDeleted")
        deleted = carried(notices[2].varbinds)
        assert deleted[column(4, 2, at)] == b"guest2"
        assert deleted[column(4, 6, at)] == bytes([OperState.SHUTDOWN])
        assert deleted[column(4, 8, at)] == b"\x02"


@looped
async def test_a_transient_machine_that_stops_is_deleted() -> None:
    async with vm_world(per_vm=True) as w:
        w.fake.add("fleeting", persistent=False)
        await w.inventory.refresh()
        await until(lambda: len(w.inventory.snapshot.table(Domain)) == 4, "the new row")
        heard, at, key = Heard(w), w.arc("fleeting"), w.key("fleeting")
        await w.operations.perform(ADMINISTRATOR, "default", Shutdown(), key)
        notices = await heard.these("vmShuttingdown", "vmShutdown", "vmDeleted")
        assert carried(notices[-1].varbinds)[column(4, 8, at)] == b"\x03"


@looped
async def test_a_machine_that_was_never_seen_has_no_index_to_be_told_by() -> None:
    async with vm_world(per_vm=True) as w:
        event = DomainStarted(detail=LifecycleDetail.STARTED_BOOTED, previous_state=None)
        unknown = Happened(event=event, key=("00112233-4455-6677-8899-aabbccddeeff",))
        assert list(the(w).notices(unknown, w.inventory.snapshot)) == []


@pytest.mark.parametrize(
    ("arc", "bits"), [(1, b"\x80"), (8, b"\x01"), (9, b"\x00\x80"), (480_001, None), (480_000, bytes(59_999) + b"\x01")]
)
def test_a_set_of_machines_is_a_bitmap_that_begins_with_index_one(arc: int, bits: bytes | None) -> None:
    assert vm_mib.affected(arc) == bits


@looped
async def test_bulk_notifications_stand_by_themselves() -> None:
    async with vm_world(bulk=True) as w:
        (notice,) = happened(w, "guest3", DomainResumed, LifecycleDetail.RESUMED_UNPAUSED, S.PAUSED)
        assert told([notice]) == ["vmBulkRunning"]
        assert carried(notice.varbinds) == {(*VM, 1, 11, 0): b"\x20"}
        assert w.read(get((*VM, 1, 11, 0))).tags == [wire.NO_SUCH_OBJECT]


# --- the language of declarations


def test_a_declaration_that_names_no_column_is_refused_at_once() -> None:
    with pytest.raises(DeclarationError, match="vmNothing: Domain has no column nothing"):
        DeclaredTable(
            name="t", under=(1, 3), row=Domain, objects=(shown("vmNothing", 1, ADMIN_STRING, "nothing"),)
        )  # fmt: skip
    with pytest.raises(DeclarationError, match="several columns need a function"):
        shown("vmBoth", 1, ADMIN_STRING, "name", "title")
