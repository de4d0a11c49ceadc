"""Whatever bytes come in, the CIM-XML reader returns a request or raises MessageError, quickly, and nothing else."""

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.cim.messages import Kind, MessageError, Request, read
from agent.cim.tree import Limits

LIMITS = Limits(size=65536, elements=5000)

SEEDS = (
    b'<?xml version="1.0" encoding="utf-8" ?><CIM CIMVERSION="2.0" DTDVERSION="2.0">'
    b'<MESSAGE ID="1" PROTOCOLVERSION="1.0"><SIMPLEREQ><IMETHODCALL NAME="GetInstance">'
    b'<LOCALNAMESPACEPATH><NAMESPACE NAME="root"/><NAMESPACE NAME="virtmap"/></LOCALNAMESPACEPATH>'
    b'<IPARAMVALUE NAME="InstanceName"><INSTANCENAME CLASSNAME="A"><KEYBINDING NAME="k">'
    b'<KEYVALUE VALUETYPE="numeric">4</KEYVALUE></KEYBINDING></INSTANCENAME></IPARAMVALUE>'
    b"</IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>",
    b'<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="2" PROTOCOLVERSION="1.4"><SIMPLEREQ><METHODCALL NAME="M">'
    b'<LOCALCLASSPATH><LOCALNAMESPACEPATH><NAMESPACE NAME="n"/></LOCALNAMESPACEPATH><CLASSNAME NAME="C"/>'
    b'</LOCALCLASSPATH><PARAMVALUE NAME="p" PARAMTYPE="string" EmbeddedObject="instance"><VALUE>'
    b'&lt;INSTANCE CLASSNAME="X"&gt;&lt;PROPERTY NAME="d" TYPE="datetime"&gt;'
    b"&lt;VALUE&gt;20260102030405.000000+000&lt;/VALUE&gt;&lt;/PROPERTY&gt;&lt;/INSTANCE&gt;"
    b"</VALUE></PARAMVALUE></METHODCALL></SIMPLEREQ></MESSAGE></CIM>",
)


def words(text: str) -> list[str]:
    return text.split()


TAGS = words(
    "CIM MESSAGE SIMPLEREQ MULTIREQ SIMPLEEXPREQ IMETHODCALL METHODCALL LOCALNAMESPACEPATH NAMESPACE NAMESPACEPATH "
    "HOST IPARAMVALUE PARAMVALUE VALUE VALUE.ARRAY VALUE.REFARRAY VALUE.REFERENCE VALUE.NULL VALUE.NAMEDINSTANCE "
    "CLASSNAME INSTANCENAME INSTANCEPATH LOCALINSTANCEPATH LOCALCLASSPATH OBJECTPATH KEYBINDING KEYVALUE INSTANCE "
    "PROPERTY PROPERTY.ARRAY PROPERTY.REFERENCE CLASS QUALIFIER.DECLARATION nonsense"
)
NAMES = words(
    "NAME CLASSNAME TYPE VALUETYPE EmbeddedObject EMBEDDEDOBJECT PARAMTYPE ID CIMVERSION DTDVERSION PROTOCOLVERSION"
)
WORDS = words(
    "a numeric boolean string uint8 sint64 real32 datetime char16 reference 2.0 1.0 instance object 0x1F 1e400 TRUE "
    "99999999999999999999 -0 20260102030405.000000+000 00000001000000.000000:000 nan"
)


def element(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """One element of the CIM-XML vocabulary, in or out of place, with attributes and text that may not fit."""
    attributes = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(WORDS), max_size=4)
    return st.builds(written, st.sampled_from(TAGS), attributes, st.lists(children, max_size=4))


def written(tag: str, attributes: dict[str, str], inside: list[str]) -> str:
    told = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<{tag}{told}>{''.join(inside)}</{tag}>"


trees = st.recursive(st.sampled_from(WORDS), element, max_leaves=30)


def within_a_call(tree: str) -> bytes:
    """The tree where a parameter's value belongs, so that the deeper readers are reached."""
    return (
        '<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" PROTOCOLVERSION="1.0"><SIMPLEREQ><IMETHODCALL NAME="X">'
        '<LOCALNAMESPACEPATH><NAMESPACE NAME="n"/></LOCALNAMESPACEPATH>'
        f'<IPARAMVALUE NAME="p">{tree}</IPARAMVALUE></IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>'
    ).encode()


@st.composite
def damaged(draw: Callable[[st.SearchStrategy[object]], object]) -> bytes:
    """A good request with a slice of it cut, doubled or replaced."""
    seed = draw(st.sampled_from(SEEDS))
    assert isinstance(seed, bytes)
    start = draw(st.integers(0, len(seed)))
    end = draw(st.integers(0, 40))
    assert isinstance(start, int)
    assert isinstance(end, int)
    middle = draw(st.one_of(st.binary(max_size=12), st.just(seed[start : start + end] * 2), st.just(b"<!DOCTYPE x>")))
    assert isinstance(middle, bytes)
    return seed[:start] + middle + seed[start + end :]


def check(body: bytes) -> None:
    started = time.process_time()
    outcome = outcome_of(body)
    if isinstance(outcome, MessageError):
        assert outcome.status in (400, 413, 501)
        assert outcome.cim_error
    else:
        assert outcome.message_id
        assert outcome.name
    assert time.process_time() - started < 1


def outcome_of(body: bytes) -> Request | MessageError:
    try:
        return read(body, LIMITS)
    except MessageError as error:
        return error


FUZZ = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(st.binary(max_size=300))
@example(b"")
@example(b"\xff\xfe<\x00")
@example(b"<" * 60000)
@example(b"<a>" * 20000)
@example(b"<a " + b"b='' " * 10000 + b"/>")
@example(b"x" * 70000)
def test_any_bytes(body: bytes) -> None:
    check(body)


@FUZZ
@given(damaged())
def test_damaged_requests(body: bytes) -> None:
    check(body)


@FUZZ
@given(trees)
def test_the_vocabulary_out_of_place(tree: str) -> None:
    check(tree.encode())
    check(within_a_call(tree))
    check(within_a_call(tree).decode().encode("utf-16"))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_seeds_are_requests(seed: bytes) -> None:
    assert read(seed, LIMITS).kind in Kind


def nested(levels: int) -> bytes:
    """A call whose parameter is an instance embedded in an instance, so many levels down."""
    text = '<INSTANCE CLASSNAME="X"/>'
    for _ in range(levels):
        escaped = text.replace("&", "&amp;").replace("<", "&lt;")
        text = (
            '<INSTANCE CLASSNAME="X"><PROPERTY NAME="p" TYPE="string" EmbeddedObject="instance">'
            f"<VALUE>{escaped}</VALUE></PROPERTY></INSTANCE>"
        )
    return within_a_call(text)


def test_embedded_instances_are_bounded() -> None:
    assert read(nested(8)).parameters["p"] is not None
    with pytest.raises(MessageError, match="more than 8 embedded"):
        read(nested(9))
