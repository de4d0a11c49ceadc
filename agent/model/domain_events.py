"""What happens to a domain: its life, as libvirt's lifecycle events tell it, and what a reading found that nobody told."""

from agent.model.domain import Domain, DomainState
from agent.model.occurrence import Occurrence
from agent.schema.declare import AlertType, Cause, Severity, detail, previous
from agent.schema.types import Enumeration


class LifecycleDetail(Enumeration):
    """What exactly happened. The hundreds of a number are libvirt's number of the event plus one."""

    DEFINED_ADDED = 100, "definedAdded", "A new definition.", "VIR_DOMAIN_EVENT_DEFINED_ADDED"
    DEFINED_UPDATED = 101, "definedUpdated", "A changed definition.", "VIR_DOMAIN_EVENT_DEFINED_UPDATED"
    DEFINED_RENAMED = 102, "definedRenamed", "A new name.", "VIR_DOMAIN_EVENT_DEFINED_RENAMED"
    DEFINED_FROM_SNAPSHOT = 103, "definedFromSnapshot", "A definition out of a snapshot.", "VIR_DOMAIN_EVENT_DEFINED_FROM_SNAPSHOT"
    UNDEFINED_REMOVED = 200, "undefinedRemoved", "The definition was removed.", "VIR_DOMAIN_EVENT_UNDEFINED_REMOVED"
    UNDEFINED_RENAMED = 201, "undefinedRenamed", "The old name went with a renaming.", "VIR_DOMAIN_EVENT_UNDEFINED_RENAMED"
    STARTED_BOOTED = 300, "startedBooted", "An ordinary start.", "VIR_DOMAIN_EVENT_STARTED_BOOTED"
    STARTED_MIGRATED = 301, "startedMigrated", "It came from another host.", "VIR_DOMAIN_EVENT_STARTED_MIGRATED"
    STARTED_RESTORED = 302, "startedRestored", "Restored from a saved image.", "VIR_DOMAIN_EVENT_STARTED_RESTORED"
    STARTED_FROM_SNAPSHOT = 303, "startedFromSnapshot", "Restored from a snapshot.", "VIR_DOMAIN_EVENT_STARTED_FROM_SNAPSHOT"
    STARTED_WAKEUP = 304, "startedWakeup", "Woken from the guest's own sleep.", "VIR_DOMAIN_EVENT_STARTED_WAKEUP"
    STARTED_RECREATED = 305, "startedRecreated", "Made anew in place of a stopped run.", "VIR_DOMAIN_EVENT_STARTED_RECREATED"
    SUSPENDED_PAUSED = 400, "suspendedPaused", "Paused on request.", "VIR_DOMAIN_EVENT_SUSPENDED_PAUSED"
    SUSPENDED_MIGRATED = 401, "suspendedMigrated", "Paused for its migration.", "VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED"
    SUSPENDED_IO_ERROR = 402, "suspendedIoError", "Paused by an error of a disk.", "VIR_DOMAIN_EVENT_SUSPENDED_IOERROR"
    SUSPENDED_WATCHDOG = 403, "suspendedWatchdog", "Paused by its watchdog.", "VIR_DOMAIN_EVENT_SUSPENDED_WATCHDOG"
    SUSPENDED_RESTORED = 404, "suspendedRestored", "Restored from a paused image.", "VIR_DOMAIN_EVENT_SUSPENDED_RESTORED"
    SUSPENDED_FROM_SNAPSHOT = 405, "suspendedFromSnapshot", "Restored from a paused snapshot.", "VIR_DOMAIN_EVENT_SUSPENDED_FROM_SNAPSHOT"
    SUSPENDED_API_ERROR = 406, "suspendedApiError", "Left paused by an operation that failed.", "VIR_DOMAIN_EVENT_SUSPENDED_API_ERROR"
    SUSPENDED_POSTCOPY = 407, "suspendedPostcopy", "Paused here for post-copy migration.", "VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY"
    SUSPENDED_POSTCOPY_FAILED = 408, "suspendedPostcopyFailed", "Paused by a failed post-copy migration.", "VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY_FAILED"
    RESUMED_UNPAUSED = 500, "resumedUnpaused", "Resumed after a pause.", "VIR_DOMAIN_EVENT_RESUMED_UNPAUSED"
    RESUMED_MIGRATED = 501, "resumedMigrated", "Resumed after its migration.", "VIR_DOMAIN_EVENT_RESUMED_MIGRATED"
    RESUMED_FROM_SNAPSHOT = 502, "resumedFromSnapshot", "Resumed from a snapshot.", "VIR_DOMAIN_EVENT_RESUMED_FROM_SNAPSHOT"
    RESUMED_POSTCOPY = 503, "resumedPostcopy", "Resumed here in the post-copy phase.", "VIR_DOMAIN_EVENT_RESUMED_POSTCOPY"
    RESUMED_POSTCOPY_FAILED = 504, "resumedPostcopyFailed", "Runs on after a failed post-copy migration.", "VIR_DOMAIN_EVENT_RESUMED_POSTCOPY_FAILED"
    STOPPED_SHUTDOWN = 600, "stoppedShutdown", "Shut down in order.", "VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN"
    STOPPED_DESTROYED = 601, "stoppedDestroyed", "Stopped by force.", "VIR_DOMAIN_EVENT_STOPPED_DESTROYED"
    STOPPED_CRASHED = 602, "stoppedCrashed", "Crashed.", "VIR_DOMAIN_EVENT_STOPPED_CRASHED"
    STOPPED_MIGRATED = 603, "stoppedMigrated", "Went to another host.", "VIR_DOMAIN_EVENT_STOPPED_MIGRATED"
    STOPPED_SAVED = 604, "stoppedSaved", "Saved to an image.", "VIR_DOMAIN_EVENT_STOPPED_SAVED"
    STOPPED_FAILED = 605, "stoppedFailed", "The hypervisor or the daemon failed it.", "VIR_DOMAIN_EVENT_STOPPED_FAILED"
    STOPPED_FROM_SNAPSHOT = 606, "stoppedFromSnapshot", "Went back to a snapshot of an inactive domain.", "VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT"
    STOPPED_RECREATED = 607, "stoppedRecreated", "Stopped to be made anew.", "VIR_DOMAIN_EVENT_STOPPED_RECREATED"
    SHUTDOWN_FINISHED = 700, "shutdownFinished", "The guest finished shutting down.", "VIR_DOMAIN_EVENT_SHUTDOWN_FINISHED"
    SHUTDOWN_GUEST = 701, "shutdownGuest", "The guest shut down of itself.", "VIR_DOMAIN_EVENT_SHUTDOWN_GUEST"
    SHUTDOWN_HOST = 702, "shutdownHost", "The guest shut down at the host's request.", "VIR_DOMAIN_EVENT_SHUTDOWN_HOST"
    PM_SUSPENDED_MEMORY = 800, "pmSuspendedMemory", "Asleep with its memory kept.", "VIR_DOMAIN_EVENT_PMSUSPENDED_MEMORY"
    PM_SUSPENDED_DISK = 801, "pmSuspendedDisk", "Asleep with its memory on disk.", "VIR_DOMAIN_EVENT_PMSUSPENDED_DISK"
    CRASHED_PANICKED = 900, "crashedPanicked", "The kernel of the guest panicked.", "VIR_DOMAIN_EVENT_CRASHED_PANICKED"
    CRASHED_LOADED = 901, "crashedLoaded", "The kernel of the guest panicked and a crash kernel was loaded.", "VIR_DOMAIN_EVENT_CRASHED_CRASHLOADED"


class DomainLifecycle(
    Occurrence, on=Domain, number=1000, abstract=True, shows=("uuid", "name", "state", "state_reason"),
    api=("virConnectDomainEventRegisterAny", "virConnectDomainEventDeregisterAny"),
):  # fmt: skip
    """What all lifecycle events of a domain tell."""

    detail: LifecycleDetail | None = detail(1, "What exactly happened.")
    previous_state: DomainState | None = previous(2, "The state the domain was last seen in before.", of="state")


class DomainDefined(DomainLifecycle, number=1, libvirt="VIR_DOMAIN_EVENT_DEFINED"):
    """A domain was defined, or its definition changed."""


class DomainUndefined(DomainLifecycle, number=2, libvirt="VIR_DOMAIN_EVENT_UNDEFINED", severity=Severity.WARNING):
    """The definition of a domain was removed."""


class DomainStarted(DomainLifecycle, number=3, libvirt="VIR_DOMAIN_EVENT_STARTED"):
    """A domain started."""


class DomainSuspended(DomainLifecycle, number=4, libvirt="VIR_DOMAIN_EVENT_SUSPENDED", severity=Severity.WARNING):
    """The vCPUs of a domain were stopped."""


class DomainResumed(DomainLifecycle, number=5, libvirt="VIR_DOMAIN_EVENT_RESUMED"):
    """The vCPUs of a domain run again."""


class DomainStopped(DomainLifecycle, number=6, libvirt="VIR_DOMAIN_EVENT_STOPPED", severity=Severity.WARNING):
    """A domain stopped."""


class DomainShutdown(DomainLifecycle, number=7, libvirt="VIR_DOMAIN_EVENT_SHUTDOWN"):
    """A domain is on its way down."""


class DomainPmSuspended(DomainLifecycle, number=8, libvirt="VIR_DOMAIN_EVENT_PMSUSPENDED"):
    """A guest went to sleep."""


class DomainCrashed(DomainLifecycle, number=9, libvirt="VIR_DOMAIN_EVENT_CRASHED", severity=Severity.CRITICAL, alert=AlertType.PROCESSING_ERROR, cause=Cause.ABNORMALLY_TERMINATED):
    """A guest crashed."""


class DomainFound(
    Occurrence, on=Domain, number=1005, abstract=True, shows=("uuid", "name", "state", "state_reason"), changes=False,
    api="virConnectGetAllDomainStats",
):  # fmt: skip
    """What a reading found out about a domain that no event had told, since the connection was down or the hypervisor has no
    events."""

    previous_state: DomainState | None = previous(1, "The state the domain was last seen in before.", of="state")


class DomainAppeared(DomainFound, number=70):
    """A domain is there that was not there before, and nobody told how it came."""


class DomainVanished(DomainFound, number=71, severity=Severity.MAJOR, alert=AlertType.QUALITY_OF_SERVICE, cause=Cause.ELEMENT_MISSING):
    """A domain is gone, and nobody told how it went."""


class DomainStateFound(DomainFound, number=72, severity=Severity.WARNING):
    """A domain is in another state than before, and nobody told how it came to that."""
