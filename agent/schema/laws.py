"""The laws that declarations obey, checked when the model is imported; an error names the declaration.

Permanent numbers are unique, everything is described, every named libvirt function exists, what a DMTF superclass brings
is filled or null for a reason, a counter knows since when it counts, a setting operation fits the column it sets.
"""

from collections.abc import Iterable, Iterator, Mapping

from agent.errors import DeclarationError
from agent.schema import dmtf, libvirt_api
from agent.schema.declare import Event, Field, Fill, Index, Model, Operation, Role, Row, Scope
from agent.schema.types import Kind

AUTOMATIC = frozenset({"CreationClassName", "SystemCreationClassName", "SystemName"})
"""Properties that the projection fills for every class: the class's own name, and the keys of the scoping system."""


def check(model: Model) -> None:
    """DeclarationError with every breach found, one a line."""
    breaches = [*_numbers(model), *_descriptions(model), *_functions(model), *_aspects(model)]
    for row in model.rows:
        breaches += [*_row(model, row), *_inherited(row)]
    for operation in model.operations:
        breaches += _operation(model, operation)
    for event in model.events:
        breaches += _event(event)
    if breaches:
        raise DeclarationError("\n".join(breaches))


def _twice(what: str, numbered: Iterable[tuple[int, str]]) -> Iterator[str]:
    seen: dict[int, str] = {}
    for number, name in numbered:
        if number in seen:
            yield f"{name}: {what} {number} is already {seen[number]}'s"
        seen.setdefault(number, name)


def _numbers(model: Model) -> Iterator[str]:
    yield from _twice("table", ((r.table, r.__name__) for r in model.rows))
    declarers = dict.fromkeys(d for e in model.events for d in e.declarers())
    yield from _twice("event", ((d.number, d.__name__) for d in declarers))
    for row in model.rows:
        yield from _twice("operation", ((o.number, o.__name__) for o in model.operations_on(row)))
    for declared in (*model.rows, *model.operations, *model.events):
        numbered = [(f.number, f"{declared.__name__}.{f.name}") for f in declared.fields if f.number is not None]
        if issubclass(declared, Row) and declared.action is not None:
            numbered.append((declared.action, f"{declared.__name__}'s action column"))
        yield from _twice("number", numbered)
        lowest = 2 if issubclass(declared, Row) and declared.index not in (Index.SCALAR, Index.SHARED) else 1
        yield from (f"{name}: number {n} is below {lowest}" for n, name in numbered if n < lowest)
    for enumeration in model.enumerations:
        labels = [m.label for m in enumeration]
        yield from (
            f"{enumeration.__name__}: label {x} stands twice" for x in {x for x in labels if labels.count(x) > 1}
        )


def _descriptions(model: Model) -> Iterator[str]:
    for declared in (*model.rows, *model.operations, *model.events, *model.enumerations):
        if not (declared.__doc__ or "").strip():
            yield f"{declared.__name__}: has no description"
    for declared in (*model.rows, *model.operations, *model.events):
        yield from (
            f"{declared.__name__}.{f.name}: has no description" for f in declared.fields if not f.description.strip()
        )
    for enumeration in model.enumerations:
        yield from (
            f"{enumeration.__name__}.{m.name}: has no description" for m in enumeration if not m.description.strip()
        )


def _functions(model: Model) -> Iterator[str]:
    known = libvirt_api.functions()
    named = [(o.__name__, (*o.api, *((o.cancel,) if o.cancel else ()))) for o in model.operations]
    named += [(e.__name__, e.api) for e in model.events]
    for name, apis in named:
        yield from (f"{name}: libvirt has no function {n}" for n in apis if n not in known)
        if not apis:
            yield f"{name}: names no libvirt function"
    for row in model.rows:
        for f in row.fields:
            yield from (f"{row.__name__}.{f.name}: libvirt has no function {n}" for n in f.api if n not in known)


def _row(model: Model, row: type[Row]) -> Iterator[str]:
    name = row.__name__
    parents = [f for f in row.fields if f.role is Role.PARENT]
    keys = [f for f in row.fields if f.role is Role.KEY]
    wanted = len(row.parent_row.key_fields()) if row.parent_row else 0
    if len(parents) != wanted:
        yield f"{name}: has {len(parents)} parent fields, its parent's key has {wanted}"
    if row.parent_row is not None and row.parent_row not in model.rows:
        yield f"{name}: its parent {row.parent_row.__name__} is not in the model"
    if row.parent_row is not None and row.association is None:
        yield f"{name}: has a parent but no association with it"
    if not keys and row.index not in (Index.SCALAR, Index.SHARED):
        yield f"{name}: has no key"
    if row.index is Index.SHARED and (keys or row.parent_row is None):
        yield f"{name}: a shared index is for a row that has the key of the row above it and none of its own"
    if (row.action is None) is any(o.is_action() for o in model.operations_on(row)):
        yield f"{name}: an action column is for a row with operations that need no argument, and only for that"
    if row.index in (Index.NATURAL, Index.DIRECT) and (len(keys) != 1 or keys[0].semantic.python is not int):
        yield f"{name}: a natural index needs one whole number as its key"
    for f in row.fields:
        yield from _column(model, row, f)


def _column(model: Model, row: type[Row], f: Field) -> Iterator[str]:
    where = f"{row.__name__}.{f.name}"
    if not f.semantic.readable:
        yield f"{where}: {f.semantic.name} may not stand in a row"
    if f.semantic.kind is Kind.COUNTER:
        since = row.discontinuity
        if not any(since in r.positions for r in row.lineage()):
            yield f"{where}: is a counter, but the row names no discontinuity column"
    if (f.ref is None) is not (f.association is None):
        yield f"{where}: a reference needs its association, and an association its reference"
    if f.ref is not None and f.ref not in model.rows:
        yield f"{where}: refers to {f.ref.__name__}, which is not in the model"


def _inherited(row: type[Row]) -> Iterator[str]:
    by_column = {f.cim for f in row.columns() if f.cim}
    yield from _filled(row, row.cim, by_column, row.fills, row.nulls)
    if row.settings is not None:
        yield from _filled(row, row.settings.cim, set(), row.settings.fills, row.settings.nulls)
        if not any(f.scope is Scope.CONFIG for f in row.fields):
            yield f"{row.__name__}: has settings but no column of the definition"
    for aspect in row.aspects:
        yield from _filled(row, aspect.cim, set(), aspect.fills, aspect.nulls)


def _aspects(model: Model) -> Iterator[str]:
    """Aspects have names of their own, are described, and belong to a row with one key, which names it as their system."""
    taken = {r.__name__ for r in model.rows} | {f"{r.__name__}SettingData" for r in model.rows if r.settings}
    for row in model.rows:
        for aspect in row.aspects:
            name = f"{row.__name__}{aspect.name}"
            if name in taken:
                yield f"{name}: an aspect of {row.__name__} has the name of another class"
            taken.add(name)
            if not aspect.description.strip():
                yield f"{name}: has no description"
            if len(row.key_fields()) != 1:
                yield f"{name}: an aspect belongs to a row with one key"


def _filled(
    row: type[Row], cim: str, by_column: set[str], fills: Mapping[str, Fill], nulls: Mapping[str, str]
) -> Iterator[str]:
    """Each property of the DMTF superclass is filled, or null for a reason."""
    name = row.__name__
    if cim not in dmtf.classes:
        yield f"{name}: the DMTF class {cim} is not among ours"
        return
    brought = dmtf.inherited_properties(cim)
    filled = [*fills, *by_column]
    for prop in brought:
        told = filled.count(prop) + (prop in nulls) + (prop in AUTOMATIC)
        if told == 0:
            yield f"{name}: {cim}.{prop} is neither filled nor null for a reason"
        elif told > 1:
            yield f"{name}: {cim}.{prop} is told more than once"
    yield from (f"{name}: {cim} brings no property {p}" for p in (*fills, *nulls, *by_column) if p not in brought)
    yield from (f"{name}: {p} is null for no reason" for p, reason in nulls.items() if not reason.strip())
    for prop, fill in fills.items():
        for column_name in fill.columns:
            if column_name not in row.positions:
                yield f"{name}: {prop} is filled from {column_name}, which is no column"
            elif fill.mapped:
                enumeration = row.fields[row.positions[column_name]].enumeration
                for member in enumeration or ():
                    if prop not in member.cim:
                        yield f"{name}: {type(member).__name__}.{member.name} has no value for {prop}"
                if enumeration is None:
                    yield f"{name}: {prop} is mapped from {column_name}, which is no enumeration"


def _operation(model: Model, operation: type[Operation]) -> Iterator[str]:
    name = operation.__name__
    on = operation.on
    if on not in model.rows:
        yield f"{name}: is on {on.__name__}, which is not in the model"
    yield from (f"{name}.{f.name}: a secret may only go in" for f in operation.outs() if f.semantic.secret)
    if operation.sets is not None:
        given = operation.positions.get(operation.sets)
        if operation.sets not in on.positions:
            yield f"{name}: sets {operation.sets}, which is no column of {on.__name__}"
        elif given is None:
            yield f"{name}: sets {operation.sets}, but has no argument of that name"
        elif operation.fields[given].semantic != on.fields[on.positions[operation.sets]].semantic:
            yield f"{name}.{operation.sets}: its type is not that of the column it sets"
        yield from (f"{name}.{f.name}: needs a default, since only {operation.sets} is set in SNMP"
                    for f in operation.arguments() if f.required and f.name != operation.sets)  # fmt: skip
    if operation.makes is not None:
        outs = {f.name for f in operation.outs()}
        if operation.makes not in model.rows or operation.makes.parent_row is not None:
            yield f"{name}: makes {operation.makes.__name__}, which is no row without a parent"
        yield from (f"{name}: makes a {operation.makes.__name__.lower()}, but does not tell its {f.name}"
                    for f in operation.makes.key_fields() if f.name not in outs)  # fmt: skip
    if operation.moves is not None:
        wanted = {"file": Role.ARGUMENT, "address": Role.OUT, "transferred": Role.OUT}
        roles = {f.name: f.role for f in operation.fields}
        yield from (f"{name}: moves data, and has no {n}" for n, role in wanted.items() if roles.get(n) is not role)
        if not operation.job:
            yield f"{name}: moves data, and is no job"
    if operation.undo is not None and operation.undo not in {o.__name__ for o in model.operations_on(on)}:
        yield f"{name}: is undone by {operation.undo}, which is no operation on {on.__name__}"
    if operation.allowed is not None and operation.allowed.column not in on.positions:
        yield f"{name}: is allowed by {operation.allowed.column}, which is no column of {on.__name__}"


def _event(event: type[Event]) -> Iterator[str]:
    columns = event.on.positions
    yield from (
        f"{event.__name__}: shows {s}, which is no column of {event.on.__name__}"
        for s in event.shows
        if s not in columns
    )
    for f in event.fields:
        if f.of is not None and f.of not in columns:
            yield f"{event.__name__}.{f.name}: is the previous {f.of}, which is no column of {event.on.__name__}"
