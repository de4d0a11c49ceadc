"""A running agent, and both who hear it: net-snmp's snmptrapd, by v2c and by v3, and a listener of pywbem's.

What one of them was told is held against what the other one was, by the number of the event, and against what the agent
answers to a GET of the same instances.
"""

from __future__ import annotations

import itertools
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import argon2
import pywbem

from agent.cim.classes import camel
from agent.model import MODEL, Host
from agent.model.occurrence import Occurrence
from agent.schema.declare import Event, Field, Row
from agent.schema.types import Enumeration
from agent.snmp import mib
from agent.snmp.protection import AuthProtocol, PrivProtocol
from tests import wire
from tests.agents import ENGINE_ID
from tests.cim.subscribed import Heard, pywbem_listener
from tests.peers.test_snmptrapd import AUTH, PRIV, USERS, Trapd, trapd
from tests.running import Agent, running
from tests.servers import eventually

HERE, MOCK = "here", "mock"
"""The hypervisors of the agent: the private one, and libvirt's test driver inside it."""

PASSWORD = "known to nobody else"
WITHIN = 30.0
"""Seconds in which what happened has to be told; a loaded machine takes some."""

BETWEEN, END = " ~~ ", " ~END~"
USER = next(u for u in USERS if (u.auth, u.priv) == (AuthProtocol.SHA256, PrivProtocol.AES128))

CONFIG = """\
[[hypervisor]]
name = "{HERE}"
uri = "{uri}"
monitor_events = true

[[hypervisor]]
name = "{MOCK}"
uri = "{mock}"

[inventory]
interval = 2.0

[events]
burst = 10000

[state]
directory = "{directory}"

[logs]
directories = ["{logs}"]

[[logs.rule]]
name = "ended"
pattern = "terminating on signal"
severity = "minor"

[[alarm]]
name = "should-run"
kind = "down"
for = 0
severity = "major"
hypervisors = ["{HERE}"]

[snmp]
listen = ["127.0.0.1:0"]
engine_id = "{engine_id}"

[[snmp.community]]
name = "public"
hypervisor = "{HERE}"

[[snmp.community]]
name = "mocked"
hypervisor = "{MOCK}"

[[snmp.user]]
name = "{user.name}"
auth = "{auth}"
auth_passphrase = "{auth_words}"
priv = "{priv}"
priv_passphrase = "{priv_words}"

[[snmp.target]]
name = "plain"
address = "127.0.0.1:{port}"
version = "2c"
community = "public"

[[snmp.target]]
name = "private"
address = "127.0.0.1:{port}"
version = "3"
user = "{user.name}"

[cim]
listen = ["http://127.0.0.1:0"]

[[account]]
name = "boss"
role = "operate"
password_hash = "{hashed}"
"""


@cache
def projected() -> mib.Mib:
    return mib.project(MODEL)


@cache
def notification(event: type[Event]) -> mib.MibNotification:
    return next(n for m in projected().modules for n in m.notifications if n.event is event)


@cache
def objects_of(event: type[Event]) -> Mapping[str, Field]:
    """What each object of a notification shows."""
    known = {o.name: o.field for m in projected().modules for o in m.event_objects}
    known |= {o.name: o.field for o in projected().table(event.on).objects}
    found = {name: known[name] for name in notification(event).objects}
    return {name: spec for name, spec in found.items() if spec is not None}


@dataclass(frozen=True, kw_only=True)
class Trap:
    """A notification as snmptrapd printed it: the text of each object, by the name of its field, and its instance."""

    name: str
    instance: tuple[int, ...]
    texts: Mapping[str, str]


def parsed(record: str) -> Trap | None:
    """A record of the log of snmptrapd; None if it is of no event of the mapping. All objects have the same instance."""
    pairs = [part.partition(" = ")[::2] for part in record.split(BETWEEN)[1:]]
    name = next((text for each, text in pairs if each == "snmpTrapOID.0"), "")
    event = next((e for e in MODEL.events if notification(e).name == name), None)
    if event is None:
        return None
    shown, instances = {}, set()
    assert [n.partition(".")[0] for n, _ in pairs[1:]] == list(notification(event).objects), record
    for full, text in pairs[1:]:
        bare, _, instance = full.partition(".")
        shown[objects_of(event)[bare].name] = text
        instances.add(tuple(map(int, instance.split("."))))
    assert len(instances) == 1, record
    return Trap(name=name, instance=instances.pop(), texts=shown)


@dataclass(kw_only=True)
class Told:
    """An event as both were told it."""

    event: type[Event]
    trap: Trap
    alert: Any

    @property
    def sequence(self) -> int:
        return int(self.trap.texts["sequence"])

    def value(self, name: str) -> Any:
        """The value of a field, by CIM: as the model has it, None for none."""
        return _plain(self.spec(name), self.alert.get(property_of(self.spec(name))))

    def spec(self, name: str) -> Field:
        return next(s for s in objects_of(self.event).values() if s.name == name)


def property_of(spec: Field) -> str:
    return spec.cim if spec.cim and spec.role.value in ("detail", "previous") else camel(spec.name)


def _plain(spec: Field, value: Any) -> Any:
    """A value of CIM as the model has it."""
    if value is None or spec.enumeration is None:
        return value.datetime if isinstance(value, pywbem.CIMDateTime) else value
    named = spec.cim if spec.cim and spec.role.value in ("detail", "previous") else None
    return next(m for m in spec.enumeration if (m.cim[named] if named else int(m)) == value)


def as_printed(value: Any) -> str:
    """A value as net-snmp prints it, without its type and its unit."""
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case Enumeration():
            return value.label
        case _:
            return str(value)


def same(printed: str, value: Any) -> bool:
    """Whether net-snmp printed this value; of a time, tenths of a second."""
    if isinstance(value, datetime):
        found = re.fullmatch(r"(\d+)-(\d+)-(\d+),(\d+):(\d+):(\d+)\.(\d),([+-])(\d+):(\d+)", printed)
        assert found is not None, printed
        year, month, day, hour, minute, second, tenths = (int(found[n]) for n in range(1, 8))
        assert (found[9], found[10]) == ("0", "0")
        shown = datetime(year, month, day, hour, minute, second, tenths * 100_000, UTC)
        return abs(shown - value) < timedelta(seconds=0.11)
    return printed.strip('"') == as_printed(value)


class Ears:
    """Everything that was told, in the order in which it came, and how to ask the agent."""

    def __init__(self, agent: Agent, receiver: Trapd, heard: Heard) -> None:
        self.agent, self._receiver, self._heard = agent, receiver, heard
        self._read = 0
        self.traps: dict[str, dict[int, Trap]] = {"v2c": {}, "v3": {}}
        self.alerts: dict[int, Any] = {}
        self.changes: list[Any] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", agent.port("SNMP on")))
        self._socket.settimeout(5)
        self._requests = itertools.count(1)
        self._told_of: set[int] = set()
        self.proved: set[type[Event]] = set()

    def close(self) -> None:
        self._socket.close()

    # Hearing

    def listen(self) -> None:
        """Take what came meanwhile."""
        with self._receiver.log.open("rb") as log:
            log.seek(self._read)
            *records, _ = log.read().split(END.encode())
        self._read += sum(len(record) + len(END) for record in records)
        for record in (each.decode() for each in records):
            version = "v3" if "SNMP v3" in record.split(BETWEEN)[0] else "v2c"
            trap = parsed(record)
            if trap is not None:
                sequence = int(trap.texts["sequence"])
                assert sequence not in self.traps[version], f"twice: {record}"
                self.traps[version][sequence] = trap
        for indication in self._heard.now():
            if "SourceInstance" in indication.properties:
                self.changes.append(indication)
            else:
                sequence = indication["Sequence"]
                assert sequence not in self.alerts, f"twice: {indication}"
                self.alerts[sequence] = indication

    def next_of(self, event: type[Occurrence], key: Any, /, **fields: Any) -> Told:
        """The first event of this kind and about this row that was not asked for yet, with these values, once all three know of
        it. `key` is a value that its row shows: the UUID, the name, the target or the path. What they were told is the same.
        """

        def fits(trap: Trap) -> bool:
            return (
                trap.name == notification(event).name
                and as_printed(key)
                in [trap.texts[n].strip('"') for n in (*event.shows, "domain_uuid") if n in trap.texts]
                and all(same(trap.texts[name], value) for name, value in fields.items())
            )

        def found() -> int | None:
            self.listen()
            everywhere = self.traps["v2c"].keys() & self.traps["v3"].keys() & self.alerts.keys()
            return next((n for n in sorted(everywhere - self._told_of) if fits(self.traps["v2c"][n])), None)

        try:
            sequence = eventually(found, within=WITHIN, what=f"{event.__name__} of {key} with {fields}")
        except TimeoutError as error:
            raise AssertionError(f"{error}; told was:\n" + self.told()) from None
        assert sequence is not None
        self._told_of.add(sequence)
        told = Told(event=event, trap=self.traps["v2c"][sequence], alert=self.alerts[sequence])
        assert self.traps["v3"][sequence] == told.trap
        self._check(told)
        self.proved.add(event)
        return told

    def told(self) -> str:
        """What was told and not asked for, for people."""
        return "\n".join(
            f"{n} {[v for v in ('v2c', 'v3') if n in self.traps[v]]} {n in self.alerts} "
            f"{(self.traps['v2c'].get(n) or self.traps['v3'].get(n))}"
            for n in sorted((self.traps["v2c"].keys() | self.alerts.keys()) - self._told_of)
        )

    def _check(self, told: Told) -> None:
        """Every object of the notification has the value of the property of the indication, and the rest of that is right."""
        for spec in objects_of(told.event).values():
            value, printed = told.value(spec.name), told.trap.texts[spec.name]
            assert same(printed, value), (told.event, spec.name, printed, value)
        alert, event = told.alert, told.event
        assert alert.classname == f"Virtmap_{event.__name__}"
        severity = told.value("severity")
        assert alert["PerceivedSeverity"] == int(severity)
        assert alert["AlertType"] == event.alert
        assert alert["ProbableCause"] == event.cause
        assert alert["EventID"] == f"virtmap:{event.__name__}"
        assert alert["OwningEntity"] == "virtmap"
        assert abs(told.value("time") - datetime.now(UTC)) < timedelta(minutes=2)
        assert told.value("message")

    def nothing_is_missing(self) -> None:
        """All three were told the same events: wait until they were."""

        def equal() -> bool:
            self.listen()
            return self.traps["v2c"].keys() == self.traps["v3"].keys() == self.alerts.keys()

        eventually(equal, within=WITHIN, what="the same events everywhere")

    # Asking

    def ask(self, name: wire.Oid, *, mock: bool = False, after: bool = False) -> tuple[wire.Oid, int, bytes]:
        """Name, tag and octets of an instance, or of the one after it."""
        number = next(self._requests)
        make: Callable[..., bytes] = wire.getnext if after else wire.get
        data = make(name, request=number, community=b"mocked" if mock else b"public")
        for _ in range(6):
            self._socket.send(data)
            while True:
                try:
                    answer = wire.answered(self._socket.recv(65535))
                except TimeoutError:
                    break
                if answer.request == number:
                    assert answer.error == (0, 0)
                    found = answer.variables[0]
                    return found[0], found[1], found[2]
        raise AssertionError("the agent does not answer")

    def get(self, row: type[Row], column: str, instance: Sequence[int], *, mock: bool = False) -> bytes | int | None:
        """What a GET gives: octets or a number; None if there is no such instance."""
        _, tag, value = self.ask((*_column(row, column), *instance), mock=mock)
        if tag in (wire.NO_SUCH_INSTANCE, wire.NO_SUCH_OBJECT):
            return None
        return value if tag == wire.OCTETS else int.from_bytes(value, "big", signed=True)

    def instance(
        self, row: type[Row], column: str, value: str, *, beneath: Sequence[int] = (), mock: bool = False
    ) -> tuple[int, ...] | None:
        """The instance of the row whose column has this value, as a walk finds it; None if there is none."""
        base = _column(row, column)
        at: wire.Oid = (*base, *beneath)
        while True:
            at, tag, octets = self.ask(at, mock=mock, after=True)
            if tag == wire.END_OF_MIB_VIEW or at[: len(base) + len(beneath)] != (*base, *beneath):
                return None
            if octets == value.encode():
                return at[len(base) :]


@cache
def _column(row: type[Row], column: str) -> wire.Oid:
    return next(o.oid for o in projected().table(row).objects if o.field is not None and o.field.name == column)


@contextmanager
def ears(folder: Path, *, uri: str, mock: str, logs: Path) -> Iterator[Ears]:
    """The agent on these hypervisors, and both who hear it, subscribed."""
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    config = folder / "virtmap.toml"
    config.touch(0o600)
    assert USER.auth is not None
    assert USER.priv is not None
    assert USER.auth_passphrase is not None
    assert USER.priv_passphrase is not None
    with trapd(style="sQU", between=BETWEEN, end=END + r"\n") as receiver, pywbem_listener() as heard:
        config.write_text(
            CONFIG.format(
                HERE=HERE, MOCK=MOCK, uri=uri, mock=mock, directory=folder / "state", logs=logs, engine_id=ENGINE_ID.hex(),
                user=USER, auth=AUTH[USER.auth], auth_words=USER.auth_passphrase.reveal(), priv=PRIV[USER.priv],
                priv_words=USER.priv_passphrase.reveal(), port=receiver.port, hashed=hashed,
            )
        )  # fmt: skip
        with running("serve", "--config", str(config)) as agent, _subscribed(agent, heard):
            made = Ears(agent, receiver, heard)
            try:
                for beside in (False, True):
                    hostname = partial(made.get, Host, "hostname", (0,), mock=beside)
                    eventually(hostname, within=WITHIN, what="a first reading")
                yield made
            finally:
                made.close()


@contextmanager
def _subscribed(agent: Agent, heard: Heard) -> Iterator[None]:
    """All alerts, and all changes of domains, are sent to the listener."""
    url = f"http://127.0.0.1:{agent.port('http://')}"
    with (
        pywbem.WBEMConnection(url, ("boss", PASSWORD), default_namespace="interop", timeout=30) as connection,
        pywbem.WBEMSubscriptionManager("proof") as manager,
    ):
        server = manager.add_server(pywbem.WBEMServer(connection))
        destination = manager.add_destination(server, heard.url, owned=True, destination_id="listener").path
        for name, query in (
            ("alerts", "SELECT * FROM CIM_AlertIndication"),
            ("changes", "SELECT * FROM CIM_InstIndication WHERE SourceInstance ISA Virtmap_Domain"),
        ):
            wanted = manager.add_filter(server, "root/virtmap", query, "DMTF:CQL", owned=True, filter_id=name)
            manager.add_subscriptions(server, wanted.path, destination, owned=True)
        yield
