"""The ways to a libvirtd: its socket, TLS, SSH, a program of one's own; and QEMU in our own process, without one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.__main__ import driver as driver_of
from agent.config import Hypervisor
from agent.errors import Unreachable, VirtmapError
from agent.model import Host
from tests.authorities import Authority
from tests.listening import WithCertificates, pki_of_client
from tests.programs import SEARCH, program, unavailable
from tests.servers import REAPER, Guest, Session, Unavailable, missing_programs


@pytest.fixture(scope="module")
def daemon() -> Iterator[WithCertificates]:
    try:
        made = WithCertificates()
    except Unavailable as reason:
        unavailable(str(reason))
    with made as server:
        yield server


def host_of(uri: str) -> Host:
    made = driver_of(Hypervisor(name="x", uri=uri))
    try:
        made.connect()
        (host,) = [
            row for piece in made.plan([(Host, ("x",))]).pieces for row in piece.read().rows if isinstance(row, Host)
        ]
    finally:
        made.close()
    return host


def why_not(uri: str) -> VirtmapError:
    made = driver_of(Hypervisor(name="x", uri=uri))
    with pytest.raises(VirtmapError) as error:
        made.connect()
    made.close()
    return error.value


# --- TLS


def test_by_tls_the_connection_is_encrypted(daemon: WithCertificates, tmp_path: Path) -> None:
    host = host_of(daemon.tls_uri(pki_of_client(tmp_path / "pki", daemon.authority, daemon.client)))
    assert (host.driver, host.encrypted, host.secure, host.problem) == ("QEMU", True, True, "")


def test_a_host_without_a_transport_is_reached_by_tls(daemon: WithCertificates, tmp_path: Path) -> None:
    uri = daemon.tls_uri(pki_of_client(tmp_path / "pki", daemon.authority, daemon.client))
    assert host_of(uri.replace("qemu+tls:", "qemu:")).encrypted


def test_a_libvirtd_of_another_authority_is_unreachable_and_told_why(daemon: WithCertificates, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    pki = pki_of_client(tmp_path / "pki", other, other.sign("client"))
    error = why_not(daemon.tls_uri(pki))
    assert isinstance(error, Unreachable)
    assert "cannot connect to qemu+tls://127.0.0.1:" in str(error)
    assert "its certificate is not signed by the authority that we trust (cacert.pem)" in str(error)


def test_who_shows_no_certificate_is_not_let_in(daemon: WithCertificates, tmp_path: Path) -> None:
    error = why_not(daemon.tls_uri(pki_of_client(tmp_path / "pki", daemon.authority, None)))
    assert isinstance(error, Unreachable)
    assert "TLS" in str(error)


def test_a_folder_without_certificates_is_named(daemon: WithCertificates, tmp_path: Path) -> None:
    error = why_not(daemon.tls_uri(tmp_path / "empty"))
    assert isinstance(error, Unreachable)
    assert f"{tmp_path}/empty/cacert.pem" in str(error)


# --- SSH, and programs of one's own


def script(path: Path, server: Session, *lines: str) -> Path:
    """A program that libvirt starts to reach this libvirtd, as its account."""
    account = server.account
    drop = ""
    if os.geteuid() == 0:
        drop = f"setpriv --reuid {account.pw_uid} --regid {account.pw_gid} --clear-groups "
    environment = f"export XDG_RUNTIME_DIR='{server.root}/run' PATH='{SEARCH}'"
    path.write_text("\n".join(["#!/bin/sh", *(line.format(drop=drop, environment=environment) for line in lines), ""]))
    path.chmod(0o700)
    return path


def test_by_ssh_the_program_that_is_called_gets_host_port_and_user(daemon: WithCertificates, tmp_path: Path) -> None:
    program("virt-ssh-helper", "libvirt-daemon")
    # What stands for ssh here does as the far host would: it runs the command that is given behind the host.
    ssh = script(
        tmp_path / "ssh", daemon, f'echo "$@" > {tmp_path}/called', 'while [ "$1" != -- ]; do shift; done', "shift 2",
        "{environment}", 'exec {drop}sh -c "$*"',
    )  # fmt: skip
    uri = f"qemu+ssh://ops@far.example.net:2222/session?command={ssh}&proxy=native&no_tty=1"
    host = host_of(uri)
    assert (host.driver, host.secure, host.uri) == ("QEMU", True, uri)
    called = (tmp_path / "called").read_text()
    assert called.startswith("-p 2222 -l ops -T -e none -o BatchMode=yes -- far.example.net ")


def test_an_ssh_that_fails_is_unreachable(tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'ops@far: Permission denied (publickey).' >&2\nexit 255\n")
    ssh.chmod(0o700)
    # Whether libvirt 9.0 repeats what ssh wrote depends on which of the two is faster.
    assert isinstance(why_not(f"qemu+ssh://ops@far.example.net/system?command={ssh}"), Unreachable)


def test_by_a_program_of_ones_own(daemon: WithCertificates, tmp_path: Path) -> None:
    program("virt-ssh-helper", "libvirt-daemon")
    tunnel = script(tmp_path / "tunnel", daemon, "{environment}", "exec {drop}virt-ssh-helper qemu:///session")
    host = host_of(f"qemu+ext:///session?command={tunnel}")
    assert (host.driver, host.encrypted) == ("QEMU", False)


@pytest.mark.parametrize("transport", ["libssh2", "libssh", "tls", "tcp"])
def test_where_nobody_listens_is_unreachable(transport: str, daemon: WithCertificates, tmp_path: Path) -> None:
    pki = pki_of_client(tmp_path / "pki", daemon.authority, daemon.client)
    error = why_not(f"qemu+{transport}://127.0.0.1:1/system" + (f"?pkipath={pki}" if transport == "tls" else ""))
    assert isinstance(error, Unreachable)
    assert "Connection refused" in str(error)


@pytest.mark.parametrize(
    "uri",
    [
        "xen:///system", "bhyve:///system", "vz:///system", "vpx://127.0.0.1:1/dc/esx?no_verify=1",
        "esx://127.0.0.1:1/?no_verify=1", "gsx://127.0.0.1:1/?no_verify=1", "vmwareplayer:///session",
        "vmwarews:///session", "vmwarefusion:///session", "hyperv://127.0.0.1:1/", "openvz:///system", "ch:///system",
    ],
)  # fmt: skip
def test_a_hypervisor_that_is_not_here_is_unreachable_in_the_words_of_libvirt(uri: str, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("swordfish\n")
    made = driver_of(Hypervisor(name="x", uri=uri, user="root", password_file=str(password)))
    with pytest.raises(Unreachable, match=r"cannot connect to \S+: .{10,}") as error:
        made.connect()
    made.close()
    assert "swordfish" not in str(error.value)


# --- in our own process


# A process of its own: the driver's threads stay for as long as the process that it is in.
_EMBEDDED = """
import sys
from agent.__main__ import driver
from agent.config import Hypervisor
from agent.model import Domain
from agent.model.domain import Destroy, Start, Undefine
from agent.model.host import DefineDomain
from tests.servers import eventually

made = driver(Hypervisor(name="x", uri=sys.argv[1]))
made.connect()
uuid = made.perform(DefineDomain(xml=sys.argv[2]), ("x",))["uuid"]

def state():
    rows = [row for piece in made.plan([(Domain, (uuid,))]).pieces for row in piece.read().rows]
    return next(row.state.name for row in rows if isinstance(row, Domain))

print(state())
made.perform(Start(), (uuid,))
print(state())
made.perform(Destroy(), (uuid,))
print(eventually(lambda: state() == "SHUT_OFF" and state(), within=20, what="the end of the guest"))
made.perform(Undefine(), (uuid,))
made.close()
"""


@pytest.fixture
def embedded() -> Iterator[Path]:
    """A folder for QEMU's driver; whatever guest is left is stopped."""
    if missing := missing_programs():
        unavailable(f"not installed: {', '.join(missing)}")
    root = Path(tempfile.mkdtemp(prefix="vm-"))
    root.chmod(0o755)
    (root / "etc").mkdir()
    (root / "etc/qemu.conf").write_text(
        'stdio_handler = "file"\nsecurity_driver = "none"\nnamespaces = []\ncgroup_controllers = []\n'
    )
    yield root
    for left in root.glob("run/qemu/*.pid"):
        if left.name != "driver.pid":
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(left.read_text()), signal.SIGKILL)
    shutil.rmtree(root, ignore_errors=True)


def test_qemu_in_our_own_process_runs_guests_without_a_libvirtd(embedded: Path) -> None:
    arguments = [f"qemu:///embed?root={embedded}", Guest(name="embedded").xml([])]
    command = [
        sys.executable,
        "-S",
        "-c",
        REAPER,
        str(embedded / "number"),
        sys.executable,
        "-c",
        _EMBEDDED,
        *arguments,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, complaints = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert output.split() == ["SHUT_OFF", "RUNNING", "SHUT_OFF"], complaints
