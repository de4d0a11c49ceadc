"""From what libvirt-python's callbacks get to what the driver tells: every kind of event, as libvirt tells it today, and as a newer
libvirt, or a guest that means harm, may tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import libvirt
import pytest

from agent.driver import Changed, Happened, Heard
from agent.model import MODEL, Disk, Domain, Nic
from agent.model import device_events as on
from agent.model.block_job import BlockJobType
from agent.model.domain_events import DomainFound, DomainLifecycle, DomainStarted, LifecycleDetail
from agent.model.node_device import (
    NodeDevice,
    NodeDeviceCreated,
    NodeDeviceDefined,
    NodeDeviceDeleted,
    NodeDeviceUndefined,
    NodeDeviceUpdated,
)
from agent.schema.declare import Event, Row
from agent.schema.types import Enumeration, canonical, fits
from drivers.libvirt import LibvirtDriver, events
from drivers.libvirt.calls import Calls
from drivers.libvirt.events import LIFECYCLE, SUPERSEDED, lifecycle, made, register
from drivers.libvirt.kinds import KINDS
from tests.peers.test_events_of_guests import BEYOND_REACH

UUID = "6b0f4a8e-3f5c-4a52-9d0c-0a1b2c3d4e5f"
PREFIX = "VIR_DOMAIN_EVENT_ID_"
UNKNOWN = 9999
"""A number that no libvirt has given to anything."""

DEVICES = {(Disk, "virtio-disk0"): "vda", (Disk, "vda"): "vda", (Nic, "net0"): "52:54:00:00:00:01"}


def device(uuid: str, row: type[Row], alias: str) -> str | None:
    """The own key of a device of one domain."""
    return DEVICES.get((row, alias)) if uuid == UUID else None


class Case(NamedTuple):
    """What a callback is told, the event that it becomes, and the own key of the device that it is about."""

    name: str
    told: tuple[Any, ...]
    event: Event
    device: str | None = None


END = {"node": "192.0.2.1", "service": "5900", "family": 0}
JOB = {
    "operation": 5, "time_elapsed": 1200, "downtime": 30, "data_total": 900, "data_processed": 800, "success": True,
    "errmsg": "",
}  # fmt: skip

CASES = (
    Case("REBOOT", (), on.DomainRebooted()),
    Case("RTC_CHANGE", (-3600,), on.DomainClockChanged(offset=-3600)),
    Case("WATCHDOG", (2,), on.WatchdogFired(action=on.WatchdogAction.RESET)),
    Case(
        "GRAPHICS",
        (0, END, {"node": "::1", "service": "40000"}, "sasl", [("x509dname", "CN=a"), ("saslUsername", "b")]),
        on.GraphicsSession(
            phase=on.GraphicsPhase.CONNECTED, local="192.0.2.1:5900", remote="::1:40000", scheme="sasl",
            identity="x509dname=CN=a, saslUsername=b",
        ),
    ),
    Case(
        "GRAPHICS", (2, {"node": "", "service": "/run/vnc", "family": 2}, {"node": "", "service": ""}, "none", []),
        on.GraphicsSession(phase=on.GraphicsPhase.DISCONNECTED, local="/run/vnc", scheme="none"),
    ),
    Case("CONTROL_ERROR", (), on.DomainControlLost()),
    Case("PMWAKEUP", (0,), on.DomainWokenUp()),
    Case("PMSUSPEND", (0,), on.DomainSlept()),
    Case("PMSUSPEND_DISK", (0,), on.DomainHibernated()),
    Case("BALLOON_CHANGE", (524288,), on.BalloonChanged(memory=524288)),
    Case("DEVICE_ADDED", ("usb1",), on.DeviceAdded(device="usb1")),
    Case("DEVICE_REMOVED", ("usb1",), on.DeviceRemoved(device="usb1")),
    Case("DEVICE_REMOVAL_FAILED", ("dimm0",), on.DeviceRemovalFailed(device="dimm0")),
    Case("MIGRATION_ITERATION", (3,), on.MigrationPass(iteration=3)),
    Case(
        "JOB_COMPLETED", (JOB,),
        on.DomainJobEnded(work=on.JobWork.MIGRATION_OUT, succeeded=True, elapsed=1200, downtime=30, transferred=800),
    ),
    Case(
        "JOB_COMPLETED", ({"operation": 9, "success": False, "disk_processed": 5, "memory_processed": 7, "errmsg": "no space"},),
        on.DomainJobEnded(work=on.JobWork.BACKUP, succeeded=False, transferred=12, error="no space"),
    ),
    Case(
        "TUNABLE", ({"cputune.vcpupin0": "0-1", "blkdeviotune.disk": "vda"},),
        on.DomainTuned(tunables="blkdeviotune.disk=vda\ncputune.vcpupin0=0-1"),
    ),
    Case(
        "AGENT_LIFECYCLE", (1, 2),
        on.GuestAgentChanged(agent=on.AgentState.CONNECTED, reason=on.AgentStateReason.CHANNEL),
    ),
    Case(
        "METADATA_CHANGE", (2, "http://acme.example/x"),
        on.DomainNoted(what=on.DomainMetadata.ELEMENT, namespace="http://acme.example/x"),
    ),
    Case(
        "MEMORY_FAILURE", (1, 3, 3),
        on.MemoryFailed(
            recipient=on.MemoryFailureRecipient.GUEST, action=on.MemoryFailureAction.RESET, required=True, recursive=True
        ),
    ),
    Case("MEMORY_DEVICE_SIZE_CHANGE", ("virtiomem0", 2048), on.MemoryDeviceResized(device="virtiomem0", size=2048)),
    Case("VCPU_REMOVED", (3,), on.VcpuRemoved(vcpu=3)),
    Case("CHANNEL_LIFECYCLE", ("org.acme.0", 1, 0), on.ChannelChanged(channel="org.acme.0", connected=True)),
    Case("CHANNEL_LIFECYCLE", ("org.acme.0", 2, 0), on.ChannelChanged(channel="org.acme.0", connected=False)),
    Case(
        "IO_ERROR_REASON", ("/a.img", "virtio-disk0", 1, "enospc"),
        on.DiskIoFailed(action=on.IoErrorAction.PAUSE, reason="enospc", image="/a.img", device="virtio-disk0"), "vda",
    ),
    Case(
        "DISK_CHANGE", ("/a.iso", None, "virtio-disk0", 0),
        on.DiskImageChanged(old_image="/a.iso", reason=on.DiskChangeReason.CHANGE_MISSING, device="virtio-disk0"), "vda",
    ),
    Case(
        "TRAY_CHANGE", ("virtio-disk0", 1), on.DiskTrayChanged(tray=on.TrayState.CLOSED, device="virtio-disk0"), "vda"
    ),
    Case(
        "BLOCK_JOB_2", ("vda", 2, 3),
        on.BlockJobChanged(job=BlockJobType.COPY, outcome=on.BlockJobOutcome.READY), "vda",
    ),
    Case(
        "BLOCK_THRESHOLD", ("vda[2]", None, 4096, 512),
        on.ThresholdReached(threshold=4096, excess=512, device="vda[2]"), "vda",
    ),
    Case(
        "NIC_MAC_CHANGE", ("net0", "52:54:00:00:00:01", "52:54:00:00:00:02"),
        on.NicMacChanged(old_mac="52:54:00:00:00:01", new_mac="52:54:00:00:00:02", alias="net0"), "52:54:00:00:00:01",
    ),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_libvirt_tells_becomes_an_event_of_the_model(case: Case) -> None:
    key = (UUID,) if case.device is None else (UUID, case.device)
    assert made(case.name, UUID, case.told, device) == Happened(event=case.event, key=key)


def test_every_entry_of_the_tables_is_made_here() -> None:
    assert {case.name for case in CASES} == {*events._OF_DOMAIN, *events._OF_DEVICE}


def test_every_event_that_this_libvirt_can_raise_is_listened_to_or_another_tells_the_same() -> None:
    raised = {name.removeprefix(PREFIX) for name in dir(libvirt) if name.startswith(PREFIX)} - {"LAST"}
    listened = {"LIFECYCLE", *events._OF_DOMAIN, *events._OF_DEVICE}
    assert raised <= listened | set(SUPERSEDED)
    assert not listened & set(SUPERSEDED)


def test_every_event_of_the_model_that_libvirt_names_is_made() -> None:
    domain_events = {e for e in MODEL.events if e.libvirt and e.libvirt.startswith(PREFIX)}
    assert domain_events == {type(case.event) for case in CASES}
    assert {f"{PREFIX}{case.name}" for case in CASES} == {e.libvirt for e in domain_events}


def test_what_cannot_be_raised_here_is_made_here() -> None:
    here = {type(case.event) for case in CASES} | {e for e, _ in NODE_DEVICES} | {NodeDeviceUpdated}
    elsewhere = {"NetworkNoted"}  # tests/contract/test_networks.py
    assert {event.__name__ for event in BEYOND_REACH.keys() - here} == elsewhere


# Odd values


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_numbers_of_a_newer_libvirt_are_no_error(case: Case) -> None:
    """A number that an enumeration does not have is not known; everything else is told."""
    told = tuple(UNKNOWN if type(each) is int else each for each in case.told)
    happened = made(case.name, UUID, told, device)
    for spec in type(happened.event).fields:
        value = happened.event.values[spec.position]
        assert value is None or fits(spec.semantic, value) is None, (spec.name, value)
        if spec.enumeration is not None and isinstance(value, Enumeration):
            assert value == case.event.values[spec.position]


TEXTS = {
    "long": "x" * 100_000,
    "wide": "\U0001f600" * 50_000,
    "control": "\x1b[31mred\x07\x00\n\r\t",
    "surrogate": "half \ud800",
    "empty": "",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_texts_that_mean_harm_fit_the_model(case: Case, text: str) -> None:
    """Also in the parts of what has parts: each text is no longer than its type allows, and can be written in UTF-8."""
    happened = made(case.name, UUID, tuple(_with(each, text) for each in case.told), device)
    for spec in type(happened.event).fields:
        value = happened.event.values[spec.position]
        if spec.enumeration is None and isinstance(value, str):
            value.encode()
            assert 0 < len(value.encode()) <= 16 * events.LONGEST
            canonical(value)
        assert value is None or fits(spec.semantic, value) is None, (spec.name, value)
    assert all(isinstance(part, str) and part for part in happened.key)


def _with(told: Any, text: str) -> Any:
    match told:
        case str():
            return text
        case dict():
            return {name: _with(each, text) for name, each in told.items()}
        case list():
            return [(_with(kind, text), _with(name, text)) for kind, name in told]
        case _:
            return told


NAMELESS = frozenset({"RTC_CHANGE", "MEMORY_FAILURE", "TUNABLE", "JOB_COMPLETED"})
"""Events of which libvirt always tells numbers, or something with parts."""


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in NAMELESS], ids=lambda case: case.name)
def test_nothing_at_all_is_not_known(case: Case) -> None:
    happened = made(case.name, UUID, (None,) * len(case.told), device)
    told = [v for f, v in zip(type(happened.event).fields, happened.event.values, strict=True) if v is not None]
    assert told in ([], [False])  # a channel that is not connected
    assert happened.key == ((UUID, "-") if case.device else (UUID,))


def test_a_clock_that_is_out_of_its_mind_is_bounded() -> None:
    for offset in (2**62, -(2**62)):
        happened = made("RTC_CHANGE", UUID, (offset,), device)
        assert isinstance(happened.event, on.DomainClockChanged)
        assert abs(happened.event.offset or 0) >= 2**31 - 1
        assert abs(happened.event.offset or 0) <= 2**31


@pytest.mark.parametrize(
    "told", [{}, {"operation": UNKNOWN}, {"time_elapsed": -1, "downtime": 2**70, "memory_processed": None}]
)
def test_a_job_of_which_little_is_told(told: Mapping[str, Any]) -> None:
    event = made("JOB_COMPLETED", UUID, (told,), device).event
    assert isinstance(event, on.DomainJobEnded)
    assert (event.work, event.succeeded, event.elapsed, event.transferred, event.error) == (None,) * 5
    assert event.downtime in (None, 2**32 - 1)


def test_a_device_that_is_not_known_stands_for_itself() -> None:
    assert made("TRAY_CHANGE", UUID, ("ide0-1-0", 0), device).key == (UUID, "ide0-1-0")
    assert made("BLOCK_THRESHOLD", UUID, ("vdz[7]", "/a", 1, 1), device).key == (UUID, "vdz")
    assert made("TRAY_CHANGE", UUID, ("y" * 1000, 0), device).key == (UUID, "y" * 255)


# Lifecycle


def test_every_lifecycle_event_and_detail_of_this_libvirt_is_known() -> None:
    assert set(LIFECYCLE.values()) == {e for e in MODEL.events if issubclass(e, DomainLifecycle)}
    for number, event in LIFECYCLE.items():
        group = f"{event.libvirt}_"
        details = {getattr(libvirt, n) for n in dir(libvirt) if n.startswith(group) and not n.endswith("LAST")}
        assert details, group
        for detail in details:
            happened = lifecycle(UUID, number, detail)
            assert isinstance(happened, Happened)
            assert isinstance(happened.event, event)
            assert isinstance(happened.event.detail, LifecycleDetail), (group, detail)
            assert int(happened.event.detail) // 100 == number + 1


def test_a_lifecycle_of_a_newer_libvirt_is_a_change_or_has_no_detail() -> None:
    assert lifecycle(UUID, UNKNOWN, 0) == Changed(root=(Domain, (UUID,)))
    started = libvirt.VIR_DOMAIN_EVENT_STARTED
    assert lifecycle(UUID, started, UNKNOWN) == Happened(event=DomainStarted(), key=(UUID,))
    assert not any(issubclass(e, DomainFound) for e in LIFECYCLE.values())


# Registering


class Callbacks:
    """A connection that remembers who wants to be told of what; of `lacking` numbers it knows nothing."""

    def __init__(self, lacking: frozenset[int] = frozenset()) -> None:
        self.lacking = lacking
        self.told: dict[int, tuple[Callable[..., None], Any]] = {}

    def domainEventRegisterAny(self, domain: None, number: int, callback: Callable[..., None], opaque: Any) -> int:
        assert domain is None
        if number in self.lacking:
            raise libvirt.libvirtError("unsupported event ID")
        self.told[number] = callback, opaque
        return number

    nodeDeviceEventRegisterAny = domainEventRegisterAny

    def raised(self, number: int, what: Any, *told: Any) -> None:
        callback, opaque = self.told[number]
        callback(self, what, *told, opaque)


class Named:
    """An object of libvirt's, as far as callbacks look at it."""

    def UUIDString(self) -> str:
        return UUID

    def name(self) -> str:
        return "mdev_1"


def listening(virt: Callbacks) -> tuple[bool, list[Heard], list[str]]:
    """Whether lifecycle events are told, and what is heard and read again."""
    heard: list[Heard] = []
    redefined: list[str] = []
    calls = Calls(virt, name="here", lost=lambda: None, used=LibvirtDriver("here", "test:///default").called)
    return register(calls, heard.append, redefined.append, device), heard, redefined


def number(name: str) -> int | None:
    found: int | None = getattr(libvirt, f"{PREFIX}{name}", None)
    return found


def test_everything_that_is_told_is_heard() -> None:
    virt = Callbacks()
    listens, heard, redefined = listening(virt)
    assert listens
    here = [case for case in CASES if number(case.name) is not None]
    assert set(virt.told) == {number("LIFECYCLE"), *(number(case.name) for case in here)}
    for case in here:
        virt.raised(number(case.name) or 0, Named(), *case.told)
    assert [each.event for each in heard if isinstance(each, Happened)] == [case.event for case in here]
    assert len(redefined) == sum(case.name in events._DEFINITION for case in here)


def test_a_pause_is_no_new_definition_and_a_start_is_one() -> None:
    virt = Callbacks()
    _, heard, redefined = listening(virt)
    life = number("LIFECYCLE") or 0
    virt.raised(life, Named(), libvirt.VIR_DOMAIN_EVENT_SUSPENDED, libvirt.VIR_DOMAIN_EVENT_SUSPENDED_PAUSED)
    assert redefined == []
    virt.raised(life, Named(), libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_BOOTED)
    assert redefined == [UUID]
    assert len(heard) == 2


def test_a_kind_that_a_daemon_lacks_costs_only_itself() -> None:
    lacking = frozenset({number("WATCHDOG") or 0, number("TUNABLE") or 0})
    virt = Callbacks(lacking)
    listens, heard, _ = listening(virt)
    assert listens
    assert not lacking & virt.told.keys()
    virt.raised(number("REBOOT") or 0, Named())
    assert len(heard) == 1
    assert not listening(Callbacks(frozenset({number("LIFECYCLE") or 0})))[0]


@pytest.mark.parametrize("name", ["RTC_CHANGE", "TUNABLE", "JOB_COMPLETED", "TRAY_CHANGE", "GRAPHICS", "WATCHDOG"])
@pytest.mark.parametrize("told", [(), (None,), ("no", "sense", "at", "all", "of", "it"), (object(),)])
def test_what_is_not_understood_is_a_change_and_ends_nothing(
    name: str, told: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    virt = Callbacks()
    _, heard, _ = listening(virt)
    virt.raised(number(name) or 0, Named(), *told)
    (what,) = heard
    if isinstance(what, Changed):
        assert what.root == (Domain, (UUID,))
        assert f"what event {name} tells is not understood" in caplog.text
    else:
        assert isinstance(what, Happened)
        assert all(v in (None, 0) for v in what.event.values) or name == "TRAY_CHANGE"


# Devices of a host

NODE_DEVICES: tuple[tuple[type[Event], str], ...] = (
    (NodeDeviceCreated, "CREATED"), (NodeDeviceDeleted, "DELETED"), (NodeDeviceDefined, "DEFINED"),
    (NodeDeviceUndefined, "UNDEFINED"),
)  # fmt: skip


def test_what_becomes_of_devices_of_a_host_is_heard() -> None:
    virt, heard = Callbacks(), list[Heard]()
    calls = Calls(virt, name="here", lost=lambda: None, used=LibvirtDriver("here", "test:///default").called)
    next(kind for kind in KINDS if kind.row is NodeDevice).listen(calls, heard.append)
    life = libvirt.VIR_NODE_DEVICE_EVENT_ID_LIFECYCLE
    for _, name in NODE_DEVICES:
        virt.raised(life, Named(), getattr(libvirt, f"VIR_NODE_DEVICE_EVENT_{name}"), 0)
    virt.raised(libvirt.VIR_NODE_DEVICE_EVENT_ID_UPDATE, Named())
    virt.raised(life, Named(), UNKNOWN, 0)
    key = ("mdev_1",)
    wanted: list[Heard] = [Happened(event=event(), key=key) for event, _ in NODE_DEVICES]
    assert heard == [*wanted, Happened(event=NodeDeviceUpdated(), key=key), Changed(root=(NodeDevice, key))]
