"""The log of a domain: what its hypervisor, its devices' programs and its guest's console wrote, in files of the host."""

from agent.model.domain import Domain
from agent.model.element import ELEMENT, ENABLED
from agent.model.host import Host
from agent.model.occurrence import Occurrence, PerceivedSeverity
from agent.schema.declare import (
    Access,
    AlertType,
    Association,
    Cause,
    Data,
    Event,
    Index,
    Operation,
    Row,
    Severity,
    argument,
    column,
    constant,
    detail,
    key,
    mapped,
    out,
    parent,
    spelled,
    taken,
)
from agent.schema.types import (
    Bytes,
    Count,
    Enumeration,
    Events,
    Flag,
    Level,
    Name,
    Octets,
    Ordinal,
    Seconds,
    Text,
    Timestamp,
    Uuid,
    Xml,
)


class LogKind(Enumeration):
    """Who writes a log."""

    HYPERVISOR = 1, "hypervisor", "The hypervisor of the domain, and libvirt about it."
    CONSOLE = 2, "console", "The guest, on a serial port or console."
    VIRTIOFSD = 3, "virtiofsd", "The program that serves a directory of the host to the guest."
    SWTPM = 4, "swtpm", "The program that is the guest's TPM."
    OTHER = 5, "other", "Another program that belongs to a device of the domain."


class LogRotation(Enumeration):
    """Who begins a new file when a log has grown."""

    UNKNOWN = 1, "unknown", "It could not be found out; logrotate perhaps."
    VIRTLOGD = 2, "virtlogd", "libvirt's virtlogd, which numbers the older files, 0 being the newest of them."


class Log(
    Row, table=100, cim="CIM_RecordLog", action=3, discontinuity="counted_since",
    fills={
        "InstanceID": spelled("virtmap:log:{0}", "path"),
        "Name": taken("path"),
        "Description": taken("kind", how=lambda kind: kind.description),
        "OperationalStatus": taken("problem", how=lambda problem: (6,) if problem else (2,)),
        "HealthState": taken("problem", how=lambda problem: 20 if problem else 5),
        "EnabledState": constant(2),
        "RequestedState": constant(12),
        "LogState": constant(2),
        "OverwritePolicy": taken("rotation", how=lambda rotation: 2 if int(rotation) == 2 else 0),
        "CurrentNumberOfRecords": taken("records"),
        "MaxNumberOfRecords": constant(0),
    },
    nulls={k: v for k, v in ENABLED.items() if k != "InstanceID"},
):  # fmt: skip
    """A log of a domain, with its older files. Only those of hypervisors on the agent's own host are there."""

    path: Text = key(2, "Where it is on the host: the file that is being written, without what its older files have behind it.", api="virDomainGetXMLDesc")
    name: Name | None = column(4, "Name of that file.", api="virDomainGetXMLDesc", cim="ElementName")
    host: Name | None = column(
        5, "Name of the hypervisor's connection in the configuration of the agent.", ref=Host, api="virConnectGetURI",
        association=Association(
            name="Virtmap_HostOfLog", base="CIM_Dependency", far="Antecedent", near="Dependent",
            description="The host that a log is on.",
        ),
    )  # fmt: skip
    domain: Uuid | None = column(
        6, "UUID of the domain whose log it is; none if that is no more.", ref=Domain, api="virDomainGetUUID",
        association=Association(
            name="Virtmap_UseOfLog", base="CIM_UseOfLog", far="Dependent", near="Antecedent",
            description="The domain that a log tells of.",
        ),
    )  # fmt: skip
    domain_name: Name | None = column(7, "Name of that domain, or of the one that was.", api="virDomainGetName")
    kind: LogKind | None = column(8, "Who writes it.")
    device: Name | None = column(9, "The device that it belongs to, as libvirt names it: its alias, or what stands for it in the definition.", api="virDomainGetXMLDesc")
    rotation: LogRotation | None = column(10, "Who begins a new file when it has grown.")
    size: Bytes | None = column(11, "Length of the file that is being written.")
    total: Bytes | None = column(12, "Length of all its files together.")
    files: Count | None = column(13, "Its files: the one that is being written, and older ones.")
    modified: Timestamp | None = column(14, "When it was last written.")
    inode: Level | None = column(15, "Inode of the file that is being written.")
    first_line: Text | None = column(16, "The first line of the file that is being written, escaped.")
    last_line: Text | None = column(17, "Its last line, escaped.")
    records: Level | None = column(18, "Records of it that are shown; the last ones.")
    lines: Events | None = column(20, "Lines that were added since they are counted.")
    written: Octets | None = column(21, "What was added since lines are counted.")
    errors: Events | None = column(22, "Lines of these that tell of errors: their severity is major or critical.")
    warnings: Events | None = column(23, "Lines of these that warn: their severity is warning or minor.")
    matches: Events | None = column(24, "Lines of these that matched a pattern of the configuration.")
    counted_since: Timestamp | None = column(25, "Since when lines are counted.")
    followed: Flag | None = column(26, "Whether it is being followed, so that lines are counted and patterns looked for at once.")
    refreshed: Timestamp | None = column(27, "When these values were read.")
    problem: Text | None = column(28, "Why it cannot be read; empty when it can.")


class LogFile(
    Row, table=101, of=Log, cim="CIM_ManagedElement",
    association=Association(
        name="Virtmap_FileOfLog", base="CIM_Component", far="GroupComponent", near="PartComponent",
        description="A file that a log is kept in.",
    ),
    fills={"ElementName": taken("name"), "Description": taken("compressed", how=lambda z: "A compressed file." if z else "A file.")},
    nulls={k: ELEMENT[k] for k in ("InstanceID", "Caption")},
):  # fmt: skip
    """A file that a log is kept in: the one that is being written, or an older one."""

    log: Text = parent("Path of the log it belongs to.")
    name: Name = key(2, "Name of the file.", api="virDomainGetXMLDesc")
    rotation: Count | None = column(3, "Its number among the older files, 0 being the newest; none if it is being written, or has no number.")
    size: Bytes | None = column(4, "Its length.")
    modified: Timestamp | None = column(5, "When it was last written.")
    inode: Level | None = column(6, "Its inode.")
    compressed: Flag | None = column(7, "Whether it is compressed, as logrotate does it. Such a file is read, and never removed.")
    first_line: Text | None = column(8, "Its first line, escaped; none if it is compressed.")
    last_line: Text | None = column(9, "Its last line, escaped; none if it is compressed.")


class LogSource(Enumeration):
    """Who wrote a record of a log."""

    UNKNOWN = 1, "unknown", "Nobody can tell."
    LIBVIRT = 2, "libvirt", "libvirt."
    QEMU = 3, "qemu", "QEMU, or another hypervisor."
    GUEST = 4, "guest", "The guest, on its console."
    PROGRAM = 5, "program", "A program that belongs to a device."


class LogMark(Enumeration):
    """What a record of a log stands for, where that can be told."""

    NONE = 1, "none", "Nothing that is known."
    START = 2, "start", "The domain was started."
    COMMAND = 3, "command", "The command line of the hypervisor."
    SHUTDOWN = 4, "shutdown", "The domain stopped."
    SIGNAL = 5, "signal", "The hypervisor ended since it was sent a signal."
    CRASH = 6, "crash", "The hypervisor or the guest crashed."
    IO_ERROR = 7, "ioError", "Something could not be read or written."
    TAINT = 8, "taint", "The domain was marked as tainted."


class LogRecord(
    Row, table=102, of=Log, cim="CIM_LogEntry", index=Index.DIRECT,
    association=Association(
        name="Virtmap_LogManagesRecord", base="CIM_LogManagesRecord", far="Log", near="Record",
        description="A record of a log.",
    ),
    fills={
        "InstanceID": spelled("virtmap:log:{0}#{1}", "log", "number"),
        "ElementName": taken("number", how="Record {0}".format),
        "LogInstanceID": taken("log", how="virtmap:log:{0}".format),
        "LogName": taken("log"),
        "RecordID": taken("number", how=str),
        "RecordFormat": constant(""),
        "PerceivedSeverity": mapped("severity"),
    },
    nulls={
        "Caption": ELEMENT["Caption"],
        "Description": "RecordData says it already.",
        "Locale": "Nobody knows what language a program writes in.",
        "MessageID": "libvirt and QEMU do not number what they write.",
        "Message": "RecordData says it already.",
        "MessageArguments": "libvirt and QEMU do not number what they write.",
        "OwningEntity": "libvirt and QEMU do not number what they write.",
    },
):  # fmt: skip
    """One of the last records of a log. A record is a line, or a line with those that go on with it, such as a command line."""

    log: Text = parent("Path of the log it belongs to.")
    number: Ordinal = key(2, "Its number in the log, counted upwards from the oldest record that was there when the agent first read the log.", api="virDomainGetXMLDesc")
    time: Timestamp | None = column(3, "When it was written, where it says so.", cim="CreationTimeStamp")
    source: LogSource | None = column(4, "Who wrote it.")
    severity: PerceivedSeverity | None = column(5, "How grave it is, where that can be told.")
    mark: LogMark | None = column(6, "What it stands for.")
    text: Text | None = column(7, "What it says, escaped: control characters and what is not UTF-8 are written with a backslash.", cim="RecordData")
    position: Level | None = column(8, "Where its first octet is in its file.")
    file: Name | None = column(9, "Name of that file.")


LOST = "The content of these files."
POSITION = "Where to begin in the file, counted in octets from 0"


class ReadLog(Operation, on=Log, number=1, needs=Access.OBSERVE, api="virDomainGetXMLDesc"):
    """Read some lines of a log, from one of its files, escaped."""

    file: Name | None = argument(1, "Name of the file; left out, the one that is being written.", default=None)
    position: Level | None = argument(2, f"{POSITION}; left out, so that the last lines are read.", default=None)
    lines: Count = argument(3, "How many lines at most.", default=100, low=1, high=10000)
    text: Xml | None = out(4, "The lines, oldest first, each with a line feed at its end.")
    begin: Level | None = out(5, "Where the first of them begins.")
    end: Level | None = out(6, "Where the next line begins: what to give as position to go on.")
    size: Bytes | None = out(7, "Length of the file.")


class SearchLog(Operation, on=Log, number=2, needs=Access.OBSERVE, api="virDomainGetXMLDesc", job=True):
    """Find records of a log, in all of its files, the oldest first."""

    pattern: Text | None = argument(1, "What the record has to have in it; an asterisk stands for any text, a question mark for any character.", default=None)
    case: Flag = argument(2, "Whether capital letters differ from small ones.", default=False)
    since: Timestamp | None = argument(3, "Only records that were written then, or later. Those without a time have that of the one before.", default=None)
    until: Timestamp | None = argument(4, "Only records that were written before then.", default=None)
    severity: PerceivedSeverity | None = argument(5, "Only records that are at least so grave.", default=None)
    records: Count = argument(6, "How many at most, the newest being kept.", default=100, low=1, high=10000)
    text: Xml | None = out(7, "The records, one a line: the file, the position, the time or -, the severity or -, and the text, with tabs between them. A file that could not be read has a line of its own, with - as its position, and the reason as text.")
    found: Count | None = out(8, "How many there are in it.")
    more: Flag | None = out(9, "Whether there were more.")


class DownloadLog(Operation, on=Log, number=3, needs=Access.OPERATE, api="virDomainGetXMLDesc", job=True, moves=Data.DOWN):
    """Get a log as it is, not escaped: all of its files, oldest first, uncompressed, and what is written meanwhile if so wished."""

    follow: Seconds = argument(1, "How long to go on with what is written, in seconds.", default=0, high=86400)
    file: Name | None = argument(2, "Name of a file in the spool directory of the agent to put it into.", default=None)
    address: Text | None = out(3, "Where to get it, if no file is named.")
    transferred: Bytes | None = out(4, "How much was moved.")


class ClearLog(Operation, on=Log, number=4, needs=Access.DEFINE, api="virDomainGetXMLDesc", destroys=LOST):
    """Empty a log: its older files are removed, and the one that is being written is cut to nothing. Only where virtlogd rotates
    it."""


class RemoveLog(Operation, on=Log, number=5, needs=Access.DEFINE, api="virDomainGetXMLDesc", destroys=LOST):
    """Remove a log with its older files. Only where virtlogd rotates it, and while nobody writes it."""


class RemoveLogs(Operation, on=Domain, number=200, needs=Access.DEFINE, api="virDomainGetXMLDesc", destroys=LOST):
    """Remove the logs of a domain: that of the hypervisor, and those of its devices. Those of a domain that runs are emptied. Only
    where virtlogd rotates them."""

    removed: Count | None = out(1, "Files that were removed or emptied.")


class CleanLogs(Operation, on=Host, number=200, needs=Access.DEFINE, api="virDomainGetXMLDesc", destroys=LOST, job=True):
    """Remove older files of logs by the retention of the agent's configuration; and the logs of domains that are no more, if it
    says so."""

    dry: Flag = argument(1, "Only tell what would be removed.", default=True)
    removed: Count | None = out(2, "Files that were, or would be, removed.")
    freed: Bytes | None = out(3, "Their length, all together.")
    files: Xml | None = out(4, "Their paths, one a line.")


class LogMatched(
    Occurrence, on=Log, number=80, shows=("path", "domain", "domain_name", "kind"), severity=Severity.WARNING, changes=False,
    alert=AlertType.PROCESSING_ERROR, cause=Cause.OTHER, api="virDomainGetXMLDesc",
):  # fmt: skip
    """A line was written to a log that matches a pattern of the agent's configuration."""

    rule: Name | None = detail(1, "Name of the pattern's rule in the configuration.")
    line: Text | None = detail(2, "The line, escaped.")
    written: Timestamp | None = detail(3, "When it was written, where it says so.")
    source: LogSource | None = detail(4, "Who wrote it.")
    position: Level | None = detail(5, "Where it begins in its file.")
    matches: Count | None = detail(6, "How many lines matched since the one that was told before this, this one included.")


ROWS: tuple[type[Row], ...] = (Log, LogFile, LogRecord)
OPERATIONS: tuple[type[Operation], ...] = (
    ReadLog, SearchLog, DownloadLog, ClearLog, RemoveLog, RemoveLogs, CleanLogs,
)  # fmt: skip
EVENTS: tuple[type[Event], ...] = (LogMatched,)
