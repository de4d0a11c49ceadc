"""What every driver promises, asserted on each hypervisor: the meaning of rows, of operations and of errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from agent.driver import Changed, Happened
from agent.errors import Invalid, NotFound, NotSupported, VirtmapError
from agent.model import MODEL, Disk, Domain, Host, Nic, Vcpu
from agent.model.disk import DiskDevice, DiskError
from agent.model.domain import (
    Destroy,
    DomainState,
    DomainStateReason,
    ManagedSave,
    ModificationImpact,
    ReadXml,
    Reboot,
    Reset,
    Resume,
    SetAutostart,
    SetMemory,
    SetUserPassword,
    SetVcpus,
    Shutdown,
    Start,
    StartFlags,
    Suspend,
    Undefine,
    XmlFlags,
)
from agent.model.domain_events import DomainDefined, DomainStarted, DomainStopped, DomainSuspended, LifecycleDetail
from agent.model.host import DefineDomain, ReadCapabilities
from agent.model.nic import LinkState
from agent.model.vcpu import VcpuState
from agent.schema.declare import Operation, Row
from agent.schema.types import Kind, Secret, fits
from tests.contract.subjects import Reading, Subject, Wanted
from tests.samples import sample
from tests.servers import eventually

NOBODY = "00000000-dead-4000-8000-000000000000"
RUNS = {DomainState.RUNNING, DomainState.BLOCKED}


@pytest.fixture
def guest(subject: Subject) -> Iterator[Wanted]:
    """A guest that is defined and does not run; stopped afterwards."""
    made = subject.define()
    yield made
    stop(subject, made)


@pytest.fixture
def running(subject: Subject, guest: Wanted) -> Wanted:
    """A guest that runs."""
    subject.do(Start(), guest)
    assert subject.domain(guest).state in RUNS
    return guest


def stop(subject: Subject, guest: Wanted) -> None:
    if subject.domain(guest).state is not DomainState.SHUT_OFF:
        subject.do(Destroy(), guest)


# Reading


def test_a_plan_names_the_host_and_every_domain_once(subject: Subject, guest: Wanted) -> None:
    reading = subject.read()
    roots = [root for piece in reading.roots for root in piece]
    assert len(roots) == len(set(roots))
    assert (Host, (subject.driver.name,)) in roots
    assert (Domain, (guest.uuid,)) in roots
    assert not reading.failed
    assert {(type(row), row.key) for row in reading.rows if row.parent_row is None} == set(roots)


def test_pieces_are_of_bounded_size(subject: Subject) -> None:
    assert max(len(piece.roots) for piece in subject.driver.plan().pieces) <= 200


def test_every_value_is_of_its_type(subject: Subject, running: Wanted) -> None:
    wrong = [problem for row in subject.read().rows for problem in _misfits(row)]
    assert wrong == []


def _misfits(row: Row) -> list[str]:
    found = []
    for field in row.fields:
        value = row.values[field.position]
        if value is None:
            if not field.optional:
                found.append(f"{type(row).__name__}.{field.name} is None")
        elif field.enumeration is not None:
            if not isinstance(value, field.enumeration):
                found.append(f"{type(row).__name__}.{field.name}: {value!r}")
        elif field.semantic.name not in ("Uuid", "Mac") and (problem := fits(field.semantic, value)):
            found.append(f"{type(row).__name__}.{field.name}: {problem}")
    return found


def test_keys_are_unique_and_every_part_has_its_domain(subject: Subject, running: Wanted) -> None:
    reading = subject.read()
    keys = [(type(row), row.key) for row in reading.rows]
    assert len(keys) == len(set(keys))
    domains = {row.uuid for row in reading.of(Domain)}
    assert {row.domain for kind in (Vcpu, Disk, Nic) for row in reading.of(kind)} <= domains


def test_two_readings_give_the_same_objects(subject: Subject, guest: Wanted) -> None:
    def keys(reading: Reading) -> set[object]:
        """Of what is read each time: objects of other kinds are kept in between."""
        return {(type(row), row.key) for row in reading.rows if type(row).root() in (Host, Domain)}

    assert keys(subject.read()) == keys(subject.read())


def test_the_host_tells_what_it_is(subject: Subject) -> None:
    (host,) = subject.read([(Host, (subject.driver.name,))]).of(Host)
    assert host.hypervisor == subject.driver.name
    assert host.connected is True
    assert host.problem == ""
    assert host.hostname
    assert host.driver
    for version in (host.hypervisor_version, host.daemon_version, host.library_version):
        assert version is None or re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert host.cpus is not None
    assert host.cpus >= 1
    assert host.memory is not None
    assert host.memory > 64 * 1024, "KiB, so any host has more"
    assert host.connected_at is not None
    assert host.connected_at <= datetime.now(UTC)
    assert host.connection_uptime is not None
    assert host.connection_uptime < 3600
    assert host.guest_architectures
    assert host.refreshed is not None
    assert datetime.now(UTC) - host.refreshed < timedelta(minutes=1)


def test_the_host_counts_its_domains(subject: Subject, running: Wanted) -> None:
    reading = subject.read()
    (host,) = reading.of(Host)
    active = [row for row in reading.of(Domain) if row.id is not None]
    assert host.active_domains == len(active)
    assert host.inactive_domains == len(reading.of(Domain)) - len(active)


def test_a_defined_guest_is_told_as_it_was_defined(subject: Subject, guest: Wanted) -> None:
    row = subject.domain(guest)
    assert (row.name, row.title, row.description) == (guest.name, guest.title, guest.description)
    assert row.state is DomainState.SHUT_OFF
    assert row.state_reason is not None
    assert 600 <= row.state_reason < 700
    assert row.id is None
    assert (row.persistent, row.autostart, row.managed_save) == (True, False, False)
    assert row.architecture == "x86_64"
    assert row.host == subject.driver.name
    assert (row.vcpus, row.max_vcpus) == (guest.vcpus, guest.max_vcpus)
    assert (row.config_vcpus, row.config_max_vcpus) == (guest.vcpus, guest.max_vcpus)
    assert (row.memory, row.max_memory) == (guest.current_memory, guest.memory)
    assert (row.config_memory, row.config_max_memory) == (guest.current_memory, guest.memory)
    assert (row.disks, row.nics) == (guest.disks, len(guest.macs))
    assert row.problem == ""


def test_the_parts_of_a_guest_are_told_as_they_were_defined(subject: Subject, guest: Wanted) -> None:
    reading = subject.read([(Domain, (guest.uuid,))])
    assert [(row.domain, row.target) for row in reading.of(Disk)] == [(guest.uuid, "vda"), (guest.uuid, "vdb")]
    for number, disk in enumerate(reading.of(Disk)):
        assert disk.device is DiskDevice.DISK
        assert disk.source is not None
        assert f"{guest.name}-{number}" in disk.source
        assert (disk.type, disk.bus, disk.format) == ("file", "virtio", "qcow2")
        assert (disk.cache, disk.discard, disk.serial) == ("none", "unmap", f"serial-{number}")
        assert (disk.read_only, disk.shareable) == (False, False)
    assert [row.device for row in reading.of(Nic)] == list(guest.macs)
    assert [row.mac for row in reading.of(Nic)] == list(guest.macs)
    assert [row.link_state for row in reading.of(Nic)] == [LinkState.UP, LinkState.DOWN]
    assert {row.model for row in reading.of(Nic)} == {"virtio"}
    assert [(row.number, row.state) for row in reading.of(Vcpu)] == [(0, VcpuState.OFFLINE)]


def test_a_mac_address_that_stands_twice_gives_two_nics(subject: Subject) -> None:
    guest = subject.define(macs=("52:54:00:0b:00:01", "52:54:00:0b:00:01"))
    assert [row.device for row in subject.parts(Nic, guest)] == ["52:54:00:0b:00:01", "52:54:00:0b:00:01#2"]


def test_a_running_guest_is_counted(subject: Subject, running: Wanted) -> None:
    reading = subject.read([(Domain, (running.uuid,))])
    for kind in subject.counts:
        rows = reading.of(kind)  # type: ignore[type-var]
        assert rows, kind
        for row in rows:
            told = [
                f.name for f in row.fields if f.semantic.kind is Kind.COUNTER and row.values[f.position] is not None
            ]
            assert told, row
    for vcpu in reading.of(Vcpu):
        assert vcpu.state in (VcpuState.RUNNING, VcpuState.BLOCKED)
        assert vcpu.affinity
    assert all(disk.capacity for disk in reading.of(Disk))
    assert all(isinstance(disk.error, DiskError) for disk in reading.of(Disk))


def test_processor_time_only_grows_during_a_run(subject: Subject, running: Wanted) -> None:
    before = subject.domain(running)
    after = subject.domain(running)
    assert before.cpu_time is not None
    assert after.cpu_time is not None
    assert after.cpu_time >= before.cpu_time > 0
    assert after.counters_since == before.counters_since


def test_a_new_run_counts_from_a_new_moment(subject: Subject, running: Wanted) -> None:
    before = subject.domain(running)
    subject.do(Destroy(), running)
    subject.do(Start(), running)
    after = subject.domain(running)
    assert after.id != before.id
    assert after.counters_since is not None
    assert before.counters_since is not None
    assert after.counters_since > before.counters_since


def test_reading_one_root_gives_that_root_only(subject: Subject, guest: Wanted) -> None:
    reading = subject.read([(Domain, (guest.uuid,))])
    assert {row.key[0] for row in reading.rows} == {guest.uuid}
    assert {type(row).root() for row in reading.rows} == {Domain}


def test_a_root_that_does_not_exist_has_no_rows_and_does_not_fail(subject: Subject) -> None:
    for key in (NOBODY, "no uuid at all"):
        reading = subject.read([(Domain, (key,))])
        assert reading.rows == []
        assert reading.failed == {}


# Operations


def test_start_pause_resume_and_stop(subject: Subject, guest: Wanted) -> None:
    subject.do(Start(), guest)
    row = subject.domain(guest)
    assert (row.state, row.state_reason) == (DomainState.RUNNING, DomainStateReason.RUNNING_BOOTED)
    assert row.id is not None
    assert row.persistent is True
    subject.do(Suspend(), guest)
    row = subject.domain(guest)
    assert (row.state, row.state_reason) == (DomainState.PAUSED, DomainStateReason.PAUSED_USER)
    subject.do(Resume(), guest)
    row = subject.domain(guest)
    assert (row.state, row.state_reason) == (DomainState.RUNNING, DomainStateReason.RUNNING_UNPAUSED)
    subject.do(Destroy(), guest)
    row = subject.domain(guest)
    assert (row.state, row.state_reason) == (DomainState.SHUT_OFF, DomainStateReason.SHUT_OFF_DESTROYED)
    assert row.id is None


def test_start_can_leave_a_guest_paused(subject: Subject, guest: Wanted) -> None:
    if not subject.starts_paused:
        pytest.skip("libvirt's test driver takes the flag and lets the guest run all the same")
    subject.do(Start(flags=StartFlags.PAUSED), guest)
    assert subject.domain(guest).state is DomainState.PAUSED


def test_a_guest_is_asked_to_shut_down(subject: Subject, running: Wanted) -> None:
    subject.do(Shutdown(), running)
    row = subject.domain(running)
    if subject.real:  # the request was made; there is no operating system to obey it
        assert row.state in RUNS
    else:
        assert (row.state, row.state_reason) == (DomainState.SHUT_OFF, DomainStateReason.SHUT_OFF_SHUTDOWN)


@pytest.mark.parametrize("operation", [Reboot(), Reset()], ids=lambda o: type(o).__name__)
def test_a_guest_still_runs_after(subject: Subject, running: Wanted, operation: Operation) -> None:
    subject.do(operation, running)
    assert subject.domain(running).state in RUNS


def test_a_saved_guest_is_restored_by_the_next_start(subject: Subject, running: Wanted) -> None:
    subject.do(ManagedSave(), running)
    row = subject.domain(running)
    assert (row.state, row.state_reason) == (DomainState.SHUT_OFF, DomainStateReason.SHUT_OFF_SAVED)
    assert row.managed_save is True
    subject.do(Start(), running)
    row = subject.domain(running)
    assert row.state is DomainState.RUNNING
    assert row.managed_save is False


def test_memory_for_the_next_start(subject: Subject) -> None:
    guest = subject.define(memory=65536, current_memory=32768)
    subject.do(SetMemory(memory=49152, impact=ModificationImpact.CONFIG), guest)
    row = subject.domain(guest)
    assert (row.config_memory, row.config_max_memory) == (49152, 65536)
    subject.do(Start(), guest)
    row = subject.domain(guest)
    assert row.max_memory == 65536
    assert row.config_memory == 49152
    stop(subject, guest)


def test_memory_of_a_running_guest(subject: Subject) -> None:
    guest = subject.define(memory=65536, current_memory=65536)
    subject.do(Start(), guest)
    subject.do(SetMemory(memory=49152, impact=ModificationImpact.LIVE), guest)
    if not subject.real:  # in a real one it is the guest's driver that would give the memory back
        assert subject.domain(guest).memory == 49152
    subject.do(SetMemory(memory=65536), guest)
    assert subject.domain(guest).memory == 65536
    stop(subject, guest)


def test_vcpus_of_a_running_guest(subject: Subject, running: Wanted) -> None:
    subject.do(SetVcpus(vcpus=3, impact=ModificationImpact.LIVE), running)
    assert subject.domain(running).vcpus == 3
    assert [row.number for row in subject.parts(Vcpu, running)] == [0, 1, 2]


def test_vcpus_for_the_next_start(subject: Subject, guest: Wanted) -> None:
    subject.do(SetVcpus(vcpus=2, impact=ModificationImpact.CONFIG), guest)
    row = subject.domain(guest)
    assert (row.config_vcpus, row.config_max_vcpus) == (2, 4)
    subject.do(Start(), guest)
    assert subject.domain(guest).vcpus == 2


def test_autostart(subject: Subject, guest: Wanted) -> None:
    subject.do(SetAutostart(autostart=True), guest)
    assert subject.domain(guest).autostart is True
    assert [row.autostart for row in subject.read().of(Domain) if row.uuid == guest.uuid] == [True]
    subject.do(SetAutostart(autostart=False), guest)
    assert subject.domain(guest).autostart is False


def test_a_definition_is_read_back(subject: Subject, guest: Wanted) -> None:
    text = subject.do(ReadXml(flags=XmlFlags.INACTIVE), guest)["xml"]
    assert f"<name>{guest.name}</name>" in text
    assert guest.uuid in text


def test_capabilities_are_read(subject: Subject) -> None:
    text = subject.perform(ReadCapabilities(), (subject.driver.name,))["xml"]
    assert text.lstrip().startswith("<capabilities>")


def test_a_guest_is_redefined(subject: Subject, guest: Wanted) -> None:
    changed = Wanted(name=guest.name, uuid=guest.uuid, title="Another title", vcpus=2)
    outs = subject.perform(DefineDomain(xml=subject.definition(changed)), (subject.driver.name,))
    assert outs == {"uuid": guest.uuid}
    row = subject.domain(guest)
    assert (row.title, row.vcpus, row.config_vcpus) == ("Another title", 2, 2)


def test_a_definition_is_removed(subject: Subject) -> None:
    guest = subject.define()
    subject.do(Start(), guest)
    subject.do(Undefine(), guest)
    row = subject.domain(guest)
    assert row.persistent is False
    assert row.state in RUNS
    subject.do(Destroy(), guest)
    assert guest.uuid not in {row.uuid for row in subject.read().of(Domain)}
    guest = subject.define()
    subject.do(Undefine(), guest)
    assert guest.uuid not in {row.uuid for row in subject.read().of(Domain)}


# Errors

ON_NOTHING: list[Operation] = [sample(kind) for kind in MODEL.operations_on(Domain)]


@pytest.mark.parametrize("operation", ON_NOTHING, ids=lambda o: type(o).__name__)
def test_a_domain_that_does_not_exist_is_not_found(subject: Subject, operation: Operation) -> None:
    with pytest.raises(NotFound, match=NOBODY):
        subject.perform(operation, (NOBODY,))


def test_another_host_is_not_found(subject: Subject) -> None:
    with pytest.raises(NotFound):
        subject.perform(ReadCapabilities(), ("elsewhere",))


@pytest.mark.parametrize(
    "operation", [Suspend(), Resume(), Destroy(), Shutdown(), ManagedSave()], ids=lambda o: type(o).__name__
)
def test_what_only_a_running_guest_can_do_is_invalid_before(
    subject: Subject, guest: Wanted, operation: Operation
) -> None:
    with pytest.raises(Invalid, match=guest.name):
        subject.do(operation, guest)
    assert subject.domain(guest).state is DomainState.SHUT_OFF


def test_starting_twice_is_invalid(subject: Subject, running: Wanted) -> None:
    with pytest.raises(Invalid, match=f"domain {running.name}: cannot start"):
        subject.do(Start(), running)


@pytest.mark.parametrize(
    "operation",
    [SetMemory(memory=2**62), SetMemory(memory=2**64 - 1), SetVcpus(vcpus=99), SetVcpus(vcpus=2**32 - 1)],
    ids=lambda o: str(o),
)
def test_more_than_there_can_be_is_invalid(subject: Subject, guest: Wanted, operation: Operation) -> None:
    with pytest.raises(Invalid):
        subject.do(operation, guest)
    row = subject.domain(guest)
    assert (row.config_memory, row.config_vcpus) == (guest.current_memory, guest.vcpus)


@pytest.mark.parametrize("xml", ["", "<domain", "<domain type='none'/>", "no xml", "<a>\0</a>", "<a>\ud800</a>"])
def test_a_definition_that_is_none_is_invalid(subject: Subject, xml: str) -> None:
    with pytest.raises((Invalid, NotSupported)):
        subject.perform(DefineDomain(xml=xml), (subject.driver.name,))


def test_a_secret_is_in_no_error(subject: Subject, running: Wanted) -> None:
    operation = SetUserPassword(user="root", password=Secret("correct-horse"))
    if subject.has_agent:
        assert subject.do(operation, running) == {}
        return
    with pytest.raises(VirtmapError) as caught:
        subject.do(operation, running)
    assert isinstance(caught.value, NotSupported), "there is no guest agent"
    assert "correct-horse" not in f"{caught.value!s} {caught.value!r}"


def test_an_error_is_one_line_that_names_the_object(subject: Subject, guest: Wanted) -> None:
    with pytest.raises(VirtmapError) as caught:
        subject.do(SetVcpus(vcpus=99), guest)
    assert str(caught.value).startswith(f"domain {guest.name}: cannot set ")
    assert "\n" not in str(caught.value)


# Events


def test_lifecycle_is_heard_in_order(subject: Subject) -> None:
    guest = subject.define()

    def happened(kind: type) -> Happened:
        found = subject.next_heard(
            lambda h: isinstance(h, Happened) and h.key == (guest.uuid,) and isinstance(h.event, kind)
        )
        assert isinstance(found, Happened)
        return found

    assert happened(DomainDefined).event.detail is LifecycleDetail.DEFINED_ADDED
    subject.do(Start(), guest)
    assert happened(DomainStarted).event.detail is LifecycleDetail.STARTED_BOOTED
    subject.do(Suspend(), guest)
    assert happened(DomainSuspended).event.detail is LifecycleDetail.SUSPENDED_PAUSED
    subject.do(Destroy(), guest)
    assert happened(DomainStopped).event.detail is LifecycleDetail.STOPPED_DESTROYED


def test_what_has_no_event_is_heard_as_a_change(subject: Subject, guest: Wanted) -> None:
    subject.do(SetAutostart(autostart=True), guest)
    root = (Domain, (guest.uuid,))
    assert subject.next_heard(lambda h: isinstance(h, Changed) and h.root == root)


def test_a_guest_that_stops_of_itself_is_seen(subject: Subject, running: Wanted) -> None:
    subject.do(Destroy(), running)
    assert eventually(lambda: subject.domain(running).state is DomainState.SHUT_OFF, what="the stop")
