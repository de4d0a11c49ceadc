"""Parameters of CIM requests to Python: the flags and names of operations, and the arguments of our methods."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pywbem

from agent.cim.classes import MethodPlan
from agent.cim.messages import Value
from agent.cim.status import CimError, Status
from agent.schema.declare import Field, Operation
from agent.schema.types import fits, parse

__all__ = ["Parameters", "operation_of", "shown"]


class Parameters:
    """The parameters of one intrinsic operation; every reader says INVALID_PARAMETER when it does not find its type."""

    def __init__(self, given: Mapping[str, Value], allowed: tuple[str, ...]) -> None:
        """``allowed`` are the operation's parameter names; others are refused."""
        self._given = given
        known = {name.lower() for name in allowed}
        for name in given:
            if name not in known:
                raise _wrong(f"there is no parameter {name[:40]!r} here")

    def flag(self, name: str, default: bool) -> bool:
        match self._given.get(name.lower()):
            case None:
                return default
            case str() as text if text.strip().lower() in ("true", "false"):
                return text.strip().lower() == "true"
        raise _wrong(f"{name} is neither TRUE nor FALSE")

    def text(self, name: str) -> str | None:
        match self._given.get(name.lower()):
            case None:
                return None
            case str() as text:
                return text
        raise _wrong(f"{name} is no string")

    def needed_text(self, name: str) -> str:
        found = self.text(name)
        if not found:
            raise _wrong(f"{name} is missing")
        return found

    def number(self, name: str) -> int | None:
        """A uint32."""
        text = self.text(name)
        if text is None:
            return None
        digits = text.strip()
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20 and int(digits) <= 0xFFFF_FFFF):
            raise _wrong(f"{name} is no uint32")
        return int(digits)

    def class_name(self, name: str) -> str | None:
        match self._given.get(name.lower()):
            case None:
                return None
            case pywbem.CIMClassName() as path:
                return str(path.classname)
            case str() as text:
                return text
        raise _wrong(f"{name} is no class name")

    def needed_class_name(self, name: str) -> str:
        found = self.class_name(name)
        if not found:
            raise _wrong(f"{name} is missing")
        return found

    def instance_name(self, name: str) -> pywbem.CIMInstanceName:
        match self._given.get(name.lower()):
            case pywbem.CIMInstanceName() as path:
                return path
            case None:
                raise _wrong(f"{name} is missing")
        raise _wrong(f"{name} is no instance name")

    def value(self, name: str) -> Value:
        """Whatever was given."""
        return self._given.get(name.lower())

    def instance(self, name: str) -> pywbem.CIMInstance:
        match self._given.get(name.lower()):
            case pywbem.CIMInstance() as instance:
                return instance
            case None:
                raise _wrong(f"{name} is missing")
        raise _wrong(f"{name} is no instance")

    def object_name(self, name: str) -> pywbem.CIMInstanceName | pywbem.CIMClassName:
        match self._given.get(name.lower()):
            case pywbem.CIMInstanceName() | pywbem.CIMClassName() as path:
                return path
            case None:
                raise _wrong(f"{name} is missing")
        raise _wrong(f"{name} is no object name")

    def names(self, name: str) -> frozenset[str] | None:
        """An array of names in lower case, such as a PropertyList."""
        match self._given.get(name.lower()):
            case None:
                return None
            case list() as items if all(isinstance(each, str) for each in items):
                return frozenset(str(each).lower() for each in items)
        raise _wrong(f"{name} is no array of strings")


def operation_of(plan: MethodPlan, given: Mapping[str, Value]) -> Operation:
    """The operation with its arguments out of a method call; INVALID_PARAMETER names the parameter that is wrong."""
    inputs = {name.lower(): (name, spec) for name, spec in plan.inputs}
    ignored = {name.lower() for name, _ in plan.outputs} | {"job"}
    values: dict[str, Any] = {}
    for lower, raw in given.items():
        if lower in inputs:
            name, spec = inputs[lower]
            if raw is not None:
                values[spec.name] = argument(plan.name, name, spec, raw)
        elif lower not in ignored:
            raise _wrong(f"{plan.name} has no parameter {lower[:40]!r}")
    for name, spec in plan.inputs:
        if spec.required and spec.name not in values:
            raise _wrong(f"{plan.name} needs its parameter {name}")
    return plan.operation(**values)


OCTETS = 4
"""Octets at the beginning of an octet string that tell its length, themselves included (DSP0004, 5.6.3.34)."""


def shown(value: Any) -> Any:
    """An out-value as it is written: bytes are an array of uint8 that begins with its length, a moment is one of CIM's."""
    if isinstance(value, datetime):
        return str(pywbem.CIMDateTime(value))
    if isinstance(value, bytes):
        return [*(len(value) + OCTETS).to_bytes(OCTETS, "big"), *value]
    return value


def _octets(method: str, name: str, raw: Value) -> bytes:
    """The bytes of an octet string."""
    if not isinstance(raw, list) or not all(
        isinstance(each, str) and each.isdecimal() and int(each) < 256 for each in raw
    ):
        raise _wrong(f"{method}: {name} is no array of uint8")
    octets = bytes(int(str(each)) for each in raw)
    if int.from_bytes(octets[:OCTETS], "big") != len(octets) or len(octets) < OCTETS:
        raise _wrong(f"{method}: {name}: an octet string begins with its length in four octets, and this one does not")
    return octets[OCTETS:]


def argument(method: str, name: str, spec: Field, raw: Value) -> Any:
    """One argument from its text, as the type that its declaration wants."""
    if spec.semantic.python is bytes:
        octets = _octets(method, name, raw)
        if wrong := fits(spec.semantic, octets):
            raise _wrong(f"{method}: {name}: {wrong}")
        return octets
    if not isinstance(raw, str):
        raise _wrong(f"{method}: {name} is no {spec.semantic.cim}")
    try:
        return _parsed(spec, raw)
    except ValueError as error:
        shown = "" if spec.semantic.secret else f"{raw[:40]!r}: "
        raise _wrong(f"{method}: {name}: {shown}{error}") from None


def _parsed(spec: Field, raw: str) -> Any:
    if spec.semantic.cim != "datetime":
        return parse(spec.semantic, raw)
    moment = pywbem.CIMDateTime(raw).datetime
    if moment is None:
        raise ValueError("it is an interval and no moment")
    return moment


def _wrong(reason: str) -> CimError:
    return CimError(Status.INVALID_PARAMETER, reason)
