"""Disks of running domains: their images are pulled together, committed, copied, resized, watched and read."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from agent.errors import Failed, Invalid, NotFound, NotSupported, VirtmapError, WrongState
from agent.model import Disk, Domain
from agent.model.block_job import (
    AbortBlockJob,
    AbortFlags,
    BlockCommit,
    BlockCopy,
    BlockJob,
    BlockJobType,
    BlockPull,
    CommitFlags,
    CopyFlags,
    PullFlags,
    ReadBlockJob,
    ReadError,
    ReadSizes,
    ReadStatistics,
    ResizeDisk,
    SetJobBandwidth,
    SetThreshold,
)
from agent.model.disk import DiskError
from agent.model.domain import Destroy, DomainState, ReadXml, Start
from agent.model.snapshot import CreateSnapshot, SnapshotFlags
from agent.schema.declare import Operation
from drivers.libvirt import LibvirtDriver
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, Wanted, connected
from tests.servers import Session, eventually

MIB = 1 << 20
SLOW = MIB // 2
"""Bytes in a second: the 8 MiB of a disk last for long."""


@pytest.fixture(scope="module")
def qemu(session_libvirtd: Session) -> Iterator[Subject]:
    session_libvirtd.start()
    with connected(qemu_subject(session_libvirtd)) as made:
        yield made


@dataclass(kw_only=True)
class Chain:
    """A running domain, whose disk vda has 8 MiB in it and, by and by, images above each other."""

    subject: Subject
    guest: Wanted
    folder: Path
    jobs: list[threading.Thread] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        return self.guest.uuid, "vda"

    def do(self, operation: Operation) -> Mapping[str, Any]:
        return self.subject.perform(operation, self.key)

    def above(self, name: str) -> str:
        """Go on in an image of that name; gives its path."""
        file = self.folder / f"{self.guest.name}.{name}"
        disks = f"<disks><disk name='vda'><source file='{file}'/></disk><disk name='vdb' snapshot='no'/></disks>"
        flags = SnapshotFlags.DISK_ONLY | SnapshotFlags.NO_METADATA
        xml = f"<domainsnapshot>{disks}</domainsnapshot>"
        self.subject.do(CreateSnapshot(xml=xml, flags=flags), self.guest)
        return str(file)

    def images(self) -> list[str]:
        """The images of the disk, the topmost first."""
        root = etree.fromstring(self.subject.do(ReadXml(), self.guest)["xml"])
        (disk,) = (e for e in root.findall("devices/disk") if e.find("target").get("dev") == "vda")  # type: ignore[union-attr]
        found: list[str] = []
        at: Any = disk
        while at is not None and at.find("source") is not None:
            found.append(str(at.find("source").get("file")))
            at = at.find("backingStore")
        return found

    def job(self) -> BlockJob | None:
        reading = self.subject.read([(Domain, (self.guest.uuid,))])
        rows = reading.of(BlockJob)
        assert [row.block_jobs for row in reading.of(Domain)] == [len(rows)]
        return rows[0] if rows else None

    def disk(self) -> Disk:
        return next(row for row in self.subject.parts(Disk, self.guest) if row.target == "vda")


@pytest.fixture
def chain(qemu: Subject, session_libvirtd: Session) -> Iterator[Chain]:
    guest = qemu.define()
    image = session_libvirtd.images / f"{guest.name}-0.qcow2"
    write(image, f"write -P 1 0 {8 * MIB}")
    qemu.do(Start(), guest)
    yield Chain(subject=qemu, guest=guest, folder=session_libvirtd.images)
    if qemu.domain(guest).state is not DomainState.SHUT_OFF:
        qemu.do(Destroy(), guest)


def write(image: Path, command: str) -> None:
    subprocess.run(["qemu-io", "-c", command, str(image)], check=True, timeout=30, stdout=subprocess.DEVNULL)


class Underway:
    """An operation in a thread of its own, with the task that watches it."""

    def __init__(self, chain: Chain, operation: Operation) -> None:
        self.told: list[int] = []
        self.cancel: Callable[[], None] | None = None
        self.error: VirtmapError | None = None
        self.ended = threading.Event()
        threading.Thread(target=self._run, args=(chain, operation), daemon=True).start()

    def _run(self, chain: Chain, operation: Operation) -> None:
        try:
            chain.subject.driver.perform(operation, chain.key, self)
        except VirtmapError as error:
            self.error = error
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


def uncalled(subject: Subject, *names: str) -> list[str]:
    driver = subject.driver
    assert isinstance(driver, LibvirtDriver)
    return [name for name in names if not driver.called[name]]


# Pulling


def test_a_pull_frees_the_disk_of_its_backing_images(chain: Chain) -> None:
    top = chain.above("top")
    assert len(chain.images()) == 2
    assert chain.do(BlockPull()) == {}
    assert chain.images() == [top]
    assert chain.job() is None


def test_a_pull_can_leave_a_base(chain: Chain) -> None:
    base = chain.images()[0]
    chain.above("middle")
    top = chain.above("top")
    chain.do(BlockPull(base=base, flags=PullFlags(0)))
    assert chain.images() == [top, base]
    assert uncalled(chain.subject, "virDomain.blockRebase") == []


def test_a_job_is_told_while_it_runs_and_its_speed_is_set(chain: Chain) -> None:
    chain.above("top")
    pull = Underway(chain, BlockPull(bandwidth=SLOW))
    job = eventually(chain.job, what="the row of the job")
    assert job is not None
    assert (job.disk, job.type, job.bandwidth) == ("vda", BlockJobType.PULL, SLOW)
    assert (job.end, job.ready, job.destination) == (16 * MIB, None, None)
    now = chain.do(ReadBlockJob())
    assert (now["type"], now["bandwidth"], now["end"]) == (BlockJobType.PULL, SLOW, 16 * MIB)
    assert job.position is not None
    assert now["position"] >= job.position
    chain.do(SetJobBandwidth(bandwidth=SLOW * 2))
    job = chain.job()
    assert job is not None
    assert job.bandwidth == SLOW * 2
    eventually(lambda: pull.told and max(pull.told) > 0, what="progress")
    chain.do(SetJobBandwidth(bandwidth=0))
    eventually(pull.ended.is_set, within=30, what="the end of the pull")
    assert pull.error is None
    assert pull.told == sorted(pull.told)
    assert chain.job() is None
    assert chain.do(ReadBlockJob()) == {}


def test_a_job_that_is_canceled_has_failed_and_changed_nothing(chain: Chain) -> None:
    chain.above("top")
    before = chain.images()
    pull = Underway(chain, BlockPull(bandwidth=SLOW))
    eventually(chain.job, what="the row of the job")
    assert pull.cancel is not None
    pull.cancel()
    eventually(pull.ended.is_set, what="the end of the pull")
    assert isinstance(pull.error, Failed)
    assert str(pull.error) == f"disk vda of domain {chain.guest.name}: cannot block pull: it was aborted"
    assert chain.images() == before


def test_a_job_that_somebody_aborts_has_failed(chain: Chain) -> None:
    chain.above("top")
    pull = Underway(chain, BlockPull(bandwidth=SLOW))
    eventually(chain.job, what="the row of the job")
    with pytest.raises((Invalid, WrongState, VirtmapError), match="cannot block pull"):
        chain.do(BlockPull())
    chain.do(AbortBlockJob(flags=AbortFlags.ASYNC))
    eventually(pull.ended.is_set, what="the end of the pull")
    assert isinstance(pull.error, Failed)
    assert chain.job() is None


def test_a_job_ends_with_its_domain(chain: Chain) -> None:
    chain.above("top")
    pull = Underway(chain, BlockPull(bandwidth=SLOW))
    eventually(chain.job, what="the row of the job")
    chain.subject.do(Destroy(), chain.guest)
    eventually(pull.ended.is_set, what="the end of the pull")
    assert pull.error is not None


# Committing


def test_an_image_below_is_committed(chain: Chain) -> None:
    base = chain.images()[0]
    middle = chain.above("middle")
    top = chain.above("top")
    chain.do(BlockCommit(top=middle, base=base, flags=CommitFlags.DELETE))
    assert chain.images() == [top, base]
    assert not Path(middle).exists()


def test_the_image_that_is_written_to_is_committed_in_two_steps(chain: Chain) -> None:
    base = chain.images()[0]
    top = chain.above("top")
    chain.do(BlockCommit(flags=CommitFlags.ACTIVE | CommitFlags.SHALLOW))
    job = chain.job()
    assert job is not None
    assert (job.type, job.ready, job.destination) == (BlockJobType.ACTIVE_COMMIT, True, base)
    assert job.percent == 100
    assert chain.images() == [top, base]
    chain.do(AbortBlockJob(flags=AbortFlags.PIVOT))
    assert chain.images() == [base]


def test_the_image_that_is_written_to_is_committed_in_one_step(chain: Chain) -> None:
    base = chain.images()[0]
    chain.above("top")
    chain.do(BlockCommit(flags=CommitFlags.ACTIVE, pivot=True))
    assert chain.images() == [base]
    assert chain.job() is None


# Copying


def destination(file: Path) -> str:
    return f"<disk type='file'><source file='{file}'/><driver type='qcow2'/></disk>"


def test_a_disk_is_copied_and_stays_where_it_is(chain: Chain) -> None:
    before, copy = chain.images(), chain.folder / f"{chain.guest.name}.copy"
    chain.do(BlockCopy(xml=destination(copy), flags=CopyFlags.TRANSIENT_JOB))
    job = chain.job()
    assert job is not None
    assert (job.type, job.ready, job.destination) == (BlockJobType.COPY, True, str(copy))
    chain.do(AbortBlockJob())
    assert chain.images() == before
    told = subprocess.run(
        ["qemu-io", "-r", "-c", f"read -P 1 0 {8 * MIB}", str(copy)], check=True, timeout=30, capture_output=True
    )
    assert b"Pattern verification failed" not in told.stdout


def test_a_disk_goes_over_to_its_copy(chain: Chain) -> None:
    copy = chain.folder / f"{chain.guest.name}.copy"
    operation = BlockCopy(
        xml=destination(copy), granularity=64, buffer=MIB, bandwidth=64 * MIB, flags=CopyFlags.TRANSIENT_JOB, pivot=True
    )
    chain.do(operation)
    assert chain.images() == [str(copy)]
    assert chain.disk().source == str(copy)


def test_a_copy_that_is_canceled_leaves_the_disk_where_it_is(chain: Chain) -> None:
    before, file = chain.images(), chain.folder / f"{chain.guest.name}.copy"
    slow = BlockCopy(
        xml=destination(file), bandwidth=SLOW, granularity=64, buffer=MIB // 16, flags=CopyFlags.TRANSIENT_JOB,
        pivot=True,
    )  # fmt: skip
    copy = Underway(chain, slow)
    eventually(lambda: (job := chain.job()) is not None and job.ready is False, what="the row of the job")
    assert copy.cancel is not None
    copy.cancel()
    eventually(copy.ended.is_set, what="the end of the copy")
    assert isinstance(copy.error, Failed)
    assert chain.images() == before


# The rest


def test_a_disk_is_resized(chain: Chain) -> None:
    chain.do(ResizeDisk(capacity=24 * MIB))
    assert chain.disk().capacity == 24 * MIB
    assert chain.do(ReadSizes())["capacity"] == 24 * MIB


def test_a_threshold_is_set(chain: Chain) -> None:
    chain.do(SetThreshold(threshold=4 * MIB))
    assert chain.disk().threshold == 4 * MIB
    base = etree.fromstring(chain.subject.do(ReadXml(), chain.guest)["xml"]).find("devices/disk/source")
    assert base is not None
    chain.do(SetThreshold(threshold=5 * MIB, image=int(base.get("index", "0"))))
    assert chain.disk().threshold == 5 * MIB


def test_a_disk_is_read_at_this_moment(chain: Chain) -> None:
    assert set(chain.do(ReadStatistics())) == {
        "read_requests", "read_bytes", "write_requests", "write_bytes", "flush_requests",
    }  # fmt: skip
    sizes = chain.do(ReadSizes())
    assert sizes["capacity"] == 16 * MIB
    assert sizes["physical"] > 8 * MIB
    assert chain.do(ReadError()) == {"error": DiskError.NONE}
    assert chain.do(ReadBlockJob()) == {}


def test_each_function_was_called(chain: Chain) -> None:
    """What the tests above called is counted by the driver that they share."""
    chain.above("top")
    chain.do(BlockCommit(flags=CommitFlags.ACTIVE))
    chain.do(AbortBlockJob())
    chain.above("next")
    chain.do(BlockPull())
    chain.do(ReadStatistics())
    chain.do(ReadSizes())
    chain.do(ReadError())
    assert uncalled(
        chain.subject, "virDomain.blockPull", "virDomain.blockCommit", "virDomain.blockJobAbort", "virDomain.blockJobInfo",
        "virDomain.blockStatsFlags", "virDomain.blockInfo", "virDomain.diskErrors", "virConnect.domainEventRegisterAny",
        "virConnect.domainEventDeregisterAny",
    ) == []  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        (BlockPull(base="vda[9]"), "cannot block pull: .*backing store"),
        (BlockPull(base="/no/such/image"), "cannot block pull: .*/no/such/image"),
        (BlockCommit(), "cannot block commit: .*base image"),
        (BlockCommit(top="/no/such/image"), "cannot block commit: .*/no/such/image"),
        (BlockCopy(xml="<disk"), "cannot block copy: .*"),
        (BlockCopy(xml=destination(Path("/no/such/folder/copy"))), "cannot block copy: .*"),
        (AbortBlockJob(), "cannot abort block job: .*no active block job|cannot abort block job: .*block job.*"),
        (SetJobBandwidth(bandwidth=1), "cannot set job bandwidth: .*"),
        (SetThreshold(threshold=1, image=99), "cannot set threshold: .*vda.99."),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Operation) else "",
)
def test_a_refusal_tells_why_and_changes_nothing(chain: Chain, operation: Operation, text: str) -> None:
    before = chain.images()
    with pytest.raises(VirtmapError, match=f"of domain {chain.guest.name}: ({text})") as told:
        chain.do(operation)
    assert type(told.value) in (Invalid, WrongState, NotFound, NotSupported, Failed)
    assert chain.images() == before
    assert chain.job() is None


@pytest.mark.parametrize(
    "operation",
    [BlockPull(), BlockCommit(), AbortBlockJob(), ResizeDisk(capacity=1), SetThreshold(threshold=1), ReadStatistics(),
     ReadSizes(), ReadBlockJob()],
    ids=lambda each: type(each).__name__,
)  # fmt: skip
def test_a_disk_that_vanished_is_told(chain: Chain, operation: Operation) -> None:
    with pytest.raises((Invalid, NotFound), match=f"disk vdz of domain {chain.guest.name}: cannot .*vdz"):
        chain.subject.perform(operation, (chain.guest.uuid, "vdz"))


def test_the_mock_tells_counters_and_sizes_and_has_no_jobs() -> None:
    with connected(mock_subject("test:///default")) as mock:
        guest = mock.define()
        mock.do(Start(), guest)
        key = (guest.uuid, "vda")
        counted = mock.perform(ReadStatistics(), key)
        assert set(counted) == {"read_requests", "read_bytes", "write_requests", "write_bytes", "errors"}
        assert mock.perform(ReadSizes(), key)["capacity"] > 0
        assert isinstance(mock.perform(ReadError(), key)["error"], DiskError)
        assert uncalled(mock, "virDomain.blockStats", "virDomain.blockInfo", "virDomain.diskErrors") == []
        assert mock.domain(guest).block_jobs is None
        for operation in (BlockPull(), BlockCommit(), ReadBlockJob(), ResizeDisk(capacity=1)):
            with pytest.raises(NotSupported, match="not supported by the connection driver"):
                mock.perform(operation, key)
