"""What one hypervisor shows by SNMP: its tables and the standards, as a view of its newest snapshot, and of that what somebody
may see.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.inventory import Inventory
from agent.snapshot import Snapshot
from agent.snmp.message import VERSION_1
from agent.snmp.standards import Place, Serve
from agent.snmp.vacm import MibView
from agent.snmp.view import Tables, View
from agent.snmp.writers import MappedWriter

if TYPE_CHECKING:
    from agent.snmp.engine import Engine


class Context:
    """What one hypervisor shows: the view of its newest snapshot, made anew when there is a newer one, and of that view
    what somebody may see."""

    def __init__(self, engine: "Engine", name: str, inventory: Inventory, serves: Sequence[Serve]) -> None:
        self.inventory = inventory
        self.hypervisor = name
        self._tables = Tables(engine.mib, MappedWriter(engine.operations))
        place = Place(
            engine=engine, hypervisor=name, inventory=inventory, operations=engine.operations, renew=self.renew
        )
        self._whole = View(())
        self._seen: dict[tuple[MibView, bool], View] = {}
        self._snapshot: Snapshot | None = None  # its view is made when first asked for, when all contexts are there
        self.standards = [serve(place) for serve in serves]
        inventory.prepare_with(self._tables.prepare)
        for standard in self.standards:
            inventory.prepare_with(standard.prepare)
        inventory.on_publish(self.renew)

    def view(self) -> View:
        """All of it."""
        self.inventory.touch()
        if self.inventory.snapshot is not self._snapshot:
            self.renew()
        return self._whole

    def seen(self, by: MibView, version: int) -> View:
        """What a MIB view admits of it; version 1 knows no Counter64 (RFC 3584, section 4.2.2.1)."""
        whole = self.view()
        old = version == VERSION_1
        found = self._seen.get((by, old))
        if found is None:
            found = by.narrowed(whole)
            if old:
                found = View([c for c in found.columns if not c.wide])
            self._seen[by, old] = found
        return found

    def renew(self) -> None:
        """Make the view anew. Also called at each publication, lest the one before keeps its snapshot alive until somebody
        asks."""
        self._snapshot = snapshot = self.inventory.snapshot
        columns = [c for t in self._tables.views(snapshot) for c in t.columns]
        for standard in self.standards:
            columns += standard.columns(snapshot)
        self._whole = View(columns)
        self._seen.clear()
