"""SNMP messages: bytes <-> requests and responses, for community-based versions (RFC 1157, RFC 1901), and the PDUs of
all versions (RFC 3416). No sockets.
"""

import enum
from typing import NamedTuple

from agent.snmp import ber
from agent.snmp.ber import BerError

VERSION_1 = 0
VERSION_2C = 1
VERSION_3 = 3


class Pdu(enum.IntEnum):
    """The tags of PDUs (RFC 3416, section 3; TRAP_1 is that of RFC 1157, section 4.1.6)."""

    GET = 0xA0
    GETNEXT = 0xA1
    RESPONSE = 0xA2
    SET = 0xA3
    TRAP_1 = 0xA4
    GETBULK = 0xA5
    INFORM = 0xA6
    TRAP = 0xA7
    REPORT = 0xA8


CONFIRMED = frozenset((Pdu.GET, Pdu.GETNEXT, Pdu.GETBULK, Pdu.SET, Pdu.INFORM))
"""The PDUs whose sender waits for an answer: the Confirmed Class (RFC 3411, section 2.8)."""


class Status(enum.IntEnum):
    """error-status values (RFC 3416, section 3)."""

    NO_ERROR = 0
    TOO_BIG = 1
    NO_SUCH_NAME = 2
    BAD_VALUE = 3
    READ_ONLY = 4
    GEN_ERR = 5
    NO_ACCESS = 6
    WRONG_TYPE = 7
    WRONG_LENGTH = 8
    WRONG_ENCODING = 9
    WRONG_VALUE = 10
    NO_CREATION = 11
    INCONSISTENT_VALUE = 12
    RESOURCE_UNAVAILABLE = 13
    COMMIT_FAILED = 14
    UNDO_FAILED = 15
    AUTHORIZATION_ERROR = 16
    NOT_WRITABLE = 17
    INCONSISTENT_NAME = 18

    @property
    def label(self) -> str:
        """Its name in the RFC, such as inconsistentName."""
        first, *rest = self.name.lower().split("_")
        return first + "".join(map(str.capitalize, rest))


_IN_VERSION_1 = {
    Status.NO_ACCESS: Status.NO_SUCH_NAME,
    Status.WRONG_TYPE: Status.BAD_VALUE,
    Status.WRONG_LENGTH: Status.BAD_VALUE,
    Status.WRONG_ENCODING: Status.BAD_VALUE,
    Status.WRONG_VALUE: Status.BAD_VALUE,
    Status.NO_CREATION: Status.NO_SUCH_NAME,
    Status.INCONSISTENT_VALUE: Status.BAD_VALUE,
    Status.RESOURCE_UNAVAILABLE: Status.GEN_ERR,
    Status.COMMIT_FAILED: Status.GEN_ERR,
    Status.UNDO_FAILED: Status.GEN_ERR,
    Status.AUTHORIZATION_ERROR: Status.NO_SUCH_NAME,
    Status.NOT_WRITABLE: Status.NO_SUCH_NAME,
    Status.INCONSISTENT_NAME: Status.NO_SUCH_NAME,
}
"""error-status values of SNMPv2 in SNMPv1 (RFC 3584, section 4.4)."""

MAX_VARBINDS = 2048
"""No sane manager asks for more at once; each costs work before it is known whether the answer fits."""

_NO_ERRORS = b"\x02\x01\x00\x02\x01\x00"


class Varbind(NamedTuple):
    """One variable binding as it came: the contents octets of its OID, the tag and contents of its value."""

    oid: bytes
    tag: int
    value: bytes


class Request(NamedTuple):
    """One request as it came. `first` and `second` are error-status and error-index, or, in a GETBULK, non-repeaters and
    max-repetitions. `request_id` is the whole element, of at most 6 octets, to be given back as it is; `varbinds_raw` the
    contents of the list.
    """

    version: int
    community: bytes
    pdu: int
    request_id: bytes
    first: int
    second: int
    varbinds: list[Varbind]
    varbinds_raw: bytes


class UnsupportedVersion(BerError):
    """A message of a version that has no communities."""


def parse(data: bytes) -> Request:
    """The request in a datagram. BerError if it is none; UnsupportedVersion tells that one case apart."""
    return plain(data) or parse_any(data)


def plain(data: bytes) -> Request | None:
    """What pollers send most, one variable in less than 128 octets, all lengths in one octet; None for all else.

    Everything is looked at here as it is in `parse_any`, a third as fast.
    """
    size = len(data)
    if not 32 <= size < 130 or data[0] != 0x30 or data[1] != size - 2 or data[2:6] != b"\x02\x01\x01\x04":
        return None
    start = 7 + data[6]  # at most 7 + 255, and checked before anything is made of it
    return plain_pdu(data, start, size, VERSION_2C, data[7:start])


def plain_pdu(data: bytes, pdu: int, size: int, version: int, community: bytes = b"") -> Request | None:
    """The request whose PDU begins at `pdu` and goes to the end, if it is of the plain kind; None otherwise."""
    if not 24 <= size - pdu < 130 or data[pdu + 1] != size - pdu - 2 or data[pdu + 2] != 2:
        return None
    digits = data[pdu + 3]
    at = pdu + 4 + digits
    if not 1 <= digits <= 4 or at + 14 > size:
        return None
    first = second = 0
    if data[at : at + 6] == _NO_ERRORS:
        varbind = at + 6
    else:  # a GETBULK; its non-repeaters in one octet, max-repetitions in up to four
        digits = data[at + 4]
        varbind = at + 5 + digits
        if data[at] != 2 or data[at + 1] != 1 or data[at + 3] != 2 or not 1 <= digits <= 4 or varbind + 8 > size:
            return None
        first = int.from_bytes(data[at + 2 : at + 3], "big", signed=True)
        second = int.from_bytes(data[at + 5 : varbind], "big", signed=True)
    head = data[varbind : varbind + 6]
    left = size - varbind
    if head != bytes((0x30, left - 2, 0x30, left - 4, 6, left - 8)) or data[-2:] != b"\x05\x00":
        return None
    one = Varbind(data[varbind + 6 : -2], ber.NULL, b"")
    return Request(version, community, data[pdu], data[pdu + 2 : at], first, second, [one], data[varbind + 2 :])


def parse_any(data: bytes) -> Request:
    """The same as `parse`, for messages of which it is known that they are not plain."""
    at, end = ber.expect(ber.SEQUENCE, data, 0, len(data))
    start, stop = ber.expect(ber.INTEGER, data, at, end)
    version = ber.integer(data[start:stop])
    if version not in (VERSION_1, VERSION_2C):
        raise UnsupportedVersion("not a message with a community")
    start, stop = ber.expect(ber.OCTETS, data, stop, end)
    return pdu(data, stop, end, version, data[start:stop])


def pdu(data: bytes, at: int, end: int, version: int, community: bytes = b"") -> Request:
    """The request whose PDU stands between two positions. What follows the PDU is left alone, as all agents do."""
    tag, at, end = ber.tlv(data, at, end)
    start, stop = ber.expect(ber.INTEGER, data, at, end)
    number = ber.integer(data[start:stop])
    request_id = data[at:stop] if stop - at <= 6 else ber.encode_integer(number)
    start, stop = ber.expect(ber.INTEGER, data, stop, end)
    first = ber.integer(data[start:stop])
    start, stop = ber.expect(ber.INTEGER, data, stop, end)
    second = ber.integer(data[start:stop])
    at, end = ber.expect(ber.SEQUENCE, data, stop, end)
    return Request(version, community, tag, request_id, first, second, varbinds(data, at, end), data[at:end])


def varbinds(data: bytes, at: int, end: int) -> list[Varbind]:
    """The variable bindings between two positions."""
    out: list[Varbind] = []
    while at < end:
        start, stop = ber.expect(ber.SEQUENCE, data, at, end)
        oid_start, oid_stop = ber.expect(ber.OID, data, start, stop)
        tag, value_start, value_stop = ber.tlv(data, oid_stop, stop)
        if value_stop != stop:
            raise BerError("more than a name and a value in a variable binding")
        out.append(Varbind(data[oid_start:oid_stop], tag, data[value_start:value_stop]))
        if len(out) > MAX_VARBINDS:
            raise BerError("too many variable bindings")
        at = stop
    return out


def varbind(oid: bytes, value: bytes) -> bytes:
    """A variable binding from the contents of its OID and the whole element of its value."""
    size = len(oid)
    whole = size + 2 + len(value)
    if whole < 0x80:
        return bytes((0x30, whole, 6, size)) + oid + value
    body = b"\x06" + ber.length(len(oid)) + oid + value
    return b"\x30" + ber.length(len(body)) + body


def errors(version: int, status: int, index: int) -> bytes:
    """error-status and error-index, in the words of the version."""
    if not status:
        return _NO_ERRORS
    told = _IN_VERSION_1.get(Status(status), status) if version == VERSION_1 else status
    return ber.encode_integer(told) + ber.encode_integer(index)


def response_pdu(request: Request, varbinds_raw: bytes, status: int = 0, index: int = 0) -> bytes:
    """The Response-PDU to a request, with this list of encoded variable bindings."""
    told = errors(request.version, status, index) if status else _NO_ERRORS
    pdu = b"".join((request.request_id, told, b"\x30", ber.length(len(varbinds_raw)), varbinds_raw))
    return b"\xa2" + ber.length(len(pdu)) + pdu


def response(request: Request, varbinds_raw: bytes, status: int = 0, index: int = 0) -> bytes:
    """The response to a request with a community, with this list of encoded variable bindings."""
    return enveloped(request.version, request.community, response_pdu(request, varbinds_raw, status, index))


def success(community: bytes, request_id: bytes, varbinds_raw: bytes) -> bytes:
    """The same as `response` in version 2c without an error, in one go: what it is made of is long, and copied once."""
    size = len(varbinds_raw)
    listed = ber.length(size)
    size += len(listed) + len(request_id) + 7
    whole = ber.length(size)
    size += len(whole) + 1
    name = ber.length(len(community))
    size += len(name) + len(community) + 4
    return b"".join(
        (b"\x30", ber.length(size), b"\x02\x01\x01\x04", name, community, b"\xa2", whole, request_id,
         b"\x02\x01\x00\x02\x01\x00\x30", listed, varbinds_raw)
    )  # fmt: skip


def enveloped(version: int, community: bytes, pdu: bytes) -> bytes:
    """The message of a community-based version that holds this PDU."""
    body = b"".join((b"\x02\x01", bytes((version,)), b"\x04", ber.length(len(community)), community, pdu))
    return b"".join((b"\x30", ber.length(len(body)), body))


def overhead(request: Request) -> int:
    """Octets that a Response-PDU needs at most beside its variable bindings, and its envelope with the community."""
    return len(request.community) + len(request.request_id) + 5 * 4 + 3 + 14
