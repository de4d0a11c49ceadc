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


def authorize(principal: Principal, operation: type[Operation]) -> None:
    """Denied, unless the principal's role reaches the level that the operation needs."""
    if not permitted(principal, operation):
        raise Denied(
            f"{principal.name}: {operation.__name__} needs the role {operation.needs.name.lower()}, "
            f"and it has {principal.role.name.lower()}"
        )
