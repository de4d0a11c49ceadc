"""The WBEM server without sockets: a request in, an answer out (DSP0200 5.3).

Reading is answered from the newest snapshots and never waits; an enumeration is made while it is sent, some rows at a time.
What changes something goes through agent.operations, or to who keeps the instance. The operations stand in files of their
own: `reading`, `writing`, `methods`, `schema_operations`; here are the namespaces, and who answers what.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial

import pywbem

from agent import __version__
from agent.access import Principal
from agent.cim import interop, namespaces, schema_operations
from agent.cim.answers import Answer, Context, Keeper, Namespace, Performer, failed
from agent.cim.classes import Schema
from agent.cim.classes import build as build_schema
from agent.cim.messages import Kind, Request
from agent.cim.methods import Methods
from agent.cim.pulling import Contexts
from agent.cim.reading import Reading
from agent.cim.renderings import Renderings
from agent.cim.repository import Repository
from agent.cim.status import CimError, Status
from agent.cim.world import Indexes, Readable, World
from agent.cim.writing import WRITES, Writing
from agent.inventory import Inventory
from agent.layout import Patch
from agent.model import MODEL
from agent.operations import Operations

__all__ = ["Answer", "Provider"]


class Provider:
    """Answers requests about these inventories. Asked in the event loop's thread."""

    def __init__(
        self,
        inventories: Mapping[str, Readable],
        operations: Operations,
        *,
        host: str,
        schema: Schema | None = None,
        held: Callable[[], Sequence[pywbem.CIMInstance]] | None = None,
        keepers: Sequence[Keeper] = (),
        performers: Mapping[str, Performer] | None = None,
    ) -> None:
        """``host`` is the name that paths in answers give this server; ``held`` gives the instances that are no rows, each in
        the namespace of its path (by default what every server says of itself); ``keepers`` keep those of them that clients
        can change, ``performers`` perform their methods, by class in lower case."""
        self.schema = schema or build_schema(MODEL)
        self._inventories = inventories
        self._operations = operations
        self._indexes = Indexes(self.schema)
        everything = Repository(self.schema)
        self.renderings = Renderings(everything.origins)
        if held is None:
            account = (*interop.instances(host, __version__), *interop.child_namespaces(namespaces.ROOT))
            held = partial(tuple, account)
        self._spaces = self._namespaces(held, keepers, performers or {})
        bridges = tuple(b for b in interop.bridges() if b.cls.lower() in self.schema.instances)
        reading = Reading(self.schema, self.renderings, Contexts(), host=host, held=held, bridges=bridges)
        self._methods = Methods(self.schema, operations)
        self._read: Mapping[str, Callable[[Context], Answer]] = {**schema_operations.OPERATIONS, **reading.operations}
        self._write: Mapping[str, Callable[[Context], Awaitable[Answer]]] = Writing(self.schema, operations).operations

    def _namespaces(
        self,
        held: Callable[[], Sequence[pywbem.CIMInstance]],
        keepers: Sequence[Keeper],
        performers: Mapping[str, Performer],
    ) -> Mapping[str, Namespace]:
        shown = namespaces.shown(self.schema)

        def space(name: str, **options: object) -> Namespace:
            return Namespace(name=name, repository=Repository(self.schema, shown[name]), **options)  # type: ignore[arg-type]

        made = {
            namespaces.ROOT: space(namespaces.ROOT, held=_of_namespace(held, namespaces.ROOT)),
            namespaces.VIRTMAP: space(namespaces.VIRTMAP, has_rows=True),
            namespaces.INTEROP: space(
                namespaces.INTEROP,
                held=_of_namespace(held, namespaces.INTEROP),
                keepers=keepers,
                performers=performers,
            ),
            namespaces.CIMV2: space(namespaces.CIMV2, has_rows=True),
            namespaces.VIRT: space(namespaces.VIRT),
        }
        return {**made, **{alias: made[name] for alias, name in namespaces.ALIASES.items()}}

    def follow(self, inventory: Inventory) -> None:
        """Get ready for each new table while it is built, and let go of what was made of those that it replaces."""
        inventory.prepare_with(partial(self._indexes.prepare, inventory.name))
        inventory.on_publish(self._forget, partial(self._patched, inventory.name))

    def _patched(self, hypervisor: str, patches: Sequence[Patch]) -> None:
        for patch in patches:
            self._indexes.patch(hypervisor, patch)
        self._forget()

    def _forget(self) -> None:
        self.renderings.drop_stale(lambda name, table: self._inventories[name].snapshot.table(table.row) is table)

    async def answer(self, request: Request, principal: Principal) -> Answer:
        """The answer, whatever happens: what cannot be done is an answer with an ERROR in it."""
        try:
            return await self._answer(request, principal)
        except CimError as error:
            if not error.recorded and (request.kind is Kind.EXTRINSIC or request.name.lower() in WRITES):
                about = [request.namespace if request.target is None else _called(request.target), *_named(request)]
                target = ", ".join(about)
                await self._operations.record(principal, "-", request.name, target, f"refused: {error.description}")
            return failed(request, error)

    def _world(self) -> World:
        return World(self.schema, self._inventories, self._indexes)

    async def _answer(self, request: Request, principal: Principal) -> Answer:
        space = self._namespace(request)
        if request.kind is Kind.EXTRINSIC:
            return await self._methods.invoke(request, space, self._world(), principal, self._world)
        context = Context(request=request, space=space, world=self._world(), principal=principal, again=self._world)
        name = request.name.lower()
        if (read := self._read.get(name)) is not None:
            return read(context)
        if (write := self._write.get(name)) is not None:
            return await write(context)
        raise CimError(Status.NOT_SUPPORTED, f"this server does not perform {request.name[:80]}")

    def _namespace(self, request: Request) -> Namespace:
        found = self._spaces.get(request.namespace.strip("/").lower())
        if found is None:
            raise CimError(
                Status.INVALID_NAMESPACE,
                f"there is no namespace {request.namespace[:80]!r}; there is {' and '.join(self._spaces)}",
            )
        return found


def _of_namespace(
    held: Callable[[], Sequence[pywbem.CIMInstance]], name: str
) -> Callable[[], Sequence[pywbem.CIMInstance]]:
    """Gives those of these instances that live in a namespace, chosen anew when there are others."""
    chosen_of: Sequence[pywbem.CIMInstance] | None = None
    chosen: Sequence[pywbem.CIMInstance] = ()

    def those() -> Sequence[pywbem.CIMInstance]:
        nonlocal chosen_of, chosen
        now = held()
        if now is not chosen_of:
            chosen_of, chosen = now, tuple(each for each in now if each.path.namespace == name)
        return chosen

    return those


def _named(request: Request) -> Iterator[str]:
    """What a request that would change something is about: the path, or the class and the name of what is new."""
    for each in request.parameters.values():
        match each:
            case pywbem.CIMInstance(path=None):
                yield f"{each.classname} {each.get('ElementName') or each.get('Name') or ''}".strip()
            case pywbem.CIMInstance():
                yield _called(each.path)
            case pywbem.CIMInstanceName():
                yield _called(each)


def _called(path: pywbem.CIMInstanceName | pywbem.CIMClassName) -> str:
    """A path for people. pywbem's own text of one warns if it has no keys, as a client's may."""
    if not isinstance(path, pywbem.CIMInstanceName):
        return str(path.classname)
    keys = ", ".join(
        f"{name}={_called(key) if isinstance(key, pywbem.CIMInstanceName) else key}"
        for name, key in path.keybindings.items()
    )
    return f"{path.classname} {keys}".strip()
