"""CIM status codes (DSP0200 5.2.5), and the one table from the core's errors to them."""

from __future__ import annotations

import enum

from agent import errors

__all__ = ["CimError", "Status", "from_core"]


class Status(enum.IntEnum):
    """All codes of DSP0200 1.4, named without their CIM_ERR_."""

    FAILED = 1
    ACCESS_DENIED = 2
    INVALID_NAMESPACE = 3
    INVALID_PARAMETER = 4
    INVALID_CLASS = 5
    NOT_FOUND = 6
    NOT_SUPPORTED = 7
    CLASS_HAS_CHILDREN = 8
    CLASS_HAS_INSTANCES = 9
    INVALID_SUPERCLASS = 10
    ALREADY_EXISTS = 11
    NO_SUCH_PROPERTY = 12
    TYPE_MISMATCH = 13
    QUERY_LANGUAGE_NOT_SUPPORTED = 14
    INVALID_QUERY = 15
    METHOD_NOT_AVAILABLE = 16
    METHOD_NOT_FOUND = 17
    NAMESPACE_NOT_EMPTY = 20
    INVALID_ENUMERATION_CONTEXT = 21
    INVALID_OPERATION_TIMEOUT = 22
    PULL_HAS_BEEN_ABANDONED = 23
    PULL_CANNOT_BE_ABANDONED = 24
    FILTERED_ENUMERATION_NOT_SUPPORTED = 25
    CONTINUATION_ON_ERROR_NOT_SUPPORTED = 26
    SERVER_LIMITS_EXCEEDED = 27
    SERVER_IS_SHUTTING_DOWN = 28
    QUERY_FEATURE_NOT_SUPPORTED = 29


class CimError(Exception):
    """An operation that ends in an ERROR element: the code, and a description for people."""

    def __init__(self, status: Status, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.recorded = False
        """Whether the audit trail has heard of it already."""


_TABLE: dict[type[errors.VirtmapError], Status] = {
    errors.NotFound: Status.NOT_FOUND,
    errors.NotSupported: Status.NOT_SUPPORTED,
    errors.Denied: Status.ACCESS_DENIED,
    errors.WrongState: Status.FAILED,
    errors.Invalid: Status.INVALID_PARAMETER,
}


def from_core(error: errors.VirtmapError) -> CimError:
    """The CIM error for one of the core's; what CIM has no code of its own for is FAILED."""
    status = next((s for kind, s in _TABLE.items() if isinstance(error, kind)), Status.FAILED)
    made = CimError(status, str(error))
    made.recorded = True  # it comes from agent.operations, where everything is recorded
    return made
