"""Enumerations that clients pull piece by piece (DSP0200 5.4.2.24): the contexts that are open, each with its walk.

A context belongs to who opened it, in the namespace and for the kind of pull that it was opened for. It goes when its result
is at an end, when it is closed, when nobody pulled for its time, or when its client went away in the middle of a piece, since
that piece cannot be told again. It holds no snapshot, so that an idle one costs next to nothing; their number is bounded all
the same.
"""

from __future__ import annotations

import enum
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from agent.access import Principal
from agent.cim.results import Walk
from agent.cim.status import CimError, Status
from agent.cim.world import World

__all__ = ["Contexts", "Pull"]

#: Contexts open at once, of all and of anybody's.
CONTEXTS = 512
OF_ONE = 64

#: Seconds without a pull after which a context goes: if the client says nothing, and the most it may ask for.
TIMEOUT = 60
LONGEST = 900


class Pull(enum.Enum):
    """What pulls a context: the operation that goes with how it was opened."""

    INSTANCES_WITH_PATH = "PullInstancesWithPath"
    INSTANCE_PATHS = "PullInstancePaths"
    INSTANCES = "PullInstances"


@dataclass(slots=True)
class _Open:
    """One open enumeration."""

    pull: Pull
    namespace: str
    principal: str
    walk: Walk
    timeout: int
    until: float
    busy: bool = False


class Contexts:
    """All open enumerations. Asked in the event loop's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[str, _Open] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def timeout(self, wanted: int | None) -> int:
        """The seconds of a new context. INVALID_OPERATION_TIMEOUT for none at all and for too many."""
        if wanted is None:
            return TIMEOUT
        if not 1 <= wanted <= LONGEST:
            raise CimError(
                Status.INVALID_OPERATION_TIMEOUT, f"OperationTimeout is {wanted}, and it may be 1 to {LONGEST} seconds"
            )
        return wanted

    def open(self, pull: Pull, namespace: str, principal: Principal, walk: Walk, timeout: int) -> str:
        """The name of a new context. SERVER_LIMITS_EXCEEDED if there are too many."""
        self._expire()
        owner = _owner(principal)
        own = sum(one.principal == owner for one in self._open.values())
        if len(self._open) >= CONTEXTS or own >= OF_ONE:
            raise CimError(
                Status.SERVER_LIMITS_EXCEEDED, f"{max(own, len(self._open))} enumerations are open; close some, or wait"
            )
        name = secrets.token_urlsafe(18)
        until = self._clock() + timeout
        self._open[name] = _Open(pull, namespace, owner, walk, timeout, until)
        return name

    def find(self, name: str, pull: Pull | None, namespace: str, principal: Principal) -> None:
        """INVALID_ENUMERATION_CONTEXT unless there is such a context for this pull (None: any), namespace and principal."""
        self._expire()
        one = self._open.get(name)
        if one is None or one.principal != _owner(principal) or one.namespace != namespace:
            raise CimError(
                Status.INVALID_ENUMERATION_CONTEXT,
                "there is no such enumeration; it has ended, was closed, or timed out",
            )
        if pull is not None and one.pull is not pull:
            raise CimError(
                Status.INVALID_ENUMERATION_CONTEXT, f"this enumeration is pulled by {one.pull.value}, not {pull.value}"
            )

    def pulled(self, name: str, world: World, most: int) -> Iterator[bytes]:
        """The next instances of a context, in pieces; it is closed at its end. FAILED if it is being pulled already, at the
        call."""
        one = self._open[name]
        if one.busy:
            raise CimError(Status.FAILED, "this enumeration is being pulled by another request")
        return self._pieces(name, one, world, most)

    def _pieces(self, name: str, one: _Open, world: World, most: int) -> Iterator[bytes]:
        with self._busy(name, one):
            yield from pieces(one.walk, world, most)

    @contextmanager
    def _busy(self, name: str, one: _Open) -> Iterator[None]:
        """While a piece is made. What ends it before its time ends the enumeration."""
        one.busy = True
        whole = False
        try:
            yield
            whole = True
        finally:
            one.busy = False
            one.until = self._clock() + one.timeout
            if not whole or one.walk.done:
                self._open.pop(name, None)

    def is_open(self, name: str) -> bool:
        return name in self._open

    def close(self, name: str) -> None:
        """PULL_CANNOT_BE_ABANDONED while it is being pulled."""
        if self._open[name].busy:
            raise CimError(Status.PULL_CANNOT_BE_ABANDONED, "this enumeration is being pulled")
        del self._open[name]

    def left(self, name: str, world: World) -> int:
        """How many instances a context has left, before any query."""
        return self._open[name].walk.left(world)

    def _expire(self) -> None:
        now = self._clock()
        for name in [name for name, one in self._open.items() if one.until < now and not one.busy]:
            del self._open[name]


def pieces(walk: Walk, world: World, most: int) -> Iterator[bytes]:
    """The next instances of a walk, at most so many, in pieces, of which some may be empty: who sends them gives others their
    turn in between. The walk is at its end as soon as nothing is left."""
    while most and not walk.done:
        made = walk.step(world, most)
        most -= made.count
        yield made.data
    walk.skip_empty(world)


def _owner(principal: Principal) -> str:
    return f"{principal.front_end} {principal.name}"
