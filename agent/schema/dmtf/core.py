"""What every managed object is beneath its own kind: elements, jobs, systems, services, settings, statistics, capabilities."""

from agent.schema.dmtf.language import CimClass, CimMethod, CimParameter, CimProperty, value_map

CLASSES = (
    CimClass(
        "CIM_ManagedElement",
        None,
        "2.45.0",
        "The root of every managed object: what it is called and how it is told from others.",
        abstract=True,
        properties=(
            CimProperty(
                "InstanceID", "string", "Identifies the object where a subclass makes this its key; otherwise optional."
            ),
            CimProperty("Caption", "string", "A short line of text that names the object to a person.", max_len=64),
            CimProperty("Description", "string", "A longer text about the object."),
            CimProperty("ElementName", "string", "The name a person gives the object; it need not be unique."),
        ),
    ),
    CimClass(
        "CIM_ManagedSystemElement",
        "CIM_ManagedElement",
        "2.28.0",
        "Anything that is part of a system and has a condition worth watching.",
        abstract=True,
        properties=(
            CimProperty("InstallDate", "datetime", "When the element was put in place; null where nobody noted it."),
            CimProperty("Name", "string", "What the element is called; a subclass may make it a key.", max_len=1024),
            CimProperty(
                "OperationalStatus",
                "uint16",
                "The present conditions of the element, the most telling first.",
                array=True,
                values=value_map(
                    "0 Unknown | 1 Other | 2 OK | 3 Degraded | 4 Stressed | 5 Predictive Failure | "
                    "6 Error | 7 Non-Recoverable Error | 8 Starting | 9 Stopping | 10 Stopped | "
                    "11 In Service | 12 No Contact | 13 Lost Communication | 14 Aborted | 15 Dormant | "
                    "16 Supporting Entity in Error | 17 Completed | 18 Power Mode | 19 Relocating"
                ),
            ),
            CimProperty(
                "StatusDescriptions",
                "string",
                "One explanation for each entry of OperationalStatus, at the same index.",
                array=True,
            ),
            CimProperty(
                "HealthState",
                "uint16",
                "How well the element is, without regard to what it was asked to do.",
                values=value_map(
                    "0 Unknown | 5 OK | 10 Degraded/Warning | 15 Minor failure | 20 Major failure | "
                    "25 Critical failure | 30 Non-recoverable error"
                ),
            ),
            CimProperty(
                "CommunicationStatus",
                "uint16",
                "Whether the managing side can talk to the element.",
                values=value_map(
                    "0 Unknown | 1 Not Available | 2 Communication OK | 3 Lost Communication | 4 No Contact"
                ),
            ),
            CimProperty(
                "DetailedStatus",
                "uint16",
                "Refines PrimaryStatus.",
                values=value_map(
                    "0 Not Available | 1 No Additional Information | 2 Stressed | 3 Predictive Failure | "
                    "4 Non-Recoverable Error | 5 Supporting Entity in Error"
                ),
            ),
            CimProperty(
                "OperatingStatus",
                "uint16",
                "What the element is doing at present: starting, stopping, migrating, in service and so on.",
                values=value_map(
                    "0 Unknown | 1 Not Available | 2 Servicing | 3 Starting | 4 Stopping | 5 Stopped | "
                    "6 Aborted | 7 Dormant | 8 Completed | 9 Migrating | 10 Emigrating | 11 Immigrating | "
                    "12 Snapshotting | 13 Shutting Down | 14 In Test | 15 Transitioning | 16 In Service"
                ),
            ),
            CimProperty(
                "PrimaryStatus",
                "uint16",
                "A single word for the condition: the traffic light of the element.",
                values=value_map("0 Unknown | 1 OK | 2 Degraded | 3 Error"),
            ),
        ),
    ),
    CimClass(
        "CIM_LogicalElement",
        "CIM_ManagedSystemElement",
        "2.6.0",
        "An element that is not a piece of hardware one could hold: systems, devices as seen by software, jobs.",
        abstract=True,
    ),
    CimClass(
        "CIM_Error",
        None,
        "2.22.1",
        "What went wrong, in a form that programs can read.",
        properties=(
            CimProperty(
                "ErrorType",
                "uint16",
                "What kind of thing went wrong.",
                values=value_map(
                    "0 Unknown | 1 Other | 2 Communications Error | 3 Quality of Service Error | 4 Software Error | "
                    "5 Hardware Error | 6 Environmental Error | 7 Security Error | 8 Oversubscription Error | "
                    "9 Unavailable Resource Error | 10 Unsupported Operation Error"
                ),
            ),
            CimProperty("OwningEntity", "string", "Who defined MessageID."),
            CimProperty("MessageID", "string", "Identifies the kind of message.", required=True),
            CimProperty("Message", "string", "What went wrong, in words."),
            CimProperty(
                "PerceivedSeverity",
                "uint16",
                "How bad it is.",
                values=value_map(
                    "0 Unknown | 1 Other | 2 Information | 3 Degraded/Warning | 4 Minor | 5 Major | 6 Critical | "
                    "7 Fatal/NonRecoverable"
                ),
            ),
            CimProperty("ErrorSource", "string", "What it happened to, by its path."),
            CimProperty(
                "ErrorSourceFormat",
                "uint16",
                "How ErrorSource is written.",
                values=value_map("0 Unknown | 1 Other | 2 CIMObjectPath"),
            ),
            CimProperty(
                "CIMStatusCode",
                "uint32",
                "The status code of CIM that fits.",
                values=value_map(
                    "1 CIM_ERR_FAILED | 2 CIM_ERR_ACCESS_DENIED | 4 CIM_ERR_INVALID_PARAMETER | 6 CIM_ERR_NOT_FOUND | "
                    "7 CIM_ERR_NOT_SUPPORTED"
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_Job",
        "CIM_LogicalElement",
        "2.45.0",
        "A piece of work that runs on its own and can be watched.",
        abstract=True,
        properties=(
            CimProperty("JobStatus", "string", "What the job is doing, in words."),
            CimProperty("TimeSubmitted", "datetime", "When the job was asked for."),
            CimProperty("StartTime", "datetime", "When the job began to run."),
            CimProperty("ElapsedTime", "datetime", "How long the job has run, as an interval."),
            CimProperty("JobRunTimes", "uint32", "How often the job is to run."),
            CimProperty("Owner", "string", "Who asked for the job."),
            CimProperty("Priority", "uint32", "How urgent the job is; lower is more urgent."),
            CimProperty("PercentComplete", "uint16", "How much of the job is done.", punit="percent"),
            CimProperty("DeleteOnCompletion", "boolean", "Whether the job disappears by itself when it has ended."),
            CimProperty("ErrorCode", "uint16", "A number for why the job failed; 0 when it did not."),
            CimProperty("ErrorDescription", "string", "Why the job failed, in words."),
        ),
        methods=(
            CimMethod(
                "KillJob",
                "uint32",
                "Stops the job at once. RequestStateChange of a concrete job does the same.",
                values=value_map(
                    "0 Success | 1 Not Supported | 2 Unknown | 3 Timeout | 4 Failed | 6 Access Denied | 7 Not Found"
                ),
                parameters=(
                    CimParameter("DeleteOnKill", "boolean", "Whether the job disappears when it has been stopped."),
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_ConcreteJob",
        "CIM_Job",
        "2.38.0",
        "A job, one started by a method among them.",
        properties=(
            CimProperty("InstanceID", "string", "Identifies the job.", key=True, override=True),
            CimProperty("Name", "string", "What the job is called.", required=True, max_len=1024, override=True),
            CimProperty(
                "JobState",
                "uint16",
                "Where the job is on its way.",
                values=value_map(
                    "2 New | 3 Starting | 4 Running | 5 Suspended | 6 Shutting Down | 7 Completed | "
                    "8 Terminated | 9 Killed | 10 Exception | 11 Service | 12 Query Pending"
                ),
            ),
            CimProperty("TimeOfLastStateChange", "datetime", "When JobState last changed."),
            CimProperty(
                "TimeBeforeRemoval", "datetime", "How long the job stays visible after it has ended.", required=True
            ),
        ),
        methods=(
            CimMethod(
                "RequestStateChange",
                "uint32",
                "Asks the job to suspend, go on or end.",
                values=value_map(
                    "0 Completed with No Error | 1 Not Supported | 2 Unknown/Unspecified Error | "
                    "3 Can NOT complete within Timeout Period | 4 Failed | 5 Invalid Parameter | "
                    "6 In Use | 4096 Method Parameters Checked - Transition Started | "
                    "4097 Invalid State Transition | 4098 Use of Timeout Parameter Not Supported | "
                    "4099 Busy"
                ),
                parameters=(
                    CimParameter(
                        "RequestedState",
                        "uint16",
                        "The state wanted.",
                        values=value_map("2 Start | 3 Suspend | 4 Terminate | 5 Kill | 6 Service"),
                    ),
                    CimParameter("TimeoutPeriod", "datetime", "The longest time the change may take, as an interval."),
                ),
            ),
            CimMethod(
                "GetError",
                "uint32",
                "Tells why the job failed; nothing if it did not.",
                values=value_map(
                    "0 Success | 1 Not Supported | 2 Unspecified Error | 3 Timeout | 4 Failed | 5 Invalid Parameter | 6 Access Denied"
                ),
                parameters=(CimParameter("Error", "string", "Why.", embedded="CIM_Error", is_in=False, is_out=True),),
            ),
            CimMethod(
                "GetErrors",
                "uint32",
                "Tells all that went wrong in the job; nothing if nothing did.",
                values=value_map(
                    "0 Success | 1 Not Supported | 2 Unspecified Error | 3 Timeout | 4 Failed | 5 Invalid Parameter | 6 Access Denied"
                ),
                parameters=(
                    CimParameter(
                        "Errors",
                        "string",
                        "What went wrong.",
                        array=True,
                        embedded="CIM_Error",
                        is_in=False,
                        is_out=True,
                    ),
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_EnabledLogicalElement",
        "CIM_LogicalElement",
        "2.22.0",
        "An element that can be enabled and disabled, and says which it is.",
        abstract=True,
        properties=(
            CimProperty(
                "EnabledState",
                "uint16",
                "Whether the element is enabled, disabled or on its way between the two.",
                values=value_map(
                    "0 Unknown | 1 Other | 2 Enabled | 3 Disabled | 4 Shutting Down | 5 Not Applicable | "
                    "6 Enabled but Offline | 7 In Test | 8 Deferred | 9 Quiesce | 10 Starting"
                ),
            ),
            CimProperty("OtherEnabledState", "string", "Words for the state when EnabledState is Other."),
            CimProperty(
                "RequestedState",
                "uint16",
                "The state last asked for, whoever asked and whether or not it was reached.",
                values=value_map(
                    "0 Unknown | 2 Enabled | 3 Disabled | 4 Shut Down | 5 No Change | 6 Offline | "
                    "7 Test | 8 Deferred | 9 Quiesce | 10 Reboot | 11 Reset | 12 Not Applicable"
                ),
            ),
            CimProperty(
                "EnabledDefault",
                "uint16",
                "The state the element takes when nobody asks for another, for instance when its host starts.",
                values=value_map(
                    "2 Enabled | 3 Disabled | 5 Not Applicable | 6 Enabled but Offline | 7 No Default | 9 Quiesce"
                ),
            ),
            CimProperty("TimeOfLastStateChange", "datetime", "When EnabledState last changed."),
            CimProperty(
                "AvailableRequestedStates",
                "uint16",
                "The values of RequestedState that RequestStateChange would accept now.",
                array=True,
                values=value_map(
                    "2 Enabled | 3 Disabled | 4 Shut Down | 6 Offline | 7 Test | 8 Defer | 9 Quiesce | "
                    "10 Reboot | 11 Reset"
                ),
            ),
            CimProperty(
                "TransitioningToState",
                "uint16",
                "The state the element is moving to, or Not Applicable when it is at rest.",
                values=value_map(
                    "0 Unknown | 2 Enabled | 3 Disabled | 4 Shut Down | 5 No Change | 6 Offline | "
                    "7 Test | 8 Defer | 9 Quiesce | 10 Reboot | 11 Reset | 12 Not Applicable"
                ),
            ),
        ),
        methods=(
            CimMethod(
                "RequestStateChange",
                "uint32",
                "Asks the element to go to another state.",
                values=value_map(
                    "0 Completed with No Error | 1 Not Supported | 2 Unknown or Unspecified Error | "
                    "3 Cannot complete within Timeout Period | 4 Failed | 5 Invalid Parameter | "
                    "6 In Use | 4096 Method Parameters Checked - Job Started | "
                    "4097 Invalid State Transition | 4098 Use of Timeout Parameter Not Supported | "
                    "4099 Busy"
                ),
                parameters=(
                    CimParameter(
                        "RequestedState",
                        "uint16",
                        "The state wanted.",
                        values=value_map(
                            "2 Enabled | 3 Disabled | 4 Shut Down | 6 Offline | 7 Test | 8 Defer | 9 Quiesce | "
                            "10 Reboot | 11 Reset"
                        ),
                    ),
                    CimParameter(
                        "Job",
                        "reference",
                        "The job that does the work, when the answer is that one was started; null otherwise.",
                        reference="CIM_ConcreteJob",
                        is_in=False,
                        is_out=True,
                    ),
                    CimParameter(
                        "TimeoutPeriod",
                        "datetime",
                        "The longest time the change may take, as an interval; null or zero sets no limit.",
                    ),
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_AllocatedLogicalElement",
        "CIM_EnabledLogicalElement",
        "2.45.0",
        "An element that may hold resources given to it out of a pool.",
        abstract=True,
    ),
    CimClass(
        "CIM_System",
        "CIM_AllocatedLogicalElement",
        "2.45.0",
        "A group of parts that works as one and is administered as one.",
        abstract=True,
        properties=(
            CimProperty(
                "CreationClassName",
                "string",
                "The class the system was created as; with Name it makes the key.",
                key=True,
                max_len=256,
            ),
            CimProperty(
                "Name",
                "string",
                "Identifies the system; how it is written is told by NameFormat.",
                key=True,
                max_len=256,
                override=True,
            ),
            CimProperty("NameFormat", "string", "How Name was made.", max_len=64),
            CimProperty("PrimaryOwnerName", "string", "Who is responsible for the system.", max_len=64),
            CimProperty("PrimaryOwnerContact", "string", "How to reach the person who is responsible.", max_len=256),
            CimProperty("Roles", "string", "What the system is used for, in an administrator's words.", array=True),
            CimProperty(
                "OtherIdentifyingInfo",
                "string",
                "Further identifiers of the system; IdentifyingDescriptions tells what each one is.",
                array=True,
                max_len=256,
            ),
            CimProperty(
                "IdentifyingDescriptions",
                "string",
                "What the entry of OtherIdentifyingInfo at the same index is.",
                array=True,
            ),
        ),
    ),
    CimClass(
        "CIM_Service",
        "CIM_EnabledLogicalElement",
        "2.45.0",
        "A function that a system offers.",
        abstract=True,
        properties=(
            CimProperty(
                "SystemCreationClassName",
                "string",
                "The CreationClassName of the system that offers the service.",
                key=True,
                max_len=256,
                propagated="CIM_System.CreationClassName",
            ),
            CimProperty(
                "SystemName",
                "string",
                "The Name of the system that offers the service.",
                key=True,
                max_len=256,
                propagated="CIM_System.Name",
            ),
            CimProperty("CreationClassName", "string", "The class the service was created as.", key=True, max_len=256),
            CimProperty(
                "Name", "string", "Identifies the service on its system.", key=True, max_len=256, override=True
            ),
            CimProperty("PrimaryOwnerName", "string", "Who is responsible for the service.", max_len=64),
            CimProperty("PrimaryOwnerContact", "string", "How to reach the person who is responsible.", max_len=256),
            CimProperty("Started", "boolean", "Whether the service runs."),
        ),
    ),
    CimClass(
        "CIM_SettingData",
        "CIM_ManagedElement",
        "2.45.0",
        "A set of settings that belong together and can be applied to an element.",
        abstract=True,
        properties=(
            CimProperty("InstanceID", "string", "Identifies the settings.", key=True, override=True),
            CimProperty("ElementName", "string", "What a person calls the settings.", required=True, override=True),
            CimProperty(
                "ChangeableType",
                "uint16",
                "Whether the settings can be changed, and whether a change lasts.",
                values=value_map(
                    "0 Not Changeable - Persistent | 1 Changeable - Transient | "
                    "2 Changeable - Persistent | 3 Not Changeable - Transient"
                ),
            ),
            CimProperty("ConfigurationName", "string", "The configuration that the settings are part of."),
        ),
    ),
    CimClass(
        "CIM_StatisticalData",
        "CIM_ManagedElement",
        "2.45.0",
        "Numbers that were measured on an element, and belong together.",
        abstract=True,
        properties=(
            CimProperty("InstanceID", "string", "Identifies the statistics.", key=True, override=True),
            CimProperty("ElementName", "string", "What a person calls the statistics.", required=True, override=True),
            CimProperty("StartStatisticTime", "datetime", "When measuring began: at first, or after the last reset."),
            CimProperty("StatisticTime", "datetime", "When the newest of the numbers was measured."),
            CimProperty("SampleInterval", "datetime", "How far apart measurements are, as an interval."),
        ),
    ),
    CimClass(
        "CIM_ServiceAccessPoint",
        "CIM_EnabledLogicalElement",
        "2.10.0",
        "A way to reach a service.",
        abstract=True,
        properties=(
            CimProperty(
                "SystemCreationClassName",
                "string",
                "The CreationClassName of the system that the access point is on.",
                key=True,
                max_len=256,
                propagated="CIM_System.CreationClassName",
            ),
            CimProperty(
                "SystemName",
                "string",
                "The Name of the system that the access point is on.",
                key=True,
                max_len=256,
                propagated="CIM_System.Name",
            ),
            CimProperty(
                "CreationClassName", "string", "The class the access point was created as.", key=True, max_len=256
            ),
            CimProperty(
                "Name", "string", "Identifies the access point on its system.", key=True, max_len=256, override=True
            ),
        ),
    ),
    CimClass(
        "CIM_Capabilities",
        "CIM_ManagedElement",
        "2.45.0",
        "What an element is able to do, whether or not it is set up to do it.",
        abstract=True,
        properties=(
            CimProperty("InstanceID", "string", "Identifies the capabilities.", key=True, override=True),
            CimProperty("ElementName", "string", "What a person calls the capabilities.", required=True, override=True),
        ),
    ),
)
