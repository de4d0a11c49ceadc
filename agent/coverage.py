"""How much of libvirt's API the mapping has: every public function is mapped, left out for a reason, or missing."""

from collections.abc import Iterator
from dataclasses import dataclass

from agent.model import unmapped
from agent.schema import libvirt_api
from agent.schema.declare import Model


@dataclass(frozen=True, kw_only=True)
class Covered:
    """One function: the declarations that name it, or the reason why there is none; neither, when it is missing."""

    function: libvirt_api.Function
    mapped_by: tuple[str, ...]
    reason: str | None

    @property
    def status(self) -> str:
        """mapped, left out or missing."""
        if self.mapped_by:
            return "mapped"
        return "missing" if self.reason is None else "left out"


@dataclass(frozen=True, kw_only=True)
class Group:
    """The functions of one group of libvirt's API that count: the mappable ones of the core library."""

    name: str
    mapped: int
    left_out: int
    missing: int

    @property
    def total(self) -> int:
        return self.mapped + self.left_out + self.missing


def coverage(model: Model) -> tuple[Covered, ...]:
    """Every known function, by group and name."""
    by = dict[str, list[str]]()
    for name, declaration in _named(model):
        by.setdefault(name, []).append(declaration)
    found = []
    for function in libvirt_api.functions().values():
        mapped_by = tuple(dict.fromkeys(by.get(function.name, ())))
        reason = None if mapped_by else unmapped.reason(function.name)
        found.append(Covered(function=function, mapped_by=mapped_by, reason=reason))
    return tuple(sorted(found, key=lambda c: (c.function.group, c.function.name)))


def groups(covered: tuple[Covered, ...]) -> tuple[Group, ...]:
    """The counts of each group, of the functions that count."""
    counted = [c for c in covered if c.function.counted]
    names = sorted({c.function.group for c in counted})
    return tuple(
        Group(
            name=name,
            **{
                status.replace(" ", "_"): sum(c.function.group == name and c.status == status for c in counted)
                for status in ("mapped", "left out", "missing")
            },
        )
        for name in names
    )


def _named(model: Model) -> Iterator[tuple[str, str]]:
    """Each function that a declaration names, with the name of the declaration."""
    for row in model.rows:
        yield from ((name, f"{row.__name__}.{f.name}") for f in row.fields for name in f.api)
    for operation in model.operations:
        yield from ((name, operation.__name__) for name in operation.api)
        if operation.cancel:
            yield operation.cancel, f"{operation.__name__} (cancel)"
    for event in model.events:
        yield from ((name, event.__name__) for name in event.api)
