"""What alarms measure: from a snapshot to one value for each object, by kind of alarm.

A value is a whole number, rounded down, as the kind counts it; None where the hypervisor cannot tell. What is made of counters
needs two readings: the first one, one after a discontinuity, or one in which a counter went back, gives no value and begins
anew. Readings that are less than a second apart count as one, since their share would be chance.

With 10,000 domains each step counts. So columns are taken from records as whole lists, and what cannot be as high as anybody
asks for is left out by a comparison that is cheap; only the rest is computed. None of it is thread safe.
"""

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from agent.driver import Root
from agent.model import Disk, Domain, Host, Vcpu
from agent.model.alarm import AlarmKind
from agent.model.disk import DiskDevice, DiskError
from agent.model.domain import AT_REST
from agent.model.log import Log
from agent.model.pool import Pool
from agent.schema.declare import Row
from agent.snapshot import Arc, Snapshot, Table, Values

Value = int | None
Column = list[Any]

SHORTEST = timedelta(seconds=1)
"""From one reading to another, at least, for a share of the time between them."""

_NO_TIME = timedelta(0)

MINUTE = 60.0
BUCKET = 5.0
"""Seconds whose matches are counted together, so that a minute of a log takes few numbers however many readings it has."""

STOPPED = frozenset(int(state) for state in AT_REST)
_MEDIA = frozenset({int(DiskDevice.CDROM), int(DiskDevice.FLOPPY), int(DiskDevice.LUN)})
_DEVICE, _READ_ONLY, _TYPE, _FORMAT = (Disk.positions[name] for name in ("device", "read_only", "type", "format"))
_NO_ERROR = int(DiskError.NONE)
_WELL = frozenset({None, _NO_ERROR})


def fills(disk: Values) -> bool:
    """Whether a disk can fill: no medium can, nor what cannot be written, nor a whole device, which is always full."""
    whole = disk[_TYPE] == "block" and disk[_FORMAT] == "raw"
    return not (disk[_DEVICE] in _MEDIA or disk[_READ_ONLY] or whole)


class Reading:
    """A snapshot, and what was read for it: all that belongs to these roots, or, for None, all there is."""

    def __init__(self, snapshot: Snapshot, roots: frozenset[Root] | None) -> None:
        self.snapshot, self.roots = snapshot, roots
        self._places: dict[type[Row], Sequence[int]] = {}
        self._columns: dict[tuple[type[Row], str], Column] = {}

    def table(self, row: type[Row]) -> Table:
        return self.snapshot.table(row)

    def places(self, row: type[Row]) -> Sequence[int]:
        """Where rows of a kind that were read are in their table, in its order."""
        found = self._places.get(row)
        if found is None:
            found = self._places[row] = range(len(self.table(row))) if self.roots is None else self._of_roots(row)
        return found

    def _of_roots(self, row: type[Row]) -> Sequence[int]:
        top = row.root()
        found: list[int] = []
        for kind, key in self.roots or ():
            if kind is top and (at := self.table(top).find(key)) is not None:
                found += (at,) if row is top else beneath(self.table(row), self.table(top).indexes[at])
        return sorted(found)

    def records(self, row: type[Row]) -> Sequence[Values]:
        records = self.table(row).records
        return records if self.roots is None else [records[i] for i in self.places(row)]

    def columns(self, row: type[Row], *names: str) -> list[Column]:
        """The values of some columns of what was read. They belong to all who ask: nobody changes them."""
        for name in names:
            if (row, name) not in self._columns:
                self._columns[row, name] = list(map(itemgetter(row.positions[name]), self.records(row)))
        return [self._columns[row, name] for name in names]


def beneath(table: Table, arc: Arc) -> range:
    """The places of the rows whose index begins with this arc."""
    start = bisect_left(table.indexes, arc)
    return range(start, bisect_left(table.indexes, (*arc[:-1], arc[-1] + 1), start))


class Found(NamedTuple):
    """What was measured: which of the rows that were read, counted from 0, have a value as high as was asked for, and any value
    there is."""

    high: list[tuple[int, int]]
    at: Callable[[int], Value]


class Measure(Protocol):
    """Values of the objects of one kind. To be asked once for each snapshot."""

    @property
    def row(self) -> type[Row]:
        """What the objects are."""

    def find(self, reading: Reading, least: int) -> Found:
        """The values of what was read; `high` are those that are `least` or more, which is above 0."""


def _found(likely: Iterable[int], at: Callable[[int], Value], least: int) -> Found:
    """What of those that may be high is."""
    values = ((i, at(i)) for i in likely)
    return Found([(i, value) for i, value in values if value is not None and value >= least], at)


# --- what a single reading shows


class Guests:
    """Percent of its memory that a guest cannot do without; caches are free where it tells of them."""

    row = Domain

    def find(self, reading: Reading, least: int) -> Found:
        columns = reading.columns(Domain, "memory_available", "memory_usable", "memory_unused")
        available, usable, unused = columns
        most = 1 - (least - 1) / 100  # a little more than may be free, as fractions are not exact
        free = usable if None not in usable else [u if s is None else s for s, u in zip(usable, unused, strict=True)]
        likely = [
            i for i, (has, is_free) in enumerate(zip(available, free, strict=True))
            if has and is_free is not None and is_free / has <= most
        ]  # fmt: skip

        def at(i: int) -> Value:
            return 100 * (available[i] - free[i]) // available[i] if available[i] and free[i] is not None else None

        return _found(likely, at, least)


class Filled:
    """Percent of its capacity that is taken of something, a disk or a pool."""

    def __init__(self, row: type[Row]) -> None:
        self.row = row

    def find(self, reading: Reading, least: int) -> Found:
        allocation, capacity = reading.columns(self.row, "allocation", "capacity")
        low = (least - 1) / 100  # a little less than is asked for, as fractions are not exact
        likely = [
            i for i, (taken, size) in enumerate(zip(allocation, capacity, strict=True))
            if taken is not None and size and taken / size >= low
        ]  # fmt: skip

        def at(i: int) -> Value:
            return 100 * allocation[i] // capacity[i] if allocation[i] is not None and capacity[i] else None

        return _found(likely, at, least)


class Down:
    """Whether a domain does not run that should."""

    row = Domain

    def find(self, reading: Reading, least: int) -> Found:
        state, autostart, persistent = reading.columns(Domain, "state", "autostart", "persistent")

        def at(i: int) -> Value:
            if state[i] is None or autostart[i] is None:
                return None
            return int(autostart[i] and persistent[i] is not False and state[i] in STOPPED)

        return _found([i for i, each in enumerate(state) if each in STOPPED], at, least)


class HostMemory:
    """Percent of the memory of the host that is used, but for what is cached."""

    row = Host

    def find(self, reading: Reading, least: int) -> Found:
        columns = reading.columns(Host, "memory", "memory_free", "memory_buffers", "memory_cached")

        def at(i: int) -> Value:
            memory, free, buffers, cached = (column[i] for column in columns)
            return (
                None if not memory or free is None else 100 * (memory - free - (buffers or 0) - (cached or 0)) // memory
            )

        return _found(range(len(columns[0])), at, least)


class Connection:
    """Whether there is none. Rows stay when a connection is lost; but before the first snapshot nobody has tried to connect."""

    row = Host

    def __init__(self, connected: Callable[[], bool]) -> None:
        self._connected = connected

    def find(self, reading: Reading, least: int) -> Found:
        connected = self._connected()
        value = None if not connected and reading.snapshot.number == 0 else int(not connected)
        return _found(reading.places(Host), lambda _: value, least)


# --- what two readings show


class _Samples:
    """Columns of what was taken from each row of a table the last time, in the order of the table."""

    def __init__(self, row: type[Row], columns: int) -> None:
        self._row = row
        self._indexes: tuple[Arc, ...] = ()
        self._columns: list[Column] = [[] for _ in range(columns)]

    def before(self, reading: Reading) -> list[Column]:
        """Those of what was read; None where there was nothing."""
        table = reading.table(self._row)
        if self._indexes is not table.indexes:  # rows came or went; an arc is its row's for good
            at = dict(zip(self._indexes, range(len(self._indexes)), strict=True))
            where = list(map(at.get, table.indexes))
            self._columns = [[None if i is None else column[i] for i in where] for column in self._columns]
            self._indexes = table.indexes
        if reading.roots is None:
            return self._columns
        return [[column[i] for i in reading.places(self._row)] for column in self._columns]

    def keep(self, reading: Reading, before: list[Column], now: list[Column], stay: Sequence[int]) -> None:
        """Keep what was read for the next time; for those that `stay` what was before is good for that too."""
        if stay:
            now = [list(column) for column in now]
            for i in stay:
                for old, new in zip(before, now, strict=True):
                    new[i] = old[i]
        if reading.roots is None:
            self._columns = [list(column) for column in now]  # those of the reading are everybody's
            return
        for column, samples in zip(self._columns, now, strict=True):
            for place, sample in zip(reading.places(self._row), samples, strict=True):
                column[place] = sample


class _Shares:
    """Percent of the time between two readings. The columns are when rows were read, since when they count, how many count at
    once, and the nanoseconds."""

    def __init__(self, row: type[Row]) -> None:
        self._samples = _Samples(row, 4)

    def find(self, reading: Reading, now: list[Column], least: int) -> Found:
        before = self._samples.before(reading)
        counted, counts = before[-1], now[-1]
        shortest, stay = _gaps(before[0], now[0])
        # A guest that is busy leaves a reading out.
        stay += [i for i, count in enumerate(counts) if count is None] if None in counts else []
        self._samples.keep(reading, before, now, stay)
        width = min((width for width in now[2] if width), default=1)
        low = least * 10_000_000 * shortest.total_seconds() * width
        likely = [
            i for i, (old, new) in enumerate(zip(counted, counts, strict=True))
            if old is not None and new is not None and new - old >= low
        ]  # fmt: skip
        return _found(likely, partial(self._share, before, now), least)

    def _share(self, before: list[Column], now: list[Column], i: int) -> Value:
        was, since_then, width_then, counted = (column[i] for column in before)
        at, since, width, count = (column[i] for column in now)
        if count is None or counted is None or count < counted or since != since_then or width != width_then:
            return None
        if at is None or was is None or at - was < SHORTEST or not width:
            return None
        return min(100, int((count - counted) / ((at - was).total_seconds() * width * 1e7)))


def _gaps(before: Column, now: Column) -> tuple[timedelta, list[int]]:
    """The time between readings is so long at least, where it counts; and which rows were read too soon, for whom it does not."""
    try:
        if (gap := min(now) - max(before)) >= SHORTEST:
            return gap, []
    except (TypeError, ValueError):  # not all have been read, or none
        pass
    gaps = [None if at is None or was is None else at - was for was, at in zip(before, now, strict=True)]
    soon = [
        i for i, gap in enumerate(gaps) if gap is not None and _NO_TIME <= gap < SHORTEST
    ]  # else the clock was set back
    return SHORTEST, soon


_TIMES = ("refreshed", "counters_since")


class Cpu:
    """How busy the vCPUs of domains are."""

    row = Domain

    def __init__(self) -> None:
        self._shares = _Shares(Domain)

    def find(self, reading: Reading, least: int) -> Found:
        return self._shares.find(reading, reading.columns(Domain, *_TIMES, "vcpus", "cpu_time"), least)


class Steal:
    """How long vCPUs of domains waited for a processor, all of them together."""

    row = Domain

    def __init__(self) -> None:
        self._shares = _Shares(Domain)
        self._indexes: tuple[object, object] = (None, None)
        self._ends: list[int] = []

    def find(self, reading: Reading, least: int) -> Found:
        now = reading.columns(Domain, *_TIMES, "vcpus")
        (times,) = reading.columns(Vcpu, "delay_time")
        if None in times and not any(time_ is not None for time_ in times):
            (times,) = reading.columns(Vcpu, "wait_time")
        return self._shares.find(reading, [*now, self._sums(reading, times)], least)

    def _sums(self, reading: Reading, times: Column) -> Column:
        """The time of each domain; None if none of its vCPUs has any."""
        ends = self._ends_of(reading)
        unknown = None in times
        totals = list(accumulate([time_ or 0 for time_ in times] if unknown else times, initial=0))
        sums: Column = [totals[end] - totals[start] for start, end in pairwise([0, *ends])]
        if unknown:
            for i, (start, end) in enumerate(pairwise([0, *ends])):
                if sums[i] == 0 and all(time_ is None for time_ in times[start:end]):
                    sums[i] = None
        return sums

    def _ends_of(self, reading: Reading) -> list[int]:
        """Where, among the vCPUs that were read, those of each domain end that was read."""
        domains, vcpus = reading.table(Domain).indexes, reading.table(Vcpu).indexes
        if reading.roots is not None:
            arcs = [domains[i] for i in reading.places(Domain)]
            return list(accumulate(len(beneath(reading.table(Vcpu), arc)) for arc in arcs))
        if self._indexes[0] is not domains or self._indexes[1] is not vcpus:
            counted = Counter(map(itemgetter(0), vcpus))
            self._ends = list(accumulate(counted[arc] for (arc,) in domains))
            self._indexes = (domains, vcpus)
        return self._ends


class HostCpu:
    """How busy the processors of the host are."""

    row = Host

    def __init__(self) -> None:
        self._shares = _Shares(Host)

    def find(self, reading: Reading, least: int) -> Found:
        (told,) = reading.columns(Host, "cpu_utilization")
        busy = [
            None if user is None or kernel is None else user + kernel + (interrupt or 0)
            for user, kernel, interrupt in zip(
                *reading.columns(Host, "cpu_user", "cpu_kernel", "cpu_interrupt"), strict=True
            )
        ]
        found = self._shares.find(reading, [*reading.columns(Host, *_TIMES, "cpus"), busy], least)
        return _found(range(len(busy)), lambda i: told[i] if busy[i] is None else found.at(i), least)


class _Growth:
    """By how much counters grew. One that began anew, and is above what it was before all the same, tells less than there was."""

    def __init__(self, row: type[Row]) -> None:
        self._samples = _Samples(row, 1)

    def find(self, reading: Reading, counts: Column, least: int) -> Found:
        (counted,) = before = self._samples.before(reading)
        stay = [i for i, count in enumerate(counts) if count is None] if None in counts else []
        self._samples.keep(reading, before, [counts], stay)

        def at(i: int) -> Value:
            if counts[i] is None or counted[i] is None or counts[i] < counted[i]:
                return None
            more: int = counts[i] - counted[i]
            return more

        likely = [
            i for i, (old, new) in enumerate(zip(counted, counts, strict=True))
            if old is not new and old is not None and new is not None and new - old >= least
        ]  # fmt: skip
        return _found(likely, at, least)


class _LastMinute:
    """How much a count grew in the last minute, however often it was read."""

    def __init__(self, row: type[Row], clock: Callable[[], float]) -> None:
        self._row = row
        self._growth = _Growth(row)
        self._clock = clock
        self._minutes: dict[Arc, deque[tuple[float, int]]] = {}

    def find(self, reading: Reading, counts: Column, least: int) -> Found:
        indexes, places, now = reading.table(self._row).indexes, reading.places(self._row), self._clock()
        for i, more in self._growth.find(reading, counts, 1).high:
            self._add(self._minutes.setdefault(indexes[places[i]], deque()), now, more)
        for arc, minute in list(self._minutes.items()):
            while minute and minute[0][0] <= now - MINUTE:
                minute.popleft()
            if not minute:
                del self._minutes[arc]

        def at(i: int) -> Value:
            minute = self._minutes.get(indexes[places[i]], ())
            return None if counts[i] is None else sum(count for _, count in minute)

        likely = [i for i, place in enumerate(places) if indexes[place] in self._minutes] if self._minutes else []
        return _found(likely, at, least)

    def _add(self, minute: deque[tuple[float, int]], now: float, more: int) -> None:
        if minute and now - minute[-1][0] < BUCKET:
            at, count = minute.pop()
            minute.append((at, count + more))
        else:
            minute.append((now, more))


class IoErrors:
    """Errors of disks in the last minute. Where they are not counted, a disk that its hypervisor stopped because of one has one,
    for as long as that says so."""

    row = Disk

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._grown = _LastMinute(Disk, clock)

    def find(self, reading: Reading, least: int) -> Found:
        errors, last = reading.columns(Disk, "errors", "error")
        grown = self._grown.find(reading, errors, least)

        def at(i: int) -> Value:
            more = grown.at(i)
            return more if last[i] is None else max(more or 0, int(last[i] != _NO_ERROR))

        likely = [i for i, _ in grown.high]
        if not _WELL.issuperset(last):
            stopped = (i for i, error in enumerate(last) if error not in _WELL)
            likely = sorted({*likely, *stopped})
        return _found(likely, at, least)


class LogMatches:
    """Lines of logs that matched in the last minute."""

    row = Log

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._grown = _LastMinute(Log, clock)

    def find(self, reading: Reading, least: int) -> Found:
        (matches,) = reading.columns(Log, "matches")
        return self._grown.find(reading, matches, least)


def measure(kind: AlarmKind, connected: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> Measure:
    """A new one, which has seen nothing yet."""
    match kind:
        case AlarmKind.CPU:
            return Cpu()
        case AlarmKind.MEMORY:
            return Guests()
        case AlarmKind.DISK:
            return Filled(Disk)
        case AlarmKind.POOL:
            return Filled(Pool)
        case AlarmKind.STEAL:
            return Steal()
        case AlarmKind.IO_ERRORS:
            return IoErrors(clock)
        case AlarmKind.DOWN:
            return Down()
        case AlarmKind.LOG:
            return LogMatches(clock)
        case AlarmKind.HOST_CPU:
            return HostCpu()
        case AlarmKind.HOST_MEMORY:
            return HostMemory()
        case AlarmKind.DISCONNECTED:
            return Connection(connected)
