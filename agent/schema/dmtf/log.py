"""Logs and their records (DSP1010)."""

from agent.schema.dmtf.language import CimClass, CimMethod, CimParameter, CimProperty, value_map

_ITERATOR = CimParameter(
    "IterationIdentifier", "string", "Where the iteration is; what comes back is to be given next time.", is_out=True
)
_NEXT = CimParameter("PositionToNext", "boolean", "Whether the iteration goes on to the next record afterwards.")
_NUMBER = CimParameter("RecordNumber", "uint64", "Number of the record.", is_in=False, is_out=True)
_DATA = CimParameter("RecordData", "uint8", "What the record says.", array=True, is_in=False, is_out=True)

CLASSES = (
    CimClass(
        "CIM_Log",
        "CIM_EnabledLogicalElement",
        "2.45.0",
        "A log, however it is kept.",
        abstract=True,
        properties=(
            CimProperty("MaxNumberOfRecords", "uint64", "Most records that it can hold; 0 if nobody can tell."),
            CimProperty("CurrentNumberOfRecords", "uint64", "Records that it holds now.", gauge=True),
            CimProperty(
                "OverwritePolicy",
                "uint16",
                "What becomes of the oldest records when it is full.",
                values=value_map("0 Unknown | 2 Wraps When Full | 7 Never Overwrites | 8 Archives"),
            ),
            CimProperty(
                "LogState",
                "uint16",
                "Whether it takes records, is being erased, or has no such state.",
                values=value_map("0 Unknown | 2 Normal | 3 Erasing | 4 Not Applicable"),
            ),
        ),
        methods=(
            CimMethod(
                "ClearLog",
                "uint32",
                "Removes all records.",
                values=value_map(
                    "0 Completed with no error | 1 Not Supported | 2 Unspecified Error | 3 Timeout | 4 Failed | 5 Invalid Parameter"
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_RecordLog",
        "CIM_Log",
        "2.19.0",
        "A log whose records are instances of their own.",
        properties=(CimProperty("InstanceID", "string", "Identifies the log.", key=True, override=True),),
    ),
    CimClass(
        "CIM_MessageLog",
        "CIM_Log",
        "2.14.0",
        "A log whose records are read one after the other, by methods.",
        properties=(
            CimProperty("CreationClassName", "string", "Name of the class of the log.", key=True, max_len=256),
            CimProperty(
                "Name", "string", "Tells the log from others of its class.", key=True, max_len=256, override=True
            ),
            CimProperty(
                "Capabilities",
                "uint16",
                "What can be done with the log and with its records.",
                array=True,
                values=value_map(
                    "0 Unknown | 1 Other | 2 Write Record Supported | 3 Delete Record Supported | 4 Can Move Backward in Log | "
                    "5 Freeze Log Supported | 6 Clear Log Supported | 7 Supports Addressing by Ordinal Record Number | "
                    "8 Variable Length Records Supported | 9 Variable Formats for Records | 10 Can Flag Records for Overwrite"
                ),
            ),
            CimProperty(
                "MaxLogSize", "uint64", "The longest that it can become; 0 if there is no limit.", punit="byte"
            ),
            CimProperty(
                "SizeOfHeader", "uint64", "Length of what stands before its records; 0 for nothing.", punit="byte"
            ),
            CimProperty("MaxRecordSize", "uint64", "The longest that a record of it can be.", punit="byte"),
            CimProperty(
                "SizeOfRecordHeader", "uint64", "Length of what stands before each record; 0 for nothing.", punit="byte"
            ),
            CimProperty(
                "OverwritePolicy",
                "uint16",
                "What becomes of the oldest records when it is full.",
                override=True,
                values=value_map(
                    "0 Unknown | 1 Other | 2 Wraps When Full | 3 Clear When Near Full | 4 Overwrite Outdated When Needed | "
                    "5 Remove Outdated Records | 6 Overwrite Specific Records | 7 Never Overwrite"
                ),
            ),
            CimProperty("TimeOfLastChange", "datetime", "When it last changed."),
            CimProperty("IsFrozen", "boolean", "Whether it takes no records now."),
            CimProperty(
                "CharacterSet",
                "uint16",
                "How the text of its records is encoded.",
                values=value_map(
                    "0 Unknown | 1 Other | 2 ASCII | 3 Unicode | 4 ISO2022 | 5 ISO8859 | 6 Extended UNIX Code | 7 UTF-8 | 8 UCS-2 | "
                    "9 Bitmapped Data | 10 OctetString | 11 Defined by Individual Records"
                ),
            ),
        ),
        methods=(
            CimMethod(
                "PositionToFirstRecord",
                "uint32",
                "Begins an iteration at the oldest record. 0 if that was done, 1 if it cannot be done at all.",
                parameters=(
                    CimParameter("IterationIdentifier", "string", "Where the iteration is.", is_in=False, is_out=True),
                ),
            ),
            CimMethod(
                "PositionAtRecord",
                "uint32",
                "Moves an iteration to another record. 0 if that was done, 1 if it cannot be done at all.",
                parameters=(
                    _ITERATOR,
                    CimParameter(
                        "MoveAbsolute",
                        "boolean",
                        "Whether RecordNumber is that of a record; else it is how far to move.",
                    ),
                    CimParameter(
                        "RecordNumber",
                        "sint64",
                        "Number of the record, or how many records to move, backwards if negative. What comes back is the number of "
                        "the record there.",
                        is_out=True,
                    ),
                ),
            ),
            CimMethod(
                "GetRecord",
                "uint32",
                "Reads the record that an iteration is at. 0 if that was done, 1 if it cannot be done at all.",
                parameters=(_ITERATOR, _NEXT, _NUMBER, _DATA),
            ),
            CimMethod(
                "DeleteRecord",
                "uint32",
                "Removes the record that an iteration is at. 0 if that was done, 1 if it cannot be done at all.",
                parameters=(_ITERATOR, _NEXT, _NUMBER, _DATA),
            ),
            CimMethod(
                "WriteRecord",
                "uint32",
                "Puts a record where an iteration is. 0 if that was done, 1 if it cannot be done at all.",
                parameters=(
                    _ITERATOR,
                    _NEXT,
                    CimParameter("RecordData", "uint8", "What it says.", array=True),
                    _NUMBER,
                ),
            ),
            CimMethod(
                "CancelIteration",
                "uint32",
                "Ends an iteration. 0 if that was done, 1 if it cannot be done at all.",
                parameters=(CimParameter("IterationIdentifier", "string", "Where the iteration is."),),
            ),
            CimMethod(
                "FreezeLog",
                "uint32",
                "Has the log take no records, or take them again. 0 if that was done, 1 if it cannot be done at all.",
                parameters=(CimParameter("Freeze", "boolean", "Whether it shall take no records."),),
            ),
            CimMethod(
                "FlagRecordForOverwrite",
                "uint32",
                "Allows the record that an iteration is at to be overwritten. 0 if that was done, 1 if it cannot be done at all.",
                parameters=(_ITERATOR, _NEXT, _NUMBER),
            ),
        ),
    ),
    CimClass(
        "CIM_RecordForLog",
        "CIM_ManagedElement",
        "2.25.0",
        "A record, as something that a log can hold.",
        abstract=True,
        properties=(
            CimProperty("RecordFormat", "string", "How RecordData is laid out; empty where it is text for people."),
            CimProperty("RecordData", "string", "What the record says."),
            CimProperty("Locale", "string", "The language that RecordData is written in."),
            CimProperty(
                "PerceivedSeverity",
                "uint16",
                "How grave it is in the eyes of who wrote it.",
                values=value_map(
                    "0 Unknown | 1 Other | 2 Information | 3 Degraded/Warning | 4 Minor | 5 Major | "
                    "6 Critical | 7 Fatal/NonRecoverable"
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_LogEntry",
        "CIM_RecordForLog",
        "2.27.0",
        "A record of a log.",
        properties=(
            CimProperty("InstanceID", "string", "Identifies the record.", key=True, override=True),
            CimProperty("LogInstanceID", "string", "The InstanceID of the log that holds it.", max_len=256),
            CimProperty("LogName", "string", "Name of the log that holds it.", max_len=256),
            CimProperty("RecordID", "string", "Tells it from the other records of its log.", max_len=256),
            CimProperty("CreationTimeStamp", "datetime", "When it was written."),
            CimProperty("MessageID", "string", "Names the message within what OwningEntity publishes."),
            CimProperty("Message", "string", "The message, with its arguments filled in."),
            CimProperty("MessageArguments", "string", "What was filled into the message, in order.", array=True),
            CimProperty("OwningEntity", "string", "The organization that defined the message."),
        ),
    ),
    CimClass(
        "CIM_LogManagesRecord",
        None,
        "2.9.0",
        "A record is held by a log.",
        association=True,
        aggregation=True,
        composition=True,
        properties=(
            CimProperty(
                "Log", "reference", "The log.", key=True, reference="CIM_Log", aggregate=True, minimum=1, maximum=1
            ),
            CimProperty("Record", "reference", "Its record.", key=True, reference="CIM_RecordForLog"),
        ),
    ),
    CimClass(
        "CIM_UseOfLog",
        "CIM_Dependency",
        "2.9.0",
        "What happens to an element is written into a log.",
        association=True,
        properties=(
            CimProperty("Antecedent", "reference", "The log.", key=True, reference="CIM_Log", override=True),
            CimProperty(
                "Dependent",
                "reference",
                "The element that the log tells of.",
                key=True,
                reference="CIM_ManagedSystemElement",
                override=True,
            ),
        ),
    ),
)
