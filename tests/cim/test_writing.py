"""Instances that are created, changed and deleted, and the audit trail of all that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pywbem

from agent.cim.definition import Settings, domain_xml
from agent.errors import Failed
from agent.model.domain import Domain, SetVcpus
from tests.cim.served import DEFINER, OBSERVER, OPERATOR, Running, call, path_of, serve

U32 = pywbem.Uint32(3)


@pytest.fixture(scope="module")
def changing() -> Iterator[Running]:
    """A server whose domains change."""
    yield from serve({"local": "fake:///?domains=4&details=0", "far": "fake:///?domains=1&seed=7&details=0"})


def refused(do: Callable[[], Any]) -> int:
    with pytest.raises(pywbem.CIMError) as caught:
        do()
    return int(caught.value.status_code)


def settings_of(client: Any, domain: Any) -> Any:
    (found,) = client.Associators(
        domain, AssocClass="CIM_ElementSettingData", ResultClass="CIM_VirtualSystemSettingData"
    )
    return found


def last(running: Running) -> tuple[str, str, str]:
    record = running.trail.records[-1]
    return record["principal"], record["operation"], record["result"]


# --- create -----------------------------------------------------------------------------------------------------------


def test_a_domain_is_created_of_its_settings(changing: Running) -> None:
    client = changing.client(DEFINER)
    new = pywbem.CIMInstance(
        "Virtmap_DomainSettingData",
        properties={
            "ElementName": "fresh & <new>",
            "VirtualSystemType": "kvm",
            "Memory": pywbem.Uint64(65536),
            "MaxMemory": pywbem.Uint64(131072),
            "Vcpus": pywbem.Uint32(1),
            "MaxVcpus": pywbem.Uint32(2),
            "Notes": ["what it is for", "and whose"],
        },
    )
    path = client.CreateInstance(new)
    assert path.classname == "Virtmap_DomainSettingData"
    made = client.GetInstance(path)
    assert (made["ElementName"], made["Memory"], made["MaxMemory"]) == ("fresh & <new>", 65536, 131072)
    assert (made["Vcpus"], made["MaxVcpus"], made["Notes"]) == (1, 2, ["what it is for\nand whose"])
    (domain,) = client.Associators(path, AssocClass="CIM_ElementSettingData")
    assert (domain["Type"], domain["Persistent"]) == ("kvm", True)
    assert [r["result"] for r in changing.trail.records[-2:]] == ["done", "done"]
    assert changing.trail.records[-1]["target"] == f"domain fresh & <new> ({made['VirtualSystemIdentifier']})"
    client.DeleteInstance(path)
    assert refused(lambda: client.GetInstance(path)) == pywbem.CIM_ERR_NOT_FOUND


def test_a_domain_is_created_on_the_host_that_it_names(changing: Running) -> None:
    client = changing.client(DEFINER)
    new = pywbem.CIMInstance(
        "Virtmap_Domain",
        properties={"ElementName": "there", "Memory": pywbem.Uint64(4096), "Host": "far", "Type": "kvm"},
    )
    path = client.CreateInstance(new)
    assert client.GetInstance(path)["Host"] == "far"
    client.DeleteInstance(path)
    assert last(changing) == (DEFINER[0], "Undefine", "done")


@pytest.mark.parametrize(
    ("cls", "properties", "expected"),
    [
        ("Virtmap_Domain", {"ElementName": "x"}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("Virtmap_Domain", {"Memory": pywbem.Uint64(1)}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("Virtmap_Domain", {"ElementName": "x", "Memory": "many"}, pywbem.CIM_ERR_TYPE_MISMATCH),
        ("Virtmap_Domain", {"ElementName": "x", "Nonsense": "y"}, pywbem.CIM_ERR_NO_SUCH_PROPERTY),
        ("Virtmap_Domain", {"ElementName": "x", "Memory": pywbem.Uint64(1), "Host": "no"}, pywbem.CIM_ERR_INVALID_PARAMETER),
        ("Virtmap_Domain", {"ElementName": "x", "Memory": pywbem.Uint64(1), "Disks": U32}, pywbem.CIM_ERR_NOT_SUPPORTED),
        ("Virtmap_Disk", {"Target": "vdz"}, pywbem.CIM_ERR_NOT_SUPPORTED),
        ("Virtmap_DomainDevice", {}, pywbem.CIM_ERR_NOT_SUPPORTED),
        ("Nonsense", {}, pywbem.CIM_ERR_INVALID_CLASS),
    ],
)  # fmt: skip
def test_what_cannot_be_created(changing: Running, cls: str, properties: dict[str, Any], expected: int) -> None:
    client = changing.client(DEFINER)
    assert refused(lambda: client.CreateInstance(pywbem.CIMInstance(cls, properties=properties))) == expected
    principal, operation, result = last(changing)
    assert (principal, operation) == (DEFINER[0], "CreateInstance")
    assert result.startswith("refused: ")
    assert cls in changing.trail.records[-1]["target"]


def test_what_is_there_already_is_not_replaced(changing: Running) -> None:
    client, domain = changing.client(DEFINER), path_of(changing, "guest1")
    before, disks = client.GetInstance(domain), len(client.Associators(domain, ResultClass="Virtmap_Disk"))
    small = {"Memory": pywbem.Uint64(1024)}
    for same in (
        {"ElementName": "guest1"},
        {"ElementName": "guest1", "Name": domain["Name"]},
        {"ElementName": "another", "Name": domain["Name"].upper()},
        {"ElementName": "another", "Name": domain["Name"].replace("-", "")},
    ):
        new = pywbem.CIMInstance("Virtmap_Domain", properties={**same, **small})
        assert refused(lambda new=new: client.CreateInstance(new)) == pywbem.CIM_ERR_ALREADY_EXISTS
    new = pywbem.CIMInstance("Virtmap_Domain", properties={"ElementName": "x", "Name": "no UUID", **small})
    assert refused(lambda: client.CreateInstance(new)) == pywbem.CIM_ERR_INVALID_PARAMETER
    assert client.GetInstance(domain).properties.keys() == before.properties.keys()
    assert client.GetInstance(domain)["MaxMemory"] == before["MaxMemory"]
    assert len(client.Associators(domain, ResultClass="Virtmap_Disk")) == disks


def test_who_may_not_define_creates_and_deletes_nothing(changing: Running) -> None:
    client = changing.client(OPERATOR)
    new = pywbem.CIMInstance("Virtmap_Domain", properties={"ElementName": "x", "Memory": pywbem.Uint64(4096)})
    assert refused(lambda: client.CreateInstance(new)) == pywbem.CIM_ERR_ACCESS_DENIED
    assert last(changing)[1] == "DefineDomain"
    domain = path_of(changing, "guest1")
    assert refused(lambda: client.DeleteInstance(domain)) == pywbem.CIM_ERR_ACCESS_DENIED
    assert last(changing)[1] == "Undefine"
    assert client.GetInstance(domain)["ElementName"] == "guest1"


def test_definitions_are_made_as_trees() -> None:
    text = domain_xml(Settings(name="a<b", type="lxc", memory=5, description="</domain>", architecture="x86_64"))
    assert text == (
        '<domain type="lxc"><name>a&lt;b</name><description>&lt;/domain&gt;</description><memory unit="KiB">5</memory>'
        '<currentMemory unit="KiB">5</currentMemory><os><type arch="x86_64">exe</type></os></domain>'
    )
    with pytest.raises(ValueError, match="XML"):
        domain_xml(Settings(name="a\x01b", type="kvm", memory=5))


# --- modify -----------------------------------------------------------------------------------------------------------


def test_an_instance_is_read_changed_and_sent_back(changing: Running) -> None:
    client, domain = changing.client(OPERATOR), path_of(changing, "guest1")
    instance = client.GetInstance(domain)
    before = instance["Autostart"]
    instance["Autostart"] = not before
    instance["CpuTime"] = pywbem.Uint64(instance["CpuTime"] + 5)  # a counter goes on
    client.ModifyInstance(instance)
    assert client.GetInstance(domain)["Autostart"] is not before
    assert last(changing) == (OPERATOR[0], "SetAutostart", "done")
    recorded = len(changing.trail.records)
    client.ModifyInstance(client.GetInstance(domain))
    assert len(changing.trail.records) == recorded  # nothing differed


def test_what_is_named_is_set_even_if_it_looks_so_already(changing: Running) -> None:
    """What was last read may be old: somebody else changed it since."""
    client, domain = changing.client(OPERATOR), path_of(changing, "guest1")
    instance = client.GetInstance(domain)
    client.ModifyInstance(instance, PropertyList=["Autostart", "ElementName"])
    assert last(changing) == (OPERATOR[0], "SetAutostart", "done")
    recorded = len(changing.trail.records)
    client.ModifyInstance(instance, PropertyList=["Name", "ElementName"])
    assert len(changing.trail.records) == recorded


def test_several_properties_at_once(changing: Running) -> None:
    client, domain = changing.client(OPERATOR), path_of(changing, "guest1")
    instance = client.GetInstance(domain)
    memory = instance["Memory"] // 2
    instance["Memory"], instance["Vcpus"] = pywbem.Uint64(memory), pywbem.Uint32(1)
    client.ModifyInstance(instance, PropertyList=["Memory"])
    now = client.GetInstance(domain)
    assert (now["Memory"], now["Vcpus"]) == (memory, 2)
    client.ModifyInstance(instance, PropertyList=["memory", "VCPUS"])
    assert client.GetInstance(domain)["Vcpus"] == 1


def test_what_was_done_before_a_failure_is_taken_back(changing: Running) -> None:
    client, domain = changing.client(OPERATOR), path_of(changing, "guest2")
    fake = changing.drivers["local"]
    instance = client.GetInstance(domain)
    autostart, memory = instance["Autostart"], instance["Memory"]
    instance["Autostart"], instance["Memory"] = not autostart, pywbem.Uint64(memory // 2)
    instance["Vcpus"] = pywbem.Uint32(1)
    fake.refuse(SetVcpus, Failed("domain guest2: the guest does not let go of it"))
    try:
        with pytest.raises(pywbem.CIMError, match="does not let go"):
            client.ModifyInstance(instance, PropertyList=["Autostart", "Memory", "Vcpus"])
    finally:
        fake.refuse(SetVcpus, None)
    now = client.GetInstance(domain)
    assert (now["Autostart"], now["Memory"]) == (autostart, memory)


def test_the_definition_is_changed_for_the_next_start(changing: Running) -> None:
    client, domain = changing.client(OPERATOR), path_of(changing, "guest1")
    settings = settings_of(client, domain)
    lives, memory = client.GetInstance(domain)["Memory"], settings["Memory"] // 2
    settings["Memory"] = pywbem.Uint64(memory)
    client.ModifyInstance(settings)
    assert settings_of(client, domain)["Memory"] == memory
    assert client.GetInstance(domain)["Memory"] == lives
    startup = settings["AutomaticStartupAction"]
    settings["AutomaticStartupAction"] = pywbem.Uint16(2 if startup == 4 else 4)
    client.ModifyInstance(settings, PropertyList=["AutomaticStartupAction"])
    assert client.GetInstance(domain)["Autostart"] is (startup == 2)


@pytest.mark.parametrize(
    ("properties", "listed", "expected"),
    [
        ({"CpuTime": pywbem.Uint64(1)}, None, pywbem.CIM_ERR_NOT_SUPPORTED),
        ({"CpuTime": pywbem.Uint64(1), "Autostart": True}, ["CpuTime", "Autostart"], pywbem.CIM_ERR_NOT_SUPPORTED),
        ({"Name": "another"}, None, pywbem.CIM_ERR_INVALID_PARAMETER),
        ({"Memory": None}, None, pywbem.CIM_ERR_INVALID_PARAMETER),
        ({"Memory": pywbem.Uint64(0)}, None, pywbem.CIM_ERR_INVALID_PARAMETER),
        ({"Memory": pywbem.Uint16(5)}, None, pywbem.CIM_ERR_TYPE_MISMATCH),
        ({"Nonsense": "x"}, None, pywbem.CIM_ERR_NO_SUCH_PROPERTY),
        ({"Autostart": True}, ["Nonsense"], pywbem.CIM_ERR_NO_SUCH_PROPERTY),
    ],
)
def test_what_cannot_be_changed(
    changing: Running, properties: dict[str, Any], listed: list[str] | None, expected: int
) -> None:
    client, domain = changing.client(OPERATOR), path_of(changing, "guest3")
    before = client.GetInstance(domain)
    typed = {
        name: pywbem.CIMProperty(name, value, type="uint64") if value is None else value
        for name, value in properties.items()
    }
    instance = pywbem.CIMInstance("Virtmap_Domain", properties=typed)
    instance.path = domain
    assert refused(lambda: client.ModifyInstance(instance, PropertyList=listed)) == expected
    assert last(changing)[2].startswith("refused: ")
    assert client.GetInstance(domain).properties == before.properties


def test_who_may_only_observe_changes_nothing(changing: Running) -> None:
    client, domain = changing.client(OBSERVER), path_of(changing, "guest3")
    instance = client.GetInstance(domain)
    instance["Autostart"] = not instance["Autostart"]
    assert refused(lambda: client.ModifyInstance(instance)) == pywbem.CIM_ERR_ACCESS_DENIED
    assert client.GetInstance(domain)["Autostart"] is not instance["Autostart"]


def test_single_properties(changing: Running) -> None:
    """GetProperty and SetProperty, which DSP0200 deprecates and old clients send."""
    client, domain = changing.client(), path_of(changing, "guest4")
    name = f'<IPARAMVALUE NAME="InstanceName">{domain_name(domain)}</IPARAMVALUE>'

    def prop(of: str) -> str:
        return f'{name}<IPARAMVALUE NAME="PropertyName"><VALUE>{of}</VALUE></IPARAMVALUE>'

    assert "<IRETURNVALUE><VALUE>guest4</VALUE></IRETURNVALUE>" in call(changing, "GetProperty", prop("elementname"))
    assert "<IRETURNVALUE><VALUE.ARRAY><VALUE>2<" in call(changing, "GetProperty", prop("OperationalStatus"))
    assert "<IRETURNVALUE></IRETURNVALUE>" in call(changing, "GetProperty", prop("InstallDate"))
    assert 'CODE="12"' in call(changing, "GetProperty", prop("Nonsense"))
    assert 'CODE="2"' in call(
        changing,
        "SetProperty",
        prop("Autostart") + new_value("TRUE" if not client.GetInstance(domain)["Autostart"] else "FALSE"),
    )
    assert 'CODE="13"' in call(changing, "SetProperty", prop("Memory") + new_value("lots"))
    assert 'CODE="12"' in call(changing, "SetProperty", prop("Nonsense") + new_value("1"))


def domain_name(path: Any) -> str:
    bare = path.copy()
    bare.namespace = bare.host = None
    return str(bare.tocimxmlstr())


def new_value(text: str) -> str:
    return f'<IPARAMVALUE NAME="NewValue"><VALUE>{text}</VALUE></IPARAMVALUE>'


# --- delete -----------------------------------------------------------------------------------------------------------


def test_a_running_domain_is_not_deleted_but_its_definition_is(changing: Running) -> None:
    changing.drivers["local"].add("passing")
    changing.run(changing.inventories["local"].refresh)
    client, domain = changing.client(DEFINER), path_of(changing, "passing")
    assert refused(lambda: client.DeleteInstance(domain)) == pywbem.CIM_ERR_FAILED
    settings = settings_of(client, domain).path
    client.DeleteInstance(settings)
    assert client.GetInstance(domain)["Persistent"] is False
    assert refused(lambda: client.DeleteInstance(settings)) == pywbem.CIM_ERR_NOT_FOUND
    assert client.InvokeMethod("Destroy", domain)[0] == 0
    assert refused(lambda: client.GetInstance(domain)) == pywbem.CIM_ERR_NOT_FOUND


def test_what_cannot_be_deleted(changing: Running) -> None:
    client = changing.client(DEFINER)
    for name in ("Virtmap_Host", "Virtmap_Disk", "Virtmap_DomainMemory", "Virtmap_DomainDevice"):
        path = client.EnumerateInstanceNames(name)[0]
        assert refused(lambda path=path: client.DeleteInstance(path)) == pywbem.CIM_ERR_NOT_SUPPORTED
        assert last(changing)[:2] == (DEFINER[0], "DeleteInstance")
    missing = path_of(changing, "guest1")
    missing["Name"] = "nobody"
    assert refused(lambda: client.DeleteInstance(missing)) == pywbem.CIM_ERR_NOT_FOUND


def test_classes_and_qualifiers_stay_as_they_are(changing: Running) -> None:
    client = changing.client(DEFINER)
    cls = client.GetClass("Virtmap_Domain")
    attempts: list[Callable[[], Any]] = [
        lambda: client.CreateClass(cls),
        lambda: client.ModifyClass(cls),
        lambda: client.DeleteClass("Virtmap_Domain"),
        lambda: client.SetQualifier(client.GetQualifier("Key")),
        lambda: client.DeleteQualifier("Key"),
    ]
    for attempt in attempts:
        assert refused(attempt) == pywbem.CIM_ERR_NOT_SUPPORTED
        assert last(changing)[2].startswith("refused: ")


def test_everything_that_was_refused_left_the_domains_alone(changing: Running) -> None:
    names = [row.as_dict()["name"] for row in changing.inventories["local"].snapshot.table(Domain).rows()]
    assert names == ["guest1", "guest2", "guest3", "guest4"]
