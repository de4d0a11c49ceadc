"""The View-based Access Control Model (RFC 3415): which group may see and change which part of which context, and how
well protected a message must be for it.

A MIB view is a list of subtrees, each with a mask of wildcards and each included or excluded; the longest that matches
an object decides (RFC 3415, section 4, vacmViewTreeFamilyTable). What a view admits of a snapshot is resolved once, to
ranges of rows of columns: nearly always a column is in as a whole or out as a whole, so that the answering code walks a
narrowed View like any other and asks nothing for each variable.
"""

import enum
import functools
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.snmp.message3 import Level
from agent.snmp.mib import Oid
from agent.snmp.view import Column, Computed, Live, RowIndex, View

USM = 3
ADMITTED = 4096
"""OIDs of which it is remembered whether somebody may see them in columns whose rows come and go."""

ANY = 0
"""Security models: 1 and 2 are the communities of SNMPv1 and v2c; 0 in an access entry means any."""


@dataclass(frozen=True, kw_only=True)
class Subtree:
    """A family of subtrees. A 0 in the mask (one bit for each arc of `oid`, first arc first) lets that arc be anything; a
    mask that is too short goes on with ones. ValueError if there are more bits than any OID has arcs.
    """

    oid: Oid
    included: bool = True
    mask: bytes = b""

    def __post_init__(self) -> None:
        if len(self.mask) > 16:
            raise ValueError("a mask has at most 16 octets")
        if len(self.oid) > 128:
            raise ValueError("an OID has at most 128 arcs")

    def fixed(self, place: int) -> bool:
        """Whether the arc at a place must be the one of `oid`."""
        octet, bit = divmod(place, 8)
        return octet >= len(self.mask) or bool(self.mask[octet] & 0x80 >> bit)

    def agrees(self, arcs: Oid) -> bool:
        """Whether these arcs agree with the family's as far as both go."""
        return all(
            one == other or not self.fixed(i) for i, (one, other) in enumerate(zip(self.oid, arcs, strict=False))
        )


@dataclass(frozen=True, slots=True)
class Range:
    """Rows `first` up to, but without, `stop` of a column of a View, which stands there at `column`."""

    column: int
    first: int
    stop: int


class MibView:
    """A named view. Without subtrees it shows nothing."""

    def __init__(self, name: str, subtrees: Iterable[Subtree]) -> None:
        self.name = name
        # The longest decides, and of equally long ones the one whose arcs are the greatest.
        self._families = sorted(subtrees, key=lambda s: (len(s.oid), s.oid), reverse=True)
        self._decided: dict[Oid, bool | None] = {}

    @property
    def subtrees(self) -> Sequence[Subtree]:
        """Its families of subtrees, that first which decides first."""
        return self._families

    def includes(self, arcs: Oid) -> bool:
        """Whether an object instance is in the view."""
        for family in self._families:
            if len(family.oid) <= len(arcs) and family.agrees(arcs):
                return family.included
        return False

    def everything_beneath(self, arcs: Oid) -> bool | None:
        """Whether all that lies under these arcs is in the view (True), nothing is (False), or it depends (None). Remembered:
        it is asked of the same columns with every snapshot."""
        if arcs not in self._decided:
            self._decided[arcs] = self._beneath(arcs)
        return self._decided[arcs]

    def _beneath(self, arcs: Oid) -> bool | None:
        here = self.includes(arcs)
        for family in self._families:
            if len(family.oid) > len(arcs) and family.agrees(arcs) and family.included is not here:
                return None
        return here

    def ranges(self, view: View) -> list[Range]:
        """What is in the view, of all that a snapshot holds, in OID order."""
        out: list[Range] = []
        for number, column in enumerate(view.columns):
            whole = self.everything_beneath(column.oid)
            if whole:
                out.append(Range(number, 0, column.count))
            elif whole is None:
                out += self._partly(number, column)
        return out

    def _partly(self, number: int, column: Column) -> Iterable[Range]:
        """Row by row would take seconds in a long column. Its rows are in order, so that what lies under an OID is found by
        bisection: all are painted as the column is, and over that what longer families say, the longest last."""
        arcs, size = column.index.arcs, len(column.oid)
        shown = bytearray([self.includes(column.oid)]) * column.count
        for family in reversed(self._families):
            if len(family.oid) > size and family.agrees(column.oid):
                rest = family.oid[size:]
                if all(map(family.fixed, range(size, len(family.oid)))):
                    first, stop = bisect_left(arcs, rest), bisect_left(arcs, (*rest[:-1], rest[-1] + 1))
                    shown[first:stop] = bytes([family.included]) * (stop - first)
                else:
                    for row, one in enumerate(arcs):
                        if len(one) >= len(rest) and family.agrees(column.oid + one):
                            shown[row] = family.included
        stop = 0
        while (first := shown.find(True, stop)) >= 0:
            stop = shown.find(False, first)
            stop = column.count if stop < 0 else stop
            yield Range(number, first, stop)

    def narrowed(self, view: View) -> View:
        """A View that shows what is in this view and nothing else. Columns that are in as a whole are shared; those whose rows
        come and go show what is in this view at any time."""
        shown: list[Column] = []
        includes = functools.lru_cache(ADMITTED)(self.includes)
        for number, column in enumerate(view.columns):
            whole = self.everything_beneath(column.oid)
            if whole is False:
                continue
            if isinstance(column, Live):
                shown.append(column.narrowed(includes, partly=whole is None))
            elif whole:
                shown.append(column)
            elif ranges := list(self._partly(number, column)):
                shown.append(_narrowed(column, ranges))
        return View(shown)


def _narrowed(column: Column, ranges: Sequence[Range]) -> Column:
    if len(ranges) == 1 and ranges[0].first == 0 and ranges[0].stop == column.count:
        return column
    rows = [row for r in ranges for row in range(r.first, r.stop)]
    made = Computed(
        column.oid, RowIndex(tuple(column.index.arcs[r] for r in rows)), lambda place: column.value(rows[place])
    )
    made.object = column.object
    made.wide = column.wide
    made.records = [column.records[r] for r in rows] if column.records else ()
    return made


@dataclass(frozen=True, kw_only=True)
class AccessEntry:
    """What a group may do in contexts of a name (or of a beginning of names), by messages protected at least so well.

    A view of None is no view: nothing may be done of that kind.
    """

    group: str
    context: str = ""
    prefix: bool = False
    model: int = USM
    level: Level = Level.AUTH_PRIV
    read: str | None = None
    write: str | None = None
    notify: str | None = None

    def covers(self, group: str, model: int, level: Level, context: str) -> bool:
        if group != self.group or self.model not in (ANY, model) or level < self.level:
            return False
        return context.startswith(self.context) if self.prefix else context == self.context


class Denial(enum.Enum):
    """Why access is not allowed (RFC 3415, section 3.2)."""

    NO_GROUP_NAME = "noGroupName"
    NO_ACCESS_ENTRY = "noAccessEntry"
    NO_SUCH_CONTEXT = "noSuchContext"


@dataclass(frozen=True, slots=True)
class Grant:
    """The views of one who may come in; None where there is none."""

    read: MibView | None
    write: MibView | None
    notify: MibView | None


class Policy:
    """Groups, access entries and views. KeyError at once if an entry names a view that is not there."""

    def __init__(
        self,
        groups: Mapping[tuple[int, str], str],
        entries: Iterable[AccessEntry],
        views: Iterable[MibView],
        contexts: Iterable[str],
    ) -> None:
        self._groups = dict(groups)
        self._contexts = frozenset(contexts)
        by_name = {v.name: v for v in views}
        self.views: Sequence[MibView] = tuple(by_name.values())
        self._entries = [
            (e, Grant(*(None if name is None else by_name[name] for name in (e.read, e.write, e.notify))))
            for e in sorted(entries, key=_preference, reverse=True)
        ]

    @property
    def groups(self) -> Mapping[tuple[int, str], str]:
        """The group of each security model and name."""
        return self._groups

    @property
    def contexts(self) -> Collection[str]:
        return self._contexts

    @property
    def entries(self) -> Sequence[AccessEntry]:
        """The access entries, that first which is tried first."""
        return [entry for entry, _ in self._entries]

    def access(self, model: int, name: str, level: Level, context: str) -> Grant | Denial:
        """The views for a security name at a level in a context, or why there are none (RFC 3415, section 3.2)."""
        if context not in self._contexts:
            return Denial.NO_SUCH_CONTEXT
        group = self._groups.get((model, name))
        if group is None:
            return Denial.NO_GROUP_NAME
        for entry, grant in self._entries:
            if entry.covers(group, model, level, context):
                return grant
        return Denial.NO_ACCESS_ENTRY


def _preference(entry: AccessEntry) -> tuple[bool, bool, int, int]:
    """Which of several matching entries holds: own model, exact context, longer context, higher level (section 4)."""
    return entry.model != ANY, not entry.prefix, len(entry.context), entry.level
