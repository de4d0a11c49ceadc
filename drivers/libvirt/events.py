"""What libvirt tells of its own accord, as what the contract calls heard.

Lifecycle events are events of the model. The others say that a reading would now give something else: some because the
definition changed, some because only a value did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import libvirt

from agent.driver import Changed, Happened, Heard
from agent.errors import VirtmapError
from agent.model import MODEL
from agent.model.domain import Domain
from agent.model.domain_events import DomainLifecycle
from drivers.libvirt import symbols
from drivers.libvirt.calls import Calls

LIFECYCLE: dict[int, type[DomainLifecycle]] = {
    number: event
    for event in MODEL.events
    if issubclass(event, DomainLifecycle) and (number := symbols.number(event.libvirt)) is not None
}
"""virDomainEventType to the event of the model."""

_DEFINITION = (
    "VIR_DOMAIN_EVENT_ID_DEVICE_ADDED", "VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED", "VIR_DOMAIN_EVENT_ID_DISK_CHANGE",
    "VIR_DOMAIN_EVENT_ID_TRAY_CHANGE", "VIR_DOMAIN_EVENT_ID_METADATA_CHANGE", "VIR_DOMAIN_EVENT_ID_TUNABLE",
    "VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2", "VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE",
    "VIR_DOMAIN_EVENT_ID_NIC_MAC_CHANGE", "VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE",
)  # fmt: skip
_VALUES = (
    "VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE", "VIR_DOMAIN_EVENT_ID_REBOOT", "VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON",
    "VIR_DOMAIN_EVENT_ID_PMWAKEUP", "VIR_DOMAIN_EVENT_ID_PMSUSPEND", "VIR_DOMAIN_EVENT_ID_PMSUSPEND_DISK",
    "VIR_DOMAIN_EVENT_ID_JOB_COMPLETED", "VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD",
)  # fmt: skip

_PAUSES = frozenset(
    (getattr(libvirt, f"VIR_DOMAIN_EVENT_{event}", None), getattr(libvirt, f"VIR_DOMAIN_EVENT_{event}_{detail}", None))
    for event, detail in (
        ("SUSPENDED", "PAUSED"), ("SUSPENDED", "IOERROR"), ("SUSPENDED", "WATCHDOG"), ("RESUMED", "UNPAUSED")
    )
)  # fmt: skip
"""Lifecycle events, with their details, that leave the definition as it is; reading it costs more than all else."""


def lifecycle(uuid: str, event: int, detail: int) -> Happened | Changed:
    """A lifecycle event; one that a newer libvirt invented is a mere change."""
    made = LIFECYCLE.get(event)
    if made is None:
        return Changed(root=(Domain, (uuid,)))
    return Happened(event=made(detail=symbols.lifecycle_detail(event, detail)), key=(uuid,))


def register(calls: Calls, heard: Callable[[Heard], None], redefined: Callable[[str], None]) -> bool:
    """Listen on this connection; `redefined` gets the UUID of a domain whose definition may have changed, first.

    Gives whether the hypervisor tells lifecycle events at all; each other kind is listened to where it exists.
    """

    def on_lifecycle(_virt: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
        uuid = domain.UUIDString()
        if (event, detail) not in _PAUSES:
            redefined(uuid)
        heard(lifecycle(uuid, event, detail))

    def on_definition(_virt: Any, domain: Any, *_told: object) -> None:
        uuid = domain.UUIDString()
        redefined(uuid)
        heard(Changed(root=(Domain, (uuid,))))

    def on_values(_virt: Any, domain: Any, *_told: object) -> None:
        heard(Changed(root=(Domain, (domain.UUIDString(),))))

    listening = _try(calls, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_lifecycle)
    for names, callback in ((_DEFINITION, on_definition), (_VALUES, on_values)):
        for name in names:
            if (number := symbols.number(name)) is not None:
                _try(calls, number, callback)
    return listening


def _try(calls: Calls, number: int, callback: Callable[..., None]) -> bool:
    """Register for one kind of event; a daemon or library that is older than it refuses, which costs only that kind."""
    try:
        calls.ask("cannot listen", calls.virt.domainEventRegisterAny, None, number, callback, None)
    except VirtmapError:
        return False
    return True
