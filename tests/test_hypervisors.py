"""Which URIs are those of hypervisors, and how the configuration tells what is wrong with one, or with its credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.__main__ import driver
from agent.config import Hypervisor, load, parse
from agent.errors import ConfigError
from agent.hypervisors import KINDS, TRANSPORTS, fault_of, user_of
from agent.schema.types import Secret

SERVED = "[snmp]\n"


def configured(uri: str, *more: str) -> str:
    return "\n".join(["[[hypervisor]]", 'name = "a"', f'uri = "{uri}"', *more, SERVED])


@pytest.mark.parametrize(
    "uri",
    [
        "qemu:///system",
        "qemu:///session",
        "qemu:///embed?root=/var/lib/embedded",
        "xen:///system",
        "lxc:///system",
        "bhyve:///system",
        "vz:///system",
        "vpx://ops@vcenter.example.net/Datacenter/cluster/server.example.net",
        "esx://root@esx.example.net/?no_verify=1",
        "gsx://gsx.example.net/",
        "vmwareplayer:///session",
        "vmwarews:///session",
        "vmwarefusion:///session",
        "hyperv://windows.example.net/?transport=http",
        "vbox:///session",
        "openvz:///system",
        "ch:///system",
        "test:///default",
        "test:///some/node.xml",
        "qemu+ssh://ops@far.example.net:2222/system?keyfile=/etc/virtmap/key&no_tty=1",
        "qemu+libssh2://far.example.net/system?known_hosts=/etc/virtmap/known",
        "qemu+libssh://far.example.net/system",
        "xen+tls://far.example.net:16514/system?pkipath=/etc/virtmap/pki",
        "qemu+tcp://[2001:db8::1]:16509/system",
        "qemu+unix:///system?socket=/run/libvirt/libvirt-sock",
        "lxc+ext:///system?command=/usr/local/bin/tunnel",
        "qemu://far.example.net/system",
        "fake:",
        "fake:///?domains=20",
    ],
)
def test_the_uris_of_hypervisors_are_taken(uri: str) -> None:
    (hypervisor,) = parse(configured(uri)).hypervisors
    assert hypervisor == Hypervisor(name="a", uri=uri)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_taken_as_its_example_shows_it(kind: str) -> None:
    example = KINDS[kind].example
    assert example.startswith(f"{kind}:")
    assert fault_of(example) is None


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_each_transport_leads_to_a_daemon_of_each_kind_of_libvirt(transport: str) -> None:
    needs = TRANSPORTS[transport].needs
    for kind, it_is in KINDS.items():
        fault = fault_of(f"{kind}+{transport}://far.example.net/system" + (f"?{needs}=/a/program" if needs else ""))
        assert (fault is not None) is it_is.own


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("local", "is no URI such as qemu:///system"),
        ("//host/system", "is no URI such as qemu:///system"),
        ("qmeu:///system", "'qmeu' is no kind of hypervisor; did you mean qemu?"),
        ("QEMU:///system", "'QEMU' is no kind of hypervisor; did you mean qemu?"),
        ("http://far.example.net/", "'http' is no kind of hypervisor; known here: qemu, xen, lxc, "),
        ("qemu+shs://far.example.net/system", "'shs' is no transport; did you mean ssh?"),
        ("qemu+carrier-pigeon:///system", "'carrier-pigeon' is no transport; known here: unix, tcp, tls, ssh, "),
        ("qemu+:///system", "'' is no transport; known here: "),
        ("fake+ssh:///", "fake has no transports; leave +ssh out"),
        ("esx:///", "VMware ESX is reached over the network and needs a host: esx://HOST/"),
        ("hyperv:", "Microsoft Hyper-V is reached over the network and needs a host: hyperv://HOST/"),
        ("qemu+ext:///system", "the transport ext needs the parameter command: ?command=/PATH/OF/A/PROGRAM"),
        ("qemu+ext:///system?command=", "the transport ext needs the parameter command: "),
        ("qemu+tcp://far.example.net:0/system", "its port is not a number from 1 to 65535"),
        ("qemu+tcp://far.example.net:65536/system", "its port is not a number from 1 to 65535"),
        ("qemu+tcp://far.example.net:ssh/system", "its port is not a number from 1 to 65535"),
        ("qemu+tcp://[2001:db8::1/system", "has brackets that do not go around an IPv6 address"),
        ("test:///a node.xml", "must not hold spaces or control characters; write a space as %20"),
        ("test:///a\\tnode.xml", "must not hold control characters"),
        ("test:///\\u0000", "must not hold control characters"),
        ("", "must not be empty"),
    ],
)
def test_what_is_no_uri_of_a_hypervisor_is_told_with_its_path(uri: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(configured(uri))
    assert str(error.value).startswith(f"hypervisor[0].uri: {told}")


@pytest.mark.parametrize(
    "uri",
    [
        "esx://root:swordfish@esx.example.net/",
        "esx://:swordfish@esx.example.net/",
        "esx://root%3Aswordfish@esx.example.net/",
        "esx://root:sword/swordfish@esx.example.net/",
        "qemu+ssh://ops:swordfish@far.example.net/system",
        "test://ops:swordfish@/default",
        "esx://esx.example.net/?password=swordfish",
        "esx://esx.example.net/?no_verify=1&Passwd=swordfish",
    ],
)
def test_a_password_has_no_place_in_a_uri_and_no_error_shows_it(uri: str) -> None:
    with pytest.raises(ConfigError, match="must not hold a password") as error:
        parse(configured(uri))
    assert "swordfish" not in str(error.value)
    with pytest.raises(ConfigError, match="hypervisor a: uri: must not hold a password") as error:
        driver(Hypervisor(name="a", uri=uri))
    assert "swordfish" not in str(error.value)


@pytest.mark.parametrize(("uri", "told"), [("test:///\0", "NUL"), ("test:///\udc80", "is not UTF-8 text")])
def test_what_no_text_of_a_configuration_could_hold_is_refused_on_the_command_line_too(uri: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        driver(Hypervisor(name="a", uri=uri))


def test_the_user_that_a_uri_names() -> None:
    assert user_of("esx://root@esx.example.net/") == "root"
    assert user_of("esx://EXAMPLE%5Cops@esx.example.net/") == "EXAMPLE\\ops"
    assert user_of("qemu+ssh://far.example.net/system") is None
    assert user_of("qemu:///system") is None


# --- credentials


def test_user_password_file_and_read_only_are_read(tmp_path: Path) -> None:
    (tmp_path / "esx.password").touch(mode=0o600)
    (tmp_path / "esx.password").write_text("swordfish\n")
    more = ('user = "ops"', 'password_file = "esx.password"', "read_only = true")
    (hypervisor,) = parse(configured("esx://esx.example.net/", *more), base=tmp_path).hypervisors
    assert (hypervisor.user, hypervisor.read_only) == ("ops", True)
    assert hypervisor.password_file == str(tmp_path / "esx.password")
    assert hypervisor.password() == Secret("swordfish")
    assert "swordfish" not in repr(hypervisor)


def test_the_password_is_what_stands_in_the_file_now(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    hypervisor = Hypervisor(name="a", uri="test:///default", password_file=str(file))
    for password in ("old", "new"):
        file.write_text(password + "\n")
        assert hypervisor.password() == Secret(password)
    file.unlink()
    with pytest.raises(ConfigError, match="password: No such file or directory"):
        hypervisor.password()


def test_without_a_file_there_is_no_password() -> None:
    assert Hypervisor(name="a", uri="test:///default").password() is None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('password = "swordfish"', "hypervisor[0].password: unknown key; did you mean password_file?"),
        ('password_file = "absent"', "/absent: No such file or directory"),
        ('password_file = "open"', "holds a secret, and others may read or change it (mode 0644); chmod 600"),
        ('password_file = "."', "is not a file"),
        ("password_file = 7", "hypervisor[0].password_file: must be a text, not an integer"),
        ('user = ""', "hypervisor[0].user: must not be empty"),
        ('read_only = "yes"', "hypervisor[0].read_only: must be true or false, not a text"),
    ],
)
def test_credentials_that_cannot_be_used_are_told_with_their_path(more: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "open").write_text("swordfish\n")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "virtmap.toml").write_text(configured("test:///default", more))
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "virtmap.toml")
    assert told in str(error.value)
    assert "hypervisor[0]." in str(error.value)
    assert "swordfish" not in str(error.value)


@pytest.mark.parametrize("more", ['user = "ops"', "read_only = true"])
def test_our_own_hypervisor_asks_for_nothing(more: str) -> None:
    with pytest.raises(ConfigError, match="is for hypervisors that libvirt reaches, and fake: is none"):
        parse(configured("fake:", more))
