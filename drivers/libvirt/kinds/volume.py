"""The volumes of a pool: how they are read, and how the operations on them are done.

A volume's description tells all there is in one call, for which libvirt opens the image; of thousands of volumes that is
not to be asked each time. So what it said is kept for some minutes, a pool's free space being told by the pool itself.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import libvirt

from agent.errors import Busy, NotFound, Unreachable, VirtmapError
from agent.model import volume as on
from agent.model.volume import Volume, VolumeType
from agent.schema.declare import Row
from drivers.libvirt import symbols, xml
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Doing, Outs
from drivers.libvirt.kinds.elements import Element, attribute, size, text, whole
from drivers.libvirt.kinds.kept import Kept
from drivers.libvirt.kinds.kind import Kind
from drivers.libvirt.symbols import flags, number

KEPT = 300.0
"""Seconds that a description is good for at most."""

READING = 0.5
"""Seconds that one reading of a pool takes for descriptions. What is left over has its turn in the next ones."""

_VOLUMES: Kept[Volume] = Kept(KEPT)

_TYPES = {
    "file": VolumeType.FILE, "block": VolumeType.BLOCK, "dir": VolumeType.DIRECTORY, "network": VolumeType.NETWORK,
    "netdir": VolumeType.NETWORK_DIRECTORY, "ploop": VolumeType.PLOOP,
}  # fmt: skip


def changed(pool: str, name: str | None = None) -> None:
    """All volumes of a pool, or one of them, may be different now."""
    _VOLUMES.changed(lambda key: key == (pool, name) if name is not None else _is_of(key, pool))


def _is_of(key: Any, pool: str) -> bool:
    return bool(key[0] == pool)


def read(calls: Calls, pool: Any, uuid: str, asked: str) -> tuple[Sequence[Row], int, str]:
    """The volumes of a pool, how many of them were never read so far, and what went wrong with the others."""
    there: dict[str, Any] = {}
    problems: list[str] = []
    for each in calls.ask(asked, pool.listAllVolumes, 0):
        try:
            there[each.name()] = each
        except ValueError as error:  # whoever made the file wrote no UTF-8
            problems.append(f"a name cannot be read: {error}")
    _VOLUMES.keep_only(calls, {(uuid, name) for name in there}, lambda key: _is_of(key, uuid))
    now = time.monotonic()
    due = sorted((until, name) for name in there if (until := _VOLUMES.find(calls, (uuid, name))[1]) <= now)
    for _, name in due:
        if time.monotonic() > now + READING:
            break
        try:
            _VOLUMES.read(calls, (uuid, name), lambda name=name: _described(calls, there[name], uuid, name))  # type: ignore[misc]
        except NotFound:
            del there[name]
    rows, unread = [], 0
    for name, each in there.items():
        row = _VOLUMES.find(calls, (uuid, name))[0]
        if row is None:
            unread += 1
            row = Volume(pool=uuid, name=name, unique_key=calls.ask(asked, each.key))
        rows.append(row)
    if unread:
        problems.append(f"{unread} of {len(there)} volumes were not read yet")
    return rows, unread, "; ".join(problems)


def _described(calls: Calls, volume: Any, pool: str, name: str) -> Volume:
    """What its description says; a failure is told in its row, and does not make the pool fail."""
    columns: dict[str, Any] = {"pool": pool, "name": name, "measured": datetime.now(UTC), "problem": ""}
    try:
        columns |= described(calls.ask("", volume.XMLDesc, 0)) | {"unique_key": calls.ask("", volume.key)}
    except (NotFound, Unreachable, Busy):
        raise
    except VirtmapError as error:
        columns["problem"] = str(error).removeprefix(": ")
    return Volume(**columns)


def described(description: str) -> dict[str, Any]:
    """The columns of a volume that its XML tells."""
    root = xml.parse(description)
    target = root.find("target")
    target = root.makeelement("target") if target is None else target
    features = target.find("features")
    return {
        "type": _TYPES.get(root.get("type", "file")),
        "capacity": size(root, "capacity"), "allocation": size(root, "allocation"), "physical": size(root, "physical"),
        "path": text(target, "path"), "format": attribute(target, "format", "type"),
        "compat": text(target, "compat"), "cluster_size": size(target, "clusterSize"),
        "features": None if features is None else " ".join(each.tag for each in features) or None,
        "no_cow": target.find("nocow") is not None,
        "encryption": attribute(target, "encryption", "format"), "secret": attribute(target, "encryption/secret", "uuid"),
        "backing_path": text(root, "backingStore/path"), "backing_format": attribute(root, "backingStore/format", "type"),
        "accessed": _time(target, "atime"), "modified": _time(target, "mtime"), "changed": _time(target, "ctime"),
    } | permissions(target)  # fmt: skip


def permissions(target: Element) -> dict[str, Any]:
    """Who may do what with it."""
    return {
        "mode": text(target, "permissions/mode"), "owner": whole(text(target, "permissions/owner")),
        "owner_group": whole(text(target, "permissions/group")), "label": text(target, "permissions/label"),
    }  # fmt: skip


def _time(target: Element, name: str) -> datetime | None:
    """A time as libvirt writes it: seconds since 1970, with a fraction. 0 is that of a filesystem that does not know."""
    told = text(target, f"timestamps/{name}")
    try:
        seconds = float(told or 0)
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _of(do: Doing, pool: Any) -> Any:
    return do(pool.storageVolLookupByName, do.key[-1])


def _resize(do: Doing, pool: Any, operation: on.ResizeVolume) -> None:
    do(_of(do, pool).resize, operation.capacity, flags(operation.flags))
    changed(*do.key)


def _wipe(do: Doing, pool: Any, operation: on.WipeVolume) -> None:
    do(_of(do, pool).wipePattern, number(operation.algorithm.libvirt), 0)
    changed(*do.key)


def _delete(do: Doing, pool: Any, operation: on.DeleteVolume) -> None:
    do(_of(do, pool).delete, flags(operation.flags))
    changed(*do.key)


def _read_xml(do: Doing, pool: Any, _operation: on.ReadVolumeXml) -> Outs:
    return {"xml": do(_of(do, pool).XMLDesc, 0)}


def _measure(do: Doing, pool: Any, _operation: on.MeasureVolume) -> Outs:
    """The library answers `info` for itself; the newer function, which not all drivers have, tells the physical size."""
    volume = _of(do, pool)
    kind, capacity, allocation = do(volume.info)
    flagged = do.calls.try_(volume.infoFlags, libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)
    return {
        "type": symbols.member(VolumeType, kind), "capacity": capacity, "allocation": allocation,
        "physical": None if flagged is None else flagged[2], "path": do(volume.path),
    }  # fmt: skip


KIND: Kind | None = None
"""A volume is a part of its pool, and read with it."""
ACTIONS: Actions = {
    on.ResizeVolume: _resize,
    on.WipeVolume: _wipe,
    on.DeleteVolume: _delete,
    on.ReadVolumeXml: _read_xml,
    on.MeasureVolume: _measure,
}
