"""Delivery of indications: to whom, in which order and with which numbers, and what is done when a listener fails."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pywbem

from agent.__main__ import STOP_LIMIT
from agent.access import Principal
from agent.cim import interop
from agent.cim.accounts import Accounts
from agent.cim.indications.delivery import RETRY_INTERVAL, Delivery, Pace, retry_attempts
from agent.cim.indications.export import LONGEST_ANSWER
from agent.cim.indications.subscriptions import Subscriptions
from agent.cim.indications.trust import trusting
from agent.cim.provider import Provider
from agent.cim.server import Server
from agent.cim.service import Service
from agent.cim.status import CimError, Status
from agent.config import Cim, Config, Endpoint, Hypervisor, Receivers, StateSettings
from agent.errors import ConfigError, Failed
from agent.events import Events
from agent.inventory import Inventory
from agent.operations import Operations
from agent.schema import dmtf
from agent.schema.declare import Access
from agent.state import INFORMS, Queued, State
from drivers.fake import Fake
from tests.agents import OBSERVER, OPERATOR, QUIET, Trail, looped, until
from tests.authorities import Authority
from tests.cim.served import DEFINER, account
from tests.cim.subscribed import (
    COMPLAINS,
    HOST,
    QUICK,
    TAKEN,
    alert,
    answering,
    free_port,
    listening,
    names,
    new_destination,
    new_filter,
    new_subscription,
    pywbem_listener,
    schema,
    subscribed,
    value,
)

# --- what is sent


@looped
async def test_indications_arrive_in_order_with_their_numbers() -> None:
    with pywbem_listener() as heard:
        async with subscribed() as world:
            await world.subscribe(heard.url)
            told = [f"alert {n} <&\u2026>" for n in range(20)]
            await world.tell(*told)
            came = await heard.some(20)
    assert [i["Description"] for i in came] == told
    assert [i["SequenceNumber"] for i in came] == list(range(20))
    assert {i.properties["SequenceNumber"].type for i in came} == {"sint64"}
    (context,) = {i["SequenceContext"] for i in came}
    assert context.count("#") == 2
    assert context.startswith(f"{interop.service_path(HOST)['Name']}#")
    assert {i["IndicationFilterName"] for i in came} == {"acme:filter-console"}
    assert len({i["IndicationIdentifier"] for i in came}) == 20
    assert {i["IndicationTime"].datetime.timestamp() for i in came} == {world.clock[0]}


@looped
async def test_the_request_is_that_of_the_standard() -> None:
    async with listening() as listener, subscribed() as world:
        await world.subscribe(listener.url + "/indications?of=virtmap")
        await world.tell("a")
        await until(lambda: listener.bodies)
    head = listener.heads[0].splitlines()
    assert head[0] == "POST /indications?of=virtmap HTTP/1.1"
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    assert fields["content-type"] == 'application/xml; charset="utf-8"'
    assert (fields["cimexport"], fields["cimexportmethod"]) == ("MethodRequest", "ExportIndication")
    assert "cookie" not in fields
    assert "authorization" not in fields


@pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS:DeprecationWarning")  # it is pywbem's
@looped
async def test_https_is_checked_with_the_configured_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "listeners")
    signed = authority.sign("listener", server=True)
    with pywbem_listener((signed.certificate, signed.key)) as heard:
        async with subscribed(trust=trusting(authority.certificate)) as world:
            path = await world.subscribe(heard.url)
            await world.tell("safe")
            assert [i["Description"] for i in await heard.some(1)] == ["safe"]
            await until(lambda: world.delivery.counters(path).delivered)
        async with subscribed() as world:  # the system does not trust that authority
            path = await world.subscribe(heard.url)
            await world.tell("unsafe")
            await until(lambda: world.delivery.counters(path).failures > 1)
            assert world.delivery.counters(path).delivered == 0


def test_an_authority_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cim\.indication_ca: .*No such file"):
        trusting(str(tmp_path / "absent.pem"))
    (tmp_path / "empty.pem").touch()
    with pytest.raises(ConfigError, match=r"cim\.indication_ca"):
        trusting(str(tmp_path / "empty.pem"))


@looped
async def test_filters_choose_by_class_condition_and_namespace() -> None:
    async with listening() as listener, subscribed() as world:
        await world.subscribe(listener.url, "SELECT * FROM CIM_Indication WHERE PerceivedSeverity >= 5", "grave")
        publish = world.delivery.publish
        assert await publish(alert("mild", 3), "root/virtmap") == 0
        assert await publish(alert("elsewhere", 6), "root/cimv2") == 0
        assert await publish(alert("grave", 6), "/root/VIRTMAP/") == 1
        creation = pywbem.CIMInstance("CIM_InstCreation", properties={"PerceivedSeverity": pywbem.Uint16(7)})
        assert await publish(creation, "root/virtmap") == 1
        assert await publish(pywbem.CIMInstance("Virtmap_Unknown"), "root/virtmap") == 0
        await world.subscribe(listener.url, "SELECT * FROM CIM_InstIndication", "instances")
        assert await publish(alert("grave again", 6), "root/virtmap") == 1
        assert await publish(creation, "root/virtmap") == 2
        assert world.delivery.wanted("CIM_InstDeletion", "root/virtmap")
        assert not world.delivery.wanted("CIM_InstDeletion", "root/cimv2")
        await until(lambda: len(listener.bodies) == 5)


@looped
async def test_a_filter_that_names_no_namespace_is_asked_of_all() -> None:
    async with listening() as listener, subscribed() as world:
        wanted = await world.subscriptions.create(
            pywbem.CIMInstance(
                "CIM_IndicationFilter", properties={"Name": "a:b", "Query": "SELECT * FROM CIM_Indication"}
            ),
            OPERATOR,
        )
        receiver = await world.subscriptions.create(new_destination(listener.url), OPERATOR)
        made = pywbem.CIMInstance("CIM_IndicationSubscription", properties={"Filter": wanted, "Handler": receiver})
        await world.subscriptions.create(made, OPERATOR)
        for namespace in ("root/virtmap", "root/cimv2", "interop"):
            assert await world.delivery.publish(alert("a"), namespace) == 1
        old = new_filter("a:c", "SELECT * FROM CIM_Indication", SourceNamespaces=None, SourceNamespace="root/interop")
        path = await world.subscriptions.create(old, OPERATOR)
        made["Filter"] = path
        await world.subscriptions.create(made, OPERATOR)
        assert await world.delivery.publish(alert("a"), "interop") == 2
        assert await world.delivery.publish(alert("a"), "root/virtmap") == 1
        await until(lambda: len(listener.bodies) == 6)


@looped
async def test_conditions_look_into_embedded_instances() -> None:
    query = "SELECT * FROM CIM_InstModification WHERE SourceInstance.CIM_AlertIndication::PerceivedSeverity = 6"
    async with listening() as listener, subscribed() as world:
        await world.subscribe(listener.url, query)
        for severity in (5, 6):
            change = pywbem.CIMInstance("CIM_InstModification")
            change["SourceInstance"] = pywbem.CIMProperty(
                "SourceInstance", alert("within", severity), embedded_object="instance"
            )
            await world.delivery.publish(change, "root/virtmap")
        await until(lambda: listener.bodies)
    assert len(listener.bodies) == 1
    assert "within" in value(listener.bodies[0], "SourceInstance")


@looped
async def test_the_select_list_leaves_out_what_it_does_not_name() -> None:
    async with listening() as listener, subscribed() as world:
        await world.subscribe(listener.url, "SELECT description FROM CIM_AlertIndication")
        await world.tell("a")
        await until(lambda: listener.bodies)
    assert set(names(listener.bodies[0])) == {
        "Description", "IndicationIdentifier", "IndicationTime", "IndicationFilterName", "SequenceContext",
        "SequenceNumber",
    }  # fmt: skip


@looped
async def test_destinations_count_for_themselves_and_do_not_wait_for_each_other() -> None:
    stuck = asyncio.Event()

    async def hang(number: int) -> None:
        await stuck.wait()

    async with listening(hang) as silent, listening() as listener, subscribed() as world:
        await world.subscribe(silent.url, name="silent")
        await world.subscribe(listener.url, name="good")
        await world.tell("a", "b", "c")
        await until(lambda: len(listener.bodies) == 3)
        await until(lambda: silent.bodies)
        assert listener.numbers == [0, 1, 2]
        assert silent.numbers == [0]
        assert value(silent.bodies[0], "SequenceContext") != value(listener.bodies[0], "SequenceContext")
        stuck.set()


@looped
async def test_the_number_after_the_last_is_zero() -> None:
    async with listening() as listener, subscribed() as world:
        await world.subscribe(listener.url)
        (channel,) = world.delivery._channels.values()
        channel._number = 2**63 - 1
        await world.tell("a", "b")
        await until(lambda: len(listener.bodies) == 2)
        assert listener.numbers == [2**63 - 1, 0]


# --- listeners that fail


@pytest.mark.parametrize(
    "bad",
    [
        (500, ""), (503, TAKEN), (401, ""), (302, ""), (200, ""), (200, "<html/>"), (200, "what?"), None,
        (200, "<!DOCTYPE x [<!ENTITY a 'b'>]>" + TAKEN), (200, TAKEN + " " * LONGEST_ANSWER), (200, COMPLAINS.format(1)),
    ],
)  # fmt: skip
def test_an_answer_that_is_wrong_is_an_attempt_that_failed(bad: tuple[int, str] | None) -> None:
    async def check() -> None:
        async with listening(answering(bad, bad)) as listener, subscribed() as world:
            path = await world.subscribe(listener.url)
            await world.tell("a", "b")
            await until(lambda: world.delivery.counters(path).delivered == 2)
            assert listener.texts == ["a", "a", "a", "b"]
            assert listener.numbers == [0, 0, 0, 1]
            assert len(set(listener.bodies)) == 2
            assert all(head.startswith("POST / ") for head in listener.heads)
            assert world.delivery.counters(path).failures == 2

    looped(check)()


@pytest.mark.parametrize(
    "bad", [(400, ""), (406, ""), (501, ""), (200, COMPLAINS.format(4)), (200, COMPLAINS.format(7))]
)
def test_what_a_listener_would_refuse_again_is_not_sent_again(bad: tuple[int, str]) -> None:
    async def check() -> None:
        async with listening(answering(bad)) as listener, subscribed() as world:
            path = await world.subscribe(listener.url)
            await world.tell("a", "b")
            await until(lambda: world.delivery.counters(path).delivered == 1)
            assert listener.texts == ["a", "b"]
            assert world.delivery.counters(path).refused == 1

    looped(check)()


@looped
async def test_a_listener_that_hangs_is_not_waited_for() -> None:
    held = asyncio.Event()

    async def hang_once(number: int) -> tuple[int, str]:
        if number == 0:
            await held.wait()
        return 200, TAKEN

    impatient = Pace(interval=0.005, longest=0.02, answer=0.2)
    async with listening(hang_once) as listener, subscribed(pace=impatient) as world:
        path = await world.subscribe(listener.url)
        await world.tell("a")
        await until(lambda: world.delivery.counters(path).delivered == 1)
        assert listener.texts == ["a", "a"]
        held.set()


@looped
async def test_a_listener_that_comes_later_gets_everything_in_order() -> None:
    port = free_port()
    async with subscribed() as world:
        path = await world.subscribe(f"http://127.0.0.1:{port}")
        await world.tell(*"abc")
        await until(lambda: world.delivery.counters(path).failures >= 3)
        async with listening(port=port) as listener:
            await until(lambda: world.delivery.counters(path).delivered == 3)
            assert listener.texts == ["a", "b", "c"]
            assert listener.numbers == [0, 1, 2]


def test_pauses_grow_up_to_the_longest() -> None:
    pace = Pace(interval=5, longest=300)
    assert [pace.pause(n) for n in (1, 2, 3, 6, 7, 8, 10**6)] == [5, 10, 20, 160, 300, 300, 300]


def test_the_retries_that_are_shown_are_those_that_have_room_in_the_expiry() -> None:
    assert retry_attempts(RETRY_INTERVAL - 1) == 0
    assert retry_attempts(5 + 10 + 20) == 3
    assert retry_attempts(3600) == 16
    assert retry_attempts(10**9) == 0xFFFF


@looped
async def test_an_indication_is_given_up_after_its_last_retry() -> None:
    async with subscribed(pace=Pace(interval=0.01, longest=0.01), expiry=0.035) as world:
        assert world.delivery.retry_attempts == 3
        path = await world.subscribe(f"http://127.0.0.1:{free_port()}")
        await world.tell("a")
        await until(lambda: world.delivery.counters(path).expired == 1)
        assert world.delivery.counters(path).failures == 4
        await until(lambda: not world.state.queues())


@looped
async def test_an_indication_expires_and_the_next_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    async with subscribed(expiry=60.0) as world:
        path = await world.subscribe(f"http://127.0.0.1:{port}")
        await world.tell("old")
        await until(lambda: world.delivery.counters(path).failures)
        world.clock[0] += 61
        await world.tell("new")
        async with listening(port=port) as listener:
            await until(lambda: world.delivery.counters(path).delivered == 1)
            assert listener.texts == ["new"]
            assert listener.numbers == [1]
        assert world.delivery.counters(path).expired == 1
    assert "expire before they can be delivered" in caplog.text


@looped
async def test_a_full_queue_loses_the_oldest(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    async with subscribed(longest=3) as world:
        path = await world.subscribe(f"http://127.0.0.1:{port}")
        await world.tell(*"abcdefg")
        counters = world.delivery.counters(path)
        assert counters.overflowed == 4
        await until(lambda: counters.failures)
        async with listening(port=port) as listener:
            await until(lambda: listener.texts[-1:] == ["g"] and not world.state.queues())
            assert listener.texts[-3:] == ["e", "f", "g"]
            assert len(listener.texts) <= 4  # one may have been on its way
    assert caplog.text.count("the queue is full") == 1


@looped
async def test_what_is_undelivered_is_delivered_once_after_a_restart(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with subscribed(tmp_path) as world:
        await world.subscribe(url)
        async with listening(port=port) as listener:
            await world.tell("before")
            await until(lambda: listener.texts == ["before"])
        await world.tell("a", "b")
        (before,) = world.state.queues()
    async with listening(port=port) as listener, subscribed(tmp_path) as world:
        assert set(world.state.queues()) <= {before}
        await world.tell("after")
        await until(lambda: len(listener.bodies) == 3)
        await until(lambda: not world.state.queues())
    async with listening(port=port) as quiet, subscribed(tmp_path) as world:
        await world.tell("last")
        await until(lambda: quiet.bodies)
        await until(lambda: not world.state.queues())
    assert listener.texts == ["a", "b", "after"]
    assert listener.numbers == [1, 2, 0]
    contexts = [value(body, "SequenceContext") for body in listener.bodies]
    assert contexts[0] == contexts[1] != contexts[2]
    assert quiet.texts == ["last"]


@looped
async def test_attempts_are_remembered(tmp_path: Path) -> None:
    async with subscribed(tmp_path) as world:
        path = await world.subscribe(f"http://127.0.0.1:{free_port()}")
        await world.tell("a")
        await until(lambda: world.delivery.counters(path).failures >= 2)
    state = State(tmp_path)
    ((name, _),) = state.queues().items()
    (left,) = state.queued(name, 0, 10)
    assert left.attempts >= 2
    state.close()


@looped
async def test_a_disk_that_fails_does_not_keep_alerts_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening() as listener, subscribed() as world:
        await world.subscribe(listener.url)

        def full(**changes: object) -> None:
            raise Failed("the state file cannot be written: database or disk is full")

        monkeypatch.setattr(world.state, "change_queues", full)
        await world.tell("a", "b")
        await until(lambda: listener.texts == ["a", "b"])
        monkeypatch.undo()
        await world.tell("c")
        await until(lambda: listener.texts == ["a", "b", "c"])


@looped
async def test_what_the_disk_did_not_take_is_written_at_the_end_if_it_does_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()

    def full(**changes: object) -> None:
        raise Failed("the state file cannot be written: database or disk is full")

    async with subscribed(tmp_path) as world:
        await world.subscribe(f"http://127.0.0.1:{port}")
        monkeypatch.setattr(world.state, "change_queues", full)
        await world.tell("a", "b")
        monkeypatch.undo()
    assert caplog.text.count("disk is full") == 1
    async with listening(port=port) as listener, subscribed(tmp_path):
        await until(lambda: listener.texts == ["a", "b"])


@looped
async def test_what_was_delivered_while_the_disk_failed_is_noted_when_it_works_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.journal.DISK_AGAIN", 0.01)
    broken = [False]
    async with listening(answering((500, ""))) as listener, subscribed() as world:
        path = await world.subscribe(listener.url)
        change = world.state.change_queues

        def sometimes(**changes: Any) -> dict[str, int]:
            if broken[0]:
                raise Failed("the state file cannot be written: database or disk is full")
            done = change(**changes)
            broken[0] = bool(changes["put"])
            return done

        monkeypatch.setattr(world.state, "change_queues", sometimes)
        await world.tell("a")
        await until(lambda: world.delivery.counters(path).delivered == 1)
        await until(lambda: "may be sent again after a restart" in caplog.text)
        assert world.state.queues()
        broken[0] = False
        await until(lambda: not world.state.queues())
        assert listener.texts == ["a", "a"]
    assert "indications wait in memory" not in caplog.text


@looped
async def test_what_is_noted_for_a_disk_that_fails_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.journal.UNWRITTEN", 3)
    async with listening() as listener, subscribed() as world:
        path = await world.subscribe(listener.url)

        def full(**changes: object) -> None:
            raise Failed("the state file cannot be written: database or disk is full")

        monkeypatch.setattr(world.state, "change_queues", full)
        for text in "abcdefg":
            await world.tell(text)
        await until(lambda: world.delivery.counters(path).delivered == 7)
        noted = world.delivery._journal._next.done
        assert len(noted) <= 3
        assert not any(one.body for one in noted.values())


@looped
async def test_a_fault_of_the_agent_is_not_the_end_of_what_is_written(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening() as listener, subscribed() as world:
        await world.subscribe(listener.url)

        def fault(**changes: object) -> None:
            raise RuntimeError("nobody has thought of this")

        monkeypatch.setattr(world.state, "change_queues", fault)
        await world.tell("a")
        await until(lambda: listener.texts == ["a"])
        monkeypatch.undo()
        await world.tell("b")
        await until(lambda: listener.texts == ["a", "b"] and not world.state.queues())
    assert "nobody has thought of this" in caplog.text


@looped
async def test_a_fault_of_the_agent_is_not_the_end_of_what_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening() as listener, subscribed() as world:
        await world.subscribe(listener.url)
        faults = []

        async def fault(*args: object) -> None:
            faults.append(args)
            raise RuntimeError("nobody has thought of this")

        monkeypatch.setattr(world.delivery, "send", fault)
        await world.tell("a", "b")
        await until(lambda: len(faults) > 1)
        monkeypatch.undo()
        await until(lambda: listener.texts == ["a", "b"])
    assert "destination acme:console: a fault of the agent" in caplog.text


@looped
async def test_many_subscriptions_leave_others_their_turn_and_keep_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.cim.indications.delivery._TURN", 2)
    async with listening() as listener, subscribed() as world:
        for number in range(10):
            await world.subscribe(listener.url, name=f"number-{number}")
        turns = [0]

        def turn() -> None:
            turns[0] += 1
            asyncio.get_running_loop().call_soon(turn)

        turn()
        publish = world.delivery.publish
        with monkeypatch.context() as patched:
            journal = world.delivery._journal
            put, seen = journal.put, []

            def note(messages: Sequence[Queued]) -> Awaitable[None]:
                seen.append(turns[0])
                return put(messages)

            patched.setattr(journal, "put", note)
            began = turns[0]
            told = await asyncio.gather(*(publish(alert(text), "root/virtmap") for text in "abc"))
        assert told == [10, 10, 10]
        assert seen[0] - began >= 8
        await until(lambda: len(listener.bodies) == 30)
        series: dict[str, list[tuple[int, str]]] = {}
        for body in listener.bodies:
            one = (int(value(body, "SequenceNumber")), value(body, "Description"))
            series.setdefault(value(body, "SequenceContext"), []).append(one)
        assert len(series) == 10
        assert all(each == [(0, "a"), (1, "b"), (2, "c")] for each in series.values())


@looped
async def test_a_disk_that_hangs_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.journal.UNWRITTEN", 3)
    going = threading.Event()
    async with listening() as listener, subscribed() as world:
        path = await world.subscribe(listener.url)
        change = world.state.change_queues

        def hang(**changes: Any) -> dict[str, int]:
            going.wait(10)
            return change(**changes)

        monkeypatch.setattr(world.state, "change_queues", hang)
        telling = [asyncio.ensure_future(world.tell(text)) for text in "abcdefg"]
        await until(lambda: world.delivery.counters(path).overflowed >= 3)
        going.set()
        await asyncio.gather(*telling)
        await until(lambda: len(listener.texts) + world.delivery.counters(path).overflowed == 7)
        assert listener.texts == list("abcdefg")[: len(listener.texts)]


@looped
async def test_the_queues_of_informs_are_not_its_own(tmp_path: Path) -> None:
    async with subscribed(tmp_path) as world:
        inform = Queued(queue=f"{INFORMS}console", place=2**60, at=0.0, reason="/", body=b"x")
        world.state.change_queues(put=[inform], longest=None)
        await world.subscribe(f"http://127.0.0.1:{free_port()}")
        await world.tell("a")
    async with subscribed(tmp_path) as world:
        await world.tell("b")
        assert world.state.queued(inform.queue, -1, 9) == [inform]
        own = world.state.queues().keys() - {inform.queue}
        assert [world.state.queues()[name] for name in own] == [2]


# --- subscriptions that end


@looped
async def test_what_waits_for_a_subscription_that_is_gone_or_disabled_is_dropped() -> None:
    port = free_port()
    async with subscribed() as world:
        path = await world.subscribe(f"http://127.0.0.1:{port}", name="one")
        (one,) = world.of("CIM_IndicationSubscription")
        await world.tell("a")
        await world.subscriptions.delete(one.path, OPERATOR)
        await until(lambda: world.delivery.counters(path).unwanted == 1)
        await world.subscriptions.create(one, OPERATOR)
        await world.tell("b")
        disabled = one.copy()
        disabled["SubscriptionState"] = pywbem.Uint16(4)
        await world.subscriptions.modify(disabled, frozenset(("subscriptionstate",)), OPERATOR)
        await until(lambda: world.delivery.counters(path).unwanted == 2)
        await world.tell("c")
        await world.subscriptions.modify(one, frozenset(("subscriptionstate",)), OPERATOR)
        async with listening(port=port) as listener:
            await world.tell("d")
            await until(lambda: listener.texts == ["d"])


@looped
async def test_nothing_is_sent_to_a_destination_that_is_gone(tmp_path: Path) -> None:
    async with subscribed(tmp_path) as world:
        path = await world.subscribe(f"http://127.0.0.1:{free_port()}")
        await world.tell("a")
        (one,) = world.of("CIM_IndicationSubscription")
        await world.subscriptions.delete(one.path, OPERATOR)
        await world.subscriptions.delete(path, OPERATOR)
        await until(lambda: not world.state.queues())
        assert not world.delivery._channels


@looped
async def test_what_waits_goes_to_where_the_destination_has_moved() -> None:
    async with listening() as listener, subscribed(pace=Pace(interval=3000)) as world:
        path = await world.subscribe(f"http://127.0.0.1:{free_port()}")
        await world.tell("a")
        await until(lambda: world.delivery.counters(path).failures)
        moved = pywbem.CIMInstance(path.classname, properties={"Destination": listener.url}, path=path)
        await world.subscriptions.modify(moved, None, OPERATOR)
        await until(lambda: listener.texts == ["a"])
        assert listener.numbers == [0]


@pytest.mark.parametrize(("policy", "state"), [(3, 4), (4, None)])
def test_a_destination_that_fails_for_too_long_ends_what_wants_it_so(policy: int, state: int | None) -> None:
    async def check() -> None:
        async with subscribed() as world:
            more = {
                "OnFatalErrorPolicy": pywbem.Uint16(policy), "FailureTriggerTimeInterval": pywbem.Uint64(0),
            }  # fmt: skip
            url = f"http://127.0.0.1:{free_port()}"
            path = await world.subscribe(url, name="one", **more)
            await world.subscribe(url, name="two", FailureTriggerTimeInterval=pywbem.Uint64(0))
            await world.tell("a")
            await until(lambda: len(world.subscriptions.active()) == 1)
            states = {i["Filter"]["Name"]: i["SubscriptionState"] for i in world.of("CIM_IndicationSubscription")}
            assert states == {"acme:filter-two": 2} | ({} if state is None else {"acme:filter-one": state})
            await until(lambda: world.delivery.counters(path).unwanted == 1)
            operation = "DisableSubscription" if policy == 3 else "RemoveSubscription"
            await until(lambda: [r for r in world.records if r[:2] == ("virtmap", operation) and r[3] == "done"])

    looped(check)()


@looped
async def test_a_transient_destination_that_is_given_up_goes_with_what_wanted_it_so() -> None:
    async with subscribed() as world:
        wanted = await world.subscriptions.create(new_filter(), OPERATOR)
        made = new_destination(f"http://127.0.0.1:{free_port()}", PersistenceType=pywbem.Uint16(3))
        receiver = await world.subscriptions.create(made, OPERATOR)
        lasts = new_subscription(wanted, receiver, FailureTriggerTimeInterval=pywbem.Uint64(0))
        await world.subscriptions.create(lasts, OPERATOR)
        await world.tell("a")
        await until(lambda: not world.of("CIM_ListenerDestinationCIMXML"))
        await until(lambda: not world.state.queues())
        target = "CIM_ListenerDestinationCIMXML acme:console"
        await until(lambda: ("virtmap", "RemoveDestination", target, "done") in world.records)
        await until(lambda: [r for r in world.records if r[1] == "RemoveSubscription"])
        assert not world.state.created("destination")


@looped
async def test_patience_is_kept_before_a_policy_is_applied() -> None:
    async with subscribed() as world:
        path = await world.subscribe(f"http://127.0.0.1:{free_port()}", OnFatalErrorPolicy=pywbem.Uint16(4))
        await world.tell("a")
        await until(lambda: world.delivery.counters(path).failures > 3)
        assert len(world.subscriptions.active()) == 1


# --- destinations that are not allowed


@looped
async def test_a_destination_that_is_not_allowed_any_more_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening() as listener:
        async with subscribed(tmp_path, started=False) as world:
            await world.subscribe(listener.url)
        async with subscribed(tmp_path, rules=()) as world:
            await world.tell("a")
            (path,) = (i.path for i in world.of("CIM_ListenerDestinationCIMXML"))
            await until(lambda: world.delivery.counters(path).failures > 1)
        assert not listener.bodies
    assert "not among cim.indication_destinations" in caplog.text


@looped
async def test_a_name_is_looked_up_each_time_and_its_address_has_to_be_allowed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    where = ["127.0.0.1"]
    asked = []

    def lookup(name: str) -> list[str]:
        asked.append(name)
        return list(where)

    async with listening() as listener, subscribed(lookup=lookup) as world:
        path = await world.subscribe(f"http://Console.example:{listener.port}")
        await world.tell("a")
        await until(lambda: listener.texts == ["a"])
        where[:] = ["192.0.2.1", "::ffff:127.0.0.1", "0.0.0.0"]
        await world.tell("b")
        await until(lambda: world.delivery.counters(path).failures > 1)
        assert listener.texts == ["a"]
        where[:] = ["192.0.2.1", "127.0.0.1"]
        await until(lambda: listener.texts == ["a", "b"])
    assert set(asked) == {"console.example"}
    assert "host: console.example" in listener.heads[0].lower()
    assert "which is not allowed" in caplog.text


@looped
async def test_a_name_that_is_allowed_itself_may_be_anywhere() -> None:
    async with listening() as listener:
        rules = [Receivers(scheme="http", name="console.example")]
        async with subscribed(rules=rules, lookup=lambda name: ["127.0.0.1"]) as world:
            await world.subscribe(f"http://console.example:{listener.port}")
            await world.tell("a")
            await until(lambda: listener.texts == ["a"])


@looped
async def test_a_name_that_is_nowhere_is_a_failure() -> None:
    def lookup(name: str) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    async with subscribed(lookup=lookup) as world:
        path = await world.subscribe("http://nowhere.example")
        await world.tell("a")
        await until(lambda: world.delivery.counters(path).failures > 1)


# --- tests


@looped
async def test_a_test_is_sent_at_once_whatever_filters_say() -> None:
    port = free_port()
    async with subscribed(pace=Pace(interval=3000)) as world:
        path = await world.subscriptions.create(new_destination(f"http://127.0.0.1:{port}"), OPERATOR)
        await world.delivery.send_test(path, OPERATOR)
        await until(lambda: world.delivery.counters(path).failures)
        async with listening(port=port) as listener:
            assert await world.delivery.invoke("SendTestIndication", {"destination": path}, OPERATOR) == 0
            await until(lambda: world.delivery.counters(path).delivered == 2)
            assert listener.numbers == [0, 1]
            assert value(listener.bodies[0], "OtherAlertType") == "Test"
            assert set(names(listener.bodies[0])) <= set(dmtf.inherited_properties("CIM_AlertIndication"))
    assert ("worker", "SendTestIndication", "destination acme:console", "done") in world.records


@looped
async def test_a_test_is_for_who_may_operate_and_for_a_destination_that_is_there() -> None:
    async with subscribed() as world:
        path = await world.subscriptions.create(new_destination("http://127.0.0.1:1"), OPERATOR)
        other = path.copy()
        other["Name"] = "acme:other"
        for who, where, status in (
            (OBSERVER, path, Status.ACCESS_DENIED),
            (OPERATOR, other, Status.NOT_FOUND),
        ):
            with pytest.raises(CimError) as caught:
                await world.delivery.send_test(where, who)
            assert caught.value.status is status
            assert world.records[-1] == (
                who.name, "SendTestIndication", f"destination {where['Name']}", f"refused: {caught.value}",
            )  # fmt: skip
        for method, parameters, status in (
            ("StopService", {}, Status.METHOD_NOT_FOUND),
            ("SendTestIndication", {}, Status.INVALID_PARAMETER),
            ("SendTestIndication", {"destination": "text"}, Status.INVALID_PARAMETER),
        ):
            with pytest.raises(CimError) as caught:
                await world.delivery.invoke(method, parameters, OPERATOR)
            assert caught.value.status is status


# --- an end


@looped
async def test_an_end_waits_for_nobody_for_long() -> None:
    held = asyncio.Event()

    async def hang(number: int) -> None:
        await held.wait()

    async with listening(hang) as listener:
        async with subscribed() as world:
            await world.subscribe(listener.url)
            await world.tell("a")
            await until(lambda: listener.bodies)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 5
        assert await world.delivery.publish(alert("late"), "root/virtmap") == 0
        held.set()


@looped
async def test_the_whole_server_ends_in_time_whatever_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, going = asyncio.Event(), threading.Event()
    hung: list[object] = []

    async def hang(number: int) -> None:
        await held.wait()

    config = Config(
        hypervisors=(Hypervisor(name="local", uri="fake:///?domains=1"),),
        state=StateSettings(directory=str(tmp_path)),
        accounts=(account(DEFINER, Access.DEFINE),),
        cim=Cim(http=(Endpoint(host="127.0.0.1", port=0),), https=()),
    )
    state = State(tmp_path)
    inventories = {"local": Inventory(Fake("local", "fake:///?domains=1"), state, pace=QUIET)}
    events = {name: Events(inventory, itertools.count(1).__next__) for name, inventory in inventories.items()}
    service = Service(config, inventories, Operations(inventories, Trail()), state, events)
    async with listening(hang) as listener:
        ((at,), _) = await service.start()
        _, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(b"POST /cimom HTTP/1.1\r\n")
        subscriptions = service._subscriptions
        receiver = await subscriptions.create(new_destination(listener.url), OPERATOR)
        wanted = next(i.path for i in subscriptions.instances() if i.get("ElementName") == "Alerts")
        await subscriptions.create(new_subscription(wanted, receiver), OPERATOR)
        await service._delivery.publish(alert("on its way"), "root/virtmap")
        await until(lambda: listener.bodies)

        def hangs(*args: object, **changes: object) -> dict[str, int]:
            hung.append(args)
            going.wait(30)
            return {}

        monkeypatch.setattr(state, "keep_created", hangs)
        monkeypatch.setattr(state, "change_queues", hangs)
        creating = asyncio.ensure_future(subscriptions.create(new_filter(), OPERATOR))
        telling = asyncio.ensure_future(service._delivery.publish(alert("late"), "root/virtmap"))
        await until(lambda: len(hung) == 2)
        began = asyncio.get_running_loop().time()
        await service.stop()
        assert asyncio.get_running_loop().time() - began < STOP_LIMIT - 1
        going.set()
        held.set()
        await asyncio.gather(creating, telling)
        writer.close()
    state.close()


# --- pywbem's subscription manager, over the wire


class Serving(threading.Thread):
    """A WBEM server with subscriptions, in a thread of its own."""

    def __init__(self) -> None:
        super().__init__(name="wbem server with subscriptions")
        self._up = threading.Event()
        self._halt: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self.url = ""
        self.delivery: Delivery

    def run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._halt, self._loop = asyncio.Event(), asyncio.get_running_loop()
        state, trail = State(":memory:"), Trail()
        inventories = {"local": Inventory(Fake("local", "fake:///?domains=1"), state, pace=QUIET)}
        operations = Operations(inventories, trail)

        async def audit(who: Principal, operation: str, target: str, result: str) -> None:
            await operations.record(who, "-", operation, target, result)

        subscriptions = Subscriptions(state, audit, host=HOST)
        self.delivery = Delivery(subscriptions, state, audit, schema(), trusting(None), host=HOST, pace=QUICK)
        fixed = interop.instances(HOST, "1")
        provider = Provider(
            inventories, operations, host=HOST, keepers=[subscriptions],
            held=lambda: [*fixed, *subscriptions.instances(), *subscriptions.associations()],
        )  # fmt: skip
        server = Server(provider, Accounts([account(DEFINER, Access.DEFINE)], None))
        await self.delivery.start()
        (endpoint,), _ = await server.start([Endpoint(host="127.0.0.1", port=0)], [], None)
        self.url = f"http://127.0.0.1:{endpoint.port}"
        self._up.set()
        await self._halt.wait()
        await server.stop()
        await self.delivery.stop()
        await operations.stop()
        state.close()

    def tell(self, text: str) -> int:
        doing = self.delivery.publish(alert(text), "root/virtmap")
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(20)

    def __enter__(self) -> Serving:
        self.start()
        assert self._up.wait(30)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._halt.set)
        self.join(20)
        assert not self.is_alive()


def test_pywbems_subscription_manager_works_against_it() -> None:
    with pywbem_listener() as heard, Serving() as serving:
        server = pywbem.WBEMServer(pywbem.WBEMConnection(serving.url, DEFINER, timeout=30))
        with pywbem.WBEMSubscriptionManager("night") as manager:
            sid = manager.add_server(server)
            destination = manager.add_destination(sid, heard.url, owned=True, destination_id="console")
            wanted = manager.add_filter(
                sid, "root/virtmap", "SELECT * FROM CIM_AlertIndication", "DMTF:CQL", owned=True, filter_id="alerts"
            )
            assert (destination["Name"], wanted["Name"]) == (
                "pywbemdestination:night:console",
                "pywbemfilter:night:alerts",
            )
            (owned,) = manager.add_subscriptions(sid, wanted.path, destination.path, owned=True)
            assert owned["SubscriptionState"] == 2
            assert serving.tell("over the wire") == 1
            (came,) = asyncio.run(heard.some(1))
            assert came["Description"] == "over the wire"
            for one in (destination, wanted):
                with pytest.raises(pywbem.CIMError):
                    server.conn.DeleteInstance(one.path)
            with pytest.raises(pywbem.CIMError) as caught:
                manager.remove_filter(sid, wanted.path)
            assert caught.value.status_code == pywbem.CIM_ERR_FAILED
            permanent = manager.add_destination(sid, heard.url, owned=False, name="acme:console")
            static = next(f for f in manager.get_all_filters(sid) if f["Name"] == "virtmap:static:Alerts")
            (lasting,) = manager.add_subscriptions(sid, static.path, permanent.path, owned=False)
            assert len(manager.get_all_destinations(sid)) == 2
            assert len(manager.get_all_subscriptions(sid)) == 2
            again = pywbem.WBEMSubscriptionManager("night")
            again_id = again.add_server(pywbem.WBEMServer(pywbem.WBEMConnection(serving.url, DEFINER, timeout=30)))
            assert [i.path["Name"] for i in again.get_owned_filters(again_id)] == ["pywbemfilter:night:alerts"]
            assert len(again.get_owned_destinations(again_id)) == 1
            assert len(again.get_owned_subscriptions(again_id)) == 1
            filters = server.conn.Associators(permanent.path, AssocClass="CIM_IndicationSubscription")
            assert [i["Name"] for i in filters] == ["virtmap:static:Alerts"]
        left = pywbem.WBEMConnection(serving.url, DEFINER, default_namespace="root/interop", timeout=30)
        assert len(left.EnumerateInstances("CIM_IndicationSubscription")) == 1
        left.DeleteInstance(lasting.path)
        left.DeleteInstance(permanent.path)
        assert not left.EnumerateInstances("CIM_ListenerDestination")
        assert serving.tell("nobody listens") == 0
