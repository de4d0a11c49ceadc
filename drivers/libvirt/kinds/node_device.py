"""libvirt's node devices: how they are listed and read, and how the operations on them are done.

A host has hundreds of them, thousands with the interfaces of its guests. libvirt tells when one comes, goes or changes, so
that what was read of a device is kept until then. What costs six calls, and nearly never changes, is kept for longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.driver import Changed, Happened, Heard
from agent.errors import NotSupported
from agent.model import node_device as on
from agent.model.node_device import NodeDevice, NodeDeviceCapability, NodeDeviceUpdated
from agent.schema.declare import Key, Row
from agent.schema.types import Flags
from drivers.libvirt import symbols, xml
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Doing, Outs
from drivers.libvirt.kinds.elements import Element, attribute, lines, size, text, whole
from drivers.libvirt.kinds.kept import Kept
from drivers.libvirt.kinds.kind import Kind
from drivers.libvirt.kinds.listening import numbered, register

PACE = 300.0
"""Seconds between two listings, for hypervisors that tell no events."""

KEPT = 600.0
"""Seconds that a description is good for at most: of the state of a link there is no event."""

FACTS_KEPT = 3600.0
"""Seconds that the facts about a device are good for at most."""

_LIFECYCLE = numbered(on.NodeDeviceCreated, on.NodeDeviceDeleted, on.NodeDeviceDefined, on.NodeDeviceUndefined)

_LISTED = {"vports": "vport_ops"}
"""Capabilities that libvirt lists by another name than it describes them."""


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What separate calls tell of a device."""

    parent: str | None
    active: bool | None
    persistent: bool | None
    autostart: bool | None
    capabilities: tuple[str, ...]


_DESCRIPTIONS: Kept[tuple[Row, ...]] = Kept(KEPT)
_FACTS: Kept[_Facts] = Kept(FACTS_KEPT)


def _changed(name: str) -> None:
    """A device may be different now."""
    _DESCRIPTIONS.changed(lambda key: key == name)
    _FACTS.changed(lambda key: key == name)


def _objects(calls: Calls) -> Sequence[Any]:
    listed: Sequence[Any] = calls.ask("cannot list node devices", calls.virt.listAllDevices, 0)
    names = {each.name() for each in listed}
    _DESCRIPTIONS.keep_only(calls, names)
    _FACTS.keep_only(calls, names)
    return listed


def _find(calls: Calls, key: Key) -> Any:
    return calls.ask("", calls.virt.nodeDeviceLookupByName, key[0])


def _called(device: Any) -> str:
    return f"node device {device.name()}"


def _read(calls: Calls, device: Any) -> Sequence[Row]:
    return _DESCRIPTIONS.get(calls, device.name(), lambda: _read_anew(calls, device))


def _read_anew(calls: Calls, device: Any) -> tuple[Row, ...]:
    name, asked = device.name(), f"{_called(device)}: cannot read it"
    root = xml.parse(calls.ask(asked, device.XMLDesc, 0))
    facts = _FACTS.get(calls, name, lambda: _facts(calls, device, asked))
    columns = described(root) | {
        "name": name, "host": calls.name, "parent": facts.parent or text(root, "parent"), "persistent": facts.persistent,
        "active": True if facts.active is None else facts.active, "autostart": facts.autostart,
        "refreshed": datetime.now(UTC), "problem": "",
    }  # fmt: skip
    return (NodeDevice(**columns), *_capabilities(name, root, facts.capabilities))


def _facts(calls: Calls, device: Any, asked: str) -> _Facts:
    count = calls.try_(device.numOfCaps)
    return _Facts(
        parent=calls.ask(asked, device.parent), active=_flag(calls.try_(device.isActive)),
        persistent=_flag(calls.try_(device.isPersistent)), autostart=_flag(calls.try_(device.autostart)),
        capabilities=tuple(calls.try_(device.listCaps) or ()) if count else (),
    )  # fmt: skip


def _flag(told: int | None) -> bool | None:
    return None if told is None else bool(told)


def described(root: Element) -> dict[str, Any]:
    """The columns of a device that its XML tells."""
    files = root.findall("devnode")
    capability = root.find("capability")
    columns: dict[str, Any] = {
        "path": text(root, "path"), "driver": text(root, "driver/name"),
        "device_file": next((each.text for each in files if each.get("type") == "dev"), None),
        "device_links": lines([each.text for each in files if each.get("type") == "link"]),
    }  # fmt: skip
    if capability is None:
        return columns
    columns |= _common(capability)
    if reader := _READERS.get(columns["type"]):
        columns |= {name: value for name, value in reader(capability).items() if value is not None}
    return columns


def _common(element: Element) -> dict[str, Any]:
    """What several types of devices tell in the same way."""
    return {
        "type": element.get("type"), "vendor": text(element, "vendor"), "vendor_id": attribute(element, "vendor", "id"),
        "product": text(element, "product"), "product_id": attribute(element, "product", "id"),
        "iommu_group": whole(attribute(element, "iommuGroup", "number")), "numa_node": whole(attribute(element, "numa", "node")),
        "serial": text(element, "serial"),
    }  # fmt: skip


def _pci(element: Element) -> dict[str, Any]:
    ability, now = (_link(element, which) for which in ("cap", "sta"))
    function = element.find("capability[@type='phys_function']/address")
    return {
        "device_class": text(element, "class"), "address": _pci_address(*(text(element, part) for part in _PCI)),
        "physical_function": None if function is None else _pci_address(*(function.get(part) for part in _PCI)),
        "link_speed": now.get("speed"), "link_width": whole(now.get("width")),
        "link_max_speed": ability.get("speed"), "link_max_width": whole(ability.get("width")),
    }  # fmt: skip


_PCI = ("domain", "bus", "slot", "function")


def _pci_address(*parts: str | None) -> str | None:
    """As lspci writes it: 0000:00:03.0."""
    numbers = [number for each in parts if (number := whole(each)) is not None]
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers) if len(numbers) == len(_PCI) else None


def _link(element: Element, which: str) -> Any:
    found = element.find(f"pci-express/link[@validity='{which}']")
    return {} if found is None else found


def _usb_device(element: Element) -> dict[str, Any]:
    bus, device = whole(text(element, "bus")), whole(text(element, "device"))
    return {"address": None if bus is None or device is None else f"{bus:03d}:{device:03d}"}


def _usb(element: Element) -> dict[str, Any]:
    parts = [text(element, part) for part in ("class", "subclass", "protocol")]
    return {
        "device_class": None if None in parts else "/".join(map(str, parts)), "product": text(element, "description"),
        "address": text(element, "number"),
    }  # fmt: skip


def _net(element: Element) -> dict[str, Any]:
    mac = text(element, "address")
    return {
        "interface": text(element, "interface"),
        "mac": mac if mac and len(mac) == 17 else None,  # that of InfiniBand is longer
        "net_state": attribute(element, "link", "state"),
        "net_speed": whole(attribute(element, "link", "speed"), most=2**32 - 2),  # the kernel's -1 is one more
        "net_features": " ".join(filter(None, (each.get("name") for each in element.findall("feature")))) or None,
    }  # fmt: skip


def _storage(element: Element) -> dict[str, Any]:
    medium = element.find("capability[@type='removable']")
    return {
        "device_file": text(element, "block"), "drive_type": text(element, "drive_type"), "bus": text(element, "bus"),
        "product": text(element, "model"), "block_size": size(element, "logical_block_size"), "removable": medium is not None,
        "size": size(element, "size") if medium is None else size(medium, "media_size"),
        "media_available": None if medium is None else text(medium, "media_available") == "1",
        "media_label": None if medium is None else text(medium, "media_label"),
    }  # fmt: skip


def _scsi_host(element: Element) -> dict[str, Any]:
    fibre = element.find("capability[@type='fc_host']")
    named = {} if fibre is None else {part: text(fibre, part) for part in ("wwnn", "wwpn", "fabric_wwn")}
    return {"scsi_host": whole(text(element, "host")), "address": text(element, "unique_id")} | named


def _scsi_target(element: Element) -> dict[str, Any]:
    port = element.find("capability[@type='fc_remote_port']")
    return {"scsi_target": text(element, "target"), "wwpn": None if port is None else text(port, "wwpn")}


def _scsi(element: Element) -> dict[str, Any]:
    parts = [text(element, part) for part in ("host", "bus", "target", "lun")]
    return {
        "scsi_host": whole(parts[0]), "scsi_type": text(element, "type"),
        "address": None if None in parts else ":".join(map(str, parts)),
    }  # fmt: skip


def _character(path: str) -> Callable[[Element], dict[str, Any]]:
    return lambda element: {"device_file": text(element, path)}


def _mdev(element: Element) -> dict[str, Any]:
    return {
        "mdev_type": attribute(element, "type", "id"), "uuid": text(element, "uuid"), "address": text(element, "parent_addr"),
        "mdev_attributes": lines([f"{each.get('name')}={each.get('value')}" for each in element.findall("attr")]),
    }  # fmt: skip


def _channel(element: Element) -> dict[str, Any]:
    parts = [text(element, part) for part in ("cssid", "ssid", "devno")]
    return {"address": None if None in parts else ".".join(str(each).removeprefix("0x") for each in parts)}


def _adjunct(element: Element) -> dict[str, Any]:
    return {"address": ".".join(filter(None, (text(element, "ap-adapter"), text(element, "ap-domain")))) or None}


def _system(element: Element) -> dict[str, Any]:
    return {
        "product": text(element, "product"), "vendor": text(element, "hardware/vendor"),
        "version": text(element, "hardware/version"), "serial": text(element, "hardware/serial"),
        "uuid": text(element, "hardware/uuid"), "firmware_vendor": text(element, "firmware/vendor"),
        "firmware_version": text(element, "firmware/version"), "firmware_date": text(element, "firmware/release_date"),
    }  # fmt: skip


_READERS: dict[str | None, Callable[[Element], dict[str, Any]]] = {
    "pci": _pci, "usb_device": _usb_device, "usb": _usb, "net": _net, "storage": _storage, "scsi_host": _scsi_host,
    "scsi_target": _scsi_target, "scsi": _scsi, "scsi_generic": _character("char"), "vdpa": _character("chardev"),
    "mdev": _mdev, "ccw": _channel, "css": _channel, "ap_card": _adjunct, "ap_queue": _adjunct, "system": _system,
}  # fmt: skip


def _capabilities(device: str, root: Element, listed: Sequence[str]) -> Iterator[Row]:
    """What the XML describes, one within the other, and what else libvirt lists."""
    found = {row.name: row for each in root.iter("capability") for row in _capability(device, each)}
    for name in (_LISTED.get(each, each) for each in listed):
        found.setdefault(name, NodeDeviceCapability(device=device, name=name))
    return iter(found.values())


def _capability(device: str, element: Element) -> Iterator[NodeDeviceCapability]:
    name = element.get("type") or ""
    columns: dict[str, Any] = {}
    match name:
        case "virt_functions":
            columns = {"maximum": whole(element.get("maxCount")), "in_use": len(element.findall("address"))}
        case "vport_ops":
            columns = {"maximum": whole(text(element, "max_vports")), "in_use": whole(text(element, "vports"))}
        case "vpd":
            columns = {"title": element.get("name")}
    yield NodeDeviceCapability(device=device, name=name, **columns)
    if name == "mdev_types":
        for each in element.findall("type"):
            yield NodeDeviceCapability(
                device=device, name=f"{name}/{each.get('id')}", title=text(each, "name"), device_api=text(each, "deviceAPI"),
                available=whole(text(each, "availableInstances")),
            )  # fmt: skip


def _listen(calls: Calls, heard: Callable[[Heard], None]) -> None:
    def on_lifecycle(_virt: Any, device: Any, event: int, _detail: int, _opaque: object) -> None:
        name = device.name()
        _changed(name)
        made = _LIFECYCLE.get(event)
        heard(Changed(root=(NodeDevice, (name,))) if made is None else Happened(event=made(), key=(name,)))

    def on_update(_virt: Any, device: Any, _opaque: object) -> None:
        name = device.name()
        _changed(name)
        heard(Happened(event=NodeDeviceUpdated(), key=(name,)))

    function = calls.virt.nodeDeviceEventRegisterAny
    register(calls, function, "VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE", on_lifecycle)
    register(calls, function, "VIR_NODE_DEVICE_EVENT_ID_UPDATE", on_update)


def _flags(do: Doing, chosen: Flags) -> int:
    """libvirt's bits; some of them are newer than the library may be."""
    if any(each & chosen and symbols.number(each.libvirt) is None for each in type(chosen)):
        raise NotSupported(do.wrong("the flag needs a newer libvirt"))
    return symbols.flags(chosen)


def _define(do: Doing, virt: Any, operation: on.DefineNodeDevice) -> Outs:
    return {"name": do(virt.nodeDeviceDefineXML, operation.xml, _flags(do, operation.flags)).name()}


def _create(do: Doing, virt: Any, operation: on.CreateNodeDevice) -> Outs:
    return {"name": do(virt.nodeDeviceCreateXML, operation.xml, _flags(do, operation.flags)).name()}


def _detach(do: Doing, device: Any, operation: on.DetachNodeDevice) -> None:
    do(device.detachFlags, operation.driver or None, 0)
    _changed(do.key[0])


def _reattach(do: Doing, device: Any, _operation: on.ReattachNodeDevice) -> None:
    do(device.reAttach)
    _changed(do.key[0])


def _reset(do: Doing, device: Any, _operation: on.ResetNodeDevice) -> None:
    do(device.reset)


def _start(do: Doing, device: Any, _operation: on.StartNodeDevice) -> None:
    do(device.create, 0)
    _changed(do.key[0])


def _destroy(do: Doing, device: Any, _operation: on.DestroyNodeDevice) -> None:
    do(device.destroy)
    _changed(do.key[0])


def _undefine(do: Doing, device: Any, _operation: on.UndefineNodeDevice) -> None:
    do(device.undefine, 0)
    _changed(do.key[0])


def _set_autostart(do: Doing, device: Any, operation: on.SetNodeDeviceAutostart) -> None:
    do(device.setAutostart, int(operation.autostart))
    _changed(do.key[0])


def _update(do: Doing, device: Any, operation: on.UpdateNodeDevice) -> None:
    update = getattr(device, "update", None)
    if update is None:
        raise NotSupported(do.wrong("needs libvirt 10.1"))
    do(update, operation.xml, _flags(do, operation.flags))
    _changed(do.key[0])


def _read_xml(do: Doing, device: Any, operation: on.ReadNodeDeviceXml) -> Outs:
    return {"xml": do(device.XMLDesc, _flags(do, operation.flags))}


KIND: Kind | None = Kind(
    row=NodeDevice, objects=_objects, key=lambda device: (device.name(),), find=_find, read=_read, called=_called,
    listen=_listen, pace=PACE,
)  # fmt: skip
ACTIONS: Actions = {
    on.DefineNodeDevice: _define,
    on.CreateNodeDevice: _create,
    on.DetachNodeDevice: _detach,
    on.ReattachNodeDevice: _reattach,
    on.ResetNodeDevice: _reset,
    on.StartNodeDevice: _start,
    on.DestroyNodeDevice: _destroy,
    on.UndefineNodeDevice: _undefine,
    on.SetNodeDeviceAutostart: _set_autostart,
    on.UpdateNodeDevice: _update,
    on.ReadNodeDeviceXml: _read_xml,
}
