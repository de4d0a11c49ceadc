"""Which indications arise: of events, alerts, each of a class of its own beneath CIM_AlertIndication; of changes of instances,
CIM_InstCreation, CIM_InstModification and CIM_InstDeletion, found by comparing each snapshot with the one before.

Whether a class of indications is wanted at all is asked first, so that nothing is made, or compared, for nobody. An instance
counts as modified when a property of its row differs that is no measurement: counters, gauges and the times of readings change
with every reading, and are for whoever asks. What is compared is the row's own class; what profiles and aspects show of the same
row changes with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache, partial
from operator import itemgetter
from typing import Any, Protocol

import pywbem

from agent.cim import namespaces
from agent.cim.classes import InstanceClass, Schema, camel, class_name
from agent.cim.indications import libvirt_cim
from agent.cim.instances import value
from agent.cim.profiles.libvirt_cim import FAMILIES, indication_class
from agent.cim.subjects import path
from agent.errors import VirtmapError
from agent.events import Announcement, Events
from agent.inventory import Inventory
from agent.model import MODEL, Domain
from agent.schema.declare import Event, Field, Role, Row
from agent.schema.types import Kind
from agent.snapshot import Snapshot, Table, Values
from agent.workers import Workers

__all__ = ["Arising", "alert", "changes", "instance"]

log = logging.getLogger("virtmap.indications")

WAITING = 10_000
"""Indications that wait until those before them are in queues; what comes then is lost, and counted."""

UNDERWAY = 200
"""Indications that are being put into queues at once."""

COMPARING = 30.0
"""Seconds that comparing two snapshots may take; it is our own work, on nothing that can hang."""

MOST_CHANGES = 5_000
"""Changes of one kind of row that are told of one snapshot: where more rows come or go at once, a hypervisor was lost or found."""

CREATION, MODIFICATION, DELETION = "CIM_InstCreation", "CIM_InstModification", "CIM_InstDeletion"


class Publisher(Protocol):
    """Where indications go (agent.cim.indications.delivery)."""

    @property
    def listening(self) -> bool: ...

    def wanted(self, classname: str, namespace: str) -> bool: ...

    async def publish(self, indication: pywbem.CIMInstance, namespace: str) -> int: ...


class Arising:
    """Makes indications, and hands them to `publisher` in order. In the loop's thread, but for comparing."""

    def __init__(self, schema: Schema, publisher: Publisher, *, host: str) -> None:
        self._schema = schema
        self._publisher = publisher
        self._host = host
        self._waiting: deque[Arisen] = deque()
        self._underway: set[asyncio.Task[Any]] = set()
        self._workers = Workers(1, "virtmap-arising")
        self._last: dict[str, Snapshot] = {}
        self._comparing: dict[str, asyncio.Task[None]] = {}
        self._stopped = False
        self.lost = 0
        """Indications that nobody was told of, because too many waited."""

    def follow(self, inventory: Inventory, events: Events) -> None:
        """Tell of the events and changes of one hypervisor."""
        events.on_told(self._told, wanted=lambda: self._publisher.listening)
        inventory.on_publish(partial(self._published, inventory))

    async def stop(self, limit: float = 1.0) -> None:
        """Hand over what waits, for a moment; more than that is not begun."""
        self._stopped = True
        for task in self._comparing.values():
            task.cancel()
        await asyncio.gather(*self._comparing.values(), return_exceptions=True)
        while self._underway:
            _, late = await asyncio.wait(self._underway, timeout=limit)
            if late:
                break
        self._workers.close()

    # --- events

    def _told(self, told: Announcement) -> None:
        classname = class_name_of(type(told.event))
        if self._publisher.wanted(classname, namespaces.VIRTMAP):
            self._put(partial(alert, self._schema, told), namespaces.VIRTMAP)

    # --- changes

    def _wanted(self) -> tuple[frozenset[str], frozenset[str]]:
        """The changes that somebody wants to hear of, and those that libvirt-cim's clients do."""
        wanted, kinds = self._publisher.wanted, (CREATION, MODIFICATION, DELETION)
        ours = frozenset(each for each in kinds if wanted(each, namespaces.VIRTMAP))
        return ours, frozenset(
            each for each in kinds if any(wanted(indication_class(f, each), namespaces.VIRT) for f in FAMILIES)
        )

    def _published(self, inventory: Inventory) -> None:
        if not inventory.connected:
            return  # nothing was read; what is forgotten meanwhile is compared when there is a connection again
        if self._stopped or not any(self._wanted()):
            self._last[inventory.name] = inventory.snapshot  # what is there when somebody begins to listen is no news
            return
        inventory.touch()
        if inventory.name not in self._last:
            self._last[inventory.name] = inventory.snapshot  # what is there at the start is none either
        elif inventory.name not in self._comparing:
            task = asyncio.create_task(self._compare(inventory))
            self._comparing[inventory.name] = task
            task.add_done_callback(lambda _: self._comparing.pop(inventory.name, None))

    async def _compare(self, inventory: Inventory) -> None:
        """Compare snapshots until there is no newer one."""
        while (before := self._last.get(inventory.name)) is not None and before is not inventory.snapshot:
            now = inventory.snapshot
            found = partial(_found, self._schema, before, now, *self._wanted(), inventory.name, self._host)
            try:
                made = await self._workers.run(found, limit=COMPARING, what=f"{inventory.name}: compare snapshots")
            except VirtmapError as error:
                log.error("changes of instances are not told: %s", error)
                made = []
            except Exception:
                log.exception("changes of instances are not told: a fault of the agent")
                made = []
            if inventory.name in self._last:
                self._last[inventory.name] = now
            for make, namespace in made:
                self._put(make, namespace)

    # --- handing over

    def _put(self, make: Callable[[], pywbem.CIMInstance | None], namespace: str) -> None:
        if self._stopped:
            return
        if len(self._waiting) >= WAITING:
            if not self.lost:
                log.error("indications are lost: more than %d wait to be put into queues", WAITING)
            self.lost += 1
            return
        self._waiting.append((make, namespace))
        self._pump()

    def _pump(self) -> None:
        while self._waiting and len(self._underway) < UNDERWAY:
            task = asyncio.create_task(self._publish(*self._waiting.popleft()))
            self._underway.add(task)
            task.add_done_callback(self._done)

    async def _publish(self, make: Callable[[], pywbem.CIMInstance | None], namespace: str) -> None:
        try:
            if (made := make()) is not None:
                await self._publisher.publish(made, namespace)  # which takes them in the order of these tasks
        except Exception:
            log.exception("an indication was not sent: a fault of the agent")

    def _done(self, task: asyncio.Task[None]) -> None:
        self._underway.discard(task)
        self._pump()


# --- alerts -----------------------------------------------------------------------------------------------------------


@cache
def class_name_of(event: type[Event]) -> str:
    return f"Virtmap_{event.__name__}"


def alert(schema: Schema, told: Announcement) -> pywbem.CIMInstance:
    """The indication of an event (CIM_AlertIndication, DSP1054): its own values, and those of the row that it shows."""
    event, row = told.event, told.event.on
    cls = schema.instances[class_name(row).lower()]
    properties: dict[str, Any] = {
        "Description": " ".join((event.__doc__ or "").split()),
        "AlertingElementFormat": pywbem.Uint16(2),
        "AlertType": pywbem.Uint16(event.alert),
        "PerceivedSeverity": pywbem.Uint16(event.perceived),
        "ProbableCause": pywbem.Uint16(event.cause),
        "EventID": f"virtmap:{type(event).__name__}",
        "SystemCreationClassName": "Virtmap_Host",
        "SystemName": told.hypervisor,
        "ProviderName": "virtmap",
        "OwningEntity": "virtmap",
        "MessageID": f"VIRTMAP{event.number}",
    }
    if event.alert == 1:
        properties["OtherAlertType"] = event.words()
    if told.last is not None:
        properties["AlertingManagedElement"] = path(cls, told.last.values, told.hypervisor).to_wbem_uri()
        for name in event.shows:
            spec = row.fields[row.positions[name]]
            properties[camel(name)] = _typed(spec, told.last.values[spec.position])
    else:
        for spec, key in zip(row.key_fields(), told.happened.key, strict=True):
            if spec.name in event.shows:
                properties[camel(spec.name)] = _typed(spec, key)
    for spec in event.fields:
        given = event.values[spec.position]
        if given is not None:
            properties[spec.cim or camel(spec.name)] = _typed(spec, given, spec.cim)
    return pywbem.CIMInstance(
        class_name_of(type(event)), properties={n: v for n, v in properties.items() if v is not None}
    )


def _typed(spec: Field, given: Any, prop: str | None = None) -> Any:
    """A value as pywbem has it, in the type of its declaration."""
    if given is None:
        return None
    if prop is not None and spec.enumeration is not None:
        member = spec.enumeration.of(given)
        return None if member is None else pywbem.Uint16(member.cim[prop])
    return _cim(given, spec.semantic.cim)


def _cim(given: Any, type_name: str) -> Any:
    match given:
        case tuple() | list():
            return [_cim(each, type_name) for each in given]
        case datetime():
            return pywbem.CIMDateTime(given)
        case bool() | str():
            return given
        case int():
            return pywbem.type_from_name(type_name)(int(given))
    return given


# --- changes of instances ---------------------------------------------------------------------------------------------


def instance(cls: InstanceClass, record: Values, hypervisor: str) -> pywbem.CIMInstance:
    """The instance that a row is, with its path."""
    properties = [
        pywbem.CIMProperty(p.name, _cim(value(p.source, record, hypervisor), p.type), type=p.type, is_array=p.array)
        for p in cls.properties
    ]
    return pywbem.CIMInstance(cls.name, properties=properties, path=path(cls, record, hypervisor))


Arisen = tuple[Callable[[], pywbem.CIMInstance | None], str]
"""What makes an indication, or finds that there is none; and the namespace that it arose in."""

Change = tuple[str, Values, Values | None]
"""The class of the indication, the row as it is or was last, and as it was before if it was modified."""


def changes(before: Table, now: Table, wanted: frozenset[str]) -> Iterator[Change]:
    """What became of the rows of a table, of which somebody wants to know: those that came, in order, those that went, and those
    that changed in more than measurements."""
    if before is now:
        return
    if before.indexes is not now.indexes:
        yield from _moved(before, now, wanted)
        return
    if MODIFICATION in wanted:
        lasting = _lasting(now.row)
        for old, new in zip(before.records, now.records, strict=True):
            if old is not new and lasting(old) != lasting(new):
                yield MODIFICATION, new, old


def _moved(before: Table, now: Table, wanted: frozenset[str]) -> Iterator[Change]:
    lasting = _lasting(now.row)
    old = dict(zip(before.indexes, before.records, strict=True))
    for arcs, record in zip(now.indexes, now.records, strict=True):
        known = old.pop(arcs, None)
        if known is None:
            if CREATION in wanted:
                yield CREATION, record, None
        elif known is not record and MODIFICATION in wanted and lasting(known) != lasting(record):
            yield MODIFICATION, record, known
    if DELETION in wanted:
        for record in old.values():
            yield DELETION, record, None


_MOVING = ("first_line", "last_line", "inode")
"""Columns of a log that change with every line, or file."""


@cache
def _lasting(row: type[Row]) -> Callable[[Values], Any]:
    """From a record to what of it is no measurement."""
    places = [
        f.position
        for f in row.fields
        if f.role in (Role.PARENT, Role.KEY)
        or (f.semantic.kind is Kind.VALUE and f.semantic.python is not datetime and f.name not in _MOVING)
    ]
    return itemgetter(*places)


def _found(
    schema: Schema, before: Snapshot, now: Snapshot, wanted: frozenset[str], familiar: frozenset[str], hypervisor: str,
    host: str,
) -> list[Arisen]:  # fmt: skip
    """What differs between two snapshots: what is `wanted` of all rows, and, as libvirt-cim tells it, what is `familiar`, of
    domains."""
    found: list[Arisen] = []
    for row in _COMPARED:
        cls = schema.instances[class_name(row).lower()]
        looked_for = wanted | familiar if row is Domain else wanted
        for count, change in enumerate(changes(before.table(row), now.table(row), looked_for)):
            if count >= MOST_CHANGES:
                log.warning("%s: more than %d changes of %s at once; the rest is not told", hypervisor, count, cls.name)
                break
            if change[0] in wanted:
                found.append((partial(_indication, cls, change, hypervisor, host), namespaces.VIRTMAP))
            if row is Domain and change[0] in familiar:
                found.append((partial(libvirt_cim.indication, *change, host=host), namespaces.VIRT))
    return found


_COMPARED = tuple(row for row in MODEL.rows if row.__name__ not in ("Reading", "LogFile", "LogRecord"))
"""Rows whose changes are told: not how old tables are, and not each line of a log, or file of it."""


def _indication(cls: InstanceClass, change: Change, hypervisor: str, host: str) -> pywbem.CIMInstance:
    """CIM_InstIndication (DSP1054) of a change."""
    classname, record, old = change
    source = instance(cls, record, hypervisor)
    properties: list[pywbem.CIMProperty] = [
        pywbem.CIMProperty("SourceInstance", source, type="string", embedded_object="object"),
        pywbem.CIMProperty("SourceInstanceModelPath", source.path.to_wbem_uri(), type="string"),
        pywbem.CIMProperty("SourceInstanceHost", host, type="string"),
    ]
    if old is not None:
        previous = instance(cls, old, hypervisor)
        differing = [p.name for p in source.properties.values() if p.value != previous[p.name]]
        properties += [
            pywbem.CIMProperty("PreviousInstance", previous, type="string", embedded_object="object"),
            pywbem.CIMProperty("ChangedPropertyNames", differing, type="string", is_array=True),
        ]
    return pywbem.CIMInstance(classname, properties=properties)
