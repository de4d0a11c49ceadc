"""libvirt's numbers to our enumerations, by the symbols that the model names, and our flags to libvirt's."""

from __future__ import annotations

import functools
from typing import TypeVar

import libvirt

from agent.model.domain import DomainState, DomainStateReason
from agent.model.domain_events import LifecycleDetail
from agent.schema.types import Enumeration, Flags

E = TypeVar("E", bound=Enumeration)


def number(symbol: str | None) -> int | None:
    """The value of a libvirt constant; None for none, or for one that this libvirt does not have yet."""
    return None if symbol is None else getattr(libvirt, symbol, None)


@functools.cache
def _members(enumeration: type[E]) -> dict[int, E]:
    return {value: member for member in enumeration if (value := number(member.libvirt)) is not None}


def member(enumeration: type[E], value: int) -> E | None:
    """The member for libvirt's number; None for a number from a newer libvirt."""
    return _members(enumeration).get(value)


@functools.cache
def _by_hundreds(enumeration: type[E]) -> dict[tuple[int, int], E]:
    """Members whose hundreds tell the group, one above libvirt's number of it, and whose symbol tells the rest."""
    return {(int(each) // 100 - 1, value): each for each in enumeration if (value := number(each.libvirt)) is not None}


def state_reason(state: int, reason: int) -> DomainStateReason | None:
    """The reason for a state. One that is unknown to us is that state's unknown reason, which libvirt numbers 0."""
    known = _by_hundreds(DomainStateReason)
    return known.get((state, reason), known.get((state, 0)))


def lifecycle_detail(event: int, detail: int) -> LifecycleDetail | None:
    """The detail of a lifecycle event; None for one from a newer libvirt."""
    return _by_hundreds(LifecycleDetail).get((event, detail))


def domain_state(value: int) -> DomainState | None:
    return member(DomainState, value)


def flags(chosen: Flags) -> int:
    """libvirt's bits for ours."""
    total = 0
    for each in type(chosen):
        if each & chosen:
            total |= getattr(libvirt, each.libvirt)
    return total
