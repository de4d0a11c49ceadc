"""A domain's definition out of its settings: libvirt's XML, made as a tree, so that no text of a request becomes markup."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

__all__ = ["Settings", "domain_xml"]

#: What the guest of a hypervisor runs on, where that is not a whole virtual machine.
_OS_TYPES = {"lxc": "exe", "openvz": "exe", "vz": "exe"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a domain is to be like. Memory is in KiB; what is None is left to libvirt."""

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


def domain_xml(settings: Settings) -> str:
    """The definition. ValueError if a text holds what XML cannot."""
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
    return etree.tostring(root, encoding="unicode")


def _child(parent: etree._Element, tag: str, text: str, **attributes: str) -> None:
    etree.SubElement(parent, tag, attributes).text = text
