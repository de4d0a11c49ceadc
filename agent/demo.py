"""What `virtmap demo` adds to an ordinary agent: a configuration that needs no file, and what to try with it.

Nothing of it reaches beyond this machine or lasts: everything listens on loopback, the credential is new each time, and
the folder with the state and the certificate goes when the demonstration ends.
"""

import secrets
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import argon2

from agent.cim.certificates import self_signed
from agent.config import (
    Account,
    Cim,
    Community,
    Config,
    Endpoint,
    Hypervisor,
    Snmp,
    SnmpEndpoint,
    SnmpUser,
    StateSettings,
)
from agent.schema.declare import Access
from agent.schema.types import Secret

HOST = "127.0.0.1"
HYPERVISOR = "demo"
OPERATOR = "operator"
PUBLIC = "public"
AUTH, PRIV = "SHA-256", "AES"


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where an agent really listens, by protocol."""

    snmp: tuple[SnmpEndpoint, ...] = ()
    http: tuple[Endpoint, ...] = ()
    https: tuple[Endpoint, ...] = ()

    def __str__(self) -> str:
        said = [f"SNMP on {e}" for e in self.snmp]
        said += [f"CIM on http://{e}" for e in self.http]
        said += [f"CIM on https://{e}" for e in self.https]
        return ", ".join(said)


def configuration(uri: str, *, snmp: int, http: int, https: int, directory: Path) -> tuple[Config, Secret]:
    """The configuration of a demonstration on these ports, and the operator's secret, made for this once."""
    secret = Secret(secrets.token_hex(8))
    certificate, key = self_signed(directory)
    config = Config(
        hypervisors=(Hypervisor(name=HYPERVISOR, uri=uri),),
        snmp=Snmp(listen=(SnmpEndpoint(host=HOST, port=snmp),)),
        communities=(
            Community(name=Secret(PUBLIC), role=Access.OBSERVE),
            Community(name=secret, role=Access.OPERATE),
        ),
        users=(
            SnmpUser(
                name=OPERATOR, role=Access.OPERATE, auth=AUTH, auth_passphrase=secret, priv=PRIV, priv_passphrase=secret
            ),
        ),
        cim=Cim(
            http=(Endpoint(host=HOST, port=http),),
            https=(Endpoint(host=HOST, port=https),),
            certificate=str(certificate),
            key=str(key),
            anonymous=Access.OBSERVE,
        ),
        accounts=(
            Account(
                name=OPERATOR,
                role=Access.OPERATE,
                password_hash=Secret(argon2.PasswordHasher().hash(secret.reveal())),
            ),
        ),
        state=StateSettings(directory=str(directory)),
    )
    return config, secret


@dataclass(frozen=True, kw_only=True)
class Example:
    """A domain to try things on: its SNMP index and its UUID."""

    index: int
    uuid: str


def trials(
    addresses: Addresses,
    secret: Secret,
    example: Example | None,
    *,
    certificate: str,
    beside: Callable[[str], str],
) -> Iterator[tuple[str, str]]:
    """What to type, each with what it does. Without an example there is no domain to act on. `beside` tells how to call a
    program of our environment."""
    snmp, http, https = addresses.snmp[0], addresses.http[0], addresses.https[0]
    mibs = str(resources.files("mibs"))
    load = f"-M {shlex.quote(f'{mibs}:{mibs}/standard')} -m ALL"
    word = secret.reveal()
    public = f"-v2c -c {PUBLIC} {load}"
    proven = f"-v3 -l authPriv -u {OPERATOR} -a {AUTH} -A {word} -x {PRIV} -X {word} {load}"
    yield "the domains, by SNMP", f"snmpbulkwalk {public} {snmp} virtmapDomainTable"
    yield "how old each table is", f"snmptable {public} -Cb -Cw 100 {snmp} virtmapReadingTable"
    if example is not None:
        state, action = f"virtmapDomainState.{example.index}", f"virtmapDomainAction.{example.index}"
        yield "what a domain does, authenticated and encrypted", f"snmpget {proven} {snmp} {state}"
        yield "pause it, as only such a user may from afar", f"snmpset {proven} {snmp} {action} = suspend"
    pywbemcli, looking = beside("pywbemcli"), f"{beside('virtmap')} cim"
    yield "the domains, by CIM and for people", f"{looking} ls http://{http}/root/virtmap:Virtmap_Domain"
    if example is not None:
        path = f'Virtmap_Domain.CreationClassName="Virtmap_Domain",Name="{example.uuid}"'
        yield "all about a domain", f"{looking} get {shlex.quote(f'http://{http}/root/virtmap:{path}')}"
    plain = f"{pywbemcli} -s http://{http} -d root/virtmap"
    yield "the domains, by CIM", f"{plain} -o table instance enumerate Virtmap_Domain --pl ElementName,State,Memory"
    if example is not None:
        path = shlex.quote(f'Virtmap_Domain.CreationClassName="Virtmap_Domain",Name="{example.uuid}"')
        yield "what belongs to a domain", f"{plain} instance associators --no {path}"
        # The variable goes before --ca-certs and --no-verify alike where it is set already, so it is the sure way.
        operator = (
            f"REQUESTS_CA_BUNDLE={shlex.quote(certificate)} {pywbemcli} -s https://{https} -u {OPERATOR} -p {word}"
        )
        yield "let it run again, by CIM", f"{operator} -d root/virtmap instance invokemethod {path} Resume"
    yield "the disks, by wbemcli", f"wbemcli -nl ei http://{http}/root/virtmap:Virtmap_Disk"
