"""The nwfilter binding: a nwfilter in force on a port of a guest."""

from agent.model.domain import Domain
from agent.model.host import Host
from agent.model.nwfilter import NwFilter
from agent.schema.declare import (
    Access,
    Association,
    Event,
    Operation,
    Row,
    argument,
    column,
    constant,
    key,
    out,
    spelled,
    taken,
)
from agent.schema.types import Flags, Mac, Name, Text, Timestamp, Uuid, Xml


class NwFilterBinding(
    Row, table=81, cim="CIM_SettingData", abbreviation="Binding", action=3,
    fills={
        "InstanceID": spelled("virtmap:nwfilterbinding/{0}", "port"),
        "ElementName": taken("filter_name", "port", how="{0} on {1}".format),
        "ChangeableType": constant(3),
    },
    nulls={
        "Caption": "ElementName says it already.",
        "Description": "ElementName says it already.",
        "ConfigurationName": "ElementName says it already.",
    },
):  # fmt: skip
    """A network filter in force on the host's end of a guest's network interface."""

    port: Name = key(2, "The host's end of the interface, such as vnet0.", api=("virNWFilterBindingGetPortDev", "virConnectListAllNWFilterBindings"))
    filter_name: Name | None = column(4, "Name of the filter.", api="virNWFilterBindingGetFilterName")
    filter: Uuid | None = column(
        5, "UUID of the filter.", api="virNWFilterGetUUIDString", ref=NwFilter,
        association=Association(
            name="Virtmap_FilterOfBinding", base="CIM_Dependency", far="Antecedent", near="Dependent",
            description="The network filter that is in force by a binding.",
        ),
    )  # fmt: skip
    owner_name: Name | None = column(6, "Name of the guest.", api="virNWFilterBindingGetXMLDesc")
    owner: Uuid | None = column(
        7, "UUID of the guest.", api="virNWFilterBindingGetXMLDesc", ref=Domain,
        association=Association(
            name="Virtmap_FilteredDomain", base="CIM_ElementSettingData", far="ManagedElement", near="SettingData",
            description="The domain whose traffic a network filter is in force on.",
        ),
    )  # fmt: skip
    mac: Mac | None = column(8, "MAC address of the guest's interface.", api="virNWFilterBindingGetXMLDesc")
    link_device: Name | None = column(9, "The device of the host that the port is linked to, if it is not plugged into a bridge.", api="virNWFilterBindingGetXMLDesc")
    parameters: Text | None = column(10, "Values for the variables of the filter, one a line: name=value.", api="virNWFilterBindingGetXMLDesc")
    host: Name | None = column(
        11, "The host that the binding is on.", api="virConnectListAllNWFilterBindings", ref=Host,
        association=Association(
            name="Virtmap_HostedFilterBinding", base="CIM_HostedDependency", far="Antecedent", near="Dependent",
            description="The host that a binding of a network filter is on.",
        ),
    )  # fmt: skip
    refreshed: Timestamp | None = column(90, "When this row was read from the hypervisor.")
    problem: Text | None = column(91, "Why the last attempt to read it failed; empty when it did not.")


class BindingCreateFlags(Flags):
    """How the description of a binding is taken."""

    VALIDATE = 1, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_NWFILTER_BINDING_CREATE_VALIDATE"


class CreateNwFilterBinding(Operation, on=Host, number=16, needs=Access.DEFINE, api="virNWFilterBindingCreateXML", makes=NwFilterBinding):
    """Put a filter in force on a network device of the host. libvirt itself does so whenever a guest starts."""

    xml: Xml = argument(1, "The device, the filter and its variables, as libvirt's network filter binding XML.")
    flags: BindingCreateFlags = argument(2, "How the description is taken.", default=BindingCreateFlags(0))
    port: Name | None = out(3, "The device that is now filtered.")


class DeleteNwFilterBinding(Operation, on=NwFilterBinding, number=1, needs=Access.DEFINE, api="virNWFilterBindingDelete", destroys="The binding: nothing keeps the guest from sending and receiving what it likes."):
    """Take the filter off the port, whose traffic is then not filtered any more."""


class ReadNwFilterBindingXml(Operation, on=NwFilterBinding, number=2, needs=Access.OBSERVE, api="virNWFilterBindingGetXMLDesc"):
    """Read the description of the binding."""

    xml: Xml | None = out(1, "The description, as libvirt's network filter binding XML.")


ROWS: tuple[type[Row], ...] = (NwFilterBinding,)
OPERATIONS: tuple[type[Operation], ...] = (CreateNwFilterBinding, DeleteNwFilterBinding, ReadNwFilterBindingXml)
EVENTS: tuple[type[Event], ...] = ()
