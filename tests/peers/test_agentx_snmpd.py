"""The agent as a subagent of Debian's snmpd: what a manager gets through it is what our own engine would have answered."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.inventory import Inventory
from agent.model import MODEL, Domain
from agent.model.domain import DomainState
from agent.operations import Operations
from agent.schema.declare import Access
from agent.snmp import ber
from agent.snmp.engine import MAX_MESSAGE, Engine
from agent.snmp.mib import ENTERPRISE
from agent.snmp.notice import Notice
from agent.snmp.security import Security
from agent.snmp.subagent import Subagent
from agent.state import State
from drivers.fake import Fake
from tests import wire
from tests.agents import COMMUNITIES, DOMAIN_ENTRY, ENGINE_ID, QUIET, World, looped, until, world
from tests.programs import program
from tests.wire import Answer, get, getbulk, getnext, oid

MIBS = Path(__file__).resolve().parents[2] / "mibs"
UPTIME = oid("1.3.6.1.2.1.1.3.0")
NAME, STATE, ACTION = ((*DOMAIN_ENTRY, column) for column in (4, 6, 3))
SECRET, LAB = b"secret", b"lab"
Variable = tuple[wire.Oid, int, bytes]

CONFIG = """
rocommunity public 127.0.0.1
rwcommunity secret 127.0.0.1
rwcommunity lab 127.0.0.1 -V all lab
view all included .1
com2sec -Cn lab lab 127.0.0.1 lab
sysservices 72
master agentx
agentXSocket {address}
trap2sink 127.0.0.1:{traps} public
"""


@pytest.fixture(autouse=True)
def programs() -> None:
    for name, package in (("snmpd", "snmpd"), ("snmptrapd", "snmptrapd"), ("snmpwalk", "snmp")):
        program(name, package)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass
class Master:
    """A private snmpd on loopback, with a socket for subagents, that can be killed and started again."""

    folder: Path
    port: int = field(default_factory=free_port)
    traps: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    address: str = ""

    def __post_init__(self) -> None:
        self.address = f"unix:{self.folder / 'master'}"

    @property
    def environment(self) -> dict[str, str]:
        folder = str(self.folder)
        return {**os.environ, "SNMP_PERSISTENT_DIR": folder, "SNMPCONFPATH": folder, "MIBS": ""}

    def start(self) -> None:
        config = self.folder / "snmpd.conf"
        config.write_text(CONFIG.format(address=self.address, traps=self.traps))
        self.process = subprocess.Popen(
            [program("snmpd", "snmpd"), "-f", "-Lf", str(self.folder / "log"), "-C", "-c", str(config),
             "-I", "system_mib,sysORTable,snmp_mib,vacm_conf", f"udp:127.0.0.1:{self.port}"],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and wait for that."""
        if self.process is not None:
            self.process.send_signal(how)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
            self.process = None

    def _asked(self, datagram: bytes, patience: float) -> Answer | None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(patience)
            sock.connect(("127.0.0.1", self.port))
            try:
                sock.send(datagram)
                return wire.answered(sock.recv(65535))
            except OSError:
                return None

    async def asked(self, datagram: bytes) -> Answer:
        answer = await asyncio.to_thread(self._asked, datagram, 20.0)
        assert answer is not None, "snmpd does not answer"
        wire.sound(answer)
        return answer

    async def up(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 15
        while not await asyncio.to_thread(self._asked, get(UPTIME), 0.1):
            assert self.process is not None
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert loop.time() < deadline, "snmpd does not come up"

    async def walk(self, root: wire.Oid, repetitions: int, community: bytes = b"public") -> list[Variable]:
        """All variables under an OID, by GETBULK, or by GETNEXT if there are no repetitions."""
        at = root
        found: list[Variable] = []
        while True:
            asking = (
                getbulk(0, repetitions, at, community=community) if repetitions else getnext(at, community=community)
            )
            answer = await self.asked(asking)
            assert answer.error == (0, 0)
            for one in answer.variables:
                if one[0][: len(root)] != root or one[1] == wire.END_OF_MIB_VIEW:
                    return found
                found.append(one)
            at = answer.names[-1]

    async def tool(self, name: str, *arguments: str, fails: bool = False) -> str:
        """The output of one of net-snmp's tools; @ stands for the address of snmpd."""
        command = [
            program(name, "snmp"),
            *("-v2c", "-t", "10", "-r", "0", "-M", f"{MIBS}:{MIBS / 'standard'}", "-m", "ALL"),
        ]
        command += [f"127.0.0.1:{self.port}" if a == "@" else a for a in arguments]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=60, env=self.environment, check=False
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout


@asynccontextmanager
async def master(started: bool = True) -> AsyncIterator[Master]:
    folder = Path(tempfile.mkdtemp(prefix="ax-"))
    made = Master(folder)
    try:
        if started:
            made.start()
            await made.up()
        yield made
    finally:
        made.end()
        shutil.rmtree(folder)


@asynccontextmanager
async def subagent(
    snmpd: Master, ours: World, role: Access = Access.OPERATE, *, engine: Engine | None = None, wait: bool = True
) -> AsyncIterator[Subagent]:
    """A subagent of a master; when done it is stopped in order."""
    made = Subagent(
        engine or ours.engine, ours.operations, snmpd.address, role, ping=0.3, first_retry=0.02, last_retry=0.1
    )
    made.start()
    try:
        if wait:
            await asyncio.wait_for(made.registered.wait(), 15)
        yield made
    finally:
        await made.stop()


def own(ours: World, root: wire.Oid = ENTERPRISE) -> list[Variable]:
    """What our own engine answers to a walk."""
    found: list[Variable] = []
    at = root
    while True:
        answer = wire.answered(ours.engine.receive(getbulk(0, 500, at), "127.0.0.1", 40000))
        for one in answer.variables:
            if one[0][: len(root)] != root or one[1] == wire.END_OF_MIB_VIEW:
                return found
            found.append(one)
        at = answer.names[-1]


# --- reading


@looped
async def test_walks_through_snmpd_give_what_our_engine_gives() -> None:
    async with world("fake:///?domains=7") as ours, master() as snmpd, subagent(snmpd, ours):
        expected = own(ours)
        assert len(expected) > 1000
        assert await snmpd.walk(ENTERPRISE, 50) == expected
        assert await snmpd.walk((*ENTERPRISE, 20, 1, 2), 0) == own(ours, (*ENTERPRISE, 20, 1, 2))


@looped
async def test_a_long_table() -> None:
    async with world("fake:///?domains=1200&details=0") as ours, master() as snmpd, subagent(snmpd, ours):
        for column in (NAME, STATE):
            assert await snmpd.walk(column, 50) == own(ours, column)
        assert len(await snmpd.walk(NAME, 50)) == 1200


@looped
async def test_getbulk_of_several_columns_and_non_repeaters() -> None:
    async with world("fake:///?domains=20") as ours, master() as snmpd, subagent(snmpd, ours):
        for asking in (
            getbulk(0, 10, NAME, STATE, (*DOMAIN_ENTRY, 8)),
            getbulk(1, 15, NAME, (*NAME, 3), (*STATE, 18)),
            getbulk(2, 0, NAME, STATE),
            getnext(NAME, (*NAME, 20), STATE, NAME),
        ):
            answer = await snmpd.asked(asking)
            assert answer.variables == wire.answered(ours.ask(asking)).variables


@looped
async def test_exceptions_are_the_right_ones() -> None:
    nowhere, beyond = (*ENTERPRISE, 19, 1), (*ENTERPRISE, 99)
    async with world() as ours, master() as snmpd, subagent(snmpd, ours):
        answer = await snmpd.asked(get((*NAME, 1), (*NAME, 99), nowhere, (*NAME, 1, 1), NAME))
        missing = [
            wire.OCTETS,
            wire.NO_SUCH_INSTANCE,
            wire.NO_SUCH_OBJECT,
            wire.NO_SUCH_INSTANCE,
            wire.NO_SUCH_INSTANCE,
        ]
        assert answer.tags == missing
        assert answer.names == [(*NAME, 1), (*NAME, 99), nowhere, (*NAME, 1, 1), NAME]
        behind = await snmpd.asked(getnext(beyond, (1, 3, 6, 1, 4, 1, 36956)))
        assert behind.names[1] == (own(ours)[0])[0]
        assert behind.tags[0] == wire.END_OF_MIB_VIEW or behind.names[0] > (*ENTERPRISE, 2**32 - 1)
        assert (await snmpd.asked(getnext((2, 0)))).tags == [wire.END_OF_MIB_VIEW]


@looped
async def test_nets_tools_by_name() -> None:
    async with world("fake:///?domains=5") as ours, master() as snmpd, subagent(snmpd, ours):
        bulk = await snmpd.tool("snmpbulkwalk", "-c", "public", "@", "virtmapDomainName")
        assert bulk.splitlines() == [
            f"VIRTMAP-DOMAIN-MIB::virtmapDomainName.{i} = STRING: guest{i}" for i in range(1, 6)
        ]
        assert await snmpd.tool("snmpwalk", "-c", "public", "@", "virtmapDomainName") == bulk
        assert "running(2)" in await snmpd.tool("snmpget", "-c", "public", "@", "virtmapDomainState.1")
        table = await snmpd.tool("snmptable", "-c", "public", "-Cf", ";", "@", "sysORTable")
        assert "virtmap" in table


@looped
async def test_only_our_own_subtrees_come_from_us() -> None:
    async with world() as ours, master() as snmpd:
        before = await snmpd.asked(get(oid("1.3.6.1.2.1.1.1.0")))
        async with subagent(snmpd, ours):
            assert (await snmpd.asked(get(oid("1.3.6.1.2.1.1.1.0")))).variables == before.variables
            assert (await snmpd.asked(get((*NAME, 1)))).tags == [wire.OCTETS]
        assert (await snmpd.asked(get((*NAME, 1)))).tags == [wire.NO_SUCH_OBJECT], "gone when we are"


@looped
async def test_two_hypervisors_are_two_contexts() -> None:
    async with world("fake:///?domains=3") as ours, master() as snmpd:
        state = State(":memory:")
        lab = Fake("lab", "fake:///?domains=5&seed=9")
        second = Inventory(lab, state, pace=QUIET)
        inventories = {"default": ours.inventory, "lab": second}
        operations = Operations(inventories, ours.trail)
        both = Engine(
            inventories, operations, Security(communities=COMMUNITIES, answer_limit=MAX_MESSAGE), engine_id=ENGINE_ID
        )
        second.start()
        try:
            await asyncio.wait_for(second.wait_refreshed(), 20)
            ours.operations, kept = operations, ours.operations
            async with subagent(snmpd, ours, engine=both):
                assert len(await snmpd.walk(NAME, 50)) == 3
                assert len(await snmpd.walk(NAME, 50, LAB)) == 5
                assert len(await snmpd.walk(NAME, 0, LAB)) == 5
                running = [n for n, _, v in await snmpd.walk(STATE, 50, LAB) if v == bytes((DomainState.RUNNING,))]
                action_of_one = (*ACTION, running[-1][-1])
                asking = wire.setting([(action_of_one, wire.number(action("Suspend")))], community=LAB)
                assert (await snmpd.asked(asking)).error == (0, 0)
                assert (len(lab.performed), len(ours.fake.performed)) == (1, 0)
            ours.operations = kept
        finally:
            lab.release()
            await operations.stop(limit=1.0)
            await second.stop()
            state.close()


@looped
async def test_a_new_snapshot_is_seen() -> None:
    async with world() as ours, master() as snmpd, subagent(snmpd, ours):
        assert (await snmpd.asked(get((*STATE, 1)))).numbers == [DomainState.RUNNING.value]
        answer = await snmpd.asked(wire.setting([((*ACTION, 1), wire.number(action("Suspend")))], community=SECRET))
        assert answer.error == (0, 0)
        assert (await snmpd.asked(get((*STATE, 1)))).numbers == [DomainState.PAUSED.value]
        assert await snmpd.walk(STATE, 50) == own(ours, STATE)


# --- writing


def action(name: str) -> int:
    return next(o.number for o in MODEL.operations_on(Domain) if o.__name__ == name)


@looped
async def test_snmpset_by_name() -> None:
    async with world() as ours, master() as snmpd, subagent(snmpd, ours):
        out = await snmpd.tool("snmpset", "-c", "secret", "@", "virtmapDomainAction.2", "=", "suspend")
        assert "suspend(" in out
        assert ours.domain("guest2").state is DomainState.PAUSED
        several = ("virtmapDomainMemorySet.3", "u", "500000", "virtmapDomainAutostart.3", "=", "true")
        await snmpd.tool("snmpset", "-c", "secret", "@", *several)
        assert (ours.domain("guest3").memory, ours.domain("guest3").autostart) == (500_000, True)


@looped
async def test_refusals_keep_their_reason_and_leave_a_record() -> None:
    cases = [
        ((*ACTION, 1), wire.number(action("Start")), 12), ((*ACTION, 1), wire.text("no"), 7),
        ((*ACTION, 1), wire.number(9999), 10), ((*NAME, 1), wire.text("other"), 17), ((*ENTERPRISE, 19), wire.number(1), 17),
    ]  # fmt: skip
    async with world() as ours, master() as snmpd, subagent(snmpd, ours):
        for name, value, status in cases:
            answer = await snmpd.asked(wire.setting([((*ACTION, 3), wire.number(0)), (name, value)], community=SECRET))
            assert answer.error == (status, 2), (name, value)
        await until(lambda: len(ours.trail.records) == len(cases), "a record of each refused SET")
        assert {r["principal"] for r in ours.trail.records} == {"agentx"}
        told = {(r["operation"], r["target"].partition(".")[0]) for r in ours.trail.records}
        assert {("Start", "virtmapDomainAction"), ("SET", "virtmapDomainName")} < told


@looped
async def test_an_observer_writes_nothing() -> None:
    async with world() as ours, master() as snmpd, subagent(snmpd, ours, Access.OBSERVE):
        answer = await snmpd.asked(wire.setting([((*ACTION, 1), wire.number(action("Suspend")))], community=SECRET))
        assert answer.error[0] == 6, "noAccess"
        assert ours.domain("guest1").state is DomainState.RUNNING


@looped
async def test_what_the_hypervisor_refuses_is_commit_failed_and_what_went_before_is_taken_back() -> None:
    memory, vcpus = (*DOMAIN_ENTRY, 1021, 1), (*DOMAIN_ENTRY, 19, 1)
    async with world() as ours, master() as snmpd, subagent(snmpd, ours):
        before = ours.domain("guest1").memory
        pairs = [(memory, wire.number(400_000, wire.UNSIGNED)), (vcpus, wire.number(4000, wire.UNSIGNED))]
        answer = await snmpd.asked(wire.setting(pairs, community=SECRET))
        assert answer.error[0] == 14, "commitFailed"
        await until(lambda: ours.domain("guest1").memory == before, "the memory of before")


# --- the life of a session


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_everything_is_registered_again_when_the_master_restarts(how: signal.Signals) -> None:
    @looped
    async def run() -> None:
        async with world() as ours, master() as snmpd, subagent(snmpd, ours) as agent:
            for _ in range(2):
                sessions = agent.sessions
                snmpd.end(how)
                await until(lambda: not agent.registered.is_set(), "the end of the session")
                snmpd.start()
                await snmpd.up()
                await asyncio.wait_for(agent.registered.wait(), 15)
                assert agent.sessions > sessions
                assert await snmpd.walk(NAME, 50) == own(ours, NAME)
            assert "duplicate registration" not in (snmpd.folder / "log").read_text()

    run()


@looped
async def test_the_master_may_come_later() -> None:
    async with world() as ours, master(started=False) as snmpd, subagent(snmpd, ours, wait=False) as agent:
        snmpd.start()
        await snmpd.up()
        await asyncio.wait_for(agent.registered.wait(), 15)
        assert len(await snmpd.walk(NAME, 50)) == 3


@looped
async def test_a_master_that_hangs_is_noticed() -> None:
    async with world() as ours, master() as snmpd, subagent(snmpd, ours) as agent:
        assert snmpd.process is not None
        snmpd.process.send_signal(signal.SIGSTOP)
        try:
            await until(lambda: not agent.registered.is_set(), "the end of the session")
        finally:
            snmpd.process.send_signal(signal.SIGCONT)
        await asyncio.wait_for(agent.registered.wait(), 15)
        assert await snmpd.walk(NAME, 50) == own(ours, NAME)


@looped
async def test_two_subagents_cannot_both_have_the_subtree() -> None:
    async with world() as ours, master() as snmpd, subagent(snmpd, ours) as first, subagent(snmpd, ours) as second:
        assert second.registered.is_set(), "refused, and still there"
        assert len(await snmpd.walk(NAME, 50)) == 3
        await first.stop()
        loop = asyncio.get_running_loop()
        walked: list[Variable] = []
        deadline = loop.time() + 10
        while not walked and loop.time() < deadline:
            walked = await snmpd.walk(NAME, 50)
        assert len(walked) == 3, "the second one asked again"


@looped
async def test_snmpd_over_tcp() -> None:
    async with world() as ours, master(started=False) as snmpd:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        snmpd.address = f"tcp:127.0.0.1:{port}"
        snmpd.start()
        await snmpd.up()
        async with subagent(snmpd, ours):
            assert await snmpd.walk(NAME, 50) == own(ours, NAME)


# --- notifications


@looped
async def test_notices_become_traps_of_the_master() -> None:
    trap, shown = (*ENTERPRISE, 20, 0, 1), (*NAME, 1)
    async with world() as ours, master() as snmpd, subagent(snmpd, ours) as agent:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind(("127.0.0.1", snmpd.traps))
            receiver.settimeout(10)
            for hypervisor in (None, "default"):
                notice = Notice(oid=trap, varbinds=[(shown, ber.element(ber.OCTETS, b"guest1"))], hypervisor=hypervisor)
                assert agent.notify(notice)
                octets = await asyncio.to_thread(receiver.recv, 65535)
                while ber.oid_contents(trap) not in octets:  # snmpd has its own coldStart to tell
                    octets = await asyncio.to_thread(receiver.recv, 65535)
                assert ber.encode_oid((1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)) + ber.encode_oid(trap) in octets
                assert ber.encode_oid(shown) + b"\x04\x06guest1" in octets


def trapd(snmpd: Master, config: Path, log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [program("snmptrapd", "snmptrapd"), "-f", "-On", "-Lf", str(log), "-C", "-c", str(config),
         "-p", str(snmpd.folder / "pid"), f"udp:127.0.0.1:{snmpd.traps}"],
        env=snmpd.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@looped
async def test_snmptrapd_understands_them() -> None:
    async with world() as ours, master() as snmpd:
        config = snmpd.folder / "snmptrapd.conf"
        config.write_text("disableAuthorization yes\ndoNotLogTraps no\n")
        log = snmpd.folder / "traps"
        receiver = trapd(snmpd, config, log)
        try:
            async with subagent(snmpd, ours) as agent:
                notice = Notice(oid=(*ENTERPRISE, 20, 0, 1), varbinds=[((*STATE, 1), ber.encode_integer(2))])

                def told() -> bool:
                    agent.notify(notice)  # until it listens
                    return log.exists() and ".1.3.6.1.4.1.36957.20.1.2.1.6.1 = INTEGER: 2" in log.read_text()

                await until(told, "the trap in the log of snmptrapd")
                assert ".1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.4.1.36957.20.0.1" in log.read_text()
        finally:
            receiver.terminate()
            receiver.wait(10)
