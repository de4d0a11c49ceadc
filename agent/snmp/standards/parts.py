"""What the modules about the agent itself are made of: scalars, tables of things that seldom change, and spin locks."""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from agent.access import Principal
from agent.driver import Happened
from agent.errors import Busy
from agent.layout import Patch
from agent.schema.declare import Access
from agent.schema.types import Wire
from agent.snapshot import Snapshot, Table
from agent.snmp import ber, rowstatus, writers
from agent.snmp.message import Status
from agent.snmp.mib import MaxAccess, MibObject, Oid
from agent.snmp.notice import Notice
from agent.snmp.setting import Ask, Asker, Change, Refused
from agent.snmp.view import SCALAR, Column, Computed, RowIndex

if TYPE_CHECKING:
    from agent.snmp.setting import Writer

T = TypeVar("T")
R = TypeVar("R")

READ_ONLY = ber.encode_integer(5)
"""StorageType of what only the configuration changes."""

ACTIVE = ber.encode_integer(1)
"""RowStatus of a row that is in use."""

COUNTER_MASK = 2**32 - 1


class Quiet:
    """A standard that neither prepares tables nor tells of events; it is given its columns once and for all."""

    def __init__(self, modules: Sequence[tuple[Oid, str]], columns: Callable[[], Iterable[Column]]) -> None:
        self.modules = modules
        self._columns = columns

    def prepare(self, table: Table) -> None:
        return

    tells = False

    def patch(self, patches: Sequence[Patch]) -> bool:
        return True

    def columns(self, snapshot: Snapshot) -> Iterable[Column]:
        return self._columns()

    def notices(self, happened: Happened, snapshot: Snapshot) -> Iterable[Notice]:
        return ()


def scalar(oid: Oid, make: Callable[[], bytes], writer: "Writer | None" = None) -> Column:
    """The object of one instance, whose element `make` gives whenever it is asked for."""
    column = Computed(oid, SCALAR, lambda _: make())
    column.writer = writer
    return column


def settable(
    name: str, oid: Oid, syntax: str, wire: Wire, make: Callable[[], bytes], writer: "Writer | None"
) -> Column:
    """A scalar that can be set, unless there is no writer. The audit trail tells of it by its name."""
    column = scalar(oid, make, writer)
    column.object = MibObject(
        name=name, oid=oid, syntax=syntax, syntax_module=None, wire=wire, access=MaxAccess.READ_WRITE, description=""
    )
    return column


def counter(oid: Oid, count: Callable[[], int]) -> Column:
    """A scalar of the type Counter32; it wraps."""
    return scalar(oid, lambda: ber.encode_integer(count() & COUNTER_MASK, ber.COUNTER32))


def octets(value: bytes) -> bytes:
    """The element of an OCTET STRING."""
    return ber.element(ber.OCTETS, value)


def admin_string(text: str, limit: int = 255) -> bytes:
    """The element of an SnmpAdminString: UTF-8, cut between characters where it has more octets than the limit."""
    whole = text.encode("utf-8", "replace")
    return octets(whole if len(whole) <= limit else whole[:limit].decode("utf-8", "ignore").encode())


def implied(value: bytes | Oid) -> Oid:
    """Index arcs of a string or an OID that is the last of its INDEX and IMPLIED there (RFC 2578, section 7.7)."""
    return tuple(value)


def prefixed(value: bytes | Oid) -> Oid:
    """Index arcs of any other string of variable length, or OID: how many arcs follow, and these."""
    return (len(value), *value)


def table(
    entry: Oid, rows: Iterable[R], index: Callable[[R], Oid], columns: Mapping[int, Callable[[R], bytes]]
) -> Iterable[Column]:
    """The columns of a table: of each its arc, and the element that it shows of a row. Of two rows of one index the first
    is shown."""
    by_index: dict[Oid, R] = {}
    for row in rows:
        by_index.setdefault(index(row), row)
    ordered = sorted(by_index.items(), key=lambda item: item[0])
    instances = RowIndex(tuple(arcs for arcs, _ in ordered))
    records = [tuple(show(row) for show in columns.values()) for _, row in ordered]
    for place, arc in enumerate(columns):
        yield Column((*entry, arc), instances, records, place, _as_it_is)


def _as_it_is(element: bytes) -> bytes:
    return element


class Made(Generic[T]):
    """Columns that are made from a thing, and made again only when that is another thing."""

    def __init__(self, present: Callable[[], T], make: Callable[[T], Iterable[Column]]) -> None:
        self._present = present
        self._make = make
        self._of: T | None = None
        self._columns: list[Column] = []

    def __call__(self) -> list[Column]:
        present = self._present()
        if self._of is None or present is not self._of:
            self._columns = list(self._make(present))
            self._of = present
        return self._columns


def replaced(ask: Ask, get: Callable[[], R], put: Callable[[R], None], new: R) -> Change:
    """The change of the value of a scalar. What is put back is what there was at that moment, for somebody else may have set it
    since the variable was tested; and nothing is, if somebody else has set it since."""
    before: list[R] = []

    def commit() -> None:
        before.append(get())
        put(new)

    def undo() -> None:
        if get() == new:
            put(before.pop())

    name = ask.column.object.name if ask.column.object is not None else ".".join(map(str, ask.column.oid))
    return Change(index=ask.index, commit=commit, undo=undo, told=f"{name}.0")


class SpinLock:
    """A TestAndIncr (RFC 2579): set to the value it has it goes up by one, set to another it is inconsistentValue.

    It keeps managers that cooperate out of each other's way, in all contexts alike, and begins at a random value, so that
    what a manager read before a restart does not hold after it.
    """

    def __init__(self, name: str, needs: Access) -> None:
        self.value = secrets.randbelow(rowstatus.LARGEST)
        self._name = name
        self._needs = needs

    def column(self, oid: Oid) -> Column:
        return settable(self._name, oid, "TestAndIncr", Wire.INTEGER, lambda: ber.encode_integer(self.value), self)

    def writable(self, column: Column, principal: Principal) -> bool:
        return principal.role >= self._needs

    def steps(self, asks: Sequence[Ask], asker: Asker) -> Sequence[Change]:
        return [self._change(ask) for ask in asks]

    def _change(self, ask: Ask) -> Change:
        now = self.value
        if ask.row is None:
            writers.expect(ber.INTEGER, ask)
            raise Refused(Status.NO_CREATION, ask.index)
        following = rowstatus.incremented(now, ask)
        return Change(
            index=ask.index, commit=lambda: self._swap(now, following), undo=lambda: self._swap(following, now)
        )

    def _swap(self, old: int, new: int) -> None:
        """Busy if somebody else was faster; then what he read after that must stay true."""
        if self.value != old:
            raise Busy("another manager has set the lock meanwhile")
        self.value = new
