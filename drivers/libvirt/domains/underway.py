"""Long calls on a domain: aborting the domain's job stops them, and its statistics tell how far they have come."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agent.errors import NotSupported, VirtmapError
from drivers.libvirt.doing import Doing

STEP = 0.5
"""Seconds between two looks at a job."""


@contextmanager
def watched(do: Doing, domain: Any) -> Iterator[None]:
    """Around a call that lasts: its task can stop it, and is told of its progress."""
    over = threading.Event()
    do.task.on_cancel(lambda: abort(do, domain))
    threading.Thread(target=_tell, args=(do, domain, over), name="domain-job", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def abort(do: Doing, domain: Any, chosen: int = 0) -> None:
    """Stop the job of the domain. WrongState if there is none (yet)."""
    try:
        do(domain.abortJobFlags, chosen)
    except NotSupported:  # a daemon before 8.5
        if chosen:
            raise
        do(domain.abortJob)


def percent(told: Mapping[str, Any]) -> int | None:
    """How much of a job is done, by its statistics; None where they do not tell.

    What is left tells it: memory of one byte all over is done without being counted as processed, what changes is processed twice.
    """
    for kind in ("data", "memory"):
        total: int = told.get(f"{kind}_total", 0)
        left: int = told.get(f"{kind}_remaining", total - told.get(f"{kind}_processed", 0))
        if total:
            return max(0, 100 - 100 * left // total)
    return None


def _tell(do: Doing, domain: Any, over: threading.Event) -> None:
    while not over.wait(STEP):
        try:
            told = percent(do(domain.jobStats, 0))
        except VirtmapError:  # its progress cannot be known, which is no failure of the call
            return
        if told is not None:
            do.task.progress(told)
