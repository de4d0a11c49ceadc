"""CIM-XML: the bytes of a request to a ``Request``, and answers to bytes, without sockets (DSP0201 2.4, DSP0200 1.4).

A request is checked for its shape only. Which parameters an operation takes and what a class calls them is the
provider's business: a plain VALUE stays the text that it was, and gets its type where the type is known. Whatever bytes
come in, ``read`` returns a Request or raises MessageError.

An answer is framed here and filled by fragments, so that a long one can be sent while it is being made.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import pywbem

from agent.cim.tree import Element, Limits, TreeError, parse

__all__ = [
    "Frame",
    "Kind",
    "MessageError",
    "Request",
    "Value",
    "atom",
    "done",
    "embedded",
    "error",
    "escape",
    "frame",
    "method_answer",
    "pull_frame",
    "pulled",
    "read",
    "typed_value",
    "value_parameter",
]

#: What a parameter can be. A VALUE is a str, a VALUE.ARRAY a list of str and None.
Value: TypeAlias = "str | pywbem.CIMInstanceName | pywbem.CIMClassName | pywbem.CIMInstance | list[Value] | None"

_Made = TypeVar("_Made")

#: Embedded instances within embedded instances (DSP0201 5.2.7 sets no bound; a server must).
EMBEDDED_DEPTH = 8

#: Characters of the reason of a refusal, and of the description of an error, which quote what a client sent.
REASON = 300
DESCRIPTION = 2000


class MessageError(Exception):
    """A request that cannot be answered by a CIM error: the HTTP status and the CIMError header (DSP0200 7.3)."""

    def __init__(self, status: int, cim_error: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.cim_error = cim_error
        self.reason = reason


class _TooDeep(MessageError):
    """Instances are embedded in each other more often than a server can bear."""


def _not_valid(reason: str) -> MessageError:
    """That the request breaks DSP0201. The reason goes into a line of the log, so that it is made one, and not too long."""
    line = "".join(each if each.isprintable() else " " for each in reason[:REASON])
    return MessageError(400, "request-not-valid", line)


class Kind(enum.Enum):
    """Intrinsic operations are those of DSP0200; extrinsic methods are those of classes."""

    INTRINSIC = "intrinsic"
    EXTRINSIC = "extrinsic"


@dataclass(frozen=True, kw_only=True)
class Request:
    """One operation or method call.

    ``parameters`` go by their names in lower case, since CIM does not tell cases apart. ``target`` is set for extrinsic
    methods only, with its namespace in it.
    """

    message_id: str
    kind: Kind
    name: str
    namespace: str
    parameters: Mapping[str, Value]
    target: pywbem.CIMInstanceName | pywbem.CIMClassName | None = None


# --- reading ---------------------------------------------------------------------------------------------------------


def read(body: bytes, limits: Limits | None = None) -> Request:
    """The request in these bytes; MessageError when there is none that could be answered."""
    limits = limits or Limits()
    try:
        root = parse(body, limits)
    except TreeError as error:
        if len(body) > limits.size:
            raise MessageError(413, "request-not-valid", str(error)) from None
        raise MessageError(400, "request-not-well-formed", str(error)) from None
    return _request(root, limits)


def _request(root: Element, limits: Limits) -> Request:
    if root.tag != "CIM":
        raise _not_valid(f"the root element is {_shown(root.tag)}, not CIM")
    _version(root, "CIMVERSION", "2", "unsupported-cim-version")
    _version(root, "DTDVERSION", "2", "unsupported-dtd-version")
    message = _only(root, "MESSAGE")
    _version(message, "PROTOCOLVERSION", "1", "unsupported-protocol-version")
    message_id = _attribute(message, "ID")
    inner = _only(message, "SIMPLEREQ", "MULTIREQ", "SIMPLEEXPREQ", "MULTIEXPREQ")
    if inner.tag in ("MULTIREQ", "MULTIEXPREQ"):
        raise MessageError(501, "multiple-requests-unsupported", "one request a message")
    if inner.tag == "SIMPLEEXPREQ":
        raise MessageError(501, "unsupported-operation", "this server takes no indications")
    inner_children = [child for child in inner.children if child.tag != "CORRELATOR"]
    if len(inner_children) != 1:
        raise _not_valid("SIMPLEREQ holds not one call")
    call = inner_children[0]
    reader = _Reader(limits)
    match call.tag:
        case "IMETHODCALL":
            return _intrinsic(call, message_id, reader)
        case "METHODCALL":
            return _extrinsic(call, message_id, reader)
    raise _not_valid(f"{_shown(call.tag)} is no call")


def _intrinsic(call: Element, message_id: str, reader: _Reader) -> Request:
    if not call.children or call.children[0].tag != "LOCALNAMESPACEPATH":
        raise _not_valid("IMETHODCALL does not start with a LOCALNAMESPACEPATH")
    return Request(
        message_id=message_id,
        kind=Kind.INTRINSIC,
        name=_attribute(call, "NAME"),
        namespace=_namespace(call.children[0]),
        parameters=_parameters(call.children[1:], "IPARAMVALUE", reader),
    )


def _extrinsic(call: Element, message_id: str, reader: _Reader) -> Request:
    if not call.children or call.children[0].tag not in ("LOCALINSTANCEPATH", "LOCALCLASSPATH"):
        raise _not_valid("METHODCALL does not start with a local path")
    target = reader.path(call.children[0])
    return Request(
        message_id=message_id,
        kind=Kind.EXTRINSIC,
        name=_attribute(call, "NAME"),
        namespace=target.namespace or "",
        parameters=_parameters(call.children[1:], "PARAMVALUE", reader),
        target=target,
    )


def _parameters(elements: list[Element], tag: str, reader: _Reader) -> Mapping[str, Value]:
    found: dict[str, Value] = {}
    for element in elements:
        if element.tag != tag:
            raise _not_valid(f"{_shown(element.tag)} where {tag} belongs")
        name = _attribute(element, "NAME").lower()
        if name in found:
            raise _not_valid(f"parameter {_shown(name)} is given twice")
        if len(element.children) > 1:
            raise _not_valid(f"parameter {_shown(name)} has more than one value")
        found[name] = _parameter(element, reader) if element.children else None
    return found


def _parameter(element: Element, reader: _Reader) -> Value:
    """The value of a parameter; an embedded object, announced by an attribute, is read out of its text. One of a method that
    cannot be read stays a text, so that the method can tell which of its parameters is wrong."""
    value = reader.value(element.children[0])
    if not any(name.lower() == "embeddedobject" for name in element.attributes):
        return value
    match value:
        case str():
            return _embedded(value, element, reader)
        case list():
            return [_embedded(each, element, reader) if isinstance(each, str) else each for each in value]
    return value


def _embedded(text: str, of: Element, reader: _Reader) -> pywbem.CIMInstance | str:
    try:
        return reader.embedded(text)
    except _TooDeep:
        raise
    except MessageError:
        if of.tag != "PARAMVALUE":
            raise
        return text


def embedded(text: str) -> pywbem.CIMInstance:
    """The instance in the text of an embedded one. MessageError if there is none."""
    return _Reader(Limits()).embedded(text)


class _Reader:
    """Turns elements into pywbem's objects; ``depth`` counts embedded objects within one another."""

    def __init__(self, limits: Limits, depth: int = 0) -> None:
        self._limits = limits
        self._depth = depth

    def value(self, element: Element) -> Value:
        """Any element that may stand in a parameter or under VALUE.REFERENCE."""
        match element.tag:
            case "VALUE":
                return element.text
            case "VALUE.ARRAY" | "VALUE.REFARRAY":
                return [self._item(child) for child in element.children]
            case "VALUE.REFERENCE":
                return self.value(_one(element))
            case "INSTANCE":
                return self.instance(element)
            case "VALUE.NAMEDINSTANCE" | "VALUE.INSTANCEWITHPATH" | "VALUE.NAMEDOBJECT" | "VALUE.OBJECT":
                return self._with_path(element)
            case "CLASS" | "QUALIFIER.DECLARATION":
                # Read by no operation of ours: both only come with requests to change the schema, which are refused.
                return element.text
        return self.path(element)

    def path(self, element: Element) -> pywbem.CIMInstanceName | pywbem.CIMClassName:
        """A name or path of an instance or class, in any of its nine notations (DSP0201 5.2.4)."""
        match element.tag:
            case "INSTANCENAME":
                return self._instance_name(element)
            case "CLASSNAME":
                return _made(pywbem.CIMClassName, _attribute(element, "NAME"))
            case "OBJECTPATH":
                return self.path(_one(element))
            case "LOCALINSTANCEPATH" | "LOCALCLASSPATH" | "INSTANCEPATH" | "CLASSPATH":
                return self._full_path(element)
        raise _not_valid(f"{_shown(element.tag)} is no value, name or path")

    def instance(self, element: Element) -> pywbem.CIMInstance:
        """INSTANCE with its properties and without its qualifiers, which DSP0200 deprecates on instances."""
        made = _made(pywbem.CIMInstance, _attribute(element, "CLASSNAME"))
        for child in element.of("PROPERTY", "PROPERTY.ARRAY", "PROPERTY.REFERENCE"):
            made[_attribute(child, "NAME")] = self._property(child)
        return made

    def embedded(self, text: str) -> pywbem.CIMInstance:
        """The instance within a string (EmbeddedObject, EmbeddedInstance)."""
        if self._depth >= EMBEDDED_DEPTH:
            raise _TooDeep(
                400, "request-not-valid", f"more than {EMBEDDED_DEPTH} embedded instances within one another"
            )
        try:
            root = parse(text.encode("utf-8"), self._limits)
        except (TreeError, UnicodeEncodeError) as error:
            raise _not_valid(f"an embedded instance is no XML: {error}") from None
        if root.tag != "INSTANCE":
            raise _not_valid(f"an embedded object is {_shown(root.tag)}, not an INSTANCE")
        return _Reader(self._limits, self._depth + 1).instance(root)

    def _item(self, element: Element) -> Value:
        if element.tag == "VALUE.NULL":
            return None
        if element.tag not in ("VALUE", "VALUE.REFERENCE", "INSTANCE", "VALUE.NAMEDINSTANCE"):
            raise _not_valid(f"{_shown(element.tag)} in an array")
        return self.value(element)

    def _with_path(self, element: Element) -> Value:
        instances, paths = element.of("INSTANCE"), element.of("INSTANCENAME", "INSTANCEPATH")
        if len(instances) != 1:
            raise _not_valid(f"{element.tag} holds not one INSTANCE")
        made = self.instance(instances[0])
        if paths:
            path = self.path(paths[0])
            if isinstance(path, pywbem.CIMInstanceName):
                made.path = path
        return made

    def _full_path(self, element: Element) -> pywbem.CIMInstanceName | pywbem.CIMClassName:
        if len(element.children) != 2 or element.children[1].tag not in ("INSTANCENAME", "CLASSNAME"):
            raise _not_valid(f"{element.tag} is not a namespace and a name")
        where, name = element.children
        found = self.path(name)
        if where.tag == "NAMESPACEPATH":
            hosts, spaces = where.of("HOST"), where.of("LOCALNAMESPACEPATH")
            if len(hosts) != 1 or len(spaces) != 1:
                raise _not_valid("NAMESPACEPATH is not a host and a namespace")
            found.host = hosts[0].text
            where = spaces[0]
        if where.tag != "LOCALNAMESPACEPATH":
            raise _not_valid(f"{_shown(where.tag)} where a namespace belongs")
        found.namespace = _namespace(where)
        return found

    def _instance_name(self, element: Element) -> pywbem.CIMInstanceName:
        made = _made(pywbem.CIMInstanceName, _attribute(element, "CLASSNAME"))
        for child in element.children:
            if child.tag != "KEYBINDING":
                # KEYVALUE or VALUE.REFERENCE alone name a class with one key, without naming that key.
                raise MessageError(400, "request-not-loosely-valid", "a key without its name is not accepted")
            made[_attribute(child, "NAME")] = self._key(_one(child))
        return made

    def _key(self, element: Element) -> str | int | float | bool | pywbem.CIMInstanceName | pywbem.CIMClassName:
        if element.tag == "VALUE.REFERENCE":
            return self.path(_one(element))
        if element.tag != "KEYVALUE":
            raise _not_valid(f"{_shown(element.tag)} is no key")
        text = element.text
        match element.attributes.get("VALUETYPE", "string"):
            case "string":
                return text
            case "boolean":
                return _boolean(text)
            case "numeric":
                return _number(text)
        raise _not_valid("VALUETYPE is not string, boolean or numeric")

    def _property(self, element: Element) -> pywbem.CIMProperty:
        name = _attribute(element, "NAME")
        if element.tag == "PROPERTY.REFERENCE":
            value: object = self.value(_one(element)) if element.children else None
            return _made(pywbem.CIMProperty, name, value, type="reference")
        cim_type = _attribute(element, "TYPE")
        is_array = element.tag == "PROPERTY.ARRAY"
        values = element.of("VALUE", "VALUE.ARRAY")
        if len(values) > 1 or (values and (values[0].tag == "VALUE.ARRAY") is not is_array):
            raise _not_valid(f"property {_shown(name)} has not one value of its kind")
        raw = self.value(values[0]) if values else None
        kind = next((v for k, v in element.attributes.items() if k.lower() == "embeddedobject"), None)
        if kind is None:
            typed = typed_value(raw, cim_type)
            return _made(pywbem.CIMProperty, name, typed, type=cim_type, is_array=is_array)
        objects = [self.embedded(v) if isinstance(v, str) else None for v in (raw if isinstance(raw, list) else [raw])]
        inside: object = objects if isinstance(raw, list) else objects[0]
        if kind not in ("instance", "object"):
            raise _not_valid("EmbeddedObject is neither instance nor object")
        return _made(pywbem.CIMProperty, name, inside, type="string", is_array=is_array, embedded_object=kind)


def typed_value(raw: Value, cim_type: str) -> object:
    """The text of a VALUE, or of each of an array, as pywbem's object of the type."""
    if isinstance(raw, list):
        return [typed_value(each, cim_type) for each in raw]
    if not isinstance(raw, str):
        return raw
    if cim_type == "boolean":
        return _boolean(raw)
    try:
        if cim_type.startswith(("uint", "sint")):
            return pywbem.cimvalue(int(_number(raw)), cim_type)
        return pywbem.cimvalue(raw, cim_type)
    except (ValueError, TypeError, OverflowError) as error:
        raise _not_valid(f"{_shown(raw)} is no {_shown(cim_type)}: {error}") from None


def _boolean(text: str) -> bool:
    match text.strip().lower():
        case "true":
            return True
        case "false":
            return False
    raise _not_valid(f"{_shown(text)} is neither TRUE nor FALSE")


def _number(text: str) -> int | float:
    """Decimal or hexadecimal integers, and reals (DSP0201 5.2.4.2 and 5.3)."""
    text = text.strip()
    if len(text) > 40 or not text.isascii() or "_" in text:
        raise _not_valid(f"{_shown(text)} is no number")
    try:
        return int(text, 16) if "x" in text.lower() else int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            raise _not_valid(f"{_shown(text)} is no number") from None


def _made(cls: type[_Made], *args: object, **kwargs: object) -> _Made:
    """A pywbem object, its complaints turned into a MessageError."""
    try:
        return cls(*args, **kwargs)
    except (ValueError, TypeError) as error:
        raise _not_valid(str(error)[:200]) from None


def _namespace(element: Element) -> str:
    names = [_attribute(child, "NAME") for child in element.of("NAMESPACE")]
    if not names or len(names) != len(element.children):
        raise _not_valid("a namespace without names")
    return "/".join(names).strip("/")


def _attribute(element: Element, name: str) -> str:
    found = element.attributes.get(name)
    if not found:
        raise _not_valid(f"{_shown(element.tag)} lacks its attribute {name}")
    return found


def _one(element: Element) -> Element:
    if len(element.children) != 1:
        raise _not_valid(f"{_shown(element.tag)} holds {len(element.children)} elements, not one")
    return element.children[0]


def _only(element: Element, *tags: str) -> Element:
    child = _one(element)
    if child.tag not in tags:
        raise _not_valid(f"{_shown(child.tag)} in {_shown(element.tag)}")
    return child


def _version(element: Element, name: str, major: str, cim_error: str) -> None:
    found = _attribute(element, name)
    if found.partition(".")[0] != major:
        raise MessageError(501, cim_error, f"{name} {_shown(found)} is not {major}.x")


def _shown(text: str) -> str:
    """A name out of a request, short enough to be sent back."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


# --- writing ---------------------------------------------------------------------------------------------------------

#: Characters that XML 1.0 has no way to write, and lone surrogates.
_UNWRITABLE = {code: "\ufffd" for code in range(0x20) if code not in (0x09, 0x0A, 0x0D)}
_UNWRITABLE |= dict.fromkeys((0xFFFE, 0xFFFF, *range(0xD800, 0xE000)), "\ufffd")
_ESCAPES = _UNWRITABLE | {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;", 0x0D: "&#13;"}
_QUOTED = _ESCAPES | {0x09: "&#9;", 0x0A: "&#10;"}


#: Whether there is anything to escape: most texts have nothing, and this is quicker than translating them.
_unsafe = re.compile('[&<>"\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]').search


def escape(text: str) -> str:
    """Text as character data or attribute value; what XML cannot hold becomes U+FFFD."""
    return text if _unsafe(text) is None else text.translate(_ESCAPES)


def _quoted(text: str) -> str:
    """The same for what a client sent and gets back in an attribute: a reader makes spaces of bare ends of lines there."""
    return text.translate(_QUOTED)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What stands before and after the objects of an answer."""

    head: bytes
    tail: bytes

    def around(self, fragments: Iterable[bytes]) -> bytes:
        """The whole answer in one piece."""
        return b"".join((self.head, *fragments, self.tail))


def frame(request: Request) -> Frame:
    """The frame of a successful answer to an intrinsic operation, for objects within IRETURNVALUE."""
    before, after = _envelope(request.message_id)
    name = _quoted(request.name)
    return Frame(
        head=f'{before}<IMETHODRESPONSE NAME="{name}"><IRETURNVALUE>'.encode(),
        tail=f"</IRETURNVALUE></IMETHODRESPONSE>{after}".encode(),
    )


def pulled(name: str, end: bool) -> bytes:
    """What follows the objects of an answer that opens or pulls an enumeration: whether it is at its end, and its name, which is
    empty then (DSP0200 5.4.2.24.2)."""
    return (
        f'</IRETURNVALUE><PARAMVALUE NAME="EndOfSequence" PARAMTYPE="boolean"><VALUE>{atom(end)}</VALUE></PARAMVALUE>'
        f'<PARAMVALUE NAME="EnumerationContext" PARAMTYPE="string"><VALUE>{"" if end else escape(name)}</VALUE>'
        "</PARAMVALUE>"
    ).encode()


def pull_frame(request: Request) -> Frame:
    """The frame of such an answer, whose objects end with `pulled`."""
    whole = frame(request)
    return Frame(head=whole.head, tail=whole.tail.removeprefix(b"</IRETURNVALUE>"))


def done(request: Request) -> bytes:
    """The answer to an intrinsic operation that gives nothing back."""
    before, after = _envelope(request.message_id)
    return f'{before}<IMETHODRESPONSE NAME="{_quoted(request.name)}"></IMETHODRESPONSE>{after}'.encode()


def error(request: Request, code: int, description: str) -> bytes:
    """The answer that says by a CIM status code (DSP0200 5.2.5) why there is no other."""
    before, after = _envelope(request.message_id)
    tag = "IMETHODRESPONSE" if request.kind is Kind.INTRINSIC else "METHODRESPONSE"
    description = description[:DESCRIPTION]
    return (
        f'{before}<{tag} NAME="{_quoted(request.name)}"><ERROR CODE="{code}" DESCRIPTION="{_quoted(description)}"/>'
        f"</{tag}>{after}"
    ).encode()


def method_answer(request: Request, return_type: str, value: object, outs: Iterable[str] = ()) -> bytes:
    """The answer to an extrinsic method; ``outs`` are PARAMVALUE elements."""
    before, after = _envelope(request.message_id)
    return (
        f'{before}<METHODRESPONSE NAME="{_quoted(request.name)}">'
        f'<RETURNVALUE PARAMTYPE="{return_type}"><VALUE>{escape(str(value))}</VALUE></RETURNVALUE>'
        f"{''.join(outs)}</METHODRESPONSE>{after}"
    ).encode()


def value_parameter(name: str, cim_type: str, value: object) -> str:
    """A PARAMVALUE for one out parameter; None is written without a value."""
    head = f'<PARAMVALUE NAME="{escape(name)}" PARAMTYPE="{cim_type}"'
    match value:
        case None:
            return f"{head}></PARAMVALUE>"
        case pywbem.CIMInstanceName():
            return f"{head}><VALUE.REFERENCE>{value.tocimxmlstr()}</VALUE.REFERENCE></PARAMVALUE>"
        case list() | tuple():
            items = "".join(f"<VALUE>{atom(each)}</VALUE>" for each in value)
            return f"{head}><VALUE.ARRAY>{items}</VALUE.ARRAY></PARAMVALUE>"
    return f"{head}><VALUE>{atom(value)}</VALUE></PARAMVALUE>"


def atom(value: object) -> str:
    """One value as the text of a VALUE, escaped (DSP0201 5.3)."""
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(int(value))
        case float():
            return _real(value)
    return escape(str(value))


def _real(value: float) -> str:
    """A real in the notation of DSP0201, 5.3: as many digits as tell it from its neighbours, an exponent where Python has
    one, and names for what is no number."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "INF" if value > 0 else "-INF"
    return repr(float(value)).upper()


def _envelope(message_id: str) -> tuple[str, str]:
    return (
        '<?xml version="1.0" encoding="utf-8" ?>\n<CIM CIMVERSION="2.0" DTDVERSION="2.0">'
        f'<MESSAGE ID="{_quoted(message_id)}" PROTOCOLVERSION="1.0"><SIMPLERSP>',
        "</SIMPLERSP></MESSAGE></CIM>\n",
    )
