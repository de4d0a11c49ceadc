"""The one way to perform an operation: access, audit, jobs, limits, and what never comes out."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from agent.access import Principal, authorize, authorize_kind, permitted
from agent.errors import Busy, Denied, Failed, Invalid, NotFound, VirtmapError
from agent.inventory import Inventory
from agent.model import MODEL, Domain, Host, Job
from agent.model.domain import (
    Destroy,
    DomainState,
    ManagedSave,
    ReadXml,
    Reset,
    Resume,
    SetAutostart,
    SetMemory,
    SetUserPassword,
    Suspend,
)
from agent.model.host import DefineDomain, ReadCapabilities
from agent.model.job import JobState
from agent.operations import KEPT_JOBS, Operations, malformed
from agent.schema.declare import Access
from agent.schema.types import Secret
from agent.state import State
from agent.workers import NoAnswer
from drivers.fake import Fake
from tests.agents import ADMINISTRATOR, OBSERVER, OPERATOR, QUIET, Trail, World, looped, until, world

PASSWORD = "correct horse battery staple"


def jobs(w: World) -> list[Job]:
    return [row for row in w.inventory.snapshot.table(Job).rows() if isinstance(row, Job)]


@pytest.mark.parametrize("role", Access)
def test_a_role_may_do_what_its_level_and_those_below_allow(role: Access) -> None:
    who = Principal(name="x", role=role, front_end="test")
    for operation in MODEL.operations:
        assert permitted(who, operation) is (operation.needs <= role)
        if operation.needs > role:
            with pytest.raises(Denied, match=f"x: {operation.__name__} needs the role"):
                authorize_kind(who, operation)


def test_an_argument_may_need_more_than_its_operation() -> None:
    authorize(OPERATOR, Destroy())
    authorize(OPERATOR, Destroy(remove_logs=False))
    with pytest.raises(Denied, match="worker: Destroy with remove_logs needs the role define, and it has operate"):
        authorize(OPERATOR, Destroy(remove_logs=True))
    authorize(ADMINISTRATOR, Destroy(remove_logs=True))


@looped
async def test_it_performs_and_reads_again() -> None:
    async with world() as w:
        result = await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        assert result.ended
        assert w.domain("guest1").state is DomainState.PAUSED
        (record,) = w.trail.records
        assert record == {
            "principal": "worker", "front_end": "test", "operation": "Suspend", "hypervisor": "default",
            "target": "domain guest1", "result": "done",
        }  # fmt: skip
        (job,) = jobs(w)
        assert (job.number, job.state, job.operation, job.target, job.principal, job.error) == (
            result.job, JobState.COMPLETED, "Suspend", "domain guest1", "worker", "",
        )  # fmt: skip
        assert job.submitted <= job.finished


@looped
async def test_out_values_come_back() -> None:
    async with world() as w:
        result = await w.operations.perform(OBSERVER, "default", ReadXml(), w.key("guest2"))
        assert "<name>guest2</name>" in result.values["xml"]
        host = await w.operations.perform(OBSERVER, "default", ReadCapabilities(), ("default",))
        assert host.values["xml"].startswith("<capabilities>")


@looped
async def test_what_is_refused_is_audited_and_never_reaches_the_driver() -> None:
    async with world(at_once=1) as w:
        key = w.key("guest1")
        refused = [
            (OBSERVER, Suspend(), key, Denied, "needs the role operate"),
            (
                OPERATOR,
                SetUserPassword(user="root", password=Secret(PASSWORD)),
                key,
                Denied,
                "needs the role administer",
            ),
            (OPERATOR, SetMemory(memory=0), key, Invalid, "below 1"),
            (OPERATOR, SetMemory(memory="1"), key, Invalid, "str is not KiB"),
            (OPERATOR, SetMemory(memory=True), key, Invalid, "bool is not KiB"),
            (OPERATOR, SetAutostart(autostart=1), key, Invalid, "int is not Flag"),
            (OPERATOR, SetMemory(memory=2**64), key, Invalid, "above"),
            (OPERATOR, Suspend(), ("no such",), NotFound, "no such domain"),
        ]
        for who, operation, target, error, text in refused:
            with pytest.raises(error, match=text):
                await w.operations.perform(who, "default", operation, target)
            assert w.trail.records[-1]["result"].startswith("refused: ")
            assert w.trail.records[-1]["operation"] == type(operation).__name__
        assert len(w.trail.records) == len(refused)
        assert not w.fake.performed
        assert jobs(w) == []


@looped
async def test_a_failure_is_raised_audited_and_shown_as_a_job() -> None:
    async with world() as w:
        w.fake.refuse(Reset, Failed("domain guest1: the monitor is gone"))
        with pytest.raises(Failed, match="monitor is gone"):
            await w.operations.perform(OPERATOR, "default", Reset(), w.key("guest1"))
        (job,) = jobs(w)
        assert (job.state, job.error) == (JobState.FAILED, "domain guest1: the monitor is gone")
        assert w.trail.records[-1]["result"] == "domain guest1: the monitor is gone"


@looped
async def test_a_fault_of_the_driver_is_a_failure_and_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w:
        w.fake.refuse(Reset, ZeroDivisionError("oops"))  # type: ignore[arg-type]
        with pytest.raises(Failed, match="fault of the agent"):
            await w.operations.perform(OPERATOR, "default", Reset(), w.key("guest1"))
        assert "ZeroDivisionError" in caplog.text
        assert jobs(w)[0].state is JobState.FAILED
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))


@looped
async def test_patience_ends_but_the_job_goes_on() -> None:
    async with world() as w:
        w.fake.hang("guest1")
        result = await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"), patience=0.02)
        assert (result.ended, result.values) == (False, {})
        assert jobs(w)[0].state is JobState.RUNNING
        assert w.trail.records == []
        w.fake.release()
        await until(lambda: jobs(w)[0].state is JobState.COMPLETED)
        await until(lambda: w.trail.records)
        assert w.trail.records[0]["result"] == "done"
        assert w.domain("guest1").state is DomainState.PAUSED


@looped
async def test_a_failure_after_patience_is_in_the_job_and_the_trail() -> None:
    async with world() as w:
        w.fake.hang("guest1")
        w.fake.refuse(Suspend, Invalid("no"))
        assert not (await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"), patience=0.02)).ended
        w.fake.release()
        await until(lambda: w.trail.records)
        assert (jobs(w)[0].state, jobs(w)[0].error) == (JobState.FAILED, "no")


@looped
async def test_an_operation_past_its_limit_is_abandoned() -> None:
    async with world(limit=0.05) as w:
        w.fake.hang("guest1")
        with pytest.raises(NoAnswer, match="domain guest1: Suspend: no answer"):
            await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        assert jobs(w)[0].state is JobState.ABANDONED
        assert "no answer" in w.trail.records[0]["result"]
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest2"))


@looped
@pytest.mark.parametrize(("error", "told"), [(None, "done, late"), (Invalid("no"), "failed, late: no")])
async def test_what_ends_after_it_was_abandoned_is_told_in_the_trail(error: VirtmapError | None, told: str) -> None:
    async with world(limit=0.05) as w:
        w.fake.hang("guest1")
        w.fake.refuse(Suspend, error)
        with pytest.raises(NoAnswer):
            await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        w.fake.release()
        await until(lambda: len(w.trail.records) == 2)
        assert w.trail.records[1]["result"] == told


@looped
async def test_an_operation_that_is_a_job_has_no_such_limit() -> None:
    async with world(limit=0.02) as w:
        w.fake.hang("guest1")
        saving = asyncio.ensure_future(w.operations.perform(OPERATOR, "default", ManagedSave(), w.key("guest1")))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(saving), 0.2)
        w.fake.release()
        assert (await saving).ended


@looped
async def test_too_many_at_once_are_busy() -> None:
    async with world(at_once=2) as w:
        w.fake.hang("guest1")
        for _ in range(2):
            await w.operations.perform(OPERATOR, "default", Reset(), w.key("guest1"), patience=0.01)
        with pytest.raises(Busy, match="2 operations are running already"):
            await w.operations.perform(OPERATOR, "default", Reset(), w.key("guest2"))
        w.fake.release()
        await until(lambda: all(j.state is JobState.COMPLETED for j in jobs(w)))
        await w.operations.perform(OPERATOR, "default", Reset(), w.key("guest2"))


@looped
async def test_long_operations_do_not_stop_the_reading() -> None:
    async with world("fake:///?domains=30", at_once=16) as w:
        w.fake.hang("guest1")
        for who in (OPERATOR, ADMINISTRATOR) * 8:
            await w.operations.perform(who, "default", ManagedSave(), w.key("guest1"), patience=0.001)
        key = w.key("guest2")
        await asyncio.wait_for(w.inventory.refresh([(Domain, key)]), 5)
        assert w.inventory.snapshot.get(Domain, key) is not None
        w.fake.release()


@looped
async def test_one_user_does_not_take_all_the_room() -> None:
    async with world() as w:
        w.operations.per_principal = 2
        w.fake.hang("guest1")
        for _ in range(2):
            await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"), patience=0.001)
        with pytest.raises(Busy, match="2 operations of worker are running already"):
            await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest2"))
        assert w.operations.crowded(ADMINISTRATOR) is None
        await w.operations.perform(ADMINISTRATOR, "default", Suspend(), w.key("guest2"))
        w.fake.release()
        await until(lambda: w.operations.crowded(OPERATOR) is None)


class Told:
    """Keeps what it is told of an operation that nobody waits for."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def begun(self, job: int) -> None:
        self.heard.append(job)

    def ended(self, state: JobState, error: str, values: Mapping[str, Any]) -> None:
        self.heard += [state, error, dict(values)]


@looped
async def test_who_launched_an_operation_is_told_how_it_fares() -> None:
    async with world() as w:
        done, refused, failed = Told(), Told(), Told()
        w.operations.launch(OBSERVER, "default", ReadXml(), w.key("guest1"), done)
        w.operations.launch(OBSERVER, "default", Suspend(), w.key("guest1"), refused)
        w.fake.refuse(Reset, Failed("domain guest1: the monitor is gone"))
        w.operations.launch(OPERATOR, "default", Reset(), w.key("guest1"), failed)
        await until(lambda: done.heard[1:] and refused.heard and failed.heard[1:], "all three to end")
        number, state, error, values = done.heard
        assert (number, state, error, list(values)) == (jobs(w)[0].number, JobState.COMPLETED, "", ["xml"])
        assert refused.heard == [JobState.FAILED, "watcher: Suspend needs the role operate, and it has observe", {}]
        assert failed.heard[1:] == [JobState.FAILED, "domain guest1: the monitor is gone", {}]


@looped
async def test_a_caller_that_goes_away_leaves_the_operation_running() -> None:
    async with world() as w:
        w.fake.hang("guest1")
        asking = asyncio.ensure_future(w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1")))
        await until(lambda: jobs(w))
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        w.fake.release()
        await until(lambda: jobs(w)[0].state is JobState.COMPLETED)


@looped
async def test_what_runs_when_the_agent_stops_is_not_called_done() -> None:
    async with world() as w:
        w.fake.hang("guest1")
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"), patience=0.01)
        await w.operations.stop(limit=0.05)
        assert jobs(w)[0].state is JobState.ABANDONED
        await until(lambda: w.trail.records)
        assert "the agent stopped" in w.trail.records[0]["result"]


@looped
async def test_only_the_last_jobs_are_kept_and_numbers_go_on() -> None:
    async with world() as w:
        for i in range(KEPT_JOBS + 5):
            await w.operations.perform(OPERATOR, "default", SetAutostart(autostart=bool(i % 2)), w.key("guest1"))
        assert [j.number for j in jobs(w)] == list(range(6, KEPT_JOBS + 6))


@looped
async def test_each_hypervisor_shows_its_own_jobs() -> None:
    state = State(":memory:")
    fakes = {name: Fake(name, "fake:///") for name in ("here", "there")}
    inventories = {name: Inventory(f, state, pace=QUIET) for name, f in fakes.items()}
    operations = Operations(inventories, Trail())
    for inventory in inventories.values():
        inventory.start()
        await inventory.wait_refreshed()
    fakes["here"].hang("guest1")
    await operations.perform(OPERATOR, "here", Suspend(), fakes["here"].find("guest1"), patience=0.01)
    await operations.perform(OPERATOR, "there", Reset(), fakes["there"].find("guest1"))

    def shown(name: str) -> list[tuple[str | None, JobState | None]]:
        rows = inventories[name].snapshot.table(Job).rows()
        return [(r.operation, r.state) for r in rows if isinstance(r, Job)]

    assert shown("here") == [("Suspend", JobState.RUNNING)]
    assert shown("there") == [("Reset", JobState.COMPLETED)]
    fakes["here"].release()
    await until(lambda: shown("here") == [("Suspend", JobState.COMPLETED)])
    await operations.stop()
    for inventory in inventories.values():
        await inventory.stop()
    state.close()


@looped
async def test_secrets_are_in_no_audit_log_or_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with world() as w:
        operation = SetUserPassword(user="root", password=Secret(PASSWORD))
        await w.operations.perform(ADMINISTRATOR, "default", operation, w.key("guest1"))
        assert w.fake.performed[-1][0].password.reveal() == PASSWORD
        for who, bad in (
            (OPERATOR, operation),
            (ADMINISTRATOR, SetUserPassword(user="x" * 300, password=Secret(PASSWORD))),
            (ADMINISTRATOR, SetUserPassword(user="root", password=PASSWORD)),
        ):
            with pytest.raises(VirtmapError) as told:
                await w.operations.perform(who, "default", bad, w.key("guest1"))
            assert PASSWORD not in str(told.value)
        w.fake.refuse(SetUserPassword, ZeroDivisionError("oops"))  # type: ignore[arg-type]
        with pytest.raises(Failed):
            await w.operations.perform(ADMINISTRATOR, "default", operation, w.key("guest1"))
        told = f"{w.trail.records} {jobs(w)} {operation!r} {operation} {malformed(operation)} {caplog.text}"
        assert "SetUserPassword" in told
        assert "<secret>" in told
        assert PASSWORD not in told


@looped
async def test_every_audit_line_is_logged_with_principal_object_and_operation(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "virtmap.audit")
    async with world() as w:
        await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))
        with pytest.raises(Denied):
            await w.operations.perform(OBSERVER, "default", Suspend(), w.key("guest1"))
    lines = [r.getMessage() for r in caplog.records if r.name == "virtmap.audit"]
    assert lines[0] == "test worker@127.0.0.1: Suspend of domain guest1 on default: done"
    assert lines[1].startswith("test watcher@127.0.0.1: Suspend of domain guest1 on default: refused: watcher: ")


class BrokenTrail(Trail):
    """A disk that is full, or hangs."""

    def __init__(self, hanging: threading.Event | None = None) -> None:
        super().__init__()
        self.hanging = hanging

    def audit(self, **record: str) -> None:
        if self.hanging is not None:
            self.hanging.wait(20)
        raise Failed("the state file cannot be written: disk full")


@looped
async def test_a_trail_that_cannot_be_written_does_not_change_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w:
        w.operations._trail = BrokenTrail()
        assert (await w.operations.perform(OPERATOR, "default", Suspend(), w.key("guest1"))).ended
        with pytest.raises(Denied):
            await w.operations.perform(OBSERVER, "default", Suspend(), w.key("guest1"))
        assert caplog.text.count("disk full") == 2


@looped
async def test_unsuitable_goes_by_what_was_read() -> None:
    async with world() as w:
        key = w.key("guest1")
        assert w.operations.unsuitable("default", Suspend, key) is None
        told = w.operations.unsuitable("default", Resume, key)
        assert told == "domain guest1: cannot resume: it is running"
        assert w.operations.unsuitable("default", Resume, ("no such",)) is None
        assert w.operations.unsuitable("default", SetMemory, key) is None


@looped
async def test_objects_are_described_for_people() -> None:
    async with world() as w:
        assert w.operations.describe("default", Suspend, w.key("guest1")) == "domain guest1"
        assert w.operations.describe("default", Suspend, ("gone",)) == "domain gone"
        assert w.operations.describe("default", ReadCapabilities, ("default",)) == "host default"


@looped
async def test_an_operation_on_the_host_reads_the_host_again() -> None:
    async with world() as w:
        before = w.inventory.snapshot.get(Host, ("default",))
        xml = (await w.operations.perform(OBSERVER, "default", ReadXml(), w.key("guest2"))).values["xml"]
        await w.operations.perform(ADMINISTRATOR, "default", DefineDomain(xml=xml), ("default",))
        after = w.inventory.snapshot.get(Host, ("default",))
        assert before is not None
        assert after is not None
        assert after.refreshed > before.refreshed
