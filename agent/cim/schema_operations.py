"""Operations on classes and qualifiers (DSP0200 5.3.2). They are read; what would change them is refused, since they follow
from the mapping.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.cim.answers import Answer, Context, long, short
from agent.cim.arguments import Parameters
from agent.cim.repository import Detail
from agent.cim.status import CimError, Status

__all__ = ["OPERATIONS"]


def _get_class(context: Context) -> Answer:
    given = context.parameters("ClassName", "LocalOnly", "IncludeQualifiers", "IncludeClassOrigin", "PropertyList")
    name = context.space.class_name(given.needed_class_name("ClassName"), Status.NOT_FOUND)
    return short(context, [context.space.repository.class_xml(name, _detail(given, given.names("PropertyList")))])


def _enumerate_classes(context: Context) -> Answer:
    given = context.parameters("ClassName", "DeepInheritance", "LocalOnly", "IncludeQualifiers", "IncludeClassOrigin")
    names, detail = _below(context, given), _detail(given, None)
    repository = context.space.repository
    return long(context, (repository.class_xml(name, detail).encode() for name in names))


def _enumerate_class_names(context: Context) -> Answer:
    given = context.parameters("ClassName", "DeepInheritance")
    repository = context.space.repository
    return short(context, (f'<CLASSNAME NAME="{repository.name(name)}"/>' for name in _below(context, given)))


def _below(context: Context, given: Parameters) -> tuple[str, ...]:
    top = given.class_name("ClassName")
    if top is not None:
        context.space.class_name(top)
    return context.space.repository.below(top, deep=given.flag("DeepInheritance", False))


def _detail(given: Parameters, properties: frozenset[str] | None) -> Detail:
    return Detail(
        local_only=given.flag("LocalOnly", True),
        qualifiers=given.flag("IncludeQualifiers", True),
        class_origin=given.flag("IncludeClassOrigin", False),
        properties=properties,
    )


def _get_qualifier(context: Context) -> Answer:
    name = context.parameters("QualifierName").text("QualifierName") or ""
    try:
        return short(context, [context.space.repository.qualifier_xml(name)])
    except KeyError:
        raise CimError(Status.NOT_FOUND, f"there is no qualifier {name[:80]!r}") from None


def _enumerate_qualifiers(context: Context) -> Answer:
    context.parameters()
    return short(context, context.space.repository.qualifiers_xml())


def _refused(context: Context) -> Answer:
    raise CimError(
        Status.NOT_SUPPORTED,
        f"{context.request.name}: classes and qualifiers follow from the mapping of the hypervisor, and cannot be changed",
    )


OPERATIONS: Mapping[str, Callable[[Context], Answer]] = {
    "getclass": _get_class,
    "enumerateclasses": _enumerate_classes,
    "enumerateclassnames": _enumerate_class_names,
    "getqualifier": _get_qualifier,
    "enumeratequalifiers": _enumerate_qualifiers,
    **dict.fromkeys(
        ("createclass", "modifyclass", "deleteclass", "setqualifier", "deletequalifier"),
        _refused,
    ),
}
