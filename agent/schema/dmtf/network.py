"""Networks, and lists of filters for what goes through them."""

from agent.schema.dmtf.language import CimClass, CimProperty, value_map

CLASSES = (
    CimClass(
        "CIM_AdminDomain",
        "CIM_System",
        "2.10.0",
        "Things that are administered together, by one set of rules.",
        properties=(
            CimProperty(
                "NameFormat",
                "string",
                "How Name was made.",
                max_len=64,
                override=True,
                values=value_map(
                    "Other Other | IP IP | WAN WAN | LAN LAN | ATM ATM | IB Infiniband | FC Fibre Channel"
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_Network",
        "CIM_AdminDomain",
        "2.39.0",
        "Parties that can reach one another, with what connects them.",
        properties=(
            CimProperty("OtherTypeDescription", "string", "Names the kind where Type has Other."),
            CimProperty(
                "Type",
                "uint16",
                "The kinds of network that it is.",
                array=True,
                values=value_map(
                    "1 Other | 2 Local Area Network (LAN) | 3 Wireless Local Area Network (WLAN) | "
                    "4 Wide Area Network (WAN) | 5 Metropolitan Area Network (MAN) | 6 Storage Area Network (SAN) | "
                    "7 Virtual Local Area Network (VLAN) | 8 Ethernet Network | 9 IP Network | 10 IPv4 Network | "
                    "11 IPv6 Network | 12 Overlay Network"
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_FilterList",
        "CIM_LogicalElement",
        "2.7.0",
        "Filters that are applied to traffic one after the other.",
        properties=(
            CimProperty(
                "SystemCreationClassName",
                "string",
                "The CreationClassName of the system that the list is on.",
                key=True,
                max_len=256,
                propagated="CIM_ComputerSystem.CreationClassName",
            ),
            CimProperty(
                "SystemName",
                "string",
                "The Name of the system that the list is on.",
                key=True,
                max_len=256,
                propagated="CIM_ComputerSystem.Name",
            ),
            CimProperty("CreationClassName", "string", "The class the list was created as.", key=True),
            CimProperty("Name", "string", "Identifies the list on its system.", key=True, max_len=256, override=True),
            CimProperty(
                "Direction",
                "uint16",
                "The way of the traffic that the list is applied to.",
                values=value_map("0 Not Applicable | 1 Input | 2 Output | 3 Both | 4 Mirrored"),
            ),
        ),
    ),
)
