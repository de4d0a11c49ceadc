"""The bulk statistics of a domain to columns: pure, and by nothing but what the model declares.

A column that says `stats="vcpu.<num>.time"` is filled from that field; the groups that are asked for follow from the
same declarations. A field that the model does not name is not looked at. Where such a name has a second placeholder, as in
`vcpu.<num>.$NAME.sum`, the fields make rows beneath that of the vCPU or disk: the placeholders are their keys.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import libvirt

from agent.model import MODEL
from agent.model.domain import DomainState, DomainStateReason
from agent.schema.declare import Field, Key, Role, Row
from agent.schema.types import Enumeration
from drivers.libvirt import symbols

Fields = Mapping[str, Any]
"""One domain's fields as libvirt-python gives them: field name to int, float, bool or str."""

_GROUPS = {
    "state": libvirt.VIR_DOMAIN_STATS_STATE,
    "cpu": libvirt.VIR_DOMAIN_STATS_CPU_TOTAL,
    "balloon": libvirt.VIR_DOMAIN_STATS_BALLOON,
    "vcpu": libvirt.VIR_DOMAIN_STATS_VCPU,
    "net": libvirt.VIR_DOMAIN_STATS_INTERFACE,
    "block": libvirt.VIR_DOMAIN_STATS_BLOCK,
    "perf": libvirt.VIR_DOMAIN_STATS_PERF,
    "iothread": libvirt.VIR_DOMAIN_STATS_IOTHREAD,
    "memory": libvirt.VIR_DOMAIN_STATS_MEMORY,
}


def wanted() -> int:
    """The groups that the model has a column for, as virDomainStatsTypes bits."""
    bits = 0
    for row in MODEL.rows:
        for field in row.fields:
            if field.stats is not None:
                bits |= _GROUPS[field.stats.split(".", 1)[0]]
    return bits


Convert = Callable[[Any], Any]


def _whole(value: Any) -> int | None:
    """A number of ours is never negative: libvirt says -1 for what it cannot tell."""
    number = int(value)
    return number if number >= 0 else None


def _thousandths(value: Any) -> int | None:
    """A double, which is not negative; it may be no number when nothing was measured."""
    return round(value * 1000) if math.isfinite(value) and value >= 0 else None


def _moment(value: Any) -> datetime | None:
    """Seconds since 1970; 0 stands for never."""
    return datetime.fromtimestamp(value, UTC) if value > 0 else None


def _converter(field: Field) -> Convert | None:
    """How this field becomes the column; None for the reason, which needs its state."""
    if field.enumeration is DomainStateReason:
        return None
    if field.enumeration is not None:
        return functools.partial(_to_member, field.enumeration)
    if field.semantic.name == "Thousandths":
        return _thousandths
    convert: Convert = _CONVERTERS.get(field.semantic.python, _whole)
    return convert


_CONVERTERS: Mapping[type, Convert] = {bool: bool, str: str, datetime: _moment}


def _to_member(enumeration: type[Enumeration], value: Any) -> Enumeration | None:
    return symbols.member(enumeration, int(value))


@functools.cache
def _table(row: type[Row]) -> tuple[tuple[str, int, Convert], ...]:
    """Field name (without `group.<num>.` for a row of a domain's part or beneath), position of the column, conversion."""
    return tuple(
        (field.stats.split("<num>.", 1)[-1], field.position, convert)
        for field in row.fields
        if field.stats is not None and (convert := _converter(field)) is not None
    )


def fill(row: type[Row], fields: Fields, into: list[Any]) -> None:
    """Put what the fields tell into the values of a row; what they do not tell stays as it is."""
    for name, position, convert in _table(row):
        value = fields.get(name)
        if value is not None:
            into[position] = convert(value)


# Rows beneath a vCPU or a disk


def beneath(part: type[Row], fields: Fields, above: Key) -> list[Row]:
    """The rows that belong to one vCPU or disk, made of its fields, in the order of their keys; `above` is its key.

    libvirt tells the fields in no order, and in another one after each start of its daemon.
    """
    found: dict[tuple[type[Row], Key], list[Any]] = {}
    for name, value in fields.items():
        place = _place(part, name)
        if place is not None:
            row, key, position, convert = place
            values = found.get((row, key))
            if values is None:
                values = found[row, key] = _begun(row, (*above, *key))
            values[position] = convert(value)
    in_order = sorted(found.items(), key=lambda each: (each[0][0].table, each[0][1]))
    return [row.of_values(tuple(values)) for (row, _), values in in_order]


def _begun(row: type[Row], key: Key) -> list[Any]:
    values: list[Any] = [None] * len(row.fields)
    for field, value in zip(row.key_fields(), key, strict=True):
        values[field.position] = value
    return values


@functools.lru_cache(maxsize=2**16)
def _place(part: type[Row], name: str) -> tuple[type[Row], Key, int, Convert] | None:
    """The row beneath that a field belongs to, by its own key, and the column; None for a field of the part itself."""
    for row, pattern, position, convert in _patterns(part):
        if (found := pattern.fullmatch(name)) is not None:
            key = tuple(map(_key_value, _own_keys(row), found.groups()))
            return None if None in key else (row, key, position, convert)
    return None


_PLACEHOLDER = re.compile(r"<\w+>|\$[A-Z]+")


@functools.cache
def _patterns(part: type[Row]) -> tuple[tuple[type[Row], re.Pattern[str], int, Convert], ...]:
    """What the fields of rows beneath look like, with a group for each placeholder, and the column each fills."""
    return tuple(
        (row, re.compile("(.+)".join(map(re.escape, _PLACEHOLDER.split(field)))), position, convert)
        for row in MODEL.children(part)
        for field, position, convert in _table(row)
    )


def _own_keys(row: type[Row]) -> list[Field]:
    return [field for field in row.key_fields() if field.role is Role.KEY]


def _key_value(field: Field, text: str) -> Any:
    """What stands for a placeholder, as the value of a key; None for what it cannot be."""
    if field.enumeration is not None:
        return field.enumeration.__members__.get(text.upper())
    if field.semantic.python is int:
        return int(text) if text.isdecimal() else None
    return text


def state(fields: Fields) -> tuple[DomainState | None, DomainStateReason | None]:
    """State and reason; None for both when the statistics have no state."""
    number = fields.get("state.state")
    if number is None:
        return None, None
    return symbols.domain_state(number), symbols.state_reason(number, fields.get("state.reason", 0))


def parts(fields: Fields) -> dict[str, dict[int, dict[str, Any]]]:
    """The numbered fields by group and number: `vcpu.0.time` is at ["vcpu"][0]["time"]."""
    found: dict[str, dict[int, dict[str, Any]]] = {"vcpu": {}, "block": {}, "net": {}}
    for group, number, rest, value in _numbered(fields):
        found[group].setdefault(number, {})[rest] = value
    return found


def _numbered(fields: Fields) -> Iterator[tuple[str, int, str, Any]]:
    for name, value in fields.items():
        group, _, rest = name.partition(".")
        if group in ("vcpu", "block", "net"):
            number, _, field = rest.partition(".")
            if field and number.isdecimal():
                yield group, int(number), field, value


def block_of(blocks: Mapping[int, Fields], target: str) -> Fields:
    """The fields of the disk with this target: its top image, when the chain behind it is listed too."""
    return next((fields for _, fields in sorted(blocks.items()) if fields.get("name") == target), {})


def nic_of(nets: Mapping[int, Fields], number: int, target: str | None) -> Fields:
    """The fields of the domain's NIC of that number; one whose name says otherwise is another's."""
    fields = nets.get(number, {})
    name = fields.get("name")
    if name is not None and target is not None and name != target:
        return next((each for each in nets.values() if each.get("name") == target), {})
    return fields


# The separate calls, for hypervisors whose bulk statistics lack a group: their answers under the names of the fields

_MEMORY_STATS = {
    "actual": "balloon.current", "swap_in": "balloon.swap_in", "swap_out": "balloon.swap_out",
    "major_fault": "balloon.major_fault", "minor_fault": "balloon.minor_fault", "unused": "balloon.unused",
    "available": "balloon.available", "rss": "balloon.rss", "usable": "balloon.usable",
    "last_update": "balloon.last-update", "disk_caches": "balloon.disk_caches",
    "hugetlb_pgalloc": "balloon.hugetlb_pgalloc", "hugetlb_pgfail": "balloon.hugetlb_pgfail",
}  # fmt: skip
_BLOCK_STATS_FLAGS = {
    "rd_operations": "rd.reqs", "rd_bytes": "rd.bytes", "rd_total_times": "rd.times", "wr_operations": "wr.reqs",
    "wr_bytes": "wr.bytes", "wr_total_times": "wr.times", "flush_operations": "fl.reqs",
    "flush_total_times": "fl.times", "errs": "errors",
}  # fmt: skip
_BLOCK_STATS = ("rd.reqs", "rd.bytes", "wr.reqs", "wr.bytes", "errors")
_BLOCK_INFO = ("capacity", "allocation", "physical")
_INTERFACE_STATS = ("rx.bytes", "rx.pkts", "rx.errs", "rx.drop", "tx.bytes", "tx.pkts", "tx.errs", "tx.drop")
_CPU_STATS = {"cpu_time": "cpu.time", "user_time": "cpu.user", "system_time": "cpu.system"}


def from_info(info: Sequence[int]) -> dict[str, Any]:
    """virDomainGetInfo: state, maximum and current memory in KiB, vCPUs, processor time in ns."""
    return {
        "state.state": info[0], "balloon.maximum": info[1], "balloon.current": info[2], "vcpu.current": info[3],
        "cpu.time": info[4],
    }  # fmt: skip


def of_inactive(fields: Fields) -> dict[str, Any]:
    """The fields that mean something while a domain does not run.

    libvirt 9.0 gives an inactive QEMU domain processor times that are not its own, and info() gives it 0.
    """
    return {name: value for name, value in fields.items() if not name.startswith("cpu.")}


def from_memory_stats(told: Mapping[str, int]) -> dict[str, Any]:
    return {_MEMORY_STATS[name]: value for name, value in told.items() if name in _MEMORY_STATS}


def from_cpu_stats(told: Sequence[Mapping[str, int]]) -> dict[str, Any]:
    """virDomainGetCPUStats of all processors together: a list of one."""
    return {_CPU_STATS[name]: value for each in told[:1] for name, value in each.items() if name in _CPU_STATS}


def from_block_stats_flags(told: Mapping[str, int]) -> dict[str, Any]:
    return {_BLOCK_STATS_FLAGS[name]: value for name, value in told.items() if name in _BLOCK_STATS_FLAGS}


def from_block_stats(told: Sequence[int]) -> dict[str, Any]:
    return dict(zip(_BLOCK_STATS, told, strict=True))


def from_block_info(told: Sequence[int]) -> dict[str, Any]:
    return dict(zip(_BLOCK_INFO, told, strict=True))


def from_interface_stats(told: Sequence[int]) -> dict[str, Any]:
    return dict(zip(_INTERFACE_STATS, told, strict=True))
