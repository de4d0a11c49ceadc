"""The Interop namespace: the server's account of itself, where clients look for it first (DSP1033, DSP1054).

Which server this is and how it is reached, its namespaces, the profiles that it follows, and the service that delivers
indications. All this is fixed while the server runs, and comes as instances whose associations are instances as well.
What changes is not here: filters, destinations and subscriptions are agent.cim.indications.subscriptions', and which rows conform
to a profile follows from their class (`bridges`), so that it costs no request anything.

The system that all of it is scoped by is a CIM_ComputerSystem of its own, the machine that the agent runs on: not a
Virtmap_Host, which stands for a connection, of which there may be several, and to machines elsewhere.

A profile is registered when everything that it makes mandatory is here, and not before. System Virtualization (DSP1042), Virtual
System (DSP1057), Resource Allocation (DSP1041) and Allocation Capabilities (DSP1043) are followed by the views of
agent.cim.profiles, Record Log (DSP1010) by the rows of logs, whose scoping systems are domains. CPU (DSP1022), Computer System
(DSP1052) and the profiles of single resources (DSP1044 to DSP1050) want more than libvirt tells: clock rates, reservations. All
rows follow virtmap's own mapping.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pywbem

from agent.cim import namespaces
from agent.cim.classes import CHILD_NAMESPACE, INDICATION_SERVICE, VERSION
from agent.cim.held import Bridge
from agent.cim.indications import created
from agent.cim.profiles import resources
from agent.schema import dmtf

__all__ = [
    "CLASSES",
    "NAMESPACE",
    "PROFILES",
    "Authentication",
    "Delivery",
    "Function",
    "Mechanism",
    "Profile",
    "Removal",
    "affects",
    "bridges",
    "child_namespaces",
    "conformance",
    "instances",
    "service_path",
    "system_keys",
]

NAMESPACE = namespaces.INTEROP

#: The classes that the namespace shows, without their superclasses.
CLASSES = namespaces.INTEROP_CLASSES

#: CIM_Namespace.ClassInfo: other than the old versions that it numbers.
_OTHER = 1

#: CIM_RegisteredSpecification.RegisteredOrganization.
_OTHER_ORGANIZATION, _DMTF = 1, 2

#: CIM_ServiceAffectsElement.ElementEffects: it manages the element.
_MANAGES = 5

#: What a thing says of itself that runs as long as the server answers.
_RUNS = {"EnabledState": 2, "RequestedState": 12, "OperationalStatus": [2]}


# --- what the server is told about itself -----------------------------------------------------------------------------


class Function(enum.IntEnum):
    """Groups of operations of DSP0200, as CIM_ObjectManagerCommunicationMechanism numbers them."""

    BASIC_READ = 2
    BASIC_WRITE = 3
    SCHEMA_MANIPULATION = 4
    INSTANCE_MANIPULATION = 5
    ASSOCIATION_TRAVERSAL = 6
    QUERY_EXECUTION = 7
    QUALIFIER_DECLARATION = 8
    INDICATIONS = 9
    PULLED_READ = 10
    PULLED_READ_COUNT = 11
    PULLED_QUERY_EXECUTION = 12


class Authentication(enum.IntEnum):
    """How a client says who it is, as CIM_ObjectManagerCommunicationMechanism numbers it."""

    CERTIFICATE = 1  # other: the value has no number of its own
    NONE = 2
    BASIC = 3


class Removal(enum.IntEnum):
    """CIM_IndicationService.SubscriptionRemovalAction."""

    REMOVE = 2
    DISABLE = 3
    IGNORE = 4


@dataclass(frozen=True, kw_only=True)
class Mechanism:
    """CIM-XML over one kind of URL, `http` or `https`."""

    scheme: str
    authentication: tuple[Authentication, ...] = (Authentication.BASIC,)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How indications are delivered. Intervals are seconds; `destinations` and `subscriptions` are the most there can be."""

    retry_attempts: int
    retry_interval: int
    removal: Removal
    removal_interval: int
    destinations: int
    subscriptions: int
    persisted: bool = True


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A profile that the server follows. All instances of the classes in ``central``, of root/virtmap, conform to it."""

    name: str
    version: str
    publisher: str | None = None  # None is the DMTF
    builds_on: tuple[Profile, ...] = ()
    central: tuple[str, ...] = ()

    @property
    def path(self) -> Any:
        """The path of its CIM_RegisteredProfile."""
        identity = f"virtmap:profile/{self.publisher or 'DMTF'}/{self.name}/{self.version}"
        return pywbem.CIMInstanceName(
            "CIM_RegisteredProfile", keybindings={"InstanceID": identity}, namespace=NAMESPACE
        )


REGISTRATION = Profile(name="Profile Registration", version="1.0.0")
INDICATIONS = Profile(name="Indications", version="1.2.2", builds_on=(REGISTRATION,))
ALLOCATION_CAPABILITIES = Profile(
    name="Allocation Capabilities",
    version="1.0.0",
    builds_on=(REGISTRATION,),
    central=tuple(f"Virtmap_{kind}AllocationCapabilities" for kind in ("Processor", "Memory", "Disk", "Nic")),
)
RESOURCE_ALLOCATION = Profile(
    name="Resource Allocation",
    version="1.1.0",
    builds_on=(REGISTRATION, ALLOCATION_CAPABILITIES),
    central=tuple(f"Virtmap_{name}" for name in resources.POOL_CLASSES),
)
VIRTUAL_SYSTEM = Profile(
    name="Virtual System", version="1.0.0", builds_on=(REGISTRATION, RESOURCE_ALLOCATION), central=("Virtmap_Domain",)
)
SYSTEM_VIRTUALIZATION = Profile(
    name="System Virtualization",
    version="1.0.0",
    builds_on=(REGISTRATION, VIRTUAL_SYSTEM, RESOURCE_ALLOCATION, ALLOCATION_CAPABILITIES),
    central=("Virtmap_Host",),
)
RECORD_LOG = Profile(name="Record Log", version="2.0.0", builds_on=(REGISTRATION,), central=("Virtmap_Log",))
MAPPING = Profile(
    name="virtmap mapping",
    version=VERSION,
    publisher="virtmap",
    builds_on=(REGISTRATION, INDICATIONS, RECORD_LOG),
    central=("Virtmap_Host", "Virtmap_Domain"),
)

#: Every profile, those built upon first. Indications is registered only where they are delivered.
PROFILES = (
    REGISTRATION,
    INDICATIONS,
    ALLOCATION_CAPABILITIES,
    RESOURCE_ALLOCATION,
    VIRTUAL_SYSTEM,
    SYSTEM_VIRTUALIZATION,
    RECORD_LOG,
    MAPPING,
)


# --- names ------------------------------------------------------------------------------------------------------------


def system_keys(host: str) -> dict[str, str]:
    """The keys by which everything in the namespace names the system that it belongs to."""
    return {"SystemCreationClassName": "CIM_ComputerSystem", "SystemName": host}


def service_path(host: str) -> Any:
    """The path of the indication service."""
    return _path(INDICATION_SERVICE, {**system_keys(host), **_created(INDICATION_SERVICE, "indications")})


def _created(name: str, identity: str) -> dict[str, str]:
    return {"CreationClassName": name, "Name": identity}


def _path(name: str, keys: dict[str, Any]) -> Any:
    return pywbem.CIMInstanceName(name, keybindings=keys, namespace=NAMESPACE)


def _instance(name: str, **values: Any) -> Any:
    """An instance with every property of its class, null where no value is given, and its path. KeyError for any other."""
    if unknown := values.keys() - dmtf.inherited_properties(name).keys():
        raise KeyError(f"{name} has no property {', '.join(sorted(unknown))}")
    return created.instance(name, values)


# --- the instances ----------------------------------------------------------------------------------------------------


def instances(
    host: str,
    version: str,
    names: Iterable[str] = namespaces.NAMES,
    *,
    mechanisms: Sequence[Mechanism] = (),
    functions: Sequence[Function] = (Function.BASIC_READ, Function.ASSOCIATION_TRAVERSAL),
    delivery: Delivery | None = None,
) -> list[Any]:
    """The instances of the namespace, as pywbem.CIMInstance with their paths; associations refer by paths without host.

    ``host`` is the name of this machine, ``names`` are those of the namespaces. Without ``delivery`` there is neither
    an indication service nor the profile of indications.
    """
    system = _system(host)
    manager = _manager(host, version)
    found = [system, manager, _hosted("CIM_HostedService", system, manager)]
    for name in names:
        space = _namespace(manager, name)
        found += [space, _dependency("CIM_NamespaceInManager", manager.path, space.path)]
    for each in mechanisms:
        mechanism = _mechanism(host, each, functions)
        found += [
            mechanism,
            _hosted("CIM_HostedAccessPoint", system, mechanism),
            _dependency("CIM_CommMechanismForManager", manager.path, mechanism.path),
        ]
    if delivery is not None:
        found += _delivery(host, system, delivery)
    return [*found, *_profiles([p for p in PROFILES if p is not INDICATIONS or delivery is not None], host)]


def child_namespaces(above: str, names: Iterable[str] = namespaces.NAMES) -> list[Any]:
    """The instances of the pseudo-class __Namespace in a namespace: one for each namespace directly below it."""
    return [
        pywbem.CIMInstance(
            CHILD_NAMESPACE,
            properties={"Name": name},
            path=pywbem.CIMInstanceName(CHILD_NAMESPACE, keybindings={"Name": name}, namespace=above),
        )
        for name in namespaces.children(above, names)
    ]


def _system(host: str) -> Any:
    return _instance(
        "CIM_ComputerSystem",
        **_created("CIM_ComputerSystem", host),
        **_RUNS,
        NameFormat="Other",
        ElementName=host,
        Description="The computer that virtmap runs on.",
        HealthState=0,
        ResetCapability=5,
    )


def _manager(host: str, version: str) -> Any:
    return _instance(
        "CIM_ObjectManager",
        **system_keys(host),
        **_created("CIM_ObjectManager", "virtmap"),
        **_RUNS,
        ElementName="virtmap",  # clients take the brand from here
        Description=f"virtmap version {version}",  # and the version out of this
        HealthState=5,
        Started=True,
        GatherStatisticalData=False,
    )


def _namespace(manager: Any, name: str) -> Any:
    return _instance(
        "CIM_Namespace",
        SystemCreationClassName=manager["SystemCreationClassName"],
        SystemName=manager["SystemName"],
        ObjectManagerCreationClassName=manager["CreationClassName"],
        ObjectManagerName=manager["Name"],
        **_created("CIM_Namespace", name),
        ElementName=name,
        ClassInfo=_OTHER,
        DescriptionOfClassInfo="CIM 2.49",
    )


def _mechanism(host: str, mechanism: Mechanism, functions: Sequence[Function]) -> Any:
    others = [
        "Certificate of the client, by TLS" if a is Authentication.CERTIFICATE else None
        for a in mechanism.authentication
    ]
    return _instance(
        "CIM_CIMXMLCommunicationMechanism",
        **system_keys(host),
        **_created("CIM_CIMXMLCommunicationMechanism", f"cim-xml:{mechanism.scheme}"),
        **_RUNS,
        ElementName=f"CIM-XML over {mechanism.scheme.upper()}",
        HealthState=5,
        CommunicationMechanism=2,
        FunctionalProfilesSupported=[int(f) for f in functions],
        MultipleOperationsSupported=False,
        AuthenticationMechanismsSupported=[int(a) for a in mechanism.authentication],
        AuthenticationMechanismDescriptions=others if any(others) else None,
        Version="1.0",
        AdvertiseTypes=[2],
        CIMXMLProtocolVersion=1,
        CIMValidated=False,
    )


def _dependency(name: str, antecedent: Any, dependent: Any) -> Any:
    return _instance(name, Antecedent=antecedent, Dependent=dependent)


def _hosted(name: str, system: Any, hosted: Any) -> Any:
    return _dependency(name, system.path, hosted.path)


def _delivery(host: str, system: Any, delivery: Delivery) -> list[Any]:
    """The indication service, what it is capable of, and its system."""
    service = _instance(
        "CIM_IndicationService",
        **service_path(host).keybindings,
        **_RUNS,
        ElementName="Delivery of indications",
        HealthState=5,
        Started=True,
        FilterCreationEnabled=True,
        DeliveryRetryAttempts=delivery.retry_attempts,
        DeliveryRetryInterval=delivery.retry_interval,
        SubscriptionRemovalAction=int(delivery.removal),
        SubscriptionRemovalTimeInterval=delivery.removal_interval,
    )
    service.classname, service.path = INDICATION_SERVICE, service_path(host)
    capabilities = _instance(
        "CIM_IndicationServiceCapabilities",
        InstanceID="virtmap:indications/capabilities",
        ElementName="What the delivery of indications is capable of",
        FilterCreationEnabledIsSettable=False,
        DeliveryRetryAttemptsIsSettable=False,
        DeliveryRetryIntervalIsSettable=False,
        SubscriptionRemovalActionIsSettable=False,
        SubscriptionRemovalTimeIntervalIsSettable=False,
        MaxListenerDestinations=delivery.destinations,
        MaxActiveSubscriptions=delivery.subscriptions,
        SubscriptionsPersisted=delivery.persisted,
    )
    has = _instance(
        "CIM_ElementCapabilities", ManagedElement=service.path, Capabilities=capabilities.path, Characteristics=[3]
    )
    return [service, capabilities, has, _hosted("CIM_HostedService", system, service)]


def affects(host: str, element: Any) -> Any:
    """The association of the indication service with a filter or a destination, given by its path."""
    return _instance(
        "CIM_ServiceAffectsElement",
        AffectedElement=element,
        AffectingElement=service_path(host),
        ElementEffects=[_MANAGES],
    )


# --- profiles ---------------------------------------------------------------------------------------------------------


def _profiles(profiles: Sequence[Profile], host: str) -> Iterator[Any]:
    """The profiles, how they build on each other, and what of this namespace conforms to them."""
    for profile in profiles:
        yield _instance(
            "CIM_RegisteredProfile",
            **profile.path.keybindings,
            ElementName=profile.name,
            SpecificationType=2,
            RegisteredOrganization=_DMTF if profile.publisher is None else _OTHER_ORGANIZATION,
            OtherRegisteredOrganization=profile.publisher,
            RegisteredName=profile.name,
            RegisteredVersion=profile.version,
            AdvertiseTypes=[2],
        )
        yield conformance(REGISTRATION.path, profile.path)
        for below in profile.builds_on:
            if below in profiles:
                yield _dependency("CIM_ReferencedProfile", below.path, profile.path)
    if INDICATIONS in profiles:
        yield conformance(INDICATIONS.path, service_path(host))


def conformance(profile: Any, element: Any) -> Any:
    """The association of a profile with an instance that conforms to it, both given by their paths."""
    return _instance("CIM_ElementConformsToProfile", ConformantStandard=profile, ManagedElement=element)


def bridges() -> list[Bridge]:
    """How profiles and the rows of root/virtmap are associated: all instances of a central class conform."""
    return [
        Bridge(
            association="CIM_ElementConformsToProfile",
            held_role="ConformantStandard",
            row_role="ManagedElement",
            path=profile.path,
            cls=name,
        )
        for profile in PROFILES
        for name in profile.central
    ]
