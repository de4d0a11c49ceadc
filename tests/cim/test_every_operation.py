"""Every operation of the mapping as a CIM method: run, and refused in all the ways there are, each with its status and words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import pywbem

from agent.cim.classes import camel
from agent.errors import Busy, Failed, Invalid, NotFound, NotSupported, Unreachable, VirtmapError
from agent.model import MODEL, Job
from agent.schema.declare import Access, Field, Index, Operation
from agent.schema.types import Enumeration, Secret
from tests.cim.served import ADMINISTRATOR, DEFINER, OBSERVER, OPERATOR, Running, serve
from tests.samples import sample

OPERATIONS = [o for o in MODEL.operations if o.on is not Job]
BELOW = {Access.OPERATE: OBSERVER, Access.DEFINE: OPERATOR, Access.ADMINISTER: DEFINER}
"""By the level that is needed, somebody who has not got it."""


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    yield from serve({"default": "fake:///?domains=3&statistics=1"}, anonymous=None)


def made(kind: type[Operation]) -> Operation:
    return sample(kind, **{f.name: "<a/>" for f in kind.arguments() if f.required and f.semantic.name == "Xml"})


def parameter(field: Field, value: Any) -> Any:
    """A value as pywbem wants it."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, bytes):
        octets = [*(len(value) + 4).to_bytes(4, "big"), *value]
        return [pywbem.Uint8(each) for each in octets]
    if isinstance(value, datetime):
        return pywbem.CIMDateTime(value)
    if isinstance(value, bool | str):
        return value
    kind = "uint16" if isinstance(value, Enumeration) else field.semantic.cim
    return pywbem.cimvalue(int(value), kind)


def parameters(operation: Operation) -> dict[str, Any]:
    needed = [f for f in type(operation).arguments() if f.required]
    return {camel(f.name): parameter(f, operation.values[f.position]) for f in needed}


def path(running: Running, kind: type[Operation]) -> Any:
    """An instance in which the operation makes sense, or any."""
    row = kind.on
    found = running.client(OBSERVER).EnumerateInstances(f"Virtmap_{row.__name__}", DeepInheritance=False)
    if kind.allowed is not None:
        name = camel(kind.allowed.column)
        wanted = {int(v) if not isinstance(v, bool) else v for v in kind.allowed.values}
        found = [i for i in found if i.properties.get(name) is None or i[name] in wanted] or found
    return found[0].path


def refused(
    running: Running, who: tuple[str, str], kind: type[Operation], where: Any, given: dict[str, Any]
) -> pywbem.CIMError:
    with pytest.raises(pywbem.CIMError) as caught:
        running.client(who).InvokeMethod(kind.__name__, where, **given)
    return caught.value


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda o: o.__name__)
def test_a_method_is_refused_in_all_the_ways_there_are(running: Running, kind: type[Operation]) -> None:
    fake, where, given = running.drivers["default"], path(running, kind), parameters(made(kind))
    before = len(fake.performed)
    for name in given:
        error = refused(running, ADMINISTRATOR, kind, where, {n: v for n, v in given.items() if n != name})
        assert error.status_code == pywbem.CIM_ERR_INVALID_PARAMETER
        assert name in error.status_description
    for field in kind.arguments():
        name = camel(field.name)
        for value in wrong(field):
            error = refused(running, ADMINISTRATOR, kind, where, given | {name: value})
            assert error.status_code == pywbem.CIM_ERR_INVALID_PARAMETER, (name, value)
    error = refused(running, ADMINISTRATOR, kind, where, given | {"NoSuch": "x"})
    assert error.status_code == pywbem.CIM_ERR_INVALID_PARAMETER
    assert running.trail.records[-1]["operation"] == kind.__name__, "what was refused is in the audit trail"
    if kind.on.index is not Index.SCALAR:
        vanished = where.copy()
        key = next(
            k for k in vanished.keybindings if k not in ("CreationClassName", "SystemCreationClassName", "SystemName")
        )
        vanished.keybindings[key] = f"{vanished.keybindings[key]}-gone"
        assert refused(running, ADMINISTRATOR, kind, vanished, given).status_code == pywbem.CIM_ERR_NOT_FOUND
    if kind.needs in BELOW:
        error = refused(running, BELOW[kind.needs], kind, where, given)
        assert error.status_code == pywbem.CIM_ERR_ACCESS_DENIED
        assert running.trail.records[-1]["result"].startswith("refused: ")
    assert len(fake.performed) == before, "none of it came to the hypervisor"


def wrong(field: Field) -> list[Any]:
    """Values that are none of the field's."""
    if field.semantic.python is bytes:
        return ["text", [pywbem.Uint8(1)]]
    if field.semantic.name in ("Uuid", "Mac"):
        return ["no such value"]
    if field.semantic.python in (str, Secret):
        return ["x" * ((field.semantic.high or 0) + 1)] if (field.semantic.high or 2**31) < 2**20 else []
    found: list[Any] = ["no such value"]
    if field.semantic.python is int and field.enumeration is None and field.flags is None:
        found += [pywbem.Sint64(-(2**62))] if field.semantic.low == 0 else []
        found += [pywbem.Uint64(field.high + 1)] if field.high is not None else []
    return found


STATUS: list[tuple[VirtmapError, int]] = [
    (Failed("host: it would not"), pywbem.CIM_ERR_FAILED),
    (NotSupported("host: it cannot"), pywbem.CIM_ERR_NOT_SUPPORTED),
    (Invalid("host: it makes no sense"), pywbem.CIM_ERR_INVALID_PARAMETER),
    (NotFound("host: it has gone"), pywbem.CIM_ERR_NOT_FOUND),
    (Busy("host: not now"), pywbem.CIM_ERR_FAILED),
    (Unreachable("host: it is not there"), pywbem.CIM_ERR_FAILED),
]


@pytest.mark.parametrize("kind", [o for o in OPERATIONS if o.moves is None], ids=lambda o: o.__name__)
def test_what_the_hypervisor_refuses_is_told_in_its_words(running: Running, kind: type[Operation]) -> None:
    fake, where, given = running.drivers["default"], path(running, kind), parameters(made(kind))
    for failure, status in STATUS:
        fake.refuse(kind, failure)
        try:
            error = refused(running, ADMINISTRATOR, kind, where, given)
        finally:
            fake.refuse(kind, None)
        assert (error.status_code, str(failure) in error.status_description) == (status, True)
        assert running.trail.records[-1]["result"] == str(failure)


def test_every_operation_is_a_method_that_tells_its_level(running: Running) -> None:
    client = running.client(OBSERVER)
    for kind in OPERATIONS:
        method = client.GetClass(f"Virtmap_{kind.on.__name__}", LocalOnly=False).methods[kind.__name__]
        assert f"access level {kind.needs.name.lower()}" in method.qualifiers["Description"].value
