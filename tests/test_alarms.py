"""Alarms: what raises and clears one, what never does, and how it shows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agent.alarms
from agent import config as configuration
from agent.__main__ import Agent
from agent.alarms import Alarms
from agent.config import AlarmRule
from agent.driver import Happened, Root
from agent.events import Announcement
from agent.inventory import Inventory
from agent.measures import STOPPED
from agent.model import MODEL, Disk, Domain, Host, Vcpu
from agent.model.alarm import Alarm, AlarmCleared, AlarmEvent, AlarmKind, AlarmRaised
from agent.model.disk import DiskDevice, DiskError
from agent.model.domain import Destroy, DomainState, SetAutostart, Start
from agent.model.log import Log
from agent.model.occurrence import PerceivedSeverity
from agent.model.pool import Pool
from agent.schema.declare import Row
from agent.snapshot import Snapshot, Table, atoms
from agent.state import State
from drivers.fake import Fake
from tests import wire
from tests.agents import OPERATOR, QUIET, looped, until, world
from tests.cim.served import Running, serve

T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECOND = 10**9
ALARM_ENTRY = wire.oid("1.3.6.1.4.1.36957.20.1.910.1")


def rule(kind: AlarmKind, raise_at: int = 90, clear_below: int | None = None, **more: Any) -> AlarmRule:
    """A rule that raises and clears at once unless it says otherwise."""
    given = {"name": kind.label, "hold": 0.0, "clear_hold": 0.0, **more}
    return AlarmRule(kind=kind, raise_at=raise_at, clear_below=clear_below or raise_at, **given)


def uuid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def domain(number: int = 1, **more: Any) -> Domain:
    known = {"uuid": uuid(number), "name": f"d{number}", "state": DomainState.RUNNING, "vcpus": 2, "problem": ""}
    return Domain(**{**known, "counters_since": T0, "refreshed": T0, **more})


def disk(target: str = "vda", number: int = 1, **more: Any) -> Disk:
    return Disk(domain=uuid(number), target=target, device=DiskDevice.DISK, format="qcow2", **more)


def full(number: int = 1, percent: int = 100) -> Domain:
    """A domain whose guest uses so much of its memory."""
    return domain(number, memory_available=100, memory_usable=100 - percent)


@dataclass
class Told:
    """An event, and the row that was shown when it was told."""

    event: AlarmEvent
    row: Alarm

    @property
    def raised(self) -> bool:
        return isinstance(self.event, AlarmRaised)

    def __str__(self) -> str:
        return f"{'raised' if self.raised else 'cleared'} {self.row.rule} {self.row.object} {self.row.value}"


@dataclass
class Stand:
    """An inventory whose snapshots a test makes up, with its alarms. `now` is what their clock shows."""

    inventory: Inventory
    alarms: Alarms
    now: list[float]
    told: list[Told] = field(default_factory=list)
    arcs: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def hear(self, happened: Happened) -> None:
        assert isinstance(happened.event, AlarmEvent)
        row = self.inventory.snapshot.get(Alarm, happened.key)
        assert row is not None, "the row of an event is there when it is told"
        self.told.append(Told(happened.event, row))

    async def read(self, *rows: Row, only: Sequence[Root] | None = None, after: float = 0.0) -> list[str]:
        """Some seconds later these rows are read, and nothing else is there; only those of some roots are new. Gives what was
        told."""
        self.now[0] += after
        self._publish(rows)
        for heard in self.inventory._read_listeners:
            heard(None if only is None else frozenset(only), self.now[0])
        return await self.evaluate()

    async def evaluate(self, after: float = 0.0) -> list[str]:
        self.now[0] += after
        before = len(self.told)
        await self.alarms.evaluate()
        return [str(told) for told in self.told[before:]]

    @property
    def rows(self) -> list[Alarm]:
        return [r for r in self.inventory.snapshot.table(Alarm).rows() if isinstance(r, Alarm)]

    def _publish(self, rows: Sequence[Row]) -> None:
        tables = []
        for kind in (Domain, Vcpu, Disk, Pool, Log, Host):
            own = sorted(
                ((self._arc(r), atoms(kind, r.values)) for r in rows if type(r) is kind), key=lambda each: each[0]
            )
            indexes = tuple(arc for arc, _ in own)
            before = self.inventory.snapshot.table(kind)
            indexes = before.indexes if before.indexes == indexes else indexes
            tables.append(Table(kind, [values for _, values in own], indexes, before))
        self.inventory.snapshot = self.inventory.snapshot.with_tables(tables)

    def _arc(self, row: Row) -> tuple[int, ...]:
        if isinstance(row, Host):
            return (0,)
        top = (type(row).root(), row.key[:1])
        arc = self.arcs.setdefault(top, len(self.arcs) + 1)
        own = self.arcs.setdefault((type(row), row.key), len(self.arcs) + 1)
        return (arc,) if type(row).root() is type(row) else (arc, own)


def stand(*rules: AlarmRule) -> Stand:
    """To be made in a running loop."""
    inventory = Inventory(Fake("default", "fake:///?domains=0"), State(":memory:"), pace=QUIET)
    inventory._connected = True
    now = [1000.0]
    made = Stand(inventory, Alarms(inventory, rules, lambda happened: made.hear(happened), lambda: now[0]), now)
    return made


# --- raising and clearing


@looped
async def test_an_alarm_is_raised_when_its_value_held_and_cleared_when_the_other_did() -> None:
    severity = PerceivedSeverity.MAJOR
    s = stand(rule(AlarmKind.MEMORY, 90, 80, name="full", hold=30.0, clear_hold=60.0, severity=severity))
    assert await s.read(full(percent=95)) == []
    assert await s.read(full(percent=90), after=29) == []
    assert await s.read(full(percent=92), after=1) == ["raised full domain d1 92"]
    (row,) = s.rows
    assert row.key == (1,)
    assert (row.rule, row.kind, row.domain, row.severity, row.threshold) == (
        "full", AlarmKind.MEMORY, uuid(1), severity, 90,
    )  # fmt: skip
    assert row.message == "domain d1: its guest uses 92 % of its memory; raised at 90, cleared below 80"
    assert s.told[0].row == row
    assert (s.told[0].event.severity, s.told[0].event.message) == (severity, row.message)
    assert row.raised is not None
    assert s.told[0].event.time == row.raised

    assert await s.read(full(percent=79), after=10) == []
    assert [r.value for r in s.rows] == [79], "the row shows what was measured last"
    assert s.rows[0].message == "domain d1: its guest uses 79 % of its memory; raised at 90, cleared below 80"
    assert await s.read(full(percent=70), after=59) == []
    assert await s.read(full(percent=71), after=1) == ["cleared full domain d1 71"]
    cleared = s.told[1]
    assert isinstance(cleared.event, AlarmCleared)
    assert cleared.event.duration == 70
    assert cleared.event.severity is PerceivedSeverity.INFORMATION
    assert cleared.event.message == cleared.row.message == "domain d1: well again: its guest uses 71 % of its memory"
    assert s.rows == []


@looped
async def test_a_value_that_swings_about_the_threshold_is_told_once() -> None:
    s = stand(rule(AlarmKind.MEMORY, 90, 80))
    told = []
    for percent in (91, 89, 90, 85, 95, 80, 99, 81):
        told += await s.read(full(percent=percent), after=5)
    assert told == ["raised memory domain d1 91"]
    assert await s.read(full(percent=79), after=5) == ["cleared memory domain d1 79"]


@looped
async def test_a_value_has_to_hold_without_a_break() -> None:
    s = stand(rule(AlarmKind.MEMORY, 90, 80, hold=30.0, clear_hold=30.0))
    for percent in (95, 89, 95):
        assert await s.read(full(percent=percent), after=20) == []
    assert await s.read(full(percent=95), after=29) == []
    assert len(await s.read(full(percent=95), after=1)) == 1
    for percent in (70, 80, 70):
        assert await s.read(full(percent=percent), after=20) == []
    assert await s.read(full(percent=70), after=29) == []
    assert len(await s.read(full(percent=70), after=1)) == 1


@looped
async def test_a_value_that_is_not_known_changes_nothing() -> None:
    s = stand(rule(AlarmKind.MEMORY, 90, hold=30.0, clear_hold=10.0))
    unknown = domain()
    assert await s.read(unknown, after=100) == []
    assert await s.read(full()) == []
    assert await s.read(unknown, after=31) == [], "what is not known raises nothing, however long it was known before"
    assert await s.read(full(), after=1) == ["raised memory domain d1 100"]
    assert await s.read(unknown, after=100) == []
    assert [r.value for r in s.rows] == [100]
    assert await s.read(full(percent=50), after=1) == []
    assert await s.read(full(percent=50), after=10) == ["cleared memory domain d1 50"]


@looped
async def test_a_domain_that_cannot_be_read_keeps_its_alarm_and_gets_none() -> None:
    s = stand(rule(AlarmKind.MEMORY, 90))
    broken = {"problem": "the monitor does not answer"}
    assert await s.read(full().replace(**broken), after=1) == []
    assert len(await s.read(full(), after=1)) == 1
    assert await s.read(full(percent=10).replace(**broken), after=1) == []
    assert await s.read(full(percent=10), after=1) == ["cleared memory domain d1 10"]


@looped
async def test_an_alarm_of_what_is_no_more_is_cleared() -> None:
    s = stand(rule(AlarmKind.MEMORY, 90, clear_hold=600.0), rule(AlarmKind.DISK, 80))
    told = await s.read(full(1), full(2), disk(allocation=9, capacity=10), after=1)
    assert told == [
        "raised memory domain d1 100",
        "raised memory domain d2 100",
        "raised disk disk vda of domain d1 90",
    ]
    assert await s.read(full(1), full(2), after=1) == ["cleared disk disk vda of domain d1 90"]
    assert await s.read(full(2), after=1) == ["cleared memory domain d1 100"]
    assert s.told[-1].event.message == "domain d1: is no more"
    assert [r.object for r in s.rows] == ["domain d2"]


@looped
async def test_what_was_not_read_is_not_judged() -> None:
    s = stand(rule(AlarmKind.MEMORY, 90), rule(AlarmKind.DISK, 80))
    first: Root = (Domain, (uuid(1),))
    await s.read(domain(1), domain(2))
    disks = disk("vda", 1, allocation=9, capacity=10), disk("vda", 2, allocation=9, capacity=10)
    told = await s.read(full(1), full(2), *disks, only=[first], after=1)
    assert told == ["raised memory domain d1 100", "raised disk disk vda of domain d1 90"]
    assert await s.read(full(2), disks[1], only=[(Domain, (uuid(2),))], after=1) == [
        "raised memory domain d2 100", "raised disk disk vda of domain d2 90",
    ]  # fmt: skip
    assert await s.read(full(2), disks[1], only=[first, (Pool, ("no such",))], after=1) == [
        "cleared memory domain d1 100", "cleared disk disk vda of domain d1 90",
    ]  # fmt: skip


@looped
async def test_readings_that_came_in_between_are_judged_together() -> None:
    s = stand(rule(AlarmKind.MEMORY, 90))
    await s.read(domain(1), domain(2))
    s._publish([full(1), full(2)])
    for number in (1, 2):
        s.alarms._heard_reading(frozenset([(Domain, (uuid(number),))]), 0.0)
    assert await s.evaluate() == ["raised memory domain d1 100", "raised memory domain d2 100"]
    assert await s.evaluate() == []


@looped
async def test_many_rules_about_one_domain_have_an_alarm_each_in_their_order() -> None:
    rules = [rule(AlarmKind.MEMORY, percent, name=f"r{percent}") for percent in range(1, 101)]
    s = stand(*rules)
    assert len(await s.read(full(percent=70))) == 70
    assert [r.key for r in s.rows] == [(number,) for number in range(1, 71)]
    assert await s.read(full(percent=69), after=1) == ["cleared r70 domain d1 69"]
    assert len(await s.read(full(percent=100), after=1)) == 31
    assert [r.key[0] for r in s.rows] == [*range(1, 70), *range(71, 102)], "no number is given twice"


@looped
async def test_more_alarms_than_there_may_be_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(agent.alarms, "MOST", 3)
    s = stand(rule(AlarmKind.MEMORY, 90))
    with caplog.at_level(logging.WARNING, "virtmap.alarms"):
        assert len(await s.read(*map(full, range(1, 6)))) == 3
        assert await s.read(*map(full, range(1, 6)), after=1) == []
    assert [r.getMessage() for r in caplog.records] == [
        "default: 3 alarms are raised, as many as there may be; 2 more wait until others are cleared"
    ]
    told = await s.read(full(1, 0), *map(full, range(2, 6)), after=1)
    told += await s.read(full(1, 0), *map(full, range(2, 6)), after=1)
    assert told == ["cleared memory domain d1 0", "raised memory domain d4 100"]


@looped
async def test_who_cannot_hear_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    s = stand(rule(AlarmKind.MEMORY, 90))

    def deaf(_: Happened) -> None:
        raise ValueError("no ears")

    s.alarms.tell = deaf
    await s.read(full())
    assert len(s.rows) == 1
    await s.read(full(percent=1))
    assert s.rows == []
    assert [r.exc_info is not None for r in caplog.records] == [True, True]


@given(
    st.lists(st.tuples(st.integers(0, 100) | st.none(), st.integers(0, 40)), max_size=30),
    st.integers(0, 60),
    st.integers(0, 60),
)
@settings(max_examples=60, deadline=None)
def test_raised_and_cleared_alternate_whatever_is_measured(
    values: list[tuple[int | None, int]], hold: int, clear_hold: int
) -> None:
    @looped
    async def check() -> None:
        s = stand(rule(AlarmKind.MEMORY, 60, 40, hold=float(hold), clear_hold=float(clear_hold)))
        for percent, after in values:
            await s.read(domain() if percent is None else full(percent=percent), after=float(after))
            assert len(s.rows) == sum(1 if t.raised else -1 for t in s.told)
        assert [t.raised for t in s.told] == [i % 2 == 0 for i in range(len(s.told))]
        for told in s.told:
            value = told.row.value
            assert value is not None
            assert value >= 60 if told.raised else value < 40
        s.alarms._workers.close()

    check()


# --- who is watched


@looped
async def test_patterns_say_which_domains_disks_and_pools_are_watched() -> None:
    s = stand(
        rule(AlarmKind.MEMORY, name="web", domains=("web*", "*-db")),
        rule(AlarmKind.DISK, name="data", domains=("web*",), disks=("vd[b-z]",)),
        rule(AlarmKind.POOL, name="images", pools=("im?ges",)),
        rule(AlarmKind.MEMORY, name="elsewhere", hypervisors=("other",)),
        rule(AlarmKind.MEMORY, name="here", domains=("*.log",), hypervisors=("other", "default")),
    )
    names = ("web1", "the-db", "Web2", "web.log", "")
    rows: list[Row] = [full(i).replace(name=name) for i, name in enumerate(names)]
    rows += [disk(target, i, allocation=9, capacity=9) for i in (0, 1) for target in ("vda", "vdb")]
    rows += [Pool(uuid=uuid(i), name=name, allocation=9, capacity=9) for i, name in enumerate(("images", "imges"))]
    assert sorted(await s.read(*rows)) == [
        "raised data disk vdb of domain web1 100", "raised here domain web.log 100", "raised images pool images 100",
        "raised web domain the-db 100", "raised web domain web.log 100", "raised web domain web1 100",
    ]  # fmt: skip


@looped
async def test_a_domain_that_is_renamed_out_of_a_pattern_is_watched_no_longer() -> None:
    s = stand(rule(AlarmKind.MEMORY, domains=("web*",)))
    assert len(await s.read(full().replace(name="web1"))) == 1
    assert await s.read(full().replace(name="db1"), after=1) == ["cleared memory domain web1 100"]
    assert s.told[-1].event.message == "domain web1: rule memory watches it no longer"


@looped
async def test_a_name_reaches_nobody_unescaped_and_fits_its_column() -> None:
    s = stand(rule(AlarmKind.MEMORY))
    await s.read(full(1).replace(name="a\x1b[31mb\nc"), full(2).replace(name="\u00e4" * 300))
    first, second = s.rows
    assert first.object == "domain a\\x1b[31mb\\nc"
    assert first.message is not None
    assert first.message.isprintable()
    assert second.object is not None
    assert 250 <= len(second.object.encode()) <= 255


# --- other rules


@looped
async def test_rules_that_stay_keep_what_they_saw() -> None:
    kept = rule(AlarmKind.MEMORY, 90, name="kept", hold=30.0)
    gone = rule(AlarmKind.MEMORY, 90, name="gone")
    s = stand(kept, gone)
    assert await s.read(full()) == ["raised gone domain d1 100"]
    s.alarms.reload([rule(AlarmKind.MEMORY, 95, name="kept", hold=20.0, severity=PerceivedSeverity.CRITICAL)])
    assert await s.evaluate(after=1) == ["cleared gone domain d1 100"]
    assert s.told[-1].event.message == "domain d1: rule gone watches it no longer"
    assert await s.read(full(), after=19) == ["raised kept domain d1 100"]
    assert s.rows[0].severity is PerceivedSeverity.CRITICAL
    s.alarms.reload([kept])
    assert await s.read(full(), after=1) == []
    assert len(s.rows) == 1
    s.alarms.reload([rule(AlarmKind.CPU, 90, name="kept")])
    assert await s.evaluate() == ["cleared kept domain d1 100"], "of another kind it is another rule"
    s.alarms.reload([])
    assert await s.read(full(), after=1) == []
    assert s.rows == []


# --- shares of time


def run(seconds: float, cpu: float | None, **more: Any) -> Domain:
    """A domain of two vCPUs, so many seconds after the first reading, with so many seconds of processor time."""
    spent = None if cpu is None else int(cpu * SECOND)
    return domain(**{"refreshed": T0 + timedelta(seconds=seconds), "cpu_time": spent, **more})


async def measured(kind: AlarmKind, *readings: Sequence[Row]) -> list[int | None]:
    """The value at each reading, as an alarm that is raised by everything but 0 tells it; None while there is none."""
    s = stand(rule(kind, 1, clear_hold=10**9))
    out: list[int | None] = []
    for rows in readings:
        await s.read(*rows, after=5)
        out.append(s.rows[0].value if s.rows else None)
    return out


@looped
async def test_processor_time_is_a_share_of_the_time_between_two_readings() -> None:
    assert await measured(AlarmKind.CPU, [run(0, 100)], [run(5, 105)], [run(15, 120.999)], [run(16, 130)]) == [
        None,
        50,
        79,
        100,
    ]


@looped
async def test_a_counter_that_went_back_begins_anew() -> None:
    later = T0 + timedelta(seconds=7)
    readings = [run(0, 100)], [run(5, 109)], [run(10, 2)], [run(15, 3)]
    assert await measured(AlarmKind.CPU, *readings) == [None, 90, 90, 10]
    readings = [run(0, 1)], [run(5, 10)], [run(10, 18, counters_since=later)], [run(15, 19, counters_since=later)]
    assert await measured(AlarmKind.CPU, *readings) == [None, 90, 90, 10], "it began anew although it is higher"
    readings = [run(0, 1)], [run(5, 10)], [run(10, 18, vcpus=4)], [run(15, 20, vcpus=4)]
    assert await measured(AlarmKind.CPU, *readings) == [None, 90, 90, 10]


@looped
async def test_a_reading_that_comes_too_soon_or_without_time_is_left_out() -> None:
    readings = [run(0, 0)], [run(5, 9)], [run(5.5, 9)], [run(6.5, 10.5)]
    assert await measured(AlarmKind.CPU, *readings) == [None, 90, 90, 50]
    readings = [run(0, 0)], [run(5, 9)], [run(10, None)], [run(15, 10)]
    assert await measured(AlarmKind.CPU, *readings) == [None, 90, 90, 5]


@looped
async def test_a_clock_that_was_set_back_holds_up_nothing_for_long() -> None:
    readings = [run(0, 0)], [run(5, 9)], [run(-3600, 12)], [run(-3595, 13)]
    assert await measured(AlarmKind.CPU, *readings) == [None, 90, 90, 10]


@looped
async def test_domains_that_come_and_go_do_not_mix_up_the_counters_of_others() -> None:
    s = stand(rule(AlarmKind.CPU, 50))
    at = T0 + timedelta(seconds=5)
    assert await s.read(*(domain(n, cpu_time=n * SECOND) for n in (1, 3)), after=5) == []
    busy = domain(3, cpu_time=12 * SECOND, refreshed=at)
    assert await s.read(domain(2, cpu_time=99 * SECOND, refreshed=at), busy, after=5) == ["raised cpu domain d3 90"]


@looped
async def test_a_single_domain_that_is_read_between_has_its_own_time() -> None:
    s = stand(rule(AlarmKind.CPU, 50))
    root: Root = (Domain, (uuid(1),))
    two = domain(2, cpu_time=0)
    await s.read(run(0, 0), two, after=5)
    assert await s.read(run(2, 1), two, only=[root], after=2) == []
    later = domain(2, cpu_time=9 * SECOND, refreshed=T0 + timedelta(seconds=5))
    assert await s.read(run(5, 5), later, after=3) == ["raised cpu domain d1 66", "raised cpu domain d2 90"]


@looped
async def test_a_domain_that_was_stopped_is_not_busy_any_more() -> None:
    s = stand(rule(AlarmKind.CPU, 50), rule(AlarmKind.MEMORY, 90), rule(AlarmKind.IO_ERRORS, 1))
    bad = disk(error=DiskError.NO_SPACE)
    await s.read(run(0, 0), bad, after=5)
    await s.read(run(5, 9, memory_available=100, memory_usable=0), bad, after=5)
    assert len(s.rows) == 3
    for state in STOPPED:
        assert state in (DomainState.SHUT_OFF, DomainState.CRASHED)
    told = await s.read(domain(state=DomainState.SHUT_OFF, refreshed=T0 + timedelta(seconds=10)), disk(), after=5)
    assert told == ["cleared cpu domain d1 0", "cleared memory domain d1 0", "cleared ioErrors disk vda of domain d1 0"]


def waiting(seconds: float, *times: tuple[int | None, int | None]) -> list[Row]:
    """A domain whose vCPUs stood in the run queue, and waited, for so many seconds."""
    vcpus = [
        Vcpu(
            domain=uuid(1), number=i, delay_time=None if delay is None else delay * SECOND,
            wait_time=None if wait is None else wait * SECOND,
        )
        for i, (delay, wait) in enumerate(times)
    ]  # fmt: skip
    return [run(seconds, 0), *vcpus]


@looped
async def test_steal_is_what_all_vcpus_of_a_domain_waited_together() -> None:
    readings = waiting(0, (1, 50), (1, 50)), waiting(10, (5, 50), (2, 50)), waiting(20, (7, 50), (4, 50))
    assert await measured(AlarmKind.STEAL, *readings) == [None, 25, 20]
    readings = waiting(0, (None, 1), (None, 1)), waiting(10, (None, 5), (None, 2)), waiting(20, (None, 7), (None, 4))
    assert await measured(AlarmKind.STEAL, *readings) == [None, 25, 20], "wait stands in where there is no delay"
    readings = (
        waiting(0, (1, None), (1, None)),
        waiting(10, (None, None), (None, None)),
        waiting(20, (9, None), (3, None)),
    )
    assert await measured(AlarmKind.STEAL, *readings) == [None, None, 25]


@looped
async def test_steal_of_a_single_domain_is_that_of_its_own_vcpus() -> None:
    s = stand(rule(AlarmKind.STEAL, 20))
    other: list[Row] = [domain(2), *(Vcpu(domain=uuid(2), number=i, delay_time=99 * SECOND * i) for i in range(3))]
    await s.read(*waiting(0, (1, 1), (1, 1)), *other, after=1)
    only: list[Root] = [(Domain, (uuid(1),))]
    assert await s.read(*waiting(10, (5, 5), (2, 2)), *other, only=only, after=1) == ["raised steal domain d1 25"]
    quiet = [domain(3), Vcpu(domain=uuid(3), number=0, delay_time=None)]
    told = await s.read(*waiting(20, (9, 5), (6, 2)), *quiet, after=1)
    assert told == []
    assert s.rows[0].value == 40


def host(seconds: float, **more: Any) -> Host:
    at = T0 + timedelta(seconds=seconds)
    return Host(hypervisor="default", cpus=4, refreshed=at, counters_since=T0, problem="", **more)


@looped
async def test_processors_of_the_host_are_busy_with_all_but_waiting() -> None:
    def spent(seconds: int, user: int, kernel: int, interrupt: int | None) -> list[Row]:
        times = {"cpu_user": user * SECOND, "cpu_kernel": kernel * SECOND}
        more = {"cpu_interrupt": None if interrupt is None else interrupt * SECOND}
        return [host(seconds, **times, **more, cpu_idle=1, cpu_utilization=99)]

    readings = spent(0, 10, 5, 1), spent(10, 30, 10, 2), spent(20, 30, 12, 2)
    assert await measured(AlarmKind.HOST_CPU, *readings) == [None, 65, 5]
    told = [[host(0, cpu_utilization=7)], [host(5, cpu_utilization=8)]]
    assert await measured(AlarmKind.HOST_CPU, *told) == [7, 8], "some hypervisors tell a share"


# --- other values


@looped
async def test_memory_that_a_guest_can_free_is_not_used() -> None:
    def used(available: int | None, usable: int | None, unused: int | None) -> list[Row]:
        return [domain(memory_available=available, memory_usable=usable, memory_unused=unused)]

    assert await measured(AlarmKind.MEMORY, used(1000, 400, 50)) == [60]
    assert await measured(AlarmKind.MEMORY, used(1000, None, 50)) == [95]
    assert await measured(AlarmKind.MEMORY, used(1000, 0, 50)) == [100]
    for nothing in (used(1000, None, None), used(None, 400, 50), used(0, 0, 0), used(1000, 2000, None)):
        assert await measured(AlarmKind.MEMORY, nothing) == [None]


@looped
async def test_memory_of_the_host_in_caches_is_not_used() -> None:
    assert await measured(
        AlarmKind.HOST_MEMORY, [host(0, memory=1000, memory_free=100, memory_buffers=50, memory_cached=250)]
    ) == [60]
    assert await measured(AlarmKind.HOST_MEMORY, [host(0, memory=1000, memory_free=100)]) == [90]
    assert await measured(AlarmKind.HOST_MEMORY, [host(0, memory=1000)]) == [None]


@looped
async def test_a_disk_is_as_full_as_its_image_is_and_some_never_fill() -> None:
    size: dict[str, Any] = {"allocation": 899, "capacity": 1000}
    assert await measured(AlarmKind.DISK, [domain(), disk(**size)]) == [89]
    more = disk(allocation=1001, capacity=1000)
    assert await measured(AlarmKind.DISK, [domain(), more]) == [100]
    for never in (
        disk(**size).replace(device=DiskDevice.CDROM), disk(**size).replace(device=DiskDevice.LUN),
        disk(**size).replace(read_only=True), disk(**size).replace(type="block", format="raw"),
        disk(allocation=899), disk(capacity=1000), disk(allocation=1, capacity=0),
    ):  # fmt: skip
        assert await measured(AlarmKind.DISK, [domain(), never]) == [None]
    assert await measured(AlarmKind.DISK, [domain(), disk(**size).replace(type="block")]) == [89]


@looped
async def test_every_threshold_is_exact() -> None:
    for percent in range(1, 101):
        s = stand(rule(AlarmKind.DISK, percent), rule(AlarmKind.MEMORY, percent))
        below, at = percent * 10**15 - 1, percent * 10**15
        part = {"capacity": 100 * 10**15}
        guests = [
            domain(n, memory_available=100 * 10**12, memory_usable=(100 - percent) * 10**12 + more)
            for n, more in ((1, 1), (2, 0))
        ]
        told = await s.read(*guests, disk(allocation=below, **part), disk(number=2, allocation=at, **part))
        assert told == [f"raised disk disk vda of domain d2 {percent}", f"raised memory domain d2 {percent}"]
        s.alarms._workers.close()


@looped
async def test_a_pool_is_full_of_what_is_taken() -> None:
    assert await measured(
        AlarmKind.POOL, [Pool(uuid=uuid(1), name="p", allocation=95, capacity=100, problem="a volume")]
    ) == [95]
    assert await measured(AlarmKind.POOL, [Pool(uuid=uuid(1), name="p", allocation=0, capacity=0)]) == [None]


@looped
async def test_errors_of_a_disk_are_those_of_the_last_minute() -> None:
    def counted(errors: int | None, last: DiskError | None = DiskError.NONE) -> list[Row]:
        return [domain(), disk(errors=errors, error=last)]

    readings = counted(1000), counted(1003), counted(1003), counted(None), counted(1005), counted(4), counted(5)
    assert await measured(AlarmKind.IO_ERRORS, *readings) == [None, 3, 3, 0, 5, 5, 6]
    readings = counted(None), counted(None, DiskError.NO_SPACE), counted(None), counted(None, None)
    assert await measured(AlarmKind.IO_ERRORS, *readings) == [None, 1, 0, 0], (
        "stopped by an error, where none are counted"
    )
    s = stand(rule(AlarmKind.IO_ERRORS, 10, clear_hold=0))
    for errors in range(0, 40, 4):
        await s.read(*counted(errors), after=0.5)
    assert s.rows, "however often they are read"
    await s.read(*counted(36), after=70)
    assert not s.rows


@looped
async def test_two_shares_of_one_reading_do_not_disturb_each_other() -> None:
    """What one keeps of a domain that was read alone is nothing to the other."""
    s = stand(rule(AlarmKind.CPU, 90), rule(AlarmKind.STEAL, 50))

    def rows(seconds: float) -> list[Row]:
        at = T0 + timedelta(seconds=seconds)
        spent, waited = int(seconds * 0.05 * SECOND), int(seconds * 0.2 * SECOND)
        return [domain(1, vcpus=1, cpu_time=spent, refreshed=at), Vcpu(domain=uuid(1), number=0, delay_time=waited)]

    for seconds, only in ((0, None), (5, None), (8.9, [(Domain, (uuid(1),))]), (10, None), (15, None)):
        assert await s.read(*rows(seconds), only=only, after=5) == []


@looped
async def test_a_domain_is_down_that_should_start_with_its_host() -> None:
    def one(**more: Any) -> list[Row]:
        return [domain(**{"autostart": True, "persistent": True, "state": DomainState.SHUT_OFF, **more})]

    assert await measured(AlarmKind.DOWN, one()) == [1]
    assert await measured(AlarmKind.DOWN, one(state=DomainState.CRASHED)) == [1]
    for well in (
        {"autostart": False},
        {"autostart": None},
        {"persistent": False},
        {"state": DomainState.PAUSED},
        {"state": None},
    ):
        assert await measured(AlarmKind.DOWN, one(**well)) == [None]
    s = stand(rule(AlarmKind.DOWN, 1))
    assert await s.read(*one()) == ["raised down domain d1 1"]
    assert s.rows[0].message == "domain d1: it should run, since it starts with the host, and does not"
    assert await s.read(*one(state=DomainState.RUNNING)) == ["cleared down domain d1 0"]
    assert s.told[-1].event.message == "domain d1: well again: it runs, or need not run"


@looped
async def test_lines_of_a_log_are_counted_over_a_minute() -> None:
    def lines(matches: int | None) -> Log:
        return Log(path="/var/log/web.log", domain=uuid(1), domain_name="web", matches=matches, counted_since=T0)

    s = stand(rule(AlarmKind.LOG, 5, 3, domains=("web",)))
    assert await s.read(lines(1000)) == [], "what matched before anybody counted is no news"
    told = []
    for matches, after in ((1002, 30), (1004, 20), (1005, 9)):
        told += await s.read(lines(matches), after=after)
    assert told == ["raised log log /var/log/web.log 5"]
    assert s.rows[0].domain == uuid(1)
    assert await s.read(lines(None), after=30) == []
    assert await s.read(lines(1005), after=1) == []
    assert s.rows[0].value == 3
    assert await s.read(lines(1005), after=20) == ["cleared log log /var/log/web.log 1"]
    assert await s.read(lines(2), after=1) == [], "it was counted anew"
    assert await s.read(lines(7), after=1) == ["raised log log /var/log/web.log 6"]


@looped
async def test_a_minute_of_a_log_takes_few_numbers() -> None:
    s = stand(rule(AlarmKind.LOG, 10**6))
    for number in range(2000):
        await s.read(Log(path="/l", domain_name="web", matches=number, counted_since=T0), after=0.1)
    measure: Any = s.alarms._measures[AlarmKind.LOG]
    (minute,) = measure._grown._minutes.values()
    assert len(minute) <= 14
    assert 540 <= sum(count for _, count in minute) <= 650
    await s.read(after=100)
    assert measure._grown._minutes == {}


# --- the connection


@looped
async def test_a_lost_connection_is_an_alarm_by_time_alone() -> None:
    s = stand(rule(AlarmKind.DISCONNECTED, 1, hold=30.0, clear_hold=5.0), rule(AlarmKind.MEMORY, 90))
    await s.read(host(0, connected=True), full())
    s.inventory._connected = False
    assert await s.evaluate() == []
    assert await s.evaluate(after=29) == []
    assert await s.evaluate(after=1) == ["raised disconnected host default 1"]
    assert s.rows[1].message == "host default: there is no connection to it"
    assert len(s.rows) == 2, "what was wrong before is not well by that"
    s.inventory._connected = True
    assert await s.evaluate(after=1) == []
    assert await s.evaluate(after=5) == ["cleared disconnected host default 0"]


@looped
async def test_before_the_first_attempt_to_connect_nothing_is_lost() -> None:
    s = stand(rule(AlarmKind.DISCONNECTED, 1))
    s.inventory._connected = False
    assert await s.evaluate(after=1) == []
    s.inventory.snapshot = Snapshot({row: s.inventory.snapshot.table(row) for row in MODEL.rows}, 1)
    assert await s.evaluate(after=1) == ["raised disconnected host default 1"]


# --- running


@looped
async def test_while_there_are_rules_the_hypervisor_is_read() -> None:
    s = stand(rule(AlarmKind.MEMORY))
    s.inventory._asked = 0.0
    s.alarms.start()
    await until(lambda: s.inventory._asked > 0)
    s.alarms.reload([])
    await until(lambda: s.alarms._rules == [])
    s.inventory._asked = 0.0
    s.inventory._connection_listeners[0](True, "")
    await until(lambda: not s.alarms._wake.is_set())
    assert s.inventory._asked == 0.0
    await s.alarms.stop()


@looped
async def test_a_fault_in_one_evaluation_is_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    s = stand(rule(AlarmKind.MEMORY))
    judge = s.alarms._judge

    def fail(*_: Any) -> Any:
        s.alarms._judge = judge  # type: ignore[method-assign]
        raise ValueError("a bug")

    s.alarms._judge = fail  # type: ignore[method-assign]
    s.alarms.start()
    await until(lambda: caplog.records)
    assert "alarms were not evaluated" in caplog.text
    s._publish([full()])
    s.alarms._heard_reading(None, 0.0)
    await until(lambda: s.rows)
    await s.alarms.stop()


def column(w: Any, number: int) -> list[bytes]:
    """A column of the alarm table, as SNMP shows it."""
    entry = (*ALARM_ENTRY, number)
    answer = w.read(wire.getbulk(0, 20, entry))
    return [value for name, _, value in answer.variables if name[: len(entry)] == entry]


@looped
async def test_the_alarm_table_of_snmp_shows_what_is_raised() -> None:
    async with world() as w:
        told: list[Happened] = []
        alarms = Alarms(w.inventory, [rule(AlarmKind.DOWN, 1, domains=("guest[12]",))], told.append)
        alarms.start()
        for name in ("guest1", "guest2", "guest3"):
            await w.operations.perform(OPERATOR, "default", SetAutostart(autostart=True), w.key(name))
            await w.operations.perform(OPERATOR, "default", Destroy(), w.key(name))
        await until(lambda: len(column(w, 2)) == 2)
        assert set(column(w, 5)) == {b"domain guest1", b"domain guest2"}
        assert set(column(w, 6)) == {str(w.key(name)[0]).encode() for name in ("guest1", "guest2")}
        await w.operations.perform(OPERATOR, "default", Start(), w.key("guest1"))
        await until(lambda: column(w, 5) == [b"domain guest2"])
        w.fake.remove("guest2")
        await until(lambda: column(w, 2) == [])
        assert [type(t.event) for t in told] == [AlarmRaised, AlarmRaised, AlarmCleared, AlarmCleared]
        await alarms.stop()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    yield from serve({"default": "fake:///?domains=2"})


def test_the_class_of_cim_shows_what_is_raised(running: Running) -> None:
    inventory = running.inventories["default"]
    told: list[Happened] = []

    async def judge(*rules: AlarmRule) -> None:
        alarms = Alarms(inventory, rules, told.append)
        await alarms.evaluate()
        await alarms.stop()

    running.run(
        lambda: judge(
            rule(AlarmKind.MEMORY, 1, severity=PerceivedSeverity.MINOR), rule(AlarmKind.DISK, 1, disks=("vdb",))
        )
    )
    found = running.client().EnumerateInstances("Virtmap_Alarm")
    assert len(found) == len(told) == 4
    assert {i["Kind"] for i in found} == {int(AlarmKind.MEMORY), int(AlarmKind.DISK)}
    first = next(i for i in found if i["Object"] == "domain guest1")
    assert first["ElementName"] == "memory: domain guest1"
    assert first["Severity"] == int(PerceivedSeverity.MINOR)
    assert first["Description"] == first["Message"]
    (about,) = running.client().AssociatorNames(first.path, AssocClass="Virtmap_AlarmedDomain")
    assert about["Name"] == running.drivers["default"].find("guest1")[0]


CONFIG = """
[[hypervisor]]
name = "default"
uri = "fake:///?domains=2"
[snmp]
listen = ["127.0.0.1:0"]
[inventory]
interval = 0.1
[state]
directory = "{folder}"
"""
FULL = '[[alarm]]\nname = "full"\nkind = "disk"\nraise = 1\nfor = 0\n'
UNLOST = '[[alarm]]\nname = "lost"\nkind = "disconnected"\nfor = 0\nclear_for = 0\n'


def test_an_agent_has_the_alarms_of_its_configuration_and_others_after_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.pauses.Pauses.install", lambda _: None)

    def raised(agent: Agent) -> list[Any]:
        return [
            row.values[Alarm.positions["object"]] for row in agent.inventories["default"].snapshot.table(Alarm).rows()
        ]

    @looped
    async def check() -> None:
        text = CONFIG.format(folder=tmp_path)
        agent = Agent(configuration.parse(text + FULL))
        told: list[Announcement] = []
        agent.events["default"].on_told(told.append)
        await agent.start()
        try:
            await until(lambda: len(raised(agent)) == 4)
            agent.reload(configuration.parse(text + UNLOST))
            await until(lambda: raised(agent) == [])
            driver: Any = agent.inventories["default"].driver
            driver.lose()
            await until(lambda: raised(agent) == ["host default"])
            driver.restore()
            await until(lambda: raised(agent) == [])
            agent.reload(configuration.parse(text + UNLOST + FULL))
            await until(lambda: len(raised(agent)) == 4)
            await until(lambda: len([t for t in told if isinstance(t.event, AlarmEvent)]) == 14)
        finally:
            await agent.stop()
        alarms = [t for t in told if isinstance(t.event, AlarmEvent)]
        assert [type(t.event) for t in alarms] == 4 * [AlarmRaised] + 4 * [AlarmCleared] + [
            AlarmRaised, AlarmCleared, *4 * [AlarmRaised],
        ]  # fmt: skip
        for each in alarms:
            assert each.last is not None
            assert each.last.values[Alarm.positions["message"]] == each.event.values[AlarmEvent.positions["message"]]
        assert "no longer" in str(alarms[4].event)
        assert alarms[0].domain == "guest1"
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("alarms")]

    check()
