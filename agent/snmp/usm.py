"""The User-based Security Model (RFC 3414), on the side of the authoritative engine: who sent a message, is it genuine,
is it timely, and what does it say; and the protection of the answer.

No clock and no socket: engine ID and boots are given once, the engine time with each message. What is refused has a
counter of the usmStats group and gets a report, by which managers discover the engine, its boots and its time (section
4); a manager may also leave the engine ID of the context open, as RFC 5343 lets it.

A message that is genuine and timely is still good for 150 seconds, to whoever recorded it. Reading twice is harmless;
that nothing is *done* twice is seen to by `Replays`, which remembers the digests of messages that change something.
"""

import enum
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from agent.schema.types import Secret
from agent.snmp import ber
from agent.snmp.ber import BerError
from agent.snmp.message import CONFIRMED, Pdu, varbind
from agent.snmp.message3 import (
    HIGHEST,
    MAX_ENGINE_ID,
    MAX_NAME,
    Level,
    Message,
    Scoped,
    Security,
    encode,
    encode_scoped,
    scoped,
    usual,
)
from agent.snmp.protection import (
    Authenticator,
    AuthProtocol,
    DecryptionError,
    Privacy,
    PrivProtocol,
    localized,
    password_to_key,
    privacy,
    privacy_key,
)

WINDOW = 150
"""Seconds by which a message may be early or late (RFC 3414, section 2.2.3)."""

SHORTEST_PASSPHRASE = 8
"""RFC 3414, section 11.2, and every manager."""

REPLAYS = 32_768
"""Messages that change something, remembered at a time: over a hundred a second, all the time they are good for."""

OPEN_ENGINE_ID = bytes.fromhex("8000000006")
"""The contextEngineID that stands for the engine that is asked, whichever it is (RFC 5343, section 3.1)."""

REPORT_SIZE = 65_507
"""msgMaxSize in what we send: what a datagram over IPv4 can carry to us."""


_FRAME = 4 + 3 + 19 + (3 + 3) + 2 + 6 + 6 + 2 + 2 + 10 + (4 + 7) + 4 + 2 + 3
"""What a message has at most beside its PDU, its names and its digest: its own header, version, msgGlobalData, the headers
of the security parameters, engine ID, boots, time, user and digest, the salt, the header and padding of what is encrypted,
and the headers of the scoped PDU, contextEngineID and contextName."""

_HEADERS = {level: ber.encode_integer(REPORT_SIZE) + b"\x04\x01" + bytes((level,)) + b"\x02\x01\x03" for level in Level}
"""What follows msgID in the header of an answer."""


class Stat(enum.IntEnum):
    """The counters of the usmStats group, by the last arc of each."""

    UNSUPPORTED_SEC_LEVELS = 1
    NOT_IN_TIME_WINDOWS = 2
    UNKNOWN_USER_NAMES = 3
    UNKNOWN_ENGINE_IDS = 4
    WRONG_DIGESTS = 5
    DECRYPTION_ERRORS = 6

    @property
    def oid(self) -> tuple[int, ...]:
        """The instance of the counter."""
        return (1, 3, 6, 1, 6, 3, 15, 1, 1, self.value, 0)


class Refused(Exception):
    """A message that USM lets nobody see. The counter has been increased; `report` answers the sender, if it wants that."""

    def __init__(self, stat: Stat) -> None:
        super().__init__(stat.name)
        self.stat = stat


@dataclass(frozen=True, kw_only=True)
class User:
    """A user as configured. Without `auth` nothing is authenticated; without `priv` nothing encrypted.

    ValueError if name or passphrases cannot be, or if there is privacy without authentication.
    """

    name: str
    auth: AuthProtocol | None = None
    auth_passphrase: Secret | None = None
    priv: PrivProtocol | None = None
    priv_passphrase: Secret | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.name.encode()) <= MAX_NAME:
            raise ValueError("a user name has 1 to 32 octets")
        if (self.auth is None) is not (self.auth_passphrase is None):
            raise ValueError("an authentication protocol and its passphrase go together")
        if (self.priv is None) is not (self.priv_passphrase is None):
            raise ValueError("a privacy protocol and its passphrase go together")
        if self.priv is not None and self.auth is None:
            raise ValueError("there is no privacy without authentication")
        for passphrase in (self.auth_passphrase, self.priv_passphrase):
            if passphrase is not None and len(passphrase.reveal().encode()) < SHORTEST_PASSPHRASE:
                raise ValueError(f"a passphrase has at least {SHORTEST_PASSPHRASE} octets")

    @property
    def level(self) -> Level:
        """The strongest protection that the user can have."""
        if self.priv is not None:
            return Level.AUTH_PRIV
        return Level.AUTH_NO_PRIV if self.auth is not None else Level.NO_AUTH_NO_PRIV


class Stamp(NamedTuple):
    """The security parameters that a user's messages have in common for a second: what stands before the digest, and what
    stands behind it and before the salt, which has so many octets."""

    time: int
    salt: int
    before: bytes
    behind: bytes


class LocalUser:
    """A user with the keys that are good for one engine, ready for use."""

    __slots__ = ("authenticator", "before_digest", "level", "name", "octets", "privacy", "stamp")

    def __init__(self, user: User, engine_id: bytes) -> None:
        self.name = user.name
        self.octets = user.name.encode()
        self.before_digest = ber.element(ber.OCTETS, self.octets)
        self.level = user.level
        self.authenticator: Authenticator | None = None
        self.privacy: Privacy | None = None
        self.stamp = Stamp(-1, 0, b"", b"")
        if user.auth is None or user.auth_passphrase is None:
            return
        key = password_to_key(user.auth_passphrase.reveal().encode(), user.auth)
        self.authenticator = Authenticator(user.auth, localized(key, engine_id, user.auth))
        self.before_digest += b"\x04" + ber.length(user.auth.truncated)
        if user.priv is not None and user.priv_passphrase is not None:
            key = password_to_key(user.priv_passphrase.reveal().encode(), user.auth)
            self.privacy = privacy(user.priv, privacy_key(key, engine_id, user.auth, user.priv))


class Opened(NamedTuple):
    """A message that is what it claims to be: who sent it, how it was protected, and what it says."""

    message: Message
    user: LocalUser
    level: Level
    scoped: Scoped


def engine_id(identity: bytes, enterprise: int = 36957) -> bytes:
    """An snmpEngineID of the format that holds octets which the enterprise assigns (RFC 3411, section 5).

    `identity` has 1 to 27 octets, different on every host; keep it, for managers keep keys localised to it.
    """
    if not 1 <= len(identity) <= MAX_ENGINE_ID - 5:
        raise ValueError("an engine ID has 5 to 32 octets")
    return (0x8000_0000 | enterprise).to_bytes(4, "big") + b"\x05" + identity


class Usm:
    """Opens and protects the messages of one authoritative engine. `boots` counts its starts (section 2.2)."""

    def __init__(self, engine_id: bytes, boots: int, users: Iterable[User] = ()) -> None:
        if not 5 <= len(engine_id) <= MAX_ENGINE_ID:
            raise ValueError("an engine ID has 5 to 32 octets")
        if not 0 <= boots <= HIGHEST:
            raise ValueError("boots beyond 31 bits")
        self.engine_id = engine_id
        self.boots = boots
        self.counters = dict.fromkeys(Stat, 0)
        self.usual = usual(engine_id, boots)
        self._known = ber.element(ber.OCTETS, engine_id) + ber.encode_integer(boots)
        self._users: dict[bytes, LocalUser] = {}
        self._configured: dict[User, LocalUser] = {}
        self.renew(users)

    def renew(self, users: Iterable[User]) -> None:
        """Other users from now on; counters, boots and engine ID stay. Keys are made for those only that changed."""
        known = self._configured
        self._configured = {u: known.get(u) or LocalUser(u, self.engine_id) for u in users}
        self._users = {u.name.encode(): local for u, local in self._configured.items()}

    def user(self, name: str) -> LocalUser:
        """A user with his keys. KeyError if there is none of this name."""
        return self._users[name.encode()]

    def open(self, message: Message, time: int) -> Opened:
        """What a message says, by the order of RFC 3414, section 3.2. Refused if it cannot be trusted; BerError if
        what it says in clear cannot be understood. `time` is the engine time, in seconds.
        """
        security, level = message.security, message.level
        if security.engine_id != self.engine_id:
            raise self._refused(Stat.UNKNOWN_ENGINE_IDS)
        user = self._users.get(security.user)
        if user is None:
            raise self._refused(Stat.UNKNOWN_USER_NAMES)
        if level > user.level:
            raise self._refused(Stat.UNSUPPORTED_SEC_LEVELS)
        if level and user.authenticator is not None:
            if not user.authenticator.genuine(message.whole, message.digest_at, security.digest):
                raise self._refused(Stat.WRONG_DIGESTS)
            if not self._timely(security, time):
                raise self._refused(Stat.NOT_IN_TIME_WINDOWS)
            if level is Level.AUTH_PRIV and user.privacy is not None:
                return Opened(message, user, level, self._decrypted(user.privacy, message.payload, security))
        return Opened(message, user, level, scoped(message.payload))

    def _timely(self, security: Security, time: int) -> bool:
        """RFC 3414, section 3.2, step 7a: an engine that has used up its boots takes nothing any more."""
        return self.boots != HIGHEST and security.boots == self.boots and abs(security.time - time) <= WINDOW

    def _decrypted(self, privacy: Privacy, payload: bytes, security: Security) -> Scoped:
        """What was encrypted. A wrong key shows in octets that are no scoped PDU, which is said as what it most likely is.

        RFC 3412 would have that counted as a parse error and left unanswered, and its manager puzzled.
        """
        try:
            return scoped(privacy.decrypt(payload, security.salt, security.boots, security.time))
        except (DecryptionError, BerError):
            raise self._refused(Stat.DECRYPTION_ERRORS) from None

    def _refused(self, stat: Stat) -> Refused:
        self.counters[stat] += 1
        return Refused(stat)

    def seal(self, opened: Opened, answer: Scoped, time: int) -> bytes:
        """The answer to a message, protected as that was."""
        return self._message(opened.message, opened.user, opened.level, answer, time)

    def overhead(self, opened: Opened) -> int:
        """Octets by which an answer is at most longer than its PDU."""
        said = opened.scoped
        digest = opened.user.authenticator.octets if opened.user.authenticator is not None else 0
        names = len(self.engine_id) + len(said.engine_id) + len(said.context) + len(opened.user.octets)
        return _FRAME + digest + names

    def report(self, message: Message, refused: Refused, time: int) -> bytes | None:
        """The report that answers a refused message (RFC 3412, section 7.1, step 3); None if its sender wants none.

        It is authenticated only where the sender has to trust what it says of our clock.
        """
        if not _answerable(message):
            return None
        user: LocalUser | None = None
        level = Level.NO_AUTH_NO_PRIV
        if refused.stat is Stat.NOT_IN_TIME_WINDOWS:
            user, level = self._users[message.security.user], Level.AUTH_NO_PRIV
        body = Scoped(self.engine_id, b"", report_pdu(message, refused.stat.oid, self.counters[refused.stat]))
        return self._message(message, user, level, body, time)

    def _message(self, asked: Message, user: LocalUser | None, level: Level, body: Scoped, time: int) -> bytes:
        plain = encode_scoped(body)
        if user is None or user.authenticator is None or not level:
            name = user.octets if user is not None else asked.security.user
            security = Security(self.engine_id, self.boots, time, name, b"", b"")
            return encode(asked.number, REPORT_SIZE, level, security, plain)[0]
        return self.protected(ber.encode_integer(asked.number), user, user.authenticator, level, plain, time)

    def protected(
        self, number: bytes, user: LocalUser, authenticator: Authenticator, level: Level, plain: bytes, time: int
    ) -> bytes:
        """A scoped PDU as an authenticated message, encrypted if the level says so; `number` is msgID as an element."""
        salt = b""
        if level is Level.AUTH_PRIV and user.privacy is not None:
            encrypted, salt = user.privacy.encrypt(plain, self.boots, time)
            plain = b"\x04" + ber.length(len(encrypted)) + encrypted
        stamp = user.stamp
        if stamp.time != time or stamp.salt != len(salt):
            stamp = user.stamp = self._stamped(user, authenticator, time, len(salt))
        header = _HEADERS[level]
        lead = b"".join((b"\x02\x01\x03\x30", ber.length(len(number) + len(header)), number, header, stamp.before))
        behind = stamp.behind + salt + plain
        head = b"\x30" + ber.length(len(lead) + authenticator.octets + len(behind))
        return authenticator.joined(head + lead, behind)

    def _stamped(self, user: LocalUser, authenticator: Authenticator, time: int, salt: int) -> "Stamp":
        """The security parameters of all messages of this second."""
        before = self._known + ber.encode_integer(time) + user.before_digest
        behind = b"\x04" + ber.length(salt)
        inner = b"\x30" + ber.length(len(before) + authenticator.octets + len(behind) + salt)
        outer = b"\x04" + ber.length(len(inner) + len(before) + authenticator.octets + len(behind) + salt)
        return Stamp(time, salt, outer + inner + before, behind)


def report_pdu(message: Message, counter: tuple[int, ...], value: int) -> bytes:
    """A Report-PDU with one counter. Its request-id is that of the request, if that can be read, otherwise 0."""
    return report_body(_request_id(message), counter, value)


def report_body(request_id: bytes, counter: tuple[int, ...], value: int) -> bytes:
    """A Report-PDU with one counter, to the request with this request-id, which is a whole element."""
    bound = varbind(ber.oid_contents(counter), ber.encode_integer(value & 0xFFFF_FFFF, ber.COUNTER32))
    return ber.element(Pdu.REPORT, request_id + b"\x02\x01\x00\x02\x01\x00" + ber.element(ber.SEQUENCE, bound))


def _answerable(message: Message) -> bool:
    """Whether the sender waits for an answer. The PDU tells, where it can be read; the flag, where not (RFC 3412, section 6.4)."""
    if message.level is not Level.AUTH_PRIV:
        try:
            return scoped(message.payload).pdu[0] in CONFIRMED
        except BerError:
            pass
    return message.reportable


def _request_id(message: Message) -> bytes:
    """The request-id, as an element, of a message in clear."""
    if message.level is not Level.AUTH_PRIV:
        try:
            pdu = scoped(message.payload).pdu
            _, start, stop = ber.tlv(pdu, 0, len(pdu))
            at, end = ber.expect(ber.INTEGER, pdu, start, stop)
            ber.integer(pdu[at:end])
            return pdu[start:end]
        except BerError:
            pass  # the report then goes to request 0, which managers match by msgID
    return b"\x02\x01\x00"


class Seen(enum.Enum):
    """What Replays says of a digest."""

    FIRST = enum.auto()
    AGAIN = enum.auto()
    NO_ROOM = enum.auto()


class Replays:
    """Digests of genuine messages that were acted upon, for as long as they are timely.

    A message differs from every other one in its digest, because time, msgID or salt differ. `seen` is asked before
    something is done; what was done once within the window is not done again.
    """

    def __init__(self, limit: int = REPLAYS) -> None:
        self._limit = limit
        self._known: OrderedDict[bytes, float] = OrderedDict()

    def seen(self, digest: bytes, now: float) -> Seen:
        """Whether this digest was given before; from now on it was. `now` is any clock that never goes back.

        When the limit is reached within the window, a new one cannot be remembered, and must not be acted upon: to refuse
        is safe, to forget is not.
        """
        known = self._known
        while known and next(iter(known.values())) < now - 2 * WINDOW:
            known.popitem(last=False)
        if digest in known:
            return Seen.AGAIN
        if len(known) >= self._limit:
            return Seen.NO_ROOM
        known[digest] = now
        return Seen.FIRST
