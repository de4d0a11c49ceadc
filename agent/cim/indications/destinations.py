"""Destinations of indications (CIM_ListenerDestinationCIMXML), and which of them are allowed.

Whoever may subscribe could make the agent send requests into networks that only it can reach. So it sends nowhere but
where the configuration allows, and takes nothing from a URL that might be read in two ways:

* An address is written in the usual way, decimal IPv4 with four parts or IPv6 in brackets; other numbers, such as
  2130706433, 0x7f000001 and 127.1, are refused, and so are user names in the URL, fragments, and whatever is not ASCII.
* An IPv6 address with an IPv4 address in it (mapped, 6to4, Teredo, NAT64) is refused: rules name what is meant.
* No rule allows the unspecified address, which is this host, or multicast. Link-local addresses, where clouds keep
  their credentials, are allowed by rules for link-local networks only.
* A name is looked up for each delivery, the address that it has by then is checked, and that address is connected to.
  Where the configuration allows the name itself, its addresses are not asked for rules.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import pywbem

from agent.cim.indications import created
from agent.cim.indications.created import Values
from agent.cim.status import CimError, Status
from agent.config import Receivers

__all__ = ["CHANGEABLE", "CLASSES", "Address", "Destination", "Url", "admits", "made", "parsed", "refusal"]

#: Their classes; the second is what the first was called before CIM 2.22.
CLASSES = ("CIM_ListenerDestinationCIMXML", "CIM_IndicationHandlerCIMXML")

CHANGEABLE = frozenset(
    ("elementname", "caption", "description", "destination", "persistencetype", "otherpersistencetype", "owner")
)
"""Properties that can be changed, in lower case."""

PERMANENT, TRANSIENT = 2, 3
_CIM_XML = 2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<host>[a-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/[!$-;=?-Z_a-z~&']*)?)",
    re.IGNORECASE | re.ASCII,
)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
_BROADCAST = ipaddress.ip_address("255.255.255.255")
_LOOPBACK = ipaddress.ip_address("::1")


@dataclass(frozen=True, kw_only=True)
class Url:
    """Where a request goes. `host` is a name in lower case, or `address` in its usual form; `path` begins with a slash."""

    scheme: str
    host: str
    port: int
    path: str
    address: Address | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parsed(text: str) -> Url:
    """The URL that a text is; ValueError tells why it is none that can be used."""
    split = _URL.fullmatch(text)
    if split is None:
        raise ValueError("is not like http://HOST:PORT or https://HOST:PORT, with a path and a query at most")
    scheme = split["scheme"].lower()
    port = int(split["port"] or _PORTS[scheme])
    if not 1 <= port <= 65_535:
        raise ValueError(f"{port} is no port")
    host, address = _host(split["six"] or split["host"], six=split["six"] is not None)
    return Url(scheme=scheme, host=host, port=port, path=split["path"] or "/", address=address)


def _host(text: str, *, six: bool) -> tuple[str, Address | None]:
    if six:
        address: Address = ipaddress.IPv6Address(text)
        return str(address), address
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        address = ipaddress.IPv4Address(text)
        return str(address), address
    if not all(labels) or len(text) > 253 or any(len(each) > 63 or each.startswith("-") for each in labels):
        raise ValueError(f"{text[:80]!r} is no name of a host")
    return text.lower(), None


def refusal(url: Url, rules: Iterable[Receivers]) -> str | None:
    """Why nothing may be sent there, None if something may. A name may have addresses that are allowed, or not: that is seen
    when something is sent."""
    fitting = [r for r in rules if r.scheme == url.scheme and r.ports[0] <= url.port <= r.ports[1]]
    if url.address is not None:
        allowed = any(_admits(rule, url, url.address) for rule in fitting)
    else:
        allowed = any(rule.name in (None, url.host) for rule in fitting)
    return None if allowed else f"{url} is not among cim.indication_destinations of the configuration"


def admits(url: Url, address: Address, rules: Iterable[Receivers]) -> bool:
    """Whether something may be sent to this address for this URL, whose host is that address, or has it now."""
    return any(
        _admits(r, url, address) for r in rules if r.scheme == url.scheme and r.ports[0] <= url.port <= r.ports[1]
    )


def _admits(rule: Receivers, url: Url, address: Address) -> bool:
    if _never(address):
        return False
    if rule.network is None:
        return url.address is None and rule.name == url.host
    if address.version != rule.network.version or address not in rule.network:
        return False
    return rule.network.is_link_local or not address.is_link_local


def _never(address: Address) -> bool:
    """Whether an address is nobody's, everybody's, or another one in disguise."""
    if address.is_unspecified or address.is_multicast or address == _BROADCAST:
        return True
    if isinstance(address, ipaddress.IPv4Address):
        return False
    return (
        address.ipv4_mapped is not None
        or address.sixtofour is not None
        or address.teredo is not None
        or address.scope_id is not None
        or address in _NAT64
        or (address in _COMPATIBLE and address != _LOOPBACK)
    )


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A destination: its class, all its values, and its URL. `id` names it among all that there ever were, and `since` is when
    it was created, in seconds of the epoch. What is made of the values is made once, and nobody may change it."""

    classname: str
    values: Values
    url: Url
    id: str
    since: float

    @property
    def name(self) -> str:
        return str(self.values["Name"])

    @property
    def transient(self) -> bool:
        return bool(self.values["PersistenceType"] == TRANSIENT)

    @cached_property
    def path(self) -> pywbem.CIMInstanceName:
        return created.path(self.classname, self.values)

    @cached_property
    def key(self) -> str:
        return created.key_of(self.path)

    @cached_property
    def instance(self) -> pywbem.CIMInstance:
        return created.instance(self.classname, self.values)


def made(classname: str, found: Values, host: str, *, id: str, since: float) -> Destination:  # noqa: A002
    """The destination with these values, as the client gave them; what is missing has a default. CimError if it is none.
    Whether it is allowed is another question."""
    where = found.get("Destination")
    if not where:
        raise CimError(Status.INVALID_PARAMETER, "a destination needs the URL of its Destination")
    try:
        url = parsed(where)
    except ValueError as error:
        raise CimError(Status.INVALID_PARAMETER, f"Destination: {where[:200]!r}: {error}") from None
    kind = created.choice(found, "PersistenceType", PERMANENT, supported=(1, PERMANENT, TRANSIENT), known=())
    if (kind == 1) is not ("OtherPersistenceType" in found):
        raise CimError(Status.INVALID_PARAMETER, "OtherPersistenceType belongs to PersistenceType 1, and to no other")
    protocol = created.choice(found, "Protocol", _CIM_XML, supported=(_CIM_XML,), known=(1, 3, 4, 5, 6))
    names = created.keys(classname, found, host, f"virtmap:destination:{uuid.uuid4()}")
    values = {"PersistenceType": kind, "Protocol": protocol, **found, **names}
    return Destination(classname=classname, values=values, url=url, id=id, since=since)
