"""Queries and filters, as clients send them: what comes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import pywbem

from tests.cim.served import Running


def names(instances: Any) -> list[str]:
    return sorted(i["ElementName"] for i in instances)


def told(instances: Any) -> list[Any]:
    """Keys and properties; only some operations tell the host in the path."""
    return [(i.classname, i.path.keybindings, i.properties) for i in instances]


@pytest.mark.parametrize(
    ("language", "query"),
    [
        ("WQL", "SELECT * FROM Virtmap_Domain WHERE ElementName = 'guest1'"),
        ("WQL", 'select ElementName, Memory from CIM_ComputerSystem where ElementName LIKE "guest1"'),
        ("DMTF:CQL", "SELECT ElementName FROM Virtmap_Domain WHERE ElementName = 'guest1' AND Memory > 0"),
        ("DMTF:CQL", "SELECT * FROM Virtmap_Domain WHERE NOT (ElementName <> 'guest1')"),
    ],
)
def test_one_domain_is_selected(running: Running, language: str, query: str) -> None:
    client = running.client()
    (found,) = client.ExecQuery(language, query)
    assert found["ElementName"] == "guest1"
    assert found.path["Name"]
    assert client.GetInstance(found.path)["ElementName"] == "guest1"


def test_a_select_list_is_kept_to(running: Running) -> None:
    for found in running.client().ExecQuery("WQL", "SELECT elementname, State FROM Virtmap_Domain"):
        assert set(found.properties) == {"ElementName", "State"}


def test_queries_are_polymorphic_and_agree_with_enumeration(running: Running) -> None:
    client = running.client()
    everything = client.EnumerateInstances("CIM_LogicalDevice")
    assert told(client.ExecQuery("DMTF:CQL", "SELECT * FROM CIM_LogicalDevice")) == told(everything)
    disks = [i for i in everything if i.classname == "Virtmap_Disk"]
    assert told(client.ExecQuery("WQL", "SELECT * FROM CIM_LogicalDevice WHERE __THIS ISA 'Virtmap_Disk'")) == told(
        disks
    )
    wanted = [i for i in disks if i["Capacity"] > 20 * 2**30]
    assert 0 < len(wanted) < len(disks)
    found = client.ExecQuery("WQL", f"SELECT * FROM Virtmap_Disk WHERE Capacity > {20 * 2**30}")
    assert told(found) == told(wanted)


def test_a_query_is_pulled(running: Running) -> None:
    client = running.client()
    wanted = names(client.EnumerateInstances("Virtmap_Domain", PropertyList=["ElementName"]))
    opened = client.OpenQueryInstances("DMTF:CQL", "SELECT ElementName FROM Virtmap_Domain", MaxObjectCount=3)
    found = list(opened.instances)
    while not opened.eos:
        opened = client.PullInstances(opened.context, MaxObjectCount=3)
        found += opened.instances
    assert names(found) == wanted


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ElementName = 'guest1'", {"guest1"}),
        ("ElementName LIKE 'guest[12]'", {"guest1", "guest2"}),
        ("Memory > 0 AND ElementName = 'guest2'", {"guest2"}),
        ("ElementName = 'nobody'", set()),
    ],
)
def test_a_filter_lets_few_through(running: Running, query: str, expected: set[str]) -> None:
    client = running.client()
    asked = {"FilterQueryLanguage": "DMTF:FQL", "FilterQuery": query, "MaxObjectCount": 100}
    opened = client.OpenEnumerateInstances("Virtmap_Domain", **asked)
    assert (opened.eos, set(names(opened.instances))) == (True, expected)
    paths = client.OpenEnumerateInstancePaths("Virtmap_Domain", **asked).paths
    assert paths == [i.path for i in opened.instances]
    (host,) = client.EnumerateInstanceNames("Virtmap_Host")
    around = client.OpenAssociatorInstances(host, ResultClass="Virtmap_Domain", **asked)
    assert set(names(around.instances)) == expected


def test_a_filter_with_few_results_among_many(running: Running) -> None:
    """Pieces without a result do not end an enumeration."""
    client = pywbem.WBEMConnection(running.url, default_namespace="root/virtmap", use_pull_operations=True)
    found = list(
        client.IterEnumerateInstances(
            "CIM_ManagedElement",
            MaxObjectCount=1,
            FilterQueryLanguage="DMTF:FQL",
            FilterQuery="ElementName = 'guest8'",
        )
    )
    assert {i.classname for i in found} >= {"Virtmap_Domain"}
    assert set(names(found)) == {"guest8"}


def test_instances_that_are_held_are_selected_too(running: Running) -> None:
    client = running.client(namespace="interop")
    (found,) = client.ExecQuery("WQL", "SELECT Name FROM CIM_Namespace WHERE Name = 'root/virtmap'")
    assert found["Name"] == "root/virtmap"
    opened = client.OpenEnumerateInstances(
        "CIM_RegisteredProfile",
        FilterQueryLanguage="DMTF:FQL",
        FilterQuery="RegisteredOrganization = 2",
        MaxObjectCount=9,
    )
    assert {i["RegisteredOrganization"] for i in opened.instances} == {2}


def test_references_are_filtered(running: Running) -> None:
    client = running.client()
    asked = {"FilterQueryLanguage": "DMTF:FQL", "MaxObjectCount": 100}
    for query, count in (("IsNext = 1", 8), ("IsNext = 2", 0)):
        assert (
            len(client.OpenEnumerateInstances("Virtmap_DomainDefinition", FilterQuery=query, **asked).instances)
            == count
        )


@pytest.mark.parametrize(
    ("language", "query", "expected"),
    [
        ("Nonsense", "SELECT * FROM Virtmap_Domain", pywbem.CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED),
        ("DMTF:FQL", "Memory = 1", pywbem.CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED),
        ("WQL", "SELECT FROM Virtmap_Domain", pywbem.CIM_ERR_INVALID_QUERY),
        ("WQL", "SELECT * FROM Virtmap_Domain WHERE Nonsense = 1", pywbem.CIM_ERR_INVALID_QUERY),
        ("WQL", "SELECT Nonsense FROM Virtmap_Domain", pywbem.CIM_ERR_INVALID_QUERY),
        ("WQL", "SELECT * FROM Nonsense", pywbem.CIM_ERR_INVALID_CLASS),
        ("DMTF:CQL", "SELECT * FROM Virtmap_Domain WHERE (Memory = 1", pywbem.CIM_ERR_INVALID_QUERY),
    ],
)
def test_queries_that_are_refused(running: Running, language: str, query: str, expected: int) -> None:
    client = running.client()
    with pytest.raises(pywbem.CIMError) as caught:
        client.ExecQuery(language, query)
    assert caught.value.status_code == expected
    with pytest.raises(pywbem.CIMError) as caught:
        client.OpenQueryInstances(language, query, MaxObjectCount=1)
    assert caught.value.status_code == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"FilterQueryLanguage": "DMTF:FQL"}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ({"FilterQuery": "Memory = 1"}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ({"FilterQueryLanguage": "WQL", "FilterQuery": "SELECT * FROM CIM_System"}, pywbem.CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED),
        ({"FilterQueryLanguage": "DMTF:FQL", "FilterQuery": "Memory ="}, pywbem.CIM_ERR_INVALID_QUERY),
        ({"FilterQueryLanguage": "DMTF:FQL", "FilterQuery": "Nonsense = 1"}, pywbem.CIM_ERR_INVALID_QUERY),
    ],
)  # fmt: skip
def test_filters_that_are_refused(running: Running, asked: dict[str, str], expected: int) -> None:
    with pytest.raises(pywbem.CIMError) as caught:
        running.client().OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=1, **asked)
    assert caught.value.status_code == expected
