"""Whatever text comes in, `parse` gives a Query or raises QueryError, soon and without deep recursion, and what it tells a
client is short; `matches` gives a bool of any subject, and never raises."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pywbem
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.cim.query import LANGUAGES, Query, QueryError, Value, parse
from agent.cim.status import Status

FUZZ = settings(
    max_examples=500, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)

NAMES = ("Name", "State", "Roles", "Owner", "Started", "CIM_X", "x", "__CLASS", "__THIS", "Missing", "Ünïcode")
WORDS = (
    "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IS", "NULL", "TRUE", "FALSE", "LIKE", "ISA", "ANY", "EVERY", "AS",
    "WITHIN", "GROUP", "BY", "ORDER", "DISTINCT", "FIRST", "IN", "SATISFIES", "UPPERCASE", "CLASSNAME", "DATETIME",
    "STRINGTOREAL", "NUMERICTOSTRING", "MICROSECONDTOTIMESTAMP", "OBJECTPATH", "COUNT",
    *"=<>()[]{},.*:#+-/|!\\'\"?", "<>", "<=", ">=", "!=", "::", "||", "..",
    "0", "5", "-1", "1.5", ".5e3", "0x1F", "101b", "99999999999999999999", "1e400", "'web'", '"a%_[a-z]"',
    "'.*(a|b){2,3}[^c]^'", "'20261127140000.250000+000'", "'00000001020304.000005:000'", "'CIM_X.Name=\"web\"'",
    r"'\u20AC\t\''", r"'\uFFFFFF'", *NAMES,
)  # fmt: skip

TEXTS = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="abNOT=()[]{}.*'\"\\ 01<>,|^$+?-_%", max_size=60),
    st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=25).map("".join),
)


@st.composite
def predicates(draw: st.DrawFn) -> str:
    """Mostly right, so that there is something to be asked."""
    names = st.sampled_from(NAMES)
    operators = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
    paths = st.lists(names, min_size=1, max_size=3).map(".".join)
    literals = st.sampled_from([word for word in WORDS if word[:1] in "'\"0123456789-" and len(word) > 1] + ["TRUE"])
    kind = draw(st.integers(0, 5))
    match kind:
        case 0:
            return f"{draw(paths)} {draw(operators)} {draw(literals)}"
        case 1:
            return f"{draw(paths)} {draw(operators)} {draw(paths)}"
        case 2:
            return f"{draw(st.sampled_from(['ANY', 'EVERY']))} {draw(paths)} {draw(operators)} {draw(literals)}"
        case 3:
            return f"{draw(paths)} IS {draw(st.sampled_from(['', 'NOT ']))}NULL"
        case 4:
            return f"{draw(paths)} LIKE {draw(PATTERNS)}"
    return f"{draw(paths)} ISA {draw(names)}"


PATTERNS = st.text(alphabet="ab.*+?()[]^$|%_!-{2,}", max_size=20).map(lambda text: f"'{text}'")
CONDITIONS = st.recursive(
    predicates(),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " OR "]), inner).map("".join), inner.map(lambda one: f"NOT ({one})")
    ),
    max_leaves=8,
)


class Thing:
    """An instance whose properties are whatever hypothesis makes up; a name that it has not is missing."""

    classname = "CIM_X"

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def value(self, name: str) -> Value:
        return self._values[name.lower()]

    def is_a(self, name: str) -> bool:
        return name.lower() in ("cim_x", "x")


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=0, max_value=2**64 - 1).map(pywbem.Uint64),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["5", "TRUE", "web", 'CIM_X.Name="web"', "20261127140000.250000+000", "9" * 50]),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.timedeltas(),
    st.just(pywbem.CIMInstanceName("CIM_X", keybindings={"Name": "web", "Of": pywbem.CIMInstanceName("C")})),
    st.builds(object),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from([name.lower() for name in NAMES]), inner, max_size=4).map(Thing),
    ),
    max_leaves=6,
)
THINGS = st.dictionaries(st.sampled_from([name.lower() for name in NAMES]), VALUES, max_size=8).map(Thing)
FULL = Thing(
    {
        "name": "web", "state": 5, "roles": ("a", "b"), "started": datetime(2026, 11, 27, tzinfo=UTC),
        "cim_x": timedelta(1), "x": True, "owner": Thing({"name": "web", "owner": Thing({"state": None})}),
    }
)  # fmt: skip


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """In which neither much time nor much of the stack is to be used."""
    limit, began, depth = sys.getrecursionlimit(), time.process_time(), len(_frames())
    sys.setrecursionlimit(depth + 700)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
    assert time.process_time() - began < seconds


def _frames() -> list[Any]:
    found, frame = [], sys._getframe()
    while frame is not None:
        found.append(frame)
        frame = frame.f_back  # type: ignore[assignment]
    return found


def asked(language: str, text: str, *things: Thing) -> Query | None:
    """What the invariant says of one text."""
    with bounded(2):
        query = parsed(language, text)
    if isinstance(query, QueryError):
        assert query.status in (Status.INVALID_QUERY, Status.QUERY_FEATURE_NOT_SUPPORTED)
        assert 0 < len(query.description) < 250
        return None
    with bounded(2):
        for thing in things:
            assert isinstance(query.matches(thing), bool)
    assert query.text == text
    assert all(name == name.lower() for name in query.names)
    return query


def parsed(language: str, text: str) -> Query | QueryError:
    try:
        return parse(language, text)
    except QueryError as error:
        return error


@FUZZ
@given(language=st.sampled_from(LANGUAGES), text=TEXTS, thing=THINGS)
@example("DMTF:FQL", "(" * 60_000, FULL)
@example("DMTF:FQL", "NOT " * 16_000, FULL)
@example("DMTF:FQL", "a = {" * 10_000, FULL)
@example("DMTF:FQL", "a." * 30_000 + "a = 1", FULL)
@example("DMTF:FQL", "a = '" + "\\" * 60_000, FULL)
@example("DMTF:FQL", "a = " + "1" * 60_000, FULL)
@example("DMTF:FQL", "Name LIKE '" + "(" * 60_000 + "'", FULL)
@example("DMTF:FQL", "Name LIKE '" + "{" * 60_000 + "'", FULL)
@example("WQL", "SELECT * FROM X WHERE Name LIKE '" + "[" * 60_000 + "'", FULL)
@example("WQL", "SELECT * FROM X WHERE Name LIKE '" + "%a" * 30_000 + "'", FULL)
@example("WQL", "SELECT " + "a," * 30_000 + "a FROM X", FULL)
@example("DMTF:CQL", "SELECT * FROM X WHERE " + "UPPERCASE(" * 6_000, FULL)
@example("DMTF:CQL", "SELECT * FROM X WHERE Name " + "|| 'a' " * 8_000 + "= 'a'", FULL)
def test_any_text_is_a_query_or_refused(language: str, text: str, thing: Thing) -> None:
    asked(language, text, thing, FULL)


@FUZZ
@given(language=st.sampled_from(LANGUAGES), condition=CONDITIONS, thing=THINGS)
def test_any_condition_is_asked_of_any_subject(language: str, condition: str, thing: Thing) -> None:
    text = condition if language == "DMTF:FQL" else f"SELECT * FROM CIM_X WHERE {condition}"
    query = asked(language, text, thing, FULL)
    negative = asked(language, text.replace(condition, f"NOT ({condition})"), thing, FULL)
    if query is not None and negative is not None:
        assert not (query.matches(thing) and negative.matches(thing))
