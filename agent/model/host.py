"""The host: the machine and the hypervisor at the other end of a connection."""

from agent.model.element import MEMORY, SYSTEM
from agent.schema.declare import (
    Access,
    Aspect,
    Association,
    Index,
    Operation,
    Row,
    argument,
    column,
    constant,
    key,
    out,
    taken,
)
from agent.schema.types import (
    Count,
    CpuTime,
    Events,
    Flag,
    Flags,
    KiB,
    Level,
    MHz,
    Milliseconds,
    Name,
    Percent,
    Seconds,
    Text,
    Timestamp,
    Uuid,
    Xml,
)

RAM = Aspect(
    name="Memory", cim="CIM_Memory",
    association=Association(
        name="Virtmap_HostDevice", base="CIM_SystemDevice", far="GroupComponent", near="PartComponent",
        description="A device that belongs to a host.",
    ),
    description="The memory of a host. How much of it is in use is told by the host itself.",
    fills={
        "DeviceID": taken("hypervisor", how="{0}/memory".format),
        "ElementName": taken("hostname", how="Memory of {0}".format),
        "Name": constant("memory"),
        "OperationalStatus": taken("connected", how=lambda connected: (2,) if connected else (13,)),
        "HealthState": taken("connected", how=lambda connected: 5 if connected else 0),
        "EnabledState": taken("connected", how=lambda connected: 2 if connected else 0),
        "RequestedState": constant(12),
        "Access": constant(3),
        "BlockSize": constant(1024),
        "NumberOfBlocks": taken("memory"),
        "ConsumableBlocks": taken("memory"),
        "Primordial": constant(True),
        "NameFormat": constant(1),
        "NameNamespace": constant(1),
        "Volatile": constant(True),
    },
    nulls=MEMORY,
)  # fmt: skip


class Host(
    Row, table=1, cim="CIM_ComputerSystem", index=Index.SCALAR, discontinuity="counters_since", aspects=(RAM,), action=99,
    fills={
        "ElementName": taken("hostname"),
        "Description": taken("driver", "library_version", how="libvirt {1}, driver {0}".format),
        "NameFormat": constant("Other"),
        "OperationalStatus": taken("connected", how=lambda connected: (2,) if connected else (13,)),
        "HealthState": taken("connected", how=lambda connected: 5 if connected else 0),
        "EnabledState": taken("connected", how=lambda connected: 2 if connected else 0),
        "RequestedState": constant(12),
        "OtherIdentifyingInfo": taken("uuid", how=lambda uuid: (uuid,)),
        "IdentifyingDescriptions": taken("uuid", how=lambda _: ("SMBIOS UUID",)),
        "Dedicated": constant((0,)),
        "ResetCapability": constant(4),
    },
    nulls=SYSTEM,
):  # fmt: skip
    """A host with a hypervisor that libvirt reaches: one for each connection of the agent."""

    hypervisor: Name = key(
        1, "Name of the connection in the configuration of the agent.", api="virConnectGetURI", cim="Name"
    )
    hostname: Name | None = column(2, "The host's own name.", api="virConnectGetHostname")
    uuid: Uuid | None = column(3, "The UUID in the firmware of the host, or the one that replaces it in libvirtd's configuration.", api="virConnectGetCapabilities")
    uri: Name | None = column(4, "The URI that libvirt connected to, as libvirt writes it.", api="virConnectGetURI")
    driver: Name | None = column(5, "The libvirt driver behind the connection, such as QEMU or LXC.", api="virConnectGetType")
    hypervisor_version: Name | None = column(6, "Version of the hypervisor.", api="virConnectGetVersion")
    daemon_version: Name | None = column(7, "Version of libvirt at the far end of the connection.", api="virConnectGetLibVersion")
    library_version: Name | None = column(8, "Version of the libvirt library inside the agent.", api="virGetVersion")
    connected: Flag | None = column(9, "Whether the connection is up. While it is not, all rows show what was last known.", api=("virConnectIsAlive", "virConnectRegisterCloseCallback", "virConnectUnregisterCloseCallback"))
    connected_at: Timestamp | None = column(10, "When the present connection was made.", api="virConnectOpenAuth")
    connection_uptime: Seconds | None = column(11, "How long the present connection has been up.", api="virConnectOpenAuth")
    encrypted: Flag | None = column(12, "Whether the connection is encrypted.", api="virConnectIsEncrypted")
    secure: Flag | None = column(13, "Whether the connection is safe from eavesdroppers: encrypted, or local.", api="virConnectIsSecure")
    architecture: Name | None = column(14, "Architecture of the host's processors.", api="virNodeGetInfo")
    cpu_model: Name | None = column(15, "Processor model that libvirt recognises in the host.", api="virConnectGetCapabilities")
    cpu_vendor: Name | None = column(16, "Maker of the processors.", api="virConnectGetCapabilities")
    cpus: Count | None = column(17, "Active logical processors.", api="virNodeGetInfo")
    cpu_frequency: MHz | None = column(18, "Nominal or present clock rate of the processors, as libvirt reports it; 0 is shown as unknown.", api="virNodeGetInfo")
    numa_nodes: Count | None = column(19, "NUMA nodes.", api="virNodeGetInfo")
    sockets: Count | None = column(20, "Processor sockets in each NUMA node.", api="virNodeGetInfo")
    cores: Count | None = column(21, "Cores in each socket.", api="virNodeGetInfo")
    threads: Count | None = column(22, "Threads in each core.", api="virNodeGetInfo")
    memory: KiB | None = column(23, "Memory of the host.", api="virNodeGetInfo")
    memory_free: KiB | None = column(24, "Memory that nothing uses.", api="virNodeGetMemoryStats")
    memory_buffers: KiB | None = column(25, "Memory in buffers.", api="virNodeGetMemoryStats")
    memory_cached: KiB | None = column(26, "Memory in the page cache.", api="virNodeGetMemoryStats")
    cpu_user: CpuTime | None = column(27, "Time all processors together spent in user mode, guests included.", api="virNodeGetCPUStats")
    cpu_kernel: CpuTime | None = column(28, "Time all processors together spent in the kernel.", api="virNodeGetCPUStats")
    cpu_idle: CpuTime | None = column(29, "Time all processors together had nothing to do.", api="virNodeGetCPUStats")
    cpu_iowait: CpuTime | None = column(30, "Time all processors together waited for input and output.", api="virNodeGetCPUStats")
    cpu_interrupt: CpuTime | None = column(31, "Time all processors together served interrupts.", api="virNodeGetCPUStats")
    cpu_utilization: Percent | None = column(32, "Use of the processors, on hypervisors that report a share instead of times.", api="virNodeGetCPUStats")
    max_vcpus: Count | None = column(33, "Most vCPUs one domain can have here.", api="virConnectGetMaxVcpus")
    active_domains: Count | None = column(34, "Domains that run.", api="virConnectNumOfDomains")
    inactive_domains: Count | None = column(35, "Domains that are defined and do not run.", api="virConnectNumOfDefinedDomains")
    manufacturer: Name | None = column(36, "Maker of the machine, from its SMBIOS tables.", api="virConnectGetSysinfo")
    product: Name | None = column(37, "Product name of the machine, from its SMBIOS tables.", api="virConnectGetSysinfo")
    serial: Name | None = column(38, "Serial number of the machine, from its SMBIOS tables.", api="virConnectGetSysinfo")
    firmware_version: Name | None = column(39, "Version of the machine's firmware, from its SMBIOS tables.", api="virConnectGetSysinfo")
    security_model: Name | None = column(40, "How guests are confined, such as selinux or apparmor.", api="virNodeGetSecurityModel")
    security_doi: Name | None = column(41, "Domain of interpretation of the security model.", api="virNodeGetSecurityModel")
    migration: Flag | None = column(42, "Whether running guests can be migrated from here.", api="virConnectGetCapabilities")
    guest_architectures: Text | None = column(43, "Architectures that guests can have, separated by spaces.", api="virConnectGetCapabilities")
    refreshed: Timestamp | None = column(44, "When these values were read from the hypervisor.")
    problem: Text | None = column(45, "Why the last attempt to read failed; empty when it did not.")
    counters_since: Timestamp | None = column(46, "Since when the counters of the host can be compared: the time of the present connection.")
    merge_pages_to_scan: Count | None = column(100, "Pages that the kernel looks at before a pause, when it looks for pages to merge.", api="virNodeGetMemoryParameters")
    merge_sleep: Milliseconds | None = column(101, "How long that pause lasts.", api="virNodeGetMemoryParameters")
    merge_across_nodes: Flag | None = column(102, "Whether pages of different NUMA nodes are merged.", api="virNodeGetMemoryParameters")
    merge_shared: Level | None = column(103, "Pages that stand for several equal ones.", api="virNodeGetMemoryParameters")
    merge_sharing: Level | None = column(104, "Pages that are saved by that.", api="virNodeGetMemoryParameters")
    merge_unshared: Level | None = column(105, "Pages that were looked at and are like no other.", api="virNodeGetMemoryParameters")
    merge_volatile: Level | None = column(106, "Pages that change too fast to be merged.", api="virNodeGetMemoryParameters")
    merge_scans: Events | None = column(107, "How often all pages were looked at.", api="virNodeGetMemoryParameters")


class DefineFlags(Flags):
    """How a definition is taken."""

    VALIDATE = 1, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_DOMAIN_DEFINE_VALIDATE"


class DefineDomain(Operation, on=Host, number=1, needs=Access.DEFINE, api=("virDomainDefineXMLFlags", "virDomainDefineXML")):
    """Define a persistent domain, or redefine the one that has this UUID."""

    xml: Xml = argument(1, "The definition, as libvirt's domain XML.")
    flags: DefineFlags = argument(2, "How the definition is taken.", default=DefineFlags(0))
    uuid: Uuid | None = out(3, "UUID of the domain that is now defined.")


class ReadCapabilities(Operation, on=Host, number=2, needs=Access.OBSERVE, api="virConnectGetCapabilities"):
    """Read what the host and its hypervisor can do."""

    xml: Xml | None = out(1, "The capabilities, as libvirt's capabilities XML.")
