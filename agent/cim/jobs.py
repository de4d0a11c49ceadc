"""The methods that CIM_ConcreteJob brings to jobs: being stopped, and telling what went wrong (DSP1103)."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import pywbem

from agent.access import Principal
from agent.cim import held, statechange, subjects
from agent.cim.arguments import Parameters
from agent.cim.instances import Wanted
from agent.cim.messages import Value, escape
from agent.cim.status import Status, from_core
from agent.cim.world import Found
from agent.errors import NotSupported, VirtmapError
from agent.model import Job
from agent.model.job import Cancel, JobState
from agent.operations import Operations

__all__ = ["METHODS", "Jobs"]

#: The methods, by their names in lower case.
METHODS = frozenset(("requeststatechange", "killjob", "geterror", "geterrors"))

_TERMINATE, _KILL = 4, 5
_REQUESTED = range(2, 7)

#: States of a job that went wrong, and the CIM_Error.ErrorType of each: other, unknown.
_WRONG = {JobState.FAILED: 1, JobState.ABANDONED: 0, JobState.CANCELED: 1}
_MAJOR = 5
_OBJECT_PATH = 2


class Killed(enum.IntEnum):
    """Return values of CIM_Job.KillJob."""

    SUCCESS = 0
    NOT_SUPPORTED = 1
    FAILED = 4


class Jobs:
    """Performs the methods of jobs."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def invoke(
        self, name: str, parameters: Mapping[str, Value], job: Found, principal: Principal
    ) -> tuple[int, list[str]]:
        """The return value of a method, by any spelling of its name, and its outputs as PARAMVALUE elements."""
        match name.lower():
            case "requeststatechange":
                return await self._state_change(parameters, job, principal), []
            case "killjob":
                return await self._kill(parameters, job, principal), []
            case "geterror":
                Parameters(parameters, ("Error",))
                return 0, _told("Error", _errors(job), array=False)
        Parameters(parameters, ("Errors",))
        return 0, _told("Errors", _errors(job), array=True)

    async def _state_change(self, parameters: Mapping[str, Value], job: Found, principal: Principal) -> int:
        given = Parameters(parameters, ("RequestedState", "TimeoutPeriod"))
        requested = given.text("RequestedState")
        if requested is None or not requested.strip().isdecimal() or int(requested[:10]) not in _REQUESTED:
            return statechange.Answer.INVALID_PARAMETER
        if not statechange.no_timeout(given.text("TimeoutPeriod")):
            return statechange.Answer.NO_TIMEOUT
        if int(requested) not in (_TERMINATE, _KILL):
            return statechange.Answer.NOT_SUPPORTED
        if await self._ended(job, principal):
            return statechange.Answer.INVALID_TRANSITION
        stopped = await self._cancel(job, principal)
        return statechange.Answer.COMPLETED if stopped else statechange.Answer.NOT_SUPPORTED

    async def _kill(self, parameters: Mapping[str, Value], job: Found, principal: Principal) -> int:
        delete = Parameters(parameters, ("DeleteOnKill",)).flag("DeleteOnKill", False)
        if delete:  # the last jobs are kept, so that everybody sees what became of them
            return Killed.NOT_SUPPORTED
        if await self._ended(job, principal):
            return Killed.FAILED
        return Killed.SUCCESS if await self._cancel(job, principal) else Killed.NOT_SUPPORTED

    async def _ended(self, job: Found, principal: Principal) -> bool:
        """Whether a job cannot be stopped any more, which is then remembered as a refusal."""
        why = self._operations.unsuitable(job.hypervisor, Cancel, job.key)
        if why is None:
            return False
        target = self._operations.describe(job.hypervisor, Cancel, job.key)
        await self._operations.refuse(principal, job.hypervisor, Cancel.__name__, target, why)
        return True

    async def _cancel(self, job: Found, principal: Principal) -> bool:
        """Stop a job. False if the hypervisor has no way to do that."""
        try:
            await self._operations.perform(principal, job.hypervisor, Cancel(), job.key)
        except NotSupported:
            return False
        except VirtmapError as error:
            raise from_core(error) from error
        return True


def _errors(job: Found) -> list[pywbem.CIMInstance]:
    """What went wrong with a job, as instances of CIM_Error."""
    row = Job.of_values(job.record)
    state = row.state
    kind = None if state is None else _WRONG.get(state)
    if state is None or kind is None:
        return []
    properties = {
        "ErrorType": pywbem.Uint16(kind),
        "OwningEntity": "virtmap",
        "MessageID": f"virtmap:{state.label}",
        "Message": row.error or state.description,
        "PerceivedSeverity": pywbem.Uint16(_MAJOR),
        "ErrorSource": subjects.path(job.cls, job.record, job.hypervisor).to_wbem_uri(format="canonical"),
        "ErrorSourceFormat": pywbem.Uint16(_OBJECT_PATH),
        "CIMStatusCode": pywbem.Uint32(Status.FAILED),
    }
    return [pywbem.CIMInstance("CIM_Error", properties=properties)]


def _told(name: str, errors: list[pywbem.CIMInstance], *, array: bool) -> list[str]:
    """A PARAMVALUE of embedded instances; none if there are none."""
    if not errors:
        return []
    values = "".join(f"<VALUE>{escape(held.instance_xml(each, Wanted()))}</VALUE>" for each in errors)
    inside = f"<VALUE.ARRAY>{values}</VALUE.ARRAY>" if array else values
    return [f'<PARAMVALUE NAME="{name}" PARAMTYPE="string" EmbeddedObject="instance">{inside}</PARAMVALUE>']
