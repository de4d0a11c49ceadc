"""Whether two references are the same instance, when either may be text (an untyped WBEM URI, DSP0207).

Names are compared in any case, keys as text in any order, and namespaces if both have one. The host is not looked at:
that of a path is how the client reached the server. A key that is a reference itself is compared likewise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import pywbem

__all__ = ["Reference", "parsed", "reference", "same"]

_LONGEST = 4096
_DEPTH = 4
_HEAD = re.compile(r"(?://[^/]*+/|/)?(?:(?P<namespace>[^:.\"]*+):)?(?P<classname>[^\W\d]\w*+)\.")
_KEY = re.compile(
    r"(?P<name>[^\W\d]\w*+)=(?:\"(?P<text>[^\"\\]*+(?:\\.[^\"\\]*+)*+)\"|(?P<bare>[^,\"]++))(?:,|$)", re.S
)
_ESCAPED = re.compile(r"\\(.)", re.S)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A path, apart from its host; names are in lower case, and values are text or paths."""

    namespace: str
    classname: str
    keys: Mapping[str, str | Reference]


def reference(path: pywbem.CIMInstanceName) -> Reference:
    keys = {str(name).lower(): _value(value) for name, value in path.keybindings.items()}
    return Reference(namespace=(path.namespace or "").lower(), classname=path.classname.lower(), keys=keys)


def _value(value: object) -> str | Reference:
    match value:
        case pywbem.CIMInstanceName():
            return reference(value)
        case bool():
            return "TRUE" if value else "FALSE"
    return str(value)


@lru_cache(maxsize=256)
def parsed(text: str) -> Reference | None:
    """The reference that a text is; None if it is none."""
    head = _HEAD.match(text) if len(text) <= _LONGEST else None
    if head is None:
        return None
    keys: dict[str, str | Reference] = {}
    at = head.end()
    while at < len(text):
        key = _KEY.match(text, at)
        if key is None:
            return None
        bare = key["bare"]
        keys[key["name"].lower()] = _ESCAPED.sub(r"\1", key["text"]) if bare is None else _bare(bare)
        at = key.end()
    return Reference(
        namespace=(head["namespace"] or "").strip("/").lower(), classname=head["classname"].lower(), keys=keys
    )


def _bare(text: str) -> str:
    return text.upper() if text.lower() in ("true", "false") else text.strip("'")


def same(one: Reference, other: Reference, depth: int = _DEPTH) -> bool:
    return (
        one.classname == other.classname
        and (one.namespace == other.namespace or not one.namespace or not other.namespace)
        and one.keys.keys() == other.keys.keys()
        and all(_same_value(value, other.keys[name], depth) for name, value in one.keys.items())
    )


def _same_value(one: str | Reference, other: str | Reference, depth: int) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    one = parsed(one) or "" if isinstance(one, str) else one
    other = parsed(other) or "" if isinstance(other, str) else other
    return isinstance(one, Reference) and isinstance(other, Reference) and depth > 0 and same(one, other, depth - 1)
