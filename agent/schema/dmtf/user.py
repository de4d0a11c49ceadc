"""What proves who somebody is."""

from agent.schema.dmtf.language import CimClass, CimProperty

CLASSES = (
    CimClass(
        "CIM_Credential",
        "CIM_ManagedElement",
        "2.8.0",
        "Something that proves an identity, such as a password or a key.",
        abstract=True,
        properties=(
            CimProperty("Issued", "datetime", "When the credential was given out."),
            CimProperty("Expires", "datetime", "When the credential is no longer good."),
        ),
    ),
)
