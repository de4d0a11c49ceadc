"""What the guest agent inside a domain tells and does, and what else is known of a guest's addresses.

The agent is asked when it has just connected, of which libvirt tells, and once in a while after that. It is software of the
guest: it may answer nonsense, which is cut to what a row can hold, or never. So libvirt is told to wait for two seconds only
while we read. That holds for whoever else asks the agent in the meantime, and freezing file systems may take longer: right
after the reading it is told to wait as it did before, as far as we know.

Whether a QEMU guest has an agent, its definition tells. Other hypervisors are just asked.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import libvirt

from agent.errors import VirtmapError
from agent.model import guest as on
from agent.model.filesystem import Filesystem, GuestDisk
from agent.model.guest_interface import AddressSource, AddressType, GuestAddress, GuestInterface
from agent.model.guest_user import GuestUser
from agent.schema.declare import Row
from drivers.libvirt.doing import Actions, Asked, Doing, Outs
from drivers.libvirt.mute import loud
from drivers.libvirt.symbols import flags, member, number

CHANNEL = "org.qemu.guest_agent.0"
QEMU = frozenset(("qemu", "kvm", "hvf"))
"""Types of domains that have an agent only if they have a channel for it."""

PATIENCE = 2
"""Seconds that a reading waits for each answer of an agent."""

LIMIT = 5.0
"""Seconds that a reading waits for all answers together."""

PACE = 300.0
"""Seconds after which an agent is asked again, and leases and neighbours are looked at again."""

SILENT = 1800.0
"""Seconds after which an agent that did not answer is asked again, unless it connects anew before."""

NAME, TEXT = 255, 4096
"""Octets that a Name and a Text can hold."""

_BLOCK = libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK
_TIMEOUTS: dict[tuple[str, int], int] = {}
"""How long libvirt waits for the agent, by the UUID and the number of a run of a domain, where an operation has set it. It
gives the agent nobody's settings back when asked, so that they have to be remembered."""

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_ON_HOST = frozenset(("network", "bridge", "direct", "ethernet"))
"""Kinds of interfaces whose addresses the host may know."""

_COLUMNS = {
    "guest_hostname": "hostname", "guest_timezone": "timezone.name", "guest_os_id": "os.id", "guest_os": "os.name",
    "guest_os_pretty": "os.pretty-name", "guest_os_version": "os.version", "guest_os_version_id": "os.version-id",
    "guest_os_variant": "os.variant", "guest_os_variant_id": "os.variant-id", "guest_kernel": "os.kernel-release",
    "guest_kernel_build": "os.kernel-version", "guest_machine": "os.machine",
}  # fmt: skip
"""Columns of the domain, and the fields of the agent's answer that fill them."""

Told = Mapping[str, Any]


# Reading


def details(asked: Asked) -> Iterable[Row]:
    """File systems, users, interfaces and disks of the guest; and columns of the domain that its agent fills."""
    channel = asked.root.find(f"devices/channel/target[@name='{CHANNEL}']")
    connected = channel is not None and asked.active and channel.get("state") == "connected"
    if channel is not None:
        asked.columns["agent_connected"] = connected
    if not asked.active:
        return []
    rows = list(_known_to_host(asked))
    if connected:
        rows += _agent(asked)
    elif asked.root.get("type") not in QEMU:
        rows += _told(asked)
    return rows


def _known_to_host(asked: Asked) -> Iterator[Row]:
    """Addresses that the host knows without asking the guest."""
    kinds = {each.get("type") for each in asked.root.findall("devices/interface")}
    if kinds & _ON_HOST:
        asked.within(PACE)
        yield from _from_source(asked, AddressSource.ARP)
    if "network" in kinds:
        yield from _from_source(asked, AddressSource.LEASE)


def _from_source(asked: Asked, source: AddressSource) -> Iterable[Row]:
    """Interfaces with addresses that one source knows. That there is no such network any more, or that the host does not tell
    its neighbours (libvirt 9.0 does not understand what recent kernels say of them), is no trouble of the domain."""
    told = asked.quiet(asked.domain.interfaceAddresses, number(source.libvirt))
    return _interfaces(asked.uuid, source, told or {})


def _agent(asked: Asked) -> Iterable[Row]:
    """What the agent of a QEMU guest tells within a bounded time: while somebody else waits for it, libvirt has us wait too."""
    mine = replace(asked, columns={}, again=float("inf"))
    ended: list[Iterable[Row] | VirtmapError] = []

    def ask() -> None:
        try:
            ended.append(_told_in_time(mine))
        except VirtmapError as error:
            ended.append(error.with_traceback(None))

    asking = threading.Thread(target=ask, name="guest-agent", daemon=True)
    asking.start()
    asking.join(LIMIT)
    if not ended:
        asked.within(PACE)
        return []
    if isinstance(ended[0], VirtmapError):
        raise ended[0]
    asked.within(mine.again)
    asked.columns |= mine.columns
    return ended[0]


def _told_in_time(asked: Asked) -> Iterable[Row]:
    """What it tells while libvirt has no patience with it."""
    domain = asked.domain
    if asked.soft(domain.agentSetResponseTimeout, PATIENCE, 0) is None:
        return []
    try:
        return _told(asked)
    finally:
        asked.soft(domain.agentSetResponseTimeout, _TIMEOUTS.get((asked.uuid, domain.ID()), _BLOCK), 0)


def _told(asked: Asked) -> Iterable[Row]:
    """What the agent tells. One that has not answered is not asked for more."""
    uuid, domain, began = asked.uuid, asked.domain, time.monotonic()
    told = asked.soft(domain.guestInfo, 0, 0)
    hangs = time.monotonic() - began >= 0.9 * PATIENCE  # libvirt goes by another clock
    asked.within(SILENT if hangs else PACE)
    rows: list[Row] = []
    if told is not None:
        _fill(asked, told)
        rows += [*_users(uuid, told), *_filesystems(uuid, told), *_disks(uuid, told)]
    if hangs:
        return rows
    if told is None:  # the hypervisor has no such function; those before it have to do
        rows += _plain_filesystems(uuid, asked.soft(domain.fsInfo, 0) or [])
    if told and "if.count" in told:
        rows += _interfaces(uuid, AddressSource.AGENT, _named(told))
    else:
        rows += _from_source(asked, AddressSource.AGENT)
    if vcpus := asked.soft(domain.guestVcpus, 0):
        asked.columns |= {"guest_vcpus": vcpus.get("vcpus"), "guest_vcpus_online": vcpus.get("online")}
        asked.columns["guest_offlinable"] = vcpus.get("offlinable")
    return rows


def _fill(asked: Asked, told: Told) -> None:
    """Columns of the domain."""
    asked.columns |= {column: _cut(told.get(field)) for column, field in _COLUMNS.items()}
    asked.columns |= {"guest_utc_offset": told.get("timezone.offset"), "guest_users": told.get("user.count")}
    asked.columns["agent_updated"] = datetime.now(UTC)


def _entries(told: Told, prefix: str) -> list[dict[str, Any]]:
    """The fields of each of several things: `user.0.name` is `name` of the first."""
    entries: list[dict[str, Any]] = [{} for _ in range(told.get(f"{prefix}count", 0))]
    for field, value in told.items():
        place, _, name = field.removeprefix(prefix).partition(".")
        if field.startswith(prefix) and name and place.isdecimal() and int(place) < len(entries):
            entries[int(place)][name] = value
    return entries


def _users(uuid: str, told: Told) -> Iterable[Row]:
    rows: dict[str, Row] = {}
    for each in _entries(told, "user."):
        user, authority = each.get("name"), _cut(each.get("domain"))
        if name := _cut(f"{authority}\\{user}" if authority and user else user):
            rows[name] = GuestUser(domain=uuid, name=name, authority=authority, login=_time(each.get("login-time")))
    return rows.values()


def _time(milliseconds: int | None) -> datetime | None:
    """When that was; None for a time that there is not."""
    try:
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _filesystems(uuid: str, told: Told) -> Iterable[Row]:
    rows: dict[str, Row] = {}
    for each in _entries(told, "fs."):
        disks = _entries(each, "disk.")
        if mountpoint := _cut(each.get("mountpoint"), TEXT):
            rows[mountpoint] = Filesystem(
                domain=uuid, mountpoint=mountpoint, device=_cut(each.get("name"), TEXT), type=_cut(each.get("fstype")),
                total=each.get("total-bytes"), used=each.get("used-bytes"), disks=_lines(disk.get("alias") for disk in disks),
                serials=_lines(disk.get("serial") for disk in disks),
            )  # fmt: skip
    return rows.values()


def _plain_filesystems(uuid: str, told: Iterable[tuple[str, str, str, list[str]]]) -> Iterable[Row]:
    rows: dict[str, Row] = {}
    for at, device, kind, disks in told:
        if mountpoint := _cut(at, TEXT):
            rows[mountpoint] = Filesystem(
                domain=uuid, mountpoint=mountpoint, device=_cut(device, TEXT), type=_cut(kind), disks=_lines(disks)
            )
    return rows.values()


def _disks(uuid: str, told: Told) -> Iterable[Row]:
    rows: dict[str, Row] = {}
    for each in _entries(told, "disk."):
        if name := _cut(each.get("name"), TEXT):
            rows[name] = GuestDisk(
                domain=uuid, name=name, partition=each.get("partition"), serial=_cut(each.get("serial")),
                parts=_lines(part.get("name") for part in _entries(each, "dependency.")), target=_cut(each.get("alias")),
                alias=_cut(each.get("guest_alias")),
            )  # fmt: skip
    return rows.values()


_TYPES = {"ipv4": AddressType.IPV4, "ipv6": AddressType.IPV6}


def _named(told: Told) -> dict[str, Any]:
    """The interfaces of the agent's answer, in the form that libvirt gives those of other sources in."""
    return {
        each.get("name", ""): {"hwaddr": each.get("hwaddr"), "addrs": _entries(each, "addr.")}
        for each in _entries(told, "if.")
    }


def _interfaces(uuid: str, source: AddressSource, told: Told) -> Iterable[Row]:
    """Each interface, and after it its addresses."""
    seen: set[str] = set()
    for full, each in told.items():
        name, mac = _cut(full), each.get("hwaddr") or ""
        if not name or name in seen:
            continue
        seen.add(name)
        addresses = {row.key: row for one in each.get("addrs") or () if (row := _address(uuid, source, name, one))}
        yield GuestInterface(
            domain=uuid, source=source, interface=name, mac=mac.lower() if _MAC.fullmatch(mac) else None,
            addresses=len(addresses),
        )  # fmt: skip
        yield from addresses.values()


def _address(uuid: str, source: AddressSource, interface: str, told: Told) -> GuestAddress | None:
    address, prefix, kind = _cut(told.get("addr")), told.get("prefix"), told.get("type")
    if not address:
        return None
    return GuestAddress(
        domain=uuid, source=source, interface=interface, address=address,
        type=_TYPES.get(kind) if isinstance(kind, str) else member(AddressType, -1 if kind is None else kind),
        prefix=prefix if prefix is not None and prefix <= 128 else None,
    )  # fmt: skip


def _cut(text: str | None, most: int = NAME) -> str | None:
    """A text from inside a guest as one line that a row can hold."""
    if text is None:
        return None
    line = "".join(each if each.isprintable() else "?" for each in text[:most])
    return line.encode("utf-8", "replace")[:most].decode(errors="ignore")


def _lines(texts: Iterable[str | None]) -> str:
    """One a line, as many as a row can hold."""
    kept, length = [], 0
    for text in texts:
        line = _cut(text)
        if line and line not in kept and (length := length + len(line.encode()) + 1) <= TEXT:
            kept.append(line)
    return "\n".join(kept)


# Operations


def _read_filesystems(do: Doing, domain: Any, _operation: on.ReadFilesystems) -> Outs:
    told = do(domain.fsInfo, 0)
    lines = [
        "\t".join(_cut(each) or "" for each in (at, kind, device, ",".join(disks))) for at, device, kind, disks in told
    ]
    return {"filesystems": "\n".join(lines)}


def _read_addresses(do: Doing, domain: Any, operation: on.ReadAddresses) -> Outs:
    told = do(domain.interfaceAddresses, number(operation.source.libvirt), 0)
    lines = [
        f"{_cut(name)}\t{_cut(each.get('hwaddr')) or ''}\t{_cut(address['addr'])}/{address['prefix']}"
        for name, each in told.items()
        for address in each.get("addrs") or ()
    ]
    return {"addresses": "\n".join(lines)}


def _read_vcpus(do: Doing, domain: Any, _operation: on.ReadGuestVcpus) -> Outs:
    told = do(loud(domain.guestVcpus), 0)
    return {name: told.get(name) for name in ("vcpus", "online", "offlinable")}


def _set_vcpus(do: Doing, domain: Any, operation: on.SetGuestVcpus) -> None:
    do(domain.setGuestVcpus, operation.vcpus, int(operation.online), 0)


def _freeze(do: Doing, domain: Any, operation: on.FreezeFilesystems) -> Outs:
    return {"frozen": do(domain.fsFreeze, _split(operation.mountpoints), 0)}


def _thaw(do: Doing, domain: Any, operation: on.ThawFilesystems) -> Outs:
    return {"thawed": do(domain.fsThaw, _split(operation.mountpoints), 0)}


def _split(lines: str) -> list[str] | None:
    """The texts, one a line; None if there is none."""
    return [line.strip() for line in lines.splitlines() if line.strip()] or None


def _trim(do: Doing, domain: Any, operation: on.TrimFilesystems) -> None:
    do(domain.fSTrim, operation.mountpoint, operation.minimum, 0)


def _read_keys(do: Doing, domain: Any, operation: on.ReadSshKeys) -> Outs:
    return {"keys": "\n".join(do(domain.authorizedSSHKeysGet, operation.user, 0))}


def _set_keys(do: Doing, domain: Any, operation: on.SetSshKeys) -> None:
    do(domain.authorizedSSHKeysSet, operation.user, _split(operation.keys), flags(operation.flags))


def _set_timeout(do: Doing, domain: Any, operation: on.SetAgentTimeout) -> None:
    timeout = number(operation.patience.libvirt) if operation.seconds is None else operation.seconds
    do(domain.agentSetResponseTimeout, timeout, 0)
    if timeout is not None:
        _TIMEOUTS[domain.UUIDString(), domain.ID()] = timeout


ACTIONS: Actions = {
    on.ReadFilesystems: _read_filesystems,
    on.ReadAddresses: _read_addresses,
    on.ReadGuestVcpus: _read_vcpus,
    on.SetGuestVcpus: _set_vcpus,
    on.FreezeFilesystems: _freeze,
    on.ThawFilesystems: _thaw,
    on.TrimFilesystems: _trim,
    on.ReadSshKeys: _read_keys,
    on.SetSshKeys: _set_keys,
    on.SetAgentTimeout: _set_timeout,
}
