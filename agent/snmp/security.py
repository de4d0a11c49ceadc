"""Who may ask an SNMP engine: communities, users and certificates, what each sees and may do, from where, and how often.

What the configuration says, as the engine needs it; `policy` says the same in the words of the View-based Access Control
Model. Each community, user and certificate is a group of its own there, so that nobody's rights depend on another's.

Two rules hold whatever is configured: a user changes things by authenticated and encrypted messages only, and what tells
how access is controlled (the tables of VACM, of notification targets, of users and communities) is in nobody's view unless a
view of the configuration includes it.
"""

import ipaddress
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.access import Principal
from agent.config import ANYWHERE
from agent.pace import Pace
from agent.schema.declare import Access
from agent.snmp import usm
from agent.snmp.message3 import TSM, Level
from agent.snmp.vacm import USM, AccessEntry, MibView, Policy, Subtree

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_VIEW = "default"
ANSWER_LIMIT = 8192
"""Octets of an answer to somebody who has not proved who he is: what he gets may go to whose address he forged."""

_MODULES = (1, 3, 6, 1, 6, 3)
DEFAULT = MibView(
    DEFAULT_VIEW,
    [
        Subtree(oid=(1, 3, 6, 1)),
        Subtree(oid=(*_MODULES, 12), included=False),  # SNMP-TARGET-MIB
        Subtree(oid=(*_MODULES, 12, 1, 4)),  # but for its two counters
        Subtree(oid=(*_MODULES, 12, 1, 5)),
        Subtree(oid=(*_MODULES, 13), included=False),  # SNMP-NOTIFICATION-MIB
        Subtree(oid=(*_MODULES, 15, 1, 2), included=False),  # users
        Subtree(oid=(*_MODULES, 16), included=False),  # SNMP-VIEW-BASED-ACM-MIB
        Subtree(oid=(*_MODULES, 18), included=False),  # SNMP-COMMUNITY-MIB
    ],
)

KNOWN_SOURCES = 4096


class Named(Protocol):
    """What communities, users and certificates have in common. `label` is fit for a log."""

    @property
    def label(self) -> str: ...
    @property
    def role(self) -> Access: ...
    @property
    def sources(self) -> tuple[Network, ...]: ...
    @property
    def view(self) -> str: ...
    @property
    def rate(self) -> float | None: ...


@dataclass(frozen=True, kw_only=True)
class Community:
    """A community string, what it may do, from where, in which versions, and the hypervisor it shows."""

    name: bytes = field(repr=False)
    label: str
    role: Access
    sources: tuple[Network, ...]
    hypervisor: str
    view: str = DEFAULT_VIEW
    rate: float | None = None
    versions: frozenset[int] = frozenset((0, 1))


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user of USM, and the least protection that his messages must have. `hypervisors` are the contexts he may enter; none
    of them named means all."""

    user: usm.User
    role: Access
    least: Level = Level.AUTH_PRIV
    sources: tuple[Network, ...] = ANYWHERE
    hypervisors: tuple[str, ...] = ()
    view: str = DEFAULT_VIEW
    rate: float | None = None

    @property
    def label(self) -> str:
        return self.user.name


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Whose a client certificate is: the SHA-256 of its DER form, in lower-case hexadecimal digits, and a security name."""

    fingerprint: str
    name: str
    role: Access
    hypervisors: tuple[str, ...] = ()
    view: str = DEFAULT_VIEW
    sources: tuple[Network, ...] = ANYWHERE
    rate: float | None = None

    @property
    def label(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class Security:
    """All of them. `answer_limit` bounds answers to messages without authentication, in octets."""

    communities: Sequence[Community] = ()
    accounts: Sequence[Account] = ()
    certificates: Sequence[Certificate] = ()
    views: Sequence[MibView] = ()
    answer_limit: int = ANSWER_LIMIT

    def policy(self, hypervisors: Sequence[str]) -> Policy:
        """The same as a Policy; the first hypervisor is the context "" too."""
        groups = {(version + 1, c.label): c.label for c in self.communities for version in c.versions}
        groups |= {(USM, a.label): a.label for a in self.accounts}
        groups |= {(TSM, c.label): c.label for c in self.certificates}
        return Policy(groups, self._entries(hypervisors), (DEFAULT, *self.views), ("", *hypervisors))

    def _entries(self, hypervisors: Sequence[str]) -> Iterator[AccessEntry]:
        for c in self.communities:
            for version in sorted(c.versions):
                yield from _entries(c, version + 1, Level.NO_AUTH_NO_PRIV, (c.hypervisor,), hypervisors)
        for a in self.accounts:
            yield from _entries(a, USM, a.least, a.hypervisors, hypervisors)
        for certificate in self.certificates:
            yield from _entries(certificate, TSM, Level.AUTH_PRIV, certificate.hypervisors, hypervisors)


def _entries(
    who: Named, model: int, least: Level, contexts: Sequence[str], hypervisors: Sequence[str]
) -> Iterator[AccessEntry]:
    """Reading from the least level on; writing, with a community or with privacy."""
    named = [(name, False) for name in contexts] or [("", True)]
    if hypervisors[0] in contexts:
        named.append(("", False))
    for context, prefix in named:
        if model > 2 and least < Level.AUTH_PRIV:
            yield AccessEntry(
                group=who.label,
                context=context,
                prefix=prefix,
                model=model,
                level=least,
                read=who.view,
                notify=who.view,
            )
            least_to_write = Level.AUTH_PRIV
        else:
            least_to_write = least
        write = who.view if who.role > Access.OBSERVE else None
        yield AccessEntry(
            group=who.label, context=context, prefix=prefix, model=model, level=least_to_write, read=who.view,
            write=write, notify=who.view,
        )  # fmt: skip


class Bucket(Pace):
    """So many at once as a second brings, and then so many a second."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(max(1.0, rate), rate, clock)


class Gate:
    """Lets in who comes from where he should, no more often than he may. What it has worked out it remembers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._admitted: dict[tuple[type[Named], str, str], bool] = {}
        self._buckets: dict[tuple[type[Named], str], Bucket] = {}

    def source(self, who: Named, host: str) -> bool:
        """Whether the address is one of his."""
        if who.sources is ANYWHERE:
            return True
        key = (type(who), who.label, host)  # a user may be called as a certificate's owner is
        admitted = self._admitted.get(key)
        if admitted is None:
            if len(self._admitted) >= KNOWN_SOURCES:
                self._admitted.clear()
            admitted = self._admitted[key] = _within(host, who.sources)
        return admitted

    def pace(self, who: Named) -> bool:
        """Whether he may ask now."""
        if who.rate is None:
            return True
        key = (type(who), who.label)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(who.rate, self._clock)
        return bucket.take()


def _within(host: str, networks: Sequence[Network]) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in n for n in networks)


def principal(who: Named, host: str) -> Principal:
    return Principal(name=who.label, role=who.role, front_end="snmp", source=host)


def by_name(security: Security) -> Mapping[bytes, Community]:
    """Communities by their string. Looking one up takes a time that tells nothing of those that are not asked for: the
    hash of what was sent is compared first, under a key that differs in each process."""
    return {c.name: c for c in security.communities}
