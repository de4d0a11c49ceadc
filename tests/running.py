"""A `virtmap demo` or `virtmap serve` in a process of its own, for tests that see the agent as its users do."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import eventually

VIRTMAP = (str(Path(sys.executable).with_name("virtmap")),)
ANY_PORT = ("--snmp-port", "0", "--http-port", "0", "--https-port", "0")
STARTING = 30.0
STOPPING = 15.0

# Where these are set, they go before what a client is told to trust.
_TRUST = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def environment() -> dict[str, str]:
    """The environment without what would change whom clients trust, or where net-snmp looks."""
    return {k: v for k, v in os.environ.items() if k not in _TRUST and not k.startswith(("SNMP", "MIB"))}


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A running agent, by what it printed until it was ready."""

    process: subprocess.Popen[bytes]
    output: str
    complaints: Callable[[], str]
    """What it has written to stderr by now."""

    def port(self, protocol: str) -> int:
        """The port of `SNMP on`, `http://` or `https://`."""
        ready = next(line for line in self.output.splitlines() if line.startswith("ready"))
        found = re.search(rf"{re.escape(protocol)}\s?127\.0\.0\.1:(\d+)", ready)
        assert found is not None, ready
        return int(found[1])

    @property
    def secret(self) -> str:
        found = re.search(r"password (\S+)", self.output)
        assert found is not None, self.output
        return found[1]

    @property
    def commands(self) -> list[str]:
        """The commands that it says to try."""
        lines = self.output.splitlines()
        return [lines[i + 1] for i, line in enumerate(lines) if line.startswith("# ")]


def whole(file: int) -> str:
    """What is in a file that a process writes; the offset, which it shares with us, stays where it is."""
    return os.pread(file, os.fstat(file).st_size, 0).decode()


@contextmanager
def running(
    *arguments: str, command: Sequence[str] = VIRTMAP, cwd: Path | None = None, env: Mapping[str, str] | None = None,
    ends: int = 0,
) -> Iterator[Agent]:  # fmt: skip
    """An agent from when it says `ready` until the block ends; then it is asked to stop, unless it has ended already, and
    must have this exit status."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [*command, *arguments], stdout=out, stderr=err, cwd=cwd, env=dict(env or environment())
        )
        try:

            def printed() -> str:
                return whole(out.fileno())

            def complained() -> str:
                return whole(err.fileno())

            def ready() -> str | None:
                if process.poll() is not None:
                    raise AssertionError(f"ended with {process.returncode}: {printed()}{complained()}")
                text = printed()
                return text if re.search(r"^ready.*\n", text, re.MULTILINE) else None

            output = eventually(ready, within=STARTING, what="ready") or ""
            yield Agent(process=process, output=output, complaints=complained)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            assert process.wait(STOPPING) == ends, complained()
            assert "Traceback" not in complained(), complained()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(STOPPING)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
