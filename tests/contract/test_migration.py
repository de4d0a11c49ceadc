"""Domains are moved between two hosts, by the agent or by the hosts themselves, and their jobs are watched and stopped."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt
import pytest
from lxml import etree

from agent.errors import Denied, Failed, Invalid, NotFound, NotSupported, Unreachable, VirtmapError, WrongState
from agent.model import Domain
from agent.model.domain import Destroy, DomainState, ReadXml, Start, Undefine, XmlFlags
from agent.model.host import DefineDomain
from agent.model.migration import (
    AbortJob,
    AbortJobFlags,
    DomainJobOperation,
    DomainJobType,
    JobStatisticsFlags,
    Migrate,
    MigrateSpeedFlags,
    MigrationFlags,
    ReadJobStats,
    ReadMaxDowntime,
    ReadMigrateCache,
    ReadMigrateSpeed,
    SetMaxDowntime,
    SetMigrateCache,
    SetMigrateSpeed,
    StartPostCopy,
)
from agent.schema.declare import Operation
from drivers.libvirt import LibvirtDriver
from drivers.libvirt.connection import Patience
from drivers.libvirt.domains import migration
from drivers.libvirt.domains.underway import percent
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, connected
from tests.programs import unavailable
from tests.servers import Guest, PrivateLibvirt, Session, System, Unavailable, eventually

LIVE, PEERS = MigrationFlags.LIVE, MigrationFlags.LIVE | MigrationFlags.PEER_TO_PEER
DATA = "tcp://127.0.0.1"
MIB = 1 << 20
FULL = 24
"""MiB of a full guest's memory that no page of zeros stands for."""


@pytest.fixture(scope="module")
def there_libvirtd(session_libvirtd: Session) -> Iterator[Session]:
    """Another host, of the same account: libvirt knows hosts apart by their UUID, which both would have from the machine."""
    server = Session(session_libvirtd.account)
    folder = server.root / "config/libvirt"
    folder.mkdir()
    (folder / "libvirtd.conf").write_text(f'host_uuid = "{uuid.uuid4()}"\n')
    server._own(folder)
    with server:
        yield server


@pytest.fixture(scope="module")
def here(session_libvirtd: Session) -> Iterator[Subject]:
    session_libvirtd.start()
    with connected(qemu_subject(session_libvirtd)) as made:
        yield made


@pytest.fixture(scope="module")
def there(there_libvirtd: Session) -> Iterator[Subject]:
    with connected(qemu_subject(there_libvirtd)) as made:
        yield made


class Underway:
    """An operation in a thread of its own, with the task that watches it."""

    def __init__(self, subject: Subject, operation: Operation, key: tuple[str]) -> None:
        self.told: list[int] = []
        self.cancel: Callable[[], None] | None = None
        self.error: VirtmapError | None = None
        self.ended = threading.Event()
        threading.Thread(target=self._run, args=(subject, operation, key), daemon=True).start()

    def _run(self, subject: Subject, operation: Operation, key: tuple[str]) -> None:
        try:
            subject.driver.perform(operation, key, self)
        except VirtmapError as error:
            self.error = error
        finally:
            self.ended.set()

    def progress(self, percent: int) -> None:
        self.told.append(percent)

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        self.cancel = cancel

    def expect(self, size: int) -> None:
        raise AssertionError

    def receive(self, most: int) -> bytes:
        raise AssertionError

    def send(self, data: bytes) -> None:
        raise AssertionError


@dataclass(kw_only=True)
class Traveller:
    """A domain that begins here."""

    here: Subject
    there: Subject
    there_uri: str
    data: str
    name: str
    uuid: str

    def do(self, operation: Operation) -> Mapping[str, Any]:
        return self.here.perform(operation, (self.uuid,))

    def migrate(self, flags: MigrationFlags = LIVE, **more: Any) -> Migrate:
        given: dict[str, Any] = {"destination": self.there_uri, "uri": self.data}
        if self.data == DATA:
            given["listen_address"] = "127.0.0.1"
        return Migrate(**(given | more), flags=flags)

    def move(self, flags: MigrationFlags = LIVE, **more: Any) -> None:
        assert self.do(self.migrate(flags, **more)) == {}

    def begin(self, flags: MigrationFlags = LIVE, **more: Any) -> Underway:
        """Begin to move it, and be back when memory is on its way."""
        underway = Underway(self.here, self.migrate(flags, **more), (self.uuid,))
        eventually(lambda: underway.ended.is_set() or self.job().get("memory_processed"), what="memory on its way")
        assert not underway.ended.is_set(), underway.error
        return underway

    def job(self) -> Mapping[str, Any]:
        return self.do(ReadJobStats())

    def row(self, subject: Subject) -> Domain | None:
        reading = subject.read([(Domain, (self.uuid,))])
        found = reading.of(Domain)
        return found[0] if found else None

    def states(self) -> tuple[DomainState | None, DomainState | None]:
        """Here and there; None where it is not known."""
        rows = self.row(self.here), self.row(self.there)
        return rows[0].state if rows[0] else None, rows[1].state if rows[1] else None


def traveller(
    here: Subject, there: Subject, server: PrivateLibvirt, *, data: str = DATA, **parts: Any
) -> Iterator[Traveller]:
    key = str(uuid.uuid4())
    guest = Guest(name=f"traveller-{key[:8]}", uuid=key, memory=32, balloon=False, **parts)
    here.perform(DefineDomain(xml=guest.xml([])), (here.driver.name,))
    yield Traveller(here=here, there=there, there_uri=server.uri, data=data, name=guest.name, uuid=key)
    for subject in (here, there):
        for operation in (Destroy(), Undefine()):
            with contextlib.suppress(NotFound, WrongState):  # it is not there, or at rest
                subject.perform(operation, (key,))


@pytest.fixture
def idle(here: Subject, there: Subject, there_libvirtd: Session) -> Iterator[Traveller]:
    """One that does not run."""
    yield from traveller(here, there, there_libvirtd)


@pytest.fixture
def light(idle: Traveller) -> Traveller:
    """One with nothing in its memory but its firmware."""
    idle.do(Start())
    return idle


def filled(
    here: Subject, there: Subject, far: PrivateLibvirt, near: PrivateLibvirt, **more: Any
) -> Iterator[Traveller]:
    """One that runs and whose memory is full of what cannot be made smaller."""
    content = near.images / "content"
    content.write_bytes(os.urandom(FULL * MIB))
    near._own(content)
    loader = f"loader,file={content},addr=0x400000,force-raw=on"
    arguments = "".join(f"<arg value='{each}'/>" for each in ("-device", loader))
    extra = f"<commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'>{arguments}</commandline>"
    for each in traveller(here, there, far, extra=extra, **more):
        each.do(Start())
        yield each


@pytest.fixture
def full(here: Subject, there: Subject, there_libvirtd: Session, session_libvirtd: Session) -> Iterator[Traveller]:
    yield from filled(here, there, there_libvirtd, session_libvirtd)


def uncalled(subject: Subject, *names: str) -> list[str]:
    driver = subject.driver
    assert isinstance(driver, LibvirtDriver)
    return [name for name in names if not driver.called[name]]


# Moving


def test_the_agent_moves_a_domain_and_it_stays_defined_here(light: Traveller) -> None:
    light.move()
    assert light.states() == (DomainState.SHUT_OFF, DomainState.RUNNING)
    row = light.row(light.there)
    assert row is not None
    assert row.persistent is False
    assert uncalled(light.here, "virDomain.migrate3") == []


def test_the_host_moves_a_domain(light: Traveller) -> None:
    light.move(PEERS)
    assert light.states() == (DomainState.SHUT_OFF, DomainState.RUNNING)
    assert uncalled(light.here, "virDomain.migrateToURI3") == []


@pytest.mark.parametrize("how", [LIVE, PEERS])
def test_a_domain_moves_for_good_under_another_name(light: Traveller, how: MigrationFlags) -> None:
    definition = etree.fromstring(light.do(ReadXml())["xml"])
    etree.SubElement(definition, "description").text = "moved"
    light.move(
        how | MigrationFlags.PERSIST_DESTINATION | MigrationFlags.UNDEFINE_SOURCE | MigrationFlags.PAUSED,
        new_name=f"{light.name}-new",
        persistent_xml=etree.tostring(definition, encoding="unicode"),
    )
    assert light.states() == (None, DomainState.PAUSED)
    row = light.row(light.there)
    assert row is not None
    assert (row.name, row.persistent) == (f"{light.name}-new", True)
    light.there.perform(Destroy(), (light.uuid,))
    row = light.row(light.there)
    assert row is not None
    assert row.description == "moved"


def test_data_can_go_by_a_unix_socket(light: Traveller, tmp_path: Path, there_libvirtd: Session) -> None:
    light.move(PEERS, uri=f"unix://{there_libvirtd.root}/data.sock", listen_address=None)
    assert light.states() == (DomainState.SHUT_OFF, DomainState.RUNNING)


def test_data_can_go_through_the_hosts_connection(light: Traveller) -> None:
    light.move(PEERS | MigrationFlags.TUNNELLED, uri=None, listen_address=None)
    assert light.states() == (DomainState.SHUT_OFF, DomainState.RUNNING)


def test_the_definition_there_can_be_another_one(light: Traveller) -> None:
    definition = etree.fromstring(light.do(ReadXml(flags=XmlFlags.MIGRATABLE))["xml"])
    etree.SubElement(definition, "title").text = "as it is there"
    light.move(xml=etree.tostring(definition, encoding="unicode"))
    row = light.row(light.there)
    assert row is not None
    assert row.title == "as it is there"


def test_disks_that_are_not_shared_are_copied(
    idle: Traveller, session_libvirtd: Session, there_libvirtd: Session
) -> None:
    """One that is named; the other one is taken for shared, which the hypervisor finds unsafe."""
    files = [session_libvirtd.image(f"{idle.name}-{n}", size=8) for n in range(2)]
    write(files[0], f"write -P 7 0 {2 * MIB}")
    guest = Guest(name=idle.name, uuid=idle.uuid, memory=32, balloon=False)
    idle.here.perform(DefineDomain(xml=guest.xml(files)), (idle.here.driver.name,))
    idle.do(Start())
    definition = etree.fromstring(idle.do(ReadXml(flags=XmlFlags.MIGRATABLE))["xml"])
    copy = there_libvirtd.image(idle.name, size=8)
    source = definition.find("devices/disk/source")
    assert source is not None
    source.set("file", str(copy))
    flags = LIVE | MigrationFlags.COPY_DISKS | MigrationFlags.UNSAFE
    idle.move(flags, disks="vda\n", disks_uri=DATA, xml=etree.tostring(definition, encoding="unicode"))
    assert idle.states() == (DomainState.SHUT_OFF, DomainState.RUNNING)
    end = idle.do(ReadJobStats(flags=JobStatisticsFlags.COMPLETED))
    assert end["disk_total"] == end["disk_processed"] == 8 * MIB
    idle.there.perform(Destroy(), (idle.uuid,))
    write(copy, f"read -P 7 0 {2 * MIB}")


def write(image: Path, command: str) -> None:
    """Have the content of an image written, or read and compared."""
    done = subprocess.run(
        ["qemu-io", "-c", command, str(image)], check=True, timeout=30, capture_output=True, text=True
    )
    assert "failed" not in done.stdout


def test_a_definition_moves_alone(idle: Traveller) -> None:
    idle.move(MigrationFlags.OFFLINE | MigrationFlags.PERSIST_DESTINATION, uri=None, listen_address=None)
    assert idle.states() == (DomainState.SHUT_OFF, DomainState.SHUT_OFF)


def test_a_domain_comes_back(light: Traveller, session_libvirtd: Session) -> None:
    light.move()
    back = Migrate(destination=session_libvirtd.uri, uri=DATA, listen_address="127.0.0.1")
    light.there.perform(back, (light.uuid,))
    assert light.states() == (DomainState.RUNNING, None)


@pytest.mark.parametrize(
    ("flags", "more"),
    [
        (MigrationFlags.COMPRESSED, {"compression": "xbzrle", "xbzrle_cache": 4 * MIB}),
        (
            MigrationFlags.COMPRESSED,
            {"compression": "mt\n", "mt_level": 1, "mt_threads": 2, "mt_decompress_threads": 1},
        ),
        (MigrationFlags.AUTO_CONVERGE, {"auto_converge_initial": 30, "auto_converge_increment": 5}),
        (MigrationFlags.PARALLEL, {"parallel_connections": 3}),
        (MigrationFlags.CHANGE_PROTECTION | MigrationFlags.ABORT_ON_ERROR, {"bandwidth": 500}),
        (MigrationFlags.UNSAFE, {"graphics_uri": "vnc://127.0.0.1:5999"}),
    ],
)
def test_how_it_is_moved_is_told_by_arguments(light: Traveller, flags: MigrationFlags, more: dict[str, Any]) -> None:
    light.move(LIVE | flags, **more)
    assert light.states() == (DomainState.SHUT_OFF, DomainState.RUNNING)


# Watching and stopping


def test_a_migration_tells_how_far_it_has_come_and_how_it_went(full: Traveller) -> None:
    moving = full.begin(bandwidth=8)
    now = full.job()
    assert (now["type"], now["operation"]) == (DomainJobType.UNBOUNDED, DomainJobOperation.MIGRATION_OUT)
    assert now["memory_total"] >= 32 * MIB
    assert now["memory_remaining"] > 0
    assert now["memory_page_size"] == 4096
    assert now["memory_iteration"] >= 1
    eventually(moving.ended.is_set, within=30, what="the end of the migration")
    assert moving.error is None
    assert full.states() == (DomainState.SHUT_OFF, DomainState.RUNNING)
    assert [each for each in moving.told if 0 < each < 100]
    kept = full.do(ReadJobStats(flags=JobStatisticsFlags.COMPLETED | JobStatisticsFlags.KEEP))
    end = full.do(ReadJobStats(flags=JobStatisticsFlags.COMPLETED))
    assert kept == end
    assert (end["type"], end["operation"]) == (DomainJobType.COMPLETED, DomainJobOperation.MIGRATION_OUT)
    assert end["memory_normal_bytes"] >= FULL * MIB
    assert end["elapsed"] > 1000
    assert end["downtime"] >= 0
    assert full.do(ReadJobStats(flags=JobStatisticsFlags.COMPLETED)) == {"type": DomainJobType.NONE}
    with pytest.raises(WrongState, match="not running"):
        full.job()


@pytest.mark.parametrize("how", [LIVE, PEERS])
def test_a_migration_that_is_canceled_leaves_the_domain_here(full: Traveller, how: MigrationFlags) -> None:
    moving = full.begin(how, bandwidth=1)
    assert moving.cancel is not None
    moving.cancel()
    eventually(moving.ended.is_set, what="the end of the migration")
    assert isinstance(moving.error, Failed)
    assert str(moving.error).startswith(f"domain {full.name}: cannot migrate: ")
    assert "cancel" in str(moving.error)
    assert full.states() == (DomainState.RUNNING, None)
    assert uncalled(full.here, "virDomain.abortJobFlags") == []


def test_a_migration_can_be_aborted_by_somebody_else(full: Traveller) -> None:
    moving = full.begin(bandwidth=1)
    assert full.do(AbortJob()) == {}
    eventually(moving.ended.is_set, what="the end of the migration")
    assert isinstance(moving.error, Failed)
    assert full.states() == (DomainState.RUNNING, None)


def test_a_migration_that_is_too_slow_can_be_sped_up(full: Traveller) -> None:
    moving = full.begin(bandwidth=1)
    assert full.do(SetMigrateSpeed(bandwidth=1000)) == {}
    eventually(moving.ended.is_set, what="the end of the migration")
    assert moving.error is None
    assert full.states() == (DomainState.SHUT_OFF, DomainState.RUNNING)


def test_the_domain_is_busy_while_it_moves(full: Traveller) -> None:
    moving = full.begin(bandwidth=1)
    with pytest.raises(VirtmapError, match="migration"):
        full.move(bandwidth=1)
    full.do(AbortJob())
    eventually(moving.ended.is_set, what="the end of the migration")


def test_a_migration_that_fails_is_told_and_the_domain_runs_on(full: Traveller, there_libvirtd: Session) -> None:
    moving = full.begin(bandwidth=1)
    full.there.perform(Destroy(), (full.uuid,))
    eventually(moving.ended.is_set, within=30, what="the end of the migration")
    assert moving.error is not None
    assert full.states() == (DomainState.RUNNING, None)


# Settings


def test_the_speed_of_a_migration_is_set_and_read(light: Traveller) -> None:
    assert light.do(SetMigrateSpeed(bandwidth=7)) == {}
    assert light.do(ReadMigrateSpeed()) == {"bandwidth": 7}
    assert light.do(SetMigrateSpeed(bandwidth=9, flags=MigrateSpeedFlags.POST_COPY)) == {}
    assert light.do(ReadMigrateSpeed(flags=MigrateSpeedFlags.POST_COPY)) == {"bandwidth": 9}
    assert light.do(ReadMigrateSpeed()) == {"bandwidth": 7}
    assert uncalled(light.here, "virDomain.migrateSetMaxSpeed", "virDomain.migrateGetMaxSpeed") == []


def test_the_downtime_of_a_migration_is_set_and_read(light: Traveller) -> None:
    assert light.do(SetMaxDowntime(downtime=123)) == {}
    assert light.do(ReadMaxDowntime()) == {"downtime": 123}
    assert uncalled(light.here, "virDomain.migrateSetMaxDowntime", "virDomain.migrateGetMaxDowntime") == []


def test_the_cache_of_a_migration_is_set_and_read(light: Traveller) -> None:
    assert light.do(SetMigrateCache(size=4 * MIB)) == {}
    assert light.do(ReadMigrateCache()) == {"size": 4 * MIB}
    assert uncalled(light.here, "virDomain.migrateSetCompressionCache", "virDomain.migrateGetCompressionCache") == []


def test_settings_of_a_domain_at_rest_are_refused(idle: Traveller) -> None:
    for operation in (SetMaxDowntime(downtime=1), ReadMaxDowntime(), SetMigrateCache(size=MIB), ReadMigrateCache()):
        with pytest.raises(WrongState, match="not running"):
            idle.do(operation)


def test_an_odd_cache_is_refused(light: Traveller) -> None:
    with pytest.raises(VirtmapError, match=f"domain {light.name}: cannot set migrate cache: .*power of"):
        light.do(SetMigrateCache(size=4 * MIB + 1))


# What is refused


def test_a_domain_without_a_migration_has_none_to_abort_or_to_finish(light: Traveller) -> None:
    with pytest.raises(WrongState, match="cannot start post copy"):
        light.do(StartPostCopy())
    for flags in (AbortJobFlags(0), AbortJobFlags.POST_COPY):
        with pytest.raises(WrongState, match="cannot abort job"):
            light.do(AbortJob(flags=flags))
    assert uncalled(light.here, "virDomain.migrateStartPostCopy", "virDomain.abortJobFlags") == []


def test_post_copy_is_refused_to_a_migration_that_does_not_allow_it(full: Traveller) -> None:
    moving = full.begin(bandwidth=1)
    with pytest.raises(WrongState, match="post-copy"):
        full.do(StartPostCopy())
    full.do(AbortJob())
    eventually(moving.ended.is_set, what="the end of the migration")


@pytest.mark.parametrize("how", [LIVE, PEERS])
def test_a_destination_that_nobody_answers_at(light: Traveller, tmp_path: Path, how: MigrationFlags) -> None:
    with pytest.raises(VirtmapError, match=f"domain {light.name}: cannot migrate: .*/nothing': ") as refused:
        light.move(how, destination=f"qemu+unix:///session?socket={tmp_path}/nothing")
    assert type(refused.value) in ((Unreachable,) if how is LIVE else (Unreachable, Failed))
    assert light.states() == (DomainState.RUNNING, None)
    light.here.read()  # the host itself can be reached as before


def test_a_destination_that_is_silent(
    light: Traveller, there_libvirtd: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "DESTINATION", Patience(opening=0.2))
    with there_libvirtd.frozen(), pytest.raises(Unreachable, match="no answer within"):
        light.move()
    assert light.states() == (DomainState.RUNNING, None)


def test_a_destination_that_falls_silent_ends_the_migration(
    full: Traveller, there_libvirtd: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "DESTINATION", Patience(keepalive=1, missing=2))
    moving = full.begin(bandwidth=8)
    with there_libvirtd.frozen():
        eventually(moving.ended.is_set, within=30, what="the end of the migration")
    assert isinstance(moving.error, (Failed, Unreachable))
    full.there.driver.connect()
    assert full.states()[0] is DomainState.RUNNING


def test_a_destination_that_ends_ends_the_migration(full: Traveller, there_libvirtd: Session) -> None:
    moving = full.begin(bandwidth=8)
    there_libvirtd.kill()
    eventually(moving.ended.is_set, within=30, what="the end of the migration")
    assert isinstance(moving.error, (Failed, Unreachable))
    there_libvirtd.start()
    full.there.driver.connect()
    assert full.states()[0] is DomainState.RUNNING


@pytest.mark.parametrize("how", [LIVE, PEERS])
def test_a_domain_does_not_move_to_its_own_host(
    light: Traveller, session_libvirtd: Session, how: MigrationFlags
) -> None:
    with pytest.raises(VirtmapError, match="same host"):
        light.move(how, destination=session_libvirtd.uri)
    assert light.states() == (DomainState.RUNNING, None)


def test_a_domain_at_rest_does_not_move_alive(idle: Traveller) -> None:
    with pytest.raises(WrongState, match="not running"):
        idle.move()


def test_a_domain_that_is_there_already_does_not_move(light: Traveller) -> None:
    taken = Guest(name=light.name, memory=32).xml([])
    made = light.there.perform(DefineDomain(xml=taken), (light.there.driver.name,))
    try:
        with pytest.raises((Failed, Invalid), match="already exists"):
            light.move()
    finally:
        light.there.perform(Undefine(), (made["uuid"],))
    assert light.states() == (DomainState.RUNNING, None)


def test_a_domain_that_is_gone_does_not_move(light: Traveller) -> None:
    with pytest.raises(NotFound):
        light.here.perform(light.migrate(), (str(uuid.uuid4()),))


@pytest.mark.parametrize(
    ("flags", "more", "error", "why"),
    [
        (LIVE, {"destination": ""}, Invalid, "no URI"),
        (LIVE, {"destination": "there"}, Invalid, "no URI"),
        (LIVE, {"destination": "qemu://[there/system"}, Invalid, "no URI"),
        (LIVE, {"destination": "nothing:///system"}, Unreachable, "cannot connect to nothing:///system: "),
        (LIVE, {"destination": "test:///default?socket=\0"}, VirtmapError, "cannot migrate"),
        (MigrationFlags.TUNNELLED, {}, VirtmapError, "cannot migrate"),
        (LIVE, {"uri": "nothing://127.0.0.1"}, NotSupported, "unsupported scheme nothing"),
        (LIVE, {"disks": " \n"}, Invalid, "disks names nothing"),
        (LIVE, {"compression": "nothing"}, Invalid, "nothing"),
        (LIVE, {"xml": "<domain/>"}, VirtmapError, "cannot migrate"),
        (LIVE, {"parallel_connections": 2}, Invalid, "parallel"),
        (LIVE, {"disks_port": 49999, "disks_uri": "tcp://127.0.0.1:49998"}, Invalid, "mutually exclusive"),
        (LIVE | MigrationFlags.ZERO_COPY, {}, VirtmapError, "cannot migrate"),
        (LIVE | MigrationFlags.OFFLINE, {}, VirtmapError, "cannot migrate"),
        (LIVE | MigrationFlags.TLS, {"tls_destination": "there"}, VirtmapError, "cannot migrate"),
        (LIVE | MigrationFlags.POST_COPY_RESUME, {}, VirtmapError, "cannot migrate"),
    ],
)
def test_what_libvirt_finds_wrong_is_told(
    light: Traveller, flags: MigrationFlags, more: dict[str, Any], error: type[VirtmapError], why: str
) -> None:
    with pytest.raises(error, match=why) as refused:
        light.move(flags, **more)
    assert str(refused.value).startswith(f"domain {light.name}: cannot migrate: ")
    assert light.states() == (DomainState.RUNNING, None)


@pytest.mark.parametrize("how", [LIVE, PEERS])
@pytest.mark.parametrize(
    ("destination", "why"),
    [
        ("qemu+ext:///system?command=/bin/true", "program"),
        ("qemu+ext:///system", "program"),
        ("qemu+ssh://there/system?command=/bin/true", "program"),
        ("QEMU+EXT://there/system", "program"),
        ("qemu+ssh://there/system?a=b&Command=/bin/true", "program"),
        ("qemu+ssh://there/system?a=b;com%6Dand=/bin/true", "program"),
        ("qemu+ssh://there/system?netcat=/bin/true", "program"),
        ("qemu+tcp://there/system?authfile=/etc/shadow", "file"),
        ("test:///etc/shadow", "file"),
    ],
)
def test_a_destination_may_not_name_what_is_run_or_read(
    idle: Traveller, how: MigrationFlags, destination: str, why: str
) -> None:
    with pytest.raises(Denied, match=f"names a {why} to be"):
        idle.move(how, destination=destination)


@pytest.mark.parametrize("argument", ["zlib_level", "zstd_level", "disks_detecting_zeroes"])
def test_what_an_older_libvirt_lacks_is_told(light: Traveller, argument: str) -> None:
    known = {"zlib_level": "COMPRESSION_ZLIB_LEVEL", "zstd_level": "COMPRESSION_ZSTD_LEVEL"}
    if hasattr(libvirt, f"VIR_MIGRATE_PARAM_{known.get(argument, 'MIGRATE_DISKS_DETECT_ZEROES')}"):
        pytest.skip("this libvirt has it")
    with pytest.raises(NotSupported, match=f"{argument} needs libvirt"):
        light.move(LIVE, **{argument: "vda" if argument.startswith("disks") else 1})


def test_the_test_driver_has_no_migrations(there_libvirtd: Session) -> None:
    with connected(mock_subject("test:///default")) as mock:
        guest = mock.define()
        mock.do(Start(), guest)
        for operation in (
            Migrate(destination=there_libvirtd.uri, flags=PEERS),
            Migrate(destination=there_libvirtd.uri),
            SetMigrateSpeed(bandwidth=1),
            ReadMigrateSpeed(),
            SetMaxDowntime(downtime=1),
            ReadMaxDowntime(),
            SetMigrateCache(size=MIB),
            ReadMigrateCache(),
            StartPostCopy(),
            ReadJobStats(),
            ReadJobStats(flags=JobStatisticsFlags.COMPLETED),
            AbortJob(),
            AbortJob(flags=AbortJobFlags.POST_COPY),
        ):
            with pytest.raises(NotSupported, match=f"domain {guest.name}: cannot {operation.verb()}: "):
                mock.do(operation, guest)
        assert uncalled(mock, "virDomain.jobInfo", "virDomain.abortJob") == []


# Progress


@pytest.mark.parametrize(
    ("told", "done"),
    [
        ({}, None),
        ({"data_total": 0, "data_remaining": 0}, None),
        ({"data_total": 200, "data_processed": 20, "data_remaining": 50}, 75),
        ({"data_total": 200, "data_processed": 900, "data_remaining": 300}, 0),
        ({"data_total": 200, "data_processed": 20}, 10),
        ({"memory_total": 100, "memory_processed": 3, "memory_remaining": 40}, 60),
    ],
)
def test_progress_is_told_by_what_is_left(told: dict[str, int], done: int | None) -> None:
    assert percent(told) == done


# After StartPostCopy. The kernel lets only guests of root take part in it.


@pytest.fixture(scope="module")
def of_root() -> Iterator[tuple[System, System]]:
    """Two hosts whose guests are root's."""
    with contextlib.ExitStack() as stack:
        servers = []
        for _ in range(2):
            try:
                server = System()
            except Unavailable as reason:
                if os.geteuid() != 0:
                    pytest.skip(f"System: {reason}")
                unavailable(f"System: {reason}")
            with (server.root / "etc/qemu.conf").open("a") as more:
                more.write('user = "root"\ngroup = "root"\n')
            with (server.root / "etc/libvirtd.conf").open("a") as more:
                more.write(f'host_uuid = "{uuid.uuid4()}"\n')
            servers.append(stack.enter_context(server))
        yield servers[0], servers[1]


@pytest.fixture
def leaping(of_root: tuple[System, System]) -> Iterator[Traveller]:
    """A full one on the first of these hosts, that moves by way of a socket, since each has a network of its own."""
    here, there = of_root
    with connected(qemu_subject(here)) as near, connected(qemu_subject(there)) as far:
        yield from filled(near, far, there, here, data=f"unix://{there.root}/data")


def leap(traveller: Traveller) -> Underway:
    """With the guest going on there while a trickle of its memory follows it."""
    moving = traveller.begin(PEERS | MigrationFlags.POST_COPY, bandwidth=1, bandwidth_post_copy=1)
    assert traveller.do(StartPostCopy()) == {}
    eventually(lambda: traveller.states()[1] is DomainState.RUNNING, what="the guest going on there")
    return moving


def test_post_copy_lets_the_guest_go_on_there_at_once(leaping: Traveller) -> None:
    moving = leap(leaping)
    assert not moving.ended.is_set()
    leaping.do(SetMigrateSpeed(bandwidth=1000, flags=MigrateSpeedFlags.POST_COPY))
    eventually(moving.ended.is_set, within=40, what="the end of the migration")
    assert moving.error is None
    assert leaping.states() == (DomainState.SHUT_OFF, DomainState.RUNNING)


def test_a_migration_that_is_stopped_after_post_copy_began_can_be_resumed(leaping: Traveller) -> None:
    moving = leap(leaping)
    with pytest.raises(VirtmapError, match="post-copy"):
        leaping.do(AbortJob())
    leaping.do(AbortJob(flags=AbortJobFlags.POST_COPY))
    eventually(moving.ended.is_set, what="the end of the migration")
    assert isinstance(moving.error, Failed)
    assert leaping.states()[0] is DomainState.PAUSED
    again = PEERS | MigrationFlags.POST_COPY | MigrationFlags.POST_COPY_RESUME
    leaping.move(again, bandwidth_post_copy=1000)
    assert leaping.states() == (DomainState.SHUT_OFF, DomainState.RUNNING)
