"""How much of libvirt's API the mapping has, in SNMP and in CIM: every function is mapped, left out for a reason, or missing.

The functions are those of libvirt's own description of its API, as far as it is installed, and those of our table of
facts, which knows newer ones too. What maps a function is read off the projections that the agent answers from: the
columns, operations and notifications of the MIB; the properties, methods and indications of the CIM schema.
"""

import enum
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from agent.cim import classes
from agent.model import unmapped
from agent.schema import libvirt_api
from agent.schema.declare import Event, Field, Model, Operation
from agent.schema.libvirt_api import CORE, QEMU, Function
from agent.snmp import mib

GROUPS = (
    "domain", "snapshot", "checkpoint", "network", "port", "pool", "volume", "interface", "nodedev", "secret", "nwfilter",
    "binding", "host", "stream", "event", "qemu",
)  # fmt: skip
"""The groups of functions that are to be mapped, in the order in which they are told."""

UNKNOWN = "unknown"
"""The kind of a function that libvirt describes and our facts do not know yet."""


class Side(enum.Enum):
    """The two object systems."""

    SNMP = "snmp"
    CIM = "cim"


class Status(enum.Enum):
    """What is the case with a function in one of them."""

    MAPPED = "mapped"
    LEFT_OUT = "left out"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Covered:
    """One function: what maps it in SNMP (OIDs) and in CIM (Class.Property, Class.Method, Class), or why nothing does."""

    function: Function
    snmp: tuple[str, ...]
    cim: tuple[str, ...]
    reason: str | None

    def status(self, side: Side) -> Status:
        if self.snmp if side is Side.SNMP else self.cim:
            return Status.MAPPED
        return Status.MISSING if self.reason is None else Status.LEFT_OUT

    @property
    def missing(self) -> bool:
        """Whether it is missing in either."""
        return any(self.status(side) is Status.MISSING for side in Side)

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.function.name, "group": self.function.group, "kind": self.function.kind,
            "snmp": list(self.snmp), "cim": list(self.cim), "superseded_by": self.function.superseded_by,
            "reason": self.reason, "library": self.function.library, "since": self.function.since,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Description:
    """One file in which the installed libvirt describes a library, and the functions in it by their groups."""

    library: str
    version: str
    path: Path
    functions: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many functions of a group are mapped, left out and missing in one of the systems."""

    mapped: int
    left_out: int
    missing: int

    @property
    def total(self) -> int:
        return self.mapped + self.left_out + self.missing


def coverage(model: Model, described: Sequence[Description] = ()) -> tuple[Covered, ...]:
    """Every function, by group and name: those that our facts know, and those that libvirt describes besides."""
    snmp, cim = _by_function(_in_snmp(model)), _by_function(_in_cim(model))
    known = libvirt_api.functions()
    more = {n: _unknown(n, group, d) for d in described for n, group in d.functions.items() if n not in known}

    def covered(function: Function) -> Covered:
        reason = None
        if function.name in known and not snmp.get(function.name) and not cim.get(function.name):
            successor = function.superseded_by
            if successor is None or (snmp.get(successor) and cim.get(successor)):
                reason = unmapped.reason(function.name)
        return Covered(
            function=function, snmp=snmp.get(function.name, ()), cim=cim.get(function.name, ()),
            reason=None if reason is None else str(reason),
        )  # fmt: skip

    return tuple(sorted(map(covered, (known | more).values()), key=_place))


def counts(covered: Iterable[Covered], side: Side) -> Counts:
    """How it stands with those of these functions that are to be mapped."""
    found = [c.status(side) for c in covered if c.function.mappable]
    return Counts(
        mapped=found.count(Status.MAPPED), left_out=found.count(Status.LEFT_OUT), missing=found.count(Status.MISSING)
    )


def _place(covered: Covered) -> tuple[int, str, str]:
    group = covered.function.group
    return GROUPS.index(group) if group in GROUPS else len(GROUPS), group, covered.function.name


# --- what maps a function ---------------------------------------------------------------------------------------------


def _by_function(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for name, feature in pairs:
        found.setdefault(name, {})[feature] = None
    return {name: tuple(features) for name, features in found.items()}


def _called(operation: type[Operation]) -> Iterator[str]:
    """The functions of an operation: those that do it, and the one that stops it."""
    yield from operation.api
    if operation.cancel:
        yield operation.cancel


def _in_snmp(model: Model) -> Iterator[tuple[str, str]]:
    """Each function with the OID of a column, an operation or a notification that stands for it."""
    for module in mib.project(model).modules:
        for o in (o for t in module.tables for o in t.objects):
            functions = {*(o.field.api if o.field else ()), *(_called(o.operation) if o.operation else ())}
            yield from ((name, _dotted(o.oid)) for name in functions)
        for registered in module.operations:
            yield from ((name, _dotted(registered.oid)) for name in _called(registered.operation))
        for notification in module.notifications:
            yield from ((name, _dotted(notification.oid)) for name in notification.event.api)


def _in_cim(model: Model) -> Iterator[tuple[str, str]]:
    """Each function with a property, a method or an indication class that stands for it."""
    schema = classes.build(model)
    for shown in schema.instances.values():
        for p in shown.properties:
            yield from ((name, f"{shown.name}.{p.name}") for spec in _sources(p.source) for name in spec.api)
    for methods in schema.methods.values():
        for plan in methods.values():
            on = classes.class_name(plan.operation.on)
            yield from ((name, f"{on}.{plan.name}") for name in _called(plan.operation))
    for event in model.events:
        yield from ((name, _indication(event)) for name in event.api)


def _sources(source: classes.Source) -> tuple[Field, ...]:
    """The columns that a property is made of."""
    match source:
        case classes.Column():
            return (source.spec,)
        case classes.Filled():
            return source.columns
    return ()


def _indication(event: type[Event]) -> str:
    return classes.PREFIX + event.__name__


def _dotted(oid: mib.Oid) -> str:
    return ".".join(map(str, oid))


# --- what libvirt says of itself --------------------------------------------------------------------------------------

_LIBRARIES = (("libvirt", "libvirt_api"), ("libvirt-qemu", "libvirt_qemu_api"))
"""The modules of pkg-config, and their variables that tell where the description of the library is."""

_GROUP_OF_FILE = {
    "libvirt-domain": "domain", "libvirt-domain-snapshot": "snapshot", "libvirt-domain-checkpoint": "checkpoint",
    "libvirt-network": "network", "libvirt-storage": "pool", "libvirt-interface": "interface",
    "libvirt-nodedev": "nodedev", "libvirt-secret": "secret", "libvirt-nwfilter": "nwfilter", "libvirt-host": "host",
    "libvirt-stream": "stream", "libvirt-event": "event", "libvirt-qemu": "qemu",
}  # fmt: skip
"""In which group a function belongs that we know nothing of, by the header that declares it."""

Ask = Callable[[str, str], str | None]
"""A variable of a module of pkg-config, or None."""


def described(ask: Ask | None = None) -> tuple[Description, ...]:
    """The descriptions that come with libvirt's development files; none where those are not installed."""
    found = []
    for library, variable in _LIBRARIES:
        told = (ask or _pkg_config)(library, variable)
        if told and Path(told).is_file():
            found.append(_read(library, (ask or _pkg_config)(library, "version") or UNKNOWN, Path(told)))
    return tuple(found)


def _pkg_config(module: str, variable: str) -> str | None:
    asked = "--modversion" if variable == "version" else f"--variable={variable}"
    try:
        done = subprocess.run(["pkg-config", asked, module], capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def _read(library: str, version: str, path: Path) -> Description:
    tree = etree.parse(path, etree.XMLParser(resolve_entities=False, no_network=True))
    functions = {
        str(f.get("name")): _GROUP_OF_FILE.get(str(f.get("file")), UNKNOWN) for f in tree.getroot().iter("function")
    }
    return Description(library=library, version=version, path=path, functions=functions)


def _unknown(name: str, group: str, description: Description) -> Function:
    """A function that our facts do not know: it is missing, until somebody has looked at it."""
    return Function(
        name=name, library=QEMU if description.library == QEMU else CORE, group=group, kind=UNKNOWN,
        since=description.version, newer=True, superseded_by=None, python=None, drivers=frozenset(),
    )  # fmt: skip
