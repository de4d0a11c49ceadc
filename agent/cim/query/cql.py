"""DMTF:CQL, the CIM Query Language (DSP0202 1.0): its basic queries and those of embedded instances, without joins.

    SELECT list FROM class [ [AS] alias ] [WHERE condition]
    list = ( "*" / path [AS name] / path ".*" / function "(" [path] ")" [AS name] ) *( "," ... )
    path = [ class "::" ] property [ "[" number "]" ] *( "." path )

Had are the features Basic Query, Embedded Properties, basic Like (and more of it, see ``patterns``) and single items of
arrays, ANY and EVERY, ``||`` and the functions in ``functions``. A class name or alias alone is the instance itself, and
``class::property`` is NULL for an instance that is not of that class. Not had, and refused by name: joins, subqueries,
DISTINCT, FIRST, ORDER BY, aggregation, arithmetic, symbolic constants, SATISFIES, array ranges, other namespaces.

The instances in an answer keep the names of their properties: AS is read, and renames nothing. A function in the select
list selects the property that it is of, as there is no column of which it could be the value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.cim.query.conditions import Conditions, Dialect
from agent.cim.query.errors import echo, invalid, unsupported
from agent.cim.query.expression import Computed, Condition, Literal, Operand, Step, comparison, path
from agent.cim.query.functions import AGGREGATES, FUNCTIONS, OF_PATHS
from agent.cim.query.patterns import regular_expression
from agent.cim.query.statement import Query, property_names
from agent.cim.query.subject import Subject, Value
from agent.cim.query.tokens import Cursor, Kind, Token

__all__ = ["parse"]

_DIALECT = Dialect(
    name="CQL",
    pattern=regular_expression,
    reserved=frozenset({"select", "from", "where"}),
    arrays=True,
    scopes=True,
)
_OPTIONS = ("distinct", "first")


def parse(text: str) -> Query:
    cursor = _DIALECT.cursor(text)
    cursor.expect("select", "at the beginning")
    if cursor.at(*_OPTIONS) and cursor.following.word not in ("from", ",", ".", "::", "[", "as"):
        raise unsupported(cursor.token.column, cursor.token.word.upper())
    selected = _selected(cursor)
    cursor.expect("from", "or a comma after the select list")
    source, alias = _source(cursor)
    conditions = _Conditions(cursor, _DIALECT, source=source, alias=alias)
    condition = conditions.condition() if cursor.accept("where") else None
    if cursor.at("order", *_OPTIONS):
        raise unsupported(cursor.token.column, "ORDER BY" if cursor.at("order") else cursor.token.word.upper())
    cursor.end("AND, OR" if condition else "WHERE")
    return Query(
        language="DMTF:CQL",
        text=text,
        source=source,
        properties=property_names(conditions.relative(each) for each in selected),
        names=frozenset(conditions.names),
        condition=condition,
    )


def _selected(cursor: Cursor) -> list[list[Step]]:
    """The paths of the select list."""
    found = [_item(cursor)]
    while cursor.accept(","):
        found.append(_item(cursor))
    return found


def _item(cursor: Cursor) -> list[Step]:
    if cursor.accept("*"):
        return [Step("*")]
    steps = _function(cursor) if cursor.following.word == "(" else _path(cursor)
    if cursor.at("+", "-", "/", "||"):
        raise unsupported(cursor.token.column, "an expression in the select list")
    if cursor.accept("as"):
        cursor.name("a name after AS")
    return steps


def _path(cursor: Cursor) -> list[Step]:
    if cursor.token.kind in (Kind.STRING, Kind.NUMBER):
        raise unsupported(cursor.token.column, "a literal in the select list")
    steps = Conditions(cursor, _DIALECT).steps("* or the name of a property")
    if cursor.at("#"):
        raise unsupported(cursor.token.column, "a symbolic constant (#)")
    return steps


def _function(cursor: Cursor) -> list[Step]:
    """The path that a function is of; nothing for one that is of the instance."""
    name = cursor.name("* or the name of a property")
    if name.word in AGGREGATES:
        raise unsupported(name.column, f"aggregation ({name.word.upper()})")
    if name.word not in OF_PATHS and name.word not in FUNCTIONS:
        raise invalid(name.column, f"there is no function {name.shown}")
    cursor.take()
    steps = [] if cursor.at(")") else _path(cursor)
    cursor.expect(")", f"after what {name.word.upper()} is of")
    return steps


def _source(cursor: Cursor) -> tuple[str, str]:
    """The class in FROM, and its alias, which may be empty."""
    if cursor.at("("):
        raise unsupported(cursor.token.column, "a query within a query")
    if cursor.token.kind is Kind.STRING or cursor.following.word in (":", "/"):
        raise unsupported(cursor.token.column, "a class in another namespace")
    source, alias = cursor.name("the name of a class after FROM").text, ""
    if cursor.accept("as") or (cursor.token.kind is Kind.NAME and not cursor.at("where", "order", *_OPTIONS)):
        alias = cursor.name("an alias").text
    if cursor.at(",") or cursor.token.word in ("join", "inner", "left", "right", "cross", "on"):
        raise unsupported(cursor.token.column, "a join of several classes")
    return source, alias


class _Conditions(Conditions):
    """Conditions of CQL: also of functions, of strings that are put together, and of what is itself true or false."""

    def bare(self, first: Token, operand: Operand) -> Condition:
        if self._cursor.at("and", "or", ")") or self._cursor.token.kind is Kind.END:
            if isinstance(operand, Computed):
                return comparison(operand, "=", Literal(True), lenient=False)
            raise invalid(first.column, f"{first.shown} alone is no condition")
        return super().bare(first, operand)

    def operand(self) -> Operand:
        operand = super().operand()
        if not self._cursor.at("||"):
            return operand
        parts = [operand]
        while self._cursor.accept("||"):
            parts.append(super().operand())
        return _concatenated(parts)

    def computed(self) -> Operand:
        if self._cursor.token.kind is Kind.NAME and self._cursor.following.word == "(":
            return self._call()
        return super().computed()

    def _call(self) -> Operand:
        name = self._cursor.name("the name of a function")
        if name.word in AGGREGATES or name.word in OF_PATHS:
            raise unsupported(name.column, f"the function {name.word.upper()} in a condition")
        function = FUNCTIONS.get(name.word)
        if function is None:
            raise invalid(name.column, f"there is no function {name.shown}")
        arguments = self._arguments()
        if not arguments and function.of_this:
            arguments = [path(())]
        if len(arguments) != function.arguments:
            expected = "one value" if function.arguments else "none"
            raise invalid(name.column, f"{name.word.upper()} is of {expected}, not of {len(arguments)}")
        return Computed(_applied(function.call, arguments), folded=function.folded)

    def _arguments(self) -> list[Operand]:
        found: list[Operand] = []
        with self.nested():
            self._cursor.take()
            while not self._cursor.accept(")"):
                if found:
                    self._cursor.expect(",", "or )")
                found.append(self.operand())
        return found

    def resolved(self, column: int, steps: Sequence[Step]) -> Computed:
        if len(steps) == 1 and not steps[0].scope and steps[0].name.lower() in self._aliases:
            if steps[0].index is not None:
                raise invalid(column, f"{echo(steps[0].name)} is no array")
            return path(())
        return super().resolved(column, steps)


def _applied(call: Callable[..., Value], arguments: Sequence[Operand]) -> Callable[[Subject], Value]:
    """A function of what is read; with none it is called all the same."""
    match list(arguments):
        case []:
            return lambda _: call()
        case [Literal(value=value)]:
            return lambda _: call(value)
        case [Computed(read=read)]:
            return lambda subject: call(read(subject))
    raise AssertionError(arguments)


def _concatenated(parts: Sequence[Operand]) -> Computed:
    """The strings one behind the other; NULL if any is none."""

    def read(subject: Subject) -> Value:
        values = [part.value if isinstance(part, Literal) else part.read(subject) for part in parts]
        strings = [value for value in values if isinstance(value, str)]
        return "".join(strings) if len(strings) == len(values) else None

    return Computed(read)
