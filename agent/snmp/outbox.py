"""Informs on the disk: each from when it is given until it is done with, so that the next start of the agent goes on with it.

The queues in memory (agent/snmp/inform.py) are what is worked on, and never wait for the disk; here they are written down
behind their backs. While the disk fails they are all there is, and what it did not take is offered to it again. An inform has
the context and the list of variable bindings that it had when it was given: it tells of a moment, whenever it arrives.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from agent import journal
from agent.errors import VirtmapError
from agent.journal import Journal, Queues
from agent.operations import one_line
from agent.state import INFORMS, Queued
from agent.workers import Workers

log = logging.getLogger("virtmap.notifications")

BATCH = 256
"""Informs that are read from the state file at a time."""


class Inform(NamedTuple):
    """The contents of a list of variable bindings and the name of the context they are of; when it was given, in seconds of the
    epoch, and its place among all informs. What has one `subject` arrives in order."""

    bindings: bytes
    context: str
    subject: str = ""
    at: float = 0.0
    place: int = 0


_Place = tuple[str, int]
"""The name of a queue, and a place there."""


class Outbox:
    """Keeps the informs for targets, by the targets' names. Lives in the event loop's thread."""

    def __init__(self, store: Queues) -> None:
        self._store = store
        self._journal: Journal | None = None
        self._waiting: set[_Place] = set()
        self._loose: dict[_Place, Queued] = {}  # of these what the disk did not take
        self._again: asyncio.TimerHandle | None = None

    async def open(self) -> Mapping[str, Sequence[Inform]]:
        """What waited when the agent ended, the oldest first. If the disk cannot tell, that is said in the log, and stays there
        for the next start."""
        self._journal = Journal(self._store, None, self._wrote, what="informs", log=log)
        workers = Workers(1, "virtmap-inform-queues")
        try:
            found = await workers.run(self._read, limit=journal.DISK_LIMIT, what="read the queues of informs")
        except VirtmapError as error:
            log.error("informs that waited are not sent before the next start: %s", one_line(str(error)))
            return {}
        finally:
            workers.close()
        self._waiting.update((INFORMS + target, one.place) for target, informs in found.items() for one in informs)
        return found

    def _read(self) -> Mapping[str, Sequence[Inform]]:
        names = [name for name in self._store.queues() if name.startswith(INFORMS)]
        return {name.removeprefix(INFORMS): list(self._queue(name)) for name in names}

    def _queue(self, name: str) -> Iterable[Inform]:
        after = -1
        while found := self._store.queued(name, after, BATCH):
            yield from map(_inform, found)
            after = found[-1].place

    def put(self, target: str, inform: Inform) -> None:
        if self._journal is not None:
            self._waiting.add((INFORMS + target, inform.place))
            self._journal.put([_queued(target, inform)])

    def done(self, target: str, inform: Inform) -> None:
        """It was acknowledged or refused, or is given up."""
        place = INFORMS + target, inform.place
        self._waiting.discard(place)
        self._loose.pop(place, None)
        if self._journal is not None:
            self._journal.done(_queued(target, inform))

    def gone(self, targets: Iterable[str]) -> None:
        """Forget all that waits for these targets."""
        names = {INFORMS + target for target in targets}
        if names and self._journal is not None:
            self._waiting = {place for place in self._waiting if place[0] not in names}
            self._loose = {place: one for place, one in self._loose.items() if place[0] not in names}
            self._journal.gone(names)

    async def stop(self) -> None:
        """Write what is to be written, if the disk takes it soon."""
        if self._again is not None:
            self._again.cancel()
        if self._journal is not None:
            closing, self._journal = self._journal, None
            await closing.stop(self._loose.values())

    def _wrote(self, messages: Sequence[Queued], written: bool, dropped: Mapping[str, int]) -> None:
        """What could not be written waits in memory only, until the disk is tried again."""
        if not written:
            self._loose.update((p, one) for one in messages if (p := (one.queue, one.place)) in self._waiting)
        if self._loose and self._again is None and self._journal is not None:
            self._again = asyncio.get_running_loop().call_later(journal.DISK_AGAIN, self._offer)

    def _offer(self) -> None:
        self._again = None
        if self._loose and self._journal is not None:
            again, self._loose = list(self._loose.values()), {}
            self._journal.put(again)


def _queued(target: str, inform: Inform) -> Queued:
    """The reason tells what it is about: a context, whose name has no slash, and a subject there."""
    reason = f"{inform.context}/{inform.subject}".encode("utf-8", "backslashreplace").decode()
    return Queued(queue=INFORMS + target, place=inform.place, at=inform.at, reason=reason, body=inform.bindings)


def _inform(queued: Queued) -> Inform:
    context, _, subject = queued.reason.partition("/")
    return Inform(queued.body, context, subject, queued.at, queued.place)
