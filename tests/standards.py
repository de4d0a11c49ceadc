"""Standard modules in tests: their text as pysmi reads it, held against what is declared and against what is served."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pysmi.codegen import JsonCodeGen
from pysmi.compiler import MibCompiler
from pysmi.parser import SmiV2Parser
from pysmi.reader import FileReader
from pysmi.writer import CallbackWriter

from agent import generate
from agent.schema.types import Wire
from agent.snmp.standards import Standard
from agent.snmp.standards.declared import Declared, DeclaredModule, Objects
from tests.agents import World
from tests.wire import Oid, getbulk

BASES = {
    "INTEGER": Wire.INTEGER, "Integer32": Wire.INTEGER, "OCTET STRING": Wire.OCTETS, "OBJECT IDENTIFIER": Wire.OID,
    "Gauge32": Wire.UNSIGNED, "Unsigned32": Wire.UNSIGNED, "TimeTicks": Wire.TICKS, "Counter64": Wire.COUNTER64,
}  # fmt: skip


@functools.cache
def compiled(module: str) -> Mapping[str, Any]:
    """All symbols of a module and of those that it imports, by their names, as pysmi's JSON."""
    documents: dict[str, Any] = {}
    writer = CallbackWriter(lambda name, document, _: documents.__setitem__(name, json.loads(document)))
    compiler = MibCompiler(SmiV2Parser(), JsonCodeGen(), writer)
    mibs = generate.checkout() / "mibs"
    compiler.add_sources(FileReader(str(mibs)), FileReader(str(mibs / "standard")))
    outcome = compiler.compile(module)
    assert set(map(str, outcome.values())) == {"compiled"}, outcome
    own = documents.pop(module)
    return {**{k: v for d in documents.values() for k, v in d.items()}, **own, "": own}


def _types(read: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """The syntax of an object, and the types that its textual conventions lead to."""
    syntax = read[name]["syntax"]
    yield syntax
    while syntax["type"] not in BASES:
        syntax = read[syntax["type"]]["type"]
        yield syntax


def _limits(read: Mapping[str, Any], name: str, kind: str) -> Any:
    """The constraints of a kind that stand nearest to the object."""
    return next((found for t in _types(read, name) if (found := t.get("constraints", {}).get(kind))), None)


def _plain(label: str) -> str:
    return label.replace("_", "").lower()


def _declared(module: DeclaredModule) -> Iterator[tuple[Objects, Declared]]:
    for objects in (*module.scalars, *module.tables):
        for one in objects.objects:
            yield objects, one


def declared_facts(module: DeclaredModule) -> dict[str, object]:
    """What is declared, as facts that can be compared, by name."""
    facts: dict[str, object] = {}
    for objects, one in _declared(module):
        labels = None if one.syntax.labels is None else {_plain(x.name): int(x) for x in one.syntax.labels}
        oid = ".".join(map(str, objects.mib[one.name].oid))
        facts[one.name] = (oid, one.access.value, one.syntax.name, one.syntax.wire, labels)
    for told in module.notifications:
        facts[told.name] = (".".join(map(str, told.oid)), told.objects)
    for table in module.tables:
        facts[table.name] = ".".join(map(str, table.under[:-1]))
    return facts


def text_facts(name: str) -> dict[str, object]:
    """The same facts, of the text of a module."""
    read = compiled(name)
    facts: dict[str, object] = {}
    for symbol, one in read[""].items():
        if one.get("class") == "notificationtype":
            facts[symbol] = (one["oid"], tuple(o["object"] for o in one["objects"]))
        elif one.get("nodetype") == "table":
            facts[symbol] = one["oid"]
        elif one.get("nodetype") in ("column", "scalar"):
            *_, base = _types(read, symbol)
            labels = _limits(read, symbol, "enumeration")
            plain = None if labels is None else {_plain(label): number for label, number in labels.items()}
            facts[symbol] = (one["oid"], one["maxaccess"], one["syntax"]["type"], BASES[base["type"]], plain)
    return facts


def misfit(module: DeclaredModule, name: str, tag: int, contents: bytes) -> str | None:
    """Why a value is none that the text allows the object to have; None if it is one."""
    read = compiled(module.name)
    *_, base = _types(read, name)
    if tag != BASES[base["type"]].value:
        return f"{name}: tag {tag:#x}"
    if tag == Wire.OCTETS.value:
        sizes = _limits(read, name, "size")
        if sizes and not any(s["min"] <= len(contents) <= s["max"] for s in sizes):
            return f"{name}: {len(contents)} octets"
    if tag == Wire.INTEGER.value:
        number = int.from_bytes(contents, "big", signed=True)
        labels, ranges = _limits(read, name, "enumeration"), _limits(read, name, "range")
        if labels and number not in labels.values():
            return f"{name}: {number} is no value of it"
        if ranges and not any(r["min"] <= number <= r["max"] for r in ranges):
            return f"{name}: {number} is out of range"
    return None


def served(w: World, under: Oid) -> dict[Oid, tuple[int, bytes]]:
    """Tag and contents of every variable under some arcs, as a manager walks them."""
    found: dict[Oid, tuple[int, bytes]] = {}
    at = under
    while True:
        answer = w.read(getbulk(0, 100, at))
        for name, tag, contents in answer.variables:
            if tag == 0x82 or name[: len(under)] != under:
                return found
            assert name > at, "a walk goes on"
            found[name] = tag, contents
            at = name


def named(module: DeclaredModule, variables: Mapping[Oid, tuple[int, bytes]]) -> Iterator[tuple[str, Oid, int, bytes]]:
    """The variables with the names of their objects and their instances."""
    objects = {o.mib[one.name].oid: one.name for o, one in _declared(module)}
    for name, (tag, contents) in variables.items():
        size = next(n for n in range(len(name), 0, -1) if name[:n] in objects)
        yield objects[name[:size]], name[size:], tag, contents


def misfits(module: DeclaredModule, variables: Mapping[Oid, tuple[int, bytes]]) -> list[str]:
    """What is served that the text does not allow."""
    found = (misfit(module, name, tag, contents) for name, _, tag, contents in named(module, variables))
    return [why for why in found if why is not None]


def standard(w: World, place: int = 0) -> Standard:
    """One of the standards that an agent serves for its only hypervisor."""
    return w.engine.contexts["default"].standards[place]


def carried(varbinds: Iterable[tuple[Oid, bytes]]) -> dict[Oid, bytes]:
    """The varbinds of a notice: contents octets by name."""
    return {name: element[2:] for name, element in varbinds}
