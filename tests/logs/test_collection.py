"""The logs of a hypervisor as rows, from files alone: cheap to read again, numbered once, and honest about what cannot be read."""

from __future__ import annotations

import errno
import gzip
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.driver import NOBODY, LogSettings, Retention
from agent.errors import Busy, Denied, Failed, Invalid, NotFound, NotSupported
from agent.model.log import DownloadLog, Log, LogFile, LogKind, LogRecord, LogRotation, ReadLog, SearchLog
from drivers.logs import control, files, places
from drivers.logs.collection import Collection, Told
from drivers.logs.listing import Guest
from drivers.logs.ownership import DeviceLog
from drivers.logs.places import Places
from drivers.logs.retention import Kept, KeptLog, due
from tests.servers import eventually

T = "2026-11-30 11:27:0{0}.000+0000: {1}\n"


@pytest.fixture
def virtlogd(tmp_path: Path) -> Iterator[Path]:
    """A socket that takes connections."""
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(16)
        yield path


class Bench:
    """A collection of the logs in a folder."""

    def __init__(self, folder: Path, virtlogd: Path, *, devices: Sequence[Path] = (), **settings: Any) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.changed: list[str] = []
        where = Places(
            directories=(str(folder),), virtlogd=str(virtlogd), settings=str(folder.parent / "qemu.conf"),
            devices=tuple(map(str, devices)),
        )  # fmt: skip
        told = Told(matched=lambda _p, _e: None, changed=self.changed.extend)
        self.logs = Collection("here", where, LogSettings(**{"follow": False, **settings}), told)
        self.guests: dict[str, Guest] = {}

    def guest(self, name: str, *, active: bool = False, devices: tuple[DeviceLog, ...] = ()) -> str:
        its = f"uuid-{name}"
        self.guests[its] = Guest(name=name, active=active, devices=devices)
        self.logs.learn(dict(self.guests))
        return its

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def rows(self, name: str) -> list[Any]:
        return self.logs.rows(self.logs.find(name if name.startswith("/") else f"{self.folder}/{name}"))

    def log(self, name: str) -> Log:
        row: Log = self.rows(name)[0]
        return row

    def records(self, name: str) -> list[LogRecord]:
        return [each for each in self.rows(name) if isinstance(each, LogRecord)]

    def paths(self) -> set[str]:
        return {each.path.removeprefix(f"{self.folder}/") for each in self.logs.refresh()}


@pytest.fixture
def bench(tmp_path: Path, virtlogd: Path) -> Bench:
    return Bench(tmp_path / "logs", virtlogd)


def test_a_row_tells_what_the_system_and_the_file_do(bench: Bench) -> None:
    its = bench.guest("web")
    path = bench.write("web.log", T.format(1, "starting up x") + "last \x1b\n")
    bench.write("web.log.0", "older\n")
    bench.write("web.log.1.gz", gzip.compress(b"old\n"))
    os.utime(path, (1_000_000, 1_000_000))
    row = bench.log("web.log")
    assert (row.path, row.name, row.host, row.domain, row.domain_name) == (str(path), "web.log", "here", its, "web")
    assert (row.size, row.files, row.inode) == (path.stat().st_size, 3, path.stat().st_ino)
    assert row.total == sum(each.stat().st_size for each in bench.folder.iterdir())
    assert row.modified == datetime.fromtimestamp(1_000_000, UTC)
    assert (row.first_line, row.last_line) == (T.format(1, "starting up x")[:-1], "last \\x1b")
    assert (row.rotation, row.problem, row.followed, row.lines) == (LogRotation.VIRTLOGD, "", False, None)
    found = {each.name: each for each in bench.rows("web.log") if isinstance(each, LogFile)}
    assert {name: (f.rotation, f.compressed, f.last_line) for name, f in found.items()} == {
        "web.log": (None, False, "last \\x1b"),
        "web.log.0": (0, False, "older"),
        "web.log.1.gz": (1, True, None),
    }


def test_records_go_back_into_older_files_and_keep_their_numbers(tmp_path: Path, virtlogd: Path) -> None:
    bench = Bench(tmp_path / "logs", virtlogd, records=4)
    bench.write("a.log.0", "1\n2\n3\n")
    path = bench.write("a.log", "4\n5\n")
    assert [(r.number, r.text, r.file) for r in bench.records("a.log")] == [
        (1, "2", "a.log.0"), (2, "3", "a.log.0"), (3, "4", "a.log"), (4, "5", "a.log"),
    ]  # fmt: skip
    with path.open("a") as file:
        file.write("6\n")
    assert [(r.number, r.text) for r in bench.records("a.log")] == [(2, "3"), (3, "4"), (4, "5"), (5, "6")]
    (bench.folder / "a.log.0").rename(bench.folder / "a.log.1")
    path.rename(bench.folder / "a.log.0")
    bench.write("a.log", "7\n")
    assert [(r.number, r.text) for r in bench.records("a.log")] == [(3, "4"), (4, "5"), (5, "6"), (6, "7")]
    os.truncate(bench.folder / "a.log", 0)
    bench.write("a.log", "")
    bench.records("a.log")
    bench.write("a.log", "8\n")
    assert bench.records("a.log")[-1].number == 7, "another record at the same place has another number"


def test_what_did_not_change_is_not_read_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write("a.log", "1\n")
    bench.write("a.log.0", "0\n")
    first = bench.rows("a.log")

    def none(*_: object) -> None:
        raise AssertionError("it was opened")

    monkeypatch.setattr(files, "file", none)
    assert bench.rows("a.log")[1:] == first[1:]
    monkeypatch.undo()
    bench.write("a.log", "1\n2\n")
    assert [r.text for r in bench.records("a.log")] == ["0", "1", "2"]


def test_logs_come_and_go_with_their_files_and_belong_to_the_domains_that_exist(bench: Bench) -> None:
    assert bench.paths() == set()
    bench.write("a.log", "x")
    bench.write("notes.txt", "x")
    bench.write("bad\x1b.log", "x")
    assert bench.paths() == {"a.log"}
    assert bench.log("a.log").domain is None
    bench.guest("a")
    assert bench.log("a.log").domain == "uuid-a"
    (bench.folder / "a.log").unlink()
    assert bench.paths() == set()
    with pytest.raises(NotFound, match="no such log"):
        bench.log("a.log")
    with pytest.raises(NotFound):
        bench.logs.find("/etc/passwd")


def test_domains_that_are_different_have_their_logs_read_again(bench: Bench) -> None:
    assert bench.logs.learn({"u": Guest(name="a", active=False)}), "all, the first time"
    assert not bench.logs.learn({"u": Guest(name="a", active=False)})
    assert bench.changed == []
    assert not bench.logs.learn({"u": Guest(name="b", active=False), "v": Guest(name="c", active=True)})
    assert bench.changed == [f"{bench.folder}/{name}.log" for name in "abc"]
    device = DeviceLog(kind=LogKind.CONSOLE, device="serial0", path="/logs/x")
    assert bench.logs.learn({"u": Guest(name="b", active=False, devices=(device,))}), "all, as it may be anywhere"
    assert bench.logs.learn({str(n): Guest(name=str(n), active=False) for n in range(1000)}), "all, as they are many"


def test_logs_of_devices_are_where_their_definition_says(tmp_path: Path, virtlogd: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    bench = Bench(tmp_path / "logs", virtlogd, devices=[other])
    (other / "con").write_text("x\n")
    (other / "con.3").write_text("y\n")
    (other / "passwd").write_text("z\n")
    devices = (
        DeviceLog(kind=LogKind.CONSOLE, device="serial0", path=str(other / "con")),
        DeviceLog(kind=LogKind.VIRTIOFSD, device="fs0"),
        DeviceLog(kind=LogKind.SWTPM, device="tpm0"),
    )
    its = bench.guest("a", devices=devices)
    bench.write("a-fs0-virtiofsd.log", "x")
    bench.write("a-swtpm.log", "x")
    assert bench.paths() == {str(other / "con"), "a-fs0-virtiofsd.log", "a-swtpm.log"}
    for name, kind, device in (
        (str(other / "con"), LogKind.CONSOLE, "serial0"), ("a-fs0-virtiofsd.log", LogKind.VIRTIOFSD, "fs0"),
        ("a-swtpm.log", LogKind.SWTPM, "tpm0"),
    ):  # fmt: skip
        row = bench.log(name)
        assert (row.domain, row.kind, row.device) == (its, kind, device)
    assert bench.log("a-swtpm.log").rotation is LogRotation.UNKNOWN
    assert bench.log(str(other / "con")).files == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another account")
def test_what_cannot_be_read_is_told_in_the_row(virtlogd: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="vm-") as folder:
        Path(folder).chmod(0o755)
        _tell_what_cannot_be_read(Bench(Path(folder) / "logs", virtlogd))


def test_a_disk_that_fails_is_told_in_the_row(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write("a.log", "x\n")

    def fails(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", fails)
    row = bench.log("a.log")
    assert (row.size, row.last_line) == (2, None)
    assert row.problem.endswith("a.log: Input/output error")
    with pytest.raises(Failed, match="Input/output error"):
        bench.logs.read(bench.logs.find(f"{bench.folder}/a.log"), ReadLog())


def test_without_proc_nothing_is_removed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.logs.learn({})
    bench.write("a.log", "x\n")

    def none(_owner: int) -> list[str]:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(control, "_processes", none)
    assert bench.log("a.log").rotation is LogRotation.UNKNOWN
    with pytest.raises(NotSupported, match="may not see what virtlogd has open"):
        bench.logs.removing.remove(bench.logs.find(f"{bench.folder}/a.log"), active=False)


def _tell_what_cannot_be_read(bench: Bench) -> None:
    bench.guest("a")
    bench.write("a.log", "secret\n")
    os.chmod(bench.folder / "a.log", 0)
    bench.folder.chmod(0o755)
    told: dict[str, Log] = {}
    _as_nobody(lambda: told.update(file=bench.log("a.log")))
    assert told["file"].size == 7
    assert told["file"].first_line is None
    assert told["file"].problem.endswith("a.log: Permission denied")
    bench.folder.chmod(0o700)
    _as_nobody(lambda: told.update({each.path: bench.logs.rows(each)[0] for each in bench.logs.refresh()}))  # type: ignore[misc]
    (row,) = [row for name, row in told.items() if name != "file"]
    assert (row.domain, row.size, row.files) == ("uuid-a", None, 0)
    assert row.problem.endswith("logs: Permission denied")


def _as_nobody(do: Callable[[], object]) -> None:
    """Do it as another account, which is this thread's alone."""
    os.seteuid(65534)
    try:
        do()
    finally:
        os.seteuid(0)


def test_two_claims_to_one_path_are_nobodys_to_remove(bench: Bench) -> None:
    bench.guest("a")
    bench.guest("b", devices=(DeviceLog(kind=LogKind.CONSOLE, device="serial0", path=f"{bench.folder}/a.log"),))
    bench.write("a.log", "x")
    known = bench.logs.find(f"{bench.folder}/a.log")
    with pytest.raises(Invalid, match="the log of a and b"):
        bench.logs.removing.remove(known, active=False)
    with pytest.raises(Invalid, match="the log of a and b"):
        bench.logs.removing.check("uuid-a", "a", active=False)
    assert (bench.folder / "a.log").exists()


def test_a_console_log_that_looks_like_an_older_file_is_not_removed_as_one(bench: Bench) -> None:
    bench.guest("a")
    bench.guest("b", devices=(DeviceLog(kind=LogKind.CONSOLE, device="serial0", path=f"{bench.folder}/a.log.1"),))
    for name in ("a.log", "a.log.0", "a.log.1"):
        bench.write(name, "x")
    bench.logs.removing.remove(bench.logs.find(f"{bench.folder}/a.log"), active=False)
    assert os.listdir(bench.folder) == ["a.log.1"]
    with pytest.raises(Invalid, match=r"a\.log\.1 as well"):
        bench.logs.removing.check_libvirt("uuid-a", "a")


def test_who_rotates_is_found_out(bench: Bench, virtlogd: Path) -> None:
    bench.guest("a")
    bench.guest("runs", active=True)
    for name in ("a.log", "runs.log"):
        bench.write(name, "x")
    assert bench.log("a.log").rotation is LogRotation.VIRTLOGD
    assert bench.log("runs.log").rotation is LogRotation.UNKNOWN
    (bench.folder.parent / "qemu.conf").write_text('stdio_handler = "logd"\n  stdio_handler="file"\n')
    with pytest.raises(NotSupported, match="do without virtlogd"):
        bench.logs.removing.remove(bench.logs.find(f"{bench.folder}/a.log"), active=False)
    (bench.folder.parent / "qemu.conf").write_text('#stdio_handler = "file"\n')
    virtlogd.unlink()
    with pytest.raises(NotSupported, match="does not answer"):
        bench.logs.removing.clear(bench.logs.find(f"{bench.folder}/a.log"), active=False)
    assert (bench.folder / "a.log").read_text() == "x"


def test_clearing_goes_nowhere_else(bench: Bench, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    bench.logs.learn({})
    (bench.folder / "a.log").symlink_to(victim)
    os.link(victim, bench.folder / "b.log")
    for name, why in (("a.log", "symbolic link"), ("b.log", "another name")):
        with pytest.raises(Denied, match=why):
            bench.logs.removing.clear(bench.logs.find(f"{bench.folder}/{name}"), active=False)
    assert victim.read_text() == "precious"


def test_a_file_that_was_renamed_meanwhile_is_not_removed(bench: Bench) -> None:
    path = bench.write("a.log.0", "x")
    with pytest.raises(Busy, match="renamed meanwhile"):
        control.remove_one(str(bench.folder), "a.log.0", path.stat().st_ino + 1, 0)
    assert path.exists()


# Reading


def test_a_log_is_read_page_by_page(bench: Bench) -> None:
    bench.write("a.log", "".join(f"line {n}\n" for n in range(100)))
    known = bench.logs.find(f"{bench.folder}/a.log")
    at, text = 0, ""
    while True:
        got = bench.logs.read(known, ReadLog(position=at, lines=7))
        if not got["text"]:
            break
        assert got["begin"] == at
        at, text = got["end"], text + got["text"]
    assert text == (bench.folder / "a.log").read_text()
    assert got == {"text": "", "begin": at, "end": at, "size": at}
    with pytest.raises(Invalid, match="beyond"):
        bench.logs.read(known, ReadLog(position=at + 1))


def test_compressed_files_are_read_and_searched(bench: Bench) -> None:
    bench.write("a.log.1.gz", gzip.compress(b"old needle\n"))
    bench.write("a.log.2.zst", b"?")
    bench.write("a.log-20261101", "oldest needle\n")
    bench.write("a.log.0", "newer\n")
    bench.write("a.log", "newest needle\n")
    known = bench.logs.find(f"{bench.folder}/a.log")
    assert bench.logs.read(known, ReadLog(file="a.log.1.gz"))["text"] == "old needle\n"
    got = bench.logs.search(known, SearchLog(pattern="NEEDLE"), NOBODY)
    notes, *lines = [line.split("\t") for line in got["text"].splitlines()]
    assert notes == ["a.log.2.zst", "-", "-", "-", "a.log.2.zst: files that end with .zst cannot be read here"]
    assert [line[0] for line in lines] == ["a.log-20261101", "a.log.1.gz", "a.log"]
    assert (got["found"], got["more"]) == (3, False)
    assert bench.logs.search(known, SearchLog(pattern="needle", records=1), NOBODY)["more"] is True


class Moving:
    """A task that keeps what it is sent."""

    def __init__(self) -> None:
        self.got = b""
        self.size: int | None = None
        self.stop: Callable[[], None] = lambda: None

    def progress(self, percent: int) -> None:
        assert 0 <= percent <= 100

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        self.stop = cancel

    def expect(self, size: int) -> None:
        self.size = size

    def receive(self, most: int) -> bytes:
        raise AssertionError

    def send(self, data: bytes) -> None:
        self.got += data


def test_a_download_is_all_of_it_uncompressed(bench: Bench) -> None:
    bench.write("a.log.1.gz", gzip.compress(b"old\xff\n"))
    bench.write("a.log.0", "newer\n")
    bench.write("a.log", "newest\n")
    task = Moving()
    got = bench.logs.download(bench.logs.find(f"{bench.folder}/a.log"), DownloadLog(), task)
    assert task.got == b"old\xff\nnewer\nnewest\n"
    assert got == {"transferred": len(task.got)}


def test_a_download_goes_on_with_what_is_written_and_can_be_ended(bench: Bench) -> None:
    path = bench.write("a.log", "one\n")
    task, ended = Moving(), []

    def run() -> None:
        try:
            bench.logs.download(bench.logs.find(str(path)), DownloadLog(follow=60), task)
        except Failed as error:
            ended.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: task.got == b"one\n")
    path.rename(f"{path}.0")
    with open(f"{path}.0", "a") as old:
        old.write("two\n")
    bench.write("a.log", "three\n")
    eventually(lambda: task.got == b"one\ntwo\nthree\n")
    task.stop()
    thread.join(10)
    assert ended == [f"log {path}: cannot download: it was cancelled"]


# Retention


def kept(number: int | None, size: int, modified: float) -> Kept:
    return Kept(
        name="a.log" if number is None else f"a.log.{number}", number=number, size=size, modified=modified, inode=1
    )


def going(policy: Mapping[str, Any], *its: Kept, gone: bool = False) -> list[str]:
    one = KeptLog(folder="/l", name="a.log", gone=gone, files=its)
    return [each.name for each in due([one], Retention(**policy), 1000.0)]


def test_what_is_older_than_the_age_goes_but_never_what_is_written() -> None:
    its = (kept(None, 5, 1), kept(0, 5, 950), kept(1, 5, 500), kept(2, 5, 1))
    assert going({"age": 100}, *its) == ["a.log.2", "a.log.1"]


def test_the_oldest_go_until_the_rest_is_small_enough() -> None:
    its = (kept(None, 50, 999), kept(0, 30, 900), kept(1, 30, 800), kept(2, 30, 700))
    assert going({"size": 100}, *its) == ["a.log.2", "a.log.1"]
    assert going({"size": 1}, *its) == ["a.log.2", "a.log.1", "a.log.0"]
    assert going({"size": 140}, *its) == []


def test_logs_of_domains_that_are_gone_go_as_a_whole_once_all_of_it_is_old() -> None:
    old, new = (kept(None, 5, 1), kept(0, 5, 1)), (kept(None, 5, 990), kept(0, 5, 1))
    assert going({"age": 100, "gone": True}, *old, gone=True) == ["a.log.0", "a.log"]
    assert going({"age": 100, "gone": True}, *new, gone=True) == ["a.log.0"]
    assert going({"age": 100, "gone": True}, *old, gone=False) == ["a.log.0"]
    assert going({"age": 100}, *old, gone=True) == ["a.log.0"]


def test_nothing_is_due_before_it_is_known_which_domains_there_are(tmp_path: Path, virtlogd: Path) -> None:
    bench = Bench(tmp_path / "logs", virtlogd, retention=Retention(age=60, gone=True, dry=False))
    path = bench.write("a.log", "x")
    os.utime(path, (1, 1))
    with pytest.raises(Busy, match="not known yet"):
        bench.logs.removing.clean(dry=False)
    bench.guest("a")
    assert bench.logs.removing.clean(dry=False) == ([], [])
    bench.logs.learn({})
    went, problems = bench.logs.removing.clean(dry=False)
    assert ([each.path for each in went], problems) == ([str(path)], [])
    assert not path.exists()


def test_the_retention_is_carried_out_at_its_interval(tmp_path: Path, virtlogd: Path) -> None:
    retained: list[tuple[str, ...]] = []
    bench = Bench(
        tmp_path / "logs", virtlogd, retention=Retention(age=60, dry=False, interval=0.05),
        retained=lambda *told: retained.append(told),
    )  # fmt: skip
    bench.guest("a")
    bench.write("a.log", "x")
    old, archive = bench.write("a.log.0", "x"), bench.write("a.log.1.gz", "x")
    for path in (old, archive):
        os.utime(path, (1, 1))
    bench.logs.start()
    eventually(lambda: retained)
    bench.logs.close()
    assert not old.exists()
    assert archive.exists()
    assert retained == [("here", str(old), "done")]


def test_without_a_retention_there_is_nothing_to_carry_out(bench: Bench) -> None:
    bench.guest("a")
    with pytest.raises(Invalid, match="no retention"):
        bench.logs.removing.clean(dry=True)


# Places


@pytest.mark.parametrize(
    ("uri", "directory", "virtlogd"),
    [
        ("qemu:///system", "/var/log/libvirt/qemu", "/run/libvirt/virtlogd-sock"),
        ("qemu:///session", "/h/.cache/libvirt/qemu/log", "/r/libvirt/virtlogd-sock"),
        ("qemu+unix:///system?socket=/run/libvirt/s", "/var/log/libvirt/qemu", "/run/libvirt/virtlogd-sock"),
        ("lxc:///system", "/var/log/libvirt/lxc", None),
        ("xen:///system", "/var/log/libvirt/libxl", None),
        ("bhyve:///system", "/var/log/libvirt/bhyve", None),
        ("qemu:///embed?root=/e", "/e/log/qemu", "/run/libvirt/virtlogd-sock"),
    ],
)
def test_each_hypervisor_of_this_host_has_its_places(uri: str, directory: str, virtlogd: str | None) -> None:
    found = places.places(uri, (), {"HOME": "/h", "XDG_RUNTIME_DIR": "/r"})
    assert isinstance(found, Places)
    assert (found.directories, found.virtlogd) == ((directory,), virtlogd)
    given = places.places(uri, ("/a//b/",), devices=("/c//d",))
    assert isinstance(given, Places)
    assert (given.directories, given.devices) == (("/a/b",), ("/c/d",))


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ssh://far/system",
        "qemu+tcp:///system",
        "qemu://far/system",
        "test:///default",
        "esx://far/",
        "qemu+ext:///x?command=c",
    ],
)
def test_other_hypervisors_have_none(uri: str) -> None:
    assert isinstance(places.places(uri), str)


@pytest.mark.parametrize(
    ("path", "plain"), [("/a//b/./c/", "/a/b/c"), ("/", "/"), ("a", None), ("/a/../b", None), ("/a\0", None)]
)
def test_paths_are_made_plain(path: str, plain: str | None) -> None:
    assert places.plain_path(path) == plain
