"""The interface: a network interface of the host itself."""

from agent.model.element import DEVICE
from agent.model.host import RAM, Host
from agent.schema.declare import Access, Event, Operation, Row, argument, column, constant, key, out, taken
from agent.schema.types import Count, Flag, Flags, Mac, Milliseconds, Name, Text, Timestamp, Xml


class Interface(
    Row, table=50, cim="CIM_NetworkPort", action=3,
    fills={
        "ElementName": taken("name"),
        "Name": taken("name"),
        "OperationalStatus": taken("active", how=lambda active: (2,) if active else (10,)),
        "HealthState": constant(5),
        "EnabledState": taken("active", how=lambda active: 2 if active else 3),
        "RequestedState": constant(12),
        "Speed": taken("link_speed", how=lambda speed: speed * 10**6),
        "PortType": constant(0),
        "LinkTechnology": taken("name", how=lambda name: 0 if name == "lo" else 2),
        "NetworkAddresses": taken("mac", how=lambda mac: (mac.replace(":", "").upper(),)),
        "ActiveMaximumTransmissionUnit": taken("mtu"),
    },
    nulls={
        **DEVICE,
        "MaxSpeed": "libvirt does not tell; see the node device of the same interface.",
        "RequestedSpeed": "libvirt does not tell.",
        "UsageRestriction": "libvirt knows none.",
        "OtherPortType": "PortType is unknown, not other.",
        "PortNumber": "libvirt does not number them.",
        "OtherLinkTechnology": "LinkTechnology has a standard value that fits.",
        "PermanentAddress": "libvirt tells the address in use only.",
        "FullDuplex": "libvirt does not tell.",
        "AutoSense": "libvirt does not tell.",
        "SupportedMaximumTransmissionUnit": "libvirt does not tell.",
    },
):  # fmt: skip
    """A network interface of the host: an adapter, or a bridge, bond or VLAN that is made of others."""

    name: Name = key(2, "Name of the interface on the host.", api="virInterfaceGetName", cim="DeviceID")
    host: Name | None = column(
        4, "The host that the interface is in.", ref=Host, association=RAM.association,
        api=("virConnectListAllInterfaces", "virConnectListInterfaces", "virConnectListDefinedInterfaces", "virConnectNumOfInterfaces", "virConnectNumOfDefinedInterfaces"),
    )  # fmt: skip
    active: Flag | None = column(5, "Whether it is up.", api="virInterfaceIsActive")
    mac: Mac | None = column(6, "Its MAC address.", api="virInterfaceGetMACString")
    type: Name | None = column(7, "What it is: ethernet, bridge, bond or vlan.", api="virInterfaceGetXMLDesc")
    start_mode: Name | None = column(8, "When the host brings it up: onboot, hotplug, or none for never.", api="virInterfaceGetXMLDesc")
    mtu: Count | None = column(9, "Largest packet, in octets, if one is set.", api="virInterfaceGetXMLDesc")
    link_state: Name | None = column(10, "State of the link, as the kernel says it: up, down, lowerlayerdown and the like.", api="virInterfaceGetXMLDesc")
    link_speed: Count | None = column(11, "Speed of the link, in Mbit/s.", api="virInterfaceGetXMLDesc")
    addresses: Text | None = column(12, "Its IP addresses, one a line, each with the length of its prefix.", api="virInterfaceGetXMLDesc")
    gateways: Text | None = column(13, "The routers that it knows, one a line.", api="virInterfaceGetXMLDesc")
    dhcp: Name | None = column(14, "The protocols that it is configured for by DHCP, ipv4, ipv6 or both, separated by spaces.", api="virInterfaceGetXMLDesc")
    autoconf: Flag | None = column(15, "Whether it gives itself an IPv6 address after what routers announce.", api="virInterfaceGetXMLDesc")
    members: Text | None = column(16, "The interfaces that a bridge, a bond or a VLAN is made of, one a line.", api="virInterfaceGetXMLDesc")
    vlan: Count | None = column(17, "Number of the VLAN.", api="virInterfaceGetXMLDesc")
    stp: Flag | None = column(18, "Whether the bridge takes part in the spanning tree protocol.", api="virInterfaceGetXMLDesc")
    forward_delay: Milliseconds | None = column(19, "How long the bridge looks on before it forwards to a new port.", api="virInterfaceGetXMLDesc")
    bond_mode: Name | None = column(20, "How the bond shares work among its members, such as active-backup or 802.3ad.", api="virInterfaceGetXMLDesc")
    bond_monitoring: Name | None = column(21, "How the bond finds out that a member failed: mii by its link, arp by asking.", api="virInterfaceGetXMLDesc")
    bond_interval: Milliseconds | None = column(22, "How often the bond looks at its members.", api="virInterfaceGetXMLDesc")
    bond_up_delay: Milliseconds | None = column(23, "How long a member has to have its link before the bond uses it.", api="virInterfaceGetXMLDesc")
    bond_down_delay: Milliseconds | None = column(24, "How long a member may lack its link before the bond drops it.", api="virInterfaceGetXMLDesc")
    bond_target: Name | None = column(25, "The address that the bond asks for.", api="virInterfaceGetXMLDesc")
    refreshed: Timestamp | None = column(90, "When this row was read from the hypervisor.")
    problem: Text | None = column(91, "Why the last attempt to read it failed; empty when it did not.")


class InterfaceDefineFlags(Flags):
    """How the definition of an interface is taken."""

    VALIDATE = 1, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_INTERFACE_DEFINE_VALIDATE"


class InterfaceXmlFlags(Flags):
    """Which description of an interface is read."""

    INACTIVE = 1, "inactive", "What is configured, instead of what is in use.", "VIR_INTERFACE_XML_INACTIVE"


CUTS = "Connections through the interface, which may be the one that this agent is reached by."


class DefineInterface(Operation, on=Host, number=20, needs=Access.DEFINE, api="virInterfaceDefineXML", makes=Interface):
    """Define an interface of the host, or redefine the one of this name. What is in use stays as it is until it is started."""

    xml: Xml = argument(1, "The definition, as libvirt's interface XML.")
    flags: InterfaceDefineFlags = argument(2, "How the definition is taken.", default=InterfaceDefineFlags(0))
    name: Name | None = out(3, "Name of the interface that is now defined.")


class BeginInterfaceChange(Operation, on=Host, number=21, needs=Access.DEFINE, api="virInterfaceChangeBegin", undo="RollbackInterfaceChange"):
    """Remember how the interfaces of the host are configured, so that changes from now on can be taken back together."""


class CommitInterfaceChange(Operation, on=Host, number=22, needs=Access.DEFINE, api="virInterfaceChangeCommit", destroys="The possibility to take the changes back."):
    """Keep all changes of interfaces since the change was begun."""


class RollbackInterfaceChange(Operation, on=Host, number=23, needs=Access.DEFINE, api="virInterfaceChangeRollback", destroys="All changes of interfaces since the change was begun."):
    """Take back all changes of interfaces since the change was begun."""


class StartInterface(Operation, on=Interface, number=1, needs=Access.OPERATE, api="virInterfaceCreate", undo="StopInterface"):
    """Bring the interface up, as it is defined."""


class StopInterface(Operation, on=Interface, number=2, needs=Access.OPERATE, api="virInterfaceDestroy", destroys=CUTS):
    """Take the interface down. Its definition stays."""


class UndefineInterface(Operation, on=Interface, number=3, needs=Access.DEFINE, api="virInterfaceUndefine", destroys="The definition."):
    """Remove the definition of the interface. One that is up stays so until it is stopped."""


class ReadInterfaceXml(Operation, on=Interface, number=4, needs=Access.OBSERVE, api="virInterfaceGetXMLDesc"):
    """Read the description of the interface."""

    flags: InterfaceXmlFlags = argument(1, "Which description.", default=InterfaceXmlFlags(0))
    xml: Xml | None = out(2, "The description, as libvirt's interface XML.")


ROWS: tuple[type[Row], ...] = (Interface,)
OPERATIONS: tuple[type[Operation], ...] = (
    DefineInterface,
    BeginInterfaceChange,
    CommitInterfaceChange,
    RollbackInterfaceChange,
    StartInterface,
    StopInterface,
    UndefineInterface,
    ReadInterfaceXml,
)
EVENTS: tuple[type[Event], ...] = ()
