"""The methods of CIM_MessageLog: the records of a log, one after the other, and ClearLog.

An iteration is nothing but the number of a record, so nobody keeps it: the identifier holds the number, and a digest by which
it is known that this server made it, and for this log. Numbers of records only grow while the agent runs; whatever becomes of
the records meanwhile, an iteration goes on with the first that has its number or a greater one. If even the last has a number
that is too small by more than one, they have been counted anew, and it goes on with the first of them.
"""

from __future__ import annotations

import enum
import hashlib
import re
from bisect import bisect_left
from collections.abc import Mapping

from agent.access import Principal
from agent.cim.arguments import Parameters
from agent.cim.classes import PREFIX
from agent.cim.messages import Value, value_parameter
from agent.cim.profiles.logs import MESSAGES
from agent.cim.status import CimError, Status, from_core
from agent.cim.world import Found, World, children
from agent.errors import NotSupported, VirtmapError
from agent.model.log import ClearLog, Log, LogRecord
from agent.operations import Operations
from agent.schema import dmtf

__all__ = ["CLASS", "MessageLogs", "Returned"]

#: The class whose methods these are.
CLASS = f"{PREFIX}{MESSAGES}"

_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    each.name.lower(): tuple(p.name for p in each.parameters)
    for cls in ("CIM_Log", "CIM_MessageLog")
    for each in dmtf.classes[cls].methods
}
_ITERATOR = "IterationIdentifier"

_IDENTIFIER = re.compile(r"([0-9]{1,19})\.([0-9a-f]{16})")
_MOVE = re.compile(r"[+-]?[0-9]{1,19}")


class Returned(enum.IntEnum):
    """What the methods return. Whatever else goes wrong is a CIM error in words."""

    COMPLETED = 0
    NOT_SUPPORTED = 1
    NO_RECORD = 2


class MessageLogs:
    """Performs the methods of message logs."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def performs(self, name: str) -> bool:
        """Whether a method of the class, by any spelling of its name, is one of these."""
        return name.lower() in _PARAMETERS

    async def invoke(
        self, name: str, parameters: Mapping[str, Value], log: Found, principal: Principal, world: World
    ) -> tuple[int, list[str]]:
        """Perform one of the methods, by any spelling of its name: its return value, and its outputs as PARAMVALUE elements."""
        given = Parameters(parameters, _PARAMETERS[name.lower()])
        match name.lower():
            case "clearlog":
                return await self._clear(log, principal), []
            case "positiontofirstrecord":
                return _first(_Records(log, world))
            case "positionatrecord":
                return _move(given, _Records(log, world))
            case "getrecord":
                return _get(given, _Records(log, world))
            case "canceliteration":
                _Records(log, world).position(given)
                return Returned.COMPLETED, []
        return Returned.NOT_SUPPORTED, []  # nothing but the log's own program writes it

    async def _clear(self, log: Found, principal: Principal) -> int:
        try:
            await self._operations.perform(principal, log.hypervisor, ClearLog(), log.key)
        except NotSupported:
            return Returned.NOT_SUPPORTED
        except VirtmapError as error:
            raise from_core(error) from error
        return Returned.COMPLETED


class _Records:
    """The records of one log, as they are now: rows by their places, oldest first."""

    def __init__(self, log: Found, world: World) -> None:
        self._identity = f"{log.hypervisor}\0{log.key[0]}"
        self._table = world.table(log.hypervisor, LogRecord)
        self._places = children(self._table, world.table(log.hypervisor, Log), log.key)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, at: int) -> LogRecord:
        return LogRecord.of_values(self._table.records[self._places[at]])

    def number(self, at: int) -> int:
        return int(self._table.records[self._places[at]][_NUMBER])

    def find(self, number: int) -> int:
        """Where the record with a number is, or that with the next greater one; behind the last if there is none."""
        return bisect_left(range(len(self)), number, key=self.number)

    def position(self, given: Parameters) -> int:
        """Where an iteration is, by its identifier; behind the last record when it is at the end. CimError if it is none of
        this log's."""
        identifier = given.needed_text(_ITERATOR)
        read = _IDENTIFIER.fullmatch(identifier.strip())
        if read is None or read[2] != self._digest(int(read[1])):
            raise _wrong(
                f"{_ITERATOR}: {identifier[:40]!r} is no iteration of this log; PositionToFirstRecord begins one"
            )
        number, size = int(read[1]), len(self)
        if size and number > self.number(size - 1) + 1:
            return 0
        return self.find(number)

    def identifier(self, number: int) -> str:
        """What an iteration that is at the record of this number is given to clients as."""
        return value_parameter(_ITERATOR, "string", f"{number}.{self._digest(number)}")

    def _digest(self, number: int) -> str:
        made_of = f"{self._identity}\0{number}".encode(errors="surrogatepass")
        return hashlib.blake2b(made_of, digest_size=8, person=b"virtmap log").hexdigest()


_NUMBER = LogRecord.positions["number"]


def _first(records: _Records) -> tuple[int, list[str]]:
    if not len(records):
        return Returned.NO_RECORD, []
    return Returned.COMPLETED, [records.identifier(records.number(0))]


def _move(given: Parameters, records: _Records) -> tuple[int, list[str]]:
    at = records.position(given)
    if given.text("MoveAbsolute") is None:
        raise _wrong("MoveAbsolute is missing: is RecordNumber that of a record, or how far to move?")
    number = _signed(given, "RecordNumber")
    if given.flag("MoveAbsolute", False):
        to = records.find(number)
        there = to < len(records) and records.number(to) == number
    else:
        to = at + number
        there = 0 <= to < len(records)
    if not there:
        return Returned.NO_RECORD, []
    arrived = records.number(to)
    return Returned.COMPLETED, [records.identifier(arrived), value_parameter("RecordNumber", "sint64", arrived)]


def _get(given: Parameters, records: _Records) -> tuple[int, list[str]]:
    at, goes_on = records.position(given), given.flag("PositionToNext", False)
    if at == len(records):
        return Returned.NO_RECORD, []
    record = records[at]
    return Returned.COMPLETED, [
        records.identifier(record.number + 1 if goes_on else record.number),
        value_parameter("RecordNumber", "uint64", record.number),
        value_parameter("RecordData", "uint8", tuple((record.text or "").encode(errors="replace"))),
    ]


def _signed(given: Parameters, name: str) -> int:
    """A sint64."""
    text = given.needed_text(name).strip()
    if _MOVE.fullmatch(text) is None or not -(2**63) <= int(text) < 2**63:
        raise _wrong(f"{name} is no sint64")
    return int(text)


def _wrong(reason: str) -> CimError:
    return CimError(Status.INVALID_PARAMETER, reason)
