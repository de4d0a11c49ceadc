"""The vCPU statistic: a number about a vCPU under a name that is the hypervisor's own."""

from agent.model.element import STATISTICAL
from agent.model.vcpu import Vcpu
from agent.schema.declare import Association, Row, column, key, parent, taken
from agent.schema.types import Level, Name, Ordinal, Total, Uuid

STATISTICS = Association(
    name="Virtmap_DeviceStatistics", base="CIM_ElementStatisticalData", far="ManagedElement", near="Stats",
    description="What was measured on a device of a domain.",
)  # fmt: skip


class VcpuStatistic(
    Row, table=6, of=Vcpu, cim="CIM_StatisticalData", association=STATISTICS, discontinuity="counters_since",
    fills={
        "InstanceID": taken("domain", "vcpu", "name", how="virtmap:{0}/vcpu{1}/statistic/{2}".format),
        "ElementName": taken("name"),
    },
    nulls=STATISTICAL,
):  # fmt: skip
    """What a hypervisor counts of a vCPU beyond what all of them do; names and units are its own.

    libvirt tells by the end of a name what sort of number it is, and so each sort has a column of its own: a counter
    must not be taken for a gauge. Of most names there is one sort only, and the other columns have no value.
    """

    domain: Uuid = parent("UUID of the domain it belongs to.")
    vcpu: Ordinal = parent("Number of the vCPU it belongs to.")
    name: Name = key(2, "Its name, such as halt_exits or guest_mode of KVM.", api="virConnectGetAllDomainStats")
    current: Level | None = column(3, "The value of this moment; a truth is 1, its contrary 0.", api="virConnectGetAllDomainStats", stats="vcpu.<num>.$NAME.cur")
    peak: Level | None = column(4, "The highest value there has been.", api="virConnectGetAllDomainStats", stats="vcpu.<num>.$NAME.max")
    total: Total | None = column(5, "The sum of all there has been.", api="virConnectGetAllDomainStats", stats="vcpu.<num>.$NAME.sum")
