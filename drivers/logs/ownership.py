"""Which files are a domain's logs: decided by name, exactly, since names such as `foo`, `foo.log` and `foo.log.1` may stand side
by side.

The log of a domain is `NAME.log` with NAME taken literally, and its older files are `NAME.log.N`, N = 0 being the newest. A name
that ends with `.log` is never an older file, and one that ends with `.N` never a log, so that no file is two domains':
`foo.log.1` is an older file of `foo`, `foo.log.1.log` the log of `foo.log.1`, and `foo.log.log.1` an older file of `foo.log`. What
logrotate makes, `NAME.log.1.gz` and `NAME.log-20261101`, is an archive: it is read, and never removed.

Devices may have their logs anywhere, under any name. What a definition names is a log of its own, whatever its name looks like,
and is never an older file of another one. A path that two of them name is both's, so that neither may remove it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.model.log import LogKind

SUFFIX = ".log"
ENDINGS = ("gz", "xz", "bz2", "zst")
"""Of compressed files."""

_OLDER = re.compile(
    rf"(?P<base>.+?)(?:\.(?P<number>[0-9]+)|(?:\.(?P<archived>[0-9]+)(?=\.)|-(?P<date>[0-9]{{8}}(?:-?[0-9]{{2,10}})?))"
    rf"(?:\.(?P<ending>{'|'.join(ENDINGS)}))?)",
    re.DOTALL,
)
_VIRTIOFSD = re.compile(r"(?P<domain>.+)-(?P<device>fs[0-9]+)-virtiofsd", re.DOTALL)
_SWTPM = re.compile(r"(?P<domain>.+)-swtpm", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Older:
    """What a file's name says if it is an older file: of which log, with which number, and whether it is an archive, which is
    not ours to remove."""

    base: str
    number: int | None
    archive: bool = False
    ending: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceLog:
    """A log of a device, as a definition tells it. One without a path is in the directory of the domain's own log, or of those of
    its TPM, under the name that libvirt makes for it."""

    kind: LogKind
    device: str
    path: str | None = None

    def name(self, domain: str) -> str:
        """The name that libvirt gives it, where it has no path of its own."""
        return f"{domain}-swtpm{SUFFIX}" if self.kind is LogKind.SWTPM else f"{domain}-{self.device}-virtiofsd{SUFFIX}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Whose log it is: of which domain, None if it is no more, who writes it, and for which device."""

    uuid: str | None
    domain: str
    kind: LogKind = LogKind.HYPERVISOR
    device: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Files:
    """The names of a log's files in their directory: whether the one that is written is there, and the older ones by name."""

    current: bool
    older: Mapping[str, Older]


def older(name: str) -> Older | None:
    """What a name says if it is that of an older file of some log; None if it is no such name."""
    found = _OLDER.fullmatch(name)
    if found is None:
        return None
    number = found["number"] or found["archived"]
    return Older(
        base=found["base"], number=None if number is None else int(number), archive=found["number"] is None,
        ending=found["ending"],
    )  # fmt: skip


def log_name(domain: str) -> str:
    """The name of a domain's own log."""
    return domain + SUFFIX


def owner_of(name: str) -> Owner | None:
    """Whose log a file of this name was, if nothing that exists claims it; None if it is no log of a domain."""
    stem = name.removesuffix(SUFFIX)
    if not stem or stem == name or not name.isprintable():
        return None
    if (found := _VIRTIOFSD.fullmatch(stem)) is not None:
        return Owner(uuid=None, domain=found["domain"], kind=LogKind.VIRTIOFSD, device=found["device"])
    if (found := _SWTPM.fullmatch(stem)) is not None:
        return Owner(uuid=None, domain=found["domain"], kind=LogKind.SWTPM)
    return Owner(uuid=None, domain=stem)


def grouped(names: Iterable[str], claimed: Mapping[str, object], *, foreign: bool = False) -> dict[str, Files]:
    """The files of a directory by the name of their log. `claimed` are names of logs that are known; in a `foreign` directory,
    where not only logs are, there are no others."""
    current: set[str] = set()
    olders: dict[str, dict[str, Older]] = {}
    for name in names:
        if name in claimed:
            current.add(name)
        elif (found := older(name)) is not None:
            if found.base in claimed or (not foreign and owner_of(found.base) is not None):
                olders.setdefault(found.base, {})[name] = found
        elif not foreign and owner_of(name) is not None:
            current.add(name)
    bases = current.union(olders)
    return {base: Files(current=base in current, older=olders.get(base, {})) for base in bases}


def libvirt_would_remove(domain: str, name: str) -> bool:
    """Whether libvirt removes a file of this name together with the domain's logs. Its rule is a format for sscanf, NAME.log.%u,
    which is looser than ours: it is content with the beginning of a name, and takes NAME for a part of the format."""
    if "%" in domain:
        return True  # nobody can say what such a format fits
    form = "".join(r"\s*" if c in " \t\n\v\f\r" else re.escape(c) for c in f"{domain}{SUFFIX}.")
    return name == domain + SUFFIX or re.match(form + r"\s*[+-]?[0-9]", name, re.ASCII) is not None
