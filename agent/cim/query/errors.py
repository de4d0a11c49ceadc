"""Why a query is refused: the status code for the client, and a sentence that tells the place."""

from __future__ import annotations

from agent.cim.status import Status

__all__ = ["QueryError", "echo", "invalid", "unsupported"]


class QueryError(Exception):
    """A query that cannot be asked. ``status`` is QUERY_LANGUAGE_NOT_SUPPORTED, INVALID_QUERY (it does not parse, or
    compares what cannot be) or QUERY_FEATURE_NOT_SUPPORTED (it is right, but asks for more than there is)."""

    def __init__(self, status: Status, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.description = description


def invalid(column: int, why: str) -> QueryError:
    """INVALID_QUERY; ``column`` counts characters from 1."""
    return QueryError(Status.INVALID_QUERY, f"at column {column}: {why}")


def unsupported(column: int, feature: str) -> QueryError:
    """QUERY_FEATURE_NOT_SUPPORTED; ``feature`` is a noun."""
    return QueryError(Status.QUERY_FEATURE_NOT_SUPPORTED, f"at column {column}: {feature} is not supported")


def echo(text: str) -> str:
    """What a client wrote, quoted and not too long, for a message."""
    return repr(text if len(text) <= 40 else f"{text[:39]}\N{HORIZONTAL ELLIPSIS}")
