"""SNMP-FRAMEWORK-MIB (RFC 3411): the engine's name, how often and how long ago it started, and its largest message."""

from collections.abc import Iterable

from agent.snmp import ber
from agent.snmp.mib import Oid
from agent.snmp.standards import Place, Standard
from agent.snmp.standards.parts import Quiet, octets, scalar
from agent.snmp.view import Column

FRAMEWORK: Oid = (1, 3, 6, 1, 6, 3, 10)
ENGINE: Oid = (*FRAMEWORK, 2, 1)
MODULES = ((FRAMEWORK, "SNMP-FRAMEWORK-MIB: the SNMP engine, its name and its clock"),)


def serve(place: Place) -> Standard:
    engine = place.engine

    def columns() -> Iterable[Column]:
        yield scalar((*ENGINE, 1), lambda: octets(engine.engine_id))
        yield scalar((*ENGINE, 2), lambda: ber.encode_integer(engine.boots))
        yield scalar((*ENGINE, 3), lambda: ber.encode_integer(engine.time()))
        yield scalar((*ENGINE, 4), lambda: ber.encode_integer(engine.largest))

    return Quiet(MODULES, columns)
