"""Instances of associations as CIM-XML: two references, and what else the class says of every pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.cim.classes import AssociationClass, Constant, InstanceClass, Link
from agent.cim.held import Bridge, name_xml, value_xml
from agent.cim.instances import Form, Wanted, reference
from agent.cim.text import NAMESPACE

__all__ = ["association_writer", "bridge_writer"]

#: For each property, in lower case, the class that it stems from; None if nobody wants to know.
Origins = Mapping[str, str] | None

#: An end of an association: its role, the class of what is there, and the VALUE.REFERENCE to it.
_End = tuple[str, str, str]


def association_writer(
    association: AssociationClass, link: Link, wanted: Wanted, form: Form, where: str, origins: Origins = None
) -> Callable[[bytes, bytes], bytes]:
    """A function from the INSTANCENAME of the far end and that of the near end to an instance, as bytes.

    ``where`` is the NAMESPACEPATH of the association's own path.
    """
    far_role, near_role = association.roles(link)
    far = (far_role, link.far.name, reference(NAMESPACE, "\0far\0"))
    near = (near_role, link.near.name, reference(NAMESPACE, "\0near\0"))
    constants = "".join(
        _constant(each, origins)
        for each in link.constants
        if wanted.properties is None or each.name.lower() in wanted.properties
    )
    pattern = _pattern(association.name, (far, near), constants, wanted, form, where, origins)
    return lambda one, other: pattern.replace(b"\0far\0", one).replace(b"\0near\0", other)


def _constant(constant: Constant, origins: Origins) -> str:
    tag = "PROPERTY.ARRAY" if constant.array else "PROPERTY"
    head = f'<{tag} NAME="{constant.name}"{_origin(origins, constant.name)} TYPE="{constant.type}">'
    return f"{head}{value_xml(constant.value)}</{tag}>"


def bridge_writer(
    bridge: Bridge, cls: InstanceClass, wanted: Wanted, form: Form, where: str, origins: Origins = None
) -> Callable[[bytes], bytes]:
    """A function from the INSTANCENAME of a row to the instance of the association with what is held, as bytes."""
    held = (bridge.held_role, bridge.path.classname, reference(bridge.path.namespace, name_xml(bridge.path)))
    row = (bridge.row_role, cls.name, reference(NAMESPACE, "\0row\0"))
    pattern = _pattern(bridge.association, (held, row), "", wanted, form, where, origins)
    return lambda name: pattern.replace(b"\0row\0", name)


def _pattern(
    name: str, ends: tuple[_End, _End], others: str, wanted: Wanted, form: Form, where: str, origins: Origins
) -> bytes:
    """The instance in its form of answer. Its keys are its ends."""
    properties = "".join(
        f'<PROPERTY.REFERENCE NAME="{role}" REFERENCECLASS="{cls}"{_origin(origins, role)}>{end}</PROPERTY.REFERENCE>'
        for role, cls, end in ends
        if wanted.properties is None or role.lower() in wanted.properties
    )
    keys = "".join(f'<KEYBINDING NAME="{role}">{end}</KEYBINDING>' for role, _, end in ends)
    instance_name = f'<INSTANCENAME CLASSNAME="{name}">{keys}</INSTANCENAME>'
    return form.around(where, instance_name, f'<INSTANCE CLASSNAME="{name}">{properties}{others}</INSTANCE>').encode()


def _origin(origins: Origins, name: str) -> str:
    return "" if origins is None else f' CLASSORIGIN="{origins[name.lower()]}"'
