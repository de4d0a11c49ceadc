"""The server's certificate: the one that is configured, or one of our own that is made once and kept.

A certificate that we sign ourselves proves nothing to a client that does not know it, so its fingerprint is in the log at
each start, to be compared with what the client sees. It stays the same across restarts until it ends. Its key is
readable by nobody but us.
"""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import logging
import os
import secrets
import socket
import ssl
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.config import MEMORY, Cim, Endpoint
from agent.errors import ConfigError

__all__ = [
    "Peer",
    "fingerprint",
    "host_names",
    "kept",
    "of_client",
    "self_signed",
    "server_context",
    "tls_context",
    "trust",
]

log = logging.getLogger("virtmap.cim")

#: Days that a kept certificate lasts, and how many before its end a start replaces it.
LASTS = 825
RENEWED = 30

CERTIFICATE, KEY = "cim-certificate.pem", "cim-key.pem"


def tls_context(certificate: str, key: str, client_ca: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer with this certificate; with authorities of clients, these may show one of theirs. ConfigError when
    the PEM files are not what they should be."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    for name, file in (("certificate", certificate), ("key", key), ("client_ca", client_ca)):
        try:
            if file is not None:
                Path(file).open("rb").close()
        except OSError as error:
            raise ConfigError(f"cim.{name}: {file}: {error.strerror}") from error
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(
            f"cim.certificate: {certificate} and {key} are not the PEM files of a certificate and of its own key: {error}"
        ) from error
    if client_ca is not None:
        trust(context, client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.options |= ssl.OP_NO_TICKET  # each connection shows its certificate, and has it verified, anew
        context.num_tickets = 0
    return context


def trust(context: ssl.SSLContext, client_ca: str) -> None:
    """Have certificates of clients checked with the authorities in this PEM file. ConfigError if it is none."""
    try:
        context.load_verify_locations(client_ca)
    except FileNotFoundError as error:
        raise ConfigError(f"cim.client_ca: {client_ca}: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"cim.client_ca: {client_ca} is no PEM file of certificates: {error}") from error


def _no_password() -> str:
    """OpenSSL would ask at the terminal."""
    raise ValueError("the key is encrypted; an agent that starts by itself needs one that is not")


def server_context(cim: Cim, directory: str) -> ssl.SSLContext:
    """The context of a configuration: with its certificate, or with the one that is kept in the directory of the state,
    and that is made if there is none. The fingerprint is logged. ConfigError when something is not as it should be."""
    if cim.certificate is not None and cim.key is not None:
        context = tls_context(cim.certificate, cim.key, cim.client_ca)
        log.info("certificate %s: SHA-256 fingerprint %s", cim.certificate, fingerprint(cim.certificate))
        return context
    with _directory(directory) as where:
        certificate, key = kept(where, host_names(cim.https))
        context = tls_context(str(certificate), str(key), cim.client_ca)
        log.info("certificate of our own, %s: SHA-256 fingerprint %s", certificate, fingerprint(str(certificate)))
        return context


@contextmanager
def _directory(directory: str) -> Iterator[Path]:
    if directory != MEMORY:
        yield Path(directory)
        return
    with tempfile.TemporaryDirectory(prefix="virtmap-tls-") as passing:
        yield Path(passing)


def fingerprint(certificate: str) -> str:
    """The SHA-256 of the first certificate in a PEM file, as `openssl x509 -fingerprint` prints it. ConfigError if there
    is none."""
    try:
        found = x509.load_pem_x509_certificate(Path(certificate).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"cim.certificate: {certificate}: {error}") from error
    return ":".join(f"{octet:02X}" for octet in found.fingerprint(hashes.SHA256()))


# --- one of our own ---------------------------------------------------------------------------------------------------


def kept(directory: Path, names: Iterable[str], now: datetime | None = None) -> tuple[Path, Path]:
    """The PEM files of our own certificate and its key in this directory; made anew if there is none, if it is about to
    end, or if the two do not belong together. ConfigError if they cannot be written."""
    now = now or datetime.now(UTC)
    certificate, key = directory / CERTIFICATE, directory / KEY
    if _lasting(certificate, key, now):
        return certificate, key
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(certificate, key, names, now, LASTS)
    except OSError as error:
        raise ConfigError(f"state.directory: {directory}: cannot keep a certificate: {error.strerror}") from error
    log.info("made a certificate of our own: %s, good until %s", certificate, (now + timedelta(days=LASTS)).date())
    return certificate, key


def self_signed(
    directory: Path, *, host: str = "127.0.0.1", days: int = 30, names: Iterable[str] = ("localhost",)
) -> tuple[Path, Path]:
    """The PEM files of a new certificate for an address and these names, signed by itself, and of its key, which only we
    may read."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    _write(certificate, key, (*names, host), datetime.now(UTC), days)
    return certificate, key


def _lasting(certificate: Path, key: Path, now: datetime) -> bool:
    """Whether the files are there, belong together, and are good for some time."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return False
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != found.public_key():
        return False
    return found.not_valid_before_utc <= now < found.not_valid_after_utc - timedelta(days=RENEWED)


def _write(certificate: Path, key: Path, names: Iterable[str], now: datetime, days: int) -> None:
    """Both files, each whole or as it was before. OSError if they cannot be."""
    private = ec.generate_private_key(ec.SECP256R1())
    _replace(
        key,
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        0o600,
    )
    made = _signed(private, list(dict.fromkeys(names)), now, days)
    _replace(certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)


def _signed(private: ec.EllipticCurvePrivateKey, names: list[str], now: datetime, days: int) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "virtmap")])
    public = private.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _replace(file: Path, content: bytes, mode: int) -> None:
    passing = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        opened = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(opened, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        passing.replace(file)
    finally:
        passing.unlink(missing_ok=True)


# --- names of this host -----------------------------------------------------------------------------------------------


def host_names(endpoints: Iterable[Endpoint]) -> list[str]:
    """What clients may call a server that listens there: names and addresses of this host. Asks no name server."""
    host = socket.gethostname()
    names = ["localhost", *(name for name in (host, host.partition(".")[0]) if _is_name(name))]
    addresses = ["127.0.0.1", "::1"]
    for endpoint in endpoints:
        everywhere = ipaddress.ip_address(endpoint.host).is_unspecified
        addresses += _own_addresses() if everywhere else [endpoint.host]
    return list(dict.fromkeys((*names, *addresses)))


def _is_name(name: str) -> bool:
    return name.isascii() and bool(name) and all(c.isalnum() or c in "-." for c in name)


_SIOCGIFADDR = 0x8915
"""The number of the system call that tells an interface's IPv4 address (linux/sockios.h)."""


def _own_addresses() -> list[str]:
    """The addresses of this host's interfaces, as far as the system tells."""
    found: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            with suppress(OSError):
                told = fcntl.ioctl(asked, _SIOCGIFADDR, struct.pack("256s", name[:15].encode()))
                found.append(socket.inet_ntoa(told[20:24]))
    with suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text("ascii").splitlines():
            address = ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))
            if not address.is_link_local:
                found.append(str(address))
    return found


# --- certificates of clients ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A client's certificate: the SHA-256 of its DER form in hexadecimal digits, and when it ends (POSIX time)."""

    fingerprint: str
    ends: float


def of_client(told: Callable[[str], object]) -> Peer | None:
    """The verified certificate of a client, out of a transport's ``get_extra_info``; None if it showed none."""
    connection = told("ssl_object")
    if not isinstance(connection, ssl.SSLObject):
        return None
    der = connection.getpeercert(binary_form=True)
    about = connection.getpeercert()
    if not der or not about:
        return None
    return Peer(fingerprint=hashlib.sha256(der).hexdigest(), ends=ssl.cert_time_to_seconds(str(about["notAfter"])))
