"""The modules about the agent itself, beside those of snmpd: the same objects, of the same types, indexed alike, and read by
net-snmp's tools with names from our text only."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.programs import program
from tests.running import Agent, environment, free_port, running
from tests.servers import eventually

MIBS = Path(__file__).resolve().parents[2] / "mibs"
MODULES = ("SNMPv2-MIB", "SNMP-FRAMEWORK-MIB", "SNMP-MPD-MIB", "SNMP-TARGET-MIB", "SNMP-NOTIFICATION-MIB",
           "SNMP-USER-BASED-SM-MIB", "SNMP-VIEW-BASED-ACM-MIB", "NOTIFICATION-LOG-MIB")  # fmt: skip
SUBTREES = (".1.3.6.1.2.1.1", ".1.3.6.1.2.1.11", ".1.3.6.1.2.1.92", ".1.3.6.1.6.3")
SNMPD_SERVES = ("system_mib", "sysORTable", "snmp_mib", "vacm_conf", "vacm_context", "vacm_vars", "usmConf", "usmStats",
                "usmUser", "snmpEngine", "snmpMPDStats", "setSerialNo", "targetTable", "snmpTargetAddrEntry",
                "snmpTargetParamsEntry", "snmpNotifyTable", "snmpNotifyFilterTable", "snmpNotifyFilterProfileTable",
                "notification", "notification_log", "target_counters")  # fmt: skip

COMMUNITY, OPERATING, TOLD = "astronomer", "navigator", "harbourmaster"
AUTH, PRIV = "a first long passphrase", "a second long passphrase"
SECRETS = (COMMUNITY, OPERATING, TOLD, AUTH, PRIV)

SNMPD = f"""\
rwcommunity {COMMUNITY} 127.0.0.1
createUser ann SHA-256 "{AUTH}" AES "{PRIV}"
rwuser ann priv
view few included .1.3.6.1.2.1 fc
trap2sink 127.0.0.1:{{sink}} {TOLD}
"""

OURS = f"""\
[[hypervisor]]
name = "left"
uri = "fake:///?domains=1"

[[hypervisor]]
name = "right"
uri = "fake:///?domains=1"

[state]
directory = "{{directory}}"

[snmp]
listen = ["127.0.0.1:{{port}}"]
location = "room 5"

[[snmp.view]]
name = "whole"
include = ["1.3.6.1"]

[[snmp.view]]
name = "few"
include = ["1.3.6.1.2.1"]
exclude = ["1.3.6.1.2.1.11"]

[[snmp.community]]
name = "{COMMUNITY}"
role = "administer"
view = "whole"

[[snmp.community]]
name = "{OPERATING}"
role = "operate"
sources = ["127.0.0.1"]

[[snmp.user]]
name = "ann"
role = "administer"
auth = "SHA-256"
auth_passphrase = "{AUTH}"
priv = "AES"
priv_passphrase = "{PRIV}"
view = "whole"

[[snmp.target]]
name = "noc"
address = "udp:127.0.0.1:{{sink}}"
version = "2c"
community = "{TOLD}"

[[snmp.target]]
name = "six"
address = "udp:[::1]:{{sink}}"
version = "3"
user = "ann"
exclude = ["1.3.6.1.6.3.1.1.5.5"]
"""

NOT_OURS = {
    # sysUpTime and snmpTrapEnterprise, which snmpd logs as variables too; no notification of ours has one of these types.
    "NOTIFICATION-LOG-MIB::nlmLogVariableTimeTicksVal",
    "NOTIFICATION-LOG-MIB::nlmLogVariableOidVal",
    # What RFC 3418 calls obsolete, and nobody counts here.
    *(f"SNMPv2-MIB::snmpIn{n}" for n in ("TooBigs", "NoSuchNames", "BadValues", "ReadOnlys", "GenErrs", "TotalReqVars",
      "TotalSetVars", "GetRequests", "GetNexts", "SetRequests", "GetResponses", "Traps")),
    *(f"SNMPv2-MIB::snmpOut{n}" for n in ("Pkts", "TooBigs", "NoSuchNames", "BadValues", "GenErrs", "GetRequests",
      "GetNexts", "SetRequests", "GetResponses", "Traps")),
    # Users are configured in files, and their names and protocols are nobody's business.
    *(f"SNMP-USER-BASED-SM-MIB::usmUser{n}" for n in ("SpinLock", "SecurityName", "CloneFrom", "AuthProtocol",
      "AuthKeyChange", "OwnAuthKeyChange", "PrivProtocol", "PrivKeyChange", "OwnPrivKeyChange", "Public", "StorageType",
      "Status")),
}  # fmt: skip
ONLY_OURS = {
    "SNMPv2-MIB::sysServices",  # snmpd has it only where it is configured
    # snmpd has no row for its log, no address for what it told itself, and its notifications carry no such values.
    *(f"NOTIFICATION-LOG-MIB::nlmLogEngine{n}" for n in ("TAddress", "TDomain")),
    *(f"NOTIFICATION-LOG-MIB::nlmConfigLog{n}" for n in ("FilterName", "EntryLimit", "AdminStatus", "OperStatus",
      "StorageType", "EntryStatus")),
    *(f"NOTIFICATION-LOG-MIB::nlmStatsLogNotifications{n}" for n in ("Logged", "Bumped")),
    *(f"NOTIFICATION-LOG-MIB::nlmLogVariable{n}Val" for n in ("Integer32", "OctetString", "Unsigned32", "Counter64")),
    *(f"SNMP-NOTIFICATION-MIB::snmpNotifyFilter{n}" for n in ("ProfileName", "ProfileStorType", "ProfileRowStatus",
      "Mask", "Type", "StorageType", "RowStatus")),
}  # fmt: skip

Tool = Callable[..., str]


@pytest.fixture(scope="module")
def sink() -> Iterator[int]:
    """A port to which notifications go unread."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, sink: int) -> Iterator[tuple[Agent, Path, int]]:
    place = tmp_path_factory.mktemp("ours")
    port = free_port(socket.SOCK_DGRAM)
    config = place / "virtmap.toml"
    config.write_text(OURS.format(directory=place / "state", port=port, sink=sink))
    with running("serve", "--config", str(config)) as agent:
        asked = ("-c", COMMUNITY, f"127.0.0.1:{port}")
        suspend = ("snmpset", *asked, "virtmapDomainAction.1", "=", "suspend")
        eventually(lambda: _tool(place, *suspend).returncode == 0, within=20, what="a domain that is suspended")
        logged = ("snmpwalk", *asked, "nlmLogVariableInteger32Val")
        eventually(lambda: " = INTEGER" in _tool(place, *logged).stdout, within=20, what="a notification in the log")
        yield agent, config, port


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory, sink: int) -> Iterator[int]:
    place = tmp_path_factory.mktemp("theirs")
    port = free_port(socket.SOCK_DGRAM)
    (place / "snmpd.conf").write_text(SNMPD.format(sink=sink))
    process = subprocess.Popen(
        [program("snmpd", "snmpd"), "-f", "-Lf", str(place / "log"), "-C", "-c", str(place / "snmpd.conf"),
         "-p", str(place / "pid"), "-I", ",".join(SNMPD_SERVES), f"udp:127.0.0.1:{port}"],
        env={**environment(), "SNMP_PERSISTENT_DIR": str(place), "SNMPCONFPATH": str(place), "MIBS": ""},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: process.poll() is None and _answers(port, place), within=15, what="an answer of snmpd")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int, place: Path) -> bool:
    tried = _tool(place, "snmpget", "-t", "0.2", "-r", "0", "-c", COMMUNITY, f"127.0.0.1:{port}", "sysUpTime.0")
    return tried.returncode == 0


def _tool(place: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {"SNMPCONFPATH": str(place), "SNMP_PERSISTENT_DIR": str(place)}
    return subprocess.run(
        [program(name, "snmp"), "-v2c", "-M", f"{MIBS}:{MIBS / 'standard'}", "-m", "ALL", *arguments],
        capture_output=True, text=True, timeout=60, env={**environment(), **own}, check=False,
    )  # fmt: skip


def walked(place: Path, port: int, *options: str, community: str = COMMUNITY) -> list[tuple[str, str]]:
    """Every variable of the modules, by name, and its value with the name of its type."""
    out: list[tuple[str, str]] = []
    for subtree in SUBTREES:
        arguments = ("-c", community, "-Cr30", *options, f"127.0.0.1:{port}", subtree)
        done = _tool(place, "snmpbulkwalk", *arguments)
        assert done.returncode == 0, done.stderr
        for line in re.split(r"\n(?=\S+ = |\S.*::)", done.stdout.strip()):
            name, separator, shown = line.partition(" = ")
            if separator and "No more variables" not in shown and "No Such" not in shown:
                out.append((name, shown))
    return out


def objects(walk: list[tuple[str, str]]) -> dict[str, str]:
    """The type that each object is shown with. net-snmp shows an empty string without one."""
    return {
        name.partition(".")[0]: "STRING" if shown == '""' else shown.partition(":")[0].replace("Hex-STRING", "STRING")
        for name, shown in walk
    }


def test_our_objects_are_those_of_snmpd_with_the_same_types(
    tmp_path: Path, ours: tuple[Agent, Path, int], theirs: int
) -> None:
    here, there = objects(walked(tmp_path, ours[2])), objects(walked(tmp_path, theirs))
    assert {name.partition("::")[0] for name in here} == set(MODULES)
    assert set(there) - set(here) == NOT_OURS
    assert set(here) - set(there) == ONLY_OURS
    assert {name: kind for name, kind in here.items() if there.get(name, kind) != kind} == {}


def test_indexes_are_read_as_the_text_says(tmp_path: Path, ours: tuple[Agent, Path, int], theirs: int) -> None:
    """Names of instances are those that net-snmp makes of indexes; of the tables that both have rows in, they look alike."""

    def shapes(walk: list[tuple[str, str]]) -> dict[str, str]:
        made = {}
        for name, _ in walk:
            column, _, instance = name.partition(".")
            shape = re.sub(r"'[^']*'", "'s'", re.sub(r'"[^"]*"', '"s"', instance))
            made[column] = re.sub(
                r"\b\d+(\.\d+)*", "n", re.sub(r"\b(noAuthNoPriv|authNoPriv|authPriv)$", "level", shape)
            )
        return made

    here, there = shapes(walked(tmp_path, ours[2])), shapes(walked(tmp_path, theirs))
    assert {n: s for n, s in here.items() if there.get(n, s) != s} == {}
    names = {name for name, _ in walked(tmp_path, ours[2])}
    assert "SNMP-TARGET-MIB::snmpTargetAddrTAddress.'noc'" in names
    assert 'SNMP-VIEW-BASED-ACM-MIB::vacmAccessReadViewName."ann"."".3.authPriv' in names
    assert 'SNMP-VIEW-BASED-ACM-MIB::vacmViewTreeFamilyType."few".7.1.3.6.1.2.1.11' in names
    assert 'SNMP-VIEW-BASED-ACM-MIB::vacmContextName."right"' in names


def test_values_are_shown_by_name(tmp_path: Path, ours: tuple[Agent, Path, int]) -> None:
    shown = dict(walked(tmp_path, ours[2]))
    assert shown["SNMPv2-MIB::sysLocation.0"] == "STRING: room 5"
    assert shown["SNMP-TARGET-MIB::snmpTargetAddrStorageType.'noc'"] == "INTEGER: readOnly(5)"
    assert shown["SNMP-TARGET-MIB::snmpTargetParamsSecurityName.'noc'"] == "STRING: snmp.target[0]"
    assert shown["SNMP-TARGET-MIB::snmpTargetParamsSecurityLevel.'six'"] == "INTEGER: authPriv(3)"
    assert shown["SNMP-NOTIFICATION-MIB::snmpNotifyType.'trap'"] == "INTEGER: trap(1)"
    assert shown['SNMP-VIEW-BASED-ACM-MIB::vacmGroupName.3."ann"'] == "STRING: ann"
    assert shown['NOTIFICATION-LOG-MIB::nlmLogNotificationID."".1'] == "OID: SNMPv2-MIB::coldStart"
    assert shown['NOTIFICATION-LOG-MIB::nlmConfigLogOperStatus.""'] == "INTEGER: operational(2)"
    resources = {v.partition("OID: ")[2] for n, v in shown.items() if n.startswith("SNMPv2-MIB::sysORID.")}
    assert {
        "SNMPv2-MIB::snmpMIB",
        "SNMP-VIEW-BASED-ACM-MIB::snmpVacmMIB",
        "VIRTMAP-DOMAIN-MIB::virtmapDomainMIB",
    } <= resources


def test_no_secret_is_in_a_walk_of_everything(tmp_path: Path, ours: tuple[Agent, Path, int]) -> None:
    """In letters, and in the digits of octets, which is how a name hides one."""
    for options in ((), ("-On", "-Ox")):
        arguments = ("-c", COMMUNITY, "-Cr50", *options, f"127.0.0.1:{ours[2]}", ".1")
        everything = _tool(tmp_path, "snmpbulkwalk", *arguments).stdout
        assert everything.count("\n") > 300
        for secret in SECRETS:
            octets = secret.encode()
            assert secret not in everything
            assert octets.hex(" ").upper() not in everything.upper()
            assert ".".join(map(str, octets)) not in everything


def test_the_default_view_hides_who_may_do_what(tmp_path: Path, ours: tuple[Agent, Path, int]) -> None:
    seen = {name.partition(".")[0] for name, _ in walked(tmp_path, ours[2], community=OPERATING)}
    assert not [name for name in seen if re.search("::(vacm|snmpTarget|snmpNotify|usmUser)", name)]
    assert {"SNMP-TARGET-MIB::snmpUnknownContexts", "SNMP-USER-BASED-SM-MIB::usmStatsWrongDigests"} <= seen


def test_what_is_set_with_snmpset_outlives_the_agent(tmp_path: Path, sink: int) -> None:
    port = free_port(socket.SOCK_DGRAM)
    config = tmp_path / "virtmap.toml"
    config.write_text(OURS.format(directory=tmp_path / "state", port=port, sink=sink))

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _tool(tmp_path, name, "-Oqv", "-c", COMMUNITY, f"127.0.0.1:{port}", *arguments)

    with running("serve", "--config", str(config)):
        serial = run("snmpget", "snmpSetSerialNo.0").stdout.strip()
        done = run("snmpset", "snmpSetSerialNo.0", "=", serial, "sysContact.0", "=", "Jo",
                   "snmpEnableAuthenTraps.0", "=", "disabled")  # fmt: skip
        assert done.returncode == 0, done.stderr
        late = run("snmpset", "snmpSetSerialNo.0", "=", serial, "sysContact.0", "=", "Ed")
        assert "inconsistentValue" in late.stderr
        assert "notWritable" in run("snmpset", "sysLocation.0", "=", "elsewhere").stderr
    with running("serve", "--config", str(config)):
        again = run("snmpget", "sysContact.0", "snmpEnableAuthenTraps.0", "sysLocation.0").stdout.split("\n")
        assert again[:3] == ["Jo", "disabled", "room 5"]


def test_a_reload_shows_other_targets_and_contacts(tmp_path: Path, sink: int) -> None:
    port = free_port(socket.SOCK_DGRAM)
    config = tmp_path / "virtmap.toml"
    before = OURS.format(directory=tmp_path / "state", port=port, sink=sink)
    config.write_text(before)
    with running("serve", "--config", str(config)) as agent:
        assert "SNMP-TARGET-MIB::snmpTargetAddrParams.'noc'" in dict(walked(tmp_path, port))
        config.write_text(before.replace('name = "noc"', 'name = "desk"').replace("room 5", "room 6"))
        os.kill(agent.process.pid, signal.SIGHUP)

        def reloaded() -> dict[str, str] | None:
            shown = dict(walked(tmp_path, port))
            return shown if shown["SNMPv2-MIB::sysLocation.0"] == "STRING: room 6" else None

        shown = eventually(reloaded, within=20, what="the new configuration")
        assert shown is not None
        assert "SNMP-TARGET-MIB::snmpTargetAddrParams.'desk'" in shown
        assert "SNMP-TARGET-MIB::snmpTargetAddrParams.'noc'" not in shown
