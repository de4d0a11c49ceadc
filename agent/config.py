"""The configuration: TOML to frozen dataclasses, strictly; an unknown key, a wrong type or a bad value names its path.

The defaults of every setting are those of the dataclasses below. A front end is served when its table is there: without
`[snmp]` no datagram is answered, without `[cim]` no HTTP request. A few rules keep a mistake from opening the door: a
community travels in clear, so one that may do more than observe is good from loopback only; an SNMPv3 user is
authenticated and encrypted unless `level` says otherwise, and always if it may do more than observe; HTTP without TLS is
served on loopback only, unless `cleartext` says otherwise; and a file with a secret must not be everybody's to read.

Paths in it are relative to the folder of the configuration file. Protocols and levels are names here, as net-snmp writes
them; the front end knows what they mean.
"""

import difflib
import enum
import errno
import ipaddress
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import argon2

from agent.driver import LogRule, LogSettings, Retention
from agent.errors import ConfigError
from agent.hypervisors import fault_of, is_own
from agent.model import MODEL, Domain
from agent.model.alarm import AlarmKind
from agent.model.log import LogKind
from agent.model.occurrence import PerceivedSeverity
from agent.patterns import PatternError, Search
from agent.schema.declare import Access, Severity
from agent.schema.types import Enumeration, Secret

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
ANYWHERE: tuple[Network, ...] = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
SNMP_PORT = 161
HTTPS_PORT = 5989

AUTH_PROTOCOLS = ("MD5", "SHA", "SHA-224", "SHA-256", "SHA-384", "SHA-512")
PRIV_PROTOCOLS = ("DES", "AES", "AES-192", "AES-256", "AES-192-C", "AES-256-C")
"""AES-192 and AES-256 lengthen keys as Blumenthal's draft does it, those with -C as Reeder's, which is Cisco's way."""

AUTH_PRIV = "authPriv"
LEVELS = ("noAuthNoPriv", "authNoPriv", AUTH_PRIV)
"""How well a message is protected, the weakest first (RFC 3411, section 3.4.3)."""

VERSIONS = ("1", "2c")
DEFAULT_VIEW = "default"
"""The view that is there without being configured."""

USER_OCTETS = 32
PASSPHRASE_OCTETS = 8
"""The longest name of a user (RFC 3414, section 2.4), and the shortest passphrase (section 11.2)."""

SECRET_FILE_OCTETS = 4096
"""A file with a secret is not longer."""

Oid = tuple[int, ...]
T = TypeVar("T")
Reader = Callable[[str, Any], Any]
"""From the path of a key and what TOML has there to its value; ConfigError tells the path."""


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


class Transport(enum.StrEnum):
    """What carries SNMP: datagrams, or messages one after the other in a connection (RFC 3430), or in TLS (RFC 6353)."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


@dataclass(frozen=True, kw_only=True)
class SnmpEndpoint(Endpoint):
    """Where SNMP is spoken, and over what."""

    transport: Transport = Transport.UDP

    def __str__(self) -> str:
        where = super().__str__()
        return where if self.transport is Transport.UDP else f"{self.transport}:{where}"


@dataclass(frozen=True, kw_only=True)
class UnixSocket:
    """The path of a socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, kw_only=True)
class Hypervisor:
    """A libvirt connection. Its name is the SNMP contextName and the name of the scoping host in CIM.

    `user` and what is in `password_file` answer a hypervisor that asks who we are. Through a `read_only` connection nothing
    can be changed, whatever the role of who asks; libvirt itself refuses it.
    """

    name: str
    uri: str
    user: str | None = None
    password_file: str | None = None
    read_only: bool = False
    monitor_events: bool = False

    def password(self) -> Secret | None:
        """What stands in the password file now, so that another password holds from the next connection on; None without a
        file. ConfigError if the file cannot be used any more."""
        return _secret_in("password_file", self.password_file) if self.password_file is not None else None


@dataclass(frozen=True, kw_only=True)
class Community:
    """A community of SNMPv1 and v2c: what it may do and see, from where, of which hypervisor if not by context, and how
    many requests a second (None: any number)."""

    name: Secret
    role: Access = Access.OBSERVE
    sources: tuple[Network, ...] = LOOPBACK
    hypervisor: str | None = None
    view: str = DEFAULT_VIEW
    rate: float | None = None
    versions: tuple[str, ...] = VERSIONS


@dataclass(frozen=True, kw_only=True)
class SnmpUser:
    """A user of SNMPv3. `level` is the least protection that a message must have; no `hypervisors` means all.

    Protocols are names of AUTH_PROTOCOLS and PRIV_PROTOCOLS; each stands with its passphrase, or neither is there.
    """

    name: str
    role: Access = Access.OBSERVE
    auth: str | None = None
    auth_passphrase: Secret | None = None
    priv: str | None = None
    priv_passphrase: Secret | None = None
    level: str = AUTH_PRIV
    view: str = DEFAULT_VIEW
    hypervisors: tuple[str, ...] = ()
    sources: tuple[Network, ...] = ANYWHERE
    rate: float | None = None

    @property
    def strongest(self) -> str:
        """The best protection that the user can have, of LEVELS."""
        return LEVELS[(self.auth is not None) + (self.priv is not None)]


@dataclass(frozen=True, kw_only=True)
class SnmpCertificate:
    """Whose the client certificate with this SHA-256 fingerprint (64 lower-case digits) is, and what that user may do."""

    fingerprint: str
    user: str
    role: Access = Access.OBSERVE
    view: str = DEFAULT_VIEW
    hypervisors: tuple[str, ...] = ()
    sources: tuple[Network, ...] = ANYWHERE
    rate: float | None = None


@dataclass(frozen=True, kw_only=True)
class SnmpView:
    """What of the tree of objects may be seen: of subtrees that hold each other the longest decides."""

    name: str
    include: tuple[Oid, ...]
    exclude: tuple[Oid, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SnmpTarget:
    """Who is told of notifications: by community (versions 1 and 2c) or as a user (version 3), as well protected as that
    user can be. An inform is sent again `retries` times, `timeout` seconds apart, and all that after a pause again, until it has
    waited for `expiry` seconds; `queue` of them wait at most. `include` and `exclude` are subtrees of notification OIDs; none
    included means all. No `hypervisors` means all. `domains` are patterns of a shell for the names of domains, `kinds` kinds of
    rows, none of them meaning all; `severity` is the least that is told of.
    """

    name: str
    address: SnmpEndpoint
    version: str
    community: Secret | None = None
    user: str | None = None
    inform: bool = False
    timeout: float = 1.5
    retries: int = 3
    include: tuple[Oid, ...] = ()
    exclude: tuple[Oid, ...] = ()
    hypervisors: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    severity: Severity = Severity.INFORMATION
    expiry: float = 3600.0
    queue: int = 1000


@dataclass(frozen=True, kw_only=True)
class Snmp:
    """Where and how SNMP is served.

    `listen` is empty by default where there is an AgentX master; `agentx_role` is what may be done through that, by
    whomever it lets. `engine_id` is made once and remembered if it is None. `contact`, `name` and `location` can be SET if
    they are None. `answer_limit` bounds answers to messages without authentication, in octets; `operations_per_user` is
    the number of operations of one principal that may run at once; the two switches are the first values of VM-MIB's.
    `log_limit` is how many notifications NOTIFICATION-LOG-MIB shows of each hypervisor at most; 0 leaves it out.
    """

    listen: tuple[SnmpEndpoint, ...] = (SnmpEndpoint(host="127.0.0.1", port=SNMP_PORT),)
    engine_id: bytes | None = None
    contact: str | None = None
    name: str | None = None
    location: str | None = None
    answer_limit: int = 8192
    agentx: UnixSocket | SnmpEndpoint | None = None
    agentx_role: Access = Access.OBSERVE
    certificate: str | None = None
    key: str | None = None
    client_ca: str | None = None
    operations_per_user: int = 8
    authentication_traps: bool = True
    vm_notifications: bool = False
    vm_bulk_notifications: bool = False
    log_limit: int = 1000


@dataclass(frozen=True, kw_only=True)
class Receivers:
    """Where indications may be sent to: over http or https, to any address of a network, or to the host of a name (in lower
    case) wherever that is, at a port from the first to the last of these."""

    scheme: str
    network: Network | None = None
    name: str | None = None
    ports: tuple[int, int] = (1, 65_535)


LOCAL_RECEIVERS = tuple(Receivers(scheme=s, network=n) for s in ("http", "https") for n in LOOPBACK)


@dataclass(frozen=True, kw_only=True)
class Cim:
    """Where and how CIM-XML is served. `anonymous` is what a client without credentials may do; only `virtmap demo` sets it.

    Without `certificate` and `key` one of our own is made and kept in the directory of the state. With `client_ca`, the
    authorities that sign clients, a client may show a certificate. `cleartext` allows HTTP without TLS beyond loopback,
    where passwords can be read on the way. `connections` and `requests` bound what is open and worked on at once, of which
    one address may have three quarters.

    Subscribers can have indications sent to `indication_destinations` and nowhere else. For each of them `indication_queue`
    indications wait at most, and none longer than `indication_expiry` seconds. Certificates of https destinations are
    checked with the authorities in the PEM file `indication_ca`, or those that the system trusts.
    """

    http: tuple[Endpoint, ...] = ()
    https: tuple[Endpoint, ...] = (Endpoint(host="127.0.0.1", port=HTTPS_PORT),)
    certificate: str | None = None
    key: str | None = None
    client_ca: str | None = None
    cleartext: bool = False
    connections: int = 512
    requests: int = 64
    indication_destinations: tuple[Receivers, ...] = LOCAL_RECEIVERS
    indication_queue: int = 1000
    indication_expiry: float = 3600.0
    indication_ca: str | None = None
    anonymous: Access | None = None


@dataclass(frozen=True, kw_only=True)
class Account:
    """A CIM client's name, what it may do and from where, and the argon2 hash of its password."""

    name: str
    role: Access = Access.OBSERVE
    password_hash: Secret
    sources: tuple[Network, ...] = ANYWHERE


@dataclass(frozen=True, kw_only=True)
class CimCertificate:
    """Whose the client certificate with this SHA-256 fingerprint (64 lower-case digits) is, and what that user may do."""

    fingerprint: str
    user: str
    role: Access = Access.OBSERVE
    sources: tuple[Network, ...] = ANYWHERE


MEMORY = ":memory:"


@dataclass(frozen=True, kw_only=True)
class StateSettings:
    """Where the agent keeps what it must remember; ":memory:" remembers nothing."""

    directory: str = "/var/lib/virtmap"


@dataclass(frozen=True, kw_only=True)
class SpoolSettings:
    """Where operations that move data read and write named files; without a directory they have no files. No file grows beyond
    `limit` bytes."""

    directory: str | None = None
    limit: int = 2**40


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
class EventSettings:
    """How many events of one object, a domain with all that belongs to it say, are told in a row, and how many a second then;
    of what is beyond that the last of each kind is told, and the others are counted."""

    burst: int = 50
    rate: float = 10.0


@dataclass(frozen=True, kw_only=True)
class AlarmRule:
    """What is called wrong: a value of its kind that is `raise_at` or more for `hold` seconds, until it is below `clear_below` for
    `clear_hold` seconds. Watched is what fits one of the shell patterns: names of `domains`, of `disks` in them, of `pools`; all
    where there are none, and likewise of `hypervisors`."""

    name: str
    kind: AlarmKind
    raise_at: int
    clear_below: int
    hold: float
    clear_hold: float
    severity: PerceivedSeverity = PerceivedSeverity.WARNING
    domains: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    hypervisors: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole configuration. The first hypervisor is the default one; `snmp` or `cim` is None when not served."""

    hypervisors: tuple[Hypervisor, ...]
    snmp: Snmp | None = None
    communities: tuple[Community, ...] = ()
    users: tuple[SnmpUser, ...] = ()
    certificates: tuple[SnmpCertificate, ...] = ()
    views: tuple[SnmpView, ...] = ()
    targets: tuple[SnmpTarget, ...] = ()
    cim: Cim | None = None
    cim_certificates: tuple[CimCertificate, ...] = ()
    accounts: tuple[Account, ...] = ()
    state: StateSettings = field(default_factory=StateSettings)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    inventory: Inventory = field(default_factory=Inventory)
    events: EventSettings = field(default_factory=EventSettings)
    alarms: tuple[AlarmRule, ...] = ()
    logs: LogSettings = field(default_factory=LogSettings)


def load(path: str | Path) -> Config:
    """The configuration in a file. ConfigError if it cannot be read or is not right."""
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    try:
        return parse(text, base=Path(path).parent)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(text: str, base: str | Path = ".") -> Config:
    """The configuration that the TOML text is; paths in it are relative to `base`. ConfigError names the path of what is
    wrong."""
    try:
        top = _Table("", tomllib.loads(text), Path(base))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"is not TOML: {error}") from error
    connections = top.tables("hypervisor", _hypervisor)
    snmp = top.table("snmp", _snmp, None)
    cim = top.table("cim", _cim, None)
    config = Config(
        hypervisors=connections,
        accounts=top.tables("account", _account),
        state=top.table("state", _state, StateSettings()),
        spool=top.table("spool", _spool, SpoolSettings()),
        inventory=top.table("inventory", _inventory, Inventory()),
        events=top.table("events", _events, EventSettings()),
        alarms=top.tables("alarm", _alarm),
        logs=top.table("logs", _logs, LogSettings()),
        **(snmp or {}),
        **(cim or {}),
    )
    top.done()
    if not config.hypervisors:
        raise ConfigError("hypervisor: at least one [[hypervisor]] with name and uri is needed")
    if config.snmp is None and config.cim is None:
        raise ConfigError("nothing is served: add [snmp] or [cim]")
    _check(config)
    return config


RELOADED = frozenset(
    f"snmp.{name}"
    for name in (
        "contact", "name", "location", "answer_limit", "certificate", "key", "client_ca", "operations_per_user",
        "authentication_traps",
    )
) | {"cim.certificate", "cim.key", "cim.client_ca"}  # fmt: skip
"""Single settings that a running agent can change, beside the entries of _ENTRIES and _CIM_ENTRIES."""

_ENTRIES = ("communities", "users", "certificates", "views", "targets")
_CIM_ENTRIES = ("accounts", "cim_certificates")
_SECTIONS = ("snmp", "cim", "state", "spool", "inventory", "events", "logs")


def needs_restart(old: Config, new: Config) -> list[str]:
    """The paths of settings that differ and hold only after a restart."""
    out = ["hypervisor"] if old.hypervisors != new.hypervisors else []
    for section in _SECTIONS:
        before, after = getattr(old, section), getattr(new, section)
        if before is None or after is None:
            out += [section] if before is not after else []
            continue
        differing = [f.name for f in fields(before) if getattr(before, f.name) != getattr(after, f.name)]
        out += [f"{section}.{'listen' if name in ('http', 'https') else name}" for name in differing]
    return [path for path in dict.fromkeys(out) if path not in RELOADED]


def reloaded(old: Config, new: Config) -> Config:
    """What an agent that runs with `old` goes on with when it is given `new`: the rest stays until a restart.

    ConfigError if what is new does not fit what stays, such as a community of a hypervisor that was added too.
    """
    kept = replace(old, accounts=new.accounts, alarms=new.alarms)
    if old.snmp is not None:
        entries = {name: getattr(new, name) for name in _ENTRIES}
        kept = replace(kept, snmp=replace(old.snmp, **_changed("snmp", new)), **entries)
    if old.cim is not None:
        entries = {name: getattr(new, name) for name in _CIM_ENTRIES}
        kept = replace(kept, cim=replace(old.cim, **_changed("cim", new)), **entries)
    try:
        _check(kept)
    except ConfigError as error:
        raise ConfigError(f"does not fit what stays until a restart: {error}") from error
    return kept


def _changed(section: str, new: Config) -> dict[str, Any]:
    """The settings of a section that a running agent can change, as they are in `new`; none if that has no such section."""
    settings = getattr(new, section)
    names = [path.split(".")[1] for path in RELOADED if path.startswith(f"{section}.")]
    return {name: getattr(settings, name) for name in names} if settings is not None else {}


class _Table:
    """A TOML table at its path. Each of its keys is read once, and none is left over."""

    def __init__(self, path: str, given: Mapping[str, Any], base: Path) -> None:
        self.path = path
        self.given = given
        self._base = base
        self._known: list[str] = []

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def made(self, kind: type[T], **readers: Reader) -> T:
        """A dataclass of the values of these keys, its own defaults for those that are absent. ConfigError if one without
        a default is."""
        values = self.values(**readers)
        for one in fields(kind):  # type: ignore[arg-type]
            if one.name not in values and one.default is MISSING and one.default_factory is MISSING:
                instead = f"; give {one.name} or {one.name}_file" if readers[one.name] is _secret else ""
                raise ConfigError(f"{self.at(one.name)}: is missing{instead}")
        return kind(**values)

    def values(self, **readers: Reader) -> dict[str, Any]:
        """The values of those of these keys that are there, or, for a secret, in the file that KEY_file names. Whatever is
        in the table has to be among them or was read as a table before."""
        for key, read in readers.items():
            self._known += [key, f"{key}_file"] if read is _secret else [key]
        self.done()
        found: dict[str, Any] = {}
        for key, read in readers.items():
            if key in self.given:
                found[key] = read(self.at(key), self.given[key])
            file = f"{key}_file"
            if read is _secret and file in self.given:
                if key in self.given:
                    raise ConfigError(f"{self.at(key)}: stands here and in {file}; leave one out")
                found[key] = _secret_in(self.at(file), self.file(self.at(file), self.given[file]))
        return found

    def file(self, path: str, value: Any) -> str:
        """Reads the path of a file or folder."""
        return str(self._base / _text(path, value))

    def table(self, key: str, read: "Callable[[_Table], T]", default: T) -> T:
        """A table inside this one, or the default."""
        self._known.append(key)
        return self._inner(self.at(key), self.given[key], read) if key in self.given else default

    def tables(self, key: str, read: "Callable[[_Table], T]") -> tuple[T, ...]:
        """An array of tables inside this one; absent means none."""
        self._known.append(key)
        entries = self.given.get(key, [])
        if not isinstance(entries, list):
            raise ConfigError(f"{self.at(key)}: must be an array of tables, [[{self.at(key)}]]")
        return tuple(self._inner(f"{self.at(key)}[{i}]", entry, read) for i, entry in enumerate(entries))

    def _inner(self, path: str, entry: Any, read: "Callable[[_Table], T]") -> T:
        if not isinstance(entry, dict):
            raise ConfigError(f"{path}: must be a table, not {_kind(entry)}")
        return read(_Table(path, entry, self._base))

    def done(self) -> None:
        """ConfigError if there is a key that nothing knows; of several, if one looks misspelt, it is that one."""
        unknown = [key for key in self.given if key not in self._known]
        for key in unknown:
            near = difflib.get_close_matches(key, self._known, n=1)
            if near:
                raise ConfigError(f"{self.at(key)}: unknown key; did you mean {near[0]}?")
        if unknown:
            raise ConfigError(f"{self.at(unknown[0])}: unknown key; known here: {', '.join(self._known)}")


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


def _hash(path: str, value: Any) -> Secret:
    """The argon2 hash of a password. It is no `_secret`: that may come from a file, and this is not worth one."""
    text = _text(path, value)
    try:
        argon2.extract_parameters(text)
    except argon2.exceptions.InvalidHashError:
        raise ConfigError(f"{path}: is not an argon2 hash; `virtmap hash-password` makes one") from None
    return Secret(text)


def _secret_in(path: str, file: str) -> Secret:
    """The secret that is the whole text of a file, but for the end of its last line. No error tells what is in it."""
    where = f"{path}: {file}"
    try:
        # a FIFO must not keep us waiting for somebody to write
        opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            mode = os.fstat(opened).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError(f"{where}: is not a file")
            if mode & (stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH):
                raise ConfigError(
                    f"{where}: holds a secret, and others may read or change it (mode {stat.S_IMODE(mode):04o}); "
                    "chmod 600 keeps them out"
                )
            content = os.read(opened, SECRET_FILE_OCTETS + 1)
        finally:
            os.close(opened)
    except OSError as error:
        raise ConfigError(f"{where}: {error.strerror}") from error
    if len(content) > SECRET_FILE_OCTETS:
        raise ConfigError(f"{where}: is longer than {SECRET_FILE_OCTETS} octets")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: is not UTF-8 text") from None
    return _secret(where, text.removesuffix("\n"))


def _flag(path: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{path}: must be true or false, not {_kind(value)}")
    return value


def _one_of(names: Iterable[str]) -> Callable[[str, Any], str]:
    def one(path: str, value: Any) -> str:
        if _text(path, value) not in names:
            raise ConfigError(f"{path}: {value!r} is none of {', '.join(names)}")
        return str(value)

    return one


E = TypeVar("E", bound=Enumeration)


def _labelled(kind: type[E]) -> Callable[[str, Any], E]:
    """Reads a member of an enumeration of the model by its label."""
    members = {member.label: member for member in kind}

    def one(path: str, value: Any) -> E:
        return members[_one_of(members)(path, value)]

    return one


def _name(path: str, value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", _text(path, value)):
        raise ConfigError(f"{path}: {value!r} is not 1 to 32 letters, digits, dots, hyphens and underscores")
    return str(value)


def _display(path: str, value: Any) -> str:
    """A text of SNMPv2-MIB; an empty one is one."""
    text = value if value == "" else _text(path, value)
    if not text.isascii() or len(text) > 255:
        raise ConfigError(f"{path}: must be at most 255 characters, all ASCII (DisplayString of RFC 2579)")
    return str(text)


def _oid(path: str, value: Any) -> Oid:
    """An object identifier in digits and dots."""
    if not re.fullmatch(r"\.?[0-9]{1,10}(\.[0-9]{1,10})*", _text(path, value)):
        raise ConfigError(f"{path}: {value!r} is not an object identifier in digits, such as 1.3.6.1.2.1")
    arcs = tuple(map(int, value.removeprefix(".").split(".")))
    if len(arcs) > 128 or max(arcs) > 0xFFFF_FFFF or arcs[0] > 2 or (arcs[0] < 2 and max(arcs[1:2], default=0) > 39):
        raise ConfigError(f"{path}: {value!r} is beyond what an object identifier can be")
    return arcs


def _engine_id(path: str, value: Any) -> bytes:
    """5 to 32 octets in hexadecimal digits, neither all zeros nor all ones (SnmpEngineID, RFC 3411, section 5)."""
    if not re.fullmatch(r"(0x)?([0-9a-fA-F]{2}){5,32}", _text(path, value)):
        raise ConfigError(f"{path}: {value!r} is not 5 to 32 octets in hexadecimal digits")
    octets = bytes.fromhex(value.removeprefix("0x"))
    if set(octets) in ({0}, {0xFF}):
        raise ConfigError(f"{path}: must not be all zeros or all ones")
    return octets


def _fingerprint(path: str, value: Any) -> str:
    digits = _text(path, value).replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise ConfigError(
            f"{path}: is not the 64 hexadecimal digits of a SHA-256 fingerprint, which "
            "`openssl x509 -noout -fingerprint -sha256 -in FILE` prints"
        )
    return digits


def _user_name(path: str, value: Any) -> str:
    if len(_text(path, value).encode()) > USER_OCTETS:
        raise ConfigError(f"{path}: {value!r} is longer than {USER_OCTETS} octets")
    return str(value)


def _role(path: str, value: Any) -> Access:
    roles = {a.name.lower(): a for a in Access}
    if _text(path, value) not in roles:
        raise ConfigError(f"{path}: {value!r} is no role; it is one of {', '.join(roles)}")
    return roles[value]


_PLAIN = {"storedsecret": "secret"}
"""Kinds of rows that have a plainer name where there are no values of secrets."""


def _event_kind(path: str, value: Any) -> str:
    """The kind of a row that something may happen to."""
    kinds = {event.on.__name__.lower() for event in MODEL.events}
    words = {_PLAIN.get(kind, kind): kind for kind in sorted(kinds)}
    return words[_one_of(words)(path, value)]


def _severity(path: str, value: Any) -> Severity:
    severities = {s.name.lower(): s for s in Severity}
    return severities[_one_of(severities)(path, value)]


def _list(read: Callable[[str, Any], T], *, empty: bool = False) -> Callable[[str, Any], tuple[T, ...]]:
    def several(path: str, value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise ConfigError(f"{path}: must be an array of texts, not {_kind(value)}")
        if not value and not empty:
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


def _each_second(what: str) -> Callable[[str, Any], float]:
    def rate(path: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{path}: must be a number of {what} a second, not {_kind(value)}")
        if not 0 < value <= 10**6:
            raise ConfigError(f"{path}: {value} is not above 0 and at most 1000000 {what} a second")
        return float(value)

    return rate


_rate = _each_second("requests")


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


def _snmp_endpoint(path: str, value: Any) -> SnmpEndpoint:
    """`address:port` for UDP, or with `udp:`, `tcp:` or `tls:` before it."""
    scheme, rest = "udp", _text(path, value)
    if split := re.fullmatch(r"([a-z]+[0-9]?):(.*:.*)", rest):
        scheme, rest = split[1], split[2]
    if scheme not in list(Transport):
        raise ConfigError(f"{path}: {value!r}: {scheme!r} is none of {', '.join(Transport)}")
    where = _endpoint(path, rest)
    return SnmpEndpoint(host=where.host, port=where.port, transport=Transport(scheme))


def _master(path: str, value: Any) -> UnixSocket | SnmpEndpoint:
    """`unix:/path` or `tcp:address:port`."""
    scheme, _, rest = _text(path, value).partition(":")
    if scheme == "unix" and rest.startswith("/"):
        return UnixSocket(path=rest)
    if scheme != "tcp":
        raise ConfigError(f"{path}: {value!r} is not unix:/PATH or tcp:ADDRESS:PORT")
    return _snmp_endpoint(path, value)


def _address(path: str, value: Any) -> SnmpEndpoint:
    """Where notifications go."""
    address = _snmp_endpoint(path, value)
    if address.transport is not Transport.UDP:
        raise ConfigError(f"{path}: {value!r}: notifications are sent over udp only")
    if not address.port or ipaddress.ip_address(address.host).is_unspecified:
        raise ConfigError(f"{path}: {value!r} is nowhere to send to")
    return address


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


_RECEIVERS = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[^]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<low>[0-9]{1,5})(?:-(?P<high>[0-9]{1,5}))?)?"
)
_HOST_NAME = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


def _receivers(path: str, value: Any) -> Receivers:
    """`http://` or `https://`, a network, an address or a host's name, and if it matters `:PORT` or `:FIRST-LAST`. What is
    IPv6 stands in brackets, a network as a whole."""
    split = _RECEIVERS.fullmatch(_text(path, value))
    if split is None:
        raise ConfigError(
            f"{path}: {value!r} is not like https://192.0.2.0/24, http://[fd00::/8]:5988 or https://suite.example.net:5989-5999"
        )
    low = int(split["low"] or 1)
    high = int(split["high"] or split["low"] or 65_535)
    if not 1 <= low <= high <= 65_535:
        raise ConfigError(f"{path}: {value!r}: {low}-{high} are no ports")
    if split["host"] and len(split["host"]) <= 253 and _HOST_NAME.fullmatch(split["host"]):
        return Receivers(scheme=split["scheme"], name=split["host"].lower(), ports=(low, high))
    network = _network(path, split["six"] or split["host"])
    if (network.version == 6) is not (split["six"] is not None):
        raise ConfigError(f"{path}: {value!r}: brackets go around IPv6 networks, and only these")
    return Receivers(scheme=split["scheme"], network=network, ports=(low, high))


def _hypervisor(table: _Table) -> Hypervisor:
    made = table.made(
        Hypervisor, name=_name, uri=_uri, user=_text, password_file=table.file, read_only=_flag, monitor_events=_flag
    )
    for key in ("user", "password_file", "read_only", "monitor_events"):
        if key in table.given and is_own(made.uri):
            raise ConfigError(f"{table.at(key)}: is for hypervisors that libvirt reaches, and {made.uri} is none")
    if made.password_file is not None:
        _secret_in(table.at("password_file"), made.password_file)  # better told now than by night
    return made


def _uri(path: str, value: Any) -> str:
    """The URI of a hypervisor. No error shows it, for it may hold what it must not."""
    if (reason := fault_of(_text(path, value))) is not None:
        raise ConfigError(f"{path}: {reason}")
    return str(value)


def _snmp(table: _Table) -> dict[str, Any]:
    """What [snmp] brings to a Config."""
    out: dict[str, Any] = {
        "communities": table.tables("community", _community),
        "users": table.tables("user", _user),
        "certificates": table.tables("client_certificate", _certificate),
        "views": table.tables("view", _view),
        "targets": table.tables("target", _target),
    }
    behind = "agentx" in table.given
    snmp = table.made(
        Snmp,
        listen=_list(_snmp_endpoint, empty=behind),
        engine_id=_engine_id,
        contact=_display,
        name=_display,
        location=_display,
        answer_limit=_whole(484, 65_507),
        agentx=_master,
        agentx_role=_role,
        certificate=table.file,
        key=table.file,
        client_ca=table.file,
        operations_per_user=_whole(1, 10_000),
        authentication_traps=_flag,
        vm_notifications=_flag,
        vm_bulk_notifications=_flag,
        log_limit=_whole(0, 100_000),
    )
    if behind and "listen" not in table.given:
        snmp = replace(snmp, listen=())
    _check_master(table, snmp)
    return {"snmp": snmp, **out}


def _check_master(table: _Table, snmp: Snmp) -> None:
    """AgentX knows neither passwords nor encryption: who answers at the address is the master."""
    abroad = isinstance(snmp.agentx, Endpoint) and not snmp.agentx.loopback
    if abroad and snmp.agentx_role > Access.OBSERVE:
        raise ConfigError(
            f"{table.at('agentx_role')}: AgentX travels in clear, so {snmp.agentx_role.name.lower()} is for a master on "
            f"this host only, and {snmp.agentx} is not; let it observe, or use unix:/PATH"
        )


def _community(table: _Table) -> Community:
    community = table.made(
        Community,
        name=_secret,
        role=_role,
        sources=_list(_network),
        hypervisor=_text,
        view=_text,
        rate=_rate,
        versions=_list(_one_of(VERSIONS)),
    )
    abroad = next((s for s in community.sources if not _is_loopback(s)), None)
    if community.role > Access.OBSERVE and abroad is not None:
        raise ConfigError(
            f"{table.at('role')}: a community travels in clear, so {community.role.name.lower()} is for loopback "
            f"sources only, and {abroad} is not one; let it observe, restrict its sources to 127.0.0.0/8 and ::1, or make "
            "it a [[snmp.user]]"
        )
    return community


def _user(table: _Table) -> SnmpUser:
    user = table.made(
        SnmpUser,
        name=_user_name,
        role=_role,
        auth=_one_of(AUTH_PROTOCOLS),
        auth_passphrase=_secret,
        priv=_one_of(PRIV_PROTOCOLS),
        priv_passphrase=_secret,
        level=_one_of(LEVELS),
        view=_text,
        hypervisors=_list(_text),
        sources=_list(_network),
        rate=_rate,
    )
    _check_protection(table, user)
    if user.level == LEVELS[0] and "sources" not in table.given:
        return replace(user, sources=LOOPBACK)  # whom nobody authenticates is no safer than a community
    return user


def _check_protection(table: _Table, user: SnmpUser) -> None:
    """A user has what its level needs; who may change something needs all of it, from wherever it asks."""
    if user.role > Access.OBSERVE and user.level != AUTH_PRIV:
        raise ConfigError(
            f"{table.at('level')}: who may {user.role.name.lower()} must be authenticated and encrypted, and {user.level} is "
            f"less; leave it at {AUTH_PRIV}, or let the user observe"
        )
    for protocol in ("auth", "priv"):
        passphrase = f"{protocol}_passphrase"
        if getattr(user, protocol) is not None and getattr(user, passphrase) is None:
            raise ConfigError(f"{table.at(passphrase)}: is missing; {protocol} needs {passphrase} or {passphrase}_file")
        if getattr(user, protocol) is None and getattr(user, passphrase) is not None:
            raise ConfigError(f"{table.at(protocol)}: is missing; say for which protocol {passphrase} is")
        _check_length(table.at(passphrase), getattr(user, passphrase))
    if user.priv is not None and user.auth is None:
        raise ConfigError(f"{table.at('auth')}: is missing; there is no encryption without authentication")
    if LEVELS.index(user.strongest) < LEVELS.index(user.level):
        missing = "auth" if user.auth is None else "priv"
        raise ConfigError(
            f"{table.at(missing)}: is missing; level {user.level} needs {missing} and {missing}_passphrase; "
            f'level = "{user.strongest}" would do without'
        )


def _check_length(path: str, passphrase: Secret | None) -> None:
    if passphrase is not None and len(passphrase.reveal().encode()) < PASSPHRASE_OCTETS:
        raise ConfigError(f"{path}: must have at least {PASSPHRASE_OCTETS} octets (RFC 3414, section 11.2)")


def _certificate(table: _Table) -> SnmpCertificate:
    return table.made(
        SnmpCertificate,
        fingerprint=_fingerprint,
        user=_user_name,
        role=_role,
        view=_text,
        hypervisors=_list(_text),
        sources=_list(_network),
        rate=_rate,
    )


def _view(table: _Table) -> SnmpView:
    view = table.made(SnmpView, name=_name, include=_list(_oid), exclude=_list(_oid))
    if view.name == DEFAULT_VIEW:
        raise ConfigError(f"{table.at('name')}: {DEFAULT_VIEW!r} is there already; give it another name")
    _check_subtrees(table, view.include, view.exclude)
    return view


def _target(table: _Table) -> SnmpTarget:
    target = table.made(
        SnmpTarget,
        name=_name,
        address=_address,
        version=_one_of((*VERSIONS, "3")),
        community=_secret,
        user=_user_name,
        inform=_flag,
        timeout=_seconds(0.1, 60),
        retries=_whole(0, 100),
        include=_list(_oid),
        exclude=_list(_oid),
        hypervisors=_list(_text),
        domains=_list(_text),
        kinds=_list(_event_kind),
        severity=_severity,
        expiry=_seconds(1, 30 * 86_400),
        queue=_whole(1, 100_000),
    )
    needed, senseless = ("user", "community") if target.version == "3" else ("community", "user")
    if getattr(target, needed) is None:
        raise ConfigError(f"{table.at(needed)}: is missing; version {target.version} needs it")
    if getattr(target, senseless) is not None:
        raise ConfigError(f"{table.at(senseless)}: has no place in version {target.version}; it needs {needed} alone")
    if target.inform and target.version == "1":
        raise ConfigError(f"{table.at('inform')}: version 1 has no informs; use version 2c or 3")
    for key in ("expiry", "queue"):
        if key in table.given and not target.inform:
            raise ConfigError(f"{table.at(key)}: is for informs, and traps do not wait; add inform = true")
    _check_subtrees(table, target.include, target.exclude)
    return target


def _check_subtrees(table: _Table, include: tuple[Oid, ...], exclude: tuple[Oid, ...]) -> None:
    for i, oid in enumerate(exclude):
        if oid in include:
            raise ConfigError(f"{table.at('exclude')}[{i}]: {'.'.join(map(str, oid))} stands in include too")


def _is_loopback(network: Network) -> bool:
    return any(a.version == network.version and a.supernet_of(network) for a in LOOPBACK)  # type: ignore[arg-type]


def _cim(table: _Table) -> dict[str, Any]:
    """What [cim] brings to a Config."""
    certificates = table.tables("client_certificate", _cim_certificate)
    values = table.values(
        listen=_list(_url),
        certificate=table.file,
        key=table.file,
        client_ca=table.file,
        cleartext=_flag,
        connections=_whole(8, 100_000),
        requests=_whole(1, 10_000),
        indication_destinations=_list(_receivers, empty=True),
        indication_queue=_whole(1, 100_000),
        indication_expiry=_seconds(1, 30 * 86_400),
        indication_ca=table.file,
    )
    listen = values.pop("listen", [("https", e) for e in Cim().https])
    cim = Cim(
        http=tuple(e for scheme, e in listen if scheme == "http"),
        https=tuple(e for scheme, e in listen if scheme == "https"),
        **values,
    )
    for endpoint in cim.http:
        if not endpoint.loopback and not cim.cleartext:
            raise ConfigError(
                f"{table.at('listen')}: http is for loopback only, and {endpoint} is not; use https, or let everybody on the "
                "way read passwords with cleartext = true"
            )
    for needed, given in (("certificate", "key"), ("key", "certificate")):
        if getattr(cim, needed) is None and getattr(cim, given) is not None:
            raise ConfigError(f"{table.at(needed)}: is missing; {given} is nothing without it")
    return {"cim": cim, "cim_certificates": certificates}


def _cim_certificate(table: _Table) -> CimCertificate:
    return table.made(CimCertificate, fingerprint=_fingerprint, user=_account_name, role=_role, sources=_list(_network))


def _account_name(path: str, value: Any) -> str:
    if len(_text(path, value)) > 255:
        raise ConfigError(f"{path}: is longer than 255 characters")
    return str(value)


def _account(table: _Table) -> Account:
    account = table.made(Account, name=_account_name, role=_role, password_hash=_hash, sources=_list(_network))
    if ":" in account.name:
        raise ConfigError(f"{table.at('name')}: must not hold a colon (RFC 7617, section 2)")
    return account


def _state(table: _Table) -> StateSettings:
    in_memory = table.given.get("directory") == MEMORY
    return table.made(StateSettings, directory=_text if in_memory else table.file)


def _spool(table: _Table) -> SpoolSettings:
    return table.made(SpoolSettings, directory=table.file, limit=_whole(1, 2**63 - 1))


def _events(table: _Table) -> EventSettings:
    return table.made(EventSettings, burst=_whole(1, 1_000_000), rate=_each_second("events"))


_TRUTHS = (AlarmKind.DOWN, AlarmKind.DISCONNECTED)
"""Kinds of alarms that are so or not; all others have a value to hold against a threshold."""

_COUNTED = (AlarmKind.IO_ERRORS, AlarmKind.LOG)
"""Kinds whose value is a number of things that happened; of the other values each is a percentage."""

_OF_DOMAINS = (
    AlarmKind.CPU, AlarmKind.MEMORY, AlarmKind.DISK, AlarmKind.STEAL, AlarmKind.IO_ERRORS, AlarmKind.DOWN, AlarmKind.LOG,
)  # fmt: skip
_FITTING = {
    "raise": tuple(k for k in AlarmKind if k not in _TRUTHS),
    "clear": tuple(k for k in AlarmKind if k not in _TRUTHS),
    "domains": _OF_DOMAINS,
    "disks": (AlarmKind.DISK, AlarmKind.IO_ERRORS),
    "pools": (AlarmKind.POOL,),
}
"""Keys of an alarm that not every kind has."""

ALARM_HOLD = 60.0
COUNTED_CLEAR_HOLD = 300.0
"""Seconds until an alarm is raised, and cleared. What only happened once is told at once, and stays for longer."""


def _alarm(table: _Table) -> AlarmRule:
    values = table.values(**{
        "name": _name, "kind": _labelled(AlarmKind), "raise": _whole(1, 2**63 - 1), "clear": _whole(1, 2**63 - 1),
        "for": _seconds(0, 30 * 86_400), "clear_for": _seconds(0, 30 * 86_400), "severity": _labelled(PerceivedSeverity),
        "domains": _list(_text), "disks": _list(_text), "pools": _list(_text), "hypervisors": _list(_text),
    })  # fmt: skip
    for needed in ("name", "kind", *(() if values.get("kind") in _TRUTHS else ("raise",))):
        if needed not in values:
            raise ConfigError(f"{table.at(needed)}: is missing")
    kind: AlarmKind = values["kind"]
    for key, kinds in _FITTING.items():
        if key in values and kind not in kinds:
            raise ConfigError(f"{table.at(key)}: has no place in an alarm of kind {kind.label}")
    reached = values.pop("raise", 1)
    below = values.pop("clear", reached - reached // 10)
    if kind not in (*_TRUTHS, *_COUNTED) and reached > 100:
        raise ConfigError(f"{table.at('raise')}: {reached} is more than 100 percent")
    if below > reached:
        raise ConfigError(f"{table.at('clear')}: {below} is above {reached}, at which the alarm is raised")
    hold = values.pop("for", 0.0 if kind in _COUNTED else ALARM_HOLD)
    clear_hold = values.pop("clear_for", max(hold, COUNTED_CLEAR_HOLD) if kind in _COUNTED else hold)
    return AlarmRule(raise_at=reached, clear_below=below, hold=hold, clear_hold=clear_hold, **values)


def _logs(table: _Table) -> LogSettings:
    rules = table.tables("rule", _log_rule)
    values = table.values(
        serve=_flag,
        directories=_list(_directory),
        device_directories=_list(_directory),
        records=_whole(0, 1000),
        follow=_flag,
        retention_age=_seconds(60, 10**9),
        retention_size=_whole(1, 2**63 - 1),
        retention_gone=_flag,
        retention_dry=_flag,
        retention_interval=_seconds(1, 30 * 86_400),
    )
    policy = {key.removeprefix("retention_"): values.pop(key) for key in list(values) if key.startswith("retention_")}
    if rules and not (values.get("follow", True) and values.get("serve", True)):
        raise ConfigError(f"{table.at('rule[0]')}: nothing is looked for in logs that are not followed")
    if policy.get("gone") and "age" not in policy:
        raise ConfigError(f"{table.at('retention_age')}: is missing; retention_gone needs it")
    if policy and not policy.keys() & {"age", "size"}:
        raise ConfigError(f"{table.at('retention_age')}: is missing; a retention needs retention_age or retention_size")
    return LogSettings(rules=rules, retention=Retention(**policy) if policy else None, **values)


def _log_rule(table: _Table) -> LogRule:
    return table.made(
        LogRule,
        name=_name,
        pattern=_regular,
        severity=_labelled(PerceivedSeverity),
        domains=_list(_text),
        kinds=_list(_labelled(LogKind)),
    )


def _directory(path: str, value: Any) -> str:
    """A directory, which the hypervisor and not this file has to know, so that it is not relative to this file's folder."""
    if not _text(path, value).startswith("/") or ".." in value.split("/"):
        raise ConfigError(f"{path}: {value!r} must begin with a slash, and not go up")
    return str(value)


def _regular(path: str, value: Any) -> re.Pattern[str]:
    """A regular expression that can be looked for without going back, whatever a guest writes."""
    try:
        made = re.compile(_text(path, value))
        Search(made)
    except (re.error, PatternError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{path}: {value!r} is no pattern to look for: {error}") from None
    if made.search(""):
        raise ConfigError(f"{path}: {value!r} is found in every line")
    return made


def _inventory(table: _Table) -> Inventory:
    return table.made(
        Inventory,
        interval=_seconds(0.1, 86_400),
        idle_after=_seconds(1, 10**9),
        call_limit=_seconds(0.1, 3_600),
        forget_after=_seconds(1, 10**9),
        workers=_whole(1, 256),
    )


def _unique(path: str, key: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for i, name in enumerate(names):
        if name in seen:
            raise ConfigError(f"{path}[{i}].{key}: {name!r} stands twice")
        seen.add(name)


def _check(config: Config) -> None:
    """What one entry says of another is so. ConfigError names the path."""
    _unique("hypervisor", "name", (h.name for h in config.hypervisors))
    _unique("account", "name", (a.name for a in config.accounts))
    _unique("alarm", "name", (a.name for a in config.alarms))
    _unique("logs.rule", "name", (r.name for r in config.logs.rules))
    _check_logs(config)
    _check_alarms(config)
    _unique("snmp.user", "name", (u.name for u in config.users))
    _unique("snmp.view", "name", (v.name for v in config.views))
    _unique("snmp.target", "name", (t.name for t in config.targets))
    _unique("snmp.client_certificate", "fingerprint", (c.fingerprint for c in config.certificates))
    _unique("cim.client_certificate", "fingerprint", (c.fingerprint for c in config.cim_certificates))
    _check_addresses("snmp.listen", config.snmp.listen if config.snmp else ())
    _check_addresses("cim.listen", (*config.cim.http, *config.cim.https) if config.cim else ())
    _check_communities(config)
    _check_tls(config)
    _check_certificates(config)
    _check_cim_certificates(config)
    _check_targets(config)
    _check_references(config)


def _check_logs(config: Config) -> None:
    """No hypervisor takes the logs of another one's domains for those of domains that are no more."""
    policy = config.logs.retention
    if policy is not None and policy.gone and config.logs.directories and len(config.hypervisors) > 1:
        raise ConfigError(
            "logs.retention_gone: with directories of their own, and several hypervisors, nobody can say whose domains are gone; "
            "leave one of them out"
        )
    if policy is not None and policy.gone:
        seen: dict[tuple[str, ...], str] = {}
        for hypervisor in config.hypervisors:
            other = seen.setdefault(_log_places(hypervisor), hypervisor.name)
            if other != hypervisor.name:
                raise ConfigError(
                    f"logs.retention_gone: {other} and {hypervisor.name} have their logs in the same directories, and each would "
                    "take those of the other's domains for logs of domains that are gone"
                )


def _log_places(hypervisor: Hypervisor) -> tuple[str, ...]:
    """What the directories of a hypervisor's logs follow from, by its URI; its name, if it has none, or if only its socket can
    tell, which is left to whoever reads them."""
    parts = urlsplit(hypervisor.uri)
    kind, _, transport = parts.scheme.partition("+")
    parameters = parse_qs(parts.query)
    if (
        parts.netloc
        or transport not in ("", "unix")
        or kind not in ("qemu", "lxc", "xen", "bhyve")
        or "socket" in parameters
    ):
        return (hypervisor.name,)
    root = parameters.get("root", [""])[0] if parts.path == "/embed" else ""
    return kind, "session" if parts.path == "/session" else "system", root.rstrip("/")


def _check_addresses(path: str, endpoints: Iterable[Endpoint]) -> None:
    """No address is listened on twice, in UDP or in TCP; port 0 is another one each time."""
    seen: dict[tuple[bool, str, int], Endpoint] = {}
    for endpoint in endpoints:
        datagrams = isinstance(endpoint, SnmpEndpoint) and endpoint.transport is Transport.UDP
        earlier = seen.get((datagrams, endpoint.host, endpoint.port))
        if earlier is not None:
            raise ConfigError(
                f"{path}: {endpoint} stands twice"
                if earlier == endpoint
                else f"{path}: {earlier} and {endpoint} are the same address"
            )
        if endpoint.port:
            seen[datagrams, endpoint.host, endpoint.port] = endpoint


def _check_communities(config: Config) -> None:
    """None stands twice."""
    for i, community in enumerate(config.communities):
        for j, earlier in enumerate(config.communities[:i]):
            if community.name == earlier.name:
                raise ConfigError(
                    f"snmp.community[{i}].name: is that of snmp.community[{j}] too; give it all sources in one place"
                )


def _check_tls(config: Config) -> None:
    """Where TLS is spoken there are the files for it."""
    snmp = config.snmp
    if snmp is None or not any(e.transport is Transport.TLS for e in snmp.listen):
        return
    for needed in ("certificate", "key", "client_ca"):
        if getattr(snmp, needed) is None:
            raise ConfigError(
                f"snmp.{needed}: is missing; tls needs the PEM files of a certificate, its key, and the authorities that "
                "sign clients"
            )


def _check_certificates(config: Config) -> None:
    """They are of use, and a name is one principal, who can do the same whichever certificate it has."""
    listen = config.snmp.listen if config.snmp else ()
    if config.certificates and not any(e.transport is Transport.TLS for e in listen):
        raise ConfigError(
            "snmp.client_certificate[0]: nobody can show a certificate; add a tls: address to snmp.listen"
        )
    users = {u.name: i for i, u in enumerate(config.users)}
    first: dict[str, tuple[int, SnmpCertificate]] = {}
    for i, certificate in enumerate(config.certificates):
        path = f"snmp.client_certificate[{i}]"
        if certificate.user in users:
            raise ConfigError(
                f"{path}.user: is the name of snmp.user[{users[certificate.user]}] too; give one of them another name, so "
                "that the log tells who it was"
            )
        j, other = first.setdefault(certificate.user, (i, certificate))
        for key in ("role", "view", "hypervisors", "sources", "rate"):
            if getattr(certificate, key) != getattr(other, key):
                raise ConfigError(
                    f"{path}.{key}: is not that of snmp.client_certificate[{j}], which is the same user's"
                )


def _check_cim_certificates(config: Config) -> None:
    """They are of use, and a name is one principal, who can do the same whichever certificate it has."""
    cim = config.cim
    if config.cim_certificates and (cim is None or not cim.https or cim.client_ca is None):
        raise ConfigError(
            "cim.client_certificate[0]: nobody can show a certificate; add an https address to cim.listen, and with "
            "cim.client_ca the PEM file of the authorities that sign clients"
        )
    accounts = {a.name: i for i, a in enumerate(config.accounts)}
    first: dict[str, tuple[int, CimCertificate]] = {}
    for i, certificate in enumerate(config.cim_certificates):
        path = f"cim.client_certificate[{i}]"
        if certificate.user in accounts:
            raise ConfigError(
                f"{path}.user: is the name of account[{accounts[certificate.user]}] too; give one of them another name, so "
                "that the log tells who it was"
            )
        j, other = first.setdefault(certificate.user, (i, certificate))
        for key in ("role", "sources"):
            if getattr(certificate, key) != getattr(other, key):
                raise ConfigError(f"{path}.{key}: is not that of cim.client_certificate[{j}], which is the same user's")


_BENEATH_DOMAINS = frozenset(
    row.__name__.lower() for row in MODEL.rows if row.root() is Domain or any(f.ref is Domain for f in row.fields)
)
"""Kinds of rows that are domains, belong to one, or name one."""


def _check_alarms(config: Config) -> None:
    """An alarm that counts lines has lines to count."""
    for i, alarm in enumerate(config.alarms):
        if alarm.kind is AlarmKind.LOG and not (config.logs.rules and config.logs.serve and config.logs.follow):
            raise ConfigError(
                f"alarm[{i}].kind: log counts lines that match a [[logs.rule]], with logs that are served and followed"
            )


def _check_targets(config: Config) -> None:
    """A user to send as is there, and may see the hypervisors that the target is told of."""
    users = {u.name: u for u in config.users}
    for i, target in enumerate(config.targets):
        path = f"snmp.target[{i}]"
        if target.domains and target.kinds and not _BENEATH_DOMAINS.intersection(target.kinds):
            raise ConfigError(
                f"{path}.domains: of what is of kind {', '.join(target.kinds)} nothing belongs to a domain"
            )
        if target.user is None:
            continue
        if target.user not in users:
            raise ConfigError(f"{path}.user: {target.user!r} is no user; add it as [[snmp.user]]")
        hidden = set(target.hypervisors) - set(users[target.user].hypervisors or target.hypervisors)
        if hidden:
            raise ConfigError(f"{path}.hypervisors: {target.user} may not see {', '.join(sorted(hidden))}")


def _check_references(config: Config) -> None:
    """Hypervisors and views that are named exist."""
    hypervisors = [h.name for h in config.hypervisors]
    views = [DEFAULT_VIEW, *(v.name for v in config.views)]
    for i, community in enumerate(config.communities):
        path = f"snmp.community[{i}]"
        if community.hypervisor is not None:
            _known(f"{path}.hypervisor", [community.hypervisor], hypervisors)
        _known(f"{path}.view", [community.view], views)
    for i, user in enumerate(config.users):
        _known(f"snmp.user[{i}].hypervisors", user.hypervisors, hypervisors)
        _known(f"snmp.user[{i}].view", [user.view], views)
    for i, certificate in enumerate(config.certificates):
        _known(f"snmp.client_certificate[{i}].hypervisors", certificate.hypervisors, hypervisors)
        _known(f"snmp.client_certificate[{i}].view", [certificate.view], views)
    for i, target in enumerate(config.targets):
        _known(f"snmp.target[{i}].hypervisors", target.hypervisors, hypervisors)
    for i, alarm in enumerate(config.alarms):
        _known(f"alarm[{i}].hypervisors", alarm.hypervisors, hypervisors)


def _known(path: str, named: Iterable[str], names: Iterable[str]) -> None:
    for name in named:
        if name not in names:
            raise ConfigError(f"{path}: {name!r} is none of {', '.join(names)}")
