"""Settings of disks and NICs, and the elements of libvirt's domain XML that they stand for, both ways.

Elements are made as trees, so that no text of a request becomes markup.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Mapping

import pywbem
from lxml import etree

from agent.cim.profiles.configuration import DISK, NIC, RESOURCE_TYPES
from agent.model.disk import DiskDevice

__all__ = [
    "CHANGEABLE", "HANDLED", "change", "disk", "disk_named", "free_target", "kind_of", "nic", "nic_named", "targets", "targets_of",
    "text_of", "unpacked",
]  # fmt: skip

#: libvirt's words for the kinds of disks, by ResourceType.
KINDS: Mapping[int, str] = {
    RESOURCE_TYPES[device]: device.label for device in reversed(DiskDevice) if device in RESOURCE_TYPES
}

#: What of the settings of a device is made into XML, when it is added and when it is changed.
HANDLED: Mapping[str, frozenset[str]] = {
    "disk": frozenset(
        ("HostResource", "HostExtentName", "ResourceSubType", "AddressOnParent", "Access", "ElementName")
    ),
    "interface": frozenset(("HostResource", "Connection", "ResourceSubType", "Address", "PoolID", "ElementName")),
}

_BY_BUS = {"virtio": "vd", "fdc": "fd", "ide": "hd", "xen": "xvd"}
_READ_ONLY, _READ_WRITE = 1, 3
_MAC = re.compile(r"[0-9A-Fa-f]{12}|(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}")
_TARGET = re.compile(r"[A-Za-z0-9_.+-]{1,64}")

#: The format of an image by the end of its name; any other is raw.
_FORMATS = {".qcow2": "qcow2", ".qed": "qed", ".vmdk": "vmdk", ".vdi": "vdi"}

#: The attribute of an interface's source that names what it is connected to.
_SOURCES = {"network": "network", "bridge": "bridge", "direct": "dev", "ethernet": "dev"}


def kind_of(resource_type: int) -> str | None:
    """The element of the domain XML that stands for a kind of resource; None if it is no device that is known here."""
    if resource_type == NIC:
        return "interface"
    return "disk" if resource_type in KINDS else None


# --- new devices ------------------------------------------------------------------------------------------------------


def disk(instance: pywbem.CIMInstance, resource_type: int, taken: Collection[str]) -> etree._Element:
    """A new disk; one that names no target gets the first that is not among those ``taken``. ValueError if it cannot be."""
    made = etree.Element("disk", device=KINDS[resource_type])
    source = _disk_source(instance)
    if source is None and resource_type == DISK:
        raise ValueError("HostResource is missing: a disk needs an image")
    _put_disk_source(made, source)
    bus = instance.get("ResourceSubType") or {"cdrom": "sata", "floppy": "fdc"}.get(KINDS[resource_type], "virtio")
    target = instance.get("AddressOnParent") or free_target(bus, taken)
    if not _TARGET.fullmatch(target):
        raise ValueError(f"AddressOnParent: {target[:40]!r} is no name of a disk, such as vda")
    if target in taken:
        raise ValueError(f"AddressOnParent: there is a disk {target} already")
    etree.SubElement(made, "target", dev=target, bus=bus)
    access = instance.get("Access")
    if access not in (None, _READ_ONLY, _READ_WRITE):
        raise ValueError(f"Access: {access} is neither {_READ_ONLY} nor {_READ_WRITE}")
    if access == _READ_ONLY:
        etree.SubElement(made, "readonly")
    return made


def nic(instance: pywbem.CIMInstance) -> etree._Element:
    """A new interface. ValueError if it cannot be."""
    kind, source = _nic_source(instance)
    made = etree.Element("interface", type=kind)
    address = instance.get("Address")
    if address is not None:
        etree.SubElement(made, "mac", address=unpacked(address))
    _put_nic_source(made, kind, source)
    if instance.get("ResourceSubType"):
        etree.SubElement(made, "model", type=instance["ResourceSubType"])
    return made


def free_target(bus: str, taken: Collection[str]) -> str:
    """The first name of a disk on a bus that is not taken."""
    prefix = _BY_BUS.get(bus, "sd")
    return next(name for letter in range(702) if (name := prefix + _letters(letter)) not in taken)


def _letters(number: int) -> str:
    """0 is a, 25 is z, 26 is aa."""
    return ("" if number < 26 else chr(ord("a") + number // 26 - 1)) + chr(ord("a") + number % 26)


def unpacked(address: str) -> str:
    """A MAC address as libvirt writes it. ValueError if it is none."""
    if not _MAC.fullmatch(address):
        raise ValueError(f"Address: {address[:40]!r} is no MAC address")
    digits = re.sub("[:-]", "", address).lower()
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


# --- devices that are there -------------------------------------------------------------------------------------------


def targets(root: etree._Element) -> set[str]:
    """The names of the disks in a domain's definition."""
    return {name for each in root.iterfind("devices/disk") for name in targets_of(each)}


def targets_of(disk: etree._Element) -> set[str]:
    """The name of a disk, if it has one."""
    return {each.get("dev", "") for each in disk.iterfind("target")}


def disk_named(root: etree._Element, target: str) -> etree._Element | None:
    """The disk of this name in a domain's definition."""
    return next((each for each in root.iterfind("devices/disk") if _attribute(each, "target", "dev") == target), None)


def nic_named(root: etree._Element, device: str) -> etree._Element | None:
    """The interface with this key: its MAC address, with #2 and so on after one that stands twice."""
    mac, _, number = device.partition("#")
    same = [
        each for each in root.iterfind("devices/interface") if (_attribute(each, "mac", "address") or "none") == mac
    ]
    place = int(number) - 1 if number.isdecimal() else 0
    return same[place] if 0 <= place < len(same) else None


def change(element: etree._Element, instance: pywbem.CIMInstance) -> etree._Element:
    """The device with what the settings say of `CHANGEABLE` properties, and nothing else. ValueError if that makes no sense."""
    made = copy.deepcopy(element)
    if made.tag == "disk":
        _put_disk_source(made, _disk_source(instance))
    else:
        kind, source = _nic_source(instance, made.get("type", ""))
        made.set("type", kind)
        _put_nic_source(made, kind, source)
    return made


#: What can be changed of a device that is there, by its element: all of it says what stands behind the device.
CHANGEABLE: Mapping[str, frozenset[str]] = {
    "disk": frozenset(("HostResource", "HostExtentName")),
    "interface": frozenset(("HostResource", "Connection", "PoolID")),
}


def text_of(element: etree._Element) -> str:
    return etree.tostring(element, encoding="unicode", with_tail=False)


# --- what stands behind them ------------------------------------------------------------------------------------------


def _disk_source(instance: pywbem.CIMInstance) -> str | None:
    """The image: a path, or `pool/volume`."""
    named = [*(instance.get("HostResource") or ()), instance.get("HostExtentName")]
    found = {each.removeprefix("file://") for each in named if each}
    if len(found) > 1:
        raise ValueError("HostResource and HostExtentName: a disk has one image, and these are several")
    return found.pop() if found else None


def _put_disk_source(element: etree._Element, source: str | None) -> None:
    """Give a disk its image, or none."""
    for old in element.findall("source"):
        element.remove(old)
    if source is None:
        element.set("type", "file")
        return
    if source.startswith("/"):
        kind = "block" if source.startswith("/dev/") else "file"
        made = etree.Element("source", {"dev" if kind == "block" else "file": source})
    else:
        pool, slash, volume = source.partition("/")
        if not (pool and slash and volume) or ":" in pool:
            raise ValueError(f"HostResource: {source[:80]!r} is neither a path nor a volume as pool/volume")
        kind, made = "volume", etree.Element("source", pool=pool, volume=volume)
    element.set("type", kind)
    element.insert(0, made)
    if kind != "volume":
        _put_format(element, next((each for end, each in _FORMATS.items() if source.endswith(end)), "raw"))


def _put_format(element: etree._Element, form: str) -> None:
    """Tell the format of the image. libvirt does not look into it, since a guest could write there what it likes."""
    driver = element.find("driver")
    if driver is None and form != "raw":
        driver = etree.Element("driver")
        element.insert(0, driver)
    if driver is not None:
        driver.set("type", form)


def _nic_source(instance: pywbem.CIMInstance, kind: str = "network") -> tuple[str, str]:
    """What an interface is connected to: the kind of it, ``kind`` if the settings do not tell, and its name."""
    hosts, connections, pool = instance.get("HostResource"), instance.get("Connection"), instance.get("PoolID")
    for name, given in (("HostResource", hosts), ("Connection", connections)):
        if given is not None and (len(given) != 1 or not given[0]):
            raise ValueError(f"{name}: an interface is connected to one thing")
    source = connections[0] if connections else None
    if kind not in _SOURCES or pool is not None:
        kind = "network"
    if hosts:
        kind, colon, named = hosts[0].partition(":")
        if not colon or kind not in _SOURCES or not named:
            known = ", ".join(f"{each}:NAME" for each in _SOURCES)
            raise ValueError(f"HostResource: {hosts[0][:80]!r} is none of {known}")
        if source not in (None, named):
            raise ValueError("HostResource and Connection contradict each other")
        source = named
    if pool is not None:
        of, _, named = pool.partition("/")
        if of != "network" or not named or kind != "network" or source not in (None, named):
            raise ValueError(f"PoolID: {pool[:80]!r} is not the network that the interface is connected to")
        source = named
    if source is None:
        raise ValueError("Connection is missing: an interface has to be connected to something")
    return kind, source


def _put_nic_source(element: etree._Element, kind: str, source: str) -> None:
    for old in element.findall("source"):
        element.remove(old)
    made = etree.Element("source", {_SOURCES[kind]: source})
    if kind == "direct":
        made.set("mode", "bridge")
    mac = element.find("mac")
    element.insert(0 if mac is None else 1, made)


def _attribute(element: etree._Element, child: str, name: str) -> str | None:
    found = element.find(child)
    return None if found is None else found.get(name)
