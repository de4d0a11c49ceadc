"""Whose a path is: what a definition says of it is not believed, and what anybody else has a claim to is not removed."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.driver import Retention
from agent.errors import Busy, Denied, Failed, Invalid, NotFound, NotSupported
from agent.model.log import Log, LogKind, LogRotation
from drivers.libvirt import xml
from drivers.logs import aside, control, files, listing, places
from drivers.logs.aside import Aside
from drivers.logs.listing import Guest, Listing
from drivers.logs.ownership import DeviceLog
from drivers.logs.places import Places
from tests.logs.test_collection import Bench, virtlogd
from tests.servers import eventually

__all__ = ["virtlogd"]

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs another account")


def console(path: Path | str) -> DeviceLog:
    return DeviceLog(kind=LogKind.CONSOLE, device="serial0", path=str(path))


@pytest.fixture
def bench(tmp_path: Path, virtlogd: Path) -> Bench:
    return Bench(tmp_path / "logs", virtlogd, devices=[tmp_path / "consoles"])


@pytest.fixture
def consoles(tmp_path: Path) -> Path:
    path = tmp_path / "consoles"
    path.mkdir()
    return path


@contextmanager
def open_in_virtlogd(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> Iterator[None]:
    """Have virtlogd, as far as the agent sees, hold these files open."""
    inodes = {(path.stat().st_dev, path.stat().st_ino) for path in paths}
    with monkeypatch.context() as patch:
        patch.setattr(control, "_processes", lambda _owner: ["1"])
        patch.setattr(control, "_runs_virtlogd", lambda _process: True)
        patch.setattr(control, "_open_in", lambda _process: inodes)
        yield


# Which paths are served


def test_a_path_that_a_definition_names_is_served_only_where_the_configuration_allows_it(
    bench: Bench, tmp_path: Path
) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    secret = etc / "shadow"
    secret.write_text("root:secret\n")
    defined = f"<devices><serial type='file'><source path='{secret}'/></serial></devices>"
    devices = tuple(xml._logs(xml.parse(defined)))
    its = bench.guest("evil", devices=devices)
    (known,) = bench.logs.refresh()
    (row,) = bench.logs.rows(known)
    assert isinstance(row, Log)
    assert (row.path, row.domain, row.device, row.problem) == (
        str(secret), its, "serial0", f"{etc} is not among logs.device_directories, nor beneath one of them",
    )  # fmt: skip
    assert (row.size, row.inode, row.first_line, row.last_line, row.files) == (None, None, None, None, 0)
    assert (row.rotation, row.followed) == (LogRotation.UNKNOWN, False)
    with pytest.raises(Denied, match=r"not among logs\.device_directories"):
        bench.logs.find(str(secret))
    with pytest.raises(Denied, match=r"not among logs\.device_directories"):
        bench.logs.removing.remove(known, active=False)
    assert bench.logs.removing.check(its, "evil", active=False) == []
    assert bench.logs._listing.elsewhere() == {}, "it is not followed either"
    assert secret.read_text() == "root:secret\n"


def test_whether_a_directory_that_is_not_served_is_there_is_not_told(bench: Bench, tmp_path: Path) -> None:
    bench.guest("a", devices=(console(tmp_path / "none/x"),))
    (row,) = bench.logs.rows(bench.logs.refresh()[0])
    assert "not among" in row.problem


def test_a_link_out_of_a_directory_of_devices_is_seen_through(bench: Bench, consoles: Path, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "shadow").write_text("secret")
    (consoles / "way").symlink_to(etc)
    bench.guest("a", devices=(console(consoles / "way/shadow"),))
    (row,) = bench.logs.rows(bench.logs.refresh()[0])
    assert "not among" in row.problem
    assert row.size is None


def test_a_link_into_a_directory_of_devices_is_the_directory(bench: Bench, consoles: Path, tmp_path: Path) -> None:
    (consoles / "sub").mkdir()
    (consoles / "sub/x").write_text("x\n")
    (tmp_path / "alias").symlink_to(consoles)
    bench.guest("a", devices=(console(tmp_path / "alias/sub/x"),))
    assert bench.paths() == {f"{consoles}/sub/x"}
    assert bench.log(f"{consoles}/sub/x").size == 2
    assert bench.logs._listing.elsewhere().keys() == {(f"{consoles}/sub", "x")}


def test_two_spellings_of_a_directory_are_two_claims_to_one_file(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(bench.folder)
    bench.guest("victim", active=False)
    bench.guest("evil", devices=(console(tmp_path / "alias/victim.log"),))
    bench.write("victim.log", "x")
    (known,) = bench.logs.refresh()
    assert {each.domain for each in known.owners} == {"victim", "evil"}
    for do in (bench.logs.removing.remove, bench.logs.removing.clear):
        with pytest.raises(Invalid, match="the log of evil and victim"):
            do(known, active=False)
    assert (bench.folder / "victim.log").read_text() == "x"


@pytest.mark.parametrize("way", ["/proc/self/root", "/proc/1/root", "/proc/thread-self/root"])
def test_links_into_processes_are_not_followed(bench: Bench, way: str) -> None:
    bench.guest("evil", devices=(console(f"{way}{bench.folder}/victim.log"),))
    bench.write("victim.log", "x")
    assert {each.path for each in bench.logs.refresh() if not each.trouble} == {f"{bench.folder}/victim.log"}
    with pytest.raises(Denied, match="link into a process"):
        files.place(f"{way}{bench.folder}")


def test_links_are_followed_part_by_part(tmp_path: Path) -> None:
    real = tmp_path / "real/sub"
    real.mkdir(parents=True)
    (tmp_path / "absolute").symlink_to(tmp_path / "up")
    (real / "sibling").mkdir()
    (tmp_path / "up").symlink_to("real/sub/../sub/./sibling/..")
    assert files.place(str(tmp_path / "absolute/sibling")).path == str(real / "sibling")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(Failed, match="Too many levels"):
        files.place(str(tmp_path / "loop"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(Failed, match="Not a directory"):
        files.place(str(tmp_path / "file/x"))
    (tmp_path / "process").symlink_to(f"/proc/self/root{real}")
    with pytest.raises(Denied, match="link into a process"):
        files.place(str(tmp_path / "process"))
    assert files.place("/").path == "/"


@pytest.mark.parametrize("path", ["/proc/sys/kernel", "/sys/kernel", "/dev"])
def test_what_the_kernel_shows_is_no_log(path: str) -> None:
    if not os.path.isdir(path):
        pytest.skip(f"there is no {path}")
    with pytest.raises(Denied, match="what the kernel shows"):
        files.place(path, anywhere=True)


@root_only
def test_whose_link_leads_to_the_directory_does_not_decide_who_the_hypervisor_is() -> None:
    with tempfile.TemporaryDirectory(prefix="vm-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        os.chown(home, 65534, 65534)
        log = home / "log"
        log.symlink_to("/")
        os.lchown(log, 65534, 65534)
        made = Listing(Places(directories=(str(log),)))
        assert made.owner == -1, "and not root, who has /"
        log.unlink()
        log.mkdir()
        os.chown(log, 65534, 65534)
        assert made.owner == 65534


# What is removed


def test_a_log_with_the_name_of_an_older_file_of_another_domain_is_removed_for_neither(bench: Bench) -> None:
    bench.guest("victim")
    its = bench.guest("evil", devices=(console(f"{bench.folder}/victim.log.0"),))
    bench.guest("thief", devices=(console(f"{bench.folder}/gone.log.3"),))
    for name in ("victim.log", "victim.log.0", "gone.log.3"):
        bench.write(name, "x")
    for name, whose in (("victim.log.0", "victim"), ("gone.log.3", "gone")):
        with pytest.raises(Invalid, match=f"older file of {whose}"):
            bench.logs.removing.remove(bench.logs.find(f"{bench.folder}/{name}"), active=False)
    with pytest.raises(Invalid, match="older file of victim"):
        bench.logs.removing.check(its, "evil", active=False)
    checked = bench.logs.removing.check("uuid-victim", "victim", active=False)
    bench.logs.removing.remove_all(checked, active=False)
    assert sorted(os.listdir(bench.folder)) == ["gone.log.3", "victim.log.0"]


def test_nothing_is_removed_before_the_logs_of_all_devices_are_known(tmp_path: Path, virtlogd: Path) -> None:
    bench = Bench(tmp_path / "logs", virtlogd, retention=Retention(age=60, gone=True, dry=False))
    bench.guests["u"] = Guest(name="new", active=False, devices=None)
    its = bench.guest("a")
    for name in ("a.log", "a.log.0", "gone.log"):
        os.utime(bench.write(name, "x"), (1, 1))
    removing = bench.logs.removing
    for do in (
        lambda: removing.clean(dry=False), lambda: removing.check(its, "a", active=False),
        lambda: removing.remove(bench.logs.find(f"{bench.folder}/a.log"), active=False),
        lambda: removing.clear(bench.logs.find(f"{bench.folder}/a.log"), active=False),
    ):  # fmt: skip
        with pytest.raises(Busy, match="not known yet"):
            do()
    assert len(os.listdir(bench.folder)) == 3

    def learn() -> None:
        bench.guests["u"] = Guest(name="new", active=False, devices=(console(f"{bench.folder}/gone.log"),))
        bench.logs.learn(dict(bench.guests))

    removing.learn = learn
    went, problems = removing.clean(dry=False)
    assert ([each.name for each in went], problems) == (["a.log.0"], []), "what it learns at that moment counts"


def test_in_a_directory_of_others_only_what_virtlogd_wrote_is_removed(
    bench: Bench, consoles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, older = consoles / "first", consoles / "first.0"
    for path in (first, older):
        path.write_text("x")
    its = bench.guest("a", devices=(console(first),))
    removing = bench.logs.removing
    for do in (removing.remove, removing.clear):
        with pytest.raises(NotSupported, match="virtlogd was not seen to write it"):
            do(bench.logs.find(str(first)), active=False)
    assert removing.check(its, "a", active=False) == []
    with open_in_virtlogd(monkeypatch, first):
        assert [each.path for each in removing.check(its, "a", active=True)] == [str(first)]
    bench.logs.learn(dict(bench.guests))
    removing.remove_all([bench.logs.find(str(first))], active=False)
    assert os.listdir(consoles) == []


def test_older_files_in_a_directory_of_others_stay_once_virtlogd_has_let_go(
    bench: Bench, consoles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, older = consoles / "first", consoles / "first.0"
    for path in (first, older):
        path.write_text("x")
    bench.guest("a", devices=(console(first),))
    with open_in_virtlogd(monkeypatch, first):
        assert bench.log(str(first)).rotation is LogRotation.VIRTLOGD
    monkeypatch.setattr("drivers.logs.removing.JUST_NOW", 0.0)
    bench.logs.removing.remove(bench.logs.find(str(first)), active=False)
    assert os.listdir(consoles) == ["first.0"]
    first.write_text("another one")
    with pytest.raises(NotSupported, match="not seen"):
        bench.logs.removing.remove(bench.logs.find(str(first)), active=False)


def test_the_retention_touches_a_directory_of_others_only_while_virtlogd_writes(
    tmp_path: Path, consoles: Path, virtlogd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path / "logs", virtlogd, devices=[consoles], retention=Retention(age=60, dry=False))
    for name in ("first", "first.0"):
        (consoles / name).write_text("x")
        os.utime(consoles / name, (1, 1))
    bench.guest("a", active=True, devices=(console(consoles / "first"),))
    assert bench.logs.removing.clean(dry=False) == ([], [])
    with open_in_virtlogd(monkeypatch, consoles / "first"):
        went, _ = bench.logs.removing.clean(dry=False)
    assert [each.name for each in went] == ["first.0"]


def test_a_file_that_two_logs_share_is_not_touched(
    bench: Bench, consoles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("victim.log", "x")
    os.link(bench.folder / "victim.log", consoles / "first")
    bench.guest("victim")
    bench.guest("evil", devices=(console(consoles / "first"),))
    with open_in_virtlogd(monkeypatch, consoles / "first"), pytest.raises(Invalid, match=r"same file as .*victim\.log"):
        bench.logs.removing.clear(bench.logs.find(str(consoles / "first")), active=True)
    assert (bench.folder / "victim.log").read_text() == "x"


def test_where_two_hypervisors_have_their_logs_in_one_directory_no_domain_is_gone(
    tmp_path: Path, virtlogd: Path
) -> None:
    policy = Retention(age=60, gone=True, dry=False, interval=3600)
    first, second = (Bench(tmp_path / name, virtlogd, retention=policy) for name in ("logs", "more"))
    (tmp_path / "alias").symlink_to(first.folder)
    other = Bench(tmp_path / "alias", virtlogd)
    for each in (first, second, other):
        each.logs.learn({})
    os.utime(first.write("web.log", "x"), (1, 1))
    other.logs.start()
    try:
        with pytest.raises(Invalid, match="here has its logs in the same directories"):
            first.logs.removing.clean(dry=False)
        assert second.logs.removing.clean(dry=False) == ([], [])
    finally:
        other.logs.close()
    assert [each.name for each in first.logs.removing.clean(dry=False)[0]] == ["web.log"]


# Whether virtlogd is in use


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("", True),
        ('#stdio_handler = "file"\n', True),
        ('  stdio_handler="logd" # as before\n', True),
        ("stdio_handler = 'logd'", True),
        ("stdio_handler = 'file'", False),
        ('stdio_handler = """file"""', False),
        ('user = "x"; stdio_handler = "file"', False),
        ('stdio_handler = "file"\nstdio_handler = "logd"\n', False),
        ('stdio_handler = "logd"\nstdio_handler = "logd"\n', False),
        ('# a comment\rstdio_handler = "file"', False),
        ('x = """\n# """ ; stdio_handler = "file"', False),
        ("stdio_handler =\n'file'", False),
    ],
)
def test_settings_that_do_not_plainly_say_so_mean_that_virtlogd_is_not_used(text: str, used: bool) -> None:
    assert control.uses_virtlogd(text) is used


def test_what_virtlogd_has_open_counts_only_if_it_is_this_hypervisors(
    bench: Bench, virtlogd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.guest("web", active=True)
    path = bench.write("web.log", "x")
    virtlogd.unlink()
    with open_in_virtlogd(monkeypatch, path), pytest.raises(NotSupported, match="does not answer"):
        bench.logs.removing.clear(bench.logs.find(str(path)), active=True)
    assert path.read_text() == "x"


def test_a_process_that_only_calls_itself_virtlogd_is_not_believed(bench: Bench, tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    program = tmp_path / "virtlogd"
    program.symlink_to(sleep)
    bench.guest("web", active=True)
    path = bench.write("web.log", "x")
    with path.open("a") as held, subprocess.Popen([program, "60"], stdin=held) as process:
        try:
            pid = str(process.pid)
            eventually(lambda: pid in control._processes(os.geteuid()))
            with pytest.raises(NotSupported, match="virtlogd has not got it open"):
                bench.logs.removing.clear(bench.logs.find(str(path)), active=True)
            program.unlink()
            shutil.copy(sleep, program)
        finally:
            process.kill()
    with path.open("a") as held, subprocess.Popen([program, "60"], stdin=held) as process:
        try:
            pid = str(process.pid)
            eventually(lambda: pid in control._processes(os.geteuid()) and control._runs_virtlogd(pid))
            program.unlink()
            with pytest.raises(NotSupported, match="may not see what virtlogd has open"):
                bench.logs.removing.clear(bench.logs.find(f"{bench.folder}/web.log"), active=True)
        finally:
            process.kill()


@pytest.mark.parametrize("uri", ["qemu:///system?socket=/run/fwd/s", "qemu+unix:///session?socket=/run/fwd/s"])
def test_a_socket_that_may_lead_to_another_host_needs_directories(uri: str) -> None:
    found = places.places(uri)
    assert isinstance(found, str)
    assert "may lead to another host" in found
    assert isinstance(places.places(uri, ("/srv/logs",)), Places)
    near = places.places(uri.replace("/run/fwd", f"/run/user/{os.geteuid()}/libvirt"))
    assert isinstance(near, Places)


# What does not answer, or fails


def test_a_directory_that_does_not_answer_stops_nobody(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, go_on, asked = tmp_path / "dead", threading.Event(), threading.Event()
    bench.logs._listing._aside = Aside(patience=0.2)
    place = files.place

    def hangs(path: str, *, anywhere: bool = False) -> Any:
        if path == str(dead):
            asked.set()
            go_on.wait(30)
        return place(path, anywhere=anywhere)

    monkeypatch.setattr(listing.files, "place", hangs)
    bench.write("a.log", "x")
    bench.guest("a", devices=(console(dead / "x"),))
    found: list[Sequence[Any]] = []
    thread = threading.Thread(target=lambda: found.append(bench.logs.refresh()))
    thread.start()
    assert asked.wait(10)
    began = time.monotonic()
    bench.logs.learn({})
    assert time.monotonic() - began < 0.1, "to learn waits for no directory"
    bench.guest("a", devices=(console(dead / "x"),))
    thread.join(10)
    assert found
    again = {each.name: each.trouble for each in bench.logs.refresh()}
    assert again.keys() == {"a.log", "x"}
    assert again["a.log"] == ""
    go_on.set()
    eventually(lambda: not bench.logs._listing._aside._stuck)


def test_only_so_many_directories_leave_a_thread_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "STUCK", 1)
    go_on, asked = threading.Event(), []

    def look(folder: str) -> str:
        asked.append(folder)
        if folder.startswith("/dead"):
            go_on.wait(30)
        return folder

    made = Aside(patience=0.1)
    told = {folder: str(answer) for folder, answer in made.ask(["/a", "/dead/1", "/b"], look).items()}
    assert told == {
        "/a": "/a", "/dead/1": "/dead/1: it does not answer", "/b": "/b: too many directories do not answer",
    }  # fmt: skip
    assert str(made.ask(["/dead/1"], look)["/dead/1"]) == "/dead/1: it does not answer"
    assert asked == ["/a", "/dead/1"], "it is not asked again before it answers"
    go_on.set()
    eventually(lambda: made.ask(["/dead/1", "/b"], look) == {"/dead/1": "/dead/1", "/b": "/b"})


def test_an_error_that_nobody_thought_of_does_not_end_the_retention(
    tmp_path: Path, virtlogd: Path, caplog: pytest.LogCaptureFixture
) -> None:
    retained: list[str] = []

    def told(_host: str, path: str, _result: str) -> None:
        retained.append(path)
        if len(retained) == 1:
            raise RuntimeError("the audit trail is full")

    policy = Retention(age=60, dry=False, interval=0.05)
    bench = Bench(tmp_path / "logs", virtlogd, retention=policy, retained=told)
    bench.guest("a")
    with caplog.at_level(logging.ERROR, "virtmap.logs"):
        for number in (0, 1):
            os.utime(bench.write(f"a.log.{number}", "x"), (1, 1))
            bench.logs.start()
            eventually(lambda expected=number + 1: len(retained) == expected)
        bench.logs.close()
    assert "the audit trail is full" in caplog.text


def test_a_name_with_control_characters_is_told_escaped(bench: Bench) -> None:
    its = bench.guest("a")
    bench.write("a.log.1\x1b[2J", "x")
    with pytest.raises(Invalid) as raised:
        bench.logs.removing.check_libvirt(its, "a")
    assert "\x1b" not in str(raised.value)
    assert "\\x1b[2J as well" in str(raised.value)


def test_a_log_that_is_not_there_is_not_found(bench: Bench, consoles: Path) -> None:
    bench.guest("a", devices=(console(consoles / "first"),))
    with pytest.raises(NotFound):
        bench.logs.find(f"{consoles}/first")
    (consoles / "first").write_text("x")
    assert bench.logs.find(f"{consoles}/first").foreign
