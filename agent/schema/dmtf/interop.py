"""The management server as it describes itself in the Interop namespace: namespaces, protocols, profiles (DSP1033)."""

from agent.schema.dmtf.language import CimClass, CimProperty, value_map

CLASSES = (
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
                values=value_map(
                    "0 Unknown | 1 Other | 2 CIM 1.0 | 3 CIM 2.0 | 4 CIM 2.1 | 5 CIM 2.2 | 6 CIM 2.3 | "
                    "7 CIM 2.4 | 8 CIM 2.5 | 9 CIM 2.6 | 10 CIM 2.7 | 11 CIM 2.8 | 200 DMI Recast | "
                    "201 SNMP Recast | 202 CMIP Recast"
                ),
            ),
            CimProperty("DescriptionOfClassInfo", "string", "Words for ClassInfo where it is Other."),
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
    CimClass(
        "CIM_ObjectManagerCommunicationMechanism",
        "CIM_ServiceAccessPoint",
        "2.39.0",
        "A protocol by which clients reach the management server, and what of it is understood.",
        properties=(
            CimProperty(
                "CommunicationMechanism",
                "uint16",
                "The protocol.",
                required=True,
                values=value_map("0 Unknown | 1 Other | 2 CIM-XML | 3 SM-CLP | 4 WS-Management | 5 WSDM"),
            ),
            CimProperty(
                "OtherCommunicationMechanismDescription",
                "string",
                "Names the protocol where CommunicationMechanism is Other.",
            ),
            CimProperty(
                "FunctionalProfilesSupported",
                "uint16",
                "The groups of operations that the server performs.",
                array=True,
                required=True,
                values=value_map(
                    "0 Unknown | 1 Other | 2 Basic Read | 3 Basic Write | 4 Schema Manipulation | "
                    "5 Instance Manipulation | 6 Association Traversal | 7 Query Execution | "
                    "8 Qualifier Declaration | 9 Indications | 10 Pulled Read | 11 Pulled Read Count | "
                    "12 Pulled Query Execution"
                ),
            ),
            CimProperty(
                "FunctionalProfileDescriptions",
                "string",
                "Words for the entry of FunctionalProfilesSupported at the same index.",
                array=True,
            ),
            CimProperty(
                "MultipleOperationsSupported",
                "boolean",
                "Whether one request may ask for several operations.",
                required=True,
            ),
            CimProperty(
                "AuthenticationMechanismsSupported",
                "uint16",
                "How clients say who they are; None where they need not.",
                array=True,
                required=True,
                values=value_map("0 Unknown | 1 Other | 2 None | 3 Basic | 4 Digest"),
            ),
            CimProperty(
                "AuthenticationMechanismDescriptions",
                "string",
                "Words for the entry of AuthenticationMechanismsSupported at the same index.",
                array=True,
            ),
            CimProperty("Version", "string", "The version of the protocol.", required=True),
            CimProperty(
                "AdvertiseTypes",
                "uint16",
                "How the access point is made known on the network.",
                array=True,
                required=True,
                values=value_map("1 Other | 2 Not Advertised | 3 SLP"),
            ),
            CimProperty(
                "AdvertiseTypeDescriptions",
                "string",
                "Words for the entry of AdvertiseTypes at the same index.",
                array=True,
            ),
        ),
    ),
    CimClass(
        "CIM_CIMXMLCommunicationMechanism",
        "CIM_ObjectManagerCommunicationMechanism",
        "2.45.0",
        "CIM-XML over HTTP or HTTPS as a way to reach the management server.",
        properties=(
            CimProperty(
                "CommunicationMechanism",
                "uint16",
                "The protocol.",
                required=True,
                override=True,
                values=value_map("2 CIM-XML"),
            ),
            CimProperty(
                "Version",
                "string",
                "The version of CIM-XML that the server speaks.",
                required=True,
                override=True,
                values=value_map("1.0 1.0 | 1.1 1.1 | 1.2 1.2"),
            ),
            CimProperty(
                "CIMXMLProtocolVersion",
                "uint16",
                "The version of CIM-XML, as older clients look for it.",
                required=True,
                values=value_map("0 Unknown | 1 1.0"),
            ),
            CimProperty(
                "CIMValidated",
                "boolean",
                "Whether requests are held against the DTD, so that anything it does not know is refused.",
                required=True,
            ),
        ),
    ),
    CimClass(
        "CIM_CommMechanismForManager",
        "CIM_ServiceAccessBySAP",
        "2.39.0",
        "The management server is reached by this protocol.",
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
                "The protocol.",
                key=True,
                reference="CIM_ObjectManagerCommunicationMechanism",
                minimum=1,
                override=True,
            ),
        ),
    ),
    CimClass(
        "CIM_RegisteredSpecification",
        "CIM_ManagedElement",
        "2.39.0",
        "A specification that the management server says it follows.",
        properties=(
            CimProperty("InstanceID", "string", "Identifies the entry on this server.", key=True, override=True),
            CimProperty(
                "SpecificationType",
                "uint16",
                "The kind of specification.",
                values=value_map("1 Other | 2 Profile | 3 Initiative Wrapper | 4 Mapping"),
            ),
            CimProperty(
                "OtherSpecificationType", "string", "Names the kind where SpecificationType is Other.", max_len=256
            ),
            CimProperty(
                "RegisteredOrganization",
                "uint16",
                "Who published the specification.",
                required=True,
                values=value_map(
                    "1 Other | 2 DMTF | 3 CompTIA | 4 Consortium for Service Innovation | 5 FAST | 6 GGF | "
                    "7 INTAP | 8 itSMF | 9 NAC | 10 Northwest Energy Efficiency Alliance | 11 SNIA | "
                    "12 TM Forum | 13 The Open Group | 14 ANSI | 15 IEEE | 16 IETF | 17 INCITS | 18 ISO | "
                    "19 W3C | 20 OGF | 21 The Green Grid"
                ),
            ),
            CimProperty(
                "OtherRegisteredOrganization",
                "string",
                "Names the publisher where RegisteredOrganization is Other.",
                max_len=256,
            ),
            CimProperty("RegisteredName", "string", "The name of the specification.", required=True, max_len=256),
            CimProperty("RegisteredVersion", "string", "Its version, as three numbers.", required=True),
            CimProperty(
                "AdvertiseTypes",
                "uint16",
                "How it is made known on the network that the server follows it.",
                array=True,
                required=True,
                values=value_map("1 Other | 2 Not Advertised | 3 SLP | 4 WS-Identify"),
            ),
            CimProperty(
                "AdvertiseTypeDescriptions",
                "string",
                "Words for the entry of AdvertiseTypes at the same index.",
                array=True,
            ),
        ),
    ),
    CimClass(
        "CIM_RegisteredProfile",
        "CIM_RegisteredSpecification",
        "2.39.0",
        "A profile that the management server says it follows: which classes there are, and what they mean together.",
        properties=(
            CimProperty(
                "SpecificationType",
                "uint16",
                "The kind of specification.",
                override=True,
                values=value_map("2 Profile"),
            ),
            CimProperty(
                "ImplementedFeatures", "string", "The optional features of the profile that are there.", array=True
            ),
        ),
    ),
    CimClass(
        "CIM_ElementConformsToProfile",
        None,
        "2.8.0",
        "An element follows a profile: it is one of the instances that the profile is about.",
        association=True,
        properties=(
            CimProperty("ConformantStandard", "reference", "The profile.", key=True, reference="CIM_RegisteredProfile"),
            CimProperty("ManagedElement", "reference", "The element.", key=True, reference="CIM_ManagedElement"),
        ),
    ),
    CimClass(
        "CIM_ReferencedSpecification",
        "CIM_Dependency",
        "2.37.0",
        "A specification builds on another.",
        association=True,
        properties=(
            CimProperty(
                "Antecedent",
                "reference",
                "The specification built upon.",
                key=True,
                reference="CIM_RegisteredSpecification",
                override=True,
            ),
            CimProperty(
                "Dependent",
                "reference",
                "The specification that builds on it.",
                key=True,
                reference="CIM_RegisteredSpecification",
                override=True,
            ),
        ),
    ),
    CimClass(
        "CIM_ReferencedProfile",
        "CIM_ReferencedSpecification",
        "2.37.0",
        "A profile builds on another.",
        association=True,
        properties=(
            CimProperty(
                "Antecedent",
                "reference",
                "The profile built upon.",
                key=True,
                reference="CIM_RegisteredProfile",
                override=True,
            ),
            CimProperty(
                "Dependent",
                "reference",
                "The profile that builds on it.",
                key=True,
                reference="CIM_RegisteredProfile",
                override=True,
            ),
        ),
    ),
)
