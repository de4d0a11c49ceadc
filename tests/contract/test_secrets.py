"""Secrets: what is told of them, setting and comparing their values, and that no value ever comes out."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from agent.driver import Happened
from agent.errors import Invalid, NotFound, NotSupported, VirtmapError
from agent.model import MODEL
from agent.model import secret as on
from agent.model.secret import SecretUsage, StoredSecret
from agent.schema.declare import Access, Operation
from agent.schema.types import Secret
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, connected
from tests.recorder import functions_of
from tests.servers import Session, eventually

NOWHERE = "00000000-dead-4000-8000-000000000000"
VALUE = "open sesame"
USAGE = "<usage type='volume'><volume>/guests/{}.luks</volume></usage>"


class Keeper:
    """A hypervisor that keeps secrets."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.driver: Any = subject.driver

    def do(self, operation: Operation, *key: Any) -> Mapping[str, Any]:
        return self.subject.perform(operation, key or (self.driver.name,))

    def refused(self, operation: Operation, *key: Any) -> VirtmapError:
        """The error. As a new one: a cycle of references to libvirt's objects, once it is collected, spoils later errors."""
        try:
            self.do(operation, *key)
        except VirtmapError as error:
            told = type(error)(str(error))
        else:
            raise AssertionError(f"{operation} was not refused")
        assert VALUE not in str(told)
        return told

    def define(self, usage: str = "", *, private: str = "no") -> str:
        xml = f"<secret ephemeral='no' private='{private}'><description>for tests</description>{usage}</secret>"
        return str(self.do(on.DefineSecret(xml=xml))["uuid"])

    def row(self, uuid: str) -> StoredSecret | None:
        reading = self.subject.read([(StoredSecret, (uuid,))])
        assert not reading.failed
        return next(iter(reading.of(StoredSecret)), None)

    def happened(self, event: type[Any], uuid: str) -> None:
        self.subject.next_heard(lambda h: isinstance(h, Happened) and type(h.event) is event and h.key == (uuid,))


@pytest.fixture(scope="module")
def keeper(session_libvirtd: Session) -> Iterator[Keeper]:
    with connected(qemu_subject(session_libvirtd)) as subject:
        yield Keeper(subject)


def test_a_secret_goes_from_its_definition_to_its_end(keeper: Keeper) -> None:
    uuid = keeper.define(USAGE.format("life"))
    keeper.happened(on.SecretDefined, uuid)
    row = keeper.row(uuid)
    assert row is not None
    assert (row.usage, row.usage_id, row.description) == (SecretUsage.VOLUME, "/guests/life.luks", "for tests")
    assert (row.ephemeral, row.private, row.host, row.problem) == (False, False, keeper.driver.name, "")
    keeper.do(on.SetSecretValue(value=Secret(VALUE)), uuid)
    keeper.happened(on.SecretValueChanged, uuid)
    keeper.do(on.UndefineSecret(), uuid)
    keeper.happened(on.SecretUndefined, uuid)
    assert keeper.row(uuid) is None


def test_a_reading_of_everything_has_the_secrets(keeper: Keeper) -> None:
    uuid = keeper.define()
    keeper.driver._memory.due(StoredSecret)
    rows = {row.uuid: row for row in keeper.subject.read().of(StoredSecret)}
    assert (rows[uuid].usage, rows[uuid].usage_id) == (SecretUsage.NONE, "")


def test_a_value_can_be_compared_and_not_read(keeper: Keeper) -> None:
    uuid = keeper.define()
    keeper.do(on.SetSecretValue(value=Secret(VALUE)), uuid)
    assert keeper.do(on.VerifySecretValue(value=Secret(VALUE)), uuid) == {"matches": True}
    assert keeper.do(on.VerifySecretValue(value=Secret(VALUE + "!")), uuid) == {"matches": False}
    assert keeper.do(on.VerifySecretValue(value=Secret("")), uuid) == {"matches": False}
    coded = base64.b64encode(VALUE.encode()).decode()
    assert keeper.do(on.VerifySecretValue(value=Secret(coded), base64=True), uuid) == {"matches": True}
    assert VALUE not in keeper.do(on.ReadSecretXml(), uuid)["xml"]
    assert VALUE not in repr(keeper.row(uuid))


def test_a_value_may_have_any_bytes(keeper: Keeper) -> None:
    uuid = keeper.define()
    coded = base64.b64encode(bytes(range(256))).decode()
    keeper.do(on.SetSecretValue(value=Secret(coded), base64=True), uuid)
    assert keeper.do(on.VerifySecretValue(value=Secret(coded), base64=True), uuid) == {"matches": True}
    assert keeper.do(on.VerifySecretValue(value=Secret(coded)), uuid) == {"matches": False}


def test_the_value_of_a_private_secret_is_not_even_compared(keeper: Keeper) -> None:
    uuid = keeper.define(private="yes")
    keeper.do(on.SetSecretValue(value=Secret(VALUE)), uuid)
    error = keeper.refused(on.VerifySecretValue(value=Secret(VALUE)), uuid)
    assert isinstance(error, Invalid)
    assert str(error) == f"secret {uuid}: cannot verify secret value: Invalid secret: secret is private"


def test_what_is_wrong_is_refused_with_the_reason_and_without_the_value(keeper: Keeper) -> None:
    uuid = keeper.define()
    wrong = keeper.refused(on.SetSecretValue(value=Secret(VALUE), base64=True), uuid)
    assert isinstance(wrong, Invalid)
    assert str(wrong) == f"secret {uuid}: cannot set secret value: the value is not base64"
    assert isinstance(keeper.refused(on.SetSecretValue(value=Secret("\ud800")), uuid), Invalid)
    for operation in (on.SetSecretValue(value=Secret(VALUE)), on.UndefineSecret(), on.ReadSecretXml()):
        missing = keeper.refused(operation, NOWHERE)
        assert isinstance(missing, NotFound)
        assert str(missing).startswith(f"stored secret {NOWHERE}: cannot {operation.verb()}: ")
    assert isinstance(keeper.refused(on.VerifySecretValue(value=Secret(VALUE)), uuid), NotFound), "it has no value yet"
    assert isinstance(keeper.refused(on.DefineSecret(xml="<secret")), Invalid)
    keeper.define(USAGE.format("taken"))
    twice = keeper.refused(on.DefineSecret(xml=f"<secret>{USAGE.format('taken')}</secret>"))
    assert "taken" in str(twice)


def test_a_secret_that_vanishes_is_gone_from_the_next_reading(keeper: Keeper) -> None:
    uuid = keeper.define()
    keeper.driver.connection.current().virt.secretLookupByUUIDString(uuid).undefine()
    keeper.happened(on.SecretUndefined, uuid)
    assert keeper.row(uuid) is None


def test_a_hypervisor_without_secrets_says_so() -> None:
    with connected(mock_subject("test:///default")) as subject:
        assert subject.read().of(StoredSecret) == []
        assert isinstance(Keeper(subject).refused(on.DefineSecret(xml="<secret/>")), NotSupported)


def test_whatever_touches_a_value_is_for_administrators() -> None:
    touching = [o for o in MODEL.operations if o.on is StoredSecret and o is not on.ReadSecretXml]
    assert len(touching) == 3
    assert {o.needs for o in touching} | {on.DefineSecret.needs} == {Access.ADMINISTER}
    assert not any(f.semantic.secret for f in StoredSecret.fields)
    assert not any(f.semantic.secret for o in touching for f in o.outs())


def test_events_of_secrets_end_with_the_connection(session_libvirtd: Session) -> None:
    subject = qemu_subject(session_libvirtd)
    with connected(subject):
        driver: Any = subject.driver
        virt = driver.connection.current().virt
        assert len(virt.secretEventCallbackID) == 2
    eventually(lambda: not virt.secretEventCallbackID, what="the end of the callbacks")


def test_every_function_was_called(keeper: Keeper) -> None:
    wanted = {
        "virConnectListAllSecrets", "virSecretDefineXML", "virSecretGetUsageID", "virSecretGetUsageType", "virSecretGetValue",
        "virSecretGetXMLDesc", "virSecretSetValue", "virSecretUndefine", "virConnectSecretEventRegisterAny",
    }  # fmt: skip
    assert wanted - functions_of(keeper.driver.called) == set()
