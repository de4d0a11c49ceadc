"""Every answer of the WBEM server against the grammar of CIM-XML (DSP0201, DSP0203 2.4), and against what DSP0200 lets each
operation give back.

The grammar is put down in `dsp0203.dtd` by us, so it is held against a writer that we did not write as well: whatever
pywbem asks has to be valid by it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pywbem
from lxml import etree

from agent.cim import namespaces
from tests.cim.served import OPERATOR, Running, serve

DTD = etree.DTD(str(Path(__file__).with_name("dsp0203.dtd")))

#: What each operation gives back: the elements that may stand in its IRETURNVALUE, "" for none at all (DSP0200 5.3, 5.4).
ANSWERS = {
    "GetClass": "CLASS",
    "EnumerateClasses": "CLASS",
    "EnumerateClassNames": "CLASSNAME",
    "GetQualifier": "QUALIFIER.DECLARATION",
    "EnumerateQualifiers": "QUALIFIER.DECLARATION",
    "GetInstance": "INSTANCE",
    "GetProperty": "VALUE VALUE.ARRAY VALUE.REFERENCE",
    "EnumerateInstances": "VALUE.NAMEDINSTANCE",
    "EnumerateInstanceNames": "INSTANCENAME",
    "Associators": "VALUE.OBJECTWITHPATH",
    "AssociatorNames": "OBJECTPATH",
    "References": "VALUE.OBJECTWITHPATH",
    "ReferenceNames": "OBJECTPATH",
    "ExecQuery": "VALUE.OBJECT VALUE.OBJECTWITHLOCALPATH VALUE.OBJECTWITHPATH",
    "OpenEnumerateInstances": "VALUE.INSTANCEWITHPATH",
    "OpenEnumerateInstancePaths": "INSTANCEPATH",
    "OpenAssociatorInstances": "VALUE.INSTANCEWITHPATH",
    "OpenAssociatorInstancePaths": "INSTANCEPATH",
    "OpenReferenceInstances": "VALUE.INSTANCEWITHPATH",
    "OpenReferenceInstancePaths": "INSTANCEPATH",
    "OpenQueryInstances": "INSTANCE",
    "PullInstancesWithPath": "VALUE.INSTANCEWITHPATH",
    "PullInstancePaths": "INSTANCEPATH",
    "PullInstances": "INSTANCE",
    "CloseEnumeration": "",
    "EnumerationCount": "VALUE",
    "CreateInstance": "INSTANCENAME",
    "ModifyInstance": "",
    "DeleteInstance": "",
    "SetProperty": "",
}

#: Operations that this server knows and refuses.
REFUSED = ("CreateClass", "ModifyClass", "DeleteClass", "SetQualifier", "DeleteQualifier")

#: Empty elements that sblim's wbemcli knows in their short form.
SHORT = ("NAMESPACE", "CLASSNAME", "SCOPE", "ERROR", "VALUE.NULL")


class Checked(pywbem.WBEMConnection):  # type: ignore[misc]
    """pywbem's client, checking every request and every answer; ``seen`` counts the successful answers of operations, and
    ``codes`` the status codes of the others."""

    def __init__(self, url: str, credentials: tuple[str, str] | None, namespace: str) -> None:
        super().__init__(url, credentials, default_namespace=namespace, timeout=30)
        self.seen: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()

    def _imethodcall(self, methodname: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._imethodcall(methodname, *args, **kwargs)
        finally:
            self._check(methodname)

    def _methodcall(self, methodname: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super()._methodcall(methodname, *args, **kwargs)
        finally:
            self._check(methodname)

    def _check(self, name: str) -> None:
        valid(self.last_raw_request)
        answer = valid(self.last_raw_reply)
        short = set(re.findall(rb"<([A-Z.]+)[^<>]*/>", self.last_raw_reply)) - {t.encode() for t in SHORT}
        assert not short, f"{name} is answered with short empty elements: {short}"
        for key in answer.iter("KEYVALUE"):
            assert key.get("TYPE"), f"{name}: a key without its type"
        response = answer.find("MESSAGE/SIMPLERSP")[0]
        assert response.get("NAME") == name
        error = response.find("ERROR")
        if error is not None:
            self.codes[int(error.get("CODE"))] += 1
            assert error.get("DESCRIPTION")
        elif response.tag == "IMETHODRESPONSE":
            self.seen[name] += 1
            gives = response.find("IRETURNVALUE")
            allowed = ANSWERS[name].split()
            assert (gives is not None) == bool(allowed)
            assert {each.tag for each in response.iterfind("IRETURNVALUE/*")} <= set(allowed)


def valid(text: bytes) -> Any:
    """The document in these bytes, valid by the grammar."""
    document = etree.fromstring(text)
    assert DTD.validate(document), f"{DTD.error_log.filter_from_errors()}\n{text[:2000]!r}"
    return document


@pytest.fixture(scope="module")
def small() -> Iterator[Running]:
    yield from serve({"local": "fake:///?domains=2"})


@pytest.fixture
def connect(small: Running) -> Iterator[Callable[..., Checked]]:
    """Makes clients of a namespace, which are closed when the test is done."""
    made: list[Checked] = []

    def client(namespace: str = namespaces.VIRTMAP) -> Checked:
        made.append(Checked(small.url, OPERATOR, namespace))
        return made[-1]

    yield client
    for each in made:
        each.close()


def bare(path: pywbem.CIMInstanceName) -> pywbem.CIMInstanceName:
    """The same as an INSTANCENAME."""
    return pywbem.CIMInstanceName(path.classname, path.keybindings)


def codes_of(client: Checked) -> set[int]:
    return set(client.codes)


# --- the grammar ------------------------------------------------------------------------------------------------------


def test_the_grammar_refuses_what_is_no_cim_xml() -> None:
    before, after = '<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" PROTOCOLVERSION="1.0">', "</MESSAGE></CIM>"
    for wrong in (
        "<SIMPLERSP></SIMPLERSP>",
        '<SIMPLERSP><IMETHODRESPONSE NAME="x"><IRETURNVALUE><CLASSNAME NAME="x"/><VALUE/></IRETURNVALUE>'
        "</IMETHODRESPONSE></SIMPLERSP>",
        '<SIMPLERSP><IMETHODRESPONSE NAME="x"><IRETURNVALUE><INSTANCE/></IRETURNVALUE></IMETHODRESPONSE></SIMPLERSP>',
        '<SIMPLERSP><IMETHODRESPONSE NAME="x"><IRETURNVALUE><INSTANCENAME CLASSNAME="x"><KEYBINDING NAME="y">'
        '<KEYVALUE VALUETYPE="datetime">1</KEYVALUE></KEYBINDING></INSTANCENAME></IRETURNVALUE></IMETHODRESPONSE></SIMPLERSP>',
    ):
        assert not DTD.validate(etree.fromstring(before + wrong + after)), wrong


def test_every_element_that_is_used_is_declared() -> None:
    declared = {element.name for element in DTD.iterelements()}
    used = set(re.findall(r"[A-Z]+(?:\.[A-Z]+)*", " ".join(str(content(e.content)) for e in DTD.iterelements())))
    assert used <= declared


def content(model: Any) -> list[str]:
    """The names of the elements in a content model."""
    if model is None:
        return []
    return ([model.name] if model.name else []) + content(model.left) + content(model.right)


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", namespaces.NAMES)
def test_classes_and_qualifiers(connect: Callable[..., Checked], namespace: str) -> None:
    client = connect(namespace)
    for flag in (False, True):
        client.EnumerateClasses(
            DeepInheritance=True, LocalOnly=flag, IncludeQualifiers=not flag, IncludeClassOrigin=not flag
        )
    names = client.EnumerateClassNames(DeepInheritance=True)
    for name in names[:: max(1, len(names) // 12)]:
        client.GetClass(name, LocalOnly=False, IncludeClassOrigin=True)
        client.GetClass(name, PropertyList=["caption", "Name"])
        client.EnumerateClassNames(ClassName=name)
        client.EnumerateClasses(ClassName=name)
    for qualifier in client.EnumerateQualifiers():
        client.GetQualifier(qualifier.name)


#: All but other names of the same, and that which has none.
WITH_INSTANCES = [name for name in namespaces.NAMES if name not in (*namespaces.ALIASES, namespaces.VIRT)]


@pytest.mark.parametrize("namespace", WITH_INSTANCES)
def test_instances_of_every_class_and_what_is_around_them(connect: Callable[..., Checked], namespace: str) -> None:
    client = connect(namespace)
    met: dict[str, Any] = {}
    for name in client.EnumerateClassNames(DeepInheritance=True):
        client.EnumerateInstances(name, DeepInheritance=False, IncludeClassOrigin=True)
        for path in client.EnumerateInstanceNames(name):
            met.setdefault(path.classname, path)
        client.OpenEnumerateInstances(name, MaxObjectCount=1000, PropertyList=["name", "Dependent"])
        client.OpenEnumerateInstancePaths(name, MaxObjectCount=1000)
        for operation in (client.Associators, client.References):
            operation(name, IncludeQualifiers=True, IncludeClassOrigin=True)
        client.AssociatorNames(name)
        client.ReferenceNames(name)
    assert met
    for path in met.values():
        for ask in (
            lambda path: client.GetInstance(path, IncludeClassOrigin=True),
            lambda path: client.GetInstance(path, PropertyList=[]),
            lambda path: client.Associators(path, IncludeClassOrigin=True),
            client.AssociatorNames,
            client.References,
            client.ReferenceNames,
            lambda path: client.OpenAssociatorInstances(path, MaxObjectCount=1000),
            lambda path: client.OpenAssociatorInstancePaths(path, MaxObjectCount=1000),
            lambda path: client.OpenReferenceInstances(path, MaxObjectCount=1000),
            lambda path: client.OpenReferenceInstancePaths(path, MaxObjectCount=1000),
        ):
            with suppress(pywbem.CIMError):  # valid whether right or not: what is right is told by test_oracle
                ask(path)


def test_every_property_by_itself(connect: Callable[..., Checked]) -> None:
    client = connect()
    for name in ("Virtmap_Domain", "Virtmap_Host", "Virtmap_DomainDevice"):
        path = bare(client.EnumerateInstanceNames(name)[0])
        for prop in client.GetClass(name, LocalOnly=False).properties:
            client._imethodcall("GetProperty", namespaces.VIRTMAP, InstanceName=path, PropertyName=prop)
    assert not client.codes


@pytest.mark.parametrize("namespace", [namespaces.VIRTMAP, namespaces.INTEROP])
def test_pulling(connect: Callable[..., Checked], namespace: str) -> None:
    client = connect(namespace)
    top = "CIM_ManagedElement"
    for opened, pull in (
        (client.OpenEnumerateInstances(top), client.PullInstancesWithPath),
        (client.OpenEnumerateInstancePaths(top), client.PullInstancePaths),
    ):
        context, end = opened.context, opened.eos
        client._imethodcall("EnumerationCount", namespace, EnumerationContext=context[0])
        for most in (0, 1, 5):
            part = pull(context, most)
            context, end = part.context, part.eos
        while not end:
            part = pull(context, 20)
            context, end = part.context, part.eos
        with pytest.raises(pywbem.CIMError):
            pull(opened.context, 1)
    client.CloseEnumeration(client.OpenEnumerateInstances(top).context)
    assert codes_of(client) == {pywbem.CIM_ERR_INVALID_ENUMERATION_CONTEXT}


def test_methods(connect: Callable[..., Checked], monkeypatch: pytest.MonkeyPatch) -> None:
    client = connect()
    domain = client.EnumerateInstanceNames("Virtmap_Domain")[0]
    (host,) = client.EnumerateInstanceNames("Virtmap_Host")
    client.InvokeMethod("Suspend", domain)
    client.InvokeMethod("Resume", domain)
    client.InvokeMethod("SetAutostart", domain, Autostart=True)
    client.InvokeMethod("ReadXml", domain, Flags=pywbem.Uint32(1))
    client.InvokeMethod("ReadCapabilities", host)
    client.InvokeMethod("RequestStateChange", domain, RequestedState=pywbem.Uint16(7))
    monkeypatch.setattr("agent.cim.methods.PATIENCE", 0.0)
    client.InvokeMethod("ManagedSave", domain)
    for method, target in (("None", domain), ("Suspend", "Virtmap_Domain"), ("SetMemory", domain), ("Start", "None")):
        with pytest.raises(pywbem.CIMError):
            client.InvokeMethod(method, target)


def test_what_changes_instances(connect: Callable[..., Checked]) -> None:
    client = connect()
    new = pywbem.CIMInstance("Virtmap_Domain", {"ElementName": "a <new> & one", "Memory": pywbem.Uint64(65536)})
    with suppress(pywbem.CIMError):  # who may define domains is not the matter here
        client.CreateInstance(new)
    domain = client.EnumerateInstances("Virtmap_Domain")[0]
    client.ModifyInstance(domain, PropertyList=["autostart"])
    with suppress(pywbem.CIMError):
        client._imethodcall(
            "SetProperty",
            namespaces.VIRTMAP,
            has_return_value=False,
            InstanceName=bare(domain.path),
            PropertyName="Autostart",
            NewValue="TRUE",
        )
    with suppress(pywbem.CIMError):
        client.DeleteInstance(domain.path)
    with pytest.raises(pywbem.CIMError):
        client.DeleteInstance(client.EnumerateInstanceNames("Virtmap_Host")[0])


def test_errors(connect: Callable[..., Checked]) -> None:
    client = connect()
    cls = client.GetClass("Virtmap_Disk")
    domain = bare(client.EnumerateInstanceNames("Virtmap_Domain")[0])
    wrong = pywbem.CIMInstanceName("Virtmap_Domain", {"CreationClassName": "Virtmap_Domain", "Name": '<&"\x7f>'})
    for refused in (
        lambda: client.GetInstance(wrong),
        lambda: client.GetInstance(pywbem.CIMInstanceName("Virtmap_Domain", {"Colour": "red"})),
        lambda: client.GetClass("No_<Class>"),
        lambda: client.EnumerateInstances("No_Class"),
        lambda: client.EnumerateInstances("CIM_System", namespace="root/<nowhere>"),
        lambda: client._imethodcall("Frobnicate", namespaces.VIRTMAP),
        lambda: client._imethodcall("GetProperty", namespaces.VIRTMAP, InstanceName=domain, PropertyName="Colour"),
        lambda: client.AssociatorNames(domain, ResultClass="No_Class"),
        lambda: client.OpenEnumerateInstances("CIM_System", OperationTimeout=0),
        lambda: client.ExecQuery("no:language", "select everything"),
        lambda: client.CreateClass(cls),
        lambda: client.ModifyClass(cls),
        lambda: client.DeleteClass("Virtmap_Disk"),
        lambda: client.SetQualifier(client.GetQualifier("Key")),
        lambda: client.DeleteQualifier("Key"),
    ):
        with pytest.raises(pywbem.CIMError):
            refused()
    assert codes_of(client) >= {
        pywbem.CIM_ERR_NOT_FOUND,
        pywbem.CIM_ERR_INVALID_CLASS,
        pywbem.CIM_ERR_INVALID_NAMESPACE,
        pywbem.CIM_ERR_NOT_SUPPORTED,
        pywbem.CIM_ERR_NO_SUCH_PROPERTY,
        pywbem.CIM_ERR_INVALID_PARAMETER,
    }


def test_queries(connect: Callable[..., Checked]) -> None:
    client = connect()
    client.ExecQuery("WQL", "SELECT * FROM CIM_System")
    client.ExecQuery("DMTF:CQL", "SELECT Name FROM Virtmap_Domain WHERE Memory > 1")
    opened = client.OpenQueryInstances("DMTF:CQL", "SELECT * FROM Virtmap_Disk", MaxObjectCount=1)
    client.PullInstances(opened.context, 1000)
    client.OpenEnumerateInstances(
        "CIM_System", FilterQueryLanguage="DMTF:FQL", FilterQuery="Name = 'local'", MaxObjectCount=1
    )
    assert not client.codes
