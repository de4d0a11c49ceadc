"""The User-based Security Model: discovery, every reason to refuse, protection of answers, and net-snmp as its manager."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.schema.types import Secret
from agent.snmp import ber
from agent.snmp.ber import BerError
from agent.snmp.message3 import Level, Message, Scoped, Security, encode, encode_scoped, parse, scoped
from agent.snmp.protection import (
    Authenticator,
    AuthProtocol,
    PrivProtocol,
    localized,
    password_to_key,
    privacy,
    privacy_key,
)
from agent.snmp.usm import OPEN_ENGINE_ID, Opened, Refused, Replays, Seen, Stat, User, Usm, engine_id
from tests import wire

ENGINE = engine_id(b"\x01\x02\x03\x04\x05\x06\x07\x08")
AUTH_PASS, PRIV_PASS = "authentic words", "private words"
SYS_NAME = wire.oid("1.3.6.1.2.1.1.5.0")
GET = wire.tlv(wire.GET, wire.number(77) + wire.number(0) + wire.number(0) + wire.tlv(0x30, wire.binding(SYS_NAME)))
NOW = 1000


def user(name: str, auth: AuthProtocol | None = None, priv: PrivProtocol | None = None) -> User:
    return User(
        name=name,
        auth=auth,
        auth_passphrase=Secret(AUTH_PASS) if auth else None,
        priv=priv,
        priv_passphrase=Secret(PRIV_PASS) if priv else None,
    )


EVERY = [
    user("nobody"),
    *(user(f"{a.name}", a) for a in AuthProtocol),
    *(user(f"{a.name}-{p.name}", a, p) for a, p in itertools.product(AuthProtocol, PrivProtocol)),
]
ANN = user("ann", AuthProtocol.SHA256, PrivProtocol.AES128)


@pytest.fixture
def usm() -> Usm:
    return Usm(ENGINE, 5, [ANN, user("bob", AuthProtocol.SHA1), user("eve")])


def asked(
    level: Level = Level.AUTH_PRIV, *, name: str = "ann", boots: int = 5, time: int = NOW, engine: bytes = ENGINE,
    auth: str = AUTH_PASS, priv: str = PRIV_PASS, protocol: AuthProtocol = AuthProtocol.SHA256,
    body: bytes | None = None, reportable: bool = True,
) -> Message:  # fmt: skip
    """A request of a manager, as it arrives."""
    payload = encode_scoped(Scoped(ENGINE, b"web", GET)) if body is None else body
    authenticator = Authenticator(
        protocol, localized(password_to_key(auth.encode(), protocol), ENGINE, protocol)
    )  # fmt: skip
    salt = b""
    if level is Level.AUTH_PRIV:
        key = privacy_key(password_to_key(priv.encode(), protocol), ENGINE, protocol, PrivProtocol.AES128)
        payload, salt = privacy(PrivProtocol.AES128, key).encrypt(payload, boots, time)
    digest = authenticator.zeros if level else b""
    security = Security(engine, boots, time, name.encode(), digest, salt)
    data, at = encode(9, 1500, level, security, payload, reportable=reportable)
    return parse(authenticator.signed(data, at) if level else data)


def refusal(usm: Usm, message: Message, time: int = NOW) -> Refused:
    before = dict(usm.counters)
    with pytest.raises(Refused) as caught:
        usm.open(message, time)
    stat = caught.value.stat
    assert usm.counters == {**before, stat: before[stat] + 1}
    return caught.value


def reported(usm: Usm, message: Message, refused: Refused, time: int = NOW) -> tuple[Message, wire.Oid, int, int]:
    """A report: the message, the counter it holds and its value, and the request it answers."""
    data = usm.report(message, refused, time)
    assert data is not None
    found = parse(data)
    body = scoped(found.payload)
    assert body.engine_id == ENGINE
    _, pdu, rest = wire.taken(body.pdu, wire.REPORT)
    assert not rest
    _, request, pdu = wire.taken(pdu, wire.INTEGER)
    _, status, pdu = wire.taken(pdu, wire.INTEGER)
    _, index, pdu = wire.taken(pdu, wire.INTEGER)
    assert (status, index) == (b"\0", b"\0")
    _, one, _ = wire.taken(wire.taken(pdu, 0x30)[1], 0x30)
    _, name, one = wire.taken(one, wire.OID)
    _, value, _ = wire.taken(one, ber.COUNTER32)
    return found, wire.arcs(name), int.from_bytes(value, "big"), int.from_bytes(request, "big")


def test_an_engine_id_is_of_our_enterprise_and_holds_octets() -> None:
    """RFC 3411, SnmpEngineID."""
    assert bytes.fromhex("8000905d05") + bytes(range(1, 9)) == ENGINE
    for wrong in (b"", bytes(28)):
        with pytest.raises(ValueError, match="5 to 32"):
            engine_id(wrong)


@pytest.mark.parametrize("level", [Level.AUTH_PRIV, Level.AUTH_NO_PRIV])
def test_a_genuine_message_is_opened(usm: Usm, level: Level) -> None:
    opened = usm.open(asked(level), NOW)
    assert (opened.user.name, opened.level, opened.scoped) == ("ann", level, Scoped(ENGINE, b"web", GET))
    assert not any(usm.counters.values())


def test_a_message_that_nobody_protected_is_opened_as_such(usm: Usm) -> None:
    """Whether anything is shown at that level is for access control to say."""
    assert usm.open(asked(Level.NO_AUTH_NO_PRIV, name="ann"), NOW).level is Level.NO_AUTH_NO_PRIV


def test_discovery_of_the_engine_id(usm: Usm) -> None:
    """RFC 3414, section 4: the report is in clear, and tells engine ID, boots and time."""
    message = asked(Level.NO_AUTH_NO_PRIV, name="", engine=b"")
    refused = refusal(usm, message)
    found, counter, value, request = reported(usm, message, refused)
    assert counter == wire.oid("1.3.6.1.6.3.15.1.1.4.0")
    assert (value, request, found.number) == (1, 77, 9)
    assert found.level is Level.NO_AUTH_NO_PRIV
    assert not found.reportable
    assert found.security == Security(ENGINE, 5, NOW, b"", b"", b"")


def test_discovery_of_the_time_is_authenticated(usm: Usm) -> None:
    message = asked(Level.AUTH_NO_PRIV, boots=0, time=0)
    found, counter, _, _ = reported(usm, message, refusal(usm, message))
    assert counter == wire.oid("1.3.6.1.6.3.15.1.1.2.0")
    assert found.level is Level.AUTH_NO_PRIV
    assert (found.security.boots, found.security.time) == (5, NOW)
    key = localized(password_to_key(AUTH_PASS.encode(), AuthProtocol.SHA256), ENGINE, AuthProtocol.SHA256)
    zeroed = found.whole.replace(found.security.digest, bytes(24))
    assert hmac.new(key, zeroed, hashlib.sha256).digest()[:24] == found.security.digest


@pytest.mark.parametrize(
    ("message", "stat", "arc"),
    [
        (asked(name="nobody"), Stat.UNKNOWN_USER_NAMES, 3),
        (asked(engine=ENGINE + b"x"), Stat.UNKNOWN_ENGINE_IDS, 4),
        (asked(auth="other words"), Stat.WRONG_DIGESTS, 5),
        (asked(Level.AUTH_NO_PRIV, protocol=AuthProtocol.SHA1), Stat.WRONG_DIGESTS, 5),
        (asked(name="bob"), Stat.UNSUPPORTED_SEC_LEVELS, 1),
        (asked(Level.AUTH_NO_PRIV, name="eve"), Stat.UNSUPPORTED_SEC_LEVELS, 1),
        (asked(boots=4), Stat.NOT_IN_TIME_WINDOWS, 2),
        (asked(boots=6), Stat.NOT_IN_TIME_WINDOWS, 2),
        (asked(time=NOW - 151), Stat.NOT_IN_TIME_WINDOWS, 2),
        (asked(time=NOW + 151), Stat.NOT_IN_TIME_WINDOWS, 2),
    ],
)
def test_what_is_refused_has_its_counter_and_its_report(usm: Usm, message: Message, stat: Stat, arc: int) -> None:
    """RFC 3414, section 3.2, steps 3 to 8."""
    refused = refusal(usm, message)
    assert refused.stat is stat
    _, counter, value, _ = reported(usm, message, refused)
    assert counter == (1, 3, 6, 1, 6, 3, 15, 1, 1, arc, 0)
    assert value == 1


def test_a_message_is_timely_for_150_seconds(usm: Usm) -> None:
    for time in (NOW - 150, NOW + 150):
        usm.open(asked(time=time), NOW)


def test_an_engine_without_boots_left_is_never_in_time() -> None:
    """RFC 3414, section 2.2.3."""
    worn = Usm(ENGINE, 2**31 - 1, [ANN])
    assert refusal(worn, asked(boots=2**31 - 1)).stat is Stat.NOT_IN_TIME_WINDOWS


def test_octets_that_do_not_decrypt(usm: Usm) -> None:
    short = asked(Level.AUTH_NO_PRIV)
    key = localized(password_to_key(AUTH_PASS.encode(), AuthProtocol.SHA256), ENGINE, AuthProtocol.SHA256)
    signer = Authenticator(AuthProtocol.SHA256, key)
    security = short.security._replace(digest=signer.zeros, salt=b"short")
    data, at = encode(9, 1500, Level.AUTH_PRIV, security, b"anything", reportable=True)
    message = parse(signer.signed(data, at))
    refused = refusal(usm, message)
    assert refused.stat is Stat.DECRYPTION_ERRORS
    assert reported(usm, message, refused)[1] == wire.oid("1.3.6.1.6.3.15.1.1.6.0")


def test_what_is_no_scoped_pdu_in_clear_is_a_parse_error_and_encrypted_one_of_decryption(usm: Usm) -> None:
    nothing = wire.tlv(0x30, b"\x04\x00")
    with pytest.raises(BerError):
        usm.open(asked(Level.AUTH_NO_PRIV, body=nothing), NOW)
    assert not any(usm.counters.values())
    assert refusal(usm, asked(body=nothing)).stat is Stat.DECRYPTION_ERRORS


def test_a_wrong_privacy_passphrase_is_an_error_of_decryption(usm: Usm) -> None:
    for attempt in range(64):
        assert refusal(usm, asked(priv=f"other words {attempt}")).stat is Stat.DECRYPTION_ERRORS


def test_who_wants_no_report_gets_none(usm: Usm) -> None:
    message = asked(name="nobody", reportable=False)
    assert usm.report(message, refusal(usm, message), NOW) is None


@pytest.mark.parametrize(
    ("kind", "reportable"), [(wire.GET, False), (wire.INFORM, False), (wire.TRAP, True), (wire.REPORT, True)]
)
def test_what_is_in_clear_tells_itself_whether_it_is_answered(usm: Usm, kind: int, reportable: bool) -> None:
    """RFC 3412, section 6.4: the flag counts where the PDU cannot be read."""
    pdu = bytes([kind]) + GET[1:]
    message = asked(
        Level.AUTH_NO_PRIV, name="nobody", reportable=reportable, body=encode_scoped(Scoped(ENGINE, b"web", pdu))
    )
    assert (usm.report(message, refusal(usm, message), NOW) is None) is reportable


def test_the_report_to_an_encrypted_message_answers_request_0(usm: Usm) -> None:
    message = asked(boots=1)
    assert reported(usm, message, refusal(usm, message))[3] == 0


@pytest.mark.parametrize("level", Level)
def test_an_answer_is_protected_as_the_request_was(usm: Usm, level: Level) -> None:
    opened = usm.open(asked(level), NOW)
    answer = parse(usm.seal(opened, opened.scoped, NOW + 7))
    assert (answer.number, answer.level, answer.reportable) == (9, level, False)
    assert (answer.security.boots, answer.security.time) == (5, NOW + 7)
    assert usm.open(answer, NOW).scoped == Scoped(ENGINE, b"web", GET)


@pytest.mark.parametrize("one", EVERY, ids=lambda u: u.name)
@pytest.mark.parametrize("size", [0, 1, 90, 120, 200, 250, 1400, 65000])
def test_the_overhead_is_an_upper_bound(one: User, size: int) -> None:
    usm = Usm(bytes(32), 2**31 - 2, [dataclasses.replace(one, name="u" * 32)])
    local = usm._users[b"u" * 32]
    message = asked(Level.NO_AUTH_NO_PRIV)._replace(number=2**31 - 1)
    opened = Opened(message, local, one.level, Scoped(bytes(32), b"c" * 255, b""))
    pdu = wire.tlv(wire.RESPONSE, bytes(size))
    whole = len(usm.seal(opened, opened.scoped._replace(pdu=pdu), 2**31 - 1))
    assert len(pdu) < whole <= len(pdu) + usm.overhead(opened)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"name": ""}, "1 to 32"),
        ({"name": "u" * 33}, "1 to 32"),
        ({"name": "u", "auth": AuthProtocol.MD5}, "go together"),
        ({"name": "u", "auth_passphrase": Secret("long enough")}, "go together"),
        ({"name": "u", "priv": PrivProtocol.DES}, "go together"),
        ({"name": "u", "priv": PrivProtocol.DES, "priv_passphrase": Secret("long enough")}, "no privacy without"),
        ({"name": "u", "auth": AuthProtocol.MD5, "auth_passphrase": Secret("7 octet")}, "at least 8"),
    ],
)
def test_users_that_cannot_be(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        User(**wrong)  # type: ignore[arg-type]
    assert "7 octet" not in str(caught.value)


def test_nothing_printed_holds_a_passphrase_or_a_key(usm: Usm) -> None:
    opened = usm.open(asked(), NOW)
    shown = repr((ANN, opened.user, opened.user.authenticator, opened.user.privacy, usm))
    assert AUTH_PASS not in shown
    assert PRIV_PASS not in shown


def test_other_users_leave_counters_alone(usm: Usm) -> None:
    refusal(usm, asked(name="nobody"))
    usm.renew([])
    refusal(usm, asked())
    assert usm.counters[Stat.UNKNOWN_USER_NAMES] == 2
    assert (usm.boots, usm.engine_id) == (5, ENGINE)


def test_what_was_done_is_not_done_again_while_it_is_timely() -> None:
    known = Replays()
    assert known.seen(b"digest", 0.0) is Seen.FIRST
    assert known.seen(b"digest", 299.0) is Seen.AGAIN
    assert known.seen(b"other", 299.0) is Seen.FIRST
    assert known.seen(b"digest", 301.0) is Seen.FIRST


def test_a_full_memory_of_replays_refuses() -> None:
    known = Replays(limit=2)
    said = [known.seen(d, 0.0) for d in (b"a", b"b", b"c", b"a")]
    assert said == [Seen.FIRST, Seen.FIRST, Seen.NO_ROOM, Seen.AGAIN]
    assert known.seen(b"c", 1000.0) is Seen.FIRST


def test_the_open_engine_id_is_that_of_rfc_5343() -> None:
    assert OPEN_ENGINE_ID.hex() == "8000000006"


# --- fuzz

USM = Usm(ENGINE, 5, [ANN, user("bob", AuthProtocol.MD5, PrivProtocol.DES), user("eve")])
SEEDS = [asked(level).whole for level in Level] + [asked(Level.NO_AUTH_NO_PRIV, name="", engine=b"").whole]


FUZZ = settings(max_examples=1500, deadline=None, derandomize=True, database=None)


@FUZZ
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    cut=st.integers(0, 400),
)
@example(seed=SEEDS[0], edits=[], cut=400)
def test_damaged_messages_are_opened_refused_or_no_messages(
    seed: bytes, edits: list[tuple[int, int]], cut: int
) -> None:
    """Whatever octets come, they are a message of a user, refused with a well-formed report, or a BerError; and what is
    authenticated and not as it was sent is never opened."""
    data = bytearray(seed[:cut])
    for place, octet in edits:
        if data:
            data[place % len(data)] = octet
    try:
        message = parse(bytes(data))
    except BerError:
        return
    try:
        opened = USM.open(message, NOW)
    except BerError:
        assert not message.level, "only what is in clear can be damaged unseen"
    except Refused as refused:
        report = USM.report(message, refused, NOW)
        assert report is not None or not message.reportable or message.level is not Level.AUTH_PRIV
        assert report is None or scoped(parse(report).payload).pdu[0] == wire.REPORT
    else:
        assert not opened.level or message.whole in SEEDS


@FUZZ
@given(st.binary(max_size=200))
def test_any_octets_are_a_message_or_a_ber_error(data: bytes) -> None:
    try:
        message = parse(data)
    except BerError:
        return
    assert message.whole == data[: len(message.whole)]
