"""Devices come, change and go by libvirt's XML and by their alias, in the running domain and in its definition."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.errors import Failed, Invalid, NotFound, NotSupported
from agent.model import Disk, Nic
from agent.model.domain import Destroy, DomainState, ModificationImpact, Start
from agent.model.domain_devices import AttachDevice, DetachDevice, DetachDeviceAlias, UpdateDevice
from agent.model.nic import LinkState
from agent.schema.declare import Operation
from drivers.libvirt import LibvirtDriver
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, Wanted, connected
from tests.servers import Session, eventually

MAC = "52:54:00:11:22:33"
CARD = f"<interface type='user'><mac address='{MAC}'/><model type='virtio'/></interface>"
BOTH = ModificationImpact.LIVE | ModificationImpact.CONFIG


@pytest.fixture(scope="module")
def qemu(session_libvirtd: Session) -> Iterator[Subject]:
    session_libvirtd.start()
    with connected(qemu_subject(session_libvirtd)) as made:
        yield made


@pytest.fixture
def guest(qemu: Subject) -> Iterator[Wanted]:
    """A guest that does not run."""
    made = qemu.define(macs=("52:54:00:11:00:01",))
    yield made
    if qemu.domain(made).state is not DomainState.SHUT_OFF:
        qemu.do(Destroy(), made)


@pytest.fixture
def running(qemu: Subject, guest: Wanted) -> Wanted:
    qemu.do(Start(), guest)
    return guest


def macs(subject: Subject, guest: Wanted) -> list[str | None]:
    return [row.mac for row in subject.parts(Nic, guest)]


def targets(subject: Subject, guest: Wanted) -> list[str]:
    return [row.target for row in subject.parts(Disk, guest)]


def called(subject: Subject, *names: str) -> bool:
    driver = subject.driver
    assert isinstance(driver, LibvirtDriver)
    return all(driver.called[name] for name in names)


def test_a_device_of_a_domain_that_does_not_run_goes_into_and_out_of_its_definition(
    qemu: Subject, guest: Wanted
) -> None:
    qemu.do(AttachDevice(xml=CARD), guest)
    assert macs(qemu, guest) == ["52:54:00:11:00:01", MAC]
    qemu.do(DetachDevice(xml=f"<interface type='user'><mac address='{MAC}'/></interface>"), guest)
    assert macs(qemu, guest) == ["52:54:00:11:00:01"]
    assert called(qemu, "virDomain.attachDeviceFlags", "virDomain.detachDeviceFlags")


def test_the_impact_tells_the_running_domain_from_its_definition(qemu: Subject, running: Wanted) -> None:
    qemu.do(AttachDevice(xml=CARD, impact=ModificationImpact.CONFIG), running)
    assert MAC not in macs(qemu, running)
    qemu.do(AttachDevice(xml=CARD, impact=ModificationImpact.LIVE), running)
    assert MAC in macs(qemu, running)
    qemu.do(DetachDevice(xml=CARD, impact=ModificationImpact.CONFIG), running)
    qemu.do(Destroy(), running)
    assert MAC not in macs(qemu, running)


def test_a_disk_is_plugged_into_a_running_domain_and_unplugged_by_its_alias(
    qemu: Subject, session_libvirtd: Session, running: Wanted
) -> None:
    image = session_libvirtd.image(f"{running.name}-stick", size=4)
    stick = (
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{image}'/>"
        "<target dev='sda' bus='usb'/><alias name='ua-stick'/></disk>"
    )
    qemu.do(AttachDevice(xml=stick, impact=BOTH), running)
    assert targets(qemu, running) == ["vda", "vdb", "sda"]
    assert [row.alias for row in qemu.parts(Disk, running)][-1] == "ua-stick"
    qemu.do(DetachDeviceAlias(alias="ua-stick", impact=BOTH), running)
    eventually(lambda: targets(qemu, running) == ["vda", "vdb"], what="the end of the disk")
    assert called(qemu, "virDomain.detachDeviceAlias")


def test_a_medium_is_changed_and_a_link_is_cut(qemu: Subject, session_libvirtd: Session, guest: Wanted) -> None:
    drive = "<disk type='file' device='cdrom'><target dev='hda' bus='ide'/><readonly/></disk>"
    qemu.do(AttachDevice(xml=drive), guest)
    qemu.do(Start(), guest)
    image = session_libvirtd.image(f"{guest.name}-medium", size=4, kind="raw")
    loaded = drive.replace("<target", f"<driver name='qemu' type='raw'/><source file='{image}'/><target")

    def put_in(xml: str) -> bool:
        """QEMU may have closed the tray already that libvirt has just opened, while the firmware looks into it."""
        try:
            qemu.do(UpdateDevice(xml=xml, force=True), guest)
        except Failed:
            return False
        return True

    eventually(lambda: put_in(loaded), within=30, what="the medium")
    assert {row.target: row.source for row in qemu.parts(Disk, guest)}["hda"] == str(image)
    eventually(lambda: put_in(drive), within=30, what="the empty drive")
    assert {row.target: row.source for row in qemu.parts(Disk, guest)}["hda"] is None
    (card,) = qemu.parts(Nic, guest)
    assert card.mac is not None
    down = CARD.replace(MAC, card.mac).replace("<model", "<link state='down'/><model")
    qemu.do(UpdateDevice(xml=down), guest)
    assert [row.link_state for row in qemu.parts(Nic, guest)] == [LinkState.DOWN]
    assert called(qemu, "virDomain.updateDeviceFlags")


@pytest.mark.parametrize(
    ("operation", "error", "text"),
    [
        (AttachDevice(xml="<disk"), Invalid, "cannot attach device: .*Couldn't find end of Start Tag"),
        (AttachDevice(xml="<nonsense/>"), NotSupported, "cannot attach device: .*nonsense"),
        (DetachDevice(xml=CARD), NotFound, "cannot detach device: device not found: .*"),
        (DetachDeviceAlias(alias="none"), Failed, "cannot detach device alias: .*none"),
        (UpdateDevice(xml=CARD), NotFound, "cannot update device: device not found: .*"),
    ],
    ids=["broken", "unknown", "missing", "no such alias", "nothing to update"],
)
def test_a_refusal_tells_why(
    qemu: Subject, running: Wanted, operation: Operation, error: type[Exception], text: str
) -> None:
    before = (macs(qemu, running), targets(qemu, running))
    with pytest.raises(error, match=f"domain {running.name}: {text}"):
        qemu.do(operation, running)
    assert (macs(qemu, running), targets(qemu, running)) == before


def test_a_hypervisor_without_such_functions_says_so() -> None:
    with connected(mock_subject("test:///default")) as mock:
        guest = mock.define()
        for operation in (
            AttachDevice(xml=CARD),
            DetachDevice(xml=CARD),
            UpdateDevice(xml=CARD),
            DetachDeviceAlias(alias="net0"),
        ):
            with pytest.raises(NotSupported, match="not supported by the connection driver"):
                mock.do(operation, guest)
