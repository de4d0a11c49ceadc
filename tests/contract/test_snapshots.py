"""Snapshots, checkpoints and backups of domains: made, told, gone back to, deleted; and what libvirt refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import libvirt
import pytest
from lxml import etree

from agent.driver import NOBODY, Happened
from agent.errors import Failed, Invalid, NotFound, NotSupported, WrongState
from agent.model import Disk, Domain
from agent.model.block_job import BlockJob, BlockJobType
from agent.model.checkpoint import (
    BackupFlags,
    BeginBackup,
    Checkpoint,
    CheckpointDeleteFlags,
    CheckpointXmlFlags,
    CreateCheckpoint,
    DeleteCheckpoint,
    EndBackup,
    ReadBackupXml,
    ReadChanges,
    ReadCheckpointXml,
    ReadPlace,
)
from agent.model.domain import Destroy, DomainState, Resume, Start, Suspend, Undefine, UndefineFlags
from agent.model.domain_events import DomainStarted, LifecycleDetail
from agent.model.snapshot import (
    CreateSnapshot,
    DeleteSnapshot,
    ReadRelatives,
    ReadSnapshotXml,
    Revert,
    RevertFlags,
    Snapshot,
    SnapshotDeleteFlags,
    SnapshotFlags,
    SnapshotMemory,
    SnapshotState,
)
from agent.schema.declare import Operation
from agent.schema.types import fits
from drivers.libvirt import LibvirtDriver
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Asked, Doing
from drivers.libvirt.domains.snapshots import ACTIONS, details
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, Wanted, connected
from tests.servers import Session, eventually


@pytest.fixture(scope="module")
def qemu(session_libvirtd: Session) -> Iterator[Subject]:
    session_libvirtd.start()
    with connected(qemu_subject(session_libvirtd)) as made:
        yield made


@pytest.fixture(scope="module")
def mock() -> Iterator[Subject]:
    with connected(mock_subject("test:///default")) as made:
        yield made


@pytest.fixture(params=["mock", "qemu"])
def subject(request: pytest.FixtureRequest) -> Subject:
    """Each hypervisor that has snapshots."""
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


def named(name: str, more: str = "") -> str:
    return f"<domainsnapshot><name>{name}</name>{more}</domainsnapshot>"


def checkpoint(name: str, more: str = "") -> str:
    return f"<domaincheckpoint><name>{name}</name>{more}</domaincheckpoint>"


def on(subject: Subject, guest: Wanted, name: str, operation: Operation) -> dict[str, Any]:
    """Ask it of the snapshot or checkpoint of that name."""
    return dict(subject.perform(operation, (guest.uuid, name)))


def snapshots(subject: Subject, guest: Wanted) -> dict[str, Snapshot]:
    return {row.name: row for row in subject.parts(Snapshot, guest)}


def called(subject: Subject, *names: str) -> list[str]:
    """Those of these functions that were not called."""
    driver = subject.driver
    assert isinstance(driver, LibvirtDriver)
    return [name for name in names if not driver.called[name]]


# Snapshots


def test_a_domain_without_snapshots_says_so_at_the_cost_of_one_call(subject: Subject, running: Wanted) -> None:
    driver = subject.driver
    assert isinstance(driver, LibvirtDriver)
    begun = Happened(event=DomainStarted(detail=LifecycleDetail.STARTED_BOOTED), key=(running.uuid,))
    subject.next_heard(lambda each: each == begun)  # after which it is read once more
    before = driver.called["virDomain.listAllSnapshots"]
    row = subject.domain(running)
    assert (row.snapshots, row.current_snapshot, row.checkpoints) == (0, None, 0)
    assert snapshots(subject, running) == {}
    assert driver.called["virDomain.listAllSnapshots"] == before + 1


def test_snapshots_are_told_with_their_tree(subject: Subject, running: Wanted) -> None:
    assert subject.do(CreateSnapshot(xml=named("first")), running) == {"name": "first"}
    assert subject.do(CreateSnapshot(xml=named("left", "<description>a &amp; b</description>")), running)
    on(subject, running, "first", Revert())
    subject.do(CreateSnapshot(xml=named("right")), running)
    domain, rows = subject.domain(running), snapshots(subject, running)
    assert (domain.snapshots, domain.current_snapshot) == (3, "right")
    assert {name: (row.parent_name, row.children, row.current) for name, row in rows.items()} == {
        "first": (None, 2, False), "left": ("first", 0, False), "right": ("first", 0, True),
    }  # fmt: skip
    left = rows["left"]
    assert left.description == "a & b"
    assert left.created is not None
    assert abs(datetime.now(UTC) - left.created) < timedelta(minutes=5)
    assert (left.state, left.memory, left.memory_file) == (SnapshotState.RUNNING, SnapshotMemory.INTERNAL, None)
    assert (left.disks, left.has_metadata) == ("vda internal\nvdb internal", True)
    assert [f.name for f in left.fields if (v := left.values[f.position]) is not None and fits(f.semantic, v)] == []


def test_the_relatives_of_a_snapshot_are_read_from_libvirt(subject: Subject, running: Wanted) -> None:
    for name in ("one", "two", "three"):
        subject.do(CreateSnapshot(xml=named(name)), running)
    assert on(subject, running, "one", ReadRelatives()) == {
        "parent_name": "", "children": "two", "descendants": "three\ntwo", "current": False, "has_metadata": True,
    }  # fmt: skip
    assert on(subject, running, "three", ReadRelatives()) == {
        "parent_name": "two", "children": "", "descendants": "", "current": True, "has_metadata": True,
    }  # fmt: skip
    text = on(subject, running, "two", ReadSnapshotXml())["xml"]
    assert etree.fromstring(text).findtext("parent/name") == "one"
    assert called(
        subject, "virDomainSnapshot.getParent", "virDomainSnapshot.listAllChildren", "virDomainSnapshot.isCurrent",
        "virDomainSnapshot.hasMetadata", "virDomainSnapshot.getXMLDesc", "virDomain.snapshotLookupByName",
        "virDomain.snapshotCreateXML", "virDomain.listAllSnapshots", "virDomain.hasCurrentSnapshot",
        "virDomain.snapshotCurrent",
    ) == []  # fmt: skip


def test_a_domain_goes_back_to_what_it_did(subject: Subject, running: Wanted) -> None:
    subject.do(Suspend(), running)
    subject.do(CreateSnapshot(xml=named("asleep")), running)
    assert snapshots(subject, running)["asleep"].state is SnapshotState.PAUSED
    subject.do(Resume(), running)
    on(subject, running, "asleep", Revert())
    assert subject.domain(running).state is DomainState.PAUSED
    on(subject, running, "asleep", Revert(flags=RevertFlags.RUNNING))
    assert subject.domain(running).state is DomainState.RUNNING
    subject.do(Destroy(), running)
    on(subject, running, "asleep", Revert(flags=RevertFlags.PAUSED))
    assert subject.domain(running).state is DomainState.PAUSED
    assert called(subject, "virDomain.revertToSnapshot") == []


def test_a_snapshot_is_deleted_alone_or_with_its_children(subject: Subject, running: Wanted) -> None:
    for name in ("a", "b", "c", "d"):
        subject.do(CreateSnapshot(xml=named(name)), running)
    on(subject, running, "b", DeleteSnapshot())
    rows = snapshots(subject, running)
    assert {name: row.parent_name for name, row in rows.items()} == {"a": None, "c": "a", "d": "c"}
    on(subject, running, "c", DeleteSnapshot(flags=SnapshotDeleteFlags.CHILDREN_ONLY))
    assert set(snapshots(subject, running)) == {"a", "c"}
    on(subject, running, "a", DeleteSnapshot(flags=SnapshotDeleteFlags.CHILDREN))
    assert subject.domain(running).snapshots == 0
    assert called(subject, "virDomainSnapshot.delete") == []


def test_a_snapshot_that_libvirt_forgot_is_told_to_it_again(qemu: Subject, on_qemu: Wanted) -> None:
    qemu.do(CreateSnapshot(xml=named("known")), on_qemu)
    text = on(qemu, on_qemu, "known", ReadSnapshotXml())["xml"]
    on(qemu, on_qemu, "known", DeleteSnapshot(flags=SnapshotDeleteFlags.METADATA_ONLY))
    assert snapshots(qemu, on_qemu) == {}
    qemu.do(CreateSnapshot(xml=text, flags=SnapshotFlags.REDEFINE | SnapshotFlags.CURRENT), on_qemu)
    assert qemu.domain(on_qemu).current_snapshot == "known"


def test_a_domain_is_undefined_with_what_libvirt_knows_of_its_snapshots(subject: Subject) -> None:
    guest = subject.define()
    subject.do(CreateSnapshot(), guest)
    with pytest.raises((Invalid, WrongState), match="snapshots"):
        subject.do(Undefine(), guest)
    subject.do(Undefine(flags=UndefineFlags.SNAPSHOTS_METADATA), guest)
    assert subject.read([(Domain, (guest.uuid,))]).rows == []


def test_a_snapshot_of_disks_alone_goes_on_in_images_of_its_own(qemu: Subject, on_qemu: Wanted) -> None:
    before = {row.target: row.source for row in qemu.parts(Disk, on_qemu)}
    xml = named("disks", "<disks><disk name='vdb' snapshot='no'/></disks>")
    flags = SnapshotFlags.DISK_ONLY | SnapshotFlags.ATOMIC | SnapshotFlags.VALIDATE
    qemu.do(CreateSnapshot(xml=xml, flags=flags), on_qemu)
    row = snapshots(qemu, on_qemu)["disks"]
    now = {row.target: row.source for row in qemu.parts(Disk, on_qemu)}
    assert (row.state, row.memory) == (SnapshotState.DISK_ONLY, SnapshotMemory.NONE)
    assert row.disks == f"vda external {now['vda']}\nvdb no"
    assert now["vda"] != before["vda"]
    assert now["vdb"] == before["vdb"]


def test_a_snapshot_can_keep_the_memory_in_a_file_and_halt_the_domain(
    qemu: Subject, session_libvirtd: Session, on_qemu: Wanted
) -> None:
    file = session_libvirtd.images / f"{on_qemu.name}.memory"
    kept = f"<memory snapshot='external' file='{file}'/><disks><disk name='vda' snapshot='external'/></disks>"
    qemu.do(CreateSnapshot(xml=named("whole", kept), flags=SnapshotFlags.HALT), on_qemu)
    assert qemu.domain(on_qemu).state is DomainState.SHUT_OFF
    row = snapshots(qemu, on_qemu)["whole"]
    assert (row.memory, row.memory_file) == (SnapshotMemory.EXTERNAL, str(file))
    assert file.stat().st_size > 0


@pytest.mark.parametrize(
    ("operation", "error", "text"),
    [
        (CreateSnapshot(xml="<domainsnapshot"), Invalid, "Couldn't find end of Start Tag"),
        (CreateSnapshot(xml="<domain/>"), Invalid, "domainsnapshot"),
        (CreateSnapshot(flags=SnapshotFlags.CURRENT), Invalid, "SNAPSHOT_CREATE_REDEFINE"),
        (CreateSnapshot(xml=named("there")), Failed, "already exists"),
    ],
    ids=["broken", "other", "flags", "twice"],
)
def test_what_is_no_snapshot_is_refused(
    subject: Subject, running: Wanted, operation: Operation, error: type[Exception], text: str
) -> None:
    subject.do(CreateSnapshot(xml=named("there")), running)
    with pytest.raises(error, match=f"domain {running.name}: cannot create snapshot: .*{text}"):
        subject.do(operation, running)
    assert set(snapshots(subject, running)) == {"there"}


@pytest.mark.parametrize("operation", [Revert(), DeleteSnapshot(), ReadSnapshotXml(), ReadRelatives()])
def test_a_snapshot_that_vanished_is_not_found(subject: Subject, running: Wanted, operation: Operation) -> None:
    with pytest.raises(NotFound, match=f"snapshot gone of domain {running.name}: cannot .*'gone'"):
        on(subject, running, "gone", operation)


class Old:
    """A domain or snapshot of a hypervisor that has only the functions of libvirt 0.9.7, such as ESX."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        if name in ("listAllSnapshots", "listAllChildren"):
            return lacking
        if name == "snapshotLookupByName":
            return lambda *given: Old(self._real.snapshotLookupByName(*given))
        return getattr(self._real, name)


def lacking(*_: object) -> Any:
    error = libvirt.libvirtError("this function is not supported by the connection driver")
    error.err = (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_FROM_NONE, "not supported", 2, "", "", None, -1, -1)
    raise error


def test_where_snapshots_cannot_be_listed_their_names_do(mock: Subject) -> None:
    guest = mock.define()
    for name in ("one", "two"):
        mock.do(CreateSnapshot(xml=named(name)), guest)
    driver = mock.driver
    assert isinstance(driver, LibvirtDriver)
    calls = driver._current().calls
    domain = Old(calls.virt.lookupByUUIDString(guest.uuid))
    asked = Asked(
        uuid=guest.uuid, virt=calls.virt, domain=domain, root=None, persistent=None, active=False,
        soft=Calls(calls.virt, used=Counter()).try_, quiet=calls.try_,
    )  # fmt: skip
    told = {row.name: (row.parent_name, row.current, row.has_metadata) for row in details(asked)}  # type: ignore[attr-defined]
    assert told == {"one": (None, False, None), "two": ("one", True, None)}
    assert asked.columns == {"snapshots": 2, "current_snapshot": "two"}
    do = Doing(calls=calls, name="", key=(guest.uuid, "one"), called="", doing="", task=NOBODY)
    relatives = ACTIONS[ReadRelatives](do, domain, ReadRelatives())
    assert relatives is not None
    assert (relatives["children"], relatives["descendants"]) == ("two", "two")


# Checkpoints


def test_checkpoints_follow_each_other(subject: Subject, running: Wanted) -> None:
    assert subject.do(CreateCheckpoint(xml=checkpoint("one")), running) == {"name": "one"}
    more = "<description>a &lt; b</description><disks><disk name='vda' checkpoint='bitmap'/></disks>"
    subject.do(CreateCheckpoint(xml=checkpoint("two", more)), running)
    one, two = sorted(subject.parts(Checkpoint, running), key=lambda row: str(row.name))
    assert subject.domain(running).checkpoints == 2
    assert (one.parent_name, one.children, two.parent_name, two.children) == (None, 1, "one", 0)
    assert (one.disks, two.description) == ("vda bitmap one\nvdb bitmap one", "a < b")
    assert two.disks is not None
    assert two.disks.startswith("vda bitmap two\nvdb")
    assert two.created is not None
    assert abs(datetime.now(UTC) - two.created) < timedelta(minutes=5)
    place = {"parent_name": "", "children": "two", "descendants": "two"}
    assert on(subject, running, "one", ReadPlace()) == place
    assert on(subject, running, "two", ReadPlace()) == {"parent_name": "one", "children": "", "descendants": ""}
    text = on(subject, running, "two", ReadCheckpointXml(flags=CheckpointXmlFlags.NO_DOMAIN))["xml"]
    assert etree.fromstring(text).find("domain") is None
    on(subject, running, "one", DeleteCheckpoint(flags=CheckpointDeleteFlags.CHILDREN_ONLY))
    assert [row.name for row in subject.parts(Checkpoint, running)] == ["one"]
    on(subject, running, "one", DeleteCheckpoint())
    assert subject.domain(running).checkpoints == 0
    assert called(
        subject, "virDomain.checkpointCreateXML", "virDomain.checkpointLookupByName", "virDomain.listAllCheckpoints",
        "virDomainCheckpoint.getXMLDesc", "virDomainCheckpoint.getParent", "virDomainCheckpoint.listAllChildren",
        "virDomainCheckpoint.delete",
    ) == []  # fmt: skip


def test_what_changed_since_a_checkpoint_is_told_while_the_domain_runs(qemu: Subject, on_qemu: Wanted) -> None:
    qemu.do(CreateCheckpoint(xml=checkpoint("since")), on_qemu)
    assert on(qemu, on_qemu, "since", ReadChanges()) == {"size": 0, "disks": "vda 0\nvdb 0"}
    qemu.do(Destroy(), on_qemu)
    with pytest.raises((Invalid, WrongState), match=r"cannot read changes: .*not running"):
        on(qemu, on_qemu, "since", ReadChanges())


@pytest.mark.parametrize("operation", [DeleteCheckpoint(), ReadCheckpointXml(), ReadPlace(), ReadChanges()])
def test_a_checkpoint_that_vanished_is_not_found(subject: Subject, running: Wanted, operation: Operation) -> None:
    with pytest.raises(NotFound, match=f"checkpoint gone of domain {running.name}: cannot .*'gone'"):
        on(subject, running, "gone", operation)


def test_what_is_no_checkpoint_is_refused(subject: Subject, running: Wanted) -> None:
    with pytest.raises(Invalid, match="cannot create checkpoint: "):
        subject.do(CreateCheckpoint(xml="<domaincheckpoint"), running)
    assert subject.parts(Checkpoint, running) == []


# Backups


def backup(target: str, kind: str = "push") -> str:
    disk = f"<disk name='vda' backup='yes' type='file'>{target}</disk><disk name='vdb' backup='no'/>"
    return f"<domainbackup mode='{kind}'><disks>{disk}</disks></domainbackup>"


def test_a_backup_that_is_pushed_is_done_when_its_image_is_complete(
    qemu: Subject, session_libvirtd: Session, on_qemu: Wanted
) -> None:
    image = session_libvirtd.images / f"{on_qemu.name}.backup"
    xml = backup(f"<target file='{image}'/><driver type='qcow2'/>")
    qemu.do(BeginBackup(xml=xml, checkpoint_xml=checkpoint("then")), on_qemu)
    assert image.exists()
    with pytest.raises(NotFound, match="cannot read backup xml"):
        qemu.do(ReadBackupXml(), on_qemu)
    assert [row.name for row in qemu.parts(Checkpoint, on_qemu)] == ["then"]
    since = xml.replace("<disks>", "<incremental>then</incremental><disks>").replace(".backup", ".changes")
    qemu.do(BeginBackup(xml=since), on_qemu)
    assert image.with_suffix(".changes").exists()
    with pytest.raises(NotFound, match=r"cannot begin backup: .*never"):
        qemu.do(BeginBackup(xml=since.replace("then", "never").replace(".changes", ".none")), on_qemu)
    assert called(qemu, "virDomain.backupBegin", "virDomain.backupGetXMLDesc") == []


def test_a_backup_takes_images_that_are_there_if_it_is_told_to(
    qemu: Subject, session_libvirtd: Session, on_qemu: Wanted
) -> None:
    image = session_libvirtd.image(f"{on_qemu.name}-there", size=16)
    xml = backup(f"<target file='{image}'/><driver type='qcow2'/>")
    qemu.do(BeginBackup(xml=xml, flags=BackupFlags.REUSE_EXTERNAL), on_qemu)


def test_a_backup_to_be_pulled_goes_on_until_it_is_ended(
    qemu: Subject, session_libvirtd: Session, on_qemu: Wanted
) -> None:
    socket, scratch = session_libvirtd.images / "pull", session_libvirtd.images / f"{on_qemu.name}.scratch"
    xml = backup(f"<scratch file='{scratch}'/>", "pull")
    xml = xml.replace("<disks>", f"<server transport='unix' socket='{socket}'/><disks>")
    qemu.do(BeginBackup(xml=xml), on_qemu)
    assert etree.fromstring(qemu.do(ReadBackupXml(), on_qemu)["xml"]).get("mode") == "pull"
    (job,) = qemu.parts(BlockJob, on_qemu)
    assert (job.disk, job.type, job.ready) == ("vda", BlockJobType.BACKUP, None)
    assert qemu.domain(on_qemu).block_jobs == 1
    qemu.do(EndBackup(), on_qemu)
    eventually(lambda: not qemu.parts(BlockJob, on_qemu), what="the end of the backup")


def test_what_is_no_backup_is_not_ended(qemu: Subject, on_qemu: Wanted) -> None:
    with pytest.raises(WrongState, match=f"domain {on_qemu.name}: cannot end backup: no backup is running"):
        qemu.do(EndBackup(), on_qemu)


def test_a_backup_needs_xml_that_can_be_read(qemu: Subject, on_qemu: Wanted) -> None:
    with pytest.raises(Invalid, match="cannot begin backup: the XML cannot be read"):
        qemu.do(BeginBackup(xml="<domainbackup"), on_qemu)


def test_a_hypervisor_without_backups_says_so(mock: Subject) -> None:
    guest = mock.define()
    for operation in (BeginBackup(), ReadBackupXml(), EndBackup()):
        with pytest.raises(NotSupported, match="not supported by the connection driver"):
            mock.do(operation, guest)
