"""A domain's definition out of its settings: libvirt's XML, made as a tree, so that no text of a request becomes markup."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from lxml import etree

__all__ = ["Settings", "domain_xml"]

#: What the guest of a hypervisor runs on, where that is not a whole virtual machine.
_OS_TYPES = {"lxc": "exe", "openvz": "exe", "vz": "exe"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a domain is to be like. Memory is in KiB; what is None is left to libvirt. ``devices`` are elements of its XML."""

    name: str
    type: str
    memory: int
    max_memory: int | None = None
    vcpus: int | None = None
    max_vcpus: int | None = None
    uuid: str | None = None
    title: str | None = None
    description: str | None = None
    os_type: str | None = None
    architecture: str | None = None
    machine: str | None = None
    devices: tuple[etree._Element, ...] = ()


#: What is told of one domain only, and must not be in the definition of another.
_OWN = (
    "uuid", "name", "title", "description", "memory", "currentMemory", "vcpu", "vcpus", "genid", "os/nvram",
    "sysinfo/system/entry[@name='uuid']", "devices/interface/mac", "devices/interface/target",
)  # fmt: skip


def domain_xml(settings: Settings, model: etree._Element | None = None) -> str:
    """The definition. ValueError if a text holds what XML cannot.

    ``model`` is the definition of another domain, which gives what the settings do not tell: all but what tells that domain from
    others, and the disks that only one of the two may have.
    """
    root = _drawn(settings)
    if model is not None:
        root = _completed(root, model, keep_os=settings.os_type is None)
    if settings.devices:
        devices = root.find("devices")
        if devices is None:
            devices = etree.SubElement(root, "devices")
        devices.extend(settings.devices)
    return etree.tostring(root, encoding="unicode")


def _completed(root: etree._Element, model: etree._Element, *, keep_os: bool) -> etree._Element:
    """What is drawn of a domain, and all the rest from the model."""
    made = copy.deepcopy(model)
    for old in [each for path in _OWN for each in made.findall(path)]:
        _remove(old)
    for disk in made.findall("devices/disk"):
        exclusive = disk.find("readonly") is None and disk.find("shareable") is None
        if exclusive and disk.find("source") is not None:
            _remove(disk)
    made.attrib.pop("id", None)
    made.set("type", root.get("type", ""))
    for place, child in enumerate(each for each in list(root) if each.tag != "os" or not keep_os):
        if child.tag == "os":
            for old in made.findall("os"):
                made.remove(old)
        made.insert(place, child)
    return made


def _remove(element: etree._Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _drawn(settings: Settings) -> etree._Element:
    """What the settings tell of the domain itself."""
    root = etree.Element("domain", type=settings.type)
    texts = {"name": settings.name, "uuid": settings.uuid, "title": settings.title, "description": settings.description}
    for tag, text in texts.items():
        if text:
            _child(root, tag, text)
    _child(root, "memory", str(settings.max_memory or settings.memory), unit="KiB")
    _child(root, "currentMemory", str(settings.memory), unit="KiB")
    if settings.vcpus or settings.max_vcpus:
        most = settings.max_vcpus or settings.vcpus
        _child(root, "vcpu", str(most), current=str(settings.vcpus or most))
    kind = {"arch": settings.architecture, "machine": settings.machine}
    system = etree.SubElement(root, "os")
    _child(
        system, "type", settings.os_type or _OS_TYPES.get(settings.type, "hvm"), **{k: v for k, v in kind.items() if v}
    )
    return root


def _child(parent: etree._Element, tag: str, text: str, **attributes: str) -> None:
    etree.SubElement(parent, tag, attributes).text = text
