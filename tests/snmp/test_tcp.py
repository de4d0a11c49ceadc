"""SNMP over TCP: messages told apart in a stream of octets, and connections that cannot be used against the agent."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.model import Job
from agent.model.domain import DomainState, Suspend
from agent.operations import Operations
from agent.snmp.ber import BerError
from agent.snmp.engine import Engine
from agent.snmp.exchange import Exchange
from agent.snmp.message import Status
from agent.snmp.server import Address, Server
from agent.snmp.tcp import LARGEST, STRETCH, Frames, Limits
from tests import wire
from tests.agents import COMMUNITIES, World, looped, until, world
from tests.managers import datagrams, served, stream
from tests.programs import unavailable
from tests.wire import get, getbulk, oid, tlv

SYS_DESCR = oid("1.3.6.1.2.1.1.1.0")
EVERYTHING = oid("1.3")
TCP = ("tcp", "127.0.0.1", 0)


def setting(w: World, name: str, request: int) -> bytes:
    suspend = wire.number(Suspend.number)
    return wire.setting([(w.column(3, name), suspend)], request=request, community=b"secret")


# --- octets to messages


def framed(*chunks: bytes, largest: int = LARGEST) -> list[bytes]:
    frames = Frames(largest)
    found = []
    for chunk in chunks:
        frames.add(chunk)
        while (message := frames.next()) is not None:
            found.append(message)
    assert not frames.partial
    return found


@given(st.lists(st.binary(max_size=300), max_size=5), st.data())
def test_messages_are_told_apart_however_the_octets_arrive(bodies: list[bytes], data: st.DataObject) -> None:
    messages = [tlv(0x30, body) for body in bodies]
    octets = b"".join(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=8)))
    chunks = [octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    assert framed(*chunks) == messages
    assert framed(*(bytes((o,)) for o in octets)) == messages


def test_a_length_in_more_octets_than_needed_is_understood() -> None:
    for head in (b"\x30\x81\x03", b"\x30\x82\x00\x03", b"\x30\x84\x00\x00\x00\x03"):
        assert framed(head + b"abc") == [head + b"abc"]


@pytest.mark.parametrize(
    "octets",
    [
        b"\x00",
        b"G",
        b"\x31\x00",
        b"\x30\x80",
        b"\x30\x85",
        b"\x30\xff",
        b"\x30\x82\x00\x61",
        b"\x30\x84\xff\xff\xff\xff",
    ],
)
def test_what_starts_no_message_is_found_out_at_once(octets: bytes) -> None:
    with pytest.raises(BerError):
        framed(octets, largest=100)


def test_the_largest_message_is_taken_and_one_octet_more_is_not() -> None:
    assert framed(tlv(0x30, bytes(98)), largest=100) == [tlv(0x30, bytes(98))]
    with pytest.raises(BerError):
        framed(tlv(0x30, bytes(99)), largest=100)


# --- asking


@looped
async def test_pipelined_requests_are_all_answered_in_order() -> None:
    async with world() as w, served(w, TCP) as (_, bound), stream(bound[0]) as m:
        m.send(*(get(SYS_DESCR, request=i) for i in range(1000)))
        assert [a.request for a in await m.answers(1000)] == list(range(1000))
        assert w.engine.statistics.snmpInPkts == 1000


@looped
async def test_octet_by_octet() -> None:
    async with world() as w, served(w, TCP) as (_, bound), stream(bound[0]) as m:
        for octet in get(SYS_DESCR, request=5):
            m.send(bytes((octet,)))
            await m.writer.drain()
        assert (await m.answer()).request == 5


@looped
async def test_ipv6() -> None:
    everywhere = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    async with world(communities=[replace(c, sources=everywhere) for c in COMMUNITIES]) as w:
        try:
            async with served(w, ("tcp", "::1", 0)) as (_, bound), stream(bound[0]) as m:
                m.send(get(SYS_DESCR, request=6))
                assert (await m.answer()).request == 6
        except ConfigError:
            unavailable("no IPv6 on the loopback interface")


@looped
async def test_an_answer_may_be_as_long_as_the_transport_lets_it() -> None:
    async with world("fake:///?domains=200") as w, served(w, TCP) as (_, bound), stream(bound[0]) as m:
        m.send(getbulk(0, 10_000, EVERYTHING))
        answer = await m.answer()
        assert 60_000 < answer.size <= LARGEST


@looped
async def test_a_set_is_answered_when_it_is_done_and_holds_up_nothing() -> None:
    async with world() as w, served(w, TCP) as (_, bound), stream(bound[0]) as m:
        w.fake.hang("guest1")
        m.send(setting(w, "guest1", 1), get(SYS_DESCR, request=2), setting(w, "guest2", 3))
        assert [a.request for a in await m.answers(2)] == [2, 3]
        w.fake.release()
        assert [(a.request, a.error) for a in await m.answers(1)] == [(1, (0, 0))]
        assert w.domain("guest1").state is DomainState.PAUSED


@looped
async def test_many_sets_at_once_wait_for_each_other_but_not_for_those_of_others() -> None:
    async with (
        world("fake:///?domains=9") as w,
        served(w, TCP, limits=Limits(sets=3)) as (_, bound),
        stream(bound[0]) as m,
        stream(bound[0]) as other,
    ):
        for i in range(1, 4):
            w.fake.hang(f"guest{i}")
        m.send(*(setting(w, f"guest{i}", i) for i in range(1, 6)), get(SYS_DESCR, request=9))
        await until(lambda: len(list(w.inventory.snapshot.table(Job).rows())) == 3, "three SETs")
        other.send(setting(w, "guest8", 8))
        assert (await other.answer()).error == (0, 0)
        assert w.engine.statistics.snmpInPkts == 4
        w.fake.release()
        answers = await m.answers(6)
        assert {a.request: a.status for a in answers} == dict.fromkeys((1, 2, 3, 4, 5, 9), 0)


@looped
async def test_sets_beyond_what_the_agent_carries_out_are_told_that_resources_are_short() -> None:
    async with world() as w:
        exchange = Exchange(w.engine, w.operations, sets=1)
        answers: list[bytes] = []
        w.fake.hang("guest1")
        for name, request in (("guest1", 1), ("guest2", 2)):
            exchange.carry_out(w.ask(setting(w, name, request)), answers.append)
        assert [(a.request, a.error) for a in map(wire.answered, answers)] == [
            (2, (int(Status.RESOURCE_UNAVAILABLE), 1))
        ]
        w.fake.release()
        await until(lambda: len(answers) == 2, "the first SET")
        exchange.carry_out(w.ask(setting(w, "guest3", 3)), answers.append)
        await until(lambda: len(answers) == 3, "another SET")
        assert wire.answered(answers[2]).error == (0, 0)
        await exchange.stop()


@looped
async def test_who_says_that_he_sends_no_more_is_still_answered() -> None:
    async with world() as w, served(w, TCP) as (_, bound), stream(bound[0]) as m:
        w.fake.hang("guest1")
        m.send(setting(w, "guest1", 1), get(SYS_DESCR, request=2))
        m.writer.write_eof()
        assert (await m.answer()).request == 2
        w.fake.release()
        assert (await m.answer()).request == 1
        assert await m.ended() == b""


@looped
async def test_many_managers_at_once() -> None:
    async def ask(address: Address, number: int) -> list[int]:
        async with stream(address, source=f"127.0.0.{2 + number % 8}") as m:
            m.send(*(get(SYS_DESCR, request=1000 * number + i) for i in range(20)))
            return [a.request - 1000 * number for a in await m.answers(20)]

    async with world() as w, served(w, TCP, TCP) as (_, bound):
        answers = await asyncio.gather(*(ask(bound[i % 2], i) for i in range(200)))
        assert answers == [list(range(20))] * 200


@looped
async def test_one_connection_full_of_work_does_not_keep_others_waiting() -> None:
    """In one turn of the loop, it gets a stretch of messages answered."""
    async with world() as w, served(w, TCP) as (_, bound), stream(bound[0]) as m:
        m.send(*(get(SYS_DESCR, request=i) for i in range(2000)))
        before, most = 0, 0
        while before < 2000:
            await asyncio.sleep(0)
            now = w.engine.statistics.snmpInPkts
            before, most = now, max(most, now - before)
        assert most <= 2 * STRETCH
        assert [a.request for a in await m.answers(2000)] == list(range(2000))


# --- what is wrong


@pytest.mark.parametrize(
    "octets",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\x30\x80", b"\x30\x83\x01\x00\x00", bytes(70_000)],
)
@looped
async def test_garbage_ends_the_connection_and_is_counted(octets: bytes) -> None:
    async with world() as w, served(w, TCP) as (_, bound):
        async with stream(bound[0]) as m:
            m.send(get(SYS_DESCR, request=1))
            assert (await m.answer()).request == 1
            m.send(octets)
            assert await m.ended() == b""
        assert w.engine.statistics.snmpInASNParseErrs == 1
        assert w.engine.statistics.snmpInPkts == 2
        async with stream(bound[0]) as m:
            m.send(get(SYS_DESCR, request=2))
            assert (await m.answer()).request == 2


@looped
async def test_a_frame_that_holds_no_message_is_counted_and_the_next_is_answered() -> None:
    async with world() as w, served(w, TCP) as (_, bound), stream(bound[0]) as m:
        m.send(tlv(0x30, b"\x05\x00"), get(SYS_DESCR, community=b"guess"), get(SYS_DESCR, request=3))
        assert (await m.answer()).request == 3
        assert w.engine.statistics.snmpInASNParseErrs == 1
        assert w.engine.statistics.snmpInBadCommunityNames == 1


@looped
async def test_a_manager_that_is_gone_hurts_nobody() -> None:
    async with world() as w, served(w, TCP) as (_, bound):
        for octets in (b"", b"\x30", get(SYS_DESCR), get(SYS_DESCR) * 200, setting(w, "guest1", 1)):
            async with stream(bound[0]) as m:
                m.send(octets)
                await m.writer.drain()
        async with stream(bound[0]) as m:
            m.send(get(SYS_DESCR, request=7))
            assert (await m.answer()).request == 7


@looped
async def test_a_fault_of_the_agent_ends_the_connection_and_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receive = Engine.receive

    def faulty(self: Engine, data: bytes, *rest: Any, **more: Any) -> Any:
        if data == get(SYS_DESCR, request=13):
            raise ZeroDivisionError
        return receive(self, data, *rest, **more)

    async with world() as w, served(w, TCP) as (_, bound), stream(bound[0]) as other:
        monkeypatch.setattr(Engine, "receive", faulty)
        async with stream(bound[0]) as m:
            m.send(get(SYS_DESCR, request=13))
            assert await m.ended() == b""
        assert "ZeroDivisionError" in caplog.text
        other.send(get(SYS_DESCR, request=2))
        assert (await other.answer()).request == 2


@looped
async def test_refused_sets_are_audited() -> None:
    async with world() as w, served(w, TCP) as (_, bound), stream(bound[0]) as m:
        m.send(wire.setting([(w.column(3, "guest1"), wire.number(5))], community=b"public"))
        assert (await m.answer()).error == (int(Status.NO_ACCESS), 1)
        await until(lambda: w.trail.records, "the record")


# --- what takes too long, or too much


@pytest.mark.parametrize("octets", [b"\x30", b"\x30\x82\x00", get(SYS_DESCR)[:-1]])
@looped
async def test_a_message_that_is_not_completed_in_time_ends_the_connection(octets: bytes) -> None:
    async with world() as w, served(w, TCP, limits=Limits(message=0.1)) as (_, bound), stream(bound[0]) as m:
        m.send(get(SYS_DESCR, request=1) + octets)
        assert (await m.answer()).request == 1
        assert await m.ended() == b""
        assert w.engine.statistics.snmpInPkts == 1


@looped
async def test_dripping_octets_does_not_win_time() -> None:
    async with world() as w, served(w, TCP, limits=Limits(message=0.2)) as (_, bound), stream(bound[0]) as m:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        message = get(SYS_DESCR) * 1000

        async def drip() -> None:
            for octet in message[: len(get(SYS_DESCR)) - 1]:
                m.send(bytes((octet,)))
                await asyncio.wait([ending], timeout=0.05)

        ending = asyncio.ensure_future(m.ended())
        await drip()
        assert await ending == b""
        assert loop.time() - begun < 5


@looped
async def test_silence_ends_the_connection_but_not_while_a_set_is_under_way() -> None:
    async with (
        world() as w,
        served(w, TCP, limits=Limits(silence=0.2)) as (_, bound),
        stream(bound[0]) as quiet,
        stream(bound[0]) as m,
    ):
        w.fake.hang("guest1")
        m.send(setting(w, "guest1", 1))
        assert await quiet.ended() == b""
        w.fake.release()
        assert (await m.answer()).request == 1
        assert await m.ended() == b""


def slow_reader(address: Address) -> socket.socket:
    """A connection that has room for little."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(address[1:])
    sock.setblocking(False)
    return sock


async def sent_until_it_does_not_go_on(sock: socket.socket, octets: bytes, w: World) -> int:
    """Send over and over while the agent takes it; how many octets that was."""
    loop = asyncio.get_running_loop()
    total, last, since = 0, -1, loop.time()
    while loop.time() - since < 0.5 and total < 200_000_000:
        try:
            total += sock.send(octets)
        except BlockingIOError:
            await asyncio.sleep(0.01)
        except ConnectionError:
            break
        if w.engine.statistics.snmpInPkts != last:
            last, since = w.engine.statistics.snmpInPkts, loop.time()
    return total


@looped
async def test_who_does_not_read_his_answers_is_not_read_and_dropped_in_the_end() -> None:
    bulk = getbulk(0, 10_000, EVERYTHING)
    async with world("fake:///?domains=200") as w, served(w, TCP, limits=Limits(unread=2.0)) as (server, bound):
        sock = slow_reader(bound[0])
        with sock:
            await sent_until_it_does_not_go_on(sock, bulk * 100, w)
            asked = w.engine.statistics.snmpInPkts
            assert asked < 150, "each of these is an answer of 64 KiB that nobody reads"
            async with stream(bound[0]) as m:
                m.send(get(SYS_DESCR, request=1))
                assert (await m.answer()).request == 1
            await until(lambda: not len(server._connections), "the end of the connection")
            assert w.engine.statistics.snmpInPkts == asked + 1


@looped
async def test_who_reads_slowly_gets_everything() -> None:
    async with world("fake:///?domains=200") as w, served(w, TCP) as (_, bound), stream(bound[0]) as m:
        m.send(*(getbulk(0, 10_000, EVERYTHING, request=i) for i in range(60)))
        for i in range(60):
            await asyncio.sleep(0)
            assert (await m.answer()).request == i


@looped
async def test_connections_of_a_source_are_limited() -> None:
    async with world() as w, served(w, TCP, limits=Limits(per_source=2)) as (_, bound):
        async with stream(bound[0]) as first, stream(bound[0]):
            async with stream(bound[0]) as third:
                assert await third.ended() == b""
            async with stream(bound[0], source="127.0.0.2") as other:
                other.send(get(SYS_DESCR, request=1))
                assert (await other.answer()).request == 1
            first.writer.close()
            first.send(b"")
            await first.ended()
        async with stream(bound[0]) as fourth:
            fourth.send(get(SYS_DESCR, request=4))
            assert (await fourth.answer()).request == 4


@looped
async def test_when_all_connections_are_taken_a_stranger_makes_room() -> None:
    async with (
        world() as w,
        served(w, TCP, limits=Limits(connections=2)) as (server, bound),
        stream(bound[0], source="127.0.0.2") as known,
        stream(bound[0], source="127.0.0.3") as stranger,
    ):
        known.send(get(SYS_DESCR, request=1))
        await known.answer()
        await until(lambda: len(server._connections) == 2, "both connections")
        async with stream(bound[0], source="127.0.0.4") as new:
            assert await stranger.ended() == b""
            new.send(get(SYS_DESCR, request=2))
            await new.answer()
            async with stream(bound[0], source="127.0.0.5") as late:
                assert await late.ended() == b""
            known.send(get(SYS_DESCR, request=3))
            assert (await known.answer()).request == 3


@looped
async def test_refused_connections_are_told_of_at_a_bounded_pace(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w, served(w, TCP, limits=Limits(per_source=1)) as (_, bound), stream(bound[0]) as m:
        for _ in range(60):
            async with stream(bound[0]) as refused:
                assert await refused.ended() == b""
        assert 15 <= caplog.text.count("too many connections") <= 40
        m.send(get(SYS_DESCR, request=1))
        assert (await m.answer()).request == 1


@looped
async def test_when_no_descriptor_is_left_the_agent_accepts_again_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.snmp.tcp.RESPITE", 0.05)
    async with world() as w, served(w, TCP) as (server, bound):
        listener = server._listeners[0][1]
        real = listener._socket
        failures = [OSError(24, "Too many open files")]

        class Short:
            fileno = real.fileno
            close = real.close

            def accept(self) -> Any:
                if failures:
                    raise failures.pop()
                return real.accept()

        monkeypatch.setattr(listener, "_socket", Short())
        async with stream(bound[0]) as m:
            m.send(get(SYS_DESCR, request=1))
            assert (await m.answer()).request == 1
        assert "Too many open files" in caplog.text


# --- beginning and end


@looped
async def test_several_transports_share_a_port() -> None:
    async with world() as w, served(w, TCP) as (server, bound):
        await server.start([("udp", *bound[0][1:])])
        async with stream(bound[0]) as m, datagrams(bound[0]) as n:
            m.send(get(SYS_DESCR, request=1))
            n.send(get(SYS_DESCR, request=2))
            assert (await m.answer()).request == 1
            assert (await n.wait(1))[0].request == 2


@looped
async def test_an_address_that_cannot_be_bound_is_named_and_nothing_stays_open() -> None:
    async with world() as w, served(w, TCP) as (_, bound):
        other = Server(w.engine, w.operations)
        taken = ("tcp", *bound[0][1:])
        with pytest.raises(ConfigError, match=rf"snmp.listen: cannot listen on tcp:127\.0\.0\.1:{bound[0][2]}: "):
            await other.start([("udp", "127.0.0.1", 0), TCP, taken])
        assert other._listeners == []


@looped
async def test_stopping_ends_open_connections_and_frees_the_port() -> None:
    async with world() as w:
        async with served(w, TCP) as (server, bound):
            async with stream(bound[0]) as idle, stream(bound[0]) as halfway, stream(bound[0]) as busy:
                w.fake.hang("guest1")
                halfway.send(b"\x30\x20")
                busy.send(setting(w, "guest1", 1))
                await until(lambda: list(w.inventory.snapshot.table(Job).rows()), "the SET")
                slow = slow_reader(bound[0])
                with slow:
                    await server.stop()
                    for m in (idle, halfway, busy):
                        assert await m.ended() == b""
            w.fake.release()
        async with served(w, bound[0]) as (_, again), stream(again[0]) as m:
            assert again == bound
            m.send(get(SYS_DESCR, request=1))
            assert (await m.answer()).request == 1


@looped
async def test_a_fault_in_a_set_is_gen_err(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Operations):
        async def perform(self, *_: Any, **__: Any) -> Any:
            raise ZeroDivisionError

    async with world() as w:
        server = Server(w.engine, Faulty({"default": w.inventory}, w.trail))
        bound = await server.start([TCP])
        async with stream(bound[0]) as m:
            m.send(setting(w, "guest1", 1))
            assert (await m.answer()).error == (int(Status.GEN_ERR), 1)
        assert "ZeroDivisionError" in caplog.text
        await server.stop()
