"""SNMP messages: bytes <-> requests and responses, for community-based versions (RFC 3416, RFC 1901). No sockets."""

import enum
from dataclasses import dataclass

from agent.snmp import ber
from agent.snmp.ber import BerError

VERSION_1 = 0
VERSION_2C = 1
VERSION_3 = 3


class Pdu(enum.IntEnum):
    """The tags of PDUs (RFC 3416, section 3)."""

    GET = 0xA0
    GETNEXT = 0xA1
    RESPONSE = 0xA2
    SET = 0xA3
    GETBULK = 0xA5
    INFORM = 0xA6
    TRAP = 0xA7
    REPORT = 0xA8


class Status(enum.IntEnum):
    """error-status values (RFC 3416, section 3)."""

    NO_ERROR = 0
    TOO_BIG = 1
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


MAX_VARBINDS = 2048
"""No sane manager asks for more at once; each costs work before it is known whether the answer fits."""


@dataclass(frozen=True, slots=True)
class Varbind:
    """One variable binding as it came: the contents octets of its OID, the tag and contents of its value."""

    oid: bytes
    tag: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came. `first` and `second` are error-status and error-index, or, in a GETBULK, non-repeaters and
    max-repetitions. `request_id` is the whole element, to be given back as it is; `varbinds_raw` the contents of the list.
    """

    community: bytes
    pdu: int
    request_id: bytes
    first: int
    second: int
    varbinds: list[Varbind]
    varbinds_raw: bytes


class UnsupportedVersion(BerError):
    """A message of a version this agent does not speak."""


def parse(data: bytes) -> Request:
    """The request in a datagram. BerError if it is none; UnsupportedVersion tells that one case apart."""
    at, end = ber.expect(ber.SEQUENCE, data, 0, len(data))
    start, stop = ber.expect(ber.INTEGER, data, at, end)
    if ber.integer(data[start:stop]) != VERSION_2C:
        raise UnsupportedVersion("not an SNMPv2c message")
    start, stop = ber.expect(ber.OCTETS, data, stop, end)
    community = data[start:stop]
    pdu, at, end = ber.tlv(data, stop, end)
    start, stop = ber.expect(ber.INTEGER, data, at, end)
    ber.integer(data[start:stop])
    request_id = data[at:stop]
    start, stop = ber.expect(ber.INTEGER, data, stop, end)
    first = ber.integer(data[start:stop])
    start, stop = ber.expect(ber.INTEGER, data, stop, end)
    second = ber.integer(data[start:stop])
    at, end = ber.expect(ber.SEQUENCE, data, stop, end)
    return Request(community, pdu, request_id, first, second, varbinds(data, at, end), data[at:end])


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
    body = b"\x06" + ber.length(len(oid)) + oid + value
    return b"\x30" + ber.length(len(body)) + body


def response(request: Request, varbinds_raw: bytes, status: int = 0, index: int = 0) -> bytes:
    """The response to a request, with this list of encoded variable bindings."""
    if status:
        errors = ber.encode_integer(status) + ber.encode_integer(index)
    else:
        errors = b"\x02\x01\x00\x02\x01\x00"
    pdu = b"".join((request.request_id, errors, b"\x30", ber.length(len(varbinds_raw)), varbinds_raw))
    community = request.community
    body = b"".join((b"\x02\x01\x01\x04", ber.length(len(community)), community, b"\xa2", ber.length(len(pdu)), pdu))
    return b"".join((b"\x30", ber.length(len(body)), body))


def overhead(request: Request) -> int:
    """Octets that a response needs at most beside its variable bindings."""
    return len(request.community) + len(request.request_id) + 5 * 4 + 3 + 14
