"""Instances that the agent itself holds, as pywbem has them: found by path, told as CIM-XML, and followed along their
references. They are few: those of the Interop namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pywbem

from agent.cim.instances import Wanted, reference
from agent.cim.messages import atom, escape

__all__ = ["Bridge", "Tie", "find", "instance_xml", "name_xml", "same_path", "ties", "value_xml"]


@dataclass(frozen=True, kw_only=True)
class Tie:
    """One way from an instance to another: the association instance, and the roles of both ends."""

    association: pywbem.CIMInstance
    role: str
    result_role: str
    other: pywbem.CIMInstanceName


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """An association between an instance that is held, by its path, and every row of a class: profiles and what conforms."""

    association: str
    held_role: str
    row_role: str
    path: pywbem.CIMInstanceName
    cls: str


def name_xml(path: pywbem.CIMInstanceName) -> str:
    """INSTANCENAME of a path."""
    keys = "".join(
        f'<KEYBINDING NAME="{name}">{_key_xml(each)}</KEYBINDING>' for name, each in path.keybindings.items()
    )
    return f'<INSTANCENAME CLASSNAME="{path.classname}">{keys}</INSTANCENAME>'


def _key_xml(key: object) -> str:
    if isinstance(key, pywbem.CIMInstanceName):
        return reference(key.namespace, name_xml(key))
    kind = "boolean" if isinstance(key, bool) else "numeric" if isinstance(key, int | float) else "string"
    told = (
        pywbem.cimtype(key)
        if not isinstance(key, int | float) or isinstance(key, bool | pywbem.CIMInt | pywbem.CIMFloat)
        else None
    )
    typed = "" if told is None else f' TYPE="{told}"'
    return f'<KEYVALUE VALUETYPE="{kind}"{typed}>{atom(key)}</KEYVALUE>'


def instance_xml(instance: pywbem.CIMInstance, wanted: Wanted, origins: Mapping[str, str] | None = None) -> str:
    """INSTANCE with the wanted properties, and where they stem from if ``origins`` tells.

    No element is written in the short form of an empty one, which the parser of sblim's wbemcli does not know.
    """
    inside = "".join(
        _property(each, "" if origins is None else f' CLASSORIGIN="{origins[name.lower()]}"')
        for name, each in instance.properties.items()
        if wanted.properties is None or name.lower() in wanted.properties
    )
    return f'<INSTANCE CLASSNAME="{instance.classname}">{inside}</INSTANCE>'


def _property(p: pywbem.CIMProperty, origin: str) -> str:
    if p.type == "reference":
        value = "" if p.value is None else reference(p.value.namespace, name_xml(p.value))
        target = "" if p.value is None else f' REFERENCECLASS="{p.value.classname}"'
        return f'<PROPERTY.REFERENCE NAME="{p.name}"{target}{origin}>{value}</PROPERTY.REFERENCE>'
    tag = "PROPERTY.ARRAY" if p.is_array else "PROPERTY"
    embedded = f' EmbeddedObject="{p.embedded_object}"' if p.embedded_object else ""
    return f'<{tag} NAME="{p.name}"{origin} TYPE="{p.type}"{embedded}>{value_xml(p.value)}</{tag}>'


def value_xml(value: object) -> str:
    """VALUE, VALUE.ARRAY or VALUE.REFERENCE of a value; nothing for NULL."""
    match value:
        case None:
            return ""
        case list() | tuple():
            items = ("<VALUE.NULL/>" if each is None else value_xml(each) for each in value)
            tag = "VALUE.REFARRAY" if value and isinstance(value[0], pywbem.CIMInstanceName) else "VALUE.ARRAY"
            return f"<{tag}>{''.join(items)}</{tag}>"
        case pywbem.CIMInstanceName():
            return reference(value.namespace, name_xml(value))
        case pywbem.CIMInstance():
            return f"<VALUE>{escape(instance_xml(value, Wanted()))}</VALUE>"
    return f"<VALUE>{atom(value)}</VALUE>"


def same_path(one: pywbem.CIMInstanceName, other: pywbem.CIMInstanceName) -> bool:
    """Whether two paths name the same instance: hosts do not count, nor the namespace where one of them has none."""
    if one.classname.lower() != other.classname.lower():
        return False
    here, there = one.namespace, other.namespace
    if here and there and here.lower() != there.lower():
        return False
    return _keys(one) == _keys(other)


def _keys(path: pywbem.CIMInstanceName) -> dict[str, object]:
    """Key values by name in lower case. Class names in them compare without regard to case (DSP0004, 5.1.2.8)."""
    return {name.lower(): _key(name, each) for name, each in path.keybindings.items()}


def _key(name: str, value: object) -> object:
    match value:
        case pywbem.CIMInstanceName():
            return (value.classname.lower(), tuple(sorted(_keys(value).items(), key=lambda pair: pair[0])))
        case str() if name.lower().endswith("creationclassname"):
            return value.lower()
    return value


def find(held: Iterable[pywbem.CIMInstance], path: pywbem.CIMInstanceName) -> pywbem.CIMInstance | None:
    """The instance with this path."""
    return next((each for each in held if same_path(each.path, path)), None)


def ties(
    held: Sequence[pywbem.CIMInstance], path: pywbem.CIMInstanceName, is_association: Callable[[str], bool]
) -> Iterator[Tie]:
    """Every way from the instance with this path to another one."""
    for each in held:
        if not is_association(each.classname):
            continue
        ends = [(p.name, p.value) for p in each.properties.values() if p.type == "reference" and p.value is not None]
        for role, end in ends:
            if same_path(end, path):
                for result_role, other in ends:
                    if result_role != role:
                        yield Tie(association=each, role=role, result_role=result_role, other=other)
