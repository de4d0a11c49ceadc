"""Devices of the host: what is told of them, and the operations on them.

No test takes a device from the machine that it runs on: what would do that is asked of devices that cannot be taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from agent.driver import Happened
from agent.errors import Invalid, NotFound, NotSupported, VirtmapError
from agent.model import node_device as on
from agent.model.node_device import NodeDevice, NodeDeviceCapability
from agent.schema.declare import Operation
from agent.schema.types import fits
from drivers.libvirt import xml
from drivers.libvirt.kinds.node_device import _capabilities, described
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, connected
from tests.recorder import functions_of
from tests.servers import Session, eventually

LOOPBACK = "net_lo_00_00_00_00_00_00"
VIRTUAL_PORT = (
    "<device><parent>scsi_host1</parent><capability type='scsi_host'><capability type='fc_host'>"
    "<wwnn>2000000012341234</wwnn><wwpn>1000000012341234</wwpn></capability></capability></device>"
)


class Hardware:
    """A hypervisor whose host has devices."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.driver: Any = subject.driver

    def do(self, operation: Operation, *key: Any) -> Mapping[str, Any]:
        return self.subject.perform(operation, key or (self.driver.name,))

    def refused(self, operation: Operation, *key: Any) -> VirtmapError:
        """The error. As a new one: a cycle of references to libvirt's objects, once it is collected, spoils later errors."""
        try:
            self.do(operation, *key)
        except VirtmapError as error:
            return type(error)(str(error))
        raise AssertionError(f"{operation} was not refused")

    def everything(self) -> tuple[dict[str, NodeDevice], list[NodeDeviceCapability]]:
        self.driver._memory.due(NodeDevice)
        reading = self.subject.read()
        assert not [root for root in reading.failed if root[0] is NodeDevice]
        return {row.name: row for row in reading.of(NodeDevice)}, reading.of(NodeDeviceCapability)

    def row(self, name: str) -> NodeDevice | None:
        return next(iter(self.subject.read([(NodeDevice, (name,))]).of(NodeDevice)), None)

    def happened(self, event: type[Any], name: str) -> None:
        self.subject.next_heard(lambda h: isinstance(h, Happened) and type(h.event) is event and h.key == (name,))


@pytest.fixture(scope="module")
def mock() -> Iterator[Hardware]:
    with connected(mock_subject("test:///default")) as subject:
        yield Hardware(subject)


@pytest.fixture(scope="module")
def real(session_libvirtd: Session) -> Iterator[Hardware]:
    """The devices of this machine, as an account sees them that may not change any."""
    with connected(qemu_subject(session_libvirtd)) as subject:
        yield Hardware(subject)


def test_every_device_is_behind_another_up_to_the_machine(mock: Hardware) -> None:
    rows, capabilities = mock.everything()
    assert {name: row.parent for name, row in rows.items()} == {
        "computer": None, "scsi_host1": "computer", "scsi_host2": "computer", "scsi_host11": "scsi_host1",
    }  # fmt: skip
    assert (rows["scsi_host1"].type, rows["scsi_host1"].wwpn) == ("scsi_host", "1000000012341234")
    assert (rows["computer"].vendor, rows["computer"].firmware_date) == ("Libvirt", "01/22/2007")
    assert [row.name for row in capabilities if row.device == "scsi_host2"] == ["scsi_host", "fc_host", "vport_ops"]


def test_a_virtual_port_is_made_and_destroyed(mock: Hardware) -> None:
    name = str(mock.do(on.CreateNodeDevice(xml=VIRTUAL_PORT))["name"])
    mock.happened(on.NodeDeviceCreated, name)
    row = mock.row(name)
    assert row is not None
    assert (row.parent, row.active, row.host) == ("scsi_host1", True, mock.driver.name)
    assert f"<name>{name}</name>" in mock.do(on.ReadNodeDeviceXml(), name)["xml"]
    mock.do(on.DestroyNodeDevice(), name)
    mock.happened(on.NodeDeviceDeleted, name)
    assert mock.row(name) is None
    assert name not in mock.everything()[0]


def test_what_the_test_driver_cannot_is_said(mock: Hardware) -> None:
    lacking: tuple[Operation, ...] = (
        on.DetachNodeDevice(), on.ReattachNodeDevice(), on.ResetNodeDevice(), on.StartNodeDevice(),
        on.UndefineNodeDevice(), on.SetNodeDeviceAutostart(autostart=True),
    )  # fmt: skip
    for operation in lacking:
        assert isinstance(mock.refused(operation, "scsi_host1"), NotSupported), operation
    assert isinstance(mock.refused(on.DefineNodeDevice(xml="<device/>")), NotSupported)


def test_what_is_wrong_is_refused_with_the_reason(mock: Hardware) -> None:
    missing = mock.refused(on.DestroyNodeDevice(), "pci_nowhere")
    assert isinstance(missing, NotFound)
    assert str(missing).startswith("node device pci_nowhere: cannot destroy node device: ")
    assert isinstance(mock.refused(on.CreateNodeDevice(xml="<device")), Invalid)


def test_the_devices_of_this_machine_are_told(real: Hardware) -> None:
    rows, capabilities = real.everything()
    if LOOPBACK not in rows:
        pytest.skip("libvirt has no node device driver here, or it tells nothing")
    assert {row.parent for row in rows.values()} - {None} <= set(rows)
    assert (rows[LOOPBACK].type, rows[LOOPBACK].interface) == ("net", "lo")
    assert rows[LOOPBACK].mac == "00:00:00:00:00:00"
    assert {row.device for row in capabilities} == set(rows)
    assert (rows[LOOPBACK].active, rows[LOOPBACK].persistent, rows[LOOPBACK].autostart) == (True, False, False)
    wrong = [
        f"{row.name}.{field.name}: {problem}"
        for row in rows.values()
        for field in row.fields
        if (value := row.values[field.position]) is not None
        and field.enumeration is None
        and (problem := fits(field.semantic, value))
    ]
    assert wrong == []


def test_a_device_is_described_once_until_something_changes(real: Hardware) -> None:
    rows, _ = real.everything()
    before = dict(real.driver.called)
    again, _ = real.everything()
    assert again == rows
    calls = {name: count - before.get(name, 0) for name, count in real.driver.called.items() if "NodeDevice" in name}
    assert {name for name, count in calls.items() if count} == set()


def test_what_cannot_be_taken_from_the_host_is_refused(real: Hardware) -> None:
    if real.row(LOOPBACK) is None:
        pytest.skip("libvirt has no node device driver here, or it tells nothing")
    for operation in (on.DetachNodeDevice(driver="vfio"), on.ReattachNodeDevice(), on.ResetNodeDevice()):
        error = real.refused(operation, LOOPBACK)
        assert str(error).startswith(f"node device {LOOPBACK}: cannot {operation.verb()}: ")
        assert "PCI" in str(error) or "VFIO" in str(error)
    for other in (on.StartNodeDevice(), on.UndefineNodeDevice(), on.DestroyNodeDevice()):
        assert not isinstance(real.refused(other, LOOPBACK), NotFound)
    assert real.refused(on.SetNodeDeviceAutostart(autostart=True), LOOPBACK)
    define = on.DefineNodeDevice(
        xml="<device><parent>computer</parent><capability type='mdev'><type id='x'/></capability></device>"
    )
    assert "computer" in str(real.refused(define))
    assert real.refused(on.CreateNodeDevice(xml="<device><parent>computer</parent></device>"))


def test_what_only_newer_libvirt_has_is_said(mock: Hardware) -> None:
    import libvirt

    if hasattr(libvirt.virNodeDevice, "update"):
        pytest.skip("this libvirt is newer")
    error = mock.refused(on.UpdateNodeDevice(xml="<device/>"), "computer")
    assert isinstance(error, NotSupported)
    assert str(error) == "node device computer: cannot update node device: needs libvirt 10.1"
    flagged = on.ReadNodeDeviceXml(flags=on.NodeDeviceXmlFlags.INACTIVE)
    assert isinstance(mock.refused(flagged, "computer"), NotSupported)


def test_events_of_devices_end_with_the_connection(session_libvirtd: Session) -> None:
    subject = qemu_subject(session_libvirtd)
    with connected(subject):
        driver: Any = subject.driver
        virt = driver.connection.current().virt
        assert len(virt.nodeDeviceEventCallbackID) == 2
    eventually(lambda: not virt.nodeDeviceEventCallbackID, what="the end of the callbacks")


def test_every_function_was_called(mock: Hardware, real: Hardware) -> None:
    both = {
        "virConnectListAllNodeDevices", "virNodeDeviceCreateXML", "virNodeDeviceDestroy", "virNodeDeviceGetParent",
        "virNodeDeviceGetXMLDesc", "virNodeDeviceListCaps", "virNodeDeviceNumOfCaps", "virConnectNodeDeviceEventRegisterAny",
    }  # fmt: skip
    assert both - functions_of(mock.driver.called) == set()
    if real.row(LOOPBACK) is None:
        pytest.skip("libvirt has no node device driver here, or it tells nothing")
    qemu = both | {
        "virNodeDeviceCreate", "virNodeDeviceDefineXML", "virNodeDeviceDetachFlags", "virNodeDeviceGetAutostart",
        "virNodeDeviceIsActive", "virNodeDeviceIsPersistent", "virNodeDeviceReAttach", "virNodeDeviceReset",
        "virNodeDeviceSetAutostart", "virNodeDeviceUndefine",
    }  # fmt: skip
    assert qemu - functions_of(real.driver.called) == set()


# --- descriptions of hardware that this machine lacks


def columns(text: str) -> dict[str, Any]:
    return {name: value for name, value in described(xml.parse(text)).items() if value is not None}


def test_a_pci_function_with_virtual_ones() -> None:
    root = (
        "<device><name>pci_0000_41_00_0</name><path>/sys/x</path><driver><name>ixgbe</name></driver><capability type='pci'>"
        "<class>0x020000</class><domain>0</domain><bus>65</bus><slot>0</slot><function>1</function>"
        "<product id='0x1528'>X540</product><vendor id='0x8086'>Intel</vendor>"
        "<capability type='virt_functions' maxCount='63'><address domain='0x0000' bus='0x41' slot='0x10' function='0x0'/>"
        "</capability><capability type='phys_function'><address domain='0x0000' bus='0x40' slot='0x1f' function='0x7'/>"
        "</capability><iommuGroup number='17'><address domain='0' bus='65' slot='0' function='1'/></iommuGroup>"
        "<numa node='1'/><pci-express><link validity='cap' port='0' speed='8' width='16'/>"
        "<link validity='sta' speed='2.5' width='4'/></pci-express></capability></device>"
    )
    assert columns(root) == {
        "type": "pci", "path": "/sys/x", "driver": "ixgbe", "device_class": "0x020000", "address": "0000:41:00.1",
        "vendor": "Intel", "vendor_id": "0x8086", "product": "X540", "product_id": "0x1528", "iommu_group": 17,
        "numa_node": 1, "physical_function": "0000:40:1f.7", "link_speed": "2.5", "link_width": 4, "link_max_speed": "8",
        "link_max_width": 16,
    }  # fmt: skip
    rows = {row.values[1]: row for row in _capabilities("it", xml.parse(root), ("pci", "vports"))}
    assert sorted(rows) == ["pci", "phys_function", "virt_functions", "vport_ops"]
    assert (rows["virt_functions"].values[4], rows["virt_functions"].values[5]) == (63, 1)


def test_types_of_mediated_devices_are_capabilities() -> None:
    root = xml.parse(
        "<device><name>pci_1</name><capability type='pci'><capability type='mdev_types'><type id='nvidia-11'>"
        "<name>GRID M60-0B</name><deviceAPI>vfio-pci</deviceAPI><availableInstances>16</availableInstances></type>"
        "</capability></capability></device>"
    )
    (row,) = (r for r in _capabilities("pci_1", root, ()) if isinstance(r, NodeDeviceCapability) and "/" in r.name)
    assert (row.name, row.title, row.device_api, row.available) == (
        "mdev_types/nvidia-11", "GRID M60-0B", "vfio-pci", 16,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("inside", "wanted"),
    [
        (
            "<capability type='mdev'><type id='i915-V4'/><uuid>d069d019-36ea-4111-8f0a-8c9a70e21366</uuid>"
            "<parent_addr>0000:00:02.0</parent_addr><iommuGroup number='4'/><attr name='a' value='1'/>"
            "<attr name='b' value='2'/></capability>",
            {
                "type": "mdev", "mdev_type": "i915-V4", "uuid": "d069d019-36ea-4111-8f0a-8c9a70e21366", "iommu_group": 4,
                "address": "0000:00:02.0", "mdev_attributes": "a=1\nb=2",
            },
        ),
        (
            "<capability type='usb_device'><bus>1</bus><device>7</device><product id='0x1'>Key</product>"
            "<vendor id='0x2'>Maker</vendor></capability>",
            {
                "type": "usb_device", "address": "001:007", "product": "Key", "product_id": "0x1", "vendor": "Maker",
                "vendor_id": "0x2",
            },
        ),
        (
            "<capability type='usb'><number>0</number><class>3</class><subclass>1</subclass><protocol>2</protocol>"
            "<description>Mouse</description></capability>",
            {"type": "usb", "device_class": "3/1/2", "product": "Mouse", "address": "0"},
        ),
        (
            "<devnode type='dev'>/dev/sr0</devnode><devnode type='link'>/dev/cdrom</devnode><devnode type='link'>/dev/dvd</devnode>"
            "<capability type='storage'><block>/dev/sr0</block><bus>ata</bus><drive_type>cdrom</drive_type><model>DVD</model>"
            "<vendor>Maker</vendor><serial>S1</serial><capability type='removable'><media_available>1</media_available>"
            "<media_size>4096</media_size><media_label>INSTALL</media_label></capability></capability>",
            {
                "type": "storage", "device_file": "/dev/sr0", "device_links": "/dev/cdrom\n/dev/dvd", "bus": "ata",
                "drive_type": "cdrom", "product": "DVD", "vendor": "Maker", "serial": "S1", "removable": True,
                "media_available": True, "size": 4096, "media_label": "INSTALL",
            },
        ),
        (
            "<capability type='scsi'><host>1</host><bus>0</bus><target>2</target><lun>3</lun><type>disk</type></capability>",
            {"type": "scsi", "scsi_host": 1, "scsi_type": "disk", "address": "1:0:2:3"},
        ),
        (
            "<capability type='scsi_target'><target>target1:0:0</target><capability type='fc_remote_port'><rport>rport-0</rport>"
            "<wwpn>0x9d73bc45f0e21a86</wwpn></capability></capability>",
            {"type": "scsi_target", "scsi_target": "target1:0:0", "wwpn": "0x9d73bc45f0e21a86"},
        ),
        (
            "<capability type='net'><interface>ib0</interface><address>80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9</address>"
            "<link speed='4294967295' state='up'/><feature name='rx'/><feature name='tx'/></capability>",
            {"type": "net", "interface": "ib0", "net_state": "up", "net_features": "rx tx"},
        ),
        (
            "<capability type='ccw'><cssid>0xfe</cssid><ssid>0x0</ssid><devno>0x0002</devno></capability>",
            {"type": "ccw", "address": "fe.0.0002"},
        ),
        (
            "<capability type='ap_queue'><ap-adapter>0x01</ap-adapter><ap-domain>0x002e</ap-domain></capability>",
            {"type": "ap_queue", "address": "0x01.0x002e"},
        ),
        (
            "<capability type='vdpa'><chardev>/dev/vhost-vdpa-0</chardev></capability>",
            {"type": "vdpa", "device_file": "/dev/vhost-vdpa-0"},
        ),
        ("<capability type='drm'><type>render</type></capability>", {"type": "drm"}),
        ("<capability type='what-comes-next'><x/></capability>", {"type": "what-comes-next"}),
        ("", {}),
    ],
    ids=lambda v: str(v.get("type", "bare")) if isinstance(v, dict) else "",
)  # fmt: skip
def test_other_devices(inside: str, wanted: Mapping[str, Any]) -> None:
    assert columns(f"<device><name>it</name>{inside}</device>") == wanted
