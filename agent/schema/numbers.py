"""The ledger of permanent numbers: every number of the model, one a line, only ever added to.

A manager's graphs, scripts and thresholds hang on these numbers, so one that was published keeps its meaning for ever. The
ledger stands in `agent/model/numbers.txt`; `append` writes what the model has and it has not, and nothing takes a line
away. What is no longer in the model is retired: its line gets ` retired: <reason>` at its end, by hand, and its number is
not to be given again.

    table 2 Domain                        a row's table, and its class
    column 2.21 Domain.memory             an attribute, by table and number
    action 2.3 Domain                     the column that runs operations
    operation 2.9 SetMemory               an operation, by table and number
    argument 2.9.1 SetMemory.memory       its arguments
    out 2.12.2 ReadXml.xml                and out-values, by the same count
    event 3 DomainStarted
    detail 3.1 DomainStarted.detail       what events share also stands under the number of the class that declares it
    enum DomainState 2 running            a value of an enumeration
    flag StartFlags 1 paused              a bit of a set of flags
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from agent.errors import DeclarationError
from agent.schema.declare import Model, Role
from agent.schema.types import Flags

FILE = "numbers.txt"
HEAD = "# Permanent numbers, each with its meaning. Lines are only ever added, by `virtmap generate`.\n"
RETIRED = " retired: "


def lines(model: Model) -> Iterator[str]:
    """Every number of the model with its meaning, in the order of the model."""
    for row in model.rows:
        yield f"table {row.table} {row.__name__}"
        if row.action is not None:
            yield f"action {row.table}.{row.action} {row.__name__}"
        yield from (f"column {row.table}.{f.number} {row.__name__}.{f.name}" for f in row.columns())
    flags: dict[type[Flags], None] = {}
    for operation in model.operations:
        number = f"{operation.on.table}.{operation.number}"
        yield f"operation {number} {operation.__name__}"
        for f in operation.fields:
            kind = "argument" if f.role is Role.ARGUMENT else "out"
            yield f"{kind} {number}.{f.number} {operation.__name__}.{f.name}"
            if f.flags is not None:
                flags.setdefault(f.flags)
    for event in dict.fromkeys(d for e in model.events for d in e.declarers()):
        yield f"event {event.number} {event.__name__}"
        yield from (f"detail {event.number}.{f.number} {event.__name__}.{f.name}" for f in event.fields)
    for enumeration in model.enumerations:
        yield from (f"enum {enumeration.__name__} {m.value} {m.label}" for m in enumeration)
    for some in flags:
        yield from (f"flag {some.__name__} {m.value} {m.label}" for m in some)


def read(text: str) -> tuple[list[str], list[str]]:
    """The lines of a ledger: those in force, and those that are retired (without their reasons)."""
    kept = [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    in_force = [line for line in kept if RETIRED not in line]
    return in_force, [line.split(RETIRED)[0] for line in kept if RETIRED in line]


def breaches(model: Model, text: str) -> list[str]:
    """What is wrong between a model and its ledger, a sentence each; none when the promises are kept."""
    in_force, retired = read(text)
    now = list(lines(model))
    told = [f"{line}: was promised, but the model says otherwise" for line in in_force if line not in set(now)]
    told += [f"{line}: is not in the ledger; run `virtmap generate`" for line in now if line not in set(in_force)]
    told += [f"{line}: stands twice" for line in _twice(in_force + retired)]
    return told + list(_taken(now, retired))


def missing(model: Model, text: str) -> list[str]:
    """The lines to be added to the ledger. DeclarationError if adding cannot make it true, since a promise is broken."""
    in_force, retired = read(text)
    now = list(lines(model))
    broken = [f"{line}: was promised, but the model says otherwise" for line in in_force if line not in set(now)]
    broken += _taken(now, retired)
    if broken:
        raise DeclarationError("\n".join(broken))
    known = set(in_force)
    return [line for line in now if line not in known]


def append(model: Model, path: Path) -> list[str]:
    """Add to the ledger what it lacks, at its end; gives the lines added. DeclarationError if a promise is broken."""
    text = path.read_text("utf-8") if path.exists() else HEAD
    added = missing(model, text)
    if added:
        path.write_text(text + "".join(f"{line}\n" for line in added), "utf-8")
    return added


def _number(line: str) -> str:
    """What may have one meaning only: the kind and number of a line, without its name."""
    kind, *rest = line.split()
    kind = "column" if kind == "action" else "argument" if kind == "out" else kind
    return " ".join((kind, *rest[:-1]))


def _taken(now: Iterable[str], retired: Iterable[str]) -> Iterator[str]:
    gone = {_number(line): line for line in retired}
    for line in now:
        if _number(line) in gone:
            yield f"{line}: its number is that of the retired {gone[_number(line)]}"


def _twice(found: Iterable[str]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for line in found:
        if _number(line) in seen:
            yield line
        seen[_number(line)] = line
