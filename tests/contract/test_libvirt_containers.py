"""Containers of libvirt's LXC driver, which has no bulk statistics: they are read one by one, and controlled like any guest."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import libvirt
import pytest

from agent.__main__ import driver as driver_of
from agent.config import Hypervisor
from agent.errors import NotSupported
from agent.model import Domain, Host, Vcpu
from agent.model.domain import Destroy, DomainState, ManagedSave, Resume, SetMemory, Start, Suspend, Undefine
from agent.model.domain_events import DomainStarted
from drivers.libvirt import LibvirtDriver
from tests.containers import Containers
from tests.contract.subjects import Subject, connected
from tests.programs import unavailable
from tests.servers import Unavailable, eventually


@pytest.fixture(scope="module")
def server() -> Iterator[Containers]:
    """A private lxc:///system, on a host that can run a container."""
    try:
        made = Containers()
    except Unavailable as reason:
        if "not installed" in str(reason) and os.geteuid() == 0:
            unavailable(str(reason))
        pytest.skip(f"no containers here: {reason}")
    with made:
        if (reason := _refused(made)) is not None:
            pytest.skip(f"this host does not run containers: {reason}")
        yield made


def _refused(server: Containers) -> str | None:
    """Why a container cannot be started here, if so; found out without a word of ours in between."""
    try:
        virt = libvirt.open(server.uri)
        probe = virt.createXML(server.container("probe", str(uuid.uuid4())), 0)
        probe.destroy()
        virt.close()
    except libvirt.libvirtError as error:
        return str(error)
    return None


@pytest.fixture
def subject(server: Containers) -> Iterator[Subject]:
    driver = driver_of(Hypervisor(name="lxc", uri=server.uri))
    made = Subject(
        name="lxc", driver=driver, definition=lambda guest: server.container(guest.name, guest.uuid), real=False
    )
    with connected(made):
        yield made


def test_a_container_lives_from_its_definition_to_its_end(subject: Subject) -> None:
    guest = subject.define()
    row = subject.domain(guest)
    assert (row.state, row.type, row.memory, row.persistent) == (DomainState.SHUT_OFF, "lxc", 64 * 1024, True)
    subject.do(Start(), guest)
    subject.next_heard(lambda heard: isinstance(getattr(heard, "event", None), DomainStarted))
    row = subject.domain(guest)
    assert (row.state, row.vcpus, row.problem) == (DomainState.RUNNING, 1, "")
    assert row.id
    assert row.cpu_time
    assert row.memory_rss
    assert [vcpu.number for vcpu in subject.parts(Vcpu, guest)] == [0]
    subject.do(Suspend(), guest)
    assert subject.domain(guest).state is DomainState.PAUSED
    subject.do(Resume(), guest)
    assert subject.domain(guest).state is DomainState.RUNNING
    subject.do(SetMemory(memory=48 * 1024), guest)
    subject.do(Destroy(), guest)
    eventually(lambda: subject.domain(guest).state is DomainState.SHUT_OFF, what="the end of the container")
    subject.do(Undefine(), guest)
    assert subject.read([(Domain, (guest.uuid,))]).of(Domain) == []


def test_what_containers_cannot_do_is_not_supported_and_leaves_their_rows_whole(subject: Subject) -> None:
    guest = subject.define()
    subject.do(Start(), guest)
    with pytest.raises(NotSupported, match="cannot managed save: this function is not supported"):
        subject.do(ManagedSave(), guest)
    reading = subject.read()
    assert not reading.failed
    (row,) = [row for row in reading.of(Domain) if row.uuid == guest.uuid]
    assert row.problem == ""
    (host,) = reading.of(Host)
    assert (host.driver, host.problem) == ("LXC", "")
    driver = subject.driver
    assert isinstance(driver, LibvirtDriver)
    lacking = driver.connection.current().session.calls.lacking
    assert {"virConnect.domainListGetStats", "virDomain.vcpus"} <= lacking
    subject.do(Destroy(), guest)
    eventually(lambda: subject.domain(guest).state is DomainState.SHUT_OFF, what="the end of the container")
    subject.do(Undefine(), guest)


def test_containers_outlive_their_libvirtd(subject: Subject, server: Containers) -> None:
    guest = subject.define()
    subject.do(Start(), guest)
    (before,) = server.guest_pids()[-1:]
    server.restart()
    subject.driver.connect()
    assert subject.domain(guest).state is DomainState.RUNNING
    assert before in server.guest_pids()
    subject.do(Destroy(), guest)
    eventually(lambda: subject.domain(guest).state is DomainState.SHUT_OFF, what="the end of the container")
    subject.do(Undefine(), guest)
