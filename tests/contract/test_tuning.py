"""Tunables of domains: what is set is read back in their rows, on libvirt's test driver and on a private QEMU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.errors import Invalid, NotFound, NotSupported, VirtmapError
from agent.model import Domain, Vcpu
from agent.model.domain import Destroy, ModificationImpact, Start
from agent.model.domain_tuning import (
    AnnounceNic,
    ControlError,
    ControlState,
    CountPerfEvent,
    DiskTuning,
    DomainTuning,
    NicTuning,
    NumaMode,
    PerfEvent,
    PerfKind,
    PinEmulator,
    PinVcpu,
    RemoveLimitGroup,
    SetBandwidth,
    SetBlockIo,
    SetDiskLimits,
    SetLaunchSecret,
    SetLimitGroup,
    SetMemoryLimits,
    SetNuma,
    SetScheduler,
    SwitchVcpu,
)
from agent.model.host import DefineDomain
from agent.model.iothread import AddIOThread, IOThread, PinIOThread, RemoveIOThread, SetPolling
from agent.schema.declare import Operation, Row
from agent.schema.types import Secret
from drivers.libvirt import LibvirtDriver
from tests.servers import Session, System

CONFIG = ModificationImpact.CONFIG
MAC = "52:54:00:00:10:01"
MIB = 2**20


class Bench:
    """A driver and one running domain of its hypervisor."""

    def __init__(self, driver: LibvirtDriver, uuid: str) -> None:
        self.driver, self.uuid = driver, uuid

    def do(self, operation: Operation, *below: object) -> dict[str, object]:
        return dict(self.driver.perform(operation, (self.uuid, *below)))

    def rows(self, kind: type[Row]) -> list[Row]:
        (piece,) = self.driver.plan([(Domain, (self.uuid,))]).pieces
        batch = piece.read()
        assert not batch.failed
        return [row for row in batch.rows if isinstance(row, kind)]

    def row(self, kind: type[Row]) -> dict[str, object]:
        (row,) = self.rows(kind)
        return row.as_dict()


def bench(driver: LibvirtDriver, xml: str) -> Bench:
    uuid = driver.perform(DefineDomain(xml=xml), (driver.name,))["uuid"]
    driver.perform(Start(), (uuid,))
    return Bench(driver, uuid)


def definition(kind: str, disk: str, nic: str) -> str:
    return (
        f"<domain type='{kind}'><name>tuned-{kind}</name><memory unit='MiB'>64</memory><vcpu current='1'>2</vcpu>"
        f"<iothreads>1</iothreads><os><type arch='x86_64'>hvm</type></os><features><acpi/></features><devices>"
        f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{disk}'/>"
        f"<target dev='vda' bus='virtio'/></disk><interface type='{nic}'><mac address='{MAC}'/>"
        f"{'<source network=' + chr(39) + 'default' + chr(39) + '/>' if nic == 'network' else ''}<model type='virtio'/>"
        f"<alias name='ua-nic'/></interface></devices></domain>"
    )


@pytest.fixture(scope="module")
def mock() -> Iterator[Bench]:
    driver = LibvirtDriver("tuning", "test:///default")
    driver.connect()
    yield bench(driver, definition("test", "/none.img", "network"))
    driver.close()


@pytest.fixture(scope="module")
def qemu(session_libvirtd: Session) -> Iterator[Bench]:
    driver = LibvirtDriver("tuning", session_libvirtd.uri)
    driver.connect()
    made = bench(driver, definition("qemu", str(session_libvirtd.image("tuned", size=4, kind="raw")), "user"))
    yield made
    made.do(Destroy())
    driver.close()


@pytest.fixture(scope="module")
def system(system_libvirtd: System) -> Iterator[Bench]:
    """As root there are control groups."""
    driver = LibvirtDriver("tuning", system_libvirtd.uri)
    driver.connect()
    made = bench(driver, definition("qemu", str(system_libvirtd.image("tuned", size=4, kind="raw")), "user"))
    yield made
    made.do(Destroy())
    driver.close()


def test_what_the_test_driver_is_told_it_tells(mock: Bench) -> None:
    tuning = mock.row(DomainTuning)
    assert tuning["scheduler"] == "fair"
    mock.do(SetScheduler(weight=70))
    assert mock.row(DomainTuning)["weight"] is not None
    mock.do(SetBlockIo(blkio_weight=300))
    assert mock.row(DomainTuning)["blkio_weight"] == 300
    mock.do(SetMemoryLimits(memory_hard_limit=100_000))
    assert mock.row(DomainTuning)["memory_hard_limit"] == 100_000
    mock.do(SetDiskLimits(total_bytes=1000, total_bytes_max=20_000), "vda")
    limits = mock.row(DiskTuning)
    assert (limits["disk"], limits["total_bytes"], limits["total_bytes_max"]) == ("vda", 1000, 20_000)
    mock.do(SetBandwidth(in_average=100, out_peak=300, out_average=200), MAC)
    band = mock.row(NicTuning)
    assert (band["in_average"], band["out_average"], band["out_peak"]) == (100, 200, 300)
    mock.do(CountPerfEvent(event=PerfKind.CPU_CLOCK, enabled=True))
    assert [row.as_dict()["name"] for row in mock.rows(PerfEvent)] == ["cpu_clock"]
    mock.do(CountPerfEvent(event=PerfKind.CPU_CLOCK, enabled=False))
    assert mock.rows(PerfEvent) == []
    mock.do(PinEmulator(emulator_affinity="0-1"))
    assert str(mock.row(DomainTuning)["emulator_affinity"]).startswith("0")


def test_iothreads_come_change_and_go(mock: Bench) -> None:
    mock.do(AddIOThread(thread=5))
    assert [row.as_dict()["number"] for row in mock.rows(IOThread)] == [1, 5]
    mock.do(PinIOThread(affinity="0"), 5)
    mock.do(RemoveIOThread(), 5)
    assert [row.as_dict()["number"] for row in mock.rows(IOThread)] == [1]
    with pytest.raises(VirtmapError, match="cannot remove i"):
        mock.do(RemoveIOThread(), 77)


def test_nothing_to_change_is_invalid(mock: Bench) -> None:
    for operation, below in (
        (SetScheduler(), ()), (SetBlockIo(), ()), (SetMemoryLimits(), ()), (SetNuma(), ()), (SetDiskLimits(), ("vda",)),
        (SetBandwidth(), (MAC,)), (SetPolling(), (1,)),
    ):  # fmt: skip
        with pytest.raises(Invalid, match="nothing is given that could be changed"):
            mock.do(operation, *below)


@pytest.mark.parametrize("text", ["", "x", "1-", "-1", "0,,1", "99999", "0-99999999999999"])
def test_what_is_no_list_of_processors_is_invalid(mock: Bench, text: str) -> None:
    with pytest.raises(Invalid, match="cannot pin emulator"):
        mock.do(PinEmulator(emulator_affinity=text))


def test_what_the_library_is_too_old_for_is_not_supported(mock: Bench) -> None:
    for operation, below in (
        (SetLimitGroup(group="g", total_bytes=1), ()), (RemoveLimitGroup(group="g"), ()), (AnnounceNic(), (MAC,)),
    ):  # fmt: skip
        with pytest.raises(NotSupported):
            mock.do(operation, *below)


def test_what_an_unprivileged_daemon_can_tune(qemu: Bench) -> None:
    qemu.do(SetDiskLimits(total_iops=1000), "vda")
    assert qemu.row(DiskTuning)["total_iops"] == 1000
    assert qemu.row(NicTuning)["in_average"] == 0
    with pytest.raises(NotSupported, match="not implemented yet"):
        qemu.do(SetBandwidth(in_average=100), MAC)
    with pytest.raises(NotSupported, match="not available in session mode"):
        qemu.do(SetScheduler(cpu_shares=512))
    assert qemu.rows(PerfEvent) == []
    assert "virDomain.perfEvents" in qemu.driver.called
    assert {"virDomain.launchSecurityInfo", "virDomain.controlInfo", "virDomain.messages"} <= qemu.driver.called.keys()


def test_as_root_a_definition_is_tuned(system: Bench) -> None:
    system.do(SetScheduler(cpu_shares=512, vcpu_quota=-1, impact=CONFIG))
    system.do(SetBlockIo(blkio_weight=300, impact=CONFIG))
    system.do(SetMemoryLimits(memory_soft_limit=500_000, impact=CONFIG))
    system.do(SetNuma(numa_mode=NumaMode.STRICT, numa_nodes="0", impact=CONFIG))
    system.do(CountPerfEvent(event=PerfKind.CPU_CLOCK, enabled=True, impact=CONFIG))
    system.rows(DomainTuning)
    assert {
        "virDomain.setSchedulerParametersFlags", "virDomain.setBlkioParameters", "virDomain.setMemoryParameters",
        "virDomain.setNumaParameters", "virDomain.setPerfEvents", "virDomain.securityLabelList", "virDomain.numaParameters",
        "virDomain.blkioParameters", "virDomain.memoryParameters", "virDomain.schedulerParametersFlags",
    } <= system.driver.called.keys()  # fmt: skip


def test_a_running_domain_is_pinned_and_given_threads(qemu: Bench) -> None:
    qemu.do(PinVcpu(affinity="0"), 0)
    (vcpu,) = qemu.rows(Vcpu)
    assert vcpu.as_dict()["affinity"] == "0"
    qemu.do(PinVcpu(affinity="0-1"), 0)
    qemu.do(AddIOThread(thread=2))
    qemu.do(PinIOThread(affinity="0"), 2)
    row = next(r.as_dict() for r in qemu.rows(IOThread) if r.as_dict()["number"] == 2)
    assert row["affinity"] == "0"
    qemu.do(SetPolling(poll_max=1000), 2)
    row = next(r.as_dict() for r in qemu.rows(IOThread) if r.as_dict()["number"] == 2)
    assert row["poll_max"] == 1000
    qemu.do(RemoveIOThread(), 2)
    assert [r.as_dict()["number"] for r in qemu.rows(IOThread)] == [1]
    qemu.do(SwitchVcpu(online=True), 1)
    assert [r.as_dict()["number"] for r in qemu.rows(Vcpu)] == [0, 1]
    with pytest.raises(VirtmapError, match="cannot set launch secret") as caught:
        qemu.do(SetLaunchSecret(header="aGVhZA==", secret=Secret("c2VjcmV0")))
    assert "c2VjcmV0" not in str(caught.value)


def test_the_workers_of_an_iothread_are_limited_now_and_at_the_next_start(qemu: Bench) -> None:
    def workers() -> tuple[object, object]:
        row = next(r.as_dict() for r in qemu.rows(IOThread) if r.as_dict()["number"] == 1)
        return row["thread_pool_min"], row["thread_pool_max"]

    assert workers() == (None, None)
    qemu.do(SetPolling(thread_pool_min=2, thread_pool_max=8, impact=ModificationImpact.LIVE | CONFIG), 1)
    assert workers() == (2, 8)
    qemu.do(SetPolling(thread_pool_max=16), 1)
    assert workers() == (2, 16)
    with pytest.raises(VirtmapError, match="cannot set polling"):
        qemu.do(SetPolling(thread_pool_min=17), 1)
    assert workers() == (2, 16)


def test_whether_the_hypervisor_can_talk_to_a_domain_is_told(qemu: Bench) -> None:
    tuning = qemu.row(DomainTuning)
    assert (tuning["control_state"], tuning["control_error"]) == (ControlState.OK, ControlError.NONE)


def test_a_group_of_disks_has_every_limit_of_a_disk() -> None:
    limits = {f.name for f in SetDiskLimits.arguments()} - {"shared_with"}
    assert {f.name for f in SetLimitGroup.arguments()} == limits | {"group"}


def test_a_domain_that_is_not_there_is_not_found(qemu: Bench) -> None:
    nobody = Bench(qemu.driver, "00000000-dead-4000-8000-000000000000")
    with pytest.raises(NotFound):
        nobody.do(SetScheduler(cpu_shares=1))
    with pytest.raises(NotFound):
        nobody.do(SetDiskLimits(total_bytes=1), "vda")


def test_as_root_the_running_domain_is_tuned(system: Bench) -> None:
    try:
        system.do(SetScheduler(cpu_shares=512))
    except VirtmapError as error:
        pytest.skip(f"this host has no control groups for it: {error}")
    assert system.row(DomainTuning)["cpu_shares"] == 512
    system.do(SetMemoryLimits(memory_soft_limit=900_000))
    assert system.row(DomainTuning)["memory_soft_limit"] == 900_000
    assert system.row(DomainTuning)["control_state"] is not None
