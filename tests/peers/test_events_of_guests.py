"""What happens to real guests, by calls of libvirt and by the guests themselves and never by the agent, is told by notification and
by indication, with the right instances and values.

Every event of the model is either told of something that was made to happen here, or is in BEYOND_REACH with the reason.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt
import pytest

from agent.model import MODEL, Disk, Domain
from agent.model import device_events as on
from agent.model.alarm import AlarmCleared, AlarmKind, AlarmRaised
from agent.model.block_job import BlockJobType
from agent.model.connection import ConnectionLost, ConnectionRestored
from agent.model.domain import DomainState, DomainStateReason
from agent.model.domain_events import (
    DomainAppeared,
    DomainCrashed,
    DomainDefined,
    DomainPmSuspended,
    DomainResumed,
    DomainShutdown,
    DomainStarted,
    DomainStateFound,
    DomainStopped,
    DomainSuspended,
    DomainUndefined,
    DomainVanished,
    LifecycleDetail,
)
from agent.model.log import Log, LogKind, LogMatched
from agent.model.monitor import MonitorEvent
from agent.model.network import Network, NetworkDefined, NetworkNoted, NetworkStarted, NetworkStopped, NetworkUndefined
from agent.model.node_device import (
    NodeDevice,
    NodeDeviceCreated,
    NodeDeviceDefined,
    NodeDeviceDeleted,
    NodeDeviceUndefined,
    NodeDeviceUpdated,
)
from agent.model.occurrence import Occurrence, PerceivedSeverity
from agent.model.pool import (
    Pool,
    PoolBuilt,
    PoolDefined,
    PoolDeleted,
    PoolRefreshed,
    PoolStarted,
    PoolState,
    PoolStopped,
    PoolUndefined,
)
from agent.model.secret import SecretDefined, SecretUndefined, SecretUsage, SecretValueChanged, StoredSecret
from agent.schema.declare import Event, Row
from tests import boot_sectors
from tests.guest_agent import GuestAgent, with_agent
from tests.peers.hearing import HERE, Ears, Told, ears
from tests.programs import program, unavailable
from tests.servers import Session, Unavailable, eventually

BEYOND_REACH: Mapping[type[Event], str] = {
    on.NicMacChanged: "libvirt tells it since 11.2, of a guest with a driver for its card",
    on.VcpuRemoved: "libvirt tells it since 12.4, of a guest that knows ACPI",
    on.ChannelChanged: "libvirt tells it since 12.4, of a guest with a driver for virtio-serial",
    NetworkNoted: "libvirt tells it since 9.8, and libvirt-python leaves it out",
    NodeDeviceDefined: "libvirt's mediated devices need mdevctl, and a device of the host that has them",
    NodeDeviceUndefined: "as NodeDeviceDefined",
    NodeDeviceUpdated: "libvirt takes it from udev, or from a mediated device that changes",
}
"""Events that cannot be raised here, with the reason. tests/contract/test_libvirt_events.py makes them from what libvirt-python's
callbacks get, or would get."""

PROVED: dict[type[Event], list[str]] = {}
"""Each event that a test of this module raises and hears, and those tests."""

LIVE, BOTH = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
RUNNING, PAUSED, SHUT_OFF = DomainState.RUNNING, DomainState.PAUSED, DomainState.SHUT_OFF
MIB = 1 << 20


def proves(*events: type[Occurrence]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test that raises these events and hears them."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        for event in events:
            PROVED.setdefault(event, []).append(test.__name__)

        @functools.wraps(test)
        def run(place: Place, **more: Any) -> None:
            place.ears.proved.clear()
            test(place, **more)
            assert place.ears.proved >= set(events), set(events) - place.ears.proved

        return run

    return decorate


@dataclass(kw_only=True)
class Place:
    """A private hypervisor, our own connection to it, and those who are told what happens there."""

    server: Session
    virt: Any
    mock: Any
    ears: Ears
    made: list[Subject] = field(default_factory=list)

    def guest(self, name: str, *, devices: str = "", extra: str = "", transient: bool = False) -> Subject:
        """A guest that obeys keys (tests.boot_sectors); defined, or, if it is transient, running."""
        image, serial = self.server.images / f"{name}.img", self.server.images / f"{name}.serial"
        boot_sectors.write_image(image)
        self.server._own(image)
        disk = (
            f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{image}'/>"
            "<target dev='vda' bus='virtio'/></disk>"
        )
        xml = definition(name, (devices if "dev='vda'" in devices else disk + devices) + serial_port(serial), extra)
        domain = self.virt.createXML(xml, 0) if transient else self.virt.defineXML(xml)
        made = Subject(place=self, name=name, uuid=domain.UUIDString(), domain=domain, image=image, serial=serial)
        self.made.append(made)
        return made

    def of(self, event: type[Occurrence], row: type[Row], uuid: str, /, *, mock: bool = False, **fields: Any) -> Told:
        """What was told about an object that is not a domain, whose instance is that of its row."""
        told = self.ears.next_of(event, uuid, **fields)
        column = row.key_fields()[-1].name
        assert told.value(column) == uuid
        found = self.ears.instance(row, column, uuid, mock=mock)
        assert found is None or told.trap.instance == found
        assert told.alert["SystemName"] == ("mock" if mock else HERE)
        return told


def serial_port(path: Path) -> str:
    return f"<serial type='file'><source path='{path}' append='on'/></serial>"


def definition(name: str, devices: str, extra: str) -> str:
    return (
        f"<domain type='qemu'><name>{name}</name><uuid>{uuid.uuid4()}</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>"
        f"<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>{extra}"
        f"<devices>{devices}</devices></domain>"
    )


@dataclass(kw_only=True)
class Subject:
    """A domain that things happen to."""

    place: Place
    name: str
    uuid: str
    domain: Any
    image: Path
    serial: Path
    _arc: int | None = None

    @property
    def arc(self) -> int:
        """The index of the domain in the table, as a walk found it first."""
        if self._arc is None:
            found = eventually(
                lambda: self.place.ears.instance(Domain, "uuid", self.uuid), what=f"the row of {self.name}"
            )
            assert found is not None
            (self._arc,) = found
        return self._arc

    @property
    def begun(self) -> int:
        """How often the guest has begun."""
        return self.serial.stat().st_size if self.serial.exists() else 0

    def start(self) -> None:
        """Start it, and be back when it takes keys."""
        before = self.begun
        self.domain.create()
        self.wait(before)

    def wait(self, before: int) -> None:
        """When it has begun once more than so often."""
        eventually(lambda: self.begun > before, within=30, what=f"{self.name} taking keys")

    def press(self, command: str) -> None:
        boot_sectors.press(self.domain, command)

    def told(
        self, event: type[Occurrence], /, *, state: DomainState | None = None, here: bool | None = True, **fields: Any
    ) -> Told:
        """What was told about it: by the index of its row, with its UUID and name; and a GET shows the row, and its `state`, if
        that was asked for, as it was told. Not if it is no more `here`; None for who cannot know."""
        told = self.place.ears.next_of(event, self.uuid, **({"state": state} if state else {}), **fields)
        assert (told.value("uuid"), told.value("name")) == (self.uuid, self.name)
        assert self.name in told.value("message")
        assert told.alert["SystemName"] == HERE
        assert self.uuid in told.alert["AlertingManagedElement"]
        assert told.trap.instance == (self.arc,)
        if here:
            assert self.get("uuid") == self.uuid.encode()
            assert self.get("name") == self.name.encode()
            if state is not None:
                assert self.get("state") == int(state)
        elif here is False:
            assert self.get("uuid") is None
        return told

    def told_of_disk(self, event: type[Occurrence], target: str, /, **fields: Any) -> Told:
        """What was told about a disk of it."""
        ears = self.place.ears
        told = ears.next_of(event, self.uuid, target=target, **fields)
        assert (told.value("domain_uuid"), told.value("domain_name")) == (self.uuid, self.name)
        assert told.trap.instance == ears.instance(Disk, "target", target, beneath=(self.arc,))
        assert ears.get(Disk, "target", told.trap.instance) == target.encode()
        source = told.value("source")
        assert ears.get(Disk, "source", told.trap.instance) == (source.encode() if source is not None else None)
        assert f"disk {target} of domain {self.name}" in told.value("message")
        return told

    def get(self, column: str) -> Any:
        return self.place.ears.get(Domain, column, (self.arc,))

    def changed(self, kind: str) -> Any:
        """The first CIM_InstIndication of this kind and about it that was not asked for yet."""

        def found() -> Any:
            ears = self.place.ears
            ears.listen()
            for each in ears.changes:
                if each.classname == kind and each["SourceInstance"]["Name"] == self.uuid:
                    ears.changes.remove(each)
                    return each
            return None

        change = eventually(found, within=20, what=f"{kind} of {self.name}")
        assert change["SourceInstance"].classname == "Virtmap_Domain"
        assert self.uuid in change["SourceInstanceModelPath"]
        return change

    def end(self) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            self.domain.destroy()
        with contextlib.suppress(libvirt.libvirtError):
            self.domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)


def _session(**more: Any) -> Session:
    try:
        return Session(**more)
    except Unavailable as reason:
        unavailable(f"Session: {reason}")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with _session() as server:
        server.log_folder.mkdir(parents=True)
        for path in (server.log_folder, *server.log_folder.parents[:3]):
            server._own(path)
        mock = server.test_uri()
        with (
            ears(tmp_path_factory.mktemp("agent"), uri=server.uri, mock=mock, logs=server.log_folder) as listening,
            contextlib.closing(libvirt.open(server.uri)) as virt,
            contextlib.closing(libvirt.open(mock)) as beside,
        ):
            yield Place(server=server, virt=virt, mock=beside, ears=listening)


@pytest.fixture
def place(whole: Place) -> Iterator[Place]:
    yield whole
    for subject in whole.made:
        subject.end()
    whole.made.clear()


# Its life


@proves(DomainDefined, DomainStarted, DomainSuspended, DomainResumed, DomainStopped, DomainUndefined, MonitorEvent)
def test_the_life_of_a_domain_is_told(place: Place) -> None:
    guest = place.guest("living")
    guest.told(
        DomainDefined, state=SHUT_OFF, detail=LifecycleDetail.DEFINED_ADDED, severity=PerceivedSeverity.INFORMATION
    )
    assert guest.changed("CIM_InstCreation")["SourceInstance"]["ElementName"] == "living"
    guest.start()
    guest.told(DomainResumed, detail=LifecycleDetail.RESUMED_UNPAUSED)
    told = guest.told(DomainStarted, state=RUNNING, detail=LifecycleDetail.STARTED_BOOTED, previous_state=SHUT_OFF)
    assert told.value("state_reason") is DomainStateReason.RUNNING_BOOTED
    guest.domain.suspend()
    guest.told(
        DomainSuspended, state=PAUSED, detail=LifecycleDetail.SUSPENDED_PAUSED, previous_state=RUNNING,
        severity=PerceivedSeverity.WARNING,
    )  # fmt: skip
    guest.told(MonitorEvent, event="STOP")
    guest.domain.resume()
    guest.told(DomainResumed, state=RUNNING, detail=LifecycleDetail.RESUMED_UNPAUSED, previous_state=PAUSED)
    guest.domain.destroy()
    guest.told(DomainStopped, state=SHUT_OFF, detail=LifecycleDetail.STOPPED_DESTROYED, previous_state=RUNNING)
    change = guest.changed("CIM_InstModification")
    while change["PreviousInstance"]["EnabledState"] == change["SourceInstance"]["EnabledState"]:
        change = guest.changed("CIM_InstModification")  # a reading amid the start shows other properties changed first
    guest.domain.undefine()
    guest.told(DomainUndefined, here=False, detail=LifecycleDetail.UNDEFINED_REMOVED, previous_state=SHUT_OFF)
    assert guest.changed("CIM_InstDeletion")["SourceInstance"]["ElementName"] == "living"


@proves(DomainStopped, on.DomainJobEnded, on.MigrationPass, DomainStarted)
def test_saving_and_restoring_is_told_as_the_job_that_it_is(place: Place) -> None:
    guest = place.guest("saved")
    guest.start()
    guest.told(DomainStarted, state=RUNNING)
    guest.domain.managedSave()
    first = guest.told(on.MigrationPass, iteration=1)
    ended = guest.told(on.DomainJobEnded, work=on.JobWork.SAVE)
    assert ended.value("transferred") > 0
    assert ended.value("elapsed") >= ended.value("downtime") >= 0
    assert ended.value("error") is None
    stopped = guest.told(DomainStopped, state=SHUT_OFF, detail=LifecycleDetail.STOPPED_SAVED)
    assert first.sequence < ended.sequence < stopped.sequence
    guest.domain.create()
    guest.told(DomainStarted, detail=LifecycleDetail.STARTED_RESTORED, previous_state=SHUT_OFF)
    told = guest.told(DomainResumed, state=RUNNING, detail=LifecycleDetail.RESUMED_FROM_SNAPSHOT)
    assert told.sequence > stopped.sequence


@proves(DomainStopped)
def test_a_transient_guest_that_is_killed_has_failed_and_keeps_its_name(place: Place) -> None:
    guest = place.guest("killed", transient=True)
    guest.told(DomainStarted, state=RUNNING)
    os.kill(int((place.server.guest_pid_folder / "killed.pid").read_text()), signal.SIGKILL)
    guest.told(DomainStopped, here=False, detail=LifecycleDetail.STOPPED_FAILED, previous_state=RUNNING)
    assert guest.changed("CIM_InstDeletion")["SourceInstance"]["ElementName"] == "killed"


# What guests do of themselves

OBEDIENT = (
    "<maxMemory slots='2' unit='MiB'>512</maxMemory><cpu mode='custom'><model>qemu64</model>"
    "<numa><cell id='0' cpus='0' memory='32' unit='MiB'/></numa></cpu>"
    "<pm><suspend-to-mem enabled='yes'/><suspend-to-disk enabled='yes'/></pm><on_crash>preserve</on_crash>"
)
MACHINERY = (
    "<watchdog model='ib700' action='none'/><panic model='isa'/><memballoon model='virtio'/>"
    "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"
)


@pytest.fixture
def obedient(place: Place) -> Subject:
    """A running guest with all that its keys act upon."""
    guest = place.guest("obedient", devices=MACHINERY, extra=OBEDIENT)
    guest.start()
    guest.told(DomainStarted, state=RUNNING)
    return guest


@proves(
    on.WatchdogFired, on.DomainClockChanged, on.BalloonChanged, on.ThresholdReached, on.DeviceRemovalFailed, on.DomainRebooted,
)  # fmt: skip
def test_what_a_guest_does_to_its_machine_is_told(place: Place, obedient: Subject) -> None:
    obedient.press("watchdog")
    told = obedient.told(on.WatchdogFired, action=on.WatchdogAction.NONE, severity=PerceivedSeverity.MAJOR)
    assert told.value("message") == "domain obedient: watchdog fired: action none"
    obedient.press("clock")
    told = obedient.told(on.DomainClockChanged)
    assert abs(abs(told.value("offset")) - 365.5 * 86_400) < 2 * 86_400
    obedient.press("balloon")
    whole = (32 + 128) * 1024
    obedient.told(on.BalloonChanged, memory=whole - boot_sectors.BALLOON // 1024, previous_memory=whole)
    obedient.domain.setBlockThreshold("vda", 4096)
    obedient.press("write")
    told = obedient.told_of_disk(
        on.ThresholdReached, "vda", device="vda", threshold=4096, excess=boot_sectors.WRITTEN + boot_sectors.SECTOR - 4096,
        image=str(obedient.image), severity=PerceivedSeverity.WARNING,
    )  # fmt: skip
    assert told.alert["AlertType"] == 3
    obedient.press("refuse")
    obedient.told(on.DeviceRemovalFailed, device="dimm0", severity=PerceivedSeverity.WARNING)
    obedient.press("reset")
    obedient.told(on.DomainRebooted, state=RUNNING)


@proves(on.DomainSlept, DomainPmSuspended, on.DomainWokenUp, DomainShutdown, DomainStopped, on.DomainHibernated)
def test_a_guest_that_sleeps_wakes_hibernates_and_turns_itself_off_is_told(place: Place, obedient: Subject) -> None:
    before = obedient.begun
    obedient.press("sleep")
    asleep = DomainState.PM_SUSPENDED
    obedient.told(on.DomainSlept, state=asleep)
    obedient.told(DomainPmSuspended, state=asleep, detail=LifecycleDetail.PM_SUSPENDED_MEMORY, previous_state=RUNNING)
    obedient.domain.pMWakeup()
    obedient.told(on.DomainWokenUp, state=RUNNING)
    obedient.told(DomainStarted, state=RUNNING, detail=LifecycleDetail.STARTED_WAKEUP, previous_state=asleep)
    obedient.wait(before)
    obedient.press("hibernate")
    obedient.told(on.DomainHibernated)
    obedient.told(DomainPmSuspended, detail=LifecycleDetail.PM_SUSPENDED_DISK)
    obedient.told(DomainShutdown, detail=LifecycleDetail.SHUTDOWN_GUEST)
    obedient.told(DomainStopped, state=SHUT_OFF, detail=LifecycleDetail.STOPPED_SHUTDOWN)
    obedient.start()
    obedient.told(DomainStarted, state=RUNNING, detail=LifecycleDetail.STARTED_BOOTED)
    obedient.press("off")
    told = obedient.told(DomainShutdown, detail=LifecycleDetail.SHUTDOWN_GUEST, previous_state=RUNNING)
    stopped = obedient.told(DomainStopped, state=SHUT_OFF, detail=LifecycleDetail.STOPPED_SHUTDOWN)
    assert told.sequence < stopped.sequence


@proves(DomainCrashed)
def test_a_guest_whose_kernel_panics_has_crashed(place: Place, obedient: Subject) -> None:
    obedient.press("panic")
    # Of the state before, nothing is asked: QEMU's stop and its panic are two events, which libvirt handles in two threads.
    told = obedient.told(
        DomainCrashed, state=DomainState.CRASHED, detail=LifecycleDetail.CRASHED_PANICKED,
        severity=PerceivedSeverity.CRITICAL,
    )  # fmt: skip
    assert (told.alert["AlertType"], told.alert["ProbableCause"]) == (4, 48)


@contextlib.contextmanager
def full_disk(place: Place) -> Iterator[str]:
    """A disk that a guest boots from, on a server with no space left: each write fails with ENOSPC. The definition of it; the
    disk has a name, since libvirt 9.0 tells nothing of one without.
    """
    image, where = place.server.images / "full.img", place.server.root / "full.sock"
    boot_sectors.write_image(image)
    options = (
        f"driver=raw,file.driver=blkdebug,file.image.driver=file,file.image.filename={image},"
        "file.inject-error.0.event=none,file.inject-error.0.iotype=write,file.inject-error.0.errno=28"
    )
    command = [program("qemu-nbd", "qemu-utils"), "--socket", str(where), "--export-name", "full", "--persistent"]
    process = subprocess.Popen([*command, "--shared", "4", "--image-opts", options], stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        eventually(lambda: where.exists() or process.poll() is not None, what="qemu-nbd")
        assert process.poll() is None, process.stderr.read()
        where.chmod(0o777)
        yield (
            "<disk type='network' device='disk'><driver name='qemu' type='raw' error_policy='stop'/>"
            f"<source protocol='nbd' name='full'><host transport='unix' socket='{where}'/></source>"
            "<target dev='vda' bus='virtio'/></disk>"
        )
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()


@proves(on.DiskIoFailed, DomainSuspended)
def test_a_disk_without_space_stops_its_guest_and_says_why(place: Place) -> None:
    with full_disk(place) as disk:
        guest = place.guest("full", devices=disk)
        guest.start()
        guest.told(DomainStarted, state=RUNNING)
        guest.press("write")
        told = guest.told_of_disk(
            on.DiskIoFailed, "vda", action=on.IoErrorAction.PAUSE, reason="enospc", device="virtio-disk0",
            severity=PerceivedSeverity.CRITICAL,
        )  # fmt: skip
        assert (told.alert["AlertType"], told.alert["ProbableCause"]) == (5, 24)
        guest.told(DomainSuspended, state=PAUSED, detail=LifecycleDetail.SUSPENDED_IO_ERROR, previous_state=RUNNING)
        guest.domain.destroy()


# Devices, and what is changed about a guest that runs


def missing_disc(place: Place) -> str:
    return (
        "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/>"
        f"<source file='{place.server.images}/missing.iso' startupPolicy='optional'/><target dev='hdc' bus='ide'/></disk>"
    )


@proves(on.DiskImageChanged, on.DiskTrayChanged, on.DeviceAdded, on.DeviceRemoved)
def test_media_and_devices_that_come_and_go_are_told(place: Place) -> None:
    disc = place.server.image("disc", size=1, kind="raw")
    guest = place.guest("drive", devices=missing_disc(place))
    guest.start()
    guest.told_of_disk(
        on.DiskImageChanged, "hdc", old_image=f"{place.server.images}/missing.iso", new_image=None, device="ide0-1-0",
        reason=on.DiskChangeReason.CHANGE_MISSING, severity=PerceivedSeverity.WARNING,
    )  # fmt: skip
    drive = "<disk type='file' device='cdrom'>{}<target dev='hdc' bus='ide'/></disk>"
    guest.domain.updateDeviceFlags(drive.format(f"<driver name='qemu' type='raw'/><source file='{disc}'/>"), LIVE)
    opened = guest.told_of_disk(on.DiskTrayChanged, "hdc", tray=on.TrayState.OPEN, device="ide0-1-0")
    closed = guest.told_of_disk(
        on.DiskTrayChanged, "hdc", tray=on.TrayState.CLOSED, device="ide0-1-0", source=str(disc)
    )
    assert opened.sequence < closed.sequence
    tablet = "<input type='tablet' bus='usb'/>"
    guest.domain.attachDeviceFlags(tablet, LIVE)
    told = guest.told(on.DeviceAdded, state=RUNNING)
    assert told.value("device").startswith("input")
    guest.domain.detachDeviceFlags(tablet, LIVE)
    guest.told(on.DeviceRemoved, state=RUNNING, device=told.value("device"))


@proves(on.DomainTuned, on.DomainNoted, DomainDefined)
def test_what_is_set_and_noted_is_told(place: Place) -> None:
    guest = place.guest("tuned")
    guest.told(DomainDefined, detail=LifecycleDetail.DEFINED_ADDED)
    guest.domain.create()
    guest.told(DomainStarted, state=RUNNING)
    guest.domain.setBlockIoTune("vda", {"total_iops_sec": 1000}, LIVE)
    guest.told(on.DomainTuned, tunables="blkdeviotune.disk=vda\nblkdeviotune.total_iops_sec=1000")
    guest.domain.pinVcpuFlags(0, (True, *[False] * (place.virt.getInfo()[2] - 1)), LIVE)
    guest.told(on.DomainTuned, tunables="cputune.vcpupin0=0")
    guest.domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "A title", None, None, BOTH)
    guest.told(on.DomainNoted, what=on.DomainMetadata.TITLE, namespace=None)
    eventually(lambda: guest.get("title") == b"A title", what="the title")
    guest.domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, "<a/>", "x", "http://acme.example/x", BOTH)
    guest.told(on.DomainNoted, what=on.DomainMetadata.ELEMENT, namespace="http://acme.example/x")
    place.virt.defineXML(guest.domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).replace("A title", "Another"))
    guest.told(DomainDefined, state=RUNNING, detail=LifecycleDetail.DEFINED_UPDATED, previous_state=RUNNING)


@proves(on.BlockJobChanged)
def test_block_jobs_that_are_ready_done_and_given_up_are_told(place: Place) -> None:
    guest = place.guest("copied")
    guest.domain.create()
    guest.told(DomainStarted, state=RUNNING)

    def copy() -> str:
        target = str(place.server.image(f"copy-{len(list(place.server.images.iterdir()))}", size=1, kind="raw"))
        flags = libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
        disk = f"<disk type='file'><driver type='raw'/><source file='{target}'/></disk>"
        guest.domain.blockCopy("vda", disk, {}, flags)
        guest.told_of_disk(on.BlockJobChanged, "vda", job=BlockJobType.COPY, outcome=on.BlockJobOutcome.READY)
        return target

    target = copy()
    guest.domain.blockJobAbort("vda", libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
    done = on.BlockJobOutcome.COMPLETED
    guest.told_of_disk(on.BlockJobChanged, "vda", job=BlockJobType.COPY, outcome=done, source=target)
    copy()
    guest.domain.blockJobAbort("vda")
    given_up = on.BlockJobOutcome.CANCELED
    guest.told_of_disk(on.BlockJobChanged, "vda", job=BlockJobType.COPY, outcome=given_up, source=target)


@proves(on.GraphicsSession)
def test_who_looks_at_the_screen_is_told(place: Place) -> None:
    where = f"{place.server.root}/screen.sock"
    guest = place.guest("watched", devices=f"<graphics type='vnc' socket='{where}'/>")
    guest.domain.create()
    guest.told(DomainStarted, state=RUNNING)
    phases = on.GraphicsPhase
    with socket.socket(socket.AF_UNIX) as viewer:
        viewer.settimeout(20)
        viewer.connect(where)
        viewer.sendall(viewer.recv(12, socket.MSG_WAITALL))  # the version that it offers
        viewer.recv(viewer.recv(1)[0], socket.MSG_WAITALL)
        viewer.sendall(b"\x01")  # no password
        assert viewer.recv(4, socket.MSG_WAITALL) == bytes(4)
        viewer.sendall(b"\x01")  # beside others
        first = guest.told(on.GraphicsSession, phase=phases.CONNECTED, local=where, scheme="none", identity=None)
        second = guest.told(on.GraphicsSession, phase=phases.INITIALIZED, local=where)
    last = guest.told(on.GraphicsSession, phase=phases.DISCONNECTED, local=where)
    assert first.sequence < second.sequence < last.sequence
    assert first.alert["AlertType"] == 8


# What libvirt hears from the monitor of a guest that has no operating system, and no memory that fails


def said(event: str, **data: Any) -> str:
    """What QEMU's monitor says of an event."""
    told = {"event": event, "data": data, "timestamp": {"seconds": 1_800_000_000, "microseconds": 0}}
    return json.dumps(told, separators=(",", ":"))


@proves(on.GuestAgentChanged, on.MemoryFailed, on.MemoryDeviceResized, on.DomainControlLost)
def test_what_libvirt_makes_of_a_monitor_is_told(place: Place) -> None:
    memory = "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"
    guest = place.guest("spoken-for", devices=memory, extra=OBEDIENT)
    place.virt.defineXML(with_agent(guest.domain.XMLDesc(0), place.server))
    guest.domain.create()
    guest.told(DomainStarted, state=RUNNING)
    with GuestAgent(server=place.server, guest="spoken-for") as agent:
        guest.told(on.GuestAgentChanged, agent=on.AgentState.CONNECTED, reason=on.AgentStateReason.CHANNEL)
        agent.say(
            said(
                "MEMORY_FAILURE",
                recipient="guest",
                action="inject",
                flags={"action-required": True, "recursive": False},
            )
        )
        guest.told(
            on.MemoryFailed, recipient=on.MemoryFailureRecipient.GUEST, action=on.MemoryFailureAction.INJECT, required=True,
            recursive=False, severity=PerceivedSeverity.CRITICAL,
        )  # fmt: skip
        agent.say(said("MEMORY_DEVICE_SIZE_CHANGE", id="dimm0", size=64 * MIB, **{"qom-path": "/machine/dimm0"}))
        guest.told(on.MemoryDeviceResized, device="dimm0", size=64 * 1024)
    guest.told(on.GuestAgentChanged, agent=on.AgentState.DISCONNECTED, reason=on.AgentStateReason.CHANNEL)
    with GuestAgent(server=place.server, guest="spoken-for") as agent:
        guest.told(on.GuestAgentChanged, agent=on.AgentState.CONNECTED)
        agent.say("{that-is-no-json")
        told = guest.told(on.DomainControlLost, severity=PerceivedSeverity.MAJOR)
        assert told.alert["AlertType"] == 2


# Two hosts


@proves(on.MigrationPass, on.DomainJobEnded, DomainStopped)
def test_a_guest_that_moves_away_is_told(place: Place) -> None:
    there = _session(account=place.server.account)
    folder = there.root / "config/libvirt"
    folder.mkdir()
    (folder / "libvirtd.conf").write_text(f'host_uuid = "{uuid.uuid4()}"\n')
    there._own(folder)
    with there, contextlib.closing(libvirt.open(there.uri)) as far:
        guest = place.guest("moved", devices="<memballoon model='none'/>", transient=True)
        guest.told(DomainStarted, state=RUNNING)
        flags = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_UNSAFE
        given = {"migrate_uri": "tcp://127.0.0.1", "listen_address": "127.0.0.1"}
        guest.domain.migrate3(far, given, flags)
        guest.told(on.MigrationPass, here=None, iteration=1)
        told = guest.told(on.DomainJobEnded, here=None, work=on.JobWork.MIGRATION_OUT)
        assert told.value("transferred") > 0
        guest.told(DomainStopped, here=False, detail=LifecycleDetail.STOPPED_MIGRATED)


# What is no domain


@proves(NetworkDefined, NetworkStarted, NetworkStopped, NetworkUndefined)
def test_networks_are_told(place: Place) -> None:
    """Of libvirt's test driver: a session may not start one."""
    network = place.mock.networkDefineXML(
        "<network><name>lan</name><bridge name='lan0'/><ip address='192.0.2.1'/></network>"
    )
    key, at = network.UUIDString(), functools.partial(place.of, mock=True)
    assert at(NetworkDefined, Network, key, active=False, name="lan").value("name") == "lan"
    network.create()
    at(NetworkStarted, Network, key, active=True, previous_active=False, bridge="lan0")
    network.destroy()
    at(NetworkStopped, Network, key, active=False, previous_active=True, severity=PerceivedSeverity.WARNING)
    network.undefine()
    at(NetworkUndefined, Network, key, name="lan", severity=PerceivedSeverity.WARNING)


@proves(PoolDefined, PoolBuilt, PoolStarted, PoolRefreshed, PoolStopped, PoolDeleted, PoolUndefined)
def test_pools_are_told(place: Place) -> None:
    target = f"<target><path>{place.server.images}/pool</path></target>"
    pool = place.virt.storagePoolDefineXML(f"<pool type='dir'><name>store</name>{target}</pool>", 0)
    key = pool.UUIDString()
    place.of(PoolDefined, Pool, key, name="store", state=PoolState.INACTIVE)
    pool.build(0)
    place.of(PoolBuilt, Pool, key, name="store")
    pool.create(0)
    place.of(PoolStarted, Pool, key, state=PoolState.RUNNING, previous_state=PoolState.INACTIVE)
    pool.refresh(0)
    place.of(PoolRefreshed, Pool, key, state=PoolState.RUNNING)
    pool.destroy()
    place.of(PoolStopped, Pool, key, state=PoolState.INACTIVE, previous_state=PoolState.RUNNING)
    pool.delete(0)
    place.of(PoolDeleted, Pool, key, severity=PerceivedSeverity.WARNING)
    pool.undefine()
    place.of(PoolUndefined, Pool, key, name="store", severity=PerceivedSeverity.WARNING)


@proves(SecretDefined, SecretValueChanged, SecretUndefined)
def test_secrets_are_told_and_never_their_values(place: Place) -> None:
    xml = "<secret ephemeral='no' private='yes'><usage type='ceph'><name>store key</name></usage></secret>"
    secret = place.virt.secretDefineXML(xml)
    key = secret.UUIDString()
    place.of(SecretDefined, StoredSecret, key, usage=SecretUsage.CEPH, usage_id="store key")
    secret.setValue(b"told to nobody", 0)
    told = place.of(SecretValueChanged, StoredSecret, key, usage=SecretUsage.CEPH)
    assert "told to nobody" not in f"{told.trap}{told.alert.tomof()}"
    secret.undefine()
    place.of(SecretUndefined, StoredSecret, key, usage_id="store key", severity=PerceivedSeverity.WARNING)


@proves(NodeDeviceCreated, NodeDeviceDeleted)
def test_devices_of_a_host_are_told(place: Place) -> None:
    """Of libvirt's test driver, which has ports that can be made."""
    device = place.mock.nodeDeviceCreateXML(
        "<device><parent>scsi_host1</parent><capability type='scsi_host'><capability type='fc_host'>"
        "<wwnn>2000000012341234</wwnn><wwpn>1000000012341234</wwpn></capability></capability></device>"
    )
    name = device.name()
    place.of(NodeDeviceCreated, NodeDevice, name, mock=True, type="scsi_host")
    device.destroy()
    place.of(NodeDeviceDeleted, NodeDevice, name, mock=True, severity=PerceivedSeverity.WARNING)


# What the agent finds out


@proves(LogMatched)
def test_a_line_of_a_log_is_told(place: Place) -> None:
    guest = place.guest("logged")
    guest.domain.create()
    guest.told(DomainStarted, state=RUNNING)
    path = f"{place.server.log_folder}/logged.log"
    instance = eventually(lambda: place.ears.instance(Log, "path", path), within=20, what="the row of the log")
    assert instance is not None
    eventually(
        lambda: place.ears.get(Log, "domain", instance) == guest.uuid.encode(), within=20, what="whose log it is"
    )
    guest.domain.destroy()
    told = place.ears.next_of(LogMatched, path, rule="ended", severity=PerceivedSeverity.MINOR)
    assert told.trap.instance == instance
    assert (told.value("domain"), told.value("domain_name"), told.value("kind")) == (
        guest.uuid,
        "logged",
        LogKind.HYPERVISOR,
    )
    assert "terminating on signal 15 from pid" in told.value("line")
    assert told.value("line") in Path(path).read_text()


@proves(AlarmRaised, AlarmCleared)
def test_a_domain_that_should_run_raises_an_alarm_until_it_does(place: Place) -> None:
    guest = place.guest("needed")
    guest.domain.setAutostart(1)
    raised = place.ears.next_of(AlarmRaised, guest.uuid, kind=AlarmKind.DOWN, severity=PerceivedSeverity.MAJOR)
    assert (raised.value("rule"), raised.value("object"), raised.value("value")) == ("should-run", "domain needed", 1)
    guest.domain.create()
    cleared = place.ears.next_of(AlarmCleared, guest.uuid, rule="should-run")
    assert cleared.trap.instance == raised.trap.instance
    assert cleared.sequence > raised.sequence
    guest.domain.setAutostart(0)


@proves(ConnectionLost, ConnectionRestored, DomainVanished, DomainStateFound, DomainAppeared)
def test_what_happened_while_nobody_could_tell_is_found_out(place: Place) -> None:
    """The last one: libvirtd is another one behind it."""
    defined, transient, named = place.guest("left"), place.guest("lost", transient=True), place.guest("named")
    defined.domain.create()
    defined.told(DomainStarted, state=RUNNING)
    transient.told(DomainStarted, state=RUNNING)
    named.told(DomainDefined, state=SHUT_OFF)
    assert transient.arc != defined.arc
    definitions = place.server.root / "config/libvirt/qemu"
    planted = str(uuid.uuid4())
    place.server.kill()
    lost = place.ears.next_of(ConnectionLost, HERE, severity=PerceivedSeverity.MAJOR)
    assert lost.trap.instance == (0,)
    assert lost.value("uri") == place.server.uri
    assert lost.value("reason")
    assert transient.get("state") == int(RUNNING), "what was known is shown on"
    pids = [int((place.server.guest_pid_folder / f"{each.name}.pid").read_text()) for each in (defined, transient)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="the end of the guests")
    text = (
        (definitions / "named.xml").read_text().replace(named.uuid, planted).replace("<name>named<", "<name>planted<")
    )
    (definitions / "planted.xml").write_text(text)
    place.server.start()
    restored = place.ears.next_of(ConnectionRestored, HERE, severity=PerceivedSeverity.INFORMATION)
    assert restored.sequence > lost.sequence
    assert 0 <= restored.value("outage") < 120
    transient.told(DomainVanished, here=False, previous_state=RUNNING, severity=PerceivedSeverity.MAJOR)
    defined.told(DomainStateFound, state=SHUT_OFF, previous_state=RUNNING, severity=PerceivedSeverity.WARNING)
    appeared = place.ears.next_of(DomainAppeared, planted, name="planted", state=SHUT_OFF)
    assert appeared.trap.instance == place.ears.instance(Domain, "uuid", planted)


def test_all_receivers_were_told_the_same(place: Place) -> None:
    place.ears.nothing_is_missing()
    assert place.ears.alerts


def test_every_event_is_proved_or_beyond_reach() -> None:
    assert set(PROVED) | set(BEYOND_REACH) == set(MODEL.events)
    assert not set(PROVED) & set(BEYOND_REACH)
