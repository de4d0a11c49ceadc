"""The configurations of a virtual system (DSP1057), and what it is allotted in them (DSP1041 and those on it, DSP1044 to DSP1050).

A domain that runs has two: its state, and the definition that holds from the next start on. One that does not has its
definition only, which then defines its state as well. Processors and memory are told of both. Disks and NICs are read from what
runs; they are told of the definition too as long as that has not been changed meanwhile.

An identifier spells what it identifies: `virtmap:UUID/disk/vda/state`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from agent.cim.profiles.view import Condition, Tie, View
from agent.model import Disk, Domain, Nic
from agent.model.disk import DiskDevice
from agent.model.domain import AT_REST, DEFINITION
from agent.schema.declare import Association, Fill, constant, spelled, taken

__all__ = [
    "DEFINITIONS", "DISK", "MEMORY", "NIC", "POOLS", "PROCESSOR", "RESOURCE_TYPES", "RUNS", "STATES", "TIES", "VIEWS",
    "packed",
]  # fmt: skip

#: CIM_ResourceAllocationSettingData.ResourceType.
PROCESSOR, MEMORY, NIC, DISK = 3, 4, 10, 17

#: The kinds of disks by what the guest takes them for.
RESOURCE_TYPES: Mapping[DiskDevice, int] = MappingProxyType(
    {DiskDevice.DISK: DISK, DiskDevice.LUN: DISK, DiskDevice.CDROM: 15, DiskDevice.FLOPPY: 14}
)

#: The identifiers of the pools of a host.
POOLS = MappingProxyType({PROCESSOR: "processor", MEMORY: "memory"})

COUNT, KIB, BYTE = "count", "byte*2^10", "byte"
_VIRTUALIZED = 3
_READ, _READ_WRITE = 1, 3
_DEVICE_NAME, _DEVICE_NAMESPACE = 12, 8

RUNS = Condition(columns=("Domain.state",), holds=lambda state: state is not None and state not in AT_REST)
RESTS = Condition(columns=("Domain.state",), holds=lambda state: state in AT_REST)


def packed(mac: str) -> str:
    """A MAC address as twelve digits."""
    return mac.replace(":", "").upper()


# --- what is null -----------------------------------------------------------------------------------------------------

_COMMON = {
    "Caption": "ElementName says it already.",
    "ChangeableType": "It follows from the configuration: changes of a state are gone with the run, those of a definition stay.",
    "ConfigurationName": "The settings of the whole system name it.",
    "OtherResourceType": "ResourceType has a standard value that fits.",
    "Reservation": "libvirt sets nothing aside for a domain.",
    "Weight": "Shares are told by the domain itself.",
    "Parent": "AddressOnParent says it already.",
    "MappingBehavior": "The hypervisor decides where on the host it comes from.",
}
_OF_SYSTEM = {
    **_COMMON,
    "Description": "ElementName says it already.",
    "ResourceSubType": "There is one kind only.",
    "HostResource": "It comes from a pool, and from no place in particular.",
    "Connection": "It is connected to nothing.",
    "Address": "It has no address.",
    "AddressOnParent": "It is attached to nothing.",
}
_OF_DISK = {
    **_COMMON,
    "Description": "ElementName says it already.",
    "PoolID": "The image tells where it is; it need not be in a pool.",
    "Limit": "Its size is what it is.",
    "Connection": "HostResource says it already.",
    "Address": "AddressOnParent tells where the guest finds it.",
    "HostExtentStartingAddress": "It begins at the beginning.",
    "OtherHostExtentNameFormat": "HostExtentNameFormat has a standard value that fits.",
    "OtherHostExtentNameNamespace": "HostExtentNameNamespace has a standard value that fits.",
}
_OF_NIC = {
    **_COMMON,
    "Description": "ElementName says it already.",
    "Limit": "Bandwidth is told by the interface itself.",
    "AddressOnParent": "The address tells which interface it is.",
    "DesiredVLANEndpointMode": "The network decides about VLANs.",
    "NetworkPortProfileID": "Port groups of libvirt have names, not identifiers.",
    "Promiscuous": "libvirt has no such setting of an interface.",
}

# --- settings of resources --------------------------------------------------------------------------------------------


def _held_with_domain(kind: int, units: str) -> dict[str, Fill]:
    """What settings of any resource say."""
    return {
        "ResourceType": constant(kind),
        "ConsumerVisibility": constant(_VIRTUALIZED),
        "AllocationUnits": constant(units),
        "VirtualQuantityUnits": constant(units),
        "AutomaticAllocation": constant(True),
        "AutomaticDeallocation": constant(True),
    }


def _system_resource(name: str, kind: int, units: str, of: str, now: str, most: str, what: str) -> list[View]:
    """Processors or memory: the columns of the state and, with `config_` before them, those of the definition."""
    made = []
    for configuration, prefix, suffix, condition in (
        ("state", "", "StateSettingData", RUNS),
        ("definition", "config_", "SettingData", None),
    ):
        quantity = f"{prefix}{now}"
        made.append(
            View(
                name=f"{name}{suffix}", row=Domain, cim="CIM_ResourceAllocationSettingData",
                description=f"{what} {_SPEAKS_OF[configuration]}",
                fills={
                    **_held_with_domain(kind, units),
                    "InstanceID": spelled(f"virtmap:{{0}}/{of}/{configuration}", "uuid"),
                    "ElementName": taken("name", how=(name + " of {0}").format),
                    "PoolID": constant(POOLS[kind]),
                    "VirtualQuantity": taken(quantity),
                    "Limit": taken(f"{prefix}{most}"),
                },
                nulls=_OF_SYSTEM,
                present=_known(quantity) if condition is None else condition,
            )
        )  # fmt: skip
    return made


_SPEAKS_OF = {
    "state": "As long as the domain runs: what it has now.",
    "definition": "From its definition: what it gets at the next start.",
}


def _known(column: str) -> Condition:
    return Condition(columns=(f"Domain.{column}",), holds=lambda value: value is not None)


def _as_defined(state: int | None, persistent: bool | None, updated: bool | None) -> bool:
    return state in AT_REST or (state is not None and persistent is True and updated is False)


#: When the devices that were read are those of the definition.
AS_DEFINED = Condition(columns=("Domain.state", "Domain.persistent", "Domain.updated"), holds=_as_defined)

_DISK_FILLS: Mapping[str, Fill] = {
    **_held_with_domain(DISK, BYTE),
    "ResourceType": taken("device", how=RESOURCE_TYPES.get),
    "ElementName": taken("target"),
    "ResourceSubType": taken("bus"),
    "HostResource": taken("source", how=lambda source: (source,)),
    "VirtualQuantity": taken("capacity"),
    "AddressOnParent": taken("target"),
    "VirtualResourceBlockSize": constant(1),
    "HostResourceBlockSize": constant(1),
    "Access": taken("read_only", how=lambda read_only: _READ if read_only else _READ_WRITE),
    "HostExtentName": taken("source"),
    "HostExtentNameFormat": taken("source", how=lambda source: _DEVICE_NAME if source.startswith("/") else None),
    "HostExtentNameNamespace": taken(
        "source", how=lambda source: _DEVICE_NAMESPACE if source.startswith("/") else None
    ),
}
_NIC_FILLS: Mapping[str, Fill] = {
    **_held_with_domain(NIC, COUNT),
    "ElementName": taken("device"),
    "ResourceSubType": taken("model"),
    "PoolID": taken("type", "source", how=lambda kind, source: f"network/{source}" if kind == "network" else None),
    "HostResource": taken("type", "source", how=lambda kind, source: (f"{kind}:{source}",)),
    "VirtualQuantity": constant(1),
    "Connection": taken("source", how=lambda source: (source,)),
    "Address": taken("mac", how=packed),
}


def _device(name: str, configuration: str) -> View:
    """The settings of disks or NICs in one configuration."""
    disk = name == "Disk"
    condition = RUNS if configuration == "state" else AS_DEFINED
    what = "A disk of a domain." if disk else "A network interface of a domain."
    fills, of = (_DISK_FILLS, "target") if disk else (_NIC_FILLS, "device")
    return View(
        name=f"{name}StateSettingData" if configuration == "state" else f"{name}SettingData",
        row=Disk if disk else Nic,
        cim="CIM_StorageAllocationSettingData" if disk else "CIM_EthernetPortAllocationSettingData",
        description=f"{what} {_SPEAKS_OF[configuration]}",
        fills={**fills, "InstanceID": spelled(f"virtmap:{{0}}/{name.lower()}/{{1}}/{configuration}", "domain", of)},
        nulls=_OF_DISK if disk else _OF_NIC,
        present=condition,
    )


_STATE = View(
    name="DomainStateSettingData", row=Domain, cim="CIM_VirtualSystemSettingData",
    description="What a domain is like while it runs.",
    fills={
        **DEFINITION.fills,
        "InstanceID": spelled("virtmap:{0}/state", "uuid"),
        "Description": taken("name", how="State of {0}".format),
    },
    nulls=DEFINITION.nulls,
    present=RUNS,
)  # fmt: skip

VIEWS = (
    _STATE,
    *_system_resource("Processor", PROCESSOR, COUNT, "processor", "vcpus", "max_vcpus", "The processors of a domain."),
    *_system_resource("Memory", MEMORY, KIB, "memory", "memory", "max_memory", "The memory of a domain."),
    *(_device(name, configuration) for name in ("Disk", "Nic") for configuration in ("state", "definition")),
)

#: The classes of settings of resources, by the configuration that they are part of.
STATES = ("ProcessorStateSettingData", "MemoryStateSettingData", "DiskStateSettingData", "NicStateSettingData")
DEFINITIONS = ("ProcessorSettingData", "MemorySettingData", "DiskSettingData", "NicSettingData")

# --- what belongs together --------------------------------------------------------------------------------------------

DEFINES_STATE = Association(
    name="Virtmap_SettingsDefineState", base="CIM_SettingsDefineState", far="ManagedElement", near="SettingData",
    description="The settings that a domain or its device has now. A domain that does not run has those of its definition.",
)  # fmt: skip
COMPONENT = Association(
    name="Virtmap_VirtualSystemSettingDataComponent", base="CIM_VirtualSystemSettingDataComponent",
    far="GroupComponent", near="PartComponent",
    description="What a domain is allotted is part of what it is like.",
)  # fmt: skip
NEXT = Association(
    name="Virtmap_NextSettingData", base="CIM_ElementSettingData", far="ManagedElement", near="SettingData",
    description="The settings that come in the place of others at the next start.",
)  # fmt: skip

_NEXT = {"IsDefault": None, "IsCurrent": 2, "IsNext": 1}

TIES = (
    Tie(association=DEFINES_STATE, near="DomainStateSettingData", far="Domain"),
    Tie(association=DEFINES_STATE, near="DomainSettingData", far="Domain", when=RESTS),
    Tie(association=DEFINES_STATE, near="Vcpu", far="ProcessorStateSettingData", swapped=True),
    Tie(association=DEFINES_STATE, near="Vcpu", far="ProcessorSettingData", swapped=True, when=RESTS),
    Tie(association=DEFINES_STATE, near="MemoryStateSettingData", far="DomainMemory"),
    Tie(association=DEFINES_STATE, near="MemorySettingData", far="DomainMemory", when=RESTS),
    Tie(association=DEFINES_STATE, near="DiskStateSettingData", far="Disk"),
    Tie(association=DEFINES_STATE, near="DiskSettingData", far="Disk", when=RESTS),
    Tie(association=DEFINES_STATE, near="NicStateSettingData", far="Nic"),
    Tie(association=DEFINES_STATE, near="NicSettingData", far="Nic", when=RESTS),
    *(Tie(association=COMPONENT, near=name, far="DomainStateSettingData") for name in STATES),
    *(Tie(association=COMPONENT, near=name, far="DomainSettingData") for name in DEFINITIONS),
    Tie(association=NEXT, near="DomainSettingData", far="DomainStateSettingData", constants=_NEXT),
    *(Tie(association=NEXT, near=d, far=s, constants=_NEXT) for d, s in zip(DEFINITIONS, STATES, strict=True)),
)
