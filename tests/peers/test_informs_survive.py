"""Informs that nobody acknowledged outlive a kill -9 of the agent: the next one sends them, in order, each once."""

from __future__ import annotations

import re
import signal
import socket
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.peers.test_snmptrapd import Trapd, trapd
from tests.programs import program
from tests.running import Agent, environment, free_port, running
from tests.servers import eventually

MIBS = Path(__file__).resolve().parents[2] / "mibs"

OURS = r"\.1\.3\.6\.1\.4\.1\.36957\.20"

CONFIG = """\
[[hypervisor]]
name = "local"
uri = "fake:///?domains=3"

[state]
directory = "{directory}"

[snmp]
listen = ["127.0.0.1:{port}"]

[[snmp.community]]
name = "operative"
role = "operate"
sources = ["127.0.0.1"]

[[snmp.user]]
name = "open"
level = "noAuthNoPriv"

[[snmp.target]]
name = "first"
address = "127.0.0.1:{first}"
version = "2c"
community = "public"
inform = true
timeout = 0.3
retries = 0
kinds = ["domain"]
include = ["1.3.6.1.4.1.36957.20", "1.3.6.1.6.3"]

[[snmp.target]]
name = "second"
address = "127.0.0.1:{second}"
version = "3"
user = "open"
inform = true
timeout = 0.3
retries = 0
kinds = ["domain"]
include = ["1.3.6.1.4.1.36957.20", "1.3.6.1.6.3"]
domains = ["guest[12]"]
"""


def waiting(directory: Path, target: str) -> int:
    """How many informs wait on the disk for a target, as another process sees it."""
    with sqlite3.connect(f"file:{directory / 'state.sqlite'}?mode=ro", uri=True) as db:
        query = "select count(*) from undelivered where queue = ?"
        return int(db.execute(query, (f"inform:{target}",)).fetchone()[0])


def on_disk(directory: Path, first: int, second: int) -> None:
    """When so many wait for each target."""
    wanted = (first, second)
    eventually(
        lambda: (waiting(directory, "first"), waiting(directory, "second")) == wanted,
        within=20,
        what=f"{wanted} waiting",
    )


def numbers(receiver: Trapd) -> list[str]:
    """What a receiver heard of domains of the mapping: snmpTrapOID and the arc of the domain."""
    found = []
    for line in receiver.lines():
        if told := re.search(rf"OID: {OURS}\.0\.(\d+)\|{OURS}\.1\.2\.1\.\d+\.(\d+) ", line):
            found.append(".".join(told.groups()))
    return found


@pytest.fixture
def config(tmp_path: Path) -> tuple[Path, int, int, int]:
    ports = [free_port(socket.SOCK_DGRAM) for _ in range(3)]
    made = tmp_path / "virtmap.toml"
    made.write_text(CONFIG.format(directory=tmp_path / "state", port=ports[0], first=ports[1], second=ports[2]))
    return made, ports[0], ports[1], ports[2]


def done(place: Path, port: int, arc: int, action: str) -> None:
    """When the agent has read the domain and done this to it."""
    eventually(lambda: ask(place, port, arc, action), within=20, what=action)


def ask(place: Path, port: int, arc: int, action: str) -> bool:
    asked = subprocess.run(
        [program("snmpset", "snmp"), "-v2c", "-c", "operative", "-M", f"{MIBS}:{MIBS / 'standard'}", "-m", "ALL",
         f"127.0.0.1:{port}", f"virtmapDomainAction.{arc}", "=", action],
        capture_output=True, timeout=60, env={**environment(), "SNMPCONFPATH": str(place), "SNMP_PERSISTENT_DIR": str(place)},
        check=False,
    )  # fmt: skip
    return asked.returncode == 0


def kill(agent: Agent) -> None:
    agent.process.send_signal(signal.SIGKILL)
    agent.process.wait(10)


def test_what_nobody_acknowledged_is_sent_by_the_next_agent_each_once(
    tmp_path: Path, config: tuple[Path, int, int, int]
) -> None:
    path, port, first, second = config
    state = tmp_path / "state"
    steps = [(arc, action) for action in ("suspend", "resume", "suspend") for arc in (1, 2, 3)]
    with running("serve", "--config", str(path), ends=-signal.SIGKILL) as agent:
        for arc, action in steps[:6]:
            done(tmp_path, port, arc, action)
        on_disk(state, 1 + 6, 1 + 4)  # with coldStart, which is about no domain and so for everybody
        kill(agent)
    with running("serve", "--config", str(path), ends=-signal.SIGKILL) as agent:
        for arc, action in steps[6:]:
            done(tmp_path, port, arc, action)
        on_disk(state, 2 + 9, 2 + 6)
        kill(agent)
    with trapd(first) as one, trapd(second) as two:
        with running("serve", "--config", str(path)):
            on_disk(state, 0, 0)
        assert numbers(one) == ["4.1", "4.2", "4.3", "5.1", "5.2", "5.3", "4.1", "4.2", "4.3"]
        assert [len(r.lines()) for r in (one, two)] == [3 + 9, 3 + 6], "each once"
        assert numbers(two) == [n for n in numbers(one) if n[-1] in "12"], "the filter holds"
        assert all("INFORM, SNMP v3, user open" in line for line in two.lines())
