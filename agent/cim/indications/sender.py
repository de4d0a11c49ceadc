"""Requests to listeners, over HTTP or HTTPS: where a request may go, and how much of an answer is taken, for how long.

Redirections are not followed, proxies of the environment not used, cookies not kept. Each request has a connection of
its own, to an address that was checked a moment ago: a name that leads elsewhere by now leads nowhere.

Importing aiohttp takes a fifth of a second, which is why this module is imported when the first request is sent.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Sequence
from functools import partial

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver, ResolveResult

from agent import __version__
from agent.cim.indications.destinations import Url, admits, refusal
from agent.cim.indications.export import HEADERS, LONGEST_ANSWER, Outcome, Verdict, judged
from agent.cim.indications.trust import Lookup, addresses
from agent.config import Receivers
from agent.errors import VirtmapError
from agent.workers import Workers

__all__ = ["Sender"]

LOOKUPS = 8
"""Names that are looked up at once."""

_HEADERS = {**HEADERS, "Accept-Encoding": "identity", "User-Agent": f"virtmap/{__version__}"}


class _Resolver(AbstractResolver):
    """Finds the addresses of names, and gives those that requests may go to."""

    def __init__(self, scheme: str, rules: Sequence[Receivers], lookup: Lookup, workers: Workers, limit: float) -> None:
        self._scheme = scheme
        self._rules = rules
        self._lookup = lookup
        self._workers = workers
        self._limit = limit

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        url = Url(scheme=self._scheme, host=host, port=port, path="/", address=None)
        try:
            found = await self._workers.run(partial(self._lookup, host), limit=self._limit, what=f"look up {host}")
        except VirtmapError as error:
            raise OSError(str(error)) from error
        known = [ipaddress.ip_address(each) for each in dict.fromkeys(found)]
        allowed = [each for each in known if admits(url, each, self._rules)]
        if not allowed:
            raise OSError(f"{host} is at {', '.join(map(str, known)) or 'no address'}, which is not allowed")
        return [
            ResolveResult(
                hostname=host,
                host=str(each),
                port=port,
                family=socket.AF_INET if each.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for each in allowed
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Sender:
    """Sends to listeners where the rules allow; one that has not answered after `limit` seconds is not waited for. Made in
    the running loop, and closed there."""

    def __init__(
        self, rules: Sequence[Receivers], trust: ssl.SSLContext, *, limit: float, lookup: Lookup = addresses
    ) -> None:
        self._rules = rules
        self._limit = limit
        self._workers = Workers(LOOKUPS, "virtmap-lookup")
        self._sessions = {
            scheme: aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=_Resolver(scheme, rules, lookup, self._workers, limit),
                    ssl=trust,
                    use_dns_cache=False,
                    force_close=True,
                    limit=0,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=limit),
                auto_decompress=False,
                trust_env=False,
            )
            for scheme in ("http", "https")
        }

    async def send(self, url: Url, body: bytes) -> Verdict:
        """Hand over a request; what came of it, whatever happens."""
        if why := refusal(url, self._rules):
            return Verdict(Outcome.FAILED, why)
        where = yarl.URL(str(url), encoded=True)
        try:
            async with self._sessions[url.scheme].post(
                where, data=body, headers=_HEADERS, allow_redirects=False
            ) as response:
                return judged(response.status, await _beginning(response))
        except TimeoutError:
            return Verdict(Outcome.FAILED, f"no answer within {self._limit:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Verdict(Outcome.FAILED, _told(error))

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        self._workers.close()


def _told(error: Exception) -> str:
    """What went wrong, for people. aiohttp tells no more of why there is no connection than its number."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return ascii(str(cause)[:300])[1:-1] or type(error).__name__


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The content of an answer, or so much of it that it is known to be too long."""
    found = bytearray()
    async for chunk in response.content.iter_chunked(8192):
        found += chunk
        if len(found) > LONGEST_ANSWER:
            break
    return bytes(found)
