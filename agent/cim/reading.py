"""Operations that read instances, in one answer or pulled piece by piece (DSP0200 5.3.2, 5.4.2).

What is asked for becomes a walk over sources, whichever operation asks; the traditional one tells it whole, the one that opens
an enumeration leaves it to the contexts. LocalOnly on instances and qualifiers of instances, both deprecated by DSP0200, are
ignored, so that a client that leaves LocalOnly at its default gets whole instances. A walk goes on whatever happens to single
rows, so that ContinueOnError holds whether it is asked for or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pywbem

from agent.cim import held, messages, results
from agent.cim.answers import Answer, Context, done, long, short, told
from agent.cim.arguments import Parameters
from agent.cim.classes import AssociationClass, InstanceClass, Link, Schema
from agent.cim.held import Bridge, Tie
from agent.cim.instances import Form, Wanted, namespace_path
from agent.cim.pulling import Contexts, Pull
from agent.cim.query import Query, QueryError, parse
from agent.cim.renderings import Renderings
from agent.cim.repository import ClassEnd, Detail, Repository
from agent.cim.results import Held, Keep, KeepPairs, Rows, Source, Teller, Walk, all_pairs, all_rows, here
from agent.cim.status import CimError, Status
from agent.cim.subjects import InstanceSubject, keep, keep_pairs, keep_spans
from agent.cim.world import Found, Neighbours, World

__all__ = ["Reading"]

_FLAGS = ("LocalOnly", "IncludeQualifiers", "IncludeClassOrigin", "PropertyList")
_ENDS = ("AssocClass", "ResultClass", "Role", "ResultRole")
_OPENING = ("FilterQueryLanguage", "FilterQuery", "OperationTimeout", "ContinueOnError", "MaxObjectCount")


@dataclass(frozen=True, kw_only=True)
class _Filters:
    """What of the neighbours of an instance is meant: classes by declared names, roles in lower case; None and "" are all."""

    association: str | None
    result: str | None
    role: str
    result_role: str


class Reading:
    """The operations that read instances."""

    def __init__(
        self, schema: Schema, renderings: Renderings, contexts: Contexts, *, host: str,
        held: Callable[[], Sequence[pywbem.CIMInstance]], bridges: Sequence[Bridge],
    ) -> None:  # fmt: skip
        """``held`` gives the instances that are no rows, ``bridges`` tell how they are associated with rows."""
        self._schema = schema
        self._renderings = renderings
        self._contexts = contexts
        self._host = host
        self._all_held = held
        self._bridges = bridges
        self._ends: dict[pywbem.CIMInstanceName, pywbem.CIMInstance | None] = {}
        self._associations = frozenset(
            name for name, cls in schema.classes.items() if "Association" in cls.local.qualifiers
        )
        self.operations: Mapping[str, Callable[[Context], Answer]] = {
            "getinstance": self._get_instance,
            "getproperty": self._get_property,
            "enumerateinstances": self._enumerate_instances,
            "enumerateinstancenames": self._enumerate_instance_names,
            "associators": partial(self._associators, form=Form.OBJECT),
            "associatornames": partial(self._associators, form=Form.PATH),
            "references": partial(self._references, form=Form.OBJECT),
            "referencenames": partial(self._references, form=Form.PATH),
            "execquery": self._exec_query,
            "openenumerateinstances": self._open_enumerate_instances,
            "openenumerateinstancepaths": self._open_enumerate_instance_paths,
            "openassociatorinstances": partial(self._open_associators, form=Form.WITH_PATH),
            "openassociatorinstancepaths": partial(self._open_associators, form=Form.INSTANCE_PATH),
            "openreferenceinstances": partial(self._open_references, form=Form.WITH_PATH),
            "openreferenceinstancepaths": partial(self._open_references, form=Form.INSTANCE_PATH),
            "openqueryinstances": self._open_query,
            "pullinstanceswithpath": partial(self._pull, pull=Pull.INSTANCES_WITH_PATH),
            "pullinstancepaths": partial(self._pull, pull=Pull.INSTANCE_PATHS),
            "pullinstances": partial(self._pull, pull=Pull.INSTANCES),
            "closeenumeration": self._close,
            "enumerationcount": self._count,
        }

    # --- one instance

    def _get_instance(self, context: Context) -> Answer:
        given = context.parameters("InstanceName", *_FLAGS)
        path = given.instance_name("InstanceName")
        return told(context, self._one(context, path, _wanted(given)))

    def _one(self, context: Context, path: pywbem.CIMInstanceName, wanted: Wanted) -> bytes:
        """INSTANCE of the instance with this path; NOT_FOUND when there is none."""
        name = context.space.class_name(path.classname)
        tell = self._teller(Form.INSTANCE, wanted)
        kept = held.find(context.space.held(), path)
        if kept is not None:
            return tell.held([kept])
        ends = {role.lower(): each for role, each in path.keybindings.items()}
        for bridge in self._bridges:
            if bridge.association == name and bridge.association in context.space.repository:
                row = ends.get(bridge.row_role.lower())
                if self._spans_over(bridge, ends.get(bridge.held_role.lower()), row):
                    found = context.world.locate(row)
                    return tell.spans(bridge, found.cls, found.hypervisor, found.table, [found.place])
        if not context.space.has_rows:
            raise CimError(Status.NOT_FOUND, f"there is no such instance of {name}")
        association = self._schema.associations.get(name.lower())
        if association is not None:
            return self._pair(context.world, association, path, tell)
        found = context.world.locate(path)
        return tell.rows(found.cls, found.hypervisor, found.table, [found.place])

    def _spans_over(self, bridge: Bridge, kept: object, row: object) -> bool:
        """Whether a bridge leads from what one path names to what another does, if that is there."""
        return (
            isinstance(kept, pywbem.CIMInstanceName)
            and isinstance(row, pywbem.CIMInstanceName)
            and held.same_path(bridge.path, kept)
            and str(row.classname).lower() == bridge.cls.lower()
        )

    def _pair(self, world: World, association: AssociationClass, path: pywbem.CIMInstanceName, tell: Teller) -> bytes:
        """The one instance of an association with this path, if what it names is associated."""
        ends = {name.lower(): each for name, each in path.keybindings.items()}
        far, near = ends.get(association.far_role.lower()), ends.get(association.near_role.lower())
        if (
            len(ends) != 2
            or not isinstance(far, pywbem.CIMInstanceName)
            or not isinstance(near, pywbem.CIMInstanceName)
        ):
            roles = f"{association.far_role} and {association.near_role}"
            raise CimError(Status.INVALID_PARAMETER, f"the keys of {association.name} are {roles}")
        ends = {association.far_role: world.locate(far), association.near_role: world.locate(near)}
        for near_end in ends.values():
            for each in world.neighbours(near_end):
                one = ends[each.result_role] if each.association is association and each.from_near else None
                if one is None or one is near_end or each.cls.name != one.cls.name or one.place not in each.places:
                    continue
                if one.hypervisor == near_end.hypervisor:
                    places = [(one.place, near_end.place)]
                    return tell.pairs(association, each.link, one.hypervisor, (one.table, near_end.table), places)
        raise CimError(Status.NOT_FOUND, f"there is no such instance of {association.name}")

    def _get_property(self, context: Context) -> Answer:
        given = context.parameters("InstanceName", "PropertyName")
        path, name = given.instance_name("InstanceName"), given.text("PropertyName") or ""
        cls = context.space.class_name(path.classname)
        if name.lower() not in context.space.repository.property_names(cls):
            raise CimError(Status.NO_SUCH_PROPERTY, f"{cls} has no property {name[:80]!r}")
        instance = self._one(context, path, Wanted(properties=frozenset((name.lower(),)))).decode()
        # What stands inside of the one PROPERTY element is the answer.
        inside = instance.partition(">")[2].rpartition("</INSTANCE>")[0]
        return short(context, [inside.partition(">")[2].rpartition("</PROPERTY")[0]])

    # --- instances of a class

    def _enumerate_instances(self, context: Context) -> Answer:
        given = context.parameters("ClassName", "DeepInheritance", *_FLAGS)
        name = context.space.class_name(given.needed_class_name("ClassName"))
        return self._whole(context, self._of_class(context, name, None), Form.NAMED, _shallow(context, given, name))

    def _enumerate_instance_names(self, context: Context) -> Answer:
        name = context.space.class_name(context.parameters("ClassName").needed_class_name("ClassName"))
        return self._whole(context, self._of_class(context, name, None), Form.NAME, Wanted())

    def _open_enumerate_instances(self, context: Context) -> Answer:
        given = context.parameters("ClassName", "DeepInheritance", *_FLAGS, *_OPENING)
        name = context.space.class_name(given.needed_class_name("ClassName"))
        sources = self._of_class(context, name, self._filter(context, given, name))
        return self._open(context, given, sources, Form.WITH_PATH, _shallow(context, given, name))

    def _open_enumerate_instance_paths(self, context: Context) -> Answer:
        given = context.parameters("ClassName", *_OPENING)
        name = context.space.class_name(given.needed_class_name("ClassName"))
        sources = self._of_class(context, name, self._filter(context, given, name))
        return self._open(context, given, sources, Form.INSTANCE_PATH, Wanted())

    def _of_class(self, context: Context, name: str, query: Query | None) -> list[Source]:
        """The instances of a class and its subclasses, as far as the namespace shows them."""
        space, world = context.space, context.world
        sources: list[Source] = []
        if space.has_rows:
            for each in self._schema.descendants(name):
                if each not in space.repository:
                    continue
                cls, association = self._schema.instances.get(each), self._schema.associations.get(each)
                for hypervisor in world.hypervisors:
                    if cls is not None:
                        sources.append(all_rows(cls, hypervisor, self._keep(cls, hypervisor, query)))
                    if association is not None:
                        sources += self._pairs(association, hypervisor, query)
        shown = [b for b in self._bridges if b.association in space.repository]
        sources += [s for b in shown if self._schema.is_a(b.association, name) for s in self._spans(world, b, query)]
        kept = [i for i in space.held() if self._schema.is_a(i.classname, name) and self._lets(query, i)]
        return [*sources, Held(instances=kept)] if kept else sources

    def _pairs(self, association: AssociationClass, hypervisor: str, query: Query | None) -> list[Source]:
        return [
            all_pairs(association, link, hypervisor, self._keep_pairs(association, link, hypervisor, query))
            for link in association.links
        ]

    # --- associations

    def _associators(self, context: Context, form: Form) -> Answer:
        given = context.parameters("ObjectName", *_ENDS, *(_FLAGS[1:] if form is Form.OBJECT else ()))
        match given.object_name("ObjectName"):
            case pywbem.CIMClassName() as name:
                ends = self._class_ends(context, given, str(name.classname), "AssocClass")
                result = _class(context, given, "ResultClass")
                names = dict.fromkeys(e.other for e in ends if result is None or self._schema.is_a(e.other, result))
                return self._class_objects(context, given, names, form)
            case path:
                filters = _filters(context, given, "AssocClass", "ResultClass")
                return self._whole(context, self._around(context, path, filters, None), form, _wanted(given))

    def _open_associators(self, context: Context, form: Form) -> Answer:
        given = context.parameters("InstanceName", *_ENDS, *_FLAGS[1:], *_OPENING)
        filters = _filters(context, given, "AssocClass", "ResultClass")
        query = self._filter(context, given, filters.result)
        sources = self._around(context, given.instance_name("InstanceName"), filters, query)
        return self._open(context, given, sources, form, _wanted(given))

    def _references(self, context: Context, form: Form) -> Answer:
        given = context.parameters("ObjectName", "ResultClass", "Role", *(_FLAGS[1:] if form is Form.OBJECT else ()))
        match given.object_name("ObjectName"):
            case pywbem.CIMClassName() as name:
                ends = self._class_ends(context, given, str(name.classname), "ResultClass")
                return self._class_objects(context, given, dict.fromkeys(e.association for e in ends), form)
            case path:
                filters = _filters(context, given, "ResultClass", None)
                return self._whole(context, self._referring(context, path, filters, None), form, _wanted(given))

    def _open_references(self, context: Context, form: Form) -> Answer:
        given = context.parameters("InstanceName", "ResultClass", "Role", *_FLAGS[1:], *_OPENING)
        filters = _filters(context, given, "ResultClass", None)
        query = self._filter(context, given, filters.association)
        sources = self._referring(context, given.instance_name("InstanceName"), filters, query)
        return self._open(context, given, sources, form, _wanted(given))

    def _around(
        self, context: Context, path: pywbem.CIMInstanceName, filters: _Filters, query: Query | None
    ) -> list[Source]:
        """What the instance with this path is associated with, each once."""
        found, kept = self._source(context, path)
        if found is not None:
            wants = partial(self._wants, context.space.repository, filters)
            rows = results.around(
                context.world, found.anchor, wants, lambda cls: self._keep(cls, found.hypervisor, query)
            )
            bridges = [b for b in self._bridges if b.cls.lower() == found.cls.name.lower() and self._leads(filters, b)]
            return [*rows, *self._held(filter(None, map(self._at_end, bridges)), query)]
        if kept is None:
            return []
        there = context.space.held()
        ends = [held.find(there, tie.other) for tie in self._ties(context, kept) if self._fits(filters, tie)]
        bridges = [b for b in self._bridges if held.same_path(b.path, kept.path) and self._comes(filters, b)]
        classes = dict.fromkeys(b.cls for b in bridges)
        return [
            *self._held(filter(None, ends), query),
            *(s for name in classes for s in self._rows(context.world, name, query)),
        ]

    def _rows(self, world: World, name: str, query: Query | None) -> list[Source]:
        cls = self._schema.instances[name.lower()]
        return [all_rows(cls, hypervisor, self._keep(cls, hypervisor, query)) for hypervisor in world.hypervisors]

    def _held(self, instances: Iterable[pywbem.CIMInstance], query: Query | None) -> list[Source]:
        """These instances that are held, each once."""
        found: list[pywbem.CIMInstance] = []
        for instance in instances:
            if instance not in found and self._lets(query, instance):
                found.append(instance)
        return [Held(instances=found)] if found else []

    def _at_end(self, bridge: Bridge) -> pywbem.CIMInstance | None:
        """What is held at the end of a bridge. It stays there, so it is looked for once."""
        if bridge.path not in self._ends:
            self._ends[bridge.path] = held.find(self._all_held(), bridge.path)
        return self._ends[bridge.path]

    def _referring(
        self, context: Context, path: pywbem.CIMInstanceName, filters: _Filters, query: Query | None
    ) -> list[Source]:
        """The instances of associations that the instance with this path takes part in."""
        found, kept = self._source(context, path)
        if found is not None:
            wants = partial(self._wants, context.space.repository, filters)
            name = found.hypervisor
            pairs = results.references(
                context.world, found, wants, lambda cls, link: self._keep_pairs(cls, link, name, query)
            )
            bridges = [b for b in self._bridges if b.cls.lower() == found.cls.name.lower() and self._leads(filters, b)]
            return [*pairs, *(self._span(b, found, query) for b in bridges)]
        if kept is None:
            return []
        ties = [tie.association for tie in self._ties(context, kept) if self._fits(filters, tie)]
        own = [each for i, each in enumerate(ties) if each not in ties[:i] and self._lets(query, each)]
        bridges = [b for b in self._bridges if held.same_path(b.path, kept.path) and self._comes(filters, b)]
        return [
            *([Held(instances=own)] if own else []),
            *(s for b in bridges for s in self._spans(context.world, b, query)),
        ]

    def _spans(self, world: World, bridge: Bridge, query: Query | None) -> list[Source]:
        cls = self._schema.instances[bridge.cls.lower()]
        return [
            all_rows(cls, hypervisor, self._keep_spans(bridge, cls, hypervisor, query), bridge)
            for hypervisor in world.hypervisors
        ]

    def _span(self, bridge: Bridge, found: Found, query: Query | None) -> Source:
        lets = self._keep_spans(bridge, found.cls, found.hypervisor, query)
        return Rows(cls=found.cls, hypervisor=found.hypervisor, places=here(found.anchor), keep=lets, bridge=bridge)

    def _source(self, context: Context, path: pywbem.CIMInstanceName) -> tuple[Found | None, pywbem.CIMInstance | None]:
        """The instance whose neighbours are asked for: a row, or one that is held. An association of rows is neither, and has
        no neighbours."""
        name = context.space.class_name(path.classname, Status.INVALID_PARAMETER)
        kept = held.find(context.space.held(), path)
        if kept is not None:
            return None, kept
        if name.lower() in self._associations:
            self._one(context, path, Wanted())  # it is there
            return None, None
        if not context.space.has_rows:
            raise CimError(Status.NOT_FOUND, f"there is no such instance of {name}")
        return context.world.locate(path), None

    def _ties(self, context: Context, kept: pywbem.CIMInstance) -> Iterator[Tie]:
        return held.ties(context.space.held(), kept.path, lambda name: name.lower() in self._associations)

    def _wants(self, repository: Repository, filters: _Filters, group: Neighbours) -> bool:
        """Whether neighbours are meant, and are of classes that the namespace shows."""
        shown = group.association.name in repository and group.cls.name in repository
        return shown and self._meant(filters, group.association.name, group.cls.name, group.role, group.result_role)

    def _fits(self, filters: _Filters, tie: Tie) -> bool:
        return self._meant(filters, tie.association.classname, tie.other.classname, tie.role, tie.result_role)

    def _leads(self, filters: _Filters, bridge: Bridge) -> bool:
        """Whether a bridge from a row is meant."""
        return self._meant(filters, bridge.association, bridge.path.classname, bridge.row_role, bridge.held_role)

    def _comes(self, filters: _Filters, bridge: Bridge) -> bool:
        """Whether a bridge to rows is meant."""
        return self._meant(filters, bridge.association, bridge.cls, bridge.held_role, bridge.row_role)

    def _meant(self, filters: _Filters, association: str, result: str, role: str, result_role: str) -> bool:
        return (
            (filters.association is None or self._schema.is_a(association, filters.association))
            and (filters.result is None or self._schema.is_a(result, filters.result))
            and filters.role in ("", role.lower())
            and filters.result_role in ("", result_role.lower())
        )

    # --- associations of classes

    def _class_ends(self, context: Context, given: Parameters, name: str, association_filter: str) -> list[ClassEnd]:
        """The association classes that a class can take part in, with the class at the other end."""
        context.space.class_name(name, Status.INVALID_PARAMETER)
        wanted = _class(context, given, association_filter)
        role = (given.text("Role") or "").lower()
        result_role = (given.text("ResultRole") or "").lower() if association_filter == "AssocClass" else ""
        return [
            end
            for end in context.space.repository.ends_of(name)
            if (wanted is None or self._schema.is_a(end.association, wanted))
            and role in ("", end.role.lower())
            and result_role in ("", end.other_role.lower())
        ]

    def _class_objects(self, context: Context, given: Parameters, names: Iterable[str], form: Form) -> Answer:
        """Classes as an answer of the association operations."""
        where = namespace_path(self._host, context.space.name)
        repository = context.space.repository
        paths = {name: f'<CLASSPATH>{where}<CLASSNAME NAME="{name}"/></CLASSPATH>' for name in names}
        if form is Form.PATH:
            return short(context, (f"<OBJECTPATH>{path}</OBJECTPATH>" for path in paths.values()))
        detail = Detail(
            local_only=False,
            qualifiers=given.flag("IncludeQualifiers", False),
            class_origin=given.flag("IncludeClassOrigin", False),
            properties=given.names("PropertyList"),
        )
        return short(
            context,
            (
                f"<VALUE.OBJECTWITHPATH>{path}{repository.class_xml(name, detail)}</VALUE.OBJECTWITHPATH>"
                for name, path in paths.items()
            ),
        )

    # --- queries

    def _exec_query(self, context: Context) -> Answer:
        given = context.parameters("QueryLanguage", "Query")
        query = self._selection(context, given.needed_text("QueryLanguage"), given.needed_text("Query"))
        return self._whole(context, self._of_class(context, query.source, query), Form.OBJECT, _selected(query))

    def _open_query(self, context: Context) -> Answer:
        given = context.parameters("FilterQueryLanguage", "FilterQuery", "ReturnQueryResultClass", *_OPENING[2:])
        if given.flag("ReturnQueryResultClass", False):
            raise CimError(Status.QUERY_FEATURE_NOT_SUPPORTED, "the class of the results is not told; see FROM")
        language, text = given.needed_text("FilterQueryLanguage"), given.needed_text("FilterQuery")
        query = self._selection(context, language, text)
        return self._open(context, given, self._of_class(context, query.source, query), Form.INSTANCE, _selected(query))

    def _selection(self, context: Context, language: str, text: str) -> Query:
        """A query of instances of a class, which is there and has the properties that the query reads."""
        query = _parsed(language, text)
        if not query.source:
            raise CimError(Status.QUERY_LANGUAGE_NOT_SUPPORTED, f"{language} is for filters, and names no class")
        known = context.space.repository
        if query.source not in known:
            raise CimError(Status.INVALID_CLASS, f"there is no class {query.source[:80]!r} in {context.space.name}")
        self._check_names(context, query, query.source, *(query.properties or ()))
        return query

    def _filter(self, context: Context, given: Parameters, cls: str | None) -> Query | None:
        """The filter of an operation that opens an enumeration of instances of a class, if the class is known."""
        language, text = given.text("FilterQueryLanguage"), given.text("FilterQuery")
        if not language and not text:
            return None
        if not language or not text:
            raise CimError(Status.INVALID_PARAMETER, "FilterQueryLanguage and FilterQuery go together")
        query = _parsed(language, text)
        if query.source:
            raise CimError(Status.QUERY_LANGUAGE_NOT_SUPPORTED, f"{language[:40]} does not filter; DMTF:FQL does")
        if cls is not None:
            self._check_names(context, query, cls)
        return query

    def _check_names(self, context: Context, query: Query, cls: str, *selected: str) -> None:
        """INVALID_QUERY if a property that a query reads is none of the class or of a subclass."""
        repository = context.space.repository
        known: set[str] = set()
        for each in self._schema.descendants(cls):
            if each in repository:
                known |= repository.property_names(each)
        for name in (*query.names, *(s.lower() for s in selected)):
            if name not in known:
                raise CimError(Status.INVALID_QUERY, f"{cls} has no property {name[:80]!r}")

    def _keep(self, cls: InstanceClass, hypervisor: str, query: Query | None) -> Keep | None:
        return None if query is None else keep(self._schema, cls, hypervisor, query)

    def _keep_pairs(
        self, association: AssociationClass, link: Link, hypervisor: str, query: Query | None
    ) -> KeepPairs | None:
        return None if query is None else keep_pairs(self._schema, association, link, hypervisor, query)

    def _keep_spans(self, bridge: Bridge, cls: InstanceClass, hypervisor: str, query: Query | None) -> Keep | None:
        return None if query is None else keep_spans(self._schema, bridge, cls, hypervisor, query)

    def _lets(self, query: Query | None, instance: pywbem.CIMInstance) -> bool:
        return query is None or query.matches(InstanceSubject(self._schema, instance))

    # --- telling

    def _teller(self, form: Form, wanted: Wanted) -> Teller:
        return Teller(renderings=self._renderings, form=form, wanted=wanted, host=self._host)

    def _whole(self, context: Context, sources: list[Source], form: Form, wanted: Wanted) -> Answer:
        """The answer that tells everything."""
        return long(context, Walk(tell=self._teller(form, wanted), sources=sources).run(context.world))

    def _open(self, context: Context, given: Parameters, sources: list[Source], form: Form, wanted: Wanted) -> Answer:
        """The answer that opens an enumeration and tells its first instances, as many as the client wants at once."""
        given.flag("ContinueOnError", False)
        timeout = self._contexts.timeout(given.number("OperationTimeout"))
        most = given.number("MaxObjectCount") or 0
        walk = Walk(tell=self._teller(form, wanted), sources=sources)
        walk.skip_empty(context.world)
        name = self._contexts.open(_PULLS[form], context.space.name, context.principal, walk, timeout)
        return self._pulled(context, name, most)

    def _pull(self, context: Context, pull: Pull) -> Answer:
        given = context.parameters("EnumerationContext", "MaxObjectCount")
        name, most = given.needed_text("EnumerationContext"), given.number("MaxObjectCount")
        if most is None:
            raise CimError(Status.INVALID_PARAMETER, "MaxObjectCount is missing")
        self._contexts.find(name, pull, context.space.name, context.principal)
        return self._pulled(context, name, most)

    def _pulled(self, context: Context, name: str, most: int) -> Answer:
        instances = self._contexts.pulled(name, context.world, most)

        def body() -> Iterator[bytes]:
            yield from instances
            yield messages.pulled(name, not self._contexts.is_open(name))

        return Answer(frame=messages.pull_frame(context.request), body=body(), long=True)

    def _close(self, context: Context) -> Answer:
        name = context.parameters("EnumerationContext").needed_text("EnumerationContext")
        self._contexts.find(name, None, context.space.name, context.principal)
        self._contexts.close(name)
        return done(context)

    def _count(self, context: Context) -> Answer:
        name = context.parameters("EnumerationContext").needed_text("EnumerationContext")
        self._contexts.find(name, None, context.space.name, context.principal)
        return short(context, [f"<VALUE>{self._contexts.left(name, context.world)}</VALUE>"])


_PULLS = {
    Form.WITH_PATH: Pull.INSTANCES_WITH_PATH,
    Form.INSTANCE_PATH: Pull.INSTANCE_PATHS,
    Form.INSTANCE: Pull.INSTANCES,
}


def _wanted(given: Parameters) -> Wanted:
    """What of each instance the client wants. Flags without an effect have to be flags all the same."""
    for name in ("LocalOnly", "IncludeQualifiers"):
        given.flag(name, False)
    return Wanted(properties=given.names("PropertyList"), class_origin=given.flag("IncludeClassOrigin", False))


def _shallow(context: Context, given: Parameters, name: str) -> Wanted:
    """The same; without DeepInheritance, only those properties that the class itself has."""
    wanted = _wanted(given)
    if given.flag("DeepInheritance", True):
        return wanted
    known = context.space.repository.property_names(name)
    properties = known if wanted.properties is None else wanted.properties & known
    return Wanted(properties=properties, class_origin=wanted.class_origin)


def _selected(query: Query) -> Wanted:
    return Wanted(properties=None if query.properties is None else frozenset(p.lower() for p in query.properties))


def _parsed(language: str, text: str) -> Query:
    try:
        return parse(language, text)
    except QueryError as error:
        raise CimError(error.status, error.description) from None


def _class(context: Context, given: Parameters, name: str) -> str | None:
    """The declared name of a class that filters; None if there is no filter."""
    wanted = given.class_name(name)
    return None if not wanted else context.space.class_name(wanted, Status.INVALID_PARAMETER)


def _filters(context: Context, given: Parameters, association: str, result: str | None) -> _Filters:
    """The filters of an association operation, by the names of its parameters."""
    return _Filters(
        association=_class(context, given, association),
        result=_class(context, given, result) if result else None,
        role=(given.text("Role") or "").lower(),
        result_role=(given.text("ResultRole") or "").lower() if result else "",
    )
