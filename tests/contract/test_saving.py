"""Domains are saved to files and brought back; cores are dumped; domains come that are not kept."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest
from lxml import etree

from agent.errors import Busy, Failed, Invalid, NotSupported, VirtmapError, WrongState
from agent.model import Domain
from agent.model.domain import Destroy, DomainState, ManagedSave, SaveFlags, Start, StartFlags
from agent.model.domain_saving import (
    CreateDomain,
    CreateWithFiles,
    DropManagedSave,
    DumpCore,
    DumpFlags,
    DumpFormat,
    ReadManagedXml,
    ReadSavedXml,
    RestoreDomain,
    RestoreFlags,
    Save,
    SavedStateFlags,
    SetManagedXml,
    SetSavedXml,
    StartWithFiles,
)
from agent.model.host import DefineDomain
from agent.schema.declare import Operation
from drivers.libvirt import LibvirtDriver
from drivers.libvirt.calls import Calls
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, Wanted, connected
from tests.servers import Session, eventually


@pytest.fixture(scope="module")
def qemu(session_libvirtd: Session) -> Iterator[Subject]:
    session_libvirtd.start()
    with connected(qemu_subject(session_libvirtd, stuck=0.2)) as made:
        yield made


@pytest.fixture(scope="module")
def mock() -> Iterator[Subject]:
    with connected(mock_subject("test:///default")) as made:
        yield made


@pytest.fixture(params=["mock", "qemu"])
def subject(request: pytest.FixtureRequest) -> Subject:
    found: Subject = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def running(subject: Subject) -> Iterator[Wanted]:
    yield from _running(subject)


@pytest.fixture
def on_qemu(qemu: Subject) -> Iterator[Wanted]:
    yield from _running(qemu)


def _running(subject: Subject) -> Iterator[Wanted]:
    made = subject.define()
    subject.do(Start(), made)
    yield made
    if subject.domain(made).state is not DomainState.SHUT_OFF:
        subject.do(Destroy(), made)


@pytest.fixture
def folder(subject: Subject, tmp_path: Path, session_libvirtd: Session) -> Path:
    """A folder that the hypervisor may write to."""
    return session_libvirtd.images if subject.real else tmp_path


def host(subject: Subject, operation: Operation) -> dict[str, Any]:
    return dict(subject.perform(operation, (subject.driver.name,)))


def uncalled(subject: Subject, *names: str) -> list[str]:
    driver = subject.driver
    assert isinstance(driver, LibvirtDriver)
    return [name for name in names if not driver.called[name]]


def with_title(text: str, title: str) -> str:
    """The definition with another title."""
    root = etree.fromstring(text)
    found = root.find("title")
    assert found is not None
    found.text = title
    return etree.tostring(root, encoding="unicode")


# Files


def test_a_domain_is_saved_to_a_file_and_restored_from_it(subject: Subject, running: Wanted, folder: Path) -> None:
    file = folder / f"{running.name}.saved"
    subject.do(Save(path=str(file)), running)
    assert subject.domain(running).state is DomainState.SHUT_OFF
    assert file.stat().st_size > 0
    text = host(subject, ReadSavedXml(path=str(file)))["xml"]
    assert etree.fromstring(text).findtext("uuid") == running.uuid
    host(subject, SetSavedXml(path=str(file), xml=text))
    assert host(subject, RestoreDomain(path=str(file))) == {"uuid": running.uuid}
    assert subject.domain(running).state is DomainState.RUNNING
    assert uncalled(
        subject, "virDomain.saveParams", "virConnect.restoreParams", "virConnect.saveImageGetXMLDesc",
        "virConnect.saveImageDefineXML",
    ) == []  # fmt: skip


def test_where_there_are_no_parameters_the_older_functions_do(mock: Subject, tmp_path: Path) -> None:
    guest = mock.define()
    mock.do(Start(), guest)
    mock.do(Save(path=str(tmp_path / "saved")), guest)
    host(mock, RestoreDomain(path=str(tmp_path / "saved")))
    assert uncalled(mock, "virDomain.saveFlags", "virConnect.restoreFlags") == []
    mock.do(Destroy(), guest)


def test_flags_and_a_definition_tell_how_a_domain_comes_back(
    qemu: Subject, session_libvirtd: Session, on_qemu: Wanted
) -> None:
    file = str(session_libvirtd.images / f"{on_qemu.name}.saved")
    qemu.do(Save(path=file, flags=SaveFlags.PAUSED), on_qemu)
    text = host(qemu, ReadSavedXml(path=file))["xml"]
    host(qemu, RestoreDomain(path=file, xml=with_title(text, "restored")))
    row = qemu.domain(on_qemu)
    assert (row.state, row.title) == (DomainState.PAUSED, "restored")
    qemu.do(Save(path=file, xml=with_title(text, "saved")), on_qemu)
    host(qemu, SetSavedXml(path=file, xml=with_title(text, "changed"), flags=SavedStateFlags.PAUSED))
    assert "changed" in host(qemu, ReadSavedXml(path=file))["xml"]
    host(qemu, RestoreDomain(path=file, flags=RestoreFlags.RUNNING))
    row = qemu.domain(on_qemu)
    assert (row.state, row.title) == (DomainState.RUNNING, "changed")


@pytest.mark.parametrize("operation", [RestoreDomain(path="/no/such/file"), ReadSavedXml(path="/no/such/file")])
def test_a_file_that_is_not_there_is_told(qemu: Subject, operation: Operation) -> None:
    with pytest.raises(Failed, match=r"host qemu: cannot .*: .*/no/such/file.*No such file"):
        host(qemu, operation)


def test_a_domain_that_does_not_run_cannot_be_saved(subject: Subject, folder: Path) -> None:
    guest = subject.define()
    for operation in (Save(path=str(folder / "never")), DumpCore(path=str(folder / "never"))):
        with pytest.raises((Invalid, WrongState), match=f"domain {guest.name}: cannot .*not running"):
            subject.do(operation, guest)
    assert not (folder / "never").exists()


def test_a_core_is_dumped(subject: Subject, running: Wanted, folder: Path) -> None:
    file = folder / f"{running.name}.core"
    flags = DumpFlags.MEMORY_ONLY if subject.real else DumpFlags(0)
    subject.do(DumpCore(path=str(file), flags=flags), running)
    assert file.stat().st_size > 0
    assert subject.domain(running).state is DomainState.RUNNING
    subject.do(DumpCore(path=str(file), flags=flags | DumpFlags.CRASH), running)
    assert subject.domain(running).state in (DomainState.CRASHED, DomainState.SHUT_OFF)
    assert uncalled(subject, "virDomain.coreDumpWithFormat") == []


def test_a_core_is_dumped_in_the_wanted_format(qemu: Subject, session_libvirtd: Session, on_qemu: Wanted) -> None:
    file = session_libvirtd.images / f"{on_qemu.name}.kdump"
    qemu.do(DumpCore(path=str(file), format=DumpFormat.KDUMP_ZLIB, flags=DumpFlags.MEMORY_ONLY), on_qemu)
    assert file.read_bytes()[:12] == b"makedumpfile"


# Images that libvirt keeps


def test_a_managed_image_is_read_changed_and_thrown_away(qemu: Subject, on_qemu: Wanted) -> None:
    qemu.do(ManagedSave(), on_qemu)
    assert qemu.domain(on_qemu).managed_save is True
    text = qemu.do(ReadManagedXml(), on_qemu)["xml"]
    assert etree.fromstring(text).findtext("uuid") == on_qemu.uuid
    qemu.do(SetManagedXml(xml=with_title(text, "kept"), flags=SavedStateFlags.PAUSED), on_qemu)
    qemu.do(Start(), on_qemu)
    row = qemu.domain(on_qemu)
    assert (row.state, row.title, row.managed_save) == (DomainState.PAUSED, "kept", False)
    qemu.do(ManagedSave(), on_qemu)
    qemu.do(DropManagedSave(), on_qemu)
    assert qemu.domain(on_qemu).managed_save is False
    with pytest.raises(WrongState, match=f"domain {on_qemu.name}: cannot read managed xml: .*managed save image"):
        qemu.do(ReadManagedXml(), on_qemu)
    with pytest.raises(WrongState, match="managed save image"):
        qemu.do(SetManagedXml(xml=text), on_qemu)
    assert uncalled(
        qemu, "virDomain.managedSave", "virDomain.managedSaveGetXMLDesc", "virDomain.managedSaveDefineXML",
        "virDomain.managedSaveRemove",
    ) == []  # fmt: skip


def test_the_mock_keeps_and_throws_away_an_image(mock: Subject) -> None:
    guest = mock.define()
    mock.do(Start(), guest)
    mock.do(ManagedSave(), guest)
    mock.do(DropManagedSave(), guest)
    assert mock.domain(guest).managed_save is False
    for operation in (ReadManagedXml(), SetManagedXml(xml="<domain/>")):
        with pytest.raises(NotSupported, match="not supported by the connection driver"):
            mock.do(operation, guest)


# Domains that are not kept, and files handed over


def test_a_domain_that_is_not_kept_is_gone_when_it_stops(subject: Subject) -> None:
    guest = subject.wanted()
    assert host(subject, CreateDomain(xml=subject.definition(guest))) == {"uuid": guest.uuid}
    row = subject.domain(guest)
    assert (row.state, row.persistent) == (DomainState.RUNNING, False)
    subject.do(Destroy(), guest)
    assert subject.read([(Domain, (guest.uuid,))]).rows == []
    assert uncalled(subject, "virConnect.createXML") == []


def test_a_domain_that_is_not_kept_can_begin_paused(qemu: Subject) -> None:
    guest = qemu.wanted()
    host(qemu, CreateDomain(xml=qemu.definition(guest), flags=StartFlags.PAUSED))
    assert qemu.domain(guest).state is DomainState.PAUSED
    qemu.do(Destroy(), guest)


def test_what_is_no_definition_creates_nothing(subject: Subject) -> None:
    for operation in (CreateDomain(xml="<domain"), CreateDomain(xml="<network/>")):
        with pytest.raises(Invalid, match=f"host {subject.driver.name}: cannot create domain: "):
            host(subject, operation)


def test_open_files_are_handed_to_a_domain(mock: Subject, tmp_path: Path) -> None:
    file = tmp_path / "given"
    file.write_text("x")
    guest = mock.define()
    mock.do(StartWithFiles(files=f"{file}\n/dev/null\n"), guest)
    assert mock.domain(guest).state is DomainState.RUNNING
    other = mock.wanted()
    made = host(mock, CreateWithFiles(xml=mock.definition(other), files=str(file)))
    assert made == {"uuid": other.uuid}
    assert uncalled(mock, "virDomain.createWithFiles", "virConnect.createXMLWithFiles") == []
    assert open_files(file) == 0
    for each in (guest, other):
        mock.do(Destroy(), each)


def open_files(file: Path) -> int:
    """How often this process has it open."""
    folder = Path("/proc/self/fd")
    return sum(os.path.realpath(folder / number) == str(file) for number in os.listdir(folder))


def test_only_plain_files_and_devices_are_handed_over(mock: Subject, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    guest = mock.define()
    for files, why in (
        ("file", "file is no absolute path"),
        (str(tmp_path / "none"), "No such file"),
        (f"{tmp_path}/file\n{tmp_path}/pipe", "neither a regular file nor a character device"),
        (str(tmp_path / "link"), "symbolic links"),
        (str(tmp_path), "neither a regular file nor a character device"),
        (" \n", "no file is named"),
        (f"{tmp_path}/a\0b", "null byte"),
    ):
        with pytest.raises(Invalid, match=f"domain {guest.name}: cannot start with files: .*{why}"):
            mock.do(StartWithFiles(files=files), guest)
        assert open_files(tmp_path / "file") == 0
    assert mock.domain(guest).state is DomainState.SHUT_OFF


def test_a_hypervisor_that_takes_no_files_says_so(qemu: Subject) -> None:
    guest = qemu.define()
    with pytest.raises(NotSupported, match="not supported by the connection driver"):
        qemu.do(StartWithFiles(files="/dev/null"), guest)
    with pytest.raises(NotSupported, match="not supported by the connection driver"):
        host(qemu, CreateWithFiles(xml=qemu.definition(qemu.wanted()), files="/dev/null"))


# What lasts


class Watched:
    """A task that remembers how it went."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.cancel: Callable[[], None] | None = None

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


@pytest.fixture
def full(qemu: Subject, session_libvirtd: Session) -> Iterator[Wanted]:
    """A running guest with 16 MiB in its memory that cannot be compressed, so that saving it takes more than a pipe holds."""
    guest = qemu.wanted()
    file = session_libvirtd.images / f"{guest.name}.noise"
    file.write_bytes(os.urandom(16 << 20))
    session_libvirtd._own(file)
    space = "http://libvirt.org/schemas/domain/qemu/1.0"
    root = etree.fromstring(qemu.definition(guest))
    line = etree.SubElement(root, f"{{{space}}}commandline", nsmap={"qemu": space})
    for each in ("-device", f"loader,file={file},addr=0x1000000,force-raw=on"):
        etree.SubElement(line, f"{{{space}}}arg", value=each)
    host(qemu, DefineDomain(xml=etree.tostring(root, encoding="unicode")))
    qemu.do(Start(), guest)
    yield guest
    qemu.do(Destroy(), guest)


def test_a_save_that_lasts_tells_how_far_it_is_and_can_be_stopped(
    qemu: Subject, session_libvirtd: Session, full: Wanted
) -> None:
    """It saves into a pipe that nobody empties, and meanwhile another connection takes the place of its own."""
    pipe = session_libvirtd.images / f"{full.name}.pipe"
    os.mkfifo(pipe)
    session_libvirtd._own(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    task, ended, errors = Watched(), threading.Event(), list[VirtmapError]()

    def save() -> None:
        try:
            qemu.driver.perform(Save(path=str(pipe)), (full.uuid,), task)
        except VirtmapError as error:
            errors.append(error)
        ended.set()

    threading.Thread(target=save, daemon=True).start()
    try:
        eventually(lambda: task.told, what="progress of the save")
        driver = qemu.driver
        assert isinstance(driver, LibvirtDriver)
        before = driver._current()
        eventually(lambda: qemu.driver.plan([]) and driver._current() is not before, what="another connection")
        assert task.cancel is not None
        task.cancel()
        eventually(lambda: _emptied(reader) and ended.is_set(), within=30, what="the end of the save")
    finally:
        os.close(reader)
    assert [type(error) for error in errors] == [Failed]
    assert f"domain {full.name}: cannot save: " in str(errors[0])
    assert all(0 <= percent <= 100 for percent in task.told)
    eventually(lambda: qemu.domain(full).state is DomainState.RUNNING, what="the domain going on")


def _emptied(reader: int) -> bool:
    """Read what there is."""
    try:
        while os.read(reader, 1 << 16):
            pass
    except BlockingIOError:
        pass
    return True


def test_an_operation_can_call_until_its_end_when_its_connection_is_retired() -> None:
    virt = libvirt.open("test:///default")
    calls = Calls(virt, used=Counter())
    with calls.held("host x") as held:
        retiring = threading.Thread(target=calls.retire, daemon=True)
        retiring.start()
        eventually(lambda: refused(calls), what="the retirement")
        assert held.ask("", virt.getType) == "TEST"
        assert retiring.is_alive()
    retiring.join(10)
    assert not retiring.is_alive()
    assert refused(held)
    with pytest.raises(Busy, match="host x: the connection was replaced"), calls.held("host x"):
        pass
    virt.close()


def refused(calls: Calls) -> bool:
    try:
        calls.ask("", calls.virt.getType)
    except Busy:
        return True
    return False
