"""The network: a virtual network of a host, its ports and its leases."""

from agent.model.domain import Domain
from agent.model.element import DEVICE, SYSTEM
from agent.model.host import Host
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
    detail,
    key,
    out,
    parent,
    previous,
    spelled,
    taken,
    when,
)
from agent.schema.types import (
    Count,
    Enumeration,
    Flag,
    Flags,
    KiB,
    KiBPerSecond,
    Mac,
    Milliseconds,
    Name,
    Number,
    Text,
    Timestamp,
    Uuid,
    Xml,
)


class Network(
    Row, table=30, cim="CIM_Network", abbreviation="Net", action=3,
    fills={
        "NameFormat": constant("Other"),
        "OperationalStatus": taken("active", how=lambda active: (2,) if active else (10,)),
        "HealthState": constant(5),
        "EnabledState": taken("active", how=lambda active: 2 if active else 3),
        "RequestedState": constant(12),
        "OtherIdentifyingInfo": taken("name", "uuid", how=lambda name, uuid: (name, uuid)),
        "IdentifyingDescriptions": constant(("Name in libvirt", "UUID")),
        "Type": constant((8,)),
    },
    nulls={
        **{k: v for k, v in SYSTEM.items() if k != "OtherDedicatedDescriptions"},
        "OtherTypeDescription": "Type has a standard value that fits.",
    },
):  # fmt: skip
    """A virtual network of a host, which connects guests with one another, with the host or with other networks."""

    uuid: Uuid = key(2, "Identifies the network.", api=("virNetworkGetUUIDString", "virNetworkGetUUID"), cim="Name")
    name: Name | None = column(4, "Name of the network, unique on its host.", api="virNetworkGetName", cim="ElementName")
    active: Flag | None = column(5, "Whether it is started.", api="virNetworkIsActive")
    persistent: Flag | None = column(6, "Whether its definition stays when it is stopped.", api="virNetworkIsPersistent")
    autostart: Flag | None = column(7, "Whether it is started together with libvirt's daemon.", api="virNetworkGetAutostart")
    bridge: Name | None = column(8, "The bridge of the host that guests are plugged into; none for networks without a bridge.", api="virNetworkGetBridgeName")
    forward_mode: Name | None = column(9, "How traffic leaves it: nat, route, open, bridge, private, vepa, passthrough or hostdev; none if it stays inside.", api="virNetworkGetXMLDesc")
    forward_devices: Text | None = column(10, "The devices of the host that traffic leaves by, one a line; a PCI function by its address.", api="virNetworkGetXMLDesc")
    nat_addresses: Text | None = column(11, "The addresses that traffic is given on its way out, one range a line.", api="virNetworkGetXMLDesc")
    nat_ports: Text | None = column(12, "The ports that traffic is given on its way out, one range a line.", api="virNetworkGetXMLDesc")
    mac: Mac | None = column(13, "MAC address of the host on the bridge.", api="virNetworkGetXMLDesc")
    mtu: Count | None = column(14, "Largest packet, in octets, if one is set.", api="virNetworkGetXMLDesc")
    stp: Flag | None = column(15, "Whether the bridge takes part in the spanning tree protocol.", api="virNetworkGetXMLDesc")
    forward_delay: Milliseconds | None = column(16, "How long the bridge looks on before it forwards to a new port.", api="virNetworkGetXMLDesc")
    zone: Name | None = column(17, "Zone of the host's firewall that the bridge is in.", api="virNetworkGetXMLDesc")
    mac_table: Name | None = column(18, "Who keeps the bridge's table of addresses: kernel or libvirt.", api="virNetworkGetXMLDesc")
    addresses: Text | None = column(19, "Addresses of the host in the network, one a line, each with the length of its prefix.", api="virNetworkGetXMLDesc")
    dhcp_ranges: Text | None = column(20, "Addresses that DHCP gives out, one range a line.", api="virNetworkGetXMLDesc")
    dhcp_hosts: Count | None = column(21, "Guests for which DHCP has an address set aside.", api="virNetworkGetXMLDesc")
    routes: Text | None = column(22, "Static routes, one a line: the target and the gateway.", api="virNetworkGetXMLDesc")
    dns_domain: Name | None = column(23, "Name of the DNS domain of its guests.", api="virNetworkGetXMLDesc")
    dns_enabled: Flag | None = column(24, "Whether guests may ask the host for names.", api="virNetworkGetXMLDesc")
    dns_forwarders: Text | None = column(25, "The servers that questions for other names go to, one a line; a domain before a server if it is for that domain only.", api="virNetworkGetXMLDesc")
    portgroups: Text | None = column(26, "Names of its port groups, one a line; an asterisk follows that of the default one.", api="virNetworkGetXMLDesc")
    vlans: Text | None = column(27, "Numbers of the VLANs that guests are in, separated by commas.", api="virNetworkGetXMLDesc")
    virtualport: Name | None = column(28, "Kind of virtual port that guests get, such as openvswitch.", api="virNetworkGetXMLDesc")
    isolated: Flag | None = column(29, "Whether guests are kept from talking with one another.", api="virNetworkGetXMLDesc")
    guest_ipv6: Flag | None = column(30, "Whether guests may speak IPv6 with one another although the host has no such address in the network.", api="virNetworkGetXMLDesc")
    trust_filters: Flag | None = column(31, "Whether guests may change what their interfaces let in, such as multicast addresses.", api="virNetworkGetXMLDesc")
    inbound_average: KiBPerSecond | None = column(32, "Rate that traffic to all guests together may have in the long run, if it is limited.", api="virNetworkGetXMLDesc")
    inbound_peak: KiBPerSecond | None = column(33, "Highest rate that traffic to all guests together may have.", api="virNetworkGetXMLDesc")
    inbound_burst: KiB | None = column(34, "How much traffic to the guests may go at the highest rate.", api="virNetworkGetXMLDesc")
    outbound_average: KiBPerSecond | None = column(35, "Rate that traffic from all guests together may have in the long run, if it is limited.", api="virNetworkGetXMLDesc")
    outbound_peak: KiBPerSecond | None = column(36, "Highest rate that traffic from all guests together may have.", api="virNetworkGetXMLDesc")
    outbound_burst: KiB | None = column(37, "How much traffic from the guests may go at the highest rate.", api="virNetworkGetXMLDesc")
    connections: Count | None = column(38, "Guest interfaces that use it, as libvirt counts them.", api="virNetworkGetXMLDesc")
    ports: Count | None = column(39, "Its ports; none told while it is not started.", api="virNetworkListAllPorts")
    leases: Count | None = column(40, "Addresses that are lent to guests; none told while it is not started.", api="virNetworkGetDHCPLeases")
    title: Text | None = column(41, "A short title that people gave it. Needs libvirt 9.7.", api="virNetworkGetXMLDesc")
    description: Text | None = column(42, "What people wrote about it. Needs libvirt 9.7.", api="virNetworkGetXMLDesc", cim="Description")
    host: Name | None = column(
        43, "The host that the network is on.", api=("virConnectListAllNetworks", "virConnectListNetworks", "virConnectListDefinedNetworks", "virConnectNumOfNetworks", "virConnectNumOfDefinedNetworks"), ref=Host,
        association=Association(
            name="Virtmap_HostedNetwork", base="CIM_HostedDependency", far="Antecedent", near="Dependent",
            description="The host that a network is on.",
        ),
    )  # fmt: skip
    refreshed: Timestamp | None = column(90, "When this row was read from the hypervisor.")
    problem: Text | None = column(91, "Why the last attempt to read it, its ports or its leases failed; empty when it did not.")


class NetworkPort(
    Row, table=31, of=Network, cim="CIM_EthernetPort", abbreviation="Port", action=3,
    association=Association(
        name="Virtmap_NetworkDevice", base="CIM_SystemDevice", far="GroupComponent", near="PartComponent",
        description="The network that a port belongs to.",
    ),
    fills={
        "ElementName": taken("uuid", how="Port {0}".format),
        "Name": taken("uuid"),
        "OperationalStatus": constant((2,)),
        "HealthState": constant(5),
        "EnabledState": constant(2),
        "RequestedState": constant(12),
        "LinkTechnology": constant(2),
        "PortType": constant(0),
        "NetworkAddresses": taken("mac", how=lambda mac: (mac.replace(":", "").upper(),)),
    },
    nulls={
        **DEVICE,
        "Speed": "A virtual cable has no rated speed.",
        "MaxSpeed": "A virtual cable has no rated speed.",
        "RequestedSpeed": "A virtual cable has no rated speed.",
        "UsageRestriction": "libvirt knows none.",
        "OtherPortType": "PortType is unknown, not other.",
        "PortNumber": "libvirt does not number them.",
        "OtherLinkTechnology": "It is Ethernet.",
        "PermanentAddress": "The address is that of the guest's interface, which may change.",
        "FullDuplex": "A virtual cable has no duplex mode.",
        "AutoSense": "A virtual cable has no duplex mode.",
        "SupportedMaximumTransmissionUnit": "libvirt does not tell.",
        "ActiveMaximumTransmissionUnit": "It is a property of the network.",
        "MaxDataSize": "It is a property of the guest's driver.",
    },
):  # fmt: skip
    """A port of a network: the place where an interface of a guest is plugged in while the guest runs."""

    network: Uuid = parent("UUID of the network it belongs to.")
    uuid: Uuid = key(2, "Identifies the port.", api=("virNetworkPortGetUUIDString", "virNetworkPortGetUUID", "virNetworkListAllPorts"), cim="DeviceID")
    owner_name: Name | None = column(4, "Name of the guest that is plugged in.", api="virNetworkPortGetXMLDesc")
    owner: Uuid | None = column(
        5, "UUID of the guest that is plugged in.", api="virNetworkPortGetXMLDesc", ref=Domain,
        association=Association(
            name="Virtmap_PortOfDomain", base="CIM_Dependency", far="Dependent", near="Antecedent",
            description="The domain that is plugged into a port of a network.",
        ),
    )  # fmt: skip
    mac: Mac | None = column(6, "MAC address of the guest's interface.", api="virNetworkPortGetXMLDesc")
    portgroup: Name | None = column(7, "Port group of the network that it is in.", api="virNetworkPortGetXMLDesc")
    plug: Name | None = column(8, "How the guest is connected: network, bridge, direct or hostdev-pci.", api="virNetworkPortGetXMLDesc")
    source: Name | None = column(9, "What the guest is connected to: a bridge, a device of the host, or the address of a PCI function.", api="virNetworkPortGetXMLDesc")
    mode: Name | None = column(10, "How a device of the host is shared: bridge, private, vepa or passthrough.", api="virNetworkPortGetXMLDesc")
    vlans: Text | None = column(11, "Numbers of the VLANs that it is in, separated by commas.", api="virNetworkPortGetXMLDesc")
    virtualport: Name | None = column(12, "Kind of virtual port, such as openvswitch.", api="virNetworkPortGetXMLDesc")
    isolated: Flag | None = column(13, "Whether it is kept from talking with other isolated ports.", api="virNetworkPortGetXMLDesc")
    trust_filters: Flag | None = column(14, "Whether the guest may change what its interface lets in, such as multicast addresses.", api="virNetworkPortGetXMLDesc")
    class_id: Count | None = column(15, "Number of the traffic class that libvirt made for the rate it is promised.", api="virNetworkPortGetXMLDesc")
    inbound_average: KiBPerSecond | None = column(16, "Rate that traffic to the guest may have in the long run; 0 is no limit.", api="virNetworkPortGetParameters")
    inbound_peak: KiBPerSecond | None = column(17, "Highest rate that traffic to the guest may have; 0 is no limit.", api="virNetworkPortGetParameters")
    inbound_burst: KiB | None = column(18, "How much traffic to the guest may go at the highest rate.", api="virNetworkPortGetParameters")
    inbound_floor: KiBPerSecond | None = column(19, "Rate that traffic to the guest is promised; 0 is none.", api="virNetworkPortGetParameters")
    outbound_average: KiBPerSecond | None = column(20, "Rate that traffic from the guest may have in the long run; 0 is no limit.", api="virNetworkPortGetParameters")
    outbound_peak: KiBPerSecond | None = column(21, "Highest rate that traffic from the guest may have; 0 is no limit.", api="virNetworkPortGetParameters")
    outbound_burst: KiB | None = column(22, "How much traffic from the guest may go at the highest rate.", api="virNetworkPortGetParameters")


class LeaseType(Enumeration):
    """The kind of an address that is lent."""

    IPV4 = 1, "ipv4", "An address of IPv4.", "VIR_IP_ADDR_TYPE_IPV4"
    IPV6 = 2, "ipv6", "An address of IPv6.", "VIR_IP_ADDR_TYPE_IPV6"


class DhcpLease(
    Row, table=32, of=Network, cim="CIM_SettingData", abbreviation="Lease",
    association=Association(
        name="Virtmap_LeaseOfNetwork", base="CIM_ElementSettingData", far="ManagedElement", near="SettingData",
        description="The network in which an address is lent.",
    ),
    fills={
        "InstanceID": spelled("virtmap:lease/{0}/{1}", "network", "address"),
        "ElementName": taken("address"),
        "Description": taken("address", "mac", how="Address {0}, lent to {1}".format),
        "ChangeableType": constant(3),
    },
    nulls={
        "Caption": "ElementName says it already.",
        "ConfigurationName": "ElementName says it already.",
    },
):  # fmt: skip
    """An address that the network lends to a guest for a time, by DHCP."""

    network: Uuid = parent("UUID of the network it belongs to.")
    address: Name = key(2, "The address that is lent.", api="virNetworkGetDHCPLeases")
    type: LeaseType | None = column(3, "Whether it is an address of IPv4 or of IPv6.", api="virNetworkGetDHCPLeases")
    prefix: Count | None = column(4, "Length of the prefix of its network, in bits.", api="virNetworkGetDHCPLeases")
    mac: Mac | None = column(5, "MAC address of whom it is lent to.", api="virNetworkGetDHCPLeases")
    hostname: Text | None = column(6, "The name that the guest gave itself.", api="virNetworkGetDHCPLeases")
    client: Text | None = column(7, "What the guest identified itself by: its client identifier, or its DUID in IPv6.", api="virNetworkGetDHCPLeases")
    iaid: Name | None = column(8, "Number of the identity association in IPv6.", api="virNetworkGetDHCPLeases")
    interface: Name | None = column(9, "The bridge of the host that it was lent on.", api="virNetworkGetDHCPLeases")
    expires: Timestamp | None = column(10, "When it ends; none if it does not.", api="virNetworkGetDHCPLeases")


ACTIVE = when("active", True)
INACTIVE = when("active", False)


class NetworkDefineFlags(Flags):
    """How the definition of a network is taken."""

    VALIDATE = 1, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_NETWORK_DEFINE_VALIDATE"


class NetworkCreateFlags(Flags):
    """How the definition of a network that starts at once is taken."""

    VALIDATE = 1, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_NETWORK_CREATE_VALIDATE"


class NetworkXmlFlags(Flags):
    """Which definition of a network is read."""

    INACTIVE = 1, "inactive", "The definition for the next start instead of that in use.", "VIR_NETWORK_XML_INACTIVE"


class NetworkImpact(Flags):
    """What a change applies to; none means the network that runs if it does, else its definition."""

    LIVE = 1, "live", "The network that runs.", "VIR_NETWORK_UPDATE_AFFECT_LIVE"
    CONFIG = 2, "config", "The definition, from the next start on.", "VIR_NETWORK_UPDATE_AFFECT_CONFIG"


class UpdateCommand(Enumeration):
    """What to do with a part of a network."""

    MODIFY = 1, "modify", "Put it in the place of the one it matches.", "VIR_NETWORK_UPDATE_COMMAND_MODIFY"
    DELETE = 2, "delete", "Take away the one it matches.", "VIR_NETWORK_UPDATE_COMMAND_DELETE"
    ADD_LAST = 3, "addLast", "Add it after all others.", "VIR_NETWORK_UPDATE_COMMAND_ADD_LAST"
    ADD_FIRST = 4, "addFirst", "Add it before all others.", "VIR_NETWORK_UPDATE_COMMAND_ADD_FIRST"


class NetworkSection(Enumeration):
    """A part of the definition of a network. libvirt can change some of them only."""

    BRIDGE = 1, "bridge", "The bridge.", "VIR_NETWORK_SECTION_BRIDGE"
    DOMAIN = 2, "domain", "The DNS domain.", "VIR_NETWORK_SECTION_DOMAIN"
    IP = 3, "ip", "An address of the host in the network.", "VIR_NETWORK_SECTION_IP"
    DHCP_HOST = 4, "dhcpHost", "An address that DHCP has set aside.", "VIR_NETWORK_SECTION_IP_DHCP_HOST"
    DHCP_RANGE = 5, "dhcpRange", "A range of addresses that DHCP gives out.", "VIR_NETWORK_SECTION_IP_DHCP_RANGE"
    FORWARD = 6, "forward", "How traffic leaves it.", "VIR_NETWORK_SECTION_FORWARD"
    FORWARD_INTERFACE = 7, "forwardInterface", "A device of the host that traffic leaves by.", "VIR_NETWORK_SECTION_FORWARD_INTERFACE"
    FORWARD_PF = 8, "forwardPf", "A PCI function whose virtual functions guests get.", "VIR_NETWORK_SECTION_FORWARD_PF"
    PORTGROUP = 9, "portgroup", "A port group.", "VIR_NETWORK_SECTION_PORTGROUP"
    DNS_HOST = 10, "dnsHost", "A name with its addresses.", "VIR_NETWORK_SECTION_DNS_HOST"
    DNS_TXT = 11, "dnsTxt", "A text in the DNS.", "VIR_NETWORK_SECTION_DNS_TXT"
    DNS_SRV = 12, "dnsSrv", "A service in the DNS.", "VIR_NETWORK_SECTION_DNS_SRV"


class PortCreateFlags(Flags):
    """How a port is made."""

    RECLAIM = 1, "reclaim", "Take what its XML names as in use already, instead of looking for something free.", "VIR_NETWORK_PORT_CREATE_RECLAIM"
    VALIDATE = 2, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_NETWORK_PORT_CREATE_VALIDATE"


class NetworkMetadata(Enumeration):
    """What people and programs note about a network."""

    DESCRIPTION = 1, "description", "A text of any length.", "VIR_NETWORK_METADATA_DESCRIPTION"
    TITLE = 2, "title", "A title of one line.", "VIR_NETWORK_METADATA_TITLE"
    ELEMENT = 3, "element", "An XML element of a namespace of its own.", "VIR_NETWORK_METADATA_ELEMENT"


class DefineNetwork(Operation, on=Host, number=10, needs=Access.DEFINE, api=("virNetworkDefineXMLFlags", "virNetworkDefineXML"), makes=Network):
    """Define a persistent network, or redefine the one that has this UUID."""

    xml: Xml = argument(1, "The definition, as libvirt's network XML.")
    flags: NetworkDefineFlags = argument(2, "How the definition is taken.", default=NetworkDefineFlags(0))
    uuid: Uuid | None = out(3, "UUID of the network that is now defined.")


class CreateNetwork(Operation, on=Host, number=11, needs=Access.DEFINE, api=("virNetworkCreateXMLFlags", "virNetworkCreateXML"), makes=Network):
    """Start a network without a lasting definition: it is gone when it is stopped."""

    xml: Xml = argument(1, "The definition, as libvirt's network XML.")
    flags: NetworkCreateFlags = argument(2, "How the definition is taken.", default=NetworkCreateFlags(0))
    uuid: Uuid | None = out(3, "UUID of the network.")


class StartNetwork(Operation, on=Network, number=1, needs=Access.OPERATE, api="virNetworkCreate", allowed=INACTIVE, undo="StopNetwork"):
    """Start a defined network: make its bridge, its addresses, its rules in the firewall, its DHCP and DNS server."""


class StopNetwork(Operation, on=Network, number=2, needs=Access.OPERATE, api="virNetworkDestroy", allowed=ACTIVE, destroys="The definition of a network that is not persistent; and guests that run lose their connection until they are started anew."):
    """Stop the network. Guests that are plugged in lose their connection."""


class UndefineNetwork(Operation, on=Network, number=3, needs=Access.DEFINE, api="virNetworkUndefine", destroys="The definition."):
    """Remove the definition of the network. One that runs goes when it is stopped."""


class SetNetworkAutostart(Operation, on=Network, number=4, needs=Access.OPERATE, api="virNetworkSetAutostart", sets="autostart"):
    """Change whether the network is started together with libvirt's daemon."""

    autostart: Flag = argument(1, "Whether it is to be started.")


class ReadNetworkXml(Operation, on=Network, number=5, needs=Access.OBSERVE, api="virNetworkGetXMLDesc"):
    """Read the definition of the network."""

    flags: NetworkXmlFlags = argument(1, "Which definition.", default=NetworkXmlFlags(0))
    xml: Xml | None = out(2, "The definition, as libvirt's network XML.")


class UpdateNetwork(Operation, on=Network, number=6, needs=Access.DEFINE, api="virNetworkUpdate"):
    """Change one part of the network, such as an address that DHCP has set aside, without stopping it."""

    command: UpdateCommand = argument(1, "What to do with the part.")
    section: NetworkSection = argument(2, "Which kind of part.")
    xml: Xml = argument(3, "The part, as an element of libvirt's network XML.")
    parent_index: Number = argument(4, "Which of several address elements the part is in, counted from 0; -1 is the first that fits.", default=-1, low=-1)
    impact: NetworkImpact = argument(5, "What the change applies to.", default=NetworkImpact(0))


class CreateNetworkPort(Operation, on=Network, number=7, needs=Access.DEFINE, api="virNetworkPortCreateXML", allowed=ACTIVE):
    """Make a port in the network, for a guest that is not yet plugged in. libvirt itself does so whenever a guest starts."""

    xml: Xml = argument(1, "What it is to be like, as libvirt's network port XML; its UUID is part of that.")
    flags: PortCreateFlags = argument(2, "How it is made.", default=PortCreateFlags(0))
    uuid: Uuid | None = out(3, "UUID of the port.")


class SetNetworkMetadata(Operation, on=Network, number=8, needs=Access.DEFINE, api="virNetworkSetMetadata"):
    """Note something about the network, or remove what was noted. Needs libvirt 9.7."""

    type: NetworkMetadata = argument(1, "What is noted.")
    value: Xml | None = argument(2, "The title, the description, or the XML element; left out, what was noted is removed.", default=None)
    prefix: Name | None = argument(3, "For an element: the prefix of its namespace.", default=None)
    namespace: Text | None = argument(4, "For an element: the URI of its namespace.", default=None)
    impact: NetworkImpact = argument(5, "What the change applies to.", default=NetworkImpact(0))


class ReadNetworkMetadata(Operation, on=Network, number=9, needs=Access.OBSERVE, api="virNetworkGetMetadata"):
    """Read what is noted about the network. Needs libvirt 9.7."""

    type: NetworkMetadata = argument(1, "What is read.")
    namespace: Text | None = argument(2, "For an element: the URI of its namespace.", default=None)
    impact: NetworkImpact = argument(3, "Where it is read: of the network that runs, or of its definition.", default=NetworkImpact(0))
    value: Xml | None = out(4, "The title, the description, or the XML element.")


class DeletePort(Operation, on=NetworkPort, number=1, needs=Access.DEFINE, api="virNetworkPortDelete", destroys="The port: the network does not serve the guest any more."):
    """Delete the port. libvirt itself does so when the guest stops."""


class SetPortParameters(Operation, on=NetworkPort, number=2, needs=Access.OPERATE, api="virNetworkPortSetParameters"):
    """Change the limits of the port, in a direction that is limited already. What is left out stays as it is."""

    inbound_average: KiBPerSecond | None = argument(1, "Rate that traffic to the guest may have in the long run; 0 is no limit.", default=None, high=2**32 - 1)
    inbound_peak: KiBPerSecond | None = argument(2, "Highest rate that traffic to the guest may have; 0 is no limit.", default=None, high=2**32 - 1)
    inbound_burst: KiB | None = argument(3, "How much traffic to the guest may go at the highest rate.", default=None, high=2**32 - 1)
    inbound_floor: KiBPerSecond | None = argument(4, "Rate that traffic to the guest is promised, which the network must have limits for; 0 is none.", default=None, high=2**32 - 1)
    outbound_average: KiBPerSecond | None = argument(5, "Rate that traffic from the guest may have in the long run; 0 is no limit.", default=None, high=2**32 - 1)
    outbound_peak: KiBPerSecond | None = argument(6, "Highest rate that traffic from the guest may have; 0 is no limit.", default=None, high=2**32 - 1)
    outbound_burst: KiB | None = argument(7, "How much traffic from the guest may go at the highest rate.", default=None, high=2**32 - 1)


class ReadPortXml(Operation, on=NetworkPort, number=3, needs=Access.OBSERVE, api="virNetworkPortGetXMLDesc"):
    """Read the description of the port."""

    xml: Xml | None = out(1, "The description, as libvirt's network port XML.")


class NetworkLifecycle(
    Occurrence, on=Network, number=1100, abstract=True, shows=("uuid", "name", "active", "bridge"),
    api=("virConnectNetworkEventRegisterAny", "virConnectNetworkEventDeregisterAny"),
):  # fmt: skip
    """What all events of a network tell."""

    previous_active: Flag | None = previous(1, "Whether the network was last seen started before.", of="active")


class NetworkDefined(NetworkLifecycle, number=1101, libvirt="VIR_NETWORK_EVENT_DEFINED"):
    """A network was defined, or its definition changed."""


class NetworkUndefined(NetworkLifecycle, number=1102, libvirt="VIR_NETWORK_EVENT_UNDEFINED", severity=Severity.WARNING):
    """The definition of a network was removed."""


class NetworkStarted(NetworkLifecycle, number=1103, libvirt="VIR_NETWORK_EVENT_STARTED"):
    """A network was started."""


class NetworkStopped(NetworkLifecycle, number=1104, libvirt="VIR_NETWORK_EVENT_STOPPED", severity=Severity.WARNING):
    """A network was stopped."""


class NetworkNoted(NetworkLifecycle, number=1105, libvirt="VIR_NETWORK_EVENT_ID_METADATA_CHANGE"):
    """What is noted about a network changed."""

    what: NetworkMetadata | None = detail(2, "What was changed.")


ROWS: tuple[type[Row], ...] = (Network, NetworkPort, DhcpLease)
OPERATIONS: tuple[type[Operation], ...] = (
    DefineNetwork,
    CreateNetwork,
    StartNetwork,
    StopNetwork,
    UndefineNetwork,
    SetNetworkAutostart,
    ReadNetworkXml,
    UpdateNetwork,
    CreateNetworkPort,
    SetNetworkMetadata,
    ReadNetworkMetadata,
    DeletePort,
    SetPortParameters,
    ReadPortXml,
)
EVENTS: tuple[type[Event], ...] = (
    NetworkDefined,
    NetworkUndefined,
    NetworkStarted,
    NetworkStopped,
    NetworkNoted,
)
