"""The three kinds of declaration: a Row we read, an Operation we ask for, an Event we hear.

Each is a frozen, keyword-only Python class whose body is its mapping; everything else (MIB and MOF text, tables, classes,
methods, the access decision, the audit line, the coverage report) is derived from it. A field of a class body is made by
`key`, `parent`, `column` (rows), `argument`, `out` (operations), `detail`, `previous` (events).

An instance keeps its values in one plain tuple, `values`, in the order of the class's `fields`: cheap to make by the ten
thousand, invisible to the garbage collector, and sliced as it is by the inventory. `None` in a row means "this hypervisor
cannot tell": noSuchInstance in SNMP, NULL in CIM.
"""

import enum
import functools
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from agent.errors import DeclarationError
from agent.schema.types import Enumeration, Flags, Kind, Semantic, Wire

type_of_value = type


class Access(enum.IntEnum):
    """The levels a principal's role can hold; each includes those below it."""

    OBSERVE = 1
    OPERATE = 2
    DEFINE = 3
    ADMINISTER = 4


class Severity(enum.IntEnum):
    """Perceived severity of an event (ITU-T X.733; the numbers are those of CIM_Indication.PerceivedSeverity)."""

    INFORMATION = 2
    WARNING = 3
    MINOR = 4
    MAJOR = 5
    CRITICAL = 6


class AlertType(enum.IntEnum):
    """The kind of condition that an event tells of (ITU-T X.733; the numbers are those of CIM_AlertIndication.AlertType)."""

    OTHER = 1
    COMMUNICATIONS = 2
    QUALITY_OF_SERVICE = 3
    PROCESSING_ERROR = 4
    DEVICE = 5
    ENVIRONMENTAL = 6
    MODEL_CHANGE = 7
    SECURITY = 8


class Cause(enum.IntEnum):
    """The likely cause of an event (the numbers are those of CIM_AlertIndication.ProbableCause), as far as events have one."""

    UNKNOWN = 0
    OTHER = 1
    CONNECTION_ESTABLISHMENT_ERROR = 5
    IO_DEVICE_ERROR = 24
    OUT_OF_MEMORY = 33
    SOFTWARE_ERROR = 47
    ABNORMALLY_TERMINATED = 48
    STORAGE_CAPACITY = 50
    THRESHOLD_CROSSED = 52
    ALERT_CLEARED = 59
    ELEMENT_MISSING = 73
    MEMORY_MISMATCH = 106
    REINITIALIZED = 110
    TIMEOUT = 111
    LOGGING_PROBLEMS = 112
    OUT_OF_SERVICE = 128


class Scope(enum.Enum):
    """Which truth about a domain a column tells: what runs now, or what its persistent definition says."""

    LIVE = "live"
    CONFIG = "config"


class Data(enum.Enum):
    """Which way an operation moves data that is too long for an argument: from the hypervisor, to it, or both."""

    DOWN = "down"
    UP = "up"
    BOTH = "both"


class Role(enum.Enum):
    """What a field is to its declaration."""

    PARENT = "parent"
    KEY = "key"
    COLUMN = "column"
    ARGUMENT = "argument"
    OUT = "out"
    DETAIL = "detail"
    PREVIOUS = "previous"


class Index(enum.Enum):
    """Where the last SNMP index arc of a row comes from: allocated and persisted; its natural number, counted from 0, plus
    one; its natural number, counted from 1; or nowhere, since there is one row only, or one at most for each row above it.
    """

    ALLOCATED = "allocated"
    NATURAL = "natural"
    DIRECT = "direct"
    SCALAR = "scalar"
    SHARED = "shared"


_REQUIRED: Any = object()


@dataclass(frozen=True, kw_only=True)
class Association:
    """A CIM association between two rows: its class, the DMTF class beneath it, and the roles of both ends.

    `far` is the role of the row referred to (the parent, for a sub-table), `near` that of the row that declares it.
    """

    name: str
    base: str
    far: str
    near: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a declaration. As a descriptor it gives the value on an instance, and itself on the class."""

    role: Role
    number: int | None
    description: str
    name: str = ""
    position: int = -1
    semantic: Semantic = None  # type: ignore[assignment]  # set when the class is made
    enumeration: type[Enumeration] | None = None
    flags: type[Flags] | None = None
    api: tuple[str, ...] = ()
    stats: str | None = None
    cim: str | None = None
    scope: Scope = Scope.LIVE
    ref: "type[Row] | None" = None
    association: Association | None = None
    default: Any = _REQUIRED
    of: str | None = None
    top: str | None = None
    needs: Access | None = None
    low: int | None = None
    high: int | None = None

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED

    @property
    def optional(self) -> bool:
        """Whether its value may be None; of an argument: whether it may be left out, with nothing in its place."""
        return self.role in (Role.COLUMN, Role.PREVIOUS, Role.DETAIL, Role.OUT) or self.default is None

    @typing.overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @typing.overload
    def __get__(self, instance: object, owner: type) -> Any: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        value = instance.values[self.position]
        if self.enumeration is not None and value is not None:
            return self.enumeration.of(value)  # a row may hold the bare number
        return value

    def __set__(self, instance: object, value: object) -> None:
        raise AttributeError(f"{type(instance).__name__}.{self.name} is frozen")


def _names(api: str | tuple[str, ...]) -> tuple[str, ...]:
    return (api,) if isinstance(api, str) else tuple(api)


def key(
    number: int, description: str, *, api: str | tuple[str, ...], stats: str | None = None, cim: str | None = None
) -> Any:
    """A column that identifies its row among its siblings; never None."""
    return Field(role=Role.KEY, number=number, description=description, api=_names(api), stats=stats, cim=cim)


def parent(description: str) -> Any:
    """The key of the row that this one belongs to. No column: in SNMP it is the first part of the index."""
    return Field(role=Role.PARENT, number=None, description=description)


def column(
    number: int, description: str, *, api: str | tuple[str, ...] = (), stats: str | None = None, cim: str | None = None,
    scope: Scope = Scope.LIVE, ref: "type[Row] | None" = None, association: Association | None = None,
) -> Any:  # fmt: skip
    """An attribute. `stats` is its field of virConnectGetAllDomainStats, `cim` the DMTF property it is shown as (else one of ours).

    In `stats`, the first `<placeholder>` is the number of the row, or of the one above; each further one, and `$NAME`, is
    a key of the row itself, in the order of its keys.
    A column without `api` is virtmap's own knowledge, such as when the row was read. With an `association` and no `ref` it
    refers to another row of its own kind.
    """
    return Field(
        role=Role.COLUMN, number=number, description=description, api=_names(api), stats=stats, cim=cim, scope=scope,
        ref=ref, association=association, default=None,
    )  # fmt: skip


def argument(
    number: int, description: str, *, default: Any = _REQUIRED, low: int | None = None, high: int | None = None,
    needs: Access | None = None,
) -> Any:  # fmt: skip
    """An argument of an operation; `low` and `high` narrow the range of its type. Who gives it another value than its default
    has to have the level that it `needs`, where that is more than the operation does.

    Without a default it has to be given; with None as default, and `T | None` as its type, nothing stands in its place.
    """
    if needs is not None:
        description = f"{description} Anything but the default takes the access level {needs.name.lower()}."
    return Field(
        role=Role.ARGUMENT, number=number, description=description, default=default, low=low, high=high, needs=needs
    )


def out(number: int, description: str) -> Any:
    """A value that an operation gives back. Never set when the operation is made."""
    return Field(role=Role.OUT, number=number, description=description, default=None)


def detail(number: int, description: str, *, cim: str | None = None, top: str | None = None) -> Any:
    """What an event says beyond the columns of its row; with `top`, a column of the outermost row that its row belongs to.
    `cim` is the property of CIM_AlertIndication that it is shown as, else one of ours."""
    return Field(role=Role.DETAIL, number=number, description=description, default=None, cim=cim, top=top)


def previous(number: int, description: str, *, of: str) -> Any:
    """The value that column `of` of the event's row had before; None when it was not known."""
    return Field(role=Role.PREVIOUS, number=number, description=description, default=None, of=of)


@dataclass(frozen=True, kw_only=True)
class Fill:
    """How a property that a DMTF superclass brings gets its value: from columns, by an enumeration's CIM value, or a constant."""

    columns: tuple[str, ...] = ()
    how: Callable[..., Any] | None = None
    mapped: bool = False
    constant: Any = None
    pattern: str | None = None

    def value(self, prop: str, values: tuple[Any, ...]) -> Any:
        """The property's value for these column values; None as soon as a column it needs is None."""
        if not self.columns:
            return self.constant
        if any(v is None for v in values):
            return None
        if self.mapped:
            return values[0].cim.get(prop)
        return self.how(*values) if self.how else values[0]


def taken(*columns: str, how: Callable[..., Any] | None = None) -> Fill:
    return Fill(columns=columns, how=how)


def spelled(text: str, *columns: str) -> Fill:
    """A text with columns in it, `{0}` the first, from which they can be read back: an identifier found without a search."""
    return Fill(columns=columns, how=text.format, pattern=text)


def mapped(column_name: str) -> Fill:
    return Fill(columns=(column_name,), mapped=True)


def constant(value: Any) -> Fill:
    return Fill(constant=value)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the CONFIG columns of a row show in CIM: as an instance of a class of their own, `Virtmap_<Row>SettingData`."""

    cim: str
    association: Association
    fills: Mapping[str, Fill]
    nulls: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Aspect:
    """What a row tells of a thing that CIM holds for one of its own, as an instance of `Virtmap_<Row><name>`.

    The thing belongs to the row by `association`, its `far` end. It has no columns, so SNMP does not know it, and no
    operations: all its properties are those of the DMTF class, filled from columns of the row.
    """

    name: str
    cim: str
    association: Association
    description: str
    fills: Mapping[str, Fill]
    nulls: Mapping[str, str]


def _enumerated(enumeration: type_of_value) -> Semantic:
    return Semantic(
        name=enumeration.__name__, python=enumeration, wire=Wire.INTEGER, syntax=f"Virtmap{enumeration.__name__}", cim="uint16",
        kind=Kind.VALUE,
    )  # fmt: skip


def _flagged(flags: type_of_value) -> Semantic:
    return Semantic(
        name=flags.__name__, python=flags, wire=Wire.UNSIGNED, syntax="Unsigned32", module="SNMPv2-SMI", cim="uint32",
        kind=Kind.VALUE,
    )  # fmt: skip


def _strip_none(annotation: Any) -> tuple[Any, bool]:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        some = [a for a in typing.get_args(annotation) if a is not type(None)]
        if len(some) == 1:
            return some[0], True
    return annotation, False


def _typed(owner: str, spec: Field, annotation: Any) -> Field:
    """The field with its semantic type, from the annotation; DeclarationError when the two do not agree."""
    where = f"{owner}.{spec.name}"
    bare, may_be_none = _strip_none(annotation)
    if may_be_none is not spec.optional:
        raise DeclarationError(
            f"{where}: {'may' if spec.optional else 'may not'} be None, so write `{'T | None' if spec.optional else 'T'}`"
        )
    for extra in getattr(bare, "__metadata__", ()):
        if isinstance(extra, Semantic):
            return replace(spec, semantic=extra)
    if isinstance(bare, type) and issubclass(bare, Enumeration):
        return replace(spec, semantic=_enumerated(bare), enumeration=bare)
    if isinstance(bare, type) and issubclass(bare, Flags):
        return replace(spec, semantic=_flagged(bare), flags=bare)
    raise DeclarationError(f"{where}: {annotation!r} is no semantic type of agent.schema.types")


class _Declared(type):
    """Turns the class body into `fields` and gives every instance one slot, `values`."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], **options: Any) -> Any:
        inherited: tuple[Field, ...] = next((b.fields for b in bases if hasattr(b, "fields")), ())
        own = [k for k, v in body.items() if isinstance(v, Field)]
        annotations = body.get("__annotations__", {})
        fields: list[Field] = list(inherited)
        for k in own:
            if k not in annotations:
                raise DeclarationError(f"{name}.{k}: has no annotation")
            spec = _typed(name, replace(body[k], name=k), annotations[k])
            fields.append(replace(spec, position=len(fields)))
            body[k] = fields[-1]
        declaring = any(isinstance(b, _Declared) for b in bases)
        for k, annotation in annotations.items():
            if declaring and k not in own and ClassVar not in (annotation, typing.get_origin(annotation)):
                raise DeclarationError(
                    f"{name}.{k}: is not made by key, parent, column, argument, out, detail or previous"
                )
        body["fields"] = tuple(fields)
        body["positions"] = {f.name: f.position for f in fields}
        body.setdefault("__slots__", ())
        return super().__new__(mcs, name, bases, body, **options)

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], **options: Any) -> None:
        super().__init__(name, bases, body)


class Declared(metaclass=_Declared):
    """What rows, operations and events have in common: named, typed, frozen values."""

    __slots__ = ("values",)
    fields: ClassVar[tuple[Field, ...]] = ()
    positions: ClassVar[Mapping[str, int]] = {}
    values: ClassVar[tuple[Any, ...]]  # really an instance slot; ClassVar keeps it out of the fields

    def __init__(self, **values: Any) -> None:
        cls = type(self)
        filled = tuple(values.pop(f.name, f.default) for f in cls.fields)
        if values:
            raise TypeError(f"{cls.__name__} has no field {', '.join(values)}")
        if _REQUIRED in filled:
            raise TypeError(
                f"{cls.__name__} needs {', '.join(f.name for f, v in zip(cls.fields, filled, strict=True) if v is _REQUIRED)}"
            )
        object.__setattr__(self, "values", filled)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__()

    @classmethod
    def of_values(cls, values: tuple[Any, ...]) -> Self:
        """An instance around a values tuple of `fields` order, unchecked."""
        made = object.__new__(cls)
        object.__setattr__(made, "values", values)
        return made

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def replace(self, **changes: Any) -> Self:
        """A copy with some values changed."""
        now = list(self.values)
        for name, value in changes.items():
            now[self.positions[name]] = value
        return self.of_values(tuple(now))

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.positions}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.values == other.values

    def __hash__(self) -> int:
        return hash((type(self), self.values))

    def __repr__(self) -> str:
        told = ", ".join(f"{n}={v!r}" for n, v in self.as_dict().items() if v is not None)
        return f"{type(self).__name__}({told})"


Key = tuple[Any, ...]


class Row(Declared):
    """A thing we read: one row of a table, one instance of a class.

    Class arguments: `table` (its permanent number), `cim` (the DMTF class beneath `Virtmap_<name>`), `of` (the row it
    belongs to) with `association`, `index`, `fills` and `nulls` for what the DMTF class brings, `discontinuity` (the
    column, here or in a row above, since which counters count), `settings` (how its CONFIG columns show in CIM),
    `aspects` (what else it shows in CIM), `internal` for rows that virtmap itself and no driver fills, `action` (the
    number of the SNMP column that runs its argument-free operations).
    """

    __slots__ = ()
    table: ClassVar[int]
    cim: ClassVar[str]
    parent_row: ClassVar["type[Row] | None"] = None
    association: ClassVar[Association | None] = None
    index: ClassVar[Index] = Index.ALLOCATED
    fills: ClassVar[Mapping[str, Fill]] = {}
    nulls: ClassVar[Mapping[str, str]] = {}
    discontinuity: ClassVar[str | None] = None
    settings: ClassVar[Settings | None] = None
    aspects: ClassVar[tuple[Aspect, ...]] = ()
    internal: ClassVar[bool] = False
    action: ClassVar[int | None] = None
    abbreviation: ClassVar[str]

    def __init_subclass__(
        cls, *, table: int, cim: str, of: "type[Row] | None" = None, association: Association | None = None,
        index: Index = Index.ALLOCATED, fills: Mapping[str, Fill] | None = None, nulls: Mapping[str, str] | None = None,
        discontinuity: str | None = None, settings: Settings | None = None, internal: bool = False,
        action: int | None = None, abbreviation: str | None = None, aspects: tuple[Aspect, ...] = (),
    ) -> None:  # fmt: skip
        super().__init_subclass__()
        cls.table, cls.cim, cls.parent_row, cls.association, cls.index = table, cim, of, association, index
        cls.fills, cls.nulls, cls.discontinuity, cls.settings = fills or {}, nulls or {}, discontinuity, settings
        cls.aspects = aspects
        cls.internal, cls.action, cls.abbreviation = internal, action, abbreviation or cls.__name__
        own = {f.name for f in cls.fields if f.association is not None and f.ref is None}
        cls.fields = tuple(replace(f, ref=cls) if f.name in own else f for f in cls.fields)
        for f in cls.fields:
            if f.name in own:
                setattr(cls, f.name, f)

    @classmethod
    @functools.cache
    def key_fields(cls) -> tuple[Field, ...]:
        """The fields that identify a row on its hypervisor: the parent's key first, then its own."""
        return tuple(f for f in cls.fields if f.role in (Role.PARENT, Role.KEY))

    @classmethod
    def columns(cls) -> tuple[Field, ...]:
        """Every field with a number: what SNMP shows as a column and CIM as a property."""
        return tuple(f for f in cls.fields if f.number is not None)

    @classmethod
    def lineage(cls) -> "tuple[type[Row], ...]":
        """The row itself after all those that it belongs to, the outermost first."""
        return (cls,) if cls.parent_row is None else (*cls.parent_row.lineage(), cls)

    @classmethod
    def root(cls) -> "type[Row]":
        """The outermost row this one belongs to: the unit of reading, and of failing."""
        return cls.lineage()[0]

    @property
    def key(self) -> Key:
        return tuple(self.values[f.position] for f in self.key_fields())


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """The values of a column of the target in which an operation makes sense."""

    column: str
    values: tuple[Any, ...]


def when(column_name: str, *values: Any) -> Allowed:
    return Allowed(column=column_name, values=values)


class Operation(Declared):
    """A thing we ask of a hypervisor: one intent, its arguments named and typed.

    Class arguments: `on` (the row it is asked of), `number` (permanent, within that row), `needs` (access level), `api`,
    `sets` (the column whose setting it is: that column is writable in SNMP), `undo` (name of the operation that takes it
    back; one that `sets` is undone by setting the old value), `job` (may run long; shows as a job), `cancel` (libvirt
    function that stops it), `destroys` (what is lost for good), `allowed` (states of the target it makes sense in), `makes`
    (the row, a root, that it brings into being; out-values with the names of its key tell which one), `moves` (which way it
    moves data: its argument `file` names a file of the spool directory, its out-value `address` is where to move the data
    if no file is named, `transferred` how much was moved).
    """

    __slots__ = ()
    on: ClassVar[type[Row]]
    number: ClassVar[int]
    needs: ClassVar[Access]
    api: ClassVar[tuple[str, ...]]
    sets: ClassVar[str | None] = None
    undo: ClassVar[str | None] = None
    job: ClassVar[bool] = False
    cancel: ClassVar[str | None] = None
    destroys: ClassVar[str | None] = None
    allowed: ClassVar[Allowed | None] = None
    makes: ClassVar[type[Row] | None] = None
    moves: ClassVar[Data | None] = None

    def __init_subclass__(
        cls, *, on: type[Row], number: int, needs: Access, api: str | tuple[str, ...], sets: str | None = None,
        undo: str | None = None, job: bool = False, cancel: str | None = None, destroys: str | None = None,
        allowed: Allowed | None = None, makes: type[Row] | None = None, moves: Data | None = None,
    ) -> None:  # fmt: skip
        super().__init_subclass__()
        cls.on, cls.number, cls.needs, cls.api, cls.sets, cls.undo = on, number, needs, _names(api), sets, undo
        cls.job, cls.cancel, cls.destroys, cls.allowed, cls.makes = job, cancel, destroys, allowed, makes
        cls.moves = moves

    @classmethod
    def arguments(cls) -> tuple[Field, ...]:
        return tuple(f for f in cls.fields if f.role is Role.ARGUMENT)

    @classmethod
    def outs(cls) -> tuple[Field, ...]:
        return tuple(f for f in cls.fields if f.role is Role.OUT)

    @classmethod
    def verb(cls) -> str:
        """Its name as words, for a sentence: SetMemory is "set memory"."""
        return re.sub(r"(?<!^)(?=[A-Z])", " ", cls.__name__).lower()

    @classmethod
    def is_action(cls) -> bool:
        """Whether it can be asked for with no argument at all, and so is a value of its row's action column. What changes only
        what it is given cannot."""
        return cls.sets is None and not cls.outs() and not any(f.required or f.optional for f in cls.arguments())


class Event(Declared):
    """A thing that happened to a row. Its identity, columns `shows`, travels with it and so survives the row.

    Class arguments: `on`, `number` (permanent, over all events), `severity`, `api`, `libvirt` (the constant of the event,
    where libvirt raises it), `shows` (columns of the row that it carries), `changes` (whether a reading shows something else
    after it), `alert` and `cause` (what kind of condition it is). `abstract` declares shared fields only; one without `on` is
    shared by events on different rows.
    """

    __slots__ = ()
    on: ClassVar[type[Row]]
    number: ClassVar[int]
    perceived: ClassVar[Severity]
    alert: ClassVar[AlertType] = AlertType.OTHER
    cause: ClassVar[Cause] = Cause.UNKNOWN
    api: ClassVar[tuple[str, ...]] = ()
    libvirt: ClassVar[str | None] = None
    shows: ClassVar[tuple[str, ...]] = ()
    abstract: ClassVar[bool] = False
    changes: ClassVar[bool] = True

    def __init_subclass__(
        cls, *, on: type[Row] | None = None, number: int = 0, severity: Severity = Severity.INFORMATION,
        api: str | tuple[str, ...] = (), libvirt: str | None = None, shows: tuple[str, ...] = (), abstract: bool = False,
        changes: bool = True, alert: AlertType | None = None, cause: Cause | None = None,
    ) -> None:  # fmt: skip
        super().__init_subclass__()
        cls.abstract, cls.changes = abstract, changes
        if on is not None:
            cls.on = on
        cls.number, cls.perceived, cls.libvirt = number, severity, libvirt
        cls.alert = cls.alert if alert is None else alert
        cls.cause = cls.cause if cause is None else cause
        if api or abstract:
            cls.api = _names(api)
        if shows or abstract:
            cls.shows = shows

    @classmethod
    def words(cls) -> str:
        """Its name as words, for a sentence: DomainStarted is "domain started"."""
        return re.sub(r"(?<!^)(?=[A-Z])", " ", cls.__name__).lower()

    @classmethod
    def is_bound(cls) -> bool:
        """Whether it is about one kind of row; fields that events on different rows share are declared by one that is not."""
        return hasattr(cls, "on")

    @classmethod
    def declarers(cls) -> "tuple[type[Event], ...]":
        """The classes that declare its fields: abstract ones that it shares with other events, then itself."""
        return tuple(c for c in reversed(cls.__mro__) if issubclass(c, Event) and c is not Event)


@dataclass(frozen=True, kw_only=True)
class Model:
    """All declarations together, checked against the laws."""

    rows: tuple[type[Row], ...]
    operations: tuple[type[Operation], ...]
    events: tuple[type[Event], ...]
    enumerations: tuple[type[Enumeration], ...] = field(init=False)

    def __post_init__(self) -> None:
        from agent.schema import laws  # the laws speak about these classes, so they import this module

        found: dict[type[Enumeration], None] = {}
        for declared in (*self.rows, *self.operations, *self.events):
            for f in declared.fields:
                if f.enumeration:
                    found.setdefault(f.enumeration)
        object.__setattr__(self, "enumerations", tuple(found))
        laws.check(self)

    def row(self, name: str) -> type[Row]:
        """The row of that name, whatever its case; KeyError if there is none."""
        for r in self.rows:
            if r.__name__.lower() == name.lower():
                return r
        raise KeyError(name)

    def children(self, row: type[Row]) -> tuple[type[Row], ...]:
        return tuple(r for r in self.rows if r.parent_row is row)

    def operations_on(self, row: type[Row]) -> tuple[type[Operation], ...]:
        return tuple(o for o in self.operations if o.on is row)

    def operation(self, name: str) -> type[Operation]:
        for o in self.operations:
            if o.__name__ == name:
                return o
        raise KeyError(name)

    def setter(self, row: type[Row], column_name: str) -> type[Operation] | None:
        """The operation that sets this column, if there is one."""
        return next((o for o in self.operations if o.on is row and o.sets == column_name), None)
