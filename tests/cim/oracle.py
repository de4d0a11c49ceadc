"""pywbem's mock of a WBEM server as an oracle: the same repository in both, the same requests to both, and why answers differ.

The mock holds our MOF, compiled by pywbem's compiler, and the instances that a running server of ours told of once. What a
request gives is put into plain values, in which the order of answers, hosts and the case of names do not count, so that two
of them are either equal or not. Each way in which they may differ stands in DIFFERENCES with its reason.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pywbem
import pywbem_mock
from pywbem_mock import _inmemoryrepository, _mainprovider

from agent.cim import namespaces
from agent.cim.classes import build
from agent.model import MODEL
from tests.cim.served import Running

__all__ = ["DIFFERENCES", "Difference", "Oracle", "Request", "instances", "plain", "unexplained"]

MOF = Path(__file__).parents[2] / "mof"

#: The namespaces that both have.
SPACES = (namespaces.VIRTMAP, namespaces.INTEROP)


# --- both servers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Request:
    """An operation by the name of pywbem's method, and its arguments."""

    operation: str
    arguments: Mapping[str, Any]
    namespace: str = namespaces.VIRTMAP

    def send(self, client: Any) -> Any:
        # The mock writes its own namespace into the paths that it is given.
        copied = {name: each.copy() if hasattr(each, "copy") else each for name, each in self.arguments.items()}
        call = getattr(client, self.operation)
        if any(isinstance(each, pywbem.CIMInstanceName) for each in copied.values()):
            for each in copied.values():
                if isinstance(each, pywbem.CIMInstanceName) and each.namespace is None:
                    each.namespace = self.namespace
            return call(**copied)
        if isinstance(copied.get("ObjectName"), str):
            copied["ObjectName"] = pywbem.CIMClassName(copied["ObjectName"], namespace=self.namespace)
            return call(**copied)
        return call(namespace=self.namespace, **copied)

    def __str__(self) -> str:
        given = ", ".join(f"{name}={str(each) if each is not None else each}" for name, each in self.arguments.items())
        return f"{self.namespace}: {self.operation}({given})"


class Oracle:
    """A running server of ours, and the mock with the same classes and instances."""

    def __init__(self, running: Running) -> None:
        _hurry()
        self.mended = 0
        declared = _declared_classes()
        self.ours = running.client()
        self.mock = pywbem_mock.FakedWBEMConnection(default_namespace=namespaces.VIRTMAP)
        for namespace in SPACES:
            if namespace not in self.mock.namespaces:
                self.mock.add_namespace(namespace)
            self._fill(namespace, declared)

    def _fill(self, namespace: str, declared: Mapping[str, Any]) -> None:
        """Our classes, as far as the namespace shows them, and the instances that it has."""
        self.mock.compile_mof_file(str(MOF / "virtmap.mof"), namespace=namespace, search_paths=[str(MOF)])
        shown = {name.lower() for name in self.ours.EnumerateClassNames(namespace, DeepInheritance=True)}
        store = self.mock.cimrepository.get_class_store(namespace)
        for name in [name for name in store.iter_names() if name.lower() not in shown]:
            store.delete(name)
        self.classes = shown
        for cls in _from_the_root(store):
            self.mended += _mend(cls, declared, store.get(cls.superclass, copy=False) if cls.superclass else None)
        for instance in instances(self.ours, namespace):
            for prop in instance.properties.values():
                prop.class_origin = store.get(instance.classname, copy=False).properties[prop.name].class_origin
            self.mock.add_cimobjects([instance], namespace=namespace)

    def both(self, request: Request) -> tuple[Any, Any]:
        """What the request gives, ours and the mock's, as plain values."""
        return plain(request, self.ours), plain(request, self.mock)


def _from_the_root(store: Any) -> list[Any]:
    """The classes of a store, each behind its superclass."""
    found: list[Any] = []
    left = list(store.iter_values())
    while left:
        there = {None, *(cls.classname for cls in found)}
        found += [cls for cls in left if cls.superclass in there]
        left = [cls for cls in left if cls.superclass not in there]
    return found


def _declared_classes() -> Mapping[str, Any]:
    """Our classes as the MOF has them, without what they inherit, by pywbem's compiler."""
    plain = pywbem.MOFWBEMConnection()
    pywbem.MOFCompiler(plain, search_paths=[str(MOF)], verbose=False).compile_file(str(MOF / "virtmap.mof"), "root")
    return {name.lower(): cls for name, cls in plain.classes["root"].items()}


def _mend(cls: Any, declared: Mapping[str, Any], above: Any) -> int:
    """Tell what a class overrides, or says of itself again, as its own and not as inherited, as DSP0201 has PROPAGATED and
    CLASSORIGIN and DSP0200 LocalOnly; the mock does not. How much there was of it."""
    own, mended = declared[cls.classname.lower()], 0
    for kind in ("properties", "methods"):
        for name, feature in getattr(cls, kind).items():
            origin = cls if name in getattr(own, kind) else getattr(above, kind)[name]
            local = getattr(own, kind).get(name)
            mended += (feature.propagated is not None) and feature.propagated != (local is None)
            feature.propagated = local is None
            feature.class_origin = cls.classname if local is not None else origin.class_origin
            _mend_qualifiers(feature, local)
            for parameter in getattr(feature, "parameters", {}).values():
                _mend_qualifiers(parameter, None if local is None else local.parameters[parameter.name])
    _mend_qualifiers(cls, own)
    return mended


def _mend_qualifiers(into: Any, local: Any) -> None:
    for name, qualifier in into.qualifiers.items():
        qualifier.propagated = local is None or name not in local.qualifiers


def _hurry() -> None:
    """Spare the mock most of its time, which it spends on deep copies: it walks over what it has without copying it, and
    copies single objects by pickle."""
    _inmemoryrepository.deepcopy = lambda made: pickle.loads(pickle.dumps(made))
    _mainprovider.IGNORE_INSTANCE_ICO_PARAM = False
    _inmemoryrepository.InMemoryObjectStore.iter_values = lambda store, copy=False: iter(store._data.values())


def instances(client: Any, namespace: str) -> Iterator[Any]:
    """Every instance of a namespace once, with a path in it and no host."""
    for name in client.EnumerateClassNames(namespace, DeepInheritance=True):
        for instance in client.EnumerateInstances(name, namespace=namespace):
            if instance.classname == name:
                instance.path.host, instance.path.namespace = None, namespace
                yield instance


# --- plain values -----------------------------------------------------------------------------------------------------


def plain(request: Request, client: Any) -> Any:
    """What a request gives: a status code, or what came, without what does not count."""
    try:
        return _plain(request.send(client))
    except pywbem.CIMError as error:
        return int(error.status_code)
    except ValueError as error:  # the mock only; what is wrong with our XML is another exception
        return f"crash: {error}"


def _plain(value: Any) -> Any:
    match value:
        case pywbem.CIMInstanceName():
            keys = sorted((name.lower(), repr(_plain(each))) for name, each in value.keybindings.items())
            return ("path", (value.namespace or "").lower(), value.classname.lower(), tuple(keys))
        case pywbem.CIMClassName():
            return ("class path", (value.namespace or "").lower(), value.classname.lower())
        case pywbem.CIMInstance():
            return ("instance", value.classname.lower(), _plain(value.path), _features(value.properties))
        case pywbem.CIMProperty():
            origin = (value.class_origin or "").lower()
            return ("property", value.name.lower(), value.type, bool(value.is_array), _plain(value.value), origin)
        case pywbem.CIMClass():
            return (
                "class",
                value.classname.lower(),
                (value.superclass or "").lower(),
                _qualifiers(value),
                tuple(sorted(_declared(each) for each in value.properties.values())),
                tuple(sorted(_declared(each) for each in value.methods.values())),
            )
        case pywbem.CIMQualifierDeclaration():
            scopes = sorted(name for name, there in value.scopes.items() if there)
            return ("declaration", value.name.lower(), value.type, repr(value.value), tuple(scopes))
        case list():
            return sorted((_plain(each) for each in value), key=repr)
        case tuple() if hasattr(value, "_fields"):  # what opens and pulls
            found = next(each for each in value if isinstance(each, list))
            return ("pulled", _plain(found), bool(value.eos), value.context is not None)
        case tuple():
            return tuple(_plain(each) for each in value)
        case pywbem.CIMDateTime():
            return str(value)
    return value


def _features(declared: Any) -> Any:
    return tuple(sorted((_plain(each) for each in declared.values()), key=repr))


def _qualifiers(declared: Any) -> Any:
    found = (
        ("qualifier", q.name.lower(), q.type, repr(q.value), bool(q.propagated)) for q in declared.qualifiers.values()
    )
    return tuple(sorted(found))


def _declared(feature: Any) -> Any:
    """A property, a method or a parameter in a class."""
    origin, propagated = getattr(feature, "class_origin", None), getattr(feature, "propagated", None)
    if isinstance(feature, pywbem.CIMMethod):
        rest: tuple[Any, ...] = (feature.return_type, tuple(sorted(_declared(p) for p in feature.parameters.values())))
    else:
        rest = (feature.type, bool(feature.is_array), (feature.reference_class or "").lower(), repr(feature.value))
    return ("feature", feature.name.lower(), (origin or "").lower(), bool(propagated), _qualifiers(feature), rest)


# --- what may differ --------------------------------------------------------------------------------------------------

#: Takes a request, our answer and the mock's, and gives both answers without what differs for one reason.
Level = Callable[[Request, Any, Any], tuple[Any, Any]]

_SAME = (None, None)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A way in which answers may differ: where it is to be seen, and why it is so."""

    name: str
    #: Groups of requests in which it is to be seen.
    groups: frozenset[str]
    reason: str
    #: Of DSP0200 1.4, if nothing else is said.
    section: str
    level: Level


def _codes(ours: Any, mock: Any, *operations: str) -> Level:
    """Where these are the answers of such operations; ... is anything but a status code."""

    def same(one: Any, other: Any) -> bool:
        return not isinstance(other, int) if one is ... else bool(one == other)

    def level(request: Request, one: Any, other: Any) -> tuple[Any, Any]:
        meant = any(request.operation.startswith(name) for name in operations)
        return _SAME if meant and same(ours, one) and same(mock, other) else (one, other)

    return level


def _mapped(value: Any, tag: str, change: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> Any:
    """The same with every tuple of a kind changed."""
    if isinstance(value, list):
        return [_mapped(each, tag, change) for each in value]
    if isinstance(value, tuple):
        made = tuple(_mapped(each, tag, change) for each in value)
        return change(made) if made and made[0] == tag else made
    return value


def _both(tag: str, change: Callable[[tuple[Any, ...]], tuple[Any, ...]], *operations: str) -> Level:
    """Where every tuple of a kind in either answer is taken as changed."""

    def level(request: Request, one: Any, other: Any) -> tuple[Any, Any]:
        if operations and request.operation not in operations:
            return one, other
        return _mapped(one, tag, change), _mapped(other, tag, change)

    return level


def _no_origin(feature: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*feature[:2], "", *feature[3:])


def _without_override(feature: tuple[Any, ...]) -> tuple[Any, ...]:
    if not feature[3]:
        return feature
    return (*feature[:4], tuple(each for each in feature[4] if each[1] != "override"), *feature[5:])


def _any_scope(declaration: tuple[Any, ...]) -> tuple[Any, ...]:
    every = ("ASSOCIATION", "CLASS", "INDICATION", "METHOD", "PARAMETER", "PROPERTY", "REFERENCE")
    return (*declaration[:4], every if declaration[4] == ("ANY",) else declaration[4])


def _of_class(request: Request) -> bool:
    return isinstance(request.arguments.get("ObjectName"), str)


def _only_paths(request: Request, one: Any, other: Any) -> tuple[Any, Any]:
    if not _of_class(request) or not isinstance(one, list) or not isinstance(other, list):
        return one, other
    return tuple([each[0] if len(each) == 2 else each for each in answer] for answer in (one, other))  # type: ignore[return-value]


_SCHEMA = build(MODEL)


def _own_end(request: Request, one: Any, other: Any) -> tuple[Any, Any]:
    if not _of_class(request) or not isinstance(one, list) or not isinstance(other, list):
        return one, other
    more = [each for each in other if each not in one]
    named = {(each[0] if isinstance(each[0], tuple) else each)[-1] for each in more}
    source = str(request.arguments["ObjectName"])
    own = {source.lower(), *_SCHEMA.ancestors(source)} if source.lower() in _SCHEMA.classes else {source.lower()}
    return (one, [each for each in other if each in one]) if named <= own else (one, other)


def _oneself(request: Request, one: Any, other: Any) -> tuple[Any, Any]:
    source = request.arguments.get("ObjectName")
    if not request.operation.startswith("Associator") or not isinstance(one, list):
        return one, other
    path = _plain(source)
    return [each for each in one if path not in (each, each[2] if each[0] == "instance" else None)], other


def _no_count(request: Request, one: Any, other: Any) -> tuple[Any, Any]:
    meant = request.operation.startswith("Open") and "MaxObjectCount" not in request.arguments
    return _SAME if meant and isinstance(one, tuple) and isinstance(other, tuple) and not one[1] else (one, other)


def _lone_language(request: Request, one: Any, other: Any) -> tuple[Any, Any]:
    alone = "FilterQueryLanguage" in request.arguments and "FilterQuery" not in request.arguments
    return _SAME if alone and one == pywbem.CIM_ERR_INVALID_PARAMETER else (one, other)


_ASSOCIATING = ("Associator", "Reference", "OpenAssociator", "OpenReference")

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        name="class origins of enumerated classes",
        groups=frozenset({"classes"}),
        reason="the mock never tells them in EnumerateClasses, although IncludeClassOrigin asks for them",
        section="EnumerateClasses",
        level=_both("feature", _no_origin, "EnumerateClasses"),
    ),
    Difference(
        name="scope any",
        groups=frozenset({"classes"}),
        reason="the MOF's scope any is a word of MOF; CIM-XML has only the single ones",
        section="DSP0201 SCOPE",
        level=_both("declaration", _any_scope),
    ),
    Difference(
        name="qualifiers of inherited elements that are not for subclasses",
        groups=frozenset({"classes"}),
        reason="Override is restricted to the class that declares it; the mock hands it down",
        section="DSP0004 Override, flavor Restricted",
        level=_both("feature", _without_override),
    ),
    Difference(
        name="paths whose keys are not those of the class",
        groups=frozenset({"wrong_paths"}),
        reason="a path that no instance could have is an incorrect parameter; the mock only looks whether it has such a one",
        section="GetInstance, INVALID_PARAMETER",
        level=_codes(pywbem.CIM_ERR_INVALID_PARAMETER, pywbem.CIM_ERR_NOT_FOUND, "GetInstance"),
    ),
    Difference(
        name="such paths as the source of associations",
        groups=frozenset({"wrong_paths"}),
        reason="the same; the mock finds nothing around them",
        section="Associators, INVALID_PARAMETER",
        level=_codes(pywbem.CIM_ERR_INVALID_PARAMETER, ..., *_ASSOCIATING),
    ),
    Difference(
        name="sources of associations that are not there",
        groups=frozenset({"wrong_paths"}),
        reason="OpenAssociatorInstances has NOT_FOUND for it; to say the same in all of them tells a typing error from loneliness",
        section="OpenAssociatorInstances, NOT_FOUND",
        level=_codes(pywbem.CIM_ERR_NOT_FOUND, ..., *_ASSOCIATING),
    ),
    Difference(
        name="opening without MaxObjectCount",
        groups=frozenset({"wrong_paths"}),
        reason="its default is zero, which gives no instance yet; the mock gives a hundred",
        section="OpenEnumerateInstances, MaxObjectCount",
        level=_no_count,
    ),
    Difference(
        name="associated with oneself",
        groups=frozenset({"associations"}),
        reason="the profile of registration conforms to itself; the mock takes every end that is the source for the near one",
        section="Associators",
        level=_oneself,
    ),
    Difference(
        name="classes around a class",
        groups=frozenset({"class_associations"}),
        reason="the mock tells them with LocalOnly, which these operations have not, and with qualifiers by default",
        section="Associators, IncludeQualifiers",
        level=_only_paths,
    ),
    Difference(
        name="the end of the source's own class",
        groups=frozenset({"class_associations"}),
        reason="the mock tells both ends of an association class, unless the near one names exactly the class that is asked about",
        section="Associators",
        level=_own_end,
    ),
    Difference(
        name="enumerations without a timeout",
        groups=frozenset({"opening"}),
        reason="a server may refuse zero, which keeps a context for ever",
        section="OpenEnumerateInstances, INVALID_OPERATION_TIMEOUT",
        level=_codes(pywbem.CIM_ERR_INVALID_OPERATION_TIMEOUT, ..., "OpenEnumerate"),
    ),
    Difference(
        name="a language without a filter",
        groups=frozenset({"opening"}),
        reason="FilterQueryLanguage and FilterQuery go together; the mock looks at the language only",
        section="OpenEnumerateInstances, FilterQueryLanguage",
        level=_lone_language,
    ),
    Difference(
        name="filters that are none",
        groups=frozenset({"opening"}),
        reason="the mock reads no filters, and lets everything through",
        section="OpenEnumerateInstances, INVALID_QUERY",
        level=_codes(pywbem.CIM_ERR_INVALID_QUERY, ..., "OpenEnumerate"),
    ),
)


def unexplained(group: str, asked: Iterable[tuple[Request, Any, Any]]) -> tuple[list[str], set[str]]:
    """Of the requests of a group and both answers to each, what differs for no reason; and the differences that are not seen."""
    differences = [d for d in DIFFERENCES if group in d.groups]
    left: list[str] = []
    stale = {d.name for d in differences}
    for request, ours, mock in asked:
        if ours == mock:
            continue
        one, other = _levelled(request, ours, mock, differences)
        if one != other:
            left.append(f"{request}\n  {next(apart(one, other), 'the order')}")
            continue
        for each in [d for d in differences if d.name in stale]:
            without = _levelled(request, ours, mock, [d for d in differences if d is not each])
            if without[0] != without[1]:
                stale.discard(each.name)
    return left, stale


def _levelled(request: Request, ours: Any, mock: Any, differences: Sequence[Difference]) -> tuple[Any, Any]:
    for each in differences:
        ours, mock = each.level(request, ours, mock)
    return _in_order(ours), _in_order(mock)


def _in_order(answer: Any) -> Any:
    return sorted(answer, key=repr) if isinstance(answer, list) else answer


def apart(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """Where two answers differ, for a reader, and for what explains differences."""
    if one == other:
        return
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        alone = [each for each in one if each not in other]
        missing = [each for each in other if each not in one]
        if len(alone) == len(missing) and len(one) == len(other):
            for this, that in zip(alone, missing, strict=True):
                yield from apart(this, that, f"{where}/{this[0] if isinstance(this, tuple) and this else ''}")
            return
        yield f"{where}: ours alone {str(alone)[:300]}, mock alone {str(missing)[:300]}"
        return
    yield f"{where}: {str(one)[:200]} for {str(other)[:200]}"
