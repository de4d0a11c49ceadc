"""Malformed packets by the thousand, sent to the whole agent over UDP: it says nothing in its log, keeps nothing, never stalls,
and answers good requests as if nothing had been."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests import wire, wire3
from tests.fuzz import protos
from tests.peers.oracle import ANN, MARK, SECRET, Subject
from tests.peers.same_security import security
from tests.servers import eventually
from tests.threaded import Threaded

AT_ONCE, OCTETS_AT_ONCE = 32, 100_000
"""Packets that are sent before a good request has to be answered, and their octets, which a socket has to hold."""

PROMPT = 2.0
"""Seconds for that answer, on a busy machine; the packets before it take a millisecond each, at most."""


@pytest.fixture(scope="module")
def agent() -> Iterator[Threaded]:
    running = Threaded("fake:///?domains=5", security=security())
    yield running
    running.stop()


@pytest.fixture(scope="module")
def packets(agent: Threaded) -> list[protos.Packet]:
    subject = Subject(agent.port)
    try:
        return list(protos.every(ANN, subject.discover()))
    finally:
        subject.close()


def sent(port: int, packets: Sequence[protos.Packet]) -> tuple[int, float]:
    """Send them all; gives how many were answered, and the longest that a good request had to wait, in seconds."""
    good = wire.get(protos.SYS_DESCR, request=MARK)
    answers, longest = 0, 0.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(30)
        for some in _batches(packets):
            for _, octets in some:
                sock.send(octets)
            began = time.monotonic()
            sock.send(good)
            while not _good(data := sock.recv(65535), some):
                answers += 1
                assert data[0] == 0x30
            longest = max(longest, time.monotonic() - began)
    return answers, longest


def _batches(packets: Sequence[protos.Packet]) -> Iterator[list[protos.Packet]]:
    some: list[protos.Packet] = []
    for packet in packets:
        if some and (len(some) == AT_ONCE or sum(len(octets) for _, octets in some) + len(packet[1]) > OCTETS_AT_ONCE):
            yield some
            some = []
        some.append(packet)
    if some:
        yield some


def _good(data: bytes, some: Sequence[protos.Packet]) -> bool:
    """Whether it is the answer to the good request. All answers are whole messages."""
    size = len(data)
    _, contents, rest = wire.taken(data)
    assert not rest, f"an answer with {len(rest)} octets behind it, to one of {[what for what, _ in some]}"
    assert size <= protos.LARGEST
    if contents[:3] != b"\x02\x01\x01" or len(contents) > 1000:
        return False
    try:
        return wire.answered(data).request == MARK
    except AssertionError:
        return False


def test_there_are_thousands_of_packets_of_every_class(packets: list[protos.Packet]) -> None:
    assert len(packets) > 20_000
    assert len({octets for _, octets in packets}) > 0.8 * len(packets)
    for label in ("v1", "v2c", "v3"):
        for kind in protos.pdus():
            assert any(what.startswith(f"{label} {kind}") for what, _ in packets), (label, kind)


def _tasks() -> int:
    return len(asyncio.all_tasks())


def _resident() -> int:
    """Octets of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_nothing_is_said_kept_or_stalled(
    agent: Threaded, packets: list[protos.Packet], caplog: pytest.LogCaptureFixture
) -> None:
    engine = agent.world.engine
    usual = agent.call(_tasks)
    with caplog.at_level(logging.WARNING):
        before = engine.statistics.snmpInPkts
        answers, longest = sent(agent.port, packets)
        assert engine.statistics.snmpInPkts == before + len(packets) + sum(1 for _ in _batches(packets)), (
            "packets were lost"
        )
        assert answers > 100, "some anomalies are none, and answered"
        assert longest < PROMPT
        eventually(lambda: agent.call(_tasks) <= usual, what="no task left")
        gc.collect()
        objects, memory = len(gc.get_objects()), _resident()
        sent(agent.port, packets[::3])
        eventually(lambda: agent.call(_tasks) <= usual, what="no task left")
        gc.collect()
    assert len(gc.get_objects()) < objects + 2_000
    assert _resident() < memory + 8 * 2**20
    assert not engine._under_way
    assert not caplog.records


def test_the_agent_is_as_it_was(agent: Threaded, packets: list[protos.Packet]) -> None:
    """Good requests of each version, a SET among them, after some of the worst."""
    subject = Subject(agent.port, turns=80)
    try:
        sent(agent.port, packets[::50])
        assert wire.answered(subject.ask(wire.get(protos.SYS_DESCR, version=0)), 0).error == (0, 0)
        put = wire.setting([(protos.CONTACT, wire.text("nobody"))], community=SECRET)
        assert wire.answered(subject.ask(put)).error == (0, 0)
        told = subject.ask(wire3.message(ANN, subject.discover(), wire3.get(protos.CONTACT)))
        assert wire3.answered(told, ANN).answer.variables[0][2] == b"nobody"
    finally:
        subject.close()
