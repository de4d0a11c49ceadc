"""Snapshots of a domain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import libvirt

from agent.errors import NotFound, NotSupported
from agent.model import snapshot as on
from agent.model.snapshot import Snapshot, SnapshotMemory, SnapshotState
from agent.schema.declare import Row
from drivers.libvirt import xml
from drivers.libvirt.doing import Actions, Asked, Doing, Outs
from drivers.libvirt.domains.underway import watched
from drivers.libvirt.symbols import flags

LOOK_AGAIN = 600.0
"""Seconds after which the snapshots, or checkpoints, of a domain that has some are read again: no event tells of them."""

LONGEST = 4096
"""Bytes that a text in a row has at most."""

_STATES = {
    "nostate": SnapshotState.NO_STATE, "running": SnapshotState.RUNNING, "blocked": SnapshotState.BLOCKED,
    "paused": SnapshotState.PAUSED, "shutdown": SnapshotState.SHUTTING_DOWN, "shutoff": SnapshotState.SHUT_OFF,
    "crashed": SnapshotState.CRASHED, "pmsuspended": SnapshotState.PM_SUSPENDED, "disk-snapshot": SnapshotState.DISK_ONLY,
}  # fmt: skip
_MEMORY = {"no": SnapshotMemory.NONE, "internal": SnapshotMemory.INTERNAL, "external": SnapshotMemory.EXTERNAL}


def _create(do: Doing, domain: Any, operation: on.CreateSnapshot) -> Outs:
    with watched(do, domain):
        return {"name": do(domain.snapshotCreateXML, operation.xml, flags(operation.flags)).getName()}


def _found(do: Doing, domain: Any) -> Any:
    return do(domain.snapshotLookupByName, do.key[-1], 0)


def _revert(do: Doing, domain: Any, operation: on.Revert) -> None:
    do(domain.revertToSnapshot, _found(do, domain), flags(operation.flags))


def _delete(do: Doing, domain: Any, operation: on.DeleteSnapshot) -> None:
    do(_found(do, domain).delete, flags(operation.flags))


def _read_xml(do: Doing, domain: Any, _operation: on.ReadSnapshotXml) -> Outs:
    return {"xml": do(_found(do, domain).getXMLDesc, 0)}


def _read_relatives(do: Doing, domain: Any, _operation: on.ReadRelatives) -> Outs:
    found = _found(do, domain)
    return {
        "parent_name": parent_of(do, found),
        "children": _children(do, found, 0),
        "descendants": _children(do, found, libvirt.VIR_DOMAIN_SNAPSHOT_LIST_DESCENDANTS),
        "current": bool(do(found.isCurrent, 0)),
        "has_metadata": bool(do(found.hasMetadata, 0)),
    }


def parent_of(do: Doing, found: Any) -> str:
    """The name of the parent of a snapshot or checkpoint; none for the first, of which libvirt says that it is not found."""
    try:
        return str(do(found.getParent, 0).getName())
    except NotFound:
        return ""


def _children(do: Doing, found: Any, flags: int) -> str:
    try:
        return names(do(found.listAllChildren, flags))
    except NotSupported:  # ESX knows only their names
        return "\n".join(sorted(do(found.listChildrenNames, flags)))


def names(found: Iterable[Any]) -> str:
    """Names of snapshots or checkpoints, one a line."""
    return "\n".join(sorted(each.getName() for each in found))


ACTIONS: Actions = {
    on.CreateSnapshot: _create,
    on.Revert: _revert,
    on.DeleteSnapshot: _delete,
    on.ReadSnapshotXml: _read_xml,
    on.ReadRelatives: _read_relatives,
}


def details(asked: Asked) -> Iterable[Row]:
    """The snapshots. A domain without any costs one call."""
    found = _listed(asked)
    if found is None:
        return ()
    asked.columns["snapshots"] = len(found)
    if not found:
        return ()
    asked.within(LOOK_AGAIN)
    current = _current(asked)
    asked.columns["current_snapshot"] = current
    noted = asked.soft(asked.domain.listAllSnapshots, libvirt.VIR_DOMAIN_SNAPSHOT_LIST_METADATA)
    with_metadata = None if noted is None else {each.getName() for each in noted}
    told = {each.getName(): asked.soft(each.getXMLDesc, 0) for each in found}
    roots = {name: xml.parse(text) for name, text in told.items() if text is not None}
    children = Counter(root.findtext("parent/name") for root in roots.values())
    return [
        Snapshot(
            domain=asked.uuid, name=name, current=name == current, children=children[name],
            has_metadata=None if with_metadata is None else name in with_metadata, **read(root),
        )
        for name, root in roots.items()
    ]  # fmt: skip


def _listed(asked: Asked) -> list[Any] | None:
    """All snapshots; None where there can be none."""
    found: list[Any] | None = asked.soft(asked.domain.listAllSnapshots, 0)
    if found is None and (told := asked.soft(asked.domain.snapshotListNames, 0)) is not None:  # ESX knows only names
        looked_up = [asked.soft(asked.domain.snapshotLookupByName, name, 0) for name in told]
        return [each for each in looked_up if each is not None]
    return found


def _current(asked: Asked) -> str | None:
    if not asked.soft(asked.domain.hasCurrentSnapshot, 0):
        return None
    found = asked.soft(asked.domain.snapshotCurrent, 0)
    return None if found is None else str(found.getName())


def read(root: Any) -> dict[str, Any]:
    """What the XML of a snapshot tells, by column."""
    memory = root.find("memory")
    return {
        "parent_name": root.findtext("parent/name"),
        "state": _STATES.get(root.findtext("state") or ""),
        "created": created(root),
        "description": clipped(root.findtext("description")),
        "memory": None if memory is None else _MEMORY.get(memory.get("snapshot", "")),
        "memory_file": None if memory is None else clipped(memory.get("file")),
        "disks": clipped("\n".join(_disk(each) for each in root.findall("disks/disk"))),
    }


def _disk(element: Any) -> str:
    source = element.find("source")
    image = None if source is None else next(iter(source.attrib.values()), None)
    return " ".join(filter(None, (element.get("name"), element.get("snapshot"), image)))


def created(root: Any) -> datetime | None:
    """When a snapshot or checkpoint was made."""
    told = root.findtext("creationTime")
    return datetime.fromtimestamp(int(told), UTC) if told and told.isdigit() else None


def clipped(text: str | None) -> str | None:
    """The text, cut to what a row can hold."""
    return None if text is None else text.encode()[:LONGEST].decode(errors="ignore")
