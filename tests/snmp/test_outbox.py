"""Informs on the disk: what waits goes on with the next start, and a disk that fails holds up nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.errors import Failed
from agent.snmp.mib import Oid
from agent.snmp.notice import Notice
from agent.snmp.notifications import Notifier, Target
from agent.snmp.outbox import Outbox
from agent.snmp.trap import COLD_START, WARM_START
from agent.state import INFORMS, Queued, State
from tests import wire
from tests.agents import looped, until
from tests.snmp.test_notifications import STARTED, WATCHER, Identity, bindings, inform, oids, receiving, told, v2c

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # pysnmp uses old names of pysmi's

DEAF = {"inform": True, "timeout": 0.2, "retries": 0}


def numbered(n: int, **more: Any) -> Notice:
    return Notice(oid=(*STARTED[:-1], n), **more)


def numbers(*wanted: int) -> list[Oid]:
    return [(*STARTED[:-1], n) for n in wanted]


@asynccontextmanager
async def remembering(state: State, *targets: Target, seconds: int = 100) -> AsyncIterator[Notifier]:
    notifier = Notifier(Identity(seconds=seconds), targets, outbox=Outbox(state))
    await notifier.recover()
    try:
        yield notifier
    finally:
        await notifier.stop(0.5)


def waiting(state: State, target: str = "one") -> list[Queued]:
    return state.queued(INFORMS + target, -1, 10_000)


@pytest.fixture
def state(tmp_path: Path) -> Any:
    made = State(tmp_path)
    yield made
    made.close()


@looped
async def test_what_waited_goes_first_in_order_once_each_and_as_it_was(state: State) -> None:
    async with receiving() as receiver:
        receiver.answering = False
        async with remembering(state, v2c(receiver.port, **DEAF), seconds=5) as notifier:
            for n in range(20):
                notifier.notify(numbered(n, varbinds=(((*STARTED, n), b"\x04\x01x"),), domain=f"domain {n % 3}"))
            await until(lambda: len(waiting(state)) == 20)
        tried = len(receiver.got)
        receiver.answering = True
        async with remembering(state, v2c(receiver.port, **DEAF)) as notifier:
            notifier.start()
            await until(lambda: notifier.counters("one").acknowledged == 21)
            await until(lambda: not waiting(state))
    assert oids(receiver)[tried:] == [*numbers(*range(20)), COLD_START]
    last = bindings(told(receiver.got[-2])[3])
    assert last[0][1] == wire.number(500, 0x43), "sysUpTime is that of the event"
    assert last[2] == ((*STARTED, 19), b"\x04\x01x")


@looped
async def test_the_context_is_that_of_the_event(state: State) -> None:
    async with receiving() as receiver:
        three = Target(name="one", host="127.0.0.1", port=receiver.port, user=WATCHER, **DEAF)  # type: ignore[arg-type]
        async with remembering(state, three) as notifier:
            notifier.notify(numbered(1, hypervisor="there", domain="a/b"))
            await until(lambda: waiting(state))
        (one,) = waiting(state)
        assert one.reason == "there/a/b"
        found = await Outbox(state).open()
        assert [(i.context, i.subject) for i in found["one"]] == [("there", "a/b")]


@looped
async def test_an_acknowledged_one_is_forgotten(state: State) -> None:
    async with receiving() as receiver, remembering(state, v2c(receiver.port, inform=True)) as notifier:
        for n in range(30):
            notifier.notify(numbered(n, domain=f"domain {n}"))
        await until(lambda: notifier.counters("one").acknowledged == 30)
        await until(lambda: not state.queues())
    async with remembering(state, v2c(9, inform=True)) as notifier:
        assert notifier.counters("one").sent == 0


@looped
async def test_what_waits_for_a_target_that_is_gone_is_forgotten_and_indications_are_not(state: State) -> None:
    indication = Queued(queue="5f3a", place=1, at=time.time(), reason="x", body=b"x")
    state.change_queues(put=[indication], longest=None)
    async with receiving() as receiver:
        receiver.answering = False
        stays, goes = v2c(receiver.port, **DEAF), v2c(receiver.port, "goes", **DEAF)
        async with remembering(state, stays, goes) as notifier:
            notifier.notify(numbered(1))
            await until(lambda: waiting(state) and waiting(state, "goes"))
            notifier.reconfigure([stays])
            await until(lambda: not waiting(state, "goes"))
        assert [len(waiting(state)), len(waiting(state, "goes"))] == [2, 0]
        async with remembering(state, v2c(receiver.port, "one")):  # it wants traps now
            await until(lambda: not waiting(state))
    assert state.queues() == {"5f3a": 1}


@looped
async def test_what_is_too_old_or_too_many_after_a_restart_is_given_up(state: State) -> None:
    now = time.time()
    put = [
        Queued(queue=f"{INFORMS}one", place=n, at=at, reason="/", body=b"")
        for n, at in enumerate([now - 100, now - 90, now, now, now])
    ]
    state.change_queues(put=put, longest=None)
    async with receiving() as receiver:
        target = v2c(receiver.port, inform=True, expiry=60, queue=2)
        async with remembering(state, target) as notifier:
            counters = notifier.counters("one")
            await until(lambda: not waiting(state))
            assert counters.dropped + counters.expired == 3
            assert counters.acknowledged + counters.refused == 2
    state.change_queues(put=put, longest=None)
    async with receiving() as receiver, remembering(state, v2c(receiver.port, inform=True, expiry=60)) as notifier:
        await until(lambda: not waiting(state))
        assert notifier.counters("one").expired == 2


@looped
async def test_a_place_is_never_given_twice(state: State) -> None:
    ahead = int((time.time() + 1000) * 1e6)
    state.change_queues(
        put=[Queued(queue=f"{INFORMS}one", place=ahead, at=time.time(), reason="/", body=b"")], longest=None
    )
    async with receiving() as receiver:
        receiver.answering = False
        async with remembering(state, v2c(receiver.port, **DEAF)) as notifier:
            notifier.notify(numbered(1))
            notifier.notify(numbered(2))
            await until(lambda: len(waiting(state)) == 3)
            assert [one.place for one in waiting(state)] == [ahead, ahead + 1, ahead + 2]


# --- the disk


@looped
async def test_a_disk_that_fails_is_said_once_and_has_all_when_it_works_again(
    state: State, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.journal.DISK_AGAIN", 0.05)
    tries = []

    def full(**changes: Any) -> Mapping[str, int]:
        tries.append(len(changes["put"]))
        raise Failed("the state file cannot be written: database or disk is full")

    async with receiving() as receiver:
        receiver.answering = False
        async with remembering(state, v2c(receiver.port, **DEAF)) as notifier:
            with monkeypatch.context() as patched:
                patched.setattr(state, "change_queues", full)
                for n in range(5):
                    notifier.notify(numbered(n))
                await until(lambda: len(tries) > 3)
                assert not waiting(state)
            await until(lambda: len(waiting(state)) == 5)
    assert caplog.text.count("disk is full") == 1
    assert "informs wait in memory" in caplog.text


@looped
async def test_informs_are_sent_while_the_disk_fails_and_not_again_after_it(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.journal.DISK_AGAIN", 0.05)
    tries = []

    def full(**changes: Any) -> Mapping[str, int]:
        tries.append(changes)
        raise Failed("the state file cannot be written: database or disk is full")

    async with receiving() as receiver, remembering(state, v2c(receiver.port, inform=True)) as notifier:
        with monkeypatch.context() as patched:
            patched.setattr(state, "change_queues", full)
            notifier.notify(numbered(1))
            await until(lambda: notifier.counters("one").acknowledged == 1 and len(tries) > 1)
        notifier.notify(numbered(2))
        await until(lambda: notifier.counters("one").acknowledged == 2)
        await until(lambda: not state.queues())
    async with remembering(state, v2c(9, inform=True)) as notifier:
        assert notifier.counters("one").sent == 0


@looped
async def test_a_disk_that_hangs_holds_up_nobody(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    going = threading.Event()
    change = state.change_queues

    def hang(**changes: Any) -> Mapping[str, int]:
        going.wait(20)
        return change(**changes)

    monkeypatch.setattr(state, "change_queues", hang)
    loop = asyncio.get_running_loop()
    async with receiving() as receiver, receiving() as trapped:
        targets = [v2c(receiver.port, inform=True), v2c(trapped.port, "two")]
        async with remembering(state, *targets) as notifier:
            began = loop.time()
            for n in range(50):
                notifier.notify(numbered(n, domain=f"{n}"))
            assert loop.time() - began < 1.0
            await until(lambda: notifier.counters("one").acknowledged == 50 and len(trapped.got) == 50)
            going.set()
            await until(lambda: not state.queues())


@looped
async def test_a_disk_that_cannot_be_read_is_said_and_keeps_what_waits(
    state: State, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state.change_queues(
        put=[Queued(queue=f"{INFORMS}goes", place=1, at=time.time(), reason="/", body=b"")], longest=None
    )

    def broken() -> Mapping[str, int]:
        raise Failed("the state file cannot be read: disk I/O error")

    async with receiving() as receiver:
        with monkeypatch.context() as patched:
            patched.setattr(state, "queues", broken)
            async with remembering(state, v2c(receiver.port, inform=True)) as notifier:
                notifier.notify(Notice(oid=WARM_START))
                await until(lambda: notifier.counters("one").acknowledged == 1)
    assert "disk I/O error" in caplog.text
    assert len(waiting(state, "goes")) == 1


@looped
async def test_what_is_done_with_while_it_is_being_written_is_not_offered_again(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.journal.DISK_AGAIN", 0.01)
    begun, going = threading.Event(), threading.Event()
    change, puts = state.change_queues, []

    def late(**changes: Any) -> Mapping[str, int]:
        puts.append([one.place for one in changes["put"]])
        if len(puts) == 1:
            begun.set()
            going.wait(20)
            raise Failed("the state file cannot be written: database or disk is full")
        return change(**changes)

    monkeypatch.setattr(state, "change_queues", late)
    box = Outbox(state)
    await box.open()
    box.put("one", inform(1))
    box.put("one", inform(2))
    await until(begun.is_set)
    box.done("one", inform(1))
    going.set()
    await until(lambda: [one.place for one in waiting(state)] == [2])
    await box.stop()
    assert puts[0] == [1, 2]
    assert all(1 not in later for later in puts[1:])


def test_a_subject_that_is_no_text_is_kept_all_the_same(state: State) -> None:
    @looped
    async def keep() -> None:
        box = Outbox(state)
        await box.open()
        box.put("one", inform(1, "\udcff"))
        await until(lambda: waiting(state))
        await box.stop()

    keep()
    found: Sequence[Queued] = waiting(state)
    assert found[0].reason == "/\\udcff"
