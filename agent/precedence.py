"""Who has his turn first: of the threads of this process, where they share a processor, and of what one loop has to do.

The system lets each have as much of it as the others, whoever of them is waited for: a thread that has just answered much
waits for milliseconds until one that computes has had as much. So the event loop's thread goes ahead of those that work for
it while they do, where that is permitted.

It is the loop's that becomes less nice. Were the others nicer instead, a processor that is busy with something else would let
them have little of it while they hold the interpreter, and who is answered would wait for that: seen to take four times as long.
"""

import asyncio
import ctypes
import os
import platform
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

AHEAD = 10
"""How much less nice the loop's thread is than those that work for it (nice(7))."""

_niceness: dict[str, int] = {}
"""How nice this process was when its loop's thread went ahead."""


class _Working(threading.local):
    """How many work for the loop of this thread."""

    count = 0


_working = _Working()


def working() -> bool:
    """Whether somebody works for the loop of this thread."""
    return _working.count > 0


@contextmanager
def ahead() -> Iterator[None]:
    """While somebody works for the loop of this thread, in another one: this goes ahead of it."""
    if _working.count == 0:
        go_ahead()
    _working.count += 1
    try:
        yield
    finally:
        _working.count -= 1
        if _working.count == 0:
            stand_back()


def go_ahead() -> bool:
    """Have this thread go ahead of those that `stand_back`, until it does so itself; gives whether that was permitted: it takes
    CAP_SYS_NICE, or RLIMIT_NICE. Elsewhere than on Linux niceness is not a thread's own, so it is left as it is."""
    if not sys.platform.startswith("linux"):
        return False
    number = threading.get_native_id()
    niceness = _niceness.get("before", os.getpriority(os.PRIO_PROCESS, number))
    try:
        os.setpriority(os.PRIO_PROCESS, number, niceness - AHEAD)
    except PermissionError:
        return False
    _niceness["before"] = niceness
    return True


def stand_back() -> None:
    """Have this thread be as nice as the process was. A thread that the loop's starts begins with what that one has."""
    if "before" in _niceness:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _niceness["before"])


def after_requests(do: Callable[[], object]) -> asyncio.TimerHandle:
    """Have the loop of this thread do this in its next turn, but whoever has asked by then is answered before: asyncio comes to
    timers that are due after what came in, and to what is to be called soon before that."""
    return asyncio.get_running_loop().call_later(0, do)


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
