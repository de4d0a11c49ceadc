"""The contract with hypervisors: what a driver gives the inventory, and what operations ask of it.

Every method blocks and is only ever called in a worker thread, except `listen`'s callback, which the driver calls from a
thread of its own. Every failure is one of agent.errors; nothing else may leave a driver. One driver object is one
connection of the configuration; it survives the connections it makes.

Reading goes in two steps, so that one hung or broken guest costs its own rows: `plan` says which roots (hosts, domains)
exist and cuts the reading into pieces of bounded size; each `Piece.read` gives the rows of its roots and of everything
that belongs to them. What a piece could not read is in `Batch.failed`, by root; a piece that raises fails all its roots.

Logs are rows like all others (Log, LogFile, LogRecord), of hypervisors on the agent's own host. A driver that serves them
takes LogSettings when it is made, and tells of lines that match a rule as LogMatched.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.errors import Invalid, VirtmapError
from agent.model.log import LogKind
from agent.model.occurrence import PerceivedSeverity
from agent.schema.declare import Event, Key, Operation, Row

Root = tuple[type[Row], Key]
"""A row without a parent, as the unit of reading and failing: its class and key."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows that were read, with everything below their roots, and the roots that could not be read, with the reason.

    A root that is in neither has gone since the plan was made.
    """

    rows: Sequence[Row]
    failed: Mapping[Root, VirtmapError] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a plan. `read` blocks, for a second at most when all is well; pieces may be read at the same time."""

    roots: frozenset[Root]
    read: Callable[[], Batch]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All pieces of a reading. Roots that are in no piece and not in `kept` do not exist (any more), when the plan is for
    everything. What is `kept` exists, and is not worth reading again yet: each kind of object has its own pace.

    `at_once` bounds how many pieces are worth reading at the same time. For a hypervisor inside our own process that is
    one: there is nothing to wait for, and threads that all compute only take the interpreter from each other.
    """

    pieces: Sequence[Piece]
    at_once: int | None = None
    kept: frozenset[Root] = frozenset()
    unheard: bool = False
    """The hypervisor tells no events: what happened is only found by comparing readings."""


@dataclass(frozen=True, kw_only=True)
class Changed:
    """Something about a root changed that a reading would show; the reading is worth its cost now."""

    root: Root


@dataclass(frozen=True, kw_only=True)
class Happened:
    """An event, with the key of the row that it is about, and the name of the object, of the outermost one if the row belongs to
    another, where the hypervisor tells it: that of a domain which is gone before it was ever read is known from here only."""

    event: Event
    key: Key
    name: str | None = field(default=None, compare=False)  # it says of the same event only more


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The connection broke, or was closed by the other side."""

    reason: str


Heard = Changed | Happened | Lost


class Task(Protocol):
    """What an operation may tell and ask while it is done. Called in the worker thread that does it."""

    def progress(self, percent: int) -> None:
        """It has come so far, from 0 to 100."""

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        """From now on `cancel` stops it: called at most once, in another worker thread, and may raise what an operation may.

        After it the operation is expected to fail, or to end before its time.
        """

    def expect(self, size: int) -> None:
        """So many bytes of data will come, if the hypervisor tells that before."""

    def receive(self, most: int) -> bytes:
        """The next bytes of the data that goes to the hypervisor, at most so many; none at its end. Blocks.

        Raises Failed if whoever sends them gave up, Invalid if the operation came with no data.
        """

    def send(self, data: bytes) -> None:
        """The next bytes of the data that comes from the hypervisor. Blocks while the reader is behind.

        Raises Failed if whoever reads them gave up, Invalid if there is no place for any data.
        """


class Nobody:
    """The task of an operation that nobody watches: without data, and never cancelled."""

    def progress(self, percent: int) -> None:
        """Nobody wants to know."""

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        """Nobody will."""

    def expect(self, size: int) -> None:
        """Nobody does."""

    def receive(self, most: int) -> bytes:
        raise Invalid("there is no data for it to read")

    def send(self, data: bytes) -> None:
        raise Invalid("there is no place for its data")


NOBODY = Nobody()


@dataclass(frozen=True, kw_only=True)
class LogRule:
    """What to look for in logs: a line that `pattern` is found in is told, with this severity, of the domains whose names fit
    one of the shell patterns `domains`, and of logs of these `kinds`; all where there are none."""

    name: str
    pattern: re.Pattern[str]
    severity: PerceivedSeverity = PerceivedSeverity.WARNING
    domains: tuple[str, ...] = ()
    kinds: tuple[LogKind, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Which older files of logs are to go: those that are older than `age` seconds, and the oldest where all of a log take more
    than `size` bytes; None for no such limit. With `gone`, also the logs of domains that are no more, once they are of that
    age. It is carried out every `interval` seconds, or, while `dry`, only told in the log of the agent."""

    age: float | None = None
    size: int | None = None
    gone: bool = False
    dry: bool = True
    interval: float = 3600.0


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """How the logs of domains are served, if they are on the agent's own host: the directories in which the hypervisor writes
    them, where those are not libvirt's own; those beneath which devices may have their logs, where a definition says so; how many
    of the last records of each are shown; whether lines are followed as they are written. With `serve` off nothing is read at
    all."""

    serve: bool = True
    directories: tuple[str, ...] = ()
    device_directories: tuple[str, ...] = ()
    records: int = 20
    follow: bool = True
    rules: tuple[LogRule, ...] = ()
    retention: Retention | None = None
    retained: Callable[[str, str, str], None] | None = None
    """Is told of each file that the retention removed, or could not: the name of the hypervisor, its path, and how that ended. In a
    thread of the driver, so that it may wait."""


class Driver(Protocol):
    """A hypervisor connection. `name` is its name in the configuration, `uri` what it connects to."""

    name: str
    uri: str

    def connect(self) -> None:
        """Make a (new) connection; an old one is dropped, without waiting for it. Raises Unreachable or Denied."""

    def close(self) -> None:
        """Drop the connection. Never raises, and never waits on a hypervisor that does not answer."""

    def plan(self, only: Sequence[Root] | None = None) -> Plan:
        """How to read everything, or only these roots; `only` may name roots that do not exist. Raises Unreachable."""

    def perform(self, operation: Operation, key: Key, task: Task = NOBODY) -> Mapping[str, Any]:
        """Do it, on the row `operation.on` with this key; gives the operation's out-values by name. `task` is told how it
        goes, and has the data of operations that move any.

        Raises NotFound, NotSupported, Denied, Invalid, Busy, Unreachable or Failed.
        """

    def listen(self, heard: Callable[[Heard], None]) -> None:
        """From now on, and across connections, tell what happens. `heard` is quick and never raises."""
