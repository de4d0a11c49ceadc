"""VIR_ERR_* to `agent.errors`, in one table.

The number alone tells the kind of failure, except where a part of libvirt uses a general number for something
particular: then the pair of number and origin (virErrorDomain) tells it. A number that we do not know, from a newer
libvirt, is `Failed`, with libvirt's own text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import libvirt

from agent.errors import (
    Busy,
    Denied,
    Failed,
    Invalid,
    NotFound,
    NotSupported,
    Unreachable,
    VirtmapError,
    WrongState,
)
from agent.schema.types import Secret

Kind = type[VirtmapError]

# Names without VIR_ERR_ (or, for the warnings, with VIR_), each with its number: newer ones have no constant in an
# older libvirt, and the numbers are part of libvirt's ABI.
_KINDS: dict[Kind, dict[str, int]] = {
    NotFound: {
        "UNKNOWN_HOST": 4, "NO_SOURCE": 19, "NO_TARGET": 20, "NO_DEVICE": 23, "NO_DOMAIN": 42, "NO_NETWORK": 43,
        "NO_STORAGE_POOL": 49, "NO_STORAGE_VOL": 50, "NO_NODE_DEVICE": 53, "NO_INTERFACE": 57, "NO_NWFILTER": 62,
        "NO_SECRET": 66, "NO_DOMAIN_SNAPSHOT": 72, "NO_DOMAIN_METADATA": 80, "NO_SERVER": 95, "NO_CLIENT": 96,
        "DEVICE_MISSING": 99, "NO_NWFILTER_BINDING": 101, "NO_DOMAIN_CHECKPOINT": 103, "NO_DOMAIN_BACKUP": 104,
        "NO_NETWORK_PORT": 107, "NO_HOSTNAME": 108, "NO_NETWORK_METADATA": 111,
    },
    NotSupported: {
        "NO_SUPPORT": 3, "CALL_FAILED": 26, "NO_SECURITY_MODEL": 54, "CONFIG_UNSUPPORTED": 67,
        "ARGUMENT_UNSUPPORTED": 74, "OPERATION_UNSUPPORTED": 84,
    },
    Denied: {
        "OPERATION_DENIED": 29, "AUTH_FAILED": 45, "AUTH_CANCELLED": 79, "ACCESS_DENIED": 88, "AUTH_UNAVAILABLE": 94,
    },
    Invalid: {
        "INVALID_DOMAIN": 7, "INVALID_ARG": 8, "OS_TYPE": 16, "NO_KERNEL": 17, "NO_ROOT": 18, "NO_NAME": 21,
        "NO_OS": 22, "XML_ERROR": 27, "DOM_EXIST": 28, "PARSE_FAILED": 32, "CONF_SYNTAX": 33, "XML_DETAIL": 35,
        "INVALID_NETWORK": 36, "NETWORK_EXIST": 37, "INVALID_MAC": 44, "INVALID_STORAGE_POOL": 46,
        "INVALID_STORAGE_VOL": 47, "INVALID_NODE_DEVICE": 52, "INVALID_INTERFACE": 58,
        "MULTIPLE_INTERFACES": 59, "INVALID_NWFILTER": 61, "INVALID_SECRET": 65, "INVALID_DOMAIN_SNAPSHOT": 71,
        "INVALID_STREAM": 73, "STORAGE_POOL_BUILT": 76, "SNAPSHOT_REVERT_RISKY": 77, "MIGRATE_UNSAFE": 81,
        "OVERFLOW": 82, "STORAGE_VOL_EXIST": 90, "CPU_INCOMPATIBLE": 91, "XML_INVALID_SCHEMA": 92,
        "INVALID_NWFILTER_BINDING": 100, "INVALID_DOMAIN_CHECKPOINT": 102, "INVALID_NETWORK_PORT": 105,
        "NETWORK_PORT_EXIST": 106, "CHECKPOINT_INCONSISTENT": 109, "MULTIPLE_DOMAINS": 110,
        "INVALID_ENCR_KEY_SECRET": 114,
    },
    WrongState: {"OPERATION_INVALID": 55},
    Busy: {
        "OPERATION_TIMEOUT": 68, "BLOCK_COPY_ACTIVE": 83, "AGENT_UNRESPONSIVE": 86, "RESOURCE_BUSY": 87,
        "AGENT_UNSYNCED": 97, "AGENT_COMMAND_TIMEOUT": 112,
    },
    Unreachable: {
        "NO_CONNECT": 5, "INVALID_CONN": 6, "NO_XEN": 14, "NO_XENSTORE": 24, "RPC": 39, "GNUTLS_ERROR": 40, "SSH": 85,
        "LIBSSH": 98,
    },
    Failed: {
        "OK": 0, "INTERNAL_ERROR": 1, "NO_MEMORY": 2, "OPERATION_FAILED": 9, "GET_FAILED": 10, "POST_FAILED": 11,
        "HTTP_ERROR": 12, "SEXPR_SERIAL": 13, "XEN_CALL": 15, "DRIVER_FULL": 25, "OPEN_FAILED": 30, "READ_FAILED": 31,
        "WRITE_FAILED": 34, "SYSTEM_ERROR": 38, "VIR_WAR_NO_NETWORK": 41, "VIR_WAR_NO_STORAGE": 48,
        "VIR_WAR_NO_NODE": 51, "VIR_WAR_NO_INTERFACE": 56, "VIR_WAR_NO_NWFILTER": 60, "BUILD_FIREWALL": 63,
        "VIR_WAR_NO_SECRET": 64, "MIGRATE_PERSIST_FAILED": 69, "HOOK_SCRIPT_FAILED": 70, "STORAGE_PROBE_FAILED": 75,
        "OPERATION_ABORTED": 78, "DBUS_SERVICE": 89, "MIGRATE_FINISH_OK": 93, "AGENT_COMMAND_FAILED": 113,
    },
}  # fmt: skip


def _full(name: str) -> str:
    return name if name.startswith("VIR_") else f"VIR_ERR_{name}"


NUMBERS: Mapping[str, int] = MappingProxyType(
    {_full(name): number for names in _KINDS.values() for name, number in names.items()}
)
"""Every virErrorNumber up to libvirt 12.3, by libvirt's name."""

KINDS: Mapping[int, Kind] = MappingProxyType(
    {number: kind for kind, names in _KINDS.items() for number in names.values()}
)
"""The error each number stands for."""

_PARTICULAR: Mapping[tuple[int, int], Kind] = MappingProxyType(
    {
        # The transport says "cannot receive", "socket is closed", "keepalive timeout" with general numbers.
        (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_RPC): Unreachable,
        (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_RPC): Unreachable,
        (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_FROM_RPC): Unreachable,
        (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_REMOTE): Unreachable,
        # The test driver calls it an internal error that a domain is (not) running.
        (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_TEST): Invalid,
    }
)

_WORDS: Mapping[str, Kind] = MappingProxyType({"curl_easy_perform()": Unreachable, "for call to 'Login'": Denied})
"""ESX and its like are asked over HTTP. What went wrong there is an internal error, and only the text tells what."""


def kind_of(error: libvirt.libvirtError) -> Kind:
    """Which of `agent.errors` a libvirt error is."""
    number = error.get_error_code()
    if number is None:  # libvirt-python raises some without a virError, when the C call recorded none
        return Failed
    if number == libvirt.VIR_ERR_INTERNAL_ERROR:
        for text, kind in _WORDS.items():
            if text in (error.get_error_message() or ""):
                return kind
    return _PARTICULAR.get((number, error.get_error_domain()), KINDS.get(number, Failed))


def translated(error: libvirt.libvirtError, asked: str) -> VirtmapError:
    """Our error for libvirt's: `asked` (what was asked of which object), then libvirt's reason, on one line."""
    reason = " ".join(str(error.get_error_message() or error).split())
    return kind_of(error)(f"{asked}: {reason}" if asked else reason)


def without(secrets: Iterable[Secret], text: str) -> str:
    """A text of libvirt's without what it must not give back. A part of a word stays: who sees that it was taken out of
    `password` knows what it was."""
    for secret in filter(Secret.reveal, secrets):
        text = re.sub(rf"(?<!\w){re.escape(secret.reveal())}(?!\w)", str(secret), text)
    return text
