"""BER (X.690) as SNMP uses it: definite lengths, and the types of RFC 3416 and RFC 2578. Bytes in, values out.

Decoding is strict where a lenient answer would be a guess (truncated, indefinite, oversized), and lenient where all
agents are (lengths and integers in more octets than needed). Everything wrong is a BerError, never another exception.
"""

import functools
from datetime import UTC, datetime

INTEGER = 0x02
OCTETS = 0x04
NULL = 0x05
OID = 0x06
SEQUENCE = 0x30
IP_ADDRESS = 0x40
COUNTER32 = 0x41
UNSIGNED = 0x42
TICKS = 0x43
OPAQUE = 0x44
COUNTER64 = 0x46
NO_SUCH_OBJECT = 0x80
NO_SUCH_INSTANCE = 0x81
END_OF_MIB_VIEW = 0x82

MAX_ARCS = 128
MAX_ARC = 2**32 - 1


class BerError(ValueError):
    """These octets are not what they should be."""


def tlv(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Tag, start and stop of the contents of the element at `at`; it must lie before `end`."""
    if at + 2 > end:
        raise BerError("truncated header")
    length = data[at + 1]
    start = at + 2
    if length & 0x80:
        octets = length & 0x7F
        if not 1 <= octets <= 4:
            raise BerError("indefinite or oversized length")
        if start + octets > end:
            raise BerError("truncated length")
        length = int.from_bytes(data[start : start + octets], "big")
        start += octets
    stop = start + length
    if stop > end:
        raise BerError("contents end beyond their container")
    return data[at], start, stop


def expect(tag: int, data: bytes, at: int, end: int) -> tuple[int, int]:
    """Start and stop of the contents of the element at `at`, which must have this tag."""
    found, start, stop = tlv(data, at, end)
    if found != tag:
        raise BerError(f"tag 0x{found:02x} where 0x{tag:02x} belongs")
    return start, stop


def integer(contents: bytes) -> int:
    """A signed INTEGER of at most 32 bits."""
    if not 1 <= len(contents) <= 8:
        raise BerError("an INTEGER of no or too many octets")
    value = int.from_bytes(contents, "big", signed=True)
    if not -(2**31) <= value < 2**31:
        raise BerError("an INTEGER beyond 32 bits")
    return value


def unsigned(contents: bytes, bits: int = 32) -> int:
    """An unsigned value of at most `bits` bits. A missing leading zero is forgiven, as all agents do."""
    if not 1 <= len(contents) <= bits // 8 + 1 or (len(contents) > bits // 8 and contents[0]):
        raise BerError(f"not an unsigned value of {bits} bits")
    return int.from_bytes(contents, "big")


def oid(contents: bytes) -> tuple[int, ...]:
    """The arcs of an OBJECT IDENTIFIER."""
    if not contents:
        raise BerError("an empty OBJECT IDENTIFIER")
    arcs: list[int] = []
    value = 0
    fresh = True
    for octet in contents:
        if fresh and octet == 0x80:
            raise BerError("an arc with a leading zero group")
        value = value << 7 | (octet & 0x7F)
        fresh = octet < 0x80
        if value > MAX_ARC + 80:
            raise BerError("an arc beyond 32 bits")
        if fresh:
            arcs.append(value)
            value = 0
    if not fresh:
        raise BerError("a truncated OBJECT IDENTIFIER")
    first = min(arcs[0] // 40, 2)
    arcs[0:1] = [first, arcs[0] - 40 * first]
    if len(arcs) > MAX_ARCS or max(arcs) > MAX_ARC:
        raise BerError("an OBJECT IDENTIFIER beyond 128 arcs or 32 bits")
    return tuple(arcs)


_SIZES = {INTEGER: (1, 127), IP_ADDRESS: (4, 4), COUNTER32: (1, 5), UNSIGNED: (1, 5), TICKS: (1, 5), COUNTER64: (1, 9)}
_ANY = frozenset((0x03, OCTETS, NULL, OID, OPAQUE, NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW))


def value(tag: int, contents: bytes) -> None:
    """BerError unless this may be the value of a variable: of a type that SNMP has or had (RFC 1442 had BIT STRING), and of
    a size that the type can have."""
    if tag in _ANY:
        return
    low, high = _SIZES.get(tag, (0, -1))
    if not low <= len(contents) <= high:
        raise BerError(f"no value of the type 0x{tag:02x}")


@functools.lru_cache(maxsize=65536)
def arc(value: int) -> bytes:
    """One arc in base 128."""
    if value < 0x80:
        return bytes((value,))
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def oid_contents(arcs: tuple[int, ...]) -> bytes:
    """The contents octets of an OBJECT IDENTIFIER of two or more arcs."""
    return arc(arcs[0] * 40 + arcs[1]) + b"".join(map(arc, arcs[2:]))


def suffix_contents(arcs: tuple[int, ...]) -> bytes:
    """The contents octets of arcs that stand behind others."""
    return b"".join(map(arc, arcs))


_SHORT = tuple(bytes((n,)) for n in range(0x80))


def length(octets: int) -> bytes:
    """A length in the fewest octets."""
    if octets < 0x80:
        return _SHORT[octets]
    size = (octets.bit_length() + 7) >> 3
    return bytes((0x80 | size,)) + octets.to_bytes(size, "big")


def element(tag: int, contents: bytes) -> bytes:
    """A whole element."""
    return bytes((tag,)) + length(len(contents)) + contents


def encode_integer(value: int, tag: int = INTEGER) -> bytes:
    """A signed integer in the fewest octets; also right for unsigned types, which travel the same way."""
    size = (value.bit_length() >> 3) + 1 if value >= 0 else ((value + 1).bit_length() >> 3) + 1
    return bytes((tag, size)) + value.to_bytes(size, "big", signed=True)


def encode_oid(arcs: tuple[int, ...]) -> bytes:
    return element(OID, oid_contents(arcs))


@functools.lru_cache(maxsize=4096)
def encode_date(when: datetime) -> bytes:
    """DateAndTime (RFC 2579) of eleven octets, in UTC."""
    t = when.astimezone(UTC)
    fields = (t.month, t.day, t.hour, t.minute, t.second, t.microsecond // 100_000)
    return b"\x04\x0b" + t.year.to_bytes(2, "big") + bytes(fields) + b"+\x00\x00"
