"""libvirt's public functions as facts: name, library, group, kind, version, what supersedes it.

The table beside this file holds one function a line, tab-separated. 388 functions of the core library of 9.0.0 are
mappable; the rest is plumbing (reference counting, lookups, error objects, typed-parameter helpers). A test holds the
table against the API description of the installed libvirt.
"""

import functools
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, kw_only=True)
class Function:
    """One public function. `kind` is read, control, lifecycle, event, bulk-data or plumbing; `newer` than libvirt 9.0.0."""

    name: str
    library: str
    group: str
    kind: str
    since: str
    newer: bool
    superseded_by: str | None
    python: str | None

    @property
    def mappable(self) -> bool:
        return self.kind != "plumbing"

    @property
    def counted(self) -> bool:
        """Whether it is one of the 388 of the core library, as 9.0.0 has them."""
        return self.mappable and self.library == "libvirt" and not self.newer


@functools.cache
def functions() -> dict[str, Function]:
    """Every known function by name."""
    text = resources.files("agent.schema").joinpath("libvirt_api.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {
        name: Function(
            name=name, library=library, group=group, kind=kind, since=since, newer=newer == "newer",
            superseded_by=superseded or None, python=python or None,
        )
        for name, library, group, kind, since, newer, superseded, python in rows
    }  # fmt: skip
