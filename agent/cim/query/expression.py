"""Conditions, as functions that are put together once for each query and then asked of every instance.

A condition takes a subject and tells true, false or None (see ``values`` for what is unknown). Reading never raises:
a property that is missing, or of an embedded instance that is missing or of another class, is NULL (DSP0202).
The usual comparison, of a property with a literal of the same type, is a function of its own without any detour, because
it is asked of ten thousand rows.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import pywbem

from agent.cim.query.patterns import Matcher
from agent.cim.query.subject import Subject, Value, is_subject
from agent.cim.query.values import ARRAY, MIRRORED, OPERATORS, Truth, compared, every, negated, numeric, some, temporal

__all__ = [
    "Computed",
    "Condition",
    "Literal",
    "Operand",
    "Read",
    "Step",
    "all_of",
    "any_of",
    "class_name",
    "comparison",
    "is_certainly",
    "is_class",
    "is_null",
    "like",
    "not_",
    "path",
    "quantified",
    "true_of",
]

Condition = Callable[[Subject], Truth]
Read = Callable[[Subject], Value]
Test = Callable[[Value], Truth]


@dataclass(frozen=True, slots=True)
class Literal:
    value: Value


@dataclass(frozen=True, slots=True)
class Computed:
    """What has to be read of the subject. ``name`` is that of the property, if it is no more than one of the subject's;
    ``folded`` that it is a class name, which is compared in any case."""

    read: Read
    name: str = ""
    folded: bool = False


Operand: TypeAlias = Literal | Computed


@dataclass(frozen=True, slots=True)
class Step:
    """A property on the way to a value: only if the instance is of the class ``scope``, and of an array only an item."""

    name: str
    scope: str = ""
    index: int | None = None


def path(steps: Sequence[Step]) -> Computed:
    """What the steps lead to; the subject itself if there are none."""
    if len(steps) == 1 and not steps[0].scope and steps[0].index is None:
        return Computed(_property(steps[0].name), steps[0].name)
    return Computed(_walk(tuple(steps)))


def _property(name: str) -> Read:
    def read(subject: Subject) -> Value:
        try:
            return subject.value(name)
        except KeyError:
            return None

    return read


def _walk(steps: tuple[Step, ...]) -> Read:
    def read(subject: Subject) -> Value:
        value: Value = subject
        for step in steps:
            if not is_subject(value) or (step.scope and not value.is_a(step.scope)):
                return None
            try:
                value = value.value(step.name)
            except KeyError:
                return None
            if step.index is not None:
                value = _item(value, step.index)
        return value

    return read


def _item(value: Value, index: int) -> Value:
    return value[index] if isinstance(value, ARRAY) and index < len(value) else None


def _reader(operand: Operand) -> Read:
    if isinstance(operand, Computed):
        return operand.read
    value = operand.value
    return lambda _: value


def comparison(left: Operand, symbol: str, right: Operand, *, lenient: bool) -> Condition:
    """``symbol`` is one of OPERATORS."""
    if isinstance(left, Literal) and isinstance(right, Computed):
        return comparison(right, MIRRORED[symbol], left, lenient=lenient)
    if isinstance(left, Computed) and isinstance(right, Literal):
        return _with_literal(left, symbol, right.value, lenient)
    ask, one, other = OPERATORS[symbol], _reader(left), _reader(right)
    return lambda subject: compared(ask, one(subject), other(subject), lenient=lenient)


def _with_literal(left: Computed, symbol: str, literal: Value, lenient: bool) -> Condition:
    ask, read = OPERATORS[symbol], left.read
    if left.folded and isinstance(literal, str):
        lower = literal.lower()
        return lambda subject: compared(ask, _lower(read(subject)), lower, lenient=lenient)
    kind = type(literal)
    if kind in (str, int) and left.name:
        return _direct(left.name, ask, kind, literal, lenient)
    return lambda subject: compared(ask, read(subject), literal, lenient=lenient)


def _direct(name: str, ask: Callable[[Any, Any], bool], kind: type, literal: Value, lenient: bool) -> Condition:
    """A property of the subject compared with a string or an integer."""
    moment = temporal(literal) if isinstance(literal, str) else None
    figure = numeric(literal) if lenient and isinstance(literal, str) else None

    def condition(subject: Subject) -> Truth:
        try:
            value = subject.value(name)
        except KeyError:
            return None
        if type(value) is kind:
            return ask(value, literal)
        if value is None:
            return None
        if figure is not None and type(value) is int:
            return ask(value, figure)
        other = moment if moment is not None and isinstance(value, (datetime, timedelta)) else literal
        return compared(ask, value, other, lenient=lenient)

    return condition


def _lower(value: Value) -> Value:
    return value.lower() if isinstance(value, str) else value


def quantified(quantifier: str, array: Operand, symbol: str, other: Operand, *, lenient: bool) -> Condition:
    """ANY or EVERY item of an array, compared with a value. Of none at all EVERY is true; what is no array is unknown."""
    ask, read = OPERATORS[symbol], _reader(other)

    def test(subject: Subject) -> Test:
        value = read(subject)
        return lambda item: compared(ask, item, value, lenient=lenient)

    return _items(quantifier, _reader(array), test)


def like(operand: Operand, matches: Matcher, *, quantifier: str = "", lenient: bool) -> Condition:
    """Whether a string, or any or every item of an array, matches. What is no string is unknown."""

    def of_string(value: Value) -> Truth:
        return matches(value) if isinstance(value, str) else None

    def of_any(value: Value) -> Truth:
        return some(map(of_string, value)) if isinstance(value, ARRAY) else of_string(value)

    if quantifier:
        return _items(quantifier, _reader(operand), lambda _: of_string)
    return true_of(operand, of_any if lenient else of_string)


def _items(quantifier: str, read: Read, test: Callable[[Subject], Test]) -> Condition:
    combined = every if quantifier == "every" else some

    def condition(subject: Subject) -> Truth:
        values = read(subject)
        return combined(map(test(subject), values)) if isinstance(values, ARRAY) else None

    return condition


def is_null(operand: Operand) -> Condition:
    read = _reader(operand)
    return lambda subject: read(subject) is None


def is_certainly(operand: Operand, wanted: bool) -> Condition:
    """IS TRUE and IS FALSE, which are never unknown."""
    return true_of(operand, lambda value: compared(operator.eq, value, wanted, lenient=True) is True)


def is_class(operand: Operand, classname: str) -> Condition:
    """ISA: whether an embedded instance, or any of an array of them, is of a class or one below it. Of a
    reference it is known only if its class is that very one."""
    lower = classname.lower()

    def test(value: Value) -> Truth:
        if isinstance(value, ARRAY):
            return some(test(each) for each in value if not isinstance(each, ARRAY))
        if isinstance(value, pywbem.CIMInstanceName):
            return value.classname.lower() == lower or None
        return bool(value.is_a(classname)) if is_subject(value) else None

    return true_of(operand, test)


def class_name(value: Value) -> Value:
    """The name of the class of an embedded instance or of a reference; of anything else NULL."""
    return str(value.classname) if isinstance(value, pywbem.CIMInstanceName) or is_subject(value) else None


def true_of(operand: Operand, test: Test) -> Condition:
    read = _reader(operand)
    return lambda subject: test(read(subject))


def not_(condition: Condition) -> Condition:
    return lambda subject: negated(condition(subject))


def all_of(conditions: Sequence[Condition]) -> Condition:
    if len(conditions) == 1:
        return conditions[0]

    def condition(subject: Subject) -> Truth:
        result: Truth = True
        for each in conditions:
            truth = each(subject)
            if not truth:
                if truth is None:
                    result = None
                else:
                    return False
        return result

    return condition


def any_of(conditions: Sequence[Condition]) -> Condition:
    if len(conditions) == 1:
        return conditions[0]

    def condition(subject: Subject) -> Truth:
        result: Truth = False
        for each in conditions:
            truth = each(subject)
            if truth:
                return True
            if truth is None:
                result = None
        return result

    return condition
