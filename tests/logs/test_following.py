"""Lines that come are seen once each: over rotation, cutting and removing, in many logs, and also when they come too fast."""

from __future__ import annotations

import os
import queue
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agent.driver import LogRule
from agent.model.log import LogKind, LogMatched
from agent.model.occurrence import PerceivedSeverity
from drivers.logs import following, inotify
from drivers.logs.following import Followed, Follower, Listener
from drivers.logs.ownership import Owner, owner_of
from tests.servers import eventually


class Following:
    """A follower of a folder, and what it told."""

    def __init__(self, folder: Path, rules: Sequence[LogRule] = (), *more: Path, owner: int = 0) -> None:
        self.folder = folder
        self.matched: list[tuple[str, LogMatched]] = []
        self.changed: queue.SimpleQueue[str] = queue.SimpleQueue()
        listener = Listener(
            matched=lambda path, event: self.matched.append((Path(path).name, event)),
            changed=self._changed,
            appeared=lambda _, name: owner_of(name),
        )
        self.follower = Follower([str(folder), *map(str, more)], lambda: owner, rules, listener)
        self.follower.start()
        assert self.follower.wait_begun(10)

    def _changed(self, paths: Sequence[str]) -> None:
        for each in paths:
            self.changed.put(Path(each).name)

    def counts(self, name: str) -> Followed | None:
        return self.follower.counts(f"{self.folder}/{name}")

    def until(self, name: str, fits: Callable[[Followed], bool]) -> Followed:
        """What was counted of a log, once it fits."""

        def probe() -> Followed | None:
            counted = self.counts(name)
            return counted if counted is not None and fits(counted) else None

        found = eventually(probe, within=20, what=f"{name}: {self.counts(name)}")
        assert found is not None
        return found

    def lines(self, name: str, number: int) -> Followed:
        found = self.until(name, lambda c: c.lines >= number)
        assert found.lines == number
        return found

    def ended(self) -> None:
        self.follower.close()
        self.follower._thread.join(10)
        assert not self.follower._thread.is_alive()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def begin(folder: Path) -> Iterator[Callable[..., Following]]:
    begun: list[Following] = []

    def make(*rules: LogRule) -> Following:
        begun.append(Following(folder, rules))
        return begun[-1]

    yield make
    for each in begun:
        each.ended()


Begin = Callable[..., Following]


class Writer:
    """Writes a log as virtlogd does, and rotates it."""

    def __init__(self, folder: Path, name: str = "a.log", backups: int = 30) -> None:
        self.path, self.backups = folder / name, backups
        self._file = self._open()

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, octets: bytes) -> None:
        os.write(self._file, octets)

    def rotate(self) -> None:
        os.close(self._file)
        for number in range(self.backups - 1, -1, -1):
            older = Path(f"{self.path}.{number}")
            if older.exists():
                older.unlink() if number == self.backups - 1 else older.rename(f"{self.path}.{number + 1}")
        self.path.rename(f"{self.path}.0")
        self._file = self._open()

    def close(self) -> None:
        os.close(self._file)


def test_what_was_there_before_is_not_new(folder: Path, begin: Begin) -> None:
    (folder / "a.log").write_text("old\n" * 100)
    f = begin()
    writer = Writer(folder)
    writer.write(b"new\nnot yet")
    assert f.lines("a.log", 1).written == 4
    writer.write(b" whole\n")
    assert f.lines("a.log", 2).written == 18
    writer.close()


def test_a_log_that_comes_later_is_read_from_its_beginning(folder: Path, begin: Begin) -> None:
    f = begin()
    writer = Writer(folder, "later.log")
    writer.write(b"one\ntwo\n")
    f.lines("later.log", 2)
    assert (eventually(lambda: not f.changed.empty() and f.changed.get(), what="that it changed")) == "later.log"
    writer.close()


def test_a_log_that_is_wanted_before_its_coming_is_heard_of_is_read_from_its_beginning(
    folder: Path, begin: Begin
) -> None:
    f = begin()
    for number in range(20):
        name = f"g{number}.log"
        (folder / name).write_text("one\ntwo\n")
        f.follower.follow({(str(folder), name): Owner(uuid="u", domain=f"g{number}")})
        f.lines(name, 2)


def test_every_line_is_seen_once_over_rotation(folder: Path, begin: Begin) -> None:
    f = begin()
    writer = Writer(folder)
    number = 0
    for turn in range(25):
        for _ in range(37):
            writer.write(b"line %d\n" % number)
            number += 1
        writer.write(b"goes on in ")
        writer.rotate()
        writer.write(b"the next file\n")
        number += 1
        if turn % 5 == 0:
            f.until("a.log", lambda c: c.lines > 0)
    found = f.lines("a.log", number)
    assert (found.lost, found.left_out, found.trouble()) == (0, 0, "")
    assert found.written == sum(each.stat().st_size for each in folder.iterdir())
    writer.close()


def test_what_was_rotated_away_before_it_was_read_is_told(folder: Path, begin: Begin) -> None:
    f = begin()
    writer = Writer(folder, backups=1)
    writer.write(b"one\n")
    f.lines("a.log", 1)
    for number in range(3):
        writer.write(b"%d\n" % number)
        writer.rotate()
    writer.write(b"last\n")
    found = f.until("a.log", lambda c: c.lost > 0 and c.offset == 5)
    assert "gone before they were read" in found.trouble()
    writer.close()


def test_a_log_that_is_cut_goes_on(folder: Path, begin: Begin) -> None:
    f = begin()
    writer = Writer(folder)
    writer.write(b"one\ntwo\n")
    f.lines("a.log", 2)
    os.truncate(folder / "a.log", 0)
    writer.write(b"x\n")
    f.lines("a.log", 3)
    writer.close()


def test_a_log_that_is_removed_and_made_anew_is_read_from_its_beginning(folder: Path, begin: Begin) -> None:
    f = begin()
    for turn in range(1, 4):
        writer = Writer(folder)
        writer.write(b"one\ntwo\n")
        f.lines("a.log", 2 * turn)
        writer.close()
        (folder / "a.log").unlink()
        f.until("a.log", lambda c: c.inode == 0)


def test_a_log_that_is_replaced_again_and_again_is_read_once(folder: Path, begin: Begin) -> None:
    f = begin()
    seen: list[bytes] = []
    f.follower._count = lambda _, line: seen.append(line.octets)  # type: ignore[method-assign,assignment]
    writer = Writer(folder)
    number = 0
    for turn in range(12):
        for _ in range(9):
            writer.write(b"line %06d\n" % number)
            number += 1
        if turn % 2:
            eventually(lambda n=number: seen and seen[-1] == b"line %06d" % (n - 1), what="the last line")  # type: ignore[misc]
        writer.close()
        (folder / "a.log").unlink()
        writer = Writer(folder)
    f.until("a.log", lambda c: not f.follower._dirty and c.lost > 0)
    assert seen == sorted(set(seen))
    writer.close()


def test_what_was_not_read_of_a_log_that_is_removed_is_told(folder: Path, begin: Begin) -> None:
    f = begin()
    for _ in range(20):
        writer = Writer(folder)
        writer.write(b"one\n")
        writer.close()
        (folder / "a.log").unlink()
    Writer(folder).close()
    found = f.until("a.log", lambda c: c.lines + c.lost >= 20 and bool(c.inode))
    assert found.lost == 0 or "files were gone before they were read to their end" in found.trouble()
    assert found.lost > 0 or found.lines == 20


def test_a_log_that_was_read_to_its_end_loses_nothing_when_it_is_removed(folder: Path, begin: Begin) -> None:
    f = begin()
    writer = Writer(folder)
    writer.write(b"one\n")
    f.until("a.log", lambda c: c.lines == 1 and not c.unread)
    f.until("a.log", lambda c: not f.follower._dirty)
    (folder / "a.log").unlink()
    assert f.until("a.log", lambda c: c.inode == 0).lost == 0
    writer.close()


def test_a_log_that_was_renamed_to_somewhere_else_is_no_more(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, begin: Begin
) -> None:
    f = begin()
    Writer(folder).close()
    f.until("a.log", lambda c: bool(c.inode))
    with (folder / "a.log").open("a") as file:
        file.write("no end")
    f.until("a.log", lambda c: c.unread)
    (folder / "a.log").rename(tmp_path_factory.mktemp("away") / "a.log")
    assert f.until("a.log", lambda c: c.inode == 0).lost == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another account")
def test_what_a_log_had_when_it_could_not_be_read_yet_is_not_new(folder: Path) -> None:
    path = folder / "a.log"
    path.write_text("boom long ago\n" * 50)
    os.chown(path, 77, 77)
    f = Following(folder, [rule("bad", "boom")], owner=55)
    f.until("a.log", lambda c: "another account" in c.problem)
    os.chown(path, 55, 55)
    with path.open("a") as file:
        file.write("fine\n")
    f.until("a.log", lambda c: bool(c.inode))
    with path.open("a") as file:
        file.write("boom now\n")
    eventually(lambda: f.matched, what="the new line")
    f.ended()
    assert [event.line for _, event in f.matched] == ["boom now"]


def test_two_paths_to_one_directory_are_both_followed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "real").mkdir()
    (other / "link").symlink_to(other / "real")
    for name in "ab":
        (other / "real" / name).touch()
    f = Following(folder)
    here, there = (str(other / "real"), "a"), (str(other / "link"), "b")
    f.follower.follow({here: Owner(uuid="a", domain="a"), there: Owner(uuid="b", domain="b")})
    for where in (here, there):
        eventually(lambda p=where[0]: (q := f.follower._folders.get(p)) and q.watch, what="its watch")  # type: ignore[misc]
    for name in "ab":
        (other / "real" / name).write_text("one\n")
    for where in (here, there):
        eventually(lambda w=where: (c := f.follower.counts("/".join(w))) and c.lines == 1, what="its line")  # type: ignore[misc]
    f.follower.follow({there: Owner(uuid="b", domain="b")})
    eventually(lambda: here[0] not in f.follower._folders, what="the end of one")
    with (other / "real" / "b").open("a") as file:
        file.write("two\n")
    eventually(lambda: (c := f.follower.counts("/".join(there))) and c.lines == 2, what="the other goes on")
    f.ended()
    assert all(not c.problem for c in f.follower._known.values())


def test_a_directory_that_is_renamed_and_made_anew_is_heard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_FOR_FOLDERS", 0.3)
    logs = folder / "logs"
    logs.mkdir()
    f = Following(logs)
    for turn in range(3):
        logs.rename(folder / f"away{turn}")
        logs.mkdir()
        (logs / f"{turn}.log").write_text("new\n")
        f.lines(f"{turn}.log", 1)
        (folder / f"away{turn}" / f"{turn}.log").write_text("old\nold\n")
    assert f.counts("0.log") is None or f.counts("2.log").lines == 1  # type: ignore[union-attr]
    f.ended()


def test_a_directory_that_is_not_there_costs_the_others_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_FOR_FOLDERS", 0.05)
    Writer(folder).close()
    f = Following(folder, (), folder / "absent")
    absent = f.follower._folders[str(folder / "absent")]
    _stay_quiet(f, absent)
    f.ended()


def _stay_quiet(f: Following, place: following._Folder) -> None:
    """A directory is looked at a few times, and nothing is read meanwhile."""
    read: list[str] = []
    advance = f.follower._advance

    def noted(followed: Followed, opened: int, most: int) -> tuple[int, bool]:
        read.append(followed.path)
        return advance(followed, opened, most)

    f.follower._advance = noted  # type: ignore[method-assign]
    dues: set[float] = set()
    eventually(lambda: dues.add(place.due) or len(dues) > 4, what="it to be looked at")  # type: ignore[func-returns-value]
    assert [path for path in read if place.path not in path] == []


def test_a_directory_that_cannot_be_watched_is_looked_at_ever_less_often(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = folder / "full"
    full.mkdir()

    class Full(inotify.Inotify):
        def watch(self, opened: int) -> int:
            if os.fstat(opened).st_ino == full.stat().st_ino:
                raise OSError(28, "No space left on device")
            return super().watch(opened)

    monkeypatch.setattr(following, "Inotify", Full)
    Writer(folder).close()
    f = Following(folder, (), full)
    place = f.follower._folders[str(full)]
    place.wait = 0.05
    (full / "b.log").write_text("one\n")
    eventually(lambda: (c := f.follower.counts(f"{full}/b.log")) and c.lines == 1, what="its line")
    assert "full cannot be watched" in f.follower.problem
    place.wait = 0.05
    _stay_quiet(f, place)
    assert place.wait > 0.4
    f.ended()


def test_who_writes_what_takes_long_to_search_waits_for_the_others(
    folder: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SEARCHING", 1e-9)
    f = begin(rule("bad", "e.{0,60}t"))
    loud, quiet = Writer(folder, "loud.log"), Writer(folder, "quiet.log")
    loud.write(b"".join(b"e%dt\n" % n for n in range(12)))
    quiet.write(b"et\n")
    f.lines("quiet.log", 1)
    slow = f.counts("loud.log")
    assert slow is not None
    assert slow.lines < 6
    assert f.lines("loud.log", 12).matches == 12
    assert slow.trouble() == ""
    loud.close()
    quiet.close()


def test_who_is_too_slow_to_be_searched_is_left_out_and_told(
    folder: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SEARCHING", 1e-9)
    monkeypatch.setattr(following, "BEHIND", 20_000)
    monkeypatch.setattr(following, "PORTION", 2000)
    f = begin(rule("bad", "e.{0,60}t"))
    writer = Writer(folder)
    writer.write(b"x" * 99 + b"\n")
    for _ in range(400):
        writer.write(b"x" * 99 + b"\n")
    found = f.until("a.log", lambda c: c.left_out > 0)
    assert "came too fast" in found.trouble()
    writer.close()


def test_errors_and_warnings_are_counted(folder: Path, begin: Begin) -> None:
    f = begin()
    writer = Writer(folder)
    writer.write(b"qemu-system-x86_64: warning: odd\nqemu-system-x86_64: bad\nnothing\n")
    found = f.lines("a.log", 3)
    assert (found.errors, found.warnings, found.matches) == (1, 1, 0)
    writer.close()


def rule(name: str, pattern: str, **more: object) -> LogRule:
    return LogRule(name=name, pattern=re.compile(pattern), **more)  # type: ignore[arg-type]


def test_a_match_is_told_with_its_line(folder: Path, begin: Begin) -> None:
    f = begin(rule("bad", "I/O error", severity=PerceivedSeverity.MAJOR), rule("other", "x", domains=("b*",)))
    writer = Writer(folder)
    writer.write(b"fine x\n2026-11-30T11:27:01Z qemu-system-x86_64: \x1bI/O error\n")
    eventually(lambda: f.matched, what="the match")
    ((name, event),) = f.matched
    assert (name, event.rule, event.severity, event.position, event.matches) == (
        "a.log",
        "bad",
        PerceivedSeverity.MAJOR,
        7,
        1,
    )
    assert event.line == "2026-11-30T11:27:01Z qemu-system-x86_64: \\x1bI/O error"
    assert event.written is not None
    writer.close()


def test_rules_concern_domains_and_kinds(folder: Path, begin: Begin) -> None:
    f = begin(rule("named", "x", domains=("w?b",)), rule("kind", "x", kinds=(LogKind.CONSOLE,)))
    for name in ("web.log", "mail.log", "con.log"):
        Path(folder / name).touch()
    consoles = {(str(folder), "con.log"): Owner(uuid="u", domain="mail", kind=LogKind.CONSOLE)}
    f.follower.follow(consoles)
    f.until("con.log", lambda c: c.owner.uuid == "u")
    for name in ("web.log", "mail.log", "con.log"):
        (folder / name).write_text("x\n")
    eventually(lambda: len(f.matched) == 2, what="two matches")
    assert {(name, event.rule) for name, event in f.matched} == {("web.log", "named"), ("con.log", "kind")}


def test_many_matches_are_told_a_few_times_with_their_number(folder: Path, begin: Begin) -> None:
    f = begin(rule("bad", "boom"))
    writer = Writer(folder)
    began = time.monotonic()
    for number in range(3000):
        writer.write(b"boom %d\n" % number)
        if number % 300 == 0:
            f.until("a.log", lambda c, n=number: c.lines >= n // 2)  # type: ignore[misc]
    eventually(lambda: sum(event.matches or 0 for _, event in f.matched) == 3000, what="all to be told")
    assert len(f.matched) <= (time.monotonic() - began) / following.TOLD_EVERY + 2
    assert f.matched[-1][1].line == "boom 2999"
    writer.close()


def test_who_writes_too_fast_is_not_followed_line_by_line(folder: Path, begin: Begin) -> None:
    f = begin()
    quiet, loud = Writer(folder, "quiet.log"), Writer(folder, "loud.log")
    loud.write(b"x")
    block = b"y" * 99 + b"\n"
    loud.write(b"\n")
    for _ in range(16):
        loud.write(block * 10_000)
    quiet.write(b"one\n")
    loud.write(b"the end\n")
    f.lines("quiet.log", 1)
    found = f.until("loud.log", lambda c: c.written == 16_000_000 + 10)
    assert found.left_out > 8 << 20
    assert found.lines < 100_000
    assert "came too fast" in found.trouble()
    quiet.close()
    loud.close()


def test_a_line_that_never_ends_is_taken_in_pieces(folder: Path, begin: Begin) -> None:
    f = begin()
    writer = Writer(folder)
    for _ in range(8):
        writer.write(b"z" * 100_000)
        f.until("a.log", lambda c: c.inode != 0)
    writer.write(b"\nshort\n")
    found = f.until("a.log", lambda c: c.written == 800_007)
    assert 2 <= found.lines <= 5
    writer.close()


def test_logs_of_devices_are_followed_where_they_are(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, begin: Begin
) -> None:
    other = tmp_path_factory.mktemp("consoles")
    f = begin()
    owner = Owner(uuid="u", domain="a", kind=LogKind.CONSOLE)
    f.follower.follow({(str(other), "con"): owner})
    path = f"{other}/con"
    eventually(lambda: f.follower.counts(path), what="the console")
    eventually(lambda: f.follower._folders[str(other)].watch is not None, what="the watch")
    (other / "con").write_text("one\n")
    (other / "not").write_text("one\n")
    found = eventually(lambda: (c := f.follower.counts(path)) is not None and c.lines == 1 and c, what="its line")
    assert isinstance(found, Followed)
    assert found.since is not None
    f.follower.follow({})
    eventually(lambda: f.follower.counts(path) is None, what="its end")
    assert str(other) not in f.follower._folders


def test_a_folder_that_is_made_later_is_followed(folder: Path) -> None:
    later = folder / "later"
    f = Following(later)
    later.mkdir()
    (later / "a.log").write_text("one\n")
    f.lines("a.log", 1)
    f.ended()


def test_without_events_logs_are_looked_at_now_and_then(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(following, "Inotify", none)
    f = Following(folder)
    assert "looked at now and then" in f.follower.problem
    writer = Writer(folder)
    writer.write(b"one\n")
    f.lines("a.log", 1)
    writer.rotate()
    writer.write(b"two\n")
    f.lines("a.log", 2)
    writer.close()
    f.ended()


def test_links_and_pipes_are_not_followed(folder: Path, begin: Begin) -> None:
    (folder / "secret").write_text("x\n")
    os.mkfifo(folder / "pipe.log")
    (folder / "link.log").symlink_to(folder / "secret")
    f = begin()
    with (folder / "secret").open("a") as secret:
        secret.write("more\n")
    for name, why in (("pipe.log", "not a regular file"), ("link.log", "symbolic link")):
        found = f.until(name, lambda c: bool(c.problem))
        assert why in found.problem
        assert found.lines == 0


def test_what_comes_and_goes_is_forgotten(folder: Path, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_EVERY", 0.3)
    f = begin()
    for number in range(50):
        (folder / f"guest{number}.log").write_text("x\n")
        (folder / f"guest{number}.txt").write_text("x\n")
        f.lines(f"guest{number}.log", 1) if number % 10 == 0 else None
        for each in folder.iterdir():
            each.unlink()
    place = f.follower._folders[str(folder)]
    eventually(lambda: not place.logs and not place.fresh, what="them to be forgotten")


def test_it_leaves_no_descriptor_behind(folder: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    f = Following(folder)
    (folder / "a.log").write_text("x\n")
    f.lines("a.log", 1)
    f.ended()
    assert len(os.listdir("/proc/self/fd")) == before
