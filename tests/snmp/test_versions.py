"""SNMPv1 beside the versions after it: what it cannot say, and how that is said (RFC 1157; RFC 3584, sections 4.2 to 4.4)."""

from __future__ import annotations

import ipaddress

import pytest

from agent.errors import Failed
from agent.model import MODEL, Domain
from agent.model.domain import Destroy, Resume, Suspend
from agent.schema.declare import Access
from agent.snmp.message import Status
from agent.snmp.security import Community, Security
from agent.snmp.setting import Setting, carry_out
from agent.snmp.vacm import MibView, Subtree
from tests import wire
from tests.agents import COMMUNITIES, DOMAIN_ENTRY, ENGINE_ID, LOOPBACK, World, looped, world
from tests.wire import Oid, answered, get, getbulk, getnext, number, oid

V1, V2C = 0, 1
SYS_NAME, SYS_DESCR, SYS_SERVICES = oid("1.3.6.1.2.1.1.5.0"), oid("1.3.6.1.2.1.1.1.0"), oid("1.3.6.1.2.1.1.7.0")
PAST_ALL = oid("1.3.6.1.6.3.99")
ACTION, NAME, AUTOSTART, VCPUS, MEMORY_SET = 3, 4, 9, 19, 1021
KIND = {o.__name__: o.number for o in MODEL.operations_on(Domain)}
NO_SUCH_NAME, BAD_VALUE, GEN_ERR, TOO_BIG = 2, 3, 5, 1


def read(w: World, data: bytes, version: int = V1) -> wire.Answer:
    return answered(w.ask(data), version)


def walked(w: World, version: int, start: Oid = (1, 3)) -> list[tuple[Oid, int]]:
    """Name and type of all that a walk by GETNEXT finds."""
    found: list[tuple[Oid, int]] = []
    at = start
    while True:
        answer = read(w, getnext(at, version=version), version)
        if answer.status:
            assert answer.error == (NO_SUCH_NAME, 1)
            assert answer.names == [at]
            return found
        ((name, tag, _),) = answer.variables
        if tag == wire.END_OF_MIB_VIEW:
            return found
        found.append((name, tag))
        at = name


async def write(w: World, *pairs: tuple[Oid, bytes], request: int = 1) -> wire.Answer:
    """The answer to a SET in version 1."""
    answer = w.ask(wire.setting(pairs, request=request, community=b"secret", version=V1))
    if isinstance(answer, Setting):
        answer = w.engine.finish(answer, *await carry_out(answer, w.operations))
    return answered(answer, V1)


# --- reading


@looped
async def test_what_is_not_there_is_no_such_name_with_its_index() -> None:
    """RFC 1157, section 4.1.2; of several the last, as net-snmp says it."""
    async with world() as w:
        gone = (*w.column(NAME, "guest1")[:-1], 4711)
        for names, index in (
            ([PAST_ALL], 1), ([SYS_NAME, gone], 2), ([SYS_NAME, gone, SYS_DESCR], 2), ([gone, SYS_NAME, PAST_ALL, SYS_DESCR], 3),
            ([SYS_NAME[:-1]], 1), ([DOMAIN_ENTRY], 1), ([(0, 0)], 1),
        ):  # fmt: skip
            answer = read(w, get(*names, version=V1, request=77))
            assert (answer.error, answer.request, answer.names) == ((NO_SUCH_NAME, index), 77, names)
            assert set(answer.tags) == {wire.NULL}, "as it was asked"
        answer = read(w, getnext(SYS_NAME, PAST_ALL, version=V1))
        assert (answer.error, answer.names) == ((NO_SUCH_NAME, 2), [SYS_NAME, PAST_ALL])
        assert read(w, get(SYS_NAME, SYS_DESCR, version=V1)).error == (0, 0)


@looped
async def test_a_malformed_name_makes_no_answer_even_behind_one_that_is_missing() -> None:
    async with world() as w:
        bad = wire.tlv(0x30, wire.tlv(wire.OID, b"\x2b\x80\x01") + b"\x05\x00")
        for listed in ([wire.binding(PAST_ALL), bad], [bad, wire.binding(PAST_ALL)], [bad]):
            assert w.ask(wire.message(wire.GET, listed, version=V1)) is None
        assert w.engine.statistics.snmpInASNParseErrs == 3


@looped
async def test_a_64_bit_counter_is_not_there() -> None:
    """RFC 3584, section 4.2.2.1: a walk passes over it, a GET does not find it."""
    async with world("fake:///?domains=2") as w:
        new, old = walked(w, V2C), walked(w, V1)
        wide = [name for name, tag in new if tag == wire.COUNTER64]
        assert len(wide) > 5
        assert old == [(name, tag) for name, tag in new if tag != wire.COUNTER64]
        for name in wide[:20]:
            assert read(w, get(SYS_NAME, name, version=V1)).error == (NO_SUCH_NAME, 2)
            assert answered(w.ask(get(name))).tags == [wire.COUNTER64]
            answer = read(w, getnext(name[:-1], version=V1))
            assert answer.status == NO_SUCH_NAME or answer.names[0][: len(name) - 1] != name[:-1]


@looped
async def test_a_64_bit_counter_is_not_there_where_a_view_shows_a_part_of_its_column() -> None:
    async with world("fake:///?domains=3") as w:
        wide = next(name for name, tag in walked(w, V2C, DOMAIN_ENTRY) if tag == wire.COUNTER64)
        assert len([n for n, _ in walked(w, V2C, wide[:-1]) if n[: len(wide) - 1] == wide[:-1]]) > 1
        view = MibView("part", [Subtree(oid=wide), Subtree(oid=SYS_NAME)])
        reader = Community(
            name=b"public", label="reader", role=Access.OBSERVE, sources=LOOPBACK, hypervisor="default", view="part"
        )
        w.engine.configure(Security(communities=[reader], views=[view]))
        assert walked(w, V2C) == [(SYS_NAME, wire.OCTETS), (wide, wire.COUNTER64)]
        assert walked(w, V1) == [(SYS_NAME, wire.OCTETS)]
        assert read(w, get(wide, version=V1)).error == (NO_SUCH_NAME, 1)


@looped
async def test_version_1_has_no_getbulk() -> None:
    async with world() as w:
        for version, answers in ((V1, False), (V2C, True)):
            assert (w.ask(getbulk(0, 5, SYS_NAME, version=version)) is not None) is answers
        assert w.engine.statistics.snmpInASNParseErrs == 1


@looped
async def test_what_does_not_fit_is_given_back_as_it_was_asked() -> None:
    """RFC 1157, section 4.1.2: tooBig, index 0, and the variables of the request; in later versions none."""
    async with world("fake:///?domains=40", largest=484) as w:
        for pdu in (wire.GET, wire.GETNEXT):
            names = [w.column(NAME, f"guest{i}") for i in range(1, 19)]
            asked = [wire.binding(name) for name in names]
            old = read(w, wire.message(pdu, asked, version=V1))
            assert (old.error, old.names, set(old.tags)) == ((TOO_BIG, 0), names, {wire.NULL})
            new = read(w, wire.message(pdu, asked), V2C)
            assert (new.error, new.names) == ((TOO_BIG, 0), [])
        before = w.engine.statistics.snmpSilentDrops
        assert w.ask(wire.message(wire.GET, [wire.binding(SYS_NAME)] * 60, version=V1)) is None
        assert w.engine.statistics.snmpSilentDrops == before + 1


@looped
async def test_an_error_is_no_longer_than_an_answer_may_be() -> None:
    async with world(security={"answer_limit": 484}) as w:
        names = [SYS_NAME] * 60 + [PAST_ALL]
        assert w.ask(get(*names, version=V1)) is None
        assert len(w.ask(get(*names[-20:], version=V1))) <= 484


# --- writing


@looped
async def test_what_a_set_is_refused_for_is_said_in_the_words_of_version_1() -> None:
    """RFC 3584, section 4.4."""
    async with world() as w:
        autostart, memory, vcpus = (w.column(c, "guest1") for c in (AUTOSTART, MEMORY_SET, VCPUS))
        act = w.column(ACTION, "guest1")
        good = (autostart, number(1))
        cases = [
            (BAD_VALUE, [(autostart, number(1, wire.UNSIGNED))], Status.WRONG_TYPE),
            (BAD_VALUE, [(memory, wire.tlv(wire.UNSIGNED, b"\x01\0\0\0\0"))], Status.WRONG_ENCODING),
            (BAD_VALUE, [(autostart, number(3))], Status.WRONG_VALUE),
            (BAD_VALUE, [(act, number(KIND["Start"]))], Status.INCONSISTENT_VALUE),
            (NO_SUCH_NAME, [((*DOMAIN_ENTRY, VCPUS, 4711), number(1, wire.UNSIGNED))], Status.NO_CREATION),
            (NO_SUCH_NAME, [(SYS_DESCR, wire.text("x"))], Status.NOT_WRITABLE),
            (NO_SUCH_NAME, [(PAST_ALL, number(1))], Status.NOT_WRITABLE),
            (NO_SUCH_NAME, [((1, 3), number(1))], Status.NO_ACCESS),
        ]
        for request, (status, pairs, newer) in enumerate(cases, 1):
            assert (await write(w, *pairs, request=request)).error == (status, 1), newer
            assert (await write(w, good, *pairs, request=100 + request)).error == (status, 2), newer
            in_2c = await w.write(good, *pairs, request=200 + request)
            assert in_2c.error == (int(newer), 2)
        assert not w.fake.performed
        assert (await write(w, good, (vcpus, number(1, wire.UNSIGNED)), request=300)).error == (0, 0)
        assert len(w.fake.performed) == 2


@looped
async def test_a_set_that_fails_is_a_general_error_of_version_1() -> None:
    async with world() as w:
        w.fake.refuse(Suspend, Failed("no"))
        suspend = (w.column(ACTION, "guest1"), number(KIND["Suspend"]))
        assert (await write(w, (w.column(AUTOSTART, "guest1"), number(1)), suspend)).error == (GEN_ERR, 2)
        w.fake.refuse(Suspend, None)
        w.fake.refuse(Resume, Failed("no"))
        w.fake.refuse(Destroy, Failed("no"))
        destroy = (w.column(ACTION, "guest2"), number(KIND["Destroy"]))
        assert (await write(w, suspend, destroy, request=2)).error == (GEN_ERR, 0), "and could not be taken back"


@looped
async def test_an_observers_set_is_no_such_name_and_counted() -> None:
    async with world() as w:
        pair = [(w.column(AUTOSTART, "guest1"), number(1))]
        answer = read(w, wire.setting(pair, version=V1))
        assert (answer.error, answer.names) == ((NO_SUCH_NAME, 1), [pair[0][0]])
        assert w.engine.statistics.snmpInBadCommunityUses == 1
        assert not w.fake.performed


@looped
async def test_versions_and_communities_tell_sets_apart() -> None:
    async with world() as w:
        pair = [(w.column(AUTOSTART, "guest1"), number(1))]
        for version in (V1, V2C):
            w.engine.finish(w.ask(wire.setting(pair, request=4, community=b"secret", version=version)))
        for version in (V1, V2C):
            again = answered(w.ask(wire.setting(pair, request=4, community=b"secret", version=version)), version)
            assert again.error == (0, 0)


# --- who may ask


def community(name: bytes, **more: object) -> Community:
    given = {"label": name.decode(), "role": Access.OBSERVE, "sources": LOOPBACK, "hypervisor": "default", **more}
    return Community(name=name, **given)  # type: ignore[arg-type]


@looped
async def test_a_community_is_of_the_versions_it_is_for() -> None:
    some = [
        community(b"old", versions=frozenset({V1})),
        community(b"new", versions=frozenset({V2C})),
        community(b"both"),
    ]
    async with world(communities=some) as w:
        told: list[None] = []
        w.engine.on_authentication_failure.append(lambda: told.append(None))
        for _ in range(2):
            heard = [
                (name, version) for name in (b"old", b"new", b"both", b"other") for version in (V1, V2C)
                if w.ask(get(SYS_NAME, community=name, version=version)) is not None
            ]  # fmt: skip
            assert heard == [(b"old", V1), (b"new", V2C), (b"both", V1), (b"both", V2C)]
        assert w.engine.statistics.snmpInBadCommunityNames == len(told) == 8


@looped
async def test_a_community_is_heard_from_its_sources_only_and_as_often_as_it_may() -> None:
    inside = (ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("fe80::/10"))
    async with world(communities=[community(b"slow", sources=inside, rate=2.0), community(b"public")]) as w:
        slow = get(SYS_NAME, community=b"slow")
        assert [w.ask(slow, "127.0.0.2") for _ in range(5)] == [None] * 5
        assert w.engine.statistics.snmpInBadCommunityNames == 5
        hosts = ["127.0.0.1", "fe80::1%lo", "::ffff:127.0.0.1"]
        assert [w.ask(slow, host) is None for host in hosts] == [False, False, True], "two in a second"
        w.clock[0] += 0.5
        assert [w.ask(get(SYS_NAME, community=b"slow", version=V1)) is None for _ in range(2)] == [False, True]
        assert w.engine.statistics.tooOften == 2
        assert [w.ask(get(SYS_NAME)) is None for _ in range(9)] == [False] * 9


@looped
async def test_a_community_shows_its_hypervisor() -> None:
    some = [community(b"one"), community(b"two", hypervisor="second", role=Access.OPERATE)]
    async with world("fake:///?domains=2", communities=some, others={"second": "fake:///?domains=6"}) as w:

        def names(name: bytes) -> int:
            answer = answered(w.ask(getbulk(0, 20, (*DOMAIN_ENTRY, NAME), community=name)))
            return sum(value.startswith(b"guest") for _, _, value in answer.variables)

        assert [names(b"one"), names(b"two"), names(b"one")] == [2, 6, 2]
        answer = await w.write((w.column(AUTOSTART, "guest1"), number(1)), community=b"two")
        assert answer.error == (0, 0)
        assert [r["hypervisor"] for r in w.trail.records] == ["second"]


@looped
async def test_other_communities_hold_from_the_next_message_on() -> None:
    async with world() as w:
        pair = (w.column(AUTOSTART, "guest1"), number(1))
        assert (await w.write(pair)).error == (0, 0)
        w.engine.configure(Security(communities=[community(b"secret")]))
        assert w.ask(get(SYS_NAME)) is None
        assert (await w.write(pair, request=2)).error == (int(Status.NO_ACCESS), 1)
        w.engine.configure(Security(communities=COMMUNITIES))
        assert (await w.write(pair, request=3)).error == (0, 0)


@pytest.mark.parametrize("version", [V1, V2C])
def test_a_view_bounds_a_community_too(version: int) -> None:
    @looped
    async def check() -> None:
        some = [community(b"public", view="system"), community(b"writer", view="system", role=Access.OPERATE)]
        view = MibView("system", [Subtree(oid=(1, 3, 6, 1, 2, 1, 1)), Subtree(oid=SYS_SERVICES, included=False)])
        async with world(communities=some, security={"views": [view]}) as w:
            found = [name for name, _ in walked(w, version)]
            assert SYS_NAME in found
            assert SYS_SERVICES not in found
            assert {name[:7] for name in found} == {(1, 3, 6, 1, 2, 1, 1)}
            pair = [(w.column(AUTOSTART, "guest1"), number(1))]
            answer = answered(w.ask(wire.setting(pair, community=b"writer", version=version)), version)
            assert answer.error == ((NO_SUCH_NAME if version == V1 else int(Status.NO_ACCESS)), 1)

    check()


@looped
async def test_a_message_of_no_known_version_is_counted() -> None:
    async with world() as w:
        for version in (2, 4, 100, 2**31 - 1, -1):
            assert w.ask(get(SYS_NAME, version=version)) is None
        assert w.engine.statistics.snmpInBadVersions == 5
        assert w.ask(get(SYS_NAME, version=3)) is None
        assert (w.engine.statistics.snmpInBadVersions, w.engine.statistics.snmpInASNParseErrs) == (5, 1)
        assert w.engine.engine_id == ENGINE_ID
