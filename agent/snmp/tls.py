"""TLS for SNMP (RFC 6353, RFC 9456): whose certificate it is, and nothing of SNMP itself.

A connection is authentic in both directions and encrypted: TLS 1.2 or newer, our certificate from PEM files, and one of the
manager that an authority of `client_ca` has signed. What the certificate may do is decided by its fingerprint, message by
message, so that taking a fingerprint out of the configuration also ends what connections that are open can do.

Only TLS over TCP. The same RFCs describe DTLS over UDP, but Python's ssl has no DTLS, and no library that does it whole is
well kept: pyOpenSSL has the primitives, and leaves the cookie exchange, the timers of retransmission and the telling apart
of peers on one socket to its caller. Over UDP there is the User-based Security Model.
"""

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """PEM files: our certificate (with those between it and its root), its key, and the authorities of managers."""

    certificate: str
    key: str
    client_ca: str


def context(files: TlsFiles) -> ssl.SSLContext:
    """What a handshake is done with. ConfigError when the files are not what they should be.

    Sessions are not resumed: each connection shows its certificate, and has it verified, anew.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.verify_mode = ssl.CERT_REQUIRED
    made.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    made.num_tickets = 0
    for name, file in (("certificate", files.certificate), ("key", files.key), ("client_ca", files.client_ca)):
        try:
            Path(file).open("rb").close()
        except OSError as error:
            raise ConfigError(f"snmp.{name}: {file}: {error.strerror}") from error
    try:
        made.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(
            f"snmp.certificate: {files.certificate} and {files.key} are not the PEM files of a certificate and of its own"
            f" key: {error}"
        ) from error
    try:
        made.load_verify_locations(files.client_ca)
    except (OSError, ValueError) as error:
        raise ConfigError(f"snmp.client_ca: {files.client_ca} is no PEM file of certificates: {error}") from error
    return made


def _no_password() -> str:
    """OpenSSL would ask at the terminal."""
    raise ValueError("the key is encrypted; an agent that starts by itself needs one that is not")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A manager's certificate: the SHA-256 of its DER form in hexadecimal digits, and when it ends (POSIX time)."""

    fingerprint: str
    ends: float


def peer(connection: ssl.SSLObject) -> Peer | None:
    """Whose connection this is; None if the manager showed no certificate."""
    der = connection.getpeercert(binary_form=True)
    told = connection.getpeercert()
    if not der or not told:
        return None
    return Peer(fingerprint=hashlib.sha256(der).hexdigest(), ends=ssl.cert_time_to_seconds(str(told["notAfter"])))
