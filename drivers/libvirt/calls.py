"""The one way to call libvirt: failures become ours; what was called, and what the hypervisor lacks, is remembered."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import libvirt

from agent.errors import Busy, Invalid, NotSupported, Unreachable, VirtmapError
from drivers.libvirt.errors import translated


class Calls:
    """Calls over one connection. `lost` is told when a call finds the connection broken."""

    def __init__(self, virt: Any, *, used: Counter[str], lost: Callable[[], None] = lambda: None) -> None:
        self.virt = virt
        self.used = used
        """How often each function was called so far, as libvirt-python names it: virDomain.info."""
        self.lacking: set[str] = set()
        """Functions that this hypervisor does not have at all, and that are not asked for again."""
        self._lost = lost
        self._running: dict[object, float] = {}
        self._ended = threading.Condition()
        self._retired = False

    def retire(self) -> None:
        """Let no call begin any more, and wait until the last has returned, however long.

        Only then may the connection be closed: a call that is under way uses its memory, and holds no reference to it.
        """
        with self._ended:
            self._retired = True
            self._ended.wait_for(lambda: not self._running)

    def longest(self) -> float:
        """For how many seconds the slowest of the calls that are under way has not returned; 0 when there is none."""
        with self._ended:
            began = list(self._running.values())
        return time.monotonic() - min(began) if began else 0.0

    def ask(self, asked: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call; every failure is one of agent.errors whose text starts with `asked`."""
        self.used[function.__qualname__] += 1
        ticket = object()
        with self._ended:
            if self._retired:
                raise Busy(f"{asked or function.__name__}: the connection was replaced meanwhile; ask again")
            self._running[ticket] = time.monotonic()
        try:
            return function(*arguments)
        except libvirt.libvirtError as error:
            raise self._failure(error, asked, function) from error
        except (OverflowError, ValueError) as error:  # a number too big for C, a text with NUL or a lone surrogate
            raise Invalid(f"{asked}: {error}") from error
        finally:
            with self._ended:
                del self._running[ticket]
                self._ended.notify_all()

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
