"""The HTTP shell: headers, status codes, credentials, limits, streaming (DSP0200, chapters 6 and 7)."""

from __future__ import annotations

import base64
import http.client
import pathlib
import resource
import socket
import struct

import pytest
import pywbem

from agent.cim import connections, server
from agent.cim.accounts import Accounts
from agent.cim.certificates import self_signed
from agent.config import Endpoint
from tests.cim.served import OBSERVER, OPERATOR, Running, serve

HEADERS = {"Content-Type": 'application/xml; charset="utf-8"', "CIMOperation": "MethodCall"}


def body(class_name: str = "Virtmap_Domain", operation: str = "EnumerateInstances") -> bytes:
    return (
        '<?xml version="1.0" encoding="utf-8" ?><CIM CIMVERSION="2.0" DTDVERSION="2.0"><MESSAGE ID="1" '
        f'PROTOCOLVERSION="1.0"><SIMPLEREQ><IMETHODCALL NAME="{operation}"><LOCALNAMESPACEPATH>'
        '<NAMESPACE NAME="root"/><NAMESPACE NAME="virtmap"/></LOCALNAMESPACEPATH><IPARAMVALUE NAME="ClassName">'
        f'<CLASSNAME NAME="{class_name}"/></IPARAMVALUE></IMETHODCALL></SIMPLEREQ></MESSAGE></CIM>'
    ).encode()


def basic(pair: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(pair).encode()).decode()


def send(
    running: Running,
    content: bytes = b"",
    headers: dict[str, str] | None = None,
    method: str = "POST",
    path: str = "/cimom",
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    try:
        connection.request(method, path, content, HEADERS if headers is None else headers)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def test_a_short_answer_has_its_length(running: Running) -> None:
    answer, content = send(running, body("Virtmap_Host"))
    assert (answer.status, answer.headers["CIMOperation"]) == (200, "MethodResponse")
    assert int(answer.headers["Content-Length"]) == len(content)
    assert content.startswith(b'<?xml version="1.0" encoding="utf-8" ?>')
    assert answer.headers.get_content_type() == "application/xml"


def test_a_long_answer_is_chunked_and_whole(running: Running) -> None:
    answer, content = send(running, body("CIM_ManagedElement"))
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert len(content) > server.SHORT
    assert content.endswith(b"</CIM>\n")


def test_the_old_protocol_gets_one_piece(running: Running) -> None:
    content = body("CIM_ManagedElement")
    head = (
        "POST /cimom HTTP/1.0\r\nContent-Type: application/xml\r\nCIMOperation: MethodCall\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as peer:
        peer.sendall(head.encode() + content)
        got = b"".join(iter(lambda: peer.recv(65536), b""))
    assert b"chunked" not in got.partition(b"\r\n\r\n")[0]
    assert got.endswith(b"</CIM>\n")


def test_any_path_will_do(running: Running) -> None:
    assert send(running, body("Virtmap_Host"), path="/anything/else")[0].status == 200


@pytest.mark.parametrize(
    ("content", "headers", "status", "cim_error"),
    [
        (body(), {"Content-Type": "application/xml"}, 400, "header-mismatch"),
        (body(), HEADERS | {"CIMOperation": "Batch"}, 501, "unsupported-operation"),
        (body(), HEADERS | {"CIMMethod": "GetClass"}, 400, "header-mismatch"),
        (body(), HEADERS | {"CIMObject": "root/other"}, 400, "header-mismatch"),
        (body(), HEADERS | {"Content-Type": "text/plain"}, 415, "request-not-valid"),
        (body(), HEADERS | {"Content-Encoding": "gzip"}, 400, "request-not-valid"),
        (body(), HEADERS | {"Content-Encoding": "br"}, 415, "request-not-valid"),
        (b"", HEADERS, 400, "request-not-well-formed"),
        (b"<CIM", HEADERS, 400, "request-not-well-formed"),
        (b"<!DOCTYPE CIM><CIM/>", HEADERS, 400, "request-not-well-formed"),
        (b"<CIM/>", HEADERS, 400, "request-not-valid"),
        (b" " * (server.BODY_LIMIT + 1), HEADERS, 413, "request-not-valid"),
    ],
)
def test_refusals(running: Running, content: bytes, headers: dict[str, str], status: int, cim_error: str) -> None:
    answer, text = send(running, content, headers)
    assert (answer.status, answer.headers["CIMError"]) == (status, cim_error)
    assert int(answer.headers["Content-Length"]) == len(text)


@pytest.mark.parametrize(
    "headers",
    [
        {"CIMMethod": "EnumerateInstances", "CIMObject": "root%2Fvirtmap"},
        {"CIMMethod": "enumerateinstances", "CIMObject": "root/virtmap:Virtmap_Domain"},
        {"CIMObject": "//somewhere/root/virtmap"},
    ],
)
def test_headers_that_agree(running: Running, headers: dict[str, str]) -> None:
    assert send(running, body(), HEADERS | headers)[0].status == 200


@pytest.mark.parametrize(("method", "status"), [("GET", 405), ("PUT", 405), ("OPTIONS", 200), ("BREW", 501)])
def test_other_methods(running: Running, method: str, status: int) -> None:
    answer, text = send(running, b"", HEADERS | {"Man": "http://www.dmtf.org/cim/mapping/http/v1.0;ns=48"}, method)
    assert answer.status == status
    assert int(answer.headers["Content-Length"]) == len(text)


def test_a_body_without_end_is_bounded(running: Running) -> None:
    head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\nCIMOperation: MethodCall\r\n"
    piece = b"%x\r\n" % 65536 + b"x" * 65536 + b"\r\n"
    with socket.create_connection(("127.0.0.1", running.port), timeout=20) as peer:
        peer.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(server.BODY_LIMIT // 65536 + 1):
            peer.sendall(piece)
        assert peer.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_requests_over_the_bound_are_told_to_come_back(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.Server, "begin", lambda *_: False)
    answer, _ = send(running, body())
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


def test_several_requests_on_one_connection(running: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    sizes = set()
    for _ in range(3):
        connection.request("POST", "/", body("CIM_LogicalDevice", "EnumerateInstanceNames"), HEADERS)
        answer = connection.getresponse()
        assert answer.status == 200
        sizes.add(len(answer.read()))
    connection.close()
    assert len(sizes) == 1


def test_a_client_that_goes_away_harms_nobody(running: Running) -> None:
    content = body("CIM_ManagedElement")
    head = (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\nCIMOperation: MethodCall\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as peer:
            peer.sendall(head.encode() + content)
            peer.recv(10)
    assert send(running, body())[0].status == 200


def test_a_client_that_goes_away_in_its_request_is_not_logged(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\nCIMOperation: MethodCall\r\n"
    for reset in (False, True):
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as peer:
            peer.sendall(head.encode() + b"Content-Length: 1000\r\n\r\n<CIM")
            if reset:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert send(running, body())[0].status == 200
    assert not [r for r in caplog.records if r.levelname == "ERROR"]


# --- places -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
def test_a_silent_crowd_takes_no_more_than_its_places(
    certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    monkeypatch.setattr(server, "places", lambda _: 5)
    monkeypatch.setattr(server, "KEEP_ALIVE", 1.0)
    monkeypatch.setattr(connections, "HANDSHAKE", 1.0)
    for alone in serve({"local": "fake:///?domains=1"}, certificate=certificate):
        port = alone.secure_port if tls else alone.port
        before = open_files()
        crowd = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(15)]
        # One is accepted before another one gives up its place; and this one is not in the crowd's way.
        assert open_files() - before <= len(crowd) + 5 + 1
        for peer in crowd[: -connections.share(5)]:
            assert peer.recv(10) == b""  # it gave up its place to those after it
        assert send(alone, body())[0].status == 200
        for peer in crowd[-connections.share(5) :]:
            assert peer.recv(10) == b""  # its time is over, or it was in that request's way
        for peer in crowd:
            peer.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """PEM files of a certificate for localhost and of its key."""
    pem, key = self_signed(tmp_path_factory.mktemp("tls"))
    return str(pem), str(key)


def open_files() -> int:
    return len(list(pathlib.Path("/proc/self/fd").iterdir()))


def test_places_leave_files_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, expected in ((1024, 512), (1 << 20, 512), (100, 50), (1, 1), (resource.RLIM_INFINITY, 512)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert connections.places(512) == expected


# --- credentials ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic",
        "Basic !!!",
        "Bearer abc",
        basic(("watcher", "wrong")),
        basic(("nobody", "see-only")),
        basic(("", "")),
    ],
)
def test_nobody_enters_without_credentials(strict: Running, authorization: str | None) -> None:
    headers = HEADERS if authorization is None else HEADERS | {"Authorization": authorization}
    answer, _ = send(strict, body(), headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith('Basic realm="virtmap"')
    assert int(answer.headers["Content-Length"]) == 0


def test_the_right_password_opens(strict: Running) -> None:
    for pair in (OBSERVER, OPERATOR, OBSERVER):
        assert send(strict, body(), HEADERS | {"Authorization": basic(pair)})[0].status == 200
    with pytest.raises(pywbem.AuthError):
        strict.client().EnumerateInstanceNames("Virtmap_Domain")


def test_wrong_credentials_are_not_anonymous(running: Running) -> None:
    answer, _ = send(running, body(), HEADERS | {"Authorization": basic(("watcher", "wrong"))})
    assert answer.status == 401


def test_a_taken_port_is_an_error_and_nothing_stays_open(running: Running) -> None:
    taken = Endpoint(host="127.0.0.1", port=running.port)
    free = Endpoint(host="127.0.0.1", port=0)

    async def check() -> None:
        second = server.Server(None, Accounts(()))  # type: ignore[arg-type]  # nobody gets as far as the provider
        with pytest.raises(OSError, match="in use"):
            await second.start(http=[free, taken])

    running.run(check)
