"""Every table of the mapping in one walk: all columns of all rows, in order, each under the index that the MIB says."""

from __future__ import annotations

import pytest

from agent.model import MODEL, Host
from agent.model.host_resources import HostCpu, PageSize
from agent.schema.declare import Index, Row
from agent.snmp import mib
from tests import wire
from tests.agents import World, looped, world
from tests.wire import Oid

URI = "fake:///?domains=2&statistics=1"
DRIVEN = [r for r in MODEL.rows if not r.internal]


def walked(w: World) -> dict[Oid, bytes]:
    """All that is beneath the mapping's tables; fails when the order is not that of the OIDs."""
    found: dict[Oid, bytes] = {}
    at: Oid = mib.OBJECTS
    while True:
        for name, tag, contents in w.read(wire.getbulk(0, 50, at)).variables:
            if tag == wire.END_OF_MIB_VIEW or name[: len(mib.OBJECTS)] != mib.OBJECTS:
                return found
            assert name > at
            found[name] = contents
            at = name


@looped
async def test_a_walk_shows_every_column_of_every_row_once() -> None:
    async with world(URI) as w:
        found = walked(w)
        snapshot = w.inventory.snapshot
        for table in mib.project(MODEL).tables:
            rows = snapshot.table(table.row)
            if table.row in DRIVEN:
                assert len(rows), table.row.__name__
            for column in table.readable:
                instances = {name[len(column.oid) :] for name in found if name[: len(column.oid)] == column.oid}
                assert instances <= set(rows.indexes), column.name
                if column.field is not None and table.row in DRIVEN:
                    there = {
                        arc for arc, record in zip(rows.indexes, rows.records, strict=True)
                        if record[column.field.position] is not None
                    }  # fmt: skip
                    assert instances == there, column.name


@pytest.mark.parametrize("row", DRIVEN, ids=lambda r: r.__name__)
def test_an_index_has_an_arc_for_each_row_above_that_is_one_of_many(row: type[Row]) -> None:
    table = mib.project(MODEL).table(row)
    many = [r for r in row.lineage() if r.index not in (Index.SCALAR, Index.SHARED)]
    assert len(table.indexes) == len(many)
    assert table.scalar is (row is Host)


@looped
async def test_what_is_beneath_the_host_has_its_own_number_only() -> None:
    async with world(URI) as w:
        assert w.inventory.snapshot.table(HostCpu).indexes == ((1,), (2,))
        assert {len(arcs) for arcs in w.inventory.snapshot.table(PageSize).indexes} == {2}


@looped
async def test_a_row_that_shares_an_index_has_that_of_the_row_above() -> None:
    async with world(URI) as w:
        for row in DRIVEN:
            if row.index is Index.SHARED:
                assert row.parent_row is not None
                assert set(w.inventory.snapshot.table(row).indexes) <= set(
                    w.inventory.snapshot.table(row.parent_row).indexes
                )
