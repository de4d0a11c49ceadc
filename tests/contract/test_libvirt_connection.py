"""A libvirtd that hangs, dies and comes back, and what the driver makes of it. Each test has a server of its own mood."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from agent.driver import Heard, Lost
from agent.errors import Unreachable, VirtmapError
from agent.model import Domain, Host
from agent.model.domain import DomainState, Start
from agent.model.host import ReadCapabilities
from drivers.libvirt import LibvirtDriver
from drivers.libvirt.connection import Patience
from tests.contract.conftest import qemu_subject
from tests.contract.subjects import connected
from tests.servers import Session, eventually

QUICK = Patience(opening=1.0)


@pytest.fixture
def heard() -> queue.SimpleQueue[Heard]:
    return queue.SimpleQueue()


@pytest.fixture
def driver(session_libvirtd: Session, heard: queue.SimpleQueue[Heard]) -> Iterator[LibvirtDriver]:
    """An impatient driver of the private libvirtd, connected."""
    made = LibvirtDriver("qemu", session_libvirtd.uri, patience=QUICK)
    made.listen(heard.put)
    eventually(lambda: back(session_libvirtd, made), what="libvirtd")
    yield made
    made.close()


def back(server: Session, driver: LibvirtDriver) -> bool:
    """Whether the driver connects. libvirtd 9.0 may fall over after a client left it while it was stopped."""
    server.start()
    return raised(driver.connect) is None


def domains(driver: LibvirtDriver) -> list[Domain]:
    return [row for piece in driver.plan().pieces for row in piece.read().rows if isinstance(row, Domain)]


def raised(call: Callable[[], object]) -> VirtmapError | None:
    try:
        call()
    except VirtmapError as error:
        return error
    return None


def lost(heard: queue.SimpleQueue[Heard]) -> Lost:
    told = heard.get(timeout=20)
    while not isinstance(told, Lost):
        told = heard.get(timeout=20)
    return told


def test_before_connecting_nothing_is_reachable() -> None:
    driver = LibvirtDriver("test", "test:///default")
    for call in (driver.plan, lambda: driver.perform(ReadCapabilities(), ("test",))):
        with pytest.raises(Unreachable, match="test:///default: not connected yet"):
            call()


@pytest.mark.parametrize(
    "uri",
    ["nonsense:///", "test:///no/such/file", "qemu+unix:///session?socket=/no/such/socket", "qemu+tcp://127.0.0.1:1/system",
     "not a uri", "", "test:///\0"],
)  # fmt: skip
def test_what_cannot_be_opened_is_unreachable(uri: str) -> None:
    driver = LibvirtDriver("x", uri)
    with pytest.raises(Unreachable):
        driver.connect()
    with pytest.raises(Unreachable):
        driver.plan()
    driver.close()


def test_a_killed_libvirtd_is_lost_at_once_and_found_again(
    session_libvirtd: Session, driver: LibvirtDriver, heard: queue.SimpleQueue[Heard]
) -> None:
    with connected(qemu_subject(session_libvirtd)) as other:
        guest = other.define()
        other.do(Start(), guest)
    before = domains(driver)
    session_libvirtd.kill()
    assert lost(heard).reason
    with pytest.raises(Unreachable):
        driver.plan()
    with pytest.raises(Unreachable):
        driver.connect()
    session_libvirtd.start()
    driver.connect()
    after = {row.uuid: row for row in domains(driver)}
    assert after.keys() == {row.uuid for row in before}
    assert after[guest.uuid].state is DomainState.RUNNING
    (same,) = [row for row in before if row.uuid == guest.uuid]
    assert after[guest.uuid].counters_since == same.counters_since, "the guest lived on, and its counters with it"


def test_events_are_heard_over_the_next_connection_too(
    session_libvirtd: Session, driver: LibvirtDriver, heard: queue.SimpleQueue[Heard]
) -> None:
    session_libvirtd.restart()
    lost(heard)
    driver.connect()
    with connected(qemu_subject(session_libvirtd)) as other:
        guest = other.define()
    eventually(lambda: guest.uuid in str(heard.get(timeout=10)), what="the definition")


def test_a_hung_libvirtd_does_not_hold_up_connecting_and_closing(session_libvirtd: Session) -> None:
    driver = LibvirtDriver("qemu", session_libvirtd.uri, patience=QUICK)
    with session_libvirtd.frozen():
        began = time.monotonic()
        for _ in range(2):
            with pytest.raises(Unreachable, match="no answer within 1 s"):
                driver.connect()
        driver.close()
        assert time.monotonic() - began < 5


def test_a_connection_that_was_late_is_used(session_libvirtd: Session) -> None:
    driver = LibvirtDriver("qemu", session_libvirtd.uri, patience=QUICK)
    with session_libvirtd.frozen(), pytest.raises(Unreachable):
        driver.connect()
    eventually(lambda: back(session_libvirtd, driver), what="libvirtd")
    assert driver.plan().pieces
    driver.close()


def test_a_hung_libvirtd_is_found_out_and_takes_no_call_with_it(session_libvirtd: Session) -> None:
    driver = LibvirtDriver("test", session_libvirtd.test_uri(), patience=QUICK, stuck=0.1)
    heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
    driver.listen(heard.put)
    driver.connect()
    outcomes: list[VirtmapError | None] = []
    reads = [piece.read for piece in driver.plan().pieces]
    callers = [threading.Thread(target=lambda read=read: outcomes.append(raised(read))) for read in reads * 3]
    with session_libvirtd.frozen():
        for caller in callers:
            caller.start()
        calls = driver.connection.current().session.calls
        eventually(lambda: calls.longest() > 0.1, what="calls that hang")
        with pytest.raises(Unreachable, match="no answer within 1 s"):
            driver.plan()
    for caller in callers:
        caller.join(10)
    assert len(outcomes) == len(callers)
    assert all(error is None or "replaced meanwhile" in str(error) for error in outcomes), outcomes
    assert heard.empty(), "nothing was lost"
    assert driver.plan().pieces
    driver.close()


def test_closing_a_hung_connection_does_not_wait(session_libvirtd: Session) -> None:
    driver = LibvirtDriver("qemu", session_libvirtd.uri)
    eventually(lambda: back(session_libvirtd, driver), what="libvirtd")
    with session_libvirtd.frozen():
        began = time.monotonic()
        driver.close()
        assert time.monotonic() - began < 1
        with pytest.raises(Unreachable, match="closed"):
            driver.plan()
        with pytest.raises(Unreachable, match="closed"):
            driver.connect()


def test_closing_twice_is_harmless() -> None:
    driver = LibvirtDriver("test", "test:///default")
    driver.close()
    driver.close()


def test_connecting_again_leaves_no_socket_behind(session_libvirtd: Session, driver: LibvirtDriver) -> None:

    driver.connect()
    before = _sockets()
    for _ in range(10):
        driver.connect()
    eventually(lambda: _sockets() <= before, what=f"no more than {before} sockets")


def _sockets() -> int:
    """Open sockets of this process; a descriptor may close while we look."""
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            count += "socket:" in os.readlink(f"/proc/self/fd/{descriptor}")
    return count


def test_a_replaced_connection_is_not_told_as_lost(driver: LibvirtDriver, heard: queue.SimpleQueue[Heard]) -> None:
    driver.connect()
    driver.connect()
    assert [row for piece in driver.plan([(Host, ("qemu",))]).pieces for row in piece.read().rows]
    told = [heard.get() for _ in range(heard.qsize())]
    assert not [each for each in told if isinstance(each, Lost)]


def test_the_test_driver_needs_no_keep_alive_and_says_so(session_libvirtd: Session) -> None:
    inside, outside = LibvirtDriver("a", "test:///default"), LibvirtDriver("b", session_libvirtd.test_uri())
    for driver, keepalive in ((inside, False), (outside, True)):
        driver.connect()
        assert driver.keepalive is keepalive
        driver.close()


def test_libvirt_prints_nothing() -> None:
    program = (
        "from drivers.libvirt import LibvirtDriver\n"
        "from agent.errors import VirtmapError\n"
        "from agent.model.domain import Start\n"
        "for uri in ('qemu+unix:///session?socket=/no/such/socket', 'test:///default'):\n"
        "    driver = LibvirtDriver('x', uri)\n"
        "    try:\n"
        "        driver.connect()\n"
        "        driver.perform(Start(), ('no such domain',))\n"
        "    except VirtmapError as error:\n"
        "        print(type(error).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["Unreachable", "Invalid"]
    assert done.stderr == ""
