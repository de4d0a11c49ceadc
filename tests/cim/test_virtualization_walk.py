"""The way of a client of System Virtualization (DSP1042): from the registered profile to domains, what they are allotted, the pools
that it comes from, and the service that changes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pywbem

from agent.cim.profiles import PROFILES, logs
from agent.model import Disk, Domain, Host, Nic
from agent.model.domain import AT_REST, DomainState
from agent.model.network import Network
from drivers.libvirt import LibvirtDriver
from tests.cim.served import DEFINER, OPERATOR, Running, path_of, serve


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """Two hypervisors. One domain of the first does not run."""
    for running in serve({"one": "fake:///?domains=5&seed=3&details=0", "two": "fake:///?domains=2&seed=4&details=0"}):
        client = running.client(OPERATOR)
        domains = [p for p in client.EnumerateInstanceNames("Virtmap_Domain") if row(running, p).host == "one"]
        assert client.InvokeMethod("Destroy", domains[-1])[0] == 0
        yield running


@pytest.fixture(scope="module")
def connected() -> Iterator[Running]:
    """libvirt's own test driver, with one domain that is connected to its one network."""
    for running in serve({"test": "test:///default"}, driver=LibvirtDriver):
        client = running.client(DEFINER)
        (service,) = client.EnumerateInstanceNames("CIM_VirtualSystemManagementService")
        settings = {"ElementName": "plugged-in", "VirtualSystemType": "test"}
        resources = (
            (
                "CIM_ResourceAllocationSettingData",
                {"ResourceType": pywbem.Uint16(4), "VirtualQuantity": pywbem.Uint64(1024)},
            ),
            ("CIM_EthernetPortAllocationSettingData", {"Connection": ["default"]}),
        )
        value, _ = client.InvokeMethod(
            "DefineSystem", service, SystemSettings=pywbem.CIMInstance("CIM_VirtualSystemSettingData", settings),
            ResourceSettings=[pywbem.CIMInstance(name, properties) for name, properties in resources],
        )  # fmt: skip
        assert value == 0
        yield running


def plain(path: Any) -> str:
    """A path without the host that tells it."""
    bare = path.copy()
    bare.host = None
    return str(bare)


def central(running: Running, name: str) -> list[Any]:
    """The central instances of a registered profile of the DMTF, as pywbem's client finds them."""
    server = pywbem.WBEMServer(running.client())
    (profile,) = server.get_selected_profiles("DMTF", name)
    return list(server.get_central_instances(profile.path))


def row(running: Running, path: Any) -> Any:
    """The row of a domain."""
    tables = [inventory.snapshot.table(Domain) for inventory in running.inventories.values()]
    return next(found for table in tables if (found := table.get((path["Name"],))) is not None)


def states(running: Running) -> dict[bool, list[Any]]:
    """The paths of all domains, by whether they run."""
    found: dict[bool, list[Any]] = {True: [], False: []}
    for path in central(running, "Virtual System"):
        found[row(running, path).state not in AT_REST].append(path)
    return found


@pytest.mark.parametrize(
    ("name", "version", "classes"),
    [
        ("System Virtualization", "1.0.0", {"Virtmap_Host"}),
        ("Virtual System", "1.0.0", {"Virtmap_Domain"}),
        ("Resource Allocation", "1.1.0", {"Virtmap_ProcessorPool", "Virtmap_MemoryPool"}),
        (
            "Allocation Capabilities", "1.0.0",
            {f"Virtmap_{kind}AllocationCapabilities" for kind in ("Processor", "Memory", "Disk", "Nic")},
        ),
    ],
)  # fmt: skip
def test_a_registered_profile_leads_to_its_central_instances(
    running: Running, name: str, version: str, classes: set[str]
) -> None:
    server = pywbem.WBEMServer(running.client())
    (profile,) = server.get_selected_profiles("DMTF", name)
    assert profile["RegisteredVersion"] == version
    found = central(running, name)
    assert classes <= {p.classname for p in found}
    assert {p.namespace for p in found} == {"root/virtmap"}
    for path in found:
        assert running.client().GetInstance(path)["ElementName"]


def test_profiles_refer_to_those_they_build_on(running: Running) -> None:
    client = running.client(namespace="interop")
    server = pywbem.WBEMServer(running.client())
    (profile,) = server.get_selected_profiles("DMTF", "System Virtualization")
    below = client.Associators(profile.path, AssocClass="CIM_ReferencedProfile", ResultRole="Antecedent")
    assert {"Virtual System", "Resource Allocation", "Allocation Capabilities"} <= {p["RegisteredName"] for p in below}


# --- systems and their configurations


def test_a_host_leads_to_its_domains(running: Running) -> None:
    client = running.client()
    for host in central(running, "System Virtualization"):
        guests = client.AssociatorNames(host, AssocClass="CIM_HostedDependency", ResultClass="CIM_ComputerSystem")
        assert len(guests) == {"one": 5, "two": 2}[host["Name"]]
        assert {p["Name"] for p in guests} <= {p["Name"] for p in central(running, "Virtual System")}


def test_a_domain_that_runs_has_a_state_and_a_definition(running: Running) -> None:
    client = running.client()
    (path, *_) = states(running)[True]
    (state,) = client.Associators(
        path, AssocClass="CIM_SettingsDefineState", ResultClass="CIM_VirtualSystemSettingData"
    )
    assert state["InstanceID"] == f"virtmap:{path['Name']}/state"
    assert state["VirtualSystemIdentifier"] == path["Name"]
    assert state["ElementName"] == row(running, path).name
    (definition,) = client.Associators(
        path, AssocClass="CIM_ElementSettingData", ResultClass="CIM_VirtualSystemSettingData"
    )
    assert definition["InstanceID"] == f"virtmap:{path['Name']}/definition"
    (reference,) = client.References(path, ResultClass="Virtmap_DomainDefinition")
    assert (reference["IsNext"], reference["IsCurrent"], reference["IsDefault"]) == (1, 2, None)
    (after,) = client.Associators(state.path, AssocClass="CIM_ElementSettingData", ResultRole="SettingData")
    assert after.path == definition.path, "the definition comes in the place of the state"


def test_a_domain_that_does_not_run_has_what_its_definition_says(running: Running) -> None:
    client = running.client()
    (path, *_) = states(running)[False]
    (state,) = client.AssociatorNames(
        path, AssocClass="CIM_SettingsDefineState", ResultClass="CIM_VirtualSystemSettingData"
    )
    assert state["InstanceID"] == f"virtmap:{path['Name']}/definition"
    gone = pywbem.CIMInstanceName(
        "Virtmap_DomainStateSettingData", keybindings={"InstanceID": f"virtmap:{path['Name']}/state"}
    )
    with pytest.raises(pywbem.CIMError) as caught:
        client.GetInstance(gone)
    assert caught.value.status_code == pywbem.CIM_ERR_NOT_FOUND


def test_a_state_comes_and_goes_with_the_run(running: Running) -> None:
    client = running.client(OPERATOR)
    (path, *_) = states(running)[True]
    state = pywbem.CIMInstanceName(
        "Virtmap_DomainStateSettingData", keybindings={"InstanceID": f"virtmap:{path['Name']}/state"},
        namespace="root/virtmap",
    )  # fmt: skip
    assert client.GetInstance(state)
    assert client.InvokeMethod("Destroy", path)[0] == 0
    try:
        with pytest.raises(pywbem.CIMError):
            client.GetInstance(state)
        assert plain(state) not in set(map(plain, client.EnumerateInstanceNames("CIM_VirtualSystemSettingData")))
        assert not client.AssociatorNames(path, ResultClass="Virtmap_DomainStateSettingData")
    finally:
        assert client.InvokeMethod("Start", path)[0] == 0
    assert client.GetInstance(state)


# --- resources


def allotted(client: Any, settings: Any) -> dict[int, list[Any]]:
    """The settings of resources that are part of those of a domain, by ResourceType."""
    found: dict[int, list[Any]] = {}
    for each in client.Associators(settings, AssocClass="CIM_VirtualSystemSettingDataComponent", Role="GroupComponent"):
        found.setdefault(each["ResourceType"], []).append(each)
    return found


@pytest.mark.parametrize("configuration", ["state", "definition"])
def test_settings_lead_to_what_a_domain_is_allotted(running: Running, configuration: str) -> None:
    client = running.client()
    (path, *_) = states(running)[True]
    known = row(running, path).as_dict()
    name = "Virtmap_DomainStateSettingData" if configuration == "state" else "Virtmap_DomainSettingData"
    identity = f"virtmap:{path['Name']}/{configuration}"
    found = allotted(client, pywbem.CIMInstanceName(name, {"InstanceID": identity}, namespace="root/virtmap"))
    assert set(found) == {3, 4, 10, 17}
    prefix = "" if configuration == "state" else "config_"
    (processors,), (memory,) = found[3], found[4]
    assert (processors["VirtualQuantity"], processors["VirtualQuantityUnits"]) == (known[f"{prefix}vcpus"], "count")
    assert (memory["VirtualQuantity"], memory["VirtualQuantityUnits"]) == (known[f"{prefix}memory"], "byte*2^10")
    assert (processors["Limit"], memory["Limit"]) == (known[f"{prefix}max_vcpus"], known[f"{prefix}max_memory"])
    assert len(found[17]) == 2
    assert len(found[10]) == 1
    for each in (s for of in found.values() for s in of):
        assert each["InstanceID"].endswith(f"/{configuration}")
        assert client.GetInstance(each.path).properties == each.properties
        (back,) = client.AssociatorNames(each.path, AssocClass="CIM_VirtualSystemSettingDataComponent")
        assert back["InstanceID"] == identity


def test_settings_of_devices_say_what_stands_behind_them(running: Running) -> None:
    client = running.client()
    snapshot = running.inventories["one"].snapshot
    disks = {r.values[:2]: r.as_dict() for r in snapshot.table(Disk).rows()}
    nics = {r.values[:2]: r.as_dict() for r in snapshot.table(Nic).rows()}
    for each in client.EnumerateInstances("Virtmap_DiskSettingData"):
        uuid, target = each["InstanceID"].removeprefix("virtmap:").split("/disk/")
        known = disks.get((uuid, target.removesuffix("/definition")))
        if known is not None:
            assert each["HostResource"] == [known["source"]]
            assert (each["AddressOnParent"], each["ResourceSubType"]) == (known["target"], known["bus"])
            assert each["VirtualQuantity"] == known["capacity"]
    for each in client.EnumerateInstances("Virtmap_NicSettingData"):
        uuid, device = each["InstanceID"].removeprefix("virtmap:").split("/nic/")
        known = nics.get((uuid, device.removesuffix("/definition")))
        if known is not None:
            assert each["Address"] == known["mac"].replace(":", "").upper()
            assert (each["Connection"], each["HostResource"]) == (
                [known["source"]], [f"{known['type']}:{known['source']}"],
            )  # fmt: skip


def test_settings_define_the_state_of_devices(running: Running) -> None:
    client = running.client()
    for runs, paths in states(running).items():
        expected = "state" if runs else "definition"
        for device in client.AssociatorNames(paths[0], AssocClass="CIM_SystemDevice"):
            if device.classname not in ("Virtmap_Vcpu", "Virtmap_DomainMemory", "Virtmap_Disk", "Virtmap_Nic"):
                continue
            (settings,) = client.AssociatorNames(device, AssocClass="CIM_SettingsDefineState", Role="ManagedElement")
            assert settings["InstanceID"].startswith(f"virtmap:{paths[0]['Name']}/")
            assert settings["InstanceID"].endswith(f"/{expected}")
            back = client.AssociatorNames(settings, AssocClass="CIM_SettingsDefineState", ResultRole="ManagedElement")
            assert plain(device) in set(map(plain, back))


# --- pools


def test_pools_of_a_host_tell_what_there_is_and_what_is_taken(running: Running) -> None:
    client = running.client()
    for host in central(running, "System Virtualization"):
        known = next(iter(running.inventories[host["Name"]].snapshot.table(Host).rows())).as_dict()
        pools = client.Associators(host, AssocClass="CIM_HostedResourcePool", ResultClass="CIM_ResourcePool")
        processors, memory = (next(p for p in pools if p["PoolID"] == name) for name in ("processor", "memory"))
        assert (processors["ResourceType"], processors["Capacity"]) == (3, known["cpus"])
        assert (memory["ResourceType"], memory["Capacity"], memory["AllocationUnits"]) == (
            4,
            known["memory"],
            "byte*2^10",
        )
        assert memory["Reserved"] == known["memory"] - known["memory_free"]
        (part,) = client.AssociatorNames(
            memory.path, AssocClass="CIM_ConcreteComponent", ResultClass="Virtmap_HostMemory"
        )
        assert part["SystemName"] == host["Name"]


def test_pools_are_made_of_what_stands_in_rows_beneath_the_host() -> None:
    for running in serve({"local": "fake:///?domains=1"}):
        client = running.client()
        for name, pool in (("Virtmap_HostCpu", "Virtmap_ProcessorPool"), ("Virtmap_NumaCell", "Virtmap_MemoryPool")):
            found = client.EnumerateInstances(name)
            assert len(found) > 1
            for instance in found:
                assert client.GetInstance(instance.path).properties == instance.properties
                (whole,) = client.AssociatorNames(instance.path, AssocClass="CIM_ConcreteComponent")
                assert whole.classname == pool
            parts = client.AssociatorNames(whole, AssocClass="CIM_ConcreteComponent", ResultClass=name)
            assert set(map(plain, parts)) == {plain(i.path) for i in found}
            (host,) = client.AssociatorNames(found[0].path, AssocClass="CIM_SystemDevice")
            devices = client.AssociatorNames(host, AssocClass="CIM_SystemDevice", ResultClass=name)
            assert len(devices) == len(found)
        pages = client.EnumerateInstances("Virtmap_PageSize")
        assert len({plain(i.path) for i in pages}) == len(pages) > 1
        for instance in pages:
            assert client.GetInstance(instance.path).properties == instance.properties


def test_what_is_allotted_comes_from_a_pool_of_the_same_host(running: Running) -> None:
    client = running.client()
    for name, table in (("one", 5), ("two", 2)):
        (pool,) = (p for p in client.EnumerateInstanceNames("Virtmap_MemoryPool") if f":{name}/" in p["InstanceID"])
        devices = client.AssociatorNames(pool, AssocClass="CIM_ElementAllocatedFromPool")
        assert {d.classname for d in devices} == {"Virtmap_DomainMemory"}
        assert len(devices) == table
        settings = client.Associators(pool, AssocClass="CIM_ResourceAllocationFromPool")
        assert {s["PoolID"] for s in settings} == {"memory"}
        runs = sum(r.as_dict()["state"] not in AT_REST for r in running.inventories[name].snapshot.table(Domain).rows())
        assert len(settings) == table + runs
        assert len(client.ReferenceNames(pool, ResultClass="CIM_ResourceAllocationFromPool")) == len(settings)
        for each in settings:
            (back,) = client.AssociatorNames(each.path, AssocClass="CIM_ResourceAllocationFromPool")
            assert back["InstanceID"] == pool["InstanceID"]


def test_networks_are_pools_of_what_is_connected_to_them(connected: Running) -> None:
    client = connected.client()
    (pool,) = client.EnumerateInstances("Virtmap_NetworkPool")
    assert client.GetInstance(pool.path).properties == pool.properties
    assert (pool["PoolID"], pool["ResourceType"], pool["Primordial"]) == ("network/default", 33, False)
    (host,) = client.AssociatorNames(pool.path, AssocClass="CIM_HostedResourcePool")
    assert host["Name"] == "test"
    (network,) = client.AssociatorNames(pool.path, AssocClass="CIM_ConcreteComponent")
    assert network.classname == "Virtmap_Network"
    nics = client.AssociatorNames(pool.path, AssocClass="CIM_ElementAllocatedFromPool")
    assert {n.classname for n in nics} == {"Virtmap_Nic"}
    settings = client.Associators(pool.path, AssocClass="CIM_ResourceAllocationFromPool")
    assert {s["PoolID"] for s in settings} == {"network/default"}
    for each in (*nics, *(s.path for s in settings)):
        (back,) = client.AssociatorNames(each, ResultClass="CIM_ResourcePool")
        assert plain(back) == plain(pool.path)
    capabilities = client.Associators(pool.path, AssocClass="CIM_ElementCapabilities")
    assert [c["ResourceType"] for c in capabilities] == [10]
    for name in ("CIM_ElementAllocatedFromPool", "CIM_ResourceAllocationFromPool"):
        for instance in client.EnumerateInstances(name):
            assert client.GetInstance(instance.path).properties == instance.properties


def test_storage_pools_are_pools_of_their_host(connected: Running) -> None:
    client = connected.client()
    for pool in client.EnumerateInstances("Virtmap_Pool"):
        assert pool["ResourceType"] == 31
        (host,) = client.AssociatorNames(pool.path, AssocClass="CIM_HostedResourcePool")
        assert host["Name"] == "test"
        assert client.AssociatorNames(pool.path, ResultClass="Virtmap_DiskAllocationCapabilities")


# --- the service and what can be done


def test_a_host_offers_the_service_that_manages_its_domains(running: Running) -> None:
    client = running.client()
    for host in central(running, "System Virtualization"):
        (service,) = client.Associators(
            host, AssocClass="CIM_HostedService", ResultClass="CIM_VirtualSystemManagementService"
        )
        assert (service["SystemName"], service["Started"], service["EnabledState"]) == (host["Name"], True, 2)
        managed = client.AssociatorNames(service.path, AssocClass="CIM_ServiceAffectsElement")
        assert len(managed) == {"one": 5, "two": 2}[host["Name"]]
        (reference, *_) = client.References(managed[0], ResultClass="CIM_ServiceAffectsElement")
        assert list(reference["ElementEffects"]) == [5]
        assert reference["OtherElementEffectsDescriptions"] is None
        (capabilities,) = client.Associators(service.path, AssocClass="CIM_ElementCapabilities")
        assert set(capabilities["SynchronousMethodsSupported"]) == {2, 3, 5, 6, 7, 10}
        assert capabilities["AsynchronousMethodsSupported"] == []
        assert client.AssociatorNames(host, ResultClass="CIM_VirtualSystemManagementCapabilities")


def test_capabilities_tell_how_resources_can_be_allotted(running: Running) -> None:
    client = running.client()
    (host, *_) = central(running, "System Virtualization")
    found = client.Associators(host, AssocClass="CIM_ElementCapabilities", ResultClass="CIM_AllocationCapabilities")
    assert {c["ResourceType"] for c in found} == {3, 4, 17, 10}
    (memory,) = (c for c in found if c["ResourceType"] == 4)
    points = client.References(memory.path, ResultClass="CIM_SettingsDefineCapabilities")
    ends = {}
    for point in points:
        settings = client.GetInstance(point["PartComponent"])
        assert (point["PropertyPolicy"], settings["ResourceType"]) == (0, 4)
        ends[point["ValueRole"], point["ValueRange"]] = settings["VirtualQuantity"]
    known = next(iter(running.inventories[host["Name"]].snapshot.table(Host).rows())).as_dict()
    assert set(ends) == {(0, 0), (3, 1), (3, 2), (3, 3)}
    assert ends[3, 2] == known["memory"]
    (pool,) = client.AssociatorNames(
        memory.path, AssocClass="CIM_ElementCapabilities", ResultClass="Virtmap_MemoryPool"
    )
    assert f":{host['Name']}/" in pool["InstanceID"]


def test_a_domain_tells_which_states_it_can_be_asked_to_take(running: Running) -> None:
    client = running.client()
    path = path_of(running, "guest1")
    (told,) = client.Associators(path, AssocClass="CIM_ElementCapabilities")
    assert set(told["RequestedStatesSupported"]) == {2, 3, 4, 6, 9, 10, 11}


# --- every view


# Logs, of which there are none here, are walked in test_message_log.
PROFILE_ASSOCIATIONS = sorted({tie.association.name for tie in PROFILES.ties if tie not in logs.TIES})
PROFILE_CLASSES = sorted(
    f"Virtmap_{view.name}" for view in PROFILES.views if view.row is not Network and view not in logs.VIEWS
)


@pytest.mark.parametrize("name", PROFILE_ASSOCIATIONS)
def test_every_association_can_be_got_and_leads_both_ways(running: Running, name: str) -> None:
    client = running.client()
    found = client.EnumerateInstances(name)
    assert found
    assert [i.path for i in found] == client.EnumerateInstanceNames(name)
    pulled = client.IterEnumerateInstances(name, MaxObjectCount=7)
    assert sorted(plain(i.path) for i in pulled) == sorted(plain(i.path) for i in found)
    for instance in found:
        assert client.GetInstance(instance.path).properties == instance.properties
        one, other = instance.path.keybindings.values()
        for near, far in ((one, other), (other, one)):
            assert plain(far) in set(map(plain, client.AssociatorNames(near, AssocClass=name)))


@pytest.mark.parametrize("name", PROFILE_CLASSES)
def test_every_instance_can_be_got(running: Running, name: str) -> None:
    client = running.client()
    found = client.EnumerateInstances(name)
    assert len({plain(i.path) for i in found}) == len(found) > 0
    for instance in found:
        assert client.GetInstance(instance.path).properties == instance.properties


def test_an_identifier_that_spells_nothing_is_not_found(running: Running) -> None:
    client = running.client()
    for identity in (
        "",
        "virtmap:",
        "virtmap:x/disk/vda/definition",
        "virtmap:a/b/c",
        "nonsense",
        "virtmap:" + "x" * 5000,
    ):
        for name in ("Virtmap_DiskSettingData", "Virtmap_DomainStateSettingData", "Virtmap_MemoryPool"):
            with pytest.raises(pywbem.CIMError) as caught:
                client.GetInstance(pywbem.CIMInstanceName(name, {"InstanceID": identity}))
            assert caught.value.status_code == pywbem.CIM_ERR_NOT_FOUND


def test_generic_clients_walk_the_same_way_from_root_cimv2(running: Running) -> None:
    client = running.client(namespace="root/cimv2")
    (host, *_) = client.EnumerateInstanceNames("Virtmap_Host")
    (service,) = client.AssociatorNames(
        host, AssocClass="CIM_HostedService", ResultClass="CIM_VirtualSystemManagementService"
    )
    (guest, *_) = client.AssociatorNames(host, AssocClass="CIM_HostedDependency", ResultClass="CIM_ComputerSystem")
    guest.namespace = service.namespace = "root/cimv2"
    (settings,) = client.AssociatorNames(guest, AssocClass="CIM_SettingsDefineState")
    settings.namespace = "root/cimv2"
    assert allotted(client, settings)
    assert client.GetInstance(service)["SystemName"] == host["Name"]


def test_paused_domains_run_in_the_sense_of_the_profile(running: Running) -> None:
    client = running.client(OPERATOR)
    path = next(p for p in states(running)[True] if row(running, p).state is DomainState.RUNNING)
    assert client.InvokeMethod("Suspend", path)[0] == 0
    try:
        assert client.AssociatorNames(path, ResultClass="Virtmap_DomainStateSettingData")
        assert client.GetInstance(path)["EnabledState"] == 9
    finally:
        client.InvokeMethod("Resume", path)
