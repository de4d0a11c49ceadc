"""The operation table: rows that run operations, with arguments and results in chunks, and all the ways to be refused."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from agent import manual
from agent.errors import Failed
from agent.model import MODEL
from agent.model.domain import DomainState, SetMemory, SetUserPassword, Suspend
from agent.model.job import JobState
from agent.schema.declare import Access
from agent.schema.types import Secret
from agent.snmp import operation_mib
from agent.snmp.message import Status
from agent.snmp.mib import MaxAccess
from agent.snmp.operation_entry import chunks
from agent.snmp.operation_mib import BY_NAME, MODULE, RESULT_CHUNK, State
from agent.snmp.operation_table import _HEARD, Limits, OperationTable
from agent.snmp.security import Community
from agent.snmp.setting import carry_out
from agent.snmp.standards import Place, Standard
from tests import wire
from tests.agents import LOOPBACK, World, looped, until, world
from tests.wire import NO_SUCH_INSTANCE, Answer, Oid, oid

OURS = oid("1.3.6.1.4.1.36957.20")
READ_XML, SET_MEMORY, SUSPEND, SET_PASSWORD = ((*OURS, 3, 2, n) for n in (12, 9, 6, 13))
DEFINE, CAPABILITIES = ((*OURS, 3, 1, n) for n in (1, 2))
COMMUNITIES = tuple(
    Community(name=name.encode(), label=name, role=role, sources=LOOPBACK, hypervisor="default")
    for name, role in (
        ("public", Access.OBSERVE), ("first", Access.OPERATE), ("second", Access.OPERATE), ("boss", Access.ADMINISTER),
    )
)  # fmt: skip
ZERO = wire.name((0, 0))
GO, WAIT, ACTIVE, NOT_IN_SERVICE, NOT_READY, DESTROY = (wire.number(n) for n in (4, 5, 1, 2, 3, 6))
PASSWORD = "correct horse"


def at(name: str, *instance: int) -> Oid:
    return (*BY_NAME[f"virtmapOperation{name}"].oid, *instance)


@dataclass
class Bench:
    """An agent with the table, and a manager of it. `now` is what the table takes for the time."""

    world: World
    table: OperationTable
    now: list[float]
    requests: Any

    async def set(self, *pairs: tuple[Oid, bytes], who: str = "first") -> Answer:
        return await self.world.write(*pairs, community=who.encode(), request=next(self.requests))

    async def done(self, *pairs: tuple[Oid, bytes], who: str = "first") -> None:
        answer = await self.set(*pairs, who=who)
        assert (Status(answer.status), answer.index) == (Status.NO_ERROR, 0)

    async def refused(self, status: Status, index: int, *pairs: tuple[Oid, bytes], who: str = "first") -> None:
        answer = await self.set(*pairs, who=who)
        assert (Status(answer.status), answer.index) == (status, index)

    def value(self, name: str, *instance: int) -> Any:
        """A number, an octet string, or None where there is no instance."""
        _, tag, value = self.world.read(wire.get(at(name, *instance))).variables[0]
        if tag in (wire.OCTETS, wire.OID):
            return value
        return None if tag == NO_SUCH_INSTANCE else int.from_bytes(value, "big", signed=True)

    def state(self, row: int) -> State | None:
        number = self.value("State", row)
        return None if number is None else State(number)

    async def ended(self, row: int) -> State:
        """How the operation of a row ended."""

        def ended() -> State | None:
            state = self.state(row)
            return None if state in (State.PENDING, State.RUNNING) else state

        return await until(ended, f"the end of row {row}")

    def walk(self, table: int) -> dict[Oid, bytes]:
        """All values of one table, by what stands behind its entry."""
        under = (*OURS, 1, table)
        found = {}
        name: Oid = under
        while True:
            name, tag, value = self.world.read(wire.getnext(name)).variables[0]
            if tag == wire.END_OF_MIB_VIEW or name[: len(under)] != under:
                return found
            found[name[len(under) + 1 :]] = value

    def result(self, row: int, number: int) -> bytes:
        parts = [value for name, value in self.walk(905).items() if name[:3] == (4, row, number)]
        return b"".join(parts)

    def asking(self, row: int, operation: Oid, target: str | None = None) -> list[tuple[Oid, bytes]]:
        """The variables that name an operation and its target."""
        named = [(at("Operation", row), wire.name(operation))]
        return named if target is None else [*named, (at("Target", row), wire.name(self.world.column(4, target)))]


@asynccontextmanager
async def bench(uri: str = "fake:///?domains=3", *, limits: Limits | None = None, **more: Any) -> AsyncIterator[Bench]:
    made: list[OperationTable] = []
    now = [5000.0]

    def serve(place: Place) -> Standard:
        made.append(OperationTable(place, limits=limits, clock=lambda: now[0]))
        return made[0]

    async with world(uri, serves=(serve,), communities=COMMUNITIES, **more) as w:
        yield Bench(w, made[0], now, itertools.count(1))


def argument(row: int, number: int, value: str | bytes, chunk: int = 1) -> tuple[Oid, bytes]:
    return at("ArgumentValue", row, number, chunk), wire.text(value)


# --- running


@looped
async def test_one_set_runs_an_operation_and_its_result_is_read_in_chunks() -> None:
    async with bench() as b:
        await b.done(*b.asking(7, READ_XML, "guest2"), (at("RowStatus", 7), GO))
        assert await b.ended(7) is State.COMPLETED
        whole = b.result(7, 2)
        assert whole.startswith(b"<domain")
        assert whole.endswith(b"</domain>")
        assert b"<name>guest2</name>" in whole
        assert len(whole) == b.value("ResultSize", 7, 2, 1) > RESULT_CHUNK
        assert b.value("ResultName", 7, 2, 2) == b"xml"
        assert (b.value("Progress", 7), b.value("Error", 7), b.value("RowStatus", 7)) == (100, b"", 1)
        assert b.value("Summary", 7) == b"ReadXml of domain guest2"
        assert b.value("Owner", 7) == b"first"


@looped
async def test_a_run_is_a_job_and_leaves_an_audit_record() -> None:
    async with bench() as b:
        await b.done(*b.asking(7, SUSPEND, "guest1"), (at("RowStatus", 7), GO))
        assert await b.ended(7) is State.COMPLETED
        number = b.value("Job", 7)
        (job,) = [j.replace() for j in b.world.inventory.snapshot.table(MODEL.row("Job")).rows()]
        assert (job.number, job.operation, job.state) == (number, "Suspend", JobState.COMPLETED)
        (record,) = b.world.trail.records
        assert (record["principal"], record["operation"], record["result"]) == ("first", "Suspend", "done")
        assert b.world.domain("guest1").state is DomainState.PAUSED


@looped
async def test_while_it_runs_a_row_says_so_and_cannot_be_taken_away() -> None:
    async with bench() as b:
        b.world.fake.hang("guest1")
        await b.done(*b.asking(7, SUSPEND, "guest1"), (at("RowStatus", 7), GO))
        await until(lambda: b.value("Job", 7), "the job")
        assert (b.state(7), b.value("Progress", 7), b.value("Finished", 7)) == (State.RUNNING, None, None)
        assert len(b.value("Submitted", 7)) == 11
        await b.refused(Status.INCONSISTENT_VALUE, 1, (at("RowStatus", 7), DESTROY))
        await b.refused(Status.INCONSISTENT_VALUE, 1, (at("RowStatus", 7), NOT_IN_SERVICE))
        await b.refused(Status.INCONSISTENT_VALUE, 1, (at("Target", 7), ZERO))
        await b.done((at("RowStatus", 7), ACTIVE))
        await b.done((at("Lifetime", 7), wire.number(60, wire.UNSIGNED)))
        b.world.fake.release()
        assert await b.ended(7) is State.COMPLETED
        assert b.value("Lifetime", 7) == 60
        assert [type(o) for o, _ in b.world.fake.performed] == [Suspend]
        await b.done((at("RowStatus", 7), DESTROY))
        assert b.state(7) is None
        assert not b.walk(903)


@looped
async def test_a_row_can_be_put_together_step_by_step() -> None:
    async with bench() as b:
        await b.done((at("RowStatus", 7), WAIT))
        assert (b.value("RowStatus", 7), b.state(7)) == (3, State.PENDING)
        await b.done((at("Operation", 7), wire.name(SET_MEMORY)))
        assert b.walk(904) == {(3, 7, 1, 1): b"memory", (3, 7, 2, 1): b"impact", (4, 7, 2, 1): b"0"}
        await b.refused(Status.INCONSISTENT_VALUE, 1, (at("RowStatus", 7), ACTIVE))
        await b.done(argument(7, 1, "0x80000"))
        await b.done((at("Target", 7), wire.name(b.world.column(21, "guest3"))))
        assert b.value("RowStatus", 7) == 2
        assert b.value("ArgumentValue", 7, 1, 1) == b"0x80000"
        await b.done((at("RowStatus", 7), ACTIVE))
        assert await b.ended(7) is State.COMPLETED
        assert b.world.fake.performed[-1][0] == SetMemory(memory=0x80000)


@looped
async def test_a_row_that_ended_can_be_used_again() -> None:
    async with bench() as b:
        await b.done(*b.asking(7, READ_XML, "guest1"), (at("RowStatus", 7), GO))
        await b.ended(7)
        first = b.value("Job", 7)
        await b.done((at("RowStatus", 7), NOT_IN_SERVICE))
        assert (b.state(7), b.value("Job", 7), b.walk(905)) == (State.PENDING, None, {})
        await b.done((at("Target", 7), wire.name(b.world.column(4, "guest2"))), (at("RowStatus", 7), ACTIVE))
        assert await b.ended(7) is State.COMPLETED
        assert b.value("Job", 7) > first
        assert b"<name>guest2</name>" in b.result(7, 2)


@looped
async def test_an_operation_of_the_host_needs_no_target() -> None:
    async with bench() as b:
        await b.done(*b.asking(1, CAPABILITIES), (at("RowStatus", 1), GO))
        named = (at("Target", 2), wire.name((*OURS, 1, 1, 2, 0)))
        await b.done(*b.asking(2, CAPABILITIES), named, (at("RowStatus", 2), GO))
        assert (await b.ended(1), await b.ended(2)) == (State.COMPLETED, State.COMPLETED)
        assert b.result(1, 1) == b.result(2, 1) != b""


@looped
async def test_what_the_hypervisor_says_against_it_stands_in_the_row_and_in_the_audit_trail() -> None:
    async with bench() as b:
        b.world.fake.refuse(Suspend, Failed("domain guest1: the monitor is gone"))
        await b.done(*b.asking(7, SUSPEND, "guest1"), (at("RowStatus", 7), GO))
        assert await b.ended(7) is State.FAILED
        assert b.value("Error", 7) == b"domain guest1: the monitor is gone"
        assert (b.value("Progress", 7), b.value("RowStatus", 7), b.walk(905)) == (None, 1, {})
        assert b.world.trail.records[-1]["result"] == "domain guest1: the monitor is gone"


@looped
async def test_what_does_not_end_in_time_is_abandoned() -> None:
    async with bench(limit=0.05) as b:
        b.world.fake.hang("guest1")
        await b.done(*b.asking(7, SUSPEND, "guest1"), (at("RowStatus", 7), GO))
        assert await b.ended(7) is State.ABANDONED
        assert b"no answer" in b.value("Error", 7)


# --- long and secret arguments


@looped
async def test_a_long_argument_is_given_in_chunks_that_may_split_a_character() -> None:
    async with bench() as b:
        text = "\u00e4" * 3000
        xml = (
            f"<domain type='kvm'><name>made</name><description>{text}</description><memory>1048576</memory>"
            "<vcpu>1</vcpu><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"
        ).encode()
        odd = xml.index("\u00e4".encode()) + 1
        parts = [xml[:odd], xml[odd : odd + 4096], xml[odd + 4096 :]]
        await b.done(*b.asking(7, DEFINE), (at("RowStatus", 7), WAIT), who="boss")
        await b.done(argument(7, 1, parts[2], 3), who="boss")
        await b.done(argument(7, 1, parts[0], 1), who="boss")
        await b.refused(Status.INCONSISTENT_VALUE, 1, (at("RowStatus", 7), ACTIVE), who="boss")
        assert b.value("RowStatus", 7) == 3
        await b.done(argument(7, 1, parts[1], 2), (at("RowStatus", 7), ACTIVE), who="boss")
        assert await b.ended(7) is State.COMPLETED
        assert b.result(7, 3).decode() == str(b.world.fake.find("made")[0])
        operation, _ = b.world.fake.performed[-1]
        assert operation.values[0] == xml.decode()
        assert [b.value("ArgumentValue", 7, 1, n) for n in (1, 2, 3)] == [None, None, None]
        assert [b.value("ArgumentSize", 7, 1, n) for n in (1, 2, 3)] == [len(p) for p in parts]


@looped
async def test_a_secret_can_be_written_and_is_seen_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    async with bench() as b:
        caplog.set_level(1)
        before = (*b.asking(7, SET_PASSWORD, "guest1"), argument(7, 1, "root"), argument(7, 2, PASSWORD))
        await b.done(*before, (at("RowStatus", 7), WAIT), who="boss")
        assert b.value("RowStatus", 7) == 2
        assert b.value("ArgumentName", 7, 2, 1) == b"password"
        assert (b.value("ArgumentValue", 7, 2, 1), b.value("ArgumentSize", 7, 2, 1)) == (None, None)
        assert PASSWORD not in repr(b.table._rows)
        await b.done((at("RowStatus", 7), ACTIVE), who="boss")
        assert await b.ended(7) is State.COMPLETED
        assert b.world.fake.performed[-1][0] == SetUserPassword(user="root", password=Secret(PASSWORD))
        every = b.world.read(wire.getbulk(0, 2000, OURS)).variables
        assert PASSWORD.encode() not in b"".join(value for _, _, value in every)
        assert PASSWORD not in caplog.text + repr(b.world.trail.records)
        assert b.value("ArgumentValue", 7, 1, 1) == b"root"
        await b.done((at("RowStatus", 7), NOT_IN_SERVICE), who="boss")
        assert b.value("RowStatus", 7) == 3  # the password is forgotten, and has to be given again


@looped
async def test_a_wrong_secret_is_not_told_again() -> None:
    async with bench() as b:
        pairs = (*b.asking(7, SET_PASSWORD, "guest1"), argument(7, 1, "root"), argument(7, 2, b"\xffhorse"))
        await b.refused(Status.WRONG_VALUE, 4, *pairs, (at("RowStatus", 7), GO), who="boss")
        assert "it is not UTF-8" in b.world.engine.refusals[-1].reason
        assert "horse" not in repr(b.world.engine.refusals)


@pytest.mark.parametrize("size", [4, 5, 7, 1024])
def test_chunks_are_as_long_as_may_be_and_end_between_characters(size: int) -> None:
    chance = random.Random(size)
    for _ in range(200):
        text = "".join(chance.choice("a\u00e4\u20ac\U0001f600") for _ in range(chance.randrange(3 * size)))
        parts = chunks(text.encode(), size)
        assert "".join(p.decode() for p in parts) == text
        assert all(size - 4 < len(p) <= size for p in parts[:-1])
        assert len(parts[-1]) <= size


def test_chunks_end_after_a_line_where_lines_are_short() -> None:
    text = "".join(f"  <line number='{n}'/>\n" for n in range(200)).encode()
    parts = chunks(text, 1024)
    assert b"".join(parts) == text
    assert all(p.endswith(b"/>\n") for p in parts)
    assert len(parts) <= len(text) // 512
    assert [len(p) for p in chunks(b"\n" + b"x" * 2000, 1024)] == [1024, 977]


# --- who may


@looped
async def test_a_row_belongs_to_whoever_made_it() -> None:
    async with bench() as b:
        await b.done(*b.asking(7, SET_MEMORY, "guest1"), (at("RowStatus", 7), WAIT))
        for pair in (
            (at("RowStatus", 7), DESTROY), (at("RowStatus", 7), GO), (at("Target", 7), ZERO), argument(7, 1, "1"),
            (at("Lifetime", 7), wire.number(1, wire.UNSIGNED)),
        ):  # fmt: skip
            await b.refused(Status.NO_ACCESS, 1, pair, who="second")
            await b.refused(Status.NO_ACCESS, 1, pair, who="boss")
        assert b.value("RowStatus", 7) == 3


@looped
async def test_an_operation_needs_the_role_that_it_needs_elsewhere() -> None:
    async with bench() as b:
        await b.refused(Status.NO_ACCESS, 2, (at("RowStatus", 7), WAIT), *b.asking(7, DEFINE))
        await b.refused(Status.NO_ACCESS, 1, *b.asking(7, SET_PASSWORD, "guest1"), (at("RowStatus", 7), GO))
        assert not b.walk(903)
        assert not b.world.fake.performed


@looped
async def test_a_community_that_observes_writes_nothing() -> None:
    async with bench() as b:
        pairs = (*b.asking(7, READ_XML, "guest1"), (at("RowStatus", 7), GO))
        await b.refused(Status.NO_ACCESS, 1, *pairs, who="public")


# --- what is wrong


@looped
async def test_each_variable_is_tested_for_itself() -> None:
    async with bench() as b:
        name = b.world.column(4, "guest1")
        await b.done(*b.asking(5, SET_MEMORY), (at("RowStatus", 5), WAIT))
        wrong: list[tuple[Status, Oid, bytes]] = [
            (Status.WRONG_TYPE, at("Operation", 7), wire.text("1.3")),
            (Status.WRONG_TYPE, at("Target", 7), wire.number(1)),
            (Status.WRONG_TYPE, at("Lifetime", 7), wire.number(1)),
            (Status.WRONG_TYPE, at("RowStatus", 7), wire.number(4, wire.UNSIGNED)),
            (Status.WRONG_TYPE, at("ArgumentValue", 5, 1, 1), wire.number(1)),
            (Status.WRONG_LENGTH, at("ArgumentValue", 5, 1, 1), wire.text(bytes(4097))),
            (Status.WRONG_VALUE, at("Operation", 7), wire.name((*OURS, 3, 2, 999))),
            (Status.WRONG_VALUE, at("Operation", 7), wire.name((1, 3))),
            (Status.WRONG_VALUE, at("Target", 7), wire.name((1, 3, 6))),
            (Status.WRONG_VALUE, at("Target", 7), wire.name(name[:-1])),
            (Status.WRONG_VALUE, at("Target", 7), wire.name((*name, 1))),
            (Status.WRONG_VALUE, at("Target", 7), wire.name((*name[:-2], 1, 1))),
            (Status.WRONG_VALUE, at("Target", 7), wire.name((*OURS, 1, 1, 2, 1))),
            (Status.WRONG_VALUE, at("Lifetime", 7), wire.number(604801, wire.UNSIGNED)),
            (Status.WRONG_VALUE, at("RowStatus", 7), NOT_READY),
            (Status.WRONG_VALUE, at("RowStatus", 7), wire.number(0)),
            (Status.WRONG_VALUE, at("ArgumentValue", 5, 1, 1), wire.text("much")),
            (Status.WRONG_VALUE, at("ArgumentValue", 5, 1, 1), wire.text("0")),
            (Status.WRONG_VALUE, at("ArgumentValue", 5, 1, 1), wire.text("")),
            (Status.WRONG_VALUE, at("ArgumentValue", 5, 2, 1), wire.text("4")),
            (Status.NO_CREATION, at("RowStatus", 0), GO),
            (Status.NO_CREATION, at("RowStatus", 2**31), GO),
            (Status.NO_CREATION, at("RowStatus"), GO),
            (Status.NO_CREATION, at("RowStatus", 7, 1), GO),
            (Status.NO_CREATION, at("ArgumentValue", 5, 1), wire.text("1")),
            (Status.NO_CREATION, at("ArgumentValue", 5, 0, 1), wire.text("1")),
            (Status.NO_CREATION, at("ArgumentValue", 5, 1, 0), wire.text("1")),
            (Status.NO_CREATION, at("ArgumentValue", 5, 1, 65536), wire.text("1")),
            (Status.INCONSISTENT_NAME, at("Target", 7), ZERO),
            (Status.INCONSISTENT_NAME, at("Lifetime", 7), wire.number(1, wire.UNSIGNED)),
            (Status.INCONSISTENT_NAME, at("ArgumentValue", 7, 1, 1), wire.text("1")),
            (Status.INCONSISTENT_NAME, at("ArgumentValue", 5, 3, 1), wire.text("1")),
            (Status.INCONSISTENT_NAME, at("ArgumentValue", 5, 1, 2), wire.text("1")),
            (Status.INCONSISTENT_VALUE, at("RowStatus", 7), ACTIVE),
            (Status.INCONSISTENT_VALUE, at("RowStatus", 7), NOT_IN_SERVICE),
            (Status.INCONSISTENT_VALUE, at("RowStatus", 7), GO),
            (Status.INCONSISTENT_VALUE, at("RowStatus", 5), WAIT),
            (Status.INCONSISTENT_VALUE, at("Target", 5), wire.name((*OURS, 1, 1, 2, 0))),
            (Status.NOT_WRITABLE, at("State", 5), wire.number(1)),
            (Status.NOT_WRITABLE, at("Owner", 5), wire.text("me")),
            (Status.NOT_WRITABLE, at("ResultValue", 5, 1, 1), wire.text("me")),
            (Status.NOT_WRITABLE, at("ArgumentName", 5, 1, 1), wire.text("me")),
            (Status.NOT_WRITABLE, at("Next", 0), wire.number(1, wire.UNSIGNED)),
        ]
        before = b.walk(903) | b.walk(904)
        for status, name, value in wrong:
            answer = await b.set((name, value))
            assert (name, Status(answer.status), answer.index) == (name, status, 1)
        await b.done((at("RowStatus", 7), DESTROY))  # of a row that is not there, says RFC 2579
        assert b.walk(903) | b.walk(904) == before
        assert not b.world.fake.performed


@looped
async def test_create_and_go_needs_all_that_it_needs() -> None:
    async with bench() as b:
        memory, target, go = argument(7, 1, "1024"), b.asking(7, SET_MEMORY, "guest1")[1], (at("RowStatus", 7), GO)
        operation = (at("Operation", 7), wire.name(SET_MEMORY))
        await b.refused(Status.INCONSISTENT_NAME, 2, target, memory, go)
        await b.refused(Status.INCONSISTENT_VALUE, 3, memory, operation, go)
        await b.refused(Status.INCONSISTENT_VALUE, 2, target, go, operation)
        gone = (
            (at("Target", 7), wire.name((*target[0][:-1], 99))),
            (at("Target", 7), wire.name((*OURS, 1, 2, 1, 4, 99))),
        )
        await b.refused(Status.INCONSISTENT_VALUE, 2, operation, gone[1], memory, go)
        assert "the target is not there" in b.world.engine.refusals[-1].reason
        await b.done(go, memory, target, operation)
        assert await b.ended(7) is State.COMPLETED


@looped
async def test_one_set_asks_for_one_operation() -> None:
    async with bench() as b:
        one = (*b.asking(1, SUSPEND, "guest1"), (at("RowStatus", 1), GO))
        other = (*b.asking(2, SUSPEND, "guest2"), (at("RowStatus", 2), GO))
        await b.refused(Status.INCONSISTENT_VALUE, 6, *one, *other)
        assert not b.walk(903)
        assert not b.world.fake.performed


@looped
async def test_what_one_set_did_is_taken_back_when_another_part_of_it_fails() -> None:
    async with bench() as b:
        await b.done(*b.asking(1, SET_MEMORY, "guest1"), argument(1, 1, "77"), (at("RowStatus", 1), WAIT))
        before = b.walk(903) | b.walk(904)
        b.world.fake.refuse(SetMemory, Failed("no"))
        failing = (b.world.column(1021, "guest1"), wire.number(2048, wire.UNSIGNED))
        pairs = ((at("RowStatus", 1), DESTROY), (at("RowStatus", 2), WAIT), (at("RowStatus", 3), WAIT), failing)
        await b.refused(Status.COMMIT_FAILED, 4, *pairs)
        assert b.walk(903) | b.walk(904) == before


@looped
async def test_a_row_that_changes_between_test_and_commit_is_left_alone() -> None:
    async with bench() as b:
        pairs = [(at("RowStatus", 7), WAIT)]
        first = b.world.ask(wire.setting(pairs, request=501, community=b"first"))
        await b.done(*b.asking(7, SET_MEMORY, "guest1"), *pairs)
        answer = b.world.engine.finish(first, *await carry_out(first, b.world.operations))
        assert wire.answered(answer).error == (Status.COMMIT_FAILED, 1)
        assert b.value("Summary", 7) == b"SetMemory"


@looped
async def test_whatever_is_set_has_an_answer_and_what_is_shown_stays_sound() -> None:
    async with bench(limits=Limits(rows_of_user=4, rows=6, arguments=6000, all_arguments=9000, results=4000)) as b:
        chance = random.Random(903)
        objects = ["Operation", "Target", "Lifetime", "RowStatus", "ArgumentValue", "State", "ResultValue"]
        values = [
            ZERO, GO, GO, WAIT, ACTIVE, NOT_IN_SERVICE, DESTROY, NOT_READY, wire.number(0, wire.UNSIGNED),
            wire.number(9, wire.UNSIGNED), wire.text("1"), wire.text("\u00e4" * 600), wire.text(bytes(4096)), b"\x05\x00",
            *(wire.name(o) for o in (READ_XML, SET_MEMORY, SUSPEND, SET_PASSWORD, DEFINE, CAPABILITIES)),
            wire.name(b.world.column(4, "guest1")), wire.name((*OURS, 1, 1, 2, 0)), b"\x06\x01\x80",
            b"\x02\x05\xff\xff\xff\xff\xff",
        ]  # fmt: skip
        seen = set()
        for _ in range(1500):
            pairs = []
            for _ in range(chance.randrange(1, 7)):
                name = chance.choice(objects)
                row, more = chance.randrange(0, 5), [chance.randrange(0, 4) for _ in range(2)]
                pairs.append(
                    (at(name, row, *(more if name in ("ArgumentValue", "ResultValue") else ())), chance.choice(values))
                )
            answer = await b.set(*pairs, who=chance.choice(["first", "second", "boss", "public"]))
            seen.add(Status(answer.status))
            b.now[0] += chance.random()
        assert {Status.NO_ERROR, Status.INCONSISTENT_VALUE, Status.NO_ACCESS, Status.WRONG_TYPE} <= seen
        assert seen.isdisjoint({Status.GEN_ERR, Status.UNDO_FAILED})
        await until(lambda: not any(state[0] == State.RUNNING for name, state in b.walk(903).items() if name[0] == 5))
        rows = [name[1] for name in b.walk(903) if name[0] == 13]
        assert rows == sorted(set(rows))
        assert len(rows) <= 6
        assert {name[1] for name in b.walk(904)} <= set(rows)
        assert sum(e.octets for e in b.table._rows.values()) <= 9000


# --- limits


@looped
async def test_a_user_has_so_many_rows_and_those_that_ended_make_room() -> None:
    async with bench(limits=Limits(rows_of_user=2)) as b:
        await b.done((at("RowStatus", 1), WAIT))
        await b.refused(Status.RESOURCE_UNAVAILABLE, 2, (at("RowStatus", 2), WAIT), (at("RowStatus", 3), WAIT))
        await b.done(*b.asking(2, READ_XML, "guest1"), (at("RowStatus", 2), GO))
        await b.ended(2)
        await b.done((at("RowStatus", 3), WAIT))
        assert [b.state(n) for n in (1, 2, 3)] == [State.PENDING, None, State.PENDING]
        await b.refused(Status.RESOURCE_UNAVAILABLE, 1, (at("RowStatus", 4), WAIT))
        await b.done((at("RowStatus", 4), WAIT), who="second")


@looped
async def test_of_all_rows_those_that_ended_longest_ago_make_room() -> None:
    async with bench(limits=Limits(rows=3)) as b:
        for row, who in ((1, "first"), (2, "second"), (3, "first")):
            b.now[0] += 1
            await b.done(*b.asking(row, READ_XML, "guest1"), (at("RowStatus", row), GO), who=who)
            await b.ended(row)
        await b.done((at("RowStatus", 4), WAIT), who="second")
        assert [b.state(n) is None for n in (1, 2, 3)] == [False, True, False]  # his own first
        await b.done((at("RowStatus", 5), WAIT), (at("RowStatus", 6), WAIT), who="second")
        await b.refused(Status.RESOURCE_UNAVAILABLE, 1, (at("RowStatus", 7), WAIT))
        assert sorted(name[1] for name in b.walk(903) if name[0] == 13) == [4, 5, 6]


@looped
async def test_a_user_runs_so_many_operations_at_a_time() -> None:
    async with bench() as b:
        b.world.operations.per_principal = 2
        b.world.fake.hang()
        for row in (1, 2):
            await b.done(*b.asking(row, READ_XML, "guest1"), (at("RowStatus", row), GO))
            await until(lambda row=row: b.value("Job", row), "the job")  # type: ignore[misc]
        third = (*b.asking(3, READ_XML, "guest1"), (at("RowStatus", 3), GO))
        await b.refused(Status.RESOURCE_UNAVAILABLE, 3, *third)
        assert b.value("RunLimit", 0) == 2
        await b.done(*third, who="second")
        b.world.fake.release()
        assert {await b.ended(row) for row in (1, 2, 3)} == {State.COMPLETED}


@looped
async def test_arguments_have_room_in_their_row_and_in_all() -> None:
    async with bench(limits=Limits(arguments=5000, all_arguments=9000)) as b:
        for row in (1, 2):
            await b.done(*b.asking(row, DEFINE), (at("RowStatus", row), WAIT), who="boss")
            await b.done(argument(row, 1, bytes(4000)), who="boss")
        await b.done(argument(1, 1, bytes(4096)), who="boss")
        await b.refused(Status.RESOURCE_UNAVAILABLE, 1, argument(1, 1, bytes(1000), 2), who="boss")
        await b.refused(Status.RESOURCE_UNAVAILABLE, 1, argument(2, 1, bytes(950), 2), who="boss")
        await b.done(argument(2, 1, bytes(900), 2), who="boss")
        await b.done((at("Operation", 1), wire.name(CAPABILITIES)), who="boss")  # forgets the arguments
        await b.done(argument(2, 1, bytes(950), 2), who="boss")


@looped
async def test_a_text_may_be_as_long_as_its_type_allows() -> None:
    async with bench() as b:
        await b.done(*b.asking(1, SET_PASSWORD, "guest1"), (at("RowStatus", 1), WAIT), who="boss")
        await b.done(argument(1, 1, bytes(200)), who="boss")
        await b.refused(Status.WRONG_LENGTH, 1, argument(1, 1, bytes(56), 2), who="boss")
        await b.done(argument(1, 1, b"", 2), who="boss")


@looped
async def test_results_have_room_and_those_of_long_ago_go() -> None:
    async with bench() as measured:
        await measured.done(*measured.asking(1, READ_XML, "guest1"), (at("RowStatus", 1), GO))
        await measured.ended(1)
        size = len(measured.result(1, 2))
    async with bench(limits=Limits(results=3 * size)) as b:
        for row in (1, 2, 3):
            b.now[0] += 1
            await b.done(*b.asking(row, READ_XML, "guest1"), (at("RowStatus", row), GO))
            await b.ended(row)
        assert [b.state(row) is None for row in (1, 2, 3)] == [True, False, False]
    async with bench(limits=Limits(results=100)) as b:
        await b.done(*b.asking(1, READ_XML, "guest1"), (at("RowStatus", 1), GO))
        assert await b.ended(1) is State.COMPLETED
        assert b"too many to be kept" in b.value("Error", 1)


@looped
async def test_rows_go_when_their_time_is_over() -> None:
    async with bench() as b:
        await b.done((at("RowStatus", 1), WAIT))
        lifetime = (at("Lifetime", 2), wire.number(100, wire.UNSIGNED))
        await b.done(*b.asking(2, READ_XML, "guest1"), lifetime, (at("RowStatus", 2), GO))
        await b.ended(2)
        b.now[0] += 99
        b.table.expire()
        assert (b.state(1), b.state(2)) == (State.PENDING, State.COMPLETED)
        b.now[0] += 1
        b.table.expire()
        assert (b.state(1), b.state(2)) == (State.PENDING, None)
        b.now[0] += 3500
        b.table.expire()
        assert not b.walk(903)


@looped
async def test_a_row_without_a_lifetime_goes_by_itself_once_it_has_ended() -> None:
    async with bench() as b:
        lifetime = (at("Lifetime", 2), wire.number(0, wire.UNSIGNED))
        await b.done(*b.asking(2, SUSPEND, "guest1"), lifetime, (at("RowStatus", 2), GO))
        await until(lambda: b.state(2) is None, "the end of the row")
        assert b.world.domain("guest1").state is DomainState.PAUSED


@looped
async def test_an_agent_that_ends_leaves_no_task_behind() -> None:
    async with bench() as b:
        b.world.fake.hang("guest1")
        await b.done(*b.asking(7, SUSPEND, "guest1"), (at("RowStatus", 7), GO))
        await until(lambda: b.value("Job", 7), "the job")
        await b.world.operations.stop(limit=0.01)
        assert [t for t in asyncio.all_tasks() if "_watched" in repr(t)] == []


# --- the module


@looped
async def test_next_is_free_and_never_the_same() -> None:
    async with bench() as b:
        given = [b.value("Next", 0) for _ in range(20)]
        assert len(set(given)) == 20
        assert all(1 <= n < 2**31 for n in given)
        assert (b.value("RowLimit", 0), b.value("ChunkSize", 0)) == (64, RESULT_CHUNK)


@looped
async def test_rows_stand_in_the_order_of_their_indexes() -> None:
    async with bench() as b:
        for row in (300, 2, 70000, 127, 128):
            await b.done(*b.asking(row, SET_MEMORY, "guest1"), (at("RowStatus", row), WAIT))
        assert [name[1] for name in b.walk(903) if name[0] == 13] == [2, 127, 128, 300, 70000]
        assert [name[1:] for name in b.walk(904) if name[0] == 3][:3] == [(2, 1, 1), (2, 2, 1), (127, 1, 1)]


@looped
async def test_columns_are_made_anew_only_when_a_row_changed() -> None:
    async with bench() as b:
        snapshot = b.world.inventory.snapshot
        first = list(b.table.columns(snapshot))
        await b.world.inventory.refresh()
        assert [x is y for x, y in zip(b.table.columns(b.world.inventory.snapshot), first, strict=True)] == [
            True
        ] * len(first)
        await b.done((at("RowStatus", 1), WAIT))
        assert next(iter(b.table.columns(snapshot))) is not first[0]


@looped
async def test_values_have_the_types_that_the_text_says() -> None:
    async with bench() as b:
        await b.done(*b.asking(7, READ_XML, "guest1"), argument(7, 1, "2"), (at("RowStatus", 7), GO))
        assert await b.ended(7) is State.COMPLETED
        tags = {}
        for table in MODULE.own:
            for o in table.readable:
                arcs = {902: (0,), 903: (7,), 904: (7, 1, 1), 905: (7, 2, 1)}[table.oid[-1]]
                tags[o.name] = b.world.read(wire.get((*o.oid, *arcs))).tags[0]
        assert tags == {o.name: o.wire.value for t in MODULE.own for o in t.readable}


def test_the_manual_tells_of_every_object() -> None:
    told = manual.pages(MODEL, "")["mibs/README.md"]
    assert [name for name in BY_NAME if name not in told] == []


def test_the_module_is_one_of_those_that_the_agent_tells_of() -> None:
    assert [identity for identity, _ in OperationTable.modules] == [MODULE.oid] == [(*OURS, 4, 902)]


def test_what_can_be_written_is_what_the_text_says() -> None:
    assert set(_HEARD) == {o.name for o in BY_NAME.values() if o.access is MaxAccess.READ_CREATE}


def test_no_table_of_the_mapping_has_its_numbers() -> None:
    own = {t.oid[-1] for t in MODULE.own}
    assert own == {902, 903, 904, 905}
    assert own.isdisjoint(row.table for row in MODEL.rows)


def test_states_have_the_numbers_of_jobs() -> None:
    assert {s.name: int(s) for s in State if s is not State.PENDING} == {s.name: int(s) for s in JobState}
    assert len({label for label, _, _ in operation_mib.STATES.labels}) == len(State)


def test_numbers_are_promises() -> None:
    told = {name.removeprefix("virtmapOperation"): o.oid[len(OURS) + 1 :] for name, o in BY_NAME.items()}
    assert [f"{'.'.join(map(str, arcs))} {name}" for name, arcs in told.items()] == [
        "902.1 Next", "902.2 RowLimit", "902.3 RunLimit", "902.4 ArgumentLimit", "902.5 ChunkSize",
        "903.1.1 Index", "903.1.2 Operation", "903.1.3 Target", "903.1.4 Lifetime", "903.1.5 State", "903.1.6 Progress",
        "903.1.7 Error", "903.1.8 Job", "903.1.9 Owner", "903.1.10 Summary", "903.1.11 Submitted", "903.1.12 Finished",
        "903.1.13 RowStatus",
        "904.1.1 ArgumentNumber", "904.1.2 ArgumentChunk", "904.1.3 ArgumentName", "904.1.4 ArgumentValue",
        "904.1.5 ArgumentSize",
        "905.1.1 ResultNumber", "905.1.2 ResultChunk", "905.1.3 ResultName", "905.1.4 ResultValue", "905.1.5 ResultSize",
    ]  # fmt: skip
    assert [(int(s), s.name) for s in State] == [
        (1, "RUNNING"), (2, "COMPLETED"), (3, "FAILED"), (4, "ABANDONED"), (5, "PENDING"), (6, "CANCELED"),
    ]  # fmt: skip
