"""The methods of CIM_ConcreteJob on jobs: stopping one, and asking what went wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import pywbem

from agent.cim import methods
from agent.errors import Failed
from agent.model.domain import ManagedSave, Suspend
from tests.cim.served import DEFINER, OBSERVER, OPERATOR, Running, path_of, serve
from tests.servers import eventually


@pytest.fixture
def running() -> Iterator[Running]:
    yield from serve({"local": "fake:///?domains=2&details=0"})


def waiting(running: Running) -> Any:
    """The path of a job that waits for a client to come for its data, and can be stopped."""
    value, outs = running.client(DEFINER).InvokeMethod("Screenshot", path_of(running, "guest1"))
    assert value == 4096
    return outs["Job"]


def state(running: Running, job: Any) -> int:
    return int(running.client().GetInstance(job)["JobState"])


def ask(running: Running, method: str, job: Any, who: Any = DEFINER, **given: Any) -> tuple[int, Any]:
    value, outs = running.client(who).InvokeMethod(method, job, **given)
    return int(value), outs


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("RequestStateChange", {"RequestedState": pywbem.Uint16(4)}),
        ("RequestStateChange", {"RequestedState": pywbem.Uint16(5), "TimeoutPeriod": None}),
        ("KillJob", {"DeleteOnKill": False}),
        ("killjob", {}),
    ],
)
def test_a_job_is_stopped(running: Running, method: str, given: dict[str, Any]) -> None:
    job = waiting(running)
    assert state(running, job) == 4
    assert ask(running, method, job, **given)[0] == 0
    eventually(lambda: state(running, job) == 8, what="the end of the job")
    assert any(r["operation"] == "Cancel" and r["result"] == "done" for r in running.trail.records)


def test_what_a_job_cannot_be_asked_for(running: Running) -> None:
    job = waiting(running)
    for requested, code in ((2, 1), (3, 1), (6, 1), (7, 5), (1, 5), (65535, 5)):
        assert ask(running, "RequestStateChange", job, RequestedState=pywbem.Uint16(requested))[0] == code
    assert ask(running, "RequestStateChange", job)[0] == 5
    interval = pywbem.CIMDateTime("00000000000010.000000:000")
    given = {"RequestedState": pywbem.Uint16(4), "TimeoutPeriod": interval}
    assert ask(running, "RequestStateChange", job, **given)[0] == 4098
    assert ask(running, "KillJob", job, DeleteOnKill=True)[0] == 1
    assert state(running, job) == 4
    for method, parameters in (("KillJob", {"Colour": "red"}), ("GetError", {"Colour": "red"})):
        with pytest.raises(pywbem.CIMError) as caught:
            ask(running, method, job, **parameters)
        assert caught.value.status_code == pywbem.CIM_ERR_INVALID_PARAMETER
    assert ask(running, "KillJob", job)[0] == 0


def test_a_job_that_has_ended_cannot_be_stopped(running: Running) -> None:
    job = waiting(running)
    assert ask(running, "KillJob", job)[0] == 0
    eventually(lambda: state(running, job) == 8, what="the end of the job")
    assert ask(running, "RequestStateChange", job, RequestedState=pywbem.Uint16(4))[0] == 4097
    assert running.trail.records[-1]["result"].startswith("refused: ")
    assert ask(running, "KillJob", job)[0] == 4


def test_a_job_that_the_hypervisor_cannot_stop_goes_on(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "PATIENCE", 0.05)
    fake, go = running.drivers["local"], threading.Event()
    original = fake.perform

    def perform(operation: Any, key: Any, task: Any) -> Any:
        if isinstance(operation, ManagedSave):
            assert go.wait(20)
        return original(operation, key, task)

    fake.perform = perform  # type: ignore[method-assign]
    try:
        value, outs = running.client(OPERATOR).InvokeMethod("ManagedSave", path_of(running, "guest1"))
        assert value == 4096
        assert ask(running, "RequestStateChange", outs["Job"], RequestedState=pywbem.Uint16(4))[0] == 1
        assert ask(running, "KillJob", outs["Job"])[0] == 1
        assert state(running, outs["Job"]) == 4
    finally:
        go.set()
    eventually(lambda: state(running, outs["Job"]) == 7, what="the end of the job")
    assert ask(running, "GetError", outs["Job"]) == (0, {})


def test_who_may_only_observe_stops_no_job(running: Running) -> None:
    job = waiting(running)
    for method, given in (("KillJob", {}), ("RequestStateChange", {"RequestedState": pywbem.Uint16(4)})):
        with pytest.raises(pywbem.CIMError) as caught:
            ask(running, method, job, OBSERVER, **given)
        assert caught.value.status_code == pywbem.CIM_ERR_ACCESS_DENIED
        assert running.trail.records[-1]["result"].startswith("refused: ")
    assert state(running, job) == 4
    assert ask(running, "KillJob", job)[0] == 0


def test_a_job_tells_what_went_wrong(running: Running) -> None:
    running.drivers["local"].refuse(Suspend, Failed("domain guest1: <it> will not"))
    with pytest.raises(pywbem.CIMError):
        running.client(OPERATOR).InvokeMethod("Suspend", path_of(running, "guest1"))
    (job,) = (i.path for i in running.client().EnumerateInstances("Virtmap_Job") if i["JobState"] == 10)
    value, outs = ask(running, "GetError", job, OBSERVER)
    error = outs["Error"]
    assert (value, error.classname) == (0, "CIM_Error")
    assert (error["Message"], error["CIMStatusCode"], error["OwningEntity"]) == (
        "domain guest1: <it> will not", 1, "virtmap",
    )  # fmt: skip
    assert job["InstanceID"] in error["ErrorSource"]
    declared = running.client().GetClass("CIM_Error", LocalOnly=False).properties
    assert {(n, p.type) for n, p in error.properties.items()} <= {(n, p.type) for n, p in declared.items()}
    value, outs = ask(running, "GetErrors", job, OBSERVER)
    assert (value, outs["Errors"]) == (0, [error])
