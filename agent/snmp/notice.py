"""A notification, as it is before anybody has decided who gets it, in which version, and how protected.

Most of a storm is wanted by nobody, and of what is written down most is dropped again unread. So the varbinds of a notice
may be made only when somebody looks at them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import overload

from agent.schema.declare import Severity
from agent.snmp.mib import Oid

Varbind = tuple[Oid, bytes]
"""An instance and the whole element of its value."""


class Later(Sequence[Varbind]):
    """So many varbinds, made by `make` when one is first looked at."""

    __slots__ = ("_count", "_made", "_make")

    def __init__(self, count: int, make: Callable[[], Sequence[Varbind]]) -> None:
        self._count = count
        self._make: Callable[[], Sequence[Varbind]] | None = make
        self._made: Sequence[Varbind] = ()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Varbind: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Varbind]: ...
    def __getitem__(self, at: int | slice) -> Varbind | Sequence[Varbind]:
        if self._make is not None:
            self._made, self._make = self._make(), None  # which lets go of what they were made from
        return self._made[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What is told: `oid` is the value of snmpTrapOID.0; `varbinds` are instances and the whole elements of their values,
    without sysUpTime and snmpTrapOID; `hypervisor` is the one it is about, None for the agent itself. `kind` is the kind of
    row that it is about, in lower case, and `domain` the name of the domain, itself or what the row belongs to. `encoded` makes the
    varbinds as they travel, if whoever made the notice knew a quicker way to that.
    """

    oid: Oid
    varbinds: Sequence[Varbind] = ()
    hypervisor: str | None = None
    severity: Severity = Severity.INFORMATION
    kind: str | None = None
    domain: str | None = None
    encoded: Callable[[], bytes] | None = field(default=None, compare=False)
