"""Pools of storage."""

from agent.schema.dmtf.language import CimClass, CimProperty

CLASSES = (
    CimClass(
        "CIM_StoragePool",
        "CIM_ResourcePool",
        "2.45.0",
        "Storage from which volumes are made.",
        properties=(
            CimProperty("InstanceID", "string", "Identifies the pool.", key=True, override=True),
            CimProperty(
                "PoolID",
                "string",
                "Identifies the pool on its system.",
                required=True,
                max_len=256,
                override=True,
            ),
            CimProperty(
                "Primordial",
                "boolean",
                "Whether the pool is a given of the host, and not made by a client.",
                override=True,
            ),
            CimProperty("TotalManagedSpace", "uint64", "All the space that volumes can be made of.", punit="byte"),
            CimProperty(
                "RemainingManagedSpace",
                "uint64",
                "The space that is left for further volumes.",
                required=True,
                punit="byte",
            ),
        ),
    ),
)
