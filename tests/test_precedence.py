"""Who has his turn first: which way each thread goes, before, while and after something is read."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent import precedence
from agent.workers import NoAnswer, Workers
from tests.agents import looped, until

AHEAD = os.SCHED_RR | os.SCHED_RESET_ON_FORK
"""The way of a thread that goes ahead."""


def way() -> int:
    """How the system schedules this thread."""
    return os.sched_getscheduler(0)


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody has gone ahead in this process yet."""
    monkeypatch.setattr(precedence, "_process", precedence._Process())
    yield
    assert way() & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER


@pytest.fixture
def permitted() -> None:
    if not precedence.go_ahead():
        pytest.skip("it takes CAP_SYS_NICE to go ahead")
    precedence.come_back()


@looped
@pytest.mark.usefixtures("permitted")
async def test_the_loops_thread_goes_ahead_of_those_that_work_for_it() -> None:
    workers, begun, ended = Workers(2, "precedence"), threading.Event(), threading.Event()

    def last() -> int:
        begun.set()
        ended.wait(20)
        return way()

    slow = asyncio.ensure_future(workers.run(last, limit=20, what="look"))
    await until(begun.is_set)
    assert way() == AHEAD
    assert os.sched_getparam(0).sched_priority == precedence.FIRST
    assert await workers.run(way, limit=20, what="look") == os.SCHED_BATCH
    assert way() == AHEAD
    ended.set()
    assert await slow == os.SCHED_BATCH
    assert way() != AHEAD
    ended.clear()
    with pytest.raises(NoAnswer):
        await workers.run(last, limit=0.01, what="look")
    assert way() != AHEAD, "nobody waits for it any more"
    ended.set()
    workers.close()


@pytest.mark.usefixtures("permitted")
def test_a_thread_or_process_that_is_started_by_one_that_is_ahead_is_not() -> None:
    seen: list[int] = []
    assert precedence.go_ahead()
    thread = threading.Thread(target=lambda: seen.append(way()))
    thread.start()
    thread.join(20)
    told = subprocess.run([sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"], capture_output=True)
    precedence.come_back()
    assert [*seen, int(told.stdout)] == [os.SCHED_OTHER] * 2


@looped
async def test_where_that_is_not_permitted_all_go_the_ordinary_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refused)
    before, workers = way(), Workers(1, "precedence")
    assert not precedence.go_ahead()
    assert await workers.run(lambda: way() & ~os.SCHED_RESET_ON_FORK, limit=20, what="look") == os.SCHED_OTHER
    assert way() == before
    workers.close()


@pytest.mark.parametrize(
    "choose", [lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)), lambda: os.nice(5)]
)
def test_a_way_that_somebody_chose_for_the_process_is_kept(choose: Callable[[], object]) -> None:
    seen: list[object] = []

    def chosen() -> None:
        choose()
        chose = way(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        seen.append(precedence.go_ahead())
        precedence._process.went_ahead = True
        precedence.ask_for_short_slices()
        seen.append((way(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())) == chose)

    thread = threading.Thread(target=chosen)
    thread.start()
    thread.join(20)
    assert seen == [False, True]


def test_a_c_library_without_ways_for_threads_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    with monkeypatch.context() as patched:
        patched.setattr(os, "sched_getscheduler", missing)
        patched.setattr(precedence._process, "went_ahead", True)
        assert not precedence.go_ahead()
        precedence.stand_back()
        assert not precedence.ask_for_short_slices()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = way()
    monkeypatch.setattr(precedence.sys, "platform", "freebsd14")
    monkeypatch.setattr(precedence._process, "went_ahead", True)
    assert not precedence.go_ahead()
    precedence.stand_back()
    assert not precedence.ask_for_short_slices()
    assert way() == before


@looped
async def test_what_comes_after_requests_lets_those_go_first_that_came_before_its_turn() -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    asked, asking = socket.socketpair()
    order: list[str] = []

    def answer() -> None:
        asked.recv(1)
        order.append("answered")
        if "later" in order:
            done.set()

    def later() -> None:
        order.append("later")
        if "answered" in order:
            done.set()

    with asked, asking:
        loop.add_reader(asked.fileno(), answer)
        precedence.after_requests(later)
        loop.call_soon(order.append, "soon")
        asking.send(b"?")
        await done.wait()
        loop.remove_reader(asked.fileno())
    assert order == ["soon", "answered", "later"]
