"""A private libvirtd that also listens on 127.0.0.1: on TCP for those with a password, or on TLS for those with a certificate."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.authorities import Authority, Signed
from tests.programs import SEARCH, program
from tests.running import free_port
from tests.servers import Session

USER, PASSWORD = "fred", "swordfish"


class Listening(Session):
    """A `Session` whose libvirtd listens at `port`, and reads a configuration of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    def _configure(self, *lines: str) -> None:
        (self.root / "libvirtd.conf").write_text("\n".join(['listen_addr = "127.0.0.1"', *lines]) + "\n")

    def _command(self, program: str) -> list[str]:
        own = ["--listen", "--config", str(self.root / "libvirtd.conf")] if program == "libvirtd" else []
        return [*super()._command(program), *own]

    def _folder(self, name: str) -> Path:
        made = self.root / name
        made.mkdir(mode=0o755)
        return made

    def _own_all(self, folder: Path) -> None:
        for path in (folder, *folder.iterdir()):
            self._own(path)


class WithPasswords(Listening):
    """Lets in whom SASL knows, over TCP as well as by its socket: USER with PASSWORD, and nobody else."""

    def __init__(self) -> None:
        super().__init__()
        self._sasl = self._folder("sasl")
        self._configure(
            "listen_tls = 0",
            "listen_tcp = 1",
            f'tcp_port = "{self.port}"',
            'auth_tcp = "sasl"',
            'auth_unix_rw = "sasl"',
        )
        # Over TCP libvirt wants a mechanism that also encrypts, and of these SASL has no better one.
        (self._sasl / "libvirt.conf").write_text(f"mech_list: digest-md5\nsasldb_path: {self._sasl}/users\n")
        self.admit(USER, PASSWORD)

    def admit(self, user: str, password: str) -> None:
        """Let a user in, or give it another password."""
        subprocess.run(
            [program("saslpasswd2", "sasl2-bin"), "-p", "-c", "-a", "libvirt", "-f", str(self._sasl / "users"), user],
            input=password.encode(), check=True, timeout=20, env=os.environ | {"PATH": SEARCH},
        )  # fmt: skip
        self._own_all(self._sasl)

    @property
    def tcp_uri(self) -> str:
        return f"test+tcp://127.0.0.1:{self.port}/default"

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"SASL_CONF_PATH": str(self._sasl)}


class WithCertificates(Listening):
    """Lets in, over TLS, whom its authority has signed."""

    def __init__(self) -> None:
        super().__init__()
        self._pki = self._folder("pki")
        self.authority = Authority(self._pki, "authority")
        own = self.authority.sign("server", server=True)
        self.client = self.authority.sign("client")
        self._own_all(self._pki)
        self._configure(
            "listen_tls = 1", "listen_tcp = 0", f'tls_port = "{self.port}"', 'auth_tls = "none"', 'auth_unix_rw = "none"',
            f'ca_file = "{self.authority.certificate}"', f'cert_file = "{own.certificate}"', f'key_file = "{own.key}"',
        )  # fmt: skip

    def tls_uri(self, pki: Path) -> str:
        return f"qemu+tls://127.0.0.1:{self.port}/session?pkipath={pki}"


def pki_of_client(folder: Path, authority: Authority, client: Signed | None) -> Path:
    """The folder of the authority that a client of libvirt trusts, and of the certificate that it shows."""
    folder.mkdir()
    shutil.copy(authority.certificate, folder / "cacert.pem")
    if client is not None:
        shutil.copy(client.certificate, folder / "clientcert.pem")
        shutil.copy(client.key, folder / "clientkey.pem")
    return folder
