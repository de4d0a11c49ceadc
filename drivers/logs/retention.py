"""Which files of logs are to go by a policy of age and size: a decision about values, which removes nothing by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.driver import Retention


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A file of a log: `number` is None of the one that is written."""

    name: str
    number: int | None
    size: int
    modified: float
    inode: int
    device: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptLog:
    """A log that virtlogd rotates, with its files but for archives. `gone` if its domain is no more and
    nobody writes it."""

    folder: str
    name: str
    gone: bool
    files: Sequence[Kept]


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A file that is to go, of the log with this path."""

    log: str
    folder: str
    name: str
    size: int
    inode: int

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"


def due(logs: Iterable[KeptLog], policy: Retention, now: float) -> list[Due]:
    """The files that are to go, the oldest of each log first."""
    return [each for one in logs for each in _of(one, policy, now)]


def _of(one: KeptLog, policy: Retention, now: float) -> list[Due]:
    older = sorted((f for f in one.files if f.number is not None), key=lambda f: (-(f.number or 0), f.name))
    written = [f for f in one.files if f.number is None]
    going: list[Kept] = []
    total = sum(file.size for file in one.files)
    for file in older:
        too_old = policy.age is not None and now - file.modified > policy.age
        too_much = policy.size is not None and total > policy.size
        if too_old or too_much:
            going.append(file)
            total -= file.size
    if policy.gone and one.gone and policy.age is not None:
        newest = max((f.modified for f in one.files), default=now)
        if now - newest > policy.age:
            going = [*older, *written]
    return [
        Due(log=f"{one.folder}/{one.name}", folder=one.folder, name=f.name, size=f.size, inode=f.inode) for f in going
    ]
