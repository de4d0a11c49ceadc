"""Devices of a domain: attaching, detaching, changing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import libvirt

from agent.model import domain_devices as on
from agent.schema.declare import Row
from drivers.libvirt.doing import Actions, Asked, Doing
from drivers.libvirt.symbols import flags


def _attach(do: Doing, domain: Any, operation: on.AttachDevice) -> None:
    do(domain.attachDeviceFlags, operation.xml, flags(operation.impact))


def _detach(do: Doing, domain: Any, operation: on.DetachDevice) -> None:
    do(domain.detachDeviceFlags, operation.xml, flags(operation.impact))


def _update(do: Doing, domain: Any, operation: on.UpdateDevice) -> None:
    force = libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE if operation.force else 0
    do(domain.updateDeviceFlags, operation.xml, flags(operation.impact) | force)


def _detach_alias(do: Doing, domain: Any, operation: on.DetachDeviceAlias) -> None:
    do(domain.detachDeviceAlias, operation.alias, flags(operation.impact))


ACTIONS: Actions = {
    on.AttachDevice: _attach,
    on.DetachDevice: _detach,
    on.UpdateDevice: _update,
    on.DetachDeviceAlias: _detach_alias,
}


def details(asked: Asked) -> Iterable[Row]:
    """There are none: disks and NICs are read with the domain."""
    return ()
