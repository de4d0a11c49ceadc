"""Emptying and removing logs: only where virtlogd rotates them, which is found out and not assumed, and only files that are theirs.

With virtlogd the older files of a log are known by their numbers, and nobody else renames them. With logrotate their names are
anybody's guess, and a file may get another name while the directory is read: then nothing is removed at all.

Virtlogd is in use if it answers at its socket and QEMU is not told to do without it. A log that is written is virtlogd's then, if
virtlogd has it open, and so is one that nobody writes, in the hypervisor's own directories. Elsewhere, where anything may lie, it
is only if virtlogd was seen to have had that very file open. What cannot be found out, since the agent may not see it, counts as
no.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Container
from dataclasses import dataclass

from agent.errors import Busy, Denied, NotFound, NotSupported
from agent.model.log import LogKind
from drivers.logs import files
from drivers.logs.files import Inode
from drivers.logs.ownership import Older, older
from drivers.logs.places import Places

KEPT = 20.0
"""Seconds for which what was found out about virtlogd is good enough to be shown."""

ANSWER = 1.0
"""Seconds in which virtlogd has to take a connection."""

ROUNDS = 8
"""Times that a directory is read again since a file got another name meanwhile."""

_PROGRAM = "virtlogd"
_HANDLER = "stdio_handler"
_LOGD = re.compile(rf"""\s*{_HANDLER}\s*=\s*("logd"|'logd')\s*(#.*)?""")
_SETTINGS = 1 << 20
"""Octets that are read of QEMU's settings; of longer ones nothing is believed."""


@dataclass(frozen=True, kw_only=True)
class Virtlogd:
    """What was found out about virtlogd: the files that it has open, and why it does not get the logs of guests that are started
    next; empty if it does. `hidden` if it runs and the agent may not see what it has open."""

    open: frozenset[Inode]
    not_used: str
    hidden: bool = False
    found: float


def look(places: Places, owner: int) -> Virtlogd:
    """Find it out. `owner` is the account of the hypervisor, whose virtlogd it is."""
    held: set[Inode] = set()
    hidden = False
    try:
        for process in _processes(owner):
            try:
                if _runs_virtlogd(process):
                    held |= _open_in(process)
            except PermissionError:
                hidden = True
            except FileNotFoundError:  # it ended
                continue
    except OSError:  # there is no /proc to look into
        hidden = True
    return Virtlogd(open=frozenset(held), not_used=_why_not_used(places), hidden=hidden, found=time.monotonic())


def _processes(owner: int) -> list[str]:
    """The processes of that account, and of root, that call themselves virtlogd."""
    found = []
    with os.scandir("/proc") as entries:
        for entry in entries:
            if not entry.name.isdecimal():
                continue
            try:
                with open(f"/proc/{entry.name}/comm", encoding="utf-8", errors="replace") as told:
                    if told.read().strip() == _PROGRAM and entry.stat().st_uid in (0, owner):
                        found.append(entry.name)
            except OSError:  # it ended
                continue
    return found


def _runs_virtlogd(process: str) -> bool:
    """Whether its program is that. PermissionError where that cannot be told: also of one that was replaced since it began."""
    program = os.path.basename(os.readlink(f"/proc/{process}/exe"))
    if program == f"{_PROGRAM} (deleted)":
        raise PermissionError(program)
    return program == _PROGRAM


def _open_in(process: str) -> set[Inode]:
    held = set()
    with os.scandir(f"/proc/{process}/fd") as entries:
        for entry in entries:
            try:
                told = os.stat(entry.path)
            except PermissionError:
                raise
            except OSError:  # closed just now
                continue
            held.add((told.st_dev, told.st_ino))
    return held


def _why_not_used(places: Places) -> str:
    if places.virtlogd is None:
        return "this kind of hypervisor writes its logs without virtlogd"
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(ANSWER)
            probe.connect(places.virtlogd)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return f"virtlogd does not answer at {places.virtlogd}: {why}"
    if places.settings is None:
        return ""
    try:
        with open(places.settings, encoding="utf-8", errors="replace") as told:
            text = told.read(_SETTINGS + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"whether QEMU uses virtlogd cannot be read in {places.settings}: {error.strerror}"
    if len(text) > _SETTINGS or not uses_virtlogd(text):
        return f"QEMU is told to do without virtlogd in {places.settings}"
    return ""


def uses_virtlogd(settings: str) -> bool:
    """Whether QEMU uses virtlogd by its settings: they say so once and plainly, or say nothing of it. Anything else counts as no,
    so that it need not be read as exactly as libvirt reads it."""
    lines = re.split(r"[\r\n]", settings)
    if "'''" not in settings and '"""' not in settings:  # in which a line may begin like a comment, and be none
        lines = [line for line in lines if not line.lstrip().startswith("#")]
    told = [line for line in lines if _HANDLER in line]
    return not told or (len(told) == 1 and _LOGD.fullmatch(told[0]) is not None)


def why_not(
    found: Virtlogd, inode: Inode | None, kind: LogKind, *, active: bool, foreign: bool = False, seen: bool = False
) -> str:
    """Why virtlogd does not rotate a log, or cannot be seen to; empty if it does. `active` while its domain runs, `foreign` if it
    is in none of the hypervisor's own directories, `seen` if virtlogd had this very file open before."""
    if inode in found.open:
        return found.not_used
    if kind is LogKind.SWTPM:
        return "swtpm writes it without virtlogd"
    if found.hidden:
        return "the agent may not see what virtlogd has open"
    if active and inode is not None:
        return "its domain runs, and virtlogd has not got it open"
    if foreign and not seen:
        return "it is in a directory of others, and virtlogd was not seen to write it"
    return found.not_used


# Removing


@dataclass(frozen=True, kw_only=True, slots=True)
class Removed:
    """A file that was removed or emptied: its path, and how long it was."""

    path: str
    size: int


def numbered(folder: str, name: str, claimed: Container[str]) -> dict[str, Older]:
    """The older files of a log that are its own to remove: with a number, no archive, and no log by themselves."""
    found = {}
    for each in files.names(folder):
        told = older(each)
        if told is not None and told.base == name and not told.archive and each not in claimed:
            found[each] = told
    return found


def remove_numbered(opened: int, folder: str, name: str, claimed: Container[str], owner: int) -> list[Removed]:
    """Remove the older files of a log, the oldest first. If one gets another name meanwhile, it is found under that."""
    removed: list[Removed] = []
    for _ in range(ROUNDS):
        left = numbered(folder, name, claimed)
        if not left:
            return removed
        for each in sorted(left, key=lambda one: (-(left[one].number or 0), one)):
            try:
                told = files.looked_up(folder, opened, each, owner)
                removed.append(_unlinked(opened, folder, each, told))
            except NotFound:
                continue
    raise Busy(f"{folder}/{name}: its older files come faster than they can be removed")


def _unlinked(opened: int, folder: str, name: str, told: os.stat_result) -> Removed:
    """Remove a file, if its name still leads to what was looked at."""
    path = f"{folder}/{name}"
    try:
        now = os.stat(name, dir_fd=opened, follow_symlinks=False)
        if (now.st_dev, now.st_ino) != (told.st_dev, told.st_ino):
            raise Busy(f"{path}: it was renamed meanwhile; ask again")
        os.unlink(name, dir_fd=opened)
    except OSError as error:
        raise files.trouble(path, error) from None
    return Removed(path=path, size=told.st_size)


def remove_current(opened: int, folder: str, name: str, owner: int) -> list[Removed]:
    """Remove the file that was written; nothing if it is not there."""
    try:
        return [_unlinked(opened, folder, name, files.looked_up(folder, opened, name, owner))]
    except NotFound:
        return []


def remove_one(folder: str, name: str, inode: int, owner: int) -> Removed:
    """Remove one older file, if it is still the one with that inode."""
    with files.directory(folder) as opened:
        told = files.looked_up(folder, opened, name, owner)
        if told.st_ino != inode:
            raise Busy(f"{folder}/{name}: it was renamed meanwhile; ask again")
        return _unlinked(opened, folder, name, told)


def empty(opened: int, folder: str, name: str, owner: int) -> list[Removed]:
    """Cut the file that is written to nothing; whoever writes goes on at its end, which is its beginning now."""
    path = f"{folder}/{name}"
    try:
        with files.file(folder, opened, name, owner, os.O_WRONLY) as descriptor:
            told = os.fstat(descriptor)
            if told.st_nlink != 1:
                raise Denied(f"{path}: it has another name somewhere else")
            os.ftruncate(descriptor, 0)
    except NotFound:
        return []
    except OSError as error:
        raise files.trouble(path, error) from None
    return [Removed(path=path, size=told.st_size)]


def unless(reason: str, of: str) -> None:
    """NotSupported, if there is a reason why virtlogd does not rotate it."""
    if reason:
        raise NotSupported(f"{of}: only what virtlogd rotates is removed: {reason}")
