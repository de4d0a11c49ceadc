"""Extrinsic methods: operations of rows, and RequestStateChange, which is one of several of them (DSP0200 5.2.2).

The methods of the DMTF's that are made of several operations, or of none, stand in files of their own: those of jobs in `jobs`,
those of message logs in `message_log`, those of the management service in `profiles.service`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pywbem

from agent.access import Principal
from agent.cim import held, jobs, message_log, messages, statechange
from agent.cim.answers import Answer, Namespace
from agent.cim.arguments import Parameters, operation_of, shown
from agent.cim.classes import COMPLETED, JOB_STARTED, PREFIX, MethodPlan, Schema
from agent.cim.messages import Frame, Request
from agent.cim.profiles import service
from agent.cim.status import CimError, Status, from_core
from agent.cim.text import NAMESPACE
from agent.cim.world import Found, World
from agent.errors import VirtmapError
from agent.model import Job
from agent.operations import Operations, Result
from agent.schema.declare import Operation

__all__ = ["Methods", "method_answer"]

#: Seconds that a client waits for an operation that may run long, before it gets the job instead.
PATIENCE = 3.0


class Methods:
    """Invokes methods of the rows' classes."""

    def __init__(self, schema: Schema, operations: Operations) -> None:
        self._schema = schema
        self._operations = operations
        self._management = service.Management(schema, operations)
        self._jobs = jobs.Jobs(operations)
        self._message_logs = message_log.MessageLogs(operations)

    async def invoke(
        self, request: Request, space: Namespace, world: World, principal: Principal, again: Callable[[], World]
    ) -> Answer:
        """``again`` gives the world as it is after something was done."""
        target = request.target
        assert target is not None  # of every extrinsic request
        name = space.class_name(target.classname)
        if not isinstance(target, pywbem.CIMInstanceName):
            self._find(name, request.name)
            raise CimError(Status.INVALID_PARAMETER, f"{request.name} is a method of instances, not of the class")
        if not space.has_rows:
            return await self._of_held(request, space, name, target, principal)
        found = world.locate(target)
        if found.cls.name == service.CLASS and self._management.performs(request.name):
            code, told = await self._management.invoke(request.name, request.parameters, found, principal, world, again)
            return method_answer(request, code, told)
        if found.cls.row is Job and request.name.lower() in jobs.METHODS:
            code, told = await self._jobs.invoke(request.name, request.parameters, found, principal)
            return method_answer(request, code, told)
        if found.cls.name == message_log.CLASS and self._message_logs.performs(request.name):
            code, told = await self._message_logs.invoke(request.name, request.parameters, found, principal, world)
            return method_answer(request, code, told)
        plan = self._find(found.cls.name, request.name)
        if plan is None:
            return await self._state_change(request, principal, found)
        operation = await self._asked(principal, found, plan, request.parameters)
        result = await self._perform(principal, found, operation)
        outs = [
            messages.value_parameter(name, spec.semantic.cim, shown(result.values.get(spec.name)))
            for name, spec in plan.outputs
        ]
        outs += _job_out(result) if plan.operation.job else []
        return method_answer(request, COMPLETED if result.ended else JOB_STARTED, outs)

    async def _of_held(
        self, request: Request, space: Namespace, name: str, target: pywbem.CIMInstanceName, principal: Principal
    ) -> Answer:
        """A method of an instance that is held."""
        if not self._declares(name, request.name):
            raise CimError(Status.METHOD_NOT_FOUND, f"{name} has no method {request.name[:80]}")
        if held.find(space.held(), target) is None:
            raise CimError(Status.NOT_FOUND, f"there is no such instance of {name}")
        performer = space.performers.get(name.lower())
        if performer is None:
            raise CimError(Status.METHOD_NOT_AVAILABLE, f"{name} does not implement {request.name[:80]}")
        return method_answer(request, await performer(request.name, request.parameters, principal))

    def _declares(self, class_name: str, method: str) -> bool:
        """Whether a class has or inherits a method."""
        lineage = (class_name.lower(), *self._schema.ancestors(class_name))
        return any(method.lower() == m.lower() for each in lineage for m in self._schema.classes[each].local.methods)

    async def _asked(
        self, principal: Principal, found: Found, plan: MethodPlan, given: Mapping[str, messages.Value]
    ) -> Operation:
        """The operation with its arguments. That they are not what they should be is remembered as any other refusal."""
        try:
            return operation_of(plan, given)
        except CimError as error:
            kind = plan.operation
            target = self._operations.describe(found.hypervisor, kind, found.key)
            await self._operations.refuse(principal, found.hypervisor, kind.__name__, target, error.description)
            error.recorded = True
            raise

    def _find(self, class_name: str, method: str) -> MethodPlan | None:
        """The plan of a method of ours, None for RequestStateChange; an error for any other."""
        plan = self._schema.methods.get(class_name.lower(), {}).get(method.lower())
        if plan is not None:
            return plan
        if not self._declares(class_name, method):
            raise CimError(Status.METHOD_NOT_FOUND, f"{class_name} has no method {method[:80]}")
        if method.lower() != statechange.METHOD.lower() or not self._schema.is_a(
            class_name, "CIM_EnabledLogicalElement"
        ):
            raise CimError(Status.METHOD_NOT_AVAILABLE, f"{class_name} does not implement {method[:80]}")
        return None

    async def _state_change(self, request: Request, principal: Principal, found: Found) -> Answer:
        """RequestStateChange: its own return values say what cannot be asked for now."""
        given = Parameters(request.parameters, ("RequestedState", "TimeoutPeriod", "Job"))
        requested = given.text("RequestedState")
        if requested is None or not requested.strip().isdecimal() or len(requested) > 10:
            return method_answer(request, statechange.Answer.INVALID_PARAMETER)
        if not statechange.no_timeout(given.text("TimeoutPeriod")):
            return method_answer(request, statechange.Answer.NO_TIMEOUT)
        if not found.cls.is_row:  # what its row can do is not for a part of it: switching memory off stops no domain
            return method_answer(request, statechange.Answer.NOT_SUPPORTED)
        kinds = statechange.operations_for(found.cls.row, int(requested))
        if isinstance(kinds, statechange.Answer):
            return method_answer(request, kinds)
        kind = next((k for k in kinds if self._operations.unsuitable(found.hypervisor, k, found.key) is None), None)
        if kind is None:
            why = self._operations.unsuitable(found.hypervisor, kinds[0], found.key) or ""
            target = self._operations.describe(found.hypervisor, kinds[0], found.key)
            await self._operations.refuse(principal, found.hypervisor, kinds[0].__name__, target, why)
            return method_answer(request, statechange.Answer.INVALID_TRANSITION)
        result = await self._perform(principal, found, kind())
        code = statechange.Answer.COMPLETED if result.ended else statechange.Answer.JOB_STARTED
        return method_answer(request, code, _job_out(result))

    async def _perform(self, principal: Principal, found: Found, operation: Operation) -> Result:
        patience = PATIENCE if operation.job else None
        try:
            return await self._operations.perform(
                principal, found.hypervisor, operation, found.key, patience=patience, remote=True
            )
        except VirtmapError as error:
            raise from_core(error) from error


def method_answer(request: Request, value: int, outs: Iterable[str] = ()) -> Answer:
    """The answer to a method that returns a uint32; ``outs`` are PARAMVALUE elements."""
    text = messages.method_answer(request, "uint32", int(value), outs)
    return Answer(frame=Frame(head=text, tail=b""))


def _job_out(result: Result) -> list[str]:
    """The Job parameter: the path of the job; left out when the work is done, since pywbemcli fails on a null reference."""
    if result.ended:
        return []
    path = pywbem.CIMInstanceName(
        f"{PREFIX}Job", keybindings={"InstanceID": f"virtmap:job/{result.job}"}, namespace=NAMESPACE
    )
    return [messages.value_parameter("Job", "reference", path)]
