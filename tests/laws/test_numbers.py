"""The ledger keeps the promises of the model's numbers, and its guard cannot be talked out of it."""

from importlib import resources
from pathlib import Path

import pytest

from agent.errors import DeclarationError
from agent.model import MODEL
from agent.schema import numbers


def ledger() -> str:
    return resources.files("agent.model").joinpath(numbers.FILE).read_text("utf-8")


def test_the_model_keeps_every_promise_of_the_ledger() -> None:
    assert numbers.breaches(MODEL, ledger()) == []


def test_the_ledger_holds_every_kind_of_number() -> None:
    in_force, _ = numbers.read(ledger())
    kinds = {line.split()[0] for line in in_force}
    assert kinds == {"table", "column", "action", "operation", "argument", "out", "event", "detail", "enum", "flag"}
    for line in (
        "table 2 Domain",
        "column 2.21 Domain.memory",
        "operation 2.9 SetMemory",
        "enum DomainState 2 running",
    ):
        assert line in in_force


def test_a_changed_number_is_a_broken_promise(tmp_path: Path) -> None:
    broken = ledger().replace("column 2.21 Domain.memory", "column 2.221 Domain.memory")
    assert numbers.breaches(MODEL, broken) == [
        "column 2.221 Domain.memory: was promised, but the model says otherwise",
        "column 2.21 Domain.memory: is not in the ledger; run `virtmap generate`",
    ]
    file = tmp_path / "numbers.txt"
    file.write_text(broken)
    with pytest.raises(DeclarationError, match=r"column 2\.221 Domain\.memory: was promised"):
        numbers.append(MODEL, file)
    assert file.read_text() == broken


def test_new_numbers_are_added_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "numbers.txt"
    whole = ledger()
    short = whole.replace("operation 2.9 SetMemory\n", "")
    file.write_text(short)
    assert numbers.append(MODEL, file) == ["operation 2.9 SetMemory"]
    assert file.read_text() == short + "operation 2.9 SetMemory\n"
    assert numbers.append(MODEL, file) == []


def test_a_ledger_is_begun_where_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "numbers.txt"
    added = numbers.append(MODEL, file)
    assert numbers.breaches(MODEL, file.read_text()) == []
    assert len(added) == len(set(added))


def test_a_retired_number_is_not_given_again() -> None:
    line = "column 2.250 Domain.colour retired: libvirt does not tell colours any more\n"
    assert numbers.breaches(MODEL, ledger() + line) == []
    line = "column 2.21 Domain.colour retired: libvirt does not tell colours any more\n"
    told = numbers.breaches(MODEL, ledger() + line)
    assert "column 2.21 Domain.memory: its number is that of the retired column 2.21 Domain.colour" in told
    with pytest.raises(DeclarationError, match="is that of the retired"):
        numbers.missing(MODEL, ledger() + line)


def test_a_number_stands_once() -> None:
    told = numbers.breaches(MODEL, ledger() + "table 2 Domain\n")
    assert told == ["table 2 Domain: stands twice"]
