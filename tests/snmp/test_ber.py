"""The BER codec: vectors both ways, byte by byte, and what must be refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.snmp import ber
from agent.snmp.ber import BerError
from tests import wire

SIGNED = [
    (0, "020100"), (1, "020101"), (127, "02017f"), (128, "02020080"), (255, "020200ff"), (256, "02020100"),
    (32767, "02027fff"), (32768, "0203008000"), (65535, "020300ffff"), (8388607, "02037fffff"),
    (8388608, "020400800000"), (2147483647, "02047fffffff"), (-1, "0201ff"), (-127, "020181"), (-128, "020180"),
    (-129, "0202ff7f"), (-255, "0202ff01"), (-256, "0202ff00"), (-32768, "02028000"), (-32769, "0203ff7fff"),
    (-8388608, "0203800000"), (-8388609, "0204ff7fffff"), (-2147483648, "020480000000"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "octets"), SIGNED)
def test_integers_both_ways(value: int, octets: str) -> None:
    data = bytes.fromhex(octets)
    assert ber.encode_integer(value) == data
    assert ber.integer(data[2:]) == value


@pytest.mark.parametrize(
    ("octets", "value"),
    [("00000000000000ff", 255), ("0000007f", 127), ("ffffffffffffffff", -1), ("ffffffff80000000", -(2**31))],
)
def test_an_integer_in_more_octets_than_needed_is_understood(octets: str, value: int) -> None:
    assert ber.integer(bytes.fromhex(octets)) == value


@pytest.mark.parametrize("octets", ["", "0080000000", "ff7fffffff", "7fffffffffffffff", "000000000000000001"])
def test_an_integer_beyond_32_bits_is_refused(octets: str) -> None:
    with pytest.raises(BerError):
        ber.integer(bytes.fromhex(octets))


UNSIGNED = [
    (0, "420100", 32), (127, "42017f", 32), (128, "42020080", 32), (2**31, "42050080000000", 32),
    (2**32 - 1, "420500ffffffff", 32), (0, "460100", 64), (2**32, "46050100000000", 64),
    (2**63 - 1, "46087fffffffffffffff", 64), (2**63, "4609008000000000000000", 64),
    (2**64 - 1, "460900ffffffffffffffff", 64),
]  # fmt: skip


@pytest.mark.parametrize(("value", "octets", "bits"), UNSIGNED)
def test_unsigned_both_ways(value: int, octets: str, bits: int) -> None:
    data = bytes.fromhex(octets)
    assert ber.encode_integer(value, data[0]) == data
    assert ber.unsigned(data[2:], bits) == value


def test_an_unsigned_without_its_leading_zero_is_forgiven() -> None:
    assert ber.unsigned(b"\xff\xff\xff\xff") == 2**32 - 1
    assert ber.unsigned(b"\xff" * 8, 64) == 2**64 - 1


@pytest.mark.parametrize(
    ("octets", "bits"), [("", 32), ("0100000000", 32), ("000000000001", 32), ("01" + "00" * 8, 64)]
)
def test_an_unsigned_that_is_too_large_is_refused(octets: str, bits: int) -> None:
    with pytest.raises(BerError):
        ber.unsigned(bytes.fromhex(octets), bits)


NAMES = [
    ("1.3", "06012b"), ("0.0", "060100"), ("1.3.6.1.2.1.1.1.0", "06082b06010201010100"), ("2.999.3", "0603883703"),
    ("2.0", "060150"), ("2.47", "06017f"), ("2.48", "06028100"), ("1.39", "06014f"), ("0.39", "060127"),
    ("1.3.127", "06022b7f"), ("1.3.128", "06032b8100"), ("1.3.16383", "06032bff7f"), ("1.3.16384", "06042b818000"),
    ("1.3.2097151", "06042bffff7f"), ("1.3.2097152", "06052b81808000"), ("1.3.268435455", "06052bffffff7f"),
    ("1.3.268435456", "06062b8180808000"), ("1.3.4294967295", "06062b8fffffff7f"),
    ("2.4294967295", "060590808 0804f".replace(" ", "")),
]  # fmt: skip


@pytest.mark.parametrize(("dotted", "octets"), NAMES)
def test_oids_both_ways(dotted: str, octets: str) -> None:
    data = bytes.fromhex(octets)
    assert ber.encode_oid(wire.oid(dotted)) == data
    assert ber.oid(data[2:]) == wire.oid(dotted)


def test_an_oid_holds_128_arcs_and_no_more() -> None:
    longest = (1, 3, *range(126))
    assert ber.oid(ber.oid_contents(longest)) == longest
    with pytest.raises(BerError, match="128"):
        ber.oid(ber.oid_contents((*longest, 1)))


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ("", "empty"), ("2b81", "truncated"), ("80", "leading zero"), ("2b8001", "leading zero"),
        ("2b9080808000", "32 bits"), ("2bffffffffff7f", "32 bits"), ("90808080807f", "32 bits"),
        ("2b" + "ff" * 1000, "32 bits"), ("9080808050", "32 bits"),
    ],
)  # fmt: skip
def test_an_oid_that_is_none_is_refused(octets: str, why: str) -> None:
    with pytest.raises(BerError, match=why):
        ber.oid(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("size", "octets"),
    [
        (0, "00"), (127, "7f"), (128, "8180"), (255, "81ff"), (256, "820100"), (65535, "82ffff"), (65536, "83010000"),
        (2**24 - 1, "83ffffff"), (2**24, "8401000000"),
    ],
)  # fmt: skip
def test_lengths(size: int, octets: str) -> None:
    assert ber.length(size) == bytes.fromhex(octets)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_elements_both_ways(size: int) -> None:
    data = ber.element(ber.OCTETS, b"x" * size)
    assert data == wire.tlv(ber.OCTETS, b"x" * size)
    tag, start, stop = ber.tlv(data, 0, len(data))
    assert (tag, stop - start, stop) == (ber.OCTETS, size, len(data))


@pytest.mark.parametrize("octets", ["04820001ff", "0483000001ff", "048400000001ff", "048101ff"])
def test_a_length_in_more_octets_than_needed_is_understood(octets: str) -> None:
    data = bytes.fromhex(octets)
    _, start, stop = ber.tlv(data, 0, len(data))
    assert data[start:stop] == b"\xff"


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ("", "header"), ("04", "header"), ("0401", "beyond"), ("0480", "indefinite"), ("30800000", "indefinite"),
        ("0481", "truncated length"), ("048201", "truncated length"), ("048180" + "00" * 127, "beyond"),
        ("0485" + "00" * 10, "oversized"), ("04ff" + "00" * 130, "oversized"), ("0484ffffffff00", "beyond"),
    ],
)  # fmt: skip
def test_a_header_that_lies_is_refused(octets: str, why: str) -> None:
    data = bytes.fromhex(octets)
    with pytest.raises(BerError, match=why):
        ber.tlv(data, 0, len(data))


def test_an_element_ends_within_its_container_not_only_within_the_data() -> None:
    data = bytes.fromhex("3003040500") + b"beyond"
    with pytest.raises(BerError, match="beyond"):
        ber.tlv(data, 2, 5)


def test_another_tag_than_expected_is_refused() -> None:
    with pytest.raises(BerError, match="0x04 where 0x02"):
        ber.expect(ber.INTEGER, b"\x04\x01a", 0, 3)


def test_date_and_time() -> None:
    when = datetime(2026, 2, 3, 4, 5, 6, 789_000, UTC)
    octets = bytes.fromhex("040b07ea0203040506072b0000")
    assert ber.encode_date(when) == octets
    assert ber.encode_date(when.astimezone(timezone(timedelta(hours=-5)))) == octets


@given(st.integers(-(2**31), 2**31 - 1))
def test_any_integer_comes_back(value: int) -> None:
    data = ber.encode_integer(value)
    assert data == wire.number(value)
    assert ber.integer(data[2:]) == value


@given(st.integers(0, 2**64 - 1))
def test_any_counter_comes_back(value: int) -> None:
    data = ber.encode_integer(value, ber.COUNTER64)
    assert data == wire.number(value, ber.COUNTER64)
    assert ber.unsigned(data[2:], 64) == value


ARC = st.one_of(st.integers(0, 300), st.integers(0, ber.MAX_ARC))


@given(
    st.one_of(
        st.tuples(st.integers(0, 1), st.integers(0, 39)), st.tuples(st.just(2), st.integers(0, ber.MAX_ARC))
    ),
    st.lists(ARC, max_size=126),
)  # fmt: skip
def test_any_oid_comes_back(first: tuple[int, int], rest: list[int]) -> None:
    arcs = (*first, *rest)
    assert ber.oid(ber.oid_contents(arcs)) == arcs
    assert ber.encode_oid(arcs) == wire.name(arcs)


@given(st.binary(max_size=40))
def test_octets_that_decode_to_an_oid_are_its_only_encoding(contents: bytes) -> None:
    try:
        arcs = ber.oid(contents)
    except BerError:
        return
    assert ber.oid_contents(arcs) == contents


@given(st.binary(max_size=20), st.integers(0, 255))
def test_any_element_comes_back(contents: bytes, tag: int) -> None:
    data = b"before" + ber.element(tag, contents) + b"after"
    found, start, stop = ber.tlv(data, 6, len(data))
    assert (found, data[start:stop], data[stop:]) == (tag, contents, b"after")
