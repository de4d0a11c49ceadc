"""The MIB modules as other people's tools read them, with only our directories on their paths."""

import json
import os
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pysmi.codegen import JsonCodeGen
from pysmi.compiler import MibCompiler
from pysmi.parser import SmiV2Parser
from pysmi.reader import FileReader
from pysmi.writer import CallbackWriter

from agent import generate
from agent.errors import DeclarationError
from agent.model import MODEL
from agent.schema.types import Wire
from agent.snmp import mib, text, view
from tests.programs import program

MIBS = generate.checkout() / "mibs"
STANDARD = MIBS / "standard"
PATH = f"{MIBS}:{STANDARD}"
OURS = sorted(text.generate())
STANDARDS = sorted(p.name for p in STANDARD.iterdir())
BASE = ("SNMPv2-CONF", "SNMPv2-SMI", "SNMPv2-TC")

INHERENT = {
    "HCNUM-TC": {"module-name-suffix", "type-unref", "type-without-format"},
    "IANA-STORAGE-MEDIA-TYPE-MIB": {"type-unref"},
    "IF-MIB": {"type-unref"},
    "LIBVIRT-MIB": {"group-membership", "index-element-accessible"},
    "NOTIFICATION-LOG-MIB": {"opaque-smiv2"},
    "SNMP-FRAMEWORK-MIB": {"identifier-case-match", "previous-definition", "type-unref", "type-without-format"},
    "SNMP-NOTIFICATION-MIB": {"index-element-no-size", "index-exceeds-too-large"},
    "SNMP-TARGET-MIB": {"group-unref", "type-unref"},
    "SNMP-USER-BASED-SM-MIB": {"type-without-format"},
    "SNMP-VIEW-BASED-ACM-MIB": {"index-element-no-size", "index-exceeds-too-large"},
    "UUID-TC-MIB": {"type-unref"},
}
"""What smilint says of the very names and types that an RFC gave; only other facts could silence it."""

PROJECTED = mib.project(MODEL)
TAGS = {
    "INTEGER": Wire.INTEGER,
    "Integer32": Wire.INTEGER,
    "OCTET STRING": Wire.OCTETS,
    "OBJECT IDENTIFIER": Wire.OID,
    "Gauge32": Wire.UNSIGNED,
    "Unsigned32": Wire.UNSIGNED,
    "TimeTicks": Wire.TICKS,
    "Counter64": Wire.COUNTER64,
}


def _objects_of(module: mib.Module) -> list[mib.MibObject]:
    return [*(o for t in module.tables for o in t.objects), *module.event_objects]


def _objects() -> list[mib.MibObject]:
    return [o for m in PROJECTED.modules for o in _objects_of(m)]


def _dotted(oid: mib.Oid) -> str:
    return "." + ".".join(map(str, oid))


def _run(tmp_path: Path, tool: str, *arguments: str) -> tuple[str, str]:
    """What a tool prints to its two outputs; a skip where it is not installed, but a failure in CI."""
    program(tool, "snmp or smitools")
    own = {"SMIPATH": PATH, "SNMPCONFPATH": str(tmp_path), "SNMP_PERSISTENT_DIR": str(tmp_path), "HOME": str(tmp_path)}
    environment = {k: v for k, v in os.environ.items() if k not in ("MIBS", "MIBDIRS")} | own
    done = subprocess.run(
        [tool, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path
    )
    return done.stdout, done.stderr


def _net_snmp(tmp_path: Path, *arguments: str) -> list[str]:
    output, complaints = _run(tmp_path, "snmptranslate", "-M", PATH, "-m", "ALL", *arguments)
    complaints = "\n".join(line for line in complaints.splitlines() if not line.startswith("Created directory"))
    assert complaints == ""
    return output.split()


@pytest.fixture(scope="module")
def compiled() -> dict[str, Any]:
    """Every module as pysmi's JSON."""
    documents: dict[str, Any] = {}
    writer = CallbackWriter(lambda name, document, _: documents.__setitem__(name, json.loads(document)))
    compiler = MibCompiler(SmiV2Parser(), JsonCodeGen(), writer)
    compiler.add_sources(FileReader(str(MIBS)), FileReader(str(STANDARD)))
    outcome = compiler.compile(*OURS, *STANDARDS, genTexts=True)
    assert {name: str(status) for name, status in outcome.items()} == dict.fromkeys([*OURS, *STANDARDS], "compiled")
    return documents


@pytest.mark.parametrize("module", [*OURS, "SNMPv2-MIB"])
def test_smilint_says_nothing(tmp_path: Path, module: str) -> None:
    assert _run(tmp_path, "smilint", "-l", "6", module) == ("", "")


@pytest.mark.parametrize("module", [m for m in STANDARDS if m not in (*BASE, "SNMPv2-MIB")])
def test_smilint_says_of_a_published_module_only_what_its_rfc_brings(tmp_path: Path, module: str) -> None:
    _, complaints = _run(tmp_path, "smilint", "-m", "-l", "6", module)
    assert {line.split("{")[1].split("}")[0] for line in complaints.splitlines()} == INHERENT.get(module, set())


def test_net_snmp_loads_the_standard_modules_without_a_word(tmp_path: Path) -> None:
    assert _net_snmp(tmp_path, "-On", "SNMPv2-MIB::sysDescr.0") == [".1.3.6.1.2.1.1.1.0"]


def test_net_snmp_finds_each_oid_by_its_name_and_each_name_by_its_oid(tmp_path: Path) -> None:
    named = {f"{m.name}::{o.name}": _dotted(o.oid) for m in PROJECTED.modules for o in _objects_of(m)}
    named |= {f"{m.name}::{o.name}": _dotted(o.oid) for m in PROJECTED.modules for o in m.operations}
    named |= {f"{m.name}::{n.name}": _dotted(n.oid) for m in PROJECTED.modules for n in m.notifications}
    named |= {f"{m.name}::{t.name}": _dotted(t.oid) for m in PROJECTED.modules for t in m.tables}
    named |= {f"{m.name}::{m.identity}": _dotted(m.oid) for m in PROJECTED.modules}
    named["VIRTMAP-MIB::virtmapAgent"] = _dotted(mib.AGENT)
    assert _net_snmp(tmp_path, "-On", *named) == list(named.values())
    assert _net_snmp(tmp_path, *named.values()) == list(named)


def test_pysmi_reads_the_oids_and_the_access_that_the_agent_has(compiled: Mapping[str, Any]) -> None:
    for module in PROJECTED.modules:
        read = compiled[module.name]
        for o in _objects_of(module):
            assert (o.name, f".{read[o.name]['oid']}") == (o.name, _dotted(o.oid))
            assert (o.name, read[o.name]["maxaccess"]) == (o.name, o.access.value)
        for n in module.notifications:
            assert tuple(carried["object"] for carried in read[n.name]["objects"]) == n.objects


def test_every_object_and_its_values_are_described(compiled: Mapping[str, Any]) -> None:
    for o in _objects():
        assert _read(compiled, o)["description"].startswith(o.description)
    for module in PROJECTED.modules:
        for convention in module.conventions:
            description = _convention(compiled, convention.name)["description"]
            assert [
                f"{label}: {told}" for label, _, told in convention.labels if f"{label}: {told}" not in description
            ] == []


def test_the_text_says_the_types_that_the_agent_sends(compiled: Mapping[str, Any]) -> None:
    said = {o.name: TAGS[_base(compiled, _read(compiled, o)["syntax"]["type"])] for o in _objects()}
    assert said == {o.name: o.wire for o in _objects()}


def test_values_are_sent_with_the_tag_that_the_text_says() -> None:
    samples = {int: 1, bool: True, datetime: datetime.now(UTC), str: "x"}
    samples_by_name = {"Uuid": "00112233-4455-6677-8899-aabbccddeeff", "Mac": "52:54:00:00:00:01"}
    for o in _objects():
        if o.field is not None:
            semantic = o.field.semantic
            first = next(iter(o.field.enumeration), None) if o.field.enumeration else None
            sample = first or samples_by_name.get(semantic.name) or samples[semantic.python]
            assert (o.name, view.encoder(semantic)(sample)[0]) == (o.name, o.wire.value)


def test_the_text_says_the_values_of_every_enumeration(compiled: Mapping[str, Any]) -> None:
    for convention in (c for m in PROJECTED.modules for c in m.conventions):
        said = _convention(compiled, convention.name)["type"]["constraints"]["enumeration"]
        assert said == {label: number for label, number, _ in convention.labels}


@pytest.mark.parametrize(
    ("syntax", "value"), [("VirtmapUuid", "00112233-4455-6677-8899-aabbccddeeff"), ("MacAddress", "52:54:00:00:00:01")]
)
def test_octets_on_the_wire_are_as_long_as_the_text_says(compiled: Mapping[str, Any], syntax: str, value: str) -> None:
    field = next(o.field for o in _objects() if o.syntax == syntax and o.field)
    _, length, *octets = view.encoder(field.semantic)(value)
    sizes = _convention(compiled, syntax)["type"]["constraints"]["size"]
    assert [(s["min"], s["max"]) for s in sizes] == [(length, length)] == [(len(octets), len(octets))]


def test_every_accessible_object_is_in_a_group_of_the_compliance(compiled: Mapping[str, Any]) -> None:
    for module in PROJECTED.modules:
        read = compiled[module.name]
        required = [g["object"] for g in read[f"{module.prefix}Compliance"]["modulecompliance"]]
        grouped = {o["object"] for name in required for o in read[name]["objects"]}
        readable = {o.name for t in module.tables for o in t.readable}
        assert grouped == readable | {o.name for o in module.event_objects} | {n.name for n in module.notifications}


def test_a_range_stands_only_where_the_type_allows_more() -> None:
    index = next(o for o in _objects() if o.name == "virtmapDomainIndex")
    vcpus = next(o for o in _objects() if o.name == "virtmapDomainVcpus")
    memory = next(o for o in _objects() if o.name == "virtmapDomainMemory")
    assert [text.syntax(o) for o in (index, vcpus, memory)] == [
        "Unsigned32 (1..2147483647)", "Gauge32", "CounterBasedGauge64",
    ]  # fmt: skip


def test_prose_is_wrapped_and_holds_no_double_quote() -> None:
    lines = text.prose('say "no"\n  and ' + "word " * 40).split("\n")
    assert lines[0] == "say 'no'"
    assert max(map(len, lines)) <= text.WIDTH
    assert all(line.startswith(" " * text.INDENT) for line in lines[1:])


def test_text_outside_ascii_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "REVISIONS", (("202611230000Z", "Gr\u00fc\u00dfe"),))
    with pytest.raises(DeclarationError, match="ASCII"):
        text.generate()


def _read(compiled: Mapping[str, Any], o: mib.MibObject) -> Any:
    return next(module[o.name] for module in compiled.values() if o.name in module)


def _convention(compiled: Mapping[str, Any], name: str) -> Any:
    return next(m[name] for m in compiled.values() if m.get(name, {}).get("class") == "textualconvention")


def _base(compiled: Mapping[str, Any], syntax: str) -> str:
    """The type that a chain of textual conventions ends in."""
    while syntax not in TAGS:
        syntax = _convention(compiled, syntax)["type"]["type"]
    return syntax
