"""The SNMP engine, without I/O: a datagram in, a response out, or the setting that has to be carried out first.

GET, GETNEXT and GETBULK (RFC 3416, section 4.2) are answered from the newest snapshot. A SET is checked as a whole, in
the order of section 4.2.5, and becomes a Setting: operations to perform, reversible ones first, at most one that is not.
The server performs them and comes back for the response. Errors a manager sees are error-status values; what the RFC
wants dropped in silence is counted (SNMPv2-MIB, the snmp group).
"""

import functools
import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.access import Principal, permitted
from agent.inventory import Inventory
from agent.model import MODEL
from agent.operations import Operations, malformed
from agent.schema.declare import Access, Field, Key, Operation
from agent.schema.types import Wire
from agent.snmp import ber
from agent.snmp.ber import BerError
from agent.snmp.message import Pdu, Request, Status, UnsupportedVersion, Varbind, overhead, parse, response, varbind
from agent.snmp.mib import Mib, MibObject, project
from agent.snmp.view import Column, Tables, View

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NO_SUCH_OBJECT = b"\x80\x00"
NO_SUCH_INSTANCE = b"\x81\x00"
END_OF_MIB_VIEW = b"\x82\x00"

MAX_MESSAGE = 65_507
"""What an IPv4 UDP datagram holds; RFC 3417 asks for 484 at least."""

REMEMBERED_SETS = 1024
REMEMBERED_FOR = 30.0
REMEMBERED_REFUSALS = 64
KNOWN_SOURCES = 4096


@dataclass(frozen=True, kw_only=True)
class Community:
    """A community string, what it may do, from where, and the hypervisor it shows."""

    name: bytes
    label: str
    role: Access
    sources: tuple[Network, ...]
    hypervisor: str


@dataclass(slots=True)
class Statistics:
    """The counters of the snmp group (RFC 3418) and of the dispatcher (RFC 3412), by their names there."""

    snmpInPkts: int = 0
    snmpInBadVersions: int = 0
    snmpInBadCommunityNames: int = 0
    snmpInBadCommunityUses: int = 0
    snmpInASNParseErrs: int = 0
    snmpSilentDrops: int = 0
    snmpProxyDrops: int = 0
    snmpUnknownPDUHandlers: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation of a SET: which variable asks for it (from 1), and the operation that takes it back, if one does."""

    index: int
    operation: Operation
    key: Key
    undo: Operation | None


class Setting:
    """A SET whose variables all passed the tests. Perform `steps` in order, then ask the engine for the response."""

    def __init__(self, request: Request, principal: Principal, hypervisor: str, steps: Sequence[Step]) -> None:
        self.request = request
        self.principal = principal
        self.hypervisor = hypervisor
        self.steps = steps
        self.token: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A SET that was refused before anything was done, for the audit trail: who asked for what, and why not."""

    principal: Principal
    hypervisor: str
    operation: str
    target: str
    reason: str


class _Refused(Exception):
    """A variable of a SET, or the whole, fails a test; `why` says more than the status, if there is more to say."""

    def __init__(self, status: Status, index: int, why: str = "") -> None:
        super().__init__(status, index, why)
        self.status = status
        self.index = index
        self.why = why


class Context:
    """What one hypervisor shows: the view of its newest snapshot, made anew when there is a newer one."""

    def __init__(self, mib: Mib, inventory: Inventory, standing: Callable[[], Iterable[Column]]) -> None:
        self.inventory = inventory
        self._tables = Tables(mib)
        self._standing = standing
        self._number = -1
        self._view = View(())
        inventory.prepare_with(self._tables.prepare)
        inventory.on_publish(self._renew)

    def view(self) -> View:
        self.inventory.touch()
        if self.inventory.snapshot.number != self._number:
            self._renew()
        return self._view

    def _renew(self) -> None:
        """Also called at each publication, lest the view before keeps its snapshot alive until somebody asks."""
        snapshot = self.inventory.snapshot
        columns = [c for t in self._tables.views(snapshot) for c in t.columns]
        self._view = View([*columns, *self._standing()])
        self._number = snapshot.number


class Engine:
    """Answers datagrams. One for all listeners; lives in the event loop's thread."""

    def __init__(
        self,
        inventories: Mapping[str, Inventory],
        operations: Operations,
        communities: Sequence[Community],
        *,
        standing: Callable[["Engine", str], Iterable[Column]] = lambda engine, hypervisor: (),
        max_message: int = MAX_MESSAGE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.statistics = Statistics()
        self.mib = project(MODEL)
        self._operations = operations
        self._communities = {c.name: c for c in communities}
        self._max_message = max_message
        self._clock = clock
        self.started = clock()
        self._contexts = {
            name: Context(self.mib, inventory, functools.partial(standing, self, name))
            for name, inventory in inventories.items()
        }
        self._admitted: dict[tuple[bytes, str], bool] = {}
        self._under_way: set[tuple[Any, ...]] = set()
        self.refusals: deque[Refusal] = deque(maxlen=REMEMBERED_REFUSALS)
        """SETs that were refused and not yet told of; whoever serves the engine takes them out."""
        self._sets: OrderedDict[tuple[Any, ...], tuple[float, bytes]] = OrderedDict()

    def uptime(self) -> int:
        """sysUpTime: hundredths of a second since the engine started, wrapping at 32 bits."""
        return int((self._clock() - self.started) * 100) & 0xFFFF_FFFF

    def receive(self, data: bytes, host: str, port: int = 0) -> bytes | Setting | None:
        """The answer to a datagram from an address; None if it gets none."""
        self.statistics.snmpInPkts += 1
        try:
            request = parse(data)
            community = self._admit(request.community, host)
            if community is None:
                return None
            return self._answer(request, community, (host, port))
        except UnsupportedVersion:
            self.statistics.snmpInBadVersions += 1
        except BerError:
            self.statistics.snmpInASNParseErrs += 1
        return None

    def _admit(self, name: bytes, host: str) -> Community | None:
        community = self._communities.get(name)
        if community is not None:
            admitted = self._admitted.get((name, host))
            if admitted is None:
                if len(self._admitted) >= KNOWN_SOURCES:
                    self._admitted.clear()
                admitted = self._admitted[name, host] = _within(host, community.sources)
            if admitted:
                return community
        self.statistics.snmpInBadCommunityNames += 1
        return None

    def _answer(self, request: Request, community: Community, source: tuple[str, int]) -> bytes | Setting | None:
        context = self._contexts[community.hypervisor]
        match request.pdu:
            case Pdu.GETBULK:
                return self._get_bulk(request, context.view())
            case Pdu.GETNEXT:
                return self._fitting(request, [self._next(context.view(), v.oid) for v in request.varbinds])
            case Pdu.GET:
                view = context.view()
                return self._fitting(request, [self._get(view, v.oid) for v in request.varbinds])
            case Pdu.SET:
                return self._set(request, community, context, source)
        if request.pdu not in set(Pdu):
            raise BerError(f"no PDU has the tag 0x{request.pdu:02x}")
        self.statistics.snmpUnknownPDUHandlers += 1  # a response or a trap: an agent's command responder takes none
        return None

    # --- reading

    def _fitting(self, request: Request, found: list[bytes]) -> bytes:
        whole = response(request, b"".join(found))
        return whole if len(whole) <= self._max_message else self._too_big(request)

    def _too_big(self, request: Request) -> bytes:
        """RFC 3416, 4.2.1: an alternate response, with tooBig, error-index 0 and no variable bindings."""
        return response(request, b"", Status.TOO_BIG, 0)

    def _get(self, view: View, oid: bytes) -> bytes:
        place = view.exact(oid)
        if place is not None:
            found = view.columns[place[0]].get(place[1])
            return found or varbind(oid, NO_SUCH_INSTANCE)
        ber.oid(oid)
        return varbind(oid, NO_SUCH_INSTANCE if view.column_of(oid) is not None else NO_SUCH_OBJECT)

    def _next(self, view: View, oid: bytes) -> bytes:
        return view.following(*view.after(oid))[0] or varbind(oid, END_OF_MIB_VIEW)

    def _get_bulk(self, request: Request, view: View) -> bytes:
        """RFC 3416, 4.2.3. Trimmed from the end until it fits, so it is never too big unless nothing fits."""
        singles = min(max(request.first, 0), len(request.varbinds))
        repetitions = max(request.second, 0)
        room = self._max_message - overhead(request)
        out: list[bytes] = []
        for one in request.varbinds[:singles]:
            found = self._next(view, one.oid)
            if len(found) > room:
                return response(request, b"".join(out)) if out else self._too_big(request)
            out.append(found)
            room -= len(found)
        repeated = request.varbinds[singles:]
        if len(repeated) == 1:
            self._repeat_one(view, repeated[0].oid, repetitions, room, out)
        elif repeated:
            self._repeat(view, repeated, repetitions, room, out)
        if not out and repeated and repetitions:
            return self._too_big(request)
        return response(request, b"".join(out))

    def _repeat_one(self, view: View, oid: bytes, repetitions: int, room: int, out: list[bytes]) -> None:
        number, row = view.after(oid)
        chunks, count, number, row = view.run(number, row, repetitions, room)
        out += [chunk for chunk in chunks if chunk]
        if count < repetitions and number >= len(view.columns):
            end = varbind(_last_oid(chunks) or oid, END_OF_MIB_VIEW)
            if len(end) <= room - sum(map(len, chunks)):
                out.append(end)

    def _repeat(self, view: View, repeated: Sequence[Varbind], repetitions: int, room: int, out: list[bytes]) -> None:
        places = [view.after(v.oid) for v in repeated]
        names = [v.oid for v in repeated]
        for _ in range(repetitions):
            ended = 0
            for i, place in enumerate(places):
                found, number, row = view.following(*place)
                if found:
                    places[i] = (number, row)
                    names[i] = b""  # looked up in what was found, should the end come next
                else:
                    ended += 1
                    found = varbind(names[i] or _last_oid(out[-len(places) : -len(places) + 1] or out), END_OF_MIB_VIEW)
                    names[i] = names[i] or _last_oid([found])
                if len(found) > room:
                    return
                out.append(found)
                room -= len(found)
            if ended == len(places):
                return

    # --- writing

    def _set(
        self, request: Request, community: Community, context: Context, source: tuple[str, int]
    ) -> bytes | Setting | None:
        token = (*source, request.community, request.request_id, request.varbinds_raw)
        if token in self._under_way:
            return None  # sent again while it is being carried out
        self._forget_sets()
        if token in self._sets:
            return self._sets[token][1]  # sent again: the first answer once more
        largest = response(request, request.varbinds_raw, max(Status), len(request.varbinds))
        if len(largest) > self._max_message:
            return self._too_big(request)
        try:
            setting = self._tested(request, community, context, source[0])
        except _Refused as refused:
            self.statistics.snmpInBadCommunityUses += refused.status is Status.NO_ACCESS
            self.refusals.append(self._refusal(request, community, context, source[0], refused))
            return response(request, request.varbinds_raw, refused.status, refused.index)
        setting.token = token
        if not setting.steps:
            return self.finish(setting)
        self._under_way.add(token)
        return setting

    def _refusal(
        self, request: Request, community: Community, context: Context, host: str, refused: _Refused
    ) -> Refusal:
        one = request.varbinds[refused.index - 1]
        view = context.view()
        number = view.column_of(one.oid)
        column = view.columns[number] if number is not None else None
        mib = column.object if column is not None else None
        target = ".".join(map(str, ber.oid(one.oid)))
        if column is not None and mib is not None:
            target = ".".join((mib.name, *map(str, ber.oid(one.oid)[len(column.oid) :])))
        reason = f"{refused.status.label}: {refused.why}" if refused.why else refused.status.label
        return Refusal(
            principal=_principal(community, host), hypervisor=community.hypervisor, operation=_wanted(mib, one),
            target=target, reason=reason,
        )  # fmt: skip

    def _forget_sets(self) -> None:
        """Those that were answered long ago; a manager that waits that long asks anew, with another request-id."""
        oldest = self._clock() - REMEMBERED_FOR
        while self._sets and (len(self._sets) > REMEMBERED_SETS or next(iter(self._sets.values()))[0] < oldest):
            self._sets.popitem(last=False)

    def finish(self, setting: Setting, status: Status = Status.NO_ERROR, index: int = 0) -> bytes:
        """The response to a SET that was carried out, or failed at variable `index`."""
        answer = response(setting.request, setting.request.varbinds_raw, status, index)
        self._under_way.discard(setting.token)
        self._sets[setting.token] = (self._clock(), answer)
        return answer

    def _tested(self, request: Request, community: Community, context: Context, host: str) -> Setting:
        view = context.view()
        principal = _principal(community, host)
        for one in request.varbinds:
            ber.oid(one.oid)  # a malformed name drops the whole message, before any of its variables is answered
        steps: list[Step] = []
        seen: set[tuple[int, int]] = set()
        for index, one in enumerate(request.varbinds, 1):
            place, mib = self._writable(view, one, index, principal)
            operation = _asked(mib, one, index)
            if place is None:
                raise _Refused(Status.NO_CREATION, index)
            if place in seen:
                raise _Refused(Status.INCONSISTENT_VALUE, index)
            seen.add(place)
            if operation is not None:
                steps.append(self._step(view.columns[place[0]], place[1], operation, index, principal, community))
        final = [s for s in steps if s.undo is None]
        if len(final) > 1:
            raise _Refused(
                Status.INCONSISTENT_VALUE, final[1].index, "one SET can do only one thing that cannot be undone"
            )
        ordered = [s for s in steps if s.undo is not None] + final
        return Setting(request, principal, community.hypervisor, ordered)

    def _writable(
        self, view: View, one: Varbind, index: int, principal: Principal
    ) -> tuple[tuple[int, int] | None, MibObject]:
        """The place a variable names, None if it does not exist, and its object, which this principal may write."""
        if principal.role is Access.OBSERVE:
            raise _Refused(Status.NO_ACCESS, index)
        place = view.exact(one.oid)
        number = place[0] if place else view.column_of(one.oid)
        mib = view.columns[number].object if number is not None else None
        if mib is None or (mib.operation is None and not mib.actions):
            raise _Refused(Status.NOT_WRITABLE, index)
        wanted = (mib.operation,) if mib.operation else mib.actions
        if not any(permitted(principal, o) for o in wanted):
            raise _Refused(Status.NO_ACCESS, index)
        return place, mib

    def _step(
        self, column: Column, row: int, operation: Operation, index: int, principal: Principal, community: Community
    ) -> Step:
        kind = type(operation)
        if not permitted(principal, kind):
            raise _Refused(Status.NO_ACCESS, index)
        if wrong := malformed(operation):
            raise _Refused(Status.WRONG_VALUE, index, wrong)
        record = column.records[row] if column.records else None
        table = self._contexts[community.hypervisor].inventory.snapshot.table(kind.on)
        if record is None:  # an action column is computed and knows no records: rows stand in the order of the table
            record = table.records[row]
        key = kind.on.of_values(record).key
        if unsuitable := self._operations.unsuitable(community.hypervisor, kind, key):
            raise _Refused(Status.INCONSISTENT_VALUE, index, unsuitable)
        undo: Operation | None = None
        if kind.sets is not None:
            before = record[kind.on.positions[kind.sets]]
            undo = None if before is None else operation.replace(**{kind.sets: before})
        elif kind.undo is not None:
            undo = MODEL.operation(kind.undo)()
        return Step(index=index, operation=operation, key=key, undo=undo)


def _principal(community: Community, host: str) -> Principal:
    return Principal(name=community.label, role=community.role, front_end="snmp", source=host)


def _wanted(mib: MibObject | None, one: Varbind) -> str:
    """The name of the operation that a variable of a SET is about, as far as that can be told."""
    if mib is None or (mib.operation is None and not mib.actions):
        return "SET"
    if mib.operation is not None:
        return mib.operation.__name__
    number = int.from_bytes(one.value[:8], "big", signed=True)
    return next((o.__name__ for o in mib.actions if o.number == number), "SET")


def _within(host: str, networks: Sequence[Network]) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in n for n in networks)


def _last_oid(chunks: Sequence[bytes]) -> bytes:
    """The OID (contents octets) of the last variable binding in a list of chunks; empty if there is none."""
    for chunk in reversed(chunks):
        at, name = 0, b""
        while at < len(chunk):
            _, start, stop = ber.tlv(chunk, at, len(chunk))
            _, oid_start, oid_stop = ber.tlv(chunk, start, stop)
            name, at = chunk[oid_start:oid_stop], stop
        if name:
            return name
    return b""


_TAGS = {Wire.INTEGER: ber.INTEGER, Wire.OCTETS: ber.OCTETS, Wire.UNSIGNED: ber.UNSIGNED, Wire.COUNTER64: ber.COUNTER64}


def _asked(mib: MibObject, one: Varbind, index: int) -> Operation | None:
    """The operation that this value of this object asks for; None for an action of none(0)."""
    if one.tag != _TAGS[mib.wire]:
        raise _Refused(Status.WRONG_TYPE, index)
    if mib.operation is None:
        number = _integer(one, index)
        if number == 0:
            return None
        found = next((o for o in mib.actions if o.number == number), None)
        if found is None:
            raise _Refused(Status.WRONG_VALUE, index)
        return found()
    if mib.field is None:
        raise _Refused(Status.NOT_WRITABLE, index)
    return mib.operation(**{mib.field.name: _value(mib.field, one, index)})


def _integer(one: Varbind, index: int) -> int:
    try:
        return ber.integer(one.value)
    except BerError:
        raise _Refused(Status.WRONG_ENCODING, index) from None


def _value(field: Field, one: Varbind, index: int) -> Any:
    """A variable's value as the Python value of its column."""
    semantic = field.semantic
    match semantic.wire:
        case Wire.INTEGER:
            number = _integer(one, index)
            if semantic.python is bool:
                if number not in (1, 2):
                    raise _Refused(Status.WRONG_VALUE, index)
                return number == 1
            if field.enumeration is not None:
                member = field.enumeration.of(number)
                if member is None:
                    raise _Refused(Status.WRONG_VALUE, index)
                return member
            return number
        case Wire.UNSIGNED | Wire.COUNTER64:
            try:
                return ber.unsigned(one.value, 32 if semantic.wire is Wire.UNSIGNED else 64)
            except BerError:
                raise _Refused(Status.WRONG_ENCODING, index) from None
    if semantic.high is not None and not (semantic.low or 0) <= len(one.value) <= semantic.high:
        raise _Refused(Status.WRONG_LENGTH, index)
    try:
        return one.value.decode("utf-8")
    except UnicodeDecodeError:
        raise _Refused(Status.WRONG_ENCODING, index) from None
