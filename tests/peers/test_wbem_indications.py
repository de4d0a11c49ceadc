"""pywbem's subscription manager and listener against a running agent: what is subscribed arrives, also after a restart."""

from __future__ import annotations

import json
import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import argon2
import pytest
import pywbem

from tests.running import Agent, free_port, running

WITHIN = 20.0
PASSWORD = "correct horse"


@contextmanager
def listening(port: int) -> Iterator[queue.Queue[Any]]:
    """A listener on a port; what it gets comes into the queue."""
    got: queue.Queue[Any] = queue.Queue()
    listener = pywbem.WBEMListener("127.0.0.1", http_port=port)
    listener.add_callback(lambda indication, host: got.put(indication))
    listener.start()
    try:
        yield got
    finally:
        listener.stop()


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """The file of an agent of its own, on the fake, that keeps its state."""
    hashed = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    file = tmp_path / "virtmap.toml"
    file.write_text(
        f"""
        [[hypervisor]]
        name = "local"
        uri = "fake:///?domains=2"
        [cim]
        listen = ["http://127.0.0.1:0"]
        [[account]]
        name = "ops"
        role = "operate"
        password_hash = {json.dumps(hashed)}
        [state]
        directory = "state"
        """
    )
    return file


def client(agent: Agent) -> Any:
    url = f"http://127.0.0.1:{agent.port('http://')}"
    return pywbem.WBEMConnection(url, ("ops", PASSWORD), default_namespace="interop", timeout=20)


def send_test(connection: Any, destination: Any) -> None:
    (service,) = connection.EnumerateInstanceNames("CIM_IndicationService")
    value, _ = connection.InvokeMethod("SendTestIndication", service, Destination=destination)
    assert value == 0


def test_a_manager_subscribes_and_a_listener_hears(configuration: Path) -> None:
    port = free_port()
    with running("serve", "--config", str(configuration)) as agent, listening(port) as got:
        connection = client(agent)
        with pywbem.WBEMSubscriptionManager("suite") as manager:
            server = manager.add_server(pywbem.WBEMServer(connection))
            url = f"http://127.0.0.1:{port}"
            destination = manager.add_destination(server, url, owned=True, destination_id="d").path
            alerts = manager.add_filter(
                server, "root/virtmap", "SELECT * FROM CIM_AlertIndication", "DMTF:CQL", owned=True, filter_id="f"
            )
            (subscription,) = manager.add_subscriptions(server, alerts.path, destination, owned=True)
            assert subscription["SubscriptionState"] == 2
            (wanted,) = connection.AssociatorNames(destination, AssocClass="CIM_IndicationSubscription")
            assert wanted.classname == "CIM_IndicationFilter"
            assert len(manager.get_all_subscriptions(server)) == 1
            static = [f for f in manager.get_all_filters(server) if f["Name"].startswith("virtmap:")]
            assert static
            for number in range(3):
                send_test(connection, destination)
                indication = got.get(timeout=WITHIN)
                assert (
                    connection.GetClass(indication.classname, namespace="root/virtmap").classname
                    == indication.classname
                )
                if number == 0:
                    first = indication["SequenceNumber"]
                    context = indication["SequenceContext"]
                assert (indication["SequenceContext"], indication["SequenceNumber"]) == (context, first + number)
            with pytest.raises(pywbem.CIMError):
                connection.DeleteInstance(destination)  # the subscription needs it
            manager.remove_all_servers()
        for name in ("CIM_IndicationSubscription", "CIM_ListenerDestination"):
            assert not connection.EnumerateInstanceNames(name)
        assert {i["Name"] for i in connection.EnumerateInstances("CIM_IndicationFilter")} == {f["Name"] for f in static}


def test_what_was_not_delivered_is_after_a_restart(configuration: Path) -> None:
    port = free_port()
    with running("serve", "--config", str(configuration), ends=-signal.SIGKILL) as agent:
        connection = client(agent)
        destination = connection.CreateInstance(
            pywbem.CIMInstance(
                "CIM_ListenerDestinationCIMXML",
                properties={"Name": "acme:console", "Destination": f"http://127.0.0.1:{port}"},
            )
        )
        for _ in range(3):
            send_test(connection, destination)
        agent.process.kill()
        agent.process.wait(WITHIN)
    with listening(port) as got, running("serve", "--config", str(configuration)) as again:
        waited = [got.get(timeout=WITHIN) for _ in range(3)]
        (context,) = {i["SequenceContext"] for i in waited}
        numbers = [i["SequenceNumber"] for i in waited]
        assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
        connection = client(again)
        assert connection.EnumerateInstanceNames("CIM_ListenerDestination") == [destination]
        send_test(connection, destination)
        new = got.get(timeout=WITHIN)
        assert new["SequenceContext"] != context
        assert got.empty()  # nothing came twice before it


def test_destinations_beyond_this_machine_are_refused_unless_configured(configuration: Path) -> None:
    with running("serve", "--config", str(configuration)) as agent:
        connection = client(agent)
        for url in ("http://192.0.2.7:5990", "http://169.254.169.254/latest", "http://127.0.0.1@192.0.2.7:80"):
            new = pywbem.CIMInstance("CIM_ListenerDestinationCIMXML", properties={"Name": "acme:x", "Destination": url})
            with pytest.raises(pywbem.CIMError):
                connection.CreateInstance(new)
        assert not connection.EnumerateInstanceNames("CIM_ListenerDestination")
