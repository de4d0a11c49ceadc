"""Pools of resources, and what is taken from them."""

from agent.schema.dmtf.language import CimClass, CimProperty, value_map

CLASSES = (
    CimClass(
        "CIM_ResourcePool",
        "CIM_LogicalElement",
        "2.44.0",
        "Resources of one kind that a host has to give away.",
        properties=(
            CimProperty("InstanceID", "string", "Identifies the pool.", key=True, override=True),
            CimProperty("PoolID", "string", "The name by which settings of resources refer to the pool."),
            CimProperty("Primordial", "boolean", "Whether the pool is a given of the host, and not made by a client."),
            CimProperty("Capacity", "uint64", "The most that can be reserved, in AllocationUnits."),
            CimProperty("Reserved", "uint64", "What is reserved at present, in AllocationUnits."),
            CimProperty(
                "ResourceType",
                "uint16",
                "The kind of resource.",
                values=value_map(
                    "1 Other | 2 Computer System | 3 Processor | 4 Memory | 5 IDE Controller | 6 Parallel SCSI HBA | "
                    "7 FC HBA | 8 iSCSI HBA | 9 IB HCA | 10 Ethernet Adapter | 11 Other Network Adapter | 12 I/O Slot | "
                    "13 I/O Device | 14 Floppy Drive | 15 CD Drive | 16 DVD drive | 17 Disk Drive | 18 Tape Drive | "
                    "19 Storage Extent | 20 Other storage device | 21 Serial port | 22 Parallel port | "
                    "23 USB Controller | 24 Graphics controller | 25 IEEE 1394 Controller | 26 Partitionable Unit | "
                    "27 Base Partitionable Unit | 28 Power | 29 Cooling Capacity | 30 Ethernet Switch Port | "
                    "31 Logical Disk | 32 Storage Volume | 33 Ethernet Connection | 34 Multi-Mode Memory | "
                    "35 Non-Volatile Memory"
                ),
            ),
            CimProperty("OtherResourceType", "string", "Names the kind where ResourceType is Other."),
            CimProperty("ResourceSubType", "string", "Tells kinds of pools for the same resource apart."),
            CimProperty("AllocationUnits", "string", "The unit of Capacity and Reserved, as a programmatic unit."),
        ),
    ),
    CimClass(
        "CIM_HostedResourcePool",
        "CIM_SystemComponent",
        "2.22.0",
        "A pool of resources belongs to a system.",
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
                "PartComponent", "reference", "The pool.", key=True, reference="CIM_ResourcePool", override=True
            ),
        ),
    ),
    CimClass(
        "CIM_AbstractElementAllocatedFromPool",
        "CIM_Dependency",
        "2.45.0",
        "An element was made of what a pool had to give.",
        abstract=True,
        association=True,
        properties=(
            CimProperty(
                "Antecedent", "reference", "The pool.", key=True, reference="CIM_ManagedElement", override=True
            ),
            CimProperty(
                "Dependent", "reference", "What was made.", key=True, reference="CIM_ManagedElement", override=True
            ),
        ),
    ),
    CimClass(
        "CIM_ElementAllocatedFromPool",
        "CIM_AbstractElementAllocatedFromPool",
        "2.45.0",
        "A resource was taken from a pool.",
        association=True,
        properties=(
            CimProperty("Antecedent", "reference", "The pool.", key=True, reference="CIM_ResourcePool", override=True),
            CimProperty(
                "Dependent", "reference", "The resource.", key=True, reference="CIM_LogicalElement", override=True
            ),
        ),
    ),
)
