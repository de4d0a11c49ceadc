"""LIBVIRT-MIB: what libvirt-snmp serves and lets be set, without what it gets wrong."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from agent.driver import Happened
from agent.errors import Failed
from agent.model import Domain
from agent.model.domain import Destroy, DomainState, ManagedSave, Resume, Shutdown, Start, StartFlags, Suspend
from agent.model.domain_events import (
    DomainCrashed,
    DomainDefined,
    DomainLifecycle,
    DomainPmSuspended,
    DomainResumed,
    DomainShutdown,
    DomainStarted,
    DomainStopped,
    DomainSuspended,
    DomainUndefined,
    LifecycleDetail,
)
from agent.schema.declare import Access, Operation
from agent.snmp.herald import Herald
from agent.snmp.message import Status
from agent.snmp.notice import Notice
from agent.snmp.rowstatus import RowStatus
from agent.snmp.security import Community
from agent.snmp.standards import libvirt_mib
from agent.snmp.standards.libvirt_mib import GUESTS, MODULE, GuestState
from tests import wire
from tests.agents import ADMINISTRATOR, LOOPBACK, World, looped, until, world
from tests.standards import carried, declared_facts, misfits, named, served, standard, text_facts
from tests.wire import Oid, get, oid

LIBVIRT = oid("1.3.6.1.4.1.36957")
OBJECTS = (*LIBVIRT, 1)
STATE, ROW = 3, 9
DOWN = ("shutdown", "shutoff", "crashed")
NOBODY = "00112233-4455-6677-8899-aabbccddeeff"
G = GuestState


def guests(uri: str = "fake:///?domains=3", **more: Any) -> Any:
    return world(uri, serves=[libvirt_mib.serve], **more)


def octets(of: str) -> Oid:
    return tuple(uuid.UUID(of).bytes)


def at(column: int, of: str) -> Oid:
    return (*OBJECTS, 1, 1, column, *octets(of))


def of(w: World, column: int, name: str) -> Oid:
    return at(column, w.key(name)[0])


def integer(value: int) -> bytes:
    return wire.number(value)


async def perform(w: World, operation: Operation, name: str) -> None:
    await w.operations.perform(ADMINISTRATOR, "default", operation, w.key(name))


def performed(w: World) -> list[Operation]:
    return [operation for operation, _ in w.fake.performed]


# --- text, declaration, service


def test_the_text_says_what_is_declared() -> None:
    assert text_facts("LIBVIRT-MIB") == declared_facts(MODULE)


@looped
async def test_every_value_is_one_that_the_text_allows() -> None:
    async with guests() as w:
        await perform(w, Suspend(), "guest2")
        found = served(w, OBJECTS)
        assert misfits(MODULE, found) == []
        assert {name for name, *_ in named(MODULE, found)} == {o.name for o in GUESTS.objects[1:]}


@looped
async def test_rows_are_the_active_guests_in_the_order_of_their_uuids() -> None:
    async with guests("fake:///?domains=6") as w:
        await perform(w, Shutdown(), "guest3")
        rows = [instance for name, instance, *_ in named(MODULE, served(w, OBJECTS)) if name == "libvirtGuestName"]
        active = [r for r in w.inventory.snapshot.table(Domain).rows() if isinstance(r, Domain) and r.name != "guest3"]
        assert rows == sorted(octets(r.uuid) for r in active)
        assert len(rows) == 5
        for row in active:
            name, cpus, time = w.read(get(*(at(c, row.uuid) for c in (2, 4, 7)))).variables
            assert name[1:] == (wire.OCTETS, (row.name or "").encode())  # and no zero behind it
            assert (cpus[1], int.from_bytes(cpus[2], "big")) == (wire.UNSIGNED, row.vcpus)
            assert int.from_bytes(time[2], "big") == row.cpu_time


@looped
async def test_a_guest_that_stops_leaves_the_table_and_one_that_starts_comes_back() -> None:
    async with guests() as w:
        name = of(w, 2, "guest1")
        await perform(w, Shutdown(), "guest1")
        assert w.read(get(name)).tags == [wire.NO_SUCH_INSTANCE]
        await perform(w, Start(), "guest1")
        assert w.read(get(name)).tags == [wire.OCTETS]


@looped
async def test_the_instances_are_kept_while_no_guest_comes_or_goes() -> None:
    async with guests() as w:

        def index() -> Any:
            columns = w.engine.contexts["default"].view().columns
            return next(c for c in columns if c.object is not None and c.object.name == "libvirtGuestName").index

        before = index()
        await perform(w, Suspend(), "guest1")
        assert index() is before
        await perform(w, Destroy(), "guest1")
        assert index() is not before


@looped
async def test_one_guest_that_fails_is_its_own_trouble() -> None:
    async with guests() as w:
        w.fake.break_domain("guest2")
        await w.inventory.refresh()
        assert len([n for n, *_ in named(MODULE, served(w, OBJECTS)) if n == "libvirtGuestName"]) == 3


@pytest.mark.parametrize(("kib", "mib"), [(0, 0), (1, 1), (1023, 1), (1024, 1), (1025, 2), (2**42, 2**32 - 1)])
def test_memory_is_rounded_up(kib: int, mib: int) -> None:
    row = Domain(uuid=NOBODY, memory=kib, max_memory=kib)
    for name in ("libvirtGuestMemoryCurrent", "libvirtGuestMemoryLimit"):
        value = GUESTS.takers[name](row.values)
        syntax = next(o.syntax for o in GUESTS.objects if o.name == name)
        assert syntax.encode(value) == wire.number(mib, wire.UNSIGNED)


def test_every_state_of_libvirt_has_a_value_of_the_enumeration() -> None:
    shown = {
        state: GUESTS.takers["libvirtGuestState"](Domain(uuid=NOBODY, state=state).values) for state in DomainState
    }
    assert shown[DomainState.NO_STATE] is G.RUNNING
    assert shown[DomainState.PM_SUSPENDED] is G.PAUSED
    assert set(shown.values()) == set(G)


# --- SET of the state


async def _bring(w: World, state: GuestState) -> None:
    if state is G.PAUSED:
        await perform(w, Suspend(), "guest1")
    w.fake.performed.clear()


@pytest.mark.parametrize(
    ("now", "wanted", "operation"),
    [(G.RUNNING, G.PAUSED, Suspend), (G.PAUSED, G.RUNNING, Resume), (G.RUNNING, G.SHUTDOWN, Shutdown)],
)
def test_a_transition_that_is_allowed(now: GuestState, wanted: GuestState, operation: type[Operation]) -> None:
    @looped
    async def run() -> None:
        async with guests() as w:
            await _bring(w, now)
            answer = await w.write((of(w, STATE, "guest1"), integer(wanted)))
            assert answer.error == (0, 0)
            assert performed(w) == [operation()]

    run()


_REFUSED = [
    (now, wanted)
    for now in (G.RUNNING, G.PAUSED)
    for wanted in G
    if (now, wanted) not in {(G.RUNNING, G.PAUSED), (G.PAUSED, G.RUNNING), (G.RUNNING, G.SHUTDOWN)}
]


@pytest.mark.parametrize(("now", "wanted"), _REFUSED)
def test_any_other_transition_is_inconsistent(now: GuestState, wanted: GuestState) -> None:
    @looped
    async def run() -> None:
        async with guests() as w:
            await _bring(w, now)
            answer = await w.write((of(w, STATE, "guest1"), integer(wanted)))
            assert answer.error == (Status.INCONSISTENT_VALUE, 1)
            assert performed(w) == []

    run()


@pytest.mark.parametrize("column", [STATE, ROW])
@pytest.mark.parametrize(
    ("value", "status"),
    [
        (wire.number(0), Status.WRONG_VALUE),
        (wire.number(7), Status.WRONG_VALUE),
        (wire.text("1"), Status.WRONG_TYPE),
        (wire.number(1, wire.UNSIGNED), Status.WRONG_TYPE),
    ],
)
def test_what_is_no_value_of_the_column(column: int, value: bytes, status: Status) -> None:
    @looped
    async def run() -> None:
        async with guests() as w:
            assert (await w.write((of(w, column, "guest1"), value))).error == (status, 1)
            assert (await w.write((at(column, NOBODY), value), request=2)).error == (status, 1)

    run()


@looped
async def test_the_state_of_a_guest_that_is_no_row_cannot_be_set_alone() -> None:
    async with guests() as w:
        await perform(w, Destroy(), "guest1")
        for name, status in (
            (of(w, STATE, "guest1"), Status.INCONSISTENT_NAME),
            (at(STATE, NOBODY), Status.INCONSISTENT_NAME),
            (of(w, STATE, "guest2")[:-1], Status.NO_CREATION),
            ((*of(w, STATE, "guest2"), 1), Status.NO_CREATION),
            ((*of(w, STATE, "guest2")[:-1], 256), Status.NO_CREATION),
        ):
            assert (await w.write((name, integer(G.RUNNING)))).error == (status, 1), name


# --- SET of the row status


@pytest.mark.parametrize(
    ("state", "flags"), [(None, StartFlags(0)), (G.RUNNING, StartFlags(0)), (G.PAUSED, StartFlags.PAUSED)]
)
@pytest.mark.parametrize("state_first", [True, False])
def test_create_and_go_starts_a_defined_guest(state: GuestState | None, flags: StartFlags, state_first: bool) -> None:
    @looped
    async def run() -> None:
        async with guests() as w:
            await perform(w, Shutdown(), "guest1")
            w.fake.performed.clear()
            pairs = [(of(w, ROW, "guest1"), integer(RowStatus.CREATE_AND_GO))]
            if state is not None:
                pairs.insert(0 if state_first else 1, (of(w, STATE, "guest1"), integer(state)))
            assert (await w.write(*pairs)).error == (0, 0)
            assert performed(w) == [Start(flags=flags)]
            now = G.PAUSED if state is G.PAUSED else G.RUNNING
            assert w.read(get(of(w, STATE, "guest1"), of(w, ROW, "guest1"))).numbers == [now, RowStatus.ACTIVE]

    run()


@looped
async def test_a_guest_starts_running_or_paused_and_nothing_else() -> None:
    async with guests() as w:
        await perform(w, Shutdown(), "guest1")
        w.fake.performed.clear()
        pairs = ((of(w, ROW, "guest1"), integer(4)), (of(w, STATE, "guest1"), integer(G.CRASHED)))
        assert (await w.write(*pairs)).error == (Status.INCONSISTENT_VALUE, 2)
        assert performed(w) == []


@pytest.mark.parametrize(
    ("status", "active", "inactive", "unknown"),
    [
        (RowStatus.ACTIVE, 0, Status.INCONSISTENT_VALUE, Status.INCONSISTENT_VALUE),
        (RowStatus.NOT_IN_SERVICE, Status.INCONSISTENT_VALUE, Status.INCONSISTENT_VALUE, Status.INCONSISTENT_VALUE),
        (RowStatus.NOT_READY, Status.WRONG_VALUE, Status.WRONG_VALUE, Status.WRONG_VALUE),
        (RowStatus.CREATE_AND_GO, Status.INCONSISTENT_VALUE, 0, Status.INCONSISTENT_NAME),
        (RowStatus.CREATE_AND_WAIT, Status.WRONG_VALUE, Status.WRONG_VALUE, Status.WRONG_VALUE),
        (RowStatus.DESTROY, 0, 0, 0),
    ],
)
def test_row_status(status: RowStatus, active: int, inactive: int, unknown: int) -> None:
    @looped
    async def run() -> None:
        async with guests() as w:
            await perform(w, Shutdown(), "guest2")
            w.fake.performed.clear()
            targets = ((of(w, ROW, "guest1"), active), (of(w, ROW, "guest2"), inactive), (at(ROW, NOBODY), unknown))
            for request, (name, expected) in enumerate(targets):
                answer = await w.write((name, integer(status)), request=request)
                assert answer.error == (expected, 1 if expected else 0), name
            did = {RowStatus.DESTROY: [Destroy()], RowStatus.CREATE_AND_GO: [Start()]}
            assert performed(w) == did.get(status, [])

    run()


@looped
async def test_destroy_stops_the_guest_and_the_row_goes() -> None:
    async with guests() as w:
        assert (await w.write((of(w, ROW, "guest1"), integer(RowStatus.DESTROY)))).error == (0, 0)
        assert w.domain("guest1").state is DomainState.SHUT_OFF
        assert w.read(get(of(w, ROW, "guest1"))).tags == [wire.NO_SUCH_INSTANCE]


@looped
async def test_destroying_and_changing_at_once_is_inconsistent() -> None:
    async with guests() as w:
        pairs = ((of(w, ROW, "guest1"), integer(6)), (of(w, STATE, "guest1"), integer(G.PAUSED)))
        assert (await w.write(*pairs)).error == (Status.INCONSISTENT_VALUE, 2)
        assert performed(w) == []


@looped
async def test_the_first_variable_that_fails_is_named() -> None:
    async with guests() as w:
        bad, worse = (of(w, STATE, "guest1"), integer(G.CRASHED)), (of(w, ROW, "guest2"), wire.text("x"))
        assert (await w.write(bad, worse)).error == (Status.INCONSISTENT_VALUE, 1)
        assert (await w.write(worse, bad, request=2)).error == (Status.WRONG_TYPE, 1)


@looped
async def test_what_can_be_taken_back_is_when_the_rest_fails() -> None:
    async with guests() as w:
        w.fake.refuse(Destroy, Failed("domain guest2: no"))
        pairs = ((of(w, STATE, "guest1"), integer(G.PAUSED)), (of(w, ROW, "guest2"), integer(RowStatus.DESTROY)))
        assert (await w.write(*pairs)).error == (Status.COMMIT_FAILED, 2)
        assert performed(w) == [Suspend(), Destroy(), Resume()]
        assert w.domain("guest1").state is DomainState.RUNNING


@looped
async def test_only_who_may_operate_sets() -> None:
    async with guests() as w:
        for column, value in ((STATE, G.PAUSED), (ROW, RowStatus.DESTROY)):
            answer = await w.write((of(w, column, "guest1"), integer(value)), community=b"public")
            assert answer.error == (Status.NO_ACCESS, 1)
        administrator = Community(
            name=b"root", label="boss", role=Access.ADMINISTER, sources=LOOPBACK, hypervisor="default"
        )
    async with guests(communities=(administrator,)) as w:
        answer = await w.write((of(w, STATE, "guest1"), integer(G.PAUSED)), community=b"root")
        assert answer.error == (0, 0)


@looped
async def test_the_other_columns_are_not_writable() -> None:
    async with guests() as w:
        for column in (2, 4, 5, 6, 7):
            answer = await w.write((of(w, column, "guest1"), integer(1)), request=column)
            assert answer.error == (Status.NOT_WRITABLE, 1)


# --- notifications


def notice(w: World, name: str, event: type[DomainLifecycle], detail: LifecycleDetail, before: DomainState) -> Any:
    happened = Happened(event=event(detail=detail, previous_state=before), key=w.key(name))
    (made,) = standard(w).notices(happened, w.inventory.snapshot)
    return made


@pytest.mark.parametrize(
    ("event", "detail", "state"),
    [
        (DomainDefined, LifecycleDetail.DEFINED_UPDATED, G.RUNNING),
        (DomainUndefined, LifecycleDetail.UNDEFINED_REMOVED, G.RUNNING),
        (DomainStarted, LifecycleDetail.STARTED_BOOTED, G.RUNNING),
        (DomainSuspended, LifecycleDetail.SUSPENDED_PAUSED, G.PAUSED),
        (DomainResumed, LifecycleDetail.RESUMED_UNPAUSED, G.RUNNING),
        (DomainShutdown, LifecycleDetail.SHUTDOWN_GUEST, G.SHUTDOWN),
        (DomainStopped, LifecycleDetail.STOPPED_DESTROYED, G.SHUTOFF),
        (DomainStopped, LifecycleDetail.STOPPED_CRASHED, G.CRASHED),
        (DomainPmSuspended, LifecycleDetail.PM_SUSPENDED_MEMORY, G.PAUSED),
        (DomainCrashed, LifecycleDetail.CRASHED_PANICKED, G.CRASHED),
    ],
)
def test_each_lifecycle_event_is_told_with_the_uuid_as_instance(
    event: type[DomainLifecycle], detail: LifecycleDetail, state: GuestState
) -> None:
    @looped
    async def run() -> None:
        async with guests() as w:
            made = notice(w, "guest2", event, detail, DomainState.RUNNING)
            assert made.oid == (*LIBVIRT, 0, 1)
            assert made.severity is event.perceived
            assert (made.kind, made.domain) == ("domain", "guest2")
            status = RowStatus.NOT_IN_SERVICE if state.name.lower() in DOWN else RowStatus.ACTIVE
            assert carried(made.varbinds) == {
                of(w, 2, "guest2"): b"guest2",
                of(w, 1, "guest2"): bytes(octets(w.key("guest2")[0])),
                of(w, STATE, "guest2"): bytes([state]),
                of(w, ROW, "guest2"): bytes([status]),
            }

    run()


@looped
async def test_a_transient_guest_that_is_gone_is_told_of_by_its_name() -> None:
    async with guests() as w:
        w.fake.add("fleeting", persistent=False)
        await w.inventory.refresh()
        await until(lambda: len(w.inventory.snapshot.table(Domain)) == 4, "the new row")
        heard: list[Notice] = []
        Herald(w.events, w.engine.mib, heard.append, standards=[standard(w)])
        key = w.key("fleeting")
        await w.operations.perform(ADMINISTRATOR, "default", Destroy(), key)
        made = await until(lambda: next((n for n in heard if n.oid == (*LIBVIRT, 0, 1)), None), "the notification")
        w.events.stop()
        told = carried(made.varbinds)
        assert told[at(2, key[0])] == b"fleeting"
        assert told[at(STATE, key[0])] == bytes([G.SHUTOFF])


@looped
async def test_a_guest_that_was_never_seen_is_told_of_without_a_name() -> None:
    async with guests() as w:
        event = DomainStarted(detail=LifecycleDetail.STARTED_BOOTED, previous_state=None)
        (made,) = standard(w).notices(Happened(event=event, key=(NOBODY,)), w.inventory.snapshot)
        assert carried(made.varbinds)[at(2, NOBODY)] == b""


@looped
async def test_a_saved_guest_is_no_row_until_it_is_started_again() -> None:
    async with guests() as w:
        await perform(w, ManagedSave(), "guest1")
        assert w.read(get(of(w, 2, "guest1"))).tags == [wire.NO_SUCH_INSTANCE]
        assert (await w.write((of(w, ROW, "guest1"), integer(RowStatus.CREATE_AND_GO)))).error == (0, 0)
        assert w.read(get(of(w, STATE, "guest1"))).numbers == [G.RUNNING]
