"""A notification, as it is before anybody has decided who gets it, in which version, and how protected."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.schema.declare import Severity
from agent.snmp.mib import Oid


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What is told: `oid` is the value of snmpTrapOID.0; `varbinds` are instances and the whole elements of their values,
    without sysUpTime and snmpTrapOID; `hypervisor` is the one it is about, None for the agent itself. `kind` is the kind of
    row that it is about, in lower case, and `domain` the name of the domain, itself or what the row belongs to. `encoded` are the
    varbinds as they travel, if whoever made it knew a quick way to that.
    """

    oid: Oid
    varbinds: Sequence[tuple[Oid, bytes]] = ()
    hypervisor: str | None = None
    severity: Severity = Severity.INFORMATION
    kind: str | None = None
    domain: str | None = None
    encoded: bytes = b""
