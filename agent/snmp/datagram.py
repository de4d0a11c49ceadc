"""Datagrams that come and leave, with the interpreter held or let go.

Python's own sockets let other threads have the interpreter while the system takes or gives a datagram, which is some
microseconds. A thread that computes meanwhile, and one does whenever something is read, then keeps it for a switch interval, a
hundred times as long: a manager would wait for that several times, and a storm of traps would spend its time waiting. So while
somebody computes these system calls are made with the interpreter held. They cannot block, for the sockets do not. It takes
some microseconds more, which is why it is not done always.

A socket that is bound to every address answers from the address that was asked: with each datagram the system tells which one
that was, as ancillary data, and is told so with the answer.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from typing import Any, Protocol

_libc = ctypes.PyDLL(None, use_errno=True)
_sendto = _libc.sendto
_sendto.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_sendto.restype = ctypes.c_ssize_t

LARGEST = 65_535
"""No datagram holds more octets, so none is ever cut."""

NAME = 28
"""Octets of the largest sockaddr: that of IPv6."""

CONTROL = 64
"""Octets of ancillary data: a socket that asks for one thing gets no more."""

HEADER = struct.Struct("@Nii")
"""struct cmsghdr: length with this header, level, kind."""

IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)
"""Linux's number, which Python names since 3.14 only."""

PKTINFO_4 = struct.Struct("=i4s4s")
"""struct in_pktinfo: interface, our address, the address in the header (that of a broadcast, maybe)."""

PKTINFO_6 = struct.Struct("=16si")
"""struct in6_pktinfo: address, interface."""

KEPT = 1024
"""Addresses, of others and of ours, of which it is remembered how they are written."""

Piece = tuple[int, int, bytes]
"""Level, kind and octets of a piece of ancillary data."""


def address(host: str, port: int) -> bytes:
    """The sockaddr of an IP address and port (ip(7), ipv6(7)). OSError if it is none, or names an interface that is not there."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV)
    family, _, _, _, place = found[0]
    packed = socket.inet_pton(family, str(place[0]).partition("%")[0])
    if family == socket.AF_INET:
        return struct.pack("=H", family) + struct.pack("!H", port) + packed + bytes(8)
    scope = place[3] if len(place) == 4 else 0
    return struct.pack("=H", family) + struct.pack("!HI", port, 0) + packed + struct.pack("=I", int(scope))


def send(descriptor: int, data: bytes, place: bytes) -> None:
    """Send one datagram by a socket that does not block, to a sockaddr. OSError as of sendto(2)."""
    if _sendto(descriptor, data, len(data), socket.MSG_DONTWAIT, place, len(place)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def host_and_port(place: bytes) -> tuple[str, int]:
    """The IP address and port of a sockaddr; the other way round than `address`."""
    (family,) = struct.unpack_from("=H", place)
    (port,) = struct.unpack_from("!H", place, 2)
    if family == socket.AF_INET:
        return socket.inet_ntop(family, place[4:8]), port
    (scope,) = struct.unpack_from("=I", place, 24)
    text = socket.inet_ntop(family, place[8:24])
    return socket.getnameinfo((text, port, 0, scope), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0], port


class Datagrams(Protocol):
    """Those of one socket, which does not block. Of the one that came last: `source` is the IP address and port that it came from,
    `place` the same as `send` takes it, and `asked` tells which of our addresses it went to, if the socket tells that."""

    source: tuple[str, int]
    place: Any
    asked: Any

    def receive(self) -> bytes | None:
        """The next one that came; None if none waits. OSError: an ICMP error of an earlier answer, say."""
        ...

    def send(self, data: bytes, place: Any, asked: Any) -> None:
        """Send one to a place, from the address that was asked. OSError if the system does not take it."""
        ...


class Plain:
    """By Python's sockets."""

    def __init__(self, sock: socket.socket, *, telling: bool) -> None:
        self._socket = sock
        self._telling = telling
        self._origins: dict[Piece, list[Piece]] = {}
        self.source: tuple[str, int] = ("", 0)
        self.place: Any = None
        self.asked: Piece | None = None

    def receive(self) -> bytes | None:
        try:
            if not self._telling:
                data, place = self._socket.recvfrom(LARGEST)
            else:
                data, told, _, place = self._socket.recvmsg(LARGEST, CONTROL)
                self.asked = told[0] if told else None
        except (BlockingIOError, InterruptedError):
            return None
        self.place, self.source = place, place[:2]
        return data

    def send(self, data: bytes, place: Any, asked: Piece | None) -> None:
        if asked is None:
            self._socket.sendto(data, place)
            return
        origin = self._origins.get(asked)
        if origin is None:
            if len(self._origins) >= KEPT:
                self._origins.clear()
            found = origin_of(asked)
            origin = self._origins[asked] = [] if found is None else [found]
        self._socket.sendmsg((data,), origin, 0, place)


class _Part(ctypes.Structure):
    """struct iovec"""

    _fields_ = (("start", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct msghdr"""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("parts", ctypes.POINTER(_Part)),
        ("count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


_recvmsg, _sendmsg = _libc.recvmsg, _libc.sendmsg
for _call in (_recvmsg, _sendmsg):
    _call.argtypes = (ctypes.c_int, ctypes.POINTER(_Message), ctypes.c_int)
    _call.restype = ctypes.c_ssize_t


class Held:
    """With the interpreter held."""

    def __init__(self, sock: socket.socket) -> None:
        self._descriptor = sock.fileno()
        self._octets = ctypes.create_string_buffer(LARGEST)
        self._name = ctypes.create_string_buffer(NAME)
        self._control = ctypes.create_string_buffer(CONTROL)
        self._part = _Part(ctypes.addressof(self._octets), LARGEST)
        self._message = _Message(
            ctypes.addressof(self._name),
            NAME,
            ctypes.pointer(self._part),
            1,
            ctypes.addressof(self._control),
            CONTROL,
            0,
        )
        self._pointer = ctypes.pointer(self._message)
        self._sources: dict[bytes, tuple[str, int]] = {}
        self._origins: dict[bytes, bytes] = {b"": b""}
        self.source: tuple[str, int] = ("", 0)
        self.place = b""
        self.asked = b""

    def receive(self) -> bytes | None:
        message = self._message
        message.name_length, message.control_length = NAME, CONTROL
        size = _recvmsg(self._descriptor, self._pointer, socket.MSG_DONTWAIT)
        if size < 0:
            number = ctypes.get_errno()
            if number in (errno.EAGAIN, errno.EINTR):
                return None
            raise OSError(number, os.strerror(number))
        self.place = place = self._name.raw[: message.name_length]
        self.asked = self._control.raw[: message.control_length] if message.control_length else b""
        source = self._sources.get(place)
        if source is None:
            if len(self._sources) >= KEPT:
                self._sources.clear()
            source = self._sources[place] = host_and_port(place)
        self.source = source
        return ctypes.string_at(self._octets, size)

    def send(self, data: bytes, place: bytes, asked: bytes) -> None:
        origin = self._origins.get(asked)
        if origin is None:
            if len(self._origins) >= KEPT:
                self._origins.clear()
            told = uncontrolled(asked)
            found = None if told is None else origin_of(told)
            origin = self._origins[asked] = b"" if found is None else controlled(found)
        if not origin:
            send(self._descriptor, data, place)
            return
        octets, name, control = map(ctypes.create_string_buffer, (data, place, origin))
        part = _Part(ctypes.addressof(octets), len(data))
        message = _Message(
            ctypes.addressof(name), len(place), ctypes.pointer(part), 1, ctypes.addressof(control), len(origin), 0
        )
        if _sendmsg(self._descriptor, ctypes.pointer(message), socket.MSG_DONTWAIT) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def controlled(piece: Piece) -> bytes:
    """A piece of ancillary data as the system takes it (cmsg(3))."""
    level, kind, data = piece
    return (HEADER.pack(HEADER.size + len(data), level, kind) + data).ljust(socket.CMSG_SPACE(len(data)), b"\0")


def uncontrolled(control: bytes) -> Piece | None:
    """The first piece of what the system gave; None if there is none."""
    if len(control) < HEADER.size:
        return None
    length, level, kind = HEADER.unpack_from(control)
    return level, kind, control[HEADER.size : length]


def origin_of(asked: Piece) -> Piece | None:
    """The ancillary data that makes an answer leave from where its request went; None if that cannot be told.

    The interface is left to the routes, but for link-local addresses, which mean nothing without theirs.
    """
    level, kind, data = asked
    if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and len(data) == PKTINFO_4.size:
        _, ours, _ = PKTINFO_4.unpack(data)
        return level, kind, PKTINFO_4.pack(0, ours, bytes(4))
    if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(data) == PKTINFO_6.size:
        address, interface = PKTINFO_6.unpack(data)
        if address[0] != 0xFF:  # multicast: nobody answers from there
            return level, kind, PKTINFO_6.pack(address, interface if address[:2] == b"\xfe\x80" else 0)
    return None
