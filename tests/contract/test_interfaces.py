"""Interfaces of the host: rows, operations and errors, on libvirt's test driver; and what is told of real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from agent.errors import Invalid, NotFound, NotSupported, VirtmapError, WrongState
from agent.model import interface as on
from agent.model.interface import Interface
from agent.schema.declare import Operation
from drivers.libvirt import xml
from drivers.libvirt.kinds import interface as interfaces
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, connected
from tests.recorder import functions_of
from tests.servers import System

MAC = "52:54:00:00:00:09"


class Interfaces:
    """A hypervisor, the interfaces of whose host are under test."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.driver: Any = subject.driver

    def do(self, operation: Operation, *key: Any) -> Mapping[str, Any]:
        return self.subject.perform(operation, key or (self.driver.name,))

    def refused(self, operation: Operation, *key: Any) -> VirtmapError:
        """The error, as a new one that holds no libvirt object."""
        try:
            self.do(operation, *key)
        except VirtmapError as error:
            return type(error)(str(error))
        raise AssertionError(f"{operation} was not refused")

    def define(self, name: str, *, mtu: int = 1500) -> None:
        definition = (
            f"<interface type='ethernet' name='{name}'><start mode='none'/><mac address='{MAC}'/><mtu size='{mtu}'/>"
            "<protocol family='ipv4'><ip address='192.0.2.5' prefix='24'/><route gateway='192.0.2.1'/></protocol></interface>"
        )
        assert self.do(on.DefineInterface(xml=definition)) == {"name": name}

    def row(self, name: str) -> Interface | None:
        reading = self.subject.read([(Interface, (name,))])
        assert not reading.failed
        return next(iter(reading.of(Interface)), None)

    def names(self) -> set[str]:
        self.driver._memory.due(Interface)
        return {each.name for each in self.subject.read().of(Interface)}

    def called(self) -> frozenset[str]:
        return functions_of(self.driver.called)


@pytest.fixture(scope="module")
def mock() -> Iterator[Interfaces]:
    with connected(mock_subject("test:///default")) as subject:
        yield Interfaces(subject)


@pytest.fixture(scope="module")
def real(system_libvirtd: System) -> Iterator[Interfaces]:
    with connected(qemu_subject(system_libvirtd)) as subject:
        yield Interfaces(subject)


def test_an_interface_goes_from_its_definition_to_its_end(mock: Interfaces) -> None:
    mock.define("eth47")
    row = mock.row("eth47")
    assert row is not None
    assert (row.name, row.active, row.mac, row.type, row.start_mode) == ("eth47", False, MAC, "ethernet", "none")
    assert (row.addresses, row.gateways, row.mtu, row.autoconf) == ("192.0.2.5/24", "192.0.2.1", 1500, False)
    assert (row.host, row.problem) == (mock.driver.name, "")
    mock.do(on.StartInterface(), "eth47")
    row = mock.row("eth47")
    assert row is not None
    assert row.active is True
    assert "name='eth47'" in mock.do(on.ReadInterfaceXml(), "eth47")["xml"]
    mock.do(on.StopInterface(), "eth47")
    row = mock.row("eth47")
    assert row is not None
    assert row.active is False
    mock.do(on.UndefineInterface(), "eth47")
    assert mock.row("eth47") is None


def test_a_reading_of_everything_has_the_interfaces(mock: Interfaces) -> None:
    assert "eth1" in mock.names()


def test_changes_are_taken_back_together(mock: Interfaces) -> None:
    mock.do(on.BeginInterfaceChange())
    mock.define("eth48")
    mock.define("eth49")
    assert {"eth48", "eth49"} <= mock.names()
    mock.do(on.RollbackInterfaceChange())
    assert mock.names() & {"eth48", "eth49"} == set()
    assert mock.row("eth48") is None


def test_changes_that_are_kept_stay(mock: Interfaces) -> None:
    mock.do(on.BeginInterfaceChange())
    mock.define("eth48")
    mock.do(on.CommitInterfaceChange())
    assert "eth48" in mock.names()
    assert isinstance(mock.refused(on.RollbackInterfaceChange()), WrongState)
    assert "eth48" in mock.names()
    mock.do(on.UndefineInterface(), "eth48")


def test_a_definition_takes_the_place_of_the_one_before(mock: Interfaces) -> None:
    for mtu in (1500, 9000):
        mock.define("eth47", mtu=mtu)
        row = mock.row("eth47")
        assert row is not None
        assert row.mtu == mtu
    mock.do(on.UndefineInterface(), "eth47")


def test_what_is_wrong_is_refused_with_the_reason(mock: Interfaces) -> None:
    for operation in (on.StartInterface(), on.StopInterface(), on.UndefineInterface(), on.ReadInterfaceXml()):
        missing = mock.refused(operation, "nothing0")
        assert isinstance(missing, NotFound)
        assert str(missing).startswith(f"interface nothing0: cannot {operation.verb()}: ")
    assert isinstance(mock.refused(on.DefineInterface(xml="<interface")), Invalid)
    bare = on.DefineInterface(xml="<interface type='ethernet'/>", flags=on.InterfaceDefineFlags.VALIDATE)
    assert isinstance(mock.refused(bare), Invalid)
    mock.define("eth47")
    idle = mock.refused(on.StopInterface(), "eth47")
    assert isinstance(idle, WrongState)
    assert str(idle).startswith("interface eth47: cannot stop interface: ")
    mock.do(on.StartInterface(), "eth47")
    assert isinstance(mock.refused(on.StartInterface(), "eth47"), WrongState)
    mock.do(on.StopInterface(), "eth47")
    mock.do(on.UndefineInterface(), "eth47")
    for change in (on.CommitInterfaceChange(), on.RollbackInterfaceChange()):
        assert isinstance(mock.refused(change), WrongState)
    mock.do(on.BeginInterfaceChange())
    assert isinstance(mock.refused(on.BeginInterfaceChange()), WrongState)
    mock.do(on.CommitInterfaceChange())


def test_real_interfaces_are_told_and_cannot_be_changed(real: Interfaces) -> None:
    row = real.row("lo")
    assert row is not None
    assert (row.mac, row.mtu, row.problem) == ("00:00:00:00:00:00", 65536, "")
    assert row.active is not None
    assert "lo" in real.names()
    assert "name='lo'" in real.do(on.ReadInterfaceXml(), "lo")["xml"]
    for change in (on.BeginInterfaceChange(), on.CommitInterfaceChange(), on.RollbackInterfaceChange()):
        assert isinstance(real.refused(change), NotSupported)
    for operation in (on.StartInterface(), on.StopInterface(), on.UndefineInterface()):
        assert isinstance(real.refused(operation, "lo"), NotSupported)


def test_a_bridge_is_told_with_its_members() -> None:
    told = interfaces.described(
        xml.parse(
            "<interface type='bridge' name='br0'><start mode='onboot'/><mtu size='1500'/>"
            "<protocol family='ipv4'><dhcp/></protocol><protocol family='ipv6'><autoconf/><dhcp/></protocol>"
            "<bridge stp='off' delay='0.01'><interface type='ethernet' name='eth0'/><interface type='bond' name='bond0'/>"
            "</bridge></interface>"
        )
    )
    assert (told["type"], told["members"], told["stp"], told["forward_delay"]) == ("bridge", "eth0\nbond0", False, 10)
    assert (told["dhcp"], told["autoconf"], told["addresses"]) == ("ipv4 ipv6", True, None)


def test_a_bond_is_told_with_how_it_watches_its_members() -> None:
    members = "<interface type='ethernet' name='eth0'/><interface type='ethernet' name='eth1'/>"
    told = interfaces.described(
        xml.parse(
            "<interface type='bond' name='bond0'><bond mode='active-backup'>"
            f"<miimon freq='100' updelay='10' downdelay='20' carrier='ioctl'/>{members}</bond></interface>"
        )
    )
    assert (told["bond_mode"], told["members"], told["bond_monitoring"]) == ("active-backup", "eth0\neth1", "mii")
    assert (told["bond_interval"], told["bond_up_delay"], told["bond_down_delay"]) == (100, 10, 20)
    told = interfaces.described(
        xml.parse(
            "<interface type='bond' name='bond0'><bond mode='balance-rr'>"
            f"<arpmon interval='300' target='192.0.2.1' validate='active'/>{members}</bond></interface>"
        )
    )
    assert (told["bond_monitoring"], told["bond_interval"], told["bond_target"]) == ("arp", 300, "192.0.2.1")


def test_a_vlan_is_told_with_its_number_and_a_link_without_a_speed_has_none() -> None:
    told = interfaces.described(
        xml.parse(
            "<interface type='vlan' name='eth0.42'><link speed='4294967295' state='up'/>"
            "<vlan tag='42'><interface name='eth0'/></vlan></interface>"
        )
    )
    assert (told["vlan"], told["members"], told["link_state"], told["link_speed"]) == (42, "eth0", "up", None)


TEST = {
    "virConnectListAllInterfaces", "virInterfaceChangeBegin", "virInterfaceChangeCommit", "virInterfaceChangeRollback",
    "virInterfaceCreate", "virInterfaceDefineXML", "virInterfaceDestroy", "virInterfaceGetMACString",
    "virInterfaceGetXMLDesc", "virInterfaceIsActive", "virInterfaceUndefine",
}  # fmt: skip
SYSTEM = {"virConnectListAllInterfaces", "virInterfaceGetMACString", "virInterfaceGetXMLDesc", "virInterfaceIsActive"}


def test_every_function_was_called(mock: Interfaces, real: Interfaces) -> None:
    assert TEST - mock.called() == set()
    assert SYSTEM - real.called() == set()
