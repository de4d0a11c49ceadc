"""Who is asking: HTTP Basic credentials (RFC 7617) to a principal, against argon2 hashes.

A slow hash per request would cap the server at a few dozen requests a second, so a pair that was right is remembered
for minutes, under a hash keyed with a secret of this process: memory shows neither names nor passwords. An unknown name
costs as much time as a wrong password.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable

import argon2

from agent.access import Principal
from agent.config import Account
from agent.schema.declare import Access

__all__ = ["Accounts", "is_loopback"]

#: Seconds that a verified pair is good for without asking the hash again.
REMEMBERED = 300.0

#: Pairs remembered at once.
CAPACITY = 1024

#: Hashes computed at once; each takes tens of megabytes for tens of milliseconds.
AT_ONCE = 2

FRONT_END = "cim"


class Accounts:
    """The accounts of the configuration, and the observer without a name that a demonstration may allow."""

    def __init__(self, accounts: Iterable[Account], anonymous: Access | None = None) -> None:
        """``anonymous`` is what a client without credentials may do, from loopback; None lets none in."""
        self._accounts = {account.name: account for account in accounts}
        self._anonymous = anonymous
        self._secret = secrets.token_bytes(32)
        self._hasher = argon2.PasswordHasher()
        self._dummy = self._hasher.hash(secrets.token_hex(16))
        self._verified: OrderedDict[bytes, tuple[float, Account]] = OrderedDict()
        self._gate = asyncio.Semaphore(AT_ONCE)

    def renew(self, accounts: Iterable[Account]) -> None:
        """Other accounts from now on. Passwords that were verified are verified anew."""
        self._accounts = {account.name: account for account in accounts}
        self._verified.clear()

    async def principal(self, authorization: str | None, peer: str) -> Principal | None:
        """Who sends this Authorization header from this address; None when nobody who may."""
        if authorization is None:
            if self._anonymous is None or not is_loopback(peer):
                return None
            return Principal(name="anonymous", role=self._anonymous, front_end=FRONT_END, source=peer)
        pair = _credentials(authorization)
        if pair is None:
            return None
        account = await self._account(*pair)
        if account is None:
            return None
        return Principal(name=account.name, role=account.role, front_end=FRONT_END, source=peer)

    async def _account(self, name: str, password: str) -> Account | None:
        mark = hmac.digest(self._secret, f"{len(name)}:{name}:{password}".encode(), hashlib.sha256)
        remembered = self._verified.get(mark)
        if remembered is not None and remembered[0] > time.monotonic():
            return remembered[1]
        account = self._accounts.get(name)
        stored = self._dummy if account is None else account.password_hash.reveal()
        async with self._gate:
            right = await asyncio.to_thread(self._matches, stored, password)
        if account is None or not right:
            return None
        self._verified[mark] = (time.monotonic() + REMEMBERED, account)
        self._verified.move_to_end(mark)
        while len(self._verified) > CAPACITY:
            self._verified.popitem(last=False)
        return account

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False


def is_loopback(peer: str) -> bool:
    """Whether an address is of this host, also when it is an IPv4 address in IPv6 clothes."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


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
