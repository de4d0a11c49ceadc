"""Data that operations move, by addresses on the WBEM server and by spool files."""

from __future__ import annotations

import http.client
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import pywbem

from drivers.fake.objects import DATA, pattern
from tests.cim.served import ADMINISTRATOR as ADMIN
from tests.cim.served import DEFINER, OBSERVER, Running, path_of, serve
from tests.servers import eventually


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    yield from serve({"default": "fake:///"})


def begin(running: Running, method: str, **arguments: Any) -> tuple[str, Any]:
    """The address that a method gives, and the path of its job."""
    client = running.client(ADMIN)
    code, outs = client.InvokeMethod(method, path_of(running, "guest1"), **arguments)
    assert code == 4096
    return outs["Address"], outs["Job"]


@dataclass(frozen=True)
class Got:
    """An answer."""

    status: int
    headers: Any
    body: bytes


def connect(address: str) -> http.client.HTTPConnection:
    split = urlsplit(address)
    return http.client.HTTPConnection(split.hostname or "", split.port, timeout=20)


def request(address: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None) -> Got:
    connection = connect(address)
    try:
        connection.request(method, urlsplit(address).path, body, headers or {})
        answer = connection.getresponse()
        return Got(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def job(running: Running, path: Any) -> Any:
    return running.client().GetInstance(path)


def ended(running: Running, path: Any) -> Any:
    return eventually(
        lambda: (found := job(running, path))["JobState"] not in (4,) and found, what="the end of the job"
    )


def test_a_screenshot_is_got_from_its_address_once(running: Running) -> None:
    address, path = begin(running, "Screenshot")
    assert job(running, path)["JobState"] == 4
    answer = request(address)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Length"] == str(DATA)
    assert answer.body == pattern(0, DATA)
    assert ended(running, path)["JobState"] == 7
    assert request(address).status == 404


def test_no_token_no_data(running: Running) -> None:
    address, _ = begin(running, "Screenshot")
    for wrong in (address[:-1], address + "x", address.rsplit("/", 1)[0] + "/", f"{address}/.."):
        assert request(wrong).status == 404
    assert request(address, "PUT", b"data").status == 405
    assert request(address, "DELETE").status == 405
    assert request(address).body == pattern(0, DATA), "what was refused did not use the token up"


def test_an_observer_gets_no_address(running: Running) -> None:
    with pytest.raises(pywbem.CIMError) as caught:
        running.client(OBSERVER).InvokeMethod("Screenshot", path_of(running, "guest1"))
    assert caught.value.status_code == pywbem.CIM_ERR_ACCESS_DENIED
    assert "refused" in running.trail.records[-1]["result"]


def test_a_client_that_goes_away_ends_the_job(running: Running) -> None:
    address, path = begin(running, "OpenConsole")
    connection = connect(address)
    connection.request("GET", urlsplit(address).path)
    with connection.getresponse() as answer:
        assert answer.read1(100) == b"ready\n"
    connection.close()
    assert ended(running, path)["JobState"] in (7, 10)


def test_a_console_goes_both_ways(running: Running) -> None:
    address, path = begin(running, "OpenConsole")
    got: list[bytes] = []
    first = threading.Event()

    def listen() -> None:
        connection = connect(address)
        connection.request("GET", urlsplit(address).path)
        with connection.getresponse() as answer, suppress(http.client.IncompleteRead, ConnectionError):
            while part := answer.read1(4096):
                got.append(part)
                first.set()
        connection.close()

    listener = threading.Thread(target=listen)
    listener.start()
    assert first.wait(20)
    assert request(address, "PUT", b"hello\n").status == 204
    eventually(lambda: b"".join(got) == b"ready\nhello\n", what="the echo")
    assert request(address).status == 409, "somebody listens already"
    client = running.client(ADMIN)
    client.InvokeMethod("Cancel", path)
    assert ended(running, path)["JobState"] == 8
    listener.join(20)
    assert not listener.is_alive()
    assert request(address).status == 404


def test_a_job_nobody_came_for_is_canceled(running: Running) -> None:
    address, path = begin(running, "Screenshot")
    running.client(DEFINER).InvokeMethod("Cancel", path)
    assert ended(running, path)["JobState"] == 8
    assert request(address).status == 404
    with pytest.raises(pywbem.CIMError, match="it has ended"):
        running.client(DEFINER).InvokeMethod("Cancel", path)


def test_a_spool_file_takes_the_data(running: Running) -> None:
    client = running.client(ADMIN)
    code, outs = client.InvokeMethod("Screenshot", path_of(running, "guest1"), File="screen.png")
    assert (code, outs["Transferred"]) == (0, DATA)
    assert (running.spool / "screen.png").read_bytes() == pattern(0, DATA)
    with pytest.raises(pywbem.CIMError, match="there is one already"):
        client.InvokeMethod("Screenshot", path_of(running, "guest1"), File="screen.png")
    (running.spool / "screen.png").unlink()
    for name in ("../x", "/etc/x", ".x"):
        with pytest.raises(pywbem.CIMError, match="is no name of a spool file"):
            client.InvokeMethod("Screenshot", path_of(running, "guest1"), File=name)
    assert os.listdir(running.spool) == []


def test_too_much_for_the_spool_leaves_nothing(running: Running) -> None:
    (running.spool / "in").write_bytes(bytes(2**20))
    client = running.client(ADMIN)
    with pytest.raises(pywbem.CIMError, match="more than 1048576 bytes"):
        client.InvokeMethod("OpenConsole", path_of(running, "guest1"), File="out", Input="in")
    assert os.listdir(running.spool) == ["in"]
    (running.spool / "in").unlink()


def test_bytes_travel_as_an_octet_string(running: Running) -> None:
    code, outs = running.client(ADMIN).InvokeMethod(
        "PeekMemory", path_of(running, "guest1"), Start=pywbem.Uint64(0), Size=pywbem.Uint32(16)
    )
    data = bytes(outs["Data"])
    assert code == 0
    assert int.from_bytes(data[:4], "big") == len(data) == 20
