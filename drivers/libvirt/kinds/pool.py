"""libvirt's storage pools: how they are listed and read, and how the operations on them are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

import libvirt

from agent.driver import Changed, Happened, Heard
from agent.errors import Busy, NotFound, Unreachable, VirtmapError
from agent.model import pool as on
from agent.model.pool import Pool, PoolCreateFlags, PoolRefreshed, PoolState
from agent.schema.declare import Key, Row
from drivers.libvirt import symbols, xml
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Doing, Outs
from drivers.libvirt.kinds import volume
from drivers.libvirt.kinds.elements import Element, attribute, lines, text
from drivers.libvirt.kinds.kind import Kind
from drivers.libvirt.kinds.listening import numbered, register
from drivers.libvirt.symbols import flags

_LIFECYCLE = numbered(on.PoolDefined, on.PoolUndefined, on.PoolStarted, on.PoolStopped, on.PoolBuilt, on.PoolDeleted)

_USAGES = {"ceph": libvirt.VIR_SECRET_USAGE_TYPE_CEPH, "chap": libvirt.VIR_SECRET_USAGE_TYPE_ISCSI}
"""What a secret is for that is named by its use only, by the way of logging in."""

_listeners: WeakKeyDictionary[Calls, Callable[[Heard], None]] = WeakKeyDictionary()
"""Who wants to know that the rest of a pool's volumes is to be read."""


def _objects(calls: Calls) -> Sequence[Any]:
    listed: Sequence[Any] = calls.ask("cannot list storage pools", calls.virt.listAllStoragePools, 0)
    return listed


def _find(calls: Calls, key: Key) -> Any:
    return calls.ask("", calls.virt.storagePoolLookupByUUIDString, key[0])


def _called(pool: Any) -> str:
    return f"pool {pool.name()}"


def _read(calls: Calls, pool: Any) -> Sequence[Row]:
    """A pool, and its volumes while it is in use. These failing is told in the pool's row."""
    uuid, asked = pool.UUIDString(), f"{_called(pool)}: cannot read it"
    state, capacity, allocation, available = calls.ask(asked, pool.info)
    columns = {
        "uuid": uuid, "name": pool.name(), "host": calls.name, "state": symbols.member(PoolState, state),
        "capacity": capacity, "allocation": allocation, "available": available,
        "active": _flag(calls.try_(pool.isActive)), "persistent": _flag(calls.try_(pool.isPersistent)),
        "autostart": _flag(calls.try_(pool.autostart)), "problem": "", "refreshed": datetime.now(UTC),
    } | _described(calls, calls.ask(asked, pool.XMLDesc, 0))  # fmt: skip
    volumes: Sequence[Row] = ()
    if state not in (libvirt.VIR_STORAGE_POOL_INACTIVE, libvirt.VIR_STORAGE_POOL_BUILDING):
        try:
            volumes, unread, columns["problem"] = volume.read(calls, pool, uuid, "cannot list its volumes")
            columns["volumes"] = len(volumes)
            if unread and (heard := _listeners.get(calls)):
                heard(Changed(root=(Pool, (uuid,))))
        except (Unreachable, NotFound, Busy):
            raise
        except VirtmapError as error:
            columns["problem"] = str(error)
    return [Pool(**columns), *volumes]


def _flag(told: int | None) -> bool | None:
    return None if told is None else bool(told)


def _described(calls: Calls, description: str) -> dict[str, Any]:
    """The columns of a pool that its XML tells."""
    root = xml.parse(description)
    source, target = (_part(root, name) for name in ("source", "target"))
    return {
        "type": root.get("type"), "path": text(target, "path"),
        "source_hosts": lines([_host(each) for each in source.findall("host")]),
        "source_devices": lines([each.get("path") for each in source.findall("device")]),
        "source_directory": attribute(source, "dir", "path"), "source_name": text(source, "name"),
        "source_adapter": _adapter(source), "source_initiator": attribute(source, "initiator/iqn", "name"),
        "source_format": attribute(source, "format", "type"), "source_vendor": attribute(source, "vendor", "name"),
        "source_product": attribute(source, "product", "name"), "protocol_version": attribute(source, "protocol", "ver"),
        "auth_type": attribute(source, "auth", "type"), "auth_user": attribute(source, "auth", "username"),
        "auth_secret": _secret(calls, source),
    } | volume.permissions(target)  # fmt: skip


def _part(root: Element, name: str) -> Element:
    found = root.find(name)
    return root.makeelement(name) if found is None else found


def _host(element: Element) -> str | None:
    name, port = element.get("name"), element.get("port")
    return f"{name}:{port}" if name and port else name


def _adapter(source: Element) -> str | None:
    """A SCSI host has a name, a virtual port of a Fibre Channel adapter two world-wide names."""
    found = source.find("adapter")
    if found is None:
        return None
    return found.get("name") or "/".join(filter(None, (found.get("wwnn"), found.get("wwpn")))) or None


def _secret(calls: Calls, source: Element) -> str | None:
    """The secret to log in with, which may be named by what it is for."""
    named, usage = attribute(source, "auth/secret", "uuid"), attribute(source, "auth/secret", "usage")
    kind = _USAGES.get(attribute(source, "auth", "type") or "")
    if named or not usage or kind is None:
        return named
    try:
        found = calls.try_(calls.virt.secretLookupByUsage, kind, usage)
    except NotFound:
        return None
    return None if found is None else str(found.UUIDString())


def _listen(calls: Calls, heard: Callable[[Heard], None]) -> None:
    def on_lifecycle(_virt: Any, pool: Any, event: int, _detail: int, _opaque: object) -> None:
        uuid = pool.UUIDString()
        volume.changed(uuid)
        made = _LIFECYCLE.get(event)
        heard(Changed(root=(Pool, (uuid,))) if made is None else Happened(event=made(), key=(uuid,)))

    def on_refresh(_virt: Any, pool: Any, _opaque: object) -> None:
        uuid = pool.UUIDString()
        volume.changed(uuid)
        heard(Happened(event=PoolRefreshed(), key=(uuid,)))

    _listeners[calls] = heard
    function = calls.virt.storagePoolEventRegisterAny
    register(calls, function, "VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE", on_lifecycle)
    register(calls, function, "VIR_STORAGE_POOL_EVENT_ID_REFRESH", on_refresh)


def _define(do: Doing, virt: Any, operation: on.DefinePool) -> Outs:
    return {"uuid": do(virt.storagePoolDefineXML, operation.xml, flags(operation.flags)).UUIDString()}


def _create(do: Doing, virt: Any, operation: on.CreatePool) -> Outs:
    return {"uuid": do(virt.storagePoolCreateXML, operation.xml, flags(operation.flags)).UUIDString()}


def _find_sources(do: Doing, virt: Any, operation: on.FindPoolSources) -> Outs:
    return {"sources": do(virt.findStoragePoolSources, operation.type, operation.xml, 0)}


def _read_capabilities(do: Doing, virt: Any, _operation: on.ReadPoolCapabilities) -> Outs:
    return {"xml": do(virt.getStoragePoolCapabilities, 0)}


def _build(do: Doing, pool: Any, operation: on.BuildPool) -> None:
    do(pool.build, flags(operation.flags))


def _start(do: Doing, pool: Any, _operation: on.StartPool) -> None:
    do(pool.create, 0)


def _build_and_start(do: Doing, pool: Any, operation: on.BuildAndStartPool) -> None:
    do(pool.create, flags(operation.flags or PoolCreateFlags.BUILD))


def _stop(do: Doing, pool: Any, _operation: on.StopPool) -> None:
    do(pool.destroy)


def _delete(do: Doing, pool: Any, operation: on.DeletePool) -> None:
    do(pool.delete, flags(operation.flags))


def _refresh(do: Doing, pool: Any, _operation: on.RefreshPool) -> None:
    do(pool.refresh, 0)
    volume.changed(do.key[0])


def _undefine(do: Doing, pool: Any, _operation: on.UndefinePool) -> None:
    do(pool.undefine)


def _set_autostart(do: Doing, pool: Any, operation: on.SetPoolAutostart) -> None:
    do(pool.setAutostart, int(operation.autostart))


def _read_xml(do: Doing, pool: Any, operation: on.ReadPoolXml) -> Outs:
    return {"xml": do(pool.XMLDesc, flags(operation.flags))}


def _create_volume(do: Doing, pool: Any, operation: on.CreateVolume) -> Outs:
    return _made(do, do(pool.createXML, operation.xml, flags(operation.flags)))


def _clone_volume(do: Doing, pool: Any, operation: on.CloneVolume) -> Outs:
    holder = pool
    if operation.source_pool is not None:
        holder = do(do.virt.storagePoolLookupByUUIDString, operation.source_pool)
    source = do(holder.storageVolLookupByName, operation.source)
    return _made(do, do(pool.createXMLFrom, operation.xml, source, flags(operation.flags)))


def _made(do: Doing, made: Any) -> Outs:
    """What a new volume is called; one that had the same name is forgotten."""
    name = do(made.name)
    volume.changed(do.key[0], name)
    return {"name": name, "unique_key": do(made.key), "path": do(made.path)}


KIND: Kind | None = Kind(
    row=Pool,
    objects=_objects,
    key=lambda pool: (pool.UUIDString(),),
    find=_find,
    read=_read,
    called=_called,
    listen=_listen,
)
ACTIONS: Actions = {
    on.DefinePool: _define,
    on.CreatePool: _create,
    on.FindPoolSources: _find_sources,
    on.ReadPoolCapabilities: _read_capabilities,
    on.BuildPool: _build,
    on.StartPool: _start,
    on.BuildAndStartPool: _build_and_start,
    on.StopPool: _stop,
    on.DeletePool: _delete,
    on.RefreshPool: _refresh,
    on.UndefinePool: _undefine,
    on.SetPoolAutostart: _set_autostart,
    on.ReadPoolXml: _read_xml,
    on.CreateVolume: _create_volume,
    on.CloneVolume: _clone_volume,
}
