"""The language in which a standard MIB is declared as a view of the mapping's rows.

A table shows the rows of one Row; an object of it says what it is called, where it stands, how its values look, and from
which columns of the row they come, by which pure function. All else follows: the columns of each snapshot, encoded page by
page when somebody asks, and the pages that go on to the next snapshot because what they were made from did not change.
What the text of a module says is held against these declarations by a test, object by object.
"""

import enum
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, Any, overload

from agent.errors import DeclarationError
from agent.layout import Patch
from agent.schema.declare import Row
from agent.schema.types import Semantic, Wire
from agent.snapshot import Records, Snapshot, Table, Values
from agent.snmp import ber
from agent.snmp.mib import MaxAccess, MibObject, Oid
from agent.snmp.view import Column, Encoder, RowIndex, Taken, encoder

if TYPE_CHECKING:
    from agent.snmp.setting import Writer


# --- syntaxes


@dataclass(frozen=True, kw_only=True)
class Syntax:
    """How values look: the type as the text of the module names it, its tag, and how a value becomes an element.

    `labels` are those of an enumeration; their names are those of the module but for case and underscores.
    """

    name: str
    wire: Wire
    encode: Encoder
    labels: type[enum.IntEnum] | None = None


def numbers(name: str, wire: Wire, low: int, high: int) -> Syntax:
    """Numbers of a range; one beyond it is shown as the nearest that is in it."""

    def encode(value: int) -> bytes:
        return ber.encode_integer(min(max(value, low), high), wire.value)

    return Syntax(name=name, wire=wire, encode=encode)


def text(name: str, most: int = 255) -> Syntax:
    """Text in UTF-8 of so many octets at most; what is longer is cut between characters."""
    semantic = Semantic(name=name, python=str, wire=Wire.OCTETS, syntax=name, cim="string", high=most)
    return Syntax(name=name, wire=Wire.OCTETS, encode=encoder(semantic))


def octets(name: str) -> Syntax:
    return Syntax(name=name, wire=Wire.OCTETS, encode=lambda value: ber.element(ber.OCTETS, value))


def digits(text: str) -> bytes:
    """The octets of a UUID or a MAC address in hexadecimal digits. ValueError if it is none."""
    return bytes.fromhex(text.replace("-", "").replace(":", ""))


def hexadecimal(name: str) -> Syntax:
    """Octets of a UUID or a MAC address."""
    return Syntax(name=name, wire=Wire.OCTETS, encode=lambda value: ber.element(ber.OCTETS, digits(value)))


ADMIN_STRING = text("SnmpAdminString")
TICKS = Syntax(
    name="TimeTicks", wire=Wire.TICKS, encode=lambda value: ber.encode_integer(value & 0xFFFF_FFFF, ber.TICKS)
)
COUNTER64 = Syntax(
    name="Counter64",
    wire=Wire.COUNTER64,
    encode=encoder(Semantic(name="Counter64", python=int, wire=Wire.COUNTER64, syntax="Counter64", cim="uint64")),
)


def enumerated(name: str, labels: type[enum.IntEnum]) -> Syntax:
    elements = {int(label): ber.encode_integer(label) for label in labels}
    return Syntax(name=name, wire=Wire.INTEGER, encode=elements.__getitem__, labels=labels)


# --- declarations


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A column of a table, or a scalar. Made by `shown`, `index` and `scalar`."""

    name: str
    arc: int
    syntax: Syntax
    fields: tuple[str, ...] = ()
    how: Callable[..., Any] | None = None
    unknown: Any = None
    access: MaxAccess = MaxAccess.READ_ONLY

    def taker(self, row: type[Row]) -> Callable[[Values], Any]:
        """Takes the value from the values of a row."""
        places = [row.positions[f] for f in self.fields]
        how, unknown = self.how, self.unknown
        if not places:
            return lambda _: unknown
        first = places[0]
        if how is None:
            return lambda values: unknown if (found := values[first]) is None else found
        if len(places) == 1:
            return lambda values: unknown if (found := values[first]) is None or (made := how(found)) is None else made
        several = itemgetter(*places)
        return lambda values: unknown if values[first] is None or (made := how(*several(values))) is None else made


def shown(
    name: str, arc: int, syntax: Syntax, *fields: str, how: Callable[..., Any] | None = None, unknown: Any = None,
    access: MaxAccess = MaxAccess.READ_ONLY,
) -> Declared:  # fmt: skip
    """A column that shows a column of the row, or what `how` makes of several; enumerations reach it as bare numbers.

    `unknown` stands where the first of them has no value and where `how` gives None; None itself is no instance at all.
    """
    if len(fields) != 1 and (how is None) == bool(fields):
        raise DeclarationError(f"{name}: several columns need a function, and none needs none")
    return Declared(name=name, arc=arc, syntax=syntax, fields=fields, how=how, unknown=unknown, access=access)


def index(name: str, arc: int, syntax: Syntax, access: MaxAccess = MaxAccess.NOT_ACCESSIBLE) -> Declared:
    """A part of the index: it is in the OIDs of the others and has no values of its own."""
    return Declared(name=name, arc=arc, syntax=syntax, access=access)


def scalar(name: str, arc: int, syntax: Syntax, access: MaxAccess = MaxAccess.READ_ONLY) -> Declared:
    """An object of one instance; its standard says where the value comes from."""
    return Declared(name=name, arc=arc, syntax=syntax, access=access)


READABLE = (MaxAccess.READ_ONLY, MaxAccess.READ_WRITE, MaxAccess.READ_CREATE)


@dataclass(frozen=True, kw_only=True)
class Objects:
    """Objects under one arc: the scalars of a module, or the columns of a table's entry."""

    under: Oid
    objects: tuple[Declared, ...]

    @cached_property
    def mib(self) -> Mapping[str, MibObject]:
        """The objects by their names, as the rest of the agent knows objects."""
        return {
            o.name: MibObject(
                name=o.name, oid=(*self.under, o.arc), syntax=o.syntax.name, syntax_module=None, wire=o.syntax.wire,
                access=o.access, description="",
            )
            for o in self.objects
        }  # fmt: skip

    def varbind(self, name: str, instance: Oid, value: Any) -> tuple[Oid, bytes]:
        """An instance of one of them with this value, for a notification."""
        declared = next(o for o in self.objects if o.name == name)
        return (*self.under, declared.arc, *instance), declared.syntax.encode(value)


@dataclass(frozen=True, kw_only=True)
class DeclaredTable(Objects):
    """A table: `under` is the arc of its entry, `row` whose rows it shows.

    Its instances are those of the mapping's table, unless `instance` makes others from the values of a row. `has` says
    which rows it shows, all if it says nothing; it needs an `instance`.
    """

    name: str
    row: type[Row]
    instance: Callable[[Values], Oid] | None = None
    has: Callable[[Values], bool] | None = None

    @cached_property
    def takers(self) -> Mapping[str, Callable[[Values], Any]]:
        """By name, how each readable column takes its values from those of a row."""
        return {o.name: o.taker(self.row) for o in self.objects if o.access in READABLE}

    @cached_property
    def sources(self) -> frozenset[int]:
        """The places, among the values of a row, of all that its readable columns show."""
        return frozenset(self.row.positions[f] for o in self.objects if o.access in READABLE for f in o.fields)

    def __post_init__(self) -> None:
        for one in self.objects:
            if missing := [f for f in one.fields if f not in self.row.positions]:
                raise DeclarationError(f"{one.name}: {self.row.__name__} has no column {missing[0]}")


@dataclass(frozen=True, kw_only=True)
class DeclaredNotification:
    """A notification and the names of the objects that it carries."""

    name: str
    oid: Oid
    objects: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DeclaredModule:
    """A module: its name, its identity, what is registered in sysORTable, and all that it has."""

    name: str
    oid: Oid
    description: str
    tables: tuple[DeclaredTable, ...]
    scalars: tuple[Objects, ...] = ()
    notifications: tuple[DeclaredNotification, ...]


# --- served


class Shown(Column):
    """A column whose values are made from several columns of the row, or by a function.

    `sources` are the places of these in the values of the row: while they hold the same, so does what is shown.
    """

    __slots__ = ("sources", "take")

    def __init__(
        self, oid: Oid, instances: RowIndex, records: Sequence[Values], encode: Encoder,
        take: Callable[[Values], Any], sources: tuple[int, ...],
    ) -> None:  # fmt: skip
        super().__init__(oid, instances, records, 0, encode)
        self.take = take
        self.sources = sources

    def value(self, row: int) -> bytes:
        taken = self.take(self.records[row])
        return b"" if taken is None else self._one(taken)

    def values(self, first: int, stop: int) -> Sequence[Any]:
        return list(map(self.take, self.records[first:stop]))

    def patch(self, records: Sequence[Values], moved: Mapping[int, Sequence[int]]) -> None:
        for source in self.sources:
            if (rows := moved.get(source)) is not None:
                self._outdate(rows)
        self.records = records

    def _same(self, old: Column, before: Sequence[Values], span: slice) -> bool:
        if not self.sources:
            return True
        told = itemgetter(*self.sources)
        return list(map(told, self.records[span])) == list(map(told, before[span]))


class Part(RowIndex):
    """Some rows of another index; what is encoded there is not encoded again."""

    __slots__ = ()

    def __init__(self, whole: RowIndex, places: Sequence[int]) -> None:
        self.arcs = tuple([whole.arcs[p] for p in places])
        self.suffixes = [whole.suffixes[p] for p in places]
        self.positions = {s: i for i, s in enumerate(self.suffixes)}


class Pairs(Sequence[Any]):
    """Each of some things with each of some others behind it, not held but made when asked for."""

    def __init__(self, outer: Sequence[Any], inner: Sequence[Any]) -> None:
        self._outer, self._inner = outer, inner

    def __len__(self) -> int:
        return len(self._outer) * len(self._inner)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        first, second = divmod(at, len(self._inner))
        return self._outer[first] + self._inner[second]


class PairPositions(Mapping[bytes, int]):
    """The places of the suffixes of a Product."""

    def __init__(self, outer: RowIndex, inner: RowIndex) -> None:
        self._outer, self._inner = outer, inner
        self._lengths = sorted({len(s) for s in inner.suffixes})

    def __getitem__(self, suffix: bytes) -> int:
        for length in self._lengths:
            first = self._outer.positions.get(suffix[:-length])
            second = self._inner.positions.get(suffix[-length:])
            if first is not None and second is not None:
                return first * len(self._inner.arcs) + second
        raise KeyError(suffix)

    def __len__(self) -> int:
        return len(self._outer.arcs) * len(self._inner.arcs)

    def __iter__(self) -> Iterator[bytes]:
        return iter(Pairs(self._outer.suffixes, self._inner.suffixes))


class Product(RowIndex):
    """Each row of one index with each of another behind it: a vCPU and every processor of the host, say. At 10,000 domains
    these are hundreds of thousands, so that they are worked out and not held."""

    __slots__ = ()

    def __init__(self, outer: RowIndex, inner: RowIndex) -> None:
        self.arcs = Pairs(outer.arcs, inner.arcs)
        self.suffixes = Pairs(outer.suffixes, inner.suffixes)
        self.positions = PairPositions(outer, inner)


class _Whole:
    """All rows of a table in the order of instances of its own; it holds while no row comes or goes."""

    __slots__ = ("_positions", "index", "indexes", "places")

    def __init__(self, instance: Callable[[Values], Oid], table: Table) -> None:
        self.indexes = table.indexes
        self._positions: list[int] | None = None
        made = list(map(instance, table.records))
        self.places = sorted(range(len(made)), key=made.__getitem__)
        self.index = RowIndex(tuple([made[place] for place in self.places]))

    def position(self, place: int) -> int:
        """Where the row at a place of the table stands in the order of instances."""
        if self._positions is None:
            self._positions = sorted(range(len(self.places)), key=self.places.__getitem__)
        return self._positions[place]


class Laid:
    """A declared table over one table of a snapshot: its instances and its columns."""

    __slots__ = ("columns", "index", "kept", "records", "table", "whole")

    def __init__(self, declared: DeclaredTable, table: Table, before: "Laid | None", writer: "Writer | None") -> None:
        self.table = table
        self.whole: _Whole | None = None
        self.kept: Sequence[int] = ()
        self.index, self.records = self._instances(declared, table, before)
        self.columns = [
            _column(declared, o, self.index, self.records, writer) for o in declared.objects if o.access in READABLE
        ]
        if before is not None and self.index is before.index:
            taken = Taken(self.records, before.records)
            for column, old in zip(self.columns, before.columns, strict=True):
                column.inherit(old, taken)

    def _instances(
        self, declared: DeclaredTable, table: Table, before: "Laid | None"
    ) -> tuple[RowIndex, Sequence[Values]]:
        if declared.instance is None:
            if before is not None and before.index.arcs is table.indexes:
                return before.index, table.records
            return RowIndex(table.indexes), table.records
        last = before.whole if before is not None else None
        self.whole = whole = last if last and last.indexes is table.indexes else _Whole(declared.instance, table)
        plain = list(table.records)
        ordered = list(map(plain.__getitem__, whole.places))
        if declared.has is None:
            return whole.index, Records(ordered)
        held = list(map(declared.has, ordered))
        self.kept = kept = list(compress(range(len(ordered)), held))
        records = Records(list(compress(ordered, held)))
        if before is not None and last is whole and before.kept == kept:
            return before.index, records
        return Part(whole.index, kept), records

    def patch(self, declared: DeclaredTable, patch: Patch) -> bool:
        """Be the table as it is now; whether that could be done: not where other rows have an instance now."""
        records, moved = patch.table.records, patch.moved
        if self.whole is not None:
            rows = self._rows(declared.has, self.whole, patch)
            if rows is None:
                return False
            shown = declared.sources.intersection(moved)
            moved = {at: [rows[place] for place in moved[at] if place in rows] for at in shown}
            assert isinstance(self.records, Records)
            records = self.records.replaced({row: patch.table.records[place] for place, row in rows.items()})
        self.table, self.records = patch.table, records
        for column in self.columns:
            column.patch(records, moved)
        return True

    def _rows(self, has: Callable[[Values], bool] | None, whole: "_Whole", patch: Patch) -> Mapping[int, int] | None:
        """Of the places in a table the rows that show them, as far as they are shown; None if others are shown now."""
        rows = {}
        for place, old in zip(patch.places, patch.old, strict=True):
            shown = has is None or bool(has(old))
            if has is not None and bool(has(patch.table.records[place])) != shown:
                return None
            if shown:
                rows[place] = self._row(whole.position(place))
        return rows

    def _row(self, position: int) -> int:
        return bisect_left(self.kept, position) if self.kept else position


def _column(
    declared: DeclaredTable, one: Declared, instances: RowIndex, records: Sequence[Values], writer: "Writer | None"
) -> Column:
    mib = declared.mib[one.name]
    places = tuple(declared.row.positions[f] for f in one.fields)
    column: Column
    if len(places) == 1 and one.how is None and one.unknown is None:
        column = Column(mib.oid, instances, records, places[0], one.syntax.encode)
    else:
        column = Shown(mib.oid, instances, records, one.syntax.encode, declared.takers[one.name], places)
    column.object = mib
    column.wide = one.syntax.wire is Wire.COUNTER64
    if one.access is not MaxAccess.READ_ONLY:
        column.writer = writer
    return column


class Shows:
    """The declared tables of one hypervisor. Of each the published one is kept and, between preparing and publishing, the
    next."""

    def __init__(self, tables: Iterable[DeclaredTable], writer: "Writer | None" = None) -> None:
        self._tables = tuple(tables)
        self._writer = writer
        self._laid: dict[str, tuple[Laid, ...]] = {}

    def prepare(self, table: Table) -> None:
        """In the thread that builds snapshots."""
        for declared in self._tables:
            if declared.row is table.row:
                known = self._laid.get(declared.name, ())
                made = Laid(declared, table, known[-1] if known else None, self._writer)
                self._laid[declared.name] = (*known[-1:], made)

    def patch(self, patch: Patch) -> bool:
        """Make the published tables those of a table as it is now; whether that could be done. In the thread that answers."""
        done = True
        for declared in self._tables:
            if declared.row is patch.table.row:
                laid = next((one for one in self._laid.get(declared.name, ()) if one.table is patch.before), None)
                done = laid is not None and laid.patch(declared, patch) and done
        return done

    def laid(self, declared: DeclaredTable, snapshot: Snapshot) -> Laid:
        """The table as of a snapshot; made now, if it was not prepared."""
        table = snapshot.table(declared.row)
        known = self._laid.get(declared.name, ())
        for one in known:
            if one.table is table:
                if one is known[-1] and len(known) > 1:
                    self._laid[declared.name] = (one,)
                return one
        made = Laid(declared, table, known[-1] if known else None, self._writer)
        if len(known) < 2:  # otherwise the next one is prepared already
            self._laid[declared.name] = (made,)
        return made

    def columns(self, snapshot: Snapshot) -> Iterator[Column]:
        for declared in self._tables:
            yield from self.laid(declared, snapshot).columns
