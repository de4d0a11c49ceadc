"""CIM-XML requests and answers, byte by byte (DSP0201), and the refusals of DSP0200 7.3."""

import pytest
import pywbem

from agent.cim.messages import Kind, MessageError, Request, error, escape, frame, method_answer, read, value_parameter
from agent.cim.tree import Limits, TreeError, parse

NAMESPACE = '<LOCALNAMESPACEPATH><NAMESPACE NAME="root"/><NAMESPACE NAME="virtmap"/></LOCALNAMESPACEPATH>'


def message(inner: str, cim: str = "2.0", dtd: str = "2.0", protocol: str = "1.0") -> bytes:
    return (
        f'<?xml version="1.0" encoding="utf-8" ?><CIM CIMVERSION="{cim}" DTDVERSION="{dtd}">'
        f'<MESSAGE ID="77" PROTOCOLVERSION="{protocol}">{inner}</MESSAGE></CIM>'
    ).encode()


def call(parameters: str = "", name: str = "GetInstance") -> str:
    return f'<SIMPLEREQ><IMETHODCALL NAME="{name}">{NAMESPACE}{parameters}</IMETHODCALL></SIMPLEREQ>'


def parameter(value: str) -> str:
    return f'<IPARAMVALUE NAME="InstanceName">{value}</IPARAMVALUE>'


def instance_name(key: str) -> str:
    return f'<INSTANCENAME CLASSNAME="C"><KEYBINDING NAME="k">{key}</KEYBINDING></INSTANCENAME>'


def refusal(body: bytes) -> tuple[int, str]:
    with pytest.raises(MessageError) as caught:
        read(body)
    return caught.value.status, caught.value.cim_error


def test_an_intrinsic_call() -> None:
    key = '<KEYVALUE VALUETYPE="numeric">0x1F</KEYVALUE>'
    request = read(message(call(parameter(instance_name(key)) + '<IPARAMVALUE NAME="LocalOnly"/>')))
    assert request == Request(
        message_id="77",
        kind=Kind.INTRINSIC,
        name="GetInstance",
        namespace="root/virtmap",
        parameters={"instancename": pywbem.CIMInstanceName("C", {"k": 31}), "localonly": None},
    )


def test_an_extrinsic_call() -> None:
    target = f"<LOCALINSTANCEPATH>{NAMESPACE}{instance_name('<KEYVALUE>a&amp;b</KEYVALUE>')}</LOCALINSTANCEPATH>"
    values = (
        '<PARAMVALUE NAME="Memory" PARAMTYPE="uint64"><VALUE>12</VALUE></PARAMVALUE>'
        '<PARAMVALUE NAME="List"><VALUE.ARRAY><VALUE>x</VALUE><VALUE.NULL/></VALUE.ARRAY></PARAMVALUE>'
    )
    request = read(message(f'<SIMPLEREQ><METHODCALL NAME="SetMemory">{target}{values}</METHODCALL></SIMPLEREQ>'))
    assert request.kind is Kind.EXTRINSIC
    assert request.target == pywbem.CIMInstanceName("C", {"k": "a&b"}, namespace="root/virtmap")
    assert request.parameters == {"memory": "12", "list": ["x", None]}


def test_an_instance_in_a_parameter_keeps_its_types() -> None:
    made = (
        '<INSTANCE CLASSNAME="C"><PROPERTY NAME="a" TYPE="uint8"><VALUE>7</VALUE></PROPERTY>'
        '<PROPERTY.ARRAY NAME="b" TYPE="boolean"><VALUE.ARRAY><VALUE>TRUE</VALUE></VALUE.ARRAY></PROPERTY.ARRAY>'
        '<PROPERTY NAME="c" TYPE="datetime"/></INSTANCE>'
    )
    found = read(message(call(parameter(made)))).parameters["instancename"]
    assert isinstance(found, pywbem.CIMInstance)
    assert (found["a"], found["b"], found["c"]) == (pywbem.Uint8(7), [True], None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_utf8_and_utf16_are_read(encoding: str) -> None:
    key = '<KEYVALUE VALUETYPE="string">\u00fcml\u00e4ut \u4e2d</KEYVALUE>'
    text = message(call(parameter(instance_name(key)))).decode()
    if encoding.startswith("utf-16"):
        text = text.replace('encoding="utf-8"', 'encoding="utf-16"')
    found = read(text.encode(encoding)).parameters["instancename"]
    assert isinstance(found, pywbem.CIMInstanceName)
    assert found["k"] == "\u00fcml\u00e4ut \u4e2d"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, "request-not-well-formed")),
        (b"<CIM", (400, "request-not-well-formed")),
        (b"\xff\xff\xff", (400, "request-not-well-formed")),
        (b'<?xml version="1.0" encoding="iso-8859-1"?><CIM/>', (400, "request-not-well-formed")),
        (b'<!DOCTYPE CIM SYSTEM "file:///etc/passwd"><CIM/>', (400, "request-not-well-formed")),
        (b"<!DOCTYPE CIM [<!ENTITY a 'b'>]><CIM>&a;</CIM>", (400, "request-not-well-formed")),
        (b"<a>" * 65 + b"</a>" * 65, (400, "request-not-well-formed")),
        (b"<x/>", (400, "request-not-valid")),
        (message(call(), cim="3.0"), (501, "unsupported-cim-version")),
        (message(call(), dtd="1.0"), (501, "unsupported-dtd-version")),
        (message(call(), protocol="2.0"), (501, "unsupported-protocol-version")),
        (message("<MULTIREQ/>"), (501, "multiple-requests-unsupported")),
        (message("<SIMPLEEXPREQ/>"), (501, "unsupported-operation")),
        (message("<SIMPLEREQ/>"), (400, "request-not-valid")),
        (message(call(parameter("<NONSENSE/>"))), (400, "request-not-valid")),
        (message(call(parameter("<VALUE>1</VALUE>") * 2)), (400, "request-not-valid")),
        (
            message(call(parameter(instance_name('<KEYVALUE VALUETYPE="numeric">x</KEYVALUE>')))),
            (400, "request-not-valid"),
        ),
        (
            message(call(parameter('<INSTANCENAME CLASSNAME="C"><KEYVALUE>1</KEYVALUE></INSTANCENAME>'))),
            (400, "request-not-loosely-valid"),
        ),
    ],
)
def test_refusals(body: bytes, expected: tuple[int, str]) -> None:
    assert refusal(body) == expected


def test_an_entity_bomb_costs_nothing() -> None:
    entities = "".join(f"<!ENTITY a{i} '{f'&a{i - 1};' * 10}'>" for i in range(1, 30))
    with pytest.raises(TreeError, match="document type"):
        parse(f"<!DOCTYPE a [<!ENTITY a0 'x'>{entities}]><a b='&a29;'>&a29;</a>".encode())


@pytest.mark.parametrize(
    ("body", "limits", "reason"),
    [
        (b"<a/>", Limits(size=3), "more than 3 bytes"),
        (b"<a><b/><b/></a>", Limits(elements=2), "more than 2 elements"),
        (b"<a><b><c/></b></a>", Limits(depth=2), "more than 2 elements within one another"),
        (b"<a b='' c='' d=''/>", Limits(attributes=2), "more than 2 attributes"),
    ],
)
def test_limits(body: bytes, limits: Limits, reason: str) -> None:
    with pytest.raises(TreeError, match=reason):
        parse(body, limits)


def test_an_oversized_body_is_413() -> None:
    with pytest.raises(MessageError) as caught:
        read(b" " * 11, Limits(size=10))
    assert caught.value.status == 413


def test_answers_byte_by_byte() -> None:
    request = read(message(call()))
    head = (
        b'<?xml version="1.0" encoding="utf-8" ?>\n<CIM CIMVERSION="2.0" DTDVERSION="2.0">'
        b'<MESSAGE ID="77" PROTOCOLVERSION="1.0"><SIMPLERSP>'
    )
    tail = b"</SIMPLERSP></MESSAGE></CIM>\n"
    assert frame(request).around([b"<X/>", b"<Y/>"]) == (
        head + b'<IMETHODRESPONSE NAME="GetInstance"><IRETURNVALUE><X/><Y/></IRETURNVALUE></IMETHODRESPONSE>' + tail
    )
    assert error(request, 6, 'no "<such>"') == (
        head + b'<IMETHODRESPONSE NAME="GetInstance"><ERROR CODE="6" DESCRIPTION="no &quot;&lt;such&gt;&quot;"/>'
        b"</IMETHODRESPONSE>" + tail
    )
    assert method_answer(request, "uint32", 0, [value_parameter("Uuid", "string", None)]) == (
        head + b'<METHODRESPONSE NAME="GetInstance"><RETURNVALUE PARAMTYPE="uint32"><VALUE>0</VALUE></RETURNVALUE>'
        b'<PARAMVALUE NAME="Uuid" PARAMTYPE="string"></PARAMVALUE></METHODRESPONSE>' + tail
    )


def test_what_xml_cannot_hold_is_replaced() -> None:
    assert escape("a\x1b[31m\x00\ud800\ufffe\t\n\r") == "a\ufffd[31m\ufffd\ufffd\ufffd\t\n&#13;"
