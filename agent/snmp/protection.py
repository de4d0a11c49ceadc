"""The authentication and privacy protocols of SNMPv3: from a passphrase to a digest, and to encrypted octets and back.

Authentication is HMAC with MD5 and SHA-1 (RFC 3414, sections 6 and 7) or with the SHA-2 family (RFC 7860). Privacy is
DES in CBC mode (RFC 3414, section 8), AES of 128 bits in CFB mode (RFC 3826), and AES of 192 and 256 bits, which no RFC
defines: the mode is that of RFC 3826, and a localised key that is too short is lengthened either as
draft-blumenthal-aes-usm-04 does it or as draft-reeder-snmpv3-usm-3desede-00 does it (Cisco's way). Managers offer both.

What depends on the key alone is made once: HMAC objects are kept keyed and copied, cipher keys are kept as objects.
Engine, boots and time are values given in; nothing here knows a clock. The counters behind the salts are the only state.
"""

import enum
import hashlib
import hmac
import itertools
import secrets
from typing import Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, ECB
from cryptography.hazmat.primitives.hmac import HMAC

PASSPHRASE_OCTETS = 1 << 20
"""A passphrase is repeated to this length before it is hashed (RFC 3414, section 2.6)."""

SHORT = 512
"""Octets up to which AES is done block by block."""

SALT = 8
"""Octets of msgPrivacyParameters, with every privacy protocol."""


class DecryptionError(ValueError):
    """These octets cannot have been encrypted by this protocol."""


class AuthProtocol(enum.Enum):
    """An authentication protocol: its name, the hash it uses, and how many octets of the HMAC travel."""

    MD5 = ("MD5", "md5", 12)
    SHA1 = ("SHA", "sha1", 12)
    SHA224 = ("SHA-224", "sha224", 16)
    SHA256 = ("SHA-256", "sha256", 24)
    SHA384 = ("SHA-384", "sha384", 32)
    SHA512 = ("SHA-512", "sha512", 48)

    def __init__(self, label: str, hash_name: str, truncated: int) -> None:
        self.label = label
        self.hash_name = hash_name
        self.truncated = truncated

    def hash(self, data: bytes) -> bytes:
        return hashlib.new(self.hash_name, data).digest()


class Extension(enum.Enum):
    """How a localised key is lengthened."""

    NONE = "none"
    BLUMENTHAL = "blumenthal"
    REEDER = "reeder"


class PrivProtocol(enum.Enum):
    """A privacy protocol: its name, the octets of its localised key, and how a shorter one is lengthened."""

    DES = ("DES", 16, Extension.NONE)
    AES128 = ("AES", 16, Extension.NONE)
    AES192 = ("AES-192", 24, Extension.BLUMENTHAL)
    AES256 = ("AES-256", 32, Extension.BLUMENTHAL)
    AES192_REEDER = ("AES-192-C", 24, Extension.REEDER)
    AES256_REEDER = ("AES-256-C", 32, Extension.REEDER)

    def __init__(self, label: str, key_octets: int, extension: Extension) -> None:
        self.label = label
        self.key_octets = key_octets
        self.extension = extension


def password_to_key(passphrase: bytes, auth: AuthProtocol) -> bytes:
    """The key Ku of a passphrase (RFC 3414, appendix A.2). ValueError if the passphrase is empty."""
    if not passphrase:
        raise ValueError("an empty passphrase")
    times, rest = divmod(PASSPHRASE_OCTETS, len(passphrase))
    return auth.hash(passphrase * times + passphrase[:rest])


def localized(key: bytes, engine_id: bytes, auth: AuthProtocol) -> bytes:
    """The key Kul that is good for one engine only (RFC 3414, section 2.6)."""
    return auth.hash(key + engine_id + key)


def privacy_key(key: bytes, engine_id: bytes, auth: AuthProtocol, priv: PrivProtocol) -> bytes:
    """The localised key of a privacy protocol, of the length that it needs, from the Ku of its passphrase."""
    out = localized(key, engine_id, auth)
    last = out
    while len(out) < priv.key_octets:
        if priv.extension is Extension.BLUMENTHAL:
            out += auth.hash(out)
        else:  # the last piece is taken for a passphrase, and its key localised
            last = localized(password_to_key(last, auth), engine_id, auth)
            out += last
    return out[: priv.key_octets]


_HASHES: dict[str, hashes.HashAlgorithm] = {
    "md5": hashes.MD5(),
    "sha1": hashes.SHA1(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


class Authenticator:
    """Makes and checks the digests of one localised key."""

    __slots__ = ("_keyed", "octets", "zeros")

    def __init__(self, protocol: AuthProtocol, key: bytes) -> None:
        self._keyed = HMAC(key, _HASHES[protocol.hash_name])
        self.octets = protocol.truncated
        self.zeros = bytes(self.octets)

    def digest(self, message: bytes) -> bytes:
        """The digest of a message whose msgAuthenticationParameters are zeros."""
        copied = self._keyed.copy()  # half as long as the copy of an object of the standard library
        copied.update(message)
        return copied.finalize()[: self.octets]

    def signed(self, message: bytes, at: int) -> bytes:
        """A message with its digest in the place of the zeros at `at`."""
        return self.joined(message[:at], message[at + self.octets :])

    def joined(self, before: bytes, behind: bytes) -> bytes:
        """A message, from what stands before its digest and what stands behind it."""
        return b"".join((before, self.digest(b"".join((before, self.zeros, behind))), behind))

    def genuine(self, message: bytes, at: int, digest: bytes) -> bool:
        """Whether the digest, which stands in the message at `at`, is that of the message; in constant time."""
        if len(digest) != self.octets:
            return False
        copied = self._keyed.copy()
        copied.update(b"".join((message[:at], self.zeros, message[at + self.octets :])))
        return hmac.compare_digest(copied.finalize()[: self.octets], digest)


class Privacy(Protocol):
    """Encrypts and decrypts with one localised key."""

    def encrypt(self, plain: bytes, boots: int, time: int) -> tuple[bytes, bytes]:
        """The encrypted octets, and the salt that travels as msgPrivacyParameters; no salt is ever used twice."""
        ...

    def decrypt(self, encrypted: bytes, salt: bytes, boots: int, time: int) -> bytes:
        """What was encrypted, maybe with padding behind it. DecryptionError if it cannot be."""
        ...


class DesPrivacy:
    """DES-CBC (RFC 3414, section 8.1.1). Single DES is EDE with three equal keys, which libraries still carry."""

    __slots__ = ("_algorithm", "_counter", "_mask")

    def __init__(self, key: bytes) -> None:
        self._algorithm = TripleDES(key[:8] * 3)
        self._mask = int.from_bytes(key[8:16], "big")
        self._counter = itertools.count(secrets.randbits(32))

    def _cipher(self, salt: bytes) -> "Cipher[CBC]":
        vector = (self._mask ^ int.from_bytes(salt, "big")).to_bytes(8, "big")
        return Cipher(self._algorithm, CBC(vector))

    def encrypt(self, plain: bytes, boots: int, time: int) -> tuple[bytes, bytes]:
        salt = boots.to_bytes(4, "big") + (next(self._counter) & 0xFFFF_FFFF).to_bytes(4, "big")
        padded = plain + bytes(-len(plain) % 8)
        return self._cipher(salt).encryptor().update(padded), salt

    def decrypt(self, encrypted: bytes, salt: bytes, boots: int, time: int) -> bytes:
        if len(salt) != SALT or len(encrypted) % 8:
            raise DecryptionError("a salt or text of a wrong length")
        return self._cipher(salt).decryptor().update(encrypted)


class AesPrivacy:
    """AES-CFB-128 (RFC 3826, section 3), for keys of any length that AES takes."""

    __slots__ = ("_algorithm", "_block", "_counter")

    def __init__(self, key: bytes) -> None:
        self._algorithm = AES(key)
        self._block = Cipher(self._algorithm, ECB()).encryptor()
        self._counter = itertools.count(secrets.randbits(64))

    def _cipher(self, salt: bytes, boots: int, time: int) -> "Cipher[CFB]":
        return Cipher(self._algorithm, CFB(boots.to_bytes(4, "big") + time.to_bytes(4, "big") + salt))

    def encrypt(self, plain: bytes, boots: int, time: int) -> tuple[bytes, bytes]:
        salt = (next(self._counter) & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "big")
        return self._cipher(salt, boots, time).encryptor().update(plain), salt

    def decrypt(self, encrypted: bytes, salt: bytes, boots: int, time: int) -> bytes:
        if len(salt) != SALT:
            raise DecryptionError("a salt of a wrong length")
        size = len(encrypted)
        if size > SHORT:
            return self._cipher(salt, boots, time).decryptor().update(encrypted)
        # What CFB decrypts with are the vector and the encrypted blocks, each enciphered by itself: the object that does
        # that is made once, while one for CFB would have to be made for each message, in three times the time.
        vector = boots.to_bytes(4, "big") + time.to_bytes(4, "big") + salt
        stream = self._block.update(vector + encrypted[: (size - 1) // 16 * 16])
        return (int.from_bytes(encrypted, "big") ^ int.from_bytes(stream[:size], "big")).to_bytes(size, "big")


def privacy(protocol: PrivProtocol, key: bytes) -> Privacy:
    """Privacy with a localised key of the length that the protocol needs."""
    return DesPrivacy(key) if protocol is PrivProtocol.DES else AesPrivacy(key)
