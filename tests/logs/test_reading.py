"""Lines from the end of a file and from anywhere in it, whatever its length; and records found in all files of a log."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import Denied, Failed, Invalid, NotFound, NotSupported
from agent.model.log import LogKind
from agent.model.occurrence import PerceivedSeverity
from drivers.logs import files, reading
from drivers.logs.lines import LINE, Line, escaped
from drivers.logs.searching import Wanted, Words, search


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def written(tmp_path: Path, octets: bytes) -> Path:
    path = tmp_path / "a.log"
    path.write_bytes(octets)
    return path


@pytest.mark.parametrize("size", [1, 70_000])
def test_the_last_lines_are_found_backwards(tmp_path: Path, size: int) -> None:
    texts = [b"%d" % n + b"x" * size for n in range(10)]
    octets = b"\n".join(texts) + b"\n"
    with opened(written(tmp_path, octets)) as descriptor:
        found = reading.last_lines(descriptor, len(octets), 3)
    assert [line.octets for line in found] == [text[:LINE] for text in texts[-3:]]
    for line, text in zip(found, texts[-3:], strict=True):
        assert octets[line.position : line.end] == text + b"\n"


@given(
    st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=8), st.booleans(), st.integers(1, 9)
)
def test_the_last_lines_are_the_last_of_all_lines(texts: list[bytes], feed: bool, most: int) -> None:
    octets = b"".join(text + b"\n" for text in texts) + (b"" if feed else b"rest")
    found = reading._split(octets, 0, most)
    assert found == list(reading.lines(chunks(octets)))[-most:]
    assert (
        b"".join(line.octets + b"\n" * line.whole for line in found) == octets[found[0].position :] if found else True
    )


def chunks(octets: bytes, size: int = 7) -> reading.Read:
    """Reads in pieces of so many octets."""
    at = 0

    def read(most: int) -> bytes:
        nonlocal at
        part = octets[at : at + min(size, most)]
        at += len(part)
        return part

    return read


@given(st.binary(max_size=200), st.integers(1, 50))
def test_lines_do_not_depend_on_how_they_come(octets: bytes, size: int) -> None:
    found = list(reading.lines(chunks(octets, size)))
    assert found == list(reading.lines(chunks(octets, 1000)))
    assert b"".join(line.octets + b"\n" * line.whole for line in found) == octets
    assert [line.position for line in found[1:]] == [line.end for line in found[:-1]]


def test_a_log_of_two_gibibytes_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "huge.log"
    with path.open("wb") as file:
        file.write(b"first\n")
        file.seek(2 << 30)
        file.write(b"\nlast but one\nlast\n")
    size = path.stat().st_size
    tracemalloc.start()
    began = time.process_time()
    with opened(path) as descriptor:
        first = reading.first_line(descriptor)
        last = reading.last_lines(descriptor, size, 2)
        far = reading.some_lines(reading.reader(descriptor, size - 5), size - 5, 10, 100)
        endless = reading.last_lines(descriptor, size, 500)
    spent, (_, most) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert first is not None
    assert first.octets == b"first"
    assert [line.octets for line in (*last, *far)] == [b"last but one", b"last", b"last"]
    assert len(endless) == 3
    assert most < 8 << 20
    assert spent < 1


def test_a_line_without_an_end_is_cut_in_memory(tmp_path: Path) -> None:
    found = list(reading.lines(chunks(b"x" * (1 << 20) + b"\nnext\n", 65536)))
    assert [len(line.octets) for line in found] == [LINE, 4]
    assert found[1].position == (1 << 20) + 1


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_what_is_compressed_is_read(tmp_path: Path, ending: str, pack: object) -> None:
    octets = b"".join(b"line %d\n" % n for n in range(1000))
    with opened(written(tmp_path, pack(octets))) as descriptor:  # type: ignore[operator]
        found = reading.last_unpacked(reading.unpacker(descriptor, ending, "a"), 2, 100)
        assert [line.octets for line in found] == [b"line 998", b"line 999"]
        some = reading.some_lines(reading.skipped(reading.unpacker(descriptor, ending, "a"), 7, "a", 100), 7, 1, 100)
        assert some == [Line(position=7, end=14, octets=b"line 1")]


def test_what_cannot_be_unpacked_is_told(tmp_path: Path) -> None:
    for octets in (b"no gz", gzip.compress(b"x" * 100_000)[:-20]):
        with opened(written(tmp_path, octets)) as descriptor, pytest.raises(Failed, match="cannot be unpacked"):
            reading.last_unpacked(reading.unpacker(descriptor, "gz", "a.gz"), 1, 100)
    with opened(written(tmp_path, b"")) as descriptor, pytest.raises(NotSupported, match="zst"):
        reading.unpacker(descriptor, "zst", "a.zst")


def test_a_file_that_unpacks_to_very_much_is_read_so_far_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "UNPACKED", 1 << 20)
    with opened(written(tmp_path, gzip.compress(b"\0" * (8 << 20)))) as descriptor:
        (line,) = reading.last_unpacked(reading.unpacker(descriptor, "gz", "a"), 3, 1 << 20)
        assert line.end == 1 << 20
        with pytest.raises(Failed, match="only the first"):
            reading.skipped(reading.unpacker(descriptor, "gz", "a"), 2 << 20, "a", 100)


# Opening


def test_links_of_others_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.log").write_text("x")
    (tmp_path / "real" / "b.log").symlink_to(tmp_path / "real" / "a.log")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "real" / "c.log")
    with files.directory(str(tmp_path / "link")) as folder:  # it is our own
        with pytest.raises(Denied, match="symbolic link"), files.file("d", folder, "b.log", 0):
            pass
        with pytest.raises(Failed, match="not a regular file"), files.file("d", folder, "c.log", 0):
            pass
        with pytest.raises(NotFound), files.file("d", folder, "none.log", 0):
            pass
    if os.geteuid() == 0:
        os.chown(tmp_path / "link", 65534, 65534, follow_symlinks=False)
        with (
            pytest.raises(Denied, match="link is a symbolic link of somebody else's"),
            files.directory(str(tmp_path / "link")),
        ):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read what is another account's")
def test_root_does_not_read_for_a_session_what_is_not_the_sessions(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("x")
    with files.directory(str(tmp_path)) as folder:
        with pytest.raises(Denied, match="another account"), files.file("d", folder, "a.log", 65534):
            pass
        with files.file("d", folder, "a.log", 0) as descriptor:
            assert os.read(descriptor, 9) == b"x"


# Searching


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("disk*full", "the disk sda is full", True), ("disk*full", "full disk", False),
        ("d?sk", "disk", True), ("d?sk", "dsk", False),
        ("DISK", "disk", True), ("*", "", True), ("a**b", "ab", True), ("a?*?b", "axxb", True), ("a?*?b", "axb", False),
        ("[x]", "a[x]b", True), (".", "x", False), ("é", "É", True), ("\\\\", "a\\\\b", True),
    ],
)  # fmt: skip
def test_words_are_found(pattern: str, text: str, found: bool) -> None:
    assert Words(pattern, case=False).found(text) is found


def test_capital_letters_differ_if_asked_for() -> None:
    assert not Words("DISK", case=True).found("disk")


@given(st.text(st.sampled_from("ab?*"), max_size=8), st.text(st.sampled_from("abAB\\x1\x1b"), max_size=12))
def test_the_quick_look_passes_by_nothing(pattern: str, text: str) -> None:
    for case in (False, True):
        words = Words(pattern, case=case)
        octets = text.encode()
        assert not words.found(escaped(octets)) or words.may_be_in(octets)


def test_words_that_are_made_to_be_slow_are_not() -> None:
    words = Words("a*" * 100 + "b", case=False)
    began = time.process_time()
    for _ in range(20):
        assert not words.found("a" * 4000)
    assert time.process_time() - began < 1
    with pytest.raises(Invalid, match="longer"):
        Words("x" * 257, case=False)


T = "2026-11-30 11:2{0}:00.000+0000: "
LOG = "".join(
    [T.format(1) + "starting up libvirt\n", "LC_ALL=C \\\n", "/usr/bin/qemu \\\n", "-name x\n",
     T.format(2) + "Domain id=1 is tainted: x\n",
     "no time\n", T.format(3) + "shutting down, reason=crashed\n"]
).encode()  # fmt: skip


def found(wanted: Wanted, *texts: bytes) -> list[tuple[str, str]]:
    walk = ((f"f{n}", reading.lines(chunks(text))) for n, text in enumerate(texts or (LOG,)))
    return [(each.file, each.text) for each in search(walk, LogKind.HYPERVISOR, wanted, lambda: None).found]


def test_a_record_is_found_by_any_of_its_lines() -> None:
    assert found(Wanted(words=Words("lc_all*name", case=False))) == [("f0", "LC_ALL=C /usr/bin/qemu -name x")]


def test_a_record_without_a_time_has_that_of_the_one_before() -> None:
    since = datetime(2026, 11, 30, 11, 22, tzinfo=UTC)
    assert [t for _, t in found(Wanted(since=since))][1] == "no time"
    until = datetime(2026, 11, 30, 11, 22, tzinfo=UTC)
    assert [t for _, t in found(Wanted(until=until))][-1] == "LC_ALL=C /usr/bin/qemu -name x"


def test_records_are_found_by_severity_and_the_newest_are_kept() -> None:
    assert len(found(Wanted(severity=PerceivedSeverity.WARNING))) == 2
    walk = [("f", reading.lines(chunks(LOG)))]
    result = search(walk, LogKind.HYPERVISOR, Wanted(most=1), lambda: None)
    assert result.more
    assert "crashed" in result.found[0].text


def test_files_are_searched_in_order() -> None:
    assert [file for file, _ in found(Wanted(words=Words("tainted", case=False)), LOG, LOG)] == ["f0", "f1"]


def test_a_search_ends_when_it_is_told_to() -> None:
    def stop() -> None:
        raise Failed("cancelled")

    with pytest.raises(Failed):
        search([("f", reading.lines(chunks(b"x\n" * 10_000)))], LogKind.CONSOLE, Wanted(), stop)
