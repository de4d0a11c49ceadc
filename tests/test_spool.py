"""The spool directory: plain names only, nothing outside it, nothing replaced, nothing half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.errors import Failed, Invalid, NotFound, VirtmapError
from agent.spool import Spool, unfit_name


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    directory = tmp_path / "spool"
    directory.mkdir()
    return Spool(directory, 1000)


def write(spool: Spool, name: str, data: bytes) -> None:
    made = spool.write(name)
    made.send(data)
    made.finish()


def test_what_was_written_is_read(spool: Spool) -> None:
    write(spool, "disk.img", b"0123456789")
    reading = spool.read("disk.img")
    assert (reading.size, reading.receive(4), reading.receive(100), reading.receive(1)) == (10, b"0123", b"456789", b"")
    reading.close()
    assert sorted(os.listdir(spool.directory)) == ["disk.img"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../up",
        "/etc/passwd",
        "a/b",
        ".hidden",
        "a\0b",
        "a\n",
        "x" * 201,
        "ä",
        "-rf",
        "~root",
        "a b",
        "a\\b",
    ],
)
def test_a_path_is_no_name(spool: Spool, name: str) -> None:
    assert unfit_name(name)
    for attempt in (spool.read, spool.write):
        with pytest.raises(Invalid):
            attempt(name)
    assert os.listdir(spool.directory) == []


def test_no_link_is_followed(spool: Spool, tmp_path: Path) -> None:
    assert spool.directory is not None
    outside = tmp_path / "outside"
    outside.write_text("secret")
    (spool.directory / "link").symlink_to(outside)
    (spool.directory / "dangling").symlink_to(tmp_path / "new")
    with pytest.raises(Invalid):
        spool.read("link")
    for name in ("link", "dangling"):
        with pytest.raises(VirtmapError):
            write(spool, name, b"x")
    assert outside.read_text() == "secret"
    assert not (tmp_path / "new").exists()


def test_only_regular_files_are_read(spool: Spool) -> None:
    assert spool.directory is not None
    os.mkfifo(spool.directory / "pipe")
    (spool.directory / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(Invalid):
            spool.read(name)


def test_nothing_is_replaced(spool: Spool) -> None:
    write(spool, "one", b"first")
    with pytest.raises(Invalid, match="there is one already"):
        spool.write("one")
    begun = spool.write("two")
    with pytest.raises(Invalid, match="is being written already"):
        spool.write("two")
    begun.drop()
    write(spool, "two", b"again")
    reading = spool.read("one")
    assert reading.receive(10) == b"first"
    reading.close()


def test_a_name_that_was_taken_meanwhile_is_left_alone(spool: Spool) -> None:
    assert spool.directory is not None
    begun = spool.write("late")
    begun.send(b"ours")
    (spool.directory / "late").write_bytes(b"theirs")
    with pytest.raises(Failed):
        begun.finish()
    assert (spool.directory / "late").read_bytes() == b"theirs"
    assert os.listdir(spool.directory) == ["late"]


def test_what_is_dropped_leaves_nothing(spool: Spool) -> None:
    begun = spool.write("half")
    begun.send(b"some")
    begun.drop()
    assert os.listdir(spool.directory) == []
    with pytest.raises(NotFound):
        spool.read("half")


def test_a_file_does_not_grow_beyond_the_limit(spool: Spool) -> None:
    begun = spool.write("big")
    begun.send(bytes(1000))
    with pytest.raises(Failed, match="more than 1000 bytes"):
        begun.send(b"x")
    begun.drop()


def test_without_a_directory_there_are_no_files() -> None:
    with pytest.raises(Invalid, match="there is no spool directory"):
        Spool(None, 1).read("name")


def test_a_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="the spool directory: No such file"):
        Spool(tmp_path / "nowhere", 1).write("name")
