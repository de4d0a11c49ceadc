"""libvirt's XML to columns: pure functions from text to the values that a definition tells of a domain and a host.

The values are by column name, and a column that the XML does not tell is left out. The parser takes no document type,
no entities and nothing from the network: definitions are written by people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from agent.errors import Failed
from agent.model.disk import DiskDevice
from agent.model.log import LogKind
from agent.model.nic import LinkState
from drivers.logs.ownership import DeviceLog
from drivers.logs.places import plain_path

Values = dict[str, Any]
Element = Any
"""An lxml element; lxml has no types of its own."""

_UNITS = {
    "b": 1, "bytes": 1, "k": 1 << 10, "kib": 1 << 10, "kb": 10**3, "m": 1 << 20, "mib": 1 << 20, "mb": 10**6,
    "g": 1 << 30, "gib": 1 << 30, "gb": 10**9, "t": 1 << 40, "tib": 1 << 40, "tb": 10**12,
}  # fmt: skip


def parse(text: str) -> Element:
    """The root element of a document. Failed when it is not well-formed or brings a document type."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.XMLSyntaxError, UnicodeEncodeError) as error:
        raise Failed(f"libvirt gave XML that cannot be read: {error}") from error
    if root.getroottree().docinfo.doctype:
        raise Failed("libvirt gave XML with a document type")
    return root


@dataclass(frozen=True, kw_only=True)
class DomainXml:
    """What one definition tells: columns of the domain, of its disks and NICs in order, the numbers of its vCPUs, its devices'
    logs."""

    domain: Values
    vcpus: Sequence[int]
    disks: Sequence[Values]
    nics: Sequence[Values]
    logs: Sequence[DeviceLog] = ()


def domain(text: str) -> DomainXml:
    """Read a domain's definition, live or persistent."""
    root = parse(text)
    devices = root.find("devices")
    interfaces = [] if devices is None else devices.findall("interface")
    return DomainXml(
        domain=_read(root, _DOMAIN),
        vcpus=_vcpus(root),
        disks=[_disk(each) for each in ([] if devices is None else devices.findall("disk"))],
        nics=_nics(interfaces),
        logs=[] if devices is None else _logs(devices),
    )


def config(text: str) -> Values:
    """What the persistent definition tells of the next start: the columns of scope CONFIG."""
    return _read(parse(text), _CONFIG)


def _disk(element: Element) -> Values:
    found = _read(element, _DISK)
    found["read_only"] = element.find("readonly") is not None
    found["shareable"] = element.find("shareable") is not None
    found.setdefault("device", DiskDevice.DISK)
    return found


def _nics(elements: Sequence[Element]) -> list[Values]:
    """The interfaces; `device`, their key, is the MAC address, with #2 and so on after one that stands twice."""
    seen: dict[str, int] = {}
    made = []
    for element in elements:
        found = _read(element, _NIC)
        found.setdefault("link_state", LinkState.UP)
        mac = str(found.get("mac", "none"))
        seen[mac] = seen.get(mac, 0) + 1
        found["device"] = mac if seen[mac] == 1 else f"{mac}#{seen[mac]}"
        made.append(found)
    return made


_TEXT_DEVICES = ("serial", "console", "parallel")
"""Devices on which a guest writes text."""


def _logs(devices: Element) -> list[DeviceLog]:
    """The logs of devices, each path once: the first console is the first serial port, told a second time."""
    found: dict[str, DeviceLog] = {}
    numbers: dict[str, int] = {}
    for element in sorted(devices, key=lambda each: each.tag == "console"):
        number = numbers[element.tag] = numbers.get(element.tag, -1) + 1
        name = _attribute("alias/@name")(element) or _attribute("target/@name")(element) or f"{element.tag}{number}"
        kind = LogKind.CONSOLE if element.tag in _TEXT_DEVICES else LogKind.OTHER
        paths = [_attribute("log/@file")(element)]
        if element.get("type") == "file" and element.tag in (*_TEXT_DEVICES, "channel"):
            paths.append(_attribute("source/@path")(element))
        for path in filter(None, map(_log_path, paths)):
            found.setdefault(path, DeviceLog(kind=kind, device=name[:63], path=path))
    return [*found.values(), *_logs_of_programs(devices)]


def _log_path(told: str | None) -> str | None:
    """A path that can be shown, and leads to one place; None for what is none."""
    return plain_path(told) if told is not None and told.isprintable() else None


def _logs_of_programs(devices: Element) -> list[DeviceLog]:
    """Logs of programs that libvirt starts beside the hypervisor, under names of its own."""
    found = []
    for number, element in enumerate(devices.findall("filesystem")):
        started = element.find("source") is None or element.find("source").get("socket") is None
        if _attribute("driver/@type")(element) == "virtiofs" and started:
            name = _attribute("alias/@name")(element) or f"fs{number}"
            found.append(DeviceLog(kind=LogKind.VIRTIOFSD, device=name[:63]))
    if devices.find("tpm/backend[@type='emulator']") is not None:
        found.append(DeviceLog(kind=LogKind.SWTPM, device="tpm0"))
    return found


def _vcpus(root: Element) -> list[int]:
    """The numbers of the vCPUs that are plugged in: told one by one, or so many from 0 on."""
    told = root.findall("vcpus/vcpu")
    if told:
        return sorted(int(each.get("id")) for each in told if each.get("enabled") == "yes")
    return list(range(_current_vcpus(root) or 0))


# Columns, and how each is read

Reader = Callable[[Element], Any]


def _read(element: Element, table: Mapping[str, Reader]) -> Values:
    return {name: value for name, reader in table.items() if (value := reader(element)) is not None}


def _text(path: str) -> Reader:
    return lambda element: element.findtext(path)


def _attribute(path: str) -> Reader:
    """`driver/@type`: an attribute of a child; `@type`: of the element itself."""
    child, _, name = path.rpartition("@")
    child = child.rstrip("/")
    if not child:
        return lambda element: element.get(name)

    def read(element: Element) -> str | None:
        found = element.find(child)
        return None if found is None else found.get(name)

    return read


def _first(*readers: Reader) -> Reader:
    """The first that tells something."""
    return lambda element: next((value for reader in readers if (value := reader(element)) is not None), None)


def _number(reader: Reader) -> Reader:
    def read(element: Element) -> int | None:
        text = reader(element)
        return int(text) if text is not None and text.strip().isdecimal() else None

    return read


def _kib(path: str) -> Reader:
    """A size in KiB, rounded up as libvirt does; its own output is in KiB already, other software's need not be."""

    def read(element: Element) -> int | None:
        found = element.find(path)
        if found is None or not (found.text or "").strip().isdecimal():
            return None
        return -(-int(found.text) * _UNITS.get(found.get("unit", "KiB").lower(), 1024) // 1024)

    return read


def _member(reader: Reader, by_label: Mapping[str, Any]) -> Reader:
    return lambda element: by_label.get(reader(element) or "")


def _current_vcpus(root: Element) -> int | None:
    current: int | None = _first(_number(_attribute("vcpu/@current")), _number(_text("vcpu")))(root)
    return current


def _disk_source(element: Element) -> str | None:
    """The image as one text, whatever kind of source it is."""
    source = element.find("source")
    if source is None:
        return None
    match element.get("type"):
        case "network":
            return _network_source(source)
        case "volume":
            return f"{source.get('pool')}/{source.get('volume')}"
        case "nvme":
            return f"nvme:{source.get('namespace')}"
        case "vhostuser" | "vhostvdpa":
            return _first(_attribute("@path"), _attribute("@dev"))(source)  # type: ignore[no-any-return]
    return _first(_attribute("@file"), _attribute("@dev"), _attribute("@dir"))(source)  # type: ignore[no-any-return]


def _network_source(source: Element) -> str:
    """protocol://host:port/name, without what may hold credentials."""
    host = source.find("host")
    address = ""
    if host is not None:
        name, port = host.get("name") or host.get("socket") or "", host.get("port")
        address = f"{name}:{port}" if port else name
    return f"{source.get('protocol')}://{address}/{(source.get('name') or '').lstrip('/')}"


_UP_OR_DOWN = {"up": LinkState.UP, "down": LinkState.DOWN}
_DEVICES = {each.label: each for each in DiskDevice}

_DOMAIN: Mapping[str, Reader] = {
    "type": _attribute("@type"),
    "os_type": _text("os/type"),
    "architecture": _attribute("os/type/@arch"),
    "machine": _attribute("os/type/@machine"),
    "title": _text("title"),
    "description": _text("description"),
    "vcpus": _current_vcpus,
    "max_vcpus": _number(_text("vcpu")),
    "memory": _first(_kib("currentMemory"), _kib("memory")),
    "max_memory": _kib("memory"),
    "iothreads": _number(_text("iothreads")),
}
_CONFIG: Mapping[str, Reader] = {
    "config_vcpus": _current_vcpus,
    "config_max_vcpus": _number(_text("vcpu")),
    "config_memory": _first(_kib("currentMemory"), _kib("memory")),
    "config_max_memory": _kib("memory"),
}
_DISK: Mapping[str, Reader] = {
    "target": _attribute("target/@dev"),
    "source": _disk_source,
    "type": _attribute("@type"),
    "device": _member(_attribute("@device"), _DEVICES),
    "bus": _attribute("target/@bus"),
    "format": _attribute("driver/@type"),
    "cache": _attribute("driver/@cache"),
    "io": _attribute("driver/@io"),
    "discard": _attribute("driver/@discard"),
    "serial": _text("serial"),
    "alias": _attribute("alias/@name"),
    "boot_order": _number(_attribute("boot/@order")),
}
_NIC: Mapping[str, Reader] = {
    "mac": _attribute("mac/@address"),
    "target": _attribute("target/@dev"),
    "type": _attribute("@type"),
    "source": _first(*(_attribute(f"source/@{kind}") for kind in ("network", "bridge", "dev", "path", "name"))),
    "model": _attribute("model/@type"),
    "link_state": _member(_attribute("link/@state"), _UP_OR_DOWN),
    "alias": _attribute("alias/@name"),
    "mtu": _number(_attribute("mtu/@size")),
    "boot_order": _number(_attribute("boot/@order")),
    "portgroup": _attribute("source/@portgroup"),
    "filter": _attribute("filterref/@filter"),
}


def capabilities(text: str) -> Values:
    """What the host's capabilities tell, by column of the host."""
    root = parse(text)
    found = _read(root, _CAPABILITIES)
    found["migration"] = root.find("host/migration_features/live") is not None
    architectures = dict.fromkeys(each.get("name") for each in root.findall("guest/arch"))
    found["guest_architectures"] = " ".join(filter(None, architectures))
    return found


def sysinfo(text: str) -> Values:
    """What the SMBIOS tables of the host tell, by column of the host."""
    return _read(parse(text), _SYSINFO)


def _entry(section: str, name: str) -> Reader:
    return lambda root: next((e.text for e in root.findall(f"{section}/entry") if e.get("name") == name), None)


_CAPABILITIES: Mapping[str, Reader] = {
    "uuid": _text("host/uuid"),
    "architecture": _text("host/cpu/arch"),
    "cpu_model": _text("host/cpu/model"),
    "cpu_vendor": _text("host/cpu/vendor"),
}
_SYSINFO: Mapping[str, Reader] = {
    "manufacturer": _entry("system", "manufacturer"),
    "product": _entry("system", "product"),
    "serial": _entry("system", "serial"),
    "firmware_version": _entry("bios", "version"),
}
