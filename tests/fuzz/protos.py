"""Malformed SNMP packets by the thousand, in the classes of the PROTOS c06-snmpv1 suite, generated anew for all versions.

A well-formed message is taken apart into its elements; each element in turn is given every anomaly that its type can have
(of tag, length, contents, number and order of parts), with the lengths around it put right, so that the anomaly is reached
by whoever reads it. Beside these: messages cut at every octet. For version 3 the anomalies of the PDU also travel in messages
that are signed and encrypted as they should be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests import wire, wire3
from tests.wire import binding, number, oid, text, tlv

LARGEST = 65_507

SYS_DESCR, CONTACT = oid("1.3.6.1.2.1.1.1.0"), oid("1.3.6.1.2.1.1.4.0")
UP_TIME, TRAP_OID = oid("1.3.6.1.2.1.1.3.0"), oid("1.3.6.1.6.3.1.1.4.1.0")

Packet = tuple[str, bytes]
"""What is wrong with it, and its octets."""


@dataclass(frozen=True)
class Element:
    """An element of a message: its tag, and its contents or the elements in it."""

    tag: int
    contents: bytes
    parts: tuple[Element, ...] = ()

    def encoded(self) -> bytes:
        return tlv(self.tag, self.inner())

    def inner(self) -> bytes:
        return b"".join(p.encoded() for p in self.parts) if self.parts else self.contents


def taken_apart(data: bytes) -> Element:
    """One element with all that is in it; an OCTET STRING that holds a SEQUENCE counts as constructed, too."""
    tag, contents, rest = wire.taken(data)
    assert not rest
    if tag & 0x20 or (tag == wire.OCTETS and contents[:1] == b"\x30"):
        parts = []
        while contents:
            _, _, rest = wire.taken(contents)
            parts.append(taken_apart(contents[: len(contents) - len(rest)]))
            contents = rest
        return Element(tag, b"", tuple(parts))
    return Element(tag, contents)


LENGTHS = (
    b"\x80", b"\x81", b"\x81\x00", b"\x82\x00\x00", b"\x82\xff\xff", b"\x83\xff\xff\xff", b"\x84\x00\x00\x00\x00",
    b"\x84\x7f\xff\xff\xff", b"\x84\x80\x00\x00\x00", b"\x84\xff\xff\xff\xff", b"\x85\x01\x00\x00\x00\x00",
    b"\x88\x7f\xff\xff\xff\xff\xff\xff\xff", b"\x88\xff\xff\xff\xff\xff\xff\xff\xff", b"\xa0" + b"\xff" * 32,
    b"\xfe" + b"\x00" * 126, b"\xff", b"\xff" + b"\xff" * 127, b"\x00", b"\x7f",
)  # fmt: skip
"""Lengths that are indefinite, of too many octets, negative to whoever takes them for signed, or nothing but wrong."""

TAGS = (
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A, 0x1F, 0x24, 0x30, 0x31, 0x3F, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46,
    0x47, 0x5F, 0x80, 0x81, 0x82, 0x83, 0xA0, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0xBF, 0xFF,
)  # fmt: skip

INTEGERS = (
    b"", b"\x00" * 2, b"\xff" * 2, b"\x80", b"\x7f", b"\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x80\x00\x00\x00",
    b"\x00\xff\xff\xff\xff", b"\x01\x00\x00\x00\x00", b"\xff\x00\x00\x00\x00", b"\x7f" + b"\xff" * 7, b"\x80" + b"\x00" * 7,
    b"\x00" * 8 + b"\x01", b"\xff" * 9, b"\x00" * 127, b"\xff" * 128, b"\x01" + b"\x00" * 255, b"\x41" * 2000,
)  # fmt: skip

STRINGS = (
    b"", b"\x00", b"\xff", b"\x00" * 64, b"%s", b"%n%n%n%n", b"%s%s%s%s%s%s%s%s%n", b"%99999999s", b"%.9999d%hn" * 10, b"%x" * 200,
    b"../" * 50, b"\r\n\r\n", b"`id`;$(id)", b"a" * 127, b"a" * 128, b"a" * 255, b"a" * 256, b"a" * 257, b"a" * 1024, b"a" * 4096,
    b"a" * 20_000, b"a" * 65_000, bytes(range(256)), "\N{SNOWMAN}".encode() * 30, b"\xc0\x80\xed\xa0\x80", b"\x80" * 300,
)  # fmt: skip

OIDS = (
    b"", b"\x00", b"\x80", b"\x80\x00", b"\x2b", b"\x2b\x80", b"\x2b\x06\x81", b"\xff", b"\xff" * 64, b"\x7f" * 127,
    b"\x2b" + b"\x01" * 126,
    b"\x2b" + b"\x01" * 127, b"\x2b" + b"\x01" * 128, b"\x2b" + b"\x01" * 1000, b"\x2b" + b"\x8f\xff\xff\xff\x7f" * 126,
    b"\x2b" + b"\x8f\xff\xff\xff\x7f" * 200, b"\x2b" + b"\x90\x80\x80\x80\x00", b"\x2b" + b"\xff" * 20 + b"\x7f",
    b"\x2b" + b"\x81" * 5000,
    b"\x2b" + b"\x80" * 20 + b"\x01", b"\x8f\xff\xff\xff\x7f", b"\x90\x80\x80\x80\x00", b"\x2b\x06\x01" * 20_000,
)  # fmt: skip


def anomalies(element: Element) -> Iterator[Packet]:
    """What can be wrong with one element, each time as the octets that stand in its place."""
    inner = element.inner()
    whole = tlv(element.tag, inner)
    tag = whole[:1]
    for octets in LENGTHS:
        yield f"length {octets[:9].hex()}", tag + octets + inner
    for change in (-1, 1, 2, 100):
        if len(inner) + change >= 0:
            yield (
                f"length {change:+d}",
                tlv(element.tag, bytes(len(inner) + change))[: -(len(inner) + change) or None] + inner,
            )
    for count in range(1, 9):
        size = len(inner).to_bytes(8, "big")[-count:]
        yield f"length in {count} octets", tag + bytes([0x80 + count]) + size + inner
    for other in TAGS:
        yield f"tag {other:#04x}", bytes([other]) + whole[1:]
    yield "tag of many octets", b"\x1f" + b"\x81" * 40 + b"\x01" + whole[1:]
    yield "left out", b""
    yield "twice", whole * 2
    yield "a null", b"\x05\x00"
    yield from _of_its_type(element, whole)


def _of_its_type(element: Element, whole: bytes) -> Iterator[Packet]:
    contents: tuple[bytes, ...] = ()
    if element.parts:
        yield from _of_parts(element)
    elif element.tag in (wire.INTEGER, 0x41, 0x42, 0x43, 0x46):
        contents = INTEGERS
    elif element.tag == wire.OID:
        contents = OIDS
    elif element.tag in (wire.OCTETS, 0x40, 0x44):
        contents = STRINGS
    elif element.tag == wire.NULL:
        contents = (b"\x00", b"\xff" * 200)
    for octets in contents:
        yield f"contents of {len(octets)} octets {octets[:6].hex()}", tlv(element.tag, octets)


def _of_parts(element: Element) -> Iterator[Packet]:
    parts = [p.encoded() for p in element.parts]
    yield "empty", tlv(element.tag, b"")
    yield "backwards", tlv(element.tag, b"".join(reversed(parts)))
    for count in (2, 100, 3000):
        yield f"last part {count} times", tlv(element.tag, b"".join(parts) + parts[-1] * (count - 1))
    nested = b"".join(parts)
    for _ in range(1500):
        nested = tlv(element.tag, nested)
    yield "nested 1500 times", nested


def variants(element: Element, path: str = "") -> Iterator[Packet]:
    """A message with one anomaly in each of its elements in turn, the lengths around it being right."""
    for what, octets in anomalies(element):
        yield f"{path or 'message'}: {what}", octets
    parts = [p.encoded() for p in element.parts]
    for i, part in enumerate(element.parts):
        before, after = b"".join(parts[:i]), b"".join(parts[i + 1 :])
        for what, octets in variants(part, f"{path}/{i}"):
            yield what, tlv(element.tag, before + octets + after)


def cut(data: bytes) -> Iterator[Packet]:
    for size in range(len(data)):
        yield f"cut after {size}", data[:size]


def pdus() -> dict[str, bytes]:
    """Well-formed PDUs of each kind that an agent may be sent."""
    asked = [binding(SYS_DESCR), binding(UP_TIME)]
    told = [binding(UP_TIME, number(5, 0x43)), binding(TRAP_OID, wire.name((1, 3, 6, 1)))]
    return {
        "get": wire3.pdu(wire.GET, asked),
        "getnext": wire3.pdu(wire.GETNEXT, asked),
        "getbulk": wire3.pdu(wire.GETBULK, asked, first=1, second=3),
        "set": wire3.pdu(wire.SET, [binding(CONTACT, text("somebody")), binding(SYS_DESCR, number(1))]),
        "trap": wire3.pdu(wire.TRAP, told),
        "inform": wire3.pdu(wire.INFORM, told),
    }


TRAP_1 = tlv(
    0xA4,
    wire.name((1, 3, 6, 1, 4, 1, 4711)) + tlv(0x40, b"\x7f\0\0\1") + number(6) + number(1) + number(3, 0x43)
    + tlv(0x30, binding(UP_TIME, number(5, 0x43))),
)  # fmt: skip


def of_communities(community: bytes = b"secret") -> Iterator[Packet]:
    """Packets of versions 1 and 2c."""
    for version, label in ((0, "v1"), (1, "v2c")):
        for kind, pdu in {**pdus(), "trap of version 1": TRAP_1}.items():
            whole = tlv(0x30, number(version) + text(community) + pdu)
            for what, octets in (*variants(taken_apart(whole)), *cut(whole)):
                yield f"{label} {kind}, {what}", octets


def of_version_3(user: wire3.User, peer: wire3.Peer) -> Iterator[Packet]:
    """Messages of version 3 whose frame is malformed: those of a user without authentication, so that all of it is read, and
    one that is signed."""
    for sender in (wire3.User(name=user.name), user):
        whole = wire3.message(sender, peer, pdus()["get"])
        for what, octets in (*variants(taken_apart(whole)), *cut(whole)):
            yield f"v3 frame of level {sender.level}, {what}", octets


def within(user: wire3.User, seal: Callable[[bytes], bytes], engine: bytes) -> Iterator[Packet]:
    """Messages of version 3 that are signed and encrypted as they should be, and hold something malformed; `seal` makes one of
    a scoped PDU."""
    for kind, pdu in pdus().items():
        whole = wire3.scoped(pdu, engine)
        for what, octets in (*variants(taken_apart(whole)), *cut(whole)):
            yield f"v3 {kind} within, {what}", seal(octets)


def every(user: wire3.User, peer: wire3.Peer) -> Iterator[Packet]:
    """All packets that a datagram can hold."""

    def seal(plain: bytes) -> bytes:
        return wire3.message(user, peer, b"", plain=plain)

    for what, octets in (*of_communities(), *of_version_3(user, peer), *within(user, seal, peer.engine)):
        if len(octets) <= LARGEST:
            yield what, octets
