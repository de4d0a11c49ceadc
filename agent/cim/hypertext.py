"""HTTP/1.1 as far as CIM-XML needs it: bytes to requests, answers to bytes, without sockets (RFC 9110, RFC 9112).

aiohttp's low-level server was the first choice. It was measured at 190 us of CPU for each request, before any XML was
read, of which this module and ``server`` need a third; its C parser knows no M-POST, with which several CIM clients
begin; and it has no limit on the time in which headers arrive. What is here is small because a CIM server needs little:
no upgrades, no ranges, no multipart.

Strict wherever two readers could take the same bytes for different messages: bare line feeds, folded headers, spaces
before a colon, two lengths, a length beside chunks are all refused. However a connection cuts its bytes, the same
requests come out.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

__all__ = [
    "BadGzip", "Head", "Reader", "Refused", "acceptable", "answer_head", "chunk", "date", "expand", "gzip_preferred",
    "parameter",
]  # fmt: skip

#: Bytes of a request's line and headers, and how many headers there may be.
HEAD_LIMIT = 32 * 1024
FIELDS = 100

#: Bytes of the line before a chunk, and of all trailers.
CHUNK_LINE = 256
TRAILERS = 8 * 1024

#: Chunks of a body from which on they have to hold so many bytes on average: smaller ones are work for nothing.
CHUNKS = 4096
CHUNK_MEAN = 64

_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([\x21-\x7e\x80-\xff]+) HTTP/([0-9])\.([0-9])")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_LENGTH = re.compile(r"[0-9]{1,12}")
_CONTROLS = bytes(octet for octet in (*range(32), 127) if octet not in b"\t\r\n")

#: Headers of which a second one could be understood in two ways.
_SINGLE = frozenset(
    {"host", "content-length", "content-type", "authorization", "cimoperation", "cimmethod", "cimobject", "man"}
)


class Refused(Exception):
    """What came is no request that can be served: the HTTP status to answer with. The connection ends with that answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(slots=True, kw_only=True)
class Head:
    """A request's line and headers. Names of headers are in lower case; of a list in several headers the parts are joined.

    ``length`` is that of the body, None when it comes in chunks. ``keep`` says whether the client wants the connection
    to stay; ``expects`` that it waits for 100 Continue before it sends the body.
    """

    method: str
    target: str
    minor: int
    headers: Mapping[str, str]
    length: int | None
    keep: bool
    expects: bool


class Reader:
    """Turns the bytes of a connection into requests, one after the other: a head, then its body, then the next head."""

    __slots__ = ("_buffer", "_chunked", "_count", "_left", "_searched", "_sum", "_trailers", "complete")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._left = 0
        self._chunked = ""
        self._trailers = 0
        self._count = self._sum = 0
        #: Whether the body of the last head has been read to its end.
        self.complete = True

    @property
    def waiting(self) -> int:
        """Bytes that have come and were not taken yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Bytes from the connection."""
        self._buffer += data

    def head(self) -> Head | None:
        """The next request, None if it has not arrived in whole. Refused when it is none. To be asked for when the body
        before it is complete."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # some clients send one more after a body (RFC 9112, section 2.2)
            del buffer[:2]
            self._searched = 0
        end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0:
            self._searched = len(buffer)
            if len(buffer) > HEAD_LIMIT + 3:  # what has come of the end may still be whole
                raise Refused(431, f"the headers are longer than {HEAD_LIMIT} bytes")
            return None
        if end > HEAD_LIMIT:
            raise Refused(431, f"the headers are longer than {HEAD_LIMIT} bytes")
        head = _head(bytes(buffer[:end]))
        del buffer[: end + 4]
        self._searched = 0
        self._chunked = "size" if head.length is None else ""
        self._left = head.length or 0
        self._trailers = self._count = self._sum = 0
        self.complete = head.length == 0
        return head

    def body(self) -> bytes:
        """What has arrived of the body and was not taken yet; ``complete`` tells whether that was the last of it."""
        if self.complete:
            return b""
        return self._chunks() if self._chunked else self._counted()

    def _counted(self) -> bytes:
        buffer = self._buffer
        if len(buffer) <= self._left:
            part = bytes(buffer)
            buffer.clear()
        else:
            part = bytes(buffer[: self._left])
            del buffer[: self._left]
        self._left -= len(part)
        self.complete = self._left == 0
        return part

    def _chunks(self) -> bytes:
        out = bytearray()
        at = 0
        while not self.complete:
            match self._chunked:
                case "data":
                    part = self._buffer[at : at + self._left]
                    out += part
                    at += len(part)
                    self._left -= len(part)
                    if self._left:
                        break
                    self._chunked = "end"
                case "end":
                    end = self._buffer[at : at + 2]
                    if not b"\r\n".startswith(end):
                        raise Refused(400, "a chunk is longer than it says")
                    if len(end) < 2:
                        break
                    at += 2
                    self._chunked = "size"
                case _:
                    line = self._line(at)
                    if line is None:
                        break
                    at += len(line) + 2
                    self._after(line)
        del self._buffer[:at]
        return bytes(out)

    def _line(self, at: int) -> bytes | None:
        """The line that begins there, without its end; None if that has not come yet."""
        limit = CHUNK_LINE if self._chunked == "size" else TRAILERS
        end = self._buffer.find(b"\r\n", at, at + limit + 2)
        if end < 0:
            if len(self._buffer) - at > limit + 1:  # half of its end may have come
                raise Refused(400, "a line between chunks is too long")
            return None
        return bytes(self._buffer[at:end])

    def _after(self, line: bytes) -> None:
        """What follows a line between chunks."""
        if self._chunked == "trailers":
            self._trailers += len(line)
            if self._trailers > TRAILERS:
                raise Refused(431, "the trailers are too long")
            self.complete = not line
            return
        size = _SIZE.fullmatch(line)
        if size is None:
            raise Refused(400, "a chunk without its size")
        self._left = int(size.group(1), 16)
        self._count += 1
        self._sum += self._left
        if self._left and self._count > CHUNKS and self._sum < self._count * CHUNK_MEAN:
            raise Refused(400, "the chunks are too small")
        self._chunked = "data" if self._left else "trailers"


def _head(raw: bytes) -> Head:
    """The request whose line and headers these are, without the empty line that ends them."""
    ends = raw.count(b"\r\n")
    if len(raw.translate(None, _CONTROLS)) != len(raw) or raw.count(b"\r") != ends or raw.count(b"\n") != ends:
        raise Refused(400, "a control character, or half an end of a line, in the headers")
    first, *lines = raw.decode("latin-1").split("\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise Refused(400, "this is no HTTP request")
    method, target, major, minor = line.groups()
    if major != "1":
        raise Refused(505, "HTTP/1.1 is spoken here")
    if len(lines) > FIELDS:
        raise Refused(431, f"more than {FIELDS} headers")
    headers: dict[str, str] = {}
    for field in lines:
        name, colon, value = field.partition(":")
        key = _known.get(name) or _name(name)
        if not colon:
            raise Refused(400, "a header without a colon")
        value = value.strip(" \t")
        if key not in headers:
            headers[key] = value
        elif key in _SINGLE:
            raise Refused(400, f"{key} stands twice")
        else:
            headers[key] = f"{headers[key]}, {value}"
    return _understood(method, target, 1 if minor > "0" else 0, headers)


#: Names of headers as they were sent, in lower case; a few hundred of the sound ones are remembered.
_known: dict[str, str] = {}


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Refused(400, "a header whose name is none")
    lower = name.lower()
    if len(_known) < 256 and len(name) < 64:
        _known[name] = lower
    return lower


def _understood(method: str, target: str, minor: int, headers: Mapping[str, str]) -> Head:
    if minor and "host" not in headers:
        raise Refused(400, "the Host header is missing")
    connection = headers.get("connection")
    keep = minor > 0
    if connection is not None:
        options = {option.strip() for option in connection.lower().split(",")}
        keep = "close" not in options and (minor > 0 or "keep-alive" in options)
    expects = headers.get("expect")
    if expects is not None and expects.lower() != "100-continue":
        raise Refused(417, "nothing but 100-continue can be expected")
    return Head(
        method=method,
        target=target,
        minor=minor,
        headers=headers,
        length=_body_length(minor, headers),
        keep=keep,
        expects=expects is not None and minor > 0,
    )


def _body_length(minor: int, headers: Mapping[str, str]) -> int | None:
    """How long the body is; None when it comes in chunks (RFC 9112, section 6.3)."""
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if length is not None or minor == 0:
            raise Refused(400, "a body whose length is told in two ways, or in one that HTTP/1.0 does not know")
        if coding.lower() != "chunked":
            raise Refused(501, "no transfer coding but chunked is known")
        return None
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        raise Refused(400, "Content-Length is no length")
    return int(length)


# --- answers ----------------------------------------------------------------------------------------------------------

_dated = (0, b"")


def date() -> bytes:
    """The Date header of now, made once a second."""
    global _dated
    now = int(time.time())
    if _dated[0] != now:
        _dated = now, b"Date: %s\r\n" % formatdate(now, usegmt=True).encode("ascii")
    return _dated[1]


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode("ascii")


def answer_head(status: int, fields: bytes, *, length: int | None, close: bool, older: bool = False) -> bytes:
    """Status line and headers. ``fields`` are whole lines. Without a length the body comes in chunks, or, for an ``older``
    client, which knows none, until the connection closes."""
    out = _status_line(status) + date() + fields
    if length is not None:
        out += b"Content-Length: %d\r\n" % length
    elif not older:
        out += b"Transfer-Encoding: chunked\r\n"
    if close:
        return out + b"Connection: close\r\n\r\n"
    return out + (b"Connection: keep-alive\r\n\r\n" if older else b"\r\n")


def chunk(parts: Sequence[bytes]) -> list[bytes]:
    """A chunk of an answer in chunks, to be joined; it has some data."""
    return [b"%x\r\n" % sum(map(len, parts)), *parts, b"\r\n"]


# --- what a client accepts --------------------------------------------------------------------------------------------


def _weights(value: str) -> dict[str, float]:
    """The entries of a list with weights, in lower case, such as Accept-Encoding; parameters other than q are left out."""
    out: dict[str, float] = {}
    for entry in value.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        weight = 1.0
        for one in parameters:
            if one.startswith("q="):
                weight = float(one[2:]) if re.fullmatch(r"[01](\.[0-9]{0,3})?", one[2:]) else 0.0
        if name:
            out[name] = max(weight, out.get(name, 0.0))
    return out


@lru_cache(maxsize=128)
def gzip_preferred(accept: str) -> bool:
    """Whether an Accept-Encoding takes gzip, and not rather the plain bytes (RFC 9110, section 12.5.3)."""
    weights = _weights(accept)
    anything = weights.get("*", 0.0)
    gzip = weights.get("gzip", weights.get("x-gzip", anything))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


@lru_cache(maxsize=128)
def acceptable(accept: str, *names: str) -> bool:
    """Whether one of these names, the best known first, is among those that an Accept or Accept-Charset header takes."""
    weights = _weights(accept)
    if not weights:
        return True
    for name in names:
        kind = name.partition("/")[0]
        if weights.get(name, weights.get(f"{kind}/*", weights.get("*/*", weights.get("*", 0.0)))) > 0:
            return True
    return False


def parameter(value: str, name: str) -> str | None:
    """A parameter of a header such as Content-Type, in lower case and without its quotes; None if it is not there."""
    for part in value.split(";")[1:]:
        key, equals, given = part.partition("=")
        if equals and key.strip().lower() == name:
            return given.strip().strip('"').lower()
    return None


class BadGzip(Exception):
    """The bytes are not what gzip makes, or not all of it."""


def expand(data: bytes, limit: int) -> bytes:
    """What gzip made these bytes of; of what is longer than the limit, one byte more than that, whatever it would grow to."""
    machine = zlib.decompressobj(31)
    try:
        out = machine.decompress(data, limit + 1)
    except zlib.error as error:
        raise BadGzip(str(error)) from None
    if len(out) <= limit and (not machine.eof or machine.unused_data):
        raise BadGzip("cut off, or followed by something else")
    return out
