"""What keeps a domain in a file and brings it back: saving, restoring, core dumps; and creating domains that are not kept."""

from agent.model.domain import ACTIVE, INACTIVE, Domain, SaveFlags, StartFlags
from agent.model.host import Host
from agent.schema.declare import Access, Event, Operation, Row, argument, out, when
from agent.schema.types import Enumeration, Flags, Text, Uuid, Xml

PATH = "The file, as an absolute path on the hypervisor's host."
SAVED = when("managed_save", True)
FILES = (
    "Files that are opened for reading and handed over, as absolute paths on the agent's own host, one a line; the first becomes"
    " file number 3 of the domain's first process. They are regular files or character devices."
)


class DumpFormat(Enumeration):
    """How a core dump is written."""

    RAW = 1, "raw", "As it is.", "VIR_DOMAIN_CORE_DUMP_FORMAT_RAW"
    KDUMP_ZLIB = 2, "kdumpZlib", "As kdump does it, compressed by zlib.", "VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_ZLIB"
    KDUMP_LZO = 3, "kdumpLzo", "As kdump does it, compressed by LZO.", "VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_LZO"
    KDUMP_SNAPPY = 4, "kdumpSnappy", "As kdump does it, compressed by Snappy.", "VIR_DOMAIN_CORE_DUMP_FORMAT_KDUMP_SNAPPY"
    WINDOWS = 5, "windows", "As Windows does it.", "VIR_DOMAIN_CORE_DUMP_FORMAT_WIN_DMP"


class DumpFlags(Flags):
    """How a core is dumped, and what becomes of the domain. With none of crash, live and reset it is paused meanwhile."""

    CRASH = 1, "crash", "Stop the domain when it is done, as crashed.", "VIR_DUMP_CRASH"
    LIVE = 2, "live", "Let it run meanwhile, so that the dump may not be of one moment.", "VIR_DUMP_LIVE"
    BYPASS_CACHE = 4, "bypassCache", "Do not let the dump fill the file cache.", "VIR_DUMP_BYPASS_CACHE"
    RESET = 8, "reset", "Reset the domain when it is done.", "VIR_DUMP_RESET"
    MEMORY_ONLY = 16, "memoryOnly", "The memory, as a core file that debuggers read, without the state of devices.", "VIR_DUMP_MEMORY_ONLY"


class RestoreFlags(Flags):
    """How a domain is restored; with neither running nor paused it does what it was saved to do."""

    BYPASS_CACHE = 1, "bypassCache", "Do not let the image fill the file cache.", "VIR_DOMAIN_SAVE_BYPASS_CACHE"
    RUNNING = 2, "running", "Let it run.", "VIR_DOMAIN_SAVE_RUNNING"
    PAUSED = 4, "paused", "Leave it paused.", "VIR_DOMAIN_SAVE_PAUSED"
    RESET_NVRAM = 8, "resetNvram", "Begin with fresh firmware variables.", "VIR_DOMAIN_SAVE_RESET_NVRAM"


class SavedStateFlags(Flags):
    """What a saved domain does when it is restored; none leaves that as it is."""

    RUNNING = 1, "running", "It runs.", "VIR_DOMAIN_SAVE_RUNNING"
    PAUSED = 2, "paused", "It is paused.", "VIR_DOMAIN_SAVE_PAUSED"


class Save(
    Operation, on=Domain, number=60, needs=Access.DEFINE, job=True, cancel="virDomainAbortJobFlags", allowed=ACTIVE,
    api=("virDomainSaveParams", "virDomainSaveFlags", "virDomainSave"), destroys="What the file held before.",
):  # fmt: skip
    """Save the memory of the domain to a file, and stop it."""

    path: Text = argument(1, PATH)
    xml: Xml | None = argument(2, "The definition that it is to have when it is restored, as libvirt's domain XML; only what the guest cannot see may differ.", default=None)
    flags: SaveFlags = argument(3, "How it is saved.", default=SaveFlags(0))


class DumpCore(
    Operation, on=Domain, number=61, needs=Access.DEFINE, job=True, cancel="virDomainAbortJobFlags", allowed=ACTIVE,
    api=("virDomainCoreDumpWithFormat", "virDomainCoreDump"), destroys="What the file held before.",
):  # fmt: skip
    """Write the memory of the domain to a file, to find out what is wrong in the guest."""

    path: Text = argument(1, PATH)
    format: DumpFormat = argument(2, "How it is written.", default=DumpFormat.RAW)
    flags: DumpFlags = argument(3, "How it is dumped, and what becomes of the domain.", default=DumpFlags(0))


class ReadManagedXml(
    Operation, on=Domain, number=62, needs=Access.OBSERVE, api="virDomainManagedSaveGetXMLDesc", allowed=SAVED
):
    """Read the definition in the saved image that libvirt keeps of the domain."""

    xml: Xml | None = out(1, "The definition, as libvirt's domain XML, without secrets.")


class SetManagedXml(
    Operation, on=Domain, number=63, needs=Access.DEFINE, api="virDomainManagedSaveDefineXML", allowed=SAVED
):
    """Change the definition in the saved image that libvirt keeps of the domain."""

    xml: Xml = argument(1, "The definition, as libvirt's domain XML; only what the guest cannot see may differ.")
    flags: SavedStateFlags = argument(2, "What it does when it is restored.", default=SavedStateFlags(0))


class DropManagedSave(
    Operation, on=Domain, number=64, needs=Access.DEFINE, api="virDomainManagedSaveRemove", allowed=SAVED,
    destroys="The saved memory of the domain, with what the guest had not yet written to its disks.",
):  # fmt: skip
    """Throw away the saved image that libvirt keeps of the domain: the next start boots it."""


class StartWithFiles(
    Operation, on=Domain, number=65, needs=Access.ADMINISTER, api="virDomainCreateWithFiles", allowed=INACTIVE
):
    """Start a defined container and hand it open files. Only where the hypervisor is on the agent's own host."""

    files: Text = argument(1, FILES)
    flags: StartFlags = argument(2, "How it is started.", default=StartFlags(0))


class CreateDomain(
    Operation, on=Host, number=70, needs=Access.DEFINE, makes=Domain, api=("virDomainCreateXML", "virDomainCreateLinux")
):
    """Start a domain that is not kept: when it stops, it is gone."""

    xml: Xml = argument(1, "The definition, as libvirt's domain XML.")
    flags: StartFlags = argument(2, "How it is started.", default=StartFlags(0))
    uuid: Uuid | None = out(3, "UUID of the domain.")


class CreateWithFiles(
    Operation, on=Host, number=71, needs=Access.ADMINISTER, makes=Domain, api="virDomainCreateXMLWithFiles"
):
    """Start a container that is not kept and hand it open files. Only where the hypervisor is on the agent's own host."""

    xml: Xml = argument(1, "The definition, as libvirt's domain XML.")
    files: Text = argument(2, FILES)
    flags: StartFlags = argument(3, "How it is started.", default=StartFlags(0))
    uuid: Uuid | None = out(4, "UUID of the domain.")


class RestoreDomain(
    Operation, on=Host, number=72, needs=Access.DEFINE, job=True, makes=Domain,
    api=("virDomainRestoreParams", "virDomainRestoreFlags", "virDomainRestore"),
):  # fmt: skip
    """Bring back a domain that was saved to a file; it goes on where it was. The file stays, and must not be used twice."""

    path: Text = argument(1, PATH)
    xml: Xml | None = argument(2, "The definition that it is to have instead of the saved one, as libvirt's domain XML; only what the guest cannot see may differ.", default=None)
    flags: RestoreFlags = argument(3, "How it is restored.", default=RestoreFlags(0))
    uuid: Uuid | None = out(4, "UUID of the domain.")


class ReadSavedXml(Operation, on=Host, number=73, needs=Access.DEFINE, api="virDomainSaveImageGetXMLDesc"):
    """Read the definition in a file that a domain was saved to."""

    path: Text = argument(1, PATH)
    xml: Xml | None = out(2, "The definition, as libvirt's domain XML, without secrets.")


class SetSavedXml(Operation, on=Host, number=74, needs=Access.DEFINE, api="virDomainSaveImageDefineXML"):
    """Change the definition in a file that a domain was saved to."""

    path: Text = argument(1, PATH)
    xml: Xml = argument(2, "The definition, as libvirt's domain XML; only what the guest cannot see may differ.")
    flags: SavedStateFlags = argument(3, "What it does when it is restored.", default=SavedStateFlags(0))


ROWS: tuple[type[Row], ...] = ()
OPERATIONS: tuple[type[Operation], ...] = (
    Save, DumpCore, ReadManagedXml, SetManagedXml, DropManagedSave, StartWithFiles, CreateDomain, CreateWithFiles,
    RestoreDomain, ReadSavedXml, SetSavedXml,
)  # fmt: skip
EVENTS: tuple[type[Event], ...] = ()
