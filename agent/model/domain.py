"""The domain: a guest of a host, running or only defined, and what can be asked of it."""

from agent.model.element import MEMORY, SYSTEM
from agent.model.host import Host
from agent.schema.declare import (
    Access,
    Aspect,
    Association,
    Operation,
    Row,
    Scope,
    Settings,
    argument,
    column,
    constant,
    key,
    mapped,
    out,
    spelled,
    taken,
    when,
)
from agent.schema.types import (
    Bytes,
    BytesPerSecond,
    Count,
    CpuTime,
    Enumeration,
    Events,
    Flag,
    Flags,
    KiB,
    Name,
    Number,
    SecretText,
    SwappedKiB,
    Text,
    Timestamp,
    Uuid,
    Xml,
)


class DomainState(Enumeration):
    """What a domain is doing. In CIM, EnabledState and OperationalStatus follow the System Virtualization profiles."""

    NO_STATE = 1, "noState", "The hypervisor does not say.", "VIR_DOMAIN_NOSTATE", {"EnabledState": 5, "OperationalStatus": (0,), "HealthState": 0}
    RUNNING = 2, "running", "It runs.", "VIR_DOMAIN_RUNNING", {"EnabledState": 2, "OperationalStatus": (2,), "HealthState": 5}
    BLOCKED = 3, "blocked", "It runs and waits for a resource.", "VIR_DOMAIN_BLOCKED", {"EnabledState": 2, "OperationalStatus": (2,), "HealthState": 5}
    PAUSED = 4, "paused", "Its vCPUs are stopped, its memory is kept.", "VIR_DOMAIN_PAUSED", {"EnabledState": 9, "OperationalStatus": (15,), "HealthState": 5}
    SHUTTING_DOWN = 5, "shuttingDown", "It is on its way down.", "VIR_DOMAIN_SHUTDOWN", {"EnabledState": 4, "OperationalStatus": (9,), "HealthState": 5}
    SHUT_OFF = 6, "shutOff", "It does not run.", "VIR_DOMAIN_SHUTOFF", {"EnabledState": 3, "OperationalStatus": (10,), "HealthState": 5}
    CRASHED = 7, "crashed", "It stopped by a fault of its own.", "VIR_DOMAIN_CRASHED", {"EnabledState": 3, "OperationalStatus": (6,), "HealthState": 25}
    PM_SUSPENDED = 8, "pmSuspended", "The guest itself went to sleep.", "VIR_DOMAIN_PMSUSPENDED", {"EnabledState": 6, "OperationalStatus": (15,), "HealthState": 5}


class DomainStateReason(Enumeration):
    """Why a domain is in its state. The hundreds of a number are the number of the state that the reason belongs to."""

    NO_STATE_UNKNOWN = 100, "noStateUnknown", "No state, for no known reason.", "VIR_DOMAIN_NOSTATE_UNKNOWN"
    RUNNING_UNKNOWN = 200, "runningUnknown", "Running, for no known reason.", "VIR_DOMAIN_RUNNING_UNKNOWN"
    RUNNING_BOOTED = 201, "runningBooted", "Started in the ordinary way.", "VIR_DOMAIN_RUNNING_BOOTED"
    RUNNING_MIGRATED = 202, "runningMigrated", "Came from another host.", "VIR_DOMAIN_RUNNING_MIGRATED"
    RUNNING_RESTORED = 203, "runningRestored", "Restored from a saved image.", "VIR_DOMAIN_RUNNING_RESTORED"
    RUNNING_FROM_SNAPSHOT = 204, "runningFromSnapshot", "Restored from a snapshot.", "VIR_DOMAIN_RUNNING_FROM_SNAPSHOT"
    RUNNING_UNPAUSED = 205, "runningUnpaused", "Resumed after a pause.", "VIR_DOMAIN_RUNNING_UNPAUSED"
    RUNNING_MIGRATION_CANCELED = 206, "runningMigrationCanceled", "Goes on here, since its migration was canceled.", "VIR_DOMAIN_RUNNING_MIGRATION_CANCELED"
    RUNNING_SAVE_CANCELED = 207, "runningSaveCanceled", "Goes on, since saving it was canceled.", "VIR_DOMAIN_RUNNING_SAVE_CANCELED"
    RUNNING_WAKEUP = 208, "runningWakeup", "Woken from the guest's own sleep.", "VIR_DOMAIN_RUNNING_WAKEUP"
    RUNNING_CRASHED = 209, "runningCrashed", "The guest crashed and was left running.", "VIR_DOMAIN_RUNNING_CRASHED"
    RUNNING_POSTCOPY = 210, "runningPostcopy", "Runs here while its memory still arrives by post-copy.", "VIR_DOMAIN_RUNNING_POSTCOPY"
    RUNNING_POSTCOPY_FAILED = 211, "runningPostcopyFailed", "Runs here although its post-copy migration failed.", "VIR_DOMAIN_RUNNING_POSTCOPY_FAILED"
    BLOCKED_UNKNOWN = 300, "blockedUnknown", "Blocked, for no known reason.", "VIR_DOMAIN_BLOCKED_UNKNOWN"
    PAUSED_UNKNOWN = 400, "pausedUnknown", "Paused, for no known reason.", "VIR_DOMAIN_PAUSED_UNKNOWN"
    PAUSED_USER = 401, "pausedUser", "Paused on request.", "VIR_DOMAIN_PAUSED_USER"
    PAUSED_MIGRATION = 402, "pausedMigration", "Paused for its migration.", "VIR_DOMAIN_PAUSED_MIGRATION"
    PAUSED_SAVE = 403, "pausedSave", "Paused while it is saved.", "VIR_DOMAIN_PAUSED_SAVE"
    PAUSED_DUMP = 404, "pausedDump", "Paused while its core is dumped.", "VIR_DOMAIN_PAUSED_DUMP"
    PAUSED_IO_ERROR = 405, "pausedIoError", "Paused by an error of a disk.", "VIR_DOMAIN_PAUSED_IOERROR"
    PAUSED_WATCHDOG = 406, "pausedWatchdog", "Paused by its watchdog.", "VIR_DOMAIN_PAUSED_WATCHDOG"
    PAUSED_FROM_SNAPSHOT = 407, "pausedFromSnapshot", "Restored from a snapshot of a paused domain.", "VIR_DOMAIN_PAUSED_FROM_SNAPSHOT"
    PAUSED_SHUTTING_DOWN = 408, "pausedShuttingDown", "Paused while it shuts down.", "VIR_DOMAIN_PAUSED_SHUTTING_DOWN"
    PAUSED_SNAPSHOT = 409, "pausedSnapshot", "Paused while a snapshot is made.", "VIR_DOMAIN_PAUSED_SNAPSHOT"
    PAUSED_CRASHED = 410, "pausedCrashed", "Paused because the guest crashed.", "VIR_DOMAIN_PAUSED_CRASHED"
    PAUSED_STARTING_UP = 411, "pausedStartingUp", "Being started.", "VIR_DOMAIN_PAUSED_STARTING_UP"
    PAUSED_POSTCOPY = 412, "pausedPostcopy", "Paused here, since it runs on the target of a post-copy migration.", "VIR_DOMAIN_PAUSED_POSTCOPY"
    PAUSED_POSTCOPY_FAILED = 413, "pausedPostcopyFailed", "Paused by a failed post-copy migration.", "VIR_DOMAIN_PAUSED_POSTCOPY_FAILED"
    PAUSED_API_ERROR = 414, "pausedApiError", "Left paused by an operation that failed.", "VIR_DOMAIN_PAUSED_API_ERROR"
    SHUTTING_DOWN_UNKNOWN = 500, "shuttingDownUnknown", "Shutting down, for no known reason.", "VIR_DOMAIN_SHUTDOWN_UNKNOWN"
    SHUTTING_DOWN_USER = 501, "shuttingDownUser", "Shutting down on request.", "VIR_DOMAIN_SHUTDOWN_USER"
    SHUT_OFF_UNKNOWN = 600, "shutOffUnknown", "Shut off, for no known reason.", "VIR_DOMAIN_SHUTOFF_UNKNOWN"
    SHUT_OFF_SHUTDOWN = 601, "shutOffShutdown", "Shut down in order.", "VIR_DOMAIN_SHUTOFF_SHUTDOWN"
    SHUT_OFF_DESTROYED = 602, "shutOffDestroyed", "Stopped by force.", "VIR_DOMAIN_SHUTOFF_DESTROYED"
    SHUT_OFF_CRASHED = 603, "shutOffCrashed", "Crashed.", "VIR_DOMAIN_SHUTOFF_CRASHED"
    SHUT_OFF_MIGRATED = 604, "shutOffMigrated", "Went to another host.", "VIR_DOMAIN_SHUTOFF_MIGRATED"
    SHUT_OFF_SAVED = 605, "shutOffSaved", "Saved to an image.", "VIR_DOMAIN_SHUTOFF_SAVED"
    SHUT_OFF_FAILED = 606, "shutOffFailed", "Could not be started, or the hypervisor failed it.", "VIR_DOMAIN_SHUTOFF_FAILED"
    SHUT_OFF_FROM_SNAPSHOT = 607, "shutOffFromSnapshot", "Went back to a snapshot of an inactive domain.", "VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT"
    SHUT_OFF_DAEMON = 608, "shutOffDaemon", "Stopped because the daemon decided so, on restart for example.", "VIR_DOMAIN_SHUTOFF_DAEMON"
    CRASHED_UNKNOWN = 700, "crashedUnknown", "Crashed, for no known reason.", "VIR_DOMAIN_CRASHED_UNKNOWN"
    CRASHED_PANICKED = 701, "crashedPanicked", "The kernel of the guest panicked.", "VIR_DOMAIN_CRASHED_PANICKED"
    PM_SUSPENDED_UNKNOWN = 800, "pmSuspendedUnknown", "Asleep, for no known reason.", "VIR_DOMAIN_PMSUSPENDED_UNKNOWN"
    PM_SUSPENDED_DISK = 801, "pmSuspendedDisk", "Asleep with its memory on disk.", None


HOSTED = Association(
    name="Virtmap_HostedDomain", base="CIM_HostedDependency", far="Antecedent", near="Dependent",
    description="The host that a domain runs on, or is defined on.",
)  # fmt: skip


DEFINITION = Settings(
    cim="CIM_VirtualSystemSettingData",
    association=Association(
        name="Virtmap_DomainDefinition", base="CIM_ElementSettingData", far="ManagedElement", near="SettingData",
        description="What a domain is like after its next start.",
    ),
    fills={
        "InstanceID": spelled("virtmap:{0}/definition", "uuid"),
        "ElementName": taken("name"),
        "Description": taken("name", how="Definition of {0}".format),
        "VirtualSystemIdentifier": taken("uuid"),
        "VirtualSystemType": taken("type"),
        "Notes": taken("description", how=lambda text: (text,)),
        "AutomaticStartupAction": taken("autostart", how=lambda on: 4 if on else 2),
    },
    nulls={
        "Caption": "ElementName says it already.",
        "ChangeableType": "Each setting has its own operation.",
        "ConfigurationName": "ElementName says it already.",
        "CreationTime": "libvirt does not record it.",
        "ConfigurationID": "InstanceID says it already.",
        "ConfigurationDataRoot": "libvirt keeps definitions where it likes.",
        "ConfigurationFile": "libvirt keeps definitions where it likes.",
        "AutomaticShutdownAction": "It is a setting of the host's service, not of the domain.",
        "AutomaticRecoveryAction": "It is in the definition, as lifecycle actions; see its XML.",
    },
)  # fmt: skip


DEVICES = Association(
    name="Virtmap_DomainDevice", base="CIM_SystemDevice", far="GroupComponent", near="PartComponent",
    description="A device that belongs to a domain.",
)  # fmt: skip

AT_REST = (DomainState.SHUT_OFF, DomainState.CRASHED)
"""The states in which a domain holds no memory. Its memory is dormant then, and well, whatever became of the domain."""


RAM = Aspect(
    name="Memory", cim="CIM_Memory", association=DEVICES,
    description="The memory of a domain: NumberOfBlocks is the most it can hold without a restart, ConsumableBlocks what it holds now.",
    fills={
        "DeviceID": taken("uuid", how="{0}/memory".format),
        "ElementName": taken("name", how="Memory of {0}".format),
        "Name": constant("memory"),
        "OperationalStatus": taken("state", how=lambda state: (15,) if state in AT_REST else state.cim["OperationalStatus"]),
        "HealthState": taken("state", how=lambda state: 5 if state in AT_REST else state.cim["HealthState"]),
        "EnabledState": mapped("state"),
        "RequestedState": constant(12),
        "Access": constant(3),
        "BlockSize": constant(1024),
        "NumberOfBlocks": taken("max_memory"),
        "ConsumableBlocks": taken("memory"),
        "Primordial": constant(False),
        "NameFormat": constant(1),
        "NameNamespace": constant(1),
        "Volatile": constant(True),
    },
    nulls=MEMORY,
)  # fmt: skip


class Domain(
    Row, table=2, cim="CIM_ComputerSystem", discontinuity="counters_since", settings=DEFINITION, aspects=(RAM,),
    action=3,
    fills={
        "NameFormat": constant("Other"),
        "OperationalStatus": mapped("state"),
        "HealthState": mapped("state"),
        "EnabledState": mapped("state"),
        "RequestedState": constant(12),
        "OtherIdentifyingInfo": taken("name", how=lambda name: (name,)),
        "IdentifyingDescriptions": taken("name", how=lambda _: ("libvirt domain name",)),
        "Dedicated": constant((2,)),
        "ResetCapability": constant(4),
    },
    nulls=SYSTEM,
):  # fmt: skip
    """A domain: a guest of this host, running or only defined."""

    uuid: Uuid = key(2, "Identifies the domain on every host.", api=("virDomainGetUUIDString", "virDomainGetUUID"), cim="Name")
    name: Name | None = column(4, "Name of the domain, unique on its host.", api="virDomainGetName", cim="ElementName")
    id: Count | None = column(5, "The number that libvirt gave to this run of the domain; none while it does not run.", api=("virDomainGetID", "virDomainIsActive"))
    state: DomainState | None = column(6, "What the domain is doing.", api="virDomainGetState", stats="state.state")
    state_reason: DomainStateReason | None = column(7, "Why it is in its state.", api="virDomainGetState", stats="state.reason")
    persistent: Flag | None = column(8, "Whether the definition stays when the domain stops.", api="virDomainIsPersistent")
    autostart: Flag | None = column(9, "Whether it is started together with the host.", api="virDomainGetAutostart")
    managed_save: Flag | None = column(10, "Whether a saved image of it waits to be restored at the next start.", api="virDomainHasManagedSaveImage")
    updated: Flag | None = column(11, "Whether its definition was changed while it runs.", api="virDomainIsUpdated")
    os_type: Name | None = column(12, "How the guest is virtualized: hvm, linux, exe and the like.", api="virDomainGetOSType")
    type: Name | None = column(13, "The hypervisor's type of the domain, such as kvm, qemu or lxc.", api="virDomainGetXMLDesc")
    architecture: Name | None = column(14, "Architecture of the guest.", api="virDomainGetXMLDesc")
    machine: Name | None = column(15, "Machine model that the guest sees.", api="virDomainGetXMLDesc")
    title: Text | None = column(16, "A short title that people gave it.", api="virDomainGetMetadata")
    description: Text | None = column(17, "What people wrote about it.", api="virDomainGetMetadata", cim="Description")
    host: Name | None = column(18, "The host that the domain is on.", api=("virDomainGetConnect", "virConnectListAllDomains"), ref=Host, association=HOSTED)
    vcpus: Count | None = column(19, "vCPUs it has now; setting it plugs or unplugs vCPUs.", api=("virDomainGetVcpusFlags", "virDomainGetInfo"), stats="vcpu.current")
    max_vcpus: Count | None = column(20, "Most vCPUs it can have without a restart.", api="virDomainGetMaxVcpus", stats="vcpu.maximum")
    memory: KiB | None = column(21, "Memory it holds now; setting it moves the balloon.", api="virDomainGetInfo", stats="balloon.current")
    max_memory: KiB | None = column(22, "Most memory it can hold without a restart.", api=("virDomainGetMaxMemory", "virDomainGetInfo"), stats="balloon.maximum")
    config_vcpus: Count | None = column(23, "vCPUs it gets at the next start.", api="virDomainGetVcpusFlags", scope=Scope.CONFIG)
    config_max_vcpus: Count | None = column(24, "Most vCPUs after the next start.", api="virDomainGetVcpusFlags", scope=Scope.CONFIG)
    config_memory: KiB | None = column(25, "Memory it gets at the next start.", api="virDomainGetXMLDesc", scope=Scope.CONFIG)
    config_max_memory: KiB | None = column(26, "Most memory after the next start.", api="virDomainGetXMLDesc", scope=Scope.CONFIG)
    disks: Count | None = column(27, "Disks it has.", api="virConnectGetAllDomainStats", stats="block.count")
    nics: Count | None = column(28, "Network interfaces it has.", api="virConnectGetAllDomainStats", stats="net.count")
    iothreads: Count | None = column(29, "Threads that serve its disks.", api="virConnectGetAllDomainStats", stats="iothread.count")
    cpu_time: CpuTime | None = column(30, "Processor time used, by vCPUs and emulator together.", api=("virDomainGetInfo", "virDomainGetCPUStats", "virDomainListGetStats"), stats="cpu.time")
    cpu_user: CpuTime | None = column(31, "The part of the processor time spent in user mode.", api="virDomainGetCPUStats", stats="cpu.user")
    cpu_system: CpuTime | None = column(32, "The part of the processor time spent in the host's kernel.", api="virDomainGetCPUStats", stats="cpu.system")
    haltpoll_success: CpuTime | None = column(33, "Time spent polling for an interrupt that then came.", api="virConnectGetAllDomainStats", stats="cpu.haltpoll.success.time")
    haltpoll_fail: CpuTime | None = column(34, "Time spent polling for an interrupt in vain.", api="virConnectGetAllDomainStats", stats="cpu.haltpoll.fail.time")
    cache_monitors: Count | None = column(35, "Monitors of the last-level cache that are set up for it.", api="virConnectGetAllDomainStats", stats="cpu.cache.monitor.count")
    bandwidth_monitors: Count | None = column(36, "Monitors of the memory bandwidth that are set up for it.", api="virConnectGetAllDomainStats", stats="memory.bandwidth.monitor.count")
    swap_in: SwappedKiB | None = column(40, "What the guest read back from its swap.", api="virDomainMemoryStats", stats="balloon.swap_in")
    swap_out: SwappedKiB | None = column(41, "What the guest wrote to its swap.", api="virDomainMemoryStats", stats="balloon.swap_out")
    major_faults: Events | None = column(42, "Page faults of the guest that needed its disk.", api="virDomainMemoryStats", stats="balloon.major_fault")
    minor_faults: Events | None = column(43, "Page faults of the guest that did not need its disk.", api="virDomainMemoryStats", stats="balloon.minor_fault")
    memory_unused: KiB | None = column(44, "Memory that the guest uses for nothing at all.", api="virDomainMemoryStats", stats="balloon.unused")
    memory_available: KiB | None = column(45, "Memory that the guest's kernel manages.", api="virDomainMemoryStats", stats="balloon.available")
    memory_rss: KiB | None = column(46, "Memory of the host that the domain's process occupies.", api="virDomainMemoryStats", stats="balloon.rss")
    memory_usable: KiB | None = column(47, "Memory that the balloon could take without making the guest swap.", api="virDomainMemoryStats", stats="balloon.usable")
    balloon_updated: Timestamp | None = column(48, "When the guest last told about its memory.", api="virDomainMemoryStats", stats="balloon.last-update")
    disk_caches: KiB | None = column(49, "Memory of the guest in caches that it can drop.", api="virDomainMemoryStats", stats="balloon.disk_caches")
    hugepage_allocations: Events | None = column(50, "Huge pages that the guest asked for and got.", api="virDomainMemoryStats", stats="balloon.hugetlb_pgalloc")
    hugepage_failures: Events | None = column(51, "Huge pages that the guest asked for and did not get.", api="virDomainMemoryStats", stats="balloon.hugetlb_pgfail")
    perf_cache_occupancy: Bytes | None = column(60, "Last-level cache that the domain occupies.", api="virConnectGetAllDomainStats", stats="perf.cmt")
    perf_bandwidth_total: BytesPerSecond | None = column(61, "Memory traffic between the domain and all cache levels.", api="virConnectGetAllDomainStats", stats="perf.mbmt")
    perf_bandwidth_local: BytesPerSecond | None = column(62, "Memory traffic of the domain to its own memory controller.", api="virConnectGetAllDomainStats", stats="perf.mbml")
    perf_cache_misses: Events | None = column(63, "Cache misses.", api="virConnectGetAllDomainStats", stats="perf.cache_misses")
    perf_cache_references: Events | None = column(64, "Cache accesses.", api="virConnectGetAllDomainStats", stats="perf.cache_references")
    perf_instructions: Events | None = column(65, "Instructions executed.", api="virConnectGetAllDomainStats", stats="perf.instructions")
    perf_cycles: Events | None = column(66, "Processor cycles.", api="virConnectGetAllDomainStats", stats="perf.cpu_cycles")
    perf_branches: Events | None = column(67, "Branch instructions.", api="virConnectGetAllDomainStats", stats="perf.branch_instructions")
    perf_branch_misses: Events | None = column(68, "Branches that were predicted wrongly.", api="virConnectGetAllDomainStats", stats="perf.branch_misses")
    perf_bus_cycles: Events | None = column(69, "Bus cycles.", api="virConnectGetAllDomainStats", stats="perf.bus_cycles")
    perf_stalled_frontend: Events | None = column(70, "Cycles in which the front end of the processor stalled.", api="virConnectGetAllDomainStats", stats="perf.stalled_cycles_frontend")
    perf_stalled_backend: Events | None = column(71, "Cycles in which the back end of the processor stalled.", api="virConnectGetAllDomainStats", stats="perf.stalled_cycles_backend")
    perf_reference_cycles: Events | None = column(72, "Cycles that frequency scaling does not change.", api="virConnectGetAllDomainStats", stats="perf.ref_cpu_cycles")
    perf_cpu_clock: CpuTime | None = column(73, "Time on the processor clock.", api="virConnectGetAllDomainStats", stats="perf.cpu_clock")
    perf_task_clock: CpuTime | None = column(74, "Time on the clock of the domain's tasks.", api="virConnectGetAllDomainStats", stats="perf.task_clock")
    perf_page_faults: Events | None = column(75, "Page faults of the domain's process.", api="virConnectGetAllDomainStats", stats="perf.page_faults")
    perf_context_switches: Events | None = column(76, "Context switches.", api="virConnectGetAllDomainStats", stats="perf.context_switches")
    perf_migrations: Events | None = column(77, "Moves from one host processor to another.", api="virConnectGetAllDomainStats", stats="perf.cpu_migrations")
    perf_minor_faults: Events | None = column(78, "Page faults of the process that needed no disk.", api="virConnectGetAllDomainStats", stats="perf.page_faults_min")
    perf_major_faults: Events | None = column(79, "Page faults of the process that needed the disk.", api="virConnectGetAllDomainStats", stats="perf.page_faults_maj")
    perf_alignment_faults: Events | None = column(80, "Accesses to unaligned addresses that the kernel had to mend.", api="virConnectGetAllDomainStats", stats="perf.alignment_faults")
    perf_emulation_faults: Events | None = column(81, "Instructions that the kernel had to emulate.", api="virConnectGetAllDomainStats", stats="perf.emulation_faults")
    refreshed: Timestamp | None = column(90, "When this row was read from the hypervisor.")
    problem: Text | None = column(91, "Why the last attempt to read it failed; empty when it did not.")
    counters_since: Timestamp | None = column(92, "Since when the counters of the domain and its devices count: when the agent first saw this run of it.")
    agent_connected: Flag | None = column(150, "Whether the agent in the guest is connected; none if the domain has no channel for one.", api="virDomainGetXMLDesc")
    agent_updated: Timestamp | None = column(151, "When the agent in the guest last told about it.", api="virDomainGetGuestInfo")
    guest_hostname: Name | None = column(152, "The guest's own name, as its agent tells.", api="virDomainGetGuestInfo")
    guest_timezone: Name | None = column(153, "The guest's time zone.", api="virDomainGetGuestInfo")
    guest_utc_offset: Number | None = column(154, "How many seconds the guest's clock is ahead of UTC.", api="virDomainGetGuestInfo")
    guest_os_id: Name | None = column(155, "The guest's operating system in one word, such as debian or mswindows.", api="virDomainGetGuestInfo")
    guest_os: Name | None = column(156, "Name of the guest's operating system.", api="virDomainGetGuestInfo")
    guest_os_pretty: Name | None = column(157, "The guest's operating system as it calls itself.", api="virDomainGetGuestInfo")
    guest_os_version: Name | None = column(158, "Version of the guest's operating system, in words.", api="virDomainGetGuestInfo")
    guest_os_version_id: Name | None = column(159, "Version of the guest's operating system, as a number.", api="virDomainGetGuestInfo")
    guest_os_variant: Name | None = column(160, "Edition of the guest's operating system.", api="virDomainGetGuestInfo")
    guest_os_variant_id: Name | None = column(161, "Edition of the guest's operating system in one word, such as server.", api="virDomainGetGuestInfo")
    guest_kernel: Name | None = column(162, "Release of the guest's kernel.", api="virDomainGetGuestInfo")
    guest_kernel_build: Name | None = column(163, "Version of the guest's kernel: its number, and when it was built.", api="virDomainGetGuestInfo")
    guest_machine: Name | None = column(164, "Architecture that the guest's kernel runs on.", api="virDomainGetGuestInfo")
    guest_users: Count | None = column(165, "Users who are logged in to the guest.", api="virDomainGetGuestInfo")
    guest_vcpus: Text | None = column(166, "vCPUs that the guest has, as numbers and ranges.", api="virDomainGetGuestVcpus")
    guest_vcpus_online: Text | None = column(167, "vCPUs that the guest uses.", api="virDomainGetGuestVcpus")
    guest_offlinable: Text | None = column(168, "vCPUs that the guest can stop using.", api="virDomainGetGuestVcpus")
    snapshots: Count | None = column(170, "Snapshots it has.", api=("virDomainListAllSnapshots", "virDomainSnapshotNum"))
    current_snapshot: Name | None = column(171, "The snapshot that it goes on from: the one made, or gone back to, last.", api=("virDomainSnapshotCurrent", "virDomainHasCurrentSnapshot"))
    checkpoints: Count | None = column(172, "Checkpoints it has.", api="virDomainListAllCheckpoints")
    block_jobs: Count | None = column(173, "Block jobs that run on its disks.", api="virDomainGetBlockJobInfo")


RUNS = when("state", DomainState.RUNNING, DomainState.BLOCKED, DomainState.NO_STATE)
ACTIVE = when("state", *(s for s in DomainState if s not in AT_REST))
INACTIVE = when("state", *AT_REST)


class StartFlags(Flags):
    """How a domain is started."""

    PAUSED = 1, "paused", "Leave its vCPUs stopped.", "VIR_DOMAIN_START_PAUSED"
    AUTODESTROY = 2, "autodestroy", "Destroy it when the agent's connection closes.", "VIR_DOMAIN_START_AUTODESTROY"
    BYPASS_CACHE = 4, "bypassCache", "Do not let the saved image fill the file cache.", "VIR_DOMAIN_START_BYPASS_CACHE"
    FORCE_BOOT = 8, "forceBoot", "Throw the saved image away and boot.", "VIR_DOMAIN_START_FORCE_BOOT"
    VALIDATE = 16, "validate", "Check the definition against libvirt's schema first.", "VIR_DOMAIN_START_VALIDATE"
    RESET_NVRAM = 32, "resetNvram", "Begin with fresh firmware variables.", "VIR_DOMAIN_START_RESET_NVRAM"


class ShutdownFlags(Flags):
    """By which means a guest is asked to shut down; none lets the hypervisor choose."""

    ACPI = 1, "acpi", "Press the power button.", "VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN"
    GUEST_AGENT = 2, "guestAgent", "Ask the guest agent.", "VIR_DOMAIN_SHUTDOWN_GUEST_AGENT"
    INITCTL = 4, "initctl", "Write to the init control pipe of a container.", "VIR_DOMAIN_SHUTDOWN_INITCTL"
    SIGNAL = 8, "signal", "Signal the init process of a container.", "VIR_DOMAIN_SHUTDOWN_SIGNAL"
    PARAVIRT = 16, "paravirt", "Use the paravirtual control of the hypervisor.", "VIR_DOMAIN_SHUTDOWN_PARAVIRT"


class RebootFlags(Flags):
    """By which means a guest is asked to reboot; none lets the hypervisor choose."""

    ACPI = 1, "acpi", "Press the power button.", "VIR_DOMAIN_REBOOT_ACPI_POWER_BTN"
    GUEST_AGENT = 2, "guestAgent", "Ask the guest agent.", "VIR_DOMAIN_REBOOT_GUEST_AGENT"
    INITCTL = 4, "initctl", "Write to the init control pipe of a container.", "VIR_DOMAIN_REBOOT_INITCTL"
    SIGNAL = 8, "signal", "Signal the init process of a container.", "VIR_DOMAIN_REBOOT_SIGNAL"
    PARAVIRT = 16, "paravirt", "Use the paravirtual control of the hypervisor.", "VIR_DOMAIN_REBOOT_PARAVIRT"


class DestroyFlags(Flags):
    """How a domain is stopped by force."""

    GRACEFUL = 1, "graceful", "Let the hypervisor flush its caches; fail rather than kill it.", "VIR_DOMAIN_DESTROY_GRACEFUL"


class SaveFlags(Flags):
    """How a domain is saved."""

    BYPASS_CACHE = 1, "bypassCache", "Do not let the image fill the file cache.", "VIR_DOMAIN_SAVE_BYPASS_CACHE"
    RUNNING = 2, "running", "Let it run when it is restored.", "VIR_DOMAIN_SAVE_RUNNING"
    PAUSED = 4, "paused", "Leave it paused when it is restored.", "VIR_DOMAIN_SAVE_PAUSED"


class ModificationImpact(Flags):
    """What a change applies to; none means the running domain if it runs, else its definition."""

    LIVE = 1, "live", "The running domain.", "VIR_DOMAIN_AFFECT_LIVE"
    CONFIG = 2, "config", "The definition, from the next start on.", "VIR_DOMAIN_AFFECT_CONFIG"


class VcpuFlags(Flags):
    """How vCPUs are changed; none plugs or unplugs them."""

    GUEST = 1, "guest", "The guest agent switches them on or off, and they stay plugged in.", "VIR_DOMAIN_VCPU_GUEST"
    HOTPLUGGABLE = 2, "hotpluggable", "Those that are added to the definition can be unplugged later.", "VIR_DOMAIN_VCPU_HOTPLUGGABLE"


class XmlFlags(Flags):
    """Which definition of a domain is read, and how much of it. Secrets in it are never given out."""

    INACTIVE = 1, "inactive", "The definition for the next start instead of that of the running domain.", "VIR_DOMAIN_XML_INACTIVE"
    UPDATE_CPU = 2, "updateCpu", "With the processor features that the host adds.", "VIR_DOMAIN_XML_UPDATE_CPU"
    MIGRATABLE = 4, "migratable", "In a form that older libvirt understands.", "VIR_DOMAIN_XML_MIGRATABLE"


class PasswordFlags(Flags):
    """How a password of a guest's user is given."""

    ENCRYPTED = 1, "encrypted", "It is a hash already.", "VIR_DOMAIN_PASSWORD_ENCRYPTED"


class UndefineFlags(Flags):
    """What else goes, or stays, when a definition is removed. libvirt refuses if something is there and nothing is said of it."""

    MANAGED_SAVE = 1, "managedSave", "Remove its saved image too.", "VIR_DOMAIN_UNDEFINE_MANAGED_SAVE"
    SNAPSHOTS_METADATA = 2, "snapshotsMetadata", "Forget its snapshots; their data stays in its disks.", "VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA"
    NVRAM = 4, "nvram", "Remove its firmware variables too.", "VIR_DOMAIN_UNDEFINE_NVRAM"
    KEEP_NVRAM = 8, "keepNvram", "Keep its firmware variables.", "VIR_DOMAIN_UNDEFINE_KEEP_NVRAM"
    CHECKPOINTS_METADATA = 16, "checkpointsMetadata", "Forget its checkpoints; their data stays in its disks.", "VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA"
    TPM = 32, "tpm", "Remove the state of its TPM too.", "VIR_DOMAIN_UNDEFINE_TPM"
    KEEP_TPM = 64, "keepTpm", "Keep the state of its TPM.", "VIR_DOMAIN_UNDEFINE_KEEP_TPM"


class Start(Operation, on=Domain, number=1, needs=Access.OPERATE, api=("virDomainCreateWithFlags", "virDomainCreate"), allowed=INACTIVE):
    """Start a defined domain, from its saved image if there is one."""

    flags: StartFlags = argument(1, "How it is started.", default=StartFlags(0))


class Shutdown(Operation, on=Domain, number=2, needs=Access.OPERATE, api=("virDomainShutdownFlags", "virDomainShutdown"), allowed=RUNS):
    """Ask the guest to shut down. It may take its time, or refuse."""

    flags: ShutdownFlags = argument(1, "By which means it is asked.", default=ShutdownFlags(0))


class Reboot(Operation, on=Domain, number=3, needs=Access.OPERATE, api="virDomainReboot", allowed=RUNS):
    """Ask the guest to reboot. It may take its time, or refuse."""

    flags: RebootFlags = argument(1, "By which means it is asked.", default=RebootFlags(0))


class Reset(Operation, on=Domain, number=4, needs=Access.OPERATE, api="virDomainReset", allowed=ACTIVE, destroys="What the guest has not yet written to its disks."):
    """Press the reset button of the virtual machine."""


REMOVE_LOGS = "Whether its logs are removed with it. That is refused, and nothing is done, where they are not those of the agent's own host, virtlogd does not rotate them, or a log of another domain might be taken for one of its."


class Destroy(Operation, on=Domain, number=5, needs=Access.OPERATE, api=("virDomainDestroyFlags", "virDomainDestroy"), allowed=ACTIVE, destroys="What the guest has not yet written to its disks; a transient domain altogether."):
    """Stop the domain at once, as if its power were cut."""

    flags: DestroyFlags = argument(1, "How it is stopped.", default=DestroyFlags(0))
    remove_logs: Flag = argument(2, REMOVE_LOGS, default=False, needs=Access.DEFINE)


class Suspend(Operation, on=Domain, number=6, needs=Access.OPERATE, api="virDomainSuspend", allowed=RUNS, undo="Resume"):
    """Stop the vCPUs; the memory stays where it is."""


class Resume(Operation, on=Domain, number=7, needs=Access.OPERATE, api="virDomainResume", allowed=when("state", DomainState.PAUSED), undo="Suspend"):
    """Let the vCPUs of a paused domain run again."""


class ManagedSave(Operation, on=Domain, number=8, needs=Access.OPERATE, api="virDomainManagedSave", job=True, cancel="virDomainAbortJobFlags", allowed=ACTIVE):
    """Save the memory to an image that libvirt keeps, and stop; the next start goes on from there."""

    flags: SaveFlags = argument(1, "How it is saved.", default=SaveFlags(0))


class SetMemory(Operation, on=Domain, number=9, needs=Access.OPERATE, api=("virDomainSetMemoryFlags", "virDomainSetMemory"), sets="memory"):
    """Change how much memory the domain holds."""

    memory: KiB = argument(1, "The new size.", low=1)
    impact: ModificationImpact = argument(2, "What the change applies to.", default=ModificationImpact(0))


class SetVcpus(Operation, on=Domain, number=10, needs=Access.OPERATE, api=("virDomainSetVcpusFlags", "virDomainSetVcpus"), sets="vcpus"):
    """Change how many vCPUs the domain has."""

    vcpus: Count = argument(1, "The new number.", low=1)
    impact: ModificationImpact = argument(2, "What the change applies to.", default=ModificationImpact(0))
    flags: VcpuFlags = argument(3, "How they are changed.", default=VcpuFlags(0))


class SetAutostart(Operation, on=Domain, number=11, needs=Access.OPERATE, api="virDomainSetAutostart", sets="autostart"):
    """Change whether the domain is started together with its host."""

    autostart: Flag = argument(1, "Whether it is to be started.")


class ReadXml(Operation, on=Domain, number=12, needs=Access.OBSERVE, api="virDomainGetXMLDesc"):
    """Read the definition of the domain."""

    flags: XmlFlags = argument(1, "Which definition, and how much of it.", default=XmlFlags(0))
    xml: Xml | None = out(2, "The definition, as libvirt's domain XML, without secrets.")


class SetUserPassword(Operation, on=Domain, number=13, needs=Access.ADMINISTER, api="virDomainSetUserPassword", allowed=ACTIVE):
    """Give a user inside the guest a new password, by the guest agent."""

    user: Name = argument(1, "The user inside the guest.")
    password: SecretText = argument(2, "The new password. No way to read it back exists.")
    flags: PasswordFlags = argument(3, "How the password is given.", default=PasswordFlags(0))


class Undefine(Operation, on=Domain, number=14, needs=Access.DEFINE, api=("virDomainUndefineFlags", "virDomainUndefine"), destroys="The definition; with flags also what belongs to it. Disks stay."):
    """Remove the definition. A domain that runs goes on until it stops; one that does not is gone."""

    flags: UndefineFlags = argument(1, "What else goes, or stays.", default=UndefineFlags(0))
    remove_logs: Flag = argument(2, REMOVE_LOGS, default=False)
