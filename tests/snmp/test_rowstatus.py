"""RowStatus and TestAndIncr: every cell of RFC 2579's table, and every way to set them wrongly."""

from __future__ import annotations

import pytest

from agent.snmp import ber, rowstatus
from agent.snmp.message import Status
from agent.snmp.rowstatus import RowStatus
from agent.snmp.setting import Ask, Refused
from agent.snmp.view import SCALAR, Computed
from tests import wire

ACTIVE, NOT_IN_SERVICE, NOT_READY, GO, WAIT, DESTROY = RowStatus
WHY = "something is missing"


def ask(value: bytes, index: int = 3) -> Ask:
    tag, contents, _ = wire.taken(value)
    column = Computed((1, 3, 6, 1), SCALAR, lambda _: b"")
    return Ask(index=index, column=column, instance=(0,), row=0, tag=tag, value=contents)


def refused(status: Status, index: int = 3) -> pytest.RaisesExc[Refused]:
    return pytest.raises(Refused, check=lambda e: (e.status, e.index) == (status, index))


@pytest.mark.parametrize(
    ("now", "wish", "ready", "after"),
    [
        (None, GO, True, ACTIVE),
        (None, WAIT, True, NOT_IN_SERVICE),
        (None, WAIT, False, NOT_READY),
        (None, DESTROY, False, None),
        (NOT_READY, ACTIVE, True, ACTIVE),
        (NOT_READY, NOT_IN_SERVICE, True, NOT_IN_SERVICE),
        (NOT_READY, DESTROY, False, None),
        (NOT_IN_SERVICE, ACTIVE, True, ACTIVE),
        (NOT_IN_SERVICE, NOT_IN_SERVICE, True, NOT_IN_SERVICE),
        (NOT_IN_SERVICE, DESTROY, True, None),
        (ACTIVE, ACTIVE, True, ACTIVE),
        (ACTIVE, ACTIVE, False, ACTIVE),
        (ACTIVE, NOT_IN_SERVICE, True, NOT_IN_SERVICE),
        (ACTIVE, DESTROY, True, None),
    ],
)
def test_what_is_granted(now: RowStatus | None, wish: RowStatus, ready: bool, after: RowStatus | None) -> None:
    assert rowstatus.moved(now, wish, index=3, ready=None if ready else WHY) is after


@pytest.mark.parametrize(
    ("now", "wish", "ready"),
    [
        (None, GO, False),
        (None, ACTIVE, True),
        (None, NOT_IN_SERVICE, True),
        (NOT_READY, GO, True),
        (NOT_READY, WAIT, True),
        (NOT_READY, ACTIVE, False),
        (NOT_READY, NOT_IN_SERVICE, False),
        (NOT_IN_SERVICE, GO, True),
        (NOT_IN_SERVICE, WAIT, True),
        (NOT_IN_SERVICE, ACTIVE, False),
        (ACTIVE, GO, True),
        (ACTIVE, WAIT, True),
    ],
)
def test_what_is_inconsistent(now: RowStatus | None, wish: RowStatus, ready: bool) -> None:
    with refused(Status.INCONSISTENT_VALUE):
        rowstatus.moved(now, wish, index=3, ready=None if ready else WHY)


def test_a_row_in_use_may_be_kept() -> None:
    with refused(Status.INCONSISTENT_VALUE):
        rowstatus.moved(ACTIVE, NOT_IN_SERVICE, index=3, suspends="it runs")
    with refused(Status.INCONSISTENT_VALUE):
        rowstatus.moved(ACTIVE, DESTROY, index=3, destroys="it runs")
    assert rowstatus.moved(None, DESTROY, index=3, destroys="it runs") is None


def test_create_and_wait_need_not_be_offered() -> None:
    with refused(Status.WRONG_VALUE):
        rowstatus.moved(None, WAIT, index=3, waits=False)


@pytest.mark.parametrize("number", [1, 2, 4, 5, 6])
def test_a_wish_is_read(number: int) -> None:
    assert rowstatus.asked(ask(wire.number(number))) == number


@pytest.mark.parametrize("number", [-1, 0, 3, 7, 2**31 - 1])
def test_not_ready_and_what_is_no_status_are_wrong_values(number: int) -> None:
    with refused(Status.WRONG_VALUE):
        rowstatus.asked(ask(wire.number(number)))


def test_another_type_is_a_wrong_type() -> None:
    with refused(Status.WRONG_TYPE):
        rowstatus.asked(ask(wire.text("4")))
    with refused(Status.WRONG_TYPE):
        rowstatus.incremented(1, ask(wire.number(1, ber.UNSIGNED)))


@pytest.mark.parametrize(("now", "after"), [(0, 1), (41, 42), (2**31 - 1, 0)])
def test_test_and_incr_goes_up_and_around(now: int, after: int) -> None:
    assert rowstatus.incremented(now, ask(wire.number(now))) == after


def test_test_and_incr_refuses_another_value_than_its_own() -> None:
    with refused(Status.INCONSISTENT_VALUE):
        rowstatus.incremented(41, ask(wire.number(42)))
    with refused(Status.WRONG_VALUE):
        rowstatus.incremented(41, ask(wire.number(-1)))
    with refused(Status.WRONG_ENCODING):
        rowstatus.incremented(41, ask(b"\x02\x00"))
