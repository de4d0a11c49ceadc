"""Patterns whose matching takes time in proportion to the text, whatever is in it.

Python's own matching goes back and tries again, and a text that is made for it can keep it busy for years; which must not be,
where a guest writes the text and no thread can be stopped. So a pattern becomes an automaton, which walks over the text once.
It finds what `re` finds, as yes or no. What only going back can do, such as to refer to what a group matched, is refused.

The places of the pattern that take a character are the bits of a number; a set of them is a number, and what comes after it is
found eight places at a time. The set that a character leads to is remembered, up to a bound, so that most texts cost one look
for each character; a text that always leads to another set costs a few microseconds for each.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any

_PARSER: Any = importlib.import_module("re._parser")
"""The parser of `re`, whose tree is read here; no need to know its syntax twice."""

NODES = 1000
"""Nodes that an automaton may have; a{100} has two hundred."""

PLACES = 256
"""Places of a pattern that take a character. Each eight of them that a text reaches at once are a step more for each character."""

REPEATED = 64
"""Those of them that are there since something is repeated so many times: a text reaches all of these at once if it likes. With
so many, 4096 characters take half a hundredth of a second; with 256, two hundredths."""

REMEMBERED = 20_000
"""Steps that are remembered. Then all are forgotten, and found out again as they are needed."""

NEW = 200
"""Steps that one text may add to them."""

_EDGE, _WORD, _OTHER = range(3)
"""What stands beside a place: nothing, a character of a word, another one."""


class PatternError(ValueError):
    """Why a pattern cannot be used."""


def _has(flags: int, flag: re.RegexFlag) -> bool:
    return bool(flags & flag)


Takes = Callable[[str], bool]


class _Node:
    """A node of the automaton: what it takes and where that leads, or conditions and where they lead without taking anything."""

    __slots__ = ("beyond", "place", "takes", "then")

    def __init__(self) -> None:
        self.takes: Takes | None = None
        self.then = 0
        self.place = 0
        """The bit of its place, if it takes something."""
        self.beyond: list[tuple[str, int]] = []
        """Where one may go on without taking a character, each with the condition: none, ^, $, Z, b or B."""


class Search:
    """Whether a pattern is found in a text. Raises PatternError for what it cannot be made of. One thread at a time."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern
        self._nodes: list[_Node] = []
        self._repeated = self._depth = 0
        self._begin = self._node()
        tree = _PARSER.parse(pattern.pattern, pattern.flags)
        self._end = self._sequence(tree, self._begin, tree.state.flags)
        self._places = [node for node in self._nodes if node.takes is not None]
        if self._repeated > REPEATED:
            raise PatternError(
                f"what it repeats comes to {self._repeated} characters, of {REPEATED} at most: repeat less, or any number of "
                "times, as in .* for .{0,200}"
            )
        if len(self._places) > PLACES:
            raise PatternError(f"it has {len(self._places)} characters, of {PLACES} at most")
        for number, node in enumerate(self._places):
            node.place = 1 << number
        self._found = 1 << len(self._places)
        """The bit that stands for the end of the pattern."""
        self._octets = len(self._places) // 8 + 1
        self._conditional = any(condition for node in self._nodes for condition, _ in node.beyond)
        self._after: dict[tuple[int, int, bool], _After] = {}
        self._fitting: dict[str, int] = {}
        self._steps: dict[tuple[int, int], dict[str, _Next]] = {}
        self._remembered = 0
        self.literal = _literal(tree, pattern.flags)
        """A text that has to be in whatever it is found in; empty if none is known."""

    def found(self, text: str) -> bool:
        """Whether it is found anywhere in the text."""
        if self.literal and self.literal not in text:
            return False
        here, before, new = 0, _EDGE, 0
        table = self._table(here, before)
        for at, character in enumerate(text):
            known = table.get(character)
            if known is None:
                new += 1
                if new > NEW:
                    return self._found_without_memory(text, at, here, before)
                known = self._step(here, before, character)
            if known is True:
                return True
            here, before, table = known
        return bool(self._reached(here, before, _EDGE, final=True) & self._found)

    def _found_without_memory(self, text: str, begin: int, here: int, before: int) -> bool:
        """The same, from there on, for a text that leads to ever new sets: to remember them costs more than to find them out."""
        size, fitting, found = self._octets, self._fitting, self._found
        known = self._known_after(_EDGE, _EDGE, final=False)
        for at in range(begin, len(text)):
            character = text[at]
            if self._conditional:
                after = _side(character)
                known = self._known_after(before, after, final=character == "\n")
                before = after
            reached = known.begin
            for table, octet in zip(known.tables, here.to_bytes(size, "little")):  # noqa: B905, it takes a fifth of the time
                if octet:
                    reached |= table[octet]
            if reached & found:
                return True
            fits = fitting.get(character)
            here = reached & (self._fits(character) if fits is None else fits)
        return bool(self._reached(here, before, _EDGE, final=True) & found)

    def _table(self, here: int, before: int) -> dict[str, _Next]:
        table = self._steps.get((here, before))
        if table is None:
            table = self._steps[here, before] = {}
        return table

    def _step(self, here: int, before: int, character: str) -> _Next:
        """Where a character leads from the places that took the one before it; True if the pattern is found before it."""
        after = _side(character) if self._conditional else _EDGE
        reached = self._reached(here, before, after, final=character == "\n")
        self._remembered += 1
        if self._remembered > REMEMBERED:
            self._forget()
        led: _Next = True
        if not reached & self._found:
            there = reached & self._fits(character)
            led = (there, after, self._table(there, after))
        self._table(here, before)[character] = led
        return led

    def _forget(self) -> None:
        for table in self._steps.values():  # they lead to each other
            table.clear()
        self._steps.clear()
        self._fitting.clear()
        self._remembered = 0

    def _fits(self, character: str) -> int:
        """The places that take it."""
        fitting = self._fitting.get(character)
        if fitting is None:
            if len(self._fitting) >= REMEMBERED:
                self._fitting.clear()
            fitting = sum(node.place for node in self._places if node.takes is not None and node.takes(character))
            self._fitting[character] = fitting
        return fitting

    def _reached(self, here: int, before: int, after: int, *, final: bool) -> int:
        """The places that may take a character after those that took the one before. `final` where $ may hold: at the end, or at
        a line feed which then has to be the last character, which no line has within it."""
        known = self._known_after(before, after, final=final)
        reached = known.begin
        for table, octet in zip(known.tables, here.to_bytes(self._octets, "little"), strict=True):
            if octet:
                reached |= table[octet]
        return reached

    def _known_after(self, before: int, after: int, *, final: bool) -> _After:
        which = (before, after, final) if self._conditional else (_EDGE, _EDGE, False)
        known = self._after.get(which)
        if known is None:
            known = self._after[which] = _After(
                self._closure(self._begin, *which),
                [self._closure(node.then, *which) for node in self._places],
                self._octets,
            )
        return known

    def _closure(self, start: int, before: int, after: int, final: bool) -> int:
        """The places, and the end, that a node leads to without taking a character."""
        reached, left = {start}, [start]
        while left:
            for condition, there in self._nodes[left.pop()].beyond:
                if there not in reached and _holds(condition, before, after, final=final):
                    reached.add(there)
                    left.append(there)
        places = sum(self._nodes[each].place for each in reached)
        return places | self._found if self._end in reached else places

    # Building

    def _node(self) -> int:
        if len(self._nodes) >= NODES:
            raise PatternError(f"it has more than {NODES} places, with all that is repeated; repeat less")
        self._nodes.append(_Node())
        return len(self._nodes) - 1

    def _lead(self, start: int, end: int, condition: str = "") -> None:
        self._nodes[start].beyond.append((condition, end))

    def _sequence(self, tree: Any, start: int, flags: int) -> int:
        for operator, argument in tree:
            start = self._part(str(operator), argument, start, flags)
        return start

    def _part(self, operator: str, argument: Any, start: int, flags: int) -> int:
        match operator:
            case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
                node, end = self._nodes[start], self._node()
                if node.takes is not None or node.beyond:  # it leads somewhere already
                    own = self._node()
                    self._lead(start, own)
                    node = self._nodes[own]
                node.takes, node.then = _taking(operator, argument, flags), end
                return end
            case "SUBPATTERN":
                _, add, remove, inner = argument
                return self._sequence(inner, start, (flags | add) & ~remove)
            case "BRANCH":
                end = self._node()
                for each in argument[1]:
                    begin = self._node()
                    self._lead(start, begin)
                    self._lead(self._sequence(each, begin, flags), end)
                return end
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, inner = argument
                return self._repeat(least, most, inner, start, flags)
            case "AT":
                end = self._node()
                self._lead(start, end, _condition(str(argument), flags))
                return end
        raise PatternError(f"{_WORDS.get(operator, operator.lower())} cannot be matched without going back")

    def _repeat(self, least: int, most: Any, inner: Any, start: int, flags: int) -> int:
        counted = least > 1 or (str(most) != "MAXREPEAT" and int(most) > 1)
        before, self._depth = len(self._nodes), self._depth + counted
        end = self._times(least, most, inner, start, flags)
        self._depth -= counted
        if counted and not self._depth:
            self._repeated += sum(node.takes is not None for node in self._nodes[before:])
        return end

    def _times(self, least: int, most: Any, inner: Any, start: int, flags: int) -> int:
        for _ in range(least):
            start = self._sequence(inner, self._fresh(start), flags)
        end = self._node()
        if str(most) == "MAXREPEAT":
            loop = self._fresh(start)
            self._lead(loop, end)
            self._lead(self._sequence(inner, self._fresh(loop), flags), loop)
            return end
        self._lead(start, end)
        for _ in range(int(most) - least):
            start = self._sequence(inner, self._fresh(start), flags)
            self._lead(start, end)
        return end

    def _fresh(self, start: int) -> int:
        node = self._node()
        self._lead(start, node)
        return node


_Next = Any
"""True, or the set of places, the side of the character before, and what is remembered of these."""


class _After:
    """What comes after each set of eight places, by the octet that the set is; and what does at any time, from the beginning."""

    __slots__ = ("begin", "tables")

    def __init__(self, begin: int, each: Sequence[int], octets: int) -> None:
        self.begin = begin
        self.tables = [self._table(each[8 * number : 8 * number + 8]) for number in range(octets)]

    def _table(self, eight: Sequence[int]) -> list[int]:
        table = [0]
        for one in eight:
            table += [one | other for other in table]
        return table


_WORDS = {
    "GROUPREF": "a reference to a group", "GROUPREF_EXISTS": "a condition on a group", "ASSERT": "looking ahead or behind",
    "ASSERT_NOT": "looking ahead or behind", "ATOMIC_GROUP": "an atomic group", "POSSESSIVE_REPEAT": "a possessive repeat",
}  # fmt: skip


def _side(character: str) -> int:
    return _WORD if character.isalnum() or character == "_" else _OTHER


def _holds(condition: str, before: int, after: int, *, final: bool) -> bool:
    match condition:
        case "^":
            return before == _EDGE
        case "$":
            return final
        case "Z":
            return after == _EDGE
        case "b":
            return (before == _WORD) is not (after == _WORD)
        case "B":
            return (before == _WORD) is (after == _WORD)
    return True


def _condition(where: str, flags: int) -> str:
    if _has(flags, re.MULTILINE) and where in ("AT_BEGINNING", "AT_END"):
        raise PatternError("(?m) makes no sense in a line")
    if _has(flags, re.ASCII) and "BOUNDARY" in where:
        raise PatternError(r"\b of ASCII letters alone is not there; leave (?a) out")
    return {
        "AT_BEGINNING": "^", "AT_BEGINNING_STRING": "^", "AT_END": "$", "AT_END_STRING": "Z", "AT_BOUNDARY": "b",
        "AT_NON_BOUNDARY": "B",
    }[where]  # fmt: skip


def _taking(operator: str, argument: Any, flags: int) -> Takes:
    """What one character has to be, decided by `re` itself, for each character once."""
    kept = flags & (re.IGNORECASE | re.ASCII | re.DOTALL)
    match operator:
        case "ANY":
            one = "."
        case "LITERAL":
            one = re.escape(chr(argument))
        case "NOT_LITERAL":
            one = f"[^{re.escape(chr(argument))}]"
        case _:
            one = _set(argument)
    match_one = re.compile(one, kept).fullmatch
    return lambda character: match_one(character) is not None


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip


def _set(members: Sequence[Any]) -> str:
    """A set of characters, as it may be written."""
    out = []
    for operator, argument in members:
        match str(operator):
            case "NEGATE":
                out.append("^")
            case "LITERAL":
                out.append(re.escape(chr(argument)))
            case "RANGE":
                out.append("-".join(re.escape(chr(each)) for each in argument))
            case _:
                out.append(_CATEGORIES[str(argument)])
    return f"[{''.join(out)}]"


def _literal(tree: Any, flags: int) -> str:
    """The longest run of characters that stands in the pattern by itself."""
    if _has(flags | tree.state.flags, re.IGNORECASE):
        return ""
    runs, run = [""], ""
    for operator, argument in tree:
        if str(operator) == "LITERAL":
            run += chr(argument)
            continue
        runs.append(run)
        run = ""
    return max([*runs, run], key=len)
