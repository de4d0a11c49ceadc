"""Instances that come within strings (DSP0004, 5.6.3.15): as CIM-XML, which the reader of requests may have read already, or as
MOF (DSP0004, annex A): `instance of CIM_X { Name = "value"; };`. Held strictly to their class, whichever way they come.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pywbem

from agent.cim import messages
from agent.cim.messages import Value
from agent.cim.repository import Repository
from agent.cim.status import CimError, Status

__all__ = ["MofError", "instance", "instances", "read_mof"]

#: Instances that one parameter may hold, and characters of one in MOF.
MOST = 64
LONGEST = 65_536

_TOKEN = re.compile(
    r"""
      (?P<blank>\s+|//[^\n]*|/\*.*?\*/)
    | (?P<text>"(?:[^"\\\n]|\\.)*")
    | (?P<number>[+-]?0[xX][0-9a-fA-F]+|[+-]?\d+(?:\.\d+(?:[eE][+-]?\d+)?)?)
    | (?P<name>[A-Za-z_]\w*)
    | (?P<sign>[{}=;,])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:[xX]([0-9a-fA-F]{1,4})|(.))", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}


class MofError(ValueError):
    """A text is no instance in MOF."""


# --- parameters -------------------------------------------------------------------------------------------------------


def instance(repository: Repository, method: str, name: str, raw: Value, base: str) -> pywbem.CIMInstance:
    """The instance of ``base``, or of a class beneath it, that a parameter holds. INVALID_PARAMETER if it holds none."""
    if raw is None:
        raise _wrong(method, name, "is missing")
    if isinstance(raw, list):
        raise _wrong(method, name, "is one instance, and no array")
    return _checked(repository, method, name, raw, base)


def instances(repository: Repository, method: str, name: str, raw: Value, base: str) -> list[pywbem.CIMInstance]:
    """The instances that a parameter holds, which is an array; none if it is left out."""
    if raw is None:
        return []
    if not isinstance(raw, list):
        raise _wrong(method, name, "is an array of instances")
    if len(raw) > MOST:
        raise _wrong(method, name, f"holds {len(raw)} instances, and {MOST} is the most")
    return [_checked(repository, method, name, each, base) for each in raw]


def _checked(repository: Repository, method: str, name: str, raw: object, base: str) -> pywbem.CIMInstance:
    """The instance, with every property of the type that its class gives it, and without those that are null."""
    found = _read(method, name, raw)
    try:
        cls = repository.name(found.classname)
    except KeyError:
        raise _wrong(method, name, f"there is no class {found.classname[:80]!r}") from None
    if not repository.schema.is_a(cls, base):
        raise _wrong(method, name, f"{cls} is no {base}")
    made = pywbem.CIMInstance(cls)
    for key, value in found.properties.items():
        declared = repository.property_of(cls, key)
        if declared is None:
            raise _wrong(method, name, f"{cls} has no property {key[:80]!r}")
        try:
            typed = _typed(value, declared)
        except (ValueError, TypeError, messages.MessageError) as error:
            raise _wrong(method, name, f"{cls}.{declared.name}: {error}") from None
        if typed is not None:
            made[declared.name] = pywbem.CIMProperty(
                declared.name, typed, type=declared.type, is_array=declared.is_array
            )
    return made


def _typed(value: object, declared: pywbem.CIMProperty) -> object:
    """The value in the type of its property; ValueError if it is of another."""
    shown = f"{declared.type}{'[]' if declared.is_array else ''}"
    match value:
        case pywbem.CIMProperty():
            if (value.type, bool(value.is_array)) != (declared.type, bool(declared.is_array)):
                raise ValueError(f"is {shown}, and was sent as {value.type}{'[]' if value.is_array else ''}")
            return value.value
        case None:
            return None
        case list():
            if not declared.is_array:
                raise ValueError(f"is {shown}, and was sent as an array")
            return [_typed_one(each, declared.type) for each in value]
    if declared.is_array:
        raise ValueError(f"is {shown}, and was sent as a single value")
    return _typed_one(value, declared.type)


def _typed_one(value: object, kind: str) -> object:
    """A value of MOF in a type of CIM."""
    match value:
        case None:
            return None
        case _Number(text=text):
            if kind in ("boolean", "string", "datetime", "reference"):
                raise ValueError(f"is {kind}, and was sent as a number")
            return messages.typed_value(text, kind)
        case bool():
            if kind != "boolean":
                raise ValueError(f"is {kind}, and was sent as a boolean")
            return value
    if kind not in ("string", "datetime"):
        raise ValueError(f"is {kind}, and was sent as a string")
    return messages.typed_value(str(value), kind)


def _read(method: str, name: str, raw: object) -> pywbem.CIMInstance | _Mof:
    match raw:
        case pywbem.CIMInstance():
            return raw
        case str() as text:
            try:
                return messages.embedded(text) if text.lstrip().startswith("<") else read_mof(text)
            except (messages.MessageError, MofError) as error:
                raise _wrong(method, name, f"holds no instance: {error}") from None
    raise _wrong(method, name, "holds no instance")


def _wrong(method: str, name: str, why: str) -> CimError:
    return CimError(Status.INVALID_PARAMETER, f"{method}: {name}: {why}")


# --- MOF --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as it is written."""

    text: str


@dataclass(frozen=True, slots=True)
class _Mof:
    """An instance in MOF: values by name are str, bool, None, numbers, and lists of these."""

    classname: str
    properties: Mapping[str, object]


def read_mof(text: str) -> _Mof:
    """The one instance in a text. MofError if there is none, or more, or anything that an instance has no use for."""
    if len(text) > LONGEST:
        raise MofError(f"it has {len(text)} characters, and {LONGEST} is the most")
    tokens = _Tokens(text)
    tokens.word("instance")
    tokens.word("of")
    classname = tokens.take("name")
    tokens.sign("{")
    properties: dict[str, object] = {}
    given: set[str] = set()
    while not tokens.at("}"):
        name = tokens.take("name")
        if name.lower() in given:
            raise MofError(f"{name[:80]} is given twice")
        given.add(name.lower())
        tokens.sign("=")
        properties[name] = _value(tokens)
        tokens.sign(";")
    tokens.sign("}")
    tokens.sign(";")
    tokens.end()
    return _Mof(classname, properties)


class _Tokens:
    """The words of a text, one by one."""

    def __init__(self, text: str) -> None:
        self._ahead = list(_tokens(text))
        self._next = 0

    def peek(self) -> tuple[str, str]:
        """Kind and text of the next one; both empty at the end."""
        return self._ahead[self._next] if self._next < len(self._ahead) else ("", "")

    def at(self, sign: str) -> bool:
        return self.peek() == ("sign", sign)

    def take(self, kind: str) -> str:
        found, text = self.peek()
        if found != kind:
            raise MofError(f"{text[:40]!r} where a {kind} belongs" if found else f"it ends where a {kind} belongs")
        self._next += 1
        return text

    def word(self, word: str) -> None:
        if self.take("name").lower() != word:
            raise MofError(f"it does not begin with `instance of`, as the word {word} is missing")

    def sign(self, sign: str) -> None:
        if self.take("sign") != sign:
            raise MofError(f"there is no {sign} where one belongs")

    def end(self) -> None:
        if self.peek() != ("", ""):
            raise MofError(f"{self.peek()[1][:40]!r} comes after its end")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise MofError(f"{text[at : at + 20]!r} is nothing that MOF knows")
        at = found.end()
        if found.lastgroup != "blank":
            yield str(found.lastgroup), found.group()


def _value(tokens: _Tokens) -> object:
    if not tokens.at("{"):
        return _single(tokens)
    tokens.sign("{")
    items: list[object] = []
    while not tokens.at("}"):
        if items:
            tokens.sign(",")
        items.append(_single(tokens))
    tokens.sign("}")
    return items


def _single(tokens: _Tokens) -> object:
    kind, text = tokens.peek()
    match kind:
        case "text":
            pieces = []
            while tokens.peek()[0] == "text":
                pieces.append(_unescaped(tokens.take("text")[1:-1]))
            return "".join(pieces)
        case "number":
            return _Number(tokens.take("number"))
        case "name" if text.lower() in _WORDS:
            return _WORDS[tokens.take("name").lower()]
    raise MofError(f"{text[:40]!r} is no value" if kind else "it ends where a value belongs")


def _unescaped(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        if found.group(1) is not None:
            return chr(int(found.group(1), 16))
        if found.group(2) not in _ESCAPED:
            raise MofError(f"\\{found.group(2)} is no escape of MOF")
        return _ESCAPED[found.group(2)]

    return _ESCAPE.sub(plain, text)
