"""The operation table by net-snmp's tools, as an operator types it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.model.domain import SetUserPassword
from agent.schema.declare import Access
from agent.schema.types import Secret
from agent.snmp import operation_table
from agent.snmp.operation_mib import MODULE
from agent.snmp.protection import AuthProtocol, PrivProtocol
from agent.snmp.security import Account, Community
from agent.snmp.usm import User
from tests.agents import LOOPBACK, standards
from tests.programs import program
from tests.servers import eventually
from tests.threaded import Threaded

MIBS = Path(__file__).resolve().parents[2] / "mibs"
AUTH, PRIV, PASSWORD = "authentic words", "private words", "correct horse"
AS_BOSS = ("-v3", "-u", "boss", "-l", "authPriv", "-a", "SHA-256", "-A", AUTH, "-x", "AES", "-X", PRIV)
AS_OPERATOR = ("-v2c", "-c", "secret")
AS_OBSERVER = ("-v2c", "-c", "public")

Tool = Callable[..., str]


@pytest.fixture(scope="module")
def ours() -> Iterator[Threaded]:
    boss = User(
        name="boss", auth=AuthProtocol.SHA256, auth_passphrase=Secret(AUTH), priv=PrivProtocol.AES128,
        priv_passphrase=Secret(PRIV),
    )  # fmt: skip
    running = Threaded(
        "fake:///?domains=3",
        serves=(*standards(), operation_table.serve),
        communities=[
            Community(name=b"public", label="observer", role=Access.OBSERVE, sources=LOOPBACK, hypervisor="default"),
            Community(name=b"secret", label="operator", role=Access.OPERATE, sources=LOOPBACK, hypervisor="default"),
        ],
        security={"accounts": [Account(user=boss, role=Access.ADMINISTER)]},
    )
    yield running
    running.stop()


@pytest.fixture
def tool(ours: Threaded, tmp_path: Path) -> Tool:
    """Runs one of the tools on our agent with our modules only; gives its output, or its complaint where it is to fail."""

    def run(name: str, who: tuple[str, ...], *arguments: str, fails: bool = False) -> str:
        program(name, "snmp")
        split = next((i for i, a in enumerate(arguments) if not a.startswith("-")), len(arguments))
        done = subprocess.run(
            [name, *who, "-t", "5", "-r", "0", "-M", f"{MIBS}:{MIBS / 'standard'}", "-m", "ALL", *arguments[:split],
             f"127.0.0.1:{ours.port}", *arguments[split:]],
            capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "SNMPCONFPATH": str(tmp_path), "SNMP_PERSISTENT_DIR": str(tmp_path)},
        )  # fmt: skip
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    return run


def ended(tool: Tool, row: str, who: tuple[str, ...] = AS_OPERATOR) -> str:
    """The state in which the operation of a row ended."""

    def state() -> str:
        said = tool("snmpget", who, "-Oqv", f"virtmapOperationState.{row}").strip()
        return "" if said in ("pending", "running") else said

    return eventually(state, what=f"the end of row {row}")


def test_the_definition_of_a_domain_is_read_with_four_commands(tool: Tool) -> None:
    row = tool("snmpget", AS_OPERATOR, "-Oqv", "virtmapOperationNext.0").strip()
    said = tool(
        "snmpset", AS_OPERATOR,
        f"virtmapOperationOperation.{row}", "=", "virtmapDomainOpReadXml",
        f"virtmapOperationTarget.{row}", "=", "virtmapDomainName.2",
        f"virtmapOperationRowStatus.{row}", "=", "createAndGo",
    )  # fmt: skip
    assert "virtmapDomainOpReadXml" in said
    assert ended(tool, row) == "completed"
    chunks = tool("snmpwalk", AS_OBSERVER, "-Oqv", f"virtmapOperationResultValue.{row}")
    xml = chunks.replace("\n", "")  # the fake's XML has none of its own
    assert xml.startswith("<domain type='kvm'")
    assert "<name>guest2</name>" in xml
    assert xml.endswith("</domain>")
    size = tool("snmpget", AS_OBSERVER, "-Oqv", f"virtmapOperationResultSize.{row}.2.1").split()
    assert (int(size[0]), size[1]) == (len(xml), "bytes")


def test_arguments_are_named_before_they_are_set_and_a_wrong_one_is_told_apart(tool: Tool, ours: Threaded) -> None:
    tool("snmpset", AS_OPERATOR, "virtmapOperationOperation.5", "=", "virtmapDomainOpSetMemory",
         "virtmapOperationTarget.5", "=", "virtmapDomainName.1", "virtmapOperationRowStatus.5", "=", "createAndWait")  # fmt: skip
    assert tool("snmpwalk", AS_OPERATOR, "-Oqs", "virtmapOperationArgumentName.5").splitlines() == [
        "virtmapOperationArgumentName.5.1.1 memory", "virtmapOperationArgumentName.5.2.1 impact",
    ]  # fmt: skip
    assert tool("snmpget", AS_OPERATOR, "-Oqv", "virtmapOperationRowStatus.5").strip() == "notReady"
    value = "virtmapOperationArgumentValue.5.1.1"
    assert "Reason: wrongValue" in tool("snmpset", AS_OPERATOR, value, "=", "lots", fails=True)
    assert "Reason: inconsistentName" in tool("snmpset", AS_OPERATOR, f"{value[:-1]}2", "=", "1", fails=True)
    early = tool("snmpset", AS_OPERATOR, "virtmapOperationRowStatus.5", "=", "active", fails=True)
    assert "Reason: inconsistentValue" in early
    tool("snmpset", AS_OPERATOR, value, "=", "524288", "virtmapOperationRowStatus.5", "=", "active")
    assert ended(tool, "5") == "completed"
    assert ours.call(lambda: ours.world.domain("guest1").memory) == 524288
    table = tool("snmptable", AS_OBSERVER, "-CB", "virtmapOperationTable")
    assert "SetMemory of domain guest1" in table
    tool("snmpset", AS_OPERATOR, "virtmapOperationRowStatus.5", "=", "destroy")
    assert "No Such Instance" in tool("snmpget", AS_OPERATOR, "virtmapOperationState.5")


def test_the_hypervisors_own_words_are_read_where_it_refuses(tool: Tool) -> None:
    tool("snmpset", AS_OPERATOR, "virtmapOperationOperation.6", "=", "virtmapDomainOpResume",
         "virtmapOperationTarget.6", "=", "virtmapDomainName.3", "virtmapOperationRowStatus.6", "=", "createAndGo")  # fmt: skip
    assert ended(tool, "6") == "failed"
    assert "domain is already running" in tool("snmpget", AS_OPERATOR, "-Oqv", "virtmapOperationError.6")


def test_a_password_goes_in_encrypted_and_never_comes_out(tool: Tool, ours: Threaded) -> None:
    tool("snmpset", AS_BOSS, "virtmapOperationOperation.8", "=", "virtmapDomainOpSetUserPassword",
         "virtmapOperationTarget.8", "=", "virtmapDomainName.1", "virtmapOperationArgumentValue.8.1.1", "=", "root",
         "virtmapOperationArgumentValue.8.2.1", "=", PASSWORD, "virtmapOperationRowStatus.8", "=", "createAndWait")  # fmt: skip
    assert PASSWORD not in tool("snmpbulkwalk", AS_BOSS, "-Oa", ".1.3.6.1.4.1.36957")
    assert "Reason: noAccess" in tool("snmpset", AS_OPERATOR, "virtmapOperationRowStatus.8", "=", "active", fails=True)
    tool("snmpset", AS_BOSS, "virtmapOperationRowStatus.8", "=", "active")
    assert ended(tool, "8", AS_BOSS) == "completed"
    wanted = SetUserPassword(user="root", password=Secret(PASSWORD))
    assert ours.call(lambda: wanted in [o for o, _ in ours.world.fake.performed])
    walked = tool("snmpbulkwalk", AS_BOSS, "-Oa", ".1.3.6.1.4.1.36957")
    assert PASSWORD not in walked
    assert "virtmapOperationArgumentName.8.2.1 = STRING: password" in walked


def test_an_observer_writes_nothing(tool: Tool) -> None:
    said = tool("snmpset", AS_OBSERVER, "virtmapOperationRowStatus.9", "=", "createAndWait", fails=True)
    assert "Reason: noAccess" in said


def test_every_name_has_the_number_that_the_agent_answers_with(tmp_path: Path) -> None:
    program("snmptranslate", "snmp")
    named = {f"{MODULE.name}::{MODULE.identity}": MODULE.oid}
    for table in MODULE.own:
        named |= {f"{MODULE.name}::{o.name}": o.oid for o in (table, *table.objects)}
    done = subprocess.run(
        ["snmptranslate", "-M", f"{MIBS}:{MIBS / 'standard'}", "-m", "ALL", "-On", *named],
        capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "SNMPCONFPATH": str(tmp_path), "SNMP_PERSISTENT_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.split() == ["." + ".".join(map(str, oid)) for oid in named.values()]
