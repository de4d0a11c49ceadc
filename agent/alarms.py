"""Thresholds on snapshots, raised and cleared: what the configuration calls wrong, for as long as it is.

After each reading, the values of what was read (agent.measures) are held against the rules. A value that is at the threshold
of a rule, or above it, for so long as the rule says, raises an alarm; one that is below the lower threshold for so long clears
it again; between the two nothing changes, so that a value that swings about a threshold is told once. What else there is to know:

* A value that is not known changes nothing: no alarm is raised for it, and none is cleared.
* A domain that was stopped uses nothing, and has no errors: its value is 0.
* An alarm is cleared when its object is no more, or when no rule watches it any longer.
* A rule that is still there after a reload, with its name and kind, goes on with what it had seen.
* At most so many alarms are raised at once; what is beyond that has to wait until others are cleared.

What takes long is done in a worker thread, one evaluation at a time; rows are shown and events are told in the loop's.
"""

import asyncio
import fnmatch
import itertools
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from agent.config import AlarmRule
from agent.driver import Happened, Root
from agent.inventory import Inventory
from agent.layout import root_of
from agent.measures import STOPPED, Measure, Reading, Value, fills, measure
from agent.model import Disk, Domain, Host
from agent.model.alarm import Alarm, AlarmCleared, AlarmEvent, AlarmKind, AlarmRaised
from agent.model.log import Log
from agent.model.occurrence import PerceivedSeverity
from agent.model.pool import Pool
from agent.operations import one_line
from agent.schema.declare import Key, Row
from agent.snapshot import Snapshot, Values, key_getter
from agent.workers import Workers

log = logging.getLogger("virtmap.alarms")

MOST = 1000
"""Alarms of one hypervisor that are raised at once."""

AT_ONCE = 16
"""Events that are told before the loop gets its turn again."""

TICK = 1.0
"""Seconds after which time alone may have raised an alarm, and after which the inventory is asked to go on reading."""

NAME_OCTETS = 255
"""The longest Name."""

_NOTHING: frozenset[Root] = frozenset()

_BUSY = (AlarmKind.CPU, AlarmKind.MEMORY, AlarmKind.STEAL, AlarmKind.IO_ERRORS)
"""Kinds whose value is 0 for a domain that does not run."""

_SAYS = {
    AlarmKind.CPU: "its vCPUs are {value} % busy",
    AlarmKind.MEMORY: "its guest uses {value} % of its memory",
    AlarmKind.DISK: "{value} % of its capacity is taken",
    AlarmKind.POOL: "{value} % of its capacity is taken",
    AlarmKind.STEAL: "its vCPUs wait {value} % of the time for a processor of the host",
    AlarmKind.IO_ERRORS: "errors since the reading before: {value}",
    AlarmKind.LOG: "lines that matched a pattern in a minute: {value}",
    AlarmKind.HOST_CPU: "its processors are {value} % busy",
    AlarmKind.HOST_MEMORY: "{value} % of its memory is used",
}
"""What is said of a value."""

_TRUTHS = {
    AlarmKind.DOWN: ("it should run, since it starts with the host, and does not", "it runs, or need not run"),
    AlarmKind.DISCONNECTED: ("there is no connection to it", "there is a connection to it"),
}
"""What is said if there is no value to tell: while it is so, and when it is not."""


@dataclass(slots=True)
class _Watch:
    """An object with which something is wrong, or was a moment ago. `since` when its value has been on the other side of the
    threshold; `row` and when it was `raised` if there is an alarm."""

    since: float | None = None
    raised: float | None = None
    row: Alarm | None = None


@dataclass(slots=True)
class _Change:
    """An alarm that is to be raised, or, when there is a `duration` that it was raised for, to be cleared."""

    row: Alarm
    duration: float | None = None


@dataclass(slots=True)
class _Outcome:
    """What came of an evaluation: alarms with another value, and, in order, those that are raised or cleared."""

    values: list[Alarm] = field(default_factory=list)
    changes: list[_Change] = field(default_factory=list)
    waiting: int = 0


class _Rule:
    """A rule with what it found something wrong with."""

    def __init__(self, rule: AlarmRule, watches: dict[Key, _Watch] | None = None) -> None:
        self.rule = rule
        self.watches: dict[Key, _Watch] = {} if watches is None else watches
        self._domains, self._disks, self._pools = _any(rule.domains), _any(rule.disks), _any(rule.pools)

    @property
    def identity(self) -> tuple[str, AlarmKind]:
        return self.rule.name, self.rule.kind

    def watched(self, snapshot: Snapshot, row: type[Row], record: Values) -> bool:
        """Whether it is one of those that the rule is for."""
        if self.rule.kind is AlarmKind.DISK and not fills(record):
            return False
        if self._domains is not None and not self._domains.fullmatch(_domain_name(snapshot, row, record) or ""):
            return False
        if self._disks is not None and not self._disks.fullmatch(record[_TARGET]):
            return False
        return self._pools is None or bool(self._pools.fullmatch(record[_POOL_NAME] or ""))


def _any(patterns: Sequence[str]) -> re.Pattern[str] | None:
    """What fits one of these shell patterns; None if there are none."""
    return re.compile("|".join(map(fnmatch.translate, patterns))) if patterns else None


class _Account:
    """What lasts from one evaluation to the next: how many alarms are raised, and the numbers of new ones."""

    def __init__(self) -> None:
        self.raised = 0
        self.numbers = itertools.count(1)


class _Evaluation:
    """Rules held against what was read of their objects."""

    def __init__(self, account: _Account, now: float, out: _Outcome) -> None:
        self._account, self._now, self._out = account, now, out

    def of(self, measured: Measure, rules: Sequence[_Rule], reading: Reading) -> None:
        """Raise and clear what values of this kind are a reason for."""
        self._snapshot, self._row, self._table = reading.snapshot, measured.row, reading.table(measured.row)
        found = measured.find(reading, min(r.rule.raise_at for r in rules))
        places, key_of = reading.places(measured.row), key_getter(measured.row)
        number = places.index if reading.roots is None else {place: i for i, place in enumerate(places)}.__getitem__
        for rule in rules:
            high: set[Key] = set()
            for i, value in found.high:
                record = self._table.records[places[i]]
                if value >= rule.rule.raise_at and rule.watched(self._snapshot, self._row, record):
                    key = key_of(record)
                    high.add(key)
                    self._look(rule, key, record, value)
            for key in [key for key in rule.watches if key not in high]:
                if reading.roots is None or root_of(self._row, key) in reading.roots:
                    self._look_again(rule, key, lambda place: found.at(number(place)))

    def leave(self, rule: _Rule) -> None:
        """Nobody wants the rule any longer."""
        for watch in rule.watches.values():
            self._clear(watch, _left(rule.rule))

    def _look_again(self, rule: _Rule, key: Key, at: Callable[[int], Value]) -> None:
        """At what was watched and has no value that raises anything."""
        place = self._table.find(key)
        record = None if place is None else self._table.records[place]
        if record is None or place is None:
            self._clear(rule.watches.pop(key), "is no more")
        elif not rule.watched(self._snapshot, self._row, record):
            self._clear(rule.watches.pop(key), _left(rule.rule))
        else:
            self._look(rule, key, record, at(place))

    def _look(self, rule: _Rule, key: Key, record: Values, measured: Value) -> None:
        """At an object, which is watched from now on if there is a reason."""
        value = self._value(rule.rule.kind, record, measured)
        if value is None:
            return
        watch = rule.watches.get(key)
        if watch is None:
            if value < rule.rule.raise_at:
                return
            watch = rule.watches[key] = _Watch()
        if not self._judge(rule.rule, watch, max(0, value), record):
            del rule.watches[key]

    def _value(self, kind: AlarmKind, record: Values, measured: Value) -> Value:
        """What was measured; not known of a domain that could not be read, 0 where a domain does not run."""
        if self._row.root() is Domain:
            domain = record if self._row is Domain else _domain(self._snapshot, record)
            if domain is None or domain[_PROBLEM]:
                return None
            if kind in _BUSY and domain[_STATE] in STOPPED:
                return 0
        return measured

    def _judge(self, rule: AlarmRule, watch: _Watch, value: int, record: Values) -> bool:
        """What a value makes of a watch; gives whether there is anything left to watch."""
        if watch.row is None:
            if value < rule.raise_at:
                return False
            watch.since = self._now if watch.since is None else watch.since
            if self._now - watch.since >= rule.hold:
                self._raise(rule, watch, value, record)
            return True
        if value >= rule.clear_below:
            watch.since = None
        else:
            watch.since = self._now if watch.since is None else watch.since
            if self._now - watch.since >= rule.clear_hold:
                self._clear(watch, f"well again: {_words(rule, value, well=True)}", value)
                return False
        if watch.row.value != value:
            watch.row = watch.row.replace(value=value, message=f"{watch.row.object}: {_words(rule, value)}")
            self._out.values.append(watch.row)
        return True

    def _raise(self, rule: AlarmRule, watch: _Watch, value: int, record: Values) -> None:
        if self._account.raised >= MOST:
            self._out.waiting += 1
            return
        self._account.raised += 1
        label, domain = _described(self._snapshot, self._row, record)
        watch.since, watch.raised = None, self._now
        watch.row = Alarm(
            number=next(self._account.numbers), rule=rule.name, kind=rule.kind, object=label, domain=domain,
            severity=rule.severity, value=value, threshold=rule.raise_at, raised=datetime.now(UTC),
            message=f"{label}: {_words(rule, value)}",
        )  # fmt: skip
        self._out.changes.append(_Change(watch.row))

    def _clear(self, watch: _Watch, why: str, value: int | None = None) -> None:
        if watch.row is None or watch.raised is None:
            return
        self._account.raised -= 1
        last = watch.row.value if value is None else value
        row = watch.row.replace(message=f"{watch.row.object}: {why}", value=last)
        self._out.changes.append(_Change(row, self._now - watch.raised))


class Alarms:
    """The alarms of one hypervisor. Made, started and asked in the event loop's thread."""

    def __init__(
        self,
        inventory: Inventory,
        rules: Sequence[AlarmRule],
        tell: Callable[[Happened], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tell = tell
        self._inventory = inventory
        self._clock = clock
        self._workers = Workers(1, f"virtmap-{inventory.name}-alarms")
        self._one_at_a_time = asyncio.Lock()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._wanted = self._mine(rules)
        self._rules: list[_Rule] = []
        self._measures: dict[AlarmKind, Measure] = {}
        self._read: frozenset[Root] | None = None
        self._account = _Account()
        self._rows: dict[int, Alarm] = {}
        self._told_waiting = False
        inventory.on_read(self._heard_reading)
        inventory.on_connection(lambda _connected, _reason: self._wake.set())

    def start(self) -> None:
        """Begin to evaluate what is read, as a task of the running loop."""
        self._task = asyncio.create_task(self._run(), name=f"alarms {self._inventory.name}")

    async def stop(self) -> None:
        """Evaluate nothing more. What is raised stays so."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._workers.close()

    def reload(self, rules: Sequence[AlarmRule]) -> None:
        """Go on with these rules. Alarms of those that are no more are cleared."""
        self._wanted = self._mine(rules)
        self._wake.set()

    def _mine(self, rules: Sequence[AlarmRule]) -> list[AlarmRule]:
        return [r for r in rules if not r.hypervisors or self._inventory.name in r.hypervisors]

    # --- when

    def _heard_reading(self, roots: frozenset[Root] | None, began: float) -> None:
        if self._wanted:
            self._read = None if roots is None or self._read is None else self._read | roots
            self._wake.set()

    @property
    def _timely(self) -> bool:
        """Whether time alone, without a reading, may change something."""
        return any(rule.kind is AlarmKind.DISCONNECTED for rule in self._wanted)

    @property
    def _reloaded(self) -> bool:
        return self._wanted != [r.rule for r in self._rules]

    async def _run(self) -> None:
        while True:
            if self._wanted:
                self._inventory.touch()
            try:
                async with asyncio.timeout(TICK if self._wanted else None):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if self._read == _NOTHING and not self._timely and not self._reloaded:
                continue
            try:
                await self.evaluate()
            except Exception:
                log.exception("%s: alarms were not evaluated: a fault of the agent", self._inventory.name)

    async def evaluate(self) -> None:
        """Hold against the rules what was read since the last time; show and tell what comes of it."""
        async with self._one_at_a_time:
            roots, self._read = self._read, _NOTHING
            left = self._take_over() if self._reloaded else []
            judge = partial(self._judge, self._inventory.snapshot, roots, left, self._clock())
            # Our own work, on nothing that can hang; the limit is only there so that no wait is without one.
            outcome = await self._workers.run(judge, limit=60.0, what=f"{self._inventory.name}: evaluate alarms")
            await self._carry_out(outcome)

    def _take_over(self) -> list[_Rule]:
        """Begin to work with the rules that are wanted; gives those that are no more."""
        before = {r.identity: r for r in self._rules}
        self._rules = [
            _Rule(rule, known.watches if (known := before.pop((rule.name, rule.kind), None)) is not None else None)
            for rule in self._wanted
        ]
        kinds = dict.fromkeys(rule.kind for rule in self._wanted)
        self._measures = {
            kind: self._measures.get(kind) or measure(kind, lambda: self._inventory.connected, self._clock)
            for kind in kinds
        }
        return list(before.values())

    def _judge(self, snapshot: Snapshot, roots: frozenset[Root] | None, left: Sequence[_Rule], now: float) -> _Outcome:
        """Evaluate what belongs to these roots; None for all there is. In a worker thread, one call at a time."""
        evaluation = _Evaluation(self._account, now, out := _Outcome())
        for rule in left:
            evaluation.leave(rule)
        reading = Reading(snapshot, roots)
        for kind, measured in self._measures.items():
            timely = kind is AlarmKind.DISCONNECTED
            if timely or roots != _NOTHING:
                rules = [r for r in self._rules if r.rule.kind is kind]
                evaluation.of(measured, rules, Reading(snapshot, None) if timely else reading)
        return out

    # --- showing and telling

    async def _carry_out(self, outcome: _Outcome) -> None:
        """A few at a time: an event is told while its row shows what it tells, and what is cleared goes right after it."""
        if outcome.waiting and not self._told_waiting:
            log.warning(
                "%s: %d alarms are raised, as many as there may be; %d more wait until others are cleared",
                self._inventory.name, self._account.raised, outcome.waiting,
            )  # fmt: skip
        self._told_waiting = bool(outcome.waiting)
        self._rows.update((row.number, row) for row in outcome.values)
        if outcome.values and not outcome.changes:
            self._show()
        for start in range(0, len(outcome.changes), AT_ONCE):
            if start:
                await asyncio.sleep(0)
            self._carry_out_some(outcome.changes[start : start + AT_ONCE])

    def _carry_out_some(self, changes: Sequence[_Change]) -> None:
        self._rows.update((change.row.number, change.row) for change in changes)
        self._show()
        for change in changes:
            try:
                self.tell(Happened(event=_event(change), key=change.row.key))
            except Exception:
                log.exception("%s: an alarm was not told: a fault of the agent", self._inventory.name)
        cleared = [change.row.number for change in changes if change.duration is not None]
        for number in cleared:
            del self._rows[number]
        if cleared:
            self._show()

    def _show(self) -> None:
        self._inventory.set_rows(Alarm, list(self._rows.values()))


def _event(change: _Change) -> AlarmEvent:
    row = change.row
    if change.duration is None:
        return AlarmRaised(severity=row.severity, message=row.message, time=row.raised)
    return AlarmCleared(
        severity=PerceivedSeverity.INFORMATION,
        message=row.message,
        time=datetime.now(UTC),
        duration=int(change.duration),
    )


_PROBLEM, _STATE, _NAME = (Domain.positions[name] for name in ("problem", "state", "name"))
_TARGET, _POOL_NAME, _LOG_DOMAIN = Disk.positions["target"], Pool.positions["name"], Log.positions["domain_name"]


def _domain(snapshot: Snapshot, record: Values) -> Values | None:
    """The domain that something belongs to, whose UUID comes first."""
    table = snapshot.table(Domain)
    place = table.find((record[0],))
    return None if place is None else table.records[place]


def _domain_name(snapshot: Snapshot, row: type[Row], record: Values) -> str | None:
    """The name of the domain that a record is of, itself or what belongs to it."""
    if row is Log:
        name: str | None = record[_LOG_DOMAIN]
        return name
    domain = record if row is Domain else _domain(snapshot, record)
    return None if domain is None else domain[_NAME]


def _described(snapshot: Snapshot, row: type[Row], record: Values) -> tuple[str, str | None]:
    """What people call it, and the UUID of its domain. Names may be anybody's: what cannot be printed is escaped."""
    match row.of_values(record):
        case Domain(name=name, uuid=uuid):
            return _fit(f"domain {name}"), uuid
        case Disk(target=target, domain=uuid):
            return _fit(f"disk {target} of domain {_domain_name(snapshot, row, record) or uuid}"), uuid
        case Pool(name=name):
            return _fit(f"pool {name}"), None
        case Log(path=path, domain=uuid):
            return _fit(f"log {path}"), uuid
        case Host(hypervisor=name):
            return _fit(f"host {name}"), None
    raise TypeError(f"{row.__name__}: no alarm is about it")


def _words(rule: AlarmRule, value: int, *, well: bool = False) -> str:
    if rule.kind in _TRUTHS:
        return _TRUTHS[rule.kind][well]
    says = _SAYS[rule.kind].format(value=value)
    return says if well else f"{says}; raised at {rule.raise_at}, cleared below {rule.clear_below}"


def _left(rule: AlarmRule) -> str:
    return f"rule {rule.name} watches it no longer"


def _fit(text: str) -> str:
    """As a Name."""
    return one_line(text).encode()[:NAME_OCTETS].decode(errors="ignore")


__all__ = ["MOST", "Alarms"]
