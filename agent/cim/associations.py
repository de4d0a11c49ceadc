"""Instances of associations as CIM-XML: two references, and what else the class says of every pair."""

from __future__ import annotations

from collections.abc import Callable

from agent.cim.classes import AssociationClass, Link
from agent.cim.instances import Form, Wanted

__all__ = ["association_writer"]


def association_writer(
    association: AssociationClass, link: Link, wanted: Wanted, form: Form, where: str
) -> Callable[[str, str], str]:
    """A function from the VALUE.REFERENCE to the far end and that to the near end to the text of an instance.

    ``where`` is the NAMESPACEPATH of the association's own path.
    """
    far, near = association.far_role, association.near_role
    properties = "".join(
        f'<PROPERTY.REFERENCE NAME="{role}" REFERENCECLASS="{cls}">\0{end}\0</PROPERTY.REFERENCE>'
        for role, cls, end in ((far, link.far.name, "far"), (near, link.near.name, "near"))
        if wanted.properties is None or role.lower() in wanted.properties
    )
    constants = "".join(
        f'<PROPERTY NAME="{name}" TYPE="{kind}">{"" if value is None else f"<VALUE>{value}</VALUE>"}</PROPERTY>'
        for name, kind, value in association.constants
        if wanted.properties is None or name.lower() in wanted.properties
    )
    keys = "".join(f'<KEYBINDING NAME="{role}">\0{end}\0</KEYBINDING>' for role, end in ((far, "far"), (near, "near")))
    name = f'<INSTANCENAME CLASSNAME="{association.name}">{keys}</INSTANCENAME>'
    instance = f'<INSTANCE CLASSNAME="{association.name}">{properties}{constants}</INSTANCE>'
    pattern = form.around(where, name, instance)
    return lambda one, other: pattern.replace("\0far\0", one).replace("\0near\0", other)
