"""Which thread has its turn first: how nice each is, before, while and after something is read."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent import pauses, precedence
from agent.workers import NoAnswer, Workers
from tests.agents import looped, until


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.fixture
def permitted(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """How nice this thread is; left so."""
    monkeypatch.setattr(precedence, "_niceness", {})
    before = niceness()
    if not precedence.go_ahead():
        pytest.skip("it takes CAP_SYS_NICE to go ahead")
    precedence.stand_back()
    yield before
    precedence.stand_back()


@looped
async def test_the_loops_thread_goes_ahead_of_those_that_work_for_it(permitted: int) -> None:
    workers, begun, ended = Workers(2, "niceness"), threading.Event(), threading.Event()

    def last() -> int:
        begun.set()
        ended.wait(20)
        return niceness()

    slow = asyncio.ensure_future(workers.run(last, limit=20, what="look"))
    await until(begun.is_set)
    assert niceness() == permitted - precedence.AHEAD
    assert await workers.run(niceness, limit=20, what="look") == permitted
    assert niceness() == permitted - precedence.AHEAD
    ended.set()
    assert await slow == permitted
    assert niceness() == permitted
    ended.clear()
    with pytest.raises(NoAnswer):
        await workers.run(last, limit=0.01, what="look")
    assert niceness() == permitted, "nobody waits for it any more"
    ended.set()
    workers.close()


def test_who_may_not_go_ahead_stays_as_nice_as_he_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(precedence, "_niceness", {})
    monkeypatch.setattr(os, "setpriority", refused)
    assert not precedence.go_ahead()
    precedence.stand_back()


@pytest.mark.parametrize("call", [precedence.go_ahead, precedence.ask_for_short_slices])
def test_other_systems_are_left_alone(call: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence.sys, "platform", "freebsd14")
    assert not call()


def test_the_loops_thread_is_left_alone_while_it_works_and_somebody_computes_for_it() -> None:
    before, seen = sys.getswitchinterval(), []

    async def look() -> None:
        workers = Workers(1, "intervals")
        seen.append(sys.getswitchinterval())
        await workers.run(lambda: seen.append(sys.getswitchinterval()), limit=20, what="look")
        await asyncio.sleep(0)
        seen.append(sys.getswitchinterval())
        workers.close()

    try:
        sys.setswitchinterval(pauses.SWITCH_INTERVAL)
        with pauses.runner() as running:
            running.run(look())
    finally:
        sys.setswitchinterval(before)
    idle = pauses.SWITCH_INTERVAL
    assert seen == pytest.approx([idle, pauses.WANTED, idle])
    assert pauses.WANTED < idle < pauses.HELD


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
