"""A snapshot: all tables of one hypervisor at one moment, immutable, that every front end shares.

Values live in plain tuples of atoms (enumerations as their numbers), which the garbage collector leaves alone: at 10,000
domains one of its passes over row objects would take a third of a second.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, TypeVar

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
        if plain[place] is not None:
            plain[place] = int(plain[place])
    return tuple(plain)


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
    records = [atoms(row, r.values) for r in rows]
    return Table(row, records, tuple((r.key[-1],) for r in rows))
