"""The MIB modules as SMIv2 text (RFC 2578 to 2580), from the same data that the agent answers from.

VIRTMAP-MIB names the arcs; each module of `agent.snmp.mib` becomes a file of its own. A textual convention is defined
by the first module that uses it and imported by the others, since a convention that its module does not use draws a
warning from smilint. The templates in `mibs/` hold the layout; what is said is decided here.
"""

import functools
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jinja2

from agent.errors import DeclarationError
from agent.model import MODEL
from agent.schema.declare import Field, Model, Operation, Role
from agent.schema.types import Wire, canonical
from agent.snmp import mib, operation_mib

ROOT_MODULE = "VIRTMAP-MIB"
ROOT_DESCRIPTION = (
    "Hypervisors as libvirt reaches them, seen and controlled by SNMP: the arcs that all modules hang under."
)
GENERATED = "-- Generated from the mapping by `virtmap generate`. Changes made here will be lost."
WIDTH = 84
INDENT = 17

REVISIONS = (("202611230000Z", "First version."),)
"""When the modules changed and how, newest first. A fixed text: generating twice gives the same."""

_ARCS = (
    ("virtmapNotifications", "virtmap", mib.NOTIFICATIONS),
    ("virtmapObjects", "virtmap", mib.OBJECTS),
    ("virtmapConformance", "virtmap", mib.COMPLIANCES[:-1]),
    ("virtmapCompliances", "virtmapConformance", mib.COMPLIANCES),
    ("virtmapGroups", "virtmapConformance", mib.GROUPS),
    ("virtmapOperations", "virtmap", mib.OPERATIONS),
    ("virtmapModules", "virtmap", mib.MODULES),
    ("virtmapProducts", "virtmap", mib.AGENT[:-1]),
    ("virtmapEventObjects", "virtmap", mib.EVENT_OBJECTS),
)

_BUILT_IN = ("Integer32", "Unsigned32", "Gauge32", "TimeTicks", "Counter64")
_FULL = {Wire.INTEGER: (-(2**31), 2**31 - 1), Wire.UNSIGNED: (0, 2**32 - 1)}
_LIMITS = {"low": "at least {}", "high": "at most {}"}


@dataclass(frozen=True, kw_only=True)
class TextConvention:
    """A textual convention of ours on octets: how it is shown, and how long it may be."""

    name: str
    hint: str
    syntax: str
    description: str


TEXTS = (
    TextConvention(
        name="VirtmapText",
        hint="4096t",
        syntax="OCTET STRING (SIZE (0..4096))",
        description="Text in UTF-8 for people to read, longer than SnmpAdminString allows.",
    ),
    TextConvention(
        name="VirtmapUuid",
        hint="36a",
        syntax="OCTET STRING (SIZE (36))",
        description="A UUID as RFC 4122 writes it, in lower case. It travels as text, because a display hint"
        " cannot ask for leading zeros, and tools leave them out.",
    ),
)

_SIZES = {
    "SnmpAdminString": (0, 255),
    "VirtmapText": (0, 4096),
    "VirtmapUuid": (36, 36),
    "MacAddress": (6, 6),
    "DateAndTime": (8, 11),
}
"""What the conventions on octets allow themselves; a column that allows the same needs to say no more."""


@dataclass(frozen=True, kw_only=True)
class Arc:
    """A node that only structures the tree."""

    name: str
    parent: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """An OBJECT-GROUP or NOTIFICATION-GROUP."""

    name: str
    macro: str
    members: tuple[str, ...]
    description: str
    number: int

    @property
    def clause(self) -> str:
        return "OBJECTS" if self.macro == "OBJECT-GROUP" else "NOTIFICATIONS"


def generate(model: Model = MODEL) -> dict[str, str]:
    """Every generated module, by its path under `mibs/`."""
    all_of_them = modules(model)
    homes = {**_homes(all_of_them), **{o.name: m.name for m in all_of_them for o in m.event_objects}}
    files = {ROOT_MODULE: _root()}
    files |= {m.name: _module(m, homes) for m in all_of_them}
    for name, text in files.items():
        if not text.isascii():
            raise DeclarationError(
                f"{name}: SMIv2 text is ASCII, but it holds {next(c for c in text if not c.isascii())!r}"
            )
    return files


def modules(model: Model = MODEL) -> tuple[mib.Module, ...]:
    """Every module but the one that names the arcs: those of the mapping, and those that only SNMP has."""
    return (*mib.project(model).modules, operation_mib.MODULE)


def _root() -> str:
    return (
        _environment()
        .get_template("root.mib.j2")
        .render(
            module=ROOT_MODULE,
            generated=GENERATED,
            enterprise=mib.ENTERPRISE[-1],
            root=mib.ROOT[-1],
            agent=mib.AGENT[-1],
            arcs=[Arc(name=name, parent=parent, number=oid[-1]) for name, parent, oid in _ARCS],
            imports=_imports({"SNMPv2-SMI": {"MODULE-IDENTITY", "OBJECT-IDENTITY", "enterprises"}}),
            identity=_identity(ROOT_DESCRIPTION),
        )
    )


def _module(module: mib.Module, homes: dict[str, str]) -> str:
    groups = tuple(_groups(module))
    operation_arc = {t.oid[-1]: f"virtmap{t.row.__name__}Operations" for t in module.tables}
    by_operation = {o.operation: o.name for o in module.operations}
    event_arcs: dict[int, list[mib.MibObject]] = {}
    for o in module.event_objects:
        event_arcs.setdefault(o.oid[-2], []).append(o)
    return (
        _environment()
        .get_template("module.mib.j2")
        .render(
            module=module,
            generated=GENERATED,
            imports=_imports(_used(module, homes)),
            identity=_identity(module.description),
            texts=[c for c in TEXTS if homes.get(c.name) == module.name],
            conventions=[c for c in module.conventions if homes[c.name] == module.name],
            groups=groups,
            event_arcs=event_arcs,
            writable=[o for o in _objects(module) if o.access in mib.WRITABLE],
            operation_arcs=[
                Arc(name=operation_arc[n], parent="virtmapOperations", number=n)
                for n in sorted({o.oid[-2] for o in module.operations})
            ],
            operation_arc=lambda o: operation_arc[o.oid[-2]],
            syntax=syntax,
            reference=_reference,
            told=functools.partial(_told, by_operation),
            happening=happening,
            occasion=_occasion,
            asking=asking,
        )
    )


@functools.cache
def _environment() -> jinja2.Environment:
    """The templates of `mibs/`. Nothing here is HTML, so nothing is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: resources.files("mibs").joinpath(name).read_text("utf-8")),
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["prose"] = prose
    environment.filters["upper_first"] = lambda name: name[:1].upper() + name[1:]
    return environment


def prose(text: str, indent: int = INDENT) -> str:
    """Text fit for a quoted string: lines wrapped and indented, no double quotes in it (RFC 2578, section 3.1.1)."""
    lines: list[str] = []
    for paragraph in text.replace('"', "'").split("\n"):
        hanging = "    " if paragraph.startswith(" ") else ""
        lines += textwrap.wrap(
            paragraph, WIDTH - indent, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
        )
    return ("\n" + " " * indent).join(lines)


def _identity(description: str) -> str:
    lines = [
        f'    LAST-UPDATED "{REVISIONS[0][0]}"',
        '    ORGANIZATION "virtmap"',
        '    CONTACT-INFO "Whoever runs the agent; its sysContact tells who."',
        f'    DESCRIPTION  "{prose(description)}"',
    ]
    lines += [f'    REVISION     "{when}"\n    DESCRIPTION  "{prose(what)}"' for when, what in REVISIONS]
    return "\n".join(lines)


def _objects(module: mib.Module) -> Iterator[mib.MibObject]:
    for table in module.laid_out:
        yield from table.objects
    yield from module.event_objects


def _homes(modules: Iterable[mib.Module]) -> dict[str, str]:
    """Which module defines each textual convention of ours: the first that uses it."""
    homes: dict[str, str] = {}
    for module in modules:
        for o in _objects(module):
            if o.syntax_module is None:
                homes.setdefault(o.syntax, module.name)
    return homes


def _used(module: mib.Module, homes: dict[str, str]) -> dict[str, set[str]]:
    """What the module uses of others, by their names."""
    used: dict[str, set[str]] = {"SNMPv2-SMI": {"MODULE-IDENTITY", "OBJECT-TYPE"}}
    used["SNMPv2-CONF"] = {"MODULE-COMPLIANCE", "OBJECT-GROUP"}
    used[ROOT_MODULE] = {"virtmapModules", "virtmapCompliances", "virtmapGroups"}
    if module.laid_out:
        used[ROOT_MODULE].add("virtmapObjects")
    for o in _objects(module):
        home = o.syntax_module or homes[o.syntax]
        if home != module.name:
            used.setdefault(home, set()).add(o.syntax)
        if o.default == "zeroDotZero":
            used["SNMPv2-SMI"].add(o.default)
    if module.name in homes.values():
        used.setdefault("SNMPv2-TC", set()).add("TEXTUAL-CONVENTION")
    if module.operations:
        used["SNMPv2-SMI"].add("OBJECT-IDENTITY")
        used[ROOT_MODULE].add("virtmapOperations")
    if module.event_objects:
        used[ROOT_MODULE].add("virtmapEventObjects")
    if module.notifications:
        used["SNMPv2-SMI"].add("NOTIFICATION-TYPE")
        used["SNMPv2-CONF"].add("NOTIFICATION-GROUP")
        used[ROOT_MODULE].add("virtmapNotifications")
    for name in {name for n in module.notifications for name in n.objects}:
        if homes.get(name, module.name) != module.name:  # what all events tell
            used.setdefault(homes[name], set()).add(name)
    return used


def _imports(used: dict[str, set[str]]) -> str:
    """The IMPORTS clause: the base modules first, then the others by name."""
    base = ["SNMPv2-SMI", "SNMPv2-TC", "SNMPv2-CONF"]
    parts = []
    for name in sorted(used, key=lambda n: (base.index(n) if n in base else len(base), n)):
        symbols = textwrap.fill(
            ", ".join(sorted(used[name])),
            WIDTH,
            initial_indent="    ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
        parts.append(f"{symbols}\n        FROM {name}")
    return "IMPORTS\n" + "\n".join(parts) + ";"


def syntax(o: mib.MibObject) -> str:
    """The SYNTAX of an object, with a range or size where its type alone allows more."""
    if o.low is None or o.high is None or o.wire in (Wire.COUNTER64, Wire.TICKS, Wire.OID):
        return o.syntax
    if o.wire is Wire.OCTETS:
        return o.syntax if _SIZES.get(o.syntax) == (o.low, o.high) else f"{o.syntax} (SIZE ({o.low}..{o.high}))"
    if o.syntax not in _BUILT_IN or (o.low, o.high) == _FULL[o.wire]:
        return o.syntax
    return f"{o.syntax} ({o.low}..{o.high})"


def _told(by_operation: dict[type[Operation], str], o: mib.MibObject) -> str:
    if o.operation is None:
        return o.description
    return f"{o.description} Setting it performs {by_operation[o.operation]}."


def _reference(field: Field | None) -> str:
    """Where libvirt tells the value, for those who look it up there."""
    if field is None:
        return ""
    statistics = f"statistics field {field.stats}" if field.stats else ""
    told = "; ".join(filter(None, [", ".join(field.api), statistics]))
    return f"libvirt: {told}" if told else ""


def happening(n: mib.MibNotification) -> str:
    return f"{n.description} Severity: {n.event.perceived.name.lower()}."


def _occasion(n: mib.MibNotification) -> str:
    return f"libvirt: {n.event.libvirt}" if n.event.libvirt else ""


def asking(o: mib.MibOperation) -> Iterator[str]:
    """The registration of an operation, as lines: what it does, who may, its arguments and what it gives."""
    operation = o.operation
    yield o.description
    yield f"Access: {operation.needs.name.lower()}."
    if operation.allowed is not None:
        values = ", ".join(canonical(v) for v in operation.allowed.values)
        yield f"Allowed while {operation.allowed.column} is one of: {values}."
    if operation.destroys:
        yield f"Lost for good: {operation.destroys}"
    if operation.undo:
        yield f"Undone by {operation.undo}."
    if operation.job:
        yield "May take long, and then shows as a job."
    for f in operation.fields:
        yield from _argument(f)


def _argument(f: Field) -> Iterator[str]:
    kind = "Argument" if f.role is Role.ARGUMENT else "Result"
    type_name = f.semantic.name + (
        f" in {f.semantic.unit}" if f.semantic.unit and f.semantic.unit != f.semantic.name else ""
    )
    limits = [_LIMITS[which].format(limit) for which, limit in (("low", f.low), ("high", f.high)) if limit is not None]
    left_out = "" if f.role is not Role.ARGUMENT or f.required else " May be left out."
    yield f"{kind} {f.number}, {f.name} ({', '.join([type_name, *limits])}): {f.description}{left_out}"
    members: Iterable[Any] = f.flags or f.enumeration or ()
    yield from (f"  {m.label} ({int(m)}): {m.description}" for m in members)


def _groups(module: mib.Module) -> Iterator[Group]:
    for table in module.laid_out:
        yield Group(
            name=f"virtmap{table.title}Group",
            macro="OBJECT-GROUP",
            members=tuple(o.name for o in table.readable),
            description=table.description,
            number=table.oid[-1],
        )
    if module.event_objects:
        yield Group(
            name=f"{module.prefix}EventObjectGroup",
            macro="OBJECT-GROUP",
            members=tuple(o.name for o in module.event_objects),
            description="What only notifications carry.",
            number=mib.EVENT_OBJECT_GROUP + module.number,
        )
    if module.notifications:
        yield Group(
            name=f"{module.prefix}NotificationGroup",
            macro="NOTIFICATION-GROUP",
            members=tuple(n.name for n in module.notifications),
            description="What happens, as notifications tell it.",
            number=mib.NOTIFICATION_GROUP + module.number,
        )
