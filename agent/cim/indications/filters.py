"""Indication filters: which indications somebody wants (CIM_IndicationFilter).

A filter that names no namespace is asked of indications from all of them. The class wants such a filter to be about the
namespace that it is in, which is interop, and domains and their events are in root/virtmap: who leaves the namespace out
means whatever this server tells.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pywbem

from agent.cim import namespaces
from agent.cim.classes import Schema
from agent.cim.indications import created
from agent.cim.indications.created import Values
from agent.cim.query import Query, QueryError, parse
from agent.cim.status import CimError, Status

__all__ = ["CHANGEABLE", "CLASS", "STATIC", "Filter", "Objection", "made", "objections", "static_filters"]

CLASS = "CIM_IndicationFilter"

CHANGEABLE = frozenset(
    (
        "elementname", "caption", "description", "query", "querylanguage", "sourcenamespace", "sourcenamespaces",
        "individualsubscriptionsupported",
    )
)  # fmt: skip
"""Properties that can be changed, in lower case."""

STATIC = "virtmap:static:"
"""What the names of filters begin with that are always there."""

#: Why no indication can match a query, None if some can: its class is none of the schema, say.
Objection = Callable[[Query], str | None]

_MOST_NAMESPACES = 32


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A filter: all its values, and its query as it was understood. `static` ones are the agent's own. What is made of the
    values is made once, and nobody may change it."""

    values: Values
    query: Query
    static: bool = False

    @property
    def name(self) -> str:
        return str(self.values["Name"])

    @cached_property
    def path(self) -> pywbem.CIMInstanceName:
        return created.path(CLASS, self.values)

    @cached_property
    def key(self) -> str:
        return created.key_of(self.path)

    @cached_property
    def instance(self) -> pywbem.CIMInstance:
        return created.instance(CLASS, self.values)

    @cached_property
    def _sources(self) -> frozenset[str]:
        asked = self.values.get("SourceNamespaces") or [self.values.get("SourceNamespace", "")]
        return frozenset(_canonical(each) for each in asked if each.strip("/ "))

    def covers(self, namespace: str) -> bool:
        """Whether it is about indications from a namespace."""
        return not self._sources or _canonical(namespace) in self._sources


def _canonical(namespace: str) -> str:
    name = namespace.strip("/ ").lower()
    return namespaces.ALIASES.get(name, name)


def made(found: Values, host: str, objection: Objection, *, static: bool = False) -> Filter:
    """The filter with these values, as the client gave them; what is missing has a default. CimError if it is none."""
    text, language = found.get("Query"), found.get("QueryLanguage", "WQL")
    if not text:
        raise CimError(Status.INVALID_PARAMETER, "a filter needs a Query")
    try:
        query = parse(language, text)
    except QueryError as error:
        raise CimError(error.status, f"Query: {error.description}") from None
    if not query.source:
        raise CimError(Status.QUERY_LANGUAGE_NOT_SUPPORTED, f"{language} chooses no class of indications; use DMTF:CQL")
    if why := objection(query):
        raise CimError(Status.INVALID_QUERY, f"Query: {why}")
    names = created.keys(CLASS, found, host, f"virtmap:filter:{uuid.uuid4()}")
    if names["Name"].startswith(STATIC) is not static:
        raise CimError(Status.INVALID_PARAMETER, f"names that begin with {STATIC} are those of static filters")
    if len(found.get("SourceNamespaces", ())) > _MOST_NAMESPACES:
        raise CimError(Status.INVALID_PARAMETER, f"SourceNamespaces are more than {_MOST_NAMESPACES}")
    defaults = {"QueryLanguage": language, "IndividualSubscriptionSupported": True}
    return Filter(values={**defaults, **found, **names}, query=query, static=static)


def objections(schema: Schema) -> Objection:
    """Objects to queries about what is no indication, or has no such properties; those of subclasses are allowed, as null."""

    def objection(query: Query) -> str | None:
        source = query.source.lower()
        if source not in schema.classes:
            return f"there is no class {query.source[:80]}"
        if not schema.is_a(source, "CIM_Indication"):
            return f"{schema.classes[source].name} is no class of indications"
        lineage = (*schema.ancestors(source), *schema.descendants(source))
        known = {name.lower() for each in lineage for name in schema.classes[each].local.properties}
        asked = [*(query.properties or ()), *sorted(query.names)]
        unknown = next((name for name in asked if name.lower() not in known), None)
        return None if unknown is None else f"{schema.classes[source].name} has no property {unknown[:80]}"

    return objection


_OFFERED = (
    ("DomainLifecycle", "SELECT * FROM Virtmap_DomainLifecycle", "What happens to domains: defined, started, stopped."),
    ("Alerts", "SELECT * FROM CIM_AlertIndication", "Whatever happens, as the hypervisors and the agent tell it."),
    ("Grave", "SELECT * FROM CIM_AlertIndication WHERE PerceivedSeverity >= 5", "What should not wait."),
    ("Alarms", "SELECT * FROM Virtmap_AlarmEvent", "Alarms that are raised and cleared."),
    ("Changes", "SELECT * FROM CIM_InstIndication", "Instances that come, change and go."),
    ("All", "SELECT * FROM CIM_Indication", "Every indication of this server."),
)


def static_filters(host: str, objection: Objection) -> list[Filter]:
    """The filters that are always there, and that nobody can change or delete; those to which there is an objection are
    not."""
    found = (_static(host, *each) for each in _OFFERED)
    return [each for each in found if objection(each.query) is None]


def _static(host: str, name: str, query: str, description: str) -> Filter:
    values = {
        "Name": f"{STATIC}{name}",
        "ElementName": name,
        "Description": description,
        "Query": query,
        "QueryLanguage": "DMTF:CQL",
        "SourceNamespace": namespaces.VIRTMAP,
        "SourceNamespaces": [namespaces.VIRTMAP],
    }
    return made(values, host, lambda query: None, static=True)
