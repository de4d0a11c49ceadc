"""Certificates for tests: an authority that signs them, and PEM files of what it signed."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass(frozen=True)
class Signed:
    """A certificate and its key, as PEM files, and its fingerprint."""

    certificate: str
    key: str
    fingerprint: str


class Authority:
    """Signs certificates; writes files into a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        made = self._builder(name, self._key.public_key(), DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self._own = made.sign(self._key, hashes.SHA256())
        self.certificate = self._write(f"{name}.crt", self._own.public_bytes(serialization.Encoding.PEM))

    def sign(self, name: str, *, lasts: timedelta = DAY, server: bool = False) -> Signed:
        """A certificate of this name that lasts so long from now; of one that has expired `lasts` is negative."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        names = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(a)) for a in ("127.0.0.1", "::1"))]
        made = (
            self._builder(name, key.public_key(), lasts)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Signed(
            self._write(f"{name}.crt", made.public_bytes(serialization.Encoding.PEM)),
            self._write(f"{name}.key", pem),
            hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest(),
        )

    def _builder(self, name: str, key: ec.EllipticCurvePublicKey, lasts: timedelta) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self._name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * DAY)
            .not_valid_after(now + lasts)
        )

    def _write(self, name: str, pem: bytes) -> str:
        path = self._folder / name
        path.touch(mode=0o600)  # managers refuse a key that others may read
        path.write_bytes(pem)
        return str(path)
