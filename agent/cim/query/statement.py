"""A query that has been understood, whatever its language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agent.cim.query.expression import Condition, Step
from agent.cim.query.subject import Subject

__all__ = ["Query", "property_names"]


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a client asks for. It may be asked of any number of subjects, from several threads."""

    #: WQL, DMTF:CQL or DMTF:FQL, whatever the client called it.
    language: str
    text: str
    #: The class in FROM, as it is written there; empty for a filter, which has none.
    source: str = ""
    #: The properties to be given, each once, as they are written; of an embedded instance that which holds it. None for all.
    properties: tuple[str, ...] | None = None
    #: The properties that the condition reads of an instance of the source, in lower case: who asks for others is wrong.
    names: frozenset[str] = frozenset()
    condition: Condition | None = field(default=None, repr=False, compare=False)

    def matches(self, subject: Subject) -> bool:
        """Whether the condition is true of an instance; what is unknown is not. Whether it is one of the source's has been
        asked before. Raises nothing, if the subject does not."""
        return self.condition is None or self.condition(subject) is True


def property_names(selected: Iterable[Sequence[Step]]) -> tuple[str, ...] | None:
    """The properties that the paths of a select list begin with, each once; None if one of them is ``*``."""
    found: dict[str, str] = {}
    for steps in selected:
        for step in steps[:1]:
            found.setdefault(step.name.lower(), step.name)
    return None if "*" in found else tuple(found.values())
