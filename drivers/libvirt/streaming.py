"""libvirt's streams: their data from and to the task of an operation, a piece at a time.

A piece is as long as libvirt's own messages. Holes of a sparse stream are zeros to whoever gets it, and pieces of zeros are
sent as holes, so that an empty terabyte takes no time on the wire.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import libvirt

from agent.errors import Failed, VirtmapError
from drivers.libvirt.doing import Doing

PIECE = 256 * 1024 - 256
"""Bytes: what fits into one message of libvirt's protocol."""

HOLE = -3
"""What recvFlags answers at a hole."""

NOTHING = -2
"""What a stream that does not block answers when it has nothing, or takes nothing, just now."""

TURN = 0.02
"""Seconds between two looks at a session in which nothing moves. libvirt would call back, but such a callback may run while its
stream is being freed, which takes the process with it."""


def download(do: Doing, stream: Any, *, sparse: bool = False) -> None:
    """All that the stream gives, to the task. A task that fails, or is canceled, ends the stream."""
    do.task.on_cancel(lambda: do(stream.abort) and None)
    try:
        while part := _received(do, stream) if sparse else do(stream.recv, PIECE):
            do.task.send(part)
    except BaseException:
        _drop(stream)
        raise
    do(stream.finish)


def _received(do: Doing, stream: Any) -> bytes:
    """The next piece of a sparse stream: of a hole it is zeros, which are given to the task here but for the last of them."""
    got = do(stream.recvFlags, PIECE, libvirt.VIR_STREAM_RECV_STOP_AT_HOLE)
    if got != HOLE:
        return bytes(got)
    left = do(stream.recvHole, 0)
    zeros = bytes(PIECE)
    while left > PIECE:
        do.task.send(zeros)
        left -= PIECE
    return zeros[:left] if left else _received(do, stream)


def upload(do: Doing, stream: Any, *, sparse: bool = False) -> None:
    """All that the task has, to the stream; done when the hypervisor has taken it."""
    do.task.on_cancel(lambda: do(stream.abort) and None)
    try:
        while part := do.task.receive(PIECE):
            if sparse and not any(part):
                do(stream.sendHole, len(part), 0)
            else:
                _send(do, stream, part)
    except BaseException:
        _drop(stream)
        raise
    do(stream.finish)


def _send(do: Doing, stream: Any, part: bytes) -> None:
    while part:
        part = part[do(stream.send, part) :]


def _drop(stream: Any) -> None:
    try:
        stream.abort()
    except libvirt.libvirtError:
        return  # it has broken by itself


class End(Protocol):
    """The far end of a session. Neither method blocks."""

    def recv(self) -> bytes | None:
        """What has come, b"" at the end, None if nothing has."""

    def send(self, data: bytes) -> int:
        """How many of these bytes were taken."""


class StreamEnd:
    """A stream that does not block."""

    def __init__(self, do: Doing, stream: Any) -> None:
        self._do, self._stream = do, stream

    def recv(self) -> bytes | None:
        got = self._do(self._stream.recv, PIECE)
        return None if got == NOTHING else bytes(got)

    def send(self, data: bytes) -> int:
        return max(0, int(self._do(self._stream.send, data)))


class SocketEnd:
    """A socket that does not block."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def recv(self) -> bytes | None:
        try:
            return self._sock.recv(PIECE)
        except BlockingIOError:
            return None
        except OSError as error:
            raise Failed(f"the display: {error.strerror}") from error

    def send(self, data: bytes) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Failed(f"the display: {error.strerror}") from error


def session(do: Doing, end: End, seconds: float) -> None:
    """Both ways at once, until the far end is done, the time is over, the task is canceled, or its client has gone."""
    over = threading.Event()
    do.task.on_cancel(over.set)
    typed: queue.Queue[bytes] = queue.Queue(maxsize=16)
    threading.Thread(target=_listen, args=(do, typed, over), name="session-input", daemon=True).start()
    until = time.monotonic() + seconds
    pending = b""
    try:
        while not over.is_set() and time.monotonic() < until:
            got = end.recv()
            if got == b"":
                return
            if got:
                if not _told(do.task.send, got):
                    return
                continue
            if not pending and not typed.empty():
                pending = typed.get_nowait()
            sent = end.send(pending) if pending else 0
            pending = pending[sent:]
            if not sent:
                over.wait(TURN)
    finally:
        over.set()


def _told(send: Callable[[bytes], None], data: bytes) -> bool:
    """Whether the client still took it."""
    try:
        send(data)
    except VirtmapError:
        return False
    return True


def _listen(do: Doing, typed: queue.Queue[bytes], over: threading.Event) -> None:
    """What the client sends, until it ends, which ends no session: it may go on listening."""
    while not over.is_set():
        try:
            part = do.task.receive(4096)
        except VirtmapError:
            return
        if not part:
            return
        while not over.is_set():
            try:
                typed.put(part, timeout=1.0)
                break
            except queue.Full:
                continue
