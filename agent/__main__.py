"""The composition root: from a configuration to a running agent, and to its end.

    config -> driver -> inventory -> operations -> SNMP and CIM

Nothing here decides anything. An end is always bounded: calls to hypervisors run in daemon threads, which nobody waits
for.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from agent.alarms import Alarms
from agent.cim.classes import build
from agent.cim.service import Service as CimService
from agent.config import Config, Endpoint, Hypervisor, SnmpEndpoint, needs_restart, reloaded
from agent.demo import Addresses
from agent.driver import Driver, LogSettings
from agent.errors import ConfigError, VirtmapError
from agent.events import Events, Limits, Sequence
from agent.hypervisors import fault_of, is_own, user_of
from agent.inventory import Inventory, Pace
from agent.model import MODEL
from agent.operations import PER_PRINCIPAL, Operations
from agent.pauses import Pauses
from agent.snmp.service import Service as SnmpService
from agent.spool import Spool
from agent.state import State
from agent.workers import Workers
from drivers.fake import Fake

log = logging.getLogger("virtmap")

STOP_LIMIT = 5.0
"""Seconds in which everything has to come to its end before it is left as it is."""


def driver(hypervisor: Hypervisor, logs: LogSettings | None = None) -> Driver:
    """The driver for a URI: the fake for fake:, libvirt for everything else, which serves the logs of its domains by `logs`.
    ConfigError if it is no URI of a hypervisor.
    """
    if (fault := fault_of(hypervisor.uri)) is not None:
        raise ConfigError(f"hypervisor {hypervisor.name}: uri: {fault}")
    if is_own(hypervisor.uri):
        return Fake(hypervisor.name, hypervisor.uri)
    try:
        # only needed, and only there, when there is libvirt to talk to
        from drivers.libvirt.driver import LibvirtDriver
        from drivers.libvirt.login import Login
    except ImportError as error:
        raise ConfigError(f"hypervisor {hypervisor.name}: libvirt-python is not usable here: {error}") from error
    login = Login(
        user=hypervisor.user or user_of(hypervisor.uri), password=hypervisor.password, read_only=hypervisor.read_only
    )
    return LibvirtDriver(
        hypervisor.name, hypervisor.uri, login=login, monitor_events=hypervisor.monitor_events, logs=logs
    )


class Agent:
    """Everything that serves a configuration. Made, started and stopped in the running loop."""

    def __init__(self, config: Config) -> None:
        self.config = config
        logs = replace(config.logs, retained=self._retained)
        drivers = [driver(h, logs) for h in config.hypervisors]
        self.pauses = Pauses()
        self.state = State(config.state.directory)
        self.inventories = {d.name: self._inventory(d) for d in drivers}
        each = config.snmp.operations_per_user if config.snmp is not None else PER_PRINCIPAL
        spool = Spool(Path(config.spool.directory) if config.spool.directory else None, config.spool.limit)
        self.operations = Operations(self.inventories, self.state, per_principal=each, spool=spool)
        number = Sequence(self.state)
        self.events = {name: Events(i, number.next, limits=_limits(config)) for name, i in self.inventories.items()}
        self.alarms = {name: Alarms(i, config.alarms, self.events[name].tell) for name, i in self.inventories.items()}
        self._snmp: SnmpService | None = None
        self._cim: CimService | None = None

    def _retained(self, hypervisor: str, path: str, result: str) -> None:
        """The retention of logs removed a file, or could not."""
        try:
            self.state.audit(
                principal="retention", front_end="agent", operation="CleanLogs", hypervisor=hypervisor, target=path,
                result=result,
            )  # fmt: skip
        except VirtmapError as error:
            log.error("%s: not in the audit trail: %s", path, error)

    def _inventory(self, one: Driver) -> Inventory:
        settings = self.config.inventory
        pace = Pace(
            interval=settings.interval, idle_after=settings.idle_after, call_limit=settings.call_limit,
            forget_after=settings.forget_after, readers=max(1, settings.workers // 2),
        )  # fmt: skip
        workers = Workers(settings.workers, f"virtmap-{one.name}")
        return Inventory(one, self.state, pace=pace, workers=workers, undisturbed=self.pauses.undisturbed)

    async def start(self) -> Addresses:
        """Listen and begin to read. ConfigError when an address cannot be listened on; nothing is left open then."""
        try:
            snmp = await self._start_snmp()
            http, https = await self._start_cim()
        except BaseException:
            await self.stop()
            raise
        self.pauses.install()
        for inventory in self.inventories.values():
            inventory.start()
        for alarms in self.alarms.values():
            alarms.start()
        return Addresses(snmp=snmp, http=http, https=https)

    async def _start_snmp(self) -> tuple[SnmpEndpoint, ...]:
        if self.config.snmp is None:
            return ()
        self._snmp = SnmpService(self.config, self.inventories, self.operations, self.state, self.events)
        return await self._snmp.start()

    async def _start_cim(self) -> tuple[tuple[Endpoint, ...], tuple[Endpoint, ...]]:
        if self.config.cim is None:
            return (), ()
        await asyncio.to_thread(build, MODEL)  # which takes half a second, in which SNMP is answered already
        self._cim = CimService(self.config, self.inventories, self.operations, self.state, self.events)
        return await self._cim.start()

    async def read(self, limit: float) -> list[str]:
        """Wait until every hypervisor was read for the first time; gives the names of those that were not in time."""
        waits = [asyncio.ensure_future(i.wait_refreshed()) for i in self.inventories.values()]
        await asyncio.wait(waits, timeout=limit)
        late = [name for name, wait in zip(self.inventories, waits, strict=True) if not wait.done()]
        for wait in waits:
            wait.cancel()
        return late

    def reload(self, config: Config) -> None:
        """Go on with another configuration, as far as that goes without a restart; nothing that is remembered is lost.
        ConfigError, and no change, if what is new does not fit what has to stay."""
        kept = reloaded(self.config, config)
        reload_cim = self._cim.prepared(kept) if self._cim is not None else None
        if self._snmp is not None:
            self._snmp.reload(kept)
        if reload_cim is not None:
            reload_cim()
        if kept.snmp is not None:
            self.operations.per_principal = kept.snmp.operations_per_user
        for alarms in self.alarms.values():
            alarms.reload(kept.alarms)
        later = needs_restart(self.config, config)
        self.config = kept
        log.info("reloaded%s", f"; waits for a restart: {', '.join(later)}" if later else "")

    async def stop(self) -> None:
        """Stop listening, let running operations end for a moment, drop the connections. Bounded, and never raises."""
        for events in self.events.values():
            try:
                events.stop()
            except Exception:
                log.exception("what was to be told is not")
        steps: list[Callable[[], Awaitable[None]]] = [a.stop for a in self.alarms.values()]
        if self._snmp is not None:
            steps.append(self._snmp.stop)
        if self._cim is not None:
            steps.append(self._cim.stop)
        steps += [self.operations.stop, *(i.stop for i in self.inventories.values())]
        for step in steps:
            try:
                async with asyncio.timeout(STOP_LIMIT):
                    await step()
            except TimeoutError:
                log.warning("%s did not end within %g s and is left", step, STOP_LIMIT)
        self.state.close()


def _limits(config: Config) -> Limits:
    return Limits(burst=config.events.burst, rate=config.events.rate)


async def run(
    config: Config, started: Callable[[Agent, Addresses], Awaitable[None]], reread: Callable[[], Config] | None = None
) -> None:
    """Serve a configuration until SIGTERM or SIGINT. `started` is awaited when it listens and begins to read. At SIGHUP it goes
    on with the configuration that `reread` gives, if there is one to be read again.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    agent = Agent(config)
    if reread is not None:
        loop.add_signal_handler(signal.SIGHUP, _reload, agent, reread)
    try:
        addresses = await agent.start()
        starting = asyncio.ensure_future(started(agent, addresses))
        ending = asyncio.ensure_future(ended.wait())
        await asyncio.wait([starting, ending], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
        with suppress(asyncio.CancelledError):
            await starting
        await ending
    finally:
        await agent.stop()


def _reload(agent: Agent, reread: Callable[[], Config]) -> None:
    try:
        agent.reload(reread())
    except ConfigError as error:
        log.error("not reloaded: %s", error)


if __name__ == "__main__":
    from agent.cli import main

    sys.exit(main())
