"""The DMTF classes beneath ours, as data: what a class of the mapping inherits, with types, keys, value maps, methods.

Names, types, numbers and signatures are those of the CIM schema 2.49 (DSP0004 tells what the fields mean); only a part
of each class's features is here, those an operator of hypervisors has a use for. Leaving a feature out is allowed,
adding one is not. Descriptions are ours. The laws of the schema, the CIM classes and the MOF text all read this table.

A value map holds single values only: the ranges that the DMTF and vendors reserve are left out. References come as
properties of type ``reference``. A property marked ``override`` is declared again to tell more than its ancestor did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType

__all__ = [
    "CimClass",
    "CimMethod",
    "CimParameter",
    "CimProperty",
    "CimQualifier",
    "ancestors",
    "classes",
    "inherited_methods",
    "inherited_properties",
    "is_a",
    "qualifiers",
]

#: Pairs of ValueMap and Values entries, in order.
Values = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CimProperty:
    """A property or, with ``type`` "reference", one end of an association.

    ``type`` is a CIM type name (uint16, string, datetime ...). ``punit`` is a programmatic unit (DSP0004 annex C).
    ``embedded`` names the class of an embedded instance, which travels in a string.
    """

    name: str
    type: str
    description: str
    _: KW_ONLY
    array: bool = False
    key: bool = False
    reference: str | None = None
    embedded: str | None = None
    embedded_object: bool = False
    punit: str | None = None
    counter: bool = False
    gauge: bool = False
    required: bool = False
    max_len: int | None = None
    aggregate: bool = False
    weak: bool = False
    propagated: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    override: bool = False
    values: Values = ()


@dataclass(frozen=True)
class CimParameter:
    """A parameter of a method; ``type`` "reference" goes with the class it refers to."""

    name: str
    type: str
    description: str
    _: KW_ONLY
    array: bool = False
    reference: str | None = None
    embedded: str | None = None
    embedded_object: bool = False
    punit: str | None = None
    required: bool = False
    is_in: bool = True
    is_out: bool = False
    values: Values = ()


@dataclass(frozen=True)
class CimMethod:
    """An extrinsic method; ``values`` explain its return value."""

    name: str
    return_type: str
    description: str
    _: KW_ONLY
    override: bool = False
    values: Values = ()
    parameters: tuple[CimParameter, ...] = ()


@dataclass(frozen=True)
class CimClass:
    """A class with the features that it declares itself; ``superclass`` is None at a root."""

    name: str
    superclass: str | None
    version: str | None
    description: str
    _: KW_ONLY
    abstract: bool = False
    association: bool = False
    aggregation: bool = False
    composition: bool = False
    indication: bool = False
    properties: tuple[CimProperty, ...] = ()
    methods: tuple[CimMethod, ...] = ()


@dataclass(frozen=True)
class CimQualifier:
    """The declaration of a qualifier: its type, where it may stand, its default and its flavours."""

    name: str
    type: str
    scopes: tuple[str, ...]
    _: KW_ONLY
    array: bool = False
    default: bool | str | int | None = None
    overridable: bool = True
    to_subclass: bool = True
    translatable: bool = False


def _map(text: str) -> Values:
    """Reads ``value name | value name | ...``."""
    return tuple((value, name) for value, _, name in (entry.partition(" ") for entry in text.split(" | ")))


_QUALIFIERS = (
    CimQualifier("Abstract", "boolean", ("class", "association", "indication"), default=False, to_subclass=False),
    CimQualifier("Aggregate", "boolean", ("reference",), default=False, overridable=False),
    CimQualifier("Aggregation", "boolean", ("association",), default=False, overridable=False),
    CimQualifier("ArrayType", "string", ("property", "parameter"), default="Bag", overridable=False),
    CimQualifier("Association", "boolean", ("association",), default=False, overridable=False),
    CimQualifier("BitMap", "string", ("property", "method", "parameter"), array=True),
    CimQualifier("BitValues", "string", ("property", "method", "parameter"), array=True, translatable=True),
    CimQualifier("Composition", "boolean", ("association",), default=False, overridable=False),
    CimQualifier("Counter", "boolean", ("property", "method", "parameter"), default=False),
    CimQualifier("Deprecated", "string", ("any",), array=True, to_subclass=False),
    CimQualifier("Description", "string", ("any",), translatable=True),
    CimQualifier("EmbeddedInstance", "string", ("property", "method", "parameter")),
    CimQualifier("EmbeddedObject", "boolean", ("property", "method", "parameter"), default=False, overridable=False),
    CimQualifier("Exception", "boolean", ("class", "indication"), default=False, overridable=False),
    CimQualifier("Experimental", "boolean", ("any",), default=False, to_subclass=False),
    CimQualifier("Gauge", "boolean", ("property", "method", "parameter"), default=False),
    CimQualifier("In", "boolean", ("parameter",), default=True, overridable=False),
    CimQualifier("Indication", "boolean", ("class", "indication"), default=False, overridable=False),
    CimQualifier("Key", "boolean", ("property", "reference"), default=False, overridable=False),
    CimQualifier("MappingStrings", "string", ("any",), array=True),
    CimQualifier("Max", "uint32", ("reference",)),
    CimQualifier("MaxLen", "uint32", ("property", "method", "parameter")),
    CimQualifier("MaxValue", "sint64", ("property", "method", "parameter")),
    CimQualifier("Min", "uint32", ("reference",), default=0),
    CimQualifier("MinValue", "sint64", ("property", "method", "parameter")),
    CimQualifier("ModelCorrespondence", "string", ("any",), array=True),
    CimQualifier("NullValue", "string", ("property",), overridable=False),
    CimQualifier("OctetString", "boolean", ("property", "method", "parameter"), default=False, overridable=False),
    CimQualifier("Out", "boolean", ("parameter",), default=False, overridable=False),
    CimQualifier("Override", "string", ("property", "reference", "method"), to_subclass=False),
    CimQualifier("Propagated", "string", ("property",), overridable=False),
    CimQualifier("PUnit", "string", ("property", "method", "parameter")),
    CimQualifier(
        "Required", "boolean", ("property", "reference", "method", "parameter"), default=False, overridable=False
    ),
    CimQualifier("Revision", "string", ("class", "association", "indication"), translatable=True),
    CimQualifier("Schema", "string", ("property", "method"), overridable=False, translatable=True),
    CimQualifier("Static", "boolean", ("property", "method"), default=False, overridable=False),
    CimQualifier("Terminal", "boolean", ("class", "association", "indication"), default=False),
    CimQualifier("UMLPackagePath", "string", ("class", "association", "indication")),
    CimQualifier("Units", "string", ("property", "method", "parameter"), translatable=True),
    CimQualifier("ValueMap", "string", ("property", "method", "parameter"), array=True),
    CimQualifier("Values", "string", ("property", "method", "parameter"), array=True, translatable=True),
    CimQualifier("Version", "string", ("class", "association", "indication"), to_subclass=False, translatable=True),
    CimQualifier("Weak", "boolean", ("reference",), default=False, overridable=False),
    CimQualifier("Write", "boolean", ("property",), default=False),
    CimQualifier("Read", "boolean", ("property",), default=True),
)

_CLASSES = (
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
                values=_map(
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
                values=_map(
                    "0 Unknown | 5 OK | 10 Degraded/Warning | 15 Minor failure | 20 Major failure | "
                    "25 Critical failure | 30 Non-recoverable error"
                ),
            ),
            CimProperty(
                "CommunicationStatus",
                "uint16",
                "Whether the managing side can talk to the element.",
                values=_map("0 Unknown | 1 Not Available | 2 Communication OK | 3 Lost Communication | 4 No Contact"),
            ),
            CimProperty(
                "DetailedStatus",
                "uint16",
                "Refines PrimaryStatus.",
                values=_map(
                    "0 Not Available | 1 No Additional Information | 2 Stressed | 3 Predictive Failure | "
                    "4 Non-Recoverable Error | 5 Supporting Entity in Error"
                ),
            ),
            CimProperty(
                "OperatingStatus",
                "uint16",
                "What the element is doing at present: starting, stopping, migrating, in service and so on.",
                values=_map(
                    "0 Unknown | 1 Not Available | 2 Servicing | 3 Starting | 4 Stopping | 5 Stopped | "
                    "6 Aborted | 7 Dormant | 8 Completed | 9 Migrating | 10 Emigrating | 11 Immigrating | "
                    "12 Snapshotting | 13 Shutting Down | 14 In Test | 15 Transitioning | 16 In Service"
                ),
            ),
            CimProperty(
                "PrimaryStatus",
                "uint16",
                "A single word for the condition: the traffic light of the element.",
                values=_map("0 Unknown | 1 OK | 2 Degraded | 3 Error"),
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
                values=_map(
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
                values=_map(
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
                        values=_map("2 Start | 3 Suspend | 4 Terminate | 5 Kill | 6 Service"),
                    ),
                    CimParameter("TimeoutPeriod", "datetime", "The longest time the change may take, as an interval."),
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
                values=_map(
                    "0 Unknown | 1 Other | 2 Enabled | 3 Disabled | 4 Shutting Down | 5 Not Applicable | "
                    "6 Enabled but Offline | 7 In Test | 8 Deferred | 9 Quiesce | 10 Starting"
                ),
            ),
            CimProperty("OtherEnabledState", "string", "Words for the state when EnabledState is Other."),
            CimProperty(
                "RequestedState",
                "uint16",
                "The state last asked for, whoever asked and whether or not it was reached.",
                values=_map(
                    "0 Unknown | 2 Enabled | 3 Disabled | 4 Shut Down | 5 No Change | 6 Offline | "
                    "7 Test | 8 Deferred | 9 Quiesce | 10 Reboot | 11 Reset | 12 Not Applicable"
                ),
            ),
            CimProperty(
                "EnabledDefault",
                "uint16",
                "The state the element takes when nobody asks for another, for instance when its host starts.",
                values=_map(
                    "2 Enabled | 3 Disabled | 5 Not Applicable | 6 Enabled but Offline | 7 No Default | 9 Quiesce"
                ),
            ),
            CimProperty("TimeOfLastStateChange", "datetime", "When EnabledState last changed."),
            CimProperty(
                "AvailableRequestedStates",
                "uint16",
                "The values of RequestedState that RequestStateChange would accept now.",
                array=True,
                values=_map(
                    "2 Enabled | 3 Disabled | 4 Shut Down | 6 Offline | 7 Test | 8 Defer | 9 Quiesce | "
                    "10 Reboot | 11 Reset"
                ),
            ),
            CimProperty(
                "TransitioningToState",
                "uint16",
                "The state the element is moving to, or Not Applicable when it is at rest.",
                values=_map(
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
                values=_map(
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
                        values=_map(
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
        "CIM_ComputerSystem",
        "CIM_System",
        "2.42.0",
        "A computer, real or virtual.",
        properties=(
            CimProperty(
                "NameFormat",
                "string",
                "How Name was made.",
                max_len=64,
                override=True,
                values=_map(
                    "Other Other | IP IP | Dial Dial | HID HID | NWA NWA | HWA HWA | X25 X25 | "
                    "ISDN ISDN | IPX IPX | DCC DCC | ICD ICD | E.164 E.164 | SNA SNA | OID/OSI OID/OSI | "
                    "WWN WWN | NAA NAA | UUID UUID"
                ),
            ),
            CimProperty(
                "Dedicated",
                "uint16",
                "What the computer is set aside for; a computer for general use says Not Dedicated.",
                array=True,
                values=_map(
                    "0 Not Dedicated | 1 Unknown | 2 Other | 3 Storage | 4 Router | 5 Switch | "
                    "6 Layer 3 Switch | 7 Central Office Switch | 8 Hub | 9 Access Server | 10 Firewall | "
                    "11 Print | 12 I/O | 13 Web Caching | 14 Management | 15 Block Server | "
                    "16 File Server | 17 Mobile User Device | 18 Repeater | 19 Bridge/Extender | "
                    "20 Gateway | 21 Storage Virtualizer | 22 Media Library | 23 ExtenderNode | "
                    "24 NAS Head | 25 Self-contained NAS | 26 UPS | 27 IP Phone | "
                    "28 Management Controller | 29 Chassis Manager | 30 Host-based RAID controller | "
                    "31 Storage Device Enclosure | 32 Desktop | 33 Laptop | 34 Virtual Tape Library | "
                    "35 Virtual Library System | 36 Network PC/Thin Client | 37 FC Switch | "
                    "38 Ethernet Switch | 39 Server | 40 Blade | 136 Partitioned Library System | "
                    "137 Unallocated Partition | 138 Partition"
                ),
            ),
            CimProperty(
                "OtherDedicatedDescriptions",
                "string",
                "Words for each Other in Dedicated, at the same index.",
                array=True,
            ),
            CimProperty(
                "ResetCapability",
                "uint16",
                "Whether the computer can be reset from outside.",
                values=_map("1 Other | 2 Unknown | 3 Disabled | 4 Enabled | 5 Not Implemented"),
            ),
        ),
    ),
    CimClass(
        "CIM_LogicalDevice",
        "CIM_AllocatedLogicalElement",
        "2.45.0",
        "A device as a system sees it, whatever hardware or emulation stands behind it.",
        abstract=True,
        properties=(
            CimProperty(
                "SystemCreationClassName",
                "string",
                "The CreationClassName of the system the device belongs to.",
                key=True,
                max_len=256,
                propagated="CIM_System.CreationClassName",
            ),
            CimProperty(
                "SystemName",
                "string",
                "The Name of the system the device belongs to.",
                key=True,
                max_len=256,
                propagated="CIM_System.Name",
            ),
            CimProperty("CreationClassName", "string", "The class the device was created as.", key=True, max_len=256),
            CimProperty(
                "DeviceID", "string", "Identifies the device within its system and class.", key=True, max_len=64
            ),
            CimProperty(
                "OtherIdentifyingInfo",
                "string",
                "Further identifiers of the device; IdentifyingDescriptions tells what each one is.",
                array=True,
                max_len=256,
            ),
            CimProperty(
                "IdentifyingDescriptions",
                "string",
                "What the entry of OtherIdentifyingInfo at the same index is.",
                array=True,
            ),
            CimProperty(
                "AdditionalAvailability",
                "uint16",
                "Conditions of use that hold for the device besides those its status tells.",
                array=True,
                values=_map(
                    "1 Other | 2 Unknown | 3 Running/Full Power | 4 Warning | 5 In Test | "
                    "6 Not Applicable | 7 Power Off | 8 Off Line | 9 Off Duty | 10 Degraded | "
                    "11 Not Installed | 12 Install Error | 13 Power Save - Unknown | "
                    "14 Power Save - Low Power Mode | 15 Power Save - Standby | 16 Power Cycle | "
                    "17 Power Save - Warning | 18 Paused | 19 Not Ready | 20 Not Configured | 21 Quiesced"
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_Processor",
        "CIM_LogicalDevice",
        "2.49.0",
        "A processor as software sees it.",
        properties=(
            CimProperty("Role", "string", "What the processor is used for."),
            CimProperty("Family", "uint16", "The number of the processor's family in the table that SMBIOS uses too."),
            CimProperty("OtherFamilyDescription", "string", "Names the family where Family is Other (1).", max_len=64),
            CimProperty("MaxClockSpeed", "uint32", "The highest clock rate.", punit="hertz * 10^6"),
            CimProperty("CurrentClockSpeed", "uint32", "The clock rate at present.", punit="hertz * 10^6"),
            CimProperty("DataWidth", "uint16", "How many bits the processor handles at once.", punit="bit"),
            CimProperty("AddressWidth", "uint16", "How many bits an address has.", punit="bit"),
            CimProperty(
                "LoadPercentage",
                "uint16",
                "How busy the processor was over the last interval.",
                punit="percent",
                gauge=True,
            ),
            CimProperty("UniqueID", "string", "An identifier that no other processor has."),
            CimProperty(
                "CPUStatus",
                "uint16",
                "Whether the processor is in use.",
                values=_map(
                    "0 Unknown | 1 CPU Enabled | 2 CPU Disabled by User | "
                    "3 CPU Disabled By BIOS (POST Error) | 4 CPU Is Idle | 7 Other"
                ),
            ),
            CimProperty("NumberOfEnabledCores", "uint16", "How many cores of the processor are enabled."),
        ),
    ),
    CimClass(
        "CIM_MediaAccessDevice",
        "CIM_LogicalDevice",
        "2.6.0",
        "A device that reads or writes a medium.",
        properties=(
            CimProperty(
                "Capabilities",
                "uint16",
                "What the device can do with its medium.",
                array=True,
                values=_map(
                    "0 Unknown | 1 Other | 2 Sequential Access | 3 Random Access | 4 Supports Writing | "
                    "5 Encryption | 6 Compression | 7 Supports Removeable Media | 8 Manual Cleaning | "
                    "9 Automatic Cleaning | 10 SMART Notification | 11 Supports Dual Sided Media | "
                    "12 Predismount Eject Not Required"
                ),
            ),
            CimProperty(
                "CapabilityDescriptions", "string", "Words for the entry of Capabilities at the same index.", array=True
            ),
            CimProperty(
                "MaxMediaSize", "uint64", "The size of the largest medium the device takes, in units of 1000 bytes."
            ),
            CimProperty("DefaultBlockSize", "uint64", "The block size used unless another is asked for.", punit="byte"),
            CimProperty(
                "NumberOfMediaSupported",
                "uint32",
                "How many media the device can hold at once, where it can hold several.",
            ),
            CimProperty("MediaIsLocked", "boolean", "Whether the medium is locked in and cannot be taken out."),
            CimProperty(
                "Security",
                "uint16",
                "What the device lets be done with its medium: nothing, reading, or all.",
                values=_map(
                    "1 Other | 2 Unknown | 3 None | 4 Read Only | 5 Locked Out | 6 Boot Bypass | "
                    "7 Boot Bypass and Read Only"
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_DiskDrive",
        "CIM_MediaAccessDevice",
        "2.45.0",
        "A drive that holds disks, as the operating system above it sees it.",
        properties=(
            CimProperty(
                "DiskType",
                "uint16",
                "What kind of drive it is.",
                values=_map("0 Unknown | 1 Other | 2 Hard Disk Drive | 3 Solid State Drive | 4 Hybrid"),
            ),
            CimProperty(
                "Encryption",
                "uint16",
                "Whether the drive encrypts, and is locked now.",
                values=_map("0 Unknown | 1 Not Supported | 2 Unlocked | 3 Locked"),
            ),
            CimProperty("InterconnectSpeed", "uint64", "The speed of the connection between drive and controller."),
            CimProperty(
                "InterconnectType",
                "uint16",
                "The kind of connection between drive and controller.",
                values=_map("0 Unknown | 1 Other | 2 Not Applicable | 3 ATA | 4 SATA | 5 SAS | 6 FC | 7 SOP"),
            ),
            CimProperty("OtherInterconnectType", "string", "Names the connection where InterconnectType is Other."),
        ),
    ),
    CimClass(
        "CIM_StorageExtent",
        "CIM_LogicalDevice",
        "2.45.0",
        "A stretch of storage.",
        properties=(
            CimProperty("Purpose", "string", "What the storage is for, in words."),
            CimProperty(
                "Access",
                "uint16",
                "Whether the storage can be read, written or both.",
                values=_map("0 Unknown | 1 Readable | 2 Writeable | 3 Read/Write Supported | 4 Write Once"),
            ),
            CimProperty("BlockSize", "uint64", "How large a block is."),
            CimProperty(
                "NumberOfBlocks", "uint64", "How many blocks there are; with BlockSize, how large the extent is."
            ),
            CimProperty(
                "ConsumableBlocks",
                "uint64",
                "How many of the blocks are left for data once the layers below have taken theirs.",
            ),
            CimProperty(
                "ExtentStatus",
                "uint16",
                "Conditions of the storage beyond those OperationalStatus has words for.",
                array=True,
                values=_map(
                    "0 Other | 1 Unknown | 2 None/Not Applicable | 3 Broken | 4 Data Lost | "
                    "5 Dynamic Reconfig | 6 Exposed | 7 Fractionally Exposed | 8 Partially Exposed | "
                    "9 Protection Disabled | 10 Readying | 11 Rebuild | 12 Recalculate | "
                    "13 Spare in Use | 14 Verify In Progress | 15 In-Band Access Granted | 16 Imported | "
                    "17 Exported | 18 Relocating"
                ),
            ),
            CimProperty(
                "Primordial", "boolean", "True when the storage is not made out of other storage that is modelled."
            ),
            CimProperty(
                "NameFormat",
                "uint16",
                "How Name was made.",
                values=_map(
                    "0 Unknown | 1 Other | 2 VPD83NAA6 | 3 VPD83NAA5 | 4 VPD83Type2 | 5 VPD83Type1 | "
                    "6 VPD83Type0 | 7 SNVM | 8 NodeWWN | 9 NAA | 10 EUI64 | 11 T10VID | 12 OS Device Name"
                ),
            ),
            CimProperty(
                "NameNamespace",
                "uint16",
                "Where Name was taken from.",
                values=_map(
                    "0 Unknown | 1 Other | 2 VPD83Type3 | 3 VPD83Type2 | 4 VPD83Type1 | 5 VPD80 | "
                    "6 NodeWWN | 7 SNVM | 8 OS Device Namespace"
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_LogicalDisk",
        "CIM_StorageExtent",
        "2.45.0",
        "Storage offered as a disk to whoever uses it.",
        properties=(
            CimProperty(
                "NameFormat", "uint16", "How Name was made.", override=True, values=_map("1 Other | 12 OS Device Name")
            ),
            CimProperty(
                "NameNamespace",
                "uint16",
                "Where Name was taken from.",
                override=True,
                values=_map("1 Other | 8 OS Device Namespace"),
            ),
            CimProperty("ThinlyProvisioned", "boolean", "Whether space is taken only as it is written."),
        ),
    ),
    CimClass(
        "CIM_Memory",
        "CIM_StorageExtent",
        "2.8.0",
        "Storage that is addressed directly, such as RAM.",
        properties=(
            CimProperty("Volatile", "boolean", "Whether the content is lost without power."),
            CimProperty(
                "StartingAddress", "uint64", "Where the memory begins, in units of 1000 bytes.", punit="byte * 10^3"
            ),
            CimProperty(
                "EndingAddress", "uint64", "Where the memory ends, in units of 1000 bytes.", punit="byte * 10^3"
            ),
        ),
    ),
    CimClass(
        "CIM_LogicalPort",
        "CIM_LogicalDevice",
        "2.10.0",
        "A place where a device meets a network or a bus.",
        properties=(
            CimProperty("Speed", "uint64", "The speed at present.", punit="bit / second"),
            CimProperty("MaxSpeed", "uint64", "The highest speed the port can run at.", punit="bit / second"),
            CimProperty("RequestedSpeed", "uint64", "The speed that was asked for.", punit="bit / second"),
            CimProperty(
                "UsageRestriction",
                "uint16",
                "Whether the port may face initiators, targets or both.",
                values=_map("0 Unknown | 2 Front-end only | 3 Back-end only | 4 Not restricted"),
            ),
            CimProperty(
                "PortType", "uint16", "The kind of port.", values=_map("0 Unknown | 1 Other | 2 Not Applicable")
            ),
            CimProperty("OtherPortType", "string", "Names the kind where PortType is Other."),
        ),
    ),
    CimClass(
        "CIM_NetworkPort",
        "CIM_LogicalPort",
        "2.10.0",
        "A port of a network.",
        properties=(
            CimProperty("Speed", "uint64", "The speed at present.", punit="bit / second", override=True),
            CimProperty("PortNumber", "uint16", "The number of the port on its card or switch."),
            CimProperty(
                "LinkTechnology",
                "uint16",
                "The technology of the link.",
                values=_map(
                    "0 Unknown | 1 Other | 2 Ethernet | 3 IB | 4 FC | 5 FDDI | 6 ATM | 7 Token Ring | "
                    "8 Frame Relay | 9 Infrared | 10 BlueTooth | 11 Wireless LAN"
                ),
            ),
            CimProperty("OtherLinkTechnology", "string", "Names the technology where LinkTechnology is Other."),
            CimProperty("PermanentAddress", "string", "The address that was built into the port.", max_len=64),
            CimProperty("NetworkAddresses", "string", "The addresses the port answers to.", array=True, max_len=64),
            CimProperty("FullDuplex", "boolean", "Whether both directions work at once."),
            CimProperty("AutoSense", "boolean", "Whether the port finds its speed and duplex by itself."),
            CimProperty(
                "SupportedMaximumTransmissionUnit", "uint64", "The largest MTU the port can be set to.", punit="byte"
            ),
            CimProperty("ActiveMaximumTransmissionUnit", "uint64", "The MTU in force.", punit="byte"),
        ),
    ),
    CimClass(
        "CIM_EthernetPort",
        "CIM_NetworkPort",
        "2.35.0",
        "A port of an Ethernet.",
        properties=(
            CimProperty(
                "PortType",
                "uint16",
                "The kind of Ethernet.",
                override=True,
                values=_map(
                    "0 Unknown | 1 Other | 50 10BaseT | 51 10-100BaseT | 52 100BaseT | 53 1000BaseT | "
                    "54 2500BaseT | 55 10GBaseT | 56 10GBase-CX4 | 57 1000Base-KX | 58 10GBase-KX4 | "
                    "59 10GBase-KR | 60 1000-10GBase-KX | 61 1000Base-KX10GBase-KX4KR | "
                    "62 10-100-1000BaseT | 63 100-1000-10GBaseT | 100 100Base-FX | 101 100Base-SX | "
                    "102 1000Base-SX | 103 1000Base-LX | 104 1000Base-CX | 105 10GBase-SR | "
                    "106 10GBase-SW | 107 10GBase-LX4 | 108 10GBase-LR | 109 10GBase-LW | "
                    "110 10GBase-ER | 111 10GBase-EW | 112 10GBase-LRM | 200 40GBase-KR4 | "
                    "201 40GBase-CR4 | 202 40GBase-SR4 | 203 40GBase-FR | 204 40GBase-LR4 | "
                    "300 100GBase-CR10 | 301 100GBase-SR10 | 302 100GBase-LR4 | 303 100GBase-ER4 | "
                    "304 100GBase-KR4 | 305 100GBase-CR4 | 306 100GBase-KP4"
                ),
            ),
            CimProperty(
                "NetworkAddresses",
                "string",
                "The MAC addresses the port answers to, each twelve hexadecimal digits.",
                array=True,
                max_len=64,
                override=True,
            ),
            CimProperty("MaxDataSize", "uint32", "The largest payload of a frame that the port sends or takes."),
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
                values=_map(
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
        "CIM_VirtualSystemSettingData",
        "CIM_SettingData",
        "2.43.0",
        "The virtual aspects of a virtual computer, as it runs or as it is configured.",
        properties=(
            CimProperty("VirtualSystemIdentifier", "string", "Identifies the virtual computer on its host."),
            CimProperty("VirtualSystemType", "string", "The kind of virtualization, as the host names it."),
            CimProperty("Notes", "string", "Remarks of the administrator.", array=True),
            CimProperty("CreationTime", "datetime", "When the settings were made."),
            CimProperty("ConfigurationID", "string", "Identifies the configuration across copies of it."),
            CimProperty("ConfigurationDataRoot", "string", "The directory where the configuration is kept."),
            CimProperty(
                "ConfigurationFile",
                "string",
                "The file that holds the configuration, relative to ConfigurationDataRoot.",
            ),
            CimProperty(
                "AutomaticStartupAction",
                "uint16",
                "What happens to the virtual computer when its host starts.",
                values=_map("2 None | 3 Restart if previously active | 4 Always startup"),
            ),
            CimProperty(
                "AutomaticShutdownAction",
                "uint16",
                "What happens to the virtual computer when its host stops.",
                values=_map("2 Turn Off | 3 Save state | 4 Shutdown"),
            ),
            CimProperty(
                "AutomaticRecoveryAction",
                "uint16",
                "What happens when the virtual computer has failed.",
                values=_map("2 None | 3 Restart | 4 Revert to snapshot"),
            ),
        ),
    ),
    CimClass(
        "CIM_Indication",
        None,
        "2.24.0",
        "Something that happened and is told to whoever subscribed to it.",
        abstract=True,
        indication=True,
        properties=(
            CimProperty("IndicationIdentifier", "string", "Identifies the indication, so that others can refer to it."),
            CimProperty(
                "CorrelatedIndications", "string", "The identifiers of indications with the same cause.", array=True
            ),
            CimProperty("IndicationTime", "datetime", "When the indication was made."),
            CimProperty(
                "PerceivedSeverity",
                "uint16",
                "How grave it is in the eyes of the sender.",
                values=_map(
                    "0 Unknown | 1 Other | 2 Information | 3 Degraded/Warning | 4 Minor | 5 Major | "
                    "6 Critical | 7 Fatal/NonRecoverable"
                ),
            ),
            CimProperty("OtherSeverity", "string", "Words for the severity where PerceivedSeverity is Other."),
            CimProperty("IndicationFilterName", "string", "The filter that let the indication through."),
            CimProperty(
                "SequenceContext",
                "string",
                "Names the series that SequenceNumber counts in; it changes when the sender starts anew.",
            ),
            CimProperty("SequenceNumber", "sint64", "The place of the indication in its series, from 0."),
        ),
    ),
    CimClass(
        "CIM_ProcessIndication",
        "CIM_Indication",
        "2.29.0",
        "An indication of something other than a change of the repository.",
        abstract=True,
        indication=True,
    ),
    CimClass(
        "CIM_AlertIndication",
        "CIM_ProcessIndication",
        "2.27.0",
        "A condition that an operator should know of.",
        indication=True,
        properties=(
            CimProperty("Description", "string", "What happened, in words."),
            CimProperty(
                "AlertingManagedElement", "string", "The element concerned, written as AlertingElementFormat tells."
            ),
            CimProperty(
                "AlertingElementFormat",
                "uint16",
                "How AlertingManagedElement is written.",
                values=_map("0 Unknown | 1 Other | 2 CIMObjectPath"),
            ),
            CimProperty(
                "OtherAlertingElementFormat", "string", "Names the format where AlertingElementFormat is Other."
            ),
            CimProperty(
                "AlertType",
                "uint16",
                "The kind of condition.",
                required=True,
                values=_map(
                    "1 Other | 2 Communications Alert | 3 Quality of Service Alert | 4 Processing Error | "
                    "5 Device Alert | 6 Environmental Alert | 7 Model Change | 8 Security Alert"
                ),
            ),
            CimProperty("OtherAlertType", "string", "Names the kind where AlertType is Other."),
            CimProperty(
                "PerceivedSeverity",
                "uint16",
                "How grave it is in the eyes of the sender.",
                required=True,
                override=True,
                values=_map(
                    "0 Unknown | 1 Other | 2 Information | 3 Degraded/Warning | 4 Minor | 5 Major | "
                    "6 Critical | 7 Fatal/NonRecoverable"
                ),
            ),
            CimProperty(
                "ProbableCause",
                "uint16",
                "The likely cause, as a number.",
                required=True,
                values=_map(
                    "0 Unknown | 1 Other | 2 Adapter/Card Error | 3 Application Subsystem Failure | "
                    "4 Bandwidth Reduced | 5 Connection Establishment Error | "
                    "6 Communications Protocol Error | 7 Communications Subsystem Failure | "
                    "8 Configuration/Customization Error | 9 Congestion | 10 Corrupt Data | "
                    "11 CPU Cycles Limit Exceeded | 12 Dataset/Modem Error | 13 Degraded Signal | "
                    "14 DTE-DCE Interface Error | 15 Enclosure Door Open | 16 Equipment Malfunction | "
                    "17 Excessive Vibration | 18 File Format Error | 19 Fire Detected | "
                    "20 Flood Detected | 21 Framing Error | 22 HVAC Problem | 23 Humidity Unacceptable | "
                    "24 I/O Device Error | 25 Input Device Error | 26 LAN Error | "
                    "27 Non-Toxic Leak Detected | 28 Local Node Transmission Error | 29 Loss of Frame | "
                    "30 Loss of Signal | 31 Material Supply Exhausted | 32 Multiplexer Problem | "
                    "33 Out of Memory | 34 Output Device Error | 35 Performance Degraded | "
                    "36 Power Problem | 37 Pressure Unacceptable | "
                    "38 Processor Problem (Internal Machine Error) | 39 Pump Failure | "
                    "40 Queue Size Exceeded | 41 Receive Failure | 42 Receiver Failure | "
                    "43 Remote Node Transmission Error | 44 Resource at or Nearing Capacity | "
                    "45 Response Time Excessive | 46 Retransmission Rate Excessive | 47 Software Error | "
                    "48 Software Program Abnormally Terminated | "
                    "49 Software Program Error (Incorrect Results) | 50 Storage Capacity Problem | "
                    "51 Temperature Unacceptable | 52 Threshold Crossed | 53 Timing Problem | "
                    "54 Toxic Leak Detected | 55 Transmit Failure | 56 Transmitter Failure | "
                    "57 Underlying Resource Unavailable | 58 Version MisMatch | "
                    "59 Previous Alert Cleared | 60 Login Attempts Failed | 61 Software Virus Detected | "
                    "62 Hardware Security Breached | 63 Denial of Service Detected | "
                    "64 Security Credential MisMatch | 65 Unauthorized Access | 66 Alarm Received | "
                    "67 Loss of Pointer | 68 Payload Mismatch | 69 Transmission Error | "
                    "70 Excessive Error Rate | 71 Trace Problem | 72 Element Unavailable | "
                    "73 Element Missing | 74 Loss of Multi Frame | 75 Broadcast Channel Failure | "
                    "76 Invalid Message Received | 77 Routing Failure | 78 Backplane Failure | "
                    "79 Identifier Duplication | 80 Protection Path Failure | 81 Sync Loss or Mismatch | "
                    "82 Terminal Problem | 83 Real Time Clock Failure | 84 Antenna Failure | "
                    "85 Battery Charging Failure | 86 Disk Failure | 87 Frequency Hopping Failure | "
                    "88 Loss of Redundancy | 89 Power Supply Failure | 90 Signal Quality Problem | "
                    "91 Battery Discharging | 92 Battery Failure | 93 Commercial Power Problem | "
                    "94 Fan Failure | 95 Engine Failure | 96 Sensor Failure | 97 Fuse Failure | "
                    "98 Generator Failure | 99 Low Battery | 100 Low Fuel | 101 Low Water | "
                    "102 Explosive Gas | 103 High Winds | 104 Ice Buildup | 105 Smoke | "
                    "106 Memory Mismatch | 107 Out of CPU Cycles | 108 Software Environment Problem | "
                    "109 Software Download Failure | 110 Element Reinitialized | 111 Timeout | "
                    "112 Logging Problems | 113 Leak Detected | 114 Protection Mechanism Failure | "
                    "115 Protecting Resource Failure | 116 Database Inconsistency | "
                    "117 Authentication Failure | 118 Breach of Confidentiality | 119 Cable Tamper | "
                    "120 Delayed Information | 121 Duplicate Information | 122 Information Missing | "
                    "123 Information Modification | 124 Information Out of Sequence | 125 Key Expired | "
                    "126 Non-Repudiation Failure | 127 Out of Hours Activity | 128 Out of Service | "
                    "129 Procedural Error | 130 Unexpected Information"
                ),
            ),
            CimProperty("ProbableCauseDescription", "string", "The likely cause, in words."),
            CimProperty(
                "Trending",
                "uint16",
                "Whether it gets worse or better.",
                values=_map("0 Unknown | 1 Not Applicable | 2 Trending Up | 3 Trending Down | 4 No Change"),
            ),
            CimProperty("RecommendedActions", "string", "What an operator could do.", array=True),
            CimProperty("EventID", "string", "Identifies the kind of event to the sender."),
            CimProperty("EventTime", "datetime", "When it happened."),
            CimProperty(
                "SystemCreationClassName", "string", "The CreationClassName of the system concerned.", max_len=256
            ),
            CimProperty("SystemName", "string", "The Name of the system concerned.", max_len=256),
            CimProperty("ProviderName", "string", "Who made the indication.", max_len=256),
            CimProperty("Message", "string", "The text for a person, with its arguments filled in."),
            CimProperty("MessageArguments", "string", "What was filled into the message, in order.", array=True),
            CimProperty("MessageID", "string", "Identifies the message within what OwningEntity publishes."),
            CimProperty("OwningEntity", "string", "The organization that defined the message."),
        ),
    ),
    CimClass(
        "CIM_InstIndication",
        "CIM_Indication",
        "2.29.0",
        "A change of an instance.",
        abstract=True,
        indication=True,
        properties=(
            CimProperty(
                "SourceInstance",
                "string",
                "The instance concerned, as it is after the change; on deletion, as it was last.",
                embedded_object=True,
                required=True,
            ),
            CimProperty("SourceInstanceModelPath", "string", "The path of the instance concerned."),
            CimProperty("SourceInstanceHost", "string", "The host that serves the instance."),
        ),
    ),
    CimClass(
        "CIM_InstCreation",
        "CIM_InstIndication",
        "2.27.0",
        "An instance has come into being.",
        indication=True,
    ),
    CimClass(
        "CIM_InstModification",
        "CIM_InstIndication",
        "2.45.0",
        "An instance has changed.",
        indication=True,
        properties=(
            CimProperty("PreviousInstance", "string", "The instance as it was before.", embedded_object=True),
            CimProperty("ChangedPropertyNames", "string", "The properties that differ.", array=True),
        ),
    ),
    CimClass(
        "CIM_InstDeletion",
        "CIM_InstIndication",
        "2.27.0",
        "An instance has gone.",
        indication=True,
    ),
    CimClass(
        "CIM_Dependency",
        None,
        "2.10.0",
        "One element depends on another.",
        abstract=True,
        association=True,
        properties=(
            CimProperty(
                "Antecedent", "reference", "The element depended upon.", key=True, reference="CIM_ManagedElement"
            ),
            CimProperty(
                "Dependent", "reference", "The element that depends.", key=True, reference="CIM_ManagedElement"
            ),
        ),
    ),
    CimClass(
        "CIM_HostedDependency",
        "CIM_Dependency",
        "2.8.0",
        "An element lives on another, as a guest does on its host.",
        association=True,
        properties=(
            CimProperty(
                "Antecedent",
                "reference",
                "The host.",
                key=True,
                reference="CIM_ManagedElement",
                maximum=1,
                override=True,
            ),
            CimProperty(
                "Dependent", "reference", "What lives on it.", key=True, reference="CIM_ManagedElement", override=True
            ),
        ),
    ),
    CimClass(
        "CIM_Component",
        None,
        "2.7.0",
        "An element is part of a greater one.",
        abstract=True,
        association=True,
        aggregation=True,
        properties=(
            CimProperty(
                "GroupComponent", "reference", "The whole.", key=True, reference="CIM_ManagedElement", aggregate=True
            ),
            CimProperty("PartComponent", "reference", "The part.", key=True, reference="CIM_ManagedElement"),
        ),
    ),
    CimClass(
        "CIM_SystemComponent",
        "CIM_Component",
        "2.10.0",
        "An element is part of a system.",
        association=True,
        aggregation=True,
        properties=(
            CimProperty(
                "GroupComponent",
                "reference",
                "The system.",
                key=True,
                reference="CIM_System",
                aggregate=True,
                override=True,
            ),
            CimProperty(
                "PartComponent", "reference", "Its part.", key=True, reference="CIM_ManagedSystemElement", override=True
            ),
        ),
    ),
    CimClass(
        "CIM_SystemDevice",
        "CIM_SystemComponent",
        "2.10.0",
        "A device belongs to a system.",
        association=True,
        aggregation=True,
        composition=True,
        properties=(
            CimProperty(
                "GroupComponent",
                "reference",
                "The system.",
                key=True,
                reference="CIM_System",
                aggregate=True,
                minimum=1,
                maximum=1,
                override=True,
            ),
            CimProperty(
                "PartComponent",
                "reference",
                "The device.",
                key=True,
                reference="CIM_LogicalDevice",
                weak=True,
                override=True,
            ),
        ),
    ),
    CimClass(
        "CIM_ElementStatisticalData",
        None,
        "2.7.0",
        "The statistics were measured on the element.",
        association=True,
        properties=(
            CimProperty(
                "ManagedElement",
                "reference",
                "The element.",
                key=True,
                reference="CIM_ManagedElement",
                minimum=1,
                maximum=1,
            ),
            CimProperty("Stats", "reference", "The statistics.", key=True, reference="CIM_StatisticalData"),
        ),
    ),
    CimClass(
        "CIM_SettingsDefineState",
        None,
        "2.22.0",
        "The settings describe the present state of the element.",
        association=True,
        properties=(
            CimProperty("ManagedElement", "reference", "The element.", key=True, reference="CIM_ManagedElement"),
            CimProperty(
                "SettingData", "reference", "The settings that describe it.", key=True, reference="CIM_SettingData"
            ),
        ),
    ),
    CimClass(
        "CIM_ElementSettingData",
        None,
        "2.19.1",
        "The settings can be applied to the element.",
        association=True,
        properties=(
            CimProperty("ManagedElement", "reference", "The element.", key=True, reference="CIM_ManagedElement"),
            CimProperty("SettingData", "reference", "The settings.", key=True, reference="CIM_SettingData"),
            CimProperty(
                "IsDefault",
                "uint16",
                "Whether these are the settings the element starts from.",
                values=_map("0 Unknown | 1 Is Default | 2 Is Not Default"),
            ),
            CimProperty(
                "IsCurrent",
                "uint16",
                "Whether these are the settings in force.",
                values=_map("0 Unknown | 1 Is Current | 2 Is Not Current"),
            ),
            CimProperty(
                "IsNext",
                "uint16",
                "Whether these are the settings for the next start.",
                values=_map("0 Unknown | 1 Is Next | 2 Is Not Next | 3 Is Next For Single Use"),
            ),
        ),
    ),
    CimClass(
        "CIM_OwningJobElement",
        None,
        "2.7.0",
        "An element started a job and answers for it.",
        association=True,
        properties=(
            CimProperty(
                "OwningElement", "reference", "The element.", key=True, reference="CIM_ManagedElement", maximum=1
            ),
            CimProperty("OwnedElement", "reference", "The job.", key=True, reference="CIM_Job"),
        ),
    ),
    CimClass(
        "CIM_AffectedJobElement",
        None,
        "2.15.0",
        "A job has an effect on an element.",
        association=True,
        properties=(
            CimProperty("AffectedElement", "reference", "The element.", key=True, reference="CIM_ManagedElement"),
            CimProperty("AffectingElement", "reference", "The job.", key=True, reference="CIM_Job"),
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
        "CIM_WBEMService",
        "CIM_Service",
        "2.37.0",
        "A service of a management server.",
        abstract=True,
    ),
    CimClass(
        "CIM_ObjectManager",
        "CIM_WBEMService",
        "2.39.0",
        "The management server that answers, as clients look for it in the Interop namespace.",
        properties=(
            CimProperty("GatherStatisticalData", "boolean", "Whether the server keeps statistics about requests."),
            CimProperty("Name", "string", "Identifies the server.", key=True, max_len=256, override=True),
            CimProperty("ElementName", "string", "What people call the server.", override=True),
            CimProperty("Description", "string", "What the server is.", override=True),
        ),
    ),
    CimClass(
        "CIM_Namespace",
        "CIM_ManagedElement",
        "2.39.0",
        "A namespace of the management server.",
        properties=(
            CimProperty(
                "SystemCreationClassName",
                "string",
                "The CreationClassName of the system the server runs on.",
                key=True,
                max_len=256,
                propagated="CIM_ObjectManager.SystemCreationClassName",
            ),
            CimProperty(
                "SystemName",
                "string",
                "The Name of the system the server runs on.",
                key=True,
                max_len=256,
                propagated="CIM_ObjectManager.SystemName",
            ),
            CimProperty(
                "ObjectManagerCreationClassName",
                "string",
                "The CreationClassName of the server.",
                key=True,
                max_len=256,
                propagated="CIM_ObjectManager.CreationClassName",
            ),
            CimProperty(
                "ObjectManagerName",
                "string",
                "The Name of the server.",
                key=True,
                max_len=256,
                propagated="CIM_ObjectManager.Name",
            ),
            CimProperty(
                "CreationClassName", "string", "The class the namespace was created as.", key=True, max_len=256
            ),
            CimProperty("Name", "string", "The name of the namespace, without the host.", key=True, max_len=256),
            CimProperty(
                "ClassInfo",
                "uint16",
                "Which version of CIM the classes in the namespace follow.",
                required=True,
                values=_map(
                    "0 Unknown | 1 Other | 2 CIM 1.0 | 3 CIM 2.0 | 4 CIM 2.1 | 5 CIM 2.2 | 6 CIM 2.3 | "
                    "7 CIM 2.4 | 8 CIM 2.5 | 9 CIM 2.6 | 10 CIM 2.7 | 11 CIM 2.8 | 200 DMI Recast | "
                    "201 SNMP Recast | 202 CMIP Recast"
                ),
            ),
            CimProperty("DescriptionOfClassInfo", "string", "Words for ClassInfo where it is Other."),
        ),
    ),
    CimClass(
        "CIM_HostedService",
        "CIM_HostedDependency",
        "2.10.0",
        "A service runs on a system.",
        association=True,
        properties=(
            CimProperty(
                "Antecedent",
                "reference",
                "The system.",
                key=True,
                reference="CIM_System",
                minimum=1,
                maximum=1,
                override=True,
            ),
            CimProperty(
                "Dependent", "reference", "The service.", key=True, reference="CIM_Service", weak=True, override=True
            ),
        ),
    ),
    CimClass(
        "CIM_NamespaceInManager",
        "CIM_HostedDependency",
        "2.39.0",
        "A namespace is kept by a management server.",
        association=True,
        properties=(
            CimProperty(
                "Antecedent",
                "reference",
                "The server.",
                key=True,
                reference="CIM_ObjectManager",
                minimum=1,
                maximum=1,
                override=True,
            ),
            CimProperty(
                "Dependent",
                "reference",
                "The namespace.",
                key=True,
                reference="CIM_Namespace",
                weak=True,
                override=True,
            ),
        ),
    ),
)


def _indexed(declared: tuple[CimClass, ...]) -> Mapping[str, CimClass]:
    """By name, every superclass before its subclasses."""
    found: dict[str, CimClass] = {}
    for each in declared:
        if each.superclass is not None and each.superclass not in found:
            raise ValueError(f"class {each.name}: superclass {each.superclass} is not declared before it")
        found[each.name] = each
    return MappingProxyType(found)


#: Every class by its name; a superclass comes before its subclasses.
classes: Mapping[str, CimClass] = _indexed(_CLASSES)

#: Every qualifier declaration by its name.
qualifiers: Mapping[str, CimQualifier] = MappingProxyType({each.name: each for each in _QUALIFIERS})


def ancestors(name: str) -> tuple[str, ...]:
    """The superclasses of a class, nearest first, without the class itself; KeyError for a class not here."""
    found = []
    superclass = classes[name].superclass
    while superclass is not None:
        found.append(superclass)
        superclass = classes[superclass].superclass
    return tuple(found)


def is_a(name: str, wanted: str) -> bool:
    """Whether the class is the wanted one or descends from it."""
    return name == wanted or wanted in ancestors(name)


def _lineage(name: str) -> Iterator[CimClass]:
    """The class and its ancestors, the root first."""
    for each in (*reversed(ancestors(name)), name):
        yield classes[each]


def inherited_properties(name: str) -> dict[str, CimProperty]:
    """What a class derived from ``name`` inherits, each property as the nearest declaration tells it.

    In order of first appearance, the root's properties first. KeyError for a class not here.
    """
    found: dict[str, CimProperty] = {}
    for cls in _lineage(name):
        for each in cls.properties:
            found[each.name] = each
    return found


def inherited_methods(name: str) -> dict[str, CimMethod]:
    """The methods that a class derived from ``name`` inherits."""
    return {each.name: each for cls in _lineage(name) for each in cls.methods}
