"""QEMU's own monitor and agent commands: what libvirt has no words of its own for. Whoever uses them knows what he does."""

from agent.model.domain import ACTIVE, Domain
from agent.model.host import Host
from agent.model.occurrence import Occurrence
from agent.schema.declare import Access, Event, Operation, Row, Severity, argument, detail, out
from agent.schema.types import Enumeration, Flags, Name, Ordinal, Seconds, Text, Timestamp, Uuid, Xml

UNGUARDED = "Whatever the command takes away; libvirt does not know of it, and may be wrong about the domain afterwards."


class MonitorFlags(Flags):
    """What a command of the monitor is written in; none is QMP, in JSON."""

    HUMAN = 1, "human", "It is a line for people (HMP).", "VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP"


class MonitorCommand(
    Operation, on=Domain, number=150, needs=Access.ADMINISTER, destroys=UNGUARDED, allowed=ACTIVE,
    api=("virDomainQemuMonitorCommand", "virDomainQemuMonitorCommandWithFiles"),
):  # fmt: skip
    """Give QEMU's monitor a command. The domain is marked as tainted by it."""

    command: Text = argument(1, "The command.")
    flags: MonitorFlags = argument(2, "What it is written in.", default=MonitorFlags(0))
    answer: Xml | None = out(3, "What the monitor answers, in JSON, or as lines for people.")


class AgentPatience(Enumeration):
    """How long an answer of the guest agent is waited for, if no time is given."""

    DEFAULT = 1, "default", "As long as the hypervisor thinks right.", "VIR_DOMAIN_QEMU_AGENT_COMMAND_DEFAULT"
    BLOCK = 2, "block", "Until it comes.", "VIR_DOMAIN_QEMU_AGENT_COMMAND_BLOCK"
    NO_WAIT = 3, "noWait", "Not at all.", "VIR_DOMAIN_QEMU_AGENT_COMMAND_NOWAIT"


class AgentCommand(
    Operation, on=Domain, number=151, needs=Access.ADMINISTER, api="virDomainQemuAgentCommand", destroys=UNGUARDED, allowed=ACTIVE,
    job=True,
):  # fmt: skip
    """Give the guest agent inside the domain a command."""

    command: Text = argument(1, "The command, in JSON.")
    seconds: Seconds | None = argument(2, "How long its answer is waited for, in seconds.", default=None, low=1, high=3600)
    patience: AgentPatience = argument(3, "How long, if no time is given.", default=AgentPatience.DEFAULT)
    answer: Xml | None = out(4, "What the agent answers, in JSON.")


class AdoptProcess(Operation, on=Host, number=60, needs=Access.ADMINISTER, api="virDomainQemuAttach"):
    """Make a domain of a QEMU process that somebody else started. libvirt since 5.5 cannot any more."""

    process: Ordinal = argument(1, "Number of the process on the host.", low=1)
    uuid: Uuid | None = out(2, "UUID of the domain that it is now.")


class MonitorEvent(
    Occurrence, on=Domain, number=1190, severity=Severity.INFORMATION, shows=("uuid", "name"), changes=False,
    api=("virConnectDomainQemuMonitorEventRegister", "virConnectDomainQemuMonitorEventDeregister"),
):  # fmt: skip
    """QEMU's monitor told something. Most of it libvirt tells in words of its own too, so that this is told only where the agent's
    configuration asks for it."""

    event: Name | None = detail(1, "What QEMU calls it, such as STOP or JOB_STATUS_CHANGE.")
    happened: Timestamp | None = detail(2, "When it happened.")
    details: Text | None = detail(3, "What QEMU tells of it, in JSON.")


ROWS: tuple[type[Row], ...] = ()
OPERATIONS: tuple[type[Operation], ...] = (MonitorCommand, AgentCommand, AdoptProcess)
EVENTS: tuple[type[Event], ...] = (MonitorEvent,)
