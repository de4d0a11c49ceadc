"""What each namespace shows, and the ways between them, as clients look for them."""

from __future__ import annotations

import pytest
import pywbem

from tests.cim.served import Running, path_of


def test_the_server_is_found_with_brand_version_and_namespaces(running: Running) -> None:
    server = pywbem.WBEMServer(running.client())
    assert (server.brand, server.interop_ns) == ("virtmap", "interop")
    assert server.version
    assert set(server.namespaces) == {"root", "root/virtmap", "interop", "root/interop", "root/cimv2", "root/virt"}


def test_old_clients_find_namespaces_below_root(running: Running) -> None:
    client = running.client(namespace="root")
    assert sorted(i["Name"] for i in client.EnumerateInstances("__Namespace")) == [
        "cimv2",
        "interop",
        "virt",
        "virtmap",
    ]
    path = client.EnumerateInstanceNames("__Namespace")[0]
    assert client.GetInstance(path)["Name"] == path["Name"]
    assert client.EnumerateClassNames(DeepInheritance=True) == ["__Namespace"]


def test_interop_has_two_names(running: Running) -> None:
    one, other = (running.client(namespace=name) for name in ("interop", "root/interop"))
    assert one.EnumerateClassNames() == other.EnumerateClassNames()
    found = other.EnumerateInstances("CIM_ManagedElement")
    assert len(found) == len(one.EnumerateInstances("CIM_ManagedElement"))
    for instance in found:
        assert other.GetInstance(instance.path).properties == instance.properties


def test_profiles_lead_to_their_central_instances_and_back(running: Running) -> None:
    server = pywbem.WBEMServer(running.client())
    (mapping,) = server.get_selected_profiles(registered_org="Other", registered_name="virtmap mapping")
    central = server.get_central_instances(mapping.path)
    assert sorted({p.classname for p in central}) == ["Virtmap_Domain", "Virtmap_Host"]
    assert len(central) == 9
    assert {p.namespace for p in central} == {"root/virtmap"}
    client = running.client()
    profile = path_with_host(mapping.path, "localhost")
    for path in central:
        found = client.AssociatorNames(path, AssocClass="CIM_ElementConformsToProfile")
        assert profile in found
        references = client.References(path, ResultClass="CIM_ElementConformsToProfile")
        assert len(references) == len(found)
        assert {str(r["ManagedElement"]) for r in references} == {str(path_without_host(path))}
        assert client.AssociatorNames(path, ResultRole="ConformantStandard") == found
        assert not client.AssociatorNames(path, AssocClass="CIM_ElementConformsToProfile", Role="ConformantStandard")
    interop = running.client(namespace="interop")
    both = {"root/virtmap": client, "interop": interop}
    counts = {name: len(each.EnumerateInstances("CIM_ElementConformsToProfile")) for name, each in both.items()}
    profiles = interop.EnumerateInstanceNames("CIM_RegisteredProfile")
    rows = [p for each in profiles for p in interop.AssociatorNames(each, AssocClass="CIM_ElementConformsToProfile")]
    assert counts["root/virtmap"] == sum(p.namespace == "root/virtmap" for p in rows) > 9
    assert counts["interop"] > counts["root/virtmap"]
    told = interop.References(mapping.path, ResultClass="CIM_ElementConformsToProfile", Role="ConformantStandard")
    assert {str(r["ManagedElement"]) for r in told} == {str(path_without_host(path)) for path in central}


def path_without_host(path: pywbem.CIMInstanceName) -> pywbem.CIMInstanceName:
    bare = path.copy()
    bare.host = None
    return bare


def test_everything_of_the_server_is_associated_both_ways(running: Running) -> None:
    client = running.client(namespace="interop")
    (manager,) = client.EnumerateInstanceNames("CIM_ObjectManager")
    spaces = client.AssociatorNames(manager, AssocClass="CIM_NamespaceInManager", ResultRole="Dependent")
    assert {p["Name"] for p in spaces} == {"root", "root/virtmap", "interop", "root/interop", "root/cimv2", "root/virt"}
    for space in spaces:
        (back,) = client.AssociatorNames(space, ResultClass="CIM_ObjectManager")
        assert back == path_with_host(manager, space.host)
        (reference,) = client.References(space, Role="dependent", ResultClass="CIM_NamespaceInManager")
        assert client.GetInstance(reference.path)["Antecedent"] == manager


def path_with_host(path: pywbem.CIMInstanceName, host: str) -> pywbem.CIMInstanceName:
    told = path.copy()
    told.host = host
    return told


class TestCimv2:
    """What generic clients enumerate: the same instances as in root/virtmap, and no others."""

    def test_systems_processors_and_memory(self, running: Running) -> None:
        client, ours = running.client(namespace="root/cimv2"), running.client()
        for name in ("CIM_ComputerSystem", "CIM_Processor", "CIM_Memory"):
            found = client.EnumerateInstances(name)
            same = {(tuple(sorted(i.path.keybindings.items()))): i for i in ours.EnumerateInstances(name)}
            assert len(found) == len(same) > 0
            for instance in found:
                assert instance.properties == same[tuple(sorted(instance.path.keybindings.items()))].properties
                assert client.GetInstance(instance.path).properties == instance.properties
                assert instance["ElementName"]
                assert 0 <= instance["OperationalStatus"][0] <= 20
                assert instance["HealthState"] is not None

    def test_record_logs_can_be_asked_for(self, running: Running) -> None:
        client = running.client(namespace="root/cimv2")
        assert client.EnumerateInstances("CIM_RecordLog") == []  # these domains have none
        assert "InstanceID" in client.GetClass("CIM_RecordLog", LocalOnly=False).properties

    def test_nothing_else(self, running: Running) -> None:
        client = running.client(namespace="root/cimv2")
        names = {c.lower() for c in client.EnumerateClassNames(DeepInheritance=True)}
        assert "virtmap_domain" in names
        assert not names & {"virtmap_disk", "virtmap_nic", "virtmap_job", "cim_objectmanager"}
        with pytest.raises(pywbem.CIMError) as caught:
            client.EnumerateInstances("Virtmap_Disk")
        assert caught.value.status_code == pywbem.CIM_ERR_INVALID_CLASS
        shown = {i.classname for i in client.EnumerateInstances("CIM_ManagedSystemElement")}
        assert {"Virtmap_Host", "Virtmap_Domain", "Virtmap_Vcpu", "Virtmap_HostMemory", "Virtmap_DomainMemory"} <= shown
        assert not shown & {"Virtmap_Disk", "Virtmap_Nic", "Virtmap_Job"}

    def test_systems_lead_to_their_parts_and_where_those_live(self, running: Running) -> None:
        client = running.client(namespace="root/cimv2")
        domain = path_of(running, "guest1")
        domain.namespace = "root/cimv2"
        found = client.AssociatorNames(domain, AssocClass="CIM_SystemDevice")
        assert sorted(p.classname for p in found) == ["Virtmap_DomainMemory", "Virtmap_Vcpu", "Virtmap_Vcpu"]
        (state,) = client.AssociatorNames(domain, AssocClass="CIM_SettingsDefineState")
        assert state.classname in ("Virtmap_DomainStateSettingData", "Virtmap_DomainSettingData")
        assert {p.namespace for p in found} == {"root/virtmap"}
        part = found[0].copy()
        part.namespace = "root/cimv2"
        (owner,) = client.AssociatorNames(part, ResultClass="CIM_ComputerSystem")
        assert (owner["Name"], owner.namespace) == (domain["Name"], "root/virtmap")


def test_the_namespace_of_libvirt_cim_has_its_indications_and_no_systems(running: Running) -> None:
    client = running.client(namespace="root/virt")
    names = client.EnumerateClassNames(DeepInheritance=True)
    assert len([n for n in names if n.startswith(("KVM_", "Xen_", "LXC_"))]) == 9
    assert client.GetClass("KVM_ComputerSystemModifiedIndication").superclass == "CIM_InstModification"
    for name in ("KVM_ComputerSystem", "CIM_ComputerSystem", "Virtmap_Domain"):
        with pytest.raises(pywbem.CIMError) as caught:
            client.EnumerateInstances(name)
        assert caught.value.status_code == pywbem.CIM_ERR_INVALID_CLASS


@pytest.mark.parametrize("namespace", ["root/virtmap", "root/cimv2", "interop", "root"])
def test_no_other_namespace_has_classes_of_libvirt_cim(running: Running, namespace: str) -> None:
    names = running.client(namespace=namespace).EnumerateClassNames(DeepInheritance=True)
    assert not [n for n in names if n.startswith(("KVM_", "Xen_", "LXC_"))]


def test_there_are_no_other_namespaces(running: Running) -> None:
    with pytest.raises(pywbem.CIMError) as caught:
        running.client(namespace="root/virtual").EnumerateClassNames()
    assert caught.value.status_code == pywbem.CIM_ERR_INVALID_NAMESPACE
