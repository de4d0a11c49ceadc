"""Lines of a file, from its end or from any place, in memory and time that do not depend on its length.

A file that is written is read with `pread`, by descriptor, a block at a time. What is compressed can only be read from its
beginning, so that only so much of it is.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agent.errors import Failed, Invalid, NotSupported
from drivers.logs.files import Unreadable
from drivers.logs.lines import LINE, Line

BLOCK = 65536
"""Octets that are read at a time."""

TAIL = 1 << 20
"""Octets at the end of a file in which the last lines are looked for."""

UNPACKED = 256 << 20
"""Octets of a compressed file that are unpacked at most to get at some lines of it."""

XZ = 96 << 20
"""Octets of memory that unpacking an xz file may take; `xz -9` makes files that take two thirds of it."""

Read = Callable[[int], bytes]
"""Gives the next octets, at most so many; none at the end."""


class _Raw(io.RawIOBase):
    """A file as its descriptor tells it, from the beginning on. It holds nothing that has to be closed."""

    def __init__(self, descriptor: int) -> None:
        self._read = reader(descriptor, 0)

    def readable(self) -> bool:
        return True

    def read(self, most: int = -1) -> bytes:
        return self._read(BLOCK if most < 0 else most)


class _Xz:
    """An xz file, of one or more streams, that is refused where it takes more than XZ of memory."""

    def __init__(self, raw: _Raw) -> None:
        self._raw = raw
        self._stream = self._begun()
        self._between, self._held = True, b""

    def _begun(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=XZ)

    def read(self, most: int) -> bytes:
        while True:
            if self._stream.eof:
                self._between, self._held = True, self._stream.unused_data
                self._stream = self._begun()
            if self._between:
                self._held = self._held.lstrip(b"\0")  # which fill up a stream
                while not self._held:
                    block = self._raw.read(BLOCK)
                    if not block:
                        return b""
                    self._held = block.lstrip(b"\0")
                self._between = False
            packed, self._held = self._held, b""
            if not packed and self._stream.needs_input:
                packed = self._raw.read(BLOCK)
                if not packed:
                    raise EOFError("it ends too early")
            if octets := self._stream.decompress(packed, most):
                return octets


_OPENERS: Mapping[str, Callable[[Any], Any]] = {
    "gz": lambda raw: gzip.GzipFile(fileobj=raw), "bz2": bz2.BZ2File, "xz": _Xz,
}  # fmt: skip
"""How files with such an ending are unpacked."""

_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)


def first_line(descriptor: int) -> Line | None:
    """The first line; None if there is none. Its position is 0."""
    octets = os.pread(descriptor, LINE, 0)
    found, feed, _ = octets.partition(b"\n")
    return Line(position=0, end=len(found) + len(feed), octets=found, whole=bool(feed)) if octets else None


def last_lines(descriptor: int, size: int, most: int) -> list[Line]:
    """The last lines of so many octets, the oldest first, at most so many."""
    begin, feeds, blocks = size, 0, deque[bytes]()
    while begin > 0 and feeds <= most and size - begin < TAIL:
        start = max(0, begin - BLOCK)
        block = os.pread(descriptor, begin - start, start)
        if len(block) < begin - start:  # it was cut meanwhile
            return []
        feeds += block.count(b"\n")
        blocks.appendleft(block)
        begin = start
    return _split(b"".join(blocks), begin, most)


def _split(octets: bytes, begin: int, most: int) -> list[Line]:
    """The last lines of what begins at `begin`; a first one that began before that has its end only."""
    parts = octets.split(b"\n")
    whole_last = parts[-1] == b""
    if whole_last:
        parts.pop()
    found: list[Line] = []
    end = begin + len(octets)
    for number in range(len(parts) - 1, max(-1, len(parts) - 1 - most), -1):
        feed = whole_last or number < len(parts) - 1
        position = end - len(parts[number]) - feed
        found.append(Line(position=position, end=end, octets=parts[number][:LINE], whole=feed))
        end = position
    found.reverse()
    return found


def reader(descriptor: int, position: int) -> Read:
    """Reads a file from there on, without moving anything that others use."""
    at = position

    def read(most: int) -> bytes:
        nonlocal at
        octets = os.pread(descriptor, most, at)
        at += len(octets)
        return octets

    return read


def unpacker(descriptor: int, ending: str | None, name: str) -> Read:
    """Reads a compressed file as what it was before, or one that is none as it is. Failed where it is broken."""
    if ending is None:
        return reader(descriptor, 0)
    if ending not in _OPENERS:
        raise NotSupported(f"{name}: files that end with .{ending} cannot be read here")
    packed = _OPENERS[ending](_Raw(descriptor))

    def read(most: int) -> bytes:
        try:
            return bytes(packed.read(most))
        except _BROKEN as error:
            raise Unreadable(f"{name}: it cannot be unpacked: {error}") from None

    return read


def lines(read: Read, position: int = 0, carried: bytes = b"") -> Iterator[Line]:
    """Lines, one after the other, from what is read, in bounded memory: of one that has no end the beginning is given.

    `carried` is the beginning of the first line, which stands at the end of another file. Positions are counted from
    `position` on. The last line may have no line feed: it is not `whole`.
    """
    held, begin, at = bytearray(carried), position, position
    while block := read(BLOCK):
        parts = block.split(b"\n")
        for number, part in enumerate(parts):
            if len(held) < LINE:
                held += part[: LINE - len(held)]
            at += len(part)
            if number < len(parts) - 1:
                at += 1
                yield Line(position=begin, end=at, octets=bytes(held))
                held.clear()
                begin = at
    if held:
        yield Line(position=begin, end=at, octets=bytes(held), whole=False)


def some_lines(read: Read, position: int, most: int, octets: int) -> list[Line]:
    """The first lines of what is read, at most so many, and at most so many octets of them but for the last. Little more than
    that is read: of a line that is longer, what was read so far is given, and the next line begins where that ends."""
    found: list[Line] = []
    left, end = octets, position + octets + LINE
    for line in lines(bounded(read, end - position), position):
        if found and line.end == end and not line.whole:  # only a part of it was read
            break
        found.append(line)
        left -= len(line.octets)
        if len(found) >= most or left <= 0:
            break
    return found


def skipped(read: Read, position: int, name: str, within: int) -> Read:
    """The same, from a place on that can only be come to by reading; not further than UNPACKED. Invalid if no line begins there:
    see `begins`."""
    if position > UNPACKED:
        raise Failed(f"{name}: only the first {UNPACKED} octets of a compressed file are read")
    left, feed = position, -1
    while left > 0:
        octets = read(min(BLOCK, left))
        if not octets:
            raise Invalid(f"{name}: its length is {position - left}, and {position} is beyond that")
        found = octets.rfind(b"\n")
        if found >= 0:
            feed = position - left + found
        left -= len(octets)
    if 0 < position < feed + 1 + within and feed != position - 1 and read(1):
        raise Invalid(no_line(name, position))
    return bounded(read, UNPACKED - position)


def no_line(name: str, position: int) -> str:
    """What to tell whoever gives a place where no line begins."""
    return f"{name}: no line begins at {position}; the files may have been renamed since it did"


def begins(descriptor: int, position: int, size: int, within: int) -> bool:
    """Whether a line begins there, or may have been said to: at the end of the file, or within a line of which so many octets
    are already before it."""
    if position in (0, size):
        return True
    at = position
    while at > 0 and position - at < within:
        start = max(0, at - (BLOCK if at < position else 1))
        feed = os.pread(descriptor, at - start, start).rfind(b"\n")
        if feed >= 0:
            return start + feed == position - 1
        at = start
    return position - at >= within


def bounded(read: Read, most: int) -> Read:
    """The same, but it ends after so many octets."""
    left = most

    def next_part(wanted: int) -> bytes:
        nonlocal left
        octets = read(min(wanted, left)) if left > 0 else b""
        left -= len(octets)
        return octets

    return next_part


def last_unpacked(read: Read, most: int, octets: int) -> list[Line]:
    """The last lines of what can only be read from its beginning, as far as that is read; at most so many octets of them."""
    found: deque[Line] = deque()
    size = 0
    for line in lines(bounded(read, UNPACKED)):
        found.append(line)
        size += len(line.octets)
        while len(found) > most or (size > octets and len(found) > 1):
            size -= len(found.popleft().octets)
    return list(found)
