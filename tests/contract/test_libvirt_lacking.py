"""Hypervisors that can do little: what they lack is found out by asking, costs its own columns, and nothing else.

A connection that stands in for one plays what libvirt does for a driver without some function: the error VIR_ERR_NO_SUPPORT.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

import libvirt
import pytest

from agent.driver import Plan
from agent.errors import Unreachable
from agent.inventory import Pace
from agent.model import Disk, Domain, Host, Nic, Vcpu
from agent.model.domain import DomainState
from drivers.libvirt.calls import Calls
from drivers.libvirt.errors import kind_of
from drivers.libvirt.reading import BATCH, SINGLY, Memory, Reader
from tests.servers import node_uuid

XML = """<domain type='vmware'><name>{name}</name><uuid>{uuid}</uuid><memory unit='KiB'>1048576</memory>
<currentMemory unit='KiB'>1048576</currentMemory><vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os><devices>
<disk type='file' device='disk'><source file='[store] {name}.vmdk'/><target dev='sda' bus='scsi'/></disk>
<interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='VM Network'/></interface></devices></domain>"""


def failure(number: int, text: str, origin: int = libvirt.VIR_FROM_NONE) -> libvirt.libvirtError:
    error = libvirt.libvirtError(text)
    error.err = (number, origin, text, 2, text, None, None, -1, -1)
    return error


def without(kind: type, name: str) -> Callable[..., Any]:
    """A function that libvirt-python has, and the driver has not."""

    def lacking(*_: Any) -> Any:
        raise failure(
            libvirt.VIR_ERR_NO_SUPPORT,
            f"this function is not supported by the connection driver: {kind.__name__}.{name}",
        )

    lacking.__name__, lacking.__qualname__ = name, f"{kind.__name__}.{name}"
    return lacking


class Poor:
    """Has what is defined on its class; any other function of `stands_for` is not supported."""

    stands_for: type

    def __getattr__(self, name: str) -> Any:
        if not callable(getattr(self.stands_for, name, None)):
            raise AttributeError(name)  # libvirt-python has no such function either: it would be a mistake of ours
        return without(self.stands_for, name)


class PoorDomain(Poor):
    """What ESX tells of a guest."""

    stands_for = libvirt.virDomain

    def __init__(self, number: int, pause: AbstractContextManager[Any]) -> None:
        self._number, self._pause = number, pause

    def name(self) -> str:
        return f"guest{self._number}"

    def UUIDString(self) -> str:
        return node_uuid(self._number)

    def ID(self) -> int:
        return self._number + 1

    def info(self) -> list[int]:
        with self._pause:
            return [libvirt.VIR_DOMAIN_RUNNING, 1048576, 1048576, 2, 0]

    def state(self) -> list[int]:
        return [libvirt.VIR_DOMAIN_RUNNING, 0]

    def XMLDesc(self, flags: int = 0) -> str:
        return XML.format(name=self.name(), uuid=self.UUIDString())


class PoorConnection(Poor):
    """What ESX tells of a host, at the least."""

    stands_for = libvirt.virConnect

    def __init__(self, domains: int = 1, pause: AbstractContextManager[Any] | None = None) -> None:
        self._domains = [PoorDomain(number, pause or nullcontext()) for number in range(domains)]

    def getType(self) -> str:
        return "ESX"

    def getURI(self) -> str:
        return "esx://far.example.net/"

    def isAlive(self) -> int:
        return 1

    def listAllDomains(self, flags: int = 0) -> list[PoorDomain]:
        if flags:
            raise failure(libvirt.VIR_ERR_INVALID_ARG, f"unsupported flags ({flags:#x}) in function esxListAllDomains")
        return self._domains

    def lookupByUUIDString(self, uuid: str) -> PoorDomain:
        for each in self._domains:
            if each.UUIDString() == uuid:
                return each
        raise failure(libvirt.VIR_ERR_NO_DOMAIN, "no domain")


def reader(virt: Any, lost: Callable[[], None] = lambda: None) -> Reader:
    calls = Calls(virt, used=Counter(), lost=lost)
    return Reader(calls, Memory(), name="esx", uri="esx://far.example.net/", since=datetime.now(UTC))


def rows(plan: Plan) -> list[Any]:
    read = [piece.read() for piece in plan.pieces]
    assert [batch.failed for batch in read if batch.failed] == []
    return [row for batch in read for row in batch.rows]


def test_a_hypervisor_that_lacks_nearly_everything_has_rows_all_the_same() -> None:
    told = rows(reader(PoorConnection()).plan(None))
    (host,) = [row for row in told if isinstance(row, Host)]
    assert (host.driver, host.uri, host.problem) == ("ESX", "esx://far.example.net/", "")
    assert (host.active_domains, host.inactive_domains, host.connected) == (1, 0, True)
    unknown = ("hostname", "cpus", "memory", "memory_free", "architecture", "cpu_user", "encrypted", "security_model")
    assert [getattr(host, column) for column in unknown] == [None] * len(unknown)
    (domain,) = [row for row in told if isinstance(row, Domain)]
    assert (domain.uuid, domain.name, domain.state) == (node_uuid(0), "guest0", DomainState.RUNNING)
    assert (domain.memory, domain.max_memory, domain.vcpus, domain.problem) == (1048576, 1048576, 2, "")
    assert (domain.persistent, domain.autostart, domain.memory_rss) == (None, None, None)
    (disk,) = [row for row in told if isinstance(row, Disk)]
    assert (disk.target, disk.capacity, disk.error) == ("sda", None, None)
    assert [row.number for row in told if isinstance(row, Vcpu)] == [0, 1]
    assert len([row for row in told if isinstance(row, Nic)]) == 1


def test_what_is_lacking_is_asked_for_once_and_never_of_each_domain() -> None:
    made = reader(PoorConnection(domains=60))
    rows(made.plan(None))
    once = {name: count for name, count in made.calls.used.items() if name in made.calls.lacking}
    assert "virDomain.memoryStats" in once
    assert set(once.values()) <= {1}, once
    rows(made.plan(None))
    again = {name for name in once if made.calls.used[name] > 1}
    # Lists of a kind of object are asked for anew, each at its pace.
    assert not {name for name in again if "listAll" not in name}, again


def test_a_hypervisor_without_states_tells_them_with_the_rest() -> None:
    class Stateless(PoorDomain):
        state = property(lambda self: without(libvirt.virDomain, "state"))

    virt = PoorConnection()
    virt._domains = [Stateless(0, nullcontext())]
    (domain,) = [row for row in rows(reader(virt).plan(None)) if isinstance(row, Domain)]
    assert domain.state is DomainState.RUNNING


def test_a_domain_that_cannot_even_tell_its_information_has_its_row() -> None:
    class Mute(PoorDomain):
        def info(self) -> list[int]:
            raise failure(libvirt.VIR_ERR_INTERNAL_ERROR, "Could not retrieve 'summary'")

    virt = PoorConnection(domains=2)
    virt._domains[0] = Mute(0, nullcontext())
    mute, well = [row for row in rows(reader(virt).plan(None)) if isinstance(row, Domain)]
    assert (mute.state, well.problem) == (DomainState.RUNNING, "")
    assert "Could not retrieve 'summary'" in str(mute.problem)


def test_what_fails_of_a_host_is_told_in_its_row_until_it_does_not() -> None:
    class Failing(PoorConnection):
        fails = True

        def getCapabilities(self) -> str:
            if self.fails:
                raise failure(libvirt.VIR_ERR_INTERNAL_ERROR, "no capabilities today")
            return "<capabilities><host><cpu><arch>x86_64</arch></cpu></host></capabilities>"

        def getHostname(self) -> str:
            if self.fails:
                raise failure(libvirt.VIR_ERR_NO_HOSTNAME, "no hostname found")
            return "far"

    virt = Failing()
    made = reader(virt)
    (host,) = [row for row in rows(made.plan(None)) if isinstance(row, Host)]
    assert (host.hostname, host.architecture, host.connected) == (None, None, True)
    assert "getCapabilities: no capabilities today" in str(host.problem)
    assert "getHostname: no hostname found" in str(host.problem)
    virt.fails = False
    made._slow_until = 0.0
    (host,) = [row for row in rows(made.plan(None)) if isinstance(row, Host)]
    assert (host.hostname, host.architecture, host.problem) == ("far", "x86_64", "")


def test_some_domains_alone_are_read_too() -> None:
    told = rows(reader(PoorConnection(domains=3)).plan([(Domain, (node_uuid(2),)), (Domain, (node_uuid(9),))]))
    assert [row.name for row in told if isinstance(row, Domain)] == ["guest2"]


# --- reading one by one, several at a time


class Counting:
    """How many were inside at the same time at most."""

    def __init__(self) -> None:
        self.most = self._inside = 0
        self._lock = threading.Lock()
        self.two = threading.Event()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
            if self._inside > 1:
                self.two.set()
        self.two.wait(5)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1


def test_without_bulk_statistics_pieces_are_small_and_read_side_by_side() -> None:
    counting = Counting()
    made = reader(PoorConnection(domains=4 * SINGLY + 1, pause=counting))  # type: ignore[arg-type]
    plan = made.plan(None)
    pieces = [piece for piece in plan.pieces if any(row is Domain for row, _ in piece.roots)]
    assert [len(piece.roots) for piece in pieces] == [SINGLY] * 4 + [1]
    assert plan.at_once is None
    readers = Pace().readers
    with ThreadPoolExecutor(readers) as threads:
        read = list(threads.map(lambda piece: piece.read(), pieces))
    assert sum(isinstance(row, Domain) for batch in read for row in batch.rows) == 4 * SINGLY + 1
    assert 2 <= counting.most <= readers
    assert made.calls.used["virConnect.domainListGetStats"] == 1


def test_with_bulk_statistics_pieces_are_large() -> None:
    class Rich(PoorConnection):
        def domainListGetStats(self, domains: list[Any], _stats: int, _flags: int) -> list[tuple[Any, dict[str, Any]]]:
            return [(each, {"state.state": 1, "state.reason": 1}) for each in domains]

    plan = reader(Rich(domains=BATCH + 1)).plan(None)
    sizes = [len(piece.roots) for piece in plan.pieces if any(row is Domain for row, _ in piece.roots)]
    assert sizes == [BATCH, 1]


def test_a_first_domain_that_fails_says_nothing_of_bulk_statistics() -> None:
    class Odd(PoorConnection):
        def domainListGetStats(self, domains: list[Any], _stats: int, _flags: int) -> list[tuple[Any, dict[str, Any]]]:
            if domains[0].UUIDString() == node_uuid(0):
                raise failure(libvirt.VIR_ERR_OPERATION_FAILED, "odd")
            return [(each, {"state.state": 1, "state.reason": 1}) for each in domains]

    made = reader(Odd(domains=3))
    (piece,) = [piece for piece in made.plan(None).pieces if any(row is Domain for row, _ in piece.roots)]
    batch = piece.read()
    assert set(batch.failed) == {(Domain, (node_uuid(0),))}
    assert sum(isinstance(row, Domain) for row in batch.rows) == 2


# --- a connection that broke and does not know it


def test_a_far_hypervisor_that_is_not_reached_any_more_is_lost() -> None:
    text = "internal error: curl_easy_perform() returned an error: Couldn't connect to server (7)"
    error = failure(libvirt.VIR_ERR_INTERNAL_ERROR, text, libvirt.VIR_FROM_ESX)
    assert kind_of(error) is Unreachable

    class Gone(PoorConnection):
        gone = False

        def listAllDomains(self, flags: int = 0) -> list[PoorDomain]:
            if self.gone:
                raise error
            return super().listAllDomains(flags)

    virt = Gone()
    told: list[float] = []
    made = reader(virt, lost=lambda: told.append(time.monotonic()))
    rows(made.plan(None))
    virt.gone = True
    with pytest.raises(Unreachable, match="cannot list domains: internal error: curl_easy_perform"):
        made.plan(None)
    assert told
