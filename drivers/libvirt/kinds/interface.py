"""libvirt's interfaces: how they are listed and read, and how the operations on them are done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from agent.model import interface as on
from agent.model.interface import Interface
from agent.schema.declare import Key, Row
from drivers.libvirt import xml
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Doing, Outs
from drivers.libvirt.kinds.elements import Element, attribute, lines, mac, milliseconds, prefixed, whole
from drivers.libvirt.kinds.kind import Kind
from drivers.libvirt.symbols import flags


def _objects(calls: Calls) -> Sequence[Any]:
    listed: Sequence[Any] = calls.ask("cannot list interfaces", calls.virt.listAllInterfaces, 0)
    return listed


def _find(calls: Calls, key: Key) -> Any:
    return calls.ask("", calls.virt.interfaceLookupByName, key[0])


def _called(interface: Any) -> str:
    return f"interface {interface.name()}"


def _read(calls: Calls, interface: Any) -> Sequence[Row]:
    asked = f"{_called(interface)}: cannot read it"
    root = xml.parse(calls.ask(asked, interface.XMLDesc, 0))
    return [
        Interface(
            name=interface.name(), host=calls.name, active=bool(calls.ask(asked, interface.isActive)),
            mac=mac(calls.try_(interface.MACString)), refreshed=datetime.now(UTC), problem="", **described(root),
        )
    ]  # fmt: skip


def described(root: Element) -> dict[str, Any]:
    """The columns of an interface that its XML tells."""
    protocols = root.findall("protocol")
    dynamic = [each.get("family") for each in protocols if each.find("dhcp") is not None]
    columns: dict[str, Any] = {
        "type": root.get("type"), "start_mode": attribute(root, "start", "mode"), "mtu": whole(attribute(root, "mtu", "size")),
        "link_state": attribute(root, "link", "state"),
        "link_speed": whole(attribute(root, "link", "speed"), most=2**32 - 2),  # the kernel's -1 is one more
        "addresses": lines([prefixed(ip) for each in protocols for ip in each.findall("ip")]),
        "gateways": lines([route.get("gateway") for each in protocols for route in each.findall("route")]),
        "dhcp": " ".join(filter(None, dynamic)) or None,
        "autoconf": any(each.find("autoconf") is not None for each in protocols),
    }  # fmt: skip
    if reader := _READERS.get(columns["type"]):
        columns |= reader(root)
    return columns


def _bridge(root: Element) -> dict[str, Any]:
    stp, delay = attribute(root, "bridge", "stp"), attribute(root, "bridge", "delay")
    return {
        "stp": None if stp is None else stp == "on", "forward_delay": milliseconds(delay),
        "members": _members(root, "bridge/interface"),
    }  # fmt: skip


def _bond(root: Element) -> dict[str, Any]:
    by_link, by_asking = root.find("bond/miimon"), root.find("bond/arpmon")
    columns: dict[str, Any] = {
        "bond_mode": attribute(root, "bond", "mode"),
        "members": _members(root, "bond/interface"),
    }
    if by_link is not None:
        columns |= {
            "bond_monitoring": "mii", "bond_interval": whole(by_link.get("freq")),
            "bond_up_delay": whole(by_link.get("updelay")), "bond_down_delay": whole(by_link.get("downdelay")),
        }  # fmt: skip
    elif by_asking is not None:
        columns |= {
            "bond_monitoring": "arp", "bond_interval": whole(by_asking.get("interval")),
            "bond_target": by_asking.get("target"),
        }  # fmt: skip
    return columns


def _vlan(root: Element) -> dict[str, Any]:
    return {"vlan": whole(attribute(root, "vlan", "tag")), "members": _members(root, "vlan/interface")}


_READERS = {"bridge": _bridge, "bond": _bond, "vlan": _vlan}
"""What is told of an interface that is made of others, by its type."""


def _members(root: Element, path: str) -> str | None:
    return lines([each.get("name") for each in root.findall(path)])


def _define(do: Doing, virt: Any, operation: on.DefineInterface) -> Outs:
    return {"name": do(virt.interfaceDefineXML, operation.xml, flags(operation.flags)).name()}


def _begin_change(do: Doing, virt: Any, _operation: on.BeginInterfaceChange) -> None:
    do(virt.changeBegin, 0)


def _commit_change(do: Doing, virt: Any, _operation: on.CommitInterfaceChange) -> None:
    do(virt.changeCommit, 0)


def _rollback_change(do: Doing, virt: Any, _operation: on.RollbackInterfaceChange) -> None:
    do(virt.changeRollback, 0)


def _start(do: Doing, interface: Any, _operation: on.StartInterface) -> None:
    do(interface.create, 0)


def _stop(do: Doing, interface: Any, _operation: on.StopInterface) -> None:
    do(interface.destroy, 0)


def _undefine(do: Doing, interface: Any, _operation: on.UndefineInterface) -> None:
    do(interface.undefine)


def _read_xml(do: Doing, interface: Any, operation: on.ReadInterfaceXml) -> Outs:
    return {"xml": do(interface.XMLDesc, flags(operation.flags))}


KIND: Kind | None = Kind(
    row=Interface, objects=_objects, key=lambda interface: (interface.name(),), find=_find, read=_read, called=_called,
)  # fmt: skip
ACTIONS: Actions = {
    on.DefineInterface: _define,
    on.BeginInterfaceChange: _begin_change,
    on.CommitInterfaceChange: _commit_change,
    on.RollbackInterfaceChange: _rollback_change,
    on.StartInterface: _start,
    on.StopInterface: _stop,
    on.UndefineInterface: _undefine,
    on.ReadInterfaceXml: _read_xml,
}
