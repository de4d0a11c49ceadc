"""Whatever a master sends, a session answers each request once with a well-formed response, or says AgentxError; nothing
else is raised, and nothing is found that a plain search would not find."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agent.access import Principal
from agent.schema.declare import Access
from agent.snmp import agentx, agentx_session, ber
from agent.snmp.agentx import (
    HEADER,
    AgentxError,
    Binding,
    Bindings,
    Capabilities,
    Close,
    Flag,
    Kind,
    Open,
    Pdu,
    Region,
    Response,
    Search,
    SearchRange,
    Type,
)  # fmt: skip
from agent.snmp.agentx_retrieval import BULK, VM_MIB, Retrieval
from agent.snmp.agentx_session import Session
from agent.snmp.mib import AGENT, ENTERPRISE, Oid
from agent.snmp.view import SCALAR, Column, Computed, RowIndex, View

FUZZ = settings(
    max_examples=1000, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip

ENTRY = (*ENTERPRISE, 20, 1, 2, 1)
SESSION = 9


def text(value: str) -> bytes:
    return ber.element(ber.OCTETS, value.encode())


def view() -> View:
    index = RowIndex(tuple((i,) if i % 4 else (i, 2**32 - 1, 0) for i in range(1, 301)))
    records = [(f"guest{i}", i if i % 50 == 0 else None) for i in range(1, 301)]
    return View(
        [
            Column((*ENTRY, 2), index, records, 0, text),
            Column((*ENTRY, 3), index, records, 1, ber.encode_integer),
            Computed((*ENTRY, 4), index, ber.encode_integer),
            Computed((*VM_MIB, 1, 2), SCALAR, lambda _: b"\x46\x01\x05"),
        ]
    )


VIEW = view()
EVERYTHING = [
    (column.oid + arcs, column.value(row))
    for column in VIEW.columns
    for row, arcs in enumerate(column.index.arcs)
    if column.value(row)
]


def opened() -> Session:
    retrieval = Retrieval({"default": lambda: VIEW, "lab": lambda: VIEW})
    principal = Principal(name="agentx", role=Access.ADMINISTER, front_end="agentx")
    session = Session(
        retrieval, ("default", "lab"), principal, identity=AGENT, description="", capabilities={}, timeout=6
    )
    (first,) = agentx.split(session.open())[0]
    answer = Pdu(kind=Kind.RESPONSE, session=SESSION, packet=agentx.decode(first).packet, body=Response())
    assert session.receive(agentx.encode(answer))
    session.turn()
    return session


@pytest.fixture(scope="module")
def session() -> Session:
    return opened()


@pytest.fixture(scope="module")
def sane() -> Session:
    """One that has heard no nonsense."""
    return opened()


def holds(session: Session, octets: bytes) -> None:
    """The invariant, for one piece of the stream."""
    if session.state is not agentx_session.State.UP:  # a Close came by; a new connection would be made
        session.__dict__.update(opened().__dict__)
    try:
        whole, _ = agentx.split(session._rest + octets)
        out = session.receive(octets)
        while session.more:
            out += session.receive(b"")
    except AgentxError:
        session.__dict__.update(opened().__dict__)
        return
    session.events.clear()
    answers, rest = agentx.split(out)
    assert rest == b""
    assert len(answers) <= len(whole)
    asked = {(h.session, h.transaction, h.packet) for h in map(agentx.header, whole)}
    for answer in answers:
        pdu = agentx.decode(answer)
        assert pdu.kind is Kind.RESPONSE
        assert len(answer) <= max(2 * BULK, 600 * max(map(len, whole)))
        assert (pdu.session, pdu.transaction, pdu.packet) in asked


ARC = st.one_of(st.integers(0, 300), st.integers(0, 2**32 - 1))
ARCS = st.one_of(
    st.lists(ARC, max_size=12).map(tuple),
    st.lists(ARC, max_size=3).map(lambda rest: (*ENTRY, *rest)),
    st.tuples(st.integers(1, 5), st.integers(0, 302), st.lists(ARC, max_size=3)).map(lambda t: (*ENTRY, *t[:2], *t[2])),
    st.sampled_from([(), ENTERPRISE, VM_MIB, (1, 3), (*ENTERPRISE[:-1], 36958), (*ENTRY, 2, 4, 2**32 - 1, 0), (2, 5)]),
)  # fmt: skip
U8, U16, U32 = st.integers(0, 255), st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
OCTETS = st.binary(max_size=12)
VALUES: dict[Type, st.SearchStrategy[Any]] = {
    Type.INTEGER: st.integers(-(2**31), 2**31 - 1), Type.OCTETS: OCTETS, Type.NULL: st.none(), Type.OID: ARCS,
    Type.IP_ADDRESS: st.binary(min_size=4, max_size=4), Type.COUNTER32: U32, Type.GAUGE32: U32, Type.TIME_TICKS: U32,
    Type.OPAQUE: OCTETS, Type.COUNTER64: st.integers(0, 2**64 - 1), Type.NO_SUCH_OBJECT: st.none(),
    Type.NO_SUCH_INSTANCE: st.none(), Type.END_OF_MIB_VIEW: st.none(),
}  # fmt: skip
BINDING = st.sampled_from(Type).flatmap(lambda t: st.builds(Binding, ARCS, st.just(t), VALUES[t]))
BINDINGS = st.lists(BINDING, max_size=4).map(tuple)
RANGE = st.builds(SearchRange, ARCS, st.booleans(), ARCS)
RANGES = st.lists(RANGE, max_size=4).map(tuple)
BODIES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.OPEN: st.builds(Open, timeout=U8, identity=ARCS, description=OCTETS), Kind.CLOSE: st.builds(Close, reason=U8),
    Kind.REGISTER: st.builds(Region, subtree=ARCS, priority=U8, timeout=U8),
    Kind.UNREGISTER: st.builds(Region, subtree=ARCS, priority=U8),
    Kind.GET: st.builds(Search, ranges=RANGES), Kind.GETNEXT: st.builds(Search, ranges=RANGES),
    Kind.GETBULK: st.builds(Search, ranges=RANGES, non_repeaters=st.integers(0, 5), max_repetitions=st.integers(0, 300)),
    Kind.TESTSET: st.builds(Bindings, bindings=BINDINGS), Kind.NOTIFY: st.builds(Bindings, bindings=BINDINGS),
    Kind.INDEX_ALLOCATE: st.builds(Bindings, bindings=BINDINGS),
    Kind.INDEX_DEALLOCATE: st.builds(Bindings, bindings=BINDINGS),
    Kind.ADD_AGENT_CAPS: st.builds(Capabilities, oid=ARCS, description=OCTETS),
    Kind.REMOVE_AGENT_CAPS: st.builds(Capabilities, oid=ARCS),
    Kind.RESPONSE: st.builds(Response, uptime=U32, error=U16, index=U16, bindings=BINDINGS),
}  # fmt: skip
NO_CONTEXT = {Kind.OPEN, Kind.CLOSE, Kind.COMMITSET, Kind.UNDOSET, Kind.CLEANUPSET, Kind.RESPONSE}


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    kind = draw(st.sampled_from(Kind))
    context = draw(st.sampled_from([None, None, b"", b"lab", b"nowhere"]))
    return Pdu(
        kind=kind, session=draw(st.sampled_from([SESSION, SESSION, SESSION, 0, 10])), transaction=draw(st.integers(0, 3)),
        packet=draw(U32), context=None if kind in NO_CONTEXT else context, body=draw(BODIES.get(kind, st.none())),
    )  # fmt: skip


ORDER = st.sampled_from("<>")


@FUZZ
@given(pdu=pdus(), order=ORDER)
def test_what_is_encoded_is_decoded(pdu: Pdu, order: str) -> None:
    octets = agentx.encode(pdu, order)
    assert agentx.decode(octets) == pdu
    assert agentx.split(octets * 3) == ([octets] * 3, b"")


@FUZZ
@given(data=st.binary(max_size=200), kind=U8, flags=U8)
@example(data=b"\xff" * 64, kind=7, flags=0x18)
def test_random_payloads(session: Session, data: bytes, kind: int, flags: int) -> None:
    data = data[: len(data) & ~3]
    order = ">" if flags & Flag.NETWORK_BYTE_ORDER else "<"
    octets = struct.pack(f"{order}4B4I", 1, kind, flags, 0, SESSION, 1, 2, len(data)) + data
    try:
        pdu = agentx.decode(octets)
    except AgentxError:
        pass
    else:
        assert agentx.decode(agentx.encode(pdu)) == pdu
    holds(session, octets)


@settings(parent=FUZZ, max_examples=300)
@given(data=st.binary(max_size=400))
@example(data=b"\x01" * 4000)
@example(data=bytes(4000))
def test_random_octets(session: Session, data: bytes) -> None:
    holds(session, data)


@FUZZ
@given(several=st.lists(pdus(), min_size=1, max_size=5), order=ORDER)
def test_sensible_pdus_in_a_senseless_order(session: Session, several: list[Pdu], order: str) -> None:
    holds(session, b"".join(agentx.encode(p, order) for p in several))


@FUZZ
@given(
    pdu=pdus(), order=ORDER,
    changes=st.lists(st.tuples(st.integers(0, 999), st.integers(0, 3), U8), min_size=1, max_size=5), honest=st.booleans(),
)  # fmt: skip
def test_mutated_pdus(
    session: Session, pdu: Pdu, order: str, changes: list[tuple[int, int, int]], honest: bool
) -> None:
    data = bytearray(agentx.encode(pdu, order))
    for place, what, octet in changes:
        at = place % (len(data) + 1)
        if what == 0:
            data[at : at + 1] = bytes([octet])
        elif what == 1:
            data[at:at] = bytes(octet % 9)
        elif what == 2:
            del data[at : at + 1 + octet % 8]
        else:
            data[at:at] = data[at : at + octet]
    if honest and len(data) >= HEADER:  # a header that tells the truth lets the payload be read
        data = data[: HEADER + ((len(data) - HEADER) & ~3)]
        data[16:20] = struct.pack(f"{order}I", len(data) - HEADER)
        data[0] = 1
    holds(session, bytes(data))


def plain(search: SearchRange) -> tuple[Oid, bytes] | None:
    """What a search finds, looked for from the beginning."""
    for name, element in EVERYTHING:
        if (name > search.start or (search.include and name == search.start)) and (not search.end or name < search.end):
            return name, element
    return None


@FUZZ
@given(searches=st.lists(RANGE, min_size=1, max_size=4), order=ORDER, steps=st.integers(1, 4), context=st.booleans())
def test_searches_find_what_a_plain_search_finds(
    sane: Session, searches: list[SearchRange], order: str, steps: int, context: bool
) -> None:
    for _ in range(steps):
        pdu = Pdu(
            kind=Kind.GETNEXT, session=SESSION, context=b"lab" if context else None, body=Search(ranges=tuple(searches))
        )
        body = agentx.decode(sane.receive(agentx.encode(pdu, order))).body
        assert isinstance(body, Response)
        assert len(body.bindings) == len(searches)
        for i, (search, found) in enumerate(zip(searches, body.bindings, strict=True)):
            expected = plain(search)
            if expected is None:
                assert found == Binding(search.start, Type.END_OF_MIB_VIEW)
            else:
                assert found == agentx.of_pair(*expected)
            searches[i] = SearchRange(found.oid, False, search.end)
