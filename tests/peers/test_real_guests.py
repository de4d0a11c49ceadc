"""The whole way, as an operator goes it: real guests, a running agent, net-snmp's tools, pywbem, and virsh beside them."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import libvirt
import pytest
import pywbem

from tests.running import ANY_PORT, Agent, running
from tests.servers import Guest, PrivateLibvirt, eventually

MIBS = ("-M", "mibs:mibs/standard", "-m", "ALL")
KINDS = ("session_libvirtd", "system_libvirtd")


@dataclass
class Place:
    """A private hypervisor and the agent that watches it."""

    server: PrivateLibvirt
    agent: Agent
    guests: list[str] = field(default_factory=list)

    def snmp(self, tool: str, *words: str, community: str = "public") -> str:
        """What a tool of net-snmp prints, errors included."""
        target = f"127.0.0.1:{self.agent.port('SNMP on')}"
        command = [tool, "-v2c", "-c", community, "-t", "3", "-r", "2", *MIBS, target, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr

    def index(self, name: str) -> str | None:
        """The index of a domain in the tables."""
        for line in self.snmp("snmpbulkwalk", "-Oqs", "virtmapDomainName").splitlines():
            oid, _, value = line.partition(" ")
            if value == name:
                return oid.partition(".")[2]
        return None

    def value(self, column: str, name: str) -> str:
        return self.snmp("snmpget", "-OqvU", f"{column}.{self.index(name)}").strip()

    def set(self, column: str, name: str, value: str) -> str:
        return self.snmp("snmpset", f"{column}.{self.index(name)}", "=", value, community=self.agent.secret)

    def virsh(self, *words: str) -> str:
        done = subprocess.run(
            ["virsh", "-q", "-c", self.server.uri, *words], capture_output=True, text=True, timeout=60
        )
        return (done.stdout + done.stderr).strip()

    def define(self, name: str) -> None:
        connection = libvirt.open(self.server.uri)
        try:
            connection.defineXML(self.server.guest_xml(Guest(name=name)))
        finally:
            connection.close()
        self.guests.append(name)
        eventually(lambda: self.index(name), within=30, what=f"{name} in the domain table")

    def cim(self) -> pywbem.WBEMConnection:
        url = f"http://127.0.0.1:{self.agent.port('http://')}"
        return pywbem.WBEMConnection(url, ("operator", self.agent.secret), default_namespace="root/virtmap", timeout=30)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    server = request.getfixturevalue(request.param)
    with running("demo", "--uri", server.uri, *ANY_PORT) as agent:
        made = Place(server, agent)
        try:
            yield made
        finally:
            for name in made.guests:
                made.virsh("destroy", name)
                made.virsh("undefine", "--managed-save", name)


def test_a_guest_is_started_paused_resumed_and_stopped_by_snmp(place: Place) -> None:
    place.define("web")
    assert place.value("virtmapDomainState", "web") == "shutOff"
    for action, state, beside in (
        ("start", "running", "running"),
        ("suspend", "paused", "paused"),
        ("resume", "running", "running"),
        ("destroy", "shutOff", "shut off"),
    ):
        answer = place.set("virtmapDomainAction", "web", action)
        assert f"{action}(" in answer, answer
        assert place.virsh("domstate", "web") == beside
        assert place.value("virtmapDomainState", "web") == state


def test_a_setting_is_what_virsh_says_then(place: Place) -> None:
    place.define("web")
    assert "true" in place.set("virtmapDomainAutostart", "web", "true")
    assert "Autostart:      enable" in place.virsh("dominfo", "web")
    place.set("virtmapDomainMemorySet", "web", "40960")
    assert "40960 KiB" in place.virsh("dominfo", "web")
    assert place.value("virtmapDomainMemory", "web") == "40960"


def test_a_guest_that_virsh_starts_is_seen_soon(place: Place) -> None:
    place.define("web")
    place.virsh("start", "web")
    eventually(lambda: place.value("virtmapDomainState", "web") == "running", within=10, what="running")
    place.virsh("destroy", "web")
    eventually(lambda: place.value("virtmapDomainState", "web") == "shutOff", within=10, what="shut off")


def test_cim_starts_a_guest_walks_its_parts_and_stops_it(place: Place) -> None:
    place.define("web")
    with place.cim() as connection:
        domain = next(d for d in connection.EnumerateInstances("Virtmap_Domain") if d["ElementName"] == "web")
        assert connection.InvokeMethod("Start", domain.path)[0] == 0
        assert connection.GetInstance(domain.path)["EnabledState"] == 2
        assert place.virsh("domstate", "web") == "running"
        around = {i.classname for i in connection.AssociatorNames(domain.path)}
        assert {"Virtmap_Host", "Virtmap_Vcpu", "Virtmap_DomainSettingData"} <= around
        assert connection.InvokeMethod("Destroy", domain.path)[0] == 0
        with pytest.raises(pywbem.CIMError, match="web"):
            connection.InvokeMethod("Suspend", domain.path)


def test_a_hung_libvirtd_costs_freshness_and_never_an_answer(place: Place) -> None:
    place.define("web")
    place.set("virtmapDomainAction", "web", "start")
    with place.server.frozen():
        deadline = time.monotonic() + 60
        while "true" not in place.snmp("snmpget", "-Oqv", "virtmapReadingStale.2"):
            began = time.monotonic()
            assert place.value("virtmapDomainState", "web") == "running"
            assert time.monotonic() - began < 2
            assert time.monotonic() < deadline, "the table never became stale"
        assert place.value("virtmapDomainState", "web") == "running"
    eventually(
        lambda: "false" in place.snmp("snmpget", "-Oqv", "virtmapReadingStale.2"), within=60, what="a fresh table"
    )


def test_a_killed_libvirtd_is_found_again(place: Place) -> None:
    place.define("web")
    index = place.index("web")
    place.server.kill()
    eventually(
        lambda: "false" in place.snmp("snmpget", "-Oqv", "virtmapHostConnected.0"), within=30, what="disconnected"
    )
    assert place.value("virtmapDomainState", "web") == "shutOff"
    assert "Error" in place.set("virtmapDomainAction", "web", "start")
    place.server.restart()
    eventually(lambda: "true" in place.snmp("snmpget", "-Oqv", "virtmapHostConnected.0"), within=60, what="connected")
    assert place.index("web") == index
    assert "start(" in place.set("virtmapDomainAction", "web", "start")
    assert place.virsh("domstate", "web") == "running"


def test_a_domain_undefined_during_a_walk_ends_the_walk_in_order(place: Place) -> None:
    for name in ("one", "two", "three"):
        place.define(name)
    first, last = place.index("one"), place.index("three")
    got = place.snmp("snmpgetnext", "-Oqs", f"virtmapDomainName.{first}")
    assert got.split()[1] == "two"
    place.virsh("undefine", "two")
    eventually(lambda: place.index("two") is None, within=10, what="two to be gone")
    got = place.snmp("snmpgetnext", "-Oqs", f"virtmapDomainName.{first}")
    assert got.split() == [f"virtmapDomainName.{last}", "three"]
