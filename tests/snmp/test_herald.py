"""From an event to its notices: when they are told, in which order, and what they say of a row that is gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import pytest

from agent.driver import Happened
from agent.errors import Unreachable, VirtmapError
from agent.model import MODEL, Domain
from agent.model.domain import DomainState, Resume, Suspend
from agent.model.domain_events import DomainStarted, DomainStopped, LifecycleDetail
from agent.schema.declare import Severity
from agent.snapshot import Snapshot, Table
from agent.snmp import herald
from agent.snmp.herald import Herald, Native
from agent.snmp.mib import Oid, project
from agent.snmp.notice import Notice
from agent.snmp.view import Column
from tests import wire
from tests.agents import DOMAIN_ENTRY, OPERATOR, World, looped, until, world

NULL = b"\x05\x00"
NOTIFICATION = wire.oid("1.3.6.1.4.1.36957.20.0")
DETAIL = wire.oid("1.3.6.1.4.1.36957.20.6.1000.1")
PREVIOUS = wire.oid("1.3.6.1.4.1.36957.20.6.1000.2")
UNDEFINED, STARTED, SUSPENDED, RESUMED, STOPPED = ((*NOTIFICATION, n) for n in (2, 3, 4, 5, 6))
MIB = project(MODEL)
NUMBERS = {f.name: f.number or 0 for f in Domain.fields}
SHOWN = [(*DOMAIN_ENTRY, NUMBERS[n]) for n in ("uuid", "name", "state", "state_reason")]


@contextlib.asynccontextmanager
async def heralded(uri: str = "fake:///?domains=3", **more: Any) -> AsyncIterator[tuple[World, list[Notice], Herald]]:
    """An agent, what its herald told, and the herald."""
    told: list[Notice] = []
    async with world(uri) as w:
        one = Herald(w.inventory, w.engine.mib, told.append, **more)
        try:
            yield w, told, one
        finally:
            one.stop()


def value(notice: Notice, place: int) -> bytes:
    return notice.varbinds[place][1]


def number(value: bytes) -> int:
    tag, contents, _ = wire.taken(value)
    assert tag == wire.INTEGER
    return wire.whole(contents)


@looped
async def test_a_notice_has_all_its_objects_in_order_with_the_index_of_the_row() -> None:
    async with heralded() as (w, told, _):
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        await until(lambda: told)
        (notice,) = told
        arc = w.arc("guest1")
        assert notice.oid == SUSPENDED
        assert [n for n, _ in notice.varbinds] == [(*o, arc) for o in (*SHOWN, DETAIL, PREVIOUS)]
        domain = w.domain("guest1")
        assert [v for _, v in notice.varbinds[:2]] == [wire.text(domain.uuid), wire.text("guest1")]
        assert [number(v) for _, v in notice.varbinds[2:]] == [
            DomainState.PAUSED, domain.state_reason, LifecycleDetail.SUSPENDED_PAUSED, DomainState.RUNNING,
        ]  # fmt: skip
        assert (notice.hypervisor, notice.severity) == ("default", Severity.WARNING)


@looped
async def test_who_asks_on_hearing_sees_the_new_state() -> None:
    async with world() as w:
        seen: list[tuple[Oid, DomainState | None]] = []
        one = Herald(w.inventory, w.engine.mib, lambda n: seen.append((n.oid, w.domain("guest1").state)))
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        await until(lambda: len(seen) == 1)
        await w.operations.perform(OPERATOR, "default", Resume(), w.key("guest1"))
        await until(lambda: len(seen) == 2)
        assert seen == [(SUSPENDED, DomainState.PAUSED), (RESUMED, DomainState.RUNNING)]
        one.stop()


@looped
async def test_a_row_that_is_gone_is_told_as_it_was_seen_last() -> None:
    async with heralded() as (w, told, _):
        arc, uuid = w.arc("guest2"), w.domain("guest2").uuid
        w.fake.remove("guest2")
        await until(lambda: len(told) == 2)
        assert [n.oid for n in told] == [STOPPED, UNDEFINED]
        for notice in told:
            assert all(n[-1] == arc for n, _ in notice.varbinds)
            assert [value(notice, i) for i in (0, 1)] == [wire.text(uuid), wire.text("guest2")]
        assert w.inventory.snapshot.get(Domain, (uuid,)) is None


@looped
async def test_an_event_after_its_row_has_gone_is_told_from_memory() -> None:
    async with heralded() as (w, told, one):
        key, arc = w.key("guest2"), w.arc("guest2")
        w.fake.remove("guest2")
        await until(lambda: len(told) == 2)
        late = Happened(event=DomainStopped(detail=LifecycleDetail.STOPPED_FAILED), key=key)
        one._hear(late)
        w.inventory.look_again((Domain, key))
        await until(lambda: len(told) == 3)
        assert told[2].varbinds[1] == ((*DOMAIN_ENTRY, NUMBERS["name"], arc), wire.text("guest2"))


@looped
async def test_a_row_that_never_was_is_told_by_its_key() -> None:
    async with heralded() as (w, told, one):
        key = ("11111111-2222-3333-4444-555555555555",)
        one._hear(Happened(event=DomainStarted(), key=key))
        w.inventory.look_again((Domain, key))
        await until(lambda: told)
        assert told[0].varbinds[0] == ((*SHOWN[0], 0), wire.text(key[0]))
        assert [v for _, v in told[0].varbinds[1:]] == [NULL] * 5
        assert all(n[-1] == 0 for n, _ in told[0].varbinds)


@looped
async def test_events_of_one_domain_keep_their_order() -> None:
    async with heralded() as (w, told, _):
        for kind in (Suspend, Resume, Suspend, Resume):
            await w.operations.perform(OPERATOR, "default", kind(), w.key("guest1"))
        await until(lambda: len(told) == 4)
        assert [n.oid for n in told] == [SUSPENDED, RESUMED, SUSPENDED, RESUMED]


@looped
async def test_a_reading_that_began_before_the_event_does_not_count() -> None:
    async with heralded() as (w, told, one):
        key = w.key("guest1")
        loop = asyncio.get_running_loop()
        one._hear(Happened(event=DomainStarted(), key=key))
        one._read(frozenset({(Domain, key)}), loop.time() - 5)
        one._read(None, loop.time() - 5)
        one._read(frozenset({(Domain, w.key("guest2"))}), loop.time())
        await asyncio.sleep(0)
        assert (told, one.waiting) == ([], 1)
        one._read(frozenset({(Domain, key)}), loop.time())
        await until(lambda: told)
        assert one.waiting == 0


@looped
async def test_a_hypervisor_that_hangs_holds_up_no_notice_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(herald, "HELD_FOR", 0.1)
    async with heralded() as (w, told, one):
        key = w.key("guest1")
        w.fake.hang()
        one._hear(Happened(event=DomainStarted(detail=LifecycleDetail.STARTED_BOOTED), key=key))
        w.inventory.look_again((Domain, key))
        await until(lambda: told, within=5.0)
        assert value(told[0], 1) == wire.text("guest1")
        one._hear(Happened(event=DomainStopped(), key=key))
        await until(lambda: len(told) == 2, within=5.0)
        w.fake.release()


@looped
async def test_a_root_whose_reading_fails_is_told_all_the_same() -> None:
    async with heralded() as (w, told, _):
        w.fake.break_domain("guest1", Unreachable("gone away"))
        with contextlib.suppress(VirtmapError):
            await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        w.fake.add("guest9")
        await until(lambda: len(told) >= 2)
        assert {value(n, 1) for n in told if n.oid == STARTED} == {wire.text("guest9")}


class Recorder:
    """A standard that keeps what it is asked."""

    modules: Sequence[tuple[Oid, str]] = ()

    def __init__(self, fail: bool = False) -> None:
        self.asked: list[tuple[Happened, Snapshot]] = []
        self.fail = fail

    def prepare(self, table: Table) -> None:
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
    async with heralded(standards=[broken, sound]) as (w, told, _):
        w.fake.remove("guest2")
        await until(lambda: len(told) == 4)
        assert [n.oid for n in told] == [STOPPED, (1, 3, 6, 1, 4, 1, 1), UNDEFINED, (1, 3, 6, 1, 4, 1, 1)]
        assert len(broken.asked) == len(sound.asked) == 2
        assert "fault of the agent" in caplog.text
        happened, snapshot = sound.asked[0]
        row = snapshot.get(Domain, happened.key)
        assert row is not None, "the row as it was seen last, though it is gone"
        assert row.name == "guest2"


@looped
async def test_nothing_is_held_while_nobody_listens() -> None:
    listening = [False]
    async with heralded(wanted=lambda: listening[0]) as (w, told, one):
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        assert one.waiting == 0
        listening[0] = True
        await w.operations.perform(OPERATOR, "default", Resume(), w.key("guest1"))
        await until(lambda: told)
        assert [n.oid for n in told] == [RESUMED]


@looped
async def test_an_end_tells_what_is_held() -> None:
    async with heralded() as (w, told, one):
        one._hear(Happened(event=DomainStarted(), key=w.key("guest1")))
        one.stop()
        assert [n.oid for n in told] == [STARTED]
        one._hear(Happened(event=DomainStarted(), key=w.key("guest1")))
        assert one.waiting == 0


@looped
async def test_a_storm_is_told_a_few_at_a_time() -> None:
    """So that the loop answers managers between them."""
    async with heralded("fake:///?domains=200") as (w, told, one):
        for row in w.inventory.snapshot.table(Domain).rows():
            one._hear(Happened(event=DomainStarted(), key=row.key))
        one._read(None, asyncio.get_running_loop().time())
        most = 0
        while one.waiting:
            before = len(told)
            await asyncio.sleep(0)
            most = max(most, len(told) - before)
        assert (len(told), most) == (200, herald.AT_ONCE)


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
    notice = Native(MIB).notice(Happened(event=DomainStarted(), key=("u",)), herald.Seen((5,), tuple(values)))
    assert [v for _, v in notice.varbinds] == [wire.text("u")] + [NULL] * 5
