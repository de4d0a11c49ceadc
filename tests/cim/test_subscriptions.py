"""Filters, destinations and subscriptions: what may be created, changed and deleted, by whom, and that it is remembered."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pywbem

from agent.access import Principal
from agent.cim import interop
from agent.cim.indications import filters
from agent.cim.indications.subscriptions import CLASSES, MOST_DESTINATIONS, REMOVAL_INTERVAL, Subscriptions
from agent.cim.query import parse
from agent.cim.status import CimError, Status
from agent.errors import Failed
from agent.schema import dmtf
from agent.state import FILE, State
from tests.agents import OBSERVER, OPERATOR, looped
from tests.cim.subscribed import HOST, World, new_destination, new_filter, new_subscription, schema, subscribed

URL = "http://127.0.0.1:5988"


async def refused(doing: Any, status: Status, *words: str) -> CimError:
    """The error with which it ends."""
    with pytest.raises(CimError) as caught:
        await doing
    assert caught.value.status is status, caught.value
    for word in words:
        assert word in caught.value.description
    assert caught.value.recorded
    return caught.value


async def trio(world: World, **more: Any) -> tuple[Any, Any, Any]:
    """A filter, a destination, and a subscription between them: their paths."""
    create = world.subscriptions.create
    wanted = await create(new_filter(), OPERATOR)
    receiver = await create(new_destination(URL), OPERATOR)
    return wanted, receiver, await create(new_subscription(wanted, receiver, **more), OPERATOR)


def read(world: World, path: pywbem.CIMInstanceName) -> pywbem.CIMInstance:
    return next(i for i in world.subscriptions.instances() if i.path == path).copy()


@looped
async def test_keys_that_are_left_out_have_defaults() -> None:
    async with subscribed(started=False) as world:
        path = await world.subscriptions.create(new_filter(), OPERATOR)
        assert dict(path.keybindings) == {
            "SystemCreationClassName": "CIM_ComputerSystem", "SystemName": HOST,
            "CreationClassName": "CIM_IndicationFilter", "Name": "acme:alerts",
        }  # fmt: skip
        assert (path.namespace, path.host) == ("interop", None)
        nameless = await world.subscriptions.create(new_filter(None), OPERATOR)
        assert nameless["Name"].startswith("virtmap:filter:")
        await refused(world.subscriptions.create(new_filter(), OPERATOR), Status.ALREADY_EXISTS, "acme:alerts")


@looped
async def test_keys_that_are_sent_are_kept() -> None:
    async with subscribed(started=False) as world:
        made = new_filter(SystemName="elsewhere", SystemCreationClassName="CIM_UnitaryComputerSystem")
        path = await world.subscriptions.create(made, OPERATOR)
        assert (path["SystemName"], path["SystemCreationClassName"]) == ("elsewhere", "CIM_UnitaryComputerSystem")
        wrong = new_filter(CreationClassName="CIM_Other")
        await refused(world.subscriptions.create(wrong, OPERATOR), Status.INVALID_PARAMETER, "CreationClassName")


@looped
async def test_instances_have_every_property_of_their_class_and_its_types() -> None:
    async with subscribed(started=False) as world:
        await trio(world, SubscriptionDuration=pywbem.Uint64(60))
        shown = world.subscriptions.instances()
        assert {i.classname.lower() for i in shown} < CLASSES
        for each in shown:
            declared = dmtf.inherited_properties(each.classname)
            assert {p.name: (p.type, bool(p.is_array)) for p in each.properties.values()} == {
                p.name: (p.type, p.array) for p in declared.values()
            }
            assert set(each.path.keybindings) == {p.name for p in declared.values() if p.key}
            each.tocimxmlstr()


@looped
async def test_a_subscription_is_filled_with_what_it_means() -> None:
    async with subscribed(started=False) as world:
        wanted, receiver, path = await trio(world)
        assert dict(path.keybindings) == {"Filter": wanted, "Handler": receiver}
        shown = read(world, path)
        assert shown["SubscriptionState"] == 2
        assert shown["OnFatalErrorPolicy"] == 2
        assert shown["FailureTriggerTimeInterval"] == REMOVAL_INTERVAL
        assert shown["RepeatNotificationPolicy"] == 2
        assert shown["SubscriptionDuration"] is None
        assert shown["SubscriptionTimeRemaining"] is None
        assert shown["SubscriptionStartTime"].datetime.timestamp() == world.clock[0]
        assert shown["TimeOfLastStateChange"] == shown["SubscriptionStartTime"]
        destination = read(world, receiver)
        assert (destination["PersistenceType"], destination["Protocol"], destination["Destination"]) == (2, 2, URL)


@looped
async def test_a_subscription_to_a_transient_destination_goes_with_it() -> None:
    async with subscribed(started=False) as world:
        wanted = await world.subscriptions.create(new_filter(), OPERATOR)
        transient = new_destination(URL, PersistenceType=pywbem.Uint16(3))
        receiver = await world.subscriptions.create(transient, OPERATOR)
        path = await world.subscriptions.create(new_subscription(wanted, receiver), OPERATOR)
        assert read(world, path)["OnFatalErrorPolicy"] == 4


@looped
async def test_static_filters_are_there_and_stay_as_they_are() -> None:
    async with subscribed(started=False) as world:
        static = {i["Name"]: i for i in world.of("CIM_IndicationFilter")}
        names = ("DomainLifecycle", "Alerts", "Grave", "Alarms", "Changes", "All")
        assert set(static) == {f"virtmap:static:{name}" for name in names}
        assert static["virtmap:static:Alerts"]["SourceNamespaces"] == ["root/virtmap"]
        one = static["virtmap:static:All"].copy()
        await refused(world.subscriptions.delete(one.path, OPERATOR), Status.NOT_SUPPORTED, "static")
        one["Query"] = "SELECT * FROM CIM_InstIndication"
        await refused(world.subscriptions.modify(one, None, OPERATOR), Status.NOT_SUPPORTED, "static")
        taken = new_filter("virtmap:static:mine")
        await refused(world.subscriptions.create(taken, OPERATOR), Status.INVALID_PARAMETER, "static")
        receiver = await world.subscriptions.create(new_destination(URL), OPERATOR)
        await world.subscriptions.create(new_subscription(one.path, receiver), OPERATOR)


def test_a_static_filter_of_a_class_that_is_not_there_is_not_either() -> None:
    async def audit(principal: Principal, operation: str, target: str, result: str) -> None:
        """Nothing is recorded."""

    state = State(":memory:")
    made = Subscriptions(
        state, audit, host=HOST, objection=lambda q: "no" if q.source == "Virtmap_DomainLifecycle" else None
    )
    assert [i["ElementName"] for i in made.instances()] == ["Alerts", "Grave", "Alarms", "Changes", "All"]
    state.close()


@pytest.mark.parametrize(
    ("query", "objection"),
    [
        ("SELECT * FROM CIM_Indication", None),
        ("SELECT * FROM cim_indication WHERE ALERTTYPE = 1", None),
        ("SELECT Description FROM CIM_AlertIndication WHERE PerceivedSeverity > 4", None),
        ("SELECT * FROM CIM_Alert", "there is no class CIM_Alert"),
        ("SELECT * FROM CIM_ComputerSystem", "CIM_ComputerSystem is no class of indications"),
        ("SELECT * FROM CIM_AlertIndication WHERE Colour = 1", "CIM_AlertIndication has no property colour"),
        ("SELECT Colour FROM CIM_AlertIndication", "CIM_AlertIndication has no property Colour"),
    ],
)
def test_queries_that_nothing_can_match_are_objected_to(query: str, objection: str | None) -> None:
    assert filters.objections(schema())(parse("DMTF:CQL", query)) == objection


@pytest.mark.parametrize(
    ("wrong", "status", "word"),
    [
        (new_filter(query="SELECT FROM"), Status.INVALID_QUERY, "Query: "),
        (new_filter(query=""), Status.INVALID_PARAMETER, "needs a Query"),
        (new_filter(QueryLanguage="XQuery"), Status.QUERY_LANGUAGE_NOT_SUPPORTED, "XQuery"),
        (new_filter(query="AlertType = 1", QueryLanguage="DMTF:FQL"), Status.QUERY_LANGUAGE_NOT_SUPPORTED, "FQL"),
        (new_filter(Colour="red"), Status.NO_SUCH_PROPERTY, "Colour"),
        (new_filter(SourceNamespaces="root/virtmap"), Status.TYPE_MISMATCH, "SourceNamespaces"),
        (new_filter("a:b\nc"), Status.INVALID_PARAMETER, "control characters"),
        (new_filter("n" * 257), Status.INVALID_PARAMETER, "257 characters"),
        (new_filter(SourceNamespaces=["x"] * 33), Status.INVALID_PARAMETER, "more than 32"),
        (new_destination(""), Status.INVALID_PARAMETER, "needs the URL"),
        (new_destination("http://user@127.0.0.1"), Status.INVALID_PARAMETER, "Destination: "),
        (new_destination("http://192.0.2.1"), Status.ACCESS_DENIED, "cim.indication_destinations"),
        (new_destination(URL, PersistenceType=pywbem.Uint16(9)), Status.INVALID_PARAMETER, "PersistenceType 9"),
        (new_destination(URL, PersistenceType=pywbem.Uint16(1)), Status.INVALID_PARAMETER, "OtherPersistenceType"),
        (new_destination(URL, PersistenceType=pywbem.Uint32(2)), Status.TYPE_MISMATCH, "uint16"),
        (new_destination(URL, Protocol=pywbem.Uint16(4)), Status.NOT_SUPPORTED, "Protocol 4"),
        (pywbem.CIMInstance("CIM_ListenerDestination"), Status.NOT_SUPPORTED, "CIM_ListenerDestination"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_not_created(wrong: Any, status: Status, word: str) -> None:
    async def check() -> None:
        async with subscribed(started=False) as world:
            before = world.subscriptions.instances()
            error = await refused(world.subscriptions.create(wrong, OPERATOR), status, word)
            assert world.subscriptions.instances() is before
            ((who, operation, target, result),) = world.records
            assert (who, operation, result) == ("worker", "CreateInstance", f"refused: {error.description}")
            assert target.startswith(f"{wrong.classname} ")

    looped(check)()


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("RepeatNotificationPolicy", pywbem.Uint16(3), Status.NOT_SUPPORTED),
        ("RepeatNotificationPolicy", pywbem.Uint16(7), Status.INVALID_PARAMETER),
        ("RepeatNotificationCount", pywbem.Uint16(3), Status.NOT_SUPPORTED),
        ("OnFatalErrorPolicy", pywbem.Uint16(1), Status.NOT_SUPPORTED),
        ("OnFatalErrorPolicy", pywbem.Uint16(9), Status.INVALID_PARAMETER),
        ("OtherOnFatalErrorPolicy", "call somebody", Status.INVALID_PARAMETER),
        ("SubscriptionState", pywbem.Uint16(3), Status.NOT_SUPPORTED),
    ],
)  # fmt: skip
def test_a_subscription_that_asks_for_more_than_there_is_is_refused(name: str, value: Any, status: Status) -> None:
    async def check() -> None:
        async with subscribed(started=False) as world:
            wanted = await world.subscriptions.create(new_filter(), OPERATOR)
            receiver = await world.subscriptions.create(new_destination(URL), OPERATOR)
            made = new_subscription(wanted, receiver, **{name: value})
            await refused(world.subscriptions.create(made, OPERATOR), status, name)

    looped(check)()


@looped
async def test_a_subscription_needs_both_of_its_ends() -> None:
    async with subscribed(started=False) as world:
        wanted, receiver, _ = await trio(world)
        create = world.subscriptions.create
        other = receiver.copy()
        other["Name"] = "acme:other"
        await refused(create(new_subscription(wanted, other), OPERATOR), Status.INVALID_PARAMETER, "acme:other")
        await refused(create(new_subscription(receiver, wanted), OPERATOR), Status.INVALID_PARAMETER, "Filter")
        elsewhere = wanted.copy()
        elsewhere.namespace = "root/cimv2"
        await refused(create(new_subscription(elsewhere, receiver), OPERATOR), Status.INVALID_PARAMETER, "Filter")
        await refused(create(new_subscription(wanted, receiver), OPERATOR), Status.ALREADY_EXISTS, "acme:console")
        bare = pywbem.CIMInstance("CIM_IndicationSubscription", properties={"Filter": wanted})
        await refused(create(bare, OPERATOR), Status.INVALID_PARAMETER, "Handler")
        lonely = await create(new_filter("acme:group", IndividualSubscriptionSupported=False), OPERATOR)
        await refused(create(new_subscription(lonely, receiver), OPERATOR), Status.NOT_SUPPORTED, "acme:group")


@looped
async def test_the_other_name_of_the_namespace_and_any_host_are_the_same() -> None:
    async with subscribed(started=False) as world:
        wanted, receiver, path = await trio(world)
        for each in (wanted, receiver, path, path["Filter"]):
            each.namespace, each.host = "root/interop", "suite.example.net:5989"
        await refused(world.subscriptions.create(new_subscription(wanted, receiver), OPERATOR), Status.ALREADY_EXISTS)
        await world.subscriptions.delete(path, OPERATOR)
        await world.subscriptions.delete(wanted, OPERATOR)
        await world.subscriptions.delete(receiver, OPERATOR)
        assert not world.of("CIM_ListenerDestinationCIMXML")


@looped
async def test_what_a_subscription_refers_to_cannot_go() -> None:
    async with subscribed(started=False) as world:
        wanted, receiver, path = await trio(world)
        for each in (wanted, receiver):
            await refused(world.subscriptions.delete(each, OPERATOR), Status.FAILED, "of acme:alerts to acme:console")
        await world.subscriptions.delete(path, OPERATOR)
        await refused(world.subscriptions.delete(path, OPERATOR), Status.NOT_FOUND)
        await world.subscriptions.delete(wanted, OPERATOR)
        await refused(world.subscriptions.delete(wanted, OPERATOR), Status.NOT_FOUND, "acme:alerts")
        await world.subscriptions.delete(receiver, OPERATOR)


@looped
async def test_who_may_only_observe_changes_nothing() -> None:
    async with subscribed(started=False) as world:
        wanted, _, path = await trio(world)
        world.records.clear()
        await refused(world.subscriptions.create(new_filter("acme:more"), OBSERVER), Status.ACCESS_DENIED, "operate")
        await refused(world.subscriptions.modify(read(world, wanted), None, OBSERVER), Status.ACCESS_DENIED)
        await refused(world.subscriptions.delete(path, OBSERVER), Status.ACCESS_DENIED)
        assert [(who, operation) for who, operation, _, _ in world.records] == [
            ("watcher", "CreateInstance"), ("watcher", "ModifyInstance"), ("watcher", "DeleteInstance"),
        ]  # fmt: skip
        assert all(result.startswith("refused: ") for *_, result in world.records)


@looped
async def test_each_change_is_recorded_with_what_it_was_made_to() -> None:
    async with subscribed(started=False) as world:
        _, _, path = await trio(world)
        await world.subscriptions.delete(path, OPERATOR)
        assert world.records == [
            ("worker", "CreateInstance", "CIM_IndicationFilter acme:alerts", "done"),
            ("worker", "CreateInstance", "CIM_ListenerDestinationCIMXML acme:console", "done"),
            ("worker", "CreateInstance", "CIM_IndicationSubscription of acme:alerts to acme:console", "done"),
            ("worker", "DeleteInstance", "CIM_IndicationSubscription of acme:alerts to acme:console", "done"),
        ]


@looped
async def test_an_instance_that_was_read_can_be_changed_and_sent_back() -> None:
    async with subscribed(started=False) as world:
        wanted, receiver, path = await trio(world, SubscriptionDuration=pywbem.Uint64(100))
        world.clock[0] += 10
        shown = read(world, path)
        assert shown["SubscriptionTimeRemaining"] == 90
        world.clock[0] += 10
        shown["SubscriptionDuration"] = pywbem.Uint64(200)
        await world.subscriptions.modify(shown, None, OPERATOR)
        assert read(world, path)["SubscriptionTimeRemaining"] == 180
        query = read(world, wanted)
        query["Query"] = "SELECT * FROM CIM_AlertIndication WHERE PerceivedSeverity > 4"
        await world.subscriptions.modify(query, None, OPERATOR)
        moved = read(world, receiver)
        moved["Destination"] = "https://127.0.0.1:5989/there"
        await world.subscriptions.modify(moved, frozenset(("destination",)), OPERATOR)
        assert read(world, wanted)["Query"].endswith("> 4")
        assert read(world, receiver)["Destination"] == "https://127.0.0.1:5989/there"


@looped
async def test_what_cannot_be_changed_stays() -> None:
    async with subscribed(started=False) as world:
        wanted, receiver, path = await trio(world)
        modify = world.subscriptions.modify
        shown = read(world, wanted)
        shown["Query"] = "SELECT nothing"
        await refused(modify(shown, None, OPERATOR), Status.INVALID_QUERY)
        shown = read(world, wanted)
        shown.properties["Name"] = pywbem.CIMProperty("Name", "acme:other")
        await refused(modify(shown, None, OPERATOR), Status.INVALID_PARAMETER, "Name is a key")
        shown = read(world, receiver)
        shown["Destination"] = "http://192.0.2.1"
        await refused(modify(shown, None, OPERATOR), Status.ACCESS_DENIED)
        shown = read(world, receiver)
        shown["Protocol"] = pywbem.Uint16(3)
        await refused(modify(shown, frozenset(("protocol",)), OPERATOR), Status.NOT_SUPPORTED, "Protocol")
        shown = read(world, path)
        shown["SubscriptionStartTime"] = pywbem.CIMDateTime("20200101000000.000000+000")
        await refused(modify(shown, None, OPERATOR), Status.NOT_SUPPORTED, "SubscriptionStartTime")
        assert read(world, receiver)["Destination"] == URL


@looped
async def test_disabling_dates_the_change() -> None:
    async with subscribed(started=False) as world:
        _, _, path = await trio(world)
        world.clock[0] += 60
        shown = read(world, path)
        shown["SubscriptionState"] = pywbem.Uint16(4)
        await world.subscriptions.modify(shown, frozenset(("subscriptionstate",)), OPERATOR)
        assert read(world, path)["TimeOfLastStateChange"].datetime.timestamp() == world.clock[0]
        assert world.subscriptions.active() == []


@looped
async def test_a_subscription_that_is_over_is_gone() -> None:
    async with subscribed(started=False) as world:
        wanted, receiver, path = await trio(world, SubscriptionDuration=pywbem.Uint64(100))
        assert len(world.subscriptions.active()) == 1
        world.clock[0] += 100
        assert world.subscriptions.active() == []
        assert not world.of("CIM_IndicationSubscription")
        await refused(world.subscriptions.delete(path, OPERATOR), Status.NOT_FOUND)
        await world.subscriptions.create(new_subscription(wanted, receiver), OPERATOR)
        assert len(world.state.created("subscription")) == 1


@looped
async def test_a_duration_that_is_as_long_as_can_be_is_shown() -> None:
    async with subscribed(started=False) as world:
        _, _, path = await trio(world, SubscriptionDuration=pywbem.Uint64(2**64 - 1))
        assert read(world, path)["SubscriptionTimeRemaining"] == 2**64 - 1


@looped
async def test_whether_a_subscription_is_in_force_is_known_by_its_id() -> None:
    async with subscribed(started=False) as world:
        _, _, path = await trio(world, SubscriptionDuration=pywbem.Uint64(100))
        ((one, *_),) = world.subscriptions.active()
        assert world.subscriptions.in_force(one.id)
        assert not world.subscriptions.in_force("another")
        shown = read(world, path)
        for state, is_enabled in ((4, False), (2, True)):
            shown["SubscriptionState"] = pywbem.Uint16(state)
            await world.subscriptions.modify(shown, frozenset(("subscriptionstate",)), OPERATOR)
            assert world.subscriptions.in_force(one.id) is is_enabled
        world.clock[0] += 100
        assert not world.subscriptions.in_force(one.id)


# --- what is kept of what is shown


@looped
async def test_as_long_as_nothing_changes_the_same_is_shown() -> None:
    async with subscribed(started=False) as world:
        wanted, receiver, _ = await trio(world)
        shown, associated = world.subscriptions.instances(), world.subscriptions.associations()
        world.clock[0] += 1000
        await refused(world.subscriptions.create(new_filter(), OPERATOR), Status.ALREADY_EXISTS)
        assert world.subscriptions.instances() is shown
        wanted["Name"] = receiver["Name"] = "those that were given are the caller's"
        await world.subscriptions.create(new_destination(URL, "acme:other"), OPERATOR)
        more = world.subscriptions.instances()
        assert len(more) == len(shown) + 1
        assert {id(i) for i in shown} < {id(i) for i in more}
        assert {id(i) for i in associated} < {id(i) for i in world.subscriptions.associations()}
        assert "acme:alerts" in {i.path.get("Name") for i in more}


@looped
async def test_what_is_changed_is_made_anew_and_nothing_else() -> None:
    async with subscribed(started=False) as world:
        wanted, _, _ = await trio(world)
        shown, associated = world.subscriptions.instances(), world.subscriptions.associations()
        changed = read(world, wanted)
        changed["ElementName"] = "Alerts of ours"
        await world.subscriptions.modify(changed, None, OPERATOR)
        new = [i for i in world.subscriptions.instances() if id(i) not in {id(each) for each in shown}]
        assert [i["ElementName"] for i in new] == ["Alerts of ours"]
        assert world.subscriptions.associations() is associated


@looped
async def test_time_passes_for_subscriptions_with_a_duration_only() -> None:
    async with subscribed(started=False) as world:
        _, receiver, path = await trio(world, SubscriptionDuration=pywbem.Uint64(100))
        other = await world.subscriptions.create(new_filter("acme:other"), OPERATOR)
        lasting = await world.subscriptions.create(new_subscription(other, receiver), OPERATOR)
        shown, associated = world.subscriptions.instances(), world.subscriptions.associations()
        world.clock[0] += 0.5
        assert world.subscriptions.instances() is shown
        world.clock[0] += 0.5
        later = world.subscriptions.instances()
        assert [i.path for i in later if id(i) not in {id(each) for each in shown}] == [path]
        assert (read(world, path)["SubscriptionTimeRemaining"], read(world, lasting)["SubscriptionTimeRemaining"]) == (
            99, None,
        )  # fmt: skip
        assert next(i for i in shown if i.path == path)["SubscriptionTimeRemaining"] == 100
        world.clock[0] += 98.75
        assert read(world, path)["SubscriptionTimeRemaining"] == 0
        world.clock[0] += 0.25
        assert path not in [i.path for i in world.subscriptions.instances()]
        assert world.subscriptions.associations() is associated
        world.clock[0] -= 50  # somebody sets the clock
        assert read(world, path)["SubscriptionTimeRemaining"] == 50


# --- what goes by itself


@looped
async def test_a_transient_destination_goes_with_the_last_subscription_that_is_over() -> None:
    async with subscribed(started=False) as world:
        create, kept = world.subscriptions.create, []
        wanted = await create(new_filter(), OPERATOR)
        other = await create(new_filter("acme:other"), OPERATOR)
        for name, persistence in (("lasting", 2), ("used", 3), ("left", 3), ("fresh", 3)):
            made = new_destination(URL, f"acme:{name}", PersistenceType=pywbem.Uint16(persistence))
            receiver = await create(made, OPERATOR)
            if name != "fresh":
                await create(new_subscription(wanted, receiver, SubscriptionDuration=pywbem.Uint64(100)), OPERATOR)
            if name == "used":
                kept.append(await create(new_subscription(other, receiver), OPERATOR))
        world.clock[0] += 100
        await create(new_filter("acme:more"), OPERATOR)
        names = {i["Name"] for i in world.of("CIM_ListenerDestinationCIMXML")}
        assert names == {"acme:lasting", "acme:used", "acme:fresh"}
        assert len(world.state.created("destination")) == 3
        removed = ("virtmap", "RemoveDestination", "CIM_ListenerDestinationCIMXML acme:left", "done")
        assert [r for r in world.records if r[0] == "virtmap"] == [removed]
        await world.subscriptions.delete(kept[0], OPERATOR)  # who deletes may subscribe again
        assert {i["Name"] for i in world.of("CIM_ListenerDestinationCIMXML")} == names


@looped
async def test_names_from_anywhere_are_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with subscribed(started=False) as world:
        wanted = await world.subscriptions.create(new_filter("acme:\u2028forged \x85" + "x" * 240), OPERATOR)
        receiver = await world.subscriptions.create(new_destination(URL, "acme:\u202e" + "y" * 240), OPERATOR)
        lasts = new_subscription(wanted, receiver, SubscriptionDuration=pywbem.Uint64(1))
        await world.subscriptions.create(lasts, OPERATOR)
        world.clock[0] += 1
        await world.subscriptions.create(new_filter(), OPERATOR)
    (line,) = [r.getMessage() for r in caplog.records if "is over" in r.getMessage()]
    assert line.isprintable()
    assert len(line) < 500


@looped
async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async with subscribed(tmp_path, started=False) as world:
        await trio(world, SubscriptionInfo="night shift", SubscriptionDuration=pywbem.Uint64(10**6))
        old = world.subscriptions.create
        await old(new_destination("https://[::1]:5989/x", "acme:old", "CIM_IndicationHandlerCIMXML"), OPERATOR)
        before = {str(i.path): i.tocimxmlstr() for i in world.subscriptions.instances()}
        ids = set(world.subscriptions.destinations())
    async with subscribed(tmp_path, started=False) as world:
        assert {str(i.path): i.tocimxmlstr() for i in world.subscriptions.instances()} == before
        assert set(world.subscriptions.destinations()) == ids


@looped
async def test_what_was_kept_and_is_of_no_use_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with subscribed(tmp_path, started=False) as world:
        await trio(world)
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("update created set content = '{' where kind = 'filter'")
        db.commit()
    async with subscribed(tmp_path, started=False) as world:
        assert len(world.of("CIM_ListenerDestinationCIMXML")) == 1
        assert not world.of("CIM_IndicationSubscription")
    assert "is of no use any more" in caplog.text


@looped
async def test_what_cannot_be_written_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async with subscribed(started=False) as world:

        def full(*args: object) -> None:
            raise Failed("the state file cannot be written: database or disk is full")

        monkeypatch.setattr(world.state, "keep_created", full)
        await refused(world.subscriptions.create(new_filter(), OPERATOR), Status.FAILED, "disk is full")
        assert len(world.of("CIM_IndicationFilter")) == 6


@looped
async def test_there_can_be_so_many_and_no_more() -> None:
    async with subscribed(started=False) as world:
        for number in range(MOST_DESTINATIONS):
            await world.subscriptions.create(new_destination(URL, f"acme:{number}"), OPERATOR)
        more = new_destination(URL, "acme:more")
        await refused(world.subscriptions.create(more, OPERATOR), Status.SERVER_LIMITS_EXCEEDED, "acme:more")


@looped
async def test_the_service_is_associated_with_what_it_manages() -> None:
    async with subscribed(started=False) as world:
        wanted, receiver, _ = await trio(world)
        affected = {i["AffectedElement"] for i in world.subscriptions.associations()}
        assert {wanted, receiver} < affected
        assert {i["AffectingElement"] for i in world.subscriptions.associations()} == {interop.service_path(HOST)}
