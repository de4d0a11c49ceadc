"""The methods of the management service (DSP1042, 8.2): a domain is defined, changed and removed by settings.

Each method becomes operations of the mapping, performed one after the other, so that access, audit, jobs and errors are the same
as everywhere. All of it is checked before the first is performed, and what was done is taken back when a later one fails.

What is wrong with a parameter, and what the hypervisor refuses, is a CIM error in words. The return values of the profile are
for what no parameter is wrong with: a resource or a change that this service does not know (1), a domain in another state (5),
settings that contradict each other (6). The audit trail has the words for these as well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pywbem
from lxml import etree

from agent.access import Principal, permitted
from agent.cim import held, subjects, writing
from agent.cim.arguments import Parameters
from agent.cim.classes import PREFIX, InstanceClass, Schema
from agent.cim.definition import domain_xml
from agent.cim.messages import Value
from agent.cim.profiles import devices, embedded
from agent.cim.profiles.configuration import COUNT, DEFINITIONS, DISK, KIB, MEMORY, NIC, PROCESSOR, STATES
from agent.cim.profiles.management import SERVICE
from agent.cim.profiles.settings import (
    QUANTITY,
    Refusal,
    Returned,
    counted,
    differing,
    in_kib,
    of_system,
    quantified,
    settings_of,
    starts,
    unheard,
    wrong,
)
from agent.cim.repository import Repository
from agent.cim.status import CimError, Status, from_core
from agent.cim.world import Found, World, children
from agent.errors import VirtmapError
from agent.model import MODEL, Disk, Domain, Host, Nic, domain, domain_devices, host
from agent.model.domain import INACTIVE, ModificationImpact, UndefineFlags, XmlFlags
from agent.operations import Operations
from agent.schema.declare import Operation

__all__ = ["CLASS", "Management"]

#: The class whose methods these are.
CLASS = f"{PREFIX}{SERVICE}"

_SYSTEM_SETTINGS = "CIM_VirtualSystemSettingData"
_RESOURCE_SETTINGS = "CIM_ResourceAllocationSettingData"
_DEFINITION, _STATE = f"{PREFIX}DomainSettingData", f"{PREFIX}DomainStateSettingData"


@dataclass(frozen=True, kw_only=True)
class _Step:
    """One operation on the way, and the one that takes it back, if there is one."""

    operation: Operation
    key: tuple[Any, ...]
    undo: Operation | None = None
    undo_key: tuple[Any, ...] | None = None


@dataclass(kw_only=True)
class _Call:
    """One call of a method."""

    method: str
    given: Parameters
    service: Found
    principal: Principal
    world: World
    again: Callable[[], World]
    about: str = "-"

    @property
    def hypervisor(self) -> str:
        return self.service.hypervisor


class Management:
    """Performs the methods of the management services of all hosts."""

    def __init__(self, schema: Schema, operations: Operations) -> None:
        self._schema = schema
        self._repository = Repository(schema)
        self._operations = operations
        self._methods: Mapping[str, tuple[Callable[[_Call], Awaitable[list[str]]], type[Operation], tuple[str, ...]]] = {
            "DefineSystem": (
                self._define, host.DefineDomain, ("SystemSettings", "ResourceSettings", "ReferenceConfiguration"),
            ),
            "AddResourceSettings": (
                self._add, domain_devices.AttachDevice, ("AffectedConfiguration", "ResourceSettings"),
            ),
            "ModifyResourceSettings": (self._modify_resources, domain.SetMemory, ("ResourceSettings",)),
            "RemoveResourceSettings": (self._remove, domain_devices.DetachDevice, ("ResourceSettings",)),
            "ModifySystemSettings": (self._modify_system, domain.SetMemory, ("SystemSettings",)),
            "DestroySystem": (self._destroy, domain.Undefine, ("AffectedSystem",)),
        }  # fmt: skip

    def performs(self, name: str) -> bool:
        """Whether a method of the class, by any spelling of its name, is one of these."""
        return name.lower() in {known.lower() for known in self._methods}

    async def invoke(
        self, name: str, parameters: Mapping[str, Value], service: Found, principal: Principal, world: World,
        again: Callable[[], World],
    ) -> tuple[int, list[str]]:  # fmt: skip
        """Perform one of the methods, by any spelling of its name: its return value, and its outputs as PARAMVALUE elements.
        ``again`` gives the world as it is after something was done."""
        method = next(known for known in self._methods if known.lower() == name.lower())
        perform, least, allowed = self._methods[method]
        call = _Call(
            method=method, given=Parameters({}, ()), service=service, principal=principal, world=world, again=again
        )
        try:
            self._allow(call, least)
            call.given = Parameters(parameters, (*allowed, *_OUTPUTS[method]))
            outs = await perform(call)
        except CimError as error:
            if not error.recorded:
                await self._record(call, f"refused: {error.description}")
            raise _told(error) from None
        except Refusal as refusal:
            await self._record(call, f"refused: {refusal}")
            if refusal.code not in _RETURNED[method]:
                raise _told(CimError(_STATUS[refusal.code], f"{method}: {refusal}")) from None
            return refusal.code, []
        await self._record(call, "done")
        return Returned.COMPLETED, outs

    # --- methods: each gives its outputs as PARAMVALUE elements

    async def _define(self, call: _Call) -> list[str]:
        system = embedded.instance(
            self._repository, call.method, "SystemSettings", call.given.value("SystemSettings"), _SYSTEM_SETTINGS
        )
        resources = self._resources(call)
        model = self._configuration(call, "ReferenceConfiguration", optional=True)
        given = of_system(call.method, system)
        call.about = f"domain {given.get('name', '')}"
        start = starts(call.method, system)
        self._complete(call, given, model)
        made = self._allotted(call, given, resources)
        settings = replace(settings_of(call.method, given), devices=tuple(made))
        await writing.check_new(self._operations, call.again, call.hypervisor, settings)
        drawn = None if model is None else await self._definition(call, model, inactive=True)
        try:
            xml = domain_xml(settings, drawn)
        except ValueError as error:
            raise wrong(call.method, f"no definition can be made of this: {error}") from None
        self._permit(call, [host.DefineDomain, *([domain.SetAutostart] if start else [])])
        result = await self._perform(call, host.DefineDomain(xml=xml), (call.hypervisor,))
        key = (result["uuid"],)
        call.about = f"domain {settings.name} ({result['uuid']})"
        await self._operations.reread(call.hypervisor, (Domain, key))
        if start:
            try:
                await self._perform(call, domain.SetAutostart(autostart=True), key)
            except CimError:
                with suppress(CimError):
                    await self._perform(call, domain.Undefine(), key)
                raise
        known = tuple(result["uuid"] if f.name == "uuid" else None for f in Domain.fields)
        path = subjects.path(self._instances(f"{PREFIX}Domain"), known, call.hypervisor)
        return [_reference("ResultingSystem", path)]

    async def _add(self, call: _Call) -> list[str]:
        found = self._configuration(call, "AffectedConfiguration")
        assert found is not None  # it is needed
        call.about = _called(found)
        resources = self._resources(call, needed=True)
        root = await self._definition(call, found, inactive=found.cls.name == _DEFINITION)
        taken, steps, names = devices.targets(root), [], []
        impact = _impact(found.cls)
        for resource in resources:
            kind, of = self._kind(call, resource)
            if kind is None:
                raise Refusal(Returned.NOT_SUPPORTED, f"resources of the type {of} cannot be added")
            unheard(resource, devices.HANDLED[kind])
            element = self._made(call, resource, kind, of, taken)
            names.append((kind, element))
            text = devices.text_of(element)
            steps.append(
                _Step(
                    operation=domain_devices.AttachDevice(xml=text, impact=impact), key=found.key,
                    undo=domain_devices.DetachDevice(xml=text, impact=impact),
                )
            )  # fmt: skip
        await self._carry_out(call, steps)
        return [_references(_RESULTING, self._added(call, found, names))]

    async def _modify_resources(self, call: _Call) -> list[str]:
        steps, paths = [], []
        for resource in self._resources(call, needed=True):
            found = self._settings_of(call, resource, (*STATES, *DEFINITIONS))
            call.about = _called(found)
            paths.append(subjects.path(found.cls, found.record, found.hypervisor))
            if found.cls.row is Domain:
                steps += self._changes(call, found, quantified(call.method, found, resource))
            else:
                steps += await self._device_changes(call, found, resource)
        await self._carry_out(call, steps)
        return [_references(_RESULTING, paths)]

    async def _remove(self, call: _Call) -> list[str]:
        raw = call.given.value("ResourceSettings")
        if not isinstance(raw, list) or not raw or not all(isinstance(p, pywbem.CIMInstanceName) for p in raw):
            raise wrong(call.method, "ResourceSettings is an array of references, with one at least")
        steps = []
        seen: set[tuple[str, tuple[Any, ...]]] = set()
        for path in raw:
            found = self._here(call, call.world.locate(path), "ResourceSettings")
            call.about = _called(found)
            if _short(found.cls) not in (*STATES, *DEFINITIONS):
                raise wrong(call.method, f"ResourceSettings: {found.cls.name} is no {_RESOURCE_SETTINGS} of a domain")
            if found.cls.row is Domain:
                raise Refusal(Returned.NOT_SUPPORTED, "a domain cannot do without processors or memory; change them")
            if (found.cls.name, found.key) in seen:
                raise wrong(call.method, f"ResourceSettings: {_called(found)} stands there twice")
            seen.add((found.cls.name, found.key))
            element = await self._element(call, found)
            text, impact = devices.text_of(element), _impact(found.cls)
            steps.append(
                _Step(
                    operation=domain_devices.DetachDevice(xml=text, impact=impact), key=found.key[:1],
                    undo=domain_devices.AttachDevice(xml=text, impact=impact),
                )
            )  # fmt: skip
        await self._carry_out(call, steps)
        return []

    async def _modify_system(self, call: _Call) -> list[str]:
        system = embedded.instance(
            self._repository, call.method, "SystemSettings", call.given.value("SystemSettings"), _SYSTEM_SETTINGS
        )
        short = tuple(name.removeprefix(PREFIX) for name in (_DEFINITION, _STATE))
        found = self._settings_of(call, system, short)
        call.about = _called(found)
        await self._carry_out(call, self._changes(call, found, system))
        return []

    async def _destroy(self, call: _Call) -> list[str]:
        path = call.given.instance_name("AffectedSystem")
        found = self._here(call, call.world.locate(path), "AffectedSystem")
        if found.cls.row is not Domain or not found.cls.is_row:
            raise wrong(call.method, f"AffectedSystem: {found.cls.name} is no domain")
        call.about = _called(found)
        record = found.record
        active = record[Domain.positions["state"]] not in INACTIVE.values
        steps = []
        if record[Domain.positions["persistent"]] is not False:
            definition = await self._definition(call, found, inactive=True)
            # The definition goes first: if it has to stay, the domain still runs. What is put back has no secrets any more.
            steps.append(
                _Step(
                    operation=domain.Undefine(flags=self._scoped(call, found, definition)), key=found.key,
                    undo=host.DefineDomain(xml=devices.text_of(definition)), undo_key=(call.hypervisor,),
                )
            )  # fmt: skip
        if active:
            steps.append(_Step(operation=domain.Destroy(), key=found.key))
        await self._carry_out(call, steps)
        return []

    # --- what methods are given

    def _resources(self, call: _Call, *, needed: bool = False) -> list[pywbem.CIMInstance]:
        raw = call.given.value("ResourceSettings")
        found = embedded.instances(self._repository, call.method, "ResourceSettings", raw, _RESOURCE_SETTINGS)
        if needed and not found:
            raise wrong(call.method, "ResourceSettings is missing")
        return found

    def _configuration(self, call: _Call, name: str, *, optional: bool = False) -> Found | None:
        """The settings of a domain that a parameter refers to."""
        if optional and call.given.value(name) is None:
            return None
        found = self._here(call, call.world.locate(call.given.instance_name(name)), name)
        if found.cls.name not in (_DEFINITION, _STATE):
            raise wrong(call.method, f"{name}: {found.cls.name} is no {_SYSTEM_SETTINGS}")
        return found

    def _here(self, call: _Call, found: Found, name: str) -> Found:
        if found.hypervisor != call.hypervisor:
            raise wrong(
                call.method,
                f"{name}: {_called(found)} is on {found.hypervisor}, and this is the service of {call.hypervisor}",
            )
        return found

    def _settings_of(self, call: _Call, given: pywbem.CIMInstance, names: Iterable[str]) -> Found:
        """The settings that an instance is to change, by its InstanceID; NOT_FOUND if there are none."""
        identity = given.get("InstanceID")
        if not identity:
            raise wrong(call.method, f"{given.classname} has no InstanceID: which settings are to be changed?")
        for name in names:
            cls = self._instances(f"{PREFIX}{name}")
            if not (self._schema.is_a(cls.name, given.classname) or self._schema.is_a(given.classname, cls.name)):
                continue
            path = pywbem.CIMInstanceName(cls.name, keybindings={"InstanceID": identity})
            try:
                return self._here(call, call.world.locate(path), "InstanceID")
            except CimError as error:
                if error.status is not Status.NOT_FOUND:
                    raise
        raise CimError(Status.NOT_FOUND, f"{call.method}: there are no settings {identity[:120]!r}")

    def _kind(self, call: _Call, resource: pywbem.CIMInstance) -> tuple[str | None, int]:
        """The element of the domain XML that settings are about, if it is a device, and their ResourceType."""
        of: int | None = resource.get("ResourceType")
        if of is None:
            of = next((kind for base, kind in _TYPES.items() if self._schema.is_a(resource.classname, base)), None)
        if of is None:
            raise wrong(call.method, f"{resource.classname} has no ResourceType: which resource is it about?")
        kind = devices.kind_of(of)
        for base, fits in (
            ("CIM_StorageAllocationSettingData", "disk"),
            ("CIM_EthernetPortAllocationSettingData", "interface"),
        ):
            if self._schema.is_a(resource.classname, base) and kind != fits:
                raise Refusal(Returned.INCOMPATIBLE, f"{resource.classname} cannot be of the ResourceType {of}")
        return kind, int(of)

    def _made(self, call: _Call, resource: pywbem.CIMInstance, kind: str, of: int, taken: set[str]) -> etree._Element:
        """The element of a new device. The names that are taken are then one more."""
        try:
            if kind == "interface":
                return devices.nic(resource)
            element = devices.disk(resource, of, taken)
        except ValueError as error:
            raise wrong(call.method, f"ResourceSettings: {error}") from None
        taken |= devices.targets_of(element)
        return element

    # --- definitions

    def _allotted(
        self, call: _Call, given: dict[str, Any], resources: Iterable[pywbem.CIMInstance]
    ) -> list[etree._Element]:
        """The elements of the devices; processors and memory go into ``given``."""
        made: list[etree._Element] = []
        taken: set[str] = set()
        seen: set[int] = set()
        for resource in resources:
            kind, of = self._kind(call, resource)
            if kind is not None:
                unheard(resource, devices.HANDLED[kind])
                made.append(self._made(call, resource, kind, of, taken))
                continue
            if of not in (PROCESSOR, MEMORY):
                raise Refusal(Returned.NOT_SUPPORTED, f"resources of the type {of} cannot be allotted")
            if of in seen:
                raise wrong(call.method, f"ResourceSettings: there are two of the ResourceType {of}")
            seen.add(of)
            unheard(resource, QUANTITY)
            told = resource if of == PROCESSOR else in_kib(call.method, resource)
            counted(call.method, told, COUNT if of == PROCESSOR else KIB)
            now, most = ("vcpus", "max_vcpus") if of == PROCESSOR else ("memory", "max_memory")
            for name, prop in ((now, "VirtualQuantity"), (most, "Limit")):
                if told.get(prop) is not None:
                    given[name] = int(told[prop])
            if told.get("VirtualQuantity") is not None and told.get("Limit") is None:
                given.pop(most, None)
        return made

    def _complete(self, call: _Call, given: dict[str, Any], model: Found | None) -> None:
        """What a reference configuration, and the host, tell of a domain that nothing else does."""
        if model is not None:
            prefix = "config_" if model.cls.name == _DEFINITION else ""
            for name in ("memory", "max_memory", "vcpus", "max_vcpus"):
                given.setdefault(name, model.record[Domain.positions[f"{prefix}{name}"]])
            given.setdefault("type", model.record[Domain.positions["type"]])
        (row,) = call.world.table(call.hypervisor, Host).rows()
        if not given.get("type"):
            given["type"] = (row.as_dict()["driver"] or "").lower()

    async def _definition(self, call: _Call, found: Found, *, inactive: bool) -> etree._Element:
        """The XML of a domain, as it runs or as it is defined."""
        flags = XmlFlags.INACTIVE if inactive else XmlFlags(0)
        result = await self._perform(call, domain.ReadXml(flags=flags), found.key[:1])
        return etree.fromstring(result["xml"], _PARSER)

    async def _element(self, call: _Call, found: Found) -> etree._Element:
        """The device that settings are about, in the XML of its domain."""
        root = await self._definition(call, found, inactive=_short(found.cls) in DEFINITIONS)
        named = found.key[1]
        element = devices.disk_named(root, named) if found.cls.row is Disk else devices.nic_named(root, named)
        if element is None:
            raise CimError(Status.NOT_FOUND, f"{call.method}: {_called(found)} is in the definition no more")
        return element

    def _scoped(self, call: _Call, found: Found, definition: etree._Element) -> UndefineFlags:
        """What goes with the definition of a domain: all that belongs to it, but its disks."""
        flags = UndefineFlags(0)
        if found.record[Domain.positions["managed_save"]]:
            flags |= UndefineFlags.MANAGED_SAVE
        for row, flag in _SCOPED:
            if children(call.world.table(call.hypervisor, row), found.table, found.key):
                flags |= flag
        if definition.find("os/nvram") is not None:
            flags |= UndefineFlags.NVRAM
        return flags

    # --- changes

    def _changes(self, call: _Call, found: Found, given: pywbem.CIMInstance) -> list[_Step]:
        """The operations that make of settings of a domain what they are to be."""
        changed = frozenset(name.lower() for name in differing(found, given))
        try:
            made = writing.changes(self._schema, found, given, changed)
        except CimError as error:
            if error.status is Status.NOT_SUPPORTED:
                raise Refusal(Returned.NOT_SUPPORTED, error.description) from None
            raise
        return [_Step(operation=c.operation, key=found.key, undo=c.undo) for c in made]

    async def _device_changes(self, call: _Call, found: Found, given: pywbem.CIMInstance) -> list[_Step]:
        """The operation that makes of a device what its settings are to be; none if they are so already."""
        changed = differing(found, given)
        if not changed:
            return []
        element = await self._element(call, found)
        heard = [name for name in changed if name in devices.CHANGEABLE[str(element.tag)]]
        if len(heard) != len(changed):
            lost = ", ".join(name for name in changed if name not in heard)
            raise Refusal(Returned.NOT_SUPPORTED, f"{_called(found)}: {lost} cannot be changed")
        only = pywbem.CIMInstance(given.classname, properties={name: given.properties[name] for name in heard})
        try:
            made = devices.change(element, only)
        except ValueError as error:
            raise wrong(call.method, f"ResourceSettings: {error}") from None
        impact = _impact(found.cls)
        return [
            _Step(
                operation=domain_devices.UpdateDevice(xml=devices.text_of(made), impact=impact), key=found.key[:1],
                undo=domain_devices.UpdateDevice(xml=devices.text_of(element), impact=impact),
            )
        ]  # fmt: skip

    # --- performing

    def _allow(self, call: _Call, operation: type[Operation]) -> None:
        if not permitted(call.principal, operation):
            level = operation.needs.name.lower()
            raise CimError(
                Status.ACCESS_DENIED,
                f"{call.principal.name}: {call.method} needs the role {level}, and it has {call.principal.role.name.lower()}",
            )

    def _permit(self, call: _Call, operations: Iterable[type[Operation]]) -> None:
        """Refuse all if one of them is refused."""
        for each in operations:
            self._allow(call, each)

    async def _carry_out(self, call: _Call, steps: list[_Step]) -> None:
        """Perform everything, or nothing."""
        self._permit(call, (type(step.operation) for step in steps))
        for step in steps:
            why = self._operations.unsuitable(call.hypervisor, type(step.operation), step.key)
            if why is not None:
                raise Refusal(Returned.INVALID_STATE, why)
        for number, step in enumerate(steps):
            try:
                await self._perform(call, step.operation, step.key)
            except CimError:
                await self._take_back(call, steps[:number])
                raise

    async def _take_back(self, call: _Call, steps: list[_Step]) -> None:
        """Undo what was done. What cannot be undone stands in the audit trail; the error that led here is the one to tell."""
        for step in reversed(steps):
            if step.undo is None:
                continue
            with suppress(CimError):
                await self._perform(call, step.undo, step.undo_key or step.key)
                await self._operations.reread(call.hypervisor, (Domain, step.key))

    async def _perform(self, call: _Call, operation: Operation, key: tuple[Any, ...]) -> Mapping[str, Any]:
        try:
            return (await self._operations.perform(call.principal, call.hypervisor, operation, key)).values
        except VirtmapError as error:
            raise from_core(error) from error

    async def _record(self, call: _Call, result: str) -> None:
        await self._operations.record(call.principal, call.hypervisor, call.method, call.about, result)

    # --- what they give back

    def _added(
        self, call: _Call, found: Found, elements: Iterable[tuple[str, etree._Element]]
    ) -> list[pywbem.CIMInstanceName]:
        """The settings of new devices, of those that can be told already: a running domain may only tell them once it is off, and
        libvirt chooses addresses of interfaces that have none."""
        world = call.again()
        suffix = "SettingData" if found.cls.name == _DEFINITION else "StateSettingData"
        paths = []
        for kind, element in elements:
            row, child, attribute = (Disk, "target", "dev") if kind == "disk" else (Nic, "mac", "address")
            named = element.find(child)
            if named is None:
                continue
            cls = self._instances(f"{PREFIX}{row.__name__}{suffix}")
            table = world.table(call.hypervisor, row)
            place = table.find((found.key[0], named.get(attribute)))
            if place is not None and world.shows(cls, call.hypervisor)(table.records[place]):
                paths.append(subjects.path(cls, table.records[place], call.hypervisor))
        return paths

    def _instances(self, name: str) -> InstanceClass:
        return self._schema.instances[name.lower()]


_RESULTING = "ResultingResourceSettings"
_OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "DefineSystem": ("ResultingSystem", "Job"),
    "AddResourceSettings": (_RESULTING, "Job"),
    "ModifyResourceSettings": (_RESULTING, "Job"),
    "RemoveResourceSettings": ("Job",),
    "ModifySystemSettings": ("Job",),
    "DestroySystem": ("Job",),
}

#: The return values that a method has, of those that say why it did nothing; in place of others there is a CIM error.
_RETURNED: Mapping[str, tuple[Returned, ...]] = {
    "DefineSystem": (Returned.NOT_SUPPORTED,),
    "AddResourceSettings": (Returned.NOT_SUPPORTED,),
    "ModifyResourceSettings": (Returned.NOT_SUPPORTED, Returned.INVALID_STATE, Returned.INCOMPATIBLE),
    "RemoveResourceSettings": (Returned.NOT_SUPPORTED, Returned.INVALID_STATE),
    "ModifySystemSettings": (Returned.NOT_SUPPORTED, Returned.INVALID_STATE, Returned.INCOMPATIBLE),
    "DestroySystem": (Returned.NOT_SUPPORTED, Returned.INVALID_STATE),
}
_STATUS = {Returned.INVALID_STATE: Status.FAILED, Returned.INCOMPATIBLE: Status.INVALID_PARAMETER}

#: Classes that tell by themselves which resource their instances are about.
_TYPES: Mapping[str, int] = {
    "CIM_StorageAllocationSettingData": DISK,
    "CIM_EthernetPortAllocationSettingData": NIC,
    **{f"{PREFIX}Processor{each}": PROCESSOR for each in ("SettingData", "StateSettingData")},
    **{f"{PREFIX}Memory{each}": MEMORY for each in ("SettingData", "StateSettingData")},
}

#: What belongs to a domain and goes with its definition, by the row that tells of it.
_SCOPED = tuple(
    (row, flag)
    for name, flag in (
        ("Snapshot", UndefineFlags.SNAPSHOTS_METADATA),
        ("Checkpoint", UndefineFlags.CHECKPOINTS_METADATA),
    )
    for row in MODEL.rows
    if row.__name__ == name
)

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def _told(error: CimError) -> CimError:
    """The error, which the audit trail knows."""
    error.recorded = True
    return error


def _short(cls: InstanceClass) -> str:
    return cls.name.removeprefix(PREFIX)


def _called(found: Found) -> str:
    """The object of a call, for people."""
    if found.cls.row is Domain:
        return f"domain {found.record[Domain.positions['name']] or found.key[0]}"
    return f"{found.cls.row.__name__.lower()} {'/'.join(map(str, found.key))}"


def _impact(cls: InstanceClass) -> ModificationImpact:
    """What a change of these settings applies to."""
    of_definition = cls.name == _DEFINITION or _short(cls) in DEFINITIONS
    return ModificationImpact.CONFIG if of_definition else ModificationImpact.LIVE


def _reference(name: str, path: pywbem.CIMInstanceName) -> str:
    return f'<PARAMVALUE NAME="{name}" PARAMTYPE="reference">{held.value_xml(path)}</PARAMVALUE>'


def _references(name: str, paths: list[pywbem.CIMInstanceName]) -> str:
    return f'<PARAMVALUE NAME="{name}" PARAMTYPE="reference">{held.value_xml(paths)}</PARAMVALUE>' if paths else ""
