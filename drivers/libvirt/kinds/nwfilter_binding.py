"""libvirt's nwfilter bindings: how they are listed and read, and how the operations on them are done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from agent.errors import NotFound
from agent.model import nwfilter_binding as on
from agent.model.nwfilter_binding import NwFilterBinding
from agent.schema.declare import Key, Row
from drivers.libvirt import xml
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Doing, Outs
from drivers.libvirt.kinds.elements import Element, attribute, lines, mac, text
from drivers.libvirt.kinds.kind import Kind
from drivers.libvirt.symbols import flags


def _objects(calls: Calls) -> Sequence[Any]:
    listed: Sequence[Any] = calls.ask("cannot list filter bindings", calls.virt.listAllNWFilterBindings, 0)
    return listed


def _find(calls: Calls, key: Key) -> Any:
    return calls.ask("", calls.virt.nwfilterBindingLookupByPortDev, key[0])


def _called(binding: Any) -> str:
    return f"nw filter binding {binding.portDev()}"


def _read(calls: Calls, binding: Any) -> Sequence[Row]:
    root = xml.parse(calls.ask(f"{_called(binding)}: cannot read it", binding.XMLDesc, 0))
    name = calls.ask("", binding.filterName)
    return [
        NwFilterBinding(
            port=binding.portDev(), filter_name=name, filter=_filter(calls, name), host=calls.name,
            refreshed=datetime.now(UTC), problem="", **described(root),
        )
    ]  # fmt: skip


def described(root: Element) -> dict[str, Any]:
    """The columns of a binding that its XML tells."""
    return {
        "owner_name": text(root, "owner/name"), "owner": text(root, "owner/uuid"),
        "mac": mac(attribute(root, "mac", "address")), "link_device": attribute(root, "linkdev", "name"),
        "parameters": lines([f"{each.get('name')}={each.get('value')}" for each in root.findall("filterref/parameter")]),
    }  # fmt: skip


def _filter(calls: Calls, name: str) -> str | None:
    """UUID of the filter, which a binding knows by its name only."""
    try:
        found = calls.try_(calls.virt.nwfilterLookupByName, name)
    except NotFound:
        return None
    return None if found is None else str(found.UUIDString())


def _create(do: Doing, virt: Any, operation: on.CreateNwFilterBinding) -> Outs:
    return {"port": do(virt.nwfilterBindingCreateXML, operation.xml, flags(operation.flags)).portDev()}


def _delete(do: Doing, binding: Any, _operation: on.DeleteNwFilterBinding) -> None:
    do(binding.delete)


def _read_xml(do: Doing, binding: Any, _operation: on.ReadNwFilterBindingXml) -> Outs:
    return {"xml": do(binding.XMLDesc, 0)}


KIND: Kind | None = Kind(
    row=NwFilterBinding, objects=_objects, key=lambda binding: (binding.portDev(),), find=_find, read=_read,
    called=_called,
)  # fmt: skip
ACTIONS: Actions = {
    on.CreateNwFilterBinding: _create,
    on.DeleteNwFilterBinding: _delete,
    on.ReadNwFilterBindingXml: _read_xml,
}
