"""What a SET of the mapping's own columns asks for: operations of the hypervisor.

A column with a setting operation asks for that; an action column for the operation whose number it is given. And values of
variables as the Python values of the columns they are for, which other writers need as well.
"""

from collections.abc import Collection, Sequence
from typing import Any

from agent.access import Principal, permitted
from agent.model import MODEL
from agent.operations import Operations, malformed
from agent.schema.declare import Field, Operation
from agent.schema.types import Wire
from agent.snmp import ber
from agent.snmp.ber import BerError
from agent.snmp.message import Status
from agent.snmp.mib import MibObject
from agent.snmp.setting import Ask, Asker, Refused, Step
from agent.snmp.view import Column


class MappedWriter:
    """Writes the columns of the mapping, in the context of one hypervisor. Each variable stands for itself."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def writable(self, column: Column, principal: Principal) -> bool:
        mib = column.object
        return mib is not None and any(permitted(principal, o) for o in wanted(mib))

    def steps(self, asks: Sequence[Ask], asker: Asker) -> Sequence[Step]:
        found = (self._step(ask, asker) for ask in asks)
        return [step for step in found if step is not None]

    def _step(self, ask: Ask, asker: Asker) -> Step | None:
        mib = ask.column.object
        if mib is None:
            raise Refused(Status.NOT_WRITABLE, ask.index)
        operation = asked(mib, ask)
        if operation is not None:
            if not permitted(asker.principal, type(operation)):
                raise Refused(Status.NO_ACCESS, ask.index)
            if wrong := malformed(operation):
                raise Refused(Status.WRONG_VALUE, ask.index, wrong)
        if ask.row is None:
            raise Refused(Status.NO_CREATION, ask.index)
        return None if operation is None else self._of(operation, ask, ask.row, asker)

    def _of(self, operation: Operation, ask: Ask, row: int, asker: Asker) -> Step:
        """The step that does this to a row."""
        kind = type(operation)
        record = ask.column.records[row]
        undo: Operation | None = None
        if kind.sets is not None:
            before = record[kind.on.positions[kind.sets]]
            undo = None if before is None else operation.replace(**{kind.sets: before})
        elif kind.undo is not None:
            undo = MODEL.operation(kind.undo)()
        made = Step(index=ask.index, operation=operation, key=kind.on.of_values(record).key, undo=undo)
        return possible(made, asker, self._operations)


def possible(step: Step, asker: Asker, operations: Operations) -> Step:
    """The step. Refused as inconsistentValue if the state of its object does not allow it, and as resourceUnavailable if not
    even one more operation may run: those of a SET run one after the other."""
    if unsuitable := operations.unsuitable(asker.hypervisor, type(step.operation), step.key):
        raise Refused(Status.INCONSISTENT_VALUE, step.index, unsuitable)
    if crowded := operations.crowded(asker.principal):
        raise Refused(Status.RESOURCE_UNAVAILABLE, step.index, crowded)
    return step


def wanted(mib: MibObject) -> tuple[type[Operation], ...]:
    """The operations that setting this object may ask for."""
    return (mib.operation,) if mib.operation is not None else mib.actions


def asked(mib: MibObject, ask: Ask) -> Operation | None:
    """The operation that this value of this object asks for; None for an action of none(0)."""
    expect(mib.wire.value, ask)
    if mib.operation is None:
        number = integer(ask)
        if number == 0:
            return None
        found = next((o for o in mib.actions if o.number == number), None)
        if found is None:
            raise Refused(Status.WRONG_VALUE, ask.index, f"{number} is no action of it")
        return found()
    if mib.field is None:
        raise Refused(Status.NOT_WRITABLE, ask.index)
    return mib.operation(**{mib.field.name: value(mib.field, ask)})


def expect(tag: int, ask: Ask) -> None:
    """Refused as wrongType, unless the value has this tag."""
    if ask.tag != tag:
        raise Refused(Status.WRONG_TYPE, ask.index)


def integer(ask: Ask) -> int:
    """The value as an INTEGER of 32 bits. Refused as wrongEncoding if it is none."""
    try:
        return ber.integer(ask.value)
    except BerError:
        raise Refused(Status.WRONG_ENCODING, ask.index) from None


def one_of(ask: Ask, known: Collection[int]) -> int:
    """The value as an INTEGER that is one of these. Refused as wrongType, wrongEncoding or wrongValue if it is none."""
    expect(ber.INTEGER, ask)
    number = integer(ask)
    if number not in known:
        raise Refused(Status.WRONG_VALUE, ask.index, f"{number} is none of {', '.join(str(int(k)) for k in known)}")
    return number


def unsigned(ask: Ask, bits: int = 32) -> int:
    """The value as an unsigned number. Refused as wrongEncoding if it is none."""
    try:
        return ber.unsigned(ask.value, bits)
    except BerError:
        raise Refused(Status.WRONG_ENCODING, ask.index) from None


def octets(ask: Ask, low: int, high: int) -> bytes:
    """The value, of so many octets. Refused as wrongLength if it has fewer or more."""
    if not low <= len(ask.value) <= high:
        raise Refused(Status.WRONG_LENGTH, ask.index)
    return ask.value


def text(ask: Ask, low: int, high: int) -> str:
    """The value as UTF-8 text of so many octets. Refused as wrongLength or wrongEncoding if it is none."""
    try:
        return octets(ask, low, high).decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(Status.WRONG_ENCODING, ask.index) from None


def value(field: Field, ask: Ask) -> Any:
    """The value as the Python value of a column; its tag is right already."""
    semantic = field.semantic
    match semantic.wire:
        case Wire.INTEGER:
            return _small(field, ask)
        case Wire.UNSIGNED:
            return unsigned(ask)
        case Wire.COUNTER64:
            return unsigned(ask, 64)
    return text(ask, semantic.low or 0, 2**31 - 1 if semantic.high is None else semantic.high)


def _small(field: Field, ask: Ask) -> Any:
    """An INTEGER as a boolean, a member of an enumeration, or itself."""
    if field.semantic.python is bool:
        return one_of(ask, (1, 2)) == 1
    number = integer(ask)
    if field.enumeration is not None:
        member = field.enumeration.of(number)
        if member is None:
            raise Refused(Status.WRONG_VALUE, ask.index, f"{number} has no meaning here")
        return member
    return number
