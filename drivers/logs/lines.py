r"""What a line of a log says: octets that anybody may have written, as text that harms nobody, and as a record.

A log is untrusted: a guest writes its console, and much of what QEMU says has words of the guest's in it. So nothing of it is
shown but as `escaped` text, in which every character can be printed: control characters, terminal escapes, what turns the
direction of writing, and all that is no character are written with a backslash, `\n`, `\u009b`, or `\xff` for an octet that is not
UTF-8; and a backslash as two, so that no two lines look the same.

A record is a line, or a line with those that go on with it: libvirt writes the command line of a hypervisor over many lines, each
but the last with a backslash at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from agent.model.log import LogKind, LogMark, LogSource
from agent.model.occurrence import PerceivedSeverity

LINE = 16384
"""Octets of a line, or of a record, that are looked at. What goes beyond is cut off."""

TEXT = 4096
"""Octets of escaped text that are shown of a record."""

CUT = "\\..."
"""Stands where something was cut off; no escaped text ends like that by itself."""

CONTINUES = b" \\"
"""What a line ends with that the next one goes on with."""

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\r": "\\r", "\n": "\\n"}


def decoded(octets: bytes) -> str:
    """The text of a line; each octet that is not UTF-8 is a lone surrogate."""
    return octets.decode("utf-8", "surrogateescape")


def escaped(octets: bytes, most: int = TEXT) -> str:
    """The line as text without a character that could not be printed, of at most so many octets in UTF-8."""
    # what decodes to nothing that could be shown is not worth decoding: no octet makes more than one character
    text = decoded(octets[: most + 4])
    if not text.isprintable() or "\\" in text:
        text = "".join(map(_shown, text))
    return cut(text, most, more=len(octets) > most)


def cut(text: str, most: int, *, more: bool = False) -> str:
    """Escaped text of at most so many octets in UTF-8, with a sign behind it if something was, or had been, cut off."""
    whole = text.encode()
    if len(whole) <= most and not more:
        return text
    kept = whole[: most - len(CUT)].decode("utf-8", "ignore")
    # a backslash of a pair must not be left alone, nor half an escape
    return re.sub(r"(?<!\\)((?:\\\\)*)\\(?:x.?|u.{0,3}|U.{0,7})?\Z", r"\1", kept, flags=re.DOTALL) + CUT


def _shown(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# Records


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of a file, without its line feed: where it begins, and where the next one does. `whole` unless more of it may come."""

    position: int
    end: int
    octets: bytes
    whole: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """What a record says, as far as that can be told."""

    time: datetime | None
    source: LogSource
    severity: PerceivedSeverity | None
    mark: LogMark


def records(lines: Iterable[Line], kind: LogKind) -> Iterator[Line]:
    """The records that these lines are, each as one line. Only libvirt writes some that go over several."""
    held: list[Line] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line.octets)
        if kind is LogKind.HYPERVISOR and line.octets.endswith(CONTINUES) and size < LINE:
            continue
        yield _joined(held)
        held, size = [], 0
    if held:
        yield _joined(held)


def _joined(held: list[Line]) -> Line:
    if len(held) == 1:
        return held[0]
    octets = b" ".join(line.octets.removesuffix(CONTINUES) for line in held)
    return Line(position=held[0].position, end=held[-1].end, octets=octets[:LINE], whole=held[-1].whole)


_TIME = re.compile(
    r"\[?(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)(?::? )?", re.ASCII
)
_COMMAND = re.compile(r"(?=\S++ )(?:[A-Z_][A-Z0-9_]*=|/\S*/(?:qemu|kvm|libvirt_lxc))", re.ASCII)
"""The first word is looked over once, so that none can be made that takes long."""
_TOLD = re.compile(r"(?:\d+: )?(?P<level>debug|info|warning|error) : ", re.ASCII)
_LIBVIRT = re.compile(r"libvirt: .{0,40}error : ")
_QEMU = re.compile(r"(?:qemu-[a-z0-9_-]+|qemu|kvm|[a-z0-9./_-]*/qemu-[a-z0-9_-]+): (?P<said>.*)", re.ASCII | re.DOTALL)
_RUST = re.compile(r"(?P<level>ERROR|WARN|INFO|DEBUG|TRACE)\s", re.ASCII)
_SIGNAL = re.compile(r"terminating on signal (?P<number>\d+)", re.ASCII)
_IO = re.compile(
    r"I/O error|Input/output error|No space left on device|Read-only file system|blk_update_request|medium error", re.I
)
_CRASH = re.compile(
    r"Kernel panic|KVM internal error|KVM: entry failed|Assertion .{1,200} failed|BUG: unable to handle|Segmentation fault|"
    r"segfault at |panicked at|Guest crashed|double fault|triple fault",
    re.I,
)  # fmt: skip
_BAD = re.compile(r"\berror\b|\bfailed\b|\bcannot\b|\bfatal\b", re.I)
_ODD = re.compile(r"\bwarn(?:ing)?\b", re.I)
_LEVELS = {
    "debug": None, "info": PerceivedSeverity.INFORMATION, "warning": PerceivedSeverity.WARNING,
    "error": PerceivedSeverity.MAJOR, "trace": None, "warn": PerceivedSeverity.WARNING,
}  # fmt: skip


def time_of(text: str) -> tuple[datetime | None, str]:
    """When a line says that it was written, and the rest of it."""
    found = _TIME.match(text)
    if found is None:
        return None, text
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    zone = found[8]
    try:
        offset = timedelta() if zone == "Z" else timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        away = timezone(-offset if zone[0] == "-" else offset)
        told = datetime(year, month, day, hour, minute, second, int((found[7] or "0").ljust(6, "0")[:6]), away)
        return told.astimezone(UTC), text[found.end() :]
    except (ValueError, OverflowError):  # no such day
        return None, text


def meaning(text: str, kind: LogKind) -> Meaning:
    """What a record of a log of this kind says."""
    if kind is LogKind.CONSOLE:
        severity, mark = _graveness(text, told=False)
        return Meaning(time=None, source=LogSource.GUEST, severity=severity, mark=mark)
    time, said = time_of(text)
    if kind is LogKind.HYPERVISOR:
        source, severity, mark = _of_hypervisor(said, timed=time is not None)
    else:
        source, severity, mark = _of_program(said)
    return Meaning(time=time, source=source, severity=severity, mark=mark)


Told = tuple[LogSource, PerceivedSeverity | None, LogMark]


def _of_hypervisor(said: str, *, timed: bool) -> Told:
    if (program := _QEMU.match(said)) is not None:
        return _of_qemu(program["said"])
    if timed:
        return _of_libvirt(said)
    if _COMMAND.match(said):
        return LogSource.LIBVIRT, PerceivedSeverity.INFORMATION, LogMark.COMMAND
    if _LIBVIRT.match(said):
        return LogSource.LIBVIRT, PerceivedSeverity.MAJOR, LogMark.NONE
    severity, mark = _graveness(said, told=True)
    return LogSource.UNKNOWN, severity, mark


def _of_libvirt(said: str) -> Told:
    if said.startswith("starting up"):
        return LogSource.LIBVIRT, PerceivedSeverity.INFORMATION, LogMark.START
    if said.startswith("shutting down"):
        if "reason=crashed" in said:
            return LogSource.LIBVIRT, PerceivedSeverity.CRITICAL, LogMark.CRASH
        failed = "reason=failed" in said
        return LogSource.LIBVIRT, PerceivedSeverity.MAJOR if failed else PerceivedSeverity.INFORMATION, LogMark.SHUTDOWN
    if "is tainted" in said:
        return LogSource.LIBVIRT, PerceivedSeverity.WARNING, LogMark.TAINT
    if (told := _TOLD.match(said)) is not None:
        mark = LogMark.IO_ERROR if told["level"] == "error" and _IO.search(said) else LogMark.NONE
        return LogSource.LIBVIRT, _LEVELS[told["level"]], mark
    severity, mark = _graveness(said, told=True)
    return LogSource.LIBVIRT, severity, mark


def _of_qemu(said: str) -> Told:
    """QEMU says so where something is only a warning or a hint; whatever else it has to say is an error."""
    if (ended := _SIGNAL.match(said)) is not None:
        asked = int(ended["number"][:9]) == 15
        return LogSource.QEMU, PerceivedSeverity.INFORMATION if asked else PerceivedSeverity.WARNING, LogMark.SIGNAL
    if said.startswith(("warning:", "info:")):
        bad = said.startswith("warning:")
        return LogSource.QEMU, PerceivedSeverity.WARNING if bad else PerceivedSeverity.INFORMATION, LogMark.NONE
    severity, mark = _graveness(said, told=False)
    return LogSource.QEMU, severity or PerceivedSeverity.MAJOR, mark


def _of_program(said: str) -> Told:
    if (told := _RUST.match(said)) is not None:
        return LogSource.PROGRAM, _LEVELS[told["level"].lower()], LogMark.NONE
    severity, mark = _graveness(said, told=True)
    return LogSource.PROGRAM, severity, mark


def _graveness(said: str, *, told: bool) -> tuple[PerceivedSeverity | None, LogMark]:
    """How grave a line is by its words. `told` where a program that reports errors wrote it, and `error` means one."""
    if _CRASH.search(said):
        return PerceivedSeverity.CRITICAL, LogMark.CRASH
    if _IO.search(said):
        return PerceivedSeverity.MAJOR, LogMark.IO_ERROR
    if told and _BAD.search(said):
        return PerceivedSeverity.MAJOR, LogMark.NONE
    if told and _ODD.search(said):
        return PerceivedSeverity.WARNING, LogMark.NONE
    return None, LogMark.NONE
