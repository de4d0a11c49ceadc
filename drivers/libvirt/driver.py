"""The driver: the contract of `agent.driver` over one libvirt connection."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import libvirt

from agent.driver import NOBODY, Changed, Happened, Heard, LogSettings, Lost, Plan, Root, Task
from agent.model.domain import Domain
from agent.model.host import Host
from agent.model.log import Log, LogMatched
from agent.schema.declare import Access, Key, Operation, Row
from drivers.libvirt import events
from drivers.libvirt.calls import Calls
from drivers.libvirt.connection import Connection, Live, Patience
from drivers.libvirt.domains import monitor
from drivers.libvirt.kinds import KINDS
from drivers.libvirt.login import Login
from drivers.libvirt.perform import perform
from drivers.libvirt.reading import RESYNC, Memory, Reader
from drivers.logs.collection import Collection, Told
from drivers.logs.places import places

log = logging.getLogger("virtmap.logs")

RESYNC_WITHOUT_EVENTS = 30.0
"""Where a hypervisor tells no events, definitions are read again this often, in seconds."""


STUCK = 5.0
"""A connection with a call under way for longer, in seconds, is left to it; everybody else gets a new one.

Such a call waits for a hung guest, or does something long. On its connection others would now and then stand still with
it, and libvirtd takes only so many calls at a time (five, by default) from one connection.
"""


class LibvirtDriver:
    """One hypervisor, by any libvirt URI. `name` is what the configuration calls it."""

    def __init__(
        self,
        name: str,
        uri: str,
        *,
        login: Login | None = None,
        patience: Patience | None = None,
        resync: float = RESYNC,
        stuck: float = STUCK,
        monitor_events: bool = False,
        logs: LogSettings | None = None,
    ) -> None:
        self._monitor_events = monitor_events
        self.name = name
        self.uri = uri
        self.called: Counter[str] = Counter()
        """The libvirt functions that were really called, as libvirt-python names them, and how often."""
        self._heard: Callable[[Heard], None] = lambda _: None
        self._memory = Memory(resync=resync)
        self._resync = resync
        self._stuck = stuck
        self.connection = Connection(
            uri, login=login, opened=self._opened, lost=self._lost, retired=_retire, patience=patience
        )
        self._listens: Any = None
        self._logs = self._collection(logs, read_only=login is not None and login.read_only)

    def _collection(self, settings: LogSettings | None, *, read_only: bool) -> Collection | None:
        """The logs of its domains; None where they are not to be served, or not of this host."""
        if settings is None or not settings.serve:
            return None
        where = places(self.uri, settings.directories, devices=settings.device_directories)
        if isinstance(where, str):
            if settings.rules or settings.retention is not None:
                log.warning("%s: its logs are not served: %s", self.name, where)
            return None
        told = Told(matched=self._line_matched, changed=self._logs_changed)
        return Collection(self.name, where, settings, told, read_only=read_only)

    def _line_matched(self, path: str, event: LogMatched) -> None:
        self._heard(Happened(event=event, key=(path,)))

    def _logs_changed(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._heard(Changed(root=(Log, (path,))))

    @property
    def _far(self) -> bool:
        return bool(urlsplit(self.uri).hostname)

    @property
    def keepalive(self) -> bool:
        """Whether the other end is asked for signs of life; a driver inside our own process has none."""
        return self.connection.current().keepalive

    def connect(self) -> None:
        """Make a (new) connection. Raises Unreachable, or Denied where libvirt wants credentials that it has not."""
        self.connection.connect()

    def close(self) -> None:
        """Drop the connection for good, without waiting."""
        self._heard = lambda _: None
        if self._logs is not None:
            self._logs.close()
        self.connection.close()

    def listen(self, heard: Callable[[Heard], None]) -> None:
        """From now on, and across connections, tell what happens."""
        self._heard = heard
        if self._logs is not None:
            self._logs.start()

    def plan(self, only: Sequence[Root] | None = None) -> Plan:
        """How to read everything, or only these roots."""
        if self._current().calls.longest() > self._stuck:
            self.connection.renew()
        return self._current().plan(only)

    def perform(self, operation: Operation, key: Key, task: Task = NOBODY) -> Mapping[str, Any]:
        """Do it; gives the out-values. What it did shows in the next reading."""
        changed = partial(self._changed, operation.on.root(), key)
        outs = perform(self._current().calls, self.name, operation, key, task, changed)
        if operation.needs is not Access.OBSERVE:
            changed()
        return outs

    def _changed(self, top: type[Row], key: Key) -> None:
        """An operation changed something about the root that this key begins with."""
        if top is Domain:
            self._memory.changed(key[0])
        else:
            self._memory.due(top)
        self._heard(Changed(root=(top, key[: len(top.key_fields())])))

    def _opened(self, live: Live) -> Reader:
        """Each new connection, before anybody reads: events first, so that nothing changes unheard."""
        calls = Calls(live.virt, used=self.called, lost=lambda: self._check(live), name=self.name, logs=self._logs)
        self.called.update(("openAuth", "virConnect.registerCloseCallback", "virConnect.setKeepAlive"))
        if live.gap:
            self._listens = live.virt
            for uuid in list(self._memory.definitions):
                self._memory.changed(uuid)  # whatever happened while nobody listened
        listening = events.register(calls, partial(self._tell, live.virt), self._memory.changed, self._memory.device)
        for kind in KINDS:
            kind.listen(calls, partial(self._tell_of, live.virt, kind.row))
        if self._monitor_events:
            monitor.listen(calls, partial(self._tell, live.virt))
        self._listens = live.virt
        self._memory.due(Host)
        self._memory.unheard = not listening
        self._memory.resync = self._resync if listening else min(self._resync, RESYNC_WITHOUT_EVENTS)
        # Without another end it all happens in our own process. ESX and its like have one, and no signs of life to give.
        at_once = None if live.keepalive or self._far else 1
        return Reader(calls, self._memory, name=self.name, uri=self.uri, since=live.since, at_once=at_once)

    def _tell(self, virt: Any, what: Heard) -> None:
        """Tell what this connection heard, unless another one listens in its place by now."""
        if virt is self._listens:
            self._heard(what)

    def _tell_of(self, virt: Any, row: type[Row], what: Heard) -> None:
        """What is told of an object of another kind; one that is new has to be listed."""
        self._memory.due(row)
        self._tell(virt, what)

    def _lost(self, why: str) -> None:
        self._heard(Lost(reason=why))

    def _check(self, live: Live) -> None:
        """A call found the transport broken; libvirt's own notice of it may still be on its way. ESX and its like take every
        connection for alive."""
        virt = live.virt
        try:
            alive = (live.keepalive or not self._far) and virt.isAlive() == 1
        except libvirt.libvirtError:
            alive = False
        if not alive:
            self.connection.broke(virt, "the connection broke")

    def _current(self) -> Reader:
        reader: Reader = self.connection.current().session
        return reader


def _retire(live: Live) -> None:
    if live.session is not None:
        live.session.calls.retire()
