"""The manual, in Markdown: `mibs/README.md` for those who come with SNMP, `mof/README.md` for those who come with CIM.

Both tell of every object, attribute, operation and event: its OID, its CIM feature, the libvirt functions behind it, its
unit, and the access level that it needs. The first goes by OID, the second by class. The templates hold the words and the
layout; this module gives them the mapping in the shapes that they need, and nothing is told that the projections do not hold.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2

from agent.cim import classes
from agent.schema.declare import Access, Event, Field, Model, Operation, Row
from agent.schema.types import Enumeration, Flags, Secret, Semantic, canonical
from agent.snmp import mib
from agent.snmp import text as mib_text

PAGES = ("mibs/README.md", "mof/README.md")


def pages(model: Model, generated: str) -> dict[str, str]:
    """Both pages, by their path from the top of the checkout. `generated` is the line that says where they come from."""
    told = Told(model)
    return {
        page: _environment(told).get_template(f"{page}.j2").render(generated=generated, told=told) for page in PAGES
    }


def _environment(told: "Told") -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template), undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        {
            "oid": lambda oid: ".".join(map(str, oid)), "cell": _cell, "anchor": anchor, "prose": _prose,
            "default": _default, "limits": _limits, "members": members, "type": type_name, "camel": classes.camel,
            "level": lambda access: access.name.lower(), "cim_class": _class_of, "code": _code,
            "canonical": canonical, "syntax": mib_text.syntax, "written": _written, "constant": _constant,
        }
    )  # fmt: skip
    return environment


def _template(name: str) -> str:
    folder, _, file = name.partition("/")
    return resources.files(folder).joinpath(file).read_text("utf-8")


# --- words ------------------------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """What a link to a heading says, as forges make it from the heading."""
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")


def _cell(text: str) -> str:
    """Text that may stand in a cell of a table."""
    return _prose(text).replace("|", "\\|")


def _prose(text: str) -> str:
    """A docstring or description as one paragraph."""
    return " ".join(text.split()).replace("<", "&lt;")


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _class_of(declared: type[Row] | type[Event]) -> str:
    return classes.PREFIX + declared.__name__


def _constant(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _written(semantic: Semantic) -> str:
    """How an argument of this type is written as text."""
    match semantic.python.__name__:
        case "bool":
            return "true or false"
        case "int":
            return "a whole number, also in hexadecimal"
        case "bytes":
            return "base64"
        case "datetime":
            return "ISO 8601: 2026-01-31T08:15:00+01:00"
        case "Secret":
            return "as it is; nothing shows it again"
    return {"Uuid": "36 characters", "Mac": "six octets in hexadecimal, with colons"}.get(semantic.name, "as it is")


def type_name(spec: Field) -> str:
    """The name of the type of a field: of its enumeration or flags, or the semantic type."""
    named = spec.enumeration or spec.flags
    return named.__name__ if named else spec.semantic.name


def members(values: type[Enumeration] | type[Flags]) -> list[Any]:
    """The members in the order of their numbers."""
    return sorted((m for m in values if m.label), key=int)


def _default(spec: Field) -> str:
    """What an argument has if it is left out, in words."""
    if spec.required:
        return "needed"
    if spec.default is None:
        return "nothing"
    if isinstance(spec.default, Secret):
        return "empty"
    if spec.flags is not None:
        return ", ".join(m.label for m in members(spec.flags) if m & spec.default) or "none"
    return canonical(spec.default) or "empty"


def _limits(spec: Field) -> str:
    """The range that an argument is held to, where it is narrower than that of its type."""
    match spec.low, spec.high:
        case None, None:
            return ""
        case low, None:
            return f"from {low}"
        case None, high:
            return f"up to {high}"
    return f"{spec.low} to {spec.high}"


# --- the mapping in the shapes of the pages ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A property of a class: its own, or one of a DMTF class, with what gives its value."""

    name: str
    cim_type: str
    key: bool
    ours: bool
    columns: tuple[Field, ...]
    fixed: Any
    why_null: str
    setter: type[Operation] | None


class Told:
    """One model, as the templates ask for it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.modules = mib_text.modules(model)
        self.schema = classes.build(model)
        self.root = mib.ROOT
        self.levels = tuple(Access)
        self.writable = mib.WRITABLE

    # --- by OID

    @functools.cached_property
    def tables(self) -> tuple[Any, ...]:
        """All tables, also those that only SNMP has, in the order of their OIDs."""
        return tuple(sorted((t for m in self.modules for t in m.laid_out), key=lambda t: t.oid))

    def module(self, table: Any) -> mib.Module:
        return next(m for m in self.modules if table in m.laid_out)

    def operations(self, row: type[Row]) -> tuple[mib.MibOperation, ...]:
        return tuple(
            sorted((o for m in self.modules for o in m.operations if o.operation.on is row), key=lambda o: o.oid)
        )

    @functools.cached_property
    def notifications(self) -> tuple[mib.MibNotification, ...]:
        return tuple(sorted((n for m in self.modules for n in m.notifications), key=lambda n: n.oid))

    @functools.cached_property
    def event_objects(self) -> tuple[mib.MibObject, ...]:
        return tuple(sorted((o for m in self.modules for o in m.event_objects), key=lambda o: o.oid))

    def conventions(self, table: Any) -> tuple[mib.Convention, ...]:
        """The textual conventions of a table that stand for no enumeration of the mapping."""
        return tuple({o.convention.name: o.convention for o in table.objects if o.convention and not o.field}.values())

    @functools.cached_property
    def registered(self) -> Mapping[type[Operation], mib.MibOperation]:
        return {o.operation: o for m in self.modules for o in m.operations}

    @functools.cached_property
    def objects(self) -> Mapping[tuple[type[Row], str], mib.MibObject]:
        """The object of each column, by its row and its name; the one to be read, where another one sets it."""
        found: dict[tuple[type[Row], str], mib.MibObject] = {}
        for t in (t for m in self.modules for t in m.tables):
            for o in t.objects:
                if o.field:
                    found.setdefault((t.row, o.field.name), o)
        return found

    def set_by(self, operation: type[Operation]) -> tuple[mib.MibObject, ...]:
        """The objects whose setting asks for the operation."""
        return tuple(o for m in self.modules for t in m.tables for o in t.objects if o.operation is operation)

    def action_of(self, operation: type[Operation]) -> tuple[mib.MibObject, ...]:
        """The object of which the operation is a value."""
        return tuple(o for m in self.modules for t in m.tables for o in t.objects if operation in o.actions)

    def undone_by(self, operation: type[Operation]) -> type[Operation] | None:
        """The operation on the same row that takes this one back."""
        return next((o for o in self.model.operations_on(operation.on) if o.__name__ == operation.undo), None)

    # --- by class

    @functools.cached_property
    def properties(self) -> Mapping[tuple[type[Row], str], str]:
        """Class.Property of each column, by its row and its name: in the class of the row, or else in that of its settings."""
        found: dict[tuple[type[Row], str], str] = {}
        for shown in self.schema.instances.values():
            for p in shown.properties:
                if isinstance(p.source, classes.Column):
                    found.setdefault((shown.row, p.source.spec.name), f"{shown.name}.{p.name}")
        return found

    @functools.cached_property
    def shown_classes(self) -> tuple[classes.InstanceClass, ...]:
        """The classes with instances, by name."""
        return tuple(sorted(self.schema.instances.values(), key=lambda c: c.name))

    def superclass(self, name: str) -> str:
        return self.schema.classes[name.lower()].superclass or ""

    def description(self, name: str) -> str:
        return str(self.schema.classes[name.lower()].local.qualifiers["Description"].value)

    def table(self, row: type[Row]) -> mib.MibTable:
        return mib.project(self.model).table(row)

    def shown(self, cls: classes.InstanceClass) -> Iterator[Shown]:
        """The properties of a class that can have a value, then those that are always null, with the reason."""
        found = [self._shown(cls, p) for p in cls.properties]
        yield from (p for p in found if p.columns or p.fixed is not None)
        yield from (p for p in found if not p.columns and p.fixed is None)

    def _shown(self, cls: classes.InstanceClass, p: classes.InstanceProperty) -> Shown:
        setter = self.schema.setters.get((cls.name.lower(), p.name.lower()))
        source = p.source
        columns: tuple[Field, ...] = ()
        fixed: Any = None
        match source:
            case classes.Column():
                columns = (source.spec,)
            case classes.Filled():
                columns = source.columns
            case classes.Fixed():
                fixed = source.value
            case classes.HypervisorName():
                fixed = "the name of the connection"
        return Shown(
            name=p.name, cim_type=f"{p.type}[]" if p.array else p.type, key=p.key,
            ours=isinstance(source, classes.Column) and source.spec.cim is None,
            columns=columns, fixed=fixed, why_null=_nulls(cls).get(p.name, ""),
            setter=setter.operation if setter else None,
        )  # fmt: skip

    @functools.cached_property
    def associations(self) -> tuple[classes.AssociationClass, ...]:
        return tuple(sorted(self.schema.associations.values(), key=lambda a: a.name))

    @functools.cached_property
    def events(self) -> tuple[type[Event], ...]:
        return tuple(sorted(self.model.events, key=lambda e: e.__name__))

    def notification(self, event: type[Event]) -> mib.MibNotification:
        return next(n for n in self.notifications if n.event is event)

    def carried(self, event: type[Event]) -> Iterator[tuple[str, Field, str]]:
        """What an indication carries: property, field, and the SNMP object of the same."""
        own = {o.oid: o.name for o in self.event_objects}
        for name in event.shows:
            spec = event.on.fields[event.on.positions[name]]
            yield classes.camel(name), spec, self.objects[event.on, name].name
        for spec in event.fields:
            declarer = next(c for c in event.declarers() if spec.name in c.positions)
            yield classes.camel(spec.name), spec, own[(*mib.EVENT_OBJECTS, declarer.number, spec.number or 0)]

    # --- values and types

    @functools.cached_property
    def enumerations(self) -> tuple[type[Enumeration], ...]:
        return tuple(sorted(self.model.enumerations, key=lambda e: e.__name__))

    @functools.cached_property
    def flags(self) -> tuple[type[Flags], ...]:
        found = {f.flags: None for o in self.model.operations for f in o.fields if f.flags is not None}
        return tuple(sorted(found, key=lambda f: f.__name__))

    @functools.cached_property
    def types(self) -> tuple[Semantic, ...]:
        """The semantic types that the mapping uses, besides enumerations and flags."""
        declared = (*self.model.rows, *self.model.operations, *self.model.events)
        found = {f.semantic.name: f.semantic for d in declared for f in d.fields if not f.enumeration and not f.flags}
        return tuple(found[name] for name in sorted(found))


def _nulls(cls: classes.InstanceClass) -> Mapping[str, str]:
    """Why properties of a class are always null, as its declaration tells."""
    row = cls.row
    if cls.is_row:
        return row.nulls
    if cls.nulls:
        return cls.nulls
    if row.settings is not None and cls.name == f"{classes.class_name(row)}SettingData":
        return row.settings.nulls
    return next((a.nulls for a in row.aspects if cls.name == classes.class_name(row) + a.name), {})
