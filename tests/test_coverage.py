"""The coverage report: every function is mapped, left out for a reason, or missing, and the sums are right."""

from agent.coverage import coverage, groups
from agent.model import MODEL, unmapped
from agent.schema import libvirt_api


def test_every_function_has_one_status() -> None:
    found = {c.function.name: c for c in coverage(MODEL)}
    assert set(found) == set(libvirt_api.functions())
    assert {c.status for c in found.values()} <= {"mapped", "left out", "missing"}
    assert found["virDomainSuspend"].mapped_by == ("Suspend",)
    assert "Domain.name" in found["virDomainGetName"].mapped_by
    assert found["virDomainAbortJob"].mapped_by == ("ManagedSave (cancel)",)
    assert found["virConnectListDomains"].reason == unmapped.REASONS["virConnectListDomains"]
    assert found["virDomainFree"].status == "left out"


def test_the_groups_add_up_to_what_is_mappable() -> None:
    counts = groups(coverage(MODEL))
    assert sum(g.total for g in counts) == 388
    assert len({g.name for g in counts}) == len(counts)
    mapped = sum(c.status == "mapped" and c.function.counted for c in coverage(MODEL))
    assert sum(g.mapped for g in counts) == mapped > 60
