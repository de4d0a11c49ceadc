"""What hosts tell and do beyond their columns: processors, NUMA cells, pages, parameters, suspending."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lxml import etree

from agent.errors import Invalid, NotSupported, VirtmapError
from agent.model import host_control as on
from agent.model.host_resources import HostCpu, NumaCell, PageSize
from agent.schema.declare import Row
from drivers.libvirt import xml
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Doing, Outs
from drivers.libvirt.processors import numbered
from drivers.libvirt.symbols import flags, member, number

_MERGING = {
    "merge_pages_to_scan": "shm_pages_to_scan", "merge_sleep": "shm_sleep_millisecs", "merge_shared": "shm_pages_shared",
    "merge_sharing": "shm_pages_sharing", "merge_unshared": "shm_pages_unshared", "merge_volatile": "shm_pages_volatile",
    "merge_scans": "shm_full_scans",
}  # fmt: skip
"""Columns of the host, and libvirt's names for them."""

MOST_CPUS = 1024
"""Processors whose times are read: each is a call."""


def details(calls: Calls, name: str) -> tuple[dict[str, Any], Iterable[Row]]:
    """Columns of the host `name` and the rows beneath it that change slowly: read when the connection is new, and each minute.

    What cannot be read costs its own columns, or its own rows.
    """
    return _merging(calls), [*_cpus(calls, name), *_cells(calls, name)]


def _merging(calls: Calls) -> dict[str, Any]:
    told = _soft(calls, calls.virt.getMemoryParameters, 0) or {}
    columns: dict[str, Any] = {column: told.get(known) for column, known in _MERGING.items()}
    across = told.get("shm_merge_across_nodes")
    return columns | {"merge_across_nodes": None if across is None else bool(across)}


def _soft(calls: Calls, function: Any, *arguments: Any) -> Any:
    """A call whose failure leaves its columns empty: a host in a container, say, has no files of the kernel to read."""
    try:
        return calls.try_(function, *arguments)
    except VirtmapError:
        return None


def _cpus(calls: Calls, name: str) -> Iterable[Row]:
    there = _soft(calls, calls.virt.getCPUMap, 0)
    if not there:
        return
    for place, online in enumerate(there[1][: there[0]]):
        times = (_soft(calls, calls.virt.getCPUStats, place, 0) if online and place < MOST_CPUS else None) or {}
        yield HostCpu(
            host=name, number=place, online=bool(online), cpu_user=times.get("user"), cpu_kernel=times.get("kernel"),
            cpu_idle=times.get("idle"), cpu_iowait=times.get("iowait"), cpu_interrupt=times.get("intr"),
            utilization=times.get("utilization"),
        )  # fmt: skip


def _cells(calls: Calls, name: str) -> Iterable[Row]:
    text = _soft(calls, calls.virt.getCapabilities)
    cells = [] if text is None else xml.parse(text).findall("host/topology/cells/cell")
    if not cells:
        return
    numbers = [int(cell.get("id")) for cell in cells]
    free = _soft(calls, calls.virt.getCellsFreeMemory, 0, max(numbers) + 1) or []
    for cell, place in zip(cells, numbers, strict=True):
        yield NumaCell(
            host=name, number=place, memory=_kib(cell), cpus=numbered(int(each.get("id")) for each in cell.findall("cpus/cpu")),
            free=free[place] // 1024 if place < len(free) else None,
        )  # fmt: skip
        yield from _pages(calls, name, place, cell)


def _pages(calls: Calls, name: str, place: int, cell: Any) -> Iterable[Row]:
    there = {int(each.get("size")): int(each.text or 0) for each in cell.findall("pages")}
    told: Mapping[int, Mapping[int, int]] = (
        _soft(calls, calls.virt.getFreePages, list(there), place, 1) if there else {}
    )
    free = (told or {}).get(place, {})
    for size, pages in there.items():
        yield PageSize(host=name, cell=place, size=size, pages=pages, free=free.get(size))


def _kib(cell: Any) -> int | None:
    memory = cell.findtext("memory")
    return int(memory) if memory is not None and memory.isdecimal() else None


# --- operations


def _sysinfo(do: Doing, virt: Any, _operation: on.ReadSysinfo) -> Outs:
    return {"xml": do(virt.getSysinfo, 0)}


def _cpu_models(do: Doing, virt: Any, operation: on.ReadCpuModels) -> Outs:
    return {"models": "\n".join(do(virt.getCPUModelNames, operation.architecture, 0) or ())}


def _compare(do: Doing, virt: Any, operation: on.CompareCpu) -> Outs:
    return {"result": member(on.CpuComparison, do(virt.compareCPU, operation.xml, flags(operation.flags)))}


def _kind(operation: Any) -> tuple[str | None, ...]:
    """Emulator, architecture, machine and type of domains, None where the hypervisor chooses."""
    return (
        operation.emulator or None, operation.architecture or None, operation.machine or None,
        operation.virtualization or None,
    )  # fmt: skip


def _compare_hypervisor(do: Doing, virt: Any, operation: on.CompareHypervisorCpu) -> Outs:
    told = do(virt.compareHypervisorCPU, *_kind(operation), operation.xml, flags(operation.flags))
    return {"result": member(on.CpuComparison, told)}


def _processors(do: Doing, text: str) -> list[str]:
    """The cpu elements of a document, each as a document of its own. Those of a NUMA topology, which have a number, are none."""
    try:
        root = xml.parse(text)
    except VirtmapError as error:
        raise Invalid(do.wrong(str(error))) from error
    found = [root] if root.tag == "cpu" else [each for each in root.iter("cpu") if each.get("id") is None]
    if not found:
        raise Invalid(do.wrong("there is no cpu element in it"))
    return [etree.tostring(each, encoding="unicode", with_tail=False) for each in found]


def _baseline(do: Doing, virt: Any, operation: on.BaselineCpu) -> Outs:
    return {"cpu": do(virt.baselineCPU, _processors(do, operation.xml), flags(operation.flags))}


def _baseline_hypervisor(do: Doing, virt: Any, operation: on.BaselineHypervisorCpu) -> Outs:
    given = _processors(do, operation.xml)
    return {"cpu": do(virt.baselineHypervisorCPU, *_kind(operation), given, flags(operation.flags))}


def _domain_capabilities(do: Doing, virt: Any, operation: on.ReadDomainCapabilities) -> Outs:
    return {"xml": do(virt.getDomainCapabilities, *_kind(operation), 0)}


def _from_native(do: Doing, virt: Any, operation: on.ConvertFromNative) -> Outs:
    return {"xml": do(virt.domainXMLFromNative, operation.format, operation.config, 0)}


def _to_native(do: Doing, virt: Any, operation: on.ConvertToNative) -> Outs:
    return {"config": do(virt.domainXMLToNative, operation.format, operation.xml, 0)}


def _suspend(do: Doing, virt: Any, operation: on.SuspendHost) -> None:
    do(virt.suspendForDuration, number(operation.target.libvirt), operation.duration, 0)


def _merge(do: Doing, virt: Any, operation: on.SetMemoryMerging) -> None:
    given = {
        "shm_pages_to_scan": operation.pages_to_scan, "shm_sleep_millisecs": operation.sleep,
        "shm_merge_across_nodes": operation.across_nodes,
    }  # fmt: skip
    chosen = {name: int(value) for name, value in given.items() if value is not None}
    if not chosen:
        raise Invalid(do.wrong("nothing is given that could be changed"))
    do(virt.setMemoryParameters, chosen, 0)


def _allocate(do: Doing, virt: Any, operation: on.AllocatePages) -> Outs:
    wanted = {operation.size: operation.pages}
    return {"allocated": do(virt.allocPages, wanted, operation.first_cell, operation.cells, flags(operation.flags))}


def _sev(do: Doing, virt: Any, _operation: on.ReadSevInfo) -> Outs:
    told = do(virt.getSEVInfo, 0) or {}
    return {
        "pdh": told.get("pdh"), "cert_chain": told.get("cert-chain"), "cbitpos": told.get("cbitpos"),
        "reduced_phys_bits": told.get("reduced-phys-bits"), "max_guests": told.get("max-guests"),
        "max_es_guests": told.get("max-es-guests"), "cpu0_id": told.get("cpu0-id"),
    }  # fmt: skip


def _free_memory(do: Doing, virt: Any, _operation: on.ReadFreeMemory) -> Outs:
    return {"free": do(virt.getFreeMemory) // 1024}


def _max_vcpus(do: Doing, virt: Any, operation: on.ReadMaxVcpus) -> Outs:
    most = do(virt.getMaxVcpus, operation.virtualization or None)
    if most < 0:
        raise NotSupported(do.wrong("the hypervisor does not tell"))
    return {"vcpus": most}


ACTIONS: Actions = {
    on.ReadSysinfo: _sysinfo,
    on.ReadCpuModels: _cpu_models,
    on.CompareCpu: _compare,
    on.CompareHypervisorCpu: _compare_hypervisor,
    on.BaselineCpu: _baseline,
    on.BaselineHypervisorCpu: _baseline_hypervisor,
    on.ReadDomainCapabilities: _domain_capabilities,
    on.ConvertFromNative: _from_native,
    on.ConvertToNative: _to_native,
    on.SuspendHost: _suspend,
    on.SetMemoryMerging: _merge,
    on.AllocatePages: _allocate,
    on.ReadSevInfo: _sev,
    on.ReadFreeMemory: _free_memory,
    on.ReadMaxVcpus: _max_vcpus,
}
