"""What libvirt-cim's clients hear of a domain that came, changed or went: an indication of one of its classes, in root/virt.

The system in it is named as libvirt-cim names it, by the name of the domain, with the UUID in a property of its own. What it is
doing is told in the numbers that root/virtmap has for it.
"""

from __future__ import annotations

from typing import Any

import pywbem

from agent.cim.namespaces import VIRT
from agent.cim.profiles.libvirt_cim import family, indication_class, system_class
from agent.model.domain import Domain, DomainState
from agent.snapshot import Values

__all__ = ["indication"]

_MODIFICATION = "CIM_InstModification"

_WORDS = "Virtual System"
_OTHER = 12
"""RequestedState: not applicable."""


def indication(change: str, record: Values, before: Values | None = None, *, host: str) -> pywbem.CIMInstance | None:
    """The indication of a change of a domain, which is CIM_InstCreation, CIM_InstModification or CIM_InstDeletion.

    ``record`` is the row as it is, or was last if it is no more, ``before`` as it was before it changed, ``host`` the name of
    this machine. None for a domain of a type that libvirt-cim does not know, or whose name nobody can tell.
    """
    row = Domain.of_values(record)
    of = family(row.type)
    if of is None or row.name is None:
        return None
    system = _system(of, row)
    properties = [
        pywbem.CIMProperty("SourceInstance", system, type="string", embedded_object="object"),
        pywbem.CIMProperty("SourceInstanceModelPath", system.path.to_wbem_uri(format="historical"), type="string"),
        pywbem.CIMProperty("SourceInstanceHost", host, type="string"),
    ]
    if before is not None and change == _MODIFICATION:
        previous = _system(of, Domain.of_values(before))
        properties.append(pywbem.CIMProperty("PreviousInstance", previous, type="string", embedded_object="object"))
    return pywbem.CIMInstance(indication_class(of, change), properties=properties)


def _system(of: str, row: Domain) -> pywbem.CIMInstance:
    """The domain as an instance of libvirt-cim's class."""
    cls = system_class(of)
    told: dict[str, Any] = {
        "CreationClassName": cls,
        "Name": row.name,
        "UUID": row.uuid,
        "ElementName": row.name,
        "Caption": _WORDS,
        "Description": _WORDS,
        "OtherIdentifyingInfo": [row.uuid],
        "IdentifyingDescriptions": ["UUID"],
        "RequestedState": pywbem.Uint16(_OTHER),
        **_state(row),
    }
    keys = {"CreationClassName": cls, "Name": row.name}
    path = pywbem.CIMInstanceName(cls, keybindings=keys, namespace=VIRT)
    return pywbem.CIMInstance(cls, properties=told, path=path)


def _state(row: Domain) -> dict[str, Any]:
    """What the domain is doing, if that can be told; a snapshot has the number of the state."""
    state = None if row.state is None else DomainState.of(row.state)
    if state is None:
        return {}
    return {
        "EnabledState": pywbem.Uint16(state.cim["EnabledState"]),
        "HealthState": pywbem.Uint16(state.cim["HealthState"]),
        "OperationalStatus": [pywbem.Uint16(each) for each in state.cim["OperationalStatus"]],
    }
