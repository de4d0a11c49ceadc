"""Networks, their ports and leases: rows, operations, events and errors, on libvirt's test driver and on real bridges."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import libvirt
import pytest

from agent.driver import NOBODY, Changed, Happened
from agent.errors import Failed, Invalid, NotFound, NotSupported, VirtmapError, WrongState
from agent.model import network as on
from agent.model.domain import Destroy, Start, Undefine
from agent.model.host import DefineDomain
from agent.model.network import (
    DhcpLease,
    LeaseType,
    Network,
    NetworkImpact,
    NetworkMetadata,
    NetworkPort,
    NetworkSection,
    UpdateCommand,
)
from agent.schema.declare import Operation
from drivers.libvirt import symbols, xml
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Doing
from drivers.libvirt.kinds import network as networks
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, connected
from tests.recorder import functions_of
from tests.servers import Guest, System, eventually

NOWHERE = "00000000-dead-4000-8000-000000000000"
MAC = "52:54:00:7b:35:93"
LIMITS = "<bandwidth><inbound average='10' peak='20' burst='30'/><outbound average='40'/></bandwidth>"
GROUP = "<portgroup name='office'/>"

_numbers = itertools.count(1)


class Networks:
    """A hypervisor whose networks are under test."""

    def __init__(self, subject: Subject, state: Path | None = None) -> None:
        self.subject, self._state = subject, state
        self.driver: Any = subject.driver

    @property
    def virt(self) -> Any:
        return self.driver.connection.current().virt

    def do(self, operation: Operation, *key: Any) -> Mapping[str, Any]:
        return self.subject.perform(operation, key or (self.driver.name,))

    def refused(self, operation: Operation, *key: Any) -> VirtmapError:
        """The error, as a new one that holds no libvirt object."""
        try:
            self.do(operation, *key)
        except VirtmapError as error:
            return type(error)(str(error))
        raise AssertionError(f"{operation} was not refused")

    def xml(self, more: str = "", *, bridge: str = "") -> tuple[str, str]:
        """The definition of a network with a bridge, and the name of both."""
        name = f"tnet{next(_numbers)}"
        return f"<network><name>{name}</name><bridge name='{name}'{bridge}/>{more}</network>", name

    def define(self, more: str = "") -> tuple[str, str]:
        definition, name = self.xml(more)
        return str(self.do(on.DefineNetwork(xml=definition))["uuid"]), name

    def started(self, more: str = "") -> tuple[str, str]:
        made, name = self.define(more)
        self.do(on.StartNetwork(), made)
        return made, name

    def end(self, network: str) -> None:
        self.do(on.StopNetwork(), network)
        self.do(on.UndefineNetwork(), network)

    def port(self, network: str, more: str = "", *, reclaim: bool = False) -> str:
        owner = f"<owner><name>somebody</name><uuid>{NOWHERE}</uuid></owner>"
        port = f"<networkport><uuid>{uuid.uuid4()}</uuid>{owner}<mac address='{MAC}'/>{more}</networkport>"
        flags = on.PortCreateFlags.RECLAIM if reclaim else on.PortCreateFlags(0)
        return str(self.do(on.CreateNetworkPort(xml=port, flags=flags), network)["uuid"])

    def rows(self, network: str) -> tuple[Network, dict[str, NetworkPort], dict[str, DhcpLease]]:
        reading = self.subject.read([(Network, (network,))])
        assert not reading.failed
        (row,) = reading.of(Network)
        ports = {each.uuid: each for each in reading.of(NetworkPort)}
        return row, ports, {each.address: each for each in reading.of(DhcpLease)}

    def row(self, network: str) -> Network:
        return self.rows(network)[0]

    def exists(self, network: str) -> bool:
        return bool(self.subject.read([(Network, (network,))]).of(Network))

    def happened(self, event: type[Any], network: str) -> None:
        self.subject.next_heard(lambda h: isinstance(h, Happened) and type(h.event) is event and h.key == (network,))

    def lend(self, bridge: str, leases: list[dict[str, Any]]) -> None:
        """Write down leases where libvirt's helper of the DHCP server writes them."""
        assert self._state is not None
        folder = self._state / "dnsmasq"
        folder.mkdir(exist_ok=True)
        (folder / f"{bridge}.status").write_text(json.dumps(leases))

    def called(self) -> frozenset[str]:
        return functions_of(self.driver.called)


@pytest.fixture(scope="module")
def mock() -> Iterator[Networks]:
    with connected(mock_subject("test:///default")) as subject:
        yield Networks(subject)


@pytest.fixture(scope="module")
def real(system_libvirtd: System) -> Iterator[Networks]:
    with connected(qemu_subject(system_libvirtd)) as subject:
        yield Networks(subject, system_libvirtd.root / "lib")


@pytest.fixture(params=["test", "system"])
def networks_of(request: pytest.FixtureRequest) -> Networks:
    made: Networks = request.getfixturevalue("mock" if request.param == "test" else "real")
    return made


# --- on both


def test_a_network_goes_from_its_definition_to_its_end(networks_of: Networks) -> None:
    network, name = networks_of.define()
    networks_of.happened(on.NetworkDefined, network)
    row = networks_of.row(network)
    assert (row.name, row.bridge, row.active, row.persistent, row.autostart) == (name, name, False, True, False)
    assert (row.forward_mode, row.host, row.problem) == ("none", networks_of.driver.name, "")
    assert (row.ports, row.leases) == (None, None)
    networks_of.do(on.StartNetwork(), network)
    networks_of.happened(on.NetworkStarted, network)
    assert networks_of.row(network).active is True
    networks_of.do(on.SetNetworkAutostart(autostart=True), network)
    assert networks_of.row(network).autostart is True
    networks_of.do(on.SetNetworkAutostart(autostart=False), network)
    assert networks_of.row(network).autostart is False
    assert f"<name>{name}</name>" in networks_of.do(on.ReadNetworkXml(), network)["xml"]
    networks_of.do(on.StopNetwork(), network)
    networks_of.happened(on.NetworkStopped, network)
    assert networks_of.row(network).active is False
    networks_of.do(on.UndefineNetwork(), network)
    networks_of.happened(on.NetworkUndefined, network)
    assert not networks_of.exists(network)


def test_a_network_without_a_definition_goes_when_it_stops(networks_of: Networks) -> None:
    network = str(networks_of.do(on.CreateNetwork(xml=networks_of.xml()[0]))["uuid"])
    row = networks_of.row(network)
    assert (row.active, row.persistent) == (True, False)
    networks_of.do(on.StopNetwork(), network)
    assert not networks_of.exists(network)


def test_what_is_wrong_with_a_network_is_refused_with_the_reason(networks_of: Networks) -> None:
    missing = networks_of.refused(on.StartNetwork(), NOWHERE)
    assert isinstance(missing, NotFound)
    assert str(missing).startswith(f"network {NOWHERE}: cannot start network: ")
    assert isinstance(networks_of.refused(on.DefineNetwork(xml="<network")), Invalid)
    assert isinstance(networks_of.refused(on.CreateNetwork(xml="<pool/>")), VirtmapError)
    validated = on.DefineNetwork(
        xml="<network><name>x</name><nonsense/></network>", flags=on.NetworkDefineFlags.VALIDATE
    )
    assert isinstance(networks_of.refused(validated), Invalid)
    network, name = networks_of.started()
    again = networks_of.refused(on.StartNetwork(), network)
    assert isinstance(again, WrongState)
    assert str(again).startswith(f"network {name}: cannot start network: ")
    networks_of.do(on.StopNetwork(), network)
    if networks_of.subject.real:  # the test driver stops it twice
        assert isinstance(networks_of.refused(on.StopNetwork(), network), WrongState)
    live = on.UpdateNetwork(
        command=UpdateCommand.ADD_LAST, section=NetworkSection.PORTGROUP, xml=GROUP, impact=NetworkImpact.LIVE
    )
    assert isinstance(networks_of.refused(live, network), WrongState)
    networks_of.do(on.UndefineNetwork(), network)


def test_a_part_of_a_network_is_added_changed_and_deleted(networks_of: Networks) -> None:
    network, _ = networks_of.started()
    both = NetworkImpact.LIVE | NetworkImpact.CONFIG

    def update(command: UpdateCommand, element: str) -> str | None:
        operation = on.UpdateNetwork(command=command, section=NetworkSection.PORTGROUP, xml=element, impact=both)
        networks_of.do(operation, network)
        groups: str | None = networks_of.row(network).portgroups
        return groups

    assert update(UpdateCommand.ADD_LAST, GROUP) == "office"
    assert update(UpdateCommand.ADD_FIRST, "<portgroup name='guests'/>") == "guests\noffice"
    assert update(UpdateCommand.MODIFY, "<portgroup name='office' default='yes'/>") == "guests\noffice*"
    assert update(UpdateCommand.DELETE, GROUP) == "guests"
    if networks_of.subject.real:  # the test driver does not tell the two definitions apart
        definition = networks_of.do(on.ReadNetworkXml(flags=on.NetworkXmlFlags.INACTIVE), network)["xml"]
        assert "guests" in definition
        assert "office" not in definition
    twice = on.UpdateNetwork(
        command=UpdateCommand.ADD_LAST, section=NetworkSection.PORTGROUP, xml="<portgroup name='guests'/>"
    )
    assert isinstance(networks_of.refused(twice, network), WrongState)
    bridge = on.UpdateNetwork(command=UpdateCommand.MODIFY, section=NetworkSection.BRIDGE, xml="<bridge name='x'/>")
    assert isinstance(networks_of.refused(bridge, network), NotSupported)
    networks_of.end(network)


def test_an_address_is_set_aside_in_the_element_that_is_named(networks_of: Networks) -> None:
    ip = "<ip address='10.{0}.2.1' netmask='255.255.255.0'><dhcp><range start='10.{0}.2.5' end='10.{0}.2.9'/></dhcp></ip>"
    v6 = "<ip family='ipv6' address='fd00::1' prefix='64'/>"
    network, _ = networks_of.define(v6 + ip.format(1))
    host = f"<host mac='{MAC}' ip='10.1.2.7'/>"
    add = on.UpdateNetwork(
        command=UpdateCommand.ADD_LAST, section=NetworkSection.DHCP_HOST, xml=host, parent_index=1,
        impact=NetworkImpact.CONFIG,
    )  # fmt: skip
    networks_of.do(add, network)
    row = networks_of.row(network)
    assert (row.dhcp_hosts, row.dhcp_ranges) == (1, "10.1.2.5-10.1.2.9")
    assert row.addresses == "fd00::1/64\n10.1.2.1/24"
    assert isinstance(networks_of.refused(add.replace(parent_index=7), network), (WrongState, Invalid, NotSupported))
    networks_of.do(on.UndefineNetwork(), network)


def test_everything_that_the_definition_says_is_told(networks_of: Networks) -> None:
    name = f"tnet{next(_numbers)}"
    definition = (
        f"<network ipv6='yes' trustGuestRxFilters='yes'><name>{name}</name><forward mode='nat'><nat>"
        "<address start='192.0.2.4' end='192.0.2.10'/><port start='500' end='1000'/></nat></forward>"
        f"<bridge name='{name}' stp='on' delay='3' macTableManager='libvirt' zone='guests'/><mtu size='9000'/>"
        f"<mac address='{MAC}'/><domain name='example.org' localOnly='yes'/><dns enable='yes'>"
        "<forwarder addr='192.0.2.1'/><forwarder domain='example.net' addr='192.0.2.2'/></dns>"
        "<bandwidth><inbound average='1000' peak='5000' burst='1024'/><outbound average='500'/></bandwidth>"
        "<ip address='198.51.100.1' netmask='255.255.255.128'/><ip family='ipv6' address='fd00::1' prefix='64'/>"
        "<route address='203.0.113.0' prefix='24' gateway='198.51.100.2'/>"
        "<port isolated='yes'/></network>"
    )
    network = str(networks_of.do(on.DefineNetwork(xml=definition))["uuid"])
    row = networks_of.row(network)
    assert (row.forward_mode, row.nat_addresses, row.nat_ports) == ("nat", "192.0.2.4-192.0.2.10", "500-1000")
    assert (row.stp, row.forward_delay, row.mac_table, row.zone) == (True, 3000, "libvirt", "guests")
    assert (row.mtu, row.mac, row.dns_domain, row.dns_enabled) == (9000, MAC, "example.org", True)
    assert row.dns_forwarders == "192.0.2.1\nexample.net 192.0.2.2"
    assert (row.inbound_average, row.inbound_peak, row.inbound_burst) == (1000, 5000, 1024)
    assert (row.outbound_average, row.outbound_peak, row.outbound_burst) == (500, None, None)
    assert row.addresses == "198.51.100.1/25\nfd00::1/64"
    assert row.routes == "203.0.113.0/24 198.51.100.2"
    assert (row.isolated, row.guest_ipv6, row.trust_filters) == (True, True, True)
    networks_of.do(on.UndefineNetwork(), network)


def test_a_network_on_a_device_of_the_host_tells_the_device_and_no_bridge(networks_of: Networks) -> None:
    name = f"tnet{next(_numbers)}"
    definition = (
        f"<network><name>{name}</name><forward mode='passthrough' dev='eth7'><interface dev='eth7'/>"
        "<interface dev='eth8'/></forward></network>"
    )
    network = str(networks_of.do(on.DefineNetwork(xml=definition))["uuid"])
    row = networks_of.row(network)
    assert (row.bridge, row.forward_mode, row.forward_devices) == (None, "passthrough", "eth7\neth8")
    assert (row.dns_enabled, row.problem) == (None, "")
    networks_of.do(on.UndefineNetwork(), network)


def test_a_reading_of_everything_has_the_networks(networks_of: Networks) -> None:
    network, name = networks_of.define()
    networks_of.driver._memory.due(Network)
    assert {each.uuid: each.name for each in networks_of.subject.read().of(Network)}[network] == name
    networks_of.do(on.UndefineNetwork(), network)


def test_a_change_that_is_no_event_of_libvirt_is_told_too(networks_of: Networks) -> None:
    network, _ = networks_of.define()
    networks_of.do(on.SetNetworkAutostart(autostart=True), network)
    root = (Network, (network,))
    networks_of.subject.next_heard(lambda h: isinstance(h, Changed) and h.root == root)
    networks_of.do(on.UndefineNetwork(), network)


def test_metadata_is_noted_and_read_where_libvirt_can(networks_of: Networks) -> None:
    network, _ = networks_of.define()
    note = on.SetNetworkMetadata(type=NetworkMetadata.TITLE, value="Guests")
    read = on.ReadNetworkMetadata(type=NetworkMetadata.TITLE)
    if hasattr(networks_of.virt.networkLookupByUUIDString(network), "setMetadata"):
        networks_of.do(note, network)
        assert networks_of.do(read, network) == {"value": "Guests"}
        assert networks_of.row(network).title == "Guests"
    else:
        for operation in (note, read):
            error = networks_of.refused(operation, network)
            assert isinstance(error, NotSupported)
            assert str(error).endswith(f"cannot {operation.verb()}: the libvirt library here is older than 9.7")
    networks_of.do(on.UndefineNetwork(), network)


class Noting:
    """A network of libvirt 9.8, as libvirt-python tells of it: what was noted, in the order of the arguments."""

    def __init__(self) -> None:
        self.noted: list[tuple[Any, ...]] = []

    def UUIDString(self) -> str:
        return NOWHERE

    def setMetadata(self, kind: int, metadata: str | None, key: str | None, uri: str | None, flags: int = 0) -> int:
        self.noted.append((kind, metadata, key, uri, flags))
        return 0

    def metadata(self, kind: int, uri: str | None, flags: int = 0) -> str:
        return f"{kind} {uri} {flags}"


class Telling:
    """A connection of libvirt 9.8 that gives events of networks to whoever listens."""

    def __init__(self) -> None:
        self.listeners: dict[int, Callable[..., None]] = {}

    def networkEventRegisterAny(self, network: None, number: int, callback: Callable[..., None], opaque: None) -> int:
        self.listeners[number] = callback
        return number


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The constants of libvirt 9.8, of which an older libvirt-python has some only."""
    metadata = {"DESCRIPTION": 0, "TITLE": 1, "ELEMENT": 2}
    for name, value in metadata.items():
        monkeypatch.setattr(libvirt, f"VIR_NETWORK_METADATA_{name}", value, raising=False)
    monkeypatch.setattr(libvirt, "VIR_NETWORK_EVENT_ID_METADATA_CHANGE", 1, raising=False)
    symbols._members.cache_clear()
    yield
    symbols._members.cache_clear()


def test_newer_libvirt_is_given_what_is_noted_in_its_own_order(newer: None) -> None:
    network = Noting()
    calls = Calls(None, used=Counter())
    do = Doing(calls=calls, name="x", key=(NOWHERE,), called="network x", doing="cannot note", task=NOBODY)
    note = on.SetNetworkMetadata(
        type=NetworkMetadata.ELEMENT, value="<a/>", prefix="p", namespace="urn:x", impact=NetworkImpact.CONFIG
    )
    networks.ACTIONS[on.SetNetworkMetadata](do, network, note)
    networks.ACTIONS[on.SetNetworkMetadata](do, network, on.SetNetworkMetadata(type=NetworkMetadata.TITLE))
    assert network.noted == [(2, "<a/>", "p", "urn:x", 2), (1, None, None, None, 0)]
    read = on.ReadNetworkMetadata(type=NetworkMetadata.ELEMENT, namespace="urn:x", impact=NetworkImpact.LIVE)
    assert networks.ACTIONS[on.ReadNetworkMetadata](do, network, read) == {"value": "2 urn:x 1"}


def test_newer_libvirt_tells_that_something_was_noted(newer: None) -> None:
    virt, heard = Telling(), list[Any]()
    assert networks.KIND is not None
    networks.KIND.listen(Calls(virt, used=Counter()), heard.append)
    virt.listeners[1](virt, Noting(), 1, None, None)
    (told,) = heard
    assert isinstance(told, Happened)
    assert (told.event, told.key) == (on.NetworkNoted(what=NetworkMetadata.TITLE), (NOWHERE,))


# --- ports, which the test driver does not have


def test_the_test_driver_says_that_it_has_no_ports(mock: Networks) -> None:
    network, _ = mock.started()
    assert isinstance(mock.refused(on.CreateNetworkPort(xml="<networkport/>"), network), NotSupported)
    for operation in (on.ReadPortXml(), on.DeletePort(), on.SetPortParameters(inbound_average=1)):
        assert isinstance(mock.refused(operation, network, NOWHERE), NotSupported)
    row, ports, leases = mock.rows(network)
    assert (row.ports, row.leases, row.problem, ports, leases) == (None, None, "", {}, {})
    mock.end(network)


def test_a_port_goes_from_its_making_to_its_end(real: Networks) -> None:
    network, name = real.started(GROUP)
    port = real.port(network, LIMITS)
    row, ports, _ = real.rows(network)
    made = ports[port]
    assert (row.ports, row.connections, row.problem) == (1, 1, "")
    assert (made.network, made.owner_name, made.owner, made.mac) == (network, "somebody", NOWHERE, MAC)
    assert (made.plug, made.source, made.mode, made.isolated, made.trust_filters) == (
        "network",
        name,
        None,
        False,
        False,
    )
    assert (made.inbound_average, made.inbound_peak, made.inbound_burst, made.inbound_floor) == (10, 20, 30, 0)
    assert (made.outbound_average, made.outbound_peak, made.outbound_burst) == (40, 0, 0)
    assert f"<uuid>{port}</uuid>" in real.do(on.ReadPortXml(), network, port)["xml"]
    real.do(on.DeletePort(), network, port)
    row, ports, _ = real.rows(network)
    assert (row.ports, row.connections, ports) == (0, 0, {})
    real.end(network)


def test_limits_of_a_port_that_are_not_named_stay(real: Networks) -> None:
    network, _ = real.started()
    port = real.port(network, LIMITS)

    def limits() -> tuple[Any, ...]:
        row = real.rows(network)[1][port]
        inbound = (row.inbound_average, row.inbound_peak, row.inbound_burst, row.inbound_floor)
        return (*inbound, row.outbound_average, row.outbound_peak, row.outbound_burst)

    assert limits() == (10, 20, 30, 0, 40, 0, 0)
    real.do(on.SetPortParameters(inbound_average=100, inbound_peak=200), network, port)
    assert limits() == (100, 200, 30, 0, 40, 0, 0)
    real.do(on.SetPortParameters(outbound_peak=60, outbound_burst=70), network, port)
    assert limits() == (100, 200, 30, 0, 40, 60, 70)
    floor = real.refused(on.SetPortParameters(inbound_floor=5), network, port)
    assert isinstance(floor, NotSupported)
    assert "floor" in str(floor)
    assert limits() == (100, 200, 30, 0, 40, 60, 70)
    assert isinstance(real.refused(on.SetPortParameters(), network, port), Invalid)
    real.do(on.DeletePort(), network, port)
    free = real.port(network)
    error = real.refused(on.SetPortParameters(outbound_average=1), network, free)
    assert isinstance(error, NotSupported)
    assert "outbound.average: the port is not limited in that direction so far" in str(error)
    real.do(on.DeletePort(), network, free)
    real.end(network)


def test_a_port_takes_what_is_in_use_already_only_if_it_is_told_to(real: Networks) -> None:
    network, name = real.started()
    plug = f"<plug type='network' bridge='{name}'/>"
    with pytest.raises(Invalid, match="reclaim"):
        real.port(network, plug)
    port = real.port(network, plug, reclaim=True)
    assert real.rows(network)[1][port].source == name
    real.do(on.DeletePort(), network, port)
    real.end(network)


def test_what_is_wrong_with_a_port_is_refused_with_the_reason(real: Networks) -> None:
    network, name = real.started()
    for operation in (on.ReadPortXml(), on.DeletePort(), on.SetPortParameters(inbound_average=1)):
        missing = real.refused(operation, network, NOWHERE)
        assert isinstance(missing, NotFound)
        assert str(missing).startswith(f"network port {NOWHERE} of network {name}: cannot {operation.verb()}: ")
    assert isinstance(real.refused(on.CreateNetworkPort(xml="<networkport"), network), Invalid)
    nameless = real.refused(on.CreateNetworkPort(xml="<networkport/>"), network)
    assert isinstance(nameless, Failed)
    assert "no uuid" in str(nameless)
    real.do(on.StopNetwork(), network)
    with pytest.raises(WrongState, match="not active"):
        real.port(network)
    real.do(on.UndefineNetwork(), network)


def test_the_port_of_a_guest_leads_to_the_guest(real: Networks, system_libvirtd: System) -> None:
    network, name = real.started()
    guest = Guest(name=f"plugged-{name}", uuid=str(uuid.uuid4()))
    card = f"<interface type='network'><mac address='{MAC}'/><source network='{name}'/></interface>"
    definition = system_libvirtd.guest_xml(guest).replace("</devices>", f"{card}</devices>")
    real.do(DefineDomain(xml=definition))
    real.do(Start(), guest.uuid)
    row, ports, _ = real.rows(network)
    (port,) = ports.values()
    assert (row.ports, port.owner, port.owner_name, port.mac, port.source) == (1, guest.uuid, guest.name, MAC, name)
    real.do(Destroy(), guest.uuid)
    eventually(lambda: real.rows(network)[1] == {}, what="the end of the guest's port")
    real.do(Undefine(), guest.uuid)
    real.end(network)


def test_ports_that_did_not_change_are_not_read_again(real: Networks) -> None:
    network, _ = real.started()
    for _ in range(3):
        real.port(network)
    real.rows(network)
    before = real.driver.called["virNetworkPort.XMLDesc"]
    assert len(real.rows(network)[1]) == 3
    assert real.driver.called["virNetworkPort.XMLDesc"] == before
    real.end(network)


# --- leases, which need no server here: libvirt reads them from a file


def test_the_leases_of_a_network_are_told(real: Networks) -> None:
    network, name = real.started()
    ends = int(time.time()) + 3600
    real.lend(
        name,
        [
            {
                "ip-address": "10.99.2.7",
                "mac-address": MAC,
                "hostname": "web",
                "client-id": "01:52",
                "expiry-time": ends,
            },
            {
                "ip-address": "fd00::9",
                "mac-address": "52:54:00:00:00:02",
                "iaid": "77",
                "client-id": "00:01",
                "expiry-time": 0,
            },
            {"ip-address": "10.99.2.8", "mac-address": "52:54:00:00:00:03", "expiry-time": 17},
        ],
    )
    row, _, leases = real.rows(network)
    assert row.leases == 2
    lease, other = leases["10.99.2.7"], leases["fd00::9"]
    assert (lease.type, lease.mac, lease.hostname, lease.client) == (LeaseType.IPV4, MAC, "web", "01:52")
    assert (lease.interface, lease.expires, lease.iaid) == (name, datetime.fromtimestamp(ends, UTC), None)
    assert (other.type, other.hostname, other.expires, other.iaid) == (LeaseType.IPV6, None, None, "77")
    real.end(network)


def test_leases_that_cannot_be_read_do_not_hide_the_network(real: Networks) -> None:
    network, name = real.started()
    real.lend(name, [])
    assert real._state is not None
    (real._state / "dnsmasq" / f"{name}.status").write_text("[{ this is no JSON")
    row, _, leases = real.rows(network)
    assert (row.name, row.active, row.ports, row.leases, leases) == (name, True, 0, None, {})
    assert row.problem
    (real._state / "dnsmasq" / f"{name}.status").unlink()
    assert (real.row(network).leases, real.row(network).problem) == (0, "")
    real.end(network)


# --- what has no hypervisor here


def test_virtual_functions_and_vlans_are_told_by_the_definition() -> None:
    root = xml.parse(
        "<network connections='3'><forward mode='hostdev' managed='yes'><pf dev='eth0'/>"
        "<address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x1'/></forward>"
        "<vlan trunk='yes'><tag id='42'/><tag id='47'/></vlan><virtualport type='802.1Qbh'/>"
        "<title>Fast</title><description>For those in a hurry</description></network>"
    )
    told = networks.described(root)
    assert told["forward_devices"] == "eth0\n0000:04:00.1"
    assert (told["vlans"], told["virtualport"], told["connections"]) == ("42,47", "802.1Qbh", 3)
    assert (told["title"], told["description"]) == ("Fast", "For those in a hurry")


def test_a_port_on_a_virtual_function_is_told_by_its_address() -> None:
    root = xml.parse(
        "<networkport><uuid>x</uuid><group>fast</group><rxfilters trustGuest='yes'/><port isolated='yes'/><class id='3'/>"
        "<plug type='hostdev-pci' managed='yes'><address domain='0x0001' bus='0x02' slot='0x03' function='0x4'/></plug>"
        "<vlan><tag id='9'/></vlan></networkport>"
    )
    told = networks.described_port(root)
    assert (told["plug"], told["source"], told["portgroup"], told["vlans"]) == (
        "hostdev-pci",
        "0001:02:03.4",
        "fast",
        "9",
    )
    assert (told["isolated"], told["trust_filters"], told["class_id"]) == (True, True, 3)


# --- events and functions


def test_events_of_networks_end_with_the_connection(system_libvirtd: System) -> None:
    with connected(qemu_subject(system_libvirtd)) as subject:
        driver: Any = subject.driver
        virt = driver.connection.current().virt
        assert len(virt.networkEventCallbackID) >= 1
    eventually(lambda: not virt.networkEventCallbackID, what="the end of the callbacks")


COMMON = {
    "virConnectListAllNetworks", "virConnectNetworkEventRegisterAny", "virNetworkCreate", "virNetworkCreateXMLFlags",
    "virNetworkDefineXMLFlags", "virNetworkDestroy", "virNetworkGetAutostart", "virNetworkGetBridgeName",
    "virNetworkGetXMLDesc", "virNetworkIsActive", "virNetworkIsPersistent", "virNetworkSetAutostart", "virNetworkUndefine",
    "virNetworkUpdate",
}  # fmt: skip
OF_PORTS = {
    "virNetworkGetDHCPLeases", "virNetworkListAllPorts", "virNetworkPortCreateXML", "virNetworkPortDelete",
    "virNetworkPortGetParameters", "virNetworkPortGetXMLDesc", "virNetworkPortSetParameters",
}  # fmt: skip


def test_every_function_was_called(mock: Networks, real: Networks) -> None:
    assert COMMON - mock.called() == set()
    assert (COMMON | OF_PORTS) - real.called() == set()
