"""Bulk statistics to columns: everything that the model declares, and nothing by any other way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import libvirt
import pytest

from agent.model import MODEL, Disk, DiskInterval, DiskLatency, Domain, Nic, Vcpu, VcpuStatistic
from agent.model.disk_latency import DiskOperation
from agent.model.domain import DomainState, DomainStateReason
from agent.model.vcpu import VcpuState
from agent.schema.declare import Row
from drivers.libvirt import stats
from drivers.libvirt.processors import cpu_list
from drivers.libvirt.reading import version_text


def declared(row: type[Row]) -> list[tuple[str, str]]:
    return [(f.name, f.stats.split("<num>.", 1)[-1]) for f in row.fields if f.stats is not None]


SHALLOW = [r for r in MODEL.rows if declared(r) and len(r.lineage()) <= 2]
"""A domain and its parts: their fields have no keys in their names but the number of the part."""


@pytest.mark.parametrize("row", SHALLOW, ids=lambda r: r.__name__)
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


def test_names_of_the_hypervisor_become_rows_of_their_vcpu() -> None:
    fields = {
        "time": 1, "state": 1, "halt_exits.sum": 2**64 - 1, "guest_mode.cur": True, "blocking.cur": False,
        "queue.depth.max": 3, "queue.depth.cur": 0, "halt_wait.hist": 5, ".sum": 6, "sum": 7,
    }  # fmt: skip
    assert stats.beneath(Vcpu, fields, ("uuid", 3)) == [
        VcpuStatistic(domain="uuid", vcpu=3, name="blocking", current=0),
        VcpuStatistic(domain="uuid", vcpu=3, name="guest_mode", current=1),
        VcpuStatistic(domain="uuid", vcpu=3, name="halt_exits", total=2**64 - 1),
        VcpuStatistic(domain="uuid", vcpu=3, name="queue.depth", current=0, peak=3),
    ]
    assert type(stats.beneath(Vcpu, {"guest_mode.cur": True}, ("uuid", 3))[0].as_dict()["current"]) is int


def test_bins_of_histograms_become_rows_of_their_disk() -> None:
    fields: dict[str, Any] = {"name": "vda", "rd.reqs": 9}
    for operation in ("read", "write", "zone_append", "flush"):
        fields[f"latency_histogram.{operation}.bin.count"] = 11
        for number in range(11):
            fields[f"latency_histogram.{operation}.bin.{number}.start"] = number * 1000
            fields[f"latency_histogram.{operation}.bin.{number}.value"] = number
    fields |= {"latency_histogram.trim.bin.0.value": 1, "latency_histogram.read.bin.x.value": 1}
    fields |= {"latency_histogram.read.bin.0.median": 1}
    assert stats.beneath(Disk, fields, ("uuid", "vda")) == [
        DiskLatency(domain="uuid", disk="vda", operation=operation, bin=n, start=n * 1000, requests=n)
        for operation in DiskOperation
        for n in range(11)
    ]


def test_timed_groups_become_rows_of_their_disk() -> None:
    names = [
        "interval",
        *(f"{o}_latency_{s}" for o in ("rd", "wr", "zone_append", "flush") for s in ("avg", "min", "max")),
    ]
    fields: dict[str, Any] = {f"timed_group.1.{name}": n for n, name in enumerate(names)}
    fields |= {f"timed_group.1.{o}_queue_depth_avg": 0.0125 for o in ("rd", "wr", "zone_append")}
    fields |= {"timed_group.count": 2, "timed_group.0.interval": 60, "timed_group.0.rd_queue_depth_avg": float("nan")}
    first, second = stats.beneath(Disk, fields, ("uuid", "vda"))
    assert first == DiskInterval(domain="uuid", disk="vda", number=0, interval=60)
    told = second.as_dict()
    assert None not in told.values()
    assert told["number"] == 1
    assert told["zone_append_latency_average"] == names.index("zone_append_latency_avg")
    assert told["flush_latency_maximum"] == names.index("flush_latency_max")
    assert {told["read_queue_depth"], told["write_queue_depth"], told["zone_append_queue_depth"]} == {12}
    assert stats.beneath(Disk, {}, ("uuid", "vda")) == []


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
