"""What was found out about objects of which there are many, kept until something tells that it changed, or it gets old."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Container, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from drivers.libvirt.calls import Calls

T = TypeVar("T")


@dataclass(kw_only=True, slots=True)
class _Held(Generic[T]):
    value: T
    until: float


class Kept(Generic[T]):
    """Values by connection and key, each good for `seconds` at most, and for half of them at least, so that they do not all
    become old together. Used by threads that read side by side.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._tables: WeakKeyDictionary[Calls, dict[Hashable, _Held[T]]] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._changes = 0

    def find(self, calls: Calls, key: Hashable) -> tuple[T | None, float]:
        """The value, and until when it is good; None and 0 where there is none."""
        with self._lock:
            held = self._tables.get(calls, {}).get(key)
            return (None, 0.0) if held is None else (held.value, held.until)

    def get(self, calls: Calls, key: Hashable, read: Callable[[], T]) -> T:
        """The value, read anew if it is not good any more."""
        value, until = self.find(calls, key)
        return self.read(calls, key, read) if value is None or until <= time.monotonic() else value

    def read(self, calls: Calls, key: Hashable, read: Callable[[], T]) -> T:
        """Read the value anew. One that may have changed while it was read is good for this time only."""
        before = self._changes
        value = read()
        with self._lock:
            until = time.monotonic() + self._seconds * random.uniform(0.5, 1.0) if before == self._changes else 0.0
            self._tables.setdefault(calls, {})[key] = _Held(value=value, until=until)
        return value

    def changed(self, concerns: Callable[[Hashable], bool]) -> None:
        """What is kept for these keys, by whatever connection, is not good any more."""
        with self._lock:
            self._changes += 1
            for table in self._tables.values():
                for key, held in table.items():
                    if concerns(key):
                        held.until = 0.0

    def keep_only(
        self, calls: Calls, keys: Container[Hashable], among: Callable[[Hashable], bool] = lambda _: True
    ) -> None:
        """Forget what is not among these keys, of those that `among` tells of."""
        with self._lock:
            table = self._tables.get(calls, {})
            for key in [each for each in table if among(each) and each not in keys]:
                del table[key]
