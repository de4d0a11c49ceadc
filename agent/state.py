"""What the agent remembers across restarts, in one SQLite file: index arcs, the SNMP engine's ID and boots, texts that
managers have set, the audit trail, what clients have created, and what is still to be delivered.

An index arc is a promise (RFC 7666 wants it, and graphs at the manager hang on it): a key keeps its arc for ever, and
an arc is never given to another key. The highest arc ever given is kept apart from the arcs themselves, lest one is
given twice when keys are once forgotten. Every commit is on the disk when the call returns, so that a power cut breaks no
promise; allocate for many parents at once with `allocate_many`, which commits once.

Everything here may be called from any thread, and whatever writes waits for the disk: call it at the start or in a
worker thread, not in the loop's. Arcs are cached in memory, a whole table of a hypervisor at a time, and so are texts.

A queue holds messages for one receiver. Who fills it numbers its places, upwards and above whatever still waits, so that
a message is known by its place before it is on the disk; many changes to many queues are one commit.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.errors import ConfigError, Failed

FILE = "state.sqlite"
LOCK = "state.lock"
HIGHEST = 2**31 - 1
"""The largest arc: InterfaceIndex-like conventions hold 31 bits, and so do many managers."""

KEPT_RECORDS = 100_000
"""Audit records; some 20 MB. Whoever keeps them longer reads the log, which has the same lines."""

PRUNED_EVERY = 1_000

INFORMS = "inform:"
"""What the names of the queues of informs begin with; those of indications are the ids of their destinations."""

Parent = tuple[int, ...]

_SCHEMA_1 = """
create table arc (
    hypervisor text not null, tabl integer not null, parent text not null, key text not null, arc integer not null,
    primary key (hypervisor, tabl, parent, key)
) without rowid;
create table highest (
    hypervisor text not null, tabl integer not null, parent text not null, arc integer not null,
    primary key (hypervisor, tabl, parent)
) without rowid;
create table engine (boots integer not null);
insert into engine values (0);
create table audit (
    id integer primary key, at real not null, principal text not null, front_end text not null, operation text not null,
    hypervisor text not null, target text not null, result text not null
);
"""
_SCHEMA_2 = """
alter table engine add column id blob;
create table setting (name text primary key, value text not null) without rowid;
"""
_SCHEMA_3 = """
create table created (
    kind text not null, name text not null, content text not null, primary key (kind, name)
) without rowid;
create table undelivered (
    queue text not null, place integer not null, at real not null, reason text not null, body blob not null,
    attempts integer not null, primary key (queue, place)
) without rowid;
"""
_STEPS = (_SCHEMA_1, _SCHEMA_2, _SCHEMA_3)
"""What brings a file of the version that is the place of the step (0 is an empty file) to the next version."""

VERSION = len(_STEPS)


@dataclass(frozen=True, kw_only=True)
class AuditRecord:
    """One control operation: who asked, through which front end, for what, of which object, and how it ended."""

    at: datetime
    principal: str
    front_end: str
    operation: str
    hypervisor: str
    target: str
    result: str


@dataclass(frozen=True, kw_only=True)
class Queued:
    """A message that waits in a queue, at its place there: since when (seconds of the epoch), why it is sent (the name of
    what asked for it), what is sent, and how many attempts have failed."""

    queue: str
    place: int
    at: float
    reason: str
    body: bytes
    attempts: int = 0


@dataclass(kw_only=True)
class _Siblings:
    """The arcs below one parent: by key, and the highest one ever given."""

    arcs: dict[str, int]
    highest: int = 0


def _text(parent: Parent) -> str:
    return ".".join(map(str, parent))


class State:
    """The memory of the agent, in the file `state.sqlite` of a directory; ":memory:" keeps nothing.

    ConfigError if the directory or file cannot be used, or another agent uses it.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._mutex = threading.Lock()
        self._tables: dict[tuple[str, int], dict[Parent, _Siblings]] = {}
        self._texts: dict[str, str] = {}
        self._lock_file: int | None = None
        self._db: sqlite3.Connection | None = None
        try:
            path = ":memory:" if str(directory) == ":memory:" else self._prepare(Path(directory))
            self._db = self._open(path)
            self._texts = dict(self._db.execute("select name, value from setting").fetchall())
        except OSError as error:
            self._release()
            raise ConfigError(f"state.directory: {directory}: {error.strerror or error}") from error
        except sqlite3.Error as error:
            self._release()
            advice = "move it away to begin anew, with new indexes"
            raise ConfigError(f"state.directory: {Path(directory) / FILE}: {error}; {advice}") from error
        except ConfigError:
            self._release()
            raise

    def _prepare(self, directory: Path) -> str:
        """The path of the file, ready and locked against other agents; only ours to read."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_file = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"state.directory: {directory} is in use by another virtmap") from error
        file = os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(file, 0o600)
        finally:
            os.close(file)
        return str(directory / FILE)

    def _open(self, path: str) -> sqlite3.Connection:
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("pragma journal_mode = wal")
            db.execute("pragma synchronous = full")
            (version,) = db.execute("pragma user_version").fetchone()
            if version > VERSION:
                raise ConfigError(f"state.directory: {path} was written by a newer virtmap (version {version})")
            if version < VERSION:
                steps = "".join(_STEPS[version:])
                db.executescript(f"begin immediate; {steps} pragma user_version = {VERSION}; commit;")
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        with self._mutex:
            self._release()

    def _release(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Failed if the file cannot be written (a full disk, say); nothing is half written then."""
        db = self._connection()
        try:
            db.execute("begin immediate")
            try:
                yield db
            except BaseException:
                db.execute("rollback")
                raise
            db.execute("commit")
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("rollback")
            raise Failed(f"the state file cannot be written: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise Failed("the state file is closed")
        return self._db

    def _read(self, query: str, *values: object) -> list[Any]:
        try:
            return self._connection().execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise Failed(f"the state file cannot be read: {error}") from error

    def allocate(self, hypervisor: str, table: int, parent: Parent, keys: Sequence[str]) -> list[int]:
        """The arc (1 to 2^31-1) of each key below a parent: the one it always had, or the next that was never given."""
        with self._mutex:
            siblings = self._table(hypervisor, table).get(parent)
            if siblings is not None:
                try:
                    return list(map(siblings.arcs.__getitem__, keys))
                except KeyError:
                    pass  # some are new
            return self._allocate(hypervisor, table, [(parent, keys)])[0]

    def allocate_many(
        self, hypervisor: str, table: int, wanted: Sequence[tuple[Parent, Sequence[str]]]
    ) -> list[list[int]]:
        """`allocate` for many parents of a table, in one transaction."""
        with self._mutex:
            known = self._table(hypervisor, table)
            try:
                return [list(map(known[parent].arcs.__getitem__, keys)) for parent, keys in wanted]
            except KeyError:
                return self._allocate(hypervisor, table, wanted)

    def _table(self, hypervisor: str, table: int) -> dict[Parent, _Siblings]:
        """All arcs of a table of a hypervisor, from the cache, which is filled on the first call."""
        cached = self._tables.get((hypervisor, table))
        if cached is not None:
            return cached
        loaded: dict[str, _Siblings] = {}
        query = "select parent, arc from highest where hypervisor = ? and tabl = ?"
        for parent, highest in self._read(query, hypervisor, table):
            loaded[parent] = _Siblings(arcs={}, highest=highest)
        query = "select parent, key, arc from arc where hypervisor = ? and tabl = ?"
        for parent, key, arc in self._read(query, hypervisor, table):
            loaded[parent].arcs[key] = arc
        tabled = {tuple(map(int, p.split("."))) if p else (): siblings for p, siblings in loaded.items()}
        self._tables[hypervisor, table] = tabled
        return tabled

    def _allocate(self, hypervisor: str, table: int, wanted: Sequence[tuple[Parent, Sequence[str]]]) -> list[list[int]]:
        """The slow way of `allocate`: some keys are new. The cache changes only after the commit."""
        known = self._table(hypervisor, table)
        fresh: dict[Parent, _Siblings] = {}
        for parent, keys in wanted:
            before = known.get(parent)
            now = fresh.setdefault(parent, _Siblings(arcs={}, highest=before.highest if before else 0))
            for key in keys:
                if key not in now.arcs and (before is None or key not in before.arcs):
                    now.highest += 1
                    now.arcs[key] = now.highest
            if now.highest > HIGHEST:
                raise Failed(f"{hypervisor}: table {table} has used up its {HIGHEST} indexes")
        self._write(hypervisor, table, {parent: siblings for parent, siblings in fresh.items() if siblings.arcs})
        for parent, siblings in fresh.items():
            before = known.setdefault(parent, _Siblings(arcs={}))
            before.arcs.update(siblings.arcs)
            before.highest = siblings.highest
        return [[known[parent].arcs[key] for key in keys] for parent, keys in wanted]

    def _write(self, hypervisor: str, table: int, given: Mapping[Parent, _Siblings]) -> None:
        if not given:
            return
        with self._writing() as db:
            db.executemany(
                "insert into arc values (?, ?, ?, ?, ?)",
                ((hypervisor, table, _text(p), k, arc) for p, s in given.items() for k, arc in s.arcs.items()),
            )
            db.executemany(
                "insert into highest values (?, ?, ?, ?) on conflict do update set arc = excluded.arc",
                ((hypervisor, table, _text(p), s.highest) for p, s in given.items()),
            )

    def engine_boots(self) -> int:
        """Count one more start of the SNMP engine, and give the count (RFC 3414, section 2.2; it stays at 2^31-1)."""
        with self._mutex, self._writing() as db:
            db.execute("update engine set boots = min(boots + 1, ?)", (HIGHEST,))
            (boots,) = db.execute("select boots from engine").fetchone()
        return int(boots)

    def engine_id(self, make: Callable[[], bytes]) -> bytes:
        """The ID of the SNMP engine, which `make` is asked for once and which is kept for ever: the keys that managers hold
        are good for this ID only (RFC 3414, section 2.6)."""
        with self._mutex:
            ((known,),) = self._read("select id from engine")
            if known is not None:
                return bytes(known)
            made = make()
            with self._writing() as db:
                db.execute("update engine set id = ?", (made,))
            return made

    def text(self, name: str) -> str | None:
        """A text that was set, from memory; None if it never was."""
        return self._texts.get(name)

    def set_text(self, name: str, value: str) -> None:
        """Keep a text, on the disk when the call returns. Failed if it cannot be written; then the old one stays."""
        with self._mutex:
            with self._writing() as db:
                db.execute(
                    "insert into setting values (?, ?) on conflict do update set value = excluded.value", (name, value)
                )
            self._texts[name] = value

    def audit(
        self, *, principal: str, front_end: str, operation: str, hypervisor: str, target: str, result: str
    ) -> None:
        """Append one record to the audit trail, dated now; the oldest go when there are more than KEPT_RECORDS."""
        record = (datetime.now(UTC).timestamp(), principal, front_end, operation, hypervisor, target, result)
        with self._mutex, self._writing() as db:
            added = db.execute("insert into audit values (null, ?, ?, ?, ?, ?, ?, ?)", record).lastrowid or 0
            if added % PRUNED_EVERY == 0:
                db.execute("delete from audit where id <= ?", (added - KEPT_RECORDS,))

    def audit_trail(self, limit: int = 100) -> list[AuditRecord]:
        """The newest records, newest first."""
        query = (
            "select at, principal, front_end, operation, hypervisor, target, result from audit order by id desc limit ?"
        )
        with self._mutex:
            rows = self._read(query, limit)
        return [
            AuditRecord(
                at=datetime.fromtimestamp(at, UTC), principal=principal, front_end=front_end, operation=operation,
                hypervisor=hypervisor, target=target, result=result,
            )
            for at, principal, front_end, operation, hypervisor, target, result in rows
        ]  # fmt: skip

    def created(self, kind: str) -> dict[str, str]:
        """What clients have created of a kind, by name."""
        with self._mutex:
            return dict(self._read("select name, content from created where kind = ? order by name", kind))

    def keep_created(self, put: Iterable[tuple[str, str, str]], gone: Iterable[tuple[str, str]] = ()) -> None:
        """Keep these (kind, name, content), in place of what had the name before, and forget those (kind, name): all or, if
        Failed is raised, none."""
        with self._mutex, self._writing() as db:
            db.executemany("delete from created where kind = ? and name = ?", gone)
            db.executemany(
                "insert into created values (?, ?, ?) on conflict do update set content = excluded.content", put
            )

    def queues(self) -> dict[str, int]:
        """The queues in which something waits, and the last place that is taken in each."""
        with self._mutex:
            return dict(self._read("select queue, max(place) from undelivered group by queue"))

    def queued(self, queue: str, after: int, limit: int) -> list[Queued]:
        """What waits in a queue behind a place, in order, `limit` messages at most."""
        query = (
            "select queue, place, at, reason, body, attempts from undelivered where queue = ? and place > ? "
            "order by place limit ?"
        )
        with self._mutex:
            rows = self._read(query, queue, after, limit)
        return [
            Queued(queue=name, place=place, at=at, reason=reason, body=bytes(body), attempts=attempts)
            for name, place, at, reason, body, attempts in rows
        ]

    def change_queues(
        self, *, put: Sequence[Queued] = (), tried: Iterable[Queued] = (), done: Iterable[Queued] = (),
        gone: Iterable[str] = (), longest: int | None,
    ) -> dict[str, int]:  # fmt: skip
        """Forget the queues that are gone, put messages into queues, note the attempts of those that were tried, and take out those
        that are done with: one commit. Where more than `longest` wait then, if that is not None, the oldest go; gives
        how many in which queue. Failed if nothing of it could be written."""
        with self._mutex, self._writing() as db:
            db.executemany("delete from undelivered where queue = ?", [(name,) for name in gone])
            db.executemany(
                "insert or replace into undelivered values (?, ?, ?, ?, ?, ?)",
                [(m.queue, m.place, m.at, m.reason, m.body, m.attempts) for m in put],
            )
            db.executemany(
                "update undelivered set attempts = ? where queue = ? and place = ?",
                [(m.attempts, m.queue, m.place) for m in tried],
            )
            db.executemany("delete from undelivered where queue = ? and place = ?", [(m.queue, m.place) for m in done])
            names = {m.queue for m in put} if longest is not None else ()
            dropped = {name: _shorten(db, name, longest or 0) for name in names}
        return {name: count for name, count in dropped.items() if count}


def _shorten(db: sqlite3.Connection, queue: str, longest: int) -> int:
    """Drop the oldest messages of a queue until it is not longer than that; how many went."""
    return db.execute(
        "delete from undelivered where queue = ?1 and place <= "
        "(select place from undelivered where queue = ?1 order by place desc limit 1 offset ?2)",
        (queue, longest),
    ).rowcount
