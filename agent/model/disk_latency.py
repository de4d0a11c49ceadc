"""The disk latency: one bin of the histogram that a disk keeps of how long an operation takes."""

from agent.model.disk import Disk
from agent.model.element import STATISTICAL
from agent.model.vcpu_statistic import STATISTICS
from agent.schema.declare import Row, column, key, parent, taken
from agent.schema.types import Enumeration, Name, Nanoseconds, Ordinal, Requests, Uuid


class DiskOperation(Enumeration):
    """What is asked of a disk. Names of members are libvirt's, in capitals."""

    READ = 1, "read", "Reading."
    WRITE = 2, "write", "Writing."
    ZONE_APPEND = 3, "zoneAppend", "Writing at the end of a zone of a zoned disk."
    FLUSH = 4, "flush", "Making what was written permanent."


class DiskLatency(
    Row, table=7, of=Disk, cim="CIM_StatisticalData", association=STATISTICS, discontinuity="counters_since",
    fills={
        "InstanceID": taken("domain", "disk", "operation", "bin",
                            how=lambda domain, disk, operation, n: f"virtmap:{domain}/{disk}/latency/{operation.label}/{n}"),
        "ElementName": taken("disk", "operation", "bin", how=lambda disk, operation, n: f"{disk} {operation.label} {n}"),
    },
    nulls=STATISTICAL,
):  # fmt: skip
    """A bin of a latency histogram of a disk, which keeps one of each operation where its definition asks for it."""

    domain: Uuid = parent("UUID of the domain it belongs to.")
    disk: Name = parent("Target of the disk it belongs to.")
    operation: DiskOperation = key(2, "The operation whose time is taken.", api="virConnectGetAllDomainStats")
    bin: Ordinal = key(3, "Number of the bin within the histogram, from 0.", api="virConnectGetAllDomainStats")
    start: Nanoseconds | None = column(4, "Shortest time that falls into the bin; the longest is below the start of the next.", api="virConnectGetAllDomainStats", stats="block.<num>.latency_histogram.<operation>.bin.<bin>.start")
    requests: Requests | None = column(5, "Requests that took such a time.", api="virConnectGetAllDomainStats", stats="block.<num>.latency_histogram.<operation>.bin.<bin>.value")
