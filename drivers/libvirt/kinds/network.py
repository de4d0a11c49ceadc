"""libvirt's networks: how they are listed and read, and how the operations on them are done.

A network has a port for each interface that is plugged in, thousands perhaps, each of which costs two calls. Nearly nothing
about a port can change but its limits, so that what was read of it is kept for some minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agent.driver import Changed, Happened, Heard
from agent.errors import Busy, Invalid, NotFound, NotSupported, Unreachable, VirtmapError
from agent.model import network as on
from agent.model.network import DhcpLease, LeaseType, Network, NetworkMetadata, NetworkNoted, NetworkPort
from agent.schema.declare import Key, Row
from drivers.libvirt import symbols, xml
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Doing, Outs
from drivers.libvirt.kinds.elements import (
    Element,
    attribute,
    lines,
    mac,
    milliseconds,
    pci_address,
    prefixed,
    text,
    whole,
    yes,
)
from drivers.libvirt.kinds.kept import Kept
from drivers.libvirt.kinds.kind import Kind
from drivers.libvirt.kinds.listening import numbered, register
from drivers.libvirt.symbols import flags, number

KEPT = 300.0
"""Seconds that what was read of a port is good for at most."""

_PORTS: Kept[NetworkPort] = Kept(KEPT)

_LIFECYCLE = numbered(on.NetworkDefined, on.NetworkUndefined, on.NetworkStarted, on.NetworkStopped)

_OWN_BRIDGE = (None, "nat", "route", "open")
"""Ways of forwarding in which libvirt makes the bridge, and serves DNS and DHCP on it."""

_LIMITS: Mapping[str, str] = {
    "inbound_average": "inbound.average", "inbound_peak": "inbound.peak", "inbound_burst": "inbound.burst",
    "inbound_floor": "inbound.floor", "outbound_average": "outbound.average", "outbound_peak": "outbound.peak",
    "outbound_burst": "outbound.burst",
}  # fmt: skip
"""Columns of a port, and arguments that change them, with the names that libvirt has for them."""


def _objects(calls: Calls) -> Sequence[Any]:
    listed: Sequence[Any] = calls.ask("cannot list networks", calls.virt.listAllNetworks, 0)
    uuids = {each.UUIDString() for each in listed}
    _PORTS.keep_only(calls, (), lambda key: _network_of(key) not in uuids)
    return listed


def _network_of(key: Any) -> Any:
    return key[0]


def _find(calls: Calls, key: Key) -> Any:
    return calls.ask("", calls.virt.networkLookupByUUIDString, key[0])


def _called(network: Any) -> str:
    return f"network {network.name()}"


def _read(calls: Calls, network: Any) -> Sequence[Row]:
    """A network, with its ports and leases while it runs. These failing is told in the network's row."""
    uuid, asked = network.UUIDString(), f"{_called(network)}: cannot read it"
    root = xml.parse(calls.ask(asked, network.XMLDesc, 0))
    active = bool(calls.ask(asked, network.isActive))
    columns: dict[str, Any] = described(root) | {
        "uuid": uuid, "name": network.name(), "host": calls.name, "active": active,
        "persistent": _flag(calls.try_(network.isPersistent)), "autostart": _flag(calls.try_(network.autostart)),
        "refreshed": datetime.now(UTC),
    }  # fmt: skip
    if columns["bridge"] is not None:  # libvirt calls it an error where there is none
        columns["bridge"] = calls.try_(network.bridgeName) or columns["bridge"]
    problems: list[str] = []
    ports = _soft(problems, lambda: _ports(calls, network, uuid)) if active else None
    leases = _soft(problems, lambda: _leases(calls, network, uuid)) if active else None
    columns["problem"] = "; ".join(problems)
    columns["ports"], columns["leases"] = (None if rows is None else len(rows) for rows in (ports, leases))
    return [Network(**columns), *(ports or ()), *(leases or ())]


def _soft(problems: list[str], read: Callable[[], Sequence[Row] | None]) -> Sequence[Row] | None:
    """What is beneath a network, or None if that cannot be read."""
    try:
        return read()
    except (Unreachable, NotFound, Busy):
        raise
    except VirtmapError as error:
        problems.append(str(error))
        return None


def _flag(told: int | None) -> bool | None:
    return None if told is None else bool(told)


def described(root: Element) -> dict[str, Any]:
    """The columns of a network that its XML tells."""
    mode = None if root.find("forward") is None else root.find("forward").get("mode") or "nat"
    delay = attribute(root, "bridge", "delay")
    return {
        "bridge": attribute(root, "bridge", "name"), "forward_mode": mode or "none",
        "forward_devices": lines(list(dict.fromkeys(_devices(root)))),
        "nat_addresses": _ranges(root, "forward/nat/address"), "nat_ports": _ranges(root, "forward/nat/port"),
        "mac": mac(attribute(root, "mac", "address")), "mtu": whole(attribute(root, "mtu", "size")),
        "stp": _switched(attribute(root, "bridge", "stp")), "forward_delay": milliseconds(delay),
        "zone": attribute(root, "bridge", "zone"), "mac_table": attribute(root, "bridge", "macTableManager"),
        "addresses": lines([prefixed(each) for each in root.findall("ip")]),
        "dhcp_ranges": _ranges(root, "ip/dhcp/range"), "dhcp_hosts": len(root.findall("ip/dhcp/host")),
        "routes": lines([_route(each) for each in root.findall("route")]),
        "dns_domain": attribute(root, "domain", "name"),
        "dns_enabled": attribute(root, "dns", "enable") != "no" if mode in _OWN_BRIDGE else None,
        "dns_forwarders": lines([_forwarder(each) for each in root.findall("dns/forwarder")]),
        "portgroups": lines([_portgroup(each) for each in root.findall("portgroup")]), "isolated": yes(root, "port", "isolated"),
        "guest_ipv6": root.get("ipv6") == "yes", "trust_filters": root.get("trustGuestRxFilters") == "yes",
        "connections": whole(root.get("connections", "0")), "title": text(root, "title"),
        "description": text(root, "description"),
    } | _common(root) | _bandwidth(root)  # fmt: skip


def _common(root: Element) -> dict[str, Any]:
    """What networks and ports tell in the same way."""
    tags = [each.get("id") for each in root.findall("vlan/tag")]
    return {"vlans": ",".join(filter(None, tags)) or None, "virtualport": attribute(root, "virtualport", "type")}


def _bandwidth(root: Element) -> dict[str, Any]:
    return {
        f"{way}_{part}": whole(attribute(root, f"bandwidth/{way}", part))
        for way in ("inbound", "outbound")
        for part in ("average", "peak", "burst")
    }


def _devices(root: Element) -> Iterator[str | None]:
    forward = root.find("forward")
    if forward is None:
        return
    yield forward.get("dev")
    for each in forward:
        if each.tag in ("interface", "pf"):
            yield each.get("dev")
        elif each.tag == "address":
            yield pci_address(each)


def _ranges(root: Element, path: str) -> str | None:
    return lines([f"{each.get('start')}-{each.get('end')}" for each in root.findall(path)])


def _route(element: Element) -> str:
    return f"{prefixed(element)} {element.get('gateway')}"


def _forwarder(element: Element) -> str:
    return " ".join(filter(None, (element.get("domain"), element.get("addr"))))


def _portgroup(element: Element) -> str:
    return f"{element.get('name')}{'*' if element.get('default') == 'yes' else ''}"


def _switched(told: str | None) -> bool | None:
    return None if told is None else told == "on"


def _ports(calls: Calls, network: Any, uuid: str) -> Sequence[Row] | None:
    listed = calls.try_(network.listAllPorts, 0)
    if listed is None:
        return None
    there = {(uuid, each.UUIDString()): each for each in listed}
    _PORTS.keep_only(calls, there, lambda key: _network_of(key) == uuid)
    rows = []
    for key, port in there.items():
        try:
            rows.append(_PORTS.get(calls, key, lambda key=key, port=port: _port(calls, port, key)))  # type: ignore[misc]
        except NotFound:
            continue  # its guest stopped while we read
    return rows


def _port(calls: Calls, port: Any, key: Key) -> NetworkPort:
    asked = f"port {key[1]}: cannot read it"
    root = xml.parse(calls.ask(asked, port.XMLDesc, 0))
    limits = calls.try_(port.parameters, 0)
    columns = {name: None if limits is None else limits.get(told, 0) for name, told in _LIMITS.items()}
    return NetworkPort(network=key[0], uuid=key[1], **described_port(root), **columns)


def described_port(root: Element) -> dict[str, Any]:
    """The columns of a port that its XML tells."""
    plug = root.find("plug")
    plug = root.makeelement("plug") if plug is None else plug
    address = plug.find("address")
    return {
        "owner_name": text(root, "owner/name"), "owner": text(root, "owner/uuid"),
        "mac": mac(attribute(root, "mac", "address")), "portgroup": text(root, "group"), "plug": plug.get("type"),
        "source": plug.get("bridge") or plug.get("dev") or (None if address is None else pci_address(address)),
        "mode": plug.get("mode"), "isolated": yes(root, "port", "isolated"),
        "trust_filters": yes(root, "rxfilters", "trustGuest"), "class_id": whole(attribute(root, "class", "id")),
    } | _common(root)  # fmt: skip


def _leases(calls: Calls, network: Any, uuid: str) -> Sequence[Row] | None:
    told = calls.try_(network.DHCPLeases, None, 0)
    if told is None:
        return None
    rows = {each["ipaddr"]: _lease(each, uuid) for each in told if each.get("ipaddr")}
    return list(rows.values())


def _lease(told: Mapping[str, Any], uuid: str) -> DhcpLease:
    """One lease; 0 as its end is that of one without an end."""
    return DhcpLease(
        network=uuid, address=told["ipaddr"], type=symbols.member(LeaseType, told["type"]), prefix=told.get("prefix") or None,
        mac=mac(told.get("mac")), hostname=told.get("hostname"), client=told.get("clientid"), iaid=told.get("iaid"),
        interface=told.get("iface"),
        expires=datetime.fromtimestamp(told["expirytime"], UTC) if told.get("expirytime") else None,
    )  # fmt: skip


def _listen(calls: Calls, heard: Callable[[Heard], None]) -> None:
    def on_lifecycle(_virt: Any, network: Any, event: int, _detail: int, _opaque: object) -> None:
        key = (network.UUIDString(),)
        made = _LIFECYCLE.get(event)
        heard(Changed(root=(Network, key)) if made is None else Happened(event=made(), key=key))

    def on_metadata(_virt: Any, network: Any, what: int, _namespace: str | None, _opaque: object) -> None:
        event = NetworkNoted(what=symbols.member(NetworkMetadata, what))
        heard(Happened(event=event, key=(network.UUIDString(),)))

    function = calls.virt.networkEventRegisterAny
    register(calls, function, "VIR_NETWORK_EVENT_ID_LIFECYCLE", on_lifecycle)
    # Of libvirt 9.8; libvirt-python, up to 12.8 at least, leaves it out and refuses: it looks for a macro that is an enumerator.
    register(calls, function, "VIR_NETWORK_EVENT_ID_METADATA_CHANGE", on_metadata)


def _define(do: Doing, virt: Any, operation: on.DefineNetwork) -> Outs:
    return {"uuid": do(virt.networkDefineXMLFlags, operation.xml, flags(operation.flags)).UUIDString()}


def _create(do: Doing, virt: Any, operation: on.CreateNetwork) -> Outs:
    return {"uuid": do(virt.networkCreateXMLFlags, operation.xml, flags(operation.flags)).UUIDString()}


def _start(do: Doing, network: Any, _operation: on.StartNetwork) -> None:
    do(network.create)


def _stop(do: Doing, network: Any, _operation: on.StopNetwork) -> None:
    do(network.destroy)


def _undefine(do: Doing, network: Any, _operation: on.UndefineNetwork) -> None:
    do(network.undefine)


def _set_autostart(do: Doing, network: Any, operation: on.SetNetworkAutostart) -> None:
    do(network.setAutostart, int(operation.autostart))


def _read_xml(do: Doing, network: Any, operation: on.ReadNetworkXml) -> Outs:
    return {"xml": do(network.XMLDesc, flags(operation.flags))}


def _update(do: Doing, network: Any, operation: on.UpdateNetwork) -> None:
    command, section = number(operation.command.libvirt), number(operation.section.libvirt)
    do(network.update, command, section, operation.parent_index, operation.xml, flags(operation.impact))


def _create_port(do: Doing, network: Any, operation: on.CreateNetworkPort) -> Outs:
    return {"uuid": do(network.portCreateXML, operation.xml, flags(operation.flags)).UUIDString()}


def _set_metadata(do: Doing, network: Any, operation: on.SetNetworkMetadata) -> None:
    function = do.newer(network, "setMetadata", "9.7")
    kind = number(operation.type.libvirt)
    do(function, kind, operation.value, operation.prefix, operation.namespace, flags(operation.impact))


def _read_metadata(do: Doing, network: Any, operation: on.ReadNetworkMetadata) -> Outs:
    function = do.newer(network, "metadata", "9.7")
    return {"value": do(function, number(operation.type.libvirt), operation.namespace, flags(operation.impact))}


def _port_of(do: Doing, network: Any) -> Any:
    return do(network.portLookupByUUIDString, do.key[1])


def _delete_port(do: Doing, network: Any, _operation: on.DeletePort) -> None:
    do(_port_of(do, network).delete, 0)


def _set_port_parameters(do: Doing, network: Any, operation: on.SetPortParameters) -> None:
    given = {told: value for name, told in _LIMITS.items() if (value := getattr(operation, name)) is not None}
    if not given:
        raise Invalid(do.wrong("no limit is given"))
    port = _port_of(do, network)
    known = do(port.parameters, 0)
    if unknown := [name for name in given if name not in known]:  # libvirt-python 9.0 does not know their types then
        why = "is not limited in that direction so far, and only limits that there are can be changed"
        raise NotSupported(do.wrong(f"{', '.join(unknown)}: the port {why}"))
    do(port.setParameters, known | given, 0)  # libvirt drops what is not told again
    _PORTS.changed(lambda key: key == do.key)


def _read_port_xml(do: Doing, network: Any, _operation: on.ReadPortXml) -> Outs:
    return {"xml": do(_port_of(do, network).XMLDesc, 0)}


KIND: Kind | None = Kind(
    row=Network, objects=_objects, key=lambda network: (network.UUIDString(),), find=_find, read=_read, called=_called,
    listen=_listen,
)  # fmt: skip
ACTIONS: Actions = {
    on.DefineNetwork: _define,
    on.CreateNetwork: _create,
    on.StartNetwork: _start,
    on.StopNetwork: _stop,
    on.UndefineNetwork: _undefine,
    on.SetNetworkAutostart: _set_autostart,
    on.ReadNetworkXml: _read_xml,
    on.UpdateNetwork: _update,
    on.CreateNetworkPort: _create_port,
    on.SetNetworkMetadata: _set_metadata,
    on.ReadNetworkMetadata: _read_metadata,
    on.DeletePort: _delete_port,
    on.SetPortParameters: _set_port_parameters,
    on.ReadPortXml: _read_port_xml,
}
