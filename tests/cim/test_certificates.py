"""The server's certificate, ours or a given one, and those of clients: over real handshakes, also with peers' clients."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pywbem
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from agent.__main__ import Agent
from agent.cim import certificates
from agent.cim.accounts import Accounts
from agent.cim.certificates import fingerprint, host_names, kept, self_signed, server_context, tls_context
from agent.config import MEMORY, Cim, CimCertificate, Config, Endpoint, Hypervisor, StateSettings
from agent.errors import ConfigError
from agent.schema.declare import Access
from tests.agents import looped, until
from tests.authorities import Authority, Signed
from tests.cim.served import OBSERVER, OPERATOR, Running, account, serve
from tests.cim.shells import hear, request, shell
from tests.programs import program

# --- our own ----------------------------------------------------------------------------------------------------------


def test_a_certificate_is_made_once_and_kept(tmp_path: Path) -> None:
    certificate, key = kept(tmp_path / "new", ["localhost", "host.example", "127.0.0.1", "::1"])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    made = x509.load_pem_x509_certificate(certificate.read_bytes())
    public = made.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert isinstance(public.curve, ec.SECP256R1)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "host.example"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    before = (certificate.read_bytes(), key.read_bytes())
    assert kept(tmp_path / "new", ["another"]) == (certificate, key)
    assert (certificate.read_bytes(), key.read_bytes()) == before
    assert sorted(p.name for p in certificate.parent.iterdir()) == [certificates.CERTIFICATE, certificates.KEY]


def test_a_certificate_that_ends_or_is_damaged_is_replaced(tmp_path: Path) -> None:
    certificate, key = kept(tmp_path, ["localhost"])
    first = certificate.read_bytes()
    soon = datetime.now(UTC) + timedelta(days=certificates.LASTS - certificates.RENEWED - 1)
    kept(tmp_path, ["localhost"], soon)
    assert certificate.read_bytes() == first
    kept(tmp_path, ["localhost"], soon + timedelta(days=2))
    second = certificate.read_bytes()
    assert second != first
    for file, content in ((key, b"x"), (certificate, b"x"), (certificate, first)):
        file.write_bytes(content)
        kept(tmp_path, ["localhost"])
        tls_context(str(certificate), str(key))


def test_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"state\.directory: .*file: cannot keep a certificate: "):
        kept(tmp_path / "file", ["localhost"])


def test_the_fingerprint_is_told_at_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "virtmap.cim")
    server_context(Cim(), str(tmp_path / "state"))
    told = subprocess.run(
        [
            program("openssl", "openssl"), "x509", "-noout", "-fingerprint", "-sha256",
            "-in", str(tmp_path / "state" / certificates.CERTIFICATE),
        ],
        capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    assert told.stdout.strip().rpartition("=")[2] in caplog.text
    certificate, key = self_signed(tmp_path)
    server_context(Cim(certificate=str(certificate), key=str(key)), "/nonexistent")
    assert fingerprint(str(certificate)) in caplog.text
    caplog.clear()
    server_context(Cim(), MEMORY)
    assert "SHA-256 fingerprint" in caplog.text


def test_names_of_this_host() -> None:
    names = host_names([Endpoint(host="192.0.2.1", port=1), Endpoint(host="0.0.0.0", port=2)])
    assert {"localhost", "127.0.0.1", "::1", "192.0.2.1"} <= set(names)
    assert "0.0.0.0" not in names
    assert len(set(names)) == len(names)


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"), "authority")


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Signed:
    return authority.sign("server", server=True)


@pytest.fixture
def secure(certificate: Signed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests prefers them to what it is told
        monkeypatch.delenv(name, raising=False)
    pair = (certificate.certificate, certificate.key)
    yield from serve({"local": "fake:///?domains=3"}, anonymous=None, certificate=pair)


def test_pywbem_over_https(secure: Running, authority: Authority) -> None:
    url = f"https://localhost:{secure.secure_port}"
    client = pywbem.WBEMConnection(url, OBSERVER, default_namespace="root/virtmap", ca_certs=authority.certificate)
    assert len(client.EnumerateInstanceNames("Virtmap_Domain")) == 3
    assert len(client.EnumerateInstances("CIM_ManagedElement")) > 20


def test_wbemcli_over_https(secure: Running, authority: Authority) -> None:
    user, password = OPERATOR
    url = f"https://{user}:{password}@localhost:{secure.secure_port}/root/virtmap:Virtmap_Domain"
    for more in (["-noverify"], ["-cacert", authority.certificate]):
        told = subprocess.run(
            [program("wbemcli", "sblim-wbemcli"), *more, "-nl", "ein", url],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        assert len(told.stdout.splitlines()) == 3


def test_pywbemcli_over_https(secure: Running, authority: Authority) -> None:
    user, password = OPERATOR
    told = subprocess.run(
        [
            program("pywbemcli", "pywbemtools"), "-s", f"https://localhost:{secure.secure_port}", "-d", "root/virtmap",
            "-u", user, "-p", password, "--ca-certs", authority.certificate,
            "instance", "enumerate", "Virtmap_Domain", "--no",
        ],
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("Virtmap_Domain.") == 3


def trusting(authority: Authority, shown: Signed | None = None) -> ssl.SSLContext:
    """What a client does its handshake with, that may show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority.certificate)
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


def test_tls_starts_at_1_2(authority: Authority, certificate: Signed) -> None:
    @looped
    async def check() -> None:
        async with shell(context=tls_context(certificate.certificate, certificate.key)) as served:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = trusting(authority)
                context.minimum_version = context.maximum_version = version
                assert (await served.ask(ssl=context, server_hostname="localhost")).status == 200
            old = trusting(authority)
            old.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.warns(DeprecationWarning, match="TLSv1_1"):
                old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await served.ask(ssl=old, server_hostname="localhost")

    check()


def test_files_that_are_no_certificates(authority: Authority, certificate: Signed, tmp_path: Path) -> None:
    pem, key = certificate.certificate, certificate.key
    (tmp_path / "empty").write_text("")
    for files, told in (
        (("/nonexistent.pem", key), r"cim\.certificate: /nonexistent.pem: No such file"),
        ((pem, "/nonexistent.pem"), r"cim\.key: /nonexistent.pem: No such file"),
        ((pem, pem), r"cim\.certificate: .* are not the PEM files"),
        ((pem, key, "/nonexistent.pem"), r"cim\.client_ca: /nonexistent.pem: No such file"),
        ((pem, key, str(tmp_path / "empty")), r"cim\.client_ca: .*empty is no PEM file of certificates"),
    ):
        with pytest.raises(ConfigError, match=told):
            tls_context(*files)


def test_clients_may_show_a_certificate(authority: Authority, certificate: Signed, tmp_path: Path) -> None:
    good, unknown = authority.sign("good"), authority.sign("unknown")
    expired, foreign = authority.sign("expired", lasts=-timedelta(days=1)), Authority(tmp_path, "other").sign("foreign")
    known = CimCertificate(fingerprint=good.fingerprint, user="suite", role=Access.OPERATE)
    ended = CimCertificate(fingerprint=expired.fingerprint, user="gone")
    accounts = Accounts([account(OBSERVER, Access.OBSERVE)], certificates=[known, ended])

    @looped
    async def check() -> None:
        context = tls_context(certificate.certificate, certificate.key, authority.certificate)
        async with shell(accounts=accounts, context=context) as served:

            async def ask(shown: Signed | None, **headers: str) -> int:
                said = await served.ask(
                    request(headers=headers), ssl=trusting(authority, shown), server_hostname="localhost"
                )
                return said.status

            assert await ask(good) == 200
            assert (served.provider.principals[-1].name, served.provider.principals[-1].role) == (
                "suite", Access.OPERATE,
            )  # fmt: skip
            assert await ask(unknown) == 401
            assert await ask(None) == 401
            basic = "Basic d2F0Y2hlcjpzZWUtb25seQ=="
            for shown in (None, unknown):
                assert await ask(shown, Authorization=basic) == 200
                assert served.provider.principals[-1].name == "watcher"
            for shown in (expired, foreign):
                with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                    await ask(shown)
            # What the configuration says of a certificate holds for open connections too.
            reader, writer = await served.connect(ssl=trusting(authority, good), server_hostname="localhost")
            writer.write(request())
            assert (await hear(reader)).status == 200
            accounts.renew([], [])
            writer.write(request())
            assert (await hear(reader)).status == 401
            writer.close()

    check()


def test_a_certificate_from_elsewhere_is_forbidden(authority: Authority, certificate: Signed) -> None:
    good = authority.sign("near")
    known = CimCertificate(fingerprint=good.fingerprint, user="suite", sources=())

    @looped
    async def check() -> None:
        context = tls_context(certificate.certificate, certificate.key, authority.certificate)
        async with shell(accounts=Accounts([], certificates=[known]), context=context) as served:
            said = await served.ask(ssl=trusting(authority, good), server_hostname="localhost")
            assert (said.status, said.headers["content-length"]) == (403, "0")

    check()


def test_another_certificate_serves_those_who_come_later(authority: Authority, certificate: Signed) -> None:
    renewed = authority.sign("renewed", server=True)

    @looped
    async def check() -> None:
        async with shell(context=tls_context(certificate.certificate, certificate.key)) as served:
            reader, writer = await served.connect(ssl=trusting(authority), server_hostname="localhost")
            served.server.renew(tls_context(renewed.certificate, renewed.key))
            writer.write(request())
            assert (await hear(reader)).status == 200
            writer.close()
            reader, writer = await served.connect(ssl=trusting(authority), server_hostname="localhost")
            seen = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            assert x509.load_der_x509_certificate(seen).subject.rfc4514_string() == "CN=renewed"
            writer.close()

    check()


def test_no_handshake_is_waited_for_without_end(
    authority: Authority, certificate: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.cim.connections.HANDSHAKE", 0.3)

    @looped
    async def check() -> None:
        async with shell(context=tls_context(certificate.certificate, certificate.key), connections=16) as served:
            crowd = [await served.connect() for _ in range(40)]
            assert (await served.ask(ssl=trusting(authority), server_hostname="localhost")).status == 200
            for reader, writer in crowd:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()

    check()


# --- a whole agent ----------------------------------------------------------------------------------------------------


def agent_config(state: Path, **cim: str) -> Config:
    return Config(
        hypervisors=(Hypervisor(name="local", uri="fake:///?domains=1"),),
        cim=Cim(https=(Endpoint(host="127.0.0.1", port=0),), **cim),  # type: ignore[arg-type]
        accounts=(account(OBSERVER, Access.OBSERVE),),
        state=StateSettings(directory=str(state)),
    )


def seen(port: int) -> str:
    """The fingerprint of the certificate that a client is shown."""
    pem = ssl.get_server_certificate(("127.0.0.1", port), timeout=10)
    return x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex()


@looped
async def test_an_agent_has_a_certificate_of_its_own_until_it_is_given_one(
    authority: Authority, tmp_path: Path
) -> None:
    prints = []
    for _ in range(2):
        agent = Agent(agent_config(tmp_path))
        addresses = await agent.start()
        try:
            port = addresses.https[0].port
            prints.append(await asyncio.to_thread(seen, port))
            given = authority.sign("given", server=True)
            agent.reload(agent_config(tmp_path, certificate=given.certificate, key=given.key))
            assert await asyncio.to_thread(seen, port) == given.fingerprint
            with pytest.raises(ConfigError, match=r"cim\.key"):
                agent.reload(agent_config(tmp_path, certificate=given.certificate, key="/nonexistent"))
            assert await asyncio.to_thread(seen, port) == given.fingerprint
        finally:
            await agent.stop()
    assert prints[0] == prints[1] == fingerprint(str(tmp_path / certificates.CERTIFICATE)).replace(":", "").lower()


@looped
async def test_guessing_is_in_the_audit_trail(tmp_path: Path) -> None:
    agent = Agent(agent_config(tmp_path))
    addresses = await agent.start()
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(tmp_path / certificates.CERTIFICATE)
        reader, writer = await asyncio.open_connection("localhost", addresses.https[0].port, ssl=context)
        answers = []
        for n in range(8):
            guess = base64.b64encode(f"watcher:guess{n}".encode()).decode()
            writer.write(request(headers={"Authorization": f"Basic {guess}"}))
            said = await hear(reader)
            said.headers.pop("date")
            answers.append((said.status, said.headers, said.body))
        assert all(answer == answers[0] for answer in answers)
        assert answers[0][0] == 401
        writer.close()
        (record,) = await until(agent.state.audit_trail, "a record")
        assert (record.front_end, record.operation, record.target) == ("cim", "Authenticate", "account watcher")
        assert record.result == "refused: 5 wrong passwords; locked for 30 s"
        assert record.principal == "unknown"
    finally:
        await agent.stop()
