"""Keeps the interpreter itself from holding up answers: the garbage collector, and threads that will not let go.

A collection of the oldest generation visits every container of every snapshot, with the interpreter's lock held: at
10,000 domains a tenth of a second in which nobody is answered. Snapshots are freed by reference counts alone, so the
collector has nothing to find in them. While one is made the collector rests, and what then exists is set aside from
later collections. Cyclic garbage that was set aside with it is found by a full collection every ten minutes.

A thread that computes keeps the lock for up to the switch interval when another one wants it. Python's five
milliseconds are too many where an answer takes a hundredth of one.
"""

import ctypes
import gc
import os
import platform
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

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


_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "ppc64le": 355, "s390x": 345}
SLICE = 100_000
"""Nanoseconds; the shortest that Linux grants."""


def ask_for_short_slices() -> bool:
    """Let this thread, and those it starts, take turns often where they share a processor; gives whether that worked.

    Since 6.6 Linux lets a thread finish a slice of some three milliseconds before one that wakes gets its turn, and an
    answer needs several turns while a worker computes. Since 6.12 a thread may ask for shorter slices; it gets no more of
    the processor for that, and needs no privilege. Older kernels preempt by themselves. See sched_setattr(2).
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None or not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    # size, policy (SCHED_OTHER), flags, nice, priority, runtime, deadline, period
    attributes = struct.pack("=IIQiIQQQ", 48, 0, 0, os.getpriority(os.PRIO_PROCESS, 0), 0, SLICE, 0, 0)
    return bool(libc.syscall(number, 0, attributes, 0) == 0)
