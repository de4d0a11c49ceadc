"""Coverage-guided fuzzing, whatever is fuzzed: inputs are made of inputs, and those that reach what none reached before are kept.

An input reaches edges between lines of some sources. The corpus of a campaign is the smallest set found that reaches
all of them; it is committed, replayed by the tests, and made by a long search. What is fuzzed, and what has to hold, is told
by a Target; how inputs come about by a mutator of the campaign's own.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

Edge: TypeAlias = "tuple[str, int, int]"
"""A function, by file and name, a line of it and the line that came before; -1 is an exception, 0 the call."""


class Input(Protocol):
    """Something to be tried; hashable."""

    @property
    def data(self) -> bytes | str: ...

    def line(self) -> str:
        """How it stands in a file."""
        ...


I = TypeVar("I", bound=Input)  # noqa: E741
Tried = TypeVar("Tried", bound=Input, contravariant=True)
Mutate: TypeAlias = Callable[[I], I]


class Target(Protocol[Tried]):
    """What is fuzzed."""

    #: What the paths of those sources begin with whose lines count.
    sources: str | tuple[str, ...]

    def run(self, one: Tried) -> None:
        """Hold the invariant against one input. Violation if it breaks."""
        ...

    def sane(self) -> None:
        """AssertionError unless all is still well, after however many inputs."""
        ...

    def close(self) -> None: ...


class Violation(AssertionError):
    """An input breaks the invariant."""


class Coverage:
    """The edges between lines of some sources that were passed while this was the tracer."""

    def __init__(self, sources: str | tuple[str, ...]) -> None:
        self.edges: set[Edge] = set()
        self._sources = sources

    def __enter__(self) -> Coverage:
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _called(self, frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(self._sources):
            return None
        edges, name, last = self.edges, f"{code.co_filename}:{code.co_name}", 0

        def line(frame: FrameType, event: str, _: object) -> Any:
            nonlocal last
            if event == "line":
                edges.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            elif event == "exception":
                edges.add((name, last, -1))
            return line

        return line


def covered(target: Target[I], one: I) -> set[Edge]:
    """The edges that an input reaches. Violation if it breaks the invariant."""
    with Coverage(target.sources) as coverage:
        target.run(one)
    return coverage.edges


def fewest(target: Target[I], inputs: Iterable[I]) -> list[I]:
    """Inputs that together reach all edges that these reach: short ones first, and none that adds nothing."""
    kept: list[I] = []
    edges: set[Edge] = set()
    for one in sorted(set(inputs), key=lambda i: (len(i.data), i.line())):
        new = covered(target, one) - edges
        if new:
            edges |= new
            kept.append(one)
    return kept


def read(path: Path, of_line: Callable[[str], I]) -> list[I]:
    """The inputs in a file; lines that start with # are comments."""
    return [of_line(line) for line in path.read_text().splitlines() if line and not line.startswith("#")]


def octets(chance: random.Random, data: bytes, telling: Sequence[int], others: Callable[[], bytes]) -> bytes:
    """Octets changed somewhere: one replaced by any or by one that is ``telling``, some left out, added or doubled, or the rest
    taken from another input."""
    at, end = chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)
    match chance.randrange(6):
        case 0:
            return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        case 1:
            return data[:at] + bytes([chance.choice(telling)]) + data[at + 1 :]
        case 2:
            return data[: min(at, end)] + data[max(at, end) :] if abs(at - end) < 9 else data[:at]
        case 3:
            return data[:at] + bytes(chance.randrange(256) for _ in range(chance.randrange(9))) + data[at:]
        case 4:
            return data[:at] + data[min(at, end) : min(at, end) + 40] + data[at:]
    return data[:at] + others()[at:]


@dataclass
class Search(Generic[I]):
    """What was tried, and what is worth keeping. ``mutator`` makes a mutation out of the chance and the corpus, which grows."""

    target: Target[I]
    chance: random.Random
    corpus: list[I]
    mutator: Callable[[random.Random, Sequence[I]], Mutate[I]]
    edges: set[Edge] = field(default_factory=set)
    found: list[I] = field(default_factory=list)
    tried: int = 0

    def replay(self) -> None:
        """Run the corpus as it is."""
        for one in self.corpus:
            self.edges |= covered(self.target, one)
        self.target.sane()

    def explore(self, seconds: float) -> None:
        """Mutate and run until the time is over. Violation at the first input that breaks the invariant."""
        until = time.monotonic() + seconds
        mutate = self.mutator(self.chance, self.corpus)
        while time.monotonic() < until:
            one = mutate(self.chance.choice(self.corpus))
            new = covered(self.target, one) - self.edges
            if new:
                self.edges |= new
                self.found.append(one)
                self.corpus.append(one)
            self.tried += 1
            if self.tried % 500 == 0:
                self.target.sane()
        self.target.sane()


@dataclass(frozen=True, kw_only=True)
class Campaign(Generic[I]):
    """A search that can be taken up again: what it is for, where its corpus is, and what it starts from."""

    #: A file, which begins with this comment.
    corpus: Path
    heading: str
    of_line: Callable[[str], I]
    seeds: Callable[[], list[I]]
    target: Callable[[], Target[I]]
    mutator: Callable[[random.Random, Sequence[I]], Mutate[I]]

    def read(self) -> list[I]:
        return read(self.corpus, self.of_line)

    def search(self, target: Target[I], seed: int, inputs: list[I]) -> Search[I]:
        return Search(target, random.Random(seed), inputs, self.mutator)

    def run(self, seconds: float, seed: int) -> None:
        """Search on from the corpus and the seeds, and write what is worth keeping."""
        target = self.target()
        try:
            start = self.read() if self.corpus.exists() else []
            search = self.search(target, seed, fewest(target, [*start, *self.seeds()]))
            search.replay()
            try:
                search.explore(seconds)
            finally:
                kept = fewest(target, search.corpus)
                told = f"{search.tried} tried, {len(search.edges)} edges, {len(kept)} kept, {len(search.found)} new"
                print(f"{self.corpus.stem}: seed {seed}: {told}")
                self.corpus.write_text("\n".join([self.heading, *(one.line() for one in kept)]) + "\n")
        finally:
            target.close()


def seed_of(arguments: Sequence[str]) -> int:
    """The seed that a command names, or one that is new."""
    return int(arguments[0]) if arguments else time.time_ns() % 2**32
