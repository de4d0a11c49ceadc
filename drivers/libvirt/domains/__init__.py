"""What domains can do and tell beyond their state and statistics, one file for each part of libvirt's domain API."""

from drivers.libvirt.doing import Actions, Details
from drivers.libvirt.domains import (
    blocks,
    checkpoints,
    control,
    devices,
    guest,
    migration,
    monitor,
    saving,
    snapshots,
    streams,
    tuning,
)

_MODULES = (tuning, control, saving, devices, blocks, snapshots, checkpoints, guest, migration, streams, monitor)

ACTIONS: Actions = {operation: action for m in _MODULES for operation, action in m.ACTIONS.items()}
DETAILS: tuple[Details, ...] = tuple(m.details for m in _MODULES)
