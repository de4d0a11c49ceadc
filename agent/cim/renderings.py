"""Instances as bytes, made once for each snapshot and used again by every request until there is a newer one.

What is kept is bounded in bytes. When there is no room, what was not asked for lately goes, the longest unused first. Nothing
else does: a table that is larger than the bound keeps what was made first, since throwing out the front of what is read from
front to end would help nobody.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.cim.classes import InstanceClass
from agent.cim.instances import Selection, Template, Wanted, instance_parts, name_parts
from agent.snapshot import Table

__all__ = ["NAME", "Renderings"]

#: Bytes that are kept: 10,000 domains with all properties take 75 MB.
LIMIT = 80 * 1024 * 1024

#: Seconds without being asked for after which something may go.
LATELY = 2.0

#: Bytes of Python that one kept instance costs beside its own.
OVERHEAD = 130

#: Rows rendered at once: half a millisecond of the largest class, so that nobody else waits for long.
CHUNK = 32

#: Templates, and choices of properties of one table, that are kept; clients choose property lists freely.
TEMPLATES = 256
CHOICES = 256


class _Name:
    """Asks for the name of an instance in place of some of its properties."""


NAME = _Name()

Part = Wanted | _Name
Key = tuple[str, str, Part]


@dataclass(slots=True)
class _Kept:
    """The bytes of rows of one table, by their places."""

    table: Table
    made: dict[int, bytes]
    size: int = 0
    used: float = 0.0


class Renderings:
    """INSTANCE and INSTANCENAME elements of rows. Asked in the event loop's thread."""

    def __init__(self, origins: Callable[[str], Mapping[str, str]], limit: int = LIMIT) -> None:
        """``origins`` gives, for a class, the class that each of its properties stems from."""
        self.origins = origins
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._templates: OrderedDict[tuple[str, Part], Template] = OrderedDict()

    @property
    def size(self) -> int:
        """Bytes that are kept now."""
        return self._size

    def of(
        self, cls: InstanceClass, part: Part, hypervisor: str, table: Table, places: Sequence[int]
    ) -> Sequence[bytes]:
        """The elements of the rows at these places of a table, in order; at least one place."""
        part = self._known(cls, part)
        kept = self._entry((cls.name, hypervisor, part), table)
        found: list[bytes | None] = list(map(kept.made.get, places))
        if not all(found):
            self._make(cls, part, hypervisor, kept, [p for p, f in zip(places, found, strict=True) if f is None], found)
        return found  # type: ignore[return-value]  # none is None any more

    def _known(self, cls: InstanceClass, part: Part) -> Part:
        """What is asked for, without properties that the class has not: of these a client can think up any number."""
        if isinstance(part, _Name) or part.properties is None:
            return part
        properties = part.properties & cls.property_names
        return part if len(properties) == len(part.properties) else replace(part, properties=properties)

    def drop_stale(self, is_current: Callable[[str, Table], bool]) -> None:
        """Forget what was made of tables that a hypervisor, by its name, has no more."""
        for key in [k for k, kept in self._kept.items() if not is_current(k[1], kept.table)]:
            self._size -= self._kept.pop(key).size

    def _make(
        self, cls: InstanceClass, part: Part, hypervisor: str, kept: _Kept, missing: Sequence[int],
        found: list[bytes | None],
    ) -> None:  # fmt: skip
        """Put the elements of the missing places where there is a None, and keep them if there is room."""
        template, records = self._template(cls, part), kept.table.records
        holes = [i for i, f in enumerate(found) if f is None]
        for start in range(0, len(missing), CHUNK):
            places = missing[start : start + CHUNK]
            texts = (
                template.render(Selection([records[place] for place in places], hypervisor))
                if len(places) > 1
                else [template.render_one(records[places[0]], hypervisor)]
            )
            fresh = list(map(str.encode, texts))
            for hole, element in zip(holes[start : start + CHUNK], fresh, strict=True):
                found[hole] = element
            size = sum(map(len, fresh)) + OVERHEAD * len(fresh)
            if self._room(kept, size):
                for place, element in zip(places, fresh, strict=True):
                    kept.made[place] = element
                kept.size += size
                self._size += size

    def _room(self, kept: _Kept, size: int) -> bool:
        """Whether so many bytes more can be kept, if need be in place of what was not asked for lately."""
        while self._size + size > self._limit:
            oldest = next(iter(self._kept))
            if kept.used - self._kept[oldest].used < LATELY:
                return False
            self._size -= self._kept.pop(oldest).size
        return True

    def _entry(self, key: Key, table: Table) -> _Kept:
        kept = self._kept.get(key)
        if kept is None or kept.table is not table:
            if kept is not None:
                self._size -= kept.size
            kept = self._kept[key] = _Kept(table=table, made={})
            while len(self._kept) > CHOICES:
                self._size -= self._kept.popitem(last=False)[1].size
        kept.used = time.monotonic()
        self._kept.move_to_end(key)
        return kept

    def _template(self, cls: InstanceClass, part: Part) -> Template:
        template = self._templates.get((cls.name, part))
        if template is None:
            if isinstance(part, _Name):
                template = Template(name_parts(cls))
            else:
                origins = self.origins(cls.name) if part.class_origin else None
                template = Template(instance_parts(cls, part.properties, origins))
            self._templates[cls.name, part] = template
            while len(self._templates) > TEMPLATES:
                self._templates.popitem(last=False)
        return template
