"""The subagent's side of an AgentX session, without I/O: octets in, octets out, and events for what takes more than that.

A session is good for one connection. It opens, registers what is served in every context, tells what it implements, and
then answers (RFC 2741, section 7). What a SET does may take its time: the session says CarryOut or TakeBack, is told how it
went, and answers then. A PDU that comes again, because the master lost patience, never has anything done twice.
"""

import enum
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.access import Principal
from agent.snmp import agentx, ber
from agent.snmp.agentx import AgentxError, Bindings, Capabilities, Error, Header, Kind, Pdu, Reason, Region
from agent.snmp.agentx_retrieval import Retrieval, UnknownContext
from agent.snmp.ber import BerError
from agent.snmp.message import Status, Varbind
from agent.snmp.mib import Oid
from agent.snmp.notice import Notice
from agent.snmp.setting import Asker, Refusal, Refused, Setting, refusal, tested
from agent.snmp.vacm import MibView, Subtree

SNMP_TRAP_OID: Oid = (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
TRANSACTIONS = 64
"""SETs of which we know at once. A master finishes one before it forgets it; one that does not must not fill our memory."""

BATCH = 64
ENOUGH = 1 << 18
"""PDUs that are answered at once, and octets of answers after which the rest has to wait for its turn."""

ALL = MibView("agentx", (Subtree(oid=(1,)),))
"""What may be written is the master's decision, and then that of our role."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A subtree that is served in a context; None is the default one."""

    context: bytes | None
    subtree: Oid

    def __str__(self) -> str:
        where = "" if self.context is None else f" in the context {self.context.decode('utf-8', 'replace')}"
        return ".".join(map(str, self.subtree)) + where


@dataclass(frozen=True, kw_only=True)
class Ready:
    """All that there is to register was registered, or refused."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The session is over; nothing more will be sent or understood."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """The master refused something, and the session goes on without it."""

    what: str


@dataclass(frozen=True, kw_only=True)
class CarryOut:
    """A setting to be carried out; tell `carried_out` how it went."""

    transaction: int
    setting: Setting


@dataclass(frozen=True, kw_only=True)
class TakeBack:
    """A setting, carried out or tried, to be taken back; tell `taken_back` how it went."""

    transaction: int
    setting: Setting


Event = Ready | Ended | Trouble | CarryOut | TakeBack | Refusal


class State(enum.Enum):
    """How far a session is."""

    OPENING = "opening"
    UP = "up"
    ENDED = "ended"


@dataclass(kw_only=True)
class _Transaction:
    """A SET between its TestSet and its CleanupSet. `commit` and `undo` are the packets that are waiting for an answer."""

    octets: bytes
    setting: Setting | None
    tested: tuple[int, int]
    commit: int | None = None
    carried_out: tuple[int, int] | None = None
    undo: int | None = None
    taken_back: int | None = None


class Session:
    """One session, from the first octet of a connection to its last.

    `hypervisors` are the names of contexts, the default one first. `timeout` is how many seconds the master should wait.
    """

    def __init__(
        self,
        retrieval: Retrieval,
        hypervisors: Sequence[str],
        principal: Principal,
        *,
        identity: Oid,
        description: str,
        capabilities: Mapping[Oid, str],
        timeout: int,
    ) -> None:
        self._retrieval = retrieval
        self._hypervisors = {name.encode(): name for name in hypervisors}
        self._default = hypervisors[0]
        self._principal = principal
        self._identity = identity
        self._description = description
        self._capabilities = capabilities
        self._timeout = timeout
        self.state = State.OPENING
        self.number = 0
        self.held: set[Registration] = set()
        self.events: list[Event] = []
        """What happened; whoever serves the session takes it out."""
        self._refused: dict[Registration, int] = {}
        self._awaited: dict[int, Pdu] = {}
        self._packet = 0
        self._rest = b""
        self._whole: deque[bytes] = deque()
        self._heard = False
        self._told_ready = False
        self._transactions: OrderedDict[int, _Transaction] = OrderedDict()

    # --- what we begin

    def open(self) -> bytes:
        """The first octets of a connection."""
        description = self._description.encode()[:255]
        return self._ask(
            Kind.OPEN, agentx.Open(timeout=self._timeout, identity=self._identity, description=description)
        )

    def close(self, reason: Reason = Reason.SHUTDOWN) -> bytes:
        """The last octets of a connection; nothing if there is no session."""
        if self.state is not State.UP:
            self.state = State.ENDED
            return b""
        self.state = State.ENDED
        return agentx.encode(self._made(Kind.CLOSE, agentx.Close(reason=reason), None))

    def tick(self) -> bytes:
        """To be called at even intervals: a Ping if the master was silent since the last call, and the session's end if it
        left something unanswered as well; what it refused to register is tried again."""
        silent, self._heard = not self._heard, False
        if silent:
            self._retrieval.rest()
            if self._awaited:
                self._end("the master does not answer")
        if self.state is not State.UP:
            return b""
        return (self._ask(Kind.PING, None) if silent else b"") + self._register()

    def notify(self, notice: Notice) -> bytes:
        """A notification; nothing if there is no session to send it in. sysUpTime is left to the master."""
        if self.state is not State.UP:
            return b""
        pairs = [(SNMP_TRAP_OID, ber.encode_oid(notice.oid)), *notice.varbinds]
        bindings = [agentx.of_pair(oid, element) for oid, element in pairs]
        context = None
        if notice.hypervisor is not None and notice.hypervisor != self._default:
            context = notice.hypervisor.encode()
        return self._ask(Kind.NOTIFY, Bindings(bindings=bindings), context)

    def _made(self, kind: Kind, body: agentx.Body, context: bytes | None) -> Pdu:
        self._packet = self._packet % 0x7FFF_FFFF + 1
        return Pdu(kind=kind, session=self.number, packet=self._packet, context=context, body=body)

    def _ask(self, kind: Kind, body: agentx.Body, context: bytes | None = None) -> bytes:
        pdu = self._made(kind, body, context)
        self._awaited[pdu.packet] = pdu
        return agentx.encode(pdu)

    def _register(self) -> bytes:
        """Asks for what is served and not yet registered, or being so."""
        asked = {
            Registration(context=pdu.context, subtree=pdu.body.subtree)
            for pdu in self._awaited.values()
            if pdu.kind is Kind.REGISTER and isinstance(pdu.body, Region)
        }
        out = b""
        for context in (None, *self._hypervisors):
            for subtree in self._retrieval.served(context):
                one = Registration(context=context, subtree=subtree)
                if one not in self.held and one not in asked:
                    out += self._ask(Kind.REGISTER, Region(subtree=subtree, timeout=self._timeout), context)
        return out

    def _end(self, why: str) -> None:
        if self.state is not State.ENDED:
            self.state = State.ENDED
            self.events.append(Ended(why=why))

    # --- what the master says

    def turn(self) -> None:
        """Octets came, and time went by since the last ones."""
        self._heard = True
        self._retrieval.turn()

    def receive(self, data: bytes) -> bytes:
        """What to send for octets that came in. AgentxError if nobody could tell where the next PDU begins."""
        if not self._rest and not self._whole and (quick := self._retrieval.quick(data)) is not None:
            return quick
        whole, self._rest = agentx.split(self._rest + data)
        self._whole += whole
        out: list[bytes] = []
        room = ENOUGH
        while self.more and len(out) < BATCH and room > 0:
            pdu = self._whole.popleft()
            out.append(self._retrieval.quick(pdu) or self._one(pdu))
            room -= len(out[-1])
        return b"".join(out)

    @property
    def more(self) -> bool:
        """Whether PDUs are left that came in and were not dealt with; `receive` goes on with them."""
        return bool(self._whole) and self.state is not State.ENDED

    def _one(self, data: bytes) -> bytes:
        head = agentx.header(data)
        try:
            pdu = agentx.decode(data)
        except AgentxError:
            return b"" if head.kind == Kind.RESPONSE else _answer(head, Error.PARSE_ERROR)
        if pdu.kind is Kind.RESPONSE:
            return self._response(pdu)
        if self.state is not State.UP or pdu.session != self.number:
            return b"" if pdu.kind in (Kind.CLOSE, Kind.CLEANUPSET) else _answer(head, Error.NOT_OPEN)
        try:
            return self._request(head, pdu, data)
        except UnknownContext:
            return _answer(head, Error.UNSUPPORTED_CONTEXT)
        except (AgentxError, BerError):
            return _answer(head, Error.PARSE_ERROR)

    def _request(self, head: Header, pdu: Pdu, data: bytes) -> bytes:
        match pdu.kind, pdu.body:
            case Kind.GETNEXT, _:
                return _answer(head, bindings=self._retrieval.get_next(_big(pdu, data)))
            case Kind.GET, agentx.Search(ranges=ranges):
                return _answer(head, bindings=self._retrieval.get(pdu.context, ranges))
            case Kind.GETBULK, _:
                return _answer(head, bindings=self._retrieval.get_bulk(_big(pdu, data)))
            case Kind.TESTSET, Bindings(bindings=bindings):
                return self._test(head, pdu, [agentx.to_varbind(b) for b in bindings], data[agentx.HEADER :])
            case Kind.COMMITSET, _:
                return self._commit(head)
            case Kind.UNDOSET, _:
                return self._undo(head)
            case Kind.CLEANUPSET, _:
                self._transactions.pop(pdu.transaction, None)
                return b""  # the one request that is not answered (section 7.2.4.4)
            case Kind.CLOSE, agentx.Close(reason=reason):
                self._end(f"the master closed the session, for reason {reason}")
                return b""
        return _answer(head, Error.PROCESSING_ERROR)  # of those that only a subagent sends

    # --- answers of the master

    def _response(self, pdu: Pdu) -> bytes:
        asked = self._awaited.pop(pdu.packet, None)
        if asked is None or not isinstance(pdu.body, agentx.Response):
            return b""  # of what we did not ask, or gave up
        error = pdu.body.error
        if asked.kind is Kind.OPEN:
            return self._opened(pdu, error)
        if error == Error.NOT_OPEN:
            self._end("the master does not know the session")
            return b""
        if asked.kind is Kind.REGISTER and isinstance(asked.body, Region):
            self._registered(Registration(context=asked.context, subtree=asked.body.subtree), error)
        elif error:
            self.events.append(Trouble(what=f"the master answers a {asked.kind.name} with {_named(error)}"))
        return b""

    def _opened(self, pdu: Pdu, error: int) -> bytes:
        if error:
            self._end(f"the master opens no session: {_named(error)}")
            return b""
        self.state = State.UP
        self.number = pdu.session
        self._retrieval.session(self.number)
        self._retrieval.look()
        out = self._register()
        for oid, description in self._capabilities.items():
            out += self._ask(Kind.ADD_AGENT_CAPS, Capabilities(oid=oid, description=description.encode()[:255]))
        return out

    def _registered(self, one: Registration, error: int) -> None:
        if not error:
            self.held.add(one)
            self._refused.pop(one, None)
        elif self._refused.get(one) != error:
            self._refused[one] = error
            self.events.append(Trouble(what=f"the master does not register {one}: {_named(error)}"))
        if not self._told_ready and not any(p.kind is Kind.REGISTER for p in self._awaited.values()):
            self._told_ready = True
            self.events.append(Ready())

    # --- SET

    def _test(self, head: Header, pdu: Pdu, varbinds: Sequence[Varbind], octets: bytes) -> bytes:
        known = self._transactions.get(pdu.transaction)
        if known is not None and (known.octets == octets or known.commit is not None):
            return _answer(head, *known.tested)
        view = self._retrieval.narrow(pdu.context).view
        hypervisor = self._hypervisors[pdu.context] if pdu.context else self._default
        asker = Asker(principal=self._principal, hypervisor=hypervisor, write=ALL)
        setting: Setting | None = None
        status: tuple[int, int] = 0, 0
        try:
            setting = tested(view, varbinds, asker)
        except Refused as refused:
            status = refused.status, refused.index
            self.events.append(refusal(view, varbinds, asker, refused))
        while len(self._transactions) >= TRANSACTIONS:
            self._transactions.popitem(last=False)
        self._transactions[pdu.transaction] = _Transaction(octets=octets, setting=setting, tested=status)
        return _answer(head, *status)

    def _commit(self, head: Header) -> bytes:
        one = self._transactions.get(head.transaction)
        if one is None or one.setting is None:
            return _answer(head, Status.COMMIT_FAILED)
        if one.carried_out is not None:
            return _answer(head, *one.carried_out)
        if one.commit is None:
            self.events.append(CarryOut(transaction=head.transaction, setting=one.setting))
        one.commit = head.packet
        return b""

    def carried_out(self, transaction: int, status: Status, index: int) -> bytes:
        """How a setting went; the answer to its CommitSet, if somebody still waits for it."""
        one = self._transactions.get(transaction)
        if one is None or one.commit is None or self.state is not State.UP:
            return b""
        one.carried_out = status, index
        if one.undo is not None and one.setting is not None:  # the master had lost patience
            self.events.append(TakeBack(transaction=transaction, setting=one.setting))
        return self._late(Kind.COMMITSET, transaction, one.commit, status, index)

    def _undo(self, head: Header) -> bytes:
        one = self._transactions.get(head.transaction)
        if one is None:
            return _answer(head, Status.UNDO_FAILED)
        if one.commit is None or one.setting is None:
            return _answer(head)  # nothing was done
        if one.taken_back is not None:
            return _answer(head, one.taken_back)
        if one.undo is None and one.carried_out is not None:
            self.events.append(TakeBack(transaction=head.transaction, setting=one.setting))
        one.undo = head.packet
        return b""

    def taken_back(self, transaction: int, mended: bool) -> bytes:
        """Whether a setting could be taken back; the answer to its UndoSet."""
        one = self._transactions.get(transaction)
        if one is None or one.undo is None or self.state is not State.UP:
            return b""
        one.taken_back = Status.NO_ERROR if mended else Status.UNDO_FAILED
        return self._late(Kind.UNDOSET, transaction, one.undo, one.taken_back, 0)

    def _late(self, kind: Kind, transaction: int, packet: int, status: int, index: int) -> bytes:
        return _answer(Header(kind, 0, self.number, transaction, packet, 0), status, index)


def _answer(head: Header, error: int = 0, index: int = 0, bindings: Sequence[bytes] = ()) -> bytes:
    """A Response to the PDU with this header."""
    body = agentx.Response(error=error, index=index)
    pdu = Pdu(
        kind=Kind.RESPONSE, session=head.session, transaction=head.transaction, packet=head.packet, body=body
    )  # fmt: skip
    empty = agentx.encode(pdu)
    if not bindings:
        return empty
    listed = b"".join(bindings)
    size = len(empty) - agentx.HEADER + len(listed)
    return b"".join((empty[:16], agentx.number(size), empty[20:], listed))


def _big(pdu: Pdu, data: bytes) -> bytes:
    """A PDU in network byte order."""
    return data if data[2] & agentx.Flag.NETWORK_BYTE_ORDER else agentx.encode(pdu)


def _named(error: int) -> str:
    try:
        return Error(error).name.lower().replace("_", " ")
    except ValueError:
        return f"error {error}"
