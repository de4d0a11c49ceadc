"""What can be asked of a host and its hypervisor: comparing processors, converting definitions, pages, suspending.

libvirt runs an emulator to find out what it can do, whatever program its path names, and a definition names one too. What
takes either therefore needs the level that defining needs, although it changes nothing; libvirt keeps it from read-only
connections for the same reason.
"""

from agent.model.host import Host
from agent.schema.declare import Access, Event, Operation, Row, argument, out
from agent.schema.types import Count, Enumeration, Flag, Flags, KiB, Name, Number, Ordinal, Seconds, Text, Xml

EMULATOR = "Path of the emulator on the host; empty is the usual one."
ARCHITECTURE = "Architecture of guests; empty is that of the host."
MACHINE = "Machine model of guests; empty is the usual one."
VIRTUALIZATION = "Type of domains, such as kvm or qemu; empty is the best that the host has."
PROCESSORS = (
    "The processors, as cpu elements of libvirt's XML inside one element of any name; whole capabilities of hosts inside it"
    " do as well."
)


class CpuComparison(Enumeration):
    """How a processor compares with that of the host."""

    INCOMPATIBLE = 1, "incompatible", "The host lacks something of it.", "VIR_CPU_COMPARE_INCOMPATIBLE"
    IDENTICAL = 2, "identical", "They are the same.", "VIR_CPU_COMPARE_IDENTICAL"
    SUPERSET = 3, "superset", "The host has all of it, and more.", "VIR_CPU_COMPARE_SUPERSET"


class CompareFlags(Flags):
    """How processors are compared."""

    FAIL_INCOMPATIBLE = 1, "failIncompatible", "Fail, with the reason, if the host lacks something.", "VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE"
    VALIDATE = 2, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_CONNECT_COMPARE_CPU_VALIDATE_XML"


class BaselineFlags(Flags):
    """How the common denominator of processors is told."""

    EXPAND_FEATURES = 1, "expandFeatures", "Name every feature.", "VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES"
    MIGRATABLE = 2, "migratable", "Leave out features that keep guests from migrating.", "VIR_CONNECT_BASELINE_CPU_MIGRATABLE"


class SuspendTarget(Enumeration):
    """How a machine sleeps."""

    MEMORY = 1, "memory", "Its memory stays powered.", "VIR_NODE_SUSPEND_TARGET_MEM"
    DISK = 2, "disk", "Its memory goes to disk, and it is switched off.", "VIR_NODE_SUSPEND_TARGET_DISK"
    HYBRID = 3, "hybrid", "Its memory goes to disk and stays powered too.", "VIR_NODE_SUSPEND_TARGET_HYBRID"


class AllocateFlags(Flags):
    """How pages are allocated; none adds to those that there are."""

    SET = 1, "set", "The number is that of all pages there are to be.", "VIR_NODE_ALLOC_PAGES_SET"


class ReadSysinfo(Operation, on=Host, number=40, needs=Access.OBSERVE, api="virConnectGetSysinfo"):
    """Read what the SMBIOS tables of the host say."""

    xml: Xml | None = out(1, "The tables, as libvirt's sysinfo XML.")


class ReadCpuModels(Operation, on=Host, number=41, needs=Access.OBSERVE, api="virConnectGetCPUModelNames"):
    """Read the names of the processor models that libvirt knows of an architecture."""

    architecture: Name = argument(1, "The architecture, such as x86_64.")
    models: Text | None = out(2, "The names, one a line; none where every model is taken as it is.")


class CompareCpu(Operation, on=Host, number=42, needs=Access.OBSERVE, api="virConnectCompareCPU"):
    """Find out whether the processor of the host has all that another one has."""

    xml: Xml = argument(1, "The other processor, as a cpu element of libvirt's XML.")
    flags: CompareFlags = argument(2, "How they are compared.", default=CompareFlags(0))
    result: CpuComparison | None = out(3, "How they compare.")


class CompareHypervisorCpu(Operation, on=Host, number=43, needs=Access.DEFINE, api="virConnectCompareHypervisorCPU"):
    """Find out whether the hypervisor can give guests all that another processor has."""

    xml: Xml = argument(1, "The other processor, as a cpu element of libvirt's XML.")
    emulator: Text = argument(2, EMULATOR, default="")
    architecture: Name = argument(3, ARCHITECTURE, default="")
    machine: Name = argument(4, MACHINE, default="")
    virtualization: Name = argument(5, VIRTUALIZATION, default="")
    flags: CompareFlags = argument(6, "How they are compared.", default=CompareFlags(0))
    result: CpuComparison | None = out(7, "How they compare.")


class BaselineCpu(Operation, on=Host, number=44, needs=Access.OBSERVE, api="virConnectBaselineCPU"):
    """Find the richest processor that all hosts of several can offer."""

    xml: Xml = argument(1, PROCESSORS)
    flags: BaselineFlags = argument(2, "How it is told.", default=BaselineFlags(0))
    cpu: Xml | None = out(3, "The common processor, as a cpu element of libvirt's XML.")


class BaselineHypervisorCpu(Operation, on=Host, number=45, needs=Access.DEFINE, api="virConnectBaselineHypervisorCPU"):
    """Find the richest processor that the hypervisors of several hosts can all give to guests."""

    xml: Xml = argument(1, PROCESSORS)
    emulator: Text = argument(2, EMULATOR, default="")
    architecture: Name = argument(3, ARCHITECTURE, default="")
    machine: Name = argument(4, MACHINE, default="")
    virtualization: Name = argument(5, VIRTUALIZATION, default="")
    flags: BaselineFlags = argument(6, "How it is told.", default=BaselineFlags(0))
    cpu: Xml | None = out(7, "The common processor, as a cpu element of libvirt's XML.")


class ReadDomainCapabilities(
    Operation, on=Host, number=46, needs=Access.DEFINE, api="virConnectGetDomainCapabilities"
):
    """Read what domains of one kind can have here."""

    emulator: Text = argument(1, EMULATOR, default="")
    architecture: Name = argument(2, ARCHITECTURE, default="")
    machine: Name = argument(3, MACHINE, default="")
    virtualization: Name = argument(4, VIRTUALIZATION, default="")
    xml: Xml | None = out(5, "What they can have, as libvirt's domainCapabilities XML.")


class ConvertFromNative(Operation, on=Host, number=47, needs=Access.DEFINE, api="virConnectDomainXMLFromNative"):
    """Turn a guest's configuration in the hypervisor's own words into a definition."""

    format: Name = argument(1, "What the configuration is written in, such as lxc-tools, xen-xl, bhyve-argv or vmware-vmx.")
    config: Xml = argument(2, "The configuration.")
    xml: Xml | None = out(3, "The definition, as libvirt's domain XML.")


class ConvertToNative(Operation, on=Host, number=48, needs=Access.DEFINE, api="virConnectDomainXMLToNative"):
    """Turn a definition into the hypervisor's own words, such as a command line."""

    format: Name = argument(1, "What to write it in, such as qemu-argv, xen-xl or vmware-vmx.")
    xml: Xml = argument(2, "The definition, as libvirt's domain XML.")
    config: Xml | None = out(3, "The configuration.")


class SuspendHost(
    Operation, on=Host, number=49, needs=Access.ADMINISTER, api="virNodeSuspendForDuration",
    destroys="The answers of everything on the host, until it wakes.",
):  # fmt: skip
    """Put the host to sleep for a time. Its alarm clock wakes it."""

    target: SuspendTarget = argument(1, "How it sleeps.")
    duration: Seconds = argument(2, "For how long, in seconds; libvirt takes no less than a minute.", low=60)


class SetMemoryMerging(Operation, on=Host, number=50, needs=Access.ADMINISTER, api="virNodeSetMemoryParameters"):
    """Change how the host looks for memory pages that are the same and can be shared. What is left out stays as it is."""

    pages_to_scan: Count | None = argument(1, "Pages to look at before a pause.", default=None)
    sleep: Count | None = argument(2, "How long the pause lasts, in milliseconds.", default=None)
    across_nodes: Flag | None = argument(3, "Whether pages of different NUMA nodes may be merged.", default=None)


class AllocatePages(Operation, on=Host, number=51, needs=Access.ADMINISTER, api="virNodeAllocPages"):
    """Set memory of the host aside as huge pages, or give it back."""

    size: KiB = argument(1, "Size of a page, in KiB.", low=1, high=2**32 - 1)
    pages: Count = argument(2, "How many pages.")
    first_cell: Number = argument(3, "The first NUMA cell to take them from; -1 leaves the choice to the host.", default=-1, low=-1)
    cells: Ordinal = argument(4, "In how many cells, each so many pages.", default=1, low=1)
    flags: AllocateFlags = argument(5, "How they are allocated.", default=AllocateFlags(0))
    allocated: Count | None = out(6, "How many sizes of pages were adjusted, over all cells.")


class ReadSevInfo(Operation, on=Host, number=52, needs=Access.OPERATE, api="virNodeGetSEVInfo"):
    """Read what the owner of a guest needs to launch it with AMD's encrypted memory (SEV)."""

    pdh: Text | None = out(1, "Diffie-Hellman key of the platform, in base64.")
    cert_chain: Text | None = out(2, "Certificates of the platform, in base64.")
    cbitpos: Count | None = out(3, "The bit of an address that marks encrypted memory.")
    reduced_phys_bits: Count | None = out(4, "By how many bits addresses are shorter.")
    max_guests: Count | None = out(5, "Most guests with SEV.")
    max_es_guests: Count | None = out(6, "Most guests with SEV-ES.")
    cpu0_id: Text | None = out(7, "Identifier of the first processor, in base64.")


class ReadFreeMemory(Operation, on=Host, number=53, needs=Access.OBSERVE, api="virNodeGetFreeMemory"):
    """Read how much memory of the host is free just now."""

    free: KiB | None = out(1, "The memory that is free, in KiB.")


class ReadMaxVcpus(Operation, on=Host, number=54, needs=Access.OBSERVE, api="virConnectGetMaxVcpus"):
    """Read how many vCPUs one domain of some type can have here."""

    virtualization: Name = argument(1, "Type of domains, such as kvm or qemu; empty is the usual one.", default="")
    vcpus: Count | None = out(2, "Most vCPUs.")


ROWS: tuple[type[Row], ...] = ()
OPERATIONS: tuple[type[Operation], ...] = (
    ReadSysinfo, ReadCpuModels, CompareCpu, CompareHypervisorCpu, BaselineCpu, BaselineHypervisorCpu, ReadDomainCapabilities,
    ConvertFromNative, ConvertToNative, SuspendHost, SetMemoryMerging, AllocatePages, ReadSevInfo, ReadFreeMemory,
    ReadMaxVcpus,
)  # fmt: skip
EVENTS: tuple[type[Event], ...] = ()
