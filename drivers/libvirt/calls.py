"""The one way to call libvirt: failures become ours; what was called, and what the hypervisor lacks, is remembered."""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import libvirt

from agent.errors import Busy, Invalid, NotSupported, Unreachable, VirtmapError
from drivers.libvirt.errors import translated
from drivers.logs.collection import Collection


@dataclass(kw_only=True)
class _Use:
    """Who uses a connection: the calls under way, with the time they began, and how many operations hold it."""

    running: dict[object, float] = field(default_factory=dict)
    holding: int = 0
    retired: bool = False
    ended: threading.Condition = field(default_factory=threading.Condition)


class Calls:
    """Calls over one connection. `lost` is told when a call finds the connection broken."""

    def __init__(
        self,
        virt: Any,
        *,
        used: Counter[str],
        lost: Callable[[], None] = lambda: None,
        name: str = "",
        logs: Collection | None = None,
    ) -> None:
        self.virt = virt
        self.name = name
        """What the configuration calls the connection."""
        self.logs = logs
        """The logs of its domains, which libvirt does not serve; None where they are not served by us either."""
        self.used = used
        """How often each function was called so far, as libvirt-python names it: virDomain.info."""
        self.lacking: set[str] = set()
        """Functions that this hypervisor does not have at all, and that are not asked for again."""
        self._lost = lost
        self._use = _Use()
        self._holds = False

    def retire(self) -> None:
        """Let no call begin any more but those of operations that hold the connection, and wait until the last has returned,
        however long.

        Only then may the connection be closed: a call that is under way uses its memory, and holds no reference to it.
        """
        use = self._use
        with use.ended:
            use.retired = True
            use.ended.wait_for(lambda: not use.running and not use.holding)

    @contextmanager
    def held(self, asked: str) -> Iterator[Calls]:
        """For an operation: the same calls, but they can be made until its end, so that it can be watched and stopped, even if
        another connection takes the place of this one because one of them is a long one."""
        use, held = self._use, copy.copy(self)
        with use.ended:
            if use.retired:
                raise Busy(f"{asked}: the connection was replaced meanwhile; ask again")
            use.holding += 1
        held._holds = True
        try:
            yield held
        finally:
            with use.ended:
                held._holds = False
                use.holding -= 1
                use.ended.notify_all()

    def longest(self) -> float:
        """For how many seconds the slowest of the calls that are under way has not returned; 0 when there is none."""
        with self._use.ended:
            began = list(self._use.running.values())
        return time.monotonic() - min(began) if began else 0.0

    def ask(self, asked: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call; every failure is one of agent.errors whose text starts with `asked`."""
        self.used[function.__qualname__] += 1
        ticket, use = object(), self._use
        with use.ended:
            if use.retired and not self._holds:
                raise Busy(f"{asked or function.__name__}: the connection was replaced meanwhile; ask again")
            use.running[ticket] = time.monotonic()
        try:
            return function(*arguments)
        except libvirt.libvirtError as error:
            raise self._failure(error, asked, function) from error
        except (OverflowError, ValueError) as error:  # a number too big for C, a text with NUL or a lone surrogate
            raise Invalid(f"{asked}: {error}") from error
        finally:
            with use.ended:
                del use.running[ticket]
                use.ended.notify_all()

    def _failure(self, error: libvirt.libvirtError, asked: str, function: Callable[..., Any]) -> VirtmapError:
        """What it means to us. Not a variable of `ask`, which it would refer to, and with it to the connection."""
        failure = translated(error, asked)
        if isinstance(failure, NotSupported) and error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            self.lacking.add(function.__qualname__)
        if isinstance(failure, Unreachable):
            self._lost()
        return failure

    def try_(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call for what not every hypervisor can tell: None where it is not supported, or not in this state."""
        if function.__qualname__ in self.lacking:
            return None
        try:
            return self.ask("", function, *arguments)
        except (NotSupported, Invalid):
            return None
