"""libvirt's public functions as facts: name, library, group, kind, version, what supersedes it, who implements it.

The table beside this file holds one function a line, tab-separated. 388 functions of the core library of 9.0.0 are
mappable; the rest is plumbing (reference counting, lookups, error objects, typed-parameter helpers). A test holds the
table against the API description of the installed libvirt.
"""

import functools
from dataclasses import dataclass
from importlib import resources

CORE = "libvirt"
QEMU = "libvirt-qemu"


@dataclass(frozen=True, kw_only=True)
class Function:
    """One public function. `kind` is read, control, lifecycle, event, bulk-data or plumbing; `newer` than libvirt 9.0.0.

    `python` is what libvirt-python calls it, as `__qualname__` tells it: virDomain.info. `drivers` are those of test and qemu
    that have it in 9.0.0; what the library answers by itself counts for each driver that has the kind of object.
    """

    name: str
    library: str
    group: str
    kind: str
    since: str
    newer: bool
    superseded_by: str | None
    python: str | None
    drivers: frozenset[str]

    @property
    def mappable(self) -> bool:
        """Whether the mapping has to have it, or what supersedes it."""
        return self.kind != "plumbing" and self.library in (CORE, QEMU)

    @property
    def counted(self) -> bool:
        """Whether it is one of the 388 of the core library, as 9.0.0 has them."""
        return self.mappable and self.library == CORE and not self.newer


@functools.cache
def functions() -> dict[str, Function]:
    """Every known function by name."""
    text = resources.files("agent.schema").joinpath("libvirt_api.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {
        name: Function(
            name=name, library=library, group=group, kind=kind, since=since, newer=newer == "newer",
            superseded_by=superseded or None, python=python or None, drivers=frozenset(filter(None, drivers.split(","))),
        )
        for name, library, group, kind, since, newer, superseded, python, drivers in rows
    }  # fmt: skip
