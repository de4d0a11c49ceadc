"""Hypervisors for the contract suite: each started once a run, stopped at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from agent.model import Disk, Domain, Nic, Vcpu
from drivers.fake import Fake
from drivers.libvirt import LibvirtDriver
from drivers.libvirt.driver import STUCK
from tests.contract.subjects import Subject, connected, mock_xml, qemu_xml
from tests.programs import unavailable
from tests.servers import PrivateLibvirt, Session, System, Unavailable, write_node

ALL = frozenset((Domain, Vcpu, Disk, Nic))


def _need(kind: type[Session | System]) -> Session | System:
    """The server, or a skip that says what is missing; where CI is set, a failure."""
    try:
        return kind()
    except Unavailable as reason:
        if kind is System and os.geteuid() != 0:
            pytest.skip(f"{kind.__name__}: {reason}")
        unavailable(f"{kind.__name__}: {reason}")


@pytest.fixture(scope="session")
def session_libvirtd() -> Iterator[Session]:
    """A private qemu:///session."""
    with _need(Session) as server:
        assert isinstance(server, Session)
        yield server


@pytest.fixture(scope="session")
def system_libvirtd() -> Iterator[System]:
    """A private qemu:///system; root only."""
    with _need(System) as server:
        assert isinstance(server, System)
        yield server


@pytest.fixture(scope="session")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of a test-driver node of 1,000 domains."""
    return write_node(tmp_path_factory.mktemp("node") / "node.xml", domains=1000)


def mock_subject(uri: str) -> Subject:
    """libvirt's test driver: a hypervisor of its own kind, whose guests exist only in its memory."""
    return Subject(
        name="test", driver=LibvirtDriver("test", uri), definition=mock_xml, real=False, counts=ALL,
        starts_paused=False, has_agent=True,
    )  # fmt: skip


def qemu_subject(server: PrivateLibvirt, *, stuck: float = STUCK) -> Subject:
    """Real QEMU guests. A user-mode NIC has no end on the host that could be counted."""
    images = qemu_xml(lambda name: str(server.image(name, size=16)))
    driver = LibvirtDriver("qemu", server.uri, stuck=stuck)
    return Subject(name="qemu", driver=driver, definition=images, real=True, counts=ALL - {Nic})


def fake_subject() -> Subject:
    """Our own hypervisor in memory."""
    return Subject(
        name="fake", driver=Fake("fake", "fake:///?domains=300"), definition=mock_xml, real=False, counts=ALL,
        has_agent=True,
    )  # fmt: skip


SUBJECTS = ("fake", "test-default", "test-thousand", "test-rpc", "session", "system")


@pytest.fixture(scope="session", params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """Each hypervisor in turn, connected."""
    need = request.getfixturevalue
    match request.param:
        case "fake":
            made = fake_subject()
        case "test-default":
            made = mock_subject("test:///default")
        case "test-thousand":
            made = mock_subject(need("thousand"))
        case "test-rpc":
            made = mock_subject(need("session_libvirtd").test_uri())
        case "session":
            made = qemu_subject(need("session_libvirtd"))
        case "system":
            made = qemu_subject(need("system_libvirtd"))
        case other:
            raise AssertionError(other)
    with connected(made):
        yield made
