"""An operation while it is done: the libvirt object it is asked of, its key, the way to call libvirt, and its task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.driver import Task
from agent.errors import NotSupported
from agent.schema.declare import Key, Operation, Row
from drivers.libvirt.calls import Calls

Outs = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Doing:
    """Called like a function, it calls libvirt: `do(domain.reset, 0)`. Failures are agent.errors that name the object.

    `key` is the key of the row that the operation is asked of, `virt` the connection, `name` what the configuration calls
    it. An object of another connection, such as the target of a migration, is called through it in the same way.
    """

    calls: Calls
    name: str
    key: Key
    called: str
    """What the object is called in messages: `domain web`."""
    doing: str
    """What is being done, in messages: `cannot set memory`."""
    task: Task
    changed: Callable[[], None] = lambda: None
    """To be called when a reading would show something already, while the operation goes on."""

    @property
    def virt(self) -> Any:
        return self.calls.virt

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self.calls.ask(f"{self.called}: {self.doing}", function, *arguments)

    def wrong(self, why: str) -> str:
        """The text of an error of our own, in the form of all others."""
        return f"{self.called}: {self.doing}: {why}"

    def newer(self, thing: Any, function: str, version: str) -> Callable[..., Any]:
        """A function of a libvirt object that came with a version. NotSupported if the library here is older."""
        found: Callable[..., Any] | None = getattr(thing, function, None)
        if found is None:
            raise NotSupported(self.wrong(f"the libvirt library here is older than {version}"))
        return found


Action = Callable[[Doing, Any, Any], Outs | None]
"""How one operation is done: with the way to call, the libvirt object of its row's root, and the operation.

The object is that of the root: an operation on a disk gets the domain, and finds the disk's target in `do.key[-1]`.
"""

Actions = Mapping[type[Operation], Action]


@dataclass(kw_only=True)
class Asked:
    """A domain of which details are read: what its definition does not tell, or tells only in part.

    `root` is the live definition, an lxml element; `persistent` that of the next start, or None. `columns` takes values of
    the domain's own row that a reader of details found out.
    """

    uuid: str
    virt: Any
    domain: Any
    root: Any
    persistent: Any
    active: bool
    soft: Callable[..., Any]
    """Calls: None where it is not supported or makes no sense in this state; a failure is told in the row's problem."""
    quiet: Callable[..., Any]
    """Calls for what others than the domain are asked for, the host or a network: None also where it fails."""
    columns: dict[str, Any] = field(default_factory=dict)
    again: float = float("inf")
    """Seconds after which its details should be read again even if nothing tells that they changed."""

    def within(self, seconds: float) -> None:
        """Have the details read again after at most so many seconds."""
        self.again = min(self.again, seconds)


Details = Callable[[Asked], Iterable[Row]]
"""Reads rows beneath a domain when its definition may have changed, and at the slow resync."""
