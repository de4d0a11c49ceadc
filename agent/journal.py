"""The journal of queues: writes what changes in them into the state file, many changes with one commit, and holds up nobody.

Who sends something that must survive a restart, be it indications or informs, puts it into a queue here and notes here what
became of it. Lives in the event loop's thread; the disk is waited for in a worker thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Protocol

from agent.errors import VirtmapError
from agent.operations import one_line
from agent.state import Queued
from agent.workers import Workers

UNWRITTEN = 10_000
"""Messages that wait for the disk; what comes then is lost, as it is from a queue that is full. Also how many are known to be
done with while that cannot be written."""

DISK_LIMIT = 5.0
DISK_AGAIN = 5.0
"""Seconds until the disk is tried again after it has failed."""

ENDING = 1.0
"""Seconds that the disk has when the agent ends."""


class Queues(Protocol):
    """Keeps queues across restarts, as agent.state does. Blocks on the disk, and raises Failed."""

    def queues(self) -> Mapping[str, int]: ...

    def queued(self, queue: str, after: int, limit: int) -> Sequence[Queued]: ...

    def change_queues(
        self, *, put: Sequence[Queued] = (), tried: Iterable[Queued] = (), done: Iterable[Queued] = (),
        gone: Iterable[str] = (), longest: int | None,
    ) -> Mapping[str, int]: ...  # fmt: skip


class _Changes:
    """What is to be written into the state file with the next commit."""

    def __init__(self) -> None:
        self.put: list[Queued] = []
        self.tried: dict[tuple[str, int], Queued] = {}
        self.done: dict[tuple[str, int], Queued] = {}
        self.gone: dict[str, None] = {}
        self.written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __bool__(self) -> bool:
        return bool(self.put or self.tried or self.done or self.gone)

    def note(self, *, tried: Queued | None = None, done: Queued | None = None, gone: Iterable[str] = ()) -> None:
        """What became of messages that are in queues, without what they say. Of too many the oldest are forgotten."""
        for one, there in ((tried, self.tried), (done, self.done)):
            if one is not None:
                there[one.queue, one.place] = replace(one, body=b"")
                if len(there) > UNWRITTEN:
                    del there[next(iter(there))]
        self.gone.update(dict.fromkeys(gone))

    def after(self, earlier: _Changes) -> None:
        """Note what an earlier commit should have noted."""
        self.tried = _newest({**earlier.tried, **self.tried})
        self.done = _newest({**earlier.done, **self.done})
        self.gone = {**earlier.gone, **self.gone}


def _newest(noted: dict[tuple[str, int], Queued]) -> dict[tuple[str, int], Queued]:
    return dict(islice(noted.items(), max(0, len(noted) - UNWRITTEN), None))


class Journal:
    """Writes changes in order; those that come while one commit is made are the next one. `wrote` is told what was put into
    queues, whether it could be written, and how many each queue has lost for that: those beyond the `longest`, None if whoever
    fills the queues sees to that. While nothing can be written, only what is put is tried at once; the rest goes with it, or
    when the disk is tried again. The log speaks of `what` is sent, in the plural.
    """

    def __init__(
        self, store: Queues, longest: int | None, wrote: Callable[[Sequence[Queued], bool, Mapping[str, int]], None], *,
        what: str, log: logging.Logger,
    ) -> None:  # fmt: skip
        self._store = store
        self._longest = longest
        self._wrote = wrote
        self._what = what
        self.log = log
        self._workers = Workers(1, f"virtmap-{what}")
        self._next = _Changes()
        self._more = asyncio.Event()
        self._ending = False
        self._failing = False
        self._losing = False
        self._task = asyncio.ensure_future(self._work())

    def put(self, messages: Sequence[Queued]) -> Awaitable[None]:
        """Into their queues, at once; what it gives is done when that is on the disk, or cannot be."""
        if len(self._next.put) >= UNWRITTEN:
            self._wrote((), True, Counter(each.queue for each in messages))
            return asyncio.sleep(0)
        self._next.put += messages
        self._more.set()
        return asyncio.shield(self._next.written)

    def tried(self, one: Queued) -> None:
        self._next.note(tried=one)
        self._noted()

    def done(self, one: Queued) -> None:
        self._next.note(done=one)
        self._noted()

    def gone(self, queues: Iterable[str]) -> None:
        self._next.note(gone=queues)
        self._noted()

    def _noted(self) -> None:
        if not self._failing:
            self._more.set()

    async def stop(self, left: Iterable[Queued]) -> None:
        """Write what is to be written, and these messages that the disk did not take before, if it takes them soon."""
        self._next.put += left
        self._ending = True
        self._more.set()
        await asyncio.wait([self._task], timeout=ENDING)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._next.written.set_result(None)
        self._workers.close()

    async def _work(self) -> None:
        while not (self._ending and not self._more.is_set()):
            await passed(self._more, DISK_AGAIN if self._failing else None)
            self._more.clear()
            changes, self._next = self._next, _Changes()
            try:
                if changes:
                    await self._write(changes)
            except Exception:  # nobody else would see it, and those who wait would wait for ever
                self.log.exception("a fault of the agent: %s are not queued", self._what)
            finally:
                changes.written.set_result(None)

    async def _write(self, changes: _Changes) -> None:
        write = partial(
            self._store.change_queues, put=changes.put, tried=list(changes.tried.values()),
            done=list(changes.done.values()), gone=list(changes.gone), longest=self._longest,
        )  # fmt: skip
        try:
            dropped = await self._workers.run(write, limit=DISK_LIMIT, what=f"queue {self._what}")
        except VirtmapError as error:
            self._tell(changes, str(error))
            self._failing = True
            self._next.after(changes)
            self._wrote(changes.put, False, {})
        except Exception:  # not tried again: it may be these changes
            self.log.exception("a fault of the agent: %s wait in memory, and are lost at a restart", self._what)
            self._wrote(changes.put, False, {})
        else:
            self._failing = self._losing = False
            if self._next:  # noted while it seemed that nothing could be written
                self._more.set()
            self._wrote(changes.put, True, dropped)

    def _tell(self, changes: _Changes, why: str) -> None:
        """Into the log, when it begins."""
        if changes.put and not self._losing:
            self.log.error("%s wait in memory, and are lost at a restart: %s", self._what, one_line(why))
        elif not self._failing:
            self.log.error("what was sent cannot be noted, and may be sent again after a restart: %s", one_line(why))
        self._losing = self._losing or bool(changes.put)


async def passed(event: asyncio.Event, limit: float | None) -> None:
    """Wait until it is set, or for so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(limit):
            await event.wait()
