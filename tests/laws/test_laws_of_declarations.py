"""Each law of the language fires: a small declaration breaks it, and the error names that declaration."""

from typing import Any

import pytest

from agent.errors import DeclarationError
from agent.schema.declare import (
    Access,
    Aspect,
    Association,
    Event,
    Fill,
    Index,
    Model,
    Operation,
    Row,
    Settings,
    argument,
    column,
    detail,
    key,
    mapped,
    out,
    parent,
    previous,
    taken,
    when,
)
from agent.schema.types import Count, CpuTime, Enumeration, Flag, Name, Ordinal, SecretText, Timestamp, Xml

API = "virDomainGetName"
FILLS = {"ElementName": taken("name")}
NULLS = dict.fromkeys(("InstanceID", "Caption", "Description"), "There is none.")
LINK = Association(
    name="Virtmap_Link", base="CIM_Dependency", far="Antecedent", near="Dependent", description="A link."
)


class Colour(Enumeration):
    """What it looks like."""

    RED = 1, "red", "Like blood.", None, {"Caption": "red"}
    BLUE = 2, "blue", "Like the sky."


class Thing(Row, table=1, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
    """A thing."""

    name: Name = key(2, "Its name.", api=API)
    size: Count | None = column(3, "Its size.", api=API)
    colour: Colour | None = column(4, "Its colour.", api=API)


def model(*rows: type[Row], operations: tuple[Any, ...] = (), events: tuple[Any, ...] = ()) -> Model:
    return Model(rows=(Thing, *rows), operations=operations, events=events)


def refused(told: str, *rows: type[Row], operations: tuple[Any, ...] = (), events: tuple[Any, ...] = ()) -> None:
    with pytest.raises(DeclarationError) as error:
        model(*rows, operations=operations, events=events)
    assert told in str(error.value).split("\n")


def test_a_right_model_is_accepted() -> None:
    class Paint(Operation, on=Thing, number=1, needs=Access.OPERATE, api=API, sets="size"):
        """Paint it."""

        size: Count = argument(1, "How large.")

    class Painted(Event, on=Thing, number=1, api=API, shows=("name",)):
        """It was painted."""

        before: Count | None = previous(1, "How large it was.", of="size")

    assert model(operations=(Paint,), events=(Painted,)).setter(Thing, "size") is Paint


# --- what a class body may say


def test_a_field_needs_a_semantic_type() -> None:
    with pytest.raises(DeclarationError, match=r"Bad\.size: .*int.* is no semantic type"):

        class Bad(Row, table=2, cim="CIM_ManagedElement"):
            """Bad."""

            size: int | None = column(2, "Its size.", api=API)


def test_a_field_needs_an_annotation() -> None:
    with pytest.raises(DeclarationError, match=r"Bad\.size: has no annotation"):

        class Bad(Row, table=2, cim="CIM_ManagedElement"):
            """Bad."""

            size = column(2, "Its size.", api=API)


def test_an_annotation_needs_a_field() -> None:
    with pytest.raises(DeclarationError, match=r"Bad\.size: is not made by key, parent, column"):

        class Bad(Row, table=2, cim="CIM_ManagedElement"):
            """Bad."""

            size: Count | None


def test_a_column_may_be_none() -> None:
    with pytest.raises(DeclarationError, match=r"Bad\.size: may be None, so write"):

        class Bad(Row, table=2, cim="CIM_ManagedElement"):
            """Bad."""

            size: Count = column(2, "Its size.", api=API)


def test_a_key_may_not_be_none() -> None:
    with pytest.raises(DeclarationError, match=r"Bad\.name: may not be None, so write"):

        class Bad(Row, table=2, cim="CIM_ManagedElement"):
            """Bad."""

            name: Name | None = key(2, "Its name.", api=API)


def test_an_instance_is_frozen_and_needs_its_key() -> None:
    thing = Thing(name="x")
    with pytest.raises(AttributeError, match="frozen"):
        thing.name = "y"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="frozen"):
        thing.other = "y"  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="Thing needs name"):
        Thing()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Thing has no field weight"):
        Thing(name="x", weight=1)  # type: ignore[call-arg]


# --- numbers


def test_tables_have_numbers_of_their_own() -> None:
    class Bad(Row, table=1, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Bad."""

        name: Name = key(2, "Its name.", api=API)

    refused("Bad: table 1 is already Thing's", Bad)


def test_columns_have_numbers_of_their_own() -> None:
    class Bad(Row, table=2, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Bad."""

        name: Name = key(2, "Its name.", api=API)
        size: Count | None = column(2, "Its size.", api=API)

    refused("Bad.size: number 2 is already Bad.name's", Bad)


def test_column_one_is_the_index() -> None:
    class Bad(Row, table=2, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Bad."""

        name: Name = key(1, "Its name.", api=API)

    refused("Bad.name: number 1 is below 2", Bad)


def test_the_action_column_has_a_number_of_its_own() -> None:
    class Bad(Row, table=2, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS, action=2):
        """Bad."""

        name: Name = key(2, "Its name.", api=API)

    class Do(Operation, on=Bad, number=1, needs=Access.OPERATE, api=API):
        """Do it."""

    refused("Bad's action column: number 2 is already Bad.name's", Bad, operations=(Do,))


def test_operations_of_a_row_have_numbers_of_their_own() -> None:
    class Do(Operation, on=Thing, number=1, needs=Access.OPERATE, api=API):
        """Do it."""

        how: Name = argument(1, "How.")

    class Redo(Operation, on=Thing, number=1, needs=Access.OPERATE, api=API):
        """Do it again."""

        how: Name = argument(1, "How.")
        why: Name = argument(1, "Why.")

    refused("Redo: operation 1 is already Do's", operations=(Do, Redo))
    refused("Redo.why: number 1 is already Redo.how's", operations=(Do, Redo))


def test_events_have_numbers_of_their_own() -> None:
    class Came(Event, on=Thing, number=1, api=API):
        """It came."""

    class Went(Event, on=Thing, number=1, api=API):
        """It went."""

    refused("Went: event 1 is already Came's", events=(Came, Went))


def test_events_and_what_they_share_have_numbers_of_their_own() -> None:
    class Shared(Event, on=Thing, number=1, api=API, abstract=True):
        """What some events share."""

    class Came(Shared, number=1):
        """It came."""

    refused("Came: event 1 is already Shared's", events=(Came,))


# --- descriptions and functions


def test_everything_is_described() -> None:
    class Bad(Row, table=2, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        name: Name = key(2, " ", api=API)

    class Mute(Enumeration):
        """Silent."""

        A = 1, "a", ""

    class Worse(Row, table=3, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Worse."""

        name: Name = key(2, "Its name.", api=API)
        mute: Mute | None = column(3, "Silent.", api=API)

    refused("Bad: has no description", Bad)
    refused("Bad.name: has no description", Bad)
    refused("Mute.A: has no description", Worse)


def test_labels_are_unique() -> None:
    class Twice(Enumeration):
        """The same word."""

        A = 1, "a", "One."
        B = 2, "a", "Two."

    class Bad(Row, table=2, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Bad."""

        name: Name = key(2, "Its name.", api=API)
        twice: Twice | None = column(3, "Twice.", api=API)

    refused("Twice: label a stands twice", Bad)


def test_every_function_is_one_of_libvirt() -> None:
    class Bad(Row, table=2, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Bad."""

        name: Name = key(2, "Its name.", api="virDomainGetNaem")

    class Do(Operation, on=Thing, number=1, needs=Access.OPERATE, api="virDomainDo", cancel="virDomainUndo"):
        """Do it."""

        how: Name = argument(1, "How.")

    class Came(Event, on=Thing, number=1):
        """It came."""

    refused("Bad.name: libvirt has no function virDomainGetNaem", Bad)
    refused("Do: libvirt has no function virDomainDo", operations=(Do,))
    refused("Do: libvirt has no function virDomainUndo", operations=(Do,))
    refused("Came: names no libvirt function", events=(Came,))


# --- rows


def test_a_row_has_a_key() -> None:
    class Bad(Row, table=2, cim="CIM_ManagedElement", fills={}, nulls={**NULLS, "ElementName": "None."}):
        """Bad."""

        size: Count | None = column(2, "Its size.", api=API)

    refused("Bad: has no key", Bad)


def test_a_sub_table_names_its_parents_key_and_its_association() -> None:
    class Bad(Row, table=2, of=Thing, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Bad."""

        name: Name = key(2, "Its name.", api=API)

    class Orphan(Row, table=3, of=Bad, association=LINK, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Orphan."""

        bad: Name = parent("The bad one.")
        name: Name = key(2, "Its name.", api=API)

    refused("Bad: has 0 parent fields, its parent's key has 1", Bad)
    refused("Bad: has a parent but no association with it", Bad)
    refused("Orphan: its parent Bad is not in the model", Orphan)


def test_a_natural_index_is_one_whole_number() -> None:
    class Bad(Row, table=2, index=Index.NATURAL, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Bad."""

        name: Name = key(2, "Its name.", api=API)

    class Good(
        Row, table=2, index=Index.NATURAL, cim="CIM_ManagedElement", fills={"ElementName": taken("number")}, nulls=NULLS
    ):
        """Good."""

        number: Ordinal = key(2, "Its number.", api=API)

    refused("Bad: a natural index needs one whole number as its key", Bad)
    assert model(Good)


def test_an_action_column_is_for_operations_without_arguments() -> None:
    class Bad(Row, table=2, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS, action=9):
        """Bad."""

        name: Name = key(2, "Its name.", api=API)

    class Do(Operation, on=Thing, number=1, needs=Access.OPERATE, api=API):
        """Do it."""

    told = "an action column is for a row with operations that need no argument, and only for that"
    refused(f"Bad: {told}", Bad)
    refused(f"Thing: {told}", operations=(Do,))


def test_no_secret_and_no_xml_stands_in_a_row() -> None:
    class Bad(Row, table=2, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Bad."""

        name: Name = key(2, "Its name.", api=API)
        password: SecretText | None = column(3, "Its password.", api=API)
        xml: Xml | None = column(4, "Its definition.", api=API)

    refused("Bad.password: SecretText may not stand in a row", Bad)
    refused("Bad.xml: Xml may not stand in a row", Bad)


def test_a_counter_knows_since_when_it_counts() -> None:
    class Bad(Row, table=2, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Bad."""

        name: Name = key(2, "Its name.", api=API)
        time: CpuTime | None = column(3, "Its time.", api=API)

    class Good(Row, table=2, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS, discontinuity="since"):
        """Good."""

        name: Name = key(2, "Its name.", api=API)
        time: CpuTime | None = column(3, "Its time.", api=API)
        since: Timestamp | None = column(4, "Since when.", api=API)

    refused("Bad.time: is a counter, but the row names no discontinuity column", Bad)
    assert model(Good)


def test_a_reference_has_its_association_and_its_row() -> None:
    class Elsewhere(Row, table=9, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Elsewhere."""

        name: Name = key(2, "Its name.", api=API)

    class Bad(Row, table=2, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Bad."""

        name: Name = key(2, "Its name.", api=API)
        thing: Name | None = column(3, "A thing.", api=API, ref=Thing)
        other: Name | None = column(4, "Elsewhere.", api=API, ref=Elsewhere, association=LINK)

    refused("Bad.thing: a reference needs its association, and an association its reference", Bad)
    refused("Bad.other: refers to Elsewhere, which is not in the model", Bad)


# --- what a DMTF class brings


def fallen(fills: dict[str, Fill], nulls: dict[str, str], *, cim: str = "CIM_ManagedElement", **more: Any) -> type[Row]:
    class Bad(Row, table=2, cim=cim, fills=fills, nulls=nulls, **more):
        """Bad."""

        name: Name = key(2, "Its name.", api=API)
        colour: Colour | None = column(3, "Its colour.", api=API)

    return Bad


def test_every_inherited_property_is_filled_or_null_for_a_reason() -> None:
    short = {k: v for k, v in NULLS.items() if k != "Caption"}
    refused("Bad: CIM_ManagedElement.Caption is neither filled nor null for a reason", fallen(FILLS, short))
    refused("Bad: Caption is null for no reason", fallen(FILLS, {**NULLS, "Caption": " "}))
    twice = fallen({**FILLS, "Caption": taken("name")}, NULLS)
    refused("Bad: CIM_ManagedElement.Caption is told more than once", twice)
    refused("Bad: CIM_ManagedElement brings no property Weight", fallen(FILLS, {**NULLS, "Weight": "No."}))
    refused("Bad: the DMTF class CIM_Nonsense is not among ours", fallen(FILLS, NULLS, cim="CIM_Nonsense"))


def test_a_fill_comes_from_columns_that_are_there() -> None:
    nulls = {k: v for k, v in NULLS.items() if k != "Caption"}
    refused("Bad: Caption is filled from nme, which is no column", fallen({**FILLS, "Caption": taken("nme")}, nulls))
    refused(
        "Bad: Caption is mapped from name, which is no enumeration", fallen({**FILLS, "Caption": mapped("name")}, nulls)
    )
    refused("Bad: Colour.BLUE has no value for Caption", fallen({**FILLS, "Caption": mapped("colour")}, nulls))


def test_settings_are_of_the_definition() -> None:
    settings = Settings(cim="CIM_ManagedElement", association=LINK, fills=FILLS, nulls=NULLS)
    refused("Bad: has settings but no column of the definition", fallen(FILLS, NULLS, settings=settings))


def aspect(name: str = "Part", **more: Any) -> Aspect:
    given = {"fills": FILLS, "nulls": NULLS, "description": "A part of it.", "cim": "CIM_ManagedElement", **more}
    return Aspect(name=name, association=LINK, **given)


def test_an_aspect_fills_what_its_class_brings() -> None:
    assert model(fallen(FILLS, NULLS, aspects=(aspect(),)))
    short = aspect(nulls={k: v for k, v in NULLS.items() if k != "Caption"})
    refused(
        "Bad: CIM_ManagedElement.Caption is neither filled nor null for a reason",
        fallen(FILLS, NULLS, aspects=(short,)),
    )
    wrong = aspect(fills={"ElementName": taken("nme")})
    refused("Bad: ElementName is filled from nme, which is no column", fallen(FILLS, NULLS, aspects=(wrong,)))
    nowhere = aspect(cim="CIM_Nonsense")
    refused("Bad: the DMTF class CIM_Nonsense is not among ours", fallen(FILLS, NULLS, aspects=(nowhere,)))


def test_an_aspect_is_described_and_has_a_name_of_its_own() -> None:
    refused("BadPart: has no description", fallen(FILLS, NULLS, aspects=(aspect(description=" "),)))
    twice = fallen(FILLS, NULLS, aspects=(aspect(), aspect()))
    refused("BadPart: an aspect of Bad has the name of another class", twice)


def test_an_aspect_belongs_to_a_row_with_one_key() -> None:
    class Part(Row, table=2, of=Thing, association=LINK, cim="CIM_ManagedElement", fills={"ElementName": taken("number")},
               nulls=NULLS, aspects=(aspect("Side", fills={"ElementName": taken("number")}),)):  # fmt: skip
        """A part."""

        thing: Name = parent("The thing.")
        number: Ordinal = key(2, "Its number.", api=API)

    refused("PartSide: an aspect belongs to a row with one key", Part)


# --- operations and events


def test_an_operation_is_on_a_row_of_the_model() -> None:
    class Elsewhere(Row, table=9, cim="CIM_ManagedElement", fills=FILLS, nulls=NULLS):
        """Elsewhere."""

        name: Name = key(2, "Its name.", api=API)

    class Do(Operation, on=Elsewhere, number=1, needs=Access.OPERATE, api=API):
        """Do it."""

    refused("Do: is on Elsewhere, which is not in the model", operations=(Do,))


def test_no_operation_gives_a_secret_out() -> None:
    class Do(Operation, on=Thing, number=1, needs=Access.OPERATE, api=API):
        """Do it."""

        password: SecretText | None = out(1, "The password.")

    refused("Do.password: a secret may only go in", operations=(Do,))


def test_a_setter_fits_the_column_it_sets() -> None:
    class SetWeight(Operation, on=Thing, number=1, needs=Access.OPERATE, api=API, sets="weight"):
        """Set what is not there."""

        weight: Count = argument(1, "How heavy.")

    class SetNothing(Operation, on=Thing, number=2, needs=Access.OPERATE, api=API, sets="size"):
        """Set it to nothing."""

        other: Count = argument(1, "Something else.", default=1)

    class SetOther(Operation, on=Thing, number=3, needs=Access.OPERATE, api=API, sets="size"):
        """Set it to another type."""

        size: Flag = argument(1, "How large.")
        also: Count = argument(2, "And then.")

    every = (SetWeight, SetNothing, SetOther)
    refused("SetWeight: sets weight, which is no column of Thing", operations=every)
    refused("SetNothing: sets size, but has no argument of that name", operations=every)
    refused("SetOther.size: its type is not that of the column it sets", operations=every)
    refused("SetOther.also: needs a default, since only size is set in SNMP", operations=every)


def test_an_operation_is_undone_and_allowed_by_what_is_there() -> None:
    class Do(
        Operation, on=Thing, number=1, needs=Access.OPERATE, api=API, undo="Undo", allowed=when("mood", Colour.RED)
    ):
        """Do it."""

        how: Name = argument(1, "How.")

    refused("Do: is undone by Undo, which is no operation on Thing", operations=(Do,))
    refused("Do: is allowed by mood, which is no column of Thing", operations=(Do,))


def test_an_event_shows_what_its_row_has() -> None:
    class Came(Event, on=Thing, number=1, api=API, shows=("mood",)):
        """It came."""

        before: Count | None = previous(1, "How heavy it was.", of="weight")
        how: Colour | None = detail(2, "How.")

    refused("Came: shows mood, which is no column of Thing", events=(Came,))
    refused("Came.before: is the previous weight, which is no column of Thing", events=(Came,))
