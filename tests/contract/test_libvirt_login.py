"""Hypervisors that ask who we are: libvirt's test driver, and a private libvirtd that wants passwords."""

from __future__ import annotations

import http.server
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest

from agent.__main__ import driver as driver_of
from agent.config import Hypervisor
from agent.driver import Driver
from agent.errors import Denied, VirtmapError
from agent.model import Domain, Host
from agent.model.domain import ReadXml, Suspend
from agent.model.host import DefineDomain
from agent.schema.types import Secret
from drivers.libvirt import LibvirtDriver
from drivers.libvirt.errors import without
from drivers.libvirt.login import ASKED, Login, Questions
from tests.listening import PASSWORD, USER, WithPasswords
from tests.programs import unavailable
from tests.servers import Unavailable, write_node

NODE = (
    "<node><auth><user password='swordfish'>fred</user><user>anybody</user></auth>"
    "<cpu><mhz>6000</mhz><model>x86_64</model><active>8</active><nodes>1</nodes><sockets>2</sockets><cores>2</cores>"
    "<threads>2</threads></cpu><memory>16777216</memory></node>"
)


@pytest.fixture
def node(tmp_path: Path) -> str:
    """The URI of a node of the test driver that asks who we are."""
    (tmp_path / "node.xml").write_text(NODE)
    return f"test://{tmp_path}/node.xml"


@pytest.fixture(scope="module")
def daemon() -> Iterator[WithPasswords]:
    try:
        made = WithPasswords()
    except Unavailable as reason:
        unavailable(str(reason))
    with made as server:
        yield server


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text(f"{PASSWORD}\n")
    return file


def rows_of(made: Driver) -> list[Any]:
    return [row for piece in made.plan().pieces for row in piece.read().rows]


def outcome(made: Driver) -> VirtmapError | None:
    """Why it does not connect; what it reads, when it does, is not nothing."""
    try:
        made.connect()
        assert rows_of(made)
    except VirtmapError as error:
        return error
    finally:
        made.close()
    return None


def asking(user: str | None, password: str | None, **more: Any) -> Login:
    return Login(user=user, password=lambda: None if password is None else Secret(password), **more)


# --- the test driver


def test_who_is_known_is_let_in(node: str) -> None:
    assert outcome(LibvirtDriver("x", node, login=asking("fred", "swordfish"))) is None


def test_who_needs_no_password_is_asked_for_none(node: str) -> None:
    def never() -> Secret:
        raise AssertionError("asked for a password")

    assert outcome(LibvirtDriver("x", node, login=Login(user="anybody", password=never))) is None


@pytest.mark.parametrize(
    ("user", "password", "told"),
    [
        ("fred", "sword", "authentication failed, see test XML"),
        ("nobody", "swordfish", "authentication failed, see test XML"),
        (
            "fred",
            None,
            "it asks for a password, and no password_file is configured: Enter fred's password for localhost",
        ),
        (None, "swordfish", "it asks for a user, and none is configured: Enter username for localhost"),
    ],
)
def test_who_is_not_known_is_denied_and_told_why(node: str, user: str | None, password: str | None, told: str) -> None:
    error = outcome(LibvirtDriver("x", node, login=asking(user, password)))
    assert isinstance(error, Denied)
    assert str(error).startswith(f"cannot connect to {node}: ")
    assert told in str(error)


def test_without_a_login_a_hypervisor_that_asks_denies(node: str) -> None:
    assert isinstance(outcome(LibvirtDriver("x", node)), Denied)


def test_the_user_of_the_uri_stands_in_for_one_of_the_configuration(node: str, password_file: Path) -> None:
    uri = node.replace("test:///", "test://fred@/")
    assert outcome(driver_of(Hypervisor(name="x", uri=uri, password_file=str(password_file)))) is None


def test_the_configuration_file_of_libvirt_itself_answers_first(node: str, tmp_path: Path) -> None:
    (tmp_path / "auth.conf").write_text(
        "[credentials-all]\nusername=fred\npassword=swordfish\n[auth-test-localhost]\ncredentials=all\n"
    )
    assert outcome(LibvirtDriver("x", f"{node}?authfile={tmp_path}/auth.conf")) is None


# --- the questions


def asked(login: Login, *questions: tuple[int, str, str | None]) -> tuple[list[str | None], str]:
    """The answers to questions of (kind, prompt, default) in one opening, or why one is refused."""
    made = Questions(login)
    answers: list[str | None] = []
    for kind, prompt, default in questions:
        question: list[Any] = [kind, prompt, "challenge", default, None]
        if made.answer((question,), None) != 0:
            return answers, made.refused
        answers.append(question[-1])
    return answers, made.refused


FRED = asking("fred@EXAMPLE", "swordfish")


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (libvirt.VIR_CRED_AUTHNAME, "fred@EXAMPLE"),
        (libvirt.VIR_CRED_USERNAME, "fred@EXAMPLE"),
        (libvirt.VIR_CRED_PASSPHRASE, "swordfish"),
        (libvirt.VIR_CRED_NOECHOPROMPT, "swordfish"),
        (libvirt.VIR_CRED_REALM, "EXAMPLE"),
        (libvirt.VIR_CRED_EXTERNAL, None),
    ],
)
def test_each_kind_of_question_has_its_answer(kind: int, answer: str | None) -> None:
    assert kind in ASKED
    assert asked(FRED, (kind, "?", None)) == ([answer], "")


def test_what_the_hypervisor_proposes_is_taken_where_nothing_is_configured() -> None:
    assert asked(Login(), (libvirt.VIR_CRED_AUTHNAME, "?", "root")) == (["root"], "")
    assert asked(FRED, (libvirt.VIR_CRED_AUTHNAME, "?", "root")) == (["fred@EXAMPLE"], "")
    assert asked(FRED, (libvirt.VIR_CRED_REALM, "?", "THEIRS")) == (["THEIRS"], "")


def test_what_only_a_person_can_answer_is_refused_with_its_prompt() -> None:
    prompt = "Accept SSH host key with hash '01:23'\n for host 'far:22' \x1b[31m(y/N)?"
    answers, refused = asked(FRED, (libvirt.VIR_CRED_ECHOPROMPT, prompt, "y"))
    assert answers == []
    assert refused == (
        "it asks what only a person can answer: Accept SSH host key with hash '01:23' for host 'far:22' [31m(y/N)?"
    )
    _, refused = asked(FRED, (libvirt.VIR_CRED_ECHOPROMPT, "x" * 100_000, None))
    assert len(refused) < 300


def test_a_realm_that_nobody_knows_is_refused() -> None:
    answers, refused = asked(asking("fred", "swordfish"), (libvirt.VIR_CRED_REALM, "Realm", None))
    assert (answers, refused) == ([], "it asks for a realm; configure the user as NAME@REALM: Realm")


def test_a_password_that_was_wrong_is_not_given_again() -> None:
    question = (libvirt.VIR_CRED_PASSPHRASE, "Password", None)
    answers, refused = asked(FRED, question, question)
    assert answers == ["swordfish"]
    assert refused == "it asks once more, so that the answer was wrong: Password"
    other = (libvirt.VIR_CRED_PASSPHRASE, "Password of the next host", None)
    assert asked(FRED, question, other) == (["swordfish", "swordfish"], "")


def test_what_was_answered_is_taken_out_of_what_is_told() -> None:
    made = Questions(FRED)
    assert made.answer(([libvirt.VIR_CRED_PASSPHRASE, "?", None, None, None],), None) == 0
    assert without(made.given, "no: 'swordfish' is wrong") == "no: '<secret>' is wrong"
    assert without(made.given, "no swordfishes") == "no swordfishes"


# --- a password that is wrong


def test_a_password_that_was_refused_is_not_tried_again_and_again(daemon: WithPasswords) -> None:
    daemon.admit("late", "another")
    patient, hasty = asking("late", PASSWORD), asking("late", PASSWORD, again=0.0)
    for login in (patient, hasty):
        assert isinstance(outcome(LibvirtDriver("x", daemon.tcp_uri, login=login)), Denied)
    daemon.admit("late", PASSWORD)
    error = outcome(LibvirtDriver("x", daemon.tcp_uri, login=patient))
    assert isinstance(error, Denied)
    assert "the password was refused; it is tried again after 300 s, or when there is another one" in str(error)
    assert outcome(LibvirtDriver("x", daemon.tcp_uri, login=hasty)) is None


class NoEsx(http.server.BaseHTTPRequestHandler):
    """Of an ESX host as much as refuses to let anybody in."""

    protocol_version = "HTTP/1.1"
    content = (
        "<RetrieveServiceContentResponse xmlns='urn:vim25'><returnval><rootFolder type='Folder'>f</rootFolder>"
        "<propertyCollector type='PropertyCollector'>c</propertyCollector><about><name>VMware ESX</name>"
        "<fullName>VMware ESX 6.5.0</fullName><vendor>VMware, Inc.</vendor><version>6.5.0</version><build>1</build>"
        "<osType>vmnix-x86</osType><productLineId>embeddedEsx</productLineId><apiType>HostAgent</apiType>"
        "<apiVersion>6.5</apiVersion></about><sessionManager type='SessionManager'>s</sessionManager></returnval>"
        "</RetrieveServiceContentResponse>"
    )
    fault = (
        "<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>Cannot complete login due to an incorrect user "
        "name or password.</faultstring></soapenv:Fault>"
    )

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        login = "<Login" in asked
        if login:
            self.server.logins.append(asked)  # type: ignore[attr-defined]
        answer = (
            "<?xml version='1.0'?><soapenv:Envelope xmlns:soapenv='http://schemas.xmlsoap.org/soap/envelope/'><soapenv:Body>"
            f"{self.fault if login else self.content}</soapenv:Body></soapenv:Envelope>"
        ).encode()
        self.send_response(500 if login else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


def test_esx_is_given_user_and_password_once_and_says_why_it_refuses(password_file: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), NoEsx) as server:
        server.logins = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"esx://root@127.0.0.1:{server.server_port}/?transport=http"
        made = driver_of(Hypervisor(name="x", uri=uri, password_file=str(password_file)))
        for told in ("Cannot complete login due to an incorrect user name or password", "the password was refused; "):
            with pytest.raises(Denied, match=told) as error:
                made.connect()
            assert PASSWORD not in str(error.value)
        made.close()
        server.shutdown()
    (login,) = server.logins  # type: ignore[attr-defined]
    assert f'>root</userName><password xmlns="urn:vim25" xsi:type="xsd:string">{PASSWORD}</password>' in login


# --- looking only


def test_through_a_read_only_connection_rows_are_read_and_nothing_is_changed(tmp_path: Path) -> None:
    uri = write_node(tmp_path / "node.xml", domains=1)
    made = driver_of(Hypervisor(name="x", uri=uri, read_only=True))
    made.connect()
    rows = rows_of(made)
    (host,) = [row for row in rows if isinstance(row, Host)]
    (domain,) = [row for row in rows if isinstance(row, Domain)]
    assert (host.problem, domain.problem) == ("", "")
    assert made.perform(ReadXml(), domain.key)["xml"].startswith("<domain")
    with pytest.raises(Denied, match="cannot suspend: operation forbidden: read only access prevents virDomainSuspend"):
        made.perform(Suspend(), domain.key)
    with pytest.raises(Denied, match="read only access prevents virDomainDefineXML"):
        made.perform(DefineDomain(xml="<domain/>"), ("x",))
    made.close()


# --- libvirtd


def by_tcp(server: WithPasswords) -> str:
    return server.tcp_uri


def by_socket(server: WithPasswords) -> str:
    return server.test_uri()


@pytest.mark.parametrize("way", [by_tcp, by_socket])
def test_libvirtd_lets_in_who_has_the_password(
    daemon: WithPasswords, way: Callable[[WithPasswords], str], password_file: Path
) -> None:
    made = driver_of(Hypervisor(name="x", uri=way(daemon), user=USER, password_file=str(password_file)))
    made.connect()
    (host,) = [row for row in rows_of(made) if isinstance(row, Host)]
    assert (host.encrypted, host.secure) == (True, True), "SASL encrypts"
    made.close()


def test_libvirtd_denies_everybody_else_and_no_word_of_it_tells_the_password(
    daemon: WithPasswords, password_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    password_file.write_text("sesame\n")
    for user, file, told in (
        (USER, password_file, "authentication failed"),
        ("nobody", password_file, "authentication failed"),
        (USER, None, "it asks for a password, and no password_file is configured: Please enter your password"),
        (None, password_file, "it asks for a user, and none is configured: Please enter your auth"),
        (USER, password_file.with_name("absent"), "absent: No such file or directory"),
    ):
        uri = daemon.tcp_uri
        made = driver_of(Hypervisor(name="x", uri=uri, user=user, password_file=str(file) if file else None))
        error = outcome(made)
        assert isinstance(error, Denied), error
        assert str(error).startswith(f"cannot connect to {uri}: ")
        assert told in str(error)
        assert "sesame" not in str(error)
    assert "sesame" not in caplog.text


def test_another_password_in_the_file_holds_from_the_next_connection_on(
    daemon: WithPasswords, password_file: Path
) -> None:
    made = driver_of(Hypervisor(name="x", uri=daemon.tcp_uri, user="rotated", password_file=str(password_file)))
    daemon.admit("rotated", PASSWORD)
    made.connect()
    daemon.admit("rotated", "another")
    with pytest.raises(Denied):
        made.connect()
    password_file.write_text("another\n")
    made.connect()
    assert rows_of(made)
    made.close()
