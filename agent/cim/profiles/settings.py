"""What settings that a client sends tell of a domain: its definition, quantities in units, and what would come to nothing.

Settings that make no sense are CIM errors in words; those that this service knows nothing of, or that contradict each other,
are refusals with a return value of the profile.
"""

from __future__ import annotations

import enum
import re
import uuid
from collections.abc import Mapping
from typing import Any

import pywbem

from agent.cim.classes import PREFIX
from agent.cim.definition import Settings
from agent.cim.instances import value
from agent.cim.profiles.configuration import COUNT, KIB, MEMORY
from agent.cim.status import CimError, Status
from agent.cim.world import Found

__all__ = [
    "QUANTITY", "Refusal", "Returned", "counted", "differing", "in_kib", "of_system", "quantified", "settings_of", "starts",
    "unheard", "wrong",
]  # fmt: skip

#: CIM_VirtualSystemSettingData.AutomaticStartupAction.
_STARTUP = {4: True, 2: False}

#: Properties of the settings of a system, and what of a definition they are.
_OF_SYSTEM = {
    "ElementName": "name",
    "VirtualSystemIdentifier": "uuid",
    "VirtualSystemType": "type",
    "Notes": "description",
    "Memory": "memory",
    "MaxMemory": "max_memory",
    "Vcpus": "vcpus",
    "MaxVcpus": "max_vcpus",
}
_STARTS = "AutomaticStartupAction"

#: Properties that say nothing about what is to be made.
_SILENT = frozenset(("InstanceID", "Caption", "Description", "ElementName", "ResourceType"))

#: What settings of a resource can say without telling anything new, as all settings of resources say it.
_GIVEN_ANYWAY: Mapping[str, tuple[Any, ...]] = {
    "ConsumerVisibility": (0, 3),
    "AutomaticAllocation": (True,),
    "AutomaticDeallocation": (True,),
    "VirtualResourceBlockSize": (1,),
    "HostResourceBlockSize": (1,),
    "HostExtentNameFormat": (0, 12),
    "HostExtentNameNamespace": (0, 8),
    "MappingBehavior": (0,),
}


class Returned(enum.IntEnum):
    """What the methods of the service return."""

    COMPLETED = 0
    NOT_SUPPORTED = 1
    INVALID_STATE = 5
    INCOMPATIBLE = 6


class Refusal(Exception):
    """A method ends with a return value of the profile, for a reason that the audit trail is told."""

    def __init__(self, code: Returned, reason: str) -> None:
        super().__init__(reason)
        self.code = code


#: What settings of processors and memory can say of how much there is to be.
QUANTITY = frozenset(("VirtualQuantity", "VirtualQuantityUnits", "AllocationUnits", "Limit", "PoolID"))
_UNITS = {"bytes": 1, "kilobytes": 2**10, "megabytes": 2**20, "gigabytes": 2**30}
_PROGRAMMATIC = re.compile(r"byte\s*(?:\*\s*(2|10)\s*\^\s*(\d{1,2}))?", re.IGNORECASE)


def wrong(method: str, why: str) -> CimError:
    return CimError(Status.INVALID_PARAMETER, f"{method}: {why}")


def unheard(resource: pywbem.CIMInstance, heard: frozenset[str]) -> None:
    """Refuse settings with a value that would come to nothing."""
    lost = [
        name
        for name, each in resource.properties.items()
        if each.value is not None
        and name not in heard
        and name not in _SILENT
        and each.value not in _GIVEN_ANYWAY.get(name, ())
        and not (heard is not QUANTITY and name in _COUNTED and each.value in (1, COUNT, "byte", KIB))
    ]
    if lost:
        raise Refusal(Returned.NOT_SUPPORTED, f"{resource.classname}: {', '.join(lost[:5])} cannot be set")


#: What settings of a device say of its quantity: there is one of it.
_COUNTED = ("VirtualQuantity", "VirtualQuantityUnits", "AllocationUnits")


def counted(method: str, told: pywbem.CIMInstance, units: str) -> None:
    """INVALID_PARAMETER unless quantities are there, and are in these units."""
    for name in ("AllocationUnits", "VirtualQuantityUnits"):
        given = told.get(name)
        if given not in (None, units):
            raise wrong(method, f"ResourceSettings: {name}: {given[:40]!r} is not {units}")
    quantity, limit = told.get("VirtualQuantity"), told.get("Limit")
    if quantity is None and limit is None:
        raise wrong(method, f"ResourceSettings: {told.classname} has no VirtualQuantity")
    if 0 in (quantity, limit):
        raise wrong(method, "ResourceSettings: a domain cannot be allotted 0")
    if quantity is not None and limit is not None and quantity > limit:
        raise Refusal(Returned.INCOMPATIBLE, f"VirtualQuantity, {quantity}, is above Limit, {limit}")


def in_kib(method: str, resource: pywbem.CIMInstance) -> pywbem.CIMInstance:
    """Settings of memory with their quantities in KiB; others as they are."""
    made = resource.copy()
    for units, quantities in (("VirtualQuantityUnits", ("VirtualQuantity",)), ("AllocationUnits", ("Limit",))):
        given = resource.get(units) or resource.get("AllocationUnits") or resource.get("VirtualQuantityUnits")
        if given is None or given in (COUNT, KIB):
            continue
        factor = _bytes(given)
        if factor is None:
            raise wrong(method, f"ResourceSettings: {units}: {given[:40]!r} is no unit of memory, such as {KIB}")
        for name in quantities:
            if resource.get(name) is not None:
                whole = -(-int(resource[name]) * factor // 1024)
                if whole >= 2**64:
                    raise wrong(method, f"ResourceSettings: {name}: {resource[name]} {given[:40]} is too much")
                made[name] = pywbem.Uint64(whole)
        if resource.get(units) is not None:
            made[units] = KIB
    return made


def _bytes(units: str) -> int | None:
    """The bytes of a unit of memory: a programmatic unit, or a word that older clients use."""
    known = _UNITS.get(units.strip().lower())
    if known is not None:
        return known
    found = _PROGRAMMATIC.fullmatch(units.strip())
    return None if found is None else int(found.group(1) or 1) ** int(found.group(2) or 0)


def of_system(method: str, system: pywbem.CIMInstance) -> dict[str, Any]:
    """What settings of a system tell of its definition."""
    given: dict[str, Any] = {}
    for name, each in system.properties.items():
        setting = _OF_SYSTEM.get(name)
        if setting is not None:
            given[setting] = "\n".join(filter(None, each.value)) if each.is_array else each.value
        elif name not in (*_SILENT, _STARTS):
            raise Refusal(Returned.NOT_SUPPORTED, f"{name} cannot be set when a domain is defined")
    identity = given.get("uuid")
    if identity is not None:
        try:
            given["uuid"] = str(uuid.UUID(identity))
        except ValueError:
            # Where systems have no UUIDs, clients give their name in this place.
            if given.setdefault("name", identity) != identity:
                raise wrong(method, f"SystemSettings: VirtualSystemIdentifier: {identity[:40]!r} is no UUID") from None
            del given["uuid"]
    return given


def starts(method: str, system: pywbem.CIMInstance) -> bool:
    """Whether the domain is to be started together with its host."""
    wanted = system.get(_STARTS)
    if wanted is None:
        return False
    if wanted not in _STARTUP:
        raise Refusal(Returned.NOT_SUPPORTED, f"{_STARTS} can be {' or '.join(map(str, _STARTUP))}")
    return _STARTUP[wanted]


def settings_of(method: str, given: Mapping[str, Any]) -> Settings:
    """The settings of a definition; INVALID_PARAMETER without a name or memory."""
    if not given.get("name"):
        raise wrong(method, "SystemSettings: a domain needs its ElementName")
    if not given.get("memory") and not given.get("max_memory"):
        raise wrong(method, f"ResourceSettings: a domain needs memory: settings with the ResourceType {MEMORY}")
    known: dict[str, Any] = {name: each for name, each in given.items() if each is not None}
    known.setdefault("memory", known.get("max_memory"))
    for now, most in (("memory", "max_memory"), ("vcpus", "max_vcpus")):
        if known.get(now) and known.get(most) and known[now] > known[most]:
            known[most] = known[now]
    return Settings(**known)


def differing(found: Found, given: pywbem.CIMInstance) -> list[str]:
    """The properties that settings are to have other values of."""
    changed = []
    for prop in found.cls.properties:
        wanted, now = given.get(prop.name), value(prop.source, found.record, found.hypervisor)
        if wanted is not None and (tuple(wanted) if isinstance(wanted, list) else wanted) != now:
            changed.append(prop.name)
    return changed


def quantified(method: str, found: Found, given: pywbem.CIMInstance) -> pywbem.CIMInstance:
    """What settings of processors or memory are to be, in the units that they have."""
    of_memory = found.cls.name.removeprefix(PREFIX).startswith("Memory")
    told = in_kib(method, given) if of_memory else given
    for name in ("AllocationUnits", "VirtualQuantityUnits"):
        if told.get(name) not in (None, KIB if of_memory else COUNT):
            units = KIB if of_memory else COUNT
            raise wrong(method, f"ResourceSettings: {name}: {told[name][:40]!r} is not {units}")
    quantity, limit = told.get("VirtualQuantity"), told.get("Limit")
    if quantity is not None and limit is not None and quantity > limit:
        raise Refusal(Returned.INCOMPATIBLE, f"VirtualQuantity, {quantity}, is above Limit, {limit}")
    return told
