"""The tunables of a domain: scheduler, block I/O, memory, NUMA, pinning, IOThreads, perf events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import libvirt

from agent.errors import Invalid, NotSupported
from agent.model import domain_tuning as on
from agent.model import iothread as on_iothread
from agent.model.iothread import IOThread
from agent.schema.declare import Operation, Row
from drivers.libvirt import xml
from drivers.libvirt.doing import Actions, Asked, Doing
from drivers.libvirt.processors import cpu_list
from drivers.libvirt.symbols import flags, member, number

_SCHEDULER = (
    "cpu_shares", "vcpu_period", "vcpu_quota", "emulator_period", "emulator_quota", "global_period", "global_quota",
    "iothread_period", "iothread_quota", "weight", "cap", "reservation", "limit", "shares",
)  # fmt: skip
"""Columns and arguments that libvirt calls the same."""

_BLKIO = {
    "blkio_weight": "weight", "device_weights": "device_weight", "device_read_iops": "device_read_iops_sec",
    "device_write_iops": "device_write_iops_sec", "device_read_bytes": "device_read_bytes_sec",
    "device_write_bytes": "device_write_bytes_sec",
}  # fmt: skip
_MEMORY = {
    "memory_hard_limit": "hard_limit", "memory_soft_limit": "soft_limit", "swap_hard_limit": "swap_hard_limit",
    "min_guarantee": "min_guarantee",
}  # fmt: skip
_IO = {
    f"{what}_{unit}{more}": f"{what}_{unit}_sec{more}"
    for what in ("total", "read", "write")
    for unit in ("bytes", "iops")
    for more in ("", "_max", "_max_length")
} | {"size_iops": "size_iops_sec", "shared_with": "group_name"}
_BANDWIDTH = {
    "in_average": "inbound.average", "in_peak": "inbound.peak", "in_burst": "inbound.burst", "in_floor": "inbound.floor",
    "out_average": "outbound.average", "out_peak": "outbound.peak", "out_burst": "outbound.burst",
}  # fmt: skip
_POLLING = {"poll_max": "poll_max_ns", "poll_grow": "poll_grow", "poll_shrink": "poll_shrink"}
_POOL = ("thread_pool_min", "thread_pool_max")

LARGEST = 2**31 - 1
"""Of a quota: libvirt tells more where there is no limit."""


# --- reading


def details(asked: Asked) -> Iterable[Row]:
    """The tunables, the perf events and the IOThreads of a domain."""
    yield _tuning(asked)
    yield from _events(asked)
    yield from _iothreads(asked)
    yield from _disks(asked)
    yield from _nics(asked)


def _tuning(asked: Asked) -> Row:
    domain, soft = asked.domain, asked.soft
    kind = soft(domain.schedulerType) or (None,)
    told: Mapping[str, Any] = {}
    if not _fragile(asked.root):
        told = soft(domain.schedulerParametersFlags, 0) or soft(domain.schedulerParameters) or {}
    columns: dict[str, Any] = {name: told.get(name) for name in _SCHEDULER}
    for name in ("vcpu_quota", "emulator_quota", "global_quota", "iothread_quota"):
        columns[name] = None if columns[name] is None else min(LARGEST, columns[name])
    columns |= _renamed(soft(domain.blkioParameters, 0), _BLKIO)
    columns |= {name: _lines(columns[name]) for name in columns if name.startswith("device_")}
    columns |= _renamed(soft(domain.memoryParameters, 0), _MEMORY)
    columns |= _numa(soft(domain.numaParameters, 0) or {})
    columns |= {"emulator_affinity": _allowed(soft(domain.emulatorPinInfo, 0))}
    columns |= _confined(asked)
    return on.DomainTuning(domain=asked.uuid, scheduler=kind[0], **columns)


def _fragile(root: Any) -> bool:
    """Whether asking for parameters of the scheduler may end libvirtd itself, as that of 9.0 does for a container."""
    return bool(root.get("type") == "lxc")


def _renamed(told: Mapping[str, Any] | None, names: Mapping[str, str]) -> dict[str, Any]:
    return {ours: (told or {}).get(theirs) for ours, theirs in names.items()}


def _numa(told: Mapping[str, Any]) -> dict[str, Any]:
    mode = told.get("numa_mode")
    return {"numa_mode": None if mode is None else member(on.NumaMode, mode), "numa_nodes": told.get("numa_nodeset")}


def _confined(asked: Asked) -> dict[str, Any]:
    """What keeps the domain in, and what is to be said of it."""
    domain, soft = asked.domain, asked.soft
    columns: dict[str, Any] = {}
    if asked.active:
        labels = asked.quiet(domain.securityLabelList)  # LXC fails, for no reason that it tells
        if labels is None and (one := asked.quiet(domain.securityLabel)):
            labels = [one]
        if labels is not None:
            columns["security_labels"] = "\n".join(label for label, _ in labels if label)
            columns["security_enforcing"] = any(enforced for _, enforced in labels)
        if (control := soft(domain.controlInfo, 0)) is not None:
            columns["control_state"] = member(on.ControlState, control[0])
            columns["control_error"] = member(on.ControlError, control[1])
    if (launched := soft(domain.launchSecurityInfo, 0)) is not None:
        columns["launch_security"] = "\n".join(f"{name}={value}" for name, value in launched.items())
    if (messages := soft(domain.messages, 0)) is not None:
        columns["messages"] = "\n".join(messages)[:4000]
    return columns


def _events(asked: Asked) -> Iterator[Row]:
    told = asked.soft(asked.domain.perfEvents, 0) or {}
    for name, counted in told.items():
        if counted:
            yield on.PerfEvent(domain=asked.uuid, name=name)


def _iothreads(asked: Asked) -> Iterator[Row]:
    told = asked.soft(asked.domain.ioThreadInfo, 0) or ()
    polls: Mapping[str, Any] = {}
    if told and asked.active:
        found = asked.soft(asked.virt.domainListGetStats, [asked.domain], libvirt.VIR_DOMAIN_STATS_IOTHREAD, 0)
        polls = found[0][1] if found else {}
    written = {each.get("id"): each for each in asked.root.findall("iothreadids/iothread")}
    for place, affinity in told:
        workers = {name: _whole(written.get(str(place)), name) for name in _POOL}
        yield IOThread(
            domain=asked.uuid, number=place, affinity=_allowed(affinity), poll_max=polls.get(f"iothread.{place}.poll-max-ns"),
            poll_grow=polls.get(f"iothread.{place}.poll-grow"), poll_shrink=polls.get(f"iothread.{place}.poll-shrink"), **workers,
        )  # fmt: skip


def _whole(element: Any, attribute: str) -> int | None:
    text = None if element is None else element.get(attribute)
    return int(text) if text is not None and text.isdecimal() else None


def _disks(asked: Asked) -> Iterator[Row]:
    for element in asked.root.findall("devices/disk"):
        target = element.find("target")
        name = None if target is None else target.get("dev")
        if name is None:
            continue
        told = asked.soft(asked.domain.blockIoTune, name, 0)
        if told is not None:
            columns = _renamed(told, _IO)
            yield on.DiskTuning(
                domain=asked.uuid, disk=name, **columns | {"shared_with": columns["shared_with"] or None}
            )


def _nics(asked: Asked) -> Iterator[Row]:
    seen: dict[str, int] = {}
    for element in asked.root.findall("devices/interface"):
        mac = element.find("mac")
        address = "none" if mac is None else str(mac.get("address"))
        seen[address] = seen.get(address, 0) + 1
        if mac is None or seen[address] > 1:
            continue  # libvirt cannot tell two interfaces with one address apart either
        told = asked.soft(asked.domain.interfaceParameters, address, 0)
        if told is not None:
            yield on.NicTuning(domain=asked.uuid, nic=address, **_renamed(told, _BANDWIDTH))


def _lines(text: str | None) -> str | None:
    """libvirt's list of devices and values, path,value,path,value, as lines of one device each."""
    if not text:
        return text
    parts = text.split(",")
    return "\n".join(",".join(parts[at : at + 2]) for at in range(0, len(parts), 2))


def _allowed(allowed: Any) -> str | None:
    """The processors allowed, or None where libvirt tells none."""
    return cpu_list(allowed) if isinstance(allowed, list | tuple) else None


# --- changing


def _given(do: Doing, operation: Operation, names: Mapping[str, str]) -> dict[str, Any]:
    """The arguments that were given, by libvirt's names. Invalid if there are none."""
    found = {theirs: value for ours, theirs in names.items() if (value := getattr(operation, ours)) is not None}
    if not found:
        raise Invalid(do.wrong("nothing is given that could be changed"))
    return found


def _impact(do: Doing, domain: Any, operation: Any) -> int:
    """What to change, where libvirt does not choose by itself: what runs, or the definition of what does not."""
    chosen = flags(operation.impact)
    if chosen:
        return chosen
    return int(libvirt.VIR_DOMAIN_AFFECT_LIVE if do(domain.isActive) else libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def _schedule(do: Doing, domain: Any, operation: on.SetScheduler) -> None:
    given = _given(do, operation, {name: name for name in _SCHEDULER})
    if _fragile(xml.parse(do(domain.XMLDesc, 0))):  # libvirt-python asks for the present values first
        raise NotSupported(do.wrong("libvirt cannot be asked for it of a container without harm"))
    try:
        do(domain.setSchedulerParametersFlags, given, flags(operation.impact))
    except Invalid:  # libvirt-python asks for the present values with a flag that the test driver does not take
        if operation.impact:
            raise
        do(domain.setSchedulerParameters, given)


def _block_io(do: Doing, domain: Any, operation: on.SetBlockIo) -> None:
    given = _given(do, operation, _BLKIO)
    joined = {name: value.replace("\n", ",") if isinstance(value, str) else value for name, value in given.items()}
    do(domain.setBlkioParameters, joined, flags(operation.impact))


def _memory(do: Doing, domain: Any, operation: on.SetMemoryLimits) -> None:
    do(domain.setMemoryParameters, _given(do, operation, _MEMORY), flags(operation.impact))


def _set_numa(do: Doing, domain: Any, operation: on.SetNuma) -> None:
    given = _given(do, operation, {"numa_mode": "numa_mode", "numa_nodes": "numa_nodeset"})
    if operation.numa_mode is not None:
        given["numa_mode"] = number(operation.numa_mode.libvirt)
    do(domain.setNumaParameters, given, flags(operation.impact))


def _map(do: Doing, text: str) -> tuple[bool, ...]:
    """A list of processors as libvirt-python wants it: whether each of the host's may be used."""
    cpus = do(do.virt.getCPUMap, 0)[0]
    chosen: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 12:
            raise Invalid(do.wrong(f"{text[:40]!r} is no list of processors"))
        chosen.update(range(int(first), min(int(last or first), cpus) + 1))
    if not chosen or max(chosen) >= cpus:
        raise Invalid(do.wrong(f"{text[:40]!r}: the host has processors 0-{cpus - 1}"))
    return tuple(place in chosen for place in range(cpus))


def _pin_emulator(do: Doing, domain: Any, operation: on.PinEmulator) -> None:
    do(domain.pinEmulator, _map(do, operation.emulator_affinity), flags(operation.impact))


def _pin_vcpu(do: Doing, domain: Any, operation: on.PinVcpu) -> None:
    do(domain.pinVcpuFlags, do.key[-1], _map(do, operation.affinity), flags(operation.impact))


def _switch_vcpu(do: Doing, domain: Any, operation: on.SwitchVcpu) -> None:
    do(domain.setVcpu, str(do.key[-1]), int(operation.online), _impact(do, domain, operation))


def _count_event(do: Doing, domain: Any, operation: on.CountPerfEvent) -> None:
    name = getattr(libvirt, operation.event.libvirt or "")
    do(domain.setPerfEvents, {name: operation.enabled}, flags(operation.impact))


def _launch_secret(do: Doing, domain: Any, operation: on.SetLaunchSecret) -> None:
    given: dict[str, Any] = {
        libvirt.VIR_DOMAIN_LAUNCH_SECURITY_SEV_SECRET_HEADER: operation.header,
        libvirt.VIR_DOMAIN_LAUNCH_SECURITY_SEV_SECRET: operation.secret.reveal(),
    }
    if operation.address is not None:
        given[libvirt.VIR_DOMAIN_LAUNCH_SECURITY_SEV_SECRET_SET_ADDRESS] = operation.address
    do(domain.setLaunchSecurityState, given, 0)


def _disk_limits(do: Doing, domain: Any, operation: on.SetDiskLimits) -> None:
    do(domain.setBlockIoTune, do.key[-1], _given(do, operation, _IO), _impact(do, domain, operation))


_GROUP = {name: theirs for name, theirs in _IO.items() if name != "shared_with"}


def _limit_group(do: Doing, domain: Any, operation: on.SetLimitGroup) -> None:
    function = do.newer(domain, "setThrottleGroup", "11.2")
    do(function, operation.group, _given(do, operation, _GROUP), _impact(do, domain, operation))


def _remove_group(do: Doing, domain: Any, operation: on.RemoveLimitGroup) -> None:
    do(do.newer(domain, "delThrottleGroup", "11.2"), operation.group, _impact(do, domain, operation))


def _bandwidth(do: Doing, domain: Any, operation: on.SetBandwidth) -> None:
    do(domain.setInterfaceParameters, do.key[-1], _given(do, operation, _BANDWIDTH), flags(operation.impact))


def _announce(do: Doing, domain: Any, _operation: on.AnnounceNic) -> None:
    do(do.newer(domain, "announceInterface", "12.4"), do.key[-1], 0)


def _add_iothread(do: Doing, domain: Any, operation: on_iothread.AddIOThread) -> None:
    do(domain.addIOThread, operation.thread, _impact(do, domain, operation))


def _pin_iothread(do: Doing, domain: Any, operation: on_iothread.PinIOThread) -> None:
    do(domain.pinIOThread, do.key[-1], _map(do, operation.affinity), _impact(do, domain, operation))


def _polling(do: Doing, domain: Any, operation: on_iothread.SetPolling) -> None:
    do(
        domain.setIOThreadParams,
        do.key[-1],
        _given(do, operation, {**_POLLING, **{name: name for name in _POOL}}),
        _impact(do, domain, operation),
    )


def _remove_iothread(do: Doing, domain: Any, operation: on_iothread.RemoveIOThread) -> None:
    do(domain.delIOThread, do.key[-1], _impact(do, domain, operation))


ACTIONS: Actions = {
    on.SetScheduler: _schedule,
    on.SetBlockIo: _block_io,
    on.SetMemoryLimits: _memory,
    on.SetNuma: _set_numa,
    on.PinEmulator: _pin_emulator,
    on.PinVcpu: _pin_vcpu,
    on.SwitchVcpu: _switch_vcpu,
    on.CountPerfEvent: _count_event,
    on.SetLaunchSecret: _launch_secret,
    on.SetDiskLimits: _disk_limits,
    on.SetLimitGroup: _limit_group,
    on.RemoveLimitGroup: _remove_group,
    on.SetBandwidth: _bandwidth,
    on.AnnounceNic: _announce,
    on_iothread.AddIOThread: _add_iothread,
    on_iothread.PinIOThread: _pin_iothread,
    on_iothread.SetPolling: _polling,
    on_iothread.RemoveIOThread: _remove_iothread,
}
