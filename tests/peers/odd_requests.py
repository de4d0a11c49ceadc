"""Requests, ordinary and odd, that a conforming agent answers in one way: some hundreds, as data, in all three versions.

Each is made for the agent that is asked, because engine IDs differ and some objects stand at another place. A case is one
datagram, or several that belong together (a replay).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests import wire, wire3
from tests.peers.oracle import ANN, BOB, EVE, NARROW, NORA, PUBLIC, RITA, SECRET, SYSTEM, Subject
from tests.wire import Oid, binding, number, oid, text, tlv

Case = Callable[[Subject], list[bytes]]
Pdu = Callable[[Subject], bytes]

DESCR, OBJECT_ID, UP_TIME, CONTACT, NAME, LOCATION, SERVICES, OR_CHANGE = ((*SYSTEM, i, 0) for i in range(1, 9))
OR_ENTRY = (*SYSTEM, 9, 1)
OR_INDEX, OR_ID, OR_DESCR, OR_UP_TIME = ((*OR_ENTRY, i) for i in range(1, 5))
AUTHEN_TRAPS, SET_SERIAL = oid("1.3.6.1.2.1.11.30.0"), oid("1.3.6.1.6.3.1.1.6.1.0")
IN_PACKETS, ENGINE_ID, USM_STAT = (
    oid("1.3.6.1.2.1.11.1.0"),
    oid("1.3.6.1.6.3.10.2.1.1.0"),
    oid("1.3.6.1.6.3.15.1.1.1.0"),
)
UNKNOWN, PAST = oid("1.3.6.1.4.1.4711.1.0"), (2, 999)
HIGH = 2**32 - 1
NULL = b"\x05\x00"
WORD = text("somebody")


@dataclass(frozen=True)
class Who:
    """Somebody who asks: by which community, and as which user."""

    community: bytes
    user: wire3.User


READER, WRITER, NARROWED = Who(PUBLIC, RITA), Who(SECRET, ANN), Who(NARROW, NORA)

Asked = Oid | str
"""A name, or the role of one, which is an attribute of Subject."""


def _name(subject: Subject, asked: Asked) -> Oid:
    if isinstance(asked, str):
        found: Oid = getattr(subject, asked)
        return found
    return asked


def asking(tag: int, *names: Asked, first: int = 0, second: int = 0, request: int = 7) -> Pdu:
    def make(subject: Subject) -> bytes:
        bindings = (binding(_name(subject, n)) for n in names)
        return wire3.pdu(tag, bindings, first=first, second=second, request=request)

    return make


def get(*names: Asked, **more: int) -> Pdu:
    return asking(wire.GET, *names, **more)


def following(*names: Asked, **more: int) -> Pdu:
    return asking(wire.GETNEXT, *names, **more)


def bulk(singles: int, repetitions: int, *names: Asked) -> Pdu:
    return asking(wire.GETBULK, *names, first=singles, second=repetitions)


def put(*pairs: tuple[Asked, bytes], request: int = 7) -> Pdu:
    def make(subject: Subject) -> bytes:
        return wire3.pdu(wire.SET, (binding(_name(subject, n), v) for n, v in pairs), request=request)

    return make


def raw(
    tag: int, bindings: bytes, *, request: bytes = number(7), status: bytes = number(0), index: bytes = number(0)
) -> Pdu:
    """A PDU of these elements."""
    return lambda _: tlv(tag, request + status + index + bindings)


def listed(*bindings: bytes) -> bytes:
    return tlv(0x30, b"".join(bindings))


def bound(name: bytes, value: bytes = NULL) -> bytes:
    """A variable binding with these contents octets of its name."""
    return tlv(0x30, tlv(wire.OID, name) + value)


def long(element: bytes) -> bytes:
    """An element with its length in more octets than needed."""
    _, contents, _ = wire.taken(element)
    return element[:1] + b"\x84" + len(contents).to_bytes(4, "big") + contents


DESCR_OCTETS = wire.name(DESCR)[2:]

READING: dict[str, Pdu] = {
    "get": get(DESCR, OBJECT_ID),
    "get of every scalar of the system group": get(DESCR, OBJECT_ID, UP_TIME, CONTACT, NAME, LOCATION, SERVICES, OR_CHANGE),
    "get of the scalars of other groups": get(IN_PACKETS, AUTHEN_TRAPS, "lock", ENGINE_ID, USM_STAT),
    "get of cells": get((*OR_ID, 1), (*OR_DESCR, 1), (*OR_UP_TIME, 1)),
    "get of the same twice": get(DESCR, DESCR),
    "get of nothing": get(),
    "get of 70": get(*[DESCR, UP_TIME] * 35),
    "get of 120 of which one is unknown": get(*[SERVICES] * 100, UNKNOWN, *[SERVICES] * 19),
    "get of an unknown object": get(UNKNOWN),
    "get of a known and an unknown object": get(DESCR, UNKNOWN, OBJECT_ID),
    "get of an unknown and a known object": get(UNKNOWN, DESCR),
    "get of unknown objects": get(UNKNOWN, (*UNKNOWN, 5), PAST),
    "get of an unknown instance": get((*DESCR[:-1], 1)),
    "get of an unknown instance and an unknown object": get((*DESCR[:-1], 1), UNKNOWN, (*OR_ID, 4711)),
    "get below an instance": get((*DESCR, 0)),
    "get far below an instance": get((*DESCR, *range(1, 60))),
    "get of a column's unknown row": get((*OR_ID, 4711)),
    "get of a column's row 0": get((*OR_ID, 0)),
    "get of a column's row of two arcs": get((*OR_ID, 1, 1)),
    "get of a column's highest row": get((*OR_ID, HIGH)),
    "get of a column": get(OR_ID),
    "get of several columns": get(OR_ID, OR_DESCR, OR_UP_TIME),
    "get of a scalar without its instance": get(DESCR[:-1]),
    "get of a group": get(SYSTEM),
    "get of a table": get(OR_ENTRY[:-1]),
    "get of an entry": get(OR_ENTRY),
    "get of what is not accessible": get((*OR_INDEX, 1)),
    "get of a column behind the last": get((*OR_ENTRY, 5, 1)),
    "get of a scalar behind the last": get((*SYSTEM, 10, 0)),
    "get before everything": get((0, 0)),
    "get of 1.0": get((1, 0)),
    "get of 1.3": get((1, 3)),
    "get behind everything": get(PAST),
    "get of a high first arc": get((2, 40, 1)),
    "get of a counter of 64 bits": get("wide"),
    "get of a counter of 64 bits behind another": get(DESCR, "wide", SERVICES),
    "get of the column of a counter of 64 bits": get("wide_column"),
    "get of 128 arcs": get((*DESCR, *[0] * (128 - len(DESCR)))),
    "get of 128 highest arcs": get((1, 3, *[HIGH] * 126)),
    "get of the highest arc": get((*DESCR[:-1], HIGH)),
    "get with a value": raw(wire.GET, listed(binding(DESCR, number(5)), binding(OBJECT_ID, WORD))),
    "get with an exception for a value": raw(wire.GET, listed(binding(DESCR, b"\x80\x00"), binding(OBJECT_ID, b"\x82\x00"))),
    "get with error-status and error-index": get(DESCR, first=5, second=3),
    "get with request-id 0": get(DESCR, request=0),
    "get with a negative request-id": get(DESCR, request=-1),
    "get with the highest request-id": get(DESCR, request=2**31 - 1),
    "get with the lowest request-id": get(DESCR, request=-(2**31)),
    "getnext": following(DESCR, OBJECT_ID),
    "getnext of nothing": following(),
    "getnext of the root": following((0, 0)),
    "getnext of 1.3": following((1, 3)),
    "getnext of iso": following((1, 0)),
    "getnext of a group": following(SYSTEM),
    "getnext of a scalar without its instance": following(DESCR[:-1]),
    "getnext below an instance": following((*DESCR, 0, 0)),
    "getnext of an unknown instance": following((*DESCR[:-1], 7)),
    "getnext of the highest instance": following((*DESCR[:-1], HIGH)),
    "getnext of the highest instance of two arcs": following((*DESCR[:-1], HIGH, HIGH)),
    "getnext from below an instance of 128 arcs": following((*DESCR, *[0] * (128 - len(DESCR)))),
    "getnext of a table": following(OR_ENTRY[:-1]),
    "getnext of an entry": following(OR_ENTRY),
    "getnext of what is not accessible": following(OR_INDEX),
    "getnext of columns": following(OR_ID, OR_DESCR, OR_UP_TIME),
    "getnext of a column's row 0": following((*OR_ID, 0)),
    "getnext of a column's unknown row": following((*OR_ID, 4711)),
    "getnext of a column's highest row": following((*OR_ID, HIGH)),
    "getnext of a column's row of two arcs": following((*OR_ID, 0, 5)),
    "getnext of the last scalar of a group": following(SERVICES, OR_CHANGE),
    "getnext of the same twice": following(DESCR, DESCR),
    "getnext of an unknown subtree": following(oid("1.3.6.1.2.1.1.8.0.1")),
    "getnext behind everything": following(PAST),
    "getnext of the last": following("last"),
    "getnext of some and behind everything": following(DESCR, PAST, OBJECT_ID),
    "getnext of some and the last": following(DESCR, OBJECT_ID, "last"),
    "getnext of what stands before counters of 64 bits": following("wide_column"),
    "getnext of a counter of 64 bits": following("wide"),
    "getnext of a counter of 64 bits behind another": following(DESCR, "wide_column"),
    "getnext with a value": raw(wire.GETNEXT, listed(binding(DESCR, number(5)))),
    "getnext of 70": following(*[DESCR, OR_ID] * 35),
    "response": asking(wire.RESPONSE, DESCR),
    "response with an error": asking(wire.RESPONSE, DESCR, first=5, second=1),
    "trap": raw(wire.TRAP, listed(binding(UP_TIME, number(5, 0x43)), binding(oid("1.3.6.1.6.3.1.1.4.1.0"), wire.name((1, 3))))),
    "report": asking(wire.REPORT, USM_STAT),
    "the trap of version 1": lambda _: tlv(
        0xA4, wire.name((1, 3, 6, 1, 4, 1, 4711)) + tlv(0x40, b"\x7f\0\0\1") + number(6) + number(1) + number(3, 0x43) + listed()
    ),
    "a PDU without a meaning": asking(0xA9, DESCR),
    "a PDU of a high number": asking(0xBE, DESCR),
    "a sequence for a PDU": asking(0x30, DESCR),
    "a null for a PDU": lambda _: NULL,
    "an integer for a PDU": lambda _: number(5),
    "an empty get": lambda _: tlv(wire.GET, b""),
}  # fmt: skip
"""What somebody who may read asks."""

BULK: dict[str, Pdu] = {
    "getbulk": bulk(0, 3, DESCR),
    "getbulk of nothing": bulk(0, 10),
    "getbulk of nothing with non-repeaters": bulk(3, 10),
    "getbulk of nothing, nothing of nothing": bulk(0, 0),
    "getbulk with no repetitions": bulk(0, 0, DESCR),
    "getbulk with no repetitions of several": bulk(0, 0, DESCR, OBJECT_ID),
    "getbulk with negative repetitions": bulk(0, -1, DESCR),
    "getbulk with the most negative repetitions": bulk(0, -(2**31), DESCR),
    "getbulk with negative non-repeaters": bulk(-1, 2, DESCR),
    "getbulk with the most negative non-repeaters": bulk(-(2**31), 2, DESCR, OBJECT_ID),
    "getbulk with both negative": bulk(-3, -3, DESCR, OBJECT_ID),
    "getbulk with more non-repeaters than variables": bulk(9, 5, DESCR, OBJECT_ID),
    "getbulk with the most non-repeaters": bulk(2**31 - 1, 5, DESCR, OBJECT_ID),
    "getbulk with the most of both": bulk(2**31 - 1, 2**31 - 1, DESCR, OBJECT_ID),
    "getbulk with non-repeaters and no repetitions": bulk(1, 0, DESCR, OBJECT_ID),
    "getbulk with only non-repeaters": bulk(2, 3, DESCR, OBJECT_ID),
    "getbulk of both kinds": bulk(1, 2, DESCR, UP_TIME[:-1], OR_ENTRY[:-1]),
    "getbulk of columns": bulk(0, 1, OR_ID, OR_DESCR, OR_UP_TIME),
    "getbulk behind everything": bulk(0, 1, PAST),
    "getbulk five times behind everything": bulk(0, 5, PAST),
    "getbulk twice behind everything of several": bulk(0, 2, PAST, (2, 998)),
    "getbulk behind everything and before": bulk(0, 3, PAST, DESCR),
    "getbulk before everything and behind": bulk(0, 3, DESCR, PAST),
    "getbulk of the last": bulk(0, 4, "last"),
    "getbulk of the last and some": bulk(0, 3, DESCR, "last"),
    "getbulk non-repeaters behind everything": bulk(1, 0, PAST),
    "getbulk non-repeaters behind everything, and repeaters": bulk(1, 2, PAST, DESCR),
    "getbulk of 70 repeaters": bulk(0, 1, *[DESCR, OR_ID] * 35),
    "getbulk of 70 repeaters, twice": bulk(0, 2, *[DESCR, UP_TIME] * 35),
    "getbulk of 70 non-repeaters": bulk(70, 0, *[DESCR, UP_TIME] * 35),
    "getbulk of counters of 64 bits": bulk(0, 2, "wide_column"),
    "getbulk of a name of no octets": raw(wire.GETBULK, listed(bound(b"")), index=number(2)),
}  # fmt: skip
"""What version 1 does not have."""

MALFORMED: dict[str, Pdu] = {
    "a name of no octets": raw(wire.GET, listed(bound(b""))),
    "getnext of a name of no octets": raw(wire.GETNEXT, listed(bound(b""))),
    "a name of one octet": raw(wire.GET, listed(bound(b"\x2b"))),
    "getnext of a name of one octet": raw(wire.GETNEXT, listed(bound(b"\x2b"))),
    "a name that ends in an arc": raw(wire.GET, listed(bound(DESCR_OCTETS[:-1] + b"\x81"))),
    "getnext of a name that ends in an arc": raw(wire.GETNEXT, listed(bound(DESCR_OCTETS + b"\x81"))),
    "a name of 129 arcs": raw(wire.GET, listed(bound(DESCR_OCTETS + bytes(120)))),
    "getnext of a name of 129 arcs": raw(wire.GETNEXT, listed(bound(DESCR_OCTETS + bytes(120)))),
    "a name of 200 arcs": raw(wire.GET, listed(bound(DESCR_OCTETS + bytes(191)))),
    "an arc of 2^32": raw(wire.GET, listed(bound(DESCR_OCTETS[:-1] + b"\x90\x80\x80\x80\x00"))),
    "getnext of an arc of 2^32": raw(wire.GETNEXT, listed(bound(DESCR_OCTETS[:-1] + b"\x90\x80\x80\x80\x00"))),
    "an arc of 2^33 at the start": raw(wire.GETNEXT, listed(bound(b"\xa0\x80\x80\x80\x00\x01"))),
    "an arc of 2^35": raw(wire.GET, listed(bound(DESCR_OCTETS[:-1] + b"\x81\x80\x80\x80\x80\x00"))),
    "an arc of 2^63": raw(wire.GETNEXT, listed(bound(DESCR_OCTETS[:-1] + b"\x81" + b"\x80" * 8 + b"\x00"))),
    "a name of another type": raw(wire.GET, listed(tlv(0x30, text(DESCR_OCTETS) + NULL))),
    "a binding without a value": raw(wire.GET, listed(tlv(0x30, wire.name(DESCR)))),
    "an empty binding": raw(wire.GET, listed(tlv(0x30, b""))),
    "a binding of three": raw(wire.GET, listed(tlv(0x30, wire.name(DESCR) + NULL + NULL))),
    "a binding that is a set": raw(wire.GET, listed(tlv(0x31, wire.name(DESCR) + NULL))),
    "a null with contents": raw(wire.GET, listed(binding(DESCR, b"\x05\x01\x00"))),
    "a list that is a set": raw(wire.GET, tlv(0x31, binding(DESCR))),
    "a list that ends early": raw(wire.GET, b"\x30\x10" + binding(DESCR)[:12]),
    "no list": raw(wire.GET, b""),
    "something behind the list": raw(wire.GET, listed(binding(DESCR)) + NULL),
    "a request-id that is no integer": raw(wire.GET, listed(binding(DESCR)), request=text("7")),
    "a request-id of no octets": raw(wire.GET, listed(binding(DESCR)), request=b"\x02\x00"),
    "a request-id of 5 octets": raw(wire.GET, listed(binding(DESCR)), request=b"\x02\x05\x01\x00\x00\x00\x00"),
    "a request-id of 9 octets": raw(wire.GET, listed(binding(DESCR)), request=b"\x02\x09" + bytes(8) + b"\x07"),
    "a request-id of a Gauge32": raw(wire.GET, listed(binding(DESCR)), request=number(7, 0x42)),
    "error-status that is no integer": raw(wire.GET, listed(binding(DESCR)), status=NULL),
    "error-index of 5 octets": raw(wire.GET, listed(binding(DESCR)), index=b"\x02\x05\x01\x00\x00\x00\x00"),
    "an integer with leading zeros": raw(wire.GET, listed(binding(DESCR)), status=b"\x02\x03\x00\x00\x00"),
    "lengths in more octets than needed": raw(wire.GET, long(listed(long(binding(DESCR))))),
    "a name's length in more octets than needed": raw(wire.GET, listed(tlv(0x30, long(wire.name(DESCR)) + NULL))),
    "an arc with leading zeros": raw(wire.GET, listed(bound(DESCR_OCTETS[:-1] + b"\x80\x00"))),
    "an indefinite length": raw(wire.GET, b"\x30\x80" + binding(DESCR) + b"\0\0"),
}  # fmt: skip
"""PDUs that are none, or nearly none."""

NARROW_READING: dict[str, Pdu] = {
    "get of what is seen": get(DESCR),
    "get of what is hidden": get(NAME),
    "get of what is hidden among others": get(DESCR, NAME, OBJECT_ID),
    "get of a hidden cell": get((*OR_ID, 1)),
    "get of a hidden column": get(OR_ID),
    "get of what is outside": get("lock"),
    "get of what is in the other part": get(USM_STAT),
    "getnext to what is hidden": following(CONTACT),
    "getnext over what is hidden to another part": following(SERVICES, OR_CHANGE),
    "getnext before everything": following((1, 3)),
    "getnext behind what is seen": following(oid("1.3.6.1.6.3.16")),
    "getnext of the end": following(oid("1.3.6.1.6.3.15.1.1.6.0")),
}
"""What somebody asks who sees only a part."""

NARROW_BULK: dict[str, Pdu] = {
    "getbulk over what is hidden": bulk(0, 3, CONTACT),
    "getbulk into another part": bulk(0, 3, OR_CHANGE[:-1]),
    "getbulk to the end": bulk(0, 4, oid("1.3.6.1.6.3.15.1.1.5.0")),
}

WRITING: dict[str, Pdu] = {
    "set": put((CONTACT, WORD)),
    "set of three": put((CONTACT, WORD), (NAME, text("some.name")), (LOCATION, text(""))),
    "set of nothing": put(),
    "set of no octets": put((CONTACT, text(""))),
    "set of 255 octets": put((CONTACT, text("x" * 255))),
    "set of 256 octets": put((CONTACT, text("x" * 256))),
    "set of 256 octets behind a good one": put((LOCATION, WORD), (CONTACT, text("x" * 256))),
    "set of the wrong type": put((CONTACT, number(1))),
    "set of the wrong type behind a good one": put((CONTACT, WORD), (LOCATION, number(1))),
    "set of the wrong type before a good one": put((CONTACT, number(1)), (LOCATION, WORD)),
    "set of null": put((CONTACT, NULL)),
    "set of an OID": put((CONTACT, wire.name((1, 3)))),
    "set of an IpAddress": put((CONTACT, tlv(0x40, b"\x7f\0\0\1"))),
    "set of an Opaque": put((CONTACT, tlv(0x44, b"text"))),
    "set of a Counter64": put((CONTACT, number(1, 0x46))),
    "set of an exception": put((CONTACT, b"\x80\x00")),
    "set of an end of view": put((CONTACT, b"\x82\x00")),
    "set of a read-only object": put((OBJECT_ID, wire.name((1, 3)))),
    "set of a read-only object with the wrong type": put((OBJECT_ID, number(1))),
    "set of a read-only object behind a good one": put((CONTACT, WORD), (OBJECT_ID, wire.name((1, 3)))),
    "set of a read-only object before a good one": put((OBJECT_ID, wire.name((1, 3))), (CONTACT, WORD)),
    "set of two read-only objects": put((OBJECT_ID, wire.name((1, 3))), (UP_TIME, number(1, 0x43))),
    "set of a read-only object behind the wrong type": put((CONTACT, number(1)), (OBJECT_ID, wire.name((1, 3)))),
    "set of a read-only object before the wrong type": put((OBJECT_ID, wire.name((1, 3))), (CONTACT, number(1))),
    "set of a counter": put((IN_PACKETS, number(0, 0x41))),
    "set of a counter of another group": put((USM_STAT, number(0, 0x41))),
    "set of the engine ID": put((ENGINE_ID, text("engine"))),
    "set of a read-only cell": put(((*OR_ID, 1), wire.name((1, 3)))),
    "set of a read-only column's unknown row": put(((*OR_ID, 4711), wire.name((1, 3)))),
    "set of a read-only column": put((OR_ID, wire.name((1, 3)))),
    "set of what is not accessible": put(((*OR_INDEX, 1), number(1))),
    "set of an unknown object": put((UNKNOWN, number(1))),
    "set of an unknown object behind a good one": put((CONTACT, WORD), (UNKNOWN, number(1))),
    "set of an unknown object before the wrong type": put((UNKNOWN, number(1)), (CONTACT, number(1))),
    "set of an unknown object behind the wrong type": put((CONTACT, number(1)), (UNKNOWN, number(1))),
    "set of an unknown instance": put(((*CONTACT[:-1], 1), WORD)),
    "set of a scalar without its instance": put((CONTACT[:-1], WORD)),
    "set below an instance": put(((*CONTACT, 0), WORD)),
    "set of a group": put((SYSTEM, WORD)),
    "set before everything": put(((0, 0), number(1))),
    "set behind everything": put((PAST, number(1))),
    "set of the same twice": put((CONTACT, WORD), (CONTACT, WORD)),
    "set of the same twice to two values": put((CONTACT, WORD), (CONTACT, text("another"))),
    "set of the same twice, wrong once": put((CONTACT, WORD), (CONTACT, number(1))),
    "set of an enumeration": put((AUTHEN_TRAPS, number(2))),
    "set of an enumeration to 0": put((AUTHEN_TRAPS, number(0))),
    "set of an enumeration to 3": put((AUTHEN_TRAPS, number(3))),
    "set of an enumeration to -1": put((AUTHEN_TRAPS, number(-1))),
    "set of an enumeration to text": put((AUTHEN_TRAPS, WORD)),
    "set of an enumeration to a Gauge32": put((AUTHEN_TRAPS, number(2, 0x42))),
    "set of a serial number to what it is not": put(("lock", number(2**31 - 5))),
    "set of a serial number to what it is": lambda s: wire3.pdu(wire.SET, [binding(s.lock, number(s.locked()))], request=7),
    "set of a serial number twice to what it is": lambda s: wire3.pdu(
        wire.SET, [binding(s.lock, number(s.locked()))] * 2, request=7
    ),
    "set of a serial number to what it is, before the wrong type": lambda s: wire3.pdu(
        wire.SET, [binding(s.lock, number(s.locked())), binding(CONTACT, number(1))], request=7
    ),
    "set of a serial number to text": put(("lock", WORD)),
    "set of a serial number to a Gauge32": put(("lock", number(5, 0x42))),
    "set of a serial number to what it is not, behind a good one": put((CONTACT, WORD), ("lock", number(2**31 - 5))),
    "set of a serial number to what it is not, behind the wrong type": put((CONTACT, number(1)), ("lock", number(2**31 - 5))),
    "set of a serial number to what it is not, before the wrong type": put(("lock", number(2**31 - 5)), (CONTACT, number(1))),
    "set of two lengths": put((CONTACT, text("x" * 300)), (LOCATION, text("x" * 300))),
    "set of a wrong type and a wrong length": put((CONTACT, number(1)), (LOCATION, text("x" * 300))),
    "set of a wrong length and a wrong type": put((CONTACT, text("x" * 300)), (LOCATION, number(1))),
    "set of a wrong value and a wrong type": put((AUTHEN_TRAPS, number(3)), (CONTACT, number(1))),
    "set of a wrong type and a wrong value": put((CONTACT, number(1)), (AUTHEN_TRAPS, number(3))),
    "set of a wrong value and a read-only object": put((AUTHEN_TRAPS, number(3)), (DESCR, WORD)),
    "set of an integer of 5 octets": put((AUTHEN_TRAPS, b"\x02\x05\x00\x00\x00\x00\x02")),
    "set of an integer of no octets": put((AUTHEN_TRAPS, b"\x02\x00")),
    "set of an integer with leading zeros": put((AUTHEN_TRAPS, b"\x02\x02\x00\x02")),
    "set of an integer of 4 octets with leading zeros": put((AUTHEN_TRAPS, b"\x02\x04\x00\x00\x00\x02")),
    "set of a Counter64 of 12 octets": put((CONTACT, tlv(0x46, bytes(11) + b"\x01"))),
    "set of an IpAddress of 3 octets": put((CONTACT, tlv(0x40, b"\x7f\0\0"))),
    "set of a value of an unknown tag": put((CONTACT, tlv(0x5F, b"text"))),
    "set of a value of a constructed text": put((CONTACT, tlv(0x24, WORD))),
    "set of a value of a bit string": put((CONTACT, tlv(0x03, b"\0text"))),
    "set of a value of a high tag": put((CONTACT, b"\x1f\x81\x01\x00")),
    "set of a null with contents": put((CONTACT, b"\x05\x01\x00")),
    "set of a name of no octets": raw(wire.SET, listed(bound(b"", WORD))),
    "set of a name of 129 arcs": raw(wire.SET, listed(bound(DESCR_OCTETS + bytes(120), WORD))),
    "set of a name of an arc of 2^32": raw(wire.SET, listed(bound(DESCR_OCTETS[:-1] + b"\x90\x80\x80\x80\x00", WORD))),
    "set with error-status": lambda s: wire3.pdu(wire.SET, [binding(CONTACT, WORD)], first=3, second=9),
    "set of 70": put(*[((*CONTACT[:-1], 5), WORD)] * 70),
}  # fmt: skip
"""What somebody asks who may write."""

READERS_WRITING: dict[str, Pdu] = {
    name: WRITING[name]
    for name in (
        "set", "set of nothing", "set of three", "set of the wrong type", "set of a read-only object", "set of an unknown object",
        "set of an unknown instance", "set behind everything", "set of the same twice",
        "set of an unknown object before the wrong type", "set of a serial number to text",
    )
}  # fmt: skip

INFORM = wire3.pdu(
    wire.INFORM,
    [binding(UP_TIME, number(5, 0x43)), binding(oid("1.3.6.1.6.3.1.1.4.1.0"), wire.name((1, 3)))],
    request=7,
)
VERSIONS = {"v1": 0, "v2c": 1, "v3": 3}


def _made(version: int, who: Who, make: Pdu) -> Case:
    if version == 3:
        return lambda s: [wire3.message(who.user, s.peer, make(s))]
    return lambda s: [tlv(0x30, number(version) + text(who.community) + make(s))]


def in_all_versions() -> Iterator[tuple[str, Case]]:
    """The requests that can be made in each version."""
    kinds: Iterable[tuple[str, Who, dict[str, Pdu], bool]] = (
        ("", READER, READING, True), ("", READER, BULK, False), ("", READER, MALFORMED, True),
        ("narrow ", NARROWED, NARROW_READING, True), ("narrow ", NARROWED, NARROW_BULK, False),
        ("", WRITER, WRITING, True), ("reader's ", READER, READERS_WRITING, True),
        ("narrow reader's ", NARROWED, READERS_WRITING, True), ("", READER, {"inform": lambda _: INFORM}, True),
    )  # fmt: skip
    for kind, who, pdus, also_in_version_1 in kinds:
        for name, make in pdus.items():
            for label, version in VERSIONS.items():
                if version or also_in_version_1 or name == "getbulk":
                    yield f"{label} {kind}{name}", _made(version, who, make)


def _plain(version: bytes, community: bytes, pdu: bytes, behind: bytes = b"") -> bytes:
    return tlv(0x30, version + community + pdu + behind)


_GET = wire3.get(DESCR, request=7)


def of_communities() -> Iterator[tuple[str, Case]]:
    """Messages of versions 1 and 2c whose frame is odd."""
    for label, version in (("v1", 0), ("v2c", 1)):
        good = _plain(number(version), text(PUBLIC), _GET)
        odd = {
            "frame": good,
            "with an octet behind it": good + b"\0",
            "with another message behind it": good + good,
            "with something behind the PDU": _plain(number(version), text(PUBLIC), _GET, NULL),
            "of an unknown community": _plain(number(version), text("guess"), _GET),
            "of an empty community": _plain(number(version), text(""), _GET),
            "of a community in other letters": _plain(number(version), text("PUBLIC"), _GET),
            "of a community and a zero": _plain(number(version), text(PUBLIC + b"\0"), _GET),
            "of the start of a community": _plain(number(version), text(PUBLIC[:-1]), _GET),
            "of a community of 3000 octets": _plain(number(version), text(b"p" * 3000), _GET),
            "of a community that is an integer": _plain(number(version), number(5), _GET),
            "without a community": tlv(0x30, number(version) + _GET),
            "without a PDU": tlv(0x30, number(version) + text(PUBLIC)),
            "in a set": b"\x31" + good[1:],
            "longer than its datagram": good[:1] + bytes([good[1] + 1]) + good[2:],
            "shorter than its datagram": good[:1] + bytes([good[1] - 1]) + good[2:],
            "cut in the middle": good[: len(good) // 2],
            "with lengths in more octets than needed": long(_plain(number(version), long(text(PUBLIC)), long(_GET))),
            "of a version in two octets": _plain(b"\x02\x02\x00" + bytes([version]), text(PUBLIC), _GET),
            "of an indefinite length": b"\x30\x80" + good[2:] + b"\0\0",
        }
        for name, octets in odd.items():
            yield f"{label} message {name}", lambda s, octets=octets: [octets]  # type: ignore[misc]
    for version in (2, 4, 5, 127, -1, 256, 2**31 - 1):
        yield f"message of version {version}", lambda s, v=version: [_plain(number(v), text(PUBLIC), _GET)]  # type: ignore[misc]
    yield "message of a version of no octets", lambda s: [_plain(b"\x02\x00", text(PUBLIC), _GET)]
    yield "message of version 3 in the frame of version 2c", lambda s: [_plain(number(3), text(PUBLIC), _GET)]
    yield "no octets", lambda s: [b""]
    yield "one octet", lambda s: [b"\x30"]
    yield "text", lambda s: [b"GET / HTTP/1.0\r\n\r\n"]
    yield "zeros", lambda s: [bytes(100)]


def _said(user: wire3.User = ANN, pdu: bytes = _GET, **more: object) -> Case:
    """A message of version 3; values that are callables are asked with the agent's engine, boots and time."""

    def make(subject: Subject) -> list[bytes]:
        given = {k: v(subject.peer) if callable(v) and k != "digest" else v for k, v in more.items()}
        return [wire3.message(user, subject.peer, pdu, **given)]

    return make


def _twice(user: wire3.User, pdu: bytes) -> Case:
    return lambda s: [wire3.message(user, s.peer, pdu)] * 2


def _flipped(digest: bytes) -> bytes:
    return digest[:-1] + bytes([digest[-1] ^ 1])


_STRANGER = wire3.User(name=b"stranger", auth="SHA-256", priv="AES")
_LONG_BULK = wire3.pdu(wire.GETBULK, [binding((1, 3))], second=1000, request=7)
_LONG_GET = wire3.get(*[DESCR] * 40, request=7)
_LONG_SET = wire3.pdu(wire.SET, [binding(CONTACT, text("x" * 200))] * 4, request=7)

OF_VERSION_3: dict[str, Case] = {
    "discovery": lambda s: [wire3.discovery()],
    "discovery with a request": _said(wire3.User(name=b""), engine=b"", context_engine=b""),
    "discovery that wants no report": _said(wire3.User(name=b""), engine=b"", reportable=False),
    "discovery of a user who is known": _said(ANN, level=0, engine=b""),
    "discovery by a message that is authenticated": _said(BOB, engine=b""),
    "get by everyone: ann": _said(ANN),
    "get by everyone: bob": _said(BOB),
    "get by everyone: eve": _said(EVE),
    "get by everyone: rita": _said(RITA),
    "get by everyone: nora": _said(NORA),
    "get of the highest msgID": _said(msg_id=2**31 - 1),
    "get of msgID 0": _said(msg_id=0),
    "get of a negative msgID": _said(msg_id=-1),
    "get that wants no report": _said(reportable=False),
    # engine IDs
    "engine ID of another": _said(engine=b"\x80\0\0\0\x01other"),
    "engine ID of another, no report": _said(engine=b"\x80\0\0\0\x01other", reportable=False),
    "engine ID of 4 octets": _said(engine=b"\x80\0\0\0"),
    "engine ID of 32 octets": _said(engine=b"\x80" * 32),
    "engine ID of 33 octets": _said(engine=b"\x80" * 33),
    "engine ID of 64 octets": _said(engine=b"\x80" * 64),
    "engine ID of zeros": _said(engine=bytes(12)),
    "engine ID and one octet": _said(engine=lambda p: p.engine + b"x"),
    "engine ID less one octet": _said(engine=lambda p: p.engine[:-1]),
    "no engine ID, in clear": _said(EVE, engine=b""),
    # users
    "unknown user": _said(_STRANGER),
    "unknown user in clear": _said(_STRANGER, level=0),
    "unknown user, no report": _said(_STRANGER, reportable=False),
    "user of no name": _said(wire3.User(name=b"")),
    "user of no name who authenticates": _said(wire3.User(name=b"", auth="SHA")),
    "user of 32 octets": _said(wire3.User(name=b"u" * 32)),
    "user of 33 octets": _said(wire3.User(name=b"u" * 33)),
    "user in other letters": _said(ANN, name=b"ANN"),
    "user and a zero": _said(ANN, name=b"ann\0"),
    # levels
    "level below the user's, none": _said(ANN, level=0),
    "level below the user's, authentication": _said(ANN, level=1),
    "level below the reader's, none": _said(RITA, level=0),
    "level below the reader's, authentication": _said(RITA, level=1),
    "level below what a view asks for": _said(BOB, level=0),
    "level that the view lets pass": _said(NORA, level=1),
    "level above the user's, privacy": _said(BOB, level=3),
    "level above the user's, authentication": _said(EVE, level=1),
    "level above the user's, both": _said(EVE, level=3),
    "set at a level below the user's": _said(ANN, wire3.pdu(wire.SET, [binding(CONTACT, WORD)], request=7), level=1),
    "flags of privacy alone": _said(ANN, flags=b"\x06"),
    "flags of privacy alone, no report": _said(ANN, flags=b"\x02"),
    "flags of no octets": _said(ANN, flags=b""),
    "flags of two octets": _said(ANN, flags=b"\x07\x00"),
    "flags with unknown bits": _said(ANN, flags=b"\xff"),
    "flags with an unknown bit": _said(ANN, flags=b"\x0f"),
    # digests
    "digest of another passphrase": _said(wire3.User(name=b"ann", auth="SHA-256", words="other words", priv="AES")),
    "digest of another protocol": _said(wire3.User(name=b"ann", auth="SHA", priv="AES")),
    "digest with one wrong bit": _said(BOB, digest=_flipped),
    "digest with one wrong bit, no report": _said(BOB, digest=_flipped, reportable=False),
    "digest less one octet": _said(BOB, digest=lambda d: d[:-1]),
    "digest and one octet": _said(BOB, digest=lambda d: d + b"\0"),
    "digest of no octets": _said(BOB, digest=lambda d: b""),
    "digest of zeros": _said(BOB, digest=lambda d: bytes(len(d))),
    "digest of one octet": _said(BOB, digest=lambda d: d[:1]),
    "digest where none belongs": _said(EVE, digest=lambda d: b"x" * 12),
    # privacy
    "other privacy passphrase": _said(wire3.User(name=b"ann", auth="SHA-256", priv="AES", secret="other words")),
    "other privacy protocol": _said(wire3.User(name=b"ann", auth="SHA-256", priv="DES")),
    "salt of no octets": _said(salt=b""),
    "salt of 7 octets": _said(salt=bytes(7)),
    "salt of 9 octets": _said(salt=bytes(9)),
    "DES: octets that are no blocks": _said(NORA, encrypted=bytes(13)),
    "DES: salt of 7 octets": _said(NORA, salt=bytes(7)),
    "DES: other privacy passphrase": _said(wire3.User(name=b"nora", auth="MD5", priv="DES", secret="other words")),
    "nothing encrypted": _said(encrypted=b""),
    "one octet encrypted": _said(encrypted=b"\0"),
    "octets encrypted that are no scoped PDU": _said(plain=bytes(40)),
    "a sequence of nothing encrypted": _said(plain=b"\x30\x00"),
    "a scoped PDU in clear that should be encrypted": _said(ANN, level=1, flags=b"\x07"),
    # time
    "boots before": _said(boots=lambda p: p.boots - 1),
    "boots after": _said(boots=lambda p: p.boots + 1),
    "boots 0": _said(boots=0, time=0),
    "boots at the highest": _said(boots=2**31 - 1),
    "boots negative": _said(boots=-1),
    "time of 140 before": _said(time=lambda p: max(p.time - 140, 0)),
    "time of 140 ahead": _said(time=lambda p: p.time + 140),
    "time of 155 ahead": _said(time=lambda p: p.time + 155),
    "time at the highest": _said(time=2**31 - 1),
    "time negative": _said(time=-1),
    "time of 155 ahead, authenticated only": _said(BOB, time=lambda p: p.time + 155),
    "time of 155 ahead, no report": _said(time=lambda p: p.time + 155, reportable=False),
    "time of 155 ahead, and a wrong digest": _said(BOB, time=lambda p: p.time + 155, digest=_flipped),
    "boots and time that nobody checks": _said(EVE, boots=77, time=5),
    # contexts
    "unknown context": _said(context=b"nowhere"),
    "unknown context, no report": _said(context=b"nowhere", reportable=False),
    "unknown context, authenticated only": _said(BOB, context=b"nowhere"),
    "unknown context in clear": _said(EVE, context=b"nowhere"),
    "unknown context of 255 octets": _said(context=b"n" * 255),
    "unknown context and a set": _said(ANN, wire3.pdu(wire.SET, [binding(CONTACT, WORD)], request=7), context=b"nowhere"),
    "unknown context and an unknown object": _said(ANN, wire3.get(UNKNOWN), context=b"nowhere"),
    "unknown context and a level below the user's": _said(ANN, level=1, context=b"nowhere"),
    "unknown contextEngineID": _said(context_engine=b"\x80\0\0\0\x01other"),
    "unknown contextEngineID, in clear": _said(EVE, context_engine=b"\x80\0\0\0\x01other"),
    "no contextEngineID": _said(context_engine=b""),
    "no contextEngineID, in clear": _said(EVE, context_engine=b""),
    "contextEngineID of 33 octets": _said(context_engine=b"\x80" * 33),
    "unknown contextEngineID and context": _said(context_engine=b"\x80\0\0\0\x01other", context=b"nowhere"),
    # models and frames
    "security model 1": _said(model=1),
    "security model 4": _said(model=4),
    "security model 0": _said(model=0),
    "security model of the highest number": _said(model=2**31 - 1),
    "security model -1": _said(model=-1),
    "msgMaxSize 484": _said(size=484),
    "msgMaxSize 483": _said(size=483),
    "msgMaxSize 0": _said(size=0),
    "msgMaxSize -1": _said(size=-1),
    "msgMaxSize of the highest number": _said(size=2**31 - 1),
    "get too big for 484": _said(RITA, _LONG_GET, size=484),
    "get too big for 1400": _said(RITA, wire3.get(*[DESCR] * 60, request=7), size=1400),
    "getnext too big for 484": _said(RITA, wire3.get(*[SYSTEM] * 40, tag=wire.GETNEXT, request=7), size=484),
    "set too big for 484": _said(ANN, _LONG_SET, size=484),
    "octets behind the message": _said(trailing=b"\0\0\0"),
    "octets behind a message in clear": _said(EVE, trailing=b"\0\0\0"),
    "report to the agent": _said(ANN, wire3.pdu(wire.REPORT, [binding(USM_STAT, number(1, 0x41))], request=7)),
    "report in clear to the agent": _said(EVE, wire3.pdu(wire.REPORT, [binding(USM_STAT, number(1, 0x41))], request=7)),
    "response to the agent": _said(ANN, wire3.pdu(wire.RESPONSE, [binding(DESCR, WORD)], request=7)),
    "response that is said to be reportable": _said(EVE, wire3.pdu(wire.RESPONSE, [binding(DESCR, WORD)], request=7)),
    "report of an unknown user": _said(_STRANGER, wire3.pdu(wire.REPORT, [binding(USM_STAT)], request=7), level=0),
    "trap of the wrong engine": _said(_STRANGER, wire3.pdu(wire.TRAP, [binding(UP_TIME)]), engine=b"\x80\0\0\0\x01other"),
    "no PDU at all": _said(EVE, plain=b"\x30\x00"),
    "scoped PDU with something behind the PDU": _said(
        EVE, plain=lambda p: tlv(0x30, text(p.engine) + text(b"") + _GET + NULL)
    ),
    "scoped PDU that is an octet string in clear": _said(EVE, plain=lambda p: text(wire3.scoped(_GET, p.engine))),
    # replays
    "the same get twice": _twice(ANN, _GET),
    "the same get twice, authenticated": _twice(BOB, _GET),
    "the same get twice, in clear": _twice(EVE, _GET),
    "the same set twice": _twice(ANN, wire3.pdu(wire.SET, [binding(CONTACT, WORD)], request=7)),
}  # fmt: skip


def every() -> dict[str, Case]:
    """All of them by name."""
    cases = dict(in_all_versions())
    cases |= of_communities()
    cases |= {f"v3 message: {name}": case for name, case in OF_VERSION_3.items()}
    return cases
