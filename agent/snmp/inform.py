"""The queues of informs, and the thread in which they are sent: the loop that answers managers never waits for one.

Each target has a queue of bounded length: when it is full, the oldest inform goes. A target that answers has several on
their way at once, one that does not has a single one, and its queue fills meanwhile. Informs leave in order; one that has
to be sent again arrives behind those that followed it.

What is sent is laid down when the notice is given: sysUpTime tells when it happened, not when it was sent.
"""

import asyncio
import enum
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.snmp.notifications import Counters, Target

if TYPE_CHECKING:
    from agent.snmp.originator import Originator

log = logging.getLogger("virtmap.notifications")

QUEUE = 1000
"""Informs that wait for a target at most."""

WINDOW = 8
"""Informs on their way at once to a target that answers."""

RENEWED_EACH = 30.0
"""Seconds between two times that a receiver's engine is forgotten: what pysnmp leaves behind is a megabyte, and goes late."""

ENDING = 1.0
"""Seconds in which the thread has to come to its end, when it is told to."""


class Outcome(enum.Enum):
    """What became of an inform."""

    ACKNOWLEDGED = "acknowledged"
    UNANSWERED = "not answered"
    REFUSED = "refused"


class Inform(NamedTuple):
    """The contents of a list of variable bindings, and the name of the context they are of."""

    bindings: bytes
    context: str


class Queue:
    """What waits for one target. Filled by the loop's thread, emptied by the informs' own."""

    def __init__(self, target: Target, counters: Counters, limit: int = QUEUE) -> None:
        self.target = target
        self.counters = counters
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: deque[Inform] = deque()
        self._taken = 0

    def put(self, inform: Inform) -> None:
        with self._lock:
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self.counters.dropped += 1
            self._waiting.append(inform)

    def take(self) -> Inform | None:
        """The oldest one, None if nothing waits. `done` is to be called when it has come to its end."""
        with self._lock:
            if not self._waiting:
                return None
            self._taken += 1
            return self._waiting.popleft()

    def done(self) -> None:
        with self._lock:
            self._taken -= 1

    @property
    def idle(self) -> bool:
        with self._lock:
            return not self._waiting and not self._taken

    def __len__(self) -> int:
        return len(self._waiting)


class Informer:
    """Sends informs from a thread of its own. `serve`, `put` and `stop` are for the loop's thread."""

    def __init__(self, engine_id: bytes) -> None:
        self._engine_id = engine_id
        self._queues: dict[Target, Queue] = {}
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_unexpected)
        self._channels: dict[Queue, _Channel] = {}
        self._ended = threading.Event()
        self._on_end: list[Callable[[], None]] = []
        self._stopping = False
        threading.Thread(target=self._run, name="virtmap-informs", daemon=True).start()

    def serve(self, wanting: Mapping[Target, Counters]) -> None:
        """These targets from now on. What waits for others goes."""
        for target in self._queues.keys() - wanting.keys():
            queue = self._queues.pop(target)
            self._ask(partial(self._close, queue))
        for target in wanting.keys() - self._queues.keys():
            queue = self._queues[target] = Queue(target, wanting[target])
            self._ask(partial(self._open, queue))

    def put(self, target: Target, bindings: bytes, context: str) -> None:
        """Queue an inform for a target that is served."""
        queue = self._queues[target]
        queue.put(Inform(bindings, context))
        self._ask(partial(self._wake, queue))

    def waiting(self, target: Target) -> int:
        """How many informs wait for this target; those on their way are not counted."""
        return len(self._queues[target])

    async def stop(self, limit: float) -> None:
        """Give what is queued some seconds, then end the thread; if it does not end, it is left, and ends with the process."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended.set)

        self._on_end.append(tell)
        self._ask(partial(self._finish, limit))
        try:
            async with asyncio.timeout(limit + ENDING):
                await ended.wait()
        except TimeoutError:
            log.warning("the thread that sends informs does not end, and is left")

    def _ask(self, do: Callable[[], Any]) -> None:
        if not self._ended.is_set():
            self._loop.call_soon_threadsafe(do)

    # --- in the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
            self._ended.set()
            self._loop.close()
            for tell in self._on_end:
                tell()

    def _open(self, queue: Queue) -> None:
        self._channels[queue] = _Channel(queue, self._engine_id)

    def _close(self, queue: Queue) -> None:
        self._channels.pop(queue).close()

    def _wake(self, queue: Queue) -> None:
        if queue in self._channels:
            self._channels[queue].wake()

    def _finish(self, limit: float) -> None:
        task = self._loop.create_task(self._finished(limit))
        task.add_done_callback(lambda _: self._loop.stop())

    async def _finished(self, limit: float) -> None:
        channels = list(self._channels.values())
        waits = [asyncio.ensure_future(c.emptied()) for c in channels]
        if waits:
            _, late = await asyncio.wait(waits, timeout=limit)
            for wait in late:
                wait.cancel()
        for channel in channels:
            channel.close()
        await asyncio.sleep(0)  # transports close in the next turn of the loop
        await asyncio.sleep(0)


class _Channel:
    """The way to one target, in the informs' thread."""

    def __init__(self, queue: Queue, engine_id: bytes) -> None:
        self._queue = queue
        self._engine_id = engine_id
        self._originator: Originator | None = None
        self._retired: list[Originator] = []
        self._renewed_at = -math.inf
        self._more = asyncio.Event()
        self._changed = asyncio.Event()
        self._flying: set[asyncio.Task[None]] = set()
        self._answering: bool | None = None
        self._task = asyncio.get_running_loop().create_task(self._work())
        self._task.add_done_callback(self._stopped)

    def wake(self) -> None:
        self._more.set()

    def close(self) -> None:
        self._task.cancel()
        for task in self._flying:
            task.cancel()
        if self._originator is not None:
            self._originator.close()
        self._close_retired()

    def _close_retired(self) -> None:
        while self._retired:
            self._retired.pop().close()

    async def emptied(self) -> None:
        """When nothing waits and nothing is on its way."""
        while not self._queue.idle:
            self._changed.clear()
            await self._changed.wait()

    async def _work(self) -> None:
        self._originator = self._new()
        while True:
            while len(self._flying) >= (WINDOW if self._answering else 1):
                await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
            inform = self._queue.take()
            if inform is None:
                self._more.clear()
                await self._more.wait()
                continue
            task = asyncio.ensure_future(self._send(inform))
            self._flying.add(task)
            task.add_done_callback(self._landed)

    def _stopped(self, task: "asyncio.Task[None]") -> None:
        """Nothing more leaves here. That is a fault unless it was closed: the queue runs over, and this line says why."""
        if not task.cancelled() and (error := task.exception()):
            log.error("target %s: informs cannot be sent", self._queue.target.name, exc_info=error)

    def _landed(self, task: "asyncio.Task[None]") -> None:
        self._flying.discard(task)
        if not self._flying:
            self._close_retired()
        self._queue.done()
        self._changed.set()
        if not task.cancelled() and (error := task.exception()):
            self._queue.counters.lost += 1
            log.error("target %s: a fault of the agent", self._queue.target.name, exc_info=error)

    async def _send(self, inform: Inform) -> None:
        counters = self._queue.counters
        counters.sent += 1
        outcome, why = await self._tried(inform)
        self._tell(outcome is Outcome.ACKNOWLEDGED, why)
        match outcome:
            case Outcome.ACKNOWLEDGED:
                counters.acknowledged += 1
            case Outcome.UNANSWERED:
                counters.unanswered += 1
            case Outcome.REFUSED:
                counters.refused += 1

    async def _tried(self, inform: Inform) -> tuple[Outcome, str]:
        """What becomes of an inform.

        pysnmp goes on believing in an engine ID that it has once discovered. A receiver that was installed anew has
        another one, and so who does not answer is discovered anew; if he has answered before, for this inform already.
        """
        originator = self._originator or self._new()
        outcome, why = await originator.send(*inform)
        if outcome is Outcome.ACKNOWLEDGED or not originator.discovered:
            return outcome, why
        renewed = self._renewed(originator)
        if renewed is originator or not originator.trusted:
            return outcome, why
        return await renewed.send(*inform)

    def _new(self) -> "Originator":
        from agent.snmp.originator import Originator  # pysnmp comes with it; here it is only this thread that waits

        return Originator(self._queue.target, self._engine_id)

    def _renewed(self, originator: "Originator") -> "Originator":
        """One that knows nothing yet, in place of this one, unless that was done a moment ago."""
        now = time.monotonic()
        if self._originator is originator and now - self._renewed_at > RENEWED_EACH:
            self._retired.append(originator)
            self._originator, self._renewed_at = self._new(), now
        return self._originator or originator

    def _tell(self, answering: bool, why: str) -> None:
        """Into the log, when it changes."""
        if not answering and self._answering is not False:
            log.warning("target %s: informs are not acknowledged: %s", self._queue.target.name, why)
        elif answering and self._answering is False:
            log.info("target %s: informs are acknowledged again", self._queue.target.name)
        self._answering = answering


def _unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What pysnmp could not make sense of, most likely a datagram that was no answer."""
    log.debug("informs: %s: %r", context.get("message"), context.get("exception"))
