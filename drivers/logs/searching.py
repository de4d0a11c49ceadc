"""Finding records in all files of a log: one walk over them, the oldest file first, in bounded memory.

The words that are looked for may come from anybody who may read: an asterisk and a question mark mean something in them, and
nothing in them can make the walk slow. Most lines are passed by with one look for a word that has to be in them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.errors import Denied, Invalid, NotSupported
from agent.model.log import LogKind
from agent.model.occurrence import PerceivedSeverity
from drivers.logs.files import Unreadable
from drivers.logs.lines import Line, Meaning, decoded, escaped, meaning, records, time_of

WORDS = 256
"""Characters that may be looked for."""

FOUND = 4 << 20
"""Octets of records that are given at most."""

_CLEAN = re.compile(rb"[\x20-\x5b\x5d-\x7e]*")
"""Lines that are the same when they are escaped."""

_DATED = re.compile(rb"\[?[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]")


class Words:
    """What a record has to have in it; an asterisk stands for any text, a question mark for any character.

    Texts between asterisks are looked for one after the other, each at the first place where it stands, which is all there is
    to try; Invalid if there is too much of them.
    """

    def __init__(self, pattern: str, *, case: bool) -> None:
        if len(pattern) > WORDS:
            raise Invalid(f"a pattern must not be longer than {WORDS} characters")
        self._case = case
        parts = [part for part in self._folded(pattern).split("*") if part]
        self._parts = [re.compile(re.escape(part).replace(r"\?", "."), re.DOTALL) for part in parts]
        plain = [word for part in parts for word in part.split("?") if word.isascii() and "\\" not in word]
        self._word = max(plain, key=len, default="").encode()

    def _folded(self, text: str) -> str:
        return text if self._case else text.lower()

    def may_be_in(self, octets: bytes) -> bool:
        """Whether it is worth a closer look."""
        if not self._word or _CLEAN.fullmatch(octets) is None:
            return True
        return self._word in (octets if self._case else octets.lower())

    def found(self, text: str) -> bool:
        """Whether an escaped text has them in it."""
        text, at = self._folded(text), 0
        for part in self._parts:
            found = part.search(text, at)
            if found is None:
                return False
            at = found.end()
        return True


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which records: with these words, written since then, before then, at least so grave; so many of the newest."""

    words: Words | None = None
    since: datetime | None = None
    until: datetime | None = None
    severity: PerceivedSeverity | None = None
    most: int = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A record: where it stands, when it was written, what it means, and its escaped text."""

    file: str
    position: int
    time: datetime | None
    meaning: Meaning
    text: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was found, the oldest first, whether there was more of it, and the files that could not be read, with the reason."""

    found: list[Found]
    more: bool
    unread: Mapping[str, str]


def search(
    files: Iterable[tuple[str, Iterator[Line]]], kind: LogKind, wanted: Wanted, goes_on: Callable[[], None]
) -> Result:
    """The records that are wanted, of files by name with their lines, the oldest first. `goes_on` is called now and then, and
    may raise to end it; a file whose lines raise Denied, NotSupported or Unreadable is left, and told."""
    kept: deque[Found] = deque()
    unread: dict[str, str] = {}
    size = total = 0
    clock = _Clock(kind)
    for file, lines in files:
        goes_on()
        try:
            for number, record in enumerate(records(lines, kind), 1):
                if not number % 4096:
                    goes_on()
                clock.saw(record.octets)
                found = _fits(file, record, kind, wanted, clock)
                if found is None:
                    continue
                total += 1
                kept.append(found)
                size += len(found.text)
                while len(kept) > wanted.most or size > FOUND:
                    size -= len(kept.popleft().text)
        except (Denied, NotSupported, Unreadable) as error:
            unread[file] = str(error)
    return Result(found=list(kept), more=total > len(kept), unread=unread)


class _Clock:
    """When a record was written that does not say so: with the one before it."""

    def __init__(self, kind: LogKind) -> None:
        self._tells = kind is not LogKind.CONSOLE
        self._last = b""
        self._time: datetime | None = None

    def saw(self, octets: bytes) -> None:
        if self._tells and _DATED.match(octets):
            self._last = octets[:64]

    def now(self) -> datetime | None:
        if self._last:
            told, _ = time_of(decoded(self._last))
            self._time, self._last = told or self._time, b""
        return self._time


def _fits(file: str, record: Line, kind: LogKind, wanted: Wanted, clock: _Clock) -> Found | None:
    if wanted.words is not None and not wanted.words.may_be_in(record.octets):
        return None
    if wanted.since is not None or wanted.until is not None:
        now = clock.now()
        if wanted.since is not None and (now is None or now < wanted.since):
            return None
        if wanted.until is not None and now is not None and now >= wanted.until:
            return None
    meant = meaning(decoded(record.octets), kind)
    if wanted.severity is not None and (meant.severity is None or meant.severity < wanted.severity):
        return None
    text = escaped(record.octets)
    if wanted.words is not None and not wanted.words.found(text):
        return None
    return Found(file=file, position=record.position, time=clock.now(), meaning=meant, text=text)
