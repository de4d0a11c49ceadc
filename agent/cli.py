"""The `virtmap` command: thin, every verb calls one function.

An error is one line on stderr that says what to do. The exit status is 2 when the command or the configuration is wrong,
1 when something failed.
"""

import asyncio
import difflib
import errno
import getpass
import json
import logging
import os
import shutil
import ssl
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import argon2
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

import agent
from agent import coverage as proof
from agent import demo as demonstration
from agent.__main__ import Agent, driver, run
from agent.config import Config, Hypervisor, Transport, load
from agent.demo import Addresses, Example
from agent.driver import Batch, Driver
from agent.errors import ConfigError, DeclarationError, Failed, Invalid, VirtmapError
from agent.model import MODEL, Domain, Host
from agent.schema import numbers
from agent.schema.declare import Row
from agent.schema.types import Enumeration, Secret, canonical
from agent.workers import Workers

if TYPE_CHECKING:
    from agent.cim.browse import Browser, Place, Server

FIRST_READING = 15.0
"""Seconds that the demonstration waits for its hypervisor."""

SHOW_LIMIT = 60.0
"""Seconds that `show` waits for each call to a hypervisor."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(agent.__version__, prog_name="virtmap")
@click.pass_context
def virtmap(context: click.Context) -> None:
    """The full libvirt driver API as SNMP MIB tables and CIM classes."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        context.exit(2)


@virtmap.command()
@click.option("--config", "file", required=True, type=click.Path(path_type=Path), help="The TOML configuration.")
@click.option("--verbose", is_flag=True, help="Log every request.")
def serve(file: Path, verbose: bool) -> None:
    """Serve a configuration until SIGTERM or Ctrl-C; SIGHUP has it read again."""
    config = load(file)
    _log_to_stderr(logging.DEBUG if verbose else logging.INFO)
    with _of(file):
        asyncio.run(run(config, _serving, lambda: load(file)))


async def _serving(_: Agent, addresses: Addresses) -> None:
    click.echo(f"ready: {addresses}")


@virtmap.command()
@click.option("--uri", default="test:///default", show_default=True, help="The hypervisor, as a libvirt URI.")
@click.option("--snmp-port", default=10161, show_default=True, type=click.IntRange(0, 65535))
@click.option("--http-port", default=15988, show_default=True, type=click.IntRange(0, 65535))
@click.option("--https-port", default=15989, show_default=True, type=click.IntRange(0, 65535))
def demo(uri: str, snmp_port: int, http_port: int, https_port: int) -> None:
    """Serve one hypervisor on loopback, and tell what to try. Port 0 takes a free one.

    `fake:///?domains=10000` is a hypervisor in memory with that many domains.
    """
    _log_to_stderr(logging.ERROR)  # a hypervisor that cannot be reached is told once, as the error of the command
    directory = Path(tempfile.mkdtemp(prefix="virtmap-demo-"))
    try:
        config, secret = demonstration.configuration(
            uri, snmp=snmp_port, http=http_port, https=https_port, directory=directory
        )
        asyncio.run(run(config, lambda served, addresses: _demonstrate(served, addresses, secret)))
    except ConfigError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.EADDRINUSE, errno.EACCES):
            raise ConfigError(f"{error}; --snmp-port, --http-port, --https-port take others, 0 a free one") from error
        raise
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _demonstrate(served: Agent, addresses: Addresses, secret: Secret) -> None:
    inventory = served.inventories[demonstration.HYPERVISOR]
    if not await _read(served):
        raise Failed(f"{inventory.driver.uri} cannot be read: {_problem(served)}; try --uri test:///default")
    domains = inventory.snapshot.table(Domain)
    example = Example(index=domains.indexes[0][0], uuid=domains.records[0][0]) if len(domains) else None
    click.echo(f"virtmap {agent.__version__}: {inventory.driver.uri}, {_counted(len(domains), 'domain')}")
    click.echo(f"reading: community {demonstration.PUBLIC}, and HTTP without credentials; from this machine only")
    click.echo(
        f"operating: community {secret.reveal()}; SNMPv3 user {demonstration.OPERATOR} and CIM account "
        f"{demonstration.OPERATOR}, password {secret.reveal()}"
    )
    click.echo("\nTry, in another terminal:\n")
    certificate = served.config.cim.certificate or "" if served.config.cim else ""
    commands = demonstration.trials(addresses, secret, example, certificate=certificate, beside=_beside)
    for what, command in commands:
        click.echo(f"# {what}\n{command}\n")
    click.echo(f"ready: {addresses}; Ctrl-C ends it")
    logging.getLogger().setLevel(logging.WARNING)


def _counted(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


async def _read(served: Agent) -> bool:
    """Whether the first reading is there; waits for it, but not once a connection was refused."""
    deadline = time.monotonic() + FIRST_READING
    while await served.read(1.0):
        if time.monotonic() > deadline or served.inventories[demonstration.HYPERVISOR].snapshot.number > 0:
            return False
    return True


def _problem(served: Agent) -> str:
    """Why the hypervisor of the demonstration cannot be read, as its host row tells."""
    (row,) = served.inventories[demonstration.HYPERVISOR].snapshot.table(Host).rows()
    return str(row.as_dict()["problem"])


def _beside(program: str) -> str:
    """A program of the environment that we run in, by a name that works from the current directory."""
    path = Path(sys.executable).with_name(program)
    if not path.exists():
        return program
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


@virtmap.command("check-config")
@click.argument("file", type=click.Path(path_type=Path))
def check_config(file: Path) -> None:
    """Say whether a configuration can be used."""
    config = load(file)
    with _of(file):
        _check_files(config)
    click.echo(f"{file}: is right: {_told(config)}")
    for left_out in _left_out(config):
        click.echo(f"virtmap: {file}: {left_out}", err=True)


@contextmanager
def _of(file: Path) -> Iterator[None]:
    """Names the configuration in what is found wrong with it when it is used."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error


def _left_out(config: Config) -> Iterator[str]:
    """What may be meant so, and more likely was forgotten."""
    snmp = config.snmp
    if snmp is not None and not (config.communities or config.users or config.certificates or snmp.agentx):
        yield "snmp.user: there is none, so nobody can read by SNMP; add [[snmp.user]] or [[snmp.community]]"
    if snmp is not None and not config.certificates and any(e.transport is Transport.TLS for e in snmp.listen):
        yield "snmp.client_certificate: there is none, so nobody can read over TLS; add [[snmp.client_certificate]]"
    if config.cim is not None and not config.accounts and not config.cim_certificates:
        yield "account: there is none, so nobody can read by CIM; add [[account]]"
    if config.cim is not None and config.cim.cleartext and any(not e.loopback for e in config.cim.http):
        yield "cim.cleartext: passwords of accounts can be read by everybody on the way; use https"


def _check_files(config: Config) -> None:
    """What only shows when it is used: certificate and key, the drivers' URIs, the directory of the state."""
    from agent.cim.certificates import tls_context, trust
    from agent.cim.indications.trust import trusting
    from agent.snmp import service, tls

    if config.snmp is not None and (files := service.tls_files(config)) is not None:
        tls.context(files)
    if config.cim is not None and config.cim.certificate is not None and config.cim.key is not None:
        tls_context(config.cim.certificate, config.cim.key, config.cim.client_ca)
    elif config.cim is not None and config.cim.client_ca is not None:
        trust(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), config.cim.client_ca)
    if config.cim is not None:
        trusting(config.cim.indication_ca)
    for hypervisor in config.hypervisors:
        driver(hypervisor)
    directory = Path(config.state.directory).absolute()
    there = next(p for p in (directory, *directory.parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"state.directory: {directory} cannot be written by this user")


def _told(config: Config) -> str:
    names = ", ".join(h.name for h in config.hypervisors)
    cim = config.cim
    addresses = Addresses(
        snmp=config.snmp.listen if config.snmp else (), http=cim.http if cim else (), https=cim.https if cim else ()
    )
    who = [
        _counted(len(config.communities), "community", "communities"),
        _counted(len(config.users), "user"),
        _counted(len(config.accounts), "account"),
    ]
    return f"hypervisors {names}; {addresses}; {', '.join(who)}"


@virtmap.command(short_help="Write MIB, MOF and manual from the mapping.")
@click.option("--check", is_flag=True, help="Write nothing; fail if anything would change.")
def generate(check: bool) -> None:
    """Write the MIB modules, the MOF and the reference manual from the mapping."""
    from agent import generate as generation  # it needs the templates, which nothing else does

    ledger = Path(agent.__file__).parent / "model" / numbers.FILE
    if check:
        told = generation.check() + numbers.breaches(MODEL, ledger.read_text("utf-8"))
        if told:
            raise Failed("\n".join(told))
        click.echo("everything is as the mapping says")
        return
    try:
        added = numbers.append(MODEL, ledger)
    except DeclarationError as error:
        raise Failed(f"{ledger.name}: {error}") from error
    for name in generation.write():
        click.echo(name)
    for line in added:
        click.echo(f"{ledger.name}: {line}")


@virtmap.command()
@click.argument("table")
@click.option("--uri", default="test:///default", show_default=True, help="The hypervisor, as a libvirt URI.")
@click.option("--columns", metavar="A,B,...", help="Which columns, by name.")
@click.option("--all", "everything", is_flag=True, help="All columns, one a line.")
@click.option("--json", "as_json", is_flag=True, help="All columns, as JSON.")
def show(table: str, uri: str, columns: str | None, everything: bool, as_json: bool) -> None:
    """Print the rows of a TABLE, straight from a hypervisor; no server is needed."""
    row = _row(table)
    wanted = _columns(row, columns)
    rows = asyncio.run(_rows(driver(Hypervisor(name="local", uri=uri)), row))
    if not rows and not as_json:
        click.echo(f"{uri} has no {row.__name__.lower()}", err=True)
    elif as_json:
        click.echo(json.dumps([_plain(r) for r in rows], indent=2, ensure_ascii=False))
    elif everything:
        _print_records(rows)
    else:
        _print_table(row, rows, wanted)


def _row(name: str) -> type[Row]:
    shown = [r for r in MODEL.rows if not r.internal]
    for row in shown:
        if name.lower() in (row.__name__.lower(), f"{row.__name__}s".lower()):
            return row
    raise click.UsageError(f"there is no table {name}; there are {', '.join(r.__name__.lower() for r in shown)}")


def _columns(row: type[Row], columns: str | None) -> list[str] | None:
    if columns is None:
        return None
    return _known(columns, row.positions, row.__name__)


def _known(columns: str, names: Collection[str], of: str) -> list[str]:
    """The columns of a list with commas, each of which has to be one of these names."""
    wanted = [c.strip() for c in columns.split(",")]
    for column in wanted:
        if column not in names:
            near = difflib.get_close_matches(column, names, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(names)}"
            raise click.UsageError(f"{of} has no column {column!r}; {hint}")
    return wanted


async def _rows(source: Driver, row: type[Row]) -> list[Row]:
    """All rows of a table; what could not be read is told on stderr. A hypervisor that hangs is not waited for."""
    workers = Workers(1, "virtmap-show")
    try:
        await workers.run(source.connect, limit=SHOW_LIMIT, what=f"{source.uri}: connect")
        plan = await workers.run(source.plan, limit=SHOW_LIMIT, what=f"{source.uri}: list")
        found: list[Row] = []
        for piece in plan.pieces:
            if all(root[0] is not row.root() for root in piece.roots):
                continue
            batch: Batch = await workers.run(piece.read, limit=SHOW_LIMIT, what=f"{source.uri}: read")
            found += [r for r in batch.rows if type(r) is row]
            for error in batch.failed.values():
                click.echo(f"virtmap: {error}", err=True)
        return found
    finally:
        workers.close()


def _plain(row: Row) -> dict[str, Any]:
    """A row as JSON has it: enumerations by label, times as ISO 8601."""
    return {name: _simple(value) for name, value in row.as_dict().items()}


def _simple(value: Any) -> Any:
    return canonical(value) if isinstance(value, Enumeration | datetime) else value


def _print_table(row: type[Row], rows: Sequence[Row], wanted: list[str] | None) -> None:
    """The wanted columns, or those that have values, as many as fit side by side."""
    console = Console()
    filled = [n for n, i in row.positions.items() if any(r.values[i] is not None for r in rows)]
    texts = {n: [_text(r.values[row.positions[n]]) for r in rows] for n in wanted or filled}
    names = wanted or _fitting(texts, console.width)
    table = Table()
    for name in names:
        right = row.fields[row.positions[name]].semantic.python is int
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for line in zip(*(texts[n] for n in names), strict=True):
        table.add_row(*map(Text, line))
    console.print(table)
    if len(names) < len(texts):
        click.echo(f"{len(texts) - len(names)} more columns have values; see --columns, --all and --json", err=True)


def _text(value: Any) -> str:
    return "" if value is None else canonical(value)


def _fitting(texts: dict[str, list[str]], width: int) -> list[str]:
    """The first columns that fit in a width with their borders; what comes after a wide one may still fit."""
    left, names = width - 1, list[str]()
    for name, column in texts.items():
        needed = max(map(len, (name, *column))) + 3
        if needed <= left or not names:
            names.append(name)
            left -= needed
    return names


def _print_records(rows: Sequence[Row]) -> None:
    for row in rows:
        for name, value in row.as_dict().items():
            click.echo(f"{name:32} {_text(value)}".rstrip())
        click.echo()


@virtmap.group("cim", invoke_without_command=True)
@click.pass_context
def of_cim(context: click.Context) -> None:
    """Look into a running WBEM server, ours or any other."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        context.exit(2)


def _of_a_server(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that looks into a server; it gets them together, as `options`."""
    file = click.Path(dir_okay=False)
    options = (
        click.option("--server", default="http://127.0.0.1:5988", show_default=True, envvar="VIRTMAP_CIM_SERVER",
                     show_envvar=True, metavar="URL", help="Where to look; a server in the path goes before it."),
        click.option("--namespace", default="root/virtmap", show_default=True, help="Where the path has none."),
        click.option("--user", help="Who you are; the password is asked for."),
        click.option("--password-file", type=file, help="The password instead, in a file that is yours alone."),
        click.option("--ca", type=file, help="PEM file of the authorities that may vouch for the server."),
        click.option("--fingerprint", metavar="SHA256", help="That of the server's certificate, instead of --ca."),
        click.option("--insecure", is_flag=True, help="Do not verify which server answers."),
        click.option("--certificate", type=file, help="PEM file of a certificate that says who you are."),
        click.option("--key", type=file, help="PEM file of its key."),
        click.option("--timeout", default=30, show_default=True, type=click.IntRange(min=1), metavar="SECONDS",
                     help="How long to wait for each answer."),
        click.option("--json", "as_json", is_flag=True, help="As JSON."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@of_cim.command("ls", short_help="List instances of a class, or which classes have any.")
@click.argument("classname", metavar="[CLASS]", required=False)
@click.option("--columns", metavar="A,B,...", help="Which properties, by name.")
@click.option("--all", "everything", is_flag=True, help="All properties with values; without CLASS also associations.")
@_of_a_server
def cim_ls(classname: str | None, columns: str | None, everything: bool, as_json: bool, **options: Any) -> None:
    """List the instances of a CLASS and its subclasses, one a line, or without CLASS how many there are of each.

    A line begins with a path in single quotes, as `virtmap cim get` takes it.
    """
    from agent.cim import browse

    with _looking(classname, options) as (found, where):
        if where is None:
            _print_counts(*found.counts(associations=everything), as_json=as_json)
            return
        if where.keys is not None:
            raise Invalid(f"that is one instance; `virtmap cim get` tells about it, `ls {where.classname}` lists all")
        wanted: Sequence[str] | None = None if everything else browse.TELLING
        if columns is not None:
            wanted = _known(columns, found.properties(where.classname), where.classname)
        with closing(found.instances(where.classname, wanted)) as instances:
            if as_json:
                _print_array(browse.record(i, found.reader) for i in instances)
                return
            instance = None
            for instance in instances:
                click.echo(browse.one_line(instance, found.reader, wanted))
            if instance is None:
                click.echo(f"{browse.shown(found.reader.server)} has no {where.classname}", err=True)


@of_cim.command("get", short_help="Tell all about one instance.")
@click.argument("path")
@click.option("--null", "nulls", is_flag=True, help="Also properties that are NULL.")
@click.option("-a", "--associators", is_flag=True, help="List what belongs to it, by path.")
@_of_a_server
def cim_get(path: str, nulls: bool, associators: bool, as_json: bool, **options: Any) -> None:
    """Tell all about the instance at PATH, a WBEM URI in single quotes, as `virtmap cim ls` prints it.

    Server and namespace may be left out: 'root/virtmap:Class.Key="value"', 'Class.Key="value"'.
    """
    from agent.cim import browse

    with _looking(path, options) as (found, where):
        if where is None or where.keys is None:
            raise Invalid(f"that is a class; `virtmap cim ls {browse.shown(path)}` lists its instances")
        instance = found.instance(where)
        if as_json:
            told = browse.record(instance, found.reader, nulls=nulls)
            paths = found.associators(instance.path)
            told["associators"] = (
                [found.reader.uri(p) for p in paths] if associators else Counter(p.classname for p in paths)
            )
            click.echo(json.dumps(told, indent=2))
            return
        for line in browse.lines(instance, found.reader, nulls=nulls):
            click.echo(line)
        counted: Counter[str] = Counter()
        for p in found.associators(instance.path):
            counted[browse.shown(p.classname)] += 1
            if associators:
                click.echo(f"'{found.reader.uri(p)}'")
        by_class = ", ".join(f"{number} {name}" for name, number in sorted(counted.items()))
        click.echo(f"associators: {counted.total()}" + (f" ({by_class})" if by_class else ""))


@contextmanager
def _looking(path: str | None, options: dict[str, Any]) -> Iterator[tuple["Browser", "Place | None"]]:
    """Into the server of a path, or of the options; what makes no sense there is told as a wrong command."""
    from agent.cim import browse

    try:
        where = browse.place(path, scheme=options["server"].partition(":")[0]) if path else None
        url = where.server if where and where.server else browse.server_url(options["server"])
        names = ("user", "ca", "fingerprint", "insecure", "certificate", "key", "timeout")
        namespace = where.namespace if where and where.namespace else options["namespace"]
        server = browse.Server(url=url, namespace=namespace, **{n: options[n] for n in names})
        server = replace(server, password=_password(server, options["password_file"]))
        if server.insecure:
            click.echo(f"virtmap: {browse.shown(url)}: whoever answers is believed (--insecure)", err=True)
        if server.exposes:
            click.echo(f"virtmap: {browse.shown(url)}: the password can be read on the way; use https", err=True)
        with browse.connected(server) as found:
            yield found, where
    except Invalid as error:
        raise click.UsageError(str(error), click.get_current_context()) from error


def _password(server: "Server", file: str | None) -> Secret | None:
    from agent.cim import browse

    if server.user is None:
        if file is not None:
            raise Invalid("--password-file needs the --user that it is of")
        return None
    if file is not None:
        return browse.kept_password(file)
    if sys.stdin.isatty():
        return Secret(getpass.getpass(f"Password of {server.user} at {server.url}: "))
    return Secret(sys.stdin.readline().rstrip("\n"))


def _print_counts(counts: dict[str, int], problems: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(counts, indent=2))
    else:
        from agent.cim import browse

        table = Table("class", "instances")
        table.columns[1].justify = "right"
        for name, number in counts.items():
            table.add_row(Text(browse.shown(name)), str(number))
        Console().print(table)
    for problem in problems:
        click.echo(f"virtmap: {problem}", err=True)


def _print_array(records: Iterable[dict[str, Any]]) -> None:
    """A JSON array, an element a line, as they come."""
    before = "["
    for record in records:
        click.echo(f"{before}\n{json.dumps(record)}", nl=False)
        before = ","
    click.echo("\n]" if before == "," else "[]")


@virtmap.command(short_help="Say how much of libvirt's API is mapped.")
@click.option("--json", "as_json", is_flag=True, help="Every function with what maps it, as JSON.")
@click.option("--check", is_flag=True, help="Name what is missing, and fail if anything is.")
def coverage(as_json: bool, check: bool) -> None:
    """Say how much of libvirt's API is mapped, left out for a reason, or missing.

    The functions are those that the installed libvirt describes (its development files hold the description), and newer ones
    that virtmap knows.
    """
    described = proof.described()
    found = proof.coverage(MODEL, described)
    if as_json:
        _print_array(c.as_json() for c in found)
    else:
        Console().print(_coverage_table(found))
        click.echo(_held_against(described))
    if check and (missing := [c.function.name for c in found if c.missing]):
        raise Failed(f"{_counted(len(missing), 'function is', 'functions are')} missing: {', '.join(missing)}")


def _coverage_table(found: Sequence[proof.Covered]) -> Table:
    heads = [f"{side.name}\n{word}" for side in proof.Side for word in _COVERAGE_WORDS]
    table = Table("group", "of", *heads)
    for column in table.columns[1:]:
        column.justify = "right"
    groups = dict.fromkeys(c.function.group for c in found if c.function.mappable)
    for group in groups:
        table.add_row(group, *_coverage_cells([c for c in found if c.function.group == group]))
    table.add_section()
    table.add_row("all", *_coverage_cells(found))
    table.add_row("core 9.0.0", *_coverage_cells([c for c in found if c.function.counted]))
    return table


_COVERAGE_WORDS = ("mapped", "left out", "missing")


def _coverage_cells(found: Sequence[proof.Covered]) -> list[str]:
    snmp, cim = (proof.counts(found, side) for side in proof.Side)
    return [str(snmp.total)] + [str(n) for c in (snmp, cim) for n in (c.mapped, c.left_out, c.missing)]


def _held_against(described: Sequence[proof.Description]) -> str:
    if not described:
        return "Held against virtmap's own table of functions: libvirt's API description is not installed."
    files = ", ".join(
        f"{d.path} ({d.library} {d.version}, {_counted(len(d.functions), 'function')})" for d in described
    )
    return f"Held against {files}, and newer functions that virtmap knows."


@virtmap.command("hash-password", short_help="Make the hash of a password for a configuration.")
def hash_password() -> None:
    """Ask for a password, and print the hash of it that a configuration holds."""
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise Failed("the two are not the same")
    else:
        password = sys.stdin.readline().rstrip("\n")
    if not password:
        raise click.UsageError("an empty password protects nothing")
    click.echo(argon2.PasswordHasher().hash(password))


def _log_to_stderr(level: int) -> None:
    logging.basicConfig(level=level, format="%(asctime)s %(name)s %(levelname)s %(message)s", stream=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit status."""
    try:
        result = virtmap.main(args=arguments, prog_name="virtmap", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "virtmap"
        return _failed(f"{error.format_message().removesuffix('.')} (see `{where} --help`)", 2)
    except click.Abort:
        return _failed("interrupted", 130)
    except ConfigError as error:
        return _failed(str(error), 2)
    except (VirtmapError, click.ClickException) as error:
        return _failed(str(error), 1)
    except SystemExit:  # so click ends when nobody reads on: `virtmap show domain | head` is no error
        return 0


def _failed(why: str, status: int) -> int:
    click.echo(f"virtmap: {why}", err=True)
    return status
