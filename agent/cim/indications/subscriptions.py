"""What clients have subscribed to: filters, destinations, and the subscriptions between them (DSP1054), with their rules.

Every change is in the state file when the call returns, and leaves one audit record, refused and failed ones too; one is
made after the other. Filters and destinations are referred to by their keys, and cannot go while a subscription refers to
them. A subscription whose duration has passed is gone for whoever looks, and leaves the file with the next change.

A subscription says what becomes of it when its destination cannot be reached (OnFatalErrorPolicy). One that says nothing
stays, except if its destination is transient: then it goes when that was away for REMOVAL_INTERVAL, or what listeners that
come and go leave behind would never end.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
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

ENABLED, DISABLED = 2, 4
IGNORE, DISABLE, REMOVE = 2, 3, 4
_NO_REPETITION = 2

_CHANGEABLE = frozenset(
    (
        "subscriptionstate", "subscriptionduration", "subscriptioninfo", "onfatalerrorpolicy", "failuretriggertimeinterval",
        "repeatnotificationpolicy",
    )
)  # fmt: skip

#: What clients may send with a subscription, but the server alone knows.
_COMPUTED = ("TimeOfLastStateChange", "SubscriptionStartTime", "SubscriptionTimeRemaining")

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

    @property
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

    def remaining(self, now: float) -> float | None:
        """Seconds until it ends, None if it does not."""
        duration = self.values.get("SubscriptionDuration")
        return None if duration is None else self.since + duration - now

    def expired(self, now: float) -> bool:
        left = self.remaining(now)
        return left is not None and left <= 0

    def instance(self, wanted: Filter, receiver: Destination, now: float) -> pywbem.CIMInstance:
        left = self.remaining(now)
        return created.instance(
            CLASS,
            {
                **self.values,
                "Filter": wanted.path,
                "Handler": receiver.path,
                "TimeOfLastStateChange": _moment(self.changed),
                "SubscriptionStartTime": _moment(self.since),
                "SubscriptionTimeRemaining": None if left is None else max(0, int(left)),
            },
        )


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
        self._shown: list[pywbem.CIMInstance] = []
        self._associated: list[pywbem.CIMInstance] = []
        self._render()

    # --- what there is

    @property
    def classes(self) -> frozenset[str]:
        return CLASSES

    def instances(self) -> Sequence[pywbem.CIMInstance]:
        """All filters, destinations and subscriptions, with their paths."""
        now = self._clock()
        found = [self._shown_subscription(s, now) for s in self._subscriptions.values() if not s.expired(now)]
        return [*self._shown, *found]

    def associations(self) -> Sequence[pywbem.CIMInstance]:
        """How the indication service and what it manages are associated."""
        return self._associated

    def active(self) -> list[Active]:
        """The subscriptions that are in force now."""
        now = self._clock()
        return [
            Active(s, self._filters[s.filter], self._destinations[s.handler])
            for s in self._subscriptions.values()
            if s.enabled and not s.expired(now)
        ]

    def in_force(self, subscription_id: str) -> bool:
        """Whether a subscription is still there, enabled, and not over."""
        now = self._clock()
        return any(s.id == subscription_id and s.enabled and not s.expired(now) for s in self._subscriptions.values())

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
        """Let changes that are under way come to their end. Bounded by the disk's limit."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=WRITE_LIMIT)
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
        for each in [s for s in self._subscriptions.values() if self._gives_up(s, destination_id, seconds)]:
            operation = "DisableSubscription" if each.policy == DISABLE else "RemoveSubscription"
            target = f"{CLASS} {self._described(each)}"
            try:
                await self._recorded(_ITSELF, operation, target, partial(self._give_up, each))
            except CimError as error:
                log.error("%s: %s: %s", operation, target, error.description)

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
        return made.path

    async def _create_destination(self, classname: str, found: Values) -> pywbem.CIMInstanceName:
        made = destinations.made(classname, found, self._host, id=uuid.uuid4().hex, since=self._clock())
        self._check_new(self._destinations, made.key, f"{classname} {made.name}", MOST_DESTINATIONS)
        self._check_allowed(made)
        await self._keep([_destination_row(made)])
        self._destinations[made.key] = made
        return made.path

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
        return made.instance(wanted, receiver, now).path

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
                values = change(old.instance(), old.values, filters.CHANGEABLE)
                made = filters.made(values, self._host, self._objection)
                await self._keep([_filter_row(made)])
                self._filters[made.key] = made
            case Destination() as old:
                values = change(old.instance(), old.values, destinations.CHANGEABLE)
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
        log.warning("subscription %s: its destination has failed for too long", self._described(old))
        if old.policy == REMOVE:
            await self._remove(old)
        else:
            values = {**old.values, "SubscriptionState": DISABLED}
            await self._replace(replace(old, values=values, changed=self._clock()))

    # --- all of them

    async def _recorded(
        self, principal: Principal, operation: str, target: str, change: Callable[[], Awaitable[T]]
    ) -> T:
        """Make a change, if the principal may, to its end even if nobody waits for it any more."""
        try:
            if principal.role < Access.OPERATE:
                raise CimError(
                    Status.ACCESS_DENIED,
                    f"{principal.name}: subscriptions need the role operate, and it has {principal.role.name.lower()}",
                )
            task = asyncio.ensure_future(self._alone(change))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            result = await asyncio.shield(task)
        except CimError as error:
            await self._audit(principal, operation, target, f"refused: {error.description}")
            error.recorded = True
            raise
        await self._audit(principal, operation, target, "done")
        return result

    async def _alone(self, change: Callable[[], Awaitable[T]]) -> T:
        async with self._lock:
            await self._sweep()
            try:
                return await change()
            finally:
                self._render()
                for watcher in self._watchers:
                    watcher()

    async def _sweep(self) -> None:
        """Forget the subscriptions that are over."""
        now = self._clock()
        over = [s for s in self._subscriptions.values() if s.expired(now)]
        if over:
            await self._keep([], [("subscription", s.key) for s in over])
        for each in over:
            log.info("subscription %s is over", self._described(each))
            del self._subscriptions[each.key]

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

    def _render(self) -> None:
        filtering = [each.instance() for each in self._filters.values()]
        self._shown = [*filtering, *(each.instance() for each in self._destinations.values())]
        self._associated = [interop.affects(self._host, each.path) for each in self._shown]

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
                    log.error("the %s %s that was kept is of no use any more: %s", kind, name, error)

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
