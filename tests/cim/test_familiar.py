"""Requests of a familiar shape are what they are when they are read in full."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import pywbem

from agent.cim import familiar, messages
from agent.cim.familiar import Familiar
from agent.cim.messages import MessageError, Request

HEAD = '<?xml version="1.0" encoding="utf-8" ?>\n<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="{id}" PROTOCOLVERSION="1.0">'
PLACE = '<LOCALNAMESPACEPATH><NAMESPACE NAME="root"/><NAMESPACE NAME="virtmap"/></LOCALNAMESPACEPATH>'


def call(parameters: str, message_id: str = "1", operation: str = "GetInstance") -> bytes:
    inner = f'<SIMPLEREQ><IMETHODCALL NAME="{operation}">{PLACE}{parameters}</IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>'
    return (HEAD.format(id=message_id) + inner).encode()


def key(value: str, kind: str = "string", name: str = "Name") -> str:
    return (
        '<IPARAMVALUE NAME="InstanceName"><INSTANCENAME CLASSNAME="C">'
        f'<KEYBINDING NAME="{name}"><KEYVALUE VALUETYPE="{kind}">{value}</KEYVALUE></KEYBINDING></INSTANCENAME></IPARAMVALUE>'
    )


def told(body: bytes, read: Callable[[bytes], Request]) -> Request | tuple[int, str]:
    try:
        return read(body)
    except MessageError as error:
        return error.status, error.cim_error


def agree(reader: Familiar, *bodies: bytes) -> None:
    """Each of them, thrice, so that its shape becomes familiar."""
    for body in bodies * 3:
        assert told(body, reader.read) == told(body, messages.read), body


def sent(do: Callable[[Any], Any]) -> bytes:
    """What pywbem's client sends for a call of its own."""
    client = pywbem.WBEMConnection("http://127.0.0.1:9", default_namespace="root/virtmap", timeout=1)
    client.debug = True
    with pytest.raises(pywbem.Error):
        do(client)
    return str(client.last_raw_request).encode()


PATH = pywbem.CIMInstanceName("Virtmap_Domain", {"CreationClassName": "Virtmap_Domain", "Name": "abc"})
NUMBERED = pywbem.CIMInstanceName("Virtmap_Reading", {"SystemName": "local", "Number": 3})
PAIR = pywbem.CIMInstanceName("Virtmap_DomainDevice", {"GroupComponent": PATH, "PartComponent": NUMBERED})
INSTANCE = pywbem.CIMInstance("Virtmap_Domain", {"Autostart": True}, path=PATH)

OPERATIONS: list[Callable[[Any], Any]] = [
    lambda c: c.GetInstance(PATH),
    lambda c: c.GetInstance(NUMBERED, PropertyList=["a", "b"]),
    lambda c: c.GetInstance(PAIR, LocalOnly=False),
    lambda c: c.EnumerateInstances("Virtmap_Domain", DeepInheritance=True, PropertyList=["ElementName"]),
    lambda c: c.EnumerateInstanceNames("Virtmap_Domain"),
    lambda c: c.Associators(PATH, AssocClass="CIM_SystemDevice", Role="GroupComponent"),
    lambda c: c.References("Virtmap_Domain"),
    lambda c: c.ExecQuery("WQL", "SELECT * FROM Virtmap_Domain WHERE Memory = 5"),
    lambda c: c.OpenEnumerateInstances("Virtmap_Domain", MaxObjectCount=5, OperationTimeout=7),
    lambda c: c.PullInstancesWithPath(("context", "root/virtmap"), MaxObjectCount=9),
    lambda c: c.CloseEnumeration(("context", "root/virtmap")),
    lambda c: c.ModifyInstance(INSTANCE),
    lambda c: c.CreateInstance(INSTANCE),
    lambda c: c.DeleteInstance(PATH),
    lambda c: c.GetClass("Virtmap_Domain"),
    lambda c: c.EnumerateClasses(),
    lambda c: c.GetQualifier("Key"),
    lambda c: c.InvokeMethod("SetMemory", PATH, Memory=pywbem.Uint64(5), Flags=[pywbem.Uint8(1)]),
    lambda c: c.InvokeMethod(
        "M", PATH, Ref=PAIR, Inside=INSTANCE, When=pywbem.CIMDateTime("20260102030405.000000+000")
    ),
]


@pytest.mark.parametrize("do", OPERATIONS)
def test_every_operation_as_a_client_sends_it(do: Callable[[Any], Any]) -> None:
    body = sent(do)
    assert isinstance(told(body, messages.read), Request)
    changed = [re.sub(rb'ID="\d+"', b'ID="77"', body), body.replace(b"abc", b"another value"), body.replace(b"5", b"6")]
    agree(Familiar(), body, *changed)


def test_a_shape_is_parsed_twice_and_then_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    read = messages.read
    monkeypatch.setattr(messages, "read", lambda body, limits=None: parsed.append(body) or read(body, limits))
    reader = Familiar()
    for i in range(20):
        request = reader.read(call(key(f"domain {i}"), message_id=str(i)))
        assert (request.message_id, request.parameters["instancename"]["Name"]) == (str(i), f"domain {i}")  # type: ignore[index,call-overload]
    assert len(parsed) == 3  # the first two, and the one with marks


@pytest.mark.parametrize(
    "body",
    [
        call(key("5", "numeric")),
        call(key("TRUE", "boolean")),
        call(key("virtmap-mark-0-")),
        call(key("x", name="virtmap-mark-1-")),
        call(key("a &amp; b")),
        call(key("ä")),
        call(key("")),
        call(key(" ")),
        call(key("<![CDATA[a>b</c]]>")),
        call(key("x") + "<!-- >a</ -->"),
        call(key("x") + "<!-- >a--b</ -->"),
        call(key("x") + "<!-- >a</ -->").replace(b'ID="1"', b'ID="<"'),
        call(key("x")).replace(b"<MESSAGE", b"<!DOCTYPE x><MESSAGE"),
        call(key("x"), message_id=""),
        call(key("x"), message_id="a&#10;b"),
        call('<IPARAMVALUE NAME="P" EmbeddedObject="instance"><VALUE>x</VALUE></IPARAMVALUE>'),
        call('<IPARAMVALUE NAME="P"><VALUE.ARRAY><VALUE>x</VALUE><VALUE>y</VALUE></VALUE.ARRAY></IPARAMVALUE>'),
        call('<IPARAMVALUE NAME="P"><VALUE>a</VALUE><VALUE>b</VALUE></IPARAMVALUE>'),
        call("  <IPARAMVALUE NAME='P'> <VALUE>a</VALUE>   </IPARAMVALUE>  "),
        call(key("x")).decode().encode("utf-16"),
        call(key("x")).replace(b"GetInstance", b"Get\0Instance"),
        b"",
        b'<MESSAGE ID="x"',
        b'<MESSAGE ID="x">y</',
    ],
)
def test_odd_ones(body: bytes) -> None:
    reader = Familiar()
    agree(reader, call(key("x")), call(key("6", "numeric")), body, body.replace(b"x", b"--"), body.replace(b"x", b"\0"))


def test_a_nul_cannot_stand_in_for_a_text() -> None:
    reader, good = Familiar(), call(key("x"))
    agree(reader, good)
    forged = good.replace(b">x</", b"\0")
    agree(reader, forged, good.replace(b"x</KEY", b"\0"))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(familiar, "SHAPES", 8)
    reader = Familiar()
    for i in range(100):
        agree(reader, call(key("x", name=f"K{i}")))
    for i in range(100):
        reader.read(call(key("x", name=f"L{i}")))
    assert len(reader) == 16
    long = call(key("x" * familiar.LONGEST))
    agree(reader, long)
    assert len(reader) == 16
