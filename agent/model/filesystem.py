"""The file systems that a guest has mounted, and its disks under the guest's own names: what the guest agent tells of storage."""

from agent.model.domain import DEVICES, Domain
from agent.model.element import DEVICE, ELEMENT, ENABLED
from agent.schema.declare import Association, Row, column, constant, key, parent, taken
from agent.schema.types import Bytes, Flag, Name, Text, Uuid

MOUNTED = Association(
    name="Virtmap_DomainFilesystem", base="CIM_HostedFileSystem", far="GroupComponent", near="PartComponent",
    description="A file system that the guest of a domain has mounted.",
)  # fmt: skip


class Filesystem(
    Row, table=12, of=Domain, cim="CIM_LocalFileSystem", association=MOUNTED,
    fills={
        "CSCreationClassName": constant("Virtmap_Domain"),
        "CSName": taken("domain"),
        "ElementName": taken("mountpoint"),
        "OperationalStatus": constant((2,)),
        "HealthState": constant(0),
        "EnabledState": constant(2),
        "RequestedState": constant(12),
        "AvailableSpace": taken("total", "used", how=lambda total, used: max(0, total - used)),
        "PersistenceType": constant(0),
    },
    nulls={
        **ENABLED,
        "InstanceID": ELEMENT["InstanceID"],
        "Description": "ElementName says it already.",
        "Root": "Name says it already.",
        "BlockSize": "The guest agent does not tell.",
        "ReadOnly": "The guest agent does not tell.",
    },
):  # fmt: skip
    """A file system that the guest has mounted, as its agent tells. How full it is, is as old as the agent's last answer."""

    domain: Uuid = parent("UUID of the domain.")
    mountpoint: Text = key(2, "Where it is mounted in the guest: a path, or a letter with a colon.", api=("virDomainGetGuestInfo", "virDomainGetFSInfo"), cim="Name")
    device: Text | None = column(3, "The device of the guest that it is on.", api=("virDomainGetGuestInfo", "virDomainGetFSInfo"))
    type: Name | None = column(4, "What kind it is of, such as ext4 or NTFS.", api=("virDomainGetGuestInfo", "virDomainGetFSInfo"), cim="FileSystemType")
    total: Bytes | None = column(5, "How much it holds.", api="virDomainGetGuestInfo", cim="FileSystemSize")
    used: Bytes | None = column(6, "How much of it is in use.", api="virDomainGetGuestInfo")
    disks: Text | None = column(7, "Disks of the domain that it lies on, by their target, one a line.", api=("virDomainGetGuestInfo", "virDomainGetFSInfo"))
    serials: Text | None = column(8, "Serial numbers that the guest sees on these disks, one a line.", api="virDomainGetGuestInfo")


class GuestDisk(
    Row, table=23, of=Domain, cim="CIM_LogicalDisk", association=DEVICES,
    fills={
        "DeviceID": taken("domain", "name", how="{0}/guest{1}".format),
        "ElementName": taken("name"),
        "OperationalStatus": constant((0,)),
        "HealthState": constant(0),
        "EnabledState": constant(5),
        "RequestedState": constant(12),
        "Access": constant(0),
        "Primordial": taken("parts", how=lambda parts: not parts),
        "NameFormat": constant(12),
        "NameNamespace": constant(8),
    },
    nulls={
        **DEVICE,
        "Purpose": "The guest agent does not tell.",
        "BlockSize": "The guest agent does not tell.",
        "NumberOfBlocks": "The guest agent does not tell; the disk of the domain has a capacity.",
        "ConsumableBlocks": "The guest agent does not tell.",
        "ExtentStatus": "The guest agent does not tell.",
        "ThinlyProvisioned": "The guest agent does not tell.",
    },
):  # fmt: skip
    """A block device as the guest names it: a disk, a partition, or what the guest made of them, as its agent tells."""

    domain: Uuid = parent("UUID of the domain.")
    name: Text = key(2, "Name of the device in the guest, such as /dev/vda1.", api="virDomainGetGuestInfo", cim="Name")
    partition: Flag | None = column(3, "Whether it is a partition.", api="virDomainGetGuestInfo")
    parts: Text | None = column(4, "Devices of the guest that it is made of, one a line.", api="virDomainGetGuestInfo")
    serial: Name | None = column(5, "Serial number that the guest sees.", api="virDomainGetGuestInfo")
    target: Name | None = column(6, "The disk of the domain that it is, by its target.", api="virDomainGetGuestInfo")
    alias: Name | None = column(7, "Another name that the guest has for it, such as that of an encrypted volume.", api="virDomainGetGuestInfo")
