"""The logs of one hypervisor: their rows, reading and searching them, and all that goes on beside that.

All methods block on disks of this host, and may be called by several threads. Of ten thousand logs of which nothing was written,
a reading costs two looks at each.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.driver import LogSettings, Task
from agent.errors import Busy, Failed, Invalid, NotFound, VirtmapError
from agent.model.log import DownloadLog, Log, LogMatched, ReadLog, SearchLog
from agent.schema.declare import Row
from drivers.logs import contents, files, reading
from drivers.logs.contents import Contents, Stats
from drivers.logs.files import Unreadable
from drivers.logs.following import Followed, Follower, Listener
from drivers.logs.lines import Line, escaped
from drivers.logs.listing import Guest, Known, Listing
from drivers.logs.ownership import older as older_of
from drivers.logs.places import Places
from drivers.logs.removing import Removing
from drivers.logs.searching import Result, Wanted, Words, search

GIVEN = 4 << 20
"""Octets of lines that one reading of a range gives."""

TRIES = 5
"""How often files that are renamed meanwhile are looked for."""

BACKUPS = 64
"""Numbers under which a file is looked for that had a smaller one; virtlogd keeps 32 at most."""

POLL = 0.25
"""Seconds between two looks at a log that is downloaded while it is written."""

PART = 1 << 20
"""Octets that are sent of it between two looks at most."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """Whom a collection tells: of a line that matched, by the path of its log; and of logs that changed."""

    matched: Callable[[str, LogMatched], None]
    changed: Callable[[Sequence[str]], None]


class Collection:
    """The logs of the hypervisor that the configuration calls `host`. Which domains it has is told by `learn`, before anything is
    read."""

    def __init__(
        self, host: str, places: Places, settings: LogSettings, told: Told, *, read_only: bool = False
    ) -> None:
        self._host, self._places, self._settings, self._told = host, places, settings, told
        self._listing = Listing(places)
        self._contents = Contents(settings.records, lambda: self._listing.owner)
        self.removing = Removing(
            host,
            places,
            self._listing,
            settings.retention,
            told.changed,
            read_only=read_only,
            retained=settings.retained,
        )
        self.follower: Follower | None = None
        self._begun = False

    def start(self) -> None:
        """Begin to follow, and to keep to the retention, as the configuration says; again is harmless."""
        if self._begun:
            return
        self._begun = True
        if self._settings.follow:
            listener = Listener(matched=self._told.matched, changed=self._told.changed, appeared=self._listing.appeared)
            self.follower = Follower(self._places.own, lambda: self._listing.owner, self._settings.rules, listener)
            self.follower.start()
        self.removing.start()

    def close(self) -> None:
        """End what was begun, without waiting."""
        self.removing.close()
        if self.follower is not None:
            self.follower.close()

    def learn(self, guests: Mapping[str, Guest]) -> bool:
        """The domains that exist now, by UUID; whether all logs are to be listed again for it. A few that differ are told."""
        paths = self._listing.learn(guests)
        if paths:
            self._told.changed(sorted(paths))
        return paths is None

    def refresh(self) -> list[Known]:
        """All logs that there are now; whoever follows them goes on with these."""
        found = self._listing.refresh()
        self._contents.keep_only({known.path for known in found})
        if self.follower is not None:
            named = {(known.folder, known.name): known.owner for known in found if not known.trouble}
            self.follower.follow(named | self._listing.elsewhere())
        return found

    def find(self, path: str) -> Known:
        """A log by its path. NotFound if there is none."""
        return self._listing.find(path)

    # Rows

    def rows(self, known: Known) -> list[Row]:
        """The row of a log, and those beneath it. NotFound if it has gone; what else cannot be read is told in the row."""
        told: Stats | None = None
        content, problem = contents.NOTHING, known.trouble
        if not problem:
            try:
                with files.directory(known.folder) as opened:
                    told = contents.stats(known, opened, self._listing.owner)
                    content = self._contents.read(known, opened, told)
                problem = "; ".join(filter(None, (content.problem, told.trouble)))
            except NotFound:
                raise
            except VirtmapError as error:
                problem = str(error)
        return [self._row(known, told, content, problem), *content.files, *content.records]

    def _row(self, known: Known, told: Stats | None, content: contents.Content, problem: str) -> Row:
        counted = self.follower.counts(known.path) if self.follower is not None else None
        current = told.current if told is not None else None
        sizes = told.sizes if told is not None else []
        written: dict[str, Any] = {}
        if current is not None:
            written = {"size": current.st_size, "modified": contents.time_of(current), "inode": current.st_ino}
        return Log(
            path=known.path, name=known.name, host=self._host, domain=known.owner.uuid, domain_name=known.owner.domain,
            kind=known.owner.kind, device=known.owner.device, rotation=self.removing.rotation(known, told),
            total=sum(sizes) if sizes else None, files=len(sizes), first_line=content.first, last_line=content.last,
            records=len(content.records), followed=counted is not None and not counted.problem,
            refreshed=datetime.now(UTC), problem=_and(problem, counted), **written, **_counts(counted),
        )  # fmt: skip

    # Operations

    def read(self, known: Known, operation: ReadLog) -> dict[str, Any]:
        """Some lines of one of its files."""
        name = known.name if operation.file is None else operation.file
        told = known.files.older.get(name)
        if told is None and name != known.name:
            raise Invalid(f"log {known.path}: {name!r} is none of its files")
        with (
            files.directory(known.folder) as opened,
            files.file(known.folder, opened, name, self._listing.owner) as descriptor,
        ):
            size = os.fstat(descriptor).st_size
            ending = told.ending if told is not None else None
            found, at = _range(descriptor, ending, name, size, operation, older=told is not None)
        begin = found[0].position if found else at
        end = found[-1].end if found else at
        text = "".join(f"{escaped(line.octets)}\n" for line in found)
        return {"text": text, "begin": begin, "end": end, "size": size}

    def search(self, known: Known, operation: SearchLog, task: Task) -> dict[str, Any]:
        """Records in all of its files."""
        words = None if not operation.pattern else Words(operation.pattern, case=operation.case)
        wanted = Wanted(
            words=words,
            since=operation.since,
            until=operation.until,
            severity=operation.severity,
            most=operation.records,
        )
        watch = _Watch(task, f"log {known.path}: cannot search")
        with files.directory(known.folder) as opened:
            told = self._all(known, opened)
            watch.whole = sum(told.sizes)
            result = search(self._walk(known, opened, told, watch), known.owner.kind, wanted, watch.look)
        return {"text": _listed(result), "found": len(result.found), "more": result.more}

    def _all(self, known: Known, opened: int) -> Stats:
        """What the system tells of all files of a log, each of them once, though they may be renamed meanwhile."""
        before: list[tuple[str, int]] = []
        for _ in range(TRIES):
            told = contents.stats(self._listing.find(known.path), opened, self._listing.owner)
            now = [(name, stat.st_ino) for name, _, stat in told.older]
            now += [(known.name, told.current.st_ino)] if told.current is not None else []
            if now == before and len({inode for _, inode in now}) == len(now):
                return told
            before = now
        raise Busy(f"log {known.path}: its files are renamed faster than they can be listed; ask again")

    def _walk(self, known: Known, opened: int, told: Stats, watch: _Watch) -> Iterator[tuple[str, Iterator[Line]]]:
        """The lines of all files, the oldest first."""
        for name, older, stat in reversed(told.older):
            yield name, self._lines(known, opened, name, stat, older.ending, watch)
        if told.current is not None:
            yield known.name, self._lines(known, opened, known.name, told.current, None, watch)

    def _lines(
        self, known: Known, opened: int, name: str, stat: os.stat_result, ending: str | None, watch: _Watch
    ) -> Iterator[Line]:
        with self._file(known, opened, name, stat.st_ino) as descriptor:
            yield from reading.lines(watch.counted(_as_told(descriptor, stat, ending, name)))

    @contextmanager
    def _file(self, known: Known, opened: int, name: str, inode: int) -> Iterator[int]:
        """The descriptor of the file that had this name and inode, though it may have the next name now. Unreadable if it has
        gone."""
        with ExitStack() as held:
            descriptor = self._found(known, opened, name, inode, held)
            if descriptor is None:
                raise Unreadable(f"{known.folder}/{name}: it was removed before it could be read; ask again")
            yield descriptor

    def _found(self, known: Known, opened: int, name: str, inode: int, held: ExitStack) -> int | None:
        for _ in range(TRIES):
            for each in _names(known, name):
                if _inode(opened, each) != inode:
                    continue
                with suppress(NotFound):  # renamed just now
                    descriptor = held.enter_context(files.file(known.folder, opened, each, self._listing.owner))
                    if os.fstat(descriptor).st_ino == inode:
                        return descriptor
        return None

    def download(self, known: Known, operation: DownloadLog, task: Task) -> dict[str, Any]:
        """All of it as it is, oldest first, and what is written meanwhile for some seconds."""
        watch = _Watch(task, f"log {known.path}: cannot download")
        with files.directory(known.folder) as opened:
            told = self._all(known, opened)
            if not operation.follow and all(each.ending is None for _, each, _ in told.older):
                task.expect(sum(told.sizes))
            for name, each, stat in reversed(told.older):
                with self._file(known, opened, name, stat.st_ino) as descriptor:
                    _send(watch.counted(_as_told(descriptor, stat, each.ending, name)), task)
            self._send_written(known, opened, told.current, operation.follow, task, watch)
        return {"transferred": watch.moved}

    def _send_written(
        self, known: Known, opened: int, told: os.stat_result | None, seconds: float, task: Task, watch: _Watch
    ) -> None:
        """The file that is written, as long as it was when it was looked at; and for so many seconds what is written to it, and to
        those after it."""
        until = time.monotonic() + seconds
        name, end = known.name, told.st_size if told is not None else 0
        inode = told.st_ino if told is not None else None
        while True:
            if inode is None:
                if time.monotonic() >= until:
                    return
                time.sleep(POLL)
                watch.look()
                inode = _inode(opened, known.name)
                continue
            with self._file(known, opened, name, inode) as descriptor:
                at = _send_part(descriptor, 0, end, task, watch)
                while True:
                    if time.monotonic() >= until:
                        return
                    watch.look()
                    after = self._after(known, opened, inode)
                    size = os.fstat(descriptor).st_size
                    if size < at:  # it was cut
                        at = 0
                    if size > at:
                        at = _send_part(descriptor, at, min(size, at + PART), task, watch)
                    elif after is not None:
                        break
                    else:
                        time.sleep(POLL)
            (name, inode), end = after, 0

    def _after(self, known: Known, opened: int, inode: int) -> tuple[str, int] | None:
        """Name and inode of the file that came after one; None if that is the one that is written, or the new one is still to be
        made. Unreadable if what came between may have gone."""
        current = _inode(opened, known.name)
        if current is None or current == inode:
            return None
        after, between = (known.name, current), False
        for name in _numbers(known.name, 0):
            now = _inode(opened, name)
            if now == inode:
                return after
            if now is not None:
                after, between = (name, now), True
        if between:
            raise Unreadable(
                f"{known.path}: it was rotated so fast that files were gone before they could be read; ask again"
            )
        return known.name, current


class _Watch:
    """Tells a task how far it is, and whether it was cancelled."""

    def __init__(self, task: Task, doing: str) -> None:
        self._task, self._doing = task, doing
        self._stopped = threading.Event()
        self.whole = 0
        self.moved = 0
        self._told = -1
        task.on_cancel(self._stopped.set)

    def look(self) -> None:
        if self._stopped.is_set():
            raise Failed(f"{self._doing}: it was cancelled")

    def counted(self, read: reading.Read) -> reading.Read:
        def next_part(most: int) -> bytes:
            self.look()
            octets = read(most)
            self.moved += len(octets)
            if self.whole and (percent := min(99, 100 * self.moved // self.whole)) != self._told:
                self._told = percent
                self._task.progress(percent)
            return octets

        return next_part


def _names(known: Known, name: str) -> Iterator[str]:
    """The name of a file, and those that it may have got since."""
    yield name
    if name == known.name:
        yield from _numbers(known.name, 0)
    elif (told := older_of(name)) is not None and told.number is not None:
        yield from _numbers(told.base, told.number + 1, told.ending)


def _numbers(base: str, first: int, ending: str | None = None) -> Iterator[str]:
    for number in range(first, first + BACKUPS):
        yield f"{base}.{number}" if ending is None else f"{base}.{number}.{ending}"


def _inode(opened: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=opened, follow_symlinks=False).st_ino
    except OSError:  # it has gone, or is nothing to us, which opening it would tell
        return None


def _as_told(descriptor: int, stat: os.stat_result, ending: str | None, name: str) -> reading.Read:
    """A file as long as it was when it was looked at, or what is packed in it."""
    read = reading.unpacker(descriptor, ending, name)
    return read if ending is not None else reading.bounded(read, stat.st_size)


def _send(read: reading.Read, task: Task) -> None:
    while part := read(reading.BLOCK):
        task.send(part)


def _send_part(descriptor: int, begin: int, end: int, task: Task, watch: _Watch) -> int:
    """Send a part of a file, and tell where it ends, which is sooner if it was cut."""
    before = watch.moved
    _send(watch.counted(reading.bounded(reading.reader(descriptor, begin), end - begin)), task)
    return begin + watch.moved - before


def _range(
    descriptor: int, ending: str | None, name: str, size: int, operation: ReadLog, *, older: bool
) -> tuple[list[Line], int]:
    """The lines that are asked for, and where reading began, or would have. Invalid if no line of an older file begins there, as
    another one may have its name by now."""
    at = operation.position
    if ending is not None:
        read = reading.unpacker(descriptor, ending, name)
        if at is None:
            found = reading.last_unpacked(read, operation.lines, GIVEN)
            return found, found[-1].end if found else 0
        return reading.some_lines(reading.skipped(read, at, name, GIVEN), at, operation.lines, GIVEN), at
    if at is None:
        return reading.last_lines(descriptor, size, operation.lines), size
    if at > size:
        raise Invalid(f"{name}: its length is {size}, and {at} is beyond that")
    if older and not reading.begins(descriptor, at, size, GIVEN):
        raise Invalid(reading.no_line(name, at))
    return reading.some_lines(
        reading.bounded(reading.reader(descriptor, at), size - at), at, operation.lines, GIVEN
    ), at


def _listed(result: Result) -> str:
    rows = [f"{name}\t-\t-\t-\t{why}\n" for name, why in result.unread.items()]
    for one in result.found:
        time_ = "-" if one.time is None else one.time.isoformat()
        severity = "-" if one.meaning.severity is None else one.meaning.severity.label
        rows.append(f"{one.file}\t{one.position}\t{time_}\t{severity}\t{one.text}\n")
    return "".join(rows)


def _counts(counted: Followed | None) -> dict[str, Any]:
    if counted is None:
        return {}
    return {
        "lines": counted.lines, "written": counted.written, "errors": counted.errors, "warnings": counted.warnings,
        "matches": counted.matches, "counted_since": counted.since,
    }  # fmt: skip


def _and(problem: str, counted: Followed | None) -> str:
    more = counted.trouble() if counted is not None else ""
    return "; ".join(dict.fromkeys(filter(None, (problem, more))))
