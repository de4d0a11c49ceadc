"""Patterns that are matched without going back: they find what `re` finds, in time that does not depend on them."""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import patterns
from agent.patterns import REMEMBERED, PatternError, Search

PATTERNS = [
    r"error", r"(?i)ERROR\b", r"^a.*b$", r"(a+)+$", r"I/O error|failed", r"\bfoo\b", r"x{2,4}y?", r"[^abc]+z", r"(ab|a)(c|bcd)(d*)",
    r"", r"a??b", r"\Bo\B", r"\d+\s\w", r"(?:a|b)*abb", r"(?i)é", r"[a-c]{3}(?i:X)", r"(|a)+b", r"(a*)*c", r"\Aab\Z",
    r"a\b", r"[^\d\-x]", r"a.{0,9}d", r"[ab]{9}x|c", r"\b[a-d]{2,5}\b.{3}$",
    r"(?x) a  b # c", r"\\", r"(?i:[k-m])", r".\n?$",
]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text(st.sampled_from("abcdxyzXZ foo/é1errorEI_OK\\-\u212a"), max_size=14))
def test_it_finds_what_re_finds(pattern: str, text: str) -> None:
    made = re.compile(pattern)
    assert Search(made).found(text) == (made.search(text) is not None)


def test_a_text_made_to_keep_it_busy_does_not() -> None:
    for pattern in (r"(a+)+$", r"(a|a)*b", r".*a.*a.*a.*b", r"(.*)*x"):
        search = Search(re.compile(pattern))
        began = time.process_time()
        assert not search.found("a" * 4095 + "c")
        assert time.process_time() - began < 1, pattern


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a)\1", "reference to a group"), (r"a(?=b)", "looking ahead"), (r"(?<!a)b", "looking ahead or behind"),
        (r"(?>a)b", "atomic"), (r"a++", "possessive"), (r"a{5000}", "places"), (r"(?m)^a", "a line"),
        (r"(a)?(?(1)b|c)", "condition"), (r"error.{0,200}timeout", "repeats comes to 200 characters, of 64"),
        (r"(?:a{20}b){0,9}c", "repeats comes to 189"), (r"a{40}|(?:b{20}|c)*|d{5}|e*", "repeats comes to 65"),
        ("x" * 257, "it has 257 characters"),
    ],
)  # fmt: skip
def test_what_needs_going_back_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(PatternError, match=re.escape(why)):
        Search(re.compile(pattern))


@given(text=st.text(st.sampled_from("abcx /1"), max_size=40))
def test_without_memory_it_finds_the_same(text: str) -> None:
    for pattern in (r"a.{2,5}c\b", r"^[^a]*x$", r"\Bb|1(?:ab|c){2}", r"(a|b)*a(a|b){3}c"):
        made = re.compile(pattern)
        search = Search(made)
        if search.literal in text:
            begin = search._found_without_memory(text, 0, 0, patterns._EDGE)
            assert begin == (made.search(text) is not None) == search.found(text)


def test_repetitions_cost_no_more_than_a_line_is_worth() -> None:
    choice = random.Random(1)
    for pattern in (r"error.{0,60}timeout", r"(?:a|b)*a(?:a|b){30}c", r"\be[^y]{50}z", r"(?:e?){60}!"):
        search = Search(re.compile(pattern))
        spent = []
        for _ in range(8):
            text = search.literal
            while len(text) < 4096:
                text += choice.choice(("error", "ab", "ba")) + choice.choice("xab ")
            began = time.thread_time()
            search.found(text)
            spent.append(time.thread_time() - began)
        assert min(spent) < 0.02, pattern


def test_what_is_remembered_is_bounded() -> None:
    search = Search(re.compile(r"[^a]{3}b|c"))
    assert search._octets <= patterns.PLACES // 8 + 1
    for code in range(0x4E00, 0x4E00 + 3 * REMEMBERED, 50):
        assert not search.found("".join(map(chr, range(code, code + 50))))
    assert sum(map(len, search._steps.values())) <= REMEMBERED
    assert len(search._steps) <= REMEMBERED + 2
    assert len(search._fitting) <= REMEMBERED
    assert search.found("xyzb")
