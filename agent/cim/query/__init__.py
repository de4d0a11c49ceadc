"""The query languages of the WBEM server: a text becomes a Query, which is asked of instances.

``wql``, ``cql`` and ``fql`` tell what each language has; what they have in common is in ``tokens``, ``conditions`` and
``values``, and how a condition is asked in ``expression``. Nothing here knows classes or properties: a server checks
``Query.source``, ``names`` and ``properties`` against its own.
"""

from __future__ import annotations

from agent.cim.query import cql, fql, wql
from agent.cim.query.errors import QueryError, echo
from agent.cim.query.statement import Query
from agent.cim.query.subject import Subject, Value
from agent.cim.status import Status

__all__ = ["LANGUAGES", "Query", "QueryError", "Subject", "Value", "parse"]

_PARSERS = {"wql": wql.parse, "dmtf:cql": cql.parse, "cim:cql": cql.parse, "dmtf:fql": fql.parse}

LANGUAGES = ("WQL", "DMTF:CQL", "CIM:CQL", "DMTF:FQL")
"""Their names, which clients may write in any case. CIM:CQL is what CQL was called before DSP0202 was final."""

#: Characters of a query.
_LONGEST = 65_536


def parse(language: str, text: str) -> Query:
    """The query that a text is. QueryError tells what is wrong with it, and where."""
    parser = _PARSERS.get(language.strip().lower())
    if parser is None:
        raise QueryError(
            Status.QUERY_LANGUAGE_NOT_SUPPORTED,
            f"there is no query language {echo(language)} here, but {', '.join(LANGUAGES)}",
        )
    if len(text) > _LONGEST:
        raise QueryError(Status.INVALID_QUERY, f"the query has {len(text)} characters, more than {_LONGEST}")
    return parser(text)
