"""An intrinsic operation on its way through the provider: what was asked, in which namespace, and the answers there are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pywbem

from agent.access import Principal
from agent.cim import messages
from agent.cim.arguments import Parameters
from agent.cim.messages import Frame, Request
from agent.cim.repository import Repository
from agent.cim.status import CimError, Status
from agent.cim.world import World

__all__ = ["Answer", "Context", "Keeper", "Namespace", "Performer", "done", "failed", "long", "short", "told"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer to be sent: ``body`` is made while it is read, and may have empty pieces. ``long`` ones are better streamed."""

    frame: Frame
    body: Iterable[bytes] = ()
    long: bool = False
    #: The CIM status code that the answer carries, for the log; 0 for success.
    status: int = 0

    def whole(self) -> bytes:
        return self.frame.around(self.body)


class Keeper(Protocol):
    """Keeps instances that clients may create, change and delete. Raises CimError; leaves an audit record of each attempt."""

    @property
    def classes(self) -> frozenset[str]:
        """Names of the classes it keeps, in lower case."""
        ...

    async def create(self, instance: pywbem.CIMInstance, principal: Principal) -> pywbem.CIMInstanceName: ...

    async def modify(
        self, instance: pywbem.CIMInstance, properties: frozenset[str] | None, principal: Principal
    ) -> None: ...

    async def delete(self, path: pywbem.CIMInstanceName, principal: Principal) -> None: ...


#: Performs a method, by its name, with its parameters by their names in lower case; gives its return value. Raises CimError;
#: leaves an audit record of each attempt.
Performer = Callable[[str, Mapping[str, messages.Value], Principal], Awaitable[int]]


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A namespace: its classes, whether rows are its instances, and the instances that are held for it."""

    name: str
    repository: Repository
    has_rows: bool = False
    held: Callable[[], Sequence[pywbem.CIMInstance]] = tuple
    keepers: Sequence[Keeper] = ()
    #: Who performs methods of instances that are held, by class in lower case.
    performers: Mapping[str, Performer] = field(default_factory=dict)

    def class_name(self, name: str, status: Status = Status.INVALID_CLASS) -> str:
        """The class's declared name; a CimError of that status when the namespace has none such."""
        try:
            return self.repository.name(name)
        except KeyError:
            raise CimError(status, f"there is no class {name[:80]!r} in {self.name}") from None


@dataclass(frozen=True, kw_only=True)
class Context:
    """One intrinsic operation on its way."""

    request: Request
    space: Namespace
    world: World
    principal: Principal
    #: Gives the world as it is by then.
    again: Callable[[], World]

    def parameters(self, *allowed: str) -> Parameters:
        return Parameters(self.request.parameters, allowed)


def told(context: Context, data: bytes) -> Answer:
    """An answer that is there already."""
    return Answer(frame=messages.frame(context.request), body=(data,))


def short(context: Context, fragments: Iterable[str]) -> Answer:
    """An answer that is made at once."""
    return told(context, "".join(fragments).encode())


def long(context: Context, pieces: Iterable[bytes]) -> Answer:
    """An answer that is made while it is sent."""
    return Answer(frame=messages.frame(context.request), body=pieces, long=True)


def done(context: Context) -> Answer:
    """The answer of an operation that gives nothing back."""
    return Answer(frame=Frame(head=messages.done(context.request), tail=b""))


def failed(request: Request, error: CimError) -> Answer:
    """The answer that tells why there is no other."""
    text = messages.error(request, error.status, error.description)
    return Answer(frame=Frame(head=text, tail=b""), status=error.status)
