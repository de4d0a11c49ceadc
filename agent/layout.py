"""What was last read of every root, and how it is laid out as tables: new readings in, a snapshot's tables out.

A root whose reading failed keeps its rows of before, with the reason in its `problem` column. Of two readings of the same
root the one that began later counts, whichever ended first. Rows get their SNMP index arcs here: natural ones from their
numbers, the others from the persistent indexes. All of it runs in a worker thread, one call at a time.
"""

import logging
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import compress, count
from operator import itemgetter, ne
from typing import Any, Protocol

from agent.driver import Batch, Root
from agent.errors import VirtmapError
from agent.model import MODEL, Host
from agent.schema.declare import Index, Key, Role, Row
from agent.snapshot import Arc, Records, Snapshot, Table, Values, atoms, key_getter

log = logging.getLogger("virtmap.inventory")

Layers = tuple[tuple[Values, ...], ...]
"""The rows of one root, by their place in the family of the root's row."""

DRIVEN: tuple[type[Row], ...] = tuple(r for r in MODEL.rows if not r.internal)
"""Rows that drivers fill; a parent always stands before its children."""

_FAMILY: Mapping[type[Row], tuple[type[Row], ...]] = {
    top: tuple(row for row in DRIVEN if row.root() is top) for top in DRIVEN if top.parent_row is None
}
"""A row without a parent, and all that can belong to it: itself, then its children, each after the row above it."""

_PLACE = {row: i for family in _FAMILY.values() for i, row in enumerate(family)}

_KEY = {row: key_getter(row) for row in DRIVEN}
"""How to get the key of a row from its values."""

_GROUPING = {
    row: (row.root(), _PLACE[row], itemgetter(*(f.position for f in row.key_fields()[: len(row.root().key_fields())])))
    for row in DRIVEN
}
"""The root of a row, the row's place in its family, and how to get what names the root from the row's values."""

FEW = 16
"""Roots, and one for each hundred there are, whose rows are replaced in the tables before; for more these are made anew."""

_WIDTH = {row: sum(f.role is Role.PARENT for f in row.fields) for row in DRIVEN}
"""How many of the row's key values are those of the row above it."""


class Indexes(Protocol):
    """Gives rows their persistent SNMP index arcs. Called in worker threads."""

    def allocate(self, hypervisor: str, table: int, parent: Arc, keys: Sequence[str]) -> list[int]: ...

    def allocate_many(
        self, hypervisor: str, table: int, wanted: Sequence[tuple[Arc, Sequence[str]]]
    ) -> list[list[int]]: ...


@dataclass(slots=True)
class _Known:
    """What was last read of one root. `began` is when that reading began, to tell which of two readings is newer.

    `keys` are the keys of the rows in the order they were read in, `order` how to put each layer into the order of its
    arcs (None: it is; and None if all are), `arcs` the index arcs in that order, `lengths` how many rows each layer has, and
    `present` which of them have any. They are made when the keys change.
    """

    began: float
    rows: Layers
    failed: bool = False
    keys: tuple[tuple[Key, ...], ...] = ()
    order: tuple[tuple[int, ...] | None, ...] | None = None
    arcs: tuple[tuple[Arc, ...], ...] = ()
    lengths: tuple[int, ...] = ()
    present: tuple[int, ...] = ()


@dataclass(slots=True)
class Read:
    """The outcome of one piece: rows by root, failures by root, and the roots that it was to read."""

    began: float
    roots: frozenset[Root]
    rows: dict[Root, Layers]
    failed: Mapping[Root, VirtmapError]


def root_of(row: type[Row], key: Key) -> Root:
    """The root that a row belongs to."""
    top = row.root()
    return top, key[: len(top.key_fields())]


def grouped(batch: Batch, roots: frozenset[Root], began: float) -> Read:
    """A batch by roots and layers, for a piece that was to read these roots and began at this moment."""
    rows: dict[Root, tuple[list[Values], ...]] = {}
    last_top, last_name = None, None
    layers: tuple[list[Values], ...] = ()
    for row in batch.rows:
        kind = type(row)
        top, place, name_of = _GROUPING[kind]
        values = atoms(kind, row.values)
        name = name_of(values)
        if name != last_name or top is not last_top:  # the rows of a root mostly come one after the other
            last_top, last_name = top, name
            root = (top, name if type(name) is tuple else (name,))
            found = rows.get(root)
            if found is None:
                found = rows[root] = tuple([] for _ in _FAMILY[top])
            layers = found
        layers[place].append(values)
    made = {root: tuple(map(tuple, layers)) for root, layers in rows.items()}
    return Read(began=began, roots=roots, rows=made, failed=batch.failed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """A table in which some rows were replaced, none came and none went: as it was, as it is, the places of these rows, and what
    they were. `moved` are those of them that have another value in a column, by the position of the column."""

    before: Table
    table: Table
    places: Sequence[int]
    old: Sequence[Values]
    moved: Mapping[int, Sequence[int]]


def patched(before: Snapshot, reads: Iterable[Read]) -> list[Patch] | None:
    """What readings of a few roots change in a snapshot, without laying it out anew; None if rows came, went or failed, which
    takes more. Quick: fit for the loop's thread."""
    changes: dict[type[Row], dict[int, Values]] = {}
    tables = {top: [before.table(row) for row in family] for top, family in _FAMILY.items()}
    for read in reads:
        if read.failed or read.rows.keys() != read.roots:
            return None
        for (top, key), layers in read.rows.items():
            place = before.table(top).find(key)
            if place is None:
                return None
            arc = before.table(top).indexes[place]
            for table, rows in zip(tables[top], layers, strict=True):
                if not rows and not table.indexes:
                    continue
                found = _places(table, top, arc, rows)
                if found is None:
                    return None
                records = table.records
                for at, values in zip(found, rows, strict=True):
                    if records[at] != values:
                        changes.setdefault(table.row, {})[at] = values
    return [_patch(before.table(row), changed) for row, changed in changes.items()]


def _patch(before: Table, changes: Mapping[int, Values]) -> Patch:
    whole = before.records if isinstance(before.records, Records) else Records(before.records)
    old = tuple(map(before.records.__getitem__, changes))
    moved: dict[int, list[int]] = {}
    for (place, now), was in zip(changes.items(), old, strict=True):
        for position in compress(count(), map(ne, was, now)):
            moved.setdefault(position, []).append(place)
    table = Table(before.row, whole.replaced(changes), before.indexes, before)
    return Patch(before=before, table=table, places=tuple(changes), old=old, moved=moved)


def _places(table: Table, top: type[Row], arc: Arc, rows: Sequence[Values]) -> list[int] | None:
    """Where the rows of one root stand in a table; None if they are not the very ones that stand there."""
    indexes, scalar, first = table.indexes, top.index is Index.SCALAR, arc[0]
    if not rows:
        at = 0 if scalar else bisect_left(indexes, arc)
        return None if at < len(indexes) and (scalar or indexes[at][0] == first) else []
    found = [at for at in map(table.find, map(_KEY[table.row], rows)) if at is not None]
    if len(set(found)) != len(rows):
        return None
    low, high = min(found), max(found)
    if high - low + 1 != len(found):
        return None  # others stand between
    if scalar:
        return found if len(found) == len(indexes) else None
    beside = [indexes[at][0] for at in (low - 1, high + 1) if 0 <= at < len(indexes)]
    return found if indexes[low][0] == first == indexes[high][0] and first not in beside else None


class Layout:
    """The rows of one hypervisor, by root."""

    def __init__(self, hypervisor: str, indexes: Indexes, host: Host) -> None:
        """`host` is what is known of the host before anything was read."""
        self.name = hypervisor
        self._indexes = indexes
        self._host: Root = (Host, host.key)
        self.left_out: list[str] = []  # what could not be laid out last time, and why
        self.patched = False
        """Whether the last tables are those before with some rows replaced."""
        self._fresh: set[Root] = set()  # read since the last tables
        self._last: list[Table] = []
        self._known: dict[Root, _Known] = {self._host: _Known(began=0.0, rows=_only(Host, host.values))}

    @property
    def roots(self) -> frozenset[Root]:
        return frozenset(self._known)

    @property
    def failed(self) -> Mapping[type[Row], int]:
        """How many roots of each row could not be read the last time."""
        return Counter(root[0] for root, known in self._known.items() if known.failed)

    def take(self, read: Read) -> None:
        """Take over what a piece read."""
        self._fresh.update(read.rows, read.roots)
        for root, rows in read.rows.items():
            known = self._known.get(root)
            if known is None:
                self._known[root] = _Known(began=read.began, rows=rows)
            elif known.began <= read.began:
                known.began, known.rows, known.failed = read.began, rows, False
        for root in read.roots:
            known = self._known.get(root)
            if root in read.failed:
                if known is None:
                    known = self._known[root] = _Known(began=read.began, rows=_only(root[0], _bare(root, self.name)))
                elif known.began > read.began:
                    continue  # it was read since
                known.began, known.failed = read.began, True
                _mark(known, root[0], problem=str(read.failed[root]))
            elif root not in read.rows and known is not None and known.began <= read.began and root[0] is not Host:
                del self._known[root]

    def drop(self, roots: Iterable[Root], began: float) -> None:
        """Forget roots that a plan which began at this moment did not name. The host is never forgotten."""
        for root in roots:
            known = self._known.get(root)
            if known is not None and known.began <= began and root[0] is not Host:
                del self._known[root]
                self._fresh.add(root)

    def began(self, root: Root) -> float:
        """When the reading of a root began that counts; before all times if there is none."""
        known = self._known.get(root)
        return float("-inf") if known is None else known.began

    def shown(self, snapshot: Snapshot) -> None:
        """This is published; readings that were patched into it are to be taken with the next tables."""
        self._last = [snapshot.table(row) for row in DRIVEN]

    def mark_host(self, **changes: Any) -> None:
        """Change columns of the host's row: what the inventory knows of the connection."""
        self._fresh.add(self._host)
        _mark(self._known[self._host], Host, **changes)

    def tables(self, before: Snapshot) -> list[Table]:
        """All tables as they are now. What did not change is shared with the snapshot before: a table, if none of its rows
        was read anew; its indexes, if none came or went."""
        made = self._patches(before)
        self.patched = made is not None
        self._last = self._anew(before) if made is None else made
        self._fresh.clear()
        return self._last

    def _patches(self, before: Snapshot) -> list[Table] | None:
        """The tables before, with the rows of those few roots replaced that were read since; None if that is not all."""
        if self.left_out or not self._last or len(self._fresh) > FEW + len(self._known) // 100:
            return None
        if any(before.table(table.row) is not table for table in self._last):
            return None  # it was laid out for nobody: what was read for it is in no table
        records: dict[type[Row], list[Values]] = {}
        for root in self._fresh:
            known = self._known.get(root)
            if known is None or not _arranged(root[0], known):
                return None
            for row, arcs, rows in zip(_FAMILY[root[0]], known.arcs, _ordered(known), strict=True):
                if arcs:
                    table = before.table(row)
                    start = bisect_left(table.indexes, arcs[0])
                    if table.indexes[start : start + len(arcs)] != arcs:
                        return None
                    records.setdefault(row, list(table.records))[start : start + len(arcs)] = rows
        return [
            Table(t.row, Records(records[t.row]), t.indexes, t) if t.row in records else t
            for t in map(before.table, DRIVEN)
        ]

    def _anew(self, before: Snapshot) -> list[Table]:
        """All tables, put together from all roots."""
        told, self.left_out = self.left_out, []
        roots: dict[type[Row], list[Root]] = defaultdict(list)
        for root in self._known:
            roots[root[0]].append(root)
        laid: dict[type[Row], tuple[list[Arc], list[Values]]] = {row: ([], []) for row in DRIVEN}
        for top, found in roots.items():
            arcs_of_roots = sorted(self._root_arcs(top, found))
            family = [laid[row] for row in _FAMILY[top]]
            self._allocate_children(top, arcs_of_roots)
            for arc, root in arcs_of_roots:
                known = self._known[root]
                if not _arranged(top, known):
                    try:
                        self._arrange(top, known, arc)
                    except VirtmapError as error:
                        self.left_out.append(f"{'/'.join(map(str, root[1]))} is left out: {error}")
                        continue
                its_arcs, its_rows = known.arcs, _ordered(known)
                for place in known.present:
                    arcs, records = family[place]
                    arcs.extend(its_arcs[place])
                    records.extend(its_rows[place])
        for line in self.left_out:  # once, not at each reading: a full disk is not helped by a growing log
            if line not in told:
                log.error("%s: %s", self.name, line)
        return [_table(row, arcs, records, before) for row, (arcs, records) in laid.items()]

    def _root_arcs(self, top: type[Row], roots: Sequence[Root]) -> list[tuple[Arc, Root]]:
        if top.index is Index.SCALAR:
            return [((0,), root) for root in roots]
        try:
            numbers = self._indexes.allocate(self.name, top.table, (), [_text(root[1]) for root in roots])
        except VirtmapError as error:  # a full disk, say: what is new has to wait, what has its arc goes on
            self.left_out.append(f"new rows are left out: {error}")
            roots = [root for root in roots if any(self._known[root].arcs)]
            numbers = [self._known[root].arcs[_PLACE[top]][0][0] for root in roots]
        return [((n,), root) for n, root in zip(numbers, roots, strict=True)]

    def _allocate_children(self, top: type[Row], roots: Sequence[tuple[Arc, Root]]) -> None:
        """Give the children of new roots their arcs in one go: each commit on its own would wait for the disk."""
        new = {root[1]: (arc, self._known[root].rows) for arc, root in roots if not self._known[root].arcs}
        given: dict[type[Row], dict[Key, Arc]] = {top: {key: arc for key, (arc, _) in new.items()}}
        with suppress(VirtmapError):  # each will be asked for again, and told of, on its own
            for row in _FAMILY[top]:
                if new and row.parent_row in given:
                    above, width = given[row.parent_row], _WIDTH[row]
                    found = (key for _, rows in new.values() for key in map(_KEY[row], rows[_PLACE[row]]))
                    keys = [key for key in found if key[:width] in above]
                    given[row] = dict(zip(keys, self._child_arcs(row, keys, above), strict=True))

    def _arrange(self, top: type[Row], known: _Known, arc: Arc) -> None:
        """Give the rows of one root their arcs."""
        known.rows, keys = _sound(top, known.rows, _keys(top, known.rows))
        known.arcs, known.order = self._arcs(top, keys, arc)
        known.keys = keys
        known.lengths = tuple(map(len, keys))
        known.present = tuple(compress(count(), keys))

    def _arcs(
        self, top: type[Row], keys: Sequence[Sequence[Key]], arc: Arc
    ) -> tuple[tuple[tuple[Arc, ...], ...], tuple[tuple[int, ...] | None, ...] | None]:
        """Arcs for the rows with these keys, layer by layer, in their order, and how to get to that order."""
        given: dict[type[Row], dict[Key, Arc]] = {}
        arcs: list[tuple[Arc, ...]] = []
        orders: list[tuple[int, ...] | None] = []
        for row, own in zip(_FAMILY[top], keys, strict=True):
            made = [arc] * len(own) if row.parent_row is None else self._child_arcs(row, own, given[row.parent_row])
            given[row] = dict(zip(own, made, strict=True))
            order = tuple(sorted(range(len(made)), key=made.__getitem__))
            arcs.append(tuple(made[i] for i in order))
            orders.append(None if order == tuple(range(len(made))) else order)
        return tuple(arcs), tuple(orders) if any(orders) else None

    def _child_arcs(self, row: type[Row], keys: Sequence[Key], parents: Mapping[Key, Arc]) -> list[Arc]:
        width = _WIDTH[row]
        above = row.parent_row
        scalar = above is not None and above.index is Index.SCALAR  # whose instance part, 0, is no part of an index
        if row.index is Index.SHARED:
            return [parents[k] for k in keys]
        if row.index in (Index.NATURAL, Index.DIRECT):
            first = 1 if row.index is Index.NATURAL else 0
            return [(*(() if scalar else parents[k[:width]]), k[-1] + first) for k in keys]
        siblings: dict[Arc, list[Key]] = defaultdict(list)
        for k in keys:
            siblings[() if scalar else parents[k[:width]]].append(k)
        wanted = [(parent, [_text(k[width:]) for k in own]) for parent, own in siblings.items()]
        made: dict[Key, Arc] = {}
        given = self._indexes.allocate_many(self.name, row.table, wanted) if wanted else []
        for (parent, own), numbers in zip(siblings.items(), given, strict=True):
            made.update((k, (*parent, n)) for k, n in zip(own, numbers, strict=True))
        return [made[k] for k in keys]


_KEYS = {top: tuple(_KEY[row] for row in family) for top, family in _FAMILY.items()}


def _keys(top: type[Row], layers: Layers) -> tuple[tuple[Key, ...], ...]:
    """The keys of the rows, layer by layer."""
    return tuple([tuple(map(key, records)) if records else () for key, records in zip(_KEYS[top], layers, strict=True)])


def _arranged(top: type[Row], known: _Known) -> bool:
    """Whether the rows of a root have their arcs: those that were given to these very keys."""
    rows, keys, getters = known.rows, known.keys, _KEYS[top]
    if not known.arcs or tuple(map(len, rows)) != known.lengths:
        return False
    return all(tuple(map(getters[place], rows[place])) == keys[place] for place in known.present)


def _ordered(known: _Known) -> Layers:
    """The rows of a root, each layer in the order of its arcs."""
    if known.order is None:
        return known.rows
    return tuple(
        tuple(map(records.__getitem__, order)) if order else records
        for records, order in zip(known.rows, known.order, strict=True)
    )


def _sound(
    top: type[Row], layers: Layers, keys: tuple[tuple[Key, ...], ...]
) -> tuple[Layers, tuple[tuple[Key, ...], ...]]:
    """The rows without those that have the key of another one, or no parent: an OID is for one row only."""
    kept_rows: list[tuple[Values, ...]] = []
    kept_keys: list[tuple[Key, ...]] = []
    for row, records, own in zip(_FAMILY[top], layers, keys, strict=True):
        above = None if row.parent_row is None else frozenset(kept_keys[_PLACE[row.parent_row]])
        width = _WIDTH[row]
        kept = {k: v for k, v in zip(own, records, strict=True) if above is None or k[:width] in above}
        if len(kept) != len(own):
            log.warning("%s: %d rows stand twice or alone, such as %s", row.__name__, len(own) - len(kept), own[-1])
        kept_rows.append(tuple(kept.values()))
        kept_keys.append(tuple(kept))
    return tuple(kept_rows), tuple(kept_keys)


def _only(row: type[Row], values: Values) -> Layers:
    """The layers of a root of which only its own row is known."""
    return tuple((atoms(row, values),) if r is row else () for r in _FAMILY[row])


def _text(key: Key) -> str:
    return "\x1f".join(map(str, key))


def _bare(root: Root, hypervisor: str) -> Values:
    """A row of which nothing is known but its key."""
    row, key = root
    names = [f.name for f in row.key_fields()]
    more = {"host": hypervisor} if "host" in row.positions else {}
    return row(**dict(zip(names, key, strict=True)), **more).values


def _mark(known: _Known, row: type[Row], **changes: Any) -> None:
    """Change columns of the root's own row, those that it has."""
    changes = {k: v for k, v in changes.items() if k in row.positions}
    if changes:
        marked = tuple(atoms(row, row.of_values(v).replace(**changes).values) for v in known.rows[_PLACE[row]])
        known.rows = tuple(marked if r is row else layer for r, layer in zip(_FAMILY[row], known.rows, strict=True))


def _table(row: type[Row], arcs: list[Arc], values: list[Values], before: Snapshot) -> Table:
    indexes = tuple(arcs)
    old = before.table(row).indexes
    return Table(row, Records(values), old if old == indexes else indexes, before.table(row))
