"""Domains defined, changed and removed by the management service on a real hypervisor: a private libvirtd with QEMU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import libvirt
import pytest
import pywbem
from lxml import etree

from drivers.libvirt import LibvirtDriver
from tests.cim.served import DEFINER, Running, serve
from tests.programs import unavailable
from tests.servers import Session, Unavailable, eventually

RESOURCE, DISK, NIC = (
    f"CIM_{kind}AllocationSettingData" for kind in ("Resource", "Storage", "EthernetPort")
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Session]:
    try:
        started = Session()
    except Unavailable as reason:
        unavailable(f"Session: {reason}")
    with started as server:
        assert isinstance(server, Session)
        yield server


@pytest.fixture(scope="module")
def running(server: Session) -> Iterator[Running]:
    yield from serve({"qemu": server.uri}, driver=LibvirtDriver)


def settings(cls: str, **values: Any) -> Any:
    made = pywbem.CIMInstance(cls)
    for name, value in values.items():
        kind = "uint16" if name == "ResourceType" else "uint64"
        made[name] = pywbem.cimvalue(value, kind) if isinstance(value, int) else value
    return made


def definition(server: Session, name: str, flags: int = libvirt.VIR_DOMAIN_XML_INACTIVE) -> etree._Element:
    """The XML of a domain, by a connection of the test's own."""
    connection = libvirt.open(server.uri)
    try:
        return etree.fromstring(connection.lookupByName(name).XMLDesc(flags))
    finally:
        connection.close()


def sources(root: etree._Element) -> dict[str, str | None]:
    """The image of each disk, by its name."""
    found = {}
    for disk in root.iterfind("devices/disk"):
        source = disk.find("source")
        found[disk.find("target").get("dev")] = None if source is None else source.get("file")
    return found


def test_a_domain_lives_by_its_settings(server: Session, running: Running) -> None:
    client = running.client(DEFINER)
    (service,) = client.EnumerateInstanceNames("CIM_VirtualSystemManagementService")
    first, second, third = (str(server.image(f"settings{n}", size=16)) for n in range(3))

    def call(method: str, **given: Any) -> Any:
        value, outs = client.InvokeMethod(method, service, **given)
        assert value == 0, running.trail.records[-1]
        return outs

    def part(path: Any, name: str) -> Any:
        (system,) = client.AssociatorNames(path, AssocClass="CIM_SettingsDefineState")
        found = client.AssociatorNames(system, AssocClass="CIM_VirtualSystemSettingDataComponent")
        return next(p["InstanceID"] for p in found if f"/{name}/" in p["InstanceID"])

    system = settings("CIM_VirtualSystemSettingData", ElementName="by-settings", VirtualSystemType="qemu")
    resources = [
        settings(RESOURCE, ResourceType=3, VirtualQuantity=1, Limit=2),
        settings(RESOURCE, ResourceType=4, VirtualQuantity=32, VirtualQuantityUnits="byte*2^20"),
        settings(DISK, ResourceType=17, HostResource=[first]),
        settings(DISK, ResourceType=15),
    ]
    path = call("DefineSystem", SystemSettings=system, ResourceSettings=resources)["ResultingSystem"]
    root = definition(server, "by-settings")
    assert sources(root) == {"vda": first, "sda": None}
    assert root.find("devices/disk/driver").get("type") == "qcow2"
    assert (root.findtext("memory"), root.findtext("vcpu")) == ("32768", "2")

    (defined,) = client.AssociatorNames(path, AssocClass="CIM_SettingsDefineState")
    more = [settings(DISK, HostResource=[second])]
    (added,) = call("AddResourceSettings", AffectedConfiguration=defined, ResourceSettings=more)[
        "ResultingResourceSettings"
    ]
    assert sources(definition(server, "by-settings")) == {"vda": first, "sda": None, "vdb": second}
    call(
        "ModifyResourceSettings",
        ResourceSettings=[settings(DISK, InstanceID=added["InstanceID"], HostResource=[third])],
    )
    assert sources(definition(server, "by-settings"))["vdb"] == third
    call("RemoveResourceSettings", ResourceSettings=[added])
    assert sources(definition(server, "by-settings")) == {"vda": first, "sda": None}
    vcpus = settings(RESOURCE, InstanceID=part(path, "processor"), VirtualQuantity=2)
    call("ModifyResourceSettings", ResourceSettings=[vcpus])
    assert definition(server, "by-settings").find("vcpu").get("current") is None, "all of them"

    assert client.InvokeMethod("Start", path)[0] == 0
    eventually(lambda: part(path, "sda").endswith("/state"), what="the state of the domain that was started")
    drive = part(path, "sda")
    call("ModifyResourceSettings", ResourceSettings=[settings(DISK, InstanceID=drive, HostResource=[second])])
    assert sources(definition(server, "by-settings", 0))["sda"] == second
    assert sources(definition(server, "by-settings"))["sda"] is None, "the medium is in the drive for this run only"

    call("DestroySystem", AffectedSystem=path)
    with pytest.raises(libvirt.libvirtError, match="by-settings"):
        definition(server, "by-settings")
    with pytest.raises(pywbem.CIMError) as caught:
        client.GetInstance(path)
    assert caught.value.status_code == pywbem.CIM_ERR_NOT_FOUND


def test_what_libvirt_says_of_a_definition_comes_back_in_its_words(running: Running) -> None:
    client = running.client(DEFINER)
    (service,) = client.EnumerateInstanceNames("CIM_VirtualSystemManagementService")
    system = settings("CIM_VirtualSystemSettingData", ElementName="odd", VirtualSystemType="xen")
    with pytest.raises(pywbem.CIMError, match="xen") as caught:
        client.InvokeMethod(
            "DefineSystem", service, SystemSettings=system,
            ResourceSettings=[settings(RESOURCE, ResourceType=4, VirtualQuantity=32768)],
        )  # fmt: skip
    last = running.trail.records[-1]
    assert last["operation"] == "DefineDomain"
    assert last["result"] == caught.value.status_description
