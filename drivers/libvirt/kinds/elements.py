"""What the XML of networks, pools, devices and the like says, by path: None where it says nothing, or nothing that can be read."""

from __future__ import annotations

import ipaddress
from typing import Any

Element = Any
"""An lxml element; lxml has no types of its own."""


def text(element: Element, path: str) -> str | None:
    """The text of a child, without blanks around it; None for none, or an empty one."""
    return (element.findtext(path) or "").strip() or None


def attribute(element: Element, path: str, name: str) -> str | None:
    """An attribute of a child; None for none, or an empty one."""
    found = element.find(path)
    return None if found is None else found.get(name) or None


def whole(told: str | None, *, most: int = 2**32 - 1) -> int | None:
    """A number that is not negative, decimal or, with 0x before it, hexadecimal."""
    try:
        number = int(told or "", 0)
    except ValueError:
        number = int(told) if told and told.isdecimal() else -1  # 0711 is no number to Python
    return number if 0 <= number <= most else None


def size(element: Element, path: str) -> int | None:
    """A size, which libvirt tells in bytes."""
    return whole(text(element, path), most=2**64 - 1)


def milliseconds(seconds: str | None) -> int | None:
    """A time that libvirt tells in seconds, perhaps with a fraction."""
    try:
        told = round(float(seconds or "") * 1000)
    except (ValueError, OverflowError):  # nothing, no number, or none that is finite
        return None
    return told if 0 <= told < 2**32 else None


def yes(element: Element, path: str, name: str) -> bool:
    """Whether an attribute of a child says yes."""
    return attribute(element, path, name) == "yes"


def mac(told: str | None) -> str | None:
    """A MAC address of Ethernet; that of InfiniBand is longer, and none."""
    return told if told and len(told) == 17 else None


def prefixed(element: Element) -> str | None:
    """An IP address with the length of its prefix, which libvirt may tell as a mask."""
    address, length = element.get("address"), element.get("prefix") or element.get("netmask")
    if not address or not length:
        return address or None
    try:
        return ipaddress.ip_interface(f"{address}/{length}").with_prefixlen
    except ValueError:
        return f"{address}/{length}"


def pci_address(element: Element) -> str | None:
    """The address of a PCI function, as lspci writes it: 0000:00:03.0."""
    told = [whole(element.get(part)) for part in ("domain", "bus", "slot", "function")]
    numbers = [each for each in told if each is not None]
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers) if len(numbers) == len(told) else None


def lines(told: list[str | None]) -> str | None:
    """Those that are there, one a line; None if none is."""
    return "\n".join(filter(None, told)) or None
