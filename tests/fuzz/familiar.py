"""Fuzzing of the quick way in which requests of a familiar shape are read.

The invariant: whatever the octets, and whatever stands for their texts once they are familiar, they are read as they are
read in full: the same request, or the same refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.cim import familiar
from agent.cim.familiar import Familiar
from agent.cim.messages import Request, read
from tests.fuzz import cim_requests, guided
from tests.fuzz.cim_requests import Input, understood
from tests.fuzz.guided import Violation


class Target:
    """The reader of familiar requests, which meets nothing but one input and what is shaped like it."""

    sources = familiar.__file__

    def run(self, one: Input) -> None:
        reader = Familiar()
        try:
            for data in (*[one.data] * 3, *variants(one.data)):
                same(understood(data, reader.read), understood(data, read))
            assert len(reader) <= 10
        except Exception as error:
            raise Violation(f"{type(error).__name__}: {error}; input: {one.line()}") from error

    def sane(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is held."""


def same(quick: object, thorough: object) -> None:
    """AssertionError unless two outcomes are the same."""
    assert type(quick) is type(thorough), f"{quick!r:.200} when familiar, and else {thorough!r:.200}"
    if isinstance(quick, Request):
        assert repr(quick) == repr(thorough), f"{quick!r} when familiar, and else {thorough!r}"
    else:
        assert vars(quick) == vars(thorough)


_TEXT = re.compile(rb">([^<>&]+)</")


def variants(data: bytes) -> Iterator[bytes]:
    """With other texts in it: each of them another, and those that are there, the other way round."""
    texts = [found.group(1) for found in _TEXT.finditer(data)]
    for new in (b"0x1F", b" TRUE ", b"a;]]\x7f", b"virtmap-mark-1-", b"\xc3\xa9"):
        yield _TEXT.sub(lambda _, new=new: b">" + new + b"</", data)  # type: ignore[misc]
    left = iter(reversed(texts))
    yield _TEXT.sub(lambda _: b">" + next(left) + b"</", data).replace(b'ID="1"', b'ID="virtmap-mark-0- "', 1)


CAMPAIGN = guided.Campaign(
    corpus=cim_requests.FOUND.with_name("familiar.txt"),
    heading="# Inputs of tests/fuzz/familiar.py, which found them: the octets of a body.",
    of_line=Input.of_line,
    seeds=cim_requests.seeds,
    target=Target,
    mutator=cim_requests.CAMPAIGN.mutator,
)
