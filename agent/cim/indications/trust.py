"""Which listeners are believed to be who they say they are, and where their names lead."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence

from agent.errors import ConfigError

__all__ = ["Lookup", "addresses", "trusting"]

#: The addresses of a host's name, from a worker thread; OSError.
Lookup = Callable[[str], Sequence[str]]


def addresses(name: str) -> list[str]:
    """The addresses that the system knows of a host."""
    return [str(each[4][0]) for each in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]


def trusting(authorities: str | None) -> ssl.SSLContext:
    """How listeners are checked: with the authorities in a PEM file, or those that the system trusts. ConfigError."""
    try:
        return ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"cim.indication_ca: {authorities}: {why}") from error
