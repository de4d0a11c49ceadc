"""What is known of one hypervisor: dated, immutable snapshots of all tables, that every front end shares.

A request is answered from `snapshot` and never waits. The inventory refreshes it in worker threads: everything at an
interval while anybody asks, single domains when an event or an operation says that they changed. A root (the host, a
domain) whose reading fails keeps its rows of before, with the reason in its `problem` column. When the connection breaks,
all rows stay, marked stale, until they are forgotten; connecting is tried again with back-off.

Nobody holds up an answer for long, the interpreter least of all: one thread computes at a time, and a snapshot that nobody
needs any more is taken apart bit by bit, in a worker.
"""

import asyncio
import itertools
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from agent.driver import Changed, Driver, Happened, Heard, Lost, Piece, Plan, Root
from agent.errors import Busy, Failed, Unreachable, VirtmapError
from agent.layout import DRIVEN, Indexes, Layout, Patch, Read, grouped, patched, root_of
from agent.model import MODEL, Host, Reading
from agent.scheduling import after_requests
from agent.schema.declare import Event, Row
from agent.snapshot import Records, Snapshot, Table, Values, atoms, internal_table
from agent.workers import Workers

log = logging.getLogger("virtmap.inventory")

Gone = Callable[[], frozenset[Root]]
"""Says which roots are no more; asked in the thread that builds snapshots, as it looks at all of them."""

LINGER = 0.5
"""Seconds after which a replaced snapshot is taken apart. Who still reads it loses nothing."""

SETTLE = 0.05
"""Seconds from one reading of what changed to the next at least: starting a domain raises a handful of events. The first of
them is read at once."""

FEW = 32
"""Roots that are read in one go and put in their places in the snapshot."""

FEW_PIECES = 4
"""And pieces that they may take: these are read one after the other."""

HEARD_AT_ONCE = 16
"""Events that are taken before the loop gets its turn again."""

CATCH_UPS = 4
"""Times that what was read while tables were built is looked for, before they are published."""

HEAR_AGAIN = 0.003
"""Seconds after which it looks whether more was heard, if the time before was no longer ago."""

MANY = 500
"""Roots that changed, of which more are not read beside a reading of everything."""


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


@dataclass(frozen=True, kw_only=True)
class Built:
    """The tables of the next snapshot, how many roots could not be read, and all records of the snapshot before in chunks, unless
    only few of them were replaced."""

    tables: list[Table]
    failed: Mapping[type[Row], int]
    replaced: list[list[Values]]


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
        self._undisturbed = undisturbed
        self._turn = threading.Lock()
        first = Host(hypervisor=driver.name, uri=driver.uri, connected=False, problem="not connected yet")
        self._layout = Layout(driver.name, indexes, first)
        self._changed: set[Root] = set()
        self._wake = asyncio.Event()
        self._publishing = asyncio.Lock()
        self._asked = time.monotonic()
        self._connected = False
        self._lost_at: float | None = time.monotonic()
        self._problem = "not connected yet"
        self._duration = 0.0
        self._settled = 0.0
        self._refreshed_at: datetime | None = None
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: list[Callable[[Happened], None]] = []
        self._preparers: list[Callable[[Table], None]] = []
        self._publishers: list[tuple[Callable[[], None], Callable[[Sequence[Patch]], None] | None]] = []
        self._hearing: deque[Heard] = deque()
        self._told_to_hear = False
        self._looked = 0.0
        self._beside: dict[Root, Read] = {}
        self._building = False
        self._connection_listeners: list[Callable[[bool, str], None]] = []
        self.unheard = False
        """Whether the hypervisor tells no events, so that what happened is only found by comparing readings."""
        self._read_listeners: list[Callable[[frozenset[Root] | None, float], None]] = []
        self._lingering: set[asyncio.Task[None]] = set()
        self._refreshed: asyncio.Condition = asyncio.Condition()
        empty = {row: Table(row, (), ()) for row in MODEL.rows}
        self.snapshot = Snapshot({**empty, Host: Table(Host, (atoms(Host, first.values),), ((0,),))})

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

    def on_publish(
        self, published: Callable[[], None], patched: Callable[[Sequence[Patch]], None] | None = None
    ) -> None:
        """Call `published`, in the loop's thread, right after each new snapshot; if there is a `patched`, call that in its place
        after one in which some rows of some tables were replaced, and nothing was prepared."""
        self._publishers.append((published, patched))

    def on_read(self, read: Callable[[frozenset[Root] | None, float], None]) -> None:
        """Call `read`, in the loop's thread, after each new snapshot for which something was read, with the roots that
        were asked for (None: all) and the moment, by the monotonic clock, at which that began."""
        self._read_listeners.append(read)

    def on_connection(self, changed: Callable[[bool, str], None]) -> None:
        """Call `changed`, in the loop's thread, when the connection was made, or is lost, with the reason for that."""
        self._connection_listeners.append(changed)

    def look_again(self, root: Root) -> None:
        """This root may have changed: read it soon."""
        self._changed.add(root)
        self._wake.set()

    def set_rows(self, row: type[Row], rows: Sequence[Row]) -> None:
        """Publish the rows of an internal table, all at once, in the order of their keys."""
        table = internal_table(row, rows)
        self.snapshot = self.snapshot.with_tables([table])

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
        if only is not None and len(only) <= FEW and await self._refresh_few(only):
            return
        try:
            plan = await self.workers.run(partial(self.driver.plan, only), limit=limit, what="list the domains")
            reads = await self._read(plan)
        except VirtmapError as error:
            self._problem = str(error)
            if isinstance(error, Unreachable):
                self._disconnected(str(error))
            await self._publish((), None)
            raise
        self._problem = ""
        if only is None:
            self.unheard = plan.unheard
            self._duration = time.monotonic() - began
            self._refreshed_at = datetime.now(UTC)
        await self._publish(reads, began, partial(self._gone, plan, only))
        for read_now in self._read_listeners:
            read_now(None if only is None else frozenset(only), began)

    async def _refresh_few(self, only: Sequence[Root]) -> bool:
        """Read a few roots in one go, and put them in their places in the snapshot; whether that was all there was to do. Not
        where the last reading failed, or where rows came or went: that is for a reading that lays everything out."""
        if self._problem or not self._connected:
            return False
        began = time.monotonic()
        try:
            before = self.snapshot
            reads, found = await self.workers.run(
                partial(self._read_few, only, began, before), limit=self.pace.call_limit, what=f"{self.name}: read"
            )
        except Exception:  # noqa: BLE001 - whatever it is, the whole way meets it again, and tells of it
            return False
        if not reads:
            return False
        told = frozenset(only)
        if self.snapshot is not before:
            reads = [read for each in reads if (read := self._newer(each)) is not None]
            found = patched(self.snapshot, reads)
            if self._building:  # what is newer than what was read here may not be published yet
                told &= frozenset().union(*(read.roots for read in reads))
                self._changed.update(set(only) - told)
        if found is None or self._problem or not self._connected:
            return False
        for read in reads:
            for root, rows in read.rows.items():
                self._beside[root] = Read(began=began, roots=frozenset((root,)), rows={root: rows}, failed={})
        self._patch(found)
        async with self._refreshed:
            self._refreshed.notify_all()
        for read_now in self._read_listeners:
            read_now(told, began)
        return True

    def _newer(self, read: Read) -> Read | None:
        """What was read, without the roots of which the snapshot has something newer by now; None if nothing is left."""
        rows = {root: rows for root, rows in read.rows.items() if self._newest(root) <= read.began}
        return Read(began=read.began, roots=frozenset(rows), rows=rows, failed={}) if rows else None

    def _newest(self, root: Root) -> float:
        """When the reading of a root began that is in the snapshot."""
        beside = self._beside.get(root)
        return self._layout.began(root) if beside is None else max(beside.began, self._layout.began(root))

    def _read_few(self, only: Sequence[Root], began: float, before: Snapshot) -> tuple[list[Read], list[Patch] | None]:
        """In a worker thread: all pieces, one after the other, and what they change in a snapshot; nothing if there is more to it,
        as when a root is gone."""
        plan = self.driver.plan(only)
        if len(plan.pieces) > FEW_PIECES:
            return [], None
        reads = []
        for piece in plan.pieces:
            batch = piece.read()
            if batch.failed:
                return [], None
            reads.append(grouped(batch, piece.roots, began))
        whole = frozenset(only) <= frozenset().union(*(read.roots for read in reads))
        return (reads, patched(before, reads)) if whole else ([], None)

    def _patch(self, found: Sequence[Patch]) -> None:
        """Publish a snapshot with some rows replaced."""
        self.snapshot = self.snapshot.with_tables([patch.table for patch in found])
        if not self._building:
            self._layout.shown(self.snapshot)
        for published, quick in self._publishers:
            if quick is not None:
                quick(found)
            else:
                published()

    def _gone(self, plan: Plan, only: Sequence[Root] | None) -> frozenset[Root]:
        """The roots that a plan does not name although it should, did they exist."""
        exist = plan.kept.union(*(p.roots for p in plan.pieces))
        return (self._layout.roots if only is None else frozenset(only)) - exist

    # --- reading

    def _read_piece(self, piece: Piece, began: float) -> Read:
        """In a worker thread. Many may wait for a hypervisor, but only one at a time computes: each one more that wants
        the interpreter puts off an answer by another time slice."""
        batch = piece.read()
        with self._turn:
            return grouped(batch, piece.roots, began)

    async def _read(self, plan: Plan) -> list[Read]:
        gate = asyncio.Semaphore(min(self.pace.readers, plan.at_once or self.pace.readers))

        async def one(piece: Piece) -> Read:
            async with gate:
                began = time.monotonic()
                try:
                    return await self.workers.run(
                        partial(self._read_piece, piece, began), limit=self.pace.call_limit, what=f"{self.name}: read"
                    )
                except Unreachable:
                    raise
                except VirtmapError as error:
                    return Read(began=began, roots=piece.roots, rows={}, failed=dict.fromkeys(piece.roots, error))
                except Exception:
                    log.exception("%s: a fault of the driver", self.name)
                    fault = Failed(f"{self.name}: a fault of the agent; its log tells more")
                    return Read(began=began, roots=piece.roots, rows={}, failed=dict.fromkeys(piece.roots, fault))

        tasks = [asyncio.ensure_future(one(piece)) for piece in plan.pieces]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            while tasks:  # which leaves no variable that an error would come back to
                tasks.pop().cancel()

    async def _publish(self, reads: Sequence[Read], began: float | None, gone: Gone = frozenset) -> None:
        """Take over what was read, and show it. Goes on when its caller is cancelled: two builds at once would collide."""
        task = asyncio.create_task(self._published(reads, began, gone))
        self._lingering.add(task)
        task.add_done_callback(self._let_linger)
        await asyncio.shield(task)

    def _let_linger(self, task: asyncio.Task[None]) -> None:
        self._lingering.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waited for it

    async def _published(self, reads: Sequence[Read], began: float | None, gone: Gone) -> None:
        async with self._publishing:
            host = self._host_changes()
            beside, self._beside = self._beside, {}
            build = partial(self._build, (*beside.values(), *reads), gone, began, host, self.snapshot)
            self._building = True
            try:
                # Our own work, on nothing that can hang; the limit is only there so that no wait is without one.
                built = await self._builder.run(build, limit=60.0, what=f"{self.name}: build the snapshot")
                found, put = await self._catch_up(built)
            except BaseException:
                self._beside = {**beside, **self._beside}
                raise
            finally:
                self._building = False
            self._discard(built.replaced)
            self.snapshot = self.snapshot.with_tables([*built.tables, self._reading(built)])
            self._layout.shown(self.snapshot)
            for published, _ in self._publishers:
                published()
            for patches in found:
                self._patch(patches)
            self._patch_again(put)
        async with self._refreshed:
            self._refreshed.notify_all()

    async def _catch_up(self, built: Built) -> tuple[list[Sequence[Patch]], Mapping[Root, Read]]:
        """What was read while these tables were built, to be put into them when they are published: found out in the thread that
        builds, for it may be much. Gives the patches, one after the other, and what is in them."""
        found: list[Sequence[Patch]] = []
        put: dict[Root, Read] = {}
        laid = self.snapshot.with_tables(built.tables)
        while len(found) < CATCH_UPS and (newer := self._read_beside(put)):
            patches = await self._builder.run(
                partial(self._patches, laid, list(newer.values())), limit=60.0, what=f"{self.name}: build the snapshot"
            )
            if patches is None:  # rows came or went: told when it is published
                break
            found.append(patches)
            put.update(newer)
            laid = laid.with_tables([patch.table for patch in patches])
        return found, put

    def _patches(self, before: Snapshot, reads: Sequence[Read]) -> list[Patch] | None:
        """In a worker thread, and not while another one computes."""
        with self._turn:
            return patched(before, reads)

    def _read_beside(self, put: Mapping[Root, Read]) -> dict[Root, Read]:
        """What was read beside the newest tables, and is newer than what they were made of; without what was `put` into them."""
        return {
            root: read
            for root, read in self._beside.items()
            if put.get(root) is not read and read.began > self._layout.began(root)
        }

    def _patch_again(self, put: Mapping[Root, Read]) -> None:
        """Put into the new snapshot what was read while it was built, and was not `put` there yet."""
        newer = list(self._read_beside(put).values())
        if not newer:
            return
        found = patched(self.snapshot, newer)
        if found is None:  # rows came or went
            self._changed.update(root for read in newer for root in read.roots)
            self._wake.set()
        else:
            self._patch(found)

    def _discard(self, held: list[list[Values]]) -> None:
        """Hold the records of a snapshot for a moment, so that they are freed by degrees and not where it is let go."""
        if not held:
            return
        task = asyncio.create_task(self._let_go(held))
        self._lingering.add(task)
        task.add_done_callback(self._let_linger)

    async def _let_go(self, held: list[list[Values]]) -> None:
        await asyncio.sleep(LINGER)
        await self._builder.run(partial(_crumble, held), limit=60.0, what=f"{self.name}: let a snapshot go")

    def _host_changes(self) -> dict[str, Any]:
        problem = {"problem": self._problem} if self._problem else {}
        return {"connected": self._connected, **problem}

    def _build(
        self, reads: Sequence[Read], gone: Gone, began: float | None, host: dict[str, Any], before: Snapshot
    ) -> Built:
        """Take over what was read, and lay the tables out. In a worker thread; alone, by the publishing lock. All that takes
        long with many rows is done here, and not where requests are answered; and not while a piece is taken apart, for
        each thread more that computes puts off an answer by another time slice."""
        with self._turn:
            for read in reads:
                self._layout.take(read)
            if began is not None:
                self._layout.drop(gone(), began)
            self._layout.mark_host(**host)
            tables = self._layout.tables(before)
            made = [table for table in tables if table is not before.table(table.row)]
            for prepare in self._preparers:
                for table in made:
                    prepare(table)
            old = () if self._layout.patched else map(before.table, DRIVEN)
            replaced = [chunk for table in old for chunk in _chunks(table)]
            return Built(tables=tables, failed=self._layout.failed, replaced=replaced)

    def _reading(self, built: Built) -> Table:
        problem = self._problem or next(iter(self._layout.left_out), "")
        rows = [
            Reading(
                number=t.row.table, rows_of=t.row.__name__, rows=len(t), taken=self._refreshed_at,
                duration=round(self._duration * 1000), failed=built.failed.get(t.row.root(), 0),
                stale=not self._connected or bool(self._problem), problem=problem,
            )
            for t in built.tables
        ]  # fmt: skip
        return internal_table(Reading, sorted(rows, key=lambda r: r.key))

    # --- hearing, connecting, pacing

    def _hear(self, heard: Heard) -> None:
        """Called by the driver, in a thread of its own."""
        if self._loop is None or self._loop.is_closed():
            return
        self._hearing.append(heard)
        if not self._told_to_hear:
            self._told_to_hear = True
            self._loop.call_soon_threadsafe(self._heard_some)

    def _heard_some(self) -> None:
        """Some of what was heard, in order; the rest when others have had their turn. Where much comes, the loop is not woken for
        each: it looks again by itself, until nothing came."""
        count, now = min(HEARD_AT_ONCE, len(self._hearing)), time.monotonic()
        much, self._looked = now - self._looked < HEAR_AGAIN, now
        for _ in range(count):
            try:
                self._heard(self._hearing.popleft())
            except Exception:
                log.exception("%s: a fault of the driver, or of the agent", self.name)
        again = count > 0 and much
        if not again:
            self._told_to_hear = False  # and then a look, lest one that came meanwhile is forgotten
        if self._hearing:
            self._told_to_hear = True
            after_requests(self._heard_some)
        elif again:
            asyncio.get_running_loop().call_later(HEAR_AGAIN, self._heard_some)

    def _heard(self, heard: Heard) -> None:
        match heard:
            case Changed(root=root):
                self._changed.add(root)
            case Happened():
                if heard.event.changes:
                    self._changed.add(root_of(heard.event.on, heard.key))
                told = replace(heard, event=self._with_previous(heard))
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
            for changed in self._connection_listeners:
                changed(False, reason or "connection lost")
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
                await self.workers.run(self.driver.connect, limit=self.pace.call_limit, what="connect")
            except VirtmapError as error:
                if str(error) != self._problem:
                    log.warning("%s: %s", self.name, error)
                self._problem = str(error)
                await self._publish((), time.monotonic(), self._forgotten)
                await asyncio.sleep(wait * random.uniform(0.8, 1.2))
                wait = min(wait * 2, self.pace.last_retry)
            else:
                log.info("%s: connected to %s", self.name, self.driver.uri)
                self._connected, self._lost_at, self._problem = True, None, ""
                for changed in self._connection_listeners:
                    changed(True, "")

    def _forgotten(self) -> frozenset[Root]:
        """What is not shown any longer: everything, once the connection has been lost for long."""
        if self._lost_at is None or time.monotonic() - self._lost_at <= self.pace.forget_after:
            return frozenset()
        return self._layout.roots

    async def _follow(self) -> None:
        """Refresh at the pace, and what changed at once, until the connection breaks."""
        due = time.monotonic()
        while self._connected:
            now = time.monotonic()
            idle = now - self._asked > self.pace.idle_after
            if now >= due and not idle:
                await self._read_everything()
                due = max(now + self.pace.interval, time.monotonic() + self.pace.interval / 10)
            elif self._changed and not idle:
                await self._read_what_changed()
            self._wake.clear()
            if idle:
                self._changed.clear()  # everything is read again when somebody asks
            if not self._connected or (self._changed and not idle):
                continue
            await self._sleep(3600.0 if idle else max(0.0, due - time.monotonic()))
            if idle and time.monotonic() - self._asked <= self.pace.idle_after:
                due = time.monotonic()

    async def _read_everything(self) -> None:
        """All at once; what changes meanwhile is read beside it, so that nobody waits long to be told of it."""
        if len(self._changed) > MANY:
            self._changed.clear()
        reading = asyncio.create_task(self._unless_busy(None))
        reading.add_done_callback(lambda _: self._wake.set())
        try:
            while self._connected and not reading.done():
                if self._changed:
                    await self._read_what_changed()
                else:
                    self._wake.clear()
                    await self._wake.wait()
            if reading.done():
                await reading
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            del reading  # an error that it ended with refers to this frame

    async def _read_what_changed(self) -> None:
        if len(self._changed) < FEW and (wait := self._settled - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        changed = list(itertools.islice(self._changed, FEW))
        self._changed.difference_update(changed)
        self._settled = time.monotonic() + SETTLE
        await self._unless_busy(changed)

    async def _unless_busy(self, only: Sequence[Root] | None) -> None:
        """Refresh; that the hypervisor did not answer is told in the snapshot and the log, and is no reason to give up."""
        try:
            await self.refresh(only)
        except Busy as error:
            log.warning("%s: %s", self.name, error)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return


def _chunks(table: Table) -> list[list[Values]]:
    return table.records.chunks() if isinstance(table.records, Records) else []


def _crumble(held: list[list[Values]]) -> None:
    while held:
        held.pop()
