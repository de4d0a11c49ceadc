"""Datagrams that leave without the interpreter being let go.

Python's own sockets let other threads have the interpreter while the system takes a datagram, which is some microseconds. A thread
that computes meanwhile, and one does whenever something is read, then keeps it for a switch interval, a hundred times as long:
a storm of traps would spend its time waiting. The system call is therefore made with the interpreter held. It cannot block, for
the socket does not.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct

_libc = ctypes.PyDLL(None, use_errno=True)
_sendto = _libc.sendto
_sendto.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_sendto.restype = ctypes.c_ssize_t


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
