"""Who is asking: passwords, certificates, where from, and when guessing has to stop."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import logging
import time

import argon2
import pytest

from agent.access import Principal
from agent.cim import accounts as accounts_module
from agent.cim import lockout
from agent.cim.accounts import Accounts
from agent.cim.addresses import is_loopback, site
from agent.cim.certificates import Peer
from agent.cim.lockout import Lockout
from agent.config import Account, CimCertificate
from agent.errors import Denied
from agent.schema.declare import Access
from agent.schema.types import Secret
from tests.agents import looped
from tests.cim.served import OBSERVER, OPERATOR, account

HERE, THERE = "192.0.2.1", "198.51.100.7"


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


RIGHT = basic(*OBSERVER)


class Counted(Accounts):
    """Counts the hashes that it computes; has a clock that stands still, and keeps what the audit is told."""

    def __init__(self, *accounts: Account, certificates: tuple[CimCertificate, ...] = ()) -> None:
        self.hashes: list[str] = []
        self.now = 1000.0
        self.told: list[tuple[str, str, str]] = []
        super().__init__(accounts, certificates=certificates, audit=self._told, clock=lambda: self.now)

    def _told(self, who: Principal, target: str, result: str) -> None:
        self.told.append((who.source, target, result))

    def _matches(self, stored: str, password: str) -> bool:
        self.hashes.append(password)
        return super()._matches(stored, password)

    async def enters(self, authorization: str, peer: str = HERE) -> bool:
        return await self.principal(authorization, peer) is not None


def watched() -> Counted:
    return Counted(account(OBSERVER, Access.OBSERVE), account(OPERATOR, Access.OPERATE))


# --- passwords --------------------------------------------------------------------------------------------------------


@looped
async def test_anonymous_is_for_loopback_only() -> None:
    accounts = Accounts((), Access.OBSERVE)
    found = await accounts.principal(None, "127.0.0.1")
    assert found is not None
    assert (found.name, found.role) == ("anonymous", Access.OBSERVE)
    assert await accounts.principal(None, "192.0.2.1") is None
    assert await Accounts(()).principal(None, "127.0.0.1") is None


@looped
async def test_a_verified_password_is_remembered_and_a_wrong_one_is_not() -> None:
    accounts = watched()
    for _ in range(3):
        assert await accounts.enters(RIGHT)
        assert not await accounts.enters(basic("watcher", "wrong"))
    assert accounts.hashes.count("see-only") == 1
    assert accounts.hashes.count("wrong") == 3
    assert accounts.known(RIGHT, HERE) is not None
    assert accounts.known(RIGHT, THERE) is None
    accounts.now += accounts_module.REMEMBERED + 1
    assert accounts.known(RIGHT, HERE) is None
    assert await accounts.enters(RIGHT)
    assert accounts.hashes.count("see-only") == 2
    assert not any(b"see-only" in mark or b"watcher" in mark for mark in accounts._verified)


@looped
async def test_several_that_ask_the_same_at_once_cost_one_hash() -> None:
    accounts = watched()
    assert all(await asyncio.gather(*(accounts.enters(RIGHT) for _ in range(20))))
    assert accounts.hashes == ["see-only"]


@looped
async def test_other_accounts_end_what_is_remembered() -> None:
    accounts = watched()
    assert await accounts.enters(RIGHT)
    accounts.renew([account(("watcher", "another"), Access.OBSERVE)])
    assert not await accounts.enters(RIGHT)
    assert await accounts.enters(basic("watcher", "another"))


@looped
async def test_an_account_may_be_for_some_sources_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "virtmap.cim")
    near = account(OBSERVER, Access.OBSERVE)
    one = Account(
        name=near.name,
        password_hash=near.password_hash,
        sources=(ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8::/32")),
    )
    accounts = Counted(one)
    assert await accounts.enters(RIGHT)
    assert await accounts.enters(RIGHT, "::ffff:192.0.2.9")
    assert await accounts.enters(RIGHT, "2001:db8::1")
    assert not await accounts.enters(RIGHT, THERE)
    assert "account watcher may not ask from there" in caplog.text


def test_loopback_addresses() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")))
    assert not any(map(is_loopback, ("192.0.2.1", "::", "fe80::1%eth0", "", "localhost", "::ffff:192.0.2.1")))


def test_an_ipv6_site_is_one_client() -> None:
    assert site("2001:db8::1") == site("2001:db8:0:0:ffff::9%eth0") != site("2001:db8:0:1::1")
    assert site("::ffff:192.0.2.1") == site(HERE) == HERE
    assert site("nowhere") == "nowhere"


# --- locks ------------------------------------------------------------------------------------------------------------


@looped
async def test_guessing_is_locked_out_without_further_hashes(caplog: pytest.LogCaptureFixture) -> None:
    accounts = watched()
    for n in range(20):
        assert not await accounts.enters(basic("watcher", f"guess{n}"))
    assert len(accounts.hashes) == lockout.TRIES
    assert not await accounts.enters(RIGHT)
    assert [r.levelname for r in caplog.records if r.levelno >= logging.WARNING] == ["WARNING"]
    assert "account watcher: refused: 5 wrong passwords; locked for 30 s" in caplog.text
    assert accounts.told == [(HERE, "account watcher", "refused: 5 wrong passwords; locked for 30 s")]
    accounts.now += lockout.FIRST + 1
    assert await accounts.enters(RIGHT)


@looped
async def test_guesses_from_elsewhere_lock_nobody_else_out() -> None:
    accounts = watched()
    assert await accounts.enters(RIGHT)
    for n in range(lockout.TRIES):
        assert not await accounts.enters(basic("watcher", f"guess{n}"), THERE)
    assert not await accounts.enters(RIGHT, THERE)
    assert await accounts.enters(RIGHT)
    accounts.renew([account(OBSERVER, Access.OBSERVE)])
    assert await accounts.enters(RIGHT)  # nor who is not remembered
    assert await accounts.enters(basic("watcher", "see-only"), "203.0.113.5")


@looped
async def test_a_lock_ends_what_is_remembered_from_there() -> None:
    """Otherwise a remembered pair would tell at once, and for nothing, whether a guess is right."""
    accounts = watched()
    assert await accounts.enters(RIGHT)
    for n in range(lockout.TRIES):
        assert not await accounts.enters(basic("watcher", f"guess{n}"))
    assert not await accounts.enters(RIGHT)


@looped
async def test_a_lock_ends_what_is_remembered_from_the_whole_site() -> None:
    accounts = watched()
    assert await accounts.enters(RIGHT, "2001:db8::1")
    assert await accounts.enters(RIGHT, "2001:db8:0:1::1")
    for n in range(lockout.TRIES):
        assert not await accounts.enters(basic("watcher", f"guess{n}"), "2001:db8::2")
    assert not await accounts.enters(RIGHT, "2001:db8::1")
    assert await accounts.enters(RIGHT, "2001:db8:0:1::1")


@looped
async def test_guesses_at_once_are_counted_too() -> None:
    accounts = watched()
    assert not any(await asyncio.gather(*(accounts.enters(basic("watcher", f"guess{n}")) for n in range(50))))
    assert len(accounts.hashes) <= lockout.TRIES + accounts_module.AT_ONCE


@looped
async def test_many_names_lock_the_address() -> None:
    accounts = watched()
    for n in range(lockout.TRIES_OF_ALL + 20):
        assert not await accounts.enters(basic(f"name{n}", "x"))
    assert len(accounts.hashes) == lockout.TRIES_OF_ALL
    assert [target for _, target, _ in accounts.told] == ["all accounts"]
    assert not await accounts.enters(RIGHT)
    assert await accounts.enters(RIGHT, THERE)


@looped
async def test_a_name_that_is_none_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    accounts = watched()
    for n in range(lockout.TRIES):
        assert not await accounts.enters(basic("my-password-by-mistake", f"{n}"))
    assert "my-password-by-mistake" not in caplog.text
    assert "an unknown account" in caplog.text


@looped
async def test_who_is_locked_out_waits_as_long_as_anybody() -> None:
    accounts = watched()
    for n in range(lockout.TRIES):
        assert not await accounts.enters(basic("watcher", f"guess{n}"))
    accounts._took = 0.05
    began = time.monotonic()
    assert not await accounts.enters(RIGHT)
    assert time.monotonic() - began >= 0.049


@looped
async def test_an_unknown_name_costs_what_a_known_one_costs() -> None:
    accounts = watched()
    (known,) = {a.password_hash.reveal().rsplit("$", 2)[0] for a in accounts._accounts.values()}
    assert accounts._dummy.rsplit("$", 2)[0] == known


def test_an_unknown_name_costs_what_the_costliest_account_costs() -> None:
    costs = [(1, 8), (3, 16), (2, 16)]
    hashes = [argon2.PasswordHasher(time_cost=t, memory_cost=m, parallelism=1).hash("x") for t, m in costs]
    accounts = Accounts([Account(name=f"name{n}", password_hash=Secret(h)) for n, h in enumerate(hashes)])
    found = argon2.extract_parameters(accounts._dummy)
    assert (found.time_cost, found.memory_cost) == (3, 16)


def test_locks_grow_and_are_forgotten() -> None:
    lock = Lockout()
    now, seconds = 0.0, []
    for _ in range(9):
        for _ in range(lockout.TRIES - 1):
            assert lock.failed("name", HERE, now) is None
        found = lock.failed("name", HERE, now)
        assert found is not None
        seconds.append(found.seconds)
        assert lock.locked("name", HERE, now + found.seconds - 1)
        assert not lock.locked("name", HERE, now + found.seconds)
        assert not lock.locked("name", THERE, now)
        now += found.seconds + lockout.WITHIN
    assert seconds[:4] == [30, 60, 120, 240]
    assert seconds[-1] == lockout.LONGEST
    now += lockout.FORGOTTEN
    locks = [lock.failed("name", HERE, now) for _ in range(lockout.TRIES)]
    assert locks[-1] is not None
    assert locks[-1].seconds == lockout.FIRST


def test_slips_are_forgiven() -> None:
    lock = Lockout()
    for n in range(20):
        for _ in range(lockout.TRIES - 1):
            assert lock.failed("name", HERE, 1.0 + n) is None
        lock.succeeded("name", HERE)
        if n == 5:
            break
    for n in range(40):
        assert lock.failed("other", THERE, n * (lockout.WITHIN / 2.5)) is None


def test_the_memory_of_guesses_is_bounded() -> None:
    lock = Lockout()
    for n in range(lockout.CAPACITY * 2):
        lock.failed(f"name{n}", str(ipaddress.ip_address(n + 2**24)), 1.0)
    assert len(lock._records) <= lockout.CAPACITY


def test_an_ipv6_network_is_one_address() -> None:
    lock = Lockout()
    for n in range(lockout.TRIES):
        lock.failed("name", f"2001:db8::{n:x}", 1.0)
    assert lock.locked("name", "2001:db8::ffff", 2.0)
    assert not lock.locked("name", "2001:db8:0:1::1", 2.0)
    for _ in range(lockout.TRIES):
        lock.failed("name", "::ffff:192.0.2.1", 1.0)
    assert lock.locked("name", "192.0.2.1", 2.0)


# --- certificates -----------------------------------------------------------------------------------------------------

SUITE = CimCertificate(
    fingerprint="ab" * 32, user="suite", role=Access.OPERATE, sources=(ipaddress.ip_network("192.0.2.0/24"),)
)
SHOWN = Peer(fingerprint="ab" * 32, ends=time.time() + 3600)


@looped
async def test_a_certificate_is_somebody() -> None:
    accounts = Counted(account(OBSERVER, Access.OBSERVE), certificates=(SUITE,))
    found = await accounts.principal(None, HERE, SHOWN)
    assert found == Principal(name="suite", role=Access.OPERATE, front_end="cim", source=HERE)
    named = await accounts.principal(RIGHT, HERE, SHOWN)
    assert named is not None
    assert named.name == "watcher"  # who says who it is, is that
    assert await accounts.principal(basic("watcher", "wrong"), HERE, SHOWN) is None
    with pytest.raises(Denied, match="suite may not ask from"):
        await accounts.principal(None, THERE, SHOWN)


@looped
async def test_a_certificate_that_is_nobodys_or_has_ended_is_nothing() -> None:
    accounts = Counted(certificates=(SUITE,))
    assert await accounts.principal(None, HERE, Peer(fingerprint="cd" * 32, ends=SHOWN.ends)) is None
    assert await accounts.principal(None, HERE, Peer(fingerprint=SHOWN.fingerprint, ends=time.time() - 1)) is None
    accounts.renew((), ())
    assert await accounts.principal(None, HERE, SHOWN) is None
