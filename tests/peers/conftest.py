"""The private hypervisors of the contract suite, for the peers too."""

from tests.contract.conftest import session_libvirtd, system_libvirtd

__all__ = ["session_libvirtd", "system_libvirtd"]
