"""Writes everything that is derived from the mapping as text: MIB modules, MOF, and the manual beside each.

What is written is committed beside its templates, and nobody edits it. `check` tells every difference between what is
there and what the mapping says now; a build fails on one.
"""

from collections.abc import Mapping
from pathlib import Path

import agent
from agent import manual
from agent.cim import text as mof_text
from agent.errors import ConfigError
from agent.model import MODEL
from agent.schema.declare import Model
from agent.snmp import text as mib_text

GENERATED = "Generated from the mapping by `virtmap generate`. Changes made here will be lost."


def generate(model: Model = MODEL) -> dict[str, str]:
    """Every generated text, by its path from the top of the checkout."""
    texts = {f"mibs/{name}": text for name, text in mib_text.generate(model).items()}
    texts |= {f"mof/{name}": text for name, text in mof_text.generate(model).items()}
    return texts | manual.pages(model, GENERATED)


def checkout() -> Path:
    """The directory that holds this package: the top of a checkout, or where packages are installed."""
    return Path(agent.__file__).resolve().parent.parent


def write(texts: Mapping[str, str] | None = None, top: Path | None = None) -> list[str]:
    """Write what differs, and remove generated files that are none any more. The paths touched, in order.

    ConfigError outside a checkout: an installation keeps the texts it came with.
    """
    texts, top = texts or generate(), top or checkout()
    if not (top / "pyproject.toml").is_file():
        raise ConfigError(f"{top}: is no checkout of virtmap, so there is nothing to write; try --check")
    touched = [name for name, text in texts.items() if _present(top / name) != text]
    for name in touched:
        (top / name).write_text(texts[name], "utf-8")
    left = _left_over(texts, top)
    for name in left:
        (top / name).unlink()
    return sorted([*touched, *left])


def check(texts: Mapping[str, str] | None = None, top: Path | None = None) -> list[str]:
    """One line for each difference between the files and the mapping; none when all is as it should be."""
    texts, top = texts or generate(), top or checkout()
    differences = [line for name, text in texts.items() if (line := _difference(name, _present(top / name), text))]
    return sorted([*differences, *(f"{name}: is no longer generated, remove it" for name in _left_over(texts, top))])


def _present(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _difference(name: str, present: str | None, wanted: str) -> str | None:
    if present is None:
        return f"{name}: is missing"
    if present == wanted:
        return None
    here, there = present.split("\n"), wanted.split("\n")
    line = next(
        (i for i, (a, b) in enumerate(zip(here, there, strict=False), 1) if a != b), min(len(here), len(there)) + 1
    )
    return f"{name}: differs from the mapping at line {line}; run `virtmap generate`"


def _left_over(texts: Mapping[str, str], top: Path) -> list[str]:
    """Files that say they are generated, and are not."""
    found = [
        p
        for folder in ("agent", "mibs", "mof")
        for p in sorted((top / folder).glob("*"))
        if p.is_file() and p.suffix not in (".j2", ".py")
    ]
    return [
        name
        for p in found
        if (name := p.relative_to(top).as_posix()) not in texts and GENERATED in p.read_text("utf-8")
    ]
