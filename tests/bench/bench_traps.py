"""What a notification costs: CPU for each trap of v1, v2c and v3, for each further target, and for each inform.

Everything runs on one CPU. The notice has the six objects of a lifecycle notification. A trap counts from `notify` until
the datagram is with the system; an inform until it is acknowledged, by a receiver in a process of its own. CPU is that of
all threads of this process; each figure is the median of several runs. Prints one line for each.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import time

from agent.schema.types import Secret
from agent.snmp.message3 import Level
from agent.snmp.notice import Notice
from agent.snmp.notifications import Notifier, Target
from agent.snmp.protection import AuthProtocol, PrivProtocol
from agent.snmp.usm import User

CPU = 0
TRAPS = 5_000
INFORMS = 300
RUNS = 5

COLUMNS = (1, 3, 6, 1, 4, 1, 36957, 20, 1, 2, 1)
OBJECTS = (1, 3, 6, 1, 4, 1, 36957, 20, 6, 1000)
NOTICE = Notice(
    oid=(1, 3, 6, 1, 4, 1, 36957, 20, 0, 3),
    varbinds=(
        ((*COLUMNS, 2, 4711), b"\x04\x24" + b"5d0f0000-0000-4000-8000-000000004711"),
        ((*COLUMNS, 4, 4711), b"\x04\x0aguest04711"),
        ((*COLUMNS, 6, 4711), b"\x02\x01\x02"),
        ((*COLUMNS, 7, 4711), b"\x02\x01\x65"),
        ((*OBJECTS, 1, 4711), b"\x02\x02\x01\x2c"),
        ((*OBJECTS, 2, 4711), b"\x02\x01\x06"),
    ),
    hypervisor="bench",
)
USER = User(
    name="watcher", auth=AuthProtocol.SHA256, auth_passphrase=Secret("correct horse"),
    priv=PrivProtocol.AES128, priv_passphrase=Secret("battery staple"),
)  # fmt: skip
PUBLIC = Secret("public")

RECEIVER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
while True:
    data, source = sock.recvfrom(65535)
    at = data.index(b"public") + 6
    if data[at] == 0xA6:
        sock.sendto(data[:at] + b"\\xa2" + data[at + 1 :], source)
"""


class Identity:
    """An engine that started just now."""

    engine_id = bytes.fromhex("8000905d0562656e6368")
    boots = 1

    def __init__(self) -> None:
        self._began = time.monotonic()

    def time(self) -> int:
        return int(time.monotonic() - self._began)

    def uptime(self) -> int:
        return int((time.monotonic() - self._began) * 100)


async def traps(targets: list[Target]) -> float:
    """Microseconds of CPU for each notice."""
    notifier = Notifier(Identity(), targets)
    took = []
    for _ in range(RUNS):
        began = time.process_time()
        for _ in range(TRAPS):
            notifier.notify(NOTICE)
        took.append((time.process_time() - began) / TRAPS * 1e6)
    await notifier.stop()
    return statistics.median(took)


async def informs(target: Target) -> tuple[float, float]:
    """Microseconds of CPU for each inform, and informs a second."""
    notifier = Notifier(Identity(), [target])
    counters = notifier.counters(target.name)
    cpu, rate = [], []
    for run in range(RUNS + 1):  # the first one imports pysnmp and discovers the receiver
        began, at = time.process_time(), time.monotonic()
        for _ in range(INFORMS):
            notifier.notify(NOTICE)
        while counters.acknowledged < INFORMS * (run + 1):
            if counters.unanswered or counters.refused:
                raise SystemExit(f"informs were not acknowledged: {counters}")
            await asyncio.sleep(0.01)
        cpu.append((time.process_time() - began) / INFORMS * 1e6)
        rate.append(INFORMS / (time.monotonic() - at))
    await notifier.stop()
    return statistics.median(cpu[1:]), statistics.median(rate[1:])


def target(port: int, name: str, **more: object) -> Target:
    return Target(**{"name": name, "host": "127.0.0.1", "port": port, **more})  # type: ignore[arg-type]


async def run(port: int) -> None:
    community = {"version": "2c", "community": PUBLIC}
    kinds = {
        "v1": {"version": "1", "community": PUBLIC},
        "v2c": community,
        "v3 noAuthNoPriv": {"user": USER, "level": Level.NO_AUTH_NO_PRIV},
        "v3 SHA-256": {"user": USER, "level": Level.AUTH_NO_PRIV},
        "v3 SHA-256 AES-128": {"user": USER},
    }
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        to = sink.getsockname()[1]
        for name, kind in kinds.items():
            print(f"trap, {name}: {await traps([target(to, name, **kind)]):.1f} us CPU")
        many = await traps([target(to, f"target {i}", **community) for i in range(10)])
        print(f"trap, v2c, 10 targets: {many:.1f} us CPU, {many / 10:.1f} us each")
    cost, rate = await informs(target(port, "inform", inform=True, **community))
    print(f"inform, v2c: {cost:.0f} us CPU, {rate:.0f} a second")


def main() -> None:
    os.sched_setaffinity(0, {CPU})
    receiver = subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE, text=True)
    try:
        assert receiver.stdout is not None
        asyncio.run(run(int(receiver.stdout.readline())))
    finally:
        receiver.terminate()
        receiver.wait(10)


if __name__ == "__main__":
    main()
