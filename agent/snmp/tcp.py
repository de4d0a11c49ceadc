"""SNMP over TCP (RFC 3430), and over TLS over TCP (RFC 6353): messages one behind the other on a connection.

A message is framed by its own BER length. Several may be under way at once; each is answered when its answer is there, so
that a SET does not hold up a GET behind it. What cannot be the start of a message ends the connection: there is no way to
find the next one.

Nobody can make the agent hold much or wait long. Connections are limited in number, in all and for a source; when all are
taken, one that never got an answer makes room. A manager that does not read its answers is no longer read, and after a
while dropped; so is one that does not complete a message or says nothing at all. One connection does not keep the others
waiting either: after a stretch of messages it is their turn.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from agent.pace import Pace
from agent.snmp import tls
from agent.snmp.ber import SEQUENCE, BerError
from agent.snmp.exchange import Exchange

log = logging.getLogger("virtmap.snmp")

LARGEST = 65_535
"""Octets of a message, in either direction. RFC 3430 asks for 8192 at least; net-snmp takes 65,536 at most."""

CHUNK = 65_536
"""Octets that are read at once."""

STRETCH = 32
STRETCH_OCTETS = 131_072
"""Messages that are answered, or octets of answers that are made, before the loop gets its turn again."""

UNREAD = 65_536
"""Octets of answers that wait to be sent, beyond what the system buffers, when no more are made."""

BACKLOG = 128
BATCH = 16
"""Connections that are accepted before the loop gets its turn again."""

RESPITE = 1.0
"""Seconds in which nothing is accepted after the system had no descriptor left."""

FAREWELL = 1.0
"""Seconds in which connections may end in good order when the agent stops."""

LINGERING = 5.0
"""Seconds in which the end of a TLS connection may be agreed upon."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What managers may ask of us. Numbers: of connections, of these from one address, of TLS handshakes under way, of
    these from one address, of handshakes a second (each costs a millisecond in which nobody else is served; as many as may
    be under way come at once), of SETs under way on a connection. Seconds: of silence, until a message is complete, until a
    handshake is done, and in which answers go unread."""

    connections: int = 256
    per_source: int = 32
    handshakes: int = 32
    handshakes_per_source: int = 8
    handshake_rate: float = 50.0
    sets: int = 8
    silence: float = 300.0
    message: float = 10.0
    handshake: float = 10.0
    unread: float = 30.0

    @property
    def pace(self) -> float:
        """Seconds between two looks at what is overdue."""
        return min(1.0, self.silence / 4, self.message / 4, self.unread / 4)


class Frames:
    """Octets in, as they come; whole messages out."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = largest
        self._buffer = bytearray()

    def add(self, octets: bytes | memoryview) -> None:
        self._buffer += octets

    @property
    def partial(self) -> bool:
        """Whether there is something that was not taken yet."""
        return bool(self._buffer)

    def next(self) -> bytes | None:
        """The next message; None until there is a whole one. BerError when there will never be one."""
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] != SEQUENCE:
            raise BerError(f"tag 0x{buffer[0]:02x} where a message should start")
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size & 0x80:
            octets = size & 0x7F
            if not 1 <= octets <= 4:
                raise BerError("indefinite or oversized length")
            start += octets
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start], "big")
        stop = start + size
        if stop > self._largest:
            raise BerError(f"a message of {stop} octets")
        if len(buffer) < stop:
            return None
        message = bytes(buffer[:stop])
        del buffer[:stop]
        return message


class Connection(asyncio.BufferedProtocol):
    """One manager's connection. It is `made` when a handshake is done, if there is one; `lost` is set when it has ended."""

    def __init__(self, exchange: Exchange, source: tuple[str, int], limits: Limits, chunk: memoryview) -> None:
        self._exchange = exchange
        self._source = source
        self._limits = limits
        self._chunk = chunk
        self._frames = Frames()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._peer: tls.Peer | None = None
        self._sets = 0
        self._reading = True
        self._ended = False
        self._again: asyncio.Handle | None = None
        self._began: float | None = None
        self._unread: float | None = None
        self._closed: float | None = None
        self.heard = self._loop.time()
        self.made = False
        self.answered = False
        self.lost = asyncio.Event()

    # --- what the loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=UNREAD)
        self.made = True
        self.heard = self._loop.time()
        secured = transport.get_extra_info("ssl_object")
        if secured is not None:
            self._peer = tls.peer(secured)
            if self._peer is None:  # cannot be: a handshake without a certificate fails
                self.abort()
            _acknowledge(transport)
        if self._closed is not None:  # dropped before the handshake was done
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._chunk

    def buffer_updated(self, nbytes: int) -> None:
        self.heard = self._loop.time()
        self._frames.add(self._chunk[:nbytes])
        if self._again is None:
            self._work()

    def eof_received(self) -> bool:
        """The manager sends no more. What it asked for it gets, over TCP; the end of a TLS connection is that of both."""
        self._ended = True
        if self._peer is None and self._busy:
            return True
        self.close()
        return False

    def pause_writing(self) -> None:
        self._unread = self._loop.time()

    def resume_writing(self) -> None:
        self._unread = None
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._again is not None:
            self._again.cancel()
        self._closed = self._loop.time()
        self._transport = None
        self.lost.set()

    # --- what it does

    @property
    def _held(self) -> bool:
        """Whether no message may be taken now."""
        return self._unread is not None or self._sets >= self._limits.sets or self._closed is not None

    @property
    def _busy(self) -> bool:
        """Whether something that was asked for is not answered yet."""
        return self._sets > 0 or self._again is not None or self._unread is not None

    def _work(self) -> None:
        """Answer what there is, for a stretch."""
        try:
            self._stretch()
        except BerError as error:
            log.debug("from %s: %s", self._source[0], error)
            self._exchange.engine.statistics.snmpInPkts += 1
            self._exchange.engine.statistics.snmpInASNParseErrs += 1
            self.close()
        except Exception:
            log.exception("a message from %s: a fault of the agent", self._source[0])
            self.abort()
        self._mind_reading()
        if self._ended and not self._busy:
            self.close()

    def _stretch(self) -> None:
        answers: list[bytes] = []
        size = count = 0
        try:
            while not self._held:
                if count >= STRETCH or size >= STRETCH_OCTETS:
                    self._go_on()
                    break
                message = self._frames.next()
                if message is None:
                    break
                count += 1
                answer = self._answer(message)
                if answer is not None:
                    answers.append(answer)
                    size += len(answer)
        finally:
            if answers:
                self._write(b"".join(answers))
        self._mind_partial(count)

    def _mind_partial(self, taken: int) -> None:
        """Since when a message has been incomplete."""
        if not self._frames.partial or self._held or self._again is not None:
            self._began = None
        elif taken or self._began is None:
            self._began = self._loop.time()

    def _answer(self, message: bytes) -> bytes | None:
        """The answer, unless there is none or it is a SET's, which comes later."""
        exchange = self._exchange
        certificate = self._peer.fingerprint if self._peer is not None else None
        answer = exchange.engine.receive(message, *self._source, largest=LARGEST, certificate=certificate)
        if exchange.engine.refusals:
            exchange.tell_refusals()
        if answer is None or isinstance(answer, bytes):
            return answer
        self._sets += 1
        exchange.carry_out(answer, self._set_done)
        return None

    def _set_done(self, answer: bytes) -> None:
        self._sets -= 1
        self._write(answer)
        self._go_on()

    def _write(self, octets: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self.answered = True
            self._transport.write(octets)

    def _go_on(self) -> None:
        """Take up the work again, when it is its turn."""
        if self._again is None and self._closed is None:
            self._again = self._loop.call_soon(self._continue)

    def _continue(self) -> None:
        self._again = None
        self._work()

    def _mind_reading(self) -> None:
        """Read while what was read is dealt with, and only then."""
        if self._transport is None or self._ended or self._closed is not None:
            return
        wanted = not self._held and self._again is None
        if wanted and not self._reading:
            self._transport.resume_reading()
        elif self._reading and not wanted:
            self._transport.pause_reading()
        self._reading = wanted

    # --- how it ends

    def overdue(self, now: float) -> str | None:
        """Why the connection should be dropped, if it should."""
        limits = self._limits
        if self._closed is not None:
            return "does not let itself be closed" if now - self._closed > limits.unread else None
        if self._peer is not None and time.time() > self._peer.ends:
            return "its certificate has expired"
        if self._unread is not None:
            return "does not read its answers" if now - self._unread > limits.unread else None
        if self._busy:
            return None
        if self._began is not None and now - self._began > limits.message:
            return "does not complete a message"
        return "says nothing" if now - self.heard > limits.silence else None

    def close(self) -> None:
        """End it when what was answered is sent."""
        if self._closed is None:
            self._closed = self._loop.time()
            if self._transport is not None:
                self._transport.close()

    def abort(self) -> None:
        """End it now."""
        self._closed = self._loop.time()
        if self._transport is not None:
            self._transport.abort()


def _acknowledge(transport: asyncio.Transport) -> None:
    """Acknowledge the end of the handshake now: to it nothing is answered, and most managers send their first message when
    it is acknowledged, which could take 40 ms."""
    with contextlib.suppress(OSError):  # gone already
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class Connections:
    """All connections of an agent, whichever listener they came by. Lives in the running loop from `start` to `stop`."""

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        self._exchange = exchange
        self._limits = limits
        self._chunk = memoryview(bytearray(CHUNK))  # one for all: what is read is taken out before anything else is
        self._tasks: dict[asyncio.Task[None], Connection] = {}
        self._open: dict[Connection, str] = {}
        self._sources: Counter[str] = Counter()
        self._handshakes: Counter[str] = Counter()
        self._pace = Pace()
        self._shaking = Pace(burst=limits.handshakes, rate=limits.handshake_rate)
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._sources.total()

    def admits(self, host: str, secured: bool) -> bool:
        """Whether one more connection from this address may be. Makes room for it if that is fair."""
        limits = self._limits
        if self._sources[host] >= limits.per_source:
            return False
        if secured and (
            self._handshakes.total() >= limits.handshakes
            or self._handshakes[host] >= limits.handshakes_per_source
            or not self._shaking.take()
        ):
            return False
        return len(self) < limits.connections or self._made_room()

    def _made_room(self) -> bool:
        """Drop the connection that has been silent longest of those that never got an answer, if there is one."""
        strangers = [c for c in self._open if not c.answered]
        if not strangers:
            return False
        oldest = min(strangers, key=lambda c: c.heard)
        self._forget(oldest)
        oldest.abort()
        return True

    def add(self, sock: socket.socket, source: tuple[Any, ...], context: ssl.SSLContext | None) -> None:
        """Serve an accepted socket."""
        connection = Connection(self._exchange, source[:2], self._limits, self._chunk)
        self._open[connection] = source[0]
        self._sources[source[0]] += 1
        if context is not None:
            self._handshakes[source[0]] += 1
        task = asyncio.ensure_future(self._serve(connection, sock, source[0], context))
        self._tasks[task] = connection
        task.add_done_callback(self._tasks.pop)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._limits.pace, self._look)

    async def _serve(
        self, connection: Connection, sock: socket.socket, host: str, context: ssl.SSLContext | None
    ) -> None:
        try:
            await self._begin(connection, sock, host, context)
            await connection.lost.wait()
        except OSError as error:  # ssl.SSLError and TimeoutError are
            self.complain("no connection with %s: %s", host, str(error) or type(error).__name__)
        finally:
            self._forget(connection)

    async def _begin(
        self, connection: Connection, sock: socket.socket, host: str, context: ssl.SSLContext | None
    ) -> None:
        loop = asyncio.get_running_loop()
        if context is None:
            await loop.connect_accepted_socket(lambda: connection, sock)
            return
        try:
            await loop.connect_accepted_socket(
                lambda: connection, sock, ssl=context, ssl_handshake_timeout=self._limits.handshake,
                ssl_shutdown_timeout=LINGERING,
            )  # fmt: skip
        finally:
            _less(self._handshakes, host)

    def _forget(self, connection: Connection) -> None:
        host = self._open.pop(connection, None)
        if host is not None:
            _less(self._sources, host)

    def complain(self, message: str, *arguments: Any) -> None:
        """A line in the log, at a bounded pace: who makes connections is not known yet."""
        if self._pace.take():
            missed = self._pace.missed()
            log.warning(message + (f" (and {missed} more of this kind)" if missed else ""), *arguments)

    def _look(self) -> None:
        """Drop what is overdue."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection, host in list(self._open.items()):
            if why := connection.overdue(now):
                log.debug("the connection of %s is dropped: %s", host, why)
                connection.abort()
        self._timer = loop.call_later(self._limits.pace, self._look) if self._open else None

    async def stop(self) -> None:
        """End all, in good order as far as managers go along."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.sleep(0)  # lest a task is cancelled that has not taken its socket yet
        for task, connection in list(self._tasks.items()):
            if connection.made:
                connection.close()
            else:
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FAREWELL)
        for task, connection in list(self._tasks.items()):
            connection.abort()
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close their sockets in the loop's next turn


def _less(counter: Counter[str], host: str) -> None:
    counter[host] -= 1
    if counter[host] <= 0:
        del counter[host]


class TcpListener:
    """One listening socket, of TCP or, with a `context`, of TLS. It listens from the moment it is made."""

    def __init__(self, connections: Connections, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        """OSError if the address cannot be bound."""
        self._connections = connections
        self.context = context
        """Replaced when certificates are read anew; connections that are open keep theirs."""
        self._socket = _bound(host, port)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._loop = asyncio.get_running_loop()
        self._respite: asyncio.TimerHandle | None = None
        self._listen()

    def _listen(self) -> None:
        self._respite = None
        self._loop.add_reader(self._socket.fileno(), self._acceptable)

    def _acceptable(self) -> None:
        for _ in range(BATCH):
            try:
                sock, source = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptor or no memory is left
                self._connections.complain("no connection can be accepted: %s", error)
                self._loop.remove_reader(self._socket.fileno())
                self._respite = self._loop.call_later(RESPITE, self._listen)
                return
            if not self._connections.admits(source[0], self.context is not None):
                sock.close()
                self._connections.complain("too many connections; one of %s is refused", source[0])
                continue
            sock.setblocking(False)
            self._connections.add(sock, source, self.context)

    def close(self) -> None:
        """Accept no more."""
        if self._respite is not None:
            self._respite.cancel()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()


def _bound(host: str, port: int) -> socket.socket:
    version_6 = ":" in host
    sock = socket.socket(socket.AF_INET6 if version_6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if version_6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
