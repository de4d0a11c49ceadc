"""Linux's inotify, by the C library: what happens to the files of a directory, without looking again and again."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

MODIFY = 0x2
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
DELETE_SELF = 0x400
MOVE_SELF = 0x800
"""The directory itself was removed or renamed; a watch goes on with one that was renamed."""
OVERFLOW = 0x4000
"""Some events were lost: anything may have happened."""
IGNORED = 0x8000
"""The watch is no more: the directory has gone."""

_WATCHED = MODIFY | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF | 0x0100_0000  # IN_ONLYDIR
_CLOSED_AT_EXEC, _NEVER_WAITS = os.O_CLOEXEC, os.O_NONBLOCK

_EVENT = struct.Struct("iIII")
_MOST = 1 << 18
_TIMES = 8
"""Octets of events that are taken at a time, and how many times in a row."""

_LIBRARY = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What happened in the directory of a watch, to the file of that name."""

    watch: int
    mask: int
    name: str


class Inotify:
    """A queue of events. OSError where the system has no more of them to give, or is not Linux."""

    def __init__(self) -> None:
        try:
            opened = _LIBRARY.inotify_init1(_CLOSED_AT_EXEC | _NEVER_WAITS)
        except AttributeError:
            raise OSError(38, "there is no inotify here") from None
        if opened < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._descriptor = int(opened)

    def fileno(self) -> int:
        """To be waited for."""
        return self._descriptor

    def watch(self, opened: int) -> int:
        """Watch an open directory; gives the number of the watch, the same one if it is watched already."""
        # by its descriptor, so that it is the directory that was opened, whatever has its name now
        number = _LIBRARY.inotify_add_watch(self._descriptor, f"/proc/self/fd/{opened}".encode(), _WATCHED)
        if number < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return int(number)

    def unwatch(self, number: int) -> None:
        """Watch it no longer; nothing if it is no more."""
        _LIBRARY.inotify_rm_watch(self._descriptor, number)

    def events(self) -> Iterator[Event]:
        """What has happened since the last time, without waiting. What happens meanwhile may be left for the next time."""
        for _ in range(_TIMES):
            try:
                octets = os.read(self._descriptor, _MOST)
            except BlockingIOError:
                return
            at = 0
            while at < len(octets):
                watch, mask, _, length = _EVENT.unpack_from(octets, at)
                at += _EVENT.size
                name = octets[at : at + length].rstrip(b"\0")
                at += length
                yield Event(watch=watch, mask=mask, name=os.fsdecode(name))

    def close(self) -> None:
        os.close(self._descriptor)
