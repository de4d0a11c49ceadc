"""SNMPv2-MIB (RFC 3418): the system group, the modules that the agent implements, and the counters of the engine.

Who to call, what the system is called and where it stands can be set, unless the configuration says it (as in snmpd, it is
notWritable then); what was set is kept over restarts. The counters that RFC 3418 calls obsolete are served only where the
engine counts them anyway.
"""

import functools
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from agent import __version__
from agent.access import Principal
from agent.schema.declare import Access
from agent.schema.types import Wire
from agent.snmp import ber, writers
from agent.snmp.message import Status
from agent.snmp.mib import AGENT, Oid
from agent.snmp.setting import Ask, Asker, Change, Refused
from agent.snmp.standards import Place, Standard
from agent.snmp.standards.parts import Quiet, SpinLock, counter, octets, replaced, scalar, settable
from agent.snmp.view import Column, Computed, RowIndex

SYSTEM: Oid = (1, 3, 6, 1, 2, 1, 1)
SNMP: Oid = (1, 3, 6, 1, 2, 1, 11)
SNMPV2_MIB: Oid = (1, 3, 6, 1, 6, 3, 1)
ENABLE_AUTHEN_TRAPS: Oid = (*SNMP, 30)
SET_SERIAL_NO: Oid = (*SNMPV2_MIB, 1, 6, 1)
MODULES = ((SNMPV2_MIB, "SNMPv2-MIB: the system and its SNMP agent"),)

COUNTERS = {
    1: "snmpInPkts", 2: "snmpOutPkts", 3: "snmpInBadVersions", 4: "snmpInBadCommunityNames",
    5: "snmpInBadCommunityUses", 6: "snmpInASNParseErrs", 8: "snmpInTooBigs", 9: "snmpInNoSuchNames",
    10: "snmpInBadValues", 11: "snmpInReadOnlys", 12: "snmpInGenErrs", 13: "snmpInTotalReqVars",
    14: "snmpInTotalSetVars", 15: "snmpInGetRequests", 16: "snmpInGetNexts", 17: "snmpInSetRequests",
    18: "snmpInGetResponses", 19: "snmpInTraps", 20: "snmpOutTooBigs", 21: "snmpOutNoSuchNames", 22: "snmpOutBadValues",
    24: "snmpOutGenErrs", 25: "snmpOutGetRequests", 26: "snmpOutGetNexts", 27: "snmpOutSetRequests",
    28: "snmpOutGetResponses", 29: "snmpOutTraps", 31: "snmpSilentDrops", 32: "snmpProxyDrops",
}  # fmt: skip
"""The counters of the snmp group, by their arcs. Served are those that the engine's statistics have."""

SERVICES = 72
"""sysServices: 2^(4-1) + 2^(7-1), a host with applications."""

LONGEST = 255


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Where values that were set are kept over restarts. `load` gives None for what was never stored. Both are called in
    the loop's thread, so `store` hands over to a thread what it writes, and keeps the order."""

    load: Callable[[str], str | None]
    store: Callable[[str, str], None]


def nowhere() -> Kept:
    """Keeps nothing."""
    return Kept(load=lambda _: None, store=lambda _name, _value: None)


@dataclass(frozen=True, kw_only=True)
class Configured:
    """What the configuration says of the system; None where it says nothing, and a manager may set it."""

    contact: str | None = None
    name: str | None = None
    location: str | None = None


class _Line:
    """A DisplayString that can be set as long as the configuration does not say it."""

    def __init__(self, key: str, fixed: str | None, otherwise: str, kept: Kept) -> None:
        self._key = key
        self._kept = kept
        self._stored = kept.load(key)
        self._otherwise = otherwise
        self.fixed = fixed

    @property
    def text(self) -> str:
        if self.fixed is not None:
            return self.fixed
        return self._otherwise if self._stored is None else self._stored

    def column(self, oid: Oid) -> Column:
        writer = None if self.fixed is not None else self
        return settable(self._key, oid, "DisplayString", Wire.OCTETS, lambda: octets(display_string(self.text)), writer)

    def writable(self, column: Column, principal: Principal) -> bool:
        return principal.role >= Access.ADMINISTER

    def steps(self, asks: Sequence[Ask], asker: Asker) -> Sequence[Change]:
        return [self._change(ask) for ask in asks]

    def _change(self, ask: Ask) -> Change:
        writers.expect(ber.OCTETS, ask)
        new = writers.octets(ask, 0, LONGEST)
        if not is_display_string(new):
            raise Refused(Status.WRONG_VALUE, ask.index, "not NVT ASCII")
        if ask.row is None:
            raise Refused(Status.NO_CREATION, ask.index)
        if self.fixed is not None:
            raise Refused(Status.NOT_WRITABLE, ask.index, "the configuration says it")
        return replaced(ask, lambda: self.text, self._put, new.decode("ascii"))

    def _put(self, text: str) -> None:
        self._stored = text
        self._kept.store(self._key, text)


class _Switch:
    """snmpEnableAuthenTraps. What was set holds until the configuration says something else than it did then."""

    KEY = "snmpEnableAuthenTraps"

    def __init__(self, initial: bool, kept: Kept) -> None:
        self._kept = kept
        self._initial = initial
        set_to, _, configured = (kept.load(self.KEY) or "").partition(" under ")
        self.on = set_to == "enabled" if configured == _state(initial) else initial

    def configure(self, initial: bool) -> None:
        if initial is not self._initial:
            self._initial = self.on = initial

    def column(self) -> Column:
        return settable(
            self.KEY,
            ENABLE_AUTHEN_TRAPS,
            "INTEGER",
            Wire.INTEGER,
            lambda: ber.encode_integer(1 if self.on else 2),
            self,
        )

    def writable(self, column: Column, principal: Principal) -> bool:
        return principal.role >= Access.ADMINISTER

    def steps(self, asks: Sequence[Ask], asker: Asker) -> Sequence[Change]:
        return [self._change(ask) for ask in asks]

    def _change(self, ask: Ask) -> Change:
        number = writers.one_of(ask, (1, 2))
        if ask.row is None:
            raise Refused(Status.NO_CREATION, ask.index)
        return replaced(ask, lambda: self.on, self._put, number == 1)

    def _put(self, on: bool) -> None:
        self.on = on
        self._kept.store(self.KEY, f"{_state(on)} under {_state(self._initial)}")


def _state(on: bool) -> str:
    return "enabled" if on else "disabled"


class SnmpV2Mib:
    """Serves the module in every context; what can be set is the same in all of them."""

    def __init__(
        self, kept: Kept | None = None, configured: Configured | None = None, *, authentication_traps: bool = True
    ) -> None:
        kept = kept or nowhere()
        said = configured or Configured()
        self._contact = _Line("sysContact", said.contact, "", kept)
        # The fully qualified name would take a resolver, and its time.
        self._name = _Line("sysName", said.name, platform.node(), kept)
        self._location = _Line("sysLocation", said.location, "", kept)
        self._switch = _Switch(authentication_traps, kept)
        self._serial = SpinLock("snmpSetSerialNo", Access.OPERATE)

    @property
    def authentication_traps(self) -> bool:
        """Whether authenticationFailure may be sent, as it is now."""
        return self._switch.on

    def configure(self, configured: Configured, *, authentication_traps: bool) -> None:
        """Another configuration, from now on; contexts show it when they are renewed."""
        self._contact.fixed, self._name.fixed = configured.contact, configured.name
        self._location.fixed = configured.location
        self._switch.configure(authentication_traps)

    def __call__(self, place: Place) -> Standard:
        def columns() -> Iterable[Column]:
            return [*self._system(place), *_object_resources(place.engine.modules()), *self._snmp(place)]

        return Quiet(MODULES, columns)

    def _system(self, place: Place) -> Iterable[Column]:
        engine = place.engine
        told = f"virtmap {__version__}, agent of the hypervisor {place.hypervisor}; {platform.platform(terse=True)}"
        description = octets(display_string(told))
        yield scalar((*SYSTEM, 1), lambda: description)
        yield scalar((*SYSTEM, 2), lambda: ber.encode_oid(AGENT))
        yield scalar((*SYSTEM, 3), lambda: ber.encode_integer(engine.uptime(), ber.TICKS))
        yield self._contact.column((*SYSTEM, 4))
        yield self._name.column((*SYSTEM, 5))
        yield self._location.column((*SYSTEM, 6))
        yield scalar((*SYSTEM, 7), lambda: ber.encode_integer(SERVICES))
        yield scalar((*SYSTEM, 8), lambda: ber.encode_integer(0, ber.TICKS))

    def _snmp(self, place: Place) -> Iterable[Column]:
        statistics = place.engine.statistics
        for arc, name in COUNTERS.items():
            if hasattr(statistics, name):
                yield counter((*SNMP, arc), functools.partial(getattr, statistics, name))
        yield self._switch.column()
        yield self._serial.column(SET_SERIAL_NO)


def _object_resources(modules: Sequence[tuple[Oid, str]]) -> Iterable[Column]:
    """sysORTable: a row for each module that the agent implements, there since its start."""
    index = RowIndex(tuple((i,) for i in range(1, len(modules) + 1)))
    entry = (*SYSTEM, 9, 1)
    yield Computed((*entry, 2), index, lambda row: ber.encode_oid(modules[row][0]))
    yield Computed((*entry, 3), index, lambda row: octets(display_string(modules[row][1])))
    yield Computed((*entry, 4), index, lambda row: ber.encode_integer(0, ber.TICKS))


def is_display_string(value: bytes) -> bool:
    """Whether these octets are NVT ASCII: seven bits each, and a carriage return only before a line feed or a NUL
    (RFC 2579, DisplayString)."""
    return value.isascii() and b"\r" not in value.replace(b"\r\n", b"").replace(b"\r\0", b"")


def display_string(text: str) -> bytes:
    """A text as a DisplayString: what ASCII does not have becomes a question mark, what is too long is cut."""
    value = text.encode("ascii", "replace")[:LONGEST]
    return value if is_display_string(value) else value.replace(b"\r", b" ")
