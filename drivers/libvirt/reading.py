"""What a hypervisor knows, as rows: bulk statistics in batches, definitions only when they may have changed.

A batch of domains costs one call. What a hypervisor's bulk statistics lack (the test driver gives only the state; LXC
and ESX give none) is asked for one by one. Definitions, which cost a call and a parse each, are kept by domain and read
again when an event says so, when the domain starts or stops, or when a slow resync is due, a few domains at a time. So are
the details of a domain, which cost a dozen calls: a resync that finds the definition as it was leaves them alone, and a
reading of everything takes only so long for them.

Networks, pools and the other kinds of objects have a pace of their own: in between they are kept as they are, unless an
event says that one changed.

A domain that another job has locked answers a no-wait reading with less: QEMU then leaves out what its monitor would
have told, of which the resident set size is the one field that no running guest lacks.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import libvirt

from agent.driver import Batch, Piece, Plan, Root
from agent.errors import Busy, Denied, Failed, Invalid, NotFound, NotSupported, Unreachable, VirtmapError
from agent.model import Disk, Domain, Host, Nic, Vcpu
from agent.model.disk import DiskError
from agent.model.domain import DomainStateReason
from agent.model.log import Log
from agent.model.vcpu import VcpuState
from agent.schema.declare import Row
from drivers.libvirt import host, stats, symbols, xml
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Asked
from drivers.libvirt.domains import DETAILS
from drivers.libvirt.kinds import KINDS
from drivers.libvirt.kinds.kind import Kind
from drivers.libvirt.processors import cpu_list
from drivers.logs.listing import Guest
from drivers.logs.ownership import DeviceLog

BATCH = 200
"""Domains in one call: libvirt-python builds the whole answer under the GIL, and one RPC message holds 32 MiB."""

RESYNC = 300.0
"""Seconds after which a definition is read again although no event asked for it: autostart, for one, has no event."""

RESYNC_AT_ONCE = 2
"""So many domains are read again for that reason alone in one reading of everything, so that it stays cheap."""

DETAILS_TIME = 2.0
"""Seconds that one reading of everything takes for details that were never read. The rest has them in the next ones."""

SLOW_HOST = 60.0
"""Seconds after which the slow part of the host is read again."""

KIND_BATCH = 20
"""Objects of another kind in one piece."""

SINGLY = 25
"""Domains in one piece where there are no bulk statistics: each costs calls of its own, and pieces are read side by side."""

LOOK_UP = 50
"""Up to so many domains are looked up one by one; beyond, listing all is cheaper."""

LOCKED_PAUSE = 0.1
"""Seconds after which a domain that was locked is asked once more."""

_STATS = stats.wanted()
_NOWAIT = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT


Texts = tuple[str, str | None]
"""The XML of what runs, and of the next start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """What the definition of one run of a domain says, as values of rows to begin with, and how long that holds."""

    run: int
    version: int
    until: float
    digest: bytes
    """Of the XML of what runs and of the next start, which would be too much to keep: ten thousand domains have 100 MB of it."""
    domain: tuple[Any, ...]
    vcpus: Sequence[int]
    disks: Sequence[tuple[Any, ...]]
    nics: Sequence[tuple[Any, ...]]
    logs: Sequence[DeviceLog]


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail:
    """What was found out about a domain beside its definition: columns of its row, and rows beneath it."""

    run: int
    version: int
    until: float
    placed: Any
    """virDomainGetVcpus, where its vCPUs run and may run; of a domain that does not run virDomainGetVcpuPinInfo."""
    columns: Mapping[str, Any]
    rows: Sequence[Row]
    problems: Sequence[str]


@dataclass(slots=True)
class Seen:
    """The objects of one kind as they were last listed, and when they are to be listed again."""

    until: float = 0.0
    roots: frozenset[Root] = frozenset()


@dataclass(slots=True)
class Allowance:
    """What one reading may spend on domains that no event asked it to read: which are read again, None being all of them, and
    seconds for details."""

    again: frozenset[str] | None
    seconds: float

    def may(self, uuid: str) -> bool:
        return self.again is None or uuid in self.again


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
        self.unheard = False
        """Whether the hypervisor tells no events of domains."""
        self.definitions: dict[str, Definition] = {}
        self.details: dict[str, Detail] = {}
        self.kinds: dict[type[Row], Seen] = {kind.row: Seen() for kind in KINDS}
        self.whole: set[str] = set()
        """Domains of which a reading was complete at least once, so that rows of them are known."""
        self._versions: dict[str, int] = {}
        self._runs: dict[str, tuple[int, datetime]] = {}

    def version(self, uuid: str) -> int:
        return self._versions.get(uuid, 0)

    def changed(self, uuid: str) -> None:
        """The definition may have changed: what is being read at this moment is old already."""
        self._versions[uuid] = self.version(uuid) + 1

    def device(self, uuid: str, row: type[Row], alias: str) -> str | None:
        """The own key of a disk or NIC, by its alias or by that key itself, as the definition that was read last has it."""
        known = self.definitions.get(uuid)
        if known is None:
            return None
        place, own = row.positions["alias"], row.key_fields()[-1].position
        for values in known.disks if row is Disk else known.nics:
            if alias in (values[place], values[own]):
                found: str = values[own]
                return found
        return None

    def due(self, row: type[Row]) -> None:
        """Objects of this kind may have come or gone, or of every kind if an operation on the host may have done so."""
        for kind in self.kinds if row is Host else [row]:
            self.kinds[kind].until = 0.0

    def definition(self, uuid: str, run: int, allowance: Allowance) -> Definition | None:
        """The definition, if it still holds for this run."""
        known = self.definitions.get(uuid)
        if known is None or known.run != run or known.version != self.version(uuid):
            return None
        if known.until < time.monotonic() and allowance.may(uuid):
            return None
        return known

    def overdue(self, most: int) -> frozenset[str]:
        """So many of the domains whose definition or details are due to be read again, those first that have waited longest."""
        now = time.monotonic()
        due = [(known.until, uuid) for kept in (self.definitions, self.details) for uuid, known in kept.items()]
        return frozenset(uuid for _, uuid in heapq.nsmallest(most, (each for each in due if each[0] < now)))

    def detail(self, uuid: str, definition: Definition, allowance: Allowance) -> Detail | None:
        """The details, if they were read for this definition, and none of them wants to be read again."""
        known = self.details.get(uuid)
        if known is None or known.run != definition.run or known.version != definition.version:
            return None
        if known.until < time.monotonic() and allowance.may(uuid):
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
        for kept in (self.definitions, self.details, self._versions, self._runs):
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
        self._bulk: bool | None = None
        self._host_problems: list[str] = []
        self._capabilities: dict[str, Any] | None = None
        self._slow: dict[str, Any] = {}
        self._beneath_host: Sequence[Row] = ()
        self._slow_until = 0.0
        self._running: tuple[int, int] | None = None
        self._is_qemu = calls.ask(f"{name}: cannot ask its kind", calls.virt.getType) == "QEMU"
        if calls.logs is not None:
            calls.logs.removing.learn = self.learn_logs

    # The plan

    def plan(self, only: Sequence[Root] | None) -> Plan:
        host: Root = (Host, (self._name,))
        if only is None:
            domains = self._list(0)
            self._memory.keep_only({each.UUIDString() for each in domains})
            self._running = sum(each.ID() != -1 for each in domains), len(domains)
            membership = self._membership()
            self._learn(domains)
            spend = Allowance(again=self._memory.overdue(RESYNC_AT_ONCE), seconds=DETAILS_TIME)
            others, kept = self._plan_kinds()
            everything = (self._host_piece(host), *self._domain_pieces(domains, membership, spend), *others)
            return Plan(pieces=everything, at_once=self._at_once, kept=kept, unheard=self._memory.unheard)
        pieces = [self._host_piece(root) for root in only if root == host]
        wanted = [key[0] for row, key in only if row is Domain]
        found = self._look_up(wanted)
        pieces += self._domain_pieces(list(found.values()), None, Allowance(again=None, seconds=float("inf")))
        gone = frozenset(root for root in only if root[0] is Domain and root[1][0] not in found)
        if gone:
            pieces.append(Piece(roots=gone, read=lambda: Batch(rows=())))
        for kind in KINDS:
            some = [root for root in only if root[0] is kind.row]
            pieces += [self._kind_piece(kind, dict.fromkeys(some))] if some else []
        return Plan(pieces=pieces, at_once=self._at_once)

    def _learn(self, domains: Sequence[Any]) -> None:
        """Which domains there are decides whose a log is."""
        if self._calls.logs is None:
            return
        definitions = self._memory.definitions
        guests = {}
        for each in domains:
            uuid = each.UUIDString()
            known = definitions.get(uuid)
            guests[uuid] = Guest(name=each.name(), active=each.ID() != -1, devices=known.logs if known else None)
        if self._calls.logs.learn(guests):
            self._memory.due(Log)

    def learn_logs(self) -> None:
        """Which domains there are at this moment, and which logs their devices have. What is not known yet, or was known of another
        definition or run, is read now: nothing may be removed that somebody has a claim to."""
        domains = []
        for each in self._list(0):
            uuid, run = each.UUIDString(), each.ID()
            known = self._memory.definitions.get(uuid)
            try:
                if known is None or (known.run, known.version) != (run, self._memory.version(uuid)):
                    self._define(each, uuid, run)
            except NotFound:  # it has gone meanwhile
                continue
            domains.append(each)
        self._learn(domains)

    # Objects of other kinds

    def _plan_kinds(self) -> tuple[list[Piece], frozenset[Root]]:
        """Pieces for the kinds that are due, and the objects of the others, which are kept as they are."""
        pieces: list[Piece] = []
        kept: set[Root] = set()
        for kind in KINDS:
            seen = self._memory.kinds[kind.row]
            now = time.monotonic()
            if seen.until <= now:
                seen.until = now + kind.pace * random.uniform(0.8, 1.0)
                listed = self._objects(kind)
                seen.roots = frozenset(listed)
                roots = list(listed)
                cut = [roots[at : at + KIND_BATCH] for at in range(0, len(roots), KIND_BATCH)]
                pieces += [self._kind_piece(kind, {root: listed[root] for root in some}) for some in cut]
            else:
                kept |= seen.roots
        return pieces, frozenset(kept)

    def _objects(self, kind: Kind) -> dict[Root, Any]:
        """All objects of the kind that there are; none where the hypervisor has no such thing."""
        try:
            return {(kind.row, kind.key(each)): each for each in kind.objects(self._calls)}
        except (NotSupported, Invalid, Failed, Denied):
            return {}

    def _kind_piece(self, kind: Kind, some: Mapping[Root, Any]) -> Piece:
        return Piece(roots=frozenset(some), read=lambda: self._read_kind(kind, some))

    def _read_kind(self, kind: Kind, some: Mapping[Root, Any]) -> Batch:
        rows: list[Row] = []
        failed: dict[Root, VirtmapError] = {}
        seen = self._memory.kinds[kind.row]
        for root, known in some.items():
            try:
                rows += kind.read(self._calls, kind.find(self._calls, root[1]) if known is None else known)
                if root not in seen.roots:
                    seen.roots |= {root}
            except Unreachable:
                raise
            except NotFound:
                seen.roots -= {root}
            except VirtmapError as error:
                failed[root] = error.with_traceback(None)
        return Batch(rows=rows, failed=failed)

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
        except (Invalid, NotSupported, Failed, Denied):
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

    def _domain_pieces(self, domains: Sequence[Any], membership: Membership | None, spend: Allowance) -> list[Piece]:
        size = BATCH if self._tells_in_bulk(domains) else SINGLY
        cut = [domains[at : at + size] for at in range(0, len(domains), size)]
        return [self._domain_piece(each, membership, spend) for each in cut]

    def _tells_in_bulk(self, domains: Sequence[Any]) -> bool:
        """Whether there are bulk statistics, which the first domain that is there tells once for a connection."""
        if self._bulk is None and domains:
            try:
                self._ask_bulk(domains[:1], libvirt.VIR_DOMAIN_STATS_STATE)
                self._bulk = True
            except Unreachable:
                raise
            except NotSupported:
                self._bulk = False
            except VirtmapError:
                return True  # that domain's own trouble, or it has gone: the next reading asks again
        return self._bulk is not False

    def _domain_piece(self, domains: Sequence[Any], membership: Membership | None, spend: Allowance) -> Piece:
        roots: frozenset[Root] = frozenset((Domain, (each.UUIDString(),)) for each in domains)
        return Piece(roots=roots, read=lambda: self._read_domains(domains, membership, spend))

    def _host_piece(self, root: Root) -> Piece:
        return Piece(roots=frozenset((root,)), read=self._read_host)

    # Domains

    def _read_domains(self, domains: Sequence[Any], membership: Membership | None, spend: Allowance) -> Batch:
        rows: list[Row] = []
        failed: dict[Root, VirtmapError] = {}
        for domain, told in self._statistics(domains):
            root: Root = (Domain, (domain.UUIDString(),))
            if isinstance(told, VirtmapError):
                failed[root] = told
                continue
            try:
                rows += self._domain(domain, told, membership, spend)
            except Unreachable:
                raise
            except NotFound:
                continue  # it went while we read
            except VirtmapError as error:
                failed[root] = error.with_traceback(None)  # which would lead back here
        return Batch(rows=rows, failed=failed)

    def _statistics(self, domains: Sequence[Any]) -> Iterable[tuple[Any, dict[str, Any] | VirtmapError]]:
        """Each domain that still exists with its fields, or with the reason why it has none."""
        if self._bulk is not False:
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

    def _ask_bulk(
        self, domains: Sequence[Any], groups: int = _STATS
    ) -> list[tuple[Any, dict[str, Any] | VirtmapError]]:
        told: list[tuple[Any, dict[str, Any] | VirtmapError]] = self._calls.ask(
            "cannot read the statistics", self._calls.virt.domainListGetStats, list(domains), groups, _NOWAIT
        )
        return told

    def _state_alone(self, domain: Any) -> list[tuple[Any, dict[str, Any] | VirtmapError]]:
        try:
            state, reason = self._calls.ask(f"domain {domain.name()}: cannot read its state", domain.state)
        except NotFound:
            return []
        except Unreachable:
            raise
        except NotSupported:
            return [(domain, {})]  # what its information tells of its state has to do
        except VirtmapError as error:
            return [(domain, error)]
        return [(domain, {"state.state": state, "state.reason": reason})]

    def _domain(
        self, domain: Any, told: Mapping[str, Any], membership: Membership | None, spend: Allowance
    ) -> list[Row]:
        uuid, run = domain.UUIDString(), domain.ID()
        active = run != -1
        locked = self._is_locked(domain, told)
        if locked and uuid in self._memory.whole:
            raise Busy(f"domain {domain.name()}: another job has locked it")
        texts: Texts | None = None
        definition = self._memory.definition(uuid, run, spend)
        if definition is None:
            definition, texts = self._define(domain, uuid, run)
        reading = _OneDomain(self._calls, domain, definition, dict(told), active=active)
        detail = self._memory.detail(uuid, definition, spend)
        if detail is None and not locked:
            detail = self._detail(domain, uuid, definition, texts, reading, spend)
        if detail is not None:
            reading.placed = detail.placed
        values = list(definition.domain)
        reading.fill_domain(values)
        self._belongs(domain, uuid, membership, values, reading)
        _set(Domain, values, id=run if active else None, counters_since=self._memory.since(uuid, run))
        _set(Domain, values, refreshed=datetime.now(UTC))
        rows: list[Row] = [*reading.vcpus(uuid), *reading.disks(), *reading.nics()]
        if detail is not None:
            _set(Domain, values, **detail.columns)
            rows += detail.rows
            reading.problems += detail.problems
        if locked:
            reading.problems.append("another job has locked it: what only its monitor tells is missing")
        else:
            self._memory.whole.add(uuid)
        _set(Domain, values, problem="; ".join(reading.problems))
        return [Domain.of_values(tuple(values)), *rows]

    def _belongs(
        self, domain: Any, uuid: str, membership: Membership | None, values: list[Any], reading: _OneDomain
    ) -> None:
        if membership is not None:
            persistent: Any = uuid in membership.persistent
            autostart: Any = uuid in membership.autostart
            saved: Any = uuid in membership.managed_save
        else:
            persistent = _flag(reading.soft(domain.isPersistent))
            autostart = _flag(reading.soft(domain.autostart))
            saved = _flag(reading.soft(domain.hasManagedSaveImage, 0))
        _set(Domain, values, persistent=persistent, autostart=autostart, managed_save=saved)

    def _texts(self, domain: Any, run: int) -> Texts:
        """The XML of what runs, and of the next start if there is to be one."""
        told = self._calls.ask(f"domain {domain.name()}: cannot read its definition", domain.XMLDesc, 0)
        later = None
        if run == -1 or _flag(self._calls.try_(domain.isPersistent)):
            later = self._calls.try_(domain.XMLDesc, libvirt.VIR_DOMAIN_XML_INACTIVE)
        return told, later

    def _define(self, domain: Any, uuid: str, run: int) -> tuple[Definition, Texts]:
        """Read the definition of a domain, live and persistent, and keep what it tells; gives its XML too."""
        version = self._memory.version(uuid)
        until = time.monotonic() + self._memory.resync * random.uniform(0.5, 1.0)
        texts = told, later = self._texts(domain, run)
        digest = hashlib.sha256("\0".join((told, later or "")).encode("utf-8", "replace")).digest()
        known = self._memory.definitions.get(uuid)
        if known is not None and (known.run, known.version, known.digest) == (run, version, digest):
            known = self._memory.definitions[uuid] = replace(known, until=until)  # so the details hold as well
            return known, texts
        live = xml.domain(told)
        columns = dict(live.domain)
        if later is not None:
            columns |= xml.config(later)
        columns |= {"os_type": self._calls.try_(domain.OSType) or live.domain.get("os_type")}
        columns |= {"updated": _flag(self._calls.try_(domain.isUpdated)), "host": self._name, "name": domain.name()}
        columns |= {"disks": len(live.disks), "nics": len(live.nics), "uuid": uuid}
        definition = Definition(
            run=run, version=version, until=until, digest=digest,
            domain=_values(Domain, columns), vcpus=live.vcpus,
            disks=[_values(Disk, each | {"domain": uuid}) for each in live.disks],
            nics=[_values(Nic, each | {"domain": uuid}) for each in live.nics], logs=live.logs,
        )  # fmt: skip
        if known is not None and known.version == version and known.run == run:
            self._memory.details.pop(uuid, None)  # it changed, and no event told so
        self._memory.definitions[uuid] = definition
        return definition, texts

    def _detail(
        self, domain: Any, uuid: str, definition: Definition, texts: Texts | None, reading: _OneDomain, spend: Allowance
    ) -> Detail | None:
        """Find out the details of a domain, unless that has taken too long already; then those of before, if there are any."""
        if spend.seconds <= 0:
            return self._memory.details.get(uuid)
        began = time.monotonic()
        live, later = texts or self._texts(domain, definition.run)
        missed: list[NotFound] = []

        def soft(function: Any, *arguments: Any) -> Any:
            """What is not there may be a part of the domain, such as its network, and not the domain itself; and what only
            looks may be refused a part of what there is to see."""
            try:
                return self._calls.try_(function, *arguments)
            except Unreachable:
                raise
            except NotFound as error:
                missed.append(error)
            except Denied:
                return None
            except VirtmapError as error:
                reading.note(function, arguments, error)
            return None

        asked = Asked(
            uuid=uuid, virt=self._calls.virt, domain=domain, root=xml.parse(live),
            persistent=None if later is None else xml.parse(later), active=definition.run != -1, soft=soft,
            quiet=reading.quiet,
        )  # fmt: skip
        before = len(reading.problems)
        if not asked.active:
            placed = reading.soft(domain.vcpuPinInfo, 0)
        else:
            placed = None if reading.asks_each else reading.soft(domain.vcpus)
        rows = [row for read in DETAILS for row in read(asked)]
        if missed:
            # NotFound, if it is the domain that has gone
            self._calls.ask(f"domain {domain.name()}", domain.isPersistent)
            del missed[:]
        problems = reading.problems[before:]
        del reading.problems[before:]
        detail = Detail(
            run=definition.run, version=definition.version, until=began + asked.again, placed=placed,
            columns=asked.columns, rows=rows, problems=problems,
        )  # fmt: skip
        self._memory.details[uuid] = detail
        spend.seconds -= time.monotonic() - began
        return detail

    # The host

    def _read_host(self) -> Batch:
        """What moves is asked each time; the rest once in a while, or once for a connection."""
        calls, virt = self._calls, self._calls.virt
        if self._slow_until <= time.monotonic():
            self._slow, self._beneath_host = self._slow_host()
            self._slow_until = time.monotonic() + SLOW_HOST
        problems: list[str] = []
        cpu = _soft(calls, problems, virt.getCPUStats, libvirt.VIR_NODE_CPU_STATS_ALL_CPUS) or {}
        ram = _soft(calls, problems, virt.getMemoryStats, libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS) or {}
        now = datetime.now(UTC)
        running, all_domains = self._running or self._count()
        columns = (self._capabilities or {}) | self._slow | {
            "hypervisor": self._name, "connected": bool(calls.try_(virt.isAlive)), "connected_at": self._since,
            "connection_uptime": int((now - self._since).total_seconds()), "counters_since": self._since,
            "memory_free": ram.get("free"), "memory_buffers": ram.get("buffers"), "memory_cached": ram.get("cached"),
            "cpu_user": cpu.get("user"), "cpu_kernel": cpu.get("kernel"), "cpu_idle": cpu.get("idle"),
            "cpu_iowait": cpu.get("iowait"), "cpu_interrupt": cpu.get("intr"), "cpu_utilization": cpu.get("utilization"),
            "active_domains": running, "inactive_domains": all_domains - running, "refreshed": now,
            "problem": "; ".join([*self._host_problems, *problems]),
        }  # fmt: skip
        if "total" in ram:
            columns["memory"] = ram["total"]
        return Batch(rows=(Host.of_values(_values(Host, columns)), *self._beneath_host))

    def _count(self) -> tuple[int, int]:
        """Domains that run, and all of them."""
        domains = self._list(0)
        return sum(each.ID() != -1 for each in domains), len(domains)

    def _slow_host(self) -> tuple[dict[str, Any], Sequence[Row]]:
        """What changes slowly: columns of the host, and the rows beneath it."""
        calls, virt = self._calls, self._calls.virt
        problems: list[str] = []
        soft = partial(_soft, calls, problems)
        info = soft(virt.getInfo) or (None,) * 8
        model, memory, cpus, mhz, nodes, sockets, cores, threads = info
        security = soft(virt.getSecurityModel) or ()
        columns = {
            "hostname": soft(virt.getHostname), "uri": soft(virt.getURI) or self._uri, "driver": soft(virt.getType),
            "encrypted": _flag(soft(virt.isEncrypted)), "secure": _flag(soft(virt.isSecure)),
            "cpus": cpus, "cpu_frequency": mhz or None, "numa_nodes": nodes, "sockets": sockets, "cores": cores,
            "threads": threads, "memory": None if memory is None else memory * 1024,
            "security_model": (security[0] or None) if security else None,
            "security_doi": (security[1] or None) if security else None,
        }  # fmt: skip
        if "architecture" not in self._static_host(soft):
            columns["architecture"] = model
        more, rows = self._host_details(problems)
        self._host_problems = problems
        return columns | more, rows

    def _host_details(self, problems: list[str]) -> tuple[dict[str, Any], Sequence[Row]]:
        try:
            more, rows = host.details(self._calls, self._name)
            return more, tuple(rows)
        except Unreachable:
            raise
        except VirtmapError as error:
            problems.append(str(error))
            return {}, ()

    def _static_host(self, soft: Callable[..., Any]) -> dict[str, Any]:
        """What stays while a connection lasts. A daemon's first answer may take seconds: it probes its QEMU."""
        if self._capabilities is None or self._host_problems:
            virt = self._calls.virt
            columns: dict[str, Any] = {"library_version": version_text(libvirt.getVersion())}
            columns |= {"hypervisor_version": version_text(soft(virt.getVersion))}
            columns |= {"daemon_version": version_text(soft(virt.getLibVersion))}
            columns |= {"max_vcpus": soft(virt.getMaxVcpus, None)}
            if (capabilities := soft(virt.getCapabilities)) is not None:
                columns |= xml.capabilities(capabilities)
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
        self.placed: Any = None
        self.asks_each = "block.count" not in told
        self._told = self._complete(told) if active else stats.of_inactive(self._complete(told))
        self._parts = stats.parts(self._told)
        self._state, self._reason = stats.state(self._told)

    def soft(self, function: Any, *arguments: Any) -> Any:
        """A call whose failure costs its own columns and is told in the row's problem."""
        try:
            return self._calls.try_(function, *arguments)
        except (NotFound, Unreachable):
            raise
        except VirtmapError as error:
            self.note(function, arguments, error)
            return None

    def note(self, function: Any, arguments: Sequence[Any], error: VirtmapError) -> None:
        """Tell of a failure in the row's problem."""
        self.problems.append(f"{function.__name__}{tuple(arguments) or ''}: {str(error).removeprefix(': ')}")

    def quiet(self, function: Any, *arguments: Any) -> Any:
        """A call whose failure costs its own columns, and is nobody's problem."""
        try:
            return self._calls.try_(function, *arguments)
        except Unreachable:
            raise
        except VirtmapError:
            return None

    def _complete(self, told: dict[str, Any]) -> dict[str, Any]:
        if "balloon.maximum" in told:
            return told
        if info := self.soft(self._domain.info):
            told = stats.from_info(info) | told
        if self._active:
            told = stats.from_memory_stats(self.soft(self._domain.memoryStats) or {}) | told
            told = stats.from_cpu_stats(self.soft(self._domain.getCPUStats, True) or ()) | told
        return told

    def fill_domain(self, values: list[Any]) -> None:
        stats.fill(Domain, self._told, values)
        _set(Domain, values, state=self._state, state_reason=self._reason)
        if not self._active:  # fresher than the definition: changing it for the next start raises no event
            for now, next_start in _CONFIG_OF_INACTIVE:
                values[next_start] = values[now]

    def vcpus(self, uuid: str) -> list[Row]:
        if not self._active:
            pins = dict(enumerate(self.placed or ()))
            return [
                Vcpu(
                    domain=uuid, number=number, state=VcpuState.OFFLINE,
                    affinity=cpu_list(pins[number]) if number in pins else None,
                )
                for number in self._definition.vcpus
            ]  # fmt: skip
        called, maps = (self.soft(self._domain.vcpus) if self.asks_each else self.placed) or ((), ())
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
        if self.asks_each and self._active:
            fields = self._disk_fields(target)
        stats.fill(Disk, fields, values)
        if errors is not None:
            _set(Disk, values, error=symbols.member(DiskError, errors.get(target, 0)))
        disk = Disk.of_values(tuple(values))
        return [disk, *stats.beneath(Disk, fields, disk.key)]

    def _disk_fields(self, target: str) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if counted := self.soft(self._domain.blockStatsFlags, target):
            told |= stats.from_block_stats_flags(counted)
        elif counted := self.soft(self._domain.blockStats, target):
            told |= stats.from_block_stats(counted)
        if sizes := self.soft(self._domain.blockInfo, target):
            told |= stats.from_block_info(sizes)
        return told

    def _disk_errors(self) -> Mapping[str, int] | None:
        """Disks that failed. QEMU, which would have to be asked by its monitor, pauses a guest for such an error."""
        if not self._active or self._state is None:
            return None
        if not self.asks_each and self._reason is not DomainStateReason.PAUSED_IO_ERROR:
            return {}
        told: Mapping[str, int] | None = self.soft(self._domain.diskErrors)
        return told

    def nics(self) -> list[Row]:
        return [self._nic(number, list(values)) for number, values in enumerate(self._definition.nics)]

    def _nic(self, number: int, values: list[Any]) -> Row:
        target = values[Nic.positions["target"]]
        fields = stats.nic_of(self._parts["net"], number, target)
        if self.asks_each and self._active and target is not None:
            counted = self.soft(self._domain.interfaceStats, target)
            fields = stats.from_interface_stats(counted) if counted else {}
        stats.fill(Nic, fields, values)
        return Nic.of_values(tuple(values))


_CONFIG_OF_INACTIVE = tuple(
    (Domain.positions[name], Domain.positions[f"config_{name}"])
    for name in ("vcpus", "max_vcpus", "memory", "max_memory")
)


def _soft(calls: Calls, problems: list[str], function: Any, *arguments: Any) -> Any:
    """A call whose failure costs its own columns, and is told in `problems`."""
    try:
        return calls.try_(function, *arguments)
    except Unreachable:
        raise
    except VirtmapError as error:
        if isinstance(error, NotFound) and function.__qualname__.startswith("virDomain."):
            raise  # the domain itself has gone
        problems.append(f"{function.__name__}{arguments or ''}: {str(error).removeprefix(': ')}")
        return None


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
