"""Requests that are shaped like one before are compared, not parsed.

A manager asks the same few things for ever, and only the values differ: keys, names, the ID of the message. So a request is
taken apart into its texts and the rest, its shape. What a shape means is found out once, by reading it with marks in place
of its texts; from then on the texts are put where the marks came out. A shape whose meaning hangs on a text (a number, a
flag in a key, an instance within a text) has no marks that could be read, and is always read in full. Whatever is taken this
way is what reading in full gives; that is checked when a shape becomes familiar, and by tests of every operation.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pywbem

from agent.cim import messages
from agent.cim.messages import MessageError, Request, Value
from agent.cim.tree import Limits

__all__ = ["Familiar"]

#: Bytes of a request that may become familiar, and how many shapes are remembered.
LONGEST = 4096
SHAPES = 256

#: Texts of elements that have no elements, as long as they are plain, with what stands around them; and where the ID of the
#: message is.
_TEXTS = re.compile(rb">([ -%'-;=?-~]+)</")
_AROUND = (b">", b"</")
_ID = b'<MESSAGE ID="'
_PLAIN = re.compile(rb"[ !#-%'-;=?-~]+")

_MARK = "virtmap-mark-{0}-"

#: From the texts of a request to the request.
Recipe = Callable[[Sequence[str]], Request]

#: From the texts of a request to a value in it.
_Fill = Callable[[Sequence[str]], Any]


class _Unfit(Exception):
    """The meaning of a shape hangs on one of its texts."""


@dataclass(frozen=True)
class _Marks:
    """What stands for which text, and which of the texts came out."""

    places: dict[str, int]
    used: set[int]


class Familiar:
    """Reads requests. Asked in the event loop's thread."""

    def __init__(self) -> None:
        self._recipes: OrderedDict[bytes, Recipe | None] = OrderedDict()
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._recipes) + len(self._seen)

    def read(self, body: bytes, limits: Limits | None = None) -> Request:
        """The request in these bytes; MessageError when there is none that could be answered."""
        if len(body) > LONGEST or b"\0" in body:
            return messages.read(body, limits)
        shape, texts = _apart(body)
        recipe = self._recipes.get(shape)
        if recipe is not None:
            self._recipes.move_to_end(shape)
            return recipe(texts)
        request = messages.read(body, limits)
        if shape not in self._recipes:
            self._meet(shape, texts, request)
        return request

    def _meet(self, shape: bytes, texts: Sequence[str], request: Request) -> None:
        """A shape that comes for the second time becomes familiar, so that what comes once costs nothing more."""
        if shape not in self._seen:
            self._seen[shape] = None
            while len(self._seen) > SHAPES:
                self._seen.popitem(last=False)
            return
        del self._seen[shape]
        self._recipes[shape] = _recipe(shape, texts, request)
        while len(self._recipes) > SHAPES:
            self._recipes.popitem(last=False)


def _apart(body: bytes) -> tuple[bytes, list[str]]:
    """The shape of a request, in which NUL stands for texts, and the texts, of which the first is the message's ID."""
    before, _, rest = body.partition(_ID)
    message_id, quote, after = rest.partition(b'"')
    if not quote or _PLAIN.fullmatch(message_id) is None:
        return body, []
    pieces = _TEXTS.split(after)
    shape = b"\0".join((before, *pieces[::2]))
    return shape, [message_id.decode("ascii"), *[text.decode("ascii") for text in pieces[1::2]]]


def _recipe(shape: bytes, texts: Sequence[str], request: Request) -> Recipe | None:
    """How requests of this shape are made of their texts; None if they have to be read in full."""
    marks = {_MARK.format(i): i for i in range(len(texts))}
    pieces = shape.split(b"\0")
    if not texts:
        return None
    first, *others = (mark.encode() for mark in marks)
    marked = pieces[0] + _ID + first + b'"' + pieces[1]
    marked += b"".join(mark.join(_AROUND) + piece for mark, piece in zip(others, pieces[2:], strict=True))
    used: set[int] = set()
    try:
        recipe = _filled(messages.read(marked), _Marks(marks, used))
    except (MessageError, _Unfit):
        return None
    # A text that came out nowhere stands where it may mean something all the same, in a comment for one.
    return recipe if len(used) == len(texts) and recipe(texts) == request else None


def _filled(marked: Request, marks: _Marks) -> Recipe:
    message_id = _fill(marked.message_id, marks)
    kind, name, namespace = marked.kind, marked.name, marked.namespace
    target = _fill(marked.target, marks)
    parameters = [(key, _fill(value, marks)) for key, value in marked.parameters.items()]

    def recipe(texts: Sequence[str]) -> Request:
        return Request(
            message_id=message_id(texts),
            kind=kind,
            name=name,
            namespace=namespace,
            parameters={key: fill(texts) for key, fill in parameters},
            target=target(texts),
        )

    return recipe


def _fill(value: Value, marks: _Marks) -> _Fill:
    """The function that gives a value of the request, in which marks stand for texts."""
    match value:
        case str() if value in marks.places:
            at = marks.places[value]
            marks.used.add(at)
            return lambda texts: texts[at]
        case list():
            items = [_fill(each, marks) for each in value]
            return lambda texts: [item(texts) for item in items]
        case pywbem.CIMInstanceName():
            return _fill_path(value, marks)
        case pywbem.CIMInstance():
            raise _Unfit  # its values have types, which take reading
    if any(mark in str(value) for mark in marks.places):
        raise _Unfit
    return lambda _: value


def _fill_path(path: pywbem.CIMInstanceName, marks: _Marks) -> _Fill:
    if path.host is not None:
        raise _Unfit
    keys = [(name, _fill(each, marks)) for name, each in path.keybindings.items()]
    made, classname, namespace = pywbem.CIMInstanceName, path.classname, path.namespace
    return lambda texts: made(classname, [(name, fill(texts)) for name, fill in keys], namespace=namespace)
