"""Indications that nobody took outlive a kill -9 of the agent: the next one delivers them, in order, each once."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
from pathlib import Path

import argon2
import pytest
import pywbem

from tests.agents import looped
from tests.cim.subscribed import pywbem_listener
from tests.running import Agent, free_port, running
from tests.servers import eventually

PASSWORD = "correct horse"

CONFIG = """\
[[hypervisor]]
name = "local"
uri = "fake:///?domains=3"

[state]
directory = "{directory}"

[cim]
listen = ["http://127.0.0.1:{port}"]
indication_destinations = ["http://127.0.0.0/8"]

[[account]]
name = "ops"
role = "operate"
password_hash = "{hash}"
"""

QUERY = "SELECT * FROM Virtmap_DomainLifecycle"


def connection(port: int) -> pywbem.WBEMConnection:
    return pywbem.WBEMConnection(
        f"http://127.0.0.1:{port}", ("ops", PASSWORD), default_namespace="root/virtmap", timeout=20
    )


def subscribe(server: pywbem.WBEMConnection, url: str) -> None:
    wanted = server.CreateInstance(
        pywbem.CIMInstance(
            "CIM_IndicationFilter",
            properties={"Name": "acme:life", "Query": QUERY, "QueryLanguage": "DMTF:CQL"},
        ),
        namespace="interop",
    )
    receiver = server.CreateInstance(
        pywbem.CIMInstance("CIM_ListenerDestinationCIMXML", properties={"Name": "acme:console", "Destination": url}),
        namespace="interop",
    )
    server.CreateInstance(
        pywbem.CIMInstance("CIM_IndicationSubscription", properties={"Filter": wanted, "Handler": receiver}),
        namespace="interop",
    )


def domains(server: pywbem.WBEMConnection) -> list[pywbem.CIMInstanceName]:
    """All three, when they were read."""
    return list(
        eventually(
            lambda: found if len(found := server.EnumerateInstanceNames("Virtmap_Domain")) == 3 else None,
            within=20,
            what="three domains",
        )
    )


def waiting(directory: Path) -> int:
    """How many indications wait on the disk, as another process sees it."""
    with sqlite3.connect(f"file:{directory / 'state.sqlite'}?mode=ro", uri=True) as db:
        return int(db.execute("select count(*) from undelivered").fetchone()[0])


def kill(agent: Agent) -> None:
    agent.process.send_signal(signal.SIGKILL)
    agent.process.wait(10)


@pytest.fixture
def config(tmp_path: Path) -> tuple[Path, int]:
    port = free_port(socket.SOCK_STREAM)
    made = tmp_path / "virtmap.toml"
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    made.write_text(CONFIG.format(directory=tmp_path / "state", port=port, hash=hashed))
    return made, port


@looped
async def survives(path: Path, port: int, state: Path) -> None:
    nobody = free_port(socket.SOCK_STREAM)
    with running("serve", "--config", str(path), ends=-signal.SIGKILL) as agent:
        server = connection(port)
        await asyncio.to_thread(subscribe, server, f"http://127.0.0.1:{nobody}")
        names = await asyncio.to_thread(domains, server)
        for name in names:
            await asyncio.to_thread(server.InvokeMethod, "Suspend", name)
        await asyncio.to_thread(eventually, lambda: waiting(state) == 3, within=20, what="three on the disk")
        kill(agent)
    with running("serve", "--config", str(path), ends=-signal.SIGKILL) as agent:
        server = connection(port)
        await asyncio.to_thread(domains, server)
        for name in names:
            await asyncio.to_thread(server.InvokeMethod, "Suspend", name)
        await asyncio.to_thread(eventually, lambda: waiting(state) == 6, within=20, what="six on the disk")
        kill(agent)
    with pywbem_listener(port=nobody) as heard, running("serve", "--config", str(path)):
        told = await heard.some(6)
        await asyncio.to_thread(eventually, lambda: waiting(state) == 0, within=20, what="nothing on the disk")
        assert heard.waiting == 0, "each once"
    assert [each.classname for each in told] == ["Virtmap_DomainSuspended"] * 6
    assert [each["Uuid"] for each in told] == [name["Name"] for name in names] * 2
    assert [each["SequenceNumber"] for each in told] == [0, 1, 2, 0, 1, 2], "a start begins a series of its own"
    assert len({each["SequenceContext"] for each in told}) == 2
    numbers = [each["Sequence"] for each in told]
    assert numbers == sorted(set(numbers)), "which go on across restarts"


def test_what_nobody_took_is_delivered_by_the_next_agent_each_once(tmp_path: Path, config: tuple[Path, int]) -> None:
    survives(*config, tmp_path / "state")
