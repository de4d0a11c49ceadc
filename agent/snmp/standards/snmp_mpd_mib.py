"""SNMP-MPD-MIB (RFC 3412): messages that the dispatcher could not make anything of."""

from collections.abc import Iterable

from agent.snmp.mib import Oid
from agent.snmp.standards import Place, Standard
from agent.snmp.standards.parts import Quiet, counter
from agent.snmp.view import Column

MPD: Oid = (1, 3, 6, 1, 6, 3, 11)
STATS: Oid = (*MPD, 2, 1)
MODULES = ((MPD, "SNMP-MPD-MIB: messages that the dispatcher had to drop"),)


def serve(place: Place) -> Standard:
    counts = place.engine.statistics

    def columns() -> Iterable[Column]:
        yield counter((*STATS, 1), lambda: counts.snmpUnknownSecurityModels)
        yield counter((*STATS, 2), lambda: counts.snmpInvalidMsgs)
        yield counter((*STATS, 3), lambda: counts.snmpUnknownPDUHandlers)

    return Quiet(MODULES, columns)
