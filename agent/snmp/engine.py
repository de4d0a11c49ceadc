"""The SNMP engine, without I/O: a message in, a response out, or the setting that has to be carried out first.

Versions 1 and 2c (RFC 1157, RFC 1901) and 3 with the User-based and the Transport Security Model (RFC 3412, RFC 3414, RFC
5591) end in the same PDUs (RFC 3416), answered from the newest snapshot. What version 1 cannot say is said as RFC 3584 has
it: Counter64 is not there, and errors have other names. A SET becomes a Setting; the server carries it out and comes back
for the response. Errors a manager sees are error-status values; what the RFC wants dropped in silence is counted.

Nobody is trusted further than his messages are protected: see `security`. The commonest message, a question in version 2c,
passes here straight; whatever costs more is behind the tests that it fails.
"""

import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent.inventory import Inventory
from agent.model import MODEL
from agent.operations import Operations
from agent.snmp import ber, message3, retrieval, usm, vacm
from agent.snmp import security as securing
from agent.snmp.ber import BerError
from agent.snmp.context import Context
from agent.snmp.familiar import Layouts
from agent.snmp.message import (
    CONFIRMED,
    VERSION_1,
    VERSION_2C,
    VERSION_3,
    Pdu,
    Request,
    Status,
    UnsupportedVersion,
    overhead,
    parse_any,
    pdu,
    plain,
    plain_pdu,
    response,
    response_pdu,
    success,
)
from agent.snmp.message3 import Level
from agent.snmp.mib import Mib, Oid, project
from agent.snmp.protection import Authenticator
from agent.snmp.security import Account, Certificate, Community, Gate, Named, Security
from agent.snmp.setting import Asker, Refusal, Refused, Setting, refusal, tested
from agent.snmp.standards import Serve
from agent.snmp.vacm import Denial, Grant, MibView
from agent.snmp.view import View

MAX_MESSAGE = 65_507
"""What an IPv4 UDP datagram holds; RFC 3417 asks for 484 at least."""

TSM_OVERHEAD = 80
"""Octets of an answer of the Transport Security Model beside its variable bindings and names, at most."""

PDU_OVERHEAD = 22
"""Octets of a Response-PDU beside its variable bindings, at most."""

REMEMBERED_SETS = 1024
REMEMBERED_FOR = 30.0
"""Answers to SETs that are remembered, and for how many seconds."""

REMEMBERED_REFUSALS = 64
_MODULES: Oid = (1, 3, 6, 1, 6, 3)


@dataclass(slots=True)
class Statistics:
    """The counters of the snmp group (RFC 3418), of the dispatcher (RFC 3412, SNMP-MPD-MIB) and of contexts (RFC 3413,
    SNMP-TARGET-MIB), by their names there; `tooOften` counts what went beyond somebody's rate.
    """

    snmpInPkts: int = 0
    snmpInBadVersions: int = 0
    snmpInBadCommunityNames: int = 0
    snmpInBadCommunityUses: int = 0
    snmpInASNParseErrs: int = 0
    snmpSilentDrops: int = 0
    snmpProxyDrops: int = 0
    snmpUnknownSecurityModels: int = 0
    snmpInvalidMsgs: int = 0
    snmpUnknownPDUHandlers: int = 0
    snmpUnavailableContexts: int = 0
    snmpUnknownContexts: int = 0
    tooOften: int = 0


_REPORTED = {
    "snmpUnknownPDUHandlers": (*_MODULES, 11, 2, 1, 3, 0),
    "snmpUnavailableContexts": (*_MODULES, 12, 1, 4, 0),
    "snmpUnknownContexts": (*_MODULES, 12, 1, 5, 0),
}


class Way(NamedTuple):
    """How an answer goes back: how long it may be, what of that is not variable bindings, and, for version 3, what came, and
    what USM made of it; nothing, if it came through a transport that protects it."""

    largest: int
    overhead: int
    message: message3.Message | None
    said: message3.Scoped | None
    opened: usm.Opened | None


class Guest(NamedTuple):
    """Somebody with a community, at an address: what is granted to him, and the view he reads through, if he may."""

    community: Community
    context: Context
    grant: Grant | Denial
    view: MibView | None


class Use(NamedTuple):
    """What somebody's questions in a context lead to: `largest` is the longest answer, `overhead` what of it is not variable
    bindings, `names` are the two of the scoped PDU, as elements."""

    account: Account
    context: Context
    view: MibView
    largest: int
    overhead: int
    names: bytes
    user: usm.LocalUser
    authenticator: Authenticator


Token = tuple[object, ...]
"""By what a SET is known when it comes again: its source, version, credential, context, request-id and variables."""


class Answered:
    """What was answered to SETs lately, for those that come again because the answer was lost."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[Token, tuple[float, Status, int]] = OrderedDict()

    def find(self, token: Token) -> tuple[Status, int] | None:
        """error-status and error-index of a SET that was answered. One that was answered long ago is forgotten: a manager
        that waits so long asks anew, with another request-id."""
        known, oldest = self._known, self._clock() - REMEMBERED_FOR
        while known and next(iter(known.values()))[0] < oldest:
            known.popitem(last=False)
        found = known.get(token)
        return None if found is None else found[1:]

    def add(self, token: Token, status: Status, index: int) -> None:
        self._known[token] = (self._clock(), status, index)
        if len(self._known) > REMEMBERED_SETS:
            self._known.popitem(last=False)


class Engine:
    """Answers messages. One for all listeners; lives in the event loop's thread."""

    def __init__(
        self,
        inventories: Mapping[str, Inventory],
        operations: Operations,
        security: Security,
        *,
        engine_id: bytes,
        boots: int = 1,
        standards: Sequence[Serve] = (),
        largest: int = MAX_MESSAGE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.statistics = Statistics()
        self.mib: Mib = project(MODEL)
        self.operations = operations
        self.engine_id = engine_id
        self.boots = boots
        self.largest = largest
        self.started = clock()
        self._clock = clock
        self.usm = usm.Usm(engine_id, boots)
        self._usual = self.usm.usual
        self._layouts = Layouts()
        self._hypervisors = tuple(inventories)
        self.on_authentication_failure: list[Callable[[], None]] = []
        self.refusals: deque[Refusal] = deque(maxlen=REMEMBERED_REFUSALS)
        """SETs that were refused and not yet told of; whoever serves the engine takes them out."""
        self._under_way: dict[Token, Setting] = {}
        self._carried_out, self._refused_lately = Answered(clock), Answered(clock)
        self._replays = usm.Replays()
        self.configure(security)
        self.contexts = {name: Context(self, name, one, standards) for name, one in inventories.items()}
        self._default = next(iter(self.contexts.values()))

    def configure(self, security: Security) -> None:
        """Other communities, users, certificates and views from now on; counters, boots and what is remembered stay."""
        self.policy = security.policy(self._hypervisors)  # first, for it may be refused
        self.security = security
        self._largest_untrusted = min(self.largest, security.answer_limit)
        self._communities = securing.by_name(security)
        self._accounts = {a.user.name: a for a in security.accounts}
        self._certificates = {c.fingerprint: c for c in security.certificates}
        self.usm.renew([a.user for a in security.accounts])
        self._layouts.forget()
        self._guests: dict[tuple[bytes, int, str], Guest] = {}
        self._gate = Gate(self._clock)
        self._grants: dict[tuple[int, str, int, str], Grant | Denial] = {}

    # --- identity and time

    def uptime(self) -> int:
        """sysUpTime: hundredths of a second since the engine started, wrapping at 32 bits."""
        return int((self._clock() - self.started) * 100) & 0xFFFF_FFFF

    def time(self) -> int:
        """snmpEngineTime: seconds since boots last changed."""
        return int(self._clock() - self.started)

    def context(self, hypervisor: str) -> Context:
        return self.contexts[hypervisor]

    def modules(self) -> list[tuple[Oid, str]]:
        """The identities of all modules that are served, each with a description."""
        own = [(m.oid, f"{m.name}: {m.description}") for m in self.mib.modules]
        return [m for standard in self._default.standards for m in standard.modules] + own

    # --- dispatching

    def receive(
        self, data: bytes, host: str, port: int = 0, *, largest: int = MAX_MESSAGE, certificate: str | None = None
    ) -> bytes | Setting | None:
        """The answer to a message from an address; None if it gets none. `largest` is what the transport takes back;
        `certificate` whose it is that a protecting transport brought it from."""
        self.statistics.snmpInPkts += 1
        try:
            if certificate is not None:
                return self._trusted(data, host, port, largest, certificate)
            request = plain(data)
            if request is None:
                if (answer := self._from_familiar(data, host, largest)) is not None:
                    return answer
                message = self._usual(data)
                if message is not None:
                    return self._authentic(message, host, port, largest)
                request = parse_any(data)
            return self._with_community(request, host, port, largest)
        except UnsupportedVersion:
            pass  # answered below: what is raised in a handler passes by the other handlers
        except BerError:
            self.statistics.snmpInASNParseErrs += 1
            return None
        try:
            return self._version_3(data, host, port, largest)
        except BerError:
            self.statistics.snmpInASNParseErrs += 1
        return None

    def _with_community(self, request: Request, host: str, port: int, largest: int) -> bytes | Setting | None:
        who = (request.community, request.version, host)
        guest = self._guests.get(who) or self._admitted(who)
        if guest is None:
            self._unknown()
            return None
        community, context, grant, view = guest
        if community.rate is not None and not self._gate.pace(community):
            self.statistics.tooOften += 1
            return None
        limit = min(largest, self._largest_untrusted)
        above = overhead(request)
        if view is not None and request.version == VERSION_2C and request.pdu in _READ:
            try:
                raw = _READ[request.pdu](context.seen(view, VERSION_2C), request, limit - above)
                return success(request.community, request.request_id, raw)
            except retrieval.TooBig:
                pass  # said below
        return self._answer(request, Way(limit, above, None, None, None), community, grant, context, (host, port))

    def _admitted(self, who: tuple[bytes, int, str]) -> "Guest | None":
        """Whose community this is, if he may use it in this version and from this address; remembered."""
        name, version, host = who
        community = self._communities.get(name)
        if community is None or version not in community.versions or not self._gate.source(community, host):
            return None
        grant = self._granted((version + 1, community.label, 0, community.hypervisor))
        view = grant.read if isinstance(grant, Grant) else None
        guest = Guest(community, self.contexts[community.hypervisor], grant, view)
        if len(self._guests) >= securing.KNOWN_SOURCES:
            self._guests.clear()
        self._guests[who] = guest
        return guest

    def _unknown(self) -> None:
        self.statistics.snmpInBadCommunityNames += 1
        self._authentication_failed()

    def _authentication_failed(self) -> None:
        for told in self.on_authentication_failure:
            told()

    def _granted(self, key: tuple[int, str, int, str]) -> Grant | Denial:
        """What the policy says to a security model, name and level in a context; remembered."""
        model, name, level, context = key
        grant = self._grants[key] = self.policy.access(model, name, Level(level), context)
        return grant

    # --- version 3

    def _from_familiar(self, data: bytes, host: str, largest: int) -> bytes | None:
        """The answer to a question of one variable from somebody who has asked the like before; None to all else."""
        layout = self._layouts.find(data)
        if layout is None:
            return None
        now = self.time()
        opened = layout.opened(data, now)
        if opened is None:
            return None
        use, plain, at = opened
        request = plain_pdu(plain, at, len(plain), VERSION_3)
        if request is None or request.pdu not in _READ or not self._gate.source(use.account, host):
            return None
        try:
            raw = _READ[request.pdu](
                use.context.seen(use.view, VERSION_3), request, min(largest, use.largest) - use.overhead
            )
        except retrieval.TooBig:
            return None
        body = b"".join((use.names, response_pdu(request, raw)))
        body = b"\x30" + ber.length(len(body)) + body
        return self.usm.protected(layout.number(data), use.user, use.authenticator, Level.AUTH_PRIV, body, now)

    def _learn(self, opened: usm.Opened, way: Way, account: Account, context: Context, view: MibView) -> None:
        """Be quick next time. Not for those whose questions are counted."""
        authenticator = opened.user.authenticator
        if account.rate is None and authenticator is not None:
            said = opened.scoped
            names = ber.element(ber.OCTETS, said.engine_id) + ber.element(ber.OCTETS, said.context)
            limit = min(self.largest, opened.message.max_size)
            use = Use(account, context, view, limit, way.overhead, names, opened.user, authenticator)
            self._layouts.learn(opened, use)

    def _version_3(self, data: bytes, host: str, port: int, largest: int) -> bytes | Setting | None:
        message = self._parsed(data, message3.USM)
        return None if message is None else self._authentic(message, host, port, largest)

    def _parsed(self, data: bytes, model: int) -> message3.Message | None:
        """A message of version 3 and of this security model; what is none is counted."""
        try:
            return message3.parse(data, model)
        except message3.UnsupportedModel:
            self.statistics.snmpUnknownSecurityModels += 1
        except message3.InvalidFlags:
            self.statistics.snmpInvalidMsgs += 1
        except BerError:
            self._unreadable(data)
        return None

    def _authentic(self, message: message3.Message, host: str, port: int, largest: int) -> bytes | Setting | None:
        """A message of USM, once it has been seen who sent it."""
        now = self.time()
        try:
            opened = self.usm.open(message, now)
        except usm.Refused as refused:
            if refused.stat is usm.Stat.WRONG_DIGESTS:
                self._authentication_failed()
            return self.usm.report(message, refused, now)
        except BerError:
            self.statistics.snmpInASNParseErrs += 1
            return None
        account = self._accounts[opened.user.name]
        own = self.largest if opened.level else self._largest_untrusted
        limit = min(largest, own, message.max_size)
        way = Way(limit, self.usm.overhead(opened) + PDU_OVERHEAD, message, opened.scoped, opened)
        return self._scoped(opened.scoped, message, way, account, vacm.USM, opened.level, (host, port))

    def _unreadable(self, data: bytes) -> None:
        """A message that is not of version 3 either counts as such; one that claims to be is malformed."""
        at, end = ber.expect(ber.SEQUENCE, data, 0, len(data))
        start, stop = ber.expect(ber.INTEGER, data, at, end)
        if ber.integer(data[start:stop]) == VERSION_3:
            self.statistics.snmpInASNParseErrs += 1
        else:
            self.statistics.snmpInBadVersions += 1

    def _trusted(self, data: bytes, host: str, port: int, largest: int, certificate: str) -> bytes | Setting | None:
        """A message that a transport protected (RFC 5591): its sender is whose certificate that transport has verified."""
        who = self._certificates.get(certificate)
        if who is None:
            self._authentication_failed()
            return None
        message = self._parsed(data, message3.TSM)
        if message is None:
            return None
        scoped = message3.scoped(message.payload)
        names = len(scoped.engine_id) + len(scoped.context)
        way = Way(min(largest, self.largest, message.max_size), TSM_OVERHEAD + names, message, scoped, None)
        # what protects it is the transport, whatever the flags say: managers ask for the engine ID without any
        return self._scoped(scoped, message, way, who, message3.TSM, Level.AUTH_PRIV, (host, port))

    def _scoped(
        self, scoped: message3.Scoped, message: message3.Message, way: Way, who: Account | Certificate, model: int,
        level: Level, source: tuple[str, int],
    ) -> bytes | Setting | None:  # fmt: skip
        """A scoped PDU from somebody known, in a message protected at this level (RFC 3412, section 7.2; RFC 3413)."""
        if not self._gate.source(who, source[0]):
            self._authentication_failed()
            return None
        if not self._gate.pace(who):
            self.statistics.tooOften += 1
            return None
        size = len(scoped.pdu)
        plainly = plain_pdu(scoped.pdu, 0, size, VERSION_3)
        request = plainly or pdu(scoped.pdu, 0, size, VERSION_3)
        if scoped.engine_id not in (self.engine_id, usm.OPEN_ENGINE_ID):
            return self._reported("snmpUnknownPDUHandlers", request, message, way)
        name = scoped.context.decode("utf-8", "replace")
        context = self.contexts.get(name) if name else self._default
        if context is None:
            return self._reported("snmpUnknownContexts", request, message, way)
        key = (model, who.label, int(level), name)
        grant = self._grants.get(key) or self._granted(key)
        if plainly and way.opened is not None and isinstance(who, Account) and isinstance(grant, Grant) and grant.read:
            self._learn(way.opened, way, who, context, grant.read)
        return self._answer(request, way, who, grant, context, source)

    def _reported(self, counter: str, request: Request, message: message3.Message, way: Way) -> bytes | None:
        """A report of one of the counters, to somebody who waits for an answer. It is of this engine and its default context,
        whatever was asked for (RFC 3412, section 7.1, step 3), and protected as the question was."""
        value = getattr(self.statistics, counter) + 1
        setattr(self.statistics, counter, value)
        if not message.reportable or request.pdu not in CONFIRMED:
            return None
        report = usm.report_body(request.request_id, _REPORTED[counter], value)
        return self._sealed(message3.Scoped(self.engine_id, b"", report), way)

    def _sealed(self, answer: message3.Scoped, way: Way) -> bytes:
        """A scoped PDU as a message, protected as the one it answers."""
        if way.opened is not None:
            return self.usm.seal(way.opened, answer, self.time())
        assert way.message is not None  # of version 3
        body = message3.encode_scoped(answer)
        return message3.encode_tsm(way.message.number, usm.REPORT_SIZE, way.message.level, body)

    # --- answering

    def _answer(
        self, request: Request, way: Way, who: Named, grant: Grant | Denial, context: Context, source: tuple[str, int]
    ) -> bytes | Setting | None:
        kind = request.pdu
        if kind not in _HANDLED or (kind == Pdu.GETBULK and request.version == VERSION_1):
            self._unhandled(request)
            return None
        if isinstance(grant, Denial):
            return self._refused(request, way, Status.AUTHORIZATION_ERROR)
        if kind == Pdu.SET:
            return self._set(request, way, who, grant, context, source)
        if grant.read is None:
            return self._refused(request, way, Status.AUTHORIZATION_ERROR)
        view = context.seen(grant.read, request.version)
        room = way.largest - way.overhead
        try:
            return self._respond(request, way, _READ[kind](view, request, room))
        except retrieval.TooBig:
            return self._too_big(request, way)
        except retrieval.NoSuchName as missing:
            return self._refused(request, way, Status.NO_SUCH_NAME, missing.index)

    def _unhandled(self, request: Request) -> None:
        """A response, a trap or an inform, which an agent's command responder does not take, or no PDU at all."""
        if request.pdu not in _KNOWN or request.pdu == Pdu.GETBULK:
            raise BerError(f"no PDU of this version has the tag 0x{request.pdu:02x}")
        self.statistics.snmpUnknownPDUHandlers += 1

    def _refused(self, request: Request, way: Way, status: Status, index: int = 0) -> bytes | None:
        """An error, with the variables of the request, if they fit."""
        answer = self._respond(request, way, request.varbinds_raw, status, index)
        return answer if len(answer) <= way.largest else self._too_big(request, way)

    def _respond(self, request: Request, way: Way, raw: bytes, status: int = 0, index: int = 0) -> bytes:
        if status:  # names are given back that maybe nobody has looked at; a malformed one makes no answer at all
            for one in request.varbinds:
                ber.oid(one.oid)
        if request.version != VERSION_3:
            return response(request, raw, status, index)
        said = way.said
        assert said is not None  # of version 3
        answer = response_pdu(request, raw, status, index)
        return self._sealed(message3.Scoped(said.engine_id, said.context, answer), way)

    def _too_big(self, request: Request, way: Way) -> bytes | None:
        """RFC 3416, 4.2.1: an alternate response, with tooBig, error-index 0 and no variable bindings, or, when not even
        that fits, none. Version 1 gives the variables back (RFC 1157, section 4.1.2)."""
        answer = self._respond(
            request, way, request.varbinds_raw if request.version == VERSION_1 else b"", Status.TOO_BIG
        )
        return self._within(answer, way)

    def _within(self, answer: bytes, way: Way) -> bytes | None:
        """An answer that has no alternative, if it fits."""
        if len(answer) <= way.largest:
            return answer
        self.statistics.snmpSilentDrops += 1
        return None

    # --- writing

    def _set(
        self, request: Request, way: Way, who: Named, grant: Grant, context: Context, source: tuple[str, int]
    ) -> bytes | Setting | None:
        variables = hashlib.sha256(request.varbinds_raw).digest()
        token = (*source, request.version, who.label, context.hypervisor, request.request_id, variables)
        # Also what comes again is remembered: that message could itself be sent again by somebody else. But whoever may
        # change nothing takes no room.
        seen = self._seen(way) if grant.write is not None else usm.Seen.FIRST
        if (setting := self._under_way.get(token)) is not None:
            if seen is usm.Seen.FIRST:  # the next attempt, and a manager of version 3 takes the answer to that only
                setting.request = (request, way, token)
            return None
        if (answered := self._carried_out.find(token) or self._refused_lately.find(token)) is not None:
            answer = self._respond(request, way, request.varbinds_raw, *answered)  # the first answer once more
            return self._within(answer, way)
        if seen is usm.Seen.AGAIN:
            return None  # genuine, but not the next attempt of the one who sent it first
        if seen is usm.Seen.NO_ROOM:
            return self._refused(request, way, Status.RESOURCE_UNAVAILABLE, min(1, len(request.varbinds)))
        if len(request.varbinds_raw) + way.overhead > way.largest:
            return self._too_big(request, way)
        asker = Asker(
            principal=securing.principal(who, source[0]), hypervisor=context.hypervisor, write=grant.write,
        )  # fmt: skip
        view = context.view()
        try:
            if request.version == VERSION_1:
                _without_counter64(request)
            setting = tested(view, request.varbinds, asker)
        except Refused as refused:
            community = request.version != VERSION_3
            self.statistics.snmpInBadCommunityUses += community and refused.status is Status.NO_ACCESS
            self.refusals.append(refusal(view, request.varbinds, asker, refused))
            if not community:  # as its digest is known now, it would else be taken for a replay when it comes again
                self._refused_lately.add(token, refused.status, refused.index)
            return self._respond(request, way, request.varbinds_raw, refused.status, refused.index)
        setting.request = (request, way, token)
        if not setting.steps:
            return self.finish(setting)
        self._under_way[token] = setting
        return setting

    def _seen(self, way: Way) -> usm.Seen:
        """Whether this very message came before; one without a digest is never known."""
        digest = way.opened.message.security.digest if way.opened is not None else b""
        return self._replays.seen(digest, self._clock()) if digest else usm.Seen.FIRST

    def finish(self, setting: Setting, status: Status = Status.NO_ERROR, index: int = 0) -> bytes:
        """The response to a SET that was carried out, or failed at variable `index`."""
        request, way, token = setting.request
        self._under_way.pop(token, None)
        self._carried_out.add(token, status, index)
        return self._respond(request, way, request.varbinds_raw, status, index)


def _without_counter64(request: Request) -> None:
    """To version 1 an object of this type does not exist (RFC 3584, section 4.2.2.1)."""
    for index, one in enumerate(request.varbinds, 1):
        ber.value(one.tag, one.value)
        if one.tag == ber.COUNTER64:
            raise Refused(Status.NO_SUCH_NAME, index, "version 1 has no Counter64")


_KNOWN = frozenset(Pdu)
_READ: dict[int, Callable[[View, Request, int], bytes]] = {
    Pdu.GET: retrieval.get,
    Pdu.GETNEXT: retrieval.get_next,
    Pdu.GETBULK: retrieval.get_bulk,
}
_HANDLED = frozenset((*_READ, Pdu.SET))
