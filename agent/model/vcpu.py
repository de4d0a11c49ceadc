"""The vCPU: one virtual processor of a domain."""

from agent.model.domain import DEVICES, Domain
from agent.model.element import DEVICE
from agent.schema.declare import Index, Row, column, constant, key, mapped, parent, taken
from agent.schema.types import CpuTime, Enumeration, Flag, Number, Ordinal, Text, Uuid


class VcpuState(Enumeration):
    """What a vCPU is doing."""

    OFFLINE = 1, "offline", "It is unplugged, or its domain does not run.", "VIR_VCPU_OFFLINE", {"EnabledState": 3, "OperationalStatus": (10,), "HealthState": 5, "CPUStatus": 0}
    RUNNING = 2, "running", "It runs.", "VIR_VCPU_RUNNING", {"EnabledState": 2, "OperationalStatus": (2,), "HealthState": 5, "CPUStatus": 1}
    BLOCKED = 3, "blocked", "It waits for a resource.", "VIR_VCPU_BLOCKED", {"EnabledState": 2, "OperationalStatus": (2,), "HealthState": 5, "CPUStatus": 4}


class Vcpu(
    Row, table=3, of=Domain, cim="CIM_Processor", association=DEVICES, index=Index.NATURAL, discontinuity="counters_since",
    fills={
        "DeviceID": taken("domain", "number", how="{0}/vcpu{1}".format),
        "ElementName": taken("number", how="vCPU {0}".format),
        "Name": taken("number", how="vcpu{0}".format),
        "OperationalStatus": mapped("state"),
        "HealthState": mapped("state"),
        "EnabledState": mapped("state"),
        "RequestedState": constant(12),
        "CPUStatus": mapped("state"),
        "Role": constant("virtual"),
        "Family": constant(2),
        "NumberOfEnabledCores": constant(1),
    },
    nulls={
        **DEVICE,
        "OtherFamilyDescription": "Family is unknown, not other.",
        "MaxClockSpeed": "A vCPU has no clock rate of its own.",
        "CurrentClockSpeed": "A vCPU has no clock rate of its own.",
        "DataWidth": "It follows from the architecture of the domain.",
        "AddressWidth": "It follows from the architecture of the domain.",
        "LoadPercentage": "libvirt gives times, not shares; compute it from two readings of CpuTime.",
        "UniqueID": "DeviceID is unique already.",
    },
):  # fmt: skip
    """A virtual processor of a domain."""

    domain: Uuid = parent("UUID of the domain it belongs to.")
    number: Ordinal = key(2, "Its number within the domain, from 0.", api="virDomainGetVcpus")
    state: VcpuState | None = column(3, "What it is doing.", api="virDomainGetVcpus", stats="vcpu.<num>.state")
    cpu_time: CpuTime | None = column(4, "Processor time it used.", api="virDomainGetVcpus", stats="vcpu.<num>.time")
    wait_time: CpuTime | None = column(5, "Time it wanted to run while the host let another run, as the scheduler counts waiting.", api="virConnectGetAllDomainStats", stats="vcpu.<num>.wait")
    delay_time: CpuTime | None = column(6, "Time it stood in the run queue of the host; the guest sees it as stolen.", api="virConnectGetAllDomainStats", stats="vcpu.<num>.delay")
    halted: Flag | None = column(7, "Whether it is halted: idle, or switched off by the guest.", api="virConnectGetAllDomainStats", stats="vcpu.<num>.halted")
    host_cpu: Number | None = column(8, "The host processor it runs on.", api="virDomainGetVcpus")
    affinity: Text | None = column(9, "The host processors it may run on, as a list of numbers and ranges.", api=("virDomainGetVcpus", "virDomainGetVcpuPinInfo"))
