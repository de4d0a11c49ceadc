"""LIKE: the patterns of WQL and the regular expressions of DMTF, as functions of a string, true if all of it matches.

Two notations, one machine. A pattern becomes an automaton with one position for each character that it names
(Glushkov), and a set of positions is an integer. Matching walks over the string once and never goes back, so its time
is in proportion to the string's length whatever the pattern is; steps are remembered, up to a bound. A pattern that
only has characters and ``%`` (or ``.*``), as nearly all have, is searched for with the methods of str instead.

The regular expressions are those of DSP1001, which DSP0212 refers to, and include CQL's basic ones (DSP0202: ``.``,
``*`` and ``\\``). Read so:

* a pattern has to match the whole string, as OpenPegasus does and DSP1001 shows by example ("ABC" matches "ABC" only);
  ``^`` and ``$`` at the ends of a choice are allowed, and change nothing;
* a set is negated by ``^`` behind it (DSP1001) or as its first character (everybody else); ``a-z`` in it is a range;
* ``\\`` makes any character ordinary, but for letters and digits, which other notations give a meaning that this has not.

WQL's are: ``%`` any characters, ``_`` any one, ``[a-f]``, ``[^a-f]`` and ``[!a-f]`` one of a set or one not of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Matcher", "PatternError", "cost", "regular_expression", "wildcards"]

Matcher = Callable[[str], bool]

#: Positions of an automaton, which is what a step costs when it is not remembered.
_POSITIONS = 256
#: Steps that are remembered.
_STEPS = 1024
_DEPTH = 16


class PatternError(ValueError):
    """Why a pattern is none."""


@dataclass(frozen=True, slots=True)
class Characters:
    """One character of a set, or one that is not of it."""

    single: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    negated: bool = False

    def has(self, character: str) -> bool:
        within = character in self.single or any(low <= character <= high for low, high in self.ranges)
        return within is not self.negated


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """``least`` times or more, up to ``most``, which None leaves open."""

    node: Node
    least: int
    most: int | None


Node: TypeAlias = "Characters | Sequence | Choice | Repeat"

_ANY = Characters(negated=True)
_ANYTHING = Repeat(_ANY, 0, None)


def wildcards(pattern: str) -> Matcher:
    """The matcher of a pattern of WQL; PatternError if it is none."""
    parts: list[Node] = []
    at = 0
    while at < len(pattern):
        match pattern[at]:
            case "%":
                if not parts or parts[-1] != _ANYTHING:
                    parts.append(_ANYTHING)
            case "_":
                parts.append(_ANY)
            case "[":
                end = pattern.find("]", at + 2)
                if end < 0:
                    raise PatternError("a set that [ opens is not closed")
                parts.append(_set(pattern[at + 1 : end], "^!"))
                at = end
            case character:
                parts.append(Characters(frozenset(character)))
        at += 1
    return _matcher(Sequence(tuple(parts)))


def regular_expression(pattern: str) -> Matcher:
    """The matcher of a regular expression of DSP1001; PatternError if it is none."""
    return _matcher(_Expression(pattern).whole()) if pattern else _matcher(Sequence(()))


def _set(written: str, negations: str) -> Characters:
    """What stands between brackets."""
    negated = written[:1] in tuple(negations) and len(written) > 1
    members = [(each, False) for each in (written[1:] if negated else written)]
    return _characters(members, negated)


def _characters(members: list[tuple[str, bool]], negated: bool) -> Characters:
    """The set of these characters, each with whether it was escaped; a hyphen within that was not makes a range."""
    single, ranges = set(), []
    at = 0
    while at < len(members):
        if members[at + 1 : at + 2] == [("-", False)] and at + 2 < len(members):
            low, high = members[at][0], members[at + 2][0]
            if low > high:
                raise PatternError(f"the range from {low!r} to {high!r} is upside down")
            ranges.append((low, high))
            at += 3
        else:
            single.add(members[at][0])
            at += 1
    return Characters(frozenset(single), tuple(ranges), negated)


class _Expression:
    """Parses a regular expression."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._choice()
        if self._at < len(self._pattern):
            raise PatternError("a ) closes nothing")
        return node

    def _next(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _accept(self, character: str) -> bool:
        found = self._next() == character
        self._at += found
        return found

    def _choice(self) -> Node:
        parts = [self._sequence()]
        while self._accept("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Node:
        anchored = self._depth == 0 and self._accept("^")
        parts: list[Node] = []
        while self._next() not in ("", "|", ")"):
            if self._depth == 0 and self._next() == "$" and self._pattern[self._at + 1 : self._at + 2] in ("", "|"):
                self._at += 1
                anchored = True
                break
            parts.append(self._repeated())
        if not parts and (self._depth or not anchored):
            raise PatternError("a choice or a group is empty")
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self) -> Node:
        node = self._single()
        match self._next():
            case "*":
                least, most = 0, None
            case "+":
                least, most = 1, None
            case "?":
                return self._times(node, 0, 1)
            case "{":
                return self._counted(node)
            case _:
                return node
        return self._times(node, least, most)

    def _times(self, node: Node, least: int, most: int | None) -> Node:
        self._at += 1
        return Repeat(node, least, most)

    def _counted(self, node: Node) -> Node:
        end = self._pattern.find("}", self._at)
        low, comma, high = self._pattern[self._at + 1 : end].partition(",")
        least = _count(low) if end > 0 else None
        most = _count(high) if high else None if comma else least
        if least is None or (high and most is None):
            raise PatternError("{ does not open a count such as {2}, {2,} or {2,4}")
        if most is not None and (most < least or most == 0):
            raise PatternError("a count in {} is upside down, or is none at all")
        self._at = end + 1
        return Repeat(node, least, most)

    def _single(self) -> Node:
        character = self._next()
        self._at += 1
        match character:
            case "(":
                return self._group()
            case "[":
                return self._class()
            case ".":
                return _ANY
            case "\\":
                return Characters(frozenset(self._escaped()))
            case "*" | "+" | "?" | "{":
                raise PatternError(f"there is nothing that {character} could repeat")
            case "^" | "$":
                raise PatternError(f"{character} stands within the pattern; write \\{character} for the character")
        return Characters(frozenset(character))

    def _group(self) -> Node:
        self._depth += 1
        if self._depth > _DEPTH:
            raise PatternError(f"groups are nested more than {_DEPTH} deep")
        node = self._choice()
        if not self._accept(")"):
            raise PatternError("a group that ( opens is not closed")
        self._depth -= 1
        return node

    def _class(self) -> Node:
        negated = self._accept("^")
        members: list[tuple[str, bool]] = []
        while (character := self._next()) != "]" or not members:
            if not character:
                raise PatternError("a set that [ opens is not closed")
            self._at += 1
            members.append((self._escaped(), True) if character == "\\" else (character, False))
        self._at += 1
        return _characters(members, self._accept("^") or negated)

    def _escaped(self) -> str:
        character = self._next()
        if not character or character.isalnum():
            raise PatternError(f"\\{character} has no meaning in a pattern")
        self._at += 1
        return character


def _count(digits: str) -> int | None:
    if not (digits.isascii() and digits.isdecimal()):
        return None
    if len(digits) > 3 or int(digits) > _POSITIONS:
        raise PatternError(f"a count in {{}} is larger than {_POSITIONS}")
    return int(digits)


def _matcher(node: Node) -> Matcher:
    pieces = _pieces(node)
    return _Automaton(node).matches if pieces is None else _searching(pieces)


def _pieces(node: Node) -> list[str] | None:
    """The strings between which anything may stand; None if the pattern is of another kind."""
    pieces = [""]
    for part in node.parts if isinstance(node, Sequence) else (node,):
        if part == _ANYTHING:
            pieces.append("")
        elif isinstance(part, Characters) and len(part.single) == 1 and not part.ranges and not part.negated:
            pieces[-1] += next(iter(part.single))
        else:
            return None
    return pieces


def _searching(pieces: list[str]) -> Matcher:
    head, tail = pieces[0], pieces[-1]
    middle = [piece for piece in pieces[1:-1] if piece]
    if len(pieces) == 1:
        return head.__eq__
    if not head and not tail and len(middle) == 1:
        return lambda text: middle[0] in text
    shortest = len(head) + len(tail)

    def matches(text: str) -> bool:
        if len(text) < shortest or not text.startswith(head) or not text.endswith(tail):
            return False
        at, end = len(head), len(text) - len(tail)
        for piece in middle:
            at = text.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    return matches


def cost(matcher: Matcher) -> int:
    """What a step of a matcher costs at most: the positions of its automaton, 1 if it needs none."""
    automaton = getattr(matcher, "__self__", None)
    return len(automaton.characters) if isinstance(automaton, _Automaton) else 1


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an automaton: whether it matches nothing too, and the positions that may be its first and last."""

    empty: bool
    first: int
    last: int


class _Automaton:
    """Bit 0 of a set is the start, before the first character; others are the characters of the pattern."""

    def __init__(self, node: Node) -> None:
        self.characters: list[Characters] = [Characters()]
        self._follow = [0]
        whole = self._built(node)
        self._follow[0] = whole.first
        self._accepting = whole.last | whole.empty
        self._known: dict[tuple[int, str], int] = {}

    def matches(self, text: str) -> bool:
        known, state = self._known, 1
        for character in text:
            state_and_character = (state, character)
            found = known.get(state_and_character)
            state = self._step(state_and_character) if found is None else found
            if not state:
                return False
        return state & self._accepting != 0

    def _step(self, state_and_character: tuple[int, str]) -> int:
        state, character = state_and_character
        reached = 0
        while state:
            lowest = state & -state
            reached |= self._follow[lowest.bit_length() - 1]
            state ^= lowest
        after, left = 0, reached
        while left:
            lowest = left & -left
            if self.characters[lowest.bit_length() - 1].has(character):
                after |= lowest
            left ^= lowest
        if len(self._known) >= _STEPS:
            self._known.clear()
        self._known[state_and_character] = after
        return after

    def _built(self, node: Node) -> _Part:
        match node:
            case Characters():
                return self._position(node)
            case Choice(parts=parts):
                built = [self._built(part) for part in parts]
                return _Part(
                    any(each.empty for each in built), _union(p.first for p in built), _union(p.last for p in built)
                )
            case Sequence(parts=parts):
                return self._chained(self._built(part) for part in parts)
            case Repeat(node=inner, least=least, most=None):
                copies = [self._built(inner) for _ in range(max(least, 1))]
                self._link(copies[-1].last, copies[-1].first)
                if least == 0:
                    copies[-1] = _optional(copies[-1])
                return self._chained(copies)
            case Repeat(node=inner, least=least, most=int(most)):
                once = (self._built(inner) for _ in range(most))
                return self._chained(part if i < least else _optional(part) for i, part in enumerate(once))
        raise AssertionError(node)

    def _position(self, characters: Characters) -> _Part:
        if len(self.characters) > _POSITIONS:
            raise PatternError(f"the pattern is longer than {_POSITIONS} characters, with all that it repeats")
        bit = 1 << len(self.characters)
        self.characters.append(characters)
        self._follow.append(0)
        return _Part(False, bit, bit)

    def _chained(self, parts: Iterable[_Part]) -> _Part:
        whole = _Part(True, 0, 0)
        for part in parts:
            self._link(whole.last, part.first)
            whole = _Part(
                whole.empty and part.empty,
                whole.first | part.first if whole.empty else whole.first,
                whole.last | part.last if part.empty else part.last,
            )
        return whole

    def _link(self, lasts: int, firsts: int) -> None:
        while lasts:
            lowest = lasts & -lasts
            self._follow[lowest.bit_length() - 1] |= firsts
            lasts ^= lowest


def _optional(part: _Part) -> _Part:
    return _Part(True, part.first, part.last)


def _union(sets: Iterable[int]) -> int:
    union = 0
    for each in sets:
        union |= each
    return union
