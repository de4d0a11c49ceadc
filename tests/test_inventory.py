"""The inventory on the fake: what a broken, hung or lost hypervisor costs, and what an index arc promises."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.driver import Batch, Changed, Happened, Heard, Lost, Piece, Plan, Root
from agent.errors import Busy, Failed, NotFound, Unreachable
from agent.inventory import FEW, Inventory, Pace
from agent.model import Disk, Domain, Host, Nic, Reading, Vcpu
from agent.model.domain import DomainState, SetVcpus, Suspend
from agent.model.domain_events import DomainSuspended
from agent.state import State
from drivers.fake import Fake
from tests.agents import OPERATOR, QUIET, World, looped, until, world

EAGER = replace(QUIET, interval=0.02)


class Watched(Fake):
    """The fake, counting plans, and with a gate in the way of single readings."""

    def __init__(self, uri: str = "fake:///?domains=3") -> None:
        super().__init__("default", uri)
        self.plans: list[Sequence[Root] | None] = []
        self.change: Callable[[Plan], Plan] = lambda plan: plan

    def plan(self, only: Sequence[Root] | None = None) -> Plan:
        self.plans.append(only)
        change, self.change = self.change, lambda plan: plan
        return change(super().plan(only))


def held(gate: threading.Event, entered: threading.Event, error: Exception | None = None) -> Callable[[Plan], Plan]:
    """A plan whose domains are read at once, but whose reading comes back only when the gate opens."""

    def change(plan: Plan) -> Plan:
        return Plan(pieces=[Piece(roots=p.roots, read=_held(p, gate, entered, error)) for p in plan.pieces])

    return change


def _held(
    piece: Piece, gate: threading.Event, entered: threading.Event, error: Exception | None
) -> Callable[[], Batch]:
    def read() -> Batch:
        batch = piece.read()
        entered.set()
        assert gate.wait(20)
        if error is not None:
            raise error
        return batch

    return read


def reading(w: World, row: type = Domain) -> Reading:
    found = w.inventory.snapshot.get(Reading, (row.table,))
    assert found is not None
    return found


def host(w: World) -> Host:
    found = w.inventory.snapshot.get(Host, ("default",))
    assert found is not None
    return found


def arcs(w: World, row: type = Domain) -> dict[Any, tuple[int, ...]]:
    """The index arcs of each row, by its key."""
    table = w.inventory.snapshot.table(row)
    return {table.at(i).key: arc for i, arc in enumerate(table.indexes)}


def names(w: World) -> list[str | None]:
    return [r.name for r in w.inventory.snapshot.table(Domain).rows() if isinstance(r, Domain)]


# --- snapshots


@looped
async def test_a_snapshot_holds_everything_in_the_order_of_its_indexes() -> None:
    async with world("fake:///?domains=5&disks=3&nics=2&vcpus=4") as w:
        snapshot = w.inventory.snapshot
        counts = {row: len(snapshot.table(row)) for row in (Host, Domain, Vcpu, Disk, Nic)}
        assert counts == {Host: 1, Domain: 5, Vcpu: 20, Disk: 15, Nic: 10}
        for row in counts:
            table = snapshot.table(row)
            assert list(table.indexes) == sorted(set(table.indexes))
            for i, one in enumerate(table.rows()):
                assert table.find(one.key) == i
                assert table.get(one.key) == one == table.at(i)
        assert {arc[1] for arc in arcs(w, Vcpu).values()} == {1, 2, 3, 4}, "vCPU 0 is arc 1"
        assert snapshot.get(Domain, ("no such",)) is None
        assert host(w).connected is True
        assert (reading(w).rows, reading(w).stale, reading(w).problem, reading(w).failed) == (5, False, "", 0)


@looped
async def test_a_snapshot_never_changes() -> None:
    async with world() as w:
        before = w.inventory.snapshot
        rows = {row: [r.values for r in before.table(row).rows()] for row in (Domain, Vcpu, Disk)}
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        w.fake.remove("guest2")
        w.fake.break_domain("guest3")
        await w.inventory.refresh()
        after = w.inventory.snapshot
        assert after.number > before.number
        assert {row: [r.values for r in before.table(row).rows()] for row in rows} == rows
        assert len(after.table(Domain)) == 2


@looped
async def test_indexes_are_the_same_object_while_no_row_comes_or_goes() -> None:
    async with world() as w:
        before = w.inventory.snapshot.table(Disk).indexes
        await w.inventory.refresh()
        assert w.inventory.snapshot.table(Disk).indexes is before
        w.fake.add("new")
        await w.inventory.refresh()
        assert w.inventory.snapshot.table(Disk).indexes is not before


# --- broken objects


@looped
async def test_a_broken_domain_keeps_its_rows_with_the_problem_and_others_go_on() -> None:
    async with world() as w:
        before = {n: w.domain(n) for n in ("guest1", "guest2")}
        disks = len(w.inventory.snapshot.table(Disk))
        w.fake.break_domain("guest1")
        await w.inventory.refresh()
        broken, fine = w.domain("guest1"), w.domain("guest2")
        assert broken.problem == "domain guest1: the monitor does not answer"
        assert broken.replace(problem="") == before["guest1"]
        assert (fine.problem, fine.cpu_time > before["guest2"].cpu_time) == ("", True)
        assert len(w.inventory.snapshot.table(Disk)) == disks
        assert (reading(w).failed, reading(w).stale) == (1, False)
        w.fake.mend_domain("guest1")
        await w.inventory.refresh()
        assert (w.domain("guest1").problem, reading(w).failed) == ("", 0)
        assert w.domain("guest1").cpu_time > broken.cpu_time


@looped
async def test_a_domain_broken_from_its_first_sight_has_a_row() -> None:
    fake = Fake("default", "fake:///?domains=3")
    fake.break_domain("guest2")
    async with world(fake=fake) as w:
        row = w.domain("guest2")
        assert (row.name, row.state, row.host) == (None, None, "default")
        assert "monitor" in row.problem
        assert len(w.inventory.snapshot.table(Domain)) == 3
        arc = w.arc("guest2")
        fake.mend_domain("guest2")
        await w.inventory.refresh()
        assert (w.domain("guest2").name, w.arc("guest2")) == ("guest2", arc)


@looped
async def test_a_fault_of_the_driver_costs_its_piece(caplog: pytest.LogCaptureFixture) -> None:
    fake = Watched()
    async with world(fake=fake) as w:
        fake.change = held(_open(), threading.Event(), ZeroDivisionError("oops"))
        await w.inventory.refresh()
        assert "fault of the agent" in w.domain("guest1").problem
        assert "ZeroDivisionError" in caplog.text
        await w.inventory.refresh()
        assert w.domain("guest1").problem == ""


def _open() -> threading.Event:
    gate = threading.Event()
    gate.set()
    return gate


@looped
async def test_rows_that_stand_twice_or_alone_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    fake = Watched()

    def change(plan: Plan) -> Plan:
        def read(piece: Piece) -> Batch:
            rows = list(piece.read().rows)
            orphans = [r for r in rows if isinstance(r, Disk) and r.domain == fake.find("guest2")[0]]
            kept = [r for r in rows if not (isinstance(r, Domain) and r.name == "guest2")]
            return Batch(rows=[*kept, *[r for r in kept if isinstance(r, Nic)], *orphans])

        return Plan(pieces=[Piece(roots=p.roots, read=lambda p=p: read(p)) for p in plan.pieces])

    async with world(fake=fake) as w:
        fake.change = change
        await w.inventory.refresh()
        assert names(w) == ["guest1", "guest3"]
        assert len(w.inventory.snapshot.table(Nic)) == 2
        assert "stand twice or alone" in caplog.text
        await w.inventory.refresh()
        assert names(w) == ["guest1", "guest2", "guest3"]


# --- hanging


@looped
async def test_a_hung_hypervisor_costs_freshness_and_no_answer() -> None:
    pace = replace(QUIET, interval=0.02, call_limit=0.05)
    async with world(pace=pace) as w:
        w.fake.hang()
        await until(lambda: reading(w).stale, "the table to be marked stale")
        assert names(w) == ["guest1", "guest2", "guest3"]
        assert "no answer" in reading(w).problem
        assert "no answer" in host(w).problem
        number = w.inventory.snapshot.number
        w.fake.release()
        await until(lambda: not reading(w).stale and w.inventory.snapshot.number > number, "it to be read again")
        assert host(w).problem == ""
        assert w.domain("guest1").problem == ""


@looped
async def test_a_hung_domain_marks_what_could_not_be_read() -> None:
    async with world("fake:///?domains=300", pace=replace(QUIET, call_limit=0.2)) as w:
        w.fake.hang("guest1")
        await w.inventory.refresh()
        assert "no answer" in w.domain("guest1").problem
        assert w.domain("guest300").problem == ""
        assert reading(w).stale is False
        assert 1 <= reading(w).failed <= 200
        w.fake.release()


@looped
async def test_however_many_calls_hang_the_tables_go_on_telling_their_age() -> None:
    pace = replace(QUIET, call_limit=0.01)
    async with world(pace=pace) as w:
        w.fake.hang()
        for _ in range(4 * (pace.readers + 4) + 3):
            with pytest.raises(Busy):
                await w.inventory.refresh()
        assert "still hang" in reading(w).problem
        assert reading(w).stale is True
        w.fake.release()
        await until(lambda: w.inventory.workers.hanging == 0)
        await w.inventory.refresh()
        assert reading(w).stale is False


@looped
@pytest.mark.parametrize("hangs", ["reading", "connecting"])
async def test_stopping_never_waits_for_what_hangs(hangs: str) -> None:
    fake = Fake("default", "fake:///?domains=3")
    state = State(":memory:")
    inventory = Inventory(fake, state, pace=EAGER)
    if hangs == "connecting":
        fake.hang()
    inventory.start()
    if hangs == "reading":
        await inventory.wait_refreshed()
        fake.hang()
    await until(lambda: inventory.workers._threads - inventory.workers._idle > 0, "a call that hangs")
    began = time.monotonic()
    await inventory.stop()
    assert time.monotonic() - began < 3
    fake.release()
    state.close()


@looped
async def test_a_cancelled_refresh_leaves_the_inventory_whole() -> None:
    async with world("fake:///?domains=500") as w:
        for i in range(20):
            task = asyncio.ensure_future(w.inventory.refresh())
            for _ in range(i * 3):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await w.inventory.refresh()
        assert len(w.inventory.snapshot.table(Domain)) == 500
        await until(lambda: w.inventory.workers.hanging == 0)


# --- connections


@looped
async def test_a_lost_connection_keeps_the_rows_and_is_found_again() -> None:
    async with world() as w:
        w.fake.lose("the daemon was restarted")
        await until(lambda: host(w).connected is False, "the loss to show")
        assert names(w) == ["guest1", "guest2", "guest3"]
        assert w.inventory.connected is False
        assert reading(w).stale is True
        assert "the daemon was restarted" in reading(w).problem
        assert "the daemon was restarted" in host(w).problem
        w.fake.restore()
        await until(lambda: host(w).connected is True and not reading(w).stale, "the connection to be found again")
        assert (host(w).problem, w.inventory.connected) == ("", True)


@looped
async def test_a_loss_that_only_a_reading_notices() -> None:
    async with world() as w:
        w.fake.listen(lambda _: None)
        w.fake.lose()
        with pytest.raises(Unreachable):
            await w.inventory.refresh()
        assert host(w).connected is False
        assert len(names(w)) == 3


@looped
async def test_a_hypervisor_that_is_not_there_at_the_start() -> None:
    fake = Fake("default", "fake:///?domains=3")
    fake.lose("connection refused")
    async with world(fake=fake, wait=False) as w:
        assert names(w) == []
        assert host(w).connected is False
        await until(lambda: "connection refused" in host(w).problem, "the reason")
        assert host(w).connected is False
        assert reading(w).stale is True
        fake.restore()
        await until(lambda: len(names(w)) == 3, "the domains")
        assert host(w).connected is True


@looped
async def test_rows_are_forgotten_after_a_while_but_the_host_stays() -> None:
    async with world(pace=replace(QUIET, forget_after=0.1)) as w:
        before = arcs(w)
        w.fake.lose()
        await until(lambda: host(w).connected is False)
        await until(lambda: names(w) == [], "the rows to be forgotten")
        assert len(w.inventory.snapshot.table(Disk)) == 0
        assert host(w).connected is False
        w.fake.restore()
        await until(lambda: len(names(w)) == 3)
        assert arcs(w) == before


# --- index arcs


@looped
async def test_arcs_stay_across_a_restart_and_are_never_given_again(tmp_path: Path) -> None:
    fake = Fake("default", "fake:///?domains=3")
    state = State(tmp_path)
    async with world(fake=fake, state=state) as w:
        before = {row: arcs(w, row) for row in (Domain, Disk, Nic, Vcpu)}
        fake.add("short")
        await until(lambda: "short" in names(w))
        given = w.arc("short")
        fake.remove("short")
        await until(lambda: "short" not in names(w))
    state.close()
    state = State(tmp_path)
    fake.remove("guest1")
    fake.add("late")
    async with world(fake=fake, state=state) as w:
        for row, known in before.items():
            now = arcs(w, row)
            assert {k: a for k, a in now.items() if k in known} == {k: a for k, a in known.items() if k in now}
        assert w.arc("late") > given
        assert w.arc("late") not in {a[0] for a in before[Domain].values()}
    state.close()


@looped
async def test_a_domain_that_goes_and_comes_back_has_its_arcs_of_before() -> None:
    fake = Watched()
    async with world(fake=fake) as w:
        before = {row: arcs(w, row) for row in (Domain, Disk, Nic)}
        key = w.key("guest2")
        guest = fake._guests.pop(key[0])
        await w.inventory.refresh()
        assert names(w) == ["guest1", "guest3"]
        fake.add("between")
        await w.inventory.refresh()
        fake._guests[key[0]] = guest
        await w.inventory.refresh()
        for row, known in before.items():
            assert known.items() <= arcs(w, row).items()


@looped
async def test_a_hot_plugged_disk_renumbers_nothing() -> None:
    fake = Watched("fake:///?domains=3&disks=3")
    async with world(fake=fake) as w:
        before = arcs(w, Disk)
        guest = fake._guests[fake.find("guest2")[0]]
        plugged = replace(guest.disks[0])
        for part in ("own", "live"):
            values = list(getattr(plugged, part))
            values[1] = "sda"
            setattr(plugged, part, tuple(values))
        guest.disks.insert(0, plugged)
        gone = guest.disks.pop(2)
        await w.inventory.refresh()
        now = arcs(w, Disk)
        new = (guest.uuid, "sda")
        assert now[new] == (w.arc("guest2"), 4)
        assert {k: a for k, a in now.items() if k != new} == {
            k: a for k, a in before.items() if k != (guest.uuid, gone.own[1])
        }
        table = w.inventory.snapshot.table(Disk)
        assert list(table.indexes) == sorted(table.indexes)
        for _ in range(3):
            await w.inventory.refresh()
            assert arcs(w, Disk) == now
            assert [r.key for r in w.inventory.snapshot.table(Disk).rows()] == [
                k for k, _ in sorted(now.items(), key=lambda p: p[1])
            ]
        guest.disks.append(gone)
        await w.inventory.refresh()
        assert arcs(w, Disk) == {**before, **now}


@looped
async def test_vcpus_come_and_go_under_their_numbers() -> None:
    async with world() as w:
        key, arc = w.key("guest1"), w.arc("guest1")

        def shown() -> list[tuple[int, ...]]:
            return [a for a in arcs(w, Vcpu).values() if a[0] == arc]

        for count in (4, 1, 3):
            await w.operations.perform(OPERATOR, "default", SetVcpus(vcpus=count), key)
            assert shown() == [(arc, n + 1) for n in range(count)]


class FullDisk:
    """Index arcs whose file cannot be written any more."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.full = False

    def allocate(self, hypervisor: str, table: int, parent: tuple[int, ...], keys: Sequence[str]) -> list[int]:
        if self.full:
            known = self.state._table(hypervisor, table).get(parent)
            if known is None or any(k not in known.arcs for k in keys):
                raise Failed("the state file cannot be written: disk full")
        return self.state.allocate(hypervisor, table, parent, keys)

    def allocate_many(
        self, hypervisor: str, table: int, wanted: Sequence[tuple[tuple[int, ...], Sequence[str]]]
    ) -> list[list[int]]:
        return [self.allocate(hypervisor, table, parent, keys) for parent, keys in wanted]


@looped
async def test_a_full_disk_keeps_out_what_is_new_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w:
        indexes = FullDisk(w.state)
        w.inventory._layout._indexes = indexes
        indexes.full = True
        before = w.domain("guest1")
        w.fake.add("new")
        await w.inventory.refresh()
        assert names(w) == ["guest1", "guest2", "guest3"]
        assert w.domain("guest1").cpu_time > before.cpu_time
        await w.inventory.refresh()
        told = "new rows are left out: the state file cannot be written: disk full"
        assert [r.getMessage() for r in caplog.records if "left out" in r.getMessage()] == [f"default: {told}"]
        assert {r.problem for r in w.inventory.snapshot.table(Reading).rows()} == {told}
        indexes.full = False
        await w.inventory.refresh()
        assert names(w) == ["guest1", "guest2", "guest3", "new"]
        assert len(w.inventory.snapshot.table(Disk)) == 8
        assert {r.problem for r in w.inventory.snapshot.table(Reading).rows()} == {""}


# --- events


@looped
async def test_an_event_brings_a_reading_of_its_object_alone() -> None:
    fake = Watched()
    async with world(fake=fake) as w:
        fake.plans.clear()
        heard: list[Happened] = []
        w.inventory.on_event(heard.append)
        before = w.domain("guest2").cpu_time
        fake.perform(Suspend(), w.key("guest1"))
        await until(lambda: w.domain("guest1").state is DomainState.PAUSED, "the change to show")
        assert fake.plans == [[(Domain, w.key("guest1"))]]
        assert w.domain("guest2").cpu_time == before
        (told,) = heard
        assert isinstance(told.event, DomainSuspended)
        assert told.key == w.key("guest1")


@looped
async def test_domains_come_and_go_with_their_events() -> None:
    async with world() as w:
        w.fake.add("new")
        await until(lambda: "new" in names(w), "the new domain")
        w.fake.remove("new")
        await until(lambda: "new" not in names(w), "the domain to go")
        assert {k[0] for k in arcs(w, Disk)} == {w.key(f"guest{i}")[0] for i in (1, 2, 3)}


@looped
async def test_a_storm_of_events_is_read_together() -> None:
    fake = Watched("fake:///?domains=50")
    async with world(fake=fake) as w:
        fake.plans.clear()
        for _ in range(20):
            for key in list(fake._guests):
                fake._tell([Changed(root=(Domain, (key,)))])
        fake.add("last")
        await until(lambda: "last" in names(w))
        assert len(fake.plans) < 10
        assert max(len(only or ()) for only in fake.plans) == FEW


@looped
async def test_what_changes_while_everything_is_read_slowly_shows_at_once() -> None:
    fake = Watched()
    async with world(fake=fake, pace=EAGER) as w:
        gate, entered = threading.Event(), threading.Event()
        fake.change = held(gate, entered)
        await until(entered.is_set, "the reading of everything to be under way")
        fake.plans.clear()
        fake.perform(Suspend(), w.key("guest1"))
        await until(lambda: w.domain("guest1").state is DomainState.PAUSED, "the change to show", within=5)
        assert fake.plans == [[(Domain, w.key("guest1"))]]
        number = w.inventory.snapshot.number
        gate.set()
        await until(lambda: None in fake.plans, "the next reading of everything")
        assert w.inventory.snapshot.number > number
        assert w.domain("guest1").state is DomainState.PAUSED, "what was read before it changed is not shown"


@looped
async def test_a_lost_connection_is_not_held_up_by_a_reading_that_hangs() -> None:
    fake = Watched()
    async with world(fake=fake, pace=EAGER) as w:
        gate, entered = threading.Event(), threading.Event()
        fake.change = held(gate, entered)
        await until(entered.is_set, "the reading of everything to be under way")
        before = host(w).connected_at
        fake._tell([Lost(reason="gone")])
        await until(lambda: host(w).connected_at != before, "another connection", within=EAGER.call_limit / 2)
        gate.set()


@looped
async def test_an_event_of_a_domain_that_is_gone_already_hurts_nothing() -> None:
    fake = Watched()
    async with world(fake=fake) as w:
        number = w.inventory.snapshot.number
        fake._tell([Changed(root=(Domain, ("no such",)))])
        await until(lambda: w.inventory.snapshot.number > number)
        assert len(names(w)) == 3


@looped
async def test_a_late_word_of_a_lost_connection_only_costs_a_connection() -> None:
    async with world() as w:
        before = host(w).connected_at
        w.fake._tell([Lost(reason="long ago")])
        await until(lambda: host(w).connected_at != before, "another connection")
        await until(lambda: host(w).connected is True and not reading(w).stale)


# --- one reading against another


@looped
async def test_a_slow_older_reading_does_not_overwrite_a_newer_one() -> None:
    fake = Watched()
    async with world(fake=fake) as w:
        gate, entered = threading.Event(), threading.Event()
        fake.change = held(gate, entered)
        older = asyncio.ensure_future(w.inventory.refresh())
        await until(entered.is_set, "the older reading to have read")
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        fake.listen(lambda _: None)
        key = w.key("guest3")
        fake.remove("guest3")
        await w.inventory.refresh([(Domain, key)])
        fake.add("new")
        await w.inventory.refresh([(Domain, fake.find("new"))])
        gate.set()
        await older
        assert w.domain("guest1").state is DomainState.PAUSED
        assert "new" in names(w), "what came since is not gone because the older reading did not know it"


@looped
async def test_an_older_reading_that_fails_does_not_spoil_a_newer_one() -> None:
    fake = Watched()
    async with world(fake=fake) as w:
        gate, entered = threading.Event(), threading.Event()
        fake.change = held(gate, entered, Failed("too late"))
        older = asyncio.ensure_future(w.inventory.refresh())
        await until(entered.is_set)
        await w.inventory.refresh([(Domain, w.key("guest1"))])
        gate.set()
        await older
        assert w.domain("guest1").problem == ""
        assert w.domain("guest2").problem == "too late"
        assert reading(w).failed >= 1


@looped
async def test_refreshes_at_the_same_time_end_whole() -> None:
    async with world("fake:///?domains=50") as w:
        only = [[(Domain, (k,))] for k in list(w.fake._guests)]
        await asyncio.gather(*(w.inventory.refresh(o) for o in only), *(w.inventory.refresh() for _ in range(5)))
        assert len(w.inventory.snapshot.table(Domain)) == 50


# --- pace


@looped
async def test_it_reads_again_and_again_while_somebody_asks() -> None:
    fake = Watched()
    async with world(fake=fake, pace=EAGER) as w:
        await until(lambda: fake.plans.count(None) > 5, "some rounds")
        assert w.domain("guest1").problem == ""


@looped
async def test_nothing_is_read_while_nobody_asks_and_a_touch_wakes_it() -> None:
    fake = Watched()
    pace = replace(EAGER, idle_after=0.2)
    async with world(fake=fake, pace=pace) as w:

        async def quiet() -> int:
            """How many plans there were, once there were no more for much longer than the interval."""
            count, since = len(fake.plans), time.monotonic()
            while time.monotonic() - since < 10 * pace.interval:
                await asyncio.sleep(pace.interval / 4)
                if len(fake.plans) != count:
                    count, since = len(fake.plans), time.monotonic()
            return count

        count = await quiet()
        fake.add("unseen")
        fake.perform(Suspend(), w.key("guest1"))
        assert await quiet() == count, "events alone are no reason to read"
        assert "unseen" not in names(w)
        w.inventory.touch()
        await until(lambda: "unseen" in names(w), "it to wake", within=2)
        assert w.domain("guest1").state is DomainState.PAUSED
        assert fake.plans[count] is None


@looped
async def test_internal_rows_are_published_at_once() -> None:
    async with world() as w:
        number = w.inventory.snapshot.number
        w.inventory.set_rows(Reading, [Reading(number=7, rows_of="x")])
        assert w.inventory.snapshot.number == number + 1
        assert w.inventory.snapshot.get(Reading, (7,)) == Reading(number=7, rows_of="x")


@looped
async def test_waiting_for_a_reading_needs_a_new_one() -> None:
    async with world() as w:
        number = w.inventory.snapshot.number
        waiting = asyncio.ensure_future(w.inventory.wait_refreshed(number))
        await asyncio.sleep(0)
        assert not waiting.done()
        await w.inventory.refresh()
        assert (await waiting).number > number


def test_an_inventory_whose_loop_is_closed_hears_nothing_more() -> None:
    fake = Fake("default", "fake:///?domains=1")
    told: list[Heard] = []

    async def live() -> None:
        state = State(":memory:")
        inventory = Inventory(fake, state, pace=Pace(interval=3600))
        inventory.start()
        await inventory.wait_refreshed()
        await inventory.stop()
        state.close()

    asyncio.run(live())
    fake.add("after the end")
    assert told == []
    with pytest.raises(NotFound):
        fake.find("no such")
