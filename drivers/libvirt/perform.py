"""Operations to libvirt calls: one table, an entry for each operation of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.errors import NotFound, VirtmapError
from agent.model import domain as on_domain
from agent.model import host as on_host
from agent.model.domain import Domain
from agent.model.host import Host
from agent.schema.declare import Key, Operation
from agent.schema.types import Secret
from drivers.libvirt.calls import Calls
from drivers.libvirt.symbols import flags

Outs = dict[str, Any]
Ask = Callable[..., Any]
Action = Callable[[Ask, Any, Any], Outs | None]
"""How one operation is done: with the call, the libvirt object it is on, and the operation."""


def _start(ask: Ask, domain: Any, operation: on_domain.Start) -> None:
    ask(domain.createWithFlags, flags(operation.flags))


def _shutdown(ask: Ask, domain: Any, operation: on_domain.Shutdown) -> None:
    ask(domain.shutdownFlags, flags(operation.flags))


def _reboot(ask: Ask, domain: Any, operation: on_domain.Reboot) -> None:
    ask(domain.reboot, flags(operation.flags))


def _reset(ask: Ask, domain: Any, _operation: on_domain.Reset) -> None:
    ask(domain.reset, 0)


def _destroy(ask: Ask, domain: Any, operation: on_domain.Destroy) -> None:
    ask(domain.destroyFlags, flags(operation.flags))


def _suspend(ask: Ask, domain: Any, _operation: on_domain.Suspend) -> None:
    ask(domain.suspend)


def _resume(ask: Ask, domain: Any, _operation: on_domain.Resume) -> None:
    ask(domain.resume)


def _managed_save(ask: Ask, domain: Any, operation: on_domain.ManagedSave) -> None:
    ask(domain.managedSave, flags(operation.flags))


def _set_memory(ask: Ask, domain: Any, operation: on_domain.SetMemory) -> None:
    ask(domain.setMemoryFlags, operation.memory, flags(operation.impact))


def _set_vcpus(ask: Ask, domain: Any, operation: on_domain.SetVcpus) -> None:
    ask(domain.setVcpusFlags, operation.vcpus, flags(operation.impact))


def _set_autostart(ask: Ask, domain: Any, operation: on_domain.SetAutostart) -> None:
    ask(domain.setAutostart, int(operation.autostart))


def _read_xml(ask: Ask, domain: Any, operation: on_domain.ReadXml) -> Outs:
    return {"xml": ask(domain.XMLDesc, flags(operation.flags))}


def _set_user_password(ask: Ask, domain: Any, operation: on_domain.SetUserPassword) -> None:
    ask(domain.setUserPassword, operation.user, operation.password.reveal(), flags(operation.flags))


def _undefine(ask: Ask, domain: Any, operation: on_domain.Undefine) -> None:
    ask(domain.undefineFlags, flags(operation.flags))


def _define_domain(ask: Ask, virt: Any, operation: on_host.DefineDomain) -> Outs:
    return {"uuid": ask(virt.defineXMLFlags, operation.xml, flags(operation.flags)).UUIDString()}


def _read_capabilities(ask: Ask, virt: Any, _operation: on_host.ReadCapabilities) -> Outs:
    return {"xml": ask(virt.getCapabilities)}


ACTIONS: Mapping[type[Operation], Action] = {
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


def perform(calls: Calls, name: str, operation: Operation, key: Key) -> Outs:
    """Do it on the object with this key; `name` is that of the connection. Gives the out-values."""
    doing = f"cannot {operation.verb()}"
    target, called = _target(calls, name, operation.on, key, doing)

    def ask(function: Callable[..., Any], *arguments: Any) -> Any:
        return calls.ask(f"{called}: {doing}", function, *arguments)

    try:
        return ACTIONS[type(operation)](ask, target, operation) or {}
    except VirtmapError as error:
        raise type(error)(_without_secrets(str(error), operation)) from None


def _target(calls: Calls, name: str, on: type, key: Key, doing: str) -> tuple[Any, str]:
    """The libvirt object, and what to call it in a message."""
    if on is Host:
        if key != (name,):
            raise NotFound(f"host {key[0]}: {doing}: the connection is called {name}")
        return calls.virt, f"host {name}"
    if on is Domain:
        found = calls.ask(f"domain {key[0]}: {doing}", calls.virt.lookupByUUIDString, key[0])
        return found, f"domain {found.name()}"
    raise NotFound(f"{on.__name__} {key}: {doing}: there is no such object here")


def _without_secrets(text: str, operation: Operation) -> str:
    """libvirt repeats arguments in some messages; a secret must not be among them."""
    for value in operation.values:
        if isinstance(value, Secret) and value.reveal():
            text = text.replace(value.reveal(), str(value))
    return text
