"""The table of libvirt's errors: nothing missing, nothing made up, and the particular cases."""

from __future__ import annotations

import libvirt
import pytest

from agent import errors
from drivers.libvirt.errors import KINDS, NUMBERS, kind_of, translated


class Raised(libvirt.libvirtError):  # type: ignore[misc]
    """A libvirtError as the binding makes it from the library's record of the failure."""

    def __init__(self, number: int, origin: int, text: str) -> None:
        super().__init__(text)
        self.err = (number, origin, text, 2, None, None, None, -1, -1)


def test_every_error_number_of_the_installed_library_has_a_kind() -> None:
    known = {
        name: value
        for name, value in vars(libvirt).items()
        if name.startswith(("VIR_ERR_", "VIR_WAR_")) and isinstance(value, int)
    }
    levels = {"VIR_ERR_NONE", "VIR_ERR_WARNING", "VIR_ERR_ERROR"}  # virErrorLevel, not virErrorNumber
    assert {name: value for name, value in known.items() if name not in levels}.items() <= NUMBERS.items()
    assert len(known) > 100


def test_no_number_stands_twice() -> None:
    assert len(NUMBERS) == len(set(NUMBERS.values())) == len(KINDS)
    assert sorted(NUMBERS.values()) == list(range(len(NUMBERS)))


@pytest.mark.parametrize(
    ("number", "origin", "kind"),
    [
        (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_FROM_QEMU, errors.NotFound),
        (libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_FROM_QEMU, errors.NotSupported),
        (libvirt.VIR_ERR_OPERATION_UNSUPPORTED, libvirt.VIR_FROM_QEMU, errors.NotSupported),
        (libvirt.VIR_ERR_ACCESS_DENIED, libvirt.VIR_FROM_QEMU, errors.Denied),
        (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_FROM_QEMU, errors.WrongState),
        (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_TEST, errors.Invalid),
        (libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_FROM_QEMU, errors.Busy),
        (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_QEMU, errors.Failed),
        (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_RPC, errors.Unreachable),
        (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_RPC, errors.Unreachable),
        (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_QEMU, errors.Failed),
        (99999, libvirt.VIR_FROM_QEMU, errors.Failed),
    ],
)
def test_a_number_and_its_origin_tell_the_kind(number: int, origin: int, kind: type) -> None:
    assert kind_of(Raised(number, origin, "why")) is kind


def test_the_text_says_what_was_asked_and_why_not_on_one_line() -> None:
    told = translated(Raised(libvirt.VIR_ERR_NO_DOMAIN, 10, "no domain\n with that name"), "domain web: cannot start")
    assert isinstance(told, errors.NotFound)
    assert str(told) == "domain web: cannot start: no domain with that name"


def test_an_error_that_the_library_did_not_record_is_a_failure() -> None:
    bare = libvirt.libvirtError("nothing recorded")
    bare.err = None
    assert str(translated(bare, "asked")) == "asked: nothing recorded"
    assert kind_of(bare) is errors.Failed
