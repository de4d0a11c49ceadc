"""Which logs there are: the files in the directories, and the domains and devices that have a claim to their names.

A directory is read again when its own time of change says so, or when other domains exist than before. Which do is told by whoever
reads them.

Whoever may define a domain says where its devices have their logs, so that this is not taken at its word: such a path is served in
the hypervisor's own directories, and beneath those that the configuration names for it. Which directory it is, is told by where it
is found when it is opened, not by how it is spelled; two spellings of one directory are one, and so are the claims to the names in
it. Of any other path nothing is read, and its row says so.

No directory is looked at under the lock, and none but the hypervisor's own without a limit of time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from agent.errors import Denied, Failed, NotFound, VirtmapError
from agent.model.log import LogKind
from drivers.logs import files
from drivers.logs.aside import Aside
from drivers.logs.files import Inode, Place
from drivers.logs.ownership import DeviceLog, Files, Owner, grouped, log_name, older, owner_of
from drivers.logs.places import Places

FEW = 200
"""Domains that may be different before all logs are listed again."""

RACY = 0.1
"""Seconds after a change of a directory in which another one may not show by its time."""

_NOWHERE = (0, 0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Guest:
    """A domain that exists: its name, whether it runs, and the logs of its devices; None while they are not known."""

    name: str
    active: bool
    devices: Sequence[DeviceLog] | None = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """A log that is there: its directory and name, who claims it, and the names of its files. `trouble` where the directory cannot
    be read, or is not to be; `foreign` where it is none of the hypervisor's own. `contested` by those for whom its name is that of
    an older file of theirs."""

    folder: str
    name: str
    owners: tuple[Owner, ...]
    files: Files
    trouble: str = ""
    foreign: bool = False
    contested: tuple[Owner, ...] = ()

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"

    @property
    def owner(self) -> Owner:
        return self.owners[0]


@dataclass(kw_only=True, slots=True)
class _Folder:
    """What a directory held when it was read, or why it could not be read; and its logs, for one version of the claims."""

    stamp: tuple[int, int, int]
    names: Sequence[str] = ()
    trouble: str = ""
    grouped: tuple[int, Mapping[str, Files]] = (-1, {})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Where:
    """What became of a directory that is spelled somehow: the one that it is, by its one path; or why it is not served. Neither,
    if it is not there yet."""

    folder: str | None = None
    inode: Inode | None = None
    refused: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Account:
    """Whose a directory is, for as long as it is this one."""

    inode: Inode
    owner: int


@dataclass(slots=True)
class _Claims:
    """The names that existing domains and their devices have a claim to, by directory; the logs that are not served, by directory
    and name, with those who claim them and why; and the inodes of the directories."""

    version: int = 0
    by_folder: dict[str, dict[str, list[Owner]]] = field(default_factory=dict)
    refused: dict[tuple[str, str], tuple[list[Owner], str]] = field(default_factory=dict)
    inodes: dict[str, Inode] = field(default_factory=dict)


class Listing:
    """The logs in these places. Used by several threads."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._lock = threading.Lock()
        self._aside = Aside()
        self._guests: Mapping[str, Guest] = {}
        self._where: dict[str, _Where] = {each: _Where(folder=each) for each in places.own}
        self._looked = False
        self._claims = _Claims()
        self._folders: dict[str, _Folder] = {}
        self._owner: _Account | None = None
        self.learned = False
        """Whether it is known which domains there are."""
        self._claim()

    @property
    def owner(self) -> int:
        """The account of the hypervisor: whoever has its directory of logs. -1, which is nobody, while there is none."""
        folder = self._places.directories[0]
        try:
            told = os.stat(folder)
            known = self._owner
            if known is None or (known.inode, known.owner) != ((told.st_dev, told.st_ino), told.st_uid):
                with files.directory(folder) as opened:  # which follows no link of anybody's
                    told = os.fstat(opened)
                self._owner = known = _Account(inode=(told.st_dev, told.st_ino), owner=told.st_uid)
            return known.owner
        except (OSError, VirtmapError):  # it is not there yet, or is nothing to us
            return -1

    @property
    def complete(self) -> bool:
        """Whether it is known which domains there are, and which logs the devices of each have."""
        with self._lock:
            return self.learned and all(guest.devices is not None for guest in self._guests.values())

    def learn(self, guests: Mapping[str, Guest]) -> set[str] | None:
        """The domains that exist now, by UUID. Gives the paths of logs that may be different for it, or None if all are to be
        listed again. Looks at no disk."""
        with self._lock:
            before, first = self._guests, not self.learned
            changed = [uuid for uuid in before.keys() | guests.keys() if before.get(uuid) != guests.get(uuid)]
            self._guests, self.learned = guests, True
            if changed:
                self._claim()
        touched = [guest for uuid in changed for guest in (before.get(uuid), guests.get(uuid)) if guest is not None]
        elsewhere = any(device.path is not None for guest in touched for device in guest.devices or ())
        if first or elsewhere or len(touched) > FEW:
            return None
        return {f"{folder}/{name}" for guest in touched for folder, name in self._names(guest)}

    def _names(self, guest: Guest) -> Iterator[tuple[str, str]]:
        for folder in self._places.directories:
            yield folder, log_name(guest.name)
        for device in guest.devices or ():
            yield from self._paths(device, guest.name)

    def _paths(self, device: DeviceLog, domain: str) -> list[tuple[str, str]]:
        if device.path is not None:
            folder, _, name = device.path.rpartition("/")
            return [(folder, name)] if folder and name else []
        swtpm = device.kind is LogKind.SWTPM
        return [(f, device.name(domain)) for f in (self._places.own if swtpm else self._places.directories)]

    # Claims

    def _claim(self) -> None:
        """Find out who claims what, by what is known of directories. Under the lock."""
        made = _Claims(self._claims.version + 1)
        for each in self._places.own:
            made.by_folder.setdefault(self._where[each].folder or each, {})
        for uuid, guest in self._guests.items():
            own = Owner(uuid=uuid, domain=guest.name)
            for folder in dict.fromkeys(self._where[each].folder or each for each in self._places.directories):
                made.by_folder[folder].setdefault(log_name(guest.name), []).append(own)
            for device in guest.devices or ():
                owner = Owner(uuid=uuid, domain=guest.name, kind=device.kind, device=device.device)
                for folder, name in self._paths(device, guest.name):
                    self._claim_one(made, folder, name, owner)
        made.inodes = {w.folder: w.inode for w in self._where.values() if w.folder is not None and w.inode is not None}
        self._claims = made

    def _claim_one(self, made: _Claims, folder: str, name: str, owner: Owner) -> None:
        where = self._where.get(folder)
        if where is None:
            self._looked = False
            return
        if where.folder is not None:
            owners = made.by_folder.setdefault(where.folder, {}).setdefault(name, [])
        elif where.refused:
            owners, _ = made.refused.setdefault((folder, name), ([], where.refused))
        else:
            return
        if all(each.uuid != owner.uuid or each.kind is not owner.kind for each in owners):
            owners.append(owner)

    def _look(self) -> None:
        """Find out anew which directories those are that definitions and the configuration name."""
        with self._lock:
            named = {
                folder
                for guest in self._guests.values()
                for device in guest.devices or ()
                if device.path is not None
                for folder, _ in self._paths(device, guest.name)
            }
        found = self._found(named)
        with self._lock:
            self._looked = True
            if found != self._where:
                self._where = found
                self._claim()

    def _found(self, named: Iterable[str]) -> dict[str, _Where]:
        found: dict[str, _Where] = {}
        paths: dict[Inode, str] = {}
        for each in self._places.own:
            try:
                inode = files.place(each).inode
            except VirtmapError:  # it is not there yet, or its rows say why not
                found[each] = _Where(folder=each)
            else:
                found[each] = _Where(folder=paths.setdefault(inode, each), inode=inode)
        elsewhere = sorted(set(named) - found.keys())
        if elsewhere:
            told = self._aside.ask(self._places.devices, files.place)
            allowed = [each.path for each in told.values() if isinstance(each, Place)]
            for folder, place in self._aside.ask(elsewhere, _placed).items():
                found[folder] = self._judged(folder, place, allowed, paths)
        return found

    def _judged(
        self, folder: str, place: Place | VirtmapError, allowed: Sequence[str], paths: dict[Inode, str]
    ) -> _Where:
        """Whether the logs of devices in a directory are served."""
        if isinstance(place, Place):
            if place.inode in paths:
                return _Where(folder=paths[place.inode], inode=place.inode)
            if any(files.beneath(place.path, each) for each in allowed):
                return _Where(folder=paths.setdefault(place.inode, place.path), inode=place.inode)
        elif any(files.beneath(folder, each) for each in self._places.devices):
            return _Where() if isinstance(place, NotFound) else _Where(refused=str(place))
        return _Where(refused=f"{folder} is not among logs.device_directories, nor beneath one of them")

    # Logs

    def refresh(self) -> list[Known]:
        """All logs that there are now."""
        self._look()
        claims = self._claims
        own = self._own()
        held = {folder: self._read(folder) for folder in claims.by_folder if folder in own}
        foreign = [folder for folder in claims.by_folder if folder not in own]
        for folder, told in self._aside.ask(foreign, lambda each: self._read_foreign(each, claims)).items():
            held[folder] = told if isinstance(told, _Folder) else _Folder(stamp=_NOWHERE, trouble=str(told))
        for folder in [each for each in self._folders if each not in claims.by_folder]:
            self._folders.pop(folder, None)
        found = [known for folder in claims.by_folder for known in self._in(folder, held[folder], claims)]
        for (folder, name), (owners, why) in claims.refused.items():
            found.append(_unseen(folder, name, owners, why, foreign=True))
        return found

    def _own(self) -> set[str]:
        return {self._where[each].folder or each for each in self._places.own}

    def shares(self, other: Listing) -> bool:
        """Whether another hypervisor has its logs in a directory of this one."""
        return not self._inodes().isdisjoint(other._inodes())

    def _inodes(self) -> set[Inode]:
        found = set()
        for folder in self._places.own:
            with suppress(OSError):
                told = os.stat(folder)
                found.add((told.st_dev, told.st_ino))
        return found

    def elsewhere(self) -> dict[tuple[str, str], Owner]:
        """The logs of devices that are, or will be, in directories of others, by directory and name."""
        own = self._own()
        return {
            (folder, name): owners[0]
            for folder, claims in self._claims.by_folder.items()
            for name, owners in claims.items()
            if folder not in own
        }

    def claimed(self, folder: str) -> Mapping[str, Sequence[Owner]]:
        """The names in a directory that something which exists has a claim to."""
        return self._claims.by_folder.get(folder, {})

    def is_active(self, known: Known) -> bool:
        """Whether its domain runs, as far as that is known."""
        guest = self._guests.get(known.owner.uuid or "")
        return guest is not None and guest.active

    def _in(self, folder: str, held: _Folder, claims: _Claims) -> Iterator[Known]:
        for name, its in self._logs(folder, held, claims).items():
            if name not in self._places.drivers_own:
                yield self._made(folder, name, its, claims)
        if held.trouble:
            for name, owners in claims.by_folder[folder].items():
                yield _unseen(folder, name, owners, held.trouble, foreign=folder not in self._own())

    def _logs(self, folder: str, held: _Folder, claims: _Claims) -> Mapping[str, Files]:
        """The logs in a directory, by their names."""
        version, found = held.grouped
        if version != claims.version:
            found = grouped(held.names, claims.by_folder[folder], foreign=folder not in self._own())
            held.grouped = claims.version, found
        return found

    def _made(self, folder: str, name: str, its: Files, claims: _Claims) -> Known:
        claimed = claims.by_folder[folder]
        owners = tuple(claimed.get(name, ())) or ((owner_of(name) or Owner(uuid=None, domain=name)),)
        foreign = folder not in self._own()
        return Known(
            folder=folder, name=name, owners=owners, files=its, foreign=foreign,
            contested=_contested(name, owners, claimed, foreign=foreign) if name in claimed else (),
        )  # fmt: skip

    def _read(self, folder: str) -> _Folder:
        """What is in a directory, read again if it changed."""
        try:
            told = os.stat(folder)
        except FileNotFoundError:
            return _Folder(stamp=_NOWHERE)
        except OSError as error:
            return _Folder(stamp=_NOWHERE, trouble=str(files.trouble(folder, error)))
        stamp = (told.st_dev, told.st_ino, told.st_mtime_ns)
        held = self._folders.get(folder)
        if held is not None and held.stamp == stamp:
            return held
        # a change right after this one may leave the directory's time as it is
        fresh = abs(time.time() - stamp[2] / 1e9) < RACY
        try:
            names = files.names(folder)
        except VirtmapError as error:
            return _Folder(stamp=_NOWHERE, trouble=str(error))
        made = self._folders[folder] = _Folder(stamp=_NOWHERE if fresh else stamp, names=names)
        return made

    def _read_foreign(self, folder: str, claims: _Claims) -> _Folder:
        """The same, if it is still the one that it was when it was found to be served."""
        if files.place(folder, anywhere=True).inode != claims.inodes[folder]:
            raise Failed(f"{folder}: it is another directory than before")
        return self._read(folder)

    def find(self, path: str) -> Known:
        """A log by its path. NotFound if there is none, Denied if it is not served."""
        folder, _, name = path.rpartition("/")
        if not self._looked:
            self._look()
        claims = self._claims
        if (refused := claims.refused.get((folder, name))) is not None:
            raise Denied(f"log {path}: {refused[1]}")
        if folder in claims.by_folder and name not in self._places.drivers_own:
            held = self._now(folder, claims)
            if (its := self._logs(folder, held, claims).get(name)) is not None:
                return self._made(folder, name, its, claims)
            if held.trouble and name in claims.by_folder[folder]:
                foreign = folder not in self._own()
                return _unseen(folder, name, claims.by_folder[folder][name], held.trouble, foreign=foreign)
        raise NotFound(f"log {path}: there is no such log")

    def _now(self, folder: str, claims: _Claims) -> _Folder:
        if folder in self._own():
            return self._read(folder)
        told = self._aside.ask([folder], lambda each: self._read_foreign(each, claims))[folder]
        return told if isinstance(told, _Folder) else _Folder(stamp=_NOWHERE, trouble=str(told))

    def appeared(self, folder: str, name: str) -> Owner | None:
        """Whose log a file is that came just now; None if it is no log."""
        if name in self._places.drivers_own:
            return None
        owners = self.claimed(folder).get(name)
        return owners[0] if owners else owner_of(name)


def _placed(folder: str) -> Place:
    return files.place(folder, anywhere=True)


def _contested(
    name: str, owners: Sequence[Owner], claimed: Mapping[str, Sequence[Owner]], *, foreign: bool
) -> tuple[Owner, ...]:
    """Those, but for the owners, whose older file a log with this name would be."""
    found = older(name)
    if found is None:
        return ()
    its: Sequence[Owner] = claimed.get(found.base, ())
    if not its and not foreign and (was := owner_of(found.base)) is not None:
        its = (was,)
    mine = {each.uuid for each in owners}
    return tuple(each for each in its if each.uuid not in mine)


def _unseen(folder: str, name: str, owners: Sequence[Owner], trouble: str, *, foreign: bool) -> Known:
    """A log that should be there, in a directory that cannot be read or is not to be."""
    nothing = Files(current=False, older={})
    return Known(folder=folder, name=name, owners=tuple(owners), files=nothing, trouble=trouble, foreign=foreign)
