"""What lies between every transport and the engine: SETs that are carried out before they are answered, and refusals that
are told to the audit trail."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from agent.operations import Operations
from agent.pace import Pace
from agent.schema.declare import Access
from agent.snmp.engine import Engine
from agent.snmp.message import Status
from agent.snmp.setting import Refusal, Setting, carry_out

log = logging.getLogger("virtmap.snmp")

SETS = 256
"""SETs that are carried out at once, of all managers; one more is told that resources are short."""

Reply = Callable[[bytes], None]
"""Sends the answer of a SET, or does nothing if whoever asked is gone."""


class Exchange:
    """One for all listeners of an engine. Lives in the loop's thread."""

    def __init__(self, engine: Engine, operations: Operations, *, sets: int = SETS) -> None:
        self.engine = engine
        self._operations = operations
        self._most = sets
        self._sets = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals = Refusals(operations)

    def carry_out(self, setting: Setting, reply: Reply) -> None:
        """Have a SET carried out, and reply when that is done. Does not wait for it."""
        if self._sets >= self._most:
            reply(self.engine.finish(setting, Status.RESOURCE_UNAVAILABLE, _first(setting)))
            return
        self._sets += 1
        self._begin(self._carry_out(setting, reply))

    async def _carry_out(self, setting: Setting, reply: Reply) -> None:
        try:
            status, index = await carry_out(setting, self._operations)
        except Exception:
            log.exception("SET by %s: a fault of the agent", setting.asker.principal.name)
            status, index = Status.GEN_ERR, _first(setting)
        finally:
            self._sets -= 1
        reply(self.engine.finish(setting, status, index))

    def tell_refusals(self) -> None:
        """Into the audit trail, as many as have room there."""
        refusals = self.engine.refusals
        while refusals:
            if (telling := self._refusals.telling(refusals.popleft())) is not None:
                self._begin(telling)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Wait for nothing: SETs under way go on without being answered."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Refusals:
    """Tells the audit trail of SETs that were refused, at a bounded pace: a source address is easily forged."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._pace = Pace()

    def telling(self, refusal: Refusal) -> Coroutine[Any, Any, None] | None:
        """What has to be done to tell of this one; None if there were too many lately. The next that is told says how many
        were not."""
        if not self._pace.take():
            return None
        untold = self._pace.missed()
        reason = f"{refusal.reason} (and {untold} more refused SETs untold)" if untold else refusal.reason
        who, hypervisor = refusal.principal, refusal.hypervisor
        if who.role is Access.OBSERVE:  # who may do nothing must not fill the table of jobs with his attempts
            return self._operations.record(who, hypervisor, refusal.operation, refusal.target, f"refused: {reason}")
        return self._operations.refuse(who, hypervisor, refusal.operation, refusal.target, reason)


def _first(setting: Setting) -> int:
    return min((step.index for step in setting.steps), default=0)
