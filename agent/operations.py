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
from agent.driver import NOBODY, Root
from agent.errors import Busy, Failed, Invalid, NotFound, NotSupported, VirtmapError, WrongState
from agent.inventory import Inventory
from agent.layout import root_of
from agent.model import Job
from agent.model.job import Cancel, JobState
from agent.schema.declare import Access, Data, Field, Index, Key, Operation
from agent.schema.types import canonical, fits
from agent.spool import Reading, Spool, Writing, unfit_name
from agent.transfers import WAIT, Ticket, Transfers
from agent.workers import NoAnswer, Workers

log = logging.getLogger("virtmap.operations")
audit_log = logging.getLogger("virtmap.audit")

KEPT_JOBS = 100
PER_PRINCIPAL = 8
"""Operations of one principal that may run at a time."""

REREAD_LIMIT = 5.0
LINE = 400
"""Characters of a text that stands in the log and the audit trail."""


class Canceled(Failed):
    """It was stopped on request."""


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

    def progressed(self, percent: int) -> None:
        """So much of it is done."""
        ...

    def ended(self, state: JobState, error: str, values: Mapping[str, Any]) -> None:
        """It was refused, or has ended: how, what went wrong if anything did, and its out-values by name."""
        ...


def unfit(argument: Field, value: object) -> str | None:
    """Why a value is not one of this argument's, or None."""
    if value is None and not argument.required and argument.default is None:
        return None
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


class _Task:
    """What the driver is given of one operation. Its own methods are for the worker thread, the others for the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, show: Callable[[int], None]) -> None:
        self._loop = loop
        self._show = show
        self._percent: int | None = None
        self._cancels: list[Callable[[], None]] = []
        self._opened: list[Reading | Writing] = []
        self.canceled_by: str | None = None
        self.source: Callable[[int], bytes] = NOBODY.receive
        self.sink: Callable[[bytes], None] = NOBODY.send
        self.size: Callable[[int], None] = NOBODY.expect
        self.moved = 0

    def progress(self, percent: int) -> None:
        percent = max(0, min(100, percent))
        if percent != self._percent and not self._loop.is_closed():
            self._percent = percent
            self._loop.call_soon_threadsafe(self._show, percent)

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        self._cancels.append(cancel)

    def expect(self, size: int) -> None:
        self.size(size)

    def receive(self, most: int) -> bytes:
        part = self.source(most)
        self.moved += len(part)
        return part

    def send(self, data: bytes) -> None:
        self.sink(data)
        self.moved += len(data)

    @property
    def cancelable(self) -> bool:
        return bool(self._cancels)

    def cancel(self) -> None:
        """In a worker thread: the last way to stop it that the driver told."""
        self._cancels[-1]()

    # --- files, in the worker thread

    def open_files(self, spool: Spool, kind: type[Operation], operation: Operation) -> None:
        """The spool files that the operation names. Raises what the spool directory says of them."""
        name, given = getattr(operation, "file", ""), getattr(operation, "input", "")
        if kind.moves is Data.UP:
            given, name = name, ""
        if given:
            reading = spool.read(given)
            self._opened.append(reading)
            self.source = reading.receive
        if name:
            writing = spool.write(name)
            self._opened.append(writing)
            self.sink = writing.send

    def close_files(self, *, well: bool) -> None:
        """What was written is kept if all went well."""
        while self._opened:
            match self._opened.pop():
                case Reading() as reading:
                    reading.close()
                case Writing() as writing if well:
                    writing.finish()
                case Writing() as writing:
                    writing.drop()


class Operations:
    """Performs operations on the hypervisors of these inventories. Lives in the event loop's thread.

    `limit` are the seconds that one may take which is no long job; `at_once` of all and `per_principal` of anybody's may
    run at a time.
    """

    def __init__(
        self, inventories: Mapping[str, Inventory], trail: AuditTrail, *, limit: float = 30.0, at_once: int = 16,
        per_principal: int = PER_PRINCIPAL, spool: Spool | None = None,
    ) -> None:  # fmt: skip
        self._inventories = inventories
        self._trail = trail
        self._spool = spool or Spool(None, 0)
        self.transfers = Transfers()
        self._underway: dict[int, tuple[_Task, Operation, str]] = {}
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
            result = await self.perform(principal, hypervisor, operation, key, watch=watch)
        except NoAnswer as error:
            watch.ended(JobState.ABANDONED, str(error), {})
        except Canceled as error:
            watch.ended(JobState.CANCELED, str(error), {})
        except VirtmapError as error:
            watch.ended(JobState.FAILED, str(error), {})
        else:
            watch.ended(JobState.COMPLETED, "", result.values)

    async def perform(
        self, principal: Principal, hypervisor: str, operation: Operation, key: Key, *, patience: float | None = None,
        watch: Watch | None = None, remote: bool = False,
    ) -> Result:  # fmt: skip
        """Do it. When it has not ended after `patience` seconds it goes on as a job, and the result says so. `watch` is
        told the number of the job as soon as there is one, and how it goes. If data is to be moved and no spool file is
        named for it, a `remote` client is given an address for it, at once.

        Raises agent.errors: Denied by the policy, Invalid arguments, NotFound, and whatever the driver says.
        """
        kind = type(operation)
        target = self.describe(hypervisor, kind, key)
        inventory = self._inventories[hypervisor]
        try:
            authorize(principal, operation)
            if wrong := malformed(operation) or self._wrong_data(operation, remote=remote):
                raise Invalid(f"{target}: {wrong}")
            known = inventory.snapshot.table(kind.on)
            if kind.on.index is not Index.SCALAR and known.find(key) is None:
                raise NotFound(f"{target}: there is no such {kind.on.__name__.lower()}")
            if kind is Cancel:
                return await self._cancel(principal, inventory, key[0], target)
            if why := self.crowded(principal):
                raise Busy(f"{target}: {why}")
            ticket, address = self._ticket(target, operation)
        except VirtmapError as error:
            await self.record(principal, hypervisor, kind.__name__, target, f"refused: {error}")
            raise
        job = self._begin(principal, hypervisor, kind.__name__, target)
        watched = _Task(asyncio.get_running_loop(), partial(self._progressed, hypervisor, job, watch))
        self._underway[job] = (watched, operation, target)
        task = asyncio.create_task(self._do(principal, inventory, operation, key, job, target, watched, ticket))
        self._keep(task)
        if watch is not None:
            watch.begun(job)
        if ticket is not None:
            return Result(job=job, ended=False, values={"address": address})
        await asyncio.wait([task], timeout=patience)
        if not task.done():
            return Result(job=job, ended=False)
        try:
            return Result(job=job, ended=True, values=task.result())
        finally:
            del task  # its error refers to this frame

    def _wrong_data(self, operation: Operation, *, remote: bool) -> str | None:
        """What is wrong with the files that an operation names, or that it names none."""
        kind = type(operation)
        if kind.moves is None:
            return None
        names = [name for n in ("file", "input") if (name := getattr(operation, n, ""))]
        if not names and not remote:
            return f"{kind.__name__}.file: it has to name a file of the spool directory"
        return next((f"{kind.__name__}: {wrong}" for name in names if (wrong := unfit_name(name))), None)

    def _ticket(self, target: str, operation: Operation) -> tuple[Ticket | None, str | None]:
        """A transfer for the client to come to, if the operation moves data and names no file."""
        kind = type(operation)
        if kind.moves is None or any(getattr(operation, n, "") for n in ("file", "input")):
            return None, None
        return self.transfers.issue(
            f"{target}: {kind.__name__}", down=kind.moves is not Data.UP, up=kind.moves is not Data.DOWN,
            partial={"offset", "length"} <= kind.positions.keys(),
        )  # fmt: skip

    async def _cancel(self, principal: Principal, inventory: Inventory, job: int, target: str) -> Result:
        """Stop a job. Denied to whoever could not have begun it; Invalid if it has ended, or cannot be stopped."""
        task, operation, what = self._underway.get(job, (None, Cancel(), ""))
        authorize(principal, operation)
        if task is None or job not in self._running[inventory.name]:
            raise WrongState(f"{target}: it has ended")
        what = f"{target}: cannot cancel {type(operation).__name__} of {what}"
        if not task.cancelable:
            raise NotSupported(f"{what}: the hypervisor cannot stop it")
        task.canceled_by = principal.name
        try:
            await self._workers[inventory.name].run(task.cancel, limit=self._limit, what=what)
        except VirtmapError:
            task.canceled_by = None
            raise
        await self.record(principal, inventory.name, Cancel.__name__, target, "done")
        return Result(job=job, ended=True)

    def _progressed(self, hypervisor: str, job: int, watch: Watch | None, percent: int) -> None:
        if job in self._running[hypervisor]:
            self._running[hypervisor][job] = self._running[hypervisor][job].replace(percent=percent)
            self._show(self._inventories[hypervisor])
            if watch is not None:
                watch.progressed(percent)

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
        self, principal: Principal, inventory: Inventory, operation: Operation, key: Key, job: int, target: str,
        task: _Task, ticket: Ticket | None,
    ) -> Mapping[str, Any]:  # fmt: skip
        kind = type(operation)
        what = f"{target}: {kind.__name__}"
        limit = 24 * 3600.0 if kind.job else self._limit
        state, text = JobState.COMPLETED, ""
        try:
            if ticket is not None:
                operation = await self._awaited(operation, task, ticket, what)
            values = await self._workers[inventory.name].run(
                partial(self._carried_out, inventory, operation, key, task), limit=limit, what=what,
                late=partial(self._ended_late, principal, inventory, kind, key, target),
            )  # fmt: skip
        except NoAnswer as error:
            state, text = JobState.ABANDONED, str(error)
            raise
        except asyncio.CancelledError:
            state, text = JobState.ABANDONED, "the agent stopped before it ended"
            raise
        except VirtmapError as error:
            state, text = JobState.FAILED, str(error)
            if task.canceled_by is not None:
                state, text = JobState.CANCELED, f"canceled by {task.canceled_by}: {error}"
                raise Canceled(text) from error
            raise
        except Exception as error:
            log.exception("%s: a fault of the driver", what)
            state, text = JobState.FAILED, "a fault of the agent; its log tells more"
            raise Failed(f"{what}: {text}") from error
        else:
            await self._read_after(inventory, kind, key, values)
        finally:
            self._underway.pop(job, None)
            if text:  # it may have done a part of it; but nobody waits for a reading to be told of the failure
                inventory.look_again(root_of(kind.on, key))
            if ticket is not None:
                self.transfers.withdraw(ticket)
                ticket.finished(text or None)
            self._end(inventory, job, state, text)
            await self.record(principal, inventory.name, kind.__name__, target, text or "done")
        return values

    def _ended_late(
        self, principal: Principal, inventory: Inventory, kind: type[Operation], key: Key, target: str,
        error: BaseException | None,
    ) -> None:  # fmt: skip
        """An operation was given up and has ended after all: the audit trail is told, and what it changed is read."""
        told = str(error) if isinstance(error, VirtmapError) else "a fault of the agent"
        self.note(
            principal, inventory.name, kind.__name__, target, "done, late" if error is None else f"failed, late: {told}"
        )
        inventory.look_again(root_of(kind.on, key))

    async def _awaited(self, operation: Operation, task: _Task, ticket: Ticket, what: str) -> Operation:
        """The operation, as the client wants it that has come for its data now. Failed if none comes."""
        task.source, task.sink, task.size = ticket.inward.take, ticket.outward.put, ticket.expect
        task.on_cancel(ticket.call_off)
        try:
            async with asyncio.timeout(WAIT):
                await ticket.came.wait()
        except TimeoutError:
            raise Failed(f"{what}: nobody came for the transfer within {WAIT:g} s") from None
        if task.canceled_by is not None:
            raise Failed(f"{what}: nobody had come for the transfer")
        if not ticket.partial:
            return operation
        first, last = ticket.range.first, ticket.range.last
        length = operation.values[operation.positions["length"]] or 0
        if last is not None:
            length = min(length or 2**63, last + 1) - first
        elif length:
            length -= first
        offset = operation.values[operation.positions["offset"]] or 0
        return operation.replace(offset=offset + first, length=length)

    def _carried_out(self, inventory: Inventory, operation: Operation, key: Key, task: _Task) -> Mapping[str, Any]:
        """In a worker thread."""
        kind = type(operation)
        if kind.moves is None:
            return inventory.driver.perform(operation, key, task)
        try:
            task.open_files(self._spool, kind, operation)
            values = inventory.driver.perform(operation, key, task)
        except BaseException:
            task.close_files(well=False)
            raise
        task.close_files(well=True)
        return {**values, "transferred": task.moved}

    async def _read_after(
        self, inventory: Inventory, kind: type[Operation], key: Key, values: Mapping[str, Any]
    ) -> None:
        """Read what the operation changed, and what it made."""
        if kind.needs is Access.OBSERVE:
            return
        roots = [root_of(kind.on, key)]
        if kind.makes is not None:
            roots.append((kind.makes, tuple(values[f.name] for f in kind.makes.key_fields())))
        await self.reread(inventory.name, *roots)

    async def reread(self, hypervisor: str, *roots: Root) -> None:
        """Read what an operation made, so that who asks next sees it. That it cannot be read is only logged."""
        inventory = self._inventories[hypervisor]
        try:
            async with asyncio.timeout(REREAD_LIMIT):
                await inventory.refresh(roots)
        except (VirtmapError, TimeoutError) as error:
            log.warning("%s: could not read %s again: %s", inventory.name, roots[-1][1], error)

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
