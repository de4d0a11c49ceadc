"""The snapshot: a domain as it was at one moment."""

from agent.model.domain import Domain
from agent.schema.declare import (
    Access,
    Association,
    Event,
    Operation,
    Row,
    argument,
    column,
    constant,
    key,
    out,
    parent,
    taken,
)
from agent.schema.types import Count, Enumeration, Flag, Flags, Name, Text, Timestamp, Uuid, Xml


class SnapshotState(Enumeration):
    """What a domain was doing when a snapshot of it was made, which is what it does after going back to it."""

    NO_STATE = 1, "noState", "The hypervisor did not say."
    RUNNING = 2, "running", "It ran."
    BLOCKED = 3, "blocked", "It ran and waited for a resource."
    PAUSED = 4, "paused", "Its vCPUs were stopped."
    SHUTTING_DOWN = 5, "shuttingDown", "It was on its way down."
    SHUT_OFF = 6, "shutOff", "It did not run."
    CRASHED = 7, "crashed", "It had stopped by a fault of its own."
    PM_SUSPENDED = 8, "pmSuspended", "The guest itself was asleep."
    DISK_ONLY = 9, "diskOnly", "It ran, and only its disks are kept: going back to it is like starting after a power cut."


class SnapshotMemory(Enumeration):
    """Where a snapshot keeps the memory of the domain."""

    NONE = 1, "none", "It keeps no memory."
    INTERNAL = 2, "internal", "In the image of a disk."
    EXTERNAL = 3, "external", "In a file of its own."


SNAPSHOTS = Association(
    name="Virtmap_DomainSnapshot", base="CIM_SnapshotOfVirtualSystem", far="Antecedent", near="Dependent",
    description="The domain that a snapshot was made of.",
)  # fmt: skip


class Snapshot(
    Row, table=20, of=Domain, cim="CIM_VirtualSystemSettingData", association=SNAPSHOTS, action=20,
    fills={
        "InstanceID": taken("domain", "name", how="virtmap:{0}/snapshot/{1}".format),
        "ChangeableType": constant(0),
        "VirtualSystemIdentifier": taken("domain"),
    },
    nulls={
        "Caption": "ElementName says it already.",
        "ConfigurationName": "ElementName says it already.",
        "VirtualSystemType": "It is that of the domain.",
        "Notes": "Description says it already.",
        "ConfigurationID": "InstanceID says it already.",
        "ConfigurationDataRoot": "libvirt keeps what it knows of snapshots where it likes.",
        "ConfigurationFile": "libvirt keeps what it knows of snapshots where it likes.",
        "AutomaticStartupAction": "It is a setting of the domain, not of its snapshots.",
        "AutomaticShutdownAction": "It is a setting of the host's service.",
        "AutomaticRecoveryAction": "It is in the definition that the snapshot holds; see its XML.",
    },
):  # fmt: skip
    """A snapshot of a domain: its disks, its memory, its definition, or some of these, as they were at one moment."""

    domain: Uuid = parent("UUID of the domain it was made of.")
    name: Name = key(2, "Name of the snapshot, unique among those of its domain.", api=("virDomainSnapshotGetName", "virDomainListAllSnapshots", "virDomainSnapshotListNames"), cim="ElementName")
    parent_name: Name | None = column(3, "The snapshot that was the current one when this one was made; none if it is the first of its tree.", api="virDomainSnapshotGetParent")
    current: Flag | None = column(4, "Whether the domain goes on from this snapshot: the one made, or gone back to, last.", api=("virDomainSnapshotIsCurrent", "virDomainHasCurrentSnapshot"))
    state: SnapshotState | None = column(5, "What the domain was doing.", api="virDomainSnapshotGetXMLDesc")
    created: Timestamp | None = column(6, "When it was made.", api="virDomainSnapshotGetXMLDesc", cim="CreationTime")
    description: Text | None = column(7, "What people wrote about it.", api="virDomainSnapshotGetXMLDesc", cim="Description")
    has_metadata: Flag | None = column(8, "Whether libvirt keeps notes of its own about it, which are lost with the domain's definition.", api="virDomainSnapshotHasMetadata")
    children: Count | None = column(9, "Snapshots that were made when this one was the current one.", api=("virDomainSnapshotListAllChildren", "virDomainSnapshotNumChildren"))
    memory: SnapshotMemory | None = column(10, "Where it keeps the memory of the domain.", api="virDomainSnapshotGetXMLDesc")
    memory_file: Text | None = column(11, "The file with the memory, on the hypervisor's host.", api="virDomainSnapshotGetXMLDesc")
    disks: Text | None = column(12, "Its disks, one a line: the target; then internal, external, manual or no; then the image that is written to since, if it is another one.", api="virDomainSnapshotGetXMLDesc")


class SnapshotFlags(Flags):
    """How a snapshot is made, and of what."""

    REDEFINE = 1, "redefine", "Only have libvirt know a snapshot that is there already, by the XML that it once gave for it.", "VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE"
    CURRENT = 2, "current", "With redefine: it becomes the current one.", "VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT"
    NO_METADATA = 4, "noMetadata", "Make it, and let libvirt forget it at once.", "VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA"
    HALT = 8, "halt", "Stop the domain when it is made.", "VIR_DOMAIN_SNAPSHOT_CREATE_HALT"
    DISK_ONLY = 16, "diskOnly", "Only of the disks, not of the memory.", "VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY"
    REUSE_EXTERNAL = 32, "reuseExternal", "Take the external images that are there already instead of making new ones.", "VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT"
    QUIESCE = 64, "quiesce", "Have the guest agent freeze the filesystems meanwhile; with disks only.", "VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE"
    ATOMIC = 128, "atomic", "Of all disks, or of none.", "VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC"
    LIVE = 256, "live", "Let the domain run while its memory is being kept, which makes the snapshot larger.", "VIR_DOMAIN_SNAPSHOT_CREATE_LIVE"
    VALIDATE = 512, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_DOMAIN_SNAPSHOT_CREATE_VALIDATE"


class RevertFlags(Flags):
    """How a domain goes back to a snapshot; with neither running nor paused it does what it did then."""

    RUNNING = 1, "running", "Let it run.", "VIR_DOMAIN_SNAPSHOT_REVERT_RUNNING"
    PAUSED = 2, "paused", "Leave it paused.", "VIR_DOMAIN_SNAPSHOT_REVERT_PAUSED"
    FORCE = 4, "force", "Even if its definition changed so much since that it may not work.", "VIR_DOMAIN_SNAPSHOT_REVERT_FORCE"
    RESET_NVRAM = 8, "resetNvram", "Begin with fresh firmware variables.", "VIR_DOMAIN_SNAPSHOT_REVERT_RESET_NVRAM"


class SnapshotDeleteFlags(Flags):
    """What is deleted together with a snapshot, or instead of it."""

    CHILDREN = 1, "children", "All that were made from it on too.", "VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN"
    METADATA_ONLY = 2, "metadataOnly", "Only libvirt's notes about it; what it holds stays in the images.", "VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY"
    CHILDREN_ONLY = 4, "childrenOnly", "Only those that were made from it on, and not itself.", "VIR_DOMAIN_SNAPSHOT_DELETE_CHILDREN_ONLY"


class CreateSnapshot(
    Operation, on=Domain, number=90, needs=Access.DEFINE, job=True, cancel="virDomainAbortJobFlags",
    api="virDomainSnapshotCreateXML",
):  # fmt: skip
    """Make a snapshot of the domain. External images and memory files are made on the hypervisor's host."""

    xml: Xml = argument(1, "What it is called, and what is kept where, as libvirt's snapshot XML; left out, all is as libvirt likes.", default="<domainsnapshot/>")
    flags: SnapshotFlags = argument(2, "How it is made, and of what.", default=SnapshotFlags(0))
    name: Name | None = out(3, "Name of the snapshot.")


class Revert(
    Operation, on=Snapshot, number=1, needs=Access.DEFINE, job=True, api="virDomainRevertToSnapshot",
    destroys="What happened in the domain since its last snapshot.",
):  # fmt: skip
    """Go back to the snapshot."""

    flags: RevertFlags = argument(1, "How the domain goes back.", default=RevertFlags(0))


class DeleteSnapshot(
    Operation, on=Snapshot, number=2, needs=Access.DEFINE, job=True, api="virDomainSnapshotDelete",
    destroys="The snapshot. The present state of the domain stays.",
):  # fmt: skip
    """Delete the snapshot. Those that were made from it on stay, and hold what it held, unless the flags say otherwise."""

    flags: SnapshotDeleteFlags = argument(1, "What else is deleted, or what instead.", default=SnapshotDeleteFlags(0))


class ReadSnapshotXml(Operation, on=Snapshot, number=3, needs=Access.OBSERVE, api="virDomainSnapshotGetXMLDesc"):
    """Read all that libvirt knows about the snapshot, with the definition that the domain had then."""

    xml: Xml | None = out(1, "The snapshot, as libvirt's snapshot XML, without secrets.")


class ReadRelatives(
    Operation, on=Snapshot, number=4, needs=Access.OBSERVE,
    api=("virDomainSnapshotGetParent", "virDomainSnapshotListAllChildren", "virDomainSnapshotListChildrenNames",
         "virDomainSnapshotNumChildren", "virDomainSnapshotIsCurrent", "virDomainSnapshotHasMetadata"),
):  # fmt: skip
    """Read the place of the snapshot in the tree of snapshots, as it is now."""

    parent_name: Name | None = out(1, "The snapshot it was made from; empty if it is the first of its tree.")
    children: Text | None = out(2, "The snapshots that were made from it, one a line.")
    descendants: Text | None = out(3, "These, and all that were made from them in turn, one a line.")
    current: Flag | None = out(4, "Whether the domain goes on from it.")
    has_metadata: Flag | None = out(5, "Whether libvirt keeps notes of its own about it.")


ROWS: tuple[type[Row], ...] = (Snapshot,)
OPERATIONS: tuple[type[Operation], ...] = (CreateSnapshot, Revert, DeleteSnapshot, ReadSnapshotXml, ReadRelatives)
EVENTS: tuple[type[Event], ...] = ()
