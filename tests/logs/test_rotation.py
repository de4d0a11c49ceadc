"""Logs that are rotated, replaced or damaged while they are read: each octet once, or words that say why not."""

from __future__ import annotations

import gzip
import lzma
import os
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.driver import NOBODY, LogSettings
from agent.errors import Failed, Invalid
from agent.model.log import DownloadLog, Log, LogFile, LogRecord, ReadLog, SearchLog
from drivers.logs import collection, files, reading
from drivers.logs.collection import Collection, Told
from drivers.logs.listing import Known
from drivers.logs.places import Places
from tests.servers import eventually


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "logs"
    made.mkdir()
    return made


@pytest.fixture
def logs(folder: Path) -> Collection:
    told = Told(matched=lambda _p, _e: None, changed=lambda _: None)
    return Collection("here", Places(directories=(str(folder),), virtlogd=None), LogSettings(follow=False), told)


class Moving:
    """A task that keeps what it is sent, and does something each time."""

    def __init__(self, then: Callable[[Moving], None] = lambda _: None) -> None:
        self.got = b""
        self.size: int | None = None
        self.then = then
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
        self.then(self)


def rotate(path: Path, text: str = "", backups: int = 30) -> None:
    """Rename the files as virtlogd does, and begin a new one."""
    for number in range(backups - 1, -1, -1):
        older = Path(f"{path}.{number}")
        if older.exists():
            older.unlink() if number == backups - 1 else older.rename(f"{path}.{number + 1}")
    path.rename(f"{path}.0")
    path.write_text(text)


def made(folder: Path, *older: str, now: str = "now\n") -> Path:
    path = folder / "a.log"
    path.write_text(now)
    for number, text in enumerate(older):
        Path(f"{path}.{number}").write_text(text)
    return path


def known(logs: Collection, path: Path) -> Known:
    return logs.find(str(path))


def once(do: Callable[[], None]) -> Callable[[Moving], None]:
    left = [do]
    return lambda _: left.pop()() if left else None


def test_a_download_is_whole_though_the_log_is_rotated_meanwhile(logs: Collection, folder: Path) -> None:
    path = made(folder, "zero\n", "one\n", "two\n")
    task = Moving(once(lambda: rotate(path, "new\n")))
    logs.download(known(logs, path), DownloadLog(), task)
    assert task.got == b"two\none\nzero\nnow\n"
    assert task.size == len(task.got)


def test_a_download_of_which_a_file_was_removed_meanwhile_fails(logs: Collection, folder: Path) -> None:
    path = made(folder, "zero\n", "one\n")
    with pytest.raises(Failed, match=r"a\.log\.0: it was removed before it could be read"):
        logs.download(known(logs, path), DownloadLog(), Moving(once(Path(f"{path}.0").unlink)))


def test_a_search_finds_all_though_the_log_is_rotated_meanwhile(
    logs: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(folder, "needle 1\n", "needle 2\n", now="needle 0\n")
    rotating = iter([lambda: rotate(path)])
    found = logs._file

    def then(*its: object) -> object:
        next(rotating, lambda: None)()
        return found(*its)  # type: ignore[arg-type]

    monkeypatch.setattr(logs, "_file", then)
    got = logs.search(known(logs, path), SearchLog(pattern="needle"), NOBODY)
    assert [line.split("\t")[-1] for line in got["text"].splitlines()] == ["needle 2", "needle 1", "needle 0"]


def test_a_search_tells_of_a_file_that_was_removed_meanwhile(
    logs: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(folder, "needle 1\n", now="needle 0\n")
    listed = logs._all

    def then(*its: object) -> object:
        told = listed(*its)  # type: ignore[arg-type]
        Path(f"{path}.0").unlink()
        return told

    monkeypatch.setattr(logs, "_all", then)
    got = logs.search(known(logs, path), SearchLog(pattern="needle"), NOBODY)
    assert got["found"] == 1
    assert got["text"].startswith("a.log.0\t-\t-\t-\t")
    assert "was removed before it could be read" in got["text"]


def test_files_that_are_renamed_while_they_are_listed_are_listed_once(
    logs: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = made(folder, "zero\n", "one\n")
    rotating = iter([lambda: rotate(log, "new\n")] * 2)
    look = files.looked_up

    def then(path: str, opened: int, name: str, owner: int) -> os.stat_result:
        told = look(path, opened, name, owner)
        next(rotating, lambda: None)()
        return told

    monkeypatch.setattr(files, "looked_up", then)
    task = Moving()
    logs.download(known(logs, log), DownloadLog(), task)
    assert task.got == b"one\nzero\nnow\nnew\nnew\n"


def test_a_download_ends_though_the_log_grows_as_fast(logs: Collection, folder: Path) -> None:
    path = made(folder, now="x" * 70_000)

    def grow(task: Moving) -> None:
        with path.open("a") as file:
            file.write("y" * 70_000)
        if len(task.got) > 50_000_000:
            task.stop()

    task = Moving(grow)
    logs.download(known(logs, path), DownloadLog(follow=0), task)
    assert task.got == b"x" * 70_000

    def grow_slowly(task: Moving) -> None:
        threading.Event().wait(0.005)
        grow(task)

    following = Moving(grow_slowly)
    logs.download(known(logs, path), DownloadLog(follow=1), following)
    assert following.got.startswith(b"x" * 70_000 + b"y" * 70_000)


def followed(logs: Collection, path: Path, task: Moving) -> tuple[threading.Thread, list[str]]:
    ended: list[str] = []

    def run() -> None:
        try:
            logs.download(known(logs, path), DownloadLog(follow=60), task)
        except Failed as error:
            ended.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def test_a_download_has_what_was_rotated_twice_between_two_looks(logs: Collection, folder: Path) -> None:
    path, task = made(folder), Moving()
    thread, ended = followed(logs, path, task)
    eventually(lambda: task.got == b"now\n")
    for turn in range(3):
        rotate(path, f"{turn}\n", backups=4)
    eventually(lambda: task.got == b"now\n0\n1\n2\n", what=f"all of it: {task.got!r}")
    os.truncate(path, 0)
    eventually(lambda: path.stat().st_size == 0)
    with path.open("a") as file:
        file.write("x\n")
    task.stop()
    thread.join(10)
    assert ended == [f"log {path}: cannot download: it was cancelled"]


def test_a_download_fails_if_the_log_is_rotated_faster_than_it_is_read(logs: Collection, folder: Path) -> None:
    path, task = made(folder), Moving()
    thread, ended = followed(logs, path, task)
    eventually(lambda: task.got == b"now\n")
    for turn in range(4):
        rotate(path, f"{turn}\n", backups=2)
    thread.join(10)
    assert "rotated so fast that files were gone" in ended[0]


def test_a_download_goes_on_after_a_log_that_has_no_older_files_was_replaced(logs: Collection, folder: Path) -> None:
    path, task = made(folder), Moving()
    thread, ended = followed(logs, path, task)
    eventually(lambda: task.got == b"now\n")
    path.unlink()
    path.write_text("new\n")
    eventually(lambda: task.got == b"now\nnew\n")
    task.stop()
    thread.join(10)
    assert len(ended) == 1


# Bounds


def test_a_line_without_an_end_is_read_in_parts(logs: Collection, folder: Path) -> None:
    path = made(folder)
    with path.open("wb") as file:
        file.truncate(1 << 30)
    began = time.process_time()
    got = logs.read(known(logs, path), ReadLog(position=0, lines=2))
    assert time.process_time() - began < 1
    assert got["end"] < 5 << 20
    assert logs.read(known(logs, path), ReadLog(position=got["end"], lines=1))["begin"] == got["end"]
    rotate(path)
    again = logs.read(known(logs, path), ReadLog(file="a.log.0", position=got["end"], lines=1))
    assert again["begin"] == got["end"]


def test_long_lines_are_read_page_by_page_without_a_part_of_one(
    logs: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "GIVEN", 100_000)
    path = made(folder, now="".join(f"{n}{'x' * 30_000}\n" for n in range(20)))
    at, first = 0, []
    while at < path.stat().st_size:
        got = logs.read(known(logs, path), ReadLog(position=at, lines=10))
        first += [line.partition("x")[0] for line in got["text"].splitlines()]
        at = got["end"]
    assert first == [str(n) for n in range(20)]


def test_what_is_unpacked_of_a_file_is_bounded_in_memory(logs: Collection, folder: Path) -> None:
    path = made(folder)
    with gzip.open(f"{path}.1.gz", "wb", compresslevel=1) as packed:
        for _ in range(3000):
            packed.write(b"x" * 16_383 + b"\n")
    tracemalloc.start()
    got = logs.read(known(logs, path), ReadLog(file="a.log.1.gz", lines=10_000))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert got["end"] == 3000 * 16_384
    assert got["text"].count("\n") == collection.GIVEN // 16_383
    assert most < 24 << 20


def test_an_xz_file_of_several_streams_is_read(logs: Collection, folder: Path) -> None:
    path = made(folder)
    one, two = (lzma.compress(text * 20_000) for text in (b"one\n", b"two\n"))
    Path(f"{path}.1.xz").write_bytes(one + bytes(8) + two + bytes(4))
    task = Moving()
    logs.download(known(logs, path), DownloadLog(), task)
    assert task.got == b"one\n" * 20_000 + b"two\n" * 20_000 + b"now\n"
    Path(f"{path}.1.xz").write_bytes(one[:-9])
    with pytest.raises(Failed, match="cannot be unpacked: it ends too early"):
        logs.download(known(logs, path), DownloadLog(), Moving())


def test_an_xz_file_that_wants_too_much_memory_is_refused(
    logs: Collection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made(folder)
    Path(f"{path}.1.xz").write_bytes(lzma.compress(b"x\n", preset=6))
    assert logs.read(known(logs, path), ReadLog(file="a.log.1.xz"))["text"] == "x\n"
    monkeypatch.setattr(reading, "XZ", 1 << 20)
    with pytest.raises(Failed, match=r"cannot be unpacked: Memory usage limit"):
        logs.read(known(logs, path), ReadLog(file="a.log.1.xz"))


# Places that are another file's


def test_a_place_where_no_line_of_an_older_file_begins_is_told(logs: Collection, folder: Path) -> None:
    path = made(folder, "one\ntwo\nthree\n")
    at = logs.read(known(logs, path), ReadLog(file="a.log.0", position=0, lines=2))["end"]
    rotate(path)
    for text in ("a longer line than that\n", "other lines\nof it\n"):
        Path(f"{path}.0").write_text(text)
        with pytest.raises(Invalid, match=r"a\.log\.0: no line begins at 8; the files may have been renamed"):
            logs.read(known(logs, path), ReadLog(file="a.log.0", position=at))
    assert logs.read(known(logs, path), ReadLog(file="a.log.1", position=at))["text"] == "three\n"
    Path(f"{path}.2.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    for place, why in ((5, "no line begins at 5"), (9, "length is 8")):
        with pytest.raises(Invalid, match=why):
            logs.read(known(logs, path), ReadLog(file="a.log.2.gz", position=place))
    assert logs.read(known(logs, path), ReadLog(file="a.log.2.gz", position=4))["text"] == "two\n"


# Rows


def test_what_only_has_the_name_of_an_older_file_is_told_and_harms_nothing(logs: Collection, folder: Path) -> None:
    path = made(folder, "zero\n")
    Path(f"{path}.7").mkdir()
    Path(f"{path}.8").symlink_to(path)
    rows = logs.rows(known(logs, path))
    row = rows[0]
    assert isinstance(row, Log)
    assert (row.files, row.last_line) == (2, "now")
    assert "a.log.7: it is not a regular file" in (row.problem or "")
    assert "a.log.8: it is a symbolic link" in (row.problem or "")
    assert [each.name for each in rows if isinstance(each, LogFile)] == ["a.log", "a.log.0"]
    task = Moving()
    logs.download(known(logs, path), DownloadLog(), task)
    assert task.got == b"zero\nnow\n"


def numbers(logs: Collection, path: Path) -> list[tuple[int, str | None]]:
    return [(row.number, row.text) for row in logs.rows(known(logs, path)) if isinstance(row, LogRecord)]


def test_records_of_a_log_that_is_made_anew_with_the_same_inode_are_new(logs: Collection, folder: Path) -> None:
    path = made(folder, now="one\ntwo\nthr")
    assert numbers(logs, path) == [(1, "one"), (2, "two"), (3, "thr")]
    with path.open("a") as file:
        file.write("ee\n")
    assert numbers(logs, path) == [(1, "one"), (2, "two"), (3, "three")]
    path.write_text("now\ntwo\nthree\nfour\n")  # as a file that got the inode of one that was removed
    assert numbers(logs, path) == [(4, "now"), (5, "two"), (6, "three"), (7, "four")]
