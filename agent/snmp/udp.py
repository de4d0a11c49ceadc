"""SNMP over UDP (RFC 3417): datagrams in, answered at once or when their SET is done, datagrams out.

Sockets without a transport of asyncio: the loop tells that one is readable, and a batch is read and answered. A socket that
is bound to every address (0.0.0.0 or ::) answers from the address that was asked, because managers take no answer from
another one; that costs ancillary data with each datagram, so only such sockets ask for it.
"""

import asyncio
import functools
import logging
import socket
import struct
from collections.abc import Callable
from typing import Any

from agent.snmp.exchange import Exchange

log = logging.getLogger("virtmap.snmp")

BATCH = 64
"""Datagrams that are answered before the loop gets its turn again."""

BUFFER = 65_535
"""No datagram holds more, so none is ever cut."""

RECEIVE_BUFFER = 1 << 20

IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
"""Linux's number, which Python names since 3.14 only."""

PKTINFO_4 = struct.Struct("=i4s4s")
"""struct in_pktinfo: interface, our address, the address in the header (that of a broadcast, maybe)."""

PKTINFO_6 = struct.Struct("=16si")
"""struct in6_pktinfo: address, interface."""

ANCILLARY = socket.CMSG_SPACE(max(PKTINFO_4.size, PKTINFO_6.size))

Ancillary = list[tuple[int, int, bytes]]
"""Level, kind and octets of each piece of ancillary data."""

ORIGINS = 256
"""Addresses of ours for which the ancillary data of answers is remembered."""


class UdpListener:
    """One socket. It listens from the moment it is made, in the running loop."""

    def __init__(self, exchange: Exchange, host: str, port: int) -> None:
        """OSError if the address cannot be bound."""
        self._exchange = exchange
        self._statistics = exchange.engine.statistics
        self._socket, wildcard = _bound(host, port)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._asked() if wildcard else self._readable())

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _readable(self) -> Callable[[], None]:
        """What the loop calls. Written for speed: a GET takes 15 microseconds, and each name that is looked up counts."""
        recvfrom, sendto = self._socket.recvfrom, self._socket.sendto
        receive, refusals, tell = (
            self._exchange.engine.receive,
            self._exchange.engine.refusals,
            self._exchange.tell_refusals,
        )

        def readable() -> None:
            for _ in range(BATCH):
                try:
                    data, source = recvfrom(BUFFER)
                except (BlockingIOError, InterruptedError):
                    return
                except OSError as error:  # an ICMP error of an earlier answer, told on the next call
                    log.debug("receive: %s", error)
                    return
                answer = receive(data, source[0], source[1])
                if isinstance(answer, bytes):
                    try:
                        sendto(answer, source)
                    except OSError as error:
                        self._unsent(source, error)
                elif answer is not None:
                    self._exchange.carry_out(answer, functools.partial(self._send, source))
                if refusals:
                    tell()

        return readable

    def _asked(self) -> Callable[[], None]:
        """What the loop calls for a socket that is bound to every address."""
        recvmsg, sendmsg = self._socket.recvmsg, self._socket.sendmsg
        receive, refusals, tell = (
            self._exchange.engine.receive,
            self._exchange.engine.refusals,
            self._exchange.tell_refusals,
        )
        origins: dict[bytes, Ancillary] = {}

        def readable() -> None:
            for _ in range(BATCH):
                try:
                    data, ancillary, _flags, source = recvmsg(BUFFER, ANCILLARY)
                except (BlockingIOError, InterruptedError):
                    return
                except OSError as error:
                    log.debug("receive: %s", error)
                    return
                answer = receive(data, source[0], source[1])
                if answer is not None:
                    asked = ancillary[0][2] if ancillary else b""
                    origin = origins.get(asked)
                    if origin is None:
                        if len(origins) >= ORIGINS:
                            origins.clear()
                        origin = origins[asked] = _origin(ancillary)
                    if isinstance(answer, bytes):
                        try:
                            sendmsg((answer,), origin, 0, source)
                        except OSError as error:
                            self._unsent(source, error)
                    else:
                        self._exchange.carry_out(answer, functools.partial(self._send_from, source, origin))
                if refusals:
                    tell()

        return readable

    def _send(self, source: Any, answer: bytes) -> None:
        if self._socket.fileno() >= 0:
            try:
                self._socket.sendto(answer, source)
            except OSError as error:
                self._unsent(source, error)

    def _send_from(self, source: Any, origin: Ancillary, answer: bytes) -> None:
        if self._socket.fileno() >= 0:
            try:
                self._socket.sendmsg((answer,), origin, 0, source)
            except OSError as error:
                self._unsent(source, error)

    def _unsent(self, source: Any, error: OSError) -> None:
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


def _origin(ancillary: Ancillary) -> Ancillary:
    """The ancillary data that makes an answer leave from where its request went; empty if that cannot be told.

    The interface is left to the routes, but for link-local addresses, which mean nothing without theirs.
    """
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and len(data) == PKTINFO_4.size:
            _, ours, _ = PKTINFO_4.unpack(data)
            return [(level, kind, PKTINFO_4.pack(0, ours, bytes(4)))]
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) == PKTINFO_6.size:
            asked, interface = PKTINFO_6.unpack(data)
            if asked[0] == 0xFF:  # multicast: nobody answers from there
                return []
            return [(level, kind, PKTINFO_6.pack(asked, interface if asked[:2] == b"\xfe\x80" else 0))]
    return []
