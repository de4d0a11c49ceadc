"""SNMP-NOTIFICATION-MIB (RFC 3413): which targets get which notifications, as traps or informs; read-only.

A row of snmpNotifyTable for each kind that there is, named like the tag that it picks; a filter profile for each target
that does not get everything, named like the target.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.snmp import ber
from agent.snmp.mib import Oid
from agent.snmp.standards import Place, Standard
from agent.snmp.standards.parts import ACTIVE, READ_ONLY, Made, Quiet, admin_string, implied, octets, prefixed, table
from agent.snmp.standards.snmp_target_mib import Target, by_name
from agent.snmp.standards.snmp_vacm_mib import EXCLUDED, INCLUDED
from agent.snmp.view import Column

NOTIFICATION: Oid = (1, 3, 6, 1, 6, 3, 13)
NOTIFY: Oid = (*NOTIFICATION, 1, 1, 1)
FILTER_PROFILE: Oid = (*NOTIFICATION, 1, 2, 1)
FILTER: Oid = (*NOTIFICATION, 1, 3, 1)
MODULES = ((NOTIFICATION, "SNMP-NOTIFICATION-MIB: notifications and their filters, read-only"),)

LOG_FILTER = "(log)"
"""The profile of the notification log, by a name that no target can have: it lets through everything."""

KINDS = {"trap": ber.encode_integer(1), "inform": ber.encode_integer(2)}

EVERYTHING: Oid = (1,)
"""All notifications that can be: a profile lets through only what it includes, so one that only excludes needs this."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A subtree of notifications that a profile lets through, or keeps back."""

    profile: str
    subtree: Oid
    included: bool


class SnmpNotificationMib:
    """Serves the module in every context. `targets` gives the targets that there are now: the same object until they
    change. `logged` says whether there is a notification log, whose filter is shown too."""

    def __init__(self, targets: Callable[[], Sequence[Target]], *, logged: bool = False) -> None:
        self._columns = Made(targets, lambda now: _tables(now, logged))

    def __call__(self, place: Place) -> Standard:
        return Quiet(MODULES, self._columns)


def _tables(targets: Sequence[Target], logged: bool) -> Iterable[Column]:
    yield from table(NOTIFY, sorted({target.tag for target in targets}), lambda tag: implied(tag.encode()), {
        2: admin_string,
        3: KINDS.__getitem__,
        4: lambda _: READ_ONLY,
        5: lambda _: ACTIVE,
    })  # fmt: skip
    filtered = [target for target in targets if target.include or target.exclude]
    yield from table(FILTER_PROFILE, filtered, by_name, {
        1: lambda target: admin_string(target.name),
        2: lambda _: READ_ONLY,
        3: lambda _: ACTIVE,
    })  # fmt: skip
    filters = [one for target in filtered for one in _filters(target)]
    if logged:
        filters.append(Filter(profile=LOG_FILTER, subtree=EVERYTHING, included=True))
    yield from table(FILTER, filters, lambda one: (*prefixed(one.profile.encode()), *implied(one.subtree)), {
        2: lambda _: octets(b""),
        3: lambda one: INCLUDED if one.included else EXCLUDED,
        4: lambda _: READ_ONLY,
        5: lambda _: ACTIVE,
    })  # fmt: skip


def _filters(target: Target) -> Iterator[Filter]:
    """Of a subtree that is both, the exclusion is shown: what is excluded is not sent."""
    for subtree in target.exclude:
        yield Filter(profile=target.name, subtree=subtree, included=False)
    for subtree in target.include or (EVERYTHING,):
        yield Filter(profile=target.name, subtree=subtree, included=True)
