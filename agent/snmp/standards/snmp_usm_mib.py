"""SNMP-USER-BASED-SM-MIB (RFC 3414): messages that the User-based Security Model refused, by reason.

The other half of the module, usmUserTable and the lock beside it, is not served. That table exists for managers to clone
users and to change their keys, and here users and passphrases come from the configuration alone; what would be left of it
is a list of who may log in and by how weak a protocol, which helps nobody but those who would like to. A lock of nothing
would tell a manager that there is something to change. So the description in sysORTable says "statistics".
"""

import functools
from collections.abc import Iterable

from agent.snmp.mib import Oid
from agent.snmp.standards import Place, Standard
from agent.snmp.standards.parts import Quiet, counter
from agent.snmp.usm import Stat
from agent.snmp.view import Column

USM_MIB: Oid = (1, 3, 6, 1, 6, 3, 15)
STATS: Oid = (*USM_MIB, 1, 1)
MODULES = ((USM_MIB, "SNMP-USER-BASED-SM-MIB: statistics only; users are configured in files"),)


def serve(place: Place) -> Standard:
    usm = place.engine.usm

    def columns() -> Iterable[Column]:
        for stat in Stat:
            yield counter((*STATS, stat.value), functools.partial(usm.counters.__getitem__, stat))

    return Quiet(MODULES, columns)
