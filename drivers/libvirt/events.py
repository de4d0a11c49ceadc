"""What libvirt tells of a domain of its own accord, as what the contract calls heard.

Each kind of event has one entry in a table: how what libvirt tells becomes an event of the model. What happens to a device is
told by its alias, and the device's key is looked up in the definition that was read last; of a device that was not in it, the
alias stands for the key. Some events say that the definition changed, others that only a value did.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import libvirt

from agent.driver import Changed, Happened, Heard
from agent.errors import VirtmapError
from agent.model import MODEL, Disk, Nic
from agent.model import device_events as on
from agent.model.block_job import BlockJobType
from agent.model.domain import Domain
from agent.model.domain_events import DomainLifecycle
from agent.schema.declare import Event, Row
from drivers.libvirt import symbols
from drivers.libvirt.calls import Calls
from drivers.libvirt.kinds.elements import mac
from drivers.libvirt.symbols import member

log = logging.getLogger("virtmap.libvirt")

LONGEST = 255
"""Octets of a name that an event carries, and of a text sixteen times as many; a guest has a say in some."""

LIFECYCLE: dict[int, type[DomainLifecycle]] = {
    number: event
    for event in MODEL.events
    if issubclass(event, DomainLifecycle) and (number := symbols.number(event.libvirt)) is not None
}
"""virDomainEventType to the event of the model."""


Device = Callable[[str, type[Row], str], str | None]
"""From the UUID of a domain, the kind of a device and its alias to the device's own key."""


class Told(NamedTuple):
    """What an event of libvirt becomes: an event, and the device that it is about, by its own key; None for the domain."""

    event: Event
    device: str | None = None


def _name(text: str | None) -> str | None:
    return _cut(text, LONGEST)


def _text(text: str | None) -> str | None:
    return _cut(text, 16 * LONGEST)


def _cut(text: str | None, most: int) -> str | None:
    """A text that is not too long in UTF-8; None for none, and for one of which libvirt tells nothing."""
    return None if not text else text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def _address(told: Any) -> str | None:
    """One end of a connection to a screen."""
    if not told:
        return None
    node, service = _name(str(told.get("node") or "")), _name(str(told.get("service") or ""))
    return _name(":".join(part for part in (node, service) if part))


def _graphics(phase: int, local: Any, remote: Any, scheme: str, subject: Any) -> Event:
    who = ", ".join(f"{kind}={name}" for kind, name in subject or ())
    return on.GraphicsSession(
        phase=member(on.GraphicsPhase, phase), local=_address(local), remote=_address(remote), scheme=_name(scheme),
        identity=_name(who),
    )  # fmt: skip


def _job(told: Mapping[str, Any]) -> Event:
    work, worked = told.get("operation"), told.get("success")
    moved = [told[name] for name in ("memory_processed", "disk_processed") if isinstance(told.get(name), int)]
    return on.DomainJobEnded(
        work=None if work is None else member(on.JobWork, work), succeeded=None if worked is None else bool(worked),
        elapsed=_bounded(told.get("time_elapsed")), downtime=_bounded(told.get("downtime")),
        transferred=told.get("data_processed", sum(moved) if moved else None), error=_text(told.get("errmsg")),
    )  # fmt: skip


def _bounded(number: Any) -> int | None:
    return min(number, 2**32 - 1) if isinstance(number, int) and number >= 0 else None


def _tunables(told: Mapping[str, Any]) -> Event:
    return on.DomainTuned(tunables=_text("\n".join(f"{name}={value}" for name, value in sorted(told.items()))))


def _memory_failure(recipient: int, action: int, flags: int) -> Event:
    return on.MemoryFailed(
        recipient=member(on.MemoryFailureRecipient, recipient), action=member(on.MemoryFailureAction, action),
        required=bool(flags & libvirt.VIR_DOMAIN_MEMORY_FAILURE_ACTION_REQUIRED),
        recursive=bool(flags & libvirt.VIR_DOMAIN_MEMORY_FAILURE_RECURSIVE),
    )  # fmt: skip


_OF_DOMAIN: Mapping[str, Callable[..., Event]] = {
    "REBOOT": lambda: on.DomainRebooted(),
    "RTC_CHANGE": lambda offset: on.DomainClockChanged(offset=max(-(2**31), min(offset, 2**31 - 1))),
    "WATCHDOG": lambda action: on.WatchdogFired(action=member(on.WatchdogAction, action)),
    "GRAPHICS": _graphics,
    "CONTROL_ERROR": lambda: on.DomainControlLost(),
    "PMWAKEUP": lambda _reason: on.DomainWokenUp(),
    "PMSUSPEND": lambda _reason: on.DomainSlept(),
    "PMSUSPEND_DISK": lambda _reason: on.DomainHibernated(),
    "BALLOON_CHANGE": lambda actual: on.BalloonChanged(memory=actual),
    "DEVICE_ADDED": lambda alias: on.DeviceAdded(device=_name(alias)),
    "DEVICE_REMOVED": lambda alias: on.DeviceRemoved(device=_name(alias)),
    "DEVICE_REMOVAL_FAILED": lambda alias: on.DeviceRemovalFailed(device=_name(alias)),
    "MIGRATION_ITERATION": lambda iteration: on.MigrationPass(iteration=iteration),
    "JOB_COMPLETED": _job,
    "TUNABLE": _tunables,
    "AGENT_LIFECYCLE": lambda state, reason: on.GuestAgentChanged(
        agent=member(on.AgentState, state), reason=member(on.AgentStateReason, reason)
    ),
    "METADATA_CHANGE": lambda kind, uri: on.DomainNoted(what=member(on.DomainMetadata, kind), namespace=_text(uri)),
    "MEMORY_FAILURE": _memory_failure,
    "MEMORY_DEVICE_SIZE_CHANGE": lambda alias, size: on.MemoryDeviceResized(device=_name(alias), size=size),
    "VCPU_REMOVED": lambda number: on.VcpuRemoved(vcpu=number),
    "CHANNEL_LIFECYCLE": lambda channel, state, _reason: on.ChannelChanged(
        channel=_name(channel), connected=state == 1
    ),
}
"""Events of a domain, by what libvirt calls them after VIR_DOMAIN_EVENT_ID_, from what its callback is told."""


def _io_error(image: str, alias: str, action: int, reason: str | None = None) -> Event:
    return on.DiskIoFailed(
        action=member(on.IoErrorAction, action), reason=_name(reason), image=_text(image), device=_name(alias)
    )


def _disk_change(old: str, new: str, alias: str, reason: int) -> Event:
    return on.DiskImageChanged(
        old_image=_text(old), new_image=_text(new), reason=member(on.DiskChangeReason, reason), device=_name(alias)
    )


_OF_DEVICE: Mapping[str, tuple[type[Row], int, Callable[..., Event]]] = {
    "IO_ERROR_REASON": (Disk, 1, _io_error),
    "DISK_CHANGE": (Disk, 2, _disk_change),
    "TRAY_CHANGE": (
        Disk, 0, lambda alias, state: on.DiskTrayChanged(tray=member(on.TrayState, state), device=_name(alias))
    ),
    "BLOCK_JOB_2": (
        Disk, 0,
        lambda _disk, kind, status: on.BlockJobChanged(
            job=member(BlockJobType, kind), outcome=member(on.BlockJobOutcome, status)
        ),
    ),
    "BLOCK_THRESHOLD": (
        Disk, 0,
        lambda disk, path, threshold, excess: on.ThresholdReached(
            threshold=threshold, excess=excess, image=_text(path), device=_name(disk)
        ),
    ),
    "NIC_MAC_CHANGE": (
        Nic, 0, lambda alias, old, new: on.NicMacChanged(old_mac=mac(old), new_mac=mac(new), alias=_name(alias))
    ),
}  # fmt: skip
"""Events of a device: its kind, which argument names it, and how the event is made. A disk is named by its alias, or by its
target, behind which the number of an image in brackets may stand."""

SUPERSEDED: Mapping[str, str] = {
    "IO_ERROR": "IO_ERROR_REASON tells the same, and why.",
    "BLOCK_JOB": "BLOCK_JOB_2 tells the same, by the target of the disk.",
}
"""Events that libvirt raises beside others, and that are not listened to."""

_DEFINITION = frozenset(
    (
        "DEVICE_ADDED", "DEVICE_REMOVED", "DISK_CHANGE", "TRAY_CHANGE", "METADATA_CHANGE", "TUNABLE", "BLOCK_JOB_2",
        "MEMORY_DEVICE_SIZE_CHANGE", "NIC_MAC_CHANGE", "AGENT_LIFECYCLE", "VCPU_REMOVED", "CHANNEL_LIFECYCLE",
    )
)  # fmt: skip
"""Events after which the definition has to be read again."""

_PAUSES = frozenset(
    (getattr(libvirt, f"VIR_DOMAIN_EVENT_{event}", None), getattr(libvirt, f"VIR_DOMAIN_EVENT_{event}_{detail}", None))
    for event, detail in (
        ("SUSPENDED", "PAUSED"), ("SUSPENDED", "IOERROR"), ("SUSPENDED", "WATCHDOG"), ("RESUMED", "UNPAUSED")
    )
)  # fmt: skip
"""Lifecycle events, with their details, that leave the definition as it is; reading it costs more than all else."""


def lifecycle(uuid: str, event: int, detail: int, name: str | None = None) -> Happened | Changed:
    """A lifecycle event; one that a newer libvirt invented is a mere change."""
    made = LIFECYCLE.get(event)
    if made is None:
        return Changed(root=(Domain, (uuid,)))
    return Happened(event=made(detail=symbols.lifecycle_detail(event, detail)), key=(uuid,), name=name)


def made(name: str, uuid: str, told: tuple[Any, ...], device: Device) -> Happened:
    """The event that one of libvirt's is, from what its callback is told."""
    if name in _OF_DOMAIN:
        return Happened(event=_OF_DOMAIN[name](*told), key=(uuid,))
    row, place, make = _OF_DEVICE[name]
    alias = str(told[place] or "").partition("[")[0]
    return Happened(event=make(*told), key=(uuid, device(uuid, row, alias) or _name(alias) or "-"))


def register(calls: Calls, heard: Callable[[Heard], None], redefined: Callable[[str], None], device: Device) -> bool:
    """Listen on this connection; `redefined` gets the UUID of a domain whose definition may have changed, first; `device` finds
    devices by their aliases.

    Gives whether the hypervisor tells lifecycle events at all; each other kind is listened to where it exists.
    """

    def on_lifecycle(_virt: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
        uuid = domain.UUIDString()
        if (event, detail) not in _PAUSES:
            redefined(uuid)
        heard(lifecycle(uuid, event, detail, domain.name()))

    def on_event(_virt: Any, domain: Any, *told: Any) -> None:
        name = told[-1]
        uuid = domain.UUIDString()
        if name in _DEFINITION:
            redefined(uuid)
        try:
            what: Heard = replace(made(name, uuid, told[:-1], device), name=domain.name())
        except (TypeError, ValueError, AttributeError, LookupError):  # a newer libvirt tells it in another way
            log.exception("domain %s: what event %s tells is not understood", uuid, name)
            what = Changed(root=(Domain, (uuid,)))
        heard(what)

    listening = _try(calls, "LIFECYCLE", on_lifecycle)
    for name in (*_OF_DOMAIN, *_OF_DEVICE):
        _try(calls, name, on_event)
    return listening


def _try(calls: Calls, name: str, callback: Callable[..., None]) -> bool:
    """Register for one kind of event; a daemon or library that is older than it refuses, which costs only that kind."""
    number = symbols.number(f"VIR_DOMAIN_EVENT_ID_{name}")
    if number is None:
        return False
    try:
        calls.ask("cannot listen", calls.virt.domainEventRegisterAny, None, number, callback, name)
    except VirtmapError:
        return False
    return True
