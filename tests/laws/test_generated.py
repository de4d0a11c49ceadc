"""What is derived as text is committed, complete, and never edited by hand."""

from pathlib import Path

import pytest

from agent import generate
from agent.errors import ConfigError
from agent.model import MODEL
from agent.snmp import mib


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """An empty checkout."""
    for folder in ("mibs", "mof", "agent"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def test_the_committed_text_is_what_the_mapping_says() -> None:
    assert generate.check() == []


def test_generating_twice_gives_the_same() -> None:
    assert generate.generate() == generate.generate()


def test_writing_fills_a_checkout_and_then_finds_nothing_to_do(top: Path) -> None:
    texts = generate.generate()
    assert generate.write(texts, top) == sorted(texts)
    assert generate.check(texts, top) == []
    assert generate.write(texts, top) == []


def test_check_tells_a_missing_a_changed_and_a_left_over_file(top: Path) -> None:
    texts = generate.generate()
    generate.write(texts, top)
    (top / "mibs/VIRTMAP-MIB").unlink()
    (top / "mibs/VIRTMAP-OLD-MIB").write_text(f"-- {generate.GENERATED}\n")
    changed = texts["mibs/VIRTMAP-HOST-MIB"].split("\n")
    changed[4] += " "
    (top / "mibs/VIRTMAP-HOST-MIB").write_text("\n".join(changed))
    assert generate.check(texts, top) == [
        "mibs/VIRTMAP-HOST-MIB: differs from the mapping at line 5; run `virtmap generate`",
        "mibs/VIRTMAP-MIB: is missing",
        "mibs/VIRTMAP-OLD-MIB: is no longer generated, remove it",
    ]


def test_writing_removes_what_is_no_longer_generated_and_nothing_else(top: Path) -> None:
    texts = generate.generate()
    (top / "mibs/VIRTMAP-OLD-MIB").write_text(f"-- {generate.GENERATED}\n")
    (top / "mibs/NOTES").write_text("mine\n")
    assert "mibs/VIRTMAP-OLD-MIB" in generate.write(texts, top)
    assert not (top / "mibs/VIRTMAP-OLD-MIB").exists()
    assert (top / "mibs/NOTES").exists()


def test_an_installation_is_not_written_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no checkout"):
        generate.write(top=tmp_path)


@pytest.mark.parametrize("folder", ["mibs", "mof"])
def test_generated_files_say_that_they_are(folder: str) -> None:
    texts = {name: text for name, text in generate.generate().items() if name.startswith(folder)}
    assert texts
    assert [name for name, text in texts.items() if generate.GENERATED not in text] == []


def test_the_manual_names_every_attribute_operation_and_notification() -> None:
    manual = generate.manual()
    modules = mib.project(MODEL).modules
    names = [o.name for m in modules for t in m.tables for o in t.objects]
    names += [n for m in modules for n in (*(o.name for o in m.operations), *(x.name for x in m.notifications))]
    assert [name for name in names if name not in manual] == []


def test_the_manual_shows_each_columns_property() -> None:
    lines = generate.manual().splitlines()
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in lines if line.startswith("| virtmap")}
    assert rows["virtmapDomainName"][2] == "ElementName"
    assert rows["virtmapDomainConfigMemory"][2] == "Virtmap_DomainSettingData.Memory"
