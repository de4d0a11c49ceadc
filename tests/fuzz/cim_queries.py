"""Fuzzing of the query languages of the WBEM server, each with whatever text.

The invariant is that of test_queries: a text is a Query or raises QueryError, soon, without deep recursion, and with a short
sentence; a Query says true or false of any subject, and raises nothing. The search learns from coverage what hypothesis
guesses.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pywbem

import agent.cim.query
from agent.cim.query import LANGUAGES, parse, references, values
from tests.fuzz import guided
from tests.fuzz.guided import Violation
from tests.fuzz.test_queries import WORDS, Thing, asked

FOUND = Path(__file__).with_name("corpus") / "cim_queries_found.txt"
"""What once broke the invariant; written by hand."""

LONGEST = 600


@dataclass(frozen=True)
class Input:
    """A query in a language."""

    language: str
    data: str

    def line(self) -> str:
        return f"{self.language} {self.data!a}"

    @classmethod
    def of_line(cls, line: str) -> Input:
        language, _, text = line.partition(" ")
        return cls(language, ast.literal_eval(text))


WEB = pywbem.CIMInstanceName("CIM_X", keybindings={"Name": "web", "Of": pywbem.CIMInstanceName("C")}, namespace="a")
MOMENT = datetime(2026, 11, 27, 14, tzinfo=UTC)
INNER = Thing({"name": "web", "state": 5, "owner": None, "roles": ("a", None, "b")})
THINGS = (
    Thing({}),
    Thing({"name": "web", "state": 5, "roles": ("a", "b"), "owner": INNER, "started": MOMENT, "cim_x": WEB, "x": True}),
    Thing({"name": None, "state": None, "roles": None, "owner": None, "started": None, "cim_x": None, "x": None}),
    Thing({"name": "5", "state": 1.5, "roles": (1, 2, None), "owner": WEB, "started": timedelta(1), "x": False}),
    Thing({"name": "20261127140000.250000+000", "state": float("nan"), "roles": (INNER, INNER), "started": "web"}),
    Thing({"name": 'CIM_X.Name="web"', "state": float("inf"), "roles": (), "owner": (INNER, None), "started": 0}),
    Thing({"name": "a" * 300, "state": pywbem.Uint64(2**64 - 1), "roles": [True], "started": datetime(1, 1, 1), "x": 1}),
    Thing({"name": 10**400, "state": -(10**400), "roles": (WEB,), "owner": object(), "started": timedelta.max, "x": "TRUE"}),
)  # fmt: skip
"""Subjects with all kinds of values, those that CIM has and others."""


class Target:
    """The three parsers, and what they make."""

    sources = str(Path(agent.cim.query.__file__).parent)

    def run(self, one: Input) -> None:
        for known in (references.parsed, values._temporal):  # so that an input always reaches the same
            known.cache_clear()
        try:
            asked(one.language, one.data, *THINGS)
        except Exception as error:
            raise Violation(f"{type(error).__name__}: {error}; input: {one.line()}") from error

    def sane(self) -> None:
        assert parse("DMTF:FQL", "Name = 'web' AND State > 4").matches(THINGS[1])

    def close(self) -> None:
        """Nothing is held."""


# --- inputs

CONDITIONS = (
    "Name = 'web'", "Name <> 'web' AND State >= 5 OR NOT (x = TRUE)", "Name IS NULL", "Name IS NOT NULL AND State < -1.5e3",
    "Name LIKE 'w%b_[a-c]'", "Name LIKE '^w.*(e|b){1,2}[^c]+$'", "NOT Name LIKE 'x?'", "Owner ISA CIM_X", "Owner.Name = 'web'",
    "Owner.Roles[0] = \"a\"", "Roles[1] <> 'b'", "5 < State", "State = 0x1F OR State = 101b OR State = .5", "Name = Owner.Name",
    "Started > '20261127140000.000000+060'", "Started = '00000001020304.000005:000'", "CIM_X = 'a:CIM_X.Name=\"web\",Of=\"C\"'",
    "Name = 'it\\'s \\u20AC \\t'", "Name = NULL", "Roles = Roles", "x",
)  # fmt: skip
WQL = (
    "SELECT * FROM CIM_X", "select Name, Owner.State from CIM_X within 10", "SELECT __PATH, Name FROM X WHERE __CLASS = 'CIM_X'",
    "SELECT * FROM X WHERE __THIS ISA 'CIM_X' AND X.Name = \"web\"", "SELECT * FROM X WHERE State = '5' AND x = 1",
    "ASSOCIATORS OF {X}", "SELECT * FROM meta_class", "SELECT * FROM X ORDER BY Name", "SELECT COUNT(*) FROM X",
    "SELECT Name FROM X, Y", "SELECT Name FROM X WHERE Name = NULL GROUP BY Name",
)  # fmt: skip
CQL = (
    "SELECT * FROM CIM_X AS a WHERE a.Name = 'web' AND CIM_X ISA CIM_X", "SELECT a.*, a.Name AS n FROM X a",
    "SELECT CIM_X::Name, OBJECTPATH(X) FROM CIM_X X WHERE X.CIM_Y::Name IS NULL", "SELECT CLASSNAME(X) FROM X",
    "SELECT * FROM X WHERE UPPERCASE(Name) = 'WEB' AND CLASSNAME() = 'CIM_X'", "SELECT DISTINCT Name FROM X",
    "SELECT * FROM X WHERE Name || 'a' || NUMERICTOSTRING(State) = 'weba5'", "SELECT * FROM X WHERE ANY Roles = 'a'",
    "SELECT * FROM X WHERE EVERY Roles <> 'c' AND STRINGTOUINT(Name) > 1 AND STRINGTOSINT(Name) < 9",
    "SELECT * FROM X WHERE DATETIME('20261127140000.000000+000') <= CURRENTDATETIME() AND STRINGTOREAL(Name) = 5.0",
    "SELECT * FROM X WHERE DATETIMETOMICROSECOND(Started) > 7 AND MICROSECONDTOTIMESTAMP(63) < Started",
    "SELECT * FROM X WHERE MICROSECONDTOINTERVAL(State) = Started", "SELECT FIRST 5 Name FROM X ORDER BY Name",
    "SELECT COUNT(*) FROM X", "SELECT X.Name FROM X, Y WHERE X.State = Y.State", "SELECT State + 1 FROM X",
    "SELECT * FROM X WHERE State = CIM_X.State#'Running'", "SELECT * FROM X WHERE Roles[1..2] = 'a'",
    "SELECT * FROM (SELECT * FROM X)", "SELECT * FROM X WHERE ANY e IN X.Roles SATISFIES (e = 'a')", "SELECT * FROM 'n':X",
)  # fmt: skip
FQL = (
    "Roles = {'a', 'b'}", "{1, 2, NULL} = Roles", "ANY Roles = 'a' OR EVERY Roles <> 'c'", "ANY Roles LIKE 'a.*'",
    "Owner.Owner.Name = 'x'", "(Name = 'web')", "NOT NOT Name = 'web'", "State = \"5\"",
)  # fmt: skip


def seeds() -> list[Input]:
    """One query for each feature, and for each that is refused."""
    whole = [f"SELECT * FROM CIM_X WHERE {condition}" for condition in CONDITIONS]
    return [
        *(Input("WQL", text) for text in (*WQL, *whole)),
        *(Input("DMTF:CQL", text) for text in (*CQL, *whole)),
        *(Input("DMTF:FQL", text) for text in (*FQL, *CONDITIONS)),
    ]


_PIECE = re.compile(r"\s+|\w+|'[^']*'|\"[^\"]*\"|.", re.DOTALL)
MORE = (
    *CONDITIONS,
    "{",
    "}",
    "'",
    "\\",
    "\\u",
    "\N{BOM}",
    "\0",
    "\x85",
    "\U0001f642",
    "K",
    "İ",
    "٣",
    "²",
    "9" * 90,
    "1e309",
)


class Mutator:
    """Changes the words of a query."""

    def __init__(self, chance: random.Random, known: Sequence[Input]) -> None:
        self._chance = chance
        self._known = known

    def mutated(self, one: Input) -> Input:
        language = self._chance.choice(LANGUAGES) if self._chance.random() < 0.1 else one.language
        return Input(language, self.changed(one.data))

    def changed(self, text: str) -> str:
        pieces = _PIECE.findall(text)
        for _ in range(self._chance.choice((1, 1, 2, 3))):
            self._change(pieces)
        return "".join(pieces)[:LONGEST]

    def _change(self, pieces: list[str]) -> None:
        chance = self._chance
        at, to = chance.randrange(len(pieces) + 1), chance.randrange(len(pieces) + 1)
        low, high = min(at, to), max(at, to)
        match chance.randrange(7):
            case 0:
                pieces[at : at + 1] = [chance.choice(WORDS)]
            case 1:
                pieces[at:at] = [" ", chance.choice((*WORDS, *MORE)), " "]
            case 2:
                del pieces[low : min(high, low + chance.choice((1, 1, 2, 30)))]
            case 3:
                pieces[at:at] = pieces[low:high][:30]
            case 4:
                other = _PIECE.findall(chance.choice(self._known).data)
                pieces[at:] = other[chance.randrange(len(other) + 1) :]
            case 5:
                pieces[low:high] = ["(", *pieces[low:high], ")"]
            case _:
                inside = "".join(pieces[at : at + 1])
                place = chance.randrange(len(inside) + 1)
                letter = chance.choice((*"%_[]^.*+?()|{}\\'\"-,0:", chr(chance.randrange(0xD800))))
                pieces[at : at + 1] = [inside[:place] + letter + inside[place + chance.randrange(2) :]]


CAMPAIGN = guided.Campaign(
    corpus=FOUND.with_name("cim_queries.txt"),
    heading="# Inputs of tests/fuzz/cim_queries.py, which found them: language, text.",
    of_line=Input.of_line,
    seeds=seeds,
    target=Target,
    mutator=lambda chance, known: Mutator(chance, known).mutated,
)
