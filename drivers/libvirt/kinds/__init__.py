"""The kinds of libvirt objects beside hosts and domains, one file each."""

from drivers.libvirt.doing import Actions
from drivers.libvirt.kinds import (
    interface,
    log,
    network,
    node_device,
    nwfilter,
    nwfilter_binding,
    pool,
    secret,
    volume,
    volume_transfer,
)
from drivers.libvirt.kinds.kind import Kind

_MODULES = (network, pool, volume, volume_transfer, interface, node_device, secret, nwfilter, nwfilter_binding, log)

KINDS: tuple[Kind, ...] = tuple(m.KIND for m in _MODULES if m.KIND is not None)
ACTIONS: Actions = {operation: action for m in _MODULES for operation, action in m.ACTIONS.items()}
