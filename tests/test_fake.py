"""The fake hypervisor: filled, moving, obedient, and troublesome on request."""

import gc
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from agent.driver import Batch, Changed, Driver, Happened, Heard, Lost, Root
from agent.errors import Busy, ConfigError, Invalid, NotFound, Unreachable
from agent.model import MODEL, Disk, Domain, Host, Nic, Vcpu
from agent.model import domain as guest
from agent.model.domain import DomainState, DomainStateReason
from agent.model.domain_events import DomainResumed, DomainSuspended
from agent.model.host import DefineDomain, ReadCapabilities
from agent.model.pool import Pool
from agent.model.vcpu import VcpuState
from agent.schema.declare import Operation, Row
from agent.schema.types import Kind, Secret, fits
from drivers.fake import PIECE, Fake
from tests.samples import sample


@pytest.fixture
def fake() -> Iterator[Fake]:
    made = Fake("local", "fake:///")
    made.connect()
    yield made
    made.release()
    made.close()


@pytest.fixture
def heard(fake: Fake) -> list[Heard]:
    told: list[Heard] = []
    fake.listen(told.append)
    return told


def read(fake: Fake, only: list[Root] | None = None) -> list[Row]:
    return [row for piece in fake.plan(only).pieces for row in piece.read().rows]


def domain(fake: Fake, name: str = "guest1") -> Domain:
    (row,) = [r for r in read(fake, [(Domain, fake.find(name))]) if isinstance(r, Domain)]
    return row


def perform(fake: Fake, operation: Operation, name: str = "guest1") -> Any:
    return fake.perform(operation, fake.find(name))


def names(heard: list[Heard]) -> list[str]:
    return [type(h.event).__name__ for h in heard if isinstance(h, Happened)]


def test_it_fulfils_the_contract(fake: Fake) -> None:
    driver: Driver = fake
    assert driver.name == "local"


def test_every_column_of_every_row_is_filled_and_fits_its_type(fake: Fake) -> None:
    for row in read(fake):
        for f in row.fields:
            value = row.values[f.position]
            if value is None and f.ref is type(row):
                continue  # the first of its kind is behind no other
            assert value is not None, f"{type(row).__name__}.{f.name}"
            assert fits(f.semantic, value) is None, f"{type(row).__name__}.{f.name}: {value!r}"


def test_the_uri_says_how_much_there_is() -> None:
    fake = Fake("x", "fake:///?domains=5&disks=3&nics=2&vcpus=4&seed=9")
    fake.connect()
    rows = read(fake)
    counts = {kind: sum(isinstance(r, kind) for r in rows) for kind in (Host, Domain, Disk, Nic, Vcpu)}
    assert counts == {Host: 1, Domain: 5, Disk: 15, Nic: 10, Vcpu: 20}
    assert {(r.disks, r.nics, r.vcpus) for r in rows if isinstance(r, Domain)} == {(3, 2, 4)}


@pytest.mark.parametrize("uri", ["test:///", "fake:///?domain=1", "fake:///?domains=-1", "fake:///?domains=many"])
def test_a_uri_that_makes_no_sense_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError):
        Fake("x", uri)


def test_keys_are_unique_and_the_same_every_time() -> None:
    rows = []
    for _ in range(2):
        fake = Fake("x", "fake:///?domains=300&disks=30")
        fake.connect()
        rows.append(read(fake))
    keys = [(type(r), r.key) for r in rows[0]]
    assert len(set(keys)) == len(keys)
    assert keys == [(type(r), r.key) for r in rows[1]]


def test_counters_grow_and_gauges_stay_in_range(fake: Fake) -> None:
    first = {(type(r), r.key): r for r in read(fake)}
    last = first
    for _ in range(20):
        now = {(type(r), r.key): r for r in read(fake)}
        for key, row in now.items():
            for f in row.fields:
                if f.semantic.kind is Kind.COUNTER:
                    assert row.values[f.position] >= last[key].values[f.position]
                if f.semantic.kind is Kind.GAUGE:
                    assert row.values[f.position] >= 0
        last = now
    before, after = (rows[Domain, fake.find("guest1")].as_dict() for rows in (first, last))
    assert after["cpu_time"] > before["cpu_time"]
    assert after["counters_since"] == before["counters_since"]


def test_a_plan_is_cut_into_pieces_that_cover_everything_once() -> None:
    fake = Fake("x", "fake:///?domains=450&details=0")
    fake.connect()
    pieces = fake.plan().pieces
    assert [len(p.roots) for p in pieces] == [1, PIECE, PIECE, 50]
    for piece in pieces:
        batch = piece.read()
        assert {(type(r), r.key) for r in batch.rows if isinstance(r, Host | Domain)} == set(piece.roots)


def test_only_what_is_asked_for_is_planned(fake: Fake) -> None:
    wanted: list[Root] = [(Domain, fake.find("guest2")), (Domain, ("no such uuid",))]
    rows = read(fake, wanted)
    assert {type(r).root() for r in rows} == {Domain}
    assert {r.uuid for r in rows if isinstance(r, Domain)} == {fake.find("guest2")[0]}
    assert {type(r).root() for r in read(fake, [(Host, ("local",))])} == {Host}
    (pool, *_) = [r for r in read(fake) if isinstance(r, Pool)]
    assert {type(r).root() for r in read(fake, [(Pool, pool.key)])} == {Pool}


@pytest.mark.parametrize("kind", [r for r in MODEL.rows if not r.internal], ids=lambda r: r.__name__)
def test_there_is_something_of_every_kind_and_each_has_its_parent(kind: type[Row]) -> None:
    fake = Fake("local", "fake:///?statistics=2")
    fake.connect()
    rows = read(fake)
    keys = [r.key for r in rows if type(r) is kind]
    assert keys
    assert len(keys) == len(set(keys))
    if kind.parent_row is not None:
        above = {r.key for r in rows if type(r) is kind.parent_row}
        width = len(kind.parent_row.key_fields())
        assert {k[:width] for k in keys} <= above


def test_reading_leaves_no_reference_cycles() -> None:
    fake = Fake("x", "fake:///?domains=50")
    fake.connect()
    read(fake)
    gc.collect()
    gc.disable()
    try:
        read(fake)
        assert gc.collect() == 0
    finally:
        gc.enable()


# --- operations


def test_a_domain_lives_through_its_states(fake: Fake, heard: list[Heard]) -> None:
    steps: list[tuple[Operation, DomainState, DomainStateReason, list[str]]] = [
        (guest.Suspend(), DomainState.PAUSED, DomainStateReason.PAUSED_USER, ["DomainSuspended"]),
        (guest.Resume(), DomainState.RUNNING, DomainStateReason.RUNNING_UNPAUSED, ["DomainResumed"]),
        (guest.Reboot(), DomainState.RUNNING, DomainStateReason.RUNNING_UNPAUSED, []),
        (guest.Reset(), DomainState.RUNNING, DomainStateReason.RUNNING_UNPAUSED, []),
        (guest.ManagedSave(), DomainState.SHUT_OFF, DomainStateReason.SHUT_OFF_SAVED, ["DomainStopped"]),
        (guest.Start(), DomainState.RUNNING, DomainStateReason.RUNNING_RESTORED, ["DomainStarted"]),
        (
            guest.Shutdown(),
            DomainState.SHUT_OFF,
            DomainStateReason.SHUT_OFF_SHUTDOWN,
            ["DomainShutdown", "DomainStopped"],
        ),
        (guest.Start(), DomainState.RUNNING, DomainStateReason.RUNNING_BOOTED, ["DomainStarted"]),
        (guest.Destroy(), DomainState.SHUT_OFF, DomainStateReason.SHUT_OFF_DESTROYED, ["DomainStopped"]),
        (
            guest.Start(flags=guest.StartFlags.PAUSED),
            DomainState.PAUSED,
            DomainStateReason.PAUSED_USER,
            ["DomainStarted", "DomainSuspended"],
        ),
    ]
    for operation, state, reason, events in steps:
        heard.clear()
        perform(fake, operation)
        row = domain(fake)
        assert (row.state, row.state_reason) == (state, reason), operation
        assert names(heard) == events, operation
        assert Changed(root=(Domain, row.key)) in heard


def test_events_tell_the_previous_state(fake: Fake, heard: list[Heard]) -> None:
    perform(fake, guest.Suspend())
    perform(fake, guest.Destroy())
    told = [h.event.previous_state for h in heard if isinstance(h, Happened)]  # type: ignore[attr-defined]
    assert told == [DomainState.RUNNING, DomainState.PAUSED]


@pytest.mark.parametrize(
    "operation", [o for o in MODEL.operations_on(Domain) if o.allowed is not None], ids=lambda o: o.__name__
)
def test_an_operation_is_refused_in_states_it_is_not_for(fake: Fake, operation: type[Operation]) -> None:
    assert operation.allowed is not None
    if DomainState.SHUT_OFF not in operation.allowed.values:
        perform(fake, guest.Destroy())
        told = "domain guest1: cannot .*: domain is not running"
    else:
        told = "domain guest1: cannot .*: domain is already running"
    with pytest.raises(Invalid, match=told):
        perform(fake, sample(operation))


def test_a_stopped_domain_has_no_statistics_and_a_new_start_counts_from_zero(fake: Fake) -> None:
    before = domain(fake).as_dict()
    perform(fake, guest.Destroy())
    off = domain(fake)
    assert (off.id, off.cpu_time, off.memory_rss, off.state) == (None, None, None, DomainState.SHUT_OFF)
    vcpus = [r for r in read(fake) if isinstance(r, Vcpu) and r.domain == off.uuid]
    assert {v.state for v in vcpus} == {VcpuState.OFFLINE}
    perform(fake, guest.Start())
    after = domain(fake).as_dict()
    assert after["id"] > before["id"]
    assert after["cpu_time"] < before["cpu_time"]
    assert after["counters_since"] > before["counters_since"]


def test_memory_moves_within_its_maximum(fake: Fake) -> None:
    perform(fake, guest.SetMemory(memory=700_000))
    row = domain(fake)
    assert (row.memory, row.config_memory) == (700_000, 1024 * 1024)
    with pytest.raises(Invalid, match=r"guest1: cannot set memory: 9000000 KiB exceeds its maximum, 2097152 KiB"):
        perform(fake, guest.SetMemory(memory=9_000_000))
    both = guest.ModificationImpact.LIVE | guest.ModificationImpact.CONFIG
    perform(fake, guest.SetMemory(memory=800_000, impact=both))
    assert (domain(fake).memory, domain(fake).config_memory) == (800_000, 800_000)


def test_a_change_of_a_stopped_domain_is_one_of_its_definition(fake: Fake) -> None:
    perform(fake, guest.Destroy())
    perform(fake, guest.SetMemory(memory=700_000))
    perform(fake, guest.SetVcpus(vcpus=3))
    row = domain(fake)
    assert (row.config_memory, row.config_vcpus, row.vcpus) == (700_000, 3, 3)
    with pytest.raises(Invalid, match="domain is not running"):
        perform(fake, guest.SetMemory(memory=1, impact=guest.ModificationImpact.LIVE))


def test_vcpus_are_plugged_and_unplugged(fake: Fake) -> None:
    for count in (4, 1, 3):
        perform(fake, guest.SetVcpus(vcpus=count))
        numbers = [r.number for r in read(fake, [(Domain, fake.find("guest1"))]) if isinstance(r, Vcpu)]
        assert numbers == list(range(count))
    with pytest.raises(Invalid, match="cannot set vCPUs: 5 exceeds its maximum, 4"):
        perform(fake, guest.SetVcpus(vcpus=5))


def test_autostart_is_set(fake: Fake) -> None:
    for wanted in (True, False):
        perform(fake, guest.SetAutostart(autostart=wanted))
        assert domain(fake).autostart is wanted


def test_a_transient_domain_has_no_definition_and_goes_when_it_stops(fake: Fake, heard: list[Heard]) -> None:
    key = fake.add("passing", persistent=False)
    for operation in (
        guest.SetAutostart(autostart=True),
        guest.ManagedSave(),
        guest.SetMemory(memory=1, impact=guest.ModificationImpact.CONFIG),
    ):
        with pytest.raises(Invalid, match="transient"):
            fake.perform(operation, key)
    fake.perform(guest.Destroy(), key)
    assert names(heard) == ["DomainStarted", "DomainStopped"]
    with pytest.raises(NotFound):
        fake.perform(guest.Start(), key)


def test_xml_goes_out_and_comes_in(fake: Fake, heard: list[Heard]) -> None:
    xml = perform(fake, guest.ReadXml(flags=guest.XmlFlags.INACTIVE))["xml"]
    changed = xml.replace("<title>Guest 1</title>", "<title>A &amp; B</title>")
    given = fake.perform(DefineDomain(xml=changed), ("local",))
    assert given == {"uuid": fake.find("guest1")[0]}
    row = domain(fake)
    assert (row.title, row.updated) == ("A & B", True)
    new = "<domain type='kvm'><name>new</name><memory unit='MiB'>512</memory><vcpu>2</vcpu></domain>"
    given = fake.perform(DefineDomain(xml=new), ("local",))
    assert given["uuid"] == fake.find("new")[0]
    row = domain(fake, "new")
    assert (row.config_memory, row.vcpus, row.state) == (512 * 1024, 2, DomainState.SHUT_OFF)
    assert names(heard) == ["DomainDefined", "DomainDefined"]
    assert "<guest>" in fake.perform(ReadCapabilities(), ("local",))["xml"]


def test_a_definition_that_was_read_says_the_same_when_it_is_written_back(fake: Fake) -> None:
    xml = perform(fake, guest.ReadXml(flags=guest.XmlFlags.INACTIVE), "guest2")["xml"]
    before = [r.as_dict() for r in read(fake, [(Domain, fake.find("guest2"))])]
    fake.perform(DefineDomain(xml=xml), ("local",))
    assert perform(fake, guest.ReadXml(flags=guest.XmlFlags.INACTIVE), "guest2")["xml"] == xml
    perform(fake, guest.Destroy(), "guest2")
    perform(fake, guest.Start(), "guest2")
    after = [r.as_dict() for r in read(fake, [(Domain, fake.find("guest2"))])]
    for old, new in zip(before, after, strict=True):
        for name in ("target", "source", "bus", "serial", "boot_order", "device", "mac", "portgroup", "filter", "mtu"):
            if name in old and not (name == "target" and "mac" in old):
                assert new[name] == old[name]


def test_devices_are_those_of_the_definition_from_the_next_start_on(fake: Fake) -> None:
    xml = perform(fake, guest.ReadXml())["xml"]
    fake.perform(DefineDomain(xml=re.sub("<devices>.*</devices>", "<devices/>", xml)), ("local",))
    assert (domain(fake).disks, domain(fake).nics) == (2, 1)
    perform(fake, guest.Destroy())
    assert (domain(fake).disks, domain(fake).nics) == (0, 0)


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "no xml",
        "<network/>",
        "<domain/>",
        "<domain><name>x</name></domain>",
        "<domain><name>x</name><memory>many</memory></domain>",
        "<domain><name>x</name><memory unit='ells'>1</memory></domain>",
        "<domain><name>x</name><uuid>no</uuid><memory>1</memory></domain>",
        "<domain><name>x</name><memory>1</memory><devices><interface><mac address='x'/></interface></devices></domain>",
        "<domain><name>guest1</name><uuid>00000000-0000-0000-0000-000000000001</uuid><memory>1</memory></domain>",
    ],
)
def test_a_bad_definition_is_refused(fake: Fake, xml: str) -> None:
    with pytest.raises(Invalid, match="cannot define"):
        fake.perform(DefineDomain(xml=xml), ("local",))
    assert len(fake.plan().pieces[1].roots) == 3


def test_a_password_leaves_no_trace(fake: Fake) -> None:
    perform(fake, guest.SetUserPassword(user="root", password=Secret("swordfish")))
    assert "swordfish" not in repr(list(fake.performed)) + repr(read(fake)) + repr(perform(fake, guest.ReadXml()))


def test_what_is_not_there_is_not_found(fake: Fake) -> None:
    with pytest.raises(NotFound, match="no-such"):
        fake.perform(guest.Start(), ("no-such",))
    with pytest.raises(NotFound, match="elsewhere"):
        fake.perform(ReadCapabilities(), ("elsewhere",))


# --- trouble


def test_a_broken_domain_fails_alone(fake: Fake) -> None:
    fake.break_domain("guest2")
    batch: Batch = fake.plan().pieces[1].read()
    assert list(batch.failed) == [(Domain, fake.find("guest2"))]
    assert "guest2" in str(batch.failed[Domain, fake.find("guest2")])
    assert len([r for r in batch.rows if isinstance(r, Domain)]) == 2
    fake.mend_domain("guest2")
    assert not fake.plan().pieces[1].read().failed


def test_a_hung_domain_blocks_who_touches_it_until_released(fake: Fake) -> None:
    fake.hang("guest2")
    pieces = fake.plan().pieces
    done = threading.Event()

    def reading() -> None:
        pieces[1].read()
        done.set()

    thread = threading.Thread(target=reading, daemon=True)
    thread.start()
    perform(fake, guest.Suspend(), "guest1")
    assert not done.wait(0.05)
    fake.release()
    assert done.wait(10)
    thread.join(10)


def test_a_lost_connection_is_unreachable_until_restored(fake: Fake, heard: list[Heard]) -> None:
    pieces = fake.plan().pieces
    fake.lose("pulled the plug")
    assert heard == [Lost(reason="pulled the plug")]
    for call in (fake.plan, pieces[0].read, pieces[1].read, fake.connect, lambda: perform(fake, guest.Suspend())):
        with pytest.raises(Unreachable, match="pulled the plug"):
            call()
    fake.restore()
    with pytest.raises(Unreachable, match="not connected"):
        fake.plan()
    fake.connect()
    assert len(read(fake)) > 3


def test_an_operation_is_refused_on_request(fake: Fake) -> None:
    fake.refuse(guest.Suspend, Busy("domain guest1: a job is running"))
    with pytest.raises(Busy, match="a job is running"):
        perform(fake, guest.Suspend())
    fake.refuse(guest.Suspend, None)
    perform(fake, guest.Suspend())


def test_domains_come_and_go(fake: Fake, heard: list[Heard]) -> None:
    key = fake.add("new")
    assert names(heard) == ["DomainDefined", "DomainStarted"]
    piece = fake.plan().pieces[1]
    fake.remove("new")
    assert names(heard)[2:] == ["DomainStopped", "DomainUndefined"]
    assert (Domain, key) in piece.roots
    batch = piece.read()
    assert key not in [r.key for r in batch.rows]
    assert not batch.failed


def test_a_domain_started_with_autodestroy_ends_with_the_connection(fake: Fake) -> None:
    perform(fake, guest.Destroy())
    perform(fake, guest.Start(flags=guest.StartFlags.AUTODESTROY))
    fake.close()
    fake.connect()
    assert domain(fake).state is DomainState.SHUT_OFF


def test_threads_do_not_tread_on_each_other() -> None:
    fake = Fake("x", "fake:///?domains=40&details=0")
    fake.connect()
    wrong: list[Exception] = []

    def work(n: int) -> None:
        try:
            for _ in range(20):
                assert len(read(fake)) == 1 + 40 * 6
                perform(fake, guest.Suspend(), f"guest{n}")
                perform(fake, guest.Resume(), f"guest{n}")
        except Exception as error:  # noqa: BLE001 - handed to the test
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_it_can_live_of_its_own() -> None:
    fake, heard = Fake("default", "fake:///?domains=2&events=500"), []
    enough = threading.Event()

    def listen(told: Heard) -> None:
        heard.append(told)
        if len(heard) >= 8:
            enough.set()

    fake.listen(listen)
    fake.connect()
    assert enough.wait(10)
    fake.close()
    kinds = [type(h.event) for h in heard if isinstance(h, Happened)]
    assert kinds[:4] == [DomainSuspended, DomainResumed, DomainSuspended, DomainResumed]
