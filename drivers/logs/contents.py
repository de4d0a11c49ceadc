"""What the files of a log say, as rows: first and last lines, and the last records with their numbers.

A file is read when its inode, its length or its time is another one than before; all else is kept.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.errors import NotFound, VirtmapError
from agent.model.log import LogFile, LogRecord
from agent.schema.declare import Row
from drivers.logs import files, reading
from drivers.logs.lines import CUT, Line, decoded, escaped, meaning, records
from drivers.logs.listing import Known
from drivers.logs.ownership import Older

SHOWN = 512
"""Octets of escaped text of a first and last line that are shown."""

MORE_LINES = 100
"""Lines beyond the records wanted that are read at the end of a file: a command line goes over so many."""

FILES = 100
"""Older files of one log that are shown, the newest of them."""

TROUBLES = 3
"""Files that are none of a log's, of which it is told why."""

OlderFile = tuple[str, Older, os.stat_result]
"""An older file: its name, what that says, and what the system tells."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stats:
    """What the system tells of the files of a log: of the one that is written, if it is there, and of older ones, the newest
    first."""

    current: os.stat_result | None
    older: Sequence[OlderFile]
    trouble: str = ""
    """Why some that have the name of an older file are none of them."""

    @property
    def inode(self) -> tuple[int, int] | None:
        """Device and number of the file that is written."""
        return None if self.current is None else (self.current.st_dev, self.current.st_ino)

    @property
    def sizes(self) -> list[int]:
        """The lengths of all of them."""
        return [told.st_size for _, _, told in self.older] + (
            [self.current.st_size] if self.current is not None else []
        )

    @property
    def stamp(self) -> tuple[Any, ...]:
        """Another one once any of them has changed."""
        return _stamp(self.current), tuple((name, _stamp(told)) for name, _, told in self.older)


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What a log's files said when they were like `stamp`."""

    stamp: tuple[Any, ...]
    first: str | None
    last: str | None
    problem: str
    files: Sequence[Row]
    records: Sequence[Row]
    numbers: Mapping[tuple[int, int], int]
    """Of the records, by inode and position."""
    highest: int
    """The highest number that a record of it ever had."""
    size: int
    inode: int


NOTHING = Content(
    stamp=(), first=None, last=None, problem="", files=(), records=(), numbers={}, highest=0, size=0, inode=0
)


def stats(known: Known, opened: int, owner: int) -> Stats:
    """What the system tells of the files that are there, in the open directory. NotFound if none of them is any more. What only
    has the name of an older one, such as a directory, is left, and told."""
    current = None
    if known.files.current:
        with suppress(NotFound):
            current = files.looked_up(known.folder, opened, known.name, owner)
    older: list[OlderFile] = []
    troubles = []
    for name, told in known.files.older.items():
        try:
            older.append((name, told, files.looked_up(known.folder, opened, name, owner)))
        except NotFound:
            continue
        except VirtmapError as error:
            troubles.append(str(error))
    if current is None and not older and not troubles:
        raise NotFound(f"log {known.path}: there is no such log")
    more = f" and {len(troubles) - TROUBLES} more" if len(troubles) > TROUBLES else ""
    return Stats(current=current, older=sorted(older, key=_newest_first), trouble="; ".join(troubles[:TROUBLES]) + more)


class Contents:
    """What logs said when they were last read, of `wanted` records each. Used by several threads."""

    def __init__(self, wanted: int, owner: Callable[[], int]) -> None:
        self._wanted, self._owner = wanted, owner
        self._lock = threading.Lock()
        self._kept: dict[str, Content] = {}

    def keep_only(self, paths: Collection[str]) -> None:
        """Forget the logs that are no more."""
        with self._lock:
            for gone in [path for path in self._kept if path not in paths]:
                del self._kept[gone]

    def read(self, known: Known, opened: int, told: Stats) -> Content:
        """What its files say, as they are told to be."""
        stamp = (known.owners, *told.stamp)
        with self._lock:
            before = self._kept.get(known.path, NOTHING)
        if before.stamp == stamp:
            return before
        rows: list[Row] = []
        tails: list[_Tail] = []
        first, last, problem = None, None, ""
        if told.current is not None:
            try:
                first, last, tail = self._current(known, opened)
                tails.append(_Tail(known.name, told.current.st_ino, tail))
            except NotFound:
                pass
            except VirtmapError as error:
                problem = str(error)
            rows.append(_file_row(known, known.name, None, told.current, first, last))
        left = self._wanted - sum(len(tail.lines) for tail in tails)
        for older in told.older[:FILES]:
            head, end, tail = self._older(known, opened, older, before, left)
            rows.append(_file_row(known, *older, head, end))
            if tail:
                tails.insert(0, _Tail(older[0], older[2].st_ino, tail))
                left -= len(tail)
        with self._lock:
            current = told.current
            emptied = current is not None and before.inode == current.st_ino and current.st_size < before.size
            anew = _made_anew(tails, before) | ({before.inode} if emptied else set())
            numbers = _numbered(tails, before, anew)
            made = Content(
                stamp=stamp, first=first, last=last, problem=problem, files=rows,
                records=[_record_row(known, tail, line, numbers) for tail in tails for line in tail.lines
                         if (tail.inode, line.position) in numbers],
                numbers=numbers, highest=max([before.highest, *numbers.values()]),
                size=current.st_size if current is not None else 0, inode=current.st_ino if current is not None else 0,
            )  # fmt: skip
            self._kept[known.path] = made
        return made

    def _current(self, known: Known, opened: int) -> tuple[str | None, str | None, list[Line]]:
        """First and last line of the file that is written, and its last records."""
        with files.file(known.folder, opened, known.name, self._owner()) as descriptor:
            first = reading.first_line(descriptor)
            lines = reading.last_lines(descriptor, os.fstat(descriptor).st_size, self._wanted + MORE_LINES)
        return _escaped(first), _escaped(lines[-1] if lines else None), _tail(known, lines, self._wanted)

    def _older(
        self, known: Known, opened: int, older: OlderFile, before: Content, wanted: int
    ) -> tuple[str | None, str | None, list[Line]]:
        """First and last line of an older file, and its last records if some are wanted. What cannot be read has none."""
        name, told, stat = older
        if told.ending is not None:
            return None, None, []
        if wanted <= 0:
            for row in before.files:
                if isinstance(row, LogFile) and (row.inode, row.size) == (stat.st_ino, stat.st_size):
                    return row.first_line, row.last_line, []
        try:
            with files.file(known.folder, opened, name, self._owner()) as descriptor:
                first = reading.first_line(descriptor)
                lines = reading.last_lines(descriptor, stat.st_size, wanted + MORE_LINES if wanted > 0 else 1)
        except VirtmapError:
            return None, None, []
        return _escaped(first), _escaped(lines[-1] if lines else None), _tail(known, lines, wanted)


@dataclass(frozen=True, slots=True)
class _Tail:
    """The last records of one file."""

    file: str
    inode: int
    lines: Sequence[Line]


def _tail(known: Known, lines: Sequence[Line], wanted: int) -> list[Line]:
    return list(records(lines, known.owner.kind))[-wanted:] if wanted > 0 else []


def _made_anew(tails: Sequence[_Tail], before: Content) -> set[int]:
    """Inodes that other files have now than before: what stood at some place of it is not what does now."""
    numbered = {number: key for key, number in before.numbers.items()}
    said = {numbered.get(row.number): row.text for row in before.records if isinstance(row, LogRecord)}
    return {
        tail.inode
        for tail in tails
        for line in tail.lines
        if (text := said.get((tail.inode, line.position))) is not None
        and not escaped(line.octets).startswith(text.removesuffix(CUT))
    }


def _numbered(tails: Sequence[_Tail], before: Content, anew: Collection[int]) -> dict[tuple[int, int], int]:
    """The numbers of records, by inode and position: those that had one keep it, new ones go on. What is found before one that has
    a number, and has none, gets none. In a file that is made `anew` all is new."""
    known = {key: number for key, number in before.numbers.items() if key[0] not in anew}
    keys = [(tail.inode, line.position) for tail in tails for line in tail.lines]
    first_known = next((i for i, key in enumerate(keys) if key in known), 0)
    numbers: dict[tuple[int, int], int] = {}
    last, newest = before.highest, 0
    for key in keys[first_known:]:
        number = known.get(key)
        if number is None or number <= newest:
            last += 1
            number = last
        numbers[key] = newest = number
    return numbers


def _file_row(
    known: Known, name: str, told: Older | None, stat: os.stat_result, first: str | None, last: str | None
) -> Row:
    number = None if told is None or told.number is None or told.number > 0xFFFF_FFFF else told.number
    return LogFile(
        log=known.path, name=name, rotation=number, size=stat.st_size, modified=time_of(stat), inode=stat.st_ino,
        compressed=told is not None and told.ending is not None, first_line=first, last_line=last,
    )  # fmt: skip


def _record_row(known: Known, tail: _Tail, line: Line, numbers: Mapping[tuple[int, int], int]) -> Row:
    meant = meaning(decoded(line.octets), known.owner.kind)
    return LogRecord(
        log=known.path, number=numbers[tail.inode, line.position], time=meant.time, source=meant.source,
        severity=meant.severity, mark=meant.mark, text=escaped(line.octets), position=line.position, file=tail.file,
    )  # fmt: skip


def time_of(told: os.stat_result) -> datetime | None:
    """When a file was last written; None if its clock was far off."""
    try:
        return datetime.fromtimestamp(told.st_mtime, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _escaped(line: Line | None) -> str | None:
    return None if line is None else escaped(line.octets, SHOWN)


def _stamp(told: os.stat_result | None) -> tuple[int, int, int] | None:
    return None if told is None else (told.st_ino, told.st_size, told.st_mtime_ns)


def _newest_first(each: OlderFile) -> tuple[bool, float, str]:
    """By number; what has a date and no number is older than what has one."""
    name, told, stat = each
    return (False, told.number, name) if told.number is not None else (True, -stat.st_mtime, name)
