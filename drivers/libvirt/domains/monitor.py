"""QEMU's own monitor and agent commands, and what its monitor tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import libvirt_qemu

from agent.driver import Happened, Heard
from agent.errors import NotSupported, VirtmapError
from agent.model import monitor as on
from agent.schema.declare import Row
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Asked, Doing, Outs

_PATIENCE = {
    on.AgentPatience.DEFAULT: libvirt_qemu.VIR_DOMAIN_QEMU_AGENT_COMMAND_DEFAULT,
    on.AgentPatience.BLOCK: libvirt_qemu.VIR_DOMAIN_QEMU_AGENT_COMMAND_BLOCK,
    on.AgentPatience.NO_WAIT: libvirt_qemu.VIR_DOMAIN_QEMU_AGENT_COMMAND_NOWAIT,
}


def _monitor(do: Doing, domain: Any, operation: on.MonitorCommand) -> Outs:
    if operation.flags & on.MonitorFlags.HUMAN:
        human = libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP
        return {"answer": do(libvirt_qemu.qemuMonitorCommand, domain, operation.command, human)}
    try:
        answer, files = do(libvirt_qemu.qemuMonitorCommandWithFiles, domain, operation.command, [], 0)
    except NotSupported:  # a daemon before 8.2, or a connection that carries no files
        return {"answer": do(libvirt_qemu.qemuMonitorCommand, domain, operation.command, 0)}
    for file in files:  # what QEMU hands over with its answer has no place to go
        file.close()
    return {"answer": answer}


def _agent(do: Doing, domain: Any, operation: on.AgentCommand) -> Outs:
    patience = _PATIENCE[operation.patience] if operation.seconds is None else operation.seconds
    return {"answer": do(libvirt_qemu.qemuAgentCommand, domain, operation.command, patience, 0)}


def _adopt(do: Doing, virt: Any, operation: on.AdoptProcess) -> Outs:
    return {"uuid": do(libvirt_qemu.qemuAttach, virt, operation.process, 0).UUIDString()}


ACTIONS: Actions = {on.MonitorCommand: _monitor, on.AgentCommand: _agent, on.AdoptProcess: _adopt}


def details(asked: Asked) -> Iterable[Row]:
    """There are none."""
    return ()


def listen(calls: Calls, heard: Callable[[Heard], None]) -> None:
    """Hear what monitors tell, where there are any."""

    def told(
        _virt: Any, domain: Any, event: str, seconds: int, micros: int, details: str | None, _opaque: object
    ) -> None:
        when = datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros) if seconds else None
        happened = on.MonitorEvent(event=event, happened=when, details=(details or "")[:4000])
        heard(Happened(event=happened, key=(domain.UUIDString(),)))

    try:
        if calls.ask("cannot ask its kind", calls.virt.getType) == "QEMU":
            calls.ask("cannot listen", libvirt_qemu.qemuMonitorEventRegister, calls.virt, None, None, told, None)
    except VirtmapError:
        return  # a daemon that refuses costs only these events
