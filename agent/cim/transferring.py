"""Addresses of transfers over HTTP: which part of the data is asked for, and the headers of the answer (RFC 9110, chapter 14)."""

from __future__ import annotations

import re

from agent.transfers import PATH, Range, Ticket

__all__ = ["allowed", "fields", "is_transfer", "part", "token_of"]

_RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})?")
_TYPE = b"Content-Type: application/octet-stream\r\nCache-Control: no-store\r\n"


def is_transfer(target: str) -> bool:
    """Whether a request's target is the address of a transfer."""
    return target.startswith(PATH)


def token_of(target: str) -> str:
    return target[len(PATH) :]


def part(value: str | None) -> Range | None:
    """The part that a Range header asks for; None without one, and for what RFC 9110 lets a server ignore: other units, several
    ranges, and those that count from an end that is not known yet."""
    found = _RANGE.fullmatch(value.strip()) if value is not None else None
    if found is None:
        return None
    first, last = int(found[1]), int(found[2]) if found[2] is not None else None
    return None if last is not None and last < first else Range(first=first, last=last)


def allowed(ticket: Ticket) -> bytes:
    """The Allow header for a transfer."""
    methods = [*(["GET"] if ticket.down else []), *(["PUT"] if ticket.up else [])]
    return f"Allow: {', '.join(methods)}\r\n".encode()


def fields(ticket: Ticket, wanted: Range | None, size: int | None) -> tuple[int, bytes]:
    """The status and the headers of an answer of so many bytes, None if nobody knows; they are a part if a part was wanted
    and its end is known."""
    accept = b"Accept-Ranges: bytes\r\n" if ticket.partial else b""
    if wanted is None or size is None or size == 0 or not ticket.partial:
        return 200, _TYPE + accept
    return 206, _TYPE + accept + f"Content-Range: bytes {wanted.first}-{wanted.first + size - 1}/*\r\n".encode()
