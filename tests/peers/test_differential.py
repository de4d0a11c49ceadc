"""The same requests, ordinary and odd, to net-snmp's snmpd and to our agent: what comes back must be of the same kind.

Of the same kind are: no answer; a report of the same counter, equally protected; a response with the same error-status and
error-index, and variables that are the same as to number, exceptions and types of values, with the same names as far as
both agents have the same objects; and what a request changed has the same value in both. Where snmpd and the RFC are of two
minds and we are with the RFC, that is told once, in DIFFERENCES; none of them is one of error-status or error-index.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from agent.snmp.udp import BATCH
from tests import wire, wire3
from tests.agents import DOMAIN_ENTRY
from tests.peers.odd_requests import AUTHEN_TRAPS, CONTACT, LOCATION, NAME, OBJECT_ID, SET_SERIAL, Case, every
from tests.peers.oracle import SECRET, SYSTEM, USERS, Subject, snmpd
from tests.peers.same_security import security
from tests.threaded import Threaded
from tests.wire import Oid, oid

DIFFERENCES = {
    r"v1 getbulk": "SNMPv1 has no GetBulkRequest-PDU (RFC 1157, section 4.1): its tag is a parse error; snmpd answers",
    r"v\w+ (getbulk behind everything and before)": "while one repeater has successors, repetitions go on (RFC 3416,"
    " section 4.2.3); snmpd stops after the first if the first repeater has ended",
    r"v\w+ (.*a name of no octets|an arc with leading zeros)": "no OBJECT IDENTIFIER is so encoded (X.690, 8.19.2), so that"
    " the message is a parse error; snmpd reads them as 0.0 and as the arc without the zeros",
    r"v\w+ (a request-id|error-index) of 5 octets": "the field is an Integer32 (RFC 3416, section 3), so that more is a parse"
    " error; snmpd keeps the lowest 32 bits",
    r"v3 message: (.*other privacy p.*|one octet encrypted|octets encrypted.*|a sequence of.*|contextEngineID of 33 octets)":
    "what decrypts to no scoped PDU was encrypted with another key, most likely; we say so by usmStatsDecryptionErrors, snmpd"
    " counts a parse error and is silent",
    r"v3 message: unknown context(?!Engine)(?!.*no report).*": "snmpUnknownContexts is reported (RFC 3413, section"
    " 3.2); snmpd is silent",
    r"v3 message: (unknown|no) contextEngineID.*": "no application serves another engine's contexts, so that"
    " snmpUnknownPDUHandlers is reported (RFC 3412, section 4.2.2.1.1); snmpd does not look at contextEngineID",
    r"v3 message: \w+ too big for \d+": "the response that says tooBig has no variable bindings (RFC 3416, section 4.2.1);"
    " snmpd gives those of the request back, and is silent if they do not fit either, though the SET be done",
    r"v3 message: user and a zero": "user names are octets, and this is another one (RFC 3414, section 2.4); snmpd's end at a"
    " zero octet",
}  # fmt: skip
"""Requests, by a pattern that their whole name matches, which the two answer in different ways, and why we do as we do."""

EXCEPTIONS = (wire.NO_SUCH_OBJECT, wire.NO_SUCH_INSTANCE, wire.END_OF_MIB_VIEW)


@dataclass(frozen=True)
class Kind:
    """What two answers must have in common. `pdu` is "response" or "report"; `variables` hold a name, as far as it can be
    compared, and the exception or the type of a value."""

    pdu: str
    version: int
    level: int
    request: int
    error: tuple[int, int]
    variables: tuple[tuple[object, object], ...]


def _place(name: Oid, subject: Subject) -> object:
    """A name as the role it has in an agent, or roughly where it is."""
    for role in ("wide", "wide_column", "last", "lock"):
        if name == getattr(subject, role):
            return role
    if name[: len(SYSTEM)] == SYSTEM or name[:7] == oid("1.3.6.1.6.3.15") or name[:1] in ((0,), (2,)):
        return name
    return "elsewhere"


def _variables(answer: wire.Answer, subject: Subject, echoed: frozenset[Oid]) -> tuple[tuple[object, object], ...]:
    out: list[tuple[object, object]] = []
    for name, tag, _ in answer.variables:
        place = _place(name, subject)
        kind: object = tag if tag in EXCEPTIONS or place != "elsewhere" or name in echoed else "value"
        out.append((place, kind if place not in ("wide", "last") else tag in EXCEPTIONS))
    return tuple(out)


def kind(data: bytes | None, subject: Subject) -> Kind | None:
    """The kind of an answer; AssertionError if it is none."""
    if data is None:
        return None
    _, version, _ = wire.taken(wire.taken(data, 0x30)[1], wire.INTEGER)
    if version != b"\x03":
        answer = wire.answered(data, version[0])
        return _kind("response", version[0], 0, answer, subject)
    told = wire3.answered(data, _user(data))
    assert not told.reportable
    return _kind("response" if told.kind == wire.RESPONSE else "report", 3, told.level, told.answer, subject)


def _user(data: bytes) -> wire3.User | None:
    """The user whose answer this is."""
    name = wire3.answered_user(data).rstrip(b"\0")
    return next((u for u in USERS if u.name == name), None)


def _kind(pdu: str, version: int, level: int, answer: wire.Answer, subject: Subject) -> Kind:
    counters = frozenset(answer.names) if pdu == "report" else frozenset()
    variables = tuple((n, None) for n in counters) or _variables(answer, subject, frozenset())
    return Kind(pdu, version, level, answer.request, answer.error, variables)


@dataclass(frozen=True)
class Told:
    """What a case comes to: the kind of each answer, and the values that changed."""

    kinds: list[Kind | None]
    changed: list[bytes]


class Pair:
    """Both agents, under the same security, and where each has what."""

    def __init__(self, ours: Subject, oracle: Subject) -> None:
        self.ours, self.oracle = ours, oracle
        for subject in (ours, oracle):
            _find(subject)
            start = [*((name, wire.text("")) for name in (CONTACT, NAME, LOCATION)), (AUTHEN_TRAPS, wire.number(2))]
            assert wire.answered(subject.ask(wire.setting(start, community=SECRET))).error == (0, 0)

    def ask(self, case: Case, version_3: bool) -> list[Told]:
        """What our agent does, and what the oracle does."""
        return [_told(subject, case, version_3) for subject in (self.ours, self.oracle)]


def _told(subject: Subject, case: Case, version_3: bool) -> Told:
    if version_3:
        subject.discover()
    before = _settings(subject)
    kinds = [kind(subject.ask(datagram), subject) for datagram in case(subject)]
    return Told(kinds, [new for old, new in zip(before, _settings(subject), strict=True) if old != new])


def _settings(subject: Subject) -> list[bytes]:
    """The values of what both let be set."""
    answer = wire.answered(subject.ask(wire.get(CONTACT, NAME, LOCATION, AUTHEN_TRAPS)))
    return [value for _, _, value in answer.variables]


def _find(subject: Subject) -> None:
    """Where an agent has its first Counter64, and what it shows last."""
    at: Oid = (1, 3)
    while True:
        answer = wire.answered(subject.ask(wire.getbulk(0, 100, at)))
        for name, tag, _ in answer.variables:
            if tag == wire.END_OF_MIB_VIEW:
                subject.last = at
                return
            if tag == wire.COUNTER64 and not subject.wide:
                subject.wide, subject.wide_column = name, name[:-1]
            at = name


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(snmpd(tmp_path_factory.mktemp("snmpd")))
        agent = Threaded("fake:///?domains=5", security=security())
        stack.callback(agent.stop)
        ours = Subject(agent.port, turns=BATCH + 2, lock=SET_SERIAL)
        stack.callback(ours.close)
        oracle = Subject(port, lock=oid("1.3.6.1.6.3.16.1.5.1.0"))
        stack.callback(oracle.close)
        yield Pair(ours, oracle)


CASES = every()


def different(name: str) -> str | None:
    """The pattern in DIFFERENCES that a request's name matches."""
    return next((pattern for pattern in DIFFERENCES if re.fullmatch(pattern, name)), None)


@pytest.mark.parametrize("name", [name for name in CASES if not different(name)])
def test_both_answer_alike(pair: Pair, name: str) -> None:
    mine, its = pair.ask(CASES[name], name.startswith("v3"))
    assert mine == its


@pytest.mark.parametrize("name", [name for name in CASES if different(name)])
def test_differences_are_those_that_are_told(pair: Pair, name: str) -> None:
    """Each listed request is really answered differently; and where both respond, with the same error."""
    mine, its = pair.ask(CASES[name], name.startswith("v3"))
    assert mine != its
    assert mine.changed == its.changed or None in its.kinds
    for one, other in zip(mine.kinds, its.kinds, strict=True):
        if one is not None and other is not None and one.pdu == other.pdu == "response":
            assert one.error == other.error


def test_differences_are_few_and_each_is_met() -> None:
    assert len(DIFFERENCES) < 10
    assert {different(name) for name in CASES} - {None} == set(DIFFERENCES)


def test_there_are_some_hundreds_of_requests() -> None:
    assert len(CASES) > 500


def test_sets_of_each_agents_own_objects_fail_alike(pair: Pair) -> None:
    """A column that stands for an operation of the hypervisor here, sysContact there: what is wrong with the SETs is the same."""
    mine = (pair.ours, (*DOMAIN_ENTRY, 9, 1), wire.number(1), wire.text("yes"))
    its = (pair.oracle, CONTACT, wire.text("nobody"), wire.number(1))
    for subject, name, good, bad in (mine, its):
        for pairs, error in (
            ([(name, bad)], (7, 1)),
            ([(name, good), (OBJECT_ID, wire.name((1, 3)))], (17, 2)),
            ([(OBJECT_ID, wire.name((1, 3))), (name, bad)], (17, 1)),
            ([((*name[:-1], 4711), good)], (11, 1)),
            ([(name, b"\x80\x00")], (7, 1)),
        ):
            answer = wire.answered(subject.ask(wire.setting(pairs, community=SECRET)))
            assert answer.error == error, (subject is pair.ours, pairs)
            assert answer.names == [n for n, _ in pairs]


@pytest.mark.parametrize("columns", [1, 3, 70])
def test_a_huge_getbulk_is_answered_with_as_much_as_there_is_room_for(pair: Pair, columns: int) -> None:
    for subject in (pair.ours, pair.oracle):
        answer = wire.answered(subject.ask(wire.getbulk(0, 2**31 - 1, *[SYSTEM] * columns)))
        assert answer.error == (0, 0)
        assert len(answer.variables) > 100
        first = [v for v, t in zip(answer.names[::columns], answer.tags[::columns], strict=True) if t not in EXCEPTIONS]
        assert first == sorted(set(first))


def test_the_end_of_the_view_is_told_by_the_last_name_there_is(pair: Pair) -> None:
    for subject in (pair.ours, pair.oracle):
        answer = wire.answered(subject.ask(wire.getbulk(0, 50, subject.last, subject.last)))
        assert set(zip(answer.names, answer.tags, strict=True)) == {(subject.last, wire.END_OF_MIB_VIEW)}
