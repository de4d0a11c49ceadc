"""The quick ways of the engine say what the slow ones say: messages that are compared instead of parsed, and parsed at a
glance instead of element by element."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from agent.schema.declare import Access
from agent.snmp import familiar, message3
from agent.snmp.ber import BerError
from agent.snmp.message import VERSION_3, parse_any, pdu, plain, plain_pdu
from agent.snmp.protection import SHORT, AesPrivacy
from agent.snmp.security import Security
from agent.snmp.setting import Setting
from tests import wire, wire3
from tests.agents import DOMAIN_ENTRY, ENGINE_ID, World, looped, world
from tests.askers import ACCOUNTS, ANN, BOB, EVE, RITA, SECURITY, Asker, account, bulk, setting
from tests.wire import number, oid, text, tlv

SYS_NAME, SYS_UP_TIME = oid("1.3.6.1.2.1.1.5.0"), oid("1.3.6.1.2.1.1.3.0")
FUZZ = settings(
    max_examples=1500, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
Edits = list[tuple[int, int, int]]
edited = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 400), st.integers(0, 255)), max_size=4)
"""What is done to octets: one changed, put in, or taken out, at a place."""


def edit(seed: bytes, edits: Edits) -> bytes:
    data = bytearray(seed)
    for kind, place, octet in edits:
        at = place % (len(data) + 1)
        if kind == 0 and at < len(data):
            data[at] = octet
        elif kind == 1:
            data.insert(at, octet)
        elif kind == 2 and at < len(data):
            del data[at]
    return bytes(data)


def agree(quick: Callable[[bytes], Any], slow: Callable[[bytes], Any], data: bytes) -> None:
    """The quick way gives nothing, or what the slow way gives; it raises a BerError where that does, too."""
    try:
        found = quick(data)
    except BerError:
        with pytest.raises(BerError):
            slow(data)
        return
    assert found is None or found == slow(data)


# --- messages with a community

NAMES = st.sampled_from([SYS_NAME, (1, 3), (*DOMAIN_ENTRY, 4, 1), (1, 3, *([2**32 - 1] * 14)), (0, 0)])
small = st.one_of(st.integers(-3, 3), st.sampled_from([127, 128, -128, -129, 255, 2**15, 2**31 - 1, -(2**31), 2**31]))
pdus = st.builds(
    lambda tag, names, request, first, second: wire3.pdu(
        tag, map(wire.binding, names), request=request, first=first, second=second
    ),
    st.integers(0xA0, 0xA9), st.lists(NAMES, min_size=1, max_size=2), small, small, small,
)  # fmt: skip
plain_messages = st.builds(
    lambda version, community, inner: tlv(0x30, number(version) + text(community) + inner),
    st.integers(0, 3), st.binary(max_size=140), pdus,
)  # fmt: skip


@FUZZ
@given(plain_messages, edited)
def test_a_plain_message_is_what_parsing_finds(seed: bytes, edits: Edits) -> None:
    agree(plain, parse_any, edit(seed, edits))


@FUZZ
@given(pdus, edited)
def test_a_plain_pdu_is_what_parsing_finds(seed: bytes, edits: Edits) -> None:
    agree(
        lambda d: plain_pdu(d, 0, len(d), VERSION_3), lambda d: pdu(d, 0, len(d), VERSION_3), edit(seed, edits)
    )  # fmt: skip


def test_what_pollers_send_is_plain() -> None:
    for data in (wire.get(SYS_NAME), wire.getnext(SYS_NAME, request=2**31 - 1), wire.getbulk(0, 50, SYS_NAME),
                 wire.getbulk(0, 1000, SYS_NAME)):  # fmt: skip
        assert plain(data) is not None


# --- messages of version 3

PEER = wire3.Peer(engine=ENGINE_ID, boots=1, time=0)
levels = st.sampled_from([0, 1, 3])
messages = st.builds(
    lambda inner, level, number, size, time, reportable, user: wire3.message(
        user, PEER, inner, level=min(level, user.level), msg_id=number, size=size, time=time, reportable=reportable
    ),
    pdus, levels, small, st.sampled_from([483, 484, 1500, 65507, 2**31 - 1, -1]), small, st.booleans(),
    st.sampled_from([ANN, RITA, BOB]),
)  # fmt: skip
USUAL = message3.usual(ENGINE_ID, 1)


@FUZZ
@given(messages, edited)
def test_a_usual_message_is_what_parsing_finds(seed: bytes, edits: Edits) -> None:
    agree(USUAL, message3.parse, edit(seed, edits))


def test_what_managers_send_is_usual() -> None:
    long = wire3.get(*[SYS_NAME] * 20)
    for user in (ANN, RITA, BOB):
        for inner in (wire3.get(SYS_NAME), long, wire3.get(*[SYS_NAME] * 2000)):
            assert USUAL(wire3.message(user, PEER, inner, msg_id=2**30)) is not None
    assert USUAL(wire3.message(ANN, PEER, long, boots=2)) is None
    assert USUAL(wire3.discovery()) is None


scopeds = st.builds(
    lambda inner, engine, context, behind: wire3.scoped(inner, engine, context) + behind,
    pdus, st.sampled_from([ENGINE_ID, b"", bytes(32), bytes(33)]), st.binary(max_size=130), st.binary(max_size=8),
)  # fmt: skip


@FUZZ
@given(scopeds, edited)
def test_a_short_scoped_pdu_is_what_parsing_finds(seed: bytes, edits: Edits) -> None:
    agree(message3._short, message3._scoped, edit(seed, edits))


def test_most_scoped_pdus_are_short() -> None:
    for inner in (wire3.get(SYS_NAME), wire3.get(*[SYS_NAME] * 9)):
        assert message3._short(wire3.scoped(inner, ENGINE_ID, b"default")) is not None


# --- decrypting block by block

_chance = random.Random(1)


@pytest.mark.parametrize("key", [16, 24, 32])
def test_what_is_decrypted_by_blocks_is_what_cfb_decrypts(key: int) -> None:
    """RFC 3826, section 3.1.3: any number of octets, the last block maybe not whole."""
    secret = _chance.randbytes(key)
    one = AesPrivacy(secret)
    for size in (*range(70), SHORT - 1, SHORT, SHORT + 1, SHORT + 17, 5000):
        data, salt = _chance.randbytes(size), _chance.randbytes(8)
        boots, time = _chance.choice([0, 1, 2**31 - 1]), _chance.choice([0, 77, 2**31 - 1])
        vector = boots.to_bytes(4, "big") + time.to_bytes(4, "big") + salt
        right = Cipher(AES(secret), CFB(vector)).decryptor().update(data)
        assert one.decrypt(data, salt, boots, time) == right
        again, told = one.encrypt(right, boots, time)
        assert one.decrypt(again, told, boots, time) == right


# --- messages that look like one before


class Agent:
    """An agent whose loop turns only while it is made and taken down; the engine needs none."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        more = {**SECURITY, "accounts": [account(ANN, Access.OPERATE), account(RITA), account(BOB), account(EVE)]}
        self.context = world(security=more, others={"another": "fake:///?domains=1"})
        self.world: World = self.loop.run_until_complete(self.context.__aenter__())
        self.asker = Asker(self.world)

    def close(self) -> None:
        self.loop.run_until_complete(self.context.__aexit__(None, None, None))
        self.loop.close()


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    made = Agent()
    yield made
    made.close()


def recognised(w: World, data: bytes) -> bytes | None:
    """The answer that a message gets because of those before, without being parsed."""
    return w.engine._from_familiar(data, "127.0.0.1", 65_507)


def said(data: Any) -> Any:
    """What an answer says; of a report only which it is, since its counter goes on."""
    if data is None:
        return None
    authenticated = wire.taken(wire.taken(wire.taken(data)[1], wire.INTEGER)[2], 0x30)[1]
    flags = wire.taken(wire.taken(wire.taken(authenticated, wire.INTEGER)[2], wire.INTEGER)[2], wire.OCTETS)[1][0]
    user = ANN if flags & 1 else None
    answer = wire3.answered(data, user)
    if answer.kind == wire.REPORT:
        return answer.kind, answer.counter, answer.level, answer.msg_id
    return wire3.opened(data, user).plain, answer.level, answer.msg_id, answer.peer


SEEDS = [
    wire3.get(SYS_NAME), wire3.get(SYS_UP_TIME), wire3.get((*DOMAIN_ENTRY, 4, 1)), wire3.get(DOMAIN_ENTRY, tag=wire.GETNEXT),
    bulk(0, 10, DOMAIN_ENTRY), bulk(1, 10, DOMAIN_ENTRY), wire3.get((1, 3, 9, 9, 9, 9, 9)),
]  # fmt: skip


def both(agent: Agent, data: bytes) -> tuple[Any, Any]:
    """What a message gets when others like it came before, and when nothing came before."""
    engine = agent.world.engine
    engine._layouts.forget()
    for inner in SEEDS:
        for context in (b"", b"another"):
            agent.asker.get(SYS_NAME, context=context)
            agent.asker.ask(inner, context=context)
    quick = engine.receive(data, "127.0.0.1", 40000)
    if isinstance(quick, Setting):
        quick = engine.finish(quick)
    engine._layouts.forget()
    slow = engine.receive(data, "127.0.0.1", 40000)
    return quick, slow


def resigned(data: bytes, at: int) -> bytes:
    """A message with the right digest, whatever was changed in it. The digest stands at `at`."""
    size = ANN.digest_size
    zeroed = data[:at] + bytes(size) + data[at + size :]
    return data[:at] + ANN.sign(ENGINE_ID, zeroed) + data[at + size :]


@settings(FUZZ, max_examples=600)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 130), st.integers(0, 255)), max_size=3),
    st.booleans(),
    st.sampled_from([b"", b"another"]),
)
def test_a_message_that_is_changed_is_answered_as_if_nothing_came_before(
    agent: Agent, inner: bytes, edits: list[tuple[int, int]], again: bool, context: bytes
) -> None:
    """Also by somebody who has the keys, and signs what was changed."""
    data = agent.asker.message(inner, context=context)
    at = message3.parse(data).digest_at
    changed = bytearray(data)
    for place, octet in edits:
        changed[place % len(changed)] = octet
    data = resigned(bytes(changed), at) if again else bytes(changed)
    quick, slow = both(agent, data)
    assert said(quick) == said(slow)


@settings(FUZZ, max_examples=600)
@given(st.sampled_from(SEEDS), edited, st.sampled_from([b"", b"another", b"nowhere"]), st.binary(max_size=6))
@example(SEEDS[0], [], b"", bytes(4))
def test_whatever_stands_in_the_place_of_a_scoped_pdu_is_answered_alike(
    agent: Agent, inner: bytes, edits: Edits, context: bytes, behind: bytes
) -> None:
    body = edit(wire3.scoped(inner, ENGINE_ID, context), edits) + behind
    assume(body)
    quick, slow = both(agent, agent.asker.message(b"", plain=body))
    assert said(quick) == said(slow)


@pytest.mark.parametrize("inner", SEEDS)
@pytest.mark.parametrize("context", [b"", b"another"])
def test_an_answer_to_what_is_recognised_says_the_same(agent: Agent, inner: bytes, context: bytes) -> None:
    engine = agent.world.engine
    for msg_id in (2**24, 2**31 - 1, 2**24 + 1):
        engine._layouts.forget()
        data = agent.asker.message(inner, context=context, msg_id=msg_id)
        assert recognised(agent.world, data) is None
        slow = engine.receive(data, "127.0.0.1", 40000)
        quick = recognised(agent.world, data)
        assert said(quick) == said(slow)
        other = agent.asker.message(inner, context=context, msg_id=2**29)
        quick = recognised(agent.world, other)
        assert quick is not None
        assert wire3.answered(quick, ANN).msg_id == 2**29
        assert quick != engine.receive(other, "127.0.0.1", 40000), "no salt is used twice"


@looped
async def test_what_differs_in_more_than_a_number_is_not_recognised() -> None:
    ada = wire3.User(name=b"ada", auth="SHA-256", priv="AES", words="words of ada's own", secret="a secret of her own")
    more = {"accounts": [*ACCOUNTS, account(ada, Access.OPERATE)]}
    async with world(security=more, others={"another": "fake:///?domains=1"}) as w:
        w.clock[0] += 5000
        asker = Asker(w)
        get = wire3.get(SYS_NAME)
        asker.ask(get)
        assert recognised(w, asker.message(get))
        for name, odd in {
            "a wrong digest": {"digest": lambda d: d[:-1] + bytes([d[-1] ^ 1])},
            "late": {"time": 5000 - 151}, "early": {"time": 5000 + 151}, "a time below zero": {"time": -1},
            "earlier boots": {"boots": 0}, "another level": {"level": 1}, "no level": {"level": 0},
            "a number below zero": {"msg_id": -(2**20)}, "another size": {"size": 65506},
            "another user": {"name": b"ada"}, "an unknown user": {"name": b"any"},
            "another engine": {"engine": ENGINE_ID[:-1] + b"x"}, "another model": {"model": 4},
            "another context": {"context": b"another"}, "another contextEngineID": {"context_engine": b"1234567"},
            "no report": {"reportable": False}, "a salt of another length": {"salt": bytes(7)},
            "octets behind it": {"trailing": b"\0"}, "padding": {"plain": wire3.scoped(get, ENGINE_ID) + b"\0"},
            "no scoped PDU": {"plain": b"\0" * len(wire3.scoped(get, ENGINE_ID))},
        }.items():  # fmt: skip
            assert recognised(w, asker.message(get, **odd)) is None, name
        for inner in (
            setting([(SYS_NAME, b"\x05\x00")]),
            wire3.get(SYS_NAME, tag=wire.RESPONSE),
            wire3.get(SYS_NAME, SYS_NAME),
        ):
            assert recognised(w, asker.message(inner)) is None
        assert wire3.answered(Asker(w, ada).ask(get), ada).answer.error == (0, 0)
        assert recognised(w, Asker(w, ada).message(get)), "each has a layout of his own"
        assert recognised(w, asker.message(get))


@looped
async def test_only_genuine_and_encrypted_messages_teach_anything() -> None:
    des = wire3.User(name=b"dan", auth="SHA", priv="DES")
    more = {"accounts": [*ACCOUNTS, account(des), account(wire3.User(name=b"often", auth="SHA", priv="AES"), rate=9.0)]}
    async with world(security=more) as w:
        known = w.engine._layouts._known
        get = wire3.get(SYS_NAME)
        ann = Asker(w)
        for user in (BOB, EVE, des, wire3.User(name=b"often", auth="SHA", priv="AES")):
            for _ in range(2):
                assert Asker(w, user).get(SYS_NAME, context=b"default").answer.error == (0, 0)
        for odd in ({"digest": lambda d: bytes(len(d))}, {"time": 1000}, {"level": 1}, {"level": 0}, {"context": b"nowhere"},
                    {"name": b"nobody"}, {"plain": b"nothing"}, {"trailing": b"\0"}, {"context_engine": b"other"}):  # fmt: skip
            ann.ask(get, **odd)
        ann.ask(wire3.get(SYS_NAME, SYS_NAME))
        w.ask(wire.get(SYS_NAME))
        assert not known
        ann.ask(get)
        assert len(known) == 1


@looped
async def test_a_msg_id_in_more_octets_than_needed_teaches_nothing() -> None:
    """Its length would be taken for a part of the number."""
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        data = asker.message(wire3.get(SYS_NAME), msg_id=5)
        at = data.index(b"\x02\x01\x05", 6)
        for odd in (b"\x02\x81\x01\x05", b"\x02\x02\x00\x05"):
            more = len(odd) - 3
            changed = bytearray(data[:at] + odd + data[at + 3 :])
            changed[1] += more
            changed[6] += more
            octets = resigned(bytes(changed), message3.parse(bytes(changed)).digest_at)
            assert wire3.answered(asker.send(octets), ANN).msg_id == 5
            assert not w.engine._layouts._known


@looped
async def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(familiar, "KNOWN", 5)
    monkeypatch.setattr(familiar, "ALIKE", 2)
    monkeypatch.setattr(familiar, "CONTEXTS", 3)
    others = {f"host{i}": "fake:///?domains=1" for i in range(6)}
    async with world(security=SECURITY, others=others) as w:
        asker, known = Asker(w), w.engine._layouts._known
        for length in range(2, 20):
            asker.get((1, 3, *range(length)))
        assert len(known) == 5
        for size in range(60_000, 60_010):
            asker.get(SYS_NAME, size=size)
        assert max(map(len, known.values())) == 2
        for i in range(6):
            for _ in range(2):
                assert asker.get(SYS_NAME, context=b"host%d" % i).answer.error == (0, 0)
        assert max(len(layout.uses) for alike in known.values() for layout in alike) == 3


@looped
async def test_other_users_or_views_are_learnt_anew() -> None:
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        get = wire3.get((*DOMAIN_ENTRY, 4, 1))
        asker.ask(get)
        before = asker.message(get)
        assert recognised(w, before)
        w.engine.configure(Security(accounts=[account(RITA)]))
        assert recognised(w, before) is None
        w.engine.configure(Security(accounts=ACCOUNTS))
        assert recognised(w, before) is None
        asker.ask(get)
        assert recognised(w, before)


@looped
async def test_an_address_that_is_not_his_is_not_answered_however_familiar_he_is() -> None:
    inside = (ipaddress.ip_network("127.0.0.1/32"),)
    async with world(security={"accounts": [account(ANN, sources=inside)]}) as w:
        data = Asker(w).message(wire3.get(SYS_NAME))
        assert w.engine.receive(data, "127.0.0.1", 1) is not None
        assert w.engine.receive(data, "127.0.0.1", 1) is not None
        assert w.engine.receive(data, "127.0.0.2", 1) is None


@looped
async def test_what_changed_is_seen_by_who_is_familiar() -> None:
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        name = w.column(9, "guest1")
        before = [asker.get(name).answer.numbers for _ in range(3)]
        assert (await asker.write((name, number(1)))).answer.error == (0, 0)
        assert [asker.get(name).answer.numbers for _ in range(2)] == [[1], [1]] != before
        w.clock[0] += 12.5
        assert asker.get(SYS_UP_TIME).answer.numbers == [1250]
        w.clock[0] += 1
        assert asker.get(SYS_UP_TIME).answer.numbers == [1350]


@looped
async def test_a_pdu_that_reaches_beyond_its_scoped_pdu_is_refused_after_one_with_padding_too() -> None:
    async with world(security=SECURITY) as w:
        asker = Asker(w)
        short, long = wire3.get(SYS_NAME), wire3.get((*SYS_NAME, 1, 2, 3, 4))
        padded = wire3.scoped(short, ENGINE_ID) + bytes(4)
        beyond = padded[: -len(short) - 4] + long
        assert len(beyond) == len(padded)
        for _ in range(2):
            assert asker.read(b"", plain=padded).answer.error == (0, 0)
            assert wire3.answered(asker.ask(b"", plain=beyond)).counter == oid("1.3.6.1.6.3.15.1.1.6.0")
