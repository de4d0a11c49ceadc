"""Fuzzing of the HTTP reader of the WBEM server.

The invariant: whatever octets arrive, there come requests, the need for more, or Refused with a status that the server sends,
and no other exception; the same octets byte by byte give the same; what is kept of them stays bounded; and whatever the
headers say can be asked for, without another exception than MessageError.

The limits are made smaller while this is done, so that a search gets to them.
"""

from __future__ import annotations

import ast
import random
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType

from agent.cim import hypertext, server
from agent.cim.hypertext import Head, Reader, Refused
from agent.cim.messages import MessageError
from tests.fuzz import guided
from tests.fuzz.guided import Violation

FOUND = Path(__file__).with_name("corpus") / "hypertext_found.txt"
"""What once broke the invariant; written by hand."""

LIMITS = {"HEAD_LIMIT": 600, "FIELDS": 12, "CHUNK_LINE": 32, "TRAILERS": 96}
STATUSES = (400, 417, 431, 501, 505)
LONGEST = 1600
BODY = 1000
"""Octets that a compressed body may become."""
SECONDS = 1.0
"""Of CPU for one input, while every line of it is watched."""


@dataclass(frozen=True)
class Input:
    """The octets of a connection, to the end of what a client sends."""

    data: bytes

    def line(self) -> str:
        return repr(self.data)

    @classmethod
    def of_line(cls, line: str) -> Input:
        return cls(ast.literal_eval(line))


@dataclass(frozen=True)
class Came:
    """What came of some octets: the requests, and the status of what is none."""

    requests: list[tuple[Head, bytes]]
    refused: int | None = None
    #: Octets of a body that is not whole yet, and whether there is one.
    unfinished: bytes | None = None


def came(pieces: Iterable[bytes]) -> Came:
    """What comes of octets that arrive in these pieces, as the server reads them."""
    reader, requests = Reader(), []
    head: Head | None = None
    body = bytearray()
    try:
        for piece in pieces:
            reader.feed(piece)
            while head is not None or (head := reader.head()) is not None:
                body += reader.body()
                if not reader.complete:
                    break
                requests.append((head, bytes(body)))
                head = None
                body.clear()
            bounded(reader)
    except Refused as refused:
        return Came(requests, refused.status)
    return Came(requests, None, None if head is None else bytes(body))


def bounded(reader: Reader) -> None:
    """AssertionError if more is kept than a head or the line before a chunk may take, when everything was taken that could be."""
    assert reader.waiting <= max(hypertext.HEAD_LIMIT, hypertext.TRAILERS) + 3, f"{reader.waiting} octets are waiting"
    assert len(hypertext._known) <= 256


class Target:
    """The reader, with smaller limits until it is closed."""

    sources = (hypertext.__file__, server.__file__)

    def __init__(self, module: ModuleType = hypertext) -> None:
        self._module = module
        self._before = {name: getattr(module, name) for name in LIMITS}
        self._set(LIMITS)

    def close(self) -> None:
        self._set(self._before)

    def _set(self, limits: dict[str, int]) -> None:
        for name, limit in limits.items():
            setattr(self._module, name, limit)

    def run(self, one: Input) -> None:
        began = time.process_time()
        forget()
        try:
            whole = came([one.data])
            assert whole == came(one.data[at : at + 1] for at in range(len(one.data)))
            assert whole.refused in (None, *STATUSES)
            for head, body in whole.requests:
                said(head, body)
            assert time.process_time() - began < SECONDS, "it took too long"
        except Exception as error:
            raise Violation(f"{type(error).__name__}: {error}; input: {one.line()}") from error

    def sane(self) -> None:
        assert [body for _, body in came([PLAIN + CHUNKED]).requests] == [b"hello", b"abc0123456789"]


def forget() -> None:
    """What was remembered of other inputs goes, so that an input always reaches the same."""
    hypertext._known.clear()
    for known in (hypertext.gzip_preferred, hypertext.acceptable, server._declared, server._is_xml, server._charset):
        known.cache_clear()


def said(head: Head, body: bytes) -> None:
    """Ask what the server asks of a head."""
    assert head.length is None or head.length == len(body)
    space = server._declared(head.headers.get("man", "")) if head.method == "M-POST" else ""
    hypertext.gzip_preferred(head.headers.get("accept-encoding", ""))
    with suppress(MessageError):
        server._check_headers(server._Call(head=head, space=space or ""))
    with suppress(MessageError):
        server._understood(body, server._charset(head.headers.get("content-type", "")), False)
    with suppress(hypertext.BadGzip):
        assert len(hypertext.expand(body, BODY)) <= BODY + 1


# --- inputs

PLAIN = b"POST /cimom HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX-One: 1\r\nx-one:  2 \r\n\r\nhello"
CHUNKED = (
    b"M-POST / HTTP/1.1\r\nHost: a\r\nMan: http://www.dmtf.org/cim/mapping/http/v1.0; ns=40\r\n"
    b"Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA;name=value\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n"
)
USUAL = (
    b'POST /cimom HTTP/1.1\r\nHost: h:5988\r\nContent-Type: application/xml; charset="utf-8"\r\nAccept: text/xml;q=0.5, */*\r\n'
    b"Accept-Encoding: gzip;q=1.0, identity; q=0.5, *;q=0\r\nAccept-Charset: utf-8\r\nCIMOperation: MethodCall\r\n"
    b"CIMMethod: GetClass\r\nCIMObject: root%2Fvirtmap\r\nCIMProtocolVersion: 1.0\r\nContent-Length: 0\r\n\r\n"
)
PACKED = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcbH\xcd\xc9\xc9\x07\x00\x86\xa6\x106\x05\x00\x00\x00"  # of hello
OTHERS = (
    b"", b"\r\n", b"\r\nGET * HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 25\r\n\r\n" + PACKED,
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a" + b"\r\nX: y" * 13 + b"\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 700,
    b"POST / HTTP/1.1\r\nHost: a\r\nX:" + b"y" * 562 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 30 + b"\r\na\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 20 + b"\r\n",
)  # fmt: skip
WORDS = (
    b"POST", b"M-POST", b"OPTIONS", b"GET", b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ",
    b"\t", b":", b";", b",", b"\0", b"\xff", b"*", b"0", b"7", b"ffffffff", b"fffffffff", b"-1", b"+5", b"0x5", b"5, 5",
    b"999999999999", b"\r\nHost: b", b"\r\nContent-Length: 5", b"\r\nTransfer-Encoding: chunked", b"\r\nExpect: 100-continue",
    b"\r\nConnection: close, keep-alive", b"\r\nX: " + b"y" * 300, b"\r\n folded", b"\r\nno colon", b"\r\nX : y", b"\r\n: y",
    b"chunked", b"identity", b"gzip", b"q=0.", b"q=2", b"utf-16", b"\r\nContent-Type: text/html", b"\r\n0\r\n\r\n", b"1\r\nx\r\n",
    b"\r\nMan: http://www.dmtf.org/cim/x ; ns = 7", b"\r\nContent-Encoding: x-gzip", b"y" * 31, b"y" * 100, PACKED,
)  # fmt: skip
TELLING = b"\r\n :;,\t0f\x00\x7f\x80\xff"


def seeds() -> list[Input]:
    return [Input(data) for data in (PLAIN, CHUNKED, USUAL, *OTHERS, PLAIN + CHUNKED + PLAIN)]


class Mutator:
    """Changes octets, words, and whole lines."""

    def __init__(self, chance: random.Random, known: Sequence[Input]) -> None:
        self._chance = chance
        self._known = known

    def mutated(self, one: Input) -> Input:
        data = one.data
        for _ in range(self._chance.choice((1, 1, 2, 4))):
            data = self._chance.choice((self._word, self._line, self._octets))(data)
        return Input(data[:LONGEST])

    def _octets(self, data: bytes) -> bytes:
        return guided.octets(self._chance, data, TELLING, lambda: self._chance.choice(self._known).data)

    def _word(self, data: bytes) -> bytes:
        """A word put in somewhere, or in the place of what stands between two separators."""
        at = self._chance.randrange(len(data) + 1)
        places = [0, *(i for i, octet in enumerate(data) if octet in b" \r:;,"), len(data)]
        start, end = self._chance.choice([*pairwise(places), (at, at)])
        return data[:start] + self._chance.choice(WORDS) + data[end:]

    def _line(self, data: bytes) -> bytes:
        """A line doubled, left out, moved, or taken from another input."""
        lines, others = data.split(b"\r\n"), self._chance.choice(self._known).data.split(b"\r\n")
        at, to = self._chance.randrange(len(lines)), self._chance.randrange(len(lines))
        match self._chance.randrange(4):
            case 0:
                lines.insert(to, lines[at])
            case 1:
                del lines[at]
            case 2:
                lines.insert(to, lines.pop(at))
            case _:
                lines[at] = self._chance.choice(others)
        return b"\r\n".join(lines)


CAMPAIGN = guided.Campaign(
    corpus=FOUND.with_name("hypertext.txt"),
    heading="# Inputs of tests/fuzz/hypertext.py, which found them: the octets of a connection.",
    of_line=Input.of_line,
    seeds=seeds,
    target=Target,
    mutator=lambda chance, known: Mutator(chance, known).mutated,
)
