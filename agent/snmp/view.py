"""A snapshot as SNMP sees it: every variable in OID order, encoded page by page when first asked for.

A column keeps its rows in pages of 256: one octet string with all variable bindings of the page behind each other, and
where each begins. An answer to GETBULK is then a slice or two, and a variable costs its own octets and four more, where a
list of separate octet strings would cost over a hundred. A page is encoded when somebody first asks for it, and the pages
that were asked for are encoded again, in the thread that builds the next snapshot, before that is published; a page whose
values did not change is taken over as it is.

Tables whose rows did not come or go keep their row index: the encoded arcs of each row, and a dict from these to
positions, which a walk always hits. Other OIDs are found by bisection.
"""

import logging
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from agent.layout import Patch
from agent.schema.declare import Row
from agent.schema.types import Semantic, Wire
from agent.snapshot import Snapshot, Table, Values
from agent.snmp import ber
from agent.snmp.mib import Mib, MibObject, MibTable, Oid

if TYPE_CHECKING:
    from agent.snmp.setting import Writer

log = logging.getLogger("virtmap.snmp")

PAGE = 256
_SHIFT = 8
_MASK = PAGE - 1
_EMPTY, _FILLED = 1, 2

Encoder = Callable[[Any], bytes]


def _text(limit: int) -> Encoder:
    def encode(value: str) -> bytes:
        octets = value.encode("utf-8", "replace")
        if len(octets) > limit:
            octets = octets[:limit].decode("utf-8", "ignore").encode()
        return b"\x04" + ber.length(len(octets)) + octets

    return encode


def _integer32(value: int) -> bytes:
    if not -(2**31) <= value < 2**31:
        raise OverflowError("beyond 32 bits")
    return ber.encode_integer(value)


def _unsigned32(value: int) -> bytes:
    return ber.encode_integer(min(value, 2**32 - 1), ber.UNSIGNED) if value >= 0 else b""


def _counter64(value: int) -> bytes:
    if not 0 <= value < 2**64:
        return b""
    size = (value.bit_length() >> 3) + 1
    return b"F" + bytes((size,)) + value.to_bytes(size, "big")


def _hexadecimal(separator: str) -> Encoder:
    def encode(value: str) -> bytes:
        octets = bytes.fromhex(value.replace(separator, ""))
        if len(octets) != 6:
            raise ValueError("not six octets")
        return bytes((4, len(octets))) + octets

    return encode


def _truth(value: bool) -> bytes:
    return b"\x02\x01\x01" if value else b"\x02\x01\x02"


def encoder(semantic: Semantic) -> Encoder:
    """How values of a type become elements. An empty result means that the value cannot be shown."""
    match semantic:
        case Semantic(name="Mac"):
            return _hexadecimal(":")
        case Semantic(name="Timestamp"):
            return ber.encode_date
        case Semantic(name="Flag"):
            return _truth
        case Semantic(wire=Wire.INTEGER):
            return _integer32
        case Semantic(wire=Wire.UNSIGNED):
            return _unsigned32
        case Semantic(wire=Wire.COUNTER64):
            return _counter64
    return _text(semantic.high or 255)


_NUMBERS: dict[Encoder, tuple[int, int]] = {_unsigned32: (ber.UNSIGNED, 4), _counter64: (ber.COUNTER64, 8)}
"""Encoders of unsigned numbers: their tags, and the octets of their largest value."""


def _numbers(
    kind: tuple[int, int], head: bytes, suffixes: Sequence[bytes], values: Sequence[int | None]
) -> list[bytes]:
    """The variable bindings of a page of numbers, all in one go: most columns are numbers, and change all the time.

    What stands before the suffix and between suffix and number depends on their lengths only, and is made once.
    """
    tag, largest = kind
    longest = max(map(len, suffixes), default=0)
    before = [
        [bytes((0x30, 4 + len(head) + s + n, 6, len(head) + s)) + head for n in range(largest + 2)]
        for s in range(longest + 1)
    ]
    between = [bytes((tag, n)) for n in range(largest + 2)]
    return [
        b""
        if v is None
        else b"".join((before[len(s)][n := (v.bit_length() >> 3) + 1], s, between[n], v.to_bytes(n, "big")))
        for s, v in zip(suffixes, values, strict=True)
    ]


class Page:
    """Up to 256 rows of a column, encoded. Row i is `blob[offsets[i]:offsets[i + 1]]`; nothing, if the row has no value."""

    __slots__ = ("blob", "dense", "offsets", "used")

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.blob = b"".join(pieces)
        self.offsets = array("I", accumulate(map(len, pieces), initial=0))
        self.dense = b"" not in pieces
        self.used = True


class RowIndex:
    """The instance parts of a table's OIDs: as arcs, as octets, and from octets to positions."""

    __slots__ = ("arcs", "positions", "suffixes")

    arcs: Sequence[Oid]
    suffixes: Sequence[bytes]
    positions: Mapping[bytes, int]

    def __init__(self, arcs: tuple[Oid, ...]) -> None:
        self.arcs = arcs
        self.suffixes = [ber.suffix_contents(a) for a in arcs]
        self.positions = {s: i for i, s in enumerate(self.suffixes)}


class Column:
    """One column of one snapshot, or a scalar, which is a column of one row with the index arc 0."""

    __slots__ = (
        "count", "encode", "gaps", "head", "index", "object", "oid", "pages", "place", "records", "void", "wide", "writer",
    )  # fmt: skip

    def __init__(self, oid: Oid, index: RowIndex, records: Sequence[Values], place: int, encode: Encoder) -> None:
        self.oid = oid
        self.head = ber.oid_contents(oid)
        self.index = index
        self.records = records
        self.place = place
        self.encode = encode
        self.count = len(index.arcs)
        self.pages: list[Page | None] = [None] * ((self.count + _MASK) >> _SHIFT)
        self.gaps: bytearray | None = None
        self.void = False
        """Whether it is known that no row has a value."""
        self.object: MibObject | None = None
        self.writer: Writer | None = None
        self.wide = encode is _counter64
        """Whether its values are Counter64, which SNMPv1 does not know (RFC 3584, section 4.2.2.1)."""

    def value(self, row: int) -> bytes:
        """The element of a row's value; empty if there is none."""
        value = self.records[row][self.place]
        return b"" if value is None else self._one(value)

    def _one(self, value: Any) -> bytes:
        try:
            return self.encode(value)
        except (ValueError, OverflowError, TypeError, AttributeError) as error:
            # A driver broke its contract. One value is lost, said in the log, and the table goes on.
            log.error("%s: cannot show %r: %s", self.object.name if self.object else self.oid, value, error)
            return b""

    def get(self, row: int) -> bytes:
        """The variable binding of a row; empty if it has no value."""
        page = self.pages[row >> _SHIFT]
        if page is not None:
            at = row & _MASK
            return page.blob[page.offsets[at] : page.offsets[at + 1]]
        return self._bind(row, self.value(row))

    def _bind(self, row: int, value: bytes) -> bytes:
        if not value:
            return b""
        name = self.head + self.index.suffixes[row]
        return self._wrap(name, value)

    @staticmethod
    def _wrap(name: bytes, value: bytes) -> bytes:
        size = len(name)
        whole = size + 2 + len(value)
        if whole < 0x80:
            return bytes((0x30, whole, 6, size)) + name + value
        body = b"\x06" + ber.length(size) + name + value
        return b"\x30" + ber.length(len(body)) + body

    def page(self, number: int) -> Page:
        """A page, encoded now if it is not yet."""
        page = self.pages[number]
        if page is None:
            page = self.pages[number] = self.encoded(number)
        page.used = True
        return page

    def values(self, first: int, stop: int) -> Sequence[Any]:
        """What the rows from `first` up to, but without, `stop` show, not yet encoded."""
        place = self.place
        return [record[place] for record in self.records[first:stop]]

    def filled(self, row: int) -> int:
        """The first row from this one on that may have a value; `count` if there is none. Which pages are empty is
        remembered: what a hypervisor cannot tell leaves whole columns without values."""
        known = self.gaps = self.gaps or bytearray(len(self.pages))
        while row < self.count:
            number = row >> _SHIFT
            stop = min((number + 1) << _SHIFT, self.count)
            if not known[number]:
                values = self.values(number << _SHIFT, stop)
                known[number] = _EMPTY if values.count(None) == len(values) else _FILLED
            if known[number] == _FILLED:
                for place, value in enumerate(self.values(row, stop), row):
                    if value is not None:
                        return place
            row = stop
        self.void = known.count(_EMPTY) == len(known)
        return row

    def encoded(self, number: int) -> Page:
        start = number << _SHIFT
        head, encode, wrap = self.head, self.encode, self._wrap
        suffixes = self.index.suffixes[start : start + PAGE]
        values = self.values(start, start + PAGE)
        try:
            kind = _NUMBERS.get(encode)
            if kind and len(head) + 16 < 0x40 and max(filter(None, values), default=0) < 1 << 8 * kind[1]:
                return Page(_numbers(kind, head, suffixes, values))
            pieces = [
                b"" if value is None or not (shown := encode(value)) else wrap(head + suffix, shown)
                for suffix, value in zip(suffixes, values, strict=True)
            ]
        except (ValueError, OverflowError, TypeError, AttributeError):
            pieces = [self._bind(start + i, b"" if v is None else self._one(v)) for i, v in enumerate(values)]
        return Page(pieces)

    def patch(self, records: Sequence[Values], moved: Mapping[int, Sequence[int]]) -> None:
        """Show these records from now on. `moved` are the rows that have another value in a column, by the position of that;
        pages that show them are encoded anew when they are asked for. In the thread that answers; the pages go first, for
        another thread may be about to take them over (`inherit`)."""
        if (rows := moved.get(self.place)) is not None:
            self._outdate(rows)
        self.records = records

    def _outdate(self, rows: Iterable[int]) -> None:
        """The pages of these rows have to be encoded anew."""
        for number in {row >> _SHIFT for row in rows}:
            self.pages[number] = None
            self.void = False
            if self.gaps is not None:
                self.gaps[number] = 0

    def inherit(self, old: "Column", taken: "Taken") -> None:
        """Take over the pages of the snapshot before that still hold, and encode those anew that were asked for since. The column
        before may be patched meanwhile: then it has other records, and the page is looked at again."""
        number = 0
        while number < len(old.pages):
            before, page = old.records, old.pages[number]
            whole = number not in taken.dirty and before is taken.records
            kept = page is None or whole or self._same(old, before, slice(number << _SHIFT, (number + 1) << _SHIFT))
            if before is not old.records:
                continue
            if page is not None:
                if not kept:
                    page = self.encoded(number) if page.used else None
                if page is not None and not whole:
                    page.used = False
                self.pages[number] = page
            number += 1

    def _same(self, old: "Column", before: Sequence[Values], span: slice) -> bool:
        """Whether some rows show what they did in a column with these records."""
        place, was = self.place, old.place
        return [v[place] for v in self.records[span]] == [v[was] for v in before[span]]


class Taken:
    """What the columns of a table need to know to take over the pages of those before. `records` are those of the table before,
    unless it was patched since; both have as many. Pages that are not `dirty` have the rows that they had: rows that are the
    very same objects are not looked into.
    """

    __slots__ = ("dirty", "records")

    def __init__(self, now: Sequence[Values], before: Sequence[Values]) -> None:
        self.records = before
        starts = range(0, len(now), PAGE)
        self.dirty = frozenset([at >> _SHIFT for at in starts if now[at : at + PAGE] != before[at : at + PAGE]])


class Computed(Column):
    """A column whose values are made when asked for, such as sysUpTime; never kept."""

    __slots__ = ("make",)

    def __init__(self, oid: Oid, index: RowIndex, make: Callable[[int], bytes]) -> None:
        super().__init__(oid, index, (), 0, ber.encode_integer)
        self.make = make

    def value(self, row: int) -> bytes:
        return self.make(row)

    def get(self, row: int) -> bytes:
        return self._bind(row, self.make(row))

    def page(self, number: int) -> Page:
        return self.encoded(number)

    def filled(self, row: int) -> int:
        return row

    def encoded(self, number: int) -> Page:
        start = number << _SHIFT
        return Page([self.get(row) for row in range(start, min(start + PAGE, self.count))])

    def patch(self, records: Sequence[Values], moved: Mapping[int, Sequence[int]]) -> None:
        self.records = records


class Live(Column):
    """A column whose rows come and go without a new snapshot. Its index works instances out; pages are kept as long as `stamp`
    gives the same. `admits` says of an OID whether it may be seen: of one that is shown, or whose value is shown, and of the
    instances themselves if only some of them may be, `partly`."""

    __slots__ = ("_kept", "_stamp", "admits", "partly")

    def __init__(self, oid: Oid, index: RowIndex, admits: Callable[[Oid], bool], *, partly: bool = False) -> None:
        self.oid = oid
        self.head = ber.oid_contents(oid)
        self.index = index
        self.records = ()
        self.place = 0
        self.encode = ber.encode_integer
        self.pages = []
        self.gaps = None
        self.void = False
        self.object = None
        self.writer = None
        self.wide = False
        self.admits = admits
        self.partly = partly
        self._kept: dict[int, Page] = {}
        self._stamp = -1

    @property
    def count(self) -> int:  # type: ignore[override]  # it is asked for, and never set
        return len(self.index.arcs)

    def stamp(self) -> int:
        """Another number when anything has changed."""
        raise NotImplementedError

    def narrowed(self, admits: Callable[[Oid], bool], *, partly: bool) -> "Live":
        """The column for somebody who may not see everything."""
        raise NotImplementedError

    def get(self, row: int) -> bytes:
        if self.partly and not self.admits(self.oid + self.index.arcs[row]):
            return b""
        return self._bind(row, self.value(row))

    def page(self, number: int) -> Page:
        if (now := self.stamp()) != self._stamp:
            self._kept, self._stamp = {}, now
        page = self._kept.get(number)
        if page is None:
            page = self._kept[number] = self.encoded(number)
        return page

    def filled(self, row: int) -> int:
        return row

    def encoded(self, number: int) -> Page:
        start = number << _SHIFT
        return Page([self.get(row) for row in range(start, min(start + PAGE, self.count))])


SCALAR = RowIndex(((0,),))


class TableView:
    """One table of one snapshot: its row index and its columns, in OID order."""

    __slots__ = ("columns", "index", "mib", "table")

    def __init__(self, mib: MibTable, table: Table, before: "TableView | None", writer: "Writer | None" = None) -> None:
        self.mib = mib
        self.table = table
        same = before if before is not None and before.index.arcs is table.indexes else None
        self.index: RowIndex = same.index if same else RowIndex(table.indexes)
        self.columns: list[Column] = [_column(o, self.index, table.records) for o in mib.readable]
        for column in self.columns:
            if column.object is not None and (column.object.operation or column.object.actions):
                column.writer = writer
        if same:
            taken = Taken(table.records, same.table.records)
            for column, old in zip(self.columns, same.columns, strict=True):
                column.inherit(old, taken)

    def patch(self, patch: Patch) -> None:
        """Be the view of the table as it is now."""
        self.table = patch.table
        for column in self.columns:
            column.patch(patch.table.records, patch.moved)


def _column(mib: MibObject, index: RowIndex, records: Sequence[Values]) -> Column:
    if mib.field is None:  # an action column: reading always gives none(0)
        column: Column = Computed(mib.oid, index, lambda _: b"\x02\x01\x00")
        column.records = records  # of whom an operation is asked
    else:
        column = Column(mib.oid, index, records, mib.field.position, encoder(mib.field.semantic))
    column.object = mib
    return column


class Tables:
    """Makes and keeps the table views of one hypervisor; `prepare` is given to its inventory as a preparer of tables.

    Of each table the published view is kept and, for the moment between preparing and publishing, the next one.
    """

    def __init__(self, mib: Mib, writer: "Writer | None" = None) -> None:
        self._mibs = {t.row: t for t in mib.tables}
        self._writer = writer
        self._views: dict[type[Row], tuple[TableView, ...]] = {}

    def prepare(self, table: Table) -> None:
        """Make the view of a table that is about to be published. May run in a worker thread, one call at a time."""
        if table.row in self._mibs:
            known = self._views.get(table.row, ())
            view = TableView(self._mibs[table.row], table, known[-1] if known else None, self._writer)
            self._views[table.row] = (*known[-1:], view)

    def patch(self, patch: Patch) -> bool:
        """Make the published view of a table that of the table as it is now, in the thread that answers; whether there is one."""
        view = next((v for v in self._views.get(patch.table.row, ()) if v.table is patch.before), None)
        if view is not None:
            view.patch(patch)
        return view is not None

    def views(self, snapshot: Snapshot) -> list[TableView]:
        """The views of a snapshot's tables. What was not prepared, the small tables of the agent itself, is made now."""
        return [self._view(row, snapshot.table(row)) for row in self._mibs]

    def _view(self, row: type[Row], table: Table) -> TableView:
        known = self._views.get(row, ())
        for view in known:
            if view.table is table:
                if view is known[-1] and len(known) > 1:
                    self._views[row] = (view,)
                return view
        made = TableView(self._mibs[row], table, known[-1] if known else None, self._writer)
        if row.internal or not known:
            self._views[row] = (made,)
        return made


class View:
    """Every variable of one snapshot. A place is (number of the column, row)."""

    __slots__ = ("_by_head", "_head_lengths", "_oids", "columns")

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = sorted(columns, key=lambda c: c.oid)
        self._oids = [c.oid for c in self.columns]
        self._by_head = {c.head: i for i, c in enumerate(self.columns)}
        self._head_lengths = tuple(sorted({len(c.head) for c in self.columns}))

    def exact(self, oid: bytes) -> tuple[int, int] | None:
        """The place that this OID (contents octets) names, whether it has a value or not."""
        for size in self._head_lengths:
            number = self._by_head.get(oid[:size])
            if number is not None:
                row = self.columns[number].index.positions.get(oid[size:])
                if row is not None:
                    return number, row
        return None

    def column_of(self, oid: bytes) -> int | None:
        """The column that this OID is, or lies under."""
        for size in self._head_lengths:
            number = self._by_head.get(oid[:size])
            if number is not None:
                return number
        return None

    def after(self, oid: bytes) -> tuple[int, int]:
        """The place right behind this OID; its column may be one beyond the last, its row may be without value."""
        found = self.exact(oid)
        if found is not None:
            return found[0], found[1] + 1
        return self.place(ber.oid(oid), include=False)

    def place(self, arcs: Oid, *, include: bool) -> tuple[int, int]:
        """The first place at (with `include`) or behind an OID; its column may be one beyond the last, its row may be without
        value."""
        number = bisect_right(self._oids, arcs) - 1
        if number < 0:
            return 0, 0
        column = self.columns[number]
        size = len(column.oid)
        if arcs[:size] != column.oid:
            return number + 1, 0
        find = bisect_left if include else bisect_right
        return number, find(column.index.arcs, arcs[size:])

    def following(self, number: int, row: int) -> tuple[bytes, int, int]:
        """The first variable binding at or behind a place, and the place behind it; empty at the end of the view."""
        columns = self.columns
        missed = 0
        while number < len(columns):
            column = columns[number]
            while row < column.count and not column.void:
                found = column.get(row)
                row += 1
                if found:
                    return found, number, row
                missed += 1
                if not missed & 7:  # a short gap is sooner passed than looked over
                    row = column.filled(row)
            number += 1
            row = 0
        return b"", number, row

    def run(self, number: int, row: int, count: int, room: int) -> tuple[list[bytes], int, int, int]:
        """Up to `count` variable bindings from a place on, that together fit into `room` octets.

        Gives them as chunks of several, how many they are, and the place behind the last one.
        """
        chunks: list[bytes] = []
        left = count
        columns = self.columns
        while left and number < len(columns):
            column = columns[number]
            while left and row < column.count:
                page = column.page(row >> _SHIFT)
                if not page.blob:
                    row = column.count if column.void else max(column.filled(row), (row | _MASK) + 1)
                    continue
                low = row & _MASK
                offsets = page.offsets
                if page.dense:
                    high = min(low + left, len(offsets) - 1)
                    took = high - low
                else:
                    high, took = _advance(offsets, low, left)
                start, stop = offsets[low], offsets[high]
                if stop - start > room:
                    high = bisect_right(offsets, start + room) - 1
                    took = sum(offsets[i] != offsets[i + 1] for i in range(low, high))
                    chunks.append(page.blob[start : offsets[high]])
                    return chunks, count - left + took, number, (row & ~_MASK) + high
                chunks.append(page.blob[start:stop])
                room -= stop - start
                left -= took
                row += high - low
            if row >= column.count:
                number += 1
                row = 0
        return chunks, count - left, number, row


def _advance(offsets: "array[int]", low: int, wanted: int) -> tuple[int, int]:
    """How far to go from row `low` of a page to have `wanted` values, and how many there are."""
    last = len(offsets) - 1
    took = 0
    while low < last and took < wanted:
        took += offsets[low] != offsets[low + 1]
        low += 1
    return low, took
