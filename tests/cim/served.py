"""A WBEM server on loopback, in a thread of its own, on the fake hypervisor, for the tests of this folder."""

from __future__ import annotations

import asyncio
import http.client
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import argon2
import pywbem

from agent.cim.accounts import Accounts
from agent.cim.provider import Provider
from agent.cim.server import Server, tls_context
from agent.config import Account, Endpoint
from agent.inventory import Inventory, Pace
from agent.operations import Operations
from agent.schema.declare import Access
from agent.schema.types import Secret
from agent.spool import Spool
from agent.state import State
from drivers.fake import Fake
from tests.agents import Trail

T = TypeVar("T")

OBSERVER = ("watcher", "see-only")
OPERATOR = ("worker", "does-things")
DEFINER = ("builder", "may-define")
ADMINISTRATOR = ("keeper", "of-all-keys")
ROLES = {
    OBSERVER: Access.OBSERVE, OPERATOR: Access.OPERATE, DEFINER: Access.DEFINE, ADMINISTRATOR: Access.ADMINISTER,
}  # fmt: skip


@dataclass
class Running:
    """A server in another thread, and what is behind it."""

    port: int
    drivers: dict[str, Fake]
    inventories: dict[str, Inventory]
    trail: Trail
    loop: asyncio.AbstractEventLoop
    secure_port: int
    spool: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, credentials: tuple[str, str] | None = None, namespace: str = "root/virtmap") -> Any:
        return pywbem.WBEMConnection(self.url, credentials, default_namespace=namespace, timeout=30)

    def run(self, do: Callable[[], Awaitable[T]]) -> T:
        """The result of a coroutine in the server's loop."""

        async def call() -> T:
            return await do()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(30)


def path_of(running: Running, name: str) -> Any:
    """The path of the domain of that name."""
    found = running.client().EnumerateInstances("Virtmap_Domain", PropertyList=["ElementName"])
    return next(i.path for i in found if i["ElementName"] == name)


def call(running: Running, operation: str, parameters: str = "", namespace: str = "root/virtmap") -> str:
    """The answer to an intrinsic operation with these IPARAMVALUE elements, as it came."""
    spaces = "".join(f'<NAMESPACE NAME="{name}"/>' for name in namespace.split("/"))
    content = (
        '<?xml version="1.0" encoding="utf-8" ?><CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" '
        f'PROTOCOLVERSION="1.0"><SIMPLEREQ><IMETHODCALL NAME="{operation}"><LOCALNAMESPACEPATH>{spaces}'
        f"</LOCALNAMESPACEPATH>{parameters}</IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>"
    )
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    try:
        headers = {"Content-Type": "application/xml", "CIMOperation": "MethodCall"}
        connection.request("POST", "/cimom", content.encode(), headers)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def account(pair: tuple[str, str], role: Access) -> Account:
    quick = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    return Account(name=pair[0], role=role, password_hash=Secret(quick.hash(pair[1])))


class Thread(threading.Thread):
    """Runs the server until told to stop."""

    def __init__(
        self, uris: dict[str, str], anonymous: Access | None, certificate: tuple[str, str] | None = None,
        driver: Callable[[str, str], Any] = Fake,
    ) -> None:  # fmt: skip
        super().__init__(name="wbem server")
        self._certificate = certificate
        self._uris = uris
        self._driver = driver
        self._anonymous = anonymous
        self._up = threading.Event()
        self._failure: BaseException | None = None
        self._halt: asyncio.Event
        self.running: Running

    def run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:  # noqa: BLE001  # handed to the thread that waits
            self._failure = error
        finally:
            self._up.set()

    async def _main(self) -> None:
        self._halt = asyncio.Event()
        drivers = {name: self._driver(name, uri) for name, uri in self._uris.items()}
        state = State(":memory:")
        trail = Trail()
        pace = Pace(interval=3600)
        inventories = {name: Inventory(driver, state, pace=pace) for name, driver in drivers.items()}
        self.spool = tempfile.TemporaryDirectory()
        operations = Operations(inventories, trail, spool=Spool(Path(self.spool.name), 2**20))
        provider = Provider(inventories, operations, host="localhost")
        for inventory in inventories.values():
            provider.follow(inventory)
        accounts = Accounts([account(*each) for each in ROLES.items()], self._anonymous)
        server = Server(provider, accounts, transfers=operations.transfers)
        for inventory in inventories.values():
            inventory.start()
        for inventory in inventories.values():
            await asyncio.wait_for(inventory.wait_refreshed(), 20)
        free = Endpoint(host="127.0.0.1", port=0)
        context = tls_context(*self._certificate) if self._certificate else None
        (endpoint,), secure = await server.start([free], [free] if context else [], context)
        operations.transfers.base = lambda: f"http://127.0.0.1:{endpoint.port}"
        self.running = Running(
            spool=Path(self.spool.name),
            port=endpoint.port,
            drivers=drivers,
            inventories=inventories,
            trail=trail,
            loop=asyncio.get_running_loop(),
            secure_port=secure[0].port if secure else 0,
        )
        self._up.set()
        await self._halt.wait()
        await server.stop()
        await operations.stop()
        self.spool.cleanup()
        for inventory in inventories.values():
            await inventory.stop()
        state.close()

    def begin(self) -> Running:
        self.start()
        self._up.wait(30)
        if self._failure is not None:
            raise self._failure
        return self.running

    def end(self) -> None:
        self.running.loop.call_soon_threadsafe(self._halt.set)
        self.join(20)
        assert not self.is_alive()


def serve(
    uris: dict[str, str],
    anonymous: Access | None = Access.OBSERVE,
    certificate: tuple[str, str] | None = None,
    driver: Callable[[str, str], Any] = Fake,
) -> Iterator[Running]:
    """A server, on hypervisors that ``driver`` makes of a name and a URI, stopped when the caller is done with it."""
    thread = Thread(uris, anonymous, certificate, driver)
    running = thread.begin()
    try:
        yield running
    finally:
        thread.end()
