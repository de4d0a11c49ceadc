"""The SNMP agent at 10,000 filled domains: walks and GETs against snmpd's, version 3, GETs during refreshes, memory.

Agent, client and snmpd are pinned to one CPU (but for the waits of GETs, see there), and measured in turns; every figure
is a median of several runs. Prints one line for each.
"""

import contextlib
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from agent.snmp import ber, message3
from agent.snmp.message import Pdu
from tests import wire, wire3

DOMAINS = 10_000
CPU = "0"
TABLES = "1.3.6.1.4.1.36957.20.1"
IF_TABLE = "1.3.6.1.2.1.2.2"
SYS_NAME = (1, 3, 6, 1, 2, 1, 1, 5, 0)
NAME = (1, 3, 6, 1, 4, 1, 36957, 20, 1, 2, 1, 4, 1)
INTERFACES = 300
TICK = os.sysconf("SC_CLK_TCK")

CONFIG = """
[[hypervisor]]
name = "bench"
uri = "fake:///?domains={domains}&details={details}&events={events}"
[snmp]
listen = ["127.0.0.1:{port}"]
[[snmp.community]]
name = "public"
role = "observe"
[[snmp.user]]
name = "bench"
auth = "SHA-256"
auth_passphrase = "authentic words"
priv = "AES"
priv_passphrase = "private words"
[state]
directory = "{directory}"
[inventory]
interval = {interval}
"""


def pinned(*command: str, cpu: str = CPU) -> list[str]:
    return ["taskset", "-c", cpu, *command]


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_memory(pid: int) -> int:
    """The most memory a process ever held, in MB."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str], port: int, probe: tuple[int, ...]) -> Iterator[int]:
    """A server process, once it answers a GET of `probe`; stopped by its pid at the end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not answers(port, probe):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[3:5]} does not answer on port {port}")
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def get(oid: tuple[int, ...], number: int) -> bytes:
    """A GET of one variable."""
    bind = ber.element(ber.SEQUENCE, ber.encode_oid(oid) + b"\x05\x00")
    pdu = ber.encode_integer(number) + b"\x02\x01\x00\x02\x01\x00" + ber.element(ber.SEQUENCE, bind)
    return ber.element(ber.SEQUENCE, b"\x02\x01\x01" + ber.element(4, b"public") + ber.element(0xA0, pdu))


def answers(port: int, oid: tuple[int, ...]) -> bool:
    """Whether an agent gives a value for this variable."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(0.3)
        message = get(oid, 1)
        try:
            sock.send(message)
            answer = sock.recv(65535)
        except OSError:
            time.sleep(0.02)
            return False
        # a socket that happens to get the server's port before the server does hears itself
        return answer != message and answer[-2] not in (0x80, 0x81, 0x82)


@contextlib.contextmanager
def agent(interval: float, events: int = 0, details: int = 0) -> Iterator[tuple[int, int]]:
    """A virtmap agent on the fake, pinned; gives its pid and SNMP port. So many domains a second are paused or resumed; with
    details, each has snapshots, tunables and whatever else can be beneath a domain, and there are objects of every kind."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "virtmap.toml")
        values = {
            "domains": DOMAINS,
            "details": details,
            "events": events,
            "port": port,
            "directory": Path(folder, "state"),
        }
        config.write_text(CONFIG.format(interval=interval, **values))
        command = pinned(sys.executable, "-m", "agent", "serve", "--config", str(config))
        with running(command, port, (1, 3, 6, 1, 4, 1, 36957, 20, 1, 2, 1, 4, DOMAINS)) as pid:
            yield pid, port


def walk(walker: Path, port: int, oid: str, walks: int = 1) -> tuple[int, float]:
    """Varbinds and seconds of some walks."""
    command = pinned(str(walker), "127.0.0.1", str(port), "public", oid, "50", str(walks))
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout.split()
    return int(out[0]), float(out[2])


def rate(walker: Path, pid: int, port: int, oid: str, walks: int) -> tuple[float, float]:
    """Varbinds a second, and varbinds a second of the server's own processor time; medians of five runs."""
    wall, cpu = [], []
    for _ in range(5):
        before = cpu_seconds(pid)
        varbinds, seconds = walk(walker, port, oid, walks)
        wall.append(varbinds / seconds)
        cpu.append(varbinds / max(cpu_seconds(pid) - before, 1 / TICK))
    return statistics.median(wall), statistics.median(cpu)


def throughput(walker: Path, *, details: int) -> float:
    """Walks of all tables; gives varbinds a CPU second of the warm agent."""
    with agent(interval=3600, details=details) as (pid, port):
        varbinds, seconds = walk(walker, port, TABLES)
        print("with all that can be beneath a domain:" if details else "statistics, devices and host:")
        print(f"walk, first after a refresh: {varbinds} varbinds, {varbinds / seconds / 1e6:.2f} million/s")
        wall, cpu = rate(walker, pid, port, TABLES, 2)
        print(
            f"walk, GETBULK 50: {wall / 1e6:.2f} million varbinds/s, {cpu / 1e6:.2f} million a CPU second of the agent"
        )
        return cpu


def memory(walker: Path) -> None:
    with agent(interval=2) as (pid, port):
        for _ in range(8):
            walk(walker, port, TABLES)
        print(f"memory, all tables encoded, refreshing every 2 s: {peak_memory(pid)} MB at its peak")


def waits(port: int, seconds: float) -> list[float]:
    """How long GETs take, in milliseconds, one about every millisecond."""
    columns = (4, 6, 19, 21, 30, 40, 63, 77)
    took = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(5)
        end, number = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            number += 1
            oid = (1, 3, 6, 1, 4, 1, 36957, 20, 1, 2, 1, columns[number % 8], 1 + number * 7919 % DOMAINS)
            message = get(oid, number)
            began = time.perf_counter()
            sock.send(message)
            sock.recv(65535)
            took.append((time.perf_counter() - began) * 1000)
            time.sleep(0.001)
    return sorted(took)


def latency(walker: Path) -> None:
    """GETs while the agent refreshes 10,000 domains again and again and 100 of them a second change, all columns encoded.

    The agent has one CPU, the client another: what is measured is how long the agent takes, not how long the client
    waits for its own turn on the agent's CPU.
    """
    with agent(interval=2, events=100) as (_, port):
        walk(walker, port, TABLES)
        here = os.sched_getaffinity(0)
        os.sched_setaffinity(0, here - {int(CPU)} or here)
        took = waits(port, 20)
        os.sched_setaffinity(0, here)
        n = len(took)
        print(
            f"GET during refreshes and 100 events a second: {n} GETs, median {took[n // 2]:.2f} ms, "
            f"99.9 % within {took[n * 999 // 1000]:.2f} ms, longest {took[-1]:.2f} ms"
        )


@contextlib.contextmanager
def snmpd() -> Iterator[tuple[int, int]]:
    """net-snmp's agent, pinned; gives its pid and port."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "snmpd.conf")
        config.write_text(
            f"agentaddress udp:127.0.0.1:{port}\nrocommunity public\n"
            'createUser bench SHA-256 "authentic words" AES "private words"\nrouser bench authPriv\n'
        )
        os.environ["SNMP_PERSISTENT_DIR"] = folder
        command = pinned(str(shutil.which("snmpd", path="/usr/sbin:/usr/bin")), "-f", "-C", "-c", str(config), "-Le")
        with running(command, port, SYS_NAME) as pid:
            yield pid, port


def interfaces(walker: Path) -> float:
    """The same walk of snmpd's native ifTable; gives varbinds a CPU second. Runs inside the network namespace."""
    with snmpd() as (pid, port):
        varbinds, _ = walk(walker, port, IF_TABLE)
        wall, cpu = rate(walker, pid, port, IF_TABLE, max(1, 400_000 // varbinds))
        print(
            f"snmpd's ifTable ({varbinds} varbinds): {wall / 1e6:.2f} million varbinds/s, {cpu / 1e6:.2f} million a CPU second"
        )
        return cpu


USER = wire3.User(name=b"bench", auth="SHA-256", words="authentic words", priv="AES", secret="private words")


def discovered(port: int) -> wire3.Peer:
    """The engine behind a port, its boots and its time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(2)
        sock.send(wire3.discovery())
        found = message3.parse(sock.recv(65535)).security
    return wire3.Peer(engine=found.engine_id, boots=found.boots, time=found.time)


def questions(kind: str, port: int, oid: tuple[int, ...]) -> list[bytes]:
    """Different messages of a kind that ask for the same."""
    if kind == "v2c":
        return [get(oid, 1_000_000 + i) for i in range(500)]
    peer = discovered(port)
    bulk = kind == "v3 bulk"
    ids = range(1_000_000, 1_000_500)
    if kind == "v2c bulk":
        return [wire.getbulk(0, 50, oid, request=i) for i in ids]
    tag, second = (Pdu.GETBULK, 50) if bulk else (Pdu.GET, 0)
    return [
        wire3.message(USER, peer, wire3.get(oid, tag=tag, request=i, second=second), msg_id=i, size=65507) for i in ids
    ]


def timed(getter: Path, port: int, messages: list[bytes], count: int) -> tuple[float, float]:
    """Median and 99th percentile of the answers to these messages, in microseconds."""
    command = pinned(str(getter), str(port), str(count))
    told = "\n".join(m.hex() for m in messages)
    out = subprocess.run(command, check=True, input=told, stdout=subprocess.PIPE, text=True, timeout=120).stdout.split()
    return float(out[0]), float(out[1])


def gets(getter: Path) -> None:
    """GETs of one variable, ours and snmpd's in turns; and what a GETBULK costs us in version 3."""
    with agent(interval=3600) as (pid, port), snmpd() as (_, theirs):
        for kind, limit in (("v2c", 1.0), ("v3", 1.3)):
            ours_asked, theirs_asked = questions(kind, port, NAME), questions(kind, theirs, SYS_NAME)
            runs = [
                (timed(getter, port, ours_asked, 20_000), timed(getter, theirs, theirs_asked, 20_000)) for _ in range(7)
            ]
            (p50, p99), (q50, q99) = (
                tuple(map(statistics.median, zip(*side, strict=True))) for side in zip(*runs, strict=True)
            )
            told = "v3 SHA-256 AES-128" if kind == "v3" else kind
            print(
                f"GET {told}: median {p50:.1f} us, 99 % {p99:.1f} us; snmpd's sysName {q50:.1f} and {q99:.1f}: "
                f"{p50 / q50:.2f} times (at most {limit})"
            )
        each = {}
        for kind in ("v2c bulk", "v3 bulk"):
            asked, count = questions(kind, port, NAME), 100_000
            before = cpu_seconds(pid)
            timed(getter, port, asked, count)
            each[kind] = (cpu_seconds(pid) - before) / count * 1e6
        v2c, v3 = each["v2c bulk"], each["v3 bulk"]
        print(
            f"GETBULK 50, the agent's CPU: v2c {v2c:.1f} us, v3 authPriv {v3:.1f} us: {v3 / v2c:.2f} times (at most 3)"
        )


def in_namespace(walker: Path) -> float:
    """snmpd in a network namespace of its own with many interfaces, so that its table is a long one."""
    ready = ["ip link set lo up"] + [f"ip link add if{i} type veth peer name peer{i}" for i in range(INTERFACES // 2)]
    again = f"exec {sys.executable} -m tests.bench.bench_snmp --snmpd {walker}"
    whole = subprocess.run(
        ["unshare", "-n", "sh", "-c", " && ".join([*ready, again])], capture_output=True, text=True, timeout=300
    )
    if whole.returncode:
        print(
            f"(no namespace with many interfaces: {whole.stderr.strip().splitlines()[-1:]}; this machine's own ifTable)"
        )
        return interfaces(walker)
    *said, figure = whole.stdout.splitlines()
    print("\n".join(said))
    return float(figure)


def main() -> None:
    if sys.argv[1:2] == ["--snmpd"]:
        print(interfaces(Path(sys.argv[2])))
        return
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with tempfile.TemporaryDirectory() as folder:
        walker, getter = Path(folder, "walker"), Path(folder, "getter")
        for program in (walker, getter):
            source = Path(__file__).with_name(f"{program.name}.c")
            subprocess.run(["cc", "-O2", "-o", str(program), str(source)], check=True)
        ours = throughput(walker, details=0)
        throughput(walker, details=1)
        theirs = in_namespace(walker)
        print(f"varbinds a CPU second, ours against snmpd's: {ours / theirs:.1f} times")
        gets(getter)
        latency(walker)
        memory(walker)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"(the benchmark took {used.ru_utime + used.ru_stime:.0f} s of processor time)")


if __name__ == "__main__":
    main()
