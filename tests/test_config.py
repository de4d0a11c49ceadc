"""The configuration: strict, with errors that name the path, and safe by its rules."""

import errno
import ipaddress
from pathlib import Path

import pytest

from agent.config import LOOPBACK, Account, Cim, Community, Config, Endpoint, Inventory, Snmp, load, parse
from agent.errors import ConfigError
from agent.schema.declare import Access
from agent.schema.types import Secret

HASH = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$VfP4X0XRHvkfFvzXLOEwzg"

WHOLE = f"""
[[hypervisor]]
name = "local"
uri = "qemu:///system"

[[hypervisor]]
name = "far"
uri = "qemu+tls://far.example/system"

[snmp]
listen = ["127.0.0.1:10161", "[::1]:161"]

[[snmp.community]]
name = "public"
role = "observe"
sources = ["192.0.2.0/24", "127.0.0.1"]
hypervisor = "far"

[[snmp.community]]
name = "swordfish"
role = "operate"

[cim]
listen = ["http://127.0.0.1:5988", "http://[::1]:5988", "https://0.0.0.0:5989"]
certificate = "/etc/virtmap/cert.pem"
key = "/etc/virtmap/key.pem"

[[account]]
name = "ops"
role = "administer"
password_hash = "{HASH}"

[state]
directory = "/tmp/virtmap"

[inventory]
interval = 2
workers = 3
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
    assert config.snmp == Snmp(listen=(Endpoint(host="127.0.0.1", port=10161), Endpoint(host="::1", port=161)))
    networks = (ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("127.0.0.1/32"))
    assert config.communities == (
        Community(name=Secret("public"), role=Access.OBSERVE, sources=networks, hypervisor="far"),
        Community(name=Secret("swordfish"), role=Access.OPERATE, sources=LOOPBACK),
    )
    assert config.cim == Cim(
        http=(Endpoint(host="127.0.0.1", port=5988), Endpoint(host="::1", port=5988)),
        https=(Endpoint(host="0.0.0.0", port=5989),),
        certificate="/etc/virtmap/cert.pem",
        key="/etc/virtmap/key.pem",
    )
    assert config.accounts == (Account(name="ops", role=Access.ADMINISTER, password_hash=Secret(HASH)),)
    assert config.state.directory == "/tmp/virtmap"
    assert config.inventory == Inventory(interval=2.0, workers=3)


def test_what_is_left_out_has_a_safe_default() -> None:
    config = parse(LEAST)
    assert config.snmp == Snmp(listen=(Endpoint(host="127.0.0.1", port=161),))
    assert config.cim is None
    assert config.communities == ()
    assert config.accounts == ()
    assert config.inventory == Inventory()


def test_endpoints_print_as_they_are_written() -> None:
    assert str(Endpoint(host="::1", port=161)) == "[::1]:161"
    assert str(Endpoint(host="127.0.0.1", port=161)) == "127.0.0.1:161"


COMMUNITY = LEAST + '[[snmp.community]]\nname = "swordfish"\n'
CIM = LEAST + "[cim]\n"
ACCOUNT = LEAST + '[[account]]\nname = "ops"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[hypervisor", "is not TOML: "),
        ("", "hypervisor: at least one"),
        ('[[hypervisor]]\nname = "a"\nuri = "b"', "nothing is served: add [snmp] or [cim]"),
        ('[[hypervisor]]\nname = "a"\n[snmp]', "hypervisor[0].uri: is missing"),
        ('[[hypervisor]]\nname = "a b"\nuri = "b"\n[snmp]', "hypervisor[0].name: 'a b' is not 1 to 32 letters"),
        ('[[hypervisor]]\nname = ""\nuri = "b"\n[snmp]', "hypervisor[0].name: must not be empty"),
        ('[[hypervisor]]\nname = 7\nuri = "b"\n[snmp]', "hypervisor[0].name: must be a text, not an integer"),
        ("hypervisor = 1\n[snmp]", "hypervisor: must be an array of tables, [[hypervisor]]"),
        ("hypervisor = [1]\n[snmp]", "hypervisor[0]: must be a table, not an integer"),
        (LEAST + 'listen = ["[::1]:161", "[0::1]:161"]', "snmp.listen: [::1]:161 stands twice"),
        (LEAST + '[[hypervisor]]\nname = "local"\nuri = "b"', "hypervisor[1].name: 'local' stands twice"),
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
        (CIM, "cim.certificate: is missing; https needs"),
        (CIM + 'certificate = "c"', "cim.key: is missing; https needs"),
        (CIM + 'listen = ["http://0.0.0.0:5988"]', "cim.listen: http is for loopback only, and 0.0.0.0:5988 is not"),
        (CIM + 'listen = ["127.0.0.1:5988"]', "cim.listen[0]: '127.0.0.1:5988' is not http://ADDRESS:PORT"),
        (CIM + 'listen = ["ftp://127.0.0.1:21"]', "cim.listen[0]: 'ftp://127.0.0.1:21' is not http://ADDRESS:PORT"),
        (CIM + 'listen = ["http://127.0.0.1:1"]\nanonymous = "administer"', "cim.anonymous: unknown key"),
        (ACCOUNT, "account[0].password_hash: is missing"),
        (ACCOUNT + 'password_hash = "hunter2"', "account[0].password_hash: is not an argon2 hash"),
        (ACCOUNT.replace("ops", "a:b") + f'password_hash = "{HASH}"', "account[0].name: must not hold a colon"),
        (LEAST + "[state]\ndirectory = 1", "state.directory: must be a text, not an integer"),
        (LEAST + "[inventory]\ninterval = true", "inventory.interval: must be a number of seconds, not a boolean"),
        (LEAST + "[inventory]\ninterval = 0", "inventory.interval: 0 is not between 0.1 and 86400 seconds"),
        (LEAST + "[inventory]\ninterval = nan", "inventory.interval: nan is not between"),
        (LEAST + "[inventory]\nworkers = 1.5", "inventory.workers: must be an integer, not a number"),
        (LEAST + "[inventory]\nworkers = 0", "inventory.workers: 0 is not between 1 and 256"),
        (LEAST + '[state]\ndirectory = "a\\u0000b"', "state.directory: must not hold control characters"),
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
        ACCOUNT + 'password_hash = "swordfish"',
    ):
        with pytest.raises(ConfigError) as error:
            parse(text)
        assert "swordfish" not in str(error.value)


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
