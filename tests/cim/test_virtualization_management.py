"""The methods of the management service (DSP1042): domains defined, changed and removed by settings, and all that is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pywbem
from lxml import etree

from agent.errors import Failed
from agent.model import Domain, domain, host
from agent.model.domain import ModificationImpact, UndefineFlags
from agent.model.domain_devices import AttachDevice, DetachDevice, UpdateDevice
from drivers.libvirt import LibvirtDriver
from tests.cim.served import DEFINER, OBSERVER, OPERATOR, Running, path_of, serve

SYSTEM, RESOURCE = "CIM_VirtualSystemSettingData", "CIM_ResourceAllocationSettingData"
DISK, NIC = "CIM_StorageAllocationSettingData", "CIM_EthernetPortAllocationSettingData"
CONFIG, LIVE = ModificationImpact.CONFIG, ModificationImpact.LIVE


@pytest.fixture
def running() -> Iterator[Running]:
    """Three domains, of which the last one is off; `two` has one more."""
    for running in serve({"one": "fake:///?domains=3&details=0", "two": "fake:///?domains=1&seed=5&details=0"}):
        assert running.client(OPERATOR).InvokeMethod("Destroy", path_of(running, "guest3"))[0] == 0
        yield running


@pytest.fixture
def mock() -> Iterator[Running]:
    """libvirt's own test driver."""
    yield from serve({"test": "test:///default"}, driver=LibvirtDriver)


def typed(value: Any, kind: str) -> Any:
    return pywbem.cimvalue(value, kind) if value is not None else None


def settings(cls: str, **values: Any) -> Any:
    """An instance of settings; whole numbers are of the types that the DMTF gives them."""
    kinds = {"ResourceType": "uint16", "Access": "uint16", "AutomaticStartupAction": "uint16", "Weight": "uint32"}
    made = pywbem.CIMInstance(cls)
    for name, value in values.items():
        number = isinstance(value, int) and not isinstance(value, bool)
        made[name] = typed(value, kinds.get(name, "uint64")) if number else value
    return made


def service(running: Running, name: str = "one") -> Any:
    found = running.client().EnumerateInstanceNames("CIM_VirtualSystemManagementService")
    return next(p for p in found if p["SystemName"] == name)


def call(running: Running, method: str, who: Any = DEFINER, on: str = "one", **given: Any) -> tuple[int, Any]:
    value, outs = running.client(who).InvokeMethod(method, service(running, on), **given)
    return int(value), outs


def refused(running: Running, method: str, who: Any = DEFINER, on: str = "one", **given: Any) -> pywbem.CIMError:
    with pytest.raises(pywbem.CIMError) as caught:
        call(running, method, who, on, **given)
    return caught.value


def audited(running: Running) -> str:
    """The last line of the audit trail."""
    last = running.trail.records[-1]
    return f"{last['operation']} of {last['target']}: {last['result']}"


def configuration(running: Running, name: str, which: str = "definition") -> Any:
    cls = "Virtmap_DomainSettingData" if which == "definition" else "Virtmap_DomainStateSettingData"
    identity = f"virtmap:{path_of(running, name)['Name']}/{which}"
    return pywbem.CIMInstanceName(cls, {"InstanceID": identity}, namespace="root/virtmap")


def allotted(running: Running, name: str, part: str, which: str = "definition") -> Any:
    """The path of settings of a domain, by a part of their identifiers."""
    found = running.client().AssociatorNames(
        configuration(running, name, which), AssocClass="CIM_VirtualSystemSettingDataComponent"
    )
    return next(p for p in found if f"/{part}/" in p["InstanceID"])


def performed(running: Running, *kinds: type, on: str = "one") -> list[Any]:
    """What came to the hypervisor of these operations."""
    return [operation for operation, _ in running.drivers[on].performed if isinstance(operation, kinds)]


def xml(running: Running, path: Any) -> etree._Element:
    return etree.fromstring(running.client().InvokeMethod("ReadXml", path)[1]["Xml"])


ALL = (
    settings(RESOURCE, ResourceType=3, VirtualQuantity=2, Limit=4),
    settings(RESOURCE, ResourceType=4, VirtualQuantity=512, AllocationUnits="byte*2^20", Limit=1024),
    settings(DISK, ResourceType=17, HostResource=["/var/lib/a&b.qcow2"], ResourceSubType="virtio"),
    settings(DISK, ResourceType=15, Access=1),
    settings(NIC, ResourceType=10, Connection=["default"], Address="52540011aabb", ResourceSubType="e1000"),
)


# --- define


def test_a_system_is_defined_by_settings(mock: Running) -> None:
    system = settings(SYSTEM, ElementName="new <one>", Notes=["for", "tests"], AutomaticStartupAction=4)
    value, outs = call(mock, "DefineSystem", on="test", SystemSettings=system, ResourceSettings=list(ALL))
    assert value == 0
    assert audited(mock).startswith("DefineSystem of domain new <one> (")
    assert audited(mock).endswith(": done")
    made = outs["ResultingSystem"]
    assert mock.client().GetInstance(made)["ElementName"] == "new <one>"
    assert mock.client().GetInstance(made)["Autostart"] is True
    root = xml(mock, made)
    assert root.findtext("name") == "new <one>"
    assert root.findtext("description") == "for\ntests"
    assert (root.findtext("memory"), root.findtext("currentMemory")) == (str(1024 * 1024), str(512 * 1024))
    vcpu = root.find("vcpu")
    assert vcpu is not None
    assert (vcpu.text, vcpu.get("current")) == ("4", "2")
    disk, drive = root.findall("devices/disk")
    assert (disk.get("device"), disk.find("source").get("file")) == ("disk", "/var/lib/a&b.qcow2")
    assert (disk.find("target").get("dev"), disk.find("driver").get("type")) == ("vda", "qcow2")
    assert (drive.get("device"), drive.find("source"), drive.find("readonly") is not None) == ("cdrom", None, True)
    (nic,) = root.findall("devices/interface")
    assert (nic.get("type"), nic.find("source").get("network")) == ("network", "default")
    assert (nic.find("mac").get("address"), nic.find("model").get("type")) == ("52:54:00:11:aa:bb", "e1000")


def test_settings_come_as_mof_and_as_text_of_xml_too(running: Running) -> None:
    mof = (
        'instance of CIM_VirtualSystemSettingData { // a comment\n ElementName = "by" "mof"; VirtualSystemType = "kvm"; '
        'Notes = {"one", "t\\"wo"}; };'
    )
    memory = (
        "instance of CIM_ResourceAllocationSettingData {ResourceType = 4; VirtualQuantity = 0x1000; Limit = NULL;};"
    )
    value, outs = call(running, "DefineSystem", SystemSettings=mof, ResourceSettings=[memory])
    assert (value, running.client().GetInstance(outs["ResultingSystem"])["ElementName"]) == (0, "bymof")
    (definition,) = performed(running, host.DefineDomain)
    root = etree.fromstring(definition.xml)
    assert (root.get("type"), root.findtext("memory"), root.findtext("description")) == ("kvm", "4096", 'one\nt"wo')
    text = settings(SYSTEM, ElementName="by xml", VirtualSystemIdentifier="0b5f4d0e-58e7-4b52-bb3f-c00e51a0d3b7")
    value, outs = call(
        running, "DefineSystem", SystemSettings=text.tocimxmlstr(), ResourceSettings=[ALL[1].tocimxmlstr()]
    )
    assert (value, outs["ResultingSystem"]["Name"]) == (0, "0b5f4d0e-58e7-4b52-bb3f-c00e51a0d3b7")


def test_a_system_is_defined_on_the_host_of_the_service(running: Running) -> None:
    system = settings("Virtmap_DomainSettingData", ElementName="there", Memory=1024)
    value, outs = call(running, "DefineSystem", on="two", SystemSettings=system)
    assert value == 0
    assert running.client().GetInstance(outs["ResultingSystem"])["Host"] == "two"
    assert not performed(running, host.DefineDomain)


def test_a_client_that_knows_no_uuids_gives_the_name_in_their_place(running: Running) -> None:
    system = settings(SYSTEM, VirtualSystemIdentifier="old-style")
    value, outs = call(running, "DefineSystem", SystemSettings=system, ResourceSettings=[ALL[1]])
    assert (value, running.client().GetInstance(outs["ResultingSystem"])["ElementName"]) == (0, "old-style")


def test_a_reference_configuration_gives_what_is_not_told(mock: Running) -> None:
    template = settings(SYSTEM, ElementName="template", VirtualSystemType="test", Notes=["the first"])
    value, outs = call(mock, "DefineSystem", on="test", SystemSettings=template, ResourceSettings=list(ALL))
    value, outs = call(
        mock, "DefineSystem", on="test", SystemSettings=settings(SYSTEM, ElementName="copy"),
        ResourceSettings=[settings(RESOURCE, ResourceType=3, VirtualQuantity=1)],
        ReferenceConfiguration=configuration(mock, "template"),
    )  # fmt: skip
    assert value == 0
    root, model = xml(mock, outs["ResultingSystem"]), xml(mock, path_of(mock, "template"))
    assert root.findtext("name") == "copy"
    assert root.findtext("uuid") != model.findtext("uuid")
    assert root.findtext("description") is None
    assert root.findtext("currentMemory") == model.findtext("currentMemory")
    assert root.findtext("vcpu") == "1"
    assert [d.get("device") for d in root.iterfind("devices/disk")] == ["cdrom"], "no disk is in two domains"
    (nic,) = root.findall("devices/interface")
    assert nic.find("source").get("network") == "default"
    assert nic.find("mac").get("address") != model.find("devices/interface/mac").get("address")


def test_nothing_stays_of_a_system_that_could_be_defined_in_part_only(running: Running) -> None:
    running.drivers["one"].refuse(domain.SetAutostart, Failed("domain x: it will not"))
    system = settings(SYSTEM, ElementName="part", AutomaticStartupAction=4)
    error = refused(running, "DefineSystem", SystemSettings=system, ResourceSettings=[ALL[1]])
    assert "it will not" in error.status_description
    assert performed(running, domain.Undefine)
    names = {i["ElementName"] for i in running.client().EnumerateInstances("Virtmap_Domain")}
    assert "part" not in names


# --- add, modify, remove


@pytest.mark.parametrize(("name", "which", "impact"), [("guest1", "state", LIVE), ("guest3", "definition", CONFIG)])
def test_devices_are_added_to_the_configuration_that_is_named(
    running: Running, name: str, which: str, impact: ModificationImpact
) -> None:
    devices = [
        settings(DISK, HostResource=["/a.img"]),
        settings(DISK, ResourceType=17, HostExtentName="pool1/volume1", AddressOnParent="sdz", ResourceSubType="scsi"),
        settings(NIC, HostResource=["bridge:br0"]),
    ]
    value, _ = call(
        running,
        "AddResourceSettings",
        AffectedConfiguration=configuration(running, name, which),
        ResourceSettings=devices,
    )
    assert value == 0
    added = performed(running, AttachDevice)
    assert [each.impact for each in added] == [impact] * 3
    first, second, nic = (etree.fromstring(each.xml) for each in added)
    assert first.find("source").get("file") == "/a.img"
    taken = {d["ElementName"] for d in running.client().Associators(path_of(running, name), ResultClass="Virtmap_Disk")}
    assert first.find("target").get("dev") not in taken
    assert dict(second.find("source").attrib) == {"pool": "pool1", "volume": "volume1"}
    assert dict(second.find("target").attrib) == {"dev": "sdz", "bus": "scsi"}
    assert (nic.get("type"), nic.find("source").get("bridge"), nic.find("mac")) == ("bridge", "br0", None)
    assert audited(running) == f"AddResourceSettings of domain {name}: done"


def test_if_one_device_cannot_be_added_none_is(running: Running) -> None:
    devices = [settings(DISK, HostResource=["/a.img"]), settings(NIC, Connection=["default"])]
    fake = running.drivers["one"]
    before = len(fake.performed)
    attempts = iter([None, Failed("domain guest3: no more")])
    original = fake.perform

    def perform(operation: Any, key: Any, task: Any) -> Any:
        failure = next(attempts) if isinstance(operation, AttachDevice) else None
        if failure is not None:
            raise failure
        return original(operation, key, task)

    fake.perform = perform  # type: ignore[method-assign]
    error = refused(
        running, "AddResourceSettings", AffectedConfiguration=configuration(running, "guest3"), ResourceSettings=devices
    )
    assert "no more" in error.status_description
    done = [
        operation
        for operation, _ in list(fake.performed)[before:]
        if isinstance(operation, AttachDevice | DetachDevice)
    ]
    assert [type(each) for each in done] == [AttachDevice, DetachDevice]
    assert done[0].xml == done[1].xml


def test_quantities_are_modified_in_any_unit(running: Running) -> None:
    memory, processors = (allotted(running, "guest3", part) for part in ("memory", "processor"))
    changes = [
        settings(RESOURCE, InstanceID=memory["InstanceID"], VirtualQuantity=1, AllocationUnits="MegaBytes"),
        settings(RESOURCE, InstanceID=processors["InstanceID"], VirtualQuantity=1, VirtualQuantityUnits="count"),
    ]
    value, outs = call(running, "ModifyResourceSettings", ResourceSettings=changes)
    assert value == 0
    assert {p["InstanceID"] for p in outs["ResultingResourceSettings"]} == {
        memory["InstanceID"],
        processors["InstanceID"],
    }
    assert performed(running, domain.SetMemory, domain.SetVcpus) == [
        domain.SetMemory(memory=1024, impact=CONFIG),
        domain.SetVcpus(vcpus=1, impact=CONFIG),
    ]
    assert running.client().GetInstance(memory)["VirtualQuantity"] == 1024


def test_settings_can_be_read_changed_and_sent_back(running: Running) -> None:
    client = running.client(DEFINER)
    memory = client.GetInstance(allotted(running, "guest1", "memory", "state"))
    memory["VirtualQuantity"] = pywbem.Uint64(memory["VirtualQuantity"] // 2)
    assert call(running, "ModifyResourceSettings", OPERATOR, ResourceSettings=[memory])[0] == 0
    assert client.GetInstance(path_of(running, "guest1"))["Memory"] == memory["VirtualQuantity"]
    assert call(running, "ModifyResourceSettings", OPERATOR, ResourceSettings=[memory])[0] == 0
    assert len(performed(running, domain.SetMemory)) == 1, "what is so already is not set again"
    memory["VirtualQuantity"] = pywbem.Uint64(memory["VirtualQuantity"] // 2)
    client.ModifyInstance(memory, PropertyList=["VirtualQuantity"])
    assert client.GetInstance(path_of(running, "guest1"))["Memory"] == memory["VirtualQuantity"]


def test_what_stands_behind_a_device_is_modified(running: Running) -> None:
    client = running.client(DEFINER)
    disk = client.GetInstance(allotted(running, "guest3", "disk"))
    disk["HostResource"] = ["/dev/sdx"]
    nic = client.GetInstance(allotted(running, "guest3", "nic"))
    nic["HostResource"] = ["network:other"]
    del nic["Connection"], nic["PoolID"]
    value, outs = call(running, "ModifyResourceSettings", ResourceSettings=[disk, nic])
    assert (value, len(outs["ResultingResourceSettings"])) == (0, 2)
    first, second = performed(running, UpdateDevice)
    assert first.impact == second.impact == CONFIG
    element = etree.fromstring(first.xml)
    assert (element.get("type"), element.find("source").get("dev")) == ("block", "/dev/sdx")
    assert element.find("target").get("dev") == disk["AddressOnParent"]
    element = etree.fromstring(second.xml)
    assert (element.get("type"), element.find("source").get("network")) == ("network", "other")
    assert element.find("mac").get("address").replace(":", "").upper() == nic["Address"]


def test_devices_are_removed_by_what_tells_them_from_others(running: Running) -> None:
    disk, nic = allotted(running, "guest3", "disk"), allotted(running, "guest3", "nic")
    assert call(running, "RemoveResourceSettings", ResourceSettings=[disk, nic])[0] == 0
    first, second = performed(running, DetachDevice)
    assert etree.fromstring(first.xml).find("target").get("dev") in disk["InstanceID"]
    assert etree.fromstring(second.xml).find("mac").get("address") in nic["InstanceID"]
    assert first.impact == second.impact == CONFIG


def test_a_system_is_modified(running: Running) -> None:
    client = running.client(DEFINER)
    path = configuration(running, "guest1")
    before = client.GetInstance(path)
    wanted = 2 if before["AutomaticStartupAction"] == 4 else 4
    system = settings(SYSTEM, InstanceID=path["InstanceID"], AutomaticStartupAction=wanted)
    assert call(running, "ModifySystemSettings", OPERATOR, SystemSettings=system)[0] == 0
    assert client.GetInstance(path)["AutomaticStartupAction"] == wanted
    ours = settings("Virtmap_DomainSettingData", InstanceID=path["InstanceID"], Memory=2048)
    assert call(running, "ModifySystemSettings", OPERATOR, SystemSettings=ours)[0] == 0
    assert client.GetInstance(path)["Memory"] == 2048


# --- destroy


def test_a_system_that_runs_loses_its_definition_first_and_is_stopped_then(running: Running) -> None:
    path = path_of(running, "guest1")
    assert call(running, "DestroySystem", AffectedSystem=path)[0] == 0
    assert [type(each) for each in performed(running, domain.Undefine, domain.Destroy)][-2:] == [
        domain.Undefine, domain.Destroy,
    ]  # fmt: skip
    with pytest.raises(pywbem.CIMError) as caught:
        running.client().GetInstance(path)
    assert caught.value.status_code == pywbem.CIM_ERR_NOT_FOUND


def test_a_system_goes_with_its_saved_image(running: Running) -> None:
    path = path_of(running, "guest2")
    assert running.client(OPERATOR).InvokeMethod("ManagedSave", path)[0] == 0
    assert call(running, "DestroySystem", AffectedSystem=path)[0] == 0
    (undefined,) = performed(running, domain.Undefine)
    assert undefined.flags & UndefineFlags.MANAGED_SAVE


def test_a_system_that_cannot_be_stopped_gets_its_definition_back(running: Running) -> None:
    path = path_of(running, "guest1")
    running.drivers["one"].refuse(domain.Destroy, Failed("domain guest1: it clings to life"))
    error = refused(running, "DestroySystem", AffectedSystem=path)
    assert "it clings to life" in error.status_description
    assert running.client().GetInstance(path)["Persistent"] is True
    assert running.client().GetInstance(configuration(running, "guest1"))


# --- who may, and what makes no sense


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("DefineSystem", {"SystemSettings": settings(SYSTEM, ElementName="x"), "ResourceSettings": [ALL[1]]}),
        ("AddResourceSettings", {"ResourceSettings": [settings(DISK, HostResource=["/x"])]}),
        ("ModifyResourceSettings", {"ResourceSettings": [settings(RESOURCE, InstanceID="x")]}),
        ("RemoveResourceSettings", {}),
        ("ModifySystemSettings", {"SystemSettings": settings(SYSTEM, InstanceID="x")}),
        ("DestroySystem", {}),
    ],
)
def test_an_observer_is_denied_whatever_is_asked(running: Running, method: str, given: dict[str, Any]) -> None:
    before = len(running.drivers["one"].performed)
    error = refused(running, method, OBSERVER, **given)
    assert error.status_code == pywbem.CIM_ERR_ACCESS_DENIED
    assert audited(running).startswith(f"{method} of -: refused: watcher: {method} needs the role ")
    assert len(running.drivers["one"].performed) == before


def test_an_operator_may_change_quantities_and_no_devices(running: Running) -> None:
    memory, disk = allotted(running, "guest3", "memory"), allotted(running, "guest3", "disk")
    change = settings(RESOURCE, InstanceID=memory["InstanceID"], VirtualQuantity=4096)
    move = settings(DISK, InstanceID=disk["InstanceID"], HostResource=["/x"])
    error = refused(running, "ModifyResourceSettings", OPERATOR, ResourceSettings=[change, move])
    assert error.status_code == pywbem.CIM_ERR_ACCESS_DENIED
    assert not performed(running, domain.SetMemory), "nothing is done if a part is denied"
    assert call(running, "ModifyResourceSettings", OPERATOR, ResourceSettings=[change])[0] == 0
    for method, given in (
        ("RemoveResourceSettings", {"ResourceSettings": [disk]}),
        ("DestroySystem", {"AffectedSystem": path_of(running, "guest3")}),
    ):
        assert refused(running, method, OPERATOR, **given).status_code == pywbem.CIM_ERR_ACCESS_DENIED


GOOD = settings(SYSTEM, ElementName="good")
UNPRINTABLE = 'instance of CIM_VirtualSystemSettingData {ElementName = "a\\x000Bb";};'


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "SystemSettings: is missing"),
        ({"SystemSettings": ""}, "it ends where a name belongs"),
        ({"SystemSettings": "instance of"}, "it ends where a name belongs"),
        ({"SystemSettings": "instance of X {};"}, "there is no class 'X'"),
        ({"SystemSettings": "instance of CIM_VirtualSystemSettingData {ElementName = 5;};"}, "sent as a number"),
        ({"SystemSettings": "instance of CIM_VirtualSystemSettingData {ElementName = {\"a\"};};"}, "sent as an array"),
        ({"SystemSettings": "instance of CIM_VirtualSystemSettingData {Notes = \"a\";};"}, "sent as a single value"),
        ({"SystemSettings": "instance of CIM_VirtualSystemSettingData {ElementName = \"a\"};"}, "there is no ;"),
        ({"SystemSettings": "instance of CIM_VirtualSystemSettingData {}; more"}, "comes after its end"),
        ({"SystemSettings": "instance of CIM_VirtualSystemSettingData {A = \"\\q\";};"}, "is no escape"),
        ({"SystemSettings": "instance of CIM_VirtualSystemSettingData {ElementName=\"a\"; elementname=\"b\";};"}, "twice"),
        ({"SystemSettings": "<INSTANCE CLASSNAME='CIM_VirtualSystemSettingData'>"}, "holds no instance"),
        ({"SystemSettings": "<!DOCTYPE a [<!ENTITY b 'c'>]><INSTANCE CLASSNAME='a'/>"}, "holds no instance"),
        ({"SystemSettings": [GOOD]}, "is one instance, and no array"),
        ({"SystemSettings": settings(RESOURCE, ElementName="x")}, f"{RESOURCE} is no {SYSTEM}"),
        ({"SystemSettings": settings(SYSTEM, Colour="red")}, "has no property 'Colour'"),
        ({"SystemSettings": settings(SYSTEM, ElementName=7)}, "is string, and was sent as uint64"),
        ({"SystemSettings": settings(SYSTEM, Notes=["no name"])}, "needs its ElementName"),
        ({"SystemSettings": settings(SYSTEM, ElementName="x", VirtualSystemIdentifier="no-uuid")}, "is no UUID"),
        ({"SystemSettings": GOOD}, "needs memory"),
        ({"SystemSettings": GOOD, "ResourceSettings": GOOD}, "is an array of instances"),
        ({"SystemSettings": GOOD, "ResourceSettings": [GOOD]}, f"{SYSTEM} is no {RESOURCE}"),
        ({"SystemSettings": GOOD, "ResourceSettings": [settings(RESOURCE)]}, "has no ResourceType"),
        ({"SystemSettings": GOOD, "ResourceSettings": [settings(RESOURCE, ResourceType=4)]}, "has no VirtualQuantity"),
        ({"SystemSettings": GOOD, "ResourceSettings": [ALL[1], ALL[1]]}, "two of the ResourceType 4"),
        (
            {"SystemSettings": GOOD, "ResourceSettings": [settings(RESOURCE, ResourceType=4, VirtualQuantity=0)]},
            "cannot be allotted 0",
        ),
        (
            {
                "SystemSettings": GOOD,
                "ResourceSettings": [settings(RESOURCE, ResourceType=4, VirtualQuantity=1, AllocationUnits="stone")],
            },
            "'stone' is no unit of memory",
        ),
        (
            {
                "SystemSettings": GOOD,
                "ResourceSettings": [
                    settings(RESOURCE, ResourceType=4, VirtualQuantity=2**63, AllocationUnits="byte*2^60")
                ],
            },
            "is too much",
        ),
        (
            {"SystemSettings": GOOD, "ResourceSettings": [settings(RESOURCE, ResourceType=4, VirtualQuantity=9, Limit=8)]},
            "is above Limit",
        ),
        ({"SystemSettings": GOOD, "ResourceSettings": [ALL[1], settings(DISK, ResourceType=3)]}, "cannot be of the ResourceType 3"),
        ({"SystemSettings": GOOD, "ResourceSettings": [ALL[1], settings(DISK)]}, "a disk needs an image"),
        (
            {"SystemSettings": GOOD, "ResourceSettings": [ALL[1], settings(DISK, HostResource=["x y"])]},
            "is neither a path nor a volume",
        ),
        (
            {
                "SystemSettings": GOOD,
                "ResourceSettings": [ALL[1], settings(DISK, HostResource=["/x"], AddressOnParent="../x")],
            },
            "is no name of a disk",
        ),
        (
            {
                "SystemSettings": GOOD,
                "ResourceSettings": [ALL[1], *[settings(DISK, HostResource=["/x"], AddressOnParent="vda")] * 2],
            },
            "there is a disk vda already",
        ),
        ({"SystemSettings": GOOD, "ResourceSettings": [ALL[1], settings(NIC)]}, "has to be connected to something"),
        (
            {"SystemSettings": GOOD, "ResourceSettings": [ALL[1], settings(NIC, Connection=["a"], Address="zz")]},
            "is no MAC address",
        ),
        (
            {"SystemSettings": GOOD, "ResourceSettings": [ALL[1], settings(NIC, HostResource=["rope:a"])]},
            "is none of network:NAME",
        ),
        ({"SystemSettings": UNPRINTABLE, "ResourceSettings": [ALL[1]]}, "no definition can be made"),
        ({"SystemSettings": GOOD, "ResourceSettings": [ALL[1]], "Colour": "red"}, "there is no parameter 'colour'"),
        ({"SystemSettings": GOOD, "ResourceSettings": [ALL[1]], "ReferenceConfiguration": "guest1"}, "is no instance name"),
    ],
)  # fmt: skip
def test_a_definition_that_makes_no_sense_is_refused_in_words(
    running: Running, given: dict[str, Any], words: str
) -> None:
    before = len(running.drivers["one"].performed)
    error = refused(running, "DefineSystem", **given)
    assert error.status_code == pywbem.CIM_ERR_INVALID_PARAMETER
    assert words in error.status_description
    assert "DefineSystem" in audited(running)
    assert "refused: " in audited(running)
    assert len(running.drivers["one"].performed) == before, "none of it came to the hypervisor"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"SystemSettings": GOOD, "ResourceSettings": [ALL[1], settings(RESOURCE, ResourceType=24)]},
            "resources of the type 24 cannot be allotted",
        ),
        (
            {
                "SystemSettings": GOOD,
                "ResourceSettings": [settings(RESOURCE, ResourceType=4, VirtualQuantity=9, Weight=3)],
            },
            "Weight cannot be set",
        ),
        (
            {
                "SystemSettings": settings(SYSTEM, ElementName="x", ConfigurationFile="/etc/passwd"),
                "ResourceSettings": [ALL[1]],
            },
            "ConfigurationFile cannot be set",
        ),
        (
            {
                "SystemSettings": settings(SYSTEM, ElementName="x", AutomaticStartupAction=3),
                "ResourceSettings": [ALL[1]],
            },
            "AutomaticStartupAction can be 4 or 2",
        ),
    ],
)
def test_what_the_service_does_not_know_is_not_supported(running: Running, given: dict[str, Any], words: str) -> None:
    assert call(running, "DefineSystem", **given)[0] == 1
    assert words in audited(running)
    assert not performed(running, host.DefineDomain)


def test_a_name_that_is_taken_is_refused(running: Running) -> None:
    for system in (
        settings(SYSTEM, ElementName="guest1"),
        settings(SYSTEM, ElementName="x", VirtualSystemIdentifier=path_of(running, "guest2")["Name"]),
    ):
        error = refused(running, "DefineSystem", SystemSettings=system, ResourceSettings=[ALL[1]])
        assert error.status_code == pywbem.CIM_ERR_ALREADY_EXISTS
    assert not performed(running, host.DefineDomain)


def gone(path: Any) -> Any:
    made = path.copy()
    made["InstanceID"] = made["InstanceID"].replace("virtmap:", "virtmap:0")
    return made


def test_references_that_lead_nowhere_are_not_found(running: Running) -> None:
    disk, memory = allotted(running, "guest3", "disk"), allotted(running, "guest3", "memory")
    vanished = path_of(running, "guest1")
    vanished["Name"] = "none"
    for method, given in (
        ("DefineSystem", {"SystemSettings": GOOD, "ReferenceConfiguration": gone(configuration(running, "guest1"))}),
        (
            "AddResourceSettings",
            {"AffectedConfiguration": gone(configuration(running, "guest1")), "ResourceSettings": [ALL[2]]},
        ),
        ("ModifyResourceSettings", {"ResourceSettings": [settings(RESOURCE, InstanceID=gone(memory)["InstanceID"])]}),
        ("RemoveResourceSettings", {"ResourceSettings": [gone(disk)]}),
        ("ModifySystemSettings", {"SystemSettings": settings(SYSTEM, InstanceID="virtmap:none/definition")}),
        ("DestroySystem", {"AffectedSystem": vanished}),
    ):
        error = refused(running, method, **given)  # type: ignore[arg-type]
        assert error.status_code == pywbem.CIM_ERR_NOT_FOUND, method
        assert audited(running).startswith(f"{method} of ")


def test_references_to_something_else_are_refused(running: Running) -> None:
    domain_path, disk = path_of(running, "guest1"), allotted(running, "guest3", "disk")
    elsewhere = next(
        p for p in running.client().EnumerateInstances("Virtmap_Domain", PropertyList=["Host"]) if p["Host"] == "two"
    ).path
    for method, given, words in (
        ("AddResourceSettings", {"ResourceSettings": [ALL[2]]}, "AffectedConfiguration is missing"),
        (
            "AddResourceSettings",
            {"AffectedConfiguration": domain_path, "ResourceSettings": [ALL[2]]},
            f"is no {SYSTEM}",
        ),
        (
            "AddResourceSettings",
            {"AffectedConfiguration": configuration(running, "guest1")},
            "ResourceSettings is missing",
        ),
        ("RemoveResourceSettings", {}, "with one at least"),
        ("RemoveResourceSettings", {"ResourceSettings": disk}, "with one at least"),
        ("RemoveResourceSettings", {"ResourceSettings": [domain_path]}, f"is no {RESOURCE}"),
        ("RemoveResourceSettings", {"ResourceSettings": [disk, disk]}, "stands there twice"),
        ("DestroySystem", {}, "AffectedSystem is missing"),
        ("DestroySystem", {"AffectedSystem": configuration(running, "guest1")}, "is no domain"),
        ("DestroySystem", {"AffectedSystem": elsewhere}, "is on two, and this is the service of one"),
        ("ModifySystemSettings", {"SystemSettings": settings(SYSTEM, ElementName="x")}, "has no InstanceID"),
        ("ModifyResourceSettings", {"ResourceSettings": []}, "ResourceSettings is missing"),
    ):
        error = refused(running, method, **given)
        assert error.status_code == pywbem.CIM_ERR_INVALID_PARAMETER, (method, error.status_description)
        assert words in error.status_description
        assert "refused: " in audited(running)
    assert not performed(running, domain.Undefine, domain.Destroy, DetachDevice, AttachDevice)[1:]


def test_return_values_of_the_profile(running: Running) -> None:
    memory, disk = allotted(running, "guest3", "memory"), allotted(running, "guest3", "disk")
    for code, method, given in (
        (
            1, "AddResourceSettings",
            {"AffectedConfiguration": configuration(running, "guest3"), "ResourceSettings": [ALL[1]]},
        ),
        (1, "RemoveResourceSettings", {"ResourceSettings": [memory]}),
        (1, "ModifyResourceSettings", {"ResourceSettings": [settings(RESOURCE, InstanceID=memory["InstanceID"], Weight=2)]}),
        (1, "ModifyResourceSettings", {"ResourceSettings": [settings(DISK, InstanceID=disk["InstanceID"], Access=1)]}),
        (
            6, "ModifyResourceSettings",
            {"ResourceSettings": [settings(RESOURCE, InstanceID=memory["InstanceID"], VirtualQuantity=9, Limit=8)]},
        ),
        (
            1, "ModifySystemSettings",
            {"SystemSettings": settings(SYSTEM, InstanceID=configuration(running, "guest3")["InstanceID"], Caption="x")},
        ),
    ):  # fmt: skip
        value, outs = call(running, method, **given)
        assert (value, dict(outs)) == (code, {}), method
        assert audited(running).startswith(f"{method} of ")
        assert "refused: " in audited(running)


def test_what_the_hypervisor_refuses_is_told_in_its_words(running: Running) -> None:
    memory = allotted(running, "guest3", "memory")
    change = settings(RESOURCE, InstanceID=memory["InstanceID"], VirtualQuantity=2**50)
    error = refused(running, "ModifyResourceSettings", ResourceSettings=[change])
    assert error.status_code == pywbem.CIM_ERR_INVALID_PARAMETER
    assert "exceeds its maximum" in error.status_description


def test_a_device_that_left_the_definition_meanwhile_is_not_found(running: Running) -> None:
    disk = allotted(running, "guest3", "disk")
    running.drivers["one"].refuse(domain.ReadXml, None)
    original = running.drivers["one"].perform

    def perform(operation: Any, key: Any, task: Any) -> Any:
        if isinstance(operation, domain.ReadXml):
            return {"xml": "<domain type='fake'><devices/></domain>"}
        return original(operation, key, task)

    running.drivers["one"].perform = perform  # type: ignore[method-assign]
    error = refused(running, "RemoveResourceSettings", ResourceSettings=[disk])
    assert error.status_code == pywbem.CIM_ERR_NOT_FOUND
    assert "is in the definition no more" in error.status_description


def test_other_methods_of_the_service_are_told_apart(running: Running) -> None:
    for method, code in (
        ("RequestStateChange", None),
        ("StartService", pywbem.CIM_ERR_METHOD_NOT_FOUND),
        ("Nonsense", pywbem.CIM_ERR_METHOD_NOT_FOUND),
    ):
        if code is None:
            assert call(running, method, RequestedState=pywbem.Uint16(3))[0] == 1
            continue
        assert refused(running, method).status_code == code


def test_methods_are_there_by_any_spelling_and_in_every_namespace_that_shows_the_service(running: Running) -> None:
    where = service(running)
    where.namespace = "root/cimv2"
    value, _ = running.client(DEFINER).InvokeMethod(
        "definesystem", where, systemsettings=settings(SYSTEM, ElementName="new"), RESOURCESETTINGS=[ALL[1]]
    )
    assert value == 0
    table = running.inventories["one"].snapshot.table(Domain)
    assert "new" in {r.as_dict()["name"] for r in table.rows()}
