"""Every field that libvirt's bulk statistics have for a domain, its vCPUs, NICs and disks is mapped, by one column."""

from itertools import product

import pytest

from agent.model import MODEL
from agent.model.disk_latency import DiskOperation
from agent.schema.declare import Row

DOMAIN = """
    state.state state.reason
    cpu.time cpu.user cpu.system cpu.haltpoll.success.time cpu.haltpoll.fail.time cpu.cache.monitor.count
    balloon.current balloon.maximum balloon.swap_in balloon.swap_out balloon.major_fault balloon.minor_fault
    balloon.unused balloon.available balloon.rss balloon.usable balloon.last-update balloon.disk_caches
    balloon.hugetlb_pgalloc balloon.hugetlb_pgfail
    vcpu.current vcpu.maximum net.count block.count iothread.count memory.bandwidth.monitor.count
    perf.cmt perf.mbmt perf.mbml perf.cache_misses perf.cache_references perf.instructions perf.cpu_cycles
    perf.branch_instructions perf.branch_misses perf.bus_cycles perf.stalled_cycles_frontend
    perf.stalled_cycles_backend perf.ref_cpu_cycles perf.cpu_clock perf.task_clock perf.page_faults
    perf.context_switches perf.cpu_migrations perf.page_faults_min perf.page_faults_maj perf.alignment_faults
    perf.emulation_faults
"""
VCPU = "state time wait halted delay $NAME.cur $NAME.max $NAME.sum"
NET = "name rx.bytes rx.pkts rx.errs rx.drop tx.bytes tx.pkts tx.errs tx.drop"
BLOCK = """
    name backingIndex path errors allocation capacity physical threshold
    rd.reqs rd.bytes rd.times wr.reqs wr.bytes wr.times fl.reqs fl.times
    limits.request_alignment limits.discard_max limits.discard_alignment limits.write_zeroes_max
    limits.write_zeroes_alignment limits.transfer_optimal limits.transfer_max limits.transfer_hw_max limits.iov_max
    limits.iov_hw_max limits.memory_alignment_minimal limits.memory_alignment_optimal
    timed_group.count timed_group.<index>.interval timed_group.<index>.rd_queue_depth_avg
    timed_group.<index>.wr_queue_depth_avg timed_group.<index>.zone_append_queue_depth_avg
"""
OPERATIONS = ("read", "write", "zone_append", "flush")
FIELDS = (
    *DOMAIN.split(),
    *(f"vcpu.<num>.{x}" for x in VCPU.split()),
    *(f"net.<num>.{x}" for x in NET.split()),
    *(f"block.<num>.{x}" for x in BLOCK.split()),
    *(
        f"block.<num>.latency_histogram.{o}.bin.{x}"
        for o, x in product(OPERATIONS, ("count", "<bin>.start", "<bin>.value"))
    ),
    *(
        f"block.<num>.timed_group.<index>.{o}_latency_{x}"
        for o, x in product(("rd", "wr", "zone_append", "flush"), ("avg", "min", "max"))
    ),
)

UNMAPPED = {
    **{f"block.<num>.latency_histogram.{o}.bin.count": "it is the number of rows" for o in OPERATIONS},
    "block.<num>.timed_group.count": "it is the number of rows",
}
"""Fields without a column, each with the reason."""


def mapped() -> list[tuple[str, str]]:
    """Each field that a column is filled from, with the column; where the name has an operation, once for each."""
    found = []
    for row in MODEL.rows:
        for f in row.fields:
            if f.stats is not None:
                for operation in DiskOperation if "<operation>" in f.stats else (None,):
                    name = "" if operation is None else operation.name.lower()
                    found.append((f.stats.replace("<operation>", name), f"{row.__name__}.{f.name}"))
    return found


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_fills_one_column_or_is_left_out_for_a_reason(field: str) -> None:
    columns = [column for name, column in mapped() if name == field]
    assert len(columns) == (0 if field in UNMAPPED else 1), columns


def test_no_column_is_filled_from_a_field_that_does_not_exist() -> None:
    assert [pair for pair in mapped() if pair[0] not in FIELDS] == []
    assert set(UNMAPPED) <= set(FIELDS)
    assert len(set(FIELDS)) == len(FIELDS)


@pytest.mark.parametrize("row", [r for r in MODEL.rows if any(f.stats for f in r.fields)], ids=lambda r: r.__name__)
def test_what_is_left_open_in_a_name_is_the_key_of_the_row(row: type[Row]) -> None:
    """The first placeholder numbers the domain's part; each further one is a key of a row beneath that part."""
    keys = len(row.key_fields()) - (len(row.parent_row.key_fields()) if row.parent_row else 0)
    depth = len(row.lineage()) - 1
    for f in row.fields:
        if f.stats is not None:
            assert f.stats.count("<") + f.stats.count("$") == (depth if depth < 2 else 1 + keys), f.stats
