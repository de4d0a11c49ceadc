"""Walks through snmpd by AgentX: 10,000 filled domains, eight columns, GETBULK 50; everything pinned to one CPU.

snmpd asks its subagent for one variable at a time, so that this measures round trips. libvirt-snmp's figures are constants,
from a machine where it could be built; ours are medians of several runs. Prints one line for each figure.
"""

import asyncio
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.inventory import Inventory, Pace
from agent.operations import Operations
from agent.pauses import Pauses
from agent.snmp.engine import Engine
from agent.snmp.security import Security
from agent.snmp.subagent import Subagent
from agent.state import State
from drivers.fake import Fake

DOMAINS = 10_000
CPU = "0"
COLUMN = "1.3.6.1.4.1.36957.20.1.2.1"
COLUMNS = (4, 6, 19, 21, 30, 40, 63, 77)
"""Texts, states, gauges, and counters of 64 bits."""

RUNS = 5
TICK = os.sysconf("SC_CLK_TCK")

LIBVIRT_SNMP_RATE = 52_000
LIBVIRT_SNMP_CPU = 11.5
"""Varbinds a second through snmpd, and microseconds of the subagent's processor time for each."""

CONFIG = """
rocommunity public 127.0.0.1
master agentx
agentXSocket {address}
"""


def pinned(*command: str) -> list[str]:
    return ["taskset", "-c", CPU, *command]


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def serve(address: str) -> None:
    """The agent of the benchmark: a fake hypervisor, and the subagent alone. Says so when it is registered."""
    pauses = Pauses()
    state = State(":memory:")
    pace = Pace(interval=3600.0)
    inventory = Inventory(
        Fake("bench", f"fake:///?domains={DOMAINS}&details=0"), state, pace=pace, undisturbed=pauses.undisturbed
    )
    operations = Operations({"bench": inventory}, state)
    engine = Engine({"bench": inventory}, operations, Security(), engine_id=bytes.fromhex("80009055056265"))
    inventory.start()
    await inventory.wait_refreshed()
    pauses.install()
    subagent = Subagent(engine, operations, address, first_retry=0.1, last_retry=0.1)
    subagent.start()
    await subagent.registered.wait()
    print("registered", flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await subagent.stop()
    await inventory.stop()


@contextmanager
def running(command: list[str], **more: object) -> Iterator[subprocess.Popen[str]]:
    """A process, asked to end with the block."""
    process = subprocess.Popen(pinned(*command), text=True, **more)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def walk(walker: Path, port: int) -> tuple[int, float]:
    """Varbinds and seconds of a walk of all columns."""
    varbinds, seconds = 0, 0.0
    for column in COLUMNS:
        command = pinned(str(walker), "127.0.0.1", str(port), "public", f"{COLUMN}.{column}", "50", "1")
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout.split()
        varbinds += int(out[0])
        seconds += float(out[2])
    return varbinds, seconds


def measure(walker: Path, port: int, subagent: int, master: int) -> None:
    rates, ours, theirs = [], [], []
    for run in range(RUNS + 1):
        before = cpu_seconds(subagent), cpu_seconds(master)
        varbinds, seconds = walk(walker, port)
        if varbinds != DOMAINS * len(COLUMNS):
            raise SystemExit(f"{varbinds} varbinds where {DOMAINS * len(COLUMNS)} belong")
        figures = varbinds / seconds, (cpu_seconds(subagent) - before[0]) / varbinds * 1e6
        if run == 0:
            print(f"AgentX walk, first after a refresh: {figures[0]:,.0f} varbinds/s, {figures[1]:.1f} us CPU each")
            continue
        rates.append(figures[0])
        ours.append(figures[1])
        theirs.append((cpu_seconds(master) - before[1]) / varbinds * 1e6)
    rate, cpu = statistics.median(rates), statistics.median(ours)
    print(
        f"AgentX walk through snmpd, GETBULK 50: {rate:,.0f} varbinds/s, {cpu:.1f} us CPU each in the subagent, "
        f"{statistics.median(theirs):.1f} us in snmpd"
    )
    print(
        f"libvirt-snmp through snmpd (a constant, measured elsewhere): {LIBVIRT_SNMP_RATE:,} varbinds/s, "
        f"{LIBVIRT_SNMP_CPU} us CPU each in the subagent"
    )
    print(f"ours against it: {rate / LIBVIRT_SNMP_RATE:.2f} times as fast, {cpu / LIBVIRT_SNMP_CPU:.2f} times the CPU")


def main() -> None:
    if sys.argv[1:2] == ["--subagent"]:
        asyncio.run(serve(sys.argv[2]))
        return
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    snmpd = shutil.which("snmpd", path="/usr/sbin:/usr/bin")
    if snmpd is None:
        raise SystemExit("snmpd is not installed")
    with tempfile.TemporaryDirectory(prefix="ax-") as folder:
        walker, config = Path(folder, "walker"), Path(folder, "snmpd.conf")
        subprocess.run(["cc", "-O2", "-o", str(walker), str(Path(__file__).with_name("walker.c"))], check=True)
        address, port = f"unix:{folder}/master", free_port()
        config.write_text(CONFIG.format(address=address))
        os.environ.update(SNMP_PERSISTENT_DIR=folder, SNMPCONFPATH=folder, MIBS="")
        command = [snmpd, "-f", "-Lf", f"{folder}/log", "-C", "-c", str(config), f"udp:127.0.0.1:{port}"]
        agent = [sys.executable, __file__, "--subagent", address]
        with running(command) as master, running(agent, stdout=subprocess.PIPE) as subagent:
            if subagent.stdout is None or subagent.stdout.readline() != "registered\n":
                raise SystemExit("the subagent does not register")
            measure(walker, port, subagent.pid, master.pid)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"(the benchmark took {used.ru_utime + used.ru_stime:.0f} s of processor time)")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
