"""Who gives up its place when there is none left: connections of many addresses, without a network and without HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.cim.connections import Connection, Connections, Use
from agent.config import Endpoint
from tests.agents import looped, until

MANAGER = "192.0.2.1"


class Client(Connection):
    """One that is used as a test says, last at its number."""

    def __init__(self, number: int) -> None:
        self.closed = asyncio.Event()
        self.number = number
        self.used = Use.STRANGE
        self.dropped = False
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: BaseException | None) -> None:
        self.closed.set()

    @property
    def use(self) -> Use:
        return self.used

    @property
    def since(self) -> float:
        return self.number

    def drop(self) -> None:
        self.dropped = True
        assert self.transport is not None
        self.transport.close()


class Crowd:
    """Connections, and the clients that came, in their order."""

    def __init__(self, limit: int) -> None:
        self.clients: list[Client] = []
        self.connections = Connections(self._make, limit)
        self.ends: list[socket.socket] = []

    def _make(self) -> Client:
        self.clients.append(Client(len(self.clients)))
        return self.clients[-1]

    def pair(self) -> socket.socket:
        """One end of a connection; the other one stays here."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.ends.append(theirs)
        return ours

    async def come(self, *addresses: str, use: Use = Use.STRANGE) -> list[Client]:
        """One from each address, in use as it says when it is open."""
        before = len(self.clients)
        for address in addresses:
            await self.connections._admit(self.pair(), address, tls=False)
            if len(self.clients) > before:
                client = self.clients[-1]
                await until(lambda client=client: self._open(client), "the connection")  # type: ignore[misc]
                client.used = use
        return self.clients[before:]

    def _open(self, client: Client) -> bool:
        taken = self.connections._taken.values()
        return any(place.open for crowd in taken for place in crowd if place.connection is client)


@asynccontextmanager
async def crowd(limit: int) -> AsyncIterator[Crowd]:
    made = Crowd(limit)
    try:
        yield made
    finally:
        made.connections.close()
        for client in made.clients:
            client.drop()
        for end in made.ends:
            end.close()
        await until(lambda: not made.connections._tasks, "no connection")


@looped
async def test_an_ipv6_network_has_one_share() -> None:
    async with crowd(10) as made:
        strangers = await made.come(*(f"2001:db8::{n}" for n in range(10)))
        assert [one.dropped for one in strangers] == [True] * 3 + [False] * 7  # though there was room
        elsewhere = await made.come(*[MANAGER, "2001:db8:0:1::1"], use=Use.IDLE)
        assert [one.dropped for one in strangers + elsewhere] == [True] * 3 + [False] * 9


@pytest.mark.parametrize("of", [MANAGER, "198.51.100.{}", "2001:db8:0:{}::1"])
def test_strangers_of_any_address_go_before_who_is_idle(of: str) -> None:
    """Also where the idle ones are the largest crowd, and newcomers, who prove who they are, are of theirs."""

    @looped
    async def check() -> None:
        async with crowd(10) as made:
            manager = await made.come(*[MANAGER] * 3, use=Use.IDLE)
            strangers = await made.come(*(f"203.0.113.{n}" for n in range(7)))
            newcomers = await made.come(*(of.format(n) for n in range(3)), use=Use.IDLE)
            assert not any(one.dropped for one in manager + newcomers)
            assert [one.dropped for one in strangers] == [True] * 3 + [False] * 4

    check()


@looped
async def test_where_nobody_is_strange_who_was_idle_longest_goes() -> None:
    async with crowd(4) as made:
        (busy,) = await made.come(MANAGER, use=Use.BUSY)
        idle = await made.come(*[MANAGER] * 2, "198.51.100.1", use=Use.IDLE)
        await made.come("203.0.113.1", use=Use.BUSY)
        assert [one.dropped for one in (busy, *idle)] == [False, True, False, False]


@looped
async def test_who_waits_for_a_place_when_all_ends_is_closed() -> None:
    async with crowd(1) as made:
        await made.come(MANAGER, use=Use.BUSY)
        waiting = made.pair()
        task = asyncio.ensure_future(made.connections._admit(waiting, "198.51.100.1", tls=False))
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert waiting.fileno() == -1


@looped
async def test_open_connections_are_left_to_who_serves_them() -> None:
    async with crowd(4) as made:
        made.connections.listen(Endpoint(host="127.0.0.1", port=0), tls=False)
        (client,) = await made.come(MANAGER, use=Use.BUSY)
        (place,) = (place for of in made.connections._taken.values() for place in of)
        assert place.task is not None
        made.connections.close()
        await until(lambda: made.connections._tasks == {place.task}, "what is not open to end")
        assert not place.task.cancelling()
        client.drop()
        await place.task
