"""The disk interval: how quick a disk was of late, over a time of fixed length."""

from agent.model.disk import Disk
from agent.model.element import STATISTICAL
from agent.model.vcpu_statistic import STATISTICS
from agent.schema.declare import Index, Row, column, key, parent, taken
from agent.schema.types import Name, Nanoseconds, Ordinal, Seconds, Thousandths, Uuid


class DiskInterval(
    Row, table=8, of=Disk, cim="CIM_StatisticalData", association=STATISTICS, index=Index.NATURAL,
    fills={
        "InstanceID": taken("domain", "disk", "number", how="virtmap:{0}/{1}/interval/{2}".format),
        "ElementName": taken("disk", "number", how="{0} interval {1}".format),
    },
    nulls=STATISTICAL,
):  # fmt: skip
    """Latencies and queue depths of a disk over its last interval of some length, where its definition asks for it."""

    domain: Uuid = parent("UUID of the domain it belongs to.")
    disk: Name = parent("Target of the disk it belongs to.")
    number: Ordinal = key(2, "Its number among the intervals of the disk, from 0.", api="virConnectGetAllDomainStats")
    interval: Seconds | None = column(3, "Length of the interval.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.interval")
    read_latency_average: Nanoseconds | None = column(10, "Average time of reads.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.rd_latency_avg")
    read_latency_minimum: Nanoseconds | None = column(11, "Shortest time of reads.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.rd_latency_min")
    read_latency_maximum: Nanoseconds | None = column(12, "Longest time of reads.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.rd_latency_max")
    read_queue_depth: Thousandths | None = column(13, "Average number of reads under way at a time.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.rd_queue_depth_avg")
    write_latency_average: Nanoseconds | None = column(20, "Average time of writes.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.wr_latency_avg")
    write_latency_minimum: Nanoseconds | None = column(21, "Shortest time of writes.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.wr_latency_min")
    write_latency_maximum: Nanoseconds | None = column(22, "Longest time of writes.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.wr_latency_max")
    write_queue_depth: Thousandths | None = column(23, "Average number of writes under way at a time.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.wr_queue_depth_avg")
    zone_append_latency_average: Nanoseconds | None = column(30, "Average time of appends to a zone.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.zone_append_latency_avg")
    zone_append_latency_minimum: Nanoseconds | None = column(31, "Shortest time of appends to a zone.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.zone_append_latency_min")
    zone_append_latency_maximum: Nanoseconds | None = column(32, "Longest time of appends to a zone.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.zone_append_latency_max")
    zone_append_queue_depth: Thousandths | None = column(33, "Average number of appends to a zone under way at a time.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.zone_append_queue_depth_avg")
    flush_latency_average: Nanoseconds | None = column(40, "Average time of flushes.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.flush_latency_avg")
    flush_latency_minimum: Nanoseconds | None = column(41, "Shortest time of flushes.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.flush_latency_min")
    flush_latency_maximum: Nanoseconds | None = column(42, "Longest time of flushes.", api="virConnectGetAllDomainStats", stats="block.<num>.timed_group.<index>.flush_latency_max")
