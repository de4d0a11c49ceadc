"""SNMP-VIEW-BASED-ACM-MIB (RFC 3415): who may see and change what, read-only, as the configuration says it.

Communities stand here under their label in the configuration, such as snmp.community[0], never under the community string,
which is a secret.
"""

from collections.abc import Iterable

from agent.schema.declare import Access
from agent.snmp import ber
from agent.snmp.message3 import Level
from agent.snmp.mib import Oid
from agent.snmp.standards import Place, Standard
from agent.snmp.standards.parts import ACTIVE, READ_ONLY, Made, Quiet, SpinLock, admin_string, octets, prefixed, table
from agent.snmp.vacm import AccessEntry, Policy, Subtree
from agent.snmp.view import Column

VACM: Oid = (1, 3, 6, 1, 6, 3, 16)
CONTEXT: Oid = (*VACM, 1, 1, 1)
SECURITY_TO_GROUP: Oid = (*VACM, 1, 2, 1)
ACCESS: Oid = (*VACM, 1, 4, 1)
VIEW_SPIN_LOCK: Oid = (*VACM, 1, 5, 1)
VIEW_TREE_FAMILY: Oid = (*VACM, 1, 5, 2, 1)
MODULES = ((VACM, "SNMP-VIEW-BASED-ACM-MIB: access control, read-only"),)

LEVELS = {Level.NO_AUTH_NO_PRIV: 1, Level.AUTH_NO_PRIV: 2, Level.AUTH_PRIV: 3}
"""SnmpSecurityLevel."""

EXACT, PREFIX = ber.encode_integer(1), ber.encode_integer(2)
INCLUDED, EXCLUDED = ber.encode_integer(1), ber.encode_integer(2)


class SnmpVacmMib:
    """Serves the module in every context, by the policy that the engine has at the time."""

    def __init__(self) -> None:
        self._lock = SpinLock("vacmViewSpinLock", Access.ADMINISTER)

    def __call__(self, place: Place) -> Standard:
        return Quiet(MODULES, Made(lambda: place.engine.policy, self._made))

    def _made(self, policy: Policy) -> Iterable[Column]:
        yield from _contexts(policy)
        yield from _groups(policy)
        yield from _access(policy)
        yield self._lock.column(VIEW_SPIN_LOCK)
        yield from _views(policy)


def _name(text: str) -> Oid:
    return prefixed(text.encode())


def _contexts(policy: Policy) -> Iterable[Column]:
    return table(CONTEXT, policy.contexts, _name, {1: admin_string})


def _groups(policy: Policy) -> Iterable[Column]:
    def index(row: tuple[tuple[int, str], str]) -> Oid:
        (model, name), _ = row
        return (model, *_name(name))

    return table(SECURITY_TO_GROUP, policy.groups.items(), index, {
        3: lambda row: admin_string(row[1]),
        4: lambda _: READ_ONLY,
        5: lambda _: ACTIVE,
    })  # fmt: skip


def _access(policy: Policy) -> Iterable[Column]:
    def index(entry: AccessEntry) -> Oid:
        return (*_name(entry.group), *_name(entry.context), entry.model, LEVELS[entry.level])

    return table(ACCESS, policy.entries, index, {
        4: lambda entry: PREFIX if entry.prefix else EXACT,
        5: lambda entry: admin_string(entry.read or ""),
        6: lambda entry: admin_string(entry.write or ""),
        7: lambda entry: admin_string(entry.notify or ""),
        8: lambda _: READ_ONLY,
        9: lambda _: ACTIVE,
    })  # fmt: skip


def _views(policy: Policy) -> Iterable[Column]:
    def index(row: tuple[str, Subtree]) -> Oid:
        name, subtree = row
        return (*_name(name), *prefixed(subtree.oid))

    families = [(view.name, subtree) for view in policy.views for subtree in view.subtrees]
    return table(VIEW_TREE_FAMILY, families, index, {
        3: lambda row: octets(row[1].mask),
        4: lambda row: INCLUDED if row[1].included else EXCLUDED,
        5: lambda _: READ_ONLY,
        6: lambda _: ACTIVE,
    })  # fmt: skip
