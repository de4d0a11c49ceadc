"""What is known of one hypervisor: dated, immutable snapshots of all tables, that every front end shares.

A request is answered from `snapshot` and never waits. The inventory refreshes it in worker threads: everything at an
interval while anybody asks, single domains when an event or an operation says that they changed. A root (the host, a
domain) whose reading fails keeps its rows of before, with the reason in its `problem` column. When the connection breaks,
all rows stay, marked stale, until they are forgotten; connecting is tried again with back-off.

Nobody holds up an answer for long, the interpreter least of all. Values live in plain tuples of atoms (enumerations as
their numbers), which the garbage collector leaves alone: at 10,000 domains one of its passes over row objects would take
a third of a second. For the same reason a snapshot that nobody needs any more is taken apart bit by bit, in a worker.
"""

import asyncio
import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import itemgetter
from typing import Any, Protocol, TypeVar

from agent.driver import Batch, Changed, Driver, Happened, Heard, Lost, Piece, Root
from agent.errors import Busy, Failed, Unreachable, VirtmapError
from agent.model import MODEL, Domain, Host, Reading
from agent.schema.declare import Event, Index, Key, Role, Row
from agent.workers import Workers

R = TypeVar("R", bound=Row)
Values = tuple[Any, ...]
Arc = tuple[int, ...]
Layers = tuple[tuple[Values, ...], ...]
"""The rows of one root, by their place in DRIVEN."""

log = logging.getLogger("virtmap.inventory")

DRIVEN: tuple[type[Row], ...] = tuple(r for r in MODEL.rows if not r.internal)
"""Rows that drivers fill; a parent always stands before its children."""

_PLACE = {row: i for i, row in enumerate(DRIVEN)}

LINGER = 0.5
"""Seconds after which a replaced snapshot is taken apart. Who still reads it loses nothing."""

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


def _key_getter(row: type[Row]) -> Callable[[Values], Key]:
    places = [f.position for f in row.key_fields()]
    if len(places) == 1:
        only = places[0]
        return lambda values: (values[only],)
    return itemgetter(*places)


_KEY = {row: _key_getter(row) for row in DRIVEN}
"""How to get the key of a row from its values."""

_TOP = {row: (row.root(), len(row.root().key_fields())) for row in DRIVEN}
"""The root of a row, and how many of the row's key values name it."""

_WIDTH = {row: sum(f.role is Role.PARENT for f in row.fields) for row in DRIVEN}
"""How many of the row's key values are those of the row above it."""

_ENUMERATED = {row: tuple(f.position for f in row.fields if f.enumeration is not None) for row in MODEL.rows}


class Table:
    """The rows of one table at one moment, in the order of their SNMP indexes.

    `records[i]` are the values of row i in the order of `row.fields`; `indexes[i]` its index arcs. `indexes` is the very
    object of the snapshot before, as long as no row came or went.
    """

    __slots__ = ("_by_key", "indexes", "records", "row", "taken")

    def __init__(
        self,
        row: type[Row],
        records: Sequence[Values],
        indexes: tuple[Arc, ...],
        taken: datetime,
        before: "Table | None" = None,
    ) -> None:
        self.row = row
        self.records = records
        self.indexes = indexes
        self.taken = taken
        self._by_key: dict[Key, int]
        if before is not None and before.indexes is indexes:
            self._by_key = before._by_key  # an arc belongs to its key for good: same arcs, same keys
        else:
            self._by_key = dict(zip(map(_key_getter(row), records), range(len(records)), strict=True))

    def __len__(self) -> int:
        return len(self.records)

    def at(self, position: int) -> Row:
        """Row number `position`."""
        return self.row.of_values(self.records[position])

    def find(self, key: Key) -> int | None:
        """The position of the row with this key (the parent's part first), or None."""
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
    """What was last read of one root. `began` is when that reading began, to tell which of two readings is newer.

    `keys` are the keys of the rows in the order they were read in, `order` how to put each layer into the order of its
    arcs (None: it is), `arcs` the index arcs in that order. They are made when the keys change.
    """

    began: float
    rows: Layers
    failed: bool = False
    keys: tuple[tuple[Key, ...], ...] = ()
    order: tuple[tuple[int, ...] | None, ...] = ()
    arcs: tuple[tuple[Arc, ...], ...] = ()


@dataclass(slots=True)
class _Read:
    """The outcome of one piece: rows by root, failures by root, and the roots that it was to read."""

    began: float
    roots: frozenset[Root]
    rows: dict[Root, Layers]
    failed: Mapping[Root, VirtmapError]


def root_of(row: type[Row], key: Key) -> Root:
    """The root that a row belongs to."""
    top = row.root()
    return top, key[: len(top.key_fields())]


def _grouped(batch: Batch, roots: frozenset[Root], began: float) -> _Read:
    rows: dict[Root, tuple[list[Values], ...]] = {}
    for row in batch.rows:
        kind = type(row)
        top, width = _TOP[kind]
        values = _atoms(kind, row.values)
        root = (top, _KEY[kind](values)[:width])
        layers = rows.get(root)
        if layers is None:
            layers = rows[root] = tuple([] for _ in DRIVEN)
        layers[_PLACE[kind]].append(values)
    made = {root: tuple(map(tuple, layers)) for root, layers in rows.items()}
    return _Read(began=began, roots=roots, rows=made, failed=batch.failed)


def _atoms(row: type[Row], values: Values) -> Values:
    """The values with numbers in place of members of enumerations, which the garbage collector would have to visit."""
    atoms = list(values)
    for place in _ENUMERATED[row]:
        if atoms[place] is not None:
            atoms[place] = int(atoms[place])
    return tuple(atoms)


class Inventory:
    """The snapshots of one hypervisor connection. Made, started and asked in the event loop's thread."""

    def __init__(
        self,
        driver: Driver,
        indexes: Indexes,
        *,
        pace: Pace | None = None,
        workers: Workers | None = None,
        undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.driver = driver
        self.name = driver.name
        self.pace = pace or Pace()
        self.workers = workers or Workers(self.pace.readers + 4, f"virtmap-{driver.name}")
        self._builder = Workers(2, f"virtmap-{driver.name}-build")  # of its own: calls that hang must not stop it
        self._indexes = indexes
        self._undisturbed = undisturbed
        self._turn = threading.Lock()
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
        self._publishers: list[Callable[[], None]] = []
        self._lingering: set[asyncio.Task[None]] = set()
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

    def on_publish(self, published: Callable[[], None]) -> None:
        """Call `published`, in the loop's thread, right after each new snapshot."""
        self._publishers.append(published)

    def look_again(self, root: Root) -> None:
        """This root may have changed: read it soon."""
        self._changed.add(root)
        self._wake.set()

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
        for task in self._lingering:
            task.cancel()
        await asyncio.gather(*self._lingering, return_exceptions=True)
        self.workers.close()
        self._builder.close()

    async def wait_refreshed(self, number: int = 0) -> Snapshot:
        """The first snapshot newer than `number` that was read while connected."""
        async with self._refreshed:
            await self._refreshed.wait_for(lambda: self._refreshed_at is not None and self.snapshot.number > number)
        return self.snapshot

    async def refresh(self, only: Sequence[Root] | None = None) -> None:
        """Read everything, or only these roots, and publish. A failure is noted in the snapshot, and raised."""
        with self._undisturbed():
            await self._refresh(only)

    async def _refresh(self, only: Sequence[Root] | None) -> None:
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

    def _read_piece(self, piece: Piece, began: float) -> _Read:
        """In a worker thread. Many may wait for a hypervisor, but only one at a time computes: each one more that wants
        the interpreter puts off an answer by another time slice."""
        batch = piece.read()
        with self._turn:
            return _grouped(batch, piece.roots, began)

    async def _read(self, pieces: Sequence[Piece]) -> list[_Read]:
        gate = asyncio.Semaphore(self.pace.readers)

        async def one(piece: Piece) -> _Read:
            async with gate:
                began = time.monotonic()
                try:
                    return await self.workers.run(
                        partial(self._read_piece, piece, began), limit=self.pace.call_limit, what=f"{self.name}: read"
                    )
                except Unreachable:
                    raise
                except VirtmapError as error:
                    return _Read(began=began, roots=piece.roots, rows={}, failed=dict.fromkeys(piece.roots, error))
                except Exception:
                    log.exception("%s: a fault of the driver", self.name)
                    fault = Failed(f"{self.name}: a fault of the agent; its log tells more")
                    return _Read(began=began, roots=piece.roots, rows={}, failed=dict.fromkeys(piece.roots, fault))

        tasks = [asyncio.ensure_future(one(piece)) for piece in pieces]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def _publish(self, reads: Sequence[_Read], began: float | None, gone: frozenset[Root] = frozenset()) -> None:
        """Take over what was read, and show it. Goes on when its caller is cancelled: two builds at once would collide."""
        task = asyncio.create_task(self._published(reads, began, gone))
        self._lingering.add(task)
        task.add_done_callback(self._let_linger)
        await asyncio.shield(task)

    def _let_linger(self, task: asyncio.Task[None]) -> None:
        self._lingering.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waited for it

    async def _published(self, reads: Sequence[_Read], began: float | None, gone: frozenset[Root]) -> None:
        async with self._publishing:
            host = self._host_changes()
            build = partial(self._build, reads, gone, began, host, self.snapshot)
            # Our own work, on nothing that can hang; the limit is only there so that no wait is without one.
            tables = await self._builder.run(build, limit=60.0, what=f"{self.name}: build the snapshot")
            tables.append(self._reading(tables))
            self._discard(self.snapshot)
            self.snapshot = self.snapshot.with_tables(tables, self.snapshot.number + 1)
            for published in self._publishers:
                published()
        async with self._refreshed:
            self._refreshed.notify_all()

    def _discard(self, snapshot: Snapshot) -> None:
        """Hold the records of a snapshot for a moment, so that they are freed by degrees and not where it is let go."""
        task = asyncio.create_task(self._let_go([list(snapshot.table(row).records) for row in DRIVEN]))
        self._lingering.add(task)
        task.add_done_callback(self._let_linger)

    async def _let_go(self, held: list[list[Values]]) -> None:
        await asyncio.sleep(LINGER)
        await self._builder.run(partial(_crumble, held), limit=60.0, what=f"{self.name}: let a snapshot go")

    def _host_changes(self) -> dict[str, Any]:
        problem = {"problem": self._problem} if self._problem else {}
        return {"connected": self._connected, **problem}

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
            if known is None:
                self._known[root] = _Known(began=read.began, rows=rows)
            elif known.began <= read.began:
                known.began, known.rows, known.failed = read.began, rows, False
        for root in read.roots:
            known = self._known.get(root)
            if root in read.failed:
                if known is None:
                    known = self._known[root] = _Known(began=read.began, rows=_only(root[0], _bare(root, self.name)))
                elif known.began > read.began:
                    continue  # it was read since
                known.began, known.failed = read.began, True
                _mark(known, root[0], problem=str(read.failed[root]))
            elif root not in read.rows and known is not None and known.began <= read.began and root[0] is not Host:
                del self._known[root]

    def _set_host(self, changes: Iterable[tuple[str, Any]]) -> None:
        root: Root = (Host, (self.name,))
        known = self._known.get(root)
        if known is None:
            first = Host(hypervisor=self.name, uri=self.driver.uri, connected=False, problem=self._problem)
            known = self._known[root] = _Known(began=0.0, rows=_only(Host, first.values))
        _mark(known, Host, **dict(changes))

    # --- laying out

    def _tables(self, before: Snapshot) -> list[Table]:
        now = datetime.now(UTC)
        roots: dict[type[Row], list[Root]] = defaultdict(list)
        for root in self._known:
            roots[root[0]].append(root)
        laid: list[tuple[list[Arc], list[Values]]] = [([], []) for _ in DRIVEN]
        for top, found in roots.items():
            arcs_of_roots = sorted(self._root_arcs(top, found))
            self._allocate_children(top, arcs_of_roots)
            for arc, root in arcs_of_roots:
                try:
                    arranged = self._arrange(self._known[root], arc)
                except VirtmapError as error:
                    log.error("%s: %s is left out: %s", self.name, root[1], error)
                    continue
                for (arcs, records), its_arcs, its_rows in zip(laid, *arranged, strict=True):
                    if its_arcs:
                        arcs.extend(its_arcs)
                        records.extend(its_rows)
        return [_table(row, arcs, records, now, before) for row, (arcs, records) in zip(DRIVEN, laid, strict=True)]

    def _root_arcs(self, top: type[Row], roots: Sequence[Root]) -> list[tuple[Arc, Root]]:
        if top.index is Index.SCALAR:
            return [((0,), root) for root in roots]
        try:
            numbers = self._indexes.allocate(self.name, top.table, (), [_text(root[1]) for root in roots])
        except VirtmapError as error:  # a full disk, say: what is new has to wait, what has its arc goes on
            log.error("%s: new rows are left out: %s", self.name, error)
            roots = [root for root in roots if any(self._known[root].arcs)]
            numbers = [self._known[root].arcs[_PLACE[top]][0][0] for root in roots]
        return [((n,), root) for n, root in zip(numbers, roots, strict=True)]

    def _allocate_children(self, top: type[Row], roots: Sequence[tuple[Arc, Root]]) -> None:
        """Give the children of new roots their arcs in one go: each commit on its own would wait for the disk."""
        new = {root[1]: (arc, self._known[root].rows) for arc, root in roots if not self._known[root].arcs}
        given: dict[type[Row], dict[Key, Arc]] = {top: {key: arc for key, (arc, _) in new.items()}}
        with suppress(VirtmapError):  # each will be asked for again, and told of, on its own
            for row in DRIVEN:
                if new and row.parent_row in given:
                    above, width = given[row.parent_row], _WIDTH[row]
                    found = (key for _, rows in new.values() for key in map(_KEY[row], rows[_PLACE[row]]))
                    keys = [key for key in found if key[:width] in above]
                    given[row] = dict(zip(keys, self._child_arcs(row, keys, above), strict=True))

    def _arrange(self, known: _Known, arc: Arc) -> tuple[tuple[tuple[Arc, ...], ...], Layers]:
        """The arcs and the rows of one root, each layer in the order of its arcs."""
        keys = tuple(
            [
                tuple(map(key, records)) if records else ()
                for key, records in zip(_KEY.values(), known.rows, strict=True)
            ]
        )
        if keys != known.keys or not known.arcs:
            known.rows, keys = _sound(known.rows, keys)
            known.keys = keys
            known.arcs, known.order = self._arcs(keys, arc)
        if any(known.order):
            return known.arcs, tuple(
                tuple(map(records.__getitem__, order)) if order else records
                for records, order in zip(known.rows, known.order, strict=True)
            )
        return known.arcs, known.rows

    def _arcs(
        self, keys: Sequence[Sequence[Key]], arc: Arc
    ) -> tuple[tuple[tuple[Arc, ...], ...], tuple[tuple[int, ...] | None, ...]]:
        """Arcs for the rows with these keys, layer by layer, in their order, and how to get to that order."""
        given: dict[type[Row], dict[Key, Arc]] = {}
        arcs: list[tuple[Arc, ...]] = []
        orders: list[tuple[int, ...] | None] = []
        for row, own in zip(DRIVEN, keys, strict=True):
            made = [arc] * len(own) if row.parent_row is None else self._child_arcs(row, own, given[row.parent_row])
            given[row] = dict(zip(own, made, strict=True))
            order = tuple(sorted(range(len(made)), key=made.__getitem__))
            arcs.append(tuple(made[i] for i in order))
            orders.append(None if order == tuple(range(len(made))) else order)
        return tuple(arcs), tuple(orders)

    def _child_arcs(self, row: type[Row], keys: Sequence[Key], parents: Mapping[Key, Arc]) -> list[Arc]:
        width = _WIDTH[row]
        if row.index is Index.NATURAL:
            return [(*parents[k[:width]], k[-1] + 1) for k in keys]
        siblings: dict[Arc, list[Key]] = defaultdict(list)
        for k in keys:
            siblings[parents[k[:width]]].append(k)
        wanted = [(parent, [_text(k[width:]) for k in own]) for parent, own in siblings.items()]
        made: dict[Key, Arc] = {}
        given = self._indexes.allocate_many(self.name, row.table, wanted) if wanted else []
        for (parent, own), numbers in zip(siblings.items(), given, strict=True):
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
                told = Happened(event=self._with_previous(heard), key=heard.key)
                for listener in self._listeners:
                    listener(told)
            case Lost(reason=reason):
                self._disconnected(reason)
        self._wake.set()

    def _with_previous(self, heard: Happened) -> Event:
        """The event with the values that columns of its row had before, which drivers need not know."""
        event = heard.event
        row = self.snapshot.table(event.on).get(heard.key)
        if row is None:
            return event
        missing = [f for f in event.fields if f.of is not None and getattr(event, f.name) is None]
        return event.replace(**{f.name: getattr(row, f.of or "") for f in missing})

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
                await self._publish((), time.monotonic(), self._forgotten())
                await asyncio.sleep(wait * random.uniform(0.8, 1.2))
                wait = min(wait * 2, self.pace.last_retry)
            else:
                log.info("%s: connected to %s", self.name, self.driver.uri)
                self._connected, self._lost_at, self._problem = True, None, ""

    def _forgotten(self) -> frozenset[Root]:
        """What is not shown any longer: everything, once the connection has been lost for long."""
        if self._lost_at is None or time.monotonic() - self._lost_at <= self.pace.forget_after:
            return frozenset()
        return frozenset(self._known)

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
            if idle:
                self._changed.clear()  # everything is read again when somebody asks
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


def _sound(layers: Layers, keys: tuple[tuple[Key, ...], ...]) -> tuple[Layers, tuple[tuple[Key, ...], ...]]:
    """The rows without those that have the key of another one, or no parent: an OID is for one row only."""
    kept_rows: list[tuple[Values, ...]] = []
    kept_keys: list[tuple[Key, ...]] = []
    for row, records, own in zip(DRIVEN, layers, keys, strict=True):
        above = None if row.parent_row is None else frozenset(kept_keys[_PLACE[row.parent_row]])
        width = _WIDTH[row]
        kept = {k: v for k, v in zip(own, records, strict=True) if above is None or k[:width] in above}
        if len(kept) != len(own):
            log.warning("%s: %d rows stand twice or alone, such as %s", row.__name__, len(own) - len(kept), own[-1])
        kept_rows.append(tuple(kept.values()))
        kept_keys.append(tuple(kept))
    return tuple(kept_rows), tuple(kept_keys)


def _crumble(held: list[list[Values]]) -> None:
    for records in held:
        while records:
            del records[-64:]


def _only(row: type[Row], values: Values) -> Layers:
    """The layers of a root of which only its own row is known."""
    return tuple((_atoms(row, values),) if r is row else () for r in DRIVEN)


def _text(key: Key) -> str:
    return "\x1f".join(map(str, key))


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
        marked = tuple(_atoms(row, row.of_values(v).replace(**changes).values) for v in known.rows[_PLACE[row]])
        known.rows = tuple(marked if r is row else layer for r, layer in zip(DRIVEN, known.rows, strict=True))


def _table(row: type[Row], arcs: list[Arc], values: list[Values], now: datetime, before: Snapshot) -> Table:
    indexes = tuple(arcs)
    old = before.table(row).indexes
    return Table(row, values, old if old == indexes else indexes, now, before.table(row))


def _internal(row: type[Row], rows: Sequence[Row]) -> Table:
    records = [_atoms(row, r.values) for r in rows]
    return Table(row, records, tuple((r.key[-1],) for r in rows), datetime.now(UTC))
