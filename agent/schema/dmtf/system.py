"""Computers, real and virtual."""

from agent.schema.dmtf.language import CimClass, CimProperty, value_map

CLASSES = (
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
                values=value_map(
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
                values=value_map(
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
                values=value_map("1 Other | 2 Unknown | 3 Disabled | 4 Enabled | 5 Not Implemented"),
            ),
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
                values=value_map("2 None | 3 Restart if previously active | 4 Always startup"),
            ),
            CimProperty(
                "AutomaticShutdownAction",
                "uint16",
                "What happens to the virtual computer when its host stops.",
                values=value_map("2 Turn Off | 3 Save state | 4 Shutdown"),
            ),
            CimProperty(
                "AutomaticRecoveryAction",
                "uint16",
                "What happens when the virtual computer has failed.",
                values=value_map("2 None | 3 Restart | 4 Revert to snapshot"),
            ),
        ),
    ),
)
