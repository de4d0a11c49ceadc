"""Who is told what: notices to targets, as traps of v1, v2c and v3 that are sent at once, and as informs that wait.

Everything happens in the loop's thread. A trap goes into a datagram socket and is forgotten: one that the system does
not take is counted as lost. Engine ID, boots and time of a v3 trap are the responder's own, for the authoritative engine
of a trap is its sender; the keys of its user are localised to it once. Informs are handed to the queue of their target
(agent/snmp/inform.py); pysnmp, which sends them, is not even imported while no target wants any.

A target is an address, never a name: to look a name up would wait on a server that may be what the notice is about.
"""

import fnmatch
import functools
import ipaddress
import logging
import re
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from agent.pace import Pace
from agent.schema.declare import Severity
from agent.schema.types import Secret
from agent.snmp import datagram
from agent.snmp.message import VERSION_2C
from agent.snmp.message3 import Level
from agent.snmp.mib import Oid
from agent.snmp.notice import Notice
from agent.snmp.trap import AUTHENTICATION_FAILURE, COLD_START, NOWHERE, WARM_START, Moment, Told, message, message3
from agent.snmp.usm import LocalUser, User
from agent.snmp.vacm import MibView

if TYPE_CHECKING:
    from agent.snmp.inform import Informer
    from agent.snmp.outbox import Outbox

log = logging.getLogger("virtmap.notifications")

SEND_BUFFER = 1 << 20
"""Octets of traps that the system may hold for us, so that a storm of a second is not lost in our own machine."""

STOPPING = 2.0
"""Seconds that informs get at the end, to leave and to be acknowledged."""

BURST = 5
EACH = 10.0
"""authenticationFailure is told this many times in a row, then once in so many seconds: a forged request costs nothing."""


class Identity(Protocol):
    """The SNMP engine that notifications come from: the responder's."""

    @property
    def engine_id(self) -> bytes: ...

    @property
    def boots(self) -> int: ...

    def time(self) -> int:
        """snmpEngineTime, in seconds."""
        ...

    def uptime(self) -> int:
        """sysUpTime, in hundredths of a second."""
        ...


@dataclass(frozen=True, kw_only=True)
class Target:
    """Somebody who is told. `include` and `exclude` are subtrees of notifications, of which the longest that matches
    decides, an exclusion where both are as long; without `include` everything is included. `hypervisors` are those it
    wants to hear of, `domains` patterns of a shell for the names of domains that it wants to hear of with all that belongs to
    them, `kinds` the kinds of rows; all if there are none, and what is about the agent itself everybody hears. `severity` is
    the least that a notice must have. `view` is what it may see: a notice with a variable outside of it is not sent (RFC 3413,
    section 3.3). `timeout` is in seconds. `queue` informs wait at most, and none longer than `expiry` seconds.

    ValueError if it cannot be: no address, another version than 1, 2c and 3, no community or user, an inform in v1.
    """

    name: str
    host: str
    port: int = 162
    version: str = "3"
    community: Secret | None = None
    user: User | None = None
    level: Level | None = None
    inform: bool = False
    timeout: float = 1.5
    retries: int = 3
    include: tuple[Oid, ...] = ()
    exclude: tuple[Oid, ...] = ()
    hypervisors: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    severity: Severity = Severity.INFORMATION
    expiry: float = 3600.0
    queue: int = 1000
    view: MibView | None = field(default=None, compare=False)  # views are made anew when the configuration is

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.host)
        if self.version not in ("1", "2c", "3"):
            raise ValueError(f"target {self.name}: {self.version} is no version of SNMP")
        if self.version == "3" and self.user is None:
            raise ValueError(f"target {self.name}: version 3 needs a user")
        if self.version != "3" and self.community is None:
            raise ValueError(f"target {self.name}: version {self.version} needs a community")
        if self.version == "1" and self.inform:
            raise ValueError(f"target {self.name}: version 1 has no informs")
        if self.user is not None and self.level is not None and self.level > self.user.level:
            raise ValueError(f"target {self.name}: user {self.user.name} has no keys for {self.level.label}")

    @property
    def protection(self) -> Level:
        """How its messages are protected: as it says, otherwise as strongly as its user can."""
        strongest = self.user.level if self.user is not None else Level.NO_AUTH_NO_PRIV
        return strongest if self.level is None else self.level

    def wants(self, notice: Notice) -> bool:
        if notice.severity < self.severity or not (notice.hypervisor is None or self._is_about(notice)):
            return False
        known = self._decided.get(notice.oid)
        if known is None:
            included = _longest(self.include, notice.oid) if self.include else 0
            known = self._decided[notice.oid] = included > _longest(self.exclude, notice.oid)
        return known and self._may_see(notice)

    @functools.cached_property
    def _decided(self) -> dict[Oid, bool]:
        """Of the notifications that there were, which are in the subtrees: there are only so many as modules have."""
        return {}

    def _is_about(self, notice: Notice) -> bool:
        """Whether it is about the hypervisors, domains and kinds that are wanted."""
        if self.hypervisors and notice.hypervisor not in self.hypervisors:
            return False
        if self.kinds and notice.kind not in self.kinds:
            return False
        return not self.domains or (notice.domain is not None and self._names(notice.domain) is not None)

    @functools.cached_property
    def _names(self) -> Callable[[str], object]:
        """Matches the name of a domain that is wanted."""
        return re.compile("|".join(map(fnmatch.translate, self.domains))).match

    def _may_see(self, notice: Notice) -> bool:
        if self.view is None:
            return True
        return self.view.includes(notice.oid) and all(self.view.includes(oid) for oid, _ in notice.varbinds)


def _longest(subtrees: Iterable[Oid], oid: Oid) -> int:
    """The length of the longest of these subtrees that the OID is in; -1 if it is in none."""
    return max((len(s) for s in subtrees if oid[: len(s)] == s), default=-1)


@dataclass(slots=True)
class Counters:
    """What became of the notices for one target.

    `sent` left the machine; of informs that is each once, however often it was tried. `lost`: the system did not take
    it. `unspoken`: v1 cannot say it. `filtered`: it was not wanted. Of informs: `acknowledged`; `unanswered` are the times
    that all retries were in vain, after which it waits for another time; `refused` by the receiver or by what it says of our
    keys; `dropped` for want of room, as the oldest; `expired` before it was acknowledged.
    """

    sent: int = 0
    lost: int = 0
    unspoken: int = 0
    filtered: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    refused: int = 0
    dropped: int = 0
    expired: int = 0


@dataclass(slots=True)
class _Receiver:
    """A target, and what is kept for it."""

    target: Target
    counters: Counters = field(default_factory=Counters)
    community: bytes = b""
    user: LocalUser | None = None
    address: bytes = NOWHERE
    place: bytes = b""
    failing: bool = False


class Notifier:
    """Tells all targets, and the `sinks` beside them, which are called with every notice; and `record`, if there is any, which
    writes down every notice with the sysUpTime that it is told with, but is nobody who has to be told.

    `default` is the name of the hypervisor whose context has no name. With an `outbox` informs outlive the agent.
    """

    def __init__(
        self,
        identity: Identity,
        targets: Sequence[Target] = (),
        *,
        default: str = "",
        outbox: "Outbox | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._default = default
        self._sockets: dict[int, socket.socket] = {}
        self._users: dict[User, LocalUser] = {}
        self._informer: Informer | None = None
        self._outbox = outbox
        self._pace = Pace(BURST, 1 / EACH, clock)
        self._stopped = False
        self._leaving: list[tuple[_Receiver, bytes]] = []
        self.sinks: list[Callable[[Notice], object]] = []
        self.record: Callable[[Notice, int], object] | None = None
        self.authentication_traps = True
        """snmpEnableAuthenTraps: whether anybody hears of authentication failures."""
        self._receivers = [self._receiver(t) for t in targets]

    # --- what is known

    @property
    def listening(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._receivers or self.sinks)

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(r.target for r in self._receivers)

    def counters(self, name: str) -> Counters:
        """The counters of a target. KeyError if there is none of this name."""
        for receiver in self._receivers:
            if receiver.target.name == name:
                return receiver.counters
        raise KeyError(name)

    @property
    def held_back(self) -> int:
        """Authentication failures that nobody was told of, because there were too many."""
        return self._pace.held_back

    # --- life

    async def recover(self) -> None:
        """Go on with the informs that waited when the agent ended. To be called before anybody is told anything."""
        if self._outbox is None:
            return
        waiting = await self._outbox.open()
        names = {r.target.name for r in self._receivers if r.target.inform}
        self._outbox.gone(waiting.keys() - names)
        for name in waiting.keys() & names:
            (self._informer or self._inform()).refill(name, waiting[name])

    def start(self, *, warm: bool = False) -> None:
        """Tell that the agent has started: coldStart, or warmStart if it is known that its configuration is as before."""
        self.notify(Notice(oid=WARM_START if warm else COLD_START))

    def reconfigure(self, targets: Sequence[Target]) -> None:
        """Other targets from now on; they are told warmStart. Who stays, by his name, keeps his counters and his queue."""
        known = {r.target: r for r in self._receivers}
        counters = {r.target.name: r.counters for r in self._receivers}
        self._receivers = [known.get(t) or self._receiver(t, counters.get(t.name)) for t in targets]
        for receiver, target in zip(self._receivers, targets, strict=True):
            receiver.target = target  # its view may be another one
        users = {t.user for t in targets}
        self._users = {u: keys for u, keys in self._users.items() if u in users}
        if self._informer is not None:
            self._inform()
        self.notify(Notice(oid=WARM_START))

    async def stop(self, limit: float = STOPPING) -> None:
        """Tell nobody any more. Queued informs have `limit` seconds to leave and to be acknowledged, unless their target does
        not answer; what is left waits in the outbox."""
        self._stopped = True
        self.leave()
        if self._informer is not None:
            await self._informer.stop(limit)
            self._informer = None
        if self._outbox is not None:
            await self._outbox.stop()
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()

    # --- telling

    def notify(self, notice: Notice) -> None:
        """Tell everybody who wants to know. Never raises, never waits."""
        self.gather(notice)
        self.leave()

    def gather(self, notice: Notice) -> None:
        """The same, but traps wait until they `leave`. A receiver that is woken for each of them costs us more than all the
        rest, for the system interrupts another processor to do that."""
        if self._stopped:
            return
        uptime = self._identity.uptime()
        if self.record is not None:
            self._pass_on(functools.partial(self.record, notice, uptime))
        told: Told | None = None
        for receiver in self._receivers:
            if not receiver.target.wants(notice):
                receiver.counters.filtered += 1
                continue
            if told is None:
                told = Told(notice, uptime, self._context(notice))
            if receiver.target.inform:
                subject = notice.domain or notice.kind or ""
                (self._informer or self._inform()).put(receiver.target.name, told.bindings, told.context, subject)
            else:
                self._trap(receiver, told)
        for sink in self.sinks:
            self._pass_on(functools.partial(sink, notice))

    def _pass_on(self, do: Callable[[], object]) -> None:
        try:
            do()
        except Exception:
            log.exception("a notice was not passed on: a fault of the agent")

    def authentication_failure(self) -> None:
        """Somebody asked with a wrong community. Tells of it unless too many did, or nobody is to be told."""
        if self.authentication_traps and self._pace.take():
            self.notify(Notice(oid=AUTHENTICATION_FAILURE, severity=Severity.WARNING))

    def _context(self, notice: Notice) -> str:
        return "" if notice.hypervisor in (None, self._default) else notice.hypervisor or ""

    def _trap(self, receiver: _Receiver, told: Told) -> None:
        data = self._encoded(receiver, told)
        if data is None:
            receiver.counters.unspoken += 1
            return
        self._leaving.append((receiver, data))

    def leave(self) -> None:
        """Send what was gathered."""
        for receiver, data in self._leaving:
            self._send(receiver, data)
        self._leaving.clear()

    def _send(self, receiver: _Receiver, data: bytes) -> None:
        target = receiver.target
        try:
            if not receiver.place:
                receiver.place = datagram.address(target.host, target.port)
            datagram.send(self._socket(target.host).fileno(), data, receiver.place)
        except OSError as error:  # a full buffer, no route, an interface that is down: nobody waits for a trap
            receiver.counters.lost += 1
            if not receiver.failing:
                log.warning("target %s: traps are lost: %s", target.name, error.strerror or error)
            receiver.failing = True
        else:
            receiver.counters.sent += 1
            if receiver.failing:
                log.info("target %s: traps leave again", target.name)
            receiver.failing = False

    def _encoded(self, receiver: _Receiver, told: Told) -> bytes | None:
        match receiver.target.version:
            case "1":
                if receiver.address == NOWHERE:
                    receiver.address = _own_address(receiver.target)
                return told.v1(receiver.community, receiver.address)
            case "2c":
                return message(VERSION_2C, receiver.community, told.pdu)
        if receiver.user is None:  # a target of version 3 has one
            return None
        identity = self._identity
        moment = Moment(identity.engine_id, identity.boots, identity.time())
        return message3(moment, receiver.user, receiver.target.protection, told.scoped(identity.engine_id))

    # --- what is kept

    def _receiver(self, target: Target, counters: Counters | None = None) -> _Receiver:
        receiver = _Receiver(target, counters or Counters())
        if target.community is not None:
            receiver.community = target.community.reveal().encode()
        if target.user is not None and target.version == "3" and not target.inform:
            if target.user not in self._users:
                self._users[target.user] = LocalUser(target.user, self._identity.engine_id)
            receiver.user = self._users[target.user]
        return receiver

    def _inform(self) -> "Informer":
        """Have a queue for each target that wants informs, and for no other."""
        if self._informer is None:
            from agent.snmp.inform import Informer  # only here, because few need it

            self._informer = Informer(self._identity.engine_id, self._outbox)
        self._informer.serve({r.target: r.counters for r in self._receivers if r.target.inform})
        return self._informer

    def _socket(self, host: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        if family not in self._sockets:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            self._sockets[family] = sock
        return self._sockets[family]


def _own_address(target: Target) -> bytes:
    """Our IPv4 address on the way to a target, as a v1 trap tells it; zeros if there is none. Nothing is sent."""
    if ":" in target.host:
        return NOWHERE
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((target.host, target.port))
            return socket.inet_aton(probe.getsockname()[0])
    except OSError:
        return NOWHERE  # asked again with the next trap
