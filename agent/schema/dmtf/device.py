"""Devices: processors, memory, drives and disks, network ports."""

from agent.schema.dmtf.language import CimClass, CimProperty, value_map

CLASSES = (
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
                values=value_map(
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
                values=value_map(
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
                values=value_map(
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
                values=value_map(
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
                values=value_map("0 Unknown | 1 Other | 2 Hard Disk Drive | 3 Solid State Drive | 4 Hybrid"),
            ),
            CimProperty(
                "Encryption",
                "uint16",
                "Whether the drive encrypts, and is locked now.",
                values=value_map("0 Unknown | 1 Not Supported | 2 Unlocked | 3 Locked"),
            ),
            CimProperty("InterconnectSpeed", "uint64", "The speed of the connection between drive and controller."),
            CimProperty(
                "InterconnectType",
                "uint16",
                "The kind of connection between drive and controller.",
                values=value_map("0 Unknown | 1 Other | 2 Not Applicable | 3 ATA | 4 SATA | 5 SAS | 6 FC | 7 SOP"),
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
                values=value_map("0 Unknown | 1 Readable | 2 Writeable | 3 Read/Write Supported | 4 Write Once"),
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
                values=value_map(
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
                values=value_map(
                    "0 Unknown | 1 Other | 2 VPD83NAA6 | 3 VPD83NAA5 | 4 VPD83Type2 | 5 VPD83Type1 | "
                    "6 VPD83Type0 | 7 SNVM | 8 NodeWWN | 9 NAA | 10 EUI64 | 11 T10VID | 12 OS Device Name"
                ),
            ),
            CimProperty(
                "NameNamespace",
                "uint16",
                "Where Name was taken from.",
                values=value_map(
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
                "NameFormat",
                "uint16",
                "How Name was made.",
                override=True,
                values=value_map("1 Other | 12 OS Device Name"),
            ),
            CimProperty(
                "NameNamespace",
                "uint16",
                "Where Name was taken from.",
                override=True,
                values=value_map("1 Other | 8 OS Device Namespace"),
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
                values=value_map("0 Unknown | 2 Front-end only | 3 Back-end only | 4 Not restricted"),
            ),
            CimProperty(
                "PortType", "uint16", "The kind of port.", values=value_map("0 Unknown | 1 Other | 2 Not Applicable")
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
                values=value_map(
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
                values=value_map(
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
)
