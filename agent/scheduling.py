"""Who is scheduled first: of the threads of this process, where they share a processor, and of what one event loop has to do.

Linux lets each thread have as much of a processor as the others, whoever of them is waited for, and looks at that when one
wakes or a tick of some milliseconds ends. A thread that computes for the loop takes the processor as soon as the loop's
thread gives it the interpreter, and keeps it until the tick: who asks then waits for all of that. So while others work for it
the loop's thread has a real-time policy (SCHED_RR, sched(7)), which takes CAP_SYS_NICE or RLIMIT_RTPRIO: it has the processor
when it wakes, for what it has to do. Those others have the policy that takes the processor from nobody by waking (SCHED_BATCH).
They are as nice as before, for were they nicer, a processor that is busy with something else would let them have little of it
while they hold the interpreter, and who is answered would wait for that: seen to take four times as long.
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

PRIORITY = 1
"""The real-time priority of the loop's thread: the lowest there is."""


class _Process:
    """Whether a loop's thread of this process ever had a real-time policy."""

    real_time = False


class _Loop(threading.local):
    """How many work for the loop of this thread, and whether it has a real-time policy for that."""

    workers = 0
    real_time = False


_process, _loop = _Process(), _Loop()


@contextmanager
def working() -> Iterator[None]:
    """While somebody works for the loop of this thread, in another one: this has a real-time policy, if it may."""
    if _loop.workers == 0:
        _loop.real_time = begin_real_time()
    _loop.workers += 1
    try:
        yield
    finally:
        _loop.workers -= 1
        if _loop.workers == 0 and _loop.real_time:
            end_real_time()


def begin_real_time() -> bool:
    """Give this thread a real-time policy; whether that was done. Not if it is not permitted, nor to a thread that has another
    policy than the usual one already, or is nice, as somebody wanted it who started the process; and not on other systems than
    Linux, where threads have no policy of their own. What this thread starts does not inherit it."""
    if not _usual() or os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) > 0:
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
    except PermissionError:
        return False
    _process.real_time = True
    return True


def end_real_time() -> None:
    """Give this thread, which has a real-time policy, the usual one again."""
    if not _take_short_slices():
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))


def become_batch() -> None:
    """Give this thread, which works for a loop in another one, the policy that takes the processor from nobody by waking, where
    that one has a real-time policy. Elsewhere answers were seen to wait a little longer for threads with this policy."""
    if _process.real_time and _usual():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _usual() -> bool:
    """Whether this thread has the policy that threads have by themselves (SCHED_OTHER), and might have another one."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_OTHER
    except OSError:  # a C library that does not do this, such as musl
        return False


def after_requests(do: Callable[[], object]) -> asyncio.TimerHandle:
    """Have the loop of this thread do this in its next turn, but whoever has asked by then is answered before: asyncio comes to
    timers that are due after what came in, and to what is to be called soon before that."""
    return asyncio.get_running_loop().call_later(0, do)


_libc = ctypes.CDLL(None, use_errno=True)
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "ppc64le": 355, "s390x": 345}
"""The number of this system call, which no C library of Debian 12 has, by machine."""

SLICE = 100_000
"""Nanoseconds; the shortest that Linux grants."""


def ask_for_short_slices() -> bool:
    """Let this thread, and those it starts, take turns often where they share a processor; gives whether that worked. One that
    has another policy than the usual one is left alone.

    Since 6.6 Linux lets a thread finish a slice of some three milliseconds before one that wakes gets its turn, and an
    answer needs several turns while a worker computes. Since 6.12 a thread may ask for shorter slices; it gets no more of
    the processor for that, and needs no privilege. Older kernels preempt by themselves. See sched_setattr(2).
    """
    return _usual() and _take_short_slices()


def _take_short_slices() -> bool:
    """The same, whatever policy it has; and then it has the usual one."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        return False
    reset = int(bool(os.sched_getscheduler(0) & os.SCHED_RESET_ON_FORK))  # to take that back is not for everybody
    nice = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    # size, policy (SCHED_OTHER), flags, nice, priority, runtime, deadline, period
    attributes = struct.pack("=IIQiIQQQ", 48, os.SCHED_OTHER, reset, nice, 0, SLICE, 0, 0)
    return bool(_libc.syscall(number, 0, attributes, 0) == 0)
