"""What a class of the CIM schema is made of, as data (DSP0004 tells what the fields mean)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

#: Pairs of ValueMap and Values entries, in order.
Values = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CimProperty:
    """A property or, with ``type`` "reference", one end of an association.

    ``type`` is a CIM type name (uint16, string, datetime ...). ``punit`` is a programmatic unit (DSP0004 annex C).
    ``embedded`` names the class of an embedded instance, which travels in a string.
    """

    name: str
    type: str
    description: str
    _: KW_ONLY
    array: bool = False
    key: bool = False
    reference: str | None = None
    embedded: str | None = None
    embedded_object: bool = False
    punit: str | None = None
    counter: bool = False
    gauge: bool = False
    required: bool = False
    max_len: int | None = None
    aggregate: bool = False
    weak: bool = False
    propagated: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    override: bool = False
    values: Values = ()


@dataclass(frozen=True)
class CimParameter:
    """A parameter of a method; ``type`` "reference" goes with the class it refers to."""

    name: str
    type: str
    description: str
    _: KW_ONLY
    array: bool = False
    reference: str | None = None
    embedded: str | None = None
    embedded_object: bool = False
    punit: str | None = None
    required: bool = False
    is_in: bool = True
    is_out: bool = False
    values: Values = ()


@dataclass(frozen=True)
class CimMethod:
    """An extrinsic method; ``values`` explain its return value."""

    name: str
    return_type: str
    description: str
    _: KW_ONLY
    override: bool = False
    values: Values = ()
    parameters: tuple[CimParameter, ...] = ()


@dataclass(frozen=True)
class CimClass:
    """A class with the features that it declares itself; ``superclass`` is None at a root."""

    name: str
    superclass: str | None
    version: str | None
    description: str
    _: KW_ONLY
    abstract: bool = False
    association: bool = False
    aggregation: bool = False
    composition: bool = False
    indication: bool = False
    properties: tuple[CimProperty, ...] = ()
    methods: tuple[CimMethod, ...] = ()


@dataclass(frozen=True)
class CimQualifier:
    """The declaration of a qualifier: its type, where it may stand, its default and its flavours."""

    name: str
    type: str
    scopes: tuple[str, ...]
    _: KW_ONLY
    array: bool = False
    default: bool | str | int | None = None
    overridable: bool = True
    to_subclass: bool = True
    translatable: bool = False


def value_map(text: str) -> Values:
    """Reads ``value name | value name | ...``."""
    return tuple((value, name) for value, _, name in (entry.partition(" ") for entry in text.split(" | ")))
