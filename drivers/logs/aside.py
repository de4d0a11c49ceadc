"""Looking at directories that may not answer: in a thread beside, which is left alone once it takes too long.

A file system of another host that is gone lets whoever looks at it wait for ever. Whoever asks here does not, and a directory that
has not answered is not asked again before it has.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from agent.errors import Busy, Failed, VirtmapError

PATIENCE = 2.0
"""Seconds in which a directory has to answer."""

STUCK = 8
"""Directories that may leave a thread waiting at the same time; while there are so many, no other is asked."""

T = TypeVar("T")


class Aside:
    """Asks directories. Used by several threads."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._stuck: set[str] = set()

    def ask(self, folders: Iterable[str], look: Callable[[str], T]) -> dict[str, T | VirtmapError]:
        """What `look` tells of each, or why it tells nothing."""
        told: dict[str, T | VirtmapError] = {}
        left: list[str] = []
        for folder in folders:
            if folder in self._stuck:
                told[folder] = _silent(folder)
            else:
                left.append(folder)
        while left:
            if len(self._stuck) >= STUCK:
                return told | {f: Busy(f"{f}: too many directories do not answer") for f in left}
            left = self._some(left, look, told)
        return told

    def _some(self, folders: Sequence[str], look: Callable[[str], T], told: dict[str, T | VirtmapError]) -> list[str]:
        """Ask them one after another until one does not answer; gives those that are left."""
        answers: queue.SimpleQueue[T | VirtmapError] = queue.SimpleQueue()
        left_alone = threading.Event()

        def run() -> None:
            for folder in folders:
                answer = _tried(folder, look)
                with self._lock:
                    if left_alone.is_set():
                        self._stuck.discard(folder)
                        return
                    answers.put(answer)

        threading.Thread(target=run, name="virtmap-directories", daemon=True).start()
        for number, folder in enumerate(folders):
            try:
                told[folder] = answers.get(timeout=self._patience)
            except queue.Empty:
                with self._lock:
                    if answers.empty():
                        left_alone.set()
                        self._stuck.add(folder)
                        told[folder] = _silent(folder)
                        return list(folders[number + 1 :])
                told[folder] = answers.get()
        return []


def _tried(folder: str, look: Callable[[str], T]) -> T | VirtmapError:
    try:
        return look(folder)
    except VirtmapError as error:
        return error
    except OSError as error:
        return Failed(f"{folder}: {os.strerror(error.errno or 0)}")


def _silent(folder: str) -> VirtmapError:
    return Busy(f"{folder}: it does not answer")
