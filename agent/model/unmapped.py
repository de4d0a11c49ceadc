"""What is left out of the mapping, each function with the reason an operator would accept.

A function that is neither named by a declaration nor listed here counts as missing in `virtmap coverage`. Functions of
libvirt-admin administer the daemon and not a hypervisor; the Python binding does not have them.
"""

from agent.schema import libvirt_api

REASONS: dict[str, str] = {
    "virConnectListDomains": "superseded by virConnectListAllDomains",
    "virConnectListDefinedDomains": "superseded by virConnectListAllDomains",
    "virConnectDomainEventRegister": "superseded by virConnectDomainEventRegisterAny",
    "virConnectDomainEventDeregister": "superseded by virConnectDomainEventDeregisterAny",
}


def reason(name: str) -> str | None:
    """Why the function is not mapped, or None if it should be."""
    if name in REASONS:
        return REASONS[name]
    function = libvirt_api.functions()[name]
    if function.kind == "plumbing":
        return "plumbing: reference counting, lookup, error object or parameter helper"
    if function.library == "libvirt-admin":
        return "administers the daemon, not a hypervisor; not in the Python binding"
    return None
