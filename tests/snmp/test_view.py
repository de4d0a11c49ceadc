"""The view of a snapshot: pages, what is taken over from the snapshot before, and values that cannot be shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from agent.model import MODEL, Domain, Nic, Vcpu
from agent.model.domain import DomainState
from agent.schema.declare import Row
from agent.snapshot import Snapshot, Table
from agent.snmp import ber
from agent.snmp.mib import project
from agent.snmp.view import PAGE, Column, RowIndex, Tables, View
from tests import wire
from tests.wire import Oid

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MIB = project(MODEL)
ENTRY = MIB.table(Domain).entry_oid


def uuid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def domain(number: int, **more: Any) -> Domain:
    values = {
        "uuid": uuid(number),
        "name": f"d{number}",
        "state": DomainState.RUNNING,
        "cpu_time": number * 1000,
        **more,
    }
    return Domain(**values)


def snapshot(
    rows: Sequence[Row], before: Snapshot | None = None, arcs: Sequence[tuple[int, ...]] | None = None
) -> Snapshot:
    """A snapshot of one table; index arcs are 1, 2, 3 ... unless given. What `before` has of them is taken over."""
    kind = type(rows[0])
    indexes = tuple(arcs or ((i,) for i in range(1, len(rows) + 1)))
    old = before.table(kind) if before else None
    if old is not None and old.indexes == indexes:
        indexes = old.indexes
    tables = {row: Table(row, (), ()) for row in MODEL.rows}
    tables[kind] = Table(kind, [r.values for r in rows], indexes)
    return Snapshot(tables, before.number + 1 if before else 1)


def shown(tables: Tables, snap: Snapshot, *, prepare: bool = True) -> View:
    if prepare:
        for row in MODEL.rows:
            if not row.internal:
                tables.prepare(snap.table(row))
    return View([c for t in tables.views(snap) for c in t.columns])


def bindings(chunks: Sequence[bytes]) -> list[tuple[Oid, int, bytes]]:
    found, data = [], b"".join(chunks)
    while data:
        _, one, data = wire.taken(data, 0x30)
        _, name, value = wire.taken(one, 0x06)
        tag, contents, rest = wire.taken(value)
        assert not rest
        found.append((wire.arcs(name), tag, contents))
    return found


def column(view: View, number: int, entry: Oid = ENTRY) -> Column:
    return next(c for c in view.columns if c.oid == (*entry, number))


def one_by_one(view: View, start: Oid) -> list[tuple[Oid, int, bytes]]:
    place = view.after(wire.name(start)[2:])
    out = []
    while True:
        found, *after = view.following(*place)
        if not found:
            return bindings(out)
        out.append(found)
        place = (after[0], after[1])


def in_runs(view: View, start: Oid, count: int, room: int = 10**9) -> list[tuple[Oid, int, bytes]]:
    number, row = view.after(wire.name(start)[2:])
    out: list[bytes] = []
    while number < len(view.columns):
        chunks, took, number, row = view.run(number, row, count, room)
        assert len(bindings(chunks)) == took <= count
        assert sum(map(len, chunks)) <= room
        assert took or number >= len(view.columns)
        out += chunks
    return bindings(out)


SIZES = [1, 2, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 2 * PAGE + 1, 700]


SPARSE: dict[str, Callable[[int], bool]] = {
    "dense": lambda i: False,
    "thirds": lambda i: i % 3 == 0,
    "edges": lambda i: i % 256 in (0, 255),
    "hole": lambda i: 200 < i < 600,
    "lonely": lambda i: i != 256,
    "empty": lambda i: True,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sparse", SPARSE.values(), ids=SPARSE)
def test_runs_across_pages_give_what_single_steps_give(size: int, sparse: Callable[[int], bool]) -> None:
    rows = [domain(i, cpu_time=None if sparse(i) else i) for i in range(size)]
    view = shown(Tables(MIB), snapshot(rows))
    start = (*ENTRY, 29)
    expected = one_by_one(view, start)
    told = [(n[-1] - 1, int.from_bytes(v, "big")) for n, _, v in expected if n[: len(ENTRY) + 1] == (*ENTRY, 30)]
    assert told == [(i, i) for i in range(size) if not sparse(i)]
    for count in (1, 5, 255, 256, 257, 100_000):
        assert in_runs(view, start, count) == expected
    for room in (100, 3000, 30_000):
        assert in_runs(view, start, 1000, room) == expected


def test_indexes_of_every_length_of_arc() -> None:
    arcs = [(a,) for a in (1, 127, 128, 16383, 16384, 2**21 - 1, 2**21, 2**28, 2**31 - 1)]
    view = shown(Tables(MIB), snapshot([domain(i) for i in range(len(arcs))], arcs=arcs))
    assert [n[-1:] for n, _, _ in one_by_one(view, (*ENTRY, 30)) if n[:-1] == (*ENTRY, 30)] == arcs
    for at in (0, 1, 2, 126, 128, 129, 16384, 2**31, 2**32 - 1):
        found, *_ = view.following(*view.after(wire.name((*ENTRY, 30, at))[2:]))
        behind = [a for a in arcs if a > (at,)]
        assert [n for n, _, _ in bindings([found])] == [(*ENTRY, 30, *a) for a in behind[:1]]


def test_two_arcs_in_an_index() -> None:
    rows = [Vcpu(domain=uuid(d), number=n, cpu_time=d * 10 + n) for d in (1, 300) for n in range(3)]
    arcs = [(d, n + 1) for d in (1, 300) for n in range(3)]
    view = shown(Tables(MIB), snapshot(rows, arcs=arcs))
    entry = MIB.table(Vcpu).entry_oid
    assert [n for n, _, _ in one_by_one(view, (*entry, 4)) if n[:-2] == (*entry, 4)] == [(*entry, 4, *a) for a in arcs]
    for start, first in (
        ((1,), (1, 1)),
        ((1, 3), (300, 1)),
        ((1, 3, 0), (300, 1)),
        ((2,), (300, 1)),
        ((300, 0), (300, 1)),
    ):
        found, *_ = view.following(*view.after(wire.name((*entry, 4, *start))[2:]))
        assert bindings([found])[0][0] == (*entry, 4, *first)


# --- from snapshot to snapshot


def test_pages_that_did_not_change_are_taken_over_and_others_made_anew() -> None:
    tables = Tables(MIB)
    first = snapshot([domain(i) for i in range(600)])
    view = shown(tables, first)
    in_runs(view, ENTRY, 1000)
    changed = [domain(i, cpu_time=7 if i == 300 else i * 1000) for i in range(600)]
    after = shown(tables, snapshot(changed, first))
    old, new = column(view, 30).pages, column(after, 30).pages
    assert [a is b for a, b in zip(old, new, strict=True)] == [True, False, True]
    assert column(view, 4).pages[1] is column(after, 4).pages[1] is not None
    assert {n[-1] - 1: v for n, _, v in one_by_one(after, (*ENTRY, 30)) if n[:-1] == (*ENTRY, 30)}[300] == b"\x07"
    assert bindings([column(view, 30).get(300)])[0][2] == (300_000).to_bytes(3, "big"), "the old view stays as it was"


def test_pages_that_nobody_asked_for_are_not_made() -> None:
    tables = Tables(MIB)
    first = snapshot([domain(i) for i in range(600)])
    view = shown(tables, first)
    column(view, 30).page(1)
    second = snapshot([domain(i, cpu_time=i) for i in range(600)], first)
    after = shown(tables, second)
    assert [p is None for p in column(after, 30).pages] == [True, False, True]
    assert all(p is None for p in column(after, 4).pages)
    third = shown(tables, snapshot([domain(i, cpu_time=i + 1) for i in range(600)], second))
    assert all(p is None for p in column(third, 30).pages), "the page was not asked for in the snapshot before"


def test_a_page_that_does_not_change_stays_although_nobody_asks() -> None:
    tables = Tables(MIB)
    snap = snapshot([domain(i) for i in range(600)])
    first = column(shown(tables, snap), 4)
    page = first.page(1)
    for _ in range(3):
        snap = snapshot([domain(i) for i in range(600)], snap)
        now = shown(tables, snap)
    assert column(now, 4).pages == [None, page, None]


def test_the_row_index_is_kept_while_no_row_comes_or_goes() -> None:
    tables = Tables(MIB)
    first = snapshot([domain(i) for i in range(10)])
    view = shown(tables, first)
    second = snapshot([domain(i, name="x") for i in range(10)], first)
    after = shown(tables, second)
    assert column(after, 4).index is column(view, 4).index
    third = shown(tables, snapshot([domain(i) for i in range(9)], second))
    assert column(third, 4).index is not column(view, 4).index
    assert len(one_by_one(third, (*ENTRY, 4))) > 0
    assert [n[-1] for n, _, _ in one_by_one(third, (*ENTRY, 4)) if n[:-1] == (*ENTRY, 4)] == list(range(1, 10))


def test_a_snapshot_that_was_not_prepared_is_shown_all_the_same() -> None:
    tables = Tables(MIB)
    view = shown(tables, snapshot([domain(1)]), prepare=False)
    assert [v for n, _, v in one_by_one(view, (*ENTRY, 4)) if n[:-1] == (*ENTRY, 4)] == [b"d1"]


def test_a_snapshot_that_is_prepared_does_not_show_before_it_is_published() -> None:
    tables = Tables(MIB)
    first = snapshot([domain(1)])
    shown(tables, first)
    tables.prepare(snapshot([domain(1, name="new")], first).table(Domain))
    view = View([c for t in tables.views(first) for c in t.columns])
    assert [v for n, _, v in one_by_one(view, (*ENTRY, 4)) if n[:-1] == (*ENTRY, 4)] == [b"d1"]


# --- values

ODD: list[tuple[Row, int, tuple[int, bytes] | None]] = [
    (domain(1, cpu_time=2**64 - 1), 30, (0x46, b"\0" + b"\xff" * 8)),
    (domain(1, cpu_time=2**63), 30, (0x46, b"\0\x80" + b"\0" * 7)),
    (domain(1, cpu_time=2**64), 30, None),
    (domain(1, cpu_time=2**80), 30, None),
    (domain(1, cpu_time=-1), 30, None),
    (domain(1, cpu_time="many"), 30, None),
    (domain(1, cpu_time=1.5), 30, None),
    (domain(1, vcpus=2**32 - 1), 19, (0x42, b"\0\xff\xff\xff\xff")),
    (domain(1, vcpus=2**32), 19, (0x42, b"\0\xff\xff\xff\xff")),
    (domain(1, vcpus=2**50), 19, (0x42, b"\0\xff\xff\xff\xff")),
    (domain(1, vcpus=-1), 19, None),
    (domain(1, memory=2**32), 1021, (0x42, b"\0\xff\xff\xff\xff")),
    (domain(1, memory=2**32), 21, (0x46, b"\x01\0\0\0\0")),
    (domain(1, state=2**31), 6, None),
    (domain(1, state=2**80), 6, None),
    (domain(1, name="ä" * 200), 4, (0x04, ("ä" * 127).encode())),
    (domain(1, name=""), 4, (0x04, b"")),
    (domain(1, name="a\udcffb"), 4, (0x04, b"a?b")),
    (domain(1, name=5), 4, None),
    (domain(1, title="x" * 5000), 16, (0x04, b"x" * 4096)),
    (domain(1, autostart=True), 9, (0x02, b"\x01")),
    (domain(1, autostart=False), 9, (0x02, b"\x02")),
    (domain(1, refreshed="yesterday"), 50, None),
]


@pytest.mark.parametrize(("row", "number", "expected"), ODD)
def test_a_value_that_cannot_be_shown_costs_only_itself(
    row: Domain, number: int, expected: tuple[int, bytes] | None, caplog: pytest.LogCaptureFixture
) -> None:
    others = [domain(i) for i in range(2, 300)]
    view = shown(Tables(MIB), snapshot([row, *others]))
    told = [(t, v) for n, t, v in one_by_one(view, ENTRY) if n == (*ENTRY, number, 1)]
    assert told == ([] if expected is None else [expected])
    assert one_by_one(view, ENTRY) == in_runs(view, ENTRY, 100)
    names = [n[-1] for n, _, _ in in_runs(view, (*ENTRY, 30), 50) if n[:-1] == (*ENTRY, 30)]
    assert names[-298:] == list(range(2, 300))


def test_a_value_that_cannot_be_shown_does_not_stop_the_next_snapshot(caplog: pytest.LogCaptureFixture) -> None:
    tables = Tables(MIB)
    first = snapshot([domain(i) for i in range(600)])
    in_runs(shown(tables, first), ENTRY, 1000)
    odd = [
        domain(i, cpu_time=2**90, vcpus=2**50, name=7, state=object()) if i == 300 else domain(i) for i in range(600)
    ]
    view = shown(tables, snapshot(odd, first))
    told = [n for n, _, _ in one_by_one(view, ENTRY) if n[-1] == 301]
    assert (*ENTRY, 2, 301) in told
    assert (*ENTRY, 30, 301) not in told
    assert "virtmapDomainName: cannot show 7" in caplog.text


@pytest.mark.parametrize(
    ("mac", "shown_as"),
    [("52:54:00:aa:bb:cc", bytes.fromhex("525400aabbcc")), ("", None), ("52:54", None), ("no:pe:00:00:00:00", None)],
)
def test_mac_addresses(mac: str, shown_as: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    view = shown(Tables(MIB), snapshot([Nic(domain=uuid(1), device="x", mac=mac)], arcs=[(1, 1)]))
    entry = MIB.table(Nic).entry_oid
    number = Nic.fields[Nic.positions["mac"]].number
    told = [v for n, _, v in one_by_one(view, entry) if n == (*entry, number, 1, 1)]
    assert told == ([] if shown_as is None else [shown_as])


def test_every_type_of_the_model_is_shown_with_its_tag() -> None:
    view = shown(Tables(MIB), snapshot([domain(1, refreshed=NOW, memory=5)]))
    tags = {n[len(ENTRY)]: t for n, t, _ in one_by_one(view, ENTRY) if n[: len(ENTRY)] == ENTRY}
    for one in MIB.table(Domain).readable:
        if one.oid[-1] in tags:
            assert tags[one.oid[-1]] == one.wire.value


# --- gaps


def gapped(filled: Callable[[int], bool], rows: int = 1500) -> list[Column]:
    """Columns of which one has values in some rows only, between one that has none at all and one that has all."""
    index = RowIndex(tuple((i,) for i in range(rows)))
    head = (1, 3, 6, 1, 4, 1, 99)
    values: list[Callable[[int], int | None]] = [
        lambda _: None, lambda row: row if filled(row) else None, lambda _: None, lambda row: row
    ]  # fmt: skip
    return [
        Column((*head, arc), index, [(value(row),) for row in range(rows)], 0, ber.encode_integer)
        for arc, value in enumerate(values, 1)
    ]


@pytest.mark.parametrize(
    "filled",
    [lambda _: False, lambda row: row == 0, lambda row: row == 1499, lambda row: row in (255, 256, 1024), lambda row: row % 3 == 0,
     lambda row: 300 < row < 1200, lambda row: not 300 < row < 1200, lambda row: row % 9 == 8],
)  # fmt: skip
def test_gaps_of_any_length_are_passed_over_alike_however_one_asks(filled: Callable[[int], bool]) -> None:
    wanted = [(2, row) for row in range(1500) if filled(row)] + [(4, row) for row in range(1500)]
    view = View(gapped(filled))
    for _ in range(2):  # what was learnt of the gaps the first time holds
        found, place = [], (0, 0)
        while (answer := view.following(*place))[0]:
            found.append((answer[1] + 1, answer[2] - 1))
            place = answer[1:]
        assert found == wanted
        for start in [(0, 0), (0, 700), (1, 0), (1, 254), (1, 256), (1, 1300), (2, 3), (3, 1499)]:
            behind = [(c, row) for c, row in wanted if (c - 1, row) >= start]
            assert view.following(*start)[1:] == (behind[0][0] - 1, behind[0][1] + 1)
            for many in (1, 7, 300, 5000):
                chunks, count, _, _ = view.run(*start, many, 10**6)
                assert count == min(many, len(behind))
                assert b"".join(chunks) == b"".join(view.columns[c - 1].get(row) for c, row in behind[:many])


def test_a_column_without_values_is_looked_over_once() -> None:
    looked: list[int] = []

    class Counting(Column):
        def values(self, first: int, stop: int) -> Sequence[Any]:
            looked.append(stop - first)
            return super().values(first, stop)

    index = RowIndex(tuple((i,) for i in range(5000)))
    empty = Counting((1, 3, 6, 1, 4, 1, 99, 1), index, [(None,)] * 5000, 0, ber.encode_integer)
    view = View([empty])
    for _ in range(9):
        assert view.following(0, 0)[0] == b""
        assert view.run(0, 0, 9, 9999)[1] == 0
    assert sum(looked) < 2 * 5000
    assert empty.void
