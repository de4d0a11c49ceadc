"""What a host has: processors, and NUMA cells with their pages."""

from agent.model.element import DEVICE, MEMORY, STATISTICAL
from agent.model.host import RAM, Host
from agent.schema.declare import Association, Event, Index, Operation, Row, column, constant, key, parent, taken
from agent.schema.types import CpuTime, Flag, KiB, Level, Name, Ordinal, Percent, Text


class HostCpu(
    Row, table=92, of=Host, cim="CIM_Processor", association=RAM.association, index=Index.NATURAL,
    discontinuity="counters_since", abbreviation="Processor",
    fills={
        "DeviceID": taken("host", "number", how="{0}/cpu{1}".format),
        "ElementName": taken("number", how="Processor {0}".format),
        "Name": taken("number", how="cpu{0}".format),
        "OperationalStatus": taken("online", how=lambda online: (2,) if online else (10,)),
        "HealthState": constant(5),
        "EnabledState": taken("online", how=lambda online: 2 if online else 3),
        "RequestedState": constant(12),
        "CPUStatus": taken("online", how=lambda online: 1 if online else 2),
        "Role": constant("central processor"),
        "Family": constant(2),
        "NumberOfEnabledCores": constant(1),
        "LoadPercentage": taken("utilization"),
    },
    nulls={
        **DEVICE,
        "OtherFamilyDescription": "Family is unknown, not other.",
        "MaxClockSpeed": "libvirt tells one clock rate for all processors; see the host.",
        "CurrentClockSpeed": "libvirt tells one clock rate for all processors; see the host.",
        "DataWidth": "It follows from the architecture of the host.",
        "AddressWidth": "It follows from the architecture of the host.",
        "UniqueID": "DeviceID is unique already.",
    },
):  # fmt: skip
    """A logical processor of the host. Its times are read once a minute."""

    host: Name = parent("Name of the connection in the configuration of the agent.")
    number: Ordinal = key(2, "Its number, from 0.", api="virNodeGetCPUMap")
    online: Flag | None = column(3, "Whether it is switched on.", api="virNodeGetCPUMap")
    cpu_user: CpuTime | None = column(4, "Time it spent in user mode, guests included.", api="virNodeGetCPUStats")
    cpu_kernel: CpuTime | None = column(5, "Time it spent in the kernel.", api="virNodeGetCPUStats")
    cpu_idle: CpuTime | None = column(6, "Time it had nothing to do.", api="virNodeGetCPUStats")
    cpu_iowait: CpuTime | None = column(7, "Time it waited for input and output.", api="virNodeGetCPUStats")
    cpu_interrupt: CpuTime | None = column(8, "Time it served interrupts.", api="virNodeGetCPUStats")
    utilization: Percent | None = column(9, "Its use, on hypervisors that report a share instead of times.", api="virNodeGetCPUStats")


class NumaCell(
    Row, table=90, of=Host, cim="CIM_Memory", association=RAM.association, index=Index.NATURAL,
    fills={
        "DeviceID": taken("host", "number", how="{0}/numa{1}".format),
        "ElementName": taken("number", how="Memory of NUMA cell {0}".format),
        "Name": taken("number", how="numa{0}".format),
        "OperationalStatus": constant((2,)),
        "HealthState": constant(5),
        "EnabledState": constant(2),
        "RequestedState": constant(12),
        "Access": constant(3),
        "BlockSize": constant(1024),
        "NumberOfBlocks": taken("memory"),
        "ConsumableBlocks": taken("memory"),
        "Primordial": constant(True),
        "NameFormat": constant(1),
        "NameNamespace": constant(1),
        "Volatile": constant(True),
    },
    nulls=MEMORY,
):  # fmt: skip
    """A NUMA cell of the host: memory, and the processors that are near it. Read once a minute."""

    host: Name = parent("Name of the connection in the configuration of the agent.")
    number: Ordinal = key(2, "Its number, from 0.", api="virConnectGetCapabilities")
    memory: KiB | None = column(3, "Memory of the cell.", api="virConnectGetCapabilities")
    free: KiB | None = column(4, "Memory of the cell that nothing uses.", api="virNodeGetCellsFreeMemory")
    cpus: Text | None = column(5, "Processors of the cell, as a list of numbers and ranges.", api="virConnectGetCapabilities")


class PageSize(
    Row, table=91, of=NumaCell, cim="CIM_StatisticalData", index=Index.DIRECT,
    association=Association(
        name="Virtmap_NumaCellPages", base="CIM_ElementStatisticalData", far="ManagedElement", near="Stats",
        description="The pages of one size that the memory of a NUMA cell is divided into.",
    ),
    fills={
        "InstanceID": taken("host", "cell", "size", how="virtmap:{0}/numa{1}/pages/{2}".format),
        "ElementName": taken("size", how="Pages of {0} KiB".format),
    },
    nulls=STATISTICAL,
):  # fmt: skip
    """Pages of one size in a NUMA cell. Read once a minute."""

    host: Name = parent("Name of the connection in the configuration of the agent.")
    cell: Ordinal = parent("Number of the NUMA cell.")
    size: Ordinal = key(2, "Size of a page, in KiB.", api="virConnectGetCapabilities")
    pages: Level | None = column(3, "How many pages there are.", api="virConnectGetCapabilities")
    free: Level | None = column(4, "How many of them are free.", api="virNodeGetFreePages")


ROWS: tuple[type[Row], ...] = (HostCpu, NumaCell, PageSize)
OPERATIONS: tuple[type[Operation], ...] = ()
EVENTS: tuple[type[Event], ...] = ()

