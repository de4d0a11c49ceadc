"""VIRTMAP-OPERATION-MIB as data: the tables by which any operation of the mapping is asked for, followed and read.

Its numbers are promises like those of the model: the module and its tables stand at 902 to 905, behind the rows that
virtmap itself keeps (Reading, Job), and a test holds every one of them. What the tables do is in `operation_table`.
"""

import enum
from dataclasses import replace

from agent.model.job import JobState
from agent.schema.types import Wire
from agent.snmp.mib import INDEX_HIGH, MODULES, OBJECTS, Convention, MaxAccess, MibObject, Module, OwnTable

ARGUMENT_CHUNK = 4096
"""Octets of an argument that one variable takes at most."""

RESULT_CHUNK = 1024
"""Octets of a result that one variable shows at most: ten fit into the answer to a careful manager."""

LARGEST_CHUNK_NUMBER = 65535
LARGEST_ARGUMENT_NUMBER = 255
LONGEST_LIFETIME = 7 * 24 * 3600
LIFETIME = 3600


class State(enum.IntEnum):
    """How far a row has come; the numbers of JobState, and one for what is not yet a job."""

    RUNNING = JobState.RUNNING
    COMPLETED = JobState.COMPLETED
    FAILED = JobState.FAILED
    ABANDONED = JobState.ABANDONED
    PENDING = 5
    CANCELED = JobState.CANCELED


STATES = Convention(
    name="VirtmapOperationStateType",
    description="How far an operation has come that was asked for by a row.",
    labels=tuple(
        sorted(
            (
                *((m.label, int(m), m.description) for m in JobState),
                ("pending", int(State.PENDING), "Its row is not active yet: it has not been asked for."),
            ),
            key=lambda told: told[1],
        )
    ),
)


def _object(
    name: str, arc: int, wire: Wire, syntax: str, module: str | None, access: MaxAccess, description: str,
    low: int | None = None, high: int | None = None, unit: str | None = None, default: str | None = None,
) -> MibObject:  # fmt: skip
    return MibObject(
        name=f"virtmapOperation{name}", oid=(arc,), syntax=syntax, syntax_module=module, wire=wire, access=access,
        description=description, low=low, high=high, unit=unit, default=default,
    )  # fmt: skip


def _number(
    name: str, arc: int, access: MaxAccess, description: str, low: int = 0, high: int = 2**32 - 1,
    unit: str | None = None, default: str | None = None,
) -> MibObject:  # fmt: skip
    return _object(name, arc, Wire.UNSIGNED, "Unsigned32", "SNMPv2-SMI", access, description, low, high, unit, default)


def _convention(
    name: str, arc: int, wire: Wire, syntax: str, access: MaxAccess, description: str, default: str | None = None
) -> MibObject:
    """An object whose type is a textual convention of SNMPv2-TC."""
    return _object(name, arc, wire, syntax, "SNMPv2-TC", access, description, default=default)


def _text(name: str, arc: int, access: MaxAccess, description: str, high: int = 4096) -> MibObject:
    return _object(name, arc, Wire.OCTETS, "VirtmapText", None, access, description, 0, high)


def _name(name: str, arc: int, description: str) -> MibObject:
    return _object(
        name, arc, Wire.OCTETS, "SnmpAdminString", "SNMP-FRAMEWORK-MIB", MaxAccess.READ_ONLY, description, 0, 255
    )


def _laid_out(
    title: str, number: int, indexes: tuple[str, ...], description: str, *objects: MibObject, scalar: bool = False
) -> OwnTable:
    name, oid = f"virtmap{title}", (*OBJECTS, number)
    entry = oid if scalar else (*oid, 1)
    return OwnTable(
        title=title, name=name if scalar else f"{name}Table", oid=oid,
        entry_name=name if scalar else f"{name}Entry", entry_oid=entry,
        scalar=scalar, indexes=tuple(f"virtmapOperation{i}" for i in indexes),
        objects=tuple(replace(o, oid=(*entry, *o.oid)) for o in objects), description=description,
    )  # fmt: skip


_READ, _CREATE, _NOT_ACCESSIBLE = MaxAccess.READ_ONLY, MaxAccess.READ_CREATE, MaxAccess.NOT_ACCESSIBLE

SCALARS = _laid_out(
    "OperationScalars",
    902,
    (),
    "What a manager needs to know before it makes a row, and within which limits.",
    _number(
        "Next", 1, _READ,
        "An index that no row of virtmapOperationTable has. Each reading gives another one, at random, so that managers"
        " which read it at the same time do not meet.",
        1, INDEX_HIGH,
    ),
    _number("RowLimit", 2, _READ, "How many rows of virtmapOperationTable one user may have at a time. When a user has"
            " as many and makes another one, the row of his that ended longest ago goes; if none has ended, the new row"
            " is refused with resourceUnavailable."),
    _number("RunLimit", 3, _READ, "How many operations of one user run at a time, those asked for in other ways"
            " included. One more is refused with resourceUnavailable."),
    _number("ArgumentLimit", 4, _READ, "How many octets all arguments of one row may have together.", unit="bytes"),
    _number("ChunkSize", 5, _READ, "How many octets of a result one row of virtmapOperationResultTable holds at most.",
            unit="bytes"),
    scalar=True,
)  # fmt: skip

ROWS = _laid_out(
    "Operation",
    903,
    ("Index",),
    "Operations that managers asked for, or are about to. A row belongs to the user who made it: to others it is"
    " noAccess. It is lost when the agent ends, when virtmapOperationLifetime has passed since it ended, and when its"
    " user needs room for another one.",
    _number("Index", 1, _NOT_ACCESSIBLE, "Chosen by whoever makes the row; virtmapOperationNext gives one that is free.",
            1, INDEX_HIGH),
    _convention(
        "Operation", 2, Wire.OID, "AutonomousType", _CREATE,
        "Which operation: the OBJECT-IDENTITY that registers it, such as virtmapDomainOpReadXml. It may be one only that"
        " the role of the user permits, else noAccess; another OID is wrongValue. Setting it forgets the arguments.",
        default="zeroDotZero",
    ),
    _convention(
        "Target", 3, Wire.OID, "RowPointer", _CREATE,
        "The row that it is asked of: an instance of any readable column of that row, such as virtmapDomainName.5."
        " zeroDotZero for an operation of the host itself.",
        default="zeroDotZero",
    ),
    _number(
        "Lifetime", 4, _CREATE,
        "How long the row is kept after the operation ended. It may be set at any time. A row that is not made active is"
        " kept for an hour after it was last set.",
        0, LONGEST_LIFETIME, "seconds", str(LIFETIME),
    ),
    replace(
        _object("State", 5, Wire.INTEGER, STATES.name, None, _READ, "How far it has come."), convention=STATES
    ),
    _number("Progress", 6, _READ, "How much of it is done: 100 when it is completed. No instance as long as the"
            " hypervisor does not tell it.", 0, 100, "percent"),
    _text("Error", 7, _READ, "What went wrong, in the words of the hypervisor where it was the hypervisor; empty if"
          " nothing did."),
    _number("Job", 8, _READ, "Its index in virtmapJobTable, which keeps the last jobs that ended. No instance if it is"
            " not a job: it is pending, or was refused before it was begun.", 1, INDEX_HIGH),
    _name("Owner", 9, "The user who made the row."),
    _name("Summary", 10, "What is asked of what, in words."),
    _convention("Submitted", 11, Wire.OCTETS, "DateAndTime", _READ,
        "When the row was last made active. No instance while it is pending.",
    ),
    _convention("Finished", 12, Wire.OCTETS, "DateAndTime", _READ, "When it ended. No instance before."),
    _convention(
        "RowStatus", 13, Wire.INTEGER, "RowStatus", _CREATE,
        "createAndGo asks for the operation at once, and all that it needs has to be in the same SET. createAndWait"
        " makes a row that is notReady, or notInService once it has all it needs, and active asks for the operation."
        " active is there to read from then on, also when the operation has ended; virtmapOperationState tells that."
        " While it is active only virtmapOperationLifetime may be set. A row whose operation has ended can be set to"
        " notInService, which forgets its result and its secret arguments, and be used again. A row whose operation"
        " runs can neither be set to notInService nor destroyed: that is inconsistentValue.",
    ),
)  # fmt: skip

ARGUMENTS = _laid_out(
    "OperationArgument",
    904,
    ("Index", "ArgumentNumber", "ArgumentChunk"),
    "The arguments of operations, as text. Each argument of the operation has a row here with its first chunk as soon as"
    " virtmapOperationOperation is set. An argument that is longer than one variable can be is set in chunks, numbered"
    " from 1, in as many SETs as it takes; the agent puts them together. Nothing but its name is shown of an argument"
    " that may hold secrets.",
    _number("ArgumentNumber", 1, _NOT_ACCESSIBLE, "The number of the argument, as the registration of the operation"
            " tells it.", 1, LARGEST_ARGUMENT_NUMBER),
    _number("ArgumentChunk", 2, _NOT_ACCESSIBLE, "Which part of the value, counted from 1. A value that is short has"
            " one.", 1, LARGEST_CHUNK_NUMBER),
    _name("ArgumentName", 3, "The name of the argument, as the registration of the operation tells it."),
    _text(
        "ArgumentValue", 4, _CREATE,
        "The value as text in UTF-8: true or false, a number in decimals, or in hexadecimal behind 0x, the label or number"
        " of a value of an enumeration, the sum of flags, a text as it is. No instance for a required argument that has"
        " not been set, nor for one that may hold secrets, passwords and XML: that can be set but not read. Before it is"
        " set, an argument that may be left out shows what it then is. It is set by making it; it cannot be set once"
        " the row of the operation is active.",
        ARGUMENT_CHUNK,
    ),
    _number("ArgumentSize", 5, _READ, "How many octets of this chunk the agent holds. No instance for a secret argument,"
            " nor for one that has not been set.", 0, ARGUMENT_CHUNK, "bytes"),
)  # fmt: skip

RESULTS = _laid_out(
    "OperationResult",
    905,
    ("Index", "ResultNumber", "ResultChunk"),
    "What completed operations gave. A value stands here in chunks, in their order, none of which ends within a"
    " character, nor within a line if that is short; a manager puts them together.",
    _number("ResultNumber", 1, _NOT_ACCESSIBLE, "The number of the result, as the registration of the operation tells"
            " it.", 1, LARGEST_ARGUMENT_NUMBER),
    _number("ResultChunk", 2, _NOT_ACCESSIBLE, "Which part of the value, counted from 1.", 1, INDEX_HIGH),
    _name("ResultName", 3, "The name of the result, as the registration of the operation tells it."),
    _text("ResultValue", 4, _READ, "This part of the value, as text in UTF-8.", RESULT_CHUNK),
    _number("ResultSize", 5, _READ, "How many octets the whole value has, in all its chunks.", unit="bytes"),
)  # fmt: skip

MODULE = Module(
    name="VIRTMAP-OPERATION-MIB",
    identity="virtmapOperationMIB",
    oid=(*MODULES, SCALARS.oid[-1]),
    number=SCALARS.oid[-1],
    prefix="virtmapOperation",
    description="Any operation of the mapping, run by a row of a table, with its arguments, state, error and result.\n"
    "To run one: get virtmapOperationNext; with that as index set, in one SET, virtmapOperationOperation,"
    " virtmapOperationTarget, a virtmapOperationArgumentValue for each argument that is needed, and"
    " virtmapOperationRowStatus to createAndGo; then get virtmapOperationState until it is neither pending nor running,"
    " and virtmapOperationError or virtmapOperationResultValue after that.\n"
    "The definition of a domain, which is longer than a variable can be, is read so: virtmapDomainOpReadXml, asked of"
    " the domain's row, gives it as result 2, in chunks.\n"
    "Every operation that is asked for leaves an audit record and a row in virtmapJobTable.",
    tables=(),
    conventions=(STATES,),
    operations=(),
    notifications=(),
    event_objects=(),
    own=(SCALARS, ROWS, ARGUMENTS, RESULTS),
)

BY_NAME = {o.name: o for t in MODULE.own for o in t.objects}
"""Every object by its name."""
