"""What evaluating alarms costs: processor time for each snapshot, and how long the event loop is kept from other things.

    python -m tests.bench.bench_alarms [--domains 10000] [--readings 12] [--cpu 0]

Ten thousand domains of the fake with two disks and two vCPUs each, all columns filled, and five rules, of the kinds that cost
most. Hardly anything is raised at first; then everything is, which is the most that can happen.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

from agent.alarms import MOST, Alarms
from agent.config import AlarmRule
from agent.driver import Happened
from agent.inventory import Inventory, Pace
from agent.model.alarm import Alarm, AlarmKind
from agent.pauses import Pauses
from agent.state import State
from drivers.fake import Fake

GOAL_CPU, GOAL_PAUSE = 0.050, 0.005
"""Seconds, for 10,000 domains: of the processor for an evaluation, and that the loop is held up at most by showing and telling."""

KINDS = (AlarmKind.CPU, AlarmKind.MEMORY, AlarmKind.DISK, AlarmKind.STEAL, AlarmKind.IO_ERRORS)


def rules(threshold: int) -> list[AlarmRule]:
    """No guest of the fake reaches 100 percent of anything, or a thousand errors; each reaches 1."""
    reached = {AlarmKind.IO_ERRORS: threshold * 10}
    return [
        AlarmRule(name=k.label, kind=k, raise_at=reached.get(k, threshold), clear_below=1, hold=0.0, clear_hold=0.0)
        for k in KINDS
    ]


async def cost(inventory: Inventory, alarms: Alarms, readings: int) -> tuple[list[float], float]:
    """Seconds of CPU for each evaluation, in both threads, and the longest that the loop's was kept from other things."""
    times: list[float] = []
    judge = alarms._judge

    def timed(*given: Any) -> Any:
        began = time.thread_time()
        try:
            return judge(*given)
        finally:
            times.append(time.thread_time() - began)

    alarms._judge = timed  # type: ignore[method-assign]  # the worker's part, without what else runs in the process
    longest = 0.0
    for _ in range(readings):
        await asyncio.sleep(1.0)  # shares of the time between readings need some
        await inventory.refresh()
        ended = False

        async def watch() -> float:
            held, last = 0.0, time.thread_time()
            while not ended:  # noqa: B023
                await asyncio.sleep(0.0005)
                now = time.thread_time()  # of the loop's thread alone: what the worker computes is not its doing
                held, last = max(held, now - last), now
            return held

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0)
        began = time.thread_time()
        await alarms.evaluate()
        times[-1] += time.thread_time() - began
        ended = True
        longest = max(longest, await watching)
    alarms._judge = judge  # type: ignore[method-assign]
    return times, longest


def shown(what: str, times: Sequence[float], pause: float, goal: float) -> None:
    print(
        f"{what}: median {1000 * statistics.median(times):.1f} ms of CPU, {1000 * min(times):.1f} to "
        f"{1000 * max(times):.1f}, goal {1000 * goal:g}; the loop held up for {1000 * pause:.1f} ms at most, goal "
        f"{1000 * GOAL_PAUSE:g}"
    )


async def main(domains: int, readings: int) -> None:
    pauses = Pauses()
    pauses.install()
    driver = Fake("default", f"fake:///?domains={domains}&details=0")
    inventory = Inventory(driver, State(":memory:"), pace=Pace(interval=3600), undisturbed=pauses.undisturbed)
    inventory.start()
    await inventory.wait_refreshed()
    told: list[Happened] = []
    alarms = Alarms(inventory, rules(100), told.append)
    goal = GOAL_CPU * domains / 10_000
    quiet, held = await cost(inventory, alarms, readings)
    shown(f"{domains} domains, {len(KINDS)} rules, nothing wrong", quiet[1:], held, goal)
    alarms.reload(rules(1))
    busy, held_busy = await cost(inventory, alarms, readings)
    raised = len(inventory.snapshot.table(Alarm))
    print(f"everything wrong: {raised} alarms are shown, {len(told)} events were told")
    shown("everything wrong, for the first time", busy[:1], held_busy, goal)
    shown("everything wrong, from then on", busy[1:], held_busy, goal)
    await alarms.stop()
    await inventory.stop()
    assert raised <= MOST


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domains", type=int, default=10_000)
    parser.add_argument("--readings", type=int, default=12)
    parser.add_argument("--cpu", type=int, default=0)
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.cpu})
    asyncio.run(main(given.domains, given.readings))
