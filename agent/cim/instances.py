"""Instances as CIM-XML, by the thousand: rows of a table, column by column, into the text of their elements.

For each class and choice of properties a template is compiled once: text that is the same for every instance, and
writers in between that turn a stretch of a column into fragments. An instance is the join of its fragments. Columns of
few values (enumerations, flags) are looked up, never formatted.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import repeat
from typing import Any

from agent.cim.classes import Column, Filled, Fixed, HypervisorName, InstanceClass, InstanceProperty, Source
from agent.cim.messages import escape
from agent.schema.declare import Field

__all__ = [
    "Form",
    "Selection",
    "Template",
    "Wanted",
    "form_of",
    "instance_parts",
    "local_namespace_path",
    "name_parts",
    "namespace_path",
    "reference",
    "timestamp",
    "value",
]


class Selection:
    """Some rows of one table, by columns: ``records`` are values in the order of the row's fields."""

    __slots__ = ("_columns", "hypervisor", "size")

    def __init__(self, records: Sequence[tuple[Any, ...]], hypervisor: str) -> None:
        self.size = len(records)
        self.hypervisor = hypervisor
        self._columns: tuple[Sequence[Any], ...] = tuple(zip(*records, strict=True))

    def take(self, position: int) -> Sequence[Any]:
        """One column's values for the selected rows; there is at least one."""
        return self._columns[position]


class Form(enum.Enum):
    """What stands around an instance, or its name, in the answers of the operations (DSP0200 5.3.2)."""

    NAME = "INSTANCENAME"
    INSTANCE = "INSTANCE"
    NAMED = "VALUE.NAMEDINSTANCE"
    OBJECT = "VALUE.OBJECTWITHPATH"
    PATH = "OBJECTPATH"

    def around(self, where: str, name: str, instance: str) -> str:
        """The form of these texts; ``where`` is a NAMESPACEPATH."""
        match self:
            case Form.NAME:
                return name
            case Form.INSTANCE:
                return instance
            case Form.NAMED:
                return f"<{self.value}>{name}{instance}</{self.value}>"
            case Form.OBJECT:
                return f"<{self.value}><INSTANCEPATH>{where}{name}</INSTANCEPATH>{instance}</{self.value}>"
            case Form.PATH:
                return f"<{self.value}><INSTANCEPATH>{where}{name}</INSTANCEPATH></{self.value}>"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What of an instance the client wants: properties in lower case or None for all, and where they stem from."""

    properties: frozenset[str] | None = None
    class_origin: bool = False


#: Turns the rows of a selection into one fragment each.
Writer = Callable[[Selection], Iterable[str]]


@dataclass(frozen=True, kw_only=True)
class Dynamic:
    """A place in a template that differs from row to row: text before and after a value, and what stands for None."""

    source: Source
    type: str
    array: bool
    before: str
    after: str
    null: str


Part = str | Dynamic


class Template:
    """Parts put together for speed: constant text is carried by the writer that follows it."""

    def __init__(self, parts: Iterable[Part]) -> None:
        pending: list[str] = []
        self._writers: list[Writer] = []
        for part in parts:
            if isinstance(part, str):
                pending.append(part)
                continue
            ahead = "".join(pending)
            pending.clear()
            self._writers.append(_writer(part, ahead))
        self._tail = "".join(pending)

    def render(self, selection: Selection) -> list[str]:
        """One text for each row of the selection, in order."""
        if not selection.size or not self._writers:
            return [self._tail] * selection.size
        written = [writer(selection) for writer in self._writers]
        return list(map("".join, zip(*written, repeat(self._tail))))


def form_of(
    cls: InstanceClass, form: Form, wanted: frozenset[str] | None, origins: Mapping[str, str] | None, where: str
) -> Template:
    """The template of a class for a form of answer."""
    parts: list[Part] = []
    inside = {"\0name": name_parts(cls), "\0instance": instance_parts(cls, wanted, origins)}
    for piece in re.split("(\0[a-z]+\0)", form.around(where, "\0name\0", "\0instance\0")):
        parts += inside[piece[:-1]] if piece.startswith("\0") else [piece]
    return Template(parts)


# --- parts ------------------------------------------------------------------------------------------------------------


def instance_parts(
    cls: InstanceClass, wanted: frozenset[str] | None = None, origins: Mapping[str, str] | None = None
) -> list[Part]:
    """INSTANCE with the wanted properties (names in lower case; None for all), NULL ones without a value.

    No element is written in the short form of an empty one, which the parser of sblim's wbemcli does not know.
    ``origins`` tells the class that each property stems from, when the client asked for it.
    """
    parts: list[Part] = [f'<INSTANCE CLASSNAME="{cls.name}">']
    for prop in cls.properties:
        if wanted is None or prop.name.lower() in wanted:
            parts.append(_property_part(prop, origins))
    parts.append("</INSTANCE>")
    return parts


def _property_part(prop: InstanceProperty, origins: Mapping[str, str] | None) -> Part:
    tag = "PROPERTY.ARRAY" if prop.array else "PROPERTY"
    origin = f' CLASSORIGIN="{origins[prop.name.lower()]}"' if origins else ""
    head = f'<{tag} NAME="{prop.name}"{origin} TYPE="{prop.type}"'
    inner = ("<VALUE.ARRAY>", "</VALUE.ARRAY>") if prop.array else ("<VALUE>", "</VALUE>")
    before, after, null = f"{head}>{inner[0]}", f"{inner[1]}</{tag}>", f"{head}></{tag}>"
    if isinstance(prop.source, Fixed):
        return null if prop.source.value is None else f"{before}{_text(prop.source.value)}{after}"
    return Dynamic(source=prop.source, type=prop.type, array=prop.array, before=before, after=after, null=null)


def name_parts(cls: InstanceClass) -> list[Part]:
    """INSTANCENAME with all its keys."""
    parts: list[Part] = [f'<INSTANCENAME CLASSNAME="{cls.name}">']
    for prop in cls.keys:
        kind = "numeric" if prop.type.startswith(("uint", "sint")) else prop.type
        before = f'<KEYBINDING NAME="{prop.name}"><KEYVALUE VALUETYPE="{kind}" TYPE="{prop.type}">'
        after = "</KEYVALUE></KEYBINDING>"
        if isinstance(prop.source, Fixed):
            parts.append(f"{before}{_text(prop.source.value)}{after}")
        else:
            parts.append(
                Dynamic(
                    source=prop.source, type=prop.type, array=False, before=before, after=after, null=before + after
                )
            )
    parts.append("</INSTANCENAME>")
    return parts


def namespace_path(host: str, namespace: str) -> str:
    """NAMESPACEPATH of a host and a namespace."""
    return f"<NAMESPACEPATH><HOST>{escape(host)}</HOST>{local_namespace_path(namespace)}</NAMESPACEPATH>"


def local_namespace_path(namespace: str) -> str:
    """LOCALNAMESPACEPATH of a namespace."""
    names = "".join(f'<NAMESPACE NAME="{escape(name)}"/>' for name in namespace.split("/"))
    return f"<LOCALNAMESPACEPATH>{names}</LOCALNAMESPACEPATH>"


def reference(namespace: str, instance_name: str) -> str:
    """VALUE.REFERENCE to an instance of this server, from its INSTANCENAME."""
    return (
        f"<VALUE.REFERENCE><LOCALINSTANCEPATH>{local_namespace_path(namespace)}{instance_name}"
        "</LOCALINSTANCEPATH></VALUE.REFERENCE>"
    )


# --- writers ----------------------------------------------------------------------------------------------------------


def _writer(part: Dynamic, ahead: str) -> Writer:
    before, null = ahead + part.before, ahead + part.null
    match part.source:
        case HypervisorName():
            return partial(_hypervisors, before=before, after=part.after)
        case Column(spec=spec):
            return _column_writer(spec, part.type, before, part.after, null)
        case Filled() as source:
            return _filled_writer(source, part, before, null)
        case Fixed():
            raise TypeError("a fixed value is text, not a writer")


def _hypervisors(selection: Selection, *, before: str, after: str) -> Iterable[str]:
    return repeat(f"{before}{escape(selection.hypervisor)}{after}", selection.size)


def _column_writer(spec: Field, cim_type: str, before: str, after: str, null: str) -> Writer:
    at = spec.position
    known = _known_values(spec)
    if known is not None:
        table = {None: null, **{value: f"{before}{_text(value)}{after}" for value in known}}
        return lambda selection: [table[v] for v in selection.take(at)]
    if cim_type == "string":
        return lambda selection: _strings(selection.take(at), before, after, null)
    if cim_type == "datetime":
        return lambda selection: [null if v is None else before + timestamp(v) + after for v in selection.take(at)]
    return lambda selection: [null if v is None else f"{before}{v}{after}" for v in selection.take(at)]


def _known_values(spec: Field) -> tuple[Any, ...] | None:
    """All values of an enumeration or a flag; None for a field that has no end of them."""
    if spec.enumeration is not None:
        return tuple(spec.enumeration)
    return (True, False) if spec.semantic.python is bool else None


def _filled_writer(source: Filled, part: Dynamic, before: str, null: str) -> Writer:
    """Values made of columns; one made of a single column is made once for each value that the column takes."""
    after = part.after
    positions = [spec.position for spec in source.columns]

    def written(values: tuple[Any, ...]) -> str:
        value = source.value(values)
        return null if value is None else f"{before}{_text(value)}{after}"

    if len(positions) > 1:
        return lambda selection: map(written, zip(*(selection.take(p) for p in positions), strict=True))

    @lru_cache(maxsize=4096)
    def made(value: Any) -> str:
        return written((value,))

    return lambda selection: map(made, selection.take(positions[0]))


def value(source: Source, record: tuple[Any, ...], hypervisor: str) -> Any:
    """The value, in Python, that a property of this source has in one row."""
    match source:
        case Column(spec=spec):
            return record[spec.position]
        case Filled() as made:
            return made.value(tuple(record[spec.position] for spec in made.columns))
        case Fixed(value=fixed):
            return fixed
        case HypervisorName():
            return hypervisor


#: What XML has to escape or cannot hold.
_unsafe = re.compile('[&<>"\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]').search


def _strings(values: Sequence[str | None], before: str, after: str, null: str) -> list[str]:
    return [
        null if v is None else f"{before}{v}{after}" if _unsafe(v) is None else f"{before}{escape(v)}{after}"
        for v in values
    ]


@lru_cache(maxsize=4096)
def timestamp(moment: datetime) -> str:
    """A CIM datetime in UTC (DSP0004 5.2.4)."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y%m%d%H%M%S}.{moment.microsecond:06d}+000"


def _text(value: Any) -> str:
    """The text between the tags of a VALUE, or of a VALUE.ARRAY for a tuple."""
    match value:
        case tuple() | list():
            return "".join(f"<VALUE>{_text(each)}</VALUE>" for each in value)
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(int(value))
        case datetime():
            return timestamp(value)
    return escape(str(value))
