"""The configuration: TOML to frozen dataclasses, strictly; an unknown key, a wrong type or a bad value names its path.

The defaults of every setting are those of the dataclasses below. A front end is served when its table is there: without
`[snmp]` no datagram is answered, without `[cim]` no HTTP request. Two rules keep a mistake from opening the door: a
community travels in clear, so one that may do more than observe is good from loopback only; and HTTP without TLS is
served on loopback only.
"""

import difflib
import errno
import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import argon2

from agent.errors import ConfigError
from agent.schema.declare import Access
from agent.schema.types import Secret

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
SNMP_PORT = 161
HTTPS_PORT = 5989
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An IP address and port to listen on; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    def refused(self, error: OSError) -> str:
        """Why it cannot be listened on, for people, and what helps."""
        why = os.strerror(error.errno or 0)
        if error.errno == errno.EACCES and self.port < 1024:
            why += "; ports below 1024 are for root or who has CAP_NET_BIND_SERVICE"
        return f"cannot listen on {self}: {why}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Hypervisor:
    """A libvirt connection. Its name is the SNMP contextName and the name of the scoping host in CIM."""

    name: str
    uri: str


@dataclass(frozen=True, kw_only=True)
class Community:
    """An SNMPv2c community: what it may do, from where, and of which hypervisor if not by context."""

    name: Secret
    role: Access = Access.OBSERVE
    sources: tuple[Network, ...] = LOOPBACK
    hypervisor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Snmp:
    """Where SNMP is served, over UDP."""

    listen: tuple[Endpoint, ...] = (Endpoint(host="127.0.0.1", port=SNMP_PORT),)


@dataclass(frozen=True, kw_only=True)
class Cim:
    """Where CIM-XML is served. `anonymous` is what a client without credentials may do; only `virtmap demo` sets it."""

    http: tuple[Endpoint, ...] = ()
    https: tuple[Endpoint, ...] = (Endpoint(host="127.0.0.1", port=HTTPS_PORT),)
    certificate: str | None = None
    key: str | None = None
    anonymous: Access | None = None


@dataclass(frozen=True, kw_only=True)
class Account:
    """A CIM client's name, what it may do, and the argon2 hash of its password."""

    name: str
    role: Access = Access.OBSERVE
    password_hash: Secret


@dataclass(frozen=True, kw_only=True)
class StateSettings:
    """Where the agent keeps what it must remember; ":memory:" remembers nothing."""

    directory: str = "/var/lib/virtmap"


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Pace of reading, in seconds.

    `interval` between two readings of statistics; no reading at all `idle_after` the last request; a call to a
    hypervisor is given up after `call_limit`; rows of a lost hypervisor go `forget_after` it was lost. At most
    `workers` calls are in flight for a hypervisor.
    """

    interval: float = 5.0
    idle_after: float = 600.0
    call_limit: float = 10.0
    forget_after: float = 900.0
    workers: int = 8


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole configuration. The first hypervisor is the default one; `snmp` or `cim` is None when not served."""

    hypervisors: tuple[Hypervisor, ...]
    snmp: Snmp | None = None
    communities: tuple[Community, ...] = ()
    cim: Cim | None = None
    accounts: tuple[Account, ...] = ()
    state: StateSettings = field(default_factory=StateSettings)
    inventory: Inventory = field(default_factory=Inventory)


def load(path: str | Path) -> Config:
    """The configuration in a file. ConfigError if it cannot be read or is not right."""
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    try:
        return parse(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(text: str) -> Config:
    """The configuration that the TOML text is. ConfigError names the path of what is wrong."""
    try:
        top = _Table("", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"is not TOML: {error}") from error
    with_snmp, with_cim = "snmp" in top.given, "cim" in top.given
    no_snmp: tuple[Snmp | None, tuple[Community, ...]] = (None, ())
    snmp = top.table("snmp", _snmp, no_snmp)
    config = Config(
        hypervisors=top.tables("hypervisor", _hypervisor),
        snmp=snmp[0],
        communities=snmp[1],
        cim=top.table("cim", _cim, None),
        accounts=top.tables("account", _account),
        state=top.table("state", _state, StateSettings()),
        inventory=top.table("inventory", _inventory, Inventory()),
    )
    top.done()
    if not config.hypervisors:
        raise ConfigError("hypervisor: at least one [[hypervisor]] with name and uri is needed")
    if not (with_snmp or with_cim):
        raise ConfigError("nothing is served: add [snmp] or [cim]")
    _unique("hypervisor", "name", (h.name for h in config.hypervisors))
    _unique("account", "name", (a.name for a in config.accounts))
    _check_addresses("snmp.listen", config.snmp.listen if config.snmp else ())
    _check_addresses("cim.listen", (*config.cim.http, *config.cim.https) if config.cim else ())
    _check_communities(config)
    return config


class _Table:
    """A TOML table at its path, from which every key is taken once."""

    def __init__(self, path: str, given: Mapping[str, Any]) -> None:
        self.path = path
        self.given = given
        self._known: list[str] = []

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def take(self, key: str, read: Callable[[str, Any], T], default: T | None = None) -> T:
        """The value of a key, read from its path and value; without a default the key is required."""
        self._known.append(key)
        if key in self.given:
            return read(self.at(key), self.given[key])
        if default is None:
            raise ConfigError(f"{self.at(key)}: is missing")
        return default

    def optional(self, key: str, read: Callable[[str, Any], T]) -> T | None:
        """The value of a key that may be absent."""
        self._known.append(key)
        return read(self.at(key), self.given[key]) if key in self.given else None

    def table(self, key: str, read: "Callable[[_Table], T]", default: T) -> T:
        """A table inside this one, or the default."""
        self._known.append(key)
        if key not in self.given:
            return default
        return self._whole(self.at(key), self.given[key], read)

    def tables(self, key: str, read: "Callable[[_Table], T]") -> tuple[T, ...]:
        """An array of tables inside this one; absent means none."""
        self._known.append(key)
        entries = self.given.get(key, [])
        if not isinstance(entries, list):
            raise ConfigError(f"{self.at(key)}: must be an array of tables, [[{self.at(key)}]]")
        return tuple(self._whole(f"{self.at(key)}[{i}]", entry, read) for i, entry in enumerate(entries))

    @staticmethod
    def _whole(path: str, entry: Any, read: "Callable[[_Table], T]") -> T:
        if not isinstance(entry, dict):
            raise ConfigError(f"{path}: must be a table, not {_kind(entry)}")
        inner = _Table(path, entry)
        try:
            result = read(inner)
        except ConfigError:
            inner.done(strict=False)
            raise
        inner.done()
        return result

    def done(self, *, strict: bool = True) -> None:
        """ConfigError if a key was not taken. After another error (not strict) only if it looks like a misspelt one."""
        for key in self.given:
            if key in self._known:
                continue
            near = difflib.get_close_matches(key, self._known, n=1)
            if near:
                raise ConfigError(f"{self.at(key)}: unknown key; did you mean {near[0]}?") from None
            if strict:
                raise ConfigError(f"{self.at(key)}: unknown key; known here: {', '.join(self._known)}")


_KINDS = {bool: "a boolean", int: "an integer", float: "a number", str: "a text", list: "an array", dict: "a table"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def _text(path: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{path}: must be a text, not {_kind(value)}")
    if not value:
        raise ConfigError(f"{path}: must not be empty")
    if any(ord(c) < 32 or ord(c) == 127 for c in value):
        raise ConfigError(f"{path}: must not hold control characters")
    return value


def _secret(path: str, value: Any) -> Secret:
    return Secret(_text(path, value))


def _role(path: str, value: Any) -> Access:
    roles = {a.name.lower(): a for a in Access}
    if _text(path, value) not in roles:
        raise ConfigError(f"{path}: {value!r} is no role; it is one of {', '.join(roles)}")
    return roles[value]


def _list(read: Callable[[str, Any], T]) -> Callable[[str, Any], tuple[T, ...]]:
    def several(path: str, value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ConfigError(f"{path}: must be an array of texts, not {_kind(value)}")
        if not value:
            raise ConfigError(f"{path}: must not be empty")
        return tuple(read(f"{path}[{i}]", entry) for i, entry in enumerate(value))

    return several


def _seconds(low: float, high: float) -> Callable[[str, Any], float]:
    def seconds(path: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{path}: must be a number of seconds, not {_kind(value)}")
        if not low <= value <= high:
            raise ConfigError(f"{path}: {value} is not between {low:g} and {high:g} seconds")
        return float(value)

    return seconds


def _whole(low: int, high: int) -> Callable[[str, Any], int]:
    def whole(path: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"{path}: must be an integer, not {_kind(value)}")
        if not low <= value <= high:
            raise ConfigError(f"{path}: {value} is not between {low} and {high}")
        return value

    return whole


def _endpoint(path: str, value: Any) -> Endpoint:
    """`address:port`, or `[address]:port` for IPv6."""
    split = re.fullmatch(r"(?:\[([^]]+)\]|([^:\[\]]+)):([0-9]{1,5})", _text(path, value))
    if split is None:
        raise ConfigError(f"{path}: {value!r} is not an address and port such as 127.0.0.1:161 or [::1]:161")
    host, port = split[1] or split[2], int(split[3])
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ConfigError(f"{path}: {host!r} is not an IP address") from None
    if (address.version == 6) is not (split[1] is not None):
        raise ConfigError(f"{path}: {value!r}: brackets go around IPv6 addresses, and only these")
    if port > 65535:
        raise ConfigError(f"{path}: {port} is not a port")
    return Endpoint(host=str(address), port=port)


def _url(path: str, value: Any) -> tuple[str, Endpoint]:
    """`http://address:port` or `https://address:port`, as scheme and endpoint."""
    parts = urlsplit(_text(path, value))
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/") or parts.query:
        raise ConfigError(f"{path}: {value!r} is not http://ADDRESS:PORT or https://ADDRESS:PORT")
    return parts.scheme, _endpoint(path, parts.netloc)


def _network(path: str, value: Any) -> Network:
    try:
        return ipaddress.ip_network(_text(path, value))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _hypervisor(table: _Table) -> Hypervisor:
    name = table.take("name", _text)
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", name):
        raise ConfigError(f"{table.at('name')}: {name!r} is not 1 to 32 letters, digits, dots, hyphens and underscores")
    return Hypervisor(name=name, uri=table.take("uri", _text))


def _snmp(table: _Table) -> tuple[Snmp | None, tuple[Community, ...]]:
    settings = Snmp(listen=table.take("listen", _list(_endpoint), Snmp().listen))
    return settings, table.tables("community", _community)


def _community(table: _Table) -> Community:
    community = Community(
        name=table.take("name", _secret),
        role=table.take("role", _role, Community.role),
        sources=table.take("sources", _list(_network), LOOPBACK),
        hypervisor=table.optional("hypervisor", _text),
    )
    abroad = next((s for s in community.sources if not _is_loopback(s)), None)
    if community.role > Access.OBSERVE and abroad is not None:
        raise ConfigError(
            f"{table.at('role')}: a community travels in clear, so {community.role.name.lower()} is for loopback "
            f"sources only, and {abroad} is not one; let it observe, or restrict its sources to 127.0.0.0/8 and ::1"
        )
    return community


def _is_loopback(network: Network) -> bool:
    return any(a.version == network.version and a.supernet_of(network) for a in LOOPBACK)  # type: ignore[arg-type]


def _cim(table: _Table) -> Cim:
    default = tuple(("https", e) for e in Cim().https)
    listen = table.take("listen", _list(_url), default)
    cim = Cim(
        http=tuple(e for scheme, e in listen if scheme == "http"),
        https=tuple(e for scheme, e in listen if scheme == "https"),
        certificate=table.optional("certificate", _text),
        key=table.optional("key", _text),
    )
    for endpoint in cim.http:
        if not endpoint.loopback:
            raise ConfigError(f"{table.at('listen')}: http is for loopback only, and {endpoint} is not; use https")
    for needed, value in (("certificate", cim.certificate), ("key", cim.key)):
        if cim.https and value is None:
            raise ConfigError(f"{table.at(needed)}: is missing; https needs the PEM files of a certificate and its key")
    return cim


def _account(table: _Table) -> Account:
    account = Account(
        name=table.take("name", _text),
        role=table.take("role", _role, Account.role),
        password_hash=table.take("password_hash", _secret),
    )
    if ":" in account.name:
        raise ConfigError(f"{table.at('name')}: must not hold a colon (RFC 7617, section 2)")
    try:
        argon2.extract_parameters(account.password_hash.reveal())
    except argon2.exceptions.InvalidHashError:
        raise ConfigError(
            f"{table.at('password_hash')}: is not an argon2 hash; `virtmap hash-password` makes one"
        ) from None
    return account


def _state(table: _Table) -> StateSettings:
    return StateSettings(directory=table.take("directory", _text, StateSettings.directory))


def _inventory(table: _Table) -> Inventory:
    return Inventory(
        interval=table.take("interval", _seconds(0.1, 86_400), Inventory.interval),
        idle_after=table.take("idle_after", _seconds(1, 10**9), Inventory.idle_after),
        call_limit=table.take("call_limit", _seconds(0.1, 3_600), Inventory.call_limit),
        forget_after=table.take("forget_after", _seconds(1, 10**9), Inventory.forget_after),
        workers=table.take("workers", _whole(1, 256), Inventory.workers),
    )


def _unique(path: str, key: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            raise ConfigError(f"{path}[{i}].{key}: {name!r} stands twice")
        seen.add(name)


def _check_addresses(path: str, endpoints: Iterable[Endpoint]) -> None:
    """No address is listened on twice; port 0 is another one each time."""
    seen: set[Endpoint] = set()
    for endpoint in endpoints:
        if endpoint in seen:
            raise ConfigError(f"{path}: {endpoint} stands twice")
        if endpoint.port:
            seen.add(endpoint)


def _check_communities(config: Config) -> None:
    """A community is bound to a hypervisor that exists, and none stands twice."""
    names = [h.name for h in config.hypervisors]
    for i, community in enumerate(config.communities):
        path = f"snmp.community[{i}]"
        if community.hypervisor is not None and community.hypervisor not in names:
            raise ConfigError(f"{path}.hypervisor: {community.hypervisor!r} is none of {', '.join(names)}")
        for j, earlier in enumerate(config.communities[:i]):
            if community.name == earlier.name:
                raise ConfigError(f"{path}.name: is that of snmp.community[{j}] too; give it all sources in one place")
