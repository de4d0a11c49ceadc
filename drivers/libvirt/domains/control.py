"""What is asked of a domain beside starting and stopping it: keys, names, titles, lifecycle actions, times, state."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import libvirt

from agent.errors import Failed, Invalid
from agent.model import domain_control as on
from agent.schema.declare import Row
from drivers.libvirt import symbols
from drivers.libvirt.doing import Actions, Asked, Doing, Outs
from drivers.libvirt.symbols import flags, number

LOOK = 0.2
"""Seconds between two looks at a measurement that goes on."""

MEASURED = 2
"""VIR_DOMAIN_DIRTYRATE_MEASURED."""


def _keys(do: Doing, domain: Any, operation: on.SendKeys) -> None:
    parts = operation.keys.split()
    if not 1 <= len(parts) <= 16 or not all(part.isdecimal() and len(part) < 7 for part in parts):
        raise Invalid(do.wrong(f"{operation.keys[:40]!r} are no numbers of 1 to 16 keys"))
    codes = [int(part) for part in parts]
    do(domain.sendKey, number(operation.codes.libvirt), operation.hold, codes, len(codes), 0)


def _nmi(do: Doing, domain: Any, _operation: on.InjectNmi) -> None:
    do(domain.injectNMI, 0)


def _signal(do: Doing, domain: Any, operation: on.SendSignal) -> None:
    do(domain.sendProcessSignal, operation.process, number(operation.signal.libvirt), 0)


def _title(do: Doing, domain: Any, operation: on.SetTitle) -> None:
    text = operation.title or None
    do(domain.setMetadata, libvirt.VIR_DOMAIN_METADATA_TITLE, text, None, None, flags(operation.impact))


def _description(do: Doing, domain: Any, operation: on.SetDescription) -> None:
    text = operation.description or None
    do(domain.setMetadata, libvirt.VIR_DOMAIN_METADATA_DESCRIPTION, text, None, None, flags(operation.impact))


def _metadata(do: Doing, domain: Any, operation: on.SetMetadata) -> None:
    kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
    do(domain.setMetadata, kind, operation.xml, operation.prefix, operation.uri, flags(operation.impact))


def _read_metadata(do: Doing, domain: Any, operation: on.ReadMetadata) -> Outs:
    return {"xml": do(domain.metadata, libvirt.VIR_DOMAIN_METADATA_ELEMENT, operation.uri, flags(operation.impact))}


def _rename(do: Doing, domain: Any, operation: on.Rename) -> None:
    do(domain.rename, operation.new_name, 0)


def _lifecycle(do: Doing, domain: Any, operation: on.SetLifecycleAction) -> None:
    moment, action = number(operation.moment.libvirt), number(operation.action.libvirt)
    do(domain.setLifecycleAction, moment, action, flags(operation.impact))


def _time(do: Doing, domain: Any, _operation: on.ReadTime) -> Outs:
    told = do(domain.getTime, 0)
    return {"time": datetime.fromtimestamp(told["seconds"], UTC).replace(microsecond=told["nseconds"] // 1000)}


def _set_time(do: Doing, domain: Any, operation: on.SetTime) -> None:
    if operation.time is None:
        do(domain.setTime, None, libvirt.VIR_DOMAIN_TIME_SYNC)
        return
    wanted = operation.time.astimezone(UTC)
    parts = {"seconds": int(wanted.timestamp()), "nseconds": wanted.microsecond * 1000}
    do(domain.setTime, parts, 0)


def _hostname(do: Doing, domain: Any, operation: on.ReadHostname) -> Outs:
    return {"hostname": do(domain.hostname, flags(operation.flags))}


def _max_memory(do: Doing, domain: Any, operation: on.SetMaxMemory) -> None:
    chosen = flags(operation.impact) | libvirt.VIR_DOMAIN_MEM_MAXIMUM
    do(domain.setMemoryFlags, operation.max_memory, chosen)


def _max_vcpus(do: Doing, domain: Any, operation: on.SetMaxVcpus) -> None:
    chosen = libvirt.VIR_DOMAIN_AFFECT_CONFIG | libvirt.VIR_DOMAIN_VCPU_MAXIMUM
    do(domain.setVcpusFlags, operation.config_max_vcpus, chosen)


def _period(do: Doing, domain: Any, operation: on.SetBalloonPeriod) -> None:
    do(domain.setMemoryStatsPeriod, operation.period, flags(operation.impact))


def _sleep(do: Doing, domain: Any, operation: on.Sleep) -> None:
    do(domain.pMSuspendForDuration, number(operation.target.libvirt), 0, 0)


def _wake(do: Doing, domain: Any, _operation: on.WakeUp) -> None:
    do(domain.pMWakeup, 0)


def _dirty_rate(do: Doing, domain: Any, operation: on.MeasureDirtyRate) -> Outs:
    do(domain.startDirtyRateCalc, operation.seconds, flags(operation.flags))
    until, pause = time.monotonic() + operation.seconds + 10, threading.Event()
    while time.monotonic() < until:
        pause.wait(LOOK)
        ((_, told),) = do(do.virt.domainListGetStats, [domain], libvirt.VIR_DOMAIN_STATS_DIRTYRATE, 0)
        if told.get("dirtyrate.calc_status") == MEASURED:
            return {"rate": max(0, told.get("dirtyrate.megabytes_per_second", 0))}
    raise Failed(do.wrong("the hypervisor did not end the measurement"))


def _autostart_once(do: Doing, domain: Any, operation: on.SetAutostartOnce) -> Outs:
    change = do.newer(domain, "setAutostartOnce", "11.2")
    before = bool(do(do.newer(domain, "autostartOnce", "11.2")))
    do(change, int(operation.once))
    return {"before": before}


def _reload_graphics(do: Doing, domain: Any, _operation: on.ReloadGraphics) -> None:
    do(do.newer(domain, "graphicsReload", "10.2"), 0, 0)


def _state(do: Doing, domain: Any, _operation: on.ReadState) -> Outs:
    state, reason = do(domain.state, 0)
    _, most, memory, vcpus, cpu_time = do(domain.info)
    active = bool(do(domain.isActive))

    def soft(function: Any, *arguments: Any) -> Any:
        return do.calls.try_(function, *arguments)

    def flag(told: Any) -> bool | None:
        return None if told is None else bool(told)

    max_vcpus = soft(domain.maxVcpus) if active else soft(domain.vcpusFlags, libvirt.VIR_DOMAIN_VCPU_MAXIMUM)
    return {
        "state": symbols.domain_state(state), "reason": symbols.state_reason(state, reason), "active": active,
        "persistent": flag(soft(domain.isPersistent)), "updated": flag(soft(domain.isUpdated)),
        "autostart": flag(soft(domain.autostart)), "managed_save": flag(soft(domain.hasManagedSaveImage, 0)),
        "memory": memory, "max_memory": soft(domain.maxMemory) or most, "vcpus": soft(domain.vcpusFlags, 0) or vcpus,
        "max_vcpus": max_vcpus, "cpu_time": cpu_time,
    }  # fmt: skip


def _cpu_times(do: Doing, domain: Any, _operation: on.ReadCpuTimes) -> Outs:
    whole = (do(domain.getCPUStats, True) or [{}])[0]
    each = do.calls.try_(domain.getCPUStats, False) or ()
    return {
        "total": whole.get("cpu_time"), "user": whole.get("user_time"), "system": whole.get("system_time"),
        "each": "\n".join(str(one.get("cpu_time", 0)) for one in each),
        "each_vcpus": "\n".join(str(one["vcpu_time"]) for one in each if "vcpu_time" in one) or None,
    }  # fmt: skip


def _memory_statistics(do: Doing, domain: Any, _operation: on.ReadMemoryStatistics) -> Outs:
    told = do(domain.memoryStats)
    names = {
        "major_faults": "major_fault", "minor_faults": "minor_fault", "huge_allocated": "hugetlb_pgalloc",
        "huge_failed": "hugetlb_pgfail",
    }  # fmt: skip
    found: Outs = {f.name: told.get(names.get(f.name, f.name)) for f in on.ReadMemoryStatistics.outs()}
    updated = told.get("last_update")
    return found | {"updated": datetime.fromtimestamp(updated, UTC) if updated else None}


def _nic_statistics(do: Doing, domain: Any, _operation: on.ReadNicStatistics) -> Outs:
    told = do(domain.interfaceStats, do.key[-1])
    return {f.name: value if value >= 0 else None for f, value in zip(on.ReadNicStatistics.outs(), told, strict=True)}


ACTIONS: Actions = {
    on.SendKeys: _keys,
    on.InjectNmi: _nmi,
    on.SendSignal: _signal,
    on.SetTitle: _title,
    on.SetDescription: _description,
    on.SetMetadata: _metadata,
    on.ReadMetadata: _read_metadata,
    on.Rename: _rename,
    on.SetLifecycleAction: _lifecycle,
    on.ReadTime: _time,
    on.SetTime: _set_time,
    on.ReadHostname: _hostname,
    on.SetMaxMemory: _max_memory,
    on.SetMaxVcpus: _max_vcpus,
    on.SetBalloonPeriod: _period,
    on.Sleep: _sleep,
    on.WakeUp: _wake,
    on.MeasureDirtyRate: _dirty_rate,
    on.SetAutostartOnce: _autostart_once,
    on.ReloadGraphics: _reload_graphics,
    on.ReadState: _state,
    on.ReadCpuTimes: _cpu_times,
    on.ReadMemoryStatistics: _memory_statistics,
    on.ReadNicStatistics: _nic_statistics,
}


def details(asked: Asked) -> Iterable[Row]:
    """There are none."""
    return ()
