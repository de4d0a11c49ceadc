"""Where the SNMP agent listens: UDP, TCP and TLS sockets around one engine, opened and closed together."""

from collections.abc import Sequence

from agent.config import SnmpEndpoint, Transport
from agent.errors import ConfigError
from agent.operations import Operations
from agent.snmp.engine import Engine
from agent.snmp.exchange import Exchange
from agent.snmp.tcp import Connections, Limits, TcpListener
from agent.snmp.tls import TlsFiles, context
from agent.snmp.udp import UdpListener

Address = tuple[str, str, int]
"""Transport (a Transport of the configuration, or its text: udp, tcp or tls), IP address and port."""


class Server:
    """Listens, and answers by the engine. Lives in the running loop from `start` to `stop`."""

    def __init__(self, engine: Engine, operations: Operations, *, limits: Limits | None = None) -> None:
        self._exchange = Exchange(engine, operations)
        self._connections = Connections(self._exchange, limits or Limits())
        self._listeners: list[tuple[str, UdpListener | TcpListener]] = []
        self._files: TlsFiles | None = None

    async def start(self, listen: Sequence[Address], tls: TlsFiles | None = None) -> list[Address]:
        """Bind the addresses; port 0 takes a free one. Gives what was bound. ConfigError names an address that cannot be,
        or a file of TLS that is not right; nothing is left open then."""
        self._files = tls
        try:
            for transport, host, port in listen:
                self._listeners.append((transport, self._listener(transport, host, port)))
        except BaseException:
            await self.stop()
            raise
        return [(transport, *listener.address) for transport, listener in self._listeners]

    def _listener(self, transport: str, host: str, port: int) -> UdpListener | TcpListener:
        endpoint = SnmpEndpoint(transport=Transport(transport), host=host, port=port)
        try:
            match endpoint.transport:
                case Transport.UDP:
                    return UdpListener(self._exchange, host, port)
                case Transport.TCP:
                    return TcpListener(self._connections, host, port)
                case Transport.TLS:
                    return TcpListener(self._connections, host, port, context(self._tls_files()))
        except OSError as error:
            raise ConfigError(f"snmp.listen: {endpoint.refused(error)}") from error

    def _tls_files(self) -> TlsFiles:
        if self._files is None:
            raise ConfigError("snmp.certificate: is missing; tls needs certificate, key and client_ca")
        return self._files

    def reload_tls(self, tls: TlsFiles | None = None) -> None:
        """Read the files of TLS anew, or others; for connections from now on. ConfigError if they are not right: those of
        before stay in use."""
        listeners = [one for _, one in self._listeners if isinstance(one, TcpListener) and one.context is not None]
        if listeners:
            files = tls or self._tls_files()
            made = context(files)
            self._files = files
            for listener in listeners:
                listener.context = made

    async def stop(self) -> None:
        """Listen no more and end all connections; SETs under way go unanswered."""
        for _, listener in self._listeners:
            listener.close()
        self._listeners.clear()
        await self._connections.stop()
        await self._exchange.stop()
