"""What clients have subscribed to: filters, destinations, and the subscriptions between them (DSP1054), with their rules.

Every change is in the state file when the call returns, and leaves one audit record, refused and failed ones too; one is
made after the other. Filters and destinations are referred to by their keys, and cannot go while a subscription refers to
them. A subscription whose duration has passed is gone for whoever looks, and leaves the file with the next change.

A subscription says what becomes of it when its destination cannot be reached (OnFatalErrorPolicy). One that says nothing
stays, except if its destination is transient: then it goes when that was away for REMOVAL_INTERVAL, or what listeners that
come and go leave behind would never end. A transient destination goes with the last subscription to it that is over or is
given up, but not with one that a client deletes: who does that may delete the destination too, or subscribe again.

What requests are shown is made when it changes, and then kept: as long as nothing changes, it is the same tuple. Only
the time that is left to subscriptions with a duration passes by itself, and is told once a second at most.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import operator
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol, TypeVar

import pywbem

from agent.access import Principal
from agent.cim import interop
from agent.cim.indications import created, destinations, filters
from agent.cim.indications.created import Values
from agent.cim.indications.destinations import Destination
from agent.cim.indications.filters import Filter, Objection
from agent.cim.status import CimError, Status
from agent.config import LOCAL_RECEIVERS, Receivers
from agent.errors import VirtmapError
from agent.operations import one_line
from agent.schema.declare import Access
from agent.workers import Workers

__all__ = [
    "CLASSES",
    "MOST_DESTINATIONS",
    "MOST_FILTERS",
    "MOST_SUBSCRIPTIONS",
    "REMOVAL_INTERVAL",
    "Active",
    "Audit",
    "Store",
    "Subscription",
    "Subscriptions",
]

log = logging.getLogger("virtmap.indications")

T = TypeVar("T")

CLASS = "CIM_IndicationSubscription"

#: The classes that are kept here, in lower case.
CLASSES = frozenset(name.lower() for name in (filters.CLASS, *destinations.CLASSES, CLASS))

MOST_FILTERS = 256
MOST_DESTINATIONS = 64
MOST_SUBSCRIPTIONS = 1024

REMOVAL_INTERVAL = 86_400
"""Seconds that a destination has to fail before a policy is applied, where the subscription does not say."""

WRITE_LIMIT = 5.0
"""Seconds for the disk."""

_ENDING = 1.0
"""Seconds in which changes that are under way may end when the agent does."""

ENABLED, DISABLED = 2, 4
IGNORE, DISABLE, REMOVE = 2, 3, 4
_NO_REPETITION = 2

_CHANGEABLE = frozenset(
    (
        "subscriptionstate", "subscriptionduration", "subscriptioninfo", "onfatalerrorpolicy", "failuretriggertimeinterval",
        "repeatnotificationpolicy",
    )
)  # fmt: skip

_REMAINING = "SubscriptionTimeRemaining"

#: What clients may send with a subscription, but the server alone knows.
_COMPUTED = ("TimeOfLastStateChange", "SubscriptionStartTime", _REMAINING)

_Instances = tuple[pywbem.CIMInstance, ...]

Audit = Callable[[Principal, str, str, str], Awaitable[None]]
"""Records who wanted which operation on what, and how that ended."""

_ITSELF = Principal(name="virtmap", role=Access.ADMINISTER, front_end="cim")


class Store(Protocol):
    """Keeps what was created across restarts. Blocks on the disk, and raises Failed."""

    def created(self, kind: str) -> Mapping[str, str]: ...

    def keep_created(self, put: Iterable[tuple[str, str, str]], gone: Iterable[tuple[str, str]] = ()) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """A subscription: the keys of its filter and destination, and its values but for these and what changes by itself. Times
    are seconds of the epoch; `id` names it among all that there ever were."""

    filter: str
    handler: str
    values: Values
    id: str
    since: float
    changed: float

    @cached_property
    def key(self) -> str:
        return json.dumps([self.filter, self.handler])

    @property
    def enabled(self) -> bool:
        return bool(self.values["SubscriptionState"] == ENABLED)

    @property
    def policy(self) -> int:
        return int(self.values["OnFatalErrorPolicy"])

    @property
    def patience(self) -> int:
        """Seconds that the destination may fail before the policy is applied."""
        return int(self.values["FailureTriggerTimeInterval"])

    @cached_property
    def duration(self) -> int | None:
        """Seconds for which it lasts, None if it does not end."""
        found = self.values.get("SubscriptionDuration")
        return None if found is None else int(found)

    @cached_property
    def end(self) -> float:
        return math.inf if self.duration is None else self.since + self.duration

    def remaining(self, now: float) -> int | None:
        """Whole seconds until it ends, None if it does not."""
        return None if self.duration is None else max(0, min(self.duration, int(self.end - now)))

    def expired(self, now: float) -> bool:
        return now >= self.end

    def instance(self, wanted: Filter, receiver: Destination, now: float) -> pywbem.CIMInstance:
        return created.instance(
            CLASS,
            {
                **self.values,
                "Filter": wanted.path,
                "Handler": receiver.path,
                "TimeOfLastStateChange": _moment(self.changed),
                "SubscriptionStartTime": _moment(self.since),
                _REMAINING: self.remaining(now),
            },
        )

    def told_again(self, shown: pywbem.CIMInstance, now: float) -> pywbem.CIMInstance:
        """Its instance as it was shown before with the time that remains now; the same one if that has not changed."""
        left = self.remaining(now)
        if shown[_REMAINING] == left:
            return shown
        again = shown.copy()
        again.properties[_REMAINING] = pywbem.CIMProperty(_REMAINING, left, type=shown.properties[_REMAINING].type)
        return again


def _moment(at: float) -> pywbem.CIMDateTime:
    return pywbem.CIMDateTime(datetime.fromtimestamp(at, UTC))


class Active(NamedTuple):
    """A subscription that is in force, and what it is between."""

    subscription: Subscription
    filter: Filter
    destination: Destination


class Subscriptions:
    """Those of one server. Lives in the event loop's thread; what was kept is read when it is made.

    `rules` tell which destinations are allowed, `objection` why no indication can match a query, and `clock` the time in
    seconds of the epoch. A keeper of instances, as agent.cim.answers has it.
    """

    def __init__(
        self, store: Store, audit: Audit, *, host: str, rules: Sequence[Receivers] = LOCAL_RECEIVERS,
        objection: Objection = lambda query: None, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._store = store
        self._audit = audit
        self._host = host
        self.rules = tuple(rules)
        self._objection = objection
        self._clock = clock
        self._lock = asyncio.Lock()
        self._workers = Workers(1, "virtmap-subscriptions")
        self._watchers: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._filters: dict[str, Filter] = {each.key: each for each in filters.static_filters(host, objection)}
        self._destinations: dict[str, Destination] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._load()
        self._rendered: dict[str, tuple[Subscription, pywbem.CIMInstance]] = {}  # by keys
        self._timed: list[Subscription] = []  # those that change by themselves
        self._lasting: _Instances = ()
        self._shown: _Instances = ()
        self._shown_while = (math.inf, -math.inf)  # from when, and until when, that is right
        self._ties: dict[str, pywbem.CIMInstance] = {}
        self._associated: _Instances = ()
        self._by_id: dict[str, Active] = {}
        self._unrecorded: list[str] = []  # destinations that went by themselves
        self._render()

    # --- what there is

    @property
    def classes(self) -> frozenset[str]:
        return CLASSES

    def instances(self) -> tuple[pywbem.CIMInstance, ...]:
        """All filters, destinations and subscriptions, with their paths: the same tuple as long as they are the same."""
        now = self._clock()
        begin, end = self._shown_while
        if not begin <= now < end:
            self._show(now)
        return self._shown

    def associations(self) -> tuple[pywbem.CIMInstance, ...]:
        """How the indication service and what it manages are associated: the same tuple as long as that is the same."""
        return self._associated

    def active(self) -> list[Active]:
        """The subscriptions that are in force now."""
        now = self._clock()
        return [each for each in self._by_id.values() if not each.subscription.expired(now)]

    def in_force(self, subscription_id: str) -> bool:
        """Whether a subscription is still there, enabled, and not over."""
        found = self._by_id.get(subscription_id)
        return found is not None and not found.subscription.expired(self._clock())

    def destinations(self) -> Mapping[str, Destination]:
        """All destinations by their ids."""
        return {each.id: each for each in self._destinations.values()}

    def destination(self, path: pywbem.CIMInstanceName) -> Destination:
        """The destination with this path; NOT_FOUND."""
        found = self._destinations.get(created.key_of(path)) if created.ours(path) else None
        if found is None:
            raise CimError(Status.NOT_FOUND, f"there is no destination {_called(path)}")
        return found

    def on_change(self, watcher: Callable[[], None]) -> None:
        """Have this called after each change, in the loop's thread."""
        self._watchers.append(watcher)

    async def stop(self) -> None:
        """Let changes that are under way come to their end, for a moment. Bounded."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_ENDING)
        self._workers.close()

    # --- changes

    async def create(self, instance: pywbem.CIMInstance, principal: Principal) -> pywbem.CIMInstanceName:
        """Create a filter, a destination or a subscription, and give its path. CimError."""
        target = f"{instance.classname} {_called(instance)}"
        return await self._recorded(principal, "CreateInstance", target, partial(self._create, instance))

    async def modify(
        self, instance: pywbem.CIMInstance, properties: frozenset[str] | None, principal: Principal
    ) -> None:
        """Change those of these properties (in lower case; None for all that are there) that differ. CimError."""
        target = f"{instance.path.classname} {_called(instance.path)}"
        await self._recorded(principal, "ModifyInstance", target, partial(self._modify, instance, properties))

    async def delete(self, path: pywbem.CIMInstanceName, principal: Principal) -> None:
        """Delete one. CimError; FAILED if a subscription refers to it."""
        target = f"{path.classname} {_called(path)}"
        await self._recorded(principal, "DeleteInstance", target, partial(self._delete, path))

    async def failing(self, destination_id: str, seconds: float) -> None:
        """The destination has failed for so long: disable or remove the subscriptions that want it so. It is logged if that
        cannot be written."""
        ending = [s for s in self._subscriptions.values() if self._gives_up(s, destination_id, seconds)]
        for each, target in [(s, f"{CLASS} {self._described(s)}") for s in ending]:
            operation = "DisableSubscription" if each.policy == DISABLE else "RemoveSubscription"
            try:
                await self._recorded(_ITSELF, operation, target, partial(self._give_up, each))
            except CimError as error:
                log.error("%s: %s: %s", operation, one_line(target), one_line(error.description))

    # --- creating

    async def _create(self, instance: pywbem.CIMInstance) -> pywbem.CIMInstanceName:
        name = instance.classname.lower()
        if name == filters.CLASS.lower():
            return await self._create_filter(created.values(instance))
        if name == CLASS.lower():
            return await self._create_subscription(created.values(instance))
        for classname in destinations.CLASSES:
            if name == classname.lower():
                return await self._create_destination(classname, created.values(instance))
        raise CimError(Status.NOT_SUPPORTED, f"instances of {instance.classname} cannot be created")

    async def _create_filter(self, found: Values) -> pywbem.CIMInstanceName:
        made = filters.made(found, self._host, self._objection)
        self._check_new(self._filters, made.key, f"{filters.CLASS} {made.name}", MOST_FILTERS)
        await self._keep([_filter_row(made)])
        self._filters[made.key] = made
        return deepcopy(made.path)

    async def _create_destination(self, classname: str, found: Values) -> pywbem.CIMInstanceName:
        made = destinations.made(classname, found, self._host, id=uuid.uuid4().hex, since=self._clock())
        self._check_new(self._destinations, made.key, f"{classname} {made.name}", MOST_DESTINATIONS)
        self._check_allowed(made)
        await self._keep([_destination_row(made)])
        self._destinations[made.key] = made
        return deepcopy(made.path)

    async def _create_subscription(self, found: Values) -> pywbem.CIMInstanceName:
        wanted = _referred(found, "Filter", self._filters)
        receiver = _referred(found, "Handler", self._destinations)
        if not wanted.values["IndividualSubscriptionSupported"]:
            raise CimError(Status.NOT_SUPPORTED, f"the filter {wanted.name} cannot be subscribed to by itself")
        now = self._clock()
        made = Subscription(
            filter=wanted.key, handler=receiver.key, values=_settled(found, transient=receiver.transient),
            id=uuid.uuid4().hex, since=now, changed=now,
        )  # fmt: skip
        self._check_new(self._subscriptions, made.key, f"{CLASS} {self._described(made)}", MOST_SUBSCRIPTIONS)
        await self._keep([_subscription_row(made)])
        self._subscriptions[made.key] = made
        return created.path(CLASS, {"Filter": deepcopy(wanted.path), "Handler": deepcopy(receiver.path)})

    def _check_new(self, there: Mapping[str, object], key: str, what: str, most: int) -> None:
        if key in there:
            raise CimError(Status.ALREADY_EXISTS, f"there is a {what} already")
        if len(there) >= most:
            raise CimError(Status.SERVER_LIMITS_EXCEEDED, f"{what} would be one more than the {most} that there can be")

    def _check_allowed(self, destination: Destination) -> None:
        if why := destinations.refusal(destination.url, self.rules):
            raise CimError(Status.ACCESS_DENIED, f"Destination: {why}")

    # --- modifying

    async def _modify(self, instance: pywbem.CIMInstance, properties: frozenset[str] | None) -> None:
        where = instance.path
        change = partial(_overlaid, instance=instance, properties=properties)
        match self._found(where):
            case Filter() as old:
                if old.static:
                    raise CimError(Status.NOT_SUPPORTED, f"{old.name} is a static filter, which cannot be changed")
                values = change(old.instance, old.values, filters.CHANGEABLE)
                made = filters.made(values, self._host, self._objection)
                await self._keep([_filter_row(made)])
                self._filters[made.key] = made
            case Destination() as old:
                values = change(old.instance, old.values, destinations.CHANGEABLE)
                moved = destinations.made(old.classname, values, self._host, id=old.id, since=old.since)
                self._check_allowed(moved)
                await self._keep([_destination_row(moved)])
                self._destinations[moved.key] = moved
            case Subscription() as old:
                now = self._clock()
                values = change(self._shown_subscription(old, now), old.values, _CHANGEABLE)
                settled = _settled(values, transient=self._destinations[old.handler].transient)
                changed = old.changed if settled["SubscriptionState"] == old.values["SubscriptionState"] else now
                await self._replace(replace(old, values=settled, changed=changed))

    async def _replace(self, made: Subscription) -> None:
        await self._keep([_subscription_row(made)])
        self._subscriptions[made.key] = made

    # --- deleting

    async def _delete(self, path: pywbem.CIMInstanceName) -> None:
        match self._found(path):
            case Filter() as old:
                if old.static:
                    raise CimError(Status.NOT_SUPPORTED, f"{old.name} is a static filter, which cannot be deleted")
                self._check_unused(f"the filter {old.name}", lambda s: s.filter == old.key)
                await self._keep([], [("filter", old.key)])
                del self._filters[old.key]
            case Destination() as old:
                self._check_unused(f"the destination {old.name}", lambda s: s.handler == old.key)
                await self._keep([], [("destination", old.key)])
                del self._destinations[old.key]
            case Subscription() as old:
                await self._remove(old)

    def _check_unused(self, what: str, refers: Callable[[Subscription], bool]) -> None:
        using = [s for s in self._subscriptions.values() if refers(s)]
        if using:
            more = f" and {len(using) - 1} more" if len(using) > 1 else ""
            raise CimError(
                Status.FAILED, f"{what} is in use: delete the subscription {self._described(using[0])}{more} first"
            )

    async def _remove(self, old: Subscription) -> None:
        await self._keep([], [("subscription", old.key)])
        del self._subscriptions[old.key]

    async def _end(self, over: Sequence[Subscription]) -> None:
        """Remove subscriptions, and the transient destinations that nobody uses any more then."""
        ending = {s.key for s in over}
        used = {s.handler for s in self._subscriptions.values() if s.key not in ending}
        left = [self._destinations[key] for key in dict.fromkeys(s.handler for s in over) if key not in used]
        unused = [each for each in left if each.transient]
        await self._keep([], [*(("subscription", s.key) for s in over), *(("destination", d.key) for d in unused)])
        for subscription in over:
            del self._subscriptions[subscription.key]
        for destination in unused:
            del self._destinations[destination.key]
            self._unrecorded.append(f"{destination.classname} {destination.name}")

    # --- giving up

    def _gives_up(self, subscription: Subscription, destination_id: str, seconds: float) -> bool:
        return (
            self._destinations[subscription.handler].id == destination_id
            and subscription.enabled
            and subscription.policy in (DISABLE, REMOVE)
            and seconds >= subscription.patience
        )

    async def _give_up(self, old: Subscription) -> None:
        if self._subscriptions.get(old.key) != old:
            return  # it was changed meanwhile, or has gone
        log.warning("subscription %s: its destination has failed for too long", one_line(self._described(old)))
        if old.policy == REMOVE:
            await self._end([old])
        else:
            values = {**old.values, "SubscriptionState": DISABLED}
            await self._replace(replace(old, values=values, changed=self._clock()))

    # --- all of them

    async def _recorded(
        self, principal: Principal, operation: str, target: str, change: Callable[[], Awaitable[T]]
    ) -> T:
        """Make a change, if the principal may, to its end and its record even if nobody waits for it any more."""
        task = asyncio.ensure_future(self._made(principal, operation, target, change))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _made(self, principal: Principal, operation: str, target: str, change: Callable[[], Awaitable[T]]) -> T:
        try:
            if principal.role < Access.OPERATE:
                raise CimError(
                    Status.ACCESS_DENIED,
                    f"{principal.name}: subscriptions need the role operate, and it has {principal.role.name.lower()}",
                )
            result = await self._alone(change)
        except CimError as error:
            await self._audit(principal, operation, target, f"refused: {error.description}")
            error.recorded = True
            raise
        await self._audit(principal, operation, target, "done")
        return result

    async def _alone(self, change: Callable[[], Awaitable[T]]) -> T:
        try:
            async with self._lock:
                await self._sweep()
                try:
                    return await change()
                finally:
                    self._changed()
        finally:
            while self._unrecorded:
                await self._audit(_ITSELF, "RemoveDestination", self._unrecorded.pop(0), "done")

    def _changed(self) -> None:
        self._render()
        for watcher in self._watchers:
            watcher()

    async def _sweep(self) -> None:
        """Forget the subscriptions that are over."""
        now = self._clock()
        over = [s for s in self._subscriptions.values() if s.expired(now)]
        if not over:
            return
        described = [one_line(self._described(each)) for each in over]
        await self._end(over)
        for each in described:
            log.info("subscription %s is over", each)
        self._changed()

    async def _keep(self, put: Sequence[tuple[str, str, str]], gone: Sequence[tuple[str, str]] = ()) -> None:
        try:
            await self._workers.run(
                partial(self._store.keep_created, put, gone), limit=WRITE_LIMIT, what="keep subscriptions"
            )
        except VirtmapError as error:
            raise CimError(Status.FAILED, str(error)) from error

    def _found(self, path: pywbem.CIMInstanceName) -> Filter | Destination | Subscription:
        """What has this path; NOT_FOUND."""
        found: Filter | Destination | Subscription | None = None
        if created.ours(path):
            if path.classname.lower() == CLASS.lower():
                found = self._subscriptions.get(_pair(path) or "")
                found = None if found is None or found.expired(self._clock()) else found
            else:
                key = created.key_of(path)
                found = self._filters.get(key) or self._destinations.get(key)
        if found is None:
            raise CimError(Status.NOT_FOUND, f"there is no {path.classname} {_called(path)}")
        return found

    def _shown_subscription(self, one: Subscription, now: float) -> pywbem.CIMInstance:
        return one.instance(self._filters[one.filter], self._destinations[one.handler], now)

    def _described(self, one: Subscription) -> str:
        return f"of {self._filters[one.filter].name} to {self._destinations[one.handler].name}"

    # --- what is shown

    def _render(self) -> None:
        """Make what has changed anew, and keep the rest."""
        managed: list[Filter | Destination] = [*self._filters.values(), *self._destinations.values()]
        old, now = self._rendered, self._clock()
        self._rendered = {
            key: old[key] if key in old and old[key][0] is one else (one, self._shown_subscription(one, now))
            for key, one in self._subscriptions.items()
        }
        self._timed = [s for s in self._subscriptions.values() if s.duration is not None]
        lasting = (shown for one, shown in self._rendered.values() if one.duration is None)
        self._lasting = (*(each.instance for each in managed), *lasting)
        ties = self._ties
        self._ties = {
            m.key: ties[m.key] if m.key in ties else interop.affects(self._host, m.path) for m in managed
        }  # fmt: skip
        self._associated = _unchanged(self._associated, tuple(self._ties.values()))
        self._by_id = {
            one.id: Active(one, self._filters[one.filter], self._destinations[one.handler])
            for one in self._subscriptions.values()
            if one.enabled
        }
        self._show(now)

    def _show(self, now: float) -> None:
        """Tell those that end how much time remains, and leave out those that have ended."""
        there = [one for one in self._timed if not one.expired(now)]
        for one in there:
            self._rendered[one.key] = (one, one.told_again(self._rendered[one.key][1], now))
        self._shown = _unchanged(self._shown, (*self._lasting, *(self._rendered[one.key][1] for one in there)))
        change = min([math.floor(now) + 1, *(one.end for one in there)]) if there else math.inf
        self._shown_while = (now if self._timed else -math.inf, change)

    # --- reading what was kept

    def _load(self) -> None:
        for kind, read in (
            ("filter", self._load_filter),
            ("destination", self._load_destination),
            ("subscription", self._load_subscription),
        ):
            for name, content in self._store.created(kind).items():
                try:
                    read(json.loads(content))
                except (CimError, ValueError, KeyError, TypeError) as error:
                    what, why = one_line(name), one_line(str(error))
                    log.error("the %s %s that was kept is of no use any more: %s", kind, what, why)

    def _load_filter(self, kept: Any) -> None:
        made = filters.made(kept["values"], self._host, lambda query: None)
        self._filters[made.key] = made

    def _load_destination(self, kept: Any) -> None:
        made = destinations.made(kept["class"], kept["values"], self._host, id=kept["id"], since=kept["since"])
        self._destinations[made.key] = made

    def _load_subscription(self, kept: Any) -> None:
        made = Subscription(**kept)
        if made.filter not in self._filters or made.handler not in self._destinations:
            raise ValueError("its filter or destination is not there")
        self._subscriptions[made.key] = made


def _unchanged(old: _Instances, new: _Instances) -> _Instances:
    """The old ones if the new ones are the same objects."""
    return old if len(old) == len(new) and all(map(operator.is_, old, new)) else new


# --- values of a subscription -----------------------------------------------------------------------------------------


def _settled(found: Values, *, transient: bool) -> dict[str, Any]:
    """The values of a subscription, with what stands for those that are missing. CimError for those that cannot be."""
    left = {n: v for n, v in found.items() if n not in (*_COMPUTED, "Filter", "Handler")}
    for name in ("RepeatNotificationInterval", "RepeatNotificationGap", "RepeatNotificationCount"):
        if name in left:
            raise CimError(Status.NOT_SUPPORTED, f"{name} is for policies of repetition that are not supported here")
    for name in ("OtherOnFatalErrorPolicy", "OtherSubscriptionState", "OtherRepeatNotificationPolicy"):
        if name in left:
            raise CimError(Status.INVALID_PARAMETER, f"{name} has no place here, where nothing can be Other")
    usual = REMOVE if transient else IGNORE
    choose = partial(created.choice, left)
    return {
        **left,
        "SubscriptionState": choose(
            "SubscriptionState", ENABLED, supported=(ENABLED, DISABLED), known=(0, 1, 3)
        ),
        "OnFatalErrorPolicy": choose(
            "OnFatalErrorPolicy", usual, supported=(IGNORE, DISABLE, REMOVE), known=(1,)
        ),
        "FailureTriggerTimeInterval": left.get("FailureTriggerTimeInterval", REMOVAL_INTERVAL),
        "RepeatNotificationPolicy": choose(
            "RepeatNotificationPolicy", _NO_REPETITION, supported=(_NO_REPETITION,), known=(0, 1, 3, 4)
        ),
    }  # fmt: skip


def _overlaid(
    shown: pywbem.CIMInstance, old: Values, changeable: frozenset[str], *, instance: pywbem.CIMInstance,
    properties: frozenset[str] | None,
) -> dict[str, Any]:  # fmt: skip
    """The old values with those that the client has changed. As in agent.cim.writing, what cannot be changed is passed over
    if it was not asked for by name and something else is."""
    given = {name.lower(): value for name, value in created.values(instance).items()}
    sent = {name.lower() for name in instance.properties}
    wanted = sent if properties is None else sent & properties
    bound = {name.lower() for name in shown.path.keybindings}
    values = dict(old)
    fixed = []
    for prop in shown.properties.values():
        lower = prop.name.lower()
        if lower not in wanted or _same(given.get(lower), prop.value):
            continue
        if lower in bound:
            raise CimError(Status.INVALID_PARAMETER, f"{prop.name} is a key, and cannot be changed")
        if lower not in changeable:
            fixed.append(prop.name)
        elif given.get(lower) is None:
            values.pop(prop.name, None)
        else:
            values[prop.name] = given[lower]
    if fixed and (properties is not None or values == dict(old)):
        raise CimError(Status.NOT_SUPPORTED, f"{shown.classname}: {', '.join(fixed[:5])} cannot be changed")
    return values


def _same(wanted: Any, now: Any) -> bool:
    if isinstance(wanted, pywbem.CIMInstanceName) and isinstance(now, pywbem.CIMInstanceName):
        return created.key_of(wanted) == created.key_of(now)
    if isinstance(now, pywbem.CIMDateTime):
        return bool(wanted == str(now))
    return bool(wanted == now)


# --- paths ------------------------------------------------------------------------------------------------------------


R = TypeVar("R", Filter, Destination)


def _referred(found: Values, name: str, there: Mapping[str, R]) -> R:
    """What a reference of a subscription to be created refers to."""
    path = found.get(name)
    if path is None:
        raise CimError(Status.INVALID_PARAMETER, f"a subscription needs its {name}")
    referred = there.get(created.key_of(path)) if created.ours(path) else None
    if referred is None:
        raise CimError(Status.INVALID_PARAMETER, f"{name}: there is no {path.classname} {_called(path)}")
    return referred


def _pair(path: pywbem.CIMInstanceName) -> str | None:
    """The key of the subscription with this path; None if it is no path of one."""
    ends = {str(name).lower(): value for name, value in path.keybindings.items()}
    wanted, receiver = ends.get("filter"), ends.get("handler")
    if not isinstance(wanted, pywbem.CIMInstanceName) or not isinstance(receiver, pywbem.CIMInstanceName):
        return None
    if not created.ours(wanted) or not created.ours(receiver):
        return None
    return json.dumps([created.key_of(wanted), created.key_of(receiver)])


def _called(what: Any) -> str:
    """What an instance or a path is called, for messages: its name, or those of its ends."""
    ends = [what.get(end) for end in ("Filter", "Handler")]
    if all(isinstance(end, pywbem.CIMInstanceName) for end in ends):
        return f"of {_called(ends[0])} to {_called(ends[1])}"
    return ascii(str(what.get("Name") or "-")[:256])[1:-1]


# --- rows of the state file -------------------------------------------------------------------------------------------


def _filter_row(one: Filter) -> tuple[str, str, str]:
    return ("filter", one.key, json.dumps({"values": one.values}))


def _destination_row(one: Destination) -> tuple[str, str, str]:
    content = {"class": one.classname, "id": one.id, "since": one.since, "values": one.values}
    return ("destination", one.key, json.dumps(content))


def _subscription_row(one: Subscription) -> tuple[str, str, str]:
    content = {
        "filter": one.filter, "handler": one.handler, "id": one.id, "since": one.since, "changed": one.changed,
        "values": one.values,
    }  # fmt: skip
    return ("subscription", one.key, json.dumps(content))
