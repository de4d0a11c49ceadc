"""What fails leaves nothing behind: no error keeps alive, in a circle that only the garbage collector would find, what it was
about. Snapshots, views and connections are set aside from most collections, and would stay for minutes."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from agent.errors import Failed, Unreachable, VirtmapError
from agent.model.domain import Resume, Start
from agent.workers import Workers
from drivers.libvirt import LibvirtDriver
from tests import wire
from tests.agents import OPERATOR, looped, until, world
from tests.programs import unavailable
from tests.servers import Session, Unavailable


@contextmanager
def leftovers() -> Iterator[Counter[str]]:
    """After the block: what only the collector could free of what the block made, by the names of the types."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found.update(type(each).__name__ for each in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        gc.unfreeze()


def fail(_held: object) -> None:
    raise Failed("no")


class Held:
    """Something that a call worked on."""


@looped
async def test_of_a_call_that_failed() -> None:
    workers = Workers(1, "failing")
    with leftovers() as found:
        for _ in range(3):
            try:
                await workers.run(partial(fail, Held()), limit=5, what="fail")
            except Failed:
                continue
        await until(lambda: workers._idle == 1, "the thread to be idle")
    workers.close()
    assert found["Held"] == found["Failed"] == 0, found


@looped
async def test_of_an_operation_that_failed() -> None:
    async with world() as w:
        key = w.key("guest1")
        failed = 0
        with leftovers() as found:
            for operation in (Resume(), Start()):
                try:
                    await w.operations.perform(OPERATOR, "default", operation, key)
                except VirtmapError:
                    failed += 1
        assert failed == 2
        assert found["frame"] == 0, found


@pytest.mark.parametrize("community", [b"public", b"secret"])
def test_of_a_set_that_is_refused(community: bytes) -> None:
    @looped
    async def refused() -> None:
        async with world() as w:
            with leftovers() as found:
                for column in (3, 4, 9):
                    data = wire.setting([(w.column(column, "guest1"), wire.text("no"))], community=community)
                    assert wire.answered(w.ask(data)).status
            assert found["Refused"] == found["View"] == found["frame"] == 0, found

    refused()


def test_of_a_connection_that_was_lost() -> None:
    try:
        session = Session()
    except Unavailable as reason:
        unavailable(str(reason))
    with session as server:
        driver = LibvirtDriver("lost", server.test_uri())
        driver.connect()
        with leftovers() as found:
            driver.plan().pieces[-1].read()
            server.kill()
            for _ in range(3):
                try:
                    driver.plan()
                except Unreachable:
                    continue
        driver.close()
    assert found["virConnect"] == found["virDomain"] == found["frame"] == 0, found
