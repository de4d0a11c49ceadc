"""The checkpoint: a moment since when the changes of a domain's disks are recorded; and backups, which may start at one."""

from agent.model.domain import ACTIVE, Domain
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
from agent.schema.types import Bytes, Count, Flags, Name, Text, Timestamp, Uuid, Xml

CHECKPOINTS = Association(
    name="Virtmap_DomainCheckpoint", base="CIM_Dependency", far="Antecedent", near="Dependent",
    description="The domain whose changes a checkpoint records.",
)  # fmt: skip


class Checkpoint(
    Row, table=21, of=Domain, cim="CIM_SettingData", association=CHECKPOINTS, action=20,
    fills={
        "InstanceID": taken("domain", "name", how="virtmap:{0}/checkpoint/{1}".format),
        "ChangeableType": constant(0),
    },
    nulls={
        "Caption": "ElementName says it already.",
        "ConfigurationName": "ElementName says it already.",
    },
):  # fmt: skip
    """A moment since when changes of a domain's disks are recorded, so that a backup can hold only these. It keeps no data itself."""

    domain: Uuid = parent("UUID of the domain whose changes it records.")
    name: Name = key(2, "Name of the checkpoint, unique among those of its domain.", api=("virDomainCheckpointGetName", "virDomainListAllCheckpoints"), cim="ElementName")
    parent_name: Name | None = column(3, "The checkpoint before it; none if it is the first.", api="virDomainCheckpointGetParent")
    created: Timestamp | None = column(4, "When it was made.", api="virDomainCheckpointGetXMLDesc")
    description: Text | None = column(5, "What people wrote about it.", api="virDomainCheckpointGetXMLDesc", cim="Description")
    children: Count | None = column(6, "Checkpoints that follow it directly.", api="virDomainCheckpointListAllChildren")
    disks: Text | None = column(7, "Its disks, one a line: the target, whether changes are recorded (bitmap) or not (no), and the name of the record.", api="virDomainCheckpointGetXMLDesc")


class CheckpointFlags(Flags):
    """How a checkpoint is made."""

    REDEFINE = 1, "redefine", "Only have libvirt know a checkpoint that is there already, by the XML that it once gave for it.", "VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE"
    QUIESCE = 2, "quiesce", "Have the guest agent freeze the filesystems meanwhile.", "VIR_DOMAIN_CHECKPOINT_CREATE_QUIESCE"
    REDEFINE_VALIDATE = 4, "redefineValidate", "With redefine: look whether the disks really hold the record.", "VIR_DOMAIN_CHECKPOINT_CREATE_REDEFINE_VALIDATE"


class CheckpointDeleteFlags(Flags):
    """What is deleted together with a checkpoint, or instead of it."""

    CHILDREN = 1, "children", "All that follow it too.", "VIR_DOMAIN_CHECKPOINT_DELETE_CHILDREN"
    METADATA_ONLY = 2, "metadataOnly", "Only libvirt's notes about it; the record stays in the images.", "VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY"
    CHILDREN_ONLY = 4, "childrenOnly", "Only those that follow it, and not itself.", "VIR_DOMAIN_CHECKPOINT_DELETE_CHILDREN_ONLY"


class CheckpointXmlFlags(Flags):
    """How much is told of a checkpoint. Secrets are never given out."""

    NO_DOMAIN = 1, "noDomain", "Without the definition that the domain had then.", "VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN"
    SIZE = 2, "size", "With how much changed since; only while the domain runs.", "VIR_DOMAIN_CHECKPOINT_XML_SIZE"


class BackupFlags(Flags):
    """How a backup is made."""

    REUSE_EXTERNAL = 1, "reuseExternal", "Take the target images that are there already instead of making new ones.", "VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL"


class CreateCheckpoint(Operation, on=Domain, number=95, needs=Access.DEFINE, api="virDomainCheckpointCreateXML"):
    """Make a checkpoint: from now on, the changes of the disks are recorded."""

    xml: Xml = argument(1, "What it is called, and which disks it is for, as libvirt's checkpoint XML; left out, all is as libvirt likes.", default="<domaincheckpoint/>")
    flags: CheckpointFlags = argument(2, "How it is made.", default=CheckpointFlags(0))
    name: Name | None = out(3, "Name of the checkpoint.")


class DeleteCheckpoint(
    Operation, on=Checkpoint, number=1, needs=Access.DEFINE, api="virDomainCheckpointDelete",
    destroys="The record of the changes since the checkpoint before; backups cannot start at it any more.",
):  # fmt: skip
    """Delete the checkpoint. What it recorded goes to the one before it."""

    flags: CheckpointDeleteFlags = argument(1, "What else is deleted, or what instead.", default=CheckpointDeleteFlags(0))


class ReadCheckpointXml(Operation, on=Checkpoint, number=2, needs=Access.OBSERVE, api="virDomainCheckpointGetXMLDesc"):
    """Read all that libvirt knows about the checkpoint."""

    flags: CheckpointXmlFlags = argument(1, "How much is told.", default=CheckpointXmlFlags(0))
    xml: Xml | None = out(2, "The checkpoint, as libvirt's checkpoint XML, without secrets.")


class ReadPlace(
    Operation, on=Checkpoint, number=3, needs=Access.OBSERVE,
    api=("virDomainCheckpointGetParent", "virDomainCheckpointListAllChildren"),
):  # fmt: skip
    """Read which checkpoints are before and after this one, as it is now."""

    parent_name: Name | None = out(1, "The checkpoint before it; empty if it is the first.")
    children: Text | None = out(2, "The checkpoints that follow it directly, one a line.")
    descendants: Text | None = out(3, "All checkpoints after it, one a line.")


class ReadChanges(Operation, on=Checkpoint, number=4, needs=Access.OBSERVE, api="virDomainCheckpointGetXMLDesc"):
    """Read how much of the disks changed since the checkpoint: what a backup from here on would hold. Only while the domain runs."""

    size: Bytes | None = out(1, "What changed on all its disks.")
    disks: Text | None = out(2, "The same for each disk, one a line: the target, and the bytes that changed.")


class BeginBackup(
    Operation, on=Domain, number=98, needs=Access.DEFINE, job=True, cancel="virDomainAbortJobFlags", allowed=ACTIVE,
    api="virDomainBackupBegin", destroys="What the target images held before.",
):  # fmt: skip
    """Back up disks of the domain while it runs. A backup that is pushed into images is done when these are complete. One that is
    to be pulled by a client goes on when this has been done, until EndBackup."""

    xml: Xml = argument(1, "Which disks, to where or by which socket, and since which checkpoint, as libvirt's backup XML; left out, all disks are pushed into images beside theirs.", default="<domainbackup/>")
    checkpoint_xml: Xml | None = argument(2, "A checkpoint to be made at the same moment, as libvirt's checkpoint XML.", default=None)
    flags: BackupFlags = argument(3, "How it is made.", default=BackupFlags(0))


class EndBackup(Operation, on=Domain, number=97, needs=Access.DEFINE, allowed=ACTIVE, api="virDomainAbortJobFlags"):
    """End the running backup of the domain. One that is pulled is ended like this when the client has what it wants; the images of
    one that is pushed are left incomplete."""


class ReadBackupXml(Operation, on=Domain, number=99, needs=Access.OBSERVE, api="virDomainBackupGetXMLDesc"):
    """Read what the running backup of the domain does."""

    xml: Xml | None = out(1, "The backup, as libvirt's backup XML.")


ROWS: tuple[type[Row], ...] = (Checkpoint,)
OPERATIONS: tuple[type[Operation], ...] = (
    CreateCheckpoint, DeleteCheckpoint, ReadCheckpointXml, ReadPlace, ReadChanges, BeginBackup, EndBackup,
    ReadBackupXml,
)  # fmt: skip
EVENTS: tuple[type[Event], ...] = ()
