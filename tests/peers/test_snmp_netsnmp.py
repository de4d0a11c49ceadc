"""net-snmp's tools and pysnmp as managers of our agent."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.model.domain import DomainState
from tests import wire
from tests.agents import DOMAIN_ENTRY
from tests.programs import program
from tests.threaded import Threaded
from tests.wire import Answer, getbulk, getnext

MIBS = Path(__file__).resolve().parents[2] / "mibs"
TOOLS = ("snmpget", "snmpwalk", "snmpbulkwalk", "snmptable", "snmpset", "snmpbulkget")


@pytest.fixture(autouse=True)
def tools() -> None:
    for name in TOOLS:
        program(name, "snmp")


def asked(port: int, datagram: bytes) -> Answer:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(("127.0.0.1", port))
        sock.send(datagram)
        return wire.answered(sock.recv(65535))


@pytest.fixture(scope="module")
def ours() -> Iterator[Threaded]:
    running = Threaded("fake:///?domains=5")
    yield running
    running.stop()


@pytest.fixture
def tool(ours: Threaded, tmp_path: Path) -> Any:
    """Runs one of net-snmp's tools on our agent, with names from our modules only; gives its output."""

    def run(name: str, *arguments: str, community: str = "public", fails: bool = False) -> str:
        done = subprocess.run(
            [name, "-v2c", "-c", community, "-t", "5", "-r", "0", "-M", f"{MIBS}:{MIBS / 'standard'}", "-m", "ALL",
             *arguments],
            capture_output=True, text=True, timeout=60, env={**os.environ, "SNMPCONFPATH": str(tmp_path),
            "SNMP_PERSISTENT_DIR": str(tmp_path)}, check=False,
        )  # fmt: skip
        assert "Cannot find module" not in done.stderr, done.stderr
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    def placed(name: str, *arguments: str, **more: Any) -> str:
        """The address goes before the first argument that is no option, or in the place of an @."""
        if "@" in arguments:
            return run(name, *(f"127.0.0.1:{ours.port}" if a == "@" else a for a in arguments), **more)
        split = next((i for i, a in enumerate(arguments) if not a.startswith("-")), len(arguments))
        return run(name, *arguments[:split], f"127.0.0.1:{ours.port}", *arguments[split:], **more)

    return placed


# --- net-snmp's tools


def test_snmpwalk_by_name(tool: Any) -> None:
    lines = tool("snmpwalk", "virtmapDomainName").splitlines()
    assert lines == [f"VIRTMAP-DOMAIN-MIB::virtmapDomainName.{i} = STRING: guest{i}" for i in range(1, 6)]


def test_snmpbulkwalk_of_everything_is_in_order_and_resolves(tool: Any, ours: Threaded) -> None:
    every = tool("snmpbulkwalk", "-Cr50", "-On", ".1").splitlines()
    one_by_one = tool("snmpwalk", "-On", "-CI", ".1").splitlines()
    named = [line.partition(" = ")[0] for line in every]
    assert "No more variables left" in every[-1]
    assert named[:-1] == [line.partition(" = ")[0] for line in one_by_one if "No more variables left" not in line]
    assert len(named) > 500
    names = tool("snmpbulkwalk", "-Cr50", ".1.3.6.1.4.1.36957").splitlines()
    odd = [n for n in names if not n.startswith("VIRTMAP-")]
    assert odd == []
    assert f"VIRTMAP-DOMAIN-MIB::virtmapDomainUuid.1 = STRING: {ours.world.domain('guest1').uuid}" in names


def test_snmpwalk_shows_enumerations_units_and_dates(tool: Any) -> None:
    assert tool("snmpget", "virtmapDomainState.1").strip().endswith("INTEGER: running(2)")
    assert tool("snmpget", "virtmapDomainMemory.1").strip().endswith(" KiB")
    assert tool("snmpget", "virtmapDomainRefreshed.1").strip().endswith(",+0:0")


def test_snmptable(tool: Any) -> None:
    out = tool("snmptable", "-CB", "-Ci", "-Cf", ";", "@", "virtmapNicTable").splitlines()
    header, *rows = [line for line in out if ";" in line]
    assert "virtmapNicMac" in header
    assert [row.split(";")[0] for row in rows] == [f"{i}.1" for i in range(1, 6)]


def test_snmptable_of_the_modules_of_the_agent(tool: Any) -> None:
    out = tool("snmptable", "-Cf", ";", "@", "sysORTable")
    assert "SNMPv2-MIB::snmpMIB" in out
    assert "VIRTMAP-DOMAIN-MIB::virtmapDomainMIB" in out


def test_snmpset_suspends_and_resumes(tool: Any, ours: Threaded) -> None:
    for action, state in (("suspend", DomainState.PAUSED), ("resume", DomainState.RUNNING)):
        out = tool("snmpset", "virtmapDomainAction.2", "=", action, community="secret")
        assert f"{action}(" in out
        assert ours.world.domain("guest2").state is state
    assert tool("snmpget", "virtmapDomainAction.2").strip().endswith("INTEGER: none(0)")


def test_snmpset_of_several_at_once(tool: Any, ours: Threaded) -> None:
    tool(
        "snmpset",
        "virtmapDomainMemorySet.3",
        "u",
        "500000",
        "virtmapDomainAutostart.3",
        "=",
        "true",
        community="secret",
    )
    assert (ours.world.domain("guest3").memory, ours.world.domain("guest3").autostart) == (500_000, True)


@pytest.mark.parametrize(
    ("arguments", "community", "reason"),
    [
        (("virtmapDomainAction.2", "=", "suspend"), "public", "noAccess"),
        (("virtmapDomainAction.2", "=", "start"), "secret", "inconsistentValue"),
        (("-Ir", "virtmapDomainVcpus.2", "i", "2"), "secret", "wrongType"),
        (("virtmapDomainVcpus.99", "u", "2"), "secret", "noCreation"),
        (("virtmapDomainVcpus.2", "u", "0"), "secret", "wrongValue"),
        (("virtmapDomainVcpus.2", "u", "4000"), "secret", "commitFailed"),
        (("-Ir", ".1.3.6.1.2.1.1.2.0", "o", ".1.3"), "secret", "notWritable"),
    ],
)  # fmt: skip
def test_snmpset_is_refused_for_the_right_reason(
    tool: Any, arguments: tuple[str, ...], community: str, reason: str
) -> None:
    out = tool("snmpset", *arguments, community=community, fails=True)
    assert reason in out


def test_a_wrong_community_gets_no_answer(ours: Threaded, tmp_path: Path) -> None:
    done = subprocess.run(
        ["snmpget", "-v2c", "-c", "guess", "-t", "0.3", "-r", "0", f"127.0.0.1:{ours.port}", ".1.3.6.1.2.1.1.1.0"],
        capture_output=True, text=True, timeout=20, check=False, env={**os.environ, "SNMPCONFPATH": str(tmp_path)},
    )  # fmt: skip
    assert "Timeout" in done.stderr


def test_the_largest_answer_comes_through(ours: Threaded) -> None:
    answer = asked(ours.port, getbulk(0, 2**31 - 1, (1, 3)))
    assert answer.status == 0
    assert len(answer.variables) > 500


def test_two_managers_at_once_get_their_own_answers(ours: Threaded) -> None:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(8)]
        for i, sock in enumerate(socks):
            sock.settimeout(10)
            for j in range(20):
                sock.sendto(getnext((1, 3), request=i * 100 + j), ("127.0.0.1", ours.port))
        for i, sock in enumerate(socks):
            got = [wire.answered(sock.recv(65535)).request for _ in range(20)]
            assert got == [i * 100 + j for j in range(20)]


# --- pysnmp


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # pysnmp uses an old name of pysmi's
def test_pysnmp_gets_bulks_and_sets(ours: Threaded) -> None:
    from pysnmp.hlapi.v3arch.asyncio import (
        CommunityData,
        ContextData,
        Gauge32,
        Integer32,
        ObjectIdentity,
        ObjectType,
        SnmpEngine,
        UdpTransportTarget,
        bulk_cmd,
        get_cmd,
        set_cmd,
    )

    name = ".".join(map(str, (*DOMAIN_ENTRY, 4)))
    vcpus = ".".join(map(str, (*DOMAIN_ENTRY, 19, 4)))

    async def talk() -> None:
        engine = SnmpEngine()
        target = await UdpTransportTarget.create(("127.0.0.1", ours.port), timeout=5, retries=0)
        reader, writer, context = CommunityData("public"), CommunityData("secret"), ContextData()

        def one(dotted: str, *value: Any) -> Any:
            return ObjectType(ObjectIdentity(dotted), *value)

        try:
            failed, status, _, got = await get_cmd(
                engine, reader, target, context, one(f"{name}.4"), one(f"{name}.99"), lookupMib=False
            )
            assert (failed, int(status)) == (None, 0)
            assert bytes(got[0][1]) == b"guest4"
            assert type(got[1][1]).__name__ == "NoSuchInstance"
            failed, status, _, got = await bulk_cmd(engine, reader, target, context, 0, 20, one(name), lookupMib=False)
            assert (failed, int(status), len(got)) == (None, 0, 20)
            assert [bytes(v) for _, v in got[:5]] == [f"guest{i}".encode() for i in range(1, 6)]
            failed, status, index, _ = await set_cmd(
                engine, writer, target, context, one(vcpus, Gauge32(3)), lookupMib=False
            )
            assert (failed, int(status), int(index)) == (None, 0, 0)
            failed, status, index, _ = await set_cmd(
                engine, writer, target, context, one(f"{name}.4", Integer32(1)), lookupMib=False
            )
            assert (failed, str(status.prettyPrint()), int(index)) == (None, "notWritable", 1)
        finally:
            engine.close_dispatcher()

    asyncio.run(talk())
    assert ours.world.domain("guest4").vcpus == 3
