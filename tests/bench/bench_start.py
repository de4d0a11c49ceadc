"""How long from starting the agent to its first answer, by SNMP and by CIM, on libvirt's in-process `test:///default`.

    python -m tests.bench.bench_start [--starts 7] [--cpu 0]

The agent and the asker share one CPU. A first start, which has to compile our bytecode, comes before and is told by itself; the
bytecode is kept in a folder of the benchmark's, also where the environment says that none is to be written. Each start counts from
the making of the process until a GET of sysDescr is answered, and until CIM has enumerated the domains for an account with a
password, asked as soon as SNMP answers; the goal is for the first of them.
"""

from __future__ import annotations

import argparse
import base64
import os
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

import argon2

from tests.bench.bench_cim import ask, call
from tests.bench.bench_snmp import free_port as free_udp_port
from tests.bench.bench_snmp import pinned, running
from tests.running import free_port

GOAL = 1.5
"""Seconds."""
PASSWORD = "correct horse battery"
CREDENTIALS = base64.b64encode(f"bench:{PASSWORD}".encode())
SYS_DESCR = (1, 3, 6, 1, 2, 1, 1, 1, 0)

CONFIG = """
[[hypervisor]]
name = "bench"
uri = "test:///default"
[[snmp.community]]
name = "public"
[snmp]
listen = ["127.0.0.1:{snmp}"]
[cim]
listen = ["http://127.0.0.1:{cim}"]
[[account]]
name = "bench"
role = "observe"
password_hash = "{hash}"
[state]
directory = "{directory}"
"""


def first_answers(cpu: str, bytecode: str) -> tuple[float, float]:
    """Seconds until SNMP answers, and until CIM does. `bytecode` is a folder where Python keeps it."""
    snmp, cim, hashed = free_udp_port(), free_port(), argon2.PasswordHasher().hash(PASSWORD)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "virtmap.toml")
        config.write_text(CONFIG.format(snmp=snmp, cim=cim, directory=Path(folder, "state"), hash=hashed))
        began = time.monotonic()
        environment = ["env", "-u", "PYTHONDONTWRITEBYTECODE", f"PYTHONPYCACHEPREFIX={bytecode}"]
        command = pinned(*environment, sys.executable, "-m", "agent", "serve", "--config", str(config), cpu=cpu)
        with running(command, snmp, SYS_DESCR):
            by_snmp = time.monotonic() - began
            enumerated(cim, until=began + 60)
            return by_snmp, time.monotonic() - began


def enumerated(port: int, until: float) -> None:
    """Enumerate the domains as soon as the server takes a connection."""
    request = call("EnumerateInstances", ("ClassName", '<CLASSNAME NAME="Virtmap_Domain"/>'))
    request = request.replace(b"\r\n", b"\r\nAuthorization: Basic " + CREDENTIALS + b"\r\n", 1)
    while True:
        try:
            peer = socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
            continue
        with peer:
            if not ask(peer, request).instances:
                raise SystemExit("CIM tells no domain")
        return


def main(starts: int, cpu: str) -> bool:
    with tempfile.TemporaryDirectory() as bytecode:
        snmp, cim = first_answers(cpu, bytecode)
        print(f"the first start: SNMP after {snmp:.2f} s, CIM after {cim:.2f} s")
        by_snmp, by_cim = zip(*(first_answers(cpu, bytecode) for _ in range(starts)), strict=True)
    median: float = statistics.median(by_snmp)
    print(f"SNMP: median {median:.2f} s, longest {max(by_snmp):.2f} s; goal {GOAL:g} s")
    print(f"CIM:  median {statistics.median(by_cim):.2f} s, longest {max(by_cim):.2f} s")
    return median <= GOAL


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--cpu", default="0")
    given = parser.parse_args()
    os.sched_setaffinity(0, {int(given.cpu)})
    raise SystemExit(0 if main(given.starts, given.cpu) else 1)
