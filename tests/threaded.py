"""Our agent with a UDP socket, in a thread of its own, for tests that are its managers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from agent.snmp.server import Server
from tests.agents import World, world

T = TypeVar("T")


class Threaded(threading.Thread):
    """Runs from when it is made until `stop`. `more` are arguments of `world`."""

    def __init__(self, uri: str, *, prepare: Callable[[World], None] = lambda _: None, **more: Any) -> None:
        super().__init__(name="snmp agent", daemon=True)
        self._uri, self._more, self._prepare = uri, more, prepare
        self._up = threading.Event()
        self.port = 0
        self.world: World
        self.loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        self.start()
        assert self._up.wait(30), "the agent does not start"

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self.loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with world(self._uri, **self._more) as self.world:
            self._prepare(self.world)
            server = Server(self.world.engine, self.world.operations)
            ((_, _, self.port),) = await server.start([("udp", "127.0.0.1", 0)])
            self._up.set()
            await self._end.wait()
            await server.stop()

    def call(self, work: Callable[[], T]) -> T:
        """What `work` gives in the agent's own thread."""

        async def called() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(30)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self.join(30)
        assert not self.is_alive()
