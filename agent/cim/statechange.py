"""RequestStateChange of the DMTF on domains: each state that can be asked for is one of our operations (DSP1057, 8.1).

Shut Down asks the guest and Disabled pulls its plug, as the System Virtualization profiles and libvirt-cim have it;
Offline keeps the memory in an image; Enabled lets a paused domain run again and starts one that is off.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from agent.model import domain
from agent.model.domain import Domain
from agent.schema.declare import Operation, Row

__all__ = ["METHOD", "Answer", "no_timeout", "operations_for", "states_of"]

METHOD = "RequestStateChange"


class Answer(enum.IntEnum):
    """Return values of CIM_EnabledLogicalElement.RequestStateChange."""

    COMPLETED = 0
    NOT_SUPPORTED = 1
    INVALID_PARAMETER = 5
    JOB_STARTED = 4096
    INVALID_TRANSITION = 4097
    NO_TIMEOUT = 4098


class RequestedState(enum.IntEnum):
    """Values of its parameter RequestedState that it names."""

    ENABLED = 2
    DISABLED = 3
    SHUT_DOWN = 4
    OFFLINE = 6
    TEST = 7
    DEFER = 8
    QUIESCE = 9
    REBOOT = 10
    RESET = 11


#: For each row: the operations that lead to a state; the first that the present state allows is performed.
_OPERATIONS: Mapping[type[Row], Mapping[RequestedState, tuple[type[Operation], ...]]] = {
    Domain: {
        RequestedState.ENABLED: (domain.Resume, domain.Start),
        RequestedState.DISABLED: (domain.Destroy,),
        RequestedState.SHUT_DOWN: (domain.Shutdown,),
        RequestedState.OFFLINE: (domain.ManagedSave,),
        RequestedState.QUIESCE: (domain.Suspend,),
        RequestedState.REBOOT: (domain.Reboot,),
        RequestedState.RESET: (domain.Reset,),
    }
}


def operations_for(row: type[Row], requested: int) -> tuple[type[Operation], ...] | Answer:
    """The operations that lead to a state, or why there are none."""
    known = _OPERATIONS.get(row)
    if requested not in tuple(RequestedState):
        return Answer.INVALID_PARAMETER
    if known is None:
        return Answer.NOT_SUPPORTED
    return known.get(RequestedState(requested)) or Answer.NOT_SUPPORTED


def no_timeout(text: str | None) -> bool:
    """Whether a TimeoutPeriod sets no limit: absent, empty or the interval zero."""
    return text is None or not text.strip() or text.strip().startswith("00000000000000.")


def states_of(row: type[Row]) -> tuple[int, ...]:
    """The states that a row can be asked to take."""
    return tuple(map(int, _OPERATIONS.get(row, ())))
