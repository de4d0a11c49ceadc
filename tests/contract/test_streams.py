"""Data that libvirt's streams move: screenshots, consoles, displays, memory, and the content of volumes."""

from __future__ import annotations

import os
import queue
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import Failed, Invalid, NotFound, VirtmapError
from agent.model import Domain
from agent.model.domain import Destroy, Start
from agent.model.domain_streams import (
    MemoryAddress,
    OpenChannel,
    OpenConsole,
    OpenGraphics,
    PeekDisk,
    PeekMemory,
    Screenshot,
)
from agent.model.host import DefineDomain
from agent.model.pool import BuildPool, CreateVolume, DefinePool, RefreshPool, StartPool
from agent.model.volume_transfer import DownloadVolume, UploadVolume
from drivers.libvirt import LibvirtDriver
from tests.servers import Session, eventually

MIB = 2**20


class Moving:
    """A task in memory: what is sent to it is kept, what it has to give stands in a queue, b"" at its end."""

    def __init__(self, *given: bytes) -> None:
        self.got = bytearray()
        self.size: int | None = None
        self.given: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        for part in given:
            self.given.put(part)
        self._cancels: list[Callable[[], None]] = []
        self._left = b""

    def progress(self, percent: int) -> None:
        assert 0 <= percent <= 100

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        self._cancels.append(cancel)

    def cancel(self) -> None:
        self._cancels[-1]()

    def expect(self, size: int) -> None:
        self.size = size

    def receive(self, most: int) -> bytes:
        if not self._left:
            self._left = self.given.get(timeout=30)
        part, self._left = self._left[:most], self._left[most:]
        return part

    def send(self, data: bytes) -> None:
        self.got += data


class Refusing(Moving):
    """A task whose client goes away after the first bytes."""

    def send(self, data: bytes) -> None:
        super().send(data)
        raise Failed("the client went away")


# --- libvirt's test driver


@pytest.fixture
def mock() -> Iterator[tuple[LibvirtDriver, tuple[str, ...]]]:
    driver = LibvirtDriver("test", "test:///default")
    driver.connect()
    rows = [row for piece in driver.plan().pieces for row in piece.read().rows]
    yield driver, next(row.key for row in rows if isinstance(row, Domain) and row.name == "test")
    driver.close()


def test_a_screenshot_of_the_test_driver_is_a_picture(mock: tuple[LibvirtDriver, tuple[str, ...]]) -> None:
    driver, key = mock
    task = Moving()
    assert driver.perform(Screenshot(), key, task) == {"mime_type": "image/png"}
    assert task.got.startswith(b"\x89PNG\r\n")
    assert {"virDomain.screenshot", "virStream.recv", "virStream.finish"} <= driver.called.keys()
    with pytest.raises(Failed, match="the client went away"):
        driver.perform(Screenshot(), key, Refusing())


def test_without_a_place_for_data_there_is_none(mock: tuple[LibvirtDriver, tuple[str, ...]]) -> None:
    driver, key = mock
    with pytest.raises(Invalid, match="there is no place for its data"):
        driver.perform(Screenshot(), key)


def test_memory_of_the_test_driver_is_read(mock: tuple[LibvirtDriver, tuple[str, ...]]) -> None:
    driver, key = mock
    assert driver.perform(PeekMemory(start=0, size=4), key) == {"data": b"\0\1\2\3"}


# --- QEMU


@pytest.fixture(scope="module")
def qemu(session_libvirtd: Session) -> Iterator[LibvirtDriver]:
    driver = LibvirtDriver("qemu", session_libvirtd.uri)
    driver.connect()
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def guest(session_libvirtd: Session, qemu: LibvirtDriver) -> Iterator[tuple[str, ...]]:
    """A guest whose firmware prints to its serial port, with a display, a channel and a disk."""
    image = session_libvirtd.image("streams", size=1, kind="raw")
    image.write_bytes(bytes(range(256)) * 4096)
    name = "streams"
    xml = f"""<domain type='qemu'><name>{name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
      <os><type arch='x86_64' machine='pc'>hvm</type><bios useserial='yes' rebootTimeout='1000'/></os>
      <devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{image}'/>
      <target dev='vda' bus='virtio'/></disk><serial type='pty'><target port='0'/></serial>
      <console type='pty'><target type='serial' port='0'/></console>
      <channel type='unix'><target type='virtio' name='org.example.0'/></channel>
      <graphics type='vnc' autoport='yes' listen='127.0.0.1'/><video><model type='vga' vram='16384'/></video></devices></domain>"""
    uuid_of = qemu.perform(DefineDomain(xml=xml), ("qemu",))["uuid"]
    qemu.perform(Start(), (uuid_of,))
    yield (uuid_of,)
    qemu.perform(Destroy(), (uuid_of,))


def test_a_screenshot_of_a_guest_is_a_picture(qemu: LibvirtDriver, guest: tuple[str, ...]) -> None:
    task = Moving()
    kind = qemu.perform(Screenshot(), guest, task)["mime_type"]
    assert bytes(task.got).startswith({"image/png": b"\x89PNG", "image/x-portable-pixmap": b"P6"}[kind])


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[VirtmapError]]:
    errors: list[VirtmapError] = []

    def run() -> None:
        try:
            work()
        except VirtmapError as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, errors


def test_a_console_shows_what_the_firmware_prints_until_it_is_canceled(
    qemu: LibvirtDriver, guest: tuple[str, ...]
) -> None:
    task = Moving(b"x", b"")
    thread, errors = in_background(lambda: qemu.perform(OpenConsole(seconds=60), guest, task))
    eventually(lambda: b"SeaBIOS" in task.got, within=30, what="the firmware's own line")
    with pytest.raises(VirtmapError):
        qemu.perform(OpenConsole(device="no-such", seconds=1), guest, Moving(b""))
    task.cancel()
    thread.join(20)
    assert not thread.is_alive()
    assert errors == []


def test_a_session_ends_with_its_time(qemu: LibvirtDriver, guest: tuple[str, ...]) -> None:
    qemu.perform(OpenChannel(seconds=1), guest, Moving(b""))
    assert "virDomain.openChannel" in qemu.called
    with pytest.raises(VirtmapError, match="no-such"):
        qemu.perform(OpenChannel(device="no-such", seconds=1), guest, Moving(b""))


def test_a_display_speaks_its_own_protocol(qemu: LibvirtDriver, guest: tuple[str, ...]) -> None:
    task = Moving(b"RFB 003.008\n")
    thread, errors = in_background(lambda: qemu.perform(OpenGraphics(seconds=60), guest, task))
    eventually(lambda: len(task.got) > 12, within=20, what="an answer to our version")
    assert task.got.startswith(b"RFB 003.008\n")
    task.cancel()
    task.given.put(b"")
    thread.join(20)
    assert not thread.is_alive()
    assert errors == []


def test_memory_and_disks_are_read(qemu: LibvirtDriver, guest: tuple[str, ...]) -> None:
    told = qemu.perform(PeekMemory(start=0xFFFF0, size=16, kind=MemoryAddress.PHYSICAL), guest)
    assert len(told["data"]) == 16
    assert told["data"].startswith(b"\xea"), "the first instruction of the firmware is a far jump"
    assert qemu.perform(PeekDisk(offset=300, size=4), (*guest, "vda")) == {"data": bytes((44, 45, 46, 47))}
    with pytest.raises(VirtmapError):
        qemu.perform(PeekDisk(offset=0, size=4), (*guest, "vdz"))


# --- volumes


@pytest.fixture(scope="module")
def pool(session_libvirtd: Session, qemu: LibvirtDriver) -> str:
    folder = session_libvirtd.images / "streams-pool"
    name = f"streams-{uuid.uuid4()}"
    xml = f"<pool type='dir'><name>{name}</name><target><path>{folder}</path></target></pool>"
    made: str = qemu.perform(DefinePool(xml=xml), ("qemu",))["uuid"]
    qemu.perform(BuildPool(), (made,))
    qemu.perform(StartPool(), (made,))
    return made


def volume(qemu: LibvirtDriver, pool: str, name: str, size: int, allocation: int = 0) -> tuple[str, str]:
    xml = (
        f"<volume><name>{name}</name><capacity unit='bytes'>{size}</capacity>"
        f"<allocation unit='bytes'>{allocation}</allocation><target><format type='raw'/></target></volume>"
    )
    qemu.perform(CreateVolume(xml=xml), (pool,))
    return pool, name


def test_what_is_uploaded_is_downloaded_whole_and_in_part(qemu: LibvirtDriver, pool: str) -> None:
    key = volume(qemu, pool, "whole.raw", 3 * MIB)
    data = os.urandom(3 * MIB)
    qemu.perform(UploadVolume(), key, Moving(data[:1000], data[1000:], b""))
    task = Moving()
    qemu.perform(DownloadVolume(), key, task)
    assert (task.size, bytes(task.got)) == (3 * MIB, data)
    part = Moving()
    qemu.perform(DownloadVolume(offset=MIB, length=12345), key, part)
    assert (part.size, bytes(part.got)) == (12345, data[MIB : MIB + 12345])
    qemu.perform(UploadVolume(offset=10, length=5), key, Moving(b"hello", b""))
    changed = Moving()
    qemu.perform(DownloadVolume(length=20), key, changed)
    assert bytes(changed.got) == data[:10] + b"hello" + data[15:20]
    assert {"virStorageVol.upload", "virStorageVol.download", "virStream.send"} <= qemu.called.keys()


def test_holes_stay_holes_on_the_way_and_zeros_at_its_ends(
    qemu: LibvirtDriver, pool: str, session_libvirtd: Session
) -> None:
    size = 40 * MIB
    key = volume(qemu, pool, "sparse.raw", size)
    begin, end = os.urandom(MIB), os.urandom(MIB)
    middle = bytes(size - 2 * MIB)
    qemu.perform(UploadVolume(sparse=True), key, Moving(begin, middle, end, b""))
    task = Moving()
    qemu.perform(DownloadVolume(sparse=True), key, task)
    assert bytes(task.got) == begin + middle + end
    path = Path(session_libvirtd.images / "streams-pool" / "sparse.raw")
    assert path.stat().st_blocks * 512 < size // 2, "zeros took no room"
    assert {"virStream.recvFlags", "virStream.recvHole", "virStream.sendHole"} <= qemu.called.keys()


def test_a_client_that_goes_away_ends_a_transfer(qemu: LibvirtDriver, pool: str) -> None:
    key = volume(qemu, pool, "left.raw", 8 * MIB, 8 * MIB)
    with pytest.raises(Failed, match="the client went away"):
        qemu.perform(DownloadVolume(), key, Refusing())
    qemu.perform(RefreshPool(), (pool,))
    task = Moving()
    qemu.perform(DownloadVolume(length=10), key, task)
    assert task.got == bytes(10), "the volume can be used again"


def test_where_there_is_nothing_nothing_is_moved(qemu: LibvirtDriver, pool: str) -> None:
    key = volume(qemu, pool, "short.raw", MIB)
    task = Moving()
    qemu.perform(DownloadVolume(offset=100 * MIB, length=10), key, task)
    assert (task.size, task.got) == (0, b"")
    with pytest.raises(NotFound, match=r"no-such\.raw"):
        qemu.perform(DownloadVolume(), (pool, "no-such.raw"), Moving())
