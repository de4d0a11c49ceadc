"""The language of views: what a profile of the DMTF wants to see in rows that are there already.

A View is a class of which every row of a table is an instance, or every row for which its condition holds; a Tie says which
views, rows and aspects belong together. Both are data, from which agent.cim.classes makes classes and associations. A view has
no values of its own and costs nothing until somebody asks for it: an instance is found by what its identifier spells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.schema.declare import Association, Fill, Row

__all__ = ["Condition", "Profiles", "Tie", "View"]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """When something is there: what holds of the values of columns, of the row or else of a row above it. Enumerations come as
    their numbers, and what nobody can tell as None."""

    columns: tuple[str, ...]
    holds: Callable[..., bool]


@dataclass(frozen=True, kw_only=True)
class View:
    """A class `Virtmap_<name>` beneath a class of the DMTF, over the rows of a table.

    Each property that the DMTF's class brings is filled, or null for a reason, as those of rows are. CreationClassName, and the
    name of the system where the class is scoped by one, come by themselves.
    """

    name: str
    row: type[Row]
    cim: str
    description: str
    fills: Mapping[str, Fill]
    nulls: Mapping[str, str]
    present: Condition | None = None


@dataclass(frozen=True, kw_only=True)
class Tie:
    """One way in which the association links two classes, each given by its name without prefix.

    `near` leads to one `far` at most: the view of the same row, of the row above, of the row that the column `via` refers to (by
    its key, or by its column `on`), or of the only row of its table. The near end plays the near role of the association, or,
    `swapped`, the far one. `when` tells for which near rows it holds. `constants` are the values of further properties of the
    association.
    """

    association: Association
    near: str
    far: str
    via: str | None = None
    on: str | None = None
    swapped: bool = False
    when: Condition | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Profiles:
    """Views and their ties. Those of rows that a model has not are left out with it. Told apart by identity, so that what is made
    of them can be kept."""

    views: tuple[View, ...] = ()
    ties: tuple[Tie, ...] = ()
