"""DMTF:FQL, the Filter Query Language of pull operations (DSP0212 1.0): a condition on the instances of an operation.

It is read after the grammar in DSP0212 and after OpenPegasus, whose clients are nearly all there are: ``=`` and ``<>`` also
test for NULL, ``{1, 2}`` is an array, which is equal to one of the same items, and ANY and EVERY are for other comparisons
of arrays. AND binds closer than OR, which the grammar leaves open.

More is taken than it has: NOT before any condition, IS NULL, ISA, and a literal on the left of an operator.
"""

from __future__ import annotations

from agent.cim.query.conditions import Conditions, Dialect
from agent.cim.query.patterns import regular_expression
from agent.cim.query.statement import Query

__all__ = ["parse"]

_DIALECT = Dialect(
    name="FQL",
    pattern=regular_expression,
    reserved=frozenset(),
    arrays=True,
    braces=True,
    equals_null=True,
)


def parse(text: str) -> Query:
    cursor = _DIALECT.cursor(text)
    conditions = Conditions(cursor, _DIALECT)
    condition = conditions.condition()
    cursor.end("AND, OR")
    return Query(language="DMTF:FQL", text=text, names=frozenset(conditions.names), condition=condition)
