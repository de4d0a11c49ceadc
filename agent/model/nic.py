"""The NIC: a network interface of a domain, with the host's end of it and what goes through it."""

from agent.model.domain import DEVICES, Domain
from agent.model.element import DEVICE
from agent.schema.declare import Row, column, constant, key, mapped, parent, taken
from agent.schema.types import Count, Enumeration, Events, Mac, Name, Octets, Packets, Uuid


class LinkState(Enumeration):
    """Whether the virtual cable is plugged in."""

    UP = 1, "up", "It is.", None, {"EnabledState": 2, "OperationalStatus": (2,), "HealthState": 5}
    DOWN = 2, "down", "It was pulled out.", None, {"EnabledState": 3, "OperationalStatus": (10,), "HealthState": 5}


class Nic(
    Row, table=5, of=Domain, cim="CIM_EthernetPort", association=DEVICES, action=100, discontinuity="counters_since",
    fills={
        "DeviceID": taken("domain", "device", how="{0}/{1}".format),
        "ElementName": taken("device"),
        "Name": taken("device"),
        "OperationalStatus": mapped("link_state"),
        "HealthState": mapped("link_state"),
        "EnabledState": mapped("link_state"),
        "RequestedState": constant(12),
        "LinkTechnology": constant(2),
        "PortType": constant(0),
        "PermanentAddress": taken("mac", how=lambda mac: mac.replace(":", "").upper()),
        "NetworkAddresses": taken("mac", how=lambda mac: (mac.replace(":", "").upper(),)),
        "ActiveMaximumTransmissionUnit": taken("mtu"),
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
        "FullDuplex": "A virtual cable has no duplex mode.",
        "AutoSense": "A virtual cable has no duplex mode.",
        "SupportedMaximumTransmissionUnit": "libvirt does not tell.",
        "MaxDataSize": "It is a property of the guest's driver.",
    },
):  # fmt: skip
    """A network interface of a domain: what the guest sees, where the host connects it, and its traffic."""

    domain: Uuid = parent("UUID of the domain it belongs to.")
    device: Name = key(2, "Identifies the interface within the domain: its MAC address, and #2, #3 and so on after one that stands twice.", api="virDomainGetXMLDesc")
    mac: Mac | None = column(3, "MAC address that the guest sees.", api="virDomainGetXMLDesc")
    target: Name | None = column(4, "The host's end while the domain runs, such as vnet0.", api="virDomainGetXMLDesc", stats="net.<num>.name")
    type: Name | None = column(5, "How it is connected: network, bridge, direct, user and the like.", api="virDomainGetXMLDesc")
    source: Name | None = column(6, "What it is connected to: the network, bridge or device.", api="virDomainGetXMLDesc")
    model: Name | None = column(7, "The card that the guest sees, such as virtio or e1000.", api="virDomainGetXMLDesc")
    link_state: LinkState | None = column(8, "Whether the virtual cable is plugged in.", api="virDomainGetXMLDesc")
    alias: Name | None = column(9, "libvirt's name of the device in its domain.", api="virDomainGetXMLDesc")
    mtu: Count | None = column(10, "Largest packet, in octets, if one is set.", api="virDomainGetXMLDesc")
    boot_order: Count | None = column(11, "Its turn when the guest looks for something to boot.", api="virDomainGetXMLDesc")
    portgroup: Name | None = column(12, "Port group of the network.", api="virDomainGetXMLDesc")
    filter: Name | None = column(13, "Network filter that guards it.", api="virDomainGetXMLDesc")
    receive_bytes: Octets | None = column(20, "What the guest received.", api="virDomainInterfaceStats", stats="net.<num>.rx.bytes")
    receive_packets: Packets | None = column(21, "Packets that the guest received.", api="virDomainInterfaceStats", stats="net.<num>.rx.pkts")
    receive_errors: Events | None = column(22, "Errors on the way to the guest.", api="virDomainInterfaceStats", stats="net.<num>.rx.errs")
    receive_drops: Events | None = column(23, "Packets dropped on the way to the guest.", api="virDomainInterfaceStats", stats="net.<num>.rx.drop")
    transmit_bytes: Octets | None = column(24, "What the guest sent.", api="virDomainInterfaceStats", stats="net.<num>.tx.bytes")
    transmit_packets: Packets | None = column(25, "Packets that the guest sent.", api="virDomainInterfaceStats", stats="net.<num>.tx.pkts")
    transmit_errors: Events | None = column(26, "Errors on the way from the guest.", api="virDomainInterfaceStats", stats="net.<num>.tx.errs")
    transmit_drops: Events | None = column(27, "Packets dropped on the way from the guest.", api="virDomainInterfaceStats", stats="net.<num>.tx.drop")
