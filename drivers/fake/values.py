"""Values for columns and results of which nothing is known but their type: each fits it, and is the same every time."""

from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime
from typing import Any

from agent.schema.declare import Field, Index, Key, Role, Row

SPACE = uuid.UUID("5e1b6f3a-6c5c-4b0e-9a53-0f6f2b6a7c12")
"""In which the UUIDs of what is made up are."""

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def value(field: Field, place: str, number: int) -> Any:
    """A value for a field of something; `place` tells one thing from another, `number` counts it among its siblings."""
    semantic = field.semantic
    chance = random.Random(f"{place}/{field.name}")
    if field.enumeration is not None:
        return next(iter(field.enumeration))
    if field.flags is not None:
        return field.flags(0)
    match semantic.name:
        case "Uuid":
            return str(uuid.uuid5(SPACE, f"{place}/{field.name}"))
        case "Mac":
            return "52:54:00:" + ":".join(f"{chance.randrange(256):02x}" for _ in range(3))
        case "Xml":
            return f"<{field.name}/>"
        case "Binary":
            return chance.randbytes(16)
        case "Percent":
            return chance.randrange(101)
    if semantic.python is bool:
        return True
    if semantic.python is str:
        return f"{field.name}{number}"[: semantic.high]
    if semantic.python is datetime:
        return WHEN
    if semantic.python is int:
        return max(semantic.low or 0, field.low or 0) + chance.randrange(1, 1000)
    raise TypeError(f"{field.name}: nothing can be made up for {semantic.name}")


def key_value(row: type[Row], field: Field, place: str, number: int) -> Any:
    """The value of a row's own key: counted, where it is an index, else a name or whatever its type is."""
    if field.semantic.python is int:
        return number if row.index is Index.DIRECT else number - 1
    if field.semantic.name == "Name" or field.semantic.name == "Text":
        return f"{row.__name__.lower()}{number}"
    return value(field, place, number)


def own_key(row: type[Row], number: int) -> Any:
    """The key of a row among its siblings, without that of the row above it; only known of those whose key is no UUID but where
    they have no parent."""
    field = row.key_fields()[-1]
    return key_value(row, field, f"{row.__name__}//{number}", number)


def made_up(row: type[Row], above: Key, number: int, known: dict[str, Any]) -> Row:
    """A row beneath the one with the key `above`, its number among its siblings; `known` are columns that are told."""
    place = f"{row.__name__}/{'/'.join(map(str, above))}/{number}"
    values: dict[str, Any] = {}
    parents = iter(above)
    for field in row.fields:
        if field.role is Role.PARENT:
            values[field.name] = next(parents)
        elif field.name in known:
            values[field.name] = known[field.name]
        elif field.role is Role.KEY:
            values[field.name] = key_value(row, field, place, number)
        elif field.name == "problem":
            values[field.name] = ""
        elif field.name == "name":
            values[field.name] = f"{row.__name__.lower()}{number}"
        else:
            values[field.name] = value(field, place, number)
    return row(**values)
