"""Emptying and removing the logs of one hypervisor: by operations, with their domain, and by a policy of age and size.

All of it is refused, and nothing is done, where virtlogd does not rotate a log, where two have a claim to it, and through a
connection that is for reading only.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from agent.driver import Retention
from agent.errors import Busy, Denied, Failed, Invalid, NotFound, NotSupported, VirtmapError, WrongState
from agent.model.log import LogKind, LogRotation
from drivers.logs import contents, control, files, retention
from drivers.logs.contents import Stats
from drivers.logs.lines import escaped
from drivers.logs.listing import Known, Listing
from drivers.logs.ownership import libvirt_would_remove, log_name
from drivers.logs.places import Places

log = logging.getLogger("virtmap.logs")

LET_GO = 5.0
"""Seconds in which virtlogd lets go of the log of a domain that was stopped."""

JUST_NOW = 30.0
"""Seconds for which the older files of a log in a directory of others are taken for its own after virtlogd had it open."""

SEEN = 20_000
"""Logs in directories of others of which it is remembered that virtlogd had them open."""


_begun: list[Removing] = []
"""Those of all hypervisors of this process."""
_begun_lock = threading.Lock()


class Removing:
    """Removes logs of a listing; `changed` is told the paths of those that it touched, `retained` of each file that the retention
    removed by itself, or could not (agent.driver.LogSettings)."""

    def __init__(
        self, host: str, places: Places, listing: Listing, policy: Retention | None,
        changed: Callable[[Sequence[str]], None], *, read_only: bool,
        retained: Callable[[str, str, str], None] | None = None,
    ) -> None:  # fmt: skip
        self._host, self._places, self._listing, self._policy = host, places, listing, policy
        self._retained = retained or (lambda _host, _path, _result: None)
        self._changed, self._read_only = changed, read_only
        self._lock = threading.Lock()
        self._virtlogd: control.Virtlogd | None = None
        self._ended = threading.Event()
        self._seen: dict[str, tuple[files.Inode, float]] = {}
        self.learn: Callable[[], None] = lambda: None
        """Has the listing learn, before anything is removed, which domains there are at this moment."""

    def start(self) -> None:
        """Carry out the retention from now on, if there is one."""
        with _begun_lock:
            _begun.append(self)
        if self._policy is not None:
            threading.Thread(target=self._retain, name="virtmap-retention", daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        with _begun_lock:
            if self in _begun:
                _begun.remove(self)

    def rotation(self, known: Known, told: Stats | None) -> LogRotation:
        """Who begins new files, as far as was found out lately."""
        inode = None if told is None else told.inode
        why = self._why_not(known, self._look(), inode, active=self._listing.is_active(known))
        return LogRotation.UNKNOWN if why else LogRotation.VIRTLOGD

    def _why_not(self, known: Known, found: control.Virtlogd, inode: files.Inode | None, *, active: bool) -> str:
        """Why virtlogd does not rotate a log; remembers those of others that it had open."""
        self._saw(known, found, inode)
        seen = inode is not None and self._seen.get(known.path, (None, 0.0))[0] == inode
        return control.why_not(found, inode, known.owner.kind, active=active, foreign=known.foreign, seen=seen)

    def _saw(self, known: Known, found: control.Virtlogd, inode: files.Inode | None) -> None:
        if not known.foreign or inode is None or inode not in found.open:
            return
        with self._lock:
            self._seen.pop(known.path, None)
            while len(self._seen) >= SEEN:
                del self._seen[next(iter(self._seen))]
            self._seen[known.path] = inode, found.found

    def _look(self, *, fresh: bool = False) -> control.Virtlogd:
        with self._lock:
            found = self._virtlogd
            if fresh or found is None or time.monotonic() - found.found > control.KEPT:
                found = self._virtlogd = control.look(self._places, self._listing.owner)
            return found

    # One log

    def clear(self, known: Known, *, active: bool) -> list[control.Removed]:
        """Empty it; `active` if its domain runs. NotSupported unless virtlogd rotates it."""
        self._unless_read_only(f"log {known.path}")
        known = self._now(known)
        with files.directory(known.folder) as opened:
            inode = self._unless_ours(known, opened, self._look(fresh=True), active=active)
            removed = self._remove_numbered(known, opened, inode)
            removed += control.empty(opened, known.folder, known.name, self._listing.owner)
        self._changed([known.path])
        return removed

    def remove(self, known: Known, *, active: bool) -> list[control.Removed]:
        """Remove it; `active` if its domain runs. NotSupported unless virtlogd rotates it, WrongState while it is written."""
        self._unless_read_only(f"log {known.path}")
        known = self._now(known)
        with files.directory(known.folder) as opened:
            found = self._look(fresh=True)
            inode = self._unless_ours(known, opened, found, active=active)
            if inode in found.open:
                raise WrongState(f"log {known.path}: it is being written; clear it instead")
            removed = self._remove_numbered(known, opened, inode)
            removed += control.remove_current(opened, known.folder, known.name, self._listing.owner)
            with self._lock:  # whatever has its name, or its inode, next is another file
                self._seen.pop(known.path, None)
        self._changed([known.path])
        return removed

    def _learn(self, of: str) -> None:
        """Know which domains there are now, and the logs of their devices. Busy while that is not known of all: any of them may
        have a claim."""
        self.learn()
        if not self._listing.complete:
            raise Busy(f"{of}: which logs there are of all domains and their devices is not known yet; ask again")

    def _now(self, known: Known) -> Known:
        """A log as it is by what is known at this moment."""
        self._learn(f"log {known.path}")
        self._listing.refresh()
        return self._listing.find(known.path)

    def _remove_numbered(self, known: Known, opened: int, inode: files.Inode | None) -> list[control.Removed]:
        if not self._owns_numbered(known, inode):
            return []
        claims = self._listing.claimed(known.folder)
        return control.remove_numbered(opened, known.folder, known.name, claims, self._listing.owner)

    def _owns_numbered(self, known: Known, inode: files.Inode | None) -> bool:
        """Whether files with its name and a number are its own: in a directory of others they are while virtlogd has it open, and
        right after that."""
        seen, when = self._seen.get(known.path, (None, 0.0))
        return not known.foreign or (seen == inode and time.monotonic() - when < JUST_NOW)

    def _unless_read_only(self, of: str) -> None:
        if self._read_only:
            raise Denied(
                f"{of}: through this connection nothing is changed, logs neither: its configuration says read_only"
            )

    def _unless_ours(self, known: Known, opened: int, found: control.Virtlogd, *, active: bool) -> files.Inode | None:
        """The inode of the file that is written, if the log may be removed at all."""
        if len(known.owners) > 1:
            names = " and ".join(sorted({each.domain for each in known.owners}))
            raise Invalid(f"log {known.path}: it is the log of {names}, and is removed for neither")
        if known.contested:
            names = " and ".join(sorted({each.domain for each in known.contested}))
            raise Invalid(f"log {known.path}: by its name it is an older file of {names}, and is removed for neither")
        if known.trouble:
            raise Denied(f"log {known.path}: {known.trouble}")
        inode = None
        with suppress(NotFound):
            inode = _inode(files.looked_up(known.folder, opened, known.name, self._listing.owner))
        control.unless(self._why_not(known, found, inode, active=active), f"log {known.path}")
        if inode is not None and (other := self._other(known, inode)) is not None:
            raise Invalid(f"log {known.path}: it is the same file as {other}, and is not touched for either")
        return inode

    def _other(self, known: Known, inode: files.Inode) -> str | None:
        """The path of a file of another log that is this one."""
        for each in self._listing.refresh():
            if each.path == known.path or each.trouble:
                continue
            for name in (*((each.name,) if each.files.current else ()), *each.files.older):
                with suppress(OSError):
                    if _inode(os.stat(f"{each.folder}/{name}", follow_symlinks=False)) == inode:
                        return f"{each.folder}/{name}"
        return None

    # The logs of a domain

    def check(self, uuid: str, name: str, *, active: bool) -> list[Known]:
        """The logs of a domain that may be removed. NotSupported or Invalid if the one of its hypervisor may not; those of its
        devices that virtlogd does not rotate are left out."""
        self._unless_read_only(f"domain {name}")
        self._learn(f"domain {name}")
        removable = []
        found = self._look(fresh=True)
        for known in self._of(uuid):
            if known.trouble and known.foreign:
                continue
            if known.trouble:
                raise Failed(f"domain {name}: its logs cannot be removed: {known.trouble}")
            with files.directory(known.folder) as opened:
                try:
                    self._unless_ours(known, opened, found, active=active)
                except NotSupported:
                    if known.owner.kind is LogKind.HYPERVISOR:
                        raise
                    continue
            removable.append(known)
        return removable

    def check_libvirt(self, uuid: str, name: str) -> None:
        """Invalid, if libvirt's own way to remove the logs of a domain would take one that is not the domain's."""
        if "%" in name:
            raise Invalid(
                f"domain {name}: libvirt takes the name for a pattern, and might remove logs of other domains"
            )
        mine = {each.path: each for each in self._of(uuid)}
        for folder in self._places.directories:
            known = mine.get(f"{folder}/{log_name(name)}")
            own = {log_name(name)} | ({n for n, o in known.files.older.items() if not o.archive} if known else set())
            for each in self._names(folder):
                if each not in own and libvirt_would_remove(name, each):
                    what = _printable(f"{folder}/{each}")
                    raise Invalid(f"domain {name}: libvirt would remove {what} as well, which is not its log")

    def _names(self, folder: str) -> list[str]:
        try:
            return files.names(folder)
        except NotFound:
            return []

    def _of(self, uuid: str) -> list[Known]:
        return [each for each in self._listing.refresh() if any(owner.uuid == uuid for owner in each.owners)]

    def remove_all(self, logs: Sequence[Known], *, active: bool) -> list[control.Removed]:
        """Remove these logs of a domain, or empty those that are still written."""
        removed: list[control.Removed] = []
        for known in logs:
            try:
                now = self._listing.find(known.path)
            except NotFound:
                continue
            if not active:
                self._wait_until_unwritten(now)
            still = active and self._is_written(now)
            removed += self.clear(now, active=active) if still else self.remove(now, active=active)
        return removed

    def _wait_until_unwritten(self, known: Known) -> None:
        until = time.monotonic() + LET_GO
        while self._is_written(known) and time.monotonic() < until:
            time.sleep(0.05)

    def _is_written(self, known: Known) -> bool:
        try:
            told = os.stat(known.path, follow_symlinks=False)
        except OSError:
            return False
        found = self._look(fresh=True)
        self._saw(known, found, _inode(told))
        return _inode(told) in found.open

    # Retention

    def clean(self, *, dry: bool) -> tuple[list[retention.Due], list[str]]:
        """Carry out the retention of the configuration, or only tell: what went, or would go, and what went wrong."""
        if self._policy is None:
            raise Invalid(f"host {self._host}: the configuration has no retention of logs")
        going = self._due(self._policy)
        if dry:
            return going, []
        self._unless_read_only(f"host {self._host}")
        went, problems = [], []
        for each in going:
            try:
                control.remove_one(each.folder, each.name, each.inode, self._listing.owner)
                went.append(each)
            except NotFound:
                continue
            except VirtmapError as error:
                problems.append(str(error))
        self._changed(list(dict.fromkeys(each.log for each in went)))
        return went, problems

    def _due(self, policy: Retention) -> list[retention.Due]:
        """The files that are to go. Busy while it is not known which domains there are, and which logs their devices have."""
        self._learn(f"host {self._host}")
        if policy.gone:
            self._unless_shared()
        found = self._look(fresh=True)
        kept = [one for known in self._listing.refresh() if (one := self._kept(known, found)) is not None]
        seen = Counter((each.device, each.inode) for one in kept for each in one.files)
        alone = [one for one in kept if all(seen[each.device, each.inode] == 1 for each in one.files)]
        return retention.due(alone, policy, time.time())

    def _unless_shared(self) -> None:
        """Invalid, if another hypervisor has its logs in the same directories: its domains would be taken for gone."""
        with _begun_lock:
            others = [each for each in _begun if each is not self]
        for each in others:
            if self._listing.shares(each._listing):
                raise Invalid(
                    f"host {self._host}: {each._host} has its logs in the same directories, and nobody can say whose domains are "
                    "gone; leave out retention_gone"
                )

    def _kept(self, known: Known, found: control.Virtlogd) -> retention.KeptLog | None:
        """A log as the retention sees it; None if virtlogd does not rotate it."""
        if known.trouble or len(known.owners) > 1 or known.contested:
            return None
        try:
            with files.directory(known.folder) as opened:
                told = contents.stats(known, opened, self._listing.owner)
        except VirtmapError:
            return None
        if self._why_not(known, found, told.inode, active=self._listing.is_active(known)):
            return None
        if known.foreign and told.inode not in found.open:
            return None
        its = [
            retention.Kept(name=n, number=o.number, size=s.st_size, modified=s.st_mtime, inode=s.st_ino, device=s.st_dev)
            for n, o, s in told.older if not o.archive
        ]  # fmt: skip
        if (now := told.current) is not None:
            its.append(retention.Kept(
                name=known.name, number=None, size=now.st_size, modified=now.st_mtime, inode=now.st_ino,
                device=now.st_dev,
            ))  # fmt: skip
        gone = known.owner.uuid is None and known.owner.kind is LogKind.HYPERVISOR and told.inode not in found.open
        return retention.KeptLog(folder=known.folder, name=known.name, gone=gone, files=its)

    def _retain(self) -> None:
        policy = self._policy
        assert policy is not None
        dry = policy.dry or self._read_only
        while not self._ended.wait(policy.interval):
            try:
                self._retain_once(dry=dry)
            except VirtmapError as error:
                log.warning("%s: retention of logs: %s", self._host, _printable(str(error)))
            except Exception:  # the next time it may go well
                log.exception("%s: retention of logs: it failed", self._host)

    def _retain_once(self, *, dry: bool) -> None:
        went, problems = self.clean(dry=dry)
        for each in went:
            said = "would be removed" if dry else "was removed"
            log.info("%s: retention: %s %s, %d octets", self._host, _printable(each.path), said, each.size)
            if not dry:
                self._retained(self._host, _printable(each.path), "done")
        for problem in problems:
            log.warning("%s: retention: %s", self._host, _printable(problem))
            self._retained(self._host, "a log", f"failed: {_printable(problem)}")


def _inode(told: os.stat_result) -> files.Inode:
    return told.st_dev, told.st_ino


def _printable(text: str) -> str:
    return escaped(text.encode("utf-8", "surrogateescape"))
