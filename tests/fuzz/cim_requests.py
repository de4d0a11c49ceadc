"""Fuzzing of the requests of the WBEM server: the octets of a body, to the whole answer of a provider on the fake hypervisor.

The invariant: what an observer sends is refused with a status of HTTP and a word for its CIMError header, or answered by XML
that is valid by the grammar of CIM-XML, with a result or one ERROR whose code DSP0200 has, to the message that was sent; it
changes nothing, is quick, and leaves nothing behind without a bound; nothing is raised; and afterwards the same provider
still answers as it did before.
"""

from __future__ import annotations

import ast
import asyncio
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lxml import etree

import agent.cim
from agent.access import Principal
from agent.cim import namespaces
from agent.cim.classes import Schema, build
from agent.cim.messages import DESCRIPTION, REASON, Kind, MessageError, Request, atom, escape, read
from agent.cim.provider import Provider
from agent.cim.pulling import OF_ONE, Contexts
from agent.cim.query import LANGUAGES
from agent.cim.renderings import TEMPLATES
from agent.cim.status import Status
from agent.cim.tree import Limits
from agent.model import MODEL
from agent.schema.declare import Access
from tests.agents import World, world
from tests.fuzz import cim_queries, guided
from tests.fuzz.guided import Violation

FOUND = Path(__file__).with_name("corpus") / "cim_requests_found.txt"
"""What once broke the invariant; written by hand."""

URI = "fake:///?domains=3&seed=3"
OBSERVER = Principal(name="watcher", role=Access.OBSERVE, front_end="cim", source="127.0.0.1")
DTD = etree.DTD(str(Path(__file__).parents[1] / "cim" / "dsp0203.dtd"))
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
CIM_ERROR = re.compile(r"[a-z]+(-[a-z]+)*")
LIMITS = Limits(size=5900, depth=30, elements=80, attributes=8)
"""So small that a search gets to them."""
LONGEST = 6000
SECONDS = 3.0
"""Of CPU for one input, while every line of it is watched."""
REMEMBERED = 2000
"""More entries than any memory of the provider is to have."""

OPENED = {
    b"@WITH-PATH@": "OpenEnumerateInstances",
    b"@PATHS@": "OpenEnumerateInstancePaths",
    b"@INSTANCES@": "OpenQueryInstances",
}
"""What stands in an input for the name of an enumeration, and how it is opened just before."""


@dataclass(frozen=True)
class Input:
    """The octets of a request's body."""

    data: bytes

    def line(self) -> str:
        return repr(self.data)

    @classmethod
    def of_line(cls, line: str) -> Input:
        return cls(ast.literal_eval(line))


class Target:
    """A provider, whose loop turns only while a request is answered."""

    sources = str(Path(agent.cim.__file__).parent)

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._context = world(URI)
        self.world: World = self._loop.run_until_complete(self._context.__aenter__())
        self.provider = Provider({"default": self.world.inventory}, self.world.operations, host="localhost")
        self.contexts: Contexts = self.provider._read["pullinstances"].func.__self__._contexts  # type: ignore[attr-defined]
        #: INSTANCENAME of one that is there.
        self.domain = self.names("Virtmap_Domain")[0]
        self._good = intrinsic("GetInstance", value("InstanceName", self.domain))
        self._expected = self.told(self._good)

    def close(self) -> None:
        self._loop.run_until_complete(self._context.__aexit__(None, None, None))
        self._loop.close()

    def told(self, data: bytes) -> bytes:
        """The whole answer to a request. MessageError if it is none."""
        return self._answer(read(data))

    def _answer(self, request: Request) -> bytes:
        return self._loop.run_until_complete(self.provider.answer(request, OBSERVER)).whole()

    def names(self, cls: str, namespace: str = namespaces.VIRTMAP) -> list[str]:
        """INSTANCENAME of each instance of a class."""
        told = self.told(intrinsic("EnumerateInstanceNames", named("ClassName", cls), namespace=namespace))
        return [etree.tostring(each, encoding="unicode") for each in etree.fromstring(told).iter("INSTANCENAME")]

    def run(self, one: Input) -> None:
        """Hold the invariant against one input."""
        try:
            self._held(self._opened(one.data))
        except Exception as error:
            raise Violation(f"{type(error).__name__}: {error}; input: {one.line()}") from error
        finally:
            self.contexts._open.clear()
            self.world.trail.records.clear()
            self.world.fake.performed.clear()

    def _opened(self, data: bytes) -> bytes:
        """With the names of enumerations that are open."""
        for word, operation in OPENED.items():
            if word in data:
                what = named("ClassName", "Virtmap_Domain")
                if operation == "OpenQueryInstances":
                    what = query("FilterQueryLanguage", "FilterQuery", "WQL", "SELECT * FROM CIM_LogicalDevice")
                context = etree.fromstring(self.told(intrinsic(operation, what))).xpath("//PARAMVALUE[2]/VALUE")[0]
                data = data.replace(word, context.text.encode())
        return data

    def _held(self, data: bytes) -> None:
        began = time.process_time()
        outcome = understood(data, read)
        if isinstance(outcome, Request):
            valid(outcome, self._answer(outcome))
        else:
            assert outcome.status in (400, 413, 501), f"HTTP {outcome.status}"
            assert CIM_ERROR.fullmatch(outcome.cim_error)
            assert 0 < len(outcome.reason) <= REASON, f"a reason of {len(outcome.reason)} characters"
            assert not CONTROL.search(outcome.reason), "the reason is no line of text"
        spent = time.process_time() - began
        assert spent < SECONDS, f"it took {spent:.1f} s"
        done = [operation for operation, _ in self.world.fake.performed if operation.needs is not Access.OBSERVE]
        assert not done, f"it did {done}"

    def sane(self) -> None:
        """A good GetInstance is answered as before, and nothing has grown beyond its bounds."""
        assert self.told(self._good) == self._expected
        renderings = self.provider.renderings
        assert len(self.contexts) <= OF_ONE
        assert len(renderings._templates) <= TEMPLATES
        assert renderings.size <= renderings._limit
        assert len(renderings._kept) <= REMEMBERED, f"renderings of {len(renderings._kept)} kinds are kept"
        for holder in (self.provider, self.world.operations, self.provider._indexes):
            for name, held in vars(holder).items():
                if hasattr(held, "__len__"):
                    assert len(held) <= REMEMBERED, f"{type(holder).__name__}.{name} has {len(held)} entries"


def understood(data: bytes, reading: Callable[[bytes, Limits], Request]) -> Request | MessageError:
    try:
        return reading(data, LIMITS)
    except MessageError as error:
        return error


def valid(request: Request, whole: bytes) -> None:
    """AssertionError unless these octets are an answer to the request."""
    root = etree.fromstring(whole)
    assert DTD.validate(root), str(DTD.error_log.last_error)
    (message,) = root
    assert message.get("ID") == request.message_id, f"the answer is to message {message.get('ID')!r}"
    ((response,),) = message
    kind = "IMETHODRESPONSE" if request.kind is Kind.INTRINSIC else "METHODRESPONSE"
    assert (response.tag, response.get("NAME")) == (kind, request.name)
    for error in response.iter("ERROR"):
        assert Status(int(error.get("CODE", "")))
        assert len(response) == 1
        description = error.get("DESCRIPTION", "")
        assert 0 < len(description) <= DESCRIPTION, f"a description of {len(description)} characters"


# --- good requests


def spaces(namespace: str) -> str:
    names = "".join(f'<NAMESPACE NAME="{name}"/>' for name in namespace.split("/"))
    return f"<LOCALNAMESPACEPATH>{names}</LOCALNAMESPACEPATH>"


def message(call: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8" ?><CIM CIMVERSION="2.0" DTDVERSION="2.0">'
        f'<MESSAGE ID="1" PROTOCOLVERSION="1.0"><SIMPLEREQ>{call}</SIMPLEREQ></MESSAGE></CIM>'
    ).encode()


def intrinsic(name: str, *parameters: str, namespace: str = namespaces.VIRTMAP) -> bytes:
    return message(f'<IMETHODCALL NAME="{name}">{spaces(namespace)}{"".join(parameters)}</IMETHODCALL>')


def extrinsic(name: str, path: str, *parameters: str, namespace: str = namespaces.VIRTMAP) -> bytes:
    place = "LOCALINSTANCEPATH" if path.startswith("<INSTANCENAME") else "LOCALCLASSPATH"
    target = f"<{place}>{spaces(namespace)}{path}</{place}>"
    return message(f'<METHODCALL NAME="{name}">{target}{"".join(parameters)}</METHODCALL>')


def value(name: str, inside: str) -> str:
    return f'<IPARAMVALUE NAME="{name}">{inside}</IPARAMVALUE>'


def text(name: str, content: object) -> str:
    return value(name, f"<VALUE>{atom(content)}</VALUE>")


def named(name: str, cls: str) -> str:
    return value(name, f'<CLASSNAME NAME="{cls}"/>')


def array(name: str, *items: str) -> str:
    inside = "".join(f"<VALUE>{item}</VALUE>" for item in items)
    return value(name, f"<VALUE.ARRAY>{inside}</VALUE.ARRAY>")


def query(language_name: str, query_name: str, language: str, content: str) -> str:
    return text(language_name, language) + text(query_name, content)


def argument(name: str, cim_type: str, inside: str, attributes: str = "") -> str:
    return f'<PARAMVALUE NAME="{name}" PARAMTYPE="{cim_type}"{attributes}>{inside}</PARAMVALUE>'


def instance(cls: str, **properties: tuple[str, str]) -> str:
    inside = "".join(
        f'<PROPERTY NAME="{name}" TYPE="{cim_type}"><VALUE>{content}</VALUE></PROPERTY>'
        for name, (cim_type, content) in properties.items()
    )
    return f'<INSTANCE CLASSNAME="{cls}">{inside}</INSTANCE>'


FLAGS = (text("LocalOnly", False), text("IncludeQualifiers", True), text("IncludeClassOrigin", True))
SOME = array("PropertyList", "ElementName", "Name", "State")
MOST = text("MaxObjectCount", 2)
FQL = query("FilterQueryLanguage", "FilterQuery", "DMTF:FQL", "ElementName LIKE 'g.*' OR Memory > 5")
ANY = query("FilterQueryLanguage", "FilterQuery", "WQL", "SELECT * FROM Virtmap_Disk")
OPENING = (FQL, text("OperationTimeout", 9), text("ContinueOnError", True), MOST)
KEY = '<KEYBINDING NAME="InstanceID"><KEYVALUE VALUETYPE="string">x</KEYVALUE></KEYBINDING>'
SETTING = instance("Virtmap_Domain", ElementName=("string", "new"), Memory=("uint64", "1024"), VCPUs=("uint32", "2"))
EMBEDDED = instance("Virtmap_DomainSettingData", ElementName=("string", "&amp;lt;"), MemoryMax=("uint64", "0x400"))
SCHEMA = (
    ("GetClass", named("ClassName", "Virtmap_Domain"), *FLAGS, SOME), ("GetClass", named("ClassName", "CIM_ManagedElement")),
    ("EnumerateClasses", named("ClassName", "CIM_LogicalDevice"), text("DeepInheritance", True), *FLAGS),
    ("EnumerateClasses",), ("EnumerateClassNames",), ("EnumerateClassNames", named("ClassName", "CIM_System")),
    ("GetQualifier", text("QualifierName", "Key")), ("EnumerateQualifiers",), ("DeleteClass", named("ClassName", "CIM_System")),
    ("CreateClass", value("NewClass", '<CLASS NAME="A"><QUALIFIER NAME="Abstract" TYPE="boolean"/></CLASS>')),
    ("ModifyClass", value("ModifiedClass", '<CLASS NAME="A" SUPERCLASS="CIM_System"/>')),
    ("SetQualifier", value("QualifierDeclaration", '<QUALIFIER.DECLARATION NAME="Q" TYPE="boolean"/>')),
    ("DeleteQualifier", text("QualifierName", "Key")),
)  # fmt: skip
OF_CLASSES = (
    ("EnumerateInstances", named("ClassName", "CIM_ComputerSystem"), text("DeepInheritance", False), *FLAGS, SOME),
    ("EnumerateInstances", named("ClassName", "CIM_LogicalDevice")),
    ("EnumerateInstances", named("ClassName", "CIM_SystemDevice")),
    ("EnumerateInstanceNames", named("ClassName", "CIM_ManagedElement")),
    ("EnumerateInstanceNames", named("ClassName", "CIM_Dependency")),
    ("OpenEnumerateInstances", named("ClassName", "CIM_ComputerSystem"), text("DeepInheritance", True), SOME, *OPENING),
    ("OpenEnumerateInstancePaths", named("ClassName", "CIM_ComputerSystem"), *OPENING),
    ("OpenEnumerateInstances", named("ClassName", "CIM_SystemDevice"), FQL.replace("ElementName", "PartComponent.Name"), MOST),
    ("ExecQuery", query("QueryLanguage", "Query", "WQL", "SELECT Name, State FROM CIM_ComputerSystem WHERE State &lt;&gt; 9")),
    ("ExecQuery", query("QueryLanguage", "Query", "DMTF:CQL", "SELECT * FROM CIM_SystemDevice a WHERE a.PartComponent ISA X")),
    ("OpenQueryInstances", query("FilterQueryLanguage", "FilterQuery", "DMTF:CQL", "SELECT Name FROM Virtmap_Disk"), MOST),
    ("Associators", named("ObjectName", "Virtmap_Domain"), text("Role", "GroupComponent"), *FLAGS[1:], SOME),
    ("AssociatorNames", named("ObjectName", "CIM_ManagedElement"), named("AssocClass", "CIM_Dependency")),
    ("References", named("ObjectName", "Virtmap_Disk"), named("ResultClass", "CIM_Component")),
    ("ReferenceNames", named("ObjectName", "Virtmap_Domain"), text("Role", "Antecedent")),
    ("ExecQuery", query("QueryLanguage", "Query", "DMTF:FQL", "Name = 'x'")),
    ("OpenQueryInstances", ANY, text("ReturnQueryResultClass", True)),
    ("OpenEnumerateInstances", named("ClassName", "Virtmap_Disk"), ANY),
    ("OpenEnumerateInstances", named("ClassName", "Virtmap_Disk"), text("OperationTimeout", 0)),
    ("CreateInstance", value("NewInstance", instance("Virtmap_Domain", Host=("string", "none")))),
    ("CreateInstance", value("NewInstance", SETTING.replace("new", "&lt;&#9;").replace("VCPUs", "Host"))),
    ("CreateInstance", value("NewInstance", instance("Virtmap_Domain", State=("uint16", "2"), ElementName=("string", "a")))),
    ("CreateInstance", value("NewInstance", SETTING)),
    ("CreateInstance", value("NewInstance", SETTING.replace("Virtmap_Domain", "CIM_IndicationFilter"))),
)  # fmt: skip
PULLING = (
    ("PullInstancesWithPath", "@WITH-PATH@", MOST), ("PullInstancePaths", "@PATHS@", MOST), ("PullInstances", "@INSTANCES@", MOST),
    ("CloseEnumeration", "@PATHS@"), ("EnumerationCount", "@INSTANCES@"), ("PullInstances", "@PATHS@", MOST),
    ("PullInstancePaths", "never", text("MaxObjectCount", 4294967295)),
)  # fmt: skip


def of_instance(path: str) -> Iterator[tuple[str, ...]]:
    """All that can be asked of an instance, and done with one."""
    cls = path.partition('"')[2].partition('"')[0]
    where, at = value("InstanceName", path), value("ObjectName", path)
    yield ("GetInstance", where, *FLAGS, SOME)
    yield ("GetInstance", where)
    yield ("GetProperty", where, text("PropertyName", "ElementName"))
    yield ("SetProperty", where, text("PropertyName", "ElementName"), text("NewValue", "n"))
    yield ("DeleteInstance", where)
    given = f"<VALUE.NAMEDINSTANCE>{path}{instance(cls, ElementName=('string', 'n'))}</VALUE.NAMEDINSTANCE>"
    yield ("ModifyInstance", value("ModifiedInstance", given), text("IncludeQualifiers", False), SOME)
    yield ("ModifyInstance", value("ModifiedInstance", given))
    for prefix in ("Associator", "Reference"):
        yield (f"{prefix}s", at, named("ResultClass", "CIM_ManagedElement"), *FLAGS[1:], SOME)
        yield (f"{prefix}Names", at, text("Role", "Antecedent"))
        yield (f"Open{prefix}Instances", where, FQL, MOST, *FLAGS[2:])
        yield (f"Open{prefix}InstancePaths", where, text("Role", "Dependent"), MOST)


def settings(schema: Schema, cls: str, path: str) -> Iterator[bytes]:
    """Each property of a class that can be set, set and modified."""
    for prop in schema.instances[cls.lower()].properties if cls.lower() in schema.instances else ():
        if (cls.lower(), prop.name.lower()) in schema.setters or prop.name == "AutomaticStartupAction":
            for content in ("2", "TRUE", "x"):
                at = value("InstanceName", path)
                yield intrinsic("SetProperty", at, text("PropertyName", prop.name), text("NewValue", content))
                given = instance(cls, **{prop.name: ("uint64" if content == "2" else "string", content)})
                given = f"<VALUE.NAMEDINSTANCE>{path}{given}</VALUE.NAMEDINSTANCE>"
                yield intrinsic("ModifyInstance", value("ModifiedInstance", given), array("PropertyList", prop.name))


SAMPLE = {"datetime": "20260102030405.000000+000", "boolean": "TRUE"}
"""A value of a type of which 1 is none."""


def methods(schema: Schema, cls: str, path: str) -> Iterator[bytes]:
    """A call of each method of a class, with every argument."""
    for plan in schema.methods.get(cls.lower(), {}).values():
        kinds = [(name, spec.semantic.cim) for name, spec in plan.inputs]
        yield extrinsic(
            plan.name, path, *(argument(name, k, f"<VALUE>{SAMPLE.get(k, '1')}</VALUE>") for name, k in kinds)
        )
    for state in (2, 3, 5):
        given = argument("RequestedState", "uint16", f"<VALUE>{state}</VALUE>")
        yield extrinsic("RequestStateChange", path, given, argument("TimeoutPeriod", "datetime", "<VALUE/>"))


def odd(path: str) -> Iterator[bytes]:
    """What few clients send."""
    good = intrinsic("GetInstance", value("InstanceName", path))
    yield good.decode().replace("utf-8", "utf-16").encode("utf-16")
    yield good.decode().encode("utf-16-be")
    yield b"\xef\xbb\xbf" + good
    yield good.replace(b"utf-8", b"iso-8859-1")
    yield good.replace(b" ?>", b' ?><!DOCTYPE CIM [<!ENTITY a "b">]>')
    yield good.replace(b'ID="1"', b'ID="&#10;&#9;&lt;&quot;"')
    yield good.replace(b"</SIMPLEREQ>", b"<!-- &a; --><?pi?></SIMPLEREQ>")
    yield good.replace(b"SIMPLEREQ", b"SIMPLEEXPREQ")
    yield good.replace(b"<SIMPLEREQ>", b"<MULTIREQ><SIMPLEREQ>").replace(b"</SIMPLEREQ>", b"</SIMPLEREQ></MULTIREQ>")
    for inside in (nested(2), nested(8), nested(9)):
        yield intrinsic("CreateInstance", value("NewInstance", inside))
    embedded = f"<VALUE>{escape(EMBEDDED)}</VALUE>"
    listed = f"<VALUE.ARRAY>{embedded}<VALUE.NULL/></VALUE.ARRAY>"
    for each in (embedded, listed):
        yield extrinsic("DefineDomain", path, argument("Settings", "string", each, ' EmbeddedObject="instance"'))
    full = f"<INSTANCEPATH><NAMESPACEPATH><HOST>h</HOST>{spaces('root/virtmap')}</NAMESPACEPATH>{path}</INSTANCEPATH>"
    yield intrinsic("GetInstance", value("InstanceName", f"<VALUE.REFERENCE>{full}</VALUE.REFERENCE>"))
    key = f'<KEYBINDING NAME="Antecedent"><VALUE.REFERENCE>{full}</VALUE.REFERENCE></KEYBINDING>'
    yield intrinsic(
        "GetInstance", value("InstanceName", f'<INSTANCENAME CLASSNAME="CIM_Dependency">{key}</INSTANCENAME>')
    )
    listed = "<VALUE.ARRAY><VALUE>20260102030405.000000+000</VALUE><VALUE.NULL/></VALUE.ARRAY>"
    array_given = f'<PROPERTY.ARRAY NAME="p" TYPE="datetime">{listed}</PROPERTY.ARRAY>'
    truth = '<PROPERTY NAME="q" TYPE="boolean"><VALUE>false</VALUE></PROPERTY>'
    strange = '<PROPERTY NAME="r" TYPE="string" EmbeddedObject="a"><VALUE/></PROPERTY>'
    reference = f'<PROPERTY.REFERENCE NAME="s"><VALUE.REFERENCE>{full}</VALUE.REFERENCE></PROPERTY.REFERENCE>'
    line = '<PROPERTY NAME="t" TYPE="a&#10;b"/>'
    for each in (array_given, truth, strange, reference, line):
        yield intrinsic(
            "CreateInstance", value("NewInstance", f'<INSTANCE CLASSNAME="Virtmap_Domain">{each}</INSTANCE>')
        )
    yield intrinsic("GetClass", *(named(f"p{i}", "a") for i in range(LIMITS.elements)))
    yield message("<a>" * LIMITS.depth + "</a>" * LIMITS.depth)
    yield message("<a" + "".join(f' a{i}="1"' for i in range(LIMITS.attributes + 1)) + "/>")
    for number in ("4", "0x1F", "1e400", "-0", "nan", "TRUE"):
        typed = f'<INSTANCENAME CLASSNAME="Virtmap_Domain"><KEYBINDING NAME="Name">{keyed(number)}</KEYBINDING></INSTANCENAME>'
        yield intrinsic("GetInstance", value("InstanceName", typed))


def keyed(content: str) -> str:
    kind = "boolean" if content == "TRUE" else "numeric"
    return f'<KEYVALUE VALUETYPE="{kind}">{content}</KEYVALUE>'


def nested(levels: int) -> str:
    """An instance embedded in an instance, so many levels down."""
    inside = '<INSTANCE CLASSNAME="Virtmap_Domain"/>'
    for _ in range(levels):
        inside = (
            '<INSTANCE CLASSNAME="Virtmap_Domain"><PROPERTY NAME="Notes" TYPE="string" EmbeddedObject="object">'
            f"<VALUE>{inside.replace('&', '&amp;').replace('<', '&lt;')}</VALUE></PROPERTY></INSTANCE>"
        )
    return inside


def seeds() -> list[Input]:
    """A good request for every operation, of instances of every class, and odd ones."""
    target = Target()
    try:
        return [Input(data) for data in dict.fromkeys(_seeds(target)) if len(data) <= LONGEST]
    finally:
        target.close()


def _seeds(target: Target) -> Iterator[bytes]:
    schema = target.provider.schema
    for name, *parameters in (*SCHEMA, *OF_CLASSES):
        for namespace in namespaces.NAMES:
            yield intrinsic(name, *parameters, namespace=namespace)
    for name, context, *parameters in PULLING:
        yield intrinsic(name, text("EnumerationContext", context), *parameters)
    for namespace in ("root/virtmap", "interop"):
        names = {
            path.partition('"')[2].partition('"')[0]: path for path in target.names("CIM_ManagedElement", namespace)
        }
        pairs = {path.partition('"')[2].partition('"')[0]: path for path in target.names("CIM_Dependency", namespace)}
        for cls, path in {**pairs, **names}.items():
            for name, *parameters in of_instance(path):
                yield intrinsic(name, *parameters, namespace=namespace)
            yield from methods(schema, cls, path)
            yield from settings(schema, cls, path)
    yield extrinsic("Start", '<CLASSNAME NAME="Virtmap_Domain"/>')
    yield from odd(target.domain)


# --- mutation

NUMBERS = (
    "0", "1", "-1", "3", "255", "256", "4294967295", "4294967296", "18446744073709551616", "0x7F", "-0", "1e400", "nan", "1.5",
    "0" * 30 + "9" * 30, "9" * 5000, "٣", "²", " 7 ", "1_0", "", "TRUE", "false", "20260102030405.000000+000",
    "00000001000000.000000:000", "2026**********.******+000", "00000000000000.000000:000", "99999999999999.000000:000",
)  # fmt: skip
TEXTS = (
    "a", "", " ", "\t\n", "\N{BOM}", "\U0001f642", "&", "<a>", "'", '"', "x" * 400, "root/virtmap", "/", "..", "%s", "{}", "\ufffd",
    "<INSTANCE CLASSNAME='A'/>", "]]>", "\r", "İ", "\x85", "\u2028", *(word.decode() for word in OPENED),
)  # fmt: skip
TAGS = re.findall(
    r"\S+",
    """
    CIM MESSAGE SIMPLEREQ MULTIREQ SIMPLEEXPREQ IMETHODCALL METHODCALL LOCALNAMESPACEPATH NAMESPACE NAMESPACEPATH HOST CORRELATOR
    IPARAMVALUE PARAMVALUE VALUE VALUE.ARRAY VALUE.REFARRAY VALUE.REFERENCE VALUE.NULL VALUE.NAMEDINSTANCE VALUE.OBJECT
    VALUE.INSTANCEWITHPATH VALUE.NAMEDOBJECT CLASSNAME INSTANCENAME INSTANCEPATH LOCALINSTANCEPATH LOCALCLASSPATH CLASSPATH
    OBJECTPATH KEYBINDING KEYVALUE INSTANCE PROPERTY PROPERTY.ARRAY PROPERTY.REFERENCE QUALIFIER CLASS QUALIFIER.DECLARATION none
    """,
)
ATTRIBUTES = (
    "NAME", "CLASSNAME", "TYPE", "VALUETYPE", "EmbeddedObject", "EMBEDDEDOBJECT", "PARAMTYPE", "ID", "CIMVERSION", "DTDVERSION",
    "PROTOCOLVERSION", "REFERENCECLASS", "ARRAYSIZE", "PROPAGATED",
)  # fmt: skip
TYPES = (
    "boolean", "string", "char16", "uint8", "uint16", "uint32", "uint64", "sint8", "sint16", "sint32", "sint64", "real32", "real64",
    "datetime", "reference", "numeric", "instance", "object", "2.0", "1.0", "3.7",
)  # fmt: skip
GENERAL = (
    "CIM_ManagedElement",
    "CIM_LogicalDevice",
    "CIM_Namespace",
    "CIM_RegisteredProfile",
    "CIM_ElementConformsToProfile",
)


@lru_cache(maxsize=1)
def words() -> dict[str, tuple[str, ...]]:
    """Names that a request may hold, by what they are of."""
    schema = build(MODEL)
    properties = {p.name for cls in schema.instances.values() for p in cls.properties}
    roles = {role for each in schema.associations.values() for role in (each.far_role, each.near_role)}
    plans = [plan for each in schema.methods.values() for plan in each.values()]
    operations = {each[0] for each in (*SCHEMA, *OF_CLASSES, *PULLING, *of_instance("")) if each}
    parameters = {
        name for each in (*SCHEMA, *OF_CLASSES, *PULLING, *of_instance("")) for name in _NAMED.findall("".join(each))
    }
    return {
        "classes": (*sorted({each.name for each in (*schema.instances.values(), *schema.associations.values())}), *GENERAL),
        "properties": tuple(sorted(properties | roles)),
        "operations": (*sorted(operations), *sorted({plan.name for plan in plans}), "RequestStateChange", "ExecuteQuery"),
        "parameters": (*sorted(parameters), *sorted({name for plan in plans for name, _ in (*plan.inputs, *plan.outputs)}), "Job"),
        "spaces": ("root", "virtmap", "root/virtmap", "interop", "Interop", "cimv2", "root/interop", "virt", "a"),
    }  # fmt: skip


_NAMED = re.compile(r'<IPARAMVALUE NAME="(\w+)"')
_QUERY = re.compile(r"query", re.IGNORECASE)


class Mutator:
    """Changes elements, attributes and texts, and at times octets and their encoding."""

    def __init__(self, chance: random.Random, known: Sequence[Input]) -> None:
        self._chance = chance
        self._known = known
        self._queries = cim_queries.Mutator(chance, cim_queries.seeds())

    def mutated(self, one: Input) -> Input:
        data, chance = one.data, self._chance
        if chance.random() < 0.9 and (root := _tree(data)) is not None:
            for _ in range(chance.choice((1, 1, 1, 2, 3, 5))):
                self._element(root)
            data = self._written(root)
        if chance.random() < 0.1:
            data = guided.octets(chance, data, b"<>&\"'/=; \n\0\x80\xff-!?[", lambda: chance.choice(self._known).data)
        return Input(data if len(data) <= LONGEST else data[:LONGEST])

    def _element(self, root: etree._Element) -> None:
        chance = self._chance
        every = [each for each in root.iter() if isinstance(each.tag, str)]
        one = chance.choice(every)
        parent = one.getparent()
        change = chance.randrange(12)
        if change < 5:
            self._attribute(one)
        elif change < 8:
            leaves = [each for each in every if not len(each) and each.tag in ("VALUE", "KEYVALUE", "HOST")]
            self._text(chance.choice(leaves) if leaves else one)
        elif parent is None:
            one.tag = chance.choice(TAGS)
        elif change == 8:
            parent.remove(one)
        elif change == 9:
            parent.insert(chance.randrange(len(parent) + 1), _copied(one if chance.random() < 0.6 else self._other()))
        elif change == 10:
            parent.replace(one, _copied(self._other()))
        else:
            self._moved(one, parent, every)

    def _moved(self, one: etree._Element, parent: etree._Element, every: list[etree._Element]) -> None:
        """Renamed, put into an element of its own, or put elsewhere."""
        chance = self._chance
        match chance.randrange(3):
            case 0:
                one.tag = chance.choice(TAGS)
            case 1:
                outer = etree.Element(chance.choice(TAGS))
                parent.replace(one, outer)
                outer.append(one)
            case _:
                where = chance.choice(every)
                if one not in (where, *where.iterancestors()):
                    where.insert(chance.randrange(len(where) + 1), one)

    def _other(self) -> etree._Element:
        """An element of another input, or one that is made up."""
        chance = self._chance
        root = _tree(chance.choice(self._known).data) if chance.random() < 0.8 else None
        if root is not None:
            return chance.choice([each for each in root.iter() if isinstance(each.tag, str)])
        made = etree.Element(chance.choice(TAGS))
        self._attribute(made)
        return made

    def _attribute(self, one: etree._Element) -> None:
        chance = self._chance
        name = chance.choice(one.keys() or [""]) if chance.random() < 0.9 else chance.choice(ATTRIBUTES)
        if name and name in one.attrib and chance.random() < 0.06:
            del one.attrib[name]
        elif name:
            one.set(name, _clean(self._chosen(one, name)))

    def _chosen(self, one: etree._Element, name: str) -> str:
        """A new value for an attribute, mostly of the right kind."""
        chance = self._chance
        kinds = {
            "IMETHODCALL": "operations", "METHODCALL": "operations", "IPARAMVALUE": "parameters", "PARAMVALUE": "parameters",
            "NAMESPACE": "spaces", "CLASSNAME": "classes", "KEYBINDING": "properties", "PROPERTY": "properties",
        }  # fmt: skip
        kind = "classes" if name == "CLASSNAME" else kinds.get(one.tag if name == "NAME" else "", "")
        if chance.random() < 0.15:
            return chance.choice((*TEXTS, *NUMBERS))
        if kind and chance.random() < 0.95:
            found = chance.choice(words()[kind])
            return found if chance.random() < 0.8 else found.swapcase()
        return chance.choice(TYPES if name not in ("NAME", "ID") else words()[chance.choice(list(words()))])

    def _text(self, one: etree._Element) -> None:
        chance = self._chance
        about = one.getparent().get("NAME", "") if one.getparent() is not None else ""
        if _QUERY.search(about) and chance.random() < 0.8:
            language = about.lower().endswith("language")
            one.text = chance.choice(LANGUAGES) if language else _clean(self._queries.changed(one.text or "a"))
            return
        match chance.randrange(5):
            case 0:
                one.text = _clean(chance.choice(NUMBERS))
            case 1:
                one.text = _clean(chance.choice(TEXTS))
            case 2:
                one.text = chance.choice(words()[chance.choice(list(words()))])
            case 3:
                inner = self._other()
                one.text = etree.tostring(inner, encoding="unicode")
                one.getparent().set("EmbeddedObject", "instance") if one.getparent() is not None else None
            case _:
                inside = one.text or ""
                at = chance.randrange(len(inside) + 1)
                one.text = _clean(inside[:at] + chance.choice((*TEXTS, *NUMBERS)) + inside[at + chance.randrange(3) :])

    def _written(self, root: etree._Element) -> bytes:
        chance = self._chance
        if chance.random() < 0.93:
            return etree.tostring(root)
        declared = chance.choice(("utf-8", "utf-16", "UTF-16LE", "us-ascii", "iso-8859-1", "utf-7", "nonsense"))
        whole = f'<?xml version="1.0" encoding="{declared}"?>{etree.tostring(root, encoding="unicode")}'
        if chance.random() < 0.3:
            whole = whole.replace(
                "?>", "?>" + chance.choice(("<!DOCTYPE CIM>", '<!DOCTYPE a [<!ENTITY b "c">]>', "<!-- -->", "\n")), 1
            )
        return whole.encode(chance.choice(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")))


def _copied(one: etree._Element) -> etree._Element:
    made = etree.fromstring(etree.tostring(one, with_tail=False))
    assert isinstance(made, etree._Element)
    return made


def _tree(data: bytes) -> etree._Element | None:
    """The elements in these octets, as far as there are any."""
    parser = etree.XMLParser(recover=True, resolve_entities=False, no_network=True)
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        return None


_UNWRITABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _clean(content: str) -> str:
    """Without what XML has no way to write."""
    return _UNWRITABLE.sub("", content)


CAMPAIGN = guided.Campaign(
    corpus=FOUND.with_name("cim_requests.txt"),
    heading="# Inputs of tests/fuzz/cim_requests.py, which found them: the octets of a body.",
    of_line=Input.of_line,
    seeds=seeds,
    target=Target,
    mutator=lambda chance, known: Mutator(chance, known).mutated,
)
