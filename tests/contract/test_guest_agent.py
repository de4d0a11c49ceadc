"""The guest agent: what it tells becomes rows, what it is asked for it does, and when it hangs nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import libvirt
import libvirt_qemu
import pytest
from lxml import etree

from agent.driver import Happened, Heard
from agent.errors import Busy, Failed, Invalid, NotSupported, VirtmapError
from agent.model import Domain
from agent.model.device_events import GuestAgentChanged
from agent.model.domain import (
    Destroy,
    DomainState,
    PasswordFlags,
    ReadXml,
    SetUserPassword,
    Shutdown,
    ShutdownFlags,
    Start,
    Suspend,
)
from agent.model.filesystem import Filesystem, GuestDisk
from agent.model.guest import (
    AgentTimeout,
    FreezeFilesystems,
    ReadAddresses,
    ReadFilesystems,
    ReadGuestVcpus,
    ReadSshKeys,
    SetAgentTimeout,
    SetGuestVcpus,
    SetSshKeys,
    SshKeysFlags,
    ThawFilesystems,
    TrimFilesystems,
)
from agent.model.guest_interface import AddressSource, AddressType, GuestAddress, GuestInterface
from agent.model.guest_user import GuestUser
from agent.schema.declare import Operation
from agent.schema.types import Secret
from drivers.libvirt import LibvirtDriver
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Reading, Subject, Wanted, connected
from tests.guest_agent import GuestAgent, with_agent
from tests.servers import Session, System, eventually

KEY, OTHER = "ssh-ed25519 AAAAC3NzaC1 somebody@example", "ssh-rsa AAAAB3NzaC1 another@example"


@pytest.fixture(scope="module")
def qemu(session_libvirtd: Session) -> Iterator[Subject]:
    """QEMU, whose guests have a channel for an agent."""
    session_libvirtd.start()
    made = qemu_subject(session_libvirtd)
    plain = made.definition
    made.definition = lambda guest: with_agent(plain(guest), session_libvirtd)
    with connected(made):
        yield made


@pytest.fixture(scope="module")
def mock() -> Iterator[Subject]:
    with connected(mock_subject("test:///default")) as made:
        yield made


@contextmanager
def running(subject: Subject, **changes: Any) -> Iterator[Wanted]:
    made = subject.define(**changes)
    subject.do(Start(), made)
    try:
        yield made
    finally:
        if subject.domain(made).state is not DomainState.SHUT_OFF:
            subject.do(Destroy(), made)


@pytest.fixture(scope="module")
def guest(qemu: Subject) -> Iterator[Wanted]:
    """A running guest in which no agent runs."""
    with running(qemu, vcpus=2) as made:
        yield made


@pytest.fixture
def agent(qemu: Subject, session_libvirtd: Session, guest: Wanted) -> Iterator[GuestAgent]:
    """Its agent, connected."""
    with talking(qemu, session_libvirtd, guest) as made:
        yield made


@contextmanager
def begun(qemu: Subject, server: Session, guest: Wanted, **furniture: Any) -> Iterator[GuestAgent]:
    """An agent that begins; at the end it has gone."""
    with GuestAgent(server=server, guest=guest.name, **furniture) as made:
        yield made
    only = [(Domain, (guest.uuid,))]
    eventually(lambda: not any(row.agent_connected for row in qemu.read(only).of(Domain)), what="the end of the agent")


@contextmanager
def talking(qemu: Subject, server: Session, guest: Wanted, **changes: Any) -> Iterator[GuestAgent]:
    """An agent that is connected, in a furnished guest."""
    with begun(qemu, server, guest, **(furnished(qemu, guest) | changes)) as made:
        eventually(lambda: qemu.domain(guest).agent_connected, what="the agent")
        yield made


def furnished(qemu: Subject, guest: Wanted) -> dict[str, Any]:
    """What there is in the guest: its first disk has two partitions with file systems."""
    places = disk_places(qemu, guest)
    on_vda = [{"pci-controller": places["vda"], "bus-type": "virtio", "bus": 0, "target": 0, "unit": 0, "serial": "serial-0",
               "dev": "/dev/vda1"}]  # fmt: skip
    return {
        "users": [{"user": "anna", "login-time": 1700000000.25}, {"user": "bert", "domain": "OFFICE", "login-time": 1700000001}],
        "filesystems": [
            {"name": "vda1", "mountpoint": "/", "type": "ext4", "total-bytes": 1000, "used-bytes": 600, "disk": on_vda},
            {"name": "vda2", "mountpoint": "/var", "type": "xfs", "disk": on_vda},
            {"name": "tmpfs", "mountpoint": "/tmp", "type": "tmpfs", "total-bytes": 50, "used-bytes": 0, "disk": []},
        ],
        "disks": [
            {"name": "/dev/vda", "partition": False, "dependencies": [], "address": on_vda[0]},
            {"name": "/dev/vda1", "partition": True, "dependencies": ["/dev/vda"], "alias": "system"},
        ],
        "interfaces": [
            {"name": "lo", "hardware-address": "00:00:00:00:00:00",
             "ip-addresses": [{"ip-address": "127.0.0.1", "ip-address-type": "ipv4", "prefix": 8}]},
            {"name": "eth0", "hardware-address": guest.macs[0].upper(), "ip-addresses": [
                {"ip-address": "192.0.2.7", "ip-address-type": "ipv4", "prefix": 24},
                {"ip-address": "2001:db8::7", "ip-address-type": "ipv6", "prefix": 64},
            ]},
            {"name": "bare0"},
        ],
        "vcpus": {0: True, 1: True},
    }  # fmt: skip


def disk_places(qemu: Subject, guest: Wanted) -> Mapping[str, dict[str, int]]:
    """Where the guest finds its disks: PCI addresses by target."""
    root = etree.fromstring(qemu.do(ReadXml(), guest)["xml"])
    return {
        str(disk.find("target").get("dev")): {  # type: ignore[union-attr]
            name: int(str(disk.find("address").get(name)), 16)  # type: ignore[union-attr]
            for name in ("domain", "bus", "slot", "function")
        }
        for disk in root.findall("devices/disk")
    }


def whole(subject: Subject, guest: Wanted) -> Reading:
    reading = subject.read([(Domain, (guest.uuid,))])
    assert not reading.failed
    return reading


def called(subject: Subject, *names: str) -> list[int]:
    driver = subject.driver
    assert isinstance(driver, LibvirtDriver)
    return [driver.called[f"virDomain.{name}"] for name in names]


# Reading


def test_a_guest_whose_agent_is_not_there_is_asked_nothing(qemu: Subject, guest: Wanted) -> None:
    before = called(qemu, "guestInfo", "agentSetResponseTimeout", "guestVcpus", "fsInfo")
    row = qemu.domain(guest)
    assert row.agent_connected is False
    assert (row.agent_updated, row.guest_hostname, row.guest_vcpus) == (None, None, None)
    assert called(qemu, "guestInfo", "agentSetResponseTimeout", "guestVcpus", "fsInfo") == before


def test_a_guest_without_a_channel_says_nothing_of_an_agent(mock: Subject) -> None:
    assert mock.domain(mock.define()).agent_connected is None


def test_what_the_agent_tells_fills_columns_of_the_domain(qemu: Subject, guest: Wanted, agent: GuestAgent) -> None:
    row = qemu.domain(guest)
    assert (row.guest_hostname, row.guest_timezone, row.guest_utc_offset) == ("inside.example", "CEST", 7200)
    assert (row.guest_os_id, row.guest_os, row.guest_os_pretty) == (
        "debian", "Debian GNU/Linux", "Debian GNU/Linux 12 (bookworm)",
    )  # fmt: skip
    assert (row.guest_os_version, row.guest_os_version_id) == ("12 (bookworm)", "12")
    assert (row.guest_os_variant, row.guest_os_variant_id) == ("Server", "server")
    assert (row.guest_kernel, row.guest_kernel_build) == ("6.1.0-9-amd64", "#1 SMP Debian 6.1.27-1")
    assert (row.guest_machine, row.guest_users) == ("x86_64", 2)
    assert (row.guest_vcpus, row.guest_vcpus_online, row.guest_offlinable) == ("0-1", "0-1", "1")
    assert row.agent_updated is not None
    assert row.problem == ""


def test_file_systems_users_and_disks_of_the_guest_are_rows(qemu: Subject, guest: Wanted, agent: GuestAgent) -> None:
    reading = whole(qemu, guest)
    mounted = {row.mountpoint: row for row in reading.of(Filesystem)}
    assert set(mounted) == {"/", "/var", "/tmp"}
    root = mounted["/"]
    assert (root.device, root.type, root.total, root.used) == ("vda1", "ext4", 1000, 600)
    assert (root.disks, root.serials) == ("vda", "serial-0")
    assert (mounted["/var"].total, mounted["/tmp"].disks) == (None, "")
    users = {row.name: row for row in reading.of(GuestUser)}
    assert set(users) == {"anna", "OFFICE\\bert"}
    assert users["anna"].login == datetime.fromtimestamp(1700000000.25, UTC)
    assert (users["anna"].authority, users["OFFICE\\bert"].authority) == (None, "OFFICE")
    disks = {row.name: row for row in reading.of(GuestDisk)}
    assert (disks["/dev/vda"].target, disks["/dev/vda"].partition, disks["/dev/vda"].serial) == (
        "vda",
        False,
        "serial-0",
    )
    assert (disks["/dev/vda1"].parts, disks["/dev/vda1"].alias, disks["/dev/vda1"].target) == (
        "/dev/vda",
        "system",
        None,
    )


def test_interfaces_and_addresses_of_the_guest_are_rows(qemu: Subject, guest: Wanted, agent: GuestAgent) -> None:
    reading = whole(qemu, guest)
    interfaces = {row.interface: row for row in reading.of(GuestInterface)}
    assert {row.source for row in interfaces.values()} == {AddressSource.AGENT}
    assert interfaces["eth0"].mac == guest.macs[0]
    assert {name: row.addresses for name, row in interfaces.items()} == {"lo": 1, "eth0": 2, "bare0": 0}
    assert interfaces["bare0"].mac is None
    addresses = {row.address: row for row in reading.of(GuestAddress)}
    assert {name: (row.interface, row.type, row.prefix) for name, row in addresses.items()} == {
        "127.0.0.1": ("lo", AddressType.IPV4, 8),
        "192.0.2.7": ("eth0", AddressType.IPV4, 24),
        "2001:db8::7": ("eth0", AddressType.IPV6, 64),
    }


def settled(qemu: Subject, guest: Wanted, agent: GuestAgent) -> bool:
    """Whether a reading asks the agent nothing: that it connected, libvirt tells a moment after it shows."""
    before = len(agent.heard)
    whole(qemu, guest)
    return len(agent.heard) == before


def test_the_agent_is_asked_when_it_connects_and_not_at_every_reading(
    qemu: Subject, guest: Wanted, agent: GuestAgent
) -> None:
    eventually(lambda: settled(qemu, guest, agent), what="a reading that asks nothing")
    asked = agent.commands()
    assert "guest-get-osinfo" in asked
    for _ in range(3):
        assert whole(qemu, guest).of(Filesystem)
    assert agent.commands() == asked


def test_an_agent_that_comes_or_goes_is_news(qemu: Subject, session_libvirtd: Session, guest: Wanted) -> None:
    def told(each: Heard) -> bool:
        return isinstance(each, Happened) and isinstance(each.event, GuestAgentChanged) and each.key == (guest.uuid,)

    with begun(qemu, session_libvirtd, guest, **furnished(qemu, guest)) as agent:
        qemu.next_heard(told)
        eventually(lambda: qemu.domain(guest).agent_connected, what="the agent")
        assert whole(qemu, guest).of(Filesystem)
        agent.close()
        qemu.next_heard(told)
        eventually(lambda: qemu.domain(guest).agent_connected is False, what="the end of the agent")
        reading = whole(qemu, guest)
        assert reading.of(Filesystem) == reading.of(GuestUser) == reading.of(GuestAddress) == []
        assert reading.of(Domain)[0].guest_hostname is None


def test_an_agent_that_hangs_costs_one_short_wait_and_what_it_has_not_told_yet(
    qemu: Subject, session_libvirtd: Session, guest: Wanted
) -> None:
    furniture = furnished(qemu, guest)
    with begun(qemu, session_libvirtd, guest, silent={"guest-get-fsinfo"}, **furniture) as agent:
        began = time.monotonic()
        row = eventually(lambda: at_last(qemu.domain(guest)), what="the agent")
        assert time.monotonic() - began < 8
        assert (row.state, row.guest_hostname, row.guest_vcpus) == (DomainState.RUNNING, "inside.example", None)
        assert "guest-get-fsinfo" in agent.commands()
        assert "guest-get-vcpus" not in agent.commands()  # it is not asked for more
        eventually(lambda: settled(qemu, guest, agent), within=20, what="a reading that asks nothing")
        assert whole(qemu, guest).of(Filesystem) == []


def at_last(row: Domain) -> Domain | None:
    """The row, once the agent is connected."""
    return row if row.agent_connected else None


def test_an_agent_that_says_nothing_at_all_does_not_hang_the_reading(
    qemu: Subject, session_libvirtd: Session, guest: Wanted
) -> None:
    silent = {"guest-sync", "guest-sync-delimited"}
    with begun(qemu, session_libvirtd, guest, silent=silent) as agent:
        began = time.monotonic()
        row = eventually(lambda: at_last(qemu.domain(guest)), what="the agent")
        assert time.monotonic() - began < 8
        assert row.guest_hostname is None
        assert "agent" in row.problem
        assert agent.commands() == []


def test_a_reading_does_not_wait_while_somebody_else_waits_for_the_agent(
    qemu: Subject, session_libvirtd: Session, guest: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libvirt itself would have it wait for half a minute."""
    monkeypatch.setattr("drivers.libvirt.domains.guest.LIMIT", 0.5)
    virt = libvirt.open(session_libvirtd.uri)

    def wait_for_it() -> None:
        with suppress(libvirt.libvirtError):  # the agent ends without having answered
            libvirt_qemu.qemuAgentCommand(virt.lookupByName(guest.name), '{"execute": "guest-ping"}', -2, 0)

    with talking(qemu, session_libvirtd, guest, silent={"guest-ping"}) as agent:
        waiting = threading.Thread(target=wait_for_it, daemon=True)
        waiting.start()
        eventually(lambda: "guest-ping" in agent.commands(), what="the other one's command")
        with connected(qemu_subject(session_libvirtd)) as other:
            began = time.monotonic()
            row = other.domain(guest)
            assert time.monotonic() - began < 15
            assert (row.state, row.agent_connected, row.guest_hostname) == (DomainState.RUNNING, True, None)
    waiting.join(20)
    virt.close()


def test_what_a_hostile_guest_tells_is_cut_to_what_rows_can_hold(
    qemu: Subject, session_libvirtd: Session, guest: Wanted
) -> None:
    long = "ä" * 5000
    nonsense: dict[str, Any] = {
        "hostname": f"evil\n\x1b[2J{long}",
        "timezone": (long, -(2**31)),
        "users": [{"user": "", "login-time": 0}, {"user": "far\x00", "login-time": 1e15}],
        "filesystems": [{"name": long, "mountpoint": long, "type": "a\tb", "disk": []},
                        {"name": "above", "mountpoint": "/", "type": "a", "disk": []},
                        {"name": "below", "mountpoint": "/", "type": "b", "disk": []}],
        "disks": [{"name": "", "partition": False}, {"name": "a\nb", "partition": True, "dependencies": [long, "c\nd"]}],
        "interfaces": [
            {"name": "eth0", "hardware-address": "no address",
             "ip-addresses": [{"ip-address": "not\nan address", "ip-address-type": "ipv4", "prefix": 4000}]},
            {"name": "ib0", "hardware-address": ":".join(["00"] * 20)},
        ],
    }  # fmt: skip
    with talking(qemu, session_libvirtd, guest, **nonsense):
        reading = whole(qemu, guest)
    (row,) = reading.of(Domain)
    assert row.guest_hostname.startswith("evil??[2Jä")
    assert len(row.guest_hostname.encode()) <= 255
    assert row.guest_utc_offset == -(2**31)
    assert all(user.name.isprintable() for user in reading.of(GuestUser))
    mounted = {each.mountpoint: each for each in reading.of(Filesystem)}
    assert len(mounted) == 2
    assert all(len(at.encode()) <= 4096 for at in mounted)
    assert (mounted["/"].device, mounted["/"].type) == ("above", "a")  # the agent tells what was mounted last first
    (disk,) = reading.of(GuestDisk)
    assert (disk.name, disk.parts.count("\n")) == ("a?b", 1)
    assert [(each.interface, each.mac) for each in reading.of(GuestInterface)] == [("eth0", None), ("ib0", None)]
    (address,) = reading.of(GuestAddress)
    assert (address.address, address.prefix) == ("not?an address", None)


def test_the_mocks_guests_have_file_systems_and_addresses(mock: Subject) -> None:
    with running(mock) as made:
        reading = whole(mock, made)
        assert {row.mountpoint: (row.device, row.type, row.disks) for row in reading.of(Filesystem)} == {
            "/": ("vda1", "ext4", "vda"),
            "/boot": ("vda2", "ext4", "vda"),
        }
        assert {row.source for row in reading.of(GuestInterface)} == set(AddressSource)
        addresses = reading.of(GuestAddress)
        assert {(row.type, row.prefix) for row in addresses} == {(AddressType.IPV4, 24)}
        assert len({row.key for row in addresses}) == len(addresses) == 3 * len(made.macs)
    assert whole(mock, made).of(Filesystem) == []


def test_a_domain_whose_network_has_gone_is_still_there(system_libvirtd: System) -> None:
    system_libvirtd.start()
    with connected(qemu_subject(system_libvirtd)) as subject:
        plain = subject.definition
        subject.definition = lambda guest: plain(guest).replace(
            "<interface type='user'>", "<interface type='network'><source network='leaving'/>"
        )
        virt = libvirt.open(system_libvirtd.uri)
        network = virt.networkDefineXML("<network><name>leaving</name><bridge name='vmleave0'/></network>")
        network.create()
        with running(subject) as made:
            network.destroy()
            network.undefine()
            row = subject.domain(made)
            assert row.state is DomainState.RUNNING
            assert called(subject, "interfaceAddresses") >= [2]
        virt.close()


# Doing


def test_what_is_mounted_is_read_at_once(qemu: Subject, guest: Wanted, agent: GuestAgent, mock: Subject) -> None:
    del agent.filesystems[1:]
    assert qemu.do(ReadFilesystems(), guest) == {"filesystems": "/\text4\tvda1\tvda"}
    with running(mock) as other:
        told = mock.do(ReadFilesystems(), other)["filesystems"]
        assert told.splitlines() == ["/\text4\tvda1\tvda", "/boot\text4\tvda2\tvda"]
    assert called(qemu, "fsInfo") >= [1]


def test_addresses_are_read_at_once_from_each_source(qemu: Subject, guest: Wanted, agent: GuestAgent) -> None:
    agent.interfaces[1]["ip-addresses"] = [{"ip-address": "192.0.2.9", "ip-address-type": "ipv4", "prefix": 25}]
    told = qemu.do(ReadAddresses(), guest)["addresses"].splitlines()
    assert f"eth0\t{guest.macs[0].upper()}\t192.0.2.9/25" in told
    assert qemu.do(ReadAddresses(source=AddressSource.LEASE), guest) == {"addresses": ""}
    with suppress(Failed):  # libvirt 9.0 does not understand what a recent kernel tells of its neighbours
        assert qemu.do(ReadAddresses(source=AddressSource.ARP), guest) == {"addresses": ""}


def test_the_guest_uses_fewer_vcpus_and_more_again(qemu: Subject, guest: Wanted, agent: GuestAgent) -> None:
    assert qemu.do(ReadGuestVcpus(), guest) == {"vcpus": "0-1", "online": "0-1", "offlinable": "1"}
    qemu.do(SetGuestVcpus(vcpus="1", online=False), guest)
    assert agent.vcpus == {0: True, 1: False}
    assert qemu.do(ReadGuestVcpus(), guest)["online"] == "0"
    qemu.do(SetGuestVcpus(vcpus="0-1", online=True), guest)
    assert agent.vcpus == {0: True, 1: True}
    with pytest.raises(VirtmapError, match=f"domain {guest.name}: cannot set guest vcpus: "):
        qemu.do(SetGuestVcpus(vcpus="7", online=False), guest)


def test_vcpus_that_cannot_be_read_raise_what_libvirt_says(qemu: Subject, guest: Wanted) -> None:
    """libvirt-python gives None for it and raises nothing."""
    with pytest.raises(Busy, match=f"domain {guest.name}: cannot read guest vcpus: .*agent is not connected"):
        qemu.do(ReadGuestVcpus(), guest)


def test_file_systems_are_frozen_and_thawed(qemu: Subject, guest: Wanted, agent: GuestAgent) -> None:
    assert qemu.do(FreezeFilesystems(), guest) == {"frozen": 3}
    assert agent.frozen == ["/", "/var", "/tmp"]
    with pytest.raises(Failed, match=f"domain {guest.name}: cannot freeze filesystems: .*frozen already"):
        qemu.do(FreezeFilesystems(), guest)
    assert qemu.do(ThawFilesystems(), guest) == {"thawed": 3}
    assert qemu.do(FreezeFilesystems(mountpoints="/var\n/nowhere\n"), guest) == {"frozen": 1}
    assert agent.frozen == ["/var"]
    assert qemu.do(ThawFilesystems(), guest) == {"thawed": 1}
    assert qemu.do(ThawFilesystems(), guest) == {"thawed": 0}


def test_file_systems_are_trimmed(qemu: Subject, guest: Wanted, agent: GuestAgent) -> None:
    qemu.do(TrimFilesystems(minimum=1 << 20), guest)
    assert agent.heard[-1] == ("guest-fstrim", {"minimum": 1 << 20})
    with pytest.raises((NotSupported, Invalid), match=r"cannot trim filesystems: .*mount point"):
        qemu.do(TrimFilesystems(mountpoint="/"), guest)


def test_keys_that_let_somebody_in_are_read_added_replaced_and_taken_away(
    qemu: Subject, guest: Wanted, agent: GuestAgent
) -> None:
    qemu.do(SetSshKeys(user="root", keys=f"{KEY}\n"), guest)
    qemu.do(SetSshKeys(user="root", keys=OTHER, flags=SshKeysFlags.APPEND), guest)
    assert qemu.do(ReadSshKeys(user="root"), guest) == {"keys": f"{KEY}\n{OTHER}"}
    qemu.do(SetSshKeys(user="root", keys=KEY, flags=SshKeysFlags.REMOVE), guest)
    assert agent.keys == {"root": [OTHER]}
    qemu.do(SetSshKeys(user="root", keys=KEY), guest)
    assert agent.keys == {"root": [KEY]}
    for operation in (ReadSshKeys(user="nobody"), SetSshKeys(user="nobody", keys=KEY)):
        with pytest.raises(Failed, match="failed to lookup user 'nobody'"):
            qemu.do(operation, guest)


def test_a_password_is_set_by_the_agent(qemu: Subject, guest: Wanted, agent: GuestAgent) -> None:
    qemu.do(SetUserPassword(user="anna", password=Secret("open sesame"), flags=PasswordFlags(0)), guest)
    assert agent.passwords == {"anna": "open sesame"}


def test_a_guest_shuts_down_when_its_agent_is_asked(qemu: Subject, session_libvirtd: Session) -> None:
    with running(qemu) as made, talking(qemu, session_libvirtd, made) as agent:
        qemu.do(Shutdown(flags=ShutdownFlags.GUEST_AGENT), made)
        assert agent.heard[-1] == ("guest-shutdown", {"mode": "powerdown"})
        only = [(Domain, (made.uuid,))]
        eventually(
            lambda: [r.state for r in qemu.read(only).of(Domain)] == [DomainState.SHUT_OFF], what="the guest's end"
        )


def waits(server: Session, guest: Wanted) -> str | None:
    """How long libvirt waits for the agent, from what it notes of a running guest for itself."""
    return etree.parse(server.guest_pid_folder / f"{guest.name}.xml").findtext("agentTimeout")


def test_readings_leave_how_long_others_wait_for_the_agent_as_it_was(
    qemu: Subject, session_libvirtd: Session, guest: Wanted
) -> None:
    with talking(qemu, session_libvirtd, guest) as agent:
        assert waits(session_libvirtd, guest) == "-2"
        qemu.do(SetAgentTimeout(seconds=30), guest)
        agent.close()
        eventually(lambda: qemu.domain(guest).agent_connected is False, what="the end of the agent")
        agent.open()
        before = called(qemu, "agentSetResponseTimeout")[0]
        eventually(lambda: qemu.domain(guest).agent_connected, what="the agent")
        assert called(qemu, "agentSetResponseTimeout") == [before + 2]
        assert waits(session_libvirtd, guest) == "30"
        qemu.do(SetAgentTimeout(patience=AgentTimeout.NO_WAIT), guest)
        assert waits(session_libvirtd, guest) == "0"
        agent.silent = {"guest-get-vcpus"}
        qemu.do(SetAgentTimeout(seconds=1), guest)
        with pytest.raises(Busy, match=f"domain {guest.name}: cannot read guest vcpus: .*agent"):
            qemu.do(ReadGuestVcpus(), guest)
        qemu.do(SetAgentTimeout(), guest)
        assert waits(session_libvirtd, guest) == "-2"


def test_a_guest_that_stands_still_is_not_asked_and_has_no_problem(qemu: Subject, session_libvirtd: Session) -> None:
    with running(qemu) as made, talking(qemu, session_libvirtd, made) as agent:
        qemu.do(Suspend(), made)
        with pytest.raises(Invalid, match="not running"):
            qemu.do(ReadFilesystems(), made)
        agent.heard.clear()
        assert qemu.domain(made).problem == ""
        assert agent.commands() == []


@pytest.mark.parametrize(
    "operation",
    [
        ReadFilesystems(),
        ReadAddresses(),
        SetGuestVcpus(vcpus="0", online=True),
        FreezeFilesystems(),
        ThawFilesystems(),
        TrimFilesystems(),
        ReadSshKeys(user="root"),
        SetSshKeys(user="root", keys=KEY),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_without_an_agent_nothing_can_be_asked_of_it(qemu: Subject, guest: Wanted, operation: Operation) -> None:
    with pytest.raises(Busy, match=f"domain {guest.name}: cannot {operation.verb()}: .*agent is not connected"):
        qemu.do(operation, guest)


def test_the_mock_freezes_thaws_and_trims(mock: Subject) -> None:
    with running(mock) as made:
        assert mock.do(FreezeFilesystems(), made) == {"frozen": 2}
        assert mock.do(ThawFilesystems(mountpoints="/boot"), made) == {"thawed": 1}
        assert mock.do(ThawFilesystems(), made) == {"thawed": 1}
        mock.do(TrimFilesystems(), made)
        told = mock.do(ReadAddresses(source=AddressSource.LEASE), made)["addresses"].splitlines()
        assert len(told) == len(made.macs)
        assert all(line.endswith("/24") for line in told)
        for operation in (
            ReadGuestVcpus(),
            SetGuestVcpus(vcpus="0", online=True),
            ReadSshKeys(user="root"),
            SetAgentTimeout(),
        ):
            with pytest.raises(NotSupported, match="not supported by the connection driver"):
                mock.do(operation, made)


def test_each_function_of_the_guest_agent_was_called(qemu: Subject) -> None:
    """Last: the tests above have called them on real libvirt."""
    names = (
        "guestInfo", "fsInfo", "guestVcpus", "setGuestVcpus", "fsFreeze", "fsThaw", "fSTrim", "authorizedSSHKeysGet",
        "authorizedSSHKeysSet", "interfaceAddresses", "agentSetResponseTimeout", "setUserPassword",
    )  # fmt: skip
    assert [name for name, times in zip(names, called(qemu, *names), strict=True) if not times] == []
