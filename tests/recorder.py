"""Records which functions of libvirt's C library are really called, where libvirt-python calls them.

libvirt-python reaches the library through a module of its own whose functions are named as those of the library. While a
recorder listens, that module is replaced by one that notes each call and passes it on; what libvirt-python does itself
instead, in Python, is noted where it does it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import libvirt
import libvirt_qemu

from agent.schema import libvirt_api

Heard = Callable[[str], None]

OTHER_NAMES: Mapping[str, str] = {"virConnectListDomainsID": "virConnectListDomains"}
"""What the module calls differently than the library does."""

IN_PYTHON: Mapping[str, str] = {
    "sendAll": "virStreamSendAll", "recvAll": "virStreamRecvAll", "sparseSendAll": "virStreamSparseSendAll",
    "sparseRecvAll": "virStreamSparseRecvAll",
}  # fmt: skip
"""Methods of streams that libvirt-python has written again, on top of the functions that move one piece."""


class _Noting:
    """A module in whose functions each call is noted."""

    def __init__(self, module: Any, heard: Heard) -> None:
        self._module = module
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._module, name)
        if not callable(function):
            return function
        told, heard = OTHER_NAMES.get(name, name), self._heard

        @functools.wraps(function)
        def noted(*arguments: Any, **more: Any) -> Any:
            heard(told)
            return function(*arguments, **more)

        setattr(self, name, noted)
        return noted


class Record:
    """The functions that were called so far, by their names in C, each with how often."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, int] = {}

    def note(self, name: str) -> None:
        with self._lock:
            self._calls[name] = self._calls.get(name, 0) + 1

    @property
    def functions(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._calls)

    def count(self, name: str) -> int:
        with self._lock:
            return self._calls.get(name, 0)


@contextmanager
def recording() -> Iterator[Record]:
    """What is called until the block ends, in whatever thread. Not to be nested."""
    record = Record()
    modules = [(libvirt, "libvirtmod"), (libvirt_qemu, "libvirtmod_qemu")]
    before: list[tuple[Any, str, Any]] = [(owner, name, getattr(owner, name)) for owner, name in modules]
    streams = [(libvirt.virStream, name, getattr(libvirt.virStream, name)) for name in IN_PYTHON]
    for owner, name, module in before:
        setattr(owner, name, _Noting(module, record.note))
    for owner, name, method in streams:
        setattr(owner, name, _noted(method, IN_PYTHON[name], record.note))
    try:
        yield record
    finally:
        for owner, name, original in (*before, *streams):
            setattr(owner, name, original)


def _noted(method: Callable[..., Any], name: str, heard: Heard) -> Callable[..., Any]:
    @functools.wraps(method)
    def noted(*arguments: Any, **more: Any) -> Any:
        heard(name)
        return method(*arguments, **more)

    return noted


def functions_of(called: Iterable[str]) -> frozenset[str]:
    """The C functions behind functions of libvirt-python, by their qualified names: virDomain.info is virDomainGetInfo."""
    by_python = {f.python: f.name for f in libvirt_api.functions().values() if f.python}
    return frozenset(by_python[name] for name in called if name in by_python)
