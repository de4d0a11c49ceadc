"""What a line says: text that harms nobody, whatever was written, and records with their time, severity and mark."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from agent.model.log import LogKind, LogMark, LogSource
from agent.model.occurrence import PerceivedSeverity
from drivers.logs.lines import CUT, TEXT, Line, decoded, escaped, meaning, records, time_of

HYPERVISOR, CONSOLE = LogKind.HYPERVISOR, LogKind.CONSOLE


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"plain", "plain"),
        (b"\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        (b"tab\tcr\rback\\", "tab\\tcr\\rback\\\\"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("\u009b31m".encode(), "\\u009b31m"),
        ("evil\u202egnp.exe".encode(), "evil\\u202egnp.exe"),
        ("\u2066\ufeff\u200b".encode(), "\\u2066\\ufeff\\u200b"),
        ("é€😀".encode(), "é€😀"),
        (b"\0\x7f", "\\x00\\x7f"),
        ("\U000e0001".encode(), "\\U000e0001"),
        (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
    ],
)
def test_what_could_do_harm_is_written_with_a_backslash(octets: bytes, text: str) -> None:
    assert escaped(octets) == text


@given(st.binary(max_size=300))
def test_escaped_text_can_be_printed_and_is_xml(octets: bytes) -> None:
    text = escaped(octets)
    assert text.isprintable()
    assert etree.fromstring(etree.tostring(_element(text))).text == (text or None)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_two_lines_look_the_same(one: bytes, other: bytes) -> None:
    assert (escaped(one) == escaped(other)) == (one == other)


@given(
    st.one_of(st.binary(max_size=400), st.text(max_size=100).map(lambda t: t.encode("utf-8", "replace"))),
    st.integers(16, 64),
)
def test_what_is_too_long_is_cut_between_characters(octets: bytes, most: int) -> None:
    text = escaped(octets, most)
    assert len(text.encode()) <= most
    assert text.isprintable()
    whole = escaped(octets, 10**6)
    if len(whole.encode()) <= most:
        assert text == whole
    else:
        assert text.endswith(CUT)
        assert whole.startswith(text.removesuffix(CUT))


def _element(text: str) -> etree._Element:
    made = etree.Element("a")
    made.text = text
    return made


def test_a_line_of_many_megabytes_costs_what_is_shown_of_it() -> None:
    text = escaped(b"x" * (64 << 20))
    assert len(text) == TEXT


def test_times_are_those_of_libvirt_and_qemu() -> None:
    expected = datetime(2026, 11, 30, 11, 27, 1, 123000, UTC)
    assert time_of("2026-11-30 11:27:01.123+0000: starting up") == (expected, "starting up")
    assert time_of("2026-11-30T11:27:01.123000Z qemu: x") == (expected, "qemu: x")
    assert time_of("2026-11-30 13:27:01.123+0200: x") == (expected, "x")
    for text in (
        "2026-13-30 11:27:01.123+0000: x",
        "9999-12-31 23:59:59.9-0100: x",
        "0001-01-01 00:00:00+2300: x",
        "no time",
    ):
        assert time_of(text) == (None, text)


INFO, W, M, C = (
    PerceivedSeverity.INFORMATION,
    PerceivedSeverity.WARNING,
    PerceivedSeverity.MAJOR,
    PerceivedSeverity.CRITICAL,
)
T = "2026-11-30 11:27:01.123+0000: "
Q = "2026-11-30T11:27:01.123456Z qemu-system-x86_64: "


@pytest.mark.parametrize(
    ("text", "source", "severity", "mark"),
    [
        (T + "starting up libvirt version: 9.0.0, qemu version: 7.2.0", LogSource.LIBVIRT, INFO, LogMark.START),
        (T + "shutting down, reason=destroyed", LogSource.LIBVIRT, INFO, LogMark.SHUTDOWN),
        (T + "shutting down, reason=crashed", LogSource.LIBVIRT, C, LogMark.CRASH),
        (T + "shutting down, reason=failed", LogSource.LIBVIRT, M, LogMark.SHUTDOWN),
        (T + "Domain id=1 is tainted: high-privileges", LogSource.LIBVIRT, W, LogMark.TAINT),
        (T + "1234: error : virExec:461 : cannot execute", LogSource.LIBVIRT, M, LogMark.NONE),
        (T + "1234: debug : virFileClose:135 : error or not", LogSource.LIBVIRT, None, LogMark.NONE),
        (Q + "terminating on signal 15 from pid 1 (/usr/sbin/libvirtd)", LogSource.QEMU, INFO, LogMark.SIGNAL),
        (Q + "terminating on signal 2", LogSource.QEMU, W, LogMark.SIGNAL),
        (Q + "warning: host doesn't support requested feature", LogSource.QEMU, W, LogMark.NONE),
        (Q + "-device x: Failed to open", LogSource.QEMU, M, LogMark.NONE),
        (Q + "block I/O error in device 'drive-virtio-disk0': No space left on device (28)", LogSource.QEMU, M, LogMark.IO_ERROR),
        ("qemu-system-x86_64: ../hw/x.c:1: f: Assertion `a' failed.", LogSource.QEMU, C, LogMark.CRASH),
        ("KVM internal error. Suberror: 1", LogSource.UNKNOWN, C, LogMark.CRASH),
        ("LC_ALL=C \\ PATH=/bin", LogSource.LIBVIRT, INFO, LogMark.COMMAND),
        ("char device redirected to /dev/pts/1 (label charserial0)", LogSource.UNKNOWN, None, LogMark.NONE),
        ("libvirt:  error : libvirtd quit during handshake", LogSource.LIBVIRT, M, LogMark.NONE),
    ],
)  # fmt: skip
def test_lines_of_a_hypervisor(text: str, source: LogSource, severity: PerceivedSeverity | None, mark: LogMark) -> None:
    found = meaning(text, HYPERVISOR)
    assert (found.source, found.severity, found.mark) == (source, severity, mark)


def test_a_guest_cannot_speak_for_libvirt() -> None:
    found = meaning(T + "shutting down, reason=crashed", CONSOLE)
    assert (found.time, found.source, found.mark) == (None, LogSource.GUEST, LogMark.NONE)
    assert meaning("Kernel panic - not syncing: VFS", CONSOLE).mark is LogMark.CRASH
    assert meaning("blk_update_request: I/O error, dev vda", CONSOLE).mark is LogMark.IO_ERROR


def test_programs_tell_how_grave_it_is() -> None:
    found = meaning("[2026-11-30T11:27:01Z ERROR virtiofsd] gone", LogKind.VIRTIOFSD)
    assert found.source is LogSource.PROGRAM
    assert meaning("libtpms/tpm2: an error", LogKind.SWTPM).severity is M


def lines(*texts: bytes) -> list[Line]:
    at, out = 0, []
    for text in texts:
        out.append(Line(position=at, end=at + len(text) + 1, octets=text))
        at += len(text) + 1
    return out


def test_a_command_line_is_one_record() -> None:
    given_ = lines(b"start", b"LC_ALL=C \\", b"PATH=/bin \\", b"/usr/bin/qemu -name x", b"after")
    found = list(records(given_, HYPERVISOR))
    assert [r.octets for r in found] == [b"start", b"LC_ALL=C PATH=/bin /usr/bin/qemu -name x", b"after"]
    assert [r.position for r in found] == [0, 6, 51]
    assert len(list(records(given_, CONSOLE))) == 5, "a guest's backslash joins nothing"


def test_lines_that_go_on_for_ever_are_cut() -> None:
    found = list(records(lines(*[b"x" * 100 + b" \\"] * 1000), HYPERVISOR))
    assert len(found) > 5
    assert all(len(r.octets) <= 16384 for r in found)


@given(st.binary(max_size=200), st.sampled_from(list(LogKind)))
def test_every_line_means_something(octets: bytes, kind: LogKind) -> None:
    assert meaning(decoded(octets), kind).source in LogSource


@pytest.mark.parametrize("text", ["/" + "/qemu" * 3276, "/qemu-" * 2730, "A=" + "x" * 16_000, "Assertion " * 1638])
def test_a_line_that_is_made_to_be_slow_is_not(text: str) -> None:
    for kind in LogKind:
        spent = []
        for _ in range(3):
            began = time.thread_time()
            meaning(text, kind)
            spent.append(time.thread_time() - began)
        assert min(spent) < 0.05, kind
