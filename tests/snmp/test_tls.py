"""SNMP over TLS: who gets in, who does not, and what the certificate that he shows is good for."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from agent.errors import ConfigError
from agent.model.domain import DomainState, Suspend
from agent.schema.declare import Access
from agent.snmp import tls
from agent.snmp.security import Certificate, Security
from agent.snmp.server import Address
from agent.snmp.tcp import Limits
from agent.snmp.tls import TlsFiles, context
from tests import wire
from tests.agents import ENGINE_ID, World, looped, until, world
from tests.authorities import Authority, Signed
from tests.managers import PATIENCE, Stream, served, stream
from tests.wire import Answer, Oid, binding, get, number, oid, taken, text, tlv

TLS = ("tls", "127.0.0.1", 0)
SYS_DESCR = oid("1.3.6.1.2.1.1.1.0")
NOBODY = "0" * 64


# --- the files of both sides


@dataclass(frozen=True)
class Keys:
    """An authority with its server and two managers, and another authority with a manager of its own."""

    authority: Authority
    other: Authority
    server: Signed
    watcher: Signed
    worker: Signed
    stranger: Signed

    @property
    def files(self) -> TlsFiles:
        return TlsFiles(certificate=self.server.certificate, key=self.server.key, client_ca=self.authority.certificate)

    def certificates(self) -> dict[str, tuple[Certificate, ...]]:
        return {
            "certificates": (
                Certificate(fingerprint=self.watcher.fingerprint, name="watcher", role=Access.OBSERVE),
                Certificate(fingerprint=self.worker.fingerprint, name="worker", role=Access.OPERATE),
            )
        }

    def manager(self, who: Signed | None) -> ssl.SSLContext:
        """How a manager with this certificate connects."""
        made = ssl.create_default_context(cafile=self.authority.certificate)
        if who is not None:
            made.load_cert_chain(who.certificate, who.key)
        return made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    authority = Authority(tmp_path_factory.mktemp("tls"), "authority")
    other = Authority(tmp_path_factory.mktemp("other"), "other authority")
    return Keys(
        authority, other, authority.sign("server", server=True), authority.sign("watcher"), authority.sign("worker"),
        other.sign("watcher"),
    )  # fmt: skip


# --- messages of the Transport Security Model, written here byte by byte


def message(pdu: int, *bindings: bytes, first: int = 0, second: int = 0, request: int = 1, context: str = "",
            engine: bytes = ENGINE_ID, model: int = 4, flags: int = 7, parameters: bytes = b"") -> bytes:  # fmt: skip
    body = number(request) + number(first) + number(second) + tlv(0x30, b"".join(bindings))
    header = tlv(0x30, number(request) + number(65_535) + text(bytes((flags,))) + number(model))
    return tlv(0x30, number(3) + header + text(parameters) + tlv(0x30, text(engine) + text(context) + tlv(pdu, body)))


def answered(data: bytes, told: int = 3) -> tuple[int, Answer]:
    """The tag of the PDU in a message, and what it says as if it were one of version 2c."""
    _, inner, rest = taken(data, 0x30)
    assert not rest
    _, version, inner = taken(inner, wire.INTEGER)
    assert version == b"\x03"
    _, header, inner = taken(inner, 0x30)
    _, msg_id, header = taken(header, wire.INTEGER)
    _, _, header = taken(header, wire.INTEGER)
    _, flags, header = taken(header, wire.OCTETS)
    assert flags == bytes((told,)), "the level of the request, and no report is wanted"
    assert header == number(4)
    _, parameters, inner = taken(inner, wire.OCTETS)
    assert parameters == b""
    _, inner, rest = taken(inner, 0x30)
    assert not rest
    _, _, inner = taken(inner, wire.OCTETS)
    _, name, pdu = taken(inner, wire.OCTETS)
    tag, contents, rest = taken(pdu)
    assert not rest
    answer = wire.answered(tlv(0x30, number(1) + text(name) + tlv(wire.RESPONSE, contents)))
    assert whole(msg_id) == answer.request
    return tag, answer


def whole(contents: bytes) -> int:
    return int.from_bytes(contents, "big", signed=True)


async def asked(m: Stream, octets: bytes) -> Answer:
    m.send(octets)
    tag, answer = answered(await m.message())
    assert tag == wire.RESPONSE
    return answer


def reading(*names: Oid, request: int = 1) -> bytes:
    return message(wire.GET, *map(binding, names), request=request)


def suspending(w: World, name: str) -> bytes:
    return message(wire.SET, binding(w.column(3, name), number(Suspend.number)))


# --- who gets in


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@looped
async def test_get_getbulk_and_set(version: ssl.TLSVersion, keys: Keys) -> None:
    made = keys.manager(keys.worker)
    made.minimum_version = made.maximum_version = version
    async with world(security=keys.certificates()) as w, served(w, TLS, tls=keys.files) as (_, bound):
        async with stream(bound[0], made) as m:
            assert m.writer.get_extra_info("ssl_object").version() == version.name.replace("_", ".")
            assert (await asked(m, reading(SYS_DESCR, request=5))).request == 5
            bulk = message(wire.GETBULK, binding(oid("1.3")), second=50)
            assert len((await asked(m, bulk)).variables) == 50
            assert (await asked(m, suspending(w, "guest1"))).error == (0, 0)
            assert w.domain("guest1").state is DomainState.PAUSED
        assert next(r for r in w.trail.records)["principal"] == "worker"


@looped
async def test_requests_are_pipelined_and_may_arrive_in_pieces(keys: Keys) -> None:
    async with (
        world(security=keys.certificates()) as w,
        served(w, TLS, tls=keys.files) as (_, bound),
        stream(bound[0], keys.manager(keys.watcher)) as m,
    ):
        m.send(*(reading(SYS_DESCR, request=i) for i in range(300)))
        assert [answered(await m.message())[1].request for _ in range(300)] == list(range(300))
        for octet in reading(SYS_DESCR, request=9):
            m.send(bytes((octet,)))
            await m.writer.drain()
        assert answered(await m.message())[1].request == 9


@looped
async def test_an_observer_may_not_write(keys: Keys) -> None:
    async with (
        world(security=keys.certificates()) as w,
        served(w, TLS, tls=keys.files) as (_, bound),
        stream(bound[0], keys.manager(keys.watcher)) as m,
    ):
        assert (await asked(m, suspending(w, "guest1"))).error == (6, 1)


@looped
async def test_the_engine_that_is_asked_may_be_left_open(keys: Keys) -> None:
    """RFC 5343: by this, a manager learns the engine ID."""
    async with (
        world(security=keys.certificates()) as w,
        served(w, TLS, tls=keys.files) as (_, bound),
        stream(bound[0], keys.manager(keys.watcher)) as m,
    ):
        engine_id = binding(oid("1.3.6.1.6.3.10.2.1.1.0"))
        for flags in (7, 4):  # net-snmp asks without any level, knowing that TLS protects it
            m.send(message(wire.GET, engine_id, engine=bytes.fromhex("8000000006"), flags=flags))
            tag, answer = answered(await m.message(), flags & 3)
            assert tag == wire.RESPONSE
            assert answer.variables[0][2] == ENGINE_ID


# --- who does not


async def shut_out(address: Address, made: ssl.SSLContext) -> None:
    """The connection fails, in the handshake or right behind it."""

    async def tried() -> None:
        async with stream(address, made) as m:
            m.send(reading(SYS_DESCR))
            await m.message()

    with pytest.raises((OSError, EOFError)):
        await tried()


async def refused(keys: Keys, made: ssl.SSLContext, w: World, limits: Limits | None = None) -> None:
    """The manager is shut out, nothing of his reaches the engine, and others are served."""
    async with served(w, TLS, tls=keys.files, limits=limits) as (server, bound):
        await shut_out(bound[0], made)
        assert w.engine.statistics.snmpInPkts == 0
        await until(lambda: not len(server._connections), "the end of the connection")
        async with stream(bound[0], keys.manager(keys.watcher)) as m:
            assert (await asked(m, reading(SYS_DESCR))).error == (0, 0)


@looped
async def test_no_certificate_no_connection(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    async with world(security=keys.certificates()) as w:
        await refused(keys, keys.manager(None), w)
    assert "no connection with 127.0.0.1: [SSL: PEER_DID_NOT_RETURN_A_CERTIFICATE]" in caplog.text


@looped
async def test_a_certificate_of_another_authority(keys: Keys) -> None:
    async with world(security=keys.certificates()) as w:
        await refused(keys, keys.manager(keys.stranger), w)


@looped
async def test_a_certificate_that_has_expired(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    old = keys.authority.sign("old", lasts=timedelta(days=-1))
    async with world(security=keys.certificates()) as w:
        await refused(keys, keys.manager(old), w)
    assert "certificate has expired" in caplog.text


@looped
async def test_a_certificate_for_servers_only(keys: Keys) -> None:
    async with world(security=keys.certificates()) as w:
        await refused(keys, keys.manager(keys.server), w)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@looped
async def test_tls_1_1(keys: Keys) -> None:
    made = keys.manager(keys.watcher)
    made.set_ciphers("DEFAULT:@SECLEVEL=0")
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_1
    async with world(security=keys.certificates()) as w:
        await refused(keys, made, w)


@looped
async def test_plaintext_to_the_port_of_tls(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    async with world(security=keys.certificates()) as w, served(w, TLS, tls=keys.files) as (_, bound):
        for octets in (
            get(SYS_DESCR),
            reading(SYS_DESCR),
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x03\xff\xff" + bytes(99),
        ):
            async with stream(bound[0]) as m:
                m.send(octets)
                await m.ended()
        assert w.engine.statistics.snmpInPkts == 0
        assert caplog.text.count("no connection with 127.0.0.1: [SSL") == 4


@looped
async def test_a_certificate_that_nobody_told_of_gets_no_answer(keys: Keys) -> None:
    certificates = {"certificates": (Certificate(fingerprint=NOBODY, name="nobody", role=Access.OBSERVE),)}
    async with (
        world(security=certificates) as w,
        served(w, TLS, tls=keys.files) as (_, bound),
        stream(bound[0], keys.manager(keys.watcher)) as m,
    ):
        m.send(reading(SYS_DESCR, request=1))
        await until(lambda: w.engine.statistics.snmpInPkts == 1, "the request")
        w.engine.configure(replace(w.engine.security, **keys.certificates()))
        assert (await asked(m, reading(SYS_DESCR, request=2))).request == 2
        w.engine.configure(Security())
        m.send(reading(SYS_DESCR, request=3))
        await until(lambda: w.engine.statistics.snmpInPkts == 3, "the request")


@looped
async def test_other_messages_than_those_of_this_security_model_get_no_answer(keys: Keys) -> None:
    async with (
        world(security=keys.certificates()) as w,
        served(w, TLS, tls=keys.files) as (_, bound),
        stream(bound[0], keys.manager(keys.worker)) as m,
    ):
        m.send(
            get(SYS_DESCR),
            message(wire.GET, binding(SYS_DESCR), model=3),
            message(wire.GET, binding(SYS_DESCR), parameters=b"\x30\x00"),
        )
        assert (await asked(m, reading(SYS_DESCR, request=4))).request == 4


@looped
async def test_messages_of_this_security_model_without_tls_get_no_answer(keys: Keys) -> None:
    async with (
        world(security=keys.certificates()) as w,
        served(w, ("tcp", "127.0.0.1", 0)) as (_, bound),
        stream(bound[0]) as m,
    ):
        m.send(reading(SYS_DESCR), get(SYS_DESCR, request=2))
        assert (await m.answer()).request == 2
        assert w.engine.statistics.snmpUnknownSecurityModels == 1


# --- what takes too long, or too much


@looped
async def test_a_handshake_that_is_not_done_in_time_is_given_up(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    limits = Limits(handshake=0.1)
    async with world() as w, served(w, TLS, tls=keys.files, limits=limits) as (server, bound):
        async with stream(bound[0]) as mute, stream(bound[0]) as slow:
            slow.send(b"\x16\x03\x01\x02\x00")
            assert await mute.ended() == b""
            assert await slow.ended() == b""
        await until(lambda: not len(server._connections), "the end of both")
    assert "SSL handshake is taking longer than" in caplog.text


@looped
async def test_handshakes_under_way_are_limited(keys: Keys) -> None:
    limits = Limits(handshakes=3, handshakes_per_source=2, handshake_rate=1000)
    async with (
        world(security=keys.certificates()) as w,
        served(w, TLS, tls=keys.files, limits=limits) as (server, bound),
        stream(bound[0]),
        stream(bound[0]),
    ):
        async with stream(bound[0]) as third:
            assert await third.ended() == b""
        async with stream(bound[0], source="127.0.0.2"), stream(bound[0], source="127.0.0.3") as fifth:
            assert await fifth.ended() == b""
        await until(lambda: len(server._connections) == 2, "the end of the one of 127.0.0.2")
        async with stream(bound[0], keys.manager(keys.watcher), source="127.0.0.4") as m:
            assert (await asked(m, reading(SYS_DESCR))).error == (0, 0)


@looped
async def test_handshakes_are_no_more_a_second_than_they_should_be(keys: Keys) -> None:
    limits = Limits(handshakes=3, handshake_rate=0.001)
    async with world(security=keys.certificates()) as w, served(w, TLS, tls=keys.files, limits=limits) as (_, bound):
        for _ in range(3):
            async with stream(bound[0], keys.manager(keys.watcher)) as m:
                await asked(m, reading(SYS_DESCR))
        async with stream(bound[0]) as fourth:
            assert await fourth.ended() == b""


@looped
async def test_failed_handshakes_are_told_of_at_a_bounded_pace(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    async with world() as w, served(w, TLS, tls=keys.files) as (_, bound):
        for _ in range(60):
            async with stream(bound[0]) as m:
                m.send(b"garbage instead of a ClientHello")
                await m.ended()
    assert 15 <= caplog.text.count("no connection with") <= 40


@looped
async def test_garbage_inside_ends_the_connection(keys: Keys) -> None:
    async with world(security=keys.certificates()) as w, served(w, TLS, tls=keys.files) as (_, bound):
        async with stream(bound[0], keys.manager(keys.watcher)) as m:
            m.send(reading(SYS_DESCR, request=1), b"garbage")
            assert answered(await m.message())[1].request == 1
            assert await m.ended() == b""
        assert w.engine.statistics.snmpInASNParseErrs == 1


@looped
async def test_a_message_that_is_not_completed_in_time_ends_the_connection(keys: Keys) -> None:
    limits = Limits(message=0.1)
    async with (
        world(security=keys.certificates()) as w,
        served(w, TLS, tls=keys.files, limits=limits) as (_, bound),
        stream(bound[0], keys.manager(keys.watcher)) as m,
    ):
        m.send(reading(SYS_DESCR)[:-1])
        assert await m.ended() == b""


@looped
async def test_who_does_not_read_his_answers_is_not_read_and_dropped_in_the_end(keys: Keys) -> None:
    bulk = message(wire.GETBULK, binding(oid("1.3")), second=10_000)
    async with (
        world("fake:///?domains=200", security=keys.certificates()) as w,
        served(w, TLS, tls=keys.files, limits=Limits(unread=1.0)) as (server, bound),
        stream(bound[0], keys.manager(keys.watcher)) as m,
    ):
        m.writer.transport.pause_reading()
        m.send(bulk * 3000)
        await until(lambda: not len(server._connections), "the end of the connection")
        assert w.engine.statistics.snmpInPkts < 1000


@looped
async def test_a_connection_does_not_outlive_its_certificate(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = tls.peer

    def ended(connection: ssl.SSLObject) -> tls.Peer | None:
        found = peer(connection)
        assert found is not None
        assert time.time() + 12 * 3600 < found.ends < time.time() + 36 * 3600
        return replace(found, ends=time.time() - 1)

    monkeypatch.setattr(tls, "peer", ended)
    limits = Limits(message=0.1)
    async with (
        world(security=keys.certificates()) as w,
        served(w, TLS, tls=keys.files, limits=limits) as (_, bound),
        stream(bound[0], keys.manager(keys.watcher)) as m,
    ):
        assert await m.ended() == b""


@looped
async def test_stopping_ends_connections_and_handshakes(keys: Keys) -> None:
    async with (
        world(security=keys.certificates()) as w,
        served(w, TLS, tls=keys.files) as (server, bound),
        stream(bound[0], keys.manager(keys.watcher)) as m,
        stream(bound[0]) as halfway,
    ):
        await asked(m, reading(SYS_DESCR))
        await until(lambda: len(server._connections) == 2, "both connections")
        await server.stop()
        assert await m.ended() == b""
        assert await halfway.ended() == b""


# --- files


def test_files_that_are_not_right_are_named(keys: Keys, tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no certificate")
    for name in ("certificate", "key", "client_ca"):
        with pytest.raises(ConfigError, match=rf"snmp\.{name}: .*missing\.pem: No such file"):
            context(replace(keys.files, **{name: str(tmp_path / "missing.pem")}))
        named = "client_ca" if name == "client_ca" else "certificate"
        with pytest.raises(ConfigError, match=rf"snmp\.{named}: .*rubbish\.pem"):
            context(replace(keys.files, **{name: str(rubbish)}))
    with pytest.raises(ConfigError, match=r"snmp\.certificate: "):
        context(replace(keys.files, key=keys.worker.key))


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(keys: Keys, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(Path(keys.server.key).read_bytes(), None)
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )  # fmt: skip
    with pytest.raises(ConfigError, match="the key is encrypted"):
        context(replace(keys.files, key=str(encrypted)))


@looped
async def test_tls_needs_its_files(keys: Keys) -> None:
    async with world() as w:
        with pytest.raises(ConfigError, match=r"snmp\.certificate: is missing"):
            async with served(w, TLS):
                pytest.fail("it listens")


@looped
async def test_files_are_read_anew_for_new_connections(keys: Keys, tmp_path: Path) -> None:
    """As at SIGHUP: another certificate of ours, and another authority of managers."""
    async with world(security=keys.certificates()) as w, served(w, TLS, tls=keys.files) as (server, bound):
        async with stream(bound[0], keys.manager(keys.watcher)) as m:
            again = keys.authority.sign("server again", server=True)
            server.reload_tls(TlsFiles(certificate=again.certificate, key=again.key, client_ca=keys.other.certificate))
            with pytest.raises(ConfigError):
                server.reload_tls(replace(keys.files, key=str(tmp_path / "missing")))
            server.reload_tls()
            assert (await asked(m, reading(SYS_DESCR))).error == (0, 0)
            await shut_out(bound[0], keys.manager(keys.watcher))
        certificates = (Certificate(fingerprint=keys.stranger.fingerprint, name="watcher", role=Access.OBSERVE),)
        w.engine.configure(Security(certificates=certificates))
        async with stream(bound[0], keys.manager(keys.stranger)) as m:
            ours = m.writer.get_extra_info("ssl_object").getpeercert()
            assert ours["subject"] == ((("commonName", "server again"),),)
            assert (await asked(m, reading(SYS_DESCR))).error == (0, 0)


def test_sessions_are_not_resumed(keys: Keys) -> None:
    """Each connection shows its certificate anew, in both versions."""

    async def shaken(version: ssl.TLSVersion) -> list[bool]:
        made = keys.manager(keys.watcher)
        made.minimum_version = made.maximum_version = version
        async with world(security=keys.certificates()) as w, served(w, TLS, tls=keys.files) as (_, bound):
            return await asyncio.wait_for(asyncio.to_thread(_twice, made, bound[0][2]), PATIENCE)

    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert asyncio.run(shaken(version)) == [False, False]


def _twice(made: ssl.SSLContext, port: int) -> list[bool]:
    session = None
    reused = []
    for _ in range(2):
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
            made.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as secured,
        ):
            secured.sendall(reading(SYS_DESCR))
            assert secured.recv(100)
            session = secured.session
            reused.append(bool(secured.session_reused))
    return reused
