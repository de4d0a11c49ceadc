"""Coverage-guided fuzzing of the SNMP engine, all versions, and also inside of what is signed and encrypted.

The invariant: whatever octets arrive, `receive` gives None, a well-formed message within the size limit, or a Setting, and
never raises; counters never decrease; what is remembered stays bounded; the quick ways of parsing give what the thorough
ones give; and the same engine still answers a good GET afterwards.

Inputs that reach an edge between lines of agent/snmp that none reached before are kept and mutated further, as `guided`
does it. For a long search, which adds to the corpus what it finds:

    python -m tests.fuzz.campaign 600
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import agent.snmp
from agent.errors import VirtmapError
from agent.schema.declare import Access
from agent.snmp import message, message3, usm
from agent.snmp.ber import BerError
from agent.snmp.message import Status
from agent.snmp.security import Certificate
from agent.snmp.setting import Change, Setting
from tests import wire, wire3
from tests.agents import DOMAIN_ENTRY, ENGINE_ID, World, world
from tests.fuzz import guided, protos
from tests.fuzz.guided import Violation, covered, octets
from tests.peers.odd_requests import every
from tests.peers.oracle import ANN, EVE, USERS
from tests.peers.same_security import security

__all__ = [
    "CORPUS", "DATAGRAM", "FOUND", "LIMITS", "LONGEST", "PEER", "TRUSTED", "WITHIN", "Input", "Search", "Target",
    "Violation", "covered", "read", "seeds", "well_formed",
]  # fmt: skip

T = TypeVar("T")

CORPUS = Path(__file__).with_name("corpus") / "engine.txt"
"""What the search has found to be worth keeping."""
FOUND = CORPUS.with_name("found.txt")
"""What once broke the invariant; written by hand."""
SOURCES = str(Path(agent.snmp.__file__).parent)

PEER = wire3.Peer(engine=ENGINE_ID, boots=1, time=0)
FINGERPRINT = "ab" * 32
LIMITS = (65_507, 1472, 484)
REMEMBERED = 5000
"""More entries than any memory of the engine is to have."""
LONGEST = 3000

DATAGRAM, WITHIN, TRUSTED = "datagram", "within", "trusted"
"""What the octets of an input are: a datagram; a scoped PDU, to be signed and encrypted; a message that TLS protected."""


@dataclasses.dataclass(frozen=True)
class Input:
    """Octets, the way they take, and the size that the transport can take back."""

    way: str
    limit: int
    data: bytes

    def line(self) -> str:
        return f"{self.way} {self.limit} {self.data.hex()}"

    @classmethod
    def of_line(cls, line: str) -> Input:
        way, limit, *data = line.split()
        return cls(way, int(limit), bytes.fromhex("".join(data)))

    def octets(self) -> bytes:
        return wire3.message(ANN, PEER, b"", plain=self.data) if self.way == WITHIN else self.data


class Target:
    """An engine, whose loop turns only while it is made and taken down."""

    sources = SOURCES

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        given = security()
        given["certificates"] = [Certificate(fingerprint=FINGERPRINT, name="machine", role=Access.OPERATE)]
        self._context = world("fake:///?domains=3&seed=3", security=given)
        self.world: World = self._loop.run_until_complete(self._context.__aenter__())
        self.engine = self.world.engine
        self._usual = message3.usual(ENGINE_ID, PEER.boots)
        self._counted = self._counters()

    def close(self) -> None:
        self._loop.run_until_complete(self._context.__aexit__(None, None, None))
        self._loop.close()

    def _counters(self) -> list[int]:
        told = dataclasses.asdict(self.engine.statistics)
        return [*told.values(), *self.engine.usm.counters.values()]

    def run(self, one: Input) -> None:
        """Hold the invariant against one input."""
        data = one.octets()
        try:
            self._same(data)
            if one.way != TRUSTED:
                self._familiar(data, one.limit)
            self._answered(one, data)
        except Exception as error:
            raise Violation(f"{type(error).__name__}: {error}; input: {one.line()}") from error
        counted = self._counters()
        if any(new < old for old, new in zip(self._counted, counted, strict=True)):
            raise Violation(f"a counter decreased; input: {one.line()}")
        self._counted = counted

    def _answered(self, one: Input, data: bytes) -> None:
        certificate = FINGERPRINT if one.way == TRUSTED else None
        answer = self.engine.receive(data, "127.0.0.1", 40_000, largest=one.limit, certificate=certificate)
        if isinstance(answer, Setting):
            answer = self._finished(answer, len(data))
        if answer is not None:
            assert len(answer) <= one.limit, f"{len(answer)} octets where {one.limit} are taken"
            well_formed(answer)

    def _finished(self, setting: Setting, chance: int) -> bytes:
        """Its answer; changes of the agent itself are made and taken back, operations of the hypervisor left alone."""
        for step in setting.steps:
            assert step.index >= 1
            if isinstance(step, Change):
                try:
                    step.commit()
                except VirtmapError:
                    continue
                if step.undo is not None:
                    step.undo()
        failed = setting.steps[0].index
        return self.engine.finish(setting, *((Status.NO_ERROR, 0) if chance % 2 else (Status.COMMIT_FAILED, failed)))

    def _same(self, data: bytes) -> None:
        """What is parsed quickly is parsed as thoroughly."""
        quick = message.plain(data)
        assert quick is None or quick == message.parse_any(data)
        usual = _parsed(self._usual, data)
        if usual is None:
            return
        assert usual == _parsed(message3.parse, data)
        if not isinstance(usual, message3.Message):
            return
        try:
            pdu = self.engine.usm.open(usual, self.engine.time()).scoped.pdu
        except (usm.Refused, BerError):
            return
        shortened = message.plain_pdu(pdu, 0, len(pdu), 3)
        assert shortened is None or shortened == message.pdu(pdu, 0, len(pdu), 3)

    def _familiar(self, data: bytes, limit: int) -> None:
        """What looks like a message before gets the answer that it would get had there been none."""
        quick = _parsed(lambda octets: self.engine._from_familiar(octets, "127.0.0.1", limit), data)
        if quick is None:
            return
        slow = _parsed(lambda octets: self.engine._version_3(octets, "127.0.0.1", 40_000, limit), data)
        if isinstance(quick, bytes):
            assert isinstance(slow, bytes)
            assert _said(quick) == _said(slow)
        else:
            assert slow is BerError

    def sane(self) -> None:
        """A good GET is answered, and nothing has grown beyond its bounds."""
        for version in (0, 1):
            asked = wire.get(protos.SYS_DESCR, request=77, version=version)
            answer = wire.answered(self.engine.receive(asked, "127.0.0.1"), version)
            assert (answer.request, answer.error, answer.tags) == (77, (0, 0), [wire.OCTETS])
        told = self.engine.receive(wire3.message(ANN, PEER, wire3.get(protos.SYS_DESCR)), "127.0.0.1")
        assert wire3.answered(told, ANN).answer.error == (0, 0)
        for holder in (self.engine, self.engine.usm, *_own(self.engine)):
            for name, value in _attributes(holder):
                if hasattr(value, "__len__"):
                    assert len(value) <= REMEMBERED, f"{type(holder).__name__}.{name} has {len(value)} entries"
        assert not self.engine._under_way


def _parsed(parse: Callable[[bytes], T], data: bytes) -> T | type[BerError]:
    """What is parsed, or BerError if nothing can be."""
    try:
        return parse(data)
    except BerError:
        return BerError


def _own(holder: object) -> list[object]:
    """The objects of agent.snmp that an object holds."""
    return [value for _, value in _attributes(holder) if type(value).__module__.startswith("agent.snmp")]


def _attributes(holder: object) -> Iterator[tuple[str, Any]]:
    for name in getattr(holder, "__dict__", {}):
        yield name, getattr(holder, name)


def well_formed(data: bytes) -> None:
    """AssertionError unless the octets are one message of SNMP. What it echoes need not have minimal lengths."""

    def parts(contents: bytes, *tags: int | None) -> list[bytes]:
        found: list[bytes] = []
        for tag in tags:
            _, inner, contents = wire.taken(contents, tag, minimal=False)
            found.append(inner)
        assert not contents, f"{len(contents)} octets too many"
        return found

    (inner,) = parts(data, 0x30)
    if inner[:3] == b"\x02\x01\x03":
        _, header, _, body = parts(inner, 2, 0x30, 4, None)
        _, _, flags, _ = parts(header, 2, 2, 4, 2)
        if flags[0] & 2 and header[-1] == wire3.USM:
            body = wire.taken(_said(data).plain, 0x30, minimal=False)[1]
        _, _, answer = parts(body, 4, 4, None)
        kind = wire.taken(body, 4)[2]
        kind = wire.taken(kind, 4)[2]
    else:
        version, _, answer = parts(inner, 2, 4, None)
        assert version in (b"\0", b"\1")
        kind = wire.taken(wire.taken(inner)[2])[2]
    assert kind[0] in (wire.RESPONSE, wire.REPORT)
    request, status, index, listed = parts(answer, 2, 2, 2, 0x30)
    assert request
    assert 0 <= wire.whole(status) <= 18
    count = 0
    while listed:
        _, one, listed = wire.taken(listed, 0x30, minimal=False)
        name, _ = parts(one, 6, None)
        wire.arcs(name)
        count += 1
    assert 0 <= wire.whole(index) <= count


def _said(data: bytes) -> wire3.Opened:
    return wire3.opened(data, _user(data))


def _user(data: bytes) -> wire3.User | None:
    name = wire3.answered_user(data)
    return next((u for u in USERS if u.name == name), None)


# --- inputs


LONG_NAMED = [wire3.get((1, 3, *range(size)), request=7) for size in (90, 105, 106, 107, 108, 109, 110, 115)]
"""Around the size at which a length takes another octet."""


def seeds() -> list[Input]:
    """Ordinary and odd requests of all versions, and of each way."""
    subject = _Roles()
    out = [Input(DATAGRAM, LIMITS[0], data) for case in every().values() for data in case(subject)]  # type: ignore[arg-type]
    for pdu in (*protos.pdus().values(), wire3.get(protos.SYS_DESCR), wire3.get((1, 3), tag=wire.GETNEXT), *LONG_NAMED):
        plain = wire3.scoped(pdu, PEER.engine)
        out.append(Input(WITHIN, LIMITS[0], plain))
        trusted = wire3.Message(user=EVE, peer=PEER, pdu=pdu, model=4, level=0).build()
        out.append(Input(TRUSTED, LIMITS[0], _without_parameters(trusted)))
    return [one for one in out if len(one.data) <= LONGEST]


def _without_parameters(data: bytes) -> bytes:
    """A message of version 3 with empty security parameters."""
    apart = protos.taken_apart(data)
    parts = list(apart.parts)
    parts[2] = protos.Element(wire.OCTETS, b"")
    return dataclasses.replace(apart, parts=tuple(parts)).encoded()


class _Roles:
    """What the requests ask of an agent that is not running."""

    peer = PEER
    wide = wire.oid("1.3.6.1.4.1.36957.20.1.1.11.0")
    wide_column = wide[:-1]
    last = wire.oid("1.3.6.1.6.3.16.1.5.2.1.6.1.97.1.1")
    lock = wire.oid("1.3.6.1.6.3.1.1.6.1.0")

    def locked(self) -> int:
        return 1


class Mutator:
    """Makes inputs of inputs."""

    def __init__(self, chance: random.Random, known: Sequence[Input]) -> None:
        self._chance = chance
        self._known = known

    def mutated(self, one: Input) -> Input:
        chance = self._chance
        data = one.data
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            data = (self._element if chance.random() < 0.6 else self._octets)(data)
        limit = chance.choice(LIMITS) if chance.random() < 0.1 else one.limit
        return Input(one.way, limit, data[:LONGEST])

    def _element(self, data: bytes) -> bytes:
        """One element changed, the lengths around it put right."""
        try:
            whole = protos.taken_apart(data)
        except AssertionError:
            return self._octets(data)
        return self._within(whole)

    def _within(self, element: protos.Element) -> bytes:
        chance = self._chance
        if element.parts and chance.random() < 0.8:
            at = chance.randrange(len(element.parts))
            parts = [p.encoded() for p in element.parts]
            parts[at] = self._within(element.parts[at])
            return wire.tlv(element.tag, b"".join(parts))
        match chance.randrange(10):
            case 0:
                return wire.tlv(element.tag, chance.choice((*protos.INTEGERS, *protos.STRINGS, *protos.OIDS))[:400])
            case 1:
                return bytes([chance.choice(protos.TAGS)]) + element.encoded()[1:]
            case 2:
                return element.encoded()[:1] + chance.choice(protos.LENGTHS) + element.inner()
            case 3:
                return b""
            case 4:
                return element.encoded() * chance.choice((2, 3, 20))
            case 5:
                return wire.name(chance.choice(NAMES))
            case 6:
                return wire.number(chance.choice((0, 1, 2, 3, 127, 484, 2**31 - 1, -1, chance.randrange(2**16))))
            case 7:
                return bytes([element.tag, len(element.inner()) & 0xFF]) + element.inner()
        return wire.tlv(element.tag, self._octets(element.inner()))

    def _octets(self, data: bytes) -> bytes:
        return octets(self._chance, data, TELLING, lambda: self._chance.choice(self._known).data)


TELLING = (0, 1, 2, 4, 5, 6, 0x30, 0x7F, 0x80, 0x81, 0x82, 0xA0, 0xFF)
"""Tags and lengths."""

NAMES = (
    (1, 3), (2, 999), protos.SYS_DESCR, protos.CONTACT, _Roles.wide, _Roles.lock, (*DOMAIN_ENTRY, 6), (*DOMAIN_ENTRY, 6, 1),
    (*DOMAIN_ENTRY, 9, 2), (*DOMAIN_ENTRY, 1021, 1), wire.oid("1.3.6.1.2.1.11.30.0"),
    wire.oid("1.3.6.1.6.3.16.1.5.2.1.4"), (1, 3, *[2**32 - 1] * 20),
)  # fmt: skip


# --- the search


class Search(guided.Search[Input]):
    """A search through the engine."""

    def __init__(self, target: Target, chance: random.Random, corpus: list[Input]) -> None:
        super().__init__(target, chance, corpus, mutator)


def mutator(chance: random.Random, known: Sequence[Input]) -> guided.Mutate[Input]:
    return Mutator(chance, known).mutated


def read(path: Path = CORPUS) -> list[Input]:
    """The inputs in a file; lines that start with # are comments."""
    return guided.read(path, Input.of_line)


CAMPAIGN = guided.Campaign(
    corpus=CORPUS,
    heading="# Inputs of tests/fuzz/campaign.py, which found them: way, limit, octets.",
    of_line=Input.of_line,
    seeds=seeds,
    target=Target,
    mutator=mutator,
)


if __name__ == "__main__":
    CAMPAIGN.run(float(sys.argv[1]), guided.seed_of(sys.argv[2:]))
