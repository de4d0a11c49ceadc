"""The HTTP shell of the WBEM server: headers, credentials, limits and streaming (DSP0200, chapters 6 and 7).

Whatever the path, a POST is a CIM-XML request. Answers carry Content-Length, unless they are long: those are sent in
chunks while they are made, so that memory does not grow with the number of domains, and the loop gets its turn between
chunks. M-POST, which aiohttp's parser does not know, is answered 501, upon which clients fall back to POST.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod
from aiohttp.web_protocol import RequestHandler

from agent.access import Principal
from agent.cim import messages
from agent.cim.accounts import Accounts
from agent.cim.connections import Connection, Connections, places
from agent.cim.messages import MessageError, Request
from agent.cim.provider import Answer, Provider
from agent.cim.tree import Limits
from agent.config import Endpoint
from agent.errors import ConfigError

__all__ = ["Server", "tls_context"]

log = logging.getLogger("virtmap.cim")

#: Bytes of a request's body.
BODY_LIMIT = 4 * 1024 * 1024

#: Bytes of all bodies that are arriving.
ARRIVING_LIMIT = 64 * 1024 * 1024

#: Requests worked on at once; one more is told to come back.
REQUESTS_AT_ONCE = 64

#: Seconds in which a request's body has to arrive, and in which a client has to take one piece of an answer.
BODY_TIMEOUT = 30.0
WRITE_TIMEOUT = 60.0

#: Seconds that an idle connection is kept.
KEEP_ALIVE = 60.0

#: Seconds that requests in progress have to end when the server stops.
STOPPING = 1.0

#: Bytes of an answer up to which it is sent in one piece.
SHORT = 64 * 1024

REALM = "virtmap"


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """TLS 1.2 or newer with this certificate; ConfigError when the PEM files are not what they should be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for name, file in (("certificate", certificate), ("key", key)):
        try:
            Path(file).open("rb").close()
        except OSError as error:
            raise ConfigError(f"cim.{name}: {file}: {error.strerror}") from error
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"cim.certificate: {certificate} and {key} are not the PEM files of a certificate and of its own key: {error}"
        ) from error
    return context


class Server:
    """Serves a provider on some addresses."""

    def __init__(self, provider: Provider, accounts: Accounts) -> None:
        self._provider = provider
        self._accounts = accounts
        self._server: _Server | None = None
        self._connections: Connections | None = None
        self._busy = 0
        self._arriving = 0

    async def start(
        self,
        http: Sequence[Endpoint] = (),
        https: Sequence[Endpoint] = (),
        context: ssl.SSLContext | None = None,
    ) -> tuple[list[Endpoint], list[Endpoint]]:
        """Listen; gives the addresses of HTTP and of HTTPS with their real ports. OSError if one is taken."""
        self._server = _Server(
            self._handle,
            keepalive_timeout=KEEP_ALIVE,
            auto_decompress=False,
            access_log=None,
            lingering_time=2.0,
        )
        self._connections = Connections(self._server, places())
        try:
            plain = [self._connections.listen(endpoint, None) for endpoint in http]
            secure = [self._connections.listen(endpoint, context) for endpoint in https]
        except OSError:
            await self.stop()
            raise
        return plain, secure

    async def stop(self) -> None:
        """Stop listening and close what is open; requests in progress get a second."""
        if self._connections is not None and self._server is not None:
            self._connections.close()
            self._server.pre_shutdown()
            await self._server.shutdown(STOPPING)
            self._connections = self._server = None

    # --- one request

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        if http.method != "POST":
            return _plain(405 if http.method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS") else 501, Allow="POST")
        return await self._admitted(http)

    async def _admitted(self, http: web.BaseRequest) -> web.StreamResponse:
        peer = http.remote or ""
        principal = await self._accounts.principal(http.headers.get("Authorization"), peer)
        if principal is None:
            log.info("%s: refused: no valid credentials", peer)
            return _plain(401, {"WWW-Authenticate": f'Basic realm="{REALM}", charset="UTF-8"'})
        try:
            _check_headers(http)
            body = await self._body(http)
            request = messages.read(body, Limits(size=BODY_LIMIT))
            _check_match(http, request)
        except MessageError as error:
            log.info("%s %s: refused: %s: %s", principal.name, peer, error.cim_error, error.reason)
            return _plain(error.status, {"CIMError": error.cim_error}, error.reason)
        if self._busy >= REQUESTS_AT_ONCE:
            return _plain(503, {"Retry-After": "1"})
        self._busy += 1
        try:
            answer = await self._provider.answer(request, principal)
            return await self._send(http, request, answer, principal)
        finally:
            self._busy -= 1

    async def _body(self, http: web.BaseRequest) -> bytes:
        """The body, within its limits of size and time. A slow one holds up nobody else: it only counts for what it is."""
        if http.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise MessageError(415, "request-not-valid", "a compressed body is not accepted")
        if (http.content_length or 0) > BODY_LIMIT:
            raise MessageError(413, "request-not-valid", f"more than {BODY_LIMIT} bytes")
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                async for part in http.content.iter_any():
                    body += part
                    self._arriving += len(part)
                    if len(body) > BODY_LIMIT:
                        raise MessageError(413, "request-not-valid", f"more than {BODY_LIMIT} bytes")
                    if self._arriving > ARRIVING_LIMIT:
                        raise MessageError(503, "request-not-valid", "too much is arriving at once")
        except TimeoutError:
            raise MessageError(408, "request-not-valid", "the body did not arrive in time") from None
        finally:
            self._arriving -= len(body)
        return bytes(body)

    async def _send(
        self, http: web.BaseRequest, request: Request, answer: Answer, principal: Principal
    ) -> web.StreamResponse:
        level = logging.DEBUG if answer.status == 0 else logging.INFO
        log.log(
            level,
            "%s %s: %s %s: status %d",
            principal.name,
            http.remote,
            request.namespace,
            request.name,
            answer.status,
        )
        pieces = _pieces(answer)
        first = bytearray()
        for piece in pieces:
            first += piece
            if len(first) > SHORT and answer.long and http.version >= (1, 1):
                return await _stream(http, bytes(first), pieces)
        return web.Response(body=bytes(first), headers=_HEADERS)


_HEADERS = {"Content-Type": 'application/xml; charset="utf-8"', "CIMOperation": "MethodResponse"}


def _pieces(answer: Answer) -> Iterator[bytes]:
    yield answer.frame.head
    yield from answer.body
    yield answer.frame.tail


async def _stream(http: web.BaseRequest, first: bytes, rest: Iterable[bytes]) -> web.StreamResponse:
    """Sends the pieces as they are made. A client that stops reading is dropped after a time."""
    response = web.StreamResponse(headers=_HEADERS)
    response.enable_chunked_encoding()
    await response.prepare(http)
    await _write(response, first)
    for piece in rest:
        await _write(response, piece)
    await response.write_eof()
    return response


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT):
        await response.write(piece)
    await asyncio.sleep(0)  # a write that does not block does not yield either, and others wait


def _check_headers(http: web.BaseRequest) -> None:
    """The extension headers that every request carries (DSP0200 7.2)."""
    operation = http.headers.get("CIMOperation")
    if operation is None:
        raise MessageError(400, "header-mismatch", "the CIMOperation header is missing")
    if operation.strip().lower() != "methodcall":
        raise MessageError(501, "unsupported-operation", "the CIMOperation header is not MethodCall")
    if http.content_type not in ("application/xml", "text/xml", "application/octet-stream"):
        raise MessageError(415, "request-not-valid", "the body is not application/xml")


def _check_match(http: web.BaseRequest, request: Request) -> None:
    """CIMMethod and CIMObject, where they are sent, agree with the body (DSP0200 7.2.4, 7.2.5)."""
    method, target = http.headers.get("CIMMethod"), http.headers.get("CIMObject")
    if method is not None and unquote(method).strip().lower() != request.name.lower():
        raise MessageError(400, "header-mismatch", "the CIMMethod header names another method than the body")
    if target is None:
        return
    path = unquote(target).strip()
    if path.startswith("//"):
        path = path[2:].partition("/")[2]
    if path.partition(":")[0].strip("/").lower() != request.namespace.strip("/").lower():
        raise MessageError(400, "header-mismatch", "the CIMObject header names another namespace than the body")


def _plain(status: int, headers: dict[str, str] | None = None, text: str = "", **more: str) -> web.Response:
    """An answer below CIM: a status, and words for people."""
    return web.Response(status=status, text=text, headers={**(headers or {}), **more})


# --- what aiohttp's parser refuses ------------------------------------------------------------------------------------


class _Handler(RequestHandler, Connection):
    """Answers what is no request to aiohttp with a bare status; methods that it does not know, M-POST above all, with 501."""

    __slots__ = ("closed",)

    def __init__(self, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self.closed = asyncio.Event()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.closed.set()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if isinstance(exc, ConnectionError):
            raise exc  # the client went away: there is nobody to answer, and nothing to log
        if isinstance(exc, BadHttpMethod):
            response = _plain(501)
        elif 400 <= status < 500:
            response = _plain(status)
        else:
            return super().handle_error(request, status, exc, message)
        response.force_close()
        return response


class _Server(web.Server):
    """aiohttp's low-level server with our handler of connections."""

    def __call__(self) -> _Handler:
        return _Handler(self, loop=self._loop, **self._kwargs)
