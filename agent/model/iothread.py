"""The IOThread: a thread of a domain that serves its disks."""

from agent.model.domain import Domain, ModificationImpact
from agent.model.domain_tuning import IMPACT, PROCESSORS
from agent.schema.declare import (
    Access,
    Association,
    Event,
    Index,
    Operation,
    Row,
    argument,
    column,
    constant,
    key,
    parent,
    taken,
)
from agent.schema.types import Count, Nanoseconds, Ordinal, Text, Uuid


class IOThread(
    Row, table=11, of=Domain, cim="CIM_SettingData", index=Index.DIRECT, action=20, association=Association(
        name="Virtmap_DomainIOThread", base="CIM_ElementSettingData", far="ManagedElement", near="SettingData",
        description="A thread that serves the disks of a domain.",
    ),
    fills={
        "InstanceID": taken("domain", "number", how="virtmap:{0}/iothread/{1}".format),
        "ElementName": taken("number", how="IOThread {0}".format),
        "ChangeableType": constant(1),
    },
    nulls={
        "Caption": "ElementName says it already.",
        "Description": "ElementName says it already.",
        "ConfigurationName": "ElementName says it already.",
    },
):  # fmt: skip
    """A thread of a domain that serves its disks."""

    domain: Uuid = parent("UUID of the domain.")
    number: Ordinal = key(2, "Its number within the domain, from 1.", api="virDomainGetIOThreadInfo")
    affinity: Text | None = column(3, "Processors of the host that it may run on, as a list of numbers and ranges.", api="virDomainGetIOThreadInfo")
    poll_max: Nanoseconds | None = column(4, "How long it may poll before it waits; 0 is not at all.", api="virConnectGetAllDomainStats")
    poll_grow: Count | None = column(5, "By what factor its polling grows when that was worth it; 0 leaves it to the hypervisor.", api="virConnectGetAllDomainStats")
    poll_shrink: Count | None = column(6, "By what divisor its polling shrinks when that was not; 0 leaves it to the hypervisor.", api="virConnectGetAllDomainStats")
    thread_pool_min: Count | None = column(7, "Least workers that it keeps for itself; none if that is left to the hypervisor.", api="virDomainGetXMLDesc")
    thread_pool_max: Count | None = column(8, "Most workers that it may have; none if that is left to the hypervisor.", api="virDomainGetXMLDesc")


class AddIOThread(Operation, on=Domain, number=25, needs=Access.OPERATE, api="virDomainAddIOThread"):
    """Give the domain one more thread that serves disks."""

    thread: Ordinal = argument(1, "Its number.", low=1)
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class PinIOThread(Operation, on=IOThread, number=1, needs=Access.OPERATE, api="virDomainPinIOThread"):
    """Change which processors of the host the thread may run on."""

    affinity: Text = argument(1, PROCESSORS)
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class SetPolling(Operation, on=IOThread, number=2, needs=Access.OPERATE, api="virDomainSetIOThreadParams"):
    """Change how the thread polls, and its workers. What is left out stays as it is."""

    impact: ModificationImpact = argument(1, IMPACT, default=ModificationImpact(0))
    poll_max: Nanoseconds | None = argument(2, "How long it may poll before it waits, in nanoseconds.", default=None)
    poll_grow: Count | None = argument(3, "By what factor its polling grows.", default=None)
    poll_shrink: Count | None = argument(4, "By what divisor its polling shrinks.", default=None)
    thread_pool_min: Count | None = argument(5, "Least workers that it keeps.", default=None, high=2**31 - 1)
    thread_pool_max: Count | None = argument(6, "Most workers that it may have.", default=None, high=2**31 - 1)


class RemoveIOThread(Operation, on=IOThread, number=3, needs=Access.OPERATE, api="virDomainDelIOThread"):
    """Take the thread away. No disk may be served by it."""

    impact: ModificationImpact = argument(1, IMPACT, default=ModificationImpact(0))


ROWS: tuple[type[Row], ...] = (IOThread,)
OPERATIONS: tuple[type[Operation], ...] = (AddIOThread, PinIOThread, SetPolling, RemoveIOThread)
EVENTS: tuple[type[Event], ...] = ()
