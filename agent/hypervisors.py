"""The hypervisors that a URI can name, as data: libvirt's drivers and the ways to a daemon elsewhere, and our own in memory.

Whether the libvirt here has a driver is for libvirt to say, when it is asked to connect: a driver that is not built in, or
whose program is not installed, is a hypervisor that cannot be reached. What is checked is what no libvirt would take, and
what must not be: a password in a URI, which is shown to everybody who asks what we are connected to.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of hypervisor: what it is, and a URI of one. `far` when it is reached over the network by its own protocol, and
    so needs a host; libvirt's own transports lead to the daemon of any of the others."""

    what: str
    example: str
    far: bool = False
    own: bool = False
    """Not one of libvirt's."""


@dataclass(frozen=True, kw_only=True)
class Transport:
    """A way to a libvirt daemon, written behind the kind: what it is, and the parameter that it cannot do without."""

    what: str
    needs: str | None = None


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "qemu": Kind(
            what="QEMU and KVM", example="qemu:///system"
        ),  # also /session, and /embed?root=PATH in our process
        "xen": Kind(what="Xen", example="xen:///system"),
        "lxc": Kind(what="Linux containers", example="lxc:///system"),
        "bhyve": Kind(what="FreeBSD's bhyve", example="bhyve:///system"),
        "vz": Kind(what="Virtuozzo", example="vz:///system"),
        "vpx": Kind(what="VMware vCenter", example="vpx://HOST/DATACENTER/SERVER", far=True),
        "esx": Kind(what="VMware ESX", example="esx://HOST/", far=True),
        "gsx": Kind(what="VMware GSX", example="gsx://HOST/", far=True),
        "vmwareplayer": Kind(what="VMware Player", example="vmwareplayer:///session"),
        "vmwarews": Kind(what="VMware Workstation", example="vmwarews:///session"),
        "vmwarefusion": Kind(what="VMware Fusion", example="vmwarefusion:///session"),
        "hyperv": Kind(what="Microsoft Hyper-V", example="hyperv://HOST/", far=True),
        "vbox": Kind(what="VirtualBox", example="vbox:///session"),
        "openvz": Kind(what="OpenVZ", example="openvz:///system"),
        "ch": Kind(what="Cloud Hypervisor", example="ch:///system"),
        "test": Kind(what="libvirt's test driver, which has no guests but in its memory", example="test:///default"),
        "fake": Kind(what="our own, in memory", example="fake:///?domains=20", own=True),
    }
)
"""By the word that a URI begins with."""

TRANSPORTS: Mapping[str, Transport] = MappingProxyType(
    {
        "unix": Transport(what="a socket of this host"),
        "tcp": Transport(what="TCP; encrypted only where the daemon asks for SASL that does it"),
        "tls": Transport(what="TLS, with certificates on both sides; it is also what a host without a transport means"),
        "ssh": Transport(what="the ssh program"),
        "libssh2": Transport(what="SSH by the library libssh2"),
        "libssh": Transport(what="SSH by the library libssh"),
        "ext": Transport(what="a program of your own", needs="command"),
    }
)
"""By the word that stands behind the plus sign."""

_FORM = re.compile(r"(?P<kind>[A-Za-z][A-Za-z0-9.-]*)(?:\+(?P<transport>[A-Za-z0-9.+-]*))?:(?P<rest>.*)", re.DOTALL)
_PASSWORD = "must not hold a password, for everybody may see a URI; put it into a file, and name that as password_file"
_SECRETS = ("password", "passwd", "passphrase", "pass", "pwd")


def fault_of(uri: str) -> str | None:
    """What is wrong with the URI of a hypervisor, for people; None when it is one. Never tells a password that is in it."""
    if (unfit := _unfit(uri)) is not None:
        return unfit
    split = _FORM.fullmatch(uri)
    if split is None:
        return "is no URI such as qemu:///system"
    kind, transport = split["kind"], split["transport"]
    if kind not in KINDS:
        return _unknown(kind, "kind of hypervisor", KINDS)
    if transport is not None and KINDS[kind].own:
        return f"{kind} has no transports; leave +{transport} out"
    if transport is not None and transport not in TRANSPORTS:
        return _unknown(transport, "transport", TRANSPORTS)
    return _misplaced(uri, kind, transport)


def is_own(uri: str) -> bool:
    """Whether it is our hypervisor in memory, and not one of libvirt's."""
    kind = KINDS.get(uri.partition(":")[0])
    return kind is not None and kind.own


def user_of(uri: str) -> str | None:
    """The user that a right URI names, as in esx://root@HOST/."""
    return unquote(urlsplit(uri).username or "") or None


def _unfit(uri: str) -> str | None:
    """What no URI may hold."""
    if "\0" in uri:
        return "must not hold the character NUL"
    if any("\ud800" <= c <= "\udfff" for c in uri):
        return "is not UTF-8 text"
    if any(c.isspace() or not c.isprintable() for c in uri):
        return "must not hold spaces or control characters; write a space as %20"
    return None


def _unknown(word: str, what: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=1)
    return f"{word!r} is no {what}; " + (f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}")


def _misplaced(uri: str, kind: str, transport: str | None) -> str | None:
    """What is wrong behind the kind and the transport."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return "has brackets that do not go around an IPv6 address"
    named, at, _ = parts.netloc.rpartition("@")
    parameters = {part.partition("=")[0]: part.partition("=")[2] for part in re.split("[&;]", parts.query) if part}
    if (at and ":" in unquote(named)) or any(unquote(name).lower() in _SECRETS for name in parameters):
        return _PASSWORD
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        return _PASSWORD if "@" in parts.path else "its port is not a number from 1 to 65535"
    if KINDS[kind].far and transport is None and not parts.hostname:
        return f"{KINDS[kind].what} is reached over the network and needs a host: {KINDS[kind].example}"
    needed = TRANSPORTS[transport].needs if transport is not None else None
    if needed is not None and not parameters.get(needed):
        return f"the transport {transport} needs the parameter {needed}: ?{needed}=/PATH/OF/A/PROGRAM"
    return None
