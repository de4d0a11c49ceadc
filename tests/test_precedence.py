"""Which thread has its turn first: how nice each is, before, while and after something is read."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agent import precedence
from agent.pauses import Pauses
from agent.workers import Workers
from tests.agents import looped


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.fixture
def permitted(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """How nice this thread is; left so."""
    monkeypatch.setattr(precedence, "_niceness", {})
    before = niceness()
    if not precedence.go_ahead():
        pytest.skip("it takes CAP_SYS_NICE to go ahead")
    precedence.stand_back()
    yield before
    precedence.stand_back()


@looped
async def test_the_loops_thread_goes_ahead_while_something_is_read(permitted: int) -> None:
    pauses, workers = Pauses(), Workers(1, "niceness")
    with pauses.undisturbed():
        assert niceness() == permitted - precedence.AHEAD
        with pauses.undisturbed():
            pass
        assert niceness() == permitted - precedence.AHEAD
        assert await workers.run(niceness, limit=10, what="look") == permitted
    assert niceness() == permitted
    workers.close()


def test_who_may_not_go_ahead_stays_as_nice_as_he_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(precedence, "_niceness", {})
    monkeypatch.setattr(os, "setpriority", refused)
    assert not precedence.go_ahead()
    precedence.stand_back()


@pytest.mark.parametrize("call", [precedence.go_ahead, precedence.ask_for_short_slices])
def test_other_systems_are_left_alone(call: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence.sys, "platform", "freebsd14")
    assert not call()
