"""WQL, as clients of OpenPegasus, SFCB and Windows write it. It has no standard.

    SELECT ( "*" / property *( "," property ) ) FROM class [WITHIN seconds] [WHERE condition]

What was chosen where they differ:

* strings are compared in their case, as OpenPegasus and SFCB do (Windows does not), but class names are not;
* a string that reads as a number, TRUE or FALSE is compared with a number or a boolean as such, and of an array is true
  what is true of any of its items (see ``values``), as Windows does;
* a property is qualified by the class in FROM, or is one of an embedded instance (``SourceInstance.EnabledState``), which
  OpenPegasus refuses; ``__THIS`` is the instance itself, and ``__CLASS`` the name of its class;
* WITHIN, how often Windows would look for changes, is read and does nothing: events come when they happen;
* system properties (``__PATH``) in the select list are left out, since what they tell comes with every instance.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.cim.query.conditions import Conditions, Dialect
from agent.cim.query.errors import unsupported
from agent.cim.query.expression import Computed, Step, class_name, path
from agent.cim.query.patterns import wildcards
from agent.cim.query.statement import Query, property_names
from agent.cim.query.tokens import Cursor, Kind

__all__ = ["parse"]

_DIALECT = Dialect(
    name="WQL",
    pattern=wildcards,
    reserved=frozenset({"select", "from", "where"}),
    lenient=True,
    equals_null=True,
)


def parse(text: str) -> Query:
    cursor = _DIALECT.cursor(text)
    if cursor.at("associators", "references"):
        raise unsupported(1, f"{cursor.token.word.upper()} OF")
    cursor.expect("select", "at the beginning")
    selected = _selected(cursor)
    cursor.expect("from", "or a comma after the select list")
    source = _source(cursor)
    conditions = _Conditions(cursor, _DIALECT, source=source)
    condition = conditions.condition() if cursor.accept("where") else None
    if cursor.at("group", "order", "having"):
        raise unsupported(cursor.token.column, cursor.token.word.upper())
    cursor.end("AND, OR" if condition else "WHERE")
    return Query(
        language="WQL",
        text=text,
        source=source,
        properties=property_names(each for each in map(conditions.relative, selected) if not _system(each[0])),
        names=frozenset(conditions.names),
        condition=condition,
    )


def _selected(cursor: Cursor) -> list[list[Step]]:
    """The paths of the select list."""
    if cursor.accept("*"):
        return [[Step("*")]]
    first = cursor.token
    if first.word in ("distinct", "top", "first") and cursor.following.word not in (",", ".", "from"):
        raise unsupported(first.column, first.word.upper())
    names = Conditions(cursor, _DIALECT)
    found = [names.steps("* or the name of a property")]
    if cursor.at("("):
        raise unsupported(first.column, "a function")
    while cursor.accept(","):
        found.append(names.steps("the name of a property"))
    return found


def _source(cursor: Cursor) -> str:
    token = cursor.name("the name of a class after FROM")
    if token.word == "meta_class":
        raise unsupported(token.column, "a query of the schema (meta_class)")
    if cursor.at(","):
        raise unsupported(cursor.token.column, "a query of several classes")
    if cursor.accept("within"):
        if cursor.token.kind is not Kind.NUMBER:
            raise cursor.wrong("a number of seconds after WITHIN")
        cursor.take()
    return token.text


def _system(step: Step) -> bool:
    return step.name.startswith("__")


class _Conditions(Conditions):
    """Conditions of WQL: also of the system properties __THIS and __CLASS."""

    def resolved(self, column: int, steps: Sequence[Step]) -> Computed:
        if steps[0].name.lower() == "__this":
            steps = steps[1:]
        if steps and steps[-1].name.lower() == "__class":
            owner = self._owner(column, steps[:-1]).read
            return Computed(lambda subject: class_name(owner(subject)), folded=True)
        for step in filter(_system, steps):
            raise unsupported(column, f"the system property {step.name[:40]}")
        return self._owner(column, steps)

    def _owner(self, column: int, steps: Sequence[Step]) -> Computed:
        if not steps or (len(steps) == 1 and steps[0].name.lower() in self._aliases):
            return path(())
        return super().resolved(column, steps)
