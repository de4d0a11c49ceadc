"""Delivery of indications: what is sent to whom, in which order, how often it is tried, and what is given up.

An indication goes to each subscription whose filter lets it through, is stamped for its destination (DSP1054: the series
that it belongs to and its number there, the filter, its time and identifier), and waits in that destination's queue, in
the state file, until the listener has answered for it. Destinations do not wait for each other; to each of them
indications go one after the other.

* A number is given once: what is sent again has the number it had. Series begin anew with each start of the agent.
* An attempt that fails is made again after a pause that grows from RETRY_INTERVAL to LONGEST_PAUSE. An indication is
  given up when it has waited for the expiry of the configuration, when as many attempts have failed as have room in that
  time (`retry_attempts`), or when the listener has refused it in a way that it would again.
* A queue that is full loses its oldest. What is lost is counted, and logged when it begins.
* What waits for a subscription that has ended, or is disabled, is dropped when its turn comes.
* When the agent is killed at the wrong moment, or the disk has failed for long, a listener may get an indication twice; it
  has the same number.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import random
import ssl
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pywbem

from agent.access import Principal
from agent.cim import interop
from agent.cim.classes import Schema
from agent.cim.indications.destinations import Destination
from agent.cim.indications.export import Outcome, Verdict, message
from agent.cim.indications.filters import Filter
from agent.cim.indications.subscriptions import REMOVAL_INTERVAL, Active, Audit, Subscriptions
from agent.cim.indications.trust import Lookup, addresses
from agent.cim.interop import Removal
from agent.cim.status import CimError, Status
from agent.cim.subjects import InstanceSubject
from agent.errors import VirtmapError
from agent.journal import DISK_AGAIN, DISK_LIMIT, Journal, Queues, passed
from agent.operations import one_line
from agent.schema.declare import Access
from agent.state import INFORMS, Queued
from agent.workers import Workers

if TYPE_CHECKING:
    from agent.cim.indications.sender import Sender

__all__ = [
    "LONGEST_PAUSE",
    "REMOVAL",
    "REMOVAL_INTERVAL",
    "RETRY_INTERVAL",
    "TEST_METHOD",
    "Counters",
    "Delivery",
    "Pace",
    "Queues",
    "retry_attempts",
]

log = logging.getLogger("virtmap.indications")

RETRY_INTERVAL = 5
"""Seconds before the first retry, and the least before any."""

LONGEST_PAUSE = 300
"""Seconds between two retries, however many have failed."""

REMOVAL = Removal.IGNORE
"""What becomes of subscriptions whose destination fails: what each of them says, nothing else
(CIM_IndicationService.SubscriptionRemovalAction)."""

TEST_METHOD = "SendTestIndication"

_JITTER = 0.25
"""How much of a pause chance may add, lest destinations that went together come back together."""

_LAST_NUMBER = 2**63 - 1
_BATCH = 16
"""Indications that are read from the state file at a time."""

_TURN = 32
"""Messages that are made before others have their turn in the loop."""

_ENDING = 1.0
"""Seconds in which what is on its way may end when the agent does; the disk has as many again."""

#: Why a test is in a queue; subscriptions have ids of another form.
_TEST = "test"

#: What is sent whether or not the filter selects it.
_STAMPS = frozenset(
    (
        "indicationidentifier",
        "indicationtime",
        "indicationfiltername",
        "sequencecontext",
        "sequencenumber",
    )
)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How soon it is tried again, and how long a listener may take to answer, in seconds."""

    interval: float = RETRY_INTERVAL
    longest: float = LONGEST_PAUSE
    answer: float = 30.0

    def pause(self, failures: int) -> float:
        """How long to wait at least after so many attempts in a row have failed."""
        return min(self.longest, self.interval * 2.0 ** min(failures - 1, 30))


def retry_attempts(expiry: float, pace: Pace = Pace()) -> int:
    """How many retries an indication has that may wait for so many seconds: as many as have room in them."""
    spent, retries = 0.0, 0
    while retries < 0xFFFF and (spent := spent + pace.pause(retries + 1)) <= expiry:
        retries += 1
    return retries


@dataclass
class Counters:
    """What became of the indications for a destination, since the agent started."""

    delivered: int = 0
    failures: int = 0
    refused: int = 0
    expired: int = 0
    overflowed: int = 0
    unwanted: int = 0


class _Channel:
    """The way to one destination: its queue, and the task that empties it."""

    def __init__(self, delivery: Delivery, destination: Destination, after: int) -> None:
        self.destination = destination
        self.counters = Counters()
        self._delivery = delivery
        self._number = 0
        self._past = after
        self._batch: deque[Queued] = deque()
        self.loose: deque[Queued] = deque()  # what the disk did not take
        self._attempts = (0, 0)  # a place, and the attempts that failed there
        self._failures = 0
        self._failing_since: float | None = None
        self._state: Outcome | None = None
        self._more = asyncio.Event()
        self._hurry = asyncio.Event()
        self._ending = False
        self.task = asyncio.ensure_future(self._work())

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return one_line(self.destination.name)

    @property
    def context(self) -> str:
        """The name of the series (CIM_Indication.SequenceContext)."""
        since = datetime.fromtimestamp(self.destination.since, UTC).strftime("%Y%m%d%H%M%S.%f")
        return f"{self._delivery.series}#{since}-{self.destination.id[:8]}"

    def number(self) -> int:
        """The next number of the series."""
        given = self._number
        self._number = 0 if given == _LAST_NUMBER else given + 1
        return given

    def wake(self) -> None:
        """There is something on the disk."""
        self._more.set()

    def keep(self, one: Queued) -> None:
        """Hold in memory what the disk does not take."""
        if len(self.loose) >= self._delivery.longest:
            self.loose.popleft()
            self.overflowed(1)
        self.loose.append(one)
        self._more.set()

    def overflowed(self, count: int) -> None:
        if not self.counters.overflowed:
            log.warning("destination %s: the queue is full, and loses the oldest indications", self.name)
        self.counters.overflowed += count

    def hurry(self) -> None:
        """Do not wait for the end of a pause."""
        self._hurry.set()

    def finish(self) -> None:
        """End after what is on its way now."""
        self._ending = True
        self._more.set()
        self._hurry.set()

    async def _work(self) -> None:
        while not self._ending:
            try:
                one = await self._next()
                if one is not None:
                    await self._handle(one)
            except Exception:  # nobody else would see it, and nothing be sent here any more
                log.exception("destination %s: a fault of the agent", self.name)
                self._failures += 1
                self._hurry.clear()
                await self._pause()

    async def _next(self) -> Queued | None:
        """What has waited longest, waiting for it if there is nothing; None if it has to be looked for again."""
        if not self._batch:
            self._more.clear()
            found = await self._delivery.read(self.destination.id, self._past)
            self._batch.extend(found or ())
            if not self._batch and not self.loose:
                await self._wait(self._more, None if found is not None else DISK_AGAIN)
                return None
        heads = [queue[0] for queue in (self._batch, self.loose) if queue]
        one = min(heads, key=lambda each: each.place)
        place, attempts = self._attempts
        return replace(one, attempts=max(one.attempts, attempts)) if place == one.place else one

    async def _wait(self, event: asyncio.Event, limit: float | None) -> None:
        if not self._ending:
            await passed(event, limit)

    async def _pause(self) -> None:
        await self._wait(self._hurry, self._delivery.pace.pause(self._failures) * random.uniform(1, 1 + _JITTER))
        self._batch.clear()  # some of it may be gone by now

    async def _handle(self, one: Queued) -> None:
        if self._delivery.unwanted(one):
            self.counters.unwanted += 1
            self._done(one)
        elif self._delivery.over(one):
            self._expire(one)
        else:
            await self._send(one)

    def _expire(self, one: Queued) -> None:
        if not self.counters.expired:
            log.warning("destination %s: indications expire before they can be delivered", self.name)
        self.counters.expired += 1
        self._done(one)

    async def _send(self, one: Queued) -> None:
        self._hurry.clear()
        verdict = await self._delivery.send(self.destination, one)
        self._tell(verdict)
        if verdict.outcome is Outcome.FAILED:
            await self._failed(one)
            return
        self._failures, self._failing_since = 0, None
        if verdict.outcome is Outcome.DELIVERED:
            self.counters.delivered += 1
        else:
            self.counters.refused += 1
        self._done(one)

    def _done(self, one: Queued) -> None:
        self._past = one.place
        for queue in (self._batch, self.loose):
            while queue and queue[0].place <= one.place:
                queue.popleft()
        self._delivery.done(one)

    async def _failed(self, one: Queued) -> None:
        now = asyncio.get_running_loop().time()
        self.counters.failures += 1
        self._failures += 1
        self._failing_since = now if self._failing_since is None else self._failing_since
        tried = replace(one, attempts=one.attempts + 1)
        self._attempts = (tried.place, tried.attempts)
        self._delivery.tried(tried)
        if self._delivery.over(tried):
            self._expire(tried)
        await self._delivery.failing(self.destination, now - self._failing_since)
        await self._pause()

    def _tell(self, verdict: Verdict) -> None:
        """Into the log, when it changes."""
        if verdict.outcome is self._state:
            return
        if verdict.outcome is Outcome.DELIVERED:
            if self._state is not None:
                log.info("destination %s: indications are delivered again", self.name)
        else:
            log.warning("destination %s: indications are not delivered: %s", self.name, one_line(verdict.why))
        self._state = verdict.outcome


class Delivery:
    """Delivers to the destinations of `subscriptions`, through queues that `store` keeps. Lives in the event loop's thread.

    `trust` tells which certificates of listeners are good. At most `longest` indications wait for each destination, none
    longer than `expiry` seconds. `clock` gives the time in seconds of the epoch, `lookup` the addresses of a name.
    """

    def __init__(
        self, subscriptions: Subscriptions, store: Queues, audit: Audit, schema: Schema, trust: ssl.SSLContext, *,
        host: str, longest: int = 1000, expiry: float = 3600.0, pace: Pace = Pace(),
        clock: Callable[[], float] = time.time, lookup: Lookup = addresses,
    ) -> None:  # fmt: skip
        self.longest = longest
        self.pace = pace
        service = interop.service_path(host).keybindings["Name"]
        started = datetime.now(UTC).strftime("%Y%m%d%H%M%S.%f")
        self.series = f"{service}#{started}-{uuid.uuid4().hex[:8]}"
        self._subscriptions = subscriptions
        self._store = store
        self._audit = audit
        self._schema = schema
        self._trust = trust
        self._host = host
        self._expiry = expiry
        self._attempts = 1 + retry_attempts(expiry, pace)
        self._clock = clock
        self._lookup = lookup
        self._place = 0
        self._channels: dict[str, _Channel] = {}
        self._readers = Workers(4, "virtmap-indication-queues")
        self._journal: Journal
        self._sender: asyncio.Task[Sender] | None = None
        self._running = False
        self._numbering = asyncio.Lock()

    @property
    def retry_attempts(self) -> int:
        """CIM_IndicationService.DeliveryRetryAttempts."""
        return self._attempts - 1

    async def start(self) -> None:
        """Go on with what waits, and with whatever is published from now on. Failed if the state file cannot be read."""
        found = await self._readers.run(self._store.queues, limit=DISK_LIMIT, what="read the queues of indications")
        waiting = {name: place for name, place in found.items() if not name.startswith(INFORMS)}
        self._place = max(waiting.values(), default=0)
        self._journal = Journal(self._store, self.longest, self._wrote, what="indications", log=log)
        self._running = True
        self._journal.gone(waiting.keys() - self._subscriptions.destinations().keys())
        self._subscriptions.on_change(self._reconcile)
        self._reconcile()

    async def stop(self) -> None:
        """Let what is on its way arrive, for a moment, and leave the rest in the queues. Bounded."""
        if not self._running:
            return
        self._running = False
        tasks = [channel.task for channel in self._channels.values()]
        for channel in self._channels.values():
            channel.finish()
        if tasks:
            await asyncio.wait(tasks, timeout=_ENDING)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with self._numbering:
            pass  # what is being published is among what is to be written now
        await self._journal.stop([one for channel in self._channels.values() for one in channel.loose])
        if self._sender is not None:
            await (await self._sender).close()
        self._readers.close()

    # --- what is sent

    @property
    def listening(self) -> bool:
        """Whether there is any subscription."""
        return self._running and bool(self._subscriptions.active())

    def wanted(self, classname: str, namespace: str) -> bool:
        """Whether anybody may want an indication of this class: if not, it need not be made."""
        return self._running and any(
            a.filter.covers(namespace) and self._is_a(classname, a.filter) for a in self._subscriptions.active()
        )

    async def publish(self, indication: pywbem.CIMInstance, namespace: str) -> int:
        """Send an indication that arose in a namespace to all who want it; gives how many those are. Returns when it is on the
        disk; those published first are sent first."""
        async with self._numbering:
            if not self._running:
                return 0
            wanting = await self._wanting(indication, namespace)
            if not wanting:
                return 0
            messages = await self._messages(wanting, self._dated(indication))
            written = self._journal.put(messages)
        await written
        return len(messages)

    async def _wanting(self, indication: pywbem.CIMInstance, namespace: str) -> list[Active]:
        """The subscriptions that let an indication through. Others have their turn meanwhile."""
        subject = InstanceSubject(self._schema, indication)
        chosen: dict[str, bool] = {}
        wanting = []
        for each in self._subscriptions.active():
            one = each.filter
            if one.key not in chosen:
                if len(chosen) % _TURN == _TURN - 1:
                    await asyncio.sleep(0)
                chosen[one.key] = (
                    one.covers(namespace) and self._is_a(indication.classname, one) and one.query.matches(subject)
                )
            if chosen[one.key]:
                wanting.append(each)
        return wanting

    async def _messages(self, wanting: Iterable[Active], dated: pywbem.CIMInstance) -> list[Queued]:
        """The indication for each of these whose destination is still there. Others have their turn meanwhile."""
        made: list[Queued] = []
        for each in wanting:
            if len(made) % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            if each.destination.id in self._channels:
                made.append(self._message(each.destination, dated, each.filter, each.subscription.id))
        return made

    async def send_test(self, path: pywbem.CIMInstanceName, principal: Principal) -> None:
        """Send a test to the destination with this path, whatever filters say, at once. CimError."""
        target = f"destination {ascii(str(path.get('Name') or '-')[:256])[1:-1]}"
        try:
            if principal.role < Access.OPERATE:
                raise CimError(
                    Status.ACCESS_DENIED,
                    f"{principal.name}: a test needs the role operate, and it has {principal.role.name.lower()}",
                )
            async with self._numbering:
                destination = self._subscriptions.destination(path)
                if not self._running:
                    raise CimError(Status.SERVER_IS_SHUTTING_DOWN, "indications are not delivered now")
                one = self._message(destination, self._dated(_test(self._host, principal)), None, _TEST)
                written = self._journal.put([one])
        except CimError as error:
            await self._audit(principal, TEST_METHOD, target, f"refused: {error.description}")
            error.recorded = True
            raise
        await written
        if (channel := self._channels.get(destination.id)) is not None:
            channel.hurry()
        await self._audit(principal, TEST_METHOD, target, "done")

    async def invoke(self, method: str, parameters: Mapping[str, Any], principal: Principal) -> int:
        """A method of the indication service; parameters go by their names in lower case. Gives its return value. CimError."""
        if method.lower() != TEST_METHOD.lower():
            raise CimError(Status.METHOD_NOT_FOUND, f"the indication service has no method {method[:80]}")
        path = parameters.get("destination")
        if not isinstance(path, pywbem.CIMInstanceName) or len(parameters) > 1:
            raise CimError(Status.INVALID_PARAMETER, f"{TEST_METHOD} has one parameter, Destination, a reference")
        await self.send_test(path, principal)
        return 0

    def counters(self, path: pywbem.CIMInstanceName) -> Counters:
        """What became of the indications for the destination with this path. CimError."""
        return self._channels[self._subscriptions.destination(path).id].counters

    def _is_a(self, classname: str, wanted: Filter) -> bool:
        known, source = self._schema.classes, wanted.query.source.lower()
        return source in known and classname.lower() in known and self._schema.is_a(classname, source)

    def _dated(self, indication: pywbem.CIMInstance) -> pywbem.CIMInstance:
        """The indication with an identifier and a time."""
        dated = pywbem.CIMInstance(indication.classname, properties=indication.properties)
        if dated.get("IndicationIdentifier") is None:
            dated["IndicationIdentifier"] = f"virtmap:{uuid.uuid4()}"
        if dated.get("IndicationTime") is None:
            dated["IndicationTime"] = pywbem.CIMDateTime(datetime.fromtimestamp(self._clock(), UTC))
        return dated

    def _message(
        self, destination: Destination, dated: pywbem.CIMInstance, wanted: Filter | None, reason: str
    ) -> Queued:
        """The indication as it is sent to a destination, at the end of its queue."""
        channel = self._channels[destination.id]
        selected = wanted.query.properties if wanted is not None else None
        stamped = _selected(dated, selected)
        number = channel.number()
        if wanted is not None:
            stamped["IndicationFilterName"] = wanted.name
        stamped["SequenceContext"] = channel.context
        stamped["SequenceNumber"] = pywbem.Sint64(number)
        self._place += 1
        body = message(stamped, str(self._place))
        return Queued(queue=destination.id, place=self._place, at=self._clock(), reason=reason, body=body)

    # --- for the channels

    async def read(self, queue: str, after: int) -> Sequence[Queued] | None:
        """Some of what waits behind a place; None if that cannot be read now."""
        try:
            return await self._readers.run(
                partial(self._store.queued, queue, after, _BATCH), limit=DISK_LIMIT, what="read indications"
            )
        except VirtmapError as error:
            log.error("%s", one_line(str(error)))
            return None

    async def send(self, destination: Destination, one: Queued) -> Verdict:
        if self._sender is None:
            self._sender = asyncio.create_task(self._made_sender())
        return await (await asyncio.shield(self._sender)).send(destination.url, one.body)

    async def _made_sender(self) -> Sender:
        """When there is something to be sent: its library is imported aside, since that takes long."""
        module = await asyncio.to_thread(importlib.import_module, "agent.cim.indications.sender")
        made: Sender = module.Sender(
            self._subscriptions.rules, self._trust, limit=self.pace.answer, lookup=self._lookup
        )
        return made

    def unwanted(self, one: Queued) -> bool:
        """Whether what it was sent for has ended."""
        return one.reason != _TEST and not self._subscriptions.in_force(one.reason)

    def over(self, one: Queued) -> bool:
        """Whether it has waited, or was tried, for long enough."""
        return one.attempts >= self._attempts or self._clock() - one.at > self._expiry

    def tried(self, one: Queued) -> None:
        self._journal.tried(one)

    def done(self, one: Queued) -> None:
        self._journal.done(one)

    async def failing(self, destination: Destination, seconds: float) -> None:
        await self._subscriptions.failing(destination.id, seconds)

    # --- what changes

    def _wrote(self, messages: Sequence[Queued], written: bool, dropped: Mapping[str, int]) -> None:
        for one in messages:
            channel = self._channels.get(one.queue)
            if channel is not None:
                channel.wake() if written else channel.keep(one)
        for queue, count in dropped.items():
            if queue in self._channels:
                self._channels[queue].overflowed(count)

    def _reconcile(self) -> None:
        """Have a channel for each destination, and for no other."""
        if not self._running:
            return
        there = self._subscriptions.destinations()
        gone = self._channels.keys() - there.keys()
        for each in gone:
            self._channels.pop(each).task.cancel()
        if gone:
            self._journal.gone(gone)
        for name, destination in there.items():
            channel = self._channels.get(name)
            if channel is None:
                self._channels[name] = _Channel(self, destination, 0)
            elif channel.destination != destination:
                channel.destination = destination
                channel.hurry()


def _selected(indication: pywbem.CIMInstance, names: Iterable[str] | None) -> pywbem.CIMInstance:
    """The indication with those of its properties that a filter selects, None for all, and those that are sent in any case."""
    kept = None if names is None else {name.lower() for name in names} | _STAMPS
    properties = [p for name, p in indication.properties.items() if kept is None or name.lower() in kept]
    return pywbem.CIMInstance(indication.classname, properties=properties)


def _test(host: str, principal: Principal) -> pywbem.CIMInstance:
    """What a test says."""
    service = interop.service_path(host)
    return pywbem.CIMInstance(
        "CIM_AlertIndication",
        properties={
            "Description": f"A test of the delivery of indications, which {principal.name} asked for.",
            "AlertingManagedElement": service.to_wbem_uri(),
            "AlertingElementFormat": pywbem.Uint16(2),
            "AlertType": pywbem.Uint16(1),
            "OtherAlertType": "Test",
            "PerceivedSeverity": pywbem.Uint16(2),
            "ProbableCause": pywbem.Uint16(1),
            "ProbableCauseDescription": "A test",
            "EventID": "virtmap:test",
            "SystemCreationClassName": "CIM_ComputerSystem",
            "SystemName": host,
            "ProviderName": "virtmap",
        },
    )
