"""Private hypervisors for tests: a libvirtd with its virtlogd and real QEMU guests, all inside one temporary folder.

Two kinds, both reached by any process through a URI that names the private socket:

* ``Session``: ``qemu:///session`` of an unprivileged account. QEMU refuses an account without a passwd entry, so a
  test run as root borrows one that owns no process; otherwise it is the caller's own account.
* ``System``: ``qemu:///system``, as root, in a mount and a network namespace of its own, so that neither the machine's
  libvirt folders nor its interfaces are touched.

Guests are of type ``qemu`` and need no KVM. Everything is stopped by the process ids it was started with; guests are
known by the pid files that libvirt writes for them.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from tests.programs import SEARCH

PROGRAMS = ("libvirtd", "virtlogd", "qemu-system-x86_64", "qemu-img")
ACCOUNTS = ("libvirt-qemu", "nobody", "games", "uucp", "list")

T = TypeVar("T")


# Parent of libvirtd, and so, as a subreaper, of the guests that libvirtd lets go. libvirtd counts a guest as alive until
# somebody has reaped it, and the first process of a container may take seconds for that. Ends with the last of them.
REAPER = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
with open(sys.argv[1] + ".new", "w") as told:
    told.write(str(pid))
os.rename(sys.argv[1] + ".new", sys.argv[1])
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


class Unavailable(Exception):
    """This machine cannot run the server; the message says what is missing."""


class Fallen(Exception):
    """libvirtd ended of itself; the message is what it wrote last."""


def eventually(probe: Callable[[], T], *, within: float = 10.0, what: str = "the condition") -> T:
    """Return the first truthy value of `probe`, asked again until `within` seconds have passed; then TimeoutError."""
    deadline = time.monotonic() + within
    while True:
        if value := probe():
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not seen within {within:g} s, last was {value!r}")
        time.sleep(0.01)


def missing_programs(*extra: str) -> list[str]:
    """The programs a private hypervisor needs and this machine lacks."""
    return [name for name in (*PROGRAMS, *extra) if shutil.which(name, path=SEARCH) is None]


def versions() -> dict[str, str]:
    """The version each server program reports of itself, for the head of a test run."""
    found: dict[str, str] = {}
    for name in PROGRAMS[:3]:
        if path := shutil.which(name, path=SEARCH):
            done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
            found[name] = (done.stdout or done.stderr).splitlines()[0].strip()
    return found


@dataclass(frozen=True, kw_only=True)
class Guest:
    """What a test guest is made of; memory in MiB, disks in MiB each."""

    name: str
    uuid: str | None = None
    title: str | None = None
    description: str | None = None
    memory: int = 48
    current_memory: int | None = None
    vcpus: int = 1
    maximum_vcpus: int = 4
    disks: Sequence[int] = ()
    disk_format: str = "qcow2"
    nics: Sequence[str] = ()
    balloon: bool = True
    acpi: bool = True
    extra_devices: str = ""
    extra: str = ""

    def xml(self, images: Sequence[Path]) -> str:
        """The libvirt definition, with one virtio disk for each image and one NIC for each MAC address."""
        optional = "".join(
            f"<{tag}>{text}</{tag}>"
            for tag, text in (("uuid", self.uuid), ("title", self.title), ("description", self.description))
            if text is not None
        )
        current = self.memory if self.current_memory is None else self.current_memory
        disks = "".join(
            f"<disk type='file' device='disk'><driver name='qemu' type='{self.disk_format}'/><source file='{image}'/>"
            f"<target dev='vd{chr(ord('a') + number)}' bus='virtio'/></disk>"
            for number, image in enumerate(images)
        )
        nics = "".join(
            f"<interface type='user'><mac address='{mac}'/><model type='virtio'/></interface>" for mac in self.nics
        )
        balloon = "<memballoon model='virtio'/>" if self.balloon else "<memballoon model='none'/>"
        return (
            f"<domain type='qemu'><name>{self.name}</name>{optional}"
            f"<memory unit='MiB'>{self.memory}</memory><currentMemory unit='MiB'>{current}</currentMemory>"
            f"<vcpu current='{self.vcpus}'>{self.maximum_vcpus}</vcpu>"
            f"<os><type arch='x86_64' machine='pc'>hvm</type></os>"
            f"<features>{'<acpi/>' if self.acpi else ''}</features>{self.extra}"
            f"<devices>{disks}{nics}{balloon}{self.extra_devices}</devices></domain>"
        )


class PrivateLibvirt:
    """A libvirtd of our own. Use as a context manager: leaving it stops all that it started and removes the folder."""

    scheme: str

    def __init__(self) -> None:
        # Short on purpose: a unix socket path holds 107 bytes and QEMU's monitor sits deep below this folder.
        self.root = Path(tempfile.mkdtemp(prefix="vm-"))
        self.root.chmod(0o755)
        self.images = self.root / "disks"
        self.images.mkdir()
        self._logger: subprocess.Popen[bytes] | None = None
        self._daemon: int | None = None
        self._reapers: list[subprocess.Popen[bytes]] = []

    # What the two kinds say of themselves

    @property
    def socket(self) -> Path:
        """The unix socket of the main interface."""
        raise NotImplementedError

    @property
    def guest_pid_folder(self) -> Path:
        """Where libvirt writes NAME.pid of each running guest."""
        raise NotImplementedError

    @property
    def log_folder(self) -> Path:
        """Where the guests' logs are."""
        raise NotImplementedError

    def _command(self, program: str) -> list[str]:
        raise NotImplementedError

    def _environment(self) -> dict[str, str]:
        raise NotImplementedError

    def _own(self, path: Path) -> None:
        """Give a file to the account that guests run as."""
        raise NotImplementedError

    # What every test uses

    @property
    def uri(self) -> str:
        """The QEMU driver of this server."""
        return f"qemu+unix:///{self.scheme}?socket={self.socket}"

    def test_uri(self, path: str = "/default") -> str:
        """libvirt's test driver inside this server, so that its answers travel by RPC."""
        return f"test+unix://{path}?socket={self.socket}"

    @property
    def pid(self) -> int:
        """The process id of libvirtd."""
        assert self._daemon is not None, "libvirtd is not running"
        return self._daemon

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start what does not run (any more) and wait until libvirtd accepts a connection.

        The first call that asks about QEMU then takes some four seconds, in which libvirtd probes it.
        """
        if self._logger is None:
            self._logger = self._spawn("virtlogd", self._command("virtlogd"))
        old = self._daemon
        try:
            self._start_libvirtd()
        except Fallen:
            if old is None:
                raise
            self._start_libvirtd()  # it was the old one, which was just about to end

    def _start_libvirtd(self) -> None:
        if self._daemon is None or not _exists(self._daemon):
            self._daemon = self._spawn_libvirtd()
        eventually(self._listens, within=60, what=f"libvirtd in {self.root}")

    def _spawn_libvirtd(self) -> int:
        told = self.root / "libvirtd.number"
        told.unlink(missing_ok=True)
        reaper = [sys.executable, "-S", "-c", REAPER, str(told)]
        self._reapers.append(self._spawn("libvirtd", [*reaper, *self._command("libvirtd")]))
        return int(eventually(lambda: told.exists() and told.read_text(), what="the process id of libvirtd"))

    def _spawn(self, program: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.root / f"{program}.out").open("ab") as output:
            return subprocess.Popen(
                command, env=self._environment(), cwd="/", stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    def _listens(self) -> bool:
        assert self._daemon is not None
        if not _exists(self._daemon):
            raise Fallen(f"libvirtd ended:\n{self.output()}")
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
        return True

    def output(self) -> str:
        """The last lines that the daemons wrote, to be shown with a failure."""
        parts = []
        for program in ("libvirtd", "virtlogd"):
            path = self.root / f"{program}.out"
            if path.exists():
                lines = path.read_text(errors="replace").splitlines()[-40:]
                parts.append(f"--- {program} ---\n" + "\n".join(lines))
        return "\n".join(parts)

    def kill(self) -> None:
        """kill -9 libvirtd and wait until it is gone; guests and virtlogd live on."""
        if self._daemon is not None:
            pid, self._daemon = self._daemon, None
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            eventually(lambda: not _exists(pid), within=20, what="the end of libvirtd")

    def restart(self) -> None:
        """kill -9 libvirtd and start it again."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP: libvirtd keeps its sockets and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """libvirtd hangs for the length of the block."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def guest_pids(self) -> list[int]:
        """The process ids of the QEMU guests of this server, running or left over."""
        found = []
        for path in sorted(self.guest_pid_folder.glob("*.pid")):
            with contextlib.suppress(ValueError, OSError):
                pid = int(path.read_text())
                if Path(f"/proc/{pid}/comm").read_text().startswith("qemu-system"):
                    found.append(pid)
        return found

    def stop(self) -> None:
        """Stop guests, libvirtd and virtlogd, wait until each is gone, remove the folder."""
        self.kill()  # first, so that it neither restarts nor forgets a guest
        guests = self.guest_pids()
        groups = {group for pid in guests for group in _control_groups(pid)}
        for pid in guests:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not self.guest_pids(), within=20, what="the end of the guests")
        _remove_control_groups(groups)
        for reaper in self._reapers:
            reaper.wait(20)
        self._reapers.clear()
        if self._logger is not None:
            self._logger.terminate()
            try:
                self._logger.wait(10)
            except subprocess.TimeoutExpired:
                self._logger.kill()
                self._logger.wait(10)
            self._logger = None
        shutil.rmtree(self.root, ignore_errors=True)

    def image(self, name: str, *, size: int, kind: str = "qcow2") -> Path:
        """Make a disk image of `size` MiB that guests may open."""
        path = self.images / f"{name}.{kind}"
        subprocess.run(
            ["qemu-img", "create", "-q", "-f", kind, str(path), f"{size}M"],
            check=True, timeout=30, env=os.environ | {"PATH": SEARCH},
        )  # fmt: skip
        self._own(path)
        return path

    def guest_xml(self, guest: Guest) -> str:
        """The definition of `guest`, its images made."""
        images = [
            self.image(f"{guest.name}-{number}", size=size, kind=guest.disk_format)
            for number, size in enumerate(guest.disks)
        ]
        return guest.xml(images)


def _exists(pid: int) -> bool:
    """Whether there is such a process, be it a zombie."""
    return Path(f"/proc/{pid}").exists()


_CONTROL_GROUPS = Path("/sys/fs/cgroup")


def _control_groups(pid: int) -> set[str]:
    """The names that libvirt gave to the control groups of a guest: the part of their path that says qemu or lxc."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return set()
    return {part for line in lines for part in line.split("/") if part.startswith(("qemu-", "lxc-"))}


def _remove_control_groups(names: set[str]) -> None:
    """Remove what a killed guest leaves behind; the kernel refuses where a process still lives in it."""
    for name in names:
        for group in (*_CONTROL_GROUPS.glob(f"machine*/{name}"), *_CONTROL_GROUPS.glob(f"*/machine*/{name}")):
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)


class Session(PrivateLibvirt):
    """``qemu:///session`` of an unprivileged account with home and XDG folders of its own."""

    scheme = "session"

    def __init__(self, account: pwd.struct_passwd | None = None) -> None:
        if missing := missing_programs(*(["setpriv"] if os.geteuid() == 0 else [])):
            raise Unavailable(f"not installed: {', '.join(missing)}")
        self.account = pwd.getpwuid(os.geteuid()) if os.geteuid() else account or _idle_account()
        super().__init__()
        for name in ("home", "run", "config", "cache"):
            (self.root / name).mkdir(mode=0o700)
        for path in (self.root, *self.root.iterdir()):
            self._own(path)

    @property
    def socket(self) -> Path:
        return self.root / "run/libvirt/libvirt-sock"

    @property
    def guest_pid_folder(self) -> Path:
        return self.root / "run/libvirt/qemu/run"

    @property
    def log_folder(self) -> Path:
        return self.root / "cache/libvirt/qemu/log"

    def _command(self, program: str) -> list[str]:
        command = [str(shutil.which(program, path=SEARCH)), "--timeout", "0"]
        if os.geteuid() != 0:
            return command
        drop = ["--reuid", str(self.account.pw_uid), "--regid", str(self.account.pw_gid), "--clear-groups"]
        return [str(shutil.which("setpriv", path=SEARCH)), *drop, *command]

    def _environment(self) -> dict[str, str]:
        folders = {"HOME": "home", "XDG_RUNTIME_DIR": "run", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache"}
        return {"PATH": SEARCH, "LC_ALL": "C"} | {name: str(self.root / part) for name, part in folders.items()}

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)


def _idle_account() -> pwd.struct_passwd:
    """An unprivileged account that owns no process now."""
    busy = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                busy.add(entry.stat().st_uid)
    known = []
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            known.append(pwd.getpwnam(name))
    for account in known:
        if account.pw_uid not in busy:
            return account
    if known:  # another test run at the same time: they share the account, not the folders
        return known[0]
    raise Unavailable(f"none of these accounts exists: {', '.join(ACCOUNTS)}")


# Runs inside the namespaces. /dev/kvm is hidden: where only root may open it, libvirt would otherwise probe QEMU anew
# (four seconds) at each call, because what root's probe found does not hold for the guests' account.
_SYSTEM = """
set -e
root=$1; shift
for pair in run:/run/libvirt lib:/var/lib/libvirt log:/var/log/libvirt cache:/var/cache/libvirt etc:/etc/libvirt; do
    mount --bind "$root/${pair%%:*}" "${pair#*:}"
done
if [ -e /dev/kvm ]; then mount --bind "$root/no-kvm" /dev/kvm; fi
exec "$@"
"""
_SYSTEM_FOLDERS = ("/run/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt", "/etc/libvirt")


class System(PrivateLibvirt):
    """``qemu:///system`` in namespaces of its own. Root only."""

    scheme = "system"
    prepare = _SYSTEM

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise Unavailable("a private qemu:///system needs root")
        if missing := missing_programs("unshare", "nsenter", "mount"):
            raise Unavailable(f"not installed: {', '.join(missing)}")
        done = subprocess.run(
            ["unshare", "--mount", "--net", "true"], capture_output=True, text=True, timeout=10, check=False
        )
        if done.returncode != 0:
            raise Unavailable(f"no mount or network namespaces here: {done.stderr.strip()}")
        super().__init__()
        for name in ("run", "lib", "log", "cache", "etc"):
            (self.root / name).mkdir()
        (self.root / "no-kvm").touch(mode=0)
        (self.root / "etc/libvirtd.conf").write_text('auth_unix_rw = "none"\n')
        (self.root / "etc/qemu.conf").write_text('namespaces = []\nsecurity_driver = "none"\n')
        for folder in _SYSTEM_FOLDERS:  # what a package would have made; only the mount points
            Path(folder).mkdir(parents=True, exist_ok=True)

    @property
    def socket(self) -> Path:
        return self.root / "run/libvirt-sock"

    @property
    def guest_pid_folder(self) -> Path:
        return self.root / "run/qemu"

    @property
    def log_folder(self) -> Path:
        return self.root / "log/qemu"

    def _command(self, program: str) -> list[str]:
        pid_file = self.root / "run" / f"{program}.pid"
        command = [str(shutil.which(program, path=SEARCH)), "--timeout", "0", "--pid-file", str(pid_file)]
        bind = ["sh", "-c", self.prepare, "sh", str(self.root), *command]
        if program == "libvirtd" and self._logger is not None:
            # The same namespaces again, so that a libvirtd started anew finds the guests and the taps of the old one.
            eventually(lambda: (self.root / "run/virtlogd-sock").exists(), within=20, what="virtlogd")
            return [
                str(shutil.which("nsenter", path=SEARCH)),
                "--target",
                str(self._logger.pid),
                "--mount",
                "--net",
                *command,
            ]
        return [str(shutil.which("unshare", path=SEARCH)), "--mount", "--net", "--propagation", "private", *bind]

    def _environment(self) -> dict[str, str]:
        return {"PATH": SEARCH, "LC_ALL": "C"}

    def _own(self, path: Path) -> None:
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam("libvirt-qemu")
            os.chown(path, account.pw_uid, account.pw_gid)


# libvirt's test driver

_NODE_DOMAIN = (
    "<domain type='test' xmlns:t='http://libvirt.org/schemas/domain/test/1.0'><name>guest{number:05d}</name>"
    "<uuid>5d0f0000-0000-4000-8000-{number:012x}</uuid><title>Guest {number}</title>"
    "<memory unit='KiB'>1048576</memory><currentMemory unit='KiB'>524288</currentMemory><vcpu>2</vcpu>"
    "<os><type arch='x86_64'>hvm</type></os><devices>"
    "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/guests/{number}-a.img'/>"
    "<target dev='vda' bus='virtio'/></disk>"
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/guests/{number}-b.qcow2'/>"
    "<target dev='vdb' bus='virtio'/></disk>"
    "<interface type='network'><mac address='52:54:00:{high:02x}:{middle:02x}:{low:02x}'/><source network='default'/>"
    "<target dev='tap{number}'/><model type='virtio'/></interface></devices><t:runstate>{state}</t:runstate></domain>"
)
RUNNING, PAUSED, SHUT_OFF = 1, 3, 5


def node_uuid(number: int) -> str:
    """The UUID of domain `number` of a node file."""
    return f"5d0f0000-0000-4000-8000-{number:012x}"


def write_node(path: Path, *, domains: int, states: Sequence[int] = (RUNNING, PAUSED, SHUT_OFF)) -> str:
    """Write a node file of the test driver with that many domains and return its URI.

    Domain i is called guest00000 onwards, has two disks, one NIC, two vCPUs, 1 GiB (512 MiB of it in use), and the
    i-th of `states`, over and over.
    """
    body = []
    for number in range(domains):
        state = states[number % len(states)]
        body.append(
            _NODE_DOMAIN.format(
                number=number, low=number & 255, middle=number >> 8 & 255, high=number >> 16 & 255,
                state=state,
            )
        )  # fmt: skip
    path.write_text(
        "<node><cpu><mhz>6000</mhz><model>x86_64</model><active>8</active><nodes>1</nodes><sockets>2</sockets>"
        "<cores>2</cores><threads>2</threads></cpu><memory>16777216</memory>" + "".join(body) + "</node>"
    )
    return f"test://{path.resolve()}"
