"""A snapshot: all tables of one hypervisor at one moment, immutable, that every front end shares.

Values live in plain tuples of atoms (enumerations as their numbers), which the garbage collector leaves alone: at 10,000
domains one of its passes over row objects would take a third of a second.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from operator import itemgetter
from typing import Any, TypeVar, overload

from agent.model import MODEL
from agent.schema.declare import Key, Row

R = TypeVar("R", bound=Row)
Values = tuple[Any, ...]
Arc = tuple[int, ...]

_ENUMERATED = {row: tuple(f.position for f in row.fields if f.enumeration is not None) for row in MODEL.rows}


def key_getter(row: type[Row]) -> Callable[[Values], Key]:
    """How to get the key of a row from its values."""
    places = [f.position for f in row.key_fields()]
    if len(places) == 1:
        only = places[0]
        return lambda values: (values[only],)
    return itemgetter(*places)


def atoms(row: type[Row], values: Values) -> Values:
    """The values with numbers in place of members of enumerations, which the garbage collector would have to visit."""
    places = _ENUMERATED[row]
    if not places:
        return values
    plain = list(values)
    for place in places:
        value = plain[place]
        if value is not None:
            plain[place] = +value  # half the time that int() takes
    return tuple(plain)


CHUNK = 64
"""Rows that are kept together: to replace one means to touch so many."""


class Records(Sequence[Values]):
    """The records of a table, which nobody changes. With some replaced it is another one, which shares all the rest: to copy
    ten thousand would mean to touch each of them, and they are in no cache of the processor."""

    __slots__ = ("_chunks", "_length")

    def __init__(self, records: Sequence[Values] = ()) -> None:
        self._chunks = [list(records[at : at + CHUNK]) for at in range(0, len(records), CHUNK)]
        self._length = len(records)

    def replaced(self, changes: Mapping[int, Values]) -> "Records":
        """These, with others at some places."""
        made = Records()
        made._chunks, made._length = list(self._chunks), self._length
        for number in {place // CHUNK for place in changes}:
            made._chunks[number] = list(self._chunks[number])
        for place, values in changes.items():
            made._chunks[place // CHUNK][place % CHUNK] = values
        return made

    def chunks(self) -> list[list[Values]]:
        """The lists that they are kept in, in a list of your own: who lets go of one after the other frees them by degrees."""
        return list(self._chunks)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, at: int) -> Values: ...
    @overload
    def __getitem__(self, at: slice) -> list[Values]: ...
    def __getitem__(self, at: int | slice) -> Values | list[Values]:
        if isinstance(at, slice):
            return self._slice(*at.indices(self._length))
        if at < 0:
            at += self._length
        if not 0 <= at < self._length:
            raise IndexError(at)
        return self._chunks[at // CHUNK][at % CHUNK]

    def _slice(self, first: int, stop: int, step: int) -> list[Values]:
        if step != 1:
            return [self[at] for at in range(first, stop, step)]
        number, skip = divmod(first, CHUNK)
        if first < stop <= (number + 1) * CHUNK:
            return self._chunks[number][skip : skip + stop - first]
        chunks = self._chunks[number : (stop + CHUNK - 1) // CHUNK]
        return list(islice(chain.from_iterable(chunks), skip, skip + max(0, stop - first)))

    def __iter__(self) -> Iterator[Values]:
        return chain.from_iterable(self._chunks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def shares(self, other: "Records", number: int) -> bool:
        """Whether a chunk is the very one of other records."""
        return self._chunks[number] is other._chunks[number]


class Table:
    """The rows of one table at one moment, in the order of their SNMP indexes.

    `records[i]` are the values of row i in the order of `row.fields`; `indexes[i]` its index arcs. `indexes` is the very
    object of the snapshot before, as long as no row came or went.
    """

    __slots__ = ("_by_key", "indexes", "records", "row")

    def __init__(
        self,
        row: type[Row],
        records: Sequence[Values],
        indexes: tuple[Arc, ...],
        before: "Table | None" = None,
    ) -> None:
        self.row = row
        self.records = records
        self.indexes = indexes
        self._by_key: dict[Key, int]
        if before is not None and before.indexes is indexes:
            self._by_key = before._by_key  # an arc belongs to its key for good: same arcs, same keys
        else:
            self._by_key = dict(zip(map(key_getter(row), records), range(len(records)), strict=True))

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
    """All tables at one moment, `taken`. `number` grows with each snapshot of an inventory.

    When the rows were read is told by themselves, in their columns, and for each table by its row of Reading.
    """

    __slots__ = ("_tables", "number", "taken")

    def __init__(self, tables: Mapping[type[Row], Table], number: int = 0) -> None:
        self._tables = tables
        self.taken = datetime.now(UTC)
        self.number = number

    def table(self, row: type[Row]) -> Table:
        return self._tables[row]

    def get(self, row: type[R], key: Key) -> R | None:
        """The row with this key, or None."""
        found = self._tables[row].get(key)
        return found if found is None else row.of_values(found.values)

    def with_tables(self, tables: Iterable[Table]) -> "Snapshot":
        """The next snapshot: these tables, and the others as they are."""
        return Snapshot({**self._tables, **{t.row: t for t in tables}}, self.number + 1)


def internal_table(row: type[Row], rows: Sequence[Row]) -> Table:
    """The table of rows that no driver fills, given in the order of their keys."""
    records, key_of = [atoms(row, r.values) for r in rows], key_getter(row)
    return Table(row, records, tuple((key_of(values)[-1],) for values in records))
