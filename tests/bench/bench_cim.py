"""EnumerateInstances of 10,000 filled domains: instances per CPU second of the server, and the memory it takes.

    python tests/bench/bench_cim.py [--domains N] [--rounds N] [--cpu N]

Server and client are processes of their own, both pinned to one CPU. The client is a raw one: it reads the answer and
counts instances, without looking into them. CPU time is the server's own, out of /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import pathlib
import subprocess
import sys
import time
from dataclasses import dataclass

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

TICK = os.sysconf("SC_CLK_TCK")
MARK = b"</VALUE.NAMEDINSTANCE>"
GOAL = 20_000

PROPERTIES = ("Name", "ElementName", "State", "Memory", "CpuTime")


def request(properties: tuple[str, ...] | None) -> bytes:
    wanted = ""
    if properties is not None:
        values = "".join(f"<VALUE>{name}</VALUE>" for name in properties)
        wanted = f'<IPARAMVALUE NAME="PropertyList"><VALUE.ARRAY>{values}</VALUE.ARRAY></IPARAMVALUE>'
    return (
        '<?xml version="1.0" encoding="utf-8" ?><CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" '
        'PROTOCOLVERSION="1.0"><SIMPLEREQ><IMETHODCALL NAME="EnumerateInstances"><LOCALNAMESPACEPATH>'
        '<NAMESPACE NAME="root"/><NAMESPACE NAME="virtmap"/></LOCALNAMESPACEPATH><IPARAMVALUE NAME="ClassName">'
        f'<CLASSNAME NAME="Virtmap_Domain"/></IPARAMVALUE>{wanted}</IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>'
    ).encode()


# --- server -----------------------------------------------------------------------------------------------------------


async def serve(domains: int) -> None:
    """Serve the fake until the standard input closes; the port is the first line of the output."""
    from agent.cim.accounts import Accounts
    from agent.cim.provider import Provider
    from agent.cim.server import Server
    from agent.config import Endpoint
    from agent.inventory import Inventory, Pace
    from agent.operations import Operations
    from agent.schema.declare import Access
    from agent.state import State
    from drivers.fake import Fake

    state = State(":memory:")
    driver = Fake("bench", f"fake:///?domains={domains}")
    inventory = Inventory(driver, state, pace=Pace(interval=3600, call_limit=120))
    operations = Operations({"bench": inventory}, state)
    server = Server(Provider({"bench": inventory}, operations, host="localhost"), Accounts((), Access.OBSERVE))
    inventory.start()
    await inventory.wait_refreshed()
    (endpoint,), _ = await server.start(http=[Endpoint(host="127.0.0.1", port=0)])
    print(endpoint.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop()
    await inventory.stop()
    state.close()


# --- client -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One enumeration, repeated: what came, and what it cost the server."""

    instances: int
    octets: int
    cpu: float
    wall: float
    first: float

    @property
    def rate(self) -> float:
        """Instances per CPU second."""
        return self.instances / self.cpu


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid: int, name: str) -> int:
    """VmRSS or VmHWM in KiB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


def enumerate_once(connection: http.client.HTTPConnection, body: bytes) -> tuple[int, int, float]:
    """Instances, octets, and seconds to the first octet of one answer."""
    began = time.perf_counter()
    headers = {"Content-Type": "application/xml", "CIMOperation": "MethodCall", "CIMMethod": "EnumerateInstances"}
    connection.request("POST", "/cimom", body, headers)
    answer = connection.getresponse()
    first = time.perf_counter() - began
    instances = octets = 0
    carry = b""
    while part := answer.read1(1 << 18):
        octets += len(part)
        text = carry + part
        instances += text.count(MARK)
        carry = text[-(len(MARK) - 1) :]
    answer.read()  # read1 leaves an answer with a length open
    if answer.status != 200:
        raise SystemExit(f"the server answered {answer.status}")
    return instances, octets, first


def measure(port: int, pid: int, body: bytes, rounds: int) -> Measured:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    enumerate_once(connection, body)
    cpu, wall = cpu_seconds(pid), time.perf_counter()
    instances = octets = 0
    first = float("inf")
    for _ in range(rounds):
        count, size, delay = enumerate_once(connection, body)
        instances, octets, first = instances + count, octets + size, min(first, delay)
    connection.close()
    return Measured(
        instances=instances,
        octets=octets,
        cpu=cpu_seconds(pid) - cpu,
        wall=time.perf_counter() - wall,
        first=first,
    )


def bench(domains: int, rounds: int, cpu: int) -> dict[str, float]:
    os.sched_setaffinity(0, {cpu})
    command = [sys.executable, __file__, "--serve", "--domains", str(domains)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        try:
            port = int(server.stdout.readline())
            idle = memory(server.pid, "VmRSS")
            listed = measure(port, server.pid, request(PROPERTIES), rounds * 5)
            whole = measure(port, server.pid, request(None), rounds)
            peak = memory(server.pid, "VmHWM")
        finally:
            server.stdin.close()
            server.wait(30)
    for name, got in (("all properties", whole), (f"{len(PROPERTIES)} properties", listed)):
        print(
            f"EnumerateInstances, {domains} domains, {name}: {got.rate:,.0f} instances per CPU second "
            f"({got.cpu / got.instances * 1e6:.1f} us and {got.octets / got.instances:,.0f} octets each), "
            f"{got.instances / got.wall:,.0f}/s by the clock, first octet after {got.first * 1000:.1f} ms"
        )
    print(f"memory of the server: {idle / 1024:.0f} MB before, {peak / 1024:.0f} MB at most")
    return {"all": whole.rate, "listed": listed.rate, "idle_kib": idle, "peak_kib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domains", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", type=int, default=min(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.domains))
        return
    figures = bench(given.domains, given.rounds, given.cpu)
    if given.json:
        print(json.dumps(figures))
    if min(figures["all"], figures["listed"]) < GOAL:
        raise SystemExit(f"fewer than {GOAL:,} instances per CPU second")


if __name__ == "__main__":
    main()
