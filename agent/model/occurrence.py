"""What every event tells, whatever it is about."""

from agent.schema.declare import Event, detail
from agent.schema.types import Count, Enumeration, Level, Text, Timestamp


class PerceivedSeverity(Enumeration):
    """How grave something is, as ITU-T X.733 has it."""

    INFORMATION = 2, "information", "Nothing is wrong.", None, {"PerceivedSeverity": 2}
    WARNING = 3, "warning", "It may become wrong.", None, {"PerceivedSeverity": 3}
    MINOR = 4, "minor", "Something is wrong that can wait.", None, {"PerceivedSeverity": 4}
    MAJOR = 5, "major", "Something is wrong that should not wait.", None, {"PerceivedSeverity": 5}
    CRITICAL = 6, "critical", "A service is, or is about to be, lost.", None, {"PerceivedSeverity": 6}


class Occurrence(Event, number=1199, abstract=True):
    """What all events tell, beside what is their own."""

    sequence: Level | None = detail(101, "Number of the event, counted upwards over all events of this agent and across its restarts. Numbers are left out where an event was not for this receiver, and at a restart.")
    time: Timestamp | None = detail(102, "When it happened, as far as the agent knows: when it heard of it.", cim="EventTime")
    severity: PerceivedSeverity | None = detail(103, "How grave it is.", cim="PerceivedSeverity")
    held_back: Count | None = detail(104, "Events of the same object since the one that was told before this, that were not told: they were the same, or too many.")
    message: Text | None = detail(105, "What happened, in a sentence. What a guest or a file had a say in is escaped.", cim="Message")
