"""What clients do to the HTTP shell: slowly, at once, too much, in pieces, or never; and what it costs the others."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import struct
import threading
import zlib
from collections.abc import Iterator

import pytest

from agent.cim import connections, server
from agent.cim.accounts import Accounts
from tests.agents import looped, until
from tests.cim.shells import Provider, Shell, call, hear, request, shell

PROMPT = 5.0
"""Seconds in which whoever is not to blame is answered; far below the times that the slow are given."""


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the connection ends, in whatever way."""
    try:
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""


# --- requests ---------------------------------------------------------------------------------------------------------


@looped
async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with shell() as served:
        reader, writer = await served.connect()
        names = ["GetInstance", "EnumerateInstances", "GetClass", "EnumerateInstanceNames"] * 20
        writer.write(b"".join(request(call(name)) for name in names))
        for name in names:
            said = await hear(reader)
            assert said.status == 200
            assert f'NAME="{name}"'.encode() in said.body
        writer.close()


@looped
async def test_what_is_read_ahead_is_bounded() -> None:
    gate = asyncio.Event()
    async with shell(Provider(gate=gate)) as served:
        reader, writer = await served.connect()
        many = request(call(padding=4096)) * 5000
        writer.write(many)
        await until(lambda: served.provider.asked, "the first request")
        (connection,) = served.server._open
        await until(lambda: connection._paused, "reading to pause")
        assert connection._reader.waiting < server.READ_AHEAD + 512 * 1024
        assert writer.transport.get_write_buffer_size() > 0
        gate.set()
        for _ in range(5000):
            assert (await hear(reader)).status == 200
        writer.close()


@looped
async def test_a_request_in_the_smallest_pieces() -> None:
    async with shell() as served:
        reader, writer = await served.connect()
        raw = request()
        for at in range(len(raw)):
            writer.write(raw[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0)
        assert (await hear(reader)).status == 200
        writer.close()


@looped
async def test_a_client_that_stops_sending_is_still_answered() -> None:
    async with shell() as served:
        reader, writer = await served.connect()
        writer.write(request())
        writer.write_eof()
        assert (await hear(reader)).status == 200
        assert await ended(reader) == b""
        writer.close()


@looped
async def test_connections_stay_as_clients_wish() -> None:
    async with shell() as served:
        for version, wish, stays in (
            ("1.1", None, True), ("1.1", "close", False), ("1.0", None, False), ("1.0", "Keep-Alive", True),
        ):  # fmt: skip
            reader, writer = await served.connect()
            raw = request(headers={"Connection": wish} if wish else None, version=version)
            writer.write(raw)
            said = await hear(reader)
            assert (said.status, said.headers.get("connection", "") == "close") == (200, not stays)
            if stays:
                writer.write(raw)
                assert (await hear(reader)).status == 200
            else:
                assert await ended(reader) == b""
            writer.close()


@looped
async def test_who_waits_for_it_is_told_to_continue() -> None:
    async with shell() as served:
        body = call()
        reader, writer = await served.connect()
        for _ in range(2):
            writer.write(request(b"", {"Expect": "100-continue", "Content-Length": str(len(body))}))
            assert (await hear(reader)).status == 100
            writer.write(body)
            assert (await hear(reader)).status == 200
        writer.write(request(b"", {"Expect": "100-continue", "Content-Length": str(server.BODY_LIMIT + 1)}))
        assert (await hear(reader)).status == 413
        writer.close()


@looped
async def test_m_post_is_served_with_its_prefix() -> None:
    async with shell() as served:
        headers = {
            "Man": "http://www.dmtf.org/cim/mapping/http/v1.0 ; ns=48",
            "48-CIMOperation": "MethodCall",
            "48-CIMMethod": "EnumerateInstances",
            "48-CIMObject": "root%2Fvirtmap",
        }
        raw = request(headers=headers, method="M-POST").replace(b"\r\nCIMOperation: MethodCall", b"")
        reader, writer = await served.connect()
        for _ in range(2):
            writer.write(raw * 2)  # also where another request precedes it
            for _ in range(2):
                said = await hear(reader)
                assert (said.status, said.headers["48-cimoperation"]) == (200, "MethodResponse")
                assert said.headers["man"] == "http://www.dmtf.org/cim/mapping/http/v1.0; ns=48"
                assert (said.headers["ext"], "cimoperation" in said.headers) == ("", False)
        writer.write(raw.replace(b"EnumerateInstances\r\n", b"GetClass\r\n"))
        said = await hear(reader)
        assert (said.status, said.headers["48-cimerror"]) == (400, "header-mismatch")
        writer.write(raw.replace(b"48-CIMOperation", b"CIMOperation"))
        assert (await hear(reader)).headers["48-cimerror"] == "header-mismatch"
        writer.write(raw.replace(b"www.dmtf.org/cim/mapping", b"example.org/another"))
        assert (await hear(reader)).status == 510
        writer.close()


@looped
async def test_options_tell_what_is_served() -> None:
    async with shell(groups=("basic-read", "indication")) as served:
        said = await served.ask(request(b"", method="OPTIONS"))
        assert (said.status, said.body) == (200, b"")
        assert said.headers["allow"] == "POST, M-POST, OPTIONS"
        assert said.headers["opt"] == "http://www.dmtf.org/cim/mapping/http/v1.0; ns=73"
        assert said.headers["73-cimprotocolversion"] == "1.0"
        assert said.headers["73-cimsupportedfunctionalgroups"] == "basic-read, indication"


@looped
async def test_head_has_no_body() -> None:
    async with shell() as served:
        reader, writer = await served.connect()
        writer.write(request(b"", method="HEAD") + request())
        assert (await hear(reader, silent=True)).status == 405
        assert (await hear(reader)).status == 200
        writer.close()


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16(codec: str) -> None:
    @looped
    async def check() -> None:
        async with shell() as served:
            text = call().decode().replace('"utf-8"', '"utf-16"')
            body = text.encode(codec)
            for content_type in ("application/xml", 'text/xml; charset="UTF-16"'):
                said = await served.ask(request(body, {"Content-Type": content_type}))
                assert said.status == 200
            said = await served.ask(request(body, {"Content-Type": "application/xml; charset=utf-8"}))
            assert (said.status, said.headers["cimerror"]) == (400, "request-not-well-formed")
            said = await served.ask(request(call(), {"Content-Type": "application/xml; charset=utf-16"}))
            assert said.status == 400

    check()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Accept": "text/html"}, 406),
        ({"Accept": "text/html, */*;q=0.1"}, 200),
        ({"Accept-Charset": "iso-8859-1"}, 406),
        ({"Accept-Charset": "utf-8"}, 200),
        ({"CIMProtocolVersion": "2.0"}, 501),
        ({"CIMProtocolVersion": "1.4"}, 200),
        ({"Content-Type": "application/xml; charset=koi8-r"}, 415),
        ({"Transfer-Encoding": "chunked"}, 400),
        ({"Expect": "a miracle"}, 417),
    ],
)
def test_headers(headers: dict[str, str], status: int) -> None:
    @looped
    async def check() -> None:
        async with shell() as served:
            said = await served.ask(request(headers=headers))
            assert said.status == status
            assert int(said.headers["content-length"]) == len(said.body)

    check()


@looped
async def test_a_fault_is_an_error_and_not_half_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    def faulty() -> Iterator[bytes]:
        yield b"x" * 10
        raise ValueError("a fault")

    def later() -> Iterator[bytes]:
        yield b"x" * server.PIECE * 2
        raise ValueError("a fault")

    async with shell(Provider(faulty)) as served:
        assert (await served.ask()).status == 500
    async with shell(Provider(later, long=True)) as served:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await served.ask()
    assert [r.levelname for r in caplog.records] == ["ERROR", "ERROR"]


# --- gzip -------------------------------------------------------------------------------------------------------------

ITEM = b"<VALUE>" + b"0123456789abcdef" * 64 + b"</VALUE>"


@looped
async def test_answers_are_compressed_for_who_asks_for_it() -> None:
    for long, items in ((False, 20), (True, 20), (True, 5000), (False, 500)):
        provider = Provider(lambda items=items: (ITEM for _ in range(items)), long=long)  # type: ignore[misc]
        async with shell(provider) as served:
            plain = await served.ask()
            packed = await served.ask(request(headers={"Accept-Encoding": "deflate, gzip;q=0.5"}))
            refused = await served.ask(request(headers={"Accept-Encoding": "gzip;q=0, *"}))
            assert "content-encoding" not in plain.headers
            assert "content-encoding" not in refused.headers
            assert packed.headers["content-encoding"] == "gzip"
            assert {s.headers["vary"] for s in (plain, packed, refused)} == {"Accept-Encoding"}
            assert plain.body == packed.body == refused.body
            assert plain.body.count(ITEM) == items
            assert ("transfer-encoding" in packed.headers) is (items == 5000)


@looped
async def test_what_is_small_is_not_worth_it() -> None:
    async with shell() as served:
        said = await served.ask(request(headers={"Accept-Encoding": "gzip"}))
        assert "content-encoding" not in said.headers


@looped
async def test_a_compressed_stream_arrives_while_it_is_made() -> None:
    """Every piece is flushed: what was made can be read before the rest is."""
    piece = ITEM * (server.PIECE // len(ITEM) + 1)
    async with shell(Provider(lambda: (piece for _ in range(1000)), long=True)) as served:
        reader, writer = await served.connect()
        writer.write(request(headers={"Accept-Encoding": "gzip"}))
        await reader.readuntil(b"\r\n\r\n")
        size = int(await reader.readline(), 16)
        first = zlib.decompressobj(31).decompress(await reader.readexactly(size))
        assert first.count(ITEM) >= server.SHORT // len(ITEM)
        assert served.server._busy
        writer.transport.abort()


@looped
async def test_compressed_requests_are_accepted_up_to_a_limit() -> None:
    async with shell() as served:
        for name in ("gzip", "x-gzip", "GZIP"):
            assert (await served.ask(request(gzip.compress(call()), {"Content-Encoding": name}))).status == 200
        bomb = gzip.compress(call(padding=200 * 1024 * 1024), 1)
        assert len(bomb) < server.BODY_LIMIT
        said = await served.ask(request(bomb, {"Content-Encoding": "gzip"}))
        assert (said.status, said.headers["cimerror"]) == (413, "request-not-valid")
        for wrong in (call(), gzip.compress(call())[:-5]):
            said = await served.ask(request(wrong, {"Content-Encoding": "gzip"}))
            assert (said.status, said.headers["cimerror"]) == (400, "request-not-valid")
        assert (await served.ask(request(headers={"Content-Encoding": "br"}))).status == 415


# --- who is slow ------------------------------------------------------------------------------------------------------


@looped
async def test_hundreds_that_send_nothing_or_half_keep_nobody_waiting() -> None:
    async with shell(connections=200) as served:
        crowd = []
        for n in range(400):
            reader, writer = await served.connect()
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: " if n % 2 else b"")
            crowd.append((reader, writer))
            if n % 50 == 0:
                said = await asyncio.wait_for(served.ask(), PROMPT)
                assert said.status == 200
        assert (await asyncio.wait_for(served.ask(), PROMPT)).status == 200
        assert len(served.server._open) <= connections.share(200) + 1
        for _, writer in crowd:
            writer.close()


@looped
async def test_who_has_proved_who_it_is_stays_in_a_crowd() -> None:
    async with shell(connections=16) as served:
        reader, writer = await served.connect()
        writer.write(request())
        assert (await hear(reader)).status == 200
        crowd = [await served.connect() for _ in range(60)]
        writer.write(request())
        assert (await asyncio.wait_for(hear(reader), PROMPT)).status == 200
        for _, one in (*crowd, (reader, writer)):
            one.close()


@looped
async def test_an_address_that_keeps_its_places_busy_is_turned_away() -> None:
    gate = asyncio.Event()
    async with shell(Provider(gate=gate), connections=8) as served:
        busy = [await served.connect() for _ in range(6)]
        for _, writer in busy:
            writer.write(request())
        await until(lambda: len(served.provider.asked) == 6, "six requests")
        reader, writer = await served.connect()
        assert await ended(reader) == b""
        writer.close()
        elsewhere = await served.connect(local_addr=("127.0.0.2", 0))
        elsewhere[1].write(request())
        await until(lambda: len(served.provider.asked) == 7, "one from elsewhere")
        gate.set()
        for reader, one in (*busy, elsewhere):
            assert (await hear(reader)).status == 200
            one.close()


@looped
async def test_an_address_may_not_have_all_requests() -> None:
    gate = asyncio.Event()
    async with shell(Provider(gate=gate), requests=4) as served:
        busy = [asyncio.ensure_future(served.ask()) for _ in range(3)]
        await until(lambda: len(served.provider.asked) == 3, "three requests")
        said = await served.ask()
        assert (said.status, said.headers["retry-after"]) == (503, "1")
        elsewhere = asyncio.ensure_future(served.ask(local_addr=("127.0.0.2", 0)))
        await until(lambda: len(served.provider.asked) == 4, "one from elsewhere")
        assert (await served.ask(local_addr=("127.0.0.3", 0))).status == 503
        gate.set()
        assert {(await one).status for one in (*busy, elsewhere)} == {200}
        assert (await served.ask()).status == 200


def test_a_site_of_ipv6_may_not_have_all_requests() -> None:
    one = server.Server(Provider(), Accounts(()), requests=4)
    assert [one.begin(f"2001:db8::{n}") for n in range(4)] == [True, True, True, False]
    assert one.begin("2001:db8:0:1::1")
    for n in range(3):
        one.end(f"2001:db8::{n}")
    assert list(one._busy_of) == ["2001:db8:0:1::/64"]


async def dripping(served: Shell, first: bytes) -> bytes:
    """What a client is told that sends this, and then a byte now and then."""
    reader, writer = await served.connect()
    writer.write(first)

    async def drip() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.02)

    dripped = asyncio.ensure_future(drip())
    try:
        return await ended(reader)
    finally:
        dripped.cancel()
        writer.transport.abort()


@looped
async def test_headers_and_bodies_have_to_arrive_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_TIMEOUT", "BODY_TIMEOUT", "LINGER"):
        monkeypatch.setattr(server, name, 0.3)
    async with shell() as served:
        begun = request() + b"POST / HTTP/1.1\r\nX-Slow: "
        heads = await asyncio.gather(dripping(served, b"POST / HTTP/1.1\r\nX-Slow: "), dripping(served, begun))
        assert heads[0].startswith(b"HTTP/1.1 408 ")
        assert b"HTTP/1.1 408 " in heads[1]
        slow = await dripping(served, request(b"<", {"Content-Length": "100000"}))
        assert slow.startswith(b"HTTP/1.1 408 ")
        assert b"CIMError: request-not-valid" in slow
        assert not served.server.arriving


@looped
async def test_silent_and_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT", 0.3)
    monkeypatch.setattr(server, "KEEP_ALIVE", 0.3)
    async with shell() as served:
        silent, idle = await served.connect(), await served.connect()
        idle[1].write(request())
        assert (await hear(idle[0])).status == 200
        for reader, writer in (silent, idle):
            assert await ended(reader) == b""
            writer.close()
        await until(lambda: not served.server._open, "no connection")


@looped
async def test_who_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WRITE_TIMEOUT", 0.3)
    provider = Provider(lambda: (ITEM * 100 for _ in range(10_000)), long=True)
    async with shell(provider) as served:
        _, writer = await served.connect(limit=1024)
        writer.write(request())
        await until(lambda: served.provider.asked, "the request")
        provider.pieces, provider.long = (lambda: [b"<VALUE/>"]), False
        assert (await asyncio.wait_for(served.ask(), PROMPT)).status == 200
        await until(lambda: not served.server._open, "no connection")
        await until(lambda: not served.server._busy, "no request")
        writer.transport.abort()


def test_patience_has_an_end() -> None:
    assert server.patience(0, 0.0) == server.WRITE_TIMEOUT
    assert server.patience(75_000_000, 600.0) == server.WRITE_TIMEOUT
    assert server.patience(2_000 * 600, 600.0) < 0


@pytest.mark.parametrize("rate", [1.0, 1e12])
def test_who_reads_too_slowly_is_dropped(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    """However steadily: as it goes on all the time, it never stands still for as long as it may."""
    monkeypatch.setattr(server, "WRITE_TIMEOUT", 1.0)
    monkeypatch.setattr(server, "LEAST_RATE", rate)

    @looped
    async def check() -> None:
        provider = Provider(lambda: (ITEM * 100 for _ in range(10_000)), long=True)
        async with shell(provider) as served:
            reader, writer = await served.connect(limit=64 * 1024)
            writer.write(request())
            await until(lambda: served.server._open, "the connection")
            (connection,) = served.server._open
            while connection._waited < 2.5 and not connection._lost:
                await reader.read(512 * 1024)
                await asyncio.sleep(0.02)
            assert connection._lost == (rate > 1)
            writer.transport.abort()
            await until(lambda: not served.server._busy, "no request")

    check()


@looped
async def test_an_answer_that_is_taken_does_not_lengthen_the_time_of_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_TIMEOUT", 0.5)
    async with shell() as served:
        reader, writer = await served.connect()
        writer.write(request(b"<", {"Content-Length": "100000"}))
        await until(lambda: served.server.arriving, "the body to begin")
        (connection,) = served.server._open
        before = connection.deadline
        connection.pause_writing()
        assert connection.deadline == before
        connection.resume_writing()
        assert connection.deadline == before
        assert (await hear(reader)).status == 408
        writer.close()


@looped
async def test_a_body_that_comes_does_not_lengthen_the_time_to_take_what_is_written() -> None:
    gate = asyncio.Event()
    async with shell(Provider(gate=gate)) as served:
        reader, writer = await served.connect()
        body = call()
        writer.write(request(body[:9], {"Content-Length": str(len(body))}))
        await until(lambda: served.server.arriving, "the body to begin")
        (connection,) = served.server._open
        connection.pause_writing()
        writer.write(body[9:])
        await until(lambda: served.provider.asked, "the request")
        assert connection.deadline < asyncio.get_running_loop().time() + server.WRITE_TIMEOUT
        connection.resume_writing()
        gate.set()
        assert (await hear(reader)).status == 200
        writer.close()


@looped
async def test_a_long_answer_keeps_nobody_waiting() -> None:
    provider = Provider(lambda: (ITEM * 30 for _ in range(3000)), long=True)
    async with shell(provider) as served:
        reader, writer = await served.connect()
        writer.write(request())
        reading = asyncio.ensure_future(hear(reader))
        await until(lambda: served.provider.asked, "the request")
        provider.pieces, provider.long = (lambda: [b"<VALUE/>"]), False
        for _ in range(10):
            assert (await asyncio.wait_for(served.ask(), PROMPT)).status == 200
        assert not reading.done()
        assert (await reading).body.count(ITEM) == 90_000
        writer.close()


@looped
async def test_all_bodies_that_arrive_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ARRIVING_LIMIT", 1_000_000)
    async with shell() as served:
        half = request(b" " * 600_000, {"Content-Length": "700000"})
        first = await served.connect()
        first[1].write(half)
        await until(lambda: served.server.arriving >= 500_000, "half a body")
        said = await served.ask(half)
        assert (said.status, said.headers["cimerror"]) == (503, "request-not-valid")
        first[1].close()
        await until(lambda: not served.server.arriving, "nothing arriving")


@looped
async def test_bodies_count_until_they_are_read() -> None:
    """While all that read are busy, bodies that wait for them count, each has a place of its own, and a small one passes."""
    free = threading.Event()
    async with shell(requests=4) as served:
        try:
            for _ in range(server.READERS):
                served.server.readers.submit(free.wait)
            body = call(padding=200_000)
            waiting = [asyncio.ensure_future(served.ask(request(body))) for _ in range(2)]
            await until(lambda: served.server._busy == 2, "two that wait to be read")
            assert served.server.arriving == 2 * len(body)
            assert (await asyncio.wait_for(served.ask(), PROMPT)).status == 200
            waiting.append(asyncio.ensure_future(served.ask(request(body))))
            await until(lambda: served.server._busy == 3, "a third one")
            assert (await asyncio.wait_for(served.ask(request(body)), PROMPT)).status == 503
        finally:
            free.set()
        assert {(await one).status for one in waiting} == {200}
        assert not served.server.arriving
        assert not served.server._busy


@looped
async def test_refusals_are_read_by_who_is_still_sending() -> None:
    """With what it sends unread, closing the connection would throw the answer away."""
    async with shell() as served:
        reader, writer = await served.connect()
        writer.write(request(b"x" * 3_000_000, {"Content-Length": str(server.BODY_LIMIT + 1)}))
        assert (await hear(reader)).status == 413
        writer.close()


@looped
async def test_clients_that_vanish_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    provider = Provider(lambda: (ITEM * 100 for _ in range(1000)), long=True)
    async with shell(provider) as served:
        for cut in (1, 40, 200, len(request()) - 1, len(request())):
            for reset in (False, True):
                reader, writer = await served.connect()
                writer.write(request()[:cut])
                await writer.drain()
                if cut == len(request()):
                    await reader.readexactly(1000)
                if reset:
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
        await until(lambda: not served.server._open, "no connection")
        await until(lambda: not served.server._busy, "no request")
    assert not caplog.records


@looped
async def test_an_end_is_bounded() -> None:
    gate = asyncio.Event()
    async with shell(Provider(gate=gate)) as served:
        idle, busy = await served.connect(), await served.connect()
        busy[1].write(request())
        await until(lambda: served.provider.asked, "the request")
        await asyncio.wait_for(served.server.stop(), server.STOPPING + PROMPT)
        for reader, writer in (idle, busy):
            assert await ended(reader) == b""
            writer.close()


@looped
async def test_a_request_in_progress_is_answered_at_the_end() -> None:
    gate = asyncio.Event()
    async with shell(Provider(gate=gate)) as served:
        reader, writer = await served.connect()
        writer.write(request())
        await until(lambda: served.provider.asked, "the request")
        stopping = asyncio.ensure_future(served.server.stop())
        await asyncio.sleep(0)
        gate.set()
        said = await hear(reader)
        assert (said.status, said.headers["connection"]) == (200, "close")
        await asyncio.wait_for(stopping, PROMPT)
        writer.close()


@looped
async def test_an_old_client_is_told_the_length_of_what_is_not_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(lambda: (ITEM for _ in range(1000)), long=True)
    async with shell(provider) as served:
        said = await served.ask(request(version="1.0"))
        assert int(said.headers["content-length"]) == len(said.body)
        monkeypatch.setattr(server, "OLDER_LIMIT", 100_000)
        older = await served.ask(request(version="1.0"))
        assert "content-length" not in older.headers
        assert older.headers["connection"] == "close"
        assert older.body == said.body
