"""The storage pool: where a host has volumes, such as a directory, a volume group, or a share of another machine."""

from agent.model.host import Host
from agent.model.occurrence import Occurrence
from agent.model.secret import StoredSecret
from agent.schema.declare import (
    Access,
    Association,
    Event,
    Operation,
    Row,
    Severity,
    argument,
    column,
    constant,
    key,
    mapped,
    out,
    previous,
    spelled,
    taken,
    when,
)
from agent.schema.types import Bytes, Count, Enumeration, Flag, Flags, Name, Text, Timestamp, Uuid, Xml


class PoolState(Enumeration):
    """What a pool is doing."""

    INACTIVE = 1, "inactive", "It is not in use; its volumes cannot be seen.", "VIR_STORAGE_POOL_INACTIVE", {"OperationalStatus": (10,), "HealthState": 5}
    BUILDING = 2, "building", "It is being built.", "VIR_STORAGE_POOL_BUILDING", {"OperationalStatus": (8,), "HealthState": 5}
    RUNNING = 3, "running", "It is in use.", "VIR_STORAGE_POOL_RUNNING", {"OperationalStatus": (2,), "HealthState": 5}
    DEGRADED = 4, "degraded", "It is in use, with something missing.", "VIR_STORAGE_POOL_DEGRADED", {"OperationalStatus": (3,), "HealthState": 10}
    INACCESSIBLE = 5, "inaccessible", "It is in use and cannot be reached.", "VIR_STORAGE_POOL_INACCESSIBLE", {"OperationalStatus": (12,), "HealthState": 20}


class Pool(
    Row, table=40, cim="CIM_StoragePool", action=3,
    fills={
        "InstanceID": spelled("virtmap:pool/{0}", "uuid"),
        "Name": taken("name"),
        "Description": taken("name", "type", how="Storage pool {0} of type {1}".format),
        "OperationalStatus": mapped("state"),
        "HealthState": mapped("state"),
        "Primordial": constant(False),
        "Capacity": taken("capacity"),
        "Reserved": taken("allocation"),
        "ResourceType": constant(31),
        "ResourceSubType": taken("type"),
        "AllocationUnits": constant("byte"),
    },
    nulls={
        "Caption": "ElementName says it already.",
        "InstallDate": "libvirt does not record when an object came to be.",
        "StatusDescriptions": "OperationalStatus and State say it already.",
        "CommunicationStatus": "OperationalStatus says it already.",
        "DetailedStatus": "OperationalStatus and State say it already.",
        "OperatingStatus": "OperationalStatus says it already.",
        "PrimaryStatus": "HealthState says it already.",
        "OtherResourceType": "ResourceType has a standard value that fits.",
    },
):  # fmt: skip
    """A storage pool: a place on the host, or on the network, that volumes are kept in."""

    uuid: Uuid = key(2, "Identifies the pool.", api=("virStoragePoolGetUUIDString", "virStoragePoolGetUUID"), cim="PoolID")
    name: Name | None = column(4, "Name of the pool, unique on its host.", api="virStoragePoolGetName", cim="ElementName")
    state: PoolState | None = column(5, "What the pool is doing.", api="virStoragePoolGetInfo")
    active: Flag | None = column(6, "Whether it is in use.", api="virStoragePoolIsActive")
    persistent: Flag | None = column(7, "Whether its definition stays when it is stopped.", api="virStoragePoolIsPersistent")
    autostart: Flag | None = column(8, "Whether it is started together with libvirt's daemon.", api="virStoragePoolGetAutostart")
    type: Name | None = column(9, "What it is made of: dir, fs, netfs, logical, disk, iscsi, rbd and the like.", api="virStoragePoolGetXMLDesc")
    capacity: Bytes | None = column(10, "All the space that it has.", api="virStoragePoolGetInfo", cim="TotalManagedSpace")
    allocation: Bytes | None = column(11, "The space that is taken.", api="virStoragePoolGetInfo")
    available: Bytes | None = column(12, "The space that is left.", api="virStoragePoolGetInfo", cim="RemainingManagedSpace")
    volumes: Count | None = column(13, "Volumes in it; none told while it is not in use.", api=("virStoragePoolListAllVolumes", "virStoragePoolNumOfVolumes"))
    path: Text | None = column(14, "Where on the host its volumes appear.", api="virStoragePoolGetXMLDesc")
    source_hosts: Text | None = column(15, "The machines that it comes from, one a line, each with its port if one is given.", api="virStoragePoolGetXMLDesc")
    source_devices: Text | None = column(16, "The devices that it is made of, one a line.", api="virStoragePoolGetXMLDesc")
    source_directory: Text | None = column(17, "The exported directory that it comes from.", api="virStoragePoolGetXMLDesc")
    source_name: Text | None = column(18, "What it is called where it comes from, such as the name of a volume group.", api="virStoragePoolGetXMLDesc")
    source_adapter: Text | None = column(19, "The SCSI or Fibre Channel adapter that it is behind.", api="virStoragePoolGetXMLDesc")
    source_initiator: Text | None = column(20, "The iSCSI name by which the host logs in.", api="virStoragePoolGetXMLDesc")
    source_format: Name | None = column(21, "How its source is laid out, such as ext4, nfs or lvm2.", api="virStoragePoolGetXMLDesc")
    source_vendor: Name | None = column(22, "Maker of the machine that it comes from.", api="virStoragePoolGetXMLDesc")
    source_product: Name | None = column(23, "Product name of the machine that it comes from.", api="virStoragePoolGetXMLDesc")
    protocol_version: Name | None = column(24, "Version of the network protocol by which it is reached.", api="virStoragePoolGetXMLDesc")
    mode: Name | None = column(25, "Permissions of its directory, in octal.", api="virStoragePoolGetXMLDesc")
    owner: Count | None = column(26, "Number of the user that its directory belongs to.", api="virStoragePoolGetXMLDesc")
    owner_group: Count | None = column(27, "Number of the group that its directory belongs to.", api="virStoragePoolGetXMLDesc")
    label: Text | None = column(28, "SELinux label of its directory.", api="virStoragePoolGetXMLDesc")
    auth_type: Name | None = column(29, "How the host logs in at the source: chap or ceph.", api="virStoragePoolGetXMLDesc")
    auth_user: Name | None = column(30, "The user name that the host logs in with.", api="virStoragePoolGetXMLDesc")
    auth_secret: Uuid | None = column(
        31, "The secret that the host logs in with.", api="virStoragePoolGetXMLDesc", ref=StoredSecret,
        association=Association(
            name="Virtmap_PoolSecret", base="CIM_Dependency", far="Antecedent", near="Dependent",
            description="The secret that a host needs to use a storage pool.",
        ),
    )  # fmt: skip
    host: Name | None = column(
        32, "The host that the pool is on.", api=("virConnectListAllStoragePools", "virConnectListStoragePools", "virConnectListDefinedStoragePools", "virConnectNumOfStoragePools", "virConnectNumOfDefinedStoragePools"), ref=Host,
        association=Association(
            name="Virtmap_HostedPool", base="CIM_HostedResourcePool", far="GroupComponent", near="PartComponent",
            description="The host that a storage pool is on.",
        ),
    )  # fmt: skip
    refreshed: Timestamp | None = column(90, "When this row was read from the hypervisor.")
    problem: Text | None = column(91, "Why the last attempt to read it, or some of its volumes, failed; empty when it did not.")


ACTIVE = when("state", PoolState.RUNNING, PoolState.DEGRADED, PoolState.INACCESSIBLE)
INACTIVE = when("state", PoolState.INACTIVE)

OVERWRITES = "What is where the pool is made, with the flag to overwrite it."


class PoolDefineFlags(Flags):
    """How the definition of a pool is taken."""

    VALIDATE = 1, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_STORAGE_POOL_DEFINE_VALIDATE"


class PoolCreateFlags(Flags):
    """What is done before a pool is started; none starts what is there."""

    BUILD = 1, "build", "Build it.", "VIR_STORAGE_POOL_CREATE_WITH_BUILD"
    OVERWRITE = 2, "overwrite", "Build it, and overwrite what is there.", "VIR_STORAGE_POOL_CREATE_WITH_BUILD_OVERWRITE"
    NO_OVERWRITE = 4, "noOverwrite", "Build it, and fail if something is there.", "VIR_STORAGE_POOL_CREATE_WITH_BUILD_NO_OVERWRITE"


class PoolBuildFlags(Flags):
    """How a pool is built; none builds it anew."""

    REPAIR = 1, "repair", "Mend what is there.", "VIR_STORAGE_POOL_BUILD_REPAIR"
    RESIZE = 2, "resize", "Extend what is there.", "VIR_STORAGE_POOL_BUILD_RESIZE"
    NO_OVERWRITE = 4, "noOverwrite", "Fail if something is there.", "VIR_STORAGE_POOL_BUILD_NO_OVERWRITE"
    OVERWRITE = 8, "overwrite", "Overwrite what is there.", "VIR_STORAGE_POOL_BUILD_OVERWRITE"


class PoolDeleteFlags(Flags):
    """How the storage of a pool is deleted; none takes the quick way."""

    ZEROED = 1, "zeroed", "Overwrite all of it with zeroes.", "VIR_STORAGE_POOL_DELETE_ZEROED"


class PoolXmlFlags(Flags):
    """Which definition of a pool is read."""

    INACTIVE = 1, "inactive", "The definition for the next start instead of that in use.", "VIR_STORAGE_XML_INACTIVE"


class VolumeCreateFlags(Flags):
    """How a volume is made."""

    PREALLOC_METADATA = 1, "preallocMetadata", "Take the space for the tables of the image at once.", "VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA"
    REFLINK = 2, "reflink", "Let a clone share its blocks with the original until they are written.", "VIR_STORAGE_VOL_CREATE_REFLINK"
    VALIDATE = 4, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_STORAGE_VOL_CREATE_VALIDATE"


class DefinePool(Operation, on=Host, number=25, needs=Access.DEFINE, api="virStoragePoolDefineXML", makes=Pool):
    """Define a persistent storage pool, or redefine the one that has this UUID."""

    xml: Xml = argument(1, "The definition, as libvirt's storage pool XML.")
    flags: PoolDefineFlags = argument(2, "How the definition is taken.", default=PoolDefineFlags(0))
    uuid: Uuid | None = out(3, "UUID of the pool that is now defined.")


class CreatePool(Operation, on=Host, number=26, needs=Access.DEFINE, api="virStoragePoolCreateXML", makes=Pool, destroys=OVERWRITES):
    """Start a storage pool without a lasting definition: it is gone when it is stopped."""

    xml: Xml = argument(1, "The definition, as libvirt's storage pool XML.")
    flags: PoolCreateFlags = argument(2, "What is done before it is started.", default=PoolCreateFlags(0))
    uuid: Uuid | None = out(3, "UUID of the pool.")


class FindPoolSources(Operation, on=Host, number=27, needs=Access.OPERATE, api="virConnectFindStoragePoolSources", job=True):
    """Look for what storage pools of a type could be made of. For some types the host asks another machine, which is named."""

    type: Name = argument(1, "The type of pool, such as logical, netfs or iscsi.")
    xml: Xml | None = argument(2, "Where to look, as a source element of libvirt's storage pool XML; some types need none.", default=None)
    sources: Xml | None = out(3, "What was found, as source elements of libvirt's storage pool XML.")


class ReadPoolCapabilities(Operation, on=Host, number=28, needs=Access.OBSERVE, api="virConnectGetStoragePoolCapabilities"):
    """Read which types of storage pools and formats of volumes the host supports."""

    xml: Xml | None = out(1, "The capabilities, as libvirt's storage pool capabilities XML.")


class BuildPool(Operation, on=Pool, number=1, needs=Access.DEFINE, api="virStoragePoolBuild", job=True, allowed=INACTIVE, destroys="What is where the pool is built, unless a flag says otherwise."):
    """Make what the pool needs: a directory, a filesystem, a volume group, a partition table."""

    flags: PoolBuildFlags = argument(1, "How it is built.", default=PoolBuildFlags(0))


class StartPool(Operation, on=Pool, number=2, needs=Access.OPERATE, api="virStoragePoolCreate", allowed=INACTIVE, undo="StopPool"):
    """Start a defined pool: mount it, log in at it, look for its volumes."""


class BuildAndStartPool(Operation, on=Pool, number=3, needs=Access.DEFINE, api=("virStoragePoolCreate", "virStoragePoolBuild"), job=True, allowed=INACTIVE, destroys=OVERWRITES):
    """Build a defined pool and start it."""

    flags: PoolCreateFlags = argument(1, "How it is built.", default=PoolCreateFlags.BUILD)


class StopPool(Operation, on=Pool, number=4, needs=Access.OPERATE, api="virStoragePoolDestroy", allowed=ACTIVE, destroys="The definition of a pool that is not persistent. Volumes stay."):
    """Stop using the pool: unmount it, log out of it. Its volumes stay where they are."""


class DeletePool(Operation, on=Pool, number=5, needs=Access.DEFINE, api="virStoragePoolDelete", job=True, allowed=INACTIVE, destroys="The storage that the pool is made of, with whatever is left in it."):
    """Delete the storage of a pool that is stopped, such as its directory or its volume group. Its definition stays."""

    flags: PoolDeleteFlags = argument(1, "How it is deleted.", default=PoolDeleteFlags(0))


class RefreshPool(Operation, on=Pool, number=6, needs=Access.OPERATE, api="virStoragePoolRefresh", job=True, allowed=ACTIVE):
    """Let libvirt look again for the volumes of the pool, and for its sizes."""


class UndefinePool(Operation, on=Pool, number=7, needs=Access.DEFINE, api="virStoragePoolUndefine", allowed=INACTIVE, destroys="The definition. Volumes stay."):
    """Remove the definition of a pool that is stopped. Its storage stays."""


class SetPoolAutostart(Operation, on=Pool, number=8, needs=Access.OPERATE, api="virStoragePoolSetAutostart", sets="autostart"):
    """Change whether the pool is started together with libvirt's daemon."""

    autostart: Flag = argument(1, "Whether it is to be started.")


class ReadPoolXml(Operation, on=Pool, number=9, needs=Access.OBSERVE, api="virStoragePoolGetXMLDesc"):
    """Read the definition of the pool."""

    flags: PoolXmlFlags = argument(1, "Which definition.", default=PoolXmlFlags(0))
    xml: Xml | None = out(2, "The definition, as libvirt's storage pool XML.")


class CreateVolume(Operation, on=Pool, number=10, needs=Access.DEFINE, api="virStorageVolCreateXML", job=True, allowed=ACTIVE):
    """Make a volume in the pool."""

    xml: Xml = argument(1, "What it is to be like, as libvirt's storage volume XML.")
    flags: VolumeCreateFlags = argument(2, "How it is made.", default=VolumeCreateFlags(0))
    name: Name | None = out(3, "Name of the volume within the pool.")
    unique_key: Text | None = out(4, "What identifies the volume on the whole host.")
    path: Text | None = out(5, "Where the volume is on the host.")


class CloneVolume(Operation, on=Pool, number=11, needs=Access.DEFINE, api="virStorageVolCreateXMLFrom", job=True, allowed=ACTIVE):
    """Make a volume in the pool with the content of another one, which may be in another pool."""

    xml: Xml = argument(1, "What it is to be like, as libvirt's storage volume XML.")
    source: Name = argument(2, "Name of the volume to take the content from.")
    source_pool: Uuid | None = argument(3, "UUID of the pool that it is in; left out, it is in the same one.", default=None)
    flags: VolumeCreateFlags = argument(4, "How it is made.", default=VolumeCreateFlags(0))
    name: Name | None = out(5, "Name of the new volume within the pool.")
    unique_key: Text | None = out(6, "What identifies the new volume on the whole host.")
    path: Text | None = out(7, "Where the new volume is on the host.")


class PoolLifecycle(
    Occurrence, on=Pool, number=1120, abstract=True, shows=("uuid", "name", "state"),
    api=("virConnectStoragePoolEventRegisterAny", "virConnectStoragePoolEventDeregisterAny"),
):  # fmt: skip
    """What all events of a storage pool tell."""

    previous_state: PoolState | None = previous(1, "The state the pool was last seen in before.", of="state")


class PoolDefined(PoolLifecycle, number=1121, libvirt="VIR_STORAGE_POOL_EVENT_DEFINED"):
    """A storage pool was defined, or its definition changed."""


class PoolUndefined(PoolLifecycle, number=1122, libvirt="VIR_STORAGE_POOL_EVENT_UNDEFINED", severity=Severity.WARNING):
    """The definition of a storage pool was removed."""


class PoolStarted(PoolLifecycle, number=1123, libvirt="VIR_STORAGE_POOL_EVENT_STARTED"):
    """A storage pool was started."""


class PoolStopped(PoolLifecycle, number=1124, libvirt="VIR_STORAGE_POOL_EVENT_STOPPED", severity=Severity.WARNING):
    """A storage pool was stopped."""


class PoolBuilt(PoolLifecycle, number=1125, libvirt="VIR_STORAGE_POOL_EVENT_CREATED"):
    """The storage of a pool was built."""


class PoolDeleted(PoolLifecycle, number=1126, libvirt="VIR_STORAGE_POOL_EVENT_DELETED", severity=Severity.WARNING):
    """The storage of a pool was deleted."""


class PoolRefreshed(PoolLifecycle, number=1127, libvirt="VIR_STORAGE_POOL_EVENT_ID_REFRESH"):
    """libvirt looked again for the volumes of a pool."""


ROWS: tuple[type[Row], ...] = (Pool,)
OPERATIONS: tuple[type[Operation], ...] = (
    DefinePool,
    CreatePool,
    FindPoolSources,
    ReadPoolCapabilities,
    BuildPool,
    StartPool,
    BuildAndStartPool,
    StopPool,
    DeletePool,
    RefreshPool,
    UndefinePool,
    SetPoolAutostart,
    ReadPoolXml,
    CreateVolume,
    CloneVolume,
)
EVENTS: tuple[type[Event], ...] = (
    PoolDefined,
    PoolUndefined,
    PoolStarted,
    PoolStopped,
    PoolBuilt,
    PoolDeleted,
    PoolRefreshed,
)
