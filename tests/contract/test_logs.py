"""Logs of domains that a real libvirtd and virtlogd write: read, followed over rotation, emptied and removed, each its own only."""

from __future__ import annotations

import os
import queue
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.driver import Changed, Happened, Heard, LogRule, LogSettings, Retention
from agent.errors import Invalid, NotFound, NotSupported, VirtmapError, WrongState
from agent.model import Domain, Host
from agent.model.domain import Destroy, Start, Undefine
from agent.model.host import DefineDomain
from agent.model.log import (
    CleanLogs,
    ClearLog,
    Log,
    LogFile,
    LogKind,
    LogMark,
    LogMatched,
    LogRecord,
    LogRotation,
    LogSource,
    ReadLog,
    RemoveLog,
    RemoveLogs,
    SearchLog,
)
from agent.schema.declare import Operation, Row
from drivers.libvirt import LibvirtDriver
from drivers.libvirt.login import Login
from tests.servers import Guest, Session, Unavailable, eventually, write_node

LINES = 20_000
BOOTS = bytes.fromhex(
    "fa31c08ed88ed0bc007cbe437ce81b00bf4d7cfe05803d3a7506c605304febf3a1487c3d303275e2f4ebfdac84c0741288c3bafd03eca82074fbbaf803"
    "88d8eeebe9c36c696e65203030303030300a"
)
"""A boot sector that writes `line 000000` and so on to the first serial port, 20,000 lines of them, and halts."""


class SmallLogs(Session):
    """A private session whose virtlogd begins a new file after 16 KiB."""

    def start(self) -> None:
        folder = self.root / "config/libvirt"
        folder.mkdir(exist_ok=True)
        self._own(folder)
        (folder / "virtlogd.conf").write_text("max_size = 16384\nmax_backups = 32\n")
        self._own(folder / "virtlogd.conf")
        super().start()

    def log_folder_made(self) -> Path:
        """The directory of logs, which libvirtd only makes for its first guest."""
        folder = self.log_folder
        for path in (folder.parents[1], folder.parent, folder):
            path.mkdir(exist_ok=True)
            self._own(path)
        return folder


@pytest.fixture(scope="module")
def server() -> Iterator[SmallLogs]:
    try:
        made = SmallLogs()
    except Unavailable as reason:
        pytest.skip(str(reason))
    with made:
        yield made


class Logs:
    """A driver of a private session that serves the logs of its domains."""

    def __init__(self, server: SmallLogs, **settings: Any) -> None:
        self.server = server
        self.folder = server.log_folder_made()
        self.heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        given = LogSettings(
            directories=(str(self.folder),), device_directories=(f"{server.root}/consoles",), **settings
        )
        self.driver = LibvirtDriver("logs", server.uri, logs=given)
        self.driver.listen(self.heard.put)
        self.driver.connect()

    def close(self) -> None:
        self.driver.close()

    def rows(self) -> list[Row]:
        """Everything, also logs of which no event told that they came."""
        self.driver._memory.due(Log)
        plan = self.driver.plan()
        return [row for piece in plan.pieces for row in piece.read().rows]

    def log(self, name: str) -> Log:
        """The row of a log as it is now."""
        (row,) = [r for r in self.of(name) if isinstance(r, Log)]
        return row

    def of(self, name: str) -> list[Row]:
        path = self.path(name)
        plan = self.driver.plan([(Log, (path,))])
        batches = [piece.read() for piece in plan.pieces]
        for batch in batches:
            assert not batch.failed
        return [row for batch in batches for row in batch.rows]

    def path(self, name: str) -> str:
        return name if name.startswith("/") else f"{self.folder}/{name}"

    def do(self, operation: Operation, *key: Any) -> Mapping[str, Any]:
        return self.driver.perform(operation, key)

    def define(self, name: str, devices: str = "", extra: str = "") -> str:
        """Define a guest, and have it known; gives its UUID."""
        its = str(uuid.uuid4())
        guest = Guest(name=name, uuid=its, memory=32, extra_devices=devices, extra=extra)
        self.do(DefineDomain(xml=self.server.guest_xml(guest)), "logs")
        self.rows()
        return its

    def start(self, its: str) -> None:
        self.do(Start(), its)
        self.rows()
        self.rows()  # what its definition tells is known after the first one

    def plant(self, name: str, text: str = "planted\n") -> Path:
        path = Path(self.path(name))
        path.write_text(text)
        self.server._own(path)
        return path

    def names(self) -> set[str]:
        return set(os.listdir(self.folder))

    def until(self, probe: Callable[[], Any], what: str) -> Any:
        return eventually(probe, within=30, what=what)


@pytest.fixture
def logs(server: SmallLogs) -> Iterator[Logs]:
    made = Logs(server)
    yield made
    for domain in made.driver.connection.current().virt.listAllDomains():
        if domain.isActive():
            domain.destroy()
        if domain.isPersistent():
            domain.undefine()
    made.close()
    for path in server.log_folder.iterdir():
        path.unlink()


NAMES = ("foo", "foo.log", "foo.log.1")


def planted(logs: Logs) -> dict[str, set[str]]:
    """The three domains side by side, each with older files and archives; what belongs to each."""
    its = {
        "foo": {"foo.log", "foo.log.0", "foo.log.1", "foo.log.12"},
        "foo.log": {"foo.log.log", "foo.log.log.0", "foo.log.log.1"},
        "foo.log.1": {"foo.log.1.log", "foo.log.1.log.0"},
    }
    for names in its.values():
        for name in names:
            logs.plant(name)
    for name in ("foo.log.1.gz", "foo.log-20261101", "foo.log.log.2.gz"):
        logs.plant(name)
    return its


def test_a_domain_that_runs_has_a_log_with_its_start_and_its_command_line(logs: Logs) -> None:
    its = logs.define("runs")
    logs.start(its)
    row = logs.log("runs.log")
    assert (row.domain, row.domain_name, row.host, row.kind) == (its, "runs", "logs", LogKind.HYPERVISOR)
    assert row.rotation is LogRotation.VIRTLOGD
    assert row.size == os.stat(logs.path("runs.log")).st_size
    assert row.inode == os.stat(logs.path("runs.log")).st_ino
    assert row.first_line is not None
    assert "starting up libvirt version" in row.first_line
    assert row.problem == ""
    found = [r for r in logs.of("runs.log") if isinstance(r, LogRecord)]
    assert [r.mark for r in found][:2] == [LogMark.START, LogMark.COMMAND]
    assert found[0].time is not None
    assert found[1].text is not None
    assert "qemu-system-x86_64" in found[1].text
    assert {r.source for r in found[:2]} == {LogSource.LIBVIRT}
    logs.do(Destroy(), its)

    def ended() -> list[LogRecord]:
        found = [r for r in logs.of("runs.log") if isinstance(r, LogRecord)]
        return found if LogMark.SHUTDOWN in [r.mark for r in found] else []

    assert LogMark.SIGNAL in [r.mark for r in logs.until(ended, "the record of its end")]


def test_names_side_by_side_are_never_confused(logs: Logs) -> None:
    for name in NAMES:
        logs.define(name)
    its = planted(logs)
    rows = [r for r in logs.rows() if isinstance(r, LogFile)]
    for name, files in its.items():
        archives = {"foo": {"foo.log.1.gz", "foo.log-20261101"}, "foo.log": {"foo.log.log.2.gz"}}.get(name, set())
        assert {r.name for r in rows if r.log == logs.path(f"{name}.log")} == files | archives
    (owner,) = {r.domain_name for r in logs.of("foo.log.1.log") if isinstance(r, Log)}
    assert owner == "foo.log.1"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", [RemoveLog, RemoveLogs, Undefine, ClearLog], ids=lambda o: o.__name__)
def test_each_operation_touches_exactly_its_own_files(logs: Logs, name: str, way: type[Operation]) -> None:
    uuids = {each: logs.define(each) for each in NAMES}
    its = planted(logs)
    before = logs.names()
    if way is Undefine:
        logs.do(Undefine(remove_logs=True), uuids[name])
    elif way is RemoveLogs:
        assert logs.do(RemoveLogs(), uuids[name]) == {"removed": len(its[name])}
    else:
        logs.do(way(), logs.path(f"{name}.log"))
    kept = {f"{name}.log"} if way is ClearLog else set()
    assert logs.names() == before - its[name] | kept
    if way is ClearLog:
        assert Path(logs.path(f"{name}.log")).read_text() == ""
    for other in (n for each, names in its.items() if each != name for n in names):
        assert Path(logs.path(other)).read_text() == "planted\n"


def test_the_log_of_a_domain_that_is_gone_is_removed_by_its_own_row(logs: Logs) -> None:
    its = planted(logs)
    logs.rows()
    row = logs.log("foo.log")
    assert (row.domain, row.domain_name) == (None, "foo")
    before = logs.names()
    logs.do(RemoveLog(), logs.path("foo.log"))
    assert logs.names() == before - its["foo"]
    with pytest.raises(NotFound):
        logs.do(RemoveLog(), logs.path("nobody.log"))


def test_a_log_that_is_written_is_emptied_and_not_removed(logs: Logs) -> None:
    its = logs.define("writes")
    logs.start(its)
    logs.plant("writes.log.0")
    with pytest.raises(WrongState, match="is being written"):
        logs.do(RemoveLog(), logs.path("writes.log"))
    assert {"writes.log", "writes.log.0"} <= logs.names()
    assert logs.do(RemoveLogs(), its) == {"removed": 2}
    assert logs.names() == {"writes.log"}
    logs.do(Destroy(), its)
    logs.until(lambda: "shutting down" in Path(logs.path("writes.log")).read_text(), "what virtlogd writes after that")


def test_destroying_with_the_logs_is_refused_while_libvirt_would_take_those_of_another(logs: Logs) -> None:
    its = logs.define("foo")
    other = logs.define("foo.log.1")
    logs.start(its)
    logs.plant("foo.log.1.log")
    logs.plant("foo.log.0")
    with pytest.raises(Invalid, match=re.escape("foo.log.1.log as well, which is not its log")):
        logs.do(Destroy(remove_logs=True), its)
    assert logs.driver.connection.current().virt.lookupByUUIDString(its).isActive(), "nothing was done"
    logs.do(RemoveLogs(), other)
    logs.do(Destroy(remove_logs=True), its)
    assert not logs.names() & {"foo.log", "foo.log.0"}


def test_the_logs_of_devices_go_with_their_domain(logs: Logs, server: SmallLogs) -> None:
    folder = server.root / "consoles"
    folder.mkdir(exist_ok=True)
    server._own(folder)
    path = folder / "first"
    log = f"<serial type='pty'><log file='{path}' append='on'/></serial>"
    its = logs.define("device", log)
    logs.start(its)
    row = logs.log(str(path))
    assert (row.domain, row.kind, row.device) == (its, LogKind.CONSOLE, "serial0")
    assert row.rotation is LogRotation.VIRTLOGD
    logs.plant(f"{folder}/first.0")
    (folder / "first.txt").write_text("somebody's\n")
    logs.do(Destroy(remove_logs=True), its)
    assert [each.name for each in folder.iterdir()] == ["first.txt"]
    assert logs.names() == set()


def test_nothing_is_removed_where_virtlogd_is_not_in_use(logs: Logs, server: SmallLogs) -> None:
    its = logs.define("other")
    logs.plant("other.log")
    logs.plant("other.log.0")
    settings = server.root / "config/libvirt/qemu.conf"
    settings.write_text('stdio_handler = "file"\n')
    operations: list[tuple[Operation, Any]] = [
        (RemoveLog(), logs.path("other.log")),
        (ClearLog(), logs.path("other.log")),
        (RemoveLogs(), its),
        (Undefine(remove_logs=True), its),
    ]
    driver = LibvirtDriver(
        "logs", f"qemu+unix:///session?socket={server.socket}", logs=LogSettings(directories=(str(logs.folder),))
    )
    try:
        # where the settings are follows from the environment of whoever runs the session
        assert driver._logs is not None
        object.__setattr__(driver._logs._places, "settings", str(settings))
        driver.connect()
        for piece in driver.plan().pieces:
            piece.read()
        for operation, key in operations:
            with pytest.raises(NotSupported, match="told to do without virtlogd"):
                driver.perform(operation, (key,))
    finally:
        settings.unlink()
        driver.close()
    assert {"other.log", "other.log.0"} <= logs.names()


def test_nothing_is_removed_that_is_written_by_somebody_else_than_virtlogd(logs: Logs) -> None:
    its = logs.define("foreign")
    logs.start(its)
    path = Path(logs.path("foreign.log"))
    path.rename(logs.path("foreign.moved"))
    logs.plant("foreign.log")
    with pytest.raises(NotSupported, match="virtlogd has not got it open"):
        logs.do(ClearLog(), str(path))
    assert logs.log("foreign.log").rotation is LogRotation.UNKNOWN
    assert path.read_text() == "planted\n"


def test_through_a_read_only_connection_logs_stay(logs: Logs, server: SmallLogs) -> None:
    logs.plant("gone.log")
    settings = LogSettings(directories=(str(logs.folder),))
    driver = LibvirtDriver("logs", server.uri, login=Login(read_only=True), logs=settings)
    try:
        driver.connect()
        for piece in driver.plan().pieces:
            piece.read()
        for operation in (RemoveLog(), ClearLog()):
            with pytest.raises(VirtmapError, match="read_only"):
                driver.perform(operation, (logs.path("gone.log"),))
    finally:
        driver.close()


def test_lines_are_read_and_searched(logs: Logs) -> None:
    logs.plant("gone.log.0", "2026-11-30 11:00:00.000+0000: shutting down, reason=crashed\n")
    logs.plant("gone.log", "one\ntwo \x1b[31m\nthree\n")
    logs.rows()
    got = logs.do(ReadLog(lines=2), logs.path("gone.log"))
    assert got["text"] == "two \\x1b[31m\nthree\n"
    assert logs.do(ReadLog(position=got["end"]), logs.path("gone.log"))["text"] == ""
    assert logs.do(ReadLog(position=0, lines=1), logs.path("gone.log"))["text"] == "one\n"
    found = logs.do(SearchLog(pattern="shut*crash"), logs.path("gone.log"))
    assert found["found"] == 1
    assert found["text"].split("\t")[:4] == ["gone.log.0", "0", "2026-11-30T11:00:00+00:00", "critical"]
    with pytest.raises(Invalid, match="none of its files"):
        logs.do(ReadLog(file="other.log"), logs.path("gone.log"))


def test_every_line_is_seen_once_while_virtlogd_rotates(server: SmallLogs) -> None:
    rule = LogRule(name="last", pattern=re.compile(r"line 019999$"), kinds=(LogKind.CONSOLE,))
    logs = Logs(server, rules=(rule,))
    try:
        image = server.image("boots", size=1, kind="raw")
        image.write_bytes(BOOTS.ljust(510, b"\0") + b"\x55\xaa" + bytes(2**20 - 512))
        console = server.root / "consoles"
        console.mkdir(exist_ok=True)
        server._own(console)
        path = console / "boots"
        disk = f"<disk type='file'><source file='{image}'/><target dev='hda' bus='ide'/></disk>"
        serial = f"<serial type='file'><source path='{path}' append='on'/></serial>"
        its = logs.define("boots", disk + serial)
        assert logs.driver._logs is not None
        follower = logs.driver._logs.follower
        assert follower is not None
        assert follower.wait_begun(10)
        logs.rows()
        logs.start(its)
        counted = eventually(
            lambda: (c := follower.counts(str(path))) is not None and c.lines >= LINES and c, within=90,
            what="all lines to be counted",
        )  # fmt: skip
        files = sorted(console.glob("boots*"))
        assert len(files) > 5, "it was rotated"
        assert counted.lines == LINES
        assert counted.written == sum(each.stat().st_size for each in files)
        assert (counted.lost, counted.left_out, counted.matches) == (0, 0, 1)

        def matched() -> Happened | None:
            while not logs.heard.empty():
                each = logs.heard.get()
                if isinstance(each, Happened) and isinstance(each.event, LogMatched):
                    return each
            return None

        told = eventually(matched, what="the match")
        assert told is not None
        assert told.key == (str(path),)
        assert isinstance(told.event, LogMatched)
        assert (told.event.rule, told.event.line, told.event.matches) == ("last", "line 019999", 1)
        row = logs.log(str(path))
        assert (row.lines, row.written, row.matches, row.followed) == (LINES, counted.written, 1, True)
        last = [r for r in logs.of(str(path)) if isinstance(r, LogRecord)][-1]
        assert last.text == "line 019999"
        logs.do(Destroy(), its)
        logs.do(Undefine(), its)
    finally:
        logs.close()


def test_a_log_that_begins_while_it_is_followed_is_told_as_changed(logs: Logs) -> None:
    logs.rows()
    its = logs.define("fresh")
    logs.start(its)

    def told() -> bool:
        while not logs.heard.empty():
            if logs.heard.get() == Changed(root=(Log, (logs.path("fresh.log"),))):
                return True
        return False

    logs.until(told, "that the log changed")
    assert logs.log("fresh.log").lines


def test_the_retention_removes_what_is_old_and_of_domains_that_are_gone(server: SmallLogs) -> None:
    logs = Logs(server, retention=Retention(age=3600, gone=True))
    try:
        its = logs.define("kept")
        for name in ("kept.log", "kept.log.0", "kept.log.1", "gone.log", "gone.log.0", "new.log", "gone.log.1.gz"):
            path = logs.plant(name)
            if not name.startswith(("kept.log.0", "new")):
                os.utime(path, (1, 1))
        os.utime(logs.path("gone.log.0"), (1, 1))
        before = logs.names()
        dry = logs.do(CleanLogs(), "logs")
        going = {logs.path(name) for name in ("kept.log.1", "gone.log", "gone.log.0")}
        assert set(dry["files"].split()) == going
        assert dry["removed"] == 3
        assert logs.names() == before
        assert logs.do(CleanLogs(dry=False), "logs")["removed"] == 3
        assert {logs.path(name) for name in before - logs.names()} == going
        logs.do(Undefine(), its)
    finally:
        logs.close()
        for path in server.log_folder.iterdir():
            path.unlink()


def test_what_was_defined_just_now_keeps_its_logs(server: SmallLogs) -> None:
    logs = Logs(server, retention=Retention(age=3600, gone=True))
    try:
        for name in ("new.log", "gone.log", "old.log"):
            os.utime(logs.plant(name), (1, 1))
        its = logs.define("changed")
        virt = logs.driver.connection.current().virt
        serial = "<serial type='pty'><log file='{}'/></serial>"
        for name, uuid_, path in (("new", str(uuid.uuid4()), "gone.log"), ("changed", its, "changed-console.log")):
            guest = Guest(name=name, uuid=uuid_, memory=32, extra_devices=serial.format(logs.path(path)))
            virt.defineXML(server.guest_xml(guest))
        assert logs.do(CleanLogs(dry=False), "logs")["files"] == f"{logs.path('old.log')}\n"
        assert logs.names() == {"new.log", "gone.log"}
        for name in ("new", "changed"):
            virt.lookupByName(name).undefine()
    finally:
        logs.close()
        for file in server.log_folder.iterdir():
            file.unlink()


def test_rows_are_of_the_domain_and_host_that_are_there(logs: Logs) -> None:
    its = logs.define("row")
    logs.plant("row.log")
    rows = logs.rows()
    assert [r.uuid for r in rows if isinstance(r, Domain)] == [its]
    assert [r.hypervisor for r in rows if isinstance(r, Host)] == ["logs"]
    assert [r.domain for r in rows if isinstance(r, Log)] == [its]


def test_undefining_a_domain_that_runs_empties_its_log(logs: Logs) -> None:
    its = logs.define("stays")
    logs.start(its)
    logs.plant("stays.log.3")
    logs.do(Undefine(remove_logs=True), its)
    assert logs.names() == {"stays.log"}
    logs.do(Destroy(remove_logs=True), its)
    assert logs.names() == set()


def test_hypervisors_that_are_not_of_this_host_have_no_logs(tmp_path: Path) -> None:
    driver = LibvirtDriver("test", write_node(tmp_path / "node.xml", domains=1), logs=LogSettings())
    try:
        driver.connect()
        rows = [row for piece in driver.plan().pieces for row in piece.read().rows]
        assert not [row for row in rows if isinstance(row, Log)]
        (its,) = [row.uuid for row in rows if isinstance(row, Domain)]
        for operation, key in ((RemoveLogs(), its), (Destroy(remove_logs=True), its), (CleanLogs(), "test")):
            with pytest.raises(NotSupported, match="on the agent's own host only"):
                driver.perform(operation, (key,))
        assert driver.connection.current().virt.lookupByUUIDString(its).isActive(), "nothing was done"
    finally:
        driver.close()
