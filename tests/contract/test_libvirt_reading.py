"""How much a reading costs, and whom a failure costs: definitions are kept, a locked or broken guest stands alone."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from agent.driver import Root
from agent.errors import Busy
from agent.model import Disk, Domain, Host, Vcpu
from agent.model.disk import DiskError
from agent.model.domain import DomainState, SetAutostart, SetVcpus, Start
from agent.model.domain_events import DomainResumed, DomainStarted, DomainSuspended
from agent.schema import libvirt_api
from drivers.libvirt import LibvirtDriver
from drivers.libvirt.calls import Calls
from drivers.libvirt.reading import Reader
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, connected
from tests.servers import PAUSED, RUNNING, SHUT_OFF, Session, eventually, node_uuid, write_node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Subject]:
    """A test-driver node of 1,000 domains of this test's own."""
    with connected(mock_subject(write_node(tmp_path / "node.xml", domains=1000))) as made:
        yield made


@pytest.fixture
def qemu(session_libvirtd: Session) -> Iterator[Subject]:
    session_libvirtd.start()
    with connected(qemu_subject(session_libvirtd, stuck=0.2)) as made:
        yield made


def calls(subject: Subject, name: str) -> int:
    driver = subject.driver
    assert isinstance(driver, LibvirtDriver)
    return driver.called[name]


def test_a_definition_is_not_read_again_because_somebody_suspends_or_resumes_the_domain(
    session_libvirtd: Session,
) -> None:
    session_libvirtd.start()
    uri = session_libvirtd.test_uri()
    other = libvirt.open(uri)
    with connected(mock_subject(uri)) as subject:
        guest = other.lookupByName("test")
        root: Root = (Domain, (guest.UUIDString(),))
        subject.read([root])
        for change, event, state in (
            (guest.suspend, DomainSuspended, DomainState.PAUSED),
            (guest.resume, DomainResumed, DomainState.RUNNING),
        ):
            before = calls(subject, "virDomain.XMLDesc")
            change()
            subject.next_heard(lambda heard, event=event: isinstance(getattr(heard, "event", None), event))
            (row,) = subject.read([root]).of(Domain)
            assert row.state is state
            assert calls(subject, "virDomain.XMLDesc") == before
        guest.destroy()
        guest.create()
        subject.next_heard(lambda heard: isinstance(getattr(heard, "event", None), DomainStarted))
        subject.read([root])
        assert calls(subject, "virDomain.XMLDesc") > before
    other.close()


def test_a_thousand_domains_are_all_told(node: Subject) -> None:
    reading = node.read()
    assert len(reading.of(Domain)) == 1000
    assert len(reading.of(Disk)) == 2000
    states = {RUNNING: DomainState.RUNNING, PAUSED: DomainState.PAUSED, SHUT_OFF: DomainState.SHUT_OFF}
    for number, wanted in enumerate((RUNNING, PAUSED, SHUT_OFF)):
        (row,) = [row for row in reading.of(Domain) if row.uuid == node_uuid(number)]
        assert row.state is states[wanted]
        assert (row.max_memory, row.memory, row.vcpus) == (1048576, 524288, 2)
    errors = {row.error for row in reading.of(Disk) if row.domain == node_uuid(0)}
    assert errors == {DiskError.UNSPECIFIED, DiskError.NO_SPACE}, "what the test driver plays"


def test_definitions_are_read_once(node: Subject) -> None:
    node.read()
    before = calls(node, "virDomain.XMLDesc")
    assert before >= 1000
    node.read()
    assert calls(node, "virDomain.XMLDesc") == before


def test_membership_costs_one_listing_each(node: Subject) -> None:
    node.do(SetAutostart(autostart=True), node.wanted(uuid=node_uuid(5)))
    reading = node.read()
    assert [row.uuid for row in reading.of(Domain) if row.autostart] == [node_uuid(5)]
    assert calls(node, "virDomain.autostart") == 0


def test_a_changed_definition_is_read_again(qemu: Subject) -> None:
    guest = qemu.define()
    qemu.read()
    before = calls(qemu, "virDomain.XMLDesc")
    qemu.do(SetVcpus(vcpus=2), guest)
    qemu.next_heard(lambda told: guest.uuid in str(told))
    assert qemu.domain(guest).config_vcpus == 2
    assert calls(qemu, "virDomain.XMLDesc") > before


def test_a_change_by_somebody_else_is_seen(qemu: Subject, session_libvirtd: Session) -> None:
    guest = qemu.define()
    assert qemu.domain(guest).config_vcpus == 1
    with connected(qemu_subject(session_libvirtd)) as other:
        other.do(SetVcpus(vcpus=3), guest)
    eventually(lambda: qemu.domain(guest).config_vcpus == 3, what="the other vCPUs")


def test_a_function_that_a_hypervisor_lacks_is_asked_for_once(node: Subject) -> None:
    node.read()
    node.read()
    assert calls(node, "virDomain.blockStatsFlags") == 1


def test_a_domain_that_went_after_the_plan_has_no_rows_and_did_not_fail(node: Subject) -> None:
    transient = node.driver.plan([(Domain, (node_uuid(7),))])
    driver = node.driver
    assert isinstance(driver, LibvirtDriver)
    live = driver.connection.current().virt
    domain = live.lookupByUUIDString(node_uuid(7))
    if domain.isActive():
        domain.destroy()
    domain.undefine()
    (piece,) = transient.pieces
    batch = piece.read()
    assert (batch.rows, dict(batch.failed)) == ([], {})


def test_a_guest_that_hangs_costs_only_its_own_row(qemu: Subject, session_libvirtd: Session) -> None:
    hung, well = qemu.define(), qemu.define()
    for guest in (hung, well):
        qemu.do(Start(), guest)
    qemu.read()
    pid = _pid(session_libvirtd, hung.name)
    os.kill(pid, signal.SIGSTOP)
    try:
        # The first reading waits for the guest's monitor, as would any client; it is left alone, as the inventory does.
        root = (Domain, (hung.uuid,))
        waiting = threading.Thread(target=_read_in_vain, args=(qemu, root), daemon=True)
        waiting.start()
        eventually(lambda: _is_waited_for(qemu, hung.uuid), what="a call that waits for the monitor")
        eventually(lambda: _calls(qemu).longest() > 0.2, what="a call that is stuck")
        reading = qemu.read()
        assert set(reading.failed) == {root}
        assert isinstance(reading.failed[root], Busy)
        assert hung.name in str(reading.failed[root])
        told = {row.uuid: row for row in reading.of(Domain)}
        assert told[well.uuid].memory_rss
        assert hung.uuid not in told
        first = _at_first_sight(session_libvirtd, hung.uuid)
        assert first.state is DomainState.RUNNING
        assert "locked" in str(first.problem)
        assert first.memory_rss is None
    finally:
        os.kill(pid, signal.SIGCONT)
    assert _calls(qemu).longest() < 0.2, "everybody but the hung call went on by a new connection"
    waiting.join(20)
    assert not waiting.is_alive()
    assert qemu.domain(hung).memory_rss


def _is_waited_for(qemu: Subject, uuid: str) -> bool:
    """Whether some call holds the guest and waits for its monitor."""
    driver = qemu.driver
    assert isinstance(driver, LibvirtDriver)
    state, *_ = driver.connection.current().virt.lookupByUUIDString(uuid).controlInfo()
    return bool(state == libvirt.VIR_DOMAIN_CONTROL_OCCUPIED)


def _read_in_vain(qemu: Subject, root: Root) -> None:
    """A reading that outlives its connection."""
    with contextlib.suppress(Busy):
        qemu.read([root])


def _calls(qemu: Subject) -> Calls:
    driver = qemu.driver
    assert isinstance(driver, LibvirtDriver)
    reader = driver.connection.current().session
    assert isinstance(reader, Reader)
    return reader.calls


def _pid(server: Session, name: str) -> int:
    return int((server.guest_pid_folder / f"{name}.pid").read_text())


def _at_first_sight(server: Session, uuid: str) -> Domain:
    """What a driver tells that never saw the guest in health."""
    with connected(qemu_subject(server)) as fresh:
        return next(row for row in fresh.read([(Domain, (uuid,))]).of(Domain))


def test_the_host_is_a_piece_of_its_own(node: Subject) -> None:
    pieces = [piece for piece in node.driver.plan().pieces if any(row is Host for row, _ in piece.roots)]
    assert [len(piece.roots) for piece in pieces] == [1]


def test_offline_vcpus_of_a_stopped_guest_are_those_of_its_definition(node: Subject) -> None:
    rows = node.read([(Domain, (node_uuid(2),))]).of(Vcpu)
    assert [row.number for row in rows] == [0, 1]
    assert all(row.cpu_time is None for row in rows)


def test_every_function_called_is_a_function_of_libvirt(node: Subject) -> None:
    node.read()
    driver = node.driver
    assert isinstance(driver, LibvirtDriver)
    bound = {function.python for function in libvirt_api.functions().values()}
    unknown = set(driver.called) - bound
    assert unknown == set()
