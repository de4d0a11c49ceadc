"""How what was read becomes tables: replacing a few rows gives what laying out everything anew gives."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from agent.driver import Root
from agent.layout import DRIVEN, FEW, Layout, grouped
from agent.model import MODEL, Disk, Domain, Host, Vcpu
from agent.model.domain import SetMemory
from agent.snapshot import Snapshot, Table
from agent.state import State
from drivers.fake import Fake


class Laid:
    """A layout, and the snapshots that it is laid out for."""

    def __init__(self, fake: Fake, *, anew: bool) -> None:
        self._anew = anew
        self._layout = Layout("default", State(":memory:"), Host(hypervisor="default", uri=fake.uri, connected=True))
        self.snapshot = Snapshot({row: Table(row, (), ()) for row in MODEL.rows})

    def read(self, fake: Fake, only: Sequence[Root] | None = None) -> bool:
        """Read these roots, or all, and lay them out; gives whether rows were merely replaced."""
        began = time.monotonic()
        plan = fake.plan(only)
        exist = frozenset(root for piece in plan.pieces for root in piece.roots)
        for piece in plan.pieces:
            self._layout.take(grouped(piece.read(), piece.roots, began))
        self._layout.drop((self._layout.roots if only is None else frozenset(only)) - exist, began)
        self._layout.mark_host(connected=True)
        if self._anew:
            self._layout._last = []
        self.snapshot = self.snapshot.with_tables(self._layout.tables(self.snapshot))
        return self._layout.patched


def root(fake: Fake, name: str) -> Root:
    return Domain, fake.find(name)


def connected(uri: str) -> Fake:
    fake = Fake("default", uri)
    fake.connect()
    return fake


def test_replacing_rows_gives_what_laying_out_anew_gives() -> None:
    # Two fakes of one seed, read alike: a fake's counters grow with each reading.
    chance = random.Random(7)
    pair = connected("fake:///?domains=40&statistics=2"), connected("fake:///?domains=40&statistics=2")
    laid = Laid(pair[0], anew=False), Laid(pair[1], anew=True)
    replaced = []
    there = [f"guest{n}" for n in range(1, 41)]
    for step in range(150):
        names = chance.sample(there, chance.choice((1, 1, 2, 5)))
        only: list[Root] | None = [root(pair[0], name) for name in names]
        deed = chance.choice(("read", "memory", "add", "remove", "break", "mend", "all"))
        for fake in pair:
            match deed:
                case "memory":
                    fake.mend_domain(names[0])
                    fake.perform(SetMemory(memory=2**18 + step), fake.find(names[0]))
                case "add":
                    fake.add(f"more{step}")
                case "remove":
                    fake.remove(names[0])
                case "break":
                    fake.break_domain(names[0])
                case "mend":
                    fake.mend_domain(names[0])
        if deed == "add":
            there.append(f"more{step}")
            only = [root(pair[0], there[-1])]
        elif deed == "remove":
            there.remove(names[0])
        elif deed == "all":
            only = None
        replaced.append([one.read(fake, only) for one, fake in zip(laid, pair, strict=True)])
        for row in DRIVEN:
            mine, other = laid[0].snapshot.table(row), laid[1].snapshot.table(row)
            assert mine.indexes == other.indexes, (step, deed, row)
            timeless = [f.position for f in row.fields if f.semantic.name in ("Timestamp", "Seconds")]
            for a, b in zip(mine.records, other.records, strict=True):
                assert [v for i, v in enumerate(a) if i not in timeless] == [
                    v for i, v in enumerate(b) if i not in timeless
                ], (step, deed, row)
    assert not any(theirs for _, theirs in replaced)
    assert sum(ours for ours, _ in replaced) > 50


def test_what_nobody_read_is_the_very_same() -> None:
    fake = connected("fake:///?domains=300")
    laid = Laid(fake, anew=False)
    assert not laid.read(fake)
    before = laid.snapshot
    assert laid.read(fake, [root(fake, "guest7")])
    after = laid.snapshot
    assert after.table(Disk).indexes is before.table(Disk).indexes
    changed = [a is not b for a, b in zip(after.table(Domain).records, before.table(Domain).records, strict=True)]
    assert changed.count(True) == 1
    assert laid.read(fake, [])
    assert laid.snapshot.table(Vcpu) is after.table(Vcpu)


def test_many_roots_are_laid_out_anew() -> None:
    fake = connected("fake:///?domains=300")
    laid = Laid(fake, anew=False)
    laid.read(fake)
    assert not laid.read(fake, [root(fake, f"guest{n}") for n in range(1, FEW + 10)])


def test_tables_that_nobody_published_are_not_built_upon() -> None:
    fake = connected("fake:///?domains=5")
    laid = Laid(fake, anew=False)
    laid.read(fake)
    published = laid.snapshot
    fake.perform(SetMemory(memory=300_000), fake.find("guest1"))
    assert laid.read(fake, [root(fake, "guest1")])
    laid.snapshot = published  # as if what was built had come too late
    assert not laid.read(fake, [root(fake, "guest2")])
    found = laid.snapshot.get(Domain, fake.find("guest1"))
    assert found is not None
    assert found.memory == 300_000
