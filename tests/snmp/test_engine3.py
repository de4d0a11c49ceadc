"""SNMPv3 on the engine, from a message to its answer: discovery, contexts, levels, views, sizes, times, and SETs that come
again."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

import pytest

from agent.model import MODEL, Domain
from agent.model.domain import DomainState
from agent.schema.declare import Access
from agent.snmp import engine as engine_module
from agent.snmp import message3, usm
from agent.snmp.engine import MAX_MESSAGE, REMEMBERED_FOR
from agent.snmp.message import Status
from agent.snmp.message3 import Level
from agent.snmp.security import Certificate, Security
from agent.snmp.setting import Setting
from agent.snmp.vacm import MibView, Subtree
from tests import wire, wire3
from tests.agents import ENGINE_ID, World, looped, world
from tests.askers import ACCOUNTS, ANN, BOB, EVE, RITA, SECURITY, Asker, account, bulk, setting
from tests.wire import END_OF_MIB_VIEW, NO_SUCH_OBJECT, Oid, number, oid
from tests.wire3 import AUTH, NO_AUTH, User

SYS_NAME = oid("1.3.6.1.2.1.1.5.0")
ENGINE_ID_0 = oid("1.3.6.1.6.3.10.2.1.1.0")
USM_STATS = oid("1.3.6.1.6.3.15.1.1")
UNKNOWN_CONTEXTS = oid("1.3.6.1.6.3.12.1.5.0")
UNKNOWN_PDU_HANDLERS = oid("1.3.6.1.6.3.11.2.1.3.0")
OPEN = bytes.fromhex("8000000006")
ACTION, NAME, AUTOSTART, MEMORY_SET = 3, 4, 9, 1021
KIND = {o.__name__: o.number for o in MODEL.operations_on(Domain)}
ONE = number(1)

READING = {
    "get": lambda name: wire3.get(name),
    "getnext": lambda name: wire3.get(name, tag=wire.GETNEXT),
    "getbulk": lambda name: bulk(0, 5, name),
    "get of two": lambda name: wire3.get(name, name),
}


def stat(arc: int) -> Oid:
    return (*USM_STATS, arc, 0)


# --- discovery


@looped
async def test_an_engine_is_discovered_and_then_its_time() -> None:
    """RFC 3414, section 4."""
    async with world(security=SECURITY, boots=7) as w:
        w.clock[0] += 4321.5
        told = wire3.answered(w.ask(wire3.discovery(msg_id=17, request=9)))
        assert (told.counter, told.answer.numbers, told.answer.request, told.msg_id) == (stat(4), [1], 9, 17)
        assert told.peer == wire3.Peer(engine=ENGINE_ID, boots=7, time=4321)
        assert (told.level, told.reportable, told.context_engine, told.context) == (NO_AUTH, False, ENGINE_ID, b"")
        early = wire3.message(ANN, replace(told.peer, boots=0, time=0), wire3.get(), level=AUTH)
        told = wire3.answered(w.ask(early), ANN)
        assert (told.counter, told.level) == (stat(2), AUTH)
        assert (told.peer.boots, told.peer.time) == (7, 4321)
        answer = wire3.answered(w.ask(wire3.message(ANN, told.peer, wire3.get(SYS_NAME))), ANN)
        assert answer.answer.error == (0, 0)


@looped
async def test_who_leaves_the_engine_of_the_context_open_is_answered_by_ours() -> None:
    """RFC 5343, section 3.2: by reading snmpEngineID.0 so, a manager learns it in any security model."""
    async with world(security=SECURITY) as w:
        for _ in range(2):  # parsed, and recognised
            answer = Asker(w).get(ENGINE_ID_0, context_engine=OPEN)
            assert answer.answer.variables == [(ENGINE_ID_0, wire.OCTETS, ENGINE_ID)]
            assert (answer.context_engine, answer.context) == (OPEN, b"")


# --- answers are like their questions


@pytest.mark.parametrize("user", [ANN, RITA, BOB, EVE], ids=lambda u: u.name.decode())
@pytest.mark.parametrize("pdu", READING)
def test_an_answer_is_protected_as_the_question_and_names_the_same_context(user: User, pdu: str) -> None:
    @looped
    async def check() -> None:
        async with world(security=SECURITY) as w:
            asker = Asker(w, user)
            for context in (b"", b"default", b""):
                name = w.column(NAME, "guest1")
                answer = asker.read(READING[pdu](name), context=context, msg_id=77)
                assert (answer.msg_id, answer.level, answer.reportable) == (77, user.level, False)
                assert (answer.context_engine, answer.context, answer.user) == (ENGINE_ID, context, user.name)
                assert answer.kind == wire.RESPONSE
                assert answer.answer.error == (0, 0)
                wire.sound(answer.answer)
                assert answer.answer.variables[0][2] == (b"guest2" if pdu in ("getnext", "getbulk") else b"guest1")

    check()


@looped
async def test_what_no_agent_answers_is_counted_and_not_answered() -> None:
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        for pdu in (wire.RESPONSE, wire.INFORM, wire.TRAP, wire.REPORT):
            assert asker.ask(wire3.get(SYS_NAME, tag=pdu)) is None
        assert w.engine.statistics.snmpUnknownPDUHandlers == 4
        for pdu in (0xA4 + 5, 0xA9, 0x30):
            before = w.engine.statistics.snmpInASNParseErrs
            assert asker.ask(wire3.get(SYS_NAME, tag=pdu)) is None
            assert w.engine.statistics.snmpInASNParseErrs == before + 1


# --- contexts


OTHERS = {"second": "fake:///?domains=5", "third": "fake:///?domains=7"}


def guests(asker: Asker, context: bytes) -> int:
    """How many domains a context shows."""
    answer = asker.read(bulk(0, 50, (*oid("1.3.6.1.4.1.36957.20.1.2.1"), NAME)), context=context)
    assert answer.answer.error == (0, 0)
    return sum(value.startswith(b"guest") for _, tag, value in answer.answer.variables if tag == wire.OCTETS)


@looped
async def test_each_hypervisor_is_a_context_and_the_first_is_the_default() -> None:
    async with world(security=SECURITY, others=OTHERS) as w:
        for _ in range(3):
            found = [guests(Asker(w), c) for c in (b"", b"default", b"second", b"third")]
            assert found == [3, 3, 5, 7]


@looped
async def test_a_set_is_done_in_its_context() -> None:
    async with world(security=SECURITY, others=OTHERS) as w:
        asker = Asker(w)
        autostart = (w.column(AUTOSTART, "guest1"), number(1))
        await asker.write(autostart, context=b"second")
        assert [r["hypervisor"] for r in w.trail.records] == ["second"]
        assert not w.fake.performed


@looped
async def test_the_same_set_in_another_context_is_another_one() -> None:
    async with world(security=SECURITY, others=OTHERS) as w:
        asker = Asker(w)
        autostart = (w.column(AUTOSTART, "guest1"), number(1))
        for context in (b"second", b"third", b"default"):
            assert (await asker.write(autostart, request=5, context=context)).answer.error == (0, 0)
        assert [r["hypervisor"] for r in w.trail.records] == ["second", "third", "default"]


@looped
async def test_a_user_enters_the_contexts_that_he_may() -> None:
    some = account(ANN, Access.OPERATE, hypervisors=("second",))
    first = account(RITA, hypervisors=("default", "third"))
    async with world(security={"accounts": [some, first]}, others=OTHERS) as w:
        ann, rita = Asker(w, ANN), Asker(w, RITA)
        for _ in range(2):
            assert guests(ann, b"second") == 5
            assert [guests(rita, c) for c in (b"", b"default", b"third")] == [3, 3, 7]
            for asker, context in ((ann, b""), (ann, b"default"), (ann, b"third"), (rita, b"second")):
                answer = asker.get(SYS_NAME, context=context)
                assert (answer.kind, answer.answer.error) == (wire.RESPONSE, (int(Status.AUTHORIZATION_ERROR), 0))
        write = await ann.write((w.column(AUTOSTART, "guest1"), number(1)))
        assert write.answer.error == (int(Status.AUTHORIZATION_ERROR), 0)
        assert not w.trail.records


@pytest.mark.parametrize("user", [ANN, BOB, EVE], ids=lambda u: u.name.decode())
@pytest.mark.parametrize(
    ("odd", "counter"),
    [({"context": b"nowhere"}, UNKNOWN_CONTEXTS), ({"context_engine": ENGINE_ID + b"x"}, UNKNOWN_PDU_HANDLERS),
     ({"context_engine": b""}, UNKNOWN_PDU_HANDLERS)],
)  # fmt: skip
def test_an_unknown_context_is_reported_with_its_counter(user: User, odd: dict[str, bytes], counter: Oid) -> None:
    """RFC 3412, sections 4.2.2.1.1 and 7.1, step 3: of our engine and its default context."""

    @looped
    async def check() -> None:
        async with world(security=SECURITY) as w:
            asker = Asker(w, user)
            asker.get(SYS_NAME)
            for count, pdu in enumerate((wire3.get(SYS_NAME, request=5), setting([(SYS_NAME, ONE)], request=5)), 1):
                told = asker.read(pdu, msg_id=99, **odd)
                assert (told.kind, told.counter, told.answer.numbers) == (wire.REPORT, counter, [count])
                assert (told.answer.request, told.msg_id, told.level) == (5, 99, user.level)
                assert (told.context_engine, told.context, told.reportable) == (ENGINE_ID, b"", False)
            assert asker.ask(wire3.get(SYS_NAME), reportable=False, **odd) is None
            assert asker.ask(wire3.get(SYS_NAME, tag=wire.TRAP), **odd) is None
            assert asker.ask(wire3.get(SYS_NAME, tag=wire.RESPONSE), **odd) is None
            assert asker.read(wire3.get(SYS_NAME), **odd).answer.numbers == [6], "all of them were counted"

    check()


# --- levels and roles


def lowered(user: User) -> list[int]:
    return [level for level in (NO_AUTH, AUTH) if level < user.level]


@pytest.mark.parametrize("user", [ANN, BOB], ids=lambda u: u.name.decode())
@pytest.mark.parametrize("pdu", READING)
def test_below_his_level_nobody_is_told_anything(user: User, pdu: str) -> None:
    @looped
    async def check() -> None:
        async with world(security=SECURITY) as w:
            asker, name = Asker(w, user), w.column(NAME, "guest1")
            asker.get(name)
            for level in lowered(user):
                asked = READING[pdu](name)
                answer = asker.read(asked, level=level)
                assert answer.answer.error == (int(Status.AUTHORIZATION_ERROR), 0)
                assert set(answer.answer.tags) == {wire.NULL}
                assert answer.level == level

    check()


@looped
async def test_who_changes_something_needs_privacy_though_he_may_read_without() -> None:
    accounts = [account(ANN, Access.OPERATE, least=Level.NO_AUTH_NO_PRIV)]
    async with world(security={"accounts": accounts}) as w:
        asker = Asker(w)
        name = w.column(AUTOSTART, "guest1")
        for level in (NO_AUTH, AUTH):
            assert asker.get(name, level=level).answer.error == (0, 0)
            assert (await asker.write((name, ONE), level=level)).answer.error == (int(Status.NO_ACCESS), 1)
        assert not w.fake.performed
        assert (await asker.write((name, ONE), request=2)).answer.error == (0, 0)
        assert len(w.fake.performed) == 1
        assert w.engine.statistics.snmpInBadCommunityUses == 0, "that is for communities"


@looped
async def test_an_observer_changes_nothing() -> None:
    async with world(security=SECURITY) as w:
        asker = Asker(w, RITA)
        name = w.column(AUTOSTART, "guest1")
        assert asker.get(name).answer.error == (0, 0)
        assert (await asker.write((name, ONE))).answer.error == (int(Status.NO_ACCESS), 1)
        assert (await asker.write((SYS_NAME, wire.text("x")))).answer.error == (int(Status.NO_ACCESS), 1)
        assert not w.fake.performed
        assert {r.principal.name for r in w.engine.refusals} == {"rita"}


# --- views


def walked(asker: Asker) -> list[Oid]:
    """The names of all that a user sees."""
    found: list[Oid] = []
    at: Oid = (0, 0)
    while True:
        answer = asker.read(bulk(0, 200, at))
        for name, tag, _ in answer.answer.variables:
            if tag == END_OF_MIB_VIEW:
                return found
            assert name > at
            found.append(name)
            at = name


CONTROL = [oid(f"1.3.6.1.6.3.{module}") for module in ("12", "13", "15.1.2", "16", "18")]


def of_control(names: list[Oid]) -> list[Oid]:
    return [n for n in names if any(n[: len(c)] == c for c in CONTROL) and n[:-2] != oid("1.3.6.1.6.3.12.1")]


@looped
async def test_the_default_view_tells_nothing_of_how_access_is_controlled() -> None:
    whole = MibView("whole", [Subtree(oid=(1, 3))])
    accounts = [account(ANN, Access.ADMINISTER), account(RITA, view="whole")]
    async with world(security={"accounts": accounts, "views": [whole]}) as w:
        seen, everything = walked(Asker(w, ANN)), walked(Asker(w, RITA))
        assert of_control(everything)
        assert not of_control(seen)
        assert seen == [n for n in everything if n not in of_control(everything)]
        for name in of_control(everything)[::7]:
            assert Asker(w, ANN).get(name).answer.tags == [NO_SUCH_OBJECT]
            write = await Asker(w, ANN).write((name, ONE))
            assert write.answer.error == (int(Status.NO_ACCESS), 1)


@looped
async def test_a_view_of_the_configuration_bounds_what_is_seen_and_changed() -> None:
    async with world(security=SECURITY) as w:
        arc = w.arc("guest2")
        domains = oid("1.3.6.1.4.1.36957.20.1.2.1")
        some = MibView(
            "some", [Subtree(oid=(*domains, NAME, arc)), Subtree(oid=(*domains, AUTOSTART)), Subtree(oid=(1, 3, 6, 1, 2, 1, 1, 5))]
        )  # fmt: skip
        w.engine.configure(Security(accounts=[account(ANN, Access.OPERATE, view="some")], views=[some]))
        asker = Asker(w)
        autostart = [(*domains, AUTOSTART, w.arc(f"guest{i}")) for i in (1, 2, 3)]
        assert walked(asker) == sorted([SYS_NAME, (*domains, NAME, arc), *autostart])
        for _ in range(2):
            assert asker.get((*domains, NAME, w.arc("guest1"))).answer.tags != [wire.OCTETS]
            assert asker.get((*domains, NAME, arc)).answer.tags == [wire.OCTETS]
            assert asker.read(wire3.get((*domains, NAME), tag=wire.GETNEXT)).answer.names == [(*domains, NAME, arc)]
        assert (await asker.write((autostart[0], ONE))).answer.error == (0, 0)
        memory = await asker.write((w.column(MEMORY_SET, "guest2"), number(5, wire.UNSIGNED)))
        assert memory.answer.error == (int(Status.NO_ACCESS), 1)


# --- sizes

LONG = User(name=b"u" * 32, auth="SHA-512", priv="DES")
SIZED = [ANN, RITA, BOB, EVE, LONG]
MANY = {"accounts": [*ACCOUNTS, account(LONG, Access.OPERATE)]}


@pytest.mark.parametrize("user", SIZED, ids=lambda u: u.name.decode()[:4])
def test_no_answer_is_longer_than_the_sender_takes(user: User) -> None:
    """Whatever length he names: a GETBULK is trimmed to it, a GET that does not fit is tooBig."""

    @looped
    async def check() -> None:
        async with world("fake:///?domains=40", security=MANY, boots=2**31 - 2) as w:
            w.clock[0] += 2**31 - 1000
            asker = Asker(w, user)
            names = [w.column(NAME, f"guest{i}") for i in range(1, 41)]
            kinds: set[Any] = set()
            for size in (*range(484, 700), *range(700, 3000, 7), *range(65_000, 66_000, 100)):
                data = asker.ask(bulk(0, 2000, (1, 3)), size=size, msg_id=2**31 - 1)
                assert len(data) <= size
                trimmed = wire3.answered(data, user)
                assert trimmed.answer.error == (0, 0)
                assert len(trimmed.answer.variables) > 1
                assert size > 60_000 or len(data) > size - 400, "room for one more"
                pdu = wire3.get(*names[: 4 + size % 30], request=2**31 - 1)
                data = asker.ask(pdu, size=size, msg_id=2**31 - 1)
                assert len(data) <= size
                got = wire3.answered(data, user).answer
                kinds.add((got.error, bool(got.variables)))
            assert kinds == {((0, 0), True), ((int(Status.TOO_BIG), 0), False)}

    check()


@looped
async def test_one_variable_that_does_not_fit_is_too_big_again_and_again() -> None:
    """Also when the question is recognised instead of parsed."""
    async with world(security=SECURITY, largest=500) as w:
        asker = Asker(w)
        w.engine.largest = 150
        for pdu in (
            wire3.get(SYS_NAME),
            wire3.get(SYS_NAME, tag=wire.GETNEXT),
            bulk(0, 1, SYS_NAME),
            wire3.get(SYS_NAME),
        ):
            answer = asker.read(pdu)
            assert (answer.answer.error, answer.answer.variables) == ((int(Status.TOO_BIG), 0), [])
        w.engine.largest = 100
        before = w.engine.statistics.snmpSilentDrops
        assert asker.ask(wire3.get(SYS_NAME)) is None
        assert w.engine.statistics.snmpSilentDrops == before + 1


@looped
async def test_a_set_whose_answer_would_not_fit_is_not_begun() -> None:
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        pairs = [(w.column(ACTION, f"guest{i}"), number(0)) for i in (1, 2, 3)] * 6
        pairs[0] = (w.column(AUTOSTART, "guest1"), ONE)
        answer = await asker.write(*pairs, size=484)
        assert (answer.answer.error, answer.answer.variables) == ((int(Status.TOO_BIG), 0), [])
        assert not w.fake.performed
        assert (await asker.write(*pairs, size=1500)).answer.error == (0, 0)


@looped
async def test_who_has_not_proved_who_he_is_gets_short_answers_only() -> None:
    async with world("fake:///?domains=40", security={**SECURITY, "answer_limit": 700}) as w:
        pdu = bulk(0, 2000, (1, 3))
        assert 600 < len(Asker(w, EVE).ask(pdu)) <= 700
        assert 600 < len(w.ask(wire.getbulk(0, 2000, (1, 3)))) <= 700
        for user in (ANN, RITA, BOB):
            assert 20_000 < len(Asker(w, user).ask(pdu)) <= MAX_MESSAGE


@looped
async def test_a_transport_bounds_answers_too() -> None:
    async with world("fake:///?domains=40", security=SECURITY) as w:
        asker = Asker(w)
        for _ in range(2):
            assert 700 < len(asker.send(asker.message(bulk(0, 100, (1, 3))), largest=1000)) <= 1000


@looped
async def test_a_request_id_in_more_octets_than_needed_costs_the_answer_nothing() -> None:
    async with world(security=SECURITY) as w:
        padded = wire3.pdu(wire.GETBULK, [wire.binding((1, 3))], first=0, second=1000)
        padded = wire.tlv(wire.GETBULK, wire.tlv(0x02, bytes(7) + b"\x05") + wire.taken(padded)[1][3:])
        for size in range(484, 620):
            data = Asker(w).ask(padded, size=size)
            assert len(data) <= size
            assert wire3.answered(data, ANN).answer.request == 5


# --- time


@pytest.mark.parametrize("pdu", [wire3.get(SYS_NAME), bulk(0, 3, SYS_NAME), setting([(SYS_NAME, ONE)])])
def test_what_is_not_timely_is_reported_and_not_answered(pdu: bytes) -> None:
    @looped
    async def check() -> None:
        async with world(security=SECURITY, boots=5) as w:
            w.clock[0] += 1000
            asker = Asker(w)
            assert asker.get(SYS_NAME).answer.error == (0, 0)
            odd = [{"time": 849}, {"time": 1151}, {"boots": 4}, {"boots": 6}, {"boots": 0, "time": 0}]
            for count, more in enumerate(odd, 1):
                told = asker.read(pdu, **more)
                assert (told.kind, told.counter, told.answer.numbers) == (wire.REPORT, stat(2), [count])
                assert (told.level, told.peer.boots, told.peer.time) == (AUTH, 5, 1000)
            for time in (850, 1150):
                assert asker.get(SYS_NAME, time=time).answer.error == (0, 0)

    check()


@looped
async def test_an_engine_that_has_used_up_its_boots_takes_nothing_that_is_authenticated() -> None:
    """RFC 3414, section 2.2.3."""
    async with world(security=SECURITY, boots=2**31 - 1) as w:
        assert Asker(w).get(SYS_NAME).counter == stat(2)
        assert Asker(w, EVE).get(SYS_NAME).answer.error == (0, 0)


@looped
async def test_engine_time_goes_on_over_a_reload() -> None:
    async with world(security=SECURITY, boots=3) as w:
        asker = Asker(w)
        w.clock[0] += 500
        w.engine.configure(Security(accounts=ACCOUNTS))
        assert asker.get(SYS_NAME, time=400).peer == wire3.Peer(engine=ENGINE_ID, boots=3, time=500)


# --- what is not genuine


@looped
async def test_a_wrong_digest_is_reported_and_told_to_whoever_listens() -> None:
    async with world(security=SECURITY) as w:
        told: list[None] = []
        w.engine.on_authentication_failure.append(lambda: told.append(None))
        asker = Asker(w)
        asker.get(SYS_NAME)
        for damage in (lambda d: bytes(len(d)), lambda d: d[:-1] + bytes([d[-1] ^ 1]), lambda d: d[:-1], lambda _: b""):
            answer = asker.ask(wire3.get(SYS_NAME), digest=damage)
            report = wire3.answered(answer)
            assert (report.counter, report.level) == (stat(5), NO_AUTH)
        assert len(told) == 4
        for odd in ({"name": b"nobody"}, {"engine": b"other engine"}):
            assert wire3.answered(asker.ask(wire3.get(SYS_NAME), **odd)).kind == wire.REPORT
        assert len(told) == 4


# --- SETs that come again


def suspend(w: World, request: int = 9) -> bytes:
    return setting([(w.column(ACTION, "guest1"), number(KIND["Suspend"]))], request=request)


@looped
async def test_a_set_that_is_sent_again_is_done_once_and_answered_each_time() -> None:
    """A manager makes a new message of each attempt, with the request-id of the first (RFC 3414, section 1.5.2)."""
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        first = asker.ask(suspend(w))
        assert isinstance(first, Setting)
        assert asker.ask(suspend(w)) is None, "it is being carried out"
        w.clock[0] += 10 * REMEMBERED_FOR
        newest = asker.message(suspend(w))
        assert asker.send(newest) is None
        answer = wire3.answered(await asker.finished(first), ANN)
        assert answer.answer.error == (0, 0)
        assert answer.msg_id == message3.parse(newest).number, "a manager waits for the answer to its last attempt"
        for _ in range(2):
            again = asker.read(suspend(w))
            assert again.answer == replace(answer.answer, size=again.answer.size)
            assert again.msg_id > answer.msg_id
        assert len(w.fake.performed) == 1


@looped
async def test_a_recorded_set_does_nothing_when_somebody_sends_it_again() -> None:
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        octets = asker.message(suspend(w))
        answer = asker.send(octets)
        assert isinstance(answer, Setting)
        thief = Asker(w, port=50000, host="127.0.0.9")
        assert thief.send(octets) is None, "under way"
        assert wire3.answered(await asker.finished(answer), ANN).answer.error == (0, 0)
        assert thief.send(octets) is None
        assert wire3.answered(asker.send(octets), ANN).answer.error == (0, 0), (
            "the same source gets the answer once more"
        )
        await asker.write((w.column(ACTION, "guest1"), number(KIND["Resume"])), request=10)
        for _ in range(4):
            w.clock[0] += REMEMBERED_FOR + 1
            assert asker.send(octets) is None
            assert thief.send(octets) is None
        assert w.domain("guest1").state is DomainState.RUNNING
        w.clock[0] += 100
        assert wire3.answered(thief.send(octets), ANN).counter == stat(2)
        assert len(w.fake.performed) == 2


@looped
async def test_also_the_second_attempt_of_a_set_cannot_be_recorded_and_sent_again() -> None:
    async with world(security=SECURITY) as w:
        asker, thief = Asker(w), Asker(w, port=50000)
        second, third = asker.message(suspend(w)), asker.message(suspend(w))
        first = asker.ask(suspend(w))
        assert isinstance(first, Setting)
        assert asker.send(second) is None
        assert wire3.answered(await asker.finished(first), ANN).answer.error == (0, 0)
        assert wire3.answered(asker.send(third), ANN).answer.error == (0, 0)
        await asker.write((w.column(ACTION, "guest1"), number(KIND["Resume"])), request=10)
        for octets in (second, third):
            assert thief.send(octets) is None
        w.clock[0] += REMEMBERED_FOR + 1
        for octets in (second, third):
            assert asker.send(octets) is None
        assert w.domain("guest1").state is DomainState.RUNNING


@looped
async def test_a_set_that_was_refused_is_refused_again_when_it_comes_again() -> None:
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        octets = asker.message(setting([(w.column(ACTION, "guest1"), number(KIND["Resume"]))]))
        for data in (octets, octets, asker.message(setting([(w.column(ACTION, "guest1"), number(KIND["Resume"]))]))):
            answer = wire3.answered(asker.send(data), ANN)
            assert answer.answer.error == (int(Status.INCONSISTENT_VALUE), 1)
        assert len(w.engine.refusals) == 1, "told once"
        await asker.write((w.column(ACTION, "guest1"), number(KIND["Suspend"])), request=2)
        assert Asker(w, port=50000).send(octets) is None, "recorded, and sent when it would do something"
        assert w.domain("guest1").state is DomainState.PAUSED


@looped
async def test_what_comes_again_is_not_answered_beyond_the_length_that_it_names() -> None:
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        pairs = [(w.column(ACTION, f"guest{i}"), number(0)) for i in (1, 2, 3)] * 6
        pairs[0] = (w.column(AUTOSTART, "guest1"), ONE)
        assert (await asker.write(*pairs)).answer.error == (0, 0)
        before = w.engine.statistics.snmpSilentDrops
        assert asker.ask(setting(pairs), size=484) is None, "tooBig would say that nothing was done"
        assert w.engine.statistics.snmpSilentDrops == before + 1


@looped
async def test_when_no_more_sets_can_be_remembered_none_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(security=SECURITY) as w:
        monkeypatch.setattr(w.engine, "_replays", usm.Replays(limit=2))
        asker = Asker(w)
        name = w.column(AUTOSTART, "guest1")
        octets = asker.message(setting([(name, ONE)], request=1))
        assert wire3.answered(await asker.finished(asker.send(octets)), ANN).answer.error == (0, 0)
        assert (await asker.write((name, ONE), request=2)).answer.error == (0, 0)
        assert (await asker.write((name, ONE), request=3)).answer.error == (int(Status.RESOURCE_UNAVAILABLE), 1)
        assert (await asker.write(request=4)).answer.error == (int(Status.RESOURCE_UNAVAILABLE), 0)
        assert Asker(w, port=50000).send(octets) is None
        assert len(w.fake.performed) == 2
        observed = await Asker(w, RITA).write((name, ONE))
        assert observed.answer.error == (int(Status.NO_ACCESS), 1), "who may change nothing is not remembered"
        w.clock[0] += 301
        for request in range(9):
            await Asker(w, RITA).write((name, ONE), request=request)
        assert (await asker.write((name, ONE), request=5)).answer.error == (0, 0)


@looped
async def test_what_is_remembered_of_sets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "REMEMBERED_SETS", 3)
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        for request in range(6):
            assert (await asker.write((w.column(AUTOSTART, "guest1"), ONE), request=request)).answer.error == (0, 0)
            assert (await asker.write((SYS_NAME, ONE), request=request)).answer.error[0]
        assert len(w.engine._carried_out._known) == len(w.engine._refused_lately._known) == 3
        size = sum(len(part) for token in w.engine._carried_out._known for part in token if isinstance(part, bytes))
        assert size < 3 * 100


# --- from where, and how often


@looped
async def test_a_user_is_heard_from_his_sources_only() -> None:
    inside = (ipaddress.ip_network("127.0.0.0/30"),)
    async with world(security={"accounts": [account(ANN, Access.OPERATE, sources=inside)]}) as w:
        told: list[None] = []
        w.engine.on_authentication_failure.append(lambda: told.append(None))
        home, abroad = Asker(w), Asker(w, host="127.0.0.4")
        for _ in range(2):
            assert home.get(SYS_NAME).answer.error == (0, 0)
            assert abroad.ask(wire3.get(SYS_NAME)) is None
        assert abroad.ask(suspend(w)) is None
        assert len(told) == 3
        assert Asker(w, host="::ffff:127.0.0.2").get(SYS_NAME).answer.error == (0, 0)


@looped
async def test_a_user_asks_no_more_often_than_he_may() -> None:
    async with world(security={"accounts": [account(ANN, rate=2.0), account(RITA)]}) as w:
        ann, rita = Asker(w), Asker(w, RITA)
        for _ in range(3):
            assert [ann.ask(wire3.get(SYS_NAME)) is None for _ in range(4)] == [False, False, True, True]
            w.clock[0] += 1
        assert w.engine.statistics.tooOften == 6
        assert [rita.ask(wire3.get(SYS_NAME)) is None for _ in range(9)] == [False] * 9


@looped
async def test_a_message_that_is_not_genuine_takes_nothing_from_anybodys_rate() -> None:
    async with world(security={"accounts": [account(ANN, rate=1.0)]}) as w:
        asker = Asker(w)
        for _ in range(9):
            asker.ask(wire3.get(SYS_NAME), digest=lambda d: bytes(len(d)))
        assert asker.get(SYS_NAME).answer.error == (0, 0)


# --- other users from now on


@looped
async def test_who_is_taken_out_is_unknown_at_once() -> None:
    async with world(security=SECURITY) as w:
        ann, rita = Asker(w), Asker(w, RITA)
        for _ in range(2):
            ann.get(SYS_NAME)
            rita.get(SYS_NAME)
        w.engine.configure(Security(accounts=[account(RITA)]))
        assert wire3.answered(ann.ask(wire3.get(SYS_NAME))).counter == stat(3)
        assert rita.get(SYS_NAME).answer.error == (0, 0)
        w.engine.configure(Security(accounts=[account(replace(ANN, words="other words"), Access.OPERATE)]))
        assert wire3.answered(ann.ask(wire3.get(SYS_NAME))).counter == stat(5)
        other = Asker(w, replace(ANN, words="other words"))
        assert other.get(SYS_NAME).answer.error == (0, 0)


@looped
async def test_a_set_under_way_is_answered_though_its_user_is_gone() -> None:
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        under_way = asker.ask(suspend(w))
        w.engine.configure(Security())
        assert wire3.answered(await asker.finished(under_way), ANN).answer.error == (0, 0)


@looped
async def test_views_that_are_not_there_change_nothing() -> None:
    async with world(security=SECURITY) as w:
        with pytest.raises(KeyError):
            w.engine.configure(Security(accounts=[account(RITA, view="none")]))
        assert Asker(w).get(SYS_NAME).answer.error == (0, 0)
        assert w.engine.security.accounts == ACCOUNTS


# --- through a transport that protects

FINGERPRINT = "ab" * 32


def trusted(
    w: World, inner: bytes, *, context: bytes = b"", flags: int = 7, engine: bytes = ENGINE_ID, size: int = 9000
) -> bytes:
    header = wire.tlv(0x30, number(55) + number(size) + wire.text(bytes([flags])) + number(4))
    return wire.tlv(0x30, number(3) + header + wire.text(b"") + wire3.scoped(inner, engine, context))


def parts(data: bytes) -> tuple[bytes, bytes, wire.Answer]:
    """contextEngineID, context and PDU of an answer of the Transport Security Model."""
    _, inner, rest = wire.taken(data, 0x30)
    assert not rest
    _, version, inner = wire.taken(inner, wire.INTEGER)
    _, header, inner = wire.taken(inner, 0x30)
    _, msg_id, header = wire.taken(header, wire.INTEGER)
    _, _, header = wire.taken(header, wire.INTEGER)
    _, flags, header = wire.taken(header, wire.OCTETS)
    assert (version, msg_id, flags[0] & 4, wire.taken(header)[1]) == (b"\x03", b"\x37", 0, b"\x04")
    _, security, inner = wire.taken(inner, wire.OCTETS)
    assert security == b""
    _, inner, rest = wire.taken(inner, 0x30)
    assert not rest
    _, engine, inner = wire.taken(inner, wire.OCTETS)
    _, context, inner = wire.taken(inner, wire.OCTETS)
    return engine, context, wire.response(inner, b"", len(data))


CERTIFIED = {
    "certificates": [Certificate(fingerprint=FINGERPRINT, name="carl", role=Access.OBSERVE, hypervisors=("default",))]
}


@looped
async def test_the_owner_of_a_certificate_is_answered_in_his_contexts() -> None:
    async with world(security=CERTIFIED, others=OTHERS) as w:

        def ask(inner: bytes, **more: Any) -> tuple[bytes, bytes, wire.Answer]:
            return parts(w.engine.receive(trusted(w, inner, **more), "127.0.0.1", 5, certificate=FINGERPRINT))

        engine, context, answer = ask(wire3.get(ENGINE_ID_0), engine=OPEN)
        assert (engine, context, answer.variables[0][2]) == (OPEN, b"", ENGINE_ID)
        assert ask(wire3.get(SYS_NAME), context=b"default")[1:2] == (b"default",)
        assert ask(wire3.get(SYS_NAME), context=b"second")[2].error == (int(Status.AUTHORIZATION_ERROR), 0)
        for odd, counter in (({"context": b"nowhere"}, UNKNOWN_CONTEXTS), ({"engine": b"other"}, UNKNOWN_PDU_HANDLERS)):
            engine, context, answer = ask(wire3.get(SYS_NAME), **odd)
            assert (engine, context, answer.names) == (ENGINE_ID, b"", [counter])
        written = ask(setting([(w.column(AUTOSTART, "guest1"), ONE)]))[2]
        assert written.error == (int(Status.NO_ACCESS), 1)
        assert w.engine.statistics.snmpInBadCommunityUses == 0
        for size in range(484, 800):
            data = w.engine.receive(
                trusted(w, bulk(0, 500, (1, 3)), size=size), "127.0.0.1", 5, certificate=FINGERPRINT
            )
            assert isinstance(data, bytes)
            assert size - 120 < len(data) <= size


@looped
async def test_a_certificate_or_model_that_is_not_known_is_not_answered() -> None:
    async with world(security={**CERTIFIED, **SECURITY}) as w:
        told: list[None] = []
        w.engine.on_authentication_failure.append(lambda: told.append(None))
        asked = trusted(w, wire3.get(SYS_NAME))
        assert w.engine.receive(asked, "127.0.0.1", 5, certificate="cd" * 32) is None
        assert len(told) == 1
        assert w.engine.receive(asked, "127.0.0.1", 5) is None, "without TLS"
        of_usm = Asker(w).message(wire3.get(SYS_NAME))
        assert w.engine.receive(of_usm, "127.0.0.1", 5, certificate=FINGERPRINT) is None
        assert w.engine.statistics.snmpUnknownSecurityModels == 2
        assert w.engine.receive(trusted(w, wire3.get(SYS_NAME), flags=2), "127.0.0.1", certificate=FINGERPRINT) is None
        assert w.engine.statistics.snmpInvalidMsgs == 1
        community = wire.get(SYS_NAME)
        assert w.engine.receive(community, "127.0.0.1", 5, certificate=FINGERPRINT) is None
        assert (w.engine.statistics.snmpInBadVersions, w.engine.statistics.snmpInASNParseErrs) == (1, 0)
        assert w.engine.receive(asked[:-1], "127.0.0.1", 5, certificate=FINGERPRINT) is None
        assert (w.engine.statistics.snmpInBadVersions, w.engine.statistics.snmpInASNParseErrs) == (1, 1)


# --- nothing secret is shown


@looped
async def test_nothing_printed_holds_a_secret() -> None:
    async with world(security=SECURITY) as w:
        Asker(w).get(SYS_NAME)
        engine = w.engine
        shown = repr((engine, engine.security, engine.policy, engine.usm, engine._layouts, *engine.security.accounts,
                      *engine.security.communities, *engine.contexts.values(), engine._guests, engine._accounts))  # fmt: skip
        for secret in (ANN.words, ANN.secret, "b'secret'"):
            assert secret not in shown
