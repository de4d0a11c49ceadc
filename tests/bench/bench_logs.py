"""What the logs of domains cost: following many of them, reading very many, and reading one that is very long.

    python -m tests.bench.bench_logs [--logs 1000] [--lines 10000] [--seconds 10] [--many 10000] [--cpu 0]

Lines are written by another process, which has a processor of its own; what is counted is the processor time of this one,
pinned to one. A guest that writes as fast as it can is held against that too.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from agent.driver import LogRule, LogSettings
from agent.model.log import LogMatched, ReadLog
from drivers.logs.collection import Collection, Told
from drivers.logs.listing import Guest
from drivers.logs.places import Places
from tests.servers import eventually

FOLLOWING = 0.5
"""Processors that following may take."""

HUGE = 2 << 30
HUGE_SECONDS = 0.05
HUGE_MEMORY = 16 << 20
"""For a row of a log of two gibibytes, and for any range of it."""

AGAIN = 1.0
"""Seconds of processor for ten thousand logs that did not change."""

WRITER = """
import os, sys, time
folder, logs, rate, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
opened = [os.open(f"{folder}/guest{n}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) for n in range(logs)]
began, done = time.monotonic(), 0
while (now := time.monotonic() - began) < seconds:
    due = int(now * rate)
    while done < due:
        line = b"2026-11-30T11:27:01.123456Z qemu-system-x86_64: warning: line %d of what a guest may say in a log\\n" % done
        os.write(opened[done % logs], line)
        done += 1
    time.sleep(0.002)
print(done)
"""
FAST = """
import os, sys, time
opened = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
block, began, size = (b"x" * 99 + b"\\n") * 1000, time.monotonic(), 0
while (now := time.monotonic() - began) < float(sys.argv[2]):
    if size < now * 100e6:
        size += os.write(opened, block)
    else:
        time.sleep(0.0005)
print(size)
"""


class Bench:
    """A collection in a folder, and what it told."""

    def __init__(self, folder: Path, *, follow: bool) -> None:
        self.matched = 0
        rule = LogRule(name="never", pattern=re.compile(r"line \d+ of what.*a guest says"))
        some = LogRule(name="some", pattern=re.compile(r"line \d*000 of"))
        settings = LogSettings(follow=follow, rules=(rule, some) if follow else ())
        where = Places(directories=(str(folder),), virtlogd=str(folder / "none"))
        self.logs = Collection("bench", where, settings, Told(matched=self._matched, changed=lambda _: None))

    def _matched(self, _path: str, event: LogMatched) -> None:
        self.matched += event.matches or 0


def following(folder: Path, logs: int, rate: int, seconds: float, cpu: int) -> bool:
    bench = Bench(folder, follow=True)
    bench.logs.learn({f"uuid{n}": Guest(name=f"guest{n}", active=True) for n in range(logs)})
    bench.logs.start()
    follower = bench.logs.follower
    assert follower is not None
    assert follower.wait_begun(30)
    bench.logs.refresh()

    def lines() -> int:
        found = (follower.counts(f"{folder}/guest{n}.log") for n in range(logs))
        return sum(each.lines for each in found if each is not None)

    writer = _elsewhere(WRITER, cpu, str(folder), str(logs), str(rate), str(seconds))
    time.sleep(1)
    began, before = time.monotonic(), time.process_time()
    time.sleep(seconds - 2)
    spent, passed = time.process_time() - before, time.monotonic() - began
    written = int(writer.communicate()[0])
    eventually(lambda: lines() >= written, within=30, what=f"{written} lines")
    ok = spent / passed < FOLLOWING and lines() == written and bench.matched > 0
    print(f"following {logs} logs at {rate} lines/s: {spent / passed:.3f} of a processor; goal {FOLLOWING}")
    print(f"        {lines()} of {written} lines were counted, {bench.matched} matched")
    ok = fast(folder, bench, cpu) and ok
    bench.logs.close()
    return ok


def fast(folder: Path, bench: Bench, cpu: int) -> bool:
    """One guest writes 100 MB/s."""
    follower = bench.logs.follower
    assert follower is not None
    path = folder / "guest0.log"
    start = path.stat().st_size
    before_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    writer = _elsewhere(FAST, cpu, str(path), "5")
    began, before = time.monotonic(), time.process_time()
    time.sleep(5)
    spent, passed = time.process_time() - before, time.monotonic() - began
    written = int(writer.communicate()[0])

    def caught_up() -> bool:
        counted = follower.counts(str(path))
        return counted is not None and counted.offset == start + written

    eventually(caught_up, within=30, what="the end of it")
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_memory
    counted = follower.counts(str(path))
    assert counted is not None
    print(
        f"a guest that writes {written / passed / 1e6:.0f} MB/s: {spent / passed:.3f} of a processor, {more} KiB more memory"
    )
    print(
        f"        {counted.left_out / 1e6:.0f} of {written / 1e6:.0f} MB were left out, and told: {counted.trouble()}"
    )
    return spent / passed < FOLLOWING and more < 64 << 10


def huge(folder: Path) -> bool:
    path = folder / "huge.log"
    with path.open("wb") as file:
        file.write(b"first\n")
        file.seek(HUGE)
        file.write(b"\nlast\n")
    bench = Bench(folder, follow=False)
    known = bench.logs.find(str(path))
    before_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    row = bench.logs.rows(known)[0]
    shown = time.process_time() - began
    began = time.process_time()
    got = bench.logs.read(known, ReadLog(position=HUGE - 1000, lines=10))
    read = time.process_time() - began
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_memory) * 1024
    print(
        f"a log of 2 GiB: its row {shown * 1000:.1f} ms, a range of it {read * 1000:.1f} ms, {more >> 10} KiB more memory"
    )
    path.unlink()
    return (
        shown < HUGE_SECONDS
        and read < HUGE_SECONDS
        and more < HUGE_MEMORY
        and got["text"].endswith("last\n")
        and bool(row)
    )


def many(folder: Path, logs: int) -> bool:
    text = b"2026-11-30 11:27:01.123+0000: starting up libvirt version\nLC_ALL=C \\\nPATH=/bin \\\n/usr/bin/qemu-system-x86_64\n"
    for number in range(logs):
        (folder / f"many{number}.log").write_bytes(text + b"2026-11-30T11:27:02Z qemu-system-x86_64: something\n" * 40)
    bench = Bench(folder, follow=False)
    bench.logs.learn({f"uuid{n}": Guest(name=f"many{n}", active=False) for n in range(logs)})
    times = []
    for _ in range(3):
        began = time.process_time()
        rows = sum(len(bench.logs.rows(known)) for known in bench.logs.refresh())
        times.append(time.process_time() - began)
    again = min(times[1:])
    print(
        f"{logs} logs, {rows} rows: first {times[0]:.2f} s, again {again:.2f} s of processor; goal {AGAIN * logs / 10000:g} s"
    )
    return again < AGAIN * logs / 10_000


def _elsewhere(program: str, cpu: int, *arguments: str) -> subprocess.Popen[bytes]:
    """Another process, on another processor if there is one."""
    others = sorted(_ALL - {cpu}) or [cpu]
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, {others[0]}),
    )  # fmt: skip


_ALL = os.sched_getaffinity(0)


def main(given: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="virtmap-logs-") as folder:
        good = [huge(Path(folder)), many(Path(folder), given.many)]
    with tempfile.TemporaryDirectory(prefix="virtmap-logs-") as folder:
        good.append(following(Path(folder), given.logs, given.lines, given.seconds, given.cpu))
    threading.Event().wait(0.5)  # the follower ends
    return all(good)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--cpu", type=int, default=0)
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.cpu})
    raise SystemExit(0 if main(options) else 1)
