"""Whatever datagram comes in, the engine answers with a well-formed message or nothing, raises nothing, and counts it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.snmp.engine import Engine, Setting, Statistics
from agent.snmp.message import MAX_VARBINDS
from tests import wire
from tests.agents import DOMAIN_ENTRY, World, world
from tests.wire import binding, get, getbulk, getnext, message, oid, tlv

SYS_DESCR = oid("1.3.6.1.2.1.1.1.0")
STATE = (*DOMAIN_ENTRY, 6)
LARGEST = 65_507

COUNTED = ("snmpInBadVersions", "snmpInBadCommunityNames", "snmpInASNParseErrs", "snmpUnknownPDUHandlers")


class Agent:
    """An agent whose loop turns only while it is made and taken down; the engine needs none."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.context = world("fake:///?domains=20&seed=3")
        self.world: World = self.loop.run_until_complete(self.context.__aenter__())

    def close(self) -> None:
        self.loop.run_until_complete(self.context.__aexit__(None, None, None))
        self.loop.close()

    @property
    def engine(self) -> Engine:
        return self.world.engine


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    made = Agent()
    yield made
    made.close()


def total(statistics: Statistics) -> int:
    return sum(getattr(statistics, name) for name in COUNTED)


def holds(agent: Agent, datagram: bytes) -> object:
    """The invariant, for one datagram; gives what the engine gave."""
    engine = agent.engine
    statistics = engine.statistics
    packets, errors = statistics.snmpInPkts, total(statistics)
    answer = engine.receive(datagram, "127.0.0.1", 40000)
    assert statistics.snmpInPkts == packets + 1
    if isinstance(answer, Setting):
        answer = engine.finish(answer)  # what a SET does to the hypervisor is tested elsewhere
    if answer is None:
        assert total(statistics) == errors + 1, "neither answered nor counted"
    else:
        assert len(answer) <= LARGEST
        told = wire.answered(answer, version=wire.taken(answer)[1][2])
        assert 0 <= told.index <= MAX_VARBINDS
        assert total(statistics) == errors
    return answer


SEEDS = (
    get(SYS_DESCR),
    get(SYS_DESCR, (*STATE, 1), (1, 3), request=2**31 - 1),
    getnext((1, 3), (*STATE, 20), (2, 999)),
    getbulk(1, 10, (1, 3), STATE, (*DOMAIN_ENTRY, 30)),
    getbulk(0, 2**31 - 1, (1, 3)),
    getbulk(-1, -1, STATE),
    wire.setting([((*DOMAIN_ENTRY, 1021, 1), wire.number(5000, 0x42))], community=b"secret"),
    wire.setting(
        [((*DOMAIN_ENTRY, 3, 1), wire.number(0)), ((*DOMAIN_ENTRY, 9, 2), wire.number(1))], community=b"secret"
    ),
    message(wire.RESPONSE, [binding(SYS_DESCR)]),
    get(*[(*STATE, i) for i in range(60)]),
)
FUZZ = settings(
    max_examples=1500, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@settings(parent=FUZZ, max_examples=500)
@given(data=st.binary(max_size=300))
@example(data=b"")
@example(data=b"\x30\x80\x00\x00")
@example(data=b"\x30\x84\xff\xff\xff\xff")
@example(data=b"\x30" * 65_000)
@example(data=b"\xff" * 65_000)
def test_random_octets(agent: Agent, data: bytes) -> None:
    holds(agent, data)


@FUZZ
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 999), st.integers(0, 4), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_mutated_messages(agent: Agent, seed: bytes, changes: list[tuple[int, int, int]]) -> None:
    data = bytearray(seed)
    for place, what, octet in changes:
        at = place % (len(data) + 1)
        if what == 0:
            data[at : at + 1] = bytes([octet])
        elif what == 1:
            data.insert(at, octet)
        elif what == 2:
            del data[at : at + 1 + octet % 8]
        elif what == 3:
            del data[at:]
        else:
            data[at:at] = data[at : at + octet]
    holds(agent, bytes(data))


ELEMENT = st.recursive(
    st.builds(tlv, st.sampled_from([2, 4, 5, 6, 0x30, 0x40, 0x42, 0x46, 0x80, 0xA0, 0x1F, 0xFF]), st.binary(max_size=12)),
    lambda inner: st.builds(
        lambda tag, parts: tlv(tag, b"".join(parts)), st.sampled_from([0x30, 0xA0, 0xA1, 0xA3, 0xA5]), st.lists(inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip
VALUE = st.one_of(
    ELEMENT, st.builds(wire.number, st.integers(-(2**40), 2**40), st.sampled_from([2, 0x41, 0x42, 0x43, 0x46]))
)
NAME = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [SYS_DESCR, STATE, (*DOMAIN_ENTRY, 3, 1), (*DOMAIN_ENTRY, 21, 4), (*DOMAIN_ENTRY, 1021, 2), (2, 0)]
    ).map(lambda arcs: wire.name(arcs)[2:]),
    st.lists(st.integers(0, 2**32 + 5), min_size=1, max_size=140).map(lambda arcs: wire.name((1, 3, *arcs))[-600:]),
)
BINDING = st.one_of(ELEMENT, st.builds(lambda n, v: tlv(0x30, tlv(6, n) + v), NAME, VALUE))
COUNT = st.one_of(st.integers(-3, 30), st.sampled_from([2**31 - 1, -(2**31), 2**31, 2**63, -(2**63)]))


@FUZZ
@given(
    pdu=st.sampled_from([wire.GET, wire.GETNEXT, wire.SET, wire.GETBULK, wire.GETBULK, wire.RESPONSE, 0xA4, 0x30, 0xA8]),
    bindings=st.lists(BINDING, max_size=6), first=COUNT, second=COUNT, request=COUNT,
    community=st.sampled_from([b"public", b"secret", b"", b"guess"]), version=st.sampled_from([1, 1, 1, 1, 0, 3, 2**31]),
)  # fmt: skip
def test_messages_of_odd_parts(
    agent: Agent, pdu: int, bindings: list[bytes], first: int, second: int, request: int, community: bytes, version: int
) -> None:
    holds(
        agent,
        message(pdu, bindings, first=first, second=second, request=request, community=community, version=version),
    )


def nested(depth: int, tag: int) -> bytes:
    data = b""
    while depth and len(data) < 65_000:
        data, depth = tlv(tag, data), depth - 1
    return data


@pytest.mark.parametrize("tag", [0x30, 0xA0, 0xA5, 0x24])
def test_deep_nesting(agent: Agent, tag: int) -> None:
    for depth in (10, 1000, 20_000):
        holds(agent, nested(depth, tag))
        holds(agent, message(wire.GET, [nested(depth, tag)[:60_000]]))


@pytest.mark.parametrize(
    "octets", [b"\x84\x7f\xff\xff\xff", b"\x84\xff\xff\xff\xff", b"\x88" + b"\xff" * 8, b"\x80", b"\xff"]
)
def test_lengths_that_lie_at_every_place(agent: Agent, octets: bytes) -> None:
    seed = SEEDS[1]
    for at in range(1, len(seed)):
        holds(agent, seed[:at] + octets + seed[at + 1 :])


@pytest.mark.parametrize("count", [MAX_VARBINDS - 1, MAX_VARBINDS, MAX_VARBINDS + 1, 6000])
@pytest.mark.parametrize("pdu", [wire.GET, wire.GETNEXT, wire.GETBULK, wire.SET])
def test_thousands_of_variables(agent: Agent, pdu: int, count: int) -> None:
    data = message(pdu, [binding((1, 3))] * count, second=2**31 - 1, community=b"secret")
    answer = holds(agent, data)
    assert (answer is None) is (count > MAX_VARBINDS)


def test_the_dearest_requests_take_no_longer_than_their_answers_are_worth(agent: Agent) -> None:
    """Bounded work: a second would be ten times what the slowest of these takes."""
    dear = [
        getbulk(0, 2**31 - 1, (1, 3)),
        getbulk(0, 2**31 - 1, *[(1, 3)] * MAX_VARBINDS),
        getbulk(0, 2**31 - 1, *[(2, 999)] * MAX_VARBINDS),
        getbulk(MAX_VARBINDS, 2**31 - 1, *[STATE] * MAX_VARBINDS),
        getbulk(0, 2**31 - 1, (2, 999), STATE),
        getnext(*[(*STATE, 2**32 - 1)] * MAX_VARBINDS),
    ]
    for datagram in dear:
        began = time.monotonic()
        holds(agent, datagram)
        assert time.monotonic() - began < 1.0


def test_shuffled_and_cut_messages(agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(7)
    with caplog.at_level(logging.WARNING):
        for seed in SEEDS:
            for at in range(len(seed)):
                holds(agent, seed[:at])
                holds(agent, seed[at:])
            for _ in range(50):
                parts = [seed[i : i + 7] for i in range(0, len(seed), 7)]
                chance.shuffle(parts)
                holds(agent, b"".join(parts))
                holds(agent, seed + bytes(chance.randrange(256) for _ in range(9)))
    assert not caplog.records, "what a stranger sends is not worth a line in the log"
