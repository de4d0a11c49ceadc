"""Functions of libvirt-python that give None where others raise: made to raise."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import libvirt


def loud(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, that raises libvirt's error instead of giving None."""

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        told = function(*arguments)
        if told is None:
            raise libvirt.libvirtError(f"{function.__name__}() failed")
        return told

    return call
