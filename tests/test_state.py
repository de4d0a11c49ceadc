"""The state file: arcs that are promises, the engine's ID and boots, texts, the audit trail, what was created, queues."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.errors import ConfigError, Failed
from agent.state import FILE, HIGHEST, VERSION, Queued, State


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state"


@pytest.fixture
def state(directory: Path) -> Iterator[State]:
    made = State(directory)
    yield made
    made.close()


def test_a_key_keeps_its_arc_and_a_new_one_gets_the_next(state: State) -> None:
    assert state.allocate("a", 2, (), ["x", "y"]) == [1, 2]
    assert state.allocate("a", 2, (), ["y", "z", "x"]) == [2, 3, 1]


def test_hypervisors_tables_and_parents_count_apart(state: State) -> None:
    assert state.allocate("a", 4, (1,), ["vda", "vdb"]) == [1, 2]
    assert state.allocate("a", 4, (2,), ["vdb"]) == [1]
    assert state.allocate("a", 5, (1,), ["vdb"]) == [1]
    assert state.allocate("b", 4, (1,), ["vdb"]) == [1]


def test_arcs_survive_a_restart(directory: Path) -> None:
    first = State(directory)
    first.allocate("a", 4, (7, 3), ["vda", "vdb", "vdc"])
    first.close()
    second = State(directory)
    assert second.allocate("a", 4, (7, 3), ["vdc", "vdd"]) == [3, 4]
    second.close()


def test_an_arc_whose_key_is_gone_is_never_given_again(directory: Path) -> None:
    first = State(directory)
    first.allocate("a", 2, (), ["x", "y"])
    first.close()
    with closing(sqlite3.connect(directory / FILE)) as db:
        db.execute("delete from arc where key = 'y'")
        db.commit()
    second = State(directory)
    assert second.allocate("a", 2, (), ["z", "y", "x"]) == [3, 4, 1]
    second.close()


def test_many_parents_at_once_get_what_each_would_get_alone(state: State) -> None:
    state.allocate("a", 4, (1,), ["vda"])
    wanted = [((1,), ["vdb", "vda"]), ((2,), ["vda"]), ((1,), ["vdc", "vdb"]), ((3,), [])]
    assert state.allocate_many("a", 4, wanted) == [[2, 1], [1], [3, 2], []]
    assert state.allocate_many("a", 4, wanted) == [[2, 1], [1], [3, 2], []]


def test_a_key_that_stands_twice_gets_one_arc(state: State) -> None:
    assert state.allocate("a", 2, (), ["x", "x", "y"]) == [1, 1, 2]


def test_the_last_arc_is_the_last(directory: Path) -> None:
    state = State(directory)
    state.allocate("a", 2, (), ["x"])
    with state._writing() as db:
        db.execute("update highest set arc = ?", (HIGHEST - 1,))
    state.close()
    state = State(directory)
    assert state.allocate("a", 2, (), ["y"]) == [HIGHEST]
    with pytest.raises(Failed, match="used up"):
        state.allocate("a", 2, (), ["z"])
    assert state.allocate("a", 2, (), ["x", "y"]) == [1, HIGHEST]
    state.close()


def test_threads_never_get_the_same_arc(state: State) -> None:
    given: list[list[int]] = []
    threads = [
        threading.Thread(target=lambda n=n: given.append(state.allocate("a", 2, (), [f"{n}.{i}" for i in range(200)])))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    arcs = [arc for some in given for arc in some]
    assert sorted(arcs) == list(range(1, 8 * 200 + 1))


def test_ten_thousand_known_keys_come_from_memory(directory: Path) -> None:
    state = State(directory)
    keys = [f"domain{i}" for i in range(10_000)]
    assert state.allocate("a", 2, (), keys) == list(range(1, 10_001))
    asked: list[str] = []
    assert state._db is not None
    state._db.set_trace_callback(asked.append)
    assert state.allocate("a", 2, (), keys) == list(range(1, 10_001))
    assert asked == []
    state.close()


def test_engine_boots_count_across_restarts(directory: Path) -> None:
    for boots in (1, 2, 3):
        state = State(directory)
        assert state.engine_boots() == boots
        state.close()


def test_engine_boots_stay_at_their_maximum(state: State) -> None:
    with state._writing() as db:
        db.execute("update engine set boots = ?", (HIGHEST - 1,))
    assert [state.engine_boots(), state.engine_boots()] == [HIGHEST, HIGHEST]


def test_the_engine_id_is_made_once_and_kept(directory: Path) -> None:
    made = iter([b"\x80\x00\x90\x5d\x05one", b"\x80\x00\x90\x5d\x05two"])
    for _ in range(2):
        state = State(directory)
        for _ in range(2):
            assert state.engine_id(lambda: next(made)) == b"\x80\x00\x90\x5d\x05one"
        state.close()
    assert len(list(made)) == 1


def test_an_engine_id_that_cannot_be_kept_is_not_given(state: State) -> None:
    assert state._db is not None
    state._db.execute("pragma query_only = on")
    with pytest.raises(Failed, match="cannot be written"):
        state.engine_id(lambda: b"first")
    state._db.execute("pragma query_only = off")
    assert state.engine_id(lambda: b"second") == b"second"


def test_boots_and_engine_id_leave_each_other_alone(state: State) -> None:
    assert state.engine_boots() == 1
    assert state.engine_id(lambda: b"12345") == b"12345"
    assert state.engine_boots() == 2
    assert state.engine_id(lambda: b"other") == b"12345"


def test_texts_are_kept_as_they_were_set_last(directory: Path) -> None:
    state = State(directory)
    assert state.text("sysContact") is None
    state.set_text("sysContact", "somebody")
    state.set_text("sysContact", "")
    state.set_text("sysLocation", "cellar 'A'")
    assert (state.text("sysContact"), state.text("sysLocation")) == ("", "cellar 'A'")
    state.close()
    state = State(directory)
    assert (state.text("sysContact"), state.text("sysLocation"), state.text("sysName")) == ("", "cellar 'A'", None)
    state.close()


def test_a_text_that_cannot_be_written_stays_as_it_was(state: State) -> None:
    assert state._db is not None
    state.set_text("sysName", "a")
    state._db.execute("pragma query_only = on")
    with pytest.raises(Failed, match="cannot be written"):
        state.set_text("sysName", "b")
    assert state.text("sysName") == "a"


VERSION_1 = """
create table arc (
    hypervisor text not null, tabl integer not null, parent text not null, key text not null, arc integer not null,
    primary key (hypervisor, tabl, parent, key)
) without rowid;
create table highest (
    hypervisor text not null, tabl integer not null, parent text not null, arc integer not null,
    primary key (hypervisor, tabl, parent)
) without rowid;
create table engine (boots integer not null);
insert into engine values (41);
create table audit (
    id integer primary key, at real not null, principal text not null, front_end text not null, operation text not null,
    hypervisor text not null, target text not null, result text not null
);
insert into arc values ('a', 2, '', 'x', 5);
insert into highest values ('a', 2, '', 7);
insert into audit values (null, 1.5, 'ops', 'snmp', 'Start', 'a', 'x', 'done');
pragma user_version = 1;
"""


def test_a_file_of_the_first_version_goes_on_with_all_that_it_holds(directory: Path) -> None:
    directory.mkdir(parents=True)
    with closing(sqlite3.connect(directory / FILE)) as db:
        db.executescript(VERSION_1)
    for boots, contact in ((42, None), (43, "somebody")):
        state = State(directory)
        assert state.allocate("a", 2, (), ["x", "y"]) == [5, 8]
        assert state.engine_boots() == boots
        assert state.engine_id(lambda: b"12345") == b"12345"
        assert state.text("sysContact") == contact
        state.set_text("sysContact", "somebody")
        assert [r.operation for r in state.audit_trail()] == ["Start"]
        state.close()
    with closing(sqlite3.connect(directory / FILE)) as db:
        assert db.execute("pragma user_version").fetchone() == (VERSION,)


def test_a_migration_that_fails_changes_nothing(directory: Path) -> None:
    directory.mkdir(parents=True)
    with closing(sqlite3.connect(directory / FILE)) as db:
        db.executescript(VERSION_1 + "create table setting (in_the_way integer);")
    with pytest.raises(ConfigError, match=r"state\.directory: .*setting already exists"):
        State(directory)
    with closing(sqlite3.connect(directory / FILE)) as db:
        assert db.execute("pragma user_version").fetchone() == (1,)
        assert db.execute("select * from engine").fetchall() == [(41,)]


def test_the_audit_trail_keeps_the_newest(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.state.KEPT_RECORDS", 10)
    monkeypatch.setattr("agent.state.PRUNED_EVERY", 5)
    for n in range(25):
        state.audit(principal="p", front_end="snmp", operation=f"o{n}", hypervisor="h", target="t", result="done")
    kept = [record.operation for record in state.audit_trail(1000)]
    assert kept == [f"o{n}" for n in range(24, 14, -1)]


def test_the_audit_trail_gives_the_newest_first(state: State) -> None:
    for operation in ("Start", "Suspend", "Resume"):
        state.audit(
            principal="ops", front_end="snmp", operation=operation, hypervisor="local", target="web", result="done"
        )
    trail = state.audit_trail(2)
    assert [record.operation for record in trail] == ["Resume", "Suspend"]
    assert trail[0].principal == "ops"
    assert trail[0].target == "web"
    assert trail[1].at <= trail[0].at


def test_only_the_owner_may_read_the_files(directory: Path, state: State) -> None:
    state.engine_boots()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for file in directory.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_second_agent_is_refused(directory: Path, state: State) -> None:
    with pytest.raises(ConfigError, match=r"state\.directory: .* is in use by another virtmap"):
        State(directory)


def test_a_file_that_is_no_database_is_refused(directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / FILE).write_text("this is not SQLite" * 100)
    with pytest.raises(ConfigError, match=r"state\.directory: .*not a database"):
        State(directory)
    (directory / FILE).unlink()
    State(directory).close()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"state\.directory: .*Not a directory"):
        State(tmp_path / "file" / "state")


def test_a_file_of_a_newer_version_is_refused(directory: Path) -> None:
    state = State(directory)
    with state._writing() as db:
        db.execute("pragma user_version = 99")
    state.close()
    with pytest.raises(ConfigError, match="newer virtmap"):
        State(directory)


def test_a_closed_state_says_so(directory: Path) -> None:
    state = State(directory)
    state.close()
    state.close()
    with pytest.raises(Failed, match="closed"):
        state.allocate("a", 2, (), ["x"])


def test_memory_keeps_nothing() -> None:
    for _ in range(2):
        state = State(":memory:")
        assert state.engine_boots() == 1
        state.close()


def test_many_parents_are_one_commit(directory: Path) -> None:
    state = State(directory)
    commits: list[str] = []
    assert state._db is not None
    state._db.set_trace_callback(lambda sql: commits.append(sql) if sql == "commit" else None)
    state.allocate_many("a", 4, [((parent,), ["vda", "vdb"]) for parent in range(500)])
    assert commits == ["commit"]
    state.close()


def test_what_cannot_be_written_is_not_given(state: State) -> None:
    assert state._db is not None
    state.allocate("a", 2, (), ["w"])
    state._db.execute("pragma query_only = on")
    with pytest.raises(Failed, match="cannot be written"):
        state.allocate("a", 2, (), ["x", "y"])
    state._db.execute("pragma query_only = off")
    assert state.allocate("a", 2, (), ["y", "w"]) == [2, 1]


def test_what_was_created_is_kept_by_kind_and_name(directory: Path) -> None:
    state = State(directory)
    state.keep_created([("filter", "b", "1"), ("filter", "a", "2"), ("destination", "a", "3")])
    state.keep_created([("filter", "b", "4")], [("destination", "a"), ("destination", "absent")])
    state.close()
    state = State(directory)
    assert list(state.created("filter").items()) == [("a", "2"), ("b", "4")]
    assert state.created("destination") == {}
    state.close()


def test_what_was_created_changes_as_a_whole_or_not_at_all(state: State) -> None:
    state.keep_created([("filter", "a", "1")])
    with pytest.raises(Failed, match="cannot be written"):
        state.keep_created([("filter", "b", "2"), ("filter", "c", None)], [("filter", "a")])  # type: ignore[list-item]
    assert state.created("filter") == {"a": "1"}


def queued(queue: str, place: int, attempts: int = 0) -> Queued:
    return Queued(queue=queue, place=place, at=1.5, reason="why", body=b"<%d>" % place, attempts=attempts)


def test_queues_keep_their_order_across_restarts(directory: Path) -> None:
    state = State(directory)
    state.change_queues(put=[queued("a", 2), queued("b", 3), queued("a", 10), queued("a", 4)], longest=10)
    state.close()
    state = State(directory)
    assert state.queues() == {"a": 10, "b": 3}
    assert state.queued("a", 0, 10) == [queued("a", 2), queued("a", 4), queued("a", 10)]
    assert state.queued("a", 2, 1) == [queued("a", 4)]
    assert state.queued("c", 0, 10) == []
    state.close()


def test_what_was_tried_is_counted_and_what_is_done_goes(state: State) -> None:
    state.change_queues(put=[queued("a", n) for n in (1, 2, 3)], longest=10)
    state.change_queues(tried=[queued("a", 2, attempts=5)], done=[queued("a", 1), queued("a", 7)], longest=10)
    assert state.queued("a", 0, 10) == [queued("a", 2, attempts=5), queued("a", 3)]
    state.change_queues(put=[queued("a", 4), queued("b", 5)], gone=["a", "absent"], longest=10)
    assert state.queues() == {"a": 4, "b": 5}
    assert state.queued("a", 0, 10) == [queued("a", 4)]


def test_a_queue_that_is_too_long_loses_its_oldest(state: State) -> None:
    assert state.change_queues(put=[queued("a", n) for n in (1, 2, 3)], longest=3) == {}
    more = [queued("a", 4), queued("a", 5), queued("b", 6)]
    assert state.change_queues(put=more, longest=3) == {"a": 2}
    assert [m.place for m in state.queued("a", 0, 10)] == [3, 4, 5]
    assert state.change_queues(put=[queued("a", 7)], done=[queued("a", 3)], longest=3) == {}


def test_changes_of_queues_are_one_commit(directory: Path) -> None:
    state = State(directory)
    commits: list[str] = []
    assert state._db is not None
    state._db.set_trace_callback(lambda sql: commits.append(sql) if sql == "commit" else None)
    state.change_queues(put=[queued("a", n) for n in range(100)], done=[queued("b", 1)], longest=1000)
    assert commits == ["commit"]
    state.close()
