"""SNMP over UDP (RFC 3417): datagrams in, answered at once or when their SET is done, datagrams out.

Sockets without a transport of asyncio: the loop tells that one is readable, and a batch is read and answered. A socket that
is bound to every address (0.0.0.0 or ::) answers from the address that was asked, because managers take no answer from
another one; that costs ancillary data with each datagram, so only such sockets ask for it.
"""

import asyncio
import functools
import logging
import socket
from collections.abc import Callable
from typing import Any

from agent.precedence import working
from agent.snmp.datagram import IP_PKTINFO, Datagrams, Held, Plain
from agent.snmp.exchange import Exchange

log = logging.getLogger("virtmap.snmp")

BATCH = 64
"""Datagrams that are answered before the loop gets its turn again."""

RECEIVE_BUFFER = 1 << 20


class UdpListener:
    """One socket. It listens from the moment it is made, in the running loop."""

    def __init__(self, exchange: Exchange, host: str, port: int) -> None:
        """OSError if the address cannot be bound."""
        self._exchange = exchange
        self._statistics = exchange.engine.statistics
        self._socket, wildcard = _bound(host, port)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._loop = asyncio.get_running_loop()
        plain, held = self._readable(Plain(self._socket, telling=wildcard)), self._readable(Held(self._socket))
        self._loop.add_reader(self._socket.fileno(), lambda: held() if working() else plain())

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _readable(self, datagrams: Datagrams) -> Callable[[], None]:
        """What the loop calls. Written for speed: a GET takes 15 microseconds, and each name that is looked up counts."""
        take, send = datagrams.receive, datagrams.send
        receive, refusals, tell = (
            self._exchange.engine.receive,
            self._exchange.engine.refusals,
            self._exchange.tell_refusals,
        )

        def readable() -> None:
            for _ in range(BATCH):
                try:
                    data = take()
                except OSError as error:  # an ICMP error of an earlier answer, told on the next call
                    log.debug("receive: %s", error)
                    return
                if data is None:
                    return
                source = datagrams.source
                answer = receive(data, source[0], source[1])
                if isinstance(answer, bytes):
                    try:
                        send(answer, datagrams.place, datagrams.asked)
                    except OSError as error:
                        self._unsent(source, error)
                elif answer is not None:
                    reply = functools.partial(self._send, datagrams, source, datagrams.place, datagrams.asked)
                    self._exchange.carry_out(answer, reply)
                if refusals:
                    tell()

        return readable

    def _send(self, datagrams: Datagrams, source: tuple[str, int], place: Any, asked: Any, answer: bytes) -> None:
        if self._socket.fileno() >= 0:
            try:
                datagrams.send(answer, place, asked)
            except OSError as error:
                self._unsent(source, error)

    def _unsent(self, source: tuple[str, int], error: OSError) -> None:
        """The manager asks again; an agent does not keep answers."""
        self._statistics.snmpSilentDrops += 1
        log.debug("send to %s: %s", source, error)


def _bound(host: str, port: int) -> tuple[socket.socket, bool]:
    """A bound socket, and whether it is bound to every address."""
    version_6 = ":" in host
    sock = socket.socket(socket.AF_INET6 if version_6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if version_6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setblocking(False)
        sock.bind((host, port))
        wildcard = sock.getsockname()[0] in ("0.0.0.0", "::")
        if wildcard and version_6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        elif wildcard:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    except OSError:
        sock.close()
        raise
    return sock, wildcard
