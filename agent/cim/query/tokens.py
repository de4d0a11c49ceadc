"""The text of a query as words, numbers, strings and symbols: what the three languages have in common.

Differences that are left: in WQL a backslash escapes only quotes and itself, so that ``"C:\\temp"`` means what it shows;
CQL and FQL have ``charEscape`` of DSP0212, which is nearly that of MOF. What is no escape stays as it is
written, because OpenPegasus, which most clients have been tried against, knows none. All languages take both kinds of
quotes.
"""

from __future__ import annotations

import enum
import math
import re
from typing import NamedTuple

from agent.cim.query.errors import QueryError, echo, invalid

__all__ = ["Cursor", "Kind", "Token", "number", "tokens"]

#: Digits of a number; a uint64 in binary has 64.
_DIGITS = 80

_TOKEN = re.compile(
    r"""
      (?P<space>\s++)
    | (?P<name>[^\W\d]\w*+)
    | (?P<number>(?:0[xX][0-9A-Fa-f]++ | [01]++[bB]
        | (?:[0-9]++(?:\.(?!\.)[0-9]*+)? | \.[0-9]++) (?:[eE][+-]?[0-9]++)?) (?!\w))
    | (?P<string>'[^'\\]*+(?:\\.[^'\\]*+)*+' | "[^"\\]*+(?:\\.[^"\\]*+)*+")
    | (?P<symbol><> | != | <= | >= | \|\| | :: | \.\. | [-+*/=<>()\[\]{},.:#])
    """,
    re.VERBOSE | re.DOTALL,
)
_WQL_ESCAPE = re.compile(r"""\\(?P<plain>['"\\])""")
_ESCAPE = re.compile(r"""\\(?:(?P<plain>['"\\])|(?P<control>[btnfr])|u(?P<code>[0-9A-Fa-f]{4,6}))""")
_CONTROLS = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


class Kind(enum.Enum):
    NAME = "name"
    NUMBER = "number"
    STRING = "string"
    SYMBOL = "symbol"
    END = "end"


class Token(NamedTuple):
    """A piece of a query. ``text`` is as written, but for a string it is what the string holds; names and symbols have
    ``word`` in lower case, others an empty one."""

    kind: Kind
    text: str
    word: str
    column: int

    @property
    def shown(self) -> str:
        """How it is named in a message."""
        return "the end of the query" if self.kind is Kind.END else echo(self.text)


def tokens(text: str, *, only_quotes: bool) -> list[Token]:
    """All tokens of a query, and one for its end; INVALID_QUERY at what is none. ``only_quotes`` are the escapes of WQL."""
    found = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _no_token(text, at)
        if match.lastgroup != "space":
            found.append(_token(Kind(match.lastgroup), match.group(), at + 1, only_quotes))
        at = match.end()
    found.append(Token(Kind.END, "", "", len(text) + 1))
    return found


def _token(kind: Kind, written: str, column: int, only_quotes: bool) -> Token:
    match kind:
        case Kind.STRING:
            return Token(kind, _unescaped(written[1:-1], column, only_quotes), "", column)
        case Kind.NUMBER:
            return Token(kind, written, "", column)
    return Token(kind, written, written.lower(), column)


def _unescaped(written: str, column: int, only_quotes: bool) -> str:
    if "\\" not in written:
        return written
    if only_quotes:
        return _WQL_ESCAPE.sub(r"\g<plain>", written)
    try:
        return _ESCAPE.sub(_character, written)
    except ValueError:
        raise invalid(column, "the string has an escape beyond the last Unicode character") from None


def _character(match: re.Match[str]) -> str:
    if code := match["code"]:
        return chr(int(code, 16))
    return _CONTROLS[match["control"]] if match["control"] else match["plain"]


def _no_token(text: str, at: int) -> QueryError:
    if text[at] in "'\"":
        return invalid(at + 1, f"the string {echo(text[at:])} has no closing quote")
    word = re.match(r"[\w.]+", text[at:])
    if word is not None:
        return invalid(at + 1, f"{echo(word.group())} is no number")
    return invalid(at + 1, f"{echo(text[at])} has no meaning here")


def number(written: str) -> int | float:
    """A number without sign: decimal, hexadecimal (0x1F), binary (101b) or real. ValueError if it is none or too large."""
    if len(written) > _DIGITS:
        raise ValueError("the number has too many digits")
    lower = written.lower()
    if lower.startswith("0x"):
        return int(lower, 16)
    if lower.endswith("b"):
        return int(lower[:-1], 2)
    if lower.isdecimal():
        return int(lower)
    real = float(lower)
    if math.isinf(real):
        raise ValueError("the number is too large for a real64")
    return real


class Cursor:
    """Where a parser is among the tokens of a query."""

    def __init__(self, found: list[Token], reserved: frozenset[str]) -> None:
        """``reserved`` words, in lower case, are no names, unless behind a dot."""
        self._tokens = found
        self._reserved = reserved
        self._at = 0

    @property
    def token(self) -> Token:
        """The next one, which is not taken yet."""
        return self._tokens[self._at]

    @property
    def following(self) -> Token:
        """The one after the next; the end has no other."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def take(self) -> Token:
        token = self._tokens[self._at]
        if token.kind is not Kind.END:
            self._at += 1
        return token

    def at(self, *words: str) -> bool:
        """Whether one of these symbols or keywords (in lower case) is next."""
        return self._tokens[self._at].word in words

    def accept(self, word: str) -> bool:
        """Takes that symbol or keyword, if it is next."""
        if self._tokens[self._at].word != word:
            return False
        self._at += 1
        return True

    def expect(self, word: str, where: str) -> None:
        if not self.accept(word):
            raise self.wrong(f"{word.upper()} {where}")

    def name(self, what: str, *, behind_a_dot: bool = False) -> Token:
        """Takes a name; ``what`` it is of, for a message."""
        token = self.token
        if token.kind is not Kind.NAME or (token.word in self._reserved and not behind_a_dot):
            raise self.wrong(what)
        return self.take()

    def end(self, instead: str) -> None:
        """INVALID_QUERY if there is more; ``instead`` is what could also have come."""
        if self.token.kind is not Kind.END:
            raise self.wrong(f"{instead} or the end of the query")

    def wrong(self, expected: str) -> QueryError:
        """That something else is next than expected."""
        return invalid(self.token.column, f"expected {expected}, found {self.token.shown}")
