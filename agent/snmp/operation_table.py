"""The operation table (VIRTMAP-OPERATION-MIB): any operation of the mapping, asked for by making a row of a table.

The pattern is that of DISMAN-SCRIPT-MIB (RFC 3165): a row says what is to be done of what, its arguments stand in a table
beneath it, making it active does it, and state, error and result are there to be read afterwards. A SET is answered when
the operation has been begun, not when it has ended, so nothing here waits on a hypervisor.

Rows are values, replaced and never changed (`operation_entry`); what a SET makes of them is worked out when it is tested,
and put in place when it is committed. Asking for an operation cannot be taken back, so a SET can do it once. A row belongs
to the user who made it. Passwords are forgotten as soon as the operation has begun; what may hold secrets is never shown.
"""

import asyncio
import secrets
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from agent.access import Principal, permitted
from agent.driver import Happened
from agent.errors import Busy
from agent.layout import Patch
from agent.model.job import JobState
from agent.schema.declare import Field, Index, Key, Operation
from agent.snapshot import Snapshot, Table
from agent.snmp import ber, rowstatus, writers
from agent.snmp.message import Status
from agent.snmp.mib import INDEX_HIGH, Oid
from agent.snmp.notice import Notice
from agent.snmp.operation_entry import KINDS, ZERO, Entry, columns, long, pointed, understood
from agent.snmp.operation_mib import (
    ARGUMENT_CHUNK,
    ARGUMENTS,
    LARGEST_ARGUMENT_NUMBER,
    LARGEST_CHUNK_NUMBER,
    LONGEST_LIFETIME,
    MODULE,
    RESULT_CHUNK,
    RESULTS,
    ROWS,
    SCALARS,
    State,
)
from agent.snmp.rowstatus import RowStatus
from agent.snmp.setting import Ask, Asker, Change, Refused
from agent.snmp.standards import Place, Standard
from agent.snmp.view import SCALAR, Column, Computed


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the table holds at most: rows of one user and in all, octets of the arguments of one row and in all, octets of
    results in all. Seconds that a row is kept which is not made active."""

    rows_of_user: int = 64
    rows: int = 1024
    arguments: int = 1 << 20
    all_arguments: int = 16 << 20
    results: int = 8 << 20
    draft: float = 3600.0


@dataclass(kw_only=True)
class _Wish:
    """What a SET wants of one row; each value with the number of the variable that it comes from."""

    row: int
    first: int
    status: tuple[int, RowStatus] | None = None
    operation: tuple[int, type[Operation] | None] | None = None
    target: tuple[int, Oid] | None = None
    lifetime: tuple[int, int] | None = None
    parts: dict[tuple[int, int], tuple[int, bytes]] = field(default_factory=dict)

    def edits(self) -> Sequence[int]:
        """The variables that an active row does not take, in order."""
        told = [one[0] for one in (self.operation, self.target) if one is not None]
        return sorted([*told, *(index for index, _ in self.parts.values())])


class OperationTable:
    """The tables, as a standard in the context of one hypervisor, and the writer of their columns."""

    modules: Sequence[tuple[Oid, str]] = (
        (MODULE.oid, f"{MODULE.name}: any operation of the mapping, run by a row of a table."),
    )

    def __init__(
        self, place: Place, *, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._place = place
        self._limits = limits or Limits()
        self._clock = clock
        self._rows: dict[int, Entry] = {}
        self._runs = 0
        self._columns: list[Column] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # --- as a standard

    def prepare(self, table: Table) -> None:
        return

    def notices(self, happened: Happened, snapshot: Snapshot) -> Iterable[Notice]:
        return ()

    tells = False

    def patch(self, patches: Sequence[Patch]) -> bool:
        return True

    def columns(self, snapshot: Snapshot) -> Iterable[Column]:
        """They do not depend on the snapshot, and are made again only when a row has changed."""
        if self._columns is None:
            self._columns = list(self._made())
        return self._columns

    def _made(self) -> Iterable[Column]:
        limits, operations = self._limits, self._place.operations
        scalars: Mapping[str, Callable[[], int]] = {
            "virtmapOperationNext": self._free,
            "virtmapOperationRowLimit": lambda: limits.rows_of_user,
            "virtmapOperationRunLimit": lambda: operations.per_principal,
            "virtmapOperationArgumentLimit": lambda: limits.arguments,
            "virtmapOperationChunkSize": lambda: RESULT_CHUNK,
        }
        for o in SCALARS.objects:
            scalar = Computed(o.oid, SCALAR, _counted(scalars[o.name]))
            scalar.object = o
            yield scalar
        entries = [self._rows[index] for index in sorted(self._rows)]
        for table, blocks in (
            (ROWS, [e.row for e in entries]),
            (ARGUMENTS, [e.arguments for e in entries]),
            (RESULTS, [e.results for e in entries]),
        ):
            for column in columns(table, blocks):
                column.writer = self if column.object and column.object.name in _HEARD else None
                yield column

    def _free(self) -> int:
        while (number := 1 + secrets.randbelow(INDEX_HIGH)) in self._rows:
            continue
        return number

    # --- as a writer: testing

    def writable(self, column: Column, principal: Principal) -> bool:
        return any(permitted(principal, kind) for kind in KINDS.values())

    def steps(self, asks: Sequence[Ask], asker: Asker) -> Sequence[Change]:
        wishes: dict[int, _Wish] = {}
        for ask in asks:
            name = ask.column.object.name if ask.column.object else ""
            _HEARD[name](ask, wishes)
        steps = []
        made = 0
        for wish in wishes.values():
            steps.append(self._change(wish, asker, made))
            made += wish.row not in self._rows
        return steps

    def _change(self, wish: _Wish, asker: Asker, made: int) -> Change:
        """What a SET makes of one row, when it also makes so many others."""
        now = self._rows.get(wish.row)
        who = asker.principal
        if now is not None and now.belongs != (who.name, who.front_end):
            raise Refused(Status.NO_ACCESS, wish.first, f"the row belongs to {now.owner}")
        if wish.status is None:
            if now is None:
                raise Refused(Status.INCONSISTENT_NAME, wish.first, "there is no such row, and it is not made here")
            draft = self._draft(now, wish, who)
            return self._putting(wish.first, now, draft)
        index, status = wish.status
        if status is RowStatus.DESTROY:
            rowstatus.moved(now.status if now else None, status, index=index, destroys=_busy(now))
            return self._putting(index, now, None, row=wish.row)
        return self._moving(index, status, now, wish, who, made)

    def _moving(
        self, index: int, status: RowStatus, now: Entry | None, wish: _Wish, who: Principal, made: int
    ) -> Change:
        """The row is made, or set to active or notInService."""
        new = Entry(index=wish.row, owner=who.name, front_end=who.front_end)
        before = now or new
        if status is RowStatus.NOT_IN_SERVICE and before.ended:
            before = before.rested()
        draft = self._draft(before, wish, who)
        moved = rowstatus.moved(
            now.status if now else None, status, index=index, ready=draft.lacks(), suspends=_busy(now)
        )
        if now is None and self._surplus(draft.belongs, made) is None:
            raise Refused(Status.RESOURCE_UNAVAILABLE, index, self._full(who.name))
        if moved is RowStatus.ACTIVE and draft.state is State.PENDING and draft.operation is not None:
            return self._launching(index, now, draft, draft.operation, wish, who)
        return self._putting(index, now, draft)

    def _draft(self, entry: Entry, wish: _Wish, who: Principal) -> Entry:
        """The row with what the SET gives it."""
        edits = wish.edits()
        if edits and entry.state is not State.PENDING:
            raise Refused(Status.INCONSISTENT_VALUE, edits[0], "the row is active")
        if wish.operation is not None:
            index, kind = wish.operation
            if kind is not None and not permitted(who, kind):
                raise Refused(Status.NO_ACCESS, index, f"{kind.__name__} needs the role {kind.needs.name.lower()}")
            entry = replace(entry, operation=kind, parts={}, summary=kind.__name__ if kind else "")
        if wish.target is not None:
            entry = replace(entry, target=wish.target[1])
        if wish.lifetime is not None:
            entry = replace(entry, lifetime=wish.lifetime[1])
        if (wish.operation or wish.target) and (wrong := entry.misdirected()):
            raise Refused(Status.INCONSISTENT_VALUE, (wish.target or wish.operation or (0,))[0], wrong)
        entry = replace(entry, parts={**entry.parts, **self._parts(entry, wish)})
        return entry if entry.ended else replace(entry, since=self._clock())

    def _parts(self, entry: Entry, wish: _Wish) -> Mapping[tuple[int, int], bytes]:
        """The chunks of arguments that the SET gives, each tested."""
        given: dict[tuple[int, int], bytes] = {}
        sizes = {place: len(part) for place, part in entry.parts.items()}
        others = sum(e.octets for e in self._rows.values() if e.index != entry.index)
        for (number, chunk), (index, octets) in wish.parts.items():
            argument = entry.argument(number)
            if argument is None or (chunk > 1 and not long(argument)):
                raise Refused(Status.INCONSISTENT_NAME, index, "the operation has no such argument, or none so long")
            sizes[number, chunk] = len(octets)
            self._fit(argument, octets, sum(size for (n, _), size in sizes.items() if n == number), index)
            if sum(sizes.values()) > self._limits.arguments:
                why = f"the arguments of a row may have {self._limits.arguments} octets"
                raise Refused(Status.RESOURCE_UNAVAILABLE, index, why)
            if others + sum(sizes.values()) > self._limits.all_arguments:
                raise Refused(Status.RESOURCE_UNAVAILABLE, index, "there is no room for more arguments")
            given[number, chunk] = octets
        return given

    def _fit(self, argument: Field, octets: bytes, whole: int, index: int) -> None:
        """Tests a chunk of an argument, of which the agent then holds so many octets."""
        if not long(argument):
            try:
                understood(argument, octets)
            except ValueError as error:
                raise Refused(Status.WRONG_VALUE, index, f"{argument.name}: {error}") from None
        elif argument.semantic.high is not None and whole > argument.semantic.high:
            why = f"{argument.name}: it may have {argument.semantic.high} octets"
            raise Refused(Status.WRONG_LENGTH, index, why)

    def _launching(
        self, index: int, now: Entry | None, draft: Entry, kind: type[Operation], wish: _Wish, who: Principal
    ) -> Change:
        operation = self._operation(draft, kind, wish, index)
        key = self._key(draft, kind)
        if key is None:
            raise Refused(Status.INCONSISTENT_VALUE, (wish.target or (index,))[0], "the target is not there")
        if why := self._place.operations.crowded(who):
            raise Refused(Status.RESOURCE_UNAVAILABLE, index, why)
        return Change(index=index, commit=lambda: self._launch(now, draft, operation, key, who), undo=None)

    def _operation(self, draft: Entry, kind: type[Operation], wish: _Wish, index: int) -> Operation:
        """The operation with its arguments, which are refused where they were set, if that was in this SET."""
        values: dict[str, Any] = {}
        for f in kind.arguments():
            octets = draft.whole(f)
            if octets is None:
                continue
            try:
                values[f.name] = understood(f, octets)
            except ValueError as error:
                at = min((i for (number, _), (i, _) in wish.parts.items() if number == f.number), default=0)
                status = Status.WRONG_VALUE if at else Status.INCONSISTENT_VALUE
                raise Refused(status, at or index, f"{f.name}: {error}") from None
        return kind(**values)

    def _key(self, entry: Entry, kind: type[Operation]) -> Key | None:
        """The key of the row that the operation is asked of; None if it is not there."""
        table = self._place.inventory.snapshot.table(kind.on)
        if kind.on.index is Index.SCALAR:
            return table.at(0).key if len(table) else None
        where = pointed(entry.target)
        if where is None:
            return None
        at = bisect_left(table.indexes, where.arcs)
        return table.at(at).key if at < len(table) and table.indexes[at] == where.arcs else None

    def _surplus(self, owner: tuple[str, str], made: int = 0) -> Sequence[Entry] | None:
        """The rows that have to go for one more of this owner, beside so many that are made too: his that ended longest ago,
        then anybody's. None if they do not suffice."""
        own = [e for e in self._rows.values() if e.belongs == owner]
        others = [e for e in self._rows.values() if e.belongs != owner]
        ended = [*_oldest(own), *_oldest(others)]
        much = max(0, len(own) + made + 1 - self._limits.rows_of_user)
        if much > sum(e.ended for e in own):
            return None
        much = max(much, len(self._rows) + made + 1 - self._limits.rows)
        return ended[:much] if much <= len(ended) else None

    def _full(self, owner: str) -> str:
        return f"there are {len(self._rows)} rows, {self._limits.rows_of_user} for {owner} at most, and none has ended"

    # --- as a writer: doing

    def _putting(self, index: int, now: Entry | None, entry: Entry | None, *, row: int = 0) -> Change:
        """Puts an entry into the place of `now`, of which either may be none; and back."""
        row = entry.index if entry is not None else row
        gone: list[Entry] = []

        def commit() -> None:
            gone.extend(self._replace(row, now, entry))
            self._changed()

        def undo() -> None:
            self._swap(row, now)
            self._rows.update({e.index: e for e in gone})
            self._changed()

        return Change(index=index, commit=commit, undo=undo)

    def _replace(self, row: int, now: Entry | None, entry: Entry | None) -> Sequence[Entry]:
        """Gives the entries that had to make room. Busy if something else was done with the row since it was tested."""
        if self._rows.get(row) is not now:
            raise Busy(f"row {row} of the operation table has changed meanwhile")
        gone: Sequence[Entry] = ()
        if now is None and entry is not None:
            surplus = self._surplus(entry.belongs)
            if surplus is None:
                raise Busy(self._full(entry.owner))
            gone = surplus
        for one in gone:
            del self._rows[one.index]
        self._swap(row, entry)
        return gone

    def _swap(self, row: int, entry: Entry | None) -> None:
        if entry is None:
            self._rows.pop(row, None)
        else:
            self._rows[row] = entry

    def _launch(self, now: Entry | None, draft: Entry, operation: Operation, key: Key, who: Principal) -> None:
        hypervisor = self._place.hypervisor
        kind = type(operation)
        summary = f"{kind.__name__} of {self._place.operations.describe(hypervisor, kind, key)}"
        self._runs += 1
        entry = draft.begun(self._runs, summary, datetime.now(UTC))
        self._replace(draft.index, now, entry)
        self._place.operations.launch(who, hypervisor, operation, key, _Run(self, draft.index, self._runs))
        self._changed()

    # --- while operations run

    def begun(self, row: int, run: int, job: int) -> None:
        entry = self._rows.get(row)
        if entry is not None and entry.run == run:
            self._rows[row] = replace(entry, job=job)
            self._changed()

    def progressed(self, row: int, run: int, percent: int) -> None:
        entry = self._rows.get(row)
        if entry is not None and entry.run == run and not entry.ended:
            self._rows[row] = replace(entry, percent=percent)
            self._changed()

    def ended(self, row: int, run: int, state: State, error: str, values: Mapping[str, Any]) -> None:
        entry = self._rows.get(row)
        if entry is None or entry.run != run:
            return
        entry = entry.concluded(state, error, values, datetime.now(UTC), self._clock())
        if entry.result_octets > self._limits.results:
            why = f"its result has {entry.result_octets} octets, too many to be kept"
            entry = entry.concluded(state, why, {}, datetime.now(UTC), self._clock())
        self._rows[row] = entry
        self._forget_results(entry)
        self._changed()

    def _forget_results(self, latest: Entry) -> None:
        """Rows that ended longest ago go, until the results of all have room."""
        held = sum(e.result_octets for e in self._rows.values())
        for entry in _oldest(self._rows.values()):
            if held <= self._limits.results:
                return
            if entry.result_octets and entry is not latest:
                del self._rows[entry.index]
                held -= entry.result_octets

    def _changed(self) -> None:
        self._columns = None
        self._schedule()
        self._place.renew()

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = min((e.due(self._limits.draft) for e in self._rows.values()), default=float("inf"))
        if due < float("inf"):
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - self._clock()), self.expire)

    def expire(self) -> None:
        """Rows whose time is over go."""
        now = self._clock()
        gone = [e.index for e in self._rows.values() if e.due(self._limits.draft) <= now]
        for index in gone:
            del self._rows[index]
        if gone:
            self._changed()
        else:
            self._schedule()


@dataclass(frozen=True)
class _Run:
    """Tells the table how one run of a row fares."""

    table: OperationTable
    row: int
    run: int

    def begun(self, job: int) -> None:
        self.table.begun(self.row, self.run, job)

    def progressed(self, percent: int) -> None:
        self.table.progressed(self.row, self.run, percent)

    def ended(self, state: JobState, error: str, values: Mapping[str, Any]) -> None:
        self.table.ended(self.row, self.run, State(int(state)), error, values)


def serve(place: Place) -> Standard:
    """The operation table in a context."""
    return OperationTable(place)


def _counted(count: Callable[[], int]) -> Callable[[int], bytes]:
    return lambda _: ber.encode_integer(count(), ber.UNSIGNED)


def _busy(entry: Entry | None) -> str | None:
    return "its operation runs" if entry is not None and entry.state is State.RUNNING else None


def _oldest(entries: Iterable[Entry]) -> list[Entry]:
    """Those that have ended, the one that ended longest ago first."""
    return sorted((e for e in entries if e.ended), key=lambda e: e.since)


# --- what single variables say: their type, length, encoding and value, and whether there can be such an instance


def _wish(ask: Ask, wishes: dict[int, _Wish], arcs: int = 1) -> _Wish:
    """What is wanted of the row that the variable belongs to. Refused as noCreation if there can be no such row."""
    if len(ask.instance) != arcs or not 1 <= ask.instance[0] <= INDEX_HIGH:
        raise Refused(Status.NO_CREATION, ask.index)
    return wishes.setdefault(ask.instance[0], _Wish(row=ask.instance[0], first=ask.index))


def _oid(ask: Ask) -> Oid:
    writers.expect(ber.OID, ask)
    try:
        return ber.oid(ask.value)
    except ber.BerError:
        raise Refused(Status.WRONG_ENCODING, ask.index) from None


def _hear_operation(ask: Ask, wishes: dict[int, _Wish]) -> None:
    oid = _oid(ask)
    if oid != ZERO and oid not in KINDS:
        raise Refused(Status.WRONG_VALUE, ask.index, f"{'.'.join(map(str, oid))} registers no operation")
    _wish(ask, wishes).operation = (ask.index, KINDS.get(oid))


def _hear_target(ask: Ask, wishes: dict[int, _Wish]) -> None:
    oid = _oid(ask)
    if oid != ZERO and pointed(oid) is None:
        raise Refused(Status.WRONG_VALUE, ask.index, f"{'.'.join(map(str, oid))} points at no row of the mapping")
    _wish(ask, wishes).target = (ask.index, oid)


def _hear_lifetime(ask: Ask, wishes: dict[int, _Wish]) -> None:
    writers.expect(ber.UNSIGNED, ask)
    seconds = writers.unsigned(ask)
    if seconds > LONGEST_LIFETIME:
        raise Refused(Status.WRONG_VALUE, ask.index, f"{seconds} is above {LONGEST_LIFETIME}")
    _wish(ask, wishes).lifetime = (ask.index, seconds)


def _hear_status(ask: Ask, wishes: dict[int, _Wish]) -> None:
    status = rowstatus.asked(ask)
    _wish(ask, wishes).status = (ask.index, status)


def _hear_part(ask: Ask, wishes: dict[int, _Wish]) -> None:
    writers.expect(ber.OCTETS, ask)
    octets = writers.octets(ask, 0, ARGUMENT_CHUNK)
    wish = _wish(ask, wishes, arcs=3)
    _, number, chunk = ask.instance
    if not 1 <= number <= LARGEST_ARGUMENT_NUMBER or not 1 <= chunk <= LARGEST_CHUNK_NUMBER:
        raise Refused(Status.NO_CREATION, ask.index)
    wish.parts[number, chunk] = (ask.index, octets)


_HEARD: Mapping[str, Callable[[Ask, dict[int, _Wish]], None]] = {
    "virtmapOperationOperation": _hear_operation,
    "virtmapOperationTarget": _hear_target,
    "virtmapOperationLifetime": _hear_lifetime,
    "virtmapOperationRowStatus": _hear_status,
    "virtmapOperationArgumentValue": _hear_part,
}
"""Which objects can be written, and how each is heard."""
