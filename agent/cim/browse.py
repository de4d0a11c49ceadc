"""Looking into a running WBEM server, ours or any other, for people: WBEM URIs (DSP0207) and instances as lines of text.

Everything that a server tells is somebody else's text. What could steer a terminal, or make a line look like another, is
escaped before it becomes part of a line: `shown` for text, `uri` for paths. A URI that is printed here needs nothing but
single quotes around it to be given to a shell, and `place` reads it back as it was.

The server in a printed URI is the one that was asked, whatever it calls itself: its own name often resolves nowhere, and
a password must not go to a host that a server has named. For the same reason redirects are not followed, and what stands
in the environment (proxies, .netrc, bundles of certificates) has no say.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pywbem

from agent.cim.addresses import is_loopback
from agent.errors import Denied, Failed, Invalid, NotFound, Unreachable, VirtmapError
from agent.schema.types import Secret

__all__ = [
    "TELLING", "Browser", "Place", "Reader", "Server", "connected", "kept_password", "label", "lines", "meaning",
    "one_line", "place", "plain", "record", "server_url", "shown", "unit", "uri",
]  # fmt: skip

#: The properties that tell most about an instance of any class.
TELLING = ("ElementName", "State", "EnabledState", "OperationalStatus")

#: Objects that a server is asked for at a time.
BATCH = 500

#: What comes between the name of a property and its value, and before what is embedded.
GAP, INDENT = "  ", "    "

PASSWORD_OCTETS = 4096

_SCHEMES = {"http": "http", "https": "https", "cimxml-wbem": "http", "cimxml-wbems": "https"}
_SERVER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\s]+)/?")
_URI = re.compile(
    r"(?:(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?//(?P<authority>[^/?#\s]+)/|/)?"
    r"(?:(?P<namespace>[^:.=\"']*):)?(?P<classname>\w+)(?:\.(?P<keys>.+)|(?P<single>=@))?",
    re.DOTALL,
)
_KEY = re.compile(r"""(\w+)=("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,"'\\]+)(,(?=.)|\Z)""", re.DOTALL)
_ESCAPE = re.compile(r"((?:\\[xX][0-9A-Fa-f]{1,4})+)|\\(.)", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
_RANGE = re.compile(r"(-?\d+)?\.\.(-?\d+)?")
_FINGERPRINT = re.compile(r'Fingerprints did not match.* got "([0-9a-f]+)"')
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_SECONDS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


# --- text -------------------------------------------------------------------------------------------------------------


def shown(text: str) -> str:
    """A text on one line, in which whatever is not printable (controls, escapes, marks of direction) is escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _visible(c) for c in text)


def _visible(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


# --- WBEM URIs --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a WBEM URI names. The values of keys are as they stand there: what they mean is known to the class only."""

    server: str | None = None
    namespace: str | None = None
    classname: str
    keys: tuple[tuple[str, str], ...] | None = None
    """None for a class; empty for the only instance of a class without keys."""


def place(text: str, scheme: str = "http") -> Place:
    """What a WBEM URI of an instance or a class names, with or without server and namespace; `scheme` is for `//host/...`.
    Invalid if it is none."""
    found = _URI.fullmatch(text)
    if found is None:
        raise Invalid(f'{shown(text)} is no path; it looks like root/virtmap:Class.Key="value", in single quotes')
    authority, keys = found["authority"], found["keys"]
    return Place(
        server=server_url(f"{found['scheme'] or scheme}://{authority}") if authority else None,
        namespace=(found["namespace"] or "").strip("/") or None,
        classname=found["classname"],
        keys=tuple(_keys(keys)) if keys else () if found["single"] else None,
    )


def server_url(text: str) -> str:
    """The URL of a server as http or https. Invalid if it is none, or holds a user, who is told apart."""
    found = _SERVER.fullmatch(text)
    if found is None or found[1].lower() not in _SCHEMES:
        raise Invalid(f"{shown(text)} is no server; it looks like https://host:5989")
    if "@" in found[2]:
        raise Invalid("a user is given by --user, not in the URL")
    return f"{_SCHEMES[found[1].lower()]}://{found[2]}"


def _keys(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        found = _KEY.match(text, position)
        if found is None:
            raise Invalid(
                f'{shown(text[position:])} is no key; it looks like Key="value", and the path is in single quotes'
            )
        yield found[1], found[2]
        position = found.end()


def _unquoted(text: str) -> str:
    """The text of a quoted value, its escapes resolved (DSP0004, annex A: stringValue)."""
    if text[:1] not in ("'", '"'):
        return text
    return _ESCAPE.sub(lambda e: _units(e[1]) if e[1] else _ESCAPED.get(e[2], e[2]), text[1:-1])


def _units(escapes: str) -> str:
    """A run of escapes is UTF-16, so that two of them may make one character."""
    units = b"".join(int(u, 16).to_bytes(2, "big") for u in re.findall(r"[xX]([0-9A-Fa-f]+)", escapes))
    return units.decode("utf-16-be", "surrogatepass")


def _quoted(text: str) -> str:
    """A text as a key: apostrophes are escaped too, so that no shell sees one."""
    return '"' + "".join(_key_character(c) for c in text) + '"'


def _key_character(character: str) -> str:
    if character in '\\"':
        return f"\\{character}"
    if character.isprintable() and character != "'":
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\x{units[i]:02X}{units[i + 1]:02X}" for i in range(0, len(units), 2))


def uri(path: Any, server: str = "", namespace: str | None = None) -> str:
    """The WBEM URI of the path of an instance or a class; `namespace` stands in where the path has none."""
    top = f"{server}/{shown(path.namespace or namespace or '')}:{shown(path.classname)}"
    if isinstance(path, pywbem.CIMClassName):
        return top
    keys = ",".join(f"{shown(name)}={_key(value)}" for name, value in path.keybindings.items())
    return f"{top}.{keys}" if keys else f"{top}=@"


def _key(value: Any) -> str:
    match value:
        case bool():
            return str(value).upper()
        case str():
            return _quoted(value)
        case pywbem.CIMInstanceName():
            return _quoted(uri(value))
        case pywbem.CIMDateTime():
            return _quoted(str(value))
        case _:
            return shown(str(value))


def _value(text: str, kind: str) -> Any:
    """The value of a key of this CIM type; Invalid if it has none. Quotes may be missing where nothing is in doubt."""
    bare = _unquoted(text)
    try:
        match kind:
            case "string" | "char16":
                return bare
            case "boolean" if bare.lower() in ("true", "false"):
                return bare.lower() == "true"
            case "datetime":
                return pywbem.CIMDateTime(bare)
            case "real32" | "real64":
                return pywbem.cimvalue(float(bare), kind)
            case _:
                return pywbem.cimvalue(int(bare), kind)
    except (ValueError, TypeError):
        raise Invalid(f"{shown(text)} is no {kind}") from None


# --- instances as lines -----------------------------------------------------------------------------------------------


def _qualified(declared: Any, name: str) -> Any:
    found = declared.qualifiers.get(name) if declared is not None else None
    return None if found is None else found.value


def unit(declared: Any) -> str:
    """The unit of a property in short, such as `KiB`; empty if it has none."""
    punit, units = _qualified(declared, "PUnit"), _qualified(declared, "Units")
    try:
        return shown(pywbem.siunit(punit=punit, units=units) or "") if punit or units else ""
    except ValueError:
        short = re.sub(r"\bhertz\b", "Hz", punit or units)  # pywbem 1.9 does not know that one
        return {"Hz * 10^3": "kHz", "Hz * 10^6": "MHz", "Hz * 10^9": "GHz"}.get(short, shown(short))


def label(value: Any, declared: Any) -> str:
    """What the class says that a value means, by ValueMap and Values or BitMap and BitValues; empty if it says nothing."""
    if declared is None or value is None or isinstance(value, bool):
        return ""
    values, bits = _qualified(declared, "Values"), _qualified(declared, "BitValues")
    if values and isinstance(value, int | str):
        found = _mapped(value, _qualified(declared, "ValueMap") or list(map(str, range(len(values)))), values)
        return shown(found) if found != str(value) else ""
    if bits and isinstance(value, int):
        positions = _qualified(declared, "BitMap") or list(map(str, range(len(bits))))
        named = zip(positions, bits, strict=False)
        return shown(" + ".join(n for bit, n in named if n and bit and bit.isdecimal() and value >> int(bit) & 1))
    return ""


def meaning(value: Any, declared: Any) -> str:
    """The label of a value, or the value in a larger unit; empty if there is nothing to say."""
    if found := label(value, declared):
        return found
    return _larger(value, unit(declared)) if isinstance(value, int) and not isinstance(value, bool) else ""


def _mapped(value: int | str, keys: Sequence[str], labels: Sequence[str]) -> str:
    """The label of a value: of itself, else of its range, else of the rest (`..`)."""
    table = {key: name for key, name in zip(keys, labels, strict=False) if key is not None and name is not None}
    if str(value) in table or isinstance(value, str):
        return table.get(str(value), "")
    for key, name in table.items():
        found = _RANGE.fullmatch(key)
        if found is None or key == "..":
            continue
        if (not found[1] or int(found[1]) <= value) and (not found[2] or value <= int(found[2])):
            return name
    return table.get("..", "")


def _larger(value: int, of: str) -> str:
    if of in _BYTES and value >= 1024:
        size = value << 10 * _BYTES.index(of)
        power = min((size.bit_length() - 1) // 10, len(_BYTES) - 1)
        return f"{size / (1 << 10 * power):.4g} {_BYTES[power]}" if _BYTES[power] != of else ""
    if of in _SECONDS and (seconds := int(value * _SECONDS[of])) >= 60:
        days, rest = divmod(seconds, 86400)
        clock = f"{rest // 3600}:{rest // 60 % 60:02}:{rest % 60:02}"
        return f"{days} d {clock}" if days else clock
    return ""


def moment(value: Any) -> str:
    """A CIM datetime as ISO 8601 with the local offset, or an interval as days and time."""
    if value.is_interval:
        return str(value.timedelta if isinstance(value.timedelta, timedelta) else value)
    try:
        return str(value.datetime.astimezone().isoformat(timespec="milliseconds"))
    except (OverflowError, ValueError, OSError):
        return str(value)


def plain(value: Any, server: str = "", namespace: str | None = None) -> Any:
    """A value for JSON: times as ISO 8601, references as WBEM URIs, what is embedded as an object."""
    match value:
        case None | bool():
            return value
        case list() | tuple():
            return [plain(v, server, namespace) for v in value]
        case pywbem.CIMDateTime():
            return moment(value)
        case pywbem.CIMInstanceName() | pywbem.CIMClassName():
            return uri(value, server, namespace)
        case pywbem.CIMInstance():
            return {
                "class": value.classname,
                "properties": {n: plain(p.value, server, namespace) for n, p in value.properties.items()},
            }
        case pywbem.CIMClass():
            return {"class": value.classname}
        case int():
            return int(value)
        case float():
            return float(value)
        case _:
            return str(value)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What is needed to put values into words: the classes, and where the instances are from."""

    declared: Callable[[str], Any]
    """The class of a name; None if it cannot be had."""
    server: str = ""
    namespace: str | None = None

    def declaration(self, instance: Any, name: str) -> Any:
        """The property of that name in the class of an instance; None if it cannot be had."""
        of = self.declared(instance.classname)
        return None if of is None else of.properties.get(name)

    def uri(self, path: Any) -> str:
        """The WBEM URI of a path from here."""
        return uri(path, self.server, self.namespace)

    def plain(self, value: Any) -> Any:
        """A value for JSON."""
        return plain(value, self.server, self.namespace)


def _text(value: Any, reader: Reader) -> str:
    match reader.plain(value):
        case None:
            return "NULL"
        case bool() as flag:
            return str(flag).lower()
        case {"class": name}:
            return shown(name)
        case "":
            return '""'
        case told:
            return shown(str(told))


def lines(instance: Any, reader: Reader, *, nulls: bool = False) -> Iterator[str]:
    """`Name  value unit (meaning)` for each property that has a value, and for all of them with `nulls`. Further lines of a
    text, and what is embedded, are indented, so that they cannot be taken for a property."""
    properties = [p for p in instance.properties.values() if nulls or p.value is not None]
    width = max((len(shown(p.name)) for p in properties), default=0)
    for found in properties:
        first, *rest = _value_lines(found.value, reader.declaration(instance, found.name), reader, nulls)
        yield f"{shown(found.name):{width}}{GAP}{first}".rstrip()
        yield from (f"{'':{width}}{GAP}{line}".rstrip() for line in rest)


def _value_lines(value: Any, declared: Any, reader: Reader, nulls: bool) -> list[str]:
    """At least one line."""
    many = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(v, pywbem.CIMInstance) for v in many):
        told = []
        for v in many:
            told.append(_text(v, reader))
            if isinstance(v, pywbem.CIMInstance):
                told += [f"{INDENT}{line}" for line in lines(v, reader, nulls=nulls)]
        return told
    if isinstance(value, str) and "\n" in value:
        return [shown(line) for line in value.expandtabs().splitlines()]
    return [", ".join(_explained(v, declared, reader) for v in many) or "(none)"]


def _explained(value: Any, declared: Any, reader: Reader) -> str:
    told = meaning(value, declared)
    parts = _text(value, reader), unit(declared) if value is not None else "", f"({told})" if told else ""
    return " ".join(p for p in parts if p)


def one_line(instance: Any, reader: Reader, names: Iterable[str] | None = None) -> str:
    """The quoted WBEM URI of an instance, and what the properties of these names, or all, say; NULL says nothing."""
    found = (instance.properties.get(name) for name in (instance.properties if names is None else names))
    told = [
        f"{shown(p.name)}={_brief(p.value, reader.declaration(instance, p.name), reader)}"
        for p in found
        if p is not None and p.value is not None
    ]
    return GAP.join((f"'{reader.uri(instance.path)}'", *told))


def _brief(value: Any, declared: Any, reader: Reader) -> str:
    """The label, or the value with its unit; a text with spaces is in quotes, so that it cannot look like two."""
    if isinstance(value, list | tuple):
        return ",".join(_brief(v, declared, reader) for v in value)
    told = label(value, declared) or _text(value, reader)
    if isinstance(value, str | int) and value != "" and (" " in told or '"' in told):
        told = '"' + told.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{told} {unit(declared)}".rstrip()


def record(instance: Any, reader: Reader, *, nulls: bool = False) -> dict[str, Any]:
    """An instance for JSON: where it is, the values of its properties, and what they mean where the class says so."""
    properties = [p for p in instance.properties.values() if nulls or p.value is not None]
    told: dict[str, Any] = {"path": reader.uri(instance.path), "class": instance.classname}
    told["properties"] = {p.name: reader.plain(p.value) for p in properties}
    declared = {p.name: reader.declaration(instance, p.name) for p in properties}
    told["meanings"] = {p.name: m for p in properties if (m := _labels(p.value, declared[p.name]))}
    told["units"] = {name: of for name, d in declared.items() if (of := unit(d))}
    return told


def _labels(value: Any, declared: Any) -> Any:
    if isinstance(value, list | tuple):
        found = [label(v, declared) for v in value]
        return found if any(found) else None
    return label(value, declared)


# --- a server ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where to look, who we are there, and how we know that it is the right one."""

    url: str
    namespace: str
    user: str | None = None
    password: Secret | None = None
    ca: str | None = None
    fingerprint: str | None = None
    """The SHA-256 of its certificate in hexadecimal digits, with or without colons, instead of an authority."""
    insecure: bool = False
    certificate: str | None = None
    key: str | None = None
    timeout: int = 30
    """Seconds to wait for an answer. To connect takes 10 at most, however many these are."""

    @property
    def exposes(self) -> bool:
        """Whether a password would be readable on the way."""
        host = urlsplit(self.url).hostname or ""
        near = host == "localhost" or is_loopback(host)
        return self.user is not None and self.url.startswith("http:") and not near


def kept_password(file: str) -> Secret:
    """The first line of a file that is its owner's alone, or of a pipe. Invalid if it is nothing of that."""
    try:
        with Path(file).open("rb") as opened:
            status = os.fstat(opened.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise Invalid(f"{file}: holds a password, and others may read or change it; chmod 600 keeps them out")
            text = opened.read(PASSWORD_OCTETS).decode().partition("\n")[0].removesuffix("\r")
    except OSError as error:
        raise Invalid(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise Invalid(f"{file}: is not UTF-8 text") from None
    if not text:
        raise Invalid(f"{file}: there is no password in its first line")
    return Secret(text)


@contextmanager
def connected(server: Server) -> Iterator[Browser]:
    """Looking into a server. What goes wrong in the block is told as one of agent.errors: Unreachable, Denied, NotFound or
    Failed; Invalid if the settings make no sense. Nothing of what pywbem warns of is printed."""
    _check(server)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            connection = _connection(server)
        except (ValueError, OSError) as error:
            raise Invalid(f"{shown(server.url)}: {shown(str(error))}") from error
        try:
            yield Browser(connection)
        except pywbem.Error as error:
            raise _told(error, server) from error
        finally:
            connection.close()


def _check(server: Server) -> None:
    """Files are read here first, because what requests says of them is no help."""
    tls = {"--ca": server.ca, "--fingerprint": server.fingerprint, "--insecure": server.insecure,
           "--certificate": server.certificate}  # fmt: skip
    given = [name for name, value in tls.items() if value]
    if server.url.startswith("http:") and given:
        raise Invalid(f"{given[0]} is for https, and the server is {shown(server.url)}")
    if server.insecure and (server.ca or server.fingerprint):
        raise Invalid("--insecure verifies nothing; leave it out, or --ca and --fingerprint")
    if server.key and not server.certificate:
        raise Invalid("--key needs its --certificate")
    if server.fingerprint and not re.fullmatch(r"[0-9A-Fa-f]{64}", server.fingerprint.replace(":", "")):
        raise Invalid("--fingerprint is a SHA-256, 64 hexadecimal digits")
    if server.user and ":" in server.user:
        raise Invalid("--user: a name with a colon cannot be told by HTTP")
    _check_files(server)


def _check_files(server: Server) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if server.ca:
            context.load_verify_locations(server.ca)
    except OSError as error:  # ssl.SSLError is one
        raise Invalid(f"--ca: {server.ca} is no PEM file of certificates: {_reason(error)}") from error
    try:
        if server.certificate:
            context.load_cert_chain(server.certificate, server.key, password=_no_password)
    except (OSError, ValueError) as error:
        raise Invalid(
            f"--certificate: {server.certificate} and {server.key or 'itself'} are not the PEM files of a certificate and "
            f"of its own key: {_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    return shown((error.strerror if isinstance(error, OSError) else None) or str(error))


def _no_password() -> str:
    raise ValueError("the key is encrypted")  # OpenSSL would ask at the terminal


def _connection(server: Server) -> Any:
    connection = pywbem.WBEMConnection(
        server.url,
        creds=(server.user, server.password.reveal()) if server.user and server.password else None,
        default_namespace=server.namespace,
        x509={"cert_file": server.certificate, "key_file": server.key} if server.certificate else None,
        ca_certs=server.ca,
        no_verification=server.insecure or (server.fingerprint is not None and server.ca is None),
        timeout=server.timeout,
        use_pull_operations=None,  # where the server has them
    )
    connection.session.trust_env = False
    connection.session.max_redirects = 0
    adapter = connection.session.get_adapter("https://")
    if server.fingerprint is not None:  # urllib3 holds it against the certificate before anything is sent
        adapter.init_poolmanager(1, 1, assert_fingerprint=server.fingerprint)
    adapter.max_retries = adapter.max_retries.new(connect=0)
    return connection


class Browser:
    """What people ask of a server. Objects come as pywbem has them, batch by batch."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._classes: dict[str, Any] = {}
        self.reader = Reader(declared=self._declared, server=connection.url, namespace=connection.default_namespace)

    def _declared(self, name: str) -> Any:
        if name.lower() not in self._classes:
            try:
                found = self._connection.GetClass(name, LocalOnly=False, IncludeQualifiers=True)
            except pywbem.CIMError:  # an embedded one need not be of this namespace; values go without words then
                found = None
            self._classes[name.lower()] = found
        return self._classes[name.lower()]

    def counts(self, *, associations: bool = False) -> tuple[dict[str, int], list[str]]:
        """How many instances each class has that has any, not counting those of subclasses, and which classes could not be
        read, with the reason. Each class at the top is asked once, which gives its subclasses too."""
        counted: Counter[str] = Counter()
        problems: list[str] = []
        tops = self._connection.EnumerateClasses(DeepInheritance=False, LocalOnly=True, IncludeQualifiers=True)
        for top in tops:
            if top.qualifiers.get("Indication") or (top.qualifiers.get("Association") and not associations):
                continue
            try:
                for path in self._connection.IterEnumerateInstancePaths(top.classname, MaxObjectCount=BATCH):
                    counted[path.classname] += 1
            except pywbem.CIMError as error:
                problems.append(f"{shown(top.classname)}: {_cim(error)}")
        if problems and not counted:
            raise Failed(f"nothing can be read; {problems[0]}")
        return dict(sorted(counted.items())), problems

    def properties(self, classname: str) -> list[str]:
        """The names of the properties of a class and of its subclasses."""
        own = self._connection.GetClass(classname, LocalOnly=False, IncludeQualifiers=False)
        below = self._connection.EnumerateClasses(
            ClassName=classname, DeepInheritance=True, LocalOnly=True, IncludeQualifiers=False
        )
        return list(dict.fromkeys(name for of in (own, *below) for name in of.properties))

    def instances(self, classname: str, names: Iterable[str] | None) -> Generator[Any, None, None]:
        """The instances of a class and of its subclasses, with these properties or all."""
        wanted = None if names is None else list(names)
        yield from self._connection.IterEnumerateInstances(
            classname, LocalOnly=False, DeepInheritance=True, PropertyList=wanted, MaxObjectCount=BATCH
        )

    def instance(self, where: Place) -> Any:
        """The instance at a place, with its path."""
        path = self._path(where)
        found = self._connection.GetInstance(path, LocalOnly=False)
        found.path = path
        return found

    def associators(self, path: Any) -> Iterator[Any]:
        """The paths of what belongs to an instance."""
        yield from self._connection.IterAssociatorInstancePaths(path, MaxObjectCount=BATCH)

    def _path(self, where: Place) -> Any:
        """The path in the types that its class has for the keys, which the text of a WBEM URI leaves open."""
        namespace = where.namespace or self._connection.default_namespace
        of = self._connection.GetClass(where.classname, namespace, LocalOnly=False, IncludeQualifiers=True)
        keys = {name: p for name, p in of.properties.items() if "Key" in p.qualifiers}
        bindings = {}
        for name, text in where.keys or ():
            found = of.properties.get(name)
            if found is None:
                raise Invalid(f"{where.classname} has no key {shown(name)}; it has {shown(', '.join(keys) or 'none')}")
            if found.type == "reference":
                bindings[found.name] = self._path(place(_unquoted(text)))
            else:
                bindings[found.name] = _value(text, found.type)
        return pywbem.CIMInstanceName(of.classname, keybindings=bindings, namespace=namespace)


# --- what goes wrong, in plain words ----------------------------------------------------------------------------------


def _cim(error: Any) -> str:
    """The name of a CIM status, and what the server says about it."""
    return f"{error.status_code_name}: {shown(error.status_description or '')}".rstrip(": ")


def _told(error: Any, server: Server) -> VirtmapError:
    where = shown(server.url)
    match error:
        case pywbem.CIMError():
            kinds = {pywbem.CIM_ERR_NOT_FOUND: NotFound, pywbem.CIM_ERR_ACCESS_DENIED: Denied}
            return kinds.get(error.status_code, Failed)(f"{where}: {_cim(error)}")
        case pywbem.AuthError() if server.user is None:
            return Denied(f"{where}: wants to know who you are; give --user, or --certificate")
        case pywbem.AuthError():
            return Denied(f"{where}: the password is wrong, or there is no user {shown(server.user or '')}")
        case pywbem.TimeoutError():
            return Unreachable(f"{where}: no answer within {server.timeout} s; --timeout waits longer")
        case pywbem.ConnectionError():
            return Unreachable(f"{where}: {_broken(error, server)}")
        case pywbem.HTTPError():
            return Failed(f"{where}: HTTP status {error.status}, {shown(str(error.reason))}")
        case pywbem.ParseError():
            return Failed(f"{where}: what it answers is no CIM-XML: {shown(str(error).partition(chr(10))[0][:200])}")
        case _:
            return Failed(f"{where}: {shown(str(error))}")


def _broken(error: Exception, server: Server) -> str:
    """Why there is no connection: what is deepest in the error of pywbem tells it best."""
    causes = list(_causes(error))
    for cause in causes:
        if found := _FINGERPRINT.search(str(cause)):
            return f"its certificate is another one, of the SHA-256 fingerprint {found[1]}"
    for cause in reversed(causes):
        match cause:
            case ssl.SSLCertVerificationError():
                why = shown(cause.verify_message)
                return f"its certificate cannot be verified: {why}; give its authority by --ca, or its --fingerprint"
            case ssl.SSLError():
                return f"TLS fails: {shown(cause.reason or str(cause))}; does it speak https there?"
            case socket.gaierror():
                return "there is no host of that name"
            case ConnectionRefusedError():
                return "nobody listens there; does the server run?"
            case TimeoutError():
                speaks = ", and does it speak https there" if server.url.startswith("https:") else ""
                return f"no answer; is the host up, and the port open{speaks}?"
            case http.client.RemoteDisconnected() | ConnectionResetError() | http.client.BadStatusLine():
                other = "https" if server.url.startswith("http:") else "http"
                return f"it ended the connection without an answer; does it speak {other} there?"
            case OSError() if cause.strerror:
                return shown(cause.strerror)
    if any(type(c).__name__ == "TooManyRedirects" for c in causes):
        return "it sends us elsewhere, and we do not go; ask the server that it means"
    return shown(str(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it was made of, outermost first; requests and urllib3 keep them as arguments too."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
