"""The hypervisors that the contract suite runs on, and what each of them really does.

A subject is a connected driver, a way to write a guest's definition, and the differences that are the hypervisor's own: a
guest without an operating system never obeys a shutdown, a test driver has no guest agent to refuse.
"""

from __future__ import annotations

import itertools
import queue
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agent.driver import Batch, Driver, Heard, Root
from agent.errors import VirtmapError
from agent.model import Domain
from agent.model.host import DefineDomain
from agent.schema.declare import Operation, Row
from tests.servers import eventually

R = TypeVar("R", bound=Row)
_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A guest to be defined, in the simplest words; memory in KiB."""

    name: str
    uuid: str
    memory: int = 49152
    current_memory: int = 49152
    vcpus: int = 1
    max_vcpus: int = 4
    disks: int = 2
    macs: Sequence[str] = ("52:54:00:0a:00:01", "52:54:00:0a:00:02")
    title: str = "A title & more"
    description: str = "Two lines\nof <text>"


@dataclass(kw_only=True)
class Subject:
    """One hypervisor under the suite. `definition` writes a guest's XML; `real` guests run on a machine of their own."""

    name: str
    driver: Driver
    definition: Callable[[Wanted], str]
    real: bool
    """Whether guests are QEMU processes: they ignore requests, since there is no operating system in them."""
    counts: frozenset[type[Row]] = frozenset()
    """Rows whose counters are filled while the domain runs."""
    starts_paused: bool = True
    """Whether the flag to start paused does something."""
    has_agent: bool = False
    """Whether guests play along when their agent is asked for something."""
    heard: queue.SimpleQueue[Heard] = field(default_factory=queue.SimpleQueue)

    def wanted(self, **changes: Any) -> Wanted:
        number = next(_numbers)
        return Wanted(**({"name": f"contract-{number}", "uuid": str(uuid.uuid4())} | changes))

    def define(self, **changes: Any) -> Wanted:
        """Define a guest by the operation of the model."""
        guest = self.wanted(**changes)
        outs = self.perform(DefineDomain(xml=self.definition(guest)), (self.driver.name,))
        assert outs == {"uuid": guest.uuid}
        return guest

    def perform(self, operation: Operation, key: tuple[Any, ...]) -> Mapping[str, Any]:
        return self.driver.perform(operation, key)

    def do(self, operation: Operation, guest: Wanted) -> Mapping[str, Any]:
        return self.driver.perform(operation, (guest.uuid,))

    def read(self, only: Sequence[Root] | None = None) -> Reading:
        """Everything, or only these roots; what failed is part of the answer."""
        plan = self.driver.plan(only)
        batches = [(piece.roots, piece.read()) for piece in plan.pieces]
        return Reading(batches)

    def domain(self, guest: Wanted) -> Domain:
        """The row of a guest."""
        reading = self.read([(Domain, (guest.uuid,))])
        assert not reading.failed
        (row,) = reading.of(Domain)
        return row

    def parts(self, row: type[R], guest: Wanted) -> list[R]:
        """The rows of that kind that belong to a guest."""
        return self.read([(Domain, (guest.uuid,))]).of(row)

    def next_heard(self, matches: Callable[[Heard], bool], *, within: float = 10.0) -> Heard:
        """The first thing heard from now on that matches; what comes before it is dropped."""

        def probe() -> Heard | None:
            while not self.heard.empty():
                if matches(each := self.heard.get()):
                    return each
            return None

        return eventually(probe, within=within, what="something heard")  # type: ignore[return-value]


class Reading:
    """What a plan gave when it was read."""

    def __init__(self, batches: Sequence[tuple[frozenset[Root], Batch]]) -> None:
        self.roots = [roots for roots, _ in batches]
        self.rows: list[Row] = [row for _, batch in batches for row in batch.rows]
        self.failed: dict[Root, VirtmapError] = {}
        for _, batch in batches:
            self.failed |= batch.failed

    def of(self, row: type[R]) -> list[R]:
        return [each for each in self.rows if isinstance(each, row)]


@contextmanager
def connected(subject: Subject) -> Iterator[Subject]:
    """The subject with its driver connected and listened to, closed at the end."""
    subject.driver.listen(subject.heard.put)
    subject.driver.connect()
    try:
        yield subject
    finally:
        subject.driver.close()


def mock_xml(guest: Wanted) -> str:
    """A definition for libvirt's test driver."""
    return _xml(guest, "test", disks=[f"/guests/{guest.name}-{n}.img" for n in range(guest.disks)], nic="network")


def qemu_xml(image: Callable[[str], str]) -> Callable[[Wanted], str]:
    """Definitions for QEMU without KVM; `image` makes an image of that name and gives its path."""

    def write(guest: Wanted) -> str:
        return _xml(guest, "qemu", disks=[image(f"{guest.name}-{n}") for n in range(guest.disks)], nic="user")

    return write


def _xml(guest: Wanted, kind: str, *, disks: Sequence[str], nic: str) -> str:
    escaped = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
    drives = "".join(
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none' discard='unmap'/>"
        f"<source file='{path}'/><target dev='vd{'abcdef'[n]}' bus='virtio'/><serial>serial-{n}</serial></disk>"
        for n, path in enumerate(disks)
    )
    source = "<source network='default'/>" if nic == "network" else ""
    down = "<link state='down'/>"
    cards = "".join(
        f"<interface type='{nic}'><mac address='{mac}'/>{source}<model type='virtio'/>{down if n else ''}</interface>"
        for n, mac in enumerate(guest.macs)
    )
    machine = " machine='pc'" if kind == "qemu" else ""
    return (
        f"<domain type='{kind}'><name>{guest.name}</name><uuid>{guest.uuid}</uuid>"
        f"<title>{guest.title.translate(escaped)}</title><description>{guest.description.translate(escaped)}</description>"
        f"<memory unit='KiB'>{guest.memory}</memory><currentMemory unit='KiB'>{guest.current_memory}</currentMemory>"
        f"<vcpu current='{guest.vcpus}'>{guest.max_vcpus}</vcpu>"
        f"<os><type arch='x86_64'{machine}>hvm</type></os><features><acpi/></features>"
        f"<devices>{drives}{cards}</devices></domain>"
    )
