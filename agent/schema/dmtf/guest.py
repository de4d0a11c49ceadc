"""What is inside a guest: file systems, users, and endpoints of its network."""

from agent.schema.dmtf.language import CimClass, CimProperty, value_map

CLASSES = (
    CimClass(
        "CIM_FileSystem",
        "CIM_EnabledLogicalElement",
        "2.45.0",
        "A place for files, on a system or mounted from a server.",
        properties=(
            CimProperty(
                "CSCreationClassName",
                "string",
                "The CreationClassName of the system that has it.",
                key=True,
                max_len=256,
                propagated="CIM_System.CreationClassName",
            ),
            CimProperty(
                "CSName",
                "string",
                "The Name of the system that has it.",
                key=True,
                max_len=256,
                propagated="CIM_System.Name",
            ),
            CimProperty("CreationClassName", "string", "The class it was created as.", key=True, max_len=256),
            CimProperty("Name", "string", "Identifies it on its system.", key=True, max_len=256, override=True),
            CimProperty("Root", "string", "Where its files begin, such as a path."),
            CimProperty("BlockSize", "uint64", "How large the blocks are that it reads and writes.", punit="byte"),
            CimProperty("FileSystemSize", "uint64", "How much it holds; 0 where that is not known.", punit="byte"),
            CimProperty(
                "AvailableSpace",
                "uint64",
                "How much of it is free; 0 where that is not known.",
                punit="byte",
                gauge=True,
            ),
            CimProperty("ReadOnly", "boolean", "Whether nothing can be written to it."),
            CimProperty("FileSystemType", "string", "What kind it is of, such as NTFS."),
            CimProperty(
                "PersistenceType",
                "uint16",
                "Whether it outlasts a shutdown of its system.",
                values=value_map("0 Unknown | 1 Other | 2 Persistent | 3 Temporary | 4 External"),
            ),
        ),
    ),
    CimClass(
        "CIM_LocalFileSystem",
        "CIM_FileSystem",
        "2.45.0",
        "A place for files that its system controls itself, without a server.",
    ),
    CimClass(
        "CIM_HostedFileSystem",
        "CIM_SystemComponent",
        "2.7.0",
        "A file system belongs to a system.",
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
                "The file system.",
                key=True,
                reference="CIM_FileSystem",
                weak=True,
                override=True,
            ),
        ),
    ),
    CimClass(
        "CIM_Identity",
        "CIM_ManagedElement",
        "2.19.0",
        "Somebody or something that a system knows and may let in.",
        properties=(
            CimProperty("InstanceID", "string", "Identifies the identity.", key=True, override=True),
            CimProperty(
                "CurrentlyAuthenticated", "boolean", "Whether it has proved at present that it is who it says it is."
            ),
        ),
    ),
    CimClass(
        "CIM_IdentityContext",
        None,
        "2.8.0",
        "Where an identity is known.",
        association=True,
        properties=(
            CimProperty("ElementInContext", "reference", "The identity.", key=True, reference="CIM_Identity"),
            CimProperty(
                "ElementProvidingContext", "reference", "What knows it.", key=True, reference="CIM_ManagedElement"
            ),
        ),
    ),
    CimClass(
        "CIM_SAPSAPDependency",
        "CIM_Dependency",
        "2.10.0",
        "An access point needs another one.",
        association=True,
        properties=(
            CimProperty(
                "Antecedent",
                "reference",
                "The one that is needed.",
                key=True,
                reference="CIM_ServiceAccessPoint",
                override=True,
            ),
            CimProperty(
                "Dependent",
                "reference",
                "The one that needs it.",
                key=True,
                reference="CIM_ServiceAccessPoint",
                override=True,
            ),
        ),
    ),
    CimClass(
        "CIM_ProtocolEndpoint",
        "CIM_ServiceAccessPoint",
        "2.45.0",
        "A point of a network from which data is sent, and at which it is received.",
        properties=(
            CimProperty(
                "Name", "string", "Identifies the endpoint on its system.", key=True, max_len=256, override=True
            ),
            CimProperty("NameFormat", "string", "How Name was made.", max_len=256),
            CimProperty(
                "ProtocolIFType",
                "uint16",
                "The kind of interface or protocol, by the numbers of the IANA and some of the DMTF's own.",
                values=value_map(
                    "0 Unknown | 1 Other | 6 Ethernet CSMA/CD | 24 Software Loopback | 131 Tunnel | "
                    "4096 IPv4 | 4097 IPv6 | 4098 IPv4/v6"
                ),
            ),
            CimProperty("OtherTypeDescription", "string", "Names the kind where ProtocolIFType has Other.", max_len=64),
        ),
    ),
    CimClass(
        "CIM_LANEndpoint",
        "CIM_ProtocolEndpoint",
        "2.7.0",
        "An interface that sends and receives frames of a local network.",
        properties=(
            CimProperty("LANID", "string", "A label of the network that it is connected to."),
            CimProperty("MACAddress", "string", "Its address on that network: twelve hexadecimal digits.", max_len=12),
        ),
    ),
    CimClass(
        "CIM_IPProtocolEndpoint",
        "CIM_ProtocolEndpoint",
        "2.32.0",
        "An IP address of a system.",
        properties=(
            CimProperty("IPv4Address", "string", "The address, if it is one of IPv4."),
            CimProperty("IPv6Address", "string", "The address, if it is one of IPv6."),
            CimProperty("SubnetMask", "string", "The mask of its subnet, if it is one of IPv4."),
            CimProperty(
                "ProtocolIFType",
                "uint16",
                "Which version of IP it is of.",
                override=True,
                values=value_map("1 Other | 4096 IPv4 | 4097 IPv6 | 4098 IPv4/v6"),
            ),
            CimProperty(
                "AddressOrigin",
                "uint16",
                "How the system came by the address.",
                values=value_map(
                    "0 Unknown | 1 Other | 2 Not Applicable | 3 Static | 4 DHCP | 5 BOOTP | 6 IPv4 Link Local | "
                    "7 DHCPv6 | 8 IPv6AutoConfig | 9 Stateless | 10 Link Local"
                ),
            ),
            CimProperty(
                "IPv6SubnetPrefixLength",
                "uint16",
                "How many bits of the address tell its subnet, if it is one of IPv6.",
            ),
        ),
    ),
    CimClass(
        "CIM_BindsTo",
        "CIM_SAPSAPDependency",
        "2.10.0",
        "A protocol runs on top of another.",
        association=True,
        properties=(
            CimProperty(
                "Antecedent",
                "reference",
                "The endpoint below.",
                key=True,
                reference="CIM_ProtocolEndpoint",
                override=True,
            ),
            CimProperty(
                "Dependent",
                "reference",
                "What runs on top of it.",
                key=True,
                reference="CIM_ServiceAccessPoint",
                override=True,
            ),
        ),
    ),
)
