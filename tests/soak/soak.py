"""A soak of the SNMP agent: managers of versions 2c and 3 that read and set all the time, a hundred events of guests a second,
and a libvirtd that hangs, is killed and starts again. Every request is answered, what is told is right again soon, and
memory stays flat.

The hypervisor is libvirt's test driver inside a private libvirtd, which all its clients share: what one of them does raises
events at the others. It knows nothing any more after a restart, and is filled again with the same guests.

Prints one line for each figure, then what should not have been; exits with 1 if there was anything.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from tests import wire, wire3
from tests.running import Agent, environment, running
from tests.servers import Session, Unavailable, eventually
from tests.soak import asking, events
from tests.soak.asking import Asking, Exchange, Manager, Manager3, Reading, Record, Setting, Walking

GUESTS = 200
TOGGLED = 160
"""Of them suspended and resumed by libvirt's own client; the others are there for SETs."""
OPERATOR = wire3.User(name=b"operator", auth="SHA-256", words="authentic words", priv="AES", secret="private words")
FRESH_WITHIN = 30.0
"""Seconds from when libvirtd listens and has its guests again, until the agent shows them."""
SETTLING = 1.5
"""Seconds after that, in which SETs that were under way may still fail and events that were held are told."""
TELLING = 2.0
"""Seconds that an event may take to be told: one for the reading, one for a busy machine."""
GROWTH = 1.05
"""Times what it held in the second quarter the agent may hold in the last, and `Plan.spare` MB."""
THREADS_MORE, FILES_MORE = 32, 4
"""Than at the beginning, when nobody has set anything yet and the pools of threads are not full."""
TRAP_OID = wire.oid("1.3.6.1.6.3.1.1.4.1.0")
LIFECYCLE = wire.oid("1.3.6.1.4.1.36957.20.0")
SUSPENDED, RESUMED = (*LIFECYCLE, 4), (*LIFECYCLE, 5)
THEN = {SUSPENDED: asking.PAUSED, RESUMED: asking.RUNNING}
"""The state that a guest has after an event, and that its notification is to show."""
TELLING_FAULTS = {"PYTHONFAULTHANDLER": "1"}
"""Where a library in C crashes, the log then ends with what each thread was doing."""
TICK = os.sysconf("SC_CLK_TCK")

CONFIG = """
[[hypervisor]]
name = "soak"
uri = "{uri}"
[snmp]
listen = ["127.0.0.1:0"]
vm_notifications = true
[[snmp.community]]
name = "public"
[[snmp.community]]
name = "private"
role = "operate"
[[snmp.user]]
name = "operator"
role = "operate"
auth = "SHA-256"
auth_passphrase = "authentic words"
priv = "AES"
priv_passphrase = "private words"
[[snmp.target]]
name = "old"
address = "udp:127.0.0.1:{old}"
version = "2c"
community = "public"
[[snmp.target]]
name = "new"
address = "udp:127.0.0.1:{new}"
version = "3"
user = "operator"
[state]
directory = "{directory}"
[inventory]
interval = 2
"""


class Ended(Exception):
    """The agent is no more, or never shows any guests."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long it lasts, in seconds; every `period` libvirtd is killed, and comes back after each of `downs` in turn; in the
    middle of each period it hangs for each of `hangs` in turn. Rates are of one second."""

    seconds: float = 600.0
    period: float = 60.0
    downs: Sequence[float] = (0.0, 1.0, 5.0)
    hangs: Sequence[float] = (0.0, 3.0, 8.0, 0.0, 20.0)
    events: float = 100.0
    reads: float = 80.0
    """Of each of the two who read, and of who walks."""
    sets: float = 10.0
    """Of each of the two who set."""
    spare: float = 5.0
    """MB that the agent may grow by; in its first minute it still fills what it remembers."""


class Trap(NamedTuple):
    """A notification: when it came, which it is, the last arc of its first object, and the state of the guest in it."""

    at: float
    oid: tuple[int, ...]
    arc: int
    state: int | None


class Traps(threading.Thread):
    """Receives the notifications in versions 2c and 3."""

    def __init__(self, record: Record, old: socket.socket, new: socket.socket) -> None:
        super().__init__(name="traps", daemon=True)
        self._record, self._sockets = record, (old, new)
        self._over = threading.Event()
        self.traps: list[Trap] = []
        self.version3 = 0
        for sock in self._sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            sock.setblocking(False)
        self.start()

    def run(self) -> None:
        old, new = self._sockets
        while not self._over.wait(0.002):
            try:
                self._receive(old, self._take)
                self._receive(new, self._take3)
            except Exception as error:  # noqa: BLE001 - it is told at the end
                self._record.note(f"a notification that is none: {error!r}")

    def _receive(self, sock: socket.socket, take: object) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                take(sock.recv(65535))  # type: ignore[operator]

    def _take(self, data: bytes) -> None:
        _, inner, _ = wire.taken(data, 0x30)
        _, _, inner = wire.taken(inner, wire.INTEGER)
        _, community, inner = wire.taken(inner, wire.OCTETS)
        told = wire.response(inner, community, len(data)).variables
        assert told[1][0] == TRAP_OID
        arc = told[2][0][-1] if len(told) > 2 else 0
        states = [value[-1] for name, tag, value in told if name[:-1] == asking.STATE and tag == wire.INTEGER]
        self.traps.append(Trap(time.monotonic(), wire.arcs(told[1][2]), arc, next(iter(states), None)))

    def _take3(self, data: bytes) -> None:
        self.version3 += 1
        if self.version3 % 20 == 0:  # deciphering all of them would cost more than all else here
            assert wire3.opened(data, OPERATOR).user == OPERATOR.name

    def stop(self) -> None:
        self._over.set()
        self.join(5)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the agent's process holds; memory in KiB, processor time in seconds."""

    at: float
    memory: int
    threads: int
    files: int
    cpu: float


def sample(pid: int) -> Sample:
    status = Path(f"/proc/{pid}/status").read_text()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()

    def held(name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
        assert found is not None
        return int(found[1])

    return Sample(
        at=time.monotonic(), memory=held("VmRSS"), threads=held("Threads"),
        files=len(os.listdir(f"/proc/{pid}/fd")), cpu=(int(fields[11]) + int(fields[12])) / TICK,
    )  # fmt: skip


@dataclass
class Trouble:
    """A time in which libvirtd was not well, until the agent showed its guests again."""

    what: str
    began: float
    ended: float = float("inf")
    fresh_after: float = 0.0
    raised: tuple[int, int] = (0, 0)
    """Events raised by its beginning, and by its end."""


@dataclass
class Soak:
    """One run, while it goes on and thereafter."""

    plan: Plan
    server: Session
    agent: Agent
    busy: events.Busy
    record: Record
    traps: Traps
    samples: list[Sample] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    arcs: dict[str, int] = field(default_factory=dict)
    walks: Walking = field(default_factory=Walking)
    lasted: float = 0.0
    settled: Sample | None = None
    _taken: list[datetime] = field(default_factory=list)

    # --- the run

    def run(self) -> None:
        """All of it, to the end."""
        self._watcher = Manager(self.record, self.port)
        events.wait_populated(self.busy, 1)
        self._troubled("start", lambda: datetime.now(UTC))
        if self.record.anomalies:
            raise Ended("\n".join([*self.record.anomalies, *self.log()[-20:]]))
        self.arcs = self._guests()
        self.settled = sample(self.agent.process.pid)
        over = threading.Event()
        managers = self._managers(over)
        began = time.monotonic()
        try:
            self._disturb(began)
        finally:
            over.set()
            for manager in managers:
                manager.join(2 * asking.PATIENCE)
        self.lasted = time.monotonic() - began
        self._compare()
        self.samples.append(sample(self.agent.process.pid))
        self._watcher.close()

    @property
    def port(self) -> int:
        return self.agent.port("SNMP on")

    def _managers(self, over: threading.Event) -> list[Asking]:
        arcs = [self.arcs[events.guest_name(n)] for n in range(GUESTS)]
        middle = (TOGGLED + GUESTS) // 2
        reads, sets, record, port = self.plan.reads, self.plan.sets, self.record, self.port
        return [
            Asking(Manager(record, port), Reading(arcs), reads, over),
            Asking(Manager3(record, port, OPERATOR), Reading(arcs), reads, over),
            Asking(Manager(record, port), self.walks, reads, over),
            Asking(Manager(record, port, b"private"), Setting(arcs[TOGGLED:middle], serial=False), sets, over),
            Asking(Manager3(record, port, OPERATOR), Setting(arcs[middle:], serial=True), sets, over),
        ]

    def _disturb(self, began: float) -> None:
        downs, hangs = itertools.cycle(self.plan.downs), itertools.cycle(self.plan.hangs)
        end = began + self.plan.seconds
        at = began
        while at + self.plan.period < end:
            self._quiet(at + self.plan.period / 2)
            if hang := next(hangs):
                self._hang(hang)
            at += self.plan.period
            self._quiet(at)
            self._kill(next(downs))
        self._quiet(end)

    def _quiet(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            self._check_alive()
            self.samples.append(sample(self.agent.process.pid))
            time.sleep(min(1.0, left))

    def _check_alive(self) -> None:
        if (code := self.agent.process.poll()) is not None:
            raise Ended(f"the agent has ended with {code}; its log ends:\n" + "\n".join(self.log()[-100:]))

    def _kill(self, down: float) -> None:
        def killed() -> datetime:
            times = self.busy.populated
            self.server.kill()
            self._quiet(time.monotonic() + down)
            self.server.start()
            events.wait_populated(self.busy, times + 1)
            return datetime.now(UTC)

        self._troubled(f"killed, away for {down:g} s", killed)

    def _hang(self, seconds: float) -> None:
        def hung() -> datetime:
            with self.server.frozen():
                self._quiet(time.monotonic() + seconds)
            return datetime.now(UTC)

        self._troubled(f"hung for {seconds:g} s", hung)

    def _troubled(self, what: str, happen: object) -> None:
        """Let it happen, and wait until what the agent shows was read after its end."""
        trouble = Trouble(what, time.monotonic())
        before = self.busy.raised
        self.troubles.append(trouble)
        since: datetime = happen()  # type: ignore[operator]
        over = time.monotonic()
        self._taken = [since]
        try:
            eventually(self._fresh, within=FRESH_WITHIN, what=f"{what}: fresh rows")
        except TimeoutError as error:
            self.record.note(str(error))
        trouble.fresh_after = time.monotonic() - over
        self._quiet(time.monotonic() + SETTLING)
        trouble.ended, trouble.raised = time.monotonic(), (before, self.busy.raised)

    def _fresh(self) -> bool:
        """Whether the agent is connected and shows all guests, by a reading that began after the last of `_taken`: the one
        that ends first thereafter may have begun before."""
        self._check_alive()
        time.sleep(0.05)
        answer = self._watcher.get("GET freshness", asking.CONNECTED, asking.STALE, asking.ROWS, asking.TAKEN)
        if answer is None or answer.status or len(answer.variables[3][2]) < 8:
            return False
        taken = date_and_time(answer.variables[3][2])
        if taken > self._taken[-1]:
            self._taken.append(taken)
        connected, stale, rows, _ = answer.numbers
        return (connected, stale) == (asking.TRUE, asking.FALSE) and rows >= GUESTS and len(self._taken) > 2

    def _guests(self) -> dict[str, int]:
        """The indexes of the guests by name."""
        return {name.decode(): arc for arc, name in self._watcher.column(asking.NAME).items()}

    def _compare(self) -> None:
        """When nothing happens any more, the agent soon shows what libvirt says, each guest where it always was."""
        self.busy.stop()
        states = {1: asking.RUNNING, 3: asking.PAUSED, 5: asking.SHUT_OFF}
        wanted = {name: states[state] for name, state in events.states(self.server.test_uri()).items()}

        def shown() -> bool:
            names, found = self._watcher.column(asking.NAME), self._watcher.column(asking.STATE)
            return {names[arc].decode(): state[-1] for arc, state in found.items() if arc in names} == wanted

        try:
            eventually(shown, within=15, what="what libvirt itself says")
        except TimeoutError as error:
            self.record.note(str(error))
        moved = {n: (a, b) for n, a in self.arcs.items() if (b := self._guests().get(n)) != a}
        if moved:
            self.record.note(f"other indexes than before: {moved}")

    # --- what comes of it

    def calm(self, exchange: Exchange) -> bool:
        """Whether libvirtd was well from the request to its answer."""
        end = exchange.sent + exchange.took
        return not any(t.began < end and exchange.sent < t.ended for t in self.troubles)

    def failures(self) -> list[str]:
        """What should not have been."""
        return [
            *self.record.anomalies, *self._wrong_statuses(), *self._untold(), *self._growth(), *self._complaints(),
            *([] if self.walks.walks else ["no walk came to its end"]),
        ]  # fmt: skip

    def _wrong_statuses(self) -> Iterator[str]:
        for kind, exchanges in self.record.exchanges.items():
            for exchange in exchanges:
                if exchange.status > 0 and ("SET" not in kind or self.calm(exchange)):
                    at = exchange.sent - self.record.began
                    yield f"{at:8.3f} s: {kind}: error status {exchange.status} after {exchange.took:.3f} s, libvirtd well"
                if exchange.status == asking.CONTRARY and self.calm(exchange):
                    yield f"{exchange.sent - self.record.began:8.3f} s: {kind}: not the value that was set"

    def quiets(self) -> Iterator[tuple[float, float, int]]:
        """The times in which libvirtd was well: from, to, events raised in it."""
        for before, after in itertools.pairwise(self.troubles):
            yield before.ended, after.began, after.raised[0] - before.raised[1]

    def told_and_raised(self) -> tuple[int, int]:
        """Of the times in which libvirtd was well: events that were told, and that were raised."""
        mine = self._sets_arcs()
        windows = list(self.quiets())
        told = sum(
            t.oid[:-1] == LIFECYCLE and t.arc not in mine and any(a <= t.at < b for a, b, _ in windows)
            for t in self.traps.traps
        )
        return told, sum(raised for _, _, raised in windows)

    def late(self) -> tuple[int, int]:
        """Of what was told of suspended and resumed guests while libvirtd was well: how much with the state of before, and
        how much in all."""
        windows = list(self.quiets())
        told = [t for t in self.traps.traps if t.oid in THEN and any(a <= t.at < b for a, b, _ in windows)]
        return sum(t.state != THEN[t.oid] for t in told), len(told)

    def _sets_arcs(self) -> frozenset[int]:
        return frozenset(self.arcs[events.guest_name(n)] for n in range(TOGGLED, GUESTS))

    def _untold(self) -> Iterator[str]:
        """Events that were not told, or told in another order than they happened."""
        told, raised = self.told_and_raised()
        slack = self.plan.events * TELLING * len(self.troubles)
        if abs(told - raised) > slack:
            yield f"{raised} events were raised while libvirtd was well, and {told} told"
        for began, ended, _ in self.quiets():
            last: dict[int, tuple[int, ...]] = {}
            for trap in self.traps.traps:
                if trap.oid in THEN and began <= trap.at < ended and trap.arc:
                    if last.get(trap.arc) == trap.oid:
                        yield f"{trap.at - self.record.began:8.3f} s: guest {trap.arc}: {trap.oid} was told twice in a row"
                    last[trap.arc] = trap.oid

    def memory(self) -> tuple[float, float]:
        """In MB: the medians of the second and of the last quarter."""
        held = [s.memory / 1024 for s in self.samples]
        quarter = max(1, len(held) // 4)
        return statistics.median(held[quarter : 2 * quarter]), statistics.median(held[-quarter:])

    def _growth(self) -> Iterator[str]:
        early, late = self.memory()
        if late > early * GROWTH + self.plan.spare:
            yield f"memory grew from {early:.1f} to {late:.1f} MB"
        first, last = self.settled, self.samples[-1]
        assert first is not None
        if last.threads > first.threads + THREADS_MORE:
            yield f"{last.threads} threads at the end, {first.threads} at the beginning"
        if last.files > first.files + FILES_MORE:
            yield f"{last.files} files are open at the end, {first.files} at the beginning"

    def log(self) -> list[str]:
        return self.agent.complaints().splitlines()

    def _complaints(self) -> Iterator[str]:
        for line in self.log():
            if "Traceback" in line or " ERROR " in line or "a fault of" in line:
                yield f"in the log: {line}"

    def figures(self) -> Iterator[str]:
        """One line each."""
        exchanges = [e for each in self.record.exchanges.values() for e in each]
        unanswered = sum(e.status == asking.UNANSWERED for e in exchanges)
        rate = len(exchanges) / self.lasted
        yield f"{len(exchanges)} requests in {self.lasted:.0f} s, {rate:.0f} a second; {unanswered} not answered"
        for kind in sorted(self.record.exchanges):
            if not kind.endswith("read back"):
                yield latency(kind, self.record.exchanges[kind])
        for kind in sorted(self.record.exchanges):
            if "SET" in kind:
                yield self._statuses(kind)
        reads = [(e.took, e.sent, k) for k, es in self.record.exchanges.items() if "SET" not in k for e in es]
        yield "the slowest that only read: " + ", ".join(
            f"{took * 1000:.0f} ms at {sent - self.record.began:.2f} s ({kind})"
            for took, sent, kind in sorted(reads)[:-9:-1]
        )
        yield "libvirtd was not well: " + ", ".join(
            f"{t.began - self.record.began:.2f} to {t.ended - self.record.began:.2f} s ({t.what})"
            for t in self.troubles
        )
        told, raised = self.told_and_raised()
        yield (
            f"{self.busy.raised} events raised, {self.busy.raised / self.lasted:.0f} a second; "
            f"while libvirtd was well {raised}, of which told {told}"
        )
        late, of = self.late()
        yield f"{late} of {of} notifications show the state before their event"
        kinds = Counter(t.oid[:8] for t in self.traps.traps)
        yield f"{len(self.traps.traps)} notifications in version 2c, {self.traps.version3} in version 3: " + ", ".join(
            f"{count} of {'.'.join(map(str, oid))}" for oid, count in kinds.most_common()
        )
        for trouble in self.troubles[1:]:
            yield f"libvirtd {trouble.what}: all rows fresh {trouble.fresh_after:.2f} s after it had its guests again"
        early, late = self.memory()
        peak = max(s.memory for s in self.samples) / 1024
        yield f"memory {early:.1f} MB in the second quarter, {late:.1f} MB in the last, {peak:.1f} MB at most"
        for name in ("threads", "files"):
            held = [getattr(s, name) for s in self.samples]
            yield f"{name} {getattr(self.settled, name)} at the beginning, {held[-1]} at the end, {max(held)} at most"
        first, last = self.samples[0], self.samples[-1]
        yield f"processor time of the agent {100 * (last.cpu - first.cpu) / (last.at - first.at):.0f} % of one"
        warnings = sum(" WARNING " in line for line in self.log())
        yield f"{self.walks.walks} walks of everything; {len(self.log())} lines of log, {warnings} warnings"

    def _statuses(self, kind: str) -> str:
        well, unwell = Counter[int](), Counter[int]()
        for exchange in self.record.exchanges[kind]:
            (well if self.calm(exchange) else unwell)[exchange.status] += 1
        return f"{kind}: error statuses {dict(well)} with libvirtd well, {dict(unwell)} without"


def latency(kind: str, exchanges: Sequence[Exchange]) -> str:
    took = sorted(e.took * 1000 for e in exchanges)
    high = took[min(len(took) - 1, round(0.999 * len(took)))]
    return f"{kind}: {len(took)} requests, median {statistics.median(took):.2f}, p99.9 {high:.2f}, longest {took[-1]:.2f} ms"


def date_and_time(octets: bytes) -> datetime:
    """A DateAndTime of SNMPv2-TC as UTC."""
    year, (month, day, hour, minute, second, tenths) = int.from_bytes(octets[:2], "big"), octets[2:8]
    return datetime(year, month, day, hour, minute, second, tenths * 100_000, tzinfo=UTC)


@contextlib.contextmanager
def soaking(plan: Plan) -> Iterator[Soak]:
    """Everything that a soak needs, running; stopped at the end of the block, in which the agent must end in order."""
    record = Record()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Session())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        old, new = (stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
        for sock in (old, new):
            sock.bind(("127.0.0.1", 0))
        file = folder / "virtmap.toml"
        file.touch(mode=0o600)
        file.write_text(
            CONFIG.format(
                uri=server.test_uri(), old=old.getsockname()[1], new=new.getsockname()[1], directory=folder / "state"
            )
        )
        traps = Traps(record, old, new)
        stack.callback(traps.stop)
        busy = events.Busy(server.test_uri(), guests=GUESTS, toggled=TOGGLED, rate=plan.events)
        stack.enter_context(busy)
        agent = stack.enter_context(running("serve", "--config", str(file), env=environment() | TELLING_FAULTS))
        yield Soak(plan, server, agent, busy, record, traps)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    parser.add_argument("--period", type=float, default=Plan.period)
    parser.add_argument("--log", type=Path, help="where the agent's log is written at the end")
    given = parser.parse_args()
    sys.setswitchinterval(0.0005)  # so that our own threads do not hold up each other's clocks
    try:
        with soaking(Plan(seconds=given.seconds, period=given.period)) as soak:
            try:
                soak.run()
            finally:
                if given.log is not None:
                    given.log.write_text("\n".join([*soak.log(), *soak.record.anomalies]))
            print(*soak.figures(), sep="\n")
            failures = soak.failures()
    except (Unavailable, Ended) as error:
        failures = [str(error)]
    print(*(f"FAILED {failure}" for failure in failures), sep="\n", end="")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
