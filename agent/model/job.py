"""The job: an operation that the agent was asked for and that takes, or took, its time."""

from agent.model.element import ELEMENT
from agent.schema.declare import Access, Index, Operation, Row, column, constant, key, mapped, taken, when
from agent.schema.types import Enumeration, Name, Ordinal, Percent, Text, Timestamp


class JobState(Enumeration):
    """How far a job has come. In CIM, JobState and OperationalStatus follow CIM_ConcreteJob."""

    RUNNING = 1, "running", "It is being done.", None, {"JobState": 4, "OperationalStatus": (2,), "HealthState": 5}
    COMPLETED = 2, "completed", "It is done.", None, {"JobState": 7, "OperationalStatus": (17, 2), "HealthState": 5}
    FAILED = 3, "failed", "It went wrong.", None, {"JobState": 10, "OperationalStatus": (17, 6), "HealthState": 20}
    ABANDONED = 4, "abandoned", "The hypervisor did not finish it in time; it may or may not still happen.", None, {"JobState": 9, "OperationalStatus": (12,), "HealthState": 0}
    CANCELED = 6, "canceled", "It was stopped on request.", None, {"JobState": 8, "OperationalStatus": (17, 10), "HealthState": 5}


class Job(
    Row, table=901, cim="CIM_ConcreteJob", index=Index.DIRECT, internal=True, action=11,
    fills={
        "InstanceID": taken("number", how="virtmap:job/{0}".format),
        "ElementName": taken("operation"),
        "Name": taken("operation"),
        "Description": taken("operation", "target", how="{0} of {1}".format),
        "OperationalStatus": mapped("state"),
        "HealthState": mapped("state"),
        "JobState": mapped("state"),
        "DeleteOnCompletion": constant(True),
        "PercentComplete": taken("percent"),
    },
    nulls={
        **{k: v for k, v in ELEMENT.items() if k != "InstanceID"},
        "JobStatus": "JobState and ErrorDescription say it already.",
        "StartTime": "A job starts when it is submitted.",
        "ElapsedTime": "It follows from the times of the job.",
        "JobRunTimes": "A job runs once.",
        "Priority": "Jobs have no priorities.",
        "ErrorCode": "ErrorDescription tells what went wrong.",
        "TimeBeforeRemoval": "Finished jobs are kept by number, not by time.",
    },
):  # fmt: skip
    """An operation that was asked for, running or finished. The last finished ones are kept."""

    number: Ordinal = key(2, "Number of the job, counted from the start of the agent.", api="virDomainGetJobInfo")
    operation: Name | None = column(3, "Which operation.")
    target: Name | None = column(4, "The object it is asked of.")
    principal: Name | None = column(5, "Who asked for it.", cim="Owner")
    state: JobState | None = column(6, "How far it has come.")
    submitted: Timestamp | None = column(7, "When it was asked for.", cim="TimeSubmitted")
    finished: Timestamp | None = column(8, "When its state last changed.", cim="TimeOfLastStateChange")
    error: Text | None = column(9, "What went wrong, if anything did.", cim="ErrorDescription")
    percent: Percent | None = column(10, "How much of it is done; none where nobody can tell.", api="virDomainGetJobStats")


class Cancel(
    Operation, on=Job, number=1, needs=Access.OPERATE, api=("virDomainAbortJobFlags", "virDomainAbortJob"),
    allowed=when("state", JobState.RUNNING),
):  # fmt: skip
    """Stop the job, where the hypervisor can do that. It takes the access level of the operation itself."""
