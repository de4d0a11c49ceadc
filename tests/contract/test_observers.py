"""What an observer may ask for, libvirt grants to a read-only connection too.

libvirt keeps such a connection from what runs programs on the host, keeps guests busy, or tells what is not for everybody;
an operation of ours that needs less would let an observer do it through the agent's own connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.access import Principal, permitted
from agent.errors import Denied, VirtmapError
from agent.model import MODEL, Domain
from agent.model.checkpoint import CreateCheckpoint, DeleteCheckpoint
from agent.model.domain import Destroy, Start, Undefine, UndefineFlags
from agent.model.host import DefineDomain
from agent.model.host_control import (
    BaselineHypervisorCpu,
    CompareHypervisorCpu,
    ConvertToNative,
    ReadDomainCapabilities,
)
from agent.model.pool import CreateVolume, Pool
from agent.model.snapshot import CreateSnapshot
from agent.model.volume import DeleteVolume, Volume
from agent.schema import libvirt_api
from agent.schema.declare import Access, Operation, Row
from drivers.libvirt import LibvirtDriver
from drivers.libvirt.login import Login
from tests.contract.plays import any_row, made_up, name_of
from tests.contract.subjects import Wanted, mock_xml
from tests.servers import Session

CPU = "<cpu><arch>x86_64</arch><model>core2duo</model></cpu>"
SNAPSHOTTED, CHECKPOINTED = GUESTS = ("00000000-0000-4000-8000-0000000b5e4e", "00000000-0000-4000-8000-0000000b5e4f")
"""Two guests, since libvirt's test driver makes no checkpoint of one that has a snapshot."""

VOLUME = "observed.img"

OBSERVED: tuple[type[Operation], ...] = tuple(o for o in MODEL.operations if o.needs is Access.OBSERVE)

GIVEN: Mapping[str, Mapping[str, Any]] = {
    "Host.BaselineCpu": {"xml": CPU},
    "Host.BaselineHypervisorCpu": {"xml": CPU},
}
"""Arguments of operations that would end before they ask libvirt anything, with arguments made up by their types."""

NO_ROW = frozenset({"Log", "NetworkPort", "NodeDevice", "NwFilter", "NwFilterBinding", "StoredSecret"})
"""Objects that libvirt's test driver has none of. A log is a file, which libvirt is not asked for; each of the others can only be
asked for its own XML, without secrets."""


@pytest.fixture(scope="module")
def reader() -> Iterator[LibvirtDriver]:
    """A read-only connection to libvirt's test driver, where there is one of most objects, beside what other tests left."""
    writer = LibvirtDriver("observed", "test:///default")
    writer.connect()
    for uuid in GUESTS:
        xml = mock_xml(Wanted(name=f"observed-{uuid[-1]}", uuid=uuid))
        writer.perform(DefineDomain(xml=xml), ("observed",))
        writer.perform(Start(), (uuid,))
    writer.perform(CreateSnapshot(xml="<domainsnapshot><name>s</name></domainsnapshot>"), (SNAPSHOTTED,))
    writer.perform(CreateCheckpoint(xml="<domaincheckpoint><name>c</name></domaincheckpoint>"), (CHECKPOINTED,))
    pool = next(row for row in rows(writer) if isinstance(row, Pool) and row.active)
    volume = f"<volume><name>{VOLUME}</name><capacity>1024</capacity></volume>"
    writer.perform(CreateVolume(xml=volume), key_of(pool))
    driver = LibvirtDriver("observed", "test:///default", login=Login(read_only=True))
    driver.connect()
    yield driver
    driver.close()
    made = next(row for row in rows(writer) if isinstance(row, Volume) and row.name == VOLUME)
    writer.perform(DeleteVolume(), key_of(made))
    writer.perform(DeleteCheckpoint(), (CHECKPOINTED, "c"))
    for uuid in GUESTS:
        writer.perform(Destroy(), (uuid,))
        writer.perform(Undefine(flags=UndefineFlags.SNAPSHOTS_METADATA), (uuid,))
    writer.close()


def rows(driver: LibvirtDriver) -> list[Row]:
    return [row for piece in driver.plan().pieces for row in piece.read().rows]


def key_of(row: Row) -> tuple[Any, ...]:
    return tuple(getattr(row, f.name) for f in type(row).key_fields())


def of_guest(kind: type[Operation], there: list[Row]) -> list[Row]:
    """The rows that it can be asked of; of domains, those of ours if there are any."""
    found = [row for row in there if type(row) is kind.on]
    ours = [row for row in found if kind.on.root() is Domain and key_of(row)[0] in GUESTS]
    return ours or found


def asked_of_libvirt(driver: LibvirtDriver, kind: type[Operation], row: Row) -> VirtmapError | None:
    """How it failed, if it did. It must have called what it is declared to call, or else nothing is proved."""
    known = libvirt_api.functions()
    wanted = {known[name].python for name in kind.api}
    before = sum(driver.called[name or ""] for name in wanted)
    failed = None
    try:
        driver.perform(kind(**{**made_up(kind), **GIVEN.get(name_of(kind), {})}), key_of(row))
    except VirtmapError as error:
        failed = error
    lacking = all(known[name].newer for name in kind.api)  # than the library that is here
    assert lacking or sum(driver.called[name or ""] for name in wanted) > before, f"{name_of(kind)}: {failed}"
    return failed


def test_what_an_observer_may_ask_for_is_granted_on_a_read_only_connection(reader: LibvirtDriver) -> None:
    there = rows(reader)
    refused, unseen = {}, set()
    for kind in OBSERVED:
        row = any_row(kind, of_guest(kind, there))
        if row is None:
            unseen.add(kind.on.__name__)
        elif isinstance(failed := asked_of_libvirt(reader, kind, row), Denied):
            refused[name_of(kind)] = str(failed)
    assert unseen <= NO_ROW
    assert refused == {}, refused


@pytest.mark.parametrize(
    "kind", [BaselineHypervisorCpu, CompareHypervisorCpu, ConvertToNative, ReadDomainCapabilities], ids=name_of
)
def test_what_runs_a_program_of_the_callers_choice_needs_the_level_that_defining_needs(
    session_libvirtd: Session, kind: type[Operation]
) -> None:
    assert kind.needs >= DefineDomain.needs
    assert not permitted(Principal(name="o", role=Access.OPERATE, front_end="snmp"), kind)
    folder = session_libvirtd.root / f"run-by-{kind.__name__}"
    folder.mkdir()
    folder.chmod(0o777)
    program, ran = folder / "emulator", folder / "ran"
    program.write_text(f"#!/bin/sh\n: > {ran}\nexit 1\n")
    program.chmod(0o755)
    driver = LibvirtDriver("observed", session_libvirtd.uri)
    driver.connect()
    with pytest.raises(VirtmapError):
        driver.perform(kind(**_with_emulator(kind, program)), ("observed",))
    driver.close()
    assert ran.exists(), "libvirt no longer runs it, so that a lower level would do"


def _with_emulator(kind: type[Operation], program: Path) -> dict[str, Any]:
    match kind.__name__:
        case "ConvertToNative":
            xml = (
                "<domain type='qemu'><name>n</name><memory>32768</memory><os><type arch='x86_64'>hvm</type></os>"
                f"<devices><emulator>{program}</emulator></devices></domain>"
            )
            return {"format": "qemu-argv", "xml": xml}
        case "ReadDomainCapabilities":
            return {"emulator": str(program)}
    return {"xml": CPU, "emulator": str(program)}
