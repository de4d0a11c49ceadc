"""Standard MIBs, served as views beside the mapping's own modules: one file for each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agent.driver import Happened
from agent.inventory import Inventory
from agent.layout import Patch
from agent.operations import Operations
from agent.snapshot import Snapshot, Table
from agent.snmp.mib import Oid
from agent.snmp.notice import Notice
from agent.snmp.view import Column

if TYPE_CHECKING:
    from agent.snmp.engine import Engine


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a standard is served: in the context of one hypervisor. `renew` is called, in the loop's thread, when the
    instances of its columns have changed without a new snapshot."""

    engine: "Engine"
    hypervisor: str
    inventory: Inventory
    operations: Operations
    renew: Callable[[], None]


class Standard(Protocol):
    """One module in the context of one hypervisor. `modules` are its identities in sysORTable, each with a description."""

    modules: Sequence[tuple[Oid, str]]

    def prepare(self, table: Table) -> None:
        """A table is about to be published. In the thread that builds snapshots, one call at a time."""
        ...

    def patch(self, patches: Sequence[Patch]) -> bool:
        """Rows of these tables were replaced: show what they say now, in the columns that were given last. Whether that could be
        done; if not, the columns are asked for anew. In the loop's thread, so quick."""
        ...

    def columns(self, snapshot: Snapshot) -> Iterable[Column]:
        """Its columns, as of this snapshot. In the loop's thread, so quick: what is long is prepared, or made lazily."""
        ...

    @property
    def tells(self) -> bool:
        """Whether it has notices of its own."""
        ...

    def notices(self, happened: Happened, snapshot: Snapshot) -> Iterable[Notice]:
        """What it has to tell of an event; the snapshot is the one after the event, if the object could be read by then.
        A row that is gone is in it as it was last seen, if it ever was."""
        ...


Serve = Callable[[Place], Standard]
"""How a standard is put into a context."""
