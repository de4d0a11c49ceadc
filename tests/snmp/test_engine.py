"""The engine: GET, GETNEXT, GETBULK and SET as RFC 3416 wants them, and silence where it wants that."""

from __future__ import annotations

import asyncio
import bisect
import ipaddress

import pytest

from agent.errors import Failed, Invalid
from agent.model import MODEL, Domain
from agent.model.domain import Destroy, DomainState, Resume, SetAutostart, SetMemory, SetVcpus, Suspend
from agent.schema.declare import Access
from agent.snmp.engine import REMEMBERED_FOR
from agent.snmp.message import MAX_VARBINDS, Status
from agent.snmp.mib import project
from agent.snmp.security import Community
from agent.snmp.setting import Setting, carry_out
from tests import wire
from tests.agents import DOMAIN_ENTRY, LOOPBACK, OPERATOR, World, looped, until, world
from tests.wire import END_OF_MIB_VIEW, NO_SUCH_INSTANCE, NO_SUCH_OBJECT, Oid, answered, get, getbulk, getnext, oid

SYS_DESCR = oid("1.3.6.1.2.1.1.1.0")
SYS_OBJECT_ID = oid("1.3.6.1.2.1.1.2.0")
SYS_UP_TIME = oid("1.3.6.1.2.1.1.3.0")
OURS = oid("1.3.6.1.4.1.36957.20")
PAST_ALL = oid("1.3.6.1.6.3.99")
ACTION, NAME, ID, STATE, AUTOSTART, VCPUS, MEMORY, MEMORY_SET = 3, 4, 5, 6, 9, 19, 21, 1021
KIND = {o.__name__: o.number for o in MODEL.operations_on(Domain)}


def integer(value: int) -> bytes:
    return wire.number(value)


def unsigned(value: int) -> bytes:
    return wire.number(value, wire.UNSIGNED)


def action(name: str) -> bytes:
    return integer(KIND[name])


def variables(w: World) -> list[Oid]:
    """The names of all variables of the mapping, in order, straight from the snapshot."""
    found = []
    for table in project(MODEL).tables:
        rows = w.inventory.snapshot.table(table.row)
        for one in table.readable:
            for arcs, values in zip(rows.indexes, rows.records, strict=True):
                if one.field is None or values[one.field.position] is not None:
                    found.append((*one.oid, *arcs))
    return sorted(found)


def walked(w: World, start: Oid = (1, 3), bulk: int = 0) -> list[Oid]:
    """Every name that GETNEXT (or GETBULK) gives from `start` on."""
    names: list[Oid] = []
    at = start
    for _ in range(100_000):
        answer = w.read(getbulk(0, bulk, at) if bulk else getnext(at))
        assert answer.status == 0
        for name, tag, _ in answer.variables:
            if tag == END_OF_MIB_VIEW:
                assert name == at
                return names
            assert name > at
            names.append(name)
            at = name
    raise AssertionError("the walk does not end")


# --- GET


@looped
async def test_get_answers_in_the_order_of_the_request() -> None:
    async with world() as w:
        name, state = w.column(NAME, "guest2"), w.column(STATE, "guest1")
        answer = answered(w.ask(get(name, SYS_OBJECT_ID, state, name, request=77)))
        assert (answer.request, answer.error, answer.community) == (77, (0, 0), b"public")
        assert answer.names == [name, SYS_OBJECT_ID, state, name]
        assert answer.variables[0][1:] == (wire.OCTETS, b"guest2")
        assert wire.arcs(answer.variables[1][2]) == (*OURS, 5, 1)
        assert answer.numbers[2] == int(DomainState.RUNNING)


@looped
async def test_no_such_object_and_no_such_instance_are_told_apart() -> None:
    async with world() as w:
        await w.operations.perform(OPERATOR, "default", Destroy(), w.key("guest1"))
        column = (*DOMAIN_ENTRY, NAME)
        cases = {
            (1, 3): NO_SUCH_OBJECT,
            oid("1.3.6.1.4.1.99999.1"): NO_SUCH_OBJECT,
            (*OURS, 1, 2): NO_SUCH_OBJECT,
            DOMAIN_ENTRY: NO_SUCH_OBJECT,
            (*DOMAIN_ENTRY, 99, 1): NO_SUCH_OBJECT,
            (*DOMAIN_ENTRY, 1, 1): NO_SUCH_OBJECT,
            column: NO_SUCH_INSTANCE,
            SYS_DESCR[:-1]: NO_SUCH_INSTANCE,
            (*column, 4711): NO_SUCH_INSTANCE,
            (*column, w.arc("guest1"), 0): NO_SUCH_INSTANCE,
            (*column, 0): NO_SUCH_INSTANCE,
            w.column(ID, "guest1"): NO_SUCH_INSTANCE,
            (*SYS_DESCR[:-1], 1): NO_SUCH_INSTANCE,
            (*SYS_DESCR, 0): NO_SUCH_INSTANCE,
            PAST_ALL: NO_SUCH_OBJECT,
        }
        answer = w.read(get(*cases))
        assert answer.error == (0, 0)
        assert dict(zip(answer.names, answer.tags, strict=True)) == cases


@looped
async def test_an_answer_that_is_too_big_is_told_with_no_variables() -> None:
    async with world(largest=484) as w:
        few, many = [SYS_DESCR] * 2, [SYS_DESCR] * 40
        assert len(w.read(get(*few)).variables) == 2
        for ask in (get(*many), getnext(*many)):
            answer = w.read(ask)
            assert (answer.error, answer.variables) == ((int(Status.TOO_BIG), 0), [])


@looped
async def test_an_empty_list_gets_an_empty_list() -> None:
    async with world() as w:
        for ask in (get(), getnext(), getbulk(0, 10), getbulk(5, 0)):
            answer = w.read(ask)
            assert (answer.error, answer.variables) == ((0, 0), [])


# --- GETNEXT


@looped
async def test_getnext_over_the_whole_view_gives_every_variable_in_order() -> None:
    async with world("fake:///?domains=7&nics=3") as w:
        w.fake.break_domain("guest2")
        await w.operations.perform(OPERATOR, "default", Destroy(), w.key("guest1"))
        await w.inventory.refresh()
        names = walked(w)
        assert names == sorted(set(names))
        assert [n for n in names if n[: len(OURS)] == OURS] == variables(w)
        standing = [n for n in names if n[: len(OURS)] != OURS]
        assert {SYS_DESCR, SYS_UP_TIME} <= set(standing)
        assert not any(tag in (NO_SUCH_OBJECT, NO_SUCH_INSTANCE) for n in names for tag in w.read(get(n)).tags)
        assert walked(w, bulk=1) == walked(w, bulk=7) == walked(w, bulk=300) == names


@looped
async def test_getnext_from_anywhere_gives_the_least_name_behind() -> None:
    async with world() as w:
        await w.operations.perform(OPERATOR, "default", Destroy(), w.key("guest2"))
        names = walked(w)
        starts: list[Oid] = [(0, 0), (1, 0), (1, 3, 6), (2, 999, 3), PAST_ALL]
        for name in names[::3]:
            starts += [name, name[:-1], (*name, 0), (*name, 2**32 - 1), (*name[:-1], max(name[-1] - 1, 0)),
                       (*name[:-1], 2**32 - 1), name[:-2], (*name[:-2], name[-2] + 1), (*name, *range(40))]  # fmt: skip
        for start in starts:
            place = bisect.bisect_right(names, start)
            (found,) = w.read(getnext(start)).variables
            if place < len(names):
                assert found[0] == names[place], start
            else:
                assert found == (start, END_OF_MIB_VIEW, b"")


@looped
async def test_getnext_skips_a_domain_that_vanished() -> None:
    async with world() as w:
        first, second, third = (w.column(NAME, f"guest{i}") for i in (1, 2, 3))
        assert w.read(getnext(first)).names == [second]
        w.fake.remove("guest2")
        await w.inventory.refresh()
        assert w.read(getnext(first)).names == [third]
        assert w.read(getnext(second)).names == [third]
        assert w.read(get(second)).tags == [NO_SUCH_INSTANCE]


@looped
async def test_a_walk_goes_on_in_a_new_snapshot() -> None:
    async with world() as w:
        before = walked(w, DOMAIN_ENTRY)
        at: Oid = DOMAIN_ENTRY
        seen = []
        for step in range(len(before) * 2):
            if step % 5 == 0:
                await w.inventory.refresh()
            if step == 20:
                w.fake.add("late")
            (found,) = w.read(getnext(at)).variables
            if found[1] == END_OF_MIB_VIEW:
                break
            assert found[0] > at
            at = found[0]
            seen.append(at)
        assert set(before) - {n for n in before if n[10] in (900, 901)} <= set(seen)
        assert w.column(MEMORY_SET, "late") in seen


# --- GETBULK


@looped
async def test_getbulk_takes_singles_once_and_the_others_in_turns() -> None:
    async with world() as w:
        singles = [oid("1.3"), (*DOMAIN_ENTRY, NAME)]
        repeated = [(*DOMAIN_ENTRY, NAME), (*DOMAIN_ENTRY, STATE), (*DOMAIN_ENTRY, MEMORY)]
        answer = w.read(getbulk(2, 3, *singles, *repeated))
        rows = [w.arc(f"guest{i}") for i in (1, 2, 3)]
        expected = [SYS_DESCR, w.column(NAME, "guest1")]
        expected += [(*column, row) for row in rows for column in repeated]
        assert (answer.error, answer.names) == ((0, 0), expected)


@pytest.mark.parametrize(
    ("singles", "repetitions", "count"),
    [
        (0, 0, 0), (0, -5, 0), (-3, 2, 6), (-(2**31), 1, 3), (1, 0, 1), (3, 5, 3), (9, 5, 3), (2**31 - 1, 2**31 - 1, 3),
        (2, 4, 6), (2, 1, 3),
    ],
)  # fmt: skip
@looped
async def test_odd_counts_of_getbulk(singles: int, repetitions: int, count: int) -> None:
    async with world() as w:
        answer = w.read(getbulk(singles, repetitions, SYS_DESCR, (*DOMAIN_ENTRY, NAME), (*DOMAIN_ENTRY, STATE)))
        assert (answer.error, len(answer.variables)) == ((0, 0), count)


@looped
async def test_getbulk_over_sparse_columns_gives_what_getnext_gives() -> None:
    async with world("fake:///?domains=40") as w:
        for i in range(1, 40, 3):
            await w.operations.perform(OPERATOR, "default", Destroy(), w.key(f"guest{i}"))
        names = walked(w)
        starts = [(*DOMAIN_ENTRY, ID), (*DOMAIN_ENTRY, 30), (*DOMAIN_ENTRY, ID, w.arc("guest4")), (*DOMAIN_ENTRY, 40)]
        for start in starts:
            place = bisect.bisect_right(names, start)
            assert w.read(getbulk(0, 30, start)).names == names[place : place + 30]
        answer = w.read(getbulk(0, 9, *starts))
        for i, start in enumerate(starts):
            place = bisect.bisect_right(names, start)
            assert answer.names[i :: len(starts)] == names[place : place + 9]


@looped
async def test_the_end_of_the_view_in_the_middle_of_a_getbulk() -> None:
    async with world() as w:
        names = walked(w)
        near, last, far = names[-3], names[-1], (*DOMAIN_ENTRY, NAME)
        answer = w.read(getbulk(0, 50, near))
        assert answer.variables[-1] == (last, END_OF_MIB_VIEW, b"")
        assert answer.names[:-1] == names[-2:]
        answer = w.read(getbulk(0, 4, near, far))
        assert answer.names[0::2] == [names[-2], last, last, last]
        assert [t == END_OF_MIB_VIEW for t in answer.tags[0::2]] == [False, False, True, True]
        assert END_OF_MIB_VIEW not in answer.tags[1::2]
        answer = w.read(getbulk(0, 4, far, near))
        assert answer.names[1::2] == [names[-2], last, last, last]
        answer = w.read(getbulk(0, 10, last, PAST_ALL))
        assert answer.variables == [(last, END_OF_MIB_VIEW, b""), (PAST_ALL, END_OF_MIB_VIEW, b"")]
        answer = w.read(getbulk(1, 2, PAST_ALL, (*PAST_ALL, 1)))
        assert set(answer.tags) == {END_OF_MIB_VIEW}
        assert answer.names[:2] == [PAST_ALL, (*PAST_ALL, 1)]


@pytest.mark.parametrize("room", [484, 485, 500, 600, 1000, 1472, 9000, 65507])
@looped
async def test_getbulk_is_trimmed_to_the_maximum_size(room: int) -> None:
    async with world("fake:///?domains=30", largest=room) as w:
        names = walked(w)
        one = w.read(getbulk(0, 2**31 - 1, (1, 3)))
        assert one.size <= room
        assert one.names == names[: len(one.names)]
        assert len(one.names) == len(names) or one.size > room - 300
        columns = [(*DOMAIN_ENTRY, c) for c in (NAME, STATE, 16, MEMORY)]
        many = w.read(getbulk(1, 2**31 - 1, SYS_DESCR, *columns))
        assert many.size <= room
        assert many.names[0] == SYS_OBJECT_ID
        for i, column in enumerate(columns):
            place = bisect.bisect_right(names, column)
            told = many.names[1 + i :: 4]
            assert [n for n, t in zip(told, many.tags[1 + i :: 4], strict=True) if t != END_OF_MIB_VIEW] == names[
                place : place + len(told)
            ]


@looped
async def test_getbulk_of_which_nothing_fits_is_too_big() -> None:
    async with world(largest=60) as w:
        for ask in (getbulk(0, 5, (1, 3)), getbulk(1, 0, (1, 3)), getbulk(0, 5, (1, 3), (1, 3))):
            answer = w.read(ask)
            assert (answer.error, answer.variables) == ((int(Status.TOO_BIG), 0), [])


# --- silence


async def counted(w: World, datagram: bytes, counter: str, host: str = "127.0.0.1") -> None:
    before = getattr(w.engine.statistics, counter)
    seen = w.engine.statistics.snmpInPkts
    assert w.ask(datagram, host) is None
    assert getattr(w.engine.statistics, counter) == before + 1
    assert w.engine.statistics.snmpInPkts == seen + 1


@looped
async def test_silence_and_a_counter() -> None:
    async with world() as w:
        await counted(w, get(SYS_DESCR, community=b"guess"), "snmpInBadCommunityNames")
        await counted(w, get(SYS_DESCR, community=b""), "snmpInBadCommunityNames")
        await counted(w, get(SYS_DESCR), "snmpInBadCommunityNames", host="192.0.2.7")
        await counted(w, get(SYS_DESCR), "snmpInBadCommunityNames", host="::1")
        for version in (2, 4, -1):
            await counted(w, get(SYS_DESCR, version=version), "snmpInBadVersions")
        await counted(w, b"", "snmpInASNParseErrs")
        await counted(w, get(SYS_DESCR)[:-1], "snmpInASNParseErrs")
        await counted(w, wire.message(0xA9, [wire.binding(SYS_DESCR)]), "snmpInASNParseErrs")
        await counted(w, get(*[SYS_DESCR] * (MAX_VARBINDS + 1)), "snmpInASNParseErrs")
        for pdu in (wire.RESPONSE, wire.TRAP, wire.INFORM, wire.REPORT):
            await counted(w, wire.message(pdu, [wire.binding(SYS_DESCR)]), "snmpUnknownPDUHandlers")


@looped
async def test_the_counters_are_to_be_read() -> None:
    async with world() as w:
        bad = oid("1.3.6.1.2.1.11.4.0")
        before = w.read(get(bad)).numbers[0]
        w.ask(get(SYS_DESCR, community=b"guess"))
        assert w.read(get(bad)).numbers[0] == before + 1


@looped
async def test_a_mapped_address_is_the_address_it_maps() -> None:
    async with world() as w:
        assert answered(w.ask(get(SYS_DESCR), "::ffff:127.0.0.1")).status == 0
        assert w.ask(get(SYS_DESCR), "::ffff:192.0.2.1") is None
        assert w.ask(get(SYS_DESCR), "fe80::1%eth0") is None


@looped
async def test_unknown_communities_leave_nothing_behind() -> None:
    async with world() as w:
        kept = len(w.engine._gate._admitted)
        for i in range(50):
            w.ask(get(SYS_DESCR, community=b"x" * 1000 + str(i).encode()))
        assert len(w.engine._gate._admitted) == kept


@looped
async def test_a_request_id_of_any_size_comes_back() -> None:
    async with world() as w:
        for number in (0, 1, -1, 2**31 - 1, -(2**31), 255, 65536):
            assert w.read(get(SYS_DESCR, request=number)).request == number


@looped
async def test_sys_up_time_follows_the_clock_and_wraps() -> None:
    async with world() as w:
        w.clock[0] += 12.34
        assert w.read(get(SYS_UP_TIME)).numbers[0] == 1234
        w.clock[0] = w.engine.started + 2**32 / 100 + 1
        assert w.read(get(SYS_UP_TIME)).numbers[0] == 100


# --- SET


@looped
async def test_a_set_is_done_and_seen_by_the_next_get() -> None:
    async with world() as w:
        name = w.column(MEMORY_SET, "guest1")
        answer = await w.write((name, unsigned(700_000)), (w.column(AUTOSTART, "guest1"), integer(1)))
        assert answer.error == (0, 0)
        assert answer.numbers == [700_000, 1]
        assert w.read(get(name, w.column(MEMORY, "guest1"))).numbers == [700_000, 700_000]
        assert w.domain("guest1").autostart is True
        assert [r["result"] for r in w.trail.records] == ["done", "done"]
        assert {r["principal"] for r in w.trail.records} == {"operator"}


@looped
async def test_an_action_is_performed_and_reads_as_none() -> None:
    async with world() as w:
        name = w.column(ACTION, "guest1")
        assert (await w.write((name, action("Suspend")))).error == (0, 0)
        assert w.domain("guest1").state is DomainState.PAUSED
        assert w.read(get(name)).numbers == [0]
        assert (await w.write((name, integer(0)), request=2)).error == (0, 0)
        assert w.domain("guest1").state is DomainState.PAUSED
        assert len(w.fake.performed) == 1


async def refused(w: World, status: Status, index: int, *pairs: tuple[Oid, bytes]) -> None:
    """The SET fails like that, gives the variables back as they came, and does nothing at all."""
    done = len(w.fake.performed)
    answer = await w.write(*pairs, request=hash(pairs) & 0xFFFF)
    assert answer.error == (int(status), index)
    assert answer.names == [n for n, _ in pairs]
    assert len(w.fake.performed) == done


@looped
async def test_every_refusal_has_its_status() -> None:
    async with world() as w:
        memory, vcpus, autostart = (w.column(c, "guest1") for c in (MEMORY_SET, VCPUS, AUTOSTART))
        act = w.column(ACTION, "guest1")
        nobody = (*DOMAIN_ENTRY, MEMORY_SET, 4711)
        for name, value in (
            (memory, integer(5)), (memory, wire.text("5")), (memory, b"\x05\x00"), (act, unsigned(6)),
            (memory, wire.number(5, wire.COUNTER64)), (autostart, unsigned(1)), (vcpus, wire.number(1, 0x41)),
            (nobody, integer(5)),
        ):  # fmt: skip
            await refused(w, Status.WRONG_TYPE, 1, (name, value))
        for name, value in (
            (act, wire.tlv(0x02, b"\x00\x80\x00\x00\x00")), (act, wire.tlv(0x02, b"\0" * 9)),
            (memory, wire.tlv(0x42, b"\x01\x00\x00\x00\x00")),
        ):  # fmt: skip
            await refused(w, Status.WRONG_ENCODING, 1, (name, value))
        for name, value in (
            (autostart, integer(0)), (autostart, integer(3)), (autostart, integer(-1)), (act, integer(99)),
            (act, integer(-1)), (act, integer(KIND["SetMemory"])), (act, integer(KIND["SetUserPassword"])),
            (memory, unsigned(0)), (vcpus, unsigned(0)),
        ):  # fmt: skip
            await refused(w, Status.WRONG_VALUE, 1, (name, value))
        await refused(w, Status.NO_CREATION, 1, (nobody, unsigned(5)))
        await refused(w, Status.NO_CREATION, 1, ((*DOMAIN_ENTRY, ACTION, 4711), action("Start")))
        await refused(w, Status.NO_CREATION, 1, ((*DOMAIN_ENTRY, ACTION, 4711), integer(0)))
        for name in (
            SYS_DESCR, w.column(NAME, "guest1"), w.column(MEMORY, "guest1"), PAST_ALL, DOMAIN_ENTRY,
            (*DOMAIN_ENTRY, 999, 1),
        ):  # fmt: skip
            await refused(w, Status.NOT_WRITABLE, 1, (name, unsigned(1)))
        await refused(w, Status.NO_ACCESS, 1, ((1, 3), unsigned(1)))  # in nobody's view
        await refused(w, Status.INCONSISTENT_VALUE, 1, (act, action("Start")))
        await refused(w, Status.INCONSISTENT_VALUE, 1, (act, action("Resume")))


@looped
async def test_the_error_index_is_that_of_the_variable_and_nothing_is_done() -> None:
    async with world() as w:
        good = (w.column(MEMORY_SET, "guest1"), unsigned(700_000))
        also = (w.column(ACTION, "guest2"), action("Suspend"))
        await refused(w, Status.WRONG_TYPE, 3, good, also, (w.column(MEMORY_SET, "guest3"), integer(1)))
        await refused(w, Status.NOT_WRITABLE, 2, good, (SYS_DESCR, wire.text("x")), also)
        await refused(w, Status.NO_CREATION, 2, also, ((*DOMAIN_ENTRY, VCPUS, 4711), unsigned(1)), good)
        await refused(w, Status.WRONG_VALUE, 3, good, also, (w.column(VCPUS, "guest3"), unsigned(0)))
        assert w.trail.records == []


@looped
async def test_a_set_with_a_malformed_value_gets_no_answer() -> None:
    """What no value can look like is a parse error, whatever it is for, as a malformed name is."""
    async with world() as w:
        memory, act = w.column(MEMORY_SET, "guest1"), w.column(ACTION, "guest1")
        for name, value in (
            (act, wire.tlv(0x02, b"")), (memory, wire.tlv(0x42, b"")), (memory, wire.tlv(0x42, bytes(6))),
            (memory, wire.tlv(0x40, bytes(3))), (memory, wire.tlv(0x46, bytes(10))), (memory, wire.tlv(0x5F, b"x")),
            (memory, wire.tlv(0x24, wire.text("x"))), (memory, b"\x1f\x81\x01\x00"),
        ):  # fmt: skip
            before = w.engine.statistics.snmpInASNParseErrs
            assert w.ask(wire.setting([(memory, unsigned(5)), (name, value)], community=b"secret")) is None
            assert w.engine.statistics.snmpInASNParseErrs == before + 1


@looped
async def test_the_same_variable_twice_is_set_once_if_both_values_are_one() -> None:
    async with world() as w:
        name = w.column(MEMORY_SET, "guest1")
        answer = await w.write((name, unsigned(700_000)), (name, unsigned(700_000)))
        assert answer.error == (0, 0)
        assert answer.names == [name, name]
        assert len(w.fake.performed) == 1


@looped
async def test_the_same_operation_to_two_values_is_inconsistent() -> None:
    async with world() as w:
        name = w.column(MEMORY_SET, "guest1")
        await refused(w, Status.INCONSISTENT_VALUE, 2, (name, unsigned(700_000)), (name, unsigned(600_000)))
        await refused(w, Status.WRONG_TYPE, 1, (name, integer(1)), (name, unsigned(600_000)))
        await refused(w, Status.WRONG_TYPE, 2, (name, unsigned(600_000)), (name, integer(1)))
        act = w.column(ACTION, "guest1")
        await refused(w, Status.INCONSISTENT_VALUE, 3, (name, unsigned(1)), (act, integer(0)), (act, action("Reset")))


@looped
async def test_an_observer_may_write_nothing_whatever_it_names() -> None:
    async with world() as w:
        for name in (w.column(MEMORY_SET, "guest1"), SYS_DESCR, PAST_ALL, (*DOMAIN_ENTRY, ACTION, 4711)):
            answer = await w.write((name, integer(0)), community=b"public")
            assert answer.error == (int(Status.NO_ACCESS), 1)
        assert w.engine.statistics.snmpInBadCommunityUses == 4
        assert not w.fake.performed


@looped
async def test_at_most_one_operation_that_cannot_be_undone() -> None:
    async with world() as w:
        act1, act2 = w.column(ACTION, "guest1"), w.column(ACTION, "guest2")
        await refused(w, Status.INCONSISTENT_VALUE, 2, (act1, action("Destroy")), (act2, action("Destroy")))
        memory = (w.column(MEMORY_SET, "guest3"), unsigned(600_000))
        answer = await w.write((act1, action("Destroy")), memory, (act2, action("Suspend")))
        assert answer.error == (0, 0)
        assert [type(o) for o, _ in w.fake.performed] == [SetMemory, Suspend, Destroy]


@looped
async def test_what_was_done_is_taken_back_when_a_later_step_fails() -> None:
    async with world() as w:
        w.fake.refuse(Destroy, Failed("no"))
        before = w.domain("guest3").memory
        answer = await w.write(
            (w.column(ACTION, "guest1"), action("Destroy")),
            (w.column(MEMORY_SET, "guest3"), unsigned(600_000)),
            (w.column(ACTION, "guest2"), action("Suspend")),
        )
        assert answer.error == (int(Status.COMMIT_FAILED), 1)
        assert [type(o) for o, _ in w.fake.performed] == [SetMemory, Suspend, Destroy, Resume, SetMemory]
        await w.inventory.refresh()
        assert w.domain("guest3").memory == before
        assert w.domain("guest2").state is DomainState.RUNNING
        assert w.domain("guest1").state is DomainState.RUNNING


@looped
async def test_what_cannot_be_taken_back_is_undo_failed() -> None:
    async with world() as w:
        w.fake.refuse(SetMemory, Invalid("no"))
        w.fake.refuse(Resume, Failed("not any more"))
        suspend = (w.column(ACTION, "guest2"), action("Suspend"))
        answer = await w.write(suspend, (w.column(MEMORY_SET, "guest3"), unsigned(600_000)))
        assert answer.error == (int(Status.UNDO_FAILED), 0)
        assert [type(o) for o, _ in w.fake.performed] == [Suspend, SetMemory, Resume]


@looped
async def test_a_first_step_that_fails_is_commit_failed_at_its_variable() -> None:
    async with world() as w:
        w.fake.refuse(SetVcpus, Failed("no"))
        answer = await w.write(
            (w.column(ACTION, "guest2"), integer(0)), (w.column(VCPUS, "guest3"), unsigned(2)),
        )  # fmt: skip
        assert answer.error == (int(Status.COMMIT_FAILED), 2)
        too_many = await w.write((w.column(MEMORY_SET, "guest1"), unsigned(2**32 - 1)), request=2)
        assert too_many.error == (int(Status.COMMIT_FAILED), 1)


@looped
async def test_a_domain_that_vanished_after_the_snapshot_is_commit_failed() -> None:
    async with world() as w:
        pair = (w.column(AUTOSTART, "guest1"), integer(1))
        w.fake.listen(lambda _: None)
        w.fake.remove("guest1")
        assert (await w.write(pair)).error == (int(Status.COMMIT_FAILED), 1)


@looped
async def test_a_set_that_is_sent_again_runs_once_and_gets_the_same_answer() -> None:
    async with world() as w:
        datagram = wire.setting([(w.column(ACTION, "guest1"), action("Suspend"))], request=9, community=b"secret")
        first = w.ask(datagram)
        assert isinstance(first, Setting)
        assert w.ask(datagram) is None
        w.clock[0] += 10 * REMEMBERED_FOR
        assert w.ask(datagram) is None, "it is still being carried out, however long that takes"
        answer = w.engine.finish(first, *await carry_out(first, w.operations))
        assert w.ask(datagram) == answer
        assert w.ask(datagram) == answer
        assert len(w.fake.performed) == 1
        w.clock[0] += REMEMBERED_FOR + 1
        again = answered(w.ask(datagram))
        assert again.error == (int(Status.INCONSISTENT_VALUE), 1), "a new request, and the domain is paused already"


@looped
async def test_another_source_or_request_id_is_another_set() -> None:
    async with world() as w:
        pair = [(w.column(AUTOSTART, "guest1"), integer(1))]
        datagram = wire.setting(pair, request=9, community=b"secret")
        assert isinstance(w.ask(datagram), Setting)
        assert isinstance(w.ask(datagram, port=40001), Setting)
        assert isinstance(w.ask(datagram, host="127.0.0.2"), Setting)
        assert isinstance(w.ask(wire.setting(pair, request=10, community=b"secret")), Setting)


@looped
async def test_a_set_that_failed_gets_its_failure_again() -> None:
    async with world() as w:
        w.fake.refuse(Suspend, Failed("no"))
        pair = (w.column(ACTION, "guest1"), action("Suspend"))
        first = await w.write(pair)
        assert first.error == (int(Status.COMMIT_FAILED), 1)
        assert await w.write(pair) == first
        assert len(w.fake.performed) == 1


@looped
async def test_a_set_whose_answer_would_be_too_big_is_not_begun() -> None:
    async with world(largest=200) as w:
        pairs = [(w.column(AUTOSTART, f"guest{i}"), integer(1)) for i in (1, 2, 3)]
        pairs += [(w.column(ACTION, f"guest{i}"), integer(0)) for i in (1, 2, 3)] * 3
        answer = await w.write(*pairs)
        assert (answer.error, answer.variables) == ((int(Status.TOO_BIG), 0), [])
        assert not w.fake.performed


@looped
async def test_an_empty_set_succeeds() -> None:
    async with world() as w:
        assert (await w.write()).error == (0, 0)


@looped
async def test_a_malformed_name_in_a_set_drops_it_whole() -> None:
    async with world() as w:
        good = wire.binding(w.column(AUTOSTART, "guest1"), integer(1))
        bad = wire.tlv(0x30, wire.tlv(0x06, b"\x2b\x80\x01") + integer(1))
        before = w.engine.statistics.snmpInASNParseErrs
        for listed in ([good, bad], [wire.binding(SYS_DESCR, integer(1)), bad]):
            assert w.ask(wire.message(wire.SET, listed, community=b"secret")) is None
        assert w.engine.statistics.snmpInASNParseErrs == before + 2
        assert not w.fake.performed


@looped
async def test_a_set_of_a_domain_whose_old_value_is_unknown_cannot_be_undone() -> None:
    async with world() as w:
        w.fake.add("late", running=False)
        w.fake.break_domain("late")
        await until(lambda: w.inventory.snapshot.get(Domain, w.key("late")), "the late domain")
        late = (w.column(AUTOSTART, "late"), integer(1))
        destroy = (w.column(ACTION, "guest1"), action("Destroy"))
        await refused(w, Status.INCONSISTENT_VALUE, 2, late, destroy)


@looped
async def test_patience_a_set_that_takes_long_is_answered_and_goes_on_as_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.snmp.setting.PATIENCE", 0.05)
    async with world() as w:
        w.fake.hang("guest1")
        answer = await w.write((w.column(AUTOSTART, "guest1"), integer(1)))
        assert answer.error == (0, 0)
        jobs = oid("1.3.6.1.4.1.36957.20.1.901.1.6")
        assert w.read(getnext(jobs)).numbers == [1], "running"
        w.fake.release()
        await until(lambda: w.read(getnext(jobs)).numbers == [2], "the job to be completed")
        assert SetAutostart(autostart=True) in [o for o, _ in w.fake.performed]


@looped
async def test_a_request_does_not_wait_for_a_hanging_hypervisor() -> None:
    async with world() as w:
        w.fake.hang()
        refreshing = asyncio.ensure_future(w.inventory.refresh())
        await until(lambda: w.inventory.workers._threads, "a reading under way")
        assert w.read(get(w.column(NAME, "guest1"))).variables[0][2] == b"guest1"
        assert len(walked(w)) > 100
        w.fake.release()
        await refreshing


def test_two_communities_may_show_two_roles_of_the_same_agent() -> None:
    boss = Community(name=b"boss", label="boss", role=Access.ADMINISTER, sources=LOOPBACK, hypervisor="default")
    wide = Community(
        name=b"wide", label="wide", role=Access.OBSERVE, sources=(ipaddress.ip_network("::/0"),), hypervisor="default"
    )

    @looped
    async def check() -> None:
        async with world(communities=(boss, wide)) as w:
            assert answered(w.ask(get(SYS_DESCR, community=b"wide"), "2001:db8::1")).status == 0
            assert w.ask(get(SYS_DESCR, community=b"boss"), "2001:db8::1") is None
            pair = (w.column(AUTOSTART, "guest1"), integer(1))
            assert (await w.write(pair, community=b"boss")).error == (0, 0)

    check()
