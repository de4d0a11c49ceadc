"""Operations to libvirt calls: one table, an entry for each operation of the model."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from agent.driver import NOBODY, Task
from agent.errors import NotFound, NotSupported, VirtmapError
from agent.model import domain as on_domain
from agent.model import host as on_host
from agent.model.domain import Domain
from agent.model.host import Host
from agent.schema.declare import Key, Operation, Row
from agent.schema.types import Secret
from drivers.libvirt import domains, host, kinds
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Doing, Outs
from drivers.libvirt.domains.underway import watched
from drivers.libvirt.errors import without
from drivers.libvirt.kinds import log
from drivers.libvirt.symbols import flags


def _start(do: Doing, domain: Any, operation: on_domain.Start) -> None:
    do(domain.createWithFlags, flags(operation.flags))


def _shutdown(do: Doing, domain: Any, operation: on_domain.Shutdown) -> None:
    do(domain.shutdownFlags, flags(operation.flags))


def _reboot(do: Doing, domain: Any, operation: on_domain.Reboot) -> None:
    do(domain.reboot, flags(operation.flags))


def _reset(do: Doing, domain: Any, _operation: on_domain.Reset) -> None:
    do(domain.reset, 0)


def _destroy(do: Doing, domain: Any, operation: on_domain.Destroy) -> None:
    if operation.remove_logs:
        log.destroy_with_logs(do, domain, flags(operation.flags))
    else:
        do(domain.destroyFlags, flags(operation.flags))


def _suspend(do: Doing, domain: Any, _operation: on_domain.Suspend) -> None:
    do(domain.suspend)


def _resume(do: Doing, domain: Any, _operation: on_domain.Resume) -> None:
    do(domain.resume)


def _managed_save(do: Doing, domain: Any, operation: on_domain.ManagedSave) -> None:
    with watched(do, domain):
        do(domain.managedSave, flags(operation.flags))


def _set_memory(do: Doing, domain: Any, operation: on_domain.SetMemory) -> None:
    do(domain.setMemoryFlags, operation.memory, flags(operation.impact))


def _set_vcpus(do: Doing, domain: Any, operation: on_domain.SetVcpus) -> None:
    do(domain.setVcpusFlags, operation.vcpus, flags(operation.impact) | flags(operation.flags))


def _set_autostart(do: Doing, domain: Any, operation: on_domain.SetAutostart) -> None:
    do(domain.setAutostart, int(operation.autostart))


def _read_xml(do: Doing, domain: Any, operation: on_domain.ReadXml) -> Outs:
    return {"xml": do(domain.XMLDesc, flags(operation.flags))}


def _set_user_password(do: Doing, domain: Any, operation: on_domain.SetUserPassword) -> None:
    do(domain.setUserPassword, operation.user, operation.password.reveal(), flags(operation.flags))


def _undefine(do: Doing, domain: Any, operation: on_domain.Undefine) -> None:
    if operation.remove_logs:
        log.undefine_with_logs(do, domain, flags(operation.flags))
    else:
        do(domain.undefineFlags, flags(operation.flags))


def _define_domain(do: Doing, virt: Any, operation: on_host.DefineDomain) -> Outs:
    return {"uuid": do(virt.defineXMLFlags, operation.xml, flags(operation.flags)).UUIDString()}


def _read_capabilities(do: Doing, virt: Any, _operation: on_host.ReadCapabilities) -> Outs:
    return {"xml": do(virt.getCapabilities)}


ACTIONS: Actions = {
    **kinds.ACTIONS,
    **domains.ACTIONS,
    **host.ACTIONS,
    on_domain.Start: _start,
    on_domain.Shutdown: _shutdown,
    on_domain.Reboot: _reboot,
    on_domain.Reset: _reset,
    on_domain.Destroy: _destroy,
    on_domain.Suspend: _suspend,
    on_domain.Resume: _resume,
    on_domain.ManagedSave: _managed_save,
    on_domain.SetMemory: _set_memory,
    on_domain.SetVcpus: _set_vcpus,
    on_domain.SetAutostart: _set_autostart,
    on_domain.ReadXml: _read_xml,
    on_domain.SetUserPassword: _set_user_password,
    on_domain.Undefine: _undefine,
    on_host.DefineDomain: _define_domain,
    on_host.ReadCapabilities: _read_capabilities,
}


def perform(
    calls: Calls, name: str, operation: Operation, key: Key, task: Task = NOBODY,
    changed: Callable[[], None] = lambda: None,
) -> Outs:  # fmt: skip
    """Do it on the object with this key; `name` is that of the connection. Gives the out-values. `changed` is told when a
    reading would show something before it is done.
    """
    doing = f"cannot {operation.verb()}"
    target, called = _target(calls, name, operation.on, key, doing)
    action = ACTIONS.get(type(operation))
    if action is None:
        raise NotSupported(f"{called}: {doing}: libvirt cannot")
    with calls.held(f"{called}: {doing}") as held:
        do = Doing(calls=held, name=name, key=key, called=called, doing=doing, task=task, changed=changed)
        try:
            return action(do, target, operation) or {}
        except VirtmapError as error:
            secrets = [value for value in operation.values if isinstance(value, Secret)]
            raise type(error)(without(secrets, str(error))) from None


def _target(calls: Calls, name: str, on: type[Row], key: Key, doing: str) -> tuple[Any, str]:
    """The libvirt object of the row's root, and what to call the row's own object in a message."""
    top = on.root()
    width = len(top.key_fields())
    found, called = _root(calls, name, top, key[:width], doing)
    if on is top:
        return found, called
    below = "/".join(map(str, key[width:]))
    return found, f"{_words(on)} {below} of {called}" if below else called


def _words(row: type[Row]) -> str:
    """What an object is, in a message: NodeDevice is "node device"."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", row.__name__).lower()


def _root(calls: Calls, name: str, top: type[Row], key: Key, doing: str) -> tuple[Any, str]:
    if top is Host:
        if key != (name,):
            raise NotFound(f"host {key[0]}: {doing}: the connection is called {name}")
        return calls.virt, f"host {name}"
    if top is Domain:
        found = calls.ask(f"domain {key[0]}: {doing}", calls.virt.lookupByUUIDString, key[0])
        return found, f"domain {found.name()}"
    kind = next(each for each in kinds.KINDS if each.row is top)
    try:
        found = kind.find(calls, key)
    except VirtmapError as error:
        raise type(error)(f"{_words(top)} {'/'.join(map(str, key))}: {doing}: {error}".removesuffix(": ")) from None
    return found, kind.called(found)
