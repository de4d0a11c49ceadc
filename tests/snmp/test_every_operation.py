"""Every operation of the mapping through the operation table: run, and refused in all the ways there are, each with its error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.errors import Failed
from agent.model import MODEL, Job
from agent.schema.declare import Access, Field, Index, Operation, Role
from agent.schema.types import Secret, canonical
from agent.snmp import mib
from agent.snmp.message import Status
from agent.snmp.operation_mib import State
from tests import wire
from tests.agents import looped, until
from tests.samples import sample
from tests.snmp.test_operation_table import GO, ZERO, Bench, argument, at, bench
from tests.wire import Oid

OPERATIONS = [o for o in MODEL.operations if not o.on.internal]
TABLES = {t.row: t for t in mib.project(MODEL).tables}


@asynccontextmanager
async def prepared(operation: type[Operation]) -> AsyncIterator[Bench]:
    """An agent whose spool directory is none, and whose hypervisor allows the operation on the first row it can be asked of."""
    async with bench("fake:///?domains=3&statistics=1") as b:
        yield b


def target(b: Bench, operation: type[Operation]) -> Oid:
    """An instance of a row in which the operation makes sense, or of any; zeroDotZero for the host."""
    row = operation.on
    if row.index is Index.SCALAR:
        return (0, 0)
    snapshot = b.world.inventory.snapshot.table(row)
    allowed = operation.allowed
    places = range(len(snapshot))
    fitting = (i for i in places if allowed is None or getattr(snapshot.at(i), allowed.column) in allowed.values)
    table = TABLES[row]
    return (*table.readable[0].oid, *snapshot.indexes[next(fitting, 0)])


def text_of(field: Field, given: object) -> str:
    return given.reveal() if isinstance(given, Secret) else canonical(given)


def arguments(row: int, operation: Operation, *, leave_out: Field | None = None) -> list[tuple[Oid, bytes]]:
    needed = [f for f in type(operation).arguments() if f.required and f is not leave_out]
    return [argument(row, f.number or 0, text_of(f, operation.values[f.position])) for f in needed]


def made(kind: type[Operation]) -> Operation:
    given = {f.name: "<a/>" for f in kind.arguments() if f.required and f.semantic.name == "Xml"}
    return sample(kind, **given)


def asking(b: Bench, row: int, kind: type[Operation], where: Oid | None = None) -> list[tuple[Oid, bytes]]:
    oid = (*mib.OPERATIONS, kind.on.table, kind.number)
    where = target(b, kind) if where is None else where
    named = [(at("Operation", row), wire.name(oid))]
    return named if where == (0, 0) else [*named, (at("Target", row), wire.name(where))]


async def refusal(b: Bench, kind: type[Operation]) -> str:
    """What the audit trail comes to say of this operation."""
    records = b.world.trail.records
    found = await until(lambda: [r for r in records if r["operation"] == kind.__name__], "the audit line")
    return found[-1]["result"]


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda o: o.__name__)
def test_an_operation_is_refused_in_all_the_ways_there_are(kind: type[Operation]) -> None:
    @looped
    async def run() -> None:
        async with prepared(kind) as b:
            operation = made(kind)
            needed = [f for f in kind.arguments() if f.required]
            await _too_little(b, kind, operation, needed)
            await _wrong_types(b, kind, operation)
            await _gone(b, kind, operation)
            await _denied(b, kind, operation)
            await _failing(b, kind, operation)

    run()


async def _too_little(b: Bench, kind: type[Operation], operation: Operation, needed: list[Field]) -> None:
    """Without an argument that it needs, the row is not ready, and nothing happens."""
    for field in needed:
        pairs = [*asking(b, 1, kind), *arguments(1, operation, leave_out=field), (at("RowStatus", 1), GO)]
        answer = await b.set(*pairs, who="boss")
        assert Status(answer.status) is Status.INCONSISTENT_VALUE, field.name
    assert not b.world.fake.performed


async def _wrong_types(b: Bench, kind: type[Operation], operation: Operation) -> None:
    """A value that is none of its type is refused where it was set."""
    for field in kind.arguments():
        if field.semantic.python is str and field.semantic.name not in ("Uuid", "Mac"):
            bad: list[str | bytes] = [b"\xff\xfe"]
        elif field.semantic.python is Secret:
            bad = [b"\xff"]
        else:
            bad = ["no such value", b"\xff"]
        if (
            field.semantic.python is int
            and field.semantic.high is not None
            and field.enumeration is None
            and field.flags is None
        ):
            bad.append(str(field.semantic.high + 1))
        for value in bad:
            pairs = [*asking(b, 1, kind)]
            others = [p for p in arguments(1, operation) if p[0] != at("ArgumentValue", 1, field.number or 0, 1)]
            answer = await b.set(
                *pairs, *others, argument(1, field.number or 0, value), (at("RowStatus", 1), GO), who="boss"
            )
            assert Status(answer.status) is Status.WRONG_VALUE, (field.name, value)
            assert answer.index == len(pairs) + len(others) + 1
    assert not b.world.fake.performed


async def _gone(b: Bench, kind: type[Operation], operation: Operation) -> None:
    """A target that is not there is refused before anything is done."""
    if kind.on.index is Index.SCALAR:
        return
    where = target(b, kind)
    vanished = (*where[:-1], 2**31 - 1)
    answer = await b.set(*asking(b, 1, kind, vanished), *arguments(1, operation), (at("RowStatus", 1), GO), who="boss")
    assert Status(answer.status) is Status.INCONSISTENT_VALUE
    other = (*mib.OBJECTS, 1, 2, 0) if kind.on is not MODEL.row("Host") else ZERO
    answer = await b.set(*asking(b, 1, kind, other), *arguments(1, operation), (at("RowStatus", 1), GO), who="boss")
    assert Status(answer.status) is not Status.NO_ERROR
    assert not b.world.fake.performed


async def _denied(b: Bench, kind: type[Operation], operation: Operation) -> None:
    """Who may not is told so, and it is kept for the audit trail."""
    if kind.needs <= Access.OPERATE:
        return
    b.world.engine.refusals.clear()
    answer = await b.set(*asking(b, 1, kind), *arguments(1, operation), (at("RowStatus", 1), GO), who="first")
    assert Status(answer.status) is Status.NO_ACCESS
    (told,) = b.world.engine.refusals
    assert told.principal.name == "first"
    assert kind.__name__ in told.reason
    assert kind.needs.name.lower() in told.reason
    assert not b.world.fake.performed


async def _failing(b: Bench, kind: type[Operation], operation: Operation) -> None:
    """What the hypervisor refuses fails with its own words, in the row, the job and the audit trail."""
    b.world.fake.refuse(kind, Failed("host: it would not"))
    answer = await b.set(*asking(b, 2, kind), *arguments(2, operation), (at("RowStatus", 2), GO), who="boss")
    if kind.moves is not None:  # without a spool directory there is no place for the data
        assert Status(answer.status) is Status.NO_ERROR
        assert await b.ended(2) is State.FAILED
        return
    assert Status(answer.status) is Status.NO_ERROR
    assert await b.ended(2) is State.FAILED
    assert b.value("Error", 2) == b"host: it would not"
    jobs = list(b.world.inventory.snapshot.table(Job).rows())
    assert jobs[-1].as_dict()["error"] == "host: it would not"
    assert (await refusal(b, kind)) == "host: it would not"
    b.world.fake.refuse(kind, None)


@pytest.mark.parametrize("kind", [o for o in OPERATIONS if o.moves is None], ids=lambda o: o.__name__)
def test_an_operation_runs_and_its_results_are_of_their_types(kind: type[Operation]) -> None:
    @looped
    async def run() -> None:
        async with prepared(kind) as b:
            operation = made(kind)
            await b.done(*asking(b, 3, kind), *arguments(3, operation), (at("RowStatus", 3), GO), who="boss")
            state = await b.ended(3)
            if state is State.FAILED:
                assert b.world.fake.performed, b.value("Error", 3)
                return
            names = {name for (column, *_), name in b.walk(905).items() if column == 3}
            assert names <= {f.name.encode() for f in kind.fields if f.role is Role.OUT}

    run()


def test_there_is_no_operation_without_a_test() -> None:
    assert {o for o in MODEL.operations if o not in OPERATIONS} == {o for o in MODEL.operations if o.on is Job}
