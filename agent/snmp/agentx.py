"""AgentX PDUs (RFC 2741, section 6): bytes <-> values, in both byte orders. No sockets.

What is wrong with octets that came in is always an AgentxError. What we send is in network byte order. An OID is a tuple
of arcs, the null OID (no arcs at all) included; a value keeps the number of its AgentX type, which is nearly always the
BER tag of SNMP: `of_element` and `to_varbind` go from one encoding to the other.
"""

import enum
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from agent.snmp import ber
from agent.snmp.ber import BerError
from agent.snmp.message import Varbind
from agent.snmp.mib import Oid

VERSION = 1
HEADER = 20
"""Octets before the payload."""

MAX_PAYLOAD = 1 << 20
"""The largest request that fits into a datagram stays well below, with its search ranges written out."""

MAX_BINDINGS = 2048
"""Search ranges or variable bindings in one PDU; as many as in an SNMP message."""

NULL_OID: Oid = ()


class AgentxError(ValueError):
    """These octets are no PDU of AgentX, or say something they must not."""


class Kind(enum.IntEnum):
    """h.type (section 6.1)."""

    OPEN = 1
    CLOSE = 2
    REGISTER = 3
    UNREGISTER = 4
    GET = 5
    GETNEXT = 6
    GETBULK = 7
    TESTSET = 8
    COMMITSET = 9
    UNDOSET = 10
    CLEANUPSET = 11
    NOTIFY = 12
    PING = 13
    INDEX_ALLOCATE = 14
    INDEX_DEALLOCATE = 15
    ADD_AGENT_CAPS = 16
    REMOVE_AGENT_CAPS = 17
    RESPONSE = 18


class Flag(enum.IntFlag):
    """h.flags (section 6.1)."""

    NONE = 0
    INSTANCE_REGISTRATION = 0x01
    NEW_INDEX = 0x02
    ANY_INDEX = 0x04
    NON_DEFAULT_CONTEXT = 0x08
    NETWORK_BYTE_ORDER = 0x10


class Error(enum.IntEnum):
    """res.error of administrative PDUs (section 6.2.16); those of requests are the error-status values of SNMP."""

    NO_ERROR = 0
    OPEN_FAILED = 256
    NOT_OPEN = 257
    INDEX_WRONG_TYPE = 258
    INDEX_ALREADY_ALLOCATED = 259
    INDEX_NONE_AVAILABLE = 260
    INDEX_NOT_ALLOCATED = 261
    UNSUPPORTED_CONTEXT = 262
    DUPLICATE_REGISTRATION = 263
    UNKNOWN_REGISTRATION = 264
    UNKNOWN_AGENT_CAPS = 265
    PARSE_ERROR = 266
    REQUEST_DENIED = 267
    PROCESSING_ERROR = 268


class Reason(enum.IntEnum):
    """c.reason of a Close (section 6.2.2)."""

    OTHER = 1
    PARSE_ERROR = 2
    PROTOCOL_ERROR = 3
    TIMEOUTS = 4
    SHUTDOWN = 5
    BY_MANAGER = 6


class Type(enum.IntEnum):
    """v.type (section 5.4)."""

    INTEGER = 2
    OCTETS = 4
    NULL = 5
    OID = 6
    IP_ADDRESS = 64
    COUNTER32 = 65
    GAUGE32 = 66
    TIME_TICKS = 67
    OPAQUE = 68
    COUNTER64 = 70
    NO_SUCH_OBJECT = 128
    NO_SUCH_INSTANCE = 129
    END_OF_MIB_VIEW = 130


_UNSIGNED = frozenset((Type.COUNTER32, Type.GAUGE32, Type.TIME_TICKS))
_STRINGS = frozenset((Type.OCTETS, Type.IP_ADDRESS, Type.OPAQUE))


@dataclass(frozen=True, slots=True)
class Binding:
    """A variable binding. `value` is an int, octets, an OID or None, as its type wants it."""

    oid: Oid
    type: Type
    value: int | bytes | Oid | None = None


@dataclass(frozen=True, slots=True)
class SearchRange:
    """From `start`, or right behind it unless `include`, up to but without `end`; a null OID as the end is no end."""

    start: Oid
    include: bool = False
    end: Oid = NULL_OID


@dataclass(frozen=True, kw_only=True)
class Open:
    """Asks for a session. `timeout` in seconds, 0 leaves it to the master."""

    timeout: int
    identity: Oid
    description: bytes


@dataclass(frozen=True, kw_only=True)
class Close:
    """Ends a session."""

    reason: int


@dataclass(frozen=True, kw_only=True)
class Region:
    """What a Register or Unregister is about. With `range_subid`, that arc (from 1) of the subtree runs up to `upper`.
    An Unregister has no timeout."""

    subtree: Oid
    priority: int = 127
    timeout: int = 0
    range_subid: int = 0
    upper: int = 0


@dataclass(frozen=True, kw_only=True)
class Search:
    """A Get, GetNext or GetBulk; the two numbers count for GetBulk alone."""

    ranges: Sequence[SearchRange]
    non_repeaters: int = 0
    max_repetitions: int = 0


@dataclass(frozen=True, kw_only=True)
class Bindings:
    """A TestSet, Notify, IndexAllocate or IndexDeallocate."""

    bindings: Sequence[Binding]


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """An AddAgentCaps; a RemoveAgentCaps has no description."""

    oid: Oid
    description: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer. `uptime` is the master's sysUpTime, and means nothing in answers of a subagent."""

    uptime: int = 0
    error: int = 0
    index: int = 0
    bindings: Sequence[Binding] = ()


Body = Open | Close | Region | Search | Bindings | Capabilities | Response | None


@dataclass(frozen=True, kw_only=True)
class Pdu:
    """One PDU. `context` is None for the default one; `flags` are those of a registration or an index; a CommitSet, UndoSet,
    CleanupSet and Ping have no body."""

    kind: Kind
    session: int = 0
    transaction: int = 0
    packet: int = 0
    context: bytes | None = None
    flags: Flag = Flag.NONE
    body: Body = None


@dataclass(frozen=True, slots=True)
class Header:
    """The first twenty octets. `kind` may be of no Kind; `size` is that of the payload."""

    kind: int
    flags: int
    session: int
    transaction: int
    packet: int
    size: int

    @property
    def order(self) -> str:
        """The byte order of the payload, as struct wants it."""
        return ">" if self.flags & Flag.NETWORK_BYTE_ORDER else "<"


_BODIES: dict[Kind, type | None] = {
    Kind.OPEN: Open, Kind.CLOSE: Close, Kind.REGISTER: Region, Kind.UNREGISTER: Region, Kind.GET: Search,
    Kind.GETNEXT: Search, Kind.GETBULK: Search, Kind.TESTSET: Bindings, Kind.COMMITSET: None, Kind.UNDOSET: None,
    Kind.CLEANUPSET: None, Kind.NOTIFY: Bindings, Kind.PING: None, Kind.INDEX_ALLOCATE: Bindings,
    Kind.INDEX_DEALLOCATE: Bindings, Kind.ADD_AGENT_CAPS: Capabilities, Kind.REMOVE_AGENT_CAPS: Capabilities,
    Kind.RESPONSE: Response,
}  # fmt: skip

_WITHOUT_CONTEXT = frozenset((Kind.OPEN, Kind.CLOSE, Kind.COMMITSET, Kind.UNDOSET, Kind.CLEANUPSET, Kind.RESPONSE))


def header(data: bytes) -> Header:
    """The header that begins these octets. After an AgentxError nobody can say where the next PDU begins."""
    if len(data) < HEADER:
        raise AgentxError("a truncated header")
    if data[0] != VERSION:
        raise AgentxError(f"version {data[0]} where {VERSION} is spoken")
    order = ">" if data[2] & Flag.NETWORK_BYTE_ORDER else "<"
    session, transaction, packet, size = struct.unpack_from(f"{order}4I", data, 4)
    if size > MAX_PAYLOAD:
        raise AgentxError(f"a payload of {size} octets")
    if size & 3:
        raise AgentxError(f"a payload of {size} octets, which is no multiple of four")
    return Header(data[1], data[2], session, transaction, packet, size)


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """The PDUs that stand behind each other in these octets, and what is there of one more. AgentxError as `header`."""
    whole: list[bytes] = []
    at = 0
    while len(data) - at >= HEADER:
        stop = at + HEADER + header(data[at : at + HEADER]).size
        if stop > len(data):
            break
        whole.append(data[at:stop])
        at = stop
    return whole, data[at:]


# --- writing


def number(value: int, order: str = ">") -> bytes:
    """Four octets."""
    return struct.pack(f"{order}I", value)


def octet_string(octets: bytes, order: str = ">") -> bytes:
    """The length, the octets, and zeroes up to a multiple of four."""
    return number(len(octets), order) + octets + bytes(-len(octets) & 3)


def oid(arcs: Oid, include: bool = False, order: str = ">") -> bytes:
    """An OID; one under internet (1.3.6.1) and an arc that fits into an octet is written shorter (section 5.1)."""
    prefix = 0
    if len(arcs) >= 5 and arcs[:4] == (1, 3, 6, 1) and 0 < arcs[4] < 256:
        prefix, arcs = arcs[4], arcs[5:]
    return struct.pack(f"{order}4B{len(arcs)}I", len(arcs), prefix, include, 0, *arcs)


def binding(one: Binding, order: str = ">") -> bytes:
    """A variable binding."""
    return struct.pack(f"{order}HH", one.type, 0) + oid(one.oid, order=order) + _data(one, order)


def _data(one: Binding, order: str) -> bytes:
    match one.value:
        case int(value) if one.type == Type.INTEGER:
            return struct.pack(f"{order}i", value)
        case int(value) if one.type == Type.COUNTER64:
            return struct.pack(f"{order}Q", value)
        case int(value) if one.type in _UNSIGNED:
            return number(value, order)
        case bytes(value) if one.type in _STRINGS:
            return octet_string(value, order)
        case tuple(value) if one.type == Type.OID:
            return oid(value, order=order)
        case None if one.type == Type.NULL or one.type >= Type.NO_SUCH_OBJECT:
            return b""
    raise TypeError(f"{one.value!r} is no value of {one.type.name}")


def encode(pdu: Pdu, order: str = ">") -> bytes:
    """The octets of a PDU, in network byte order or, with "<", in the other."""
    payload = _payload(pdu, order)
    flags = pdu.flags
    if order == ">":
        flags |= Flag.NETWORK_BYTE_ORDER
    if pdu.context is not None:
        flags |= Flag.NON_DEFAULT_CONTEXT
        payload = octet_string(pdu.context, order) + payload
    start = struct.pack(
        f"{order}4B4I", VERSION, pdu.kind, flags, 0, pdu.session, pdu.transaction, pdu.packet, len(payload)
    )
    return start + payload


def _payload(pdu: Pdu, order: str) -> bytes:
    match pdu.body:
        case None:
            return b""
        case Open(timeout=timeout, identity=identity, description=description):
            return bytes((timeout, 0, 0, 0)) + oid(identity, order=order) + octet_string(description, order)
        case Close(reason=reason):
            return bytes((reason, 0, 0, 0))
        case Region() as region:
            timeout = region.timeout if pdu.kind == Kind.REGISTER else 0
            start = bytes((timeout, region.priority, region.range_subid, 0)) + oid(region.subtree, order=order)
            return start + number(region.upper, order) if region.range_subid else start
        case Search(ranges=ranges) as search:
            start = b""
            if pdu.kind == Kind.GETBULK:
                start = struct.pack(f"{order}HH", search.non_repeaters, search.max_repetitions)
            return start + b"".join(oid(r.start, r.include, order) + oid(r.end, order=order) for r in ranges)
        case Bindings(bindings=bindings):
            return b"".join(binding(b, order) for b in bindings)
        case Capabilities(oid=arcs, description=description):
            whole = pdu.kind == Kind.ADD_AGENT_CAPS
            return oid(arcs, order=order) + (octet_string(description, order) if whole else b"")
        case Response(uptime=uptime, error=error, index=index, bindings=bindings):
            start = struct.pack(f"{order}IHH", uptime, error, index)
            return start + b"".join(binding(b, order) for b in bindings)


# --- reading


class Reader:
    """Takes one thing after the other out of the payload of a PDU."""

    __slots__ = ("_data", "_end", "_order", "at")

    def __init__(self, data: bytes, order: str, at: int = HEADER) -> None:
        self._data = data
        self._order = order
        self._end = len(data)
        self.at = at

    @property
    def more(self) -> bool:
        return self.at < self._end

    def _take(self, size: int) -> int:
        at = self.at
        if at + size > self._end:
            raise AgentxError("a payload that ends too early")
        self.at = at + size
        return at

    def numbers(self, form: str) -> tuple[int, ...]:
        """Numbers of a form that struct knows."""
        form = self._order + form
        return struct.unpack_from(form, self._data, self._take(struct.calcsize(form)))

    def octets(self) -> bytes:
        (size,) = self.numbers("I")
        at = self._take(size + (-size & 3))
        return self._data[at : at + size]

    def oid(self) -> Oid:
        return self.flagged_oid()[0]

    def flagged_oid(self) -> tuple[Oid, bool]:
        """An OID and whether its include is set."""
        count, prefix, include, _ = self.numbers("4B")
        if count + (5 if prefix else 0) > ber.MAX_ARCS:
            raise AgentxError("an OID of more than 128 arcs")
        arcs = self.numbers(f"{count}I")
        return ((1, 3, 6, 1, prefix, *arcs) if prefix else arcs), bool(include)

    def range(self) -> SearchRange:
        start, include = self.flagged_oid()
        return SearchRange(start, include, self.oid())

    def binding(self) -> Binding:
        number, _ = self.numbers("HH")
        try:
            kind = Type(number)
        except ValueError:
            raise AgentxError(f"no type of a value has the number {number}") from None
        return Binding(self.oid(), kind, self._value(kind))

    def _value(self, kind: Type) -> int | bytes | Oid | None:
        if kind == Type.INTEGER:
            return self.numbers("i")[0]
        if kind in _UNSIGNED:
            return self.numbers("I")[0]
        if kind == Type.COUNTER64:
            return self.numbers("Q")[0]
        if kind == Type.OID:
            return self.oid()
        if kind in _STRINGS:
            octets = self.octets()
            if kind == Type.IP_ADDRESS and len(octets) != 4:
                raise AgentxError(f"an IpAddress of {len(octets)} octets")
            return octets
        return None

    def ranges(self) -> tuple[SearchRange, ...]:
        return _bounded(self.range() for _ in iter(lambda: self.more, False))

    def bindings(self) -> tuple[Binding, ...]:
        return _bounded(self.binding() for _ in iter(lambda: self.more, False))

    def done(self) -> None:
        if self.more:
            raise AgentxError("a payload that is longer than what it holds")


T = TypeVar("T")


def _bounded(several: Iterable[T]) -> tuple[T, ...]:
    out: list[T] = []
    for one in several:
        if len(out) == MAX_BINDINGS:
            raise AgentxError(f"more than {MAX_BINDINGS} variables in a PDU")
        out.append(one)
    return tuple(out)


def decode(data: bytes) -> Pdu:
    """The PDU that these octets are, from its header to its end."""
    head = header(data)
    if len(data) != HEADER + head.size:
        raise AgentxError("a payload that is not as long as its header says")
    try:
        kind = Kind(head.kind)
    except ValueError:
        raise AgentxError(f"no PDU has the type {head.kind}") from None
    reader = Reader(data, head.order)
    context = None
    if head.flags & Flag.NON_DEFAULT_CONTEXT:
        if kind in _WITHOUT_CONTEXT:
            raise AgentxError(f"a {kind.name} has no context")
        context = reader.octets()
    body = _body(kind, reader)
    reader.done()
    flags = Flag(head.flags & (Flag.INSTANCE_REGISTRATION | Flag.NEW_INDEX | Flag.ANY_INDEX))
    return Pdu(
        kind=kind, session=head.session, transaction=head.transaction, packet=head.packet, context=context,
        flags=flags, body=body,
    )  # fmt: skip


def _body(kind: Kind, reader: Reader) -> Body:
    made = _BODIES[kind]
    if made is None:
        return None
    if made is Open:
        return Open(timeout=reader.numbers("B3x")[0], identity=reader.oid(), description=reader.octets())
    if made is Close:
        return Close(reason=reader.numbers("B3x")[0])
    if made is Region:
        timeout, priority, range_subid = reader.numbers("3Bx")
        subtree = reader.oid()
        if range_subid > len(subtree):
            raise AgentxError("a range of an arc that the subtree has not")
        upper = reader.numbers("I")[0] if range_subid else 0
        return Region(
            subtree=subtree, priority=priority, timeout=timeout if kind == Kind.REGISTER else 0, range_subid=range_subid,
            upper=upper,
        )  # fmt: skip
    if made is Search:
        first, second = reader.numbers("HH") if kind == Kind.GETBULK else (0, 0)
        return Search(ranges=reader.ranges(), non_repeaters=first, max_repetitions=second)
    if made is Bindings:
        return Bindings(bindings=reader.bindings())
    if made is Capabilities:
        arcs = reader.oid()
        return Capabilities(oid=arcs, description=reader.octets() if kind == Kind.ADD_AGENT_CAPS else b"")
    uptime, error, index = reader.numbers("IHH")
    return Response(uptime=uptime, error=error, index=index, bindings=reader.bindings())


# --- from and to BER


def of_element(element: bytes) -> tuple[Type, bytes]:
    """The type of a BER element and, in network byte order, its data. BerError if it is no value that SNMP knows."""
    tag, start, stop = ber.tlv(element, 0, len(element))
    contents = element[start:stop]
    match tag:
        case ber.OCTETS | ber.OPAQUE | ber.IP_ADDRESS:
            return Type(tag), octet_string(contents)
        case ber.INTEGER:
            return Type.INTEGER, struct.pack(">i", ber.integer(contents))
        case ber.COUNTER32 | ber.UNSIGNED | ber.TICKS:
            return Type(tag), number(ber.unsigned(contents))
        case ber.COUNTER64:
            return Type.COUNTER64, struct.pack(">Q", ber.unsigned(contents, 64))
        case ber.OID:
            return Type.OID, oid(ber.oid(contents))
        case ber.NULL | ber.NO_SUCH_OBJECT | ber.NO_SUCH_INSTANCE | ber.END_OF_MIB_VIEW:
            return Type(tag), b""
    raise BerError(f"no value of SNMP has the tag 0x{tag:02x}")


def of_pair(arcs: Oid, element: bytes) -> Binding:
    """An instance and the BER element of its value, as a variable binding."""
    kind, data = of_element(element)
    return Reader(struct.pack(">HH", kind, 0) + oid(arcs) + data, ">", 0).binding()


def to_varbind(one: Binding) -> Varbind:
    """A variable binding as SNMP has it. AgentxError if no SNMP message could hold its name."""
    arcs = _encodable(one.oid)
    match one.value:
        case bytes(value):
            contents = value
        case int(value):
            contents = ber.encode_integer(value)[2:]
        case tuple(value):
            contents = _encodable(value)
        case _:
            contents = b""
    return Varbind(arcs, int(one.type), contents)


def _encodable(arcs: Oid) -> bytes:
    if len(arcs) < 2 or arcs[0] > 2 or (arcs[0] < 2 and arcs[1] > 39):
        raise AgentxError(f"{'.'.join(map(str, arcs))} cannot be the name of a variable")
    return ber.oid_contents(arcs)
