"""What hosts have to give away: pools of resources, how they can be allotted, and what is taken from them (DSP1041, DSP1043).

Processors and memory are pools of every host, from its row. Another kind of pool is one more entry of `_POOLS`: its class, which
may be that of a row, and which settings and devices are taken from it by which column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.cim.profiles.configuration import COUNT, DISK, KIB, MEMORY, NIC, POOLS, PROCESSOR
from agent.cim.profiles.view import Condition, Tie, View
from agent.model import Host
from agent.model.element import ELEMENT, ENABLED
from agent.model.network import Network
from agent.schema.declare import Association, Fill, constant, spelled, taken

__all__ = ["AFFECTS", "CAPABILITIES", "HOSTED_SERVICE", "POOL_CLASSES", "TIES", "VIEWS"]

#: CIM_AllocationCapabilities: both specific and general requests; the resource is shared; states of a domain.
_BOTH, _SHARED, _DEDICATED, _ENABLED, _DISABLED = 4, 3, 2, 2, 3

_POOL_NULLS = {
    **{reason: why for reason, why in ELEMENT.items() if reason not in ("InstanceID", "Description")},
    "Description": "ElementName says it already.",
    "OtherResourceType": "ResourceType has a standard value that fits.",
    "ResourceSubType": "There is one kind only.",
}
_TAKEN = "libvirt sets no processors aside: domains share them."

_CONNECTED: Mapping[str, Fill] = {
    "OperationalStatus": taken("connected", how=lambda connected: (2,) if connected else (13,)),
    "HealthState": taken("connected", how=lambda connected: 5 if connected else 0),
}

_PROCESSORS = View(
    name="ProcessorPool", row=Host, cim="CIM_ResourcePool",
    description="The processors of a host, as what its domains share.",
    fills={
        **_CONNECTED,
        "InstanceID": spelled("virtmap:{0}/processor", "hypervisor"),
        "ElementName": taken("hypervisor", how="Processors of {0}".format),
        "Name": constant("processor"),
        "PoolID": constant(POOLS[PROCESSOR]),
        "Primordial": constant(True),
        "Capacity": taken("cpus"),
        "ResourceType": constant(PROCESSOR),
        "AllocationUnits": constant(COUNT),
    },
    nulls={**_POOL_NULLS, "Reserved": _TAKEN},
)  # fmt: skip
_MEMORY = View(
    name="MemoryPool", row=Host, cim="CIM_ResourcePool",
    description="The memory of a host, as what its domains are given. Reserved is what domains and the host itself use of it.",
    fills={
        **_CONNECTED,
        "InstanceID": spelled("virtmap:{0}/memory", "hypervisor"),
        "ElementName": taken("hypervisor", how="Memory of {0}".format),
        "Name": constant("memory"),
        "PoolID": constant(POOLS[MEMORY]),
        "Primordial": constant(True),
        "Capacity": taken("memory"),
        "Reserved": taken("memory", "memory_free", how=lambda memory, free: max(0, memory - free)),
        "ResourceType": constant(MEMORY),
        "AllocationUnits": constant(KIB),
    },
    nulls=_POOL_NULLS,
)  # fmt: skip

_NETWORK = View(
    name="NetworkPool", row=Network, cim="CIM_ResourcePool",
    description="A virtual network of a host, as what network interfaces are connected to.",
    fills={
        "InstanceID": spelled("virtmap:network/{0}/pool", "uuid"),
        "ElementName": taken("name"),
        "Name": taken("name"),
        "OperationalStatus": taken("active", how=lambda active: (2,) if active else (10,)),
        "HealthState": constant(5),
        "PoolID": taken("name", how="network/{0}".format),
        "Primordial": constant(False),
        "ResourceType": constant(33),
        "AllocationUnits": constant(COUNT),
    },
    nulls={
        **_POOL_NULLS,
        "Capacity": "A network takes as many interfaces as come.",
        "Reserved": "A network sets nothing aside.",
    },
)  # fmt: skip

# --- how they can be allotted -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Allotment:
    """How one kind of resource can be allotted. `points` are settings that mark what is possible, by the name of the end."""

    name: str
    kind: int
    sharing: int
    #: Whether more of them can be added to a domain, and taken away again; else their number can be changed only.
    pieces: bool
    units: str
    points: Mapping[str, Fill]


_ALLOTMENTS = (
    _Allotment(
        name="Processor", kind=PROCESSOR, sharing=_SHARED, pieces=False, units=COUNT,
        points={
            "Default": constant(1), "Minimum": constant(1), "Maximum": taken("max_vcpus"), "Increment": constant(1),
        },
    ),
    _Allotment(
        name="Memory", kind=MEMORY, sharing=_DEDICATED, pieces=False, units=KIB,
        points={
            "Default": constant(524288), "Minimum": constant(1), "Maximum": taken("memory"), "Increment": constant(1),
        },
    ),
    _Allotment(name="Disk", kind=DISK, sharing=_DEDICATED, pieces=True, units=COUNT, points={"Default": constant(1)}),
    _Allotment(name="Nic", kind=NIC, sharing=_DEDICATED, pieces=True, units=COUNT, points={"Default": constant(1)}),
)  # fmt: skip

#: CIM_SettingsDefineCapabilities: what the settings of each point are.
_POINTS: Mapping[str, Mapping[str, int]] = {
    "Default": {"PropertyPolicy": 0, "ValueRole": 0, "ValueRange": 0},
    "Minimum": {"PropertyPolicy": 0, "ValueRole": 3, "ValueRange": 1},
    "Maximum": {"PropertyPolicy": 0, "ValueRole": 3, "ValueRange": 2},
    "Increment": {"PropertyPolicy": 0, "ValueRole": 3, "ValueRange": 3},
}

_CAPABILITY_NULLS = {"Caption": "ElementName says it already.", "Description": "ElementName says it already."}
_NOT_LIMITED = "Only the quantity has limits."


def _capabilities(kind: _Allotment) -> View:
    states = (_ENABLED, _DISABLED) if kind.pieces else ()
    return View(
        name=f"{kind.name}AllocationCapabilities", row=Host, cim="CIM_AllocationCapabilities",
        description=f"How domains of a host can be allotted resources of the kind {kind.name.lower()}.",
        fills={
            "InstanceID": spelled(f"virtmap:{{0}}/allocation/{kind.name.lower()}", "hypervisor"),
            "ElementName": constant(f"Allocation: {kind.name.lower()}"),
            "ResourceType": constant(kind.kind),
            "RequestTypesSupported": constant(_BOTH),
            "SharingMode": constant(kind.sharing),
            "SupportedAddStates": constant(states),
            "SupportedRemoveStates": constant(states),
        },
        nulls={
            **_CAPABILITY_NULLS,
            "OtherResourceType": "ResourceType has a standard value that fits.",
            "ResourceSubType": "All kinds of it can be allotted alike.",
        },
    )  # fmt: skip


def _point(kind: _Allotment, name: str, quantity: Fill) -> View:
    fills: dict[str, Fill] = {
        "InstanceID": spelled(f"virtmap:{{0}}/allocation/{kind.name.lower()}/{name.lower()}", "hypervisor"),
        "ElementName": constant(f"{name} {kind.name.lower()}"),
        "ResourceType": constant(kind.kind),
        "AllocationUnits": constant(kind.units),
        "VirtualQuantity": quantity,
        "VirtualQuantityUnits": constant(kind.units),
    }
    others = (
        "Description", "Caption", "ChangeableType", "ConfigurationName", "OtherResourceType", "ResourceSubType", "PoolID",
        "ConsumerVisibility", "HostResource", "Reservation", "Limit", "Weight", "AutomaticAllocation",
        "AutomaticDeallocation", "Parent", "Connection", "Address", "MappingBehavior", "AddressOnParent",
    )  # fmt: skip
    return View(
        name=f"{name}{kind.name}SettingData", row=Host, cim="CIM_ResourceAllocationSettingData",
        description=f"A point in what domains of a host can be allotted: the {name.lower()} of the kind {kind.name.lower()}.",
        fills=fills, nulls=dict.fromkeys(others, _NOT_LIMITED),
    )  # fmt: skip


_CONFIGURATION_SERVICE = View(
    name="ResourcePoolConfigurationService", row=Host, cim="CIM_ResourcePoolConfigurationService",
    description=(
        "What would make and change the pools of a host. Its processors and memory are given, and storage pools and networks have "
        "operations of their own."
    ),
    fills={
        "Name": constant("pools"),
        "ElementName": constant("Configuration of resource pools"),
        **_CONNECTED,
        "EnabledState": taken("connected", how=lambda connected: 2 if connected else 6),
        "RequestedState": constant(12),
        "Started": taken("connected"),
    },
    nulls={
        **{reason: why for reason, why in ENABLED.items() if reason != "InstanceID"},
        "InstanceID": "Name is the key.",
        "Description": "ElementName says it already.",
        "PrimaryOwnerName": "libvirt knows no owner.",
        "PrimaryOwnerContact": "libvirt knows no owner.",
    },
)  # fmt: skip
_CONFIGURATION_CAPABILITIES = View(
    name="ResourcePoolConfigurationCapabilities", row=Host, cim="CIM_ResourcePoolConfigurationCapabilities",
    description="What the configuration of pools can do: none of the methods that the DMTF thought of.",
    fills={
        "InstanceID": spelled("virtmap:{0}/pools/capabilities", "hypervisor"),
        "ElementName": constant("Capabilities of the configuration of resource pools"),
        "AsynchronousMethodsSupported": constant(()),
        "SynchronousMethodsSupported": constant(()),
    },
    nulls=_CAPABILITY_NULLS,
)  # fmt: skip

VIEWS = (
    _PROCESSORS,
    _MEMORY,
    _NETWORK,
    *map(_capabilities, _ALLOTMENTS),
    *(_point(kind, name, quantity) for kind in _ALLOTMENTS for name, quantity in kind.points.items()),
    _CONFIGURATION_SERVICE,
    _CONFIGURATION_CAPABILITIES,
)

# --- what belongs together --------------------------------------------------------------------------------------------

HOSTED_POOL = Association(
    name="Virtmap_HostedResourcePool", base="CIM_HostedResourcePool", far="GroupComponent", near="PartComponent",
    description="The host that a pool of resources belongs to.",
)  # fmt: skip
ALLOCATED = Association(
    name="Virtmap_ElementAllocatedFromPool", base="CIM_ElementAllocatedFromPool", far="Antecedent", near="Dependent",
    description="The pool that a device of a domain is taken from.",
)  # fmt: skip
FROM_POOL = Association(
    name="Virtmap_ResourceAllocationFromPool", base="CIM_ResourceAllocationFromPool", far="Antecedent", near="Dependent",
    description="The pool that an allotment is taken from.",
)  # fmt: skip
PART = Association(
    name="Virtmap_ResourcePoolComponent", base="CIM_ConcreteComponent", far="GroupComponent", near="PartComponent",
    description="What of the host a pool is made of.",
)  # fmt: skip
CAPABILITIES = Association(
    name="Virtmap_ElementCapabilities", base="CIM_ElementCapabilities", far="ManagedElement", near="Capabilities",
    description="What a host, a domain, a pool or a service is capable of.",
)  # fmt: skip
DEFINES_CAPABILITIES = Association(
    name="Virtmap_SettingsDefineCapabilities", base="CIM_SettingsDefineCapabilities", far="GroupComponent", near="PartComponent",
    description="Settings that mark what can be allotted.",
)  # fmt: skip
HOSTED_SERVICE = Association(
    name="Virtmap_HostedService", base="CIM_HostedService", far="Antecedent", near="Dependent",
    description="The host that a service runs on.",
)  # fmt: skip

AFFECTS = Association(
    name="Virtmap_ServiceAffectsElement", base="CIM_ServiceAffectsElement", far="AffectingElement", near="AffectedElement",
    description="The service that changes a domain or a pool.",
)  # fmt: skip

_CURRENT: Mapping[str, Any] = {"Characteristics": (3,)}
_MANAGES: Mapping[str, Any] = {"ElementEffects": (5,)}


@dataclass(frozen=True, kw_only=True)
class _Pool:
    """A class of pools: the settings and devices that are taken from it, and which of them by which columns, as ties have it;
    how what is in it can be allotted, and what of the host it is made of: `parts` that its own row shows, and `pieces` with rows of
    their own beneath. One that is not `hosted` tells its host itself."""

    name: str
    settings: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    via: str | None = None
    on: str | None = None
    when: Condition | None = None
    allotment: str | None = None
    parts: tuple[str, ...] = ()
    pieces: tuple[str, ...] = ()
    hosted: bool = True


_POOLS = (
    _Pool(
        name="ProcessorPool", settings=("ProcessorStateSettingData", "ProcessorSettingData"), devices=("Vcpu",),
        allotment="Processor", pieces=("HostCpu",),
    ),
    _Pool(
        name="MemoryPool", settings=("MemoryStateSettingData", "MemorySettingData"), devices=("DomainMemory",),
        allotment="Memory", parts=("HostMemory",), pieces=("NumaCell",),
    ),
    _Pool(
        name="Pool", settings=("DiskStateSettingData", "DiskSettingData"), devices=("Disk",), via="pool", allotment="Disk",
        hosted=False,
    ),
    _Pool(
        name="NetworkPool", settings=("NicStateSettingData", "NicSettingData"), devices=("Nic",), via="source", on="name",
        when=Condition(columns=("Nic.type",), holds=lambda kind: kind == "network"), allotment="Nic", parts=("Network",),
    ),
)  # fmt: skip

#: The classes of pools, by their names without prefix.
POOL_CLASSES = tuple(pool.name for pool in _POOLS)


def _ties(pool: _Pool) -> Iterator[Tie]:
    if pool.hosted:
        yield Tie(association=HOSTED_POOL, near=pool.name, far="Host")
    for near in pool.settings:
        yield Tie(association=FROM_POOL, near=near, far=pool.name, via=pool.via, on=pool.on, when=pool.when)
    for near in pool.devices:
        yield Tie(association=ALLOCATED, near=near, far=pool.name, via=pool.via, on=pool.on, when=pool.when)
    for part in pool.parts:
        yield Tie(association=PART, near=pool.name, far=part, swapped=True)
    for piece in pool.pieces:
        yield Tie(association=PART, near=piece, far=pool.name)
    yield Tie(association=AFFECTS, near=pool.name, far="ResourcePoolConfigurationService", constants=_MANAGES)
    if pool.allotment is not None:
        yield Tie(
            association=CAPABILITIES, near=pool.name, far=f"{pool.allotment}AllocationCapabilities", swapped=True,
            constants=_CURRENT,
        )  # fmt: skip


TIES = (
    *(tie for pool in _POOLS for tie in _ties(pool)),
    *(
        Tie(association=CAPABILITIES, near=f"{kind.name}AllocationCapabilities", far="Host", constants=_CURRENT)
        for kind in _ALLOTMENTS
    ),
    *(
        Tie(association=DEFINES_CAPABILITIES, near=f"{point}{kind.name}SettingData", far=f"{kind.name}AllocationCapabilities",
            constants=_POINTS[point])
        for kind in _ALLOTMENTS
        for point in kind.points
    ),
    Tie(association=HOSTED_SERVICE, near="ResourcePoolConfigurationService", far="Host"),
    Tie(
        association=CAPABILITIES, near="ResourcePoolConfigurationCapabilities", far="ResourcePoolConfigurationService",
        constants=_CURRENT,
    ),
)  # fmt: skip
