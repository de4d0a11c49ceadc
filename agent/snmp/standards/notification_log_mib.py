"""NOTIFICATION-LOG-MIB (RFC 3014): the last notifications, for a manager that was not listening when they were sent.

Each hypervisor's context has one log, the one without a name: what was told of that hypervisor, and of the agent itself. It is
in memory only, and begins anew with each start of the agent. How many notifications it holds and for how long can be set,
the number only below that of the configuration.

An entry is the notice as it was told, and nothing is encoded before somebody asks for it: a storm costs little. So the
columns are live: their rows come and go between snapshots, and instances are worked out from the numbers of the entries, which
follow each other without a gap. What somebody's view does not hold he does not see in the log either: a notification of
another subtree has an entry there without values, a variable of one likewise.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, overload

from agent.access import Principal
from agent.schema.declare import Access
from agent.schema.types import Wire
from agent.snmp import ber, writers
from agent.snmp.ber import BerError
from agent.snmp.message import Status
from agent.snmp.mib import Oid
from agent.snmp.notice import Notice
from agent.snmp.setting import Ask, Asker, Change, Refused
from agent.snmp.standards import Place, Standard
from agent.snmp.standards.parts import (
    ACTIVE,
    READ_ONLY,
    Quiet,
    admin_string,
    counter,
    octets,
    replaced,
    settable,
)
from agent.snmp.standards.snmp_notification_mib import LOG_FILTER
from agent.snmp.standards.snmp_target_mib import UDP_IPV4
from agent.snmp.standards.snmpv2_mib import Kept, nowhere
from agent.snmp.view import SCALAR, Column, Computed, Live, RowIndex

LOG_MIB: Oid = (1, 3, 6, 1, 2, 1, 92)
CONFIG: Oid = (*LOG_MIB, 1, 1)
STATS: Oid = (*LOG_MIB, 1, 2)
CONFIG_ENTRY: Oid = (*CONFIG, 3, 1)
STATS_ENTRY: Oid = (*STATS, 3, 1)
LOG_ENTRY: Oid = (*LOG_MIB, 1, 3, 1, 1)
VARIABLE_ENTRY: Oid = (*LOG_MIB, 1, 3, 2, 1)
MODULES = ((LOG_MIB, "NOTIFICATION-LOG-MIB: the last notifications"),)

NAMELESS: Oid = (0,)
"""The index arcs of the log without a name, which are those of a scalar's instance."""

LAST_NUMBER = 2**32 - 1
AGE_OUT = 1440
"""Minutes that an entry stays, unless a manager has set something else."""

KINDS: Mapping[int, tuple[int, int]] = {
    ber.COUNTER32: (1, 4), ber.UNSIGNED: (2, 5), ber.TICKS: (3, 6), ber.INTEGER: (4, 7), ber.IP_ADDRESS: (5, 9),
    ber.OCTETS: (6, 8), ber.OID: (7, 10), ber.COUNTER64: (8, 11), ber.OPAQUE: (9, 12),
}  # fmt: skip
"""Of each tag that a value can have: its nlmLogVariableValueType, and the arc of the column that shows it."""

_TYPES = {tag: ber.encode_integer(kind) for tag, (kind, _) in KINDS.items()}
_NOT_RECEIVED = octets(bytes(6))
"""The address of a notification that came from nowhere but here."""

Admits = Callable[[Oid], bool]
Variable = tuple[Oid, bytes]


def _everything(_: Oid) -> bool:
    return True


class Entry(NamedTuple):
    """A notice, sysUpTime when it was told, and the time in seconds of the epoch."""

    notice: Notice
    uptime: int
    at: float


class Log:
    """The log of one context: at most `limit` entries. `changes` counts what has changed in it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.entries: deque[Entry] = deque()
        self.first = 1
        """The number of the oldest entry."""
        self.until: deque[int] = deque()
        """How many variables there were, ever, up to the end of each entry."""
        self.changes = 0
        self._tags: tuple[int, frozenset[int]] = (0, frozenset())
        self.logged = 0
        self.bumped = 0

    def add(self, entry: Entry) -> None:
        if self.first + len(self.entries) > LAST_NUMBER:
            self.bumped += len(self.entries)
            self.entries.clear()
            self.until.clear()
            self.first = 1
        elif len(self.entries) >= self._limit:
            self._drop()
            self.bumped += 1
        before = self.until[-1] if self.until else 0
        self.entries.append(entry)
        self.until.append(before + len(entry.notice.varbinds))
        self.logged += 1
        self.changes += 1

    def shorten(self, limit: int) -> None:
        """Hold no more than so many."""
        self._limit = limit
        while len(self.entries) > limit:
            self._drop()

    def age(self, since: float) -> None:
        """Drop what is older than a moment, in seconds of the epoch."""
        while self.entries and self.entries[0].at < since:
            self._drop()

    def _drop(self) -> None:
        self.entries.popleft()
        self.until.popleft()
        self.first += 1
        self.changes += 1

    @property
    def tags(self) -> frozenset[int]:
        """Of all values; looked for again only when something has changed."""
        if self._tags[0] != self.changes:
            found = {element[0] for entry in self.entries for _, element in entry.notice.varbinds}
            self._tags = (self.changes, frozenset(found))
        return self._tags[1]

    @property
    def variables(self) -> int:
        """How many there are, of all entries."""
        return self.until[-1] - self.before if self.until else 0

    @property
    def before(self) -> int:
        """How many variables there were before those of the oldest entry."""
        return self.until[0] - len(self.entries[0].notice.varbinds)

    def variable(self, row: int) -> tuple[int, int]:
        """The places of the entry and of the variable in it that are this row of the table of variables."""
        passed = self.before + row
        place = bisect_right(self.until, passed)
        return place, passed - (self.until[place - 1] if place else self.before)

    def row(self, place: int, variable: int) -> int:
        """The other way round."""
        return (self.until[place - 1] - self.before if place else 0) + variable


class _Lazy(Sequence[Any]):
    """Made one by one, when asked for."""

    def __init__(self, count: Callable[[], int], make: Callable[[int], Any]) -> None:
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count()

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self._make(i) for i in range(*at.indices(self._count()))]
        if not 0 <= at < self._count():
            raise IndexError(at)
        return self._make(at)


class _Positions(Mapping[bytes, int]):
    """The rows of the suffixes of an index."""

    def __init__(self, suffixes: Sequence[bytes], find: Callable[[Oid], int | None]) -> None:
        self._suffixes, self._find = suffixes, find

    def __getitem__(self, suffix: bytes) -> int:
        try:
            found = self._find(ber.oid(_ANY_HEAD + suffix)[2:])
        except BerError:
            raise KeyError(suffix) from None
        if found is None:
            raise KeyError(suffix)
        return found

    def __len__(self) -> int:
        return len(self._suffixes)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._suffixes)


_ANY_HEAD = ber.oid_contents((1, 3))


class _Index(RowIndex):
    """Instances that are worked out."""

    __slots__ = ()

    def __init__(self, count: Callable[[], int], arcs: Callable[[int], Oid], find: Callable[[Oid], int | None]) -> None:
        self.arcs = _Lazy(count, arcs)
        self.suffixes = _Lazy(count, lambda row: ber.suffix_contents(arcs(row)))
        self.positions = _Positions(self.suffixes, find)


class EntryColumn(Live):
    """A column of nlmLogTable."""

    __slots__ = ("log", "show")

    def __init__(
        self, arc: int, log: Log, index: RowIndex, show: Callable[[Entry], bytes], *,
        admits: Admits = _everything, partly: bool = False,
    ) -> None:  # fmt: skip
        super().__init__((*LOG_ENTRY, arc), index, admits, partly=partly)
        self.log = log
        self.show = show

    def stamp(self) -> int:
        return self.log.changes

    def value(self, row: int) -> bytes:
        entry = self.log.entries[row]
        return self.show(entry) if self.admits(entry.notice.oid) else b""

    def narrowed(self, admits: Admits, *, partly: bool) -> "EntryColumn":
        return EntryColumn(self.oid[-1], self.log, self.index, self.show, admits=admits, partly=partly)


class VariableColumn(Live):
    """A column of nlmLogVariableTable; `tag` is that of the values that it shows, if it shows those of one tag only."""

    __slots__ = ("log", "show", "tag")

    def __init__(
        self, arc: int, log: Log, index: RowIndex, show: Callable[[Variable], bytes], tag: int | None = None, *,
        admits: Admits = _everything, partly: bool = False,
    ) -> None:  # fmt: skip
        super().__init__((*VARIABLE_ENTRY, arc), index, admits, partly=partly)
        self.log = log
        self.show = show
        self.tag = tag
        self.wide = tag == ber.COUNTER64

    def stamp(self) -> int:
        return self.log.changes

    def value(self, row: int) -> bytes:
        place, number = self.log.variable(row)
        notice = self.log.entries[place].notice
        variable = notice.varbinds[number]
        if self.tag is not None and variable[1][0] != self.tag:
            return b""
        return self.show(variable) if self.admits(notice.oid) and self.admits(variable[0]) else b""

    def filled(self, row: int) -> int:
        """Most columns have few values, so that the entries are looked through without making any."""
        if self.tag is None or row >= self.count:
            return row
        if self.tag not in self.log.tags:
            return self.count
        place, number = self.log.variable(row)
        for at in range(place, len(self.log.entries)):
            varbinds = self.log.entries[at].notice.varbinds
            for variable in range(number, len(varbinds)):
                if varbinds[variable][1][0] == self.tag:
                    return self.log.row(at, variable)
            number = 0
        return self.count

    def narrowed(self, admits: Admits, *, partly: bool) -> "VariableColumn":
        return VariableColumn(self.oid[-1], self.log, self.index, self.show, self.tag, admits=admits, partly=partly)


def _columns(log: Log, engine_id: bytes, context: str) -> Iterable[Column]:
    """The two tables of a log."""
    whose, where = octets(engine_id), admin_string(context)
    nobody, domain = octets(b""), ber.encode_oid(UDP_IPV4)
    index = _Index(
        lambda: len(log.entries),
        lambda row: (*NAMELESS, log.first + row),
        lambda arcs: _place(log, arcs) if len(arcs) == 2 else None,
    )
    shows: Mapping[int, Callable[[Entry], bytes]] = {
        2: lambda entry: ber.encode_integer(entry.uptime & 0xFFFF_FFFF, ber.TICKS),
        3: lambda entry: ber.encode_date(datetime.fromtimestamp(entry.at, UTC)),
        4: lambda _: nobody,  # all are of one engine
        5: lambda _: _NOT_RECEIVED,
        6: lambda _: domain,
        7: lambda _: whose,
        8: lambda _: where,
        9: lambda entry: ber.encode_oid(entry.notice.oid),
    }
    for arc, show in shows.items():
        yield EntryColumn(arc, log, index, show)

    def arcs_of(row: int) -> Oid:
        place, number = log.variable(row)
        return *NAMELESS, log.first + place, number + 1

    index = _Index(lambda: log.variables, arcs_of, lambda arcs: _variable(log, arcs) if len(arcs) == 3 else None)
    yield VariableColumn(2, log, index, lambda variable: ber.encode_oid(variable[0]))
    yield VariableColumn(3, log, index, lambda variable: _TYPES.get(variable[1][0], b""))
    for tag, (_, arc) in KINDS.items():
        yield VariableColumn(arc, log, index, lambda variable: variable[1], tag)


def _place(log: Log, arcs: Oid) -> int | None:
    """The place of the entry with these index arcs."""
    place = arcs[1] - log.first
    return place if arcs[:1] == NAMELESS and 0 <= place < len(log.entries) else None


def _variable(log: Log, arcs: Oid) -> int | None:
    place = _place(log, arcs)
    if place is None or not 0 < arcs[2] <= len(log.entries[place].notice.varbinds):
        return None
    return log.row(place, arcs[2] - 1)


class _Number:
    """A number that an administrator can set, and that is kept: an Unsigned32 from `low` to `high`. What was set holds until
    the configuration says another `initial` than it did then."""

    def __init__(
        self, name: str, oid: Oid, low: int, high: int, initial: int, kept: Kept, changed: Callable[[], None]
    ) -> None:
        self._name, self._oid, self._low, self._high = name, oid, low, high
        self._initial = initial
        self._kept = kept
        self._changed = changed
        set_to, _, configured = (kept.load(name) or "").partition(" under ")
        known = configured == str(initial) and set_to.isdecimal() and low <= int(set_to) <= high
        self.number = int(set_to) if known else initial

    def column(self) -> Column:
        return settable(
            self._name, self._oid, "Unsigned32", Wire.UNSIGNED,
            lambda: ber.encode_integer(self.number, ber.UNSIGNED), self,
        )  # fmt: skip

    def writable(self, column: Column, principal: Principal) -> bool:
        return principal.role >= Access.ADMINISTER

    def steps(self, asks: Sequence[Ask], asker: Asker) -> Sequence[Change]:
        return [self._change(ask) for ask in asks]

    def _change(self, ask: Ask) -> Change:
        writers.expect(ber.UNSIGNED, ask)
        number = writers.unsigned(ask)
        if not self._low <= number <= self._high:
            raise Refused(Status.WRONG_VALUE, ask.index, f"{number} is not between {self._low} and {self._high}")
        if ask.row is None:
            raise Refused(Status.NO_CREATION, ask.index)
        return replaced(ask, lambda: self.number, self._put, number)

    def _put(self, number: int) -> None:
        self.number = number
        self._kept.store(self._name, f"{number} under {self._initial}")
        self._changed()


class NotificationLogMib:
    """Serves the module in every context; what can be set is the same in all of them. `limit` is how many notifications each
    log holds at most, `default` the hypervisor whose context has no name, `clock` gives the time in seconds of the epoch."""

    def __init__(
        self, limit: int, *, default: str = "", kept: Kept | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        kept = kept or nowhere()
        self._default = default
        self._clock = clock
        self._logs: dict[str, Log] = {}
        self._limit = _Number("nlmConfigGlobalEntryLimit", (*CONFIG, 1), 1, limit, limit, kept, self._shorten)
        self._age_out = _Number("nlmConfigGlobalAgeOut", (*CONFIG, 2), 0, 2**32 - 1, AGE_OUT, kept, self._age)

    def record(self, notice: Notice, uptime: int) -> None:
        """Log a notice that is told now: in the log of its hypervisor, or in all if it is about the agent."""
        self._age()
        entry = Entry(notice, uptime, self._clock())
        for name, log in self._logs.items():
            if notice.hypervisor in (None, name):
                log.add(entry)

    def _shorten(self) -> None:
        for log in self._logs.values():
            log.shorten(self._limit.number)

    def _age(self) -> None:
        if self._age_out.number:
            since = self._clock() - 60.0 * self._age_out.number
            for log in self._logs.values():
                log.age(since)

    def __call__(self, place: Place) -> Standard:
        log = self._logs[place.hypervisor] = Log(self._limit.number)
        context = "" if place.hypervisor == self._default else place.hypervisor
        made = [
            self._limit.column(),
            self._age_out.column(),
            *self._configured(),
            *_counted(log),
            *_columns(log, place.engine.engine_id, context),
        ]

        def columns() -> Iterable[Column]:
            self._age()
            return made

        return Quiet(MODULES, columns)

    def _configured(self) -> Iterable[Column]:
        """The row of the log: as the configuration has it, its entries limited by the one limit that there is."""
        filtered, limited = admin_string(LOG_FILTER), self._limit
        enabled, operational = ber.encode_integer(1), ber.encode_integer(2)
        shown: Mapping[int, Callable[[], bytes]] = {
            2: lambda: filtered,
            3: lambda: ber.encode_integer(limited.number, ber.UNSIGNED),
            4: lambda: enabled,
            5: lambda: operational,
            6: lambda: READ_ONLY,
            7: lambda: ACTIVE,
        }
        for arc, make in shown.items():
            yield _cell((*CONFIG_ENTRY, arc), make)


def _cell(oid: Oid, make: Callable[[], bytes]) -> Column:
    """A column of a table of logs, of which there is one."""
    return Computed(oid, SCALAR, lambda _: make())


def _counted(log: Log) -> Iterable[Column]:
    """What became of notifications, of all logs and of this one, which are the same."""
    for arc, count in ((1, lambda: log.logged), (2, lambda: log.bumped)):
        yield counter((*STATS, arc), count)
        yield counter((*STATS_ENTRY, arc), count)
