"""What happens to a domain beside its life: to its guest, its devices, its jobs and its definition, as libvirt tells it."""

from agent.model.block_job import BlockJobType
from agent.model.disk import Disk
from agent.model.domain import Domain
from agent.model.nic import Nic
from agent.model.occurrence import Occurrence
from agent.schema.declare import AlertType, Cause, Event, Severity, detail, previous
from agent.schema.types import Bytes, Count, Enumeration, Flag, KiB, Mac, Milliseconds, Name, Number, Text, Uuid

_HEARD = ("virConnectDomainEventRegisterAny", "virConnectDomainEventDeregisterAny")


class DomainEvent(Occurrence, on=Domain, number=1006, abstract=True, shows=("uuid", "name", "state"), api=_HEARD):
    """What all of these events of a domain tell."""


class DomainRebooted(DomainEvent, number=10, libvirt="VIR_DOMAIN_EVENT_ID_REBOOT", cause=Cause.REINITIALIZED):
    """A guest restarted, or was reset."""


class DomainClockChanged(DomainEvent, number=11, libvirt="VIR_DOMAIN_EVENT_ID_RTC_CHANGE", changes=False):
    """A guest set its real-time clock."""

    offset: Number | None = detail(1, "How far that clock is from the host's in UTC, in seconds.")


class WatchdogAction(Enumeration):
    """What was done when a watchdog fired."""

    NONE = 1, "none", "Nothing.", "VIR_DOMAIN_EVENT_WATCHDOG_NONE"
    PAUSE = 2, "pause", "The domain was paused.", "VIR_DOMAIN_EVENT_WATCHDOG_PAUSE"
    RESET = 3, "reset", "The domain was reset.", "VIR_DOMAIN_EVENT_WATCHDOG_RESET"
    POWER_OFF = 4, "powerOff", "The domain was stopped at once.", "VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF"
    SHUTDOWN = 5, "shutdown", "The guest was asked to shut down.", "VIR_DOMAIN_EVENT_WATCHDOG_SHUTDOWN"
    DEBUG = 6, "debug", "Nothing; it was noted in the log of the hypervisor.", "VIR_DOMAIN_EVENT_WATCHDOG_DEBUG"
    INJECT_NMI = 7, "injectNmi", "The guest was sent a non-maskable interrupt.", "VIR_DOMAIN_EVENT_WATCHDOG_INJECTNMI"


class WatchdogFired(
    DomainEvent, number=12, libvirt="VIR_DOMAIN_EVENT_ID_WATCHDOG", severity=Severity.MAJOR,
    alert=AlertType.PROCESSING_ERROR, cause=Cause.TIMEOUT,
):  # fmt: skip
    """The watchdog of a domain fired: the guest had not been heard of for too long."""

    action: WatchdogAction | None = detail(1, "What was done.")


class GraphicsPhase(Enumeration):
    """How far a session on the screen of a domain has come."""

    CONNECTED = 1, "connected", "A client connected.", "VIR_DOMAIN_EVENT_GRAPHICS_CONNECT"
    INITIALIZED = 2, "initialized", "The client was let in, and the session begins.", "VIR_DOMAIN_EVENT_GRAPHICS_INITIALIZE"
    DISCONNECTED = 3, "disconnected", "The client went.", "VIR_DOMAIN_EVENT_GRAPHICS_DISCONNECT"


class GraphicsSession(
    DomainEvent, number=14, libvirt="VIR_DOMAIN_EVENT_ID_GRAPHICS", alert=AlertType.SECURITY, changes=False
):
    """Somebody came to, or went from, the screen of a domain."""

    phase: GraphicsPhase | None = detail(1, "How far that has come.")
    local: Name | None = detail(2, "The end at the host: an address and a port, or a socket.")
    remote: Name | None = detail(3, "The end of the client.")
    scheme: Name | None = detail(4, "How the client was told who it is.")
    identity: Name | None = detail(5, "Who the client is, as far as the scheme tells: kinds of names and names.")


class DomainControlLost(
    DomainEvent, number=15, libvirt="VIR_DOMAIN_EVENT_ID_CONTROL_ERROR", severity=Severity.MAJOR,
    alert=AlertType.COMMUNICATIONS, cause=Cause.SOFTWARE_ERROR,
):  # fmt: skip
    """libvirt lost the means to control a domain: it may run, and can only be stopped by force."""


class DomainWokenUp(DomainEvent, number=19, libvirt="VIR_DOMAIN_EVENT_ID_PMWAKEUP"):
    """A guest woke from its sleep."""


class DomainSlept(DomainEvent, number=20, libvirt="VIR_DOMAIN_EVENT_ID_PMSUSPEND"):
    """A guest went to sleep, with its memory kept."""


class DomainHibernated(DomainEvent, number=21, libvirt="VIR_DOMAIN_EVENT_ID_PMSUSPEND_DISK"):
    """A guest went to sleep, with its memory on its disk."""


class BalloonChanged(DomainEvent, number=22, libvirt="VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE"):
    """The memory that a domain holds changed."""

    memory: KiB | None = detail(1, "What it holds now.")
    previous_memory: KiB | None = previous(2, "What it was last seen to hold before.", of="memory")


class DeviceAdded(DomainEvent, number=23, libvirt="VIR_DOMAIN_EVENT_ID_DEVICE_ADDED"):
    """A device was attached to a domain that runs."""

    device: Name | None = detail(1, "libvirt's name of the device in its domain, its alias.")


class DeviceRemoved(DomainEvent, number=24, libvirt="VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED"):
    """A device of a domain that runs is gone: the guest has let go of it."""

    device: Name | None = detail(1, "libvirt's name of the device in its domain, its alias.")


class DeviceRemovalFailed(
    DomainEvent, number=25, libvirt="VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED", severity=Severity.WARNING,
    alert=AlertType.DEVICE,
):  # fmt: skip
    """A guest would not let go of a device."""

    device: Name | None = detail(1, "libvirt's name of the device in its domain, its alias.")


class MigrationPass(DomainEvent, number=26, libvirt="VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION", changes=False):
    """A migration begins to copy the memory of the guest once more: what changed since it was copied."""

    iteration: Count | None = detail(1, "How often it has begun, this time included.")


class JobWork(Enumeration):
    """What a job did."""

    UNKNOWN = 1, "unknown", "The hypervisor does not say.", "VIR_DOMAIN_JOB_OPERATION_UNKNOWN"
    START = 2, "start", "It started the domain.", "VIR_DOMAIN_JOB_OPERATION_START"
    SAVE = 3, "save", "It saved the domain.", "VIR_DOMAIN_JOB_OPERATION_SAVE"
    RESTORE = 4, "restore", "It restored the domain.", "VIR_DOMAIN_JOB_OPERATION_RESTORE"
    MIGRATION_IN = 5, "migrationIn", "It took the domain in from another host.", "VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN"
    MIGRATION_OUT = 6, "migrationOut", "It migrated the domain to another host.", "VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT"
    SNAPSHOT = 7, "snapshot", "It took a snapshot.", "VIR_DOMAIN_JOB_OPERATION_SNAPSHOT"
    SNAPSHOT_REVERT = 8, "snapshotRevert", "It went back to a snapshot.", "VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT"
    DUMP = 9, "dump", "It dumped the memory of the guest.", "VIR_DOMAIN_JOB_OPERATION_DUMP"
    BACKUP = 10, "backup", "It served a backup.", "VIR_DOMAIN_JOB_OPERATION_BACKUP"
    SNAPSHOT_DELETE = 11, "snapshotDelete", "It deleted a snapshot.", "VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_DELETE"


class DomainJobEnded(DomainEvent, number=27, libvirt="VIR_DOMAIN_EVENT_ID_JOB_COMPLETED"):
    """A job of libvirt's on a domain has ended."""

    work: JobWork | None = detail(1, "What it did.")
    succeeded: Flag | None = detail(2, "Whether it did it; none where the hypervisor does not say.")
    elapsed: Milliseconds | None = detail(3, "How long it took.")
    downtime: Milliseconds | None = detail(4, "How long the guest stood still for it.")
    transferred: Bytes | None = detail(5, "How much it moved.")
    error: Text | None = detail(6, "What went wrong.")


class DomainTuned(DomainEvent, number=28, libvirt="VIR_DOMAIN_EVENT_ID_TUNABLE"):
    """Tunables of a domain changed."""

    tunables: Text | None = detail(1, "What changed, one a line: the tunable, an equals sign and its value.")


class AgentState(Enumeration):
    """Whether the agent in a guest is there."""

    CONNECTED = 1, "connected", "It is there.", "VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED"
    DISCONNECTED = 2, "disconnected", "It is gone.", "VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_DISCONNECTED"


class AgentStateReason(Enumeration):
    """What made it known whether the agent in a guest is there."""

    UNKNOWN = 1, "unknown", "The hypervisor does not say.", "VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_UNKNOWN"
    DOMAIN_STARTED = 2, "domainStarted", "The domain started.", "VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_DOMAIN_STARTED"
    CHANNEL = 3, "channel", "It opened or closed its channel.", "VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_REASON_CHANNEL"


class GuestAgentChanged(DomainEvent, number=29, libvirt="VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE"):
    """The agent in a guest came or went."""

    agent: AgentState | None = detail(1, "Whether it is there.")
    reason: AgentStateReason | None = detail(2, "What made it known.")


class DomainMetadata(Enumeration):
    """Which note about a domain."""

    DESCRIPTION = 1, "description", "Its description.", "VIR_DOMAIN_METADATA_DESCRIPTION"
    TITLE = 2, "title", "Its title.", "VIR_DOMAIN_METADATA_TITLE"
    ELEMENT = 3, "element", "What an application keeps in its definition.", "VIR_DOMAIN_METADATA_ELEMENT"


class DomainNoted(DomainEvent, number=30, libvirt="VIR_DOMAIN_EVENT_ID_METADATA_CHANGE"):
    """What is noted about a domain changed."""

    what: DomainMetadata | None = detail(1, "What was changed.")
    namespace: Text | None = detail(2, "The XML namespace of an application's element.")


class MemoryFailureRecipient(Enumeration):
    """Whose memory failed."""

    HYPERVISOR = 1, "hypervisor", "The hypervisor's own.", "VIR_DOMAIN_EVENT_MEMORY_FAILURE_RECIPIENT_HYPERVISOR"
    GUEST = 2, "guest", "The guest's.", "VIR_DOMAIN_EVENT_MEMORY_FAILURE_RECIPIENT_GUEST"


class MemoryFailureAction(Enumeration):
    """What was done about memory that failed."""

    IGNORE = 1, "ignore", "Nothing.", "VIR_DOMAIN_EVENT_MEMORY_FAILURE_ACTION_IGNORE"
    INJECT = 2, "inject", "The guest was told by a machine check.", "VIR_DOMAIN_EVENT_MEMORY_FAILURE_ACTION_INJECT"
    FATAL = 3, "fatal", "Nothing could be; the hypervisor stops.", "VIR_DOMAIN_EVENT_MEMORY_FAILURE_ACTION_FATAL"
    RESET = 4, "reset", "The guest was reset.", "VIR_DOMAIN_EVENT_MEMORY_FAILURE_ACTION_RESET"


class MemoryFailed(
    DomainEvent, number=32, libvirt="VIR_DOMAIN_EVENT_ID_MEMORY_FAILURE", severity=Severity.CRITICAL,
    alert=AlertType.DEVICE, cause=Cause.MEMORY_MISMATCH,
):  # fmt: skip
    """Memory of the host that a domain uses failed."""

    recipient: MemoryFailureRecipient | None = detail(1, "Whose memory it was.")
    action: MemoryFailureAction | None = detail(2, "What was done.")
    required: Flag | None = detail(3, "Whether something has to be done about it; otherwise it may be left.")
    recursive: Flag | None = detail(4, "Whether it failed while an earlier failure was being dealt with.")


class MemoryDeviceResized(DomainEvent, number=33, libvirt="VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE"):
    """A guest took more of a memory device, or gave some of it back."""

    device: Name | None = detail(1, "libvirt's name of the device in its domain, its alias.")
    size: KiB | None = detail(2, "How much of it the guest has now.")


class VcpuRemoved(DomainEvent, number=35, libvirt="VIR_DOMAIN_EVENT_ID_VCPU_REMOVED"):
    """A vCPU of a domain that runs is gone: the guest has let go of it. Needs libvirt 12.4."""

    vcpu: Count | None = detail(1, "Its number, from 0.")


class ChannelChanged(DomainEvent, number=36, libvirt="VIR_DOMAIN_EVENT_ID_CHANNEL_LIFECYCLE"):
    """A guest opened or closed one of its channels to the host. Needs libvirt 12.4."""

    channel: Name | None = detail(1, "Name of the channel.")
    connected: Flag | None = detail(2, "Whether it is open.")


# --- disks ------------------------------------------------------------------------------------------------------------


class DiskEvent(Occurrence, on=Disk, number=1007, abstract=True, shows=("target", "source"), api=_HEARD):
    """What all events of a disk tell."""

    domain_uuid: Uuid | None = detail(111, "UUID of the domain that the disk belongs to.", top="uuid")
    domain_name: Name | None = detail(112, "Name of the domain that the disk belongs to.", top="name")


class IoErrorAction(Enumeration):
    """What was done about an error of a disk."""

    NONE = 1, "none", "Nothing.", "VIR_DOMAIN_EVENT_IO_ERROR_NONE"
    PAUSE = 2, "pause", "The domain was paused.", "VIR_DOMAIN_EVENT_IO_ERROR_PAUSE"
    REPORT = 3, "report", "The guest was told.", "VIR_DOMAIN_EVENT_IO_ERROR_REPORT"


class DiskIoFailed(
    DiskEvent, number=13, libvirt="VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON", severity=Severity.CRITICAL,
    alert=AlertType.DEVICE, cause=Cause.IO_DEVICE_ERROR,
):  # fmt: skip
    """The host could not read or write the image of a disk."""

    action: IoErrorAction | None = detail(1, "What was done.")
    reason: Name | None = detail(2, "Why, where the hypervisor says, such as enospc.")
    image: Text | None = detail(3, "The image.")
    device: Name | None = detail(4, "libvirt's name of the disk in its domain, its alias.")


class BlockJobOutcome(Enumeration):
    """What became of a block job."""

    COMPLETED = 1, "completed", "It is done.", "VIR_DOMAIN_BLOCK_JOB_COMPLETED"
    FAILED = 2, "failed", "It went wrong.", "VIR_DOMAIN_BLOCK_JOB_FAILED"
    CANCELED = 3, "canceled", "It was stopped on request.", "VIR_DOMAIN_BLOCK_JOB_CANCELED"
    READY = 4, "ready", "Both images are the same now; it goes on until it is told to end.", "VIR_DOMAIN_BLOCK_JOB_READY"


class BlockJobChanged(DiskEvent, number=16, libvirt="VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2"):
    """The block job of a disk came to an end, or is ready for it."""

    job: BlockJobType | None = detail(1, "What it does.")
    outcome: BlockJobOutcome | None = detail(2, "What became of it.")


class DiskChangeReason(Enumeration):
    """Why a disk has another image."""

    CHANGE_MISSING = 1, "changeMissing", "Its image was missing at the start, and so the tray is empty.", "VIR_DOMAIN_EVENT_DISK_CHANGE_MISSING_ON_START"
    DROP_MISSING = 2, "dropMissing", "Its image was missing at the start, and so the disk was left out.", "VIR_DOMAIN_EVENT_DISK_DROP_MISSING_ON_START"


class DiskImageChanged(DiskEvent, number=17, libvirt="VIR_DOMAIN_EVENT_ID_DISK_CHANGE", severity=Severity.WARNING):
    """A disk has another image than its domain was started with, or none."""

    old_image: Text | None = detail(1, "The image before.")
    new_image: Text | None = detail(2, "The image now; none if there is none.")
    reason: DiskChangeReason | None = detail(3, "Why.")
    device: Name | None = detail(4, "libvirt's name of the disk in its domain, its alias.")


class TrayState(Enumeration):
    """How the tray of a drive is."""

    OPEN = 1, "open", "It is open.", "VIR_DOMAIN_EVENT_TRAY_CHANGE_OPEN"
    CLOSED = 2, "closed", "It is closed.", "VIR_DOMAIN_EVENT_TRAY_CHANGE_CLOSE"


class DiskTrayChanged(DiskEvent, number=18, libvirt="VIR_DOMAIN_EVENT_ID_TRAY_CHANGE"):
    """The tray of a drive was opened or closed."""

    tray: TrayState | None = detail(1, "How it is now.")
    device: Name | None = detail(2, "libvirt's name of the drive in its domain, its alias.")


class ThresholdReached(
    DiskEvent, number=31, libvirt="VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD", severity=Severity.WARNING,
    alert=AlertType.QUALITY_OF_SERVICE, cause=Cause.THRESHOLD_CROSSED,
):  # fmt: skip
    """A guest wrote beyond the place of a disk that had been marked by its threshold. The mark is gone."""

    threshold: Bytes | None = detail(1, "The place that was marked.")
    excess: Bytes | None = detail(2, "How far beyond it the guest wrote.")
    image: Text | None = detail(3, "The image, where it is a file or a device of the host.")
    device: Name | None = detail(4, "The disk, and its image in the chain of backing images, such as vda[2].")


# --- network interfaces -----------------------------------------------------------------------------------------------


class NicMacChanged(Occurrence, on=Nic, number=34, libvirt="VIR_DOMAIN_EVENT_ID_NIC_MAC_CHANGE", shows=("device", "target"), api=_HEARD):
    """A guest changed the MAC address of an interface. Needs libvirt 11.2."""

    domain_uuid: Uuid | None = detail(111, "UUID of the domain that the interface belongs to.", top="uuid")
    domain_name: Name | None = detail(112, "Name of the domain that the interface belongs to.", top="name")
    old_mac: Mac | None = detail(1, "The address before.")
    new_mac: Mac | None = detail(2, "The address now.")
    alias: Name | None = detail(3, "libvirt's name of the interface in its domain, its alias.")


EVENTS: tuple[type[Event], ...] = (
    DomainRebooted, DomainClockChanged, WatchdogFired, DiskIoFailed, GraphicsSession, DomainControlLost,
    BlockJobChanged, DiskImageChanged, DiskTrayChanged, DomainWokenUp, DomainSlept, DomainHibernated, BalloonChanged,
    DeviceAdded, DeviceRemoved, DeviceRemovalFailed, MigrationPass, DomainJobEnded, DomainTuned, GuestAgentChanged,
    DomainNoted, ThresholdReached, MemoryFailed, MemoryDeviceResized, NicMacChanged, VcpuRemoved, ChannelChanged,
)  # fmt: skip
