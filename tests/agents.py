"""A whole agent on the fake hypervisor, in the running loop, for the tests of the core and of the SNMP side."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from agent.access import Principal
from agent.events import Events
from agent.inventory import Inventory, Pace
from agent.model import Domain
from agent.operations import Operations
from agent.schema.declare import Access, Key
from agent.snmp.engine import MAX_MESSAGE, Engine
from agent.snmp.security import Community, Security
from agent.snmp.setting import Setting, carry_out
from agent.snmp.standards import Serve, snmp_framework_mib, snmp_mpd_mib, snmp_usm_mib, snmp_vacm_mib, snmpv2_mib
from agent.state import State
from drivers.fake import Fake
from tests import wire

T = TypeVar("T")

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
COMMUNITIES = (
    Community(name=b"public", label="observer", role=Access.OBSERVE, sources=LOOPBACK, hypervisor="default"),
    Community(name=b"secret", label="operator", role=Access.OPERATE, sources=LOOPBACK, hypervisor="default"),
)
ENGINE_ID = bytes.fromhex("80009055056161")
QUIET = Pace(interval=3600.0, call_limit=5.0, first_retry=0.01, last_retry=0.02)
"""Nothing is read unless the test asks for it."""

OBSERVER = Principal(name="watcher", role=Access.OBSERVE, front_end="test", source="127.0.0.1")
OPERATOR = Principal(name="worker", role=Access.OPERATE, front_end="test", source="127.0.0.1")
ADMINISTRATOR = Principal(name="boss", role=Access.ADMINISTER, front_end="test", source="127.0.0.1")


def looped(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test that is a coroutine, run in a loop of its own, within 60 seconds."""

    @functools.wraps(test)
    def run(*args: Any, **more: Any) -> None:
        async def bounded() -> None:
            await asyncio.wait_for(test(*args, **more), 60)

        asyncio.run(bounded())

    return run


async def until(condition: Callable[[], T], what: str = "the condition", within: float = 10.0) -> T:
    """The first truthy value of `condition`, asked again while the loop turns."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not (value := condition()):
        assert loop.time() < deadline, f"{what}: not seen within {within:g} s"
        await asyncio.sleep(0.002)
    return value


class Trail:
    """Keeps audit records where a test can see them."""

    def __init__(self) -> None:
        self.records: list[dict[str, str]] = []

    def audit(self, **record: str) -> None:
        self.records.append(record)


@dataclass
class World:
    """The parts of one agent. `clock` is what its SNMP engine takes for the time."""

    fake: Fake
    state: State
    inventory: Inventory
    operations: Operations
    trail: Trail
    engine: Engine
    events: Events
    clock: list[float]

    def ask(self, datagram: bytes, host: str = "127.0.0.1", port: int = 40000) -> Any:
        return self.engine.receive(datagram, host, port)

    def read(self, datagram: bytes) -> wire.Answer:
        answer = wire.answered(self.ask(datagram))
        wire.sound(answer)
        return answer

    async def write(
        self, *pairs: tuple[wire.Oid, bytes], request: int = 1, community: bytes = b"secret"
    ) -> wire.Answer:
        """The answer to a SET, carried out as the server does it."""
        answer = self.ask(wire.setting(pairs, request=request, community=community))
        if isinstance(answer, Setting):
            answer = self.engine.finish(answer, *await carry_out(answer, self.operations))
        return wire.answered(answer)

    def key(self, name: str) -> Key:
        return self.fake.find(name)

    def domain(self, name: str) -> Domain:
        row = self.inventory.snapshot.get(Domain, self.key(name))
        assert row is not None
        return row

    def arc(self, name: str) -> int:
        """The index arc of a domain."""
        table = self.inventory.snapshot.table(Domain)
        place = table.find(self.key(name))
        assert place is not None
        return table.indexes[place][0]

    def column(self, column: int, name: str) -> wire.Oid:
        """A column of the domain table, by its number, of one domain."""
        return (*DOMAIN_ENTRY, column, self.arc(name))


DOMAIN_ENTRY = wire.oid("1.3.6.1.4.1.36957.20.1.2.1")


def standards() -> tuple[Serve, ...]:
    """The modules that every agent serves of itself."""
    return (
        snmpv2_mib.SnmpV2Mib(), snmp_framework_mib.serve, snmp_mpd_mib.serve, snmp_usm_mib.serve, snmp_vacm_mib.SnmpVacmMib()
    )  # fmt: skip


@asynccontextmanager
async def world(
    uri: str = "fake:///?domains=3", *, pace: Pace = QUIET, state: State | None = None, fake: Fake | None = None,
    communities: Sequence[Community] = COMMUNITIES, wait: bool = True, limit: float = 30.0, at_once: int = 16,
    serves: Sequence[Serve] | None = None, security: Mapping[str, Any] | None = None,
    others: Mapping[str, str] | None = None, **engine: Any,
) -> AsyncIterator[World]:  # fmt: skip
    """A running agent without sockets, read once unless `wait` is False; everything is stopped at the end. `security` are
    further arguments of Security, `engine` of Engine; `others` are the URIs of hypervisors beside the default one, by name.
    """
    driver = fake or Fake("default", uri)
    memory = state or State(":memory:")
    trail = Trail()
    inventory = Inventory(driver, memory, pace=pace)
    inventories = {"default": inventory}
    inventories |= {name: Inventory(Fake(name, more), memory, pace=pace) for name, more in (others or {}).items()}
    operations = Operations(inventories, trail, limit=limit, at_once=at_once)
    clock = [1000.0]
    secured = Security(**{"communities": communities, "answer_limit": MAX_MESSAGE, **(security or {})})
    answering = Engine(
        inventories, operations, secured,
        **{"engine_id": ENGINE_ID, "standards": standards() if serves is None else serves, "clock": lambda: clock[0], **engine},
    )  # fmt: skip
    numbers = itertools.count(1)
    events = Events(inventory, lambda: next(numbers))
    made = World(driver, memory, inventory, operations, trail, answering, events, clock)
    try:
        for one in inventories.values():
            one.start()
            if wait:
                await asyncio.wait_for(one.wait_refreshed(), 20)
        yield made
    finally:
        events.stop()
        driver.release()
        await operations.stop(limit=1.0)
        for one in inventories.values():
            await one.stop()
        if state is None:
            memory.close()
