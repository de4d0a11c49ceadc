"""The node device: a piece of the host's hardware, or of what its kernel makes of it."""

from agent.model.element import DEVICE
from agent.model.host import RAM, Host
from agent.model.occurrence import Occurrence
from agent.schema.declare import (
    Access,
    Association,
    Event,
    Operation,
    Row,
    Severity,
    argument,
    column,
    constant,
    key,
    out,
    parent,
    spelled,
    taken,
)
from agent.schema.types import Bytes, Count, Flag, Flags, Mac, Name, Text, Timestamp, Uuid, Xml

PARENT = Association(
    name="Virtmap_NodeDeviceParent", base="CIM_Dependency", far="Antecedent", near="Dependent",
    description="The device that a device of a host is behind, such as its bus or its controller.",
)  # fmt: skip


class NodeDevice(
    Row, table=60, cim="CIM_LogicalDevice", abbreviation="NodeDev", action=3,
    fills={
        "ElementName": taken("name"),
        "Name": taken("name"),
        "OperationalStatus": taken("active", how=lambda active: (2,) if active else (10,)),
        "HealthState": constant(5),
        "EnabledState": taken("active", how=lambda active: 2 if active else 3),
        "RequestedState": constant(12),
    },
    nulls=DEVICE,
):  # fmt: skip
    """A device of a host, real or made by its kernel, such as a PCI function, a network interface, a disk or a mediated device."""

    name: Name = key(2, "libvirt's name of the device.", api="virNodeDeviceGetName", cim="DeviceID")
    host: Name | None = column(4, "The host that the device is in.", api=("virConnectListAllNodeDevices", "virNodeListDevices", "virNodeNumOfDevices"), ref=Host, association=RAM.association)
    parent: Name | None = column(5, "The device that it is behind.", api="virNodeDeviceGetParent", association=PARENT)
    path: Text | None = column(6, "Where it is in the host's sysfs.", api="virNodeDeviceGetXMLDesc")
    driver: Name | None = column(7, "The driver of the host that it is bound to.", api="virNodeDeviceGetXMLDesc")
    device_file: Text | None = column(8, "Its device file on the host.", api="virNodeDeviceGetXMLDesc")
    device_links: Text | None = column(9, "Links to its device file, one a line.", api="virNodeDeviceGetXMLDesc")
    active: Flag | None = column(10, "Whether it exists now; a mediated device may be defined only.", api="virNodeDeviceIsActive")
    persistent: Flag | None = column(11, "Whether libvirt has a definition of it.", api="virNodeDeviceIsPersistent")
    autostart: Flag | None = column(12, "Whether it is made together with its parent.", api="virNodeDeviceGetAutostart")
    type: Name | None = column(13, "What it is: pci, usb_device, net, storage, scsi_host, mdev and the like.", api="virNodeDeviceGetXMLDesc")
    vendor: Text | None = column(14, "Who made it.", api="virNodeDeviceGetXMLDesc")
    vendor_id: Name | None = column(15, "Number of its maker.", api="virNodeDeviceGetXMLDesc")
    product: Text | None = column(16, "What it is called.", api="virNodeDeviceGetXMLDesc")
    product_id: Name | None = column(17, "Number of the product.", api="virNodeDeviceGetXMLDesc")
    device_class: Name | None = column(18, "Its class on the bus, as a number.", api="virNodeDeviceGetXMLDesc")
    address: Name | None = column(19, "Where it is on its bus, in the bus's own way of writing.", api="virNodeDeviceGetXMLDesc")
    iommu_group: Count | None = column(20, "Devices with the same number can only be given to a guest together.", api="virNodeDeviceGetXMLDesc")
    numa_node: Count | None = column(21, "The NUMA node that it is near to.", api="virNodeDeviceGetXMLDesc")
    physical_function: Name | None = column(22, "Address of the PCI function that this virtual one belongs to.", api="virNodeDeviceGetXMLDesc")
    link_speed: Name | None = column(23, "Speed of its PCI Express link, in GT/s.", api="virNodeDeviceGetXMLDesc")
    link_width: Count | None = column(24, "Lanes of its PCI Express link.", api="virNodeDeviceGetXMLDesc")
    link_max_speed: Name | None = column(25, "Highest speed of its PCI Express link, in GT/s.", api="virNodeDeviceGetXMLDesc")
    link_max_width: Count | None = column(26, "Lanes that its PCI Express link can have.", api="virNodeDeviceGetXMLDesc")
    interface: Name | None = column(30, "Name of the network interface.", api="virNodeDeviceGetXMLDesc")
    mac: Mac | None = column(31, "MAC address of the network interface.", api="virNodeDeviceGetXMLDesc")
    net_state: Name | None = column(32, "Whether the network link is up, as the kernel says it.", api="virNodeDeviceGetXMLDesc")
    net_speed: Count | None = column(33, "Speed of the network link, in Mbit/s.", api="virNodeDeviceGetXMLDesc")
    net_features: Text | None = column(34, "What the network interface does in hardware, separated by spaces.", api="virNodeDeviceGetXMLDesc")
    drive_type: Name | None = column(40, "What kind of drive it is: disk, cdrom, floppy.", api="virNodeDeviceGetXMLDesc")
    bus: Name | None = column(41, "The bus that the drive is on.", api="virNodeDeviceGetXMLDesc")
    serial: Name | None = column(42, "Its serial number.", api="virNodeDeviceGetXMLDesc")
    size: Bytes | None = column(43, "Size of the drive, or of the medium in it.", api="virNodeDeviceGetXMLDesc")
    block_size: Bytes | None = column(44, "Size of a logical block of it.", api="virNodeDeviceGetXMLDesc")
    removable: Flag | None = column(45, "Whether the medium can be taken out.", api="virNodeDeviceGetXMLDesc")
    media_available: Flag | None = column(46, "Whether there is a medium in it.", api="virNodeDeviceGetXMLDesc")
    media_label: Text | None = column(47, "Label of the medium.", api="virNodeDeviceGetXMLDesc")
    scsi_host: Count | None = column(50, "Number of the SCSI host.", api="virNodeDeviceGetXMLDesc")
    scsi_target: Name | None = column(51, "Name of the SCSI target.", api="virNodeDeviceGetXMLDesc")
    scsi_type: Name | None = column(52, "Type of the SCSI unit.", api="virNodeDeviceGetXMLDesc")
    wwnn: Name | None = column(53, "World-wide name of the Fibre Channel node.", api="virNodeDeviceGetXMLDesc")
    wwpn: Name | None = column(54, "World-wide name of the Fibre Channel port.", api="virNodeDeviceGetXMLDesc")
    fabric_wwn: Name | None = column(55, "World-wide name of the Fibre Channel fabric.", api="virNodeDeviceGetXMLDesc")
    mdev_type: Name | None = column(60, "Type of the mediated device.", api="virNodeDeviceGetXMLDesc")
    uuid: Uuid | None = column(61, "UUID of the mediated device, or of the machine.", api="virNodeDeviceGetXMLDesc")
    mdev_attributes: Text | None = column(62, "Attributes of the mediated device in the order they are set, one a line: name=value.", api="virNodeDeviceGetXMLDesc")
    version: Name | None = column(63, "Version of the machine, as its firmware tells it.", api="virNodeDeviceGetXMLDesc")
    firmware_vendor: Name | None = column(64, "Maker of the machine's firmware.", api="virNodeDeviceGetXMLDesc")
    firmware_version: Name | None = column(65, "Version of the machine's firmware.", api="virNodeDeviceGetXMLDesc")
    firmware_date: Name | None = column(66, "When the machine's firmware was released.", api="virNodeDeviceGetXMLDesc")
    refreshed: Timestamp | None = column(90, "When this row was read from the hypervisor.")
    problem: Text | None = column(91, "Why the last attempt to read it failed; empty when it did not.")


class NodeDeviceCapability(
    Row, table=61, of=NodeDevice, cim="CIM_Capabilities", abbreviation="NodeCap",
    association=Association(
        name="Virtmap_CapabilityOfNodeDevice", base="CIM_ElementCapabilities", far="ManagedElement", near="Capabilities",
        description="What a device of a host can do.",
    ),
    fills={
        "InstanceID": spelled("virtmap:nodedev/{0}/{1}", "device", "name"),
        "ElementName": taken("name"),
    },
    nulls={
        "Caption": "ElementName says it already.",
        "Description": "ElementName says it already.",
    },
):  # fmt: skip
    """A capability of a device of a host: what it is, and what can be made of it."""

    device: Name = parent("Name of the device.")
    name: Name = key(2, "Name of the capability. A type of mediated devices is mdev_types/ and the name of the type.", api=("virNodeDeviceListCaps", "virNodeDeviceNumOfCaps"))
    title: Text | None = column(3, "What people call it.", api="virNodeDeviceGetXMLDesc")
    device_api: Name | None = column(4, "How mediated devices of the type are given to guests, such as vfio-pci.", api="virNodeDeviceGetXMLDesc")
    maximum: Count | None = column(5, "How many can be made: virtual functions, virtual ports.", api="virNodeDeviceGetXMLDesc")
    in_use: Count | None = column(6, "How many there are: virtual functions, virtual ports.", api="virNodeDeviceGetXMLDesc")
    available: Count | None = column(7, "How many more can be made: mediated devices of the type.", api="virNodeDeviceGetXMLDesc")


class NodeDeviceDefineFlags(Flags):
    """How the definition of a device is taken."""

    VALIDATE = 1, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_NODE_DEVICE_DEFINE_XML_VALIDATE"


class NodeDeviceCreateFlags(Flags):
    """How the description of a device is taken."""

    VALIDATE = 1, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_NODE_DEVICE_CREATE_XML_VALIDATE"


class NodeDeviceUpdateFlags(Flags):
    """What a change applies to; none means the device if it exists now, else its definition."""

    LIVE = 1, "live", "The device that exists now.", "VIR_NODE_DEVICE_UPDATE_AFFECT_LIVE"
    CONFIG = 2, "config", "The definition, from the next start on.", "VIR_NODE_DEVICE_UPDATE_AFFECT_CONFIG"


class NodeDeviceXmlFlags(Flags):
    """Which description of a device is read."""

    INACTIVE = 1, "inactive", "The definition for the next start instead of what exists now.", "VIR_NODE_DEVICE_XML_INACTIVE"


class DefineNodeDevice(Operation, on=Host, number=32, needs=Access.DEFINE, api="virNodeDeviceDefineXML", makes=NodeDevice):
    """Define a mediated device, without making it, or redefine the one that has this UUID."""

    xml: Xml = argument(1, "The definition, as libvirt's node device XML.")
    flags: NodeDeviceDefineFlags = argument(2, "How the definition is taken.", default=NodeDeviceDefineFlags(0))
    name: Name | None = out(3, "libvirt's name of the device.")


class CreateNodeDevice(Operation, on=Host, number=33, needs=Access.DEFINE, api="virNodeDeviceCreateXML", makes=NodeDevice):
    """Make a device without a lasting definition: a mediated device, or a virtual port of a Fibre Channel adapter."""

    xml: Xml = argument(1, "The description, as libvirt's node device XML.")
    flags: NodeDeviceCreateFlags = argument(2, "How the description is taken.", default=NodeDeviceCreateFlags(0))
    name: Name | None = out(3, "libvirt's name of the device.")


TAKEN = "What the host has not yet written to the device, or sent by it."


class DetachNodeDevice(Operation, on=NodeDevice, number=1, needs=Access.DEFINE, api=("virNodeDeviceDetachFlags", "virNodeDeviceDettach"), undo="ReattachNodeDevice", destroys=TAKEN):
    """Take a PCI device from its driver in the host, so that a guest can have it. The host cannot use it any more."""

    driver: Name = argument(1, "The driver that keeps it ready for guests, such as vfio; none lets libvirt choose.", default="")


class ReattachNodeDevice(Operation, on=NodeDevice, number=2, needs=Access.DEFINE, api="virNodeDeviceReAttach"):
    """Give a PCI device back to its driver in the host. No guest may have it."""


class ResetNodeDevice(Operation, on=NodeDevice, number=3, needs=Access.DEFINE, api="virNodeDeviceReset", destroys=TAKEN):
    """Reset a PCI device, so that it is as new for its next user. No guest may have it."""


class StartNodeDevice(Operation, on=NodeDevice, number=4, needs=Access.OPERATE, api="virNodeDeviceCreate"):
    """Make a mediated device that is defined."""


class DestroyNodeDevice(Operation, on=NodeDevice, number=5, needs=Access.DEFINE, api="virNodeDeviceDestroy", destroys="The device; one that is not defined is gone for good."):
    """Take away a mediated device, or a virtual port of a Fibre Channel adapter."""


class UndefineNodeDevice(Operation, on=NodeDevice, number=6, needs=Access.DEFINE, api="virNodeDeviceUndefine", destroys="The definition."):
    """Remove the definition of a mediated device. One that exists stays until it is destroyed."""


class SetNodeDeviceAutostart(Operation, on=NodeDevice, number=7, needs=Access.OPERATE, api="virNodeDeviceSetAutostart", sets="autostart"):
    """Change whether a mediated device is made together with its parent."""

    autostart: Flag = argument(1, "Whether it is to be made.")


class UpdateNodeDevice(Operation, on=NodeDevice, number=8, needs=Access.DEFINE, api="virNodeDeviceUpdate"):
    """Change attributes of a mediated device. Needs libvirt 10.1."""

    xml: Xml = argument(1, "The description as it is to be, as libvirt's node device XML.")
    flags: NodeDeviceUpdateFlags = argument(2, "What the change applies to.", default=NodeDeviceUpdateFlags(0))


class ReadNodeDeviceXml(Operation, on=NodeDevice, number=9, needs=Access.OBSERVE, api="virNodeDeviceGetXMLDesc"):
    """Read the description of the device."""

    flags: NodeDeviceXmlFlags = argument(1, "Which description. The flag needs libvirt 10.1.", default=NodeDeviceXmlFlags(0))
    xml: Xml | None = out(2, "The description, as libvirt's node device XML.")


class NodeDeviceLifecycle(
    Occurrence, on=NodeDevice, number=1140, abstract=True, shows=("name", "type", "driver"),
    api=("virConnectNodeDeviceEventRegisterAny", "virConnectNodeDeviceEventDeregisterAny"),
):  # fmt: skip
    """What all events of a device of a host tell."""


class NodeDeviceCreated(NodeDeviceLifecycle, number=1141, libvirt="VIR_NODE_DEVICE_EVENT_CREATED"):
    """A device appeared in the host."""


class NodeDeviceDeleted(NodeDeviceLifecycle, number=1142, libvirt="VIR_NODE_DEVICE_EVENT_DELETED", severity=Severity.WARNING):
    """A device of the host is gone."""


class NodeDeviceDefined(NodeDeviceLifecycle, number=1143, libvirt="VIR_NODE_DEVICE_EVENT_DEFINED"):
    """A mediated device was defined, or its definition changed."""


class NodeDeviceUndefined(NodeDeviceLifecycle, number=1144, libvirt="VIR_NODE_DEVICE_EVENT_UNDEFINED", severity=Severity.WARNING):
    """The definition of a mediated device was removed."""


class NodeDeviceUpdated(NodeDeviceLifecycle, number=1145, libvirt="VIR_NODE_DEVICE_EVENT_ID_UPDATE"):
    """Something about a device of the host changed."""


ROWS: tuple[type[Row], ...] = (NodeDevice, NodeDeviceCapability)
OPERATIONS: tuple[type[Operation], ...] = (
    DefineNodeDevice,
    CreateNodeDevice,
    DetachNodeDevice,
    ReattachNodeDevice,
    ResetNodeDevice,
    StartNodeDevice,
    DestroyNodeDevice,
    UndefineNodeDevice,
    SetNodeDeviceAutostart,
    UpdateNodeDevice,
    ReadNodeDeviceXml,
)
EVENTS: tuple[type[Event], ...] = (
    NodeDeviceCreated,
    NodeDeviceDeleted,
    NodeDeviceDefined,
    NodeDeviceUndefined,
    NodeDeviceUpdated,
)
