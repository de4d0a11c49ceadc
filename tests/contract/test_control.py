"""What is asked of a domain beside starting and stopping it, on libvirt's test driver and on a private QEMU."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import libvirt
import pytest

from agent.driver import Happened, Heard
from agent.errors import Invalid, NotFound, NotSupported, VirtmapError
from agent.model import Domain, Vcpu
from agent.model.domain import Destroy, DomainState, ModificationImpact, Start, Suspend
from agent.model.domain_control import (
    InjectNmi,
    KeyCodes,
    LifecycleAction,
    LifecycleMoment,
    MeasureDirtyRate,
    ProcessSignal,
    ReadCpuTimes,
    ReadHostname,
    ReadMemoryStatistics,
    ReadMetadata,
    ReadNicStatistics,
    ReadState,
    ReadTime,
    ReloadGraphics,
    Rename,
    SendKeys,
    SendSignal,
    SetAutostartOnce,
    SetBalloonPeriod,
    SetDescription,
    SetLifecycleAction,
    SetMaxMemory,
    SetMaxVcpus,
    SetMetadata,
    SetTime,
    SetTitle,
    Sleep,
    WakeUp,
)
from agent.model.domain_tuning import PinVcpu
from agent.model.host import DefineDomain
from agent.model.monitor import AdoptProcess, AgentCommand, AgentPatience, MonitorCommand, MonitorEvent, MonitorFlags
from agent.schema.declare import Operation, Row
from drivers.libvirt import LibvirtDriver
from tests.servers import Session, eventually

CONFIG = ModificationImpact.CONFIG
MAC = "52:54:00:00:20:01"
NAMESPACE = "http://example.org/notes"


class Bench:
    """A driver, one running domain of its hypervisor, and what was heard."""

    def __init__(self, driver: LibvirtDriver, uuid: str) -> None:
        self.driver, self.uuid = driver, uuid
        self.heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        driver.listen(self.heard.put)

    def do(self, operation: Operation, *below: object) -> dict[str, Any]:
        return dict(self.driver.perform(operation, (self.uuid, *below)))

    def rows(self, kind: type[Row]) -> list[Any]:
        (piece,) = self.driver.plan([(Domain, (self.uuid,))]).pieces
        return [row for row in piece.read().rows if isinstance(row, kind)]

    @property
    def domain(self) -> Domain:
        (row,) = self.rows(Domain)
        assert isinstance(row, Domain)
        return row


def bench(driver: LibvirtDriver, xml: str) -> Bench:
    uuid = driver.perform(DefineDomain(xml=xml), (driver.name,))["uuid"]
    driver.perform(Start(), (uuid,))
    return Bench(driver, uuid)


def definition(kind: str) -> str:
    nic = "<source network='default'/>" if kind == "test" else ""
    return (
        f"<domain type='{kind}'><name>controlled-{kind}</name><memory unit='MiB'>64</memory><vcpu current='1'>2</vcpu>"
        "<os><type arch='x86_64'>hvm</type></os><features><acpi/></features><pm><suspend-to-mem enabled='yes'/></pm><devices>"
        f"<interface type='{'network' if kind == 'test' else 'user'}'><mac address='{MAC}'/>{nic}<model type='virtio'/></interface>"
        "<memballoon model='virtio'/></devices></domain>"
    )


@pytest.fixture(scope="module")
def mock() -> Iterator[Bench]:
    driver = LibvirtDriver("control", "test:///default")
    driver.connect()
    yield bench(driver, definition("test"))
    driver.close()


@pytest.fixture(scope="module")
def qemu(session_libvirtd: Session) -> Iterator[Bench]:
    driver = LibvirtDriver("control", session_libvirtd.uri, monitor_events=True)
    driver.connect()
    made = bench(driver, definition("qemu"))
    yield made
    made.do(Destroy())
    driver.close()


@pytest.fixture(params=["mock", "qemu"])
def either(request: pytest.FixtureRequest) -> Bench:
    found: Bench = request.getfixturevalue(request.param)
    return found


def test_title_description_and_metadata_are_kept(either: Bench) -> None:
    either.do(SetTitle(title="A <title>"))
    either.do(SetDescription(description="Two\nlines"))
    assert (either.domain.title, either.domain.description) == ("A <title>", "Two\nlines")
    either.do(SetTitle(title=""))
    assert not either.domain.title
    with pytest.raises(Invalid, match="cannot set title"):
        either.do(SetTitle(title="two\nlines"))
    either.do(SetMetadata(uri=NAMESPACE, prefix="note", xml="<a>text</a>"))
    assert "text" in either.do(ReadMetadata(uri=NAMESPACE))["xml"]
    with pytest.raises(VirtmapError, match="cannot set metadata"):
        either.do(SetMetadata(uri=NAMESPACE, prefix="note", xml="<a"))
    either.do(SetMetadata(uri=NAMESPACE, prefix="note"))
    with pytest.raises(NotFound, match="cannot read metadata"):
        either.do(ReadMetadata(uri=NAMESPACE))


def test_keys_are_pressed(either: Bench) -> None:
    either.do(SendKeys(keys="29 56 111", hold=10))
    either.do(SendKeys(keys="30", codes=KeyCodes.USB))
    either.do(InjectNmi())
    for keys in ("", "x", "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", "-1", "99999999"):
        with pytest.raises(Invalid, match="numbers of 1 to 16 keys"):
            either.do(SendKeys(keys=keys))


def test_state_is_asked_for(either: Bench) -> None:
    told = either.do(ReadState())
    assert (told["state"], told["active"], told["persistent"]) == (DomainState.RUNNING, True, True)
    assert (told["memory"], told["max_memory"], told["vcpus"], told["max_vcpus"]) == (65536, 65536, 1, 2)
    assert told["cpu_time"] >= 0


def test_lifecycle_actions_and_periods_are_set(either: Bench) -> None:
    either.do(SetLifecycleAction(moment=LifecycleMoment.CRASH, action=LifecycleAction.PRESERVE, impact=CONFIG))
    either.do(SetBalloonPeriod(period=10, impact=CONFIG))
    assert {"virDomain.setLifecycleAction", "virDomain.setMemoryStatsPeriod"} <= either.driver.called.keys()


def test_the_most_of_memory_and_vcpus_is_set_for_the_next_start(qemu: Bench) -> None:
    qemu.do(SetMaxMemory(max_memory=131072, impact=CONFIG))
    qemu.do(SetMaxVcpus(config_max_vcpus=4))
    row = qemu.domain
    assert (row.config_max_memory, row.config_max_vcpus) == (131072, 4)
    with pytest.raises(VirtmapError, match="cannot set max memory"):
        qemu.do(SetMaxMemory(max_memory=131072))


def test_statistics_are_asked_for(either: Bench) -> None:
    assert either.do(ReadMemoryStatistics())["actual"] is not None
    if either.driver.uri.startswith("test"):
        assert either.do(ReadCpuTimes())["total"] >= 0
        assert either.do(ReadNicStatistics(), MAC)["in_bytes"] is not None


def test_the_time_used_on_each_processor_is_told(mock: Bench) -> None:
    told = mock.do(ReadCpuTimes())
    each, vcpus = (list(map(int, str(told[name]).splitlines())) for name in ("each", "each_vcpus"))
    assert len(each) == len(vcpus) > 0
    assert all(whole >= part > 0 for whole, part in zip(each, vcpus, strict=True))


def test_when_the_balloon_last_told_of_memory_is_told(mock: Bench) -> None:
    told = mock.do(ReadMemoryStatistics())
    known = mock.driver.connection.current().virt.lookupByUUIDString(mock.uuid).memoryStats()
    assert told["updated"] == datetime.fromtimestamp(known["last_update"], UTC)
    assert None not in (told["huge_allocated"], told["huge_failed"])


def test_every_signal_of_libvirt_can_be_sent() -> None:
    known = {name for name in dir(libvirt) if name.startswith("VIR_DOMAIN_PROCESS_SIGNAL_")}
    assert {signal.libvirt for signal in ProcessSignal} == known - {"VIR_DOMAIN_PROCESS_SIGNAL_LAST"}


def test_how_fast_memory_changes_is_measured(qemu: Bench) -> None:
    assert qemu.do(MeasureDirtyRate(seconds=1))["rate"] >= 0
    assert "virDomain.startDirtyRateCalc" in qemu.driver.called


def test_what_the_test_driver_plays_along_with(mock: Bench) -> None:
    assert mock.do(ReadHostname())["hostname"] == "controlled-testhost"
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    mock.do(SetTime(time=moment))
    assert mock.do(ReadTime())["time"] == moment
    mock.do(SendSignal(process=1, signal=ProcessSignal.HUP))


def test_without_a_guest_agent_there_is_none_to_ask(qemu: Bench) -> None:
    for operation in (ReadHostname(), ReadTime(), SetTime(), Sleep(), AgentCommand(command='{"execute":"guest-ping"}')):
        with pytest.raises(VirtmapError, match="agent"):
            qemu.do(operation)
    with pytest.raises(VirtmapError, match="agent"):
        qemu.do(AgentCommand(command="{}", patience=AgentPatience.NO_WAIT))
    with pytest.raises(VirtmapError, match="cannot wake up"):
        qemu.do(WakeUp())
    with pytest.raises(NotSupported):
        qemu.do(SendSignal(process=1, signal=ProcessSignal.NOP))


@pytest.mark.parametrize("operation", [SetAutostartOnce(once=True), ReloadGraphics()], ids=lambda o: type(o).__name__)
def test_what_the_library_is_too_old_for_is_not_supported(either: Bench, operation: Operation) -> None:
    with pytest.raises(NotSupported, match="the libvirt library here is older"):
        either.do(operation)


def test_a_domain_that_does_not_run_tells_its_pins_and_is_renamed(either: Bench) -> None:
    with pytest.raises(Invalid, match="cannot rename"):
        either.do(Rename(new_name="other"))
    if not either.driver.uri.startswith("test"):
        either.do(PinVcpu(affinity="0", impact=CONFIG), 0)
    before = either.domain.name
    either.do(Destroy())
    assert either.rows(Vcpu)[0].affinity.startswith("0")
    either.do(Rename(new_name=f"{before}-renamed"))
    assert either.domain.name == f"{before}-renamed"
    either.do(Rename(new_name=str(before)))
    either.do(Start())


def heard(bench: Bench, matches: Callable[[Heard], bool]) -> Heard:
    def probe() -> Heard | None:
        while not bench.heard.empty():
            if matches(each := bench.heard.get()):
                return each
        return None

    found = eventually(probe, what="something heard")
    assert found is not None
    return found


def test_the_monitor_answers_and_is_heard(qemu: Bench) -> None:
    answer = json.loads(qemu.do(MonitorCommand(command='{"execute":"query-status"}'))["answer"])
    assert answer["return"]["running"] is True
    assert "VM status" in qemu.do(MonitorCommand(command="info status", flags=MonitorFlags.HUMAN))["answer"]
    with pytest.raises(VirtmapError, match="cannot monitor command"):
        qemu.do(MonitorCommand(command="no json"))
    qemu.do(Suspend())
    found = heard(
        qemu, lambda h: isinstance(h, Happened) and isinstance(h.event, MonitorEvent) and h.event.event == "STOP"
    )
    assert isinstance(found, Happened)
    assert found.key == (qemu.uuid,)
    qemu.do(MonitorCommand(command='{"execute":"cont"}'))
    called = qemu.driver.called
    assert {
        "qemuMonitorCommand",
        "qemuMonitorCommandWithFiles",
        "qemuMonitorEventRegister",
        "qemuAgentCommand",
    } <= called.keys()


def test_a_process_cannot_be_adopted_any_more(qemu: Bench) -> None:
    with pytest.raises(NotSupported, match="cannot adopt process"):
        qemu.driver.perform(AdoptProcess(process=1), ("control",))
