"""The nwfilter: rules for the traffic of guests."""

from agent.model.host import Host
from agent.schema.declare import Access, Association, Event, Operation, Row, argument, column, constant, key, out
from agent.schema.types import Count, Flags, Name, Number, Text, Timestamp, Uuid, Xml


class NwFilter(
    Row, table=80, cim="CIM_FilterList", abbreviation="Filter", action=3,
    fills={
        "OperationalStatus": constant((2,)),
        "HealthState": constant(5),
    },
    nulls={
        "InstanceID": "The class has key properties of its own.",
        "Caption": "ElementName says it already.",
        "Description": "ElementName says it already.",
        "InstallDate": "libvirt does not record when an object came to be.",
        "StatusDescriptions": "A filter is only a text, with nothing that could fail.",
        "CommunicationStatus": "The age of the rows tells whether the hypervisor answers.",
        "DetailedStatus": "A filter is only a text, with nothing that could fail.",
        "OperatingStatus": "A filter is only a text, with nothing that could fail.",
        "PrimaryStatus": "HealthState says it already.",
        "Direction": "Each rule has its own.",
    },
):  # fmt: skip
    """A network filter: rules for what guests may send and receive. It is in force where a binding names it."""

    uuid: Uuid = key(2, "Identifies the filter.", api=("virNWFilterGetUUIDString", "virNWFilterGetUUID"), cim="Name")
    name: Name | None = column(4, "Name of the filter, unique on its host.", api="virNWFilterGetName", cim="ElementName")
    chain: Name | None = column(5, "The chain of the firewall that its rules are in, such as root, ipv4 or arp.", api="virNWFilterGetXMLDesc")
    priority: Number | None = column(6, "Turn of its chain; lower numbers come first. None if libvirt chooses.", api="virNWFilterGetXMLDesc")
    rules: Count | None = column(7, "Rules of its own.", api="virNWFilterGetXMLDesc")
    references: Text | None = column(8, "Names of the other filters that it takes in, one a line, in their order.", api="virNWFilterGetXMLDesc")
    host: Name | None = column(
        9, "The host that the filter is on.", api=("virConnectListAllNWFilters", "virConnectListNWFilters", "virConnectNumOfNWFilters"), ref=Host,
        association=Association(
            name="Virtmap_HostedNwFilter", base="CIM_HostedDependency", far="Antecedent", near="Dependent",
            description="The host that a network filter is on.",
        ),
    )  # fmt: skip
    refreshed: Timestamp | None = column(90, "When this row was read from the hypervisor.")
    problem: Text | None = column(91, "Why the last attempt to read it failed; empty when it did not.")


class NwFilterDefineFlags(Flags):
    """How the definition of a filter is taken."""

    VALIDATE = 1, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_NWFILTER_DEFINE_VALIDATE"


class DefineNwFilter(Operation, on=Host, number=15, needs=Access.DEFINE, api=("virNWFilterDefineXMLFlags", "virNWFilterDefineXML"), makes=NwFilter, destroys="The rules of the filter of this UUID before; guests that use it get the new ones at once."):
    """Define a network filter, or redefine the one that has this UUID, which changes the rules of running guests."""

    xml: Xml = argument(1, "The definition, as libvirt's network filter XML.")
    flags: NwFilterDefineFlags = argument(2, "How the definition is taken.", default=NwFilterDefineFlags(0))
    uuid: Uuid | None = out(3, "UUID of the filter that is now defined.")


class UndefineNwFilter(Operation, on=NwFilter, number=1, needs=Access.DEFINE, api="virNWFilterUndefine", destroys="The definition."):
    """Remove the filter. libvirt refuses while a guest or another filter uses it."""


class ReadNwFilterXml(Operation, on=NwFilter, number=2, needs=Access.OBSERVE, api="virNWFilterGetXMLDesc"):
    """Read the definition of the filter."""

    xml: Xml | None = out(1, "The definition, as libvirt's network filter XML.")


ROWS: tuple[type[Row], ...] = (NwFilter,)
OPERATIONS: tuple[type[Operation], ...] = (DefineNwFilter, UndefineNwFilter, ReadNwFilterXml)
EVENTS: tuple[type[Event], ...] = ()
