"""Operations that create, change and delete instances (DSP0200 5.3.2.5 to 5.3.2.7, 5.3.2.19).

A row changes by operations of the mapping: a domain is created by defining it and deleted by removing its definition, and a
property is changed by the operation that sets its column, of the running domain where it is the domain's, of the definition
where it is its settings'. What has no operation behind it is refused. Filters, destinations and subscriptions are changed by
who keeps them.

ModifyInstance changes what differs from what was last read, and whatever stands in a PropertyList. Without one, properties
that nobody can set are passed over as long as anything else is to be changed, so that an instance can be read, changed in one
property and sent back, although its counters have moved on; in a PropertyList they are refused.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pywbem

from agent.access import Principal, permitted
from agent.cim import held, messages
from agent.cim.answers import Answer, Context, Keeper, done, short
from agent.cim.arguments import argument
from agent.cim.classes import InstanceClass, InstanceProperty, Schema
from agent.cim.definition import Settings, domain_xml
from agent.cim.instances import value
from agent.cim.status import CimError, Status, from_core
from agent.cim.subjects import path
from agent.cim.world import Found, World
from agent.errors import VirtmapError
from agent.model import Domain, Host, domain, host
from agent.model.domain import INACTIVE
from agent.operations import Operations
from agent.schema.declare import Field, Operation

__all__ = ["WRITES", "Change", "Writing", "changes", "check_new"]

#: Names of all operations that would change something, for the audit trail.
WRITES = frozenset(
    (
        "createinstance", "modifyinstance", "deleteinstance", "setproperty",
        "createclass", "modifyclass", "deleteclass", "setqualifier", "deletequalifier",
    )
)  # fmt: skip

#: CIM_VirtualSystemSettingData.AutomaticStartupAction.
_STARTUP = {4: True, 2: False}

#: Properties of classes of a domain to what a definition is made of, all in lower case.
_SETTINGS = {
    "elementname": "name",
    "type": "type",
    "virtualsystemtype": "type",
    "memory": "memory",
    "maxmemory": "max_memory",
    "vcpus": "vcpus",
    "maxvcpus": "max_vcpus",
    "name": "uuid",
    "virtualsystemidentifier": "uuid",
    "title": "title",
    "description": "description",
    "notes": "description",
    "ostype": "os_type",
    "architecture": "architecture",
    "machine": "machine",
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """An operation that sets a property, and the one that sets it back, if what it was is known."""

    operation: Operation
    undo: Operation | None


class Writing:
    """The operations that change instances."""

    def __init__(self, schema: Schema, operations: Operations) -> None:
        self._schema = schema
        self._operations = operations
        self.operations: Mapping[str, Callable[[Context], Awaitable[Answer]]] = {
            "createinstance": self._create,
            "modifyinstance": self._modify,
            "deleteinstance": self._delete,
            "setproperty": self._set_property,
        }

    # --- create

    async def _create(self, context: Context) -> Answer:
        instance = context.parameters("NewInstance").instance("NewInstance")
        name = context.space.class_name(instance.classname)
        keeper = _keeper(context, name)
        if keeper is not None:
            made = await _kept(keeper.create(instance, context.principal))
            return short(context, [held.name_xml(made)])
        cls = self._schema.instances.get(name.lower())
        if not context.space.has_rows or cls is None or cls.row is not Domain:
            raise CimError(Status.NOT_SUPPORTED, f"instances of {name} cannot be created")
        self._check_properties(context, name, instance)
        hypervisor = self._hypervisor(context.world, instance)
        settings = self._settings(context.world, hypervisor, instance)
        await check_new(self._operations, context.again, hypervisor, settings)
        try:
            operation = host.DefineDomain(xml=domain_xml(settings))
        except ValueError as error:
            raise CimError(Status.INVALID_PARAMETER, f"no definition can be made of this: {error}") from None
        result = await self._perform(context.principal, hypervisor, operation, (hypervisor,))
        key = (result["uuid"],)
        who = f"domain {settings.name} ({result['uuid']})"
        await self._operations.record(context.principal, hypervisor, "CreateInstance", who, "done")
        await self._operations.reread(hypervisor, (Domain, key))
        # Its path tells nothing but which domain it is, so that it is known even if the domain could not be read yet.
        known = tuple(result["uuid"] if f.name == "uuid" else None for f in Domain.fields)
        return short(context, [held.name_xml(path(cls, known, hypervisor))])

    def _hypervisor(self, world: World, instance: pywbem.CIMInstance) -> str:
        """The hypervisor that the instance names as its host; the default one if it names none."""
        wanted = instance.get("Host")
        if wanted is None:
            return world.hypervisors[0]
        if wanted not in world.hypervisors:
            raise CimError(Status.INVALID_PARAMETER, f"Host: there is no hypervisor {str(wanted)[:40]!r}")
        return str(wanted)

    def _settings(self, world: World, hypervisor: str, instance: pywbem.CIMInstance) -> Settings:
        """The settings that the properties of an instance describe."""
        given: dict[str, Any] = {}
        for name, each in instance.properties.items():
            setting = _SETTINGS.get(name.lower())
            if setting is not None and each.value is not None:
                given[setting] = "\n".join(each.value) if each.is_array else each.value
            elif each.value is not None and name.lower() not in ("host", "creationclassname", "instanceid"):
                raise CimError(Status.NOT_SUPPORTED, f"{name} cannot be set when a domain is created")
        for needed, prop in (("name", "ElementName"), ("memory", "Memory")):
            if not given.get(needed):
                raise CimError(Status.INVALID_PARAMETER, f"a domain needs its {prop}")
        (row,) = world.table(hypervisor, Host).rows()
        given.setdefault("type", (row.as_dict()["driver"] or "").lower())
        if "uuid" in given:
            try:
                given["uuid"] = str(uuid.UUID(given["uuid"]))
            except ValueError:
                raise CimError(Status.INVALID_PARAMETER, f"{str(given['uuid'])[:40]!r} is no UUID") from None
        return Settings(**given)

    # --- modify

    async def _modify(self, context: Context) -> Answer:
        given = context.parameters("ModifiedInstance", "IncludeQualifiers", "PropertyList")
        instance, properties = given.instance("ModifiedInstance"), given.names("PropertyList")
        if instance.path is None:
            raise CimError(Status.INVALID_PARAMETER, "ModifiedInstance has no path")
        if instance.path.classname.lower() != instance.classname.lower():
            raise CimError(Status.INVALID_PARAMETER, "ModifiedInstance is of another class than its path")
        await self._modified(context, instance, properties)
        return done(context)

    async def _set_property(self, context: Context) -> Answer:
        given = context.parameters("InstanceName", "PropertyName", "NewValue")
        where, name = given.instance_name("InstanceName"), given.needed_text("PropertyName")
        cls = context.space.class_name(where.classname)
        declared = context.space.repository.property_of(cls, name)
        if declared is None:
            raise CimError(Status.NO_SUCH_PROPERTY, f"{cls} has no property {name[:80]!r}")
        try:
            prop = pywbem.CIMProperty(
                name, messages.typed_value(given.value("NewValue"), declared.type), type=declared.type,
                is_array=declared.is_array,
            )  # fmt: skip
        except (ValueError, TypeError, messages.MessageError) as error:
            raise CimError(Status.TYPE_MISMATCH, f"{name}: {error}") from None
        instance = pywbem.CIMInstance(cls, properties=[prop], path=where)
        await self._modified(context, instance, frozenset((name.lower(),)))
        return done(context)

    async def _modified(
        self, context: Context, instance: pywbem.CIMInstance, properties: frozenset[str] | None
    ) -> None:
        name = context.space.class_name(instance.classname)
        self._check_properties(context, name, instance, *(properties or ()))
        keeper = _keeper(context, name)
        if keeper is not None:
            await _kept(keeper.modify(instance, properties, context.principal))
            return
        if not context.space.has_rows or name.lower() not in self._schema.instances:
            raise CimError(Status.NOT_SUPPORTED, f"instances of {name} cannot be changed")
        found = context.world.locate(instance.path)
        taken: list[Change] = []
        for change in changes(self._schema, found, instance, properties):
            try:
                await self._perform(context.principal, found.hypervisor, change.operation, found.key)
            except CimError:
                await self._take_back(context.principal, found, taken)
                raise
            taken.append(change)

    async def _take_back(self, principal: Principal, found: Found, taken: Sequence[Change]) -> None:
        """Undo what was done before something failed. What cannot be undone stands in the audit trail, and in its column."""
        for change in reversed(taken):
            if change.undo is not None:
                try:
                    await self._perform(principal, found.hypervisor, change.undo, found.key)
                except CimError:
                    continue  # it was recorded, and the error that led here is the one to tell

    # --- delete

    async def _delete(self, context: Context) -> Answer:
        where = context.parameters("InstanceName").instance_name("InstanceName")
        name = context.space.class_name(where.classname)
        keeper = _keeper(context, name)
        if keeper is not None:
            await _kept(keeper.delete(where, context.principal))
            return done(context)
        cls = self._schema.instances.get(name.lower())
        if not context.space.has_rows or cls is None or not _is_definition(cls):
            raise CimError(Status.NOT_SUPPORTED, f"instances of {name} cannot be deleted")
        found = context.world.locate(where)
        active = found.record[Domain.positions["state"]] not in INACTIVE.values
        if found.cls.is_row and active and permitted(context.principal, domain.Undefine):
            raise CimError(
                Status.FAILED, "a domain that is active stays when its definition goes: stop it, or delete its settings"
            )
        await self._perform(context.principal, found.hypervisor, domain.Undefine(), found.key)
        return done(context)

    # --- all of them

    def _check_properties(self, context: Context, name: str, instance: pywbem.CIMInstance, *listed: str) -> None:
        """NO_SUCH_PROPERTY for a property that the class has not, TYPE_MISMATCH for one of another type."""
        repository = context.space.repository
        for each in (*listed, *instance.properties):
            declared = repository.property_of(name, each)
            if declared is None:
                raise CimError(Status.NO_SUCH_PROPERTY, f"{name} has no property {each[:80]!r}")
            prop = instance.properties.get(each)
            if prop is not None and (prop.type, bool(prop.is_array)) != (declared.type, bool(declared.is_array)):
                raise CimError(Status.TYPE_MISMATCH, f"{name}.{each} is {declared.type}, and was sent as {prop.type}")

    async def _perform(
        self, principal: Principal, hypervisor: str, operation: Operation, key: tuple[Any, ...]
    ) -> Mapping[str, Any]:
        try:
            return (await self._operations.perform(principal, hypervisor, operation, key)).values
        except VirtmapError as error:
            raise from_core(error) from error


def _keeper(context: Context, name: str) -> Keeper | None:
    return next((k for k in context.space.keepers if name.lower() in k.classes), None)


async def _kept(doing: Awaitable[Any]) -> Any:
    """What a keeper does, which records it by itself."""
    try:
        return await doing
    except CimError as error:
        error.recorded = True
        raise


async def check_new(operations: Operations, world: Callable[[], World], hypervisor: str, settings: Settings) -> None:
    """ALREADY_EXISTS if there is a domain of that name or UUID: defining it would replace it, devices and all. ``world`` gives
    the world as it is by then."""
    if settings.uuid is not None:
        await operations.reread(hypervisor, (Domain, (settings.uuid,)))
    table = world().table(hypervisor, Domain)
    at = Domain.positions["name"]
    same = any(record[at] == settings.name for record in table.records)
    if same or (settings.uuid is not None and table.find((settings.uuid,)) is not None):
        raise CimError(
            Status.ALREADY_EXISTS,
            f"there is a domain {settings.name} already, or one with its UUID; change that one",
        )


def _is_definition(cls: InstanceClass) -> bool:
    """Whether an instance of the class is there as long as the domain is defined."""
    return cls.row is Domain and cls.name in ("Virtmap_Domain", "Virtmap_DomainSettingData")


def changes(
    schema: Schema, found: Found, instance: pywbem.CIMInstance, properties: frozenset[str] | None
) -> list[Change]:
    """The operations that make of an instance what it is to be."""
    made: list[Change] = []
    fixed: list[str] = []
    for prop in found.cls.properties:
        lower = prop.name.lower()
        if prop.name not in instance.properties or (properties is not None and lower not in properties):
            continue
        wanted, now = instance[prop.name], value(prop.source, found.record, found.hypervisor)
        same = _same(wanted, now)
        if same and (prop.key or properties is None):
            continue
        if prop.key:
            raise CimError(Status.INVALID_PARAMETER, f"{prop.name} is a key, and cannot be changed")
        change = _change(schema, found, prop, wanted)
        if change is not None:
            made.append(change)
        elif not same:
            fixed.append(prop.name)
    if fixed and (properties is not None or not made):
        raise CimError(Status.NOT_SUPPORTED, f"{found.cls.name}: {', '.join(fixed[:5])} cannot be changed")
    return made


def _change(schema: Schema, found: Found, prop: InstanceProperty, wanted: Any) -> Change | None:
    """The operation that sets a property; None if nothing does."""
    row = found.cls.row
    if row is Domain and prop.name == "AutomaticStartupAction":
        on = _STARTUP.get(wanted)
        if on is None:
            raise CimError(Status.NOT_SUPPORTED, f"AutomaticStartupAction can be {' or '.join(map(str, _STARTUP))}")
        before = found.record[row.positions["autostart"]]
        undo = None if before is None else domain.SetAutostart(autostart=before)
        return Change(operation=domain.SetAutostart(autostart=on), undo=undo)
    setter = schema.setters.get((found.cls.name.lower(), prop.name.lower()))
    if setter is None:
        return None
    kind, target = setter.operation, setter.argument
    before = value(prop.source, found.record, found.hypervisor)
    return Change(
        operation=kind(**{target.name: _argument(kind, prop.name, target, wanted)}, **setter.more),
        undo=None if before is None else kind(**{target.name: before}, **setter.more),
    )


def _argument(kind: type[Operation], name: str, spec: Field, wanted: Any) -> Any:
    if wanted is None:
        raise CimError(Status.INVALID_PARAMETER, f"{name} cannot be NULL")
    return argument(
        kind.__name__, name, spec, messages.atom(wanted).lower() if wanted in (True, False) else str(wanted)
    )


def _same(wanted: Any, now: Any) -> bool:
    """Whether a value that a client sent is the one that the property has."""
    if isinstance(wanted, pywbem.CIMDateTime):
        return bool(wanted.datetime == now)
    if isinstance(wanted, list):
        return now is not None and [*wanted] == [*now]
    return bool(wanted == now)
