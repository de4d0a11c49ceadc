"""Instances of the Interop namespace: what clients send becomes values that are kept, by the names of the properties, and
values become instances.

Values are what JSON can hold; references are kept apart from them, by whoever has some.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pywbem

from agent.cim import namespaces
from agent.cim.status import CimError, Status
from agent.schema import dmtf

__all__ = ["NAMESPACE", "Values", "choice", "instance", "key_of", "keys", "limited", "ours", "path", "values"]

#: Where they live.
NAMESPACE = namespaces.INTEROP

#: Characters of a text, if nothing else is said.
LONGEST = 4096

Values = Mapping[str, Any]
"""Property values by their declared names; what is null is not there."""


def values(instance: pywbem.CIMInstance) -> dict[str, Any]:
    """What a client sent. NO_SUCH_PROPERTY or TYPE_MISMATCH if it does not fit the class."""
    declared = {p.name.lower(): p for p in dmtf.inherited_properties(_declared_name(instance.classname)).values()}
    found: dict[str, Any] = {}
    for prop in instance.properties.values():
        spec = declared.get(prop.name.lower())
        if spec is None:
            raise CimError(Status.NO_SUCH_PROPERTY, f"{instance.classname} has no property {prop.name[:80]!r}")
        if prop.value is None:
            continue
        if (prop.type, bool(prop.is_array)) != (spec.type, spec.array):
            raise CimError(
                Status.TYPE_MISMATCH, f"{instance.classname}.{spec.name} is {spec.type}, and was sent as {prop.type}"
            )
        found[spec.name] = _plain(spec.name, prop.value)
    return found


def _declared_name(classname: str) -> str:
    return next((name for name in dmtf.classes if name.lower() == classname.lower()), classname)


def _plain(name: str, value: Any) -> Any:
    match value:
        case list():
            if any(each is None for each in value):
                raise CimError(Status.INVALID_PARAMETER, f"{name} has a NULL in it")
            return [_plain(name, each) for each in value]
        case bool() | pywbem.CIMInstanceName():
            return value
        case int():
            return int(value)
        case str():
            return limited(name, str(value))
    return str(value)


def limited(name: str, text: str, longest: int = LONGEST) -> str:
    """The text, if it is not too long."""
    if len(text) > longest:
        raise CimError(Status.INVALID_PARAMETER, f"{name} has {len(text)} characters, more than {longest}")
    return text


def choice(found: Values, name: str, default: int, *, supported: tuple[int, ...], known: tuple[int, ...]) -> int:
    """The number that a property has of those that its class knows; NOT_SUPPORTED for those that mean nothing here."""
    value = found.get(name, default)
    if value in supported:
        return int(value)
    usual = " or ".join(map(str, supported))
    if value in known:
        raise CimError(Status.NOT_SUPPORTED, f"{name} {value} is not supported here; it can be {usual}")
    raise CimError(Status.INVALID_PARAMETER, f"{name} {value} is no value that it can have; it can be {usual}")


def keys(classname: str, found: Values, host: str, name: str) -> dict[str, str]:
    """The four keys of what belongs to a system, with what stands for those that the client left out."""
    created = found.get("CreationClassName") or classname
    if created.lower() != classname.lower():
        raise CimError(
            Status.INVALID_PARAMETER, f"CreationClassName is {created[:80]!r}, of an instance of {classname}"
        )
    made = {
        "SystemCreationClassName": limited(
            "SystemCreationClassName", found.get("SystemCreationClassName") or "CIM_ComputerSystem", 256
        ),
        "SystemName": limited("SystemName", found.get("SystemName") or host, 256),
        "CreationClassName": classname,
        "Name": limited("Name", found.get("Name") or name, 256),
    }
    for key, value in made.items():
        if any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise CimError(Status.INVALID_PARAMETER, f"{key} must not hold control characters")
    return made


def path(classname: str, found: Mapping[str, Any]) -> pywbem.CIMInstanceName:
    """The path of the instance with these values."""
    declared = dmtf.inherited_properties(classname).values()
    return pywbem.CIMInstanceName(
        classname, keybindings={p.name: found[p.name] for p in declared if p.key}, namespace=NAMESPACE
    )


def ours(where: pywbem.CIMInstanceName) -> bool:
    """Whether a path is of the namespace that they live in, or of none."""
    name = (where.namespace or NAMESPACE).strip("/").lower()
    return namespaces.ALIASES.get(name, name) == NAMESPACE


def key_of(where: pywbem.CIMInstanceName) -> str:
    """What tells an instance that belongs to a system from all others; the same for paths that name the same one."""
    bound = {str(name).lower(): str(value) for name, value in where.keybindings.items()}
    system, created = (bound.get(each, "").lower() for each in ("systemcreationclassname", "creationclassname"))
    return json.dumps([where.classname.lower(), created, system, bound.get("systemname"), bound.get("name")])


def instance(classname: str, found: Mapping[str, Any]) -> pywbem.CIMInstance:
    """The instance with these values and its path; what is not given is null."""
    declared = dmtf.inherited_properties(classname).values()
    properties = [
        pywbem.CIMProperty(p.name, found.get(p.name), type=p.type, is_array=p.array, reference_class=p.reference)
        for p in declared
    ]
    return pywbem.CIMInstance(classname, properties=properties, path=path(classname, found))
