"""What answers of the WBEM server cost, on fake domains of which every column is filled, by a client of raw sockets.

The server is a process of its own, pinned to one processor together with the client, so that figures do not depend on where
the scheduler puts them. Its processor time is read from /proc. The client counts instances in the octets as they arrive and
parses nothing.

    python -m tests.bench.bench_cim [--domains 10000] [--cpu 0] [--json]

"warm" is an answer of a snapshot that was asked about before, as all but the first request after a reading is; "cold" is the
first. Peers, measured elsewhere with the same kinds of request: libvirt-cim under OpenPegasus 1,006 instances/s, 390
GetInstance/s, 87 ms for the associators of one of 100 domains; Debian 12 has neither, so they cannot run beside ours here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

TICK = os.sysconf("SC_CLK_TCK")
PROPERTIES = ("Name", "ElementName", "State", "Memory", "CpuTime")
MARK = b"</INSTANCE>"
LENGTH = re.compile(rb"(?i)content-length: (\d+)")

#: Bytes received at once where little is expected: Python makes a buffer of that size each time.
SMALL = 1 << 16
PULL = 1000
CLIENTS = 8

#: What is wanted, by the name of the figure; "most" figures are better when smaller.
GOALS = {"least": {"instances": 100_000, "gets": 3_000}, "most": {"first": 20.0, "associators": 2.0, "memory": 100.0}}


# --- requests ---------------------------------------------------------------------------------------------------------


def call(name: str, *parameters: tuple[str, str]) -> bytes:
    """The request of an intrinsic operation, whole as it goes over the wire."""
    given = "".join(f'<IPARAMVALUE NAME="{key}">{value}</IPARAMVALUE>' for key, value in parameters)
    body = (
        '<?xml version="1.0" encoding="utf-8" ?><CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" '
        f'PROTOCOLVERSION="1.0"><SIMPLEREQ><IMETHODCALL NAME="{name}"><LOCALNAMESPACEPATH>'
        f'<NAMESPACE NAME="root"/><NAMESPACE NAME="virtmap"/></LOCALNAMESPACEPATH>{given}'
        "</IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>"
    ).encode()
    head = (
        "POST /cimom HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\nCIMOperation: MethodCall\r\n"
        f"CIMMethod: {name}\r\nCIMObject: root%2Fvirtmap\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def properties(names: tuple[str, ...] | None) -> tuple[tuple[str, str], ...]:
    if names is None:
        return ()
    return (("PropertyList", f"<VALUE.ARRAY>{''.join(f'<VALUE>{n}</VALUE>' for n in names)}</VALUE.ARRAY>"),)


DOMAINS = ("ClassName", '<CLASSNAME NAME="Virtmap_Domain"/>')


def path(uuid: str) -> str:
    return (
        '<INSTANCENAME CLASSNAME="Virtmap_Domain"><KEYBINDING NAME="CreationClassName"><KEYVALUE VALUETYPE="string">'
        'Virtmap_Domain</KEYVALUE></KEYBINDING><KEYBINDING NAME="Name"><KEYVALUE VALUETYPE="string">'
        f"{uuid}</KEYVALUE></KEYBINDING></INSTANCENAME>"
    )


# --- server -----------------------------------------------------------------------------------------------------------


async def serve(uri: str) -> None:
    """Serve the fake until the standard input closes; the port is the first line of the output."""
    from agent.cim.accounts import Accounts
    from agent.cim.provider import Provider
    from agent.cim.server import Server
    from agent.config import Endpoint
    from agent.inventory import Inventory, Pace
    from agent.operations import Operations
    from agent.pauses import Pauses
    from agent.schema.declare import Access
    from agent.state import State
    from drivers.fake import Fake

    state = State(":memory:")
    pauses = Pauses()
    pace = Pace(interval=3600, call_limit=120)
    inventory = Inventory(Fake("bench", uri), state, pace=pace, undisturbed=pauses.undisturbed)
    operations = Operations({"bench": inventory}, state)
    provider = Provider({"bench": inventory}, operations, host="localhost")
    provider.follow(inventory)
    server = Server(provider, Accounts((), Access.OBSERVE))
    pauses.install()
    inventory.start()
    await inventory.wait_refreshed()
    (endpoint,), _ = await server.start(http=[Endpoint(host="127.0.0.1", port=0)])
    print(endpoint.port, flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.strip() == "refresh":
            await inventory.refresh()
            print("refreshed", flush=True)
    await server.stop()
    await inventory.stop()
    state.close()


@dataclass
class Server:
    """A running server."""

    port: int
    process: subprocess.Popen[str]

    def connect(self) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", self.port), timeout=120)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return peer

    def cpu(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self, name: str) -> float:
        """VmRSS or VmHWM in MB."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", text)
        assert found is not None
        return int(found[1]) / 1024

    def refresh(self) -> None:
        """Another snapshot, of which nothing was told yet."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("refresh\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "refreshed"


@contextmanager
def server(uri: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.bench.bench_cim", "--serve", uri]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield Server(int(process.stdout.readline()), process)
        finally:
            process.stdin.close()
            process.wait(30)


# --- client -----------------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    """What came: instances, octets, seconds to the first octet, and the end, where an enumeration's name is."""

    instances: int
    octets: int
    first: float
    end: bytes


def ask(peer: socket.socket, request: bytes) -> Answer:
    """One answer, with a length or in chunks; instances are counted as they pass."""
    began = time.perf_counter()
    peer.sendall(request)
    head = b""
    while b"\r\n\r\n" not in head:
        head += received(peer, SMALL)
    first = time.perf_counter() - began
    head, _, rest = head.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"the server answered {head[:80]!r}")
    length = LENGTH.search(head)
    instances, octets, tail = rest.count(MARK), len(rest), rest[-1000:]
    while not (octets >= int(length[1]) if length else tail.endswith(b"\r\n0\r\n\r\n")):
        part = received(peer)
        octets += len(part)
        carried = tail[-(len(MARK) - 1) :]
        instances += (carried + part).count(MARK)
        tail = (tail + part)[-1000:]
    if b"<ERROR" in tail:
        raise SystemExit(f"the server answered {tail!r}")
    return Answer(instances, octets, first, tail)


def received(peer: socket.socket, most: int = 1 << 20) -> bytes:
    part = peer.recv(most)
    if not part:
        raise SystemExit("the server closed the connection")
    return part


def enumerate_whole(peer: socket.socket, names: tuple[str, ...] | None) -> Answer:
    return ask(peer, call("EnumerateInstances", DOMAINS, *properties(names)))


def enumerate_pulled(peer: socket.socket, names: tuple[str, ...] | None) -> Answer:
    """The same by OpenEnumerateInstances and PullInstancesWithPath."""
    most = ("MaxObjectCount", f"<VALUE>{PULL}</VALUE>")
    answer = ask(peer, call("OpenEnumerateInstances", DOMAINS, *properties(names), most))
    whole = Answer(answer.instances, answer.octets, answer.first, b"")
    while b'"EndOfSequence" PARAMTYPE="boolean"><VALUE>TRUE' not in answer.end:
        name = re.search(rb'EnumerationContext" PARAMTYPE="string"><VALUE>([^<]+)<', answer.end)
        assert name is not None
        context = ("EnumerationContext", f"<VALUE>{name[1].decode()}</VALUE>")
        answer = ask(peer, call("PullInstancesWithPath", context, most))
        whole.instances += answer.instances
        whole.octets += answer.octets
    return whole


Enumerate = Callable[[socket.socket, tuple[str, ...] | None], Answer]
WAYS: dict[str, Enumerate] = {"EnumerateInstances": enumerate_whole, "Open/Pull": enumerate_pulled}


# --- figures ----------------------------------------------------------------------------------------------------------


def enumerating(served: Server, domains: int, rounds: int) -> dict[str, float]:
    """Instances per CPU second of the server, and milliseconds to the first octet."""
    figures: dict[str, float] = {}
    for title, names in (("all properties", None), (f"{len(PROPERTIES)} properties", PROPERTIES)):
        for way, enumerate_ in WAYS.items():
            served.refresh()
            with served.connect() as peer:
                began = served.cpu()
                once = enumerate_(peer, names)
                cold = once.instances / max(served.cpu() - began, 1 / TICK)
                many = rounds if names is None else rounds * 6
                firsts: list[float] = [once.first]
                began, clock, instances = served.cpu(), time.perf_counter(), 0
                for _ in range(many):
                    answer = enumerate_(peer, names)
                    assert answer.instances == domains, (way, answer)
                    instances += answer.instances
                    firsts.append(answer.first)
                used, wall = served.cpu() - began, time.perf_counter() - clock
            rate = instances / used
            print(
                f"{way}, {domains} domains, {title}: {rate:,.0f} instances per CPU second "
                f"({used / instances * 1e6:.1f} us, {answer.octets / answer.instances:,.0f} octets each), {cold:,.0f} cold, "
                f"{instances / wall:,.0f}/s by the clock, first octet after {max(firsts) * 1000:.1f} ms"
            )
            figures[f"instances, {way}, {title}"] = rate
            figures[f"cold, {way}, {title}"] = cold
            figures[f"first, {way}, {title}"] = max(firsts) * 1000
    return figures


def uuids(served: Server) -> list[str]:
    with served.connect() as peer:
        peer.sendall(call("EnumerateInstanceNames", DOMAINS))
        text = b""
        while not text.endswith((b"\r\n0\r\n\r\n", b"</CIM>\n")):
            text += received(peer)
    return sorted({m.decode() for m in re.findall(rb">([0-9a-f]{8}-[0-9a-f-]{27})<", text)})


def repeated(served: Server, requests: list[bytes]) -> tuple[float, float, float, Answer]:
    """Requests a second, their median and their 99th percentile in milliseconds, over one connection; the last answer."""
    times = []
    with served.connect() as peer:
        ask(peer, requests[0])
        for request in requests:
            began = time.perf_counter()
            answer = ask(peer, request)
            times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return 1000 * len(times) / sum(times), statistics.median(times), times[len(times) * 99 // 100], answer


def getting(served: Server, domains: int) -> dict[str, float]:
    """GetInstance of one domain after the other."""
    names = uuids(served)
    assert len(names) == domains
    asked = [call("GetInstance", ("InstanceName", path(names[i % domains]))) for i in range(4000)]
    rate, median, slow, _ = repeated(served, asked)
    print(f"GetInstance, {domains} domains: {rate:,.0f}/s, median {median:.3f} ms, 99 % within {slow:.3f} ms")
    return {f"gets, {domains}": rate}


def associating(served: Server, domains: int) -> dict[str, float]:
    """Associators of one domain after the other."""
    names = uuids(served)
    asked = [call("Associators", ("ObjectName", path(names[i % domains]))) for i in range(1000)]
    _, median, slow, answer = repeated(served, asked)
    print(
        f"Associators, {domains} domains, {answer.instances} results: median {median:.2f} ms, 99 % within {slow:.2f} ms"
    )
    return {f"associators, {domains}": median}


def crowded(served: Server, domains: int) -> dict[str, float]:
    """Memory while eight clients enumerate all domains at once, each in its way, above that of the idle server."""
    idle = served.memory("VmRSS")
    got: list[int] = []

    def one(enumerate_: Enumerate) -> None:
        with served.connect() as peer:
            got.append(enumerate_(peer, None).instances)

    ways = list(WAYS.values())
    threads = [threading.Thread(target=one, args=(ways[i % len(ways)],)) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert got == [domains] * CLIENTS, got
    above = served.memory("VmHWM") - idle
    print(f"memory, {CLIENTS} clients at once, {domains} domains: {idle:.0f} MB idle, at most {above:.0f} MB above")
    return {"memory": above}


def bench(domains: int, rounds: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    with server(f"fake:///?domains={domains}&details=0") as served:
        figures |= crowded(served, domains)  # first, since a peak stays
        figures |= enumerating(served, domains, rounds)
        figures |= getting(served, domains)
    with server("fake:///?domains=10") as served:
        figures |= getting(served, 10)
    for number in (10, domains):
        with server(f"fake:///?domains={number}&details=0&disks=6&nics=4&vcpus=7") as served:
            figures |= associating(served, number)
    return figures


def missed(figures: dict[str, float]) -> list[str]:
    """The figures that are not what is wanted."""
    found = []
    for name, got in figures.items():
        kind = name.partition(",")[0]
        if kind in GOALS["least"] and got < GOALS["least"][kind]:
            found.append(f"{name}: {got:,.1f}, and at least {GOALS['least'][kind]:,} is wanted")
        if kind in GOALS["most"] and got > GOALS["most"][kind]:
            found.append(f"{name}: {got:,.1f}, and at most {GOALS['most'][kind]:,} is wanted")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domains", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", type=int, default=min(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve))
        return
    os.sched_setaffinity(0, {given.cpu})
    figures = bench(given.domains, given.rounds)
    if given.json:
        print(json.dumps(figures))
    if wrong := missed(figures):
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
