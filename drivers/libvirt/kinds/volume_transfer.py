"""The content of volumes, by libvirt's streams."""

from __future__ import annotations

from typing import Any

import libvirt

from agent.model import volume_transfer as on
from drivers.libvirt.doing import Actions, Doing
from drivers.libvirt.kinds.kind import Kind
from drivers.libvirt.kinds.volume import changed
from drivers.libvirt.streaming import download, upload

KIND: Kind | None = None
"""A volume is a part of its pool, and read with it."""


def _download(do: Doing, pool: Any, operation: on.DownloadVolume) -> None:
    volume = do(pool.storageVolLookupByName, do.key[-1])
    size = do(volume.infoFlags, libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2]
    left = max(0, size - operation.offset)
    do.task.expect(min(left, operation.length) if operation.length else left)
    stream = do(do.virt.newStream, 0)
    flags = libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM if operation.sparse else 0
    do(volume.download, stream, operation.offset, operation.length, flags)
    download(do, stream, sparse=operation.sparse)


def _upload(do: Doing, pool: Any, operation: on.UploadVolume) -> None:
    volume = do(pool.storageVolLookupByName, do.key[-1])
    stream = do(do.virt.newStream, 0)
    flags = libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM if operation.sparse else 0
    do(volume.upload, stream, operation.offset, operation.length, flags)
    upload(do, stream, sparse=operation.sparse)
    changed(*do.key)


ACTIONS: Actions = {on.DownloadVolume: _download, on.UploadVolume: _upload}
