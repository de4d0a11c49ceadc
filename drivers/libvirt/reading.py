"""What a hypervisor knows, as rows: bulk statistics in batches, definitions only when they may have changed.

A batch of domains costs one call. What a hypervisor's bulk statistics lack (the test driver gives only the state; LXC
and ESX give none) is asked for one by one. Definitions, which cost a call and a parse each, are kept by domain and read
again when an event says so, when the domain starts or stops, or when a slow resync is due, each domain at its own time.

A domain that another job has locked answers a no-wait reading with less: QEMU then leaves out what its monitor would
have told, of which the resident set size is the one field that no running guest lacks.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import libvirt

from agent.driver import Batch, Piece, Plan, Root
from agent.errors import Busy, Failed, Invalid, NotFound, NotSupported, Unreachable, VirtmapError
from agent.model import Disk, Domain, Host, Nic, Vcpu
from agent.model.disk import DiskError
from agent.model.domain import DomainStateReason
from agent.model.vcpu import VcpuState
from agent.schema.declare import Row
from drivers.libvirt import stats, symbols, xml
from drivers.libvirt.calls import Calls

BATCH = 200
"""Domains in one call: libvirt-python builds the whole answer under the GIL, and one RPC message holds 32 MiB."""

RESYNC = 300.0
"""Seconds after which a definition is read again although no event asked for it: autostart, for one, has no event."""

LOOK_UP = 50
"""Up to so many domains are looked up one by one; beyond, listing all is cheaper."""

LOCKED_PAUSE = 0.1
"""Seconds after which a domain that was locked is asked once more."""

_STATS = stats.wanted()
_NOWAIT = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """What the definition of one run of a domain says, as values of rows to begin with, and how long that holds."""

    run: int
    version: int
    until: float
    domain: tuple[Any, ...]
    vcpus: Sequence[int]
    disks: Sequence[tuple[Any, ...]]
    nics: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class Membership:
    """Which domains are persistent, start with the host, have a saved image: by UUID, from one listing each."""

    persistent: frozenset[str]
    autostart: frozenset[str]
    managed_save: frozenset[str]


class Memory:
    """What outlives one reading, and one connection: definitions, and since when each run of a domain was seen."""

    def __init__(self, *, resync: float = RESYNC) -> None:
        self.resync = resync
        self.definitions: dict[str, Definition] = {}
        self.whole: set[str] = set()
        """Domains of which a reading was complete at least once, so that rows of them are known."""
        self._versions: dict[str, int] = {}
        self._runs: dict[str, tuple[int, datetime]] = {}

    def version(self, uuid: str) -> int:
        return self._versions.get(uuid, 0)

    def changed(self, uuid: str) -> None:
        """The definition may have changed: what is being read at this moment is old already."""
        self._versions[uuid] = self.version(uuid) + 1

    def definition(self, uuid: str, run: int) -> Definition | None:
        """The definition, if it still holds for this run."""
        known = self.definitions.get(uuid)
        if known is None or known.run != run or known.version != self.version(uuid) or known.until < time.monotonic():
            return None
        return known

    def since(self, uuid: str, run: int) -> datetime:
        """When this run of the domain was first seen."""
        known = self._runs.get(uuid)
        if known is None or known[0] != run:
            known = self._runs[uuid] = (run, datetime.now(UTC))
        return known[1]

    def keep_only(self, uuids: set[str]) -> None:
        """Forget the domains that are no more."""
        for kept in (self.definitions, self._versions, self._runs):
            for uuid in [each for each in kept if each not in uuids]:
                kept.pop(uuid, None)
        self.whole.intersection_update(uuids)


class Reader:
    """Readings over one connection, of the hypervisor that the configuration calls `name`."""

    def __init__(
        self, calls: Calls, memory: Memory, *, name: str, uri: str, since: datetime, at_once: int | None = None
    ) -> None:
        self.calls = calls
        self._at_once = at_once
        self._calls, self._memory, self._name, self._uri, self._since = calls, memory, name, uri, since
        self._bulk = True
        self._capabilities: dict[str, Any] | None = None
        self._is_qemu = calls.ask(f"{name}: cannot ask its kind", calls.virt.getType) == "QEMU"

    # The plan

    def plan(self, only: Sequence[Root] | None) -> Plan:
        host: Root = (Host, (self._name,))
        if only is None:
            domains = self._list(0)
            self._memory.keep_only({each.UUIDString() for each in domains})
            membership = self._membership()
            everything = (self._host_piece(host), *self._domain_pieces(domains, membership))
            return Plan(pieces=everything, at_once=self._at_once)
        pieces = [self._host_piece(root) for root in only if root == host]
        wanted = [key[0] for row, key in only if row is Domain]
        found = self._look_up(wanted)
        pieces += self._domain_pieces(list(found.values()), None)
        gone = frozenset(root for root in only if root != host and root[1][0] not in found)
        if gone:
            pieces.append(Piece(roots=gone, read=lambda: Batch(rows=())))
        return Plan(pieces=pieces, at_once=self._at_once)

    def _list(self, flags: int) -> list[Any]:
        listed: list[Any] = self._calls.ask(f"{self._uri}: cannot list domains", self._calls.virt.listAllDomains, flags)
        return listed

    def _membership(self) -> Membership | None:
        """Three listings instead of three calls a domain; None where the hypervisor cannot filter."""
        try:
            return Membership(
                persistent=self._uuids(libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT),
                autostart=self._uuids(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART),
                managed_save=self._uuids(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE),
            )
        except (Invalid, NotSupported):
            return None

    def _uuids(self, flags: int) -> frozenset[str]:
        return frozenset(each.UUIDString() for each in self._list(flags))

    def _look_up(self, uuids: Sequence[str]) -> dict[str, Any]:
        """The domains that exist, of these."""
        if len(uuids) > LOOK_UP:
            chosen = set(uuids)
            return {uuid: each for each in self._list(0) if (uuid := each.UUIDString()) in chosen}
        found = {}
        for uuid in dict.fromkeys(uuids):
            try:
                found[uuid] = self._calls.ask(f"domain {uuid}", self._calls.virt.lookupByUUIDString, uuid)
            except (NotFound, Invalid):
                continue  # it is gone, or never was a UUID: its root stays without rows
        return found

    def _domain_pieces(self, domains: Sequence[Any], membership: Membership | None) -> list[Piece]:
        cut = [domains[at : at + BATCH] for at in range(0, len(domains), BATCH)]
        return [self._domain_piece(each, membership) for each in cut]

    def _domain_piece(self, domains: Sequence[Any], membership: Membership | None) -> Piece:
        roots: frozenset[Root] = frozenset((Domain, (each.UUIDString(),)) for each in domains)
        return Piece(roots=roots, read=lambda: self._read_domains(domains, membership))

    def _host_piece(self, root: Root) -> Piece:
        return Piece(roots=frozenset((root,)), read=lambda: Batch(rows=(self._host(),)))

    # Domains

    def _read_domains(self, domains: Sequence[Any], membership: Membership | None) -> Batch:
        rows: list[Row] = []
        failed: dict[Root, VirtmapError] = {}
        for domain, told in self._statistics(domains):
            root: Root = (Domain, (domain.UUIDString(),))
            if isinstance(told, VirtmapError):
                failed[root] = told
                continue
            try:
                rows += self._domain(domain, told, membership)
            except Unreachable:
                raise
            except NotFound:
                continue  # it went while we read
            except VirtmapError as error:
                failed[root] = error.with_traceback(None)  # which would lead back here
        return Batch(rows=rows, failed=failed)

    def _statistics(self, domains: Sequence[Any]) -> Iterable[tuple[Any, dict[str, Any] | VirtmapError]]:
        """Each domain that still exists with its fields, or with the reason why it has none."""
        if self._bulk:
            try:
                return self._bulk_statistics(domains)
            except Unreachable:
                raise
            except NotSupported:
                self._bulk = False
            except VirtmapError as error:
                if len(domains) > 1:  # one of them spoils it for all: find out which
                    return [pair for each in domains for pair in self._statistics([each])]
                return [] if isinstance(error, NotFound) else [(domains[0], error)]
        return [pair for each in domains for pair in self._state_alone(each)]

    def _bulk_statistics(self, domains: Sequence[Any]) -> list[tuple[Any, dict[str, Any] | VirtmapError]]:
        """One call; those that are locked just then are asked once more: most locks last for milliseconds."""
        told = self._ask_bulk(domains)
        locked = {domain.UUIDString(): domain for domain, fields in told if self._is_locked(domain, fields)}
        if not locked:
            return told
        time.sleep(LOCKED_PAUSE)
        again = self._ask_bulk(list(locked.values()))
        return [pair for pair in told if pair[0].UUIDString() not in locked] + again

    def _is_locked(self, domain: Any, told: Mapping[str, Any] | VirtmapError) -> bool:
        return self._is_qemu and domain.ID() != -1 and not isinstance(told, VirtmapError) and "balloon.rss" not in told

    def _ask_bulk(self, domains: Sequence[Any]) -> list[tuple[Any, dict[str, Any] | VirtmapError]]:
        told: list[tuple[Any, dict[str, Any] | VirtmapError]] = self._calls.ask(
            "cannot read the statistics", self._calls.virt.domainListGetStats, list(domains), _STATS, _NOWAIT
        )
        return told

    def _state_alone(self, domain: Any) -> list[tuple[Any, dict[str, Any] | VirtmapError]]:
        try:
            state, reason = self._calls.ask(f"domain {domain.name()}: cannot read its state", domain.state)
        except NotFound:
            return []
        except Unreachable:
            raise
        except VirtmapError as error:
            return [(domain, error)]
        return [(domain, {"state.state": state, "state.reason": reason})]

    def _domain(self, domain: Any, told: Mapping[str, Any], membership: Membership | None) -> list[Row]:
        uuid, run = domain.UUIDString(), domain.ID()
        active = run != -1
        locked = self._is_locked(domain, told)
        if locked and uuid in self._memory.whole:
            raise Busy(f"domain {domain.name()}: another job has locked it")
        definition = self._memory.definition(uuid, run) or self._define(domain, uuid, run)
        reading = _OneDomain(self._calls, domain, definition, dict(told), active=active)
        values = list(definition.domain)
        reading.fill_domain(values)
        self._belongs(domain, uuid, membership, values)
        _set(Domain, values, id=run if active else None, counters_since=self._memory.since(uuid, run))
        _set(Domain, values, refreshed=datetime.now(UTC))
        rows: list[Row] = [*reading.vcpus(uuid), *reading.disks(), *reading.nics()]
        if locked:
            reading.problems.append("another job has locked it: what only its monitor tells is missing")
        else:
            self._memory.whole.add(uuid)
        _set(Domain, values, problem="; ".join(reading.problems))
        return [Domain.of_values(tuple(values)), *rows]

    def _belongs(self, domain: Any, uuid: str, membership: Membership | None, values: list[Any]) -> None:
        if membership is not None:
            persistent: Any = uuid in membership.persistent
            autostart: Any = uuid in membership.autostart
            saved: Any = uuid in membership.managed_save
        else:
            persistent = _flag(self._calls.try_(domain.isPersistent))
            autostart = _flag(self._calls.try_(domain.autostart))
            saved = _flag(self._calls.try_(domain.hasManagedSaveImage, 0))
        _set(Domain, values, persistent=persistent, autostart=autostart, managed_save=saved)

    def _define(self, domain: Any, uuid: str, run: int) -> Definition:
        """Read the definition of a domain, live and persistent, and keep it."""
        version = self._memory.version(uuid)
        name = domain.name()
        asked = f"domain {name}: cannot read its definition"
        live = xml.domain(self._calls.ask(asked, domain.XMLDesc, 0))
        persistent = _flag(self._calls.try_(domain.isPersistent))
        columns = dict(live.domain)
        if persistent or run == -1:
            columns |= xml.config(self._calls.ask(asked, domain.XMLDesc, libvirt.VIR_DOMAIN_XML_INACTIVE))
        columns |= {"os_type": self._calls.try_(domain.OSType) or live.domain.get("os_type")}
        columns |= {"updated": _flag(self._calls.try_(domain.isUpdated)), "host": self._name, "name": name}
        columns |= {"disks": len(live.disks), "nics": len(live.nics), "uuid": uuid}
        definition = Definition(
            run=run, version=version, until=time.monotonic() + self._memory.resync * random.uniform(0.5, 1.0),
            domain=_values(Domain, columns), vcpus=live.vcpus,
            disks=[_values(Disk, each | {"domain": uuid}) for each in live.disks],
            nics=[_values(Nic, each | {"domain": uuid}) for each in live.nics],
        )  # fmt: skip
        self._memory.definitions[uuid] = definition
        return definition

    # The host

    def _host(self) -> Host:
        calls, virt = self._calls, self._calls.virt
        asked = f"host {self._name}"
        model, memory, cpus, mhz, nodes, sockets, cores, threads = calls.ask(asked, virt.getInfo)
        cpu = calls.try_(virt.getCPUStats, libvirt.VIR_NODE_CPU_STATS_ALL_CPUS) or {}
        ram = calls.try_(virt.getMemoryStats, libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS) or {}
        security = calls.try_(virt.getSecurityModel) or ()
        now = datetime.now(UTC)
        columns = self._static_host() | {
            "hypervisor": self._name, "hostname": calls.try_(virt.getHostname), "uri": calls.try_(virt.getURI),
            "driver": calls.try_(virt.getType), "connected": bool(calls.try_(virt.isAlive)), "connected_at": self._since,
            "connection_uptime": int((now - self._since).total_seconds()), "counters_since": self._since,
            "encrypted": _flag(calls.try_(virt.isEncrypted)), "secure": _flag(calls.try_(virt.isSecure)),
            "cpus": cpus, "cpu_frequency": mhz or None, "numa_nodes": nodes, "sockets": sockets, "cores": cores,
            "threads": threads, "memory": ram.get("total", memory * 1024), "memory_free": ram.get("free"),
            "memory_buffers": ram.get("buffers"), "memory_cached": ram.get("cached"), "cpu_user": cpu.get("user"),
            "cpu_kernel": cpu.get("kernel"), "cpu_idle": cpu.get("idle"), "cpu_iowait": cpu.get("iowait"),
            "cpu_interrupt": cpu.get("intr"), "cpu_utilization": cpu.get("utilization"),
            "active_domains": calls.try_(virt.numOfDomains), "inactive_domains": calls.try_(virt.numOfDefinedDomains),
            "security_model": (security[0] or None) if security else None,
            "security_doi": (security[1] or None) if security else None, "refreshed": now, "problem": "",
        }  # fmt: skip
        columns.setdefault("architecture", model)
        return Host.of_values(_values(Host, columns))

    def _static_host(self) -> dict[str, Any]:
        """What stays while a connection lasts. A daemon's first answer may take seconds: it probes its QEMU."""
        if self._capabilities is None:
            calls, virt = self._calls, self._calls.virt
            asked = f"host {self._name}: cannot read its capabilities"
            columns: dict[str, Any] = {"library_version": version_text(libvirt.getVersion())}
            columns |= {"hypervisor_version": version_text(calls.try_(virt.getVersion))}
            columns |= {"daemon_version": version_text(calls.try_(virt.getLibVersion))}
            columns |= {"max_vcpus": calls.try_(virt.getMaxVcpus, None)}
            columns |= xml.capabilities(calls.ask(asked, virt.getCapabilities))
            if (smbios := self._smbios()) is not None:
                columns |= xml.sysinfo(smbios)
            self._capabilities = columns
        return dict(self._capabilities)

    def _smbios(self) -> str | None:
        """The SMBIOS tables; a virtual machine that plays the host often has none, which libvirt calls a failure."""
        try:
            told: str | None = self._calls.try_(self._calls.virt.getSysinfo, 0)
        except Failed:
            return None
        return told


class _OneDomain:
    """One domain while it is read: its statistics, completed by the separate calls that its hypervisor needs."""

    def __init__(
        self, calls: Calls, domain: Any, definition: Definition, told: dict[str, Any], *, active: bool
    ) -> None:
        self._calls, self._domain, self._definition, self._active = calls, domain, definition, active
        self.problems: list[str] = []
        self._asks_each = "block.count" not in told
        self._told = self._complete(told) if active else stats.of_inactive(self._complete(told))
        self._parts = stats.parts(self._told)
        self._state, self._reason = stats.state(self._told)

    def _soft(self, function: Any, *arguments: Any) -> Any:
        """A call whose failure costs its own columns and is told in the row's problem."""
        try:
            return self._calls.try_(function, *arguments)
        except (NotFound, Unreachable):
            raise
        except VirtmapError as error:
            self.problems.append(f"{function.__name__}{arguments or ''}: {str(error).removeprefix(': ')}")
            return None

    def _complete(self, told: dict[str, Any]) -> dict[str, Any]:
        if "balloon.maximum" in told:
            return told
        if info := self._soft(self._domain.info):
            told = stats.from_info(info) | told
        if self._active:
            told = stats.from_memory_stats(self._soft(self._domain.memoryStats) or {}) | told
            told = stats.from_cpu_stats(self._soft(self._domain.getCPUStats, True) or ()) | told
        return told

    def fill_domain(self, values: list[Any]) -> None:
        stats.fill(Domain, self._told, values)
        _set(Domain, values, state=self._state, state_reason=self._reason)
        if not self._active:  # fresher than the definition: changing it for the next start raises no event
            for now, next_start in _CONFIG_OF_INACTIVE:
                values[next_start] = values[now]

    def vcpus(self, uuid: str) -> list[Row]:
        if not self._active:
            return [
                Vcpu(domain=uuid, number=number, state=VcpuState.OFFLINE, affinity=None)
                for number in self._definition.vcpus
            ]
        called, maps = self._soft(self._domain.vcpus) or ((), ())
        where = {each[0]: (each, affinity) for each, affinity in zip(called, maps, strict=False)}
        fields = self._parts["vcpu"]
        return [row for number in sorted(fields.keys() | where.keys() or self._definition.vcpus)
                for row in self._vcpu(uuid, number, fields.get(number, {}), where.get(number))]  # fmt: skip

    def _vcpu(self, uuid: str, number: int, fields: stats.Fields, where: Any) -> list[Row]:
        """A vCPU, and what is beneath it."""
        values = list(_values(Vcpu, {"domain": uuid, "number": number}))
        if where is not None:
            (_, state, time_used, host_cpu), affinity = where
            _set(Vcpu, values, state=symbols.member(VcpuState, state), cpu_time=time_used, affinity=cpu_list(affinity))
            _set(Vcpu, values, host_cpu=host_cpu if host_cpu >= 0 else None)
        stats.fill(Vcpu, fields, values)
        vcpu = Vcpu.of_values(tuple(values))
        return [vcpu, *stats.beneath(Vcpu, fields, vcpu.key)]

    def disks(self) -> list[Row]:
        errors = self._disk_errors()
        return [row for values in self._definition.disks for row in self._disk(list(values), errors)]

    def _disk(self, values: list[Any], errors: Mapping[str, int] | None) -> list[Row]:
        """A disk, and what is beneath it."""
        target = values[Disk.positions["target"]]
        fields = stats.block_of(self._parts["block"], target)
        if self._asks_each and self._active:
            fields = self._disk_fields(target)
        stats.fill(Disk, fields, values)
        if errors is not None:
            _set(Disk, values, error=symbols.member(DiskError, errors.get(target, 0)))
        disk = Disk.of_values(tuple(values))
        return [disk, *stats.beneath(Disk, fields, disk.key)]

    def _disk_fields(self, target: str) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if counted := self._soft(self._domain.blockStatsFlags, target):
            told |= stats.from_block_stats_flags(counted)
        elif counted := self._soft(self._domain.blockStats, target):
            told |= stats.from_block_stats(counted)
        if sizes := self._soft(self._domain.blockInfo, target):
            told |= stats.from_block_info(sizes)
        return told

    def _disk_errors(self) -> Mapping[str, int] | None:
        """Disks that failed. QEMU, which would have to be asked by its monitor, pauses a guest for such an error."""
        if not self._active or self._state is None:
            return None
        if not self._asks_each and self._reason is not DomainStateReason.PAUSED_IO_ERROR:
            return {}
        told: Mapping[str, int] | None = self._soft(self._domain.diskErrors)
        return told

    def nics(self) -> list[Row]:
        return [self._nic(number, list(values)) for number, values in enumerate(self._definition.nics)]

    def _nic(self, number: int, values: list[Any]) -> Row:
        target = values[Nic.positions["target"]]
        fields = stats.nic_of(self._parts["net"], number, target)
        if self._asks_each and self._active and target is not None:
            counted = self._soft(self._domain.interfaceStats, target)
            fields = stats.from_interface_stats(counted) if counted else {}
        stats.fill(Nic, fields, values)
        return Nic.of_values(tuple(values))


_CONFIG_OF_INACTIVE = tuple(
    (Domain.positions[name], Domain.positions[f"config_{name}"])
    for name in ("vcpus", "max_vcpus", "memory", "max_memory")
)


def _values(row: type[Row], columns: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values of a row, in the order of its fields; a column that is not told is None."""
    values: list[Any] = [None] * len(row.fields)
    for name, value in columns.items():
        values[row.positions[name]] = value
    return tuple(values)


def _set(row: type[Row], values: list[Any], **columns: Any) -> None:
    for name, value in columns.items():
        values[row.positions[name]] = value


def _flag(told: int | None) -> bool | None:
    return None if told is None else bool(told)


def version_text(number: int | None) -> str | None:
    """7002022 is 7.2.22; None and 0, which some hypervisors give, are no version."""
    return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}" if number else None


def cpu_list(allowed: Sequence[bool]) -> str:
    """Processor numbers as a list of numbers and ranges: 0-3,6."""
    ranges: list[list[int]] = []
    for number, may in enumerate(allowed):
        if may and ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        elif may:
            ranges.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
