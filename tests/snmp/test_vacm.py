"""Views with masks, their ranges in a snapshot, and the choice among access entries (RFC 3415)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.snmp import ber
from agent.snmp.message3 import Level
from agent.snmp.vacm import AccessEntry, Denial, Grant, MibView, Policy, Range, Subtree
from agent.snmp.view import Computed, RowIndex, View

IF = (1, 3, 6, 1, 2, 1, 2, 2, 1)


def column(oid: tuple[int, ...], *rows: int) -> Computed:
    return Computed(oid, RowIndex(tuple((r,) for r in rows)), lambda row: ber.encode_integer(rows[row]))


def snapshot() -> View:
    return View([column((*IF, c), 1, 2, 3, 4, 5) for c in (1, 2, 3)] + [column((1, 3, 6, 1, 2, 1, 1, 1), 0)])


def walked(view: View) -> list[tuple[int, ...]]:
    """Every OID that a walk shows."""
    out, place = [], (0, 0)
    while True:
        found, *place = view.following(*place)  # type: ignore[assignment]
        if not found:
            return out
        _, start, stop = ber.tlv(found, 0, len(found))
        start, stop = ber.expect(ber.OID, found, start, stop)
        out.append(ber.oid(found[start:stop]))


def test_a_view_without_subtrees_shows_nothing() -> None:
    assert not MibView("none", ()).includes((1, 3))
    assert walked(MibView("none", ()).narrowed(snapshot())) == []


def test_the_longest_subtree_decides() -> None:
    view = MibView("v", [Subtree(oid=(1, 3)), Subtree(oid=IF, included=False), Subtree(oid=(*IF, 2))])
    assert view.includes((1, 3, 6))
    assert not view.includes((*IF, 1, 1))
    assert view.includes((*IF, 2, 1))
    assert not view.includes((1,))
    assert not view.includes((2, 5))


def test_of_equally_long_subtrees_the_greatest_decides() -> None:
    """RFC 3415, vacmViewTreeFamilyTable: the lexicographically greatest of those with the most arcs."""
    wild = bytes([0b11111111, 0b00111111])  # the arcs at places 8 and 9 are free
    view = MibView("v", [Subtree(oid=(*IF, 1, 3), mask=wild), Subtree(oid=(*IF, 2, 3), included=False, mask=wild)])
    assert not view.includes((*IF, 7, 3))


def test_a_mask_shows_one_row_of_every_column() -> None:
    """RFC 3415, section 2.4.2: all columns of one conceptual row."""
    view = MibView("row", [Subtree(oid=(*IF, 0, 4), mask=b"\xff\xa0")])
    assert view.includes((*IF, 1, 4))
    assert view.includes((*IF, 99, 4))
    assert not view.includes((*IF, 1, 5))
    assert walked(view.narrowed(snapshot())) == [(*IF, 1, 4), (*IF, 2, 4), (*IF, 3, 4)]


def test_a_mask_that_is_too_short_goes_on_with_ones() -> None:
    view = MibView("v", [Subtree(oid=(*IF, 1, 4), mask=b"\xff")])
    assert view.includes((*IF, 1, 4))
    assert not view.includes((*IF, 2, 4))


def test_a_mask_longer_than_any_oid_is_refused() -> None:
    with pytest.raises(ValueError, match="16 octets"):
        Subtree(oid=(1, 3), mask=bytes(17))


def test_columns_that_are_in_as_a_whole_are_shared_with_the_snapshot() -> None:
    everything = snapshot()
    narrowed = MibView("v", [Subtree(oid=(1, 3)), Subtree(oid=(*IF, 2), included=False)]).narrowed(everything)
    assert [c.oid for c in narrowed.columns] == [(1, 3, 6, 1, 2, 1, 1, 1), (*IF, 1), (*IF, 3)]
    assert all(any(c is known for known in everything.columns) for c in narrowed.columns)


def test_rows_that_are_out_are_skipped_in_every_way_to_ask() -> None:
    view = MibView("v", [Subtree(oid=(1, 3)), *(Subtree(oid=(*IF, 2, row), included=False) for row in (1, 3, 5))])
    narrowed = view.narrowed(snapshot())
    first = ber.oid_contents((*IF, 2))
    assert narrowed.exact(first + b"\x01") is None
    place = narrowed.exact(first + b"\x04")
    assert place is not None
    assert narrowed.columns[place[0]].get(place[1]).endswith(b"\x02\x01\x04")
    chunks, count, *_ = narrowed.run(*narrowed.after(first), 2, 1000)
    assert count == 2
    assert b"".join(chunks).count(first) == 2
    assert [o for o in walked(narrowed) if o[: len(IF) + 1] == (*IF, 2)] == [(*IF, 2, 2), (*IF, 2, 4)]


def test_ranges_are_what_is_in_the_view_and_part_of_a_column_is_a_range() -> None:
    view = MibView("v", [Subtree(oid=(*IF, 1)), Subtree(oid=(*IF, 1, 3), included=False), Subtree(oid=(*IF, 3, 2))])
    assert view.ranges(snapshot()) == [Range(1, 0, 2), Range(1, 3, 5), Range(3, 1, 2)]


arc = st.integers(0, 4)
families = st.lists(
    st.builds(
        lambda tail, included, mask: Subtree(oid=(*IF, *tail), included=included, mask=mask),
        st.lists(arc, max_size=3).map(tuple),
        st.booleans(),
        st.binary(max_size=2),
    ),
    max_size=6,
    unique_by=lambda s: (s.oid, s.mask),
)


@settings(deadline=None)
@given(families)
def test_a_narrowed_view_shows_exactly_what_the_view_includes(subtrees: list[Subtree]) -> None:
    view = MibView("v", subtrees)
    everything = snapshot()
    allowed = [oid for oid in walked(everything) if view.includes(oid)]
    assert walked(view.narrowed(everything)) == allowed
    ranges = view.ranges(everything)
    assert sum(r.stop - r.first for r in ranges) == len(allowed)


@settings(deadline=None)
@given(families, st.lists(arc, max_size=2).map(tuple), st.lists(arc, max_size=3).map(tuple))
def test_everything_beneath_is_never_wrong(
    subtrees: list[Subtree], head: tuple[int, ...], tail: tuple[int, ...]
) -> None:
    view = MibView("v", subtrees)
    whole = view.everything_beneath((*IF, *head))
    assert whole in (None, view.includes((*IF, *head, *tail)))


ALL = MibView("all", [Subtree(oid=(1, 3))])
SOME = MibView("some", [Subtree(oid=IF)])


def policy(*entries: AccessEntry) -> Policy:
    return Policy({(3, "ann"): "ops"}, entries, [ALL, SOME], ["", "web", "web2"])


def test_access_needs_a_context_a_group_and_an_entry() -> None:
    one = policy(AccessEntry(group="ops", read="all", write="some"))
    assert one.access(3, "ann", Level.AUTH_PRIV, "") == Grant(ALL, SOME, None)
    assert one.access(3, "ann", Level.AUTH_NO_PRIV, "") is Denial.NO_ACCESS_ENTRY
    assert one.access(3, "ann", Level.AUTH_PRIV, "web") is Denial.NO_ACCESS_ENTRY
    assert one.access(3, "ann", Level.AUTH_PRIV, "db") is Denial.NO_SUCH_CONTEXT
    assert one.access(3, "bob", Level.AUTH_PRIV, "") is Denial.NO_GROUP_NAME
    assert one.access(2, "ann", Level.AUTH_PRIV, "") is Denial.NO_GROUP_NAME


def test_the_most_special_entry_holds() -> None:
    one = policy(
        AccessEntry(group="ops", prefix=True, level=Level.NO_AUTH_NO_PRIV, read="some"),
        AccessEntry(group="ops", context="web", prefix=True, level=Level.NO_AUTH_NO_PRIV, write="some"),
        AccessEntry(group="ops", context="web", level=Level.AUTH_NO_PRIV, read="all"),
        AccessEntry(group="ops", context="web", level=Level.AUTH_PRIV, read="all", write="all"),
        AccessEntry(group="ops", context="web", model=0, level=Level.AUTH_PRIV, notify="all"),
    )
    assert one.access(3, "ann", Level.AUTH_PRIV, "web") == Grant(ALL, ALL, None)
    assert one.access(3, "ann", Level.AUTH_NO_PRIV, "web") == Grant(ALL, None, None)
    assert one.access(3, "ann", Level.NO_AUTH_NO_PRIV, "web") == Grant(None, SOME, None)
    assert one.access(3, "ann", Level.NO_AUTH_NO_PRIV, "web2") == Grant(None, SOME, None)
    assert one.access(3, "ann", Level.AUTH_PRIV, "") == Grant(SOME, None, None)


def test_an_entry_with_an_unknown_view_is_an_error_at_once() -> None:
    with pytest.raises(KeyError):
        policy(AccessEntry(group="ops", read="al"))
