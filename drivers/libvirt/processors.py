"""Processor numbers as text, as libvirt's cpuset attributes write them: 0-3,6."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def cpu_list(allowed: Sequence[bool]) -> str:
    """The processors of a map in which each has its place: 0-3,6."""
    return numbered(number for number, may in enumerate(allowed) if may)


def numbered(numbers: Iterable[int]) -> str:
    """Numbers as a list of numbers and ranges: 0-3,6."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
