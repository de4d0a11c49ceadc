"""Where indications may be sent: URLs that can be read in one way only, and rules that no trick gets around."""

from __future__ import annotations

import ipaddress

import pytest

from agent.cim.indications.destinations import admits, parsed, refusal
from agent.config import LOCAL_RECEIVERS, Receivers, parse

ANY = tuple(Receivers(scheme="http", network=ipaddress.ip_network(n)) for n in ("0.0.0.0/0", "::/0"))


def rules(*texts: str) -> tuple[Receivers, ...]:
    listed = ", ".join(f'"{text}"' for text in texts)
    config = parse(f'[[hypervisor]]\nname = "a"\nuri = "test:///default"\n[cim]\nindication_destinations = [{listed}]')
    assert config.cim is not None
    return config.cim.indication_destinations


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://127.0.0.1:5988", "http://127.0.0.1:5988/"),
        ("HTTPS://Suite.Example.NET/indications/x?y=1", "https://suite.example.net:443/indications/x?y=1"),
        ("http://[::0001]:1/", "http://[::1]:1/"),
        ("http://localhost", "http://localhost:80/"),
    ],
)
def test_a_url_is_read(text: str, told: str) -> None:
    assert str(parsed(text)) == told


@pytest.mark.parametrize(
    "text",
    [
        "", "127.0.0.1:5988", "ftp://127.0.0.1", "http://", "http:///x", "http://user@127.0.0.1/", "http://u:p@h/",
        "http://127.0.0.1:5988#x", "http://127.0.0.1:0", "http://127.0.0.1:65536", "http://127.0.0.1:59x",
        "http://127.0.0.1/\r\nHost: x", "http://127.0.0.1\r\n", "http://127.0.0.1/ x", "http://127.0.0.1/\x00",
        "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://127.1/", "http://0177.0.0.1/",
        "http://127.0.0.01/", "http://1.2.3.4.5/", "http://256.0.0.1/", "http://127.0.0.1./", "http://a..b/", "http://-a/",
        "http://[127.0.0.1]/", "http://[::1%25lo]/", "http://[::1/", "http://::1/", "http://\u2460.0.0.1/",
        "http://127\uff0e0\uff0e0\uff0e1/", "http://b\u00fccher.example/", f"http://{'a' * 64}/", "http://127.0.0.1\\@x/",
    ],
)  # fmt: skip
def test_a_url_that_may_be_read_in_two_ways_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://0.0.0.0:1", "http://[::]:1", "http://224.0.0.1:1", "http://255.255.255.255:1", "http://[ff02::1]:1",
        "http://169.254.169.254:80", "http://[fe80::1]:1", "http://[::ffff:127.0.0.1]:1", "http://[::ffff:a9fe:a9fe]:1",
        "http://[::127.0.0.1]:1", "http://[64:ff9b::7f00:1]:1", "http://[2002:7f00:1::]:1", "http://[2001:0:1::1]:1",
        "https://127.0.0.1:1",
    ],
)  # fmt: skip
def test_the_widest_rules_leave_out_what_nobody_means(text: str) -> None:
    assert refusal(parsed(text), ANY) is not None


def test_by_default_only_this_host_is_allowed() -> None:
    for text in ("http://127.0.0.1:5988", "https://127.8.9.10", "http://[::1]:99"):
        assert refusal(parsed(text), LOCAL_RECEIVERS) is None
    for text in ("http://192.0.2.1", "https://10.0.0.1", "http://[2001:db8::1]"):
        assert "not among cim.indication_destinations" in str(refusal(parsed(text), LOCAL_RECEIVERS))


def test_scheme_network_and_port_have_to_fit_the_same_rule() -> None:
    some = rules("https://192.0.2.0/24:5989-5990", "http://[2001:db8::/32]")
    for text in ("https://192.0.2.7:5989", "https://192.0.2.255:5990", "http://[2001:db8:1::2]:1"):
        assert refusal(parsed(text), some) is None
    for text in ("http://192.0.2.7:5989", "https://192.0.2.7", "https://192.0.3.7:5989", "https://[2001:db8::1]:5989"):
        assert refusal(parsed(text), some)


def test_nothing_is_allowed_where_there_is_no_rule() -> None:
    assert refusal(parsed("http://127.0.0.1"), ())
    assert refusal(parsed("http://localhost"), ())


def test_a_link_local_network_has_to_be_named() -> None:
    some = rules("http://169.254.0.0/16")
    assert refusal(parsed("http://169.254.1.1"), some) is None


def test_a_name_is_allowed_itself_or_by_its_address() -> None:
    named, other = parsed("https://Suite.example.net:5989"), parsed("https://evil.example.net:5989")
    some = rules("https://suite.example.net:5989")
    assert refusal(named, some) is None
    assert refusal(other, some)
    anywhere = ipaddress.ip_address("198.51.100.1")
    assert admits(named, anywhere, some)
    assert not admits(other, anywhere, some)
    assert not admits(named, ipaddress.ip_address("0.0.0.0"), some)
    network = rules("https://198.51.100.0/24")
    assert refusal(other, network) is None
    assert admits(other, anywhere, network)
    assert not admits(other, ipaddress.ip_address("127.0.0.1"), network)
    assert not admits(other, ipaddress.ip_address("::ffff:198.51.100.1"), network)
