"""What an operation gives: instances from one source after the other, told in steps, as bytes.

A walk over them remembers what it told last, by arcs that a row keeps for ever, and holds on to no snapshot: it can be left
for minutes, as clients do that pull, and goes on with the rows that there are then. An answer that is sent in one go takes
all its steps in the same world, and so agrees with itself.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import pywbem

from agent.cim.associations import association_writer, bridge_writer
from agent.cim.classes import AssociationClass, InstanceClass, Link
from agent.cim.held import Bridge, instance_xml, name_xml
from agent.cim.instances import Form, Wanted, namespace_path
from agent.cim.renderings import CHUNK, NAME, Renderings
from agent.cim.text import NAMESPACE
from agent.cim.world import Anchor, Found, Neighbours, Record, Shows, World
from agent.model import Host
from agent.snapshot import Table

__all__ = [
    "Held", "Keep", "KeepPairs", "Pairs", "Rows", "Source", "Step", "Teller", "Walk", "all_pairs", "all_rows", "around",
    "here", "references",
]  # fmt: skip

#: Rows looked at in one step, when a query lets few of them through, seconds in which that ends all the same, and rows between
#: two looks at the clock.
SCAN = 512
TURN = 0.002
LOOK = 8

#: Which rows a query lets through, and which pairs of a far and a near row.
Keep = Callable[[Record], bool]
KeepPairs = Callable[[Record, Record], bool]

#: Where the rows of a source are now; None if what they belong to is there no more.
Places = Callable[[World], "tuple[Table, Sequence[int]] | None"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A piece of a result: ``data`` tells ``count`` instances, ``after`` what was looked at last, None at the end."""

    data: bytes
    count: int
    after: Any


@dataclass(frozen=True, kw_only=True)
class Teller:
    """Tells instances in one form of answer; ``host`` is this server's name in their paths."""

    renderings: Renderings
    form: Form
    wanted: Wanted
    host: str

    def rows(self, cls: InstanceClass, hypervisor: str, table: Table, places: Sequence[int]) -> bytes:
        """The instances of a class at these places of its table."""
        if not places:
            return b""
        of = self.renderings.of
        names = of(cls, NAME, hypervisor, table, places) if self.form.has_name else None
        instances = of(cls, self.wanted, hypervisor, table, places) if self.form.has_instance else None
        return self._joined(len(places), names, instances)

    def pairs(
        self, association: AssociationClass, link: Link, hypervisor: str, tables: tuple[Table, Table],
        pairs: Sequence[tuple[int, int]],
    ) -> bytes:  # fmt: skip
        """The instances of an association for pairs of a far and a near place, in the tables of far and near rows."""
        if not pairs:
            return b""
        of = self.renderings.of
        fars = of(link.far, NAME, hypervisor, tables[0], [far for far, _ in pairs])
        nears = of(link.near, NAME, hypervisor, tables[1], [near for _, near in pairs])
        write = association_writer(
            association, link, self.wanted, self.form, self._where, self._origins(association.name)
        )
        return b"".join(map(write, fars, nears))

    def spans(self, bridge: Bridge, cls: InstanceClass, hypervisor: str, table: Table, places: Sequence[int]) -> bytes:
        """The instances of an association between one instance that is held and the rows at these places."""
        if not places:
            return b""
        origins = self._origins(bridge.association)
        write = bridge_writer(bridge, cls, self.wanted, self.form, self._where, origins)
        return b"".join(map(write, self.renderings.of(cls, NAME, hypervisor, table, places)))

    def held(self, instances: Sequence[pywbem.CIMInstance]) -> bytes:
        """Instances that are held as they are, each in the namespace that its path has."""
        return "".join(
            self.form.around(
                _namespace_path(self.host, each.path.namespace),
                name_xml(each.path),
                instance_xml(each, self.wanted, self._origins(each.classname)),
            )
            for each in instances
        ).encode()

    def _origins(self, name: str) -> Mapping[str, str] | None:
        return self.renderings.origins(name) if self.wanted.class_origin else None

    def _joined(self, size: int, names: Sequence[bytes] | None, instances: Sequence[bytes] | None) -> bytes:
        """All of them, with what stands around each."""
        before, between, after = _around(self.form, self._where)
        parts = [p for p in (names, instances) if p is not None]
        step = len(parts) + 1 + (len(parts) > 1)
        pieces: list[bytes] = [after + before] * (size * step + 1)
        pieces[0], pieces[-1] = before, after
        pieces[1::step] = parts[0]
        if len(parts) > 1:
            pieces[2::step] = [between] * size
            pieces[3::step] = parts[1]
        return b"".join(pieces)

    @property
    def _where(self) -> str:
        return _namespace_path(self.host, NAMESPACE)


@lru_cache(maxsize=64)
def _namespace_path(host: str, namespace: str) -> str:
    return namespace_path(host, namespace)


@lru_cache(maxsize=64)
def _around(form: Form, where: str) -> tuple[bytes, bytes, bytes]:
    """What stands before, between and after the name and the instance."""
    pattern = form.around(where, "\0", "\0").encode().split(b"\0")
    return (pattern[0], pattern[1] if len(pattern) == 3 else b"", pattern[-1])


class Source(Protocol):
    """Instances of one kind, in an order that outlives snapshots."""

    def step(self, tell: Teller, world: World, after: Any, most: int) -> Step:
        """The next ones, at most so many, behind what was looked at last; None is the start. There may be none in it
        although it is not the end."""
        ...

    def left(self, world: World, after: Any) -> int:
        """How many there still are, before any query."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """What sources of rows have in common: the rows, wherever they are by now."""

    hypervisor: str
    places: Places

    def _next(self, world: World, after: Any, most: int) -> tuple[Table, Sequence[int]]:
        """The places to look at next, at most so many, in their table; none if there are none any more."""
        found = self.places(world)
        if found is None:
            return _NOWHERE, ()
        table, places = found
        start = _behind(table, places, after)
        return table, places[start : start + most]

    def _step(self, world: World, table: Table, looked: Sequence[int], data: bytes, count: int) -> Step:
        """The step that told so many of these places."""
        after = table.indexes[looked[-1]] if looked else None
        return Step(data=data, count=count, after=after if self.left(world, after) and looked else None)

    def left(self, world: World, after: Any) -> int:
        found = self.places(world)
        return 0 if found is None else len(found[1]) - _behind(*found, after)


_NOWHERE = Table(Host, (), ())


def _behind(table: Table, places: Sequence[int], after: Any) -> int:
    """Where in these places the first row behind an arc is."""
    return 0 if after is None else bisect_right(places, after, key=table.indexes.__getitem__)


@dataclass(frozen=True, kw_only=True)
class Rows(_Placed):
    """Rows of a table as instances of a class; over a bridge, the instances of the association with what is held there."""

    cls: InstanceClass
    keep: Keep | None = None
    bridge: Bridge | None = None

    def step(self, tell: Teller, world: World, after: Any, most: int) -> Step:
        most = min(most, CHUNK)
        if self.keep is None and not self.cls.present:
            table, looked = self._next(world, after, most)
            taken = looked
        else:
            table, ahead = self._next(world, after, SCAN)
            looked, taken = self._kept(world.shows(self.cls, self.hypervisor), table, ahead, most)
        if self.bridge is None:
            data = tell.rows(self.cls, self.hypervisor, table, taken)
        else:
            data = tell.spans(self.bridge, self.cls, self.hypervisor, table, taken)
        return self._step(world, table, looked, data, len(taken))

    def _kept(
        self, shows: Shows, table: Table, places: Sequence[int], most: int
    ) -> tuple[Sequence[int], Sequence[int]]:
        """As many of these places as were looked at until enough were found or others want their turn, and those found."""
        taken: list[int] = []
        keep, records = self.keep, table.records
        until = time.monotonic() + TURN
        for looked, place in enumerate(places, 1):
            record = records[place]
            if shows(record) and (keep is None or keep(record)):
                taken.append(place)
            if len(taken) == most or (looked % LOOK == 0 and time.monotonic() > until):
                return places[:looked], taken
        return places, taken


@dataclass(frozen=True, kw_only=True)
class Pairs(_Placed):
    """Instances of an association: for each of these rows of one end, the pair of a far and a near row that it is in."""

    association: AssociationClass
    link: Link
    #: From a world to the function that gives the pair of places, far and near, for the place of a row; None if it has none.
    pair: Callable[[World], Callable[[int], tuple[int, int] | None]]
    keep: KeepPairs | None = None

    def step(self, tell: Teller, world: World, after: Any, most: int) -> Step:
        table, looked = self._next(world, after, min(most, CHUNK if self.keep is None else LOOK))
        pairs = [each for each in map(self.pair(world), looked) if each is not None]
        tables = (world.table(self.hypervisor, self.link.far.row), world.table(self.hypervisor, self.link.near.row))
        if self.keep is not None:
            fars, nears = tables[0].records, tables[1].records
            pairs = [(far, near) for far, near in pairs if self.keep(fars[far], nears[near])]
        data = tell.pairs(self.association, self.link, self.hypervisor, tables, pairs)
        return self._step(world, table, looked, data, len(pairs))


@dataclass(frozen=True, kw_only=True)
class Held:
    """Instances that are held as they are."""

    instances: Sequence[pywbem.CIMInstance]

    def step(self, tell: Teller, world: World, after: Any, most: int) -> Step:
        start = after or 0
        taken = self.instances[start : start + min(most, CHUNK)]
        end = start + len(taken)
        return Step(data=tell.held(taken), count=len(taken), after=None if end >= len(self.instances) else end)

    def left(self, world: World, after: Any) -> int:
        return len(self.instances) - (after or 0)


# --- sources ----------------------------------------------------------------------------------------------------------


def all_rows(cls: InstanceClass, hypervisor: str, keep: Keep | None = None, bridge: Bridge | None = None) -> Rows:
    """Every instance of a class on a hypervisor, or what a bridge makes of them."""

    return Rows(cls=cls, hypervisor=hypervisor, places=_all(cls, hypervisor), keep=keep, bridge=bridge)


def here(anchor: Anchor) -> Places:
    """The place of one row."""

    def places(world: World) -> tuple[Table, Sequence[int]] | None:
        now = world.at(anchor)
        return None if now is None else (now.table, [now.place])

    return places


def _all(cls: InstanceClass, hypervisor: str) -> Places:
    def places(world: World) -> tuple[Table, Sequence[int]]:
        table = world.table(hypervisor, cls.row)
        return table, range(len(table))

    return places


def all_pairs(association: AssociationClass, link: Link, hypervisor: str, keep: KeepPairs | None = None) -> Pairs:
    """Every instance of an association on a hypervisor, by one of its links."""

    def pair(world: World) -> Callable[[int], tuple[int, int] | None]:
        find = world.finder(link, hypervisor)
        near, far = world.table(hypervisor, link.near.row).records, world.table(hypervisor, link.far.row).records
        near_shows, far_shows = world.shows(link.near, hypervisor), world.shows(link.far, hypervisor)

        def of(place: int) -> tuple[int, int] | None:
            if not near_shows(near[place]):
                return None
            there = find(near[place], place)
            return None if there is None or not far_shows(far[there]) else (there, place)

        return of

    places = _all(link.near, hypervisor)
    return Pairs(association=association, link=link, hypervisor=hypervisor, places=places, pair=pair, keep=keep)


#: Which of the neighbours of an instance are meant.
Wants = Callable[[Neighbours], bool]


def around(world: World, anchor: Anchor, wants: Wants, keep: Callable[[InstanceClass], Keep | None]) -> list[Rows]:
    """The rows associated with an instance, each once, even when several associations lead to it."""
    # What is found in one world serves all classes, and goes with that world.
    known: WeakKeyDictionary[World, list[Neighbours]] = WeakKeyDictionary()

    def groups(world: World) -> list[Neighbours]:
        if world not in known:
            now = world.at(anchor)
            known[world] = [] if now is None else list(filter(wants, world.neighbours(now)))
        return known[world]

    classes = {name: world.schema.instances[name.lower()] for name in dict.fromkeys(g.cls.name for g in groups(world))}
    return [
        Rows(
            cls=cls, hypervisor=anchor.hypervisor, places=partial(_together, groups, cls, anchor.hypervisor),
            keep=keep(cls),
        )
        for cls in classes.values()
    ]  # fmt: skip


def _together(
    groups: Callable[[World], Sequence[Neighbours]], cls: InstanceClass, hypervisor: str, world: World
) -> tuple[Table, Sequence[int]] | None:
    """The places of all groups of a class, each once."""
    found = [group for group in groups(world) if group.cls.name == cls.name]
    places = [_held_to(group, cls, hypervisor, world) for group in found]
    if len(found) < 2:
        return (found[0].table, places[0]) if found else None
    return found[0].table, sorted({place for those in places for place in those})


def _held_to(group: Neighbours, cls: InstanceClass, hypervisor: str, world: World) -> Sequence[int]:
    """The places of a group: of a whole table those that its link allows, if that is stricter than the class."""
    if not group.link.whole or len(group.cls.present) == len(cls.present):
        return group.places
    shows, records = world.shows(group.cls, hypervisor), group.table.records
    return [place for place in group.places if shows(records[place])]


def references(
    world: World, found: Found, wants: Wants, keep: Callable[[AssociationClass, Link], KeepPairs | None]
) -> list[Pairs]:
    """The instances of associations that refer to an instance."""
    groups = filter(wants, world.neighbours(found))
    anchor = found.anchor
    return [_referring(anchor, g.association, g.link, g.from_near, keep(g.association, g.link)) for g in groups]


def _referring(
    anchor: Anchor, association: AssociationClass, link: Link, from_near: bool, keep: KeepPairs | None
) -> Pairs:
    def places(world: World) -> tuple[Table, Sequence[int]] | None:
        now = world.at(anchor)
        groups = () if now is None else world.neighbours(now)
        same = (g for g in groups if g.link is link and g.from_near is from_near)
        group = next(same, None)
        return None if group is None else (group.table, group.places)

    def pair(world: World) -> Callable[[int], tuple[int, int] | None]:
        now = world.at(anchor)
        if now is None:
            return lambda _: None
        here = now.place
        if from_near:
            return lambda there: (there, here)
        shows, records = (
            world.shows(link.near, anchor.hypervisor),
            world.table(anchor.hypervisor, link.near.row).records,
        )
        return lambda there: (here, there) if shows(records[there]) else None

    return Pairs(association=association, link=link, hypervisor=anchor.hypervisor, places=places, pair=pair, keep=keep)


# --- walking ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Walk:
    """What is left of a result."""

    tell: Teller
    sources: list[Source]
    _after: Any = field(default=None)

    @property
    def done(self) -> bool:
        return not self.sources

    def step(self, world: World, most: int) -> Step:
        """The next instances, at most so many; ``after`` says nothing here. None need be in it."""
        if not self.sources:
            return Step(data=b"", count=0, after=None)
        made = self.sources[0].step(self.tell, world, self._after, most)
        self._after = made.after
        if made.after is None:
            del self.sources[0]
        return made

    def skip_empty(self, world: World) -> None:
        """Go to the next source that has something left, so that `done` is told as soon as it is so."""
        while self.sources and not self.sources[0].left(world, self._after):
            del self.sources[0]
            self._after = None

    def left(self, world: World) -> int:
        """How many instances there still are, before any query."""
        return sum(source.left(world, self._after if i == 0 else None) for i, source in enumerate(self.sources))

    def run(self, world: World) -> Iterator[bytes]:
        """All that is left, in pieces, of which some may be empty: who sends them gives others their turn in between."""
        while self.sources:
            yield self.step(world, CHUNK).data
