"""What queries are asked of: instances, by the names of their properties, and the kinds of values that these have."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol, TypeAlias, TypeGuard

import pywbem

__all__ = ["Subject", "Value", "is_subject"]


class Subject(Protocol):
    """An instance that may match."""

    @property
    def classname(self) -> str: ...

    def value(self, name: str) -> Value:
        """The property of that name, in any case; KeyError if the class has none."""
        ...

    def is_a(self, name: str) -> bool:
        """Whether its class is that one, or one below it; the name in any case."""
        ...


Value: TypeAlias = (
    "bool | int | float | str | datetime | timedelta | tuple[Value, ...] | Subject | pywbem.CIMInstanceName | None"
)
"""NULL, a scalar (a datetime knows its offset), an array, an embedded instance or a reference."""


def is_subject(value: object) -> TypeGuard[Subject]:
    """Whether a value is an embedded instance; quicker than a protocol that is checked at run time."""
    return callable(getattr(value, "is_a", None)) and callable(getattr(value, "value", None))
