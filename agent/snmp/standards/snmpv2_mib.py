"""SNMPv2-MIB (RFC 3418): the system group, the modules that the agent implements, and the counters of the engine."""

import platform
from collections.abc import Callable, Iterable

from agent import __version__
from agent.snmp import ber
from agent.snmp.engine import Engine, Statistics
from agent.snmp.mib import AGENT, Oid
from agent.snmp.view import SCALAR, Column, Computed, RowIndex

SYSTEM: Oid = (1, 3, 6, 1, 2, 1, 1)
SNMP: Oid = (1, 3, 6, 1, 2, 1, 11)
SNMPV2_MIB: Oid = (1, 3, 6, 1, 6, 3, 1)

_COUNTERS = {
    1: "snmpInPkts",
    3: "snmpInBadVersions",
    4: "snmpInBadCommunityNames",
    5: "snmpInBadCommunityUses",
    6: "snmpInASNParseErrs",
    31: "snmpSilentDrops",
    32: "snmpProxyDrops",
}


def _text(text: str) -> bytes:
    return ber.element(ber.OCTETS, text.encode()[:255])


def _scalar(oid: Oid, make: Callable[[], bytes]) -> Column:
    return Computed(oid, SCALAR, lambda _: make())


def columns(engine: Engine, hypervisor: str, *, contact: str = "", location: str = "") -> Iterable[Column]:
    """The columns of the module, for the view of one hypervisor. All are read-only."""
    description = _text(f"virtmap {__version__}, agent of the hypervisor {hypervisor}; {platform.platform(terse=True)}")
    name = _text(platform.node())  # the fully qualified name would take a resolver, and its time
    yield _scalar((*SYSTEM, 1), lambda: description)
    yield _scalar((*SYSTEM, 2), lambda: ber.encode_oid(AGENT))
    yield _scalar((*SYSTEM, 3), lambda: ber.encode_integer(engine.uptime(), ber.TICKS))
    yield _scalar((*SYSTEM, 4), lambda: _text(contact))
    yield _scalar((*SYSTEM, 5), lambda: name)
    yield _scalar((*SYSTEM, 6), lambda: _text(location))
    yield _scalar((*SYSTEM, 7), lambda: ber.encode_integer(72))  # RFC 3418: 2^(4-1) + 2^(7-1), a host with applications
    yield _scalar((*SYSTEM, 8), lambda: ber.encode_integer(0, ber.TICKS))
    yield from _object_resources(engine)
    for arc, counter in _COUNTERS.items():
        yield _scalar((*SNMP, arc), _counter(engine.statistics, counter))
    yield _scalar((*SNMP, 30), lambda: ber.encode_integer(2))  # snmpEnableAuthenTraps: disabled


def _counter(statistics: Statistics, name: str) -> Callable[[], bytes]:
    return lambda: ber.encode_integer(getattr(statistics, name) & 0xFFFF_FFFF, ber.COUNTER32)


def _object_resources(engine: Engine) -> Iterable[Column]:
    """sysORTable: a row for each module that the agent implements, there since its start."""
    modules = [(SNMPV2_MIB, "The MIB module for SNMP entities.")]
    modules += [(m.oid, f"{m.name}: {m.description}") for m in engine.mib.modules]
    index = RowIndex(tuple((i,) for i in range(1, len(modules) + 1)))
    entry = (*SYSTEM, 9, 1)
    yield Computed((*entry, 2), index, lambda row: ber.encode_oid(modules[row][0]))
    yield Computed((*entry, 3), index, lambda row: _text(modules[row][1]))
    yield Computed((*entry, 4), index, lambda row: ber.encode_integer(0, ber.TICKS))
