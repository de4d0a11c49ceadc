"""Listens, and accepts connections only as long as there is room for them.

asyncio's own servers accept without end. A stranger who opens connections and says nothing then takes every file
descriptor of the process, after which nothing is accepted from anybody, and each refusal is logged some thousand times a
second. Here a connection has its place before it is accepted, its TLS handshake included; whoever finds no place waits
in the kernel's queue. A silent connection gives its place back when the time for its handshake or its request is over.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import Callable, Coroutine

from agent.config import Endpoint

__all__ = ["Connection", "Connections", "places"]

log = logging.getLogger("virtmap.cim")

#: Connections open at once, where the process may have twice as many files.
CONNECTIONS = 512

#: Connections that wait to be accepted, for each address.
BACKLOG = 128

#: Seconds for a TLS handshake.
HANDSHAKE = 10.0

#: Seconds until accepting is tried again when the system refused it.
RETRY = 1.0


def places() -> int:
    """How many connections may be open at once: half of the files that the process may have, at most."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if files == resource.RLIM_INFINITY else max(1, min(CONNECTIONS, files // 2))


class Connection(asyncio.Protocol):
    """What serves one connection; sets `closed` when the connection is lost."""

    __slots__ = ()

    closed: asyncio.Event


class Connections:
    """Listening sockets that share a bounded number of connections."""

    def __init__(self, make: Callable[[], Connection], limit: int) -> None:
        self._make = make
        self._free = asyncio.Semaphore(limit)
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> Endpoint:
        """Accept on an address, with TLS if there is a context; gives it with its real port. OSError if it is taken."""
        family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
        try:
            sock = socket.create_server((endpoint.host, endpoint.port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise OSError(error.errno, endpoint.refused(error)) from error
        sock.setblocking(False)
        self._sockets.append(sock)
        self._spawn(self._accept(sock, context))
        host, port = sock.getsockname()[:2]
        return Endpoint(host=host, port=port)

    def close(self) -> None:
        """Accept no more. Connections in their handshake are dropped; open ones are left to those who serve them."""
        for task in self._tasks:
            task.cancel()
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._free.acquire()
            try:
                peer, address = await loop.sock_accept(sock)
            except OSError as error:
                self._free.release()
                log.warning("cannot accept a connection: %s", error)
                await asyncio.sleep(RETRY)
            else:
                self._spawn(self._connected(peer, str(address[0]), context))

    async def _connected(self, peer: socket.socket, address: str, context: ssl.SSLContext | None) -> None:
        """One connection, from its being accepted until it is lost."""
        connection = self._make()
        limit = HANDSHAKE if context else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, peer, ssl=context, ssl_handshake_timeout=limit
            )
            await connection.closed.wait()
        except OSError as error:  # of TLS too
            log.info("%s: no connection: %s", address, error)
        finally:
            self._free.release()
