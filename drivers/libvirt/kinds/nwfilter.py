"""libvirt's nwfilters: how they are listed and read, and how the operations on them are done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from agent.model import nwfilter as on
from agent.model.nwfilter import NwFilter
from agent.schema.declare import Key, Row
from drivers.libvirt import xml
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Doing, Outs
from drivers.libvirt.kinds.elements import Element, lines
from drivers.libvirt.kinds.kind import Kind
from drivers.libvirt.symbols import flags


def _objects(calls: Calls) -> Sequence[Any]:
    listed: Sequence[Any] = calls.ask("cannot list network filters", calls.virt.listAllNWFilters, 0)
    return listed


def _find(calls: Calls, key: Key) -> Any:
    return calls.ask("", calls.virt.nwfilterLookupByUUIDString, key[0])


def _called(nwfilter: Any) -> str:
    return f"nw filter {nwfilter.name()}"


def _read(calls: Calls, nwfilter: Any) -> Sequence[Row]:
    root = xml.parse(calls.ask(f"{_called(nwfilter)}: cannot read it", nwfilter.XMLDesc, 0))
    return [
        NwFilter(
            uuid=nwfilter.UUIDString(), name=nwfilter.name(), host=calls.name, refreshed=datetime.now(UTC), problem="",
            **described(root),
        )
    ]  # fmt: skip


def described(root: Element) -> dict[str, Any]:
    """The columns of a filter that its XML tells."""
    return {
        "chain": root.get("chain"), "priority": _priority(root.get("priority")), "rules": len(root.findall("rule")),
        "references": lines([each.get("filter") for each in root.findall("filterref")]),
    }  # fmt: skip


def _priority(told: str | None) -> int | None:
    """A number, which may be negative."""
    try:
        return None if told is None else int(told)
    except ValueError:
        return None


def _define(do: Doing, virt: Any, operation: on.DefineNwFilter) -> Outs:
    return {"uuid": do(virt.nwfilterDefineXMLFlags, operation.xml, flags(operation.flags)).UUIDString()}


def _undefine(do: Doing, nwfilter: Any, _operation: on.UndefineNwFilter) -> None:
    do(nwfilter.undefine)


def _read_xml(do: Doing, nwfilter: Any, _operation: on.ReadNwFilterXml) -> Outs:
    return {"xml": do(nwfilter.XMLDesc, 0)}


KIND: Kind | None = Kind(
    row=NwFilter, objects=_objects, key=lambda nwfilter: (nwfilter.UUIDString(),), find=_find, read=_read, called=_called,
)  # fmt: skip
ACTIONS: Actions = {on.DefineNwFilter: _define, on.UndefineNwFilter: _undefine, on.ReadNwFilterXml: _read_xml}
