"""Moving a domain to another host, and the jobs of a domain.

Who connects to the destination opens whatever its URI says. Some URIs name a program that the connecting process runs, or a
file that it reads and tells of in its errors; since whoever may move a domain need not have a shell there, those are refused.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import libvirt

from agent.errors import Denied, Invalid, NotSupported, VirtmapError
from agent.model import migration as on
from agent.model.migration import DomainJobOperation, DomainJobType, MigrationFlags
from agent.schema.declare import Row
from drivers.libvirt.connection import Connection, Live, Patience
from drivers.libvirt.doing import Actions, Asked, Doing, Outs
from drivers.libvirt.domains.snapshots import clipped
from drivers.libvirt.domains.underway import abort, watched
from drivers.libvirt.mute import loud
from drivers.libvirt.symbols import flags, member

DESTINATION = Patience(keepalive=5, missing=5)
"""A destination that is silent for half a minute is given up, and so the migration: on its connection only one thread calls."""

_PARAMETERS = {
    "uri": "URI",
    "new_name": "DEST_NAME",
    "xml": "DEST_XML",
    "persistent_xml": "PERSIST_XML",
    "bandwidth": "BANDWIDTH",
    "bandwidth_post_copy": "BANDWIDTH_POSTCOPY",
    "graphics_uri": "GRAPHICS_URI",
    "listen_address": "LISTEN_ADDRESS",
    "disks": "MIGRATE_DISKS",
    "disks_detecting_zeroes": "MIGRATE_DISKS_DETECT_ZEROES",
    "disks_port": "DISKS_PORT",
    "disks_uri": "DISKS_URI",
    "compression": "COMPRESSION",
    "mt_level": "COMPRESSION_MT_LEVEL",
    "mt_threads": "COMPRESSION_MT_THREADS",
    "mt_decompress_threads": "COMPRESSION_MT_DTHREADS",
    "xbzrle_cache": "COMPRESSION_XBZRLE_CACHE",
    "zlib_level": "COMPRESSION_ZLIB_LEVEL",
    "zstd_level": "COMPRESSION_ZSTD_LEVEL",
    "auto_converge_initial": "AUTO_CONVERGE_INITIAL",
    "auto_converge_increment": "AUTO_CONVERGE_INCREMENT",
    "parallel_connections": "PARALLEL_CONNECTIONS",
    "tls_destination": "TLS_DESTINATION",
}
_LISTS = ("disks", "disks_detecting_zeroes", "compression")
_SINCE = {"disks_detecting_zeroes": "10.9", "zlib_level": "9.4", "zstd_level": "9.4"}


def _parameters(do: Doing, operation: on.Migrate) -> dict[str, Any]:
    """What libvirt calls the arguments that were given."""
    given: dict[str, Any] = {}
    for argument, symbol in _PARAMETERS.items():
        value = getattr(operation, argument)
        if value is None:
            continue
        name = getattr(libvirt, f"VIR_MIGRATE_PARAM_{symbol}", None)
        if name is None:
            raise NotSupported(do.wrong(f"{argument} needs libvirt {_SINCE[argument]}"))
        given[name] = _lines(do, argument, value) if argument in _LISTS else value
    return given


def _lines(do: Doing, argument: str, text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise Invalid(do.wrong(f"{argument} names nothing"))
    return lines


_RUNS = ("command", "netcat")
_READS = ("authfile",)


def _harmless(do: Doing, destination: str) -> str:
    """The URI of a destination, if opening it runs no program of its choice and reads no file of it."""
    try:
        uri = urlsplit(destination)
    except ValueError as error:
        raise Invalid(do.wrong(f"the destination is no URI: {error}")) from error
    driver, _, transport = uri.scheme.partition("+")
    if not driver:
        raise Invalid(do.wrong("the destination is no URI"))
    named = {unquote(each.partition("=")[0]).strip().lower() for each in re.split("[&;]", uri.query)}
    if transport == "ext" or named.intersection(_RUNS):
        raise Denied(do.wrong("the URI of the destination names a program to be run"))
    if named.intersection(_READS) or (driver == "test" and not transport and not uri.netloc):
        raise Denied(do.wrong("the URI of the destination names a file to be read"))
    return destination


@contextmanager
def _connected(do: Doing, destination: str) -> Iterator[Any]:
    """The destination, connected to with no credentials but those that libvirt finds for itself. It is closed at the end, and not
    before, even if it breaks: the migration uses its memory."""
    over = threading.Event()

    def unused(_: Live) -> None:
        over.wait()

    connection = Connection(destination, patience=DESTINATION, retired=unused)
    try:
        try:
            connection.connect()
            virt = connection.current().virt
        except VirtmapError as error:
            raise type(error)(do.wrong(str(error))) from None
        yield virt
    finally:
        over.set()
        connection.close()


def _migrate(do: Doing, domain: Any, operation: on.Migrate) -> None:
    destination, parameters = _harmless(do, operation.destination), _parameters(do, operation)
    if operation.flags & MigrationFlags.PEER_TO_PEER:
        with watched(do, domain):
            do(domain.migrateToURI3, destination, parameters, flags(operation.flags))
        return
    with _connected(do, destination) as there, watched(do, domain):
        do(domain.migrate3, there, parameters, flags(operation.flags))


def _set_speed(do: Doing, domain: Any, operation: on.SetMigrateSpeed) -> None:
    do(domain.migrateSetMaxSpeed, operation.bandwidth, flags(operation.flags))


def _read_speed(do: Doing, domain: Any, operation: on.ReadMigrateSpeed) -> Outs:
    return {"bandwidth": do(domain.migrateGetMaxSpeed, flags(operation.flags))}


def _set_downtime(do: Doing, domain: Any, operation: on.SetMaxDowntime) -> None:
    do(domain.migrateSetMaxDowntime, operation.downtime, 0)


def _read_downtime(do: Doing, domain: Any, _operation: on.ReadMaxDowntime) -> Outs:
    return {"downtime": min(do(loud(domain.migrateGetMaxDowntime), 0), _MOST)}


def _set_cache(do: Doing, domain: Any, operation: on.SetMigrateCache) -> None:
    do(domain.migrateSetCompressionCache, operation.size, 0)


def _read_cache(do: Doing, domain: Any, _operation: on.ReadMigrateCache) -> Outs:
    return {"size": do(loud(domain.migrateGetCompressionCache), 0)}


def _start_post_copy(do: Doing, domain: Any, _operation: on.StartPostCopy) -> None:
    do(domain.migrateStartPostCopy, 0)


_MOST = 2**32 - 1
_TIMES = {
    "elapsed": libvirt.VIR_DOMAIN_JOB_TIME_ELAPSED, "elapsed_net": libvirt.VIR_DOMAIN_JOB_TIME_ELAPSED_NET,
    "remaining": libvirt.VIR_DOMAIN_JOB_TIME_REMAINING, "downtime": libvirt.VIR_DOMAIN_JOB_DOWNTIME,
    "downtime_net": libvirt.VIR_DOMAIN_JOB_DOWNTIME_NET, "setup": libvirt.VIR_DOMAIN_JOB_SETUP_TIME,
}  # fmt: skip
_AMOUNTS = {
    "success": libvirt.VIR_DOMAIN_JOB_SUCCESS,
    "data_total": libvirt.VIR_DOMAIN_JOB_DATA_TOTAL, "data_processed": libvirt.VIR_DOMAIN_JOB_DATA_PROCESSED,
    "data_remaining": libvirt.VIR_DOMAIN_JOB_DATA_REMAINING, "memory_total": libvirt.VIR_DOMAIN_JOB_MEMORY_TOTAL,
    "memory_processed": libvirt.VIR_DOMAIN_JOB_MEMORY_PROCESSED,
    "memory_remaining": libvirt.VIR_DOMAIN_JOB_MEMORY_REMAINING,
    "memory_constant": libvirt.VIR_DOMAIN_JOB_MEMORY_CONSTANT, "memory_normal": libvirt.VIR_DOMAIN_JOB_MEMORY_NORMAL,
    "memory_normal_bytes": libvirt.VIR_DOMAIN_JOB_MEMORY_NORMAL_BYTES, "memory_rate": libvirt.VIR_DOMAIN_JOB_MEMORY_BPS,
    "memory_dirty_rate": libvirt.VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE,
    "memory_page_size": libvirt.VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE,
    "memory_iteration": libvirt.VIR_DOMAIN_JOB_MEMORY_ITERATION,
    "post_copy_requests": libvirt.VIR_DOMAIN_JOB_MEMORY_POSTCOPY_REQS,
    "disk_total": libvirt.VIR_DOMAIN_JOB_DISK_TOTAL, "disk_processed": libvirt.VIR_DOMAIN_JOB_DISK_PROCESSED,
    "disk_remaining": libvirt.VIR_DOMAIN_JOB_DISK_REMAINING, "disk_rate": libvirt.VIR_DOMAIN_JOB_DISK_BPS,
    "scratch_used": libvirt.VIR_DOMAIN_JOB_DISK_TEMP_USED, "scratch_total": libvirt.VIR_DOMAIN_JOB_DISK_TEMP_TOTAL,
    "compression_cache": libvirt.VIR_DOMAIN_JOB_COMPRESSION_CACHE,
    "compression_bytes": libvirt.VIR_DOMAIN_JOB_COMPRESSION_BYTES,
    "compression_pages": libvirt.VIR_DOMAIN_JOB_COMPRESSION_PAGES,
    "compression_misses": libvirt.VIR_DOMAIN_JOB_COMPRESSION_CACHE_MISSES,
    "compression_overflows": libvirt.VIR_DOMAIN_JOB_COMPRESSION_OVERFLOW,
    "throttle": libvirt.VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE,
}  # fmt: skip


def _read_statistics(do: Doing, domain: Any, operation: on.ReadJobStats) -> Outs:
    chosen = flags(operation.flags)
    try:
        told = do(domain.jobStats, chosen)
    except NotSupported:
        if chosen:
            raise
        told = _from_info(do(domain.jobInfo))
    outs: Outs = {ours: told[theirs] for ours, theirs in _AMOUNTS.items() if theirs in told}
    outs |= {ours: min(told[theirs], _MOST) for ours, theirs in _TIMES.items() if theirs in told}
    outs["type"] = member(DomainJobType, told["type"])
    if (operation_ := told.get(libvirt.VIR_DOMAIN_JOB_OPERATION)) is not None:
        outs["operation"] = member(DomainJobOperation, operation_)
    if (error := told.get(libvirt.VIR_DOMAIN_JOB_ERRMSG)) is not None:
        outs["error"] = clipped(error)
    return outs


_INFO = (
    "type", libvirt.VIR_DOMAIN_JOB_TIME_ELAPSED, libvirt.VIR_DOMAIN_JOB_TIME_REMAINING,
    libvirt.VIR_DOMAIN_JOB_DATA_TOTAL, libvirt.VIR_DOMAIN_JOB_DATA_PROCESSED, libvirt.VIR_DOMAIN_JOB_DATA_REMAINING,
    libvirt.VIR_DOMAIN_JOB_MEMORY_TOTAL, libvirt.VIR_DOMAIN_JOB_MEMORY_PROCESSED,
    libvirt.VIR_DOMAIN_JOB_MEMORY_REMAINING, libvirt.VIR_DOMAIN_JOB_DISK_TOTAL, libvirt.VIR_DOMAIN_JOB_DISK_PROCESSED,
    libvirt.VIR_DOMAIN_JOB_DISK_REMAINING,
)  # fmt: skip


def _from_info(told: list[int]) -> dict[str, int]:
    """What the older function tells, a list, by the names of the newer one; it cannot leave out what it does not know."""
    return {name: value for name, value in zip(_INFO, told, strict=True) if name == "type" or value}


def _abort(do: Doing, domain: Any, operation: on.AbortJob) -> None:
    abort(do, domain, flags(operation.flags))


ACTIONS: Actions = {
    on.Migrate: _migrate,
    on.SetMigrateSpeed: _set_speed,
    on.ReadMigrateSpeed: _read_speed,
    on.SetMaxDowntime: _set_downtime,
    on.ReadMaxDowntime: _read_downtime,
    on.SetMigrateCache: _set_cache,
    on.ReadMigrateCache: _read_cache,
    on.StartPostCopy: _start_post_copy,
    on.ReadJobStats: _read_statistics,
    on.AbortJob: _abort,
}


def details(asked: Asked) -> Iterable[Row]:
    """There are none: a job comes and goes without its domain's definition changing."""
    return ()
