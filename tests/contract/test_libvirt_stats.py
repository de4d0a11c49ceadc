"""Bulk statistics to columns: everything that the model declares, and nothing by any other way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import libvirt
import pytest

from agent.model import MODEL, Disk, Domain, Nic, Vcpu
from agent.model.domain import DomainState, DomainStateReason
from agent.model.vcpu import VcpuState
from agent.schema.declare import Row
from drivers.libvirt import stats
from drivers.libvirt.reading import cpu_list, version_text


def declared(row: type[Row]) -> list[tuple[str, str]]:
    return [(f.name, f.stats.split("<num>.", 1)[-1]) for f in row.fields if f.stats is not None]


@pytest.mark.parametrize("row", [r for r in MODEL.rows if declared(r)], ids=lambda r: r.__name__)
def test_every_declared_field_fills_its_column(row: type[Row]) -> None:
    reason = {"state_reason"}  # told together with the state
    fields: dict[str, Any] = {field: n + 1 for n, (_, field) in enumerate(declared(row))}
    fields |= {"state.state": 1, "state": 1, "name": "vda", "path": "/image"}
    values: list[Any] = [None] * len(row.fields)
    stats.fill(row, fields, values)
    told = {f.name for f in row.fields if values[f.position] is not None}
    assert told == {name for name, _ in declared(row)} - reason


def test_a_field_that_is_not_told_leaves_what_was_there() -> None:
    values: list[Any] = [None] * len(Domain.fields)
    values[Domain.positions["memory"]] = 7
    stats.fill(Domain, {"balloon.maximum": 9}, values)
    assert values[Domain.positions["memory"]] == 7
    assert values[Domain.positions["max_memory"]] == 9


def test_only_groups_with_a_column_are_asked_for() -> None:
    assert stats.wanted() & libvirt.VIR_DOMAIN_STATS_BLOCK
    assert not stats.wanted() & libvirt.VIR_DOMAIN_STATS_DIRTYRATE


def test_state_and_reason_go_together() -> None:
    running = (DomainState.RUNNING, DomainStateReason.RUNNING_MIGRATED)
    assert stats.state({"state.state": 1, "state.reason": 2}) == running
    paused = (DomainState.PAUSED, DomainStateReason.PAUSED_MIGRATION)
    assert stats.state({"state.state": 3, "state.reason": 2}) == paused
    assert stats.state({"state.state": 3, "state.reason": 99}) == (DomainState.PAUSED, DomainStateReason.PAUSED_UNKNOWN)
    assert stats.state({"state.state": 99}) == (None, None)
    assert stats.state({}) == (None, None)


def test_numbers_that_mean_nothing_are_none() -> None:
    values: list[Any] = [None] * len(Domain.fields)
    stats.fill(Domain, {"balloon.rss": -1, "balloon.last-update": 0}, values)
    assert values[Domain.positions["memory_rss"]] is None
    assert values[Domain.positions["balloon_updated"]] is None
    stats.fill(Domain, {"balloon.last-update": 1_000_000_000}, values)
    assert values[Domain.positions["balloon_updated"]] == datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)


def test_parts_are_told_apart_by_number() -> None:
    parts = stats.parts({"vcpu.current": 2, "vcpu.0.time": 1, "vcpu.11.time": 2, "net.0.rx.bytes": 3, "block.count": 0})
    assert parts == {"vcpu": {0: {"time": 1}, 11: {"time": 2}}, "net": {0: {"rx.bytes": 3}}, "block": {}}
    values: list[Any] = [None] * len(Vcpu.fields)
    stats.fill(Vcpu, {"state": 1, "halted": True}, values)
    assert values[Vcpu.positions["state"]] is VcpuState.RUNNING
    assert values[Vcpu.positions["halted"]] is True


def test_a_disk_is_found_by_its_target_and_on_top_of_its_chain() -> None:
    blocks = {2: {"name": "vda", "path": "base"}, 1: {"name": "vda", "path": "top"}, 0: {"name": "sda"}}
    assert stats.block_of(blocks, "vda")["path"] == "top"
    assert stats.block_of(blocks, "vdz") == {}
    assert "source" in Disk.positions


def test_a_nic_is_found_by_its_place_and_checked_by_its_name() -> None:
    nets = {0: {"name": "vnet0"}, 2: {"name": "vnet7", "rx.bytes": 1}}
    assert stats.nic_of(nets, 2, "vnet7") == nets[2]
    assert stats.nic_of(nets, 1, "vnet7") == {}
    assert stats.nic_of(nets, 0, "vnet7") == nets[2]
    assert stats.nic_of(nets, 0, None) == nets[0]
    assert "target" in Nic.positions


def test_an_inactive_domain_has_no_processor_time() -> None:
    assert stats.of_inactive({"cpu.time": 5, "cpu.user": 1, "balloon.maximum": 4}) == {"balloon.maximum": 4}


@pytest.mark.parametrize(
    ("allowed", "text"),
    [([], ""), ([True], "0"), ([True, True, True, False, True], "0-2,4"), ([False, True, True], "1-2"), ([False], "")],
)
def test_processors_are_told_as_ranges(allowed: list[bool], text: str) -> None:
    assert cpu_list(allowed) == text


@pytest.mark.parametrize(
    ("number", "text"), [(7002022, "7.2.22"), (9000000, "9.0.0"), (2, "0.0.2"), (0, None), (None, None)]
)
def test_versions_are_told_with_dots(number: int | None, text: str | None) -> None:
    assert version_text(number) == text
