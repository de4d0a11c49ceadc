"""Looking into a server: URIs go to a shell and back, values get words, and nothing that a server says steers a terminal."""

from __future__ import annotations

import http.server
import json
import shlex
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pywbem
from hypothesis import given
from hypothesis import strategies as st

from agent.cim import browse
from agent.cim.browse import Browser, Reader, Server, connected, lines, one_line, place, record, shown, uri
from agent.cli import main
from agent.errors import Denied, Failed, Invalid, NotFound, Unreachable
from agent.schema.types import Secret
from tests.authorities import Authority
from tests.cim.served import OBSERVER, Running, serve

HOSTILE = 'guest\'; rm -rf "$HOME" \\ \x1b]0;owned\x07\x9b31m\u202e\nState  2 (running)'


# --- WBEM URIs


@pytest.mark.parametrize(
    ("text", "server", "namespace", "keys"),
    [
        ('C.K="v"', None, None, (("K", '"v"'),)),
        (":C", None, None, None),
        ('root/virtmap:C.K="v",N=3', None, "root/virtmap", (("K", '"v"'), ("N", "3"))),
        ("/root/virtmap:C=@", None, "root/virtmap", ()),
        (
            'https://host:5989/root/virtmap:C.K="a.b:c/d=,"',
            "https://host:5989",
            "root/virtmap",
            (("K", '"a.b:c/d=,"'),),
        ),
        ("//[::1]:5988/interop:C", "http://[::1]:5988", "interop", None),
        ("cimxml-wbems://host/root:C", "https://host", "root", None),
    ],
)
def test_a_uri_names_server_namespace_class_and_keys(
    text: str, server: str | None, namespace: str | None, keys: tuple[tuple[str, str], ...] | None
) -> None:
    found = place(text)
    assert (found.server, found.namespace, found.classname, found.keys) == (server, namespace, "C", keys)


@pytest.mark.parametrize(
    "text",
    ["", "a b", "root/virtmap", "ftp://host/root:C", "http://me:pw@host/root:C", 'C.K="v', 'C.K="v",', "C.", "C.=3"],
)
def test_what_is_no_uri_is_told(text: str) -> None:
    with pytest.raises(Invalid):
        place(text)


def key_of(text: str) -> str:
    (value,) = (browse._unquoted(raw) for _, raw in place(text).keys or ())
    return value


@given(st.text())
def test_any_text_survives_as_a_key_and_shows_no_shell_or_terminal_anything(text: str) -> None:
    written = uri(pywbem.CIMInstanceName("C", {"K": text}, namespace="root/virtmap"), "http://host:1")
    assert written.isprintable()
    assert "'" not in written
    assert key_of(written) == text
    assert shown(text).isprintable()


def test_a_lone_surrogate_survives_too() -> None:
    assert key_of(r'C.K="\xD83D\xDE00\xD800"') == "\U0001f600\ud800"


def test_single_quotes_are_enough_for_a_shell() -> None:
    path = uri(pywbem.CIMInstanceName("C", {"K": HOSTILE}))
    done = subprocess.run(f"printf %s '{path}'", shell=True, capture_output=True, text=True, timeout=30, check=True)
    assert key_of(done.stdout) == HOSTILE


def test_a_reference_as_a_key_is_a_uri_within_a_uri() -> None:
    inner = pywbem.CIMInstanceName("Inner", {"K": 'a"b\\c'}, namespace="root")
    assert key_of(key_of(uri(pywbem.CIMInstanceName("Outer", {"K": inner})))) == 'a"b\\c'


# --- values


def declared(name: str, kind: str, **qualifiers: Any) -> Any:
    return pywbem.CIMProperty(
        name, None, kind, qualifiers=[pywbem.CIMQualifier(k, v, type="string") for k, v in qualifiers.items()]
    )


STATES = declared("State", "uint16", ValueMap=["1", "2..4", "9..", ".."], Values=["off", "on", "vendor", "reserved"])
BITS = declared("Flags", "uint16", BitMap=["0", "2"], BitValues=["red", "blue"])
KIB, NANOSECONDS = declared("Memory", "uint64", PUnit="byte * 2^10"), declared("Time", "uint64", PUnit="second * 10^-9")


@pytest.mark.parametrize(
    ("value", "declaration", "said"),
    [
        (1, STATES, "off"),
        (3, STATES, "on"),
        (900, STATES, "vendor"),
        (7, STATES, "reserved"),
        (5, BITS, "red + blue"),
        (0, BITS, ""),
        (1, declared("V", "uint16", Values=["zero", "one"]), "one"),
        ("x", declared("V", "string", ValueMap=["x"], Values=["an x"]), "an x"),
        ("IP", declared("V", "string", ValueMap=["IP"], Values=["IP"]), ""),
        (1048576, KIB, "1 GiB"),
        (1000, KIB, ""),
        (90_061_000_000_000, NANOSECONDS, "1 d 1:01:01"),
        (5, NANOSECONDS, ""),
        (5, None, ""),
        (True, STATES, ""),
    ],
)
def test_a_value_means_what_its_class_says(value: Any, declaration: Any, said: str) -> None:
    assert browse.meaning(value, declaration) == said


@pytest.mark.parametrize(
    ("punit", "short"),
    [
        ("byte * 2^10", "KiB"),
        ("second * 10^-3", "ms"),
        ("count", ""),
        ("hertz * 10^6", "MHz"),
        ("bit / second", "bit/s"),
    ],
)
def test_units_are_short(punit: str, short: str) -> None:
    assert browse.unit(declared("V", "uint64", PUnit=punit)) == short
    assert browse.unit(None) == ""


def reader(*properties: Any) -> Reader:
    of = pywbem.CIMClass("C", properties=properties)
    return Reader(declared=lambda name: of if name == "C" else None, server="http://host:5988", namespace="root")


def instance(**values: Any) -> Any:
    return pywbem.CIMInstance("C", values, path=pywbem.CIMInstanceName("C", {"K": "1"}, namespace="root"))


def test_an_instance_becomes_aligned_lines() -> None:
    inner = pywbem.CIMInstance("Inner", {"A": pywbem.Uint8(1), "Gone": pywbem.CIMProperty("Gone", None, "string")})
    told = lines(
        instance(
            State=pywbem.Uint16(2),
            Memory=pywbem.Uint64(2048),
            Many=[pywbem.Uint16(1), pywbem.Uint16(2)],
            Nothing=pywbem.CIMProperty("Nothing", None, "string"),
            Empty="",
            When=pywbem.CIMDateTime("20261127144444.006472+000"),
            Long=pywbem.CIMDateTime("00000001020304.000000:000"),
            To=pywbem.CIMInstanceName("D", {"K": "x"}),
            Xml="<a>\n\t<b/>\n</a>\n",
            Inside=pywbem.CIMProperty("Inside", inner, "string", embedded_object="instance"),
        ),
        reader(STATES, KIB, declared("Many", "uint16", Values=["a", "b", "c"])),
    )
    *most, when = sorted(told, key=lambda line: line.startswith("When"))
    assert when.startswith(("When    2026-11-27T", "When    2026-11-28T"))  # wherever we are
    assert most == [
        "State   2 (on)",
        "Memory  2048 KiB (2 MiB)",
        "Many    1 (b), 2 (c)",
        'Empty   ""',
        "Long    1 day, 2:03:04",
        'To      http://host:5988/root:D.K="x"',
        "Xml     <a>",
        "                <b/>",
        "        </a>",
        "Inside  Inner",
        "            A  1",
    ]


def test_null_is_shown_on_request() -> None:
    empty = instance(Nothing=pywbem.CIMProperty("Nothing", None, "string"))
    assert list(lines(empty, reader())) == []
    assert list(lines(empty, reader(), nulls=True)) == ["Nothing  NULL"]


def test_hostile_text_reaches_no_terminal_and_forges_no_line() -> None:
    bad = instance(ElementName=HOSTILE, **{"Na\x9bme": ["\x1b[2J", "\r"]})
    bad.path = pywbem.CIMInstanceName("C\x9b", {"K\u202e": HOSTILE}, namespace="ro\x9bot")
    told = [*lines(bad, reader()), one_line(bad, reader())]
    assert all(line.isprintable() for line in told)
    assert not any(line.startswith("State") for line in told)
    assert one_line(instance(Name="a  State=on"), reader()).endswith('  Name="a  State=on"')
    assert shlex.split(one_line(bad, reader()))[0].startswith("http://host:5988/")
    assert json.dumps(record(bad, reader())).isprintable()


# --- a server


def pulling(running: Running) -> Any:
    return pywbem.WBEMConnection(running.url, default_namespace="root/virtmap", use_pull_operations=None)


def browser(running: Running) -> Browser:
    return Browser(pulling(running))


def test_classes_are_counted_without_those_above_them(running: Running) -> None:
    counts, problems = browser(running).counts()
    assert problems == []
    assert counts["Virtmap_Domain"] == 8
    assert counts["Virtmap_Host"] == 1
    assert "CIM_ManagedElement" not in counts
    with_associations, _ = browser(running).counts(associations=True)
    assert len(with_associations) > len(counts)


def test_every_path_that_is_listed_can_be_had(running: Running) -> None:
    found = browser(running)
    for listed in found.instances("CIM_ManagedElement", ["ElementName"]):
        where = place(found.reader.uri(listed.path))
        assert where.server == running.url
        assert found.instance(where).path == pywbem.CIMInstanceName(
            listed.path.classname, listed.path.keybindings, namespace=listed.path.namespace
        )


def test_an_association_is_found_by_its_references(running: Running) -> None:
    found = browser(running)
    one = next(found.instances("CIM_SystemDevice", None))
    told = list(lines(found.instance(place(found.reader.uri(one.path))), found.reader))
    assert any(line.startswith(f"GroupComponent  {running.url}/root/virtmap:Virtmap_") for line in told)


def test_many_domains_come_batch_by_batch() -> None:
    for running in serve({"local": f"fake:///?domains={2 * browse.BATCH + 1}&details=0&disks=0&nics=0&vcpus=1"}):
        connection = pulling(running)
        connection.debug = True  # so that it remembers what it asked for
        found = Browser(connection)
        instances = found.instances("Virtmap_Domain", browse.TELLING)
        next(instances)
        assert "OpenEnumerateInstances" in connection.last_request
        assert sum(1 for _ in instances) == 2 * browse.BATCH
        assert "PullInstancesWithPath" in connection.last_request
        begun = found.instances("Virtmap_Domain", browse.TELLING)
        next(begun)
        begun.close()
        assert "CloseEnumeration" in connection.last_request


def server(running: Running, **more: Any) -> Server:
    return Server(**{"url": running.url, "namespace": "root/virtmap", "timeout": 20, **more})


def test_failures_are_told_in_plain_words(strict: Running) -> None:
    with pytest.raises(Denied, match="wants to know who you are"), connected(server(strict)) as found:
        found.counts()
    wrong = server(strict, user=OBSERVER[0], password=Secret("wrong"))
    with pytest.raises(Denied, match="the password is wrong, or there is no user watcher"), connected(wrong) as found:
        found.counts()
    right = server(strict, user=OBSERVER[0], password=Secret(OBSERVER[1]))
    with connected(right) as found:
        assert found.counts()[0]["Virtmap_Host"] == 2
    with pytest.raises(NotFound, match="CIM_ERR_NOT_FOUND"), connected(right) as found:
        found.instance(place('Virtmap_Domain.CreationClassName="Virtmap_Domain",Name="x"'))
    with pytest.raises(Invalid, match="Virtmap_Domain has no key Nme; it has"), connected(right) as found:
        found.instance(place("Virtmap_Domain.Nme=x"))
    nowhere = replace(right, namespace="x")
    with pytest.raises(Failed, match="CIM_ERR_INVALID_NAMESPACE"), connected(nowhere) as found:
        found.counts()
    with (
        pytest.raises(Unreachable, match="nobody listens there"),
        connected(server(strict, url="http://127.0.0.1:1")) as f,
    ):
        f.counts()


def test_the_server_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    signed = ours.sign("server", server=True)
    # what stands in the environment has no say
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ours.certificate)
    for running in serve({"local": "fake:///?domains=1"}, certificate=(signed.certificate, signed.key)):
        url = f"https://localhost:{running.secure_port}"
        for trust in ({"ca": ours.certificate}, {"fingerprint": signed.fingerprint}, {"insecure": True}):
            with connected(server(running, url=url, **trust)) as found:
                assert found.counts()[0]["Virtmap_Domain"] == 1
        for trust in ({}, {"ca": other.certificate}):
            with (
                pytest.raises(Unreachable, match="cannot be verified: unable to get local issuer certificate; give"),
                connected(server(running, url=url, **trust)) as found,
            ):
                found.counts()
        with (
            pytest.raises(Unreachable, match=f"another one, of the SHA-256 fingerprint {signed.fingerprint}"),
            connected(server(running, url=url, fingerprint=":".join(["00"] * 32))) as found,
        ):
            found.counts()
        with (
            pytest.raises(Unreachable, match="does it speak https there"),
            connected(server(running, url=f"http://localhost:{running.secure_port}")) as found,
        ):
            found.counts()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"insecure": True}, "--insecure is for https"),
        ({"url": "https://host", "insecure": True, "ca": "x"}, "--insecure verifies nothing"),
        ({"url": "https://host", "fingerprint": "00"}, "64 hexadecimal digits"),
        ({"url": "https://host", "ca": "/nowhere"}, "--ca: /nowhere is no PEM file of certificates: No such file"),
        ({"url": "https://host", "certificate": "/nowhere"}, "--certificate: /nowhere and itself are not"),
        ({"url": "https://host", "key": "x"}, "--key needs its --certificate"),
        ({"user": "a:b"}, "a name with a colon"),
        ({"url": "http://host:http"}, "Invalid port number"),
    ],
)
def test_settings_that_make_no_sense_are_told(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(Invalid, match=told), connected(Server(**{"url": "http://host", "namespace": "x", **settings})):
        pass


def test_a_password_that_can_be_read_on_the_way_is_noticed() -> None:
    for url, exposed in (
        ("http://host", True),
        ("http://127.0.0.1:5988", False),
        ("http://[::1]", False),
        ("http://localhost:5988", False),
        ("http://127.evil.example", True),
        ("http://localhost.evil.example", True),
        ("https://h", False),
    ):
        assert Server(url=url, namespace="x", user="me").exposes is exposed
    assert not Server(url="http://host", namespace="x").exposes


def test_a_password_is_the_first_line_of_a_file_of_our_own(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("swordfish\nand more\n")
    file.chmod(0o600)
    assert browse.kept_password(str(file)).reveal() == "swordfish"
    for mode in (0o644, 0o640, 0o620, 0o604):
        file.chmod(mode)
        with pytest.raises(Invalid, match="others may read"):
            browse.kept_password(str(file))
    with pytest.raises(Invalid, match="No such file"):
        browse.kept_password(str(tmp_path / "none"))


@contextmanager
def answering(status: int, body: str, headers: dict[str, str]) -> Iterator[str]:
    """The URL of a server that answers this to everybody."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in {"Content-Type": "application/xml", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


ERROR = (
    '<CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1001" PROTOCOLVERSION="1.0"><SIMPLERSP>'
    '<IMETHODRESPONSE NAME="GetClass"><ERROR CODE="1" DESCRIPTION="no&#x9b;2J&#10;&#x202e;really"/></IMETHODRESPONSE>'
    "</SIMPLERSP></MESSAGE></CIM>"
)


@pytest.mark.parametrize(
    ("status", "body", "headers", "told"),
    [
        (200, ERROR, {}, r"CIM_ERR_FAILED: no\x9b2J\n\u202ereally"),
        (200, "<html>\x9b", {}, "what it answers is no CIM-XML"),
        (200, "", {"Content-Type": "text/\x9bhtml"}, "what it answers is no CIM-XML"),
        (503, "", {}, "HTTP status 503"),
        (302, "", {"Location": "http://127.0.0.1:1/"}, "it sends us elsewhere, and we do not go"),
    ],
)
def test_a_hostile_server_gets_one_printable_line(
    status: int, body: str, headers: dict[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(status, body, headers) as url:
        assert main(["cim", "get", "C.K=1", "--server", url]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"virtmap: {url}: ")
    assert captured.err.removesuffix("\n").isprintable()
    assert told in captured.err
