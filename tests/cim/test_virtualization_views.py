"""The language of views, what is declared in it, and what it costs to have them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from lxml import etree

from agent.cim.classes import Column, Filled, InstanceClass, build
from agent.cim.definition import Settings, domain_xml
from agent.cim.instances import value
from agent.cim.profiles import PROFILES, configuration, devices
from agent.cim.profiles.embedded import MofError, read_mof
from agent.cim.profiles.view import Condition, Profiles, Tie, View
from agent.cim.world import Indexes, World
from agent.model import MODEL, Disk, Domain, Host
from agent.model.disk import DiskDevice
from agent.model.domain import DomainState
from agent.model.element import ELEMENT
from agent.schema import dmtf
from agent.schema.declare import Association, constant, spelled
from agent.schema.laws import AUTOMATIC
from agent.snapshot import Snapshot, Table, atoms

SCHEMA = build(MODEL)


# --- the laws of declarations, which hold for views too


@pytest.mark.parametrize("view", PROFILES.views, ids=lambda view: view.name)
def test_every_property_of_a_view_is_filled_or_null_for_a_reason(view: View) -> None:
    brought = dmtf.inherited_properties(view.cim)
    told = [*view.fills, *view.nulls, *(set(brought) & AUTOMATIC)]
    assert sorted(told) == sorted(brought), "each is told once, and nothing else is"
    assert all(reason.strip() for reason in view.nulls.values())
    for fill in view.fills.values():
        assert set(fill.columns) <= set(view.row.positions)
        assert not (fill.constant is None and not fill.columns)
    assert view.description.strip().endswith(".")


def test_views_have_names_of_their_own() -> None:
    names = [view.name for view in PROFILES.views]
    assert len(set(names)) == len(names)
    assert not set(names) & {row.__name__ for row in MODEL.rows}


def test_ties_link_classes_that_fit_their_association() -> None:
    for association in SCHEMA.associations.values():
        declared = SCHEMA.classes[association.name.lower()]
        ends = dmtf.inherited_properties(declared.superclass or "")
        for link in association.links:
            far_role, near_role = association.roles(link)
            for role, end in ((far_role, link.far), (near_role, link.near)):
                wanted = ends[role].reference
                assert wanted is not None
                assert SCHEMA.is_a(end.name, wanted), (association.name, role, end.name)


def test_ties_that_are_declared_exist() -> None:
    known = {(link.near.name, link.far.name) for a in SCHEMA.associations.values() for link in a.links}
    for tie in PROFILES.ties:
        row = next((v.row for v in PROFILES.views if v.name == tie.near), None)
        if tie.via is not None and row is not None and tie.via not in row.positions:
            continue  # a column of a kind of hypervisor objects that no row tells yet
        if tie.via is not None and row is None:
            continue
        assert (f"Virtmap_{tie.near}", f"Virtmap_{tie.far}") in known, tie


def test_profiles_of_rows_that_a_model_has_not_are_left_out() -> None:
    few = build(MODEL, Profiles())
    assert not [name for name in few.instances if name.endswith("statesettingdata")]
    strange = Tie(
        association=Association(name="X", base="CIM_Dependency", far="Antecedent", near="Dependent", description="x"),
        near="Nowhere", far="Host",
    )  # fmt: skip
    assert "x" not in build(MODEL, Profiles(ties=(strange,))).associations


# --- identifiers


IDENTITIES = [c for c in SCHEMA.instances.values() if any(_p.name == "InstanceID" for _p in c.keys)]


def source(cls: InstanceClass) -> Any:
    return next(p.source for p in cls.keys if p.name == "InstanceID")


@pytest.mark.parametrize("view", [v for v in PROFILES.views if "InstanceID" in v.fills], ids=lambda view: view.name)
def test_an_identifier_is_read_back(view: View) -> None:
    made = source(SCHEMA.instances[f"virtmap_{view.name}".lower()])
    assert isinstance(made, Filled)
    rng = random.Random(view.name)
    for _ in range(200):
        given = ["".join(rng.choice("abc019-:.#{}%\\") for _ in range(rng.randrange(1, 12))) for _ in made.columns]
        given = [g if i else g.replace("/", "") for i, g in enumerate(given)]
        text = made.value(tuple(given))
        assert made.read(text) == dict(zip((c.name for c in made.columns), given, strict=True))
        assert made.read(f"x{text}") is None


def test_numbers_are_read_back_as_numbers() -> None:
    (cls,) = (c for c in IDENTITIES if c.name == "Virtmap_Job")
    made = Filled(name="InstanceID", fill=spelled("virtmap:job/{0}", "number"), columns=source(cls).columns)
    assert made.read("virtmap:job/17") == {"number": 17}
    for text in ("virtmap:job/x", "virtmap:job/", "virtmap:job/-1", "virtmap:job/" + "1" * 40, "virtmap:job/٣"):
        assert made.read(text) is None


def test_no_index_is_made_for_a_view() -> None:
    """An instance of a view is found by what its identifier spells, so 10,000 domains cost nothing until somebody asks."""
    indexes = Indexes(SCHEMA)
    names = {f"Virtmap_{view.name}" for view in PROFILES.views}
    assert not names & {cls.name for cls in indexes._computed}


# --- conditions


class Known:
    """An inventory that holds these rows."""

    def __init__(self, *rows: Any) -> None:
        tables = {row: Table(row, (), ()) for row in MODEL.rows}
        for row in {type(r) for r in rows}:
            records = [atoms(row, r.values) for r in rows if type(r) is row]
            arcs = tuple((i, 1) if row is Disk else (i,) for i in range(1, len(records) + 1))
            tables[row] = Table(row, records, arcs)
        self.snapshot = Snapshot(tables)

    def touch(self) -> None:
        pass


def shown(name: str, row: Any, *others: Any) -> bool:
    world = World(SCHEMA, {"local": Known(row, *others)}, Indexes(SCHEMA))
    cls = SCHEMA.instances[f"virtmap_{name}".lower()]
    return world.shows(cls, "local")(atoms(type(row), row.values))


def guest(**values: Any) -> Domain:
    return Domain(uuid="u", name="web", **values)


@pytest.mark.parametrize(
    ("state", "runs"),
    [
        (DomainState.RUNNING, True), (DomainState.PAUSED, True), (DomainState.PM_SUSPENDED, True),
        (DomainState.NO_STATE, True), (DomainState.SHUT_OFF, False), (DomainState.CRASHED, False), (None, False),
    ],
)  # fmt: skip
def test_the_state_of_a_domain_is_there_while_it_runs(state: DomainState | None, runs: bool) -> None:
    for name in ("DomainStateSettingData", "ProcessorStateSettingData", "MemoryStateSettingData"):
        assert shown(name, guest(state=state)) is runs


def test_a_definition_is_there_if_it_is_known() -> None:
    assert shown("MemorySettingData", guest(state=DomainState.RUNNING, config_memory=5))
    assert not shown("MemorySettingData", guest(state=DomainState.RUNNING))
    assert not shown("ProcessorSettingData", guest(config_memory=5))


@pytest.mark.parametrize(
    ("state", "persistent", "updated", "in_state", "in_definition"),
    [
        (DomainState.RUNNING, True, False, True, True),
        (DomainState.RUNNING, True, True, True, False),
        (DomainState.RUNNING, True, None, True, False),
        (DomainState.RUNNING, False, False, True, False),
        (DomainState.SHUT_OFF, True, True, False, True),
        (DomainState.SHUT_OFF, None, None, False, True),
        (None, True, False, False, False),
    ],
)
def test_a_disk_is_part_of_the_configuration_that_was_read(
    state: DomainState | None, persistent: bool | None, updated: bool | None, in_state: bool, in_definition: bool
) -> None:
    disk = Disk(domain="u", target="vda")
    domain = guest(state=state, persistent=persistent, updated=updated)
    assert shown("DiskStateSettingData", disk, domain) is in_state
    assert shown("DiskSettingData", disk, domain) is in_definition


def test_what_belongs_to_nothing_is_not_there() -> None:
    assert not shown("DiskStateSettingData", Disk(domain="gone", target="vda"), guest(state=DomainState.RUNNING))


def test_a_condition_is_about_one_row() -> None:
    two = View(
        name="Odd", row=Disk, cim="CIM_ManagedElement", description="Odd.", fills={"ElementName": constant("x")},
        nulls={k: v for k, v in ELEMENT.items() if k in ("Caption", "Description", "InstanceID")},
        present=Condition(columns=("Domain.state", "Disk.target"), holds=lambda *_: True),
    )  # fmt: skip
    with pytest.raises(ValueError, match="unpack"):
        build(MODEL, Profiles(views=(two,)))


# --- what is told


def told(name: str, row: Any) -> dict[str, Any]:
    cls = SCHEMA.instances[f"virtmap_{name}".lower()]
    return {p.name: value(p.source, row.values, "local") for p in cls.properties}


def test_kinds_of_disks_have_types_of_their_own() -> None:
    for device, kind in (
        (DiskDevice.DISK, 17),
        (DiskDevice.LUN, 17),
        (DiskDevice.CDROM, 15),
        (DiskDevice.FLOPPY, 14),
        (None, None),
    ):
        assert told("DiskSettingData", Disk(domain="u", target="vda", device=device))["ResourceType"] == kind


def test_an_image_that_is_no_path_is_no_device_name() -> None:
    here = told("DiskSettingData", Disk(domain="u", target="vda", source="/dev/sda", read_only=True))
    assert (here["HostExtentNameFormat"], here["HostExtentNameNamespace"], here["Access"]) == (12, 8, 1)
    there = told("DiskSettingData", Disk(domain="u", target="vda", source="rbd://x/y", read_only=False))
    assert (there["HostExtentNameFormat"], there["HostResource"], there["Access"]) == (None, ("rbd://x/y",), 3)


def test_memory_that_is_in_use_is_reserved() -> None:
    pool = told("MemoryPool", Host(hypervisor="h", memory=100, memory_free=30, connected=False))
    assert (pool["Capacity"], pool["Reserved"], pool["OperationalStatus"]) == (100, 70, (13,))
    assert told("MemoryPool", Host(hypervisor="h", memory=100))["Reserved"] is None
    assert told("ProcessorPool", Host(hypervisor="h", cpus=8))["Capacity"] == 8


def test_columns_that_are_shown_as_they_are_can_be_set_as_they_are() -> None:
    for name, operation, impact in (
        ("virtmap_memorysettingdata", "SetMemory", True),
        ("virtmap_memorystatesettingdata", "SetMemory", False),
        ("virtmap_processorsettingdata", "SetVcpus", True),
        ("virtmap_processorstatesettingdata", "SetVcpus", False),
    ):
        setter = SCHEMA.setters[name, "virtualquantity"]
        assert setter.operation.__name__ == operation
        assert bool(setter.more) is impact
        assert isinstance(
            next(p.source for p in SCHEMA.instances[name].properties if p.name == "VirtualQuantity"), Column
        )


# --- devices


def element(text: str) -> Any:
    return etree.fromstring(text)


@pytest.mark.parametrize(
    ("bus", "taken", "expected"),
    [
        ("virtio", (), "vda"), ("virtio", ("vda", "vdc"), "vdb"), ("sata", ("sda",), "sdb"), ("ide", (), "hda"),
        ("fdc", (), "fda"), ("xen", (), "xvda"), ("virtio", [f"vd{chr(97 + i)}" for i in range(26)], "vdaa"),
    ],
)  # fmt: skip
def test_a_disk_gets_the_first_free_name(bus: str, taken: Any, expected: str) -> None:
    assert devices.free_target(bus, taken) == expected


def test_interfaces_are_found_by_their_address_and_their_turn() -> None:
    root = element(
        "<domain><devices><interface><mac address='aa'/></interface><interface/><interface><mac address='aa'/>"
        "<model type='x'/></interface></devices></domain>"
    )
    assert devices.nic_named(root, "aa#2").find("model") is not None  # type: ignore[union-attr]
    assert devices.nic_named(root, "aa").find("model") is None  # type: ignore[union-attr]
    assert devices.nic_named(root, "none") is not None
    for nowhere in ("bb", "aa#3", "aa#0"):
        assert devices.nic_named(root, nowhere) is None


@pytest.mark.parametrize("address", ["525400AABBCC", "52:54:00:aa:bb:cc", "52-54-00-AA-BB-CC"])
def test_addresses_are_taken_in_every_notation(address: str) -> None:
    assert devices.unpacked(address) == "52:54:00:aa:bb:cc"
    assert configuration.packed(devices.unpacked(address)) == "525400AABBCC"


@pytest.mark.parametrize("address", ["", "52540", "525400AABBCG", "52:54:00:aa:bb", "52:54-00:aa:bb:c", "x" * 99])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is no MAC address"):
        devices.unpacked(address)


def test_a_definition_by_a_model_keeps_nothing_that_tells_domains_apart() -> None:
    model = element(
        "<domain type='kvm' id='7'><name>a</name><uuid>u</uuid><genid>g</genid><title>t</title><memory>1</memory>"
        "<vcpu>8</vcpu><vcpus/><os><type>hvm</type><loader>l</loader><nvram>n</nvram></os><features><acpi/></features>"
        "<sysinfo><system><entry name='uuid'>u</entry><entry name='family'>f</entry></system></sysinfo><devices>"
        "<disk device='disk'><source file='/a'/></disk><disk device='disk'><source file='/b'/><shareable/></disk>"
        "<disk device='cdrom'><source file='/c'/><readonly/></disk><interface><mac address='x'/><target dev='vnet0'/>"
        "<source network='n'/></interface></devices></domain>"
    )
    root = element(domain_xml(Settings(name="b<", type="qemu", memory=2, vcpus=1), model))
    assert (root.get("type"), root.get("id"), root.findtext("name"), root.findtext("memory")) == (
        "qemu",
        None,
        "b<",
        "2",
    )
    for path in ("uuid", "genid", "title", "vcpus", "os/nvram", "devices/interface/mac", "devices/interface/target"):
        assert root.find(path) is None, path
    assert [e.get("name") for e in root.iterfind("sysinfo/system/entry")] == ["family"]
    assert [d.find("source").get("file") for d in root.iterfind("devices/disk")] == ["/b", "/c"]
    assert root.findtext("os/loader") == "l"
    assert root.find("features/acpi") is not None
    assert (len(root.findall("os")), len(root.findall("vcpu")), len(root.findall("name"))) == (1, 1, 1)
    other = element(domain_xml(Settings(name="b", type="qemu", memory=2, os_type="linux"), model))
    assert [e.findtext("type") for e in other.iterfind("os")] == ["linux"]


# --- MOF


def test_an_instance_is_read_from_mof() -> None:
    made = read_mof(
        'INSTANCE of\tCIM_X { /* many\nlines */ A = "x" "\\x41\\t\\"\\\\"; b=-5; C = TRUE; D = null; E = { 0x1F , 2 }; F={};'
        " G = 1.5e3; // to the end\n}; "
    )
    assert made.classname == "CIM_X"
    assert made.properties["A"] == 'xA\t"\\'
    assert [getattr(made.properties[n], "text", made.properties[n]) for n in ("b", "C", "D", "G")] == [
        "-5",
        True,
        None,
        "1.5e3",
    ]
    assert [n.text for n in made.properties["E"]] == ["0x1F", "2"]  # type: ignore[attr-defined]
    assert made.properties["F"] == []


@pytest.mark.parametrize(
    "text",
    [
        "", "instance", "class X {};", "instance of X", "instance of X {", "instance of X {}", "instance of X {};;",
        "instance of X { A };", "instance of X { A = };", "instance of X { A = B; };", "instance of X { A = {1 2}; };",
        "instance of X { A = {{1}}; };", 'instance of X { A = "b; };', "instance of X { A = 'c'; };", "instance of X as $y {};",
        "[Description(\"x\")] instance of X {};", "instance of X { A = {1,}; };", "instance of X { A = 1 };",
        "instance of X { A = 1; a = 2; };", "instance of X {}; instance of X {};", "#pragma include(\"/etc/passwd\")",
        "instance of X { A = /* never ends", 'instance of X { A = "\\z"; };',
    ],
)  # fmt: skip
def test_what_is_no_instance_is_refused(text: str) -> None:
    with pytest.raises(MofError):
        read_mof(text)


def test_reading_mof_ends_whatever_comes() -> None:
    """Any text is read in time, into an instance or a MofError."""
    rng = random.Random(5)
    pieces = [
        "instance of X {",
        "A = ",
        '"',
        "\\",
        "1",
        "{",
        "}",
        ";",
        ",",
        "/*",
        "*/",
        "//",
        "\n",
        "NULL",
        "é",
        "\0",
        "0x",
        "+",
    ]
    for _ in range(3000):
        text = "".join(rng.choice(pieces) for _ in range(rng.randrange(40)))
        try:
            read_mof(text)
        except MofError:
            continue
    with pytest.raises(MofError):
        read_mof("instance of X {" + "/* " * 20_000)
    with pytest.raises(MofError, match="is the most"):
        read_mof("instance of X {" + " " * 100_000 + "};")
