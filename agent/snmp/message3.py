"""SNMPv3 messages: bytes <-> header, USM security parameters and scoped PDU (RFC 3412, section 6; RFC 3414, section 2.4).

No sockets, no keys. Strict: what a message must not say is a BerError, and the two cases that have counters of their own
are told apart (InvalidFlags, UnsupportedModel).
"""

import enum
from dataclasses import dataclass

from agent.snmp import ber
from agent.snmp.ber import BerError
from agent.snmp.message import VERSION_3

USM = 3
"""msgSecurityModel of the User-based Security Model; the only one spoken."""

SMALLEST = 484
"""No engine may take less (RFC 3412, section 6, msgMaxSize)."""

HIGHEST = 2**31 - 1
MAX_ENGINE_ID = 32
MAX_NAME = 32

AUTH = 0x01
PRIV = 0x02
REPORTABLE = 0x04


class Level(enum.IntEnum):
    """How a message is protected. The value is that of the flags; the order that of strength."""

    NO_AUTH_NO_PRIV = 0
    AUTH_NO_PRIV = 1
    AUTH_PRIV = 3

    @property
    def label(self) -> str:
        return {0: "noAuthNoPriv", 1: "authNoPriv", 3: "authPriv"}[self.value]


class UnsupportedModel(BerError):
    """A message of a security model other than USM."""


class InvalidFlags(BerError):
    """A message that claims privacy without authentication."""


@dataclass(frozen=True, slots=True)
class Security:
    """The security parameters of USM as they travel."""

    engine_id: bytes
    boots: int
    time: int
    user: bytes
    digest: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came. `digest_at` is where the digest stands in `whole`. `payload` is the scoped PDU as an
    element, or its encrypted octets if the level has privacy; padding may follow in what these decrypt to.
    """

    number: int
    max_size: int
    level: Level
    reportable: bool
    security: Security
    digest_at: int
    payload: bytes
    whole: bytes


@dataclass(frozen=True, slots=True)
class Scoped:
    """A scoped PDU: whose objects, in which context, and the PDU as a whole element."""

    engine_id: bytes
    context: bytes
    pdu: bytes


def _octets(data: bytes, at: int, end: int, low: int, high: int) -> tuple[bytes, int, int]:
    """The contents of an OCTET STRING of bounded length, where they start, and where they stop."""
    start, stop = ber.expect(ber.OCTETS, data, at, end)
    if not low <= stop - start <= high:
        raise BerError("an OCTET STRING of a wrong length")
    return data[start:stop], start, stop


def _number(data: bytes, at: int, end: int, low: int = 0) -> tuple[int, int]:
    """An INTEGER of low to 2^31-1, and where it stops."""
    start, stop = ber.expect(ber.INTEGER, data, at, end)
    value = ber.integer(data[start:stop])
    if value < low:
        raise BerError("an INTEGER that is too small")
    return value, stop


def parse(data: bytes) -> Message:
    """The message in a datagram. BerError if it is none."""
    at, end = ber.expect(ber.SEQUENCE, data, 0, len(data))
    version, at = _number(data, at, end)
    if version != VERSION_3:
        raise BerError("not an SNMPv3 message")
    start, header_end = ber.expect(ber.SEQUENCE, data, at, end)
    number, start = _number(data, start, header_end)
    max_size, start = _number(data, start, header_end, SMALLEST)
    flags, _, start = _octets(data, start, header_end, 1, 1)
    model, start = _number(data, start, header_end, 1)
    if start != header_end:
        raise BerError("more in the header than belongs there")
    if model != USM:
        raise UnsupportedModel(f"security model {model}")
    if flags[0] & PRIV and not flags[0] & AUTH:
        raise InvalidFlags("privacy without authentication")
    level = Level(flags[0] & (AUTH | PRIV))
    start, at = ber.expect(ber.OCTETS, data, header_end, end)
    security, digest_at = _security(data, start, at)
    if level & PRIV:
        payload, _, stop = _octets(data, at, end, 0, len(data))
    else:
        _, stop = ber.expect(ber.SEQUENCE, data, at, end)
        payload = data[at:stop]
    if stop != end:
        raise BerError("more in the message than belongs there")
    return Message(number, max_size, level, bool(flags[0] & REPORTABLE), security, digest_at, payload, data[:end])


def _security(data: bytes, at: int, end: int) -> tuple[Security, int]:
    """The security parameters between two positions, and where the digest stands."""
    start, stop = ber.expect(ber.SEQUENCE, data, at, end)
    if stop != end:
        raise BerError("more in the security parameters than belongs there")
    engine_id, _, start = _octets(data, start, stop, 0, MAX_ENGINE_ID)
    boots, start = _number(data, start, stop)
    time, start = _number(data, start, stop)
    user, _, start = _octets(data, start, stop, 0, MAX_NAME)
    digest, digest_at, start = _octets(data, start, stop, 0, 255)
    salt, _, start = _octets(data, start, stop, 0, 255)
    if start != stop:
        raise BerError("more in the security parameters than belongs there")
    return Security(engine_id, boots, time, user, digest, salt), digest_at


def scoped(data: bytes) -> Scoped:
    """The scoped PDU at the start of these octets; padding may follow it. BerError if there is none."""
    at, end = ber.expect(ber.SEQUENCE, data, 0, len(data))
    engine_id, _, at = _octets(data, at, end, 0, MAX_ENGINE_ID)
    context, _, at = _octets(data, at, end, 0, 255)
    _, _, stop = ber.tlv(data, at, end)
    if stop != end:
        raise BerError("more in the scoped PDU than belongs there")
    return Scoped(engine_id, context, data[at:stop])


def encode_scoped(value: Scoped) -> bytes:
    """A scoped PDU as an element."""
    body = b"".join((_string(value.engine_id), _string(value.context), value.pdu))
    return b"\x30" + ber.length(len(body)) + body


def _string(octets: bytes) -> bytes:
    return b"\x04" + ber.length(len(octets)) + octets


def encode(
    number: int, max_size: int, level: Level, security: Security, payload: bytes, *, reportable: bool = False
) -> tuple[bytes, int]:
    """A whole message, and where its digest stands. `payload` is as in Message."""
    flags = level | (REPORTABLE if reportable else 0)
    header = b"".join(
        (ber.encode_integer(number), ber.encode_integer(max_size), b"\x04\x01", bytes((flags,)), b"\x02\x01\x03")
    )
    before = b"".join(
        (
            _string(security.engine_id),
            ber.encode_integer(security.boots),
            ber.encode_integer(security.time),
            _string(security.user),
            b"\x04" + ber.length(len(security.digest)),
        )
    )
    inner = b"".join((before, security.digest, _string(security.salt)))
    inner_head = b"\x30" + ber.length(len(inner))
    outer_head = b"\x04" + ber.length(len(inner_head) + len(inner))
    data = _string(payload) if level & PRIV else payload
    lead = b"".join((b"\x02\x01\x03\x30", ber.length(len(header)), header, outer_head, inner_head))
    size = len(lead) + len(inner) + len(data)
    head = b"\x30" + ber.length(size)
    return b"".join((head, lead, inner, data)), len(head) + len(lead) + len(before)
