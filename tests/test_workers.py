"""Worker threads: limits, abandoned calls, refusals, and no thread too many."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from agent.errors import Busy, Failed
from agent.workers import NoAnswer, Workers
from tests.agents import looped, until


class Gate:
    """A call that blocks until it is opened, and counts how many are inside."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.lock = threading.Lock()
        self.inside = 0
        self.most = 0

    def __call__(self) -> str:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        try:
            assert self.event.wait(20)
        finally:
            with self.lock:
                self.inside -= 1
        return "through"


def threads(name: str) -> int:
    return sum(t.name.startswith(name) for t in threading.enumerate())


async def started(workers: Workers, do: Callable[[], object], limit: float = 20.0) -> asyncio.Task[object]:
    return asyncio.ensure_future(workers.run(do, limit=limit, what="the call"))


@looped
async def test_it_gives_the_result_and_raises_the_error() -> None:
    workers = Workers(2, "t1")
    assert await workers.run(lambda: 42, limit=5, what="x") == 42
    with pytest.raises(Failed, match="as told"):
        await workers.run(_fail, limit=5, what="x")
    assert await workers.run(threading.get_ident, limit=5, what="x") != threading.get_ident()
    workers.close()
    await until(lambda: not threads("t1-"), "the threads to end")


def _fail() -> None:
    raise Failed("as told")


@looped
async def test_no_more_calls_at_once_than_its_size() -> None:
    workers, gate = Workers(3, "t2"), Gate()
    calls = [await started(workers, gate) for _ in range(10)]
    await until(lambda: gate.inside == 3)
    gate.event.set()
    assert await asyncio.gather(*calls) == ["through"] * 10
    assert gate.most == 3
    workers.close()


@looped
async def test_threads_are_made_when_needed_and_kept() -> None:
    workers = Workers(8, "t3")
    for _ in range(50):
        await workers.run(int, limit=5, what="x")
    assert threads("t3-") <= 8
    workers.close()


@looped
async def test_a_call_past_its_limit_is_abandoned_and_named() -> None:
    workers, gate = Workers(1, "t4"), Gate()
    with pytest.raises(NoAnswer, match=r"read domain web: no answer within 0\.01 s") as told:
        await workers.run(gate, limit=0.01, what="read domain web")
    assert isinstance(told.value, Busy)
    assert workers.hanging == 1
    assert await workers.run(lambda: "next", limit=5, what="x") == "next"
    gate.event.set()
    await until(lambda: workers.hanging == 0, "the call to return")
    await until(lambda: threads("t4-") == 1, "the thread too many to end")
    assert await workers.run(lambda: "after", limit=5, what="x") == "after"
    workers.close()


@looped
async def test_what_stands_in_line_goes_on_when_a_call_is_abandoned() -> None:
    workers, gate = Workers(1, "t5"), Gate()
    hanging = await started(workers, gate, limit=0.05)
    behind = await started(workers, lambda: "mine")
    assert await behind == "mine"
    with pytest.raises(NoAnswer):
        await hanging
    gate.event.set()
    workers.close()


@looped
async def test_a_call_in_line_past_its_limit_is_never_made() -> None:
    workers, gate, made = Workers(1, "t6"), Gate(), []
    first = await started(workers, gate)
    await until(lambda: gate.inside)
    with pytest.raises(NoAnswer):
        await workers.run(lambda: made.append(1), limit=0.01, what="x")
    assert workers.hanging == 0
    gate.event.set()
    assert await first == "through"
    assert await workers.run(lambda: "next", limit=5, what="x") == "next"
    assert made == []
    workers.close()


@looped
async def test_a_cancelled_caller_does_not_keep_a_thread_from_others() -> None:
    workers, gate = Workers(2, "t7"), Gate()
    calls = [await started(workers, gate) for _ in range(2)]
    await until(lambda: gate.inside == 2)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert workers.hanging == 2
    assert await workers.run(lambda: "next", limit=5, what="x") == "next"
    gate.event.set()
    await until(lambda: workers.hanging == 0)
    workers.close()


@looped
async def test_a_cancelled_caller_in_line_leaves_the_line() -> None:
    workers, gate, made = Workers(1, "t8"), Gate(), []
    first = await started(workers, gate)
    second = await started(workers, lambda: made.append(1))
    await until(lambda: gate.inside)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    gate.event.set()
    await first
    await workers.run(int, limit=5, what="x")
    assert made == []
    workers.close()


@looped
async def test_when_too_many_hang_it_refuses_at_once_and_recovers() -> None:
    workers, gate = Workers(1, "t9"), Gate()
    for _ in range(4):
        with pytest.raises(NoAnswer):
            await workers.run(gate, limit=0.01, what="x")
    began = time.monotonic()
    with pytest.raises(Busy, match="4 earlier calls still hang"):
        await workers.run(gate, limit=5, what="x")
    assert time.monotonic() - began < 1
    gate.event.set()
    await until(lambda: workers.hanging == 0)
    assert await workers.run(lambda: "again", limit=5, what="x") == "again"
    await until(lambda: threads("t9-") == 1, "the threads too many to end")
    workers.close()


@looped
async def test_a_call_that_ends_just_at_its_limit_is_not_counted_as_hanging() -> None:
    """The thread is through, but the loop sees the limit first: the result counts."""
    workers = Workers(1, "t10")
    called = threading.Event()
    call = await started(workers, called.set, limit=0.05)
    await asyncio.sleep(0)
    assert called.wait(5)
    threading.Event().wait(0.1)  # the loop stands still: limit and result are both there when it goes on
    await call
    assert workers.hanging == 0
    workers.close()


@looped
async def test_many_calls_with_limits_about_as_long_as_they_take() -> None:
    workers = Workers(4, "t11")
    tick = threading.Event()

    def nap() -> int:
        tick.wait(0.002)
        return 1

    async def one() -> int:
        try:
            return await workers.run(nap, limit=0.004, what="x")
        except Busy:
            return 0

    for _ in range(20):
        assert set(await asyncio.gather(*(one() for _ in range(20)))) <= {0, 1}
    await until(lambda: workers.hanging == 0, "no call to be counted for ever")
    await until(lambda: threads("t11-") <= 4, "no thread too many")
    assert await workers.run(lambda: "fine", limit=5, what="x") == "fine"
    workers.close()
    await until(lambda: not threads("t11-"))


@looped
async def test_after_closing_idle_threads_end_and_busy_ones_after_their_call() -> None:
    workers, gate = Workers(3, "t12"), Gate()
    busy = await started(workers, gate)
    await workers.run(int, limit=5, what="x")
    await until(lambda: gate.inside)
    workers.close()
    await until(lambda: threads("t12-") == 1)
    gate.event.set()
    assert await busy == "through"
    await until(lambda: threads("t12-") == 0)


def test_a_result_for_a_loop_that_is_closed_is_dropped() -> None:
    workers, gate = Workers(1, "t13"), Gate()

    async def leave() -> None:
        call = await started(workers, gate)
        await until(lambda: gate.inside)
        call.cancel()

    asyncio.run(leave())
    gate.event.set()
    assert asyncio.run(workers.run(lambda: "in another loop", limit=5, what="x")) == "in another loop"
    workers.close()
