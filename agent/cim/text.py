"""The MOF text of the mapping: classes as data, written by pywbem into the templates of `mof/`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from typing import Any

import jinja2
import pywbem

from agent.cim.classes import Schema, build
from agent.cim.namespaces import INTEROP_ONLY, VIRT_ONLY, VIRTMAP
from agent.model import MODEL
from agent.schema import dmtf
from agent.schema.declare import Model

__all__ = ["NAMESPACE", "generate", "qualifier_declaration"]

#: Where our classes live.
NAMESPACE = VIRTMAP

_GENERATED = "// Generated from the mapping by `virtmap generate`. Changes made here will be lost."

#: The files that virtmap.mof includes, in the order in which they compile.
_PARTS = ("qualifiers.mof", "cim.mof", "interop.mof", "classes.mof", "indications.mof", "virt.mof")


def qualifier_declaration(declared: dmtf.CimQualifier) -> Any:
    """The declaration as pywbem's object."""
    return pywbem.CIMQualifierDeclaration(
        declared.name,
        declared.type,
        value=declared.default if declared.default is None or not declared.array else [declared.default],
        is_array=declared.array,
        scopes={scope.upper(): True for scope in declared.scopes},
        overridable=declared.overridable,
        tosubclass=declared.to_subclass,
        translatable=declared.translatable,
    )


def generate(model: Model = MODEL) -> dict[str, str]:
    """Every MOF file, by its path under `mof/`."""
    schema = build(model)
    definitions = schema.classes.values()
    theirs = [d.local for d in definitions if not d.ours and d.name not in INTEROP_ONLY | VIRT_ONLY]
    of_interop = [d.local for d in definitions if d.name in INTEROP_ONLY]
    of_virt = [d.local for d in definitions if d.name in VIRT_ONLY]
    ours = [d.local for d in definitions if d.ours and d.name not in INTEROP_ONLY]
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template), undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )  # nothing here is HTML, so nothing is escaped
    inputs: dict[str, dict[str, object]] = {
        "qualifiers.mof": {"qualifiers": [_tidy(qualifier_declaration(q)) for q in dmtf.qualifiers.values()]},
        "cim.mof": {"classes": _written(theirs)},
        "interop.mof": {"classes": _written(of_interop)},
        "classes.mof": {"classes": _written(c for c in ours if not _is_indication(schema, c))},
        "indications.mof": {"classes": _written(c for c in ours if _is_indication(schema, c))},
        "virt.mof": {"classes": _written(of_virt)},
        "virtmap.mof": {"namespace": NAMESPACE, "files": _PARTS},
    }
    return {
        name: environment.get_template(f"{name}.j2").render(generated=_GENERATED, **given)
        for name, given in inputs.items()
    }


_ESCAPED_APOSTROPHE = re.compile(r"(?<!\\)((?:\\\\)*)\\'")


def _template(name: str) -> str:
    return resources.files("mof").joinpath(name).read_text("utf-8")


def _is_indication(schema: Schema, cls: Any) -> bool:
    return schema.is_a(cls.classname, "CIM_Indication")


def _written(classes: Iterable[Any]) -> list[str]:
    return [_tidy(cls) for cls in classes]


def _tidy(thing: Any) -> str:
    """Its MOF without spaces at line ends or empty lines at either end.

    An apostrophe needs no escape in a string (DSP0004, 5.2.2), and pywbem's compiler loses the one that pywbem writes.
    """
    text = _ESCAPED_APOSTROPHE.sub(r"\1'", str(thing.tomof()))
    return "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))
