"""SET without a front end: which variable fails first, what is done in which order, and how it is taken back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from agent.access import Principal
from agent.errors import Failed, Invalid
from agent.model import MODEL, Domain
from agent.model.domain import Destroy, Resume, SetAutostart, Suspend
from agent.snmp import ber, setting
from agent.snmp.ber import BerError
from agent.snmp.message import Status, Varbind
from agent.snmp.setting import Ask, Asker, Change, Refused, Setting, Step, carry_out, refusal, take_back
from agent.snmp.standards import libvirt_mib
from agent.snmp.vacm import MibView, Subtree
from agent.snmp.view import Computed, RowIndex, View
from tests import wire
from tests.agents import OBSERVER, OPERATOR, World, looped, until, world
from tests.wire import Oid, number, oid

BASE = (1, 3, 6, 1, 4, 1, 99)
WRITABLE = MibView("writable", [Subtree(oid=BASE), Subtree(oid=(*BASE, 66), included=False)])
ASKER = Asker(principal=OPERATOR, hypervisor="default", write=WRITABLE)
ACTION, AUTOSTART = 3, 9
GUEST_STATE = oid("1.3.6.1.4.1.36957.1.1.1.3")
KIND = {o.__name__: o.number for o in MODEL.operations_on(Domain)}


class Book:
    """A writer for whose columns a change writes down the value; values of `refusing` are refused."""

    def __init__(self, *refusing: int, status: Status = Status.WRONG_VALUE, final: bool = False) -> None:
        self.refusing, self.status, self.final = refusing, status, final
        self.asked: list[list[int]] = []
        self.done: list[object] = []

    def writable(self, column: Any, principal: Principal) -> bool:
        return principal is OPERATOR

    def steps(self, asks: Sequence[Ask], asker: Asker) -> Sequence[Change]:
        self.asked.append([ask.index for ask in asks])
        return [self._step(ask) for ask in asks]

    def _step(self, ask: Ask) -> Change:
        value = int.from_bytes(ask.value, "big")
        if value in self.refusing:
            raise Refused(self.status, ask.index, "because")
        undo = None if self.final else lambda: self.done.append(("undo", value))
        return Change(index=ask.index, commit=lambda: self.done.append(value), undo=undo)


def view(writers: Mapping[int, Any]) -> View:
    """Columns 1 to 9, and 66, each of two rows, some of them with writers."""
    columns = []
    for arc in (*range(1, 10), 66):
        column = Computed((*BASE, arc), RowIndex(((1,), (2,))), lambda _: b"\x02\x01\x00")
        column.writer = writers.get(arc)
        columns.append(column)
    return View(columns)


def bound(*pairs: tuple[Oid, int]) -> list[Varbind]:
    return [Varbind(ber.oid_contents((*BASE, *arcs)), wire.INTEGER, wire.taken(number(v))[1]) for arcs, v in pairs]


def refused(seen: View, varbinds: Sequence[Varbind], asker: Asker = ASKER) -> tuple[Status, int]:
    with pytest.raises(Refused) as caught:
        setting.tested(seen, varbinds, asker)
    return caught.value.status, caught.value.index


# --- tests


def test_each_writer_sees_all_that_is_for_it_at_once() -> None:
    one, other = Book(), Book()
    made = setting.tested(view({1: one, 2: one, 3: other}), bound(((1, 1), 5), ((3, 1), 6), ((2, 1), 7)), ASKER)
    assert (one.asked, other.asked) == ([[1, 3]], [[2]])
    assert sorted(step.index for step in made.steps) == [1, 2, 3]
    assert not one.done


def test_the_variable_that_stands_first_decides_whichever_writer_it_is_for() -> None:
    late, early = Book(9, status=Status.WRONG_TYPE), Book(9, status=Status.INCONSISTENT_NAME)
    seen = view({1: late, 2: early})
    for order in itertools.permutations([((1, 1), 1), ((1, 2), 9), ((2, 1), 2), ((2, 2), 9)]):
        first = next(i for i, (_, value) in enumerate(order, 1) if value == 9)
        status = Status.WRONG_TYPE if order[first - 1][0][0] == 1 else Status.INCONSISTENT_NAME
        assert refused(seen, bound(*order)) == (status, first)


def test_what_is_not_to_be_written_is_told_apart() -> None:
    book = Book()
    seen = view({1: book, 66: book})
    cases = {
        (66, 1): Status.NO_ACCESS,  # not in the view
        (2, 1): Status.NOT_WRITABLE,  # nothing writes to the column
        (10, 1): Status.NOT_WRITABLE,  # no such column
        (): Status.NOT_WRITABLE,
    }
    for arcs, status in cases.items():
        assert refused(seen, bound((arcs, 1))) == (status, 1)
        assert refused(seen, bound(((1, 1), 1), (arcs, 1), ((66, 1), 1))) == (status, 2)
    nobody = Asker(principal=OPERATOR, hypervisor="default", write=None)
    weak = Asker(principal=OBSERVER, hypervisor="default", write=ASKER.write)
    for asker in (nobody, weak):
        assert refused(seen, bound(((1, 1), 1)), asker) == (Status.NO_ACCESS, 1)
    assert refused(seen, bound(((2, 1), 1)), weak) == (Status.NOT_WRITABLE, 1)
    assert not book.done


def test_a_writer_is_told_whether_the_row_is_there() -> None:
    asks: list[Ask] = []

    class Looking(Book):
        def steps(self, given: Sequence[Ask], asker: Asker) -> Sequence[Change]:
            asks.extend(given)
            return []

    setting.tested(view({1: Looking()}), bound(((1, 2), 1), ((1, 7, 8), 1), ((1,), 1)), ASKER)
    assert [(a.row, a.instance, a.index) for a in asks] == [(1, (2,), 1), (None, (7, 8), 2), (None, (), 3)]


def test_an_earlier_variable_is_refused_by_its_writer_though_a_later_one_is_not_writable() -> None:
    book = Book(9)
    assert refused(view({1: book}), bound(((1, 1), 9), ((2, 1), 1))) == (Status.WRONG_VALUE, 1)
    assert refused(view({1: book}), bound(((1, 1), 1), ((2, 1), 1), ((1, 2), 9))) == (Status.NOT_WRITABLE, 2)


def test_a_malformed_name_or_value_is_no_set_at_all() -> None:
    book = Book(9)
    good = bound(((1, 1), 9))
    for bad in (Varbind(b"\x2b\x80\x01", wire.INTEGER, b"\x01"), Varbind(b"", wire.INTEGER, b"\x01"),
                Varbind(good[0].oid, wire.INTEGER, b""), Varbind(good[0].oid, 0x5F, b"\x01")):  # fmt: skip
        for varbinds in ([bad], [*good, bad], [bad, *good]):
            with pytest.raises(BerError):
                setting.tested(view({1: book}), varbinds, ASKER)


def test_at_most_one_step_cannot_be_taken_back_and_it_comes_last() -> None:
    book, final = Book(), Book(final=True)
    seen = view({1: book, 2: final})
    made = setting.tested(seen, bound(((2, 1), 5), ((1, 1), 6), ((1, 2), 7)), ASKER)
    assert [step.index for step in made.steps] == [2, 3, 1]
    assert refused(seen, bound(((1, 1), 1), ((2, 2), 5), ((2, 1), 6))) == (Status.INCONSISTENT_VALUE, 3)


def test_a_refusal_tells_what_was_wanted_and_why_not() -> None:
    seen = view({1: Book(9)})
    told = refusal(seen, bound(((1, 1), 9)), ASKER, Refused(Status.WRONG_VALUE, 1, "because"))
    assert (told.principal, told.hypervisor, told.operation) == (OPERATOR, "default", "SET")
    assert (told.target, told.reason) == ("1.3.6.1.4.1.99.1.1", "wrongValue: because")


@looped
async def test_a_refusal_names_the_operation_and_the_object() -> None:
    async with world() as w:
        arc = w.arc("guest1")
        for column, value, operation, target in (
            (ACTION, number(KIND["Destroy"]), "Destroy", "domainAction"), (ACTION, number(9999), "SET", "domainAction"),
            (ACTION, wire.tlv(wire.INTEGER, b"\x7f" * 8), "SET", "domainAction"),
            (AUTOSTART, number(1), "SetAutostart", "domainAutostart"),
        ):  # fmt: skip
            w.ask(wire.setting([(w.column(column, "guest1"), value)], request=column))
            told = w.engine.refusals.pop()
            assert told.operation == operation
            assert told.target.lower().endswith(f"{target}.{arc}".lower())
            assert told.reason == "noAccess"


# --- carrying out


def changes(*steps: tuple[Callable[[], None], Callable[[], None] | None]) -> Setting:
    return Setting(asker=ASKER, steps=[Change(index=i, commit=c, undo=u) for i, (c, u) in enumerate(steps, 1)])


def fails(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@looped
async def test_changes_are_made_in_order_and_taken_back_the_last_first() -> None:
    async with world() as w:
        done: list[str] = []

        def step(name: str) -> tuple[Callable[[], None], Callable[[], None]]:
            return lambda: done.append(name), lambda: done.append(f"not {name}")

        good = changes(step("a"), step("b"), step("c"))
        assert await carry_out(good, w.operations) == (Status.NO_ERROR, 0)
        assert done == ["a", "b", "c"]
        assert await take_back(good, w.operations)
        assert done[3:] == ["not c", "not b", "not a"]
        done.clear()
        bad = changes(step("a"), step("b"), (fails(Invalid("no")), None), step("d"))
        assert await carry_out(bad, w.operations) == (Status.COMMIT_FAILED, 3)
        assert done == ["a", "b", "not b", "not a"]
        assert not bad.done


@looped
async def test_what_cannot_be_taken_back_is_undo_failed_and_the_rest_is_taken_back() -> None:
    async with world() as w:
        done: list[str] = []
        bad = changes(
            (lambda: done.append("a"), lambda: done.append("not a")), (lambda: done.append("b"), fails(Failed("stuck"))),
            (lambda: done.append("c"), lambda: done.append("not c")), (fails(Failed("no")), None),
        )  # fmt: skip
        assert await carry_out(bad, w.operations) == (Status.UNDO_FAILED, 0)
        assert done == ["a", "b", "c", "not c", "not a"]


@looped
async def test_a_fault_of_the_agent_is_told_to_others_and_nothing_stays_half_done() -> None:
    async with world() as w:
        done: list[str] = []
        bad = changes((lambda: done.append("a"), lambda: done.append("not a")), (fails(ZeroDivisionError()), None))
        with pytest.raises(ZeroDivisionError):
            await carry_out(bad, w.operations)
        assert done == ["a", "not a"]


@looped
async def test_operations_and_changes_are_taken_back_together() -> None:
    async with world() as w:
        done: list[str] = []
        key = w.key("guest1")
        operator = Asker(principal=OPERATOR, hypervisor="default", write=ASKER.write)
        steps = [
            Step(index=1, operation=Suspend(), key=key, undo=Resume()),
            Change(index=2, commit=lambda: done.append("b"), undo=lambda: done.append("not b")),
            Step(index=3, operation=SetAutostart(autostart=True), key=key, undo=SetAutostart(autostart=False)),
            Step(index=4, operation=Destroy(), key=key, undo=None),
        ]
        w.fake.refuse(Destroy, Failed("no"))
        assert await carry_out(Setting(asker=operator, steps=steps), w.operations) == (Status.COMMIT_FAILED, 4)
        assert [o for o, _ in w.fake.performed] == [
            Suspend(), SetAutostart(autostart=True), Destroy(), SetAutostart(autostart=False), Resume()
        ]  # fmt: skip
        assert done == ["b", "not b"]


@looped
async def test_changes_that_are_told_leave_an_audit_record_once_all_is_done() -> None:
    async with world() as w:
        asker = Asker(principal=OPERATOR, hypervisor="default", write=ASKER.write)
        told = [
            Change(index=1, commit=lambda: None, undo=lambda: None, told="sysContact.0"),
            Change(index=2, commit=lambda: None, undo=lambda: None),
        ]
        assert await carry_out(Setting(asker=asker, steps=told), w.operations) == (Status.NO_ERROR, 0)
        record = {"principal": OPERATOR.name, "operation": "SET", "target": "sysContact.0", "result": "done"}
        await until(lambda: w.trail.records, "the record, for which the answer does not wait")
        assert [{key: one[key] for key in record} for one in w.trail.records] == [record]

        failing = Change(index=3, commit=fails(Failed("no")), undo=None)
        assert await carry_out(Setting(asker=asker, steps=[*told, failing]), w.operations) == (Status.COMMIT_FAILED, 3)
        await w.operations.record(OPERATOR, "default", "SET", "a mark", "done")
        assert len(w.trail.records) == 2, "what was taken back is not told as done"


# --- no room


def pairs(w: World) -> dict[str, tuple[Oid, bytes]]:
    return {
        "autostart": (w.column(AUTOSTART, "guest2"), number(1)), "action": (w.column(ACTION, "guest2"), number(KIND["Suspend"])),
        "none": (w.column(ACTION, "guest2"), number(0)), "wrong": (w.column(AUTOSTART, "guest2"), number(7)),
        "inconsistent": (w.column(ACTION, "guest2"), number(KIND["Resume"])),
    }  # fmt: skip


@pytest.mark.parametrize("limits", [{"at_once": 1}, {}], ids=["of all", "of one's own"])
def test_a_set_beyond_what_may_run_is_told_that_resources_are_short(limits: dict[str, int]) -> None:
    """RFC 3416, section 4.2.5, step 11; what is wrong in itself is said before, and what takes nothing is done."""

    @looped
    async def check() -> None:
        async with world(**limits) as w:
            w.operations.per_principal = 1
            w.fake.hang("guest1")
            hanging = w.ask(wire.setting([(w.column(AUTOSTART, "guest1"), number(1))], community=b"secret", request=1))
            asker = hanging.asker.principal
            step = hanging.steps[0]
            running = await w.operations.perform(asker, "default", step.operation, step.key, patience=0)
            assert not running.ended
            some = pairs(w)
            for request, (name, error) in enumerate({
                "autostart": (Status.RESOURCE_UNAVAILABLE, 1), "action": (Status.RESOURCE_UNAVAILABLE, 1),
                "none": (Status.NO_ERROR, 0), "wrong": (Status.WRONG_VALUE, 1),
                "inconsistent": (Status.INCONSISTENT_VALUE, 1),
            }.items(), 10):  # fmt: skip
                answer = await w.write(some[name], request=request)
                assert answer.error == (int(error[0]), error[1]), name
            told = [r.reason for r in w.engine.refusals if r.reason.startswith("resourceUnavailable")]
            assert len(told) == 2
            assert "running already" in told[0]
            assert len(w.fake.performed) <= 1
            w.fake.release()

    check()


@looped
async def test_a_guest_of_libvirt_mib_is_not_begun_with_either_when_resources_are_short() -> None:
    async with world(serves=(libvirt_mib.serve,)) as w:
        w.operations.per_principal = 0
        ((state, _, _),) = w.read(wire.getnext(GUEST_STATE)).variables
        assert state[: len(GUEST_STATE)] == GUEST_STATE
        assert (await w.write((state, number(3)))).error == (int(Status.RESOURCE_UNAVAILABLE), 1)
        assert not w.fake.performed
