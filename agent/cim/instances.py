"""Instances as CIM-XML, by the thousand: rows of a table, column by column, into the text of their elements.

For each class and choice of properties a template is compiled once: text that is the same for every instance, and slots in
between, each of which turns a stretch of a column into elements. An instance is a format of Python's filled for its row,
which costs half of what joining its fragments does. Columns of few values (enumerations, flags) are looked up, never
formatted. Numbers, the most by far, stand in the format as they are, since a column that hypervisors know in one row they
know in nearly all; one that turns out to hold a NULL brings whole elements from then on.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import repeat
from typing import Any

from agent.cim.classes import Column, Filled, Fixed, HypervisorName, InstanceClass, InstanceProperty, Source
from agent.cim.messages import atom, escape
from agent.schema.declare import Field

__all__ = [
    "Form",
    "Selection",
    "Template",
    "Wanted",
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
    """What stands around an instance, or its name, in the answers of the operations (DSP0200 5.3.2, 5.4.2)."""

    NAME = "INSTANCENAME"
    INSTANCE = "INSTANCE"
    NAMED = "VALUE.NAMEDINSTANCE"
    OBJECT = "VALUE.OBJECTWITHPATH"
    PATH = "OBJECTPATH"
    WITH_PATH = "VALUE.INSTANCEWITHPATH"
    INSTANCE_PATH = "INSTANCEPATH"

    @property
    def has_name(self) -> bool:
        return self is not Form.INSTANCE

    @property
    def has_instance(self) -> bool:
        return self not in (Form.NAME, Form.PATH, Form.INSTANCE_PATH)

    def around(self, where: str, name: str, instance: str) -> str:
        """The form of these texts; ``where`` is a NAMESPACEPATH."""
        path = f"<INSTANCEPATH>{where}{name}</INSTANCEPATH>"
        match self:
            case Form.NAME:
                return name
            case Form.INSTANCE:
                return instance
            case Form.INSTANCE_PATH:
                return path
            case Form.NAMED:
                return f"<{self.value}>{name}{instance}</{self.value}>"
            case Form.OBJECT | Form.WITH_PATH:
                return f"<{self.value}>{path}{instance}</{self.value}>"
            case Form.PATH:
                return f"<{self.value}>{path}</{self.value}>"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What of an instance the client wants: properties in lower case or None for all, and where they stem from."""

    properties: frozenset[str] | None = None
    class_origin: bool = False


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


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place in a format: the columns it is made of, and the function from their values to an element. Without columns the
    element is made of the hypervisor's name."""

    part: Dynamic
    columns: tuple[int, ...]
    element: Callable[..., str]


class Template:
    """Parts put together for speed."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._texts = [""]
        self._slots: list[Slot] = []
        for part in parts:
            if isinstance(part, str):
                self._texts[-1] += part
            else:
                self._slots.append(_slot(part))
                self._texts.append("")
        self._bare = [_is_number(slot.part) for slot in self._slots]
        self._format = self._formatted()

    def render(self, selection: Selection) -> list[str]:
        """One text for each row of the selection, in order."""
        if not selection.size or not self._slots:
            return ["".join(self._texts)] * selection.size
        try:
            return self._filled(selection)
        except TypeError:  # %d of None
            self._widen(lambda column: None in selection.take(column))
            return self._filled(selection)

    def render_one(self, record: tuple[Any, ...], hypervisor: str) -> str:
        """The text of one row, without the detour over columns."""
        try:
            return self._filled_one(record, hypervisor)
        except TypeError:
            self._widen(lambda column: record[column] is None)
            return self._filled_one(record, hypervisor)

    def _filled(self, selection: Selection) -> list[str]:
        take = selection.take
        columns: list[Iterable[Any]] = []
        for slot, bare in zip(self._slots, self._bare, strict=True):
            if bare:
                columns.append(take(slot.columns[0]))
            elif slot.columns:
                columns.append(map(slot.element, *map(take, slot.columns)))
            else:
                columns.append(repeat(slot.element(selection.hypervisor), selection.size))
        return list(map(self._format.__mod__, zip(*columns, strict=True)))

    def _filled_one(self, record: tuple[Any, ...], hypervisor: str) -> str:
        values: list[Any] = []
        for slot, bare in zip(self._slots, self._bare, strict=True):
            columns = slot.columns
            if bare:
                values.append(record[columns[0]])
            elif len(columns) == 1:
                values.append(slot.element(record[columns[0]]))
            else:
                values.append(slot.element(*[record[c] for c in columns] if columns else (hypervisor,)))
        return self._format % tuple(values)

    def _widen(self, has_null: Callable[[int], bool]) -> None:
        """Have columns of numbers with a NULL bring whole elements."""
        self._bare = [
            bare and not has_null(slot.columns[0]) for slot, bare in zip(self._slots, self._bare, strict=True)
        ]
        self._format = self._formatted()

    def _formatted(self) -> str:
        """The format, with elements around the numbers that come bare."""
        pieces = [self._texts[0].replace("%", "%%")]
        for slot, bare, text in zip(self._slots, self._bare, self._texts[1:], strict=True):
            pieces.append(f"{slot.part.before}%d{slot.part.after}" if bare else "%s")
            pieces.append(text.replace("%", "%%"))
        return "".join(pieces)


def _is_number(part: Dynamic) -> bool:
    """Whether the values may stand in a format as they are."""
    match part.source:
        case Column(spec=spec):
            return part.type.startswith(("uint", "sint")) and _known_values(spec) is None
    return False


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


def reference(namespace: str | None, instance_name: str) -> str:
    """VALUE.REFERENCE to an instance of this server, from its INSTANCENAME; without a namespace in that of the request."""
    if namespace is None:
        return f"<VALUE.REFERENCE>{instance_name}</VALUE.REFERENCE>"
    return (
        f"<VALUE.REFERENCE><LOCALINSTANCEPATH>{local_namespace_path(namespace)}{instance_name}"
        "</LOCALINSTANCEPATH></VALUE.REFERENCE>"
    )


# --- slots ------------------------------------------------------------------------------------------------------------


def _slot(part: Dynamic) -> Slot:
    def element(value: Any) -> str:
        return part.null if value is None else f"{part.before}{_text(value)}{part.after}"

    match part.source:
        case HypervisorName():
            return Slot(part=part, columns=(), element=element)
        case Column(spec=spec):
            return Slot(part=part, columns=(spec.position,), element=_of_column(spec, part, element))
        case Filled() as source:
            columns = tuple(spec.position for spec in source.columns)
            value_of = source.function()

            def made(*values: Any) -> str:
                return element(value_of(*values))

            # What is made of a single column is made once for each value that the column takes.
            return Slot(part=part, columns=columns, element=made if len(columns) > 1 else lru_cache(maxsize=4096)(made))
        case Fixed():
            raise TypeError("a fixed value is text, not a slot")


def _of_column(spec: Field, part: Dynamic, element: Callable[[Any], str]) -> Callable[[Any], str]:
    """The quickest function from the values of a column to elements."""
    known = _known_values(spec)
    if known is not None:
        return {value: element(value) for value in (None, *known)}.__getitem__
    before, after, null = part.before, part.after, part.null
    if part.type == "string":

        def of_text(text: str | None) -> str:
            if text is None:
                return null
            return f"{before}{escape(text)}{after}"

        return of_text
    if part.type == "datetime":
        return lambda moment: null if moment is None else before + timestamp(moment) + after
    return element


def _known_values(spec: Field) -> tuple[Any, ...] | None:
    """All values of an enumeration or a flag; None for a field that has no end of them."""
    if spec.enumeration is not None:
        return tuple(spec.enumeration)
    return (True, False) if spec.semantic.python is bool else None


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


@lru_cache(maxsize=4096)
def timestamp(moment: datetime) -> str:
    """A CIM datetime in UTC (DSP0004 5.2.4)."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y%m%d%H%M%S}.{moment.microsecond:06d}+000"


def _text(value: Any) -> str:
    """The text between the tags of a VALUE, or of a VALUE.ARRAY for a tuple."""
    match value:
        case str():
            return escape(value)
        case tuple() | list():
            return "".join(f"<VALUE>{_text(each)}</VALUE>" for each in value)
        case datetime():
            return timestamp(value)
    return atom(value)
