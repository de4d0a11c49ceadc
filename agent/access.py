"""May this principal perform this operation? The one policy, for every front end."""

from dataclasses import dataclass

from agent.errors import Denied
from agent.schema.declare import Access, Operation


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who asks: a community, an SNMP user, a CIM account, or the anonymous observer of a demonstration.

    `name` is fit for a log: of a community it is not the community string, which is a secret.
    """

    name: str
    role: Access
    front_end: str
    source: str = ""


def permitted(principal: Principal, operation: type[Operation]) -> bool:
    return principal.role >= operation.needs


def authorize_kind(principal: Principal, operation: type[Operation]) -> None:
    """Denied, unless the principal's role reaches the level that the operation needs, whatever its arguments."""
    if not permitted(principal, operation):
        raise _denied(principal, operation.__name__, operation.needs)


def authorize(principal: Principal, operation: Operation) -> None:
    """Denied, unless the principal's role reaches the levels that the operation, and the arguments that it is given, need."""
    kind = type(operation)
    authorize_kind(principal, kind)
    for f in kind.arguments():
        if f.needs is not None and principal.role < f.needs and operation.values[f.position] != f.default:
            raise _denied(principal, f"{kind.__name__} with {f.name}", f.needs)


def _denied(principal: Principal, what: str, level: Access) -> Denied:
    return Denied(
        f"{principal.name}: {what} needs the role {level.name.lower()}, and it has {principal.role.name.lower()}"
    )
