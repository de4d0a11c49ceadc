"""LIBVIRT-MIB: what libvirt-snmp serves, to stand in its place: active domains by UUID, and control of them.

The rows are the active domains, as there. Domains that are only defined are no rows: createAndGo(4) is how one of them is
started, and a row is what it becomes. Where libvirt-snmp errs this does not:

* a notification names its row by the UUID (not .0), and is sent for transient domains that are gone, too;
* libvirt's states without a value of their own are shown as the nearest: no state as running(1), a guest that sleeps by
  itself as paused(3);
* memory is rounded up to whole MiB, so that what there is never shows as nothing; a name ends where it ends, without a zero;
* of a domain that cannot be read the row is shown as it was.
"""

import enum
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from agent.access import Principal, permitted
from agent.driver import Happened
from agent.layout import Patch
from agent.model import MODEL
from agent.model.domain import (
    Destroy,
    Domain,
    DomainState,
    Resume,
    Shutdown,
    Start,
    StartFlags,
    Suspend,
)
from agent.model.domain_events import (
    DomainCrashed,
    DomainLifecycle,
    DomainPmSuspended,
    DomainResumed,
    DomainShutdown,
    DomainStarted,
    DomainStopped,
    DomainSuspended,
    LifecycleDetail,
)
from agent.schema.declare import Key, Operation
from agent.schema.types import Wire
from agent.snapshot import Snapshot, Table, Values
from agent.snmp import rowstatus, writers
from agent.snmp.message import Status
from agent.snmp.mib import ENTERPRISE, MaxAccess, Oid
from agent.snmp.notice import Later, Notice, Varbind
from agent.snmp.rowstatus import RowStatus
from agent.snmp.setting import Ask, Asker, Refused, Step
from agent.snmp.standards import Place, Standard
from agent.snmp.standards.declared import (
    COUNTER64,
    DeclaredModule,
    DeclaredNotification,
    DeclaredTable,
    Shows,
    digits,
    enumerated,
    hexadecimal,
    index,
    numbers,
    shown,
    text,
)
from agent.snmp.view import Column

LIBVIRT_MIB = ENTERPRISE
NOTIFICATION: Oid = (*LIBVIRT_MIB, 0, 1)
STATE, ROW_STATUS = 3, 9
MOST = 2**32 - 1


class GuestState(enum.IntEnum):
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTDOWN = 4
    SHUTOFF = 5
    CRASHED = 6


_STATES: Mapping[int, GuestState] = {
    DomainState.NO_STATE: GuestState.RUNNING,
    DomainState.RUNNING: GuestState.RUNNING,
    DomainState.BLOCKED: GuestState.BLOCKED,
    DomainState.PAUSED: GuestState.PAUSED,
    DomainState.SHUTTING_DOWN: GuestState.SHUTDOWN,
    DomainState.SHUT_OFF: GuestState.SHUTOFF,
    DomainState.CRASHED: GuestState.CRASHED,
    DomainState.PM_SUSPENDED: GuestState.PAUSED,
}

_RUN = Domain.positions["id"]
_UUID = Domain.positions["uuid"]


def instance(of: str) -> Oid:
    """The index arcs of a UUID: its sixteen octets, without a length, since that is fixed (RFC 2578, section 7.7)."""
    return tuple(digits(of))


def key(arcs: Oid) -> Key | None:
    """The key of the domain with these index arcs; None if they are no UUID."""
    if len(arcs) != 16 or max(arcs) > 255:
        return None
    return (str(uuid.UUID(bytes=bytes(arcs))),)


def mebibytes(kib: int) -> int:
    return -(-kib // 1024)


def _active(values: Values) -> bool:
    return values[_RUN] is not None


def _instance(values: Values) -> Oid:
    return instance(values[_UUID])


UNSIGNED = numbers("Unsigned32", Wire.UNSIGNED, 0, MOST)
GUESTS = DeclaredTable(
    name="libvirtGuestTable",
    under=(*LIBVIRT_MIB, 1, 1, 1),
    row=Domain,
    instance=_instance,
    has=_active,
    objects=(
        index("libvirtGuestUUID", 1, hexadecimal("UUID"), MaxAccess.FOR_NOTIFY),
        shown("libvirtGuestName", 2, text("OCTET STRING", 65535), "name"),
        shown("libvirtGuestState", STATE, enumerated("INTEGER", GuestState), "state",
              how=_STATES.get, access=MaxAccess.READ_CREATE),
        shown("libvirtGuestCpuCount", 4, numbers("Unsigned32", Wire.UNSIGNED, 0, 65535), "vcpus"),
        shown("libvirtGuestMemoryCurrent", 5, numbers("Gauge32", Wire.UNSIGNED, 0, MOST), "memory", how=mebibytes),
        shown("libvirtGuestMemoryLimit", 6, UNSIGNED, "max_memory", how=mebibytes),
        shown("libvirtGuestCpuTime", 7, COUNTER64, "cpu_time"),
        shown("libvirtGuestRowStatus", ROW_STATUS, enumerated("RowStatus", RowStatus), unknown=RowStatus.ACTIVE,
              access=MaxAccess.READ_CREATE),
    ),
)  # fmt: skip

MODULE = DeclaredModule(
    name="LIBVIRT-MIB",
    oid=LIBVIRT_MIB,
    description="LIBVIRT-MIB: active domains by UUID, as libvirt-snmp shows and controls them.",
    tables=(GUESTS,),
    notifications=(
        DeclaredNotification(
            name="libvirtGuestNotif",
            oid=NOTIFICATION,
            objects=("libvirtGuestName", "libvirtGuestUUID", "libvirtGuestState", "libvirtGuestRowStatus"),
        ),
    ),
)


# --- SET


_TRANSITIONS: Mapping[tuple[GuestState, GuestState], type[Operation]] = {
    (GuestState.RUNNING, GuestState.PAUSED): Suspend,
    (GuestState.BLOCKED, GuestState.PAUSED): Suspend,
    (GuestState.PAUSED, GuestState.RUNNING): Resume,
    (GuestState.RUNNING, GuestState.SHUTDOWN): Shutdown,
    (GuestState.BLOCKED, GuestState.SHUTDOWN): Shutdown,
}
"""What may be set, from what, and what it does. A blocked guest is one that runs."""

_OPERATIONS = {STATE: (Suspend, Resume, Shutdown, Start), ROW_STATUS: (Start, Destroy)}
"""What setting a column may ask for."""


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What a SET asks of one guest: the values for its two columns, as far as it gives them."""

    state: GuestState | None
    status: RowStatus | None


class GuestWriter:
    """Writes libvirtGuestState and libvirtGuestRowStatus. The two of one guest are seen together."""

    def __init__(self, place: Place) -> None:
        self._inventory = place.inventory
        self._operations = place.operations

    def writable(self, column: Column, principal: Principal) -> bool:
        return any(permitted(principal, o) for o in _OPERATIONS[column.oid[-1]])

    def steps(self, asks: Sequence[Ask], asker: Asker) -> Sequence[Step]:
        """Refused at the first variable that fails: all are decoded as far as the first that cannot be, and those before it
        are tested against the guests."""
        numbers_by_ask: dict[int, int] = {}
        failed: Refused | None = None
        for ask in asks:
            try:
                numbers_by_ask[ask.index] = _decoded(ask)
            except Refused as refused:
                failed = refused
                break
        sound = asks[: len(numbers_by_ask)]
        together: dict[Oid, list[Ask]] = {}
        for ask in sound:
            together.setdefault(ask.instance, []).append(ask)
        steps = []
        for ask in sound:
            step = self._step(ask, numbers_by_ask, _wanted(together[ask.instance], numbers_by_ask), asker)
            if step is not None:
                steps.append(step)
        if failed is not None:
            raise failed
        return steps

    def _step(self, ask: Ask, values: Mapping[int, int], wanted: _Wanted, asker: Asker) -> Step | None:
        if ask.column.oid[-1] == ROW_STATUS:
            return self._row(ask, RowStatus(values[ask.index]), wanted, asker)
        return self._state(ask, GuestState(values[ask.index]), wanted, asker)

    def _row(self, ask: Ask, status: RowStatus, wanted: _Wanted, asker: Asker) -> Step | None:
        """RFC 2579, RowStatus, as far as a guest goes: it is active or it is not a row."""
        who = key(ask.instance)
        if who is None:
            raise Refused(Status.NO_CREATION, ask.index, "the index is no UUID")
        now = None if ask.row is None else RowStatus.ACTIVE
        why = "a guest is active or it is not there"
        after = rowstatus.moved(now, status, index=ask.index, suspends=why, waits=False)
        if now is after:
            return None
        return self._start(ask, who, wanted, asker) if now is None else self._of(ask, Destroy(), who, asker)

    def _start(self, ask: Ask, who: Key, wanted: _Wanted, asker: Asker) -> Step:
        if self._inventory.snapshot.table(Domain).find(who) is None:
            raise Refused(Status.INCONSISTENT_NAME, ask.index, "no domain with this UUID is defined")
        flags = StartFlags.PAUSED if wanted.state is GuestState.PAUSED else StartFlags(0)
        return self._of(ask, Start(flags=flags), who, asker)

    def _state(self, ask: Ask, state: GuestState, wanted: _Wanted, asker: Asker) -> Step | None:
        if ask.row is None:
            if key(ask.instance) is None:
                raise Refused(Status.NO_CREATION, ask.index, "the index is no UUID")
            if wanted.status is not RowStatus.CREATE_AND_GO:
                raise Refused(Status.INCONSISTENT_NAME, ask.index, "the guest is not active")
            if state not in (GuestState.RUNNING, GuestState.PAUSED):
                raise Refused(Status.INCONSISTENT_VALUE, ask.index, "a guest starts running or paused")
            return None  # the start will see to it
        if wanted.status is RowStatus.DESTROY:
            raise Refused(Status.INCONSISTENT_VALUE, ask.index, "the guest is to be destroyed")
        values = ask.column.records[ask.row]
        now = _STATES.get(values[Domain.positions["state"]])
        operation = None if now is None else _TRANSITIONS.get((now, state))
        if operation is None:
            why = f"from {'unknown' if now is None else now.name.lower()} to {state.name.lower()} there is no way"
            raise Refused(Status.INCONSISTENT_VALUE, ask.index, why)
        return self._of(ask, operation(), (values[_UUID],), asker)

    def _of(self, ask: Ask, operation: Operation, who: Key, asker: Asker) -> Step:
        kind = type(operation)
        if not permitted(asker.principal, kind):
            raise Refused(Status.NO_ACCESS, ask.index)
        undo = MODEL.operation(kind.undo)() if kind.undo else None
        step = Step(index=ask.index, operation=operation, key=who, undo=undo)
        return writers.possible(step, asker, self._operations)


def _decoded(ask: Ask) -> int:
    """The value, if it is one that its column knows and can be asked for."""
    if ask.column.oid[-1] == ROW_STATUS:
        return rowstatus.asked(ask)
    return writers.one_of(ask, list(GuestState))


def _wanted(asks: Sequence[Ask], values: Mapping[int, int]) -> _Wanted:
    by_column = {ask.column.oid[-1]: ask for ask in asks}
    state, status = by_column.get(STATE), by_column.get(ROW_STATUS)
    return _Wanted(
        state=None if state is None else GuestState(values[state.index]),
        status=None if status is None else RowStatus(values[status.index]),
    )


# --- notifications


_AFTER: Mapping[type[DomainLifecycle], GuestState] = {
    DomainStarted: GuestState.RUNNING,
    DomainSuspended: GuestState.PAUSED,
    DomainResumed: GuestState.RUNNING,
    DomainShutdown: GuestState.SHUTDOWN,
    DomainStopped: GuestState.SHUTOFF,
    DomainPmSuspended: GuestState.PAUSED,
    DomainCrashed: GuestState.CRASHED,
}


def state_after(event: DomainLifecycle, row: Domain | None) -> GuestState:
    """The state that a domain came into; where the event is only about its definition, the one that it is in."""
    if event.detail is LifecycleDetail.STOPPED_CRASHED:
        return GuestState.CRASHED
    if told := _AFTER.get(type(event)):
        return told
    known = row.state if row is not None else event.previous_state
    return GuestState.SHUTOFF if known is None else _STATES[known]


def _varbinds(uuid: str, name: str, state: GuestState) -> Sequence[Varbind]:
    arcs = instance(uuid)
    down = state in (GuestState.SHUTDOWN, GuestState.SHUTOFF, GuestState.CRASHED)
    return [
        GUESTS.varbind("libvirtGuestName", arcs, name),
        GUESTS.varbind("libvirtGuestUUID", arcs, uuid),
        GUESTS.varbind("libvirtGuestState", arcs, state),
        GUESTS.varbind("libvirtGuestRowStatus", arcs, RowStatus.NOT_IN_SERVICE if down else RowStatus.ACTIVE),
    ]


class LibvirtMib:
    """LIBVIRT-MIB in the context of one hypervisor."""

    def __init__(self, place: Place) -> None:
        self.modules: Sequence[tuple[Oid, str]] = ((MODULE.oid, MODULE.description),)
        self._hypervisor = place.hypervisor
        self._inventory = place.inventory
        self._shows = Shows((GUESTS,), GuestWriter(place))

    def prepare(self, table: Table) -> None:
        self._shows.prepare(table)

    tells = True

    def patch(self, patches: Sequence[Patch]) -> bool:
        done = [self._shows.patch(patch) for patch in patches]
        return all(done)

    def columns(self, snapshot: Snapshot) -> Iterable[Column]:
        return self._shows.columns(snapshot)

    def notices(self, happened: Happened, snapshot: Snapshot) -> Iterator[Notice]:
        event = happened.event
        if not isinstance(event, DomainLifecycle):
            return
        row = snapshot.get(Domain, happened.key)
        there = self._inventory.snapshot.table(Domain).find(happened.key) is not None
        name = row.name if row is not None and row.name is not None else ""
        state = state_after(event, row if there else None)
        yield Notice(
            oid=NOTIFICATION,
            varbinds=Later(4, partial(_varbinds, happened.key[0], name, state)),
            hypervisor=self._hypervisor,
            severity=type(event).perceived,
            kind=Domain.__name__.lower(),
            domain=name or None,
        )


def serve(place: Place) -> Standard:
    return LibvirtMib(place)
