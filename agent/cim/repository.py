"""What clients may ask of classes and qualifiers: classes with what they inherit, as XML (DSP0200 5.3.2).

Everything here depends on the model alone, so every text is made once and kept; the number of texts is bounded by the
number of classes and of the flags a client can set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import permutations
from typing import Any

import pywbem

from agent.cim.classes import ClassDefinition, Schema
from agent.cim.classxml import class_xml
from agent.cim.text import qualifier_declaration
from agent.schema import dmtf

__all__ = ["ClassEnd", "Detail", "Repository"]


@dataclass(frozen=True, kw_only=True)
class Detail:
    """How much of a class is told: the flags of GetClass, and a property list in lower case or None for all."""

    local_only: bool = True
    qualifiers: bool = True
    class_origin: bool = False
    properties: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class ClassEnd:
    """One way in which instances of a class can be associated: the class, its role, and the other end."""

    association: str
    cls: str
    role: str
    other: str
    other_role: str


class Repository:
    """The classes of one namespace: a part of the schema, closed under superclasses."""

    def __init__(self, schema: Schema, names: Iterable[str] | None = None) -> None:
        """``names`` (any case) and their superclasses are visible; None makes all so."""
        self.schema = schema
        wanted = list(schema.classes) if names is None else [n.lower() for n in names]
        closed = {each for name in wanted for each in (name, *schema.ancestors(name))}
        self._names = tuple(name for name in schema.classes if name in closed)
        self._known = frozenset(self._names)
        self._cached = lru_cache(maxsize=1024)(self._class_xml)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._known

    def name(self, name: str) -> str:
        """The class's name as it is declared; KeyError if the namespace has no such class."""
        if name not in self:
            raise KeyError(name)
        return self.schema.classes[name.lower()].name

    def below(self, name: str | None, *, deep: bool) -> tuple[str, ...]:
        """Lower-case names of the subclasses of a class, or of the root classes and theirs for None."""
        if name is None:
            roots = [n for n in self._names if self.schema.classes[n].superclass is None]
            return tuple(self._names) if deep else tuple(roots)
        if deep:
            return tuple(n for n in self.schema.descendants(name)[1:] if n in self)
        return tuple(n for n in self.schema.subclasses.get(name.lower(), ()) if n in self)

    def origins(self, name: str) -> Mapping[str, str]:
        """For each property of the class, in lower case, the class that declares it last."""
        found: dict[str, str] = {}
        for definition in self._lineage(name):
            for prop in definition.local.properties:
                found[prop.lower()] = definition.name
        return found

    def property_names(self, name: str) -> frozenset[str]:
        """Lower-case names of everything the class declares or inherits."""
        return frozenset(self.origins(name))

    def property_of(self, name: str, prop: str) -> Any:
        """The declaration, a pywbem.CIMProperty, of a property that the class has or inherits; None if it has none."""
        for definition in reversed(self._lineage(name)):
            if prop in definition.local.properties:
                return definition.local.properties[prop]
        return None

    def class_xml(self, name: str, detail: Detail) -> str:
        """CLASS, as GetClass answers it; KeyError if the namespace has no such class."""
        if name not in self:
            raise KeyError(name)
        if detail.properties is not None:
            # Clients choose these freely, so they are not kept.
            return self._class_xml(name.lower(), detail)
        return self._cached(name.lower(), detail)

    def ends_of(self, name: str) -> list[ClassEnd]:
        """The ways in which instances of a class can be associated, by its own ends and those of its superclasses."""
        return [end for end in self._ends if self.schema.is_a(name, end.cls)]

    @cached_property
    def _ends(self) -> tuple[ClassEnd, ...]:
        """Both ends of every association class."""
        found = []
        for name in self._names:
            if "Association" not in self.schema.classes[name].local.qualifiers:
                continue
            resolved = self.resolved(name, Detail(local_only=False, qualifiers=False))
            ends = [p for p in resolved.properties.values() if p.type == "reference"]
            for one, other in permutations(ends, 2):
                found.append(
                    ClassEnd(
                        association=resolved.classname,
                        cls=one.reference_class,
                        role=one.name,
                        other=other.reference_class,
                        other_role=other.name,
                    )
                )
        return tuple(found)

    def qualifiers_xml(self) -> tuple[str, ...]:
        """All qualifier declarations."""
        return tuple(_qualifier_xml(name) for name in dmtf.qualifiers)

    def qualifier_xml(self, name: str) -> str:
        """One qualifier declaration; KeyError if there is none of that name."""
        for known in dmtf.qualifiers:
            if known.lower() == name.lower():
                return _qualifier_xml(known)
        raise KeyError(name)

    def _lineage(self, name: str) -> list[ClassDefinition]:
        """The class and its superclasses, the root first."""
        names = (name.lower(), *self.schema.ancestors(name))
        return [self.schema.classes[each] for each in reversed(names)]

    def _class_xml(self, name: str, detail: Detail) -> str:
        return class_xml(self.resolved(name, detail))

    def resolved(self, name: str, detail: Detail) -> Any:
        """The class as a pywbem.CIMClass with what it inherits."""
        lineage = self._lineage(name)
        definition = lineage[-1]
        made = pywbem.CIMClass(definition.name, superclass=definition.superclass)
        for each in lineage:
            last = each is definition
            _merge_qualifiers(made.qualifiers, each.local.qualifiers, own=last)
            for kind in ("properties", "methods"):
                _merge_features(getattr(made, kind), getattr(each.local, kind), each.name, own=last)
        return _trimmed(made, detail)


@cache
def _qualifier_xml(name: str) -> str:
    return str(qualifier_declaration(dmtf.qualifiers[name]).tocimxmlstr())


def _merge_qualifiers(into: Any, declared: Any, *, own: bool) -> None:
    """Adds a class's or feature's qualifiers to the inherited ones; those that do not propagate stay behind."""
    for inherited in [q for q in into.values() if not q.tosubclass]:
        del into[inherited.name]
    for qualifier in into.values():
        qualifier.propagated = True
    for qualifier in declared.values():
        copied = qualifier.copy()
        copied.propagated = not own
        into[copied.name] = copied


def _merge_features(into: Any, declared: Any, origin: str, *, own: bool) -> None:
    """Adds a class's properties or methods to the inherited ones."""
    for feature in into.values():
        feature.propagated = True
        for each in (feature, *(feature.parameters.values() if isinstance(feature, pywbem.CIMMethod) else ())):
            _merge_qualifiers(each.qualifiers, {}, own=own)
    for name, feature in declared.items():
        copied = _copied(feature)
        copied.class_origin, copied.propagated = origin, not own
        if name in into:
            qualifiers = into[name].qualifiers
            _merge_qualifiers(qualifiers, feature.qualifiers, own=own)
            copied.qualifiers = qualifiers
        into[name] = copied


def _copied(declared: Any) -> Any:
    """A copy that shares nothing that changes: pywbem's own copies share qualifiers and parameters."""
    made = declared.copy()
    made.qualifiers = [qualifier.copy() for qualifier in declared.qualifiers.values()]
    if isinstance(made, pywbem.CIMMethod):
        made.parameters = [_copied(parameter) for parameter in declared.parameters.values()]
    return made


def _trimmed(cls: Any, detail: Detail) -> Any:
    """The class without what the client did not ask for."""
    for kind in ("properties", "methods"):
        features = getattr(cls, kind)
        for name in list(features):
            feature = features[name]
            unwanted = kind == "properties" and detail.properties is not None and name.lower() not in detail.properties
            if unwanted or (detail.local_only and feature.propagated):
                del features[name]
                continue
            if not detail.class_origin:
                feature.class_origin = None
            if not detail.qualifiers:
                _strip(feature)
    if not detail.qualifiers:
        cls.qualifiers = {}
    return cls


def _strip(feature: Any) -> None:
    feature.qualifiers = {}
    if isinstance(feature, pywbem.CIMMethod):
        for parameter in feature.parameters.values():
            parameter.qualifiers = {}
