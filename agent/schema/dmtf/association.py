"""How elements belong together: hosts and guests, wholes and parts, systems and what they offer."""

from agent.schema.dmtf.language import CimClass, CimProperty, value_map

CLASSES = (
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
                values=value_map("0 Unknown | 1 Is Default | 2 Is Not Default"),
            ),
            CimProperty(
                "IsCurrent",
                "uint16",
                "Whether these are the settings in force.",
                values=value_map("0 Unknown | 1 Is Current | 2 Is Not Current"),
            ),
            CimProperty(
                "IsNext",
                "uint16",
                "Whether these are the settings for the next start.",
                values=value_map("0 Unknown | 1 Is Next | 2 Is Not Next | 3 Is Next For Single Use"),
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
        "CIM_HostedAccessPoint",
        "CIM_HostedDependency",
        "2.10.0",
        "An access point is on a system.",
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
                "Dependent",
                "reference",
                "The access point.",
                key=True,
                reference="CIM_ServiceAccessPoint",
                weak=True,
                override=True,
            ),
        ),
    ),
    CimClass(
        "CIM_ServiceAccessBySAP",
        "CIM_Dependency",
        "2.10.0",
        "A service is reached by an access point.",
        association=True,
        properties=(
            CimProperty("Antecedent", "reference", "The service.", key=True, reference="CIM_Service", override=True),
            CimProperty(
                "Dependent",
                "reference",
                "The access point.",
                key=True,
                reference="CIM_ServiceAccessPoint",
                override=True,
            ),
        ),
    ),
    CimClass(
        "CIM_ElementCapabilities",
        None,
        "2.24.0",
        "An element has capabilities.",
        association=True,
        properties=(
            CimProperty(
                "ManagedElement", "reference", "The element.", key=True, reference="CIM_ManagedElement", minimum=1
            ),
            CimProperty("Capabilities", "reference", "Its capabilities.", key=True, reference="CIM_Capabilities"),
            CimProperty(
                "Characteristics",
                "uint16",
                "Whether these are the capabilities in force, those it starts from, or both.",
                array=True,
                values=value_map("2 Default | 3 Current"),
            ),
        ),
    ),
    CimClass(
        "CIM_ServiceAffectsElement",
        None,
        "2.45.0",
        "A service has an effect on an element.",
        association=True,
        properties=(
            CimProperty("AffectedElement", "reference", "The element.", key=True, reference="CIM_ManagedElement"),
            CimProperty("AffectingElement", "reference", "The service.", key=True, reference="CIM_Service"),
            CimProperty(
                "ElementEffects",
                "uint16",
                "What the effect is.",
                array=True,
                values=value_map(
                    "0 Unknown | 1 Other | 2 Exclusive Use | 3 Performance Impact | 4 Element Integrity | "
                    "5 Manages | 6 Consumes | 7 Enhances Integrity | 8 Degrades Integrity | "
                    "9 Enhances Performance | 10 Degrades Performance"
                ),
            ),
            CimProperty(
                "OtherElementEffectsDescriptions",
                "string",
                "Words for the entry of ElementEffects at the same index.",
                array=True,
            ),
        ),
    ),
    CimClass(
        "CIM_LogicalIdentity",
        None,
        "2.10.0",
        "Two elements are the same thing, seen in two ways.",
        abstract=True,
        association=True,
        properties=(
            CimProperty("SystemElement", "reference", "One way to see it.", key=True, reference="CIM_ManagedElement"),
            CimProperty("SameElement", "reference", "The other way.", key=True, reference="CIM_ManagedElement"),
        ),
    ),
    CimClass(
        "CIM_ConcreteIdentity",
        "CIM_LogicalIdentity",
        "2.10.0",
        "Two elements are the same thing, and nothing more can be said of it.",
        association=True,
        properties=(
            CimProperty(
                "SystemElement",
                "reference",
                "One way to see it.",
                key=True,
                reference="CIM_ManagedElement",
                override=True,
            ),
            CimProperty(
                "SameElement", "reference", "The other way.", key=True, reference="CIM_ManagedElement", override=True
            ),
        ),
    ),
)
