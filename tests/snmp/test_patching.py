"""A snapshot with some rows replaced shows by SNMP what one that was laid out anew does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from agent.driver import Batch
from agent.inventory import FEW
from agent.layout import _patch, grouped, patched
from agent.model import Disk, Domain, Host
from agent.model.alarm import Alarm
from agent.model.domain import Destroy, DomainState, Resume, Suspend
from agent.schema.declare import Key
from agent.snapshot import CHUNK, Records, Table, Values
from agent.snmp import ber
from agent.snmp.context import Context
from agent.snmp.standards import libvirt_mib, vm_mib
from agent.snmp.vacm import MibView, Subtree
from agent.snmp.view import Column, RowIndex, Taken, View
from tests import wire
from tests.agents import World, looped, standards, world

SERVES = (*standards(), libvirt_mib.serve, vm_mib.serve(per_vm=False, bulk=False))
VIRTMAP = wire.oid("1.3.6.1.4.1.36957.20.1")


def walked(view: View) -> list[bytes]:
    """Every variable binding of a view, each page encoded."""
    return [column.page(row >> 8) and column.get(row) for column in view.columns for row in range(column.count)]


def fresh(w: World) -> View:
    """The view of somebody who saw nothing before."""
    return Context(w.engine, "default", w.inventory, SERVES).view()


BY_ITSELF = ((1, 3, 6, 1, 2, 1, 236, 1, 1, 4), (1, 3, 6, 1, 2, 1, 236, 1, 3))
"""vmHvUpTime, which goes on, and vmTableLastChange, which who comes late does not know."""


def shown(view: View, prefix: wire.Oid) -> list[bytes]:
    """Every variable binding beneath a prefix."""
    columns = [c for c in view.columns if c.oid[: len(prefix)] == prefix and c.oid not in BY_ITSELF]
    return [column.get(row) for column in columns for row in range(column.count)]


@looped
async def test_a_patched_view_shows_what_a_new_one_does() -> None:
    chance = random.Random(5)
    async with world("fake:///?domains=600&details=0", serves=SERVES) as w:
        context = w.engine.contexts["default"]
        walked(context.view())  # every page is there
        running = [row.key for row in w.inventory.snapshot.table(Domain).rows() if row.state == DomainState.RUNNING]
        whole = context.view()
        for _ in range(5):
            keys = chance.sample(running, 20)
            for key in keys:
                w.fake.perform(Suspend(), key)
            await w.inventory.refresh([(Domain, key) for key in keys])
            assert context.view() is whole, "nothing was laid out anew"
            for prefix in (VIRTMAP, (1, 3, 6, 1, 2, 1, 236), (1, 3, 6, 1, 4, 1, 36957, 1)):
                assert shown(context.view(), prefix) == shown(fresh(w), prefix)
            for key in keys:
                w.fake.perform(Resume(), key)


@looped
async def test_a_domain_that_stops_is_no_row_of_libvirt_snmps_table_any_more() -> None:
    async with world("fake:///?domains=5&details=0", serves=SERVES) as w:
        context = w.engine.contexts["default"]
        before = len(shown(context.view(), (1, 3, 6, 1, 4, 1, 36957, 1, 1, 1, 2)))
        key = w.key("guest1")
        w.fake.perform(Destroy(), key)
        await w.inventory.refresh([(Domain, key)])
        for prefix in (VIRTMAP, (1, 3, 6, 1, 4, 1, 36957, 1)):
            assert shown(context.view(), prefix) == shown(fresh(w), prefix)
        assert len(shown(context.view(), (1, 3, 6, 1, 4, 1, 36957, 1, 1, 1, 2))) == before - 1


@looped
async def test_who_sees_a_part_sees_it_as_it_is_now() -> None:
    async with world("fake:///?domains=20&details=0", serves=SERVES) as w:
        context = w.engine.contexts["default"]
        state = next(f.number for f in Domain.fields if f.name == "state")
        some = MibView("some", [Subtree(oid=(*VIRTMAP, 2, 1, state or 0, w.arc("guest3")))])
        (was,) = [b for b in walked(context.seen(some, 1)) if b]
        w.fake.perform(Suspend(), w.key("guest3"))
        await w.inventory.refresh([(Domain, w.key("guest3"))])
        (now,) = [b for b in walked(context.seen(some, 1)) if b]
        assert was[-1:] != now[-1:] == bytes((DomainState.PAUSED,))


@looped
async def test_what_the_agent_itself_publishes_before_a_patch_is_shown_with_it() -> None:
    async with world("fake:///?domains=5&details=0", serves=SERVES) as w:
        context = w.engine.contexts["default"]
        walked(context.view())
        alarms = (*VIRTMAP, 910, 1)
        for rows in ([Alarm(number=1, rule="r", object="o")], []):
            w.inventory.set_rows(Alarm, rows)
            w.fake.perform(Suspend() if rows else Resume(), w.key("guest3"))
            await w.inventory.refresh([(Domain, w.key("guest3"))])
            assert bool(shown(context.view(), alarms)) is bool(rows)
            assert shown(context.view(), VIRTMAP) == shown(fresh(w), VIRTMAP)


@looped
async def test_rows_that_come_or_go_take_a_layout() -> None:
    async with world("fake:///?domains=5&details=0") as w:
        snapshot = w.inventory.snapshot
        w.fake.add("more")
        root = (Domain, w.key("more"))
        (piece,) = w.fake.plan([root]).pieces
        assert patched(snapshot, [grouped(piece.read(), piece.roots, 0.0)]) is None
        await w.inventory.refresh([root])
        assert w.inventory.snapshot.table(Domain).find(w.key("more")) is not None
        w.fake.remove("more")
        await w.inventory.refresh([root])
        assert w.inventory.snapshot.table(Domain).find(root[1]) is None


@looped
@pytest.mark.parametrize("name", ["guest1", "guest3", "guest5"], ids=["the first", "between others", "the last"])
async def test_a_device_that_comes_or_goes_takes_a_layout(name: str) -> None:
    async with world("fake:///?domains=5&details=0") as w:
        snapshot, root = w.inventory.snapshot, (Domain, w.key(name))
        (piece,) = w.fake.plan([root]).pieces
        rows = list(piece.read().rows)
        disks = [row for row in rows if isinstance(row, Disk)]
        others = [row for row in rows if not isinstance(row, Disk)]
        more = disks[0].replace(target="vdz")
        strange = disks[0].replace(domain=w.key("guest2" if name != "guest2" else "guest1")[0])
        for has in ([], disks[:1], disks[1:], [*disks, more], [disks[0], more], [*disks, disks[0]]):
            read = grouped(Batch(rows=[*others, *has]), piece.roots, 0.0)
            assert patched(snapshot, [read]) is None, [row.key for row in has]
        assert patched(snapshot, [grouped(Batch(rows=[*others, *disks, strange]), piece.roots, 0.0)]) is None
        (host,) = w.fake.plan([(Host, ("default",))]).pieces
        assert patched(snapshot, [grouped(Batch(rows=[]), host.roots, 0.0)]) is None
        for read in (
            grouped(Batch(rows=[*others, *reversed(disks)]), piece.roots, 0.0),
            grouped(host.read(), host.roots, 0.0),
        ):
            found = patched(snapshot, [read])
            assert found, "these are the rows that there are"
            wanted = [values for layers in read.rows.values() for layer in layers for values in layer]
            for patch in found:
                assert [row.key for row in patch.table.rows()] == [
                    r.key for r in snapshot.table(patch.table.row).rows()
                ]
                assert patch.places
                assert all(patch.table.records[at] in wanted for at in patch.places)


@looped
async def test_what_is_read_beside_a_reading_of_everything_is_not_lost_by_it() -> None:
    async with world("fake:///?domains=50&details=0", serves=SERVES) as w:
        key = w.key("guest7")
        inventory = w.inventory
        build = inventory._build
        seen: list[object] = []

        def slow(*args: object) -> object:
            """While the tables are built, a domain changes and is read."""
            seen.append(args)
            return build(*args)  # type: ignore[arg-type]

        inventory._build = slow  # type: ignore[method-assign, assignment]
        plan = await inventory.workers.run(lambda: w.fake.plan(None), limit=5, what="plan")
        old = [piece.read() for piece in plan.pieces]
        w.fake.perform(Suspend(), key)
        await inventory.refresh([(Domain, key)])
        assert w.domain("guest7").state is DomainState.PAUSED
        assert seen == [], "it was put in its place"
        reads = [grouped(batch, piece.roots, 0.0) for batch, piece in zip(old, plan.pieces, strict=True)]
        await inventory._publish(reads, 0.0)  # a reading that began before that
        assert seen
        assert w.domain("guest7").state is DomainState.PAUSED
        view = w.engine.contexts["default"].view()
        assert shown(view, VIRTMAP) == shown(fresh(w), VIRTMAP)


@looped
async def test_much_that_is_read_beside_a_build_is_put_into_its_tables_before_they_are_published() -> None:
    """And what is read while that is done, when they are."""
    async with world("fake:///?domains=200&details=0", serves=SERVES) as w:
        inventory = w.inventory
        view = w.engine.contexts["default"].view()
        walked(view)
        running = [row.key for row in w.inventory.snapshot.table(Domain).rows() if row.state == DomainState.RUNNING]
        many, last = running[: 2 * FEW], running[2 * FEW]
        build, patches = inventory._build, inventory._patches
        going, caught = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def pausing(*keys: Key) -> None:
            """In a worker thread: these domains change, and are read in the loop meanwhile."""
            for key in keys:
                w.fake.perform(Suspend(), key)
            for at in range(0, len(keys), FEW):
                roots = [(Domain, key) for key in keys[at : at + FEW]]
                asyncio.run_coroutine_threadsafe(inventory.refresh(roots), loop).result(20)

        def slow_build(*args: Any) -> Any:
            built = build(*args)
            loop.call_soon_threadsafe(going.set)
            pausing(*many)
            return built

        def slow_patches(*args: Any) -> Any:
            found = patches(*args)
            if not caught.is_set():
                loop.call_soon_threadsafe(caught.set)
                pausing(last)
            return found

        plan = await inventory.workers.run(lambda: w.fake.plan(None), limit=5, what="plan")
        old = [grouped(piece.read(), piece.roots, 0.0) for piece in plan.pieces]
        inventory._build, inventory._patches = slow_build, slow_patches  # type: ignore[method-assign]
        await inventory._publish(old, 0.0)
        assert going.is_set()
        assert caught.is_set()
        states = {row.key: row.state for row in inventory.snapshot.table(Domain).rows()}
        assert {states[key] for key in (*many, last)} == {DomainState.PAUSED}
        assert {states[key] for key in running[2 * FEW + 1 :]} == {DomainState.RUNNING}
        assert shown(w.engine.contexts["default"].view(), VIRTMAP) == shown(fresh(w), VIRTMAP)


def test_a_patch_tells_which_rows_have_another_value_in_a_column() -> None:
    fields = Domain.positions
    rows = [Domain(uuid=str(n), name="a", cpu_time=n).values for n in range(3)]
    before = Table(Domain, rows, ((1,), (2,), (3,)))
    now = Domain(uuid="2", name="b", cpu_time=5).values, Domain(uuid="0", name="a", cpu_time=7).values
    patch = _patch(before, {2: now[0], 0: now[1]})
    assert {at: sorted(places) for at, places in patch.moved.items()} == {
        fields["name"]: [2],
        fields["cpu_time"]: [0, 2],
    }
    assert (patch.old, list(patch.table.records)) == ((rows[2], rows[0]), [now[1], rows[1], now[0]])


def test_a_page_that_is_patched_while_it_is_taken_over_is_looked_at_again() -> None:
    """In another thread, at the worst moment."""
    index = RowIndex(((1,), (2,)))
    first, second, third = ([(n, 0), (n, 0)] for n in range(3))

    class Patched(Column):
        def _same(self, old: Column, before: Sequence[Values], span: slice) -> bool:
            found = super()._same(old, before, span)
            if old.records is first:
                old.patch(second, {0: [0, 1]})
                old.page(0)
            return found

    old = Column((1, 3, 6), index, first, 0, ber.encode_integer)
    new = Patched((1, 3, 6), index, third, 0, ber.encode_integer)
    old.page(0)
    new.inherit(old, Taken(third, first))
    assert old.get(0)[-1:] == b"\1"
    assert new.get(0)[-1:] == b"\2"
    same = Patched((1, 3, 6), index, first, 0, ber.encode_integer)
    old = Column((1, 3, 6), index, first, 0, ber.encode_integer)
    old.page(0)
    same.inherit(old, Taken(list(first), second))  # it was patched before already: what is dirty says nothing
    assert same.get(0)[-1:] == b"\0"


# --- records


def some(count: int, first: int = 0) -> list[Values]:
    return [(first + n,) for n in range(count)]


@pytest.mark.parametrize("count", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_records_are_a_sequence(count: int) -> None:
    plain = some(count)
    records = Records(plain)
    assert (len(records), list(records), records) == (count, plain, plain)
    for first in (0, 1, CHUNK - 1, CHUNK, CHUNK + 3, count):
        for stop in (first, first + 1, first + CHUNK, count, -1):
            assert records[first:stop] == plain[first:stop]
    assert records[::-2] == plain[::-2]
    for at in range(-count, count):
        assert records[at] == plain[at]
    for at in (count, -count - 1):
        with pytest.raises(IndexError):
            records[at]


def test_replaced_records_leave_those_before_as_they_were() -> None:
    plain = some(3 * CHUNK)
    before = Records(plain)
    now = before.replaced({0: ("a",), CHUNK + 1: ("b",)})
    assert before == plain
    assert (now[0], now[CHUNK + 1], now[1]) == (("a",), ("b",), (1,))
    assert [now.shares(before, n) for n in range(3)] == [False, False, True]
