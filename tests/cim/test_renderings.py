"""Instances are made once for each snapshot, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agent.cim import renderings
from agent.cim.classes import InstanceClass, build
from agent.cim.instances import Selection, Template, Wanted, instance_parts
from agent.cim.renderings import NAME, OVERHEAD, Renderings
from agent.model import MODEL, Domain
from agent.snapshot import Table
from drivers.fake import Fake

SCHEMA = build(MODEL)
DOMAIN: InstanceClass = SCHEMA.instances["virtmap_domain"]
ALL = Wanted()
FEW = Wanted(properties=frozenset(("elementname", "memory")))


def table(domains: int = 100) -> Table:
    """The domains of a fake, as a snapshot has them."""
    fake = Fake("one", f"fake:///?domains={domains}&details=0")
    fake.connect()
    rows = [row for piece in fake.plan(None).pieces for row in piece.read().rows if isinstance(row, Domain)]
    return Table(Domain, [row.values for row in rows], tuple((i + 1,) for i in range(len(rows))))


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many rows were rendered, each time some were."""
    counts: list[int] = []
    render, render_one = Template.render, Template.render_one

    def counting(self: Template, selection: Selection) -> list[str]:
        counts.append(selection.size)
        return render(self, selection)

    def counting_one(self: Template, record: tuple[Any, ...], hypervisor: str) -> str:
        counts.append(1)
        return render_one(self, record, hypervisor)

    monkeypatch.setattr(Template, "render", counting)
    monkeypatch.setattr(Template, "render_one", counting_one)
    return counts


def made(limit: int = renderings.LIMIT) -> Renderings:
    return Renderings(lambda _: {}, limit)


def test_the_same_instance_is_made_once_whoever_asks_how(rendered: list[int]) -> None:
    store, domains = made(), table()
    whole = store.of(DOMAIN, ALL, "one", domains, range(100))
    assert sum(rendered) == 100
    assert max(rendered) == renderings.CHUNK
    assert store.of(DOMAIN, ALL, "one", domains, [7, 5]) == [whole[7], whole[5]]
    assert store.of(DOMAIN, ALL, "one", domains, range(90, 100)) == whole[90:]
    assert sum(rendered) == 100
    store.of(DOMAIN, FEW, "one", domains, [3])
    store.of(DOMAIN, NAME, "one", domains, [3])
    assert rendered[-2:] == [1, 1]


def test_only_what_is_missing_is_made(rendered: list[int]) -> None:
    store, domains = made(), table()
    some = store.of(DOMAIN, ALL, "one", domains, [10, 20, 30])
    found = store.of(DOMAIN, ALL, "one", domains, range(10, 31))
    assert rendered == [3, 18]
    assert [found[0], found[10], found[20]] == some
    expected = Template(instance_parts(DOMAIN)).render(Selection([domains.records[11]], "one"))
    assert found[1] == expected[0].encode()


def test_another_snapshot_is_made_anew(rendered: list[int]) -> None:
    store, first, second = made(), table(), table()
    store.of(DOMAIN, ALL, "one", first, range(40))
    size = store.size
    store.of(DOMAIN, ALL, "one", second, range(40))
    assert sum(rendered) == 80
    assert store.size == pytest.approx(size, rel=0.01)


def test_what_is_stale_goes_at_once() -> None:
    store, first, second = made(), table(), table()
    store.of(DOMAIN, ALL, "one", first, range(40))
    store.of(DOMAIN, ALL, "two", second, range(40))
    store.drop_stale(lambda hypervisor, found: found is second)
    assert store.size > 0
    store.drop_stale(lambda hypervisor, found: False)
    assert store.size == 0


def test_memory_is_bounded_and_what_came_first_stays(rendered: list[int]) -> None:
    domains = table(200)
    one = len(made().of(DOMAIN, ALL, "one", domains, [0])[0]) + OVERHEAD
    store = made(one * 70)
    for _ in range(2):
        whole = store.of(DOMAIN, ALL, "one", domains, range(200))
        assert len(whole) == 200
        assert 0 < store.size <= one * 70
    store.of(DOMAIN, ALL, "one", domains, range(64))
    assert sum(rendered) == 1 + 200 + 136


def test_what_nobody_asked_for_lately_makes_room(monkeypatch: pytest.MonkeyPatch, rendered: list[int]) -> None:
    now = [100.0]
    monkeypatch.setattr(renderings.time, "monotonic", lambda: now[0])
    domains = table(64)
    one = len(made().of(DOMAIN, ALL, "one", domains, [0])[0]) + OVERHEAD
    store = made(one * 66)
    store.of(DOMAIN, ALL, "one", domains, range(64))
    origin = Wanted(class_origin=False, properties=frozenset(p.name.lower() for p in DOMAIN.properties))
    rendered.clear()
    store.of(DOMAIN, origin, "one", domains, range(64))
    store.of(DOMAIN, ALL, "one", domains, range(64))
    assert rendered == [32, 32]  # the newer one found no room, the older one was there
    now[0] += renderings.LATELY
    store.of(DOMAIN, origin, "one", domains, range(64))
    store.of(DOMAIN, origin, "one", domains, range(64))
    assert sum(rendered) == 128


def test_choices_and_templates_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    store, domains = made(), table(1)
    monkeypatch.setattr(renderings, "TEMPLATES", 8)
    monkeypatch.setattr(renderings, "CHOICES", 5)
    for prop in DOMAIN.properties:
        store.of(DOMAIN, Wanted(properties=frozenset((prop.name.lower(),))), "one", domains, [0])
    assert (len(store._templates), len(store._kept)) == (8, 5)
    assert store.size == sum(len(b) + OVERHEAD for kept in store._kept.values() for b in kept.made.values())


def test_properties_that_are_not_there_are_no_choice(rendered: list[int]) -> None:
    store, domains = made(), table(1)
    for i in range(20):
        store.of(DOMAIN, Wanted(properties=frozenset(("memory", f"p{i}"))), "one", domains, [0])
    assert rendered == [1]


@pytest.mark.parametrize("size", [1, 3, 40])
def test_nulls_are_told_wherever_they_are(size: int) -> None:
    """Numbers stand in the format as they are until one is NULL."""
    domains = table(size)
    column = Domain.positions["cpu_time"]
    records: list[Any] = [list(record) for record in domains.records]
    records[-1][column] = None
    template = Template(instance_parts(DOMAIN, frozenset(("cputime", "memory"))))
    texts = template.render(Selection([tuple(r) for r in records], "one"))
    assert '<PROPERTY NAME="CpuTime" TYPE="uint64"></PROPERTY>' in texts[-1]
    assert [template.render_one(tuple(r), "one") for r in records] == texts
    known = template.render(Selection(domains.records, "one"))
    assert all(f"<VALUE>{r[column]}</VALUE>" in text for r, text in zip(domains.records, known, strict=True))
