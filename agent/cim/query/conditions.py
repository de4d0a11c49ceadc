"""The grammar of conditions: what follows WHERE in WQL and CQL, and the whole of FQL.

    condition  = conjunction *( OR conjunction )
    conjunction = negation *( AND negation )
    negation   = *NOT ( "(" condition ")" / predicate )
    predicate  = [ANY / EVERY] operand operator [ANY / EVERY] operand
               / [ANY / EVERY] operand [NOT] LIKE string
               / operand IS [NOT] ( NULL / TRUE / FALSE )     ; the last two in WQL
               / operand [NOT] ISA class
    operand    = literal / path

Languages differ in what a ``Dialect`` says and in operands, which CQL has more of. Depth and size are bounded, and so are
the patterns of a query together, since asking an intricate one costs a thousand times what a comparison does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from agent.cim.query.errors import QueryError, echo, invalid, unsupported
from agent.cim.query.expression import (
    Computed,
    Condition,
    Literal,
    Operand,
    Step,
    all_of,
    any_of,
    comparison,
    is_certainly,
    is_class,
    is_null,
    like,
    not_,
    path,
    quantified,
)
from agent.cim.query.patterns import Matcher, PatternError, cost
from agent.cim.query.subject import Value
from agent.cim.query.tokens import Cursor, Kind, Token, number, tokens
from agent.cim.query.values import MIRRORED, OPERATORS

__all__ = ["Conditions", "Dialect"]

_DEPTH = 64
_PREDICATES = 1000
#: What all patterns of a query may cost together, as ``patterns.cost`` counts it.
_PATTERNS = 1024
_RESERVED = frozenset({"and", "or", "not", "is", "null", "true", "false", "like", "isa"})


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What a language has that others have not."""

    name: str
    #: What the pattern of LIKE means.
    pattern: Callable[[str], Matcher]
    #: Words that are no names, besides those of conditions.
    reserved: frozenset[str]
    #: WQL: compares leniently (see ``values``), and a backslash escapes only quotes.
    lenient: bool = False
    #: ANY, EVERY and items of arrays.
    arrays: bool = False
    #: Class::Property
    scopes: bool = False
    #: Arrays as literals, such as {1, 2}.
    braces: bool = False
    #: = NULL and <> NULL, for IS NULL and IS NOT NULL.
    equals_null: bool = False

    def cursor(self, text: str) -> Cursor:
        quantifiers = {"any", "every"} if self.arrays else ()
        return Cursor(tokens(text, only_quotes=self.lenient), self.reserved | _RESERVED | frozenset(quantifiers))


class Conditions:
    """Parses conditions. ``names`` are those of the properties of the subject that have been read so far."""

    def __init__(self, cursor: Cursor, dialect: Dialect, *, source: str = "", alias: str = "") -> None:
        """``source`` is the class in FROM, and ``alias`` another name for it: both may stand before a property."""
        self.names: set[str] = set()
        self._cursor = cursor
        self._dialect = dialect
        self._source = source
        self._aliases = {each.lower() for each in (source, alias) if each}
        self._depth = 0
        self._predicates = 0
        self._patterns = 0

    def condition(self) -> Condition:
        conditions = [self._conjunction()]
        while self._cursor.accept("or"):
            conditions.append(self._conjunction())
        return any_of(conditions)

    def _conjunction(self) -> Condition:
        conditions = [self._negation()]
        while self._cursor.accept("and"):
            conditions.append(self._negation())
        return all_of(conditions)

    def _negation(self) -> Condition:
        nots = 0
        while self._cursor.accept("not"):
            nots += 1
        condition = self._parenthesis() if self._cursor.at("(") else self._predicate()
        return not_(condition) if nots % 2 else condition

    def _parenthesis(self) -> Condition:
        with self.nested():
            self._cursor.take()
            self._no_query()
            condition = self.condition()
            self._cursor.expect(")", "or AND or OR")
        return condition

    def _no_query(self) -> None:
        if self._cursor.at("select"):
            raise unsupported(self._cursor.token.column, "a query within a query")

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Around what a parenthesis opens; INVALID_QUERY if there are too many."""
        if self._depth == _DEPTH:
            raise invalid(self._cursor.token.column, f"parentheses are nested more than {_DEPTH} deep")
        self._depth += 1
        yield
        self._depth -= 1

    def _predicate(self) -> Condition:
        self._predicates += 1
        if self._predicates > _PREDICATES:
            raise invalid(self._cursor.token.column, f"the query has more than {_PREDICATES} comparisons")
        quantifier = self._quantifier()
        first = self._cursor.token
        left = self.operand()
        cursor = self._cursor
        if cursor.at(*OPERATORS, "!="):
            return self._comparison(quantifier, first, left)
        if cursor.at("in", "between"):
            raise unsupported(cursor.token.column, cursor.token.word.upper())
        is_not = cursor.at("not") and cursor.following.word in ("like", "isa") and cursor.accept("not")
        if cursor.at("like"):
            condition = self._like(quantifier, left)
        elif quantifier:
            raise cursor.wrong(f"an operator or LIKE after {quantifier.upper()} and an array")
        elif cursor.at("isa"):
            condition = self._isa(first, left)
        elif cursor.at("is"):
            condition = self._is(first, left)
        else:
            condition = self.bare(first, left)
        return not_(condition) if is_not else condition

    def bare(self, first: Token, operand: Operand) -> Condition:
        """The condition that an operand alone is, if it is one."""
        raise self._cursor.wrong(f"an operator, LIKE, IS or ISA after {first.shown}")

    def _quantifier(self) -> str:
        if self._dialect.arrays and self._cursor.at("any", "every"):
            return self._cursor.take().word
        return ""

    def _comparison(self, quantifier: str, first: Token, left: Operand) -> Condition:
        token = self._cursor.take()
        symbol = self._symbol(token)
        other = self._quantifier()
        right = self.operand()
        if other and quantifier:
            raise invalid(token.column, "ANY and EVERY can be on one side of a comparison only")
        if other:
            left, symbol, right, quantifier = right, MIRRORED[symbol], left, other
        for side in (left, right):
            if isinstance(side, Literal):
                self._check(token, symbol, side, quantifier)
        if quantifier:
            if isinstance(left, Literal):
                raise invalid(first.column, f"{quantifier.upper()} is for properties that are arrays")
            return quantified(quantifier, left, symbol, right, lenient=self._dialect.lenient)
        nulls = [other for null, other in ((left, right), (right, left)) if null == Literal(None)]
        if nulls:
            return is_null(nulls[0]) if symbol == "=" else not_(is_null(nulls[0]))
        return comparison(left, symbol, right, lenient=self._dialect.lenient)

    def _symbol(self, token: Token) -> str:
        if token.word != "!=":
            return token.word
        if not self._dialect.lenient:
            raise invalid(token.column, f"!= is no operator of {self._dialect.name}; write <>")
        return "<>"

    def _check(self, token: Token, symbol: str, literal: Literal, quantifier: str) -> None:
        """INVALID_QUERY if nothing can be compared so with a literal."""
        match literal.value:
            case None if not self._dialect.equals_null or symbol not in ("=", "<>") or quantifier:
                raise invalid(token.column, "nothing compares with NULL; write IS NULL or IS NOT NULL")
            case bool() if symbol not in ("=", "<>"):
                raise invalid(token.column, "TRUE and FALSE have no order; write = or <>")
            case tuple() if symbol not in ("=", "<>") or quantifier:
                raise invalid(token.column, "an array is compared as a whole, by = or <>")

    def _like(self, quantifier: str, operand: Operand) -> Condition:
        self._cursor.take()
        token = self._cursor.token
        if token.kind is not Kind.STRING:
            if token.kind is Kind.NAME:
                raise unsupported(token.column, "LIKE with a pattern that is no string")
            raise self._cursor.wrong("a pattern in quotes after LIKE")
        self._cursor.take()
        try:
            matcher = self._dialect.pattern(token.text)
        except PatternError as error:
            raise invalid(token.column, f"the pattern {echo(token.text)} is wrong: {error}") from None
        self._patterns += cost(matcher)
        if self._patterns > _PATTERNS:
            raise invalid(token.column, f"the patterns of the query are longer than {_PATTERNS} characters together")
        return like(operand, matcher, quantifier=quantifier, lenient=self._dialect.lenient)

    def _isa(self, first: Token, operand: Operand) -> Condition:
        self._cursor.take()
        self._must_be_read(first, operand, "ISA")
        if self._cursor.token.kind is Kind.STRING:
            name = self._cursor.take().text
        else:
            name = self._cursor.name("the name of a class after ISA").text
        if self._cursor.at(":", "/"):
            raise unsupported(self._cursor.token.column, "a class in another namespace")
        return is_class(operand, name)

    def _is(self, first: Token, operand: Operand) -> Condition:
        self._cursor.take()
        is_not = self._cursor.accept("not")
        if self._cursor.accept("null"):
            condition = is_null(operand)
        elif self._dialect.lenient and self._cursor.at("true", "false"):
            self._must_be_read(first, operand, "IS")
            condition = is_certainly(operand, self._cursor.take().word == "true")
        else:
            raise self._cursor.wrong("NULL after IS")
        return not_(condition) if is_not else condition

    def _must_be_read(self, first: Token, operand: Operand, word: str) -> None:
        if isinstance(operand, Literal):
            raise invalid(first.column, f"{word} is for properties, not for {first.shown}")

    def operand(self) -> Operand:
        operand = self._literal() or self.computed()
        if self._cursor.at("+", "-", "*", "/"):
            raise unsupported(self._cursor.token.column, "arithmetic")
        return operand

    def computed(self) -> Operand:
        """An operand that is no literal."""
        column = self._cursor.token.column
        if self._cursor.at("(") and self._cursor.following.word == "select":
            self._cursor.take()
            self._no_query()
        if self._cursor.at("#"):
            raise self._symbolic(column)
        steps = self.steps("a property or a literal")
        if self._cursor.at("#"):
            raise self._symbolic(column)
        return self.resolved(column, steps)

    def _symbolic(self, column: int) -> QueryError:
        return unsupported(column, "a symbolic constant (#)")

    def _literal(self) -> Literal | None:
        cursor = self._cursor
        token = cursor.token
        if token.kind is Kind.STRING:
            return Literal(cursor.take().text)
        if token.kind is Kind.NUMBER:
            return Literal(self._number(cursor.take()))
        match token.word:
            case "true" | "false":
                return Literal(cursor.take().word == "true")
            case "null":
                cursor.take()
                return Literal(None)
            case "+" | "-" if cursor.following.kind is Kind.NUMBER:
                cursor.take()
                found = self._number(cursor.take())
                return Literal(-found if token.word == "-" else found)
            case "{" if self._dialect.braces:
                return self._array()
        return None

    def _number(self, token: Token) -> int | float:
        try:
            return number(token.text)
        except ValueError as error:
            raise invalid(token.column, f"{token.shown}: {error}") from None

    def _array(self) -> Literal:
        self._cursor.take()
        items: list[Value] = []
        while not self._cursor.at("}"):
            if items:
                self._cursor.expect(",", "or }")
            item = self._literal() if not self._cursor.at("{") else None
            if item is None:
                raise self._cursor.wrong("a literal")
            items.append(item.value)
        self._cursor.take()
        return Literal(tuple(items))

    def steps(self, what: str) -> list[Step]:
        """A path as it is written; ``what`` is expected, for a message."""
        steps = [self._step(what)]
        while self._cursor.accept("."):
            if self._cursor.accept("*"):
                steps.append(Step("*"))
                break
            steps.append(self._step("the name of a property after the dot", behind_a_dot=True))
        return steps

    def _step(self, what: str, *, behind_a_dot: bool = False) -> Step:
        name, scope = self._cursor.name(what, behind_a_dot=behind_a_dot).text, ""
        if self._dialect.scopes and self._cursor.accept("::"):
            name, scope = self._cursor.name("the name of a property after ::", behind_a_dot=True).text, name
        return Step(name, scope, self._index())

    def _index(self) -> int | None:
        if not self._dialect.arrays or not self._cursor.accept("["):
            return None
        token = self._cursor.token
        if token.kind is not Kind.NUMBER or self._cursor.following.word != "]":
            raise unsupported(token.column, "anything but one number in brackets")
        self._cursor.take()
        self._cursor.take()
        index = self._number(token)
        if not isinstance(index, int):
            raise invalid(token.column, f"{token.shown} is no index of an array")
        return index

    def resolved(self, column: int, steps: Sequence[Step]) -> Computed:
        """The operand that a path is."""
        if steps[-1].name == "*":
            raise invalid(column, "* stands for properties in a select list only")
        steps = self.relative(steps)
        if steps and not steps[0].scope:
            self.names.add(steps[0].name.lower())
        return path([replace(step, name=step.name.lower()) for step in steps])

    def relative(self, steps: Sequence[Step]) -> Sequence[Step]:
        """A path without what only repeats the class in FROM."""
        if not steps:
            return steps
        first = steps[0]
        if len(steps) > 1 and not first.scope and first.index is None and first.name.lower() in self._aliases:
            steps = steps[1:]
            first = steps[0]
        if first.scope and first.scope.lower() in self._aliases:
            return [replace(first, scope=""), *steps[1:]]
        return steps
