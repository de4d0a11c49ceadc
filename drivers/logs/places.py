"""Where a hypervisor of this host writes its logs, and where its virtlogd is: by its URI, as libvirt has it built in.

Whether it is of this host at all is seen by the URI too: it names no host, and no way to get there but a socket.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

_NAMES = {"qemu": "qemu", "lxc": "lxc", "xen": "libxl", "bhyve": "bhyve"}
"""The directory of each kind of hypervisor whose domains have logs, by the word that its URI begins with."""

SWTPM = "/var/log/swtpm/libvirt/qemu"


@dataclass(frozen=True, kw_only=True)
class Places:
    """The directories of domains' logs; of those of their TPMs; and what tells of virtlogd: its socket and the file with QEMU's
    settings, none where the hypervisor never uses it. `drivers_own` are names in them that are no domain's; `devices` are
    directories beneath which devices may have their logs as well."""

    directories: tuple[str, ...]
    swtpm: tuple[str, ...] = ()
    virtlogd: str | None = None
    settings: str | None = None
    drivers_own: frozenset[str] = frozenset()
    devices: tuple[str, ...] = ()

    @property
    def own(self) -> tuple[str, ...]:
        """All directories in which every log is one of a domain."""
        return tuple(dict.fromkeys((*self.directories, *self.swtpm)))


def places(
    uri: str,
    directories: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    *,
    devices: Sequence[str] = (),
) -> Places | str:
    """The places of a hypervisor; or why its logs cannot be served. `directories` are those of the configuration, and `devices`
    its directories of devices' logs."""
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        return "its URI cannot be understood"
    kind, _, transport = parts.scheme.partition("+")
    if host or transport not in ("", "unix"):
        return "it is not a hypervisor of the agent's own host, by its URI"
    if kind not in _NAMES:
        return f"{kind} writes no logs of domains"
    parameters = parse_qs(parts.query)
    socket = parameters.get("socket", [""])[0]
    if socket and not directories and _plain(os.path.dirname(socket)) not in _sockets():
        return f"{socket} may lead to another host; its directories are to be told in logs.directories"
    root = parameters.get("root", [""])[0] if parts.path == "/embed" else ""
    session = parts.path == "/session"
    if root:
        found = _embedded(root)
    elif session:
        found = _session(environment)
    else:
        found = _system(kind)
    virtlogd = f"{os.path.dirname(socket)}/virtlogd-sock" if socket else found.virtlogd
    return Places(
        directories=tuple(map(_plain, directories)) or found.directories,
        swtpm=found.swtpm if not directories else (() if session or root else (SWTPM,)),
        virtlogd=virtlogd if kind == "qemu" else None, settings=found.settings, drivers_own=found.drivers_own,
        devices=tuple(map(_plain, devices)),
    )  # fmt: skip


def _sockets() -> tuple[str, ...]:
    """Where libvirt itself makes its sockets. One that is elsewhere may be that of another host, brought here."""
    return "/run/libvirt", "/var/run/libvirt", f"/run/user/{os.geteuid()}/libvirt"


def _system(kind: str) -> Places:
    name = _NAMES[kind]
    return Places(
        directories=(f"/var/log/libvirt/{name}",), swtpm=(SWTPM,) if kind == "qemu" else (),
        virtlogd="/run/libvirt/virtlogd-sock", settings="/etc/libvirt/qemu.conf",
        drivers_own=frozenset({"libxl-driver.log"}) if kind == "xen" else frozenset(),
    )  # fmt: skip


def _session(environment: Mapping[str, str]) -> Places:
    home = environment.get("HOME") or "/"
    cache = environment.get("XDG_CACHE_HOME") or f"{home}/.cache"
    settings = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
    running = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    return Places(
        directories=(f"{_plain(cache)}/libvirt/qemu/log",), virtlogd=f"{_plain(running)}/libvirt/virtlogd-sock",
        settings=f"{_plain(settings)}/libvirt/qemu.conf",
    )  # fmt: skip


def _embedded(root: str) -> Places:
    plain = _plain(root)
    return Places(
        directories=(f"{plain}/log/qemu",), swtpm=(f"{plain}/log/swtpm",), virtlogd="/run/libvirt/virtlogd-sock",
        settings=f"{plain}/etc/qemu.conf",
    )  # fmt: skip


def _plain(path: str) -> str:
    return plain_path(path) or path


def plain_path(path: str) -> str | None:
    """An absolute path with one slash between its parts; None if it is none, or goes up."""
    if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
        return None
    return re.sub(r"/(?:\.?/)+", "/", path).rstrip("/") or "/"
