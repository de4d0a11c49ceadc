"""Notifications as PDUs and messages: a notice in, the octets of a trap out, for all three versions. No sockets, no clock.

A v2 notification begins with sysUpTime.0 and snmpTrapOID.0 (RFC 3416, section 4.2.6). The traps that every agent knows
(coldStart and so on) end with snmpTrapEnterprise.0, our sysObjectID: so a proxy can make the same v1 trap of them that
we send ourselves. A v1 trap is made by the rules of RFC 3584, section 3.2: what holds a Counter64 cannot be told in v1.

What all receivers share is encoded once: the list of variable bindings, the PDU, and the scoped PDU of v3.
"""

import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.snmp import ber
from agent.snmp.message import VERSION_1, Pdu, varbind
from agent.snmp.message3 import Level, Scoped, Security, encode, encode_scoped
from agent.snmp.mib import AGENT, Oid
from agent.snmp.notice import Notice
from agent.snmp.usm import REPORT_SIZE, LocalUser

ENTERPRISE_SPECIFIC = 6
NOWHERE = bytes(4)
"""The agent-addr of an agent that has no IPv4 address to tell."""

SNMP_TRAPS: Oid = (1, 3, 6, 1, 6, 3, 1, 1, 5)
COLD_START: Oid = (*SNMP_TRAPS, 1)
WARM_START: Oid = (*SNMP_TRAPS, 2)
AUTHENTICATION_FAILURE: Oid = (*SNMP_TRAPS, 5)
GENERIC: dict[Oid, int] = {(*SNMP_TRAPS, n): n - 1 for n in range(1, 7)}
"""The notifications that have a generic-trap of their own in v1 (RFC 3584, section 3.1)."""

SYS_UP_TIME: Oid = (1, 3, 6, 1, 2, 1, 1, 3, 0)
TRAP_OID: Oid = (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
TRAP_ENTERPRISE: Oid = (1, 3, 6, 1, 6, 3, 1, 1, 4, 3, 0)

_UP_TIME_NAME = ber.oid_contents(SYS_UP_TIME)
_TRAP_OID_NAME = ber.oid_contents(TRAP_OID)
_TRAP_ENTERPRISE_NAME = ber.oid_contents(TRAP_ENTERPRISE)
_NO_ERROR = b"\x02\x01\x00\x02\x01\x00"
_numbers = itertools.count(random.randrange(2**30))


def next_number() -> int:
    """A request-id or msgID that was not used for a long time."""
    return next(_numbers) & 0x7FFF_FFFF


def _bound(pairs: Iterable[tuple[Oid, bytes]]) -> bytes:
    return b"".join(varbind(ber.oid_contents(oid), value) for oid, value in pairs)


def varbinds(notice: Notice, uptime: int, enterprise: Oid = AGENT) -> bytes:
    """The contents of the list of variable bindings, for v2c and v3. `uptime` is in hundredths of a second."""
    told = [
        varbind(_UP_TIME_NAME, ber.encode_integer(uptime, ber.TICKS)),
        varbind(_TRAP_OID_NAME, ber.encode_oid(notice.oid)),
        notice.encoded() if notice.encoded is not None else _bound(notice.varbinds),
    ]
    if notice.oid in GENERIC and _enterprise(notice) is None:
        told.append(varbind(_TRAP_ENTERPRISE_NAME, ber.encode_oid(enterprise)))
    return b"".join(told)


def pdu(bindings: bytes, number: int, tag: int = Pdu.TRAP) -> bytes:
    """An SNMPv2-Trap-PDU, or another PDU of its shape, as an element, from the contents of its variable bindings."""
    return ber.element(tag, ber.encode_integer(number) + _NO_ERROR + ber.element(ber.SEQUENCE, bindings))


def _enterprise(notice: Notice) -> bytes | None:
    """The element of snmpTrapEnterprise.0, where a notice brings it along."""
    return next((value for oid, value in notice.varbinds if oid == TRAP_ENTERPRISE), None)


def fits_v1(varbinds: Sequence[tuple[Oid, bytes]]) -> bool:
    """Whether v1 can say it: it has no Counter64, and no exceptions."""
    return not any(
        v[0] in (ber.COUNTER64, ber.NO_SUCH_OBJECT, ber.NO_SUCH_INSTANCE, ber.END_OF_MIB_VIEW) for _, v in varbinds
    )


def pdu_v1(notice: Notice, uptime: int, address: bytes = NOWHERE, enterprise: Oid = AGENT) -> bytes | None:
    """A Trap-PDU as an element; None if v1 cannot say it. `address` is our IPv4 address, as four octets.

    RFC 3584, section 3.2: a notification whose last arc but one is zero had that put in when it came from v1.
    """
    if not fits_v1(notice.varbinds):
        return None
    generic, specific = GENERIC.get(notice.oid, ENTERPRISE_SPECIFIC), 0
    told = _enterprise(notice) or ber.encode_oid(enterprise)
    if generic == ENTERPRISE_SPECIFIC:
        above = notice.oid[:-2] if notice.oid[-2] == 0 else notice.oid[:-1]
        told, specific = ber.encode_oid(above), notice.oid[-1]
    fields = (
        told,
        ber.element(ber.IP_ADDRESS, address),
        ber.encode_integer(generic),
        ber.encode_integer(specific - 2**32 if specific >= 2**31 else specific),  # RFC 1157: an INTEGER, so signed
        ber.encode_integer(uptime, ber.TICKS),
        ber.element(ber.SEQUENCE, _bound(notice.varbinds)),
    )
    return ber.element(Pdu.TRAP_1, b"".join(fields))


def message(version: int, community: bytes, pdu: bytes) -> bytes:
    """A message of v1 or v2c."""
    return ber.element(ber.SEQUENCE, ber.encode_integer(version) + ber.element(ber.OCTETS, community) + pdu)


@dataclass(frozen=True, slots=True)
class Moment:
    """Whose message it is and when: the authoritative engine of a trap is its sender (RFC 3412, section 7.1, step 9)."""

    engine_id: bytes
    boots: int
    time: int


def scoped(engine_id: bytes, context: str, pdu: bytes) -> bytes:
    """The scoped PDU that all v3 traps of a notice share."""
    return encode_scoped(Scoped(engine_id, context.encode(), pdu))


def message3(moment: Moment, user: LocalUser, level: Level, scoped: bytes) -> bytes:
    """A message of v3 that nobody answers, protected as the level says; the user's keys must be those for our engine."""
    digest, salt = b"", b""
    if level is Level.AUTH_PRIV and user.privacy is not None:
        scoped, salt = user.privacy.encrypt(scoped, moment.boots, moment.time)
    if level and user.authenticator is not None:
        digest = user.authenticator.zeros
    security = Security(moment.engine_id, moment.boots, moment.time, user.octets, digest, salt)
    whole, at = encode(next_number(), REPORT_SIZE, level, security, scoped)
    return user.authenticator.signed(whole, at) if digest and user.authenticator is not None else whole


class Told:
    """A notice on its way: every form of it is made when the first receiver needs it, and used for all."""

    __slots__ = ("_bindings", "_pdu", "_scoped", "context", "notice", "uptime")

    def __init__(self, notice: Notice, uptime: int, context: str) -> None:
        self.notice = notice
        self.uptime = uptime
        self.context = context
        self._bindings: bytes | None = None
        self._pdu: bytes | None = None
        self._scoped: bytes | None = None

    @property
    def bindings(self) -> bytes:
        if self._bindings is None:
            self._bindings = varbinds(self.notice, self.uptime)
        return self._bindings

    @property
    def pdu(self) -> bytes:
        if self._pdu is None:
            self._pdu = pdu(self.bindings, next_number())
        return self._pdu

    def scoped(self, engine_id: bytes) -> bytes:
        if self._scoped is None:
            self._scoped = scoped(engine_id, self.context, self.pdu)
        return self._scoped

    def v1(self, community: bytes, address: bytes) -> bytes | None:
        """The v1 trap; None if v1 cannot say it."""
        made = pdu_v1(self.notice, self.uptime, address)
        return None if made is None else message(VERSION_1, community, made)
