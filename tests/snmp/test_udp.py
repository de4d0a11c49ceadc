"""The UDP server: sockets bound and closed, SETs carried out while others are answered, faults survived."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import replace
from typing import Any

import pytest

from agent.access import Principal
from agent.errors import ConfigError
from agent.model import Job
from agent.model.domain import DomainState, Suspend
from agent.operations import Operations
from agent.snmp.message import Status
from agent.snmp.server import Server
from tests import wire
from tests.agents import COMMUNITIES, World, looped, until, world
from tests.managers import datagrams, served
from tests.programs import unavailable
from tests.wire import get, oid

SYS_DESCR = oid("1.3.6.1.2.1.1.1.0")


def setting(w: World, name: str, request: int) -> bytes:
    suspend = wire.number(Suspend.number)
    return wire.setting([(w.column(3, name), suspend)], request=request, community=b"secret")


@looped
async def test_it_answers_each_request_on_every_address() -> None:
    async with world() as w, served(w, ("udp", "127.0.0.1", 0), ("udp", "127.0.0.1", 0)) as (_, bound):
        assert len({port for _, _, port in bound}) == 2
        for address in bound:
            async with datagrams(address) as m:
                m.send(*(get(SYS_DESCR, request=i) for i in range(200)))
                assert [a.request for a in await m.wait(200)] == list(range(200))


ANYWHERE = tuple(
    replace(c, sources=(ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))) for c in COMMUNITIES
)


@pytest.fixture
def ipv6() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            unavailable("no IPv6 on the loopback interface")


@pytest.mark.usefixtures("ipv6")
@looped
async def test_ipv6() -> None:
    async with world(communities=ANYWHERE) as w, served(w, ("udp", "::1", 0)) as (_, bound), datagrams(bound[0]) as m:
        m.send(get(SYS_DESCR, request=6))
        assert [a.request for a in await m.wait(1)] == [6]


@looped
async def test_who_listens_everywhere_answers_from_the_address_that_was_asked() -> None:
    async with world() as w, served(w, ("udp", "0.0.0.0", 0)) as (_, bound):
        port = bound[0][2]
        for address in ("127.0.0.2", "127.0.0.1", "127.1.2.3"):
            async with datagrams(("udp", address, port)) as m:  # connected: what comes from elsewhere is not heard
                m.send(get(SYS_DESCR, request=1), setting(w, "guest1", 2))
                assert {a.request for a in await m.wait(2)} == {1, 2}
                assert set(m.sources) == {address}


@pytest.mark.usefixtures("ipv6")
@looped
async def test_who_listens_everywhere_in_ipv6_answers_from_there_and_not_in_ipv4() -> None:
    async with world(communities=ANYWHERE) as w, served(w, ("udp", "::", 0)) as (_, bound):
        async with datagrams(("udp", "::1", bound[0][2])) as m:
            m.send(get(SYS_DESCR, request=1))
            await m.wait(1)
            assert m.sources == ["::1"]
        again = Server(w.engine, w.operations)
        assert await again.start([("udp", "0.0.0.0", bound[0][2])])
        await again.stop()


@looped
async def test_a_set_is_carried_out_while_others_are_answered() -> None:
    async with world() as w, served(w) as (_, bound), datagrams(bound[0]) as m:
        w.fake.hang("guest1")
        m.send(setting(w, "guest1", 1), setting(w, "guest1", 1), get(SYS_DESCR, request=2), setting(w, "guest2", 3))
        assert [a.request for a in await m.wait(2)] == [2, 3]
        w.fake.release()
        assert [(a.request, a.error) for a in await m.wait(3)] == [(2, (0, 0)), (3, (0, 0)), (1, (0, 0))]
        assert w.domain("guest1").state is DomainState.PAUSED
        assert [type(o) for o, _ in w.fake.performed] == [Suspend, Suspend]


@looped
async def test_a_fault_of_the_agent_in_a_set_is_gen_err(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Operations):
        async def perform(self, principal: Principal, *_: Any, **__: Any) -> Any:
            raise ZeroDivisionError(principal.name)

    async with world() as w:
        faulty = Faulty({"default": w.inventory}, w.trail)
        server = Server(w.engine, faulty)
        bound = await server.start([("udp", "127.0.0.1", 0)])
        async with datagrams(bound[0]) as m:
            m.send(setting(w, "guest1", 1))
            assert (await m.wait(1))[0].error == (int(Status.GEN_ERR), 1)
            m.send(setting(w, "guest1", 1))
            assert (await m.wait(2))[1].error == (int(Status.GEN_ERR), 1)
        assert "ZeroDivisionError" in caplog.text
        await server.stop()


@looped
async def test_garbage_and_a_manager_that_is_gone_hurt_nobody() -> None:
    async with world() as w, served(w) as (_, bound):
        for _ in range(20):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(bound[0][1:])
                sock.send(get(SYS_DESCR))
                sock.send(b"")
                sock.send(b"\x30\x84\xff\xff\xff\xff")
        async with datagrams(bound[0]) as m:
            m.send(get(SYS_DESCR, request=7))
            assert (await m.wait(1))[0].request == 7
        assert w.engine.statistics.snmpInASNParseErrs == 40


@looped
async def test_an_address_that_cannot_be_bound_is_named() -> None:
    async with world() as w, served(w) as (_, bound):
        other = Server(w.engine, w.operations)
        with pytest.raises(ConfigError, match=rf"snmp.listen: cannot listen on 127\.0\.0\.1:{bound[0][2]}: "):
            await other.start([("udp", "127.0.0.1", 0), bound[0]])
        await other.stop()


@looped
async def test_after_stopping_the_port_is_free_and_a_set_under_way_goes_unanswered() -> None:
    async with world() as w:
        async with served(w) as (server, bound), datagrams(bound[0]) as m:
            w.fake.hang("guest1")
            m.send(setting(w, "guest1", 1))
            await until(lambda: list(w.inventory.snapshot.table(Job).rows()), "the SET")
            await server.stop()
            w.fake.release()
            await until(lambda: w.trail.records, "the operation to go on")
            assert m.answers == []
        async with served(w, bound[0]) as (_, again):
            assert again == bound


@looped
async def test_refused_sets_are_audited_with_their_reason_at_a_bounded_pace() -> None:
    async with world() as w, served(w, ("udp", "127.0.0.1", 0)) as (_, bound), datagrams(bound[0]) as m:
        action, none = w.column(3, "guest1"), oid("1.3.6.1.2.1.1.1.0")
        m.send(wire.setting([(action, wire.number(5))], community=b"public", request=1))
        m.send(wire.setting([(action, wire.number(1))], request=2, community=b"secret"))
        m.send(wire.setting([(none, wire.text("x"))], request=3, community=b"secret"))
        await m.wait(3)
        await until(lambda: len(w.trail.records) >= 3, "three records")
        told = {(r["principal"], r["operation"], r["result"]) for r in w.trail.records}
        assert ("observer", "Destroy", "refused: noAccess") in told
        assert ("operator", "SET", "refused: notWritable") in told
        start = next(r for r in w.trail.records if r["operation"] == "Start")
        assert start["result"] == "refused: inconsistentValue: domain guest1: cannot start: it is running"
        assert start["target"] == f"virtmapDomainAction.{w.arc('guest1')}"
        jobs = [row.as_dict() for row in w.inventory.snapshot.table(Job).rows()]
        assert "it is running" in "".join(job["error"] for job in jobs)
        assert w.domain("guest1").state is DomainState.RUNNING
        for request in range(100, 200):
            m.send(wire.setting([(action, wire.number(5))], community=b"public", request=request))
        await m.wait(103)
        assert len(w.trail.records) < 60
