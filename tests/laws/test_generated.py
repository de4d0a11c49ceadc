"""What is derived as text is committed, complete, and never edited by hand."""

import re
from pathlib import Path

import pytest

from agent import generate, manual
from agent.cim import classes
from agent.errors import ConfigError
from agent.model import MODEL
from agent.schema.declare import Operation
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


def test_a_manual_of_old_is_a_left_over(top: Path) -> None:
    (top / "agent/reference.md").write_text(f"{generate.GENERATED}\n")
    (top / "agent/notes.md").write_text("mine\n")
    assert "agent/reference.md" in generate.write(top=top)
    assert (top / "agent/notes.md").exists()


# --- the manual

BY_OID, BY_CLASS = manual.PAGES


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return manual.pages(MODEL, generate.GENERATED)


def rows(page: str, first: str) -> dict[str, list[str]]:
    """The cells of the rows of tables whose first cell matches, by that cell."""
    found = {}
    for line in page.splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and re.fullmatch(first, cells[0]):
            found[cells[0]] = cells
    return found


def section(page: str, heading: str) -> str:
    """What stands under a heading, until the next one."""
    return re.split(r"^#", page.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def dotted(oid: tuple[int, ...]) -> str:
    return ".".join(map(str, oid))


def test_both_pages_tell_every_object_operation_and_notification(pages: dict[str, str]) -> None:
    modules = mib.project(MODEL).modules
    objects = [o for m in modules for t in m.tables for o in t.objects]
    things = [(x.name, x.oid) for m in modules for x in (*m.operations, *m.notifications)]
    by_oid = pages[BY_OID]
    assert [o.name for o in objects if f"| {dotted(o.oid)} | {o.name} |" not in by_oid] == []
    assert [name for name, oid in things if name not in by_oid or dotted(oid) not in by_oid] == []
    by_class = pages[BY_CLASS]
    columns = [o for o in objects if o.field and o.oid[-1] < mib.SETTING]
    assert [o.name for o in columns if f"| {o.name} | {dotted(o.oid)} |" not in by_class] == []
    assert [name for name, oid in things if f"{name}, {dotted(oid)}" not in by_class] == []


def test_the_objects_stand_in_the_order_of_their_oids(pages: dict[str, str]) -> None:
    tables = re.findall(r"^\| ([0-9.]+) \| \[", pages[BY_OID], re.MULTILINE)
    arcs = [tuple(map(int, oid.split("."))) for oid in tables]
    assert arcs == sorted(arcs)
    assert len(arcs) == len(MODEL.rows) + 4


def test_both_pages_name_every_libvirt_function_of_the_mapping(pages: dict[str, str]) -> None:
    named = {n for r in MODEL.rows for f in r.columns() for n in f.api}
    named |= {n for d in (*MODEL.operations, *MODEL.events) for n in d.api}
    named |= {o.cancel for o in MODEL.operations if o.cancel}
    for page in pages.values():
        assert sorted(n for n in named if f"`{n}`" not in page) == []


def test_each_column_is_shown_with_its_property_unit_and_access(pages: dict[str, str]) -> None:
    found = rows(pages[BY_OID], r"[0-9.]+")
    by_name = {cells[1]: cells for cells in found.values()}
    assert by_name["virtmapDomainName"][2] == "Virtmap_Domain.ElementName"
    assert by_name["virtmapDomainConfigMemory"][2] == "Virtmap_DomainSettingData.Memory"
    assert by_name["virtmapDomainMemory"][4] == "KiB"
    assert by_name["virtmapDomainName"][5] == "observe"
    assert by_name["virtmapDomainMemorySet"][5].startswith("observe; to set, operate, as [SetMemory](#")
    assert "`virDomainGetName`" in by_name["virtmapDomainName"][7]


@pytest.mark.parametrize("operation", MODEL.operations, ids=lambda o: f"{o.on.__name__}.{o.__name__}")
def test_each_operation_is_told_whole_on_both_pages(pages: dict[str, str], operation: type[Operation]) -> None:
    (registered,) = (o for m in mib.project(MODEL).modules for o in m.operations if o.operation is operation)
    on_class = f"{classes.class_name(operation.on)}.{operation.__name__}"
    by_oid = section(pages[BY_OID], registered.name)
    by_class = section(pages[BY_CLASS], f"{operation.__name__} of {classes.class_name(operation.on)}")
    assert on_class in by_oid
    assert registered.name in by_class
    for told in (by_oid, by_class):
        assert f"access level: **{operation.needs.name.lower()}**" in told
        assert ("**lost for good:**" in told) is bool(operation.destroys)
        assert ("may run long" in told) is operation.job
        assert (f"can be cancelled while it runs, by `{operation.cancel}`" in told) is bool(operation.cancel)
        for f in operation.fields:
            assert f"| {f.number} | {f.name} | {classes.camel(f.name)} |" in told
        assert told.count("| needed |") == sum(f.required for f in operation.arguments())


def test_each_enumeration_and_flag_is_listed_with_its_numbers(pages: dict[str, str]) -> None:
    flags = {f.flags for o in MODEL.operations for f in o.fields if f.flags is not None}
    for page in pages.values():
        for values in (*MODEL.enumerations, *flags):
            told = section(page, values.__name__)
            assert [m.label for m in values if f"| {int(m)} | {m.label} |" not in told] == [], values


def test_every_link_of_the_manual_leads_somewhere(pages: dict[str, str]) -> None:
    for page, text in pages.items():
        headings = [manual.anchor(h) for h in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
        assert len(headings) == len(set(headings)), page
        links = set(re.findall(r"\]\(#([^)]*)\)", text))
        assert links - set(headings) == set(), page
        assert len(links) > len(MODEL.rows)


def test_every_row_of_a_table_of_the_manual_has_as_many_cells_as_its_head(pages: dict[str, str]) -> None:
    for text in pages.values():
        wide = 0
        for line in text.splitlines():
            cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            assert not (wide and cells) or cells == wide, line
            wide = cells
