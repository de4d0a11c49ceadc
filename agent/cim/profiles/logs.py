"""Logs as clients read them that go from record to record: CIM_MessageLog, beside the record log of DSP1010, a row of Log.

Both are the same log, which is what CIM_ConcreteIdentity says. CIM_LogToLog will not do: it leads from a record to a log of its
own. What the methods do is told in agent.cim.message_log.
"""

from __future__ import annotations

from agent.cim.profiles.view import Tie, View
from agent.model.element import ENABLED
from agent.model.log import Log, LogRotation
from agent.schema.declare import Association, constant, taken

__all__ = ["MESSAGES", "TIES", "VIEWS"]

#: The message log, by the name of its class without prefix.
MESSAGES = "LogMessages"

#: CIM_MessageLog.Capabilities: what can be done with any log, and with those that can be cleared.
_BACKWARD, _CLEAR, _ORDINAL, _VARIABLE = 4, 6, 7, 8
_ALWAYS = (_BACKWARD, _ORDINAL, _VARIABLE)

#: CIM_MessageLog.CharacterSet: UTF-8.
_UTF8 = 7


def _capabilities(rotation: LogRotation) -> tuple[int, ...]:
    return tuple(sorted((*_ALWAYS, _CLEAR))) if rotation is LogRotation.VIRTLOGD else _ALWAYS


_MESSAGES = View(
    name=MESSAGES, row=Log, cim="CIM_MessageLog",
    description=(
        "A log of a domain, read one record after the other by methods. The records are the last ones of the log, those that are "
        "instances of CIM_LogEntry, and have the same numbers. An iteration is at the number of a record, which is all that its "
        "identifier holds, so that nobody has to end one. It goes on as long as records have their numbers, which may be given "
        "anew when the agent starts. One that was at a record that is gone goes on at the next there is, and one that has come to "
        "the end when there is more. A method returns 1 if this log cannot do that, and 2 if there is no record where the "
        "iteration is, or was to go."
    ),
    fills={
        **{
            name: Log.fills[name]
            for name in (
                "Name", "Description", "OperationalStatus", "HealthState", "EnabledState", "RequestedState", "LogState",
                "OverwritePolicy", "CurrentNumberOfRecords", "MaxNumberOfRecords",
            )
        },
        "ElementName": taken("name"),
        "Capabilities": taken("rotation", how=_capabilities),
        "SizeOfHeader": constant(0),
        "SizeOfRecordHeader": constant(0),
        "TimeOfLastChange": taken("modified"),
        "IsFrozen": constant(False),
        "CharacterSet": constant(_UTF8),
    },
    nulls={
        **ENABLED,
        "InstanceID": "Name is the key.",
        "MaxLogSize": "Who rotates the log has a limit of its own, and nobody is asked for it.",
        "MaxRecordSize": "Whoever writes a log makes its lines as long as it likes.",
    },
)  # fmt: skip
VIEWS = (_MESSAGES,)

SAME_LOG = Association(
    name="Virtmap_SameLog", base="CIM_ConcreteIdentity", far="SystemElement", near="SameElement",
    description="A log with records as instances, and the same log with methods that read them.",
)  # fmt: skip
USE = Log.fields[Log.positions["domain"]].association
assert USE is not None

TIES = (
    Tie(association=SAME_LOG, near=MESSAGES, far="Log"),
    Tie(association=USE, near=MESSAGES, far="Domain", via="domain"),
)
