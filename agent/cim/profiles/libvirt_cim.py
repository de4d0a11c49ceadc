"""Classes of libvirt-cim that its clients subscribe to: what tells them, in root/virt, that a domain came, changed or went.

For each family of hypervisors there are three classes of indications, each beneath the DMTF's for a change of an instance, and
the class of the system that they tell of. Only the indications are there: the systems themselves have to be asked for in
root/virtmap, and root/virt does not show their classes, so that nobody takes an empty answer for a host without domains.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.schema.dmtf import CimClass, CimProperty

__all__ = ["CLASSES", "FAMILIES", "INDICATIONS", "family", "indication_class", "system_class"]

#: The families, and what libvirt calls the types of domains that belong to each.
FAMILIES: Mapping[str, tuple[str, ...]] = {"KVM": ("kvm", "qemu"), "Xen": ("xen",), "LXC": ("lxc",)}

_KINDS: Mapping[str, tuple[str, str]] = {
    "CIM_InstCreation": ("ComputerSystemCreatedIndication", "A domain has come into being."),
    "CIM_InstModification": ("ComputerSystemModifiedIndication", "A domain has changed."),
    "CIM_InstDeletion": ("ComputerSystemDeletedIndication", "A domain has gone."),
}


def family(domain_type: str | None) -> str | None:
    """The family that a type of domains belongs to; None if libvirt-cim has no classes for it."""
    return next((name for name, types in FAMILIES.items() if domain_type in types), None)


def system_class(of: str) -> str:
    """The class of the domains of a family."""
    return f"{of}_ComputerSystem"


def indication_class(of: str, change: str) -> str:
    """The class of indications of a family that stands for one of the DMTF's: CIM_InstCreation, CIM_InstModification,
    CIM_InstDeletion."""
    return f"{of}_{_KINDS[change][0]}"


def _system(of: str) -> CimClass:
    return CimClass(
        system_class(of), "CIM_ComputerSystem", None, f"A domain of the family {of}, as indications in root/virt tell of it.",
        properties=(CimProperty("UUID", "string", "UUID of the domain. Its name is Name."),),
    )  # fmt: skip


def _indication(of: str, change: str) -> CimClass:
    description = f"{_KINDS[change][1]} SourceInstance is of the class {system_class(of)}."
    return CimClass(indication_class(of, change), change, None, description, indication=True)


#: The classes of the systems, and those of the indications.
CLASSES = (
    *(_system(of) for of in FAMILIES),
    *(_indication(of, change) for of in FAMILIES for change in _KINDS),
)

#: The names of those that root/virt shows.
INDICATIONS = tuple(each.name for each in CLASSES if each.indication)
