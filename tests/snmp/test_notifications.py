"""Notifications: the octets of traps, who is told and who is not, informs to receivers that are dead, deaf or refuse."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.schema.declare import Severity
from agent.schema.types import Secret
from agent.snmp import ber
from agent.snmp.inform import Informer, Queue
from agent.snmp.message3 import Level, parse
from agent.snmp.mib import Oid
from agent.snmp.notice import Later, Notice
from agent.snmp.notifications import Counters, Notifier, Target
from agent.snmp.outbox import Inform
from agent.snmp.protection import AuthProtocol, PrivProtocol
from agent.snmp.trap import AUTHENTICATION_FAILURE, COLD_START, WARM_START, message, pdu, pdu_v1, varbinds
from agent.snmp.usm import User, Usm
from agent.snmp.vacm import MibView, Subtree
from tests import wire
from tests.agents import looped, until

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # pysnmp uses old names of pysmi's

ENGINE_ID = bytes.fromhex("8000905d05aabbccdd")
PUBLIC = Secret("public")
WATCHER = User(
    name="watcher", auth=AuthProtocol.SHA256, auth_passphrase=Secret("correct horse"),
    priv=PrivProtocol.AES128, priv_passphrase=Secret("battery staple"),
)  # fmt: skip
STARTED: Oid = (1, 3, 6, 1, 4, 1, 36957, 20, 0, 3)
COLUMN: Oid = (1, 3, 6, 1, 4, 1, 36957, 20, 1, 2, 1, 3, 7)
NULL = b"\x05\x00"


@dataclass
class Identity:
    engine_id: bytes = ENGINE_ID
    boots: int = 7
    seconds: int = 100

    def time(self) -> int:
        return self.seconds

    def uptime(self) -> int:
        return 100 * self.seconds


@dataclass
class Receiver:
    """A UDP socket that keeps what it gets. What is an inform of v2c it acknowledges as long as `answering`."""

    sock: socket.socket
    got: list[bytes] = field(default_factory=list)
    answering: bool = True
    status: int = 0

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    def read(self) -> None:
        while True:
            try:
                data, source = self.sock.recvfrom(65535)
            except BlockingIOError:
                return
            self.got.append(data)
            if self.answering and version(data) == 1 and told(data)[2] == wire.INFORM:
                self.sock.sendto(self._response(data), source)

    def _response(self, data: bytes) -> bytes:
        spoken, community, _, body = told(data)
        _, request, rest = wire.taken(body, wire.INTEGER)
        _, _, rest = wire.taken(rest)
        _, _, rest = wire.taken(rest)
        answer = wire.tlv(wire.INTEGER, request) + wire.number(self.status) + wire.number(0) + rest
        return wire.tlv(0x30, wire.number(spoken) + wire.text(community) + wire.tlv(wire.RESPONSE, answer))


def version(data: bytes) -> int:
    """The version of a message."""
    _, inner, _ = wire.taken(data, 0x30)
    return wire.whole(wire.taken(inner, wire.INTEGER)[1])


def told(data: bytes) -> tuple[int, bytes, int, bytes]:
    """Version, community, tag and body of the PDU of a message of v1 or v2c."""
    _, inner, rest = wire.taken(data, 0x30)
    assert rest == b""
    _, spoken, inner = wire.taken(inner, wire.INTEGER)
    _, community, inner = wire.taken(inner, wire.OCTETS)
    tag, body, rest = wire.taken(inner)
    assert rest == b""
    return wire.whole(spoken), community, tag, body


def bindings(body: bytes) -> list[tuple[Oid, bytes]]:
    """The variables of the body of a v2 PDU: names, and values as whole elements."""
    rest = body
    for _ in range(3):
        _, _, rest = wire.taken(rest, wire.INTEGER)
    _, listed, rest = wire.taken(rest, 0x30)
    assert rest == b""
    found = []
    while listed:
        _, one, listed = wire.taken(listed, 0x30)
        _, name, value = wire.taken(one, wire.OID)
        wire.taken(value)
        found.append((wire.arcs(name), value))
    return found


def oids(receiver: Receiver) -> list[Oid]:
    """What v2c notifications a receiver got, by their snmpTrapOID."""
    return [wire.arcs(wire.taken(bindings(told(d)[3])[1][1])[1]) for d in receiver.got]


@asynccontextmanager
async def receiving(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Receiver]:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((host, port))
        receiver = Receiver(sock)
        loop.add_reader(sock.fileno(), receiver.read)
        try:
            yield receiver
        finally:
            loop.remove_reader(sock.fileno())


@asynccontextmanager
async def notifying(*targets: Target, **more: Any) -> AsyncIterator[Notifier]:
    notifier = Notifier(Identity(), targets, **more)
    try:
        yield notifier
    finally:
        await notifier.stop(0.0)


def v2c(port: int, name: str = "one", **more: Any) -> Target:
    return Target(**{"name": name, "host": "127.0.0.1", "port": port, "version": "2c", "community": PUBLIC, **more})


def started(hypervisor: str | None = None, value: bytes = b"\x04\x03web") -> Notice:
    return Notice(oid=STARTED, varbinds=((COLUMN, value),), hypervisor=hypervisor)


# --- octets


OURS = "060b2b0601040182a05d140501"
"""Our sysObjectID as an element: 1.3.6.1.4.1.36957.20.5.1."""


def test_a_v2_trap_byte_by_byte() -> None:
    expected = (
        "305c" "020101" "04067075626c6963" "a74f" "02012a" "020100" "020100" "3044"
        "300e" "06082b06010201010300" "43020bb8"
        "3017" "060a2b060106030101040100" "06092b0601060301010501"
        "3019" "060a2b060106030101040300" "060b2b0601040182a05d140501"
    )  # fmt: skip
    made = message(1, b"public", pdu(varbinds(Notice(oid=COLD_START), 3000), 42))
    assert made.hex() == expected


def test_a_generic_v1_trap_byte_by_byte() -> None:
    made = pdu_v1(Notice(oid=COLD_START), 3000, bytes([127, 0, 0, 1]))
    assert made is not None
    assert made.hex() == "a41f" + OURS + "40047f000001" + "020100" + "020100" + "43020bb8" + "3000"


def test_an_enterprise_v1_trap_byte_by_byte() -> None:
    made = pdu_v1(started(), 10)
    assert made is not None
    bound = "3017" + "3015" + "060e2b0601040182a05d1401020103" + "07" + "0403776562"
    assert made.hex() == "a433" + "06092b0601040182a05d14" + "400400000000" + "020106" + "020103" + "43010a" + bound


@pytest.mark.parametrize(
    ("oid", "enterprise", "generic", "specific"),
    [
        ((1, 3, 6, 1, 6, 3, 1, 1, 5, 2), OURS, 1, 0),
        ((1, 3, 6, 1, 6, 3, 1, 1, 5, 5), OURS, 4, 0),
        ((1, 3, 6, 1, 4, 1, 8072, 4, 0, 2), "06082b06010401bf0804", 6, 2),
        ((1, 3, 6, 1, 4, 1, 8072, 4, 3), "06082b06010401bf0804", 6, 3),
    ],
)
def test_enterprise_generic_and_specific(oid: Oid, enterprise: str, generic: int, specific: int) -> None:
    made = pdu_v1(Notice(oid=oid), 1)
    assert made is not None
    assert made[2:].hex().startswith(f"{enterprise}4004000000000201{generic:02x}0201{specific:02x}430101")


def test_an_enterprise_that_a_notice_brings_along_is_kept() -> None:
    brought = ((1, 3, 6, 1, 6, 3, 1, 1, 4, 3, 0), bytes.fromhex("06082b06010401bf0804"))
    notice = Notice(oid=COLD_START, varbinds=(brought,))
    made = pdu_v1(notice, 1)
    assert made is not None
    assert made[2:].hex().startswith("06082b06010401bf0804")
    assert varbinds(notice, 1).count(bytes.fromhex("060106030101040300")) == 1


# --- who is told, and how


@looped
async def test_all_versions_arrive_and_v1_is_spared_what_it_cannot_say() -> None:
    async with receiving() as one, receiving() as two, receiving("::1") as six:
        targets = [
            Target(name="one", host="127.0.0.1", port=one.port, version="1", community=PUBLIC),
            v2c(two.port, "two"),
            Target(name="six", host="::1", port=six.port, version="1", community=Secret("six")),
        ]
        async with notifying(*targets) as notifier:
            notifier.notify(started())
            notifier.notify(started(value=ber.encode_integer(2**40, ber.COUNTER64)))
            await until(lambda: len(two.got) == 2 and one.got and six.got)
            spoken, community, tag, body = told(one.got[0])
            assert (spoken, community, tag) == (0, b"public", 0xA4)
            assert bytes.fromhex("40047f000001") in body, "agent-addr is our address on the way to the target"
            assert bytes.fromhex("400400000000") in six.got[0], "an IPv6 address does not fit"
            assert told(two.got[0])[:3] == (1, b"public", wire.TRAP)
            listed = bindings(told(two.got[0])[3])
            assert [n for n, _ in listed] == [(1, 3, 6, 1, 2, 1, 1, 3, 0), (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0), COLUMN]
            assert listed[0][1] == wire.number(10000, 0x43)
            assert (notifier.counters("one").sent, notifier.counters("one").unspoken) == (1, 1)
            assert (notifier.counters("two").sent, notifier.counters("two").unspoken) == (2, 0)
            assert len(one.got) == 1


@looped
async def test_what_is_gathered_leaves_together_in_its_order() -> None:
    async with receiving() as one, receiving() as two:
        notifier = Notifier(Identity(), [v2c(one.port, "one"), v2c(two.port, "two")])
        for _ in range(3):
            notifier.gather(started())
        assert [notifier.counters(name).sent for name in ("one", "two")] == [0, 0]
        notifier.notify(Notice(oid=COLD_START))
        await until(lambda: len(one.got) == len(two.got) == 4)
        assert oids(one) == oids(two) == [STARTED, STARTED, STARTED, COLD_START]
        notifier.leave()
        notifier.gather(started())
        await notifier.stop()
        await until(lambda: len(one.got) == len(two.got) == 5)
        notifier.leave()
        assert [notifier.counters(name).sent for name in ("one", "two")] == [5, 5]


def test_varbinds_are_made_once_when_somebody_looks_at_them() -> None:
    made: list[int] = []

    def make() -> list[tuple[Oid, bytes]]:
        made.append(1)
        return [(COLUMN, NULL), (STARTED, NULL)]

    later = Later(2, make)
    assert (len(later), made) == (2, [])
    notice = Notice(oid=STARTED, varbinds=later)
    assert varbinds(notice, 1) == varbinds(Notice(oid=STARTED, varbinds=make()), 1)
    assert (later[0], later[-1:], list(later), later) == (make()[0], make()[1:], make(), make())
    assert later != [(COLUMN, NULL)]
    assert len(made) == 1 + 5, "once by itself"


@pytest.mark.parametrize("auth", [None, *AuthProtocol])
@pytest.mark.parametrize("priv", [None, *PrivProtocol])
@looped
async def test_a_v3_trap_is_protected_at_our_engine_id_boots_and_time(
    auth: AuthProtocol | None, priv: PrivProtocol | None
) -> None:
    if auth is None and priv is not None:
        return
    user = User(
        name="watcher", auth=auth, auth_passphrase=Secret("correct horse") if auth else None,
        priv=priv, priv_passphrase=Secret("battery staple") if priv else None,
    )  # fmt: skip
    async with receiving() as receiver:
        target = Target(name="three", host="127.0.0.1", port=receiver.port, user=user)
        async with notifying(target, default="here") as notifier:
            notifier.notify(started("there"))
            notifier.notify(started("here"))
            await until(lambda: len(receiver.got) == 2)
            peer = Usm(ENGINE_ID, 7, [user])
            for data, context in zip(receiver.got, (b"there", b""), strict=True):
                parsed = parse(data)
                assert (parsed.level, parsed.reportable) == (user.level, False)
                assert (parsed.security.engine_id, parsed.security.boots, parsed.security.time) == (ENGINE_ID, 7, 100)
                opened = peer.open(parsed, 101)
                assert (opened.scoped.engine_id, opened.scoped.context) == (ENGINE_ID, context)
                tag, body, _ = wire.taken(opened.scoped.pdu)
                assert tag == wire.TRAP
                assert bindings(body)[2] == (COLUMN, b"\x04\x03web")


@looped
async def test_a_target_may_be_protected_less_than_its_user_can_be() -> None:
    async with receiving() as receiver:
        target = Target(name="three", host="127.0.0.1", port=receiver.port, user=WATCHER, level=Level.AUTH_NO_PRIV)
        async with notifying(target) as notifier:
            notifier.notify(started())
            await until(lambda: receiver.got)
            parsed = parse(receiver.got[0])
            assert parsed.level is Level.AUTH_NO_PRIV
            assert Usm(ENGINE_ID, 7, [WATCHER]).open(parsed, 100).user.name == "watcher"


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "no-such-host.invalid"},
        {"version": "2"},
        {"community": None},
        {"version": "3", "user": None},
        {"version": "1", "inform": True},
        {"version": "3", "user": User(name="open"), "level": Level.AUTH_PRIV},
    ],
)
def test_a_target_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"target one|address"):
        v2c(162, **wrong)


@pytest.mark.parametrize(
    ("include", "exclude", "oid", "wanted"),
    [
        ((), (), "1.3.6.1.4.1.1", True),
        ((), ("1.3.6.1.4",), "1.3.6.1.4.1.1", False),
        ((), ("1.3.6.1.4",), "1.3.6.1.6.1", True),
        (("1.3.6.1.4",), (), "1.3.6.1.4.1", True),
        (("1.3.6.1.4",), (), "1.3.6.1.6.1", False),
        (("1.3.6.1", "1.3.6.1.4.5"), ("1.3.6.1.4",), "1.3.6.1.4.5.6", True),
        (("1.3.6.1", "1.3.6.1.4.5"), ("1.3.6.1.4",), "1.3.6.1.4.6", False),
        (("1.3.6.1",), ("1.3.6.1",), "1.3.6.1.4", False),
        (("1.3.6.1.4.1.2",), (), "1.3.6.1.4.1", False),
    ],
)
def test_the_longest_subtree_decides(include: Iterable[str], exclude: Iterable[str], oid: str, wanted: bool) -> None:
    target = v2c(162, include=tuple(map(wire.oid, include)), exclude=tuple(map(wire.oid, exclude)))
    assert target.wants(Notice(oid=wire.oid(oid))) is wanted


@pytest.mark.parametrize(
    ("subtrees", "wanted"),
    [
        (["1.3.6.1"], True),
        (["1.3.6.1.4.1.36957"], True),
        (["1.3.6.1", "-1.3.6.1.4.1.36957.20.1.2.1.3"], False),
        (["1.3.6.1", "-1.3.6.1.4.1.36957.20.0"], False),
        ([], False),
    ],
)
def test_a_notice_with_anything_that_a_target_may_not_see_is_not_for_it(subtrees: list[str], wanted: bool) -> None:
    families = [Subtree(oid=wire.oid(s.lstrip("-")), included=not s.startswith("-")) for s in subtrees]
    assert v2c(162, view=MibView("view", families)).wants(started()) is wanted


@looped
async def test_a_target_hears_of_its_hypervisors_and_of_the_agent() -> None:
    async with receiving() as receiver, notifying(v2c(receiver.port, hypervisors=("here",))) as notifier:
        notifier.notify(started("there"))
        notifier.notify(started("here"))
        notifier.notify(Notice(oid=COLD_START))
        await until(lambda: len(receiver.got) == 2)
        assert oids(receiver) == [STARTED, COLD_START]
        assert notifier.counters("one").filtered == 1


def about(kind: str | None, domain: str | None = None, severity: Severity = Severity.INFORMATION) -> Notice:
    return Notice(oid=STARTED, hypervisor="here", kind=kind, domain=domain, severity=severity)


@pytest.mark.parametrize(
    ("filters", "notice", "wanted"),
    [
        ({}, about(None), True),
        ({"domains": ("web*",)}, about("domain", "web1"), True),
        ({"domains": ("web*",)}, about("disk", "web1"), True),
        ({"domains": ("web*", "db")}, about("domain", "db"), True),
        ({"domains": ("web*", "db")}, about("domain", "db2"), False),
        ({"domains": ("web*",)}, about("domain", "Web1"), False),
        ({"domains": ("web[12]",)}, about("domain", "my web1"), False),
        ({"domains": ("web*",)}, about("domain"), False),
        ({"domains": ("*",)}, about("pool"), False),
        ({"domains": ("foo.log",)}, about("domain", "fooXlog"), False),
        ({"domains": ("web*",)}, about("domain", "web\n1"), True),
        ({"kinds": ("disk", "pool")}, about("disk", "web1"), True),
        ({"kinds": ("disk", "pool")}, about("domain", "web1"), False),
        ({"kinds": ("disk",)}, about(None), False),
        ({"kinds": ("disk",), "domains": ("db",)}, about("disk", "web1"), False),
        ({"severity": Severity.MAJOR}, about("domain", "web1", Severity.MAJOR), True),
        ({"severity": Severity.MAJOR}, about("domain", "web1", Severity.MINOR), False),
        ({"severity": Severity.MAJOR}, about("domain", "web1", Severity.CRITICAL), True),
        ({"domains": ("web*",), "kinds": ("disk",)}, Notice(oid=COLD_START), True),
        ({"severity": Severity.WARNING}, Notice(oid=COLD_START), False),
        ({"severity": Severity.WARNING}, Notice(oid=AUTHENTICATION_FAILURE, severity=Severity.WARNING), True),
    ],
)
def test_a_target_hears_of_the_domains_kinds_and_severities_that_it_wants(
    filters: dict[str, Any], notice: Notice, wanted: bool
) -> None:
    assert v2c(162, **filters).wants(notice) is wanted


@looped
async def test_a_start_is_cold_and_a_reload_is_warm_and_whoever_stays_keeps_his_counters() -> None:
    async with receiving() as receiver, receiving() as other:
        stays, goes = v2c(receiver.port), v2c(other.port, "goes")
        async with notifying(stays, goes) as notifier:
            notifier.start()
            sees_all = v2c(receiver.port, view=MibView("all", [Subtree(oid=(1, 3), included=True)]))
            notifier.reconfigure([sees_all, v2c(other.port, "comes", exclude=(WARM_START,))])
            assert notifier.targets[0].view is sees_all.view
            notifier.notify(started())
            await until(lambda: len(receiver.got) == 3 and len(other.got) == 2)
            assert oids(receiver) == [COLD_START, WARM_START, STARTED]
            assert oids(other) == [COLD_START, STARTED]
            assert notifier.counters("one").sent == 3
            assert (notifier.counters("comes").sent, notifier.counters("comes").filtered) == (1, 1)
            with pytest.raises(KeyError):
                notifier.counters("goes")


@looped
async def test_authentication_failures_are_told_at_a_bounded_rate() -> None:
    now = [0.0]
    async with receiving() as receiver, notifying(v2c(receiver.port), clock=lambda: now[0]) as notifier:
        for _ in range(20):
            notifier.authentication_failure()
        await until(lambda: len(receiver.got) == 5)
        assert notifier.held_back == 15
        now[0] = 9.9
        notifier.authentication_failure()
        now[0] = 10.0
        notifier.authentication_failure()
        await until(lambda: len(receiver.got) == 6)
        assert notifier.held_back == 16
        assert set(oids(receiver)) == {AUTHENTICATION_FAILURE}
        now[0] = 1000.0
        notifier.authentication_traps = False
        notifier.authentication_failure()
        assert (notifier.counters("one").sent, notifier.held_back) == (6, 16)


@looped
async def test_what_the_system_does_not_take_is_lost_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "virtmap.notifications")
    async with receiving() as receiver:
        targets = [v2c(receiver.port, "huge"), v2c(9, "nowhere", host="255.255.255.255"), v2c(receiver.port)]
        async with notifying(*targets) as notifier:
            notifier.notify(started(value=wire.text(b"x" * 70_000)))
            notifier.notify(started(value=wire.text(b"x" * 70_000)))
            notifier.notify(started())
            await until(lambda: len(receiver.got) == 2)
            assert (notifier.counters("huge").lost, notifier.counters("huge").sent) == (2, 1)
            assert notifier.counters("nowhere").lost == 3
            lines = [r.message for r in caplog.records if "huge" in r.message]
            assert len(lines) == 2
            assert "Message too long" in lines[0]
            assert "again" in lines[1]


@looped
async def test_nobody_at_the_other_end_is_no_error() -> None:
    async with receiving() as receiver:
        port = receiver.port
    async with notifying(v2c(port)) as notifier:
        for _ in range(50):
            notifier.notify(started())
            await asyncio.sleep(0)
        assert notifier.counters("one").sent + notifier.counters("one").lost == 50


@looped
async def test_sinks_hear_everything_and_a_broken_one_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Notice) -> None:
        raise RuntimeError("broken")

    heard: list[Notice] = []
    async with receiving() as receiver, notifying(v2c(receiver.port, include=(COLD_START,))) as notifier:
        notifier.sinks += [broken, heard.append]
        notice = started("there")
        notifier.notify(notice)
        assert heard == [notice]
        assert "fault of the agent" in caplog.text
        await notifier.stop()
        notifier.notify(notice)
        assert heard == [notice], "after the end nobody hears anything"


@looped
async def test_what_is_written_down_is_told_to_nobody_and_a_failure_there_disturbs_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[tuple[Notice, int]] = []

    def full(_: Notice, uptime: int) -> None:
        raise RuntimeError("full")

    async with notifying() as silent:
        silent.record = lambda notice, uptime: seen.append((notice, uptime))
        assert not silent.listening
        silent.notify(started("there"))
        assert seen == [(started("there"), 10000)]
    async with receiving() as receiver, notifying(v2c(receiver.port)) as notifier:
        notifier.record = full
        notifier.notify(started())
        await until(lambda: receiver.got)
        assert "fault of the agent" in caplog.text


def test_no_secret_is_shown() -> None:
    target = v2c(162, user=WATCHER)
    assert "public" not in repr(target)
    assert "horse" not in repr(target)


# --- informs


def inform(place: int, subject: str = "", at: float = 0.0) -> Inform:
    return Inform(bytes([place]), "", subject or f"domain {place}", at, place)


def places(*informs: Inform | None) -> list[int]:
    return [one.place for one in informs if one is not None]


def test_a_full_queue_drops_the_oldest() -> None:
    counters = Counters()
    queue = Queue(v2c(162, inform=True, queue=3), counters)
    assert [places(*queue.put(inform(i))) for i in range(5)] == [[], [], [], [0], [1]]
    taken = [queue.take(), queue.take(), queue.take()]
    assert places(*taken) == [2, 3, 4]
    assert counters.dropped == 2
    assert queue.take() is None
    assert not queue.idle
    for one in taken:
        assert one is not None
        queue.done(one)
    assert queue.idle


def test_what_is_on_its_way_is_not_dropped_and_goes_back_to_where_it_was() -> None:
    counters = Counters()
    queue = Queue(v2c(162, inform=True, queue=2), counters)
    for i in range(2):
        queue.put(inform(i))
    first = queue.take()
    assert first == inform(0)
    assert places(*queue.put(inform(2)), *queue.put(inform(3))) == [1]
    queue.back(first)
    assert places(queue.take(), queue.take(), queue.take(), queue.take()) == [0, 2, 3]
    assert counters.sent == 3, "each once, however often it is tried"


def test_of_one_subject_only_one_is_on_its_way() -> None:
    queue = Queue(v2c(162, inform=True), Counters())
    for i, subject in enumerate(["web", "web", "db", "web"]):
        queue.put(inform(i, subject))
    first = queue.take()
    assert places(first, queue.take()) == [0], "and none behind it leaves before it"
    assert first is not None
    queue.done(first)
    assert places(queue.take(), queue.take(), queue.take()) == [1, 2]


def test_what_has_waited_for_too_long_expires() -> None:
    counters = Counters()
    queue = Queue(v2c(162, inform=True, expiry=10), counters)
    for i, at in enumerate([100.0, 101.0, 109.0]):
        queue.put(inform(i, at=at))
    assert places(*queue.expired(110.0)) == []
    queue.take()
    assert places(*queue.expired(111.5)) == [1], "what is on its way has its chance"
    assert counters.expired == 1
    assert not queue.idle


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@looped
async def test_informs_are_acknowledged_in_order(host: str) -> None:
    async with receiving(host) as receiver, notifying(v2c(receiver.port, host=host, inform=True)) as notifier:
        for n in range(30):
            notifier.notify(Notice(oid=(*STARTED[:-1], n)))
        await until(lambda: notifier.counters("one").acknowledged == 30)
        assert oids(receiver) == [(*STARTED[:-1], n) for n in range(30)]
        assert {told(d)[2] for d in receiver.got} == {wire.INFORM}
        assert bindings(told(receiver.got[0])[3])[0][1] == wire.number(10000, 0x43), "sysUpTime is that of the notice"
        assert notifier.counters("one").sent == 30


@looped
async def test_a_deaf_receiver_is_asked_again_and_one_that_comes_back_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "virtmap.notifications")
    async with receiving() as receiver:
        target = v2c(receiver.port, inform=True, timeout=0.2, retries=1)
        async with notifying(target) as notifier:
            receiver.answering = False
            notifier.notify(started())
            await until(lambda: notifier.counters("one").unanswered == 1)
            assert len(receiver.got) == 2, "the inform and one retry"
            assert receiver.got[0].endswith(receiver.got[1][-60:])
            notifier.notify(Notice(oid=WARM_START))
            await until(lambda: len(receiver.got) == 4)
            receiver.answering = True
            await until(lambda: notifier.counters("one").acknowledged == 2)
            assert set(oids(receiver)[:-1]) == {STARTED}, "the oldest first, until it is acknowledged"
            assert oids(receiver)[-1] == WARM_START
            assert notifier.counters("one").sent == 2
            assert [r.levelname for r in caplog.records if "target one" in r.message] == ["WARNING", "INFO"]


@looped
async def test_a_receiver_that_refuses_is_counted_apart() -> None:
    async with receiving() as receiver, notifying(v2c(receiver.port, inform=True)) as notifier:
        receiver.status = 5
        notifier.notify(started())
        await until(lambda: notifier.counters("one").refused == 1)


@looped
async def test_garbage_for_an_answer_is_no_answer() -> None:
    async with receiving() as receiver:
        receiver.answering = False
        async with notifying(v2c(receiver.port, inform=True, timeout=0.3, retries=0)) as notifier:
            notifier.notify(started())
            await until(lambda: receiver.got)
            counters = notifier.counters("one")
            await until(lambda: counters.unanswered == 1)
            receiver.answering = True
            notifier.notify(started())
            await until(lambda: counters.acknowledged == 2)


@looped
async def test_an_end_gives_informs_a_moment_and_no_more() -> None:
    loop = asyncio.get_running_loop()
    async with receiving() as receiver:
        notifier = Notifier(Identity(), [v2c(receiver.port, inform=True)])
        notifier.start()
        await notifier.stop()
        assert oids(receiver) == [COLD_START], "what was queued left before the end"
        receiver.answering = False
        notifier = Notifier(Identity(), [v2c(receiver.port, inform=True, timeout=5.0)])
        notifier.start()
        began = loop.time()
        await notifier.stop(0.3)
        assert loop.time() - began < 2.0


@looped
async def test_a_reload_keeps_the_queue_of_whoever_stays() -> None:
    async with receiving() as receiver, receiving() as other:
        receiver.answering = False
        stays = v2c(receiver.port, inform=True, timeout=0.4, retries=0)
        async with notifying(stays, v2c(other.port, "goes", inform=True)) as notifier:
            counters = notifier.counters("one")
            for n in range(3):
                notifier.notify(Notice(oid=(*STARTED[:-1], n)))
            await until(lambda: len(receiver.got) == 1)
            notifier.reconfigure([stays])
            receiver.answering = True
            await until(lambda: counters.acknowledged == 4)
            again = oids(receiver).count((*STARTED[:-1], 0))
            assert oids(receiver)[again:] == [(*STARTED[:-1], 1), (*STARTED[:-1], 2), WARM_START]
            assert notifier.counters("one") is counters


@looped
async def test_a_target_that_moves_keeps_its_queue_and_is_told_where_it_is_now() -> None:
    async with receiving() as old, receiving() as new:
        old.answering = False
        moves = v2c(old.port, inform=True, timeout=0.2, retries=0)
        async with notifying(moves) as notifier:
            counters = notifier.counters("one")
            for n in range(3):
                notifier.notify(Notice(oid=(*STARTED[:-1], n)))
            await until(lambda: counters.unanswered)
            notifier.reconfigure([v2c(new.port, inform=True)])
            await until(lambda: counters.acknowledged == 4)
            assert oids(new) == [*((*STARTED[:-1], n) for n in range(3)), WARM_START]


@looped
async def test_a_pause_grows_while_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.snmp.inform.FIRST_PAUSE", 0.2)
    loop = asyncio.get_running_loop()
    async with receiving() as receiver:
        receiver.answering = False
        async with notifying(v2c(receiver.port, inform=True, timeout=0.2, retries=0)) as notifier:
            notifier.notify(started())
            heard: list[float] = []
            for n in range(1, 5):
                await until(lambda n=n: len(receiver.got) >= n)  # type: ignore[misc]
                heard.append(loop.time())
            gaps = [b - a for a, b in itertools.pairwise(heard)]
            assert gaps[0] < gaps[1] < gaps[2]
            assert gaps[2] > 0.2 + 0.8 - 0.1


@looped
async def test_an_inform_that_nobody_acknowledges_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.snmp.inform.FIRST_PAUSE", 0.05)
    async with receiving() as receiver:
        receiver.answering = False
        async with notifying(v2c(receiver.port, inform=True, timeout=0.1, retries=0, expiry=1.0)) as notifier:
            notifier.notify(started())
            await until(lambda: notifier.counters("one").expired == 1)
            receiver.answering = True
            notifier.notify(Notice(oid=WARM_START))
            await until(lambda: notifier.counters("one").acknowledged == 1)
            assert oids(receiver)[-1] == WARM_START


@looped
async def test_informs_leave_nothing_in_the_temporary_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with receiving() as receiver:
        informed = [
            v2c(receiver.port, inform=True, timeout=0.2, retries=0),
            Target(name="v3", host="127.0.0.1", port=receiver.port, user=WATCHER, inform=True, timeout=0.2, retries=0),
        ]
        async with notifying(*informed) as notifier:
            notifier.start()
            await until(lambda: notifier.counters("one").acknowledged and notifier.counters("v3").unanswered)
    assert os.listdir(tmp_path) == []


def test_pysnmp_is_left_alone_while_nobody_wants_informs() -> None:
    script = (
        "import sys; from tests.snmp.test_notifications import *\n"
        "n = Notifier(Identity(), [v2c(9)]); n.start(); assert not [m for m in sys.modules if m.startswith('pysnmp')]"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@looped
async def test_an_informer_without_targets_ends() -> None:
    informer = Informer(ENGINE_ID)
    informer.serve({})
    await informer.stop(5.0)
