"""Against net-snmp's snmptrapd: traps and informs of all versions and of every pair of protocols, as it prints them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.model.domain import Suspend
from agent.schema.types import Secret
from agent.snmp.herald import Herald
from agent.snmp.message3 import Level
from agent.snmp.mib import Oid
from agent.snmp.notice import Notice
from agent.snmp.notifications import Notifier, Target
from agent.snmp.protection import AuthProtocol, PrivProtocol
from agent.snmp.usm import User
from tests.agents import ENGINE_ID, OPERATOR, looped, until, world
from tests.programs import SEARCH, program
from tests.running import free_port
from tests.servers import eventually

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # pysnmp uses old names of pysmi's

MIBS = Path(__file__).resolve().parents[2] / "mibs"
PUBLIC = Secret("public")
AUTH = {a: a.label for a in AuthProtocol}
PRIV = {
    PrivProtocol.DES: "DES", PrivProtocol.AES128: "AES", PrivProtocol.AES192: "AES-192", PrivProtocol.AES256: "AES-256",
    PrivProtocol.AES192_REEDER: "AES-192-C", PrivProtocol.AES256_REEDER: "AES-256-C",
}  # fmt: skip
PAIRS = [(AuthProtocol.SHA1, None), *((a, PrivProtocol.AES128) for a in AuthProtocol)]
PAIRS += [(AuthProtocol.SHA256, p) for p in PrivProtocol if p is not PrivProtocol.AES128]
PAIRS += [(AuthProtocol.MD5, PrivProtocol.AES256), (AuthProtocol.MD5, PrivProtocol.AES256_REEDER)]
STARTED: Oid = (1, 3, 6, 1, 4, 1, 36957, 20, 0, 3)
NAME: Oid = (1, 3, 6, 1, 4, 1, 36957, 20, 1, 2, 1, 4, 7)


def user(number: int, auth: AuthProtocol, priv: PrivProtocol | None) -> User:
    return User(
        name=f"user{number}", auth=auth, auth_passphrase=Secret(f"authentic {number}"),
        priv=priv, priv_passphrase=Secret(f"private {number}") if priv else None,
    )  # fmt: skip


USERS = [user(i, auth, priv) for i, (auth, priv) in enumerate(PAIRS)]


@dataclass
class Identity:
    """The engine of an agent, as far as notifications are concerned."""

    engine_id: bytes = ENGINE_ID
    boots: int = 3
    seconds: int = 1000

    def time(self) -> int:
        return self.seconds

    def uptime(self) -> int:
        return 100 * self.seconds


@dataclass
class Trapd:
    """A running snmptrapd."""

    port: int
    log: Path

    def lines(self) -> list[str]:
        """What it printed of notifications, one line each."""
        return [line for line in self.log.read_text().splitlines() if line.startswith("HEARD ")]


def created(engine_id: bytes) -> Iterator[str]:
    """Users for traps, at our engine ID, and for informs, at its own."""
    for one in USERS:
        assert one.auth is not None
        assert one.auth_passphrase is not None
        told = f'{one.name} {AUTH[one.auth]} "{one.auth_passphrase.reveal()}"'
        if one.priv is not None and one.priv_passphrase is not None:
            told += f' {PRIV[one.priv]} "{one.priv_passphrase.reveal()}"'
        yield f"createUser -e 0x{engine_id.hex()} {told}"
        yield f"createUser {told}"
        yield f"authUser log {one.name} {'authPriv' if one.priv else 'authNoPriv'}"
    yield f"createUser -e 0x{engine_id.hex()} open"
    yield "createUser open"
    yield "authUser log open noauth"


@contextmanager
def trapd(port: int | None = None, *, style: str = "n", between: str = "|", end: str = r"\n") -> Iterator[Trapd]:
    """An snmptrapd that prints: version or community, enterprise, generic and specific of v1, context, and variables, in a style
    of net-snmp's (-O), with `between` between any two of them and `end` behind the last.
    """
    command = program("snmptrapd", "snmptrapd")
    with tempfile.TemporaryDirectory(prefix="trapd-") as made:
        folder = Path(made)
        config, log = folder / "snmptrapd.conf", folder / "log"
        lines = [
            "authCommunity log public", *created(ENGINE_ID),
            rf"format1 HEARD v1 %N %w %q agent=%a %P %V{between}%v{end}", rf"format2 HEARD v2 %P %V{between}%v{end}",
        ]  # fmt: skip
        config.write_text("\n".join(lines) + "\n")
        log.touch()
        chosen = port or free_port(socket.SOCK_DGRAM)
        env = {
            "PATH": SEARCH, "SNMP_PERSISTENT_DIR": str(folder / "state"), "SNMPCONFPATH": str(folder),
            "MIBDIRS": f"{MIBS}:{MIBS / 'standard'}", "MIBS": "ALL", "LC_ALL": "C",
        }  # fmt: skip
        process = subprocess.Popen(
            [command, "-f", "-n", "-Lf", str(log), "-C", "-c", str(config), "-O", style, f"udp:127.0.0.1:{chosen}"],
            env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            eventually(lambda: process.poll() is None and _bound(chosen), what="snmptrapd", within=20)
            yield Trapd(chosen, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def _bound(port: int) -> bool:
    """Whether anybody has this UDP port of 127.0.0.1."""
    wanted = f"0100007F:{port:04X}"
    return any(wanted in line for line in Path("/proc/net/udp").read_text().splitlines())


@pytest.fixture(scope="module")
def receiver() -> Iterator[Trapd]:
    with trapd() as one:
        yield one


@asynccontextmanager
async def notifying(*targets: Target, **more: Any) -> AsyncIterator[Notifier]:
    notifier = Notifier(Identity(), targets, **more)
    try:
        yield notifier
    finally:
        await notifier.stop(1.0)


def started(text: str, hypervisor: str | None = None) -> Notice:
    """A notice that can be told from every other one."""
    value = text.encode()
    return Notice(oid=STARTED, varbinds=((NAME, bytes((4, len(value))) + value),), hypervisor=hypervisor)


async def heard(receiver: Trapd, text: str, times: int = 1) -> list[str]:
    """The lines of snmptrapd that hold this text, once there are so many."""
    return await until(
        lambda: found if len(found := [line for line in receiver.lines() if text in line]) >= times else [], text
    )


@looped
async def test_v1_and_v2c_traps_say_the_same(receiver: Trapd) -> None:
    async with notifying(
        Target(name="a", host="127.0.0.1", port=receiver.port, version="1", community=PUBLIC),
        Target(name="b", host="127.0.0.1", port=receiver.port, version="2c", community=PUBLIC),
        default="here",
    ) as notifier:  # fmt: skip
        notifier.notify(started("both versions"))
        first, second = sorted(await heard(receiver, "both versions", 2))
        assert first.startswith("HEARD v1 .1.3.6.1.4.1.36957.20 6 .3 agent=127.0.0.1 TRAP, SNMP v1, community public")
        assert second.startswith("HEARD v2 TRAP2, SNMP v2c, community public")
        assert ".1.3.6.1.2.1.1.3.0 = Timeticks: (100000) 0:16:40.00" in second
        assert ".1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.4.1.36957.20.0.3" in second
        for line in (first, second):
            assert line.endswith(".1.3.6.1.4.1.36957.20.1.2.1.4.7 = STRING: both versions")


@looped
async def test_generic_traps_bring_the_enterprise(receiver: Trapd) -> None:
    async with notifying(
        Target(name="a", host="127.0.0.1", port=receiver.port, version="1", community=PUBLIC),
        Target(name="b", host="127.0.0.1", port=receiver.port, version="2c", community=PUBLIC),
    ) as notifier:  # fmt: skip
        notifier.start()
        notifier.start(warm=True)
        notifier.authentication_failure()
        for generic, arc in ((0, 1), (1, 2), (4, 5)):
            await heard(receiver, f"HEARD v1 .1.3.6.1.4.1.36957.20.5.1 {generic} 0 agent=127.0.0.1")
            (line,) = (await heard(receiver, f".1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.6.3.1.1.5.{arc}"))[-1:]
            assert line.endswith(".1.3.6.1.6.3.1.1.4.3.0 = OID: .1.3.6.1.4.1.36957.20.5.1")


@pytest.mark.parametrize("inform", [False, True], ids=["trap", "inform"])
@pytest.mark.parametrize("one", USERS, ids=lambda u: f"{u.auth.label}/{u.priv.label if u.priv else 'none'}")
@looped
async def test_every_protection_is_understood(receiver: Trapd, one: User, inform: bool) -> None:
    text = f"{one.name} {'informs' if inform else 'traps'}"
    target = Target(name="c", host="127.0.0.1", port=receiver.port, user=one, inform=inform)
    async with notifying(target, default="here") as notifier:
        notifier.notify(started(text, "there"))
        (line,) = await heard(receiver, text)
        kind = "INFORM" if inform else "TRAP2"
        assert line.startswith(f"HEARD v2 {kind}, SNMP v3, user {one.name}, context there")
        if inform:
            await until(lambda: notifier.counters("c").acknowledged == 1)


@looped
async def test_informs_of_v2c_and_of_a_user_without_keys_are_acknowledged(receiver: Trapd) -> None:
    informed = {"host": "127.0.0.1", "port": receiver.port, "inform": True}
    async with notifying(
        Target(name="a", version="2c", community=PUBLIC, **informed),  # type: ignore[arg-type]
        Target(name="b", user=User(name="open"), **informed),  # type: ignore[arg-type]
        Target(name="c", user=USERS[1], level=Level.AUTH_PRIV, **informed),  # type: ignore[arg-type]
    ) as notifier:  # fmt: skip
        for i in range(20):
            notifier.notify(started(f"number {i:02}."))
        await until(lambda: all(notifier.counters(n).acknowledged == 20 for n in "abc"))
        assert sum("number" in line for line in receiver.lines()) == 60


@looped
async def test_a_wrong_passphrase_is_refused_and_said(receiver: Trapd, caplog: pytest.LogCaptureFixture) -> None:
    wrong = User(name="user1", auth=USERS[1].auth, auth_passphrase=Secret("not authentic"))
    target = Target(name="c", host="127.0.0.1", port=receiver.port, user=wrong, inform=True, timeout=0.3, retries=1)
    async with notifying(target) as notifier:
        notifier.notify(started("wrong passphrase"))
        counters = notifier.counters("c")
        await until(lambda: counters.refused + counters.unanswered == 1)
        assert not [line for line in receiver.lines() if "wrong passphrase" in line]
        await until(lambda: "informs are not acknowledged" in caplog.text)
        assert "not authentic" not in caplog.text


@looped
async def test_a_receiver_that_was_restarted_is_discovered_again() -> None:
    with contextlib.ExitStack() as first:
        one = first.enter_context(trapd())
        target = Target(name="c", host="127.0.0.1", port=one.port, user=USERS[1], inform=True, timeout=0.5, retries=1)
        async with notifying(target) as notifier:
            counters = notifier.counters("c")
            notifier.notify(started("before"))
            await until(lambda: counters.acknowledged == 1)
            await asyncio.to_thread(first.close)
            notifier.notify(started("into the void"))
            await until(lambda: counters.unanswered == 1)
            second = trapd(one.port)
            again = await asyncio.to_thread(second.__enter__)
            try:
                notifier.notify(started("after"))
                await until(lambda: counters.acknowledged == 2)
                assert len(await heard(again, "after")) == 1
                assert (counters.sent, counters.unanswered) == (3, 1)
            finally:
                await asyncio.to_thread(second.__exit__, None, None, None)


@looped
async def test_what_happens_to_a_domain_arrives_with_the_state_after_it(receiver: Trapd) -> None:
    async with world(boots=4) as w:  # snmptrapd knows the engine ID from other tests, at boots 3
        target = Target(name="c", host="127.0.0.1", port=receiver.port, user=USERS[1])
        notifier = Notifier(w.engine, [target], default="default")
        Herald(w.events, w.engine.mib, notifier.notify, wanted=lambda: notifier.listening)
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest2"))
        (line,) = await heard(receiver, "guest2")
        arc = w.arc("guest2")
        assert f".1.3.6.1.4.1.36957.20.1.2.1.2.{arc} = STRING: {w.domain('guest2').uuid}|" in line
        assert f".1.3.6.1.4.1.36957.20.1.2.1.6.{arc} = INTEGER: paused(4)|" in line
        assert f".1.3.6.1.4.1.36957.20.6.1000.2.{arc} = INTEGER: running(2)|" in line
        assert f".1.3.6.1.4.1.36957.20.6.1199.101.{arc} = Counter64: 1|" in line
        assert "domain guest2: suspended: detail suspendedPaused, previous state running" in line.split("|")[-1]
        assert ".1.3.6.1.6.3.1.1.4.1.0 = OID: .1.3.6.1.4.1.36957.20.0.4" in line
        w.events.stop()
        await notifier.stop()


def test_the_files_of_the_receiver_are_its_own() -> None:
    with trapd() as one:
        folder = one.log.parent
        assert (folder / "state").is_dir()
    assert not os.path.exists(folder)
