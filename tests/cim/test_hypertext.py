"""HTTP messages, byte by byte: what is a request, what is none, and what clients accept (RFC 9110, RFC 9112)."""

from __future__ import annotations

import itertools
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cim import hypertext
from agent.cim.hypertext import BadGzip, Head, Reader, Refused, acceptable, expand, gzip_preferred, parameter

PLAIN = b"POST /cimom HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-One: 1\r\nx-one:  2 \r\n\r\nhello"
CHUNKED = (
    b"M-POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b"3\r\nabc\r\nA;name=value\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
)
EMPTY = b"\r\nGET * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


def read(stream: bytes, *cuts: int) -> list[tuple[Head, bytes]]:
    """The requests in a stream that arrives cut at these places."""
    out: list[tuple[Head, bytes]] = []
    reader, head, body = Reader(), None, bytearray()
    places = sorted({0, *(c % (len(stream) + 1) for c in cuts), len(stream)})
    for start, end in itertools.pairwise(places):
        reader.feed(stream[start:end])
        while True:
            if head is None and (head := reader.head()) is None:
                break
            body += reader.body()
            if not reader.complete:
                break
            out.append((head, bytes(body)))
            head, body = None, bytearray()
    assert head is None
    return out


def test_requests_follow_each_other() -> None:
    plain, chunked, empty, again = read(PLAIN + CHUNKED + EMPTY + PLAIN)
    assert (plain[0].method, plain[0].target, plain[0].length, plain[0].keep) == ("POST", "/cimom", 5, True)
    assert plain[0].headers == {"host": "a", "content-length": "5", "x-one": "1, 2"}
    assert plain[1] == again[1] == b"hello"
    assert (chunked[0].method, chunked[0].length, chunked[1]) == ("M-POST", None, b"abc0123456789")
    assert (empty[0].method, empty[0].minor, empty[0].keep, empty[1]) == ("GET", 0, True, b"")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 1000), max_size=40))
def test_however_the_bytes_are_cut_the_same_requests_come_out(cuts: list[int]) -> None:
    stream = PLAIN + CHUNKED + EMPTY + CHUNKED + PLAIN
    assert read(stream, *cuts) == read(stream)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 150), st.integers(0, 60))
def test_whatever_comes_is_a_request_or_refused(noise: bytes, at: int, replaced: int) -> None:
    stream = CHUNKED[:at] + noise + CHUNKED[at + replaced :]
    reader = Reader()
    reader.feed(stream)
    with suppress(Refused):
        while reader.head() is not None and (reader.body() is not None and reader.complete):
            pass


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HELO x\r\nHost: a", 400),
        (b"POST  / HTTP/1.1\r\nHost: a", 400),
        (b"POST / HTTP/1.1 \r\nHost: a", 400),
        (b"P(ST / HTTP/1.1\r\nHost: a", 400),
        (b"PRI * HTTP/2.0", 505),
        (b"POST / HTTP/1.1", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nHost: b", 400),
        (b"POST / HTTP/1.1\r\nHost : a", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\n folded", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nno colon", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: a\nY: b", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: a\rY: b", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: \x00", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: a-miracle", 417),
        (b"POST / HTTP/1.1\r\nHost: a" + b"\r\nX: y" * hypertext.FIELDS, 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * hypertext.HEAD_LIMIT, 431),
    ],
)
def test_what_is_no_request(head: bytes, status: int) -> None:
    reader = Reader()
    reader.feed(head + b"\r\n\r\n")
    with pytest.raises(Refused) as error:
        reader.head()
    assert error.value.status == status


def test_headers_without_end_are_refused() -> None:
    reader = Reader()
    reader.feed(b"POST / HTTP/1.1\r\nX: ")
    with pytest.raises(Refused, match="longer"):  # noqa: PT012
        for _ in range(hypertext.HEAD_LIMIT // 100 + 2):
            assert reader.head() is None
            reader.feed(b"y" * 100)


@pytest.mark.parametrize(
    "chunks",
    [
        b"x\r\n",
        b"-1\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n",
        b"3;" + b"e" * hypertext.CHUNK_LINE + b"\r\n",
        b"111111111\r\n",
        b"\r\n",
        b"0\r\n" + b"Trailer: x\r\n" * hypertext.TRAILERS,
    ],
)
def test_what_are_no_chunks(chunks: bytes) -> None:
    reader = Reader()
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    assert reader.head() is not None
    with pytest.raises(Refused):
        reader.body()


@pytest.mark.parametrize(
    ("accept", "gzip"),
    [
        ("", False),
        ("identity", False),
        ("gzip, deflate", True),
        ("x-gzip", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("gzip;q=0.5, identity", False),
        ("identity;q=0.5, GZIP;Q=0.8", True),
        ("gzip;q=x", False),
        ("br, deflate", False),
    ],
)
def test_who_takes_gzip(accept: str, gzip: bool) -> None:
    assert gzip_preferred(accept) is gzip


def test_who_takes_xml() -> None:
    for accept in ("*/*", "application/xml", "text/xml;q=0.1", "text/*", "", "text/html, */*;q=0.1"):
        assert acceptable(accept, "application/xml", "text/xml")
    for accept in ("text/html", "application/xml;q=0, text/xml;q=0", "image/*"):
        assert not acceptable(accept, "application/xml", "text/xml")


def test_parameters() -> None:
    assert parameter('application/xml; a=b; Charset="UTF-8"', "charset") == "utf-8"
    assert parameter("application/xml", "charset") is None


def test_gzip_is_expanded_up_to_a_limit() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join([*(bomb.compress(b"\0" * 1_000_000) for _ in range(50)), bomb.flush()])
    assert len(packed) < 60_000
    assert len(expand(packed, 1000)) == 1001
    small = zlib.compressobj(9, zlib.DEFLATED, 31)
    whole = small.compress(b"hello") + small.flush()
    assert expand(whole, 5) == b"hello"
    for wrong in (whole[:-1], whole + b"x", b"hello", b""):
        with pytest.raises(BadGzip):
            expand(wrong, 100)


def test_answers_have_a_date_and_a_length() -> None:
    head = hypertext.answer_head(200, b"X: y\r\n", length=3, close=True)
    assert head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert head.endswith(b"GMT\r\nX: y\r\nContent-Length: 3\r\nConnection: close\r\n\r\n")
    assert b"".join(hypertext.chunk([b"a" * 10, b"b" * 6])) == b"10\r\n" + b"a" * 10 + b"b" * 6 + b"\r\n"


def test_bodies_in_crumbs_are_refused() -> None:
    start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    for size, fits in ((hypertext.CHUNK_MEAN, True), (hypertext.CHUNK_MEAN - 1, False)):
        reader = Reader()
        reader.feed(start)
        assert reader.head() is not None
        reader.feed((f"{size:x}\r\n".encode() + b"x" * size + b"\r\n") * (hypertext.CHUNKS + 1) + b"0\r\n\r\n")
        if fits:
            assert len(reader.body()) == size * (hypertext.CHUNKS + 1)
        else:
            with pytest.raises(Refused, match="too small"):
                reader.body()
