"""Which namespaces there are, and which classes each of them shows.

`root/virtmap` has everything that the mapping gives rise to. `interop` has the server's account of itself and the
subscriptions to indications, and is `root/interop` too, for clients that look below `root`. `root/cimv2` shows, to
clients that look nowhere else, the same systems, processors, memory and logs as `root/virtmap`, with what the profiles
of virtual systems tell of these; whoever enumerates across namespaces meets those twice, which is why it shows no more. `root/virt`
is that of libvirt-cim, whose clients subscribe to its indications there; it has no instances. `root` has nothing but the names of
the namespaces below it.

A namespace's classes are closed under superclasses (agent.cim.repository). Classes that only interop shows are left
out of root/virtmap, except what an instance's conformance to a profile takes (DSP1033 wants it told in both).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.cim.classes import CHILD_NAMESPACE, INDICATION_SERVICE, Schema
from agent.cim.profiles import libvirt_cim
from agent.schema.dmtf import interop, subscription

__all__ = [
    "ALIASES",
    "CIMV2",
    "INTEROP",
    "INTEROP_CLASSES",
    "INTEROP_ONLY",
    "NAMES",
    "ROOT",
    "VIRT",
    "VIRTMAP",
    "VIRT_ONLY",
    "children",
    "shown",
]

ROOT = "root"
VIRTMAP = "root/virtmap"
INTEROP = "interop"
CIMV2 = "root/cimv2"
VIRT = "root/virt"

#: Other names of namespaces.
ALIASES: Mapping[str, str] = {"root/interop": INTEROP}

#: Every name that a client can use.
NAMES = (ROOT, VIRTMAP, INTEROP, *ALIASES, CIMV2, VIRT)

#: What tells that an instance conforms to a profile.
_CONFORMANCE = ("CIM_RegisteredProfile", "CIM_ElementConformsToProfile")

#: What interop shows beside the classes of its own.
_SHARED = (
    "CIM_ComputerSystem",
    "CIM_HostedService",
    "CIM_HostedAccessPoint",
    "CIM_ElementCapabilities",
    "CIM_ServiceAffectsElement",
)

#: What root/cimv2 shows, with everything beneath.
_GENERIC = (
    "CIM_ComputerSystem",
    "CIM_Processor",
    "CIM_Memory",
    "CIM_RecordLog",
    "CIM_MessageLog",
    "CIM_LogEntry",
    "CIM_VirtualSystemSettingData",
    "CIM_ResourceAllocationSettingData",
    "CIM_ResourcePool",
    "CIM_VirtualSystemManagementService",
    "CIM_ResourcePoolConfigurationService",
    "CIM_Capabilities",
)

#: The associations of which it shows those between what it shows.
_BETWEEN = (
    "CIM_SystemDevice",
    "CIM_HostedDependency",
    "CIM_SettingsDefineState",
    "CIM_ElementSettingData",
    "CIM_VirtualSystemSettingDataComponent",
    "CIM_HostedResourcePool",
    "CIM_ElementAllocatedFromPool",
    "CIM_ResourceAllocationFromPool",
    "CIM_ConcreteComponent",
    "CIM_ElementCapabilities",
    "CIM_SettingsDefineCapabilities",
    "CIM_ServiceAffectsElement",
    "CIM_UseOfLog",
    "CIM_LogManagesRecord",
    "CIM_ConcreteIdentity",
)

_OF_INTEROP = tuple(each.name for area in (interop, subscription) for each in area.CLASSES)

#: What interop shows, without the superclasses that these bring.
INTEROP_CLASSES = (*_OF_INTEROP, *_SHARED, INDICATION_SERVICE, CHILD_NAMESPACE)

#: Classes of libvirt-cim, which no other namespace shows.
VIRT_ONLY = frozenset(each.name for each in libvirt_cim.CLASSES)

#: Classes that root/virtmap does not show since they are those of interop.
INTEROP_ONLY = frozenset(_OF_INTEROP) - {*_CONFORMANCE, "CIM_RegisteredSpecification"} | {
    INDICATION_SERVICE,
    CHILD_NAMESPACE,
}


def shown(schema: Schema) -> Mapping[str, tuple[str, ...]]:
    """For each namespace, the names of its classes in lower case, without the superclasses they bring."""
    return {
        ROOT: (CHILD_NAMESPACE.lower(),),
        VIRTMAP: tuple(n for n, d in schema.classes.items() if d.name not in INTEROP_ONLY | VIRT_ONLY),
        INTEROP: tuple(n.lower() for n in INTEROP_CLASSES),
        CIMV2: _generic(schema),
        VIRT: tuple(n.lower() for n in libvirt_cim.INDICATIONS),
    }


def _generic(schema: Schema) -> tuple[str, ...]:
    """The generic classes with what is beneath them, and the associations between these."""
    hidden = {name.lower() for name in INTEROP_ONLY | VIRT_ONLY}
    classes = {n for top in _GENERIC for n in schema.descendants(top)} - hidden
    between = [
        name
        for name, association in schema.associations.items()
        if any(schema.is_a(name, base) for base in _BETWEEN)
        and any({link.near.name.lower(), link.far.name.lower()} <= classes for link in association.links)
    ]
    return (*classes, *between)


def children(above: str, names: Iterable[str] = NAMES) -> list[str]:
    """The names of the namespaces directly below one, as `__Namespace` gives them: relative to it."""
    start = above.lower() + "/"
    return sorted({n[len(start) :].split("/")[0] for n in names if n.lower().startswith(start)})
