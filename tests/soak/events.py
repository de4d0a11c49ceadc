"""Makes a hypervisor busy: guests that are suspended and resumed, appear and vanish, at a steady rate of events, in a process
of its own, so that a libvirtd that hangs or dies under it stops nobody else."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import time
import uuid
from collections.abc import Iterator
from typing import Any

import libvirt

from tests.servers import eventually

FRESH_EVERY = 40
"""Rounds after which a guest appears that never was before, and vanishes again."""

_NAMESPACE = uuid.UUID("5d0f0000-0000-4000-8000-000000000000")


def guest_name(number: int) -> str:
    return f"guest{number:03d}"


def guest_xml(name: str, identity: uuid.UUID) -> str:
    number = identity.int & 0xFFFF
    return (
        f"<domain type='test'><name>{name}</name><uuid>{identity}</uuid><title>The guest {name}</title>"
        "<memory unit='KiB'>1048576</memory><currentMemory unit='KiB'>524288</currentMemory><vcpu>2</vcpu>"
        "<os><type arch='x86_64'>hvm</type></os><devices>"
        f"<disk type='file' device='disk'><source file='/guests/{name}-a.img'/><target dev='vda' bus='virtio'/></disk>"
        f"<disk type='file' device='disk'><source file='/guests/{name}-b.img'/><target dev='vdb' bus='virtio'/></disk>"
        f"<interface type='network'><mac address='52:54:00:00:{number >> 8:02x}:{number & 255:02x}'/>"
        "<source network='default'/><model type='virtio'/></interface></devices></domain>"
    )


class Busy:
    """The process that raises events. Guests are defined and started when it connects; the first `toggled` of them are then
    suspended and resumed in turn, `rate` events a second."""

    def __init__(self, uri: str, *, guests: int, toggled: int, rate: float) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._raised = spawn.Value("Q", 0)
        self._ready = spawn.Value("i", 0)
        self._stop = spawn.Event()
        arguments = (uri, guests, toggled, rate, self._raised, self._ready, self._stop)
        self._process = spawn.Process(target=_keep_busy, args=arguments, daemon=True)

    @property
    def raised(self) -> int:
        """Events of the guests that are toggled, and of those that appear and vanish."""
        return int(self._raised.value)

    @property
    def populated(self) -> int:
        """How often all guests have been defined and started."""
        return int(self._ready.value)

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def __enter__(self) -> Busy:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Raise nothing any more; a call that hangs is not waited for."""
        self._stop.set()
        self._process.join(3)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(10)


def _keep_busy(uri: str, guests: int, toggled: int, rate: float, raised: Any, ready: Any, stop: Any) -> None:
    libvirt.registerErrorHandler(lambda *_: None, None)
    while not stop.is_set():
        try:
            connection = libvirt.open(uri)
            domains = [_guest(connection, number) for number in range(guests)]
            ready.value += 1
            _toggle(connection, domains[:toggled], rate, raised, stop)
        except libvirt.libvirtError:
            stop.wait(0.1)  # libvirtd is gone; the next one is found soon


def _guest(connection: Any, number: int) -> Any:
    """A guest, which runs."""
    name = guest_name(number)
    domain = connection.defineXML(guest_xml(name, uuid.uuid5(_NAMESPACE, name)))
    if not domain.isActive():
        domain.create()
    return domain


def _toggle(connection: Any, domains: list[Any], rate: float, raised: Any, stop: Any) -> None:
    due = time.monotonic()
    for round_, domain in enumerate(itertools.cycle(domains), 1):
        if stop.is_set():
            return
        events = 1
        if domain.info()[0] == libvirt.VIR_DOMAIN_PAUSED:
            domain.resume()
        else:
            domain.suspend()
        if round_ % FRESH_EVERY == 0:
            events += _appear_and_vanish(connection)
        raised.value += events
        due = max(due + events / rate, time.monotonic() - 0.05)  # what a hanging libvirtd cost is not made up for
        time.sleep(max(0.0, due - time.monotonic()))


def _appear_and_vanish(connection: Any) -> int:
    """A transient guest that nobody has ever seen. Gives how many events that makes."""
    identity = uuid.uuid4()
    connection.createXML(guest_xml(f"fresh-{identity}", identity)).destroy()
    return 2


def states(uri: str) -> dict[str, int]:
    """What libvirt itself says: the state of each guest by name."""
    with _opened(uri) as connection:
        return {domain.name(): domain.info()[0] for domain in connection.listAllDomains()}


@contextlib.contextmanager
def _opened(uri: str) -> Iterator[Any]:
    connection = libvirt.open(uri)
    try:
        yield connection
    finally:
        connection.close()


def wait_populated(busy: Busy, times: int) -> None:
    """Wait until all guests have been made so many times."""
    eventually(lambda: busy.populated >= times, within=30, what=f"{times} times all guests")
