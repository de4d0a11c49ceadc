"""From an event to its notices: when they are told, in which order, and what they say of a row that is gone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import pytest

from agent.driver import Happened
from agent.events import Seen
from agent.layout import Patch
from agent.model import MODEL, Domain
from agent.model.domain import DomainState, Suspend
from agent.model.domain_events import DomainStarted, LifecycleDetail
from agent.schema.declare import Severity
from agent.snapshot import Snapshot, Table
from agent.snmp import ber
from agent.snmp.herald import Herald, Native
from agent.snmp.message import varbind
from agent.snmp.mib import Oid, project
from agent.snmp.notice import Notice
from agent.snmp.view import Column
from tests import wire
from tests.agents import DOMAIN_ENTRY, OPERATOR, World, looped, until, world

NULL = b"\x05\x00"
NOTIFICATION = wire.oid("1.3.6.1.4.1.36957.20.0")
DETAIL = wire.oid("1.3.6.1.4.1.36957.20.6.1000.1")
PREVIOUS = wire.oid("1.3.6.1.4.1.36957.20.6.1000.2")
STAMPS = [wire.oid(f"1.3.6.1.4.1.36957.20.6.1199.{n}") for n in range(101, 106)]
"""Sequence, time, severity, how many were held back, message."""
UNDEFINED, STARTED, SUSPENDED, RESUMED, STOPPED = ((*NOTIFICATION, n) for n in (2, 3, 4, 5, 6))
MIB = project(MODEL)
NUMBERS = {f.name: f.number or 0 for f in Domain.fields}
SHOWN = [(*DOMAIN_ENTRY, NUMBERS[n]) for n in ("uuid", "name", "state", "state_reason")]


@contextlib.asynccontextmanager
async def heralded(uri: str = "fake:///?domains=3", **more: Any) -> AsyncIterator[tuple[World, list[Notice]]]:
    """An agent, and what its herald told."""
    told: list[Notice] = []
    async with world(uri) as w:
        Herald(w.events, w.engine.mib, told.append, **more)
        yield w, told


def value(notice: Notice, place: int) -> bytes:
    return notice.varbinds[place][1]


def number(value: bytes) -> int:
    tag, contents, _ = wire.taken(value)
    assert tag == wire.INTEGER
    return wire.whole(contents)


@looped
async def test_a_notice_has_all_its_objects_in_order_with_the_index_of_the_row() -> None:
    async with heralded() as (w, told):
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        await until(lambda: told)
        (notice,) = told
        arc = w.arc("guest1")
        assert notice.oid == SUSPENDED
        assert [n for n, _ in notice.varbinds] == [(*o, arc) for o in (*SHOWN, DETAIL, PREVIOUS, *STAMPS)]
        assert notice.encoded is not None
        assert notice.encoded() == b"".join(varbind(ber.oid_contents(n), v) for n, v in notice.varbinds)
        domain = w.domain("guest1")
        assert [v for _, v in notice.varbinds[:2]] == [wire.text(domain.uuid), wire.text("guest1")]
        assert [number(v) for _, v in notice.varbinds[2:6]] == [
            DomainState.PAUSED, domain.state_reason, LifecycleDetail.SUSPENDED_PAUSED, DomainState.RUNNING,
        ]  # fmt: skip
        assert notice.varbinds[6][1] == ber.element(ber.COUNTER64, b"\x01")
        assert [number(v) for _, v in notice.varbinds[8:9]] == [Severity.WARNING]
        assert value(notice, 10) == wire.text(
            "domain guest1: suspended: detail suspendedPaused, previous state running"
        )
        assert (notice.hypervisor, notice.severity) == ("default", Severity.WARNING)
        assert (notice.kind, notice.domain) == ("domain", "guest1")


class Recorder:
    """A standard that keeps what it is asked."""

    modules: Sequence[tuple[Oid, str]] = ()
    tells = True

    def __init__(self, fail: bool = False) -> None:
        self.asked: list[tuple[Happened, Snapshot]] = []
        self.fail = fail

    def prepare(self, table: Table) -> None:
        raise AssertionError("not asked here")

    def patch(self, patches: Sequence[Patch]) -> bool:
        raise AssertionError("not asked here")

    def columns(self, snapshot: Snapshot) -> Iterable[Column]:
        return ()

    def notices(self, happened: Happened, snapshot: Snapshot) -> Iterable[Notice]:
        self.asked.append((happened, snapshot))
        if self.fail:
            raise RuntimeError("broken")
        yield Notice(oid=(1, 3, 6, 1, 4, 1, 1), hypervisor="default")


@looped
async def test_standards_tell_their_own_and_a_broken_one_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    broken, sound = Recorder(fail=True), Recorder()
    async with heralded(standards=[broken, sound]) as (w, told):
        w.fake.remove("guest2")
        await until(lambda: len(told) == 4)
        assert [n.oid for n in told] == [STOPPED, (1, 3, 6, 1, 4, 1, 1), UNDEFINED, (1, 3, 6, 1, 4, 1, 1)]
        assert len(broken.asked) == len(sound.asked) == 2
        assert "fault of the agent" in caplog.text
        happened, snapshot = sound.asked[0]
        row = snapshot.get(Domain, happened.key)
        assert row is not None, "the row as it was seen last, though it is gone"
        assert row.name == "guest2"


def test_every_event_of_the_mapping_has_its_notice() -> None:
    native = Native(MIB)
    for module in MIB.modules:
        for notification in module.notifications:
            event = notification.event
            key = tuple("x" for _ in event.on.key_fields())
            notice = native.notice(Happened(event=event(), key=key), None)
            assert notice.oid == notification.oid
            assert len(notice.varbinds) == len(notification.objects)


def test_a_value_that_cannot_be_shown_is_not_known() -> None:
    table = MIB.table(Domain)
    values: list[Any] = [None] * len(Domain.fields)
    values[Domain.positions["uuid"]] = "u"
    values[Domain.positions["state"]] = "no number"
    assert table.row is Domain
    notice = Native(MIB).notice(Happened(event=DomainStarted(), key=("u",)), Seen((5,), tuple(values)))
    assert [v for _, v in notice.varbinds] == [wire.text("u")] + [NULL] * 10
