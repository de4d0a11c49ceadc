"""libvirt's secrets: how they are listed and read, and how the operations on them are done.

A value goes to libvirt and is never given out: what libvirt tells of it is compared here, and forgotten.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from agent.driver import Changed, Happened, Heard
from agent.errors import Invalid
from agent.model import secret as on
from agent.model.secret import SecretUsage, SecretValueChanged, StoredSecret
from agent.schema.declare import Key, Row
from drivers.libvirt import symbols, xml
from drivers.libvirt.calls import Calls
from drivers.libvirt.doing import Actions, Doing, Outs
from drivers.libvirt.kinds.elements import text
from drivers.libvirt.kinds.kind import Kind
from drivers.libvirt.kinds.listening import numbered, register
from drivers.libvirt.symbols import flags

_LIFECYCLE = numbered(on.SecretDefined, on.SecretUndefined)


def _objects(calls: Calls) -> Sequence[Any]:
    listed: Sequence[Any] = calls.ask("cannot list secrets", calls.virt.listAllSecrets, 0)
    return listed


def _find(calls: Calls, key: Key) -> Any:
    return calls.ask("", calls.virt.secretLookupByUUIDString, key[0])


def _called(secret: Any) -> str:
    return f"secret {secret.UUIDString()}"


def _read(calls: Calls, secret: Any) -> Sequence[Row]:
    asked = f"{_called(secret)}: cannot read it"
    root = xml.parse(calls.ask(asked, secret.XMLDesc, 0))
    return [
        StoredSecret(
            uuid=secret.UUIDString(), host=calls.name,
            usage=symbols.member(SecretUsage, calls.ask(asked, secret.usageType)),
            usage_id=calls.ask(asked, secret.usageID), description=text(root, "description"),
            ephemeral=root.get("ephemeral") == "yes", private=root.get("private") == "yes",
            refreshed=datetime.now(UTC), problem="",
        )
    ]  # fmt: skip


def _listen(calls: Calls, heard: Callable[[Heard], None]) -> None:
    def on_lifecycle(_virt: Any, secret: Any, event: int, _detail: int, _opaque: object) -> None:
        key = (secret.UUIDString(),)
        made = _LIFECYCLE.get(event)
        heard(Changed(root=(StoredSecret, key)) if made is None else Happened(event=made(), key=key))

    def on_value(_virt: Any, secret: Any, _opaque: object) -> None:
        heard(Happened(event=SecretValueChanged(), key=(secret.UUIDString(),)))

    function = calls.virt.secretEventRegisterAny
    register(calls, function, "VIR_SECRET_EVENT_ID_LIFECYCLE", on_lifecycle)
    register(calls, function, "VIR_SECRET_EVENT_ID_VALUE_CHANGED", on_value)


def _define(do: Doing, virt: Any, operation: on.DefineSecret) -> Outs:
    return {"uuid": do(virt.secretDefineXML, operation.xml, flags(operation.flags)).UUIDString()}


def _set_value(do: Doing, secret: Any, operation: on.SetSecretValue) -> None:
    do(secret.setValue, _bytes(do, operation), 0)


def _verify_value(do: Doing, secret: Any, operation: on.VerifySecretValue) -> Outs:
    return {"matches": hmac.compare_digest(do(secret.value, 0), _bytes(do, operation))}


def _bytes(do: Doing, operation: on.SetSecretValue | on.VerifySecretValue) -> bytes:
    given: str = operation.value.reveal()
    try:
        return base64.b64decode(given, validate=True) if operation.base64 else given.encode()
    except (binascii.Error, ValueError):  # whose texts would tell some of it
        raise Invalid(do.wrong("the value is not " + ("base64" if operation.base64 else "Unicode"))) from None


def _undefine(do: Doing, secret: Any, _operation: on.UndefineSecret) -> None:
    do(secret.undefine)


def _read_xml(do: Doing, secret: Any, _operation: on.ReadSecretXml) -> Outs:
    return {"xml": do(secret.XMLDesc, 0)}


KIND: Kind | None = Kind(
    row=StoredSecret, objects=_objects, key=lambda secret: (secret.UUIDString(),), find=_find, read=_read, called=_called,
    listen=_listen,
)  # fmt: skip
ACTIONS: Actions = {
    on.DefineSecret: _define,
    on.SetSecretValue: _set_value,
    on.VerifySecretValue: _verify_value,
    on.UndefineSecret: _undefine,
    on.ReadSecretXml: _read_xml,
}
