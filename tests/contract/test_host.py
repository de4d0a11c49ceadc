"""What hosts tell beyond their columns, and what can be asked of them, on libvirt's test driver and on a private QEMU."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from agent.errors import Invalid, NotSupported, VirtmapError
from agent.model import Host
from agent.model.host_control import (
    AllocatePages,
    BaselineCpu,
    BaselineFlags,
    BaselineHypervisorCpu,
    CompareCpu,
    CompareFlags,
    CompareHypervisorCpu,
    ConvertFromNative,
    ConvertToNative,
    CpuComparison,
    ReadCpuModels,
    ReadDomainCapabilities,
    ReadFreeMemory,
    ReadMaxVcpus,
    ReadSevInfo,
    ReadSysinfo,
    SetMemoryMerging,
)
from agent.model.host_resources import HostCpu, NumaCell, PageSize
from agent.schema.declare import Operation, Row
from drivers.libvirt import LibvirtDriver
from tests.contract.subjects import Wanted, mock_xml
from tests.servers import Session, System

CPU = "<cpu><arch>x86_64</arch><model>core2duo</model><vendor>Intel</vendor></cpu>"


@pytest.fixture(scope="module")
def mock() -> Iterator[LibvirtDriver]:
    driver = LibvirtDriver("host", "test:///default")
    driver.connect()
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def qemu(session_libvirtd: Session) -> Iterator[LibvirtDriver]:
    driver = LibvirtDriver("host", session_libvirtd.uri)
    driver.connect()
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def system(system_libvirtd: System) -> Iterator[LibvirtDriver]:
    driver = LibvirtDriver("host", system_libvirtd.uri)
    driver.connect()
    yield driver
    driver.close()


def do(driver: LibvirtDriver, operation: Operation) -> dict[str, object]:
    return dict(driver.perform(operation, ("host",)))


def rows(driver: LibvirtDriver, kind: type[Row]) -> list[Row]:
    (piece,) = driver.plan([(Host, ("host",))]).pieces
    return [row for row in piece.read().rows if isinstance(row, kind)]


def test_processors_and_cells_of_the_test_driver(mock: LibvirtDriver) -> None:
    cpus = rows(mock, HostCpu)
    assert [cpu.number for cpu in cpus] == list(range(8))
    assert {cpu.online for cpu in cpus} == {True, False}
    cells = rows(mock, NumaCell)
    assert [cell.number for cell in cells] == [0, 1]
    assert all(cell.cpus and cell.free is not None for cell in cells)
    pages = rows(mock, PageSize)
    assert {page.cell for page in pages} == {cell.number for cell in cells}
    assert {4, 2048} <= {page.size for page in pages}
    assert all(page.pages is not None for page in pages)
    assert {"virConnect.getCPUMap", "virConnect.getCellsFreeMemory", "virConnect.getFreePages"} <= mock.called.keys()


def test_processors_of_this_machine_count_their_time(qemu: LibvirtDriver) -> None:
    cpus = rows(qemu, HostCpu)
    there = len(os.sched_getaffinity(0))
    assert sum(bool(cpu.online) for cpu in cpus) >= there
    assert all(cpu.cpu_user is not None and cpu.cpu_idle is not None for cpu in cpus if cpu.online)
    (host,) = rows(qemu, Host)
    assert isinstance(host, Host)
    assert host.problem == ""
    assert any(page.free is not None for page in rows(qemu, PageSize))
    assert sum(cell.memory for cell in rows(qemu, NumaCell)) <= (host.memory or 0) * 1.1


def test_what_the_test_driver_can_be_asked(mock: LibvirtDriver) -> None:
    assert "<sysinfo" in str(do(mock, ReadSysinfo())["xml"])
    assert "core2duo" in str(do(mock, ReadCpuModels(architecture="x86_64"))["models"]).splitlines()
    assert "core2duo" in str(do(mock, BaselineCpu(xml=f"<hosts>{CPU}{CPU}</hosts>"))["cpu"])
    assert do(mock, ReadFreeMemory())["free"] == 3072
    assert do(mock, ReadMaxVcpus())["vcpus"] == 32
    for operation in (CompareCpu(xml=CPU), ReadDomainCapabilities(), SetMemoryMerging(sleep=20), ReadSevInfo()):
        with pytest.raises(NotSupported, match="host host: cannot "):
            do(mock, operation)


def test_processors_are_compared(qemu: LibvirtDriver) -> None:
    found = do(qemu, CompareHypervisorCpu(xml=CPU.replace("core2duo", "qemu64"), virtualization="qemu"))["result"]
    assert isinstance(found, CpuComparison)
    with contextlib.suppress(VirtmapError):  # this machine's own processor may be none that libvirt knows
        assert isinstance(do(qemu, CompareCpu(xml=CPU))["result"], CpuComparison)
    assert "virConnect.compareCPU" in qemu.called
    bad = "<cpu><model>none</model></cpu>"
    with pytest.raises(VirtmapError, match="cannot compare hypervisor cpu"):
        do(
            qemu,
            CompareHypervisorCpu(xml=bad, virtualization="qemu", flags=CompareFlags.FAIL_INCOMPATIBLE),
        )
    told = do(
        qemu, BaselineHypervisorCpu(xml=f"<a>{CPU}</a>", virtualization="qemu", flags=BaselineFlags.EXPAND_FEATURES)
    )
    assert "<feature" in str(told["cpu"])


@pytest.mark.parametrize("text", ["", "no xml", "<a/>", "<a><b/></a>", "<!DOCTYPE a><a><cpu/></a>"])
def test_what_holds_no_processor_is_invalid(mock: LibvirtDriver, text: str) -> None:
    with pytest.raises(Invalid, match="host host: cannot baseline cpu"):
        do(mock, BaselineCpu(xml=text))


def test_what_domains_can_have_is_told(qemu: LibvirtDriver) -> None:
    assert "<domainCapabilities" in str(
        do(qemu, ReadDomainCapabilities(virtualization="qemu", architecture="x86_64"))["xml"]
    )
    with pytest.raises(VirtmapError):
        do(qemu, ReadDomainCapabilities(virtualization="no-such"))


def test_a_definition_becomes_a_command_line(qemu: LibvirtDriver) -> None:
    guest = Wanted(name="native", uuid="00000000-0000-4000-8000-00000000aaaa", disks=0, macs=())
    definition = mock_xml(guest).replace("type='test'", "type='qemu'")
    assert "-name guest=native" in str(do(qemu, ConvertToNative(format="qemu-argv", xml=definition))["config"])
    with pytest.raises(VirtmapError):
        do(qemu, ConvertToNative(format="none", xml=definition))
    with pytest.raises(NotSupported):
        do(qemu, ConvertFromNative(format="qemu-argv", config="qemu-system-x86_64 -m 32"))


def test_what_this_machine_has_not_is_refused_in_libvirts_words(system: LibvirtDriver) -> None:
    with pytest.raises(VirtmapError, match="cannot read sev info"):
        do(system, ReadSevInfo())
    with pytest.raises(VirtmapError, match="cannot allocate pages"):
        do(system, AllocatePages(size=3, pages=1))
    with pytest.raises(Invalid, match="nothing is given"):
        do(system, SetMemoryMerging())
    assert {"virConnect.getSEVInfo", "virConnect.allocPages"} <= system.called.keys()


def test_memory_merging_is_set_where_the_kernel_has_it(system: LibvirtDriver) -> None:
    (before,) = rows(system, Host)
    assert isinstance(before, Host)
    if before.merge_sleep is None:
        with pytest.raises(VirtmapError, match="cannot set memory merging"):
            do(system, SetMemoryMerging(sleep=20))
        return
    with contextlib.suppress(VirtmapError):  # the kernel's files may not be written in every container
        do(system, SetMemoryMerging(sleep=before.merge_sleep))
    assert "virConnect.setMemoryParameters" in system.called
