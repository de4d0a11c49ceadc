"""CIM operations on the mapping, without sockets: a request in, an answer out (DSP0200 5.3).

Reading is answered from the newest snapshots and never waits; an enumeration is made while it is sent, some rows at a
time. Methods go through agent.operations. LocalOnly on instances and qualifiers of instances, both deprecated by
DSP0200, are ignored, so that a client that leaves LocalOnly at its default gets whole instances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pywbem

from agent import __version__
from agent.access import Principal
from agent.cim import interop, messages, statechange
from agent.cim.arguments import Parameters, operation_of
from agent.cim.associations import association_writer
from agent.cim.classes import COMPLETED, JOB_STARTED, PREFIX, AssociationClass, InstanceClass, Link, MethodPlan, Schema
from agent.cim.classes import build as build_schema
from agent.cim.instances import Form, Selection, Template, Wanted, form_of, namespace_path, reference
from agent.cim.messages import Frame, Kind, Request, Value
from agent.cim.repository import ClassEnd, Detail, Repository
from agent.cim.status import CimError, Status, from_core
from agent.cim.text import NAMESPACE
from agent.cim.world import Found, Indexes, Neighbours, Readable, World
from agent.errors import VirtmapError
from agent.model import MODEL
from agent.operations import Operations, Result
from agent.schema import dmtf
from agent.schema.declare import Operation

__all__ = ["Answer", "Provider"]

#: Rows rendered at once: half a millisecond of the largest class, so that nobody else waits for long.
CHUNK = 32

#: Seconds that a client waits for an operation that may run long, before it gets the job instead.
PATIENCE = 3.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer to be sent: ``body`` is made while it is read. ``long`` ones are better streamed."""

    frame: Frame
    body: Iterable[bytes] = ()
    long: bool = False
    #: The CIM status code that the answer carries, for the log; 0 for success.
    status: int = 0

    def whole(self) -> bytes:
        return self.frame.around(self.body)


@dataclass(frozen=True, kw_only=True)
class _Context:
    """One intrinsic operation on its way."""

    request: Request
    space: _Namespace
    world: World
    given: Mapping[str, Value]

    def parameters(self, *allowed: str) -> Parameters:
        return Parameters(self.given, allowed)


@dataclass(frozen=True, kw_only=True)
class _Namespace:
    """A namespace: its classes, and instances that are neither rows nor associations of rows."""

    name: str
    repository: Repository
    fixed: Sequence[Any] = ()


class Provider:
    """Answers requests about these inventories. Asked in the event loop's thread."""

    def __init__(
        self,
        inventories: Mapping[str, Readable],
        operations: Operations,
        *,
        host: str,
        schema: Schema | None = None,
    ) -> None:
        """``host`` is the name that paths in answers give this server."""
        self.schema = schema or build_schema(MODEL)
        self._inventories = inventories
        self._operations = operations
        self._host = host
        self._where = namespace_path(host, NAMESPACE)
        self._indexes = Indexes()
        self._template = lru_cache(maxsize=256)(self._compiled)
        names = (NAMESPACE, interop.NAMESPACE)
        self._namespaces = {
            NAMESPACE: _Namespace(name=NAMESPACE, repository=Repository(self.schema)),
            interop.NAMESPACE: _Namespace(
                name=interop.NAMESPACE,
                repository=Repository(self.schema, interop.CLASSES),
                fixed=interop.instances(host, __version__, names),
            ),
        }
        self._intrinsic: dict[str, Callable[[_Context], Answer]] = {
            "getclass": self._get_class,
            "enumerateclasses": self._enumerate_classes,
            "enumerateclassnames": self._enumerate_class_names,
            "getinstance": self._get_instance,
            "enumerateinstances": self._enumerate_instances,
            "enumerateinstancenames": self._enumerate_instance_names,
            "getqualifier": self._get_qualifier,
            "enumeratequalifiers": self._enumerate_qualifiers,
            "associators": self._associators,
            "associatornames": self._associator_names,
            "references": self._references,
            "referencenames": self._reference_names,
        }

    async def answer(self, request: Request, principal: Principal) -> Answer:
        """The answer, whatever happens: what cannot be done is an answer with an ERROR in it."""
        try:
            if request.kind is Kind.EXTRINSIC:
                return await self._invoke(request, principal)
            return self._intrinsic_answer(request)
        except CimError as error:
            return _error(request, error)

    # --- namespaces and dispatch

    def _namespace(self, request: Request) -> _Namespace:
        found = self._namespaces.get(request.namespace.strip("/").lower())
        if found is None:
            raise CimError(
                Status.INVALID_NAMESPACE,
                f"there is no namespace {request.namespace[:80]!r}; there is {' and '.join(self._namespaces)}",
            )
        return found

    def _intrinsic_answer(self, request: Request) -> Answer:
        space = self._namespace(request)
        handler = self._intrinsic.get(request.name.lower())
        if handler is None:
            raise CimError(Status.NOT_SUPPORTED, f"this server does not perform {request.name[:80]}")
        context = _Context(request=request, space=space, world=self._world(), given=request.parameters)
        return handler(context)

    def _world(self) -> World:
        return World(self.schema, self._inventories, self._indexes)

    # --- classes and qualifiers

    def _get_class(self, context: _Context) -> Answer:
        given = context.parameters("ClassName", "LocalOnly", "IncludeQualifiers", "IncludeClassOrigin", "PropertyList")
        name = _class(context.space, given.needed_class_name("ClassName"), Status.NOT_FOUND)
        detail = _detail(given, qualifiers=True, properties=given.names("PropertyList"))
        return _short(context, [context.space.repository.class_xml(name, detail)])

    def _enumerate_classes(self, context: _Context) -> Answer:
        given = context.parameters(
            "ClassName", "DeepInheritance", "LocalOnly", "IncludeQualifiers", "IncludeClassOrigin"
        )
        names, detail = self._classes_below(context, given), _detail(given, qualifiers=True, properties=None)
        repository = context.space.repository
        return _long(context, (repository.class_xml(name, detail) for name in names))

    def _enumerate_class_names(self, context: _Context) -> Answer:
        given = context.parameters("ClassName", "DeepInheritance")
        repository = context.space.repository
        names = self._classes_below(context, given)
        return _short(context, (f'<CLASSNAME NAME="{repository.name(name)}"/>' for name in names))

    def _classes_below(self, context: _Context, given: Parameters) -> tuple[str, ...]:
        top = given.class_name("ClassName")
        if top is not None:
            _class(context.space, top, Status.INVALID_CLASS)
        return context.space.repository.below(top, deep=given.flag("DeepInheritance", False))

    def _get_qualifier(self, context: _Context) -> Answer:
        name = context.parameters("QualifierName").text("QualifierName") or ""
        try:
            return _short(context, [context.space.repository.qualifier_xml(name)])
        except KeyError:
            raise CimError(Status.NOT_FOUND, f"there is no qualifier {name[:80]!r}") from None

    def _enumerate_qualifiers(self, context: _Context) -> Answer:
        context.parameters()
        return _short(context, context.space.repository.qualifiers_xml())

    # --- instances

    def _get_instance(self, context: _Context) -> Answer:
        given = context.parameters(
            "InstanceName", "LocalOnly", "IncludeQualifiers", "IncludeClassOrigin", "PropertyList"
        )
        path = given.instance_name("InstanceName")
        _class(context.space, path.classname, Status.INVALID_CLASS)
        wanted = Wanted(properties=given.names("PropertyList"), class_origin=given.flag("IncludeClassOrigin", False))
        if context.space.fixed:
            return _short(context, [interop.one(context.space.fixed, path, wanted)])
        association = self.schema.associations.get(path.classname.lower())
        if association is not None:
            return _short(context, self._association_instance(context.world, association, path, wanted))
        found = context.world.locate(path)
        made = self._template(found.cls.name, wanted, Form.INSTANCE)
        return _short(context, made.render(Selection([found.record], found.hypervisor)))

    def _enumerate_instances(self, context: _Context) -> Answer:
        given = context.parameters(
            "ClassName", "LocalOnly", "DeepInheritance", "IncludeQualifiers", "IncludeClassOrigin", "PropertyList"
        )
        name = _class(context.space, given.needed_class_name("ClassName"), Status.INVALID_CLASS)
        wanted = self._wanted(context, given, name)
        if context.space.fixed:
            return _short(context, interop.named(context.space.fixed, lambda cls: self.schema.is_a(cls, name), wanted))
        return _long(context, self._instances_of(context.world, name, wanted, Form.NAMED))

    def _enumerate_instance_names(self, context: _Context) -> Answer:
        name = _class(
            context.space, context.parameters("ClassName").needed_class_name("ClassName"), Status.INVALID_CLASS
        )
        if context.space.fixed:
            names = (i.path for i in context.space.fixed if self.schema.is_a(i.classname, name))
            return _short(context, map(interop.name_xml, names))
        return _long(context, self._instances_of(context.world, name, Wanted(), Form.NAME))

    def _wanted(self, context: _Context, given: Parameters, name: str) -> Wanted:
        """The properties of the list; without DeepInheritance, only those of them that the class itself has."""
        properties = given.names("PropertyList")
        if not given.flag("DeepInheritance", True):
            known = context.space.repository.property_names(name)
            properties = known if properties is None else properties & known
        return Wanted(properties=properties, class_origin=given.flag("IncludeClassOrigin", False))

    def _instances_of(self, world: World, name: str, wanted: Wanted, form: Form) -> Iterator[str]:
        """The instances of a class and its subclasses, in stretches of text."""
        for each in self.schema.descendants(name):
            cls = self.schema.instances.get(each)
            if cls is not None:
                yield from self._rows(world, cls, self._template(cls.name, wanted, form))
            association = self.schema.associations.get(each)
            if association is not None:
                yield from self._links(world, association, wanted, form)

    def _rows(self, world: World, cls: InstanceClass, made: Template) -> Iterator[str]:
        for hypervisor, snapshot in world.hypervisors():
            for records in _chunks(world.records(cls, snapshot)):
                yield "".join(made.render(Selection(records, hypervisor)))

    def _compiled(self, name: str, wanted: Wanted, form: Form) -> Template:
        """The template of a class for a form of answer."""
        cls = self.schema.instances[name.lower()]
        origins = self._namespaces[NAMESPACE].repository.origins(name) if wanted.class_origin else None
        return form_of(cls, form, wanted.properties, origins, self._where)

    # --- instances of associations

    def _links(self, world: World, association: AssociationClass, wanted: Wanted, form: Form) -> Iterator[str]:
        """Every instance of an association, in stretches of text."""
        for link in association.links:
            for hypervisor, snapshot in world.hypervisors():
                far_of = world.far_finder(link, snapshot)
                for records in _chunks(world.records(link.near, snapshot)):
                    pairs = [(far, near) for near in records if (far := far_of(near)) is not None]
                    yield "".join(self._pairs(association, link, hypervisor, pairs, wanted, form))

    def _pairs(
        self,
        association: AssociationClass,
        link: Link,
        hypervisor: str,
        pairs: Sequence[tuple[Any, Any]],
        wanted: Wanted,
        form: Form,
    ) -> list[str]:
        """The association's instances for pairs of a far and a near row."""
        fars = self._names(link.far, [far for far, _ in pairs], hypervisor)
        nears = self._names(link.near, [near for _, near in pairs], hypervisor)
        write = association_writer(association, link, wanted, form, self._where)
        return [
            write(reference(NAMESPACE, far), reference(NAMESPACE, near)) for far, near in zip(fars, nears, strict=True)
        ]

    def _names(self, cls: InstanceClass, records: Sequence[Any], hypervisor: str) -> list[str]:
        return self._template(cls.name, Wanted(), Form.NAME).render(Selection(records, hypervisor))

    def _association_instance(
        self, world: World, association: AssociationClass, path: pywbem.CIMInstanceName, wanted: Wanted
    ) -> list[str]:
        """The one association instance with this path, if what it names is associated."""
        ends = {name.lower(): each for name, each in path.keybindings.items()}
        far, near = ends.get(association.far_role.lower()), ends.get(association.near_role.lower())
        if (
            len(ends) != 2
            or not isinstance(far, pywbem.CIMInstanceName)
            or not isinstance(near, pywbem.CIMInstanceName)
        ):
            roles = f"{association.far_role} and {association.near_role}"
            raise CimError(Status.INVALID_PARAMETER, f"the keys of {association.name} are {roles}")
        one, other = world.locate(far), world.locate(near)
        for each in world.neighbours(other):
            fits = each.association is association and each.from_near and each.cls is one.cls
            if fits and one.record in each.records:
                pairs = [(one.record, other.record)]
                return self._pairs(association, each.link, other.hypervisor, pairs, wanted, Form.INSTANCE)
        raise CimError(Status.NOT_FOUND, f"there is no such instance of {association.name}")

    # --- associations

    def _associators(self, context: _Context) -> Answer:
        given = context.parameters(
            "ObjectName", "AssocClass", "ResultClass", "Role", "ResultRole",
            "IncludeQualifiers", "IncludeClassOrigin", "PropertyList",
        )  # fmt: skip
        wanted = Wanted(properties=given.names("PropertyList"), class_origin=given.flag("IncludeClassOrigin", False))
        return self._associated(context, given, wanted, Form.OBJECT)

    def _associator_names(self, context: _Context) -> Answer:
        given = context.parameters("ObjectName", "AssocClass", "ResultClass", "Role", "ResultRole")
        return self._associated(context, given, Wanted(), Form.PATH)

    def _associated(self, context: _Context, given: Parameters, wanted: Wanted, form: Form) -> Answer:
        """Associators or their names; of a class, the classes at the other ends."""
        match given.object_name("ObjectName"):
            case pywbem.CIMClassName() as name:
                ends = self._class_ends(context, given, str(name.classname), "AssocClass")
                result = self._result_class(context, given, "ResultClass")
                names = dict.fromkeys(e.other for e in ends if result is None or self.schema.is_a(e.other, result))
                return self._class_objects(context, given, names, form)
            case path:
                if context.space.fixed:
                    return _short(context, [])
                found = self._source(context, path)
        groups = self._groups(context, given, found, "AssocClass", "ResultClass")
        return _long(context, self._objects(found, groups, wanted, form))

    def _objects(self, found: Found, groups: Iterable[Neighbours], wanted: Wanted, form: Form) -> Iterator[str]:
        """Each associated row once, even when several associations lead to it."""
        seen: dict[str, set[Any]] = {}
        for group in groups:
            told = seen.setdefault(group.cls.name, set())
            made = self._template(group.cls.name, wanted, form)
            fresh = [r for r in group.records if id(r) not in told]
            told.update(map(id, fresh))
            for records in _chunks(fresh):
                yield "".join(made.render(Selection(records, found.hypervisor)))

    def _references(self, context: _Context) -> Answer:
        given = context.parameters(
            "ObjectName", "ResultClass", "Role", "IncludeQualifiers", "IncludeClassOrigin", "PropertyList"
        )
        wanted = Wanted(properties=given.names("PropertyList"), class_origin=given.flag("IncludeClassOrigin", False))
        return self._referring(context, given, wanted, Form.OBJECT)

    def _reference_names(self, context: _Context) -> Answer:
        given = context.parameters("ObjectName", "ResultClass", "Role")
        return self._referring(context, given, Wanted(), Form.PATH)

    def _referring(self, context: _Context, given: Parameters, wanted: Wanted, form: Form) -> Answer:
        """References or their names; of a class, the association classes."""
        match given.object_name("ObjectName"):
            case pywbem.CIMClassName() as name:
                ends = self._class_ends(context, given, str(name.classname), "ResultClass")
                return self._class_objects(context, given, dict.fromkeys(e.association for e in ends), form)
            case path:
                if context.space.fixed:
                    return _short(context, [])
                found = self._source(context, path)
        groups = self._groups(context, given, found, "ResultClass", None)
        return _long(context, self._reference_objects(found, groups, wanted, form))

    def _reference_objects(
        self, found: Found, groups: Iterable[Neighbours], wanted: Wanted, form: Form
    ) -> Iterator[str]:
        for group in groups:
            for records in _chunks(group.records):
                pairs = [(r, found.record) if group.from_near else (found.record, r) for r in records]
                yield "".join(self._pairs(group.association, group.link, found.hypervisor, pairs, wanted, form))

    def _source(self, context: _Context, path: pywbem.CIMInstanceName) -> Found:
        _class(context.space, path.classname, Status.INVALID_PARAMETER)
        return context.world.locate(path)

    def _groups(
        self, context: _Context, given: Parameters, found: Found, association_filter: str, class_filter: str | None
    ) -> list[Neighbours]:
        """What the instance is associated with, after the filters of the request."""
        association = self._result_class(context, given, association_filter)
        result = self._result_class(context, given, class_filter) if class_filter else None
        role = (given.text("Role") or "").lower()
        result_role = (given.text("ResultRole") or "").lower() if class_filter else ""
        return [
            group
            for group in context.world.neighbours(found)
            if (association is None or self.schema.is_a(group.association.name, association))
            and (result is None or self.schema.is_a(group.cls.name, result))
            and role in ("", group.role.lower())
            and result_role in ("", group.result_role.lower())
        ]

    def _result_class(self, context: _Context, given: Parameters, name: str) -> str | None:
        wanted = given.class_name(name)
        return None if not wanted else _class(context.space, wanted, Status.INVALID_PARAMETER)

    # --- associations of classes

    def _class_ends(self, context: _Context, given: Parameters, name: str, association_filter: str) -> list[ClassEnd]:
        """The association classes that a class can take part in, with the class at the other end."""
        _class(context.space, name, Status.INVALID_PARAMETER)
        wanted = self._result_class(context, given, association_filter)
        role = (given.text("Role") or "").lower()
        by_role = association_filter == "AssocClass"
        result_role = (given.text("ResultRole") or "").lower() if by_role else ""
        return [
            end
            for end in context.space.repository.ends_of(name)
            if (wanted is None or self.schema.is_a(end.association, wanted))
            and role in ("", end.role.lower())
            and result_role in ("", end.other_role.lower())
        ]

    def _class_objects(self, context: _Context, given: Parameters, names: Iterable[str], form: Form) -> Answer:
        """Classes as an answer of the association operations."""
        where = namespace_path(self._host, context.space.name)
        repository = context.space.repository
        if form is Form.PATH:
            return _short(
                context,
                (
                    f'<OBJECTPATH><CLASSPATH>{where}<CLASSNAME NAME="{name}"/></CLASSPATH></OBJECTPATH>'
                    for name in names
                ),
            )
        detail = Detail(
            local_only=False,
            qualifiers=given.flag("IncludeQualifiers", False),
            class_origin=given.flag("IncludeClassOrigin", False),
            properties=given.names("PropertyList"),
        )
        return _short(
            context,
            (
                f'<VALUE.OBJECTWITHPATH><CLASSPATH>{where}<CLASSNAME NAME="{name}"/></CLASSPATH>'
                f"{repository.class_xml(name, detail)}</VALUE.OBJECTWITHPATH>"
                for name in names
            ),
        )

    # --- methods

    async def _invoke(self, request: Request, principal: Principal) -> Answer:
        space = self._namespace(request)
        target = request.target
        assert target is not None  # of every extrinsic request
        _class(space, target.classname, Status.INVALID_CLASS)
        if not isinstance(target, pywbem.CIMInstanceName):
            self._find_method(str(target.classname), request.name)
            raise CimError(Status.INVALID_PARAMETER, f"{request.name} is a method of instances, not of the class")
        if space.fixed:
            raise CimError(Status.METHOD_NOT_FOUND, f"{target.classname} has no method {request.name[:80]}")
        found = self._world().locate(target)
        plan = self._find_method(found.cls.name, request.name)
        if plan is None:
            return await self._state_change(request, principal, found)
        operation = operation_of(plan, request.parameters)
        result = await self._perform(principal, found, operation)
        outs = [
            messages.value_parameter(name, spec.semantic.cim, result.values.get(spec.name) if result.ended else None)
            for name, spec in plan.outputs
        ]
        outs += _job_out(result) if plan.operation.job else []
        return _method_answer(request, COMPLETED if result.ended else JOB_STARTED, outs)

    def _find_method(self, class_name: str, method: str) -> MethodPlan | None:
        """The plan of a method of ours, None for RequestStateChange; an error for any other."""
        plan = self.schema.methods.get(class_name.lower(), {}).get(method.lower())
        if plan is not None:
            return plan
        inherited = {m.lower() for each in self.schema.ancestors(class_name) for m in _dmtf_methods(each)}
        if method.lower() not in inherited:
            raise CimError(Status.METHOD_NOT_FOUND, f"{class_name} has no method {method[:80]}")
        if method.lower() != statechange.METHOD.lower() or not self.schema.is_a(
            class_name, "CIM_EnabledLogicalElement"
        ):
            raise CimError(Status.METHOD_NOT_AVAILABLE, f"{class_name} does not implement {method[:80]}")
        return None

    async def _state_change(self, request: Request, principal: Principal, found: Found) -> Answer:
        """RequestStateChange: its own return values say what cannot be asked for now."""
        given = Parameters(request.parameters, ("RequestedState", "TimeoutPeriod", "Job"))
        requested = given.text("RequestedState")
        if requested is None or not requested.strip().isdecimal() or len(requested) > 10:
            return _method_answer(request, statechange.Answer.INVALID_PARAMETER)
        if not _no_timeout(given.text("TimeoutPeriod")):
            return _method_answer(request, statechange.Answer.NO_TIMEOUT)
        kinds = statechange.operations_for(found.cls.row, int(requested))
        if isinstance(kinds, statechange.Answer):
            return _method_answer(request, kinds)
        kind = next((k for k in kinds if self._operations.unsuitable(found.hypervisor, k, found.key) is None), None)
        if kind is None:
            return _method_answer(request, statechange.Answer.INVALID_TRANSITION)
        result = await self._perform(principal, found, kind())
        code = statechange.Answer.COMPLETED if result.ended else statechange.Answer.JOB_STARTED
        return _method_answer(request, code, _job_out(result))

    async def _perform(self, principal: Principal, found: Found, operation: Operation) -> Result:
        patience = PATIENCE if operation.job else None
        try:
            return await self._operations.perform(principal, found.hypervisor, operation, found.key, patience=patience)
        except VirtmapError as error:
            raise from_core(error) from error


# --- answers ----------------------------------------------------------------------------------------------------------


def _short(context: _Context, fragments: Iterable[str]) -> Answer:
    """An answer that is made at once."""
    body = "".join(fragments).encode()
    return Answer(frame=messages.frame(context.request), body=(body,))


def _long(context: _Context, fragments: Iterable[str]) -> Answer:
    """An answer that is made while it is sent."""
    return Answer(frame=messages.frame(context.request), body=map(str.encode, fragments), long=True)


def _error(request: Request, error: CimError) -> Answer:
    text = messages.error(request, error.status, error.description)
    return Answer(frame=Frame(head=text, tail=b""), status=error.status)


def _method_answer(request: Request, value: int, outs: Iterable[str] = ()) -> Answer:
    text = messages.method_answer(request, "uint32", int(value), outs)
    return Answer(frame=Frame(head=text, tail=b""))


def _job_out(result: Result) -> list[str]:
    """The Job parameter: the path of the job; left out when the work is done, since pywbemcli fails on a null reference."""
    if result.ended:
        return []
    path = pywbem.CIMInstanceName(
        f"{PREFIX}Job", keybindings={"InstanceID": f"virtmap:job/{result.job}"}, namespace=NAMESPACE
    )
    return [messages.value_parameter("Job", "reference", path)]


def _class(space: _Namespace, name: str, status: Status) -> str:
    """The class's declared name; a CimError of that status when the namespace has none such."""
    try:
        return space.repository.name(name)
    except KeyError:
        raise CimError(status, f"there is no class {name[:80]!r} in {space.name}") from None


def _detail(given: Parameters, *, qualifiers: bool, properties: frozenset[str] | None) -> Detail:
    return Detail(
        local_only=given.flag("LocalOnly", True),
        qualifiers=given.flag("IncludeQualifiers", qualifiers),
        class_origin=given.flag("IncludeClassOrigin", False),
        properties=properties,
    )


def _chunks(records: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(records), CHUNK):
        yield records[start : start + CHUNK]


def _no_timeout(text: str | None) -> bool:
    """Whether a TimeoutPeriod sets no limit: absent, empty or the interval zero."""
    return text is None or not text.strip() or text.strip().startswith("00000000000000.")


def _dmtf_methods(name: str) -> Iterable[str]:
    for known in dmtf.classes.values():
        if known.name.lower() == name:
            return [m.name for m in known.methods]
    return []
