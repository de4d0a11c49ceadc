"""The configuration: strict, with errors that name the path, and safe by its rules."""

import errno
import ipaddress
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config import (
    ANYWHERE,
    AUTH_PROTOCOLS,
    LEVELS,
    LOCAL_RECEIVERS,
    LOOPBACK,
    PASSPHRASE_OCTETS,
    PRIV_PROTOCOLS,
    SECRET_FILE_OCTETS,
    USER_OCTETS,
    Account,
    AlarmRule,
    Cim,
    CimCertificate,
    Community,
    Config,
    Endpoint,
    EventSettings,
    Inventory,
    Receivers,
    Snmp,
    SnmpCertificate,
    SnmpEndpoint,
    SnmpTarget,
    SnmpUser,
    SnmpView,
    Transport,
    UnixSocket,
    load,
    needs_restart,
    parse,
    reloaded,
)
from agent.driver import LogSettings, Retention
from agent.errors import ConfigError
from agent.model.alarm import AlarmKind
from agent.model.log import LogKind
from agent.model.occurrence import PerceivedSeverity
from agent.schema.declare import Access, Severity
from agent.schema.types import Secret
from agent.snmp import message3, protection, usm

HASH = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$VfP4X0XRHvkfFvzXLOEwzg"

WHOLE = f"""
[[hypervisor]]
name = "local"
uri = "qemu:///system"

[[hypervisor]]
name = "far"
uri = "qemu+tls://far.example/system"

[snmp]
listen = ["127.0.0.1:10161", "udp:[::1]:161", "tcp:127.0.0.1:10161", "tls:0.0.0.0:10161"]
engine_id = "0x80009069051234"
contact = "ops@example.org"
name = "hypervisor7.example.org"
location = ""
answer_limit = 1472
agentx = "unix:/var/agentx/master"
agentx_role = "operate"
certificate = "/etc/virtmap/cert.pem"
key = "/etc/virtmap/key.pem"
client_ca = "/etc/virtmap/ca.pem"
operations_per_user = 2
authentication_traps = false
vm_notifications = true
vm_bulk_notifications = true
log_limit = 50

[[snmp.community]]
name = "public"
role = "observe"
sources = ["192.0.2.0/24", "127.0.0.1"]
hypervisor = "far"
view = "guests"
rate = 20
versions = ["2c"]

[[snmp.community]]
name = "swordfish"
role = "operate"

[[snmp.user]]
name = "ops"
role = "administer"
auth = "SHA-512"
auth_passphrase = "swordfish of ops"
priv = "AES-256-C"
priv_passphrase = "swordfish in cipher"
view = "guests"
hypervisors = ["local"]
sources = ["192.0.2.0/24"]
rate = 0.5

[[snmp.user]]
name = "graphs"
auth = "MD5"
auth_passphrase = "swordfish"
level = "authNoPriv"

[[snmp.user]]
name = "anybody"
level = "noAuthNoPriv"

[[snmp.client_certificate]]
fingerprint = "AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD:AB:CD"
user = "suite"
role = "define"
view = "guests"
hypervisors = ["far", "local"]

[[snmp.view]]
name = "guests"
include = [".1.3.6.1.4.1.36957", "1.3.6.1.2.1"]
exclude = ["1.3.6.1.4.1.36957.20.1.7"]

[[snmp.target]]
name = "suite"
address = "udp:[2001:db8::1]:162"
version = "3"
user = "ops"
inform = true
timeout = 3
retries = 5
include = ["1.3.6.1.6.3.1.1.5"]
exclude = ["1.3.6.1.6.3.1.1.5.2"]
domains = ["web*", "db"]
kinds = ["domain", "disk", "secret"]
severity = "minor"
expiry = 600
queue = 20
hypervisors = ["local"]

[[snmp.target]]
name = "old"
address = "192.0.2.1:162"
version = "1"
community = "swordfish"

[cim]
listen = ["http://127.0.0.1:5988", "http://[::1]:5988", "https://0.0.0.0:5989"]
certificate = "/etc/virtmap/cert.pem"
key = "/etc/virtmap/key.pem"
client_ca = "/etc/virtmap/cim-ca.pem"
connections = 100
requests = 20
indication_destinations = ["https://192.0.2.0/24:5989", "http://[fd00::/8]", "https://Suite.example.net:5989-5999"]
indication_queue = 50
indication_expiry = 600
indication_ca = "/etc/virtmap/listeners.pem"

[[cim.client_certificate]]
user = "console"
fingerprint = "{"EF:" * 31}EF"
role = "operate"
sources = ["192.0.2.0/24"]

[[account]]
name = "ops"
role = "administer"
password_hash = "{HASH}"
sources = ["10.0.0.0/8", "::1"]

[state]
directory = "/tmp/virtmap"

[inventory]
interval = 2
workers = 3

[[alarm]]
name = "full"
kind = "disk"
raise = 90
clear = 75
for = 120
clear_for = 300
severity = "major"
domains = ["web*", "db?"]
disks = ["vd*"]
hypervisors = ["far"]

[[alarm]]
name = "lost"
kind = "disconnected"
"""

LEAST = '[[hypervisor]]\nname = "local"\nuri = "test:///default"\n[snmp]\n'


def test_why_an_address_cannot_be_listened_on() -> None:
    low, high = Endpoint(host="::1", port=161), Endpoint(host="192.0.2.1", port=10161)
    assert low.refused(PermissionError(errno.EACCES, "")) == (
        "cannot listen on [::1]:161: Permission denied; ports below 1024 are for root or who has CAP_NET_BIND_SERVICE"
    )
    assert high.refused(OSError(errno.EADDRNOTAVAIL, "")) == (
        "cannot listen on 192.0.2.1:10161: Cannot assign requested address"
    )


def test_everything_is_read() -> None:
    config = parse(WHOLE)
    assert [(h.name, h.uri) for h in config.hypervisors] == [
        ("local", "qemu:///system"),
        ("far", "qemu+tls://far.example/system"),
    ]
    assert config.snmp == Snmp(
        listen=(
            SnmpEndpoint(host="127.0.0.1", port=10161),
            SnmpEndpoint(host="::1", port=161),
            SnmpEndpoint(host="127.0.0.1", port=10161, transport=Transport.TCP),
            SnmpEndpoint(host="0.0.0.0", port=10161, transport=Transport.TLS),
        ),
        engine_id=bytes.fromhex("80009069051234"),
        contact="ops@example.org",
        name="hypervisor7.example.org",
        location="",
        answer_limit=1472,
        agentx=UnixSocket(path="/var/agentx/master"),
        agentx_role=Access.OPERATE,
        certificate="/etc/virtmap/cert.pem",
        key="/etc/virtmap/key.pem",
        client_ca="/etc/virtmap/ca.pem",
        operations_per_user=2,
        authentication_traps=False,
        vm_notifications=True,
        vm_bulk_notifications=True,
        log_limit=50,
    )
    networks = (ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("127.0.0.1/32"))
    assert config.communities == (
        Community(
            name=Secret("public"), role=Access.OBSERVE, sources=networks, hypervisor="far", view="guests", rate=20.0,
            versions=("2c",),
        ),
        Community(name=Secret("swordfish"), role=Access.OPERATE, sources=LOOPBACK, versions=("1", "2c")),
    )  # fmt: skip
    assert config.users == (
        SnmpUser(
            name="ops", role=Access.ADMINISTER, auth="SHA-512", auth_passphrase=Secret("swordfish of ops"),
            priv="AES-256-C", priv_passphrase=Secret("swordfish in cipher"), level="authPriv", view="guests",
            hypervisors=("local",), sources=networks[:1], rate=0.5,
        ),
        SnmpUser(name="graphs", auth="MD5", auth_passphrase=Secret("swordfish"), level="authNoPriv", sources=ANYWHERE),
        SnmpUser(name="anybody", level="noAuthNoPriv", sources=LOOPBACK),
    )  # fmt: skip
    assert [u.strongest for u in config.users] == ["authPriv", "authNoPriv", "noAuthNoPriv"]
    assert config.certificates == (
        SnmpCertificate(
            fingerprint="abcd" * 16, user="suite", role=Access.DEFINE, view="guests", hypervisors=("far", "local")
        ),
    )
    assert config.views == (
        SnmpView(
            name="guests",
            include=((1, 3, 6, 1, 4, 1, 36957), (1, 3, 6, 1, 2, 1)),
            exclude=((1, 3, 6, 1, 4, 1, 36957, 20, 1, 7),),
        ),
    )
    assert config.targets == (
        SnmpTarget(
            name="suite", address=SnmpEndpoint(host="2001:db8::1", port=162), version="3", user="ops", inform=True,
            timeout=3.0, retries=5, include=((1, 3, 6, 1, 6, 3, 1, 1, 5),), exclude=((1, 3, 6, 1, 6, 3, 1, 1, 5, 2),),
            hypervisors=("local",), domains=("web*", "db"), kinds=("domain", "disk", "storedsecret"),
            severity=Severity.MINOR, expiry=600.0, queue=20,
        ),
        SnmpTarget(
            name="old", address=SnmpEndpoint(host="192.0.2.1", port=162), version="1", community=Secret("swordfish")
        ),
    )  # fmt: skip
    assert config.cim == Cim(
        http=(Endpoint(host="127.0.0.1", port=5988), Endpoint(host="::1", port=5988)),
        https=(Endpoint(host="0.0.0.0", port=5989),),
        certificate="/etc/virtmap/cert.pem",
        key="/etc/virtmap/key.pem",
        client_ca="/etc/virtmap/cim-ca.pem",
        connections=100,
        requests=20,
        indication_destinations=(
            Receivers(scheme="https", network=ipaddress.ip_network("192.0.2.0/24"), ports=(5989, 5989)),
            Receivers(scheme="http", network=ipaddress.ip_network("fd00::/8")),
            Receivers(scheme="https", name="suite.example.net", ports=(5989, 5999)),
        ),
        indication_queue=50,
        indication_expiry=600.0,
        indication_ca="/etc/virtmap/listeners.pem",
    )
    assert config.cim_certificates == (
        CimCertificate(
            fingerprint="ef" * 32,
            user="console",
            role=Access.OPERATE,
            sources=(ipaddress.ip_network("192.0.2.0/24"),),
        ),
    )
    assert config.accounts == (
        Account(
            name="ops",
            role=Access.ADMINISTER,
            password_hash=Secret(HASH),
            sources=(ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128")),
        ),
    )
    assert config.state.directory == "/tmp/virtmap"
    assert config.inventory == Inventory(interval=2.0, workers=3)
    assert config.alarms == (
        AlarmRule(
            name="full", kind=AlarmKind.DISK, raise_at=90, clear_below=75, hold=120.0, clear_hold=300.0,
            severity=PerceivedSeverity.MAJOR, domains=("web*", "db?"), disks=("vd*",), hypervisors=("far",),
        ),
        AlarmRule(name="lost", kind=AlarmKind.DISCONNECTED, raise_at=1, clear_below=1, hold=60.0, clear_hold=60.0),
    )  # fmt: skip


def test_what_is_left_out_has_a_safe_default() -> None:
    config = parse(LEAST)
    assert config.snmp == Snmp(listen=(SnmpEndpoint(host="127.0.0.1", port=161),))
    assert config.snmp.agentx is None
    assert config.snmp.authentication_traps
    assert not config.snmp.vm_notifications
    assert not config.snmp.vm_bulk_notifications
    assert config.snmp.log_limit == 1000
    assert (config.users, config.certificates, config.views, config.targets) == ((), (), (), ())
    assert config.cim is None
    assert config.communities == ()
    assert config.accounts == ()
    assert config.cim_certificates == ()
    assert config.inventory == Inventory()
    assert config.events == EventSettings()
    assert parse(LEAST + "[events]\nburst = 5\nrate = 0.5").events == EventSettings(burst=5, rate=0.5)
    cim = parse(CIM).cim
    assert cim == Cim(https=(Endpoint(host="127.0.0.1", port=5989),))
    assert not cim.cleartext
    assert cim.indication_destinations == LOCAL_RECEIVERS
    assert {r.network for r in LOCAL_RECEIVERS} == set(LOOPBACK)
    (account,) = parse(ACCOUNT + f'password_hash = "{HASH}"').accounts
    assert account.role is Access.OBSERVE


def test_logs_are_served_as_the_configuration_says() -> None:
    assert parse(LEAST).logs == LogSettings()
    logs = parse(
        LEAST
        + """
[logs]
directories = ["/srv/logs"]
device_directories = ["/srv/consoles"]
records = 50
retention_age = 86400
retention_size = 1000000
retention_gone = true
retention_dry = false
retention_interval = 60

[[logs.rule]]
name = "disk"
pattern = '(?i)I/O error|no space left'
severity = "major"
domains = ["web*"]
kinds = ["hypervisor", "console"]
"""
    ).logs
    assert (logs.directories, logs.records, logs.serve, logs.follow) == (("/srv/logs",), 50, True, True)
    assert logs.device_directories == ("/srv/consoles",)
    assert logs.retention == Retention(age=86400.0, size=1_000_000, gone=True, dry=False, interval=60.0)
    (rule,) = logs.rules
    assert (rule.name, rule.severity, rule.domains) == ("disk", PerceivedSeverity.MAJOR, ("web*",))
    assert rule.kinds == (LogKind.HYPERVISOR, LogKind.CONSOLE)
    assert rule.pattern.search("an i/o ERROR")
    assert parse(LEAST + "[logs]\nretention_age = 60").logs.retention == Retention(age=60.0), "it only tells, at first"


def test_indications_may_be_sent_nowhere_at_all() -> None:
    cim = parse(CIM + "indication_destinations = []").cim
    assert cim is not None
    assert cim.indication_destinations == ()


def test_http_beyond_loopback_has_to_be_wanted() -> None:
    cim = parse(CIM + 'listen = ["http://192.0.2.1:5988"]\ncleartext = true').cim
    assert cim is not None
    assert cim.http == (Endpoint(host="192.0.2.1", port=5988),)


def test_endpoints_print_as_they_are_written() -> None:
    assert str(Endpoint(host="::1", port=161)) == "[::1]:161"
    assert str(Endpoint(host="127.0.0.1", port=161)) == "127.0.0.1:161"
    assert str(SnmpEndpoint(host="127.0.0.1", port=161)) == "127.0.0.1:161"
    assert str(SnmpEndpoint(host="::1", port=161, transport=Transport.TLS)) == "tls:[::1]:161"
    assert str(UnixSocket(path="/var/agentx/master")) == "unix:/var/agentx/master"


def test_an_agent_behind_a_master_listens_where_it_is_told_to_only() -> None:
    behind = LEAST + 'agentx = "tcp:[::1]:705"\n'
    master = SnmpEndpoint(host="::1", port=705, transport=Transport.TCP)
    assert str(master) == "tcp:[::1]:705"
    assert parse(behind).snmp == Snmp(listen=(), agentx=master)
    assert parse(behind + "listen = []\n").snmp == Snmp(listen=(), agentx=master)
    both = parse(behind + 'listen = ["127.0.0.1:10161"]\n').snmp
    assert both is not None
    assert both.listen == (SnmpEndpoint(host="127.0.0.1", port=10161),)


def test_names_of_protocols_and_levels_are_those_of_the_front_end() -> None:
    assert set(AUTH_PROTOCOLS) == {p.label for p in protection.AuthProtocol}
    assert set(PRIV_PROTOCOLS) == {p.label for p in protection.PrivProtocol}
    assert list(LEVELS) == [level.label for level in sorted(message3.Level)]
    assert USER_OCTETS == message3.MAX_NAME
    assert PASSPHRASE_OCTETS == usm.SHORTEST_PASSPHRASE


@pytest.mark.parametrize("auth", AUTH_PROTOCOLS)
@pytest.mark.parametrize("priv", PRIV_PROTOCOLS)
def test_every_pair_of_protocols_can_be_configured(auth: str, priv: str) -> None:
    (user,) = parse(USER + f'auth = "{auth}"\npriv = "{priv}"\n' + PASSPHRASES).users
    assert (user.auth, user.priv, user.strongest) == (auth, priv, "authPriv")


def test_the_same_port_can_be_listened_on_in_udp_and_tcp() -> None:
    snmp = parse(LEAST + 'listen = ["127.0.0.1:161", "tcp:127.0.0.1:161", "udp:127.0.0.1:0", "127.0.0.1:0"]').snmp
    assert snmp is not None
    assert [str(e) for e in snmp.listen] == ["127.0.0.1:161", "tcp:127.0.0.1:161", "127.0.0.1:0", "127.0.0.1:0"]


def test_one_user_may_have_several_certificates() -> None:
    config = parse(CERTIFICATE + CERTIFICATE.split("\n\n")[1].replace("ab", "cd"))
    assert [(c.user, c.fingerprint[:2]) for c in config.certificates] == [("suite", "ab"), ("suite", "cd")]


@pytest.mark.parametrize(("reached", "below"), [(1, 1), (5, 5), (10, 9), (90, 81), (95, 86), (100, 90)])
def test_an_alarm_is_cleared_a_tenth_below_what_raises_it_unless_told_otherwise(reached: int, below: int) -> None:
    (alarm,) = parse(ALARM + f'kind = "cpu"\nraise = {reached}\nfor = 30').alarms
    assert (alarm.raise_at, alarm.clear_below) == (reached, below)
    assert (alarm.hold, alarm.clear_hold) == (30.0, 30.0)
    assert alarm.severity is PerceivedSeverity.WARNING


@pytest.mark.parametrize("kind", ["ioErrors", "log"])
def test_what_happens_once_is_an_alarm_at_once_and_for_a_while(kind: str) -> None:
    (alarm,) = parse(ALARM + f'kind = "{kind}"\nraise = 1000\n{LOOKED_FOR}').alarms
    assert (alarm.hold, alarm.clear_hold) == (0.0, 300.0)
    (alarm,) = parse(ALARM + f'kind = "{kind}"\nraise = 1\nfor = 600\n{LOOKED_FOR}').alarms
    assert (alarm.hold, alarm.clear_hold) == (600.0, 600.0)


@pytest.mark.parametrize("kind", AlarmKind, ids=lambda k: k.label)
def test_every_kind_of_alarm_can_be_configured(kind: AlarmKind) -> None:
    threshold = "" if kind in (AlarmKind.DOWN, AlarmKind.DISCONNECTED) else "raise = 50"
    (alarm,) = parse(ALARM + f'kind = "{kind.label}"\n{threshold}\n{LOOKED_FOR}').alarms
    assert alarm.kind is kind


PASSPHRASES = 'auth_passphrase = "swordfish1"\npriv_passphrase = "swordfish2"\n'
USER = LEAST + '[[snmp.user]]\nname = "ops"\n'
RIGHTS = 'auth = "SHA-256"\npriv = "AES"\n' + PASSPHRASES
VIEW = LEAST + '[[snmp.view]]\nname = "guests"\n'
TARGET = LEAST + '[[snmp.target]]\nname = "suite"\naddress = "192.0.2.1:162"\n'
TLS = LEAST + 'listen = ["tls:127.0.0.1:10161"]\ncertificate = "c"\nkey = "k"\nclient_ca = "a"\n'
CERTIFICATE = TLS + f'\n[[snmp.client_certificate]]\nuser = "suite"\nfingerprint = "{"ab" * 32}"\n'
COMMUNITY = LEAST + '[[snmp.community]]\nname = "swordfish"\n'
CIM = LEAST + "[cim]\n"
CIM_CERTIFICATE = '[[cim.client_certificate]]\nuser = "suite"\nfingerprint = "' + "ab" * 32 + '"\n'
ACCOUNT = LEAST + '[[account]]\nname = "ops"\n'
RULE = LEAST + "[[logs.rule]]\nname = 'r'\n"
ALARM = LEAST + '[[alarm]]\nname = "one"\n'
LOOKED_FOR = "[[logs.rule]]\nname = 'r'\npattern = 'error'\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[hypervisor", "is not TOML: "),
        ("", "hypervisor: at least one"),
        ('[[hypervisor]]\nname = "a"\nuri = "fake:"', "nothing is served: add [snmp] or [cim]"),
        ('[[hypervisor]]\nname = "a"\n[snmp]', "hypervisor[0].uri: is missing"),
        ('[[hypervisor]]\nname = "a b"\nuri = "fake:"\n[snmp]', "hypervisor[0].name: 'a b' is not 1 to 32 letters"),
        ('[[hypervisor]]\nname = ""\nuri = "fake:"\n[snmp]', "hypervisor[0].name: must not be empty"),
        ('[[hypervisor]]\nname = 7\nuri = "fake:"\n[snmp]', "hypervisor[0].name: must be a text, not an integer"),
        ("hypervisor = 1\n[snmp]", "hypervisor: must be an array of tables, [[hypervisor]]"),
        ("hypervisor = [1]\n[snmp]", "hypervisor[0]: must be a table, not an integer"),
        (LEAST + 'listen = ["[::1]:161", "[0::1]:161"]', "snmp.listen: [::1]:161 stands twice"),
        (LEAST + '[[hypervisor]]\nname = "local"\nuri = "fake:"', "hypervisor[1].name: 'local' stands twice"),
        (LEAST + "[sate]\n", "sate: unknown key; did you mean state?"),
        (LEAST + "[zzz]\n", "zzz: unknown key; known here: "),
        (LEAST + 'listen = "127.0.0.1:161"', "snmp.listen: must be an array of texts, not a text"),
        (LEAST + "listen = []", "snmp.listen: must not be empty"),
        (LEAST + 'listen = ["localhost:161"]', "snmp.listen[0]: 'localhost' is not an IP address"),
        (LEAST + 'listen = ["127.0.0.1"]', "snmp.listen[0]: '127.0.0.1' is not an address and port"),
        (LEAST + 'listen = ["::1:161"]', "snmp.listen[0]: '::1:161' is not an address and port"),
        (LEAST + 'listen = ["[127.0.0.1]:161"]', "snmp.listen[0]: '[127.0.0.1]:161': brackets go around IPv6"),
        (LEAST + 'listen = ["127.0.0.1:65536"]', "snmp.listen[0]: 65536 is not a port"),
        (COMMUNITY + 'sorces = ["::1"]', "snmp.community[0].sorces: unknown key; did you mean sources?"),
        (COMMUNITY + 'rol = "x"\nsources = 1', "snmp.community[0].rol: unknown key; did you mean role?"),
        (COMMUNITY + 'sources = ["10.0.0.1/8"]', "snmp.community[0].sources[0]: 10.0.0.1/8 has host bits set"),
        (COMMUNITY + "sources = []", "snmp.community[0].sources: must not be empty"),
        (
            COMMUNITY + 'role = "root"',
            "snmp.community[0].role: 'root' is no role; it is one of observe, operate, define",
        ),
        (COMMUNITY + 'hypervisor = "far"', "snmp.community[0].hypervisor: 'far' is none of local"),
        (COMMUNITY + '[[snmp.community]]\nname = "swordfish"', "snmp.community[1].name: is that of snmp.community[0]"),
        (
            COMMUNITY + 'role = "operate"\nsources = ["127.0.0.1", "192.0.2.1"]',
            "snmp.community[0].role: a community travels in clear, so operate is for loopback sources only, and "
            "192.0.2.1/32 is not one",
        ),
        (COMMUNITY + 'role = "operate"\nsources = ["0.0.0.0/0"]', "0.0.0.0/0 is not one"),
        (COMMUNITY + 'role = "operate"\nsources = ["::/0"]', "::/0 is not one"),
        (
            COMMUNITY.replace('name = "swordfish"', 'role = "observe"'),
            "snmp.community[0].name: is missing; give name or",
        ),
        (COMMUNITY + 'name_file = "f"', "snmp.community[0].name: stands here and in name_file; leave one out"),
        (COMMUNITY + 'view = "guest"', "snmp.community[0].view: 'guest' is none of default"),
        (COMMUNITY + "rate = 0", "snmp.community[0].rate: 0 is not above 0 and at most 1000000 requests a second"),
        (COMMUNITY + "rate = nan", "snmp.community[0].rate: nan is not above 0"),
        (COMMUNITY + "rate = true", "snmp.community[0].rate: must be a number of requests a second, not a boolean"),
        (COMMUNITY + 'versions = ["3"]', "snmp.community[0].versions[0]: '3' is none of 1, 2c"),
        (LEAST + 'listen = ["udp:127.0.0.1:161", "127.0.0.1:161"]', "snmp.listen: 127.0.0.1:161 stands twice"),
        (TLS.replace('"tls:', '"tcp:127.0.0.1:10161", "tls:'), "are the same address"),
        (LEAST + 'listen = ["dtls:127.0.0.1:161"]', "snmp.listen[0]: 'dtls:127.0.0.1:161': 'dtls' is none of udp, tcp"),
        (LEAST + 'listen = ["tcp:localhost:161"]', "snmp.listen[0]: 'localhost' is not an IP address"),
        (LEAST + 'engine_id = "8000"', "snmp.engine_id: '8000' is not 5 to 32 octets in hexadecimal digits"),
        (LEAST + f'engine_id = "{"80" * 33}"', "is not 5 to 32 octets"),
        (LEAST + 'engine_id = "0000000000"', "snmp.engine_id: must not be all zeros or all ones"),
        (LEAST + 'engine_id = "ffffffffff"', "snmp.engine_id: must not be all zeros or all ones"),
        (LEAST + 'location = "Zürich"', "snmp.location: must be at most 255 characters, all ASCII"),
        (LEAST + f'contact = "{"x" * 256}"', "snmp.contact: must be at most 255 characters"),
        (LEAST + "answer_limit = 483", "snmp.answer_limit: 483 is not between 484 and 65507"),
        (LEAST + "operations_per_user = 0", "snmp.operations_per_user: 0 is not between 1 and 10000"),
        (LEAST + "authentication_traps = 1", "snmp.authentication_traps: must be true or false, not an integer"),
        (LEAST + 'agentx = "/var/agentx/master"', "snmp.agentx: '/var/agentx/master' is not unix:/PATH or tcp:ADDRESS"),
        (LEAST + 'agentx = "unix:master"', "snmp.agentx: 'unix:master' is not unix:/PATH or"),
        (LEAST + 'agentx = "tcp:localhost:705"', "snmp.agentx: 'localhost' is not an IP address"),
        (
            LEAST + 'agentx = "tcp:192.0.2.1:705"\nagentx_role = "operate"',
            "snmp.agentx_role: AgentX travels in clear, so operate is for a master on this host only",
        ),
        (USER, 'snmp.user[0].auth: is missing; level authPriv needs auth and auth_passphrase; level = "noAuthNoPriv"'),
        (USER + 'level = "authNoPriv"', "snmp.user[0].auth: is missing; level authNoPriv needs auth"),
        (
            USER + 'auth = "SHA"\nauth_passphrase = "swordfish"',
            'snmp.user[0].priv: is missing; level authPriv needs priv and priv_passphrase; level = "authNoPriv" would do',
        ),
        (
            USER + 'auth = "SHA"',
            "snmp.user[0].auth_passphrase: is missing; auth needs auth_passphrase or auth_passphrase_",
        ),
        (USER + 'priv_passphrase = "swordfish"', "snmp.user[0].priv: is missing; say for which protocol"),
        (
            USER + 'level = "noAuthNoPriv"\npriv = "AES"\npriv_passphrase = "swordfish"',
            "snmp.user[0].auth: is missing; there is no encryption without authentication",
        ),
        (USER + 'auth = "SHA256"', "snmp.user[0].auth: 'SHA256' is none of MD5, SHA, SHA-224, SHA-256"),
        (USER + 'priv = "AES-128"', "snmp.user[0].priv: 'AES-128' is none of DES, AES, AES-192"),
        (
            USER + 'auth = "SHA"\nauth_passphrase = "shortly"',
            "snmp.user[0].auth_passphrase: must have at least 8 octets",
        ),
        (USER + 'level = "authpriv"', "snmp.user[0].level: 'authpriv' is none of noAuthNoPriv, authNoPriv, authPriv"),
        (
            USER + RIGHTS + 'role = "operate"\nlevel = "authNoPriv"',
            "snmp.user[0].level: who may operate must be authenticated and encrypted, and authNoPriv is less; leave it at",
        ),
        (USER + RIGHTS + 'hypervisors = ["far"]', "snmp.user[0].hypervisors: 'far' is none of local"),
        (USER + RIGHTS + 'view = "guests"', "snmp.user[0].view: 'guests' is none of default"),
        (USER.replace("ops", "o" * 33) + RIGHTS, "is longer than 32 octets"),
        (USER + RIGHTS + '[[snmp.user]]\nname = "ops"\n' + RIGHTS, "snmp.user[1].name: 'ops' stands twice"),
        (VIEW, "snmp.view[0].include: is missing"),
        (VIEW + 'include = ["iso.3"]', "snmp.view[0].include[0]: 'iso.3' is not an object identifier in digits"),
        (VIEW + 'include = ["1.3."]', "snmp.view[0].include[0]: '1.3.' is not an object identifier"),
        (VIEW + 'include = ["1.3.4294967296"]', "snmp.view[0].include[0]: '1.3.4294967296' is beyond what"),
        (VIEW + 'include = ["3.1"]', "snmp.view[0].include[0]: '3.1' is beyond what"),
        (VIEW + 'include = ["1.40"]', "snmp.view[0].include[0]: '1.40' is beyond what"),
        (VIEW + f'include = ["1{".3" * 128}"]', "is beyond what an object identifier can be"),
        (VIEW + 'include = ["1.3"]\nexclude = [".1.3"]', "snmp.view[0].exclude[0]: 1.3 stands in include too"),
        (VIEW.replace("guests", "default") + 'include = ["1.3"]', "snmp.view[0].name: 'default' is there already"),
        (TARGET, "snmp.target[0].version: is missing"),
        (TARGET + 'version = "2"', "snmp.target[0].version: '2' is none of 1, 2c, 3"),
        (TARGET + 'version = "2c"', "snmp.target[0].community: is missing; version 2c needs it"),
        (TARGET + 'version = "3"', "snmp.target[0].user: is missing; version 3 needs it"),
        (
            TARGET + 'version = "3"\nuser = "ops"\ncommunity = "swordfish"',
            "snmp.target[0].community: has no place in version 3; it needs user alone",
        ),
        (TARGET + 'version = "3"\nuser = "ops"', "snmp.target[0].user: 'ops' is no user; add it as [[snmp.user]]"),
        (TARGET + 'version = "1"\ncommunity = "swordfish"\ninform = true', "snmp.target[0].inform: version 1 has no"),
        (
            TARGET + 'version = "1"\ncommunity = "c"\nhypervisors = ["far"]',
            "snmp.target[0].hypervisors: 'far' is none of",
        ),
        (TARGET + 'version = "1"\ncommunity = "c"\ntimeout = 0', "snmp.target[0].timeout: 0 is not between 0.1 and 60"),
        (
            TARGET + 'version = "1"\ncommunity = "c"\nretries = -1',
            "snmp.target[0].retries: -1 is not between 0 and 100",
        ),
        (
            TARGET + 'kinds = ["domain", "disc"]',
            "snmp.target[0].kinds[1]: 'disc' is none of alarm, disk, domain, host, ",
        ),
        (TARGET + 'kinds = ["storedsecret"]', "snmp.target[0].kinds[0]: 'storedsecret' is none of"),
        (TARGET + "kinds = []", "snmp.target[0].kinds: must not be empty"),
        (TARGET + 'domains = "web"', "snmp.target[0].domains: must be an array of texts, not a text"),
        (TARGET + 'domains = ["web", ""]', "snmp.target[0].domains[1]: must not be empty"),
        (
            TARGET + 'severity = "grave"',
            "snmp.target[0].severity: 'grave' is none of information, warning, minor, major, critical",
        ),
        (TARGET + "expiry = 0", "snmp.target[0].expiry: 0 is not between 1 and 2.592e+06"),
        (TARGET + "queue = 0", "snmp.target[0].queue: 0 is not between 1 and 100000"),
        (
            TARGET + 'version = "2c"\ncommunity = "c"\nqueue = 5',
            "snmp.target[0].queue: is for informs, and traps do not wait",
        ),
        (
            TARGET + 'version = "2c"\ncommunity = "c"\nexpiry = 5',
            "snmp.target[0].expiry: is for informs, and traps do not",
        ),
        (LEAST + "log_limit = -1", "snmp.log_limit: -1 is not between 0 and 100000"),
        (TARGET.replace("192.0.2.1:162", "tcp:192.0.2.1:162"), "notifications are sent over udp only"),
        (TARGET.replace("192.0.2.1:162", "192.0.2.1:0"), "snmp.target[0].address: '192.0.2.1:0' is nowhere to send to"),
        (TARGET.replace("192.0.2.1:162", "0.0.0.0:162"), "is nowhere to send to"),
        (
            WHOLE.replace('["local"]\n\n[[snmp.target]]', '["far"]\n\n[[snmp.target]]'),
            "snmp.target[0].hypervisors: ops may not see far",
        ),
        (LEAST + 'listen = ["tls:127.0.0.1:10161"]', "snmp.certificate: is missing; tls needs the PEM files"),
        (TLS.replace('client_ca = "a"\n', ""), "snmp.client_ca: is missing; tls needs"),
        (
            CERTIFICATE.replace('["tls:', '["tcp:'),
            "snmp.client_certificate[0]: nobody can show a certificate; add a tls:",
        ),
        (CERTIFICATE.replace("abab", "ab"), "snmp.client_certificate[0].fingerprint: is not the 64 hexadecimal digits"),
        (CERTIFICATE + CERTIFICATE.split("\n\n")[1], "snmp.client_certificate[1].fingerprint: "),
        (
            CERTIFICATE + CERTIFICATE.split("\n\n")[1].replace("ab", "cd") + 'role = "operate"',
            "snmp.client_certificate[1].role: is not that of snmp.client_certificate[0], which is the same user's",
        ),
        (
            CERTIFICATE.replace("suite", "ops") + USER.removeprefix(LEAST) + RIGHTS,
            "snmp.client_certificate[0].user: is the name of snmp.user[0] too",
        ),
        (CIM + 'key = "k"', "cim.certificate: is missing; key is nothing without it"),
        (CIM + 'certificate = "c"', "cim.key: is missing; certificate is nothing without it"),
        (CIM + "cleartext = 1", "cim.cleartext: must be true or false"),
        (CIM + "connections = 7", "cim.connections: 7 is not between 8 and 100000"),
        (CIM + "requests = 0", "cim.requests: 0 is not between 1 and 10000"),
        (
            CIM + 'indication_destinations = ["*"]',
            "cim.indication_destinations[0]: '*' is not like https://192.0.2.0/24",
        ),
        (CIM + 'indication_destinations = ["ftp://a"]', "cim.indication_destinations[0]: 'ftp://a' is not like https:"),
        (
            CIM + 'indication_destinations = ["http://fd00::/8"]',
            "cim.indication_destinations[0]: 'http://fd00::/8' is not",
        ),
        (
            CIM + 'indication_destinations = ["http://10.0.0.1/8"]',
            "cim.indication_destinations[0]: 10.0.0.1/8 has host bits",
        ),
        (
            CIM + 'indication_destinations = ["http://127.1"]',
            "cim.indication_destinations[0]: '127.1' does not appear to be",
        ),
        (CIM + 'indication_destinations = ["http://[10.0.0.0/8]"]', "brackets go around IPv6 networks, and only these"),
        (
            CIM + 'indication_destinations = ["http://a:0"]',
            "cim.indication_destinations[0]: 'http://a:0': 0-0 are no ports",
        ),
        (CIM + 'indication_destinations = ["http://a:9-8"]', "9-8 are no ports"),
        (CIM + "indication_queue = 0", "cim.indication_queue: 0 is not between 1 and 100000"),
        (CIM + "indication_expiry = 0", "cim.indication_expiry: 0 is not between 1 and 2.592e+06 seconds"),
        (CIM + CIM_CERTIFICATE, "cim.client_certificate[0]: nobody can show a certificate; add"),
        (
            CIM + 'listen = ["http://127.0.0.1:1"]\nclient_ca = "a"\n' + CIM_CERTIFICATE,
            "cim.client_certificate[0]: nobody can show a certificate; add",
        ),
        (CIM + 'client_ca = "a"\n' + CIM_CERTIFICATE * 2, "cim.client_certificate[1].fingerprint: "),
        (
            CIM + 'client_ca = "a"\n' + CIM_CERTIFICATE.replace("abab", "ab"),
            "cim.client_certificate[0].fingerprint: is not the 64 hexadecimal digits",
        ),
        (
            CIM + 'client_ca = "a"\n' + CIM_CERTIFICATE + CIM_CERTIFICATE.replace("ab", "cd") + 'role = "operate"',
            "cim.client_certificate[1].role: is not that of cim.client_certificate[0], which is the same user's",
        ),
        (
            CIM
            + 'client_ca = "a"\n'
            + CIM_CERTIFICATE.replace("suite", "ops")
            + ACCOUNT.removeprefix(LEAST)
            + f'password_hash = "{HASH}"',
            "cim.client_certificate[0].user: is the name of account[0] too",
        ),
        (CIM + 'listen = ["http://0.0.0.0:5988"]', "cim.listen: http is for loopback only, and 0.0.0.0:5988 is not"),
        (CIM + 'listen = ["127.0.0.1:5988"]', "cim.listen[0]: '127.0.0.1:5988' is not http://ADDRESS:PORT"),
        (CIM + 'listen = ["ftp://127.0.0.1:21"]', "cim.listen[0]: 'ftp://127.0.0.1:21' is not http://ADDRESS:PORT"),
        (CIM + 'listen = ["http://127.0.0.1:1"]\nanonymous = "administer"', "cim.anonymous: unknown key"),
        (ACCOUNT, "account[0].password_hash: is missing"),
        (ACCOUNT + 'password_hash = "hunter2"', "account[0].password_hash: is not an argon2 hash"),
        (ACCOUNT + f'password_hash = "{HASH}"\nsources = ["x"]', "account[0].sources[0]: 'x' does not appear to be"),
        (ACCOUNT.replace("ops", "a:b") + f'password_hash = "{HASH}"', "account[0].name: must not hold a colon"),
        (LEAST + "[state]\ndirectory = 1", "state.directory: must be a text, not an integer"),
        (LEAST + '[[alarm]]\nkind = "cpu"', "alarm[0].name: is missing"),
        (ALARM + "raise = 1", "alarm[0].kind: is missing"),
        (
            ALARM + 'kind = "CPU"',
            "alarm[0].kind: 'CPU' is none of cpu, memory, disk, pool, steal, ioErrors, down, log,",
        ),
        (ALARM + 'kind = "cpu"', "alarm[0].raise: is missing"),
        (ALARM + 'kind = "cpu"\nraise = 101', "alarm[0].raise: 101 is more than 100 percent"),
        (ALARM + 'kind = "hostMemory"\nraise = 101', "alarm[0].raise: 101 is more than 100 percent"),
        (ALARM + 'kind = "cpu"\nraise = 0', "alarm[0].raise: 0 is not between 1 and"),
        (ALARM + 'kind = "cpu"\nraise = 90.5', "alarm[0].raise: must be an integer, not a number"),
        (ALARM + 'kind = "log"\nraise = 5\nclear = 6', "alarm[0].clear: 6 is above 5, at which the alarm is raised"),
        (ALARM + 'kind = "down"\nraise = 1', "alarm[0].raise: has no place in an alarm of kind down"),
        (ALARM + 'kind = "disconnected"\nclear = 1', "alarm[0].clear: has no place in an alarm of kind disconnected"),
        (
            ALARM + 'kind = "pool"\nraise = 9\ndomains = ["a"]',
            "alarm[0].domains: has no place in an alarm of kind pool",
        ),
        (ALARM + 'kind = "cpu"\nraise = 9\ndisks = ["a"]', "alarm[0].disks: has no place in an alarm of kind cpu"),
        (ALARM + 'kind = "disk"\nraise = 9\npools = ["a"]', "alarm[0].pools: has no place in an alarm of kind disk"),
        (ALARM + 'kind = "down"\ndomains = []', "alarm[0].domains: must not be empty"),
        (ALARM + 'kind = "down"\nfor = -1', "alarm[0].for: -1 is not between 0 and"),
        (ALARM + 'kind = "down"\nseverity = "bad"', "alarm[0].severity: 'bad' is none of information, warning, minor,"),
        (ALARM + 'kind = "down"\nhypervisors = ["far"]', "alarm[0].hypervisors: 'far' is none of local"),
        (ALARM + 'kind = "down"\nraize = 1', "alarm[0].raize: unknown key; did you mean raise?"),
        (ALARM + 'kind = "down"\n[[alarm]]\nname = "one"\nkind = "down"', "alarm[1].name: 'one' stands twice"),
        (LEAST + "[inventory]\ninterval = true", "inventory.interval: must be a number of seconds, not a boolean"),
        (LEAST + "[inventory]\ninterval = 0", "inventory.interval: 0 is not between 0.1 and 86400 seconds"),
        (LEAST + "[inventory]\ninterval = nan", "inventory.interval: nan is not between"),
        (LEAST + "[inventory]\nworkers = 1.5", "inventory.workers: must be an integer, not a number"),
        (LEAST + "[inventory]\nworkers = 0", "inventory.workers: 0 is not between 1 and 256"),
        (LEAST + "[events]\nburst = 0", "events.burst: 0 is not between 1 and 1000000"),
        (LEAST + "[events]\nrate = 0", "events.rate: 0 is not above 0 and at most 1000000 events a second"),
        (LEAST + "[events]\nrate = true", "events.rate: must be a number of events a second, not a boolean"),
        (LEAST + "[events]\nstorm = 1", "events.storm: unknown key"),
        (LEAST + '[[alarm]]\nname = "l"\nkind = "log"\nraise = 1', "alarm[0].kind: log counts lines that match"),
        (
            LEAST + '[[snmp.target]]\nname = "t"\naddress = "127.0.0.1:162"\nversion = "2c"\ncommunity = "public"\n'
            'domains = ["web*"]\nkinds = ["pool", "network"]',
            "snmp.target[0].domains: of what is of kind pool, network nothing belongs to a domain",
        ),
        (LEAST + '[state]\ndirectory = "a\\u0000b"', "state.directory: must not hold control characters"),
        (LEAST + "[logs]\nserve = 1", "logs.serve: must be true or false, not an integer"),
        (LEAST + "[logs]\nfollows = true", "logs.follows: unknown key; did you mean follow?"),
        (LEAST + '[logs]\ndirectories = ["a"]', "logs.directories[0]: 'a' must begin with a slash, and not go up"),
        (LEAST + '[logs]\ndirectories = ["/a/../b"]', "logs.directories[0]: '/a/../b' must begin"),
        (LEAST + "[logs]\nrecords = 1001", "logs.records: 1001 is not between 0 and 1000"),
        (LEAST + "[logs]\nretention_gone = true", "logs.retention_age: is missing; retention_gone needs it"),
        (LEAST + "[logs]\nretention_dry = true", "logs.retention_age: is missing; a retention needs"),
        (LEAST + "[logs]\nretention_age = 1", "logs.retention_age: 1 is not between 60 and"),
        (RULE, "logs.rule[0].pattern: is missing"),
        (RULE + "pattern = '('", "logs.rule[0].pattern: '(' is no pattern to look for: missing )"),
        (
            RULE + "pattern = '(a)\\1'",
            "logs.rule[0].pattern: '(a)\\\\1' is no pattern to look for: a reference to a group",
        ),
        (RULE + "pattern = 'a{9999}'", "logs.rule[0].pattern: 'a{9999}' is no pattern to look for: it has more than"),
        (RULE + "pattern = 'a*'", "logs.rule[0].pattern: 'a*' is found in every line"),
        (RULE + "pattern = 'a'\nseverity = 'bad'", "logs.rule[0].severity: 'bad' is none of information, warning,"),
        (RULE + "pattern = 'a'\nkinds = ['x']", "logs.rule[0].kinds[0]: 'x' is none of hypervisor, console,"),
        (RULE + "pattern = 'a'\n[[logs.rule]]\nname = 'r'\npattern = 'b'", "logs.rule[1].name: 'r' stands twice"),
        (LEAST + '[logs]\ndevice_directories = ["../a"]', "logs.device_directories[0]: '../a' must begin with a slash"),
        (
            LEAST + "[[hypervisor]]\nname = 'a'\nuri = 'qemu:///system'\n[[hypervisor]]\nname = 'b'\n"
            "uri = 'qemu+unix:///system'\n[logs]\nretention_age = 60\nretention_gone = true",
            "logs.retention_gone: a and b have their logs in the same directories",
        ),
        (
            LEAST + "[logs]\nfollow = false\n[[logs.rule]]\nname = 'r'\npattern = 'a'",
            "logs.rule[0]: nothing is looked for",
        ),
        (
            LEAST + "[[hypervisor]]\nname = 'b'\nuri = 'lxc:///system'\n"
            "[logs]\nretention_age = 60\nretention_gone = true\ndirectories = ['/a']",
            "logs.retention_gone: with directories of their own",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_path(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text)
    assert str(error.value).startswith(told) or told in str(error.value)
    assert "\n" not in str(error.value).strip()


def test_no_secret_is_ever_printed() -> None:
    config = parse(WHOLE)
    for printed in (repr(config), str(config)):
        assert "swordfish" not in printed
        assert HASH not in printed
    for text in (
        COMMUNITY + 'role = "operate"\nsources = ["::/0"]',
        COMMUNITY + '[[snmp.community]]\nname = "swordfish"',
        COMMUNITY + 'name_file = "f"',
        COMMUNITY.replace("fish", "fish\\u0007"),
        ACCOUNT + 'password_hash = "swordfish"',
        USER + 'level = "noAuthNoPriv"\nauth_passphrase = "swordfish"',
        USER + PASSPHRASES,
        USER + PASSPHRASES + 'role = "operate"',
        USER + 'auth_passphrase = "swordfi"'.replace("swordfi", "swordf"),
        TARGET + 'version = "3"\nuser = "ops"\ncommunity = "swordfish"',
    ):
        with pytest.raises(ConfigError) as error:
            parse(text)
        assert "swordf" not in str(error.value)


ODD = ("0", "-1", "10000000000000000000000", "1.5", "nan", "inf", "true", '""', '"x"', '"\\u00e9:1"', "[]", "[1]", '["x"]', "{}",
       "2020-01-01", '"tcp:"', '":"', '"."', '"[::"', '"[]:1"', '"[::1%x]:1"')  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_whatever_stands_at_a_key_is_read_or_told(odd: str, tmp_path: Path) -> None:
    lines = WHOLE.splitlines()
    told: list[str] = []
    for number, line in enumerate(lines):
        key, equals, _ = line.partition(" = ")
        if not equals:
            continue
        for name in (key, f"{key}_file"):
            text = "\n".join((*lines[:number], f"{name} = {odd}", *lines[number + 1 :]))
            try:
                parse(text, base=tmp_path)
            except ConfigError as error:
                told.append(str(error))
    assert len(told) > 40
    assert [t for t in told if not t or "\n" in t or "swordfish" in t] == []


def test_load_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "virtmap.toml"
    with pytest.raises(ConfigError, match=r"virtmap\.toml: No such file"):
        load(file)
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(file)
    file.write_text(LEAST + "[stat]")
    with pytest.raises(ConfigError, match=r"virtmap\.toml: stat: unknown key; did you mean state\?"):
        load(file)
    file.write_text(LEAST)
    assert isinstance(load(file), Config)


# --- secrets in files

FROM_FILES = (
    LEAST
    + """
[[snmp.community]]
name_file = "community"
[[snmp.user]]
name = "ops"
auth = "SHA-256"
auth_passphrase_file = "secrets/auth"
priv = "AES"
priv_passphrase_file = "secrets/priv"
[[snmp.target]]
name = "suite"
address = "192.0.2.1:162"
version = "2c"
community_file = "community"
"""
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with secrets in files that only we may read."""
    (tmp_path / "secrets").mkdir()
    for name, text in (
        ("community", "swordfish\n"),
        ("secrets/auth", "swordfish a"),
        ("secrets/priv", "swordfish p\n"),
    ):
        file = tmp_path / name
        file.touch(mode=0o600)
        file.write_text(text)
    (tmp_path / "virtmap.toml").write_text(FROM_FILES)
    return tmp_path


def test_secrets_come_from_files_beside_the_configuration(folder: Path) -> None:
    config = load(folder / "virtmap.toml")
    assert config == parse(FROM_FILES, base=folder)
    assert config.communities[0].name == Secret("swordfish")
    assert config.users[0].auth_passphrase == Secret("swordfish a")
    assert config.users[0].priv_passphrase == Secret("swordfish p")
    assert config.targets[0].community == Secret("swordfish")
    assert "swordfish" not in repr(config)


def test_other_files_are_beside_the_configuration_too(tmp_path: Path) -> None:
    config = parse(TLS + '[cim]\ncertificate = "c"\nkey = "/k"\n[state]\ndirectory = "state"', base=tmp_path)
    assert config.snmp is not None
    assert config.cim is not None
    assert (config.snmp.certificate, config.snmp.client_ca) == (f"{tmp_path}/c", f"{tmp_path}/a")
    assert (config.cim.certificate, config.cim.key) == (f"{tmp_path}/c", "/k")
    assert config.state.directory == f"{tmp_path}/state"
    assert parse(LEAST + '[state]\ndirectory = ":memory:"', base=tmp_path).state.directory == ":memory:"
    assert parse(LEAST + "[state]\n", base=tmp_path).state.directory == "/var/lib/virtmap"


def _folder_instead(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _fifo_instead(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda f: f.unlink(), "No such file or directory"),
        (_folder_instead, "is not a file"),
        (_fifo_instead, "is not a file"),
        (lambda f: f.write_text(""), "must not be empty"),
        (lambda f: f.write_text("\n"), "must not be empty"),
        (lambda f: f.write_text("swordfish\n\n"), "must not hold control characters"),
        (lambda f: f.write_bytes(b"swordfish\xff"), "is not UTF-8 text"),
        (lambda f: f.write_text("swordfish" * SECRET_FILE_OCTETS), f"is longer than {SECRET_FILE_OCTETS} octets"),
        (lambda f: f.chmod(0o604), r"holds a secret, and others may read or change it \(mode 0604\); chmod 600"),
        (lambda f: f.chmod(0o620), r"\(mode 0620\)"),
        (lambda f: f.chmod(0o602), r"\(mode 0602\)"),
    ],
)
def test_a_file_that_is_no_secret_is_told_without_its_content(
    folder: Path, spoil: Callable[[Path], object], told: str
) -> None:
    file = folder / "secrets" / "auth"
    spoil(file)
    with pytest.raises(ConfigError, match=told) as error:
        load(folder / "virtmap.toml")
    assert str(error.value).startswith(f"{folder}/virtmap.toml: snmp.user[0].auth_passphrase_file: {file}: ")
    assert "swordfish" not in str(error.value)


def test_a_file_that_only_a_group_may_read_is_a_secret(folder: Path) -> None:
    (folder / "secrets" / "auth").chmod(0o440)
    assert load(folder / "virtmap.toml").users[0].auth_passphrase == Secret("swordfish a")


def test_a_short_passphrase_in_a_file_is_told_without_it(folder: Path) -> None:
    (folder / "secrets" / "auth").write_text("swordf")
    with pytest.raises(ConfigError, match="auth_passphrase: must have at least 8 octets") as error:
        load(folder / "virtmap.toml")
    assert "swordf" not in str(error.value)


# --- reloading


def test_what_is_the_same_needs_no_restart() -> None:
    assert needs_restart(parse(WHOLE), parse(WHOLE)) == []


@pytest.mark.parametrize(
    ("there", "instead", "paths"),
    [
        ('uri = "qemu:///system"', 'uri = "lxc:///system"', ["hypervisor"]),
        ('"udp:[::1]:161", ', "", ["snmp.listen"]),
        ("0x80009069051234", "80009069051235", ["snmp.engine_id"]),
        ("ops@example.org", "noc@example.org", []),
        ("unix:/var/agentx/master", "tcp:127.0.0.1:705", ["snmp.agentx"]),
        ('client_ca = "/etc/virtmap/ca.pem"', 'client_ca = "/etc/virtmap/ca2.pem"', []),
        ('"http://127.0.0.1:5988", ', "", ["cim.listen"]),
        ("/tmp/virtmap", "/tmp/virtmap2", ["state.directory"]),
        ("interval = 2\nworkers = 3", "interval = 1\nworkers = 4", ["inventory.interval", "inventory.workers"]),
        ("answer_limit = 1472", "answer_limit = 484", []),
        ("operations_per_user = 2", "operations_per_user = 3", []),
        ("authentication_traps = false", "", []),
        ('name = "swordfish"', 'name = "marlin"', []),
        ("swordfish of ops", "marlin of ops", []),
        ("swordfish in cipher", "marlin in cipher", []),
        ("AB:CD", "AB:CE", []),
        ('include = [".1.3.6.1.4.1.36957"', 'include = ["1.3.6.1.4.1.36957.20"', []),
        ("retries = 5", "retries = 6", []),
        ("raise = 90", "raise = 95", []),
        ('role = "administer"\npassword', 'role = "observe"\npassword', []),
        ('sources = ["10.0.0.0/8", "::1"]', "", []),
        ("/etc/virtmap/cert.pem", "/etc/virtmap/cert2.pem", []),
        ("/etc/virtmap/cim-ca.pem", "/etc/virtmap/cim-ca2.pem", []),
        ("EF:EF", "EF:E0", []),
        ("connections = 100", "connections = 101", ["cim.connections"]),
        ("indication_queue = 50", "indication_queue = 60", ["cim.indication_queue"]),
        ("http://[fd00::/8]", "http://[fd00::/9]", ["cim.indication_destinations"]),
    ],
)
def test_what_needs_a_restart_is_named_and_left_and_the_rest_is_reloaded(
    there: str, instead: str, paths: list[str]
) -> None:
    assert there in WHOLE
    old, new = parse(WHOLE), parse(WHOLE.replace(there, instead))
    assert old != new
    assert needs_restart(old, new) == paths
    assert reloaded(old, new) == (old if paths else new)


def test_a_front_end_that_comes_or_goes_needs_a_restart() -> None:
    without = WHOLE[: WHOLE.index("[cim]")] + WHOLE[WHOLE.index("[state]") :]
    assert needs_restart(parse(WHOLE), parse(without)) == ["cim"]
    assert needs_restart(parse(without), parse(WHOLE)) == ["cim"]
    assert reloaded(parse(without), parse(WHOLE)).cim is None
    bare = WHOLE[: WHOLE.index("[snmp]")] + WHOLE[WHOLE.index("[cim]") :]
    assert needs_restart(parse(bare), parse(WHOLE)) == ["snmp"]
    assert reloaded(parse(bare), parse(WHOLE)) == parse(bare)
    left = reloaded(parse(WHOLE), parse(bare))
    assert left.snmp == parse(WHOLE).snmp
    assert (left.communities, left.users, left.targets) == ((), (), ())


def test_what_does_not_fit_what_stays_is_told() -> None:
    new = parse(
        LEAST + '[[hypervisor]]\nname = "far"\nuri = "fake:"\n[[snmp.community]]\nname = "c"\nhypervisor = "far"'
    )
    without_tls = CERTIFICATE.replace("tls:", "tcp:").partition("\n\n")[0].replace('key = "k"\n', "")
    with pytest.raises(ConfigError, match=r"until a restart: snmp\.key: is missing; tls needs"):
        reloaded(parse(CERTIFICATE), parse(without_tls))
    with pytest.raises(ConfigError, match=r"until a restart: snmp\.community\[0\]\.hypervisor: 'far' is none of local"):
        reloaded(parse(LEAST), new)
