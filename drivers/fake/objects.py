"""All that a hypervisor has beside its domains' own tables: networks, pools, snapshots, tunables and whatever the model declares.

They stand still: rows made up from their declarations, two of each kind. Operations on them do what follows from their
declaration: they set the columns that their arguments are named after, bring a row into being, or take one away; whatever
else they are for leaves no trace. What is asked for in the wrong state, of nothing, or with XML that is none, is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from agent.driver import Root, Task
from agent.errors import Invalid, NotFound, WrongState
from agent.model import MODEL, Domain, Host
from agent.schema.declare import Data, Index, Key, Operation, Row
from agent.schema.types import canonical
from drivers.fake.values import made_up, own_key, value

EACH = 2
"""Objects of a kind, and rows beneath each."""

DATA = 256 * 1024
"""Bytes of every image, screenshot and the like."""

REMOVING = ("Undefine", "Delete")
"""What the names of operations begin with that take their row away."""

CREATING = ("Create", "Define", "Add")
"""What the names of operations begin with that make the row that the rest of the name is."""


class Objects:
    """The rows of one fake, but for those in `lively`, which it has itself, `domain` among them if there is one. Not thread
    safe."""

    def __init__(self, name: str, domain: str | None, lively: Iterable[type[Row]]) -> None:
        self._name = name
        self._domain = domain
        self._lively = frozenset(lively)
        self._beneath: dict[type[Row], tuple[type[Row], ...]] = {
            row: tuple(r for r in MODEL.children(row) if r not in self._lively) for row in MODEL.rows
        }
        self._roots: dict[Root, list[Row]] = {}
        self._parts: dict[Root, list[Row]] = {}
        for row in MODEL.rows:
            if row.parent_row is None and not row.internal and row not in self._lively:
                for number in range(1, EACH + 1):
                    self._add(made_up(row, (), number, self._known(row, number)))

    def _known(self, row: type[Row], number: int) -> dict[str, Any]:
        """Columns that name something else of the fake; of its own kind that is the one before."""
        known: dict[str, Any] = {}
        for field in row.fields:
            if field.ref is Host or (field.name == "host" and field.semantic.python is str):
                known[field.name] = self._name
            elif field.ref is Domain:
                known[field.name] = self._domain
            elif field.ref is row:
                known[field.name] = own_key(row, number - 1) if number > 1 else None
            elif field.ref is not None:
                known[field.name] = own_key(field.ref, 1)
        return known

    def _add(self, row: Row) -> None:
        root: Root = (type(row), row.key)
        self._roots[root] = [row, *self._made_beneath(row)]

    def _made_beneath(self, row: Row) -> Iterator[Row]:
        for kind in self._beneath[type(row)]:
            for number in range(1, 2 if kind.index is Index.SHARED else EACH + 1):
                child = made_up(kind, row.key, number, self._known(kind, number))
                yield child
                yield from self._made_beneath(child)

    # --- reading

    @property
    def roots(self) -> tuple[Root, ...]:
        """The objects that have no parent."""
        return tuple(self._roots)

    def rows(self, root: Root) -> list[Row]:
        """An object with all that is beneath it; nothing if there is no such object."""
        now = datetime.now(UTC)
        found = self._roots.get(root, [])
        return [r.replace(refreshed=now) if "refreshed" in r.positions else r for r in found]

    def put(self, rows: Sequence[Row]) -> Root:
        """Have an object that has no parent, the first of these rows, and nothing but the others beneath it; gives its root."""
        root: Root = (type(rows[0]), rows[0].key)
        self._roots[root] = list(rows)
        return root

    def beneath(self, root: Root, rows: Iterable[Row]) -> list[Row]:
        """What is beneath a root whose own rows are these, made up when it is asked for first."""
        kept = self._parts.get(root)
        if kept is None:
            kept = self._parts[root] = [part for row in rows for part in self._made_beneath(row)]
        return kept

    def keep_only(self, roots: Iterable[Root]) -> None:
        """Forget what was beneath roots that are no more."""
        wanted = set(roots)
        for root in [each for each in self._parts if each not in wanted]:
            del self._parts[root]

    # --- performing

    def _held(self, row: type[Row], key: Key) -> tuple[list[Row], int]:
        """The list that a row is in, and its place there. NotFound if it is in none."""
        top = row.root()
        root: Root = (top, key[: len(top.key_fields())])
        rows = self._roots.get(root) if top not in self._lively else self._parts.get(root)
        for place, each in enumerate(rows or ()):
            if type(each) is row and each.key == key:
                assert rows is not None
                return rows, place
        raise NotFound(f"{row.__name__.lower()} {'/'.join(map(str, key))}: there is no such {row.__name__.lower()}")

    def knows(self, row: type[Row]) -> bool:
        """Whether rows of this kind are here."""
        return row not in self._lively

    def perform(self, operation: Operation, key: Key, task: Task) -> Mapping[str, Any]:
        """Do it, and give the out-values."""
        kind = type(operation)
        self._check(operation)
        if self.knows(kind.on):
            rows, place = self._held(kind.on, key)
            self._allowed(kind, rows[place])
            if kind.__name__.startswith(REMOVING):
                self._take_away(rows, place)
            else:
                rows[place] = _changed(rows[place], operation)
        self._change_shared(operation, key)
        outs = {f.name: value(f, f"{kind.__name__}/{key}", 1) for f in kind.outs()}
        outs |= self._made(operation, key)
        outs |= _moved(operation, task)
        return outs

    def _check(self, operation: Operation) -> None:
        for field in type(operation).arguments():
            given = operation.values[field.position]
            if field.semantic.name == "Xml" and given is not None:
                _parsed(type(operation).__name__, given)

    def _allowed(self, kind: type[Operation], row: Row) -> None:
        if kind.allowed is None:
            return
        now = getattr(row, kind.allowed.column)
        if now is not None and now not in kind.allowed.values:
            raise WrongState(f"{kind.on.__name__.lower()} {row.key[-1]}: cannot {kind.verb()}: it is {canonical(now)}")

    def _take_away(self, rows: list[Row], place: int) -> None:
        gone = rows[place]
        if place == 0 and type(gone).parent_row is None:
            del self._roots[type(gone), gone.key]
            return
        width = len(gone.key)
        rows[:] = [
            r for r in rows if r is not gone and not (type(gone) in type(r).lineage() and r.key[:width] == gone.key)
        ]

    def _change_shared(self, operation: Operation, key: Key) -> None:
        """Arguments may be named after columns of a row that shares the index of the one that is asked."""
        for kind in MODEL.children(type(operation).on):
            if kind.index is Index.SHARED and self.knows(kind):
                try:
                    rows, place = self._held(kind, key)
                except NotFound:
                    continue
                rows[place] = _changed(rows[place], operation)

    def _made(self, operation: Operation, key: Key) -> dict[str, Any]:
        """The row that the operation brings into being, as out-values that tell its key."""
        kind = type(operation)
        given = getattr(operation, "xml", None)
        known = _told(_parsed(kind.__name__, given)) if isinstance(given, str) else {}
        made = kind.makes if kind.makes is not None and self.knows(kind.makes) else None
        if made is not None:
            number = 1 + sum(root[0] is made for root in self._roots)
            row = made_up(
                made, (), number, self._known(made, number) | {n: v for n, v in known.items() if n in made.positions}
            )
            self._add(row)
            return {f.name: getattr(row, f.name) for f in made.key_fields()}
        for child in MODEL.children(kind.on):
            if self.knows(child) and kind.__name__ in [f"{verb}{child.__name__}" for verb in CREATING]:
                rows = self._list_of(kind.on, key)
                number = 1 + sum(type(r) is child and r.key[: len(key)] == key for r in rows)
                row = made_up(
                    child,
                    key,
                    number,
                    self._known(child, number) | {n: v for n, v in known.items() if n in child.positions},
                )
                rows += [row, *self._made_beneath(row)]
                outs = {f.name for f in kind.outs()}
                return {f.name: getattr(row, f.name) for f in child.key_fields() if f.name in outs}
        return {}

    def _list_of(self, row: type[Row], key: Key) -> list[Row]:
        top = row.root()
        root: Root = (top, key[: len(top.key_fields())])
        return self._parts.setdefault(root, []) if top in self._lively else self._roots[root]


def _parsed(what: str, text: str) -> Any:
    try:
        return etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))
    except (etree.XMLSyntaxError, UnicodeEncodeError, ValueError) as error:
        raise Invalid(f"{what}: XML error: {error}") from error


def _told(document: Any) -> dict[str, Any]:
    """The name and UUID in a definition, where it has any."""
    found = {name: document.findtext(name) for name in ("name", "uuid", "description")}
    return {name: text for name, text in found.items() if text}


def _changed(row: Row, operation: Operation) -> Row:
    """The row with the columns that arguments are named after, and that have the same type."""
    changes = {
        f.name: given
        for f in type(operation).arguments()
        if (given := operation.values[f.position]) is not None
        and f.name in row.positions
        and row.fields[row.positions[f.name]].number is not None
        and row.fields[row.positions[f.name]].semantic == f.semantic
        and f.name not in {k.name for k in row.key_fields()}
    }
    name = type(operation).__name__
    if "active" in row.positions and name.startswith(("Start", "Create")):
        changes["active"] = True
    if "active" in row.positions and name.startswith(("Stop", "Destroy")):
        changes["active"] = False
    return row.replace(**changes) if changes else row


def _moved(operation: Operation, task: Task) -> dict[str, Any]:
    """Move the data of an operation: a pattern out, anything in, and back what comes in a session."""
    match type(operation).moves:
        case Data.DOWN:
            first = getattr(operation, "offset", 0) or 0
            length = getattr(operation, "length", 0) or 0
            last = min(DATA, first + length) if length else DATA
            task.expect(max(0, last - first))
            for at in range(first, last, 65536):
                task.send(pattern(at, min(last, at + 65536)))
                task.progress(100 * at // DATA)
        case Data.UP:
            while task.receive(65536):
                continue
        case Data.BOTH:
            task.send(b"ready\n")
            while part := task.receive(4096):
                task.send(part)
    return {}


def pattern(first: int, last: int) -> bytes:
    """The bytes from one place to another of all data that the fake gives."""
    return bytes((at * 7 + (at >> 8)) & 0xFF for at in range(first, last))
