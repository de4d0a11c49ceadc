"""Checkpoints and backups of a domain."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable
from typing import Any

import libvirt

from agent.errors import Failed, Invalid, WrongState
from agent.model import checkpoint as on
from agent.model.checkpoint import Checkpoint
from agent.schema.declare import Row
from drivers.libvirt import xml
from drivers.libvirt.doing import Actions, Asked, Doing, Outs
from drivers.libvirt.domains.snapshots import LOOK_AGAIN, clipped, created, names, parent_of
from drivers.libvirt.domains.underway import STEP, abort, percent
from drivers.libvirt.symbols import flags


def _create(do: Doing, domain: Any, operation: on.CreateCheckpoint) -> Outs:
    return {"name": do(domain.checkpointCreateXML, operation.xml, flags(operation.flags)).getName()}


def _found(do: Doing, domain: Any) -> Any:
    return do(domain.checkpointLookupByName, do.key[-1], 0)


def _delete(do: Doing, domain: Any, operation: on.DeleteCheckpoint) -> None:
    do(_found(do, domain).delete, flags(operation.flags))


def _read_xml(do: Doing, domain: Any, operation: on.ReadCheckpointXml) -> Outs:
    return {"xml": do(_found(do, domain).getXMLDesc, flags(operation.flags))}


def _read_place(do: Doing, domain: Any, _operation: on.ReadPlace) -> Outs:
    found = _found(do, domain)
    return {
        "parent_name": parent_of(do, found),
        "children": names(do(found.listAllChildren, 0)),
        "descendants": names(do(found.listAllChildren, libvirt.VIR_DOMAIN_CHECKPOINT_LIST_DESCENDANTS)),
    }


def _read_changes(do: Doing, domain: Any, _operation: on.ReadChanges) -> Outs:
    wanted = libvirt.VIR_DOMAIN_CHECKPOINT_XML_SIZE | libvirt.VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN
    root = xml.parse(do(_found(do, domain).getXMLDesc, wanted))
    sizes = {e.get("name"): int(e.get("size")) for e in root.findall("disks/disk") if e.get("size")}
    return {"size": sum(sizes.values()), "disks": "\n".join(f"{name} {size}" for name, size in sizes.items())}


def _begin_backup(do: Doing, domain: Any, operation: on.BeginBackup) -> None:
    """A pushed one is followed to its end; one that is pulled has no end of its own."""
    try:
        pulled = xml.parse(operation.xml).get("mode") == "pull"
    except Failed as error:
        raise Invalid(do.wrong(f"the XML cannot be read: {error}")) from error
    do(domain.backupBegin, operation.xml, operation.checkpoint_xml, flags(operation.flags))
    if not pulled:
        _follow(do, domain)


def _follow(do: Doing, domain: Any) -> None:
    """Until the job of the domain has ended. Failed if libvirt says that it did not go well."""
    do.task.on_cancel(lambda: abort(do, domain))
    do.changed()
    pause = threading.Event()
    while (now := do(domain.jobStats, 0)).get("type") != libvirt.VIR_DOMAIN_JOB_NONE:
        if (told := percent(now) or _of_disks(now)) is not None:
            do.task.progress(told)
        pause.wait(STEP)
    end = do(domain.jobStats, libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED)
    if end.get("type") != libvirt.VIR_DOMAIN_JOB_COMPLETED:
        why = end.get(libvirt.VIR_DOMAIN_JOB_ERRMSG)
        raise Failed(do.wrong(why or "it did not come to its end"))


def _end_backup(do: Doing, domain: Any, _operation: on.EndBackup) -> None:
    """Only if it is a backup that runs: aborting would stop a migration just as well."""
    now = do(domain.jobStats, 0)
    if now.get(libvirt.VIR_DOMAIN_JOB_OPERATION) != libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP:
        raise WrongState(do.wrong("no backup is running"))
    abort(do, domain)


def _of_disks(told: dict[str, Any]) -> int | None:
    total = told.get("disk_total")
    return min(100, 100 * told.get("disk_processed", 0) // total) if total else None


def _read_backup(do: Doing, domain: Any, _operation: on.ReadBackupXml) -> Outs:
    return {"xml": do(domain.backupGetXMLDesc, 0)}


ACTIONS: Actions = {
    on.CreateCheckpoint: _create,
    on.DeleteCheckpoint: _delete,
    on.ReadCheckpointXml: _read_xml,
    on.ReadPlace: _read_place,
    on.ReadChanges: _read_changes,
    on.BeginBackup: _begin_backup,
    on.EndBackup: _end_backup,
    on.ReadBackupXml: _read_backup,
}


def details(asked: Asked) -> Iterable[Row]:
    """The checkpoints. A domain without any costs one call."""
    found = asked.soft(asked.domain.listAllCheckpoints, 0)
    if found is None:
        return ()
    asked.columns["checkpoints"] = len(found)
    if not found:
        return ()
    asked.within(LOOK_AGAIN)
    told = {e.getName(): asked.soft(e.getXMLDesc, libvirt.VIR_DOMAIN_CHECKPOINT_XML_NO_DOMAIN) for e in found}
    roots = {name: xml.parse(text) for name, text in told.items() if text is not None}
    children = Counter(root.findtext("parent/name") for root in roots.values())
    return [
        Checkpoint(domain=asked.uuid, name=name, children=children[name], **read(root)) for name, root in roots.items()
    ]


def read(root: Any) -> dict[str, Any]:
    """What the XML of a checkpoint tells, by column."""
    disks = [(e.get("name"), e.get("checkpoint"), e.get("bitmap")) for e in root.findall("disks/disk")]
    return {
        "parent_name": root.findtext("parent/name"),
        "created": created(root),
        "description": clipped(root.findtext("description")),
        "disks": clipped("\n".join(" ".join(filter(None, each)) for each in disks)),
    }
