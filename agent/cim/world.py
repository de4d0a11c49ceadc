"""The instances there are now: rows of the newest snapshots by their paths, and what they are associated with."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pywbem

from agent.cim.classes import AssociationClass, Column, Fixed, InstanceClass, Link, Schema
from agent.cim.instances import value
from agent.cim.status import CimError, Status
from agent.schema.declare import Role, Row
from agent.snapshot import Snapshot, Table

__all__ = ["Found", "Neighbours", "Readable", "World"]

Record = tuple[Any, ...]


class Readable(Protocol):
    """The part of an inventory that reading needs."""

    @property
    def snapshot(self) -> Snapshot: ...

    def touch(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Found:
    """One instance: the row behind it, and the hypervisor and snapshot that the row is from."""

    cls: InstanceClass
    hypervisor: str
    snapshot: Snapshot
    record: Record

    @property
    def key(self) -> tuple[Any, ...]:
        return row_key(self.cls.row, self.record)


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Rows at the other end of one link of one association, seen from an instance."""

    association: AssociationClass
    link: Link
    #: Whether the instance that was asked about is the near end of the link.
    from_near: bool
    records: Sequence[Record]

    @property
    def cls(self) -> InstanceClass:
        """The class of the rows."""
        return self.link.far if self.from_near else self.link.near

    @property
    def role(self) -> str:
        """The role that the instance asked about plays."""
        return self.association.near_role if self.from_near else self.association.far_role

    @property
    def result_role(self) -> str:
        """The role that the rows play."""
        return self.association.far_role if self.from_near else self.association.near_role


def row_key(row: type[Row], record: Record) -> tuple[Any, ...]:
    return tuple(record[f.position] for f in row.key_fields())


class World:
    """The newest snapshot of every hypervisor, taken once for one request, so that its answer agrees with itself."""

    def __init__(self, schema: Schema, inventories: Mapping[str, Readable], indexes: Indexes) -> None:
        self.schema = schema
        self._snapshots = {name: inventory.snapshot for name, inventory in inventories.items()}
        self._indexes = indexes
        for inventory in inventories.values():
            inventory.touch()

    def hypervisors(self) -> Iterator[tuple[str, Snapshot]]:
        yield from self._snapshots.items()

    def records(self, cls: InstanceClass, snapshot: Snapshot) -> Sequence[Record]:
        """The rows that are instances of the class, in order."""
        return present(cls, snapshot.table(cls.row).records)

    def locate(self, path: pywbem.CIMInstanceName) -> Found:
        """The instance with this path. CimError: NOT_FOUND, INVALID_CLASS, or INVALID_PARAMETER for wrong keys."""
        name = path.classname.lower()
        cls = self.schema.instances.get(name)
        if cls is None:
            if name not in self.schema.classes:
                raise CimError(Status.INVALID_CLASS, f"there is no class {path.classname}")
            raise CimError(Status.NOT_FOUND, f"{path.classname} has no instances of its own")
        wanted = _wanted_keys(cls, path)
        for hypervisor, snapshot in self._snapshots.items():
            for record in self._candidates(cls, hypervisor, snapshot, wanted):
                if _matches(cls, record, hypervisor, wanted) and present(cls, [record]):
                    return Found(cls=cls, hypervisor=hypervisor, snapshot=snapshot, record=record)
        keys = ", ".join(f"{k}={v!r}" for k, v in path.keybindings.items())
        raise CimError(Status.NOT_FOUND, f"there is no {cls.name} with {keys}")

    def _candidates(
        self, cls: InstanceClass, hypervisor: str, snapshot: Snapshot, wanted: Mapping[str, Any]
    ) -> Sequence[Record]:
        """Few rows among which the wanted one must be, found by index."""
        table = snapshot.table(cls.row)
        known = {p.source.spec.name: wanted[p.name.lower()] for p in cls.keys if isinstance(p.source, Column)}
        fields = cls.row.key_fields()
        if all(f.name in known for f in fields):
            at = table.find(tuple(known[f.name] for f in fields))
            return [] if at is None else [table.records[at]]
        parents = [f for f in fields if f.role is Role.PARENT]
        if parents and all(f.name in known for f in parents) and cls.row.parent_row is not None:
            key = tuple(known[f.name] for f in parents)
            return children(table, snapshot.table(cls.row.parent_row), key)
        at = self._indexes.position(cls, hypervisor, table, wanted)
        return [] if at is None else [table.records[at]]

    def neighbours(self, found: Found) -> Iterator[Neighbours]:
        """Everything associated with an instance, by association and link."""
        for association in self.schema.associations.values():
            for link in association.links:
                if link.near is found.cls:
                    records = self._far(link, found.snapshot, found.record)
                    yield Neighbours(association=association, link=link, from_near=True, records=records)
                if link.far is found.cls:
                    records = self._near(link, found)
                    yield Neighbours(association=association, link=link, from_near=False, records=records)

    def _far(self, link: Link, snapshot: Snapshot, record: Record) -> Sequence[Record]:
        far = self.far_finder(link, snapshot)(record)
        return [] if far is None else [far]

    def _near(self, link: Link, found: Found) -> Sequence[Record]:
        table = found.snapshot.table(link.near.row)
        if link.near.row is link.far.row and link.via is None:
            return present(link.near, [found.record])
        if link.via is not None:
            key, at = found.key, link.via.position
            return [r for r in table.records if (r[at],) == key]
        return children(table, found.snapshot.table(link.far.row), found.key)

    def far_finder(self, link: Link, snapshot: Snapshot) -> Callable[[Record], Record | None]:
        """A function from a near row to the far row of a link, None where there is none."""
        if link.via is None and link.near.row is link.far.row:
            return lambda record: record
        table = snapshot.table(link.far.row)
        if link.via is not None:
            positions = [link.via.position]
        else:
            positions = [f.position for f in link.near.row.fields if f.role is Role.PARENT]

        def far(record: Record) -> Record | None:
            at = table.find(tuple(record[p] for p in positions))
            return None if at is None else table.records[at]

        return far


class Indexes:
    """Positions of rows by keys that are computed, such as an InstanceID: one table of each class is remembered."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], tuple[Table, dict[tuple[Any, ...], int]]] = {}

    def position(self, cls: InstanceClass, hypervisor: str, table: Table, wanted: Mapping[str, Any]) -> int | None:
        """The place in the table of the row with these keys, or None."""
        made = self._made.get((cls.name, hypervisor))
        if made is None or made[0] is not table:
            keys = cls.keys
            index = {
                tuple(value(p.source, record, hypervisor) for p in keys): i for i, record in enumerate(table.records)
            }
            made = self._made[cls.name, hypervisor] = (table, index)
        return made[1].get(tuple(wanted[p.name.lower()] for p in cls.keys))


def present(cls: InstanceClass, records: Sequence[Record]) -> Sequence[Record]:
    """The records that have an instance of the class."""
    if not cls.present_if:
        return records
    positions = [cls.row.positions[name] for name in cls.present_if]
    return [r for r in records if any(r[p] is not None for p in positions)]


def children(table: Table, parents: Table, key: tuple[Any, ...]) -> Sequence[Record]:
    """The rows of a sub-table that belong to the parent row with this key: one stretch, as both are in index order."""
    at = parents.find(key)
    if at is None:
        return []
    arc = parents.indexes[at]
    after = (*arc[:-1], arc[-1] + 1)
    return table.records[bisect_left(table.indexes, arc) : bisect_left(table.indexes, after)]


def _wanted_keys(cls: InstanceClass, path: pywbem.CIMInstanceName) -> dict[str, Any]:
    """The key values by name in lower case, numbers as int; INVALID_PARAMETER unless they are the keys of the class."""
    given = {name.lower(): each for name, each in path.keybindings.items()}
    keys = {p.name.lower(): p for p in cls.keys}
    if set(given) != set(keys):
        names = ", ".join(p.name for p in cls.keys)
        raise CimError(Status.INVALID_PARAMETER, f"the keys of {cls.name} are {names}")
    wanted: dict[str, Any] = {}
    for name, each in given.items():
        is_number = isinstance(each, int) and not isinstance(each, bool)
        if is_number is not keys[name].type.startswith(("uint", "sint")):
            if not (isinstance(each, str) and each.isascii() and each.isdecimal() and len(each) < 20):
                raise CimError(Status.INVALID_PARAMETER, f"the key {keys[name].name} is no {keys[name].type}")
            each = int(each)
        wanted[name] = int(each) if is_number else each
    return wanted


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
