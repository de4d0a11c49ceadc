"""An operation of any kind with arguments that fit their types, for tests that are about all operations alike."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from agent.schema.declare import Field, Operation
from agent.schema.types import Secret


def sample(kind: type[Operation], **given: Any) -> Operation:
    """The operation with what it needs; arguments with a default are left to it."""
    return kind(**{f.name: value_of(f) for f in kind.arguments() if f.required and f.name not in given} | given)


def value_of(field: Field) -> Any:
    """Some value of the field's type."""
    if field.enumeration is not None:
        return next(iter(field.enumeration))
    semantic = field.semantic
    if semantic.name == "Uuid":
        return "00000000-0000-4000-8000-000000000001"
    if semantic.name == "Mac":
        return "52:54:00:00:00:01"
    if semantic.python is str:
        return "sample"
    if semantic.python is Secret:
        return Secret("hush")
    if semantic.python is bytes:
        return b"sample"
    if semantic.python is bool:
        return True
    if semantic.python is datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)
    return field.flags(0) if field.flags is not None else max(1, field.low or 1)
