"""Listens, and accepts connections only as long as there is room for them, or room can be made.

asyncio's own servers accept without end. A stranger who opens connections and says nothing then takes every file
descriptor of the process, after which nothing is accepted from anybody, and each refusal is logged some thousand times a
second. Here the number of connections is bounded, in all and for each address, which of IPv6 is the network of a site
(`addresses`). Where there is no room left the oldest connection gives its place up on which nobody has proved yet who it
is, of the address that has the most of these; only where there is none at all, the one that has been idle longest, of the
address that has the most idle ones. So a crowd that says nothing gets in its own way, and in nobody else's. Whoever finds
all places busy waits; an address that keeps all of its own busy is turned away.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import resource
import socket
import ssl
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any

from agent.cim.addresses import site
from agent.config import Endpoint

__all__ = ["Connection", "Connections", "Use", "places", "share"]

log = logging.getLogger("virtmap.cim")

#: Connections that wait to be accepted, for each address.
BACKLOG = 128

#: Bytes that the kernel keeps for a client. Its own choice grows to megabytes, which for a long answer cost half as much
#: again as what stays in the processor's cache, and which a client that does not read keeps.
SEND_BUFFER = 256 * 1024

#: Seconds for a TLS handshake.
HANDSHAKE = 10.0

#: Seconds until accepting is tried again when the system refused it.
RETRY = 1.0


def places(wanted: int) -> int:
    """How many connections may be open at once: half of the files that the process may have, at most."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if files == resource.RLIM_INFINITY else max(1, min(wanted, files // 2))


def share(limit: int) -> int:
    """How much of what there is so many of one address may have: three quarters."""
    return max(1, limit * 3 // 4)


class Use(enum.IntEnum):
    """What a connection is being used for; the lower, the sooner it gives up its place."""

    STRANGE = 0
    IDLE = 1
    BUSY = 2


class Connection(asyncio.Protocol):
    """What serves one connection; sets `closed` when the connection is lost."""

    __slots__ = ()

    closed: asyncio.Event

    @property
    def use(self) -> Use:
        raise NotImplementedError

    @property
    def since(self) -> float:
        """When it was used last."""
        raise NotImplementedError

    def drop(self) -> None:
        """Close it, for somebody else."""
        raise NotImplementedError


class _Place:
    """A connection that was accepted, of a site. It is open when its handshake, if there is one, is over."""

    def __init__(self, address: str, peer: socket.socket, connection: Connection) -> None:
        self.address = address
        self.site = site(address)
        self.peer = peer
        self.connection = connection
        self.begun = False
        self.open = False
        self.made = asyncio.get_running_loop().time()
        self.task: asyncio.Task[None] | None = None

    @property
    def rank(self) -> tuple[int, float]:
        return (self.connection.use, self.connection.since) if self.open else (Use.STRANGE, self.made)

    def give_up(self) -> None:
        if self.open:
            self.connection.drop()
        elif self.task is not None:
            self.task.cancel()

    def forgotten(self, _: object) -> None:
        """Its task is over; where it was cancelled before it began, nobody else closes the socket."""
        if not self.begun:
            self.peer.close()


class Connections:
    """Listening sockets that share a bounded number of connections."""

    def __init__(self, make: Callable[[], Connection], limit: int) -> None:
        self._make = make
        self._limit = limit
        self._share = share(limit)
        self._taken: dict[str, dict[_Place, None]] = {}
        self._count = 0
        self._left = asyncio.Event()
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        #: With which handshakes are done from now on.
        self.context: ssl.SSLContext | None = None

    def listen(self, endpoint: Endpoint, *, tls: bool) -> Endpoint:
        """Accept on an address, with TLS or without; gives it with its real port. OSError if it is taken."""
        family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
        try:
            sock = socket.create_server((endpoint.host, endpoint.port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise OSError(error.errno, endpoint.refused(error)) from error
        sock.setblocking(False)
        # Accepted sockets inherit both. asyncio sets the first one itself only where a socket says that it is TCP's, which
        # these do not; without it the end of a long answer can wait 40 ms for an acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._sockets.append(sock)
        self._accepting.append(self._spawn(self._accept(sock, tls)))
        host, port = sock.getsockname()[:2]
        return Endpoint(host=host, port=port)

    def close(self) -> None:
        """Accept no more. Connections in their handshake are dropped; open ones are left to those who serve them."""
        for task in self._accepting:
            task.cancel()
        for place in [place for crowd in self._taken.values() for place in crowd if not place.open]:
            place.give_up()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()
        self._accepting.clear()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, sock: socket.socket, tls: bool) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                peer, address = await loop.sock_accept(sock)
            except OSError as error:
                log.warning("cannot accept a connection: %s", error)
                await asyncio.sleep(RETRY)
                continue
            await self._admit(peer, str(address[0]), tls)
            await asyncio.sleep(0)  # accepting does not wait where somebody is in the queue

    async def _admit(self, peer: socket.socket, address: str, tls: bool) -> None:
        """Have an accepted connection served when there is room for it; it is closed if there will be none."""
        try:
            welcome = await self._room(site(address))
        except BaseException:  # nobody else knows of it yet
            peer.close()
            raise
        if not welcome:
            log.debug("%s: turned away: all its %d connections are busy", address, self._share)
            peer.close()
            return
        place = _Place(address, peer, self._make())
        self._taken.setdefault(place.site, {})[place] = None
        self._count += 1
        place.task = self._spawn(self._connected(place, tls))
        place.task.add_done_callback(place.forgotten)

    async def _room(self, of: str) -> bool:
        """Wait until there is a place, making one if need be; False if the site has all that it may have, and uses it."""
        own = self._taken.get(of, {})
        if len(own) >= self._share and not self._make_room([own]):
            return False
        while self._count >= self._limit:
            if not self._make_room(self._taken.values()):
                self._left.clear()
                await self._left.wait()
        return True

    def _make_room(self, crowds: Collection[Iterable[_Place]]) -> bool:
        """Have one of these give up its place, if one can: a stranger of any crowd before anybody who is merely idle."""
        for use in (Use.STRANGE, Use.IDLE):
            some = [found for crowd in crowds if (found := [place for place in crowd if place.rank[0] == use])]
            if some:
                most = max(map(len, some))
                first = min((p for found in some if len(found) == most for p in found), key=lambda place: place.rank)
                self._leave(first)
                first.give_up()
                return True
        return False

    def _leave(self, place: _Place) -> None:
        own = self._taken.get(place.site, {})
        if place not in own:
            return
        del own[place]
        if not own:
            del self._taken[place.site]
        self._count -= 1
        self._left.set()

    async def _connected(self, place: _Place, tls: bool) -> None:
        """One connection, from its being accepted until it is lost."""
        place.begun = True
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: place.connection,
                place.peer,
                ssl=self.context if tls else None,
                ssl_handshake_timeout=HANDSHAKE if tls else None,
            )
            place.open = True
            await place.connection.closed.wait()
        except OSError as error:  # of TLS too
            log.info("%s: no connection: %s", place.address, error)
        finally:
            self._leave(place)
