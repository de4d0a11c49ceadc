"""Managers for the soak: each asks at its own pace from a socket of its own, looks at every answer, and keeps how long it took.

Nothing is ever sent twice: a request that is not answered in time is one too many.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests import wire, wire3
from tests.wire import Answer, Oid, binding, number, oid

PATIENCE = 5.0
"""Seconds that an answer may take. The agent waits four for a hypervisor that is told to do something."""

UNANSWERED, REPORTED, CONTRARY = -1, -2, -3
"""Beside the error statuses of SNMP: no answer in time; a report in its place; another value than was set."""

DOMAIN = oid("1.3.6.1.4.1.36957.20.1.2.1")
ACTION, NAME, STATE, AUTOSTART = (*DOMAIN, 3), (*DOMAIN, 4), (*DOMAIN, 6), (*DOMAIN, 9)
RUNNING, PAUSED, SHUT_OFF = 2, 4, 6
DO = {RUNNING: (6, PAUSED), PAUSED: (7, RUNNING), SHUT_OFF: (1, RUNNING)}
"""By state: the number of the action that changes it, and the state that there is then."""
CONNECTED = oid("1.3.6.1.4.1.36957.20.1.1.9.0")
READING = oid("1.3.6.1.4.1.36957.20.1.900.1")
ROWS, TAKEN, STALE = (*READING, 4, 2), (*READING, 5, 2), (*READING, 8, 2)
"""Of the table of domains."""
SERIAL = oid("1.3.6.1.6.3.1.1.6.1.0")
TRUE, FALSE = 1, 2


class Exchange(NamedTuple):
    """A request and what became of it: when it was sent, seconds until its answer, and its error status or the like."""

    sent: float
    took: float
    status: int


@dataclass
class Record:
    """What all managers have seen."""

    began: float = field(default_factory=time.monotonic)
    exchanges: dict[str, list[Exchange]] = field(default_factory=lambda: defaultdict(list))
    anomalies: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Something that should not be."""
        self.anomalies.append(f"{time.monotonic() - self.began:8.3f} s: {text}")


class Manager:
    """Version 2c, from a socket of its own."""

    version = "v2c"

    def __init__(self, record: Record, port: int, community: bytes = b"public") -> None:
        self.record = record
        self._community = community
        self._numbers = itertools.count(random.randrange(1 << 20))
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))

    def close(self) -> None:
        self._socket.close()

    def ask(self, kind: str, tag: int, *bindings: bytes, first: int = 0, second: int = 0) -> Answer | None:
        """The answer; None, noted, when there is none in time."""
        request = next(self._numbers)
        data = self._message(wire3.pdu(tag, bindings, request=request, first=first, second=second), request)
        kind = f"{self.version} {kind}"
        sent = time.monotonic()
        with contextlib.suppress(ConnectionRefusedError):  # told of an earlier one; the agent is gone
            self._socket.send(data)
        while (left := sent + PATIENCE - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                told = self._socket.recv(65535)
            except (TimeoutError, ConnectionRefusedError):
                break
            took = time.monotonic() - sent
            answer, reported = self._opened(told)
            if reported:
                self.record.note(f"{kind}: a report of {answer.names}")
                self.record.exchanges[kind].append(Exchange(sent, took, REPORTED))
                return None
            if answer.request == request:
                self.record.exchanges[kind].append(Exchange(sent, took, answer.status))
                return answer
            self.record.note(f"{kind}: an answer to request {answer.request} instead of {request}")
        self.record.note(f"{kind}: request {request} is not answered within {PATIENCE:g} s")
        self.record.exchanges[kind].append(Exchange(sent, PATIENCE, UNANSWERED))
        return None

    def _message(self, pdu: bytes, request: int) -> bytes:
        return wire.tlv(0x30, number(1) + wire.text(self._community) + pdu)

    def _opened(self, data: bytes) -> tuple[Answer, bool]:
        """The answer, and whether it is a report."""
        return wire.answered(data), False

    def get(self, kind: str, *names: Oid) -> Answer | None:
        return self.ask(kind, wire.GET, *map(binding, names))

    def value(self, name: Oid) -> int | None:
        """One number, or None."""
        answer = self.get("GET one", name)
        if answer is None or answer.status or answer.tags[0] & 0x80:
            return None
        return answer.numbers[0]

    def column(self, column: Oid) -> dict[int, bytes]:
        """A column of a table, by index."""
        found: dict[int, bytes] = {}
        at = column
        while True:
            answer = self.ask("GETBULK column", wire.GETBULK, binding(at), second=50)
            if answer is None or answer.status:
                raise RuntimeError(f"no answer to a walk of {column}")
            for at, tag, value in answer.variables:
                if tag == wire.END_OF_MIB_VIEW or at[: len(column)] != column:
                    return found
                found[at[-1]] = value


class Manager3(Manager):
    """Version 3, as a user of whom the agent knows the same keys. Keeps the agent's time as it told it last."""

    version = "v3"

    def __init__(self, record: Record, port: int, user: wire3.User) -> None:
        super().__init__(record, port)
        self._user = user
        self._socket.settimeout(PATIENCE)
        self._socket.send(wire3.discovery())
        self._learn(wire3.answered(self._socket.recv(65535)).peer)
        self._socket.send(wire3.message(user, self._peer, wire3.get(SERIAL)))  # the first report may tell no time
        self._learn(wire3.answered(self._socket.recv(65535), user).peer)

    def _learn(self, peer: wire3.Peer) -> None:
        self._peer, self._at = peer, time.monotonic()

    def _message(self, pdu: bytes, request: int) -> bytes:
        now = int(self._peer.time + time.monotonic() - self._at)
        peer = wire3.Peer(engine=self._peer.engine, boots=self._peer.boots, time=now)
        return wire3.message(self._user, peer, pdu, msg_id=request)

    def _opened(self, data: bytes) -> tuple[Answer, bool]:
        told = wire3.answered(data, self._user)
        self._learn(told.peer)
        return told.answer, told.kind == wire.REPORT


Work = Callable[[Manager], object]
"""One request, or a few that belong together."""


class Asking(threading.Thread):
    """A manager at work, at `rate` works a second, until `over` is set."""

    def __init__(self, manager: Manager, work: Work, rate: float, over: threading.Event) -> None:
        super().__init__(name=f"{manager.version} {type(work).__name__}", daemon=True)
        self._manager, self._work, self._rate, self._over = manager, work, rate, over
        self.start()

    def run(self) -> None:
        due = time.monotonic()
        try:
            while not self._over.wait(max(0.0, due - time.monotonic())):
                self._work(self._manager)
                due = max(due + 1 / self._rate, time.monotonic() - 1)
        except Exception:  # noqa: BLE001 - whatever it is, the soak has failed and says so
            self._manager.record.note(f"{self.name} has ended: {traceback.format_exc()}")
        finally:
            self._manager.close()


class Reading:
    """GET, GETNEXT and GETBULK of guests at random, each answer as it has to be."""

    def __init__(self, arcs: Sequence[int]) -> None:
        self._arcs = arcs
        self._random = random.Random(len(arcs))

    def __call__(self, manager: Manager) -> None:
        self._random.choice((self._get, self._getnext, self._getbulk))(manager, self._random.choice(self._arcs))

    def _get(self, manager: Manager, arc: int) -> None:
        names = [(*NAME, arc), (*STATE, arc), (*AUTOSTART, arc), CONNECTED]
        answer = manager.get("GET", *names)
        if _sound(manager, "GET", answer) and answer is not None and answer.names != names:
            manager.record.note(f"GET of {names}: {answer.names}")

    def _getnext(self, manager: Manager, arc: int) -> None:
        names = [(*NAME, arc), (*STATE, arc)]
        answer = manager.ask("GETNEXT", wire.GETNEXT, *map(binding, names))
        if _sound(manager, "GETNEXT", answer) and answer is not None:
            _check_after(manager, "GETNEXT", names, answer.names)

    def _getbulk(self, manager: Manager, arc: int) -> None:
        names = [(*NAME, arc), (*STATE, arc)]
        answer = manager.ask("GETBULK", wire.GETBULK, *map(binding, names), second=20)
        if _sound(manager, "GETBULK", answer) and answer is not None:
            if len(answer.variables) != 40:
                manager.record.note(f"GETBULK: {len(answer.variables)} variables of 40")
            for column in (0, 1):
                got = answer.names[column::2]
                _check_after(manager, "GETBULK", [names[column], *got[:-1]], got)


class Walking:
    """One step of a walk over everything; at its end it begins again."""

    def __init__(self) -> None:
        self._at: Oid = (1, 3)
        self.walks = 0

    def __call__(self, manager: Manager) -> None:
        answer = manager.ask("GETBULK walk", wire.GETBULK, binding(self._at), second=100)
        if not _sound(manager, "walk", answer) or answer is None:
            return
        ended = answer.tags[-1] == wire.END_OF_MIB_VIEW
        got = [n for n, tag, _ in answer.variables if tag != wire.END_OF_MIB_VIEW]
        _check_after(manager, "walk", [self._at, *got][: len(got)], got)
        self.walks += ended
        self._at = (1, 3) if ended else got[-1]


class Setting:
    """SETs of guests that nobody else changes, and, in version 3, of snmpSetSerialNo; each is read back."""

    def __init__(self, arcs: Sequence[int], *, serial: bool) -> None:
        self._arcs = arcs
        self._random = random.Random(len(arcs))
        self._works = [self._autostart, self._autostart, self._act, *([self._serial] if serial else [])]

    def __call__(self, manager: Manager) -> None:
        self._random.choice(self._works)(manager, self._random.choice(self._arcs))

    def _autostart(self, manager: Manager, arc: int) -> None:
        wanted = self._random.choice((TRUE, FALSE))
        self._set(manager, "SET autostart", (*AUTOSTART, arc), wanted, (*AUTOSTART, arc), wanted)

    def _act(self, manager: Manager, arc: int) -> None:
        state = manager.value((*STATE, arc))
        if state in DO:
            action, then = DO[state]
            self._set(manager, "SET action", (*ACTION, arc), action, (*STATE, arc), then)

    def _serial(self, manager: Manager, _arc: int) -> None:
        before = manager.value(SERIAL)
        if before is not None:
            self._set(manager, "SET serial", SERIAL, before, SERIAL, (before + 1) & 0x7FFF_FFFF)

    def _set(self, manager: Manager, kind: str, name: Oid, value: int, shown: Oid, then: int) -> None:
        answer = manager.ask(kind, wire.SET, binding(name, number(value)))
        if answer is None or answer.status:
            return
        sent = time.monotonic()
        now = manager.value(shown)
        status = 0 if now == then else CONTRARY
        manager.record.exchanges[f"{manager.version} {kind}, read back"].append(
            Exchange(sent, time.monotonic() - sent, status)
        )


def _sound(manager: Manager, kind: str, answer: Answer | None) -> bool:
    """Whether a reading was answered without error, with values that their types can hold."""
    if answer is None:
        return False
    if answer.status or not answer.variables:
        manager.record.note(f"{manager.version} {kind}: error {answer.error}, {len(answer.variables)} variables")
        return False
    wire.sound(answer)
    return True


def _check_after(manager: Manager, kind: str, asked: Sequence[Oid], got: Sequence[Oid]) -> None:
    for before, after in zip(asked, got, strict=True):
        if after <= before:
            manager.record.note(f"{manager.version} {kind}: {after} after {before}")
