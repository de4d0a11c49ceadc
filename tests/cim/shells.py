"""The HTTP shell alone, in the running loop, before a provider that says what it is told to; and a client that hides nothing."""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from agent.access import Principal
from agent.cim import messages
from agent.cim.accounts import Accounts
from agent.cim.messages import Request
from agent.cim.provider import Answer
from agent.cim.server import Server
from agent.config import Endpoint
from agent.schema.declare import Access

HEADERS = {"Content-Type": 'application/xml; charset="utf-8"', "CIMOperation": "MethodCall"}


def call(name: str = "EnumerateInstances", class_name: str = "Virtmap_Domain", padding: int = 0) -> bytes:
    """A request's body; `padding` are bytes of white space that make it longer."""
    return (
        '<?xml version="1.0" encoding="utf-8" ?><CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" '
        f'PROTOCOLVERSION="1.0"><SIMPLEREQ><IMETHODCALL NAME="{name}"><LOCALNAMESPACEPATH>'
        '<NAMESPACE NAME="root"/><NAMESPACE NAME="virtmap"/></LOCALNAMESPACEPATH><IPARAMVALUE NAME="ClassName">'
        f'<CLASSNAME NAME="{class_name}"/></IPARAMVALUE></IMETHODCALL></SIMPLEREQ></MESSAGE>{" " * padding}</CIM>'
    ).encode()


def request(
    body: bytes | None = None, headers: Mapping[str, str] | None = None, method: str = "POST", version: str = "1.1"
) -> bytes:
    """A whole request; headers beside or instead of those that every one has."""
    body = call() if body is None else body
    given = {"Host": "localhost", **HEADERS, "Content-Length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"{method} /cimom HTTP/{version}\r\n{lines}\r\n".encode("latin-1") + body


@dataclass
class Said:
    """An answer: its body without chunks, and, if it was compressed, as it was before."""

    status: int
    headers: dict[str, str]
    body: bytes


async def hear(reader: asyncio.StreamReader, *, silent: bool = False) -> Said:
    """The next answer on a connection. IncompleteReadError or ConnectionError when it breaks off; `silent` ones have no
    body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
    status = int(line.split()[1])
    if silent or status == 100:
        return Said(status, headers, b"")
    if "content-length" in headers:
        assert "transfer-encoding" not in headers
        body = await reader.readexactly(int(headers["content-length"]))
    elif headers.get("transfer-encoding") == "chunked":
        chunks = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            chunks.append(await reader.readexactly(size))
            assert await reader.readexactly(2) == b"\r\n"
        assert await reader.readexactly(2) == b"\r\n"
        body = b"".join(chunks)
    else:
        assert headers["connection"] == "close"
        body = await reader.read()
    if headers.get("content-encoding") == "gzip":
        body = zlib.decompress(body, 31)
    return Said(status, headers, body)


@dataclass
class Provider:
    """Answers every request with these pieces; `gate` is waited for before each one."""

    pieces: Callable[[], Iterable[bytes]] = lambda: [b"<VALUE>well</VALUE>"]
    long: bool = False
    gate: asyncio.Event | None = None
    asked: list[Request] = field(default_factory=list)
    principals: list[Principal] = field(default_factory=list)

    async def answer(self, request: Request, principal: Principal) -> Answer:
        self.asked.append(request)
        self.principals.append(principal)
        if self.gate is not None:
            await self.gate.wait()
        return Answer(frame=messages.frame(request), body=self.pieces(), long=self.long)


@dataclass
class Shell:
    """A running shell."""

    server: Server
    provider: Provider
    port: int

    async def connect(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, **options)

    async def ask(self, raw: bytes | None = None, **options: Any) -> Said:
        """The answer to a request on a connection of its own."""
        reader, writer = await self.connect(**options)
        try:
            writer.write(request() if raw is None else raw)
            return await hear(reader)
        finally:
            writer.close()


@asynccontextmanager
async def shell(
    provider: Provider | None = None,
    *,
    accounts: Accounts | None = None,
    context: ssl.SSLContext | None = None,
    **options: Any,
) -> AsyncIterator[Shell]:
    """A shell on loopback, with TLS if there is a context, for an anonymous observer if there are no accounts."""
    provider = provider or Provider()
    server = Server(provider, accounts or Accounts((), Access.OBSERVE), **options)
    free = [Endpoint(host="127.0.0.1", port=0)]
    plain, secure = await server.start([] if context else free, free if context else [], context)
    try:
        yield Shell(server, provider, (plain + secure)[0].port)
    finally:
        await server.stop()
