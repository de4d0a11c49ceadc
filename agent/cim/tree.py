"""Reads XML from strangers into a small tree: document types are refused; size, depth and counts are bounded.

libxml2 does the parsing, through lxml's target interface: every element passes ``_Builder`` as it is read, so that a
document over a limit costs only the bytes up to there. A document type declaration is refused when its name is read,
before any entity of it could be declared.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

__all__ = ["Element", "Limits", "TreeError", "parse"]


class TreeError(Exception):
    """The document is not well-formed, or breaks a limit; the message tells which."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a document may cost."""

    #: Bytes of the document as it came.
    size: int = 4 * 1024 * 1024
    #: Elements within one another.
    depth: int = 64
    #: Elements in all.
    elements: int = 50_000
    #: Attributes of one element.
    attributes: int = 32


@dataclass(slots=True)
class Element:
    """One element: ``text`` is the character data before, between and after its children, joined."""

    tag: str
    attributes: Mapping[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def of(self, *tags: str) -> list[Element]:
        """The children with one of these tags, in order."""
        return [child for child in self.children if child.tag in tags]


class _Builder:
    """lxml's parser target: builds the tree and enforces the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.reset()

    def reset(self) -> None:
        """Ready for another document; nothing of the one before is kept."""
        self._left = self._limits.elements
        self._open: list[Element] = []
        self._pieces: list[list[str]] = []
        self._root: Element | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._left -= 1
        if self._left < 0:
            raise TreeError(f"more than {self._limits.elements} elements")
        if len(self._open) >= self._limits.depth:
            raise TreeError(f"more than {self._limits.depth} elements within one another")
        if len(attributes) > self._limits.attributes:
            raise TreeError(f"more than {self._limits.attributes} attributes on one element")
        element = Element(tag, dict(attributes))
        if self._open:
            self._open[-1].children.append(element)
        elif self._root is None:
            self._root = element
        self._open.append(element)
        self._pieces.append([])

    def end(self, tag: str) -> None:
        self._open.pop().text = "".join(self._pieces.pop())

    def data(self, text: str) -> None:
        if self._pieces:
            self._pieces[-1].append(text)

    def doctype(self, name: str | None, public: str | None, system: str | None) -> None:
        raise TreeError("a document type declaration is not accepted")

    def comment(self, text: str) -> None:
        """Comments carry nothing."""

    def pi(self, target: str, data: str) -> None:
        """Processing instructions carry nothing."""

    def close(self) -> Element | None:
        # lxml calls this after an error too, and whatever is raised here would hide that error.
        return None if self._open else self._root


_DECLARED = re.compile(r"\s*<\?xml[^>]*?\sencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_UTF16_STARTS = (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<")


def _decoded(document: bytes) -> str:
    """UTF-8 or UTF-16 bytes as text, without a byte order mark."""
    start = document[:2]
    if start in _UTF16_STARTS:
        codec = {b"<\x00": "utf-16-le", b"\x00<": "utf-16-be"}.get(start, "utf-16")
        allowed: tuple[str, ...] = ("utf-16", "utf-16le", "utf-16be")
    else:
        codec, allowed = "utf-8-sig", ("utf-8", "utf8", "us-ascii", "ascii")
    try:
        text = document.decode(codec)
    except UnicodeDecodeError as error:
        raise TreeError(f"the document is not valid {codec.removesuffix('-sig')}: {error.reason}") from None
    declared = _DECLARED.match(text[:200])
    if declared and declared.group(1).lower() not in allowed:
        raise TreeError(f"encoding {declared.group(1)} is not accepted, or not the one used")
    return text


class _Parsers(threading.local):
    """One parser for each thread and set of limits, used again: lxml's parsers with a target are cycles of references,
    and one for each request would be left to the garbage collector, with its tree.
    """

    def __init__(self) -> None:
        self._made: dict[Limits, tuple[Any, _Builder]] = {}

    def of(self, limits: Limits) -> tuple[Any, _Builder]:
        made = self._made.get(limits)
        if made is None:
            builder = _Builder(limits)
            target: Any = builder  # lxml-stubs wants the optional methods of a target too
            parser = etree.XMLParser(
                target=target, encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False,
                dtd_validation=False, huge_tree=False,
            )  # fmt: skip
            made = self._made[limits] = (parser, builder)
        return made


_parsers = _Parsers()


def parse(document: bytes, limits: Limits | None = None) -> Element:
    """The root of a document in UTF-8 or UTF-16; TreeError for everything else."""
    limits = limits or Limits()
    if len(document) > limits.size:
        raise TreeError(f"more than {limits.size} bytes")
    text = _decoded(document)
    parser, builder = _parsers.of(limits)
    try:
        root = etree.fromstring(text.encode("utf-8"), parser)
    except TreeError:
        raise
    except etree.XMLSyntaxError as error:
        why = " ".join((error.msg or "the document is not well-formed").split())
        raise TreeError(why if len(why) <= 200 else f"{why[:197]}...") from None  # it quotes names, however long
    except UnicodeEncodeError as error:
        raise TreeError(f"the document is no text: {error.reason}") from None
    finally:
        builder.reset()
    if not isinstance(root, Element):
        raise TreeError("the document is empty or cut off")
    return root
