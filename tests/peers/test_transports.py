"""Against peers: net-snmp's tools as managers over TCP, IPv6 and TLS, and openssl as a client of TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.model.domain import DomainState, Suspend
from agent.schema.declare import Access
from agent.schema.types import Secret
from agent.snmp.protection import AuthProtocol, PrivProtocol
from agent.snmp.security import Account, Certificate
from agent.snmp.server import Address
from agent.snmp.tls import TlsFiles
from agent.snmp.usm import User
from tests.agents import COMMUNITIES, looped, until, world
from tests.authorities import Authority, Signed
from tests.managers import served
from tests.programs import program, unavailable

DESCRIPTION = ".1.3.6.1.2.1.1.1.0"
DOMAINS = ".1.3.6.1.4.1.36957.20"
ANYWHERE = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
WEAK = """
openssl_conf = begin
[begin]
ssl_conf = ssl
[ssl]
system_default = default
[default]
CipherString = DEFAULT:@SECLEVEL=0
MinProtocol = TLSv1
"""
"""How openssl lets a program do what is no longer held to be secure: so that it is the agent who refuses it."""

OPEN = [replace(c, sources=ANYWHERE) for c in COMMUNITIES]


@pytest.fixture(scope="module")
def ipv6() -> None:
    with socket.socket(socket.AF_INET6) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            unavailable("no IPv6 on the loopback interface")


async def run(folder: Path, *command: str, given: bytes = b"") -> tuple[int, str, str]:
    """A program with a configuration folder of its own: its exit status, its output and its complaints."""
    (folder / "openssl.cnf").write_text(WEAK)
    environment = {
        **os.environ, "SNMPCONFPATH": str(folder), "SNMP_PERSISTENT_DIR": str(folder / "kept"),
        "OPENSSL_CONF": str(folder / "openssl.cnf"),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        program(command[0], "snmp or openssl"), *command[1:], env=environment, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(given), 40)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def told(folder: Path, *command: str) -> list[str]:
    """The lines that one of net-snmp's tools prints; it must succeed."""
    status, out, err = await run(folder, command[0], "-m", "", "-t", "5", "-r", "0", *command[1:])
    assert status == 0, out + err
    return out.splitlines()


@pytest.mark.parametrize(
    ("listen", "prefix"),
    [
        (("tcp", "127.0.0.1", 0), "tcp:127.0.0.1"),
        (("tcp", "0.0.0.0", 0), "tcp:127.0.0.2"),
        (("udp", "0.0.0.0", 0), "udp:127.0.0.2"),
        (("udp", "::1", 0), "udp6:[::1]"),
        (("udp", "::", 0), "udp6:[::1]"),
        (("tcp", "::1", 0), "tcp6:[::1]"),
        (("tcp", "::", 0), "tcp6:[::1]"),
    ],
)
@looped
async def test_the_tools_over_every_transport(
    listen: Address, prefix: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if ":" in listen[1]:
        request.getfixturevalue("ipv6")
    async with world("fake:///?domains=5", communities=OPEN) as w, served(w, listen) as (_, bound):
        address = f"{prefix}:{bound[0][2]}"
        v2c = ("-v2c", "-c", "public")
        (line,) = await told(tmp_path, "snmpget", *v2c, address, DESCRIPTION)
        assert "virtmap" in line
        bulk = await told(tmp_path, "snmpbulkwalk", *v2c, "-Cr1000", address, DOMAINS)
        walk = await told(tmp_path, "snmpwalk", *v2c, address, DOMAINS)
        assert len(walk) > 200
        names = [x.partition(" = ")[0] for x in walk]
        assert [x.partition(" = ")[0] for x in bulk] == names
        action = "." + ".".join(map(str, w.column(3, "guest2")))
        await told(tmp_path, "snmpset", "-v2c", "-c", "secret", address, action, "i", str(Suspend.number))
        assert w.domain("guest2").state is DomainState.PAUSED


@looped
async def test_version_3_over_tcp(tmp_path: Path) -> None:
    user = User(
        name="operator", auth=AuthProtocol.SHA256, auth_passphrase=Secret("authentic words"), priv=PrivProtocol.AES128,
        priv_passphrase=Secret("private words"),
    )  # fmt: skip
    security = {"accounts": (Account(user=user, role=Access.OPERATE),)}
    async with world("fake:///?domains=5", security=security) as w, served(w, ("tcp", "127.0.0.1", 0)) as (_, bound):
        v3 = (
            "-v3", "-u", "operator", "-l", "authPriv", "-a", "SHA-256", "-A", "authentic words", "-x", "AES", "-X",
            "private words", f"tcp:127.0.0.1:{bound[0][2]}",
        )  # fmt: skip
        assert len(await told(tmp_path, "snmpbulkwalk", *v3, DOMAINS)) > 200
        action = "." + ".".join(map(str, w.column(3, "guest2")))
        await told(tmp_path, "snmpset", *v3, action, "i", str(Suspend.number))
        assert w.domain("guest2").state is DomainState.PAUSED


# --- TLS


@dataclass(frozen=True)
class Keys:
    """The files of an agent and of a manager, and the manager's configuration folder of net-snmp."""

    folder: Path
    authority: Authority
    agent: Signed
    manager: Signed

    @property
    def files(self) -> TlsFiles:
        return TlsFiles(certificate=self.agent.certificate, key=self.agent.key, client_ca=self.authority.certificate)

    @property
    def certificates(self) -> dict[str, tuple[Certificate, ...]]:
        return {"certificates": (Certificate(fingerprint=self.manager.fingerprint, name="boss", role=Access.OPERATE),)}


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    authority = Authority(tmp_path, "authority")
    made = Keys(tmp_path, authority, authority.sign("agent", server=True), authority.sign("manager"))
    for name, file in (
        ("ca-certs", authority.certificate), ("certs", made.agent.certificate), ("certs", made.manager.certificate),
        ("private", made.manager.key),
    ):  # fmt: skip
        folder = tmp_path / "tls" / name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder)
    return made


@asynccontextmanager
async def lifted(keys: Keys, address: Address) -> AsyncIterator[int]:
    """A port where a manager is heard who knows no TLS but 1.0, which the agent refuses; what he says goes on in TLS 1.3.

    net-snmp to 5.9.4 is such a manager. His messages, and his way of finding out the engine ID, stay his own.
    """
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.set_ciphers("DEFAULT:@SECLEVEL=0")
    inside.minimum_version = ssl.TLSVersion.TLSv1
    inside.load_cert_chain(keys.agent.certificate, keys.agent.key)
    inside.load_verify_locations(keys.authority.certificate)
    inside.verify_mode = ssl.CERT_REQUIRED
    outside = ssl.create_default_context(cafile=keys.authority.certificate)
    outside.load_cert_chain(keys.manager.certificate, keys.manager.key)
    tasks: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while octets := await reader.read(65_536):
                writer.write(octets)
        except OSError:
            pass  # the manager is gone without a word
        finally:
            writer.transport.abort()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection(*address[1:], ssl=outside, server_hostname="127.0.0.1")
        for one in (copy(reader, onward[1]), copy(onward[0], writer)):
            tasks.add(asyncio.ensure_future(one))

    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=inside)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if tasks:
            await asyncio.wait(tasks, timeout=10)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated:DeprecationWarning")
@looped
async def test_the_tools_over_tls(keys: Keys) -> None:
    async with (
        world("fake:///?domains=5", security=keys.certificates) as w,
        served(w, ("tls", "127.0.0.1", 0), tls=keys.files) as (_, bound),
        lifted(keys, bound[0]) as port,
    ):
        who = ("-v3", "-T", "our_identity=manager", "-T", "their_identity=agent", f"tlstcp:127.0.0.1:{port}")
        (line,) = await told(keys.folder, "snmpget", *who, DESCRIPTION)
        assert "virtmap" in line
        bulk = await told(keys.folder, "snmpbulkwalk", *who, DOMAINS)
        assert len(bulk) > 200
        action = "." + ".".join(map(str, w.column(3, "guest2")))
        await told(keys.folder, "snmpset", *who, action, "i", str(Suspend.number))
        assert w.domain("guest2").state is DomainState.PAUSED
        assert w.trail.records[-1]["principal"] == "boss"


@looped
async def test_a_manager_that_knows_no_tls_but_1_0_is_refused(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    async with (
        world(security=keys.certificates) as w,
        served(w, ("tls", "127.0.0.1", 0), tls=keys.files) as (server, bound),
    ):
        who = ("-v3", "-T", "our_identity=manager", "-T", "their_identity=agent", f"tlstcp:127.0.0.1:{bound[0][2]}")
        status, _, err = await run(keys.folder, "snmpget", "-m", "", "-t", "5", "-r", "0", *who, DESCRIPTION)
        await until(lambda: not len(server._connections), "the end of the connection")
        if status == 0:
            pytest.skip("this net-snmp knows newer versions of TLS")
        assert "ssl_connect" in err
        assert "UNSUPPORTED_PROTOCOL" in caplog.text
        assert w.engine.statistics.snmpInPkts == 0


@pytest.mark.parametrize(("option", "version"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
@looped
async def test_openssl_agrees_upon_a_strong_connection(option: str, version: str, keys: Keys) -> None:
    async with (
        world(security=keys.certificates) as w,
        served(w, ("tls", "127.0.0.1", 0), tls=keys.files) as (_, bound),
    ):
        status, out, err = await run(
            keys.folder, "openssl", "s_client", "-connect", f"127.0.0.1:{bound[0][2]}", option, "-brief",
            "-CAfile", keys.authority.certificate, "-verify_return_error", "-cert", keys.manager.certificate,
            "-key", keys.manager.key,
        )  # fmt: skip
        said = out + err
        assert status == 0, said
        assert f"Protocol version: {version}" in said
        assert "Verification: OK" in said
        assert "GCM" in said or "CHACHA20" in said
