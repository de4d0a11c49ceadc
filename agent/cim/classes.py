"""MODEL as CIM classes: every class, qualifier, association, method and indication, derived from the declarations.

A row `Domain` is the class `Virtmap_Domain` beneath the DMTF class that it names. Its columns are properties in
CamelCase, or override the DMTF property they are shown as; an operation is an extrinsic method, an event an indication
class, a parent or a reference an association. Columns of the persistent definition (scope CONFIG) go to a class of
settings of their own, `Virtmap_DomainSettingData`, because a domain and its definition are two truths. An aspect of a
row, such as the memory of a domain, is a class too, `Virtmap_DomainMemory`: a further instance for the same row. So are the
views that profiles of the DMTF have of rows (agent.cim.profiles), which are tied to each other and to the rows. Beneath all of
them are the classes of the DMTF; those of libvirt-cim are given as they are, too.

Beside the declaration of each property stands its source: where an instance's value comes from. The renderer reads
sources, the MOF text and GetClass read declarations, and both come from the same list.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pywbem

from agent.cim.profiles import PROFILES, libvirt_cim
from agent.cim.profiles.view import Condition, Profiles, Tie, View
from agent.schema import dmtf
from agent.schema.declare import (
    Aspect,
    Association,
    Event,
    Field,
    Fill,
    Index,
    Model,
    Operation,
    Role,
    Row,
    Scope,
    Settings,
)
from agent.schema.types import Enumeration, Flags, Kind

__all__ = [
    "CHILD_NAMESPACE",
    "INDICATION_SERVICE",
    "SEND_TEST",
    "AssociationClass",
    "ClassDefinition",
    "Column",
    "Constant",
    "Filled",
    "Fixed",
    "HypervisorName",
    "InstanceClass",
    "InstanceProperty",
    "Link",
    "MethodPlan",
    "Presence",
    "Schema",
    "Setter",
    "Source",
    "build",
    "camel",
]

PREFIX = "Virtmap_"

#: Version qualifier of our classes: raised when one of them changes in a way that clients could notice.
VERSION = "1.0.0"

#: What a method of ours answers; anything else that can go wrong is a CIM error with the reason in words.
RETURN_VALUES = (("0", "Completed with No Error"), ("4096", "Method Parameters Checked - Job Started"))
COMPLETED = 0
JOB_STARTED = 4096

#: The class of the service that delivers indications, and its method that tries a destination.
INDICATION_SERVICE = f"{PREFIX}IndicationService"
SEND_TEST = "SendTestIndication"

#: The argument by which an operation is told whether to change what runs or its definition.
IMPACT = "impact"


# --- where values come from -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Column:
    """The value of a column of the row."""

    spec: Field


@dataclass(frozen=True, kw_only=True)
class Filled:
    """Made of columns of the row by the declaration's ``fills``, which want members of enumerations, not their numbers."""

    name: str
    fill: Fill
    columns: tuple[Field, ...]

    def value(self, given: tuple[Any, ...]) -> Any:
        """The property's value for the values that the columns have in a row."""
        return self.fill.value(self.name, tuple(map(_as_declared, self.columns, given)))

    def read(self, text: str) -> dict[str, Any] | None:
        """The columns that are spelled in a text, by name; None if it is none of this source's. Only if the fill is spelled."""
        found = self._spelled.fullmatch(text)
        if found is None:
            return None
        values: dict[str, Any] = {}
        for spec, part in zip(self.columns, found.groups(), strict=True):
            if spec.semantic.python is int:
                if not (part.isascii() and part.isdecimal() and len(part) < 20):
                    return None
                values[spec.name] = int(part)
            else:
                values[spec.name] = part
        return values

    @functools.cached_property
    def _spelled(self) -> re.Pattern[str]:
        """The pattern of the fill, as what finds its columns."""
        assert self.fill.pattern is not None
        first, *parts = map(re.escape, re.split(r"\{\d+\}", self.fill.pattern))
        columns = ("([0-9]+)" if spec.semantic.python is int else "(.+?)" for spec in self.columns)
        return re.compile(first + "".join(map("".join, zip(columns, parts, strict=True))), re.DOTALL)

    def function(self) -> Callable[..., Any]:
        """`value` of so many values, as quick as the declaration allows."""
        how = self.fill.how
        if how is None or any(spec.enumeration is not None for spec in self.columns):
            return lambda *given: self.value(given)
        if len(self.columns) == 1:
            return lambda given: None if given is None else how(given)
        return lambda *given: None if None in given else how(*given)


def _as_declared(spec: Field, value: Any) -> Any:
    """The value in the type of its declaration; a snapshot holds numbers in place of members of enumerations."""
    if spec.enumeration is None or value is None:
        return value
    return spec.enumeration.of(value)


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """The same for all instances; None where the declaration says that nobody can tell."""

    value: Any


@dataclass(frozen=True, kw_only=True)
class HypervisorName:
    """The name of the connection that the row was read from."""


Source = Column | Filled | Fixed | HypervisorName


@dataclass(frozen=True, kw_only=True)
class InstanceProperty:
    """A property of a class with instances. ``type`` is the CIM type."""

    name: str
    type: str
    array: bool
    key: bool
    source: Source


@dataclass(frozen=True, kw_only=True)
class Presence:
    """When a row is an instance: what holds of the values of columns of ``row``, which is its own or one above it."""

    row: type[Row]
    columns: tuple[Field, ...]
    holds: Callable[..., bool]


@dataclass(frozen=True, kw_only=True)
class InstanceClass:
    """A class whose instances are the rows of a table, all of them or those for which everything in ``present`` holds.

    ``nulls`` are the reasons why properties have no value, of a view.
    """

    name: str
    row: type[Row]
    properties: tuple[InstanceProperty, ...]
    present: tuple[Presence, ...] = ()
    nulls: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_row(self) -> bool:
        """Whether it is the row's own class. Settings and aspects of a row are not, and have no operations."""
        return self.name == class_name(self.row)

    @functools.cached_property
    def keys(self) -> tuple[InstanceProperty, ...]:
        return tuple(p for p in self.properties if p.key)

    @functools.cached_property
    def property_names(self) -> frozenset[str]:
        """The names of all properties in lower case."""
        return frozenset(p.name.lower() for p in self.properties)

    @functools.cached_property
    def key_kinds(self) -> Mapping[str, bool]:
        """The names of the keys in lower case, and whether each is a number."""
        return {p.name.lower(): p.type.startswith(("uint", "sint")) for p in self.keys}


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A property of an association that is the same for all its instances, or for all of one link."""

    name: str
    type: str
    array: bool
    value: Any


@dataclass(frozen=True, kw_only=True)
class Link:
    """One way in which two classes are associated: ``via`` is the column of the near row that holds the far row's key, or what
    the far row has in its column ``on``.

    None means the parent of the near row, or, when both ends are the same row, the row itself, or else the only row of the far
    table. An end may be held to more than its class is, if the link is only there for some rows. With ``swapped`` the ends have
    each other's roles.
    """

    near: InstanceClass
    far: InstanceClass
    via: Field | None = None
    on: Field | None = None
    swapped: bool = False
    constants: tuple[Constant, ...] = ()

    @functools.cached_property
    def whole(self) -> bool:
        """Whether all rows of the near table lead to the only one of the far table."""
        return self.via is None and self.near.row is not self.far.row and self.near.row.parent_row is not self.far.row

    @property
    def same_row(self) -> bool:
        """Whether both ends show the same row."""
        return self.via is None and self.near.row is self.far.row


@dataclass(frozen=True, kw_only=True)
class AssociationClass:
    """An association class, its two roles with the classes they are declared for, and what it links."""

    name: str
    far_role: str
    near_role: str
    links: tuple[Link, ...]

    def roles(self, link: Link) -> tuple[str, str]:
        """The role of the far end of a link, and that of the near one."""
        return (self.near_role, self.far_role) if link.swapped else (self.far_role, self.near_role)


@dataclass(frozen=True, kw_only=True)
class Setter:
    """The operation that sets a property: the argument that takes the value, and the values of others."""

    operation: type[Operation]
    argument: Field
    more: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class MethodPlan:
    """A method of a class and the operation behind it. ``inputs`` and ``outputs`` are (parameter, field) pairs."""

    name: str
    operation: type[Operation]
    inputs: tuple[tuple[str, Field], ...]
    outputs: tuple[tuple[str, Field], ...]


@dataclass(frozen=True, kw_only=True)
class ClassDefinition:
    """A class with what it declares itself; what it inherits is found through ``superclass``. ``ours`` begin with Virtmap."""

    name: str
    superclass: str | None
    local: Any  # pywbem.CIMClass
    ours: bool


@dataclass(frozen=True, kw_only=True)
class Schema:
    """All classes, superclasses first, and how those with instances are made. Lookups go by the name in lower case."""

    classes: Mapping[str, ClassDefinition]
    instances: Mapping[str, InstanceClass]
    associations: Mapping[str, AssociationClass]
    methods: Mapping[str, Mapping[str, MethodPlan]]
    #: By class and property.
    setters: Mapping[tuple[str, str], Setter]
    subclasses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Lower-case names of the superclasses, nearest first."""
        found = []
        superclass = self.classes[name.lower()].superclass
        while superclass is not None:
            found.append(superclass.lower())
            superclass = self.classes[superclass.lower()].superclass
        return tuple(found)

    def descendants(self, name: str) -> tuple[str, ...]:
        """Lower-case names of the class itself and everything derived from it."""
        found = [name.lower()]
        for each in found:
            found.extend(self.subclasses.get(each, ()))
        return tuple(found)

    def links_of(self, cls: InstanceClass) -> tuple[tuple[AssociationClass, Link, bool], ...]:
        """Every link that an instance of the class can be an end of, and whether it is the near one."""
        return self._links.get(cls.name, ())

    @functools.cached_property
    def _links(self) -> Mapping[str, tuple[tuple[AssociationClass, Link, bool], ...]]:
        found: dict[str, list[tuple[AssociationClass, Link, bool]]] = {}
        for association in self.associations.values():
            for link in association.links:
                found.setdefault(link.near.name, []).append((association, link, True))
                found.setdefault(link.far.name, []).append((association, link, False))
        return {name: tuple(links) for name, links in found.items()}

    def is_a(self, name: str, wanted: str) -> bool:
        return name.lower() == wanted.lower() or wanted.lower() in self.ancestors(name)


def camel(name: str) -> str:
    """``max_vcpus`` as ``MaxVcpus``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def class_name(row: type[Row]) -> str:
    return PREFIX + row.__name__


# --- qualifiers -------------------------------------------------------------------------------------------------------


def _qualifiers(**values: Any) -> list[Any]:
    """pywbem qualifiers with the flavours of their declarations; None and False are left out."""
    made = []
    for name, value in values.items():
        if value is None or value is False or value == ():
            continue
        declared = dmtf.qualifiers[name]
        made.append(
            pywbem.CIMQualifier(
                name,
                list(value) if declared.array else value,
                type=declared.type,
                overridable=declared.overridable,
                tosubclass=declared.to_subclass,
                translatable=declared.translatable or None,
            )
        )
    return made


def _value_map(values: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    pairs = tuple(values)
    return {"ValueMap": tuple(v for v, _ in pairs), "Values": tuple(n for _, n in pairs)}


def _typed(spec: Field) -> dict[str, Any]:
    """The qualifiers that a field's type brings: unit, meaning over time, and named values."""
    found: dict[str, Any] = {
        "PUnit": spec.semantic.punit,
        "Counter": spec.semantic.kind is Kind.COUNTER,
        "Gauge": spec.semantic.kind is Kind.GAUGE,
    }
    if spec.enumeration is not None:
        found |= _enumerated(spec.enumeration)
    if spec.flags is not None:
        members = [m for m in spec.flags if m.label]
        found["BitMap"] = tuple(str(int(m).bit_length() - 1) for m in members)
        found["BitValues"] = tuple(f"{m.label}: {m.description}" for m in members)
    return found


def _enumerated(enumeration: type[Enumeration]) -> dict[str, tuple[str, ...]]:
    return _value_map((str(int(m)), m.label) for m in enumeration)


def _mapping(api: tuple[str, ...], stats: str | None = None) -> tuple[str, ...]:
    """MappingStrings (DSP0004, 5.6.3.33) of the libvirt functions and the statistics field behind a feature."""
    found = tuple(f"API.libvirt|{name}" for name in api)
    return found if stats is None else (*found, f"STATS.libvirt|{stats}")


# --- the DMTF's classes -----------------------------------------------------------------------------------------------


def _from_dmtf(cls: dmtf.CimClass) -> ClassDefinition:
    made = pywbem.CIMClass(
        cls.name,
        superclass=cls.superclass,
        qualifiers=_qualifiers(
            Association=cls.association,
            Indication=cls.indication,
            Abstract=cls.abstract,
            Aggregation=cls.aggregation,
            Composition=cls.composition,
            Version=cls.version,
            Description=cls.description,
        ),
        properties=[_dmtf_property(p) for p in cls.properties],
        methods=[_dmtf_method(m) for m in cls.methods],
    )
    return ClassDefinition(name=cls.name, superclass=cls.superclass, local=made, ours=False)


def _dmtf_property(p: dmtf.CimProperty) -> Any:
    return pywbem.CIMProperty(
        p.name,
        None,
        type=p.type,
        is_array=p.array,
        reference_class=p.reference,
        qualifiers=_qualifiers(
            Key=p.key,
            Aggregate=p.aggregate,
            Weak=p.weak,
            Override=p.name if p.override else None,
            Required=p.required,
            Propagated=p.propagated,
            Description=p.description,
            EmbeddedInstance=p.embedded,
            EmbeddedObject=p.embedded_object,
            Counter=p.counter,
            Gauge=p.gauge,
            PUnit=p.punit,
            Min=p.minimum,
            Max=p.maximum,
            MaxLen=p.max_len,
            **_value_map(p.values),
        ),
    )


def _dmtf_method(m: dmtf.CimMethod) -> Any:
    return pywbem.CIMMethod(
        m.name,
        return_type=m.return_type,
        parameters=[_dmtf_parameter(p) for p in m.parameters],
        qualifiers=_qualifiers(
            Override=m.name if m.override else None, Description=m.description, **_value_map(m.values)
        ),
    )


def _dmtf_parameter(p: dmtf.CimParameter) -> Any:
    return pywbem.CIMParameter(
        p.name,
        p.type,
        is_array=p.array,
        reference_class=p.reference,
        qualifiers=[
            *_direction(p.is_in, p.is_out),
            *_qualifiers(
                Required=p.required,
                Description=p.description,
                EmbeddedInstance=p.embedded,
                EmbeddedObject=p.embedded_object,
                PUnit=p.punit,
                **_value_map(p.values),
            ),
        ],
    )


def _direction(is_in: bool, is_out: bool) -> list[Any]:
    """In is true unless said otherwise, so its false has to be said."""
    made = [pywbem.CIMQualifier("In", is_in, overridable=False, tosubclass=True)]
    if is_out:
        made.append(pywbem.CIMQualifier("Out", True, overridable=False, tosubclass=True))
    return made


# --- rows -------------------------------------------------------------------------------------------------------------


def _own_property(name: str, spec: Field, *, override: bool, key: bool, required: bool = False) -> Any:
    """The declaration of a column. One that overrides a DMTF property keeps that property's type."""
    return pywbem.CIMProperty(
        name,
        None,
        type=spec.semantic.cim,
        qualifiers=_qualifiers(
            Key=key,
            Override=name if override else None,
            Required=required,
            Description=spec.description,
            MappingStrings=_mapping(spec.api, spec.stats),
            **_typed(spec),
        ),
    )


def _source(row: type[Row], name: str) -> Source:
    """Where a property that the DMTF class brings gets its value."""
    if name == "CreationClassName":
        return Fixed(value=class_name(row))
    system = _scoping(row)
    if name == "SystemCreationClassName":
        return Fixed(value=PREFIX + (system.__name__ if system else "Host"))
    if name == "SystemName":
        return Column(spec=row.key_fields()[len(system.key_fields()) - 1]) if system else HypervisorName()
    shown = next((f for f in row.columns() if f.cim == name), None)
    if shown is not None:
        return Column(spec=shown)
    return _filled(row, row.fills, name)


def _scoping(row: type[Row]) -> type[Row] | None:
    """The nearest row above that is a system; None where it is the host, as for a volume, whose pool is none."""
    return next((each for each in reversed(row.lineage()[:-1]) if dmtf.is_a(each.cim, "CIM_System")), None)


def _filled(row: type[Row], fills: Mapping[str, Fill], name: str) -> Source:
    """The source that a declaration names for a property; null when it names none."""
    fill = fills.get(name)
    if fill is None:
        return Fixed(value=None)
    if not fill.columns:
        return Fixed(value=fill.constant)
    return Filled(name=name, fill=fill, columns=tuple(row.fields[row.positions[column]] for column in fill.columns))


def _inherited(row: type[Row], base: str) -> list[InstanceProperty]:
    """The properties that the DMTF class brings, each with its source."""
    return [
        InstanceProperty(name=p.name, type=p.type, array=p.array, key=p.key, source=_source(row, p.name))
        for p in dmtf.inherited_properties(base).values()
    ]


def _row_class(row: type[Row]) -> tuple[ClassDefinition, InstanceClass]:
    inherited = _inherited(row, row.cim)
    brought = {p.name.lower(): p for p in inherited}
    keyed = any(p.key for p in inherited)
    declared: list[Any] = []
    own: list[InstanceProperty] = []
    if not keyed:
        declared.append(_scoping_system())
        own.append(InstanceProperty(name="SystemName", type="string", array=False, key=True, source=HypervisorName()))
        for spec in _above(row):
            declared.append(_own_property(camel(spec.name), spec, override=False, key=True))
            own.append(
                InstanceProperty(
                    name=camel(spec.name), type=spec.semantic.cim, array=False, key=True, source=Column(spec=spec)
                )
            )
    for spec in row.columns():
        if spec.scope is Scope.CONFIG:
            continue
        if spec.cim is not None:
            known = brought[spec.cim.lower()]
            declared.append(_own_property(spec.cim, spec, override=True, key=known.key))
            continue
        name = camel(spec.name)
        if name.lower() in brought:
            raise ValueError(f"{row.__name__}.{spec.name}: the property {name} of {row.cim} has that name already")
        is_key = not keyed and spec.role is Role.KEY
        declared.append(_own_property(name, spec, override=False, key=is_key))
        own.append(
            InstanceProperty(name=name, type=spec.semantic.cim, array=False, key=is_key, source=Column(spec=spec))
        )
    local = pywbem.CIMClass(
        class_name(row), superclass=row.cim, qualifiers=_class_qualifiers(row.__doc__), properties=declared
    )
    definition = ClassDefinition(name=class_name(row), superclass=row.cim, local=local, ours=True)
    return definition, InstanceClass(name=class_name(row), row=row, properties=(*inherited, *own))


def _above(row: type[Row]) -> tuple[Field, ...]:
    """What identifies the rows above, save for the only row of a host, which the scoping system is already."""
    parents = [f for f in row.fields if f.role is Role.PARENT]
    return tuple(parents[len(row.root().key_fields()) :] if row.root().index is Index.SCALAR else parents)


def _scoping_system() -> Any:
    return pywbem.CIMProperty(
        "SystemName",
        None,
        type="string",
        qualifiers=_qualifiers(Key=True, Description="Name of the hypervisor connection that the object belongs to."),
    )


def _class_qualifiers(description: str | None, **more: Any) -> list[Any]:
    return _qualifiers(**more, Version=VERSION, Description=" ".join((description or "").split()))


def _settings_class(row: type[Row], settings: Settings) -> tuple[ClassDefinition, InstanceClass]:
    """The class of the persistent definition: the columns of scope CONFIG, without `config_` before their names."""
    name = f"{class_name(row)}SettingData"
    columns = [f for f in row.columns() if f.scope is Scope.CONFIG]
    inherited = [
        InstanceProperty(
            name=p.name, type=p.type, array=p.array, key=p.key, source=_filled(row, settings.fills, p.name)
        )
        for p in dmtf.inherited_properties(settings.cim).values()
    ]
    own = [
        InstanceProperty(
            name=camel(f.name.removeprefix("config_")),
            type=f.semantic.cim,
            array=False,
            key=False,
            source=Column(spec=f),
        )
        for f in columns
    ]
    local = pywbem.CIMClass(
        name,
        superclass=settings.cim,
        qualifiers=_class_qualifiers(f"What the persistent definition says of an instance of {class_name(row)}."),
        properties=[_own_property(p.name, f, override=False, key=False) for p, f in zip(own, columns, strict=True)],
    )
    definition = ClassDefinition(name=name, superclass=settings.cim, local=local, ours=True)
    present = Presence(row=row, columns=tuple(columns), holds=lambda *values: values.count(None) < len(values))
    return definition, InstanceClass(name=name, row=row, properties=(*inherited, *own), present=(present,))


def _aspect_class(row: type[Row], aspect: Aspect) -> tuple[ClassDefinition, InstanceClass]:
    """The class of a thing that the row tells of: the DMTF's properties, on the system that the row is."""
    name = f"{class_name(row)}{aspect.name}"
    automatic: dict[str, Source] = {
        "CreationClassName": Fixed(value=name),
        "SystemCreationClassName": Fixed(value=class_name(row)),
        "SystemName": Column(spec=row.key_fields()[-1]),
    }
    properties = tuple(
        InstanceProperty(
            name=p.name,
            type=p.type,
            array=p.array,
            key=p.key,
            source=automatic.get(p.name) or _filled(row, aspect.fills, p.name),
        )
        for p in dmtf.inherited_properties(aspect.cim).values()
    )
    local = pywbem.CIMClass(name, superclass=aspect.cim, qualifiers=_class_qualifiers(aspect.description))
    definition = ClassDefinition(name=name, superclass=aspect.cim, local=local, ours=True)
    return definition, InstanceClass(name=name, row=row, properties=properties)


def _view_class(view: View) -> tuple[ClassDefinition, InstanceClass]:
    """The class of a view: the DMTF's properties, and, where the class is scoped by a system, the row as that system."""
    name = f"{PREFIX}{view.name}"
    automatic: dict[str, Source] = {
        "CreationClassName": Fixed(value=name),
        "SystemCreationClassName": Fixed(value=class_name(view.row)),
        "SystemName": Column(spec=view.row.key_fields()[-1]),
    }
    properties = tuple(
        InstanceProperty(
            name=p.name, type=p.type, array=p.array, key=p.key, source=automatic.get(p.name) or _viewed(view, p)
        )
        for p in dmtf.inherited_properties(view.cim).values()
    )
    local = pywbem.CIMClass(name, superclass=view.cim, qualifiers=_class_qualifiers(view.description))
    definition = ClassDefinition(name=name, superclass=view.cim, local=local, ours=True)
    present = () if view.present is None else (_presence(view.row, view.present),)
    return definition, InstanceClass(name=name, row=view.row, properties=properties, present=present, nulls=view.nulls)


def _viewed(view: View, prop: dmtf.CimProperty) -> Source:
    """The source of a property of a view. One that is a column as it is can be set as the column can."""
    fill = view.fills.get(prop.name)
    if fill is not None and fill.how is None and not fill.mapped and len(fill.columns) == 1:
        return Column(spec=view.row.fields[view.row.positions[fill.columns[0]]])
    return _filled(view.row, view.fills, prop.name)


def _presence(row: type[Row], condition: Condition) -> Presence:
    """A condition, of the columns that it names as `Row.column`: all of the row itself, or all of one above it."""
    by_name = {each.__name__: each for each in row.lineage()}
    named = [column.split(".") for column in condition.columns]
    (of,) = {by_name[name] for name, _ in named}
    columns = tuple(of.fields[of.positions[column]] for _, column in named)
    return Presence(row=of, columns=columns, holds=condition.holds)


def _setters(model: Model, cls: InstanceClass) -> Iterable[tuple[str, Setter]]:
    """The properties of a class that an operation sets. A column of the definition is set by that of the running domain, told
    to change the definition."""
    for prop in cls.properties:
        if not isinstance(prop.source, Column):
            continue
        spec = prop.source.spec
        in_definition = spec.scope is Scope.CONFIG
        operation = model.setter(cls.row, spec.name.removeprefix("config_") if in_definition else spec.name)
        if operation is None or (in_definition and IMPACT not in operation.positions):
            continue
        argument = next(f for f in operation.arguments() if f.name == operation.sets)
        impact = operation.fields[operation.positions[IMPACT]].flags if in_definition else None
        yield prop.name, Setter(operation=operation, argument=argument, more={} if impact is None else _config(impact))


def _config(impact: type[Flags]) -> dict[str, Any]:
    return {IMPACT: next(flag for flag in impact if flag.label == "config")}


# --- associations -----------------------------------------------------------------------------------------------------


def _common(schema: Mapping[str, ClassDefinition], names: Iterable[str]) -> str:
    """The nearest class that all of these are, or descend from."""
    lines = [_line(schema, name) for name in names]
    return next(name for name in lines[0] if all(name in line for line in lines))


def _line(schema: Mapping[str, ClassDefinition], name: str) -> list[str]:
    found = [schema[name.lower()].name]
    while (superclass := schema[found[-1].lower()].superclass) is not None:
        found.append(superclass)
    return found


def _association_class(
    known: Mapping[str, ClassDefinition], declared: Association, links: tuple[Link, ...]
) -> tuple[ClassDefinition, AssociationClass]:
    base = dmtf.classes[declared.base]
    brought = dmtf.inherited_properties(declared.base)
    ends = {
        declared.far: _common(known, ((link.near if link.swapped else link.far).name for link in links)),
        declared.near: _common(known, ((link.far if link.swapped else link.near).name for link in links)),
    }
    local = pywbem.CIMClass(
        declared.name,
        superclass=declared.base,
        qualifiers=_class_qualifiers(
            declared.description, Association=True, Aggregation=base.aggregation, Composition=base.composition
        ),
        properties=[
            pywbem.CIMProperty(
                role,
                None,
                type="reference",
                reference_class=end,
                qualifiers=_qualifiers(
                    Key=True,
                    Aggregate=brought[role].aggregate,
                    Weak=brought[role].weak,
                    Override=role,
                    Min=brought[role].minimum,
                    Max=brought[role].maximum,
                    Description=brought[role].description,
                ),
            )
            for role, end in ends.items()
        ],
    )
    definition = ClassDefinition(name=declared.name, superclass=declared.base, local=local, ours=True)
    association = AssociationClass(
        name=declared.name,
        far_role=declared.far,
        near_role=declared.near,
        links=links,
    )
    return definition, association


def _links(model: Model, instances: Mapping[str, InstanceClass]) -> dict[Association, list[Link]]:
    """Every parent, every reference, and what else a row shows, by its association."""
    found: dict[Association, list[Link]] = {}
    for row in model.rows:
        near = instances[class_name(row).lower()]
        if row.parent_row is not None and row.association is not None:
            far = instances[class_name(row.parent_row).lower()]
            found.setdefault(row.association, []).append(Link(near=near, far=far))
        for f in row.fields:
            if f.ref is not None and f.association is not None:
                far = instances[class_name(f.ref).lower()]
                found.setdefault(f.association, []).append(Link(near=near, far=far, via=f))
        if row.settings is not None:
            settings = instances[f"{near.name}SettingData".lower()]
            link = Link(near=settings, far=near, constants=_constants(row.settings.association, _NEXT))
            found.setdefault(row.settings.association, []).append(link)
        for aspect in row.aspects:
            part = instances[f"{near.name}{aspect.name}".lower()]
            found.setdefault(aspect.association, []).append(Link(near=part, far=near))
    return found


def _tied(ties: Iterable[Tie], instances: Mapping[str, InstanceClass]) -> Iterable[tuple[Association, Link]]:
    """What ties of profiles link. One whose ends are not all there is left out."""
    for tie in ties:
        near, far = (instances.get(f"{PREFIX}{end}".lower()) for end in (tie.near, tie.far))
        if near is None or far is None or (tie.via is not None and tie.via not in near.row.positions):
            continue
        if tie.when is not None:
            near = replace(near, present=(*near.present, _presence(near.row, tie.when)))
        via = None if tie.via is None else near.row.fields[near.row.positions[tie.via]]
        on = None if tie.on is None else far.row.fields[far.row.positions[tie.on]]
        constants = _constants(tie.association, tie.constants)
        yield tie.association, Link(near=near, far=far, via=via, on=on, swapped=tie.swapped, constants=constants)


def _constants(association: Association, values: Mapping[str, Any]) -> tuple[Constant, ...]:
    """What an association tells beside its ends: null where no value is given."""
    return tuple(
        Constant(name=p.name, type=p.type, array=p.array, value=values.get(p.name))
        for p in dmtf.inherited_properties(association.base).values()
        if p.type != "reference"
    )


#: What CIM_ElementSettingData tells of a definition: it is not in force, and comes next.
_NEXT = {"IsCurrent": 2, "IsNext": 1}


# --- methods ----------------------------------------------------------------------------------------------------------


def _method(operation: type[Operation]) -> tuple[Any, MethodPlan]:
    inputs = tuple((camel(f.name), f) for f in operation.arguments())
    outputs = tuple((camel(f.name), f) for f in operation.outs())
    parameters = [_parameter(name, f, is_out=False) for name, f in inputs]
    parameters += [_parameter(name, f, is_out=True) for name, f in outputs]
    if operation.job:
        parameters.append(_job_parameter())
    values = RETURN_VALUES if operation.job else RETURN_VALUES[:1]
    overrides = operation.__name__ in dmtf.inherited_methods(operation.on.cim)
    made = pywbem.CIMMethod(
        operation.__name__,
        return_type="uint32",
        parameters=parameters,
        qualifiers=_qualifiers(
            Override=operation.__name__ if overrides else None,
            Description=_told(operation),
            MappingStrings=_mapping(operation.api),
            **_value_map(values),
        ),
    )
    return made, MethodPlan(name=operation.__name__, operation=operation, inputs=inputs, outputs=outputs)


def _told(operation: type[Operation]) -> str:
    """The description, what is lost, and the role that it takes."""
    sentences = [" ".join((operation.__doc__ or "").split())]
    if operation.destroys:
        sentences.append(f"Lost for good: {operation.destroys}")
    sentences.append(f"Needs the access level {operation.needs.name.lower()}.")
    return " ".join(sentences)


def _parameter(name: str, spec: Field, *, is_out: bool) -> Any:
    return pywbem.CIMParameter(
        name,
        spec.semantic.cim,
        is_array=spec.semantic.python is bytes,
        qualifiers=[
            *_direction(not is_out, is_out),
            *_qualifiers(
                OctetString=spec.semantic.python is bytes,
                Required=not is_out and spec.required,
                Description=spec.description,
                **_typed(spec),
            ),
        ],
    )


def _job_parameter() -> Any:
    return pywbem.CIMParameter(
        "Job",
        "reference",
        reference_class="CIM_ConcreteJob",
        qualifiers=[
            *_direction(False, True),
            *_qualifiers(Description="The job that does the work, when one was started."),
        ],
    )


# --- indications ------------------------------------------------------------------------------------------------------

INDICATION_BASE = "CIM_AlertIndication"


def _indication(event: type[Event]) -> ClassDefinition:
    """The indication class of an event; the columns it shows and its own fields are properties."""
    bases = [b for b in event.__mro__[1:] if issubclass(b, Event) and b is not Event]
    superclass = next((PREFIX + b.__name__ for b in bases), INDICATION_BASE)
    already = {f.name for b in bases for f in b.fields}
    bound = any(b.is_bound() for b in bases)
    specs = [] if bound else [event.on.fields[event.on.positions[name]] for name in event.shows]
    specs += [f for f in event.fields if f.name not in already and f.cim is None]
    local = pywbem.CIMClass(
        PREFIX + event.__name__,
        superclass=superclass,
        qualifiers=_class_qualifiers(
            event.__doc__, Indication=True, Abstract=event.abstract, MappingStrings=_event_mapping(event)
        ),
        properties=[_own_property(camel(f.name), f, override=False, key=False) for f in specs],
    )
    return ClassDefinition(name=PREFIX + event.__name__, superclass=superclass, local=local, ours=True)


def _event_mapping(event: type[Event]) -> tuple[str, ...]:
    return () if event.libvirt is None else (f"EVENT.libvirt|{event.libvirt}",)


def _events(model: Model) -> list[type[Event]]:
    """All events with the abstract ones they share, those first."""
    found: dict[type[Event], None] = {}
    for event in model.events:
        for base in reversed(event.__mro__):
            if issubclass(base, Event) and base is not Event:
                found.setdefault(base)
    return list(found)


# --- namespaces -------------------------------------------------------------------------------------------------------

#: A namespace below another, as clients looked for it before there was CIM_Namespace. No schema declares this class.
CHILD_NAMESPACE = "__Namespace"


def _child_namespace() -> ClassDefinition:
    local = pywbem.CIMClass(
        CHILD_NAMESPACE,
        qualifiers=_qualifiers(Description="A namespace below this one."),
        properties=[
            pywbem.CIMProperty(
                "Name",
                None,
                type="string",
                qualifiers=_qualifiers(Key=True, Description="Its name, without the names of those above it."),
            )
        ],
    )
    return ClassDefinition(name=CHILD_NAMESPACE, superclass=None, local=local, ours=False)


def _indication_service() -> ClassDefinition:
    """The service that delivers indications: the DMTF's, and a way to try a destination."""
    destination = pywbem.CIMParameter(
        "Destination",
        "reference",
        reference_class="CIM_ListenerDestination",
        qualifiers=[
            *_direction(True, False),
            *_qualifiers(Required=True, Description="Where the test is sent, whatever the filters say."),
        ],
    )
    test = pywbem.CIMMethod(
        SEND_TEST,
        return_type="uint32",
        parameters=[destination],
        qualifiers=_qualifiers(
            Description="Send a test indication to a destination. Needs the access level operate.",
            **_value_map(RETURN_VALUES[:1]),
        ),
    )
    local = pywbem.CIMClass(
        INDICATION_SERVICE,
        superclass="CIM_IndicationService",
        qualifiers=_class_qualifiers("The service of this server that delivers indications."),
        methods=[test],
    )
    return ClassDefinition(name=INDICATION_SERVICE, superclass="CIM_IndicationService", local=local, ours=True)


# --- all of it --------------------------------------------------------------------------------------------------------


@functools.cache
def build(model: Model, profiles: Profiles = PROFILES) -> Schema:
    """Every class that the model gives rise to, with the views that profiles have of it, on the DMTF's classes beneath them."""
    given = (*dmtf.classes.values(), *libvirt_cim.CLASSES)
    classes: dict[str, ClassDefinition] = {cls.name.lower(): _from_dmtf(cls) for cls in given}
    for definition in (_child_namespace(), _indication_service()):
        classes[definition.name.lower()] = definition
    instances: dict[str, InstanceClass] = {}
    associations: dict[str, AssociationClass] = {}
    methods: dict[str, Mapping[str, MethodPlan]] = {}

    setters: dict[tuple[str, str], Setter] = {}

    def add(definition: ClassDefinition, made: InstanceClass) -> None:
        classes[definition.name.lower()] = definition
        instances[definition.name.lower()] = made
        for name, setter in _setters(model, made):
            setters[definition.name.lower(), name.lower()] = setter
            if name in definition.local.properties:
                (write,) = _qualifiers(Write=True)
                definition.local.properties[name].qualifiers["Write"] = write

    for row in model.rows:
        definition, made = _row_class(row)
        plans: dict[str, MethodPlan] = {}
        for operation in model.operations_on(row):
            declared, plan = _method(operation)
            definition.local.methods[declared.name] = declared
            plans[plan.name.lower()] = plan
        methods[definition.name.lower()] = MappingProxyType(plans)
        add(definition, made)
        if row.settings is not None:
            add(*_settings_class(row, row.settings))
        for aspect in row.aspects:
            add(*_aspect_class(row, aspect))
    for view in profiles.views:
        if view.row in model.rows:
            add(*_view_class(view))
    linked = _links(model, instances)
    for tied_by, link in _tied(profiles.ties, instances):
        linked.setdefault(tied_by, []).append(link)
    for declared_association, links in linked.items():
        definition, association = _association_class(classes, declared_association, tuple(links))
        classes[definition.name.lower()] = definition
        associations[definition.name.lower()] = association
    for event in _events(model):
        definition = _indication(event)
        classes[definition.name.lower()] = definition
    return Schema(
        classes=MappingProxyType(classes),
        instances=MappingProxyType(instances),
        associations=MappingProxyType(associations),
        methods=MappingProxyType(methods),
        setters=MappingProxyType(setters),
        subclasses=MappingProxyType(_subclasses(classes)),
    )


def _subclasses(classes: Mapping[str, ClassDefinition]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name, definition in classes.items():
        if definition.superclass is not None:
            found.setdefault(definition.superclass.lower(), []).append(name)
    return {name: tuple(below) for name, below in found.items()}
