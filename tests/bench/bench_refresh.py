"""What reading everything costs, by a connection that answers as QEMU's does: processor time and round trips.

    python -m tests.bench.bench_refresh [--domains 1000] [--readings 12] [--cpu 0]

All of it is counted: libvirt's answers as Python objects, rows, tables, and the columns that SNMP shows, encoded. What making up
the answers costs, which in reality is libvirtd's and libvirt-python's work, is measured by itself and told beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections import Counter
from datetime import UTC, datetime

from agent.inventory import Inventory, Pace
from agent.model import MODEL
from agent.state import State
from drivers.libvirt.calls import Calls
from drivers.libvirt.driver import LibvirtDriver
from drivers.libvirt.reading import Memory, Reader
from tests.bench.qemu_like import QemuLike

GOAL_SECONDS, GOAL_TRIPS = 1.5, 20.0
"""For 1,000 domains."""


class Driver(LibvirtDriver):
    """The real driver, with a connection that is open already."""

    def __init__(self, virt: QemuLike) -> None:
        super().__init__("bench", "qemu:///system")
        calls = Calls(virt, used=Counter())
        self.reader = Reader(calls, Memory(), name="bench", uri="qemu:///system", since=datetime.now(UTC))

    def connect(self) -> None:
        return

    def close(self) -> None:
        return

    def _current(self) -> Reader:
        return self.reader


async def main(domains: int, readings: int) -> bool:
    virt = QemuLike(domains)
    inventory = Inventory(Driver(virt), State(":memory:"), pace=Pace(interval=3600))
    times, trips = [], []
    for _ in range(readings):
        virt.trips.clear()
        began = time.process_time()
        await inventory.refresh()
        times.append(time.process_time() - began)
        trips.append(sum(virt.trips.values()))
        last = dict(virt.trips)
    began = time.process_time()
    for domain in virt.listAllDomains():
        domain.statistics()
    made_up = time.process_time() - began
    steady = times[len(times) // 2 :]
    steady_trips = trips[len(trips) // 2 :]
    scale = domains / 1000
    rows = {
        row.__name__: len(inventory.snapshot.table(row)) for row in MODEL.rows if len(inventory.snapshot.table(row))
    }
    print(f"{domains} domains, {sum(rows.values())} rows: {rows}")
    print(f"first reading {times[0]:.2f} s of CPU, {trips[0]} round trips")
    median, trip = statistics.median(steady), statistics.median(steady_trips)
    longest, most = max(steady), max(steady_trips)
    print(f"steady: median {median:.3f} s of CPU, longest {longest:.3f} s; goal {GOAL_SECONDS * scale:g} s")
    print(f"        of which {made_up:.3f} s for making up the answers")
    print(f"steady: median {trip} round trips, most {most}; goal {GOAL_TRIPS * scale:g}; the last: {last}")
    await inventory.stop()
    return median <= GOAL_SECONDS * scale and trip <= GOAL_TRIPS * scale


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domains", type=int, default=1000)
    parser.add_argument("--readings", type=int, default=12)
    parser.add_argument("--cpu", type=int, default=0)
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.cpu})
    raise SystemExit(0 if asyncio.run(main(given.domains, given.readings)) else 1)
