"""Subscriptions and their delivery without a WBEM server around them, and listeners, for the tests of this folder."""

from __future__ import annotations

import asyncio
import queue
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pywbem

from agent.access import Principal
from agent.cim.classes import Schema, build
from agent.cim.indications.delivery import Delivery, Pace
from agent.cim.indications.subscriptions import Subscriptions
from agent.cim.indications.trust import addresses, trusting
from agent.cim.tree import parse
from agent.config import LOCAL_RECEIVERS, Receivers
from agent.model import MODEL
from agent.state import State
from tests.agents import OPERATOR

HOST = "here.example"
ALERTS = "SELECT * FROM CIM_AlertIndication"
QUICK = Pace(interval=0.005, longest=0.02, answer=5.0)

#: What a listener says that has taken an indication.
TAKEN = (
    '<?xml version="1.0" encoding="utf-8"?><CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" PROTOCOLVERSION="1.0">'
    '<SIMPLEEXPRSP><EXPMETHODRESPONSE NAME="ExportIndication"/></SIMPLEEXPRSP></MESSAGE></CIM>'
)
COMPLAINS = TAKEN.replace(
    "<EXPMETHODRESPONSE NAME=\"ExportIndication\"/>",
    '<EXPMETHODRESPONSE NAME="ExportIndication"><ERROR CODE="{}" DESCRIPTION="because"/></EXPMETHODRESPONSE>',
)  # fmt: skip


@cache
def schema() -> Schema:
    return build(MODEL)


def new_filter(name: str | None = "acme:alerts", query: str = ALERTS, **more: Any) -> pywbem.CIMInstance:
    values = {"Query": query, "QueryLanguage": "DMTF:CQL", "SourceNamespaces": ["root/virtmap"], **more}
    given = {n: v for n, v in {"Name": name, **values}.items() if v is not None}
    return pywbem.CIMInstance("CIM_IndicationFilter", properties=given)


def new_destination(
    url: str, name: str = "acme:console", classname: str = "CIM_ListenerDestinationCIMXML", **more: Any
) -> pywbem.CIMInstance:
    return pywbem.CIMInstance(classname, properties={"Name": name, "Destination": url, **more})


def new_subscription(
    wanted: pywbem.CIMInstanceName, receiver: pywbem.CIMInstanceName, **more: Any
) -> pywbem.CIMInstance:
    return pywbem.CIMInstance("CIM_IndicationSubscription", properties={"Filter": wanted, "Handler": receiver, **more})


def alert(text: str, severity: int = 3, **more: Any) -> pywbem.CIMInstance:
    values = {
        "Description": text, "AlertType": pywbem.Uint16(5), "PerceivedSeverity": pywbem.Uint16(severity),
        "ProbableCause": pywbem.Uint16(0), **more,
    }  # fmt: skip
    return pywbem.CIMInstance("CIM_AlertIndication", properties=values)


@dataclass
class World:
    """Subscriptions that are delivered, what was recorded, and the clock."""

    state: State
    subscriptions: Subscriptions
    delivery: Delivery
    records: list[tuple[str, str, str, str]]
    clock: list[float]

    async def subscribe(self, url: str, query: str = ALERTS, name: str = "console", **more: Any) -> Any:
        """Have what a query asks for sent to a URL; gives the path of the destination."""
        wanted = await self.subscriptions.create(new_filter(f"acme:filter-{name}", query), OPERATOR)
        receiver = await self.subscriptions.create(new_destination(url, f"acme:{name}"), OPERATOR)
        await self.subscriptions.create(new_subscription(wanted, receiver, **more), OPERATOR)
        return receiver

    async def tell(self, *texts: str) -> None:
        for text in texts:
            await self.delivery.publish(alert(text), "root/virtmap")

    def of(self, classname: str) -> list[pywbem.CIMInstance]:
        return [i for i in self.subscriptions.instances() if i.classname == classname]


@asynccontextmanager
async def subscribed(
    directory: str | Path = ":memory:", *, rules: Sequence[Receivers] = LOCAL_RECEIVERS, pace: Pace = QUICK,
    trust: ssl.SSLContext | None = None, started: bool = True, clock: list[float] | None = None,
    lookup: Callable[[str], Sequence[str]] = addresses, **more: Any,
) -> AsyncIterator[World]:  # fmt: skip
    """All of it, started; stopped at the end."""
    now = clock if clock is not None else [1_800_000_000.0]
    state = State(directory)
    records: list[tuple[str, str, str, str]] = []

    async def audit(principal: Principal, operation: str, target: str, result: str) -> None:
        records.append((principal.name, operation, target, result))

    subscriptions = Subscriptions(state, audit, host=HOST, rules=rules, clock=lambda: now[0])
    delivery = Delivery(
        subscriptions, state, audit, schema(), trust or trusting(None), host=HOST, pace=pace, clock=lambda: now[0],
        lookup=lookup, **more,
    )  # fmt: skip
    if started:
        await delivery.start()
    try:
        yield World(state, subscriptions, delivery, records, now)
    finally:
        await delivery.stop()
        state.close()


@dataclass
class Listener:
    """Takes requests as they are, on loopback, and answers as `respond` says, from the number of the request: a status code
    and content, None to hang up, or nothing at all when it does not return."""

    respond: Callable[[int], Awaitable[tuple[int, str] | None]]
    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def texts(self) -> list[str]:
        """The Description of each indication that came."""
        return [value(body, "Description") for body in self.bodies]

    @property
    def numbers(self) -> list[int]:
        return [int(value(body, "SequenceNumber")) for body in self.bodies]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-l"))
            body = await reader.readexactly(length)
            self.heads.append(head)
            self.bodies.append(body)
            answer = await self.respond(len(self.bodies) - 1)
            if answer is not None:
                status, content = answer
                start = f"HTTP/1.1 {status} Whatever\r\nLocation: /elsewhere\r\nContent-Type: text/xml\r\n"
                writer.write(f"{start}Content-Length: {len(content)}\r\n\r\n{content}".encode())
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the agent stopped in the middle
        finally:
            writer.close()


def value(body: bytes, name: str) -> str:
    """The value of a property of the indication in a request."""
    return {p.attributes["NAME"]: p.children[0].text if p.children else "" for p in _indication(body).of("PROPERTY")}[
        name
    ]


def names(body: bytes) -> list[str]:
    """The properties of the indication in a request."""
    return [p.attributes["NAME"] for p in _indication(body).children]


def _indication(body: bytes) -> Any:
    at = parse(body)
    for tag in ("MESSAGE", "SIMPLEEXPREQ", "EXPMETHODCALL", "EXPPARAMVALUE", "INSTANCE"):
        (at,) = at.of(tag)
    return at


async def _takes(number: int) -> tuple[int, str]:
    return 200, TAKEN


@asynccontextmanager
async def listening(
    respond: Callable[[int], Awaitable[tuple[int, str] | None]] = _takes, port: int = 0
) -> AsyncIterator[Listener]:
    """A listener, which takes everything unless told otherwise."""
    listener = Listener(respond)
    server = await asyncio.start_server(listener.serve, "127.0.0.1", port)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        await server.wait_closed()


def answering(*answers: tuple[int, str] | None) -> Callable[[int], Awaitable[tuple[int, str] | None]]:
    """These answers first, then all is taken."""

    async def respond(number: int) -> tuple[int, str] | None:
        return answers[number] if number < len(answers) else (200, TAKEN)

    return respond


class Heard:
    """What a pywbem listener was given."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._came: queue.Queue[Any] = queue.Queue()
        self.all: list[Any] = []

    def take(self, indication: Any, host: str) -> None:
        self._came.put(indication)

    @property
    def waiting(self) -> int:
        """Indications that came and were not asked for yet."""
        return self._came.qsize()

    def now(self) -> list[Any]:
        """What came and was not asked for yet, without waiting."""
        return [self._came.get_nowait() for _ in range(self._came.qsize())]

    async def some(self, count: int) -> list[Any]:
        """So many indications, when they have come."""
        for _ in range(count):
            self.all.append(await asyncio.to_thread(self._came.get, timeout=20))
        return self.all[-count:]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def pywbem_listener(certificate: tuple[str, str] | None = None, port: int | None = None) -> Iterator[Heard]:
    """pywbem's own listener, in its threads; at a port of its own, if none is given."""
    port = port or free_port()
    heard = Heard(f"{'https' if certificate else 'http'}://127.0.0.1:{port}")
    if certificate is None:
        listener = pywbem.WBEMListener("127.0.0.1", http_port=port)
    else:
        listener = pywbem.WBEMListener("127.0.0.1", https_port=port, certfile=certificate[0], keyfile=certificate[1])
    listener.add_callback(heard.take)
    listener.start()
    try:
        yield heard
    finally:
        listener.stop()
