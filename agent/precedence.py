"""Who has his turn first: of the threads of this process, where they share a processor, and of what one loop has to do.

The system lets each thread have as much of a processor as the others, whoever of them is waited for, and looks at that when
one wakes or a tick of some milliseconds ends. A thread that computes for the loop gets the processor as soon as the loop's
thread gives it the interpreter, and keeps it until the tick: who asks then waits for all of that. So while others work for it
the loop's thread goes ahead of them and all else (SCHED_RR, sched(7)), which takes CAP_SYS_NICE or RLIMIT_RTPRIO: it has the
processor when it wakes, for what it has to do. Those others are then of the kind that takes the processor from nobody by waking
(SCHED_BATCH). They are as nice as before, for were they nicer, a processor that is busy with something else would let them have
little of it while they hold the interpreter, and who is answered would wait for that: seen to take four times as long.
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

FIRST = 1
"""The priority of the loop's thread among those that go ahead: the lowest there is."""


class _Process:
    """Whether a loop's thread of this process went ahead."""

    went_ahead = False


class _Working(threading.local):
    """How many work for the loop of this thread, and whether it goes ahead of them."""

    count = 0
    ahead = False


_process, _working = _Process(), _Working()


@contextmanager
def ahead() -> Iterator[None]:
    """While somebody works for the loop of this thread, in another one: this goes ahead of it."""
    if _working.count == 0:
        _working.ahead = go_ahead()
    _working.count += 1
    try:
        yield
    finally:
        _working.count -= 1
        if _working.count == 0 and _working.ahead:
            come_back()


def go_ahead() -> bool:
    """Have this thread go ahead of all that go the ordinary way, until it comes back; gives whether it does. Not if that is not
    permitted, nor if it goes another way already, or is nice, as somebody wanted it who started the process; and not on other
    systems than Linux, where all threads of a process go one way."""
    if not _ordinary() or os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) > 0:
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(FIRST))
    except PermissionError:
        return False
    _process.went_ahead = True
    return True


def _ordinary() -> bool:
    """Whether this thread goes the ordinary way, and might go another one."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER
    except OSError:  # a C library that does not do this for threads, such as musl
        return False


def come_back() -> None:
    """Have this thread, which went ahead, go the ordinary way again."""
    if not _take_short_slices():
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))


def stand_back() -> None:
    """Have this thread, which works for a loop in another one, take the processor from nobody by waking, if that one goes ahead of
    it. If it does not, answers were seen to wait a little longer for a thread of that kind."""
    if _process.went_ahead and _ordinary():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def after_requests(do: Callable[[], object]) -> asyncio.TimerHandle:
    """Have the loop of this thread do this in its next turn, but whoever has asked by then is answered before: asyncio comes to
    timers that are due after what came in, and to what is to be called soon before that."""
    return asyncio.get_running_loop().call_later(0, do)


_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "ppc64le": 355, "s390x": 345}
SLICE = 100_000
"""Nanoseconds; the shortest that Linux grants."""


_libc = ctypes.CDLL(None, use_errno=True)


def ask_for_short_slices() -> bool:
    """Let this thread, and those it starts, take turns often where they share a processor; gives whether that worked. One that
    goes another way than the ordinary one is left alone.

    Since 6.6 Linux lets a thread finish a slice of some three milliseconds before one that wakes gets its turn, and an
    answer needs several turns while a worker computes. Since 6.12 a thread may ask for shorter slices; it gets no more of
    the processor for that, and needs no privilege. Older kernels preempt by themselves. See sched_setattr(2).
    """
    return _ordinary() and _take_short_slices()


def _take_short_slices() -> bool:
    """The same, whatever way it goes; and then that is the ordinary one."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        return False
    reset = int(bool(os.sched_getscheduler(0) & os.SCHED_RESET_ON_FORK))  # to take that back is not for everybody
    nice = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    # size, policy (SCHED_OTHER), flags, nice, priority, runtime, deadline, period
    attributes = struct.pack("=IIQiIQQQ", 48, os.SCHED_OTHER, reset, nice, 0, SLICE, 0, 0)
    return bool(_libc.syscall(number, 0, attributes, 0) == 0)
