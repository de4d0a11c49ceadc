"""Who may ask: communities, users and certificates as groups of their own, addresses, rates, and nothing secret in print."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import ANYWHERE
from agent.schema.declare import Access
from agent.schema.types import Secret
from agent.snmp import security as securing
from agent.snmp import usm
from agent.snmp.message3 import TSM, Level
from agent.snmp.protection import AuthProtocol, PrivProtocol
from agent.snmp.security import (
    DEFAULT,
    DEFAULT_VIEW,
    Account,
    Bucket,
    Certificate,
    Community,
    Gate,
    Security,
    principal,
)
from agent.snmp.vacm import USM, Denial, Grant, MibView, Subtree
from tests.wire import oid

HYPERVISORS = ("first", "second")
VIEWS = (MibView("some", [Subtree(oid=(1, 3, 6, 1, 2))]),)
NETWORKS = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/32"))
PASSPHRASES = ("an authentic passphrase", "a private passphrase")


def community(**more: Any) -> Community:
    given = {
        "name": b"string",
        "label": "snmp.community[0]",
        "role": Access.OBSERVE,
        "sources": NETWORKS,
        "hypervisor": "first",
    }
    return Community(**{**given, **more})


def account(name: str = "ann", **more: Any) -> Account:
    auth, priv = map(Secret, PASSPHRASES)
    user = usm.User(
        name=name, auth=AuthProtocol.SHA256, auth_passphrase=auth, priv=PrivProtocol.AES128, priv_passphrase=priv
    )
    return Account(user=user, **{"role": Access.OBSERVE, **more})


def certificate(name: str = "carl", **more: Any) -> Certificate:
    return Certificate(**{"fingerprint": "ab" * 32, "name": name, "role": Access.OBSERVE, **more})


def access(
    security: Security, model: int, name: str, level: Level, context: str
) -> tuple[str | None, str | None] | Denial:
    """The names of the views that may be read and written."""
    found = security.policy(HYPERVISORS).access(model, name, level, context)
    if isinstance(found, Denial):
        return found
    assert isinstance(found, Grant)
    assert found.notify is found.read
    return found.read and found.read.name, found.write and found.write.name


# --- rights


def test_a_community_reads_and_writes_in_its_versions_and_its_context() -> None:
    some = Security(
        communities=[
            community(), community(label="b", role=Access.OPERATE, hypervisor="second", view="some", versions=frozenset({1})),
        ],
        views=VIEWS,
    )  # fmt: skip
    for model in (1, 2):
        for context in ("", "first"):
            assert access(some, model, "snmp.community[0]", Level.NO_AUTH_NO_PRIV, context) == ("default", None)
    assert access(some, 1, "snmp.community[0]", Level.NO_AUTH_NO_PRIV, "second") is Denial.NO_ACCESS_ENTRY
    assert access(some, 2, "b", Level.NO_AUTH_NO_PRIV, "second") == ("some", "some")
    assert access(some, 1, "b", Level.NO_AUTH_NO_PRIV, "second") is Denial.NO_GROUP_NAME
    assert access(some, 2, "b", Level.NO_AUTH_NO_PRIV, "first") is Denial.NO_ACCESS_ENTRY
    assert access(some, USM, "b", Level.AUTH_PRIV, "second") is Denial.NO_GROUP_NAME


@pytest.mark.parametrize("least", Level)
@pytest.mark.parametrize("role", Access)
def test_a_user_reads_from_his_least_level_on_and_writes_with_privacy_alone(least: Level, role: Access) -> None:
    some = Security(accounts=[account(least=least, role=role)])
    for level in Level:
        for context in ("", "first", "second"):
            found = access(some, USM, "ann", level, context)
            if level < least:
                assert found is Denial.NO_ACCESS_ENTRY
            else:
                writes = level is Level.AUTH_PRIV and role > Access.OBSERVE
                assert found == ("default", "default" if writes else None)


@pytest.mark.parametrize(
    ("hypervisors", "contexts"),
    [((), {"", "first", "second"}), (("first",), {"", "first"}), (("second",), {"second"}),
     (("first", "second"), {"", "first", "second"})],
)  # fmt: skip
def test_contexts_are_those_that_are_named_and_the_first_is_the_default(
    hypervisors: tuple[str, ...], contexts: set[str]
) -> None:
    for some, model in (
        (Security(accounts=[account("who", hypervisors=hypervisors)]), USM),
        (Security(certificates=[certificate("who", hypervisors=hypervisors)]), TSM),
    ):
        allowed = {
            context for context in ("", *HYPERVISORS)
            if not isinstance(access(some, model, "who", Level.AUTH_PRIV, context), Denial)
        }  # fmt: skip
        assert allowed == contexts
        assert access(some, model, "who", Level.AUTH_PRIV, "third") is Denial.NO_SUCH_CONTEXT
        assert access(some, model, "who", Level.AUTH_NO_PRIV, "first") is Denial.NO_ACCESS_ENTRY


def test_who_has_the_same_name_in_another_model_has_other_rights() -> None:
    some = Security(
        communities=[community(label="ann", role=Access.ADMINISTER)], accounts=[account(hypervisors=("second",))],
        certificates=[certificate("ann", role=Access.OPERATE, view="some")], views=VIEWS,
    )  # fmt: skip
    assert access(some, 2, "ann", Level.NO_AUTH_NO_PRIV, "first") == ("default", "default")
    assert access(some, USM, "ann", Level.AUTH_PRIV, "first") is Denial.NO_ACCESS_ENTRY
    assert access(some, USM, "ann", Level.AUTH_PRIV, "second") == ("default", None)
    assert access(some, TSM, "ann", Level.AUTH_PRIV, "first") == ("some", "some")


def test_a_view_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(KeyError):
        Security(accounts=[account(view="some")]).policy(HYPERVISORS)


@pytest.mark.parametrize(
    ("arcs", "shown"),
    [("1.3.6.1.2.1.1.5.0", True), ("1.3.6.1.4.1.36957.20.1.2.1.4.1", True), ("1.3.6.1.6.3.15.1.1.1.0", True),
     ("1.3.6.1.6.3.15.1.2.2.1.3.1", False), ("1.3.6.1.6.3.12.1.2.1.3.1", False), ("1.3.6.1.6.3.12.1.3.1.5.1", False),
     ("1.3.6.1.6.3.12.1.4.0", True), ("1.3.6.1.6.3.12.1.5.0", True), ("1.3.6.1.6.3.12.1.1.0", False),
     ("1.3.6.1.6.3.13.1.1.1.2.1", False), ("1.3.6.1.6.3.16.1.2.1.3.1", False), ("1.3.6.1.6.3.16.1.1.1.1.0", False),
     ("1.3.6.1.6.3.18.1.1.1.2.1", False), ("1.3.6.1.6.3.10.2.1.1.0", True), ("1.3.6.1.6.3.11.2.1.3.0", True),
     ("1.2", False), ("1.0", False)],
)  # fmt: skip
def test_what_the_default_view_shows(arcs: str, shown: bool) -> None:
    assert DEFAULT.name == DEFAULT_VIEW
    assert DEFAULT.includes(oid(arcs)) is shown


def test_who_asked_is_told_by_label_role_and_address() -> None:
    who = principal(community(role=Access.OPERATE), "10.1.2.3")
    assert (who.name, who.role, who.front_end, who.source) == ("snmp.community[0]", Access.OPERATE, "snmp", "10.1.2.3")


# --- addresses


@pytest.mark.parametrize(
    ("host", "within"),
    [("10.255.0.1", True), ("11.0.0.1", False), ("127.0.0.1", False), ("2001:db8::1", True), ("2001:db9::1", False),
     ("::1", False), ("::ffff:10.1.1.1", True), ("::ffff:11.1.1.1", False), ("2001:db8::1%eth0", True)],
)  # fmt: skip
def test_from_where_somebody_is_heard(host: str, within: bool) -> None:
    gate = Gate()
    for _ in range(2):
        assert gate.source(community(), host) is within
        assert gate.source(account(sources=ANYWHERE), host)
        assert not gate.source(account("nobody", sources=()), host)


def test_addresses_of_one_say_nothing_of_another_with_his_name() -> None:
    gate = Gate()
    narrow = (ipaddress.ip_network("10.0.0.1/32"),)
    for who, heard in (
        (account("same", sources=NETWORKS), True), (certificate("same", sources=narrow), False),
        (community(label="same", sources=narrow), False), (account("same", sources=NETWORKS), True),
    ):  # fmt: skip
        assert gate.source(who, "10.0.0.2") is heard


def test_addresses_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(securing, "KNOWN_SOURCES", 5)
    gate = Gate()
    for number in range(100):
        assert gate.source(community(), f"10.0.0.{number}")
        assert not gate.source(community(), f"11.0.0.{number}")
        assert len(gate._admitted) <= 5


# --- rates


def test_a_bucket_holds_what_a_second_brings_and_fills_again() -> None:
    now = [100.0]
    bucket = Bucket(3.0, lambda: now[0])
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]
    now[0] += 0.34
    assert [bucket.take() for _ in range(2)] == [True, False]
    now[0] += 1000
    assert [bucket.take() for _ in range(5)] == [True, True, True, False, False]


def test_a_rate_below_one_lets_one_through_now_and_then() -> None:
    now = [0.0]
    bucket = Bucket(0.25, lambda: now[0])
    taken = []
    for _ in range(9):
        taken.append(bucket.take())
        now[0] += 1
    assert taken == [True, False, False, False, True, False, False, False, True]


@settings(deadline=None)
@given(st.floats(0.1, 50), st.lists(st.floats(0, 3), max_size=60))
def test_nobody_is_let_through_more_often_than_he_may(rate: float, pauses: list[float]) -> None:
    now = [0.0]
    bucket = Bucket(rate, lambda: now[0])
    taken = 0
    for pause in pauses:
        now[0] += pause
        taken += bucket.take()
    assert taken <= max(1.0, rate) + rate * now[0] + 1e-6


def test_rates_are_counted_for_each_by_himself() -> None:
    gate = Gate(lambda: 0.0)
    some = [
        account("same", rate=1.0),
        certificate("same", rate=1.0),
        community(label="same", rate=1.0),
        account("other", rate=1.0),
    ]
    assert [[gate.pace(who) for who in some] for _ in range(2)] == [[True] * 4, [False] * 4]
    assert all(gate.pace(account("free")) for _ in range(100))


def test_two_certificates_of_one_user_share_his_rate() -> None:
    gate = Gate(lambda: 0.0)
    old, new = certificate(rate=1.0), certificate(rate=1.0, fingerprint="cd" * 32)
    assert [gate.pace(old), gate.pace(new)] == [True, False]


# --- secrets


def test_nothing_that_is_printed_holds_a_secret() -> None:
    some = Security(
        communities=[community(name=b"a secret string")], accounts=[account()], certificates=[certificate()]
    )
    policy = some.policy(HYPERVISORS)
    shown = repr(
        (
            some,
            some.communities,
            some.accounts,
            policy,
            policy.groups,
            policy.entries,
            principal(some.communities[0], "::1"),
        )
    )
    for secret in ("a secret string", *PASSPHRASES):
        assert secret not in shown


def test_communities_are_found_by_their_whole_string() -> None:
    found = securing.by_name(Security(communities=[community(name=b"abc")]))
    assert found.get(b"abc") is not None
    assert [found.get(other) for other in (b"", b"ab", b"abcd", b"ABC", b"abc\0")] == [None] * 5
