"""The one way to perform an operation: may it be, is it well-formed, do it in a worker, remember how it went.

Both front ends come through here. Each operation becomes a job that tables show, and leaves one audit line, refused and
failed ones too. After it the inventory reads the object again, so that who asks next sees what became of it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from agent.access import Principal, authorize
from agent.driver import Root
from agent.errors import Busy, Failed, Invalid, NotFound, VirtmapError
from agent.inventory import Inventory
from agent.layout import root_of
from agent.model import Job
from agent.model.job import JobState
from agent.schema.declare import Field, Index, Key, Operation
from agent.schema.types import canonical, fits
from agent.workers import NoAnswer, Workers

log = logging.getLogger("virtmap.operations")
audit_log = logging.getLogger("virtmap.audit")

KEPT_JOBS = 100
PER_PRINCIPAL = 8
"""Operations of one principal that may run at a time."""

REREAD_LIMIT = 5.0
LINE = 400
"""Characters of a text that stands in the log and the audit trail."""


class AuditTrail(Protocol):
    """Keeps audit records. Blocks on the disk: called in worker threads."""

    def audit(
        self, *, principal: str, front_end: str, operation: str, hypervisor: str, target: str, result: str
    ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an operation gave: its out-values by name, if it has ended; the number of its job in any case."""

    job: int
    ended: bool
    values: Mapping[str, Any] = field(default_factory=dict)


class Watch(Protocol):
    """Is told how an operation fares that nobody waits for. In the loop's thread."""

    def begun(self, job: int) -> None:
        """It is being done now, as this job."""
        ...

    def ended(self, state: JobState, error: str, values: Mapping[str, Any]) -> None:
        """It was refused, or has ended: how, what went wrong if anything did, and its out-values by name."""
        ...


def unfit(argument: Field, value: object) -> str | None:
    """Why a value is not one of this argument's, or None."""
    wrong = fits(argument.semantic, value)
    if wrong is None and isinstance(value, int) and not isinstance(value, bool):
        if argument.low is not None and value < argument.low:
            return f"{value} is below {argument.low}"
        if argument.high is not None and value > argument.high:
            return f"{value} is above {argument.high}"
    return wrong


def one_line(text: str, most: int = LINE) -> str:
    """A text that may come from anybody as one line, fit for a log: what cannot be printed is escaped, what is long is cut."""
    if len(text) > most:
        text = f"{text[: most - 3]}..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def malformed(operation: Operation) -> str | None:
    """Why an argument is not what its declaration says, or None."""
    for f in operation.arguments():
        if wrong := unfit(f, operation.values[f.position]):
            return f"{type(operation).__name__}.{f.name}: {wrong}"
    return None


class Operations:
    """Performs operations on the hypervisors of these inventories. Lives in the event loop's thread.

    `limit` are the seconds that one may take which is no long job; `at_once` of all and `per_principal` of anybody's may
    run at a time.
    """

    def __init__(
        self, inventories: Mapping[str, Inventory], trail: AuditTrail, *, limit: float = 30.0, at_once: int = 16,
        per_principal: int = PER_PRINCIPAL,
    ) -> None:  # fmt: skip
        self._inventories = inventories
        self._trail = trail
        self._limit = limit
        self._at_once = at_once
        self.per_principal = per_principal
        self._number = 0
        self._running: dict[str, dict[int, Job]] = {name: {} for name in inventories}
        self._workers = {name: Workers(at_once, f"virtmap-{name}-operation") for name in inventories}
        self._clerk = Workers(1, "virtmap-audit")
        self._ended: dict[str, deque[Job]] = {name: deque(maxlen=KEPT_JOBS) for name in inventories}
        self._tasks: set[asyncio.Task[Any]] = set()

    def unsuitable(self, hypervisor: str, operation: type[Operation], key: Key) -> str | None:
        """Why the state of the object, as last read, does not allow the operation; None if it does, or is not known."""
        if operation.allowed is None:
            return None
        row = self._inventories[hypervisor].snapshot.table(operation.on).get(key)
        if row is None:
            return None
        now = getattr(row, operation.allowed.column)
        if now is None or now in operation.allowed.values:
            return None
        return f"{self.describe(hypervisor, operation, key)}: cannot {operation.verb()}: it is {canonical(now)}"

    def describe(self, hypervisor: str, operation: type[Operation], key: Key) -> str:
        """The object of an operation, for people: `domain web`."""
        kind = operation.on.__name__.lower()
        if operation.on.index is Index.SCALAR:
            return f"{kind} {hypervisor}"
        row = self._inventories[hypervisor].snapshot.table(operation.on).get(key)
        name = getattr(row, "name", None)
        return f"{kind} {name or '/'.join(map(str, key))}"

    def crowded(self, principal: Principal) -> str | None:
        """Why one more operation of this principal cannot be begun now, or None."""
        jobs = [job for running in self._running.values() for job in running.values()]
        if len(jobs) >= self._at_once:
            return f"{len(jobs)} operations are running already"
        own = sum(job.principal == principal.name for job in jobs)
        if own >= self.per_principal:
            return f"{own} operations of {principal.name} are running already"
        return None

    def launch(self, principal: Principal, hypervisor: str, operation: Operation, key: Key, watch: Watch) -> None:
        """Do it, as a task of its own; `watch` is told how it fares."""
        self._keep(asyncio.create_task(self._watched(principal, hypervisor, operation, key, watch)))

    async def _watched(
        self, principal: Principal, hypervisor: str, operation: Operation, key: Key, watch: Watch
    ) -> None:
        try:
            result = await self.perform(principal, hypervisor, operation, key, begun=watch.begun)
        except NoAnswer as error:
            watch.ended(JobState.ABANDONED, str(error), {})
        except VirtmapError as error:
            watch.ended(JobState.FAILED, str(error), {})
        else:
            watch.ended(JobState.COMPLETED, "", result.values)

    async def perform(
        self, principal: Principal, hypervisor: str, operation: Operation, key: Key, *, patience: float | None = None,
        begun: Callable[[int], None] | None = None,
    ) -> Result:  # fmt: skip
        """Do it. When it has not ended after `patience` seconds it goes on as a job, and the result says so. `begun` is
        told the number of the job as soon as there is one.

        Raises agent.errors: Denied by the policy, Invalid arguments, NotFound, and whatever the driver says.
        """
        kind = type(operation)
        target = self.describe(hypervisor, kind, key)
        inventory = self._inventories[hypervisor]
        try:
            authorize(principal, kind)
            if wrong := malformed(operation):
                raise Invalid(f"{target}: {wrong}")
            known = inventory.snapshot.table(kind.on)
            if kind.on.index is not Index.SCALAR and known.find(key) is None:
                raise NotFound(f"{target}: there is no such {kind.on.__name__.lower()}")
            if why := self.crowded(principal):
                raise Busy(f"{target}: {why}")
        except VirtmapError as error:
            await self.record(principal, hypervisor, kind.__name__, target, f"refused: {error}")
            raise
        job = self._begin(principal, hypervisor, kind.__name__, target)
        task = asyncio.create_task(self._do(principal, inventory, operation, key, job, target))
        self._keep(task)
        if begun is not None:
            begun(job)
        await asyncio.wait([task], timeout=patience)
        if not task.done():
            return Result(job=job, ended=False)
        try:
            return Result(job=job, ended=True, values=task.result())
        finally:
            del task  # its error refers to this frame

    async def refuse(self, principal: Principal, hypervisor: str, operation: str, target: str, reason: str) -> None:
        """Remember what a front end refused by itself: as a failed job, and in the audit trail."""
        job = self._begin(principal, hypervisor, operation, target)
        self._end(self._inventories[hypervisor], job, JobState.FAILED, f"refused: {reason}")
        await self.record(principal, hypervisor, operation, target, f"refused: {reason}")

    async def stop(self, limit: float = 2.0) -> None:
        """Give running operations a moment to end; what does not is left to the hypervisor."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=limit)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=limit)
        for workers in (*self._workers.values(), self._clerk):
            workers.close()

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # told already: in the audit trail, the job and, if anybody still waits, to the caller

    async def _do(
        self, principal: Principal, inventory: Inventory, operation: Operation, key: Key, job: int, target: str
    ) -> Mapping[str, Any]:
        kind = type(operation)
        what = f"{target}: {kind.__name__}"
        limit = 24 * 3600.0 if kind.job else self._limit
        state, text = JobState.COMPLETED, ""
        try:
            values = await self._workers[inventory.name].run(
                partial(inventory.driver.perform, operation, key), limit=limit, what=what
            )
        except NoAnswer as error:
            state, text = JobState.ABANDONED, str(error)
            raise
        except asyncio.CancelledError:
            state, text = JobState.ABANDONED, "the agent stopped before it ended"
            raise
        except VirtmapError as error:
            state, text = JobState.FAILED, str(error)
            raise
        except Exception as error:
            log.exception("%s: a fault of the driver", what)
            state, text = JobState.FAILED, "a fault of the agent; its log tells more"
            raise Failed(f"{what}: {text}") from error
        else:
            await self.reread(inventory.name, root_of(kind.on, key))
        finally:
            if text:  # it may have done a part of it; but nobody waits for a reading to be told of the failure
                inventory.look_again(root_of(kind.on, key))
            self._end(inventory, job, state, text)
            await self.record(principal, inventory.name, kind.__name__, target, text or "done")
        return values

    async def reread(self, hypervisor: str, root: Root) -> None:
        """Read what an operation made, so that who asks next sees it. That it cannot be read is only logged."""
        inventory = self._inventories[hypervisor]
        try:
            async with asyncio.timeout(REREAD_LIMIT):
                await inventory.refresh([root])
        except (VirtmapError, TimeoutError) as error:
            log.warning("%s: could not read %s again: %s", inventory.name, root[1], error)

    def _begin(self, principal: Principal, hypervisor: str, operation: str, target: str) -> int:
        self._number += 1
        now = datetime.now(UTC)
        self._running[hypervisor][self._number] = Job(
            number=self._number, operation=operation, target=target, principal=principal.name, state=JobState.RUNNING,
            submitted=now, finished=now, error="",
        )  # fmt: skip
        self._show(self._inventories[hypervisor])
        return self._number

    def _end(self, inventory: Inventory, job: int, state: JobState, error: str) -> None:
        done = self._running[inventory.name].pop(job).replace(state=state, finished=datetime.now(UTC), error=error)
        self._ended[inventory.name].append(done)
        self._show(inventory)

    def _show(self, inventory: Inventory) -> None:
        jobs: Sequence[Job] = (*self._ended[inventory.name], *self._running[inventory.name].values())
        inventory.set_rows(Job, sorted(jobs, key=lambda j: j.key))

    def note(self, principal: Principal, hypervisor: str, operation: str, target: str, result: str) -> None:
        """The same as `record`, for those who do not wait for it."""
        self._keep(asyncio.create_task(self.record(principal, hypervisor, operation, target, result)))

    async def record(self, principal: Principal, hypervisor: str, operation: str, target: str, result: str) -> None:
        """Into the log and the audit trail: what somebody did or wanted to do, and what came of it. Texts may come from
        anybody: each becomes one line of bounded length."""
        operation, target, result = map(one_line, (operation, target, result))
        audit_log.info(
            "%s %s@%s: %s of %s on %s: %s",
            principal.front_end, principal.name, principal.source or "-", operation, target, hypervisor, result,
        )  # fmt: skip
        note = partial(
            self._trail.audit, principal=principal.name, front_end=principal.front_end, operation=operation,
            hypervisor=hypervisor, target=target, result=result,
        )  # fmt: skip
        try:
            await self._clerk.run(note, limit=5.0, what="write the audit trail")
        except VirtmapError as error:  # the line above is out; a disk that hangs or is full must not change the answer
            log.error("%s", error)
