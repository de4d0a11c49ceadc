"""The Interop namespace in short: the server and its namespaces, where clients look for them first (DSP1033)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pywbem

from agent import __doc__ as about

__all__ = ["CLASSES", "NAMESPACE", "instances"]

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
            Description=f"virtmap version {version}. {(about or '').strip()}",
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
