"""The agent as a subagent of an SNMP master such as net-snmp's snmpd, over AgentX: its connection, kept up.

Octets go to and from the session, in the loop's thread. A master that has a walk done sends the next request as soon as it
has the answer to the last one, so that after an answer we linger for some microseconds: to go through the loop for each
variable would double what it costs. The processor is offered to others while we do, the master among them.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any, Protocol

from agent import __version__
from agent.access import Principal
from agent.errors import ConfigError
from agent.operations import Operations
from agent.schema.declare import Access
from agent.snmp.agentx import AgentxError, Reason
from agent.snmp.agentx_retrieval import Retrieval
from agent.snmp.agentx_session import CarryOut, Ended, Event, Ready, Session, TakeBack, Trouble
from agent.snmp.exchange import Refusals
from agent.snmp.message import Status
from agent.snmp.mib import AGENT, Oid
from agent.snmp.notice import Notice
from agent.snmp.setting import PATIENCE, Refusal, Setting, carry_out, take_back
from agent.snmp.view import View

log = logging.getLogger("virtmap.snmp")

READ = 65_536
BATCH = 64
"""PDUs that are answered before the loop gets its turn again."""

LINGER = 50e-6
"""Seconds to wait for the next request of a walk, in the loop's thread; a turn of the loop takes about as long."""

BACKLOG = 4 << 20
"""Octets that a master may leave unread; with more it is taken for dead."""

CONNECT_LIMIT = 5.0
PING = 15.0
FIRST_RETRY, LAST_RETRY = 0.5, 30.0
TIMEOUT = int(PATIENCE) + 2
"""Seconds the master is asked to wait for an answer: no operation is waited for longer than PATIENCE."""

SETTINGS = 64
"""SETs that are carried out at once."""


class Viewed(Protocol):
    """A context of the engine."""

    def view(self) -> View: ...


class Provider(Protocol):
    """What is needed of the engine: the contexts by the names of their hypervisors, the default one first."""

    @property
    def contexts(self) -> Mapping[str, Viewed]: ...


class Address:
    """`unix:/path`, `tcp:host:port` or `tcp:[address]:port`. ConfigError if it is neither."""

    def __init__(self, text: str) -> None:
        self._text = text
        kind, _, rest = text.partition(":")
        host, _, port = rest.rpartition(":")
        self.path = rest if kind == "unix" else ""
        self.host, self.port = host.strip("[]"), 0
        if kind == "tcp" and self.host and port.isdecimal() and 0 < int(port) < 65_536:
            self.port = int(port)
        elif not self.path:
            raise ConfigError(f'{text}: must be "unix:/path" or "tcp:host:port"')

    def __str__(self) -> str:
        return self._text

    async def connect(self) -> socket.socket:
        """A connection, not blocking. OSError if there is none to be had."""
        loop = asyncio.get_running_loop()
        if self.path:
            return await _connected(socket.socket(socket.AF_UNIX), self.path)
        found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, where = found[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return await _connected(sock, where)


async def _connected(sock: socket.socket, where: Any) -> socket.socket:
    try:
        sock.setblocking(False)
        async with asyncio.timeout(CONNECT_LIMIT):
            await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


class Subagent:
    """Connects to a master and serves it, again and again, from `start` to `stop`. Lives in the loop's thread."""

    def __init__(
        self,
        engine: Provider,
        operations: Operations,
        address: str,
        role: Access = Access.OBSERVE,
        *,
        capabilities: Mapping[Oid, str] | None = None,
        ping: float = PING,
        first_retry: float = FIRST_RETRY,
        last_retry: float = LAST_RETRY,
    ) -> None:
        self._address = Address(address)
        self._hypervisors = tuple(engine.contexts)
        self._retrieval = Retrieval({name: context.view for name, context in engine.contexts.items()})
        self._operations = operations
        self._principal = Principal(name="agentx", role=role, front_end="agentx", source=address)
        self._description = f"virtmap {__version__}"
        self._capabilities = capabilities if capabilities is not None else {AGENT: self._description}
        self._ping = ping
        self._first_retry, self._last_retry = first_retry, last_retry
        self._task: asyncio.Task[None] | None = None
        self._link: Link | None = None
        self._works: set[asyncio.Task[None]] = set()
        self._refusals = Refusals(operations)
        self.registered = asyncio.Event()
        """Set while there is a session in which everything is registered, or was refused."""
        self.sessions = 0
        """How many there were; for tests and the curious."""

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.ensure_future(self._keep_up())

    async def stop(self) -> None:
        """Close the session. SETs that are being carried out go on, unanswered."""
        works = list(self._works)
        for work in (*works, *filter(None, [self._task])):
            work.cancel()
        await asyncio.gather(*works, *filter(None, [self._task]), return_exceptions=True)

    def notify(self, notice: Notice) -> bool:
        """Have the master send a notification. False if there is no master now: nothing is kept for later."""
        if self._link is None:
            return False
        octets = self._link.session.notify(notice)
        self._link.send(octets)
        return bool(octets)

    async def _keep_up(self) -> None:
        wait, told = self._first_retry, ""
        while True:
            try:
                sock = await self._address.connect()
            except OSError as error:  # a timeout is one too
                trouble = error.strerror or str(error) or "no answer"
            else:
                trouble = await self._serve(sock)
                if self.registered.is_set():
                    wait, told = self._first_retry, ""
                self.registered.clear()
            if trouble != told:  # the same again and again is said once
                log.warning("AgentX master %s: %s", self._address, trouble)
                told = trouble
            await asyncio.sleep(wait)
            wait = min(2 * wait, self._last_retry)

    async def _serve(self, sock: socket.socket) -> str:
        """Serve one connection to its end; gives why it ended."""
        session = Session(
            self._retrieval, self._hypervisors, self._principal, identity=AGENT, description=self._description,
            capabilities=self._capabilities, timeout=TIMEOUT,
        )  # fmt: skip
        link = self._link = Link(sock, session, partial(self._happened, session))
        self.sessions += 1
        try:
            link.send(session.open())
            while not link.ended.done():
                await asyncio.wait([link.ended], timeout=self._ping)
                link.tick()
            return link.ended.result()
        finally:
            self._link = None
            self._retrieval.rest()
            link.close()

    # --- what happens in a session

    def _happened(self, session: Session, event: Event) -> None:
        match event:
            case Ready():
                log.info("AgentX master %s: %d subtrees are registered", self._address, len(session.held))
                self.registered.set()
            case Trouble(what=what):
                log.warning("AgentX master %s: %s", self._address, what)
            case Refusal():
                if (telling := self._refusals.telling(event)) is not None:
                    self._begin(telling)
            case CarryOut(transaction=transaction, setting=setting):
                if len(self._works) >= SETTINGS:
                    self._reply(session, session.carried_out(transaction, Status.RESOURCE_UNAVAILABLE, 0))
                else:
                    self._begin(self._carry_out(session, transaction, setting))
            case TakeBack(transaction=transaction, setting=setting):
                self._begin(self._take_back(session, transaction, setting))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)

    async def _carry_out(self, session: Session, transaction: int, setting: Setting) -> None:
        try:
            status, index = await carry_out(setting, self._operations)
        except Exception:
            log.exception("SET by %s: a fault of the agent", self._principal.name)
            status, index = Status.COMMIT_FAILED, 0
        self._reply(session, session.carried_out(transaction, status, index))

    async def _take_back(self, session: Session, transaction: int, setting: Setting) -> None:
        try:
            mended = await take_back(setting, self._operations)
        except Exception:
            log.exception("SET by %s: a fault of the agent", self._principal.name)
            mended = False
        self._reply(session, session.taken_back(transaction, mended))

    def _reply(self, session: Session, octets: bytes) -> None:
        """Late answers go to the session that asked, if that is still the one."""
        if self._link is not None and self._link.session is session:
            self._link.send(octets)
            self._link.take_events()


class Link:
    """One connection: octets from the socket to the session and back, until one of both ends it."""

    def __init__(self, sock: socket.socket, session: Session, happened: "Happened") -> None:
        self.session = session
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._happened = happened
        self._unsent = b""
        self._loop.add_reader(sock, self._readable)

    def close(self) -> None:
        """Say good-bye, if anybody listens, and let go of the socket."""
        if self._sock.fileno() < 0:
            return
        self.send(self.session.close())
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()

    def tick(self) -> None:
        """The interval of the session is over."""
        if not self.ended.done():
            self.send(self.session.tick())
            self.take_events()

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self._loop.remove_reader(self._sock)
            self.ended.set_result(why)

    def _broke(self, error: OSError) -> None:
        self._end(f"the connection broke: {error.strerror}")

    # --- receiving

    def _readable(self) -> None:
        session, receive, clock = self.session, self._sock.recv, time.perf_counter
        session.turn()
        left, until = BATCH, 0.0
        while left:
            if self._unsent or self.ended.done():
                return
            try:
                data = b"" if session.more else receive(READ)
            except (BlockingIOError, InterruptedError):
                if clock() > until:
                    return
                os.sched_yield()
                continue
            except OSError as error:
                self._broke(error)
                return
            if not data and not session.more:
                self._end("the master closed the connection")
                return
            try:
                answer = session.receive(data)
            except AgentxError as error:
                self._give_up(error)
                return
            if answer:
                self.send(answer)
                until = clock() + LINGER
                os.sched_yield()  # on one processor the next request cannot come before this
            if session.events:
                self.take_events()
            left -= 1
        self._go_on()

    def _go_on(self) -> None:
        """Have what came in and is not dealt with dealt with soon."""
        if self.session.more and not self._unsent:
            self._loop.call_soon(self._readable)

    def _give_up(self, error: AgentxError) -> None:
        log.debug("AgentX: %s", error)
        self.send(self.session.close(Reason.PARSE_ERROR))
        self._end(f"what the master sends is no AgentX: {error}")

    def take_events(self) -> None:
        """Deal with what happened in the session."""
        events = self.session.events
        while events:
            event = events.pop(0)
            if isinstance(event, Ended):
                self._end(event.why)
            else:
                self._happened(event)

    # --- sending

    def send(self, octets: bytes) -> None:
        """Send, now or when the master reads again; nothing more is read from it until then."""
        if not octets or self._sock.fileno() < 0:
            return
        if self._unsent:
            self._unsent += octets
            if len(self._unsent) > BACKLOG:
                self._end("the master does not read")
            return
        try:
            sent = self._sock.send(octets)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._broke(error)
            return
        if sent < len(octets):
            self._unsent = octets[sent:]
            self._loop.remove_reader(self._sock)
            self._loop.add_writer(self._sock, self._writable)

    def _writable(self) -> None:
        try:
            self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._loop.remove_writer(self._sock)
            self._broke(error)
            return
        if not self._unsent:
            self._loop.remove_writer(self._sock)
            if not self.ended.done():
                self._loop.add_reader(self._sock, self._readable)
                self._go_on()


class Happened(Protocol):
    """Is told of the events of a session, but for its end."""

    def __call__(self, event: Event) -> None: ...
