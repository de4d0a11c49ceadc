"""Moving a domain to another host, and the jobs of a domain."""

from agent.model.domain import ACTIVE, Domain
from agent.schema.declare import Access, Event, Operation, Row, argument, out
from agent.schema.types import (
    Bytes,
    BytesPerSecond,
    Enumeration,
    Flag,
    Flags,
    Level,
    MiBPerSecond,
    Milliseconds,
    Name,
    Ordinal,
    Percent,
    Text,
    Xml,
)


class MigrationFlags(Flags):
    """How a domain is moved, and what becomes of it here and there. With neither persistDestination nor undefineSource it stays
    defined here, if it is persistent, and is gone from there when it stops."""

    LIVE = 1, "live", "Let the guest run meanwhile; without it, it is paused for as long as it takes.", "VIR_MIGRATE_LIVE"
    PEER_TO_PEER = 2, "peerToPeer", "The host itself connects to the destination. Otherwise the agent does, and stands between the two.", "VIR_MIGRATE_PEER2PEER"
    TUNNELLED = 4, "tunnelled", "Send all data through the connection between the hosts; needs peerToPeer.", "VIR_MIGRATE_TUNNELLED"
    PERSIST_DESTINATION = 8, "persistDestination", "Define the domain there, so that it stays when it stops.", "VIR_MIGRATE_PERSIST_DEST"
    UNDEFINE_SOURCE = 16, "undefineSource", "Undefine the domain here when it has been moved.", "VIR_MIGRATE_UNDEFINE_SOURCE"
    PAUSED = 32, "paused", "Leave it paused there.", "VIR_MIGRATE_PAUSED"
    COPY_DISKS = 64, "copyDisks", "Copy disks that the hosts do not share, whole.", "VIR_MIGRATE_NON_SHARED_DISK"
    COPY_TOP_IMAGES = 128, "copyTopImages", "Copy disks that the hosts do not share, but only their topmost images; those below are there already.", "VIR_MIGRATE_NON_SHARED_INC"
    CHANGE_PROTECTION = 256, "changeProtection", "Let nobody change the definition meanwhile; always so with peerToPeer.", "VIR_MIGRATE_CHANGE_PROTECTION"
    UNSAFE = 512, "unsafe", "Even if the hypervisor finds that the disks may come to harm.", "VIR_MIGRATE_UNSAFE"
    OFFLINE = 1024, "offline", "Only the definition of a domain that does not run; needs persistDestination.", "VIR_MIGRATE_OFFLINE"
    COMPRESSED = 2048, "compressed", "Compress the memory on its way.", "VIR_MIGRATE_COMPRESSED"
    ABORT_ON_ERROR = 4096, "abortOnError", "Give up at an input or output error of the guest.", "VIR_MIGRATE_ABORT_ON_ERROR"
    AUTO_CONVERGE = 8192, "autoConverge", "Slow the guest down as much as it takes to come to an end.", "VIR_MIGRATE_AUTO_CONVERGE"
    RDMA_PIN_ALL = 16384, "rdmaPinAll", "With RDMA: pin all memory before it begins.", "VIR_MIGRATE_RDMA_PIN_ALL"
    POST_COPY = 32768, "postCopy", "Allow StartPostCopy.", "VIR_MIGRATE_POSTCOPY"
    TLS = 65536, "tls", "Encrypt the data between the hosts.", "VIR_MIGRATE_TLS"
    PARALLEL = 131072, "parallel", "Send the memory over several connections.", "VIR_MIGRATE_PARALLEL"
    SYNCHRONOUS_WRITES = 262144, "synchronousWrites", "Write to both copies of a disk at once, so that copying it is sure to end.", "VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES"
    POST_COPY_RESUME = 524288, "postCopyResume", "Go on with a migration that broke after StartPostCopy.", "VIR_MIGRATE_POSTCOPY_RESUME"
    ZERO_COPY = 1048576, "zeroCopy", "Send the memory without copying it first; needs parallel.", "VIR_MIGRATE_ZEROCOPY"


class MigrateSpeedFlags(Flags):
    """Which speed of a migration is meant; none is that of before StartPostCopy."""

    POST_COPY = 1, "postCopy", "That after StartPostCopy.", "VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY"


class AbortJobFlags(Flags):
    """Which jobs of a domain are aborted beside the usual ones."""

    POST_COPY = 1, "postCopy", "A migration after StartPostCopy, which is then stopped until it is asked for again with postCopyResume.", "VIR_DOMAIN_ABORT_JOB_POSTCOPY"


class JobStatisticsFlags(Flags):
    """Which job of a domain is read about; none is the one that runs."""

    COMPLETED = 1, "completed", "The last one that has ended; what is told of it is then forgotten, unless keep is given too.", "VIR_DOMAIN_JOB_STATS_COMPLETED"
    KEEP = 2, "keep", "Do not forget what is told of it.", "VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED"


class DomainJobType(Enumeration):
    """How it is with a job of a domain."""

    NONE = 1, "none", "There is none.", "VIR_DOMAIN_JOB_NONE"
    BOUNDED = 2, "bounded", "It runs, and its end can be foreseen.", "VIR_DOMAIN_JOB_BOUNDED"
    UNBOUNDED = 3, "unbounded", "It runs, and its end cannot be foreseen.", "VIR_DOMAIN_JOB_UNBOUNDED"
    COMPLETED = 4, "completed", "It is done.", "VIR_DOMAIN_JOB_COMPLETED"
    FAILED = 5, "failed", "It failed.", "VIR_DOMAIN_JOB_FAILED"
    CANCELED = 6, "canceled", "It was aborted.", "VIR_DOMAIN_JOB_CANCELLED"


class DomainJobOperation(Enumeration):
    """What a job of a domain does."""

    UNKNOWN = 1, "unknown", "The hypervisor does not say.", "VIR_DOMAIN_JOB_OPERATION_UNKNOWN"
    START = 2, "start", "It starts the domain.", "VIR_DOMAIN_JOB_OPERATION_START"
    SAVE = 3, "save", "It saves the domain to a file.", "VIR_DOMAIN_JOB_OPERATION_SAVE"
    RESTORE = 4, "restore", "It restores the domain from a file.", "VIR_DOMAIN_JOB_OPERATION_RESTORE"
    MIGRATION_IN = 5, "migrationIn", "The domain comes from another host.", "VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN"
    MIGRATION_OUT = 6, "migrationOut", "The domain goes to another host.", "VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT"
    SNAPSHOT = 7, "snapshot", "It makes a snapshot.", "VIR_DOMAIN_JOB_OPERATION_SNAPSHOT"
    SNAPSHOT_REVERT = 8, "snapshotRevert", "It goes back to a snapshot.", "VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT"
    DUMP = 9, "dump", "It dumps a core.", "VIR_DOMAIN_JOB_OPERATION_DUMP"
    BACKUP = 10, "backup", "It makes a backup.", "VIR_DOMAIN_JOB_OPERATION_BACKUP"
    SNAPSHOT_DELETE = 11, "snapshotDelete", "It deletes a snapshot.", "VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_DELETE"


DISKS = "as their targets, one a line; with copyDisks or copyTopImages"


# An inactive domain can be moved too, with the flag offline: so it is libvirt that refuses it without.
class Migrate(
    Operation, on=Domain, number=120, needs=Access.DEFINE, job=True, cancel="virDomainAbortJobFlags",
    api=(
        "virDomainMigrateToURI3", "virDomainMigrate3", "virDomainMigrate", "virDomainMigrate2", "virDomainMigrateToURI",
        "virDomainMigrateToURI2",
    ),
    destroys="With undefineSource, the definition here; where disks are copied, what those of the destination held before.",
):  # fmt: skip
    """Move the domain to another host. If that fails, it runs on here."""

    destination: Text = argument(1, "The libvirt connection URI of the destination, as the agent reaches it, or with peerToPeer the host. It may not name a program to be run or a file with passwords.")
    flags: MigrationFlags = argument(2, "How.", default=MigrationFlags.LIVE)
    uri: Text | None = argument(3, "Where the data goes, such as tcp://10.0.0.2; left out, the destination decides.", default=None)
    new_name: Name | None = argument(4, "Its name there, if it is to have another one.", default=None)
    xml: Xml | None = argument(5, "Its definition there, as libvirt's domain XML; only what the guest cannot see may differ.", default=None)
    persistent_xml: Xml | None = argument(6, "With persistDestination: the definition that it has there from its next start on, as libvirt's domain XML.", default=None)
    bandwidth: MiBPerSecond | None = argument(7, "Most that it may send in a second; left out, what SetMigrateSpeed set last.", default=None)
    bandwidth_post_copy: MiBPerSecond | None = argument(8, "The same after StartPostCopy; 0 is no limit.", default=None)
    graphics_uri: Text | None = argument(9, "Where clients of its display go on, such as spice://10.0.0.2:5900.", default=None)
    listen_address: Name | None = argument(10, "Address on which the destination takes the data.", default=None)
    disks: Text | None = argument(11, f"Which disks are copied, {DISKS}; left out, all that the guest can write to and the hosts do not share.", default=None)
    disks_detecting_zeroes: Text | None = argument(12, f"Of which disks blocks of zeros are not sent, {DISKS}. Needs libvirt 10.9.", default=None)
    disks_port: Ordinal | None = argument(13, "TCP port of the destination that takes the disks.", default=None, low=1, high=65535)
    disks_uri: Text | None = argument(14, "Where the disks go, such as tcp://10.0.0.2:49200; left out, to where the memory goes.", default=None)
    compression: Text | None = argument(15, "How it is compressed, one method a line: mt, xbzrle, zlib, zstd; with compressed.", default=None)
    mt_level: Ordinal | None = argument(16, "Of the method mt: how well it compresses, from 0 to 9.", default=None, high=9)
    mt_threads: Ordinal | None = argument(17, "Of the method mt: threads that compress.", default=None, low=1, high=255)
    mt_decompress_threads: Ordinal | None = argument(18, "Of the method mt: threads that decompress.", default=None, low=1, high=255)
    xbzrle_cache: Bytes | None = argument(19, "Of the method xbzrle: size of its cache.", default=None, low=1)
    zlib_level: Ordinal | None = argument(20, "Of the method zlib: how well it compresses, from 0 to 9. Needs libvirt 9.4.", default=None, high=9)
    zstd_level: Ordinal | None = argument(21, "Of the method zstd: how well it compresses, from 0 to 20. Needs libvirt 9.4.", default=None, high=20)
    auto_converge_initial: Percent | None = argument(22, "With autoConverge: how much the guest is slowed down at first.", default=None, low=1, high=99)
    auto_converge_increment: Percent | None = argument(23, "With autoConverge: how much more each time that this was not enough.", default=None, low=1, high=99)
    parallel_connections: Ordinal | None = argument(24, "With parallel: how many connections.", default=None, low=1, high=255)
    tls_destination: Name | None = argument(25, "With tls: the name that the certificate of the destination must have, if it is not that of uri.", default=None)


class SetMigrateSpeed(Operation, on=Domain, number=121, needs=Access.OPERATE, api="virDomainMigrateSetMaxSpeed"):
    """Change how fast a migration of the domain may send, now and from now on."""

    bandwidth: MiBPerSecond = argument(1, "Most that it may send in a second.")
    flags: MigrateSpeedFlags = argument(2, "Which speed is meant.", default=MigrateSpeedFlags(0))


class ReadMigrateSpeed(Operation, on=Domain, number=122, needs=Access.OPERATE, api="virDomainMigrateGetMaxSpeed"):
    """Read how fast a migration of the domain may send."""

    flags: MigrateSpeedFlags = argument(1, "Which speed is meant.", default=MigrateSpeedFlags(0))
    bandwidth: MiBPerSecond | None = out(2, "Most that it may send in a second.")


class SetMaxDowntime(Operation, on=Domain, number=123, needs=Access.OPERATE, api="virDomainMigrateSetMaxDowntime", allowed=ACTIVE):
    """Change for how long a migration may pause the domain at its end. The shorter, the longer it takes to get there."""

    downtime: Milliseconds = argument(1, "For how long, in milliseconds.", low=1)


class ReadMaxDowntime(Operation, on=Domain, number=124, needs=Access.OBSERVE, api="virDomainMigrateGetMaxDowntime", allowed=ACTIVE):
    """Read for how long a migration may pause the domain at its end."""

    downtime: Milliseconds | None = out(1, "For how long, in milliseconds.")


class SetMigrateCache(Operation, on=Domain, number=125, needs=Access.OPERATE, api="virDomainMigrateSetCompressionCache", allowed=ACTIVE):
    """Change how much memory the hypervisor takes to compress a migration by the method xbzrle."""

    size: Bytes = argument(1, "How much, in bytes; a power of two.", low=1)


class ReadMigrateCache(Operation, on=Domain, number=126, needs=Access.OBSERVE, api="virDomainMigrateGetCompressionCache", allowed=ACTIVE):
    """Read how much memory the hypervisor takes to compress a migration by the method xbzrle."""

    size: Bytes | None = out(1, "How much, in bytes.")


class StartPostCopy(Operation, on=Domain, number=127, needs=Access.OPERATE, api="virDomainMigrateStartPostCopy", allowed=ACTIVE):
    """Have the guest go on at the destination at once, and send the rest of its memory after it. Only during a migration with the
    flag postCopy. If that breaks from now on, the guest cannot go on here."""


class ReadJobStats(Operation, on=Domain, number=128, needs=Access.OBSERVE, api=("virDomainGetJobStats", "virDomainGetJobInfo")):
    """Read about the job that a hypervisor does on the domain: a migration, a saving, a dump, a backup. What does not belong to
    the kind of job is left out."""

    flags: JobStatisticsFlags = argument(1, "Which job.", default=JobStatisticsFlags(0))
    type: DomainJobType | None = out(2, "How it is with the job.")
    operation: DomainJobOperation | None = out(3, "What it does.")
    success: Flag | None = out(4, "Whether it went well, if it has ended.")
    error: Text | None = out(5, "Why it failed.")
    elapsed: Milliseconds | None = out(6, "How long it has taken, in milliseconds.")
    elapsed_net: Milliseconds | None = out(7, "The same without the difference between the clocks of both hosts.")
    remaining: Milliseconds | None = out(8, "How long it will take yet, in milliseconds.")
    downtime: Milliseconds | None = out(9, "How long the guest is paused at its end, in milliseconds; before that, an estimate.")
    downtime_net: Milliseconds | None = out(10, "The same without the difference between the clocks of both hosts.")
    setup: Milliseconds | None = out(11, "How long its preparation took, in milliseconds.")
    data_total: Bytes | None = out(12, "All that it has to move, in bytes.")
    data_processed: Bytes | None = out(13, "What it has moved.")
    data_remaining: Bytes | None = out(14, "What is left to be moved.")
    memory_total: Bytes | None = out(15, "Memory that it has to move, in bytes.")
    memory_processed: Bytes | None = out(16, "Memory that it has moved, pages that changed meanwhile more than once.")
    memory_remaining: Bytes | None = out(17, "Memory that is left to be moved.")
    memory_constant: Level | None = out(18, "Pages that hold one byte all over, and so need not be sent.")
    memory_normal: Level | None = out(19, "Pages that were sent as they are.")
    memory_normal_bytes: Bytes | None = out(20, "The same in bytes.")
    memory_rate: BytesPerSecond | None = out(21, "How fast memory is sent, in bytes a second.")
    memory_dirty_rate: Level | None = out(22, "Pages that the guest changes in a second.")
    memory_page_size: Bytes | None = out(23, "Size of a page, in bytes.")
    memory_iteration: Level | None = out(24, "How often it has gone through the memory, this time included.")
    post_copy_requests: Level | None = out(25, "Pages that the guest missed at the destination after StartPostCopy.")
    disk_total: Bytes | None = out(26, "Data of disks that it has to move, in bytes.")
    disk_processed: Bytes | None = out(27, "Data of disks that it has moved.")
    disk_remaining: Bytes | None = out(28, "Data of disks that is left to be moved.")
    disk_rate: BytesPerSecond | None = out(29, "How fast data of disks is sent, in bytes a second.")
    scratch_used: Bytes | None = out(30, "Of a backup: bytes kept aside in scratch files.")
    scratch_total: Bytes | None = out(31, "Of a backup: bytes that scratch files can hold.")
    compression_cache: Bytes | None = out(32, "Size of the cache of the method xbzrle.")
    compression_bytes: Bytes | None = out(33, "Compressed memory that was sent, in bytes.")
    compression_pages: Level | None = out(34, "Compressed pages that were sent.")
    compression_misses: Level | None = out(35, "Changed pages that were not in the cache.")
    compression_overflows: Level | None = out(36, "Pages that did not get smaller, and were sent as they are.")
    throttle: Percent | None = out(37, "How much the guest is slowed down so that it comes to an end.")


# It ends backups and migrations too, and so takes the access that these take.
class AbortJob(Operation, on=Domain, number=129, needs=Access.DEFINE, api=("virDomainAbortJobFlags", "virDomainAbortJob"), allowed=ACTIVE):
    """Abort the job that the hypervisor does on the domain, whoever asked for it."""

    flags: AbortJobFlags = argument(1, "Which jobs beside the usual ones.", default=AbortJobFlags(0))


ROWS: tuple[type[Row], ...] = ()
OPERATIONS: tuple[type[Operation], ...] = (
    Migrate,
    SetMigrateSpeed,
    ReadMigrateSpeed,
    SetMaxDowntime,
    ReadMaxDowntime,
    SetMigrateCache,
    ReadMigrateCache,
    StartPostCopy,
    ReadJobStats,
    AbortJob,
)
EVENTS: tuple[type[Event], ...] = ()
