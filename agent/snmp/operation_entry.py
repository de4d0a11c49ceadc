"""One row of the operation table, with its arguments and results, and how it shows in three tables. Pure."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from agent.model import MODEL
from agent.operations import unfit
from agent.schema.declare import Field, Index, Operation, Row
from agent.schema.types import Secret, canonical, parse
from agent.snmp import ber, mib
from agent.snmp.mib import OBJECTS, OPERATIONS, Oid
from agent.snmp.operation_mib import ARGUMENTS, LIFETIME, RESULT_CHUNK, ROWS, State
from agent.snmp.rowstatus import RowStatus, resting
from agent.snmp.view import Column, RowIndex

ZERO: Oid = (0, 0)
"""zeroDotZero: no operation yet, or the host as target."""

LONGEST_ERROR = 4096
LONGEST_NAME = 255

KINDS: Mapping[Oid, type[Operation]] = {(*OPERATIONS, o.on.table, o.number): o for o in MODEL.operations}
"""Every operation by the OID that registers it."""

_OIDS = {kind: oid for oid, kind in KINDS.items()}
_TABLES = {t.oid[-1]: t for t in mib.project(MODEL).tables}

Parts = Mapping[tuple[int, int], bytes]
"""Octets of arguments, by the number of the argument and of the chunk."""


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """What a RowPointer points at: a row of the mapping's table of `row`, by its index arcs."""

    row: type[Row]
    arcs: Oid


def pointed(oid: Oid) -> Pointer | None:
    """The row whose instance this OID names; None if it is no instance of a readable column of the mapping."""
    table = _TABLES.get(oid[len(OBJECTS)]) if len(oid) > len(OBJECTS) else None
    if table is None or oid[: len(table.entry_oid)] != table.entry_oid:
        return None
    column, arcs = oid[: len(table.entry_oid) + 1], oid[len(table.entry_oid) + 1 :]
    if all(o.oid != column for o in table.readable) or len(arcs) != max(1, len(table.indexes)):
        return None
    return None if table.scalar and arcs != (0,) else Pointer(row=table.row, arcs=arcs)


def long(argument: Field) -> bool:
    """Whether a value of it may need several chunks."""
    return argument.semantic.python in (str, Secret)


def shown(argument: Field) -> bool:
    """Whether its value is shown: passwords are not, nor XML, in which others may stand."""
    return argument.semantic.readable and not argument.semantic.secret


def understood(argument: Field, octets: bytes) -> Any:
    """The value of an argument from its octets. ValueError tells what is wrong with it, but nothing of a secret."""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if "\0" in text:
        raise ValueError("it holds a NUL")
    value = parse(argument.semantic, text)
    if wrong := unfit(argument, value):
        raise ValueError(wrong)
    return value


def chunks(octets: bytes, size: int) -> Sequence[bytes]:
    """UTF-8 text in parts of at most `size` octets, at least 4, that end between characters; one part if it is empty.

    They end after a line where lines are short: tools print each part on lines of its own, and what they print of XML
    is then still XML, with a blank line here and there.
    """
    parts = []
    at = 0
    while len(octets) - at > size:
        stop = octets.rfind(b"\n", at + size // 2, at + size) + 1 or at + size
        while octets[stop] & 0xC0 == 0x80:
            stop -= 1
        parts.append(octets[at:stop])
        at = stop
    return (*parts, octets[at:])


class Block:
    """Rows of a table that stand one behind the other: their index arcs, these encoded, and an element for each column."""

    __slots__ = ("arcs", "records", "suffixes")

    def __init__(self, rows: Iterable[tuple[Oid, tuple[bytes | None, ...]]]) -> None:
        told = tuple(rows)
        self.arcs = tuple(arcs for arcs, _ in told)
        self.records = tuple(record for _, record in told)
        self.suffixes = tuple(map(ber.suffix_contents, self.arcs))


class _Joined(RowIndex):
    """The index of blocks in their order; what is encoded in them already is not encoded again."""

    __slots__ = ()

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.arcs = tuple(arcs for b in blocks for arcs in b.arcs)
        self.suffixes = [s for b in blocks for s in b.suffixes]
        self.positions = dict(zip(self.suffixes, range(len(self.suffixes)), strict=True))


def columns(table: mib.OwnTable, blocks: Sequence[Block]) -> Iterable[Column]:
    """The columns of a table made of these blocks, which stand in the order of their indexes."""
    index = _Joined(blocks)
    records = [record for b in blocks for record in b.records]
    for place, o in enumerate(table.readable):
        column = Column(o.oid, index, records, place, bytes)
        column.object = o
        yield column


def _octets(text: str, limit: int) -> bytes:
    whole = text.encode("utf-8", "replace")
    return ber.element(ber.OCTETS, chunks(whole, limit)[0])


def _unsigned(number: int | None) -> bytes | None:
    return None if number is None else ber.encode_integer(number, ber.UNSIGNED)


def _date(when: datetime | None) -> bytes | None:
    return None if when is None else ber.encode_date(when)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row. `since` is when it ended or, before that, was last set, by the clock of the table; `run` counts how often an
    operation was asked for by any row, and so tells one run of this row from another.
    """

    index: int
    owner: str
    front_end: str
    operation: type[Operation] | None = None
    target: Oid = ZERO
    lifetime: int = LIFETIME
    parts: Parts = field(default_factory=dict, repr=False)
    state: State = State.PENDING
    error: str = ""
    percent: int | None = None
    job: int | None = None
    summary: str = ""
    submitted: datetime | None = None
    finished: datetime | None = None
    results: Block = field(default=Block(()), repr=False)
    result_octets: int = 0
    since: float = 0.0
    run: int = 0

    # --- as a row

    @property
    def belongs(self) -> tuple[str, str]:
        """To whom: a name, and the front end that knows it."""
        return self.owner, self.front_end

    @property
    def ended(self) -> bool:
        return self.state not in (State.PENDING, State.RUNNING)

    @property
    def status(self) -> RowStatus:
        return RowStatus.ACTIVE if self.state is not State.PENDING else resting(ready=self.lacks() is None)

    def lacks(self) -> str | None:
        """What it needs before it can be active, or None."""
        if self.operation is None:
            return "it has no operation"
        if self.target == ZERO and self.operation.on.index is not Index.SCALAR:
            return "it has no target"
        for f in self.operation.arguments():
            numbers = self._chunks(f)
            if f.required and not numbers:
                return f"its argument {f.number}, {f.name}, has not been set"
            if numbers != list(range(1, len(numbers) + 1)):
                return f"chunk {_gap(numbers)} of its argument {f.number}, {f.name}, has not been set"
        return None

    def misdirected(self) -> str | None:
        """Why the operation cannot be asked of the target, whether that is there or not; None while one is not set."""
        if self.operation is None or self.target == ZERO:
            return None
        where, on = pointed(self.target), self.operation.on
        if where is not None and where.row is on:
            return None
        return f"{self.operation.__name__} is asked of a {on.__name__.lower()}, and the target is none"

    def due(self, draft_lifetime: float) -> float:
        """When it is to go, by the clock of the table."""
        if self.state is State.RUNNING:
            return float("inf")
        return self.since + (self.lifetime if self.ended else draft_lifetime)

    # --- its arguments

    @property
    def octets(self) -> int:
        return sum(map(len, self.parts.values()))

    def argument(self, number: int) -> Field | None:
        """The argument of this number that its operation has."""
        if self.operation is None:
            return None
        return next((f for f in self.operation.arguments() if f.number == number), None)

    def _chunks(self, argument: Field) -> list[int]:
        return sorted(chunk for number, chunk in self.parts if number == argument.number)

    def whole(self, argument: Field) -> bytes | None:
        """All octets of an argument; None if it has not been set."""
        numbers = self._chunks(argument)
        return b"".join(self.parts[argument.number or 0, n] for n in numbers) if numbers else None

    # --- its life

    def begun(self, run: int, summary: str, now: datetime) -> Self:
        """It runs; its secrets are forgotten."""
        fields = {f.number: f for f in (self.operation.arguments() if self.operation else ())}
        kept = {place: part for place, part in self.parts.items() if not fields[place[0]].semantic.secret}
        return replace(self, state=State.RUNNING, parts=kept, run=run, summary=summary, submitted=now)

    def concluded(self, state: State, error: str, values: Mapping[str, Any], now: datetime, since: float) -> Self:
        """It has ended, with these out-values by name."""
        rows = list(self._results(values)) if state is State.COMPLETED else []
        octets = sum(len(record[1] or b"") for _, record in rows)
        return replace(
            self, state=state, error=error, finished=now, since=since, results=Block(rows), result_octets=octets
        )

    def rested(self) -> Self:
        """It is as before it ran."""
        return replace(
            self, state=State.PENDING, error="", percent=None, job=None, submitted=None, finished=None, results=Block(()),
            result_octets=0, summary=self.operation.__name__ if self.operation else "",
        )  # fmt: skip

    # --- how it shows

    def _results(self, values: Mapping[str, Any]) -> Iterable[tuple[Oid, tuple[bytes | None, ...]]]:
        for f in self.operation.outs() if self.operation else ():
            value = values.get(f.name)
            if value is None or f.semantic.secret:
                continue
            octets = canonical(value).encode("utf-8", "replace")
            name, size = _octets(f.name, LONGEST_NAME), _unsigned(len(octets))
            for number, part in enumerate(chunks(octets, RESULT_CHUNK), 1):
                yield (self.index, f.number or 0, number), (name, ber.element(ber.OCTETS, part), size)

    @functools.cached_property
    def row(self) -> Block:
        """Its row of virtmapOperationTable."""
        operation = ZERO if self.operation is None else _OIDS[self.operation]
        values: dict[str, bytes | None] = {
            "Operation": ber.encode_oid(operation),
            "Target": ber.encode_oid(self.target),
            "Lifetime": _unsigned(self.lifetime),
            "State": ber.encode_integer(self.state),
            "Progress": _unsigned(100 if self.state is State.COMPLETED else self.percent),
            "Error": _octets(self.error, LONGEST_ERROR),
            "Job": _unsigned(self.job),
            "Owner": _octets(self.owner, LONGEST_NAME),
            "Summary": _octets(self.summary, LONGEST_NAME),
            "Submitted": _date(self.submitted),
            "Finished": _date(self.finished),
            "RowStatus": ber.encode_integer(self.status),
        }
        return Block([((self.index,), _record(ROWS, values))])

    @functools.cached_property
    def arguments(self) -> Block:
        """Its rows of virtmapOperationArgumentTable."""
        return Block(self._argument_rows())

    def _argument_rows(self) -> Iterable[tuple[Oid, tuple[bytes | None, ...]]]:
        for f in sorted(self.operation.arguments() if self.operation else (), key=lambda f: f.number or 0):
            for chunk in self._chunks(f) or [1]:
                part = self.parts.get((f.number or 0, chunk))
                values = {
                    "ArgumentName": _octets(f.name, LONGEST_NAME),
                    "ArgumentValue": self._argument_value(f, part),
                    "ArgumentSize": None if part is None or f.semantic.secret else _unsigned(len(part)),
                }
                yield (self.index, f.number or 0, chunk), _record(ARGUMENTS, values)

    def _argument_value(self, argument: Field, part: bytes | None) -> bytes | None:
        if not shown(argument):
            return None
        if part is not None:
            return ber.element(ber.OCTETS, part)
        return (
            None
            if argument.required or argument.default is None
            else _octets(canonical(argument.default), LONGEST_ERROR)
        )


def _record(table: mib.OwnTable, values: Mapping[str, bytes | None]) -> tuple[bytes | None, ...]:
    return tuple(values[o.name.removeprefix("virtmapOperation")] for o in table.readable)


def _gap(numbers: Sequence[int]) -> int:
    """The first number that is missing."""
    return next(n for n in range(1, len(numbers) + 2) if n not in numbers)
