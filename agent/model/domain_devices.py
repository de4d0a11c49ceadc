"""The devices of a domain: attaching, detaching, changing them."""

from agent.model.domain import Domain, ModificationImpact
from agent.schema.declare import Access, Event, Operation, Row, argument
from agent.schema.types import Flag, Name, Xml

IMPACT = "What the change applies to."


class AttachDevice(
    Operation, on=Domain, number=80, needs=Access.DEFINE, api=("virDomainAttachDeviceFlags", "virDomainAttachDevice")
):
    """Give the domain one more device."""

    xml: Xml = argument(1, "The device, as an element of libvirt's domain XML.")
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class DetachDevice(
    Operation, on=Domain, number=81, needs=Access.DEFINE, api=("virDomainDetachDeviceFlags", "virDomainDetachDevice")
):
    """Take a device away. A running guest is asked to let go of it: it is gone when its row is, and stays if the guest does not
    listen."""

    xml: Xml = argument(1, "The device, as an element of libvirt's domain XML: so much of it as tells it from others.")
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


class UpdateDevice(Operation, on=Domain, number=82, needs=Access.DEFINE, api="virDomainUpdateDeviceFlags"):
    """Change a device of the domain: the medium in a drive, the network behind an interface, its link, and the like."""

    xml: Xml = argument(1, "The whole device as it is to be, as an element of libvirt's domain XML.")
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))
    force: Flag = argument(3, "Even if the guest has locked it, such as the tray of a drive.", default=False)


class DetachDeviceAlias(Operation, on=Domain, number=83, needs=Access.DEFINE, api="virDomainDetachDeviceAlias"):
    """Take away the device that libvirt, or whoever defined it, gave this name. A running guest is asked to let go of it."""

    alias: Name = argument(1, "The alias of the device, such as net0.")
    impact: ModificationImpact = argument(2, IMPACT, default=ModificationImpact(0))


ROWS: tuple[type[Row], ...] = ()
OPERATIONS: tuple[type[Operation], ...] = (AttachDevice, DetachDevice, UpdateDevice, DetachDeviceAlias)
EVENTS: tuple[type[Event], ...] = ()
