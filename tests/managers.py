"""Managers for the tests of transports: they send octets over UDP, TCP or TLS, and take answers apart."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agent.snmp.server import Address, Server
from agent.snmp.tcp import Limits
from agent.snmp.tls import TlsFiles
from tests.agents import World, until
from tests.wire import Answer, answered

PATIENCE = 10.0
"""Seconds after which a test gives up waiting."""


class Datagrams(asyncio.DatagramProtocol):
    """Sends datagrams, and keeps what comes back, and from where."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.sources: list[str] = []
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answers.append(answered(data))
        self.sources.append(addr[0])

    def send(self, *datagrams: bytes, to: tuple[str, int] | None = None) -> None:
        for datagram in datagrams:
            self.transport.sendto(datagram, to)

    async def wait(self, count: int) -> list[Answer]:
        await until(lambda: len(self.answers) >= count, f"{count} answers")
        return self.answers


@asynccontextmanager
async def datagrams(address: Address) -> AsyncIterator[Datagrams]:
    """A manager that talks to one address."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=address[1:])
    try:
        yield protocol
    finally:
        transport.close()


class Stream:
    """A manager on a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *messages: bytes) -> None:
        self.writer.write(b"".join(messages))

    async def message(self) -> bytes:
        """The next whole message."""
        head = await asyncio.wait_for(self.reader.readexactly(2), PATIENCE)
        assert head[0] == 0x30
        size = head[1]
        if size & 0x80:
            more = await asyncio.wait_for(self.reader.readexactly(size & 0x7F), PATIENCE)
            head, size = head + more, int.from_bytes(more, "big")
        return head + await asyncio.wait_for(self.reader.readexactly(size), PATIENCE)

    async def answer(self) -> Answer:
        return answered(await self.message())

    async def answers(self, count: int) -> list[Answer]:
        return [await self.answer() for _ in range(count)]

    async def ended(self) -> bytes:
        """What comes until the agent closes the connection; it must."""
        octets = b""
        try:
            while more := await asyncio.wait_for(self.reader.read(65_536), PATIENCE):
                octets += more
        except (ConnectionError, ssl.SSLError):
            pass  # closed by the agent while it had something unread: that is an end too
        return octets


@asynccontextmanager
async def stream(
    address: Address, context: ssl.SSLContext | None = None, source: str | None = None
) -> AsyncIterator[Stream]:
    """A connection to an address; in TLS, if there is a context for it."""
    reader, writer = await asyncio.wait_for(
        asyncio.open_connection(
            *address[1:], ssl=context, server_hostname="127.0.0.1" if context else None,
            local_addr=(source, 0) if source else None,
        ), PATIENCE,
    )  # fmt: skip
    try:
        yield Stream(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def served(
    w: World, *listen: Address, tls: TlsFiles | None = None, limits: Limits | None = None
) -> AsyncIterator[tuple[Server, list[Address]]]:
    """A server of an agent, and what it is bound to."""
    server = Server(w.engine, w.operations, limits=limits)
    try:
        yield server, await server.start(listen or [("udp", "127.0.0.1", 0)], tls)
    finally:
        await server.stop()
