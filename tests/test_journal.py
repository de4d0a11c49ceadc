"""The journal of queues, beyond what delivery of indications and informs show of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from agent.errors import Failed
from agent.journal import Journal
from agent.state import Queued, State
from tests.agents import looped, until


@looped
async def test_what_is_noted_while_the_disk_recovers_is_written_without_more_to_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.journal.DISK_AGAIN", 3600.0)
    state = State(":memory:")
    change, writes = state.change_queues, 0
    begun, going = threading.Event(), threading.Event()

    def recovering(**changes: Any) -> Mapping[str, int]:
        nonlocal writes
        writes += 1
        if writes == 1:
            raise Failed("the state file cannot be written: database or disk is full")
        if writes == 2:
            begun.set()
            going.wait(20)
        return change(**changes)

    monkeypatch.setattr(state, "change_queues", recovering)
    journal = Journal(state, None, lambda *_: None, what="things", log=logging.getLogger("virtmap.test"))
    first, second = (Queued(queue="a", place=n, at=0.0, reason="", body=b"") for n in (1, 2))
    await journal.put([first])
    telling = journal.put([second])
    await until(begun.is_set)
    journal.done(second)
    going.set()
    await telling
    await until(lambda: writes == 3 and not state.queues())
    await journal.stop(())
    state.close()
