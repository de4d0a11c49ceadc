"""SNMPv2c messages for tests, by a plain codec of its own, so that the agent's codec is not checked against itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Oid = tuple[int, ...]

GET, GETNEXT, RESPONSE, SET, GETBULK, INFORM, TRAP, REPORT = 0xA0, 0xA1, 0xA2, 0xA3, 0xA5, 0xA6, 0xA7, 0xA8
INTEGER, OCTETS, NULL, OID, UNSIGNED, COUNTER64 = 0x02, 0x04, 0x05, 0x06, 0x42, 0x46
NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW = 0x80, 0x81, 0x82


def oid(dotted: str) -> Oid:
    return tuple(int(arc) for arc in dotted.strip(".").split("."))


def tlv(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    if size < 128:
        return bytes([tag, size]) + contents
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 + len(octets)]) + octets + contents


def number(value: int, tag: int = INTEGER) -> bytes:
    size = 1
    while not -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1):
        size += 1
    return tlv(tag, value.to_bytes(size, "big", signed=True))


def name(arcs: Oid) -> bytes:
    out = b""
    for arc in (arcs[0] * 40 + arcs[1], *arcs[2:]):
        groups = [arc & 127]
        while arc > 127:
            arc >>= 7
            groups.insert(0, arc & 127 | 128)
        out += bytes(groups)
    return tlv(OID, out)


def text(value: str | bytes) -> bytes:
    return tlv(OCTETS, value.encode() if isinstance(value, str) else value)


def binding(arcs: Oid, value: bytes = b"\x05\x00") -> bytes:
    return tlv(0x30, name(arcs) + value)


def message(
    pdu: int, bindings: Iterable[bytes], *, community: bytes = b"public", request: int = 1, first: int = 0,
    second: int = 0, version: int = 1,
) -> bytes:  # fmt: skip
    """A whole message; `first` and `second` are error-status and error-index, or non-repeaters and max-repetitions."""
    body = number(request) + number(first) + number(second) + tlv(0x30, b"".join(bindings))
    return tlv(0x30, number(version) + tlv(OCTETS, community) + tlv(pdu, body))


@dataclass(frozen=True)
class Answer:
    """A response taken apart. Each variable is its name, the tag of its value, and the contents octets."""

    community: bytes
    request: int
    status: int
    index: int
    variables: list[tuple[Oid, int, bytes]]
    size: int

    @property
    def names(self) -> list[Oid]:
        return [v[0] for v in self.variables]

    @property
    def tags(self) -> list[int]:
        return [v[1] for v in self.variables]

    @property
    def numbers(self) -> list[int]:
        return [int.from_bytes(v[2], "big", signed=True) for v in self.variables]

    @property
    def error(self) -> tuple[int, int]:
        return self.status, self.index


def taken(data: bytes, tag: int | None = None, *, minimal: bool = True) -> tuple[int, bytes, bytes]:
    """Tag and contents of the first element, and what stands behind it. AssertionError if it is not well-formed DER, or, if
    lengths need not be minimal, BER of definite lengths."""
    assert len(data) >= 2, "truncated"
    size, at = data[1], 2
    if size & 0x80:
        count = size & 0x7F
        assert 1 <= count <= 4
        size = int.from_bytes(data[2 : 2 + count], "big")
        at = 2 + count
        assert not minimal or (size >= 128 and size.bit_length() > 8 * (count - 1)), "more length octets than needed"
    assert at + size <= len(data), "contents end beyond their container"
    assert tag is None or data[0] == tag, f"tag {data[0]:#x}, not {tag:#x}"
    return data[0], data[at : at + size], data[at + size :]


def whole(contents: bytes) -> int:
    assert 1 <= len(contents) <= 5
    return int.from_bytes(contents, "big", signed=True)


def arcs(contents: bytes) -> Oid:
    assert contents
    assert contents[-1] < 128, "the last arc does not end"
    out: list[int] = []
    value = 0
    for octet in contents:
        value = value << 7 | octet & 127
        if octet < 128:
            out.append(value)
            value = 0
    first = min(out[0] // 40, 2)
    return (first, out[0] - 40 * first, *out[1:])


_SIZES = {0x02: (1, 4), 0x05: (0, 0), 0x40: (4, 4), 0x41: (1, 5), 0x42: (1, 5), 0x43: (1, 5), 0x46: (1, 9),
          0x80: (0, 0), 0x81: (0, 0), 0x82: (0, 0), 0x04: (0, 65535), 0x06: (1, 640), 0x44: (0, 65535)}  # fmt: skip


def answered(data: object, version: int = 1) -> Answer:
    """A well-formed response, or an AssertionError."""
    assert isinstance(data, bytes), f"no response but {data!r}"
    _, inner, rest = taken(data, 0x30)
    assert not rest
    _, told, inner = taken(inner, INTEGER)
    assert told == bytes([version])
    _, community, inner = taken(inner, OCTETS)
    assert inner[0] == RESPONSE
    return response(inner, community, len(data))


def response(pdu: bytes, community: bytes, size: int) -> Answer:
    """A response or a report, from its PDU, which must be well-formed."""
    _, pdu, rest = taken(pdu)
    assert not rest
    _, request, pdu = taken(pdu, INTEGER)
    _, status, pdu = taken(pdu, INTEGER)
    _, index, pdu = taken(pdu, INTEGER)
    _, listed, rest = taken(pdu, 0x30)
    assert not rest
    variables: list[tuple[Oid, int, bytes]] = []
    while listed:
        _, one, listed = taken(listed, 0x30)
        _, told, one = taken(one, OID)
        tag, value, rest = taken(one)
        assert not rest
        variables.append((arcs(told), tag, value))
    return Answer(community, whole(request), whole(status), whole(index), variables, size)


def sound(answer: Answer) -> None:
    """Every value is one that its type can hold. Not to be asked of what merely echoes a request."""
    for told, tag, value in answer.variables:
        low, high = _SIZES[tag]
        assert low <= len(value) <= high, f"{told}: tag {tag:#x} of {len(value)} octets"


def get(*names: Oid, **more: int | bytes) -> bytes:
    return message(GET, map(binding, names), **more)  # type: ignore[arg-type]


def getnext(*names: Oid, **more: int | bytes) -> bytes:
    return message(GETNEXT, map(binding, names), **more)  # type: ignore[arg-type]


def getbulk(singles: int, repetitions: int, *names: Oid, **more: int | bytes) -> bytes:
    return message(GETBULK, map(binding, names), first=singles, second=repetitions, **more)  # type: ignore[arg-type]


def setting(pairs: Sequence[tuple[Oid, bytes]], **more: int | bytes) -> bytes:
    return message(SET, [binding(n, v) for n, v in pairs], **more)  # type: ignore[arg-type]
