"""Class declarations as CIM-XML (DSP0201 5.2.2): pywbem builds a document tree for that, which takes ten times as long.

Elements are never written in the short form of an empty one, which the parser of sblim's wbemcli does not know.
"""

from __future__ import annotations

from typing import Any

from agent.cim.messages import atom, escape

__all__ = ["class_xml"]


def class_xml(cls: Any) -> str:
    """CLASS of a pywbem.CIMClass, with everything that is in it."""
    superclass = _attribute("SUPERCLASS", cls.superclass)
    inside = [_qualifiers(cls), *map(_property, cls.properties.values()), *map(_method, cls.methods.values())]
    return f'<CLASS NAME="{cls.classname}"{superclass}>{"".join(inside)}</CLASS>'


def _property(p: Any) -> str:
    if p.type == "reference":
        tag, kind = "PROPERTY.REFERENCE", _attribute("REFERENCECLASS", p.reference_class)
    else:
        tag, kind = "PROPERTY.ARRAY" if p.is_array else "PROPERTY", _attribute("TYPE", p.type)
    return f'<{tag} NAME="{p.name}"{kind}{_origin(p)}>{_qualifiers(p)}</{tag}>'


def _method(m: Any) -> str:
    parameters = "".join(map(_parameter, m.parameters.values()))
    return (
        f'<METHOD NAME="{m.name}"{_attribute("TYPE", m.return_type)}{_origin(m)}>{_qualifiers(m)}{parameters}</METHOD>'
    )


def _parameter(p: Any) -> str:
    if p.type == "reference":
        tag = "PARAMETER.REFARRAY" if p.is_array else "PARAMETER.REFERENCE"
        kind = _attribute("REFERENCECLASS", p.reference_class)
    else:
        tag, kind = "PARAMETER.ARRAY" if p.is_array else "PARAMETER", _attribute("TYPE", p.type)
    return f'<{tag} NAME="{p.name}"{kind}>{_qualifiers(p)}</{tag}>'


def _qualifiers(declared: Any) -> str:
    return "".join(map(_qualifier, declared.qualifiers.values()))


def _qualifier(q: Any) -> str:
    flavours = "".join(
        _attribute(name, None if value is None else atom(value).lower())
        for name, value in (
            ("PROPAGATED", q.propagated),
            ("OVERRIDABLE", q.overridable),
            ("TOSUBCLASS", q.tosubclass),
            ("TRANSLATABLE", q.translatable),
        )
    )
    if isinstance(q.value, list):
        value = "".join(f"<VALUE>{atom(each)}</VALUE>" for each in q.value)
        inside = f"<VALUE.ARRAY>{value}</VALUE.ARRAY>"
    else:
        inside = "" if q.value is None else f"<VALUE>{atom(q.value)}</VALUE>"
    return f'<QUALIFIER NAME="{q.name}" TYPE="{q.type}"{flavours}>{inside}</QUALIFIER>'


def _origin(feature: Any) -> str:
    propagated = None if feature.propagated is None else str(bool(feature.propagated)).lower()
    return _attribute("CLASSORIGIN", feature.class_origin) + _attribute("PROPAGATED", propagated)


def _attribute(name: str, value: str | None) -> str:
    return "" if value is None else f' {name}="{escape(value)}"'
