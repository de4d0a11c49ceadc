"""Block jobs and other operations on the disks of a domain.

libvirt's call returns as soon as a block job has begun. An operation that begins one follows it: to its end, or, where it
would go on keeping two images the same, to the moment when they are. How it ended, only an event tells.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import libvirt

from agent.errors import Failed, NotSupported, VirtmapError
from agent.model import block_job as on
from agent.model.block_job import BlockJob, BlockJobType
from agent.model.disk import DiskError
from agent.schema.declare import Row
from drivers.libvirt import xml
from drivers.libvirt.doing import Actions, Asked, Doing, Outs
from drivers.libvirt.domains.snapshots import clipped
from drivers.libvirt.domains.underway import STEP
from drivers.libvirt.symbols import flags, member

_INFO_BYTES = libvirt.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES
_BLOCK_JOB = libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2
_ENDS = (
    libvirt.VIR_DOMAIN_BLOCK_JOB_COMPLETED,
    libvirt.VIR_DOMAIN_BLOCK_JOB_FAILED,
    libvirt.VIR_DOMAIN_BLOCK_JOB_CANCELED,
)

GRACE = 5.0
"""Seconds that the event may come after the job has gone."""

FOLLOWED = 5.0
"""Seconds after which block jobs that run are read again."""


class _Told:
    """What libvirt tells of the block job of one disk while somebody waits for it."""

    def __init__(self, disk: str) -> None:
        self._disk = disk
        self.listening = False
        self.news = threading.Event()
        self.ready = False
        self.end: int | None = None

    def __call__(self, _virt: Any, _domain: Any, disk: str, _kind: int, status: int, _opaque: object) -> None:
        if disk != self._disk:
            return
        if status == libvirt.VIR_DOMAIN_BLOCK_JOB_READY:
            self.ready = True
        elif status in _ENDS:
            self.end = status
        self.news.set()


@contextmanager
def _listening(do: Doing, domain: Any, disk: str) -> Iterator[_Told]:
    """With events of the block job of this disk, where the hypervisor tells any."""
    told = _Told(disk)
    try:
        number = do(do.virt.domainEventRegisterAny, domain, _BLOCK_JOB, told, None)
    except NotSupported:
        yield told
        return
    told.listening = True
    try:
        yield told
    finally:
        with contextlib.suppress(VirtmapError):  # the connection has gone, and its callbacks with it
            do(do.virt.domainEventDeregisterAny, number)


def _run(do: Doing, domain: Any, begin: Callable[[], Any], *, mirrors: bool, pivot: bool = False) -> None:
    """Begin a block job and follow it. One that mirrors is done when both images are the same, or has the disk pivot then."""
    disk = do.key[-1]
    with _listening(do, domain, disk) as told:
        begin()
        do.task.on_cancel(lambda: do(domain.blockJobAbort, disk, 0) and None)
        do.changed()
        while told.end is None:
            told.news.clear()
            now = do(domain.blockJobInfo, disk, _INFO_BYTES)
            if now:
                if (done := _percent(now)) is not None:
                    do.task.progress(done)
                if mirrors and (told.ready or _is_ready(do, domain, disk, now)):
                    if not pivot:
                        return
                    do(domain.blockJobAbort, disk, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
                    mirrors = False
            elif not told.listening:
                return  # nobody tells how it ended
            if told.end is None and not told.news.wait(STEP if now else GRACE) and not now:
                raise Failed(do.wrong("the job has gone, and libvirt does not tell how it ended"))
        if told.end != libvirt.VIR_DOMAIN_BLOCK_JOB_COMPLETED:
            failed = told.end == libvirt.VIR_DOMAIN_BLOCK_JOB_FAILED
            raise Failed(do.wrong("it failed; the log of the domain may tell why" if failed else "it was aborted"))


def _is_ready(do: Doing, domain: Any, disk: str, now: Mapping[str, int]) -> bool:
    """Whether the definition calls the mirror ready, as soon as that can be."""
    if now["cur"] < now["end"]:
        return False
    mirror = _mirror(xml.parse(do(domain.XMLDesc, 0)), disk)
    return mirror is not None and mirror.get("ready") == "yes"


def _mirror(root: Any, disk: str) -> Any:
    for each in root.findall("devices/disk"):
        target = each.find("target")
        if target is not None and target.get("dev") == disk:
            return each.find("mirror")
    return None


def _percent(now: Mapping[str, int]) -> int | None:
    return min(100, 100 * now["cur"] // now["end"]) if now.get("end") else None


def _pull(do: Doing, domain: Any, operation: on.BlockPull) -> None:
    disk = do.key[-1]

    def begin() -> None:
        if operation.base is None:
            do(domain.blockPull, disk, operation.bandwidth, libvirt.VIR_DOMAIN_BLOCK_PULL_BANDWIDTH_BYTES)
        else:
            how = flags(operation.flags) | libvirt.VIR_DOMAIN_BLOCK_REBASE_BANDWIDTH_BYTES
            do(domain.blockRebase, disk, operation.base, operation.bandwidth, how)

    _run(do, domain, begin, mirrors=False)


def _commit(do: Doing, domain: Any, operation: on.BlockCommit) -> None:
    how = flags(operation.flags) | libvirt.VIR_DOMAIN_BLOCK_COMMIT_BANDWIDTH_BYTES

    def begin() -> None:
        do(domain.blockCommit, do.key[-1], operation.base, operation.top, operation.bandwidth, how)

    mirrors = bool(operation.flags & on.CommitFlags.ACTIVE)
    _run(do, domain, begin, mirrors=mirrors, pivot=operation.pivot)


def _copy(do: Doing, domain: Any, operation: on.BlockCopy) -> None:
    wanted = {
        libvirt.VIR_DOMAIN_BLOCK_COPY_BANDWIDTH: operation.bandwidth or None,
        libvirt.VIR_DOMAIN_BLOCK_COPY_GRANULARITY: operation.granularity and operation.granularity * 1024,
        libvirt.VIR_DOMAIN_BLOCK_COPY_BUF_SIZE: operation.buffer,
    }
    given = {name: value for name, value in wanted.items() if value is not None}

    def begin() -> None:
        do(domain.blockCopy, do.key[-1], operation.xml, given, flags(operation.flags))

    _run(do, domain, begin, mirrors=True, pivot=operation.pivot)


def _abort(do: Doing, domain: Any, operation: on.AbortBlockJob) -> None:
    do(domain.blockJobAbort, do.key[-1], flags(operation.flags))


def _resize(do: Doing, domain: Any, operation: on.ResizeDisk) -> None:
    do(domain.blockResize, do.key[-1], operation.capacity, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


def _threshold(do: Doing, domain: Any, operation: on.SetThreshold) -> None:
    image = "" if operation.image is None else f"[{operation.image}]"
    do(domain.setBlockThreshold, f"{do.key[-1]}{image}", operation.threshold, 0)


def _bandwidth(do: Doing, domain: Any, operation: on.SetJobBandwidth) -> None:
    bytes_ = libvirt.VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES
    do(domain.blockJobSetSpeed, do.key[-1], operation.bandwidth, bytes_)


_COUNTERS = {
    "read_requests": libvirt.VIR_DOMAIN_BLOCK_STATS_READ_REQ, "read_bytes": libvirt.VIR_DOMAIN_BLOCK_STATS_READ_BYTES,
    "write_requests": libvirt.VIR_DOMAIN_BLOCK_STATS_WRITE_REQ,
    "write_bytes": libvirt.VIR_DOMAIN_BLOCK_STATS_WRITE_BYTES,
    "flush_requests": libvirt.VIR_DOMAIN_BLOCK_STATS_FLUSH_REQ, "errors": libvirt.VIR_DOMAIN_BLOCK_STATS_ERRS,
}  # fmt: skip


def _read_statistics(do: Doing, domain: Any, _operation: on.ReadStatistics) -> Outs:
    try:
        told = do(domain.blockStatsFlags, do.key[-1], 0)
    except NotSupported:
        counted = do(domain.blockStats, do.key[-1])  # -1 is what nobody counts
        order = ("read_requests", "read_bytes", "write_requests", "write_bytes", "errors")
        return {name: count for name, count in zip(order, counted, strict=True) if count >= 0}
    return {name: told[field] for name, field in _COUNTERS.items() if field in told}


def _read_sizes(do: Doing, domain: Any, _operation: on.ReadSizes) -> Outs:
    capacity, allocation, physical = do(domain.blockInfo, do.key[-1], 0)
    return {"capacity": capacity, "allocation": allocation, "physical": physical}


def _read_error(do: Doing, domain: Any, _operation: on.ReadError) -> Outs:
    return {"error": member(DiskError, do(domain.diskErrors, 0).get(do.key[-1], libvirt.VIR_DOMAIN_DISK_ERROR_NONE))}


def _read_job(do: Doing, domain: Any, _operation: on.ReadBlockJob) -> Outs:
    now = do(domain.blockJobInfo, do.key[-1], _INFO_BYTES)
    if not now:
        return {}
    return {"type": _type(now), "bandwidth": now["bandwidth"], "position": now["cur"], "end": now["end"]}


def _type(now: Mapping[str, int]) -> BlockJobType:
    """One that a newer libvirt invented is unknown."""
    return member(BlockJobType, now["type"]) or BlockJobType.UNKNOWN


ACTIONS: Actions = {
    on.BlockPull: _pull,
    on.BlockCommit: _commit,
    on.BlockCopy: _copy,
    on.AbortBlockJob: _abort,
    on.ResizeDisk: _resize,
    on.SetThreshold: _threshold,
    on.ReadStatistics: _read_statistics,
    on.ReadSizes: _read_sizes,
    on.ReadError: _read_error,
    on.ReadBlockJob: _read_job,
    on.SetJobBandwidth: _bandwidth,
}


def details(asked: Asked) -> Iterable[Row]:
    """The block jobs: of each disk that has an image, while the domain runs. That there is none, libvirt tells without QEMU."""
    if not asked.active:
        return ()
    jobs: list[Row] = []
    for element in asked.root.findall("devices/disk"):
        target = element.find("target")
        if target is None or element.find("source") is None:
            continue
        now = asked.soft(asked.domain.blockJobInfo, target.get("dev"), _INFO_BYTES)
        if now is None:
            continue
        asked.columns.setdefault("block_jobs", 0)
        if now:
            asked.columns["block_jobs"] += 1
            jobs.append(_row(asked.uuid, target.get("dev"), now, element.find("mirror")))
    if jobs:
        asked.within(FOLLOWED)
    return jobs


def _row(uuid: str, disk: str, now: Mapping[str, int], mirror: Any) -> BlockJob:
    source = None if mirror is None else mirror.find("source")
    destination = None if source is None else next(iter(source.attrib.values()), None)
    return BlockJob(
        domain=uuid, disk=disk, type=_type(now), bandwidth=now["bandwidth"], position=now["cur"], end=now["end"],
        percent=_percent(now), ready=None if mirror is None else mirror.get("ready") == "yes",
        destination=clipped(destination),
    )  # fmt: skip
