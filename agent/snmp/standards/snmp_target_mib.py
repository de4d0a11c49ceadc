"""SNMP-TARGET-MIB (RFC 3413): where notifications go and how they are protected, read-only, and two counters of contexts.

Each target of the configuration is a row of both tables, under its own name. It has one tag, by which snmpNotifyTable
picks it: "trap" or "inform". Nothing here holds a community string: a target that is told by community has the label of
its configuration as security name.
"""

import enum
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from agent.schema.declare import Access
from agent.snmp import ber
from agent.snmp.message3 import Level
from agent.snmp.mib import Oid
from agent.snmp.rowstatus import LARGEST
from agent.snmp.standards import Place, Standard
from agent.snmp.standards.parts import (
    ACTIVE,
    READ_ONLY,
    Made,
    Quiet,
    SpinLock,
    admin_string,
    counter,
    implied,
    octets,
    table,
)
from agent.snmp.standards.snmp_vacm_mib import LEVELS
from agent.snmp.view import Column

TARGET: Oid = (1, 3, 6, 1, 6, 3, 12)
SPIN_LOCK: Oid = (*TARGET, 1, 1)
ADDRESS: Oid = (*TARGET, 1, 2, 1)
PARAMETERS: Oid = (*TARGET, 1, 3, 1)
UNAVAILABLE_CONTEXTS: Oid = (*TARGET, 1, 4)
UNKNOWN_CONTEXTS: Oid = (*TARGET, 1, 5)
MODULES = ((TARGET, "SNMP-TARGET-MIB: targets of notifications, read-only, and statistics of contexts"),)

UDP_IPV4: Oid = (1, 3, 6, 1, 6, 1, 1)
"""snmpUDPDomain (RFC 3417): four octets of address and two of port."""

UDP_IPV6: Oid = (1, 3, 6, 1, 2, 1, 100, 1, 2)
UDP_IPV6_ZONE: Oid = (1, 3, 6, 1, 2, 1, 100, 1, 4)
"""transportDomainUdpIpv6 and transportDomainUdpIpv6z (RFC 3419): of 16 octets of address and two of port, and with four
octets of a zone between them."""


class Version(enum.IntEnum):
    """SnmpMessageProcessingModel: the version of the messages that a target gets."""

    V1 = 0
    V2C = 1
    V3 = 3

    @property
    def security_model(self) -> int:
        return self.value if self is Version.V3 else self.value + 1


@dataclass(frozen=True, kw_only=True)
class Target:
    """Who is sent notifications: his IP address and port; the user for version 3, the label of the
    configuration for the others; seconds to wait for the acknowledgement of an inform, and how often it is sent again.

    `include` and `exclude` are subtrees of notifications; an empty `include` is all there are.
    """

    name: str
    host: str
    port: int
    version: Version
    security_name: str
    level: Level = Level.NO_AUTH_NO_PRIV
    inform: bool = False
    timeout: float = 1.5
    retries: int = 3
    include: tuple[Oid, ...] = ()
    exclude: tuple[Oid, ...] = ()

    @property
    def tag(self) -> str:
        return "inform" if self.inform else "trap"


class SnmpTargetMib:
    """Serves the module in every context. `targets` gives the targets that there are now: the same object until they
    change."""

    def __init__(self, targets: Callable[[], Sequence[Target]]) -> None:
        self._lock = SpinLock("snmpTargetSpinLock", Access.ADMINISTER)
        self._tables = Made(targets, _tables)

    def __call__(self, place: Place) -> Standard:
        counts = place.engine.statistics

        def columns() -> Iterable[Column]:
            yield self._lock.column(SPIN_LOCK)
            yield from self._tables()
            yield counter(UNAVAILABLE_CONTEXTS, lambda: counts.snmpUnavailableContexts)
            yield counter(UNKNOWN_CONTEXTS, lambda: counts.snmpUnknownContexts)

        return Quiet(MODULES, columns)


def by_name(target: Target) -> Oid:
    """The index arcs of a target in its tables: its name, IMPLIED."""
    return implied(target.name.encode())


def _tables(targets: Sequence[Target]) -> Iterable[Column]:
    yield from table(ADDRESS, targets, by_name, {
        2: lambda target: ber.encode_oid(transport(target.host, target.port)[0]),
        3: lambda target: octets(transport(target.host, target.port)[1]),
        4: lambda target: ber.encode_integer(min(round(target.timeout * 100), LARGEST)),
        5: lambda target: ber.encode_integer(min(target.retries, 255)),
        6: lambda target: admin_string(target.tag),
        7: lambda target: admin_string(target.name),
        8: lambda _: READ_ONLY,
        9: lambda _: ACTIVE,
    })  # fmt: skip
    yield from table(PARAMETERS, targets, by_name, {
        2: lambda target: ber.encode_integer(target.version),
        3: lambda target: ber.encode_integer(target.version.security_model),
        4: lambda target: admin_string(target.security_name),
        5: lambda target: ber.encode_integer(LEVELS[target.level]),
        6: lambda _: READ_ONLY,
        7: lambda _: ACTIVE,
    })  # fmt: skip


def transport(host: str, port: int) -> tuple[Oid, bytes]:
    """The TDomain of an address and its TAddress (RFC 3417 for IPv4, RFC 3419 for IPv6)."""
    address = ipaddress.ip_address(host)
    octets_of_port = port.to_bytes(2, "big")
    if isinstance(address, ipaddress.IPv4Address):
        return UDP_IPV4, address.packed + octets_of_port
    zone = address.scope_id
    if zone is None:
        return UDP_IPV6, address.packed + octets_of_port
    return UDP_IPV6_ZONE, address.packed + _zone(zone).to_bytes(4, "big") + octets_of_port


def _zone(name: str) -> int:
    """The number of a zone, 0 if there is no interface of that name (any more)."""
    if name.isdecimal():
        return int(name) & 0xFFFF_FFFF
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0
