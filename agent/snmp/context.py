"""What one hypervisor shows by SNMP: its tables and the standards, as a view of its newest snapshot, and of that what somebody
may see.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.inventory import Inventory
from agent.layout import Patch
from agent.model import MODEL
from agent.snapshot import Snapshot
from agent.snmp.message import VERSION_1
from agent.snmp.standards import Place, Serve
from agent.snmp.vacm import MibView
from agent.snmp.view import Live, Tables, View
from agent.snmp.writers import MappedWriter

if TYPE_CHECKING:
    from agent.snmp.engine import Engine


INTERNAL = tuple(row for row in MODEL.rows if row.internal)
"""Rows that the agent itself publishes, such as jobs and alarms: nothing is patched when they change."""

SOON = 0.002
"""Seconds after which rows that were replaced are shown."""


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
        self._own: list[tuple[MibView, bool]] = []
        """Of what is seen, that which has columns of its own."""
        self._pending: list[tuple[Snapshot, Sequence[Patch]]] = []
        self._snapshot: Snapshot | None = None  # its view is made when first asked for, when all contexts are there
        self.standards = [serve(place) for serve in serves]
        for prepare in (self._tables.prepare, *(standard.prepare for standard in self.standards)):
            inventory.prepare_with(prepare)
        inventory.on_publish(self.renew, self._patched)

    def view(self) -> View:
        """All of it."""
        self.inventory.touch()
        if self._pending:
            self._patch()
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
            shared = set(map(id, whole.columns))
            if not all(id(column) in shared or isinstance(column, Live) for column in found.columns):
                self._own.append((by, old))
        return found

    def _patched(self, patches: Sequence[Patch]) -> None:
        """Some rows of some tables were replaced. That is shown soon, or when somebody asks: who is to be told of it goes first."""
        if not self._pending:
            asyncio.get_running_loop().call_later(SOON, self._patch)
        self._pending.append((self.inventory.snapshot, patches))

    def _patch(self) -> None:
        """Show what was replaced in the columns that there are, where it goes."""
        if not self._pending:  # somebody asked meanwhile, or it was all made anew
            return
        shown, (snapshot, _) = self._snapshot, self._pending[-1]
        done = [shown is not None]
        for _, patches in self._pending:
            done += [self._tables.patch(patch) for patch in patches]
            done += [standard.patch(patches) for standard in self.standards]
        self._pending.clear()
        if shown is None or not all(done) or any(snapshot.table(row) is not shown.table(row) for row in INTERNAL):
            self.renew()
            return
        self._snapshot = snapshot
        for key in self._own:
            del self._seen[key]
        self._own.clear()

    def renew(self) -> None:
        """Make the view anew. Also called at each publication, lest the one before keeps its snapshot alive until somebody
        asks."""
        self._pending.clear()
        self._snapshot = snapshot = self.inventory.snapshot
        columns = [c for t in self._tables.views(snapshot) for c in t.columns]
        for standard in self.standards:
            columns += standard.columns(snapshot)
        self._whole = View(columns)
        self._seen.clear()
        self._own.clear()
