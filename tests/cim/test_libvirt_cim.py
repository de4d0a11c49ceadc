"""What clients of libvirt-cim subscribe to in root/virt, and what they hear."""

from __future__ import annotations

from typing import Any

import pytest
import pywbem

from agent.cim.indications.filters import made, objections
from agent.cim.indications.libvirt_cim import indication
from agent.cim.profiles import libvirt_cim
from agent.model import Domain
from agent.model.domain import DomainState
from agent.snapshot import Values
from drivers.fake.values import made_up
from tests.agents import OPERATOR, looped
from tests.cim.subscribed import (
    HOST,
    new_destination,
    new_filter,
    new_subscription,
    pywbem_listener,
    schema,
    subscribed,
)

UUID = "c6af48ec-7f80-5969-9257-61526c9197b8"
CREATED, MODIFIED, DELETED = "CIM_InstCreation", "CIM_InstModification", "CIM_InstDeletion"


def record(**known: Any) -> Values:
    """A row as a snapshot has it, in which states are numbers."""
    values = {"uuid": UUID, "name": "web", "type": "kvm", "state": int(DomainState.RUNNING), **known}
    return made_up(Domain, (), 1, values).values


def told(change: str, before: Values | None = None, **known: Any) -> Any:
    made = indication(change, record(**known), before, host=HOST)
    assert made is not None
    return made


@pytest.mark.parametrize("query", [f"SELECT * FROM {name}" for name in libvirt_cim.INDICATIONS])
def test_a_subscription_to_each_class_is_accepted(query: str) -> None:
    values = {"Query": query, "QueryLanguage": "WQL", "SourceNamespace": "root/virt"}
    accepted = made(values, HOST, objections(schema()))
    assert accepted.covers("root/virt")
    assert not accepted.covers("root/virtmap")


def test_the_classes_are_those_of_libvirt_cim() -> None:
    assert set(libvirt_cim.INDICATIONS) == {
        f"{of}_ComputerSystem{what}Indication"
        for of in ("KVM", "Xen", "LXC")
        for what in ("Created", "Modified", "Deleted")
    }
    for of in libvirt_cim.FAMILIES:
        for change in (CREATED, MODIFIED, DELETED):
            assert schema().is_a(libvirt_cim.indication_class(of, change), change)
        assert schema().is_a(libvirt_cim.system_class(of), "CIM_ComputerSystem")


@pytest.mark.parametrize(("kind", "of"), [("kvm", "KVM"), ("qemu", "KVM"), ("xen", "Xen"), ("lxc", "LXC")])
@pytest.mark.parametrize(("change", "what"), [(CREATED, "Created"), (MODIFIED, "Modified"), (DELETED, "Deleted")])
def test_each_change_has_the_class_of_its_family(kind: str, of: str, change: str, what: str) -> None:
    made = told(change, type=kind)
    assert made.classname == f"{of}_ComputerSystem{what}Indication"
    assert made["SourceInstance"].classname == f"{of}_ComputerSystem"
    assert made["SourceInstance"]["CreationClassName"] == f"{of}_ComputerSystem"


@pytest.mark.parametrize("known", [{"type": "vmware"}, {"type": None}, {"name": None}])
def test_of_other_domains_there_is_none(known: dict[str, Any]) -> None:
    assert indication(CREATED, record(**known), host=HOST) is None


def test_the_system_is_named_as_libvirt_cim_names_it() -> None:
    made = told(CREATED)
    system = made["SourceInstance"]
    assert (system["Name"], system["ElementName"], system["UUID"]) == ("web", "web", UUID)
    assert (system["EnabledState"], system["HealthState"], system["OperationalStatus"]) == (2, 5, [2])
    assert (made["SourceInstanceHost"], "PreviousInstance" in made) == (HOST, False)
    path = pywbem.CIMInstanceName.from_wbem_uri(made["SourceInstanceModelPath"])
    assert path == pywbem.CIMInstanceName(
        "KVM_ComputerSystem", {"CreationClassName": "KVM_ComputerSystem", "Name": "web"}, namespace="root/virt"
    )


def test_a_change_tells_how_it_was_before() -> None:
    made = told(MODIFIED, record(), state=int(DomainState.PAUSED))
    assert made["SourceInstance"]["EnabledState"] == 9
    assert made["PreviousInstance"]["EnabledState"] == 2
    assert made["PreviousInstance"]["Name"] == "web"


def test_a_state_that_nobody_can_tell_is_left_out() -> None:
    assert "EnabledState" not in told(MODIFIED, state=None)["SourceInstance"]


@pytest.mark.parametrize("change", [CREATED, MODIFIED, DELETED])
def test_what_is_told_fits_the_classes(change: str) -> None:
    made = told(change, record())
    assert ("PreviousInstance" in made) is (change == MODIFIED)
    for instance in (made, made["SourceInstance"]):
        lineage = (instance.classname, *schema().ancestors(instance.classname))
        for name, prop in instance.properties.items():
            declared = [p for c in lineage for p in [schema().classes[c.lower()].local.properties.get(name)] if p]
            assert declared, name
            assert (prop.type, prop.is_array) == (declared[0].type, declared[0].is_array)


@looped
async def test_a_subscriber_hears_it_with_the_system_in_it() -> None:
    with pywbem_listener() as heard:
        async with subscribed() as world:
            query = "SELECT * FROM KVM_ComputerSystemModifiedIndication WHERE SourceInstance.Name = 'web'"
            asked = new_filter("acme:virt", query, SourceNamespaces=["root/virt"])
            wanted = await world.subscriptions.create(asked, OPERATOR)
            receiver = await world.subscriptions.create(new_destination(heard.url), OPERATOR)
            await world.subscriptions.create(new_subscription(wanted, receiver), OPERATOR)
            assert world.delivery.wanted("KVM_ComputerSystemModifiedIndication", "root/virt")
            assert not world.delivery.wanted("Xen_ComputerSystemModifiedIndication", "root/virt")
            assert await world.delivery.publish(told(MODIFIED, record(), name="db"), "root/virt") == 0
            assert await world.delivery.publish(told(MODIFIED, record()), "root/virtmap") == 0
            assert await world.delivery.publish(told(MODIFIED, record()), "root/virt") == 1
            (came,) = await heard.some(1)
    assert came.classname == "KVM_ComputerSystemModifiedIndication"
    assert came["SourceInstance"]["UUID"] == UUID
    assert came["PreviousInstance"]["Name"] == "web"
