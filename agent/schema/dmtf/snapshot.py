"""Snapshots of virtual computers."""

from agent.schema.dmtf.language import CimClass, CimProperty

CLASSES = (
    CimClass(
        "CIM_SnapshotOfVirtualSystem",
        "CIM_Dependency",
        "2.32.0",
        "The settings are a snapshot that was made of the virtual computer.",
        association=True,
        properties=(
            CimProperty(
                "Antecedent",
                "reference",
                "The virtual computer.",
                key=True,
                reference="CIM_ComputerSystem",
                minimum=0,
                maximum=1,
                override=True,
            ),
            CimProperty(
                "Dependent",
                "reference",
                "The snapshot.",
                key=True,
                reference="CIM_VirtualSystemSettingData",
                override=True,
            ),
        ),
    ),
)
