"""When events are told and in which order, what of them is held back, and what nobody told is found out."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from agent import events
from agent.driver import Happened
from agent.errors import Unreachable, VirtmapError
from agent.events import Announcement, Limits, Sequence
from agent.model import Disk, Domain
from agent.model.connection import ConnectionLost, ConnectionRestored
from agent.model.device_events import (
    BalloonChanged,
    ChannelChanged,
    DiskImageChanged,
    DiskIoFailed,
    DomainClockChanged,
)
from agent.model.domain import DomainState, Resume, Suspend
from agent.model.domain_events import (
    DomainAppeared,
    DomainLifecycle,
    DomainResumed,
    DomainStarted,
    DomainStateFound,
    DomainStopped,
    DomainSuspended,
    DomainUndefined,
    DomainVanished,
    LifecycleDetail,
)
from agent.model.occurrence import Occurrence, PerceivedSeverity
from agent.schema.declare import Event
from agent.state import State
from tests.agents import OPERATOR, QUIET, World, looped, until, world


@contextlib.asynccontextmanager
async def telling(
    uri: str = "fake:///?domains=3", *, limits: Limits | None = None, **more: Any
) -> AsyncIterator[tuple[World, list[Announcement]]]:
    """An agent, and what was told."""
    told: list[Announcement] = []
    async with world(uri) as w:
        if limits is not None:
            w.events.limits = limits
        w.events.on_told(told.append, **more)
        yield w, told


def kinds(told: list[Announcement]) -> list[type[Event]]:
    return [type(each.event) for each in told]


def name_of(told: Announcement) -> str | None:
    """The name that the row told of has, or had."""
    assert told.last is not None
    name: str | None = told.last.values[told.event.on.positions["name"]]
    return name


def stamps(told: Announcement) -> Occurrence:
    assert isinstance(told.event, Occurrence)
    return told.event


@looped
async def test_who_asks_on_hearing_sees_the_new_state() -> None:
    async with world() as w:
        seen: list[tuple[type[Event], DomainState | None]] = []
        w.events.on_told(lambda t: seen.append((type(t.event), w.domain("guest1").state)))
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        await until(lambda: len(seen) == 1)
        await w.operations.perform(OPERATOR, "default", Resume(), w.key("guest1"))
        await until(lambda: len(seen) == 2)
        assert seen == [(DomainSuspended, DomainState.PAUSED), (DomainResumed, DomainState.RUNNING)]


@looped
async def test_an_event_carries_what_happened_when_and_in_which_order() -> None:
    async with telling() as (w, told):
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        await until(lambda: told)
        (one,) = told
        event = stamps(one)
        assert isinstance(event, DomainSuspended)
        assert (event.detail, event.previous_state) == (LifecycleDetail.SUSPENDED_PAUSED, DomainState.RUNNING)
        assert (event.sequence, event.severity, event.held_back) == (1, PerceivedSeverity.WARNING, 0)
        assert event.time is not None
        assert event.message == "domain guest1: suspended: detail suspendedPaused, previous state running"
        assert (one.domain, one.kind, one.hypervisor, one.gone) == ("guest1", "domain", "default", False)


@looped
async def test_a_row_that_is_gone_is_told_as_it_was_seen_last() -> None:
    async with telling() as (w, told):
        arc, uuid = w.arc("guest2"), w.domain("guest2").uuid
        w.fake.remove("guest2")
        await until(lambda: len(told) == 2)
        assert kinds(told) == [DomainStopped, DomainUndefined]
        for each in told:
            assert each.last is not None
            assert (each.last.arcs, name_of(each), each.domain) == ((arc,), "guest2", "guest2")
            assert each.snapshot.get(Domain, (uuid,)) is not None
        assert told[-1].gone
        assert w.inventory.snapshot.get(Domain, (uuid,)) is None


@looped
async def test_an_event_after_its_row_has_gone_is_told_from_memory() -> None:
    async with telling() as (w, told):
        key, arc = w.key("guest2"), w.arc("guest2")
        w.fake.remove("guest2")
        await until(lambda: len(told) == 2)
        w.events.tell(Happened(event=DomainStopped(detail=LifecycleDetail.STOPPED_FAILED), key=key))
        w.inventory.look_again((Domain, key))
        await until(lambda: len(told) == 3)
        assert told[2].last is not None
        assert (told[2].last.arcs, name_of(told[2])) == ((arc,), "guest2")


@looped
async def test_a_row_that_never_was_is_told_without() -> None:
    async with telling() as (w, told):
        key = ("11111111-2222-3333-4444-555555555555",)
        w.events.tell(Happened(event=DomainStarted(), key=key))
        w.inventory.look_again((Domain, key))
        await until(lambda: told)
        assert (told[0].last, told[0].domain) == (None, None)
        assert stamps(told[0]).message == f"domain {key[0]}: started"


@looped
async def test_an_event_of_a_device_knows_its_domain() -> None:
    async with telling() as (w, told):
        (uuid,) = w.key("guest1")
        disk = next(row for row in w.inventory.snapshot.table(Disk).rows() if row.key[0] == uuid)
        w.events.tell(Happened(event=DiskIoFailed(reason="enospc"), key=disk.key))
        w.inventory.look_again((Domain, (uuid,)))
        await until(lambda: told)
        event = told[0].event
        assert isinstance(event, DiskIoFailed)
        assert (event.domain_uuid, event.domain_name, told[0].domain, told[0].kind) == (
            uuid,
            "guest1",
            "guest1",
            "disk",
        )
        assert event.message == f"disk {disk.key[1]} of domain guest1: io failed: reason enospc"
        assert event.severity is PerceivedSeverity.CRITICAL


@looped
async def test_what_a_guest_says_is_escaped_in_a_sentence() -> None:
    async with telling() as (w, told):
        (uuid,) = w.key("guest1")
        w.events.tell(Happened(event=DiskIoFailed(reason="\x1b[31mred\x07\n<x>"), key=(uuid, "vda")))
        w.inventory.look_again((Domain, (uuid,)))
        await until(lambda: told)
        assert (stamps(told[0]).message or "").endswith(r"reason \x1b[31mred\x07; <x>")


@looped
async def test_events_of_one_domain_keep_their_order() -> None:
    async with telling() as (w, told):
        for kind in (Suspend, Resume, Suspend, Resume):
            await w.operations.perform(OPERATOR, "default", kind(), w.key("guest1"))
        await until(lambda: len(told) == 4)
        assert kinds(told) == [DomainSuspended, DomainResumed, DomainSuspended, DomainResumed]
        assert [stamps(each).sequence for each in told] == [1, 2, 3, 4]


@looped
async def test_an_event_that_changes_nothing_keeps_its_place_behind_one_that_does() -> None:
    async with telling() as (w, told):
        key = w.key("guest1")
        w.events.tell(Happened(event=DomainStarted(), key=key))
        w.events.tell(Happened(event=DomainClockChanged(offset=5), key=key))
        w.inventory.look_again((Domain, key))
        await until(lambda: len(told) == 2)
        assert kinds(told) == [DomainStarted, DomainClockChanged]


@looped
async def test_an_event_that_changes_nothing_waits_for_no_reading() -> None:
    async with telling() as (w, told):
        w.fake.hang()
        w.events.tell(Happened(event=DomainClockChanged(offset=5), key=w.key("guest1")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert kinds(told) == [DomainClockChanged]
        w.fake.release()


@looped
async def test_an_event_of_an_object_that_was_never_read_waits_for_that() -> None:
    async with telling() as (w, told):
        key = w.fake.add("guest9")
        w.events.tell(Happened(event=DomainClockChanged(offset=5), key=key))
        await until(lambda: DomainClockChanged in kinds(told))
        one = next(each for each in told if isinstance(each.event, DomainClockChanged))
        assert name_of(one) == "guest9"
        assert one.last is not None
        assert one.last.arcs == (w.arc("guest9"),)


@looped
async def test_a_device_that_was_told_of_by_its_alias_is_found_when_that_is_known() -> None:
    async with telling() as (w, told):
        (uuid,) = w.key("guest1")
        disk = [row for row in w.inventory.snapshot.table(Disk).rows() if row.key[0] == uuid][-1]
        assert isinstance(disk, Disk)
        assert disk.alias
        w.events.tell(Happened(event=DiskImageChanged(device=disk.alias), key=(uuid, disk.alias)))
        w.events.tell(Happened(event=DiskImageChanged(device="nothing"), key=(uuid, "nothing")))
        w.inventory.look_again((Domain, (uuid,)))
        await until(lambda: len(told) == 2)
        assert [each.happened.key for each in told] == [disk.key, (uuid, "nothing")]
        assert told[0].last is not None
        assert told[0].last.values[Disk.positions["target"]] == disk.target
        assert told[1].last is None


@looped
async def test_a_reading_that_began_before_the_event_does_not_count() -> None:
    async with telling() as (w, told):
        key = w.key("guest1")
        loop = asyncio.get_running_loop()
        w.events.tell(Happened(event=DomainStarted(), key=key))
        w.events._read(frozenset({(Domain, key)}), loop.time() - 5)
        w.events._read(None, loop.time() - 5)
        w.events._read(frozenset({(Domain, w.key("guest2"))}), loop.time())
        await asyncio.sleep(0)
        assert (told, w.events.waiting) == ([], 1)
        w.events._read(frozenset({(Domain, key)}), loop.time())
        await until(lambda: told)
        assert w.events.waiting == 0


@looped
async def test_a_hypervisor_that_hangs_holds_up_no_event_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HELD_FOR", 0.1)
    async with telling() as (w, told):
        key = w.key("guest1")
        w.fake.hang()
        w.events.tell(Happened(event=DomainStarted(detail=LifecycleDetail.STARTED_BOOTED), key=key))
        w.inventory.look_again((Domain, key))
        await until(lambda: told, within=5.0)
        assert name_of(told[0]) == "guest1"
        w.events.tell(Happened(event=DomainStopped(), key=key))
        await until(lambda: len(told) == 2, within=5.0)
        w.fake.release()


@looped
async def test_a_root_whose_reading_fails_is_told_all_the_same() -> None:
    async with telling() as (w, told):
        w.fake.break_domain("guest1", Unreachable("gone away"))
        with contextlib.suppress(VirtmapError):
            await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        w.fake.add("guest9")
        await until(lambda: len(told) >= 2)
        assert {name_of(t) for t in told if isinstance(t.event, DomainStarted)} == {"guest9"}


@looped
async def test_nothing_is_held_while_nobody_listens() -> None:
    listening = [False]
    async with telling(wanted=lambda: listening[0]) as (w, told):
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        assert w.events.waiting == 0
        listening[0] = True
        await w.operations.perform(OPERATOR, "default", Resume(), w.key("guest1"))
        await until(lambda: told)
        assert kinds(told) == [DomainResumed]


@looped
async def test_what_is_only_noted_starts_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    async with telling(wanted=lambda: False, noted=lambda: True) as (w, told):
        touched: list[bool] = []
        monkeypatch.setattr(w.inventory, "touch", lambda: touched.append(True))
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        await until(lambda: told)
        assert kinds(told) == [DomainSuspended]
        assert touched == []


@looped
async def test_an_end_tells_what_is_held() -> None:
    async with telling() as (w, told):
        w.events.tell(Happened(event=DomainStarted(), key=w.key("guest1")))
        w.events.stop()
        assert kinds(told) == [DomainStarted]
        w.events.tell(Happened(event=DomainStarted(), key=w.key("guest1")))
        assert w.events.waiting == 0


@looped
async def test_a_storm_is_told_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the loop answers managers between them: one at least, and no more when that took its time."""
    monkeypatch.setattr(events, "AT_ONCE", 0.0)
    async with telling("fake:///?domains=200") as (w, told):
        for row in w.inventory.snapshot.table(Domain).rows():
            w.events.tell(Happened(event=DomainStarted(), key=row.key))
        w.events._read(None, asyncio.get_running_loop().time())
        most = 0
        while w.events.waiting:
            before = len(told)
            await asyncio.sleep(0)
            most = max(most, len(told) - before)
        assert (len(told), most) == (200, 1)


@looped
async def test_a_listener_that_fails_disturbs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_told: Announcement) -> None:
        raise RuntimeError("broken")

    async with world() as w:
        told: list[Announcement] = []
        w.events.on_told(fail)
        w.events.on_told(told.append)
        w.events.tell(Happened(event=DomainClockChanged(offset=1), key=w.key("guest1")))
        await until(lambda: told)
        assert "fault of the agent" in caplog.text


# --- duplicates and storms


@looped
async def test_the_same_event_twice_is_told_once_and_counted() -> None:
    async with telling() as (w, told):
        key = w.key("guest1")
        for _ in range(3):
            w.events.tell(Happened(event=BalloonChanged(memory=1024), key=key))
        w.inventory.look_again((Domain, key))
        await until(lambda: told)
        assert [stamps(each).held_back for each in told] == [2]
        assert w.events.held_back == 2


@looped
async def test_an_equal_event_after_another_one_is_no_duplicate() -> None:
    async with telling() as (w, told):
        key = w.key("guest1")
        for event in (BalloonChanged(memory=1), BalloonChanged(memory=2), BalloonChanged(memory=1)):
            w.events.tell(Happened(event=event, key=key))
        w.inventory.look_again((Domain, key))
        await until(lambda: len(told) == 3)
        assert [stamps(each).held_back for each in told] == [0, 0, 0]


@looped
async def test_of_a_storm_of_one_domain_the_last_is_told_with_the_count_of_the_others() -> None:
    async with telling(limits=Limits(burst=3, rate=20.0)) as (w, told):
        key = w.key("guest1")
        for offset in range(100):
            w.events.tell(Happened(event=DomainClockChanged(offset=offset), key=key))
        await until(lambda: told and told[-1].event.offset == 99 and not w.events.waiting)
        assert [each.event.offset for each in told[:3]] == [0, 1, 2]
        assert len(told) + w.events.held_back == 100
        assert sum(stamps(each).held_back or 0 for each in told) == w.events.held_back
        assert w.events.held_back >= 90


@looped
async def test_a_storm_of_one_domain_holds_back_no_other_and_no_other_kind() -> None:
    async with telling(limits=Limits(burst=2, rate=5.0)) as (w, told):
        stormy, calm = w.key("guest1"), w.key("guest2")
        for offset in range(50):
            w.events.tell(Happened(event=DomainClockChanged(offset=offset), key=stormy))
        w.events.tell(Happened(event=DomainClockChanged(offset=-1), key=calm))
        await until(lambda: any(each.happened.key == calm for each in told))
        assert w.events.waiting == 1, "the last of the storm waits for its turn"
        w.events.tell(Happened(event=DomainStarted(), key=stormy))
        w.inventory.look_again((Domain, stormy))
        await until(lambda: any(isinstance(each.event, DomainStarted) for each in told))
        of_storm = [each.event for each in told if each.happened.key == stormy]
        assert [getattr(each, "offset", None) for each in of_storm] == [0, 1, 49, None], "in order, the last kept"


# --- numbers


def test_numbers_go_upwards_across_restarts(tmp_path: Any) -> None:
    async def some(count: int) -> list[int]:
        state = State(tmp_path)
        try:
            sequence = Sequence(state)
            return [sequence.next() for _ in range(count)]
        finally:
            state.close()

    first, second = asyncio.run(some(5)), asyncio.run(some(5))
    assert first == list(range(first[0], first[0] + 5))
    assert second[0] > first[-1]


def test_numbers_are_reserved_before_they_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sequence, "BLOCK", 10)

    async def many() -> list[int]:
        state = State(":memory:")
        sequence, found = Sequence(state), []
        for _ in range(100):
            found.append(sequence.next())
            await until(lambda: sequence._task is None)
            assert found[-1] < int(state.text(Sequence.NAME) or 0)
        state.close()
        return found

    found = asyncio.run(many())
    assert found == sorted(set(found))


# --- what nobody told


@looped
async def test_a_connection_that_is_lost_and_comes_back_is_told_of() -> None:
    async with telling() as (w, told):
        w.fake.lose("the daemon died")
        await until(lambda: kinds(told) == [ConnectionLost])
        assert isinstance(told[0].event, ConnectionLost)
        assert told[0].event.reason == "the daemon died"
        assert not w.inventory.connected
        w.fake.restore()
        await until(lambda: kinds(told) == [ConnectionLost, ConnectionRestored])
        assert w.inventory.connected
        assert isinstance(told[1].event, ConnectionRestored)
        assert told[1].event.outage is not None


@looped
async def test_a_connection_that_is_lost_again_before_all_was_read_is_one_gap() -> None:
    async with telling() as (w, told):
        w.fake.lose("first")
        await until(lambda: kinds(told) == [ConnectionLost])
        gap = w.events._gap
        w.events._connection(True, "")
        w.events._connection(False, "second")
        assert w.events._gap is gap, "what was there before the first loss is what all is compared with"
        assert gap is not None
        assert gap.over is None


@looped
async def test_what_happened_while_the_connection_was_down_is_found_out() -> None:
    async with telling("fake:///?domains=5") as (w, told):
        gone, stopped = w.key("guest2"), w.key("guest1")
        w.fake.lose()
        await until(lambda: kinds(told) == [ConnectionLost])
        w.fake.listen(lambda _: None)  # nobody hears
        w.fake.remove("guest2")
        w.fake.add("guest9")
        w.fake._guests[stopped[0]].state = DomainState.PAUSED
        w.fake.listen(w.inventory._hear)
        w.fake.restore()
        await until(lambda: len(told) == 5)
        assert kinds(told[:2]) == [ConnectionLost, ConnectionRestored]
        found = {type(each.event): each for each in told[2:]}
        assert set(found) == {DomainVanished, DomainAppeared, DomainStateFound}
        vanished, changed = found[DomainVanished], found[DomainStateFound]
        assert (vanished.happened.key, vanished.domain, vanished.gone) == (gone, "guest2", True)
        assert (found[DomainAppeared].domain, changed.domain) == ("guest9", "guest1")
        assert isinstance(changed.event, DomainStateFound)
        assert changed.event.previous_state is DomainState.RUNNING


@looped
async def test_a_hypervisor_without_events_is_compared_at_each_reading() -> None:
    async with telling("fake:///?domains=5") as (w, told):
        plan = w.fake.plan

        def unheard(only: Any = None) -> Any:
            return dataclasses.replace(plan(only), unheard=True)

        w.fake.plan = unheard  # type: ignore[method-assign]
        await w.inventory.refresh()
        w.fake.listen(lambda _: None)
        w.fake.remove("guest2")
        await w.inventory.refresh()
        await until(lambda: told)
        assert kinds(told) == [DomainVanished]
        await w.inventory.refresh()
        assert len(told) == 1


@looped
async def test_after_a_long_outage_that_nobody_asked_in_it_is_told_all_the_same() -> None:
    told: list[Announcement] = []
    async with world("fake:///?domains=5", pace=dataclasses.replace(QUIET, interval=0.2, idle_after=0.5)) as w:
        w.events.on_told(told.append)
        w.fake.lose()
        await until(lambda: kinds(told) == [ConnectionLost])
        w.fake.listen(lambda _: None)
        w.fake.remove("guest2")
        w.fake.listen(w.inventory._hear)
        idle = w.inventory._asked + 0.6
        await until(lambda: asyncio.get_running_loop().time() > idle)
        w.fake.restore()
        await until(lambda: kinds(told) == [ConnectionLost, ConnectionRestored, DomainVanished])


@looped
async def test_an_event_of_something_else_does_not_hide_what_happened_meanwhile() -> None:
    async with telling("fake:///?domains=2") as (w, told):
        key = w.key("guest1")
        w.fake.lose()
        await until(lambda: kinds(told) == [ConnectionLost])
        w.fake._guests[key[0]].state = DomainState.PAUSED
        w.events.tell(Happened(event=BalloonChanged(memory=1), key=key))
        w.fake.restore()
        await until(lambda: len(told) == 4)
        assert set(kinds(told[1:])) == {ConnectionRestored, BalloonChanged, DomainStateFound}


@looped
async def test_an_event_that_cannot_be_put_into_words_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async with telling() as (w, told):
        w.events.tell(Happened(event=DomainClockChanged(offset=1), key=w.key("guest1")))
        w.events._ready.append(
            dataclasses.replace(w.events._ready[-1], happened=Happened(event=DomainStarted(), key=()))
        )
        w.events.tell(Happened(event=DomainClockChanged(offset=2), key=w.key("guest2")))
        await until(lambda: len(told) == 2)
        assert [each.domain for each in told] == ["guest1", "guest2"]
        assert "was not told" in caplog.text


@looped
async def test_a_driver_that_tells_rubbish_is_heard_on(caplog: pytest.LogCaptureFixture) -> None:
    async with telling() as (w, told):
        w.inventory._hear(Happened(event=DomainStarted(), key=["no", "tuple"]))  # type: ignore[arg-type]
        w.fake.perform(Suspend(), w.key("guest1"))
        await until(lambda: told)
        assert kinds(told) == [DomainSuspended]
        assert "fault" in caplog.text


@looped
async def test_who_tells_in_a_row_says_so_once() -> None:
    """Also of what was held back, and what is told at the end."""
    log: list[str] = []
    async with world("fake:///?domains=3") as w:
        w.events.limits = Limits(burst=2, rate=50.0)
        w.events.on_told(lambda told: log.append(type(told.event).__name__), after=lambda: log.append("."))
        key = w.key("guest1")
        for reason in range(4):
            w.events.tell(Happened(event=DiskIoFailed(reason=str(reason)), key=(*key, "vda")))
        await until(lambda: log.count("DiskIoFailed") == 3 and not w.events.waiting)
        assert log == ["DiskIoFailed", "DiskIoFailed", ".", "DiskIoFailed", "."]
        w.events.tell(Happened(event=DomainStarted(), key=key))
        w.events.stop()
        assert log[5:] == ["DomainStarted", "."]


@looped
@pytest.mark.parametrize(("gathered", "sent"), [(60.0, "aaa."), (0.0, "a.a.a.")])
async def test_what_is_told_in_several_turns_is_sent_together(
    monkeypatch: pytest.MonkeyPatch, gathered: float, sent: str
) -> None:
    monkeypatch.setattr(events, "AT_ONCE", 0.0)
    monkeypatch.setattr(events, "GATHERED", gathered)
    log: list[str] = []
    async with world("fake:///?domains=3") as w:
        w.events.on_told(lambda _told: log.append("a"), after=lambda: log.append("."))
        for row in w.inventory.snapshot.table(Domain).rows():
            w.events.tell(Happened(event=BalloonChanged(memory=1024), key=row.key))
        w.events._read(None, asyncio.get_running_loop().time())
        await until(lambda: not w.events.waiting and log[-1:] == ["."])
        assert "".join(log) == sent


@looped
async def test_the_loop_is_not_woken_for_each_of_many_that_are_heard() -> None:
    async with telling() as (w, told):
        woken: list[object] = []
        loop = asyncio.get_running_loop()

        class Watched:
            """The loop, as a driver's thread sees it."""

            is_closed = staticmethod(loop.is_closed)

            def call_soon_threadsafe(self, do: Callable[[], None]) -> None:
                woken.append(do)
                loop.call_soon_threadsafe(do)

        w.inventory._loop = Watched()  # type: ignore[assignment]
        for turn in range(20):
            for name in ("guest1", "guest2"):
                await asyncio.to_thread(w.fake.perform, Suspend() if turn % 2 == 0 else Resume(), w.key(name))
        await until(lambda: len(told) + w.events.held_back >= 40)
        assert 1 <= len(woken) < 20
        await until(lambda: not w.inventory._told_to_hear)
        again = len(woken)
        w.fake.perform(Suspend(), w.key("guest3"))
        await until(lambda: kinds(told)[-1] is DomainSuspended and told[-1].domain == "guest3")
        assert len(woken) == again + 1


@looped
async def test_of_each_device_the_last_is_told() -> None:
    async with telling("fake:///?domains=1&disks=2", limits=Limits(burst=1, rate=20.0)) as (w, told):
        (uuid,) = w.key("guest1")
        for offset, target in enumerate(("vda", "vdb", "vda", "vdb")):
            w.events.tell(Happened(event=DiskIoFailed(reason=f"{target}{offset}"), key=(uuid, target)))
        for channel, connected in (("agent", True), ("spice", False), ("agent", False), ("spice", True)):
            w.events.tell(Happened(event=ChannelChanged(channel=channel, connected=connected), key=(uuid,)))
        w.inventory.look_again((Domain, (uuid,)))
        await until(lambda: told and not w.events.waiting)
        last = {each.message for each in map(stamps, told)}
        assert {text for text in last if text and "vda2" in text}
        assert {text for text in last if text and "vdb3" in text}
        for channel, connected in (("agent", "false"), ("spice", "true")):
            wanted = f"domain guest1: channel changed: channel {channel}, connected {connected}"
            assert wanted in last


@looped
async def test_a_domain_that_was_never_read_is_told_by_its_name() -> None:
    async with telling() as (w, told):
        key = ("11111111-2222-3333-4444-555555555555",)
        w.events.tell(Happened(event=DomainStopped(), key=key, name="fleeting"))
        w.events.tell(Happened(event=DiskIoFailed(), key=(*key, "vda"), name="fleeting"))
        w.inventory.look_again((Domain, key))
        await until(lambda: len(told) == 2)
        assert [each.domain for each in told] == ["fleeting", "fleeting"]
        assert name_of(told[0]) == "fleeting"
        assert stamps(told[0]).message == "domain fleeting: stopped"
        assert isinstance(told[1].event, DiskIoFailed)
        assert (told[1].event.domain_name, told[1].event.domain_uuid) == ("fleeting", key[0])


@looped
async def test_the_count_of_what_was_left_out_stays_with_who_was_counted_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "REMEMBERED", 1)
    async with world("fake:///?domains=10") as w:
        roots = [(Domain, (str(n),)) for n in range(9)]
        for root in roots:
            w.events._count(root, 1)
        assert list(w.events._left_out) == roots[-4:]


@looped
async def test_the_state_before_is_that_which_the_event_before_said() -> None:
    """Though nothing was read between them."""
    async with telling() as (w, told):
        key = w.key("guest1")
        for event in (DomainSuspended(), DomainResumed(), DomainStopped(), DomainUndefined()):
            w.events.tell(Happened(event=event.replace(previous_state=DomainState.RUNNING), key=key))
        w.inventory.look_again((Domain, key))
        await until(lambda: len(told) == 4)
        states = [each.event.previous_state for each in told if isinstance(each.event, DomainLifecycle)]
        assert states == [DomainState.RUNNING, DomainState.PAUSED, DomainState.RUNNING, DomainState.SHUT_OFF]
