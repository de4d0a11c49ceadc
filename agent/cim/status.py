"""CIM status codes (DSP0200 5.2.5), and the one table from the core's errors to them."""

from __future__ import annotations

import enum

from agent import errors

__all__ = ["CimError", "Status", "from_core"]


class Status(enum.IntEnum):
    """The codes that this server answers with."""

    FAILED = 1
    ACCESS_DENIED = 2
    INVALID_NAMESPACE = 3
    INVALID_PARAMETER = 4
    INVALID_CLASS = 5
    NOT_FOUND = 6
    NOT_SUPPORTED = 7
    METHOD_NOT_AVAILABLE = 16
    METHOD_NOT_FOUND = 17


class CimError(Exception):
    """An operation that ends in an ERROR element: the code, and a description for people."""

    def __init__(self, status: Status, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.description = description


_TABLE: dict[type[errors.VirtmapError], Status] = {
    errors.NotFound: Status.NOT_FOUND,
    errors.NotSupported: Status.NOT_SUPPORTED,
    errors.Denied: Status.ACCESS_DENIED,
    errors.Invalid: Status.INVALID_PARAMETER,
}


def from_core(error: errors.VirtmapError) -> CimError:
    """The CIM error for one of the core's; what CIM has no code of its own for is FAILED."""
    status = next((s for kind, s in _TABLE.items() if isinstance(error, kind)), Status.FAILED)
    return CimError(status, str(error))
