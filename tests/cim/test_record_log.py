"""Logs as the Record Log profile has them (DSP1010): found from their domains, with their records, and cleared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import pywbem

from agent.errors import NotSupported
from agent.model.log import ClearLog, LogRotation
from agent.model.occurrence import PerceivedSeverity
from tests.cim.logged import BEGAN, put_log
from tests.cim.served import DEFINER, OBSERVER, OPERATOR, Running, call, path_of, serve

WEB = "/var/log/libvirt/qemu/web.log"
TEXTS = ("starting up libvirt version: 9.0.0", "char device redirected to /dev/pts/1", "shutting down, reason=crashed")


@pytest.fixture
def running() -> Iterator[Running]:
    """Two domains; the log of the first has three records, of which numbers 7 to 9."""
    for running in serve({"local": "fake:///?domains=2"}):
        domain = path_of(running, "guest1")["Name"]
        put_log(running, WEB, TEXTS, first=7, domain=domain, domain_name="guest1", name="web.log")
        yield running


def log_path(running: Running, path: str = WEB) -> Any:
    return pywbem.CIMInstanceName("Virtmap_Log", {"InstanceID": f"virtmap:log:{path}"}, namespace="root/virtmap")


def test_a_log_tells_what_the_profile_wants(running: Running) -> None:
    client = running.client()
    found = next(i for i in client.EnumerateInstances("CIM_RecordLog") if i["Name"] == WEB)
    assert found.properties == client.GetInstance(found.path).properties
    assert (found["InstanceID"], found["ElementName"]) == (f"virtmap:log:{WEB}", "web.log")
    assert (found["EnabledState"], found["RequestedState"], found["LogState"]) == (2, 12, 2)
    assert (found["OverwritePolicy"], found["CurrentNumberOfRecords"], found["MaxNumberOfRecords"]) == (2, 3, 0)
    assert (found["OperationalStatus"], found["HealthState"]) == ([2], 5)


def test_a_log_that_cannot_be_read_or_is_rotated_by_nobody_known_says_so(running: Running) -> None:
    put_log(running, WEB, (), problem="permission denied", rotation=LogRotation.UNKNOWN)
    found = running.client().GetInstance(log_path(running))
    assert (found["OperationalStatus"], found["HealthState"], found["OverwritePolicy"]) == ([6], 20, 0)
    assert found["Problem"] == "permission denied"


def test_a_domain_leads_to_its_log_and_that_to_its_records_and_back(running: Running) -> None:
    client = running.client()
    domain = path_of(running, "guest1")
    logs = client.AssociatorNames(
        domain, AssocClass="CIM_UseOfLog", Role="Dependent", ResultRole="Antecedent", ResultClass="CIM_RecordLog"
    )
    assert f"virtmap:log:{WEB}" in [p["InstanceID"] for p in logs]
    entries = client.Associators(
        log_path(running),
        AssocClass="CIM_LogManagesRecord",
        Role="Log",
        ResultRole="Record",
        ResultClass="CIM_LogEntry",
    )
    assert [(e["RecordID"], e["RecordData"]) for e in entries] == list(zip(("7", "8", "9"), TEXTS, strict=True))
    (back,) = client.AssociatorNames(entries[1].path, AssocClass="CIM_LogManagesRecord")
    assert back["InstanceID"] == f"virtmap:log:{WEB}"
    (owner,) = client.AssociatorNames(back, AssocClass="CIM_UseOfLog")
    assert owner["Name"] == domain["Name"]
    (reference,) = client.References(entries[0].path, ResultClass="CIM_LogManagesRecord")
    assert client.GetInstance(reference.path)["Log"]["InstanceID"] == f"virtmap:log:{WEB}"


def test_a_log_of_a_domain_that_is_no_more_is_no_bodys(running: Running) -> None:
    put_log(running, WEB, TEXTS, domain=None, domain_name="gone")
    client = running.client()
    assert client.AssociatorNames(log_path(running), AssocClass="CIM_UseOfLog") == []
    assert client.GetInstance(log_path(running))["DomainName"] == "gone"


def test_a_record_tells_what_was_written_when_and_how_grave_it_is(running: Running) -> None:
    path = pywbem.CIMInstanceName("Virtmap_LogRecord", {"InstanceID": f"virtmap:log:{WEB}#9"}, namespace="root/virtmap")
    found = running.client().GetInstance(path)
    assert (found["LogInstanceID"], found["LogName"], found["RecordID"]) == (f"virtmap:log:{WEB}", WEB, "9")
    assert (found["RecordFormat"], found["RecordData"]) == ("", TEXTS[2])
    assert found["CreationTimeStamp"] == pywbem.CIMDateTime(BEGAN.replace(second=2))
    assert found["PerceivedSeverity"] == PerceivedSeverity.INFORMATION
    assert found.path.classname == "Virtmap_LogRecord"


@pytest.mark.parametrize(
    "path", ["/l/a#b.log", "/l/a#3.log", "/l/a.log#3", "/l/x#.log", "/l/ü \u2028.log", '/l/<&">.log']
)
def test_records_are_found_whatever_their_log_is_called(running: Running, path: str) -> None:
    put_log(running, path, TEXTS)
    client = running.client()
    entries = client.AssociatorNames(log_path(running, path), AssocClass="CIM_LogManagesRecord")
    assert len(entries) == 3
    assert [client.GetInstance(e)["RecordData"] for e in entries] == list(TEXTS)


def test_what_xml_cannot_hold_comes_as_a_replacement(running: Running) -> None:
    put_log(running, WEB, ["a\x1b[31mred\x00\x08\ud800\uffff", "]]> <b>&amp;"], last_line="\x07bell")
    client = running.client()
    first, second = client.Associators(log_path(running), AssocClass="CIM_LogManagesRecord")
    assert first["RecordData"] == "a\ufffd[31mred\ufffd\ufffd\ufffd\ufffd"
    assert second["RecordData"] == "]]> <b>&amp;"
    assert client.GetInstance(log_path(running))["LastLine"] == "\ufffdbell"
    raw = call(
        running, "EnumerateInstances", '<IPARAMVALUE NAME="ClassName"><CLASSNAME NAME="CIM_LogEntry"/></IPARAMVALUE>'
    )
    assert "\x1b" not in raw
    assert "\x00" not in raw


def test_a_log_is_cleared_by_who_may_and_it_is_remembered(running: Running) -> None:
    with pytest.raises(pywbem.CIMError) as caught:
        running.client(OPERATOR).InvokeMethod("ClearLog", log_path(running))
    assert caught.value.status_code == pywbem.CIM_ERR_ACCESS_DENIED
    assert running.client(DEFINER).InvokeMethod("ClearLog", log_path(running)) == (0, {})
    (done,) = [(op, key) for op, key in running.drivers["local"].performed if isinstance(op, ClearLog)]
    assert done == (ClearLog(), (WEB,))
    last = running.trail.records[-1]
    assert (last["principal"], last["operation"], last["target"], last["result"]) == (
        DEFINER[0], "ClearLog", "log web.log", "done",
    )  # fmt: skip


def test_a_log_that_cannot_be_cleared_says_why(running: Running) -> None:
    running.drivers["local"].refuse(ClearLog, NotSupported("log web.log: cannot be cleared: logrotate has it"))
    with pytest.raises(pywbem.CIMError) as caught:
        running.client(DEFINER).InvokeMethod("ClearLog", log_path(running))
    assert caught.value.status_code == pywbem.CIM_ERR_NOT_SUPPORTED
    assert "logrotate has it" in caught.value.status_description


def test_a_log_has_no_states_to_ask_for(running: Running) -> None:
    code, _ = running.client(OPERATOR).InvokeMethod(
        "RequestStateChange", log_path(running), RequestedState=pywbem.Uint16(3)
    )
    assert code == 1


def test_clear_log_is_the_methods_of_the_dmtf(running: Running) -> None:
    cls = running.client().GetClass("Virtmap_Log", LocalOnly=False, IncludeQualifiers=True)
    assert cls.methods["ClearLog"].qualifiers["Override"].value == "ClearLog"
    assert cls.methods["ClearLog"].return_type == "uint32"
    assert not cls.methods["ClearLog"].parameters


def test_the_profile_is_registered_and_leads_to_the_logs(running: Running) -> None:
    server = pywbem.WBEMServer(running.client())
    (profile,) = server.get_selected_profiles(registered_org="DMTF", registered_name="Record Log")
    assert profile["RegisteredVersion"] == "2.0.0"
    central = server.get_central_instances(profile.path)
    assert f"virtmap:log:{WEB}" in [p["InstanceID"] for p in central]
    assert {p.classname for p in central} == {"Virtmap_Log"}
    (mapping,) = server.get_selected_profiles(registered_org="Other", registered_name="virtmap mapping")
    referenced = running.client(namespace="interop").AssociatorNames(
        mapping.path, AssocClass="CIM_ReferencedProfile", Role="Dependent"
    )
    assert profile["InstanceID"] in [p["InstanceID"] for p in referenced]
    back = running.client().AssociatorNames(log_path(running), AssocClass="CIM_ElementConformsToProfile")
    assert [p["InstanceID"] for p in back] == [profile["InstanceID"]]


def test_generic_clients_find_logs_and_records_in_root_cimv2(running: Running) -> None:
    client, ours = running.client(namespace="root/cimv2"), running.client()
    for name in ("CIM_RecordLog", "CIM_LogEntry", "CIM_MessageLog"):
        assert len(client.EnumerateInstanceNames(name)) == len(ours.EnumerateInstanceNames(name)) > 0
    log = log_path(running)
    log.namespace = "root/cimv2"
    assert len(client.AssociatorNames(log, AssocClass="CIM_LogManagesRecord")) == 3
    assert client.AssociatorNames(log, AssocClass="CIM_UseOfLog")[0].classname == "Virtmap_Domain"
    assert client.AssociatorNames(log, AssocClass="CIM_ConcreteIdentity")[0].classname == "Virtmap_LogMessages"


def test_records_are_pulled_and_filtered(running: Running) -> None:
    client = running.client(OBSERVER)
    query = f"LogName = '{WEB}' AND RecordData LIKE 'char.*'"
    opened = client.OpenEnumerateInstances(
        "CIM_LogEntry", FilterQueryLanguage="DMTF:FQL", FilterQuery=query, MaxObjectCount=5
    )
    assert [i["RecordID"] for i in opened.instances] == ["8"]
    assert opened.eos


def test_a_log_without_records_has_none(running: Running) -> None:
    put_log(running, WEB, ())
    assert running.client().AssociatorNames(log_path(running), AssocClass="CIM_LogManagesRecord") == []
