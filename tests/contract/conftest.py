"""Hypervisors for the contract suite: each started once a run, stopped at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Session, System, Unavailable, write_node


def _need(kind: type[Session | System]) -> Session | System:
    """The server, or a skip that says what is missing; where CI is set, a failure."""
    try:
        return kind()
    except Unavailable as reason:
        if os.environ.get("CI") and not (kind is System and os.geteuid() != 0):
            pytest.fail(f"{kind.__name__}: {reason}")
        pytest.skip(f"{kind.__name__}: {reason}")


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
    return write_node(Path(tmp_path_factory.mktemp("node")) / "node.xml", domains=1000)
