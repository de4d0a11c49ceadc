"""The volume: an image, or a device, in a storage pool."""

from agent.model.element import DEVICE
from agent.model.pool import Pool
from agent.model.secret import StoredSecret
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
    spelled,
    taken,
)
from agent.schema.types import Bytes, Count, Enumeration, Flag, Flags, Name, Text, Timestamp, Uuid, Xml


class VolumeType(Enumeration):
    """What kind of thing a volume is."""

    FILE = 1, "file", "A file.", "VIR_STORAGE_VOL_FILE"
    BLOCK = 2, "block", "A block device.", "VIR_STORAGE_VOL_BLOCK"
    DIRECTORY = 3, "directory", "A directory.", "VIR_STORAGE_VOL_DIR"
    NETWORK = 4, "network", "A device that is reached over the network.", "VIR_STORAGE_VOL_NETWORK"
    NETWORK_DIRECTORY = 5, "networkDirectory", "A directory that is reached over the network.", "VIR_STORAGE_VOL_NETDIR"
    PLOOP = 6, "ploop", "A directory that holds a ploop image.", "VIR_STORAGE_VOL_PLOOP"


class Volume(
    Row, table=41, of=Pool, cim="CIM_LogicalDisk", action=3,
    association=Association(
        name="Virtmap_VolumeOfPool", base="CIM_ElementAllocatedFromPool", far="Antecedent", near="Dependent",
        description="The storage pool that a volume is in.",
    ),
    fills={
        "DeviceID": spelled("{0}/{1}", "pool", "name"),
        "ElementName": taken("name"),
        "OperationalStatus": taken("problem", how=lambda problem: (6,) if problem else (2,)),
        "HealthState": taken("problem", how=lambda problem: 20 if problem else 5),
        "EnabledState": constant(5),
        "RequestedState": constant(12),
        "NameFormat": constant(1),
        "NameNamespace": constant(1),
        "Access": constant(3),
        "BlockSize": constant(1),
        "NumberOfBlocks": taken("capacity"),
        "ConsumableBlocks": taken("capacity"),
        "Primordial": constant(False),
        "ThinlyProvisioned": taken("capacity", "allocation", how=lambda capacity, allocation: allocation < capacity),
    },
    nulls={
        **DEVICE,
        "Purpose": "libvirt does not say what a volume is for.",
        "ExtentStatus": "OperationalStatus says it already.",
    },
):  # fmt: skip
    """A volume of a storage pool: an image file, a logical volume, a partition, a LUN."""

    pool: Uuid = parent("UUID of the pool it is in.")
    name: Name = key(2, "Name of the volume within its pool.", api=("virStorageVolGetName", "virStoragePoolListAllVolumes", "virStoragePoolListVolumes"), cim="Name")
    unique_key: Text | None = column(4, "What identifies the volume on the whole host.", api="virStorageVolGetKey")
    path: Text | None = column(5, "Where the volume is on the host.", api=("virStorageVolGetPath", "virStorageVolGetXMLDesc"))
    type: VolumeType | None = column(6, "What kind of thing it is.", api="virStorageVolGetXMLDesc")
    format: Name | None = column(7, "Format of its content, such as raw or qcow2.", api="virStorageVolGetXMLDesc")
    capacity: Bytes | None = column(8, "Size that whoever uses it sees.", api="virStorageVolGetXMLDesc")
    allocation: Bytes | None = column(9, "Space of its pool that it takes.", api="virStorageVolGetXMLDesc")
    physical: Bytes | None = column(10, "Length of the file or device that holds it.", api="virStorageVolGetXMLDesc")
    backing_path: Text | None = column(11, "The image that has what this one does not hold itself.", api="virStorageVolGetXMLDesc")
    backing_format: Name | None = column(12, "Format of that image.", api="virStorageVolGetXMLDesc")
    compat: Name | None = column(13, "The oldest version of QEMU's format that its features need.", api="virStorageVolGetXMLDesc")
    features: Text | None = column(14, "Features of its format that it uses, separated by spaces.", api="virStorageVolGetXMLDesc")
    cluster_size: Bytes | None = column(15, "The pieces that its format takes space in.", api="virStorageVolGetXMLDesc")
    encryption: Name | None = column(16, "How it is encrypted, such as luks; none if it is not.", api="virStorageVolGetXMLDesc")
    secret: Uuid | None = column(
        17, "The secret that opens its encryption.", api="virStorageVolGetXMLDesc", ref=StoredSecret,
        association=Association(
            name="Virtmap_VolumeSecret", base="CIM_Dependency", far="Antecedent", near="Dependent",
            description="The secret that opens an encrypted volume.",
        ),
    )  # fmt: skip
    mode: Name | None = column(18, "Its permissions, in octal.", api="virStorageVolGetXMLDesc")
    owner: Count | None = column(19, "Number of the user that it belongs to.", api="virStorageVolGetXMLDesc")
    owner_group: Count | None = column(20, "Number of the group that it belongs to.", api="virStorageVolGetXMLDesc")
    label: Text | None = column(21, "Its SELinux label.", api="virStorageVolGetXMLDesc")
    accessed: Timestamp | None = column(22, "When its content was last read.", api="virStorageVolGetXMLDesc")
    modified: Timestamp | None = column(23, "When its content was last written.", api="virStorageVolGetXMLDesc")
    changed: Timestamp | None = column(24, "When its content or its permissions last changed.", api="virStorageVolGetXMLDesc")
    no_cow: Flag | None = column(25, "Whether its filesystem was told not to copy on write.", api="virStorageVolGetXMLDesc")
    measured: Timestamp | None = column(26, "When all this was read. Volumes are many: each is read anew every few minutes, and when its pool was changed or refreshed.")
    problem: Text | None = column(27, "Why the last attempt to read it failed; empty when it did not.")


class WipeAlgorithm(Enumeration):
    """With what a volume is overwritten. All but the first and the last need the program scrub on the host."""

    ZERO = 1, "zero", "Once with zeroes.", "VIR_STORAGE_VOL_WIPE_ALG_ZERO"
    NNSA = 2, "nnsa", "Four times, after NNSA policy letter NAP-14.1-C.", "VIR_STORAGE_VOL_WIPE_ALG_NNSA"
    DOD = 3, "dod", "Four times, after DoD 5220.22-M.", "VIR_STORAGE_VOL_WIPE_ALG_DOD"
    BSI = 4, "bsi", "Nine times, as the German BSI recommended.", "VIR_STORAGE_VOL_WIPE_ALG_BSI"
    GUTMANN = 5, "gutmann", "35 times, after Gutmann.", "VIR_STORAGE_VOL_WIPE_ALG_GUTMANN"
    SCHNEIER = 6, "schneier", "Seven times, after Schneier.", "VIR_STORAGE_VOL_WIPE_ALG_SCHNEIER"
    PFITZNER7 = 7, "pfitzner7", "Seven times at random, after Pfitzner.", "VIR_STORAGE_VOL_WIPE_ALG_PFITZNER7"
    PFITZNER33 = 8, "pfitzner33", "33 times at random, after Pfitzner.", "VIR_STORAGE_VOL_WIPE_ALG_PFITZNER33"
    RANDOM = 9, "random", "Once at random.", "VIR_STORAGE_VOL_WIPE_ALG_RANDOM"
    TRIM = 10, "trim", "Not at all: its blocks are given back to the device.", "VIR_STORAGE_VOL_WIPE_ALG_TRIM"


class ResizeFlags(Flags):
    """How a volume is resized; none makes it larger."""

    ALLOCATE = 1, "allocate", "Take the new space at once.", "VIR_STORAGE_VOL_RESIZE_ALLOCATE"
    DELTA = 2, "delta", "The size is what is added, or, with shrink, what is taken away.", "VIR_STORAGE_VOL_RESIZE_DELTA"
    SHRINK = 4, "shrink", "It may become smaller.", "VIR_STORAGE_VOL_RESIZE_SHRINK"


class VolumeDeleteFlags(Flags):
    """How a volume is deleted; none takes the quick way."""

    ZEROED = 1, "zeroed", "Overwrite it with zeroes first.", "VIR_STORAGE_VOL_DELETE_ZEROED"
    WITH_SNAPSHOTS = 2, "withSnapshots", "Delete its snapshots too.", "VIR_STORAGE_VOL_DELETE_WITH_SNAPSHOTS"


class ResizeVolume(Operation, on=Volume, number=1, needs=Access.DEFINE, api="virStorageVolResize", job=True, destroys="With the flag to shrink it, what is beyond its new size."):
    """Change the capacity of the volume."""

    capacity: Bytes = argument(1, "The new size.")
    flags: ResizeFlags = argument(2, "How it is resized.", default=ResizeFlags(0))


class WipeVolume(Operation, on=Volume, number=2, needs=Access.DEFINE, api=("virStorageVolWipePattern", "virStorageVolWipe"), job=True, destroys="All data of the volume."):
    """Overwrite the volume, so that its data cannot be read again."""

    algorithm: WipeAlgorithm = argument(1, "With what it is overwritten.")


class DeleteVolume(Operation, on=Volume, number=3, needs=Access.DEFINE, api="virStorageVolDelete", job=True, destroys="The volume with all its data."):
    """Delete the volume."""

    flags: VolumeDeleteFlags = argument(1, "How it is deleted.", default=VolumeDeleteFlags(0))


class ReadVolumeXml(Operation, on=Volume, number=4, needs=Access.OBSERVE, api="virStorageVolGetXMLDesc"):
    """Read the description of the volume."""

    xml: Xml | None = out(1, "The description, as libvirt's storage volume XML.")


class MeasureVolume(Operation, on=Volume, number=5, needs=Access.OBSERVE, api=("virStorageVolGetInfoFlags", "virStorageVolGetInfo", "virStorageVolGetPath")):
    """Measure the volume now, instead of waiting until its turn comes."""

    type: VolumeType | None = out(1, "What kind of thing it is.")
    capacity: Bytes | None = out(2, "Size that whoever uses it sees.")
    allocation: Bytes | None = out(3, "Space of its pool that it takes.")
    physical: Bytes | None = out(4, "Length of the file or device that holds it.")
    path: Text | None = out(5, "Where the volume is on the host.")


ROWS: tuple[type[Row], ...] = (Volume,)
OPERATIONS: tuple[type[Operation], ...] = (
    ResizeVolume,
    WipeVolume,
    DeleteVolume,
    ReadVolumeXml,
    MeasureVolume,
)
EVENTS: tuple[type[Event], ...] = ()
