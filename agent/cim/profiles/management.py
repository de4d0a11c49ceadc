"""The service of a host that makes, changes and removes domains, and what it can do (DSP1042). What its methods do is told in
`service`.
"""

from __future__ import annotations

from agent.cim import statechange
from agent.cim.profiles.resources import AFFECTS, CAPABILITIES, HOSTED_SERVICE
from agent.cim.profiles.view import Tie, View
from agent.model import Domain, Host
from agent.model.element import ENABLED
from agent.schema.declare import constant, spelled, taken

__all__ = ["SERVICE", "TIES", "VIEWS"]

#: The service, by the name of its class without prefix.
SERVICE = "VirtualSystemManagementService"

#: CIM_VirtualSystemManagementCapabilities: define, destroy, modify resources and system, remove and add resources.
_METHODS = (2, 3, 5, 6, 7, 10)

#: CIM_EnabledLogicalElementCapabilities.StateAwareness: states change by themselves, and on request.
_AWARE = (2, 3)

#: What libvirt calls a domain's type, by the driver of the host.
_TYPES = {"qemu": ("kvm", "qemu"), "xen": ("xen",), "lxc": ("lxc",)}

_NULLS = {"Caption": "ElementName says it already.", "Description": "ElementName says it already."}

_SERVICE = View(
    name=SERVICE, row=Host, cim="CIM_VirtualSystemManagementService",
    description=(
        "Makes, changes and removes the domains of a host. What a method cannot do is told by a CIM error in words, save for "
        "what the profile has a return value for: 1 for a resource or a change that the service does not know, 5 for a domain in "
        "another state, 6 for settings that contradict each other. Each method needs the access level of the operations that it "
        "is made of: define, or operate to change how much a domain has of processors and memory. The image of a disk is a path "
        "of the host, in the format that the end of its name tells, or a volume as pool/volume."
    ),
    fills={
        "Name": constant("management"),
        "ElementName": taken("hypervisor", how="Management of the domains of {0}".format),
        "OperationalStatus": taken("connected", how=lambda connected: (2,) if connected else (13,)),
        "HealthState": taken("connected", how=lambda connected: 5 if connected else 0),
        "EnabledState": taken("connected", how=lambda connected: 2 if connected else 6),
        "RequestedState": constant(12),
        "Started": taken("connected"),
    },
    nulls={
        **{reason: why for reason, why in ENABLED.items() if reason != "InstanceID"},
        "InstanceID": "Name is the key.",
        "Description": "ElementName says it already.",
        "PrimaryOwnerName": "libvirt knows no owner.",
        "PrimaryOwnerContact": "libvirt knows no owner.",
    },
)  # fmt: skip
_CAPABILITIES = View(
    name="VirtualSystemManagementCapabilities", row=Host, cim="CIM_VirtualSystemManagementCapabilities",
    description="What the service that makes, changes and removes the domains of a host can do.",
    fills={
        "InstanceID": spelled("virtmap:{0}/management/capabilities", "hypervisor"),
        "ElementName": taken("hypervisor", how="Capabilities of the management of {0}".format),
        "ElementNameEditSupported": constant(False),
        "RequestedStatesSupported": constant(()),
        "VirtualSystemTypesSupported": taken("driver", how=lambda driver: _TYPES.get(driver.lower(), (driver.lower(),))),
        "SynchronousMethodsSupported": constant(_METHODS),
        "AsynchronousMethodsSupported": constant(()),
        "IndicationsSupported": constant(()),  # those that the profile means; what happens to domains comes as alerts
    },
    nulls={
        **_NULLS,
        "MaxElementNameLen": "ElementName cannot be changed.",
        "ElementNameMask": "ElementName cannot be changed.",
        "StateAwareness": "The service has no states of its own.",
    },
)  # fmt: skip
_STATES = View(
    name="DomainCapabilities", row=Host, cim="CIM_EnabledLogicalElementCapabilities",
    description="Which states the domains of a host can be asked to take.",
    fills={
        "InstanceID": spelled("virtmap:{0}/domain/capabilities", "hypervisor"),
        "ElementName": constant("Capabilities of a domain"),
        "ElementNameEditSupported": constant(False),
        "RequestedStatesSupported": constant(statechange.states_of(Domain)),
        "StateAwareness": constant(_AWARE),
    },
    nulls={
        **_NULLS,
        "MaxElementNameLen": "ElementName cannot be changed.",
        "ElementNameMask": "ElementName cannot be changed.",
    },
)  # fmt: skip

VIEWS = (_SERVICE, _CAPABILITIES, _STATES)

_MANAGES = {"ElementEffects": (5,)}
_CURRENT = {"Characteristics": (3,)}

TIES = (
    Tie(association=HOSTED_SERVICE, near=SERVICE, far="Host"),
    Tie(association=AFFECTS, near="Domain", far=SERVICE, constants=_MANAGES),
    Tie(association=CAPABILITIES, near="VirtualSystemManagementCapabilities", far="Host", constants=_CURRENT),
    Tie(association=CAPABILITIES, near="VirtualSystemManagementCapabilities", far=SERVICE, constants=_CURRENT),
    Tie(association=CAPABILITIES, near="Domain", far="DomainCapabilities", swapped=True, constants=_CURRENT),
)
