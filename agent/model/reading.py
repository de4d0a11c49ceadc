"""The reading: how old each table of the agent is, and how reading it went."""

from agent.model.element import ELEMENT
from agent.schema.declare import Index, Row, column, key, taken
from agent.schema.types import Count, Flag, Milliseconds, Name, Ordinal, Text, Timestamp


class Reading(
    Row, table=900, cim="CIM_ManagedElement", index=Index.DIRECT, internal=True,
    fills={"ElementName": taken("rows_of"), "Description": taken("rows_of", how="How old the rows of {0} are.".format)},
    nulls={k: ELEMENT[k] for k in ("InstanceID", "Caption")},
):  # fmt: skip
    """The state of one table of the agent: how many rows it has, when they were read, and whether that still works."""

    number: Ordinal = key(2, "Permanent number of the table.", api="virConnectGetAllDomainStats")
    rows_of: Name | None = column(3, "What the table holds.")
    rows: Count | None = column(4, "Rows in it.")
    taken: Timestamp | None = column(5, "When its rows were read from the hypervisor.")
    duration: Milliseconds | None = column(6, "How long the last reading took.")
    failed: Count | None = column(7, "Objects whose last reading failed, and that show what was known before.")
    stale: Flag | None = column(8, "Whether the hypervisor cannot be read at present, so that all rows show what was known before.")
    problem: Text | None = column(9, "Why the last reading failed; empty when it did not.")
