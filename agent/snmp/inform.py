"""The queues of informs, and the thread in which they are sent: the loop that answers managers never waits for one.

Each target has a queue of bounded length: when it is full, the oldest inform goes. Informs leave in order. A target that
answers has several on their way at once, but of what tells of one object only one: that arrives in order too. A target
that does not answer is asked again for as long as its informs are good, the oldest first, after a pause that grows from
FIRST_PAUSE to LONGEST_PAUSE. An inform ends when it is acknowledged or refused, or has waited for the expiry of its
target. What waits is on the disk too (agent/snmp/outbox.py), and goes on with the next start of the agent.

What is sent is laid down when the notice is given: sysUpTime tells when it happened, not when it was sent. A receiver whose
acknowledgement was lost is told again, and so is one when the agent was killed at the wrong moment.
"""

import asyncio
import enum
import logging
import math
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from agent.journal import passed
from agent.scheduling import become_batch
from agent.snmp.notifications import Counters, Target
from agent.snmp.outbox import Inform, Outbox

if TYPE_CHECKING:
    from agent.snmp.originator import Originator

log = logging.getLogger("virtmap.notifications")

WINDOW = 8
"""Informs on their way at once to a target that answers."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds until a target that did not answer is tried again, the first time and however often it did not."""

JITTER = 0.25
"""How much of a pause chance may add, lest all agents come back to a receiver together."""

RENEWED_EACH = 30.0
"""Seconds between two times that a receiver's engine is forgotten: what pysnmp leaves behind is a megabyte, and goes late."""

ENDING = 1.0
"""Seconds in which the thread has to come to its end, when it is told to."""


class Outcome(enum.Enum):
    """What became of an inform."""

    ACKNOWLEDGED = "acknowledged"
    UNANSWERED = "not answered"
    REFUSED = "refused"


class Queue:
    """What waits for one target. Filled by the loop's thread, emptied by the informs' own."""

    def __init__(self, target: Target, counters: Counters) -> None:
        self.target = target
        self.counters = counters
        self._lock = threading.Lock()
        self._waiting: OrderedDict[int, Inform] = OrderedDict()  # by place, with those that are on their way
        self._flying: dict[int, Inform] = {}
        self._tried: set[int] = set()

    def put(self, inform: Inform) -> list[Inform]:
        """Gives those that had to go for it."""
        with self._lock:
            dropped = []
            while len(self._waiting) - len(self._flying) >= self.target.queue:
                dropped.append(self._forget(next(p for p in self._waiting if p not in self._flying)))
            self._waiting[inform.place] = inform
            self.counters.dropped += len(dropped)
            return dropped

    def take(self) -> Inform | None:
        """The oldest one, None if nothing waits, or it has to wait for another that tells of the same. `done` or `back` is to
        be called when it has come to its end."""
        with self._lock:
            one = next((i for i in self._waiting.values() if i.place not in self._flying), None)
            if one is None or (one.context, one.subject) in {(f.context, f.subject) for f in self._flying.values()}:
                return None
            self._flying[one.place] = one
            if one.place not in self._tried:
                self._tried.add(one.place)
                self.counters.sent += 1
            return one

    def done(self, inform: Inform) -> None:
        with self._lock:
            self._forget(inform.place)

    def back(self, inform: Inform) -> None:
        """It waits again, where it did."""
        with self._lock:
            self._flying.pop(inform.place, None)

    def expired(self, now: float) -> list[Inform]:
        """Those that have waited for too long, and wait no more."""
        with self._lock:
            late = []
            for one in self._waiting.values():  # all of them: the clock may have been set back since one was given
                if now - one.at > self.target.expiry and one.place not in self._flying:
                    late.append(one)
            for one in late:
                self._forget(one.place)
            self.counters.expired += len(late)
            return late

    def _forget(self, place: int) -> Inform:
        self._flying.pop(place, None)
        self._tried.discard(place)
        return self._waiting.pop(place)

    @property
    def idle(self) -> bool:
        with self._lock:
            return not self._waiting

    def __len__(self) -> int:
        with self._lock:
            return len(self._waiting) - len(self._flying)


class Informer:
    """Sends informs from a thread of its own. `serve`, `refill`, `put` and `stop` are for the loop's thread. With an `outbox`
    they are on the disk as well."""

    def __init__(self, engine_id: bytes, outbox: Outbox | None = None) -> None:
        self._engine_id = engine_id
        self._outbox = outbox
        self._home = asyncio.get_running_loop()
        self._place = 0
        self._queues: dict[str, Queue] = {}
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_unexpected)
        self._channels: dict[Queue, _Channel] = {}
        self._ended = threading.Event()
        self._on_end: list[Callable[[], None]] = []
        threading.Thread(target=self._run, name="virtmap-informs", daemon=True).start()

    def serve(self, wanting: Mapping[Target, Counters]) -> None:
        """These targets from now on, told apart by their names. What waits for others goes."""
        wanted = {target.name: (target, counters) for target, counters in wanting.items()}
        gone = self._queues.keys() - wanted.keys()
        for name in gone:
            self._ask(partial(self._close, self._queues.pop(name)))
        if gone and self._outbox is not None:
            self._outbox.gone(gone)
        for name, (target, counters) in wanted.items():
            queue = self._queues.get(name)
            if queue is None:
                queue = self._queues[name] = Queue(target, counters)
                self._ask(partial(self._open, queue))
            elif queue.target != target:
                queue.target, queue.counters = target, counters
                self._ask(partial(self._change, queue))

    def refill(self, target: str, informs: Sequence[Inform]) -> None:
        """Go on with what waited for a target, by its name, when the agent ended."""
        for inform in informs:
            self._place = max(self._place, inform.place)
            self._enqueue(target, inform)

    def put(self, target: str, bindings: bytes, context: str, subject: str = "") -> None:
        """Queue an inform for a target that is served, by its name. What is about one subject of a context stays in order."""
        at = time.time()
        self._place = max(self._place + 1, int(at * 1e6))
        inform = Inform(bindings, context, subject, at, self._place)
        if self._outbox is not None:
            self._outbox.put(target, inform)
        self._enqueue(target, inform)

    def _enqueue(self, target: str, inform: Inform) -> None:
        queue = self._queues[target]
        for dropped in queue.put(inform):
            if self._outbox is not None:
                self._outbox.done(target, dropped)
        self._ask(partial(self._wake, queue))

    def waiting(self, target: str) -> int:
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
        become_batch()
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
        self._channels[queue] = _Channel(queue, self._engine_id, self._done)

    def _change(self, queue: Queue) -> None:
        if queue in self._channels:
            self._channels[queue].change()

    def _close(self, queue: Queue) -> None:
        self._channels.pop(queue).close()

    def _wake(self, queue: Queue) -> None:
        if queue in self._channels:
            self._channels[queue].wake()

    def _done(self, queue: Queue, inform: Inform) -> None:
        if self._outbox is not None:
            with suppress(RuntimeError):  # the agent has ended: the inform is sent once more by the next
                self._home.call_soon_threadsafe(self._outbox.done, queue.target.name, inform)

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
    """The way to one target, in the informs' thread. `done` is called with each inform that is done with."""

    def __init__(self, queue: Queue, engine_id: bytes, done: Callable[[Queue, Inform], None]) -> None:
        self._queue = queue
        self._engine_id = engine_id
        self._done = done
        self._originator: Originator | None = None
        self._retired: list[Originator] = []
        self._renewed_at = -math.inf
        self._more = asyncio.Event()
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()
        self._flying: set[asyncio.Task[None]] = set()
        self._answering: bool | None = None
        self._failures = 0
        self._resumes_at = -math.inf
        self._task = asyncio.get_running_loop().create_task(self._work())
        self._task.add_done_callback(self._stopped)

    def wake(self) -> None:
        self._more.set()

    def change(self) -> None:
        """The target is another one, of the same name."""
        if self._originator is not None:
            self._retired.append(self._originator)
            self._originator = self._new()
            if not self._flying:
                self._close_retired()
        self._failures = 0
        self._hurry.set()

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
        """When nothing waits and nothing is on its way, or the target does not answer."""
        while not self._queue.idle and not self._failures:
            self._changed.clear()
            await self._changed.wait()

    async def _work(self) -> None:
        self._originator = self._new()
        while True:
            await self._turn()
            for late in self._queue.expired(time.time()):
                self._done(self._queue, late)
            inform = self._queue.take()
            if inform is None:
                self._changed.set()
                self._more.clear()
                await self._more.wait()
                continue
            task = asyncio.ensure_future(self._send(inform))
            self._flying.add(task)
            task.add_done_callback(partial(self._landed, inform))

    async def _turn(self) -> None:
        """Wait until one more may leave."""
        while self._failures or len(self._flying) >= (WINDOW if self._answering else 1):
            if self._flying:
                await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
            else:
                self._hurry.clear()
                await passed(self._hurry, max(0.0, self._resumes_at - time.monotonic()))
                return

    def _stopped(self, task: "asyncio.Task[None]") -> None:
        """Nothing more leaves here. That is a fault unless it was closed: the queue runs over, and this line says why."""
        if not task.cancelled() and (error := task.exception()):
            log.error("target %s: informs cannot be sent", self._queue.target.name, exc_info=error)

    def _landed(self, inform: Inform, task: "asyncio.Task[None]") -> None:
        self._flying.discard(task)
        if not self._flying:
            self._close_retired()
        if not task.cancelled() and (error := task.exception()):
            self._queue.counters.lost += 1
            self._end(inform)
            log.error("target %s: a fault of the agent", self._queue.target.name, exc_info=error)
        self._more.set()
        self._changed.set()

    def _end(self, inform: Inform) -> None:
        self._queue.done(inform)
        self._done(self._queue, inform)

    async def _send(self, inform: Inform) -> None:
        outcome, why = await self._tried(inform)
        self._tell(outcome is Outcome.ACKNOWLEDGED, why)
        counters = self._queue.counters
        match outcome:
            case Outcome.UNANSWERED:
                counters.unanswered += 1
                self._queue.back(inform)
                self._fail()
                return
            case Outcome.ACKNOWLEDGED:
                counters.acknowledged += 1
            case Outcome.REFUSED:
                counters.refused += 1
        self._failures = 0
        self._end(inform)

    def _fail(self) -> None:
        """Pause. Those that were on their way together count as one."""
        now = time.monotonic()
        if not self._failures or now >= self._resumes_at:
            self._failures += 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._failures - 1, 30))
            self._resumes_at = now + pause * random.uniform(1, 1 + JITTER)

    async def _tried(self, inform: Inform) -> tuple[Outcome, str]:
        """What becomes of an inform.

        pysnmp goes on believing in an engine ID that it has once discovered. A receiver that was installed anew has
        another one, and so who does not answer is discovered anew; if he has answered before, for this inform already.
        """
        originator = self._originator or self._new()
        outcome, why = await originator.send(inform.bindings, inform.context)
        if outcome is Outcome.ACKNOWLEDGED or not originator.discovered:
            return outcome, why
        renewed = self._renewed(originator)
        if renewed is originator or not originator.trusted:
            return outcome, why
        return await renewed.send(inform.bindings, inform.context)

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
