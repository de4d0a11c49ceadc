"""Virtual computers as configurations: what they are allotted, the service that makes and changes them, and what it can do."""

from agent.schema.dmtf.language import CimClass, CimMethod, CimParameter, CimProperty, value_map

_RESOURCE_TYPES = value_map(
    "1 Other | 2 Computer System | 3 Processor | 4 Memory | 5 IDE Controller | 6 Parallel SCSI HBA | 7 FC HBA | "
    "8 iSCSI HBA | 9 IB HCA | 10 Ethernet Adapter | 11 Other Network Adapter | 12 I/O Slot | 13 I/O Device | "
    "14 Floppy Drive | 15 CD Drive | 16 DVD drive | 17 Disk Drive | 18 Tape Drive | 19 Storage Extent | "
    "20 Other storage device | 21 Serial port | 22 Parallel port | 23 USB Controller | 24 Graphics controller | "
    "25 IEEE 1394 Controller | 26 Partitionable Unit | 27 Base Partitionable Unit | 28 Power | 29 Cooling Capacity | "
    "30 Ethernet Switch Port | 31 Logical Disk | 32 Storage Volume | 33 Ethernet Connection"
)

_STATES = value_map(
    "0 Unknown | 1 Other | 2 Enabled | 3 Disabled | 4 Shutting Down | 5 Not Applicable | 6 Enabled but Offline | "
    "7 In Test | 8 Deferred | 9 Quiesce | 10 Starting | 11 Paused | 12 Suspended"
)

#: What a method of the management service answers: the first are all methods', the two others only some have.
_DONE = "0 Completed with No Error | 1 Not Supported | 2 Failed | 3 Timeout | 4 Invalid Parameter"
_STATE = "5 Invalid State"
_CLASH = "6 Incompatible Parameters"
_STARTED = "4096 Method Parameters Checked - Job Started"

_SETTINGS = "CIM_VirtualSystemSettingData"
_RESOURCES = "CIM_ResourceAllocationSettingData"

_JOB = CimParameter(
    "Job", "reference", "The job that does the work, if one was started.", reference="CIM_ConcreteJob", is_in=False, is_out=True
)  # fmt: skip

_METHODS_SUPPORTED = value_map(
    "2 DefineSystemSupported | 3 DestroySystemSupported | 4 DestroySystemConfigurationSupported | "
    "5 ModifyResourceSettingsSupported | 6 ModifySystemSettingsSupported | 7 RemoveResourcesSupported | "
    "8 SelectSystemConfigurationSupported | 9 SnapshotSystemSupported | 10 AddResourcesSupported"
)

_POOL_METHODS = (
    "2 CreateResourcePool is supported | 3 CreateChild ResourcePool is supported | 4 DeleteResourcePool is supported | "
    "5 AddResourcesToResourcePool is supported | 6 RemoveResourcesFromResourcePool is supported | "
)


def _resources_given(description: str) -> CimParameter:
    return CimParameter("ResourceSettings", "string", description, array=True, embedded=_RESOURCES)


_RESULTING = CimParameter(
    "ResultingResourceSettings", "reference", "The settings as they are now.", array=True, reference=_RESOURCES, is_in=False, is_out=True
)  # fmt: skip


CLASSES = (
    # --- what is allotted
    CimClass(
        "CIM_ResourceAllocationSettingData",
        "CIM_SettingData",
        "2.24.0",
        "What a virtual computer is allotted of one kind of resource.",
        properties=(
            CimProperty("ResourceType", "uint16", "The kind of resource.", values=_RESOURCE_TYPES),
            CimProperty("OtherResourceType", "string", "Names the kind where ResourceType is Other."),
            CimProperty(
                "ResourceSubType", "string", "Tells variants of the same kind apart, such as models of a device."
            ),
            CimProperty("PoolID", "string", "The pool that the resource is taken from."),
            CimProperty(
                "ConsumerVisibility",
                "uint16",
                "How the resource appears in the virtual computer.",
                values=value_map("0 Unknown | 2 Passed-Through | 3 Virtualized | 4 Not represented"),
            ),
            CimProperty("HostResource", "string", "What of the host stands behind the resource.", array=True),
            CimProperty("AllocationUnits", "string", "The unit of Reservation and Limit, as a programmatic unit."),
            CimProperty("VirtualQuantity", "uint64", "How much the virtual computer sees, in VirtualQuantityUnits."),
            CimProperty("Reservation", "uint64", "How much it has in any case, in AllocationUnits."),
            CimProperty("Limit", "uint64", "The most that it can get, in AllocationUnits."),
            CimProperty("Weight", "uint32", "Its share where several want the same resource, relative to the others."),
            CimProperty("AutomaticAllocation", "boolean", "Whether the resource is allotted by itself at the start."),
            CimProperty("AutomaticDeallocation", "boolean", "Whether the resource is given back by itself at the end."),
            CimProperty("Parent", "string", "The resource that this one is attached to."),
            CimProperty("Connection", "string", "What the resource is connected to.", array=True),
            CimProperty("Address", "string", "The address of the resource, as its kind has addresses."),
            CimProperty(
                "MappingBehavior",
                "uint16",
                "How strictly HostResource is kept to.",
                values=value_map("0 Unknown | 2 Not Supported | 3 Dedicated | 4 Soft Affinity | 5 Hard Affinity"),
            ),
            CimProperty("AddressOnParent", "string", "Where on its parent the resource is attached."),
            CimProperty("VirtualQuantityUnits", "string", "The unit of VirtualQuantity, as a programmatic unit."),
        ),
    ),
    CimClass(
        "CIM_StorageAllocationSettingData",
        "CIM_ResourceAllocationSettingData",
        "2.22.0",
        "What a virtual computer is allotted of storage.",
        properties=(
            CimProperty("VirtualResourceBlockSize", "uint64", "The size of a block that it sees.", punit="byte"),
            CimProperty(
                "Access",
                "uint16",
                "Whether it may read and write.",
                values=value_map("0 Unknown | 1 Readable | 2 Writeable | 3 Read/Write Supported"),
            ),
            CimProperty("HostResourceBlockSize", "uint64", "The size of a block on the host.", punit="byte"),
            CimProperty(
                "HostExtentStartingAddress", "uint64", "Where in the storage of the host it begins, in blocks."
            ),
            CimProperty("HostExtentName", "string", "The storage of the host."),
            CimProperty(
                "HostExtentNameFormat",
                "uint16",
                "How HostExtentName is written.",
                values=value_map("0 Unknown | 1 Other | 7 SNVM | 9 NAA | 10 EUI64 | 11 T10VID | 12 OS Device Name"),
            ),
            CimProperty("OtherHostExtentNameFormat", "string", "Words for HostExtentNameFormat where it is Other."),
            CimProperty(
                "HostExtentNameNamespace",
                "uint16",
                "What HostExtentName is unique in.",
                values=value_map(
                    "0 Unknown | 1 Other | 2 VPD83Type3 | 3 VPD83Type2 | 4 VPD83Type1 | 5 VPD80 | 6 NodeWWN | 7 SNVM | "
                    "8 OS Device Namespace"
                ),
            ),
            CimProperty(
                "OtherHostExtentNameNamespace", "string", "Words for HostExtentNameNamespace where it is Other."
            ),
        ),
    ),
    CimClass(
        "CIM_EthernetPortAllocationSettingData",
        "CIM_ResourceAllocationSettingData",
        "2.33.0",
        "What a virtual computer is allotted of Ethernet: a port, and what it is connected to.",
        properties=(
            CimProperty(
                "DesiredVLANEndpointMode",
                "uint16",
                "How the port is to take part in VLANs.",
                values=value_map(
                    "1 Other | 2 Access | 3 Dynamic Auto | 4 Dynamic Desirable | 5 Trunk | 6 Dot1Q Tunnel"
                ),
            ),
            CimProperty("NetworkPortProfileID", "string", "The profile of the port."),
            CimProperty("Promiscuous", "boolean", "Whether the port gets what is meant for others."),
        ),
    ),
    # --- how settings, resources and pools belong together
    CimClass(
        "CIM_VirtualSystemSettingDataComponent",
        "CIM_Component",
        "2.22.0",
        "Settings of a resource are part of the settings of a virtual computer.",
        association=True,
        aggregation=True,
        properties=(
            CimProperty(
                "GroupComponent",
                "reference",
                "The settings of the virtual computer.",
                key=True,
                reference="CIM_VirtualSystemSettingData",
                aggregate=True,
                override=True,
            ),
            CimProperty(
                "PartComponent",
                "reference",
                "The settings of the resource.",
                key=True,
                reference="CIM_ResourceAllocationSettingData",
                override=True,
            ),
        ),
    ),
    CimClass(
        "CIM_ResourceAllocationFromPool",
        "CIM_Dependency",
        "2.22.0",
        "An allotment is taken from a pool.",
        association=True,
        properties=(
            CimProperty("Antecedent", "reference", "The pool.", key=True, reference="CIM_ResourcePool", override=True),
            CimProperty(
                "Dependent",
                "reference",
                "The settings of the resource.",
                key=True,
                reference="CIM_ResourceAllocationSettingData",
                override=True,
            ),
        ),
    ),
    CimClass(
        "CIM_ConcreteComponent",
        "CIM_Component",
        "2.10.0",
        "An element is part of another; which kind of part does not matter.",
        association=True,
        aggregation=True,
        properties=(
            CimProperty(
                "GroupComponent",
                "reference",
                "The whole.",
                key=True,
                reference="CIM_ManagedElement",
                aggregate=True,
                override=True,
            ),
            CimProperty(
                "PartComponent", "reference", "The part.", key=True, reference="CIM_ManagedElement", override=True
            ),
        ),
    ),
    CimClass(
        "CIM_SettingsDefineCapabilities",
        "CIM_Component",
        "2.22.1",
        "Settings mark a point or an end of what is possible.",
        association=True,
        aggregation=True,
        properties=(
            CimProperty(
                "GroupComponent",
                "reference",
                "The capabilities.",
                key=True,
                reference="CIM_Capabilities",
                aggregate=True,
                override=True,
            ),
            CimProperty(
                "PartComponent",
                "reference",
                "The settings.",
                key=True,
                reference="CIM_SettingData",
                override=True,
            ),
            CimProperty(
                "PropertyPolicy",
                "uint16",
                "Whether the properties of the settings are limits one by one, or only together.",
                required=True,
                values=value_map("0 Independent | 1 Correlated"),
            ),
            CimProperty(
                "ValueRole",
                "uint16",
                "What the values are to whoever chooses.",
                values=value_map("0 Default | 1 Optimal | 2 Mean | 3 Supported"),
            ),
            CimProperty(
                "ValueRange",
                "uint16",
                "Whether the values are a point, an end, or the steps between.",
                values=value_map("0 Point | 1 Minimums | 2 Maximums | 3 Increments"),
            ),
        ),
    ),
    # --- capabilities
    CimClass(
        "CIM_EnabledLogicalElementCapabilities",
        "CIM_Capabilities",
        "2.45.0",
        "What states an element can be asked to take, and whether its name can be changed.",
        properties=(
            CimProperty("ElementNameEditSupported", "boolean", "Whether ElementName can be changed."),
            CimProperty("MaxElementNameLen", "uint16", "Most characters that ElementName can have."),
            CimProperty(
                "RequestedStatesSupported",
                "uint16",
                "The states that RequestStateChange knows.",
                array=True,
                values=value_map(
                    "2 Enabled | 3 Disabled | 4 Shut Down | 6 Offline | 7 Test | 8 Defer | 9 Quiesce | 10 Reboot | 11 Reset"
                ),
            ),
            CimProperty("ElementNameMask", "string", "A pattern that ElementName has to follow."),
            CimProperty(
                "StateAwareness",
                "uint16",
                "How a change of state comes about.",
                array=True,
                values=value_map("2 Implicit | 3 RequestStateChange"),
            ),
        ),
    ),
    CimClass(
        "CIM_VirtualSystemManagementCapabilities",
        "CIM_EnabledLogicalElementCapabilities",
        "2.23.0",
        "What the service that makes and changes virtual computers can do.",
        properties=(
            CimProperty(
                "VirtualSystemTypesSupported", "string", "The kinds of virtual computers that it can make.", array=True
            ),
            CimProperty(
                "SynchronousMethodsSupported",
                "uint16",
                "The methods that are done when they answer.",
                array=True,
                values=_METHODS_SUPPORTED,
            ),
            CimProperty(
                "AsynchronousMethodsSupported",
                "uint16",
                "The methods that start a job.",
                array=True,
                values=_METHODS_SUPPORTED,
            ),
            CimProperty(
                "IndicationsSupported",
                "uint16",
                "The changes that are told by indications.",
                array=True,
                values=value_map(
                    "2 VirtualResourceStateChangeIndicationsSupported | 3 ConcreteJobStateChangeIndicationsSupported | "
                    "4 VirtualSystemStateChangeIndicationsSupported"
                ),
            ),
        ),
    ),
    CimClass(
        "CIM_AllocationCapabilities",
        "CIM_Capabilities",
        "2.22.0",
        "How one kind of resource can be allotted.",
        properties=(
            CimProperty("ResourceType", "uint16", "The kind of resource.", values=_RESOURCE_TYPES),
            CimProperty("OtherResourceType", "string", "Names the kind where ResourceType is Other."),
            CimProperty("ResourceSubType", "string", "Tells variants of the same kind apart."),
            CimProperty(
                "RequestTypesSupported",
                "uint16",
                "Whether a request names the very resource of the host, or leaves that to the pool.",
                values=value_map("0 Unknown | 2 Specific | 3 General | 4 Both"),
            ),
            CimProperty(
                "SharingMode",
                "uint16",
                "Whether several virtual computers share the resource.",
                values=value_map("0 Unknown | 1 Other | 2 Dedicated | 3 Shared"),
            ),
            CimProperty(
                "SupportedAddStates",
                "uint16",
                "The states of a virtual computer in which it can get more.",
                array=True,
                values=_STATES,
            ),
            CimProperty(
                "SupportedRemoveStates",
                "uint16",
                "The states of a virtual computer in which it can give some back.",
                array=True,
                values=_STATES,
            ),
        ),
    ),
    CimClass(
        "CIM_ResourcePoolConfigurationCapabilities",
        "CIM_Capabilities",
        "2.22.0",
        "What the service that makes and changes pools of resources can do.",
        properties=(
            CimProperty(
                "AsynchronousMethodsSupported",
                "uint32",
                "The methods that start a job.",
                array=True,
                values=value_map(f"{_POOL_METHODS}7 ChangeParentResourcePool is supported"),
            ),
            CimProperty(
                "SynchronousMethodsSupported",
                "uint32",
                "The methods that are done when they answer.",
                array=True,
                values=value_map(f"{_POOL_METHODS}7 CIM_ChangeParentResourcePool is supported"),
            ),
        ),
    ),
    # --- services
    CimClass(
        "CIM_ResourcePoolConfigurationService",
        "CIM_Service",
        "2.22.0",
        "Makes and changes pools of resources.",
    ),
    CimClass(
        "CIM_VirtualSystemManagementService",
        "CIM_Service",
        "2.22.0",
        "Makes, changes and removes virtual computers.",
        methods=(
            CimMethod(
                "AddResourceSettings",
                "uint32",
                "Gives a virtual computer further resources: the one that runs if the settings are those of its state, "
                "or its definition.",
                values=value_map(f"{_DONE} | {_STARTED}"),
                parameters=(
                    CimParameter(
                        "AffectedConfiguration",
                        "reference",
                        "The settings of the virtual computer that get the resources.",
                        reference=_SETTINGS,
                    ),
                    _resources_given("The resources to add."),
                    _RESULTING,
                    _JOB,
                ),
            ),
            CimMethod(
                "DefineSystem",
                "uint32",
                "Defines a virtual computer. What is not told is left to the hypervisor.",
                values=value_map(f"{_DONE} | {_STARTED}"),
                parameters=(
                    CimParameter(
                        "SystemSettings", "string", "What the virtual computer is to be like.", embedded=_SETTINGS
                    ),
                    _resources_given("What it is to be allotted."),
                    CimParameter(
                        "ReferenceConfiguration",
                        "reference",
                        "Settings of a virtual computer that give what the others do not tell.",
                        reference=_SETTINGS,
                    ),
                    CimParameter(
                        "ResultingSystem",
                        "reference",
                        "The virtual computer that is now defined.",
                        reference="CIM_ComputerSystem",
                        is_in=False,
                        is_out=True,
                    ),
                    _JOB,
                ),
            ),
            CimMethod(
                "DestroySystem",
                "uint32",
                "Stops a virtual computer if it runs, and removes its definition with all that belongs to that.",
                values=value_map(f"{_DONE} | {_STATE} | {_STARTED}"),
                parameters=(
                    CimParameter(
                        "AffectedSystem", "reference", "The virtual computer to remove.", reference="CIM_ComputerSystem"
                    ),
                    _JOB,
                ),
            ),
            CimMethod(
                "ModifyResourceSettings",
                "uint32",
                "Changes what a virtual computer is allotted. InstanceID tells which settings, and only those properties "
                "are changed that have a value.",
                values=value_map(f"{_DONE} | {_STATE} | {_CLASH} | {_STARTED}"),
                parameters=(_resources_given("The settings as they are to be."), _RESULTING, _JOB),
            ),
            CimMethod(
                "ModifySystemSettings",
                "uint32",
                "Changes what a virtual computer is like. InstanceID tells which settings, and only those properties are "
                "changed that have a value.",
                values=value_map(f"{_DONE} | {_STATE} | {_CLASH} | {_STARTED}"),
                parameters=(
                    CimParameter("SystemSettings", "string", "The settings as they are to be.", embedded=_SETTINGS),
                    _JOB,
                ),
            ),
            CimMethod(
                "RemoveResourceSettings",
                "uint32",
                "Takes resources from a virtual computer: the one that runs if the settings are those of its state, or "
                "its definition.",
                values=value_map(f"{_DONE} | {_STATE} | {_STARTED}"),
                parameters=(
                    CimParameter(
                        "ResourceSettings",
                        "reference",
                        "The settings of the resources.",
                        array=True,
                        reference=_RESOURCES,
                    ),
                    _JOB,
                ),
            ),
        ),
    ),
)
