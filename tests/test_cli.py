"""The command: what each verb prints, and that an error is one line that says what to do."""

import io
import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
from pathlib import Path

import argon2
import pytest

import agent
from agent.cli import main
from agent.demo import self_signed
from tests.running import ANY_PORT, VIRTMAP, Agent, environment, free_port, running
from tests.servers import eventually


def failing(capsys: pytest.CaptureFixture[str], status: int, *arguments: str) -> str:
    """The one line on stderr of a command that fails with this status."""
    assert main(arguments) == status
    captured = capsys.readouterr()
    assert captured.err.startswith("virtmap: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err


# --- help and errors


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    for verb in ("serve", "demo", "check-config", "generate", "show", "cim", "coverage", "hash-password"):
        assert f"  {verb} " in told
        assert main([verb, "--help"]) == 0
        assert "Usage: virtmap" in capsys.readouterr().out


def test_no_verb_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Commands:" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"virtmap, version {agent.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["sreve"], r"No such command 'sreve' \(see `virtmap --help`\)"),
        (["serve"], r"Missing option '--config' \(see `virtmap serve --help`\)"),
        (["serve", "--config", "/nowhere/x.toml"], "/nowhere/x.toml: No such file or directory"),
        (["check-config", "/nowhere/x.toml"], "/nowhere/x.toml: No such file or directory"),
        (["demo", "--snmp-port", "70000"], "70000 is not in the range 0<=x<=65535"),
        (["demo", "--uri", "fake:///?domain=1", *ANY_PORT], "the fake knows no option domain; it knows domains, disks"),
        (["show", "spoon"], "there is no table spoon; there are host, domain, vcpu, vcpustatistic, "),
        (["show", "domain", "--columns", "nme"], "Domain has no column 'nme'; did you mean name"),
        (["show", "domain", "--columns", "%"], "Domain has no column '%'; it has uuid, name, "),
        (["show", "domain", "--uri", "fake:///?domains=x"], "domains must be a whole number"),
        (["cim", "get"], r"Missing argument 'PATH' \(see `virtmap cim get --help`\)"),
        (["cim", "get", "Virtmap_Domain"], r"that is a class; .*ls Virtmap_Domain.* \(see `virtmap cim get --help`\)"),
        (["cim", "get", "a b"], "a b is no path; it looks like root/virtmap:Class"),
        (["cim", "ls", 'C.K="v"'], "that is one instance; `virtmap cim get` tells about it"),
        (["cim", "ls", "--server", "ftp://host"], "ftp://host is no server; it looks like https://host:5989"),
        (["cim", "ls", "--password-file", "x"], "--password-file needs the --user that it is of"),
        (["cim", "ls", "--fingerprint", "00", "--server", "https://host"], "64 hexadecimal digits"),
    ],
)
def test_a_wrong_command_is_told_in_one_line(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = failing(capsys, 2, *arguments)
    assert told in line or re.search(told, line)


def test_a_hypervisor_that_is_not_there_is_told_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    uri = f"qemu+unix:///system?socket={tmp_path / 'none'}"
    assert "cannot connect" in failing(capsys, 1, "show", "domain", "--uri", uri)


def test_a_demo_of_a_hypervisor_that_is_not_there_says_so_and_ends(tmp_path: Path) -> None:
    uri = f"qemu+unix:///system?socket={tmp_path / 'none'}"
    done = subprocess.run(
        [*VIRTMAP, "demo", "--uri", uri, *ANY_PORT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "ready" not in done.stdout
    assert re.fullmatch(rf"virtmap: {re.escape(uri)} cannot be read: .*; try --uri test:///default\n", done.stderr)


# --- check-config

RIGHT = """
[[hypervisor]]
name = "local"
uri = "test:///default"
[snmp]
listen = ["127.0.0.1:10161"]
[[snmp.community]]
name = "swordfish"
"""


def test_a_right_configuration_is_told_without_its_secrets(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "virtmap.toml"
    file.write_text(RIGHT)
    assert main(["check-config", str(file)]) == 0
    told = capsys.readouterr().out
    assert told == f"{file}: is right: hypervisors local; SNMP on 127.0.0.1:10161; 1 community, 0 users, 0 accounts\n"


def test_a_misspelt_key_is_named_with_its_path(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "virtmap.toml"
    file.write_text(RIGHT + 'sorces = ["::1"]\n')
    told = failing(capsys, 2, "check-config", str(file))
    assert told == f"virtmap: {file}: snmp.community[0].sorces: unknown key; did you mean sources?\n"


def test_certificates_that_are_not_there_are_found_before_serving(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "virtmap.toml"
    file.write_text(RIGHT + f'[cim]\ncertificate = "{tmp_path}/c.pem"\nkey = "{tmp_path}/k.pem"\n')
    assert "cim.certificate: " in failing(capsys, 2, "check-config", str(file))
    self_signed(tmp_path)
    file.write_text(RIGHT + f'[cim]\ncertificate = "{tmp_path}/certificate.pem"\nkey = "{tmp_path}/key.pem"\n')
    assert main(["check-config", str(file)]) == 0
    assert "CIM on https://127.0.0.1:5989" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["client_ca", "indication_ca"])
def test_authorities_of_cim_are_read_before_serving(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, key: str
) -> None:
    file = tmp_path / "virtmap.toml"
    for named in ("nowhere.pem", "virtmap.toml"):
        file.write_text(RIGHT + f'[cim]\n{key} = "{named}"\n')
        assert f"cim.{key}: " in failing(capsys, 2, "check-config", str(file))
    self_signed(tmp_path)
    file.write_text(RIGHT + f'[cim]\n{key} = "certificate.pem"\n')
    assert main(["check-config", str(file)]) == 0


def test_files_of_snmp_over_tls_are_read_before_serving(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "virtmap.toml"
    files = 'certificate = "certificate.pem"\nkey = "key.pem"\nclient_ca = "certificate.pem"\n'
    file.write_text(RIGHT.replace('listen = ["', f'{files}listen = ["tls:'))
    assert "snmp.certificate: " in failing(capsys, 2, "check-config", str(file))
    self_signed(tmp_path)
    assert main(["check-config", str(file)]) == 0
    told = capsys.readouterr()
    assert "SNMP on tls:127.0.0.1:10161" in told.out
    assert "snmp.client_certificate: there is none, so nobody can read over TLS" in told.err


def test_what_nobody_can_read_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "virtmap.toml"
    file.write_text(RIGHT.partition("[[snmp.community]]")[0] + '[cim]\nlisten = ["http://127.0.0.1:5988"]\n')
    assert main(["check-config", str(file)]) == 0
    snmp, cim = capsys.readouterr().err.splitlines()
    assert snmp == (
        f"virtmap: {file}: snmp.user: there is none, so nobody can read by SNMP; add [[snmp.user]] or [[snmp.community]]"
    )
    assert cim == f"virtmap: {file}: account: there is none, so nobody can read by CIM; add [[account]]"


def test_what_shows_only_in_use_is_told_with_its_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "virtmap.toml"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        file.write_text(RIGHT.replace("127.0.0.1:10161", where) + f'[state]\ndirectory = "{tmp_path}"\n')
        told = failing(capsys, 2, "serve", "--config", str(file))
    assert told == f"virtmap: {file}: snmp.listen: cannot listen on {where}: Address already in use\n"
    file.write_text(RIGHT.replace("test:///default", "fake:///?domain=1"))
    assert f"{file}: fake:///?domain=1: the fake knows no option" in failing(capsys, 2, "check-config", str(file))


@pytest.mark.parametrize(
    ("option", "kind", "path"),
    [("--snmp-port", socket.SOCK_DGRAM, "snmp.listen"), ("--http-port", socket.SOCK_STREAM, "cim.listen")],
)
def test_a_taken_port_of_the_demonstration_says_what_to_do(
    option: str, kind: socket.SocketKind, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        told = failing(capsys, 2, "demo", "--uri", "fake:///?domains=1", *ANY_PORT, option, str(port))
    assert told == (
        f"virtmap: {path}: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "--snmp-port, --http-port, --https-port take others, 0 a free one\n"
    )


# --- show, coverage, generate, hash-password


def test_show_prints_rows_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "domain", "--json", "--uri", "fake:///?domains=2"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in rows] == ["guest1", "guest2"]
    assert rows[0]["state"] == "running"
    assert rows[0]["autostart"] in (True, False)
    assert rows[0]["refreshed"].endswith("+00:00")


def test_show_says_that_there_is_nothing_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "vcpu", "--uri", "fake:///?domains=0"]) == 0
    assert capsys.readouterr() == ("", "fake:///?domains=0 has no vcpu\n")
    assert main(["show", "vcpu", "--json", "--uri", "fake:///?domains=0"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_show_reads_the_test_driver(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "Domains", "--json"]) == 0
    # another test of this process may have left its own domains there: all its connections share one hypervisor
    told = {row["name"]: row["uuid"] for row in json.loads(capsys.readouterr().out)}
    assert told["test"] == "6695eb01-f6a4-8304-79aa-97f2502e193f"


def test_show_prints_a_table_of_the_columns_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "disk", "--columns", "target,bus", "--uri", "fake:///?domains=1"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"vda +│ virtio", told)
    assert "source" not in told


def test_show_says_what_it_leaves_out_and_prints_all_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "domain", "--uri", "fake:///?domains=1"]) == 0
    captured = capsys.readouterr()
    assert "more columns have values" in captured.err
    assert max(map(len, captured.out.splitlines())) <= 80
    assert main(["show", "host", "--all", "--uri", "fake:///?domains=1"]) == 0
    assert re.search(r"^hostname +fake\.example$", capsys.readouterr().out, re.MULTILINE)


def test_coverage_counts_and_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["coverage"]) == 0
    assert re.search(r"│ core 9.0.0 +│ +388 │( +\d+ │){6}", capsys.readouterr().out)
    assert main(["coverage", "--json"]) == 0
    functions = {f["name"]: f for f in json.loads(capsys.readouterr().out)}
    assert functions["virDomainSuspend"]["cim"] == ["Virtmap_Domain.Suspend"]
    assert functions["virDomainFree"]["reason"]


def test_what_is_generated_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--check"]) == 0
    assert capsys.readouterr().out == "everything is as the mapping says\n"


def test_a_password_becomes_an_argon2_hash(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("swordfish\n"))
    assert main(["hash-password"]) == 0
    printed = capsys.readouterr().out.strip()
    assert argon2.PasswordHasher().verify(printed, "swordfish")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert "empty password" in failing(capsys, 2, "hash-password")


# --- demo


def test_the_commands_that_the_demo_prints_all_work(demo: Agent) -> None:
    expected = {
        "virtmapDomainTable": "VIRTMAP-DOMAIN-MIB::virtmapDomainName.1 = STRING: test",
        "virtmapReadingTable": "Domain",
        "virtmapDomainState.1": "running(2)",
        "virtmapDomainAction.1": "suspend(6)",
        "cim ls": "ElementName=test  State=paused",
        "cim get": "State                    4 (paused)",
        "enumerate Virtmap_Domain": "4 (paused)",
        "associators": "Virtmap_Vcpu.",
        "invokemethod": "ReturnValue=0",
        "wbemcli -nl": '-ElementName="vda"',
    }
    commands = demo.commands
    assert len(commands) == len(expected)
    for command, (part, told) in zip(commands, expected.items(), strict=True):
        assert part in command
        done = subprocess.run(
            command, shell=True, capture_output=True, text=True, timeout=60, check=False, env=environment()
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert told in done.stdout, f"{command}\n{done.stdout}{done.stderr}"


def test_what_cim_lists_it_can_tell_about(demo: Agent, capsys: pytest.CaptureFixture[str]) -> None:
    server = ("--server", f"http://127.0.0.1:{demo.port('http://')}")
    assert main(["cim", "ls", *server]) == 0
    assert re.search(r"Virtmap_Domain +│ +1 ", capsys.readouterr().out)
    assert main(["cim", "ls", "CIM_System", *server]) == 0
    printed = capsys.readouterr().out
    (path,) = (shlex.split(line)[0] for line in printed.splitlines() if "ElementName=test " in line)
    assert main(["cim", "get", path, "-a", "--server", "http://127.0.0.1:1"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^ElementName +test$", told, re.MULTILINE)
    assert re.search(r"^Memory +\d+ KiB \(\d+ GiB\)$", told, re.MULTILINE)
    assert re.search(r"^'http://127\.0\.0\.1:\d+/root/virtmap:Virtmap_Vcpu\..*'$", told, re.MULTILINE)
    assert re.search(r"^associators: \d+ \(.*2 Virtmap_Vcpu", told, re.MULTILINE)
    assert main(["cim", "get", path, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["path"], record["properties"]["ElementName"], record["units"]["Memory"]) == (path, "test", "KiB")
    assert record["associators"]["Virtmap_Vcpu"] == 2
    assert main(["cim", "ls", "Virtmap_Vcpu", "--columns", "Number,State", "--json", *server]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [set(r["properties"]) for r in listed] == [{"Number", "State"}] * 2
    assert main(["cim", "ls", "Virtmap_DiskLatency", *server]) == 0
    assert capsys.readouterr() == ("", f"{server[1]} has no Virtmap_DiskLatency\n")
    assert main(["cim", "ls", "Virtmap_DiskLatency", "--json", *server]) == 0
    assert json.loads(capsys.readouterr().out) == []
    told = failing(capsys, 2, "cim", "ls", "Virtmap_Domain", "--columns", "Memry", *server)
    assert "Virtmap_Domain has no column 'Memry'; did you mean Memory" in told


def test_the_password_is_read_from_where_nobody_sees_it(
    demo: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text(f"{demo.secret}\n")
    monkeypatch.setenv("VIRTMAP_CIM_SERVER", f"https://127.0.0.1:{demo.port('https://')}")
    told = failing(capsys, 1, "cim", "ls", "Virtmap_Host", "--user", "operator", "--password-file", str(file))
    assert "its certificate cannot be verified: self-signed certificate" in told
    arguments = ["cim", "ls", "Virtmap_Host", "--insecure", "--user", "operator"]
    assert main([*arguments, "--password-file", str(file)]) == 0
    assert "whoever answers is believed (--insecure)" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    assert main(arguments) == 1
    assert "the password is wrong, or there is no user operator" in capsys.readouterr().err


def test_the_public_community_only_reads(demo: Agent) -> None:
    (setting,) = (c for c in demo.commands if c.startswith("snmpset"))
    credentials = re.compile(r"-v3 .* -X \w+")
    assert credentials.search(setting)
    read = shlex.split(credentials.sub("-v2c -c public", setting))
    done = subprocess.run(read, capture_output=True, text=True, timeout=30, check=False, env=environment())
    assert done.returncode != 0
    assert "noAccess" in done.stderr


def test_nothing_of_a_demo_remains(tmp_path: Path) -> None:
    env = {**environment(), "TMPDIR": str(tmp_path)}
    with running("demo", "--uri", "fake:///", *ANY_PORT, env=env):
        (folder,) = tmp_path.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == []


def test_each_demo_has_a_secret_of_its_own(demo: Agent) -> None:
    with running("demo", "--uri", "fake:///?domains=0", *ANY_PORT) as other:
        assert other.secret != demo.secret
        assert "0 domains" in other.output
        assert not [c for c in other.commands if "Action" in c]


# --- serve


def serving(tmp_path: Path, uri: str = "fake:///") -> tuple[Path, int]:
    """A configuration file with every front end, and its SNMP port."""
    certificate, key = self_signed(tmp_path)
    port = free_port(socket.SOCK_DGRAM)
    file = tmp_path / "virtmap.toml"
    file.write_text(
        f"""
[[hypervisor]]
name = "local"
uri = "{uri}"
[snmp]
listen = ["127.0.0.1:{port}"]
[[snmp.community]]
name = "public"
[cim]
listen = ["https://127.0.0.1:0"]
certificate = "{certificate}"
key = "{key}"
[state]
directory = "{tmp_path / "state"}"
[inventory]
call_limit = 0.5
"""
    )
    return file, port


def snmpget(port: int, name: str) -> str:
    done = subprocess.run(
        ["snmpget", "-v2c", "-c", "public", "-t", "1", "-r", "3", "-On", f"127.0.0.1:{port}", name],
        capture_output=True, text=True, timeout=30, check=False, env=environment(),
    )  # fmt: skip
    return done.stdout + done.stderr


def test_serve_answers_and_stops_by_either_signal(tmp_path: Path) -> None:
    file, port = serving(tmp_path)
    for number in (signal.SIGTERM, signal.SIGINT):
        with running("serve", "--config", str(file)) as agent_:
            assert agent_.port("SNMP on") == port
            assert "virtmap" in snmpget(port, ".1.3.6.1.2.1.1.1.0")
            agent_.process.send_signal(number)
            assert agent_.process.wait(15) == 0


def test_serve_remembers_across_restarts(tmp_path: Path) -> None:
    file, port = serving(tmp_path, "fake:///?domains=2")
    name = ".1.3.6.1.4.1.36957.20.1.2.1.2"
    answers = []
    for _ in range(2):
        with running("serve", "--config", str(file)):
            eventually(lambda: "STRING" in snmpget(port, f"{name}.2"), what="the second domain")
            answers.append(snmpget(port, f"{name}.1"))
    assert answers[0] == answers[1]


def test_a_second_agent_with_the_same_state_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, _ = serving(tmp_path)
    with running("serve", "--config", str(file)):
        assert "is in use by another virtmap" in failing(capsys, 2, "serve", "--config", str(file))


def test_serve_ends_although_its_hypervisor_hangs(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        deaf.listen()
        file, port = serving(tmp_path, f"qemu+unix:///system?socket={tmp_path / 'deaf'}")
        with running("serve", "--config", str(file)):
            connection, _ = deaf.accept()
            assert "virtmap" in snmpget(port, ".1.3.6.1.2.1.1.1.0")
        connection.close()


def test_sighup_reloads_what_can_be_reloaded_and_tells_what_waits(tmp_path: Path) -> None:
    file, port = serving(tmp_path, "fake:///?domains=1")
    name = ".1.3.6.1.2.1.1.6.0"
    before = file.read_text()

    def reload(text: str, agent_: Agent) -> None:
        file.write_text(text)
        agent_.process.send_signal(signal.SIGHUP)

    with running("serve", "--config", str(file)) as agent_:
        assert "cellar" not in snmpget(port, name)
        reload(before.replace("[[snmp.community]]", 'location = "cellar"\n[[snmp.community]]'), agent_)
        eventually(lambda: "cellar" in snmpget(port, name), what="the new location")
        reload("[snmp", agent_)
        eventually(lambda: "not reloaded: " in agent_.complaints(), what="the line of the log")
        assert "is not TOML" in agent_.complaints()
        assert "cellar" in snmpget(port, name)
        reload(
            before.replace('name = "public"', 'name = "private"').replace("call_limit = 0.5", "call_limit = 1"), agent_
        )
        eventually(lambda: "Timeout" in snmpget(port, name), what="the end of the community")
        assert "waits for a restart: inventory.call_limit" in agent_.complaints()
        assert "private" not in agent_.complaints()


def test_output_into_a_closed_pipe_is_no_error() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with running("demo", "--uri", "fake:///", *ANY_PORT) as demo:
        assert demo.output
    done = subprocess.run(
        [demo.process.args[0], "show", "domain", "--json", "--uri", "fake:///?domains=500"],  # type: ignore[index]
        stdout=theirs, stderr=subprocess.PIPE, timeout=30, check=False,
    )  # fmt: skip
    os.close(theirs)
    assert b"Traceback" not in done.stderr
