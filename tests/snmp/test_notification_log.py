"""NOTIFICATION-LOG-MIB: what is logged where, as it is read, for how long, and who sees what of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.schema.declare import Access
from agent.snmp import ber
from agent.snmp.message import Status
from agent.snmp.notice import Notice
from agent.snmp.notifications import Notifier
from agent.snmp.security import Community
from agent.snmp.standards.notification_log_mib import LAST_NUMBER, Entry, Log, NotificationLogMib
from agent.snmp.standards.snmp_notification_mib import LOG_FILTER, SnmpNotificationMib
from agent.snmp.standards.snmp_target_mib import UDP_IPV4
from agent.snmp.standards.snmpv2_mib import Kept
from agent.snmp.trap import COLD_START
from agent.snmp.vacm import MibView, Subtree
from tests import wire
from tests.agents import LOOPBACK, World, looped, standards, world
from tests.snmp.test_standard_mibs import beneath, plain, refused, sized, table, value, whole
from tests.wire import END_OF_MIB_VIEW, Oid, get, getbulk, getnext, number, oid, text

MIB = oid("1.3.6.1.2.1.92")
LIMIT, AGE_OUT = (*MIB, 1, 1, 1, 0), (*MIB, 1, 1, 2, 0)
CONFIG, STATS = (*MIB, 1, 1, 3, 1), (*MIB, 1, 2, 3, 1)
ENTRIES, VARIABLES = (*MIB, 1, 3, 1, 1), (*MIB, 1, 3, 2, 1)
STARTED: Oid = oid("1.3.6.1.4.1.36957.20.0.3")
NAME: Oid = oid("1.3.6.1.4.1.36957.20.1.2.1.4")
ALL = MibView("all", [Subtree(oid=(1, 3, 6, 1))])
UNSPECIFIED = b"\x05\x00"


def community(name: bytes, label: str, role: Access, hypervisor: str = "default", view: str = "all") -> Community:
    return Community(name=name, label=label, role=role, sources=LOOPBACK, hypervisor=hypervisor, view=view)


COMMUNITIES = (
    community(b"public", "one", Access.OBSERVE),
    community(b"operative", "two", Access.OPERATE),
    community(b"sovereign", "three", Access.ADMINISTER),
    community(b"other", "four", Access.OBSERVE, "second"),
    community(b"partial", "five", Access.OBSERVE, view="partial"),
    community(b"single", "six", Access.OBSERVE, view="single"),
)
VIEWS = (
    ALL,
    MibView("partial", [Subtree(oid=MIB), Subtree(oid=NAME), Subtree(oid=STARTED)]),
    MibView("single", [Subtree(oid=(1, 3, 6, 1)), Subtree(oid=(*ENTRIES, 9), included=False), Subtree(oid=(*ENTRIES, 9, 0, 2))]),
)  # fmt: skip


@asynccontextmanager
async def logging(log: NotificationLogMib, **more: Any) -> AsyncIterator[tuple[World, Notifier]]:
    """An agent with this log of two hypervisors, and the notifier that feeds it."""
    serves = (*standards(), log, SnmpNotificationMib(lambda: (), logged=True))
    async with world(
        communities=COMMUNITIES, security={"views": VIEWS}, serves=serves,
        others={"second": "fake:///?domains=1"}, **more,
    ) as agent:  # fmt: skip
        notifier = Notifier(agent.engine, default="default")
        notifier.record = log.record
        yield agent, notifier
        await notifier.stop()


def named(name: str, hypervisor: str | None = "default", arc: int = 7) -> Notice:
    return Notice(oid=STARTED, varbinds=(((*NAME, arc), text(name)),), hypervisor=hypervisor)


@looped
async def test_a_notification_is_logged_with_all_that_it_says() -> None:
    at = time.time()
    async with logging(NotificationLogMib(10, default="default", clock=lambda: at)) as (agent, notifier):
        agent.clock[0] += 12.5
        values = {
            number(5, 0x41): (1, 4), number(6, 0x42): (2, 5), number(7, 0x43): (3, 6), number(-8): (4, 7),
            wire.tlv(0x40, bytes([192, 0, 2, 1])): (5, 9), text(b"\0x"): (6, 8), wire.tlv(6, b"\x2b\x06"): (7, 10),
            number(2**40, 0x46): (8, 11), wire.tlv(0x44, b"opaque"): (9, 12),
        }  # fmt: skip
        varbinds = [((*NAME, 100 + n), element) for n, element in enumerate(values)]
        notifier.notify(Notice(oid=STARTED, varbinds=[*varbinds, ((*NAME, 1), UNSPECIFIED)], hypervisor="default"))
        ((index, row),) = table(agent, ENTRIES).items()
        assert index == (0, 1), "an empty name, and the number"
        assert row == {
            2: (1250).to_bytes(2, "big"), 3: ber.encode_date(datetime.fromtimestamp(at, UTC))[2:], 4: b"", 5: bytes(6),
            6: ber.oid_contents(UDP_IPV4), 7: agent.engine.engine_id, 8: b"", 9: ber.oid_contents(STARTED),
        }  # fmt: skip
        rows = table(agent, VARIABLES)
        assert list(rows) == [(0, 1, n) for n in range(1, 11)]
        for (name, element), (kind, arc), told in zip(varbinds, values.values(), rows.values(), strict=False):
            _, contents, _ = wire.taken(element)
            assert told == {2: ber.oid_contents(name), 3: bytes([kind]), arc: contents}
        assert rows[0, 1, 10] == {2: ber.oid_contents((*NAME, 1))}, "what is not known has neither type nor value"
        tags = {name[len(VARIABLES)]: tag for name, (tag, _) in beneath(agent, VARIABLES).items()}
        assert [tags[arc] for arc in range(4, 13)] == [0x41, 0x42, 0x43, 2, 4, 0x40, 6, 0x46, 0x44]


@looped
async def test_each_hypervisor_has_its_own_log_and_what_is_about_the_agent_is_in_all() -> None:
    async with logging(NotificationLogMib(10, default="default")) as (agent, notifier):
        notifier.notify(named("here"))
        notifier.notify(named("there", "second"))
        notifier.notify(Notice(oid=COLD_START))
        assert not notifier.listening, "a log is nobody who has to be told"
        here, there = beneath(agent, MIB), beneath(agent, MIB, b"other")
        assert [c for n, (_, c) in here.items() if n[: len(VARIABLES) + 1] == (*VARIABLES, 8)] == [b"here"]
        assert [c for n, (_, c) in there.items() if n[: len(VARIABLES) + 1] == (*VARIABLES, 8)] == [b"there"]
        for log, context in ((here, b""), (there, b"second")):
            assert [wire.arcs(log[*ENTRIES, 9, 0, n][1]) for n in (1, 2)] == [STARTED, COLD_START]
            assert log[*ENTRIES, 8, 0, 1][1] == context


@looped
async def test_a_full_log_loses_its_oldest_and_counts_it() -> None:
    async with logging(NotificationLogMib(3, default="default")) as (agent, notifier):
        for n in range(1, 6):
            notifier.notify(named(f"guest{n}"))
            assert len(table(agent, ENTRIES)) == min(n, 3)
        assert list(table(agent, ENTRIES)) == [(0, 3), (0, 4), (0, 5)]
        assert [row[8] for row in table(agent, VARIABLES).values()] == [b"guest3", b"guest4", b"guest5"]
        assert [whole(agent, (*MIB, 1, 2, arc, 0)) for arc in (1, 2)] == [5, 2]
        assert table(agent, STATS) == {(0,): {1: b"\5", 2: b"\2"}}
        assert agent.read(get((*ENTRIES, 9, 0, 2))).tags == [wire.NO_SUCH_INSTANCE]
        assert agent.read(get((*VARIABLES, 8, 0, 5, 2))).tags == [wire.NO_SUCH_INSTANCE]
        assert value(agent, (*VARIABLES, 8, 0, 5, 1)) == b"guest5"


@looped
async def test_a_walk_goes_on_where_it_was_though_entries_come_and_go() -> None:
    async with logging(NotificationLogMib(5, default="default")) as (agent, notifier):
        for n in range(1, 6):
            notifier.notify(named(f"guest{n}"))
        at, seen = (*VARIABLES, 8), []
        for n in range(6, 12):
            ((at, tag, contents),) = agent.read(getnext(at)).variables
            assert tag == wire.OCTETS
            seen.append(contents.decode())
            notifier.notify(named(f"guest{n}"))
        assert seen == ["guest1", "guest2", "guest3", "guest4", "guest5", "guest6"]


@looped
async def test_walks_by_every_way_see_the_same_of_entries_without_variables_and_of_many() -> None:
    async with logging(NotificationLogMib(1000, default="default")) as (agent, notifier):
        for n in range(300):
            held = [((*NAME, i), text(f"{n}.{i}") if (n + i) % 4 else number(n, 0x42)) for i in range(n % 4)]
            notifier.notify(Notice(oid=STARTED, varbinds=held, hypervisor="default"))
        bulk = beneath(agent, VARIABLES)
        single: dict[Oid, tuple[int, bytes]] = {}
        at: Oid = VARIABLES
        while True:
            ((at, tag, contents),) = agent.read(getnext(at)).variables
            if tag == END_OF_MIB_VIEW or at[: len(VARIABLES)] != VARIABLES:
                break
            single[at] = (tag, contents)
        assert single == bulk
        assert len(bulk) == 3 * sum(n % 4 for n in range(300))
        for name, (tag, contents) in list(bulk.items())[::37]:
            assert agent.read(get(name)).variables == [(name, tag, contents)]
        wrong = [
            (0, 0, 1),
            (0, 301, 1),
            (0, 4, 4),
            (0, 4, 0),
            (0, 1, 1),
            (1, 4, 1),
            (0, 4),
            (0, 4, 1, 1),
            (0, 2**32 - 1, 1),
        ]
        for arcs in wrong:
            assert agent.read(get((*VARIABLES, 8, *arcs))).tags == [wire.NO_SUCH_INSTANCE], arcs


@looped
async def test_version_1_is_spared_what_it_cannot_say() -> None:
    async with logging(NotificationLogMib(10, default="default")) as (agent, notifier):
        notifier.notify(Notice(oid=STARTED, varbinds=(((*NAME, 1), number(2**40, 0x46)),), hypervisor="default"))

        def following(name: Oid) -> tuple[Oid, bytes]:
            ((found, _, contents),) = wire.answered(agent.ask(getnext(name, version=0)), version=0).variables
            return found, contents

        assert following((*VARIABLES, 3)) == ((*VARIABLES, 3, 0, 1, 1), b"\x08")
        assert following((*VARIABLES, 10))[0][: len(VARIABLES)] != VARIABLES


# --- for how long, and how many


@looped
async def test_an_entry_is_kept_for_as_long_as_was_set() -> None:
    now = [1_000_000.0]
    async with logging(NotificationLogMib(10, default="default", clock=lambda: now[0])) as (agent, notifier):
        assert whole(agent, AGE_OUT) == 1440
        assert await refused(agent, (AGE_OUT, number(2, 0x42))) is Status.NO_ERROR
        notifier.notify(named("old"))
        now[0] += 100
        notifier.notify(named("young"))
        now[0] += 30
        await agent.inventory.refresh()
        assert list(table(agent, ENTRIES)) == [(0, 2)]
        assert whole(agent, (*MIB, 1, 2, 2, 0)) == 0, "who had his time made room for nobody"
        assert await refused(agent, (AGE_OUT, number(0, 0x42)), request=2) is Status.NO_ERROR
        now[0] += 10**9
        notifier.notify(named("youngest"))
        assert list(table(agent, ENTRIES)) == [(0, 2), (0, 3)]


def test_what_was_set_is_kept_until_the_configuration_says_another_limit() -> None:
    disk: dict[str, str] = {}
    kept = Kept(load=disk.get, store=disk.__setitem__)

    @looped
    async def check(limit: int, expected: int, age: int, *sets: tuple[Oid, int]) -> None:
        async with logging(NotificationLogMib(limit, default="default", kept=kept)) as (agent, notifier):
            assert (whole(agent, LIMIT), whole(agent, AGE_OUT)) == (expected, age)
            for n in range(6):
                notifier.notify(named(f"{n}"))
            for request, (name, to) in enumerate(sets, 1):
                assert await refused(agent, (name, number(to, 0x42)), request=request) is Status.NO_ERROR
            assert len(table(agent, ENTRIES)) == min(6, whole(agent, LIMIT))
            assert table(agent, CONFIG)[(0,)][3] == bytes([whole(agent, LIMIT)])

    check(10, 10, 1440, (LIMIT, 4), (AGE_OUT, 7))
    check(10, 4, 7)
    check(20, 20, 7)
    disk["nlmConfigGlobalAgeOut"] = "rubbish under 1440"
    check(20, 20, 1440)


@looped
async def test_only_administrators_set_it_and_only_what_can_be() -> None:
    async with logging(NotificationLogMib(10, default="default")) as (agent, _):
        for who in (b"public", b"operative"):
            assert await refused(agent, (LIMIT, number(5, 0x42)), who=who) is Status.NO_ACCESS
        assert await refused(agent, (LIMIT, number(5))) is Status.WRONG_TYPE
        for wrong in (0, 11):
            assert await refused(agent, (LIMIT, number(wrong, 0x42))) is Status.WRONG_VALUE
        assert await refused(agent, ((*LIMIT[:-1], 1), number(5, 0x42))) is Status.NO_CREATION
        for arc, element in ((2, text("x")), (3, number(5, 0x42)), (4, number(2)), (7, number(6))):
            assert await refused(agent, ((*CONFIG, arc, 0), element)) is Status.NOT_WRITABLE


@looped
async def test_the_log_says_which_filter_it_has_and_the_filter_is_there() -> None:
    async with logging(NotificationLogMib(10, default="default")) as (agent, _):
        assert table(agent, CONFIG) == {
            (0,): {2: LOG_FILTER.encode(), 3: b"\x0a", 4: b"\1", 5: b"\2", 6: b"\5", 7: b"\1"}
        }
        filters = table(agent, oid("1.3.6.1.6.3.13.1.3.1"))
        assert filters == {(*sized(LOG_FILTER), *plain("\1")): {2: b"", 3: b"\1", 4: b"\5", 5: b"\1"}}


def test_the_last_number_is_followed_by_the_first() -> None:
    log = Log(10)
    log.first = LAST_NUMBER
    log.add(Entry(named("last"), 1, 1.0))
    assert (log.first, len(log.entries)) == (LAST_NUMBER, 1)
    log.add(Entry(named("first"), 1, 1.0))
    assert (log.first, len(log.entries), log.variables, log.bumped) == (1, 1, 1, 1)


def test_a_storm_costs_little() -> None:
    """Nothing is encoded: an entry holds the very notice that was told."""
    log = Log(100)
    notice = named("storm")
    for _ in range(1000):
        log.add(Entry(notice, 1, 1.0))
    assert all(entry.notice is notice for entry in log.entries)
    assert (log.first, len(log.entries), log.variables, log.logged, log.bumped) == (901, 100, 100, 1000, 900)


# --- who sees what


@looped
async def test_nobody_reads_in_the_log_what_his_view_does_not_hold() -> None:
    async with logging(NotificationLogMib(10, default="default")) as (agent, notifier):
        hidden = ((oid("1.3.6.1.4.1.36957.20.1.2.1.2.7"), text("a UUID")), ((*NAME, 7), text("web")))
        notifier.notify(Notice(oid=STARTED, varbinds=hidden, hypervisor="default"))
        notifier.notify(Notice(oid=COLD_START, varbinds=(((*NAME, 7), text("mail")),)))
        shown = beneath(agent, MIB, b"partial")
        held = {contents for _, contents in shown.values()}
        assert b"web" in held
        assert not {b"a UUID", b"mail", ber.oid_contents(COLD_START)} & held
        assert [n[-2:] for n in shown if n[: len(ENTRIES) + 1] == (*ENTRIES, 9)] == [(0, 1)]
        assert [n[-3:] for n in shown if n[: len(VARIABLES) + 1] == (*VARIABLES, 2)] == [(0, 1, 2)]
        notifier.notify(named("db"))
        assert b"db" in {contents for _, contents in beneath(agent, MIB, b"partial").values()}, "as it is now"
        assert b"a UUID" in {contents for _, contents in beneath(agent, MIB).values()}


@looped
async def test_a_view_of_a_single_entry_shows_it_whenever_it_comes() -> None:
    async with logging(NotificationLogMib(10, default="default")) as (agent, notifier):
        column = (*ENTRIES, 9)
        assert beneath(agent, column, b"single") == {}
        for n in range(3):
            notifier.notify(named(f"{n}"))
        assert list(beneath(agent, column, b"single")) == [(*column, 0, 2)]
        assert agent.read(get((*column, 0, 1), community=b"single")).tags == [wire.NO_SUCH_INSTANCE]
        answer = agent.read(getbulk(0, 2, column, community=b"single"))
        assert answer.variables[0][0] == (*column, 0, 2)


@pytest.mark.parametrize("encoded", [b"\x80\x01", b"\x81", b"\0\x80\x01", b"", b"\0\x8f\xff\xff\xff\x7f"])
def test_an_instance_that_is_malformed_is_none(encoded: bytes) -> None:
    @looped
    async def ask() -> None:
        async with logging(NotificationLogMib(10, default="default")) as (agent, notifier):
            notifier.notify(named("web"))
            for column in agent.engine.context("default").view().columns:
                if column.oid[: len(MIB)] == MIB and column.count == 1 and len(column.index.arcs[0]) > 1:
                    assert column.index.positions.get(encoded) is None

    ask()
