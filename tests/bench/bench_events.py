"""From an event to the datagram that tells it, at 10,000 domains: ten events a second, and a thousand with GETs meanwhile.

The agent and the receiver of its traps are pinned to one CPU; in the storm the receiver, which sends the GETs, has another one,
for a client on the agent's CPU also waits for its own turn there. An event's time is when the hypervisor tells it, a datagram's
when it was received; both are of the same clock of the machine. Prints one line for each figure.

A virtual machine's processors are taken away by their host, for some milliseconds at a time, and then nobody answers. Linux
counts that. So both are told: the waits of all GETs, and of those around which the host took nothing of any processor.

    python -m tests.bench.bench_events [--seconds 60]
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import contextlib
import itertools
import json
import os
import random
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import __main__ as main
from agent.config import parse
from agent.driver import Driver, Happened, Heard
from agent.model.domain import Domain, DomainState, Resume, Suspend
from agent.scheduling import become_batch
from agent.schema.declare import Key
from agent.snmp import ber
from drivers.fake import Fake
from tests.bench.bench_snmp import CPU, DOMAINS, cpu_seconds, free_port, get, pinned

SO_RCVBUFFORCE = 33
STAT = Path("/proc/stat")

LOOK = 0.01
"""Seconds between two looks at what the host took: it is counted in such steps."""

AROUND = 0.05
"""Seconds before a GET in which nothing may have been taken: what was left undone meanwhile is done then."""

NAME = (1, 3, 6, 1, 4, 1, 36957, 20, 1, 2, 1, 4, 1)
UUID = ber.oid_contents((1, 3, 6, 1, 4, 1, 36957, 20, 1, 2, 1, 2))

CONFIG = """
[[hypervisor]]
name = "bench"
uri = "fake:///?domains={domains}&details=0"
[snmp]
listen = ["127.0.0.1:{port}"]
[[snmp.community]]
name = "public"
role = "observe"
[[snmp.target]]
name = "bench"
address = "udp:127.0.0.1:{traps}"
version = "2c"
community = "public"
include = ["1.3.6.1.4.1.36957.20"]
[state]
directory = "{directory}"
[inventory]
interval = {interval}
"""


class Telling(Fake):
    """A fake that notes when it tells of which domain, in which state."""

    def __init__(self, name: str, uri: str) -> None:
        super().__init__(name, uri)
        self.told: list[tuple[float, str, int]] = []

    def listen(self, heard: Any) -> None:
        def noted(what: Heard) -> None:
            if isinstance(what, Happened) and what.event.on is Domain:
                self.told.append((time.monotonic(), what.key[0], len(self.told)))
            heard(what)

        super().listen(noted)


def serve(config: str, rate: float, seconds: float) -> None:
    """The agent's own process: tell events at a rate once everything was read, then print when each was told."""
    made: list[Telling] = []

    def driver(hypervisor: Any, _logs: Any) -> Driver:
        made.append(Telling(hypervisor.name, hypervisor.uri))
        return made[-1]

    main.driver = driver

    async def run() -> None:
        agent = main.Agent(parse(config))
        await agent.start()
        await agent.read(120)
        await asyncio.sleep(1.0)  # what the first reading left behind
        rows = agent.inventories["bench"].snapshot.table(Domain).rows()
        keys = [row.key for row in rows if row.state is DomainState.RUNNING]
        random.Random(1).shuffle(keys)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        thread = threading.Thread(target=storm, args=(made[0], keys, rate, seconds), daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join)
        await asyncio.sleep(2.0)
        events = agent.events["bench"]
        print(f"told {events.told}, held back {events.held_back}, waiting {events.waiting}", file=sys.stderr)
        print(json.dumps([(at, uuid) for at, uuid, _ in made[0].told]), flush=True)
        await agent.stop()

    asyncio.run(run())


def storm(fake: Telling, keys: list[Key], rate: float, seconds: float) -> None:
    """Pause and resume domains, each a random one, so many times a second: a hypervisor's thread, not one of the agent's."""
    become_batch()
    began = time.monotonic()
    for n in itertools.count():
        at = began + n / rate
        if at > began + seconds:
            return
        time.sleep(max(0.0, at - time.monotonic()))
        fake.perform(Suspend() if n % 2 == 0 else Resume(), keys[n // 2 % len(keys)])


@contextlib.contextmanager
def agent(rate: float, seconds: float, interval: float) -> Iterator[tuple[subprocess.Popen[str], socket.socket, int]]:
    """The agent's process, ready to tell; the socket that its traps come to; and its port."""
    traps = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    roomy(traps)
    traps.setblocking(False)
    traps.bind(("127.0.0.1", 0))
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = CONFIG.format(
            domains=DOMAINS,
            port=port,
            traps=traps.getsockname()[1],
            directory=Path(folder) / "state",
            interval=interval,
        )
        command = pinned(sys.executable, "-m", "tests.bench.bench_events", "--serve", config, str(rate), str(seconds))
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise SystemExit("the agent does not start")
            yield process, traps, port
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=20)
            traps.close()


def roomy(sock: socket.socket) -> None:
    """Let the system keep what a receiver on the same CPU does not get to read at once."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
    except OSError:  # we are not root
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 26)


def of_domain(trap: bytes) -> str | None:
    """The UUID of the domain that a trap is about; None for traps of the agent itself."""
    at = trap.find(UUID)
    if at < 0:
        return None
    start = trap.index(b"\x04\x24", at) + 2
    return trap[start : start + 36].decode()


class Stolen:
    """What the host took of the processors of this machine, as Linux counts it ("steal" of /proc/stat, proc(5)), looked at every
    hundredth of a second; nothing where it is not counted."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._counts: list[tuple[int, ...]] = []

    def look(self) -> None:
        now = time.monotonic()
        if not self._times or now - self._times[-1] >= LOOK:
            self._times.append(now)
            self._counts.append(self._now())

    def _now(self) -> tuple[int, ...]:
        lines = STAT.read_text().splitlines() if STAT.exists() else ()
        return tuple(int(line.split()[8]) for line in lines if re.match(r"cpu\d", line))

    def between(self, first: float, last: float) -> bool:
        """Whether it took anything from the one moment to the other."""
        before = max(0, bisect.bisect_right(self._times, first) - 1)
        behind = min(len(self._times) - 1, bisect.bisect_left(self._times, last))
        return self._counts[before] != self._counts[behind]

    def share(self) -> float:
        """Of all processors, from first to last."""
        ticks = sum(self._counts[-1]) - sum(self._counts[0])
        time_ = (self._times[-1] - self._times[0]) * os.sysconf("SC_CLK_TCK") * len(self._counts[0])
        return ticks / time_ if time_ else 0.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How long events and GETs took, in seconds: `calm` those GETs around which the host took nothing. How many events were
    `told` and how many `came`; the share of its CPU that the agent took, and of all CPUs that the host did."""

    events: list[float]
    told: int
    came: int
    gets: list[float]
    calm: list[float]
    agent: float
    host: float


def measure(rate: float, seconds: float, interval: float, asking: bool) -> Measured:
    heard: list[tuple[float, bytes]] = []
    gets: list[tuple[float, float]] = []
    stolen = Stolen()
    with agent(rate, seconds, interval) as (process, traps, port):
        assert process.stdin is not None
        assert process.stdout is not None
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asker.connect(("127.0.0.1", port))
        used = cpu_seconds(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        began = asked = time.monotonic()
        pending = False
        sockets = [traps, asker] if asking else [traps]
        while (now := time.monotonic()) < began + seconds + 1.5:
            if asking and not pending and now - asked >= 0.01:
                asked, pending = time.monotonic(), True
                asker.send(get(NAME, 1))
            ready, _, _ = select.select(sockets, [], [], 0.001)
            now = time.monotonic()
            if asker in ready:
                asker.recv(65535)
                gets.append((asked, now))
                pending = False
            if traps in ready:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        heard.append((time.monotonic(), traps.recv(65535)))
            stolen.look()
        share = (cpu_seconds(process.pid) - used) / seconds
        told = json.loads(process.stdout.readline())
        asker.close()
    came = [(at, uuid) for at, trap in heard if (uuid := of_domain(trap)) is not None]
    return Measured(
        events=latencies(told, came),
        told=len(told),
        came=len(came),
        gets=[ended - began for began, ended in gets],
        calm=[ended - began for began, ended in gets if not stolen.between(began - AROUND, ended + LOOK)],
        agent=share,
        host=stolen.share(),
    )


def latencies(told: Sequence[tuple[float, str]], came: Sequence[tuple[float, str]]) -> list[float]:
    """How long each event took: those of one domain come in their order."""
    waiting: dict[str, list[float]] = {}
    for at, uuid in told:
        waiting.setdefault(uuid, []).append(at)
    return [at - waiting[uuid].pop(0) for at, uuid in came if waiting.get(uuid)]


def shown(what: str, times: Sequence[float]) -> str:
    if len(times) < 2:
        return f"{what}: none"
    cut = statistics.quantiles(times, n=100)
    return f"{what}: median {cut[49] * 1000:.2f} ms, p99 {cut[98] * 1000:.2f} ms, longest {max(times) * 1000:.1f} ms"


def bench() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--serve", nargs=3)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve[0], float(given.serve[1]), float(given.serve[2]))
        return
    others = os.sched_getaffinity(0) - {int(CPU)}
    for rate, asking in ((10.0, False), (1000.0, True)):
        os.sched_setaffinity(0, others if asking and others else {int(CPU)})
        m = measure(rate, given.seconds, 5.0, asking)
        lost = f"{m.told} told, {m.told - m.came} lost"
        print(f"{DOMAINS} domains, {rate:g} events a second for {given.seconds:g} s: {lost}; {m.agent:.0%} of a CPU")
        print(f"  the host took {m.host:.1%} of all CPUs meanwhile")
        print(f"  {shown('event to datagram', m.events)}")
        if asking:
            print(f"  {shown('GET meanwhile', m.gets)}")
            share = f"{len(m.calm) / len(m.gets):.1%} of all"
            print(f"  {shown(f'GETs around which the host took nothing, {share}', m.calm)}")


if __name__ == "__main__":
    bench()
