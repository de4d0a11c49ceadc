"""Every function that libvirt's drivers implement is really called by requests that come in through SNMP, and through CIM.

An agent with one front end serves a hypervisor, its manager plays a play of all operations and reads all there is, and a
recorder notes what reaches libvirt meanwhile. A function that a newer one supersedes is reached through that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial

import pytest

from agent.driver import LogSettings, Retention
from agent.model import MODEL
from agent.schema import libvirt_api
from agent.schema.declare import Operation, Row
from drivers.libvirt import LibvirtDriver
from tests.contract.managers import NAME, Manager, Outcome, Served, by_cim, by_snmp
from tests.contract.plays import BY_NAME, NOT_HERE, QEMU, TEST, THROUGH, Step, any_row, made_up, name_of
from tests.guest_agent import GuestAgent, emulator
from tests.recorder import Record, functions_of, recording
from tests.servers import System, eventually

log = logging.getLogger(__name__)

PLAYS: Mapping[str, Sequence[Step]] = {"test": TEST, "qemu": QEMU}
FRONT_ENDS = {"snmp": by_snmp, "cim": by_cim}
DRIVERS = ("test", "qemu")
NAMED = {o.api for o in MODEL.operations} | {f.api for row in MODEL.rows for f in row.fields}
"""The functions that a declaration names side by side."""

MORE = ("Flags", "WithFiles", "FD")
"""What libvirt adds to the name of a function when the same takes more arguments, or gives an open file instead of taking one."""

PATIENCE = 10.0
"""Seconds in which a row has to be there that an earlier step has made."""


@dataclass
class Played:
    """What came of a play: what reached libvirt, how each step ended, and what was asked for at all."""

    driver: str
    record: Record
    driver_told: frozenset[str] = frozenset()
    values: int = 0
    asked: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    untold: list[str] = field(default_factory=list)
    """Steps that failed and were not expected to, or the other way round."""

    @property
    def reached(self) -> frozenset[str]:
        """The functions that were called, and those that a called one stands for: it supersedes them, or it is the same with
        more arguments and a declaration names them side by side."""
        heard = self.record.functions
        superseded = {n for n, f in libvirt_api.functions().items() if f.superseded_by in heard}
        beside = {n for names in NAMED for n in names for m in MORE if f"{n}{m}" in heard and f"{n}{m}" in names}
        return heard | superseded | beside | {n for n, by in THROUGH.items() if by in heard}


def names_on(server: System, label: str) -> Mapping[str, str]:
    """What a play of QEMU calls things, all of them in a folder of its own; `open` is one that guests may write to."""
    folder, for_guests = server.root / label, server.root / label / "open"
    for_guests.mkdir(parents=True)
    for_guests.chmod(0o777)
    names = {name: str(server.image(f"{label}-{name}", size=16)) for name in ("disk", "copy")}
    names["raw"] = str(server.image(f"{label}-raw", size=16, kind="raw"))
    return {
        **names,
        "folder": str(folder),
        "open": str(for_guests),
        "pool": "reached",
        "type": "qemu",
        "uri": server.uri,
        "emulator": str(emulator(server)),
    }


def found(served: Served, kind: type[Row], it: Step, played: Played) -> Row | None:
    """The row that a step is asked of. One that did not come is not waited for again, so that one failure does not cost hours."""
    told = f"{kind.__name__} {dict(it.where)}"
    try:
        row = served.find(kind, it.where, within=0.0 if told in played.absent else PATIENCE)
    except TimeoutError:
        played.absent.add(told)
        played.untold.append(f"{it.told()}: there is no such row")
        return None
    played.absent.discard(told)
    return row


def asked(manager: Manager, kind: type[Operation], row: Row, it: Step) -> Outcome:
    """How a step ended; one that has to wait for the step before is taken again until it succeeds, or for long enough."""
    last = Outcome(error="")

    def succeeded() -> bool:
        nonlocal last
        last = manager.ask(kind, row, it.arguments, wait=it.wait)
        return not (it.soon and last.error)

    with suppress(TimeoutError):
        eventually(succeeded, within=PATIENCE)
    return last


def play(place: Place, served: Served, manager: Manager, names: Mapping[str, str], played: Played) -> None:
    """Take every step, then ask for what no step asked for, then read everything."""
    with ExitStack() as needs:
        take(place, served, manager, names, played, needs)
    for name, kind in BY_NAME.items() if place.driver == "test" else ():  # where nothing real can come to harm
        row = any_row(kind, [r for _, r in served.rows(kind.on)])
        if name not in played.asked and row is not None:
            outcome = manager.ask(kind, row, made_up(kind))
            log.info("%s, made up: %s", name, outcome.error or "done")
            played.asked.add(name)
    served.refreshed()
    played.values = manager.read()


def take(
    place: Place, served: Served, manager: Manager, names: Mapping[str, str], played: Played, needs: ExitStack
) -> None:
    """Take every step. What the play needs besides is there until `needs` ends."""
    known = dict(names)
    for each in PLAYS[place.driver]:
        kind = each.kind
        if kind is None:
            continue
        it = each.with_names(known)
        played.asked.add(it.operation)
        row = found(served, kind.on, it, played)
        if row is None:
            continue
        outcome = asked(manager, kind, row, it)
        known.update({name: value for name, value in outcome.values.items() if name not in names})
        log.info("%s: %s", it.told(), outcome.error or "done")
        if bool(outcome.error) is not bool(it.fails):
            played.untold.append(f"{it.told()}: {outcome.error or 'done, and was expected to fail'}")
        if it.then is not None:
            needs.enter_context(place.needs[it.then]())
            served.refreshed()


@dataclass(frozen=True, kw_only=True)
class Place:
    """A hypervisor for a play: its driver, its URI, and the names that the play uses there."""

    driver: str
    uri: str
    names: Callable[[str], Mapping[str, str]]
    needs: Mapping[str, Callable[[], AbstractContextManager[object]]] = field(default_factory=dict)
    logs: LogSettings = field(default_factory=LogSettings)


@pytest.fixture(scope="module", params=DRIVERS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    if request.param == "test":
        folder = str(tmp_path_factory.mktemp("test"))
        names = {"pool": "second-pool", "folder": folder, "type": "test"}
        return Place(driver="test", uri="test:///default", names=lambda _: names)
    server: System = request.getfixturevalue("system_libvirtd")
    return Place(
        driver="qemu",
        uri=server.uri,
        names=partial(names_on, server),
        needs={"agent": lambda: GuestAgent(server=server, guest="talking")},
        logs=LogSettings(directories=(str(server.log_folder),), retention=Retention(age=86400)),
    )


@pytest.fixture(scope="module", params=FRONT_ENDS)
def played(request: pytest.FixtureRequest, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A play on one hypervisor through one front end."""
    front_end: AbstractContextManager[tuple[Served, Manager]]
    names = place.names(request.param)
    with recording() as record:
        made = Played(driver=place.driver, record=record)
        front_end = FRONT_ENDS[request.param](  # type: ignore[assignment]
            place.uri, tmp_path_factory.mktemp("state"), place.logs
        )
        with front_end as (served, manager):
            play(place, served, manager, names, made)
            one = served.agent.inventories[NAME].driver
            assert isinstance(one, LibvirtDriver)
            made.driver_told = frozenset(one.called)
            closed = record.count("virConnectClose")
        eventually(lambda: record.count("virConnectClose") > closed, what="the end of the connection")
    return made


def wanted(driver: str) -> frozenset[str]:
    """The functions that this driver of libvirt 9.0 implements."""
    return frozenset(
        f.name for f in libvirt_api.functions().values() if f.mappable and driver in f.drivers and not f.newer
    )


@pytest.mark.timeout(900)
def test_every_function_of_the_driver_is_reached(played: Played) -> None:
    missed = wanted(played.driver) - played.reached - set(NOT_HERE[played.driver])
    assert not missed, "\n".join(sorted(missed))


@pytest.mark.timeout(900)
def test_what_is_excused_is_really_not_reached(played: Played) -> None:
    """An excuse that is no longer needed hides what may break."""
    excused = NOT_HERE[played.driver]
    assert sorted(set(excused) & played.record.functions) == []
    assert sorted(set(excused) - wanted(played.driver)) == []


@pytest.mark.timeout(900)
def test_every_step_of_the_play_succeeds_or_says_why_not(played: Played) -> None:
    assert not played.untold, "\n".join(played.untold)


@pytest.mark.timeout(900)
def test_every_operation_on_a_row_that_exists_is_asked_for(played: Played) -> None:
    assert played.asked >= {step.operation for step in PLAYS[played.driver] if step.kind is not None}
    assert len(played.asked) > 10
    assert played.values > 100


@pytest.mark.timeout(900)
def test_what_the_driver_says_it_called_was_called(played: Played) -> None:
    assert functions_of(played.driver_told) - played.record.functions == set()


def test_every_step_names_an_operation_and_its_arguments() -> None:
    """A step for an operation that is not there would be passed over in silence."""
    steps = [step for steps in PLAYS.values() for step in steps]
    assert sorted({step.operation for step in steps if step.kind is None}) == []
    wrong = [
        f"{step.operation}: {sorted(odd)}"
        for step in steps
        if step.kind is not None and (odd := set(step.arguments) - {f.name for f in step.kind.arguments()})
    ]
    assert wrong == []


def test_every_operation_stands_in_a_play() -> None:
    named = {step.operation for steps in PLAYS.values() for step in steps}
    assert sorted({name_of(o) for o in MODEL.operations} - named) == []
