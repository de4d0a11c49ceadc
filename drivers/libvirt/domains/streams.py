"""Operations on a domain that move data: screenshots, consoles, channels, displays, memory."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

import libvirt

from agent.errors import Unreachable, VirtmapError
from agent.model import domain_streams as on
from agent.schema.declare import Row
from drivers.libvirt.doing import Actions, Asked, Doing, Outs
from drivers.libvirt.streaming import SocketEnd, StreamEnd, download, session
from drivers.libvirt.symbols import flags, number


def _screenshot(do: Doing, domain: Any, operation: on.Screenshot) -> Outs:
    stream = do(do.virt.newStream, 0)
    kind = do(domain.screenshot, stream, operation.screen, 0)
    download(do, stream)
    return {"mime_type": kind}


def _console(do: Doing, domain: Any, operation: on.OpenConsole) -> None:
    stream = do(do.virt.newStream, libvirt.VIR_STREAM_NONBLOCK)
    do(domain.openConsole, operation.device or None, stream, flags(operation.flags))
    _talk(do, stream, operation.seconds)


def _channel(do: Doing, domain: Any, operation: on.OpenChannel) -> None:
    stream = do(do.virt.newStream, libvirt.VIR_STREAM_NONBLOCK)
    do(domain.openChannel, operation.device or None, stream, flags(operation.flags))
    _talk(do, stream, operation.seconds)


def _talk(do: Doing, stream: Any, seconds: int) -> None:
    try:
        session(do, StreamEnd(do, stream), seconds)
    finally:
        try:
            do(stream.abort)
        except Unreachable:
            raise
        except VirtmapError:  # it ended by itself
            pass


def _graphics(do: Doing, domain: Any, operation: on.OpenGraphics) -> None:
    descriptor = do(domain.openGraphicsFD, operation.display, flags(operation.flags))
    with socket.socket(fileno=descriptor) as display:
        display.setblocking(False)
        session(do, SocketEnd(display), operation.seconds)


def _memory(do: Doing, domain: Any, operation: on.PeekMemory) -> Outs:
    return {"data": do(domain.memoryPeek, operation.start, operation.size, number(operation.kind.libvirt) or 0)}


def _disk(do: Doing, domain: Any, operation: on.PeekDisk) -> Outs:
    return {"data": do(domain.blockPeek, do.key[-1], operation.offset, operation.size, 0)}


ACTIONS: Actions = {
    on.Screenshot: _screenshot,
    on.OpenConsole: _console,
    on.OpenChannel: _channel,
    on.OpenGraphics: _graphics,
    on.PeekMemory: _memory,
    on.PeekDisk: _disk,
}


def details(asked: Asked) -> Iterable[Row]:
    """There are none: what moves is not kept."""
    return ()
