"""The text of arguments: what `canonical` writes, `parse` reads; and what is nearly so; and what is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest

from agent.model import MODEL
from agent.model.domain import Domain, DomainState, SetMemory, SetVcpus, Start, StartFlags
from agent.model.nic import Nic
from agent.schema.declare import Field
from agent.schema.types import Secret, canonical, parse


def field(row: Any, name: str) -> Field:
    found: Field = row.fields[row.positions[name]]
    return found


@pytest.mark.parametrize(
    ("row", "name", "value"),
    [
        (Domain, "autostart", True),
        (Domain, "autostart", False),
        (Domain, "memory", 2**64 - 1),
        (Domain, "name", "a name: with = signs"),
        (Domain, "uuid", "6695eb01-f6a4-8304-79aa-97f2502e193f"),
        (Domain, "refreshed", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (Nic, "mac", "52:54:00:00:00:01"),
        *((Domain, "state", state) for state in DomainState),
        (Start, "flags", StartFlags.PAUSED | StartFlags.FORCE_BOOT),
        (Start, "flags", StartFlags(0)),
    ],
)
def test_the_canonical_text_of_a_value_gives_the_value_again(row: Any, name: str, value: Any) -> None:
    semantic = field(row, name).semantic
    again = parse(semantic, canonical(value))
    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(
    ("row", "name", "text", "value"),
    [
        (Domain, "autostart", " TRUE ", True),
        (SetMemory, "memory", "0x400", 1024),
        (SetVcpus, "vcpus", "+4", 4),
        (Domain, "state", "4", DomainState.PAUSED),
        (Start, "flags", "0x9", StartFlags.PAUSED | StartFlags.FORCE_BOOT),
    ],
)
def test_what_is_nearly_canonical_is_read_too(row: Any, name: str, text: str, value: Any) -> None:
    assert parse(field(row, name).semantic, text) == value


@pytest.mark.parametrize(
    ("row", "name", "text"),
    [
        (Domain, "autostart", "yes"),
        (SetMemory, "memory", "-1"),
        (SetMemory, "memory", "18446744073709551616"),
        (SetMemory, "memory", "1e3"),
        (SetMemory, "memory", "1_000"),
        (SetMemory, "memory", "\u0661"),
        (SetMemory, "memory", ""),
        (Domain, "state", "99"),
        (Domain, "state", "Running"),
        (Domain, "uuid", "not-a-uuid"),
        (Domain, "refreshed", "yesterday"),
        (Start, "flags", "64"),
        (Start, "flags", "-1"),
    ],
)
def test_what_is_no_such_value_is_refused(row: Any, name: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(field(row, name).semantic, text)


def test_a_secret_is_read_and_never_written() -> None:
    password = field(MODEL.operation("SetUserPassword"), "password").semantic
    read = parse(password, "hush hush")
    assert read == Secret("hush hush")
    assert canonical(read) == "<secret>"
