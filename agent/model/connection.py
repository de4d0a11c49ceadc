"""The connection to a hypervisor: when it is lost, and when it is back."""

from agent.model.host import Host
from agent.model.occurrence import Occurrence
from agent.schema.declare import AlertType, Cause, Event, Operation, Row, Severity, detail
from agent.schema.types import Seconds, Text


class ConnectionEvent(
    Occurrence, on=Host, number=1004, abstract=True, shows=("hypervisor", "hostname", "uri"), changes=False,
    alert=AlertType.COMMUNICATIONS, api=("virConnectRegisterCloseCallback", "virConnectIsAlive"),
):  # fmt: skip
    """What all events of the connection to a hypervisor tell."""


class ConnectionLost(ConnectionEvent, number=50, severity=Severity.MAJOR, cause=Cause.CONNECTION_ESTABLISHMENT_ERROR):
    """The connection to a hypervisor is lost. What happens there is not heard until it is back; what was known is shown on."""

    reason: Text | None = detail(1, "Why it is lost.")


class ConnectionRestored(ConnectionEvent, number=51, cause=Cause.ALERT_CLEARED):
    """The connection to a hypervisor is back, and everything there was read again."""

    outage: Seconds | None = detail(1, "How long there was none.")


ROWS: tuple[type[Row], ...] = ()
OPERATIONS: tuple[type[Operation], ...] = ()
EVENTS: tuple[type[Event], ...] = (ConnectionLost, ConnectionRestored)
