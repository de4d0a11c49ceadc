"""SET: what the variables of a request ask for, tested as a whole before anything is done (RFC 3416, section 4.2.5).

A variable falls to the Writer of its column, which says what setting it would do: an operation of the hypervisor, or a
change of something that the agent itself holds. What passes all tests becomes a Setting: steps to take in order, those that
can be taken back first, and at most one that cannot. `carry_out` takes them, and takes them back when one fails.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.access import Principal
from agent.errors import VirtmapError
from agent.operations import Operations
from agent.schema.declare import Key, Operation
from agent.snmp import ber
from agent.snmp.message import Status, Varbind
from agent.snmp.mib import MibObject, Oid
from agent.snmp.vacm import MibView
from agent.snmp.view import Column, View

log = logging.getLogger("virtmap.snmp")

PATIENCE = 4.0
"""Seconds a SET is waited for. net-snmp's tools wait six, retries included; what takes longer shows as a running job."""


class Refused(Exception):
    """A variable of a SET, or the whole, fails a test; `why` says more than the status, if there is more to say."""

    def __init__(self, status: Status, index: int, why: str = "") -> None:
        super().__init__(status, index, why)
        self.status = status
        self.index = index
        self.why = why


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asks, of which hypervisor, and what of its context may be written; None is nothing at all."""

    principal: Principal
    hypervisor: str
    write: MibView | None


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One variable of a SET, found in the view: `instance` are the arcs behind its column, `row` the place of the
    instance there, None if there is no such instance; `index` counts from 1; `tag` and `value` are of its value."""

    index: int
    column: Column
    instance: Oid
    row: int | None
    tag: int
    value: bytes


@dataclass(frozen=True, kw_only=True)
class Step:
    """An operation of the hypervisor, and the one that takes it back, if one does."""

    index: int
    operation: Operation
    key: Key
    undo: Operation | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of what the agent itself holds: done at once, in the loop's thread, and taken back by `undo`.

    `commit` raises a VirtmapError if what was tested no longer holds. Without `undo` it cannot be taken back. `told` is what
    it changes, for the audit trail: empty if that hears of it otherwise, or need not.
    """

    index: int
    commit: Callable[[], None]
    undo: Callable[[], None] | None
    told: str = ""


class Writer(Protocol):
    """Says what setting the variables of some columns does. One for all columns that have to be seen together."""

    def writable(self, column: Column, principal: Principal) -> bool:
        """Whether this principal may write to the column at all."""
        ...

    def steps(self, asks: Sequence[Ask], asker: Asker) -> Sequence[Step | Change]:
        """What these variables, all that a SET has for this writer, ask for. Refused if they fail a test: wrongType,
        wrongLength, wrongEncoding, wrongValue, noCreation, inconsistentName, notWritable, inconsistentValue or
        resourceUnavailable, in this order for each variable."""
        ...


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A SET that was refused before anything was done, for the audit trail: who asked for what, and why not."""

    principal: Principal
    hypervisor: str
    operation: str
    target: str
    reason: str


@dataclass(kw_only=True)
class Setting:
    """A SET whose variables all passed the tests. Take its `steps` in order, and then answer it."""

    asker: Asker
    steps: Sequence[Step | Change]
    request: Any = None
    """What the front end needs for the answer."""
    done: list[Step | Change] = field(default_factory=list)


def tested(view: View, varbinds: Sequence[Varbind], asker: Asker) -> Setting:
    """The SET that these variables are. Refused at the first variable that fails; BerError if a name or value is malformed.

    A variable that is set twice to the same value is set once. Of two values the last one holds, as in net-snmp, unless it
    takes an operation of the hypervisor: inconsistentValue.
    """
    names = [ber.oid(one.oid) for one in varbinds]  # before any is answered: a malformed one drops the whole message
    for one in varbinds:
        ber.value(one.tag, one.value)
    last: dict[Oid, tuple[Writer, Ask]] = {}
    replaced: list[tuple[Writer, Ask, Ask]] = []
    failed: Refused | None = None
    for index, (one, name) in enumerate(zip(varbinds, names, strict=True), 1):
        try:
            writer, ask = _found(view, one, name, index, asker)
        except Refused as refused:
            failed = refused
            break
        if (before := last.get(name)) is not None:
            if (before[1].tag, before[1].value) == (ask.tag, ask.value):
                continue
            replaced.append((*before, ask))
        last[name] = writer, ask
    asks: dict[int, list[Ask]] = {}
    writers: dict[int, Writer] = {}
    for writer, ask in last.values():
        writers[id(writer)] = writer
        asks.setdefault(id(writer), []).append(ask)
    steps: list[Step | Change] = []
    for number, several in asks.items():
        try:
            steps += writers[number].steps(several, asker)
        except Refused as refused:
            failed = _first(failed, refused)
    operated = {step.index for step in steps if isinstance(step, Step)}
    for writer, ask, instead in replaced:
        try:
            alone = writer.steps([ask], asker)
            if instead.index in operated or any(isinstance(step, Step) for step in alone):
                raise Refused(Status.INCONSISTENT_VALUE, instead.index, "the same variable stands twice")
        except Refused as refused:
            failed = _first(failed, refused)
    if failed is not None:
        try:
            raise failed
        finally:
            del failed  # it refers to this frame, and so to a whole view that nobody else needs any more
    return Setting(asker=asker, steps=_ordered(steps))


def _first(one: Refused | None, other: Refused) -> Refused:
    return other if one is None or other.index < one.index else one


def _ordered(steps: Sequence[Step | Change]) -> list[Step | Change]:
    final = [s for s in steps if s.undo is None]
    if len(final) > 1:
        why = "one SET can do only one thing that cannot be undone"
        raise Refused(Status.INCONSISTENT_VALUE, sorted(s.index for s in final)[1], why)
    return [s for s in steps if s.undo is not None] + final


def _found(view: View, one: Varbind, name: Oid, index: int, asker: Asker) -> tuple[Writer, Ask]:
    """The variable in the view, and the writer it falls to."""
    if asker.write is None or not asker.write.includes(name):
        raise Refused(Status.NO_ACCESS, index)
    place = view.exact(one.oid)
    number = place[0] if place else view.column_of(one.oid)
    column = view.columns[number] if number is not None else None
    if column is None or column.writer is None:
        raise Refused(Status.NOT_WRITABLE, index)
    if not column.writer.writable(column, asker.principal):
        raise Refused(Status.NO_ACCESS, index)
    row = place[1] if place else None
    instance = name[len(column.oid) :]
    return column.writer, Ask(index=index, column=column, instance=instance, row=row, tag=one.tag, value=one.value)


def refusal(view: View, varbinds: Sequence[Varbind], asker: Asker, refused: Refused) -> Refusal:
    """What to remember of a SET that failed a test."""
    one = varbinds[refused.index - 1]
    arcs = ber.oid(one.oid)
    number = view.column_of(one.oid)
    column = view.columns[number] if number is not None else None
    mib = column.object if column is not None else None
    target = ".".join(map(str, arcs))
    if column is not None and mib is not None:
        target = ".".join((mib.name, *map(str, arcs[len(column.oid) :])))
    reason = f"{refused.status.label}: {refused.why}" if refused.why else refused.status.label
    return Refusal(
        principal=asker.principal,
        hypervisor=asker.hypervisor,
        operation=_wanted(mib, one),
        target=target,
        reason=reason,
    )


def _wanted(mib: MibObject | None, one: Varbind) -> str:
    """The name of the operation that a variable of a SET is about, as far as that can be told."""
    if mib is None or (mib.operation is None and not mib.actions):
        return "SET"
    if mib.operation is not None:
        return mib.operation.__name__
    number = int.from_bytes(one.value[:8], "big", signed=True)
    return next((o.__name__ for o in mib.actions if o.number == number), "SET")


async def carry_out(setting: Setting, operations: Operations) -> tuple[Status, int]:
    """Take the steps of a SET in order; when one fails, take the earlier ones back. Gives error-status and error-index.

    RFC 3416, section 4.2.5: commitFailed at the variable that failed, undoFailed when that could not be mended.
    """
    for step in setting.steps:
        try:
            await _take(step, setting, operations)
        except VirtmapError as error:
            who = setting.asker.principal
            log.info("SET by %s from %s: %s", who.name, who.source, error)
            mended = await take_back(setting, operations)
            return (Status.COMMIT_FAILED, step.index) if mended else (Status.UNDO_FAILED, 0)
        except Exception:  # a fault of the agent, which is for others to tell; but nothing may stay half done
            await take_back(setting, operations)
            raise
        setting.done.append(step)
    _record(setting, operations)
    return Status.NO_ERROR, 0


def _record(setting: Setting, operations: Operations) -> None:
    """Operations leave audit records by themselves; changes of what the agent holds leave theirs here. They are done, and
    nobody waits for the disk to be told so."""
    who = setting.asker
    for step in setting.done:
        if isinstance(step, Change) and step.told:
            operations.note(who.principal, who.hypervisor, "SET", step.told, "done")


async def _take(step: Step | Change, setting: Setting, operations: Operations) -> None:
    if isinstance(step, Change):
        step.commit()
        return
    who = setting.asker
    await operations.perform(who.principal, who.hypervisor, step.operation, step.key, patience=PATIENCE)


async def take_back(setting: Setting, operations: Operations) -> bool:
    """Take back what was done, the last first. False if something could not be taken back."""
    mended = True
    who = setting.asker
    for step in reversed(setting.done):
        try:
            if isinstance(step, Change):
                if step.undo is not None:
                    step.undo()
            elif step.undo is not None:
                await operations.perform(who.principal, who.hypervisor, step.undo, step.key, patience=PATIENCE)
        except VirtmapError as error:
            log.warning("SET by %s: could not be taken back: %s", who.principal.name, error)
            mended = False
    setting.done.clear()
    return mended
