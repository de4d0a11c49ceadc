"""The recorder notes what reaches libvirt's C library, and leaves libvirt-python as it was."""

import libvirt
import libvirt_qemu
import pytest

from agent.schema import libvirt_api
from tests.recorder import IN_PYTHON, OTHER_NAMES, functions_of, recording


def test_calls_are_noted_by_their_names_in_c() -> None:
    with recording() as record:
        connection = libvirt.open("test:///default")
        names = [domain.name() for domain in connection.listAllDomains()]
        assert "test" in names
        connection.listDomainsID()
    assert record.functions >= {
        "virConnectOpen",
        "virConnectListAllDomains",
        "virDomainGetName",
        "virConnectListDomains",
    }
    assert record.count("virDomainGetName") == len(names)
    assert "virDomainGetInfo" not in record.functions


def test_a_call_that_fails_is_noted_and_fails() -> None:
    connection = libvirt.open("test:///default")
    with recording() as record, pytest.raises(libvirt.libvirtError, match="not found"):
        connection.lookupByName("nobody")
    assert record.count("virDomainLookupByName") == 1


def test_nothing_is_noted_outside_of_a_recording() -> None:
    before = (libvirt.libvirtmod, libvirt_qemu.libvirtmod_qemu, libvirt.virStream.sendAll)
    with recording() as record:
        assert libvirt.libvirtmod is not before[0]
    libvirt.getVersion()
    assert record.functions == frozenset()
    assert (libvirt.libvirtmod, libvirt_qemu.libvirtmod_qemu, libvirt.virStream.sendAll) == before


def test_every_function_that_is_bound_in_python_can_be_noted() -> None:
    """But for those that came after the installed libvirt."""
    there = {
        OTHER_NAMES.get(n, n) for module in (libvirt.libvirtmod, libvirt_qemu.libvirtmod_qemu) for n in dir(module)
    }
    known = [f for f in libvirt_api.functions().values() if f.mappable and f.python and not f.newer]
    assert [f.name for f in known if f.name not in there and f.name not in IN_PYTHON.values()] == []


def test_a_function_of_python_is_that_of_c_behind_it() -> None:
    called = ["virDomain.info", "virDomain.setMemoryFlags", "qemuMonitorCommand", "virDomain.noSuchThing"]
    assert functions_of(called) == {"virDomainGetInfo", "virDomainSetMemoryFlags", "virDomainQemuMonitorCommand"}
