"""The Interop namespace in short: the server and its namespaces, where clients look for them first (DSP1033, DSP0200)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pywbem

from agent import __doc__ as about
from agent.cim.classes import PREFIX

__all__ = ["CLASSES", "NAMESPACE", "instances"]

NAMESPACE = "interop"

#: The classes that the namespace shows, with their superclasses.
CLASSES = ("CIM_ObjectManager", "CIM_Namespace", "CIM_ComputerSystem")

_CIM_2_9_OR_LATER = 1


def instances(host: str, version: str, namespaces: Iterable[str]) -> list[Any]:
    """The instances of the namespace, as pywbem.CIMInstance with their paths."""
    system = {"SystemCreationClassName": f"{PREFIX}Host", "SystemName": host}
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
                ClassInfo=pywbem.Uint16(_CIM_2_9_OR_LATER),
                DescriptionOfClassInfo="CIM 2.49",
            )
        )
    return found


def _instance(name: str, keys: dict[str, str], **others: Any) -> Any:
    path = pywbem.CIMInstanceName(name, keybindings=keys, namespace=NAMESPACE)
    return pywbem.CIMInstance(name, properties={**keys, **others}, path=path)
