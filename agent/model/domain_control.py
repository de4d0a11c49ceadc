"""What can be asked of a domain beside starting and stopping it: keys, names, titles, lifecycle actions, times, state."""

from agent.model.domain import ACTIVE, INACTIVE, Domain, DomainState, DomainStateReason, ModificationImpact
from agent.model.domain_tuning import IMPACT
from agent.model.nic import Nic
from agent.schema.declare import Access, Event, Operation, Row, argument, out, when
from agent.schema.types import (
    Count,
    Enumeration,
    Flag,
    Flags,
    KiB,
    Level,
    MiBPerSecond,
    Milliseconds,
    Name,
    Nanoseconds,
    Number,
    Seconds,
    Text,
    Timestamp,
    Xml,
)


class KeyCodes(Enumeration):
    """What the numbers of keys mean."""

    LINUX = 1, "linux", "Key codes of the Linux kernel.", "VIR_KEYCODE_SET_LINUX"
    XT = 2, "xt", "The first set of scan codes of PCs.", "VIR_KEYCODE_SET_XT"
    ATSET1 = 3, "atset1", "Set 1 of AT keyboards.", "VIR_KEYCODE_SET_ATSET1"
    ATSET2 = 4, "atset2", "Set 2 of AT keyboards.", "VIR_KEYCODE_SET_ATSET2"
    ATSET3 = 5, "atset3", "Set 3 of AT keyboards.", "VIR_KEYCODE_SET_ATSET3"
    OSX = 6, "osx", "Key codes of macOS.", "VIR_KEYCODE_SET_OSX"
    XT_KBD = 7, "xtKbd", "Set 1 as the Linux driver of XT keyboards has it.", "VIR_KEYCODE_SET_XT_KBD"
    USB = 8, "usb", "Usage numbers of USB keyboards.", "VIR_KEYCODE_SET_USB"
    WIN32 = 9, "win32", "Virtual key codes of Windows.", "VIR_KEYCODE_SET_WIN32"
    QNUM = 10, "qnum", "Key numbers of QEMU.", "VIR_KEYCODE_SET_QNUM"


class ProcessSignal(Enumeration):
    """A signal of a process."""

    NOP = 1, "nop", "None; whether the process is there is found out.", "VIR_DOMAIN_PROCESS_SIGNAL_NOP"
    HUP = 2, "hup", "It is hung up.", "VIR_DOMAIN_PROCESS_SIGNAL_HUP"
    INT = 3, "int", "It is interrupted.", "VIR_DOMAIN_PROCESS_SIGNAL_INT"
    QUIT = 4, "quit", "It quits, and leaves a core.", "VIR_DOMAIN_PROCESS_SIGNAL_QUIT"
    ABRT = 5, "abrt", "It aborts.", "VIR_DOMAIN_PROCESS_SIGNAL_ABRT"
    KILL = 6, "kill", "It is killed.", "VIR_DOMAIN_PROCESS_SIGNAL_KILL"
    USR1 = 7, "usr1", "Its own first signal.", "VIR_DOMAIN_PROCESS_SIGNAL_USR1"
    USR2 = 8, "usr2", "Its own second signal.", "VIR_DOMAIN_PROCESS_SIGNAL_USR2"
    TERM = 9, "term", "It is asked to end.", "VIR_DOMAIN_PROCESS_SIGNAL_TERM"
    CONT = 10, "cont", "It goes on.", "VIR_DOMAIN_PROCESS_SIGNAL_CONT"
    STOP = 11, "stop", "It is stopped.", "VIR_DOMAIN_PROCESS_SIGNAL_STOP"
    ILL = 12, "ill", "It did something illegal.", "VIR_DOMAIN_PROCESS_SIGNAL_ILL"
    TRAP = 13, "trap", "It met a trap.", "VIR_DOMAIN_PROCESS_SIGNAL_TRAP"
    BUS = 14, "bus", "It met a bus error.", "VIR_DOMAIN_PROCESS_SIGNAL_BUS"
    FPE = 15, "fpe", "Its arithmetic failed.", "VIR_DOMAIN_PROCESS_SIGNAL_FPE"
    SEGV = 16, "segv", "It touched memory that is not its own.", "VIR_DOMAIN_PROCESS_SIGNAL_SEGV"
    PIPE = 17, "pipe", "Nobody reads what it writes.", "VIR_DOMAIN_PROCESS_SIGNAL_PIPE"
    ALRM = 18, "alrm", "Its timer ran out.", "VIR_DOMAIN_PROCESS_SIGNAL_ALRM"
    STKFLT = 19, "stkflt", "Its stack failed.", "VIR_DOMAIN_PROCESS_SIGNAL_STKFLT"
    CHLD = 20, "chld", "A child of it ended.", "VIR_DOMAIN_PROCESS_SIGNAL_CHLD"
    TSTP = 21, "tstp", "It is stopped from its terminal.", "VIR_DOMAIN_PROCESS_SIGNAL_TSTP"
    TTIN = 22, "ttin", "It reads from a terminal that is not its turn.", "VIR_DOMAIN_PROCESS_SIGNAL_TTIN"
    TTOU = 23, "ttou", "It writes to a terminal that is not its turn.", "VIR_DOMAIN_PROCESS_SIGNAL_TTOU"
    URG = 24, "urg", "Urgent data came for it.", "VIR_DOMAIN_PROCESS_SIGNAL_URG"
    XCPU = 25, "xcpu", "It used more processor time than it may.", "VIR_DOMAIN_PROCESS_SIGNAL_XCPU"
    XFSZ = 26, "xfsz", "It wrote a larger file than it may.", "VIR_DOMAIN_PROCESS_SIGNAL_XFSZ"
    VTALRM = 27, "vtalrm", "Its timer of processor time ran out.", "VIR_DOMAIN_PROCESS_SIGNAL_VTALRM"
    PROF = 28, "prof", "Its profiling timer ran out.", "VIR_DOMAIN_PROCESS_SIGNAL_PROF"
    WINCH = 29, "winch", "Its window changed its size.", "VIR_DOMAIN_PROCESS_SIGNAL_WINCH"
    POLL = 30, "poll", "What it waits for is ready.", "VIR_DOMAIN_PROCESS_SIGNAL_POLL"
    PWR = 31, "pwr", "The power fails.", "VIR_DOMAIN_PROCESS_SIGNAL_PWR"
    SYS = 32, "sys", "It called the kernel wrongly.", "VIR_DOMAIN_PROCESS_SIGNAL_SYS"
    RT0 = 33, "rt0", "Real-time signal 0.", "VIR_DOMAIN_PROCESS_SIGNAL_RT0"
    RT1 = 34, "rt1", "Real-time signal 1.", "VIR_DOMAIN_PROCESS_SIGNAL_RT1"
    RT2 = 35, "rt2", "Real-time signal 2.", "VIR_DOMAIN_PROCESS_SIGNAL_RT2"
    RT3 = 36, "rt3", "Real-time signal 3.", "VIR_DOMAIN_PROCESS_SIGNAL_RT3"
    RT4 = 37, "rt4", "Real-time signal 4.", "VIR_DOMAIN_PROCESS_SIGNAL_RT4"
    RT5 = 38, "rt5", "Real-time signal 5.", "VIR_DOMAIN_PROCESS_SIGNAL_RT5"
    RT6 = 39, "rt6", "Real-time signal 6.", "VIR_DOMAIN_PROCESS_SIGNAL_RT6"
    RT7 = 40, "rt7", "Real-time signal 7.", "VIR_DOMAIN_PROCESS_SIGNAL_RT7"
    RT8 = 41, "rt8", "Real-time signal 8.", "VIR_DOMAIN_PROCESS_SIGNAL_RT8"
    RT9 = 42, "rt9", "Real-time signal 9.", "VIR_DOMAIN_PROCESS_SIGNAL_RT9"
    RT10 = 43, "rt10", "Real-time signal 10.", "VIR_DOMAIN_PROCESS_SIGNAL_RT10"
    RT11 = 44, "rt11", "Real-time signal 11.", "VIR_DOMAIN_PROCESS_SIGNAL_RT11"
    RT12 = 45, "rt12", "Real-time signal 12.", "VIR_DOMAIN_PROCESS_SIGNAL_RT12"
    RT13 = 46, "rt13", "Real-time signal 13.", "VIR_DOMAIN_PROCESS_SIGNAL_RT13"
    RT14 = 47, "rt14", "Real-time signal 14.", "VIR_DOMAIN_PROCESS_SIGNAL_RT14"
    RT15 = 48, "rt15", "Real-time signal 15.", "VIR_DOMAIN_PROCESS_SIGNAL_RT15"
    RT16 = 49, "rt16", "Real-time signal 16.", "VIR_DOMAIN_PROCESS_SIGNAL_RT16"
    RT17 = 50, "rt17", "Real-time signal 17.", "VIR_DOMAIN_PROCESS_SIGNAL_RT17"
    RT18 = 51, "rt18", "Real-time signal 18.", "VIR_DOMAIN_PROCESS_SIGNAL_RT18"
    RT19 = 52, "rt19", "Real-time signal 19.", "VIR_DOMAIN_PROCESS_SIGNAL_RT19"
    RT20 = 53, "rt20", "Real-time signal 20.", "VIR_DOMAIN_PROCESS_SIGNAL_RT20"
    RT21 = 54, "rt21", "Real-time signal 21.", "VIR_DOMAIN_PROCESS_SIGNAL_RT21"
    RT22 = 55, "rt22", "Real-time signal 22.", "VIR_DOMAIN_PROCESS_SIGNAL_RT22"
    RT23 = 56, "rt23", "Real-time signal 23.", "VIR_DOMAIN_PROCESS_SIGNAL_RT23"
    RT24 = 57, "rt24", "Real-time signal 24.", "VIR_DOMAIN_PROCESS_SIGNAL_RT24"
    RT25 = 58, "rt25", "Real-time signal 25.", "VIR_DOMAIN_PROCESS_SIGNAL_RT25"
    RT26 = 59, "rt26", "Real-time signal 26.", "VIR_DOMAIN_PROCESS_SIGNAL_RT26"
    RT27 = 60, "rt27", "Real-time signal 27.", "VIR_DOMAIN_PROCESS_SIGNAL_RT27"
    RT28 = 61, "rt28", "Real-time signal 28.", "VIR_DOMAIN_PROCESS_SIGNAL_RT28"
    RT29 = 62, "rt29", "Real-time signal 29.", "VIR_DOMAIN_PROCESS_SIGNAL_RT29"
    RT30 = 63, "rt30", "Real-time signal 30.", "VIR_DOMAIN_PROCESS_SIGNAL_RT30"
    RT31 = 64, "rt31", "Real-time signal 31.", "VIR_DOMAIN_PROCESS_SIGNAL_RT31"
    RT32 = 65, "rt32", "Real-time signal 32.", "VIR_DOMAIN_PROCESS_SIGNAL_RT32"


class LifecycleMoment(Enumeration):
    """What a guest does, and the hypervisor can follow with something."""

    POWER_OFF = 1, "powerOff", "It shuts down.", "VIR_DOMAIN_LIFECYCLE_POWEROFF"
    REBOOT = 2, "reboot", "It reboots.", "VIR_DOMAIN_LIFECYCLE_REBOOT"
    CRASH = 3, "crash", "It crashes.", "VIR_DOMAIN_LIFECYCLE_CRASH"


class LifecycleAction(Enumeration):
    """What the hypervisor does when a guest has shut down, rebooted or crashed."""

    DESTROY = 1, "destroy", "The domain ends.", "VIR_DOMAIN_LIFECYCLE_ACTION_DESTROY"
    RESTART = 2, "restart", "The domain starts anew.", "VIR_DOMAIN_LIFECYCLE_ACTION_RESTART"
    RESTART_RENAME = 3, "restartRename", "The domain starts anew with another name.", "VIR_DOMAIN_LIFECYCLE_ACTION_RESTART_RENAME"
    PRESERVE = 4, "preserve", "What is left of the domain is kept.", "VIR_DOMAIN_LIFECYCLE_ACTION_PRESERVE"
    COREDUMP_DESTROY = 5, "coredumpDestroy", "Its core is dumped, and it ends.", "VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_DESTROY"
    COREDUMP_RESTART = 6, "coredumpRestart", "Its core is dumped, and it starts anew.", "VIR_DOMAIN_LIFECYCLE_ACTION_COREDUMP_RESTART"


class GuestSleep(Enumeration):
    """How a guest sleeps."""

    MEMORY = 1, "memory", "Its memory stays where it is.", "VIR_NODE_SUSPEND_TARGET_MEM"
    DISK = 2, "disk", "It writes its memory to its disk and switches itself off.", "VIR_NODE_SUSPEND_TARGET_DISK"
    HYBRID = 3, "hybrid", "Both at once.", "VIR_NODE_SUSPEND_TARGET_HYBRID"


class HostnameFlags(Flags):
    """Who is asked for the name of a guest; none leaves the choice to the hypervisor."""

    LEASE = 1, "lease", "Whoever leased it its address.", "VIR_DOMAIN_GET_HOSTNAME_LEASE"
    AGENT = 2, "agent", "The guest agent.", "VIR_DOMAIN_GET_HOSTNAME_AGENT"


class DirtyRateFlags(Flags):
    """How the rate at which memory changes is measured; none samples pages."""

    BITMAP = 1, "bitmap", "By a bitmap of dirty pages.", "VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_BITMAP"
    RING = 2, "ring", "By the ring of dirty pages.", "VIR_DOMAIN_DIRTYRATE_MODE_DIRTY_RING"


class SendKeys(Operation, on=Domain, number=50, needs=Access.OPERATE, api="virDomainSendKey", allowed=ACTIVE):
    """Press keys of the domain's keyboard, all at once, and let them go."""

    keys: Text = argument(1, "The keys, as numbers with spaces between them, at most 16.")
    codes: KeyCodes = argument(2, "What the numbers mean.", default=KeyCodes.LINUX)
    hold: Milliseconds = argument(3, "How long they are held, in milliseconds.", default=50, high=60000)


class InjectNmi(Operation, on=Domain, number=51, needs=Access.OPERATE, api="virDomainInjectNMI", allowed=ACTIVE, destroys="What the guest had not saved, if it is set to crash on it."):
    """Send the guest a non-maskable interrupt, on which many guests dump their memory."""


class SendSignal(Operation, on=Domain, number=52, needs=Access.OPERATE, api="virDomainSendProcessSignal", allowed=ACTIVE):
    """Send a signal to a process inside a container."""

    process: Number = argument(1, "Number of the process inside the container; a negative one is that of a group.")
    signal: ProcessSignal = argument(2, "The signal.")


class SetTitle(Operation, on=Domain, number=53, needs=Access.OPERATE, api="virDomainSetMetadata", sets="title"):
    """Change the title that people gave the domain."""

    title: Text = argument(1, "The new title, on one line; an empty one takes it away.")
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class SetDescription(Operation, on=Domain, number=54, needs=Access.OPERATE, api="virDomainSetMetadata", sets="description"):
    """Change what people wrote about the domain."""

    description: Text = argument(1, "The new text; an empty one takes it away.")
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class SetMetadata(Operation, on=Domain, number=55, needs=Access.OPERATE, api="virDomainSetMetadata"):
    """Change an element that some application keeps in the definition of the domain."""

    uri: Text = argument(1, "The XML namespace of the application.")
    prefix: Name = argument(2, "The prefix by which the namespace is known in the definition.")
    xml: Xml | None = argument(3, "The element; the one that is there is taken away if it is left out.", default=None)
    impact: ModificationImpact = argument(4, IMPACT, default=ModificationImpact(0))


class ReadMetadata(Operation, on=Domain, number=56, needs=Access.OBSERVE, api="virDomainGetMetadata"):
    """Read an element that some application keeps in the definition of the domain."""

    uri: Text = argument(1, "The XML namespace of the application.")
    impact: ModificationImpact = argument(2, "Which definition is read.", default=ModificationImpact(0))
    xml: Xml | None = out(3, "The element.")


class Rename(Operation, on=Domain, number=57, needs=Access.DEFINE, api="virDomainRename", allowed=INACTIVE):
    """Give the domain another name. Its UUID stays."""

    new_name: Name = argument(1, "The new name.")


class SetLifecycleAction(Operation, on=Domain, number=58, needs=Access.OPERATE, api="virDomainSetLifecycleAction"):
    """Change what happens when the guest has shut down, rebooted or crashed."""

    moment: LifecycleMoment = argument(1, "What the guest does.")
    action: LifecycleAction = argument(2, "What happens then.")
    impact: ModificationImpact = argument(3, IMPACT, default=ModificationImpact(0))


class ReadTime(Operation, on=Domain, number=59, needs=Access.OPERATE, api="virDomainGetTime", allowed=ACTIVE):
    """Ask the guest agent what time it is inside the guest."""

    time: Timestamp | None = out(1, "The time inside the guest.")


class SetTime(Operation, on=Domain, number=160, needs=Access.OPERATE, api="virDomainSetTime", allowed=ACTIVE):
    """Set the clock of the guest, by the guest agent."""

    time: Timestamp | None = argument(1, "The time; that of the guest's own hardware clock if it is left out.", default=None)


class ReadHostname(Operation, on=Domain, number=161, needs=Access.OPERATE, api="virDomainGetHostname", allowed=ACTIVE):
    """Find out the name that the guest has for itself."""

    flags: HostnameFlags = argument(1, "Who is asked.", default=HostnameFlags(0))
    hostname: Name | None = out(2, "The name.")


class SetMaxMemory(Operation, on=Domain, number=162, needs=Access.OPERATE, api=("virDomainSetMemoryFlags", "virDomainSetMaxMemory"), sets="max_memory"):
    """Change the most memory that the domain can hold without a restart."""

    max_memory: KiB = argument(1, "The new size.", low=1)
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class SetMaxVcpus(Operation, on=Domain, number=163, needs=Access.OPERATE, api="virDomainSetVcpusFlags", sets="config_max_vcpus"):
    """Change the most vCPUs that the domain can have after its next start."""

    config_max_vcpus: Count = argument(1, "The new number.", low=1)


class SetBalloonPeriod(Operation, on=Domain, number=164, needs=Access.OPERATE, api="virDomainSetMemoryStatsPeriod"):
    """Change how often the balloon driver of the guest tells about its memory."""

    period: Seconds = argument(1, "Every so many seconds; 0 is never.", high=2**31 - 1)
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class Sleep(Operation, on=Domain, number=165, needs=Access.OPERATE, api="virDomainPMSuspendForDuration", allowed=ACTIVE, undo="WakeUp"):
    """Have the guest put itself to sleep, by the guest agent."""

    target: GuestSleep = argument(1, "How it sleeps.", default=GuestSleep.MEMORY)


class WakeUp(Operation, on=Domain, number=166, needs=Access.OPERATE, api="virDomainPMWakeup", allowed=when("state", DomainState.PM_SUSPENDED, DomainState.RUNNING)):
    """Wake a guest that put itself to sleep."""


class MeasureDirtyRate(Operation, on=Domain, number=167, needs=Access.OPERATE, api="virDomainStartDirtyRateCalc", job=True, allowed=ACTIVE):
    """Measure how fast the memory of the guest changes, to know what a migration would take."""

    seconds: Seconds = argument(1, "For how long it is measured, in seconds.", default=1, low=1, high=60)
    flags: DirtyRateFlags = argument(2, "How it is measured.", default=DirtyRateFlags(0))
    rate: MiBPerSecond | None = out(3, "How fast it changes.")


class SetAutostartOnce(Operation, on=Domain, number=168, needs=Access.OPERATE, api=("virDomainSetAutostartOnce", "virDomainGetAutostartOnce")):
    """Have the domain started at the next start of the host, and only then. Needs libvirt 11.2."""

    once: Flag = argument(1, "Whether it is to be started.")
    before: Flag | None = out(2, "Whether it was to be started before.")


class ReloadGraphics(Operation, on=Domain, number=169, needs=Access.OPERATE, api="virDomainGraphicsReload", allowed=ACTIVE):
    """Have the displays of the domain read their certificates again. Needs libvirt 10.2."""


class ReadState(
    Operation, on=Domain, number=170, needs=Access.OBSERVE,
    api=(
        "virDomainGetState", "virDomainGetInfo", "virDomainIsActive", "virDomainIsPersistent", "virDomainIsUpdated",
        "virDomainGetMaxMemory", "virDomainGetMaxVcpus", "virDomainGetVcpusFlags", "virDomainGetAutostart",
        "virDomainHasManagedSaveImage",
    ),
):  # fmt: skip
    """Ask the hypervisor itself how the domain is, whatever the tables say just now."""

    state: DomainState | None = out(1, "What it is doing.")
    reason: DomainStateReason | None = out(2, "Why.")
    active: Flag | None = out(3, "Whether it runs.")
    persistent: Flag | None = out(4, "Whether its definition stays when it stops.")
    updated: Flag | None = out(5, "Whether its definition was changed while it runs.")
    autostart: Flag | None = out(6, "Whether it is started together with the host.")
    managed_save: Flag | None = out(7, "Whether a saved image of it waits.")
    memory: KiB | None = out(8, "Memory it holds, in KiB.")
    max_memory: KiB | None = out(9, "Most memory it can hold, in KiB.")
    vcpus: Count | None = out(10, "vCPUs it has.")
    max_vcpus: Count | None = out(11, "Most vCPUs it can have.")
    cpu_time: Nanoseconds | None = out(12, "Processor time it used, in nanoseconds.")


class ReadCpuTimes(Operation, on=Domain, number=171, needs=Access.OBSERVE, api="virDomainGetCPUStats", allowed=ACTIVE):
    """Read how much time the domain used on each processor of the host."""

    total: Nanoseconds | None = out(1, "Time used, on all of them, in nanoseconds.")
    user: Nanoseconds | None = out(2, "The part of it in user mode.")
    system: Nanoseconds | None = out(3, "The part of it in the host's kernel.")
    each: Text | None = out(4, "Time used on each, in nanoseconds, one a line, beginning with processor 0.")
    each_vcpus: Text | None = out(5, "The part of it that vCPUs used, in the same form.")


class ReadMemoryStatistics(Operation, on=Domain, number=172, needs=Access.OBSERVE, api="virDomainMemoryStats", allowed=ACTIVE):
    """Ask for the statistics of the domain's memory, whatever the tables say just now."""

    actual: KiB | None = out(1, "Memory it holds, in KiB.")
    rss: KiB | None = out(2, "Memory of the host that its process occupies, in KiB.")
    unused: KiB | None = out(3, "Memory that the guest uses for nothing at all, in KiB.")
    available: KiB | None = out(4, "Memory that the guest's kernel manages, in KiB.")
    usable: KiB | None = out(5, "Memory that the balloon could take without making the guest swap, in KiB.")
    disk_caches: KiB | None = out(6, "Memory of the guest in caches that it can drop, in KiB.")
    swap_in: KiB | None = out(7, "What the guest read back from its swap, in KiB.")
    swap_out: KiB | None = out(8, "What the guest wrote to its swap, in KiB.")
    major_faults: Level | None = out(9, "Page faults of the guest that needed its disk.")
    minor_faults: Level | None = out(10, "Page faults of the guest that did not need its disk.")
    updated: Timestamp | None = out(11, "When the balloon driver of the guest last told of it.")
    huge_allocated: Level | None = out(12, "Huge pages that the guest took for itself.")
    huge_failed: Level | None = out(13, "Huge pages that the guest wanted and did not get.")


class ReadNicStatistics(Operation, on=Nic, number=3, needs=Access.OBSERVE, api="virDomainInterfaceStats"):
    """Ask for the counters of the network interface, whatever the tables say just now."""

    in_bytes: Level | None = out(1, "Bytes it received.")
    in_packets: Level | None = out(2, "Packets it received.")
    in_errors: Level | None = out(3, "Packets with errors that it received.")
    in_drops: Level | None = out(4, "Packets for it that were dropped.")
    out_bytes: Level | None = out(5, "Bytes it sent.")
    out_packets: Level | None = out(6, "Packets it sent.")
    out_errors: Level | None = out(7, "Packets that it could not send.")
    out_drops: Level | None = out(8, "Packets of it that were dropped.")


ROWS: tuple[type[Row], ...] = ()
OPERATIONS: tuple[type[Operation], ...] = (
    SendKeys, InjectNmi, SendSignal, SetTitle, SetDescription, SetMetadata, ReadMetadata, Rename, SetLifecycleAction,
    ReadTime, SetTime, ReadHostname, SetMaxMemory, SetMaxVcpus, SetBalloonPeriod, Sleep, WakeUp, MeasureDirtyRate,
    SetAutostartOnce, ReloadGraphics, ReadState, ReadCpuTimes, ReadMemoryStatistics, ReadNicStatistics,
)  # fmt: skip
EVENTS: tuple[type[Event], ...] = ()
