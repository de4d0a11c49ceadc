"""One libvirt connection at a time: open, watch, drop, and never wait on a daemon that does not answer.

libvirt needs an event loop before the first connection is opened, for events, for the close callback and for
keep-alive; it gets one daemon thread for the whole process. Opening and closing are round trips and hang for as long as
a stopped libvirtd likes, so each happens in a daemon thread of its own, and whoever asks waits a bounded time or not at
all. When to try again, and after what pause, is for the caller to say.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import libvirt
import libvirt_qemu

from agent.errors import Unreachable, VirtmapError
from drivers.libvirt.login import Login, refusal

CLOSE_REASONS = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "the connection broke",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "the other end closed the connection",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "the other end no longer answers",
    libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT: "we closed the connection",
}

_once = threading.Lock()
_loop: threading.Thread | None = None


def start_event_loop() -> None:
    """Give libvirt its event loop and silence its stderr. Once a process, before any connection; again is harmless."""
    global _loop
    with _once:
        if _loop is None:
            libvirt.registerErrorHandler(_ignore_report, None)
            libvirt.virEventRegisterDefaultImpl()
            _loop = threading.Thread(target=_run_event_loop, name="libvirt-events", daemon=True)
            _loop.start()


def _ignore_report(_context: object, _error: object) -> None:
    """Every error also reaches us as an exception; without a handler libvirt would print it as well."""


def _run_event_loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


NEVER = 2**31 - 1
"""Signs of life that may be missing before libvirt itself gives up a connection. It must not: where two threads have calls
under way on a connection that it closes for this reason, libvirt 9.0 uses memory that it has freed, and takes the process
with it. Whoever reads finds out that a daemon is silent by opening another connection; the silent one is left alone until
its calls have returned. That the other end has gone, or is another daemon, libvirt tells without harm."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """In seconds: how long an opening may take, and how often a daemon is asked for a sign of life; and how many of these may be
    missing.

    The sign is needed while one thread waits for a slow answer: libvirt 9.0 now and then forgets to wake it for the call of
    another, which then stands still until the next one.
    """

    opening: float = 8.0
    keepalive: int = 1
    missing: int = NEVER


@dataclass(frozen=True, kw_only=True)
class Live:
    """An open connection: since when, whether it has another end that is asked for signs of life, and whether there was none
    for a while before it.

    Drivers that live in our own process, such as the test driver, have no other end that could fall silent and refuse
    keep-alive; that is as it should be.
    """

    virt: Any
    since: datetime
    keepalive: bool
    gap: bool
    session: Any = None
    """What `opened` made of it."""


class Connection:
    """The connection to one URI.

    `opened` sees each new one before anybody else does, and makes its session; `lost` hears, once, why it went; `retired`
    gets one that is of no more use and returns when no call uses it any more, so that it can be closed. Each is called in
    a thread of ours or of libvirt's; `lost` must not wait for anything.
    """

    def __init__(
        self,
        uri: str,
        *,
        login: Login | None = None,
        opened: Callable[[Live], Any] = lambda _: None,
        lost: Callable[[str], None] = lambda _: None,
        retired: Callable[[Live], None] = lambda _: None,
        patience: Patience | None = None,
    ) -> None:
        self.uri = uri
        self.patience = patience or Patience()
        self._login = login or Login()
        self._opened, self._lost, self._retired = opened, lost, retired
        self._lock = threading.Lock()
        self._live: Live | None = None
        self._attempt: _Attempt | None = None
        self._why: VirtmapError = Unreachable(f"{uri}: not connected yet")
        self._shut = False

    def current(self) -> Live:
        """The open connection; Unreachable (or Denied), with the last reason, when there is none."""
        live = self._live
        if live is None:
            raise _anew(self._why)
        return live

    def connect(self) -> None:
        """Drop what there is and open anew. An attempt that still hangs is waited for again, not doubled."""
        with self._lock:
            self._discard()
        self.renew()

    def renew(self) -> None:
        """Open anew and only then drop what there was, so that nothing happens unheard. If it fails, all stays as it is."""
        with self._lock:
            if self._shut:
                raise Unreachable(f"{self.uri}: closed")
            attempt = self._attempt
            if attempt is None:
                attempt = self._attempt = _Attempt()
                threading.Thread(target=self._open, args=(attempt,), name="libvirt-open", daemon=True).start()
        if not attempt.over.wait(self.patience.opening):
            raise Unreachable(f"cannot connect to {self.uri}: no answer within {self.patience.opening:g} s")
        if attempt.why is not None:
            raise _anew(attempt.why)

    def _open(self, attempt: _Attempt) -> None:
        live: Live | None = None
        try:
            start_event_loop()
            virt = self._login.open(self.uri)
            self._watch(virt)
            keepalive, before = self._keep_alive(virt), self._live
            since = before.since if before else datetime.now(UTC)
            live = Live(virt=virt, since=since, keepalive=keepalive, gap=before is None)
            live = replace(live, session=self._opened(live))
        except libvirt.libvirtError as error:
            attempt.why = refusal(error, self.uri)
        except VirtmapError as error:
            attempt.why = _anew(error)
        finally:
            self._attempted(attempt, live)

    def _attempted(self, attempt: _Attempt, live: Live | None) -> None:
        with self._lock:
            self._attempt = None
            if attempt.why is None and (self._shut or live is None):
                attempt.why = Unreachable(f"{self.uri}: closed" if self._shut else f"cannot connect to {self.uri}")
            if attempt.why is None:
                self._discard()
                self._live = live
            else:
                self._why = attempt.why
                if live is not None:
                    self._close_aside(live)
        attempt.over.set()

    def _watch(self, virt: Any) -> None:
        """Hear when it breaks; of a driver that cannot tell, a call that fails does."""
        try:
            virt.registerCloseCallback(self._on_close, None)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                raise

    def _keep_alive(self, virt: Any) -> bool:
        try:
            virt.setKeepAlive(self.patience.keepalive, self.patience.missing)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                raise
            return False
        return True

    def _on_close(self, virt: Any, reason: int, _opaque: object) -> None:
        self.broke(virt, CLOSE_REASONS.get(reason, f"closed for reason {reason}"))

    def broke(self, virt: Any, why: str) -> None:
        """This connection is of no more use. Nothing happens when it is no longer the current one."""
        with self._lock:
            if self._live is None or self._live.virt is not virt:
                return
            self._why = Unreachable(f"{self.uri}: {why}")
            self._discard()
        self._lost(why)

    def _discard(self) -> None:
        if self._live is not None:
            self._close_aside(self._live)
            self._live = None

    def close(self) -> None:
        """Drop the connection for good, without waiting."""
        with self._lock:
            self._shut = True
            self._why = Unreachable(f"{self.uri}: closed")
            self._discard()

    def _close_aside(self, live: Live) -> None:
        """Close in a thread of its own: closing says goodbye to the daemon and waits for the answer."""
        threading.Thread(target=self._close, args=(live,), name="libvirt-close", daemon=True).start()

    def _close(self, live: Live) -> None:
        self._retired(live)
        _goodbye(live.virt)


class _Attempt:
    """An opening under way: `over` is set at its end, `why` then tells what went wrong, if anything did."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.why: VirtmapError | None = None


def _anew(error: VirtmapError) -> VirtmapError:
    """The same error as a new exception: one that is raised again and again would collect tracebacks."""
    return type(error)(str(error))


_LISTENED = ("domain", "network", "storagePool", "nodeDevice", "secret")
"""The kinds of objects whose events can be listened to, as libvirt-python begins the names of their functions."""


def _goodbye(virt: Any) -> None:
    # Each event callback holds the connection open, so that closing alone would leave the socket behind.
    told = [(kind, getattr(virt, f"{kind}EventCallbackID", {})) for kind in _LISTENED]
    listening = [
        functools.partial(getattr(virt, f"{kind}EventDeregisterAny"), number)
        for kind, numbers in told
        for number in list(numbers)
    ]
    monitors = getattr(virt, "qemuMonitorEventCallbackID", {})
    listening += [functools.partial(libvirt_qemu.qemuMonitorEventDeregister, virt, number) for number in list(monitors)]
    for goodbye in (*listening, virt.unregisterCloseCallback, virt.close):
        with contextlib.suppress(libvirt.libvirtError):  # it was broken already, which is why it is being closed
            goodbye()
    for numbers in (*(numbers for _, numbers in told), monitors):
        numbers.clear()  # where the daemon was gone already they are left, and refer back to `virt`
