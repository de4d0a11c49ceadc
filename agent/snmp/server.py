"""The sockets of the SNMP agent: datagrams in, datagrams out, and the carrying out of SETs in between."""

import asyncio
import logging
import socket
import time
from collections.abc import Sequence

from agent.config import Endpoint
from agent.errors import ConfigError, VirtmapError
from agent.operations import Operations
from agent.snmp.engine import Engine, Setting, Step
from agent.snmp.message import Status

log = logging.getLogger("virtmap.snmp")

BATCH = 64
"""Datagrams that are answered before the loop gets its turn again."""

BUFFER = 65_535
RECEIVE_BUFFER = 1 << 20
PATIENCE = 4.0
"""Seconds a SET is waited for. net-snmp's tools wait six, retries included; what takes longer shows as a running job."""

Address = tuple[str, int]


class Server:
    """Listens on UDP, answers by the engine. Lives in the running loop from `start` to `stop`."""

    def __init__(self, engine: Engine, operations: Operations) -> None:
        self._engine = engine
        self._operations = operations
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._pace = _Pace()
        self._untold = 0

    def start(self, listen: Sequence[Address]) -> list[Address]:
        """Bind the addresses; port 0 takes a free one. Gives what was bound. ConfigError names an address that cannot be;
        nothing is left open then."""
        loop = asyncio.get_running_loop()
        bound: list[Address] = []
        for host, port in listen:
            try:
                sock = _bind(host, port)
            except ConfigError:
                self._close()
                raise
            self._sockets.append(sock)
            loop.add_reader(sock.fileno(), self._readable, sock)
            bound.append(sock.getsockname()[:2])
        return bound

    async def stop(self) -> None:
        """Listen no more; SETs under way go unanswered."""
        self._close()
        for task in self._tasks:
            task.cancel()

    def _close(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in self._sockets:
            loop.remove_reader(sock.fileno())
            sock.close()
        self._sockets.clear()

    def _readable(self, sock: socket.socket) -> None:
        receive = self._engine.receive
        for _ in range(BATCH):
            try:
                data, source = sock.recvfrom(BUFFER)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:  # an ICMP error of an earlier answer, told on the next call
                log.debug("receive: %s", error)
                return
            answer = receive(data, source[0], source[1])
            if isinstance(answer, Setting):
                task = asyncio.ensure_future(self._carry_out(sock, source, answer))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            elif answer is not None:
                self._send(sock, answer, source)
            if self._engine.refusals:
                self._tell_refusals()

    def _tell_refusals(self) -> None:
        """Into the audit trail, at a bounded pace: a source address is easily forged."""
        while self._engine.refusals:
            refusal = self._engine.refusals.popleft()
            if not self._pace.take():
                self._untold += 1
                continue
            reason = (
                f"{refusal.reason} (and {self._untold} more refused SETs untold)" if self._untold else refusal.reason
            )
            self._untold = 0
            telling = self._operations.refuse(
                refusal.principal, refusal.hypervisor, refusal.operation, refusal.target, reason
            )
            task = asyncio.ensure_future(telling)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _send(self, sock: socket.socket, answer: bytes, source: Address) -> None:
        try:
            sock.sendto(answer, source)
        except OSError as error:  # the manager asks again; an agent does not keep answers
            self._engine.statistics.snmpSilentDrops += 1
            log.debug("send to %s: %s", source, error)

    async def _carry_out(self, sock: socket.socket, source: Address, setting: Setting) -> None:
        try:
            status, index = await carry_out(setting, self._operations)
        except Exception:
            log.exception("SET by %s: a fault of the agent", setting.principal.name)
            status, index = Status.GEN_ERR, setting.steps[0].index
        answer = self._engine.finish(setting, status, index)
        if sock.fileno() >= 0:
            self._send(sock, answer, source)


class _Pace:
    """So many at once, and then so many a second."""

    def __init__(self, burst: int = 20, rate: float = 1.0) -> None:
        self._burst, self._rate = burst, rate
        self._left, self._at = float(burst), time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


async def carry_out(setting: Setting, operations: Operations) -> tuple[Status, int]:
    """Perform the steps of a SET in order; when one fails, take the earlier ones back. Gives error-status and error-index.

    RFC 3416, section 4.2.5: commitFailed at the variable that failed, undoFailed when that could not be mended.
    """
    done: list[Step] = []
    for step in setting.steps:
        try:
            await operations.perform(setting.principal, setting.hypervisor, step.operation, step.key, patience=PATIENCE)
        except VirtmapError as error:
            log.info("SET by %s from %s: %s", setting.principal.name, setting.principal.source, error)
            return await _undone(done, setting, operations, step.index)
        done.append(step)
    return Status.NO_ERROR, 0


async def _undone(done: Sequence[Step], setting: Setting, operations: Operations, index: int) -> tuple[Status, int]:
    status = Status.COMMIT_FAILED
    for step in reversed(done):
        if step.undo is None:
            continue
        try:
            await operations.perform(setting.principal, setting.hypervisor, step.undo, step.key, patience=PATIENCE)
        except VirtmapError as error:
            log.warning("SET by %s: could not be taken back: %s", setting.principal.name, error)
            status = Status.UNDO_FAILED
    return (status, 0) if status is Status.UNDO_FAILED else (status, index)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.setblocking(False)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise ConfigError(f"snmp.listen: {Endpoint(host=host, port=port).refused(error)}") from error
    return sock
