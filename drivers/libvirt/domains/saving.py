"""Saving, restoring and dumping a domain, its saved images; and creating domains that are not kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import libvirt

from agent.errors import Failed, Invalid, NotSupported
from agent.model import domain_saving as on
from agent.schema.declare import Row
from drivers.libvirt import xml
from drivers.libvirt.doing import Actions, Asked, Doing, Outs
from drivers.libvirt.domains.underway import watched
from drivers.libvirt.symbols import flags, number


def _save(do: Doing, domain: Any, operation: on.Save) -> None:
    with watched(do, domain):
        try:
            do(domain.saveParams, _parameters(operation.path, operation.xml), flags(operation.flags))
        except NotSupported:  # a daemon before 8.4, or another hypervisor than QEMU
            do(domain.saveFlags, operation.path, operation.xml, flags(operation.flags))


def _parameters(path: str, definition: str | None) -> dict[str, str]:
    given = {libvirt.VIR_DOMAIN_SAVE_PARAM_FILE: path}
    return given if definition is None else given | {libvirt.VIR_DOMAIN_SAVE_PARAM_DXML: definition}


def _dump(do: Doing, domain: Any, operation: on.DumpCore) -> None:
    with watched(do, domain):
        do(domain.coreDumpWithFormat, operation.path, number(operation.format.libvirt), flags(operation.flags))


def _read_managed(do: Doing, domain: Any, _operation: on.ReadManagedXml) -> Outs:
    return {"xml": do(domain.managedSaveGetXMLDesc, 0)}


def _set_managed(do: Doing, domain: Any, operation: on.SetManagedXml) -> None:
    do(domain.managedSaveDefineXML, operation.xml, flags(operation.flags))


def _drop_managed(do: Doing, domain: Any, _operation: on.DropManagedSave) -> None:
    do(domain.managedSaveRemove, 0)


def _start_with_files(do: Doing, domain: Any, operation: on.StartWithFiles) -> None:
    with _opened(do, operation.files) as files:
        do(domain.createWithFiles, files, flags(operation.flags))


def _create(do: Doing, virt: Any, operation: on.CreateDomain) -> Outs:
    return {"uuid": do(virt.createXML, operation.xml, flags(operation.flags)).UUIDString()}


def _create_with_files(do: Doing, virt: Any, operation: on.CreateWithFiles) -> Outs:
    with _opened(do, operation.files) as files:
        return {"uuid": do(virt.createXMLWithFiles, operation.xml, files, flags(operation.flags)).UUIDString()}


@contextmanager
def _opened(do: Doing, paths: str) -> Iterator[list[int]]:
    """The numbers of these files, open for reading. A pipe would block and a link may lead anywhere: both are refused."""
    with ExitStack() as stack:
        opened = []
        for path in filter(None, map(str.strip, paths.splitlines())):
            if not os.path.isabs(path):
                raise Invalid(do.wrong(f"{path} is no absolute path"))
            try:
                opened.append(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
            except (OSError, ValueError) as error:
                raise Invalid(do.wrong(f"{path}: {getattr(error, 'strerror', None) or error}")) from error
            stack.callback(os.close, opened[-1])
            mode = os.fstat(opened[-1]).st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISCHR(mode):
                raise Invalid(do.wrong(f"{path} is neither a regular file nor a character device"))
        if not opened:
            raise Invalid(do.wrong("no file is named"))
        yield opened


def _restore(do: Doing, virt: Any, operation: on.RestoreDomain) -> Outs:
    uuid = _uuid_of(operation.xml or _image(do, virt, operation.path))
    before = set() if uuid else _running(do, virt)
    try:
        do(virt.restoreParams, _parameters(operation.path, operation.xml), flags(operation.flags))
    except NotSupported:  # a daemon before 8.4, or another hypervisor than QEMU
        do(virt.restoreFlags, operation.path, operation.xml, flags(operation.flags))
    if uuid is None:
        new = _running(do, virt) - before
        if len(new) != 1:
            raise Failed(do.wrong("it is restored, but the hypervisor does not tell which domain it was"))
        (uuid,) = new
    return {"uuid": uuid}


def _image(do: Doing, virt: Any, path: str) -> str | None:
    """The definition in a saved image; None where the hypervisor cannot read it."""
    try:
        told: str = do(virt.saveImageGetXMLDesc, path, 0)
    except NotSupported:
        return None
    return told


def _uuid_of(definition: str | None) -> str | None:
    return None if definition is None else xml.parse(definition).findtext("uuid")


def _running(do: Doing, virt: Any) -> set[str]:
    return {each.UUIDString() for each in do(virt.listAllDomains, libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)}


def _read_saved(do: Doing, virt: Any, operation: on.ReadSavedXml) -> Outs:
    return {"xml": do(virt.saveImageGetXMLDesc, operation.path, 0)}


def _set_saved(do: Doing, virt: Any, operation: on.SetSavedXml) -> None:
    do(virt.saveImageDefineXML, operation.path, operation.xml, flags(operation.flags))


ACTIONS: Actions = {
    on.Save: _save,
    on.DumpCore: _dump,
    on.ReadManagedXml: _read_managed,
    on.SetManagedXml: _set_managed,
    on.DropManagedSave: _drop_managed,
    on.StartWithFiles: _start_with_files,
    on.CreateDomain: _create,
    on.CreateWithFiles: _create_with_files,
    on.RestoreDomain: _restore,
    on.ReadSavedXml: _read_saved,
    on.SetSavedXml: _set_saved,
}


def details(asked: Asked) -> Iterable[Row]:
    """There are none: whether there is a saved image is a column of the domain."""
    return ()
