"""net-snmp's tools as SNMPv3 managers of the whole agent: every authentication and privacy protocol, and every refusal."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.schema.declare import Access
from agent.snmp.message3 import Level
from agent.snmp.security import Account
from agent.snmp.usm import Stat
from tests import wire3
from tests.agents import ENGINE_ID
from tests.peers.same_security import WHOLE_VIEW, user
from tests.programs import program
from tests.threaded import Threaded

SYS_CONTACT, SYS_NAME, BOOTS = ".1.3.6.1.2.1.1.4.0", ".1.3.6.1.2.1.1.5.0", ".1.3.6.1.6.3.10.2.1.2.0"
SYSTEM = ".1.3.6.1.2.1.1"


def _user(auth: str | None = None, priv: str | None = None) -> wire3.User:
    name = "-".join(filter(None, (auth, priv))) or "nobody"
    return wire3.User(name=name.encode(), auth=auth, priv=priv)


EVERY = {
    u.name.decode(): u
    for u in (
        _user(), *(_user(a) for a in wire3.HASHES), *(_user(a, p) for a, p in itertools.product(wire3.HASHES, wire3.CIPHERS))
    )
}  # fmt: skip
ONE = EVERY["SHA-512-AES-256"]


@pytest.fixture(scope="module")
def agent() -> Iterator[Threaded]:
    for name in ("snmpget", "snmpbulkwalk", "snmpset"):
        program(name, "snmp")
    accounts = [
        Account(user=user(u), role=Access.ADMINISTER, least=Level(u.level), view="whole") for u in EVERY.values()
    ]
    running = Threaded("fake:///?domains=3", security={"accounts": accounts, "views": [WHOLE_VIEW]})
    yield running
    running.stop()


def credentials(of: wire3.User, words: str | None = None, secret: str | None = None) -> list[str]:
    level = {wire3.NO_AUTH: "noAuthNoPriv", wire3.AUTH: "authNoPriv", wire3.PRIV: "authPriv"}[of.level]
    given = ["-u", of.name.decode(), "-l", level]
    if of.auth:
        given += ["-a", of.auth, "-A", words or of.words]
    if of.priv:
        given += ["-x", of.priv, "-X", secret or of.secret]
    return given


class Tool:
    """Runs net-snmp's tools on the agent, with nothing kept from one to the next."""

    def __init__(self, agent: Threaded, folder: Path) -> None:
        self._agent, self._folder = agent, folder

    def run(self, name: str, *arguments: str, asked: tuple[str, ...] = (SYS_NAME,)) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [name, "-v3", "-t", "2", "-r", "0", "-m", "", "-On", *arguments, f"127.0.0.1:{self._agent.port}", *asked],
            capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "SNMPCONFPATH": str(self._folder), "SNMP_PERSISTENT_DIR": str(self._folder)},
        )  # fmt: skip

    def lines(self, name: str, *arguments: str, asked: tuple[str, ...] = (SYS_NAME,)) -> list[str]:
        done = self.run(name, *arguments, asked=asked)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@pytest.fixture
def tool(agent: Threaded, tmp_path: Path) -> Tool:
    return Tool(agent, tmp_path)


def test_every_pair_is_there() -> None:
    assert len([u for u in EVERY.values() if u.priv]) == 36
    assert len(EVERY) == 43


@pytest.mark.parametrize("name", EVERY)
def test_snmpget_by_every_protocol(tool: Tool, name: str) -> None:
    one, other = tool.lines("snmpget", *credentials(EVERY[name]), asked=(BOOTS, SYS_NAME))
    assert one == f"{BOOTS} = INTEGER: 1"
    assert other.startswith(f"{SYS_NAME} = STRING: ")


@pytest.mark.parametrize("priv", wire3.CIPHERS)
def test_snmpbulkwalk_by_every_privacy_protocol(tool: Tool, priv: str) -> None:
    """Long answers, and a new one for each of many requests."""
    lines = tool.lines("snmpbulkwalk", *credentials(_user("SHA-256", priv)), "-Cr7", asked=(".1.3.6.1.4.1.36957.20.1",))
    assert len(lines) > 300
    assert any("guest3" in line for line in lines)


@pytest.mark.parametrize("auth", wire3.HASHES)
def test_snmpset_by_every_authentication_protocol(tool: Tool, auth: str) -> None:
    one = credentials(_user(auth, "AES"))
    words = f"who came by {auth}"
    assert tool.lines("snmpset", *one, asked=(SYS_CONTACT, "s", words)) == [f'{SYS_CONTACT} = STRING: "{words}"']
    assert tool.lines("snmpget", *one, asked=(SYS_CONTACT,)) == [f'{SYS_CONTACT} = STRING: "{words}"']


@pytest.mark.parametrize("name", ["nobody", "SHA-256"])
def test_nobody_writes_without_privacy(tool: Tool, name: str) -> None:
    done = tool.run("snmpset", *credentials(EVERY[name]), asked=(SYS_CONTACT, "s", "anybody"))
    assert done.returncode != 0
    assert "noAccess" in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (credentials(ONE, words="other words"), "Authentication failure (incorrect password, community or key)"),
        (credentials(ONE, secret="other words"), "Decryption error"),
        (credentials(wire3.User(name=b"ghost")), "Unknown user name"),
        (["-u", "nobody", "-l", "authNoPriv", "-a", "SHA", "-A", ONE.words], "Unsupported security level"),
        (["-u", "MD5-DES", "-l", "noAuthNoPriv"], "authorizationError"),
        ([*credentials(ONE), "-n", "nowhere"], "Bad context specified"),
    ],
    ids=["auth passphrase", "priv passphrase", "user", "level above", "level below", "context"],
)
def test_the_reasons_for_a_refusal_are_understood(tool: Tool, given: list[str], said: str) -> None:
    done = tool.run("snmpget", *given)
    assert done.returncode != 0
    assert said.casefold() in (done.stdout + done.stderr).casefold()


def test_a_context_is_a_hypervisor(tool: Tool) -> None:
    (line,) = tool.lines("snmpget", *credentials(ONE), "-n", "default")
    assert line.startswith(f"{SYS_NAME} = STRING: ")


def test_a_report_is_not_followed_to_another_engine(tool: Tool, agent: Threaded) -> None:
    """The tool is told our engine ID and keeps the one it was given, as it does with snmpd."""
    counters = agent.world.engine.usm.counters
    before = counters[Stat.UNKNOWN_ENGINE_IDS]
    done = tool.run("snmpget", "-e", "8000000001020304", *credentials(EVERY["nobody"]), "-t", "1")
    assert "Timeout" in done.stderr
    assert counters[Stat.UNKNOWN_ENGINE_IDS] == before + 1


@pytest.mark.parametrize("boots_and_time", ["7,0", "1,800", "0,0"])
def test_the_tool_finds_its_way_back_into_the_time_window(tool: Tool, agent: Threaded, boots_and_time: str) -> None:
    counters = agent.world.engine.usm.counters
    before = counters[Stat.NOT_IN_TIME_WINDOWS]
    (line,) = tool.lines("snmpget", *credentials(ONE), "-e", "0x" + ENGINE_ID.hex(), "-Z", boots_and_time)
    assert line.startswith(f"{SYS_NAME} = STRING: ")
    assert counters[Stat.NOT_IN_TIME_WINDOWS] == before + 1
