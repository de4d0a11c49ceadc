"""The instances there are now: places in the tables of the newest snapshots, by paths, and what they are associated with.

Finding costs what is found, not what there is: an instance by the index of its table, the children of a row as the stretch
that they are, and what refers to a row by an index that is made together with the snapshot, in the thread that builds it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pywbem

from agent.cim.classes import AssociationClass, Column, Filled, Fixed, InstanceClass, Link, Presence, Schema
from agent.cim.instances import value
from agent.cim.status import CimError, Status
from agent.layout import Patch
from agent.schema.declare import Index, Role, Row
from agent.snapshot import Snapshot, Table

__all__ = ["Anchor", "Found", "Indexes", "Neighbours", "Readable", "Shows", "World", "children"]

Record = tuple[Any, ...]

#: From a near row and its place to the place of the far row of a link; None where there is none.
Finder = Callable[[Record, int], "int | None"]

#: Whether a row is an instance.
Shows = Callable[[Record], bool]


class Readable(Protocol):
    """The part of an inventory that reading needs."""

    @property
    def snapshot(self) -> Snapshot: ...

    def touch(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """What names an instance for ever, without holding on to a snapshot: its class, its hypervisor and the key of its row."""

    cls: InstanceClass
    hypervisor: str
    key: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Found:
    """One instance: the place of the row behind it, in a table of a hypervisor."""

    cls: InstanceClass
    hypervisor: str
    table: Table
    place: int

    @property
    def record(self) -> Record:
        return self.table.records[self.place]

    @property
    def key(self) -> tuple[Any, ...]:
        return tuple(self.record[f.position] for f in self.cls.row.key_fields())

    @property
    def anchor(self) -> Anchor:
        return Anchor(cls=self.cls, hypervisor=self.hypervisor, key=self.key)


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Rows at the other end of one link of one association, seen from an instance: places in a table, in its order.

    If they are a whole table, those are among them that the class of the rows does not show: there may be thousands, and whoever
    goes through them asks anyway.
    """

    association: AssociationClass
    link: Link
    #: Whether the instance that was asked about is the near end of the link.
    from_near: bool
    table: Table
    places: Sequence[int]

    @property
    def cls(self) -> InstanceClass:
        """The class of the rows."""
        return self.link.far if self.from_near else self.link.near

    @property
    def role(self) -> str:
        """The role that the instance asked about plays."""
        return self.association.roles(self.link)[self.from_near]

    @property
    def result_role(self) -> str:
        """The role that the rows play."""
        return self.association.roles(self.link)[not self.from_near]


class World:
    """The newest snapshot of every hypervisor, taken once for one request, so that its answer agrees with itself."""

    def __init__(self, schema: Schema, inventories: Mapping[str, Readable], indexes: Indexes) -> None:
        self.schema = schema
        self._snapshots = {name: inventory.snapshot for name, inventory in inventories.items()}
        self._indexes = indexes
        for inventory in inventories.values():
            inventory.touch()

    @property
    def hypervisors(self) -> tuple[str, ...]:
        """Their names, the default one first."""
        return tuple(self._snapshots)

    def table(self, hypervisor: str, row: type[Row]) -> Table:
        return self._snapshots[hypervisor].table(row)

    def locate(self, path: pywbem.CIMInstanceName) -> Found:
        """The instance with this path. CimError: NOT_FOUND, INVALID_CLASS, or INVALID_PARAMETER for wrong keys."""
        name = path.classname.lower()
        cls = self.schema.instances.get(name)
        if cls is None:
            if name not in self.schema.classes:
                raise CimError(Status.INVALID_CLASS, f"there is no class {path.classname}")
            raise CimError(Status.NOT_FOUND, f"{path.classname} has no instances of its own")
        wanted = _wanted_keys(cls, path)
        for hypervisor in self._snapshots:
            table = self.table(hypervisor, cls.row)
            shows = self.shows(cls, hypervisor)
            for place in self._candidates(cls, hypervisor, table, wanted):
                record = table.records[place]
                if _matches(cls, record, hypervisor, wanted) and shows(record):
                    return Found(cls=cls, hypervisor=hypervisor, table=table, place=place)
        keys = ", ".join(f"{k}={v!r}" for k, v in path.keybindings.items())
        raise CimError(Status.NOT_FOUND, f"there is no {cls.name} with {keys}")

    def at(self, anchor: Anchor) -> Found | None:
        """The instance as it is now; None if it is there no more."""
        table = self.table(anchor.hypervisor, anchor.cls.row)
        place = table.find(anchor.key)
        if place is None or not self.shows(anchor.cls, anchor.hypervisor)(table.records[place]):
            return None
        return Found(cls=anchor.cls, hypervisor=anchor.hypervisor, table=table, place=place)

    def shows(self, cls: InstanceClass, hypervisor: str) -> Shows:
        """What tells of rows whether they are instances of the class, or of an end of a link."""
        tests = [self._test(presence, cls, hypervisor) for presence in cls.present]
        match tests:
            case []:
                return _always
            case [test]:
                return test
        return lambda record: all(test(record) for test in tests)

    def _test(self, presence: Presence, cls: InstanceClass, hypervisor: str) -> Shows:
        holds, positions = presence.holds, [f.position for f in presence.columns]
        if presence.row is cls.row:
            return lambda record: holds(*[record[p] for p in positions])
        table = self.table(hypervisor, presence.row)
        key = [f.position for f in cls.row.key_fields()[: len(presence.row.key_fields())]]

        def above(record: Record) -> bool:
            place = table.find(tuple([record[p] for p in key]))
            return place is not None and holds(*[table.records[place][p] for p in positions])

        return above

    def _candidates(
        self, cls: InstanceClass, hypervisor: str, table: Table, wanted: Mapping[str, Any]
    ) -> Iterable[int]:
        """Few places among which the wanted one must be, found by index."""
        known: dict[str, Any] = {}
        for p in cls.keys:
            match p.source:
                case Column(spec=spec):
                    known[spec.name] = wanted[p.name.lower()]
                case Filled() as made if made.fill.pattern is not None:
                    read = made.read(str(wanted[p.name.lower()]))
                    if read is None:
                        return ()
                    known |= read
        fields = cls.row.key_fields()
        if all(f.name in known for f in fields):
            return _one(table.find(tuple(known[f.name] for f in fields)))
        parents = [f for f in fields if f.role is Role.PARENT]
        if parents and all(f.name in known for f in parents) and cls.row.parent_row is not None:
            key = tuple(known[f.name] for f in parents)
            return children(table, self.table(hypervisor, cls.row.parent_row), key)
        by_keys = self._indexes.by_keys(cls, hypervisor, table)
        return _one(by_keys.get(tuple(wanted[p.name.lower()] for p in cls.keys)))

    def neighbours(self, found: Found) -> Iterable[Neighbours]:
        """Everything associated with an instance, by association and link."""
        for association, link, from_near in self.schema.links_of(found.cls):
            table, places = self._far(link, found) if from_near else self._near(link, found)
            if places:
                yield Neighbours(association=association, link=link, from_near=from_near, table=table, places=places)

    def _far(self, link: Link, found: Found) -> tuple[Table, Sequence[int]]:
        table = self.table(found.hypervisor, link.far.row)
        if not self.shows(link.near, found.hypervisor)(found.record):
            return table, []
        place = self.finder(link, found.hypervisor)(found.record, found.place)
        there = place is not None and self.shows(link.far, found.hypervisor)(table.records[place])
        return table, [place] if place is not None and there else []

    def _near(self, link: Link, found: Found) -> tuple[Table, Sequence[int]]:
        table = self.table(found.hypervisor, link.near.row)
        places: Sequence[int]
        if link.whole:
            return table, range(len(table))
        if link.same_row:
            places = [found.place]
        elif link.via is not None:
            (key,) = found.key if link.on is None else (found.record[link.on.position],)
            places = self._indexes.by_reference(link, found.hypervisor, table).get(key, ())
        else:
            places = children(table, self.table(found.hypervisor, link.far.row), found.key)
        if link.near.present and places:
            shows = self.shows(link.near, found.hypervisor)
            places = [place for place in places if shows(table.records[place])]
        return table, places

    def finder(self, link: Link, hypervisor: str) -> Finder:
        """What finds the far rows of a link."""
        if link.same_row:
            return lambda _, place: place
        table = self.table(hypervisor, link.far.row)
        if link.whole:
            only = 0 if len(table) else None
            return lambda *_: only
        if link.via is not None:
            at = link.via.position
            if link.on is not None:
                there = self._indexes.by_value(link, hypervisor, table)
                return lambda record, _: there.get(record[at])
            return lambda record, _: table.find((record[at],))
        positions = [f.position for f in link.near.row.fields if f.role is Role.PARENT]
        return lambda record, _: table.find(tuple([record[p] for p in positions]))


def _always(_: Record) -> bool:
    return True


def _one(place: int | None) -> Sequence[int]:
    return () if place is None else (place,)


class Indexes:
    """Places of rows by what their tables are not ordered by. Made of each table once: in the thread that builds snapshots,
    or when they are first asked for. Those of the two newest tables are remembered, since the one is read while the other
    is being made.
    """

    def __init__(self, schema: Schema) -> None:
        self._computed = [c for c in schema.instances.values() if not _is_found_by_columns(c)]
        self._referring = [
            link for a in schema.associations.values() for link in a.links if link.via is not None and link.on is None
        ]
        self._made: defaultdict[tuple[str, ...], deque[tuple[object, Any]]] = defaultdict(lambda: deque(maxlen=2))

    def prepare(self, hypervisor: str, table: Table) -> None:
        """Make the indexes of a new table."""
        for cls in self._computed:
            if cls.row is table.row:
                self.by_keys(cls, hypervisor, table)
        for link in self._referring:
            if link.near.row is table.row:
                self.by_reference(link, hypervisor, table)

    def patch(self, hypervisor: str, patch: Patch) -> None:
        """A table whose rows were replaced in part has the same indexes, where the columns that they are made of are the same."""
        for link in self._referring:
            if link.near.row is patch.table.row and link.via is not None:
                self._take_over((link.near.name, link.via.name, hypervisor), link.via.position, patch)
            if link.on is not None and link.far.row is patch.table.row:
                self._take_over((link.far.row.__name__, "on", link.on.name, hypervisor), link.on.position, patch)

    def _take_over(self, name: tuple[str, ...], at: int, patch: Patch) -> None:
        known = self._made[name]
        index = next((index for made_of, index in known if made_of is patch.before), None)
        if index is not None and at not in patch.moved:
            known.append((patch.table, index))

    def by_keys(self, cls: InstanceClass, hypervisor: str, table: Table) -> Mapping[tuple[Any, ...], int]:
        """The place of each row by all keys of the class, which are computed, such as an InstanceID."""
        known = self._made[cls.name, hypervisor]
        for made_of, index in list(known):
            # Keys are made of what identifies a row, so that they are the same as long as the rows are.
            if made_of is table.indexes:
                return index  # type: ignore[no-any-return]
        keys = cls.keys
        index = {tuple(value(p.source, record, hypervisor) for p in keys): i for i, record in enumerate(table.records)}
        known.append((table.indexes, index))
        return index

    def by_reference(self, link: Link, hypervisor: str, table: Table) -> Mapping[Any, Sequence[int]]:
        """The places of the rows whose column, that of a link, has a value."""
        assert link.via is not None
        known = self._made[link.near.name, link.via.name, hypervisor]
        for made_of, index in list(known):
            if made_of is table:
                return index  # type: ignore[no-any-return]
        at = link.via.position
        index = defaultdict(list)
        for i, record in enumerate(table.records):
            index[record[at]].append(i)
        known.append((table, index))
        return index

    def by_value(self, link: Link, hypervisor: str, table: Table) -> Mapping[Any, int]:
        """The place of each row by the column that a link refers to it by; the first where a value stands twice."""
        assert link.on is not None
        known = self._made[link.far.row.__name__, "on", link.on.name, hypervisor]
        for made_of, index in list(known):
            if made_of is table:
                return index  # type: ignore[no-any-return]
        at = link.on.position
        index = {r[at]: i for i, r in reversed(list(enumerate(table.records))) if r[at] is not None}
        known.append((table, index))
        return index


def _is_found_by_columns(cls: InstanceClass) -> bool:
    """Whether the keys of a class hold or spell the keys of its row, or at least of the row above."""
    known: set[str] = set()
    for p in cls.keys:
        match p.source:
            case Column(spec=spec):
                known.add(spec.name)
            case Filled(fill=fill) if fill.pattern is not None:
                known |= set(fill.columns)
    fields = cls.row.key_fields()
    parents = [f for f in fields if f.role is Role.PARENT]
    return all(f.name in known for f in fields) or bool(parents and all(f.name in known for f in parents))


def children(table: Table, parents: Table, key: tuple[Any, ...]) -> range:
    """The places of the rows of a sub-table that belong to the parent row with this key: one stretch, as both are in index
    order; all of them, if there is one parent row only, which then is no part of their indexes."""
    at = parents.find(key)
    if at is None:
        return range(0)
    if parents.row.index is Index.SCALAR:
        return range(len(table))
    arc = parents.indexes[at]
    after = (*arc[:-1], arc[-1] + 1)
    return range(bisect_left(table.indexes, arc), bisect_left(table.indexes, after))


def _wanted_keys(cls: InstanceClass, path: pywbem.CIMInstanceName) -> dict[str, Any]:
    """The key values by name in lower case, numbers as int; INVALID_PARAMETER unless they are the keys of the class."""
    wanted = {name.lower(): each for name, each in path.keybindings.items()}
    kinds = cls.key_kinds
    if wanted.keys() != kinds.keys():
        names = ", ".join(p.name for p in cls.keys)
        raise CimError(Status.INVALID_PARAMETER, f"the keys of {cls.name} are {names}")
    for name, each in wanted.items():
        if isinstance(each, str) and not kinds[name]:
            continue
        if not _is_number(each) or not kinds[name]:
            raise CimError(Status.INVALID_PARAMETER, f"the key {name} of {cls.name} is of another type")
        wanted[name] = int(each)
    return wanted


def _is_number(key: object) -> bool:
    """Whether a key is a whole number, or the digits of one: some clients send all keys as strings."""
    if isinstance(key, str):
        return key.isascii() and key.isdecimal() and len(key) < 20
    return isinstance(key, int) and not isinstance(key, bool)


def _matches(cls: InstanceClass, record: Record, hypervisor: str, wanted: Mapping[str, Any]) -> bool:
    for p in cls.keys:
        has, want = value(p.source, record, hypervisor), wanted[p.name.lower()]
        if isinstance(p.source, Fixed) and isinstance(want, str):
            # Class names, which CIM compares without regard to case.
            if str(has).lower() != want.lower():
                return False
        elif has != want:
            return False
    return True
