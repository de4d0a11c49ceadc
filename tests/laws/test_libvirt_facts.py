"""What the mapping says about libvirt is so: functions, constants and statistics, held against libvirt itself."""

import re
import subprocess
from pathlib import Path

import libvirt
import libvirt_qemu
import pytest
from lxml import etree

from agent.model import MODEL
from agent.schema import libvirt_api
from agent.schema.declare import Declared
from agent.schema.types import Flags

NEWER = {
    "VIR_DOMAIN_PAUSED_API_ERROR",
    "VIR_DOMAIN_EVENT_STARTED_RECREATED",
    "VIR_DOMAIN_EVENT_STOPPED_RECREATED",
    "VIR_NODE_DEVICE_UPDATE_AFFECT_CONFIG",
    "VIR_NODE_DEVICE_UPDATE_AFFECT_LIVE",
    "VIR_NODE_DEVICE_XML_INACTIVE",
    "VIR_DOMAIN_EVENT_ID_NIC_MAC_CHANGE",
    "VIR_DOMAIN_EVENT_ID_VCPU_REMOVED",
    "VIR_DOMAIN_EVENT_ID_CHANNEL_LIFECYCLE",
    "VIR_NETWORK_EVENT_ID_METADATA_CHANGE",
    "VIR_NETWORK_METADATA_DESCRIPTION",
    "VIR_NETWORK_METADATA_ELEMENT",
    "VIR_NETWORK_METADATA_TITLE",
}
"""Constants that came after libvirt 9.0: a binding that was built with an older libvirt does not have them."""


def known(symbol: str) -> bool:
    """Whether it is a constant of the library, or of its part for QEMU, or came later."""
    return hasattr(libvirt, symbol) or hasattr(libvirt_qemu, symbol) or symbol in NEWER


def api_files() -> list[Path]:
    found = []
    for name in ("libvirt", "libvirt_qemu", "libvirt_lxc", "libvirt_admin"):
        module = name.replace("_", "-")
        done = subprocess.run(
            ["pkg-config", f"--variable={name}_api", module], capture_output=True, text=True, check=False, timeout=20
        )
        path = Path(done.stdout.strip())
        if done.returncode == 0 and done.stdout.strip() and path.is_file():
            found.append(path)
    return found


def functions_of(path: Path) -> set[str]:
    return {str(f.get("name")) for f in etree.parse(path).getroot().iter("function")}


def installed_version() -> tuple[int, ...]:
    number = libvirt.getVersion()
    return number // 1_000_000, number // 1_000 % 1_000, number % 1_000


def since(function: libvirt_api.Function) -> tuple[int, ...]:
    return tuple(int(part) for part in function.since.split("."))


def flags() -> list[type[Flags]]:
    return list({f.flags: None for o in MODEL.operations for f in o.fields if f.flags is not None})


def test_the_table_of_functions_is_that_of_the_installed_libvirt() -> None:
    files = api_files()
    assert files, "libvirt's API description is missing; libvirt-dev has it"
    described = set[str]().union(*map(functions_of, files))
    libraries = {re.sub(r"-api\.xml$", "", p.name) for p in files}
    table = libvirt_api.functions()
    ours = {f.name for f in table.values() if f.library in libraries and since(f) <= installed_version()}
    assert ours - described == set(), "functions that libvirt does not have"
    if installed_version() <= (9, 0, 0):  # of newer ones, the table knows some and lacks those that came after it
        assert described - set(table) == set(), "functions that the table lacks"


def test_the_table_counts_388_mappable_functions() -> None:
    assert sum(f.counted for f in libvirt_api.functions().values()) == 388


@pytest.mark.parametrize("enumeration", MODEL.enumerations, ids=lambda e: e.__name__)
def test_every_symbol_of_an_enumeration_is_libvirts(enumeration: type) -> None:
    symbols = [m.libvirt for m in enumeration if m.libvirt is not None]  # type: ignore[attr-defined]
    assert [s for s in symbols if not known(s)] == []
    assert len(set(symbols)) == len(symbols)


@pytest.mark.parametrize("some", flags(), ids=lambda e: e.__name__)
def test_every_symbol_of_a_set_of_flags_is_libvirts(some: type[Flags]) -> None:
    assert [m.libvirt for m in some if not known(m.libvirt)] == []
    assert len({m.libvirt for m in some}) == len(some)


def test_every_event_is_libvirts() -> None:
    assert [e.libvirt for e in MODEL.events if e.libvirt is not None and not known(e.libvirt)] == []


@pytest.mark.parametrize("row", MODEL.rows, ids=lambda r: r.__name__)
def test_a_field_of_the_statistics_fills_one_column_of_a_row(row: type[Declared]) -> None:
    stats = [f.stats for f in row.fields if f.stats is not None]
    assert len(set(stats)) == len(stats)
