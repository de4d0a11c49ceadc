"""What is known of one hypervisor: dated, immutable snapshots of all tables, that every front end shares.

A request is answered from `snapshot` and never waits. The inventory refreshes it in worker threads: everything at an
interval while anybody asks, single domains when an event or an operation says that they changed. A root (the host, a
domain) whose reading fails keeps its rows of before, with the reason in its `problem` column. When the connection breaks,
all rows stay, marked stale, until they are forgotten; connecting is tried again with back-off.

Values live in plain tuples of atoms, which the garbage collector leaves alone: at 10,000 domains its passes over row
objects would hold up answers for longer than everything else together.
"""

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from agent.driver import Batch, Changed, Driver, Happened, Heard, Lost, Piece, Root
from agent.errors import Busy, Unreachable, VirtmapError
from agent.model import MODEL, Domain, Host, Reading
from agent.schema.declare import Index, Key, Role, Row
from agent.workers import Workers

R = TypeVar("R", bound=Row)
Values = tuple[Any, ...]
Arc = tuple[int, ...]
Ordered = tuple[tuple[Arc, Values], ...]

log = logging.getLogger("virtmap.inventory")

DRIVEN: tuple[type[Row], ...] = tuple(r for r in MODEL.rows if not r.internal)
"""Rows that drivers fill; a parent always stands before its children."""

SETTLE = 0.05
"""Seconds that changes are collected before they are read: starting a domain raises a handful of events."""


class Indexes(Protocol):
    """Gives rows their persistent SNMP index arcs. Called in worker threads."""

    def allocate(self, hypervisor: str, table: int, parent: Arc, keys: Sequence[str]) -> list[int]: ...

    def allocate_many(
        self, hypervisor: str, table: int, wanted: Sequence[tuple[Arc, Sequence[str]]]
    ) -> list[list[int]]: ...


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How often and how long, in seconds; `readers` is how many pieces are read at once."""

    interval: float = 5.0
    idle_after: float = 600.0
    call_limit: float = 10.0
    forget_after: float = 900.0
    first_retry: float = 0.5
    last_retry: float = 30.0
    readers: int = 4


class Table:
    """The rows of one table at one moment, in the order of their SNMP indexes.

    `records[i]` are the values of row i in the order of `row.fields`; `indexes[i]` its index arcs. `indexes` is the very
    object of the snapshot before, as long as no row came or went.
    """

    __slots__ = ("_by_key", "indexes", "records", "row", "taken")

    def __init__(self, row: type[Row], records: Sequence[Values], indexes: tuple[Arc, ...], taken: datetime) -> None:
        self.row = row
        self.records = records
        self.indexes = indexes
        self.taken = taken
        self._by_key: dict[Key, int] | None = None

    def __len__(self) -> int:
        return len(self.records)

    def at(self, position: int) -> Row:
        """Row number `position`."""
        return self.row.of_values(self.records[position])

    def find(self, key: Key) -> int | None:
        """The position of the row with this key (the parent's part first), or None."""
        if self._by_key is None:
            places = [f.position for f in self.row.key_fields()]
            self._by_key = {tuple(r[p] for p in places): i for i, r in enumerate(self.records)}
        return self._by_key.get(key)

    def get(self, key: Key) -> Row | None:
        position = self.find(key)
        return None if position is None else self.at(position)

    def rows(self) -> Iterable[Row]:
        return map(self.row.of_values, self.records)


class Snapshot:
    """All tables at one moment. `number` grows with each snapshot of an inventory."""

    __slots__ = ("_tables", "number", "taken")

    def __init__(self, tables: Mapping[type[Row], Table], taken: datetime, number: int) -> None:
        self._tables = tables
        self.taken = taken
        self.number = number

    def table(self, row: type[Row]) -> Table:
        return self._tables[row]

    def get(self, row: type[R], key: Key) -> R | None:
        """The row with this key, or None."""
        found = self._tables[row].get(key)
        return found if found is None else row.of_values(found.values)

    def with_tables(self, tables: Iterable[Table], number: int) -> "Snapshot":
        return Snapshot({**self._tables, **{t.row: t for t in tables}}, self.taken, number)


@dataclass(slots=True)
class _Known:
    """What was last read of one root. `began` is when that reading began, to tell which of two readings is newer."""

    began: float
    rows: dict[type[Row], list[Values]]
    failed: bool = False
    ordered: dict[type[Row], Ordered] = field(default_factory=dict)


@dataclass(slots=True)
class _Read:
    """The outcome of one piece: rows by root, failures by root, and the roots that it was to read."""

    began: float
    roots: frozenset[Root]
    rows: dict[Root, dict[type[Row], list[Values]]]
    failed: Mapping[Root, VirtmapError]


def root_of(row: type[Row], key: Key) -> Root:
    """The root that a row belongs to."""
    top = row.root()
    return top, key[: len(top.key_fields())]


def _grouped(batch: Batch, roots: frozenset[Root], began: float) -> _Read:
    rows: dict[Root, dict[type[Row], list[Values]]] = {}
    plans: dict[type[Row], tuple[type[Row], int, int]] = {}
    for row in batch.rows:
        kind = type(row)
        if kind not in plans:
            first = kind.key_fields()
            plans[kind] = (kind.root(), first[0].position, len(kind.root().key_fields()))
        top, at, count = plans[kind]
        key = (row.values[at],) if count == 1 else row.key[:count]
        rows.setdefault((top, key), {}).setdefault(kind, []).append(row.values)
    return _Read(began=began, roots=roots, rows=rows, failed=batch.failed)


class Inventory:
    """The snapshots of one hypervisor connection. Made, started and asked in the event loop's thread."""

    def __init__(
        self, driver: Driver, indexes: Indexes, *, pace: Pace | None = None, workers: Workers | None = None
    ) -> None:
        self.driver = driver
        self.name = driver.name
        self.pace = pace or Pace()
        self.workers = workers or Workers(self.pace.readers + 4, f"virtmap-{driver.name}")
        self._indexes = indexes
        self._known: dict[Root, _Known] = {}
        self._changed: set[Root] = set()
        self._wake = asyncio.Event()
        self._publishing = asyncio.Lock()
        self._asked = time.monotonic()
        self._connected = False
        self._lost_at: float | None = time.monotonic()
        self._problem = "not connected yet"
        self._duration = 0.0
        self._refreshed_at: datetime | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: list[Callable[[Happened], None]] = []
        self._preparers: list[Callable[[Table], None]] = []
        self._refreshed: asyncio.Condition = asyncio.Condition()
        now = datetime.now(UTC)
        empty = {row: Table(row, (), (), now) for row in MODEL.rows}
        self.snapshot = Snapshot(empty, now, 0)
        self._set_host(())

    # --- what front ends use

    def touch(self) -> None:
        """Somebody asked. After a quiet time this starts the refreshing again; the answer is not held up."""
        now = time.monotonic()
        if now - self._asked > self.pace.idle_after:
            self._wake.set()
        self._asked = now

    @property
    def connected(self) -> bool:
        return self._connected

    def on_event(self, heard: Callable[[Happened], None]) -> None:
        """Call `heard`, in the loop's thread, with each event of the hypervisor."""
        self._listeners.append(heard)

    def prepare_with(self, prepare: Callable[[Table], None]) -> None:
        """Call `prepare`, in the thread that builds snapshots, with each table before it is published."""
        self._preparers.append(prepare)

    def set_rows(self, row: type[Row], rows: Sequence[Row]) -> None:
        """Publish the rows of an internal table, all at once, in the order of their keys."""
        table = _internal(row, rows)
        self.snapshot = self.snapshot.with_tables([table], self.snapshot.number + 1)

    # --- life

    def start(self) -> None:
        """Begin to connect and refresh, as a task of the running loop."""
        self._loop = asyncio.get_running_loop()
        self.driver.listen(self._hear)
        self._task = asyncio.create_task(self._run(), name=f"inventory {self.name}")

    async def stop(self) -> None:
        """End the task and drop the connection. Never waits on a hypervisor for longer than a second."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self.workers.run(self.driver.close, limit=1.0, what=f"{self.name}: close")
        except VirtmapError as error:
            log.warning("%s", error)
        self.workers.close()

    async def wait_refreshed(self, number: int = 0) -> Snapshot:
        """The first snapshot newer than `number` that was read while connected."""
        async with self._refreshed:
            await self._refreshed.wait_for(lambda: self._refreshed_at is not None and self.snapshot.number > number)
        return self.snapshot

    async def refresh(self, only: Sequence[Root] | None = None) -> None:
        """Read everything, or only these roots, and publish. A failure is noted in the snapshot, and raised."""
        began = time.monotonic()
        limit = self.pace.call_limit
        try:
            plan = await self.workers.run(
                partial(self.driver.plan, only), limit=limit, what=f"{self.name}: list the domains"
            )
            reads = await self._read(plan.pieces)
        except VirtmapError as error:
            self._problem = str(error)
            if isinstance(error, Unreachable):
                self._disconnected(str(error))
            await self._publish((), None)
            raise
        self._problem = ""
        if only is None:
            self._duration = time.monotonic() - began
            self._refreshed_at = datetime.now(UTC)
        exist = frozenset(r for p in plan.pieces for r in p.roots)
        gone = (frozenset(self._known) if only is None else frozenset(only)) - exist
        await self._publish(reads, began, gone)

    # --- reading

    async def _read(self, pieces: Sequence[Piece]) -> list[_Read]:
        gate = asyncio.Semaphore(self.pace.readers)

        async def one(piece: Piece) -> _Read:
            async with gate:
                began = time.monotonic()
                try:
                    return await self.workers.run(
                        lambda: _grouped(piece.read(), piece.roots, began),
                        limit=self.pace.call_limit,
                        what=f"{self.name}: read",
                    )
                except Unreachable:
                    raise
                except VirtmapError as error:
                    return _Read(began=began, roots=piece.roots, rows={}, failed=dict.fromkeys(piece.roots, error))

        tasks = [asyncio.ensure_future(one(piece)) for piece in pieces]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def _publish(self, reads: Sequence[_Read], began: float | None, gone: frozenset[Root] = frozenset()) -> None:
        async with self._publishing:
            host = self._host_changes()
            build = partial(self._build, reads, gone, began, host, self.snapshot)
            # Our own work, on nothing that can hang; the limit is only there so that no wait is without one.
            tables = await self.workers.run(build, limit=60.0, what=f"{self.name}: build the snapshot")
            tables.append(self._reading(tables))
            self.snapshot = self.snapshot.with_tables(tables, self.snapshot.number + 1)
        async with self._refreshed:
            self._refreshed.notify_all()

    def _host_changes(self) -> dict[str, Any]:
        return {} if self._connected else {"connected": False, "problem": self._problem}

    def _build(
        self, reads: Sequence[_Read], gone: frozenset[Root], began: float | None, host: dict[str, Any], before: Snapshot
    ) -> list[Table]:
        """Take over what was read, and lay all tables out anew. In a worker thread; alone, by the publishing lock."""
        for read in reads:
            self._take(read)
        for root in gone:
            known = self._known.get(root)
            if known is not None and began is not None and known.began <= began and root[0] is not Host:
                del self._known[root]
        if host:
            self._set_host(tuple(host.items()))
        tables = self._tables(before)
        for prepare in self._preparers:
            for table in tables:
                prepare(table)
        return tables

    def _take(self, read: _Read) -> None:
        for root, rows in read.rows.items():
            known = self._known.get(root)
            if known is None or known.began <= read.began:
                self._known[root] = _Known(began=read.began, rows=rows, ordered=known.ordered if known else {})
        for root in read.roots:
            known = self._known.get(root)
            if root in read.failed:
                if known is None:
                    known = self._known[root] = _Known(began=read.began, rows={root[0]: [_bare(root, self.name)]})
                known.failed = True
                _mark(known, root[0], problem=str(read.failed[root]))
            elif root not in read.rows and known is not None and known.began <= read.began and root[0] is not Host:
                del self._known[root]

    def _set_host(self, changes: Iterable[tuple[str, Any]]) -> None:
        root: Root = (Host, (self.name,))
        known = self._known.get(root)
        if known is None:
            first = Host(hypervisor=self.name, uri=self.driver.uri, connected=False, problem=self._problem)
            known = self._known[root] = _Known(began=0.0, rows={Host: [first.values]})
        _mark(known, Host, **dict(changes))

    # --- laying out

    def _tables(self, before: Snapshot) -> list[Table]:
        now = datetime.now(UTC)
        roots: dict[type[Row], list[Root]] = defaultdict(list)
        for root in self._known:
            roots[root[0]].append(root)
        laid: dict[type[Row], tuple[list[Arc], list[Values]]] = {row: ([], []) for row in DRIVEN}
        for top, found in roots.items():
            arcs_of_roots = sorted(self._root_arcs(top, found))
            self._allocate_children(top, arcs_of_roots)
            for arc, root in arcs_of_roots:
                for row, ordered in self._arrange(self._known[root], arc).items():
                    arcs, values = laid[row]
                    for a, v in ordered:
                        arcs.append(a)
                        values.append(v)
        return [_table(row, arcs, values, now, before) for row, (arcs, values) in laid.items()]

    def _root_arcs(self, top: type[Row], roots: Sequence[Root]) -> list[tuple[Arc, Root]]:
        if top.index is Index.SCALAR:
            return [((0,), root) for root in roots]
        numbers = self._indexes.allocate(self.name, top.table, (), [_text(root[1]) for root in roots])
        return [((n,), root) for n, root in zip(numbers, roots, strict=True)]

    def _allocate_children(self, top: type[Row], roots: Sequence[tuple[Arc, Root]]) -> None:
        """Give the children of roots that are new their arcs in one go: each commit on its own would wait for the disk."""
        for row in DRIVEN:
            if row.parent_row is not top or row.index is not Index.ALLOCATED:
                continue
            width = len(top.key_fields())
            new = [(arc, self._known[root].rows[row]) for arc, root in roots
                   if not self._known[root].ordered and row in self._known[root].rows]  # fmt: skip
            if new:
                wanted = [(arc, [_text(_key(row, v)[width:]) for v in records]) for arc, records in new]
                self._indexes.allocate_many(self.name, row.table, wanted)

    def _arrange(self, known: _Known, arc: Arc) -> dict[type[Row], Ordered]:
        """The rows of one root with their arcs, in order; the arcs are those of before while the keys are the same."""
        arcs: dict[type[Row], dict[Key, Arc]] = {}
        ordered: dict[type[Row], Ordered] = {}
        for row in DRIVEN:
            records = known.rows.get(row)
            if not records:
                continue
            old = known.ordered.get(row)
            if old and len(old) == len(records) and old[0][0][0] == arc[0] and _same_keys(row, old, records):
                ordered[row] = tuple((o[0], r) for o, r in zip(old, records, strict=True))
                if any(r.parent_row is row for r in DRIVEN):
                    arcs[row] = {_key(row, v): a for a, v in ordered[row]}
                continue
            keys = [_key(row, v) for v in records]
            made = [arc] * len(keys) if row.parent_row is None else self._child_arcs(row, keys, arcs[row.parent_row])
            arcs[row] = dict(zip(keys, made, strict=True))
            ordered[row] = tuple(sorted(zip(made, records, strict=True), key=lambda pair: pair[0]))
            known.rows[row] = [v for _, v in ordered[row]]
        known.ordered = ordered
        return ordered

    def _child_arcs(self, row: type[Row], keys: Sequence[Key], parents: Mapping[Key, Arc]) -> list[Arc]:
        width = sum(f.role is Role.PARENT for f in row.fields)
        if row.index is Index.NATURAL:
            return [(*parents[k[:width]], k[-1] + 1) for k in keys]
        siblings: dict[Arc, list[Key]] = defaultdict(list)
        for k in keys:
            siblings[parents[k[:width]]].append(k)
        made: dict[Key, Arc] = {}
        for parent, own in siblings.items():
            numbers = self._indexes.allocate(self.name, row.table, parent, [_text(k[width:]) for k in own])
            made.update((k, (*parent, n)) for k, n in zip(own, numbers, strict=True))
        return [made[k] for k in keys]

    def _reading(self, tables: Sequence[Table]) -> Table:
        failed = sum(k.failed for k in self._known.values())
        rows = [
            Reading(
                number=t.row.table, rows_of=t.row.__name__, rows=len(t), taken=self._refreshed_at,
                duration=round(self._duration * 1000), failed=failed if t.row.root() is Domain else 0,
                stale=not self._connected or bool(self._problem), problem=self._problem,
            )
            for t in tables
        ]  # fmt: skip
        return _internal(Reading, sorted(rows, key=lambda r: r.key))

    # --- hearing, connecting, pacing

    def _hear(self, heard: Heard) -> None:
        """Called by the driver, in a thread of its own."""
        if self._loop is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._heard, heard)

    def _heard(self, heard: Heard) -> None:
        match heard:
            case Changed(root=root):
                self._changed.add(root)
            case Happened():
                self._changed.add(root_of(heard.event.on, heard.key))
                for listener in self._listeners:
                    listener(heard)
            case Lost(reason=reason):
                self._disconnected(reason)
        self._wake.set()

    def _disconnected(self, reason: str) -> None:
        if self._connected:
            log.warning("%s: connection lost: %s", self.name, reason)
            self._connected = False
            self._lost_at = time.monotonic()
        self._problem = reason or "connection lost"

    async def _run(self) -> None:
        while True:
            try:
                await self._connect()
                await self._follow()
            except VirtmapError as error:
                # The connection is there but reading it failed as a whole: the next round tries again.
                log.warning("%s: %s", self.name, error)
                await asyncio.sleep(self.pace.first_retry)
            except Exception:
                log.exception("%s: a fault of the agent; the inventory goes on", self.name)
                await asyncio.sleep(self.pace.last_retry)

    async def _connect(self) -> None:
        """Until there is a connection. Waits longer after each failure, with jitter, lest agents march in step."""
        wait = self.pace.first_retry
        while not self._connected:
            try:
                await self.workers.run(self.driver.connect, limit=self.pace.call_limit, what=f"{self.name}: connect")
            except VirtmapError as error:
                if str(error) != self._problem:
                    log.warning("%s: cannot connect: %s", self.name, error)
                self._problem = str(error)
                self._forget()
                await self._publish((), None)
                await asyncio.sleep(wait * random.uniform(0.8, 1.2))
                wait = min(wait * 2, self.pace.last_retry)
            else:
                log.info("%s: connected to %s", self.name, self.driver.uri)
                self._connected, self._lost_at, self._problem = True, None, ""

    def _forget(self) -> None:
        if self._lost_at is not None and time.monotonic() - self._lost_at > self.pace.forget_after:
            self._known = {root: known for root, known in self._known.items() if root[0] is Host}

    async def _follow(self) -> None:
        """Refresh at the pace, and what changed at once, until the connection breaks."""
        due = time.monotonic()
        while self._connected:
            now = time.monotonic()
            idle = now - self._asked > self.pace.idle_after
            if now >= due and not idle:
                self._changed.clear()
                try:
                    await self.refresh()
                except Busy as error:
                    log.warning("%s: %s", self.name, error)
                due = max(now + self.pace.interval, time.monotonic() + self.pace.interval / 10)
            elif self._changed and not idle:
                await asyncio.sleep(SETTLE)
                changed, self._changed = list(self._changed), set()
                try:
                    await self.refresh(changed)
                except Busy as error:
                    log.warning("%s: %s", self.name, error)
            self._wake.clear()
            if not self._connected or (self._changed and not idle):
                continue
            await self._sleep(3600.0 if idle else max(0.0, due - time.monotonic()))
            if idle and time.monotonic() - self._asked <= self.pace.idle_after:
                due = time.monotonic()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return


def _key(row: type[Row], values: Values) -> Key:
    return tuple(values[f.position] for f in row.key_fields())


def _text(key: Key) -> str:
    return "\x1f".join(map(str, key))


def _same_keys(row: type[Row], old: Ordered, records: Sequence[Values]) -> bool:
    for f in row.key_fields():
        at = f.position
        for (_, before), now in zip(old, records, strict=True):
            if before[at] != now[at]:
                return False
    return True


def _bare(root: Root, hypervisor: str) -> Values:
    """A row of which nothing is known but its key."""
    row, key = root
    names = [f.name for f in row.key_fields()]
    more = {"host": hypervisor} if "host" in row.positions else {}
    return row(**dict(zip(names, key, strict=True)), **more).values


def _mark(known: _Known, row: type[Row], **changes: Any) -> None:
    """Change columns of the root's own row, those that it has."""
    changes = {k: v for k, v in changes.items() if k in row.positions}
    if changes:
        known.rows[row] = [row.of_values(v).replace(**changes).values for v in known.rows[row]]


def _table(row: type[Row], arcs: list[Arc], values: list[Values], now: datetime, before: Snapshot) -> Table:
    indexes = tuple(arcs)
    old = before.table(row).indexes
    return Table(row, values, old if old == indexes else indexes, now)


def _internal(row: type[Row], rows: Sequence[Row]) -> Table:
    return Table(row, [r.values for r in rows], tuple((r.key[-1],) for r in rows), datetime.now(UTC))
