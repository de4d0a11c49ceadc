"""The logs of domains: files of the agent's own host, which libvirt writes and does not serve.

They are read here and not asked for, so that nothing of libvirt is called but to stop or undefine a domain together with them.
libvirt's own way to remove the logs of a domain that is destroyed takes more than these: every file whose name begins like that
of an older one, an older one of another domain's among them. So it is asked to only while there is no such file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.errors import Failed, NotFound, NotSupported, VirtmapError
from agent.model import log as on
from agent.model.log import Log
from agent.schema.declare import Row
from drivers.libvirt import symbols
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Doing, Outs
from drivers.libvirt.kinds.kind import Kind
from drivers.logs.collection import Collection
from drivers.logs.control import Removed
from drivers.logs.listing import Known
from drivers.logs.ownership import log_name

PACE = 30.0
"""Seconds between two looks at all of them. Those that are followed are read as they change."""


def _logs(calls: Calls, asked: str) -> Collection:
    if calls.logs is None:
        raise NotSupported(f"{asked}: logs are served of hypervisors on the agent's own host only, if at all")
    return calls.logs


def _objects(calls: Calls) -> Sequence[Known]:
    return [] if calls.logs is None else calls.logs.refresh()


def _find(calls: Calls, key: tuple[Any, ...]) -> Known:
    return _logs(calls, "it cannot be looked up").find(key[0])


def _read(calls: Calls, known: Known) -> Sequence[Row]:
    return _logs(calls, "it cannot be read").rows(known)


def _of(do: Doing) -> Collection:
    return _logs(do.calls, f"{do.called}: {do.doing}")


def _read_log(do: Doing, known: Known, operation: on.ReadLog) -> Outs:
    return _of(do).read(known, operation)


def _search(do: Doing, known: Known, operation: on.SearchLog) -> Outs:
    return _of(do).search(known, operation, do.task)


def _download(do: Doing, known: Known, operation: on.DownloadLog) -> Outs:
    return _of(do).download(known, operation, do.task)


def _clear(do: Doing, known: Known, _operation: on.ClearLog) -> None:
    _of(do).removing.clear(known, active=_active(do, known))


def _remove(do: Doing, known: Known, _operation: on.RemoveLog) -> None:
    _of(do).removing.remove(known, active=_active(do, known))


def _active(do: Doing, known: Known) -> bool:
    """Whether its domain runs at this moment."""
    if known.owner.uuid is None:
        return False
    try:
        return bool(do(do.virt.lookupByUUIDString, known.owner.uuid).ID() != -1)
    except NotFound:
        return False


def _remove_logs(do: Doing, domain: Any, _operation: on.RemoveLogs) -> Outs:
    logs, uuid = _of(do), domain.UUIDString()
    active = domain.ID() != -1
    removable = logs.removing.check(uuid, domain.name(), active=active)
    return {"removed": len(logs.removing.remove_all(removable, active=active))}


def _clean(do: Doing, _virt: Any, operation: on.CleanLogs) -> Outs:
    went, problems = _of(do).removing.clean(dry=operation.dry)
    if problems:
        raise Failed(do.wrong(f"{len(went)} files were removed, and then: {'; '.join(problems[:5])}"))
    return {
        "removed": len(went), "freed": sum(each.size for each in went), "files": "".join(f"{e.path}\n" for e in went),
    }  # fmt: skip


def destroy_with_logs(do: Doing, domain: Any, flags: int) -> None:
    """Stop a domain and remove its logs: that of the hypervisor by libvirt, which does it once nobody writes it any more, and
    those of devices afterwards. Nothing is done if they may not be removed."""
    logs, uuid, name = _of(do), domain.UUIDString(), domain.name()
    number = symbols.number("VIR_DOMAIN_DESTROY_REMOVE_LOGS")
    if number is None:
        raise NotSupported(do.wrong("the libvirt library here is older than 8.3"))
    removable = logs.removing.check(uuid, name, active=True)
    logs.removing.check_libvirt(uuid, name)
    do(domain.destroyFlags, flags | number)
    _remove_after(do, logs, [each for each in removable if each.name != log_name(name)], active=False)


def undefine_with_logs(do: Doing, domain: Any, flags: int) -> None:
    """Undefine a domain and remove its logs; those of one that runs on are emptied. Nothing is done if they may not be removed."""
    logs, uuid = _of(do), domain.UUIDString()
    active = domain.ID() != -1
    removable = logs.removing.check(uuid, domain.name(), active=active)
    do(domain.undefineFlags, flags)
    _remove_after(do, logs, removable, active=active)


def _remove_after(do: Doing, logs: Collection, some: Sequence[Known], *, active: bool) -> list[Removed]:
    try:
        return logs.removing.remove_all(some, active=active)
    except VirtmapError as error:
        raise Failed(do.wrong(f"it was done, but not all of its logs are removed: {error}")) from error


KIND: Kind | None = Kind(
    row=Log, objects=_objects, key=lambda known: (known.path,), find=_find, read=_read,
    called=lambda known: f"log {known.path}", pace=PACE,
)  # fmt: skip
ACTIONS: Actions = {
    on.ReadLog: _read_log,
    on.SearchLog: _search,
    on.DownloadLog: _download,
    on.ClearLog: _clear,
    on.RemoveLog: _remove,
    on.RemoveLogs: _remove_logs,
    on.CleanLogs: _clean,
}
