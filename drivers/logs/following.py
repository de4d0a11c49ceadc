"""Seeing lines come: one thread for all logs of a hypervisor, which counts them and looks for the patterns of the configuration.

The directories are watched, so that nothing is done while nothing is written. Of each log is remembered which file was being
written, by its inode, and how far it was read. When it was rotated, the rest of it is read where it is now, `NAME.log.0` or
further on, then every file that came between, then the new one: every line once, also one that goes on in the next file.

A guest may write faster than anybody can read, and lines in which it takes long to look for a pattern. Only so much is read of
each log, and of all of them, in a round, and only so long are patterns looked for; who is further behind than that goes on with
the newest, and what was left out is counted and told. Nothing is kept in memory but
the counts.
"""

from __future__ import annotations

import fnmatch
import logging
import math
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent.driver import LogRule
from agent.errors import NotFound, VirtmapError
from agent.model.log import LogMatched, LogSource
from agent.model.occurrence import PerceivedSeverity
from agent.patterns import Search
from drivers.logs import files
from drivers.logs.inotify import (
    CREATE,
    DELETE,
    DELETE_SELF,
    IGNORED,
    MODIFY,
    MOVE_SELF,
    MOVED_FROM,
    MOVED_TO,
    OVERFLOW,
    Event,
    Inotify,
)
from drivers.logs.lines import LINE, Line, decoded, escaped, meaning
from drivers.logs.ownership import Owner, older, owner_of
from drivers.logs.reading import bounded, lines, reader

log = logging.getLogger("virtmap.logs")

ROUND = 0.25
"""Seconds in which what is written is gathered, before it is read: half of them, on average, is how late a line is seen."""

PORTION = 256 << 10
"""Octets that are read of one log in a round."""

ALL = 1 << 20
"""Octets that are read of all logs in a round."""

BEHIND = 4 << 20
"""Whoever has more than so many octets before it goes on with the newest PORTION."""

LOOKED_AT = 4096
"""Octets of a line in which patterns are looked for."""

SEARCHING = 0.025
"""Seconds of processor that patterns may be looked for in one log in a round. Whoever writes lines that take longer is read no
further until the next round, and is behind sooner."""

SEARCHING_ALL = 0.1
"""The same, in all logs."""

TOLD_EVERY = 0.5
"""Seconds between two matches of one rule in one log that are told."""

CHANGES_EVERY = 5.0
"""Seconds between two tellings that logs changed."""

LOOK_EVERY = 60.0
"""Seconds after which all logs are looked at, in case that something was not told."""

LOOK_FOR_FOLDERS = 5.0
"""The same for one directory, while it is not there."""

LOOK_WITHOUT_EVENTS = 1.0
"""The same, where the system tells nothing; for one directory that cannot be watched, twice as long each time."""

LOOK_UNWATCHED = 8.0
"""The longest that it gets."""

SHOWN = 300.0
"""Seconds for which it is told that something was left out."""

FRESH = 1000
"""Names that are remembered of one directory that may turn out to be those of logs."""

CLOCK = 0.02
"""Seconds that times of files may be behind the clock."""

KNOWN_BY = 32
"""Octets by which a file is known."""

BACKUPS = 64
"""Older files in which the rest of a log is looked for; virtlogd keeps 32 at most."""


@dataclass(kw_only=True, slots=True)
class Followed:
    """How far a log was read, and what was counted. Written by the follower alone."""

    folder: str
    name: str
    owner: Owner
    since: datetime
    rules: Sequence[_Rule] = ()
    inode: int = 0
    offset: int = 0
    before: bytes = b""
    """What stands right before that place, by which the file is known: another one may get the inode of one that is gone."""
    carried: bytes = b""
    """The beginning of a line that goes on in the file that is written now."""
    unsettled: bool = False
    """Whether it could not be looked at yet, so that what it has when it can is not new."""
    unread: bool = False
    """Whether it was written since it was last read to its end."""
    unheard: bool = False
    """Whether it was found to be another file before that was told."""
    cut: bool = False
    """Whether it had become shorter then, which is no loss if it was not removed."""
    gone: bool = False
    """Whether it was found to be gone before that was told."""
    fresh: float = 0.0
    """Since when all that was written belongs to it, if it was not read yet at all; older files of after that are its own too."""
    lines: int = 0
    written: int = 0
    errors: int = 0
    warnings: int = 0
    matches: int = 0
    left_out: int = 0
    """Octets that were not read since they came too fast."""
    lost: int = 0
    """Files that were gone before they were read to their end."""
    left_out_at: float = 0.0
    problem: str = ""

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"

    def trouble(self) -> str:
        """What to tell of it, if not all is well."""
        if not (self.left_out or self.lost) or time.monotonic() - self.left_out_at > SHOWN:
            return self.problem
        parts = [f"{self.left_out} octets came too fast to be followed"] if self.left_out else []
        parts += [f"{self.lost} files were gone before they were read to their end"] if self.lost else []
        return "; ".join([*parts, self.problem] if self.problem else parts)


@dataclass(kw_only=True, slots=True)
class _Rule:
    """A rule of the configuration, and the automaton that finds it."""

    rule: LogRule
    search: Search

    def concerns(self, owner: Owner) -> bool:
        rule = self.rule
        named = not rule.domains or any(fnmatch.fnmatchcase(owner.domain, each) for each in rule.domains)
        return named and (not rule.kinds or owner.kind in rule.kinds)


@dataclass(kw_only=True, slots=True)
class _Matched:
    """Matches of one rule in one log: when one was told, and those since then."""

    told: float = float("-inf")
    count: int = 0
    event: LogMatched | None = None


@dataclass(frozen=True, kw_only=True)
class Listener:
    """Whom the follower tells. Each is called in its thread, is quick, and never raises."""

    matched: Callable[[str, LogMatched], None]
    """A line of the log with this path matched."""
    changed: Callable[[Sequence[str]], None]
    """These logs have grown, or began a new file."""
    appeared: Callable[[str, str], Owner | None]
    """A file that nobody claimed so far is there, by directory and name: whose log it is, if it is one."""


@dataclass(slots=True)
class _Folder:
    """A directory with logs: its watch, and whether it was seen before, so that what is in it now is new."""

    path: str
    watch: int | None = None
    seen: float = 0.0
    """Since when; 0 if not yet."""
    due: float = math.inf
    """When to look at it, and its logs, before all are looked at."""
    wait: float = LOOK_WITHOUT_EVENTS
    """Seconds until then, while it cannot be watched."""
    logs: dict[str, Followed] = field(default_factory=dict)
    fresh: dict[str, None] = field(default_factory=dict)
    """Files that came since then, and that are not known as logs, or not yet."""


class Follower:
    """The thread. `owner` is the account of the hypervisor; its own directories are followed as a whole, others for the logs
    that are named only."""

    def __init__(
        self, folders: Iterable[str], owner: Callable[[], int], rules: Sequence[LogRule], listener: Listener
    ) -> None:
        self._listener = listener
        self._owner = owner
        self._rules = [_Rule(rule=rule, search=Search(rule.pattern)) for rule in rules]
        self._own = tuple(folders)
        self._folders: dict[str, _Folder] = {path: _Folder(path) for path in self._own}
        self._watched: dict[int, list[_Folder]] = {}
        """By watch: several paths may lead to one directory."""
        self._wanted: Mapping[tuple[str, str], Owner] | None = None
        self._known: Mapping[str, Followed] = {}
        self._dirty: dict[str, Followed] = {}
        self._unheard: list[Followed] = []
        self._changed: dict[str, None] = {}
        self._pending: dict[tuple[str, str], _Matched] = {}
        self._changes_due = self._look_due = 0.0
        self._searched = self._search_until = 0.0
        """Seconds of processor that patterns were looked for in this round, and may be for the log that is read now."""
        self._end = threading.Event()
        self._events: Inotify | None = None
        self.problem = ""
        """Why lines are not seen at once; empty if they are."""
        self._wake_out, self._wake_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._waking = threading.Lock()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="virtmap-logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread, without waiting."""
        self._end.set()
        self._wake()

    def wait_begun(self, seconds: float) -> bool:
        """Wait until what is there is known, so that whatever is written from then on is seen; whether it is."""
        return self._begun.wait(seconds)

    def follow(self, wanted: Mapping[tuple[str, str], Owner]) -> None:
        """From now on these logs, by directory and name, whether they are there or not."""
        self._wanted = wanted
        self._wake()

    def counts(self, path: str) -> Followed | None:
        """What was counted of a log; None if it is not followed."""
        return self._known.get(path)

    def _wake(self) -> None:
        with self._waking:
            if self._wake_in >= 0:
                try:
                    os.write(self._wake_in, b"\0")
                except BlockingIOError:  # it was woken often enough
                    return

    # The thread

    def _run(self) -> None:
        try:
            self._open()
            while not self._end.is_set():
                try:
                    self._turn()
                except Exception:
                    log.exception("a fault of the agent; logs are followed again in a minute")
                    self._end.wait(LOOK_EVERY)
        finally:
            if self._events is not None:
                self._events.close()
            with self._waking:
                os.close(self._wake_in)
                os.close(self._wake_out)
                self._wake_in = -1

    def _open(self) -> None:
        try:
            self._events = Inotify()
        except OSError as error:
            self._warn(f"the system tells no changes, so that logs are looked at now and then: {error.strerror}")

    def _warn(self, problem: str) -> None:
        """Tell it once."""
        if problem != self.problem:
            self.problem = problem
            log.warning("%s", problem)

    def _turn(self) -> None:
        """One round: take what is wanted and what happened, read what was written, tell what was found."""
        now = time.monotonic()
        wanted, self._wanted = self._wanted, None
        self._hear()  # first, so that a log that came before it was wanted is known to have come
        if wanted is not None:
            self._take(wanted)
        if now >= self._look_due:
            self._look_due = now + (LOOK_EVERY if self._events is not None else LOOK_WITHOUT_EVENTS)
            self._look(self._folders.values())
        elif due := [place for place in self._folders.values() if place.due <= now]:
            self._look(due)
        self._hear()
        self._advance_all()
        self._tell(time.monotonic())
        self._begun.set()
        self._sleep(self._rest())

    def _rest(self) -> float:
        """Seconds until there is something to do, if nothing happens."""
        if self._dirty or self._pending:
            return ROUND
        due = min(self._look_due, self._changes_due if self._changed else math.inf)
        due = min([due, *(place.due for place in self._folders.values())])
        return max(ROUND, due - time.monotonic())

    def _sleep(self, seconds: float) -> None:
        """Until something happens, at most so long; and then a moment more, in which more of it gathers."""
        if self._end.is_set():
            return
        gathered = time.monotonic() + ROUND
        told = [self._wake_out, *([self._events.fileno()] if self._events is not None else [])]
        if _ready(told, seconds):
            _drain(self._wake_out)
            left = gathered - time.monotonic()
            if left > 0 and self._wanted is None and not self._end.is_set() and _ready([self._wake_out], left):
                _drain(self._wake_out)

    # Which logs

    def _take(self, wanted: Mapping[tuple[str, str], Owner]) -> None:
        for (folder, name), owner in wanted.items():
            place = self._folders.get(folder)
            if place is None:
                place = self._folders[folder] = _Folder(folder)
                place.due = 0.0  # to watch it
            known = place.logs.get(name)
            if known is None:
                self._begin(place, name, owner, fresh=self._is_fresh(place, name))
                place.fresh.pop(name, None)
            elif known.owner != owner:
                known.owner, known.rules = owner, self._rules_for(owner)
        for path, place in list(self._folders.items()):
            for name in [each for each in place.logs if (path, each) not in wanted]:
                if path not in self._own or not self._is_there(place, name):
                    self._forget(place, name)
            if path not in self._own and not place.logs:
                self._leave(place)
        self._publish()

    def _is_fresh(self, place: _Folder, name: str) -> bool:
        """Whether a log came since its directory is watched: it was told, or would be known if it had been there."""
        noticed = place.path in self._own and owner_of(name) is not None
        return name in place.fresh or (noticed and bool(place.seen))

    def _rules_for(self, owner: Owner) -> Sequence[_Rule]:
        return [rule for rule in self._rules if rule.concerns(owner)]

    def _is_there(self, place: _Folder, name: str) -> bool:
        return os.path.lexists(f"{place.path}/{name}")

    def _begin(self, place: _Folder, name: str, owner: Owner, *, fresh: bool) -> None:
        """Follow one more log: from its end on, or from its beginning if it came since its directory is watched."""
        made = Followed(
            folder=place.path, name=name, owner=owner, since=datetime.now(UTC), rules=self._rules_for(owner)
        )
        place.logs[name] = made
        if fresh:
            made.fresh = place.seen
            self._dirty[made.path] = made
        else:
            self._settle(made)

    def _settle(self, followed: Followed) -> None:
        """What it has now is not new."""
        try:
            with files.directory(followed.folder) as opened:
                told = files.looked_up(followed.folder, opened, followed.name, self._owner())
        except NotFound:
            return
        except VirtmapError as error:
            followed.problem, followed.unsettled = str(error), True
            return
        followed.inode, followed.offset = told.st_ino, told.st_size

    def _forget(self, place: _Folder, name: str) -> None:
        path = place.logs.pop(name).path
        self._dirty.pop(path, None)
        for key in [each for each in self._pending if each[0] == path]:
            del self._pending[key]

    def _leave(self, place: _Folder) -> None:
        del self._folders[place.path]
        self._unwatch(place)

    def _unwatch(self, place: _Folder) -> None:
        """It has no watch any more, which ends if it was the last that had it."""
        number, place.watch = place.watch, None
        if number is None or self._events is None:
            return
        left = [each for each in self._watched.get(number, ()) if each is not place]
        if left:
            self._watched[number] = left
        elif self._watched.pop(number, None) is not None:
            self._events.unwatch(number)

    def _publish(self) -> None:
        self._known = {each.path: each for place in self._folders.values() for each in place.logs.values()}

    # What happens

    def _look(self, places: Iterable[_Folder]) -> None:
        """Watch what is not watched yet, find what is new, and look at everything."""
        for place in places:
            place.due = math.inf
            try:
                with files.directory(place.path) as opened:
                    self._watch(place, opened)
                self._look_in(place)
            except NotFound:  # whatever is in it one day is new
                self._unwatch(place)
                place.due = time.monotonic() + LOOK_FOR_FOLDERS
            except VirtmapError as error:
                for followed in place.logs.values():
                    followed.problem = str(error)
                continue
            place.seen = place.seen or time.time() - CLOCK
            self._dirty.update((each.path, each) for each in place.logs.values())
        self._publish()

    def _look_in(self, place: _Folder) -> None:
        """Find logs that nobody told of, and forget what is there no more."""
        for name in [each for each in place.fresh if not self._is_there(place, each)]:
            del place.fresh[name]
        if place.path not in self._own:
            return
        there = set(files.names(place.path))
        for name in [each for each, its in place.logs.items() if not its.inode and each not in there]:
            self._forget(place, name)
        for name in there:
            self._notice(place, name)

    def _watch(self, place: _Folder, opened: int) -> None:
        if self._events is None:
            return
        try:
            number = self._events.watch(opened)
        except OSError as error:
            self._warn(f"{place.path} cannot be watched, so that its logs are looked at now and then: {error.strerror}")
            place.due = time.monotonic() + place.wait
            place.wait = min(2 * place.wait, LOOK_UNWATCHED)
            return
        place.wait = LOOK_WITHOUT_EVENTS
        if number != place.watch:
            self._unwatch(place)
            place.watch = number
            self._watched.setdefault(number, []).append(place)

    def _notice(self, place: _Folder, name: str) -> None:
        """A file that is there: begin to follow it, if it is a log that nobody named."""
        if name in place.logs or older(name) is not None or place.path not in self._own:
            return
        owner = self._listener.appeared(place.path, name)
        if owner is not None:
            self._begin(place, name, owner, fresh=bool(place.seen))
            if place.seen:
                self._changed[f"{place.path}/{name}"] = None

    def _hear(self) -> None:
        if self._events is None:
            return
        noticed = False
        for event in self._events.events():
            if event.mask & OVERFLOW:
                self._look_due = 0.0
            elif event.mask & (IGNORED | MOVE_SELF | DELETE_SELF):
                for place in self._watched.get(event.watch, [])[:]:
                    self._unwatch(place)
                    place.due = 0.0
            else:
                for place in self._watched.get(event.watch, ()):
                    noticed |= self._happened(place, event)
        for followed in self._unheard:
            followed.unheard = False
        self._unheard.clear()
        if noticed:
            self._publish()

    def _happened(self, place: _Folder, event: Event) -> bool:
        """Something happened to a file of it; whether a log may have come with it."""
        followed, noticed = place.logs.get(event.name), False
        if followed is None and event.mask & (CREATE | MOVED_TO):
            self._notice(place, event.name)
            noticed, followed = True, place.logs.get(event.name)
            if followed is None and len(place.fresh) < FRESH:
                place.fresh[event.name] = None
        if followed is None:
            return noticed
        if event.mask & MODIFY:
            followed.unread = True
        if event.mask & DELETE:
            self._told_removed(followed)
        if event.mask & (MODIFY | CREATE | MOVED_FROM | MOVED_TO | DELETE):
            self._dirty[followed.path] = followed
        return noticed

    def _told_removed(self, followed: Followed) -> None:
        if not followed.unheard:
            self._removed(followed, unread=followed.unread)
            return
        # it was found out before, and the file that is read now is another one
        if followed.cut and followed.unread:
            self._count_lost(followed)
        followed.unheard = False

    def _removed(self, followed: Followed, *, unread: bool) -> None:
        """Whatever has its name next is another file, also with the same inode. If the last of it was `unread`, that is lost."""
        followed.unsettled = False
        if unread:
            self._count_lost(followed)
        followed.unread = False
        _from_the_beginning(followed, 0)

    # Reading

    def _advance_all(self) -> None:
        """Read what was written, in turn. Who has more than a portion has the rest in the next round, after the others."""
        left, self._searched = ALL, 0.0
        again: dict[str, Followed] = {}
        opened_folders: dict[str, list[Followed]] = {}
        turn, self._dirty = self._dirty, {}
        for followed in turn.values():
            opened_folders.setdefault(followed.folder, []).append(followed)
        for folder, some in opened_folders.items():
            try:
                with files.directory(folder) as opened:
                    for followed in some:
                        if left <= 0 or self._searched >= SEARCHING_ALL:
                            again[followed.path] = followed
                            continue
                        self._search_until = min(self._searched + SEARCHING, SEARCHING_ALL)
                        read, more = self._advance(followed, opened, min(PORTION, left))
                        left -= read
                        if more:
                            self._dirty[followed.path] = followed
            except VirtmapError as error:
                for followed in some:
                    followed.problem = str(error)
        self._dirty = again | self._dirty

    def _advance(self, followed: Followed, opened: int, most: int) -> tuple[int, bool]:
        """Read at most so much of a log; how much that was, and whether there is more."""
        spent = 0
        try:
            with files.file(followed.folder, opened, followed.name, self._owner()) as descriptor:
                told = os.fstat(descriptor)
                followed.gone = False
                if followed.unsettled:  # what it has now is not new
                    _from_the_beginning(followed, told.st_ino)
                    followed.offset, followed.unsettled = told.st_size, False
                if followed.fresh:
                    self._begin_with_the_oldest(followed, opened)
                while followed.inode not in (0, told.st_ino):
                    read, ended = self._finish(followed, opened, told.st_ino, most - spent)
                    spent += read
                    if not ended:
                        return spent, True
                if told.st_size < followed.offset:  # it was cut, or is another one with the same inode
                    self._begin_anew(followed, told.st_ino, cut=True)
                elif not _is_known(followed, descriptor):
                    self._lose(followed, told.st_ino)
                followed.inode, followed.problem = told.st_ino, ""
                read, more = self._read(followed, descriptor, told.st_size, most - spent)
                followed.unread = told.st_size > followed.offset
                return spent + read, more
        except NotFound:
            return self._while_gone(followed, opened, most - spent)
        except VirtmapError as error:
            followed.problem = str(error)
            return spent, False

    def _while_gone(self, followed: Followed, opened: int, most: int) -> tuple[int, bool]:
        """It is not there: perhaps it was renamed, and the new one is still to be made."""
        followed.unsettled = False  # whatever comes is new
        if not followed.inode:
            return 0, False
        chain = self._chain(followed, opened)
        if chain is None:
            if not followed.gone:  # it will be told whether it was written to since it was read
                followed.gone = True
                return 0, True
            self._removed(followed, unread=followed.unread or self._events is None)
            self._changed[followed.path] = None
            return 0, False
        read, ended = self._older(followed, opened, chain[0], most)
        return read, not ended

    def _chain(self, followed: Followed, opened: int) -> list[str] | None:
        """The names of the file that was being read and of those that came after it, but for the one that is written now; None
        if it is no more."""
        between: list[str] = []
        for number in range(BACKUPS):
            name = f"{followed.name}.{number}"
            try:
                told = os.stat(name, dir_fd=opened, follow_symlinks=False)
            except OSError:
                if number:  # logrotate begins with 1
                    return None
                continue
            between.append(name)
            if told.st_ino == followed.inode:
                with files.file(followed.folder, opened, name, self._owner()) as descriptor:
                    return between[::-1] if _is_known(followed, descriptor) else None
        return None

    def _begin_with_the_oldest(self, followed: Followed, opened: int) -> None:
        """A log that came just now may have been rotated before it was looked at for the first time."""
        since, followed.fresh = followed.fresh, 0.0
        for number in range(BACKUPS):
            try:
                told = files.looked_up(followed.folder, opened, f"{followed.name}.{number}", self._owner())
            except NotFound:
                if number:
                    return
                continue
            if told.st_mtime < since:
                return
            followed.inode = told.st_ino

    def _lose(self, followed: Followed, inode: int) -> None:
        """The file that was being read is no more; go on with the one with that inode."""
        self._count_lost(followed)
        self._begin_anew(followed, inode, cut=False)

    def _count_lost(self, followed: Followed) -> None:
        followed.lost += 1
        followed.left_out_at = time.monotonic()
        self._changed[followed.path] = None

    def _begin_anew(self, followed: Followed, inode: int, *, cut: bool) -> None:
        """Go on with the beginning of a file. That the one before was removed, if it was, will be told only now."""
        followed.unheard, followed.cut = True, cut
        self._unheard.append(followed)
        _from_the_beginning(followed, inode)

    def _finish(self, followed: Followed, opened: int, inode: int, most: int) -> tuple[int, bool]:
        """The file was renamed: read the rest of it, and go on with the one after it, at last with that inode. How much was read,
        and whether it was all."""
        chain = self._chain(followed, opened)
        self._changed[followed.path] = None
        if chain is None:
            self._lose(followed, inode)
            return 0, True
        read, ended = self._older(followed, opened, chain[0], most)
        if not ended:
            return read, False
        try:
            after = os.stat(chain[1], dir_fd=opened, follow_symlinks=False).st_ino if len(chain) > 1 else inode
            with files.file(followed.folder, opened, chain[0], self._owner()) as descriptor:
                told = os.fstat(descriptor)
                if told.st_ino != followed.inode or after == followed.inode:  # renamed once more
                    return read, False
                self._carry(followed, descriptor, told.st_size)
        except (NotFound, FileNotFoundError):  # renamed just now; the next round finds it
            return read, False
        followed.inode, followed.offset, followed.before = after, 0, b""
        return read, True

    def _older(self, followed: Followed, opened: int, name: str, most: int) -> tuple[int, bool]:
        """Read on in a file that was renamed; how much that was, and whether there is no more."""
        try:
            with files.file(followed.folder, opened, name, self._owner()) as descriptor:
                told = os.fstat(descriptor)
                if told.st_ino != followed.inode:  # it was renamed once more
                    return 0, False
                read, more = self._read(followed, descriptor, told.st_size, most)
                return read, not more
        except NotFound:
            return 0, False

    def _carry(self, followed: Followed, descriptor: int, size: int) -> None:
        """What has no line feed at the end of a file goes on in the next one."""
        rest = size - followed.offset
        if rest > 0:
            followed.carried = (followed.carried + os.pread(descriptor, min(rest, LINE), followed.offset))[:LINE]
            followed.written += rest

    def _read(self, followed: Followed, descriptor: int, size: int, most: int) -> tuple[int, bool]:
        """Read lines from where it stands on; how much that was, and whether there is more. A line that has no end yet is left
        for the next time."""
        if size - followed.offset > BEHIND:
            self._skip(followed, descriptor, size)
        begin = followed.offset
        most = min(most, size - begin)
        if most <= 0:
            return 0, size > begin
        for line in lines(bounded(reader(descriptor, begin), most), begin, followed.carried):
            if not line.whole and line.end - begin < PORTION:
                break
            followed.written += line.end - followed.offset
            followed.offset, followed.carried = line.end, b""
            self._count(followed, line)
            followed.lines += 1
            if self._searched >= self._search_until:
                most = followed.offset - begin
                break
        if followed.offset > begin:
            known_by = min(KNOWN_BY, followed.offset)
            followed.before = os.pread(descriptor, known_by, followed.offset - known_by)
            self._changed[followed.path] = None
        return most, begin + most < size

    def _skip(self, followed: Followed, descriptor: int, size: int) -> None:
        """Go on with the newest, from the beginning of a line if there is one soon."""
        goal = size - PORTION
        feed = os.pread(descriptor, LINE, goal).find(b"\n")
        goal += feed + 1
        followed.left_out += goal - followed.offset
        followed.left_out_at = time.monotonic()
        followed.written += goal - followed.offset
        followed.offset, followed.carried, followed.before = goal, b"", b""

    # What a line says

    def _count(self, followed: Followed, line: Line) -> None:
        text = decoded(line.octets[:LOOKED_AT])
        meant = meaning(text, followed.owner.kind)
        severity = meant.severity
        if severity is not None:
            if severity >= PerceivedSeverity.MAJOR:
                followed.errors += 1
            elif severity >= PerceivedSeverity.WARNING:
                followed.warnings += 1
        if not followed.rules:
            return
        began = time.thread_time()
        hit = [each.rule for each in followed.rules if each.search.found(text)]
        self._searched += time.thread_time() - began
        if not hit:
            return
        followed.matches += 1
        for rule in hit:
            known = self._pending.setdefault((followed.path, rule.name), _Matched())
            known.count += 1
            known.event = LogMatched(
                rule=rule.name, severity=rule.severity, line=escaped(line.octets), written=meant.time,
                source=meant.source if meant.source is not LogSource.UNKNOWN else None, position=line.position,
            )  # fmt: skip

    def _tell(self, now: float) -> None:
        for key, known in list(self._pending.items()):
            if now - known.told < TOLD_EVERY:
                continue
            if known.event is None:
                del self._pending[key]
                continue
            event, known.event = known.event.replace(matches=known.count), None
            known.count, known.told = 0, now
            self._listener.matched(key[0], event)
        if self._changed and now >= self._changes_due:
            changed, self._changed = self._changed, {}
            self._changes_due = now + CHANGES_EVERY
            self._listener.changed(list(changed))


def _from_the_beginning(followed: Followed, inode: int) -> None:
    followed.inode, followed.offset, followed.carried, followed.before = inode, 0, b"", b""


def _is_known(followed: Followed, descriptor: int) -> bool:
    """Whether it is the file that was read so far."""
    known_by = len(followed.before)
    return not known_by or os.pread(descriptor, known_by, followed.offset - known_by) == followed.before


def _ready(descriptors: Sequence[int], seconds: float) -> bool:
    """Whether something can be read from one of them, within so many seconds."""
    poll = select.poll()
    for each in descriptors:
        poll.register(each, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def _drain(descriptor: int) -> None:
    try:
        os.read(descriptor, 4096)
    except BlockingIOError:
        return
