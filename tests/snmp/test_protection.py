"""Keys, digests and encryption of SNMPv3, against published vectors and against plain use of the primitives."""

from __future__ import annotations

import hashlib
import hmac
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.snmp.protection import (
    AesPrivacy,
    Authenticator,
    AuthProtocol,
    DecryptionError,
    DesPrivacy,
    PrivProtocol,
    localized,
    password_to_key,
    privacy,
    privacy_key,
)

ENGINE = bytes.fromhex("000000000000000000000002")
MAPLE = b"maplesyrup"


@pytest.mark.parametrize(
    ("auth", "key", "local"),
    [
        (AuthProtocol.MD5, "9faf3283884e92834ebc9847d8edd963", "526f5eed9fcce26f8964c2930787d82b"),
        (
            AuthProtocol.SHA1,
            "9fb5cc0381497b3793528939ff788d5d79145211",
            "6695febc9288e36282235fc7151f128497b38f3f",
        ),
    ],
)
def test_keys_of_rfc_3414_appendix_a_3(auth: AuthProtocol, key: str, local: str) -> None:
    made = password_to_key(MAPLE, auth)
    assert made.hex() == key
    assert localized(made, ENGINE, auth).hex() == local


@pytest.mark.parametrize(
    ("auth", "key"),
    [
        (AuthProtocol.MD5, "526f5eed9fcce26f8964c2930787d82b79eff44a90650ee0a3a40abfac5acc12"),
        (AuthProtocol.SHA1, "6695febc9288e36282235fc7151f128497b38f3f9b8b6d78936ba6e7d19dfd9cd2d5065547743fb5"),
    ],
)
def test_keys_lengthened_as_in_the_draft_of_reeder(auth: AuthProtocol, key: str) -> None:
    made = privacy_key(password_to_key(MAPLE, auth), ENGINE, auth, PrivProtocol.AES256_REEDER)
    assert made.hex() == key[:64]


def test_a_key_lengthened_as_blumenthal_does_it_goes_on_with_the_hash_of_all_before() -> None:
    key = password_to_key(MAPLE, AuthProtocol.MD5)
    first = localized(key, ENGINE, AuthProtocol.MD5)
    second = hashlib.md5(first).digest()
    assert privacy_key(key, ENGINE, AuthProtocol.MD5, PrivProtocol.AES256) == first + second
    assert privacy_key(key, ENGINE, AuthProtocol.MD5, PrivProtocol.AES192) == (first + second)[:24]


@pytest.mark.parametrize(("auth", "priv"), [*itertools.product(AuthProtocol, PrivProtocol)])
def test_every_key_has_the_length_that_its_protocol_needs(auth: AuthProtocol, priv: PrivProtocol) -> None:
    assert len(privacy_key(b"k" * 16, ENGINE, auth, priv)) == priv.key_octets


def test_an_empty_passphrase_has_no_key() -> None:
    with pytest.raises(ValueError, match="empty"):
        password_to_key(b"", AuthProtocol.SHA256)


@pytest.mark.parametrize("auth", AuthProtocol)
def test_a_digest_is_the_truncated_hmac_of_the_message_with_zeros(auth: AuthProtocol) -> None:
    """RFC 3414, section 6.3.1, and RFC 7860, section 4.2.1."""
    one = Authenticator(auth, b"key of some length")
    message = b"before" + one.zeros + b"after"
    expected = hmac.new(b"key of some length", message, auth.hash_name).digest()[: auth.truncated]
    signed = one.signed(message, 6)
    assert signed == b"before" + expected + b"after"
    assert one.genuine(signed, 6, expected)
    assert one.genuine(signed, 6, expected), "a kept HMAC is used up"


@pytest.mark.parametrize("auth", AuthProtocol)
@settings(deadline=None)
@given(place=st.integers(0, 200), bit=st.integers(0, 7))
def test_no_bit_of_a_message_can_change(auth: AuthProtocol, place: int, bit: int) -> None:
    one = Authenticator(auth, b"key")
    signed = bytearray(one.signed(b"before" + one.zeros + b"after" * 20, 6))
    signed[place % len(signed)] ^= 1 << bit
    changed = bytes(signed)
    assert not one.genuine(changed, 6, changed[6 : 6 + one.octets])


def test_a_shortened_digest_is_none() -> None:
    one = Authenticator(AuthProtocol.SHA256, b"key")
    signed = one.signed(one.zeros + b"message", 0)
    for size in range(one.octets):
        assert not one.genuine(signed, 0, signed[:size])


@pytest.mark.parametrize("protocol", PrivProtocol)
@settings(deadline=None)
@given(plain=st.binary(max_size=300), boots=st.integers(0, 2**31 - 1), time=st.integers(0, 2**31 - 1))
def test_what_is_encrypted_is_decrypted(protocol: PrivProtocol, plain: bytes, boots: int, time: int) -> None:
    one = privacy(protocol, bytes(range(protocol.key_octets)))
    other = privacy(protocol, bytes(range(protocol.key_octets)))
    encrypted, salt = one.encrypt(plain, boots, time)
    assert len(salt) == 8
    found = other.decrypt(encrypted, salt, boots, time)
    assert found[: len(plain)] == plain
    assert not any(found[len(plain) :])
    assert len(found) - len(plain) < 8


@pytest.mark.parametrize("protocol", PrivProtocol)
def test_no_salt_is_used_twice(protocol: PrivProtocol) -> None:
    one = privacy(protocol, bytes(protocol.key_octets))
    made = [one.encrypt(b"the same text", 1, 1) for _ in range(100)]
    assert len({salt for _, salt in made}) == 100
    assert len({text for text, _ in made}) == 100


def test_des_as_published() -> None:
    """FIPS 81, table B1 gives the text and the key of the classic example; in CBC the first block of a zero vector."""
    one = DesPrivacy(bytes.fromhex("0123456789abcdef") + bytes(8))
    plain = one.decrypt(bytes.fromhex("3fa40e8a984d4815"), bytes(8), 0, 0)
    assert plain == b"Now is t"


def test_the_vector_of_des_is_key_and_salt_together() -> None:
    """RFC 3414, section 8.1.1.1: the salt is exclusive-ored with the second half of the key."""
    mask = bytes.fromhex("1122334455667788")
    one = DesPrivacy(bytes.fromhex("0123456789abcdef") + mask)
    assert one.decrypt(bytes.fromhex("3fa40e8a984d4815"), mask, 7, 9) == b"Now is t"


def test_the_salt_of_des_begins_with_the_boots() -> None:
    _, salt = DesPrivacy(bytes(16)).encrypt(b"text", 0x01020304, 5)
    assert salt[:4] == b"\x01\x02\x03\x04"


def test_aes_as_published() -> None:
    """NIST SP 800-38A, F.3.13: CFB128-AES128; its vector is what boots, time and salt make together (RFC 3826, 3.1.4.1)."""
    one = AesPrivacy(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
    cipher = bytes.fromhex("3b3fd92eb72dad20333449f8e83cfb4ac8a64537a0b3a93fcde3cdad9f1ce58b")
    plain = one.decrypt(cipher, bytes.fromhex("08090a0b0c0d0e0f"), 0x00010203, 0x04050607)
    assert plain.hex() == "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"


def test_aes_of_256_bits_as_published() -> None:
    """NIST SP 800-38A, F.3.17: CFB128-AES256."""
    one = AesPrivacy(bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"))
    plain = one.decrypt(
        bytes.fromhex("dc7e84bfda79164b7ecd8486985d3860"), bytes.fromhex("08090a0b0c0d0e0f"), 0x00010203, 0x04050607
    )
    assert plain.hex() == "6bc1bee22e409f96e93d7e117393172a"


@pytest.mark.parametrize(
    ("protocol", "text", "salt"),
    [
        (PrivProtocol.DES, b"seven..", b"8 octets"),
        (PrivProtocol.DES, b"8 octets", b"seven.."),
        (PrivProtocol.AES128, b"anything", b""),
        (PrivProtocol.AES256, b"anything", b"nine octs"),
    ],
)
def test_a_salt_or_text_of_a_wrong_length_is_an_error_of_decryption(
    protocol: PrivProtocol, text: bytes, salt: bytes
) -> None:
    with pytest.raises(DecryptionError):
        privacy(protocol, bytes(protocol.key_octets)).decrypt(text, salt, 1, 1)
