"""Storage pools and their volumes: rows, operations, events and errors, on libvirt's test driver and on real storage."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.driver import Changed, Happened
from agent.errors import Failed, Invalid, NotFound, NotSupported, VirtmapError, WrongState
from agent.model import pool as on
from agent.model import volume as on_volume
from agent.model.pool import Pool, PoolState
from agent.model.secret import DefineSecret, SetSecretValue, StoredSecret
from agent.model.volume import Volume, VolumeType, WipeAlgorithm
from agent.schema.declare import Operation
from agent.schema.types import Secret
from drivers.libvirt.kinds import volume as volumes
from tests.contract.conftest import mock_subject, qemu_subject
from tests.contract.subjects import Subject, connected
from tests.recorder import functions_of
from tests.servers import Session, eventually

MIB = 1 << 20
NOWHERE = "00000000-dead-4000-8000-000000000000"


class Storage:
    """A hypervisor whose pools are under test."""

    def __init__(self, subject: Subject, root: Path) -> None:
        self.subject, self.root = subject, root
        self.driver: Any = subject.driver
        self.host = (self.driver.name,)

    def do(self, operation: Operation, *key: Any) -> Mapping[str, Any]:
        return self.subject.perform(operation, key or self.host)

    def refused(self, operation: Operation, *key: Any) -> VirtmapError:
        """The error. As a new one: a cycle of references to libvirt's objects, once it is collected, spoils later errors."""
        try:
            self.do(operation, *key)
        except VirtmapError as error:
            return type(error)(str(error))
        raise AssertionError(f"{operation} was not refused")

    def define(self, name: str, more: str = "") -> str:
        """A directory pool that is only defined; gives its UUID."""
        outs = self.do(on.DefinePool(xml=self.xml(name, more)))
        return str(outs["uuid"])

    def xml(self, name: str, more: str = "") -> str:
        return f"<pool type='dir'><name>{name}</name>{more}<target><path>{self.root / name}</path></target></pool>"

    def started(self, name: str) -> str:
        uuid = self.define(name)
        self.do(on.BuildPool(), uuid)
        self.do(on.StartPool(), uuid)
        return uuid

    def rows(self, uuid: str) -> tuple[Pool, dict[str, Volume]]:
        reading = self.subject.read([(Pool, (uuid,))])
        assert not reading.failed
        (pool,) = reading.of(Pool)
        return pool, {row.name: row for row in reading.of(Volume)}

    def pool(self, uuid: str) -> Pool:
        return self.rows(uuid)[0]

    def volume(self, uuid: str, name: str) -> Volume:
        return self.rows(uuid)[1][name]

    def exists(self, uuid: str) -> bool:
        return any(row.uuid == uuid for row in self.subject.read([(Pool, (uuid,))]).of(Pool))

    def image(self, uuid: str, name: str, *, kind: str = "raw", mib: int = 2, more: str = "", inside: str = "") -> None:
        self.do(on.CreateVolume(xml=image_xml(name, kind=kind, mib=mib, more=more, inside=inside)), uuid)

    def happened(self, event: type[Any], uuid: str) -> None:
        self.subject.next_heard(lambda h: isinstance(h, Happened) and type(h.event) is event and h.key == (uuid,))

    def called(self) -> frozenset[str]:
        return functions_of(self.driver.called)


def image_xml(name: str, *, kind: str = "raw", mib: int = 2, more: str = "", inside: str = "") -> str:
    return (
        f"<volume><name>{name}</name><capacity unit='MiB'>{mib}</capacity>{more}"
        f"<target><format type='{kind}'/>{inside}</target></volume>"
    )


@pytest.fixture(scope="module")
def mock() -> Iterator[Storage]:
    with connected(mock_subject("test:///default")) as subject:
        yield Storage(subject, Path("/pools"))


@pytest.fixture(scope="module")
def real(session_libvirtd: Session) -> Iterator[Storage]:
    with connected(qemu_subject(session_libvirtd)) as subject:
        yield Storage(subject, session_libvirtd.images)


@pytest.fixture(params=["test", "session"])
def storage(request: pytest.FixtureRequest) -> Storage:
    made: Storage = request.getfixturevalue("mock" if request.param == "test" else "real")
    return made


# --- pools on both


def test_a_pool_goes_from_its_definition_to_its_end(storage: Storage) -> None:
    name = "whole-life"
    uuid = storage.define(name)
    storage.happened(on.PoolDefined, uuid)
    pool = storage.pool(uuid)
    assert (pool.name, pool.state, pool.active, pool.persistent) == (name, PoolState.INACTIVE, False, True)
    assert (pool.type, pool.path, pool.host) == ("dir", str(storage.root / name), storage.driver.name)
    assert (pool.volumes, pool.problem) == (None, "")
    storage.do(on.BuildPool(), uuid)
    storage.happened(on.PoolBuilt, uuid)
    storage.do(on.StartPool(), uuid)
    storage.happened(on.PoolStarted, uuid)
    pool = storage.pool(uuid)
    assert (pool.state, pool.active, pool.volumes) == (PoolState.RUNNING, True, 0)
    assert pool.available is not None
    assert pool.capacity is not None
    assert 0 < pool.available <= pool.capacity
    storage.do(on.SetPoolAutostart(autostart=True), uuid)
    assert storage.pool(uuid).autostart is True
    storage.do(on.SetPoolAutostart(autostart=False), uuid)
    assert storage.pool(uuid).autostart is False
    storage.do(on.RefreshPool(), uuid)
    storage.happened(on.PoolRefreshed, uuid)
    assert f"<name>{name}</name>" in storage.do(on.ReadPoolXml(), uuid)["xml"]
    storage.do(on.StopPool(), uuid)
    storage.happened(on.PoolStopped, uuid)
    assert storage.pool(uuid).state is PoolState.INACTIVE
    storage.do(on.DeletePool(), uuid)
    storage.happened(on.PoolDeleted, uuid)
    storage.do(on.UndefinePool(), uuid)
    storage.happened(on.PoolUndefined, uuid)
    assert not storage.exists(uuid)


def test_a_pool_without_a_definition_goes_when_it_stops(storage: Storage) -> None:
    real = storage.subject.real  # the test driver builds only what is defined
    flags = on.PoolCreateFlags.BUILD if real else on.PoolCreateFlags(0)
    uuid = str(storage.do(on.CreatePool(xml=storage.xml("passing"), flags=flags))["uuid"])
    pool = storage.pool(uuid)
    assert (pool.state, pool.persistent) == (PoolState.RUNNING, False)
    storage.do(on.StopPool(), uuid)
    assert not storage.exists(uuid)


def test_a_reading_of_everything_has_the_pools_with_their_volumes(storage: Storage) -> None:
    uuid = storage.started("among-all")
    storage.image(uuid, "one")
    storage.driver._memory.due(Pool)
    reading = storage.subject.read()
    assert (Pool, (uuid,)) in {root for roots in reading.roots for root in roots}
    assert [row.name for row in reading.of(Volume) if row.pool == uuid] == ["one"]
    eventually(
        lambda: (Pool, (uuid,)) in storage.driver.plan().kept, what="the pace of pools, once no event is on its way"
    )
    storage.do(on_volume.DeleteVolume(), uuid, "one")
    storage.do(on.StopPool(), uuid)
    storage.do(on.UndefinePool(), uuid)


def test_what_is_wrong_with_a_pool_is_refused_with_the_reason(storage: Storage) -> None:
    missing = storage.refused(on.StartPool(), NOWHERE)
    assert isinstance(missing, NotFound)
    assert str(missing).startswith(f"pool {NOWHERE}: cannot start pool: ")
    assert isinstance(storage.refused(on.StartPool(), "no uuid"), (Invalid, NotFound))
    assert isinstance(storage.refused(on.DefinePool(xml="<pool")), Invalid)
    assert isinstance(storage.refused(on.CreatePool(xml="<network/>")), VirtmapError)
    uuid = storage.started("busy")
    operations: tuple[Operation, ...] = (on.StartPool(), on.UndefinePool(), on.DeletePool(), on.BuildPool())
    for operation in operations:
        error = storage.refused(operation, uuid)
        assert isinstance(error, WrongState), operation
        assert str(error).startswith(f"pool busy: cannot {operation.verb()}: ")
    assert storage.pool(uuid).state is PoolState.RUNNING
    storage.do(on.StopPool(), uuid)
    operations = (on.StopPool(), on.RefreshPool(), on.CreateVolume(xml=image_xml("x")))
    for operation in operations:
        assert isinstance(storage.refused(operation, uuid), WrongState), operation
    storage.do(on.UndefinePool(), uuid)


# --- volumes on both


def test_a_volume_is_made_measured_cloned_and_deleted(storage: Storage) -> None:
    uuid = storage.started("images")
    path = str(storage.root / "images" / "first.img")
    outs = storage.do(on.CreateVolume(xml=image_xml("first.img")), uuid)
    assert outs == {"name": "first.img", "unique_key": path, "path": path}
    volume = storage.volume(uuid, "first.img")
    assert (volume.pool, volume.unique_key, volume.path, volume.problem) == (uuid, path, path, "")
    assert (volume.type, volume.format, volume.capacity) == (VolumeType.FILE, "raw", 2 * MIB)
    assert volume.measured is not None
    assert datetime.now(UTC) - volume.measured < timedelta(seconds=60)
    measured = storage.do(on_volume.MeasureVolume(), uuid, "first.img")
    assert (measured["type"], measured["capacity"], measured["path"]) == (VolumeType.FILE, 2 * MIB, path)
    assert "<name>first.img</name>" in storage.do(on_volume.ReadVolumeXml(), uuid, "first.img")["xml"]
    storage.do(on.CloneVolume(xml=image_xml("second.img"), source="first.img"), uuid)
    pool, rows = storage.rows(uuid)
    assert (pool.volumes, sorted(rows)) == (2, ["first.img", "second.img"])
    for name in ("first.img", "second.img"):
        storage.do(on_volume.DeleteVolume(), uuid, name)
        assert name not in storage.rows(uuid)[1]
    storage.do(on.StopPool(), uuid)
    storage.do(on.UndefinePool(), uuid)


def test_what_is_wrong_with_a_volume_is_refused_with_the_reason(storage: Storage) -> None:
    uuid = storage.started("refusals")
    gone = storage.refused(on_volume.DeleteVolume(), uuid, "nothing.img")
    assert isinstance(gone, NotFound)
    assert str(gone).startswith("volume nothing.img of pool refusals: cannot delete volume: ")
    assert isinstance(storage.refused(on_volume.DeleteVolume(), NOWHERE, "nothing.img"), NotFound)
    assert isinstance(storage.refused(on.CreateVolume(xml="<volume/>"), uuid), Invalid)
    assert isinstance(storage.refused(on.CloneVolume(xml=image_xml("b"), source="a"), uuid), NotFound)
    clone = on.CloneVolume(xml=image_xml("b"), source="a", source_pool=NOWHERE)
    assert isinstance(storage.refused(clone, uuid), NotFound)
    storage.image(uuid, "there")
    twice = storage.refused(on.CreateVolume(xml=image_xml("there")), uuid)
    assert isinstance(twice, Invalid if storage.subject.real else Failed)
    assert "exists" in str(twice)
    assert list(storage.rows(uuid)[1]) == ["there"]
    storage.do(on_volume.DeleteVolume(), uuid, "there")
    storage.do(on.StopPool(), uuid)
    storage.do(on.UndefinePool(), uuid)


# --- what only one of them has


def test_the_test_driver_says_what_it_cannot(mock: Storage) -> None:
    uuid = mock.started("lacking")
    mock.image(uuid, "a")
    for operation in (on_volume.ResizeVolume(capacity=MIB), on_volume.WipeVolume(algorithm=WipeAlgorithm.ZERO)):
        assert isinstance(mock.refused(operation, uuid, "a"), NotSupported)
    assert isinstance(mock.refused(on.ReadPoolCapabilities()), NotSupported)
    assert mock.do(on_volume.MeasureVolume(), uuid, "a")["physical"] is None
    assert "testvg1" in mock.do(on.FindPoolSources(type="logical"))["sources"]
    assert isinstance(mock.refused(on.FindPoolSources(type="netfs")), Invalid)


def test_the_storage_driver_tells_what_it_supports_and_what_it_finds(real: Storage) -> None:
    assert "<pool type='dir' supported='yes'>" in real.do(on.ReadPoolCapabilities())["xml"]
    source = "<source><host name='localhost'/></source>"
    error = real.refused(on.FindPoolSources(type="netfs", xml=source))
    assert isinstance(error, Failed)
    assert "localhost" in str(error)
    unknown = real.refused(on.FindPoolSources(type="dir"))
    assert isinstance(unknown, (NotSupported, Invalid))


def test_a_volume_grows_and_shrinks(real: Storage) -> None:
    uuid = real.started("sizes")
    real.image(uuid, "a.qcow2", kind="qcow2", mib=4)
    real.do(on_volume.ResizeVolume(capacity=8 * MIB), uuid, "a.qcow2")
    assert real.volume(uuid, "a.qcow2").capacity == 8 * MIB
    real.do(on_volume.ResizeVolume(capacity=MIB, flags=on_volume.ResizeFlags.DELTA), uuid, "a.qcow2")
    volume = real.volume(uuid, "a.qcow2")
    assert (volume.capacity, volume.format) == (9 * MIB, "qcow2")
    assert volume.allocation is not None
    assert volume.allocation < 9 * MIB
    assert volume.physical is not None
    assert isinstance(real.refused(on_volume.ResizeVolume(capacity=4 * MIB), uuid, "a.qcow2"), Invalid)
    assert real.volume(uuid, "a.qcow2").capacity == 9 * MIB


def test_a_wiped_volume_has_no_data_left(real: Storage) -> None:
    uuid = real.started("wiping")
    real.image(uuid, "a.img", mib=1)
    path = real.root / "wiping" / "a.img"
    path.write_bytes(b"\xaa" * MIB)
    real.do(on_volume.WipeVolume(algorithm=WipeAlgorithm.ZERO), uuid, "a.img")
    assert path.read_bytes() == bytes(MIB)
    error = real.refused(on_volume.WipeVolume(algorithm=WipeAlgorithm.TRIM), uuid, "a.img")
    assert isinstance(error, NotSupported)
    assert "trim" in str(error)


def test_the_attributes_of_an_image_are_told(real: Storage) -> None:
    uuid = real.started("attributes")
    real.image(uuid, "base.qcow2", kind="qcow2")
    base = real.root / "attributes" / "base.qcow2"
    backing = f"<backingStore><path>{base}</path><format type='qcow2'/></backingStore>"
    inside = "<compat>1.1</compat><features><lazy_refcounts/></features>"
    real.image(uuid, "top.qcow2", kind="qcow2", more=backing, inside=inside)
    top = real.volume(uuid, "top.qcow2")
    assert (top.backing_path, top.backing_format) == (str(base), "qcow2")
    assert (top.compat, top.features, top.encryption) == ("1.1", "lazy_refcounts", None)
    there = os.stat(real.root / "attributes" / "top.qcow2")
    assert (top.mode, top.owner, top.owner_group) == (f"{there.st_mode & 0o7777:04o}", there.st_uid, there.st_gid)
    assert top.modified is not None
    assert abs(top.modified.timestamp() - there.st_mtime) < 1
    pool = real.pool(uuid)
    assert (pool.owner, pool.mode) == (os.stat(real.root / "attributes").st_uid, "0711")


def test_an_encrypted_volume_leads_to_its_secret(real: Storage) -> None:
    secret = str(real.do(DefineSecret(xml="<secret ephemeral='no' private='yes'/>"))["uuid"])
    real.do(SetSecretValue(value=Secret("open sesame")), secret)
    uuid = real.started("locked")
    inside = f"<encryption format='luks'><secret type='passphrase' uuid='{secret}'/></encryption>"
    real.image(uuid, "a.luks", inside=inside)
    volume = real.volume(uuid, "a.luks")
    assert (volume.encryption, volume.secret) == ("luks", secret)
    assert [row.key for row in real.subject.read([(StoredSecret, (secret,))]).of(StoredSecret)] == [(secret,)]


def test_the_source_of_a_pool_is_told(real: Storage) -> None:
    usage = "<usage type='iscsi'><target>login</target></usage>"
    secret = str(real.do(DefineSecret(xml=f"<secret>{usage}</secret>"))["uuid"])
    source = (
        "<source><host name='storage.example' port='3260'/><device path='iqn.2026-01.example:one'/>"
        "<initiator><iqn name='iqn.2026-01.example:us'/></initiator>"
        "<auth type='chap' username='virt'><secret usage='login'/></auth><vendor name='Maker'/><product name='Box'/></source>"
    )
    xml = f"<pool type='iscsi'><name>far</name>{source}<target><path>/dev/disk/by-path</path></target></pool>"
    uuid = str(real.do(on.DefinePool(xml=xml))["uuid"])
    pool = real.pool(uuid)
    assert (pool.type, pool.source_hosts, pool.source_devices) == (
        "iscsi", "storage.example:3260", "iqn.2026-01.example:one",
    )  # fmt: skip
    assert (pool.source_initiator, pool.source_vendor, pool.source_product) == (
        "iqn.2026-01.example:us",
        "Maker",
        "Box",
    )
    assert (pool.auth_type, pool.auth_user, pool.auth_secret) == ("chap", "virt", secret)
    real.do(on.UndefinePool(), uuid)


def test_building_and_starting_in_one_makes_the_directory(real: Storage) -> None:
    uuid = real.define("at-once")
    assert isinstance(real.refused(on.StartPool(), uuid), Failed), "there is no directory"
    real.do(on.BuildAndStartPool(), uuid)
    assert (real.root / "at-once").is_dir()
    assert real.pool(uuid).state is PoolState.RUNNING
    real.do(on.StopPool(), uuid)
    real.do(on.DeletePool(), uuid)
    assert not (real.root / "at-once").exists()
    real.do(on.UndefinePool(), uuid)


def test_a_file_that_others_put_there_shows_after_a_refresh(real: Storage) -> None:
    uuid = real.started("seen-late")
    path = real.root / "seen-late" / "brought.img"
    path.write_bytes(bytes(MIB))
    assert "brought.img" not in real.rows(uuid)[1]
    real.do(on.RefreshPool(), uuid)
    assert real.volume(uuid, "brought.img").capacity == MIB


def test_one_volume_that_cannot_be_read_costs_itself_only(real: Storage) -> None:
    uuid = real.started("one-bad")
    real.image(uuid, "good.img")
    real.image(uuid, "bad.img")
    volumes.changed(uuid)
    (real.root / "one-bad" / "bad.img").chmod(0)
    pool, rows = real.rows(uuid)
    assert (pool.volumes, rows["good.img"].capacity, rows["good.img"].problem) == (2, 2 * MIB, "")
    assert rows["bad.img"].capacity is None
    assert "bad.img" in str(rows["bad.img"].problem)


def test_a_file_that_others_removed_is_gone(real: Storage) -> None:
    uuid = real.started("removed")
    for name in ("good.img", "gone.img"):
        real.image(uuid, name)
    volumes.changed(uuid)
    (real.root / "removed" / "gone.img").unlink()
    pool, rows = real.rows(uuid)
    assert (pool.volumes, list(rows), pool.problem) == (1, ["good.img"], "")


def test_a_clone_has_the_content_of_a_volume_in_another_pool(real: Storage) -> None:
    uuid, other = real.started("from-here"), real.started("to-there")
    real.image(uuid, "first.img", mib=1)
    (real.root / "from-here" / "first.img").write_bytes(b"\xaa" * MIB)
    real.do(on.CloneVolume(xml=image_xml("second.img", mib=1), source="first.img", source_pool=uuid), other)
    assert real.volume(other, "second.img").capacity == MIB
    assert (real.root / "to-there" / "second.img").read_bytes() == b"\xaa" * MIB


def test_a_name_that_is_no_text_costs_that_volume_only(real: Storage) -> None:
    uuid = real.started("odd-names")
    real.image(uuid, "good.img")
    odd = os.fsencode(real.root / "odd-names") + b"/\xff\xfe.img"
    Path(os.fsdecode(odd)).write_bytes(bytes(MIB))
    real.do(on.RefreshPool(), uuid)
    pool, rows = real.rows(uuid)
    assert list(rows) == ["good.img"]
    assert "name cannot be read" in str(pool.problem)


def test_a_volume_is_described_once_until_something_changes(real: Storage) -> None:
    uuid = real.started("kept")
    for number in range(5):
        real.image(uuid, f"{number}.img", mib=1)
    real.rows(uuid)

    def descriptions() -> int:
        before = real.driver.called["virStorageVol.XMLDesc"]
        real.rows(uuid)
        return int(real.driver.called["virStorageVol.XMLDesc"] - before)

    assert descriptions() == 0
    real.do(on_volume.ResizeVolume(capacity=2 * MIB), uuid, "3.img")
    assert descriptions() == 1
    assert real.volume(uuid, "3.img").capacity == 2 * MIB
    real.do(on.RefreshPool(), uuid)
    real.happened(on.PoolRefreshed, uuid)
    assert descriptions() == 5


def test_a_great_pool_is_read_bit_by_bit(real: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    uuid = real.started("great")
    for number in range(6):
        real.image(uuid, f"{number}.img", mib=1)
    volumes._VOLUMES.keep_only(real.driver.connection.current().session.calls, ())
    monkeypatch.setattr(volumes, "READING", -1.0)
    pool, rows = real.rows(uuid)
    assert (pool.volumes, len(rows)) == (6, 6), "they are there, if not yet read"
    assert pool.problem == "6 of 6 volumes were not read yet"
    assert {row.capacity for row in rows.values()} == {None}
    assert all(row.unique_key for row in rows.values())
    real.subject.next_heard(lambda h: isinstance(h, Changed) and h.root == (Pool, (uuid,)))
    monkeypatch.undo()
    pool, rows = real.rows(uuid)
    assert pool.problem == ""
    assert {row.capacity for row in rows.values()} == {MIB}


def test_events_of_a_pool_end_with_the_connection(session_libvirtd: Session) -> None:
    subject = qemu_subject(session_libvirtd)
    with connected(subject):
        driver: Any = subject.driver
        virt = driver.connection.current().virt
        assert len(virt.storagePoolEventCallbackID) == 2
    eventually(lambda: not virt.storagePoolEventCallbackID, what="the end of the callbacks")


# --- last: what was called

POOL = {
    "virConnectListAllStoragePools", "virStoragePoolBuild", "virStoragePoolCreate", "virStoragePoolCreateXML",
    "virStoragePoolDefineXML", "virStoragePoolDelete", "virStoragePoolDestroy", "virStoragePoolGetAutostart",
    "virStoragePoolGetInfo", "virStoragePoolGetXMLDesc", "virStoragePoolIsActive", "virStoragePoolIsPersistent",
    "virStoragePoolListAllVolumes", "virStoragePoolRefresh", "virStoragePoolSetAutostart", "virStoragePoolUndefine",
    "virConnectFindStoragePoolSources", "virConnectStoragePoolEventRegisterAny",
}  # fmt: skip
VOLUME = {
    "virStorageVolCreateXML", "virStorageVolCreateXMLFrom", "virStorageVolDelete", "virStorageVolGetInfo",
    "virStorageVolGetKey", "virStorageVolGetName", "virStorageVolGetPath", "virStorageVolGetXMLDesc",
}  # fmt: skip
REAL = {
    "virConnectGetStoragePoolCapabilities", "virStorageVolResize", "virStorageVolWipePattern", "virStorageVolGetInfoFlags",
}  # fmt: skip


def test_every_function_was_called_on_the_test_driver(mock: Storage) -> None:
    assert (POOL | VOLUME) - mock.called() == set()


def test_every_function_was_called_on_real_storage(real: Storage) -> None:
    assert (POOL | VOLUME | REAL) - real.called() == set()
