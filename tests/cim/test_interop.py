"""What the server says of itself in the Interop namespace, and which classes each namespace shows."""

import pathlib
from typing import Any

import pytest
import pywbem
import pywbem_mock

from agent.cim import interop, namespaces, text
from agent.cim.classes import build
from agent.cim.interop import Authentication, Delivery, Function, Mechanism, Removal
from agent.cim.repository import Detail, Repository
from agent.model import MODEL

SCHEMA = build(MODEL)
SHOWN = {name: Repository(SCHEMA, names) for name, names in namespaces.shown(SCHEMA).items()}
DELIVERY = Delivery(
    retry_attempts=3,
    retry_interval=30,
    removal=Removal.DISABLE,
    removal_interval=86_400,
    destinations=200,
    subscriptions=500,
)
BOTH = (
    Mechanism(scheme="http", authentication=(Authentication.NONE,)),
    Mechanism(scheme="https", authentication=(Authentication.BASIC, Authentication.CERTIFICATE)),
)
FUNCTIONS = (Function.BASIC_READ, Function.ASSOCIATION_TRAVERSAL, Function.INDICATIONS)


def made(delivery: Delivery | None = DELIVERY) -> list[Any]:
    return interop.instances("here.example", "1.2.3", mechanisms=BOTH, functions=FUNCTIONS, delivery=delivery)


def of(name: str, delivery: Delivery | None = DELIVERY) -> list[Any]:
    return [i for i in made(delivery) if i.classname == name]


def related(name: str, path: Any, role: str) -> list[Any]:
    """The paths at the other ends of the associations of that class in which the instance plays the role."""
    ends = [i for i in of(name) if i[role] == path]
    return [i[other] for i in ends for other in i.path.keybindings if other != role]


# --- every instance


@pytest.mark.parametrize("instance", made(), ids=lambda i: i.path.to_wbem_uri(format="canonical")[-60:])
def test_an_instance_is_whole_and_of_a_class_that_the_namespace_shows(instance: Any) -> None:
    cls = SHOWN[namespaces.INTEROP].resolved(instance.classname, Detail(local_only=False))
    assert "Abstract" not in cls.qualifiers
    assert list(instance.properties) == list(cls.properties)
    assert instance.path.namespace == namespaces.INTEROP
    assert instance.path.host is None
    for name, declared in cls.properties.items():
        value = instance[name]
        assert (instance.properties[name].type, instance.properties[name].is_array) == (
            declared.type,
            declared.is_array,
        )
        assert ("Key" in declared.qualifiers) is (name in instance.path.keybindings)
        if "Key" in declared.qualifiers or "Required" in declared.qualifiers:
            assert value is not None, name
        if "ValueMap" in declared.qualifiers and value is not None:
            listed = [str(v) for v in (value if declared.is_array else [value])]
            assert set(listed) <= set(declared.qualifiers["ValueMap"].value), name


def test_paths_are_unique_and_every_reference_leads_to_an_instance_of_its_class() -> None:
    instances = made()
    paths = [i.path for i in instances]
    assert len(set(paths)) == len(paths)
    for instance in instances:
        cls = SHOWN[namespaces.INTEROP].resolved(instance.classname, Detail(local_only=False))
        for name, p in instance.properties.items():
            if p.type == "reference":
                assert p.value in paths
                assert SCHEMA.is_a(p.value.classname, cls.properties[name].reference_class)


def test_an_instance_has_only_what_its_class_has() -> None:
    with pytest.raises(KeyError, match="CIM_Namespace has no property Nonsense"):
        interop._instance("CIM_Namespace", Nonsense=1)


# --- the server


def test_the_server_says_who_it_is_and_on_which_system_it_runs() -> None:
    (manager,) = of("CIM_ObjectManager")
    (system,) = of("CIM_ComputerSystem")
    assert (manager["ElementName"], manager["Description"]) == ("virtmap", "virtmap version 1.2.3")
    assert (system["Name"], system["OperationalStatus"]) == ("here.example", [2])
    assert interop.system_keys("here.example") == {
        "SystemCreationClassName": system["CreationClassName"],
        "SystemName": system["Name"],
    }
    assert set(related("CIM_HostedService", system.path, "Antecedent")) == {
        manager.path,
        interop.service_path("here.example"),
    }
    assert len(related("CIM_HostedAccessPoint", system.path, "Antecedent")) == len(BOTH)


def test_the_server_says_how_it_is_reached() -> None:
    plain, secure = of("CIM_CIMXMLCommunicationMechanism")
    assert (plain["Name"], plain["AuthenticationMechanismsSupported"]) == ("cim-xml:http", [2])
    assert plain["AuthenticationMechanismDescriptions"] is None
    assert secure["AuthenticationMechanismsSupported"] == [3, 1]
    assert secure["AuthenticationMechanismDescriptions"] == [None, "Certificate of the client, by TLS"]
    assert (secure["MultipleOperationsSupported"], secure["Version"], secure["CIMXMLProtocolVersion"]) == (
        False,
        "1.0",
        1,
    )
    assert secure["FunctionalProfilesSupported"] == [2, 6, 9]


def test_every_namespace_is_named() -> None:
    assert [i["Name"] for i in of("CIM_Namespace")] == [
        "root", "root/virtmap", "interop", "root/interop", "root/cimv2", "root/virt",
    ]  # fmt: skip
    assert len(of("CIM_NamespaceInManager")) == len(namespaces.NAMES)


def test_a_namespace_knows_those_below_it() -> None:
    below = interop.child_namespaces("root")
    assert [i["Name"] for i in below] == ["cimv2", "interop", "virt", "virtmap"]
    assert {(i.path.namespace, i.path.classname) for i in below} == {("root", "__Namespace")}
    assert namespaces.children("a", ["a/b/c", "a/b", "ab", "A/d"]) == ["b", "d"]
    assert interop.child_namespaces("interop") == []


# --- indications


def test_the_indication_service_tells_how_it_delivers() -> None:
    (service,) = of("Virtmap_IndicationService")
    assert service.path == interop.service_path("here.example")
    assert service["FilterCreationEnabled"] is True
    assert (service["DeliveryRetryAttempts"], service["DeliveryRetryInterval"]) == (3, 30)
    assert (service["SubscriptionRemovalAction"], service["SubscriptionRemovalTimeInterval"]) == (3, 86_400)
    (path,) = related("CIM_ElementCapabilities", service.path, "ManagedElement")
    (capabilities,) = of("CIM_IndicationServiceCapabilities")
    assert path == capabilities.path
    assert (capabilities["MaxListenerDestinations"], capabilities["MaxActiveSubscriptions"]) == (200, 500)


def test_the_indication_service_manages_what_clients_make() -> None:
    keys = {**interop.system_keys("here.example"), "CreationClassName": "CIM_IndicationFilter", "Name": "mine"}
    path = pywbem.CIMInstanceName("CIM_IndicationFilter", keybindings=keys, namespace="interop")
    association = interop.affects("here.example", path)
    assert association["AffectedElement"] == path
    assert association["AffectingElement"] == interop.service_path("here.example")
    assert association["ElementEffects"] == [5]


def test_without_delivery_nothing_is_said_of_indications() -> None:
    named = {i.classname for i in made(None)}
    assert "CIM_IndicationService" not in named
    registered = {i["RegisteredName"] for i in of("CIM_RegisteredProfile", None)}
    assert "Indications" not in registered
    assert {"Profile Registration", "virtmap mapping"} <= registered


# --- profiles


def test_profiles_are_registered_with_who_published_them() -> None:
    registered = {i["RegisteredName"]: i for i in of("CIM_RegisteredProfile")}
    assert set(registered) == {
        "Profile Registration", "Indications", "Allocation Capabilities", "Resource Allocation", "Virtual System",
        "System Virtualization", "Record Log", "virtmap mapping",
    }  # fmt: skip
    assert registered["Indications"]["RegisteredOrganization"] == 2
    own = registered["virtmap mapping"]
    assert (own["RegisteredOrganization"], own["OtherRegisteredOrganization"]) == (1, "virtmap")
    assert {i["SpecificationType"] for i in registered.values()} == {2}


def test_profiles_build_on_each_other() -> None:
    assert related("CIM_ReferencedProfile", interop.MAPPING.path, "Dependent") == [
        interop.REGISTRATION.path,
        interop.INDICATIONS.path,
        interop.RECORD_LOG.path,
    ]


def test_central_instances_of_the_mapping_follow_from_their_class() -> None:
    bridges = interop.bridges()
    central = [(b.path, b.cls) for b in bridges]
    assert {
        (interop.SYSTEM_VIRTUALIZATION.path, "Virtmap_Host"),
        (interop.VIRTUAL_SYSTEM.path, "Virtmap_Domain"),
        (interop.RESOURCE_ALLOCATION.path, "Virtmap_ProcessorPool"),
        (interop.RESOURCE_ALLOCATION.path, "Virtmap_MemoryPool"),
        (interop.ALLOCATION_CAPABILITIES.path, "Virtmap_ProcessorAllocationCapabilities"),
        (interop.RECORD_LOG.path, "Virtmap_Log"),
        (interop.MAPPING.path, "Virtmap_Host"),
        (interop.MAPPING.path, "Virtmap_Domain"),
    } <= set(central)
    assert len(set(central)) == len(central)
    assert all(b.cls.lower() in SCHEMA.instances for b in bridges)
    ends = SHOWN[namespaces.VIRTMAP].resolved(bridges[0].association, Detail(local_only=False)).properties
    assert {bridges[0].held_role, bridges[0].row_role} == set(ends)
    assert {b.path for b in bridges} <= {i.path for i in made(None)}


# --- as a client sees it


def test_pywbem_finds_its_way_through_the_namespace(tmp_path: pathlib.Path) -> None:
    for name, content in text.generate(MODEL).items():
        (tmp_path / name).write_text(content, "utf-8")
    connection = pywbem_mock.FakedWBEMConnection(default_namespace="interop")
    connection.compile_mof_file(
        str(tmp_path / "virtmap.mof"), namespace="interop", search_paths=[str(tmp_path)], verbose=False
    )
    connection.add_cimobjects(made(), namespace="interop")
    server = pywbem.WBEMServer(connection)
    assert (server.interop_ns, server.brand, server.version) == ("interop", "virtmap", "1.2.3")
    assert set(namespaces.NAMES) <= set(server.namespaces)
    (profile,) = server.get_selected_profiles("DMTF", "Indications")
    (central,) = server.get_central_instances(profile.path)
    assert central.keybindings == interop.service_path("here.example").keybindings
    (own,) = server.get_selected_profiles("Other", "virtmap mapping")
    assert own.path == interop.MAPPING.path


# --- what each namespace shows


def test_the_namespace_above_shows_the_names_of_those_below() -> None:
    assert SHOWN[namespaces.ROOT].below(None, deep=True) == ("__namespace",)


def test_interop_shows_the_server_and_nothing_of_the_mapping() -> None:
    names = SHOWN[namespaces.INTEROP].below(None, deep=True)
    assert {"cim_objectmanager", "cim_indicationsubscription", "cim_registeredprofile", "__namespace"} <= set(names)
    assert [n for n in names if n.startswith("virtmap")] == ["virtmap_indicationservice"]


def test_the_mapping_shows_everything_but_what_only_interop_has() -> None:
    names = set(SHOWN[namespaces.VIRTMAP].below(None, deep=True))
    ours = {d.name for d in SCHEMA.classes.values() if d.ours}
    assert {n.lower() for n in ours - namespaces.INTEROP_ONLY} <= names
    assert {"cim_elementconformstoprofile", "cim_registeredprofile", "cim_elementsettingdata"} <= names
    assert names.isdisjoint(n.lower() for n in namespaces.INTEROP_ONLY)


def test_generic_clients_find_systems_processors_and_memory() -> None:
    names = set(SHOWN[namespaces.CIMV2].below(None, deep=True))
    assert {
        "virtmap_host", "virtmap_domain", "virtmap_vcpu", "virtmap_domainmemory", "virtmap_hostmemory",
        "virtmap_domaindevice", "virtmap_hostdevice",
    } <= names  # fmt: skip
    assert not names & {"virtmap_disk", "virtmap_nic", "virtmap_job"}


def test_generic_clients_find_what_profiles_tell_of_virtual_systems() -> None:
    names = set(SHOWN[namespaces.CIMV2].below(None, deep=True))
    assert {
        "virtmap_domainsettingdata", "virtmap_domainstatesettingdata", "virtmap_processorsettingdata",
        "virtmap_disksettingdata", "virtmap_processorpool", "virtmap_virtualsystemmanagementservice",
        "virtmap_virtualsystemmanagementcapabilities", "virtmap_virtualsystemsettingdatacomponent",
        "virtmap_settingsdefinestate", "virtmap_hosteddomain", "virtmap_hostedservice", "virtmap_elementcapabilities",
    } <= names  # fmt: skip
    for name in names & set(SCHEMA.associations):
        ends = {end.name.lower() for link in SCHEMA.associations[name].links for end in (link.near, link.far)}
        assert len(ends & names) > 1, name


@pytest.mark.parametrize(
    "name", ["Virtmap_Host", "Virtmap_Domain", "Virtmap_Vcpu", "Virtmap_DomainMemory", "Virtmap_HostMemory"]
)
def test_generic_clients_find_what_they_read_of_an_element(name: str) -> None:
    properties = {p.name for p in SCHEMA.instances[name.lower()].properties}
    assert {"ElementName", "OperationalStatus", "HealthState", "EnabledState"} <= properties


def test_every_namespace_shows_the_classes_that_its_classes_speak_of() -> None:
    for space, repository in SHOWN.items():
        for name in repository.below(None, deep=True):
            for p in SCHEMA.classes[name].local.properties.values():
                assert p.reference_class is None or p.reference_class in repository, (space, name, p.name)
