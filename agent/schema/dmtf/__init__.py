"""The DMTF classes beneath ours, as data: what a class of the mapping inherits, with types, keys, value maps, methods.

Names, types, numbers and signatures are those of the CIM schema 2.49 (DSP0004 tells what the fields mean); only a part
of each class's features is here, those an operator of hypervisors has a use for. Leaving a feature out is allowed,
adding one is not. Descriptions are ours. The laws of the schema, the CIM classes and the MOF text all read this table,
which has a file for each area of the schema.

A value map holds single values only: the ranges that the DMTF and vendors reserve are left out. References come as
properties of type ``reference``. A property marked ``override`` is declared again to tell more than its ancestor did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from agent.schema.dmtf import (
    association,
    core,
    device,
    guest,
    indication,
    interop,
    log,
    network,
    resource,
    snapshot,
    storage,
    subscription,
    system,
    user,
    virtualization,
)
from agent.schema.dmtf.language import CimClass, CimMethod, CimParameter, CimProperty, CimQualifier
from agent.schema.dmtf.qualifier import QUALIFIERS

__all__ = [
    "CimClass",
    "CimMethod",
    "CimParameter",
    "CimProperty",
    "CimQualifier",
    "ancestors",
    "classes",
    "inherited_methods",
    "inherited_properties",
    "is_a",
    "qualifiers",
]

#: The areas, each after those whose classes it derives from.
_AREAS = (
    core,
    system,
    device,
    association,
    network,
    guest,
    resource,
    storage,
    user,
    virtualization,
    snapshot,
    indication,
    interop,
    subscription,
    log,
)


def _indexed(declared: tuple[CimClass, ...]) -> Mapping[str, CimClass]:
    """By name, every superclass before its subclasses, each once."""
    found: dict[str, CimClass] = {}
    for each in declared:
        if each.name in found:
            raise ValueError(f"class {each.name}: declared twice")
        if each.superclass is not None and each.superclass not in found:
            raise ValueError(f"class {each.name}: superclass {each.superclass} is not declared before it")
        found[each.name] = each
    return MappingProxyType(found)


#: Every class by its name; a superclass comes before its subclasses.
classes: Mapping[str, CimClass] = _indexed(tuple(each for area in _AREAS for each in area.CLASSES))

#: Every qualifier declaration by its name.
qualifiers: Mapping[str, CimQualifier] = MappingProxyType({each.name: each for each in QUALIFIERS})


def ancestors(name: str) -> tuple[str, ...]:
    """The superclasses of a class, nearest first, without the class itself; KeyError for a class not here."""
    found = []
    superclass = classes[name].superclass
    while superclass is not None:
        found.append(superclass)
        superclass = classes[superclass].superclass
    return tuple(found)


def is_a(name: str, wanted: str) -> bool:
    """Whether the class is the wanted one or descends from it."""
    return name == wanted or wanted in ancestors(name)


def _lineage(name: str) -> Iterator[CimClass]:
    """The class and its ancestors, the root first."""
    for each in (*reversed(ancestors(name)), name):
        yield classes[each]


def inherited_properties(name: str) -> dict[str, CimProperty]:
    """What a class derived from ``name`` inherits, each property as the nearest declaration tells it.

    In order of first appearance, the root's properties first. KeyError for a class not here.
    """
    found: dict[str, CimProperty] = {}
    for cls in _lineage(name):
        for each in cls.properties:
            found[each.name] = each
    return found


def inherited_methods(name: str) -> dict[str, CimMethod]:
    """The methods that a class derived from ``name`` inherits."""
    return {each.name: each for cls in _lineage(name) for each in cls.methods}
