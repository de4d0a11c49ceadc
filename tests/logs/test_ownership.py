"""Which files are a domain's logs: every name is nobody's or one log's, whatever stands side by side."""

from __future__ import annotations

import ctypes
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.log import LogKind
from drivers.logs.ownership import Owner, grouped, libvirt_would_remove, log_name, older, owner_of

NAMES = st.text(st.characters(blacklist_characters="/\0\n", blacklist_categories=("Cs",)), min_size=1, max_size=12)
TRICKY = st.builds(
    "".join, st.lists(st.sampled_from(["foo", ".log", ".1", ".0", ".gz", "-20261101", "-fs0-virtiofsd", "-swtpm", " ", "%u"]),
                      min_size=1, max_size=5)
)  # fmt: skip
DOMAINS = st.one_of(NAMES, TRICKY)


def rule(domain: str, name: str) -> bool:
    """The rule itself, as it is written down."""
    return re.fullmatch(re.escape(domain) + r"\.log(\.[0-9]+)?", name) is not None


@pytest.mark.parametrize(
    ("name", "base", "number", "archive"),
    [
        ("foo.log.1", "foo.log", 1, False),
        ("foo.log.0", "foo.log", 0, False),
        ("foo.log.log.1", "foo.log.log", 1, False),
        ("foo.log.1.2", "foo.log.1", 2, False),
        ("foo.log.1.gz", "foo.log", 1, True),
        ("foo.log-20261101", "foo.log", None, True),
        ("foo.log-20261101.gz", "foo.log", None, True),
        ("foo.log-2026110112.xz", "foo.log", None, True),
    ],
)
def test_the_name_of_an_older_file_tells_whose_it_is(name: str, base: str, number: int | None, archive: bool) -> None:
    found = older(name)
    assert found is not None
    assert (found.base, found.number, found.archive) == (base, number, archive)


@pytest.mark.parametrize(
    "name", ["foo.log", "foo.log.1.log", "foo.log.x", "foo.log-1", "foo.log.1.gz.log", ".1", "foo.log.", ""]
)
def test_other_names_are_those_of_no_older_file(name: str) -> None:
    assert older(name) is None


def test_what_stands_side_by_side_is_kept_apart() -> None:
    names = [
        "foo.log", "foo.log.1", "foo.log.0", "foo.log.log", "foo.log.log.1", "foo.log.1.log", "foo.log.1.log.1", "foo.log.1.gz",
        "foo.logs", "foo.log.old", "notes.txt", "foo", "foobar.log", "foo.log.1x",
    ]  # fmt: skip
    claimed = {log_name(each): [Owner(uuid="u", domain=each)] for each in ("foo", "foo.log", "foo.log.1")}
    found = grouped(names, claimed)
    assert {base: set(its.older) for base, its in found.items()} == {
        "foo.log": {"foo.log.1", "foo.log.0", "foo.log.1.gz"},
        "foo.log.log": {"foo.log.log.1"},
        "foo.log.1.log": {"foo.log.1.log.1"},
        "foobar.log": set(),
    }


def test_a_path_that_a_definition_names_is_a_log_of_its_own() -> None:
    """A console log that looks like an older file of the domain's log is none."""
    claimed = {"foo.log": [], "foo.log.1": []}
    found = grouped(["foo.log", "foo.log.0", "foo.log.1", "foo.log.1.0"], claimed)
    assert set(found["foo.log"].older) == {"foo.log.0"}
    assert set(found["foo.log.1"].older) == {"foo.log.1.0"}


def test_in_a_directory_of_other_things_only_what_is_claimed_is_a_log() -> None:
    found = grouped(["con", "con.0", "other.log", "other.log.1", "con.txt"], {"con": []}, foreign=True)
    assert {base: (its.current, set(its.older)) for base, its in found.items()} == {"con": (True, {"con.0"})}


@given(DOMAINS, DOMAINS, st.integers(0, 99))
def test_no_file_is_two_domains(one: str, other: str, number: int) -> None:
    for name in (log_name(other), f"{log_name(other)}.{number}"):
        found = grouped([name], {log_name(one): (), log_name(other): ()})
        mine = found.get(log_name(one))
        has = mine is not None and ((mine.current and name == log_name(one)) or name in mine.older)
        assert has == rule(one, name)
        assert not has or one == other


@given(st.lists(DOMAINS, unique=True, max_size=6), st.lists(DOMAINS, max_size=6))
def test_what_is_removed_is_what_the_rule_says(domains: list[str], files: list[str]) -> None:
    names = sorted({*files, *(log_name(d) for d in domains), *(f"{log_name(d)}.7" for d in domains)})
    found = grouped(names, {log_name(d): () for d in domains})
    for domain in domains:
        its = found[log_name(domain)]
        own = {n for n, told in its.older.items() if not told.archive} | {log_name(domain)}
        assert own == {name for name in names if rule(domain, name)}


@given(NAMES)
def test_the_log_of_a_domain_that_is_gone_tells_its_name(domain: str) -> None:
    owner = owner_of(log_name(domain))
    assert owner is None or owner.domain == domain or owner.kind is not LogKind.HYPERVISOR
    assert (owner is None) == (not domain.isprintable())


@pytest.mark.parametrize(
    ("name", "domain", "kind"),
    [("a-fs0-virtiofsd.log", "a", LogKind.VIRTIOFSD), ("a-swtpm.log", "a", LogKind.SWTPM), ("-swtpm.log", "-swtpm", 1)],
)
def test_logs_of_programs_are_known_by_name_where_nobody_claims_them(name: str, domain: str, kind: LogKind) -> None:
    owner = owner_of(name)
    assert owner is not None
    assert (owner.domain, owner.kind) == (domain, kind)


def libvirt_rule(domain: str, name: str) -> bool:
    """What libvirt does, with the C library's own sscanf."""
    number = ctypes.c_uint()
    form = f"{domain}.log.%u".encode()
    return name == f"{domain}.log" or ctypes.CDLL(None).sscanf(name.encode(), form, ctypes.byref(number)) == 1


@given(
    st.text(st.sampled_from("fo.lg1 -+\t"), min_size=1, max_size=8),
    st.text(st.sampled_from("fo.lg1 -+\t0x"), max_size=12),
    st.booleans(),
)
def test_what_libvirt_would_remove_is_never_more_than_we_think(domain: str, name: str, near: bool) -> None:
    name = f"{domain}.log.{name}" if near else name
    assert not libvirt_rule(domain, name) or libvirt_would_remove(domain, name)


@pytest.mark.parametrize("name", ["foo.log.1.log", "foo.log.1", "foo.log. 1", "foo.log.-1", "foo.log.1x"])
def test_the_defect_of_libvirt_is_known(name: str) -> None:
    assert libvirt_would_remove("foo", name)
    assert not libvirt_would_remove("fo", name)


def test_a_name_that_is_a_format_may_fit_anything() -> None:
    assert libvirt_would_remove("a%s", "whatever")
