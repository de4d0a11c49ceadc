"""Network filters and their bindings: rows, operations and errors, on the real firewall of a private network namespace."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from agent.errors import Failed, Invalid, NotFound, NotSupported, VirtmapError, WrongState
from agent.model import nwfilter as on
from agent.model import nwfilter_binding as on_binding
from agent.model.network import CreateNetwork, StopNetwork
from agent.model.nwfilter import NwFilter
from agent.model.nwfilter_binding import NwFilterBinding
from agent.schema.declare import Operation
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, connected
from tests.recorder import functions_of
from tests.servers import System

NOWHERE = "00000000-dead-4000-8000-000000000000"
MAC = "52:54:00:7b:35:94"
RULE = "<rule action='drop' direction='in' priority='500'><all/></rule>"

_numbers = itertools.count(1)


class Firewall:
    """A hypervisor whose network filters are under test."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.driver: Any = subject.driver

    def do(self, operation: Operation, *key: Any) -> Mapping[str, Any]:
        return self.subject.perform(operation, key or (self.driver.name,))

    def refused(self, operation: Operation, *key: Any) -> VirtmapError:
        """The error, as a new one that holds no libvirt object."""
        try:
            self.do(operation, *key)
        except VirtmapError as error:
            return type(error)(str(error))
        raise AssertionError(f"{operation} was not refused")

    def define(
        self, rules: str = RULE, *, uuid: str = "", name: str = "", head: str = "chain='root'"
    ) -> tuple[str, str]:
        called = name or f"filter-{next(_numbers)}"
        own = f"<uuid>{uuid}</uuid>" if uuid else ""
        outs = self.do(on.DefineNwFilter(xml=f"<filter name='{called}' {head}>{own}{rules}</filter>"))
        return str(outs["uuid"]), called

    def bind(self, port: str, name: str, parameters: str = "") -> None:
        outs = self.do(on_binding.CreateNwFilterBinding(xml=binding_xml(port, name, parameters)))
        assert outs == {"port": port}

    def row(self, uuid: str) -> NwFilter | None:
        reading = self.subject.read([(NwFilter, (uuid,))])
        assert not reading.failed
        return next(iter(reading.of(NwFilter)), None)

    def binding(self, port: str) -> NwFilterBinding | None:
        reading = self.subject.read([(NwFilterBinding, (port,))])
        assert not reading.failed
        return next(iter(reading.of(NwFilterBinding)), None)


def binding_xml(port: str, name: str, parameters: str = "") -> str:
    return (
        f"<filterbinding><owner><name>somebody</name><uuid>{NOWHERE}</uuid></owner><portdev name='{port}'/>"
        f"<mac address='{MAC}'/><filterref filter='{name}'>{parameters}</filterref></filterbinding>"
    )


@pytest.fixture(scope="module")
def firewall(system_libvirtd: System) -> Iterator[Firewall]:
    with connected(qemu_subject(system_libvirtd)) as subject:
        yield Firewall(subject)


@pytest.fixture
def port(firewall: Firewall) -> Iterator[str]:
    """A network device that exists: the bridge of a network of its own."""
    name = f"tfil{next(_numbers)}"
    xml = f"<network><name>{name}</name><bridge name='{name}'/></network>"
    network = str(firewall.do(CreateNetwork(xml=xml))["uuid"])
    yield name
    firewall.do(StopNetwork(), network)


def test_a_filter_goes_from_its_definition_to_its_end(firewall: Firewall) -> None:
    uuid, name = firewall.define(head="chain='ipv4' priority='-650'")
    row = firewall.row(uuid)
    assert row is not None
    assert (row.name, row.chain, row.priority, row.rules, row.references) == (name, "ipv4", -650, 1, None)
    assert (row.host, row.problem) == (firewall.driver.name, "")
    assert f"name='{name}'" in firewall.do(on.ReadNwFilterXml(), uuid)["xml"]
    firewall.define(RULE * 2, uuid=uuid, name=name)
    row = firewall.row(uuid)
    assert row is not None
    assert (row.rules, row.chain) == (2, "root")
    firewall.do(on.UndefineNwFilter(), uuid)
    assert firewall.row(uuid) is None


def test_a_filter_tells_which_others_it_takes_in(firewall: Firewall) -> None:
    inner, first = firewall.define()
    other, second = firewall.define()
    outer, _ = firewall.define(f"<filterref filter='{first}'/><filterref filter='{second}'/>")
    row = firewall.row(outer)
    assert row is not None
    assert (row.rules, row.references) == (0, f"{first}\n{second}")
    for uuid in (outer, other, inner):
        firewall.do(on.UndefineNwFilter(), uuid)


def test_a_reading_of_everything_has_filters_and_bindings(firewall: Firewall, port: str) -> None:
    uuid, name = firewall.define()
    firewall.bind(port, name)
    for row in (NwFilter, NwFilterBinding):
        firewall.driver._memory.due(row)
    reading = firewall.subject.read()
    assert name in {each.name for each in reading.of(NwFilter)}
    assert port in {each.port for each in reading.of(NwFilterBinding)}
    firewall.do(on_binding.DeleteNwFilterBinding(), port)
    firewall.do(on.UndefineNwFilter(), uuid)


def test_a_binding_goes_from_its_making_to_its_end(firewall: Firewall, port: str) -> None:
    uuid, name = firewall.define()
    firewall.bind(port, name, "<parameter name='IP' value='192.0.2.7'/>")
    row = firewall.binding(port)
    assert row is not None
    assert (row.filter_name, row.filter, row.owner_name, row.owner) == (name, uuid, "somebody", NOWHERE)
    assert (row.mac, row.link_device, row.host, row.problem) == (MAC, None, firewall.driver.name, "")
    assert row.parameters is not None
    assert set(row.parameters.split("\n")) == {"IP=192.0.2.7", f"MAC={MAC}"}
    assert f"<portdev name='{port}'/>" in firewall.do(on_binding.ReadNwFilterBindingXml(), port)["xml"]
    firewall.do(on_binding.DeleteNwFilterBinding(), port)
    assert firewall.binding(port) is None
    firewall.do(on.UndefineNwFilter(), uuid)


def test_what_is_wrong_with_a_filter_is_refused_with_the_reason(firewall: Firewall, port: str) -> None:
    for operation in (on.UndefineNwFilter(), on.ReadNwFilterXml()):
        missing = firewall.refused(operation, NOWHERE)
        assert isinstance(missing, NotFound)
        assert str(missing).startswith(f"nw filter {NOWHERE}: cannot {operation.verb()}: ")
    assert isinstance(firewall.refused(on.DefineNwFilter(xml="<filter")), Invalid)
    strange = "<filter name='strange'><nonsense/></filter>"
    assert isinstance(firewall.refused(on.DefineNwFilter(xml=strange, flags=on.NwFilterDefineFlags.VALIDATE)), Invalid)
    uuid, name = firewall.define()
    taken = firewall.refused(on.DefineNwFilter(xml=f"<filter name='{name}'><uuid>{NOWHERE}</uuid></filter>"))
    assert name in str(taken)
    firewall.bind(port, name)
    in_use = firewall.refused(on.UndefineNwFilter(), uuid)
    assert isinstance(in_use, WrongState)
    assert str(in_use).startswith(f"nw filter {name}: cannot undefine nw filter: ")
    firewall.do(on_binding.DeleteNwFilterBinding(), port)
    firewall.do(on.UndefineNwFilter(), uuid)


def test_what_is_wrong_with_a_binding_is_refused_with_the_reason(firewall: Firewall, port: str) -> None:
    for operation in (on_binding.DeleteNwFilterBinding(), on_binding.ReadNwFilterBindingXml()):
        missing = firewall.refused(operation, "nothing0")
        assert isinstance(missing, NotFound)
        assert str(missing).startswith(f"nw filter binding nothing0: cannot {operation.verb()}: ")
    create = on_binding.CreateNwFilterBinding
    assert isinstance(firewall.refused(create(xml="<filterbinding")), Invalid)
    unknown = firewall.refused(create(xml=binding_xml(port, "no-such-filter")))
    assert isinstance(unknown, (Failed, NotFound))
    assert "no-such-filter" in str(unknown)
    assert firewall.binding(port) is None
    uuid, name = firewall.define()
    firewall.bind(port, name)
    assert isinstance(firewall.refused(create(xml=binding_xml(port, name))), VirtmapError)
    firewall.do(on_binding.DeleteNwFilterBinding(), port)
    firewall.do(on.UndefineNwFilter(), uuid)


def test_a_hypervisor_without_filters_says_so() -> None:
    with connected(mock_subject("test:///default")) as subject:
        reading = subject.read()
        assert (reading.of(NwFilter), reading.of(NwFilterBinding)) == ([], [])
        mock = Firewall(subject)
        assert isinstance(mock.refused(on.DefineNwFilter(xml="<filter name='x'/>")), NotSupported)
        create = on_binding.CreateNwFilterBinding(xml=binding_xml("lo", "x"))
        assert isinstance(mock.refused(create), NotSupported)


def test_every_function_was_called(firewall: Firewall) -> None:
    wanted = {
        "virConnectListAllNWFilterBindings", "virConnectListAllNWFilters", "virNWFilterBindingCreateXML",
        "virNWFilterBindingDelete", "virNWFilterBindingGetFilterName", "virNWFilterBindingGetXMLDesc",
        "virNWFilterDefineXMLFlags", "virNWFilterGetXMLDesc", "virNWFilterUndefine",
    }  # fmt: skip
    assert wanted - functions_of(firewall.driver.called) == set()
