"""Data that operations move: between a hypervisor's stream, in a worker thread, and a client of ours, in the event loop.

An operation that moves data names a file of the spool directory, or is given an address: a path on our own WBEM server
with a token that is good for one use and for a few minutes. The operation waits until the client comes to that address;
then bytes flow through a pipe that holds little, so that a volume of a terabyte costs no memory, and the slower end sets
the pace.
"""

import asyncio
import hashlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.errors import Failed, Invalid

PATH = "/transfer/"
"""Beneath which the addresses of transfers are."""

HELD = 1024 * 1024
"""Bytes that one direction of a pipe holds."""

STALL = 60.0
"""Seconds after which an end that neither gives nor takes is given up."""

WAIT = 300.0
"""Seconds in which a client has to come for its transfer."""

MOST = 64
"""Transfers that may wait for their clients."""


class Flow:
    """One direction: bytes in, bytes out, in order. The thread's methods block, the loop's are coroutines."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._broken: str | None = None
        self._turn = threading.Condition()
        self._stirred = asyncio.Event()
        self.passed = 0
        """Bytes that were taken out."""

    # --- in any thread

    def end(self) -> None:
        """There is no more."""
        with self._turn:
            self._ended = True
            self._turn.notify_all()
        self._stir()

    def break_off(self, why: str) -> None:
        """One of the ends has gone: both learn of it at once."""
        with self._turn:
            if self._broken is None and not (self._ended and not self._parts):
                self._broken = why
            self._turn.notify_all()
        self._stir()

    def _stir(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stirred.set)

    def _take(self, most: int) -> bytes | None:
        """Bytes if there are any, b"" at the end, None if there are none yet; called with the lock."""
        if self._broken is not None:
            raise Failed(self._broken)
        if not self._parts:
            return b"" if self._ended else None
        part = self._parts.popleft()
        if len(part) > most:
            self._parts.appendleft(part[most:])
            part = part[:most]
        self._size -= len(part)
        self.passed += len(part)
        return part

    # --- in a worker thread

    def put(self, data: bytes) -> None:
        """Give bytes; blocks while the other end is behind. Failed when it has gone, or takes nothing for long."""
        with self._turn:
            ready = self._turn.wait_for(lambda: self._size < HELD or self._broken is not None, timeout=STALL)
            if self._broken is not None:
                raise Failed(self._broken)
            if not ready:
                raise Failed(f"nobody took the data for {STALL:g} s")
            self._parts.append(data)
            self._size += len(data)
        self._stir()

    def take(self, most: int) -> bytes:
        """Get bytes, none at the end; blocks while there are none."""
        with self._turn:
            while (part := self._take(most)) is None:
                if not self._turn.wait(timeout=STALL):
                    raise Failed(f"nobody sent any data for {STALL:g} s")
            self._turn.notify_all()
        self._stir()
        return part

    # --- in the loop

    async def feed(self, data: bytes) -> None:
        """As `put`."""
        while True:
            with self._turn:
                if self._broken is not None:
                    raise Failed(self._broken)
                if self._size < HELD:
                    self._parts.append(data)
                    self._size += len(data)
                    self._turn.notify_all()
                    return
                self._stirred.clear()
            await self._stirred.wait()

    async def get(self, most: int) -> bytes:
        """As `take`, but waits as long as it takes."""
        while True:
            with self._turn:
                part = self._take(most)
                if part is not None:
                    self._turn.notify_all()
                    return part
                self._stirred.clear()
            await self._stirred.wait()


@dataclass(frozen=True, kw_only=True)
class Range:
    """What part of the data a client wants: from byte `first` on, up to and with byte `last` where that is told."""

    first: int = 0
    last: int | None = None


@dataclass(kw_only=True, eq=False)
class Ticket:
    """One transfer that a client was given an address for. `down` says that data comes from the hypervisor, `up` that it
    goes there."""

    token: str
    loop: asyncio.AbstractEventLoop
    down: bool
    up: bool
    due: float
    what: str
    inward: Flow
    outward: Flow
    partial: bool
    """Whether a part of the data can be asked for."""
    came: asyncio.Event = field(default_factory=asyncio.Event)
    range: Range = field(default_factory=Range)
    size: "asyncio.Future[int | None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """How many bytes will come, as soon as that is known; None once it is clear that nobody knows."""
    sending: bool = False
    """Whether a client is sending data just now."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    failed: str | None = None

    def begin(self, wanted: Range | None) -> None:
        """The client is here, and wants this part."""
        self.range = wanted or Range()
        self.sending = not self.down
        self.came.set()

    def joined(self) -> None:
        """The client of a session sends input; the first to come begins the session."""
        self.sending = True
        self.came.set()

    def expect(self, size: int | None) -> None:
        """So many bytes will come; told in any thread."""
        self.loop.call_soon_threadsafe(self._sized, size)

    def _sized(self, size: int | None) -> None:
        if not self.size.done():
            self.size.set_result(size)

    def call_off(self) -> None:
        """It is not wanted any more; told in any thread."""
        for flow in (self.outward, self.inward):
            flow.break_off("the transfer was canceled")
        self.loop.call_soon_threadsafe(self.came.set)

    def finished(self, why: str | None) -> None:
        """The operation is over; `why` if it failed."""
        self.failed = why
        if why is None:
            self.outward.end()
            self.inward.break_off("the operation has ended")
        else:
            self.outward.break_off(why)
            self.inward.break_off(why)
        self._sized(None)
        self.ended.set()


class Transfers:
    """The transfers that wait for their clients. Lives in the loop's thread. `base` gives what comes before the path of an
    address; None while there is no server that could be asked."""

    def __init__(self) -> None:
        self.base: Callable[[], str | None] = lambda: None
        self._waiting: dict[bytes, Ticket] = {}

    def issue(self, what: str, *, down: bool, up: bool, partial: bool) -> tuple[Ticket, str]:
        """A new transfer, and its address. Invalid where there can be none."""
        base = self.base()
        if base is None:
            raise Invalid(
                f"{what}: it needs a file of the spool directory: there is no HTTPS server that could give an address"
            )
        now = time.monotonic()
        self._waiting = {key: each for key, each in self._waiting.items() if each.due > now}
        if len(self._waiting) >= MOST:
            raise Invalid(f"{what}: {MOST} transfers wait for their clients already")
        loop = asyncio.get_running_loop()
        token = secrets.token_urlsafe(32)
        ticket = Ticket(
            token=token,
            loop=loop,
            down=down,
            up=up,
            due=now + WAIT,
            what=what,
            inward=Flow(loop),
            outward=Flow(loop),
            partial=partial,
        )
        self._waiting[_digest(token)] = ticket
        return ticket, f"{base}{PATH}{token}"

    def known(self, token: str) -> Ticket | None:
        """The transfer of this token, without using it up."""
        found = self._waiting.get(_digest(token))
        return found if found is not None and found.due > time.monotonic() else None

    def redeem(self, token: str) -> Ticket | None:
        """The transfer of this token, which is used up by it; None if there is none, or not any more."""
        found = self._waiting.pop(_digest(token), None)
        return found if found is not None and found.due > time.monotonic() else None

    def withdraw(self, ticket: Ticket) -> None:
        """Nobody may come for it any more."""
        self._waiting.pop(_digest(ticket.token), None)


def _digest(token: str) -> bytes:
    """What tokens are kept by: looking one up takes as long whatever it has in common with another one."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
