"""A kind of libvirt object beside hosts and domains, as the reader sees it: how it is listed, found and read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agent.driver import Heard
from agent.schema.declare import Key, Row
from drivers.libvirt.calls import Calls

PACE = 60.0
"""Seconds between two readings of objects of a kind, where no event asks for an earlier one."""


def nothing(_calls: Calls, _heard: Callable[[Heard], None]) -> None:
    """For kinds of which libvirt tells no events."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of object that is a root of its own: its row has no parent.

    `objects` lists them all in one call; `key` is an object's key, without a call; `find` looks one up. `read` gives its row
    and all rows beneath it, the row itself first. Calls go through `calls.ask`, or `calls.try_` for what not every
    hypervisor has; what fails there is the failure of this object alone. `listen` registers for the kind's events, each of
    which is told as Happened, or as Changed where there is no event of the model for it.
    """

    row: type[Row]
    objects: Callable[[Calls], Sequence[Any]]
    key: Callable[[Any], Key]
    find: Callable[[Calls, Key], Any]
    read: Callable[[Calls, Any], Sequence[Row]]
    called: Callable[[Any], str]
    """What an object is called in messages: `network default`."""
    listen: Callable[[Calls, Callable[[Heard], None]], None] = nothing
    pace: float = PACE
