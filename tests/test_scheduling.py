"""Who is scheduled first: the policy of each thread before, while and after others work for a loop, and what a loop does first."""

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

from agent import scheduling
from agent.workers import NoAnswer, Workers
from tests.agents import looped, until

REAL_TIME = os.SCHED_RR | os.SCHED_RESET_ON_FORK
"""The policy of a thread that goes first."""


def policy() -> int:
    """That of this thread."""
    return os.sched_getscheduler(0)


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No thread of this process had a real-time policy yet."""
    monkeypatch.setattr(scheduling, "_process", scheduling._Process())
    yield
    assert policy() & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER


@pytest.fixture
def permitted() -> None:
    if not scheduling.begin_real_time():
        pytest.skip("a real-time policy takes CAP_SYS_NICE")
    scheduling.end_real_time()


@looped
@pytest.mark.usefixtures("permitted")
async def test_the_loops_thread_is_scheduled_before_those_that_work_for_it() -> None:
    workers, begun, ended = Workers(2, "scheduling"), threading.Event(), threading.Event()

    def last() -> int:
        begun.set()
        ended.wait(20)
        return policy()

    slow = asyncio.ensure_future(workers.run(last, limit=20, what="look"))
    await until(begun.is_set)
    assert policy() == REAL_TIME
    assert os.sched_getparam(0).sched_priority == scheduling.PRIORITY
    assert await workers.run(policy, limit=20, what="look") == os.SCHED_BATCH
    assert policy() == REAL_TIME
    ended.set()
    assert await slow == os.SCHED_BATCH
    assert policy() != REAL_TIME
    ended.clear()
    with pytest.raises(NoAnswer):
        await workers.run(last, limit=0.01, what="look")
    assert policy() != REAL_TIME, "nobody waits for it any more"
    ended.set()
    workers.close()


@pytest.mark.usefixtures("permitted")
def test_a_real_time_policy_is_not_inherited() -> None:
    seen: list[int] = []
    assert scheduling.begin_real_time()
    thread = threading.Thread(target=lambda: seen.append(policy()))
    thread.start()
    thread.join(20)
    told = subprocess.run([sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"], capture_output=True)
    scheduling.end_real_time()
    assert [*seen, int(told.stdout)] == [os.SCHED_OTHER] * 2


@looped
async def test_where_that_is_not_permitted_all_keep_the_usual_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refused)
    before, workers = policy(), Workers(1, "scheduling")
    assert not scheduling.begin_real_time()
    assert await workers.run(lambda: policy() & ~os.SCHED_RESET_ON_FORK, limit=20, what="look") == os.SCHED_OTHER
    assert policy() == before
    workers.close()


@pytest.mark.parametrize(
    "choose", [lambda: os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0)), lambda: os.nice(5)]
)
def test_a_policy_or_niceness_that_somebody_chose_for_the_process_is_kept(choose: Callable[[], object]) -> None:
    seen: list[object] = []

    def chosen() -> None:
        choose()
        chose = policy(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        seen.append(scheduling.begin_real_time())
        scheduling._process.real_time = True
        scheduling.ask_for_short_slices()
        seen.append((policy(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())) == chose)

    thread = threading.Thread(target=chosen)
    thread.start()
    thread.join(20)
    assert seen == [False, True]


def test_a_c_library_without_policies_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    with monkeypatch.context() as patched:
        patched.setattr(os, "sched_getscheduler", missing)
        patched.setattr(scheduling._process, "real_time", True)
        assert not scheduling.begin_real_time()
        scheduling.become_batch()
        assert not scheduling.ask_for_short_slices()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = policy()
    monkeypatch.setattr(scheduling.sys, "platform", "freebsd14")
    monkeypatch.setattr(scheduling._process, "real_time", True)
    assert not scheduling.begin_real_time()
    scheduling.become_batch()
    assert not scheduling.ask_for_short_slices()
    assert policy() == before


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
        scheduling.after_requests(later)
        loop.call_soon(order.append, "soon")
        asking.send(b"?")
        await done.wait()
        loop.remove_reader(asked.fileno())
    assert order == ["soon", "answered", "later"]
