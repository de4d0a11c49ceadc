"""From what a hypervisor tells, and what readings find out, to events that are told: in order, stamped, and not too many.

An event is heard before its object has been read again. So it is held until a snapshot is published that was read after
the event was heard, or for a second if the hypervisor does not answer: who asks on hearing it sees the new state. Then
all who listen are told, front ends among them, with the row as it is now, or, if it is gone, as it was seen last.

* An event that changes nothing waits for no reading, unless its object was never read.
* Events of one root, a domain with all that belongs to it say, keep their order.
* An event that is the same as the one before it, which is still held, is left out.
* Each root has a bucket of events. When it is empty, what comes is held back: of each kind of event the last one waits until
  there is room again, so that nothing new goes unheard, and the last of a storm is told.
* What was left out or held back is counted, and told with the next event of that root (Occurrence.held_back).
* Numbers of events (Occurrence.sequence) go upwards over all hypervisors and restarts, in the order in which events are told.

What nobody tells is found out: which domains vanished or appeared, or are in another state, while there was no connection, or
at each reading of everything, of a hypervisor that tells no events.
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_left
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, Protocol

from agent.driver import Happened, Root
from agent.errors import VirtmapError
from agent.inventory import Inventory
from agent.layout import root_of
from agent.model import Domain
from agent.model.connection import ConnectionLost, ConnectionRestored
from agent.model.domain import DomainState
from agent.model.domain_events import (
    DomainAppeared,
    DomainCrashed,
    DomainFound,
    DomainLifecycle,
    DomainPmSuspended,
    DomainResumed,
    DomainStarted,
    DomainStateFound,
    DomainStopped,
    DomainSuspended,
    DomainVanished,
)
from agent.model.occurrence import Occurrence, PerceivedSeverity
from agent.operations import one_line
from agent.pace import Pace
from agent.scheduling import after_requests
from agent.schema.declare import Event, Field, Index, Key, Role, Row
from agent.schema.types import canonical
from agent.snapshot import Arc, Snapshot, Table, Values, key_getter

log = logging.getLogger("virtmap.events")

HELD_FOR = 1.0
"""Seconds that an event waits at most for its object to be read again."""

REMEMBERED = 1024
"""Rows of which something was heard, that are remembered as they were last seen."""

AT_ONCE = 0.0005
"""Seconds for which events are told before the loop gets its turn again: a libvirtd that starts tells of all its domains."""

GATHERED = 0.002
"""Seconds for which events are told, with turns of the loop in between, before those who gather what they are told send it."""

LONGEST = 60.0
"""Seconds between two looks at what was held back."""

KINDS = 64
"""Kinds of events of one root of which the last waits while there are too many: of each device, and each rule of a log."""

MESSAGE = 1000
"""Characters of a sentence."""


class Seen(NamedTuple):
    """A row as it was seen: its index arcs and its values."""

    arcs: Arc
    values: Values


def seen(snapshot: Snapshot, row: type[Row], key: Key) -> Seen | None:
    """The row with this key in a snapshot."""
    table = snapshot.table(row)
    place = table.find(key)
    return None if place is None else Seen(table.indexes[place], table.records[place])


@dataclass(frozen=True, kw_only=True, slots=True)
class Announcement:
    """An event as it is told, stamped: `last` is its row as it is now, or as it was last seen, None if it never was; `before` as
    it was when the event was heard. `snapshot` has `last` in it. `domain` is the name of the domain that it is about, itself
    or something that belongs to it."""

    happened: Happened
    hypervisor: str
    last: Seen | None
    before: Seen | None
    snapshot: Snapshot
    gone: bool
    domain: str | None

    @property
    def event(self) -> Event:
        return self.happened.event

    @property
    def kind(self) -> str:
        """The kind of row that it is about, in lower case."""
        return self.event.on.__name__.lower()


class Texts(Protocol):
    """Keeps texts across restarts. Blocks on the disk, and raises Failed."""

    def text(self, name: str) -> str | None: ...

    def set_text(self, name: str, value: str) -> None: ...


class Sequence:
    """Numbers that go upwards, over restarts too. What is reserved on the disk, and was not given, is left out at a restart."""

    NAME = "events.reserved"
    BLOCK = 1_000_000

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._last = int(texts.text(self.NAME) or 0)
        self._reserved = self._last + self.BLOCK
        texts.set_text(self.NAME, str(self._reserved))
        self._task: asyncio.Task[None] | None = None

    def next(self) -> int:
        """The next number. To be called in the loop's thread."""
        self._last += 1
        if self._reserved - self._last < self.BLOCK // 2 and self._task is None:
            self._task = asyncio.ensure_future(self._reserve())
        return self._last

    async def _reserve(self) -> None:
        wanted = self._last + self.BLOCK
        try:
            await asyncio.to_thread(self._texts.set_text, self.NAME, str(wanted))
            self._reserved = wanted
        except VirtmapError as error:  # tried again with the next event; there are half a million numbers left
            log.error("%s", error)
        finally:
            self._task = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many events of one root are told in a row, and how many a second then."""

    burst: int = 50
    rate: float = 10.0


@dataclass(slots=True)
class _Held:
    """An event that waits: when it was heard first, and last; its row as it was then; and how many were the same."""

    happened: Happened
    first: float
    since: float
    at: datetime
    before: Seen | None
    same: int = 0


class Events:
    """The events of one hypervisor. In the loop's thread.

    While nobody who listens wants any, events cost nothing.
    """

    def __init__(self, inventory: Inventory, number: Callable[[], int], *, limits: Limits | None = None) -> None:
        self._inventory = inventory
        self._number = number
        self.limits = limits or Limits()
        self._listeners: list[tuple[Callable[[Announcement], object], Callable[[], bool], Callable[[], bool]]] = []
        self._after: list[Callable[[], object]] = []
        self._held: dict[Root, deque[_Held]] = {}
        self._ready: deque[_Held] = deque()
        self._paces: OrderedDict[Root, Pace] = OrderedDict()
        self._back: dict[Root, OrderedDict[tuple[Any, ...], _Held]] = {}
        self._left_out: Counter[Root] = Counter()
        self._known: OrderedDict[tuple[type[Row], Key], Seen] = OrderedDict()
        self._implied: dict[Root, DomainState] = {}
        self._gap: _Gap | None = None
        self._found: Mapping[Key, Seen] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._later: asyncio.TimerHandle | None = None
        self._telling = False
        self._gathering_since: float | None = None  # when the first was told that nobody sent yet
        self._stopped = False
        self.told = 0
        """Events that were told."""
        self.held_back = 0
        """Events that were left out, or held back for another one."""
        inventory.on_event(self.tell)
        inventory.on_read(self._read)
        inventory.on_connection(self._connection)

    def on_told(
        self,
        told: Callable[[Announcement], object],
        *,
        wanted: Callable[[], bool] = lambda: True,
        noted: Callable[[], bool] = lambda: False,
        after: Callable[[], object] = lambda: None,
    ) -> None:
        """Call `told` with each event, while `wanted`, and `after` when some were told in a row. While it is only `noted`, nothing
        is read for it that would not be read otherwise."""
        self._listeners.append((told, wanted, noted))
        self._after.append(after)

    @property
    def waiting(self) -> int:
        """Events that were heard and not yet told."""
        return sum(map(len, self._held.values())) + len(self._ready) + sum(map(len, self._back.values()))

    def stop(self) -> None:
        """Tell what is held, as far as it is known, and nothing more."""
        for timer in (self._timer, self._later):
            if timer is not None:
                timer.cancel()
        for held in self._held.values():
            self._ready.extend(held)
        self._held.clear()
        while self._ready:
            self._announce(self._ready.popleft())
        for back in list(self._back.values()):
            for one in back.values():
                self._told(one)
        self._back.clear()
        self._told_some()
        self._stopped = True

    def _touch(self) -> None:
        """Have the inventory read, if there is somebody to be told."""
        if any(want() for _, want, _ in self._listeners):
            self._inventory.touch()

    # --- hearing

    def tell(self, happened: Happened) -> None:
        """This happened: tell it when its time has come."""
        wanted = any(want() for _, want, _ in self._listeners)
        if self._stopped or not (wanted or any(note() for _, _, note in self._listeners)):
            return
        if wanted:
            self._inventory.touch()  # who is told needs the reading
        row, key = happened.event.on, happened.key
        root, now = root_of(row, key), time.monotonic()
        happened = self._following(root, happened)
        before = seen(self._inventory.snapshot, row, key)
        queue = self._held.get(root)
        internal = row.root().internal
        unread = not internal and before is None and (row, key) not in self._known
        if unread:
            self._inventory.look_again(root)
        if queue is None and not unread and (internal or not happened.event.changes):
            self._ready.append(_Held(happened, now, now, datetime.now(UTC), before))
            self._announce_soon()
            return
        if queue and _same(queue[-1].happened, happened):
            queue[-1].same += 1
            queue[-1].since = now
            return
        self._held.setdefault(root, deque()).append(_Held(happened, now, now, datetime.now(UTC), before))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HELD_FOR, self._overdue)

    def _following(self, root: Root, happened: Happened) -> Happened:
        """A domain's event with the state that the one before it says, if nothing was read since: a reading may be too late to
        have seen that."""
        event = happened.event
        if not isinstance(event, DomainLifecycle):
            return happened
        implied, state = self._implied.get(root), _IMPLIED.get(type(event))
        if implied is not None and implied is not state and root in self._held:
            event = event.replace(previous_state=implied)
        if state is not None:
            self._implied[root] = state
            if len(self._implied) > 4 * REMEMBERED:
                del self._implied[next(iter(self._implied))]
        return replace(happened, event=event)

    def _read(self, roots: frozenset[Root] | None, began: float) -> None:
        """A snapshot was published, for which the reading of these roots began at this moment; None for all roots."""
        if roots is None:
            self._find(began)
        for root in list(self._held) if roots is None else self._held.keys() & roots:
            self._release(root, lambda held: held.since <= began)

    def _overdue(self) -> None:
        """Waited long enough: what is late is told as far as it is known."""
        self._timer = None
        late = time.monotonic() - HELD_FOR
        for root in list(self._held):
            self._release(root, lambda held: held.first <= late)
        if self._held:
            oldest = min(held[0].first for held in self._held.values())
            again = max(0.01, oldest - late)
            self._timer = asyncio.get_running_loop().call_later(again, self._overdue)

    def _release(self, root: Root, ready: Callable[[_Held], bool]) -> None:
        """Let go what was heard of a root, up to what is not ready."""
        held = self._held[root]
        while held and ready(held[0]):
            self._ready.append(held.popleft())
        if not held:
            del self._held[root]
        if self._ready:
            self._announce_soon()

    # --- what nobody told

    def _connection(self, connected: bool, reason: str) -> None:
        key = (self._inventory.name,)
        if not connected:
            if self._gap is None:
                self._gap = _Gap(time.monotonic(), _domains(self._inventory.snapshot))
            self._gap.over = None
            self.tell(Happened(event=ConnectionLost(reason=reason), key=key))
        elif self._gap is not None:
            self._gap.over = time.monotonic()
            self._touch()  # somebody waits for what happened meanwhile

    def _find(self, began: float) -> None:
        """All was read: compare it with what was there before nobody told anything."""
        gap, before = self._gap, self._found
        unheard = self._inventory.unheard
        if unheard:
            self._touch()  # nothing is heard otherwise
        now = _domains(self._inventory.snapshot) if unheard or gap is not None else None
        self._found = now if unheard else None
        if gap is not None:
            if gap.over is None or began < gap.over or now is None:
                return
            self._gap, before = None, gap.domains
            outage = round(gap.over - gap.since)
            self.tell(Happened(event=ConnectionRestored(outage=outage), key=(self._inventory.name,)))
        if before is None or now is None:
            return
        for found, key, then in _found(before, now):
            held = self._held.get((Domain, key), ())
            if any(isinstance(one.happened.event, DomainLifecycle) for one in held):
                continue  # that is being told already
            if gap is not None and (Domain, key) in gap.told:
                continue
            if then is not None:
                self._remember((Domain, key), then)
            self.tell(Happened(event=found, key=key))

    # --- telling

    def _announce_soon(self) -> None:
        if not self._telling:
            self._telling = True
            after_requests(self._announce_some)

    def _announce_some(self) -> None:
        began = now = time.monotonic()
        since = self._gathering_since or began
        while self._ready:
            self._announce(self._ready.popleft())
            now = time.monotonic()
            if now >= began + AT_ONCE:
                break
        self._telling = bool(self._ready)
        self._gathering_since = since if self._telling and now < since + GATHERED else None
        if self._gathering_since is None:
            self._told_some()
        if self._telling:
            after_requests(self._announce_some)

    def _announce(self, held: _Held) -> None:
        """Tell it, unless there were too many of its root: then it waits, in place of the one of its kind that waits already."""
        root = root_of(held.happened.event.on, held.happened.key)
        back = self._back.get(root)
        if back is None and self._pace(root).take():
            self._told(held)
            return
        if back is None:
            back = self._back[root] = OrderedDict()
        kind = _kind(held.happened)
        replaced = back.pop(kind, None)
        if replaced is None and len(back) >= KINDS:
            _, replaced = back.popitem(last=False)
        if replaced is not None:
            self._count(root, 1 + replaced.same)
        back[kind] = held
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(min(LONGEST, 1 / self.limits.rate), self._catch_up)

    def _catch_up(self) -> None:
        """Of each root that had too many, tell what has room now."""
        self._later = None
        again = self._caught_up()
        self._told_some()
        if self._back:
            wait = 0 if again else min(LONGEST, 1 / self.limits.rate)
            self._later = asyncio.get_running_loop().call_later(wait, self._catch_up)

    def _caught_up(self) -> bool:
        """Whether there is more that has room now, but others have their turn first."""
        until = time.monotonic() + AT_ONCE
        for root, back in list(self._back.items()):
            while back and time.monotonic() < until and self._pace(root).take():
                self._told(back.popitem(last=False)[1])
            if not back:
                del self._back[root]
            if time.monotonic() >= until:
                return True
        return False

    def _pace(self, root: Root) -> Pace:
        """The bucket of a root. Of those that were not needed for longest some are forgotten, as they have filled."""
        pace = self._paces.get(root)
        if pace is None:
            pace = self._paces[root] = Pace(self.limits.burst, self.limits.rate)
            if len(self._paces) > 4 * REMEMBERED:
                self._paces.popitem(last=False)
        self._paces.move_to_end(root)
        return pace

    def _count(self, root: Root, more: int) -> None:
        self.held_back += more
        self._left_out[root] += more
        if len(self._left_out) > 4 * REMEMBERED:
            del self._left_out[next(iter(self._left_out))]

    def _told(self, held: _Held) -> None:
        """Tell it to all who listen. Whatever is wrong with it, those behind it are told."""
        try:
            announcement = self._announcement(held)
        except Exception:
            log.exception("%s: an event was not told: a fault of the driver, or of the agent", self._inventory.name)
            return
        self.told += 1
        if self._gap is not None and self._gap.over is not None and isinstance(announcement.event, DomainLifecycle):
            self._gap.told.add((Domain, announcement.happened.key))
        for told, wanted, noted in self._listeners:
            if wanted() or noted():
                self._pass_on(told, announcement)

    def _announcement(self, held: _Held) -> Announcement:
        event, key, snapshot = held.happened.event, held.happened.key, self._inventory.snapshot
        row = event.on
        now = seen(snapshot, row, key)
        if now is None:
            key = _by_alias(snapshot, row, key)
            now = seen(snapshot, row, key)
        last = now or held.before or self._known.get((row, key))
        if last is not None:
            self._remember((row, key), last)
        if last is not None and now is None:
            snapshot = snapshot.with_tables([Table(row, (last.values,), (last.arcs,))])
        root, name = root_of(row, key), held.happened.name
        top = last if row is root[0] else self._top(root, snapshot)
        if name is not None:
            top = _bare(*root, name) if top is None else _named(root[0], top, name)
            last = top if row is root[0] else last
        self._count(root, held.same)
        stamped = self._stamped(event, key, last, top, held.at, self._left_out.pop(root, 0))
        return Announcement(
            happened=Happened(event=stamped, key=key, name=name), hypervisor=self._inventory.name, last=last,
            before=held.before, snapshot=snapshot, gone=now is None, domain=_domain(row, last, root[0], top, snapshot),
        )  # fmt: skip

    def _top(self, root: Root, snapshot: Snapshot) -> Seen | None:
        """The outermost row that a row belongs to, as it is now or was last."""
        found = seen(snapshot, *root) or self._known.get(root)
        if found is not None:
            self._remember(root, found)
        return found

    def _stamped(
        self, event: Event, key: Key, last: Seen | None, top: Seen | None, at: datetime, left_out: int
    ) -> Event:
        filled: dict[str, Any] = {
            f.name: top.values[event.on.root().positions[f.top]]
            for f in _of_top(type(event))
            if f.top is not None and top is not None and event.values[f.position] is None
        }
        if isinstance(event, Occurrence):
            filled |= {
                "sequence": self._number(), "time": event.time or at, "held_back": left_out,
                "severity": event.severity or PerceivedSeverity.of(event.perceived),
                "message": event.message or sentence(event, key, last, top),
            }  # fmt: skip
        return event.replace(**filled) if filled else event

    def _told_some(self) -> None:
        """That was all for now."""
        for after in self._after:
            self._pass_on(after)

    def _pass_on(self, told: Callable[..., object], *announced: Announcement) -> None:
        try:
            told(*announced)
        except Exception:
            log.exception("%s: an event was not told: a fault of the agent", self._inventory.name)

    def _remember(self, what: tuple[type[Row], Key], row: Seen) -> None:
        self._known[what] = row
        self._known.move_to_end(what)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


@dataclass(slots=True)
class _Gap:
    """A time without connection: since when, the domains that were there, when it was over, and of whom was told since."""

    since: float
    domains: Mapping[Key, Seen]
    over: float | None = None
    told: set[Root] = field(default_factory=set)


def _by_alias(snapshot: Snapshot, row: type[Row], key: Key) -> Key:
    """The key of the row that libvirt calls so, where a driver that heard of it had not read yet what it is called: a domain that
    starts gives its devices their aliases."""
    place, top = row.positions.get("alias"), seen(snapshot, *root_of(row, key))
    if place is None or top is None:
        return key
    table, own = snapshot.table(row), key_getter(row)
    for at in range(bisect_left(table.indexes, top.arcs), len(table)):
        if table.indexes[at][: len(top.arcs)] != top.arcs:
            break
        if table.records[at][place] == key[-1]:
            return own(table.records[at])
    return key


@cache
def _of_top(event: type[Event]) -> tuple[Field, ...]:
    """The fields that are filled from the outermost row."""
    return tuple(f for f in event.fields if f.top is not None)


_IMPLIED = {
    DomainStarted: DomainState.RUNNING,
    DomainSuspended: DomainState.PAUSED,
    DomainResumed: DomainState.RUNNING,
    DomainStopped: DomainState.SHUT_OFF,
    DomainPmSuspended: DomainState.PM_SUSPENDED,
    DomainCrashed: DomainState.CRASHED,
}
"""The state that a domain is in after an event of its life."""

_WHICH = ("device", "channel", "rule", "alias", "event")
"""Details that tell which of several things of a row an event is about."""


def _kind(happened: Happened) -> tuple[Any, ...]:
    """What an event is about: of two with the same, the later one says how it is."""
    event = happened.event
    which = (event.values[event.positions[name]] for name in _WHICH if name in event.positions)
    return (type(event), happened.key, *which)


def _same(one: Happened, other: Happened) -> bool:
    """Whether both tell the same, but for what was before."""
    if one.key != other.key or type(one.event) is not type(other.event):
        return False
    return all(
        f.role is Role.PREVIOUS or one.event.values[f.position] == other.event.values[f.position]
        for f in one.event.fields
    )


def nowhere(row: type[Row]) -> Arc:
    """The index of a row that was never read: zeros, which no row has."""
    return (0,) * (sum(r.index not in (Index.SCALAR, Index.SHARED) for r in row.lineage()) or 1)


def _bare(row: type[Row], key: Key, name: str) -> Seen:
    """A row of which nothing is known but its key and its name."""
    known: dict[str, Any] = dict(zip((f.name for f in row.key_fields()), key, strict=True))
    return Seen(nowhere(row), tuple({"name": name, **known}.get(f.name) for f in row.fields))


def _named(row: type[Row], known: Seen, name: str) -> Seen:
    """A row with this name, if it has none: one that could not be read yet has not."""
    place = row.positions.get("name")
    if place is None or known.values[place] is not None:
        return known
    return Seen(known.arcs, (*known.values[:place], name, *known.values[place + 1 :]))


def _domains(snapshot: Snapshot) -> Mapping[Key, Seen]:
    table = snapshot.table(Domain)
    place = Domain.positions["uuid"]
    return {(values[place],): Seen(arcs, values) for arcs, values in zip(table.indexes, table.records, strict=True)}


def _found(before: Mapping[Key, Seen], now: Mapping[Key, Seen]) -> Iterator[tuple[DomainFound, Key, Seen | None]]:
    """What differs between two readings of all domains, with the domain as it was."""
    state = Domain.positions["state"]
    for key in before.keys() - now.keys():
        then = before[key]
        yield DomainVanished(previous_state=then.values[state]), key, then
    for key in now.keys() - before.keys():
        yield DomainAppeared(), key, None
    for key in before.keys() & now.keys():
        was, is_now = before[key].values[state], now[key].values[state]
        if was != is_now and was is not None and is_now is not None:
            yield DomainStateFound(previous_state=was), key, before[key]


def _domain(row: type[Row], last: Seen | None, top: type[Row], root: Seen | None, snapshot: Snapshot) -> str | None:
    """The name of the domain that an event is about."""
    if top is Domain:
        return None if root is None else root.values[Domain.positions["name"]]
    if last is None:
        return None
    if "domain_name" in row.positions:  # a log's; its domain may be no more
        name: str | None = last.values[row.positions["domain_name"]]
        return name
    refers = next((f for f in row.fields if f.ref is Domain), None)
    if refers is None or last.values[refers.position] is None:
        return None
    found = snapshot.get(Domain, (last.values[refers.position],))
    return None if found is None else found.name


_SHOWN_AS = ("name", "target", "device", "hostname", "object", "usage", "path")


def sentence(event: Event, key: Key, last: Seen | None, top: Seen | None) -> str:
    """What happened, for people: `domain web: started: detail startedBooted, previous state shutOff`."""
    row = event.on
    parts = [_called(row, key[-1], last)]
    if row.root() is not row:
        parts.append(_called(row.root(), key[0], top))
    words = _told_as(type(event))
    told = ", ".join(
        f"{name} {_value(spec, given)}"
        for name, spec in _details(type(event))
        if (given := event.values[spec.position]) is not None
    )
    text = f"{' of '.join(parts)}: {words}" + (f": {told}" if told else "")
    return one_line(text, MESSAGE)


@cache
def _details(event: type[Event]) -> tuple[tuple[str, Field], ...]:
    """What an event tells of its own, each with its name in words."""
    own = event.fields[len(Occurrence.fields) :]
    return tuple((f.name.replace("_", " "), f) for f in own if f.top is None)


def _value(spec: Field, given: Any) -> str:
    member = spec.enumeration.of(given) if spec.enumeration is not None else None
    return member.label if member is not None else canonical(given).replace("\n", "; ")


@cache
def _told_as(event: type[Event]) -> str:
    """What an event says of its row: DomainStarted is "started"."""
    return event.words().removeprefix(f"{_words(event.on)} ")


@cache
def _words(row: type[Row]) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in row.__name__).strip()


def _called(row: type[Row], key: Any, last: Seen | None) -> str:
    """What an object is called: its kind, and its name or what stands for it."""
    names = [last.values[row.positions[n]] for n in _SHOWN_AS if last is not None and n in row.positions]
    return f"{_words(row)} {next((n for n in names if n), key)}"


__all__ = ["HELD_FOR", "Announcement", "Events", "Limits", "Seen", "Sequence", "Texts", "seen", "sentence"]
