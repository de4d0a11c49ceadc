"""From an event to the notices that tell it: the mapping's own, and those that each standard makes.

When and in which order events are told is decided by agent.events. What a notice of the mapping holds is the OBJECTS of its
NOTIFICATION-TYPE, all of them, in order: columns of the event's row as they are now, then the event's own objects; each with
the index of the row as its instance. The rule for what is missing:

* The row is gone, as a transient domain that stopped is: its columns and its index are those that were seen last.
* The row was never read: its key tells what it can, the rest is not known, and the index is 0, which no row has.
* A value that is not known is NULL (unSpecified, RFC 3416, section 3): an empty text or a zero would say something.
"""

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agent.driver import Happened
from agent.events import Announcement, Events, Seen, nowhere
from agent.schema.declare import Key, Row, Severity
from agent.snapshot import Arc, Values
from agent.snmp import ber
from agent.snmp.message import varbind
from agent.snmp.mib import Mib, MibNotification, MibObject, Module, Oid
from agent.snmp.notice import Later, Notice, Varbind
from agent.snmp.standards import Standard
from agent.snmp.view import Encoder, encoder

log = logging.getLogger("virtmap.notifications")

NULL = ber.element(ber.NULL, b"")


class _Shown(NamedTuple):
    """One object of a notification: its OID without instance, that as contents octets, how it is encoded, which field it shows,
    and where that stands among the values of the row, or of the event."""

    oid: Oid
    head: bytes
    encode: Encoder
    field: str
    place: int
    of_row: bool


class Native:
    """Makes the notices of the mapping's own notifications."""

    def __init__(self, mib: Mib) -> None:
        own = {o.name: o for m in mib.modules for o in m.event_objects}
        self._notifications = {
            n.event: (n.oid, tuple(_shown(m, n, own))) for m in mib.modules for n in m.notifications
        }  # fmt: skip

    def notice(
        self, happened: Happened, last: Seen | None, hypervisor: str | None = None, domain: str | None = None
    ) -> Notice:
        """The notice of an event. `last` is the row as it is now, or as it was last seen; None if it never was. `domain` is the
        name of the domain that it is about."""
        event = happened.event
        oid, shown = self._notifications[type(event)]
        arcs = last.arcs if last is not None else nowhere(event.on)
        values: Any = last.values if last is not None else _bare(event.on, happened.key)
        severity = getattr(event, "severity", None) or event.perceived
        return Notice(
            oid=oid,
            varbinds=Later(len(shown), functools.partial(_bound, shown, arcs, values, event.values)),
            encoded=functools.partial(_encoded, shown, arcs, values, event.values),
            hypervisor=hypervisor,
            severity=severity if type(severity) is Severity else Severity(severity),
            kind=event.on.__name__.lower(),
            domain=domain,
        )


def _shown(module: Module, notification: MibNotification, own: Mapping[str, MibObject]) -> Iterator[_Shown]:
    """The objects of a notification, in order; `own` are those that only notifications have, by name."""
    columns = {o.name: o for t in module.tables if t.row is notification.event.on for o in t.objects}
    for name in notification.objects:
        found = columns.get(name) or own[name]
        if found.field is not None:
            of_row = name in columns
            place = (notification.event.on if of_row else notification.event).positions[found.field.name]
            head = ber.oid_contents(found.oid)
            yield _Shown(found.oid, head, encoder(found.field.semantic), found.field.name, place, of_row)


def _bound(shown: Sequence[_Shown], arcs: Arc, row: Values, event: Values) -> Sequence[Varbind]:
    """Instances of these objects, with the elements of their values: those of the row, or the event's own."""
    return [((*one.oid, *arcs), _element(one, (row if one.of_row else event)[one.place])) for one in shown]


def _encoded(shown: Sequence[_Shown], arcs: Arc, row: Values, event: Values) -> bytes:
    """The same as it travels."""
    suffix = ber.suffix_contents(arcs)
    return b"".join(
        [varbind(one.head + suffix, _element(one, (row if one.of_row else event)[one.place])) for one in shown]
    )


def _element(shown: _Shown, value: Any) -> bytes:
    if value is None:
        return NULL
    try:
        return shown.encode(value) or NULL
    except (ValueError, OverflowError, TypeError, AttributeError) as error:
        # A driver broke its contract. One value is lost, said in the log, and the notice goes on.
        log.error("%s: cannot show %r: %s", shown.field, value, error)
        return NULL


def _bare(row: type[Row], key: Key) -> Values:
    """The values of a row of which nothing is known but its key."""
    known = dict(zip((f.position for f in row.key_fields()), key, strict=True))
    return tuple(known.get(f.position) for f in row.fields)


class Herald:
    """Tells what happens at one hypervisor, by `tell`, in the loop's thread.

    `wanted` says whether anybody is to be told, `noted` whether it is written down at least; while nobody does either, events
    cost nothing. `after` is called when some were told in a row.
    """

    def __init__(
        self,
        events: Events,
        mib: Mib,
        tell: Callable[[Notice], None],
        *,
        standards: Sequence[Standard] = (),
        wanted: Callable[[], bool] = lambda: True,
        noted: Callable[[], bool] = lambda: False,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._native = Native(mib)
        self._tell = tell
        self._standards = [standard for standard in standards if standard.tells]
        events.on_told(self._announced, wanted=wanted, noted=noted, after=after)

    def _announced(self, told: Announcement) -> None:
        self._pass_on(lambda: [self._native.notice(told.happened, told.last, told.hypervisor, told.domain)])
        for standard in self._standards:
            self._pass_on(functools.partial(standard.notices, told.happened, told.snapshot))

    def _pass_on(self, make: Callable[[], Any]) -> None:
        try:
            for notice in make():
                self._tell(notice)
        except Exception:
            log.exception("an event was not told: a fault of the agent")
