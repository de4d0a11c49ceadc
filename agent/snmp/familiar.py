"""Messages of version 3 that look like one before: what is the same in all of a manager's messages is compared, not parsed.

A manager who polls sends messages of a few lengths, which differ in their number, time, digest, salt and payload only.
From a message that was found genuine a Layout is learnt: where these parts stand, and what stands between them. A message
that agrees with it says the same of its sender, its level and its context; only the digest, the time and the request itself
remain to be looked at. Nothing is decided here that `usm` and `message3` would decide otherwise: what does not agree, or is
not timely or genuine, goes their way, which also tells why.
"""

from collections import OrderedDict
from typing import Any, NamedTuple

from agent.snmp import ber
from agent.snmp.message3 import Level, Message, Scoped
from agent.snmp.protection import Authenticator, Privacy
from agent.snmp.usm import WINDOW, Opened

KNOWN = 256
"""Layouts that are kept; a manager has one for each length of his requests."""

ALIKE = 8
"""Layouts of one length, of different managers, that are tried."""

CONTEXTS = 64
"""Contexts that are known of a layout."""

BEGINNING = 8
"""Octets at the beginning of a message by which its layout is looked for: they say its length, and that of its header."""


class Fields(NamedTuple):
    """What differs: the element of msgID, the time as it was sent, the digest, the salt, and where the payload begins."""

    number: slice
    time: slice
    digest: slice
    salt: slice
    payload: int


class Layout:
    """How the messages of one length from one manager look. What the engine makes of a context is kept with it in `uses`."""

    __slots__ = ("_authenticator", "_boots", "_fields", "_known", "_places", "_privacy", "_scope", "uses")

    def __init__(self, opened: Opened, fields: Fields, authenticator: Authenticator, privacy: Privacy) -> None:
        data = opened.message.whole
        ends = (0, fields.number.stop, fields.time.stop, fields.digest.stop, fields.salt.stop)
        starts = (fields.number.start + 2, fields.time.start, fields.digest.start, fields.salt.start, fields.payload)
        self._fields = fields
        self._places = tuple(slice(end, start) for end, start in zip(ends, starts, strict=True))
        self._known = tuple(data[place] for place in self._places)
        self._authenticator, self._privacy = authenticator, privacy
        self._boots = opened.message.security.boots
        self._scope = len(beginning(opened.scoped))
        self.uses: dict[bytes, Any] = {}
        """By what stands before the PDU in the scoped PDU."""

    def agrees(self, data: bytes) -> bool:
        """Whether all that is the same in such messages is the same in this one, which has their length."""
        first, second, third, fourth, fifth = self._places
        known = self._known
        return (
            data[second] == known[1]
            and data[third] == known[2]
            and data[first] == known[0]
            and data[fourth] == known[3]
            and data[fifth] == known[4]
        )

    def opened(self, data: bytes, now: int) -> tuple[Any, bytes, int] | None:
        """Of a message that agrees: what is made of its context, its scoped PDU, and where in that the PDU begins. None if it
        is not genuine, not timely, or of a context that is not known yet.
        """
        number, timed, digest, salt, payload = self._fields
        time = int.from_bytes(data[timed], "big", signed=True)
        if not -WINDOW <= time - now <= WINDOW or time < 0 or data[number.start + 2] > 0x7F:
            return None
        if not self._authenticator.genuine(data, digest.start, data[digest]):
            return None
        plain = self._privacy.decrypt(data[payload:], data[salt], self._boots, time)
        use = self.uses.get(plain[: self._scope])
        return None if use is None else (use, plain, self._scope)

    def number(self, data: bytes) -> bytes:
        """msgID, as an element."""
        return data[self._fields.number]

    def add(self, opened: Opened, use: Any) -> None:
        """What the engine makes of one more context. What is padded is not remembered: that the PDU ends where the scoped PDU
        does is then seen by its reaching to the end."""
        head = beginning(opened.scoped)
        whole = len(head) + len(opened.scoped.pdu) == len(opened.message.payload)
        if whole and len(head) == self._scope and len(self.uses) < CONTEXTS:
            self.uses[head] = use


def beginning(said: Scoped) -> bytes:
    """What stands before the PDU in a scoped PDU, lengths in their shortest form."""
    names = ber.element(ber.OCTETS, said.engine_id) + ber.element(ber.OCTETS, said.context)
    return b"\x30" + ber.length(len(names) + len(said.pdu)) + names


class Layouts:
    """The layouts that are known, by the length of their messages and how these begin."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, bytes], list[Layout]] = OrderedDict()

    def find(self, data: bytes) -> Layout | None:
        """The layout that a message agrees with."""
        for layout in self._known.get((len(data), data[:BEGINNING]), ()):
            if layout.agrees(data):
                return layout
        return None

    def learn(self, opened: Opened, use: Any) -> None:
        """Remember how a genuine message looks, if it is encrypted and nothing follows it."""
        user, data = opened.user, opened.message.whole
        if opened.level is not Level.AUTH_PRIV or user.authenticator is None or user.privacy is None:
            return
        layout = self.find(data)
        if layout is not None:
            layout.add(opened, use)
            return
        fields = _fields(opened.message)
        if fields is None:
            return
        layout = Layout(opened, fields, user.authenticator, user.privacy)
        layout.add(opened, use)
        if not layout.uses:
            return
        alike = self._known.setdefault((len(data), data[:BEGINNING]), [])
        if len(alike) >= ALIKE:
            alike.pop(0)
        alike.append(layout)
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """All of them: users or views are others now."""
        self._known.clear()


def _fields(message: Message) -> Fields | None:
    """Where the parts of a message stand that differ; None for one that does not end with its payload, or whose msgID has more
    octets than it needs to."""
    data = message.whole
    _, at, end = ber.tlv(data, 0, len(data))
    _, _, at = ber.tlv(data, at, end)
    _, header, security = ber.tlv(data, at, end)
    _, _, number_end = ber.tlv(data, header, end)
    _, at, payload = ber.tlv(data, security, end)
    _, at, security_end = ber.tlv(data, at, end)
    for _ in range(2):
        _, _, at = ber.tlv(data, at, security_end)
    _, time, time_end = ber.tlv(data, at, security_end)
    digest_end = message.digest_at + len(message.security.digest)
    _, salt, salt_end = ber.tlv(data, digest_end, security_end)
    _, payload, stop = ber.tlv(data, payload, end)
    if stop != len(data) or data[header:number_end] != ber.encode_integer(message.number):
        return None
    return Fields(
        slice(header, number_end),
        slice(time, time_end),
        slice(message.digest_at, digest_end),
        slice(salt, salt_end),
        payload,
    )
