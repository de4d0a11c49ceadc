"""Worker threads for calls that block, and may hang for ever: nobody waits longer than the limit, not even at exit.

Threads are daemons and counted. A call that passes its limit, or whose caller is cancelled, is abandoned: its thread no
longer counts among the working ones, and when the call does return, its result is dropped and the thread works on.

The loop's thread is scheduled before those that work for it, where they share a processor.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from agent.errors import Busy
from agent.scheduling import become_batch, working

T = TypeVar("T")

Late = Callable[[BaseException | None], None]
"""Is told, in the loop's thread, how a call ended that nobody waited for any more: None, or its error."""


class NoAnswer(Busy):
    """The call was begun, or stood in line, and its limit passed: it may or may not still be done."""


class _Call:
    """One call on its way: what to do, and where to leave the outcome."""

    __slots__ = ("abandoned", "do", "ended", "future", "late", "loop", "started")

    def __init__(self, do: Callable[[], Any], loop: asyncio.AbstractEventLoop, late: "Late | None") -> None:
        self.do = do
        self.late = late
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.started = False
        self.ended = False
        self.abandoned = False


class Workers:
    """At most `size` threads at work, and at most `size * 4` more that hang in abandoned calls."""

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._lock = threading.Condition()
        self._waiting: deque[_Call] = deque()
        self._threads = 0
        self._idle = 0
        self._hanging = 0
        self._closed = False

    @property
    def hanging(self) -> int:
        """Threads that are still in a call nobody waits for."""
        return self._hanging

    async def run(self, do: Callable[[], T], *, limit: float, what: str, late: Late | None = None) -> T:
        """The result of `do()`, from a thread. NoAnswer when `limit` seconds pass first, naming `what` was asked; `late` is told
        if it ends after that.

        Busy at once when too many earlier calls hang.
        """
        call = _Call(do, asyncio.get_running_loop(), late)
        try:
            with working():
                self._submit(call, what)
                if not await self._ended(call, limit) and self._abandon(call):
                    raise NoAnswer(f"{what}: no answer within {limit:g} s")
                result: T = await call.future  # it has ended: its outcome is here, or on its way
            return result
        finally:
            del call

    async def _ended(self, call: _Call, limit: float) -> bool:
        """Wait until the call has ended, or for so many seconds; whether it has. Abandoned if the caller is cancelled."""
        try:
            done, _ = await asyncio.wait([call.future], timeout=limit)
        except asyncio.CancelledError:
            self._abandon(call)
            raise
        return bool(done)

    def close(self) -> None:
        """Idle threads end; busy ones end after their call, or with the process."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    def _submit(self, call: _Call, what: str) -> None:
        with self._lock:
            if self._hanging >= self._size * 4:
                raise Busy(f"{what}: {self._hanging} earlier calls still hang")
            self._waiting.append(call)
            if self._idle >= len(self._waiting):
                self._lock.notify()
            elif self._threads - self._hanging < self._size:
                self._begin()

    def _begin(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()

    def _abandon(self, call: _Call) -> bool:
        """Whether the call was still going on, or waiting; it is nobody's then."""
        with self._lock:
            if call.ended:
                return False
            call.abandoned = True
            if not call.started:
                self._waiting.remove(call)
                return True
            self._hanging += 1
            if self._waiting:  # somebody waited for this thread; another one takes its place
                self._begin()
            return True

    def _next(self) -> _Call | None:
        with self._lock:
            while True:
                if self._threads - self._hanging > self._size:  # it hung, and another one took its place
                    self._threads -= 1
                    return None
                if self._waiting:
                    call = self._waiting.popleft()
                    call.started = True
                    return call
                if self._closed:
                    self._threads -= 1
                    return None
                self._idle += 1
                self._lock.wait()
                self._idle -= 1

    def _work(self) -> None:
        become_batch()
        while (call := self._next()) is not None:
            self._carry_out(call)
            del call  # an idle thread must not keep what its last call worked on, a whole snapshot maybe

    def _carry_out(self, call: _Call) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = call.do()
        except BaseException as raised:  # noqa: BLE001 - it is handed to whoever asked, unless nobody waits any more
            error = raised
        try:
            self._hand_over(call, result, error)
        finally:
            del call, result, error

    def _hand_over(self, call: _Call, result: Any, error: BaseException | None) -> None:
        with self._lock:
            call.ended = True
            if call.abandoned:
                self._hanging -= 1
            tell = call.late if call.abandoned else partial(_settle, call.future, result)
        if tell is None:
            return
        try:
            call.loop.call_soon_threadsafe(tell, error)
        except RuntimeError:  # the loop was closed meanwhile: nobody waits for anything any more
            return


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
        future.exception()  # it counts as seen even when the caller was cancelled meanwhile
