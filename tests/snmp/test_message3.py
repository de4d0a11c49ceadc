"""The codec of SNMPv3 messages: vectors both ways, byte by byte, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.snmp.ber import BerError
from agent.snmp.message3 import (
    NOTHING,
    TSM,
    InvalidFlags,
    Level,
    Message,
    Scoped,
    Security,
    UnsupportedModel,
    encode,
    encode_scoped,
    encode_tsm,
    parse,
    scoped,
)
from tests.wire import number, text, tlv

PDU = bytes.fromhex("a00e0204000000010201000201003000")
ENGINE = bytes.fromhex("80001f888059dc486145a26322")

DISCOVERY = bytes.fromhex(
    "303e020103"  # message, version 3
    "301102042a3b4c5d0203" + "00ffe3" + "0401" + "04" + "020103"  # msgID, msgMaxSize 65507, reportable, USM
    "0410300e0400020100020100040004000400"  # no engine, no boots, no time, no user, no digest, no salt
    "3014040004" + "00" + PDU.hex()  # no context engine, the default context
)


def header(flags: bytes = b"\x04", size: int = 1500, model: int = 3, msg_id: int = 1) -> bytes:
    return tlv(0x30, number(msg_id) + number(size) + text(flags) + number(model))


def secured(
    engine: bytes = ENGINE, boots: int = 1, time: int = 2, user: bytes = b"u", digest: bytes = b"", salt: bytes = b""
) -> bytes:
    return text(tlv(0x30, text(engine) + number(boots) + number(time) + text(user) + text(digest) + text(salt)))


def payload() -> bytes:
    return tlv(0x30, text(ENGINE) + text(b"ctx") + PDU)


def whole(*parts: bytes) -> bytes:
    return tlv(0x30, number(3) + b"".join(parts))


def test_a_discovery_byte_by_byte() -> None:
    """RFC 3414, section 4."""
    found = parse(DISCOVERY)
    assert found.number == 0x2A3B4C5D
    assert found.max_size == 65507
    assert found.level is Level.NO_AUTH_NO_PRIV
    assert found.reportable
    assert found.security == Security(b"", 0, 0, b"", b"", b"")
    assert scoped(found.payload) == Scoped(b"", b"", PDU)
    made, _ = encode(0x2A3B4C5D, 65507, Level.NO_AUTH_NO_PRIV, found.security, found.payload, reportable=True)
    assert made == DISCOVERY


def test_a_message_byte_by_byte() -> None:
    data = whole(header(b"\x05"), secured(digest=b"d" * 12), payload())
    found = parse(data)
    assert (found.number, found.max_size, found.level, found.reportable) == (1, 1500, Level.AUTH_NO_PRIV, True)
    assert found.security == Security(ENGINE, 1, 2, b"u", b"d" * 12, b"")
    assert data[found.digest_at : found.digest_at + 12] == b"d" * 12
    assert found.whole == data
    assert scoped(found.payload) == Scoped(ENGINE, b"ctx", PDU)


def test_an_encrypted_payload_is_given_as_octets() -> None:
    found = parse(whole(header(b"\x03"), secured(digest=b"d" * 24, salt=b"s" * 8), text(b"encrypted")))
    assert found.payload == b"encrypted"
    assert found.level is Level.AUTH_PRIV
    assert not found.reportable


def test_octets_behind_the_message_are_under_its_digest_too() -> None:
    """The digest is one of all octets that arrived (RFC 3414, section 6.3.2), as net-snmp has it."""
    data = whole(header(), secured(), payload())
    assert parse(data + b"more").whole == data + b"more"
    assert parse(data + b"more").payload == payload()


def test_an_engine_id_of_any_length_is_one_of_somebody_else() -> None:
    """RFC 3414, section 3.2, step 3: it is unknown, and its sender is told so."""
    assert parse(whole(header(), secured(engine=bytes(33)), payload())).security.engine_id == bytes(33)


def test_a_scoped_pdu_in_clear_that_should_be_encrypted_decrypts_to_nothing() -> None:
    assert parse(whole(header(b"\x03"), secured(), payload())).payload == b""


def test_something_behind_the_pdu_is_ignored() -> None:
    assert scoped(tlv(0x30, text(ENGINE) + text(b"") + PDU + PDU)) == Scoped(ENGINE, b"", PDU)


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("version", tlv(0x30, number(2) + header() + secured() + payload())),
        ("small msgMaxSize", whole(header(size=483), secured(), payload())),
        ("negative msgMaxSize", whole(header(size=-1), secured(), payload())),
        ("negative msgID", whole(header(msg_id=-1), secured(), payload())),
        ("no flags", whole(header(b""), secured(), payload())),
        ("two octets of flags", whole(header(b"\x04\x00"), secured(), payload())),
        ("security model 0", whole(header(model=0), secured(), payload())),
        ("long user", whole(header(), secured(user=b"u" * 33), payload())),
        ("negative boots", whole(header(), secured(boots=-1), payload())),
        ("negative time", whole(header(), secured(time=-1), payload())),
        ("something behind the payload", whole(header(), secured(), payload(), number(1))),
        ("no payload", whole(header(), secured())),
        ("encrypted without the flag", whole(header(), secured(), text(b"encrypted"))),
        ("security in no octet string", whole(header(), tlv(0x30, b""), payload())),
        ("security of too little", whole(header(), text(tlv(0x30, text(ENGINE))), payload())),
        ("empty", b""),
    ],
)
def test_what_is_no_message(what: str, data: bytes) -> None:
    with pytest.raises(BerError):
        parse(data)


def test_privacy_without_authentication_is_told_apart() -> None:
    with pytest.raises(InvalidFlags):
        parse(whole(header(b"\x02"), secured(), text(b"")))


def test_another_security_model_is_told_apart() -> None:
    with pytest.raises(UnsupportedModel):
        parse(whole(header(model=4), text(b"whatever"), payload()))
    with pytest.raises(UnsupportedModel):
        parse(whole(header(), secured(), payload()), TSM)


TSM_GET = bytes.fromhex(
    "3033020103"  # message, version 3
    "301102042a3b4c5d0203" + "00ffff" + "0401" + "07" + "020104"  # msgID, msgMaxSize 65535, authPriv, reportable, TSM
    "0400"  # no security parameters
    "30190405" + "8000000006" + "0400" + PDU.hex()  # the engine that is asked, the default context
)


def test_a_message_of_the_transport_security_model_byte_by_byte() -> None:
    """RFC 5591, section 4: nothing in the security parameters, and the scoped PDU in clear although it is private."""
    found = parse(TSM_GET, TSM)
    assert (found.number, found.max_size, found.level, found.reportable) == (0x2A3B4C5D, 65535, Level.AUTH_PRIV, True)
    assert found.security == NOTHING
    assert scoped(found.payload) == Scoped(bytes.fromhex("8000000006"), b"", PDU)
    assert found.whole == TSM_GET
    assert encode_tsm(0x2A3B4C5D, 65535, Level.AUTH_PRIV, found.payload, reportable=True) == TSM_GET


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("security parameters", whole(header(b"\x03", model=4), text(b"x"), payload())),
        ("those of USM", whole(header(b"\x03", model=4), secured(), payload())),
        ("an encrypted payload", whole(header(b"\x03", model=4), text(b""), text(b"encrypted"))),
        ("no payload", whole(header(b"\x03", model=4), text(b""))),
        ("security in no octet string", whole(header(b"\x03", model=4), tlv(0x30, b""), payload())),
        ("privacy alone", whole(header(b"\x02", model=4), text(b""), payload())),
    ],
)
def test_what_is_no_message_of_the_transport_security_model(what: str, data: bytes) -> None:
    with pytest.raises(BerError):
        parse(data, TSM)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        text(b"x"),
        tlv(0x30, text(bytes(33)) + text(b"") + PDU),
        tlv(0x30, text(ENGINE) + text(b"")),
    ],
)
def test_what_is_no_scoped_pdu(data: bytes) -> None:
    with pytest.raises(BerError):
        scoped(data)


def test_padding_behind_a_scoped_pdu_is_ignored() -> None:
    assert scoped(payload() + bytes(7)) == Scoped(ENGINE, b"ctx", PDU)


small = st.integers(0, 2**31 - 1)
securities = st.builds(
    Security, st.binary(max_size=32), small, small, st.binary(max_size=32), st.binary(max_size=48), st.binary(max_size=8)
)  # fmt: skip


@settings(deadline=None)
@given(small, st.integers(484, 2**31 - 1), st.sampled_from(Level), securities, st.binary(max_size=300), st.booleans())
def test_what_is_encoded_is_parsed(
    msg_id: int, size: int, level: Level, security: Security, body: bytes, reportable: bool
) -> None:
    inner = body if level is Level.AUTH_PRIV else encode_scoped(Scoped(b"e", b"c", tlv(0xA0, body)))
    data, at = encode(msg_id, size, level, security, inner, reportable=reportable)
    assert parse(data) == Message(msg_id, size, level, reportable, security, at, inner, data)
    assert data[at : at + len(security.digest)] == security.digest


@settings(deadline=None)
@given(st.binary(max_size=32), st.binary(max_size=255), st.binary(max_size=300))
def test_a_scoped_pdu_that_is_encoded_is_parsed(engine: bytes, context: bytes, body: bytes) -> None:
    one = Scoped(engine, context, tlv(0xA0, body))
    assert scoped(encode_scoped(one)) == one


@settings(deadline=None)
@given(small, st.integers(484, 2**31 - 1), st.sampled_from(Level), st.binary(max_size=300), st.booleans())
def test_what_is_encoded_for_the_transport_security_model_is_parsed(
    msg_id: int, size: int, level: Level, body: bytes, reportable: bool
) -> None:
    inner = encode_scoped(Scoped(b"e", b"c", tlv(0xA0, body)))
    data = encode_tsm(msg_id, size, level, inner, reportable=reportable)
    found = parse(data, TSM)
    assert found == Message(msg_id, size, level, reportable, NOTHING, found.digest_at, inner, data)
