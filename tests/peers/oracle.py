"""A private snmpd on loopback, configured as our agent is in the tests that compare the two, and the way to ask either."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import wire, wire3
from tests.programs import program
from tests.servers import eventually
from tests.wire import Oid, get, oid

ANN = wire3.User(name=b"ann", auth="SHA-256", priv="AES")
"""May do everything, and has to encrypt."""
BOB = wire3.User(name=b"bob", auth="SHA")
"""May read, has to authenticate and cannot encrypt."""
EVE = wire3.User(name=b"eve")
"""May read without proving anything."""
RITA = wire3.User(name=b"rita", auth="SHA-512", priv="AES-256")
"""May read, and has to encrypt."""
NORA = wire3.User(name=b"nora", auth="MD5", priv="DES")
"""May read what the narrow view shows, and need not encrypt."""
USERS = (ANN, BOB, EVE, RITA, NORA)

PUBLIC, SECRET, NARROW = b"public", b"secret", b"narrow"
"""Communities: of a reader, of a writer, and of a reader who sees the narrow view."""

SYSTEM = oid("1.3.6.1.2.1.1")
NARROW_IN, NARROW_OUT = (SYSTEM, oid("1.3.6.1.6.3.15")), (oid("1.3.6.1.2.1.1.9"), oid("1.3.6.1.2.1.1.5"))
"""The narrow view: these subtrees, without those."""

MODULES = ("system_mib", "sysORTable", "snmp_mib", "vacm_conf", "vacm_context", "usmConf", "usmStats", "snmpEngine",
           "snmpMPDStats", "setSerialNo", "vacm_vars", "ifTable", "ifXTable", "interface")  # fmt: skip


def _dotted(arcs: Oid) -> str:
    return "." + ".".join(map(str, arcs))


def configuration() -> str:
    """The text of snmpd.conf."""
    lines = [f"rocommunity {PUBLIC.decode()} 127.0.0.1", f"rwcommunity {SECRET.decode()} 127.0.0.1"]
    lines += [f"view narrow included {_dotted(o)}" for o in NARROW_IN]
    lines += [f"view narrow excluded {_dotted(o)}" for o in NARROW_OUT]
    lines += [f"rocommunity {NARROW.decode()} 127.0.0.1 -V narrow"]
    for user in USERS:
        words = [f"createUser {user.name.decode()}"]
        words += [f'{user.auth} "{user.words}"'] if user.auth else []
        words += [f'{user.priv} "{user.secret}"'] if user.priv else []
        lines.append(" ".join(words))
    lines += ["rwuser ann priv", "rouser bob auth", "rouser eve noauth", "rouser rita priv"]
    lines += [
        "rouser nora auth -V narrow",
        "sysservices 72",
        "maxGetbulkResponses 500",
        "dontLogTCPWrappersConnects yes",
    ]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def snmpd(place: Path) -> Iterator[int]:
    """Run it in a folder; gives its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    config = place / "snmpd.conf"
    config.write_text(configuration())
    process = subprocess.Popen(
        [program("snmpd", "snmpd"), "-f", "-Lf", str(place / "log"), "-C", "-c", str(config),
         "-p", str(place / "pid"), "-I", ",".join(MODULES), f"udp:127.0.0.1:{port}"],
        env={**os.environ, "SNMP_PERSISTENT_DIR": str(place), "SNMPCONFPATH": str(place), "MIBS": ""},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        eventually(lambda: process.poll() is None and _answers(port), within=15, what="an answer of snmpd")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(get((*SYSTEM, 1, 0)))
            return bool(sock.recv(65535))
        except OSError:
            return False


MARK = 0x5AFE
"""The request-id of the question that everything else is followed by."""


@dataclass
class Subject:
    """An agent that is asked: where it is, and where it has what the other has elsewhere.

    `wide` is an instance of a Counter64, `wide_column` its column; `last` the last instance that a reader sees; `lock` a
    TestAndIncr that can be set. `turns` is how many questions it may answer before what it was asked before them, because it
    carries something out first.
    """

    port: int
    turns: int = 1
    wide: Oid = ()
    wide_column: Oid = ()
    last: Oid = ()
    lock: Oid = ()
    peer: wire3.Peer = field(default_factory=wire3.Peer)

    def __post_init__(self) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.settimeout(20)
        self._sock.connect(("127.0.0.1", self.port))

    def close(self) -> None:
        self._sock.close()

    def ask(self, datagram: bytes) -> bytes | None:
        """The answer to a datagram, None if it gets none: plain questions are asked behind it, and answered in order."""
        self._sock.send(datagram)
        answer: bytes | None = None
        for _ in range(self.turns):
            self._sock.send(get((*SYSTEM, 1, 0), request=MARK))
            while not _marked(data := self._sock.recv(65535)):
                assert answer is None, "two answers to one question"
                answer = data
            if answer is not None:
                break
        return answer

    def locked(self) -> int:
        """What the lock is now."""
        return wire.answered(self.ask(get(self.lock))).numbers[0]

    def discover(self) -> wire3.Peer:
        """Its engine ID, boots and time as they are now. The time is told in the report to an authenticated message."""
        found = wire3.answered(self.ask(wire3.discovery())).peer
        late = wire3.message(BOB, wire3.Peer(engine=found.engine), wire3.get())
        self.peer = wire3.answered(self.ask(late), BOB).peer
        return self.peer


def _marked(data: bytes) -> bool:
    try:
        return wire.answered(data).request == MARK
    except AssertionError:
        return False
