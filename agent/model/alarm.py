"""The alarm: something that the configuration calls wrong, for as long as it is."""

from agent.model.domain import Domain
from agent.model.element import ELEMENT
from agent.model.occurrence import Occurrence, PerceivedSeverity
from agent.schema.declare import (
    AlertType,
    Association,
    Cause,
    Event,
    Index,
    Operation,
    Row,
    Severity,
    column,
    detail,
    key,
    taken,
)
from agent.schema.types import Enumeration, Level, Name, Ordinal, Seconds, Text, Timestamp, Uuid


class AlarmKind(Enumeration):
    """What an alarm watches, and what its value counts."""

    CPU = 1, "cpu", "How busy the vCPUs of a domain are: percent of what they could do."
    MEMORY = 2, "memory", "How much of the memory that a domain has its guest uses: percent."
    DISK = 3, "disk", "How far a disk of a domain is filled: percent of its capacity."
    POOL = 4, "pool", "How far a storage pool is filled: percent of its capacity."
    STEAL = 5, "steal", "How long the vCPUs of a domain waited for a processor of the host: percent of the time."
    IO_ERRORS = 6, "ioErrors", "Errors of a disk of a domain, as many as there were in a minute."
    DOWN = 7, "down", "A domain that should start with the host, and does not run: 1."
    LOG = 8, "log", "Lines of a log that match a pattern, as many as there were in a minute."
    HOST_CPU = 9, "hostCpu", "How busy the processors of the host are: percent."
    HOST_MEMORY = 10, "hostMemory", "How much of the memory of the host is used, but for what is cached: percent."
    DISCONNECTED = 11, "disconnected", "There is no connection to the hypervisor: 1."


class Alarm(
    Row, table=910, cim="CIM_ManagedElement", index=Index.DIRECT, internal=True,
    fills={"ElementName": taken("rule", "object", how="{0}: {1}".format), "Description": taken("message")},
    nulls={k: ELEMENT[k] for k in ("InstanceID", "Caption")},
):  # fmt: skip
    """An alarm that is raised. It goes when it is cleared."""

    number: Ordinal = key(2, "Number of the alarm, counted from the start of the agent.", api="virConnectGetAllDomainStats")
    rule: Name | None = column(3, "Name of the rule in the configuration of the agent.")
    kind: AlarmKind | None = column(4, "What the rule watches.")
    object: Name | None = column(5, "What the alarm is about, such as domain web, or disk vda of domain web.")
    domain: Uuid | None = column(
        6, "UUID of the domain, if it is about one.", ref=Domain,
        association=Association(
            name="Virtmap_AlarmedDomain", base="CIM_Dependency", far="Antecedent", near="Dependent",
            description="The domain that an alarm is about.",
        ),
    )  # fmt: skip
    severity: PerceivedSeverity | None = column(7, "How grave it is.")
    value: Level | None = column(8, "What was measured last, as the kind counts it.")
    threshold: Level | None = column(9, "What it reached when the alarm was raised, at least.")
    raised: Timestamp | None = column(10, "When the alarm was raised.")
    message: Text | None = column(11, "What is wrong, in a sentence.")


class AlarmEvent(
    Occurrence, on=Alarm, number=1008, abstract=True, changes=False, api="virConnectGetAllDomainStats",
    shows=("rule", "kind", "object", "domain", "value", "threshold", "raised"), alert=AlertType.QUALITY_OF_SERVICE,
):  # fmt: skip
    """What all events of an alarm tell."""


class AlarmRaised(AlarmEvent, number=60, severity=Severity.WARNING, cause=Cause.THRESHOLD_CROSSED):
    """An alarm was raised. Its severity is that of its rule."""


class AlarmCleared(AlarmEvent, number=61, cause=Cause.ALERT_CLEARED):
    """An alarm was cleared: what it was raised for is as it should be, or is no more."""

    duration: Seconds | None = detail(1, "How long it was raised.")


ROWS: tuple[type[Row], ...] = (Alarm,)
OPERATIONS: tuple[type[Operation], ...] = ()
EVENTS: tuple[type[Event], ...] = (AlarmRaised, AlarmCleared)
