"""Logs as clients read them that go from record to record (CIM_MessageLog)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pywbem

from agent.errors import Failed, NotSupported
from agent.model.log import ClearLog, LogRotation
from agent.schema import dmtf
from tests.cim.logged import put_log
from tests.cim.served import DEFINER, OBSERVER, OPERATOR, Running, path_of, serve

WEB, DB = "/var/log/libvirt/qemu/web.log", "/var/log/libvirt/qemu/db.log"
TEXTS = (
    "2026-03-01 12:00:00.250+0000: starting up",
    "line two: ü",
    "2026-03-01 12:00:02.250+0000: shutting down, reason=crashed",
)


@pytest.fixture
def running() -> Iterator[Running]:
    """Two hypervisors. On the first, a log has three records with the numbers 7 to 9, and another one."""
    for running in serve({"local": "fake:///?domains=2", "other": "fake:///?domains=1&seed=4"}):
        domain = path_of(running, "guest1")["Name"]
        put_log(running, WEB, TEXTS, first=7, domain=domain, name="web.log")
        put_log(running, DB, ["only"], first=7, domain=domain, name="db.log")
        yield running


def path_to(path: str = WEB) -> Any:
    keys = {"CreationClassName": "Virtmap_LogMessages", "Name": path}
    return pywbem.CIMInstanceName("Virtmap_LogMessages", keys, namespace="root/virtmap")


def call(running: Running, method: str, path: str = WEB, who: Any = OBSERVER, **given: Any) -> tuple[int, Any]:
    code, outs = running.client(who).InvokeMethod(method, path_to(path), **given)
    return int(code), outs


def begin(running: Running, path: str = WEB) -> str:
    code, outs = call(running, "PositionToFirstRecord", path)
    assert code == 0
    return str(outs["IterationIdentifier"])


def get(running: Running, iteration: str, goes_on: bool = True, path: str = WEB) -> tuple[str, int, str]:
    """The iteration afterwards, the number of the record, and what it says."""
    code, outs = call(running, "GetRecord", path, IterationIdentifier=iteration, PositionToNext=goes_on)
    assert code == 0
    return outs["IterationIdentifier"], outs["RecordNumber"], bytes(outs["RecordData"]).decode()


def move(running: Running, iteration: str, number: int, absolute: bool = False) -> tuple[int, Any]:
    return call(
        running,
        "PositionAtRecord",
        IterationIdentifier=iteration,
        MoveAbsolute=absolute,
        RecordNumber=pywbem.Sint64(number),
    )


def wrong(running: Running, method: str, path: str = WEB, **given: Any) -> str:
    with pytest.raises(pywbem.CIMError) as caught:
        call(running, method, path, **given)
    assert caught.value.status_code == pywbem.CIM_ERR_INVALID_PARAMETER
    return str(caught.value.status_description)


class TestTheLog:
    def test_there_is_one_for_each_record_log(self, running: Running) -> None:
        client = running.client()
        messages = client.EnumerateInstances("CIM_MessageLog")
        assert {i["Name"] for i in messages} == {i["Name"] for i in client.EnumerateInstances("CIM_RecordLog")}
        found = next(i for i in messages if i["Name"] == WEB)
        assert found.path.keybindings == path_to().keybindings
        assert found.properties == client.GetInstance(path_to()).properties
        assert (found["ElementName"], found["CurrentNumberOfRecords"], found["MaxNumberOfRecords"]) == ("web.log", 3, 0)
        assert (found["EnabledState"], found["LogState"], found["OverwritePolicy"]) == (2, 2, 2)
        assert (found["Capabilities"], found["CharacterSet"], found["IsFrozen"]) == ([4, 6, 7, 8], 7, False)

    def test_that_it_can_be_cleared_is_said_where_virtlogd_rotates_it(self, running: Running) -> None:
        put_log(running, WEB, TEXTS, rotation=LogRotation.UNKNOWN)
        assert running.client().GetInstance(path_to())["Capabilities"] == [4, 7, 8]
        put_log(running, WEB, TEXTS, rotation=None)
        assert running.client().GetInstance(path_to())["Capabilities"] is None

    def test_it_is_its_domains_and_the_same_as_the_record_log(self, running: Running) -> None:
        client = running.client()
        (domain,) = client.AssociatorNames(path_to(), AssocClass="CIM_UseOfLog", Role="Antecedent")
        assert domain["Name"] == path_of(running, "guest1")["Name"]
        back = client.AssociatorNames(domain, AssocClass="CIM_UseOfLog", ResultClass="CIM_MessageLog")
        assert {p["Name"] for p in back} == {WEB, DB, *(p["Name"] for p in back if p["Name"].startswith("log"))}
        (same,) = client.AssociatorNames(path_to(), AssocClass="CIM_ConcreteIdentity")
        assert (same.classname, same["InstanceID"]) == ("Virtmap_Log", f"virtmap:log:{WEB}")
        (again,) = client.AssociatorNames(same, AssocClass="CIM_LogicalIdentity")
        assert again["Name"] == WEB

    @pytest.mark.parametrize("name", ["Virtmap_SameLog", "Virtmap_UseOfLog"])
    def test_every_association_can_be_got(self, running: Running, name: str) -> None:
        client = running.client()
        found = client.EnumerateInstances(name)
        assert [i.path for i in found] == client.EnumerateInstanceNames(name)
        known = [i for i in found if WEB in str(i.path)]
        assert known
        for instance in known:
            assert client.GetInstance(instance.path).properties == instance.properties


class TestIterating:
    def test_every_record_comes_once_oldest_first_and_then_the_end(self, running: Running) -> None:
        iteration, found = begin(running), []
        for _ in TEXTS:
            iteration, number, text = get(running, iteration)
            found.append((number, text))
        assert found == list(zip((7, 8, 9), TEXTS, strict=True))
        assert call(running, "GetRecord", IterationIdentifier=iteration, PositionToNext=True) == (2, {})
        code, outs = move(running, iteration, -1)
        assert (code, outs["RecordNumber"]) == (0, 9)

    def test_without_going_on_the_same_record_comes_again(self, running: Running) -> None:
        iteration = begin(running)
        again, *first = get(running, iteration, goes_on=False)
        assert again == iteration
        assert get(running, again)[1:] == tuple(first)
        code, outs = call(running, "GetRecord", IterationIdentifier=iteration)
        assert (code, outs["IterationIdentifier"]) == (0, iteration)

    def test_it_moves_forwards_and_backwards(self, running: Running) -> None:
        code, outs = move(running, begin(running), 2)
        assert (code, outs["RecordNumber"], outs["RecordNumber"].cimtype) == (0, 9, "sint64")
        code, outs = move(running, outs["IterationIdentifier"], -1)
        assert (code, outs["RecordNumber"]) == (0, 8)
        assert get(running, outs["IterationIdentifier"])[1:] == (8, TEXTS[1])

    def test_it_moves_to_a_number(self, running: Running) -> None:
        code, outs = move(running, begin(running), 9, absolute=True)
        assert (code, outs["RecordNumber"]) == (0, 9)
        assert get(running, outs["IterationIdentifier"])[1] == 9

    @pytest.mark.parametrize(
        ("number", "absolute"),
        [(3, False), (-1, False), (2**63 - 1, False), (6, True), (10, True), (-8, True), (0, True)],
    )
    def test_it_does_not_move_where_no_record_is(self, running: Running, number: int, absolute: bool) -> None:
        assert move(running, begin(running), number, absolute) == (2, {})

    def test_an_empty_log_has_no_first_record(self, running: Running) -> None:
        put_log(running, WEB, ())
        assert call(running, "PositionToFirstRecord") == (2, {})

    def test_an_iteration_that_ended_goes_on_when_more_is_written(self, running: Running) -> None:
        iteration, *_ = get(running, begin(running, DB), path=DB)
        assert call(running, "GetRecord", DB, IterationIdentifier=iteration)[0] == 2
        put_log(running, DB, ["only", "more"], first=7)
        assert get(running, iteration, path=DB)[1] == 8

    def test_records_that_went_meanwhile_are_passed_over(self, running: Running) -> None:
        iteration = begin(running)
        put_log(running, WEB, TEXTS, first=20)
        assert get(running, iteration)[1] == 20

    def test_records_that_are_counted_anew_are_read_from_the_first(self, running: Running) -> None:
        _, outs = move(running, begin(running), 2)
        put_log(running, WEB, TEXTS, first=1)
        assert get(running, outs["IterationIdentifier"])[1] == 1

    def test_an_iteration_outlives_the_server(self, running: Running) -> None:
        iteration, *_ = get(running, begin(running))
        for again in serve({"local": "fake:///?domains=2"}):
            put_log(again, WEB, TEXTS, first=7)
            assert get(again, iteration)[1:] == (8, TEXTS[1])

    def test_ending_one_needs_nothing_but_one(self, running: Running) -> None:
        iteration = begin(running)
        assert call(running, "CancelIteration", IterationIdentifier=iteration) == (0, {})
        assert "no iteration of this log" in wrong(running, "CancelIteration", IterationIdentifier="x")

    def test_names_of_methods_and_parameters_are_the_same_in_any_case(self, running: Running) -> None:
        code, outs = call(running, "getrecord", iterationidentifier=begin(running), POSITIONTONEXT=True)
        assert (code, outs["RecordNumber"]) == (0, 7)

    def test_a_log_of_another_hypervisor_has_records_of_its_own(self, running: Running) -> None:
        put_log(running, "/l/there.log", ["there"], on="other")
        assert get(running, begin(running, "/l/there.log"), path="/l/there.log")[2] == "there"


class TestRubbish:
    @pytest.mark.parametrize(
        "identifier",
        ["", "x", "7", "7.", ".", "7.0123456789abcdef", "99999999999999999999.0123456789abcdef", "ü" * 300, "\ufffd"],
    )
    def test_an_identifier_that_is_none_is_refused(self, running: Running, identifier: str) -> None:
        for method in ("GetRecord", "PositionAtRecord", "CancelIteration"):
            assert "IterationIdentifier" in wrong(running, method, IterationIdentifier=identifier)

    def test_the_number_in_an_identifier_cannot_be_changed(self, running: Running) -> None:
        forged = begin(running).replace("7.", "8.", 1)
        assert "no iteration of this log" in wrong(running, "GetRecord", IterationIdentifier=forged)

    def test_an_iteration_of_another_log_is_refused(self, running: Running) -> None:
        assert "no iteration of this log" in wrong(running, "GetRecord", DB, IterationIdentifier=begin(running))

    def test_parameters_have_to_be_there_and_of_their_types(self, running: Running) -> None:
        iteration = begin(running)
        assert "IterationIdentifier is missing" in wrong(running, "GetRecord")
        assert "PositionToNext" in wrong(running, "GetRecord", IterationIdentifier=iteration, PositionToNext="maybe")
        assert "MoveAbsolute is missing" in wrong(running, "PositionAtRecord", IterationIdentifier=iteration)
        given = {"IterationIdentifier": iteration, "MoveAbsolute": True}
        assert "RecordNumber is missing" in wrong(running, "PositionAtRecord", **given)
        for number in ("1.5", "x", str(2**63), "-9223372036854775809"):
            assert "RecordNumber is no sint64" in wrong(running, "PositionAtRecord", RecordNumber=number, **given)
        assert "no parameter 'nonsense'" in wrong(running, "PositionToFirstRecord", Nonsense="1")

    def test_a_log_that_is_not_there_is_not_found(self, running: Running) -> None:
        with pytest.raises(pywbem.CIMError) as caught:
            call(running, "PositionToFirstRecord", "/no/such.log")
        assert caught.value.status_code == pywbem.CIM_ERR_NOT_FOUND


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("DeleteRecord", {"IterationIdentifier": "x", "PositionToNext": True}),
        ("WriteRecord", {"IterationIdentifier": "x", "RecordData": [pywbem.Uint8(1)]}),
        ("FreezeLog", {"Freeze": True}),
        ("FlagRecordForOverwrite", {"IterationIdentifier": "x"}),
        ("RequestStateChange", {"RequestedState": pywbem.Uint16(3)}),
    ],
)
def test_what_only_the_writer_of_a_log_could_do_is_not_supported(
    running: Running, method: str, given: dict[str, Any]
) -> None:
    assert call(running, method, who=DEFINER, **given) == (1, {})
    assert not running.drivers["local"].performed


class TestClearing:
    def test_it_is_the_operation_of_the_log(self, running: Running) -> None:
        assert call(running, "ClearLog", who=DEFINER) == (0, {})
        assert [each for each in running.drivers["local"].performed if isinstance(each[0], ClearLog)] == [
            (ClearLog(), (WEB,))
        ]
        last = running.trail.records[-1]
        assert (last["principal"], last["operation"], last["target"], last["result"]) == (
            DEFINER[0], "ClearLog", "log web.log", "done",
        )  # fmt: skip

    def test_it_needs_the_same_access_and_a_refusal_is_remembered(self, running: Running) -> None:
        with pytest.raises(pywbem.CIMError) as caught:
            call(running, "ClearLog", who=OPERATOR)
        assert caught.value.status_code == pywbem.CIM_ERR_ACCESS_DENIED
        assert running.trail.records[-1]["result"].startswith("refused")
        assert not running.drivers["local"].performed

    def test_where_it_cannot_be_done_it_says_so(self, running: Running) -> None:
        running.drivers["local"].refuse(ClearLog, NotSupported("logrotate has it"))
        assert call(running, "ClearLog", who=DEFINER) == (1, {})
        running.drivers["local"].refuse(ClearLog, Failed("log web.log: permission denied"))
        with pytest.raises(pywbem.CIMError, match="permission denied"):
            call(running, "ClearLog", who=DEFINER)


def test_a_record_of_many_octets_comes_whole(running: Running) -> None:
    text = "ä" * 100_000
    put_log(running, WEB, [text])
    assert get(running, begin(running))[2] == text


def test_the_class_has_the_methods_of_the_dmtf(running: Running) -> None:
    cls = running.client().GetClass("Virtmap_LogMessages", LocalOnly=False)
    assert set(cls.methods) == set(dmtf.inherited_methods("CIM_MessageLog"))
    parameter = cls.methods["GetRecord"].parameters["RecordData"]
    assert (parameter.type, parameter.is_array) == ("uint8", True)


def test_the_last_of_many_records_is_one_move_away(running: Running) -> None:
    put_log(running, WEB, [str(n) for n in range(2000)], first=1)
    code, outs = move(running, begin(running), 1999)
    assert (code, outs["RecordNumber"]) == (0, 2000)
    assert get(running, outs["IterationIdentifier"])[2] == "1999"
