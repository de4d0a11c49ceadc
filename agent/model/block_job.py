"""The block job of a disk, and what else can be asked of a disk."""

from agent.model.disk import Disk, DiskError
from agent.model.element import ELEMENT
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
    out,
    parent,
    taken,
)
from agent.schema.types import (
    Bytes,
    BytesPerSecond,
    Enumeration,
    Events,
    Flag,
    Flags,
    KiB,
    Level,
    Name,
    Octets,
    Ordinal,
    Percent,
    Requests,
    Text,
    Uuid,
    Xml,
)


class BlockJobType(Enumeration):
    """What a block job does."""

    UNKNOWN = 1, "unknown", "The hypervisor does not say.", "VIR_DOMAIN_BLOCK_JOB_TYPE_UNKNOWN"
    PULL = 2, "pull", "Copies the content of backing images into the image of the disk.", "VIR_DOMAIN_BLOCK_JOB_TYPE_PULL"
    COPY = 3, "copy", "Copies the disk to another image, and then keeps both the same.", "VIR_DOMAIN_BLOCK_JOB_TYPE_COPY"
    COMMIT = 4, "commit", "Copies the content of an image into one below it.", "VIR_DOMAIN_BLOCK_JOB_TYPE_COMMIT"
    ACTIVE_COMMIT = 5, "activeCommit", "Copies what the guest writes to the topmost image into one below it, and then keeps both the same.", "VIR_DOMAIN_BLOCK_JOB_TYPE_ACTIVE_COMMIT"
    BACKUP = 6, "backup", "Serves a backup.", "VIR_DOMAIN_BLOCK_JOB_TYPE_BACKUP"


AFFECTED = Association(
    name="Virtmap_DiskBlockJob", base="CIM_AffectedJobElement", far="AffectedElement", near="AffectingElement",
    description="The disk that a block job works on.",
)  # fmt: skip


class BlockJob(
    Row, table=18, of=Disk, cim="CIM_ConcreteJob", association=AFFECTED, index=Index.SHARED,
    fills={
        "InstanceID": taken("domain", "disk", how="virtmap:{0}/{1}/blockjob".format),
        "ElementName": taken("disk", "type", how=lambda disk, kind: f"{kind.label} of {disk}"),
        "Name": taken("type", how=lambda kind: kind.label),
        "OperationalStatus": constant((2,)),
        "HealthState": constant(5),
        "JobState": constant(4),
        "DeleteOnCompletion": constant(True),
        "PercentComplete": taken("percent"),
    },
    nulls={
        **{k: v for k, v in ELEMENT.items() if k != "InstanceID"},
        "Description": "ElementName says it already.",
        "JobStatus": "Ready tells it.",
        "TimeSubmitted": "libvirt does not tell when it began.",
        "StartTime": "libvirt does not tell when it began.",
        "ElapsedTime": "libvirt does not tell when it began.",
        "JobRunTimes": "A job runs once.",
        "Owner": "libvirt does not tell who began it.",
        "Priority": "Jobs have no priorities.",
        "ErrorCode": "A job that failed is gone.",
        "ErrorDescription": "A job that failed is gone; the operation that began it tells why.",
        "TimeOfLastStateChange": "libvirt does not record when a state was entered.",
        "TimeBeforeRemoval": "A job that has ended is gone.",
    },
):  # fmt: skip
    """What is going on with the images of a disk: data that is moved from one to another while the guest runs."""

    domain: Uuid = parent("UUID of the domain it belongs to.")
    disk: Name = parent("Target of the disk it works on.")
    type: BlockJobType | None = column(2, "What it does.", api="virDomainGetBlockJobInfo")
    bandwidth: BytesPerSecond | None = column(3, "Most that it may move in a second; 0 is no limit.", api="virDomainGetBlockJobInfo")
    position: Level | None = column(4, "How far it has come, in the measure of end.", api="virDomainGetBlockJobInfo")
    end: Level | None = column(5, "Where it will be done; it may move away while the guest writes.", api="virDomainGetBlockJobInfo")
    percent: Percent | None = column(6, "How much of it is done.", api="virDomainGetBlockJobInfo")
    ready: Flag | None = column(7, "Whether both images are the same now, so that it can be ended with either; only of copy and activeCommit.", api="virDomainGetXMLDesc")
    destination: Text | None = column(8, "The image that is being filled; only of copy and activeCommit.", api="virDomainGetXMLDesc")


IMAGE = "as a path, or by its number as the definition tells it, such as vda[2]"
BANDWIDTH = "Most that it may move in a second; 0 is no limit."
PIVOT = (
    "Have the disk go over to the other image as soon as both are the same, and end. Otherwise this is done when both are the same,"
    " and the job goes on keeping them so until it is aborted."
)


class CommitFlags(Flags):
    """How images are merged."""

    SHALLOW = 1, "shallow", "If no base is given: into the next image below, not into the lowest.", "VIR_DOMAIN_BLOCK_COMMIT_SHALLOW"
    DELETE = 2, "delete", "Delete the files that are of no use any more.", "VIR_DOMAIN_BLOCK_COMMIT_DELETE"
    ACTIVE = 4, "active", "Needed where the topmost image, which the guest writes to, is merged.", "VIR_DOMAIN_BLOCK_COMMIT_ACTIVE"
    RELATIVE = 8, "relative", "Let images go on naming those below them by relative paths.", "VIR_DOMAIN_BLOCK_COMMIT_RELATIVE"


class CopyFlags(Flags):
    """How a disk is copied."""

    SHALLOW = 1, "shallow", "Only the topmost image; those below it are used by the copy too.", "VIR_DOMAIN_BLOCK_COPY_SHALLOW"
    REUSE_EXTERNAL = 2, "reuseExternal", "Into an image that is there already, instead of making one.", "VIR_DOMAIN_BLOCK_COPY_REUSE_EXT"
    TRANSIENT_JOB = 4, "transientJob", "Even if the domain is persistent, where it could not be found again after the daemon restarts.", "VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB"
    SYNCHRONOUS_WRITES = 8, "synchronousWrites", "What the guest writes goes to both at once, so that the copy is sure to end.", "VIR_DOMAIN_BLOCK_COPY_SYNCHRONOUS_WRITES"


class PullFlags(Flags):
    """How backing images are pulled in."""

    RELATIVE = 1, "relative", "Let the image go on naming its base by a relative path.", "VIR_DOMAIN_BLOCK_REBASE_RELATIVE"


class AbortFlags(Flags):
    """How a block job is ended."""

    ASYNC = 1, "async", "Do not wait until it has ended.", "VIR_DOMAIN_BLOCK_JOB_ABORT_ASYNC"
    PIVOT = 2, "pivot", "Have the disk go over to the other image; only of copy and activeCommit, and when ready.", "VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT"


class BlockPull(
    Operation, on=Disk, number=1, needs=Access.OPERATE, job=True, cancel="virDomainBlockJobAbort",
    api=("virDomainBlockPull", "virDomainBlockRebase", "virDomainGetBlockJobInfo"),
):  # fmt: skip
    """Copy the content of backing images into the image of the disk, so that it does without them. Done when all is copied."""

    base: Text | None = argument(1, f"The backing image that stays below it, {IMAGE}; left out, none stays.", default=None)
    bandwidth: BytesPerSecond = argument(2, BANDWIDTH, default=0)
    flags: PullFlags = argument(3, "How; only where a base is given.", default=PullFlags(0))


class BlockCommit(
    Operation, on=Disk, number=2, needs=Access.DEFINE, job=True, cancel="virDomainBlockJobAbort", api="virDomainBlockCommit",
    destroys="The base as it was before, and so the way back to it.",
):  # fmt: skip
    """Copy the content of an image into one below it, so that those above the base can be done without."""

    base: Text | None = argument(1, f"The image that takes the content, {IMAGE}; left out, the lowest.", default=None)
    top: Text | None = argument(2, f"The uppermost image whose content is taken, {IMAGE}; left out, the one that the guest writes to, which needs the flag active.", default=None)
    bandwidth: BytesPerSecond = argument(3, BANDWIDTH, default=0)
    flags: CommitFlags = argument(4, "How.", default=CommitFlags(0))
    pivot: Flag = argument(5, f"Only with the flag active. {PIVOT}", default=False)


class BlockCopy(
    Operation, on=Disk, number=3, needs=Access.DEFINE, job=True, cancel="virDomainBlockJobAbort",
    api=("virDomainBlockCopy", "virDomainBlockRebase"), destroys="What the destination held before.",
):  # fmt: skip
    """Copy the disk to another image while the guest runs, and, if so wished, have it go over to that."""

    xml: Xml = argument(1, "The destination, as a disk element of libvirt's domain XML.")
    bandwidth: BytesPerSecond = argument(2, BANDWIDTH, default=0)
    granularity: KiB | None = argument(3, "Size of the pieces whose changes are told apart; a power of two.", default=None, low=1, high=65536)
    buffer: Bytes | None = argument(4, "Most data that is on its way at once.", default=None, low=1)
    flags: CopyFlags = argument(5, "How.", default=CopyFlags(0))
    pivot: Flag = argument(6, PIVOT, default=False)


class AbortBlockJob(Operation, on=Disk, number=4, needs=Access.OPERATE, api="virDomainBlockJobAbort"):
    """End the block job of the disk. The disk stays with the image that it has, unless the flags say otherwise."""

    flags: AbortFlags = argument(1, "How it is ended.", default=AbortFlags(0))


# No column is set by it: a SET that is taken back would shrink the disk.
class ResizeDisk(
    Operation, on=Disk, number=5, needs=Access.DEFINE, api="virDomainBlockResize",
    destroys="What lies beyond the new end, if that is before the old one.",
):  # fmt: skip
    """Change the capacity of the disk while the guest runs."""

    capacity: Bytes = argument(1, "The new capacity.", low=1)


class SetThreshold(Operation, on=Disk, number=6, needs=Access.OPERATE, api="virDomainSetBlockThreshold", sets="threshold"):
    """Have libvirt raise an event, once, when the guest has written beyond this place of the image."""

    threshold: Bytes = argument(1, "The place; 0 is none.")
    image: Ordinal | None = argument(2, "Number of the image in the chain of backing images, as the definition tells it; left out, the one that the guest writes to.", default=None)


class ReadStatistics(
    Operation, on=Disk, number=7, needs=Access.OBSERVE, api=("virDomainBlockStatsFlags", "virDomainBlockStats")
):
    """Read the counters of the disk at this moment."""

    read_requests: Requests | None = out(1, "Reads.")
    read_bytes: Octets | None = out(2, "What was read.")
    write_requests: Requests | None = out(3, "Writes.")
    write_bytes: Octets | None = out(4, "What was written.")
    flush_requests: Requests | None = out(5, "Flushes.")
    errors: Events | None = out(6, "Errors, on hypervisors that count them.")


class ReadSizes(Operation, on=Disk, number=8, needs=Access.OBSERVE, api="virDomainGetBlockInfo"):
    """Read the sizes of the image of the disk at this moment."""

    capacity: Bytes | None = out(1, "What the guest can store.")
    allocation: Bytes | None = out(2, "What the guest has written to: the highest place of the image in use.")
    physical: Bytes | None = out(3, "What the image occupies on the host.")


class ReadError(Operation, on=Disk, number=9, needs=Access.OBSERVE, api="virDomainGetDiskErrors"):
    """Read what went wrong with the disk last."""

    error: DiskError | None = out(1, "What went wrong.")


class ReadBlockJob(Operation, on=Disk, number=10, needs=Access.OBSERVE, api="virDomainGetBlockJobInfo"):
    """Read how far the block job of the disk has come at this moment."""

    type: BlockJobType | None = out(1, "What it does; none if there is no job.")
    bandwidth: BytesPerSecond | None = out(2, "Most that it may move in a second; 0 is no limit.")
    position: Level | None = out(3, "How far it has come, in the measure of end.")
    end: Level | None = out(4, "Where it will be done.")


class SetJobBandwidth(
    Operation, on=BlockJob, number=1, needs=Access.OPERATE, api="virDomainBlockJobSetSpeed", sets="bandwidth"
):
    """Limit how much the block job may move in a second."""

    bandwidth: BytesPerSecond = argument(1, BANDWIDTH)


ROWS: tuple[type[Row], ...] = (BlockJob,)
OPERATIONS: tuple[type[Operation], ...] = (
    BlockPull, BlockCommit, BlockCopy, AbortBlockJob, ResizeDisk, SetThreshold, ReadStatistics, ReadSizes, ReadError,
    ReadBlockJob, SetJobBandwidth,
)  # fmt: skip
EVENTS: tuple[type[Event], ...] = ()
