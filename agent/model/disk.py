"""The disk: a block device of a domain, with the image behind it and what goes through it."""

from agent.model.domain import DEVICES, Domain
from agent.model.element import DEVICE
from agent.schema.declare import Row, column, constant, key, parent, taken
from agent.schema.types import Bytes, Count, CpuTime, Enumeration, Events, Flag, Name, Octets, Requests, Text, Uuid


class DiskDevice(Enumeration):
    """What the guest takes the disk for."""

    DISK = 1, "disk", "A hard disk."
    CDROM = 2, "cdrom", "A CD-ROM drive."
    FLOPPY = 3, "floppy", "A floppy drive."
    LUN = 4, "lun", "A SCSI unit with commands passed through to the host."


class DiskError(Enumeration):
    """What went wrong with a disk last."""

    NONE = 1, "none", "Nothing.", "VIR_DOMAIN_DISK_ERROR_NONE"
    UNSPECIFIED = 2, "unspecified", "An error without further detail.", "VIR_DOMAIN_DISK_ERROR_UNSPEC"
    NO_SPACE = 3, "noSpace", "No space was left for the image.", "VIR_DOMAIN_DISK_ERROR_NO_SPACE"


class Disk(
    Row, table=4, of=Domain, cim="CIM_DiskDrive", association=DEVICES, discontinuity="counters_since", action=100,
    fills={
        "DeviceID": taken("domain", "target", how="{0}/{1}".format),
        "ElementName": taken("target"),
        "Name": taken("target"),
        "OperationalStatus": taken("error", how=lambda error: (2,) if error is DiskError.NONE else (6,)),
        "HealthState": taken("error", how=lambda error: 5 if error is DiskError.NONE else 20),
        "EnabledState": constant(5),
        "RequestedState": constant(12),
        "Capabilities": taken("read_only", how=lambda read_only: (2, 3) if read_only else (2, 3, 4)),
        "MaxMediaSize": taken("capacity", how=lambda capacity: capacity // 1024),
        "NumberOfMediaSupported": constant(1),
    },
    nulls={
        **DEVICE,
        "CapabilityDescriptions": "Capabilities says it already.",
        "DefaultBlockSize": "libvirt does not give the sector size with the statistics.",
        "MediaIsLocked": "libvirt does not tell.",
        "Security": "It is not a property of a virtual disk.",
        "DiskType": "A virtual disk has no build.",
        "Encryption": "libvirt tells it of volumes, not of disks.",
        "InterconnectSpeed": "A virtual bus has no rated speed.",
        "InterconnectType": "The bus is a property of its own.",
        "OtherInterconnectType": "The bus is a property of its own.",
    },
):  # fmt: skip
    """A disk of a domain: what the guest sees, the image behind it, and its traffic."""

    domain: Uuid = parent("UUID of the domain it belongs to.")
    target: Name = key(2, "Name of the disk within the domain, such as vda.", api="virDomainGetXMLDesc", stats="block.<num>.name")
    source: Text | None = column(3, "The image: a path, a device, a volume or a network address.", api="virDomainGetXMLDesc", stats="block.<num>.path")
    type: Name | None = column(4, "What kind of thing the image is: file, block, dir, network, volume.", api="virDomainGetXMLDesc")
    device: DiskDevice | None = column(5, "What the guest takes it for.", api="virDomainGetXMLDesc")
    bus: Name | None = column(6, "The bus it is attached to, such as virtio, sata or scsi.", api="virDomainGetXMLDesc")
    format: Name | None = column(7, "Format of the image, such as raw or qcow2.", api="virDomainGetXMLDesc")
    cache: Name | None = column(8, "How the host caches it.", api="virDomainGetXMLDesc")
    io: Name | None = column(9, "How the host does its input and output: threads, native, io_uring.", api="virDomainGetXMLDesc")
    discard: Name | None = column(10, "Whether discards of the guest reach the image.", api="virDomainGetXMLDesc")
    serial: Name | None = column(11, "Serial number that the guest sees.", api="virDomainGetXMLDesc")
    read_only: Flag | None = column(12, "Whether the guest may only read it.", api="virDomainGetXMLDesc")
    shareable: Flag | None = column(13, "Whether several domains may have it at once.", api="virDomainGetXMLDesc")
    alias: Name | None = column(14, "libvirt's name of the device in its domain.", api="virDomainGetXMLDesc")
    backing_index: Count | None = column(15, "Its place in the chain of backing images.", api="virConnectGetAllDomainStats", stats="block.<num>.backingIndex")
    boot_order: Count | None = column(16, "Its turn when the guest looks for something to boot.", api="virDomainGetXMLDesc")
    error: DiskError | None = column(17, "What went wrong with it last.", api="virDomainGetDiskErrors")
    capacity: Bytes | None = column(20, "Size that the guest sees.", api="virDomainGetBlockInfo", stats="block.<num>.capacity")
    allocation: Bytes | None = column(21, "Highest offset written so far, or space taken up, as the format counts it.", api="virDomainGetBlockInfo", stats="block.<num>.allocation")
    physical: Bytes | None = column(22, "Size of the image on the host.", api="virDomainGetBlockInfo", stats="block.<num>.physical")
    threshold: Bytes | None = column(23, "Allocation at which libvirt raises an event.", api="virConnectGetAllDomainStats", stats="block.<num>.threshold")
    read_requests: Requests | None = column(30, "Reads.", api="virDomainBlockStatsFlags", stats="block.<num>.rd.reqs")
    read_bytes: Octets | None = column(31, "What was read.", api="virDomainBlockStatsFlags", stats="block.<num>.rd.bytes")
    read_time: CpuTime | None = column(32, "Time spent on reads, all together.", api="virDomainBlockStatsFlags", stats="block.<num>.rd.times")
    write_requests: Requests | None = column(33, "Writes.", api="virDomainBlockStatsFlags", stats="block.<num>.wr.reqs")
    write_bytes: Octets | None = column(34, "What was written.", api="virDomainBlockStatsFlags", stats="block.<num>.wr.bytes")
    write_time: CpuTime | None = column(35, "Time spent on writes, all together.", api="virDomainBlockStatsFlags", stats="block.<num>.wr.times")
    flush_requests: Requests | None = column(36, "Flushes.", api="virDomainBlockStatsFlags", stats="block.<num>.fl.reqs")
    flush_time: CpuTime | None = column(37, "Time spent on flushes, all together.", api="virDomainBlockStatsFlags", stats="block.<num>.fl.times")
    errors: Events | None = column(38, "Errors, on hypervisors that count them.", api="virDomainBlockStats", stats="block.<num>.errors")
    limit_request_alignment: Bytes | None = column(50, "Alignment that every request needs.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.request_alignment")
    limit_discard_max: Bytes | None = column(51, "Largest discard.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.discard_max")
    limit_discard_alignment: Bytes | None = column(52, "Alignment of discards.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.discard_alignment")
    limit_write_zeroes_max: Bytes | None = column(53, "Most that one request can zero.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.write_zeroes_max")
    limit_write_zeroes_alignment: Bytes | None = column(54, "Best alignment of requests that zero.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.write_zeroes_alignment")
    limit_transfer_optimal: Bytes | None = column(55, "Best length of a transfer.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.transfer_optimal")
    limit_transfer_max: Bytes | None = column(56, "Largest transfer.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.transfer_max")
    limit_transfer_hw_max: Bytes | None = column(57, "Largest transfer that bypasses the host's scheduler.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.transfer_hw_max")
    limit_iov_max: Count | None = column(58, "Most pieces of memory in one request.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.iov_max")
    limit_iov_hw_max: Count | None = column(59, "Most pieces of memory in one request that bypasses the host's scheduler.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.iov_hw_max")
    limit_memory_alignment_minimal: Bytes | None = column(60, "Alignment of memory that just works.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.memory_alignment_minimal")
    limit_memory_alignment_optimal: Bytes | None = column(61, "Alignment of memory that needs no copies.", api="virConnectGetAllDomainStats", stats="block.<num>.limits.memory_alignment_optimal")
