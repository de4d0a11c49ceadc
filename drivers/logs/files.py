"""Opening a log that somebody else may have put there: never by a symbolic link of somebody's, and never waiting.

Root may read and remove what others cannot. So a directory is opened part by part, and a link on the way is followed only if
it is root's or our own, and none of those of /proc, which lead into other processes; and a log is a regular file, no link, and, of
a hypervisor that another account runs, that account's.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agent.errors import Denied, Failed, NotFound, VirtmapError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
_PASSED = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

LINKS = 40
"""Symbolic links that are followed on the way to a directory."""

ENTRIES = 100_000
"""Names that are read of one directory at most."""


_OF_THE_KERNEL = frozenset({
    0x9FA0, 0x62656572, 0x1CD1, 0x27E0EB, 0x63677270, 0x64626720, 0x74726163, 0x73636673, 0x62656570, 0xCAFE4A11, 0xDE5E81E4,
})  # fmt: skip
"""Kinds of file systems, as statfs(2) numbers them, whose files are the kernel's and never logs: proc, sysfs, devpts, cgroups,
debugfs, tracefs, securityfs, configfs, bpf and efivarfs."""

_PROC = 0x9FA0

_LIBC = ctypes.CDLL(None, use_errno=True)

Inode = tuple[int, int]
"""Device and number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A directory that was opened: its path without any link, its inode, and whose it is."""

    path: str
    inode: Inode
    owner: int


class Unreadable(Failed):
    """This file cannot be read; another one may."""


def trouble(path: str, error: OSError) -> VirtmapError:
    """What an error of the system means to us."""
    why = f"{path}: {os.strerror(error.errno or 0)}"
    if isinstance(error, FileNotFoundError):
        return NotFound(why)
    return Denied(why) if isinstance(error, PermissionError) else Unreadable(why)


@contextmanager
def directory(path: str) -> Iterator[int]:
    """The descriptor of a directory, for as long as the block lasts. NotFound, Denied or Failed if it cannot be opened, or if
    the system fails within the block."""
    try:
        opened = _opened(path)
    except OSError as error:
        raise trouble(path, error) from None
    try:
        yield opened
    except OSError as error:
        raise trouble(path, error) from None
    finally:
        os.close(opened)


def _opened(path: str) -> int:
    """Part by part, also of what a link says, so that nobody can put another link there meanwhile."""
    here = os.open("/", _PASSED)
    try:
        parts, links = _parts(path), 0
        while parts:
            part = parts.pop()
            try:
                there = os.open(part, _PASSED, dir_fd=here)
            except NotADirectoryError:
                said = _said(here, part, path)
                parts += _parts(said)
                links += 1
                if links > LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
                if not said.startswith("/"):
                    continue
                there = os.open("/", _PASSED)
            os.close(here)
            here = there
        return os.open(".", _DIRECTORY, dir_fd=here)
    finally:
        os.close(here)


def _parts(path: str) -> list[str]:
    """The parts of a path, the last one first."""
    return [part for part in reversed(path.split("/")) if part]


def _said(here: int, part: str, path: str) -> str:
    """What a link says, if it may be followed."""
    link = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    try:
        told = os.fstat(link)
        if not stat.S_ISLNK(told.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if _kind(here) == _PROC:
            raise Denied(f"{path}: {part} is a link into a process")
        if told.st_uid not in (0, os.geteuid()):
            raise Denied(f"{path}: {part} is a symbolic link of somebody else's")
        return os.readlink("", dir_fd=link)
    finally:
        os.close(link)


def _kind(opened: int) -> int:
    """The kind of file system that a directory is on, as statfs(2) numbers it; 0 where there are no such numbers."""
    if sys.platform != "linux":
        return 0
    told = (ctypes.c_long * 64)()  # longer than any struct statfs, which begins with its kind
    if _LIBC.fstatfs(opened, told) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(told[0])


def place(path: str, *, anywhere: bool = False) -> Place:
    """Where a directory really is; `anywhere` if it is none of a hypervisor's own. NotFound, Denied or Failed if it cannot be
    opened, or be told, or if what is there is the kernel's."""
    with directory(path) as opened:
        told = os.fstat(opened)
        if anywhere and _is_of_the_kernel(opened, told):
            raise Denied(f"{path}: no logs are there, but what the kernel shows")
        real = os.readlink(f"/proc/self/fd/{opened}")
        now = os.stat(real, follow_symlinks=False)
        if (now.st_dev, now.st_ino) != (told.st_dev, told.st_ino) or not real.isprintable():
            raise Denied(f"{path}: where it leads cannot be told")
        return Place(path=real, inode=(told.st_dev, told.st_ino), owner=told.st_uid)


def _is_of_the_kernel(opened: int, told: os.stat_result) -> bool:
    devices = os.stat("/dev").st_dev  # whose kind is that of any file system in memory
    return _kind(opened) in _OF_THE_KERNEL or told.st_dev == devices != os.stat("/").st_dev


def beneath(path: str, folder: str) -> bool:
    """Whether a plain path is a directory, or within it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def names(path: str) -> list[str]:
    """The names in a directory, of which there must not be too many."""
    found: list[str] = []
    with directory(path) as opened, os.scandir(opened) as entries:
        for entry in entries:
            found.append(entry.name)
            if len(found) > ENTRIES:
                raise Failed(f"{path}: there are more than {ENTRIES} files")
    return found


def checked(told: os.stat_result, path: str, owner: int) -> os.stat_result:
    """What the system tells of a file, if it may be a log of a hypervisor that `owner` runs. Failed or Denied if it is none."""
    if stat.S_ISLNK(told.st_mode):
        raise Denied(f"{path}: it is a symbolic link, which is not followed")
    if not stat.S_ISREG(told.st_mode):
        raise Unreadable(f"{path}: it is not a regular file")
    if owner and os.geteuid() == 0 and told.st_uid != owner:
        raise Denied(f"{path}: it belongs to another account than the hypervisor")
    return told


def looked_up(path: str, opened: int, name: str, owner: int) -> os.stat_result:
    """What the system tells of a file in an open directory, which is called `path`."""
    whole = f"{path}/{name}"
    try:
        return checked(os.stat(name, dir_fd=opened, follow_symlinks=False), whole, owner)
    except OSError as error:
        raise trouble(whole, error) from None


@contextmanager
def file(path: str, opened: int, name: str, owner: int, flags: int = os.O_RDONLY) -> Iterator[int]:
    """The descriptor of a file in an open directory, for as long as the block lasts."""
    whole = f"{path}/{name}"
    try:
        descriptor = os.open(name, flags | _FILE, dir_fd=opened)
    except OSError as error:
        looked_up(path, opened, name, owner)  # which knows better why not, if it was a link
        raise trouble(whole, error) from None
    try:
        checked(os.fstat(descriptor), whole, owner)
        yield descriptor
    except OSError as error:  # the disk, or whatever it is, fails
        raise trouble(whole, error) from None
    finally:
        os.close(descriptor)
