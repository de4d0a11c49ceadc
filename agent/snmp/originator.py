"""One target that wants informs, by pysnmp: it discovers the receiver's engine, tries again, and sees the answer.

pysnmp is used below its convenient layer. That one would look every variable up in a MIB, and when a notification is not
in a view it neither sends it nor says so. What is left out here is done by the notifier's filters.

The engine is made without an engine ID and given ours afterwards: given one at the start, pysnmp keeps a file of boots
under the temporary directory. Its own boots and time are never sent, for the authoritative engine of an inform is its
receiver. Keys are hashed from passphrases by our code, which takes a millisecond where pysnmp's takes twenty.

Imported by the thread that sends informs, and by nobody else: the import takes a fifth of a second.
"""

import asyncio
from typing import Any

from pyasn1.codec.ber import decoder
from pyasn1.error import PyAsn1Error
from pysnmp.carrier.asyncio.dgram import udp, udp6
from pysnmp.entity import config
from pysnmp.entity.engine import SnmpEngine
from pysnmp.entity.rfc3413.ntforg import NotificationOriginator
from pysnmp.error import PySnmpError
from pysnmp.proto.api import v2c
from pysnmp.proto.errind import RequestTimedOut

from agent.snmp.inform import Outcome
from agent.snmp.message import Pdu
from agent.snmp.notifications import Target
from agent.snmp.protection import AuthProtocol, PrivProtocol, password_to_key
from agent.snmp.trap import next_number, pdu
from agent.snmp.usm import User

NAME = "target"
MODELS = {"2c": 1, "3": 3}
SHORTEST_TIMEOUT = 0.2
"""Seconds; pysnmp's clock ticks ten times a second."""

DISCOVERIES = 4
"""How often the receiver's engine, boots and time are asked for within one inform."""

AUTH = {
    AuthProtocol.MD5: config.USM_AUTH_HMAC96_MD5,
    AuthProtocol.SHA1: config.USM_AUTH_HMAC96_SHA,
    AuthProtocol.SHA224: config.USM_AUTH_HMAC128_SHA224,
    AuthProtocol.SHA256: config.USM_AUTH_HMAC192_SHA256,
    AuthProtocol.SHA384: config.USM_AUTH_HMAC256_SHA384,
    AuthProtocol.SHA512: config.USM_AUTH_HMAC384_SHA512,
}
PRIV = {
    PrivProtocol.DES: config.USM_PRIV_CBC56_DES,
    PrivProtocol.AES128: config.USM_PRIV_CFB128_AES,
    PrivProtocol.AES192: config.USM_PRIV_CFB192_AES_BLUMENTHAL,
    PrivProtocol.AES256: config.USM_PRIV_CFB256_AES_BLUMENTHAL,
    PrivProtocol.AES192_REEDER: config.USM_PRIV_CFB192_AES,
    PrivProtocol.AES256_REEDER: config.USM_PRIV_CFB256_AES,
}


class Originator:
    """Sends informs to one target, from the running loop."""

    def __init__(self, target: Target, engine_id: bytes) -> None:
        self._target = target
        self._engine_id = engine_id
        self._engine = _engine(engine_id)
        self.trusted = False
        """Whether the receiver has acknowledged anything."""
        self._application = NotificationOriginator(discoveryRetries=DISCOVERIES)
        principal = self._add_principal(target)
        config.add_target_parameters(self._engine, NAME, principal, target.protection.label, MODELS[target.version])
        transport: Any = udp6.Udp6Transport() if ":" in target.host else udp.UdpTransport()
        self._domain = udp6.DOMAIN_NAME if ":" in target.host else udp.DOMAIN_NAME
        config.add_transport(self._engine, self._domain, transport.open_client_mode())
        config.add_target_address(
            self._engine, NAME, self._domain, (target.host, target.port), NAME,
            round(100 * max(target.timeout, SHORTEST_TIMEOUT)), target.retries,
        )  # fmt: skip

    def _add_principal(self, target: Target) -> str:
        """The securityName of its user, or of its community."""
        if target.version == "3" and target.user is not None:
            _add_user(self._engine, target.user)
            return target.user.name
        if target.community is not None:
            config.add_v1_system(self._engine, NAME, target.community.reveal().encode())
        return NAME

    @property
    def patience(self) -> float:
        """Seconds after which an inform has certainly come to its end."""
        return max(self._target.timeout, SHORTEST_TIMEOUT) * (self._target.retries + DISCOVERIES + 2) + 5

    @property
    def discovered(self) -> bool:
        """Whether it believes to know the receiver's engine."""
        known = self._engine.message_processing_subsystems[MODELS["3"]]
        peer: object = known.get_peer_engine_info(self._domain, (self._target.host, self._target.port))[0]
        return peer is not None

    async def send(self, bindings: bytes, context: str) -> tuple[Outcome, str]:
        """Tell the target, and wait for what becomes of it; `bindings` are the contents of the list of variables."""
        future: asyncio.Future[tuple[Outcome, str]] = asyncio.get_running_loop().create_future()
        v3 = self._target.version == "3"
        own = v2c.OctetString(self._engine_id) if v3 else None
        try:
            request, _ = decoder.decode(pdu(bindings, next_number(), Pdu.INFORM), asn1Spec=v2c.InformRequestPDU())
            self._application.send_pdu(
                self._engine, NAME, own, v2c.OctetString(context.encode() if v3 else b""), request, _answered, future
            )
        except (PySnmpError, PyAsn1Error) as error:
            return Outcome.REFUSED, f"it cannot be sent: {error}"
        try:
            outcome, why = await asyncio.wait_for(future, self.patience)
        except TimeoutError:  # pysnmp has lost sight of it
            return Outcome.UNANSWERED, "no answer"
        self.trusted = self.trusted or outcome is Outcome.ACKNOWLEDGED
        return outcome, why

    def close(self) -> None:
        self._engine.close_dispatcher()


def _answered(engine: Any, handle: Any, indication: Any, response: Any, future: "asyncio.Future[Any]") -> None:
    """Called by pysnmp, once: with an error indication, or with the response."""
    if future.done():
        return
    if isinstance(indication, RequestTimedOut):
        future.set_result((Outcome.UNANSWERED, "no answer"))
    elif indication:
        future.set_result((Outcome.REFUSED, str(indication)))
    elif status := int(v2c.apiPDU.get_error_status(response)):
        future.set_result((Outcome.REFUSED, f"error-status {status}"))
    else:
        future.set_result((Outcome.ACKNOWLEDGED, ""))


def _engine(engine_id: bytes) -> SnmpEngine:
    """An engine with this engine ID, of which nothing is written anywhere."""
    engine = SnmpEngine()
    (own,) = engine.get_mib_builder().import_symbols("__SNMP-FRAMEWORK-MIB", "snmpEngineID")
    own.syntax = own.syntax.clone(engine_id)
    engine.snmpEngineID = own.syntax
    return engine


def _add_user(engine: SnmpEngine, user: User) -> None:
    auth, priv = config.USM_AUTH_NONE, config.USM_PRIV_NONE
    auth_key = priv_key = None
    if user.auth is not None and user.auth_passphrase is not None:
        auth, auth_key = AUTH[user.auth], password_to_key(user.auth_passphrase.reveal().encode(), user.auth)
        if user.priv is not None and user.priv_passphrase is not None:
            priv, priv_key = PRIV[user.priv], password_to_key(user.priv_passphrase.reveal().encode(), user.auth)
    config.add_v3_user(
        engine, user.name, auth, auth_key, priv, priv_key,
        authKeyType=config.USM_KEY_TYPE_MASTER, privKeyType=config.USM_KEY_TYPE_MASTER,
    )  # fmt: skip
