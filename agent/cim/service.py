"""The WBEM server of an agent, put together from its configuration: accounts, namespaces, subscriptions, HTTP and HTTPS."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Mapping, Sequence

import pywbem

from agent import __version__
from agent.access import Principal
from agent.cim import interop, namespaces
from agent.cim.accounts import Accounts
from agent.cim.certificates import server_context
from agent.cim.classes import INDICATION_SERVICE, build
from agent.cim.indications.arising import Arising
from agent.cim.indications.delivery import REMOVAL, RETRY_INTERVAL, Delivery
from agent.cim.indications.filters import objections
from agent.cim.indications.subscriptions import MOST_DESTINATIONS, MOST_SUBSCRIPTIONS, REMOVAL_INTERVAL, Subscriptions
from agent.cim.indications.trust import trusting
from agent.cim.interop import Authentication, Function, Mechanism
from agent.cim.provider import Provider
from agent.cim.server import Server
from agent.config import Cim, Config, Endpoint
from agent.errors import ConfigError
from agent.events import Events
from agent.inventory import Inventory
from agent.model import MODEL
from agent.operations import Operations
from agent.state import State

__all__ = ["Service"]

#: The functional groups of DSP0200 (7.5) that OPTIONS tells, and the same as CIM_ObjectManagerCommunicationMechanism has them.
GROUPS = {
    "basic-read": Function.BASIC_READ,
    "basic-write": Function.BASIC_WRITE,
    "instance-manipulation": Function.INSTANCE_MANIPULATION,
    "association-traversal": Function.ASSOCIATION_TRAVERSAL,
    "query-execution": Function.QUERY_EXECUTION,
    "qualifier-declaration": Function.QUALIFIER_DECLARATION,
}

#: What has no name in OPTIONS.
MORE = (Function.INDICATIONS, Function.PULLED_READ, Function.PULLED_READ_COUNT, Function.PULLED_QUERY_EXECUTION)


class Service:
    """Made, started and stopped in the running loop. ConfigError if files that the configuration names are not right."""

    def __init__(
        self, config: Config, inventories: Mapping[str, Inventory], operations: Operations, state: State,
        events: Mapping[str, Events],
    ) -> None:  # fmt: skip
        assert config.cim is not None
        self._cim = config.cim
        self._directory = config.state.directory
        self._operations = operations
        self._context = server_context(self._cim, self._directory) if self._cim.https else None
        self._accounts = Accounts(
            config.accounts, self._cim.anonymous, certificates=config.cim_certificates, audit=self._locked_out
        )
        schema = build(MODEL)
        self._host = socket.gethostname()
        self._subscriptions = Subscriptions(
            state, self._record, host=self._host, rules=self._cim.indication_destinations, objection=objections(schema)
        )
        self._delivery = Delivery(
            self._subscriptions, state, self._record, schema, trusting(self._cim.indication_ca), host=self._host,
            longest=self._cim.indication_queue, expiry=self._cim.indication_expiry,
        )  # fmt: skip
        self._arising = Arising(schema, self._delivery, host=self._host)
        for name, inventory in inventories.items():
            self._arising.follow(inventory, events[name])
        self._account = self._accounted()
        self._told: tuple[Sequence[pywbem.CIMInstance], ...] | None = None
        provider = Provider(
            inventories, operations, host=self._host, schema=schema, held=self._held, keepers=(self._subscriptions,),
            performers={INDICATION_SERVICE.lower(): self._delivery.invoke},
        )  # fmt: skip
        for inventory in inventories.values():
            provider.follow(inventory)
        self._server = Server(
            provider,
            self._accounts,
            connections=self._cim.connections,
            requests=self._cim.requests,
            groups=tuple(GROUPS),
            transfers=operations.transfers,
        )

    def _accounted(self) -> Sequence[pywbem.CIMInstance]:
        """What the server says of itself as long as it runs."""
        delivery = interop.Delivery(
            retry_attempts=self._delivery.retry_attempts,
            retry_interval=RETRY_INTERVAL,
            removal=REMOVAL,
            removal_interval=REMOVAL_INTERVAL,
            destinations=MOST_DESTINATIONS,
            subscriptions=MOST_SUBSCRIPTIONS,
        )
        functions = (*GROUPS.values(), *MORE)
        return [
            *interop.instances(
                self._host, __version__, mechanisms=_mechanisms(self._cim), functions=functions, delivery=delivery
            ),
            *interop.child_namespaces(namespaces.ROOT),
        ]

    async def start(self) -> tuple[tuple[Endpoint, ...], tuple[Endpoint, ...]]:
        """Listen; gives the addresses of HTTP and of HTTPS with their real ports. ConfigError if one is taken."""
        await self._delivery.start()
        try:
            http, https = await self._server.start(self._cim.http, self._cim.https, self._context)
        except OSError as error:
            raise ConfigError(f"cim.listen: {error.strerror}") from error
        base = _transfer_base(http, https, self._host)
        self._operations.transfers.base = lambda: base
        return tuple(http), tuple(https)

    def prepared(self, config: Config) -> Callable[[], None]:
        """What goes on with the accounts and certificates of another configuration. ConfigError if a file of it is not right."""
        assert config.cim is not None
        context = server_context(config.cim, self._directory) if config.cim.https else None

        def reload() -> None:
            self._accounts.renew(config.accounts, config.cim_certificates)
            if context is not None:
                self._server.renew(context)

        return reload

    async def stop(self) -> None:
        """Stop listening and close what is open. Bounded."""
        await self._arising.stop()
        await asyncio.gather(self._stop_serving(), self._delivery.stop())

    async def _stop_serving(self) -> None:
        await self._server.stop()
        await self._subscriptions.stop()

    def _held(self) -> Sequence[pywbem.CIMInstance]:
        """All instances that are no rows: the same tuple as long as they are the same."""
        shown, associated = self._subscriptions.instances(), self._subscriptions.associations()
        if self._told is None or self._told[0] is not shown or self._told[1] is not associated:
            self._told = (shown, associated, (*self._account, *shown, *associated))
        return self._told[2]

    async def _record(self, who: Principal, operation: str, target: str, result: str) -> None:
        await self._operations.record(who, "-", operation, target, result)

    def _locked_out(self, who: Principal, target: str, result: str) -> None:
        self._operations.note(who, "-", "Authenticate", target, result)


def _transfer_base(http: Sequence[Endpoint], https: Sequence[Endpoint], host: str) -> str | None:
    """What addresses of transfers begin with: HTTPS, or HTTP where that does not leave the host."""
    for endpoint in https:
        open_to_all = ipaddress.ip_address(endpoint.host).is_unspecified
        return f"https://{host if open_to_all else _bracketed(endpoint.host)}:{endpoint.port}"
    for endpoint in http:
        if ipaddress.ip_address(endpoint.host).is_loopback:
            return f"http://{_bracketed(endpoint.host)}:{endpoint.port}"
    return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _mechanisms(cim: Cim) -> list[Mechanism]:
    """How the server is reached."""
    found = []
    ways = [Authentication.BASIC, *([Authentication.NONE] if cim.anonymous is not None else [])]
    if cim.http:
        found.append(Mechanism(scheme="http", authentication=tuple(ways)))
    if cim.https:
        shown = [Authentication.CERTIFICATE] if cim.client_ca is not None else []
        found.append(Mechanism(scheme="https", authentication=(*ways, *shown)))
    return found
