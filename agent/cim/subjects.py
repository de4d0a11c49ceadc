"""What queries are asked of: rows, and instances that are held, each by the names of its properties."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pywbem

from agent.cim.classes import AssociationClass, Column, InstanceClass, Link, Schema, Source
from agent.cim.held import Bridge
from agent.cim.instances import value
from agent.cim.query import Query, Value
from agent.cim.results import Keep
from agent.cim.text import NAMESPACE
from agent.cim.world import Record

__all__ = ["InstanceSubject", "RowSubject", "keep", "keep_pairs", "keep_spans", "path"]


class RowSubject:
    """The row that `record` holds, as an instance of a class. One is used for all rows, so that asking costs no more than it
    has to."""

    __slots__ = ("_getters", "_schema", "classname", "record")

    def __init__(self, schema: Schema, cls: InstanceClass, hypervisor: str) -> None:
        self.classname = cls.name
        self.record: tuple[Any, ...] = ()
        self._schema = schema
        self._getters: Mapping[str, Callable[[tuple[Any, ...]], Any]] = {
            p.name.lower(): _getter(p.source, hypervisor) for p in cls.properties
        }

    def value(self, name: str) -> Value:
        """The property of that name; KeyError if the class has none."""
        return self._getters[name.lower()](self.record)

    def is_a(self, name: str) -> bool:
        return name.lower() in self._schema.classes and self._schema.is_a(self.classname, name)


class InstanceSubject:
    """An instance as pywbem has it; instances within it are subjects too."""

    __slots__ = ("_instance", "_schema", "classname")

    def __init__(self, schema: Schema, instance: pywbem.CIMInstance) -> None:
        self.classname: str = instance.classname
        self._schema = schema
        self._instance = instance

    def value(self, name: str) -> Value:
        """The property of that name; KeyError if the instance has none."""
        return self._plain(self._instance.properties[name].value)

    def is_a(self, name: str) -> bool:
        known = self._schema.classes
        return name.lower() in known and self.classname.lower() in known and self._schema.is_a(self.classname, name)

    def _plain(self, value: Any) -> Value:
        match value:
            case list() | tuple():
                return tuple(self._plain(each) for each in value)
            case pywbem.CIMInstance():
                return InstanceSubject(self._schema, value)
            case pywbem.CIMDateTime():
                return value.timedelta if value.is_interval else value.datetime
        return value


class _LinkSubject:
    """An instance of an association, by the values of its properties under their names in lower case."""

    __slots__ = ("_schema", "_values", "classname")

    def __init__(self, schema: Schema, classname: str, values: Mapping[str, Value]) -> None:
        self.classname = classname
        self._schema = schema
        self._values = values

    def value(self, name: str) -> Value:
        return self._values[name.lower()]

    def is_a(self, name: str) -> bool:
        return name.lower() in self._schema.classes and self._schema.is_a(self.classname, name)


def path(cls: InstanceClass, record: tuple[Any, ...], hypervisor: str) -> pywbem.CIMInstanceName:
    """The path of the instance that a row is."""
    keys = {p.name: value(p.source, record, hypervisor) for p in cls.keys}
    return pywbem.CIMInstanceName(cls.name, keybindings=keys, namespace=NAMESPACE)


def _getter(source: Source, hypervisor: str) -> Callable[[tuple[Any, ...]], Any]:
    if isinstance(source, Column):
        at = source.spec.position
        return lambda record: record[at]
    return partial(_value, source, hypervisor)


def _value(source: Source, hypervisor: str, record: tuple[Any, ...]) -> Any:
    return value(source, record, hypervisor)


def keep_pairs(
    schema: Schema, association: AssociationClass, link: Link, hypervisor: str, query: Query
) -> Callable[[Record, Record], bool]:
    """Which instances of an association a query lets through, by the far and the near row."""
    constants = {each.name.lower(): each.value for each in link.constants}
    far_role, near_role = (role.lower() for role in association.roles(link))

    def matches(far: Record, near: Record) -> bool:
        ends = {
            far_role: path(link.far, far, hypervisor),
            near_role: path(link.near, near, hypervisor),
        }
        return query.matches(_LinkSubject(schema, association.name, {**constants, **ends}))

    return matches


def keep_spans(schema: Schema, bridge: Bridge, cls: InstanceClass, hypervisor: str, query: Query) -> Keep:
    """Which instances of an association of something that is held a query lets through, by their rows."""

    def matches(record: Record) -> bool:
        ends = {bridge.held_role.lower(): bridge.path, bridge.row_role.lower(): path(cls, record, hypervisor)}
        return query.matches(_LinkSubject(schema, bridge.association, ends))

    return matches


def keep(schema: Schema, cls: InstanceClass, hypervisor: str, query: Query) -> Keep:
    """Which rows of a class a query lets through."""
    subject = RowSubject(schema, cls, hypervisor)

    def matches(record: tuple[Any, ...]) -> bool:
        subject.record = record
        return query.matches(subject)

    return matches
