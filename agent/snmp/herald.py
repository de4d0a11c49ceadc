"""From an event of a hypervisor to the notices that tell it, at the moment when a manager that asks sees what it is told.

An event is heard before its object has been read again. So it is held until a snapshot is published that was read after
the event was heard, or for a second if the hypervisor does not answer; events of one object keep their order. Then the
mapping's own notification is made, and each standard makes its own.

What a notice of the mapping holds is the OBJECTS of its NOTIFICATION-TYPE, all of them, in order: columns of the event's
row as they are now, then the event's own objects; each with the index of the row as its instance. The rule for what is
missing:

* The row is gone, as a transient domain that stopped is: its columns and its index are those that were seen last.
* The row was never read: its key tells what it can, the rest is not known, and the index is 0, which no row has.
* A value that is not known is NULL (unSpecified, RFC 3416, section 3): an empty text or a zero would say something.
"""

import asyncio
import functools
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from agent.driver import Happened, Root
from agent.inventory import Inventory
from agent.layout import root_of
from agent.schema.declare import Index, Key, Row
from agent.snapshot import Arc, Snapshot, Table, Values
from agent.snmp import ber
from agent.snmp.mib import Mib, MibNotification, Module, Oid
from agent.snmp.notice import Notice
from agent.snmp.standards import Standard
from agent.snmp.view import Encoder, encoder

log = logging.getLogger("virtmap.notifications")

HELD_FOR = 1.0
"""Seconds that an event waits at most for its object to be read again."""

REMEMBERED = 1024
"""Rows of which something was heard, that are remembered as they were last seen."""

AT_ONCE = 16
"""Events that are told before the loop gets its turn again: a libvirtd that starts tells of all its domains."""

NULL = ber.element(ber.NULL, b"")


class Seen(NamedTuple):
    """A row as it was seen: its index arcs and its values."""

    arcs: Arc
    values: Values


def seen(snapshot: Snapshot, row: type[Row], key: Key) -> Seen | None:
    """The row with this key in a snapshot."""
    table = snapshot.table(row)
    place = table.find(key)
    return None if place is None else Seen(table.indexes[place], table.records[place])


class _Shown(NamedTuple):
    """One object of a notification: its OID without instance, how it is encoded, and which field it shows."""

    oid: Oid
    encode: Encoder
    field: str
    of_row: bool


class Native:
    """Makes the notices of the mapping's own notifications."""

    def __init__(self, mib: Mib) -> None:
        self._notifications = {
            n.event: (n.oid, tuple(_shown(m, n))) for m in mib.modules for n in m.notifications
        }  # fmt: skip

    def notice(self, happened: Happened, last: Seen | None, hypervisor: str | None = None) -> Notice:
        """The notice of an event. `last` is the row as it is now, or as it was last seen; None if it never was."""
        event = happened.event
        oid, shown = self._notifications[type(event)]
        arcs = last.arcs if last is not None else _nowhere(event.on)
        values: Any = last.values if last is not None else _bare(event.on, happened.key)
        places = event.on.positions
        bound = [
            ((*o.oid, *arcs), _element(o, values[places[o.field]] if o.of_row else getattr(event, o.field)))
            for o in shown
        ]
        return Notice(oid=oid, varbinds=bound, hypervisor=hypervisor, severity=event.severity)


def _shown(module: Module, notification: MibNotification) -> Iterator[_Shown]:
    """The objects of a notification, in order."""
    columns = {o.name: o for t in module.tables if t.row is notification.event.on for o in t.objects}
    own = {o.name: o for o in module.event_objects}
    for name in notification.objects:
        found = columns.get(name) or own[name]
        if found.field is not None:
            yield _Shown(found.oid, encoder(found.field.semantic), found.field.name, name in columns)


def _element(shown: _Shown, value: Any) -> bytes:
    if value is None:
        return NULL
    try:
        return shown.encode(value) or NULL
    except (ValueError, OverflowError, TypeError, AttributeError) as error:
        # A driver broke its contract. One value is lost, said in the log, and the notice goes on.
        log.error("%s: cannot show %r: %s", shown.field, value, error)
        return NULL


def _nowhere(row: type[Row]) -> Arc:
    return (0,) * (sum(r.index not in (Index.SCALAR, Index.SHARED) for r in row.lineage()) or 1)


def _bare(row: type[Row], key: Key) -> Values:
    """The values of a row of which nothing is known but its key."""
    known = dict(zip((f.position for f in row.key_fields()), key, strict=True))
    return tuple(known.get(f.position) for f in row.fields)


@dataclass(slots=True)
class _Held:
    """An event that waits: since when, and its row as it was when it was heard."""

    happened: Happened
    since: float
    before: Seen | None


class Herald:
    """Tells what happens at one hypervisor. In the loop's thread.

    `wanted` says whether anybody listens; while nobody does, events cost nothing.
    """

    def __init__(
        self,
        inventory: Inventory,
        mib: Mib,
        tell: Callable[[Notice], None],
        *,
        standards: Sequence[Standard] = (),
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._inventory = inventory
        self._native = Native(mib)
        self._tell = tell
        self._standards = standards
        self._wanted = wanted
        self._held: dict[Root, deque[_Held]] = {}
        self._ready: deque[_Held] = deque()
        self._known: OrderedDict[tuple[type[Row], Key], Seen] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._telling = False
        self._stopped = False
        inventory.on_event(self._hear)
        inventory.on_read(self._read)

    @property
    def waiting(self) -> int:
        """Events that were heard and not yet told."""
        return sum(map(len, self._held.values())) + len(self._ready)

    def stop(self) -> None:
        """Tell what is held, as far as it is known, and nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        for held in self._held.values():
            self._ready.extend(held)
        self._held.clear()
        while self._ready:
            self._announce(self._ready.popleft())
        self._stopped = True

    # --- holding

    def _hear(self, happened: Happened) -> None:
        if self._stopped or not self._wanted():
            return
        self._inventory.touch()  # a notification needs the reading
        row, key = happened.event.on, happened.key
        held = _Held(happened, time.monotonic(), seen(self._inventory.snapshot, row, key))
        self._held.setdefault(root_of(row, key), deque()).append(held)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HELD_FOR, self._overdue)

    def _read(self, roots: frozenset[Root] | None, began: float) -> None:
        """A snapshot was published, for which the reading of these roots began at this moment; None for all roots."""
        for root in list(self._held) if roots is None else self._held.keys() & roots:
            self._release(root, began)

    def _overdue(self) -> None:
        """Waited long enough: what is late is told as far as it is known."""
        self._timer = None
        now = time.monotonic()
        for root in list(self._held):
            self._release(root, now - HELD_FOR)
        if self._held:
            oldest = min(held[0].since for held in self._held.values())
            again = max(0.01, oldest + HELD_FOR - now)
            self._timer = asyncio.get_running_loop().call_later(again, self._overdue)

    def _release(self, root: Root, until: float) -> None:
        """Let go what was heard of a root up to a moment."""
        held = self._held[root]
        while held and held[0].since <= until:
            self._ready.append(held.popleft())
        if not held:
            del self._held[root]
        if self._ready and not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_soon(self._announce_some)

    # --- telling

    def _announce_some(self) -> None:
        for _ in range(min(AT_ONCE, len(self._ready))):
            self._announce(self._ready.popleft())
        self._telling = bool(self._ready)
        if self._telling:
            asyncio.get_running_loop().call_soon(self._announce_some)

    def _announce(self, held: _Held) -> None:
        happened, snapshot = held.happened, self._inventory.snapshot
        row, key = happened.event.on, happened.key
        now = seen(snapshot, row, key)
        last = now or held.before or self._known.get((row, key))
        if last is not None:
            self._remember((row, key), last)
        if last is not None and now is None:
            snapshot = snapshot.with_tables([Table(row, (last.values,), (last.arcs,))])
        self._pass_on(lambda: [self._native.notice(happened, last, self._inventory.name)])
        for standard in self._standards:
            self._pass_on(functools.partial(standard.notices, happened, snapshot))

    def _pass_on(self, make: Callable[[], Any]) -> None:
        try:
            for notice in make():
                self._tell(notice)
        except Exception:
            log.exception("%s: an event was not told: a fault of the agent", self._inventory.name)

    def _remember(self, what: tuple[type[Row], Key], row: Seen) -> None:
        self._known[what] = row
        self._known.move_to_end(what)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
