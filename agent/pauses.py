"""Keeps the interpreter itself from holding up answers: the garbage collector, and threads that will not let go.

A collection of the oldest generation visits every container of every snapshot, with the interpreter's lock held: at
10,000 domains a tenth of a second in which nobody is answered. Snapshots are freed by reference counts alone, so the
collector has nothing to find in them. While one is made the collector rests, and what then exists is set aside from
later collections. Cyclic garbage that was set aside with it is found by a full collection every ten minutes.

A thread that computes keeps the lock for up to the switch interval when another one wants it. Python's five
milliseconds are too many where an answer takes a hundredth of one.
"""

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from agent.scheduling import ask_for_short_slices

SWITCH_INTERVAL = 0.0005
FULL_COLLECTION = 600.0


class Pauses:
    """One for the process; `undisturbed` is entered in the event loop's thread only."""

    def __init__(self) -> None:
        self._depth = 0
        self._full = time.monotonic()

    def install(self) -> None:
        """Shorten the switch interval, and set aside what exists: modules and the model live as long as the process.

        Call it in the event loop's thread, before workers start.
        """
        sys.setswitchinterval(SWITCH_INTERVAL)
        ask_for_short_slices()
        gc.collect()
        gc.freeze()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While a snapshot is read and laid out."""
        if self._depth == 0:
            gc.disable()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._set_aside()

    def _set_aside(self) -> None:
        if time.monotonic() - self._full > FULL_COLLECTION:
            self._full = time.monotonic()
            gc.unfreeze()
            gc.collect()
        gc.freeze()
        gc.enable()
