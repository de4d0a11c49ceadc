"""When guessing passwords has to stop: who asks too often is not listened to for a time, which grows.

Five wrong passwords for a name from an address within minutes lock that name from that address, and many for any names
from an address lock the address; nobody is locked out by what others do from elsewhere. What an address is, `addresses`
tells: of IPv6 it is the network of a site. Nothing here waits or looks at a clock.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from agent.cim.addresses import site

__all__ = ["Lock", "Lockout"]

#: Wrong passwords for one name, and for all names, from an address, within so many seconds, after which it is locked.
TRIES = 5
TRIES_OF_ALL = 30
WITHIN = 300.0

#: Seconds of the first lock, each further one being twice as long, and of the longest.
FIRST = 30.0
LONGEST = 1800.0

#: Seconds without a lock after which the next one is a first one again.
FORGOTTEN = 3600.0

#: What is remembered at once; what was wrong longest ago is forgotten first.
CAPACITY = 4096


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock that begins: for how many seconds, after how many wrong passwords; for all names, or for one."""

    seconds: float
    tries: int
    whole_address: bool


@dataclass(slots=True)
class _Record:
    tries: int = 0
    since: float = 0.0
    until: float = 0.0
    locks: int = 0


_Key = tuple[bytes, str]


class Lockout:
    """Remembers wrong passwords, by name and address."""

    def __init__(self) -> None:
        self._records: OrderedDict[_Key, _Record] = OrderedDict()

    def locked(self, name: str, address: str, now: float) -> bool:
        """Whether that name may not try from that address now."""
        place = site(address)
        return any(
            record is not None and record.until > now
            for record in (self._records.get((b"", place)), self._records.get((_mark(name), place)))
        )

    def failed(self, name: str, address: str, now: float) -> Lock | None:
        """A wrong password; gives the lock that it brings, if any."""
        place = site(address)
        one = self._count((_mark(name), place), TRIES, now)
        whole = self._count((b"", place), TRIES_OF_ALL, now)
        while len(self._records) > CAPACITY:
            self._records.popitem(last=False)
        if whole:
            return Lock(seconds=whole, tries=TRIES_OF_ALL, whole_address=True)
        return Lock(seconds=one, tries=TRIES, whole_address=False) if one else None

    def succeeded(self, name: str, address: str) -> None:
        """The right password: what was wrong before was a slip."""
        self._records.pop((_mark(name), site(address)), None)

    def _count(self, key: _Key, tries: int, now: float) -> float:
        """One more for a key; the seconds of the lock if it was one too many."""
        record = self._records.setdefault(key, _Record(since=now))
        self._records.move_to_end(key)
        if now - record.since > WITHIN:
            record.tries, record.since = 0, now
        record.tries += 1
        if record.tries < tries:
            return 0.0
        record.locks = 1 if now - record.until > FORGOTTEN else record.locks + 1
        seconds = min(FIRST * 2.0 ** min(record.locks - 1, 16), LONGEST)
        record.tries, record.since, record.until = 0, now, now + seconds
        return seconds


def _mark(name: str) -> bytes:
    """A name, made short."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
