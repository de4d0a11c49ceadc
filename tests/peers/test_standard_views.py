"""The standard views as net-snmp's tools see them, by the names that our rendering of the modules gives them."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.model import Domain
from agent.model.domain import DomainState, Suspend
from agent.schema.declare import Access
from agent.schema.types import Secret
from agent.snmp.herald import Herald
from agent.snmp.notifications import Notifier, Target
from agent.snmp.security import Community
from agent.snmp.standards import libvirt_mib, vm_mib
from tests.agents import COMMUNITIES, LOOPBACK, OPERATOR, looped, standards, until, world
from tests.peers.test_snmptrapd import trapd
from tests.programs import program
from tests.threaded import Threaded

MIBS = Path(__file__).resolve().parents[2] / "mibs"
ROOT = Community(name=b"root", label="administrator", role=Access.ADMINISTER, sources=LOOPBACK, hypervisor="default")


class Running(Threaded):
    """An agent that serves the standard views over UDP."""

    def __init__(self) -> None:
        serves = (*standards(), vm_mib.serve(), libvirt_mib.serve)
        super().__init__("fake:///?domains=3", serves=serves, communities=(*COMMUNITIES, ROOT))

    def domain(self, name: str) -> Domain:
        return self.world.domain(name)


@pytest.fixture
def ours() -> Iterator[Running]:
    for name in ("snmpwalk", "snmptable", "snmpset", "snmpget"):
        program(name, "snmp")
    running = Running()
    yield running
    running.stop()


@pytest.fixture
def tool(ours: Running, tmp_path: Path) -> Any:
    """Runs one of net-snmp's tools on the agent, with names from our modules only; gives its output, or its complaint."""

    def run(name: str, *arguments: str, options: tuple[str, ...] = (), community: str = "public") -> str:
        own = {"SNMPCONFPATH": str(tmp_path), "SNMP_PERSISTENT_DIR": str(tmp_path)}
        done = subprocess.run(
            [name, "-v2c", "-c", community, "-t", "5", "-r", "0", "-M", f"{MIBS}:{MIBS / 'standard'}", "-m", "ALL",
             *options, f"127.0.0.1:{ours.port}", *arguments],
            capture_output=True, text=True, timeout=60, env={**os.environ, **own}, check=False,
        )  # fmt: skip
        complaints = [line for line in done.stderr.splitlines() if not line.startswith("Created directory")]
        return done.stdout if done.returncode == 0 else "\n".join(complaints)

    return run


def test_the_table_of_machines_by_name(tool: Any, ours: Running) -> None:
    lines = tool("snmptable", "VM-MIB::vmTable", options=("-Cf", "|")).splitlines()
    head, *rows = [line.split("|") for line in lines if "|" in line]
    found = [dict(zip(head, row, strict=True)) for row in rows]
    assert [r["vmName"] for r in found] == ["guest1", "guest2", "guest3"]
    assert {r["vmOperState"] for r in found} == {"running"}
    assert {r["vmPersistent"] for r in found} == {"persistent"}
    assert {r["vmUUID"] for r in found} == {ours.domain(f"guest{i}").uuid for i in (1, 2, 3)}


def test_the_tables_beneath_by_name(tool: Any) -> None:
    storage = tool("snmpwalk", "VM-MIB::vmStorageTable", options=("-Oq",))
    assert "VM-MIB::vmStorageSourceType.1.1 sparse" in storage
    assert "VM-MIB::vmStorageMediaType.3.2 hardDisk" in storage
    assert "VM-MIB::vmNetworkIfIndex.2.1 0" in tool("snmpwalk", "VM-MIB::vmNetworkTable", options=("-Oq",))
    assert "VM-MIB::vmCpuAffinity.1.1.196608 enable" in tool("snmpwalk", "VM-MIB::vmCpuAffinityTable", options=("-Oq",))
    assert "microsecond" in tool("snmpwalk", "VM-MIB::vmCpuCoreTime")


def test_the_switches(tool: Any) -> None:
    name = "VM-MIB::vmBulkNotificationsEnabled.0"
    assert "false(2)" in tool("snmpget", name)
    assert "noAccess" in tool("snmpset", name, "i", "1", community="secret")
    assert "true(1)" in tool("snmpset", name, "i", "true", community="root")
    assert "notWritable" in tool("snmpset", "VM-MIB::vmAdminState.1", "i", "shutdown", community="root")


def test_the_modules_are_registered(tool: Any) -> None:
    listed = tool("snmpwalk", "SNMPv2-MIB::sysORID", options=("-Oqv",)).split()
    assert {"VM-MIB::vmMIB", "LIBVIRT-MIB::libvirtMIB"} <= set(listed)


def names(table: str) -> list[str]:
    """The names of guests in what snmptable prints."""
    head, *rows = [line.split("|") for line in table.splitlines() if "|" in line]
    return [dict(zip(head, row, strict=True))["libvirtGuestName"].strip('"') for row in rows]


def test_what_scripts_for_libvirt_snmp_do(tool: Any, ours: Running) -> None:
    guest = ours.domain("guest2")
    instance = ".".join(str(octet) for octet in uuid.UUID(guest.uuid).bytes)
    rows = sorted((ours.domain(f"guest{i}") for i in (1, 2, 3)), key=lambda d: d.uuid)
    assert names(tool("snmptable", "LIBVIRT-MIB::libvirtGuestTable", options=("-Cf", "|"))) == [d.name for d in rows]
    state, row = f"LIBVIRT-MIB::libvirtGuestState.{instance}", f"LIBVIRT-MIB::libvirtGuestRowStatus.{instance}"
    assert "paused(3)" in tool("snmpset", state, "i", "paused", community="secret")
    assert "running(1)" in tool("snmpset", state, "i", "running", community="secret")
    assert "inconsistentValue" in tool("snmpset", state, "i", "crashed", community="secret")
    assert "destroy(6)" in tool("snmpset", row, "i", "destroy", community="secret")
    assert ours.domain("guest2").state is DomainState.SHUT_OFF
    assert "No Such Instance" in tool("snmpget", state)
    assert "wrongValue" in tool("snmpset", row, "i", "createAndWait", community="secret")
    assert "createAndGo(4)" in tool("snmpset", row, "i", "createAndGo", state, "i", "paused", community="secret")
    assert ours.domain("guest2").state is DomainState.PAUSED


@looped
async def test_snmptrapd_understands_the_notifications() -> None:
    serves = (*standards(), vm_mib.serve(per_vm=True, bulk=True), libvirt_mib.serve)
    with trapd() as receiver:
        async with world(serves=serves) as w:
            target = Target(name="c", host="127.0.0.1", port=receiver.port, version="2c", community=Secret("public"))
            notifier = Notifier(w.engine, [target])
            Herald(w.events, w.engine.mib, notifier.notify, standards=w.engine.contexts["default"].standards)
            guest, arc = w.domain("guest2"), w.arc("guest2")
            instance = ".".join(map(str, uuid.UUID(guest.uuid).bytes))
            await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest2"))
            lines = await until(lambda: found if len(found := receiver.lines()) >= 4 else [], "four traps")
            by_trap = {
                re.findall(r"\.1\.3\.6\.1\.6\.3\.1\.1\.4\.1\.0 = OID: (\S+?)\|", line)[0]: line for line in lines
            }
            paused, bulk = by_trap[".1.3.6.1.2.1.236.0.4"], by_trap[".1.3.6.1.2.1.236.0.14"]
            libvirt = by_trap[".1.3.6.1.4.1.36957.0.1"]
            assert f".1.3.6.1.2.1.236.1.4.1.2.{arc} = STRING: guest2|" in paused
            assert f".1.3.6.1.2.1.236.1.4.1.3.{arc} = STRING: {guest.uuid}|" in paused
            assert paused.endswith(f".1.3.6.1.2.1.236.1.4.1.6.{arc} = INTEGER: running(4)")
            assert ".1.3.6.1.2.1.236.1.11.0 = STRING: 40" in bulk
            assert f'.1.3.6.1.4.1.36957.1.1.1.2.{instance} = STRING: "guest2"|' in libvirt
            assert f".1.3.6.1.4.1.36957.1.1.1.3.{instance} = INTEGER: paused(3)|" in libvirt
            assert libvirt.endswith(f".1.3.6.1.4.1.36957.1.1.1.9.{instance} = INTEGER: active(1)")
            w.events.stop()
            await notifier.stop()
