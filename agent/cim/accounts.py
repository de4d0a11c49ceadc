"""Who is asking: HTTP Basic credentials (RFC 7617) against argon2 hashes, or a client's certificate, to a principal.

A slow hash per request would cap the server at a few dozen requests a second, so a pair that was right is remembered
for minutes, for the address that it came from, under a hash keyed with a secret of this process: memory shows neither
names nor passwords. An unknown name costs as much time as a wrong password for the account whose hash is the costliest;
so where all hashes cost the same, and only there, time does not tell which names there are. Guessing is locked out
(``lockout``): an answer to who is locked out takes as long as any other, but no hash is computed for it, and the right
password does not help. What is remembered for another address goes on being good.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache

import argon2

from agent.access import Principal
from agent.cim.addresses import address, is_loopback, site
from agent.cim.certificates import Peer
from agent.cim.lockout import Lock, Lockout
from agent.config import Account, CimCertificate, Network
from agent.errors import Denied
from agent.schema.declare import Access

__all__ = ["Accounts"]

log = logging.getLogger("virtmap.cim")

#: Seconds that a verified pair is good for without asking the hash again.
REMEMBERED = 300.0

#: Pairs remembered at once.
CAPACITY = 1024

#: Hashes computed at once; each takes tens of megabytes for tens of milliseconds.
AT_ONCE = 2

FRONT_END = "cim"

Audit = Callable[[Principal, str, str], None]
"""Takes who was refused, what it wanted to be, and why."""


class Accounts:
    """The accounts and certificates of the configuration, and the observer without a name that a demonstration may allow."""

    def __init__(
        self,
        accounts: Iterable[Account],
        anonymous: Access | None = None,
        *,
        certificates: Iterable[CimCertificate] = (),
        audit: Audit | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``anonymous`` is what a client without credentials may do, from loopback; None lets none in. ``audit`` is told
        when guessing is locked out."""
        self._anonymous = anonymous
        self._audit = audit
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._lockout = Lockout()
        self._verified: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._checking: dict[bytes, asyncio.Task[Principal | None]] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._hasher = argon2.PasswordHasher()
        self._costs: argon2.Parameters | None = None
        self._dummy = ""
        self._took = 0.05
        self.renew(accounts, certificates)

    def renew(self, accounts: Iterable[Account], certificates: Iterable[CimCertificate] = ()) -> None:
        """Other accounts from now on. Passwords that were verified are verified anew; what is locked stays so."""
        self._accounts = {account.name: account for account in accounts}
        self._certificates = {certificate.fingerprint: certificate for certificate in certificates}
        self._verified.clear()
        self._checking.clear()
        costs = _costs(self._accounts.values())
        if costs != self._costs or not self._dummy:
            self._costs = costs
            self._dummy = _nobodys(costs)

    def known(self, authorization: str | None, peer: str, certificate: Peer | None = None) -> Principal | None:
        """Who that is, if it can be told at once; None if ``principal`` has to be asked. Denied as there."""
        if authorization is not None:
            remembered = self._verified.get(self._mark(authorization, peer))
            return remembered[1] if remembered is not None and remembered[0] > self._clock() else None
        if certificate is not None:
            found = self._of_certificate(certificate, peer)
            if found is not None:
                return found
        if self._anonymous is None or not is_loopback(peer):
            return None
        return Principal(name="anonymous", role=self._anonymous, front_end=FRONT_END, source=peer)

    async def principal(
        self, authorization: str | None, peer: str, certificate: Peer | None = None
    ) -> Principal | None:
        """Who sends this Authorization header from this address, or without one shows this certificate; None when nobody
        who may. Denied when a certificate is somebody's who may not ask from there."""
        if authorization is None:
            return self.known(None, peer, certificate)
        mark = self._mark(authorization, peer)
        remembered = self._verified.get(mark)
        if remembered is not None and remembered[0] > self._clock():
            return remembered[1]
        pair = _credentials(authorization)
        if pair is None:
            return None
        task = self._checking.get(mark)
        if task is None:  # of several that ask the same at once one hash is computed
            task = self._checking[mark] = asyncio.create_task(self._check(*pair, peer, mark))
        return await asyncio.shield(task)

    def _mark(self, authorization: str, peer: str) -> bytes:
        text = f"{peer} {authorization}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._secret, digest_size=32).digest()

    async def _check(self, name: str, password: str, peer: str, mark: bytes) -> Principal | None:
        """Whether a pair is right, and nobody guesses; remembered if so."""
        accounts = self._accounts
        try:
            async with self._gate:
                locked = self._lockout.locked(
                    name, peer, self._clock()
                )  # now, when others before it have had their turn
                account = accounts.get(name)
                if account is not None and not _within(peer, account.sources):
                    log.info("%s: account %s may not ask from there", peer, account.name)
                    account = None
                right = not locked and await self._matching(account, password)
            if locked:
                await asyncio.sleep(self._took)
                return None
            if account is None or not right:
                self._failed(name, peer)
                return None
            self._lockout.succeeded(name, peer)
            principal = Principal(name=account.name, role=account.role, front_end=FRONT_END, source=peer)
            if accounts is self._accounts:  # no others since it began
                self._remember(mark, principal)
            return principal
        finally:
            if self._checking.get(mark) is asyncio.current_task():
                del self._checking[mark]

    async def _matching(self, account: Account | None, password: str) -> bool:
        stored = self._dummy if account is None else account.password_hash.reveal()
        began = time.monotonic()
        right = await asyncio.to_thread(self._matches, stored, password)
        self._took = time.monotonic() - began
        return right

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def _remember(self, mark: bytes, principal: Principal) -> None:
        self._verified[mark] = (self._clock() + REMEMBERED, principal)
        self._verified.move_to_end(mark)
        while len(self._verified) > CAPACITY:
            self._verified.popitem(last=False)

    def _failed(self, name: str, peer: str) -> None:
        """One more wrong password; the one too many is told once, and ends what is remembered of that name from there."""
        # A name that is none of ours may be a password in the wrong field, and is not told.
        target = f"account {name}" if name in self._accounts else "an unknown account"
        lock = self._lockout.failed(name, peer, self._clock())
        if lock is None:
            log.info("%s: %s: refused: wrong password", peer, target)
            return
        gone = [
            mark
            for mark, (_, who) in self._verified.items()
            if site(who.source) == site(peer) and (lock.whole_address or who.name == name)
        ]
        for mark in gone:
            del self._verified[mark]
        self._tell(lock, "all accounts" if lock.whole_address else target, peer)

    def _tell(self, lock: Lock, target: str, peer: str) -> None:
        result = f"refused: {lock.tries} wrong passwords; locked for {lock.seconds:g} s"
        log.warning("%s: %s: %s", peer, target, result)
        if self._audit is not None:
            who = Principal(name="unknown", role=Access.OBSERVE, front_end=FRONT_END, source=peer)
            self._audit(who, target, result)

    def _of_certificate(self, certificate: Peer, peer: str) -> Principal | None:
        """Whose it is, asked for each request, so that a change of the configuration also holds for open connections."""
        found = self._certificates.get(certificate.fingerprint)
        if found is None or certificate.ends <= time.time():
            return None
        if not _within(peer, found.sources):
            raise Denied(f"{found.user} may not ask from {peer}")
        return Principal(name=found.user, role=found.role, front_end=FRONT_END, source=peer)


def _costs(accounts: Iterable[Account]) -> argon2.Parameters | None:
    """What the costliest hash costs here; None, which is argon2's default, where there are none."""
    found = (argon2.extract_parameters(account.password_hash.reveal()) for account in accounts)
    return max(found, key=lambda costs: costs.time_cost * costs.memory_cost, default=None)


def _nobodys(costs: argon2.Parameters | None) -> str:
    """A hash that takes as long to check as the costliest one, and that no password is known to have: its octets are random,
    since making a real one would hold up the start."""
    how = costs or argon2.profiles.RFC_9106_LOW_MEMORY  # what PasswordHasher takes
    salt, octets = (
        base64.b64encode(secrets.token_bytes(length)).rstrip(b"=").decode() for length in (how.salt_len, how.hash_len)
    )
    kind = {argon2.Type.D: "argon2d", argon2.Type.I: "argon2i", argon2.Type.ID: "argon2id"}[how.type]
    return f"${kind}$v={how.version}$m={how.memory_cost},t={how.time_cost},p={how.parallelism}${salt}${octets}"


@lru_cache(maxsize=1024)
def _within(peer: str, sources: tuple[Network, ...]) -> bool:
    found = address(peer)
    return found is not None and any(found in network for network in sources)


def _credentials(authorization: str) -> tuple[str, str] | None:
    """Name and password of a Basic header, None for anything else."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic" or len(encoded) > 4096:
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return (name, password) if colon else None
