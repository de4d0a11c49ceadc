"""The semantic types of the mapping: one table from each type to Python, to SMI, to CIM and to the text of an argument.

A type carries its unit, so that no name has to. `KiB` in a declaration is `Annotated[int, <Semantic KiB>]`: an int to
Python and to mypy, and everything the projections need to know to the rest. A 64-bit gauge is a CounterBasedGauge64
(RFC 2856), never a Gauge32 that saturates at 4 Gi.
"""

import base64
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Self


class Wire(enum.Enum):
    """How a value travels in a varbind (RFC 2578, section 7.1). The value is the BER tag."""

    INTEGER = 0x02
    OCTETS = 0x04
    OID = 0x06
    UNSIGNED = 0x42
    TICKS = 0x43
    COUNTER64 = 0x46


class Kind(enum.Enum):
    """What a number means over time."""

    VALUE = "value"
    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, kw_only=True)
class Semantic:
    """One semantic type. `convention` is an SMI textual convention, or the name of ours; `size` bounds an OCTET STRING."""

    name: str
    python: type
    wire: Wire
    syntax: str
    cim: str
    module: str | None = None
    unit: str | None = None
    punit: str | None = None
    kind: Kind = Kind.VALUE
    low: int | None = None
    high: int | None = None
    secret: bool = False
    readable: bool = True


class Secret:
    """A text that nothing prints: its str and repr are `<secret>`. `reveal()` gives it, for the one call that needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


class Enumeration(enum.IntEnum):
    """A closed set of values. A member is `(number, label, description, libvirt symbol or None, {CIM property: value})`.

    The number is ours, permanent, and what SNMP shows; the label is its SMI name; the symbol is libvirt's constant; the
    mapping gives, for each DMTF property that is filled from this enumeration, the DMTF's own value (or tuple of values).
    """

    label: str
    description: str
    libvirt: str | None
    cim: Mapping[str, Any]

    def __new__(
        cls, number: int, label: str, description: str, libvirt: str | None = None, cim: Mapping[str, Any] | None = None
    ) -> Self:
        member = int.__new__(cls, number)
        member._value_ = number
        member.label = label
        member.description = description
        member.libvirt = libvirt
        member.cim = cim or {}
        return member

    @classmethod
    def of(cls, number: int) -> Self | None:
        """The member with this number, None if there is none: a snapshot and the wire hold bare numbers."""
        return cls._value2member_map_.get(number)  # type: ignore[return-value]  # it maps to members of this class


class Flags(enum.IntFlag):
    """A set of flags of an operation. A member is `(bit, label, description, libvirt symbol)`; bits are ours, permanent."""

    label: str
    description: str
    libvirt: str

    def __new__(cls, number: int, label: str = "", description: str = "", libvirt: str = "") -> Self:
        member = int.__new__(cls, number)
        member._value_ = number
        member.label = label
        member.description = description
        member.libvirt = libvirt
        return member


def _gauge64(name: str, unit: str | None, punit: str | None, kind: Kind = Kind.GAUGE) -> Semantic:
    return Semantic(
        name=name, python=int, wire=Wire.COUNTER64, syntax="CounterBasedGauge64", module="HCNUM-TC", cim="uint64",
        unit=unit, punit=punit, kind=kind, low=0, high=2**64 - 1,
    )  # fmt: skip


def _counter(name: str, unit: str | None, punit: str | None) -> Semantic:
    return Semantic(
        name=name, python=int, wire=Wire.COUNTER64, syntax="Counter64", module="SNMPv2-SMI", cim="uint64",
        unit=unit, punit=punit, kind=Kind.COUNTER, low=0, high=2**64 - 1,
    )  # fmt: skip


def _gauge32(name: str, unit: str | None, punit: str | None, syntax: str = "Gauge32") -> Semantic:
    return Semantic(
        name=name, python=int, wire=Wire.UNSIGNED, syntax=syntax, module="SNMPv2-SMI", cim="uint32",
        unit=unit, punit=punit, kind=Kind.GAUGE if syntax == "Gauge32" else Kind.VALUE, low=0, high=2**32 - 1,
    )  # fmt: skip


def _text(name: str, syntax: str, module: str | None, high: int, low: int = 0, **more: Any) -> Semantic:
    return Semantic(
        name=name, python=str, wire=Wire.OCTETS, syntax=syntax, module=module, cim="string", low=low, high=high, **more
    )


Name = Annotated[str, _text("Name", "SnmpAdminString", "SNMP-FRAMEWORK-MIB", 255)]
Text = Annotated[str, _text("Text", "VirtmapText", None, 4096)]
Uuid = Annotated[str, _text("Uuid", "VirtmapUuid", None, 36, 36)]
Mac = Annotated[str, _text("Mac", "MacAddress", "SNMPv2-TC", 6, 6)]
Xml = Annotated[str, _text("Xml", "VirtmapText", None, 2**31 - 1, readable=False)]
SecretText = Annotated[Secret, Semantic(
    name="SecretText", python=Secret, wire=Wire.OCTETS, syntax="VirtmapText", cim="string",
    low=0, high=4096, secret=True, readable=False,
)]  # fmt: skip
Binary = Annotated[bytes, Semantic(
    name="Binary", python=bytes, wire=Wire.OCTETS, syntax="VirtmapText", cim="uint8", low=0, high=2**24, readable=False,
)]  # fmt: skip
"""Bytes of any value. As text they are written in base64 (RFC 4648); in CIM they are an octet string (DSP0004, 5.6.3.34)."""
Flag = Annotated[bool, Semantic(
    name="Flag", python=bool, wire=Wire.INTEGER, syntax="TruthValue", module="SNMPv2-TC", cim="boolean",
)]  # fmt: skip
Number = Annotated[int, Semantic(
    name="Number", python=int, wire=Wire.INTEGER, syntax="Integer32", module="SNMPv2-SMI", cim="sint32",
    low=-(2**31), high=2**31 - 1,
)]  # fmt: skip
Timestamp = Annotated[datetime, Semantic(
    name="Timestamp", python=datetime, wire=Wire.OCTETS, syntax="DateAndTime", module="SNMPv2-TC", cim="datetime", low=8, high=11,
)]  # fmt: skip
Ordinal = Annotated[int, _gauge32("Ordinal", None, None, "Unsigned32")]
Count = Annotated[int, _gauge32("Count", None, None)]
MHz = Annotated[int, _gauge32("MHz", "MHz", "hertz * 10^6")]
Seconds = Annotated[int, _gauge64("Seconds", "seconds", "second")]
Milliseconds = Annotated[int, _gauge32("Milliseconds", "milliseconds", "second * 10^-3")]
Percent = Annotated[int, _gauge32("Percent", "percent", "percent")]
Thousandths = Annotated[int, _gauge32("Thousandths", "thousandths", "count * 10^-3")]
Bytes = Annotated[int, _gauge64("Bytes", "bytes", "byte")]
KiB = Annotated[int, _gauge64("KiB", "KiB", "byte * 2^10")]
BytesPerSecond = Annotated[int, _gauge64("BytesPerSecond", "bytes/second", "byte / second")]
KiBPerSecond = Annotated[int, _gauge64("KiBPerSecond", "KiB/second", "byte / second * 2^10")]
MiBPerSecond = Annotated[int, _gauge64("MiBPerSecond", "MiB/second", "byte / second * 2^20")]
Nanoseconds = Annotated[int, _gauge64("Nanoseconds", "nanoseconds", "second * 10^-9")]
Microseconds = Annotated[int, _gauge64("Microseconds", "microseconds", "second * 10^-6")]
Level = Annotated[int, _gauge64("Level", None, None)]
Total = Annotated[int, _counter("Total", None, None)]
Events = Annotated[int, _counter("Events", "events", "count")]
CpuTime = Annotated[int, _counter("CpuTime", "nanoseconds", "second * 10^-9")]
Octets = Annotated[int, _counter("Octets", "bytes", "byte")]
SwappedKiB = Annotated[int, _counter("SwappedKiB", "KiB", "byte * 2^10")]
Packets = Annotated[int, _counter("Packets", "packets", "count")]
Requests = Annotated[int, _counter("Requests", "requests", "count")]

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WHOLE = re.compile(r"[+-]?(0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


def fits(semantic: Semantic, value: object) -> str | None:
    """Why the value is not one of this type, or None when it is. Lengths count UTF-8 octets."""
    if isinstance(value, bool) is not (semantic.python is bool) or not isinstance(value, semantic.python):
        return f"{type(value).__name__} is not {semantic.name}"
    match value:
        case bool():
            return None
        case Secret():
            return _out_of_range(semantic, len(value.reveal().encode("utf-8", "replace")))
        case int():
            return _out_of_range(semantic, value)
        case str() if semantic.name == "Uuid":
            return None if _UUID.fullmatch(value) else f"{value!r} is not a UUID"
        case str() if semantic.name == "Mac":
            return None if _MAC.fullmatch(value) else f"{value!r} is not a MAC address"
        case str():
            return _out_of_range(semantic, len(value.encode("utf-8", "replace")))
        case bytes():
            return _out_of_range(semantic, len(value))
    return None


def _out_of_range(semantic: Semantic, number: int) -> str | None:
    if semantic.low is not None and number < semantic.low:
        return f"{number} is below {semantic.low}"
    if semantic.high is not None and number > semantic.high:
        return f"{number} is above {semantic.high}"
    return None


def parse(semantic: Semantic, text: str) -> Any:
    """The value of an argument from its text, canonical or nearly so: booleans in any case, numbers also in hexadecimal,
    members of enumerations by label or number, flags by their sum, bytes in base64. ValueError says what is wrong with it.
    """
    value = _parsed(semantic.python, text)
    if wrong := fits(semantic, value):
        raise ValueError(wrong)
    return value


def _parsed(python: Any, text: str) -> Any:
    if python is bool:
        if text.strip().lower() not in ("true", "false"):
            raise ValueError("it is neither true nor false")
        return text.strip().lower() == "true"
    if issubclass(python, Enumeration):
        labelled = next((m for m in python if m.label == text.strip()), None)
        if (member := labelled or python.of(_whole(text))) is None:
            raise ValueError("there is no such value")
        return member
    if issubclass(python, Flags):
        number = _whole(text)
        if number & ~sum(python) or number < 0:
            raise ValueError("there are no such flags")
        return python(number)
    if python is int:
        return _whole(text)
    if python is bytes:
        return base64.b64decode(text, validate=True)
    return datetime.fromisoformat(text).astimezone(UTC) if python is datetime else python(text)


def _whole(text: str) -> int:
    digits = _WHOLE.fullmatch(text.strip())
    if digits is None:
        raise ValueError("it is no whole number")
    return int(digits[0], 16 if "x" in digits[0].lower() else 10)


def canonical(value: object) -> str:
    """The canonical text of a value, the inverse of `parse`; a secret stays `<secret>`."""
    match value:
        case bool():
            return "true" if value else "false"
        case Enumeration():
            return value.label
        case int():
            return str(int(value))
        case datetime():
            return value.astimezone(UTC).isoformat()
        case bytes():
            return base64.b64encode(value).decode("ascii")
    return str(value)
