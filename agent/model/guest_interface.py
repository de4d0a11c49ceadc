"""The network interfaces inside a guest, and their addresses: from its agent, from leases of libvirt's networks, from the host's
neighbour table."""

from agent.model.domain import Domain
from agent.model.element import ELEMENT, ENABLED
from agent.schema.declare import Association, Row, column, constant, key, mapped, parent, taken
from agent.schema.types import Count, Enumeration, Mac, Name, Uuid


class AddressSource(Enumeration):
    """Where an address of a guest is known from."""

    LEASE = 1, "lease", "A DHCP server of libvirt's leased it; the guest may have gone since.", "VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE", {"AddressOrigin": 4}
    AGENT = 2, "agent", "The agent in the guest tells it.", "VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT", {"AddressOrigin": 0}
    ARP = 3, "arp", "The host has spoken with it: it stands in the host's neighbour table.", "VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP", {"AddressOrigin": 0}


class AddressType(Enumeration):
    """Which version of the Internet protocol an address is of."""

    IPV4 = 1, "ipv4", "Version 4.", "VIR_IP_ADDR_TYPE_IPV4", {"ProtocolIFType": 4096}
    IPV6 = 2, "ipv6", "Version 6.", "VIR_IP_ADDR_TYPE_IPV6", {"ProtocolIFType": 4097}


ENDPOINT = {
    **ENABLED,
    "InstanceID": ELEMENT["InstanceID"],
    "Description": "ElementName says it already.",
    "OtherTypeDescription": "ProtocolIFType is not other.",
}


def _name(source: AddressSource, *names: str) -> str:
    """The name of an endpoint: unique on its domain."""
    return "/".join((source.label, *names))


class GuestInterface(
    Row, table=14, of=Domain, cim="CIM_LANEndpoint", association=Association(
        name="Virtmap_DomainGuestInterface", base="CIM_HostedAccessPoint", far="Antecedent", near="Dependent",
        description="A network interface inside the guest of a domain.",
    ),
    fills={
        "Name": taken("source", "interface", how=_name),
        "NameFormat": constant("source/interface"),
        "ElementName": taken("interface"),
        "OperationalStatus": constant((0,)),
        "HealthState": constant(0),
        "EnabledState": constant(5),
        "RequestedState": constant(12),
        "ProtocolIFType": taken("mac", how=lambda mac: 24 if mac == "00:00:00:00:00:00" else 6),
        "MACAddress": taken("mac", how=lambda mac: mac.replace(":", "").upper()),
    },
    nulls={**ENDPOINT, "LANID": "The network of the domain's interface tells it."},
):  # fmt: skip
    """A network interface of a guest, as one of three sources knows it: the same interface can be known from each of them. By its
    MAC address it is found among the interfaces of the domain."""

    domain: Uuid = parent("UUID of the domain.")
    source: AddressSource = key(2, "Where it is known from.", api="virDomainInterfaceAddresses")
    interface: Name = key(3, "Its name: in the guest, such as eth0, if the agent tells it; otherwise that of the host's end, such as vnet0.", api=("virDomainInterfaceAddresses", "virDomainGetGuestInfo"))
    mac: Mac | None = column(4, "Its MAC address.", api=("virDomainInterfaceAddresses", "virDomainGetGuestInfo"))
    addresses: Count | None = column(5, "Addresses it has.", api=("virDomainInterfaceAddresses", "virDomainGetGuestInfo"))


class GuestAddress(
    Row, table=15, of=GuestInterface, cim="CIM_IPProtocolEndpoint", association=Association(
        name="Virtmap_GuestInterfaceAddress", base="CIM_BindsTo", far="Antecedent", near="Dependent",
        description="An address of a network interface inside a guest.",
    ),
    fills={
        "Name": taken("source", "interface", "address", how=_name),
        "NameFormat": constant("source/interface/address"),
        "ElementName": taken("address"),
        "OperationalStatus": constant((0,)),
        "HealthState": constant(0),
        "EnabledState": constant(5),
        "RequestedState": constant(12),
        "ProtocolIFType": mapped("type"),
        "IPv4Address": taken("address", "type", how=lambda address, kind: address if kind is AddressType.IPV4 else None),
        "IPv6Address": taken("address", "type", how=lambda address, kind: address if kind is AddressType.IPV6 else None),
        "AddressOrigin": mapped("source"),
        "IPv6SubnetPrefixLength": taken("prefix", "type", how=lambda prefix, kind: prefix if kind is AddressType.IPV6 else None),
        "SubnetMask": taken("prefix", "type", how=lambda prefix, kind: _mask(prefix) if kind is AddressType.IPV4 else None),
    },
    nulls=ENDPOINT,
):  # fmt: skip
    """An IP address of a guest."""

    domain: Uuid = parent("UUID of the domain.")
    source: AddressSource = parent("Where the interface is known from.")
    interface: Name = parent("Name of the interface.")
    address: Name = key(2, "The address.", api=("virDomainInterfaceAddresses", "virDomainGetGuestInfo"))
    type: AddressType | None = column(3, "Which version of the protocol it is of.", api=("virDomainInterfaceAddresses", "virDomainGetGuestInfo"))
    prefix: Count | None = column(4, "How many of its bits tell the subnet.", api=("virDomainInterfaceAddresses", "virDomainGetGuestInfo"))


def _mask(prefix: int) -> str | None:
    """The mask of an IPv4 subnet; None for a length that none can have: it is the guest who tells it."""
    if prefix > 32:
        return None
    bits = (1 << 32) - (1 << (32 - prefix))
    return ".".join(str(bits >> shift & 255) for shift in (24, 16, 8, 0))
