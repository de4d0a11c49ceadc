"""RowStatus and TestAndIncr (RFC 2579, section 2): what setting one does, as rules for writers, without a table behind them."""

import enum

from agent.snmp import ber, writers
from agent.snmp.message import Status
from agent.snmp.setting import Ask, Refused

LARGEST = 2**31 - 1


class RowStatus(enum.IntEnum):
    """The states of a row, and the wishes that make and remove one."""

    ACTIVE = 1
    NOT_IN_SERVICE = 2
    NOT_READY = 3
    CREATE_AND_GO = 4
    CREATE_AND_WAIT = 5
    DESTROY = 6


def resting(*, ready: bool) -> RowStatus:
    """What a row is that is not active."""
    return RowStatus.NOT_IN_SERVICE if ready else RowStatus.NOT_READY


def asked(ask: Ask) -> RowStatus:
    """What a variable of a SET wants of a row. Refused: wrongType, wrongEncoding, or wrongValue for notReady, which can only
    be read, and for what is no RowStatus."""
    return RowStatus(writers.one_of(ask, [one for one in RowStatus if one is not RowStatus.NOT_READY]))


def moved(
    now: RowStatus | None, wish: RowStatus, *, index: int, ready: str | None = None, suspends: str | None = None,
    destroys: str | None = None, waits: bool = True,
) -> RowStatus | None:  # fmt: skip
    """The state of a row after a SET of its RowStatus, by the table of RFC 2579; None is no row.

    `ready` says why it is not ready, with all else that the SET gives it, `suspends` why an active row cannot be taken out of
    service, `destroys` why it cannot go now: each None if nothing is in the way. `waits` is whether createAndWait is
    offered. Refused at variable `index`: inconsistentValue, or wrongValue for what is not offered.
    """
    match wish:
        case RowStatus.DESTROY:
            _unless(destroys if now is not None else None, index)
            return None
        case RowStatus.CREATE_AND_GO | RowStatus.CREATE_AND_WAIT:
            if wish is RowStatus.CREATE_AND_WAIT and not waits:
                raise Refused(Status.WRONG_VALUE, index, "rows are made by createAndGo only")
            _unless("there is such a row already" if now is not None else None, index)
            if wish is RowStatus.CREATE_AND_WAIT:
                return resting(ready=ready is None)
            _unless(ready, index)
            return RowStatus.ACTIVE
        case RowStatus.ACTIVE:
            _unless("there is no such row" if now is None else None, index)
            if now is not RowStatus.ACTIVE:
                _unless(ready, index)
            return RowStatus.ACTIVE
        case RowStatus.NOT_IN_SERVICE:
            _unless("there is no such row" if now is None else None, index)
            _unless(suspends if now is RowStatus.ACTIVE else ready, index)
            return RowStatus.NOT_IN_SERVICE
    raise Refused(Status.WRONG_VALUE, index)


def _unless(why: str | None, index: int) -> None:
    if why is not None:
        raise Refused(Status.INCONSISTENT_VALUE, index, why)


def incremented(now: int, ask: Ask) -> int:
    """What a TestAndIncr is after it was set to the value that it has. Refused: wrongType, wrongEncoding, wrongValue below
    0, inconsistentValue if it has another value."""
    writers.expect(ber.INTEGER, ask)
    expected = writers.integer(ask)
    if expected < 0:
        raise Refused(Status.WRONG_VALUE, ask.index)
    if expected != now:
        raise Refused(Status.INCONSISTENT_VALUE, ask.index, f"its value is {now} now")
    return 0 if now == LARGEST else now + 1
