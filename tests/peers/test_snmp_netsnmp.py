"""Against peers: net-snmp's tools and pysnmp as managers of our agent, and snmpd as the oracle for odd requests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.model import Domain
from agent.model.domain import DomainState
from agent.snmp.server import Server
from tests import wire
from tests.agents import DOMAIN_ENTRY, World, world
from tests.programs import program
from tests.servers import eventually
from tests.wire import Answer, get, getbulk, getnext, oid

MIBS = Path(__file__).resolve().parents[2] / "mibs"
TOOLS = ("snmpget", "snmpwalk", "snmpbulkwalk", "snmptable", "snmpset", "snmpbulkget")


@pytest.fixture(autouse=True)
def tools() -> None:
    for name in TOOLS:
        program(name, "snmp")


class Running(threading.Thread):
    """Our agent with its UDP server, in a thread of its own."""

    def __init__(self, uri: str) -> None:
        super().__init__(name="snmp agent")
        self._uri = uri
        self._up = threading.Event()
        self.port = 0
        self.world: World
        self.loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        self.start()
        assert self._up.wait(30), "the agent does not start"

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self.loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with world(self._uri) as self.world:
            server = Server(self.world.engine, self.world.operations)
            ((_, _, self.port),) = await server.start([("udp", "127.0.0.1", 0)])
            self._up.set()
            await self._end.wait()
            await server.stop()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self.join(30)
        assert not self.is_alive()

    def domain(self, name: str) -> Domain:
        return self.world.domain(name)


@pytest.fixture(scope="module")
def ours() -> Iterator[Running]:
    running = Running("fake:///?domains=5")
    yield running
    running.stop()


@pytest.fixture
def tool(ours: Running, tmp_path: Path) -> Any:
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


def test_snmpbulkwalk_of_everything_is_in_order_and_resolves(tool: Any, ours: Running) -> None:
    every = tool("snmpbulkwalk", "-Cr50", "-On", ".1").splitlines()
    one_by_one = tool("snmpwalk", "-On", "-CI", ".1").splitlines()
    named = [line.partition(" = ")[0] for line in every]
    assert "No more variables left" in every[-1]
    assert named[:-1] == [line.partition(" = ")[0] for line in one_by_one if "No more variables left" not in line]
    assert len(named) > 500
    names = tool("snmpbulkwalk", "-Cr50", ".1.3.6.1.4.1.36957").splitlines()
    odd = [n for n in names if not n.startswith("VIRTMAP-")]
    assert odd == []
    assert f"VIRTMAP-DOMAIN-MIB::virtmapDomainUuid.1 = STRING: {ours.domain('guest1').uuid}" in names


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


def test_snmpset_suspends_and_resumes(tool: Any, ours: Running) -> None:
    for action, state in (("suspend", DomainState.PAUSED), ("resume", DomainState.RUNNING)):
        out = tool("snmpset", "virtmapDomainAction.2", "=", action, community="secret")
        assert f"{action}(" in out
        assert ours.domain("guest2").state is state
    assert tool("snmpget", "virtmapDomainAction.2").strip().endswith("INTEGER: none(0)")


def test_snmpset_of_several_at_once(tool: Any, ours: Running) -> None:
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
    assert (ours.domain("guest3").memory, ours.domain("guest3").autostart) == (500_000, True)


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


def test_a_wrong_community_gets_no_answer(ours: Running, tmp_path: Path) -> None:
    done = subprocess.run(
        ["snmpget", "-v2c", "-c", "guess", "-t", "0.3", "-r", "0", f"127.0.0.1:{ours.port}", ".1.3.6.1.2.1.1.1.0"],
        capture_output=True, text=True, timeout=20, check=False, env={**os.environ, "SNMPCONFPATH": str(tmp_path)},
    )  # fmt: skip
    assert "Timeout" in done.stderr


def test_the_largest_answer_comes_through(ours: Running) -> None:
    answer = asked(ours.port, getbulk(0, 2**31 - 1, (1, 3)))
    assert answer.status == 0
    assert len(answer.variables) > 500


def test_two_managers_at_once_get_their_own_answers(ours: Running) -> None:
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
def test_pysnmp_gets_bulks_and_sets(ours: Running) -> None:
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
    assert ours.domain("guest4").vcpus == 3


# --- snmpd as the oracle


@dataclass(frozen=True)
class Oracle:
    """A private snmpd on loopback."""

    port: int


def asked(port: int, datagram: bytes) -> Answer:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(("127.0.0.1", port))
        sock.send(datagram)
        return wire.answered(sock.recv(65535))


def answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(get(oid("1.3.6.1.2.1.1.1.0")))
            return bool(sock.recv(65535))
        except OSError:
            return False


@pytest.fixture(scope="module")
def snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    place = tmp_path_factory.mktemp("snmpd")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    config = place / "snmpd.conf"
    config.write_text("rocommunity public 127.0.0.1\nrwcommunity secret 127.0.0.1\nsysservices 72\n")
    process = subprocess.Popen(
        [program("snmpd", "snmpd"), "-f", "-Lf", str(place / "log"), "-C", "-c", str(config),
         "-p", str(place / "pid"), "-I", "system_mib,sysORTable,snmp_mib,vacm_conf,usmConf", f"udp:127.0.0.1:{port}"],
        env={**os.environ, "SNMP_PERSISTENT_DIR": str(place), "SNMPCONFPATH": str(place), "MIBS": ""},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: process.poll() is None and answers(port), within=15, what="an answer of snmpd")
        yield Oracle(port)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


DESCR, OBJECT_ID, UP_TIME, CONTACT = (oid(f"1.3.6.1.2.1.1.{i}.0") for i in (1, 2, 3, 4))
OR_ID = oid("1.3.6.1.2.1.1.9.1.2")
UNKNOWN, PAST = oid("1.3.6.1.4.1.4711.1.0"), oid("1.3.6.1.6.3.9999")
SECRET = b"secret"

ODD: dict[str, bytes] = {
    "get": get(DESCR, OBJECT_ID),
    "get of the same twice": get(DESCR, DESCR),
    "get of nothing": get(),
    "getnext of nothing": getnext(),
    "getbulk of nothing": getbulk(0, 10),
    "getbulk of nothing with non-repeaters": getbulk(3, 10),
    "set of nothing": wire.setting([], community=SECRET),
    "get of an unknown object": get(UNKNOWN),
    "get of a known and an unknown object": get(DESCR, UNKNOWN, OBJECT_ID),
    "get of an unknown instance": get((*DESCR[:-1], 1)),
    "get below an instance": get((*DESCR, 0)),
    "get of a column's unknown row": get((*OR_ID, 4711)),
    "get of a column": get(OR_ID),
    "get of a scalar without its instance": get(DESCR[:-1]),
    "get of a table": get(OR_ID[:-2]),
    "get of an entry": get(OR_ID[:-1]),
    "get of what is not accessible": get((*OR_ID[:-1], 1, 1)),
    "get before everything": get((0, 0)),
    "get behind everything": get((2, 999)),
    "getnext of the root": getnext((0, 0)),
    "getnext of a scalar without its instance": getnext(DESCR[:-1]),
    "getnext below an instance": getnext((*DESCR, 0, 0)),
    "getnext behind everything": getnext((2, 999)),
    "getnext of some and behind everything": getnext(DESCR, (2, 999), OBJECT_ID),
    "getbulk with no repetitions": getbulk(0, 0, DESCR),
    "getbulk with negative repetitions": getbulk(0, -1, DESCR),
    "getbulk with negative non-repeaters": getbulk(-1, 2, DESCR),
    "getbulk with more non-repeaters than variables": getbulk(9, 5, DESCR, OBJECT_ID),
    "getbulk with non-repeaters and no repetitions": getbulk(1, 0, DESCR, OBJECT_ID),
    "getbulk with only non-repeaters": getbulk(2, 3, DESCR, OBJECT_ID),
    "getbulk of both kinds": getbulk(1, 2, DESCR, UP_TIME[:-1], OR_ID[:-2]),
    "getbulk behind everything": getbulk(0, 1, (2, 999)),
    "getbulk non-repeaters behind everything": getbulk(1, 0, (2, 999)),
    "set of a read-only object": wire.setting([(OBJECT_ID, wire.name((1, 3)))], community=SECRET),
    "set of a read-only object with the wrong type": wire.setting([(OBJECT_ID, wire.number(1))], community=SECRET),
    "set of an unknown object": wire.setting([(UNKNOWN, wire.number(1))], community=SECRET),
    "set of what is not accessible": wire.setting([((*OR_ID[:-1], 1, 1), wire.number(1))], community=SECRET),
    "set of a read-only column's unknown row": wire.setting([((*OR_ID, 4711), wire.name((1, 3)))], community=SECRET),
    "set by a reader of a read-only object": wire.setting([(OBJECT_ID, wire.name((1, 3)))]),
    "set by a reader of an unknown object": wire.setting([(UNKNOWN, wire.number(1))]),
    "set by a reader of nothing": wire.setting([]),
    "set of two read-only objects": wire.setting(
        [(OBJECT_ID, wire.name((1, 3))), (UP_TIME, wire.number(1, 0x43))], community=SECRET
    ),
}


def kind(answer: Answer) -> tuple[object, ...]:
    """What must be the same: the error, and for each variable which exception it is, if it is one."""
    exceptions = (wire.NO_SUCH_OBJECT, wire.NO_SUCH_INSTANCE, wire.END_OF_MIB_VIEW)
    return answer.error, [tag if tag in exceptions else "value" for tag in answer.tags]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_request_gets_the_same_kind_of_answer_from_snmpd(name: str, ours: Running, snmpd: Oracle) -> None:
    datagram = ODD[name]
    mine, its = asked(ours.port, datagram), asked(snmpd.port, datagram)
    assert kind(mine) == kind(its)
    assert mine.request == its.request
    if wire.END_OF_MIB_VIEW in its.tags or its.status:
        assert mine.names == its.names


def test_sets_of_writable_objects_fail_alike(ours: Running, snmpd: Oracle) -> None:
    """Each agent has its own writable objects; what is wrong with the SETs is the same."""
    mine, its = (*DOMAIN_ENTRY, 9, 1), CONTACT
    good = {ours.port: wire.number(1), snmpd.port: wire.text("nobody")}
    bad = {ours.port: wire.text("yes"), snmpd.port: wire.number(1)}
    for port, name in ((ours.port, mine), (snmpd.port, its)):
        for pairs, error in (
            ([(name, bad[port])], (7, 1)),
            ([(name, good[port]), (OBJECT_ID, wire.name((1, 3)))], (17, 2)),
            ([(OBJECT_ID, wire.name((1, 3))), (name, bad[port])], (17, 1)),
            ([((*name[:-1], 4711), good[port])], (11, 1)),
            ([(name, b"\x80\x00")], (7, 1)),
        ):
            answer = asked(port, wire.setting(pairs, community=SECRET))
            assert answer.error == error, (port == ours.port, pairs)
            assert answer.names == [n for n, _ in pairs]


def test_a_huge_getbulk_is_answered_by_both_with_what_there_is(ours: Running, snmpd: Oracle) -> None:
    datagram = getbulk(0, 2**31 - 1, DESCR[:-2])
    for port in (ours.port, snmpd.port):
        answer = asked(port, datagram)
        assert answer.error == (0, 0)
        assert len(answer.variables) > 20
        assert answer.names[: len(answer.names) - 1] == sorted(set(answer.names[:-1]))


def test_the_end_of_the_view_in_a_getbulk_as_snmpd_tells_it(ours: Running, snmpd: Oracle) -> None:
    for port in (ours.port, snmpd.port):
        at, last = (1, 3), (1, 3)
        while True:
            answer = asked(port, getbulk(0, 50, at))
            if wire.END_OF_MIB_VIEW in answer.tags:
                break
            at = answer.names[-1]
        real = [n for n, t in zip(answer.names, answer.tags, strict=True) if t != wire.END_OF_MIB_VIEW]
        last = real[-1] if real else at
        ended = [n for n, t in zip(answer.names, answer.tags, strict=True) if t == wire.END_OF_MIB_VIEW]
        assert set(ended) == {last}
