"""AgentX: PDUs byte by byte, the session without sockets, and the connection against masters that behave and that do not."""

from __future__ import annotations

import asyncio
import gc
import random
import shutil
import socket
import struct
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.access import Principal
from agent.errors import ConfigError, Failed
from agent.schema.declare import Access
from agent.snmp import agentx, agentx_retrieval, ber
from agent.snmp.agentx import (
    AgentxError,
    Binding,
    Bindings,
    Capabilities,
    Close,
    Error,
    Flag,
    Kind,
    Open,
    Pdu,
    Region,
    Response,
    Search,
    SearchRange,
    Type,
)
from agent.snmp.agentx_retrieval import VM_MIB, Retrieval
from agent.snmp.agentx_session import CarryOut, Ended, Ready, Registration, Session, TakeBack, Trouble
from agent.snmp.message import Status
from agent.snmp.mib import AGENT, ENTERPRISE, Oid
from agent.snmp.notice import Notice
from agent.snmp.setting import Ask, Asker, Change, Refusal, Refused
from agent.snmp.subagent import Address, Link, Subagent
from agent.snmp.view import PAGE, SCALAR, Column, Computed, RowIndex, View
from tests.agents import DOMAIN_ENTRY, looped, until, world

# What our agent and snmpd 5.9.3 say to each other, and every other PDU, written out from the figures of the RFC.
BIG_AND_LITTLE: dict[str, tuple[Pdu, str, str]] = {
    "open": (
        Pdu(kind=Kind.OPEN, packet=1, body=Open(timeout=6, identity=(1, 3, 6, 1, 4, 1, 36957), description=b"virtmap")),
        "01011000 00000000 00000000 00000001 0000001c 06000000 02040000 00000001 0000905d 00000007 76697274 6d617000",
        "01010000 00000000 00000000 01000000 1c000000 06000000 02040000 01000000 5d900000 07000000 76697274 6d617000",
    ),
    "open without identity": (
        Pdu(kind=Kind.OPEN, body=Open(timeout=0, identity=(), description=b"")),
        "01011000 00000000 00000000 00000000 0000000c 00000000 00000000 00000000",
        "01010000 00000000 00000000 00000000 0c000000 00000000 00000000 00000000",
    ),
    "close": (
        Pdu(kind=Kind.CLOSE, session=9, packet=2, body=Close(reason=5)),
        "01021000 00000009 00000000 00000002 00000004 05000000",
        "01020000 09000000 00000000 02000000 04000000 05000000",
    ),
    "register": (
        Pdu(kind=Kind.REGISTER, session=9, packet=3, body=Region(subtree=(1, 3, 6, 1, 2, 1, 236), timeout=6)),
        "01031000 00000009 00000000 00000003 00000010 067f0000 02020000 00000001 000000ec",
        "01030000 09000000 00000000 03000000 10000000 067f0000 02020000 01000000 ec000000",
    ),
    "register a range in a context, for an instance": (
        Pdu(
            kind=Kind.REGISTER, session=9, packet=3, context=b"lab", flags=Flag.INSTANCE_REGISTRATION,
            body=Region(subtree=(1, 3, 6, 1, 2, 1, 7), priority=1, range_subid=7, upper=22),
        ),
        "01031900 00000009 00000000 00000003 0000001c 00000003 6c616200 00010700 02020000 00000001 00000007 00000016",
        "01030900 09000000 00000000 03000000 1c000000 03000000 6c616200 00010700 02020000 01000000 07000000 16000000",
    ),
    "unregister": (
        Pdu(kind=Kind.UNREGISTER, session=9, packet=3, body=Region(subtree=(1, 3, 6, 1, 2, 1, 236))),
        "01041000 00000009 00000000 00000003 00000010 007f0000 02020000 00000001 000000ec",
        "01040000 09000000 00000000 03000000 10000000 007f0000 02020000 01000000 ec000000",
    ),
    "get": (
        Pdu(kind=Kind.GET, session=5, transaction=14, packet=15, body=Search(ranges=(SearchRange((1, 3, 6, 1, 4, 1, 7)),))),
        "01051000 00000005 0000000e 0000000f 00000010 02040000 00000001 00000007 00000000",
        "01050000 05000000 0e000000 0f000000 10000000 02040000 01000000 07000000 00000000",
    ),
    "getnext": (
        Pdu(
            kind=Kind.GETNEXT, session=5, transaction=1, packet=2, context=b"lab",
            body=Search(ranges=(SearchRange((1, 3, 6, 1, 4, 1, 36957), True, (1, 3, 6, 1, 4, 1, 36958)),)),
        ),
        "01061800 00000005 00000001 00000002 00000020 00000003 6c616200 02040100 00000001 0000905d 02040000 00000001 0000905e",
        "01060800 05000000 01000000 02000000 20000000 03000000 6c616200 02040100 01000000 5d900000 02040000 01000000 5e900000",
    ),
    "getbulk": (
        Pdu(
            kind=Kind.GETBULK, session=5, transaction=1, packet=2,
            body=Search(ranges=(SearchRange((1, 3)), SearchRange((1, 3, 6, 1))), non_repeaters=1, max_repetitions=10),
        ),
        "01071000 00000005 00000001 00000002 0000002c 0001000a 02000000 00000001 00000003 00000000"
        " 04000000 00000001 00000003 00000006 00000001 00000000",
        "01070000 05000000 01000000 02000000 2c000000 01000a00 02000000 01000000 03000000 00000000"
        " 04000000 01000000 03000000 06000000 01000000 00000000",
    ),
    "testset": (
        Pdu(
            kind=Kind.TESTSET, session=5, transaction=16, packet=17,
            body=Bindings(bindings=(
                Binding((1, 3, 6, 1, 4, 1, 7), Type.INTEGER, -5), Binding((1, 3, 6, 1, 4, 1, 8), Type.GAUGE32, 6),
            )),
        ),
        "01081000 00000005 00000010 00000011 00000028 00020000 02040000 00000001 00000007 fffffffb"
        " 00420000 02040000 00000001 00000008 00000006",
        "01080000 05000000 10000000 11000000 28000000 02000000 02040000 01000000 07000000 fbffffff"
        " 42000000 02040000 01000000 08000000 06000000",
    ),
    "commitset": (
        Pdu(kind=Kind.COMMITSET, session=5, transaction=1, packet=3),
        "01091000 00000005 00000001 00000003 00000000",
        "01090000 05000000 01000000 03000000 00000000",
    ),
    "undoset": (
        Pdu(kind=Kind.UNDOSET, session=5, transaction=1, packet=4),
        "010a1000 00000005 00000001 00000004 00000000",
        "010a0000 05000000 01000000 04000000 00000000",
    ),
    "cleanupset": (
        Pdu(kind=Kind.CLEANUPSET, session=5, transaction=1, packet=4),
        "010b1000 00000005 00000001 00000004 00000000",
        "010b0000 05000000 01000000 04000000 00000000",
    ),
    "notify": (
        Pdu(
            kind=Kind.NOTIFY, session=5, packet=9,
            body=Bindings(bindings=(
                Binding((1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0), Type.OID, (1, 3, 6, 1, 6, 3, 1, 1, 5, 1)),
                Binding((1, 3), Type.OCTETS, b"guest1"),
            )),
        ),
        "010c1000 00000005 00000000 00000009 00000054 00060000 06060000 00000003 00000001 00000001 00000004 00000001 00000000"
        " 05060000 00000003 00000001 00000001 00000005 00000001 00040000 02000000 00000001 00000003 00000006 67756573 74310000",
        "010c0000 05000000 00000000 09000000 54000000 06000000 06060000 03000000 01000000 01000000 04000000 01000000 00000000"
        " 05060000 03000000 01000000 01000000 05000000 01000000 04000000 02000000 01000000 03000000 06000000 67756573 74310000",
    ),
    "ping": (
        Pdu(kind=Kind.PING, session=5, packet=9, context=b""),
        "010d1800 00000005 00000000 00000009 00000004 00000000",
        "010d0800 05000000 00000000 09000000 04000000 00000000",
    ),
    "index allocate": (
        Pdu(
            kind=Kind.INDEX_ALLOCATE, session=5, packet=9, flags=Flag.NEW_INDEX,
            body=Bindings(bindings=(Binding((1, 3), Type.COUNTER64, 2**63 + 1),)),
        ),
        "010e1200 00000005 00000000 00000009 00000018 00460000 02000000 00000001 00000003 80000000 00000001",
        "010e0200 05000000 00000000 09000000 18000000 46000000 02000000 01000000 03000000 01000000 00000080",
    ),
    "index deallocate": (
        Pdu(kind=Kind.INDEX_DEALLOCATE, body=Bindings(bindings=(Binding((0, 0), Type.IP_ADDRESS, bytes((127, 0, 0, 1))),))),
        "010f1000 00000000 00000000 00000000 00000018 00400000 02000000 00000000 00000000 00000004 7f000001",
        "010f0000 00000000 00000000 00000000 18000000 40000000 02000000 00000000 00000000 04000000 7f000001",
    ),
    "add agent caps": (
        Pdu(kind=Kind.ADD_AGENT_CAPS, session=5, body=Capabilities(oid=(1, 3, 6, 1, 4, 1, 7), description=b"what")),
        "01101000 00000005 00000000 00000000 00000014 02040000 00000001 00000007 00000004 77686174",
        "01100000 05000000 00000000 00000000 14000000 02040000 01000000 07000000 04000000 77686174",
    ),
    "remove agent caps": (
        Pdu(kind=Kind.REMOVE_AGENT_CAPS, session=5, body=Capabilities(oid=(1, 3, 6, 1, 4, 1, 7))),
        "01111000 00000005 00000000 00000000 0000000c 02040000 00000001 00000007",
        "01110000 05000000 00000000 00000000 0c000000 02040000 01000000 07000000",
    ),
    "response": (
        Pdu(
            kind=Kind.RESPONSE, session=5, transaction=1, packet=2,
            body=Response(uptime=158, error=0, index=0, bindings=(
                Binding((1, 3), Type.TIME_TICKS, 2**32 - 1), Binding((1, 3), Type.NO_SUCH_OBJECT),
                Binding((1, 3), Type.NO_SUCH_INSTANCE), Binding((1, 3), Type.END_OF_MIB_VIEW), Binding((1, 3), Type.NULL),
                Binding((1, 3), Type.OPAQUE, b"\x9f"), Binding((1, 3), Type.COUNTER32, 1), Binding((1, 3), Type.OID, ()),
            )),
        ),
        "01121000 00000005 00000001 00000002 0000009c 0000009e 00000000 00430000 02000000 00000001 00000003 ffffffff"
        " 00800000 02000000 00000001 00000003 00810000 02000000 00000001 00000003 00820000 02000000 00000001 00000003"
        " 00050000 02000000 00000001 00000003 00440000 02000000 00000001 00000003 00000001 9f000000"
        " 00410000 02000000 00000001 00000003 00000001 00060000 02000000 00000001 00000003 00000000",
        "01120000 05000000 01000000 02000000 9c000000 9e000000 00000000 43000000 02000000 01000000 03000000 ffffffff"
        " 80000000 02000000 01000000 03000000 81000000 02000000 01000000 03000000 82000000 02000000 01000000 03000000"
        " 05000000 02000000 01000000 03000000 44000000 02000000 01000000 03000000 01000000 9f000000"
        " 41000000 02000000 01000000 03000000 01000000 06000000 02000000 01000000 03000000 00000000",
    ),
    "response with an error": (
        Pdu(kind=Kind.RESPONSE, session=5, packet=2, body=Response(error=Error.DUPLICATE_REGISTRATION, index=3)),
        "01121000 00000005 00000000 00000002 00000008 00000000 01070003",
        "01120000 05000000 00000000 02000000 08000000 00000000 07010300",
    ),
}  # fmt: skip


# --- the codec


def test_every_kind_of_pdu_has_a_vector() -> None:
    assert {pdu.kind for pdu, _, _ in BIG_AND_LITTLE.values()} == set(Kind)


@pytest.mark.parametrize("name", BIG_AND_LITTLE)
def test_pdus_both_ways_in_both_byte_orders(name: str) -> None:
    pdu, big, little = BIG_AND_LITTLE[name]
    for order, text in ((">", big), ("<", little)):
        octets = bytes.fromhex(text)
        assert agentx.encode(pdu, order) == octets
        assert agentx.decode(octets) == pdu


@pytest.mark.parametrize(
    ("arcs", "text"),
    [
        ((), "00000000"),
        ((1,), "01000000 00000001"),
        ((1, 3, 6, 1), "04000000 00000001 00000003 00000006 00000001"),
        ((1, 3, 6, 1, 2), "00020000"),
        ((1, 3, 6, 1, 255, 9), "01ff0000 00000009"),
        ((1, 3, 6, 1, 256), "05000000 00000001 00000003 00000006 00000001 00000100"),
        ((1, 3, 6, 1, 0), "05000000 00000001 00000003 00000006 00000001 00000000"),
        ((1, 3, 6, 2, 4), "05000000 00000001 00000003 00000006 00000002 00000004"),
    ],
)
def test_an_oid_under_internet_is_written_shorter(arcs: Oid, text: str) -> None:
    octets = bytes.fromhex(text)
    assert agentx.oid(arcs) == octets
    assert agentx.Reader(octets, ">", 0).oid() == arcs


PING = bytes.fromhex(BIG_AND_LITTLE["ping"][1])
WRONG = {
    "nothing": b"",
    "half a header": PING[:19],
    "another version": b"\x02" + PING[1:],
    "version 0": b"\x00" + PING[1:],
    "a type too high": PING[:1] + b"\x13" + PING[2:],
    "type 0": PING[:1] + b"\x00" + PING[2:],
    "a payload that is too short": PING[:-4],
    "a payload that is too long": PING + bytes(4),
    "a payload of no multiple of four": PING[:16] + b"\0\0\0\3" + PING[20:23],
    "a payload beyond all bounds": PING[:16] + b"\xff\xff\xff\xfc" + PING[20:],
    "a payload just beyond the bound": PING[:16] + agentx.number(agentx.MAX_PAYLOAD + 4) + PING[20:],
    "a context beyond the payload": PING[:20] + b"\0\0\0\1",
    "a context beyond all bounds": PING[:20] + b"\xff\xff\xff\xff",
    "octets behind the end": PING[:16] + b"\0\0\0\x08" + bytes(8),
    "a context where there is none": bytes.fromhex("01091800 00000005 00000001 00000003 00000004 00000000"),
    "a variable of an unknown type": bytes.fromhex("01081000 00000005 00000001 00000003 00000008 00070000 00000000"),
    "an IpAddress of five octets": bytes.fromhex(
        "01081000 00000005 00000001 00000003 00000014 00400000 00000000 00000005 7f000001 01000000"
    ),
    "an OID of 129 arcs": bytes.fromhex("01051000 00000005 00000001 00000003 0000020c 81000000") + bytes(0x208),
    "an OID of 128 arcs and a prefix": bytes.fromhex("01051000 00000005 00000001 00000003 00000208 80040000") + bytes(0x204),
    "a range without an end": bytes.fromhex("01051000 00000005 00000001 00000003 00000004 00000000"),
    "a register of an arc that is not there": bytes.fromhex(
        "01031000 00000009 00000000 00000003 00000014 067f0800 02020000 00000001 000000ec 00000001"
    ),
    "thousands of ranges": bytes.fromhex("01051000 00000005 00000001 00000003 00004008") + bytes(0x4008),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_always_the_same_exception(name: str) -> None:
    with pytest.raises(AgentxError):
        agentx.decode(WRONG[name])


@pytest.mark.parametrize("name", BIG_AND_LITTLE)
def test_truncated_pdus_are_wrong_wherever_they_end(name: str) -> None:
    octets = bytes.fromhex(BIG_AND_LITTLE[name][1])
    for size in range(len(octets)):
        with pytest.raises(AgentxError):
            agentx.decode(octets[:size])


def test_pdus_are_split_wherever_a_read_ends() -> None:
    several = [bytes.fromhex(big) for _, big, _ in BIG_AND_LITTLE.values()]
    stream = b"".join(several)
    for size in (1, 3, 7, 19, 20, 21, 64, len(stream)):
        found, rest = [], b""
        for at in range(0, len(stream), size):
            whole, rest = agentx.split(rest + stream[at : at + size])
            found += whole
        assert (found, rest) == (several, b"")


@pytest.mark.parametrize(
    ("element", "kind", "value", "data"),
    [
        (b"\x02\x01\xff", Type.INTEGER, -1, "ffffffff"),
        (b"\x02\x04\x80\0\0\0", Type.INTEGER, -(2**31), "80000000"),
        (b"\x04\x00", Type.OCTETS, b"", "00000000"),
        (b"\x04\x05hello", Type.OCTETS, b"hello", "00000005 68656c6c 6f000000"),
        (b"\x06\x03\x2b\x06\x01", Type.OID, (1, 3, 6, 1), "04000000 00000001 00000003 00000006 00000001"),
        (b"\x40\x04\x7f\0\0\x01", Type.IP_ADDRESS, b"\x7f\0\0\x01", "00000004 7f000001"),
        (b"\x41\x05\0\xff\xff\xff\xff", Type.COUNTER32, 2**32 - 1, "ffffffff"),
        (b"\x42\x01\x07", Type.GAUGE32, 7, "00000007"),
        (b"\x43\x02\x01\0", Type.TIME_TICKS, 256, "00000100"),
        (b"\x44\x01\x9f", Type.OPAQUE, b"\x9f", "00000001 9f000000"),
        (b"\x46\x09\0\xff\xff\xff\xff\xff\xff\xff\xff", Type.COUNTER64, 2**64 - 1, "ffffffff ffffffff"),
        (b"\x05\x00", Type.NULL, None, ""),
        (b"\x80\x00", Type.NO_SUCH_OBJECT, None, ""),
        (b"\x81\x00", Type.NO_SUCH_INSTANCE, None, ""),
        (b"\x82\x00", Type.END_OF_MIB_VIEW, None, ""),
    ],
)
def test_values_from_and_to_ber(element: bytes, kind: Type, value: Any, data: str) -> None:
    assert agentx.of_element(element) == (kind, bytes.fromhex(data))
    assert agentx.of_pair((1, 3, 6), element) == Binding((1, 3, 6), kind, value)
    back = agentx.to_varbind(Binding((1, 3, 6), kind, value))
    assert back.oid == b"\x2b\x06"
    assert bytes((back.tag, len(back.value))) + back.value == element
    column = Column((1, 3), SCALAR, [(1,)], 0, ber.encode_integer)
    made = agentx_retrieval._converted(element, column)
    assert made == (struct.pack(">HH", kind, 0), bytes.fromhex(data))


@pytest.mark.parametrize("arcs", [(), (1,), (3, 1), (1, 40)])
def test_a_name_that_snmp_cannot_hold_is_wrong(arcs: Oid) -> None:
    with pytest.raises(AgentxError):
        agentx.to_varbind(Binding(arcs, Type.NULL))


# --- a view to answer from


NAMES, NUMBERS, SPARSE, EMPTY, LIVE, ACTIVE = ((*ENTERPRISE, 20, 1, 2, 1, n) for n in (2, 3, 4, 5, 6, 7))
LONG = 3 * PAGE + 17
COUNT_OF_GUESTS = (*VM_MIB, 1, 2)
SYSTEM = (1, 3, 6, 1, 2, 1, 1, 1)


def text(value: str) -> bytes:
    return ber.element(ber.OCTETS, value.encode())


class Cell:
    """A Writer of one column that the agent itself holds."""

    def __init__(self) -> None:
        self.value = 1
        self.taken: list[str] = []
        self.breaks = False

    def writable(self, column: Column, principal: Principal) -> bool:
        return principal.role >= Access.OPERATE

    def steps(self, asks: Sequence[Ask], asker: Asker) -> Sequence[Change]:
        for ask in asks:
            if ask.tag != ber.INTEGER:
                raise Refused(Status.WRONG_TYPE, ask.index, "no INTEGER")
        return [self._change(ask) for ask in asks]

    def _change(self, ask: Ask) -> Change:
        before, wanted = self.value, ber.integer(ask.value)

        def commit() -> None:
            self.taken.append(f"set {wanted}")
            if self.breaks:
                raise Failed("it broke")
            self.value = wanted

        def undo() -> None:
            self.taken.append(f"back to {before}")
            self.value = before

        return Change(index=ask.index, commit=commit, undo=undo)


class Seen(View):
    """A View of which can be told whether anybody still holds it."""

    __slots__ = ("__weakref__",)


def view(rows: int = LONG, cell: Cell | None = None) -> Seen:
    index = RowIndex(tuple((i,) if i % 3 else (i, 70_000) for i in range(1, rows + 1)))
    records = [(f"guest{i}", i * 1000, i if i % 100 == 0 else None, None) for i in range(1, rows + 1)]
    columns = [
        Column(NAMES, index, records, 0, text), Column(NUMBERS, index, records, 1, ber.encode_integer),
        Column(SPARSE, index, records, 2, ber.encode_integer), Column(EMPTY, index, records, 3, text),
        Computed(LIVE, index, lambda row: ber.encode_integer(row)),
        Computed(SYSTEM, SCALAR, lambda _: text("the master's")),
    ]  # fmt: skip
    active = Computed(ACTIVE, SCALAR, lambda _: ber.encode_integer(cell.value if cell else 1))
    active.writer = cell
    guests = Computed(COUNT_OF_GUESTS, SCALAR, lambda _: ber.encode_integer(rows))
    return Seen([*columns, active, guests])


def all_of(shown: View) -> list[tuple[Oid, Any]]:
    """Everything that AgentX should show of a view, in order."""
    out: list[tuple[Oid, Any]] = []
    for column in shown.columns:
        if column.oid != SYSTEM:
            for row, arcs in enumerate(column.index.arcs):
                if element := column.value(row):
                    out.append((column.oid + arcs, agentx.of_pair((1, 3), element).value))
    return out


PRINCIPAL = Principal(name="agentx", role=Access.OPERATE, front_end="agentx")


class Peer:
    """A session, and a master that talks to it without a socket."""

    def __init__(self, *views: Callable[[], View], role: Access = Access.OPERATE, answer: bool = True) -> None:
        names = ("default", "lab", "far")[: len(views)]
        self.retrieval = Retrieval(dict(zip(names, views, strict=True)))
        principal = Principal(name="agentx", role=role, front_end="agentx")
        self.session = Session(
            self.retrieval,
            names,
            principal,
            identity=AGENT,
            description="test",
            capabilities={AGENT: "a test"},
            timeout=6,
        )
        self.number = 77
        self.packet = 1000
        self.opening = self.session.open()
        self.asked: list[Pdu] = []
        if answer:
            self.say(self.answers(self.opening))

    def answers(self, octets: bytes, error: dict[Kind, int] | None = None) -> bytes:
        """What the master says to these PDUs of ours."""
        whole, rest = agentx.split(octets)
        assert not rest
        self.asked += (pdus := [agentx.decode(o) for o in whole])
        return b"".join(
            agentx.encode(
                Pdu(kind=Kind.RESPONSE, session=self.number, packet=p.packet, body=Response(error=(error or {}).get(p.kind, 0)))
            )
            for p in pdus
        )  # fmt: skip

    def say(self, octets: bytes, error: dict[Kind, int] | None = None) -> None:
        """Let the session hear this, and go on answering whatever it asks then."""
        self.session.turn()
        if out := self.session.receive(octets):
            self.say(self.answers(out, error))

    def event(self, kind: type) -> Any:
        (one,) = [e for e in self.session.events if isinstance(e, kind)]
        self.session.events.remove(one)
        return one

    def raw(self, kind: Kind, body: agentx.Body = None, order: str = ">", **more: Any) -> bytes:
        self.packet += 1
        fields = {"session": self.number, "transaction": 5, "packet": self.packet, **more}
        return agentx.encode(Pdu(kind=kind, body=body, **fields), order)

    def ask(self, kind: Kind, body: agentx.Body = None, order: str = ">", turn: bool = True, **more: Any) -> Response:
        """The answer to a request; its header is checked."""
        octets = self.raw(kind, body, order, **more)
        if turn:
            self.session.turn()
        return self.answered(self.session.receive(octets), octets)

    def answered(self, octets: bytes, to: bytes) -> Response:
        pdu, asked = agentx.decode(octets), agentx.header(to)
        assert (pdu.kind, pdu.session, pdu.transaction, pdu.packet) == (
            Kind.RESPONSE, asked.session, asked.transaction, asked.packet,
        )  # fmt: skip
        assert isinstance(pdu.body, Response)
        return pdu.body

    def get(self, *names: Oid, **more: Any) -> list[Binding]:
        return list(self.ask(Kind.GET, Search(ranges=[SearchRange(n) for n in names]), **more).bindings)

    def next(self, *ranges: SearchRange, **more: Any) -> list[Binding]:
        answer = self.ask(Kind.GETNEXT, Search(ranges=ranges), **more)
        assert (answer.error, answer.index) == (0, 0)
        return list(answer.bindings)

    def walk(self, start: Oid = ENTERPRISE, end: Oid = (), **more: Any) -> list[tuple[Oid, Any]]:
        found: list[tuple[Oid, Any]] = []
        while True:
            (one,) = self.next(SearchRange(start, False, end), **more)
            if one.type == Type.END_OF_MIB_VIEW:
                assert one.oid == start
                return found
            found.append((one.oid, one.value))
            start = one.oid

    def set(self, *bindings: Binding, transaction: int = 5, **more: Any) -> Response:
        return self.ask(Kind.TESTSET, Bindings(bindings=bindings), transaction=transaction, **more)


@pytest.fixture(scope="module")
def shown() -> Seen:
    return view()


@pytest.fixture
def peer(shown: Seen) -> Peer:
    return Peer(lambda: shown)


# --- opening


def test_a_session_opens_registers_and_tells_what_it_can(shown: Seen) -> None:
    other = View([c for c in shown.columns if c.oid[:7] == ENTERPRISE])
    peer = Peer(lambda: shown, lambda: other)
    opening, *others = peer.asked
    assert opening.body == Open(timeout=6, identity=AGENT, description=b"test")
    wanted = [
        (None, VM_MIB), (None, ENTERPRISE), (b"default", VM_MIB), (b"default", ENTERPRISE), (b"lab", ENTERPRISE),
    ]  # fmt: skip
    found = [(p.context, p.body.subtree) for p in others if isinstance(p.body, Region)]
    assert found == wanted
    assert all(p.session == 77 for p in others)
    assert [p.body for p in others if p.kind is Kind.ADD_AGENT_CAPS] == [Capabilities(oid=AGENT, description=b"a test")]
    assert len(others) == len(wanted) + 1
    assert {(r.context, r.subtree) for r in peer.session.held} == set(wanted)
    assert peer.event(Ready) == Ready()


def test_nothing_is_registered_twice(peer: Peer) -> None:
    peer.session.turn()
    assert peer.session.tick() == b""
    peer.say(peer.answers(peer.session.tick()))
    kinds = [p.kind for p in peer.asked]
    assert kinds.count(Kind.REGISTER) == 4
    assert kinds[-1] is Kind.PING


@pytest.mark.parametrize("error", [Error.OPEN_FAILED, Error.PARSE_ERROR, 5])
def test_a_session_that_is_not_opened_is_over(shown: Seen, error: int) -> None:
    peer = Peer(lambda: shown, answer=False)
    peer.say(peer.answers(peer.opening, {Kind.OPEN: error}))
    assert "opens no session" in peer.event(Ended).why
    assert peer.session.receive(peer.raw(Kind.GET, Search(ranges=[]))) == b""


def test_a_refused_registration_is_tried_again_and_told_once(shown: Seen) -> None:
    peer = Peer(lambda: shown, answer=False)
    refusing = {Kind.REGISTER: int(Error.DUPLICATE_REGISTRATION)}
    peer.say(peer.answers(peer.opening), refusing)
    peer.event(Ready)
    assert len([e for e in peer.session.events if isinstance(e, Trouble)]) == 4
    peer.session.events.clear()
    again = peer.session.tick()
    peer.say(peer.answers(again, refusing))
    assert [p.kind for p in peer.asked].count(Kind.REGISTER) == 8
    assert peer.session.events == []
    peer.say(peer.answers(peer.session.tick()))
    assert len(peer.session.held) == 4
    assert Registration(context=None, subtree=ENTERPRISE) in peer.session.held


def test_what_is_being_registered_is_not_asked_for_again(shown: Seen) -> None:
    peer = Peer(lambda: shown, answer=False)
    peer.session.turn()
    asked = peer.session.receive(peer.answers(peer.opening))
    assert len(agentx.split(asked)[0]) == 5
    assert peer.session.tick() == b""


def test_a_subtree_that_appears_later_is_registered_then(shown: Seen) -> None:
    now: list[View] = [View([c for c in shown.columns if c.oid[:7] == ENTERPRISE])]
    peer = Peer(lambda: now[0])
    assert {r.subtree for r in peer.session.held} == {ENTERPRISE}
    now[0] = shown
    peer.get((*NAMES, 1))
    peer.say(peer.answers(peer.session.tick()))
    assert {r.subtree for r in peer.session.held} == {ENTERPRISE, VM_MIB}


@pytest.mark.parametrize("kind", [Kind.REGISTER, Kind.ADD_AGENT_CAPS, Kind.PING])
def test_a_master_that_forgot_the_session_ends_it(shown: Seen, kind: Kind) -> None:
    peer = Peer(lambda: shown, answer=False)
    peer.say(peer.answers(peer.opening), {kind: int(Error.NOT_OPEN)})
    if kind is Kind.PING:
        peer.session.tick()
        peer.say(peer.answers(peer.session.tick(), {kind: int(Error.NOT_OPEN)}))
    assert "does not know" in peer.event(Ended).why


def test_refused_capabilities_are_told_and_nothing_more(shown: Seen) -> None:
    peer = Peer(lambda: shown, answer=False)
    peer.say(peer.answers(peer.opening), {Kind.ADD_AGENT_CAPS: int(Error.REQUEST_DENIED)})
    assert "request denied" in peer.event(Trouble).what
    assert peer.get((*NAMES, 1))[0].value == b"guest1"


def test_a_silent_master_is_asked_and_then_given_up(peer: Peer) -> None:
    peer.session.tick()
    assert [agentx.decode(p).kind for p in agentx.split(peer.session.tick())[0]] == [Kind.PING]
    assert peer.session.tick() == b""
    assert "does not answer" in peer.event(Ended).why


def test_a_master_that_never_answers_the_open_is_given_up(shown: Seen) -> None:
    peer = Peer(lambda: shown, answer=False)
    assert peer.session.tick() == b""
    assert "does not answer" in peer.event(Ended).why


def test_answers_to_what_was_not_asked_change_nothing(peer: Peer) -> None:
    peer.session.events.clear()
    for error in (0, int(Error.NOT_OPEN)):
        answer = Pdu(kind=Kind.RESPONSE, session=77, packet=4711, body=Response(error=error))
        assert peer.session.receive(agentx.encode(answer)) == b""
    assert peer.session.events == []


def test_the_master_closes(peer: Peer) -> None:
    peer.session.events.clear()
    assert peer.session.receive(peer.raw(Kind.CLOSE, Close(reason=6))) == b""
    assert "reason 6" in peer.event(Ended).why
    assert peer.session.close() == b""


def test_we_close(peer: Peer) -> None:
    pdu = agentx.decode(peer.session.close())
    assert (pdu.kind, pdu.session, pdu.body) == (Kind.CLOSE, 77, Close(reason=5))
    assert peer.session.notify(Notice(oid=(1, 3, 6))) == b""


# --- answering


def test_get(peer: Peer) -> None:
    found = peer.get(
        (*NAMES, 1), (*NUMBERS, 3, 70_000), (*SPARSE, 1), (*NAMES, 0), NAMES, (*ENTERPRISE, 99), (*SYSTEM, 0), ()
    )
    assert [b.type for b in found] == [
        Type.OCTETS, Type.INTEGER, Type.NO_SUCH_INSTANCE, Type.NO_SUCH_INSTANCE, Type.NO_SUCH_INSTANCE,
        Type.NO_SUCH_OBJECT, Type.NO_SUCH_OBJECT, Type.NO_SUCH_OBJECT,
    ]  # fmt: skip
    assert [b.value for b in found[:2]] == [b"guest1", 3000]
    assert found[7].oid == ()


@pytest.mark.parametrize("turn", [True, False])
@pytest.mark.parametrize("order", [">", "<"])
def test_a_walk_finds_everything_in_order(peer: Peer, shown: Seen, order: str, turn: bool) -> None:
    assert peer.walk((), order=order, turn=turn) == all_of(shown)


def test_walks_in_a_context(shown: Seen) -> None:
    other = view(rows=PAGE)
    peer = Peer(lambda: shown, lambda: other)
    assert peer.walk((), context=b"lab") == all_of(other)
    assert peer.walk((), context=b"default") == all_of(shown)
    assert peer.walk((), context=b"") == all_of(shown)


def test_a_foreseen_search_is_answered_without_being_decoded(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = peer.next(SearchRange(NAMES, False, (*ENTERPRISE[:-1], 36958)))
    monkeypatch.setattr(agentx, "decode", lambda data: pytest.fail("decoded"))
    octets = peer.raw(Kind.GETNEXT, Search(ranges=[SearchRange(one.oid, False, (*ENTERPRISE[:-1], 36958))]))
    answer = peer.session.receive(octets)
    monkeypatch.undo()
    assert peer.answered(answer, octets).bindings == (Binding((*NAMES, 2), Type.OCTETS, b"guest2"),)


def test_a_search_stops_at_its_end(peer: Peer, shown: Seen) -> None:
    everything = all_of(shown)
    for end in (
        (*NAMES, 100),
        (*NAMES, 99, 70_000),
        (*NUMBERS, 257),
        (*NUMBERS, 256, 1),
        SPARSE,
        (*LIVE, 5),
        (*VM_MIB, 9),
    ):
        for start in ((), (*NAMES, 90), (*NUMBERS, 250)):
            assert peer.walk(start, end) == [v for v in everything if start < v[0] < end]


def test_include_means_from_here_on(peer: Peer) -> None:
    here = (*NAMES, 7)
    assert [b.oid for b in peer.next(SearchRange(here, True), SearchRange(here, False))] == [here, (*NAMES, 8)]
    (end,) = peer.next(SearchRange((*ACTIVE, 0), True, (*ACTIVE, 0)))
    assert (end.oid, end.type) == ((*ACTIVE, 0), Type.END_OF_MIB_VIEW)


def test_several_searches_in_one_pdu(peer: Peer, shown: Seen) -> None:
    everything = all_of(shown)
    starts: list[Oid] = [NAMES, (*NUMBERS, 255), SPARSE, (*SPARSE, 700), EMPTY, (*LIVE, 20), (2, 5), NAMES]
    at = list(starts)
    for _ in range(PAGE + 5):
        found = peer.next(*(SearchRange(s) for s in at))
        for i, (start, one) in enumerate(zip(at, found, strict=True)):
            expected = next((v for v in everything if v[0] > start), None)
            if expected is None:
                assert (one.oid, one.type) == (start, Type.END_OF_MIB_VIEW)
            else:
                assert (one.oid, one.value) == expected
            at[i] = one.oid


def test_walks_side_by_side_do_not_disturb_each_other(peer: Peer, shown: Seen) -> None:
    chance = random.Random(3)
    at: list[Oid] = [(), NAMES, (*NAMES, 500), NUMBERS, (*NUMBERS, 200), LIVE]
    everything = all_of(shown)
    for _ in range(1500):
        i = chance.randrange(len(at))
        (one,) = peer.next(SearchRange(at[i]), turn=chance.random() < 0.3)
        expected = next((v for v in everything if v[0] > at[i]), None)
        assert (one.oid, one.value) == (expected or (at[i], None))
        at[i] = one.oid if expected else ()


def test_getbulk(peer: Peer) -> None:
    ranges = [SearchRange((*ACTIVE, 0), True), SearchRange(NAMES), SearchRange((*NUMBERS, LONG - 1), False, SPARSE)]
    body = Search(ranges=ranges, non_repeaters=1, max_repetitions=3)
    for order in ("<", ">"):
        found = peer.ask(Kind.GETBULK, body, order).bindings
        last = (*NUMBERS, LONG)
        assert [b.oid for b in found] == [(*ACTIVE, 0), (*NAMES, 1), last, (*NAMES, 2), last, (*NAMES, 3, 70_000), last]
        assert [b.type for b in found[4::2]] == [Type.END_OF_MIB_VIEW, Type.END_OF_MIB_VIEW]
    assert peer.ask(Kind.GETBULK, Search(ranges=[SearchRange(NAMES)], non_repeaters=4)).bindings[0].oid == (*NAMES, 1)
    assert peer.ask(Kind.GETBULK, Search(ranges=[SearchRange(NAMES)])).bindings == ()


def test_getbulk_is_bounded(peer: Peer) -> None:
    body = Search(ranges=[SearchRange(NAMES)] * 50, max_repetitions=65_535)
    octets = peer.raw(Kind.GETBULK, body)
    assert len(peer.session.receive(octets)) < agentx_retrieval.BULK + 100
    found = peer.ask(Kind.GETBULK, Search(ranges=[SearchRange((2, 5))] * 3, max_repetitions=65_535)).bindings
    assert [b.type for b in found] == [Type.END_OF_MIB_VIEW] * 3


def test_a_new_snapshot_in_the_middle_of_a_walk() -> None:
    now = [view(rows=40), view(rows=60)]
    peer = Peer(lambda: now[0])
    start: Oid = NUMBERS
    for _ in range(20):
        (one,) = peer.next(SearchRange(start))
        start = one.oid
    del now[0]
    rest = peer.walk(start, SPARSE)
    assert [v[0] for v in rest] == [v[0] for v in all_of(now[0]) if start < v[0] < SPARSE]
    assert len(rest) == 40


def test_what_did_not_change_is_not_converted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = view(rows=PAGE)
    second = Seen(first.columns)
    now = [first]
    peer = Peer(lambda: now[0])
    expected = peer.walk(NAMES, NUMBERS)
    now[0] = second
    monkeypatch.setattr(agentx_retrieval, "_converted", lambda element, column: pytest.fail("converted again"))
    assert peer.walk(NAMES, NUMBERS) == expected


def test_live_values_are_live() -> None:
    counted = [0]

    def count(row: int) -> bytes:
        counted[0] += 1
        return ber.encode_integer(counted[0])

    shown = View([Computed(LIVE, RowIndex(tuple((i,) for i in range(40))), count)])
    peer = Peer(lambda: shown)
    values = [v for _, v in peer.walk(LIVE)]
    assert values == sorted(values)
    assert peer.get((*LIVE, 3))[0].value == counted[0]


def test_no_old_snapshot_is_kept() -> None:
    now = [view(rows=PAGE)]
    peer = Peer(lambda: now[0])
    gone = weakref.ref(now[0])
    peer.walk()
    now[0] = view(rows=PAGE)
    peer.walk(NAMES, NUMBERS)
    gc.collect()
    assert gone() is None, "as soon as a new one is asked for"
    gone = weakref.ref(now[0])
    now[0] = view(rows=3)
    peer.session.tick()
    peer.session.tick()
    gc.collect()
    assert gone() is None, "and when nobody asks for a while"
    assert peer.walk() == [v for v in all_of(now[0]) if v[0] > ENTERPRISE]


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agentx_retrieval, "LEAVES", 3)
    monkeypatch.setattr(agentx_retrieval, "CURSORS", 5)
    monkeypatch.setattr(agentx_retrieval, "FRAMES", 2)
    shown = view()
    peer = Peer(lambda: shown)
    assert peer.walk(()) == all_of(shown)
    for i in range(1, 40):
        (one,) = peer.next(SearchRange((*NAMES, i, 80_000), False, (*NAMES, 50 + i)))
        assert one.oid == (*NAMES, i + 1, *(() if (i + 1) % 3 else (70_000,)))
    retrieval = peer.retrieval
    assert (len(retrieval._cursors), len(retrieval._frames), len(retrieval._default.leaves)) <= (5, 2, 3)


def test_a_value_that_cannot_be_shown_costs_that_value_only(caplog: pytest.LogCaptureFixture) -> None:
    index = RowIndex(((1,), (2,), (3,)))
    odd = {0: b"\x02\x01\x01", 1: b"\x02\x09" + b"\xff\x01" * 4 + b"\x01", 2: b"\x30\x00"}
    shown = View([Computed(LIVE, index, odd.__getitem__)])
    assert [n for n, _ in Peer(lambda: shown).walk()] == [(*LIVE, 1)]
    assert set(caplog.messages) == {
        f"{LIVE}: cannot show a value by AgentX: int too big to convert",
        f"{LIVE}: cannot show a value by AgentX: no value of SNMP has the tag 0x30",
    }
    assert [b.type for b in Peer(lambda: shown).get((*LIVE, 1), (*LIVE, 2), (*LIVE, 3))] == [
        Type.INTEGER, Type.NO_SUCH_INSTANCE, Type.NO_SUCH_INSTANCE,
    ]  # fmt: skip


# --- requests that are wrong


def test_requests_outside_the_session_are_told_so(shown: Seen) -> None:
    peer = Peer(lambda: shown)
    search = Search(ranges=[SearchRange(NAMES)])
    for kind in (Kind.GET, Kind.GETNEXT, Kind.GETBULK):
        assert peer.ask(kind, search, session=78).error == Error.NOT_OPEN
    assert peer.ask(Kind.COMMITSET, session=0).error == Error.NOT_OPEN
    assert peer.ask(Kind.GETNEXT, search).bindings[0].oid == (*NAMES, 1)
    early = Peer(lambda: shown, answer=False)
    assert early.ask(Kind.GETNEXT, search).error == Error.NOT_OPEN


def test_an_unknown_context_is_told_so(peer: Peer) -> None:
    search = Search(ranges=[SearchRange(NAMES)])
    for kind in (Kind.GET, Kind.GETNEXT, Kind.GETBULK):
        assert peer.ask(kind, search, context=b"nowhere").error == Error.UNSUPPORTED_CONTEXT
    assert peer.set(Binding((*ACTIVE, 0), Type.INTEGER, 1), context=b"\xff").error == Error.UNSUPPORTED_CONTEXT


def test_a_request_that_cannot_be_read_is_told_so_and_the_session_goes_on(peer: Peer) -> None:
    for data in (
        peer.raw(Kind.GETNEXT, Search(ranges=[SearchRange(NAMES)]))[:-4], peer.raw(Kind.PING, context=b"x") + b"abcd",
        bytes((1, 99, 16, 0)) + peer.raw(Kind.PING)[4:], peer.raw(Kind.GET, Search(ranges=[]))  + bytes(4),
    ):  # fmt: skip
        data = data[:16] + agentx.number(len(data) - 20) + data[20:]
        assert peer.answered(peer.session.receive(data), data).error == Error.PARSE_ERROR
    assert peer.set(Binding((1,), Type.INTEGER, 1)).error == Error.PARSE_ERROR
    assert peer.get((*NAMES, 1))[0].value == b"guest1"


@pytest.mark.parametrize("kind", [Kind.OPEN, Kind.REGISTER, Kind.NOTIFY, Kind.PING, Kind.ADD_AGENT_CAPS])
def test_what_only_a_subagent_sends_is_refused(peer: Peer, kind: Kind) -> None:
    body = next(p.body for p, _, _ in BIG_AND_LITTLE.values() if p.kind is kind)
    assert peer.ask(kind, body).error == Error.PROCESSING_ERROR


def test_a_response_that_cannot_be_read_is_not_answered(peer: Peer) -> None:
    data = agentx.encode(Pdu(kind=Kind.RESPONSE, session=77, packet=1, body=Response()))
    data = data[:16] + agentx.number(4) + data[20:24]
    assert peer.session.receive(data) == b""


def test_a_stream_that_is_no_agentx_has_no_next_pdu(peer: Peer) -> None:
    with pytest.raises(AgentxError):
        peer.session.receive(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


def test_octets_may_come_in_any_pieces(shown: Seen) -> None:
    whole = Peer(lambda: shown)
    requests = b"".join(
        [whole.raw(Kind.GETNEXT, Search(ranges=[SearchRange((*NAMES, i))])) for i in range(1, 9)]
        + [whole.raw(Kind.GET, Search(ranges=[SearchRange((*NAMES, 1))])), whole.raw(Kind.CLEANUPSET)]
    )
    at_once = whole.session.receive(requests)
    assert len(agentx.split(at_once)[0]) == 9
    for size in (1, 7, 20, 63, 100):
        other = Peer(lambda: shown)
        pieces = [other.session.receive(requests[i : i + size]) for i in range(0, len(requests), size)]
        assert b"".join(pieces) == at_once


# --- SET


@pytest.fixture
def cell() -> Cell:
    return Cell()


@pytest.fixture
def writing(cell: Cell) -> Peer:
    shown = view(rows=5, cell=cell)
    return Peer(lambda: shown)


def five(value: int = 5) -> Binding:
    return Binding((*ACTIVE, 0), Type.INTEGER, value)


def carry(peer: Peer, transaction: int = 5) -> tuple[CarryOut, bytes]:
    """Send a CommitSet that is not answered at once; gives what is to be done, and the PDU."""
    octets = peer.raw(Kind.COMMITSET, transaction=transaction)
    assert peer.session.receive(octets) == b""
    return peer.event(CarryOut), octets


def test_a_set_is_tested_carried_out_answered_and_forgotten(writing: Peer) -> None:
    assert writing.set(five()) == Response()
    event, octets = carry(writing)
    assert [s.index for s in event.setting.steps] == [1]
    assert event.setting.asker.hypervisor == "default"
    assert event.setting.asker.principal == PRINCIPAL
    answer = writing.session.carried_out(5, Status.NO_ERROR, 0)
    assert writing.answered(answer, octets) == Response()
    assert writing.session.receive(writing.raw(Kind.CLEANUPSET)) == b""
    assert writing.ask(Kind.COMMITSET).error == Status.COMMIT_FAILED


@pytest.mark.parametrize(
    ("binding", "status"),
    [
        (Binding((*ACTIVE, 0), Type.OCTETS, b"5"), Status.WRONG_TYPE),
        (Binding((*NAMES, 1), Type.OCTETS, b"other"), Status.NOT_WRITABLE),
        (Binding((*ENTERPRISE, 99), Type.INTEGER, 1), Status.NOT_WRITABLE),
        (Binding((*SYSTEM, 0), Type.OCTETS, b"ours?"), Status.NOT_WRITABLE),
    ],
)
def test_a_refused_set_says_why_and_which(writing: Peer, binding: Binding, status: Status) -> None:
    before = [] if status is Status.WRONG_TYPE else [five()]
    answer = writing.set(*before, binding)
    assert (answer.error, answer.index) == (status, len(before) + 1)
    refusal = writing.event(Refusal)
    assert (refusal.target, refusal.reason.partition(":")[0]) == (".".join(map(str, binding.oid)), status.label)
    assert writing.ask(Kind.COMMITSET).error == Status.COMMIT_FAILED
    assert writing.ask(Kind.UNDOSET).error == 0


def test_an_observer_may_not_write(cell: Cell) -> None:
    shown = view(rows=1, cell=cell)
    peer = Peer(lambda: shown, role=Access.OBSERVE)
    assert peer.set(five()).error == Status.NO_ACCESS


def test_a_set_that_is_sent_again_is_done_once(writing: Peer) -> None:
    for _ in range(3):
        assert writing.set(five()) == Response()
    _, octets = carry(writing)
    assert writing.session.receive(octets) == b"", "while it is being carried out"
    again = writing.raw(Kind.COMMITSET)
    assert writing.session.receive(again) == b""
    assert not [e for e in writing.session.events if isinstance(e, CarryOut)]
    answer = writing.session.carried_out(5, Status.COMMIT_FAILED, 1)
    assert writing.answered(answer, again) == Response(error=Status.COMMIT_FAILED, index=1), "the newest is waiting"
    assert writing.ask(Kind.COMMITSET) == Response(error=Status.COMMIT_FAILED, index=1)
    assert writing.set(five(7)) == Response(), "too late to test something else"
    assert not [e for e in writing.session.events if isinstance(e, CarryOut)]


def test_another_test_of_the_same_transaction_counts_until_it_is_committed(writing: Peer) -> None:
    assert writing.set(Binding((*ACTIVE, 0), Type.OCTETS, b"")).error == Status.WRONG_TYPE
    assert writing.set(five()) == Response()
    carry(writing)


def test_undo(writing: Peer) -> None:
    writing.set(five())
    carry(writing)
    writing.session.carried_out(5, Status.NO_ERROR, 0)
    octets = writing.raw(Kind.UNDOSET)
    assert writing.session.receive(octets) == b""
    assert writing.session.receive(octets) == b""
    assert writing.event(TakeBack).transaction == 5
    assert writing.answered(writing.session.taken_back(5, True), octets) == Response()
    assert writing.ask(Kind.UNDOSET) == Response()


def test_an_undo_that_fails(writing: Peer) -> None:
    writing.set(five())
    carry(writing)
    writing.session.carried_out(5, Status.NO_ERROR, 0)
    octets = writing.raw(Kind.UNDOSET)
    writing.session.receive(octets)
    assert writing.answered(writing.session.taken_back(5, False), octets).error == Status.UNDO_FAILED


def test_an_undo_before_the_end_waits_for_it(writing: Peer) -> None:
    writing.set(five())
    carry(writing)
    octets = writing.raw(Kind.UNDOSET)
    assert writing.session.receive(octets) == b""
    assert not [e for e in writing.session.events if isinstance(e, TakeBack)]
    assert writing.session.carried_out(5, Status.NO_ERROR, 0)
    assert writing.event(TakeBack).setting.steps
    assert writing.answered(writing.session.taken_back(5, True), octets) == Response()


def test_unknown_transactions(writing: Peer) -> None:
    assert writing.ask(Kind.COMMITSET, transaction=9).error == Status.COMMIT_FAILED
    assert writing.ask(Kind.UNDOSET, transaction=9).error == Status.UNDO_FAILED
    assert writing.session.receive(writing.raw(Kind.CLEANUPSET, transaction=9)) == b""
    assert writing.session.carried_out(9, Status.NO_ERROR, 0) == b""
    assert writing.session.taken_back(9, True) == b""


def test_a_set_that_was_not_committed_has_nothing_to_undo(writing: Peer) -> None:
    writing.set(five())
    assert writing.ask(Kind.UNDOSET) == Response()


def test_after_the_session_nothing_is_answered(writing: Peer) -> None:
    writing.set(five())
    carry(writing)
    writing.session.receive(writing.raw(Kind.CLOSE, Close(reason=1)))
    assert writing.session.carried_out(5, Status.NO_ERROR, 0) == b""


def test_transactions_are_bounded(writing: Peer) -> None:
    for number in range(200):
        assert writing.set(five(), transaction=number) == Response()
    assert writing.ask(Kind.COMMITSET, transaction=0).error == Status.COMMIT_FAILED
    carry(writing, transaction=199)


# --- notifications


def test_a_notice_is_a_notify(peer: Peer, shown: Seen) -> None:
    notice = Notice(oid=(1, 3, 6, 9), varbinds=[((*NAMES, 1), text("guest1"))])
    pdu = agentx.decode(peer.session.notify(notice))
    assert (pdu.kind, pdu.session, pdu.context) == (Kind.NOTIFY, 77, None)
    assert pdu.body == Bindings(
        bindings=(
            Binding((1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0), Type.OID, (1, 3, 6, 9)),
            Binding((*NAMES, 1), Type.OCTETS, b"guest1"),
        )
    )
    two = Peer(lambda: shown, lambda: shown)
    contexts = [
        agentx.decode(two.session.notify(Notice(oid=(1, 3, 6, 9), hypervisor=h))).context
        for h in (None, "default", "lab")
    ]
    assert contexts == [None, None, b"lab"]


def test_there_is_no_notify_without_a_session(shown: Seen) -> None:
    assert Peer(lambda: shown, answer=False).session.notify(Notice(oid=(1, 3, 6, 9))) == b""


# --- the connection


@pytest.mark.parametrize(
    "text", ["", "unix:", "tcp:", "tcp:host", "tcp:host:", "tcp:host:0", "tcp:host:70000", "udp:h:1", "/x"]
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError):
        Address(text)


def test_addresses() -> None:
    assert Address("unix:/run/a:b").path == "/run/a:b"
    assert (Address("tcp:localhost:705").host, Address("tcp:[::1]:705").host) == ("localhost", "::1")
    assert Address("tcp:[::1]:705").port == 705


class FakeMaster:
    """A master on a unix socket, whose answers a test decides. `talks` is run for each connection."""

    def __init__(self, folder: Path) -> None:
        self.address = f"unix:{folder / 'master'}"
        self.path = folder / "master"
        self.connections = 0
        self.seen: list[Pdu] = []
        self.writer: asyncio.StreamWriter
        self._server: asyncio.Server | None = None
        self.first: list[bytes] = []
        """What the first connections get instead of answers; they are closed then."""

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._talk, self.path)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            if self.connections:
                self.writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writer = writer
        rest = b""
        while data := await reader.read(65536):
            if self.first:
                writer.write(self.first.pop(0))
                writer.close()
                return
            whole, rest = agentx.split(rest + data)
            for octets in whole:
                pdu = agentx.decode(octets)
                self.seen.append(pdu)
                if pdu.kind is not Kind.RESPONSE:
                    self.say(Kind.RESPONSE, Response(), packet=pdu.packet)
        writer.close()

    def say(self, kind: Kind, body: agentx.Body = None, **more: Any) -> None:
        self.writer.write(agentx.encode(Pdu(kind=kind, session=4, body=body, **more)))

    def count(self, kind: Kind) -> int:
        return sum(pdu.kind is kind for pdu in self.seen)

    def answers(self) -> dict[int, Response]:
        """The answers of the subagent, by their packets."""
        return {p.packet: p.body for p in self.seen if isinstance(p.body, Response)}


@asynccontextmanager
async def connected(
    *first: bytes, started: bool = True, **options: Any
) -> AsyncIterator[tuple[FakeMaster, Subagent, Any]]:
    """A whole agent, a master, and the subagent between both."""
    folder = Path(tempfile.mkdtemp(prefix="ax-"))
    fake = FakeMaster(folder)
    fake.first = list(first)
    timing = {"ping": 5.0, "first_retry": 0.01, "last_retry": 0.05, **options}
    async with world("fake:///?domains=4") as ours:
        subagent = Subagent(ours.engine, ours.operations, fake.address, Access.OPERATE, **timing)
        try:
            if started:
                await fake.start()
            subagent.start()
            yield fake, subagent, ours
        finally:
            await subagent.stop()
            await fake.stop()
            shutil.rmtree(folder)


HOSTILE = {
    "nothing": b"",
    "garbage": b"\xde\xad\xbe\xef" * 50,
    "zeroes": bytes(4096),
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "an endless PDU": b"\x01\x12\x10\x00" + bytes(12) + b"\xff\xff\xff\xfc" + bytes(1000),
    "half a PDU": bytes.fromhex("01121000 00000005 00000000 00000001 00000100 00000000"),
    "a refused open": agentx.encode(Pdu(kind=Kind.RESPONSE, packet=1, body=Response(error=Error.OPEN_FAILED))),
    "an open without an answer in it": bytes.fromhex("01121000 00000005 00000000 00000001 00000000"),
    "a close": agentx.encode(Pdu(kind=Kind.CLOSE, body=Close(reason=1))),
    "requests before the session": agentx.encode(Pdu(kind=Kind.GETNEXT, session=3, body=Search(ranges=[]))) * 20,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_master_is_left_and_tried_again(name: str) -> None:
    @looped
    async def run() -> None:
        async with connected(HOSTILE[name], HOSTILE[name]) as (master, subagent, _):
            await asyncio.wait_for(subagent.registered.wait(), 10)
            assert master.connections == 3
            assert master.count(Kind.REGISTER) == len(
                {(p.context, p.body) for p in master.seen if p.kind is Kind.REGISTER}
            )

    run()


@looped
async def test_the_socket_may_come_later_and_go_again() -> None:
    async with connected(started=False) as (master, subagent, _):
        await until(lambda: subagent._task is not None and not subagent._task.done())
        assert not subagent.notify(Notice(oid=(1, 3, 6, 9)))
        await master.start()
        await asyncio.wait_for(subagent.registered.wait(), 10)
        first = master.count(Kind.REGISTER)
        master.writer.close()
        await until(lambda: master.connections == 2 and subagent.registered.is_set(), "another session")
        assert master.count(Kind.REGISTER) == 2 * first
        assert subagent.notify(Notice(oid=(1, 3, 6, 9)))
        await until(lambda: master.count(Kind.NOTIFY), "the notification")


@looped
async def test_garbage_in_a_session_ends_it_with_a_close() -> None:
    async with connected() as (master, subagent, _):
        await asyncio.wait_for(subagent.registered.wait(), 10)
        master.writer.write(b"\x07" * 40)
        await until(lambda: master.connections == 2 and subagent.registered.is_set(), "another session")
        assert [p.body for p in master.seen if p.kind is Kind.CLOSE] == [Close(reason=2)]


@looped
async def test_stop_says_good_bye() -> None:
    async with connected() as (master, subagent, _):
        await asyncio.wait_for(subagent.registered.wait(), 10)
        await subagent.stop()
        await until(lambda: master.count(Kind.CLOSE), "the close")
        assert [p.body for p in master.seen if p.kind is Kind.CLOSE] == [Close(reason=5)]


@looped
async def test_a_silent_master_is_pinged_and_one_that_is_dead_is_left() -> None:
    async with connected(ping=0.05) as (master, _subagent, _):
        await until(lambda: master.count(Kind.PING) >= 2, "pings")
        assert master.connections == 1
        master.say = lambda *_, **__: None  # type: ignore[method-assign]
        await until(lambda: master.connections >= 2, "another connection")


@looped
async def test_many_requests_at_once_are_all_answered() -> None:
    async with connected() as (master, subagent, _ours):
        await asyncio.wait_for(subagent.registered.wait(), 10)
        for packet in range(1000, 4000):
            master.say(Kind.GETNEXT, Search(ranges=[SearchRange((*DOMAIN_ENTRY, 4))]), packet=packet)
        await until(lambda: len(master.answers()) == 3000, "all answers")
        expected = Binding((*DOMAIN_ENTRY, 4, 1), Type.OCTETS, b"guest1")
        assert all(a.bindings == (expected,) for a in master.answers().values())


@looped
async def test_reading_goes_on_while_a_set_is_carried_out() -> None:
    suspend = Binding((*DOMAIN_ENTRY, 3, 1), Type.INTEGER, 6)
    async with connected() as (master, subagent, ours):
        await asyncio.wait_for(subagent.registered.wait(), 10)
        ours.fake.hang("guest1")
        master.say(Kind.TESTSET, Bindings(bindings=[suspend]), transaction=8, packet=1001)
        master.say(Kind.COMMITSET, transaction=8, packet=1002)
        master.say(Kind.GET, Search(ranges=[SearchRange((*DOMAIN_ENTRY, 4, 2))]), packet=1003)
        await until(lambda: 1003 in master.answers(), "the answer to the Get")
        assert master.answers()[1001] == Response()
        assert 1002 not in master.answers()
        ours.fake.release()
        await until(lambda: 1002 in master.answers(), "the answer to the CommitSet")
        assert master.answers()[1002] == Response()
        assert len(ours.fake.performed) == 1
        master.say(Kind.UNDOSET, transaction=8, packet=1004)
        await until(lambda: 1004 in master.answers(), "the answer to the UndoSet")
        assert [type(o).__name__ for o, _ in ours.fake.performed] == ["Suspend", "Resume"]


@looped
async def test_a_set_whose_session_is_lost_is_finished_and_forgotten() -> None:
    suspend = Binding((*DOMAIN_ENTRY, 3, 1), Type.INTEGER, 6)
    async with connected() as (master, subagent, ours):
        await asyncio.wait_for(subagent.registered.wait(), 10)
        ours.fake.hang("guest1")
        master.say(Kind.TESTSET, Bindings(bindings=[suspend]), transaction=8, packet=1001)
        master.say(Kind.COMMITSET, transaction=8, packet=1002)
        await until(lambda: 1001 in master.answers(), "the answer to the TestSet")
        master.writer.close()
        await until(lambda: master.connections == 2 and subagent.registered.is_set(), "another session")
        ours.fake.release()
        await until(lambda: ours.fake.performed, "the operation")
        master.say(Kind.COMMITSET, transaction=8, packet=2002)
        await until(lambda: 2002 in master.answers(), "an answer")
        assert master.answers()[2002].error == Status.COMMIT_FAILED
        assert len(ours.fake.performed) == 1


@looped
async def test_a_master_that_does_not_read_does_not_fill_our_memory() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        shown = view()
        peer = Peer(lambda: shown)
        link = Link(ours, peer.session, lambda event: None)
        one = peer.raw(Kind.GETBULK, Search(ranges=[SearchRange(NAMES)], max_repetitions=500))
        requests, asked, refused = one * 1000, 0, 0
        while refused < 50:
            try:
                asked += theirs.send(requests[asked:] or one)
            except BlockingIOError:
                refused += 1
                await asyncio.sleep(0)
        assert len(link._unsent) < 1 << 20, "what is not read by the master is not made"
        rest, answers = b"", 0
        while answers < asked // len(one):
            whole, rest = agentx.split(rest + await asyncio.get_running_loop().sock_recv(theirs, 1 << 20))
            answers += len(whole)
        assert not link.ended.done()
        link.close()


def test_the_engine_is_all_that_is_needed() -> None:
    shown = view(rows=1)
    engine = SimpleNamespace(contexts={"one": SimpleNamespace(view=lambda: shown)})
    assert not Subagent(engine, None, "unix:/nowhere").registered.is_set()  # type: ignore[arg-type]
