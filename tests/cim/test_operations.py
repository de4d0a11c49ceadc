"""CIM operations as pywbem's client sees them, over HTTP."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import pywbem

from agent.cim.classes import build
from agent.cim.repository import Detail, Repository
from agent.errors import Failed, NotSupported
from agent.model import MODEL
from agent.model.domain import Domain, DomainState, ReadXml, Suspend
from tests.cim.served import OBSERVER, OPERATOR, Running, path_of


def code(caught: pytest.ExceptionInfo[pywbem.CIMError]) -> int:
    return int(caught.value.status_code)


def domains(client: Any) -> list[Any]:
    return list(client.EnumerateInstanceNames("Virtmap_Domain"))


# --- reading instances ------------------------------------------------------------------------------------------------


def test_every_column_of_every_row_is_shown(running: Running) -> None:
    rows = {r.as_dict()["uuid"]: r.as_dict() for r in running.inventories["local"].snapshot.table(Domain).rows()}
    instances = running.client().EnumerateInstances("Virtmap_Domain")
    assert len(instances) == len(rows) == 8
    for instance in instances:
        row = rows[instance["Name"]]
        assert instance["ElementName"] == row["name"]
        assert instance["State"] == int(row["state"])
        assert instance["Memory"] == row["memory"]
        assert instance["CpuTime"] == row["cpu_time"]
        assert instance["Autostart"] is row["autostart"]
        assert instance["Refreshed"].datetime == row["refreshed"]
        assert list(instance["OperationalStatus"]) == list(row["state"].cim["OperationalStatus"])


def test_enumeration_is_polymorphic(running: Running) -> None:
    client = running.client()
    found = {i.classname for i in client.EnumerateInstances("CIM_ManagedSystemElement")}
    assert {"Virtmap_Host", "Virtmap_Domain", "Virtmap_Vcpu", "Virtmap_Disk", "Virtmap_Nic"} <= found
    assert len(client.EnumerateInstanceNames("CIM_ComputerSystem")) == 9
    assert len(client.EnumerateInstanceNames("Virtmap_DomainMemory")) == 8
    assert not client.EnumerateInstanceNames("CIM_RecordLog")


def test_every_enumerated_instance_can_be_got(running: Running) -> None:
    client = running.client()
    for name in ("CIM_ManagedElement", "CIM_Dependency", "CIM_Component", "CIM_ElementSettingData"):
        for instance in client.EnumerateInstances(name):
            assert client.GetInstance(instance.path).properties == instance.properties


def test_names_and_instances_agree(running: Running) -> None:
    client = running.client()
    assert client.EnumerateInstanceNames("Virtmap_Disk") == [
        i.path for i in client.EnumerateInstances("Virtmap_Disk", PropertyList=[])
    ]


def test_a_property_list_is_kept_to(running: Running) -> None:
    client = running.client()
    wanted = ["state", "ELEMENTNAME", "NoSuchProperty"]
    for instance in client.EnumerateInstances("CIM_ComputerSystem", PropertyList=wanted):
        assert {"ElementName"} <= set(instance.properties) <= {"ElementName", "State"}
    assert not client.GetInstance(domains(client)[0], PropertyList=[]).properties


def test_without_deep_inheritance_only_the_properties_of_the_class_come(running: Running) -> None:
    instance = running.client().EnumerateInstances("CIM_ComputerSystem", DeepInheritance=False)[0]
    assert "EnabledState" in instance.properties
    assert "Memory" not in instance.properties


def test_the_class_origin_comes_on_request(running: Running) -> None:
    client = running.client()
    instance = client.GetInstance(domains(client)[0], IncludeClassOrigin=True)
    assert instance.properties["EnabledState"].class_origin == "CIM_EnabledLogicalElement"
    assert instance.properties["Memory"].class_origin == "Virtmap_Domain"


def test_null_is_shown_as_null(running: Running) -> None:
    client = running.client()
    instance = client.GetInstance(domains(client)[0])
    assert instance.properties["InstallDate"].value is None
    assert instance.properties["InstallDate"].type == "datetime"


@pytest.mark.parametrize(
    ("name", "keys", "expected"),
    [
        ("Virtmap_Domain", {"CreationClassName": "Virtmap_Domain", "Name": "none"}, pywbem.CIM_ERR_NOT_FOUND),
        ("Virtmap_Domain", {"CreationClassName": "Else", "Name": "none"}, pywbem.CIM_ERR_NOT_FOUND),
        ("Virtmap_Domain", {"Name": "none"}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("Virtmap_Reading", {"SystemName": "local", "Number": "x"}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("CIM_ComputerSystem", {"CreationClassName": "Virtmap_Domain", "Name": "none"}, pywbem.CIM_ERR_NOT_FOUND),
        ("Nonsense", {"Name": "none"}, pywbem.CIM_ERR_INVALID_CLASS),
        ("Virtmap_DomainDevice", {"GroupComponent": "x", "PartComponent": "y"}, pywbem.CIM_ERR_INVALID_PARAMETER),
    ],
)
def test_paths_that_lead_nowhere(running: Running, name: str, keys: dict[str, str], expected: int) -> None:
    with pytest.raises(pywbem.CIMError) as caught:
        running.client().GetInstance(pywbem.CIMInstanceName(name, keys))
    assert code(caught) == expected


def test_unknown_namespaces_classes_and_operations(running: Running) -> None:
    client = running.client()
    with pytest.raises(pywbem.CIMError) as caught:
        client.EnumerateInstances("Virtmap_Domain", namespace="root/nowhere")
    assert code(caught) == pywbem.CIM_ERR_INVALID_NAMESPACE
    with pytest.raises(pywbem.CIMError) as caught:
        client.EnumerateInstances("Nonsense")
    assert code(caught) == pywbem.CIM_ERR_INVALID_CLASS
    with pytest.raises(pywbem.CIMError) as caught:
        client.GetClass("Nonsense")
    assert code(caught) == pywbem.CIM_ERR_NOT_FOUND
    with pytest.raises(pywbem.CIMError) as caught:
        client._imethodcall("Frobnicate", "root/virtmap")
    assert code(caught) == pywbem.CIM_ERR_NOT_SUPPORTED


def test_a_client_that_prefers_pulling_falls_back(running: Running) -> None:
    assert len(list(running.client().IterEnumerateInstances("Virtmap_Domain", MaxObjectCount=2))) == 8


# --- classes ----------------------------------------------------------------------------------------------------------


def test_classes_and_qualifiers(running: Running) -> None:
    client = running.client()
    assert "Virtmap_Domain" in client.EnumerateClassNames(ClassName="CIM_System", DeepInheritance=True)
    assert "CIM_ComputerSystem" in client.EnumerateClassNames(ClassName="CIM_System")
    local = client.GetClass("virtmap_domain", LocalOnly=True)
    assert "EnabledState" not in local.properties
    assert local.properties["Memory"].qualifiers["PUnit"].value == "byte * 2^10"
    everything = client.EnumerateClasses(DeepInheritance=True, LocalOnly=False, IncludeQualifiers=False)
    assert len(everything) == len(client.EnumerateClassNames(DeepInheritance=True))
    assert client.GetQualifier("key").type == "boolean"
    assert len(client.EnumerateQualifiers()) > 20


def test_every_class_comes_whole(running: Running) -> None:
    repository = Repository(build(MODEL))
    detail = Detail(local_only=False, class_origin=True)
    for cls in running.client().EnumerateClasses(DeepInheritance=True, LocalOnly=False, IncludeClassOrigin=True):
        expected = repository.resolved(cls.classname, detail)
        assert cls.tomof() == expected.tomof()
        for name, feature in (*expected.properties.items(), *expected.methods.items()):
            came = cls.properties.get(name) or cls.methods[name]
            assert (came.class_origin, came.propagated) == (feature.class_origin, feature.propagated)


def test_the_interop_namespace_names_server_and_namespaces(running: Running) -> None:
    server = pywbem.WBEMServer(running.client())
    assert server.interop_ns == "interop"
    assert set(server.namespaces) == {"interop", "root/interop", "root", "root/cimv2", "root/virt", "root/virtmap"}
    assert server.brand == "virtmap"
    client = running.client(namespace="interop")
    for path in client.EnumerateInstanceNames("CIM_ManagedElement"):
        assert dict(path.keybindings).items() <= dict(client.GetInstance(path)).items()
    assert "Virtmap_Domain" not in client.EnumerateClassNames(DeepInheritance=True)


# --- associations -----------------------------------------------------------------------------------------------------


def test_a_domain_leads_to_its_host_its_devices_and_its_definition(running: Running) -> None:
    client = running.client()
    domain = domains(client)[0]
    found = client.AssociatorNames(domain)
    told = Counter(p.classname for p in found)
    assert told["Virtmap_Disk"] == told["Virtmap_Vcpu"] == 2
    assert all(
        told[name] == 1 for name in ("Virtmap_DomainMemory", "Virtmap_DomainSettingData", "Virtmap_Host", "Virtmap_Nic")
    )
    assert len(set(map(str, found))) == len(found), "each once, even if several associations lead to it"
    assert all(p.host == "localhost" for p in found)
    assert {p.namespace for p in found if p.classname != "CIM_RegisteredProfile"} == {"root/virtmap"}
    assert [i.path for i in client.Associators(domain)] == found
    references = client.ReferenceNames(domain)
    assert [i.path for i in client.References(domain)] == references
    assert len(set(map(str, references))) == len(references) >= len(found)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"AssocClass": "CIM_SystemDevice"}, 6),
        ({"AssocClass": "CIM_Component", "ResultClass": "CIM_Processor"}, 2),
        ({"ResultClass": "CIM_EthernetPort"}, 1),
        ({"Role": "groupcomponent"}, 6),
        ({"ResultRole": "Antecedent"}, 1),
        ({"Role": "PartComponent"}, 0),
        ({"AssocClass": "CIM_HostedDependency", "ResultRole": "Dependent"}, 0),
    ],
)
def test_filters_of_associators(running: Running, filters: dict[str, str], expected: int) -> None:
    client = running.client()
    assert len(client.AssociatorNames(domains(client)[0], **filters)) == expected


def test_filters_of_references(running: Running) -> None:
    client = running.client()
    domain = domains(client)[0]
    assert len(client.ReferenceNames(domain, ResultClass="CIM_SystemDevice")) == 6
    assert len(client.ReferenceNames(domain, Role="Dependent")) == 1
    with pytest.raises(pywbem.CIMError) as caught:
        client.ReferenceNames(domain, ResultClass="Nonsense")
    assert code(caught) == pywbem.CIM_ERR_INVALID_PARAMETER


def test_associations_lead_back(running: Running) -> None:
    client = running.client()
    (host,) = client.EnumerateInstanceNames("Virtmap_Host")
    assert len(client.AssociatorNames(host, ResultClass="Virtmap_Domain")) == 8
    disk = client.EnumerateInstanceNames("Virtmap_Disk")[5]
    (owner,) = client.AssociatorNames(disk, ResultClass="CIM_ComputerSystem")
    assert owner["Name"] == disk["SystemName"]
    (reference,) = client.References(disk, ResultClass="CIM_SystemDevice")
    assert reference["PartComponent"]["DeviceID"] == disk["DeviceID"]
    assert client.GetInstance(reference.path)["GroupComponent"]["Name"] == disk["SystemName"]


def test_an_association_of_strangers_is_not_found(running: Running) -> None:
    client = running.client()
    reference = client.EnumerateInstanceNames("Virtmap_DomainDevice")[0]
    reference["GroupComponent"] = domains(client)[-1]
    with pytest.raises(pywbem.CIMError) as caught:
        client.GetInstance(reference)
    assert code(caught) == pywbem.CIM_ERR_NOT_FOUND


def test_associations_of_classes(running: Running) -> None:
    client = running.client()
    assert "Virtmap_DomainDevice" in {p.classname for p in client.ReferenceNames("Virtmap_Domain")}
    assert "Virtmap_Host" in {p.classname for p in client.AssociatorNames("Virtmap_Domain")}
    ends = client.Associators("Virtmap_Domain", AssocClass="Virtmap_HostedDomain", ResultRole="Antecedent")
    assert [cls.classname for _, cls in ends] == ["Virtmap_Host"]


def test_the_definition_tells_the_next_start(running: Running) -> None:
    client = running.client()
    (settings,) = client.Associators(
        domains(client)[0], AssocClass="CIM_ElementSettingData", ResultClass="CIM_VirtualSystemSettingData"
    )
    assert settings["VirtualSystemIdentifier"] == domains(client)[0]["Name"]
    assert settings["Memory"] > 0
    (reference,) = client.References(domains(client)[0], ResultClass="Virtmap_DomainDefinition")
    assert (reference["IsCurrent"], reference["IsNext"]) == (2, 1)


# --- methods ----------------------------------------------------------------------------------------------------------


def test_suspend_and_resume(running: Running) -> None:
    client, domain = running.client(OPERATOR), path_of(running, "guest1")
    assert client.InvokeMethod("Suspend", domain)[0] == 0
    assert client.GetInstance(domain)["State"] == DomainState.PAUSED
    assert client.InvokeMethod("resume", domain)[0] == 0
    assert client.GetInstance(domain)["State"] == DomainState.RUNNING
    assert [(r["principal"], r["operation"], r["result"]) for r in running.trail.records[-2:]] == [
        ("worker", "Suspend", "done"),
        ("worker", "Resume", "done"),
    ]


def test_arguments_and_out_values(running: Running) -> None:
    client, domain = running.client(OPERATOR), path_of(running, "guest1")
    before = client.GetInstance(domain)["Memory"]
    assert client.InvokeMethod("SetMemory", domain, Memory=pywbem.Uint64(before // 2))[0] == 0
    assert client.GetInstance(domain)["Memory"] == before // 2
    assert client.InvokeMethod("SetAutostart", domain, Autostart=False)[0] == 0
    assert client.GetInstance(domain)["Autostart"] is False
    value, outs = client.InvokeMethod("ReadXml", domain, Flags=pywbem.Uint32(1))
    assert value == 0
    assert outs["Xml"].startswith("<domain")
    (host,) = client.EnumerateInstanceNames("Virtmap_Host")
    assert "<capabilities" in client.InvokeMethod("ReadCapabilities", host)[1]["Xml"]


def test_the_states_of_the_dmtf(running: Running) -> None:
    client, domain = running.client(OPERATOR), path_of(running, "guest1")
    wanted = {9: DomainState.PAUSED, 2: DomainState.RUNNING, 3: DomainState.SHUT_OFF}
    for requested, state in (*wanted.items(), (2, DomainState.RUNNING)):
        assert client.InvokeMethod("RequestStateChange", domain, RequestedState=pywbem.Uint16(requested))[0] == 0
        assert client.GetInstance(domain)["State"] == state


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"RequestedState": pywbem.Uint16(2)}, 4097),
        ({"RequestedState": pywbem.Uint16(7)}, 1),
        ({"RequestedState": pywbem.Uint16(5)}, 5),
        ({}, 5),
        ({"RequestedState": pywbem.Uint16(9), "TimeoutPeriod": pywbem.CIMDateTime("00000000000100.000000:000")}, 4098),
    ],
)
def test_states_that_cannot_be_asked_for(running: Running, parameters: dict[str, Any], expected: int) -> None:
    client, domain = running.client(OPERATOR), path_of(running, "guest1")
    assert client.InvokeMethod("RequestStateChange", domain, **parameters)[0] == expected


def test_a_device_takes_no_states(running: Running) -> None:
    client = running.client(OPERATOR)
    vcpu = client.EnumerateInstanceNames("Virtmap_Vcpu")[0]
    assert client.InvokeMethod("RequestStateChange", vcpu, RequestedState=pywbem.Uint16(3))[0] == 1


def test_a_long_operation_becomes_a_job(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.cim.methods.PATIENCE", 0.0)
    client, domain = running.client(OPERATOR), path_of(running, "guest3")
    running.drivers["local"].hang("guest3")
    try:
        value, outs = client.InvokeMethod("ManagedSave", domain)
        assert value == 4096
        job = client.GetInstance(outs["Job"])
        assert (job["Name"], job["JobState"], job["Owner"]) == ("ManagedSave", 4, "worker")
    finally:
        running.drivers["local"].release()


@pytest.mark.parametrize(
    ("method", "parameters", "expected"),
    [
        ("NoSuchMethod", {}, pywbem.CIM_ERR_METHOD_NOT_FOUND),
        ("SetMemory", {}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("SetMemory", {"Memory": "lots"}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("SetMemory", {"Memory": pywbem.Uint64(0)}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("SetMemory", {"Memory": pywbem.Uint64(8), "Colour": "red"}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("SetMemory", {"Memory": [pywbem.Uint64(8)]}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("SetAutostart", {"Autostart": "perhaps"}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("Start", {"Flags": pywbem.Uint32(1 << 31)}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("SetUserPassword", {"User": "root", "Password": "secret"}, pywbem.CIM_ERR_ACCESS_DENIED),
    ],
)
def test_methods_that_are_refused(running: Running, method: str, parameters: dict[str, Any], expected: int) -> None:
    client, domain = running.client(OPERATOR), path_of(running, "guest2")
    with pytest.raises(pywbem.CIMError) as caught:
        client.InvokeMethod(method, domain, **parameters)
    assert code(caught) == expected
    assert "secret" not in str(caught.value)


def test_a_static_call_is_refused(running: Running) -> None:
    with pytest.raises(pywbem.CIMError) as caught:
        running.client(OPERATOR).InvokeMethod("Suspend", "Virtmap_Domain")
    assert code(caught) == pywbem.CIM_ERR_INVALID_PARAMETER


def test_an_observer_may_only_look(running: Running) -> None:
    for client in (running.client(), running.client(OBSERVER)):
        domain = path_of(running, "guest2")
        with pytest.raises(pywbem.CIMError) as caught:
            client.InvokeMethod("Suspend", domain)
        assert code(caught) == pywbem.CIM_ERR_ACCESS_DENIED
        assert running.trail.records[-1]["result"].startswith("refused")
        assert "<domain" in client.InvokeMethod("ReadXml", domain)[1]["Xml"]


def test_what_the_hypervisor_says_comes_through(running: Running) -> None:
    driver, client, domain = running.drivers["local"], running.client(OPERATOR), path_of(running, "guest2")
    for error, expected in (
        (Failed("domain guest2: the <disk> is full"), pywbem.CIM_ERR_FAILED),
        (NotSupported("domain guest2: not with this hypervisor"), pywbem.CIM_ERR_NOT_SUPPORTED),
    ):
        driver.refuse(ReadXml, error)
        with pytest.raises(pywbem.CIMError) as caught:
            client.InvokeMethod("ReadXml", domain)
        assert code(caught) == expected
        assert str(error) in str(caught.value)
    driver.refuse(ReadXml, None)
    driver.refuse(Suspend, None)


# --- several hypervisors ----------------------------------------------------------------------------------------------


def test_hypervisors_share_the_namespace(strict: Running) -> None:
    client = strict.client(OBSERVER)
    assert {p["Name"] for p in client.EnumerateInstanceNames("Virtmap_Host")} == {"one", "two"}
    assert len(domains(client)) == 5
    for path in domains(client):
        (host,) = client.AssociatorNames(path, ResultClass="Virtmap_Host")
        assert client.GetInstance(path)["Host"] == host["Name"]
    assert {p["SystemName"] for p in client.EnumerateInstanceNames("Virtmap_Reading")} == {"one", "two"}
