"""SNMPv3 messages: bytes <-> header, security parameters and scoped PDU (RFC 3412, section 6; RFC 3414, section 2.4).

Two security models are known: the User-based one, and the Transport Security Model (RFC 5591), whose messages carry no
parameters and no encryption of their own because a TLS connection protects them.

No sockets, no keys. Strict: what a message must not say is a BerError, and the two cases that have counters of their own
are told apart (InvalidFlags, UnsupportedModel).
"""

import enum
import re
from collections.abc import Callable
from typing import NamedTuple

from agent.snmp import ber
from agent.snmp.ber import BerError
from agent.snmp.message import VERSION_3

USM = 3
"""msgSecurityModel of the User-based Security Model."""

TSM = 4
"""msgSecurityModel of the Transport Security Model."""

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


LEVELS = {level.value: level for level in Level}
"""By the two bits of the flags that tell them."""


class UnsupportedModel(BerError):
    """A message of another security model than was to be expected."""


class InvalidFlags(BerError):
    """A message that claims privacy without authentication."""


class Security(NamedTuple):
    """The security parameters of USM as they travel."""

    engine_id: bytes
    boots: int
    time: int
    user: bytes
    digest: bytes
    salt: bytes


NOTHING = Security(b"", 0, 0, b"", b"", b"")
"""The security parameters of a message of the Transport Security Model: it has none."""


class Message(NamedTuple):
    """One message as it came. `digest_at` is where the digest stands in `whole`. `payload` is the scoped PDU as an
    element, or its encrypted octets if USM and the level has privacy; padding may follow in what these decrypt to.
    """

    number: int
    max_size: int
    level: Level
    reportable: bool
    security: Security
    digest_at: int
    payload: bytes
    whole: bytes


class Scoped(NamedTuple):
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


def parse(data: bytes, expected: int = USM) -> Message:
    """The message in these octets, of the expected security model. BerError if it is none."""
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
    if model != expected:
        raise UnsupportedModel(f"security model {model}")
    if flags[0] & PRIV and not flags[0] & AUTH:
        raise InvalidFlags("privacy without authentication")
    level = Level(flags[0] & (AUTH | PRIV))
    start, at = ber.expect(ber.OCTETS, data, header_end, end)
    if model == USM:
        security, digest_at = _security(data, start, at)
    else:
        security, digest_at = _no_security(start, at)
    if level & PRIV and model == USM and data[at : at + 1] != b"\x30":
        payload, _, stop = _octets(data, at, end, 0, len(data))
    elif level & PRIV and model == USM:  # a scoped PDU in clear is no syntax error (section 6), but decrypts to nothing
        payload, stop = b"", ber.expect(ber.SEQUENCE, data, at, end)[1]
    else:
        _, stop = ber.expect(ber.SEQUENCE, data, at, end)
        payload = data[at:stop]
    if stop != end:
        raise BerError("more in the message than belongs there")
    return Message(number, max_size, level, bool(flags[0] & REPORTABLE), security, digest_at, payload, data)


Usual = Callable[[bytes], Message | None]

_INTEGER = rb"(\x02(?:\x01.|\x02..|\x03...|\x04....))"
_LENGTH = rb"([\x00-\x7f]|\x81.|\x82..)"


def usual(engine_id: bytes, boots: int) -> Usual:
    """How to parse, several times as fast, what managers who know the engine and its boots send all the time: messages of
    USM, protected, whose numbers have at most four octets. None for all else, which `parse` is for; what is not None is
    just what `parse` would give.
    """
    known = ber.element(ber.OCTETS, engine_id) + ber.encode_integer(boots)
    header = re.compile(
        rb"\x30" + _LENGTH + rb"\x02\x01\x03\x30(.)" + _INTEGER + _INTEGER + rb"\x04\x01([\x01\x03\x05\x07])\x02\x01\x03"
        rb"\x04" + _LENGTH + rb"\x30" + _LENGTH + re.escape(known) + _INTEGER + rb"\x04([\x01-\x20])",
        re.DOTALL,
    )  # fmt: skip

    def parsed(data: bytes) -> Message | None:
        found = header.match(data)
        if found is None:
            return None
        whole, head, number, max_size, flags, outer, inner, time, name = found.groups()
        at = found.end() + name[0]
        try:
            digits = data[at + 1]
            digest_at = at + 2
            salted = digest_at + digits
            end = salted + 2 + data[salted + 1]
            if data[at] != 4 or digits > 0x7F or data[salted] != 4 or data[salted + 1] > 0x7F:
                return None
            start, size = end, len(data)
            if flags[0] & PRIV:
                if data[end] != 4:
                    return None
                start, stop = end + 2, data[end + 1]
                if stop > 0x7F:
                    if not 0x81 <= stop <= 0x84:
                        return None
                    start += stop & 0x7F
                    stop = int.from_bytes(data[end + 2 : start], "big")
                if start + stop != size:
                    return None
            elif ber.expect(ber.SEQUENCE, data, end, size)[1] != size:
                return None
        except IndexError:
            return None
        begun = found.end(7)
        if (
            head[0] != len(number) + len(max_size) + 6
            or _size(inner) != end - begun
            or _size(outer) != end - found.end(6)
            or _size(whole) != size - found.end(1)
        ):
            return None
        highest = int.from_bytes(max_size[2:], "big", signed=True)
        told, at_time = int.from_bytes(number[2:], "big", signed=True), int.from_bytes(time[2:], "big", signed=True)
        if highest < SMALLEST or told < 0 or at_time < 0:
            return None
        digest, salt = data[digest_at:salted], data[salted + 2 : end]
        user = data[found.end() : at]
        security = Security(engine_id, boots, at_time, user, digest, salt)
        level, reportable = LEVELS[flags[0] & 3], flags[0] > 3
        return Message(told, highest, level, reportable, security, digest_at, data[start:], data)

    return parsed


def _size(length: bytes) -> int:
    return length[0] if len(length) == 1 else int.from_bytes(length[1:], "big")


def _security(data: bytes, at: int, end: int) -> tuple[Security, int]:
    """The security parameters between two positions, and where the digest stands."""
    start, stop = ber.expect(ber.SEQUENCE, data, at, end)
    if stop != end:
        raise BerError("more in the security parameters than belongs there")
    engine_id, _, start = _octets(data, start, stop, 0, 255)  # one too long is unknown, which its sender is told
    boots, start = _number(data, start, stop)
    time, start = _number(data, start, stop)
    user, _, start = _octets(data, start, stop, 0, MAX_NAME)
    digest, digest_at, start = _octets(data, start, stop, 0, 255)
    salt, _, start = _octets(data, start, stop, 0, 255)
    if start != stop:
        raise BerError("more in the security parameters than belongs there")
    return Security(engine_id, boots, time, user, digest, salt), digest_at


def _no_security(start: int, stop: int) -> tuple[Security, int]:
    """RFC 5591, section 5.1: the OCTET STRING is there, and it is empty."""
    if start != stop:
        raise BerError("security parameters where none belong")
    return NOTHING, start


def scoped(data: bytes) -> Scoped:
    """The scoped PDU at the start of these octets; padding may follow it. BerError if there is none."""
    return _short(data) or _scoped(data)


def _short(data: bytes) -> Scoped | None:
    """A scoped PDU whose length has one octet or two, its names' one, and the PDU's one or two; None for all others."""
    try:
        whole, at = data[1], 2
        if whole > 0x7F:
            if whole != 0x81:
                return None
            whole, at = data[2], 3
        end = at + whole
        names = at + 2 + data[at + 1]
        pdu = names + 2 + data[names + 1]
        size, start = data[pdu + 1], pdu + 2
        if size == 0x81:
            size, start = data[pdu + 2], pdu + 3
        elif size > 0x7F:
            return None
        if (
            data[0] != ber.SEQUENCE or data[at] != 4 or data[at + 1] > MAX_ENGINE_ID or data[names] != 4
            or data[names + 1] > 0x7F or start + size != end or end > len(data)
        ):  # fmt: skip
            return None
    except IndexError:
        return None
    return Scoped(data[at + 2 : names], data[names + 2 : pdu], data[pdu:end])


def _scoped(data: bytes) -> Scoped:
    at, end = ber.expect(ber.SEQUENCE, data, 0, len(data))
    engine_id, _, at = _octets(data, at, end, 0, MAX_ENGINE_ID)
    context, _, at = _octets(data, at, end, 0, 255)
    _, _, stop = ber.tlv(data, at, end)
    return Scoped(engine_id, context, data[at:stop])  # what follows the PDU is left alone, as in other versions


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


def encode_tsm(number: int, max_size: int, level: Level, payload: bytes, *, reportable: bool = False) -> bytes:
    """A whole message of the Transport Security Model. `payload` is the scoped PDU as an element, at any level."""
    flags = level | (REPORTABLE if reportable else 0)
    header = b"".join(
        (ber.encode_integer(number), ber.encode_integer(max_size), b"\x04\x01", bytes((flags,)), b"\x02\x01\x04")
    )
    lead = b"".join((b"\x02\x01\x03\x30", ber.length(len(header)), header, b"\x04\x00"))
    return b"".join((b"\x30", ber.length(len(lead) + len(payload)), lead, payload))
