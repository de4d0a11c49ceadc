"""The modules about the agent itself: what they show, what can be set, and that their text says what RFCs say."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from pyasn1.error import PyAsn1Error
from pysmi.codegen import JsonCodeGen
from pysmi.compiler import MibCompiler
from pysmi.parser import SmiV2Parser
from pysmi.reader import FileReader
from pysmi.writer import CallbackWriter
from pysnmp.smi.builder import MibBuilder

from agent import generate
from agent.schema.declare import Access
from agent.schema.types import Secret
from agent.snmp.engine import Statistics
from agent.snmp.message import Status
from agent.snmp.message3 import Level
from agent.snmp.protection import AuthProtocol, PrivProtocol
from agent.snmp.security import Account, Community, Security
from agent.snmp.setting import Setting, carry_out
from agent.snmp.standards import (
    Place,
    Serve,
    notification_log_mib,
    snmp_framework_mib,
    snmp_mpd_mib,
    snmp_notification_mib,
    snmp_target_mib,
    snmp_usm_mib,
    snmp_vacm_mib,
    snmpv2_mib,
)
from agent.snmp.standards.parts import SpinLock
from agent.snmp.standards.snmp_target_mib import Target, Version
from agent.snmp.standards.snmpv2_mib import Configured, Kept, SnmpV2Mib
from agent.snmp.usm import User
from agent.snmp.vacm import MibView, Policy, Subtree
from tests import wire
from tests.agents import LOOPBACK, World, looped, world
from tests.wire import Oid, get, getbulk, number, oid, text

SYSTEM = oid("1.3.6.1.2.1.1")
CONTACT, NAME, LOCATION = (*SYSTEM, 4, 0), (*SYSTEM, 5, 0), (*SYSTEM, 6, 0)
SNMP = oid("1.3.6.1.2.1.11")
AUTHEN_TRAPS = (*SNMP, 30, 0)
MODULES = oid("1.3.6.1.6.3")
SERIAL = (*MODULES, 1, 1, 6, 1, 0)
FRAMEWORK, MPD = (*MODULES, 10, 2, 1), (*MODULES, 11, 2, 1)
TARGET, NOTIFICATION, USM, VACM = (*MODULES, 12, 1), (*MODULES, 13, 1), (*MODULES, 15, 1), (*MODULES, 16, 1)

COUNTER32, TICKS = 0x41, 0x43
PASSPHRASES = ("a first long passphrase", "a second long passphrase")

ALL = MibView("all", [Subtree(oid=(1, 3, 6, 1))])
FAMILIES = MibView(
    "few", [Subtree(oid=(1, 3, 6, 1, 2, 1), mask=b"\xfc"), Subtree(oid=(1, 3, 6, 1, 2, 1, 11), included=False)]
)
ANN = Account(
    user=User(
        name="ann", auth=AuthProtocol.SHA256, auth_passphrase=Secret(PASSPHRASES[0]),
        priv=PrivProtocol.AES128, priv_passphrase=Secret(PASSPHRASES[1]),
    ),
    role=Access.ADMINISTER, view="all", least=Level.AUTH_NO_PRIV,
)  # fmt: skip


def community(name: bytes, label: str, role: Access, view: str = "all") -> Community:
    return Community(name=name, label=label, role=role, sources=LOOPBACK, hypervisor="default", view=view)


COMMUNITIES = (
    community(b"public", "snmp.community[0]", Access.OBSERVE),
    community(b"operative", "snmp.community[1]", Access.OPERATE),
    community(b"sovereign", "snmp.community[2]", Access.ADMINISTER),
    community(b"ordinary", "snmp.community[3]", Access.ADMINISTER, "default"),
)
CREDENTIALS = (*(c.name for c in COMMUNITIES), *(p.encode() for p in PASSPHRASES))

TARGETS = (
    Target(name="noc", host="192.0.2.1", port=162, version=Version.V2C, security_name="snmp.target[0]"),
    Target(
        name="a", host="2001:db8::1", port=1162, version=Version.V3, security_name="ann", level=Level.AUTH_PRIV,
        inform=True, timeout=2.5, retries=5, include=((1, 3, 6, 1, 6, 3, 1, 1, 5),), exclude=((1, 3, 6, 1, 6, 3, 1, 1, 5, 1),),
    ),
    Target(
        name="old", host="192.0.2.3", port=162, version=Version.V1, security_name="snmp.target[2]", exclude=((1, 3, 6, 1, 4),)
    ),
)  # fmt: skip


def serves(system: SnmpV2Mib | None = None, targets: list[tuple[Target, ...]] | None = None) -> tuple[Serve, ...]:
    now = targets or [TARGETS]
    return (
        system or SnmpV2Mib(), snmp_framework_mib.serve, snmp_mpd_mib.serve, snmp_usm_mib.serve,
        snmp_vacm_mib.SnmpVacmMib(), snmp_target_mib.SnmpTargetMib(lambda: now[0]),
        snmp_notification_mib.SnmpNotificationMib(lambda: now[0]), notification_log_mib.NotificationLogMib(1000),
    )  # fmt: skip


@asynccontextmanager
async def served(system: SnmpV2Mib | None = None, **more: Any) -> AsyncIterator[World]:
    targets = more.pop("targets", None)
    secured = {"accounts": [ANN], "views": [ALL, FAMILIES]}
    async with world(communities=COMMUNITIES, security=secured, serves=serves(system, targets), **more) as agent:
        yield agent


def value(agent: World, name: Oid) -> bytes:
    ((_, tag, contents),) = agent.read(get(name)).variables
    assert tag < 0x80, f"{name}: no value"
    return contents


def whole(agent: World, name: Oid) -> int:
    return int.from_bytes(value(agent, name), "big", signed=True)


def beneath(agent: World, root: Oid, who: bytes = b"public") -> dict[Oid, tuple[int, bytes]]:
    """What a walk shows beneath an OID: instances, their tags and contents."""
    out: dict[Oid, tuple[int, bytes]] = {}
    last = root
    while True:
        for name, tag, contents in agent.read(getbulk(0, 40, last, community=who)).variables:
            if tag == wire.END_OF_MIB_VIEW or name[: len(root)] != root:
                return out
            assert name > last
            out[name] = (tag, contents)
            last = name


def table(agent: World, entry: Oid) -> dict[Oid, dict[int, bytes]]:
    """A table, by index: columns by their arc."""
    rows: dict[Oid, dict[int, bytes]] = {}
    for name, (_, contents) in beneath(agent, entry).items():
        rows.setdefault(name[len(entry) + 1 :], {})[name[len(entry)]] = contents
    return rows


async def refused(agent: World, *pairs: tuple[Oid, bytes], who: bytes = b"sovereign", request: int = 1) -> Status:
    answer = await agent.write(*pairs, community=who, request=request)
    return Status(answer.status)


def plain(name: str) -> Oid:
    return tuple(name.encode())


def sized(name: str) -> Oid:
    return (len(name), *plain(name))


# --- SNMPv2-MIB


@looped
async def test_the_system_group_tells_of_the_system() -> None:
    async with served() as agent:
        agent.clock[0] += 12.5
        shown = beneath(agent, SYSTEM)
        scalars = {name[len(SYSTEM)]: (tag, contents) for name, (tag, contents) in shown.items() if name[-1] == 0}
        assert {arc: tag for arc, (tag, _) in scalars.items()} == {
            1: 4,
            2: 6,
            3: TICKS,
            4: 4,
            5: 4,
            6: 4,
            7: 2,
            8: TICKS,
        }
        assert scalars[1][1].startswith(b"virtmap ")
        assert b"default" in scalars[1][1]
        assert wire.arcs(scalars[2][1]) == oid("1.3.6.1.4.1.36957.20.5.1")
        assert int.from_bytes(scalars[3][1], "big") == 1250
        assert scalars[7][1] == b"\x48"


@looped
async def test_sysortable_holds_every_module_that_is_served() -> None:
    async with served() as agent:
        rows = table(agent, (*SYSTEM, 9, 1))
        assert list(rows) == [(i,) for i in range(1, len(rows) + 1)]
        identities = {wire.arcs(row[2]) for row in rows.values()}
        assert {(*MODULES, arc) for arc in (1, 10, 11, 12, 13, 15, 16)} | {notification_log_mib.LOG_MIB} <= identities
        assert {m.oid for m in agent.engine.mib.modules} <= identities
        assert all(row[3].isascii() and row[3] and row[4] == b"\0" for row in rows.values())


@pytest.mark.parametrize("name", [CONTACT, NAME, LOCATION])
def test_a_text_can_be_set_and_comes_back_after_a_restart(name: Oid) -> None:
    disk: dict[str, str] = {}
    kept = Kept(load=disk.get, store=disk.__setitem__)

    @looped
    async def first() -> None:
        async with served(SnmpV2Mib(kept)) as agent:
            assert await refused(agent, (name, text("Jo, ext. 12\r\nroom 5"))) is Status.NO_ERROR
            assert value(agent, name) == b"Jo, ext. 12\r\nroom 5"

    @looped
    async def second() -> None:
        async with served(SnmpV2Mib(kept)) as agent:
            assert value(agent, name) == b"Jo, ext. 12\r\nroom 5"
            assert await refused(agent, (name, text(""))) is Status.NO_ERROR
            assert value(agent, name) == b""

    first()
    second()


@pytest.mark.parametrize(
    ("element", "status"),
    [
        (number(1), Status.WRONG_TYPE),
        (text("x" * 256), Status.WRONG_LENGTH),
        (text("x" * 255), Status.NO_ERROR),
        (text("M\u00fcller"), Status.WRONG_VALUE),
        (text(b"\x80"), Status.WRONG_VALUE),
        (text("a\rb"), Status.WRONG_VALUE),
        (text("a\r"), Status.WRONG_VALUE),
        (text("a\r\0b\r\n"), Status.NO_ERROR),
    ],
)
def test_a_displaystring_is_nvt_ascii_of_255_octets(element: bytes, status: Status) -> None:
    @looped
    async def ask() -> None:
        async with served() as agent:
            before = value(agent, CONTACT)
            assert await refused(agent, (CONTACT, element)) is status
            assert (value(agent, CONTACT) == before) is (status is not Status.NO_ERROR)

    ask()


@looped
async def test_a_type_is_looked_at_before_the_instance() -> None:
    async with served() as agent:
        assert await refused(agent, ((*SYSTEM, 4, 1), text("x"))) is Status.NO_CREATION
        assert await refused(agent, ((*SYSTEM, 4, 1), number(1))) is Status.WRONG_TYPE
        assert await refused(agent, ((*SYSTEM, 4), text("x"))) is Status.NO_CREATION
        assert await refused(agent, ((*SYSTEM, 1, 0), text("x"))) is Status.NOT_WRITABLE
        assert await refused(agent, ((*SYSTEM, 9, 1, 3, 1), text("x"))) is Status.NOT_WRITABLE


@looped
async def test_only_administrators_change_the_agent() -> None:
    async with served() as agent:
        for name, element in ((CONTACT, text("x")), (AUTHEN_TRAPS, number(2))):
            assert await refused(agent, (name, element), who=b"operative") is Status.NO_ACCESS
            assert await refused(agent, (name, element), who=b"public") is Status.NO_ACCESS
        assert await refused(agent, (SERIAL, number(whole(agent, SERIAL))), who=b"operative") is Status.NO_ERROR


@looped
async def test_what_the_configuration_says_is_not_writable_until_it_says_it_no_more() -> None:
    system = SnmpV2Mib(configured=Configured(contact="the desk", location="B\u00f6blingen\r"))
    async with served(system) as agent:
        assert value(agent, CONTACT) == b"the desk"
        assert value(agent, LOCATION) == b"B?blingen "
        assert await refused(agent, (CONTACT, text("x"))) is Status.NOT_WRITABLE
        assert await refused(agent, (NAME, text("x"))) is Status.NO_ERROR
        system.configure(Configured(name="configured"), authentication_traps=True)
        await agent.inventory.refresh()
        assert [value(agent, name) for name in (CONTACT, NAME)] == [b"", b"configured"]
        assert await refused(agent, (CONTACT, text("y")), request=7) is Status.NO_ERROR
        assert await refused(agent, (NAME, text("y")), request=7) is Status.NOT_WRITABLE


@looped
async def test_a_set_that_fails_changes_nothing() -> None:
    async with served() as agent:
        late = (SERIAL, number((whole(agent, SERIAL) + 7) % 2**31))
        answer = await agent.write((CONTACT, text("x")), (NAME, text("y")), late, community=b"sovereign")
        assert answer.error == (Status.INCONSISTENT_VALUE, 3)
        assert value(agent, CONTACT) == b""


@looped
async def test_a_set_that_comes_too_late_is_taken_back() -> None:
    """Both passed their tests before either was carried out; the second finds another number than it was promised."""
    async with served() as agent:
        serial = whole(agent, SERIAL)
        first, second = (
            agent.ask(
                wire.setting(
                    [(CONTACT, text(f"{i}")), (SERIAL, number(serial))], community=b"sovereign", request=i
                )
            )
            for i in (1, 2)
        )  # fmt: skip
        assert isinstance(first, Setting)
        assert isinstance(second, Setting)
        assert await carry_out(first, agent.operations) == (Status.NO_ERROR, 0)
        assert await carry_out(second, agent.operations) == (Status.COMMIT_FAILED, 2)
        assert value(agent, CONTACT) == b"1"
        assert whole(agent, SERIAL) == (serial + 1) % 2**31


@looped
async def test_the_serial_number_is_set_to_what_it_is_and_goes_up() -> None:
    async with served() as agent:
        now = whole(agent, SERIAL)
        assert 0 <= now < 2**31
        assert await refused(agent, (SERIAL, number(now))) is Status.NO_ERROR
        assert whole(agent, SERIAL) == (now + 1) % 2**31
        assert await refused(agent, (SERIAL, number(now)), request=2) is Status.INCONSISTENT_VALUE
        assert await refused(agent, (SERIAL, number(-1))) is Status.WRONG_VALUE
        assert await refused(agent, (SERIAL, text("1"))) is Status.WRONG_TYPE
        assert await refused(agent, ((*SERIAL[:-1], 3), number(now))) is Status.NO_CREATION


def test_a_lock_goes_from_its_largest_value_to_zero_and_begins_anywhere() -> None:
    lock = SpinLock("snmpSetSerialNo", Access.OPERATE)
    lock.value = 2**31 - 1
    lock._swap(2**31 - 1, 0)
    assert lock.value == 0
    assert len({SpinLock("snmpSetSerialNo", Access.OPERATE).value for _ in range(8)}) > 1


@looped
async def test_authentication_traps_are_switched_and_the_notifier_sees_it() -> None:
    disk: dict[str, str] = {}
    kept = Kept(load=disk.get, store=disk.__setitem__)
    system = SnmpV2Mib(kept, authentication_traps=True)
    async with served(system) as agent:
        assert whole(agent, AUTHEN_TRAPS) == 1
        assert await refused(agent, (AUTHEN_TRAPS, number(3))) is Status.WRONG_VALUE
        assert await refused(agent, (AUTHEN_TRAPS, text("2"))) is Status.WRONG_TYPE
        assert await refused(agent, (AUTHEN_TRAPS, number(2))) is Status.NO_ERROR
        assert (whole(agent, AUTHEN_TRAPS), system.authentication_traps) == (2, False)
    assert not SnmpV2Mib(kept, authentication_traps=True).authentication_traps
    changed = SnmpV2Mib(kept, authentication_traps=False)
    assert not changed.authentication_traps
    changed.configure(Configured(), authentication_traps=True)
    assert changed.authentication_traps, "a configuration that was changed holds"


@looped
async def test_the_counters_are_those_of_the_engine() -> None:
    async with served() as agent:
        counters = [SNMP, MPD, (*USM, 1), (*TARGET, 4), (*TARGET, 5)]
        shown = {name for root in counters for name in beneath(agent, root) if name != AUTHEN_TRAPS}
        assert {beneath(agent, name[:-1])[name][0] for name in shown} == {COUNTER32}
        assert (*SNMP, 2, 0) not in shown, "an obsolete counter that nobody counts"
        before = {name: whole(agent, name) for name in shown}
        agent.ask(b"rubbish")
        agent.ask(get(CONTACT, community=b"nobody"))
        agent.ask(get(CONTACT, version=7))
        agent.ask(wire.message(wire.TRAP, [wire.binding(CONTACT)]))
        grown = {name for name in shown if whole(agent, name) != before[name]}
        assert grown == {(*SNMP, 1, 0), (*SNMP, 3, 0), (*SNMP, 4, 0), (*SNMP, 6, 0), (*MPD, 3, 0)}


def test_every_counter_of_the_engine_is_served() -> None:
    own = {"snmpUnknownSecurityModels", "snmpInvalidMsgs", "snmpUnknownPDUHandlers", "snmpUnavailableContexts",
           "snmpUnknownContexts"}  # fmt: skip
    current = {"snmpInPkts", "snmpInBadVersions", "snmpInBadCommunityNames", "snmpInBadCommunityUses",
               "snmpInASNParseErrs", "snmpSilentDrops", "snmpProxyDrops"}  # fmt: skip
    fields = {name for name in Statistics.__dataclass_fields__ if name.startswith("snmp")}
    assert current <= fields <= own | set(snmpv2_mib.COUNTERS.values())


@looped
async def test_a_counter_wraps() -> None:
    async with served() as agent:
        agent.engine.statistics.snmpInBadVersions = 2**32 + 5
        assert whole(agent, (*SNMP, 3, 0)) == 5


# --- the engine


@looped
async def test_the_engine_tells_its_name_and_its_clock() -> None:
    async with served(boots=7) as agent:
        agent.clock[0] += 61.9
        assert value(agent, (*FRAMEWORK, 1, 0)) == agent.engine.engine_id
        assert [whole(agent, (*FRAMEWORK, arc, 0)) for arc in (2, 3, 4)] == [7, 61, 65507]


@looped
async def test_users_are_not_served() -> None:
    async with served() as agent:
        assert {name[len(USM)] for name in beneath(agent, USM)} == {1}


# --- access control


@looped
async def test_contexts_are_the_hypervisors_and_the_default_one() -> None:
    async with served() as agent:
        assert table(agent, (*VACM, 1, 1)) == {(0,): {1: b""}, sized("default"): {1: b"default"}}


@looped
async def test_groups_are_shown_by_label() -> None:
    async with served() as agent:
        rows = table(agent, (*VACM, 2, 1))
        assert rows[(3, *sized("ann"))] == {3: b"ann", 4: b"\5", 5: b"\1"}
        assert rows[(2, *sized("snmp.community[1]"))] == {3: b"snmp.community[1]", 4: b"\5", 5: b"\1"}
        assert len(rows) == 1 + 2 * len(COMMUNITIES)


@looped
async def test_access_entries_are_those_that_decide() -> None:
    async with served() as agent:
        rows = table(agent, (*VACM, 4, 1))
        assert rows[(*sized("ann"), 0, 3, 2)] == {4: b"\2", 5: b"all", 6: b"", 7: b"all", 8: b"\5", 9: b"\1"}
        assert rows[(*sized("ann"), 0, 3, 3)][6] == b"all"
        observer = rows[(*sized("snmp.community[0]"), *sized("default"), 2, 1)]
        assert (observer[4], observer[5], observer[6]) == (b"\1", b"all", b"")
        assert {row[8] + row[9] for row in rows.values()} == {b"\5\1"}
        assert len(rows) == len({(e.group, e.context, e.model, e.level) for e in agent.engine.policy.entries})


@looped
async def test_views_are_shown_with_their_masks() -> None:
    async with served() as agent:
        rows = table(agent, (*VACM, 5, 2, 1))
        assert rows[(*sized("few"), 6, 1, 3, 6, 1, 2, 1)] == {3: b"\xfc", 4: b"\1", 5: b"\5", 6: b"\1"}
        assert rows[(*sized("few"), 7, 1, 3, 6, 1, 2, 1, 11)] == {3: b"", 4: b"\2", 5: b"\5", 6: b"\1"}
        assert {name[1 : 1 + name[0]] for name in rows} == {plain(v) for v in ("all", "few", "default")}


def test_of_two_families_of_one_subtree_the_deciding_one_is_shown() -> None:
    both = MibView("v", [Subtree(oid=(1, 3), included=False), Subtree(oid=(1, 3))])
    policy = Policy({}, [], [both], [""])
    (shown,) = [c for c in snmp_vacm_mib._views(policy) if c.oid[-1] == 4]
    assert both.includes((1, 3, 6)) is (shown.value(0) == snmp_vacm_mib.INCLUDED)


@looped
async def test_other_users_show_after_a_reload() -> None:
    async with served() as agent:
        bob = replace(ANN, user=User(name="bob"), least=Level.NO_AUTH_NO_PRIV)
        agent.engine.configure(Security(communities=COMMUNITIES, accounts=[bob], views=[ALL]))
        await agent.inventory.refresh()
        rows = table(agent, (*VACM, 2, 1))
        assert (3, *sized("bob")) in rows
        assert (3, *sized("ann")) not in rows


# --- targets and notifications


@looped
async def test_targets_are_shown_with_addresses_of_both_families() -> None:
    async with served() as agent:
        rows = table(agent, (*TARGET, 2, 1))
        assert list(rows) == sorted(plain(t.name) for t in TARGETS)
        assert {arc: (wire.arcs(c) if arc == 2 else c) for arc, c in rows[plain("noc")].items()} == {
            2: oid("1.3.6.1.6.1.1"), 3: bytes([192, 0, 2, 1, 0, 162]), 4: b"\0\x96", 5: b"\3", 6: b"trap", 7: b"noc",
            8: b"\5", 9: b"\1",
        }  # fmt: skip
        six = rows[plain("a")]
        assert wire.arcs(six[2]) == oid("1.3.6.1.2.1.100.1.2")
        assert six[3] == ipaddress.ip_address("2001:db8::1").packed + (1162).to_bytes(2, "big")
        assert (six[4], six[5], six[6]) == (b"\0\xfa", b"\5", b"inform")


@looped
async def test_parameters_name_users_and_labels() -> None:
    async with served() as agent:
        rows = table(agent, (*TARGET, 3, 1))
        assert rows[plain("a")] == {2: b"\3", 3: b"\3", 4: b"ann", 5: b"\3", 6: b"\5", 7: b"\1"}
        assert rows[plain("noc")] == {2: b"\1", 3: b"\2", 4: b"snmp.target[0]", 5: b"\1", 6: b"\5", 7: b"\1"}
        assert rows[plain("old")] == {2: b"\0", 3: b"\1", 4: b"snmp.target[2]", 5: b"\1", 6: b"\5", 7: b"\1"}


def test_an_address_with_a_zone_has_a_domain_of_its_own() -> None:
    assert snmp_target_mib.transport("fe80::1%3", 162) == (
        oid("1.3.6.1.2.1.100.1.4"), ipaddress.ip_address("fe80::1").packed + bytes([0, 0, 0, 3, 0, 162]),
    )  # fmt: skip
    zone = snmp_target_mib.transport("fe80::1%no-such-one", 162)[1]
    assert zone[16:20] == bytes(4)


@looped
async def test_notifications_pick_targets_by_kind_and_filter_them() -> None:
    async with served() as agent:
        assert table(agent, (*NOTIFICATION, 1, 1)) == {
            plain("inform"): {2: b"inform", 3: b"\2", 4: b"\5", 5: b"\1"},
            plain("trap"): {2: b"trap", 3: b"\1", 4: b"\5", 5: b"\1"},
        }
        assert table(agent, (*NOTIFICATION, 2, 1)) == {
            plain("a"): {1: b"a", 2: b"\5", 3: b"\1"},
            plain("old"): {1: b"old", 2: b"\5", 3: b"\1"},
        }
        rows = table(agent, (*NOTIFICATION, 3, 1))
        assert {name: row[3] for name, row in rows.items()} == {
            (*sized("a"), *MODULES, 1, 1, 5): b"\1",
            (*sized("a"), *MODULES, 1, 1, 5, 1): b"\2",
            (*sized("old"), 1): b"\1",
            (*sized("old"), 1, 3, 6, 1, 4): b"\2",
        }
        assert {(row[2], row[4], row[5]) for row in rows.values()} == {(b"", b"\5", b"\1")}


@looped
async def test_no_targets_are_empty_tables_and_new_ones_show_with_the_next_snapshot() -> None:
    now: list[tuple[Target, ...]] = [()]
    async with served(targets=now) as agent:
        assert {name[len(TARGET)] for name in beneath(agent, TARGET)} == {1, 4, 5}
        assert beneath(agent, NOTIFICATION) == {}
        assert agent.read(get((*TARGET, 2, 1, 2, 1))).tags == [wire.NO_SUCH_INSTANCE]
        now[0] = TARGETS
        await agent.inventory.refresh()
        assert len(table(agent, (*TARGET, 2, 1))) == 3


@looped
async def test_tables_of_the_configuration_are_read_only_and_their_locks_are_not() -> None:
    async with served() as agent:
        for name, (tag, contents) in [*beneath(agent, TARGET).items(), *beneath(agent, VACM).items()]:
            lock = name in ((*TARGET, 1, 0), (*VACM, 5, 1, 0))
            again = wire.tlv(tag, contents)
            assert await refused(agent, (name, again)) is (Status.NO_ERROR if lock else Status.NOT_WRITABLE), name
            if lock:
                assert await refused(agent, (name, again), who=b"operative") is Status.NO_ACCESS


@looped
async def test_nobody_sees_access_control_unless_a_view_says_so() -> None:
    async with served() as agent:
        shown = beneath(agent, MODULES, who=b"ordinary")
        assert {name[: len(MODULES) + 1] for name in shown} == {(*MODULES, arc) for arc in (1, 10, 11, 12, 15)}
        assert {name for name in shown if name[: len(TARGET)] == TARGET} == {(*TARGET, 4, 0), (*TARGET, 5, 0)}


@looped
async def test_no_secret_is_in_any_value_or_name() -> None:
    async with served() as agent:
        everything = beneath(agent, (1, 3, 6, 1), who=b"sovereign")
        assert len(everything) > 200
        held = b"\n".join(contents for _, contents in everything.values())
        names = b"\n".join(bytes(arc if arc < 256 else 0 for arc in name) for name in everything)
        for secret in CREDENTIALS:
            assert secret not in names
            assert secret not in held or secret == b"public", "a word that descriptions may use"


@looped
async def test_every_hypervisor_has_the_same_lock() -> None:
    one = snmp_vacm_mib.SnmpVacmMib()
    async with served() as agent:
        places = [one(agent_place) for agent_place in (_place(agent), _place(agent))]
        locks = [
            next(c for c in place.columns(agent.inventory.snapshot) if c.oid == snmp_vacm_mib.VIEW_SPIN_LOCK)
            for place in places
        ]
        assert locks[0].writer is locks[1].writer
        assert list(places[0].notices(None, agent.inventory.snapshot)) == []  # type: ignore[arg-type]


def _place(agent: World) -> Any:
    return Place(
        engine=agent.engine, hypervisor="default", inventory=agent.inventory, operations=agent.operations,
        renew=lambda: None,
    )  # fmt: skip


@looped
async def test_columns_of_a_configuration_that_did_not_change_are_kept() -> None:
    async with served() as agent:
        standard = snmp_vacm_mib.SnmpVacmMib()(_place(agent))
        first = list(standard.columns(agent.inventory.snapshot))
        assert all(a is b for a, b in zip(first, standard.columns(agent.inventory.snapshot), strict=True))


# --- the text


PUBLISHED = ("SNMPv2-MIB", "SNMP-FRAMEWORK-MIB", "SNMP-MPD-MIB", "SNMP-TARGET-MIB", "SNMP-NOTIFICATION-MIB",
             "SNMP-USER-BASED-SM-MIB", "SNMP-VIEW-BASED-ACM-MIB")  # fmt: skip

SERVED = (*PUBLISHED, "NOTIFICATION-LOG-MIB")
"""Also what pysnmp does not have; the text of that one is held against net-snmp's agent and against what is served."""

NOT_PUBLISHED = {"vacmContextStatus"}
"""An object that pysnmp adds to a module of its own accord."""


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    """Our text of the modules, as pysmi's JSON."""
    documents: dict[str, Any] = {}
    writer = CallbackWriter(lambda name, document, _: documents.__setitem__(name, json.loads(document)))
    compiler = MibCompiler(SmiV2Parser(), JsonCodeGen(), writer)
    compiler.add_sources(FileReader(str(generate.checkout() / "mibs" / "standard")))
    outcome = compiler.compile(*PUBLISHED, genTexts=True)
    assert {str(outcome[name]) for name in PUBLISHED} == {"compiled"}
    return documents


@pytest.fixture(scope="module")
def theirs() -> Any:
    """The same modules as pysnmp has them from the RFCs."""
    builder = MibBuilder()
    builder.loadTexts = True
    builder.load_modules(*PUBLISHED)
    return builder.mibSymbols


@pytest.mark.parametrize("module", PUBLISHED)
def test_the_text_has_the_names_and_numbers_of_the_rfc(module: str, ours: Any, theirs: Any) -> None:
    published = {k: v for k, v in theirs[module].items() if not k.startswith("PYSNMP") and k not in NOT_PUBLISHED}
    written = {k: v for k, v in ours[module].items() if k not in ("imports", "meta")}
    assert set(written) == set(published)
    for name, one in written.items():
        other = published[name]
        if "oid" not in one:
            continue
        assert (name, oid(one["oid"])) == (name, tuple(other.name))
        if one.get("nodetype") in ("scalar", "column"):
            assert (name, one["maxaccess"]) == (name, other.maxAccess)
        if one.get("nodetype") == "row":
            indices = tuple((i["implied"], i["module"], i["object"]) for i in one["indices"])
            assert (name, indices) == (name, other.indexNames)


@pytest.mark.parametrize("module", PUBLISHED)
def test_the_text_has_the_ranges_and_defaults_of_the_rfc(module: str, ours: Any, theirs: Any) -> None:
    for name, one in ours[module].items():
        if one.get("nodetype") not in ("scalar", "column"):
            continue
        syntax = theirs[module][name].syntax
        told = one["syntax"].get("constraints", {})
        for low, high in [(s["min"], s["max"]) for s in told.get("size", ())]:
            assert (name, _accepts(syntax, b"x" * low), _accepts(syntax, b"x" * high)) == (name, True, True)
            assert (name, _accepts(syntax, b"x" * (high + 1))) == (name, False)
        for low, high in [(s["min"], s["max"]) for s in told.get("range", ())]:
            assert [_accepts(syntax, n) for n in (low, high)] == [True, True], name
            assert not _accepts(syntax, low - 1), name
        for label, n in told.get("enumeration", {}).items():
            assert (name, syntax.namedValues[label]) == (name, n)


def _accepts(syntax: Any, candidate: Any) -> bool:
    try:
        syntax.clone(candidate)
    except PyAsn1Error:
        return False
    return True


@looped
async def test_what_is_served_is_what_the_text_says() -> None:
    """Every accessible object of these modules, but for users and what is obsolete, has a column, and nothing else does."""
    documents: dict[str, Any] = {}
    writer = CallbackWriter(lambda name, document, _: documents.__setitem__(name, json.loads(document)))
    compiler = MibCompiler(SmiV2Parser(), JsonCodeGen(), writer)
    compiler.add_sources(FileReader(str(generate.checkout() / "mibs" / "standard")))
    compiler.compile(*SERVED)
    told = {
        oid(one["oid"]): one
        for module in SERVED
        for one in documents[module].values()
        if one.get("nodetype") in ("scalar", "column") and one["maxaccess"] not in ("not-accessible", "accessible-for-notify")
    }  # fmt: skip
    expected = {o for o, one in told.items() if one["status"] == "current" and o[: len(USM) + 1] != (*USM, 2)}
    async with served() as agent:
        view = agent.engine.context("default").view()
        served_columns = {c.oid: c for c in view.columns if c.oid[:5] != (1, 3, 6, 1, 4)}
        assert set(served_columns) == expected
        writable = {o for o, c in served_columns.items() if c.writer is not None}
        assert writable == {o for o in expected if told[o]["maxaccess"] == "read-write"}
