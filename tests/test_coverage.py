"""The coverage report: every function is mapped, left out for a reason, or missing; what is told maps it is really there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent import coverage as proof
from agent.cim import classes
from agent.cli import main
from agent.coverage import GROUPS, UNKNOWN, Covered, Side, Status, counts, coverage, described
from agent.model import MODEL, unmapped
from agent.schema import libvirt_api
from agent.snmp import text as mib_text

FIELDS = {
    "name": str, "group": str, "kind": str, "snmp": list, "cim": list, "superseded_by": str | None, "reason": str | None,
    "library": str, "since": str,
}  # fmt: skip
KINDS = {"read", "control", "lifecycle", "event", "bulk-data", "plumbing"}
SUPERSEDED = re.compile(r"superseded by (vir\w+)")
PLUMBING = re.compile(r"vir\w+(Free|Ref|Clear)|vir\w*Error\w*|virTypedParams\w+|virEvent\w+|vir\w+LookupBy\w+")


@pytest.fixture(scope="module")
def found() -> dict[str, Covered]:
    """Every function by name, held against the installed libvirt."""
    return {c.function.name: c for c in coverage(MODEL, described())}


@pytest.fixture(scope="module")
def listed() -> list[dict[str, Any]]:
    """What `virtmap coverage --json` prints."""
    return [c.as_json() for c in coverage(MODEL, described())]


def test_a_function_is_mapped_by_columns_operations_and_notifications(found: dict[str, Covered]) -> None:
    suspend = found["virDomainSuspend"]
    assert suspend.snmp == ("1.3.6.1.4.1.36957.20.3.2.6",)
    assert suspend.cim == ("Virtmap_Domain.Suspend",)
    name = found["virDomainGetName"]
    assert "Virtmap_Domain.ElementName" in name.cim
    assert "1.3.6.1.4.1.36957.20.1.2.1.4" in name.snmp
    registered = found["virConnectDomainEventRegisterAny"]
    assert "1.3.6.1.4.1.36957.20.0.3" in registered.snmp
    assert "Virtmap_DomainStarted" in registered.cim
    assert [found[n].status(side) for n in ("virDomainSuspend",) for side in Side] == [Status.MAPPED] * 2


def test_a_column_that_can_be_set_stands_for_the_function_that_sets_it(found: dict[str, Covered]) -> None:
    assert "1.3.6.1.4.1.36957.20.1.2.1.1021" in found["virDomainSetMemoryFlags"].snmp


def test_what_stops_an_operation_is_mapped_by_it(found: dict[str, Covered]) -> None:
    stops = [o for o in MODEL.operations if o.cancel]
    assert stops
    for o in stops:
        assert o.cancel is not None
        assert f"{classes.class_name(o.on)}.{o.__name__}" in found[o.cancel].cim


def test_nothing_is_missing(found: dict[str, Covered]) -> None:
    assert sorted(name for name, c in found.items() if c.missing) == []


def test_what_is_mapped_is_mapped_in_both_systems(found: dict[str, Covered]) -> None:
    assert [name for name, c in found.items() if bool(c.snmp) is not bool(c.cim)] == []


def test_nothing_is_both_mapped_and_left_out(found: dict[str, Covered]) -> None:
    assert [name for name, c in found.items() if (c.snmp or c.cim) and c.reason is not None] == []


def test_every_reason_is_one_that_an_operator_accepts(found: dict[str, Covered]) -> None:
    reasons = {str(r) for r in unmapped.Reason}
    odd = {
        n: c.reason for n, c in found.items() if c.reason and c.reason not in reasons and not SUPERSEDED.match(c.reason)
    }
    assert odd == {}


def test_only_plumbing_is_left_out_without_a_successor(found: dict[str, Covered]) -> None:
    left = [c.function for c in found.values() if c.reason and not SUPERSEDED.fullmatch(c.reason)]
    assert [f.name for f in left if f.mappable] == []
    assert {f.name for f in left if PLUMBING.fullmatch(f.name)} >= {"virDomainFree", "virGetLastError", "virDomainRef"}


def test_what_supersedes_a_function_is_mapped(found: dict[str, Covered]) -> None:
    successors = {n: m[1] for n, c in found.items() if c.reason and (m := SUPERSEDED.fullmatch(c.reason))}
    assert successors, "some functions are superseded"
    assert [n for n, s in successors.items() if not (found[s].snmp and found[s].cim)] == []
    assert [n for n, s in successors.items() if libvirt_api.functions()[n].superseded_by != s] == []


def test_a_function_whose_successor_is_not_mapped_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = (c for c in coverage(MODEL) if c.function.name == "virConnectDomainEventRegister")
    assert one.reason == "superseded by virConnectDomainEventRegisterAny"
    monkeypatch.setattr(proof, "_in_snmp", lambda _: iter(()))
    (one,) = (c for c in coverage(MODEL) if c.function.name == "virConnectDomainEventRegister")
    assert (one.status(Side.SNMP), one.reason) == (Status.MISSING, None)


def test_the_groups_add_up_to_what_is_to_be_mapped(found: dict[str, Covered]) -> None:
    known = [c for c in found.values() if c.function.kind != UNKNOWN]
    assert {c.function.group for c in known if c.function.mappable} == set(GROUPS)
    for side in Side:
        of_groups = [counts([c for c in known if c.function.group == group], side) for group in GROUPS]
        whole = counts(known, side)
        assert whole.total == sum(g.total for g in of_groups) == 388 + 6 + 9
        assert whole.mapped == sum(g.mapped for g in of_groups) > 60
        assert counts([c for c in known if c.function.counted], side).total == 388


def test_the_drivers_have_as_many_functions_as_their_tables_say() -> None:
    counted = [f for f in libvirt_api.functions().values() if f.counted]
    assert sum("test" in f.drivers for f in counted) == 256
    assert sum("qemu" in f.drivers for f in counted) == 377


# --- against libvirt's own description


def description(path: Path, *functions: str) -> Path:
    lines = "".join(f"<function name='{name}' file='libvirt-network'/>" for name in functions)
    path.write_text(f"<api name='libvirt'><symbols>{lines}</symbols></api>")
    return path


def test_a_described_function_that_we_do_not_know_is_missing(tmp_path: Path) -> None:
    path = description(tmp_path / "api.xml", "virNetworkGetName", "virNetworkTeleport")
    told = {("libvirt", "libvirt_api"): str(path), ("libvirt", "version"): "99.0.0"}
    (one,) = described(lambda module, variable: told.get((module, variable)))
    assert (one.library, one.version, set(one.functions)) == (
        "libvirt",
        "99.0.0",
        {"virNetworkGetName", "virNetworkTeleport"},
    )
    of = {c.function.name: c for c in coverage(MODEL, (one,))}
    assert len(of) == len(libvirt_api.functions()) + 1
    assert of["virNetworkTeleport"].missing
    assert (of["virNetworkTeleport"].function.group, of["virNetworkTeleport"].function.kind) == ("network", UNKNOWN)


def test_without_a_description_our_own_table_serves(tmp_path: Path) -> None:
    assert described(lambda module, variable: None) == ()
    assert described(lambda module, variable: str(tmp_path / "gone.xml")) == ()
    assert {c.function.name for c in coverage(MODEL)} == set(libvirt_api.functions())


def test_the_installed_description_is_read(found: dict[str, Covered]) -> None:
    files = described()
    assert [d.library for d in files] == ["libvirt", "libvirt-qemu"]
    assert len(files[0].functions) >= 516
    assert set(files[0].functions) | set(files[1].functions) <= set(found)


# --- the list of --json


def test_each_function_is_one_object_with_its_fields(listed: list[dict[str, Any]]) -> None:
    for entry in listed:
        assert set(entry) == set(FIELDS)
        assert [k for k, kind in FIELDS.items() if not isinstance(entry[k], kind)] == [], entry
        assert entry["kind"] in KINDS | {UNKNOWN}
    names = [entry["name"] for entry in listed]
    assert len(names) == len(set(names))
    assert set(names) >= set(libvirt_api.functions())


def test_every_oid_stands_in_the_mib(listed: list[dict[str, Any]]) -> None:
    there = {
        ".".join(map(str, thing.oid))
        for m in mib_text.modules(MODEL)
        for thing in (*(o for t in m.laid_out for o in t.objects), *m.operations, *m.notifications)
    }
    assert {oid for entry in listed for oid in entry["snmp"]} - there == set()


def test_every_cim_feature_stands_in_the_schema(listed: list[dict[str, Any]]) -> None:
    schema = classes.build(MODEL)

    def members(name: str) -> set[str]:
        lines = (name.lower(), *schema.ancestors(name))
        return {
            m for line in lines for part in ("properties", "methods") for m in getattr(schema.classes[line].local, part)
        }

    for feature in {feature for entry in listed for feature in entry["cim"]}:
        name, _, member = feature.partition(".")
        assert name.lower() in schema.classes, feature
        assert not member or member in members(name), feature


def test_the_command_prints_the_list(capsys: pytest.CaptureFixture[str], listed: list[dict[str, Any]]) -> None:
    assert main(["coverage", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == listed


# --- the command


def test_the_command_prints_a_row_for_each_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage"]) == 0
    told = capsys.readouterr().out
    assert [
        group for group in GROUPS if not re.search(rf"^│ {group} +│ +\d+ │( +\d+ │){{6}}$", told, re.MULTILINE)
    ] == []
    assert re.search(r"│ all +│ +403 │", told)
    assert re.search(r"│ core 9.0.0 +│ +388 │", told)
    assert "libvirt-api.xml (libvirt" in told


def test_the_command_can_fail_when_something_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = description(tmp_path / "api.xml", "virNetworkTeleport")
    monkeypatch.setattr(proof, "_pkg_config", lambda module, variable: str(path) if module == "libvirt" else None)
    assert main(["coverage"]) == 0
    capsys.readouterr()
    assert main(["coverage", "--check"]) == 1
    assert "virNetworkTeleport" in capsys.readouterr().err
