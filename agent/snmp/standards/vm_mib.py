"""VM-MIB (RFC 7666): the domains of a hypervisor, their vCPUs, disks and NICs, as the IETF describes virtual machines.

Indexes are those of the mapping: small, kept across restarts, never given twice. What the module leaves open, or what libvirt
does not say, is answered so:

* vmHvUpTime counts from when the present connection to the hypervisor was made, for libvirt does not say when its service
  began: the service has been up for at least that long, and a restart of it ends the connection.
* vmUpTime counts from when this run of the domain was first seen; a pause or a reboot of the guest does not begin it anew.
* A notification's vmOperState is the state before, as RFC 7666 words each of them; unknown(1) where it was not seen.
* suspended(2, 6) is a domain with a saved image; a domain whose vCPUs are stopped is paused(3, 8).
* vmCpuPhysIndex is 196608 plus the number of the processor, which is its hrDeviceIndex where net-snmp serves the host.
* vmHvObjectID is 0.0 (no hypervisor below libvirt has an identity of that kind that libvirt tells), vmStorageParent,
  vmNetworkIfIndex and vmNetworkParent are 0 (the agent serves neither HOST-RESOURCES-MIB nor IF-MIB).
* vmStorageTable has the disks of domains and no volumes that nobody uses (vmStorageVmIndex 0): the mapping has no volumes.
* A bulk notification is sent with each event, at once, and so names one machine.
* Nothing is writable but the two switches of the notifications, and these by administrators only.
"""

import enum
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

from agent.access import Principal
from agent.driver import Happened
from agent.layout import Patch
from agent.model.disk import Disk, DiskDevice
from agent.model.domain import Domain, DomainState, DomainStateReason
from agent.model.domain_events import (
    DomainCrashed,
    DomainLifecycle,
    DomainPmSuspended,
    DomainResumed,
    DomainShutdown,
    DomainStarted,
    DomainStopped,
    DomainSuspended,
    DomainUndefined,
    LifecycleDetail,
)
from agent.model.host import Host
from agent.model.nic import Nic
from agent.model.vcpu import Vcpu
from agent.schema.declare import Access
from agent.schema.types import Wire
from agent.snapshot import Snapshot, Table
from agent.snmp import ber, writers
from agent.snmp.message import Status
from agent.snmp.mib import MaxAccess, Oid
from agent.snmp.notice import Notice
from agent.snmp.setting import Ask, Asker, Change, Refused
from agent.snmp.standards import Place, Serve, parts
from agent.snmp.standards.declared import (
    ADMIN_STRING,
    COUNTER64,
    TICKS,
    DeclaredModule,
    DeclaredNotification,
    DeclaredTable,
    Objects,
    Product,
    Shows,
    Syntax,
    enumerated,
    hexadecimal,
    index,
    numbers,
    octets,
    scalar,
    shown,
)
from agent.snmp.view import Column, RowIndex

VM_MIB: Oid = (1, 3, 6, 1, 2, 1, 236)
OBJECTS: Oid = (*VM_MIB, 1)
NOTIFICATIONS: Oid = (*VM_MIB, 0)

HIGHEST = 2**31 - 1
KIB = 1024
DEVICE_OF_CPU = 196608
"""What net-snmp adds to the number of a processor to get its hrDeviceIndex."""

LONGEST_LIST = 60_000
"""Octets of the longest vmAffectedVMs: a bitmap of indexes up to 480,000, as large as a datagram can carry."""


# --- enumerations


class AdminState(enum.IntEnum):
    RUNNING = 1
    SUSPENDED = 2
    PAUSED = 3
    SHUTDOWN = 4


class OperState(enum.IntEnum):
    UNKNOWN = 1
    OTHER = 2
    PREPARING = 3
    RUNNING = 4
    SUSPENDING = 5
    SUSPENDED = 6
    RESUMING = 7
    PAUSED = 8
    MIGRATING = 9
    SHUTTING_DOWN = 10
    SHUTDOWN = 11
    CRASHED = 12


class AutoStart(enum.IntEnum):
    UNKNOWN = 1
    ENABLED = 2
    DISABLED = 3


class Persistent(enum.IntEnum):
    UNKNOWN = 1
    PERSISTENT = 2
    TRANSIENT = 3


class Affinity(enum.IntEnum):
    UNKNOWN = 0
    ENABLE = 1
    DISABLE = 2


class SourceType(enum.IntEnum):
    UNKNOWN = 1
    OTHER = 2
    BLOCK = 3
    RAW = 4
    SPARSE = 5
    NETWORK = 6


class StorageAccess(enum.IntEnum):
    UNKNOWN = 1
    READ_WRITE = 2
    READ_ONLY = 3


class MediaType(enum.IntEnum):
    OTHER = 1
    UNKNOWN = 2
    HARD_DISK = 3
    OPTICAL_DISK = 4
    FLOPPY_DISK = 5


class Truth(enum.IntEnum):
    TRUE = 1
    FALSE = 2


# --- what the columns show


_OPERATIONAL: Mapping[int, OperState] = {
    DomainState.NO_STATE: OperState.UNKNOWN,
    DomainState.RUNNING: OperState.RUNNING,
    DomainState.BLOCKED: OperState.RUNNING,
    DomainState.PAUSED: OperState.PAUSED,
    DomainState.SHUTTING_DOWN: OperState.SHUTTING_DOWN,
    DomainState.SHUT_OFF: OperState.SHUTDOWN,
    DomainState.CRASHED: OperState.CRASHED,
    DomainState.PM_SUSPENDED: OperState.OTHER,
}

_OPERATIONAL_FOR: Mapping[int, OperState] = {
    DomainStateReason.PAUSED_MIGRATION: OperState.MIGRATING,
    DomainStateReason.PAUSED_POSTCOPY: OperState.MIGRATING,
    DomainStateReason.PAUSED_POSTCOPY_FAILED: OperState.OTHER,
    DomainStateReason.PAUSED_SAVE: OperState.SUSPENDING,
    DomainStateReason.PAUSED_DUMP: OperState.SUSPENDING,
    DomainStateReason.PAUSED_STARTING_UP: OperState.PREPARING,
    DomainStateReason.PAUSED_SHUTTING_DOWN: OperState.SHUTTING_DOWN,
    DomainStateReason.PAUSED_CRASHED: OperState.CRASHED,
    DomainStateReason.SHUT_OFF_CRASHED: OperState.CRASHED,
    DomainStateReason.SHUT_OFF_FAILED: OperState.CRASHED,
    DomainStateReason.PM_SUSPENDED_DISK: OperState.SUSPENDED,
}
"""Reasons that say more than the state they belong to."""


def operational(state: int, reason: int | None, managed_save: bool | None) -> OperState:
    """vmOperState of a domain."""
    if state == DomainState.SHUT_OFF and managed_save:
        return OperState.SUSPENDED
    if reason is not None and reason // 100 == state and (told := _OPERATIONAL_FOR.get(reason)):
        return told
    return _OPERATIONAL[state]


_ADMINISTRATIVE: Mapping[int, AdminState] = {
    DomainState.PAUSED: AdminState.PAUSED,
    DomainState.SHUTTING_DOWN: AdminState.SHUTDOWN,
    DomainState.SHUT_OFF: AdminState.SHUTDOWN,
    DomainState.CRASHED: AdminState.SHUTDOWN,
}

_ADMINISTRATIVE_FOR: Mapping[int, AdminState] = {
    DomainStateReason.PAUSED_SAVE: AdminState.SUSPENDED,
    DomainStateReason.PAUSED_MIGRATION: AdminState.RUNNING,
    DomainStateReason.PAUSED_POSTCOPY: AdminState.RUNNING,
    DomainStateReason.PAUSED_STARTING_UP: AdminState.RUNNING,
    DomainStateReason.PAUSED_SHUTTING_DOWN: AdminState.SHUTDOWN,
    DomainStateReason.PM_SUSPENDED_DISK: AdminState.SUSPENDED,
}


def administrative(state: int, reason: int | None, managed_save: bool | None) -> AdminState:
    """vmAdminState of a domain: what somebody wants it to be. libvirt keeps no such wish, so it is read off what the domain
    is doing; a guest that sleeps by itself is wanted to run."""
    if state == DomainState.SHUT_OFF and managed_save:
        return AdminState.SUSPENDED
    if reason is not None and reason // 100 == state and (told := _ADMINISTRATIVE_FOR.get(reason)):
        return told
    return _ADMINISTRATIVE.get(state, AdminState.RUNNING)


def _up(state: int, since: datetime | None, refreshed: datetime | None) -> int | None:
    """Hundredths of a second of this run, as of when the row was read; 0 if the domain does not run."""
    if state in (DomainState.SHUT_OFF, DomainState.CRASHED):
        return 0
    return None if since is None or refreshed is None else hundredths(refreshed, since)


def hundredths(now: datetime, since: datetime) -> int:
    return max(0, int((now - since).total_seconds() * 100))


def _microseconds(nanoseconds: int) -> int:
    return nanoseconds // 1000


def unit(*sizes: int | None) -> int:
    """The unit, in octets, in which the largest of these sizes fits into 31 bits: KiB, MiB or GiB."""
    largest = max((size for size in sizes if size is not None), default=0)
    return next((u for u in (KIB, KIB**2) if -(-largest // u) <= HIGHEST), KIB**3)


def _memory_unit(memory: int | None, most: int | None) -> int:
    return unit(*(None if size is None else size * KIB for size in (memory, most)))


def _memory(memory: int, other: int | None) -> int:
    return -(-memory * KIB // _memory_unit(memory, other))


def source_type(kind: str, form: str | None, capacity: int | None, allocation: int | None) -> SourceType:
    """What is behind a disk. A raw image that takes less space than it shows is a sparse file."""
    match kind:
        case "block":
            return SourceType.BLOCK
        case "network":
            return SourceType.NETWORK
        case "file" if form is None:
            return SourceType.UNKNOWN
        case "file" if form != "raw" or _thin(capacity, allocation):
            return SourceType.SPARSE
        case "file":
            return SourceType.RAW
    return SourceType.OTHER


def _thin(capacity: int | None, allocation: int | None) -> bool:
    return capacity is not None and allocation is not None and allocation < capacity


def allocated(capacity: int | None, allocation: int | None, kind: str | None, form: str | None) -> int | None:
    """Octets that the image takes: of a device or a full raw file by definition as many as it shows."""
    if kind is not None and source_type(kind, form, capacity, allocation) in (SourceType.BLOCK, SourceType.RAW):
        return capacity
    return allocation


def _size_unit(capacity: int | None, allocation: int | None, kind: str | None, form: str | None) -> int:
    return unit(capacity, allocated(capacity, allocation, kind, form))


def _defined_size(capacity: int, *more: Any) -> int:
    return -(-capacity // _size_unit(capacity, *more))


def _allocated_size(kind: str | None, form: str | None, capacity: int | None, allocation: int | None) -> int:
    size = allocated(capacity, allocation, kind, form)
    return -1 if size is None else -(-size // _size_unit(capacity, allocation, kind, form))


_MEDIA = {
    DiskDevice.DISK: MediaType.HARD_DISK,
    DiskDevice.LUN: MediaType.HARD_DISK,
    DiskDevice.CDROM: MediaType.OPTICAL_DISK,
    DiskDevice.FLOPPY: MediaType.FLOPPY_DISK,
}


@lru_cache(maxsize=1024)
def processors(listed: str) -> frozenset[int]:
    """The numbers in a list such as `0-3,8`; parts that are neither a number nor a range are passed over."""
    found: set[int] = set()
    for first, last in re.findall(r"(?:^|,)\s*(\d{1,5})(?:-(\d{1,5}))?\s*(?=,|$)", listed):
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def affinity(listed: str | None, cpu: int) -> Affinity:
    """vmCpuAffinity of a vCPU to a processor of the host."""
    if not listed:
        return Affinity.UNKNOWN
    return Affinity.ENABLE if cpu in processors(listed) else Affinity.DISABLE


# --- the module


INTEGER = numbers("Integer32", Wire.INTEGER, -1, HIGHEST)
UNIT = numbers("Integer32", Wire.INTEGER, 1, HIGHEST)
IF_INDEX = numbers("InterfaceIndexOrZero", Wire.INTEGER, 0, HIGHEST)
VM_INDEX = numbers("VirtualMachineIndex", Wire.INTEGER, 1, HIGHEST)
OBJECT_ID = Syntax(name="OBJECT IDENTIFIER", wire=Wire.OID, encode=ber.encode_oid)
TRUTH = enumerated("TruthValue", Truth)
OPER_STATE = enumerated("VirtualMachineOperState", OperState)
PERSISTENT = enumerated("VirtualMachinePersistent", Persistent)

HYPERVISOR = Objects(
    under=(*OBJECTS, 1),
    objects=(
        scalar("vmHvSoftware", 1, ADMIN_STRING),
        scalar("vmHvVersion", 2, ADMIN_STRING),
        scalar("vmHvObjectID", 3, OBJECT_ID),
        scalar("vmHvUpTime", 4, TICKS),
    ),
)
SCALARS = Objects(
    under=OBJECTS,
    objects=(
        scalar("vmNumber", 2, INTEGER),
        scalar("vmTableLastChange", 3, TICKS),
        scalar("vmPerVMNotificationsEnabled", 9, TRUTH, MaxAccess.READ_WRITE),
        scalar("vmBulkNotificationsEnabled", 10, TRUTH, MaxAccess.READ_WRITE),
        scalar("vmAffectedVMs", 11, octets("VirtualMachineList"), MaxAccess.FOR_NOTIFY),
    ),
)

VM_TABLE = DeclaredTable(
    name="vmTable",
    under=(*OBJECTS, 4, 1),
    row=Domain,
    objects=(
        index("vmIndex", 1, VM_INDEX),
        shown("vmName", 2, ADMIN_STRING, "name", unknown=""),
        shown("vmUUID", 3, hexadecimal("UUIDorZero"), "uuid"),
        shown("vmOSType", 4, ADMIN_STRING, "os_type", unknown=""),
        shown("vmAdminState", 5, enumerated("VirtualMachineAdminState", AdminState),
              "state", "state_reason", "managed_save", how=administrative),
        shown("vmOperState", 6, OPER_STATE,
              "state", "state_reason", "managed_save", how=operational, unknown=OperState.UNKNOWN),
        shown("vmAutoStart", 7, enumerated("VirtualMachineAutoStart", AutoStart), "autostart",
              how={True: AutoStart.ENABLED, False: AutoStart.DISABLED}.get, unknown=AutoStart.UNKNOWN),
        shown("vmPersistent", 8, PERSISTENT, "persistent",
              how={True: Persistent.PERSISTENT, False: Persistent.TRANSIENT}.get, unknown=Persistent.UNKNOWN),
        shown("vmCurCpuNumber", 9, INTEGER, "vcpus"),
        shown("vmMinCpuNumber", 10, INTEGER, unknown=-1),
        shown("vmMaxCpuNumber", 11, INTEGER, "max_vcpus", unknown=-1),
        shown("vmMemUnit", 12, UNIT, "memory", "max_memory", how=_memory_unit, unknown=KIB),
        shown("vmCurMem", 13, INTEGER, "memory", "max_memory", how=_memory),
        shown("vmMinMem", 14, INTEGER, unknown=-1),
        shown("vmMaxMem", 15, INTEGER, "max_memory", "memory", how=_memory, unknown=-1),
        shown("vmUpTime", 16, TICKS, "state", "counters_since", "refreshed", how=_up),
        shown("vmCpuTime", 17, COUNTER64, "cpu_time", how=_microseconds),
    ),
)  # fmt: skip

VM_CPU_TABLE = DeclaredTable(
    name="vmCpuTable",
    under=(*OBJECTS, 5, 1),
    row=Vcpu,
    objects=(
        index("vmCpuIndex", 1, numbers("VirtualMachineCpuIndex", Wire.INTEGER, 1, HIGHEST)),
        shown("vmCpuCoreTime", 2, COUNTER64, "cpu_time", how=_microseconds),
    ),
)

VM_CPU_AFFINITY_TABLE = DeclaredTable(
    name="vmCpuAffinityTable",
    under=(*OBJECTS, 6, 1),
    row=Vcpu,
    objects=(
        index("vmCpuPhysIndex", 2, UNIT),
        shown("vmCpuAffinity", 3, enumerated("INTEGER", Affinity), "affinity"),
    ),
)

VM_STORAGE_TABLE = DeclaredTable(
    name="vmStorageTable",
    under=(*OBJECTS, 7, 1),
    row=Disk,
    objects=(
        index("vmStorageVmIndex", 1, numbers("VirtualMachineIndexOrZero", Wire.INTEGER, 0, HIGHEST)),
        index("vmStorageIndex", 2, numbers("VirtualMachineStorageIndex", Wire.INTEGER, 1, HIGHEST)),
        shown("vmStorageParent", 3, INTEGER, unknown=0),
        shown("vmStorageSourceType", 4, enumerated("VirtualMachineStorageSourceType", SourceType),
              "type", "format", "capacity", "allocation", how=source_type, unknown=SourceType.UNKNOWN),
        shown("vmStorageSourceTypeString", 5, ADMIN_STRING, "domain", "format", "type",
              how=lambda _, form, kind: form or kind, unknown=""),
        shown("vmStorageResourceID", 6, ADMIN_STRING, "source", unknown=""),
        shown("vmStorageAccess", 7, enumerated("VirtualMachineStorageAccess", StorageAccess), "read_only",
              how={True: StorageAccess.READ_ONLY, False: StorageAccess.READ_WRITE}.get, unknown=StorageAccess.UNKNOWN),
        shown("vmStorageMediaType", 8, enumerated("IANAStorageMediaType", MediaType), "device",
              how=_MEDIA.get, unknown=MediaType.UNKNOWN),
        shown("vmStorageMediaTypeString", 9, ADMIN_STRING, "bus", unknown=""),
        shown("vmStorageSizeUnit", 10, UNIT, "domain", "capacity", "allocation", "type", "format",
              how=lambda _, *more: _size_unit(*more)),
        shown("vmStorageDefinedSize", 11, INTEGER, "capacity", "allocation", "type", "format",
              how=_defined_size, unknown=-1),
        shown("vmStorageAllocatedSize", 12, INTEGER, "domain", "type", "format", "capacity", "allocation",
              how=lambda _, *more: _allocated_size(*more)),
        shown("vmStorageReadIOs", 13, COUNTER64, "read_requests"),
        shown("vmStorageWriteIOs", 14, COUNTER64, "write_requests"),
        shown("vmStorageReadOctets", 15, COUNTER64, "read_bytes"),
        shown("vmStorageWriteOctets", 16, COUNTER64, "write_bytes"),
        shown("vmStorageReadLatency", 17, COUNTER64, "read_time", how=_microseconds),
        shown("vmStorageWriteLatency", 18, COUNTER64, "write_time", how=_microseconds),
    ),
)  # fmt: skip

VM_NETWORK_TABLE = DeclaredTable(
    name="vmNetworkTable",
    under=(*OBJECTS, 8, 1),
    row=Nic,
    objects=(
        index("vmNetworkIndex", 1, numbers("VirtualMachineNetworkIndex", Wire.INTEGER, 1, HIGHEST)),
        shown("vmNetworkIfIndex", 2, IF_INDEX, unknown=0),
        shown("vmNetworkParent", 3, IF_INDEX, unknown=0),
        shown("vmNetworkModel", 4, ADMIN_STRING, "model", unknown=""),
        shown("vmNetworkPhysAddress", 5, hexadecimal("PhysAddress"), "mac", unknown=""),
    ),
)

_PER_VM = {
    OperState.RUNNING: (1, "Running"),
    OperState.SHUTTING_DOWN: (2, "Shuttingdown"),
    OperState.SHUTDOWN: (3, "Shutdown"),
    OperState.PAUSED: (4, "Paused"),
    OperState.SUSPENDING: (5, "Suspending"),
    OperState.SUSPENDED: (6, "Suspended"),
    OperState.RESUMING: (7, "Resuming"),
    OperState.MIGRATING: (8, "Migrating"),
    OperState.CRASHED: (9, "Crashed"),
}
"""The number and the name of what is told when a domain comes into a state; of the others nothing is told."""

_DELETED = (10, "Deleted")
_BULK = 10
"""How much higher the number of the same notification about many is."""

_CARRIED = ("vmName", "vmUUID", "vmOperState")

MODULE = DeclaredModule(
    name="VM-MIB",
    oid=VM_MIB,
    description="VM-MIB (RFC 7666): virtual machines, by its read-only compliance with writable notification switches.",
    tables=(VM_TABLE, VM_CPU_TABLE, VM_CPU_AFFINITY_TABLE, VM_STORAGE_TABLE, VM_NETWORK_TABLE),
    scalars=(HYPERVISOR, SCALARS),
    notifications=(
        *(
            DeclaredNotification(name=f"vm{name}", oid=(*NOTIFICATIONS, number), objects=_CARRIED)
            for number, name in _PER_VM.values()
        ),
        DeclaredNotification(name="vmDeleted", oid=(*NOTIFICATIONS, 10), objects=(*_CARRIED, "vmPersistent")),
        *(
            DeclaredNotification(name=f"vmBulk{name}", oid=(*NOTIFICATIONS, _BULK + number), objects=("vmAffectedVMs",))
            for number, name in (*_PER_VM.values(), _DELETED)
        ),
    ),
)


# --- what events tell


_AFTER: dict[type[DomainLifecycle], OperState] = {
    DomainStarted: OperState.RUNNING,
    DomainSuspended: OperState.PAUSED,
    DomainResumed: OperState.RUNNING,
    DomainShutdown: OperState.SHUTTING_DOWN,
    DomainStopped: OperState.SHUTDOWN,
    DomainPmSuspended: OperState.OTHER,
    DomainCrashed: OperState.CRASHED,
}

_AFTER_DETAIL = {
    LifecycleDetail.SUSPENDED_MIGRATED: OperState.MIGRATING,
    LifecycleDetail.SUSPENDED_POSTCOPY: OperState.MIGRATING,
    LifecycleDetail.SUSPENDED_POSTCOPY_FAILED: OperState.OTHER,
    LifecycleDetail.STOPPED_CRASHED: OperState.CRASHED,
    LifecycleDetail.STOPPED_FAILED: OperState.CRASHED,
    LifecycleDetail.PM_SUSPENDED_DISK: OperState.SUSPENDED,
}


def state_after(event: DomainLifecycle, row: Domain | None) -> OperState | None:
    """The vmOperState that a domain came into; None if the event is about something else. `row` is the domain after it.

    The row is asked only for what the event leaves open: whether a pause is for saving, and whether an image was kept.
    """
    detail = event.detail
    if detail is not None and detail in _AFTER_DETAIL:
        return _AFTER_DETAIL[detail]
    if isinstance(event, DomainSuspended) and row is not None and row.state is DomainState.PAUSED:
        return operational(row.state, row.state_reason, row.managed_save)
    if detail is LifecycleDetail.STOPPED_SAVED and row is not None and row.managed_save:
        return OperState.SUSPENDED
    return _AFTER.get(type(event))


def state_before(event: DomainLifecycle, after: OperState | None) -> OperState:
    """The vmOperState that a domain was in before. What was seen last may be newer than the event: then it is unknown."""
    if event.detail is LifecycleDetail.STARTED_RESTORED:
        return OperState.SUSPENDED
    if event.previous_state is None:
        return OperState.UNKNOWN
    before = operational(event.previous_state, None, None)
    return OperState.UNKNOWN if before is after else before


def affected(arc: int) -> bytes | None:
    """The bitmap of one machine: the first bit of the first octet is index 1. None if it would be too long to be sent."""
    octet, bit = divmod(arc - 1, 8)
    return bytes(octet) + bytes((0x80 >> bit,)) if octet < LONGEST_LIST else None


# --- served


class Switches:
    """The two switches of the notifications. Set by administrators, forgotten at the next start."""

    _NAMES = {"vmPerVMNotificationsEnabled": "per_vm", "vmBulkNotificationsEnabled": "bulk"}
    _ATTRIBUTES = {SCALARS.mib[name].oid: attribute for name, attribute in _NAMES.items()}

    def __init__(self, *, per_vm: bool, bulk: bool) -> None:
        self.per_vm = per_vm
        self.bulk = bulk

    def columns(self) -> Iterator[Column]:
        for name, attribute in self._NAMES.items():
            yield _scalar(SCALARS, name, self._shown(attribute), self)

    def _shown(self, attribute: str) -> Any:
        return lambda: Truth.TRUE if getattr(self, attribute) else Truth.FALSE

    def writable(self, column: Column, principal: Principal) -> bool:
        return principal.role >= Access.ADMINISTER

    def steps(self, asks: Sequence[Ask], asker: Asker) -> Sequence[Change]:
        return [self._change(ask) for ask in asks]

    def _change(self, ask: Ask) -> Change:
        wanted = writers.one_of(ask, list(Truth))
        if ask.row is None:
            raise Refused(Status.NO_CREATION, ask.index)
        attribute = self._ATTRIBUTES[ask.column.oid]
        return parts.replaced(
            ask, lambda: getattr(self, attribute), partial(setattr, self, attribute), wanted == Truth.TRUE
        )


def _scalar(objects: Objects, name: str, value: Any, writer: Any = None) -> Column:
    declared = next(o for o in objects.objects if o.name == name)
    column = parts.scalar(objects.mib[name].oid, lambda: declared.syntax.encode(value()), writer)
    column.object = objects.mib[name]
    return column


AFFINITY_OF = frozenset((Vcpu.positions["affinity"],))
"""Where a vCPU tells on which processors it may run."""


class AffinityColumn(Column):
    """vmCpuAffinity: for each vCPU each processor of the host, made when asked for."""

    __slots__ = ("cpus", "vcpus")

    def __init__(self, vcpus: Column, cpus: RowIndex) -> None:
        mib = VM_CPU_AFFINITY_TABLE.mib["vmCpuAffinity"]
        declared = VM_CPU_AFFINITY_TABLE.objects[-1]
        super().__init__(mib.oid, Product(vcpus.index, cpus), (), 0, declared.syntax.encode)
        self.object = mib
        self.vcpus = vcpus
        self.cpus = len(cpus.arcs)

    def forget(self) -> None:
        """vCPUs may have other processors now."""
        self.pages = [None] * len(self.pages)
        self.gaps = None
        self.void = False

    def value(self, row: int) -> bytes:
        return self._one(self.values(row, row + 1)[0])

    def values(self, first: int, stop: int) -> Sequence[Any]:
        take, records, cpus = VM_CPU_AFFINITY_TABLE.takers["vmCpuAffinity"], self.vcpus.records, self.cpus
        places = range(first, min(stop, self.count))
        return [affinity(take(records[place // cpus]), place % cpus) for place in places]


class VmMib:
    """VM-MIB in the context of one hypervisor."""

    def __init__(self, place: Place, *, per_vm: bool, bulk: bool) -> None:
        self.modules: Sequence[tuple[Oid, str]] = ((MODULE.oid, MODULE.description),)
        self.switches = Switches(per_vm=per_vm, bulk=bulk)
        self._hypervisor = place.hypervisor
        self._inventory = place.inventory
        self._shows = Shows((VM_TABLE, VM_CPU_TABLE, VM_STORAGE_TABLE, VM_NETWORK_TABLE))
        self._instances: Sequence[Oid] = ()
        self._changed_at: datetime | None = None
        self._cpus = RowIndex(())
        self._affinity: AffinityColumn | None = None

    def prepare(self, table: Table) -> None:
        self._shows.prepare(table)
        if table.row is Domain and table.indexes is not self._instances:
            self._instances = table.indexes
            self._changed_at = datetime.now(UTC)

    tells = True

    def patch(self, patches: Sequence[Patch]) -> bool:
        if self._affinity is not None and any(
            patch.table.row is Vcpu and not AFFINITY_OF.isdisjoint(patch.moved) for patch in patches
        ):
            self._affinity.forget()
        done = [self._shows.patch(patch) for patch in patches]
        return all(done) and all(patch.table.row is not Host for patch in patches)

    def columns(self, snapshot: Snapshot) -> Iterable[Column]:
        yield from self._of_hypervisor(snapshot)
        number = len(snapshot.table(Domain))
        yield _scalar(SCALARS, "vmNumber", lambda: number)
        yield from self.switches.columns()
        yield from self._shows.columns(snapshot)
        self._affinity = AffinityColumn(self._shows.laid(VM_CPU_TABLE, snapshot).columns[0], self._processors(snapshot))
        yield self._affinity

    def _of_hypervisor(self, snapshot: Snapshot) -> Iterator[Column]:
        host = next(iter(snapshot.table(Host).rows()), None)
        software, version, since, changed = "", "", None, self._changed_at
        if isinstance(host, Host):
            software, version, since = host.driver or "", host.hypervisor_version or "", host.connected_at
        yield _scalar(HYPERVISOR, "vmHvSoftware", lambda: software)
        yield _scalar(HYPERVISOR, "vmHvVersion", lambda: version)
        yield _scalar(HYPERVISOR, "vmHvObjectID", lambda: (0, 0))
        yield _scalar(HYPERVISOR, "vmHvUpTime", lambda: 0 if since is None else hundredths(datetime.now(UTC), since))
        yield _scalar(SCALARS, "vmTableLastChange", lambda: hundredths(changed, since) if since and changed else 0)

    def _processors(self, snapshot: Snapshot) -> RowIndex:
        """The instances of the host's processors, as many as the host says it has."""
        hosts = snapshot.table(Host).records
        count = (hosts[0][Host.positions["cpus"]] if hosts else None) or 0
        if len(self._cpus.arcs) != count:
            self._cpus = RowIndex(tuple((DEVICE_OF_CPU + cpu,) for cpu in range(count)))
        return self._cpus

    def notices(self, happened: Happened, snapshot: Snapshot) -> Iterable[Notice]:
        event = happened.event
        if not isinstance(event, DomainLifecycle) or not (self.switches.per_vm or self.switches.bulk):
            return
        table = snapshot.table(Domain)
        place = table.find(happened.key)
        row = None if place is None else table.at(place)
        if place is None or not isinstance(row, Domain):
            return  # it came and went between two readings: it never had an index
        arcs, there = table.indexes[place], self._inventory.snapshot.table(Domain).find(happened.key) is not None
        after, before = state_after(event, row if there else None), state_before(event, None)
        if after in _PER_VM and not (before is after is OperState.CRASHED):
            yield from self._told(event, *_PER_VM[after], arcs, row, state_before(event, after))
        if self._deleted(event, row, there):
            yield from self._told(event, *_DELETED, arcs, row, before if after is None else after)

    @staticmethod
    def _deleted(event: DomainLifecycle, row: Domain, there: bool) -> bool:
        """Whether the domain is no more: undefined while it did not run, or stopped without a definition."""
        if isinstance(event, DomainStopped):
            return not there and row.persistent is False
        if isinstance(event, DomainUndefined) and event.detail is not LifecycleDetail.UNDEFINED_RENAMED:
            return not there or event.previous_state in (DomainState.SHUT_OFF, DomainState.CRASHED)
        return False

    def _told(
        self, event: DomainLifecycle, number: int, name: str, arcs: Oid, row: Domain, before: OperState
    ) -> Iterator[Notice]:
        if self.switches.per_vm:
            varbinds = [
                VM_TABLE.varbind("vmName", arcs, row.name or ""),
                VM_TABLE.varbind("vmUUID", arcs, row.uuid),
                VM_TABLE.varbind("vmOperState", arcs, before),
            ]
            if name == _DELETED[1]:
                varbinds.append(VM_TABLE.varbind("vmPersistent", arcs, VM_TABLE.takers["vmPersistent"](row.values)))
            yield self._notice(event, row, number, varbinds)
        if self.switches.bulk and (bits := affected(arcs[0])) is not None:
            yield self._notice(event, row, _BULK + number, [SCALARS.varbind("vmAffectedVMs", (0,), bits)])

    def _notice(
        self, event: DomainLifecycle, row: Domain, number: int, varbinds: Sequence[tuple[Oid, bytes]]
    ) -> Notice:
        return Notice(
            oid=(*NOTIFICATIONS, number),
            varbinds=varbinds,
            hypervisor=self._hypervisor,
            severity=type(event).perceived,
            kind=Domain.__name__.lower(),
            domain=row.name,
        )


def serve(*, per_vm: bool = False, bulk: bool = False) -> Serve:
    """VM-MIB with these initial values of its two switches."""
    return lambda place: VmMib(place, per_vm=per_vm, bulk=bulk)
