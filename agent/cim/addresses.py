"""Where a client is: the one notion of an address that locks, shares of what there is, and rules about sources go by.

An IPv4 address in IPv6 clothes is the IPv4 address. Of IPv6 the network of a site is what counts against limits, since a
stranger has all of it: with a bound for each address somebody with a /64 would have none.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

__all__ = ["address", "is_loopback", "site"]

#: Bits of an IPv6 address that tell whose it is.
SITE = 64


def address(peer: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in a text, of an IPv4 one in IPv6 clothes what is inside, without a zone; None if it is none."""
    try:
        found = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


@lru_cache(maxsize=1024)
def is_loopback(peer: str) -> bool:
    """Whether an address is of this host, also when it is an IPv4 address in IPv6 clothes."""
    found = address(peer)
    return found is not None and found.is_loopback


@lru_cache(maxsize=1024)
def site(peer: str) -> str:
    """What counts as one client: an IPv4 address, or the network of an IPv6 one; the text itself if it is no address."""
    found = address(peer)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, SITE), strict=False))
    return peer if found is None else str(found)
