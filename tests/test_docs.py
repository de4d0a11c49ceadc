"""The README tells the truth: its commands are run, its configuration is read, its lists are held against the files."""

import re
import socket
import subprocess
import sys
import time
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from agent import config as configuration
from agent.config import load, parse
from agent.demo import self_signed
from agent.errors import ConfigError
from agent.hypervisors import KINDS, TRANSPORTS, fault_of
from tests.running import Agent, environment, free_port, running
from tests.servers import eventually

TOP = Path(__file__).parents[1]
README = (TOP / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, str]]:
    """Each command of the README with the output that it shows."""
    found: list[tuple[str, str]] = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def as_here(command: str, demo: Agent) -> str:
    """A command of the README, for the agent that really runs and the environment that we are in."""
    for port, protocol in (("10161", "SNMP on"), ("15988", "http://"), ("15989", "https://")):
        command = command.replace(f"127.0.0.1:{port}", f"127.0.0.1:{demo.port(protocol)}")
    return command.replace("SECRET", demo.secret).replace(".venv/bin", str(Path(sys.executable).parent))


def said(command: str, demo: Agent) -> str:
    """What a command of the README prints here."""
    done = subprocess.run(
        as_here(command, demo), shell=True, cwd=TOP, capture_output=True, text=True, timeout=60, check=False,
        env={**environment(), "COLUMNS": "100"},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def test_every_command_prints_what_the_readme_shows(demo: Agent) -> None:
    assert len(examples()) >= 6
    for command, shown in examples():
        wanted = ".*".join(re.escape(part) for part in shown.split("...\n"))
        printed = said(command, demo)
        until = time.monotonic() + 10.0
        # Nobody types as fast as this: an operation that was asked for just now may still run.
        while (
            command.startswith("snmpget ") and not re.fullmatch(wanted, printed, re.DOTALL) and time.monotonic() < until
        ):
            printed = said(command, demo)
        assert re.fullmatch(wanted, printed, re.DOTALL), f"{command}\n{printed}"


# --- the configuration


def written(text: str, folder: Path) -> Path:
    """The configuration of the README as a file, beside the files with secrets that it names."""
    for name in re.findall(r'^\w+_file = "([^"]+)"', text, re.MULTILINE):
        file = folder / name
        file.touch(mode=0o600)
        file.write_text(f"the passphrase in {name}\n")
    file = folder / "virtmap.toml"
    file.write_text(text)
    return file


def test_the_configuration_of_the_readme_is_right(tmp_path: Path) -> None:
    whole, logs = blocks("toml")
    config = load(written(f"{whole}\n{logs}", tmp_path))
    assert config.alarms
    assert config.logs.rules
    assert config.logs.retention is not None
    assert config.snmp is not None
    assert {e.transport for e in config.snmp.listen} == set(configuration.Transport)
    assert config.snmp.agentx is not None
    assert config.cim is not None
    assert config.cim.https
    for entries in (config.communities, config.users, config.certificates, config.views, config.targets):
        assert entries


def test_the_configuration_of_the_readme_serves_a_user_of_version_3(tmp_path: Path) -> None:
    text, _ = blocks("toml")
    port = free_port(socket.SOCK_DGRAM)
    certificate, key = self_signed(tmp_path)
    for there, here in (
        ('uri = "qemu:///system"', 'uri = "fake:///"'),
        ("esx://esx.example.net/", "test:///default"),
        (
            '["0.0.0.0:161", "[::]:161", "tcp:127.0.0.1:161", "tls:0.0.0.0:10161"]',
            f'["127.0.0.1:{port}", "tls:127.0.0.1:0"]',
        ),
        ('["http://127.0.0.1:5988", "https://0.0.0.0:5989"]', '["https://127.0.0.1:0"]'),
        ("/etc/virtmap/certificate.pem", str(certificate)),
        ("/etc/virtmap/managers.pem", str(certificate)),
        ("/etc/virtmap/key.pem", str(key)),
        ("/var/agentx/master", f"{tmp_path}/agentx"),
        ("/var/lib/virtmap", f"{tmp_path}/state"),
        ("udp:192.0.2.1:162", f"udp:127.0.0.1:{free_port(socket.SOCK_DGRAM)}"),
    ):
        assert there in text, there
        text = text.replace(there, here)
    (command,) = re.findall(r"^    (snmpget -v3 .*)$", README, re.MULTILINE)
    command = command.replace("192.0.2.7", f"127.0.0.1:{port}").replace(
        "snmpget ", "snmpget -M mibs:mibs/standard -m ALL "
    )
    command = command.replace("mibs", str(TOP / "mibs"))
    with running("serve", "--config", str(written(text, tmp_path))):

        def answer() -> str | None:
            done = subprocess.run(
                command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
                env=environment(),
            )  # fmt: skip
            return done.stdout if done.returncode == 0 else None

        told = eventually(answer, what="the answer to a user of version 3")
    assert told is not None
    assert told.startswith("SNMPv2-MIB::sysName.0 = STRING: ")


LEAST = '[[hypervisor]]\nname = "a"\nuri = "fake:"\n[snmp]\n'
TABLES = {
    "community": configuration.Community,
    "user": configuration.SnmpUser,
    "client_certificate": configuration.SnmpCertificate,
    "view": configuration.SnmpView,
    "target": configuration.SnmpTarget,
}


def known(table: str) -> set[str]:
    """The keys that a table of the configuration knows, as it tells itself; a key and its file are one."""
    with pytest.raises(ConfigError, match="known here: ") as error:
        parse(f"{LEAST}{table}\nxyzzy = 1\n")
    return {k.removesuffix("_file") for k in str(error.value).partition("known here: ")[2].split(", ")}


def section(name: str) -> str:
    return README.split(f"## {name}\n")[1].split("\n## ")[0]


def test_every_key_of_snmp_is_explained() -> None:
    table = section("Serving for real").partition("| key of `[snmp]` |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)
    explained = {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}
    assert explained == known("") - set(TABLES)
    assert explained == {f.name for f in fields(configuration.Snmp)}


def test_every_key_of_a_hypervisor_is_explained() -> None:
    table = section("Serving for real").partition("| key of `[[hypervisor]]` |")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)
    explained = {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}
    assert explained == {f.name for f in fields(configuration.Hypervisor)}


def test_every_kind_of_hypervisor_and_every_way_to_one_is_shown_by_a_uri() -> None:
    text = section("Serving for real").partition("### Hypervisors")[2].partition("\n### ")[0]
    shown = [uri for uri in re.findall(r"`([^`]+)`", text) if ":" in uri]
    assert [uri for uri in shown if fault_of(uri) is not None] == []
    schemes = [uri.partition(":")[0].partition("+") for uri in shown]
    assert {kind for kind, _, _ in schemes} == set(KINDS)
    assert {transport for _, _, transport in schemes if transport} | {"libssh2"} == set(TRANSPORTS)
    assert set(re.findall(r"`\+(\w+)`", text)) == set(TRANSPORTS)


@pytest.mark.parametrize("name", TABLES)
def test_every_key_of_the_tables_of_snmp_is_named_with_whether_it_is_needed(name: str) -> None:
    (row,) = re.findall(rf"^\| `\[\[snmp\.{name}\]\]` \| (.*) \|$", section("Serving for real"), re.MULTILINE)
    needed = {f.name for f in fields(TABLES[name]) if f.default is MISSING}
    assert set(re.findall(r"\*`(\w+)`\*", row)) == needed
    assert set(re.findall(r"`(\w+)`", row)) - {"default"} == known(f"[[snmp.{name}]]")


def test_every_protocol_is_named() -> None:
    named = re.findall(
        r"\b(?:MD5|DES|SHA|AES)(?:-\d+)?(?:-C)?\b", section("Serving for real").split("`auth` is one of")[1]
    )
    assert {*configuration.AUTH_PROTOCOLS, *configuration.PRIV_PROTOCOLS} <= set(named)


# --- names of files and other things


def test_what_the_map_of_the_readme_names_is_there() -> None:
    section = README.split("## Where things are")[1].split("\n## ")[0]
    named = [name for line in section.splitlines() if line.startswith("| `") for name in re.findall(r"`([^`]+)`", line)]
    named = [n for n in named if "/" in n]
    assert len(named) > 10
    # the folders of tests stand without tests/ in the row of that folder
    assert [n for n in named if not (TOP / n).exists() and not (TOP / "tests" / n).is_dir()] == []


def test_files_that_the_readme_names_exist() -> None:
    named = set(re.findall(r"`((?:agent|drivers|tests|mibs|mof)/[\w./]+)`", README))
    named |= set(re.findall(r"\]\(([\w./]+)\)", README))
    assert [n for n in sorted(named) if not (TOP / n).exists()] == []


def test_every_dependency_is_explained() -> None:
    section = README.split("## What it is built on")[1]
    explained = set(re.findall(r"^\| ([\w-]+) \|", section, re.MULTILINE)) - {"dependency"}
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[>=<]", d)[0] for d in project["dependencies"]}
    assert explained == wanted


@pytest.mark.parametrize("target", ["run", "test", "lint", "generate", "bench", "soak"])
def test_every_habit_is_a_target_of_the_makefile(target: str) -> None:
    makefile = (TOP / "Makefile").read_text("utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_changelog_has_the_present_version() -> None:
    import agent

    assert f"## {agent.__version__}" in (TOP / "CHANGELOG.md").read_text("utf-8")


def test_the_constraints_hold_names_and_versions_only() -> None:
    lines = (TOP / "constraints.txt").read_text("utf-8").splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line)] == []
