"""A whole agent on a real hypervisor, behind one front end only, and the manager that asks it for things through that.

Both managers do the same: ask for any operation of the mapping on any row, wait for its end, and read all there is. The
agent serves nothing but the front end of its manager, so that whatever reaches the hypervisor has come in by that.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import argon2
import pywbem

from agent.__main__ import Agent
from agent.cim import classes
from agent.config import (
    Account,
    Cim,
    Community,
    Config,
    Endpoint,
    Hypervisor,
    Inventory,
    Snmp,
    SnmpEndpoint,
    SpoolSettings,
    StateSettings,
)
from agent.driver import LogSettings
from agent.model import MODEL
from agent.model.job import JobState
from agent.schema.declare import Access, Index, Operation, Row
from agent.schema.types import Secret, canonical
from agent.snmp import mib, operation_mib
from agent.snmp.operation_mib import ARGUMENT_CHUNK, BY_NAME, State
from tests import wire
from tests.contract.plays import SPOOLED
from tests.servers import eventually

T = TypeVar("T")

NAME = "here"
WORDS = "known to nobody else"
STARTING = 60.0
LONGEST = 60.0
"""Seconds that an operation may take before its manager gives it up."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an operation ended: what went wrong, if anything did, and what it gave, as text by the names of its results."""

    error: str
    values: Mapping[str, str] = field(default_factory=dict)


UNENDED = Outcome(error=f"it did not end within {LONGEST:g} s")


class Manager(Protocol):
    """Whoever asks for things."""

    def ask(self, kind: type[Operation], row: Row, arguments: Mapping[str, Any], *, wait: bool = True) -> Outcome:
        """Ask for an operation on a row, and wait for its end, or only until it is being done."""

    def read(self) -> int:
        """Read every table or class; gives how many values there were."""


class Served(threading.Thread):
    """An agent in the loop of a thread of its own, from when it is made until `stop`."""

    def __init__(self, config: Config) -> None:
        super().__init__(name="whole agent", daemon=True)
        self._config = config
        self._up = threading.Event()
        self._halt: asyncio.Event
        self._failure: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop
        self.agent: Agent
        self.port = 0
        self.start()
        assert self._up.wait(STARTING), "the agent does not start"
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001  # handed to the thread that waits
            self._failure = error
        finally:
            self._up.set()

    async def _serve(self) -> None:
        self.loop, self._halt = asyncio.get_running_loop(), asyncio.Event()
        self.agent = Agent(self._config)
        try:
            addresses = await self.agent.start()
            self.port = (*addresses.snmp, *addresses.http)[0].port
            late = await self.agent.read(STARTING / 2)
            assert not late, f"{late}: not read"
            self._up.set()
            await self._halt.wait()
        finally:
            await self.agent.stop()

    def call(self, work: Callable[[], T]) -> T:
        """What `work` gives in the agent's own thread."""

        async def called() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(30)

    def rows(self, row: type[Row]) -> list[tuple[tuple[int, ...], Row]]:
        """The rows of a table as last read, each with its index arcs."""

        def known() -> list[tuple[tuple[int, ...], Row]]:
            table = self.agent.inventories[NAME].snapshot.table(row)
            return list(zip(table.indexes, table.rows(), strict=True))

        return self.call(known)

    def find(self, row: type[Row], where: Mapping[str, Any], within: float) -> Row:
        """The row with these values, waited for; AssertionError if it does not come, or is not the only one."""

        def found() -> Row | None:
            matching = [
                r for _, r in self.rows(row) if all(canonical(getattr(r, k)) == canonical(v) for k, v in where.items())
            ]
            assert len(matching) < 2, f"{row.__name__} {where}: there are {len(matching)}"
            return matching[0] if matching else None

        return eventually(found, within=within, what=f"{row.__name__} {where}")

    def arcs(self, row: Row) -> tuple[int, ...]:
        return next(arcs for arcs, each in self.rows(type(row)) if each.key == row.key)

    def refreshed(self) -> None:
        """Wait until everything was read anew."""
        inventory = self.agent.inventories[NAME]
        asyncio.run_coroutine_threadsafe(inventory.refresh(), self.loop).result(60)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._halt.set)
        self.join(60)
        assert not self.is_alive()


def _configuration(uri: str, directory: Path, logs: LogSettings, **front_end: Any) -> Config:
    """Its state and its spool directory are in `directory`; in the latter is a file to be sent."""
    spool = directory / "spool"
    spool.mkdir()
    (spool / SPOOLED).write_bytes(bytes(600_000) + b"every byte counts\n" * 1000)  # a hole, and what is none
    return Config(
        hypervisors=(Hypervisor(name=NAME, uri=uri, monitor_events=True),), state=StateSettings(directory=str(directory)),
        spool=SpoolSettings(directory=str(spool)), inventory=Inventory(interval=2.0, call_limit=30.0), logs=logs,
        **front_end,
    )  # fmt: skip


@contextmanager
def by_snmp(uri: str, directory: Path, logs: LogSettings) -> Iterator[tuple[Served, SnmpManager]]:
    """An agent that serves SNMP only, and its manager."""
    snmp = Snmp(listen=(SnmpEndpoint(host="127.0.0.1", port=0),), operations_per_user=32, answer_limit=60000)
    community = Community(name=Secret(WORDS), role=Access.ADMINISTER)
    served = Served(_configuration(uri, directory, logs, snmp=snmp, communities=(community,)))
    manager = SnmpManager(served)
    try:
        yield served, manager
    finally:
        manager.close()
        served.stop()


@contextmanager
def by_cim(uri: str, directory: Path, logs: LogSettings) -> Iterator[tuple[Served, CimManager]]:
    """An agent that serves CIM only, and its manager."""
    words = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(WORDS)
    account = Account(name="boss", role=Access.ADMINISTER, password_hash=Secret(words))
    cim = Cim(http=(Endpoint(host="127.0.0.1", port=0),), https=())
    served = Served(_configuration(uri, directory, logs, cim=cim, accounts=(account,)))
    try:
        yield served, CimManager(served)
    finally:
        served.stop()


class SnmpManager:
    """Asks by rows of the operation table, and reads by GETBULK."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", served.port))
        self._socket.settimeout(5)
        self._requests = itertools.count(1)
        self._numbers = itertools.count(1)

    def close(self) -> None:
        self._socket.close()

    def ask(self, kind: type[Operation], row: Row, arguments: Mapping[str, Any], *, wait: bool = True) -> Outcome:
        number = next(self._numbers)
        pairs = [
            (_at("Operation", number), wire.name((*mib.OPERATIONS, kind.on.table, kind.number))),
            (_at("Target", number), wire.name(self._pointer(row))),
            *self._arguments(number, kind, arguments),
            (_at("RowStatus", number), wire.number(4)),
        ]
        answer = self._request(wire.setting, pairs)
        if answer.error != (0, 0):
            return Outcome(error=f"refused: error {answer.status} for {pairs[answer.index - 1][0]}")
        pending = (State.PENDING, State.RUNNING) if wait else (State.PENDING,)

        def state() -> State | None:
            now = State(self._get(_at("State", number)))
            return None if now in pending else now

        try:
            ended = eventually(state, within=LONGEST, what=f"the end of {kind.__name__}")
        except TimeoutError:
            return UNENDED
        if ended is State.RUNNING:
            return Outcome(error="")
        error = self._get(_at("Error", number)).decode()
        values = self._results(number) if ended is State.COMPLETED else {}
        self._request(wire.setting, [(_at("RowStatus", number), wire.number(6))])
        return Outcome(error=error or ("" if ended is State.COMPLETED else ended.name), values=values)

    def read(self) -> int:
        count, name = 0, mib.ROOT
        while True:
            answer = self._request(lambda at, **more: wire.getbulk(0, 200, at, **more), name)
            for name, tag, _ in answer.variables:
                if tag == wire.END_OF_MIB_VIEW or name[: len(mib.ROOT)] != mib.ROOT:
                    return count
                count += 1

    def _pointer(self, row: Row) -> wire.Oid:
        table = mib.project(MODEL).table(type(row))
        arcs = (0,) if type(row).index is Index.SCALAR else self._served.arcs(row)
        return (*table.readable[0].oid, *arcs)

    def _arguments(
        self, number: int, kind: type[Operation], arguments: Mapping[str, Any]
    ) -> Iterator[tuple[wire.Oid, bytes]]:
        for name, value in arguments.items():
            spec = kind.fields[kind.positions[name]]
            octets = _text(value).encode()
            parts = [octets[i : i + ARGUMENT_CHUNK] for i in range(0, len(octets), ARGUMENT_CHUNK)] or [b""]
            for chunk, part in enumerate(parts, 1):
                yield _at("ArgumentValue", number, spec.number or 0, chunk), wire.text(part)

    def _results(self, number: int) -> dict[str, str]:
        """All results of a row of the operation table."""
        column = BY_NAME["virtmapOperationResultValue"].oid
        parts: dict[int, bytes] = {}
        name: wire.Oid = (*column, number)
        while True:
            (name, _, value) = self._request(wire.getnext, name).variables[0]
            if name[: len(column) + 1] != (*column, number):
                break
            parts[name[-2]] = parts.get(name[-2], b"") + value
        label = BY_NAME["virtmapOperationResultName"].oid
        return {self._get((*label, number, n, 1)).decode(): part.decode() for n, part in parts.items()}

    def _get(self, name: wire.Oid) -> Any:
        _, tag, value = self._request(wire.get, name).variables[0]
        if tag in (wire.NO_SUCH_INSTANCE, wire.NO_SUCH_OBJECT):
            raise AssertionError(f"{name}: no such instance")
        return value if tag in (wire.OCTETS, wire.OID) else int.from_bytes(value, "big", signed=True)

    def _request(self, make: Callable[..., bytes], what: Any) -> wire.Answer:
        """The answer to a request; a datagram that is lost is sent again, as it was."""
        number = next(self._requests)
        data = make(what, community=WORDS.encode(), request=number)
        for _ in range(6):
            self._socket.send(data)
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                try:
                    answer = wire.answered(self._socket.recv(65535))
                except TimeoutError:
                    break
                if answer.request == number:
                    return answer
        raise AssertionError("the agent does not answer")


class CimManager:
    """Asks by methods, and reads by EnumerateInstances."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._schema = classes.build(MODEL)
        self._client = pywbem.WBEMConnection(
            f"http://127.0.0.1:{served.port}", ("boss", WORDS), default_namespace="root/virtmap", timeout=120
        )

    def ask(self, kind: type[Operation], row: Row, arguments: Mapping[str, Any], *, wait: bool = True) -> Outcome:
        given = [(classes.camel(name), _cim_value(kind, name, value)) for name, value in arguments.items()]
        try:
            code, outs = self._client.InvokeMethod(kind.__name__, self._path(row), given)
        except pywbem.CIMError as error:
            return Outcome(error=error.status_description or error.status_code_name)
        if code == classes.JOB_STARTED:
            return self._ended(outs["Job"]) if wait else Outcome(error="")
        names = {classes.camel(f.name): f.name for f in kind.outs()}
        return Outcome(error="", values={names[k]: str(v) for k, v in outs.items() if k in names and v is not None})

    def read(self) -> int:
        found = 0
        for name in (*self._schema.instances, *self._schema.associations):
            instances = self._client.EnumerateInstances(self._schema.classes[name].name, DeepInheritance=False)
            found += sum(len(instance.properties) for instance in instances)
        return found

    def _ended(self, job: Any) -> Outcome:
        running = JobState.RUNNING.cim["JobState"]

        def ended() -> Any:
            now = self._client.GetInstance(job)
            return None if now["JobState"] == running else now

        try:
            found = eventually(ended, within=LONGEST, what=f"the end of {job}")
        except TimeoutError:
            return UNENDED
        completed = found["JobState"] == JobState.COMPLETED.cim["JobState"]
        return Outcome(error="" if completed else found["ErrorDescription"] or "it did not complete")

    def _path(self, row: Row) -> Any:
        """The path of the instance that a row is, made of its keys."""
        shown = self._schema.instances[classes.class_name(type(row)).lower()]
        keys = {}
        for p in shown.keys:
            match p.source:
                case classes.Column(spec=spec):
                    value = getattr(row, spec.name)
                case classes.Filled() as filled:
                    value = filled.value(tuple(getattr(row, spec.name) for spec in filled.columns))
                case classes.Fixed(value=value):
                    pass
                case classes.HypervisorName():
                    value = NAME
            keys[p.name] = value if isinstance(value, str) else pywbem.cimvalue(int(value), p.type)
        return pywbem.CIMInstanceName(shown.name, keybindings=keys, namespace="root/virtmap")


def _at(name: str, *instance: int) -> wire.Oid:
    return (*operation_mib.BY_NAME[f"virtmapOperation{name}"].oid, *instance)


def _text(value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else canonical(value)


def _cim_value(kind: type[Operation], name: str, value: Any) -> Any:
    spec = kind.fields[kind.positions[name]]
    plain = value.reveal() if isinstance(value, Secret) else value
    return pywbem.cimvalue(
        int(plain) if isinstance(plain, int) and not isinstance(plain, bool) else plain, spec.semantic.cim
    )
