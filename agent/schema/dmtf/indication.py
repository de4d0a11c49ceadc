"""Indications: what can happen, and how it is told."""

from agent.schema.dmtf.language import CimClass, CimProperty, value_map

CLASSES = (
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
                values=value_map(
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
                values=value_map("0 Unknown | 1 Other | 2 CIMObjectPath"),
            ),
            CimProperty(
                "OtherAlertingElementFormat", "string", "Names the format where AlertingElementFormat is Other."
            ),
            CimProperty(
                "AlertType",
                "uint16",
                "The kind of condition.",
                required=True,
                values=value_map(
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
                values=value_map(
                    "0 Unknown | 1 Other | 2 Information | 3 Degraded/Warning | 4 Minor | 5 Major | "
                    "6 Critical | 7 Fatal/NonRecoverable"
                ),
            ),
            CimProperty(
                "ProbableCause",
                "uint16",
                "The likely cause, as a number.",
                required=True,
                values=value_map(
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
                values=value_map("0 Unknown | 1 Not Applicable | 2 Trending Up | 3 Trending Down | 4 No Change"),
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
)
