"""The Interop namespace in short: the server and its namespaces, where clients look for them first (DSP1033)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pywbem

from agent.cim.instances import Form, Wanted
from agent.cim.status import CimError, Status

__all__ = ["CLASSES", "NAMESPACE", "instances", "name_xml", "named", "one"]

NAMESPACE = "interop"

#: The classes that the namespace shows, with their superclasses.
CLASSES = ("CIM_ObjectManager", "CIM_Namespace")

#: CIM_Namespace.ClassInfo: other than the old versions that it numbers.
_OTHER = 1


def instances(host: str, version: str, namespaces: Iterable[str]) -> list[Any]:
    """The instances of the namespace, as pywbem.CIMInstance with their paths."""
    system = {"SystemCreationClassName": "CIM_ComputerSystem", "SystemName": host}
    manager = {"CreationClassName": "CIM_ObjectManager", "Name": "virtmap"}
    found = [
        _instance(
            "CIM_ObjectManager",
            {**system, **manager},
            ElementName="virtmap",
            Description=f"virtmap version {version}",  # clients read the version out of this
            Started=True,
        )
    ]
    for name in namespaces:
        keys = {
            **system,
            "ObjectManagerCreationClassName": manager["CreationClassName"],
            "ObjectManagerName": manager["Name"],
            "CreationClassName": "CIM_Namespace",
            "Name": name,
        }
        found.append(
            _instance(
                "CIM_Namespace",
                keys,
                ElementName=name,
                ClassInfo=pywbem.Uint16(_OTHER),
                DescriptionOfClassInfo="CIM 2.49",
            )
        )
    return found


def _instance(name: str, keys: dict[str, str], **others: Any) -> Any:
    path = pywbem.CIMInstanceName(name, keybindings=keys, namespace=NAMESPACE)
    return pywbem.CIMInstance(name, properties={**keys, **others}, path=path)


def named(fixed: Iterable[Any], is_wanted: Callable[[str], bool], wanted: Wanted) -> Iterator[str]:
    """The instances whose class is wanted, as VALUE.NAMEDINSTANCE."""
    for instance in fixed:
        if is_wanted(instance.classname):
            yield Form.NAMED.around("", name_xml(instance.path), _xml(instance, wanted))


def one(fixed: Iterable[Any], path: Any, wanted: Wanted) -> str:
    """The instance with this path as INSTANCE; NOT_FOUND when there is none."""
    for instance in fixed:
        if instance.classname.lower() == path.classname.lower() and instance.path.keybindings == path.keybindings:
            return _xml(instance, wanted)
    raise CimError(Status.NOT_FOUND, f"there is no such instance of {path.classname}")


def name_xml(path: Any) -> str:
    """INSTANCENAME of a path."""
    bare = path.copy()
    bare.namespace = bare.host = None
    return str(bare.tocimxmlstr())


def _xml(instance: Any, wanted: Wanted) -> str:
    copied = instance.copy()
    copied.path = None
    if wanted.properties is not None:
        for name in [n for n in copied.properties if n.lower() not in wanted.properties]:
            del copied.properties[name]
    return str(copied.tocimxmlstr())
