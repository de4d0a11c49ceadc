"""How two values compare, in logic of three values: true, false, or None for what cannot be known.

* NULL compared with anything is unknown (as in SQL), and so is what cannot be compared: a string with a
  number, an embedded instance with anything. Types of properties are unknown while a query is parsed, so this cannot be
  an INVALID_QUERY, and a row is left out instead, whether or not the comparison is negated.
* Numbers compare with numbers, strings with strings character for character and in this case.
* Booleans, references and arrays are equal or not, and have no order. Two arrays are equal if they are, item by item.
* A moment or an interval compares with a string that is one (DSP0004 5.2.4), but for strings with asterisks. A reference
  compares with a string that is one.
* A lenient comparison, which is WQL's, also takes numbers, TRUE and FALSE out of strings, 1 and 0 for booleans, and says
  of an array what is true of any of its items. Clients of Windows write ``EnabledState = "2"``; OpenPegasus refuses it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, TypeAlias

import pywbem

from agent.cim.query.references import Reference, parsed, reference, same
from agent.cim.query.subject import Value
from agent.cim.query.tokens import number

__all__ = [
    "ARRAY",
    "MIRRORED",
    "OPERATORS",
    "Operator",
    "Truth",
    "compared",
    "every",
    "negated",
    "numeric",
    "some",
    "temporal",
]

Truth: TypeAlias = bool | None
Operator = Callable[[Any, Any], bool]

OPERATORS: dict[str, Operator] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""What to ask when the sides change places."""

ARRAY = (tuple, list)
"""What an array is, for isinstance."""

_EQUALITIES = (operator.eq, operator.ne)
_NUMBER = re.compile(
    r"\s*(?P<sign>[+-]?)(?P<digits>0[xX][0-9A-Fa-f]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?(?:[eE][+-]?[0-9]{1,3})?)\s*"
)
#: Characters of every moment and every interval.
_TEMPORAL = 25
_TIMESTAMP = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.(\d{6})([+-]\d{3})", re.ASCII)
_INTERVAL = re.compile(r"(\d{8})(\d\d)(\d\d)(\d\d)\.(\d{6}):000", re.ASCII)


def some(truths: Iterable[Truth]) -> Truth:
    """True if any is, false if all are, else unknown."""
    result: Truth = False
    for truth in truths:
        if truth:
            return True
        if truth is None:
            result = None
    return result


def every(truths: Iterable[Truth]) -> Truth:
    """True if all are, false if any is, else unknown."""
    result: Truth = True
    for truth in truths:
        if truth is None:
            result = None
        elif not truth:
            return False
    return result


def negated(truth: Truth) -> Truth:
    return None if truth is None else not truth


def compared(ask: Operator, left: Value, right: Value, *, lenient: bool) -> Truth:
    """What ``ask`` says of two values; never raises."""
    if left is None or right is None:
        return None
    if isinstance(left, ARRAY) or isinstance(right, ARRAY):
        return _arrays(ask, left, right, lenient)
    pair = _pair(left, right, lenient)
    if pair is None or (isinstance(pair[0], bool) and ask not in _EQUALITIES):
        return None
    try:
        return bool(ask(*pair))
    except (TypeError, ValueError, OverflowError):  # such as a moment without an offset
        return None


def _arrays(ask: Operator, left: Any, right: Any, lenient: bool) -> Truth:
    if not isinstance(right, ARRAY):
        return some(compared(ask, each, right, lenient=lenient) for each in left) if lenient else None
    if not isinstance(left, ARRAY):
        return some(compared(ask, left, each, lenient=lenient) for each in right) if lenient else None
    if ask not in _EQUALITIES:
        return None
    equal = len(left) == len(right) and every(
        _equal_items(one, other, lenient) for one, other in zip(left, right, strict=True)
    )
    return negated(equal) if ask is operator.ne else equal


def _equal_items(one: Value, other: Value, lenient: bool) -> Truth:
    """Items that are both NULL are no difference between arrays."""
    if one is None or other is None:
        return one is other
    if isinstance(one, ARRAY) or isinstance(other, ARRAY):  # no value of CIM
        return None
    return compared(operator.eq, one, other, lenient=lenient)


def _pair(left: Any, right: Any, lenient: bool) -> tuple[Any, Any] | None:
    """Two scalars as values that Python can compare; None if there are none such."""
    match left, right:
        case (bool(), bool()) | (str(), str()):
            return left, right
        case (bool(), other) | (other, bool()):
            return _booleans(left if other is right else right, other) if lenient else None
        case (int() | float(), int() | float()):
            return left, right
        case (datetime(), datetime()) | (timedelta(), timedelta()):
            return left, right
        case (datetime() | timedelta(), str()):
            return _same_kind(left, temporal(right))
        case (str(), datetime() | timedelta()):
            return _same_kind(temporal(left), right)
        case (int() | float(), str()):
            return _same_kind(left, numeric(right)) if lenient else None
        case (str(), int() | float()):
            return _same_kind(numeric(left), right) if lenient else None
        case (pywbem.CIMInstanceName() | str(), pywbem.CIMInstanceName() | str()):
            one, other = _reference(left), _reference(right)
            return None if one is None or other is None else (same(one, other), True)
    return None


def _same_kind(one: Any, other: Any) -> tuple[Any, Any] | None:
    """Both, if neither is missing and they are moments, intervals or numbers alike."""
    if one is None or other is None or isinstance(one, datetime) is not isinstance(other, datetime):
        return None
    return one, other


def _booleans(known: bool, other: Any) -> tuple[bool, bool] | None:
    match other:
        case str() if other.lower() in ("true", "false"):
            return known, other.lower() == "true"
        case int() | float() if other in (0, 1):
            return known, bool(other)
    return None


def _reference(value: Any) -> Reference | None:
    return parsed(value) if isinstance(value, str) else reference(value)


def numeric(text: str) -> int | float | None:
    """The number that a string is, with a sign if it has one; None if it is none."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    try:
        found = number(match["digits"])
    except ValueError:
        return None
    return -found if match["sign"] == "-" else found


def temporal(text: str) -> datetime | timedelta | None:
    """The moment or interval that a string is (DSP0004 5.2.4); None if it is none."""
    return _temporal(text) if len(text) == _TEMPORAL else None


@lru_cache(maxsize=1024)
def _temporal(text: str) -> datetime | timedelta | None:
    if match := _TIMESTAMP.fullmatch(text):
        year, month, day, hour, minute, second, micro, offset = (int(each) for each in match.groups())
        try:
            return datetime(
                year, month, day, hour, minute, second, micro, timezone(timedelta(minutes=offset)) if offset else UTC
            )
        except ValueError:
            return None
    if match := _INTERVAL.fullmatch(text):
        days, hours, minutes, seconds, micro = (int(each) for each in match.groups())
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=micro)
    return None
