"""A stand-in for the QEMU guest agent: real libvirt speaks the real protocol with it, while the guest has no operating system.

libvirt connects to an agent when QEMU tells that the guest has opened the port, and a guest without an operating system
never does. So a guest with such an agent has an emulator of its own, a script that becomes QEMU and leaves a child behind.
The child stands between libvirt and QEMU's monitor, passes everything on, and can add messages: that the port was opened or
closed, that the guest stopped. QEMU's end of the channel, a socket that listens, it hands to the test, where `GuestAgent`
answers what libvirt asks.
"""

from __future__ import annotations

import base64
import contextlib
import json
import select
import shutil
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.programs import SEARCH
from tests.servers import PrivateLibvirt, Unavailable, eventually

CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
"""What a guest with an agent has among its devices."""

FOR_ALL = "/usr/bin:/bin:/usr/local/bin"
"""Where programs are that the account of the guests can run."""

_EMULATOR = '''
import ctypes, json, os, select, signal, socket, sys, time

QEMU, FOLDER = @QEMU@, @FOLDER@
arguments = sys.argv[1:]


def options(text):
    return dict(each.partition("=")[::2] for each in text.split(","))


def port():
    """The chardev and the device of the agent's channel."""
    for at, each in enumerate(arguments):
        if each == "-device" and "org.qemu.guest_agent.0" in arguments[at + 1]:
            told = json.loads(arguments[at + 1])
            return told["chardev"], told["id"]
    return None, None


def take(chardev, instead):
    """The number of the listening socket of a chardev, which QEMU gets something else for."""
    for at, each in enumerate(arguments):
        if each == "-chardev" and options(arguments[at + 1]).get("id") == chardev:
            number = int(options(arguments[at + 1])["fd"])
            arguments[at + 1] = instead
            return number
    sys.exit(f"no chardev {chardev}")


chardev, device = port()
if chardev is None:
    os.execv(QEMU, [QEMU, *arguments])
name = options(arguments[arguments.index("-name") + 1])["guest"]
place = os.path.join(FOLDER, name)
channel = take(chardev, f"null,id={chardev}")
monitor = take("charmonitor", f"socket,id=charmonitor,path={place}.monitor,server=on,wait=off")
for each in (f"{place}.monitor", f"{place}.control"):
    if os.path.exists(each):
        os.unlink(each)
control = socket.socket(socket.AF_UNIX)
control.bind(f"{place}.control")
control.listen(4)
parent = os.getpid()
if os.fork():
    os.execv(QEMU, [QEMU, *arguments])

ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # with QEMU
if os.getppid() != parent:
    sys.exit()
null = os.open("/dev/null", os.O_RDWR)
for number in (0, 1, 2):
    os.dup2(null, number)
kept = sorted({channel, monitor, control.fileno()})
for low, high in zip([2, *kept], [*kept, 65536]):
    os.closerange(low + 1, high)
monitor = socket.socket(fileno=monitor)


def to_qemu():
    while True:
        made = socket.socket(socket.AF_UNIX)
        try:
            made.connect(f"{place}.monitor")
            return made
        except OSError:
            made.close()
            time.sleep(0.005)


libvirt = qemu = test = None
between = True  # two messages of QEMU
waiting, rest = [], ""
while True:
    ready, _, _ = select.select([each for each in (monitor, control, libvirt, qemu, test) if each], [], [])
    if monitor in ready:
        libvirt, qemu, between = monitor.accept()[0], to_qemu(), True
        continue
    if control in ready:
        test = control.accept()[0]
        socket.send_fds(test, [device.encode()], [channel])
    if test in ready:
        told = test.recv(4096).decode()
        if not told:
            test.close()
            test = None
        *lines, rest = (rest + told).split("\\n")
        waiting += lines
    for source, target in ((libvirt, qemu), (qemu, libvirt)):
        if source is None or source not in ready:
            continue
        try:
            data, numbers, _, _ = socket.recv_fds(source, 65536, 16)
            socket.send_fds(target, [data], numbers) if numbers else target.sendall(data)
        except OSError:
            data = b""
        for each in numbers if data else ():
            os.close(each)
        if not data:
            libvirt.close(), qemu.close()
            libvirt = qemu = None
            break
        if source is qemu:
            between = data.endswith(b"\\n")
    while waiting and between and libvirt is not None:
        event = waiting.pop(0)
        if event.startswith("{"):
            libvirt.sendall(event.encode() + b"\\r\\n")
            continue
        told = {"id": device, "open": event == "OPEN"} if event in ("OPEN", "CLOSE") else {"guest": True, "reason": "guest"}
        message = {"event": "VSERPORT_CHANGE" if "id" in told else event, "data": told}
        message["timestamp"] = {"seconds": int(time.time()), "microseconds": 0}
        libvirt.sendall(json.dumps(message).encode() + b"\\r\\n")
'''


def emulator(server: PrivateLibvirt) -> Path:
    """The emulator for guests with an agent on this server."""
    python, qemu = shutil.which("python3", path=FOR_ALL), shutil.which("qemu-system-x86_64", path=SEARCH)
    if python is None or qemu is None:
        raise Unavailable("there is no qemu-system-x86_64, or no python3 that all accounts can run")
    folder = server.root / "agents"
    script = folder / "qemu"
    if not script.exists():
        folder.mkdir()
        text = _EMULATOR.replace("@QEMU@", repr(qemu)).replace("@FOLDER@", repr(str(folder)))
        script.write_text(f"#!{python} -I\n{text}")
        script.chmod(0o755)
        server._own(folder)
    return script


def with_agent(definition: str, server: PrivateLibvirt) -> str:
    """The definition of a guest, with a channel for an agent and the emulator for it."""
    return definition.replace("<devices>", f"<devices><emulator>{emulator(server)}</emulator>{CHANNEL}", 1)


class Refused(Exception):
    """A command that the agent answers with an error; class and text of it."""


@dataclass(kw_only=True)
class GuestAgent:
    """The agent of a running guest. What it tells, and how it behaves, can be changed at any time."""

    server: PrivateLibvirt
    guest: str
    hostname: str = "inside.example"
    system: dict[str, str] = field(default_factory=lambda: {
        "id": "debian", "name": "Debian GNU/Linux", "pretty-name": "Debian GNU/Linux 12 (bookworm)", "version": "12 (bookworm)",
        "version-id": "12", "kernel-release": "6.1.0-9-amd64", "kernel-version": "#1 SMP Debian 6.1.27-1", "machine": "x86_64",
        "variant": "Server", "variant-id": "server",
    })  # fmt: skip
    timezone: tuple[str, int] = ("CEST", 7200)
    users: list[dict[str, Any]] = field(default_factory=list)
    filesystems: list[dict[str, Any]] = field(default_factory=list)
    disks: list[dict[str, Any]] = field(default_factory=list)
    interfaces: list[dict[str, Any]] = field(default_factory=list)
    vcpus: dict[int, bool] = field(default_factory=lambda: {0: True})
    keys: dict[str, list[str]] = field(default_factory=lambda: {"root": []})
    passwords: dict[str, str] = field(default_factory=dict)
    clock: int = 1_800_000_000_000_000_000
    frozen: list[str] = field(default_factory=list)
    heard: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    """Every command with its arguments."""
    silent: set[str] = field(default_factory=set)
    """Commands that it never answers."""
    lacks: set[str] = field(default_factory=set)
    """Commands that it does not know."""

    def __enter__(self) -> Self:
        path = self.server.root / "agents" / f"{self.guest}.control"
        eventually(path.exists, what="the emulator of the guest")
        self._control = socket.socket(socket.AF_UNIX)
        self._control.connect(str(path))
        _, (number, *_), _, _ = socket.recv_fds(self._control, 64, 1)
        self._listener = socket.socket(fileno=number)
        self._stop, self._stopped = socket.socketpair()
        self._conversations: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, name="guest-agent", daemon=True)
        self._accepting.start()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._stop.close()  # nothing is shut down: the socket that listens serves the next agent of this guest
        self._accepting.join(10)
        for each in self._conversations:
            with contextlib.suppress(OSError):  # it was ended by the other side already
                each.shutdown(socket.SHUT_RDWR)
        for each in (self._listener, self._stopped, self._control, *self._conversations):
            each.close()

    def open(self) -> None:
        """The guest opens the port: the agent starts."""
        self._tell("OPEN")

    def close(self) -> None:
        """The guest closes the port: the agent ends."""
        with contextlib.suppress(OSError):  # the guest has gone already
            self._tell("CLOSE")

    def say(self, message: str) -> None:
        """Have libvirt hear this from QEMU's monitor, as it is. It is one line, and begins with a brace."""
        self._tell(message)

    def _tell(self, event: str) -> None:
        """Have libvirt hear from QEMU what QEMU cannot know, since there is no operating system."""
        self._control.sendall(f"{event}\n".encode())

    def commands(self) -> list[str]:
        """The commands that were heard, without those that only find out whether it listens."""
        return [name for name, _ in self.heard if not name.startswith("guest-sync")]

    # The protocol

    def _accept(self) -> None:
        while self._listener in select.select([self._listener, self._stopped], [], [])[0]:
            conversation, _ = self._listener.accept()
            self._conversations.append(conversation)
            threading.Thread(target=self._converse, args=(conversation,), name="guest-agent", daemon=True).start()

    def _converse(self, conversation: socket.socket) -> None:
        rest = b""
        with conversation, contextlib.suppress(OSError):  # it was ended from either side
            while data := conversation.recv(65536):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if (answer := self._answer(line.lstrip(b"\xff").strip())) is not None:
                        conversation.sendall(answer)

    def _answer(self, line: bytes) -> bytes | None:
        if not line:
            return None
        asked = json.loads(line)
        name, arguments = asked["execute"], asked.get("arguments", {})
        self.heard.append((name, arguments))
        if name in self.silent:
            return None
        try:
            method = self._known().get(name)
            if method is None or name in self.lacks:
                raise Refused("CommandNotFound", f"The command {name} has not been found")
            told: Any = {"return": method(**{k.replace("-", "_"): v for k, v in arguments.items()})}
        except Refused as error:
            kind, text = error.args
            told = {"error": {"class": kind, "desc": text}}
        else:
            if told["return"] is None:
                return None
        mark = b"\xff" if name == "guest-sync-delimited" else b""
        return mark + json.dumps(told).encode() + b"\n"

    def _known(self) -> dict[str, Callable[..., Any]]:
        return {
            f"guest-{name[7:].replace('_', '-')}": getattr(self, name)
            for name in dir(type(self))
            if name.startswith("_guest_")
        }

    # The commands

    def _guest_sync(self, id: int) -> int:  # noqa: A002  # the protocol's name of it
        return id

    _guest_sync_delimited = _guest_sync

    def _guest_ping(self) -> dict[str, Any]:
        return {}

    def _guest_info(self) -> dict[str, Any]:
        commands = [{"name": name, "enabled": True, "success-response": True} for name in self._known()]
        return {"version": "7.2.0", "supported_commands": commands}

    def _guest_get_osinfo(self) -> dict[str, str]:
        return self.system

    def _guest_get_timezone(self) -> dict[str, Any]:
        return {"zone": self.timezone[0], "offset": self.timezone[1]}

    def _guest_get_host_name(self) -> dict[str, str]:
        return {"host-name": self.hostname}

    def _guest_get_users(self) -> list[dict[str, Any]]:
        return self.users

    def _guest_get_fsinfo(self) -> list[dict[str, Any]]:
        return self.filesystems

    def _guest_get_disks(self) -> list[dict[str, Any]]:
        return self.disks

    def _guest_network_get_interfaces(self) -> list[dict[str, Any]]:
        return self.interfaces

    def _guest_get_vcpus(self) -> list[dict[str, Any]]:
        return [{"logical-id": n, "online": on, "can-offline": n != 0} for n, on in self.vcpus.items()]

    def _guest_set_vcpus(self, vcpus: list[dict[str, Any]]) -> int:
        for each in vcpus:
            self.vcpus[each["logical-id"]] = each["online"]
        return len(vcpus)

    def _guest_fsfreeze_status(self) -> str:
        return "frozen" if self.frozen else "thawed"

    def _guest_fsfreeze_freeze(self) -> int:
        return self._guest_fsfreeze_freeze_list([each["mountpoint"] for each in self.filesystems])

    def _guest_fsfreeze_freeze_list(self, mountpoints: list[str]) -> int:
        if self.frozen:
            raise Refused("GenericError", "the guest is frozen already")
        self.frozen = [each["mountpoint"] for each in self.filesystems if each["mountpoint"] in mountpoints]
        return len(self.frozen)

    def _guest_fsfreeze_thaw(self) -> int:
        thawed, self.frozen = len(self.frozen), []
        return thawed

    def _guest_fstrim(self, minimum: int = 0) -> dict[str, Any]:
        return {"paths": [{"path": each["mountpoint"], "trimmed": 0, "minimum": minimum} for each in self.filesystems]}

    def _guest_set_user_password(self, username: str, password: str, crypted: bool) -> dict[str, Any]:
        self.passwords[username] = base64.b64decode(password).decode()
        return {}

    def _of_user(self, username: str) -> list[str]:
        if username not in self.keys:
            raise Refused("GenericError", f"failed to lookup user '{username}'")
        return self.keys[username]

    def _guest_ssh_get_authorized_keys(self, username: str) -> dict[str, Any]:
        return {"keys": self._of_user(username)}

    def _guest_ssh_add_authorized_keys(self, username: str, keys: list[str], reset: bool = False) -> dict[str, Any]:
        before = [] if reset else self._of_user(username)
        self._of_user(username)[:] = [*before, *(each for each in keys if each not in before)]
        return {}

    def _guest_ssh_remove_authorized_keys(self, username: str, keys: list[str]) -> dict[str, Any]:
        self._of_user(username)[:] = [each for each in self._of_user(username) if each not in keys]
        return {}

    def _guest_get_time(self) -> int:
        return self.clock

    def _guest_set_time(self, time: int | None = None) -> dict[str, Any]:
        if time is not None:
            self.clock = time
        return {}

    def _guest_shutdown(self, mode: str = "powerdown") -> None:
        """Not answered: the guest stops, or starts anew."""
        self._tell("RESET" if mode == "reboot" else "SHUTDOWN")

    def _guest_suspend_ram(self) -> None:
        """Not answered: the guest goes to sleep."""
        self._tell("SUSPEND")

    def _guest_suspend_disk(self) -> None:
        """Not answered: the guest goes to sleep on its disk."""
        self._tell("SUSPEND_DISK")

    _guest_suspend_hybrid = _guest_suspend_ram
