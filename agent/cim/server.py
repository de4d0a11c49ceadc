"""The HTTP shell of the WBEM server: headers, credentials, limits and streaming (DSP0200, chapters 6 and 7).

Whatever the path, a POST or M-POST is a CIM-XML request. Answers carry Content-Length, unless they are long: those are
sent in chunks while they are made, so that memory does not grow with the number of domains, and others get their turn
between pieces. A short answer is one write.

Nothing that a client does or leaves undone is waited for without end: every connection has a time by which it has to go
on, its deadline, and one look at all of them a few times a second is cheaper than a timer for each request. Whoever takes
an answer drop by drop goes on all the time, and keeps what the answer is made of; so an answer has a least rate too.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import re
import ssl
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Protocol
from urllib.parse import unquote

from agent.access import Principal
from agent.cim import messages, transferring
from agent.cim.accounts import Accounts
from agent.cim.addresses import site
from agent.cim.certificates import Peer, of_client, tls_context
from agent.cim.connections import Connection, Connections, Use, places, share
from agent.cim.familiar import Familiar
from agent.cim.hypertext import (
    BadGzip,
    Head,
    Reader,
    Refused,
    acceptable,
    answer_head,
    chunk,
    expand,
    gzip_preferred,
    parameter,
)
from agent.cim.messages import MessageError, Request
from agent.cim.provider import Answer
from agent.cim.tree import Limits
from agent.config import Cim, Endpoint
from agent.errors import Denied, Failed, VirtmapError
from agent.operations import one_line
from agent.scheduling import become_batch
from agent.transfers import Ticket, Transfers

__all__ = ["PIECE", "Server", "tls_context"]

log = logging.getLogger("virtmap.cim")

#: Bytes of a request's body, compressed or not.
BODY_LIMIT = 4 * 1024 * 1024

#: Bytes of all bodies that are arriving, or have arrived and wait to be read.
ARRIVING_LIMIT = 64 * 1024 * 1024

#: Bytes that are read ahead while a request is answered; what a client sends on top of them waits in the kernel.
READ_AHEAD = 64 * 1024

#: Bytes of a refused request's body that are read and thrown away; for a longer one the connection is closed.
SKIPPED = 64 * 1024

#: Bytes of a body from which on it is read in another thread, and how many of these there are: they are none of those in
#: which passwords are verified, so that nobody waits at the door for what others have sent.
HEAVY = 32 * 1024
READERS = 2

#: Seconds in which a request's headers, and its body, have to arrive, and in which a client has to take one piece.
HEAD_TIMEOUT = 10.0
BODY_TIMEOUT = 30.0
WRITE_TIMEOUT = 60.0

#: Bytes of an answer that a client has to take in a second on average, when it has kept us waiting for WRITE_TIMEOUT in all.
LEAST_RATE = 32 * 1024

#: Seconds that an idle connection is kept.
KEEP_ALIVE = 60.0

#: Seconds between two looks at the deadlines of all connections.
SWEEP = 0.25

#: Seconds that requests in progress have to end when the server stops.
STOPPING = 1.0

#: Seconds that are left to a client that was refused to read why, while it may still be sending.
LINGER = 2.0

#: Bytes of an answer up to which it is sent in one piece.
SHORT = 64 * 1024

#: Bytes of a long answer that are written at once: the cheapest size that was measured, on loopback.
PIECE = 128 * 1024

#: Seconds of making an answer after which others get their turn.
TURN = 0.005

#: Bytes of an answer to a client of HTTP/1.0 up to which it is told its length; they are gathered for that.
OLDER_LIMIT = 1024 * 1024

#: Bytes from which on an answer is worth compressing, and how hard: the fastest still makes a tenth of it.
WORTHWHILE = 8 * 1024
LEVEL = 1

REALM = "virtmap"
EXTENSION = "http://www.dmtf.org/cim/mapping/http/v1.0"

_LIMITS = Limits(size=BODY_LIMIT)
_METHODS = ("GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT")
_ALLOW = b"Allow: POST, M-POST, OPTIONS\r\n"
_FIELDS = b'Content-Type: application/xml; charset="utf-8"\r\nCache-Control: no-cache\r\nVary: Accept-Encoding\r\n'
_UNAUTHORIZED = f'WWW-Authenticate: Basic realm="{REALM}", charset="UTF-8"\r\n'.encode()
_GZIP = b"Content-Encoding: gzip\r\n"
_TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"
_OPTIONS_SPACE = 73


class Provides(Protocol):
    """What answers requests: a provider."""

    async def answer(self, request: Request, principal: Principal) -> Answer: ...


class Server:
    """Serves a provider on some addresses."""

    def __init__(
        self,
        provider: Provides,
        accounts: Accounts,
        *,
        connections: int = Cim().connections,
        requests: int = Cim().requests,
        groups: Sequence[str] = ("basic-read", "association-traversal"),
        transfers: Transfers | None = None,
    ) -> None:
        """``groups`` are the functional groups of DSP0200 that OPTIONS tells, ``transfers`` what clients move data by."""
        self.provider = provider
        self.transfers = transfers or Transfers()
        self.accounts = accounts
        self.groups = groups
        self.familiar = Familiar()
        self.readers = ThreadPoolExecutor(READERS, thread_name_prefix="cim-reading", initializer=become_batch)
        self.arriving = 0
        self._places = connections
        self._requests = requests
        self._busy = 0
        self._busy_of: Counter[str] = Counter()
        self._open: set[_Connection] = set()
        self._connections: Connections | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def start(
        self,
        http: Sequence[Endpoint] = (),
        https: Sequence[Endpoint] = (),
        context: ssl.SSLContext | None = None,
    ) -> tuple[list[Endpoint], list[Endpoint]]:
        """Listen; gives the addresses of HTTP and of HTTPS with their real ports. OSError if one is taken."""
        room = places(self._places)
        if room < self._places:
            log.warning("only %d connections at once, not %d: the process may not open more files", room, self._places)
        self._connections = Connections(lambda: _Connection(self), room)
        self._connections.context = context
        self._look()
        try:
            plain = [self._connections.listen(endpoint, tls=False) for endpoint in http]
            secure = [self._connections.listen(endpoint, tls=True) for endpoint in https]
        except OSError:
            await self.stop()
            raise
        return plain, secure

    def renew(self, context: ssl.SSLContext) -> None:
        """Another certificate, and other authorities of clients, for connections from now on."""
        if self._connections is not None:
            self._connections.context = context

    async def stop(self) -> None:
        """Stop listening and close what is open; requests in progress get a second."""
        if self._connections is None:
            return
        self._connections.close()
        self._connections = None
        for one in list(self._open):
            one.stop()
        closing = [asyncio.ensure_future(one.closed.wait()) for one in self._open]
        if closing:
            await asyncio.wait(closing, timeout=STOPPING)
        for one in list(self._open):
            one.abort()
        if closing:
            await asyncio.wait(closing, timeout=STOPPING)  # until what was aborted has been told so
        for waiting in closing:
            waiting.cancel()
        if self._sweep is not None:
            self._sweep.cancel()
        self.readers.shutdown(wait=False, cancel_futures=True)
        await asyncio.sleep(0)  # and has told others

    # --- for connections

    def opened(self, connection: _Connection) -> None:
        self._open.add(connection)

    def lost(self, connection: _Connection) -> None:
        self._open.discard(connection)

    def begin(self, peer: str) -> bool:
        """Whether there is room for one more request from this address, which then has it."""
        of = site(peer)
        if self._busy >= self._requests or self._busy_of[of] >= share(self._requests):
            return False
        self._busy += 1
        self._busy_of[of] += 1
        return True

    def end(self, peer: str) -> None:
        """A request is done for which there was room."""
        of = site(peer)
        self._busy -= 1
        self._busy_of[of] -= 1
        if not self._busy_of[of]:
            del self._busy_of[of]

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for one in [c for c in self._open if c.deadline < now]:
            one.expired()
        self._sweep = loop.call_later(SWEEP, self._look)


# --- one connection ---------------------------------------------------------------------------------------------------


def patience(written: int, waited: float) -> float:
    """Seconds that a client may still take before it goes on with an answer, of which so many bytes are written, when it has
    kept us waiting for so many seconds."""
    return min(WRITE_TIMEOUT, WRITE_TIMEOUT + written / LEAST_RATE - waited)


class _Phase(enum.Enum):
    """What a connection is waiting for, or doing."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    CLOSING = "closing"


@dataclass(slots=True, kw_only=True)
class _Call:
    """One request on its way: ``space`` is the prefix of CIM's headers, as M-POST declares it, or empty."""

    head: Head
    space: str = ""

    def header(self, name: str) -> str | None:
        """One of CIM's own headers, by its name in lower case."""
        return self.head.headers.get(self.space + name)


class _Connection(Connection):
    """Serves the requests of one connection, in their order, in a task of its own."""

    __slots__ = (
        "_begun", "_certificate", "_counted", "_drained", "_ended", "_full", "_half", "_late", "_loop", "_lost", "_moving",
        "_paused", "_peer", "_phase", "_proven", "_reader", "_served", "_since", "_stopping", "_task", "_transport", "_waited",
        "_waiter", "_written", "closed", "deadline", "server",
    )  # fmt: skip

    _transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self.server = server
        self.closed = asyncio.Event()
        self.deadline = inf
        self._loop = asyncio.get_running_loop()
        self._reader = Reader()
        self._phase = _Phase.HEAD
        self._peer = ""
        self._certificate: Peer | None = None
        self._since = 0.0
        #: Bytes of a body that `server.arriving` has of this connection.
        self._counted = 0
        #: Bytes of the answer that were given to the transport, seconds in which the client did not take them, and since when
        #: it does not.
        self._written = 0
        self._waited = 0.0
        self._full = 0.0
        self._proven = False
        self._served = False
        self._begun = False
        self._ended = False
        self._half = False
        self._late = False
        self._lost = False
        self._moving: Ticket | None = None
        self._paused = False
        self._stopping = False
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._certificate = of_client(transport.get_extra_info)
        self._half = transport.can_write_eof()
        self._since = self._loop.time()
        self.deadline = self._since + min(HEAD_TIMEOUT, KEEP_ALIVE)
        self.server.opened(self)
        self._task = self._loop.create_task(self._serve())

    def connection_lost(self, exc: BaseException | None) -> None:
        self._lost = self._ended = True
        self.deadline = inf
        self.server.lost(self)
        self.closed.set()
        if self._moving is not None:
            self._moving.call_off()
        self._wake()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._phase is _Phase.CLOSING:
            return
        self._reader.feed(data)
        if self._waiter is not None:
            self._wake()
        elif self._reader.waiting > READ_AHEAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        if self._moving is not None and self._moving.down:
            self._moving.call_off()  # who asked for data and closes his end, if only one of them, is gone: nobody does else
        self._wake()
        return self._half  # whoever has only stopped sending still gets its answer

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()
        self._full = self._loop.time()
        self.deadline = min(self.deadline, self._full + patience(self._written, self._waited))

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        self._waited += self._loop.time() - self._full
        if self._phase is _Phase.ANSWER:  # otherwise it is that of what the client has to send, or to be gone
            self.deadline = inf
        if drained is not None and not drained.done():
            drained.set_result(None)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- the server's side

    @property
    def use(self) -> Use:
        if self._phase in (_Phase.IDLE, _Phase.HEAD, _Phase.CLOSING):
            return Use.IDLE if self._proven else Use.STRANGE
        return Use.BUSY if self._proven or self._phase is _Phase.ANSWER else Use.STRANGE

    @property
    def since(self) -> float:
        return self._since

    def drop(self) -> None:
        self._close()

    def stop(self) -> None:
        """Close the connection when the request on it is answered, at once if there is none."""
        self._stopping = True
        if self._phase in (_Phase.IDLE, _Phase.HEAD):
            self._close()

    def abort(self) -> None:
        self._transport.abort()
        if self._task is not None:
            self._task.cancel()

    def expired(self) -> None:
        """Its time is over."""
        self.deadline = inf
        if self._drained is not None or self._phase is _Phase.CLOSING:
            if self._phase is _Phase.ANSWER:
                log.info("%s: dropped: it takes its answer too slowly, or not at all", self._peer)
            self._transport.abort()
        elif self._phase is _Phase.IDLE or (not self._reader.waiting and self._phase is _Phase.HEAD):
            self._close()
        else:
            self._late = True
            self._wake()

    def _close(self) -> None:
        """Close it when what was written is sent, which has to be soon."""
        if self._phase is not _Phase.CLOSING:
            self._phase = _Phase.CLOSING
            self.deadline = self._loop.time() + WRITE_TIMEOUT
        self._ended = True
        self._wake()
        self._transport.close()

    # --- its task

    async def _serve(self) -> None:
        try:
            while not self._stopping:
                head = await self._head()
                self._written, self._waited = 0, 0.0
                self._answering()
                keep = await self._answered(head)
                self._begun = False
                await self._drain()
                self._since = self._loop.time()
                if not keep:
                    break
                self._served = True
            await self._linger()
        except Refused as error:
            log.debug("%s: refused: %d: %s", self._peer, error.status, error.reason)
            if not self._begun:
                fields = b"CIMError: request-not-valid\r\n" if self._phase is _Phase.BODY else b""
                self._write_plain(error.status, fields, error.reason, close=True)
                await self._linger()
        except ConnectionError:
            pass  # it went away: there is nobody to answer, and nothing to log
        except Exception:
            log.exception("%s: a fault in answering", self._peer)
            if self._begun:
                self._transport.abort()  # half an answer must not look like a whole one
            else:
                self._write_plain(500, b"", "", close=True)
        finally:
            self._close()

    def _answering(self) -> None:
        """It is our turn; all that the client has to do is to take what it was sent."""
        self._phase, self.deadline = _Phase.ANSWER, inf
        if self._drained is not None:
            self.deadline = self._full + patience(self._written, self._waited)

    async def _more(self) -> None:
        """Wait for bytes. ConnectionError when there will be none, Refused when they are late."""
        if self._ended:
            raise ConnectionResetError
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._late:
            self._late = False
            raise Refused(408, "it did not arrive in time")

    async def _head(self) -> Head:
        """The next request. ConnectionError if there is none any more."""
        reader = self._reader
        head = reader.head()
        if head is not None:
            return head
        if self._served and not reader.waiting:
            self._phase = _Phase.IDLE
            self.deadline = self._loop.time() + KEEP_ALIVE
            await self._more()
            head = reader.head()
            if head is not None:
                return head
        if self._served:
            self.deadline = self._loop.time() + HEAD_TIMEOUT
        self._phase = _Phase.HEAD
        while (head := reader.head()) is None:
            await self._more()
        return head

    async def _drain(self) -> None:
        """Wait until the client has taken most of what was written."""
        if self._drained is not None:
            await self._drained
        if self._lost:
            raise ConnectionResetError

    async def _linger(self) -> None:
        """Let a client read the last answer before the connection goes: what it still sends would have the answer thrown
        away."""
        if self._lost or (self._reader.complete and not self._reader.waiting):
            return
        self._phase, self.deadline = _Phase.CLOSING, self._loop.time() + LINGER
        if self._half:
            self._transport.write_eof()
        while not self._ended:
            await self._more()

    # --- a request

    async def _answered(self, head: Head) -> bool:
        """Answer a request; gives whether there may be another one after it."""
        call = _Call(head=head)
        try:
            return await self._called(call)
        except MessageError as error:
            log.info("%s: refused: %s: %s", self._peer, error.cim_error, error.reason)
            return await self._refuse(call, error.status, error.reason, cim_error=error.cim_error)

    async def _called(self, call: _Call) -> bool:
        head = call.head
        if transferring.is_transfer(head.target):
            return await self._transferred(call)
        match head.method:
            case "POST" | "OPTIONS":
                pass
            case "M-POST":
                space = _declared(head.headers.get("man", ""))
                if space is None:
                    return await self._refuse(call, 510, "only the CIM mapping may be mandatory")
                call.space = space
            case _:
                return await self._refuse(call, 405 if head.method in _METHODS else 501, "", _ALLOW)
        authorization = head.headers.get("authorization")
        accounts = self.server.accounts
        try:
            principal = accounts.known(authorization, self._peer, self._certificate)
            if principal is None:
                principal = await accounts.principal(authorization, self._peer, self._certificate)
        except Denied as error:
            log.info("%s: refused: %s", self._peer, error)
            return await self._refuse(call, 403, "")
        if principal is None:
            log.debug(
                "%s: refused: no valid credentials", self._peer
            )  # accounts tell of wrong ones, as long as they count
            return await self._refuse(call, 401, "", _UNAUTHORIZED)
        self._proven = True
        if head.method == "OPTIONS":
            return await self._refuse(call, 200, "", _ALLOW + _capabilities(tuple(self.server.groups)))
        _check_headers(call)
        request = await self._request(head)
        if request is None:
            return await self._refuse(call, 503, "", b"Retry-After: 1\r\n")
        try:
            _check_match(call, request)
            answer = await self.server.provider.answer(request, principal)
            level = logging.DEBUG if answer.status == 0 else logging.INFO
            if log.isEnabledFor(level):
                asked = (one_line(request.namespace), one_line(request.name))
                who = (principal.name, self._peer, *asked, answer.status)
                log.log(level, "%s %s: %s %s: status %d", *who)
            return await self._send(call, answer)
        finally:
            self.server.end(self._peer)

    # --- transfers

    async def _transferred(self, call: _Call) -> bool:
        """Move the data of an operation, for whoever has its token. A refused attempt leaves the token as it is."""
        head = call.head
        token = transferring.token_of(head.target)
        ticket = self.server.transfers.known(token)
        if ticket is None:
            return await self._refuse(call, 404, "there is no such transfer, or not any more\n")
        self._proven = True
        move = None
        if head.method == "GET" and ticket.down:
            move = None if ticket.came.is_set() else self._download
        elif head.method == "PUT" and ticket.up:
            move = None if ticket.sending else self._upload
        else:
            return await self._refuse(call, 405, "", transferring.allowed(ticket))
        if move is None:
            return await self._refuse(call, 409, "somebody has come for this transfer already\n")
        if not (ticket.up and ticket.down):  # a session, in which data goes both ways, keeps its token until it ends
            self.server.transfers.redeem(token)
        self._moving = None if head.method == "PUT" and ticket.down else ticket
        try:
            return await move(call, ticket)
        finally:
            self._moving = None

    async def _download(self, call: _Call, ticket: Ticket) -> bool:
        """What comes from the hypervisor. Its first bytes are waited for before anything is said, so that an operation that
        fails at once is told as an error; one that fails later ends the connection, before the end of the data."""
        wanted = transferring.part(call.head.headers.get("range")) if ticket.partial else None
        ticket.begin(wanted)
        flow = ticket.outward
        try:
            first = await flow.get(PIECE)
        except VirtmapError as error:
            return await self._refuse(call, 409, f"{error}\n")
        size = ticket.size.result() if ticket.size.done() else (0 if not first else None)
        status, fields = transferring.fields(ticket, wanted, size)
        counted = size is not None and size >= len(first)
        keep = call.head.keep and not self._stopping and (counted or call.head.minor > 0)
        self._begun = True
        older = not call.head.minor
        length = size if counted else None
        self._write(answer_head(status, fields, length=length, close=not keep, older=older))
        try:
            sent, part = 0, first
            while part:
                sent += len(part)
                self._write(part if counted or older else b"".join(chunk([part])))
                await self._drain()
                part = await flow.get(PIECE)
            if counted and sent != size:
                raise Failed(f"{sent} bytes came, and {size} were told")
        except VirtmapError as error:
            log.info("%s: transfer broken off: %s", self._peer, error)
            self._transport.abort()
            raise ConnectionAbortedError from None
        except BaseException:
            ticket.call_off()
            raise
        if not counted and not older:
            self._write(b"0\r\n\r\n")
        return keep

    async def _upload(self, call: _Call, ticket: Ticket) -> bool:
        """What goes to the hypervisor: all of it, and then the outcome of the operation. What is an input beside a
        download is a part of the session, which goes on."""
        ticket.begin(None) if not ticket.down else ticket.joined()
        head, reader = call.head, self._reader
        if head.expects:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head.expects = False
        self._phase, self.deadline = _Phase.BODY, self._loop.time() + BODY_TIMEOUT
        try:
            while True:
                if part := reader.body():
                    self.deadline = inf  # now it is the hypervisor that we wait for
                    await ticket.inward.feed(part)
                if reader.complete:
                    break
                self.deadline = self._loop.time() + BODY_TIMEOUT
                await self._more()
        except VirtmapError as error:
            return await self._refuse(call, 409, f"{error}\n")
        except BaseException:
            ticket.call_off()
            raise
        self._answering()
        if ticket.down:
            ticket.sending = False
            return await self._refuse(call, 204, "")
        ticket.inward.end()
        await ticket.ended.wait()
        if ticket.failed is not None:
            return await self._refuse(call, 409, f"{ticket.failed}\n")
        return await self._refuse(call, 204, "")

    async def _refuse(
        self, call: _Call, status: int, text: str, fields: bytes = b"", *, cim_error: str | None = None
    ) -> bool:
        """Answer below CIM: a status, and words for people. What is left of a short body is thrown away."""
        head, reader = call.head, self._reader
        short = head.length is not None and head.length <= SKIPPED and not head.expects
        keep = head.keep and not self._stopping and (reader.complete or short)
        if cim_error is not None:
            fields += f"{call.space}CIMError: {cim_error}\r\n".encode("ascii")
        if call.space:
            fields += _extended(call.space)
        self._write_plain(status, fields, text, close=not keep, older=not head.minor, silent=head.method == "HEAD")
        if keep and not reader.complete:
            self._phase, self.deadline = _Phase.BODY, self._loop.time() + BODY_TIMEOUT
            self._begun = True
            reader.body()
            while not reader.complete:
                await self._more()
                reader.body()
            self._answering()
        return keep

    async def _request(self, head: Head) -> Request | None:
        """The request in the body, which has been begun then; None if there is no room for it. What has arrived counts until
        it is read, so that waiting for that is bounded too."""
        server = self.server
        try:
            body = await self._body(head)
            if not server.begin(self._peer):
                return None
            try:
                return await _read(body, head, server)
            except BaseException:
                server.end(self._peer)
                raise
        finally:
            server.arriving -= self._counted
            self._counted = 0

    def _count(self, part: bytes) -> None:
        self._counted += len(part)
        self.server.arriving += len(part)

    async def _body(self, head: Head) -> bytes:
        """The body, within its limits of size and time. A slow one holds up nobody else: it only counts for what it is."""
        if head.length is not None and head.length > BODY_LIMIT:
            raise MessageError(413, "request-not-valid", f"more than {BODY_LIMIT} bytes")
        reader = self._reader
        part = reader.body()
        self._count(part)
        if reader.complete:
            return part
        if head.expects and not part:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head.expects = False  # now it comes
        body = bytearray(part)
        self._phase, self.deadline = _Phase.BODY, self._loop.time() + BODY_TIMEOUT
        while not reader.complete:
            await self._more()
            part = reader.body()
            body += part
            if len(body) > BODY_LIMIT:
                raise MessageError(413, "request-not-valid", f"more than {BODY_LIMIT} bytes")
            self._count(part)
            if self.server.arriving > ARRIVING_LIMIT:
                raise MessageError(503, "request-not-valid", "too much is arriving at once")
        self._answering()
        return bytes(body)

    # --- writing

    def _write(self, content: bytes) -> None:
        self._written += len(content)
        self._transport.write(content)

    def _write_plain(
        self, status: int, fields: bytes, text: str, *, close: bool, older: bool = False, silent: bool = False
    ) -> None:
        content = text.encode("utf-8")
        first = answer_head(status, _TEXT + fields if text else fields, length=len(content), close=close, older=older)
        self._write(first if silent else first + content)

    async def _send(self, call: _Call, answer: Answer) -> bool:
        """The answer, in one piece if it is short."""
        head = call.head
        keep = head.keep and not self._stopping
        gzip = gzip_preferred(head.headers.get("accept-encoding", ""))
        fields = _FIELDS + (_extended(call.space) + call.space.encode() if call.space else b"") + _RESPONSE
        parts = [answer.frame.head]
        if answer.long:
            limit = SHORT if head.minor else OLDER_LIMIT
            rest = _pieces(answer)
            size = len(parts[0])
            turn = time.monotonic()
            for piece in rest:
                parts.append(piece)
                size += len(piece)
                if size > limit:
                    return await self._stream(head, fields, parts, rest, gzip=gzip and head.minor > 0)
                if time.monotonic() - turn > TURN:
                    await self._turn()
                    turn = time.monotonic()
        else:
            parts += answer.body
            parts.append(answer.frame.tail)
        content = b"".join(parts)
        if gzip and len(content) >= WORTHWHILE:
            content = await self._compressed(content)
            fields += _GZIP
        first = answer_head(200, fields, length=len(content), close=not keep, older=not head.minor)
        self._write(first + content)
        return keep

    async def _compressed(self, content: bytes) -> bytes:
        machine = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
        if len(content) <= PIECE:
            return machine.compress(content) + machine.flush()
        out = bytearray()
        for piece in _sliced(content):
            out += machine.compress(piece)
            await self._turn()
        return bytes(out + machine.flush())

    async def _stream(
        self, head: Head, fields: bytes, parts: list[bytes], rest: Iterable[bytes], *, gzip: bool
    ) -> bool:
        """The answer while it is made, piece by piece. A client that stops reading is dropped after a time. One that speaks
        HTTP/1.0 knows no chunks, and sees the end of the answer by that of the connection."""
        keep = head.keep and not self._stopping and head.minor > 0
        machine = zlib.compressobj(LEVEL, zlib.DEFLATED, 31) if gzip else None
        frame = chunk if head.minor else list
        begun = answer_head(200, fields + (_GZIP if gzip else b""), length=None, close=not keep, older=not head.minor)
        self._begun = True
        self._write(begun)
        for piece in _gathered(parts, rest):
            if machine is not None:
                for part in _sliced(b"".join(piece)):
                    packed = machine.compress(part) + machine.flush(zlib.Z_SYNC_FLUSH)
                    self._write(b"".join(frame([packed])))
                    await self._turn()
            elif piece:
                self._write(b"".join(frame(piece)))
            await self._turn()
        last = frame([machine.flush()]) if machine is not None else []
        self._write(b"".join(last) + (b"0\r\n\r\n" if head.minor else b""))
        return keep

    async def _turn(self) -> None:
        """Let others have their turn, and the client take what it was sent."""
        if self._drained is None:
            await asyncio.sleep(0)
        await self._drain()


_RESPONSE = b"CIMOperation: MethodResponse\r\n"


def _pieces(answer: Answer) -> Iterator[bytes]:
    yield from answer.body
    yield answer.frame.tail


def _gathered(first: list[bytes], rest: Iterable[bytes]) -> Iterator[list[bytes]]:
    """About PIECE bytes at a time; none where making them takes long, so that others get their turn."""
    parts, size = first, sum(map(len, first))
    turn = time.monotonic()
    for piece in rest:
        parts.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield parts
            parts, size = [], 0
            turn = time.monotonic()
        elif time.monotonic() - turn > TURN:
            yield []
            turn = time.monotonic()
    if size:
        yield parts


def _sliced(content: bytes) -> Iterator[memoryview]:
    view = memoryview(content)
    for at in range(0, len(content), PIECE):
        yield view[at : at + PIECE]


# --- headers of CIM ---------------------------------------------------------------------------------------------------

_MAN = re.compile(r"\"?http://www\.dmtf\.org/cim/[!-!#-+\x2d-:<-~]*\"?\s*+(?:;\s*+ns\s*+=\s*+\"?([0-9]{1,4})\"?)?\s*+")


@lru_cache(maxsize=128)
def _declared(man: str) -> str | None:
    """The prefix that an M-POST's Man header declares for CIM's headers; None if it demands anything else (RFC 2774)."""
    found = _MAN.fullmatch(man)
    if found is None:
        return None
    return f"{found.group(1)}-" if found.group(1) else ""


@lru_cache(maxsize=128)
def _extended(space: str) -> bytes:
    """What an answer to M-POST tells of the prefix that it uses itself (DSP0200 7.2.1)."""
    return f"Ext:\r\nMan: {EXTENSION}; ns={space.rstrip('-')}\r\n".encode("ascii")


@lru_cache(maxsize=4)
def _capabilities(groups: tuple[str, ...]) -> bytes:
    """What OPTIONS tells (DSP0200 7.5)."""
    space = f"{_OPTIONS_SPACE}-"
    return (
        f"Opt: {EXTENSION}; ns={_OPTIONS_SPACE}\r\n{space}CIMProtocolVersion: 1.0\r\n"
        f"{space}CIMSupportedFunctionalGroups: {', '.join(groups)}\r\n"
    ).encode("ascii")


def _check_headers(call: _Call) -> None:
    """The headers that every request carries (DSP0200 7.1, 7.2)."""
    operation = call.header("cimoperation")
    if operation is None:
        raise MessageError(400, "header-mismatch", "the CIMOperation header is missing")
    if operation != "MethodCall" and operation.lower() != "methodcall":
        raise MessageError(501, "unsupported-operation", "the CIMOperation header is not MethodCall")
    version = call.header("cimprotocolversion")
    if version is not None and version.partition(".")[0] != "1":
        raise MessageError(501, "unsupported-protocol-version", "CIMProtocolVersion 1 is spoken here")
    headers = call.head.headers
    if not _is_xml(headers.get("content-type", "")):
        raise MessageError(415, "request-not-valid", "the body is not application/xml in UTF-8 or UTF-16")
    coding = headers.get("content-encoding")
    if coding is not None and coding.lower() not in ("identity", "gzip", "x-gzip"):
        raise MessageError(415, "request-not-valid", "of compressed bodies only gzip is accepted")
    for name, values in (("accept", ("application/xml", "text/xml")), ("accept-charset", ("utf-8",))):
        accept = headers.get(name)
        if accept is not None and not acceptable(accept, *values):
            raise MessageError(406, "request-not-valid", f"answers are {values[0]}, which {name} does not take")


_CHARSETS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "utf-8", "ascii": "utf-8",
    "utf-16": "utf-16", "utf-16le": "utf-16", "utf-16be": "utf-16",
}  # fmt: skip
_TYPES = ("application/xml", "text/xml", "application/octet-stream")


@lru_cache(maxsize=128)
def _is_xml(content_type: str) -> bool:
    """Whether a body of this type can be a request; application/octet-stream is what clients without a type of their own
    send."""
    kind = content_type.partition(";")[0].strip().lower() or "application/octet-stream"
    charset = parameter(content_type, "charset")
    return kind in _TYPES and (charset is None or charset in _CHARSETS)


@lru_cache(maxsize=128)
def _charset(content_type: str) -> str | None:
    """Which of UTF-8 and UTF-16 a Content-Type says; None if it says nothing of it."""
    return _CHARSETS.get(parameter(content_type, "charset") or "")


async def _read(body: bytes, head: Head, server: Server) -> Request:
    """The request in a body; a large or compressed one is read in another thread."""
    compressed = head.headers.get("content-encoding", "identity").lower() != "identity"
    charset = _charset(head.headers.get("content-type", ""))
    if compressed or len(body) > HEAVY:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(server.readers, _understood, body, charset, compressed)
    _check_width(body, charset)
    return server.familiar.read(body, _LIMITS)


def _understood(body: bytes, charset: str | None, compressed: bool) -> Request:
    if compressed:
        try:
            body = expand(body, BODY_LIMIT)
        except BadGzip as error:
            raise MessageError(400, "request-not-valid", f"the body is not what gzip makes: {error}") from None
    _check_width(body, charset)
    return messages.read(body, _LIMITS)


def _check_width(body: bytes, charset: str | None) -> None:
    """What Content-Type says of the characters is so, as far as it shows."""
    if charset is not None and body:
        wide = body[:2] in (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<")
        if wide != (charset == "utf-16"):
            raise MessageError(400, "request-not-well-formed", f"Content-Type says {charset}, and the body is not")


def _check_match(call: _Call, request: Request) -> None:
    """CIMMethod and CIMObject, where they are sent, agree with the body (DSP0200 7.2.4, 7.2.5)."""
    method, target = call.header("cimmethod"), call.header("cimobject")
    if method is not None and method != request.name and unquote(method).strip().lower() != request.name.lower():
        raise MessageError(400, "header-mismatch", "the CIMMethod header names another method than the body")
    if target is None or target == request.namespace:
        return
    meant = _namespace(target) if len(target) < 256 else _namespace.__wrapped__(target)
    if meant != request.namespace.strip("/").lower():
        raise MessageError(400, "header-mismatch", "the CIMObject header names another namespace than the body")


@lru_cache(maxsize=128)
def _namespace(target: str) -> str:
    """The namespace, in lower case, that a CIMObject header names."""
    path = unquote(target).strip()
    if path.startswith("//"):
        path = path[2:].partition("/")[2]
    return path.partition(":")[0].strip("/").lower()
