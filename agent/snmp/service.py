"""The SNMP side of an agent, put together from its configuration: engine, standards, sockets, notifications, AgentX, and
what of all that is reloaded.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from agent import config as configuration
from agent.config import Config, SnmpEndpoint
from agent.errors import VirtmapError
from agent.events import Events
from agent.inventory import Inventory
from agent.operations import Operations
from agent.snmp import notifications, operation_table, usm
from agent.snmp.engine import Engine
from agent.snmp.herald import Herald
from agent.snmp.message import VERSION_1, VERSION_2C
from agent.snmp.message3 import Level
from agent.snmp.notifications import Notifier
from agent.snmp.outbox import Outbox
from agent.snmp.protection import AuthProtocol, PrivProtocol
from agent.snmp.security import DEFAULT, Account, Certificate, Community, Security
from agent.snmp.server import Server
from agent.snmp.standards import (
    Serve,
    libvirt_mib,
    notification_log_mib,
    snmp_framework_mib,
    snmp_mpd_mib,
    snmp_notification_mib,
    snmp_target_mib,
    snmp_usm_mib,
    snmp_vacm_mib,
    vm_mib,
)
from agent.snmp.standards.snmp_target_mib import Target, Version
from agent.snmp.standards.snmpv2_mib import Configured, Kept, SnmpV2Mib
from agent.snmp.subagent import Subagent
from agent.snmp.tls import TlsFiles
from agent.snmp.vacm import MibView, Subtree
from agent.state import State
from agent.workers import Workers

log = logging.getLogger("virtmap.snmp")

IDENTITY = 12
"""Octets of an engine ID that are drawn at random, once."""

STORE_LIMIT = 5.0
"""Seconds that writing down what a manager has set may take."""

_VERSIONS = {"1": VERSION_1, "2c": VERSION_2C}
_LEVELS = {level.label: level for level in Level}
_TARGET_VERSIONS = {"1": Version.V1, "2c": Version.V2C, "3": Version.V3}


class Service:
    """Everything that speaks SNMP. Made, started, reloaded and stopped in the running loop."""

    def __init__(
        self, config: Config, inventories: Mapping[str, Inventory], operations: Operations, state: State,
        events: Mapping[str, Events],
    ) -> None:  # fmt: skip
        settings = _settings(config)
        self._state = state
        self._clerk = Workers(1, "virtmap-texts")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._targets = targets(config)
        kept = Kept(load=state.text, store=self._store)
        default = config.hypervisors[0].name
        self._log = notification_log_mib.NotificationLogMib(settings.log_limit, default=default, kept=kept)
        self._system = SnmpV2Mib(kept, _said(config), authentication_traps=settings.authentication_traps)
        secured = security(config)
        self.engine = Engine(
            inventories, operations, secured, engine_id=settings.engine_id or state.engine_id(_identity),
            boots=state.engine_boots(), standards=self._standards(settings),
        )  # fmt: skip
        self._server = Server(self.engine, operations)
        self.notifier = Notifier(self.engine, told(config, secured), default=default, outbox=Outbox(state))
        if settings.log_limit:
            self.notifier.record = self._log.record
        self.engine.on_authentication_failure.append(self._authentication_failed)
        for context in self.engine.contexts.values():
            Herald(
                events[context.hypervisor], self.engine.mib, self.notifier.gather, standards=context.standards,
                wanted=lambda: self.notifier.listening, noted=lambda: self.notifier.record is not None,
                after=self.notifier.leave,
            )  # fmt: skip
        self._subagent: Subagent | None = None
        if settings.agentx is not None:
            self._subagent = Subagent(self.engine, operations, str(settings.agentx), settings.agentx_role)
            self.notifier.sinks.append(self._subagent.notify)
        self._listen = settings.listen
        self._files = tls_files(config)

    def _standards(self, settings: configuration.Snmp) -> Sequence[Serve]:
        return (
            self._system,
            snmp_framework_mib.serve,
            snmp_mpd_mib.serve,
            snmp_usm_mib.serve,
            snmp_vacm_mib.SnmpVacmMib(),
            snmp_target_mib.SnmpTargetMib(lambda: self._targets),
            snmp_notification_mib.SnmpNotificationMib(lambda: self._targets, logged=settings.log_limit > 0),
            *([self._log] if settings.log_limit else []),
            operation_table.serve,
            libvirt_mib.serve,
            vm_mib.serve(per_vm=settings.vm_notifications, bulk=settings.vm_bulk_notifications),
        )

    async def start(self) -> tuple[SnmpEndpoint, ...]:
        """Listen. ConfigError when an address cannot be listened on; nothing is left open then."""
        await self.notifier.recover()
        bound = await self._server.start([(e.transport, e.host, e.port) for e in self._listen], self._files)
        if self._subagent is not None:
            self._subagent.start()
        self.notifier.start()
        return tuple(
            SnmpEndpoint(transport=configuration.Transport(transport), host=host, port=port)
            for transport, host, port in bound
        )

    def reload(self, config: Config) -> None:
        """Another configuration of communities, users, views, certificates, targets and texts, without losing state.
        ConfigError if files of TLS are not right; those of before stay in use then."""
        if (files := tls_files(config)) is not None:
            self._server.reload_tls(files)  # first, for it may be refused
        secured = security(config)
        self.engine.configure(secured)
        self._targets = targets(config)
        self.notifier.reconfigure(told(config, secured))
        self._system.configure(_said(config), authentication_traps=_settings(config).authentication_traps)
        for context in self.engine.contexts.values():
            context.renew()

    async def stop(self) -> None:
        """Listen no more; what is to be told or written down is, within a limit."""
        await self._server.stop()
        await self.notifier.stop()
        if self._subagent is not None:
            await self._subagent.stop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STORE_LIMIT)
        self._clerk.close()

    def _authentication_failed(self) -> None:
        self.notifier.authentication_traps = self._system.authentication_traps
        self.notifier.authentication_failure()

    def _store(self, name: str, value: str) -> None:
        """Write down what a manager has set, in the order in which it was, without holding up anybody."""
        task = asyncio.ensure_future(self._stored(name, value))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stored(self, name: str, value: str) -> None:
        try:
            await self._clerk.run(partial(self._state.set_text, name, value), limit=STORE_LIMIT, what=f"keep {name}")
        except VirtmapError as error:  # it holds until the agent ends
            log.error("%s is not kept: %s", name, error)


def _settings(config: Config) -> configuration.Snmp:
    assert config.snmp is not None  # who serves no SNMP makes no Service
    return config.snmp


def _identity() -> bytes:
    return usm.engine_id(secrets.token_bytes(IDENTITY))


def _said(config: Config) -> Configured:
    settings = _settings(config)
    return Configured(contact=settings.contact, name=settings.name, location=settings.location)


def tls_files(config: Config) -> TlsFiles | None:
    """The files of TLS, if there are any."""
    settings = _settings(config)
    if settings.certificate is None or settings.key is None or settings.client_ca is None:
        return None
    return TlsFiles(certificate=settings.certificate, key=settings.key, client_ca=settings.client_ca)


def security(config: Config) -> Security:
    """Who may ask, as the configuration says it."""
    first = config.hypervisors[0].name
    return Security(
        communities=[
            Community(
                name=c.name.reveal().encode(), label=f"snmp.community[{i}]", role=c.role, sources=c.sources,
                hypervisor=c.hypervisor or first, view=c.view, rate=c.rate,
                versions=frozenset(_VERSIONS[v] for v in c.versions),
            )
            for i, c in enumerate(config.communities)
        ],
        accounts=[
            Account(
                user=user(u), role=u.role, least=_LEVELS[u.level], sources=u.sources, hypervisors=u.hypervisors,
                view=u.view, rate=u.rate,
            )
            for u in config.users
        ],
        certificates=[
            Certificate(
                fingerprint=c.fingerprint, name=c.user, role=c.role, hypervisors=c.hypervisors, view=c.view,
                sources=c.sources, rate=c.rate,
            )
            for c in config.certificates
        ],
        views=[
            MibView(
                v.name,
                [*(Subtree(oid=o) for o in v.include), *(Subtree(oid=o, included=False) for o in v.exclude)],
            )
            for v in config.views
        ],
        answer_limit=_settings(config).answer_limit,
    )  # fmt: skip


def user(configured: configuration.SnmpUser) -> usm.User:
    """A user of USM, with the protocols of these names."""
    auth = next((p for p in AuthProtocol if p.label == configured.auth), None)
    priv = next((p for p in PrivProtocol if p.label == configured.priv), None)
    return usm.User(
        name=configured.name, auth=auth, auth_passphrase=configured.auth_passphrase, priv=priv,
        priv_passphrase=configured.priv_passphrase,
    )  # fmt: skip


def targets(config: Config) -> tuple[Target, ...]:
    """Who is told of notifications, as managers may see it: without community strings."""
    users = {u.name: u for u in config.users}
    return tuple(
        Target(
            name=t.name, host=t.address.host, port=t.address.port, version=_TARGET_VERSIONS[t.version],
            security_name=t.user or f"snmp.target[{i}]", level=_LEVELS[users[t.user].strongest if t.user else "noAuthNoPriv"],
            inform=t.inform, timeout=t.timeout, retries=t.retries, include=t.include, exclude=t.exclude,
        )
        for i, t in enumerate(config.targets)
    )  # fmt: skip


def told(config: Config, secured: Security) -> list[notifications.Target]:
    """Who is told of notifications, with what it takes to tell them. A user hears of nothing that he may not see."""
    accounts = {a.user.name: a for a in secured.accounts}
    views = {v.name: v for v in (DEFAULT, *secured.views)}
    out = []
    for t in config.targets:
        account = accounts[t.user] if t.user is not None else None
        target = notifications.Target(
            name=t.name, host=t.address.host, port=t.address.port, version=t.version, community=t.community,
            user=account.user if account is not None else None, inform=t.inform, timeout=t.timeout, retries=t.retries,
            include=t.include, exclude=t.exclude, hypervisors=t.hypervisors or (account.hypervisors if account else ()),
            domains=t.domains, kinds=t.kinds, severity=t.severity, expiry=t.expiry, queue=t.queue,
            view=views[account.view] if account else None,
        )  # fmt: skip
        out.append(target)
    return out
