"""The model as MIB objects: names, OIDs, syntaxes and access, as data. Text and answers are both made from it.

Everything hangs under libvirt's enterprise number, in an arc of its own:

    1.3.6.1.4.1.36957.20        virtmap
        .0.<event>              notifications
        .1.<table>.1.<column>   tables; column 1 is the row's index, declared columns begin at 2;
                                1000 + column sets a column that is a 64-bit gauge
        .1.<table>.<column>     scalars, for a row that stands alone
        .2.1.<module>           compliance statements
        .2.2.<table>            object groups; 100000 + module: notification groups;
                                200000 + module: the objects of notifications
        .3.<table>.<operation>  operations, as registrations that document their arguments
        .4.<module>             identities of the modules; a module's number is the table number of its root row
        .5.1                    the agent (sysObjectID)
        .6.<event>.<field>      objects that exist only in notifications

Tables that only SNMP has, without a row of the model behind them, take numbers of the same kind: see `operation_mib`.
"""

import enum
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from agent.errors import DeclarationError
from agent.schema.declare import Event, Field, Index, Model, Operation, Row
from agent.schema.types import Enumeration, Wire

Oid = tuple[int, ...]

ENTERPRISE: Oid = (1, 3, 6, 1, 4, 1, 36957)
ROOT: Oid = (*ENTERPRISE, 20)
NOTIFICATIONS: Oid = (*ROOT, 0)
OBJECTS: Oid = (*ROOT, 1)
COMPLIANCES: Oid = (*ROOT, 2, 1)
GROUPS: Oid = (*ROOT, 2, 2)
OPERATIONS: Oid = (*ROOT, 3)
MODULES: Oid = (*ROOT, 4)
AGENT: Oid = (*ROOT, 5, 1)
EVENT_OBJECTS: Oid = (*ROOT, 6)
NOTIFICATION_GROUP = 100_000
EVENT_OBJECT_GROUP = 200_000
EVENT_MODULE = 990
"""Number of the module of what all notifications carry, among those of the others, which are numbers of tables."""

SETTING = 1000
"""A Counter64, and what is based on it, may not be writable (RFC 2578, section 7.1.10). The setting of such a column
is a column of its own, this much further on, in 32 bits."""

INDEX_HIGH = 2**31 - 1
LONGEST_NAME = 32
"""Names beyond this draw a warning from smilint, and are truncated by some managers."""

_SHORTER = {
    "Alignment": "Align", "Memory": "Mem", "Reference": "Ref", "Optimal": "Opt", "Minimal": "Min", "Emulation": "Emul",
    "Allocations": "Allocs", "Instructions": "Instrs", "Bandwidth": "Bw", "Hypervisor": "Hv", "Discontinuity": "Discont",
    "Occupancy": "Occup", "Previous": "Prev", "Lifecycle": "Life", "Transfer": "Xfer", "Request": "Req", "Zeroes": "Zero",
    "Architectures": "Archs", "Latency": "Lat", "Average": "Avg", "Minimum": "Min", "Maximum": "Max", "Append": "App",
    "Queue": "Q", "Checkpoint": "Ckpt", "Snapshot": "Snap", "Device": "Dev", "Capabilities": "Caps", "Autostart": "Auto",
    "Interface": "If", "Binding": "Bind",
}  # fmt: skip


class MaxAccess(enum.Enum):
    """MAX-ACCESS of an object (RFC 2578, section 7.3)."""

    NOT_ACCESSIBLE = "not-accessible"
    FOR_NOTIFY = "accessible-for-notify"
    READ_ONLY = "read-only"
    READ_WRITE = "read-write"
    READ_CREATE = "read-create"


WRITABLE = (MaxAccess.READ_WRITE, MaxAccess.READ_CREATE)


@dataclass(frozen=True, kw_only=True)
class Convention:
    """An enumeration as a textual convention: `VirtmapDomainStateType`, and its labels in order of their numbers."""

    name: str
    description: str
    labels: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, kw_only=True)
class MibObject:
    """A column or a scalar. `oid` has no instance part. `syntax` is an SMI type or textual convention, without its range.

    `field` is its declaration; None for an index, an action column and what the agent holds by itself. `operation` is what
    a SET of it asks for, `default` what an object of a new row has if it is not set.
    """

    name: str
    oid: Oid
    syntax: str
    syntax_module: str | None
    wire: Wire
    access: MaxAccess
    description: str
    low: int | None = None
    high: int | None = None
    unit: str | None = None
    convention: Convention | None = None
    field: Field | None = None
    operation: type[Operation] | None = None
    actions: tuple[type[Operation], ...] = ()
    default: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Table:
    """What all tables have. `entry_oid` of scalars is the arc they hang under. `indexes` are the names of the index objects,
    the parents' first; `objects` begin with the row's own index.
    """

    name: str
    oid: Oid
    entry_name: str
    entry_oid: Oid
    scalar: bool
    indexes: tuple[str, ...]
    objects: tuple[MibObject, ...]
    description: str

    @functools.cached_property
    def readable(self) -> tuple[MibObject, ...]:
        return tuple(o for o in self.objects if o.access not in (MaxAccess.NOT_ACCESSIBLE, MaxAccess.FOR_NOTIFY))


@dataclass(frozen=True, kw_only=True)
class MibTable(_Table):
    """A table, or the scalars of a row that stands alone."""

    row: type[Row]

    @property
    def title(self) -> str:
        return self.row.__name__


@dataclass(frozen=True, kw_only=True)
class OwnTable(_Table):
    """A table, or scalars, that only SNMP has: the agent holds its rows, and no row of the model stands behind them."""

    title: str


@dataclass(frozen=True, kw_only=True)
class MibOperation:
    """An operation's registration."""

    name: str
    oid: Oid
    operation: type[Operation]
    description: str


@dataclass(frozen=True, kw_only=True)
class MibNotification:
    """A notification: the columns of its row that it shows (names of objects), then its own objects."""

    name: str
    oid: Oid
    event: type[Event]
    objects: tuple[str, ...]
    description: str


@dataclass(frozen=True, kw_only=True)
class Module:
    """One MIB module: everything that belongs to one root row; or, in `own`, what only SNMP has."""

    name: str
    identity: str
    oid: Oid
    number: int
    prefix: str
    description: str
    tables: tuple[MibTable, ...]
    conventions: tuple[Convention, ...]
    operations: tuple[MibOperation, ...]
    notifications: tuple[MibNotification, ...]
    event_objects: tuple[MibObject, ...]
    own: tuple[OwnTable, ...] = ()

    @property
    def laid_out(self) -> tuple[MibTable | OwnTable, ...]:
        """All its tables."""
        return (*self.tables, *self.own)


@dataclass(frozen=True, kw_only=True)
class Mib:
    """The whole projection."""

    modules: tuple[Module, ...]

    @functools.cached_property
    def tables(self) -> tuple[MibTable, ...]:
        """All tables in OID order."""
        return tuple(sorted((t for m in self.modules for t in m.tables), key=lambda t: t.oid))

    def table(self, row: type[Row]) -> MibTable:
        return next(t for t in self.tables if t.row is row)


def camel(name: str) -> str:
    """`cpu_time` as `CpuTime`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def short(name: str) -> str:
    """The name, with long words shortened while it is longer than LONGEST_NAME. DeclarationError if that does not do."""
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)
    for i, word in enumerate(words):
        if len("".join(words)) <= LONGEST_NAME:
            break
        words[i] = _SHORTER.get(word, word)
    if len("".join(words)) > LONGEST_NAME:
        raise DeclarationError(f"{name}: its SNMP name {''.join(words)} is longer than {LONGEST_NAME} characters")
    return "".join(words)


def convention(enumeration: type[Enumeration]) -> Convention:
    """An enumeration as a textual convention."""
    return Convention(
        name=f"Virtmap{enumeration.__name__}Type", description=_doc(enumeration),
        labels=tuple((m.label, int(m), m.description) for m in sorted(enumeration)),
    )  # fmt: skip


def _doc(declared: type) -> str:
    return " ".join((declared.__doc__ or "").split())


def _object(
    name: str, oid: Oid, field: Field, access: MaxAccess, operation: type[Operation] | None = None
) -> MibObject:
    semantic = field.semantic
    told = convention(field.enumeration) if field.enumeration else None
    return MibObject(
        name=short(name), oid=oid, syntax=told.name if told else semantic.syntax, syntax_module=semantic.module,
        wire=semantic.wire, access=access,
        description=field.description, low=semantic.low, high=semantic.high, unit=semantic.unit, convention=told,
        field=field, operation=operation,
    )  # fmt: skip


def _columns(model: Model, row: type[Row], field: Field, prefix: str, under: Oid) -> Iterator[MibObject]:
    """The column, and the column that sets it where it may not itself be writable."""
    setter = model.setter(row, field.name)
    name, number = prefix + camel(field.name), field.number or 0
    if setter and field.semantic.wire is Wire.COUNTER64:
        yield _object(name, (*under, number), field, MaxAccess.READ_ONLY)
        yield _setting(name, (*under, SETTING + number), field, setter)
    else:
        yield _object(name, (*under, number), field, MaxAccess.READ_WRITE if setter else MaxAccess.READ_ONLY, setter)


def _setting(name: str, oid: Oid, field: Field, setter: type[Operation]) -> MibObject:
    """A 64-bit gauge in 32 bits, to be set. Larger values are set by the operation itself."""
    narrow = replace(
        field.semantic, wire=Wire.UNSIGNED, syntax="Unsigned32", module="SNMPv2-SMI",
        low=setter.fields[setter.positions[field.name]].low or 0, high=2**32 - 1,
    )  # fmt: skip
    told = _object(f"{name}Set", oid, replace(field, semantic=narrow), MaxAccess.READ_WRITE, setter)
    limit = f"Read, it is {short(name)}, or {narrow.high} where that is more."
    return replace(told, description=f"{_doc(setter)} {limit}")


def _action(model: Model, row: type[Row], prefix: str, under: Oid) -> MibObject | None:
    if row.action is None:
        return None
    actions = tuple(o for o in model.operations_on(row) if o.is_action())
    labels = [("none", 0, "What reading gives; setting it does nothing.")]
    labels += [(o.__name__[:1].lower() + o.__name__[1:], o.number, _doc(o)) for o in actions]
    return MibObject(
        name=f"{prefix}Action", oid=(*under, row.action), syntax=f"Virtmap{row.__name__}ActionType", syntax_module=None,
        wire=Wire.INTEGER, access=MaxAccess.READ_WRITE,
        description="Setting it asks for an operation on the row, with no arguments but their defaults. Reading gives none.",
        convention=Convention(
            name=f"Virtmap{row.__name__}ActionType", description="The operations that need no argument.",
            labels=tuple(sorted(labels, key=lambda told: told[1])),
        ),
        actions=actions,
    )  # fmt: skip


def _index(row: type[Row], prefix: str, under: Oid) -> MibObject:
    told = {
        Index.ALLOCATED: "Given to the row when it is first seen, kept across restarts, and not given to another one.",
        Index.NATURAL: "Its number, counted from 1.",
        Index.DIRECT: "Its number.",
    }
    return MibObject(
        name=f"{prefix}Index", oid=(*under, 1), syntax="Unsigned32", syntax_module="SNMPv2-SMI", wire=Wire.UNSIGNED,
        access=MaxAccess.NOT_ACCESSIBLE, description=told[row.index], low=1, high=INDEX_HIGH,
    )  # fmt: skip


def _table(model: Model, row: type[Row]) -> MibTable:
    prefix = f"virtmap{row.abbreviation}"
    oid = (*OBJECTS, row.table)
    scalar = row.index is Index.SCALAR
    entry = oid if scalar else (*oid, 1)
    objects = [o for f in row.columns() for o in _columns(model, row, f, prefix, entry)]
    action = _action(model, row, prefix, entry)
    objects += [action] if action else []
    objects.sort(key=lambda o: o.oid)
    lineage = () if scalar else [r for r in row.lineage() if r.index not in (Index.SCALAR, Index.SHARED)]
    return MibTable(
        row=row, name=prefix if scalar else f"{prefix}Table", oid=oid, entry_name=prefix if scalar else f"{prefix}Entry",
        entry_oid=entry, scalar=scalar, indexes=tuple(f"virtmap{r.abbreviation}Index" for r in lineage),
        objects=tuple(objects) if row.index in (Index.SCALAR, Index.SHARED) else (_index(row, prefix, entry), *objects),
        description=_doc(row),
    )  # fmt: skip


def _declarer(event: type[Event], name: str) -> type[Event]:
    """The class, abstract or not, whose body declares this field of the event."""
    return next(c for c in event.declarers() if name in c.positions)


def _event_objects(events: tuple[type[Event], ...], *, bound: bool) -> Iterator[MibObject]:
    """What these events tell beside the columns of their rows; `bound` objects are told of one kind of row only."""
    seen: set[Oid] = set()
    for event in events:
        for field in event.fields:
            declarer = _declarer(event, field.name)
            if declarer.is_bound() is not bound:
                continue
            oid = (*EVENT_OBJECTS, declarer.number, field.number or 0)
            if oid not in seen:
                seen.add(oid)
                yield _object(f"virtmap{declarer.__name__}{camel(field.name)}", oid, field, MaxAccess.FOR_NOTIFY)


def _notification(event: type[Event], tables: tuple[MibTable, ...], told: tuple[MibObject, ...]) -> MibNotification:
    table = next(t for t in tables if t.row is event.on)
    by_field = {o.field.name: o.name for o in table.objects if o.field}
    numbers = {(*EVENT_OBJECTS, _declarer(event, f.name).number, f.number or 0) for f in event.fields}
    return MibNotification(
        name=f"virtmap{event.__name__}Notif", oid=(*NOTIFICATIONS, event.number), event=event,
        objects=(*(by_field[name] for name in event.shows), *(o.name for o in told if o.oid in numbers)), description=_doc(event),
    )  # fmt: skip


def _module(model: Model, name: str, rows: tuple[type[Row], ...], description: str) -> Module:
    tables = tuple(_table(model, row) for row in rows)
    events = tuple(e for e in model.events if e.on in rows)
    own = tuple(_event_objects(events, bound=True))
    shared = tuple(_event_objects(model.events, bound=False))
    objects = (*(o for t in tables for o in t.objects), *own)
    conventions = {o.convention.name: o.convention for o in objects if o.convention}
    return Module(
        name=f"VIRTMAP-{name.upper()}-MIB", identity=f"virtmap{name}MIB", oid=(*MODULES, rows[0].table), number=rows[0].table,
        prefix=f"virtmap{name}", description=description, tables=tables, conventions=tuple(conventions.values()),
        operations=tuple(
            MibOperation(name=short(f"virtmap{o.on.abbreviation}Op{o.__name__}"), oid=(*OPERATIONS, o.on.table, o.number),
                         operation=o, description=_doc(o))
            for o in model.operations if o.on in rows
        ),
        notifications=tuple(_notification(e, tables, (*own, *shared)) for e in events), event_objects=own,
    )  # fmt: skip


def _of_all_events(shared: tuple[MibObject, ...]) -> Module:
    """What all notifications carry, in a module of its own, which imports none of the others."""
    conventions = {o.convention.name: o.convention for o in shared if o.convention}
    return Module(
        name="VIRTMAP-EVENT-MIB", identity="virtmapEventMIB", oid=(*MODULES, EVENT_MODULE), number=EVENT_MODULE,
        prefix="virtmapEvent", description="What all notifications carry.", tables=(),
        conventions=tuple(conventions.values()), operations=(), notifications=(), event_objects=shared,
    )  # fmt: skip


@functools.cache
def project(model: Model) -> Mib:
    """The MIB of a model: one module for each root row with all that belongs to it, one for virtmap's own rows."""
    roots = [r for r in model.rows if r.parent_row is None and not r.internal]
    modules = [_module(model, r.__name__, tuple(x for x in model.rows if x.root() is r), _doc(r)) for r in roots]
    internal = tuple(r for r in model.rows if r.internal)
    if internal:
        modules.append(
            _module(model, "Agent", internal, "What the agent knows of itself: the age of its tables, its jobs.")
        )
    if shared := tuple(_event_objects(model.events, bound=False)):
        modules.insert(0, _of_all_events(shared))
    _distinct(modules)
    return Mib(modules=tuple(modules))


def _distinct(modules: list[Module]) -> None:
    names = [o.name for m in modules for t in m.tables for o in t.objects]
    for m in modules:
        names += [o.name for o in m.operations] + [n.name for n in m.notifications] + [o.name for o in m.event_objects]
    if twice := {n for n in names if names.count(n) > 1}:
        raise DeclarationError(f"SNMP names stand twice: {', '.join(sorted(twice))}")
