"""A hypervisor wholly in memory: every column filled, every operation done, every failure to be had on request.

It ships, since demonstrations, benchmarks and the tests of everything above the contract run on it. Its URI tells what
it holds: `fake:///?domains=10000&disks=2&nics=1&vcpus=2&statistics=0&details=1&seed=1&delay=0&events=0`, where `delay` is how many
milliseconds each call takes, `events` how many times a second some domain is paused or resumed, and `statistics` how
many each vCPU and disk of a running domain has beneath it: named statistics, bins for each operation, intervals. A real
disk keeps none unless its definition asks for them. With `details=0` domains have nothing beneath them but their vCPUs, disks
and NICs, and there are no networks, pools or other objects: what costs nothing on a real hypervisor, which reads them when
they change, is work for a benchmark of statistics. Values follow from the seed and from how often a domain was read:
counters grow with each reading of a running domain, gauges go up and down.

A reading of 10,000 domains is some two million values, so a row is put together by C code only: the constants of the
row, the values that move (the former ones plus the steps of this phase), and one `itemgetter` that puts all in field
order.
"""

import itertools
import random
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from operator import add, itemgetter
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from agent.driver import NOBODY, Batch, Changed, Happened, Heard, Lost, Piece, Plan, Root, Task
from agent.errors import (
    ConfigError,
    Failed,
    Invalid,
    NotFound,
    Unreachable,
    VirtmapError,
)
from agent.model import domain as guest
from agent.model import domain_events, host
from agent.model.disk import Disk, DiskDevice, DiskError
from agent.model.disk_interval import DiskInterval
from agent.model.disk_latency import DiskLatency, DiskOperation
from agent.model.domain import Domain, DomainState, DomainStateReason
from agent.model.domain_events import DomainLifecycle, LifecycleDetail
from agent.model.host import Host
from agent.model.nic import LinkState, Nic
from agent.model.vcpu import Vcpu, VcpuState
from agent.model.vcpu_statistic import VcpuStatistic
from agent.schema.declare import Access, Key, Operation, Row
from agent.schema.types import Kind
from drivers.fake.objects import Objects
from drivers.fake.values import value

PIECE = 200
"""Domains in one piece of a plan."""

PHASES = 8
VARIANTS = 16
HOST_CPUS = 16
HOST_MEMORY = 64 * 1024 * 1024
"""KiB."""

GIB = 1024 * 1024
"""KiB."""

_NAMESPACE = uuid.UUID("5e1b6f3a-6c5c-4b0e-9a53-0f6f2b6a7c11")
_INACTIVE = (DomainState.SHUT_OFF, DomainState.CRASHED)


class _Layout:
    """How a row is put together: from shared values, its own values, and values that move, each group in its order."""

    def __init__(self, row: type[Row], shared: Sequence[str], own: Sequence[str]) -> None:
        told = {*shared, *own}
        self.row = row
        rest = [f for f in row.fields if f.name not in told]
        self.moving = tuple(f.name for f in rest if f.stats is not None)
        still = [f for f in rest if f.stats is None]
        places = {name: i for i, name in enumerate((*shared, *own, *self.moving, *(f.name for f in still)))}
        if len(places) != len(row.fields):
            raise ValueError(
                f"{row.__name__}: the groups name {sorted(told - set(row.positions))}, which are no fields"
            )
        arrange: Callable[[tuple[Any, ...]], tuple[Any, ...]] = itemgetter(*(places[f.name] for f in row.fields))
        more = tuple(value(f, row.__name__, 1) for f in still)
        self.arrange = (lambda values: arrange(values + more)) if more else arrange
        self.nothing = (None,) * len(self.moving)
        self.zero = tuple(0 if self._kind(name) is Kind.COUNTER else None for name in self.moving)
        self.steps = [self._steps(random.Random(variant)) for variant in range(VARIANTS)]

    def _kind(self, name: str) -> Kind:
        return self.row.fields[self.row.positions[name]].semantic.kind

    def _steps(self, chance: random.Random) -> list[tuple[int, ...]]:
        """What is added to the moving values in each phase; a gauge gains in half of them and loses in the others."""
        grow = [self._amount(chance, name) for name in self.moving]
        swing = [chance.randrange(1, 64) for _ in self.moving]
        phases = []
        for phase in range(PHASES):
            sign = 1 if phase < PHASES // 2 else -1
            phases.append(tuple(self._step(n, g, sign * s) for n, g, s in zip(self.moving, grow, swing, strict=True)))
        return phases

    def _step(self, name: str, grow: int, swing: int) -> int:
        match self._kind(name):
            case Kind.COUNTER:
                return grow
            case Kind.GAUGE:
                return swing if name not in _STILL else 0
        return 0

    def begin(self) -> tuple[int, ...]:
        """First values of a run: counters at zero, and gauges somewhere where no phase takes them below it."""
        return tuple(zero if zero is not None else 1000 for zero in self.zero)

    def start(self, chance: random.Random, given: Mapping[str, int]) -> tuple[Any, ...]:
        """First values of what moves: those given, else what some 10,000 readings would have come to."""
        return tuple(
            given[n] if n in given else self._amount(chance, n) * chance.randrange(5_000, 20_000) for n in self.moving
        )

    def _amount(self, chance: random.Random, name: str) -> int:
        """How much a counter grows at a time."""
        low, high = (
            (0, 2)
            if _RARE.search(name)
            else _GROWTH.get(self.row.fields[self.row.positions[name]].semantic.name, (1, 64))
        )
        return chance.randrange(low, high)


_GROWTH = {
    "CpuTime": (10**7, 10**9), "Octets": (10**4, 10**7), "Requests": (10, 2000), "Packets": (10, 5000),
    "SwappedKiB": (0, 64), "Events": (1, 10**4),
}  # fmt: skip
"""By semantic type, the least and most that a counter of it grows between two readings."""

_RARE = re.compile("error|drop|fail|fault|migration")
"""Counters of what hardly ever happens."""

_STILL = frozenset({"cache_monitors", "bandwidth_monitors", "allocation"})
"""Gauges that keep their value."""

_DOMAIN = _Layout(
    Domain,
    (),
    (
        "uuid", "name", "id", "state", "state_reason", "persistent", "autostart", "managed_save", "updated", "os_type",
        "type", "architecture", "machine", "title", "description", "host", "vcpus", "max_vcpus", "memory", "max_memory",
        "config_vcpus", "config_max_vcpus", "config_memory", "config_max_memory", "disks", "nics", "iothreads",
        "balloon_updated", "refreshed", "problem", "counters_since",
    ),
)  # fmt: skip
_VCPU = _Layout(Vcpu, ("state", "halted", "affinity"), ("domain", "number", "host_cpu"))
_LIMITS = {
    "limit_request_alignment": 1, "limit_discard_max": 2**31, "limit_discard_alignment": 4096,
    "limit_write_zeroes_max": 2**31, "limit_write_zeroes_alignment": 4096, "limit_transfer_optimal": 65536,
    "limit_transfer_max": 2**31, "limit_transfer_hw_max": 2**31, "limit_iov_max": 1024, "limit_iov_hw_max": 1024,
    "limit_memory_alignment_minimal": 512, "limit_memory_alignment_optimal": 4096,
}  # fmt: skip
_DISK = _Layout(
    Disk,
    ("error", "backing_index", "threshold", *_LIMITS),
    (
        "domain", "target", "source", "type", "bus", "format", "cache", "io", "discard", "serial", "read_only",
        "shareable", "alias", "boot_order", "capacity", "allocation", "physical", "device",
    ),
)  # fmt: skip
_NIC = _Layout(
    Nic,
    (),
    (
        "domain", "device", "mac", "target", "type", "source", "model", "alias", "mtu", "boot_order", "portgroup",
        "filter", "link_state",
    ),
)  # fmt: skip

_STATISTIC = _Layout(VcpuStatistic, (), ("domain", "vcpu", "name"))
_LATENCY = _Layout(DiskLatency, (), ("domain", "disk", "operation", "bin", "start"))
_INTERVAL = _Layout(DiskInterval, (), ("domain", "disk", "number", "interval"))
_NAMES = ("halt_exits", "halt_wait_ns", "io_exits", "irq_exits", "mmio_exits", "guest_mode", "preemption_reported")
"""Of the first statistics of a vCPU."""

_LIVELY = (Host, Domain, Vcpu, VcpuStatistic, Disk, DiskLatency, DiskInterval, Nic)
"""The rows that live here. All others are among the objects."""

_DISK_ON = (DiskError.NONE, 1, 0, *_LIMITS.values())
_DISK_OFF = (None, None, None, *(None for _ in _LIMITS))
_AFFINITY = f"0-{HOST_CPUS - 1}"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the fake holds and how it behaves, from its URI. `delay` in milliseconds, `events` a second."""

    domains: int = 3
    disks: int = 2
    nics: int = 1
    vcpus: int = 2
    statistics: int = 0
    details: int = 1
    seed: int = 1
    delay: int = 0
    events: int = 0


def shape(uri: str) -> Shape:
    """The shape that a URI asks for. ConfigError names what is wrong with it."""
    split = urlsplit(uri)
    if split.scheme != "fake":
        raise ConfigError(f"{uri}: is no URI of the fake; it begins with fake:///")
    known = list(Shape.__dataclass_fields__)
    given: dict[str, int] = {}
    for name, text in parse_qsl(split.query, keep_blank_values=True):
        if name not in known:
            raise ConfigError(f"{uri}: the fake knows no option {name}; it knows {', '.join(known)}")
        if not text.isdecimal():
            raise ConfigError(f"{uri}: {name} must be a whole number")
        given[name] = int(text)
    return Shape(**given)


@dataclass(kw_only=True, slots=True)
class _Device:
    """A disk, NIC or vCPU: its constants and its moving values. `live` are its constants while the domain runs.

    `beneath` are the statistics of a vCPU or disk, made when they are first read of one run of the domain.
    """

    own: tuple[Any, ...]
    live: tuple[Any, ...]
    moved: tuple[Any, ...]
    beneath: "tuple[tuple[_Layout, _Device], ...] | None" = None


@dataclass(kw_only=True, slots=True)
class _Guest:
    """One domain. Everything that an operation can change is a field; memory in KiB."""

    uuid: str
    name: str
    variant: int
    id: int | None = None
    state: DomainState = DomainState.SHUT_OFF
    reason: DomainStateReason = DomainStateReason.SHUT_OFF_UNKNOWN
    persistent: bool = True
    autostart: bool = False
    managed_save: bool = False
    saved_paused: bool = False
    updated: bool = False
    type: str = "kvm"
    os_type: str = "hvm"
    architecture: str = "x86_64"
    machine: str = "pc-q35-7.2"
    title: str = ""
    description: str = ""
    vcpus: int = 2
    max_vcpus: int = 4
    memory: int = GIB
    max_memory: int = 2 * GIB
    config_vcpus: int = 2
    config_max_vcpus: int = 4
    config_memory: int = GIB
    config_max_memory: int = 2 * GIB
    autodestroy: bool = False
    since: datetime
    phase: int = 0
    moved: tuple[Any, ...] = ()
    processors: list[_Device]
    disks: list[_Device]
    nics: list[_Device]
    config_disks: list[_Device]
    config_nics: list[_Device]

    @property
    def active(self) -> bool:
        return self.state not in _INACTIVE

    @property
    def runs(self) -> bool:
        return self.state in (DomainState.RUNNING, DomainState.BLOCKED)

    @property
    def root(self) -> Root:
        return Domain, (self.uuid,)


Told = list[Heard]


class Fake:
    """The contract of `agent.driver.Driver`, in memory. Thread safe.

    Tests make trouble with `break_domain`, `hang`, `lose` and `refuse`, and change the world behind the agent's back
    with `add` and `remove`; domains are named by name or UUID.
    """

    def __init__(self, name: str, uri: str = "fake:///") -> None:
        self.name = name
        self.uri = uri
        self.shape = shape(uri)
        self.performed: deque[tuple[Operation, Key]] = deque(maxlen=1000)
        self._mutex = threading.RLock()
        self._heard: Callable[[Heard], None] | None = None
        self._connected_at: datetime | None = None
        self._lost: str | None = None
        self._held: dict[str | None, threading.Event] = {}
        self._broken: dict[str, VirtmapError] = {}
        self._refused: dict[type[Operation], VirtmapError] = {}
        self._last_id = 0
        self._readings = 0
        self._made = 0
        self._guests: dict[str, _Guest] = {}
        for _ in range(self.shape.domains):
            made = self._make(f"guest{self._made + 1}")
            self._boot(made, DomainStateReason.RUNNING_BOOTED)
            self._warm(made)
        self._objects = Objects(name, next(iter(self._guests), None), _LIVELY)

    # --- the contract

    def connect(self) -> None:
        self._wait(None)
        with self._mutex:
            if self._lost is not None:
                raise Unreachable(f"{self.uri}: {self._lost}")
            self._connected_at = now = datetime.now(UTC)
        if self.shape.events:
            threading.Thread(target=self._live, args=(now,), name=f"{self.name}-events", daemon=True).start()

    def close(self) -> None:
        with self._mutex:
            if self._connected_at is None:
                return
            told: Told = []
            for domain in [d for d in self._guests.values() if d.autodestroy]:
                self._stop(domain, DomainStateReason.SHUT_OFF_DESTROYED, LifecycleDetail.STOPPED_DESTROYED, told)
            self._tell(told)
            self._connected_at = None

    def plan(self, only: Sequence[Root] | None = None) -> Plan:
        self._wait(None)
        self._pause()
        with self._mutex:
            self._alive()
            if only is None:
                wanted = list(self._guests.values())
            else:
                keys = dict.fromkeys(key[0] for row, key in only if row is Domain)
                wanted = [self._guests[k] for k in keys if k in self._guests]
            if only is None and self.shape.details:
                self._objects.keep_only((*(d.root for d in self._guests.values()), (Host, (self.name,))))
            others = (
                [root for root in self._objects.roots if only is None or root in only] if self.shape.details else []
            )
        top: Root = (Host, (self.name,))
        pieces = [Piece(roots=frozenset([top]), read=self._read_host)] if only is None or top in only else []
        for start in range(0, len(wanted), PIECE):
            some = wanted[start : start + PIECE]
            pieces.append(Piece(roots=frozenset(d.root for d in some), read=partial(self._read, some)))
        if others:
            pieces.append(Piece(roots=frozenset(others), read=partial(self._read_objects, others)))
        return Plan(pieces=pieces, at_once=1)

    def perform(self, operation: Operation, key: Key, task: Task = NOBODY) -> Mapping[str, Any]:
        kind = type(operation)
        self._wait(None)
        self._pause()
        if kind.on.root() is Domain:
            self._wait(key[0])
        with self._mutex:
            self._alive()
            self.performed.append((operation, key))
            if kind in self._refused:
                raise self._refused[kind]
            target: Any = self._target(kind, key)
            told: Told = []
        if kind not in _PERFORM:
            return self._objects_perform(operation, key, task)
        with self._mutex:
            values = _PERFORM[kind](self, target, operation, told)
            if isinstance(target, _Guest) and kind is not guest.ReadXml:
                told.append(Changed(root=target.root))
            self._tell(told)
            return values or {}

    def _objects_perform(self, operation: Operation, key: Key, task: Task) -> Mapping[str, Any]:
        """What is no domain's own. Without the mutex while data is moved, which takes as long as its client likes."""
        kind = type(operation)
        if kind.moves is None:
            with self._mutex:
                values = self._objects.perform(operation, key, task)
        else:
            values = self._objects.perform(operation, key, task)
        if kind.needs is not Access.OBSERVE:
            top = kind.on.root()
            with self._mutex:
                self._tell([Changed(root=(top, key[: len(top.key_fields())]))])
        return values

    def listen(self, heard: Callable[[Heard], None]) -> None:
        self._heard = heard

    # --- trouble, for tests

    def find(self, name: str) -> Key:
        """The key of a domain, by name or UUID."""
        return (self._named(name).uuid,)

    def break_domain(self, name: str, error: VirtmapError | None = None) -> None:
        """Reading this domain fails until `mend_domain`."""
        with self._mutex:
            found = self._named(name)
            self._broken[found.uuid] = error or Failed(f"domain {found.name}: the monitor does not answer")

    def mend_domain(self, name: str) -> None:
        with self._mutex:
            self._broken.pop(self._named(name).uuid, None)

    def hang(self, name: str | None = None) -> None:
        """From now on every call blocks, or every call that touches this domain, until `release`."""
        with self._mutex:
            self._held[None if name is None else self._named(name).uuid] = threading.Event()

    def release(self) -> None:
        """All calls that hang go on."""
        with self._mutex:
            held, self._held = self._held, {}
        for event in held.values():
            event.set()

    def lose(self, reason: str = "the connection was closed") -> None:
        """The connection breaks; every call is Unreachable until `restore` and a new `connect`."""
        with self._mutex:
            self._lost, self._connected_at = reason, None
            self._tell([Lost(reason=reason)])

    def restore(self) -> None:
        with self._mutex:
            self._lost = None

    def refuse(self, operation: type[Operation], error: VirtmapError | None) -> None:
        """Each such operation fails with this error; None lets it succeed again."""
        with self._mutex:
            if error is None:
                self._refused.pop(operation, None)
            else:
                self._refused[operation] = error

    def add(self, name: str, *, running: bool = True, persistent: bool = True) -> Key:
        """A new domain appears, with its events; gives its key."""
        with self._mutex:
            told: Told = []
            made = self._make(name)
            made.persistent = persistent
            if persistent:
                _happened(made, domain_events.DomainDefined, LifecycleDetail.DEFINED_ADDED, None, told)
            if running:
                self._boot(made, DomainStateReason.RUNNING_BOOTED)
                _happened(made, domain_events.DomainStarted, LifecycleDetail.STARTED_BOOTED, DomainState.SHUT_OFF, told)
            self._tell(told)
            return (made.uuid,)

    def put(self, *rows: Row) -> None:
        """An object that is no domain has these rows, itself first, and no others."""
        with self._mutex:
            self._tell([Changed(root=self._objects.put(rows))])

    def remove(self, name: str) -> None:
        """A domain is destroyed and its definition removed, with its events."""
        with self._mutex:
            told: Told = []
            gone = self._named(name)
            gone.persistent = False
            if gone.active:
                self._stop(gone, DomainStateReason.SHUT_OFF_DESTROYED, LifecycleDetail.STOPPED_DESTROYED, told)
            self._guests.pop(gone.uuid, None)
            _happened(gone, domain_events.DomainUndefined, LifecycleDetail.UNDEFINED_REMOVED, gone.state, told)
            self._tell(told)

    # --- the world

    def _named(self, name: str) -> _Guest:
        with self._mutex:
            if name in self._guests:
                return self._guests[name]
            for found in self._guests.values():
                if found.name == name:
                    return found
        raise NotFound(f"domain {name}: no domain with this name or UUID")

    def _make(self, name: str, identity: str | None = None) -> _Guest:
        """A new domain that is shut off, with the disks, NICs and vCPUs of the shape."""
        self._made += 1
        n = self._made
        chance = random.Random(f"{self.shape.seed}/{n}")
        key = identity or str(uuid.uuid5(_NAMESPACE, f"{self.shape.seed}/{n}"))
        vcpus = self.shape.vcpus
        disks = [_disk(key, name, n, i, chance) for i in range(self.shape.disks)]
        nics = [_nic(key, n, i) for i in range(self.shape.nics)]
        made = _Guest(
            uuid=key, name=name, variant=chance.randrange(VARIANTS), title=f"Guest {n}",
            description=f"The guest number {n} of the fake hypervisor.", vcpus=vcpus, max_vcpus=max(4, 2 * vcpus),
            config_vcpus=vcpus, config_max_vcpus=max(4, 2 * vcpus), autostart=chance.random() < 0.5,
            since=datetime.now(UTC),
            processors=[_processor(key, i, chance) for i in range(vcpus)],
            disks=disks, nics=nics, config_disks=disks, config_nics=nics,
        )  # fmt: skip
        self._guests[key] = made
        return made

    def _boot(self, made: _Guest, reason: DomainStateReason, *, paused: bool = False) -> None:
        """It runs, or is paused; its counters begin at zero, and since now."""
        self._last_id += 1
        made.id, made.since, made.phase, made.updated = self._last_id, datetime.now(UTC), 0, False
        made.state, made.reason = (
            (DomainState.PAUSED, DomainStateReason.PAUSED_STARTING_UP) if paused else (DomainState.RUNNING, reason)
        )
        made.vcpus, made.max_vcpus = made.config_vcpus, made.config_max_vcpus
        made.memory, made.max_memory = made.config_memory, made.config_max_memory
        made.disks, made.nics = made.config_disks, made.config_nics
        self._fit_processors(made)
        made.moved = tuple(
            given if given is not None else zero for given, zero in zip(_memory(made), _DOMAIN.zero, strict=True)
        )
        for layout, devices in ((_VCPU, made.processors), (_DISK, made.disks), (_NIC, made.nics)):
            for device in devices:
                device.moved, device.beneath = layout.zero, None

    def _warm(self, made: _Guest) -> None:
        """Make a domain of the first hour look as if it had been running for long."""
        chance = random.Random(f"warm/{self.shape.seed}/{made.uuid}")
        given = {n: v for n, v in zip(_DOMAIN.moving, _memory(made), strict=True) if v is not None}
        made.moved = _DOMAIN.start(chance, given)
        for layout, devices in ((_VCPU, made.processors), (_DISK, made.disks), (_NIC, made.nics)):
            for device in devices:
                device.moved = layout.start(chance, {})
                if self.shape.statistics:
                    device.beneath = _statistics(layout.row, device.live, self.shape.statistics, chance)

    def _fit_processors(self, made: _Guest) -> None:
        chance = random.Random(made.uuid)
        del made.processors[made.vcpus :]
        for i in range(len(made.processors), made.vcpus):
            made.processors.append(_processor(made.uuid, i, chance))

    # --- reading

    def _read_host(self) -> Batch:
        self._wait(None)
        self._pause()
        with self._mutex:
            self._alive()
            active = sum(d.active for d in self._guests.values())
            self._readings += 1
            host = self._host(active, len(self._guests) - active)
            beneath = self._objects.beneath((Host, host.key), [host]) if self.shape.details else ()
            return Batch(rows=[host, *beneath])

    def _read_objects(self, roots: Sequence[Root]) -> Batch:
        self._wait(None)
        self._pause()
        with self._mutex:
            self._alive()
            return Batch(rows=[row for root in roots for row in self._objects.rows(root)])

    def _read(self, domains: Iterable[_Guest]) -> Batch:
        self._wait(None)
        self._pause()
        if self._held:
            for domain in domains:
                self._wait(domain.uuid)
        rows: list[Row] = []
        failed: dict[Root, VirtmapError] = {}
        with self._mutex:
            self._alive()
            now = datetime.now(UTC)
            for domain in domains:
                if domain.uuid in self._broken:
                    failed[domain.root] = self._broken[domain.uuid]
                elif self._guests.get(domain.uuid) is domain:
                    own = self._rows(domain, now)
                    rows += own
                    if self.shape.details:
                        rows += self._objects.beneath(domain.root, own)
        return Batch(rows=rows, failed=failed)

    def _rows(self, d: _Guest, now: datetime) -> list[Row]:
        phase = d.phase = (d.phase + 1) % PHASES
        moves, live = d.runs, d.active
        if moves:
            d.moved = tuple(map(add, d.moved, _DOMAIN.steps[d.variant][phase]))
        defined = (d.config_vcpus, d.config_max_vcpus, d.config_memory, d.config_max_memory)
        own = (
            d.uuid, d.name, d.id, d.state, d.reason, d.persistent, d.autostart, d.managed_save, d.updated, d.os_type,
            d.type, d.architecture, d.machine, d.title, d.description, self.name, d.vcpus, d.max_vcpus, d.memory,
            d.max_memory, *(defined if d.persistent else (None,) * len(defined)), len(d.disks), len(d.nics), 0,
            now if live else None, now, "", d.since,
        )  # fmt: skip
        rows: list[Row] = [Domain.of_values(_DOMAIN.arrange(own + (d.moved if live else _DOMAIN.nothing)))]
        state = VcpuState.RUNNING if moves else VcpuState.BLOCKED if live else VcpuState.OFFLINE
        for layout, shared, devices in (
            (_VCPU, (state, not moves if live else None, _AFFINITY), d.processors),
            (_DISK, _DISK_ON if live else _DISK_OFF, d.disks),
            (_NIC, (), d.nics),
        ):
            steps = layout.steps[d.variant][phase]
            for device in devices:
                if moves:
                    device.moved = tuple(map(add, device.moved, steps))
                values = shared + device.live + device.moved if live else shared + device.own + layout.nothing
                rows.append(layout.row.of_values(layout.arrange(values)))
                if self.shape.statistics and live:
                    rows += self._beneath(d, layout.row, device)
        return rows

    def _beneath(self, d: _Guest, row: type[Row], device: _Device) -> list[Row]:
        """The statistics of a vCPU or a disk of a running domain."""
        if device.beneath is None:
            device.beneath = _statistics(row, device.live, self.shape.statistics, None)
        rows: list[Row] = []
        for layout, each in device.beneath:
            if d.runs:
                each.moved = tuple(map(add, each.moved, layout.steps[d.variant][d.phase]))
            rows.append(layout.row.of_values(layout.arrange(each.live + each.moved)))
        return rows

    def _host(self, active: int, inactive: int) -> Host:
        now = datetime.now(UTC)
        since = self._connected_at or now
        used = sum(d.memory for d in self._guests.values() if d.active)
        spent = self._readings * 5_000_000_000
        host = Host(
            hypervisor=self.name, hostname="fake.example", uuid=str(uuid.uuid5(_NAMESPACE, f"host/{self.shape.seed}")),
            uri=self.uri, driver="Fake", hypervisor_version="1.0.0", daemon_version="9.0.0", library_version="9.0.0",
            connected=True, connected_at=since, connection_uptime=int((now - since).total_seconds()), encrypted=False,
            secure=True, architecture="x86_64", cpu_model="EPYC-Milan", cpu_vendor="AMD", cpus=HOST_CPUS,
            cpu_frequency=2600, numa_nodes=1, sockets=1, cores=8, threads=2, memory=HOST_MEMORY,
            memory_free=max(HOST_MEMORY - used, GIB), memory_buffers=GIB // 4 + self._readings % PHASES,
            memory_cached=4 * GIB + self._readings % PHASES, cpu_user=10**15 + 4 * spent, cpu_kernel=10**14 + spent,
            cpu_idle=10**16 + 10 * spent, cpu_iowait=10**12 + spent // 10, cpu_interrupt=10**11 + spent // 100,
            cpu_utilization=30 + self._readings % PHASES, max_vcpus=255, active_domains=active,
            inactive_domains=inactive, manufacturer="Example", product="Model 1", serial="0001",
            firmware_version="1.0", security_model="none", security_doi="0", migration=True,
            guest_architectures="i686 x86_64", refreshed=now, problem="", counters_since=since,
        )  # fmt: skip
        return host.replace(**{f.name: value(f, "Host", 1) for f in Host.fields if host.values[f.position] is None})

    # --- waiting and telling

    def _live(self, since: datetime) -> None:
        """Pause and resume one domain after the other, as long as this connection lasts."""
        names = list(self._guests)
        for number in itertools.count():
            time.sleep(1 / self.shape.events)
            with self._mutex:
                if self._connected_at is not since:
                    return
                found = self._guests.get(names[number // 2 % len(names)]) if names else None
                told: Told = []
                if found is not None and found.state is DomainState.RUNNING:
                    self._suspend(found, guest.Suspend(), told)
                elif found is not None and found.state is DomainState.PAUSED:
                    self._resume(found, guest.Resume(), told)
                self._tell(told)

    def _pause(self) -> None:
        if self.shape.delay:
            time.sleep(self.shape.delay / 1000)

    def _wait(self, identity: str | None) -> None:
        event = self._held.get(identity)
        if event is not None:
            event.wait()

    def _alive(self) -> None:
        if self._connected_at is None:
            raise Unreachable(f"{self.uri}: {self._lost or 'not connected'}")

    def _tell(self, told: Told) -> None:
        """While the mutex is held, so that all hear the events of an object in one order."""
        if self._heard is not None:
            for heard in told:
                self._heard(heard)

    # --- performing

    def _target(self, kind: type[Operation], key: Key) -> "_Guest | None":
        top = kind.on.root()
        if top is Host:
            if key[:1] != (self.name,):
                raise NotFound(f"host {key[0]}: the connection is called {self.name}")
            return None
        if top is not Domain:
            return None
        found = self._guests.get(key[0])
        if found is None:
            raise NotFound(f"domain {key[0]}: no domain with this UUID")
        if found.uuid in self._broken:
            raise self._broken[found.uuid]
        allowed = kind.allowed if kind.on is Domain else None
        if allowed is not None and found.state not in allowed.values:
            raise Invalid(f"domain {found.name}: cannot {kind.verb()}: {_why_not(found, kind)}")
        return found

    def _start(self, d: _Guest, operation: guest.Start, told: Told) -> None:
        flags, before = operation.flags, d.state
        restored = d.managed_save and not flags & guest.StartFlags.FORCE_BOOT
        d.managed_save = False
        reason = DomainStateReason.RUNNING_RESTORED if restored else DomainStateReason.RUNNING_BOOTED
        paused = bool(flags & guest.StartFlags.PAUSED) or (restored and d.saved_paused)
        self._boot(d, reason, paused=paused)
        d.autodestroy = bool(flags & guest.StartFlags.AUTODESTROY)
        detail = LifecycleDetail.STARTED_RESTORED if restored else LifecycleDetail.STARTED_BOOTED
        _happened(d, domain_events.DomainStarted, detail, before, told)
        if paused:
            d.reason = DomainStateReason.PAUSED_USER
            detail = LifecycleDetail.SUSPENDED_RESTORED if restored else LifecycleDetail.SUSPENDED_PAUSED
            _happened(d, domain_events.DomainSuspended, detail, DomainState.RUNNING, told)

    def _stop(self, d: _Guest, reason: DomainStateReason, detail: LifecycleDetail, told: Told) -> None:
        before = d.state
        d.state, d.reason, d.id, d.autodestroy, d.updated = DomainState.SHUT_OFF, reason, None, False, False
        d.vcpus, d.max_vcpus, d.memory, d.max_memory = (
            d.config_vcpus, d.config_max_vcpus, d.config_memory, d.config_max_memory,
        )  # fmt: skip
        d.disks, d.nics = d.config_disks, d.config_nics
        self._fit_processors(d)
        _happened(d, domain_events.DomainStopped, detail, before, told)
        if not d.persistent:
            self._guests.pop(d.uuid, None)

    def _shutdown(self, d: _Guest, operation: guest.Shutdown, told: Told) -> None:
        _happened(d, domain_events.DomainShutdown, LifecycleDetail.SHUTDOWN_HOST, d.state, told)
        d.state, d.reason = DomainState.SHUTTING_DOWN, DomainStateReason.SHUTTING_DOWN_USER
        self._stop(d, DomainStateReason.SHUT_OFF_SHUTDOWN, LifecycleDetail.STOPPED_SHUTDOWN, told)

    def _restart(self, d: _Guest, operation: guest.Reboot | guest.Reset, told: Told) -> None:
        """The guest begins anew; for libvirt the domain just goes on."""

    def _destroy(self, d: _Guest, operation: guest.Destroy, told: Told) -> None:
        self._stop(d, DomainStateReason.SHUT_OFF_DESTROYED, LifecycleDetail.STOPPED_DESTROYED, told)

    def _suspend(self, d: _Guest, operation: guest.Suspend, told: Told) -> None:
        before, d.state, d.reason = d.state, DomainState.PAUSED, DomainStateReason.PAUSED_USER
        _happened(d, domain_events.DomainSuspended, LifecycleDetail.SUSPENDED_PAUSED, before, told)

    def _resume(self, d: _Guest, operation: guest.Resume, told: Told) -> None:
        before, d.state, d.reason = d.state, DomainState.RUNNING, DomainStateReason.RUNNING_UNPAUSED
        _happened(d, domain_events.DomainResumed, LifecycleDetail.RESUMED_UNPAUSED, before, told)

    def _managed_save(self, d: _Guest, operation: guest.ManagedSave, told: Told) -> None:
        if not d.persistent:
            raise Invalid(f"domain {d.name}: cannot save it: it is transient, so its image could never be restored")
        flags = operation.flags
        if flags & guest.SaveFlags.RUNNING and flags & guest.SaveFlags.PAUSED:
            raise Invalid(f"domain {d.name}: cannot save it: running and paused exclude each other")
        paused = d.state is DomainState.PAUSED
        d.saved_paused = bool(flags & guest.SaveFlags.PAUSED) or (paused and not flags & guest.SaveFlags.RUNNING)
        d.managed_save = True
        self._stop(d, DomainStateReason.SHUT_OFF_SAVED, LifecycleDetail.STOPPED_SAVED, told)

    def _set_memory(self, d: _Guest, operation: guest.SetMemory, told: Told) -> None:
        live, config = _impact(d, operation.impact, "set memory")
        for applies, most in ((live, d.max_memory), (config, d.config_max_memory)):
            if applies and not 0 < operation.memory <= most:
                raise Invalid(
                    f"domain {d.name}: cannot set memory: {operation.memory} KiB exceeds its maximum, {most} KiB"
                )
        if live:
            d.memory = operation.memory
        if config:
            d.config_memory = operation.memory
            if not d.active:
                d.memory = operation.memory

    def _set_vcpus(self, d: _Guest, operation: guest.SetVcpus, told: Told) -> None:
        live, config = _impact(d, operation.impact, "set vCPUs")
        for applies, most in ((live, d.max_vcpus), (config, d.config_max_vcpus)):
            if applies and not 0 < operation.vcpus <= most:
                raise Invalid(f"domain {d.name}: cannot set vCPUs: {operation.vcpus} exceeds its maximum, {most}")
        if live or not d.active:
            d.vcpus = operation.vcpus
            self._fit_processors(d)
            for device in d.processors:
                device.moved = device.moved or _VCPU.zero
        if config:
            d.config_vcpus = operation.vcpus

    def _set_autostart(self, d: _Guest, operation: guest.SetAutostart, told: Told) -> None:
        if not d.persistent:
            raise Invalid(f"domain {d.name}: cannot set autostart: it is transient")
        d.autostart = operation.autostart

    def _read_xml(self, d: _Guest, operation: guest.ReadXml, told: Told) -> Mapping[str, Any]:
        return {"xml": _xml(d, inactive=bool(operation.flags & guest.XmlFlags.INACTIVE) or not d.active)}

    def _set_password(self, d: _Guest, operation: guest.SetUserPassword, told: Told) -> None:
        if not d.runs:
            raise Invalid(f"domain {d.name}: cannot set the password of {operation.user}: it is paused")

    def _read_capabilities(self, target: None, operation: host.ReadCapabilities, told: Told) -> Mapping[str, Any]:
        return {
            "xml": f"<capabilities><host><uuid>{uuid.uuid5(_NAMESPACE, f'host/{self.shape.seed}')}</uuid>"
            "<cpu><arch>x86_64</arch><model>EPYC-Milan</model><vendor>AMD</vendor></cpu></host>"
            "<guest><os_type>hvm</os_type><arch name='x86_64'/></guest></capabilities>"
        }

    def _undefine(self, d: _Guest, operation: guest.Undefine, told: Told) -> None:
        if not d.persistent:
            raise Invalid(f"domain {d.name}: cannot undefine it: it is transient")
        if d.managed_save and not operation.flags & guest.UndefineFlags.MANAGED_SAVE:
            raise Invalid(f"domain {d.name}: cannot undefine it: it has a saved image")
        d.persistent = d.autostart = d.managed_save = False
        if not d.active:
            self._guests.pop(d.uuid, None)
        _happened(d, domain_events.DomainUndefined, LifecycleDetail.UNDEFINED_REMOVED, d.state, told)

    def _define(self, target: None, operation: host.DefineDomain, told: Told) -> Mapping[str, Any]:
        given = _definition(operation.xml)
        same = next((d for d in self._guests.values() if d.name == given.name), None)
        if same is not None and given.uuid not in (None, same.uuid):
            raise Invalid(f"domain {given.name}: cannot define it: the name belongs to the domain {same.uuid}")
        found = self._guests.get(given.uuid) if given.uuid is not None else same
        detail = LifecycleDetail.DEFINED_ADDED if found is None else LifecycleDetail.DEFINED_UPDATED
        if found is None:
            found = self._make(given.name, given.uuid)
            found.autostart = False
        elif found.name != given.name:
            raise Invalid(f"domain {found.name}: cannot define it as {given.name}: renaming is another operation")
        before = found.state
        found.persistent, found.updated = True, found.active
        found.title, found.description = given.title, given.description
        found.config_memory, found.config_max_memory = given.memory, given.max_memory
        found.config_vcpus, found.config_max_vcpus = given.vcpus, given.max_vcpus
        found.type, found.os_type, found.architecture, found.machine = given.machine
        found.config_disks = [_defined_disk(found.uuid, i, e) for i, e in enumerate(given.disks)]
        found.config_nics = _defined_nics(found.uuid, given.nics)
        if not found.active:
            found.disks, found.nics = found.config_disks, found.config_nics
            found.memory, found.max_memory = given.memory, given.max_memory
            found.vcpus, found.max_vcpus = given.vcpus, given.max_vcpus
            self._fit_processors(found)
        _happened(found, domain_events.DomainDefined, detail, before, told)
        return {"uuid": found.uuid}


_PERFORM: Mapping[type[Operation], Callable[..., Mapping[str, Any] | None]] = {
    host.DefineDomain: Fake._define,
    host.ReadCapabilities: Fake._read_capabilities,
    guest.Start: Fake._start,
    guest.Shutdown: Fake._shutdown,
    guest.Reboot: Fake._restart,
    guest.Reset: Fake._restart,
    guest.Destroy: Fake._destroy,
    guest.Suspend: Fake._suspend,
    guest.Resume: Fake._resume,
    guest.ManagedSave: Fake._managed_save,
    guest.SetMemory: Fake._set_memory,
    guest.SetVcpus: Fake._set_vcpus,
    guest.SetAutostart: Fake._set_autostart,
    guest.ReadXml: Fake._read_xml,
    guest.SetUserPassword: Fake._set_password,
    guest.Undefine: Fake._undefine,
}


def _why_not(d: _Guest, kind: type[Operation]) -> str:
    if not d.active:
        return "domain is not running"
    if d.runs:
        return "domain is already running"
    return "domain is paused" if d.state is DomainState.PAUSED else f"domain is {d.state.label}"


def _impact(d: _Guest, impact: guest.ModificationImpact, verb: str) -> tuple[bool, bool]:
    """Whether a change applies to the running domain, and to the definition."""
    live = bool(impact & guest.ModificationImpact.LIVE)
    config = bool(impact & guest.ModificationImpact.CONFIG)
    if not live and not config:
        live, config = d.active, not d.active
    if live and not d.active:
        raise Invalid(f"domain {d.name}: cannot {verb}: domain is not running")
    if config and not d.persistent:
        raise Invalid(f"domain {d.name}: cannot {verb}: transient domains do not have any persistent config")
    return live, config


def _happened(
    d: _Guest, event: type[DomainLifecycle], detail: LifecycleDetail, before: DomainState | None, told: Told
) -> None:
    told.append(Happened(event=event(detail=detail, previous_state=before), key=(d.uuid,)))


def _memory(d: _Guest) -> tuple[int | None, ...]:
    """What of the moving values of a domain follows from its memory, in KiB; None for the others."""
    given = {
        "memory_unused": d.memory // 4, "memory_available": d.memory - d.memory // 32, "memory_rss": d.memory // 2,
        "memory_usable": d.memory // 3, "disk_caches": d.memory // 8, "perf_cache_occupancy": 2**21,
        "perf_bandwidth_total": 2**28, "perf_bandwidth_local": 2**27, "cache_monitors": 1, "bandwidth_monitors": 1,
    }  # fmt: skip
    return tuple(given.get(name) for name in _DOMAIN.moving)


def _processor(key: str, i: int, chance: random.Random) -> _Device:
    return _Device(own=(key, i, None), live=(key, i, chance.randrange(HOST_CPUS)), moved=_VCPU.zero)


def _disk(key: str, name: str, n: int, i: int, chance: random.Random) -> _Device:
    target = f"vd{chr(ord('a') + i)}" if i < 26 else f"vda{chr(ord('a') + i - 26)}"
    capacity = 2**30 * chance.choice((10, 20, 40, 80))
    return _live_disk(
        key, target, f"/var/lib/libvirt/images/{name}-{target}.qcow2", "file", "virtio", "qcow2", "none", "native",
        "unmap", f"{n:08d}{i:02d}", False, False, f"virtio-disk{i}", i + 1, capacity, capacity // 4,
        capacity // 4 + 2**20, DiskDevice.DISK,
    )  # fmt: skip


def _live_disk(*constants: Any) -> _Device:
    """A disk by its constants in the order of the layout; its alias is one only while it runs."""
    return _Device(own=(*constants[:12], None, *constants[13:]), live=constants, moved=_DISK.zero)


def _statistics(
    row: type[Row], live: tuple[Any, ...], count: int, chance: random.Random | None
) -> tuple[tuple[_Layout, _Device], ...]:
    """What is beneath a vCPU or disk with these constants: so many of each kind, as after a long run given a chance."""
    above = live[:2]
    made: list[tuple[_Layout, tuple[Any, ...]]] = []
    if row is Vcpu:
        made = [(_STATISTIC, (*above, _NAMES[i] if i < len(_NAMES) else f"statistic_{i}")) for i in range(count)]
    elif row is Disk:
        made = [(_LATENCY, (*above, each, i, i * 250_000)) for each in DiskOperation for i in range(count)]
        made += [(_INTERVAL, (*above, i, (i + 1) * 60)) for i in range(count)]
    return tuple(
        (layout, _Device(own=own, live=own, moved=layout.begin() if chance is None else layout.start(chance, {})))
        for layout, own in made
    )


def _nic(key: str, n: int, i: int) -> _Device:
    number = n * 16 + i
    mac = f"52:54:{number >> 24 & 255:02x}:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    return _live_nic(
        key, mac, mac, f"vnet{number}", "network", "default", "virtio", f"net{i}", 1500, 10 + i, "office",
        "clean-traffic", LinkState.UP,
    )  # fmt: skip


def _live_nic(*constants: Any) -> _Device:
    """A NIC by its constants in the order of the layout; its target and alias are there only while it runs."""
    return _Device(own=(*constants[:3], None, *constants[4:7], None, *constants[8:]), live=constants, moved=_NIC.zero)


_DEVICES = {"disk": DiskDevice.DISK, "cdrom": DiskDevice.CDROM, "floppy": DiskDevice.FLOPPY, "lun": DiskDevice.LUN}
_SOURCES = {"file": "file", "block": "dev", "dir": "dir", "network": "name", "volume": "volume"}
"""By the type of a disk, the attribute of its source that names the image."""


def _defined_disk(key: str, i: int, disk: Any) -> _Device:
    driver, target = disk.find("driver"), disk.find("target")
    kind = disk.get("type", "file")
    capacity = 10 * 2**30
    return _live_disk(
        key, _attribute(target, "dev") or f"vd{chr(ord('a') + i)}",
        _attribute(disk.find("source"), _SOURCES.get(kind, "file")), kind, _attribute(target, "bus") or "virtio",
        _attribute(driver, "type") or "raw", _attribute(driver, "cache"), _attribute(driver, "io"),
        _attribute(driver, "discard"), disk.findtext("serial"), disk.find("readonly") is not None,
        disk.find("shareable") is not None, f"virtio-disk{i}", _number(disk.find("boot"), "order"), capacity,
        capacity // 4, capacity // 4 + 2**20, _DEVICES.get(disk.get("device", "disk"), DiskDevice.DISK),
    )  # fmt: skip


def _defined_nics(key: str, nics: Sequence[Any]) -> list[_Device]:
    made: list[_Device] = []
    seen: list[str] = []
    for i, nic in enumerate(nics):
        mac = (_attribute(nic.find("mac"), "address") or f"52:54:00:00:{i >> 8 & 255:02x}:{i & 255:02x}").lower()
        seen.append(mac)
        times = seen.count(mac)
        kind = nic.get("type", "network")
        source, link = nic.find("source"), nic.find("link")
        made.append(
            _live_nic(
                key, mac if times == 1 else f"{mac}#{times}", mac, f"vnet{i}", kind,
                _attribute(source, {"direct": "dev"}.get(kind, kind)), _attribute(nic.find("model"), "type"), f"net{i}",
                _number(nic.find("mtu"), "size"), _number(nic.find("boot"), "order"), _attribute(source, "portgroup"),
                _attribute(nic.find("filterref"), "filter"),
                LinkState.DOWN if _attribute(link, "state") == "down" else LinkState.UP,
            )
        )  # fmt: skip
    return made


def _attribute(element: Any, name: str) -> str | None:
    return None if element is None else element.get(name)


def _number(element: Any, name: str) -> int | None:
    text = _attribute(element, name)
    return int(text) if text is not None and text.isdecimal() else None


@dataclass(frozen=True, kw_only=True)
class _Definition:
    """What the fake takes from domain XML; memory in KiB. `machine`: type, OS type, architecture, machine model."""

    name: str
    uuid: str | None
    title: str
    description: str
    memory: int
    max_memory: int
    vcpus: int
    max_vcpus: int
    machine: tuple[str, str, str, str]
    disks: Sequence[Any]
    nics: Sequence[Any]


_UNITS = {"b": 1, "bytes": 1, "KB": 10**3, "k": 2**10, "KiB": 2**10, "MB": 10**6, "M": 2**20, "MiB": 2**20,
          "GB": 10**9, "G": 2**30, "GiB": 2**30, "T": 2**40, "TiB": 2**40}  # fmt: skip


def _definition(text: str) -> _Definition:
    """The parts of a domain's XML that the fake keeps. Invalid says what is wrong with it."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
    try:
        top = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, UnicodeEncodeError) as error:
        raise Invalid(f"cannot define the domain: XML error: {error}") from None
    if top.tag != "domain":
        raise Invalid("cannot define the domain: XML error: the root element is not domain")
    name = (top.findtext("name") or "").strip()
    if not name:
        raise Invalid("cannot define the domain: XML error: it has no name")
    identity = (top.findtext("uuid") or "").strip() or None
    try:
        identity = None if identity is None else str(uuid.UUID(identity))
        most = _kib(top.find("memory"))
        now = _kib(top.find("currentMemory")) or most
        max_vcpus = int(top.findtext("vcpu") or 1)
        vcpu = top.find("vcpu")
        vcpus = int(vcpu.get("current", max_vcpus)) if vcpu is not None else max_vcpus
    except (ValueError, KeyError) as error:
        raise Invalid(f"domain {name}: cannot define it: XML error: {error}") from None
    if most <= 0 or vcpus <= 0:
        raise Invalid(f"domain {name}: cannot define it: XML error: it needs memory and a vCPU")
    nics = top.findall("devices/interface")
    for mac in (_attribute(nic.find("mac"), "address") for nic in nics):
        if mac is not None and not re.fullmatch("[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", mac):
            raise Invalid(f"domain {name}: cannot define it: XML error: {mac!r} is no MAC address")
    return _Definition(
        name=name, uuid=identity, title=top.findtext("title") or "", description=top.findtext("description") or "",
        memory=min(now, most), max_memory=most, vcpus=min(vcpus, max_vcpus), max_vcpus=max_vcpus,
        machine=(
            top.get("type", "kvm"), top.findtext("os/type") or "hvm",
            _attribute(top.find("os/type"), "arch") or "x86_64", _attribute(top.find("os/type"), "machine") or "pc",
        ),
        disks=top.findall("devices/disk"), nics=nics,
    )  # fmt: skip


def _kib(element: Any) -> int:
    return 0 if element is None else int(element.text or 0) * _UNITS[element.get("unit", "KiB")] // 1024


def _xml(d: _Guest, *, inactive: bool) -> str:
    memory, most = (d.config_memory, d.config_max_memory) if inactive else (d.memory, d.max_memory)
    vcpus, max_vcpus = (d.config_vcpus, d.config_max_vcpus) if inactive else (d.vcpus, d.max_vcpus)
    identity = "" if inactive else f" id='{d.id}'"
    disks = "".join(_disk_xml(x.own) for x in (d.config_disks if inactive else d.disks))
    nics = "".join(_nic_xml(x.own) for x in (d.config_nics if inactive else d.nics))
    return (
        f"<domain type='{d.type}'{identity}><name>{escape(d.name)}</name><uuid>{d.uuid}</uuid>"
        f"<title>{escape(d.title)}</title><description>{escape(d.description)}</description>"
        f"<memory unit='KiB'>{most}</memory><currentMemory unit='KiB'>{memory}</currentMemory>"
        f"<vcpu current='{vcpus}'>{max_vcpus}</vcpu>"
        f"<os><type arch='{d.architecture}' machine='{d.machine}'>{d.os_type}</type></os>"
        f"<devices>{disks}{nics}</devices></domain>"
    )


def _tag(name: str, /, **attributes: object) -> str:
    """An empty element with the attributes that have a value; nothing without any."""
    told = "".join(f" {k}={quoteattr(str(v))}" for k, v in attributes.items() if v is not None)
    return f"<{name}{told}/>" if told else ""


def _disk_xml(own: tuple[Any, ...]) -> str:
    (_, target, source, kind, bus, driver, cache, io, discard, serial, read_only, shareable, _, boot, *_, device) = own
    flags = ("<readonly/>" if read_only else "") + ("<shareable/>" if shareable else "")
    return (
        f"<disk type='{kind}' device='{device.label}'>"
        + _tag("driver", name="qemu", type=driver, cache=cache, io=io, discard=discard)
        + _tag("source", **{_SOURCES.get(kind, "file"): source})
        + _tag("target", dev=target, bus=bus)
        + (f"<serial>{escape(serial)}</serial>" if serial else "")
        + f"{flags}{_tag('boot', order=boot)}</disk>"
    )


def _nic_xml(own: tuple[Any, ...]) -> str:
    (_, _, mac, _, kind, source, model, _, mtu, boot, portgroup, guard, link) = own
    return (
        f"<interface type='{kind}'>"
        + _tag("mac", address=mac)
        + _tag("source", **{{"direct": "dev"}.get(kind, kind): source}, portgroup=portgroup)
        + _tag("model", type=model)
        + _tag("filterref", filter=guard)
        + _tag("link", state=link.label)
        + f"{_tag('mtu', size=mtu)}{_tag('boot', order=boot)}</interface>"
    )
