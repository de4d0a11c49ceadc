"""GET, GETNEXT and GETBULK on a View (RFC 3416, section 4.2; RFC 1157, section 4.1): a request in, variable bindings out.

`room` is how many octets the variable bindings may have. GETBULK is trimmed to it; for the others what does not fit is
TooBig. Version 1 knows no exceptions: there a variable that does not exist is an error, NoSuchName.
"""

from collections.abc import Callable, Sequence

from agent.snmp import ber
from agent.snmp.message import VERSION_1, Request, Varbind, varbind
from agent.snmp.view import View

NO_SUCH_OBJECT = b"\x80\x00"
NO_SUCH_INSTANCE = b"\x81\x00"
END_OF_MIB_VIEW = b"\x82\x00"


class TooBig(Exception):
    """What was asked for does not fit into a message."""


class NoSuchName(Exception):
    """In version 1: the variable with this number, from 1, does not exist, or nothing is behind it."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def get(view: View, request: Request, room: int) -> bytes:
    """The variable bindings of a GET."""
    if request.version == VERSION_1:
        return _fitting(_or_missing(_get, view, request), room)
    return _fitting([_get(view, v.oid) for v in request.varbinds], room)


def get_next(view: View, request: Request, room: int) -> bytes:
    """The variable bindings of a GETNEXT."""
    if request.version == VERSION_1:
        return _fitting(_or_missing(_next, view, request), room)
    return _fitting([_next(view, v.oid) for v in request.varbinds], room)


def _or_missing(one: Callable[[View, bytes, int], bytes], view: View, request: Request) -> list[bytes]:
    """The variables of a request of version 1, or NoSuchName of the last that is missing: the RFC says of one, net-snmp of
    the last."""
    found: list[bytes] = []
    missing: NoSuchName | None = None
    for index, v in enumerate(request.varbinds, 1):
        try:
            found.append(one(view, v.oid, index))
        except NoSuchName as error:
            missing = error
    if missing is not None:
        raise missing
    return found


def _fitting(found: list[bytes], room: int) -> bytes:
    whole = b"".join(found)
    if len(whole) > room:
        raise TooBig
    return whole


def _get(view: View, oid: bytes, index: int = 0) -> bytes:
    """A variable, or an exception in its place; NoSuchName in version 1, where it has an index."""
    place = view.exact(oid)
    if place is not None and (found := view.columns[place[0]].get(place[1])):
        return found
    ber.oid(oid)
    if index:
        raise NoSuchName(index)
    return varbind(oid, NO_SUCH_INSTANCE if view.column_of(oid) is not None else NO_SUCH_OBJECT)


def _next(view: View, oid: bytes, index: int = 0) -> bytes:
    found = view.following(*view.after(oid))[0]
    if not found and index:
        raise NoSuchName(index)
    return found or varbind(oid, END_OF_MIB_VIEW)


def get_bulk(view: View, request: Request, room: int) -> bytes:
    """The variable bindings of a GETBULK (section 4.2.3), trimmed from the end. TooBig only if nothing fits at all."""
    singles = min(max(request.first, 0), len(request.varbinds))
    repetitions = max(request.second, 0)
    out: list[bytes] = []
    if not singles and repetitions and len(request.varbinds) == 1:  # a walk
        _repeat_one(view, request.varbinds[0].oid, repetitions, room, out)
        if not out:
            raise TooBig
        return out[0] if len(out) == 1 else b"".join(out)
    for one in request.varbinds[:singles]:
        found = _next(view, one.oid)
        if len(found) > room:
            if not out:
                raise TooBig
            return b"".join(out)
        out.append(found)
        room -= len(found)
    repeated = request.varbinds[singles:]
    if len(repeated) == 1:
        _repeat_one(view, repeated[0].oid, repetitions, room, out)
    elif repeated:
        _repeat(view, repeated, repetitions, room, out)
    if not out and repeated and repetitions:
        raise TooBig
    return b"".join(out)


def _repeat_one(view: View, oid: bytes, repetitions: int, room: int, out: list[bytes]) -> None:
    number, row = view.after(oid)
    chunks, count, number, row = view.run(number, row, repetitions, room)
    out += [chunk for chunk in chunks if chunk]
    if count < repetitions and number >= len(view.columns):
        end = varbind(_last_oid(chunks) or oid, END_OF_MIB_VIEW)
        if len(end) <= room - sum(map(len, chunks)):
            out.append(end)


def _repeat(view: View, repeated: Sequence[Varbind], repetitions: int, room: int, out: list[bytes]) -> None:
    places = [view.after(v.oid) for v in repeated]
    names = [v.oid for v in repeated]
    for _ in range(repetitions):
        ended = 0
        for i, place in enumerate(places):
            found, number, row = view.following(*place)
            if found:
                places[i] = (number, row)
                names[i] = b""  # looked up in what was found, should the end come next
            else:
                ended += 1
                found = varbind(names[i] or _last_oid(out[-len(places) : -len(places) + 1] or out), END_OF_MIB_VIEW)
                names[i] = names[i] or _last_oid([found])
            if len(found) > room:
                return
            out.append(found)
            room -= len(found)
        if ended == len(places):
            return


def _last_oid(chunks: Sequence[bytes]) -> bytes:
    """The OID (contents octets) of the last variable binding in a list of chunks; empty if there is none."""
    for chunk in reversed(chunks):
        at, name = 0, b""
        while at < len(chunk):
            _, start, stop = ber.tlv(chunk, at, len(chunk))
            _, oid_start, oid_stop = ber.tlv(chunk, start, stop)
            name, at = chunk[oid_start:oid_stop], stop
        if name:
            return name
    return b""
