"""The users, communities and views of the oracle, as our agent has them."""

from __future__ import annotations

from typing import Any

from agent.schema.declare import Access
from agent.schema.types import Secret
from agent.snmp.message3 import Level
from agent.snmp.protection import AuthProtocol, PrivProtocol
from agent.snmp.security import Account, Community
from agent.snmp.usm import User
from agent.snmp.vacm import MibView, Subtree
from tests import wire3
from tests.agents import LOOPBACK
from tests.peers.oracle import ANN, BOB, EVE, NARROW, NARROW_IN, NARROW_OUT, NORA, PUBLIC, RITA, SECRET

NARROW_VIEW = MibView(
    "narrow", [*(Subtree(oid=o) for o in NARROW_IN), *(Subtree(oid=o, included=False) for o in NARROW_OUT)]
)
WHOLE_VIEW = MibView("whole", [Subtree(oid=(0,)), Subtree(oid=(1,)), Subtree(oid=(2,))])
"""What snmpd shows to those for whom no view is named."""


def user(of: wire3.User) -> User:
    """A user of the tests' own codec as one of the agent."""
    return User(
        name=of.name.decode(),
        auth=next((a for a in AuthProtocol if a.label == of.auth), None),
        auth_passphrase=Secret(of.words) if of.auth else None,
        priv=next((p for p in PrivProtocol if p.label == of.priv), None),
        priv_passphrase=Secret(of.secret) if of.priv else None,
    )


def security() -> dict[str, Any]:
    """Arguments of Security."""

    def community(name: bytes, label: str, role: Access = Access.OBSERVE, view: str = "whole") -> Community:
        return Community(name=name, label=label, role=role, sources=LOOPBACK, hypervisor="default", view=view)

    return {
        "communities": [
            community(PUBLIC, "reader"),
            community(SECRET, "writer", Access.ADMINISTER),
            community(NARROW, "narrow", view="narrow"),
        ],
        "accounts": [
            Account(user=user(ANN), role=Access.ADMINISTER, view="whole"),
            Account(user=user(BOB), role=Access.OBSERVE, least=Level.AUTH_NO_PRIV, view="whole"),
            Account(user=user(EVE), role=Access.OBSERVE, least=Level.NO_AUTH_NO_PRIV, view="whole"),
            Account(user=user(RITA), role=Access.OBSERVE, view="whole"),
            Account(user=user(NORA), role=Access.OBSERVE, least=Level.AUTH_NO_PRIV, view="narrow"),
        ],
        "views": [NARROW_VIEW, WHOLE_VIEW],
    }
