"""The classes that follow from the mapping, and their MOF."""

import pathlib
from typing import Any

import pytest
import pywbem
import pywbem_mock

from agent.cim import text
from agent.cim.classes import (
    AssociationClass,
    Column,
    Filled,
    Fixed,
    HypervisorName,
    InstanceClass,
    Link,
    Schema,
    build,
    camel,
)
from agent.cim.instances import value
from agent.cim.repository import Detail, Repository
from agent.model import MODEL, Domain, Host
from agent.model.domain import DomainState
from agent.schema import dmtf
from agent.schema.declare import Scope

SCHEMA = build(MODEL)
REPOSITORY = Repository(SCHEMA)


def local(name: str) -> Any:
    return SCHEMA.classes[name.lower()].local


def whole(name: str) -> Any:
    return REPOSITORY.resolved(name, Detail(local_only=False))


def test_names() -> None:
    assert [camel(n) for n in ("max_vcpus", "id", "limit_iov_hw_max")] == ["MaxVcpus", "Id", "LimitIovHwMax"]


@pytest.mark.parametrize("row", MODEL.rows, ids=lambda row: row.__name__)
def test_every_column_is_a_property(row: Any) -> None:
    main = SCHEMA.instances[f"virtmap_{row.__name__}".lower()]
    shown = {p.source.spec.name for p in main.properties if isinstance(p.source, Column)}
    if row.settings is not None:
        settings = SCHEMA.instances[f"virtmap_{row.__name__}settingdata".lower()]
        shown |= {p.source.spec.name for p in settings.properties if isinstance(p.source, Column)}
    assert {f.name for f in row.columns()} <= shown


@pytest.mark.parametrize("name", list(SCHEMA.instances))
def test_every_property_of_the_class_has_a_source_and_a_key_is_never_null(name: str) -> None:
    cls = SCHEMA.instances[name]
    declared = {n.lower(): p for n, p in whole(name).properties.items()}
    assert {p.name.lower() for p in cls.properties} == set(declared)
    for p in cls.properties:
        assert (p.type, p.array) == (declared[p.name.lower()].type, declared[p.name.lower()].is_array)
        assert p.key is ("Key" in declared[p.name.lower()].qualifiers)
        assert isinstance(p.source, Column | Filled | Fixed | HypervisorName)
        assert not (p.key and isinstance(p.source, Fixed) and p.source.value is None)
    assert cls.keys


def test_a_property_says_its_unit_its_function_and_what_its_numbers_mean() -> None:
    memory = local("Virtmap_Domain").properties["Memory"].qualifiers
    assert memory["PUnit"].value == "byte * 2^10"
    assert "API.libvirt|virDomainGetInfo" in memory["MappingStrings"].value
    assert memory["Gauge"].value is True
    state = local("Virtmap_Domain").properties["State"].qualifiers
    assert dict(zip(state["ValueMap"].value, state["Values"].value, strict=True))["2"] == "running"
    assert local("Virtmap_Domain").properties["CpuTime"].qualifiers["Counter"].value is True


def test_settings_of_the_definition_are_a_class_of_their_own() -> None:
    assert "ConfigMemory" not in whole("Virtmap_Domain").properties
    assert local("Virtmap_DomainSettingData").properties["Memory"].type == "uint64"
    configured = [f for r in MODEL.rows for f in r.columns() if f.scope is Scope.CONFIG]
    assert len(local("Virtmap_DomainSettingData").properties) == len(configured)


def test_an_aspect_is_a_class_of_its_own_over_the_same_row() -> None:
    for name, of in (("Virtmap_DomainMemory", "Virtmap_Domain"), ("Virtmap_HostMemory", "Virtmap_Host")):
        cls = SCHEMA.instances[name.lower()]
        assert SCHEMA.is_a(name, "CIM_Memory")
        assert cls.row is SCHEMA.instances[of.lower()].row
        assert not cls.is_row
        assert SCHEMA.instances[of.lower()].is_row
        assert not SCHEMA.methods.get(name.lower())
        (devices,) = (a for n, a in SCHEMA.associations.items() if SCHEMA.is_a(n, "CIM_SystemDevice") and _near(a, cls))
        assert [link.far.name for link in _near(devices, cls)] == [of]


def _near(association: AssociationClass, cls: InstanceClass) -> list[Link]:
    return [link for link in association.links if link.near is cls]


def shown(name: str, row: Any) -> dict[str, Any]:
    """The properties of the instance of that class for a row."""
    return {p.name: value(p.source, row.values, "local") for p in SCHEMA.instances[name.lower()].properties}


def test_the_memory_of_a_domain_tells_how_much_and_whether_it_is_in_use() -> None:
    domain = Domain(uuid="u", name="web", state=DomainState.RUNNING, memory=1 << 20, max_memory=1 << 21)
    told = shown("Virtmap_DomainMemory", domain)
    assert [told[k] for k in ("SystemCreationClassName", "SystemName", "CreationClassName", "DeviceID")] == [
        "Virtmap_Domain", "u", "Virtmap_DomainMemory", "u/memory",
    ]  # fmt: skip
    assert (told["ElementName"], told["BlockSize"]) == ("Memory of web", 1024)
    assert (told["NumberOfBlocks"], told["ConsumableBlocks"]) == (1 << 21, 1 << 20)
    assert (told["OperationalStatus"], told["HealthState"], told["EnabledState"]) == ((2,), 5, 2)
    crashed = shown("Virtmap_DomainMemory", domain.replace(state=DomainState.CRASHED))
    assert (crashed["OperationalStatus"], crashed["HealthState"], crashed["EnabledState"]) == ((15,), 5, 3)


def test_the_memory_of_a_host_tells_how_much() -> None:
    told = shown("Virtmap_HostMemory", Host(hypervisor="local", hostname="h", memory=1 << 24, connected=True))
    assert (told["SystemName"], told["DeviceID"], told["ElementName"]) == ("local", "local/memory", "Memory of h")
    assert (told["NumberOfBlocks"], told["OperationalStatus"], told["HealthState"]) == (1 << 24, (2,), 5)


def test_an_association_narrows_its_ends() -> None:
    devices = local("Virtmap_DomainDevice")
    assert devices.superclass == "CIM_SystemDevice"
    assert devices.properties["GroupComponent"].reference_class == "Virtmap_Domain"
    assert devices.properties["PartComponent"].reference_class == "CIM_LogicalDevice"


def test_operations_are_methods_with_typed_parameters() -> None:
    methods = local("Virtmap_Domain").methods
    assert set(methods) == {o.__name__ for o in MODEL.operations if o.on.__name__ == "Domain"}
    memory = methods["SetMemory"].parameters["Memory"]
    assert (memory.type, memory.qualifiers["Required"].value, memory.qualifiers["In"].value) == ("uint64", True, True)
    assert methods["ReadXml"].parameters["Xml"].qualifiers["Out"].value is True
    assert methods["ReadXml"].parameters["Xml"].qualifiers["In"].value is False
    assert methods["ManagedSave"].parameters["Job"].reference_class == "CIM_ConcreteJob"


def test_events_are_indication_classes() -> None:
    for event in MODEL.events:
        name = f"Virtmap_{event.__name__}"
        assert SCHEMA.is_a(name, "CIM_AlertIndication")
        assert {f.cim or camel(f.name) for f in event.fields} <= set(whole(name).properties)
        assert "Indication" in whole(name).qualifiers


def test_asking_changes_nothing() -> None:
    before = {name: d.local.tomof() for name, d in SCHEMA.classes.items()}
    for name in SCHEMA.classes:
        for qualifiers in (True, False):
            REPOSITORY.class_xml(name, Detail(local_only=False, qualifiers=qualifiers, class_origin=True))
    assert {name: d.local.tomof() for name, d in SCHEMA.classes.items()} == before
    propagated = [q.propagated for d in SCHEMA.classes.values() for q in d.local.qualifiers.values()]
    assert set(propagated) == {None}


def test_local_only_and_property_list() -> None:
    assert set(REPOSITORY.resolved("Virtmap_Vcpu", Detail()).properties) == set(local("Virtmap_Vcpu").properties)
    listed = Detail(local_only=False, properties=frozenset({"number"}), qualifiers=False, class_origin=True)
    cut = REPOSITORY.resolved("Virtmap_Vcpu", listed)
    assert list(cut.properties) == ["Number"]
    assert not cut.properties["Number"].qualifiers
    assert cut.properties["Number"].class_origin == "Virtmap_Vcpu"


def test_a_qualifier_that_does_not_propagate_stays_with_its_class() -> None:
    assert "Abstract" in whole("CIM_System").qualifiers
    assert "Abstract" not in whole("CIM_ComputerSystem").qualifiers
    assert "Association" in whole("CIM_SystemDevice").qualifiers


def compiled(directory: pathlib.Path) -> Any:
    for name, content in text.generate().items():
        (directory / name).write_text(content, "utf-8")
    connection = pywbem_mock.FakedWBEMConnection(default_namespace=text.NAMESPACE)
    connection.compile_mof_file(
        str(directory / "virtmap.mof"), namespace=text.NAMESPACE, search_paths=[str(directory)], verbose=False
    )
    return connection


def test_the_mof_compiles_to_the_classes_that_are_served(tmp_path: pathlib.Path) -> None:
    connection = compiled(tmp_path)
    names = connection.EnumerateClassNames(DeepInheritance=True)
    assert {n.lower() for n in names} == set(SCHEMA.classes)
    for name in names:
        theirs = connection.GetClass(name, LocalOnly=False)
        ours = whole(name)
        assert facts(theirs) == facts(ours), name


def facts(cls: Any) -> dict[str, Any]:
    """What must agree between the compiled and the served class."""
    return {
        "superclass": cls.superclass,
        "properties": {
            p.name: (p.type, p.is_array, p.reference_class, "Key" in p.qualifiers) for p in cls.properties.values()
        },
        "methods": {
            m.name: (m.return_type, [(p.name, p.type) for p in m.parameters.values()]) for m in cls.methods.values()
        },
        "texts": {f.name: told(f) for f in (*cls.properties.values(), *cls.methods.values())},
        "description": told(cls),
    }


def told(feature: Any) -> dict[str, Any]:
    """What a class, property or method says of itself in words and value maps."""
    names = ("Description", "ValueMap", "Values", "PUnit")
    return {n: feature.qualifiers[n].value for n in names if n in feature.qualifiers}


def test_generating_twice_gives_the_same() -> None:
    assert text.generate() == text.generate()


def test_the_dmtf_classes_are_complete_upwards() -> None:
    for name, cls in dmtf.classes.items():
        assert all(a in dmtf.classes for a in dmtf.ancestors(name))
        inherited = dmtf.inherited_properties(cls.superclass) if cls.superclass else {}
        for p in cls.properties:
            assert p.override is (p.name in inherited), f"{name}.{p.name}"
            if p.override:
                assert (p.type, p.array) == (inherited[p.name].type, inherited[p.name].array)


def test_a_repository_of_a_part_shows_that_part() -> None:
    part = Repository(SCHEMA, ["CIM_Namespace"])
    assert "CIM_ManagedElement" in part
    assert "Virtmap_Domain" not in part
    assert part.below(None, deep=True) == ("cim_managedelement", "cim_namespace")
    with pytest.raises(KeyError):
        part.class_xml("Virtmap_Domain", Detail())


def test_schema_is_a_is_case_blind() -> None:
    schema: Schema = SCHEMA
    assert schema.is_a("VIRTMAP_DOMAIN", "cim_computersystem")
    assert not schema.is_a("CIM_ComputerSystem", "Virtmap_Domain")


def test_qualifier_declarations() -> None:
    assert pywbem.CIMQualifierDeclaration("Key", "boolean").name in REPOSITORY.qualifier_xml("KEY")
    assert len(REPOSITORY.qualifiers_xml()) == len(dmtf.qualifiers)
    with pytest.raises(KeyError):
        REPOSITORY.qualifier_xml("Nonsense")
