"""The tunables of a domain: what its scheduler, block I/O, memory and NUMA placement are told, and its perf events."""

from agent.model.disk import Disk
from agent.model.domain import Domain, ModificationImpact
from agent.model.nic import Nic
from agent.model.vcpu import Vcpu
from agent.schema.declare import (
    Access,
    Association,
    Event,
    Index,
    Operation,
    Row,
    argument,
    column,
    constant,
    key,
    parent,
    taken,
)
from agent.schema.types import (
    BytesPerSecond,
    Count,
    Enumeration,
    Flag,
    KiB,
    KiBPerSecond,
    Level,
    Microseconds,
    Name,
    Number,
    Seconds,
    SecretText,
    Text,
    Uuid,
)

SETTING = {
    "Caption": "ElementName says it already.",
    "Description": "ElementName says it already.",
    "ConfigurationName": "ElementName says it already.",
}
"""What CIM_SettingData brings and tunables have no use for."""

IMPACT = "What the change applies to."
PROCESSORS = "Processors of the host, as a list of numbers and ranges such as 0-3,6."
PERIOD = "in microseconds"
UNLIMITED = "9007199254740991 is no limit."
PER_DEVICE = "one device a line, as its path, a comma and the value"


class NumaMode(Enumeration):
    """How strictly memory is taken from the NUMA nodes of the host that a domain is bound to."""

    STRICT = 1, "strict", "Only from them.", "VIR_DOMAIN_NUMATUNE_MEM_STRICT"
    PREFERRED = 2, "preferred", "From them, and from others when they are full.", "VIR_DOMAIN_NUMATUNE_MEM_PREFERRED"
    INTERLEAVE = 3, "interleave", "From each of them in turn.", "VIR_DOMAIN_NUMATUNE_MEM_INTERLEAVE"
    RESTRICTIVE = 4, "restrictive", "As the control group of the domain allows.", "VIR_DOMAIN_NUMATUNE_MEM_RESTRICTIVE"


class ControlState(Enumeration):
    """Whether the hypervisor can talk to a domain."""

    OK = 1, "ok", "It can.", "VIR_DOMAIN_CONTROL_OK"
    JOB = 2, "job", "A job runs on it, which only some requests can accompany.", "VIR_DOMAIN_CONTROL_JOB"
    OCCUPIED = 3, "occupied", "A request is under way.", "VIR_DOMAIN_CONTROL_OCCUPIED"
    ERROR = 4, "error", "It cannot; the domain has to be restarted.", "VIR_DOMAIN_CONTROL_ERROR"


class ControlError(Enumeration):
    """Why the hypervisor cannot talk to a domain."""

    NONE = 1, "none", "It can, as far as is known.", "VIR_DOMAIN_CONTROL_ERROR_REASON_NONE"
    UNKNOWN = 2, "unknown", "For no known reason.", "VIR_DOMAIN_CONTROL_ERROR_REASON_UNKNOWN"
    MONITOR = 3, "monitor", "The monitor of the domain broke.", "VIR_DOMAIN_CONTROL_ERROR_REASON_MONITOR"
    INTERNAL = 4, "internal", "The hypervisor failed in itself.", "VIR_DOMAIN_CONTROL_ERROR_REASON_INTERNAL"


def _tuned(what: str) -> Association:
    return Association(
        name=f"Virtmap_{what}TuningOf", base="CIM_ElementSettingData", far="ManagedElement", near="SettingData",
        description=f"The tunables of a {what.lower()}.",
    )  # fmt: skip


class DomainTuning(
    Row, table=10, of=Domain, cim="CIM_SettingData", association=_tuned("Domain"), index=Index.SHARED, abbreviation="Tuning",
    fills={
        "InstanceID": taken("domain", how="virtmap:{0}/tuning".format),
        "ElementName": taken("domain", how="Tunables of {0}".format),
        "ChangeableType": constant(1),
    },
    nulls=SETTING,
):  # fmt: skip
    """What a domain is allowed and given beside its processors and its memory. Of one that does not run: at its next start."""

    domain: Uuid = parent("UUID of the domain.")
    scheduler: Name | None = column(2, "The hypervisor's scheduler, such as posix or credit.", api="virDomainGetSchedulerType")
    cpu_shares: Level | None = column(3, "Its weight where domains compete for processors.", api=("virDomainGetSchedulerParametersFlags", "virDomainGetSchedulerParameters"))
    vcpu_period: Microseconds | None = column(4, "The period over which the time of each vCPU is limited.", api="virDomainGetSchedulerParametersFlags")
    vcpu_quota: Number | None = column(5, "Microseconds that each vCPU may run in a period; -1 is no limit.", api="virDomainGetSchedulerParametersFlags")
    emulator_period: Microseconds | None = column(6, "The period over which the time of the emulator is limited.", api="virDomainGetSchedulerParametersFlags")
    emulator_quota: Number | None = column(7, "Microseconds that the emulator may run in a period; -1 is no limit.", api="virDomainGetSchedulerParametersFlags")
    global_period: Microseconds | None = column(8, "The period over which the time of the whole domain is limited.", api="virDomainGetSchedulerParametersFlags")
    global_quota: Number | None = column(9, "Microseconds that the whole domain may run in a period; -1 is no limit.", api="virDomainGetSchedulerParametersFlags")
    iothread_period: Microseconds | None = column(10, "The period over which the time of each IOThread is limited.", api="virDomainGetSchedulerParametersFlags")
    iothread_quota: Number | None = column(11, "Microseconds that each IOThread may run in a period; -1 is no limit.", api="virDomainGetSchedulerParametersFlags")
    weight: Count | None = column(12, "Its weight, on Xen and the test driver.", api="virDomainGetSchedulerParametersFlags")
    cap: Count | None = column(13, "Most of a processor it can have, in percent, on Xen.", api="virDomainGetSchedulerParametersFlags")
    reservation: Level | None = column(14, "Processor rate that is reserved for it, in MHz, on ESX.", api="virDomainGetSchedulerParametersFlags")
    limit: Level | None = column(15, "Most processor rate that it can have, in MHz, on ESX.", api="virDomainGetSchedulerParametersFlags")
    shares: Number | None = column(16, "Its shares of processor time, on ESX; -1, -2 and -3 are low, normal and high.", api="virDomainGetSchedulerParametersFlags")
    blkio_weight: Count | None = column(20, "Its weight where domains compete for disks of the host.", api="virDomainGetBlkioParameters")
    device_weights: Text | None = column(21, f"Its weights for devices of the host, {PER_DEVICE}.", api="virDomainGetBlkioParameters")
    device_read_iops: Text | None = column(22, f"Most reads a second, {PER_DEVICE}.", api="virDomainGetBlkioParameters")
    device_write_iops: Text | None = column(23, f"Most writes a second, {PER_DEVICE}.", api="virDomainGetBlkioParameters")
    device_read_bytes: Text | None = column(24, f"Most bytes read a second, {PER_DEVICE}.", api="virDomainGetBlkioParameters")
    device_write_bytes: Text | None = column(25, f"Most bytes written a second, {PER_DEVICE}.", api="virDomainGetBlkioParameters")
    memory_hard_limit: KiB | None = column(30, f"Most memory of the host that it may take. {UNLIMITED}", api="virDomainGetMemoryParameters")
    memory_soft_limit: KiB | None = column(31, f"Memory that it is pushed back to when the host has little. {UNLIMITED}", api="virDomainGetMemoryParameters")
    swap_hard_limit: KiB | None = column(32, f"Most memory and swap together that it may take. {UNLIMITED}", api="virDomainGetMemoryParameters")
    min_guarantee: KiB | None = column(33, "Least memory that it is guaranteed.", api="virDomainGetMemoryParameters")
    numa_mode: NumaMode | None = column(40, "How strictly its memory is taken from its NUMA nodes.", api="virDomainGetNumaParameters")
    numa_nodes: Text | None = column(41, "NUMA nodes of the host that its memory is taken from, as a list of numbers and ranges.", api="virDomainGetNumaParameters")
    emulator_affinity: Text | None = column(42, "Processors of the host that the emulator may run on, as a list of numbers and ranges.", api="virDomainGetEmulatorPinInfo")
    security_labels: Text | None = column(50, "The labels by which it is confined, one a line.", api=("virDomainGetSecurityLabelList", "virDomainGetSecurityLabel"))
    security_enforcing: Flag | None = column(51, "Whether they are enforced.", api=("virDomainGetSecurityLabelList", "virDomainGetSecurityLabel"))
    launch_security: Text | None = column(52, "What the memory encryption of the guest was measured as at its launch, as name=value, one a line.", api="virDomainGetLaunchSecurityInfo")
    control_state: ControlState | None = column(53, "Whether the hypervisor can talk to it.", api="virDomainGetControlInfo")
    messages: Text | None = column(54, "What libvirt warns of about it, one a line, such as that it is tainted.", api="virDomainGetMessages")
    control_error: ControlError | None = column(55, "Why it cannot, if it cannot.", api="virDomainGetControlInfo")


class DiskTuning(
    Row, table=17, of=Disk, cim="CIM_SettingData", association=_tuned("Disk"), index=Index.SHARED, abbreviation="DiskIo",
    fills={
        "InstanceID": taken("domain", "disk", how="virtmap:{0}/{1}/limits".format),
        "ElementName": taken("disk", how="Limits of {0}".format),
        "ChangeableType": constant(1),
    },
    nulls=SETTING,
):  # fmt: skip
    """The limits of a disk: what it may do on average, and in bursts. 0 is no limit."""

    domain: Uuid = parent("UUID of the domain.")
    disk: Name = parent("Target of the disk.")
    total_bytes: BytesPerSecond | None = column(2, "Most bytes a second.", api="virDomainGetBlockIoTune")
    read_bytes: BytesPerSecond | None = column(3, "Most bytes read a second.", api="virDomainGetBlockIoTune")
    write_bytes: BytesPerSecond | None = column(4, "Most bytes written a second.", api="virDomainGetBlockIoTune")
    total_iops: Level | None = column(5, "Most requests a second.", api="virDomainGetBlockIoTune")
    read_iops: Level | None = column(6, "Most reads a second.", api="virDomainGetBlockIoTune")
    write_iops: Level | None = column(7, "Most writes a second.", api="virDomainGetBlockIoTune")
    total_bytes_max: BytesPerSecond | None = column(8, "Most bytes a second in a burst.", api="virDomainGetBlockIoTune")
    read_bytes_max: BytesPerSecond | None = column(9, "Most bytes read a second in a burst.", api="virDomainGetBlockIoTune")
    write_bytes_max: BytesPerSecond | None = column(10, "Most bytes written a second in a burst.", api="virDomainGetBlockIoTune")
    total_iops_max: Level | None = column(11, "Most requests a second in a burst.", api="virDomainGetBlockIoTune")
    read_iops_max: Level | None = column(12, "Most reads a second in a burst.", api="virDomainGetBlockIoTune")
    write_iops_max: Level | None = column(13, "Most writes a second in a burst.", api="virDomainGetBlockIoTune")
    size_iops: Level | None = column(14, "Bytes of a request from which on it counts as several.", api="virDomainGetBlockIoTune")
    shared_with: Name | None = column(15, "The group of disks that share these limits.", api="virDomainGetBlockIoTune")
    total_bytes_max_length: Seconds | None = column(16, "How long a burst of bytes may last.", api="virDomainGetBlockIoTune")
    read_bytes_max_length: Seconds | None = column(17, "How long a burst of bytes read may last.", api="virDomainGetBlockIoTune")
    write_bytes_max_length: Seconds | None = column(18, "How long a burst of bytes written may last.", api="virDomainGetBlockIoTune")
    total_iops_max_length: Seconds | None = column(19, "How long a burst of requests may last.", api="virDomainGetBlockIoTune")
    read_iops_max_length: Seconds | None = column(20, "How long a burst of reads may last.", api="virDomainGetBlockIoTune")
    write_iops_max_length: Seconds | None = column(21, "How long a burst of writes may last.", api="virDomainGetBlockIoTune")


class NicTuning(
    Row, table=19, of=Nic, cim="CIM_SettingData", association=_tuned("Nic"), index=Index.SHARED,
    fills={
        "InstanceID": taken("domain", "nic", how="virtmap:{0}/{1}/bandwidth".format),
        "ElementName": taken("nic", how="Bandwidth of {0}".format),
        "ChangeableType": constant(1),
    },
    nulls=SETTING,
):  # fmt: skip
    """The bandwidth of a network interface, seen from the guest. 0 is no limit."""

    domain: Uuid = parent("UUID of the domain.")
    nic: Name = parent("The interface: its MAC address, with a number where one stands twice.")
    in_average: KiBPerSecond | None = column(2, "What it may receive on average.", api="virDomainGetInterfaceParameters")
    in_peak: KiBPerSecond | None = column(3, "What it may receive at most.", api="virDomainGetInterfaceParameters")
    in_burst: KiB | None = column(4, "How much it may receive at that rate.", api="virDomainGetInterfaceParameters")
    in_floor: KiBPerSecond | None = column(5, "What it can receive at least.", api="virDomainGetInterfaceParameters")
    out_average: KiBPerSecond | None = column(6, "What it may send on average.", api="virDomainGetInterfaceParameters")
    out_peak: KiBPerSecond | None = column(7, "What it may send at most.", api="virDomainGetInterfaceParameters")
    out_burst: KiB | None = column(8, "How much it may send at that rate.", api="virDomainGetInterfaceParameters")


class PerfEvent(
    Row, table=16, of=Domain, cim="CIM_SettingData", association=Association(
        name="Virtmap_DomainPerfEvent", base="CIM_ElementSettingData", far="ManagedElement", near="SettingData",
        description="A perf event that may be counted for a domain.",
    ),
    fills={
        "InstanceID": taken("domain", "name", how="virtmap:{0}/perf/{1}".format),
        "ElementName": taken("name"),
        "ChangeableType": constant(1),
    },
    nulls=SETTING,
):  # fmt: skip
    """A perf event that is counted for a domain. The count is a column of the domain."""

    domain: Uuid = parent("UUID of the domain.")
    name: Name = key(2, "Name of the event, such as cpu_cycles.", api="virDomainGetPerfEvents")


class PerfKind(Enumeration):
    """A perf event."""

    CMT = 1, "cmt", "Use of the last-level cache.", "VIR_PERF_PARAM_CMT"
    MBMT = 2, "mbmt", "Memory traffic.", "VIR_PERF_PARAM_MBMT"
    MBML = 3, "mbml", "Memory traffic to the local controller.", "VIR_PERF_PARAM_MBML"
    CPU_CYCLES = 4, "cpuCycles", "Processor cycles.", "VIR_PERF_PARAM_CPU_CYCLES"
    INSTRUCTIONS = 5, "instructions", "Instructions.", "VIR_PERF_PARAM_INSTRUCTIONS"
    CACHE_REFERENCES = 6, "cacheReferences", "Cache accesses.", "VIR_PERF_PARAM_CACHE_REFERENCES"
    CACHE_MISSES = 7, "cacheMisses", "Cache misses.", "VIR_PERF_PARAM_CACHE_MISSES"
    BRANCH_INSTRUCTIONS = 8, "branchInstructions", "Branches.", "VIR_PERF_PARAM_BRANCH_INSTRUCTIONS"
    BRANCH_MISSES = 9, "branchMisses", "Branches that were predicted wrongly.", "VIR_PERF_PARAM_BRANCH_MISSES"
    BUS_CYCLES = 10, "busCycles", "Bus cycles.", "VIR_PERF_PARAM_BUS_CYCLES"
    STALLED_FRONTEND = 11, "stalledCyclesFrontend", "Cycles with a stalled front end.", "VIR_PERF_PARAM_STALLED_CYCLES_FRONTEND"
    STALLED_BACKEND = 12, "stalledCyclesBackend", "Cycles with a stalled back end.", "VIR_PERF_PARAM_STALLED_CYCLES_BACKEND"
    REF_CPU_CYCLES = 13, "refCpuCycles", "Cycles that frequency scaling does not change.", "VIR_PERF_PARAM_REF_CPU_CYCLES"
    CPU_CLOCK = 14, "cpuClock", "The processor clock.", "VIR_PERF_PARAM_CPU_CLOCK"
    TASK_CLOCK = 15, "taskClock", "The clock of the tasks.", "VIR_PERF_PARAM_TASK_CLOCK"
    PAGE_FAULTS = 16, "pageFaults", "Page faults.", "VIR_PERF_PARAM_PAGE_FAULTS"
    CONTEXT_SWITCHES = 17, "contextSwitches", "Context switches.", "VIR_PERF_PARAM_CONTEXT_SWITCHES"
    CPU_MIGRATIONS = 18, "cpuMigrations", "Moves between processors.", "VIR_PERF_PARAM_CPU_MIGRATIONS"
    PAGE_FAULTS_MIN = 19, "pageFaultsMin", "Page faults that needed no disk.", "VIR_PERF_PARAM_PAGE_FAULTS_MIN"
    PAGE_FAULTS_MAJ = 20, "pageFaultsMaj", "Page faults that needed the disk.", "VIR_PERF_PARAM_PAGE_FAULTS_MAJ"
    ALIGNMENT_FAULTS = 21, "alignmentFaults", "Unaligned accesses.", "VIR_PERF_PARAM_ALIGNMENT_FAULTS"
    EMULATION_FAULTS = 22, "emulationFaults", "Emulated instructions.", "VIR_PERF_PARAM_EMULATION_FAULTS"


class SetScheduler(
    Operation, on=Domain, number=20, needs=Access.OPERATE, api=("virDomainSetSchedulerParametersFlags", "virDomainSetSchedulerParameters")
):
    """Change how much processor time the domain gets. What is left out stays as it is."""

    impact: ModificationImpact = argument(1, IMPACT, default=ModificationImpact(0))
    cpu_shares: Level | None = argument(2, "Its weight where domains compete.", default=None)
    vcpu_period: Microseconds | None = argument(3, f"Period of the vCPUs, {PERIOD}.", default=None)
    vcpu_quota: Number | None = argument(4, f"Time of each vCPU in a period, {PERIOD}; -1 is no limit.", default=None, low=-1)
    emulator_period: Microseconds | None = argument(5, f"Period of the emulator, {PERIOD}.", default=None)
    emulator_quota: Number | None = argument(6, f"Time of the emulator in a period, {PERIOD}; -1 is no limit.", default=None, low=-1)
    global_period: Microseconds | None = argument(7, f"Period of the whole domain, {PERIOD}.", default=None)
    global_quota: Number | None = argument(8, f"Time of the whole domain in a period, {PERIOD}; -1 is no limit.", default=None, low=-1)
    iothread_period: Microseconds | None = argument(9, f"Period of the IOThreads, {PERIOD}.", default=None)
    iothread_quota: Number | None = argument(10, f"Time of each IOThread in a period, {PERIOD}; -1 is no limit.", default=None, low=-1)
    weight: Count | None = argument(11, "Its weight, on Xen and the test driver.", default=None)
    cap: Count | None = argument(12, "Most of a processor, in percent, on Xen.", default=None)
    reservation: Level | None = argument(13, "Reserved processor rate in MHz, on ESX.", default=None)
    limit: Level | None = argument(14, "Most processor rate in MHz, on ESX.", default=None)
    shares: Number | None = argument(15, "Shares of processor time, on ESX.", default=None)


class SetBlockIo(Operation, on=Domain, number=21, needs=Access.OPERATE, api="virDomainSetBlkioParameters"):
    """Change how the domain may use disks of the host. What is left out stays as it is."""

    impact: ModificationImpact = argument(1, IMPACT, default=ModificationImpact(0))
    blkio_weight: Count | None = argument(2, "Its weight where domains compete.", default=None)
    device_weights: Text | None = argument(3, f"Its weights, {PER_DEVICE}.", default=None)
    device_read_iops: Text | None = argument(4, f"Most reads a second, {PER_DEVICE}.", default=None)
    device_write_iops: Text | None = argument(5, f"Most writes a second, {PER_DEVICE}.", default=None)
    device_read_bytes: Text | None = argument(6, f"Most bytes read a second, {PER_DEVICE}.", default=None)
    device_write_bytes: Text | None = argument(7, f"Most bytes written a second, {PER_DEVICE}.", default=None)


class SetMemoryLimits(Operation, on=Domain, number=22, needs=Access.OPERATE, api="virDomainSetMemoryParameters"):
    """Change how much memory of the host the domain may take. What is left out stays as it is."""

    impact: ModificationImpact = argument(1, IMPACT, default=ModificationImpact(0))
    memory_hard_limit: KiB | None = argument(2, f"Most memory, in KiB. {UNLIMITED}", default=None)
    memory_soft_limit: KiB | None = argument(3, f"What it is pushed back to, in KiB. {UNLIMITED}", default=None)
    swap_hard_limit: KiB | None = argument(4, f"Most memory and swap together, in KiB. {UNLIMITED}", default=None)
    min_guarantee: KiB | None = argument(5, "Least memory that is guaranteed, in KiB.", default=None)


class SetNuma(Operation, on=Domain, number=23, needs=Access.OPERATE, api="virDomainSetNumaParameters"):
    """Change which NUMA nodes of the host the memory of the domain is taken from. What is left out stays as it is."""

    impact: ModificationImpact = argument(1, IMPACT, default=ModificationImpact(0))
    numa_mode: NumaMode | None = argument(2, "How strictly. A running domain keeps its mode.", default=None)
    numa_nodes: Text | None = argument(3, "The nodes, as a list of numbers and ranges.", default=None)


class PinEmulator(Operation, on=Domain, number=24, needs=Access.OPERATE, api="virDomainPinEmulator"):
    """Change which processors of the host the emulator may run on."""

    emulator_affinity: Text = argument(1, PROCESSORS)
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class CountPerfEvent(Operation, on=Domain, number=26, needs=Access.OPERATE, api="virDomainSetPerfEvents"):
    """Begin or end the counting of a perf event."""

    event: PerfKind = argument(1, "The event.")
    enabled: Flag = argument(2, "Whether it is counted.")
    impact: ModificationImpact = argument(3, IMPACT, default=ModificationImpact(0))


class SetLaunchSecret(Operation, on=Domain, number=27, needs=Access.ADMINISTER, api="virDomainSetLaunchSecurityState"):
    """Give a guest with encrypted memory its secret, before it is first resumed."""

    header: Text = argument(1, "Header of the secret, in base64.")
    secret: SecretText = argument(2, "The secret, encrypted for the platform, in base64.")
    address: Level | None = argument(3, "Where in the guest's memory it is put; where the firmware wants it, if left out.", default=None)


class PinVcpu(Operation, on=Vcpu, number=1, needs=Access.OPERATE, api=("virDomainPinVcpuFlags", "virDomainPinVcpu")):
    """Change which processors of the host the vCPU may run on."""

    affinity: Text = argument(1, PROCESSORS)
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class SwitchVcpu(Operation, on=Vcpu, number=2, needs=Access.OPERATE, api="virDomainSetVcpu"):
    """Plug or unplug the vCPU."""

    online: Flag = argument(1, "Whether it is plugged in.")
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class SetDiskLimits(Operation, on=Disk, number=30, needs=Access.OPERATE, api="virDomainSetBlockIoTune"):
    """Change the limits of the disk. What is left out stays as it is; 0 is no limit."""

    impact: ModificationImpact = argument(1, IMPACT, default=ModificationImpact(0))
    total_bytes: BytesPerSecond | None = argument(2, "Most bytes a second.", default=None)
    read_bytes: BytesPerSecond | None = argument(3, "Most bytes read a second.", default=None)
    write_bytes: BytesPerSecond | None = argument(4, "Most bytes written a second.", default=None)
    total_iops: Level | None = argument(5, "Most requests a second.", default=None)
    read_iops: Level | None = argument(6, "Most reads a second.", default=None)
    write_iops: Level | None = argument(7, "Most writes a second.", default=None)
    total_bytes_max: BytesPerSecond | None = argument(8, "Most bytes a second in a burst.", default=None)
    read_bytes_max: BytesPerSecond | None = argument(9, "Most bytes read a second in a burst.", default=None)
    write_bytes_max: BytesPerSecond | None = argument(10, "Most bytes written a second in a burst.", default=None)
    total_iops_max: Level | None = argument(11, "Most requests a second in a burst.", default=None)
    read_iops_max: Level | None = argument(12, "Most reads a second in a burst.", default=None)
    write_iops_max: Level | None = argument(13, "Most writes a second in a burst.", default=None)
    size_iops: Level | None = argument(14, "Bytes of a request from which on it counts as several.", default=None)
    shared_with: Name | None = argument(15, "The group of disks that share these limits.", default=None)
    total_bytes_max_length: Seconds | None = argument(16, "How long a burst of bytes may last, in seconds.", default=None)
    read_bytes_max_length: Seconds | None = argument(17, "How long a burst of bytes read may last, in seconds.", default=None)
    write_bytes_max_length: Seconds | None = argument(18, "How long a burst of bytes written may last, in seconds.", default=None)
    total_iops_max_length: Seconds | None = argument(19, "How long a burst of requests may last, in seconds.", default=None)
    read_iops_max_length: Seconds | None = argument(20, "How long a burst of reads may last, in seconds.", default=None)
    write_iops_max_length: Seconds | None = argument(21, "How long a burst of writes may last, in seconds.", default=None)


class SetLimitGroup(Operation, on=Domain, number=28, needs=Access.OPERATE, api="virDomainSetThrottleGroup"):
    """Change the limits that all disks of a group share, or make such a group. Needs libvirt 11.2."""

    group: Name = argument(1, "Name of the group.")
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))
    total_bytes: BytesPerSecond | None = argument(3, "Most bytes a second.", default=None)
    read_bytes: BytesPerSecond | None = argument(4, "Most bytes read a second.", default=None)
    write_bytes: BytesPerSecond | None = argument(5, "Most bytes written a second.", default=None)
    total_iops: Level | None = argument(6, "Most requests a second.", default=None)
    read_iops: Level | None = argument(7, "Most reads a second.", default=None)
    write_iops: Level | None = argument(8, "Most writes a second.", default=None)
    total_bytes_max: BytesPerSecond | None = argument(9, "Most bytes a second in a burst.", default=None)
    read_bytes_max: BytesPerSecond | None = argument(10, "Most bytes read a second in a burst.", default=None)
    write_bytes_max: BytesPerSecond | None = argument(11, "Most bytes written a second in a burst.", default=None)
    total_iops_max: Level | None = argument(12, "Most requests a second in a burst.", default=None)
    read_iops_max: Level | None = argument(13, "Most reads a second in a burst.", default=None)
    write_iops_max: Level | None = argument(14, "Most writes a second in a burst.", default=None)
    size_iops: Level | None = argument(15, "Bytes of a request from which on it counts as several.", default=None)
    total_bytes_max_length: Seconds | None = argument(16, "How long a burst of bytes may last, in seconds.", default=None)
    read_bytes_max_length: Seconds | None = argument(17, "How long a burst of bytes read may last, in seconds.", default=None)
    write_bytes_max_length: Seconds | None = argument(18, "How long a burst of bytes written may last, in seconds.", default=None)
    total_iops_max_length: Seconds | None = argument(19, "How long a burst of requests may last, in seconds.", default=None)
    read_iops_max_length: Seconds | None = argument(20, "How long a burst of reads may last, in seconds.", default=None)
    write_iops_max_length: Seconds | None = argument(21, "How long a burst of writes may last, in seconds.", default=None)


class RemoveLimitGroup(Operation, on=Domain, number=29, needs=Access.OPERATE, api="virDomainDelThrottleGroup"):
    """Remove a group of limits that no disk uses. Needs libvirt 11.2."""

    group: Name = argument(1, "Name of the group.")
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class SetBandwidth(Operation, on=Nic, number=1, needs=Access.OPERATE, api="virDomainSetInterfaceParameters"):
    """Change the bandwidth of the network interface. What is left out stays as it is; 0 is no limit."""

    impact: ModificationImpact = argument(1, IMPACT, default=ModificationImpact(0))
    in_average: KiBPerSecond | None = argument(2, "What it may receive on average, in KiB a second.", default=None, high=2**32 - 1)
    in_peak: KiBPerSecond | None = argument(3, "What it may receive at most, in KiB a second.", default=None, high=2**32 - 1)
    in_burst: KiB | None = argument(4, "How much it may receive at that rate, in KiB.", default=None, high=2**32 - 1)
    in_floor: KiBPerSecond | None = argument(5, "What it can receive at least, in KiB a second.", default=None, high=2**32 - 1)
    out_average: KiBPerSecond | None = argument(6, "What it may send on average, in KiB a second.", default=None, high=2**32 - 1)
    out_peak: KiBPerSecond | None = argument(7, "What it may send at most, in KiB a second.", default=None, high=2**32 - 1)
    out_burst: KiB | None = argument(8, "How much it may send at that rate, in KiB.", default=None, high=2**32 - 1)


class AnnounceNic(Operation, on=Nic, number=2, needs=Access.OPERATE, api="virDomainAnnounceInterface"):
    """Have the guest tell its neighbours on the network where it is. Needs a libvirt newer than 12."""


ROWS: tuple[type[Row], ...] = (DomainTuning, DiskTuning, NicTuning, PerfEvent)
OPERATIONS: tuple[type[Operation], ...] = (
    SetScheduler, SetBlockIo, SetMemoryLimits, SetNuma, PinEmulator, CountPerfEvent, SetLaunchSecret, SetLimitGroup,
    RemoveLimitGroup, PinVcpu, SwitchVcpu, SetDiskLimits, SetBandwidth, AnnounceNic,
)  # fmt: skip
EVENTS: tuple[type[Event], ...] = ()

