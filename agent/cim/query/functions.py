"""The functions of CQL that are had (DSP0202), each of values alone. NULL, and what a function is not for, gives NULL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.cim.query.expression import class_name
from agent.cim.query.subject import Value
from agent.cim.query.tokens import number
from agent.cim.query.values import temporal

__all__ = ["AGGREGATES", "FUNCTIONS", "OF_PATHS", "Function"]

#: The proleptic calendar of CIM begins with the year 0, which is a leap year; that of Python with the year 1.
_BEFORE = timedelta(days=366)
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Function:
    """``call`` takes as many values as ``arguments`` says. With ``of_this`` none is the subject itself."""

    call: Callable[..., Value]
    arguments: int = 1
    of_this: bool = False
    folded: bool = False


def _upper(value: Value) -> Value:
    return value.upper() if isinstance(value, str) else None


def _text(value: Value) -> Value:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return str(int(value)) if isinstance(value, int) else repr(float(value))
    except ValueError:  # an integer longer than Python writes
        return None


def _number(value: Value) -> int | float | None:
    if not isinstance(value, str) or value[:1] == "" or not value.isascii():
        return None
    digits = value[1:] if value[0] in "+-" else value
    if not (digits[:1].isdecimal() or digits[:1] == ".") or "_" in digits or " " in digits:
        return None
    try:
        found = number(digits)
    except ValueError:
        return None
    return -found if value[0] == "-" else found


def _unsigned(value: Value) -> Value:
    found = _number(value)
    return None if found is None or found < 0 else int(found)


def _signed(value: Value) -> Value:
    found = _number(value)
    return None if found is None else int(found)


def _real(value: Value) -> Value:
    found = _number(value)
    return None if found is None else float(found)


def _moment(value: Value) -> Value:
    return temporal(value) if isinstance(value, str) else value if isinstance(value, datetime | timedelta) else None


def _now() -> Value:
    return datetime.now(UTC)


def _microseconds(value: Value) -> Value:
    match value:
        case datetime():
            since = value.replace(tzinfo=value.tzinfo or UTC) - _BEGINNING + _BEFORE
            return since // _MICROSECOND
        case timedelta():
            return value // _MICROSECOND
    return None


def _timestamp(value: Value) -> Value:
    since = _interval(value)
    try:
        return _BEGINNING + (since - _BEFORE) if isinstance(since, timedelta) else None
    except OverflowError:
        return None


def _interval(value: Value) -> Value:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    try:
        return timedelta(microseconds=int(value))
    except OverflowError:
        return None


FUNCTIONS: Mapping[str, Function] = {
    "classname": Function(class_name, of_this=True, folded=True),
    "uppercase": Function(_upper),
    "numerictostring": Function(_text),
    "stringtonumeric": Function(_number),
    "stringtouint": Function(_unsigned),
    "stringtosint": Function(_signed),
    "stringtoreal": Function(_real),
    "datetime": Function(_moment),
    "currentdatetime": Function(_now, arguments=0),
    "datetimetomicrosecond": Function(_microseconds),
    "microsecondtotimestamp": Function(_timestamp),
    "microsecondtointerval": Function(_interval),
}
"""By their names in lower case."""

OF_PATHS = frozenset(
    {"objectpath", "classpath", "modelpath", "namespacename", "namespacetype", "hostport", "referencetostring"}
    | {"instancetoreference", "createarray", "stringtoreference"}
)
"""Those that need the path of an instance, which a subject has not; some may be in a select list."""

AGGREGATES = frozenset({"count", "min", "max", "sum", "mean", "avg", "median"})
