"""What the guest agent inside a domain tells and does."""

from agent.model.domain import RUNS, Domain
from agent.model.filesystem import Filesystem, GuestDisk
from agent.model.guest_interface import AddressSource, GuestAddress, GuestInterface
from agent.model.guest_user import GuestUser
from agent.schema.declare import Access, Event, Operation, Row, argument, out
from agent.schema.types import Bytes, Count, Enumeration, Flag, Flags, Name, Seconds, Text, Xml

MOUNTPOINTS = "Where they are mounted in the guest, one a line; all of them, if none is named."
KEYS = "The public keys, one a line, as they stand in OpenSSH's file."


class ReadFilesystems(Operation, on=Domain, number=100, needs=Access.OPERATE, api="virDomainGetFSInfo", allowed=RUNS):
    """Ask the guest agent now which file systems are mounted."""

    filesystems: Xml | None = out(1, "One a line, between tabs: where it is mounted, its kind, the guest's device, and the targets of its disks between commas.")


class ReadAddresses(Operation, on=Domain, number=101, needs=Access.OPERATE, api="virDomainInterfaceAddresses", allowed=RUNS):
    """Ask now which addresses the guest has."""

    source: AddressSource = argument(1, "Who is asked.", default=AddressSource.AGENT)
    addresses: Xml | None = out(2, "One a line, between tabs: the interface, its MAC address, the address, a slash, and the length of its prefix.")


class ReadGuestVcpus(Operation, on=Domain, number=102, needs=Access.OPERATE, api="virDomainGetGuestVcpus", allowed=RUNS):
    """Ask the guest agent now which vCPUs the guest uses."""

    vcpus: Text | None = out(1, "Those that the guest has, as numbers and ranges.")
    online: Text | None = out(2, "Those that it uses.")
    offlinable: Text | None = out(3, "Those that it can stop using.")


class SetGuestVcpus(Operation, on=Domain, number=103, needs=Access.OPERATE, api="virDomainSetGuestVcpus", allowed=RUNS):
    """Have the guest use some of its vCPUs, or stop using them. They stay with the domain."""

    vcpus: Text = argument(1, "Which ones, as numbers and ranges: 1-3,5.")
    online: Flag = argument(2, "Whether the guest is to use them.")


class FreezeFilesystems(
    Operation, on=Domain, number=104, needs=Access.OPERATE, api="virDomainFSFreeze", allowed=RUNS, undo="ThawFilesystems"
):
    """Have the guest write everything out and hold all further writes, so that its disks can be copied in a state that holds. The
    guest stands still as soon as it wants to write: thaw it soon."""

    mountpoints: Text = argument(1, MOUNTPOINTS, default="")
    frozen: Count | None = out(2, "How many file systems are frozen now.")


class ThawFilesystems(Operation, on=Domain, number=105, needs=Access.OPERATE, api="virDomainFSThaw", allowed=RUNS):
    """Let the guest write to its file systems again."""

    mountpoints: Text = argument(1, MOUNTPOINTS, default="")
    thawed: Count | None = out(2, "How many file systems were thawed.")


class TrimFilesystems(Operation, on=Domain, number=106, needs=Access.OPERATE, api="virDomainFSTrim", allowed=RUNS, job=True):
    """Have the guest give the space that its file systems do not use back to the host."""

    mountpoint: Text | None = argument(1, "Only the file system that is mounted here. QEMU trims all or none.", default=None)
    minimum: Bytes = argument(2, "Leave free pieces alone that are smaller than this.", default=0)


class ReadSshKeys(
    Operation, on=Domain, number=107, needs=Access.ADMINISTER, api="virDomainAuthorizedSSHKeysGet", allowed=RUNS
):
    """Read the public keys that let somebody in to the guest as this user, by SSH."""

    user: Name = argument(1, "The user inside the guest.")
    keys: Xml | None = out(2, KEYS)


class SshKeysFlags(Flags):
    """What becomes of the keys that are there already; none replaces them."""

    APPEND = 1, "append", "They stay.", "VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_APPEND"
    REMOVE = 2, "remove", "Those that are given are taken away.", "VIR_DOMAIN_AUTHORIZED_SSH_KEYS_SET_REMOVE"


class SetSshKeys(
    Operation, on=Domain, number=108, needs=Access.ADMINISTER, api="virDomainAuthorizedSSHKeysSet", allowed=RUNS,
    destroys="Without flags, the keys that are there already.",
):  # fmt: skip
    """Change the public keys that let somebody in to the guest as this user, by SSH."""

    user: Name = argument(1, "The user inside the guest.")
    keys: Xml = argument(2, KEYS)
    flags: SshKeysFlags = argument(3, "What becomes of those that are there already.", default=SshKeysFlags(0))


class AgentTimeout(Enumeration):
    """How long an answer of the guest agent is waited for, if no time is given."""

    BLOCK = 1, "block", "Until it comes.", "VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK"
    DEFAULT = 2, "default", "As long as the hypervisor thinks right.", "VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_DEFAULT"
    NO_WAIT = 3, "noWait", "Not at all.", "VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_NOWAIT"


class SetAgentTimeout(
    Operation, on=Domain, number=109, needs=Access.OPERATE, api="virDomainAgentSetResponseTimeout", allowed=RUNS
):
    """Change how long the hypervisor waits for an answer of the guest agent, whoever asked it. It holds for this run of the domain,
    and as long as virtmap runs: while virtmap itself reads, it waits for two seconds, and then goes back to what was set here, or
    else to waiting until the answer comes."""

    seconds: Seconds | None = argument(1, "How long, in seconds.", default=None, low=1, high=3600)
    patience: AgentTimeout = argument(2, "How long, if no time is given.", default=AgentTimeout.BLOCK)


ROWS: tuple[type[Row], ...] = (Filesystem, GuestUser, GuestInterface, GuestAddress, GuestDisk)
OPERATIONS: tuple[type[Operation], ...] = (
    ReadFilesystems, ReadAddresses, ReadGuestVcpus, SetGuestVcpus, FreezeFilesystems, ThawFilesystems, TrimFilesystems, ReadSshKeys,
    SetSshKeys, SetAgentTimeout,
)  # fmt: skip
EVENTS: tuple[type[Event], ...] = ()
