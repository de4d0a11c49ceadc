"""SNMPv3 messages for tests, by a plain codec of its own, so that the agent's codec is not checked against itself.

Keys and digests are made with hashlib and hmac, ciphers come from `cryptography`; nothing of agent/snmp is used. Every
part of a message can be given another value than the right one, since what is wrong is most of what tests send.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tests import wire
from tests.wire import Answer, Oid, number, taken, tlv

NO_AUTH, AUTH, PRIV = 0, 1, 3
"""Levels, as the flags say them."""
REPORTABLE = 4
USM = 3

HASHES = {"MD5": ("md5", 12), "SHA": ("sha1", 12), "SHA-224": ("sha224", 16), "SHA-256": ("sha256", 24),
          "SHA-384": ("sha384", 32), "SHA-512": ("sha512", 48)}  # fmt: skip
"""By the names net-snmp gives them: the hash, and the octets of its HMAC that travel."""
CIPHERS = {"DES": 16, "AES": 16, "AES-192": 24, "AES-256": 32, "AES-192-C": 24, "AES-256-C": 32}
"""By the names net-snmp gives them: the octets of the localised key. A name that ends in C is of Cisco's way."""

_salts = itertools.count(0x1020_3040_5060)


@functools.cache
def master_key(words: str, algorithm: str) -> bytes:
    """Ku of a passphrase (RFC 3414, section 2.6)."""
    octets = words.encode("latin-1")
    return hashlib.new(algorithm, (octets * (2**20 // len(octets) + 1))[: 2**20]).digest()


@functools.cache
def auth_key(words: str, auth: str, engine: bytes) -> bytes:
    algorithm = HASHES[auth][0]
    master = master_key(words, algorithm)
    return hashlib.new(algorithm, master + engine + master).digest()


@functools.cache
def priv_key(words: str, auth: str, priv: str, engine: bytes) -> bytes:
    algorithm, size = HASHES[auth][0], CIPHERS[priv]
    key = auth_key(words, auth, engine)
    last = key
    while len(key) < size:
        if priv.endswith("-C"):
            last = auth_key(last.decode("latin-1"), auth, engine)
            key += last
        else:
            key += hashlib.new(algorithm, key).digest()
    return key[:size]


@dataclass(frozen=True, kw_only=True)
class User:
    """A user with the protocols and passphrases it has; its level follows from them."""

    name: bytes
    auth: str | None = None
    words: str = "authentic words"
    priv: str | None = None
    secret: str = "private words"

    @property
    def level(self) -> int:
        return PRIV if self.priv else AUTH if self.auth else NO_AUTH

    def sign(self, engine: bytes, data: bytes) -> bytes:
        """The digest of a message that has zeros in the place of its digest."""
        assert self.auth
        algorithm, size = HASHES[self.auth]
        return hmac.new(auth_key(self.words, self.auth, engine), data, algorithm).digest()[:size]

    @property
    def digest_size(self) -> int:
        return HASHES[self.auth][1] if self.auth else 0

    def _cipher(self, engine: bytes, boots: int, time: int, salt: bytes) -> Cipher[CBC] | Cipher[CFB]:
        assert self.auth
        assert self.priv
        key = priv_key(self.secret, self.auth, self.priv, engine)
        if self.priv == "DES":
            vector = bytes(a ^ b for a, b in zip(key[8:], salt, strict=True))
            return Cipher(TripleDES(key[:8] * 3), CBC(vector))
        return Cipher(AES(key), CFB(boots.to_bytes(4, "big") + time.to_bytes(4, "big") + salt))

    def encrypt(self, engine: bytes, boots: int, time: int, salt: bytes, plain: bytes) -> bytes:
        if self.priv == "DES":
            plain += bytes(-len(plain) % 8)
        return self._cipher(engine, boots & 0xFFFF_FFFF, time & 0xFFFF_FFFF, salt).encryptor().update(plain)

    def decrypt(self, engine: bytes, boots: int, time: int, salt: bytes, data: bytes) -> bytes:
        return self._cipher(engine, boots, time, salt).decryptor().update(data)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """What discovery tells of an agent."""

    engine: bytes = b""
    boots: int = 0
    time: int = 0


def pdu(tag: int, bindings: Iterable[bytes], *, request: int = 1, first: int = 0, second: int = 0) -> bytes:
    return tlv(tag, number(request) + number(first) + number(second) + tlv(0x30, b"".join(bindings)))


def get(*names: Oid, tag: int = wire.GET, **more: int) -> bytes:
    """A PDU that asks for these variables."""
    return pdu(tag, map(wire.binding, names), **more)


def scoped(inner: bytes, engine: bytes, context: bytes = b"") -> bytes:
    return tlv(0x30, wire.text(engine) + wire.text(context) + inner)


@dataclass(frozen=True, kw_only=True)
class Message:
    """A request to be built. None stands for what is right; `damage` changes the octets before they are signed, and
    `plain` is what stands in the place of the scoped PDU."""

    user: User
    peer: Peer
    pdu: bytes
    level: int | None = None
    msg_id: int = 1
    size: int = 65507
    flags: bytes | None = None
    model: int = USM
    version: int = 3
    reportable: bool = True
    engine: bytes | None = None
    boots: int | None = None
    time: int | None = None
    name: bytes | None = None
    context_engine: bytes | None = None
    context: bytes = b""
    digest: Callable[[bytes], bytes] = lambda right: right
    salt: bytes | None = None
    plain: bytes | None = None
    encrypted: bytes | None = None
    trailing: bytes = b""

    def build(self) -> bytes:
        level = self.user.level if self.level is None else self.level
        engine = self.peer.engine if self.engine is None else self.engine
        boots = self.peer.boots if self.boots is None else self.boots
        time = self.peer.time if self.time is None else self.time
        flags = bytes([level | (REPORTABLE if self.reportable else 0)]) if self.flags is None else self.flags
        body = self.plain
        if body is None:
            whose = self.peer.engine if self.context_engine is None else self.context_engine
            body = scoped(self.pdu, whose, self.context)
        salt = b""
        if level & 2:
            salt = next(_salts).to_bytes(8, "big")
            octets = self.encrypted
            if octets is None:
                octets = self.user.encrypt(self.peer.engine, boots, time, salt, body) if self.user.priv else body
            body = wire.text(octets)
            salt = salt if self.salt is None else self.salt
        header = number(self.msg_id) + number(self.size) + wire.text(flags) + number(self.model)
        name = self.user.name if self.name is None else self.name

        def whole(digest: bytes) -> bytes:
            parameters = tlv(0x30, b"".join((wire.text(engine), number(boots), number(time), wire.text(name),
                                             wire.text(digest), wire.text(salt))))  # fmt: skip
            return tlv(0x30, number(self.version) + tlv(0x30, header) + wire.text(parameters) + body)

        if not level & 1 or not self.user.auth:
            return whole(self.digest(b"")) + self.trailing
        right = self.user.sign(self.peer.engine, whole(bytes(self.user.digest_size)))
        return whole(self.digest(right)) + self.trailing

    def but(self, **changes: object) -> Message:
        return replace(self, **changes)  # type: ignore[arg-type]


def message(user: User, peer: Peer, inner: bytes, **more: object) -> bytes:
    """A request as octets; `more` are fields of Message."""
    return Message(user=user, peer=peer, pdu=inner, **more).build()  # type: ignore[arg-type]


def discovery(msg_id: int = 1, request: int = 1) -> bytes:
    """The message by which an engine is discovered (RFC 3414, section 4)."""
    return message(User(name=b""), Peer(), get(request=request), msg_id=msg_id)


@dataclass(frozen=True, kw_only=True)
class Answer3:
    """An answer taken apart: `kind` is the tag of its PDU, `peer` what its header says of the agent, `answer` the rest."""

    msg_id: int
    size: int
    level: int
    reportable: bool
    peer: Peer
    user: bytes
    context_engine: bytes
    context: bytes
    kind: int
    answer: Answer

    @property
    def counter(self) -> Oid:
        """The variable of a report."""
        assert self.kind == wire.REPORT
        (name,) = self.answer.names
        return name


def answered_user(data: bytes) -> bytes:
    """The user name in a message."""
    _, inner, _ = taken(data, 0x30)
    for _ in range(2):
        _, _, inner = taken(inner)
    _, security, _ = taken(taken(inner, wire.OCTETS)[1], 0x30)
    for _ in range(3):
        _, _, security = taken(security)
    return taken(security, wire.OCTETS)[1]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A message whose digest is right, and which was decrypted: its header, and from the scoped PDU on what it says."""

    msg_id: int
    size: int
    flags: int
    peer: Peer
    user: bytes
    plain: bytes


def opened(data: object, user: User | None = None) -> Opened:
    """A message for this user, genuine if it is said to be authenticated; or an AssertionError."""
    assert isinstance(data, bytes), f"no answer but {data!r}"
    _, inner, rest = taken(data, 0x30)
    assert not rest
    _, version, inner = taken(inner, wire.INTEGER)
    assert version == b"\x03"
    _, header, inner = taken(inner, 0x30)
    _, msg_id, header = taken(header, wire.INTEGER)
    _, size, header = taken(header, wire.INTEGER)
    _, flags, header = taken(header, wire.OCTETS)
    _, model, rest = taken(header, wire.INTEGER)
    assert (model, rest, len(flags)) == (bytes([USM]), b"", 1)
    _, security, body = taken(inner, wire.OCTETS)
    _, security, rest = taken(security, 0x30)
    assert not rest
    _, engine, security = taken(security, wire.OCTETS)
    _, boots, security = taken(security, wire.INTEGER)
    _, time, security = taken(security, wire.INTEGER)
    _, name, security = taken(security, wire.OCTETS)
    _, digest, security = taken(security, wire.OCTETS)
    _, salt, rest = taken(security, wire.OCTETS)
    assert not rest
    peer = Peer(engine=engine, boots=wire.whole(boots), time=wire.whole(time))
    level = flags[0] & 3
    assert level != 2
    if level & 1:
        assert user is not None, "authenticated for nobody"
        assert len(digest) == user.digest_size
        at = len(data) - len(body) - len(digest) - 2 - len(salt)
        assert data[at : at + len(digest)] == digest
        zeroed = data[:at] + bytes(len(digest)) + data[at + len(digest) :]
        assert user.sign(engine, zeroed) == digest, "a wrong digest"
    if level & 2:
        assert user is not None
        _, octets, rest = taken(body, wire.OCTETS)
        assert not rest
        body = user.decrypt(engine, peer.boots, peer.time, salt, octets)
    return Opened(
        msg_id=wire.whole(msg_id), size=wire.whole(size), flags=flags[0], peer=peer, user=name, plain=body
    )  # fmt: skip


def answered(data: object, user: User | None = None) -> Answer3:
    """A well-formed answer for this user; or an AssertionError."""
    told = opened(data, user)
    level = told.flags & 3
    _, inner, padding = taken(told.plain, 0x30)
    assert len(padding) < 8 if level & 2 else not padding
    _, context_engine, inner = taken(inner, wire.OCTETS)
    _, context, inner = taken(inner, wire.OCTETS)
    kind, _, rest = taken(inner)
    assert not rest
    assert kind in (wire.RESPONSE, wire.REPORT), f"{kind:#x} is no answer"
    assert isinstance(data, bytes)
    return Answer3(
        msg_id=told.msg_id, size=told.size, level=level, reportable=bool(told.flags & REPORTABLE), peer=told.peer,
        user=told.user, context_engine=context_engine, context=context, kind=kind,
        answer=wire.response(inner, b"", len(data)),
    )  # fmt: skip
