"""Get, GetNext and GetBulk of AgentX, answered from the views of hypervisors (RFC 2741, section 7.2.3).

A master has a walk done variable by variable: for each repetition of a GETBULK net-snmp's sends a GetNext, and waits. So
what counts is one GetNext that goes on where the last one ended. The variable bindings of a page of a column are kept as
a Leaf, ready to be sent, each beside the search that the manager's next step will be; a search that was foreseen is
answered by one look into a dictionary, and without being decoded.
"""

import logging
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence

from agent.snmp import agentx, ber
from agent.snmp.agentx import AgentxError, Flag, Kind, Reader, SearchRange, Type
from agent.snmp.ber import BerError
from agent.snmp.mib import ENTERPRISE, Oid
from agent.snmp.view import PAGE, Column, Computed, Page, RowIndex, View

log = logging.getLogger("virtmap.snmp")

VM_MIB: Oid = (1, 3, 6, 1, 2, 1, 236)
SUBTREES: tuple[Oid, ...] = (VM_MIB, ENTERPRISE)
"""What is registered. What stands beside them in our views, such as the system group, the master has itself."""

LEAVES = 400
"""Kept for the next walk, for each context. A leaf holds at most 256 variables of some 200 octets each."""

LIVE_ROWS = 16
"""Rows of a column whose values are made when asked for, that are made at once."""

CURSORS = 256
"""Walks that may be under way at once, for all of them to be quick."""

FRAMES = 64
BULK = 1 << 16
"""Octets of variable bindings after which a GetBulk gets no more; the master asks again (section 7.2.3.3)."""

_ANSWER = bytes((agentx.VERSION, Kind.RESPONSE, Flag.NETWORK_BYTE_ORDER, 0))
_NOTHING = bytes(8)
"""No uptime, no error, no index."""

_u32 = struct.Struct(">I")

Places = tuple[int, int]


class UnknownContext(Exception):
    """There is no hypervisor of this name."""


def _under(subtree: Oid, column: Column) -> bool:
    return column.oid[: len(subtree)] == subtree


class Narrow:
    """Of a view, what was registered. A place is (number of the column, row), as in a View."""

    def __init__(self, whole: View) -> None:
        self.whole = whole
        self.view = View([c for c in whole.columns if any(_under(s, c) for s in SUBTREES)])
        self.columns: Sequence[Column] = self.view.columns
        self._oids = [c.oid for c in self.columns]

    def value(self, arcs: Oid) -> tuple[bytes, bytes]:
        """What stands before and behind the name of an instance: its value, or the exception that says why it has none."""
        number, row = self.view.place(arcs, include=True)
        if number < len(self.columns) and row < self.columns[number].count:
            column = self.columns[number]
            if column.oid + column.index.arcs[row] == arcs:
                element = column.value(row)
                return (element and _converted(element, column)) or (_NO_INSTANCE, b"")
        number = bisect_right(self._oids, arcs) - 1
        known = number >= 0 and arcs[: len(self._oids[number])] == self._oids[number]
        return _NO_INSTANCE if known else _NO_OBJECT, b""


class Source:
    """One context: where its view comes from, and what of it is registered, as of the newest one asked for."""

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view
        self._turn = -1
        self.narrow = Narrow(View(()))
        self.generation = 0
        """Counts the views. What outlives one remembers this number, and not the view with all its snapshot."""
        self.served: tuple[Oid, ...] = (ENTERPRISE,)
        self.leaves: dict[tuple[bytes, Oid, int], Leaf] = {}
        self._names: dict[int, tuple[RowIndex, dict[int, list[bytes]]]] = {}

    def renew(self, turn: int) -> Narrow:
        """What is registered of the newest view, looked for once a turn."""
        if self._turn != turn:
            self._turn = turn
            whole = self._view()
            if whole is not self.narrow.whole:
                self._show(Narrow(whole))
                columns = self.narrow.columns
                self.served = tuple(s for s in SUBTREES if s == ENTERPRISE or any(_under(s, c) for c in columns))
        return self.narrow

    def rest(self) -> None:
        """Let go of all that can be had again: nobody has asked for a while."""
        if self.narrow.columns:
            self._show(Narrow(View(())))
            self.leaves.clear()

    def _show(self, narrow: Narrow) -> None:
        self.narrow = narrow
        self.generation += 1
        used = {id(c.index) for c in narrow.columns}
        self._names = {k: v for k, v in self._names.items() if k in used}

    def names(self, index: RowIndex, number: int) -> list[bytes]:
        """The instance parts of the OIDs of a page of rows, in AgentX's encoding; the same list as long as they stay."""
        pages = self._names.setdefault(id(index), (index, {}))[1]
        found = pages.get(number)
        if found is None:
            start = number * PAGE
            found = pages[number] = [struct.pack(f">{len(a)}I", *a) for a in index.arcs[start : start + PAGE]]
        return found

    def keep(self, key: tuple[bytes, Oid, int], leaf: "Leaf") -> None:
        self.leaves.pop(key, None)
        if len(self.leaves) >= LEAVES:
            del self.leaves[next(iter(self.leaves))]
        self.leaves[key] = leaf


class Frame:
    """All searches of a context that end at the same place. `context` and `end` are in AgentX's encoding."""

    def __init__(self, source: Source, context: bytes, end: bytes) -> None:
        self.source = source
        self.context = context
        self.end = end
        self._arcs = Reader(end, ">", 0).oid()
        self._generation = -1
        self._limit: Places = 0, 0

    def limit(self) -> Places:
        """The place that searches do not reach any more."""
        if self._generation != self.source.generation:
            self._generation, narrow = self.source.generation, self.source.narrow
            self._limit = narrow.view.place(self._arcs, include=True) if self._arcs else (len(narrow.columns), 0)
        return self._limit


class Leaf:
    """Variables behind each other in one column, of a page at most, without those that have no value.

    `tails` are the answers to the searches that find them, from the payload's length on; `keys` the searches that go on
    behind them, likewise; `rows` theirs in the column, and `stop` the row that this ends before. `live` ones are good for
    the turn in which they were made.
    """

    __slots__ = ("frame", "generation", "keys", "live", "names", "number", "page", "rows", "stop", "tails", "turn")

    def __init__(self, frame: Frame, number: int, turn: int) -> None:
        self.frame = frame
        self.generation = frame.source.generation
        self.number = number
        self.turn = turn
        self.rows: list[int] = []
        self.tails: list[bytes] = []
        self.keys: list[bytes] = []
        self.stop = 0
        self.live = False
        self.page: Page | None = None
        self.names: list[bytes] = []

    def fill(self, column: Column, low: int, elements: Sequence[bytes]) -> None:
        """Take in the rows from `low` on that have an element. `names` are those of their page."""
        self.stop = low + len(elements)
        head, context, end = agentx.oid(column.oid), self.frame.context, self.frame.end
        starts: dict[int, tuple[bytes, bytes]] = {}
        befores: dict[tuple[int, bytes, int], bytes] = {}
        rows, tails, keys, pack, join = self.rows, self.tails, self.keys, _u32.pack, b"".join
        for row, (name, element) in enumerate(zip(self.names[low % PAGE :], elements, strict=False), low):
            if not element or (made := _converted(element, column)) is None:
                continue
            kind, data = made
            long = len(name)
            if long not in starts:
                start = bytes((head[0] + long // 4,)) + head[1:]
                starts[long] = start, pack(len(context) + len(start) + long + len(end)) + context + start
            start, key = starts[long]
            before = befores.get((long, kind, len(data)))
            if before is None:
                size = 12 + len(start) + long + len(data)
                before = befores[long, kind, len(data)] = pack(size) + _NOTHING + kind + start
            rows.append(row)
            tails.append(join((before, name, data)))
            keys.append(join((key, name, end)))


def _converted(element: bytes, column: Column) -> tuple[bytes, bytes] | None:
    """What stands before the name of a variable binding, and behind it."""
    tag, size = element[0], element[1]
    try:
        if size < 0x80:  # the usual ones, without detours
            if tag == ber.OCTETS:
                return _OCTETS, b"".join((_u32.pack(size), element[2:], _PADDING[size & 3]))
            if tag == ber.UNSIGNED:
                return _GAUGE, int.from_bytes(element[2:], "big").to_bytes(4, "big")
            if tag == ber.INTEGER:
                return _INTEGER, int.from_bytes(element[2:], "big", signed=True).to_bytes(4, "big", signed=True)
            if tag == ber.COUNTER64:
                return _COUNTER, int.from_bytes(element[2:], "big").to_bytes(8, "big")
        kind, data = agentx.of_element(element)
    except (BerError, OverflowError) as error:
        # One value is lost, said in the log, and the table goes on, as in a View.
        log.error("%s: cannot show a value by AgentX: %s", column.object.name if column.object else column.oid, error)
        return None
    return struct.pack(">HH", kind, 0), data


_OCTETS, _GAUGE, _INTEGER, _COUNTER, _NO_OBJECT, _NO_INSTANCE, _END = (
    struct.pack(">HH", t, 0)
    for t in (
        Type.OCTETS, Type.GAUGE32, Type.INTEGER, Type.COUNTER64, Type.NO_SUCH_OBJECT, Type.NO_SUCH_INSTANCE,
        Type.END_OF_MIB_VIEW,
    )
)  # fmt: skip
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class Retrieval:
    """Answers the requests that read. `contexts` are the hypervisors' views by name; the first is the default context too.

    Say `turn()` before each batch of requests: within one a view is not looked for again.
    """

    def __init__(self, contexts: Mapping[str, Callable[[], View]]) -> None:
        self._sources = {name.encode(): Source(view) for name, view in contexts.items()}
        self._default = next(iter(self._sources.values()))
        self._frames: dict[tuple[bytes, bytes], Frame] = {}
        self._cursors: dict[bytes, tuple[Leaf, int]] = {}
        self._turn = 0
        self._heads: tuple[bytes, ...] = ()

    def session(self, number: int) -> None:
        """Answer in this session from now on."""
        self._heads = tuple(
            bytes((agentx.VERSION, Kind.GETNEXT, flags, 0)) + agentx.number(number)
            for flags in (Flag.NETWORK_BYTE_ORDER, Flag.NETWORK_BYTE_ORDER | Flag.NON_DEFAULT_CONTEXT)
        )
        self._cursors.clear()

    def turn(self) -> None:
        """Time went by, and views may be new."""
        self._turn += 1

    def narrow(self, context: bytes | None) -> Narrow:
        """What is served in a context now. UnknownContext if nothing is."""
        return self._source(context).renew(self._turn)

    def look(self) -> None:
        """See what the views hold, so that `served` can tell."""
        self.turn()
        for source in self._sources.values():
            source.renew(self._turn)

    def rest(self) -> None:
        """Nobody has asked for a while: keep no snapshot alive."""
        self._cursors.clear()
        self._frames.clear()
        for source in self._sources.values():
            source.rest()

    def served(self, context: bytes | None) -> Sequence[Oid]:
        """The subtrees of which a context has columns, as far as it was looked at; ours in any case."""
        return self._source(context).served

    def _source(self, context: bytes | None) -> Source:
        if not context:
            return self._default
        try:
            return self._sources[context]
        except KeyError:
            raise UnknownContext(context) from None

    def quick(self, data: bytes) -> bytes | None:
        """The whole answer, if these octets are exactly one GetNext that was foreseen; else None."""
        if data[:8] not in self._heads:
            return None
        cursor = self._cursors.pop(data[16:], None)
        if cursor is None:
            return None
        leaf, place = cursor
        if leaf.turn != self._turn and not self._fresh(leaf):
            return None
        if place == len(leaf.tails):
            cursor = self._leaf(leaf.frame, leaf.number, leaf.stop)
            if cursor is None:
                return None
            leaf, place = cursor
        self._cursors[leaf.keys[place]] = leaf, place + 1
        return b"".join((_ANSWER, data[4:16], leaf.tails[place]))

    def get(self, context: bytes | None, ranges: Sequence[SearchRange]) -> list[bytes]:
        """The variable bindings that answer a Get."""
        narrow = self.narrow(context)
        out = []
        for one in ranges:
            kind, data = narrow.value(one.start)
            out.append(kind + agentx.oid(one.start) + data)
        return out

    def get_next(self, pdu: bytes) -> list[bytes]:
        """The variable bindings that answer a GetNext in network byte order, given as the whole PDU."""
        source, context, at = self._addressed(pdu)
        out: list[bytes] = []
        while at < len(pdu):
            if len(out) == agentx.MAX_BINDINGS:
                raise AgentxError("too many search ranges")
            stop = _end_of_range(pdu, at)
            out.append(self._step(source, context, pdu[at:stop])[0])
            at = stop
        return out

    def get_bulk(self, pdu: bytes) -> list[bytes]:
        """The variable bindings that answer a GetBulk in network byte order, given as the whole PDU."""
        source, context, at = self._addressed(pdu)
        non_repeaters, repetitions = Reader(pdu, ">", at).numbers("HH")
        at += 4
        ranges: list[bytes] = []
        while at < len(pdu):
            if len(ranges) == agentx.MAX_BINDINGS:
                raise AgentxError("too many search ranges")
            stop = _end_of_range(pdu, at)
            ranges.append(pdu[at:stop])
            at = stop
        out = [self._step(source, context, r)[0] for r in ranges[:non_repeaters]]
        room = BULK - sum(map(len, out))
        repeated = ranges[non_repeaters:]
        for _ in range(repetitions):
            found = [self._step(source, context, r) for r in repeated]
            room -= sum(len(one) for one, _ in found)
            if room < 0 and out:
                break
            out += [one for one, _ in found]
            if all(behind == r for (_, behind), r in zip(found, repeated, strict=True)):
                break  # at the end of the view, all of them
            repeated = [behind for _, behind in found]
        return out

    def _addressed(self, pdu: bytes) -> tuple[Source, bytes, int]:
        """The context of a PDU, its octets, and where they end."""
        if not pdu[2] & Flag.NON_DEFAULT_CONTEXT:
            return self._default, b"", agentx.HEADER
        reader = Reader(pdu, ">")
        name = reader.octets()
        return self._source(name), pdu[agentx.HEADER : reader.at], reader.at

    def _step(self, source: Source, context: bytes, search: bytes) -> tuple[bytes, bytes]:
        """The variable binding that a search finds, and the search that goes on behind it; the same one at the end."""
        found = self._foreseen(_u32.pack(len(context) + len(search)) + context + search)
        if found is None:
            found = self._searched(source, context, search)
        if found is None:
            size = 4 + 4 * search[0]
            return _END + search[:2] + b"\0" + search[3:size], search
        leaf, place = found
        if len(self._cursors) >= CURSORS:
            del self._cursors[next(iter(self._cursors))]
        self._cursors[leaf.keys[place]] = leaf, place + 1
        return leaf.tails[place][12:], leaf.keys[place][4 + len(context) :]

    def _foreseen(self, key: bytes) -> tuple[Leaf, int] | None:
        cursor = self._cursors.pop(key, None)
        if cursor is None or not self._fresh(cursor[0]):
            return None
        leaf, place = cursor
        return cursor if place < len(leaf.tails) else self._leaf(leaf.frame, leaf.number, leaf.stop)

    def _searched(self, source: Source, context: bytes, search: bytes) -> tuple[Leaf, int] | None:
        reader = Reader(search, ">", 0)
        start, include = reader.flagged_oid()
        end = search[reader.at :]
        frame = self._frames.get((context, end))
        if frame is None:
            if len(self._frames) >= FRAMES:
                self._frames.clear()
            frame = self._frames[context, end] = Frame(source, context, end)
        return self._leaf(frame, *source.renew(self._turn).view.place(start, include=include))

    def _fresh(self, leaf: Leaf) -> bool:
        """Whether a leaf still tells the truth."""
        if leaf.turn == self._turn:
            return True
        source = leaf.frame.source
        source.renew(self._turn)
        if leaf.live or leaf.generation != source.generation:
            return False
        leaf.turn = self._turn
        return True

    def _leaf(self, frame: Frame, number: int, row: int) -> tuple[Leaf, int] | None:
        """The first variable with a value at or behind a place, as a leaf and the place in it; None if there is none."""
        limit, columns = frame.limit(), frame.source.narrow.columns
        while (number, row) < limit:
            column = columns[number]
            stop = min(column.count, limit[1]) if number == limit[0] else column.count
            while row < stop:
                leaf = self._made(frame, number, row, stop)
                place = bisect_left(leaf.rows, row)
                if place < len(leaf.rows):
                    return leaf, place
                row = leaf.stop
            number, row = number + 1, 0
        return None

    def _made(self, frame: Frame, number: int, row: int, stop: int) -> Leaf:
        """The leaf that holds a row of a column, of which rows up to `stop` are searched."""
        source = frame.source
        column, count = source.narrow.columns[number], row // PAGE
        names = source.names(column.index, count)
        if isinstance(column, Computed) or stop < min(column.count, (count + 1) * PAGE):
            high = min(row + LIVE_ROWS, (count + 1) * PAGE, stop)
            leaf = Leaf(frame, number, self._turn)
            leaf.live, leaf.names = True, names
            leaf.fill(column, row, [column.value(r) for r in range(row, high)])
            return leaf
        key = frame.context + frame.end, column.oid, count
        page = column.page(count)
        known = source.leaves.get(key)
        if known is not None and known.page is page and known.names is names:
            known.frame, known.generation, known.number, known.turn = frame, source.generation, number, self._turn
            return known
        leaf = Leaf(frame, number, self._turn)
        leaf.page, leaf.names = page, names
        leaf.fill(column, count * PAGE, _elements(column, page, count * PAGE))
        source.keep(key, leaf)
        return leaf


def _end_of_range(pdu: bytes, at: int) -> int:
    """Where a search range ends that begins here."""
    for _ in range(2):
        if at + 4 > len(pdu):
            raise AgentxError("a truncated search range")
        count = pdu[at]
        if count + (5 if pdu[at + 1] else 0) > ber.MAX_ARCS:
            raise AgentxError("an OID of more than 128 arcs")
        at += 4 + 4 * count
    if at > len(pdu):
        raise AgentxError("a truncated search range")
    return at


def _elements(column: Column, page: Page, low: int) -> list[bytes]:
    """The elements of the values of a page, cut out of its variable bindings."""
    blob, offsets = page.blob, page.offsets
    head = len(column.head)
    out: list[bytes] = []
    start = offsets[0]
    for suffix, stop in zip(column.index.suffixes[low : low + PAGE], offsets[1:], strict=True):
        if start == stop:
            out.append(b"")
        elif blob[start + 1] < 0x80:  # tag and length of the binding, tag and length of the name, the name
            out.append(blob[start + 4 + head + len(suffix) : stop])
        else:
            _, inner, _ = ber.tlv(blob, start, stop)
            _, _, value = ber.tlv(blob, inner, stop)
            out.append(blob[value:stop])
        start = stop
    return out
