"""Listening to the events of one kind of object, as far as the hypervisor tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from agent.errors import VirtmapError
from agent.schema.declare import Event
from drivers.libvirt import symbols
from drivers.libvirt.calls import Calls

E = TypeVar("E", bound=Event)


def register(calls: Calls, function: Callable[..., int], symbol: str, callback: Callable[..., None]) -> None:
    """Have events of one number told to `callback`. A hypervisor that has no such events refuses, which costs only them."""
    number = symbols.number(symbol)
    if number is None:
        return
    try:
        calls.ask("cannot listen", function, None, number, callback, None)
    except VirtmapError:
        return


def numbered(*events: type[E]) -> Mapping[int, type[E]]:
    """The events of the model by libvirt's numbers, as far as this libvirt has them."""
    return {number: each for each in events if (number := symbols.number(each.libvirt)) is not None}
