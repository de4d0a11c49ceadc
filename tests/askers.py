"""Managers of SNMPv3 for tests of the engine: users, their accounts, and what they ask, by the tests' own codec."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from agent.schema.declare import Access
from agent.schema.types import Secret
from agent.snmp import usm
from agent.snmp.message3 import Level
from agent.snmp.protection import AuthProtocol, PrivProtocol
from agent.snmp.security import Account
from agent.snmp.setting import Setting, carry_out
from tests import wire, wire3
from tests.agents import World
from tests.wire3 import Answer3, Peer, User

ANN = User(name=b"ann", auth="SHA-256", priv="AES")
"""May operate, authenticated and encrypted."""
RITA = User(name=b"rita", auth="SHA", priv="AES-256")
"""Watches, authenticated and encrypted."""
BOB = User(name=b"bob", auth="MD5")
"""Watches, authenticated."""
EVE = User(name=b"eve")
"""Watches, and has no keys at all."""


def account(of: User, role: Access = Access.OBSERVE, **more: Any) -> Account:
    """The account of a user; unless said otherwise, the least level is the strongest that he can have."""
    known = usm.User(
        name=of.name.decode(),
        auth=next((a for a in AuthProtocol if a.label == of.auth), None),
        auth_passphrase=Secret(of.words) if of.auth else None,
        priv=next((p for p in PrivProtocol if p.label == of.priv), None),
        priv_passphrase=Secret(of.secret) if of.priv else None,
    )
    return Account(user=known, role=role, **{"least": Level(of.level), **more})


ACCOUNTS = (account(ANN, Access.OPERATE), account(RITA), account(BOB), account(EVE))
SECURITY: dict[str, Any] = {"accounts": ACCOUNTS}


class Asker:
    """A manager that knows the engine, and asks it as one user."""

    def __init__(self, world: World, user: User = ANN, port: int = 40000, host: str = "127.0.0.1") -> None:
        self.world, self.user, self.port, self.host = world, user, port, host
        self._numbers = itertools.count(1_000_000)

    @property
    def peer(self) -> Peer:
        engine = self.world.engine
        return Peer(engine=engine.engine_id, boots=engine.boots, time=engine.time())

    def message(self, pdu: bytes, **more: Any) -> bytes:
        """A request as octets; `more` are fields of wire3.Message."""
        return wire3.message(self.user, self.peer, pdu, **{"msg_id": next(self._numbers), **more})

    def send(self, data: bytes, **more: Any) -> Any:
        return self.world.engine.receive(data, self.host, self.port, **more)

    def ask(self, pdu: bytes, **more: Any) -> Any:
        """What the engine gives for a PDU."""
        return self.send(self.message(pdu, **more))

    def read(self, pdu: bytes, **more: Any) -> Answer3:
        """The answer to a PDU, taken apart."""
        return wire3.answered(self.ask(pdu, **more), self.user)

    def get(self, *names: wire.Oid, **more: Any) -> Answer3:
        return self.read(wire3.get(*names), **more)

    async def finished(self, answer: Any) -> Any:
        """The answer to a SET, carried out as the server does it; what is none yet is given back as it is."""
        if not isinstance(answer, Setting):
            return answer
        return self.world.engine.finish(answer, *await carry_out(answer, self.world.operations))

    async def write(self, *pairs: tuple[wire.Oid, bytes], request: int = 1, **more: Any) -> Answer3:
        """The answer to a SET."""
        return wire3.answered(await self.finished(self.ask(setting(pairs, request=request), **more)), self.user)


def setting(pairs: Sequence[tuple[wire.Oid, bytes]], *, request: int = 1) -> bytes:
    """The PDU that sets these variables."""
    return wire3.pdu(wire.SET, [wire.binding(name, value) for name, value in pairs], request=request)


def bulk(singles: int, repetitions: int, *names: wire.Oid) -> bytes:
    return wire3.pdu(wire.GETBULK, map(wire.binding, names), first=singles, second=repetitions)
