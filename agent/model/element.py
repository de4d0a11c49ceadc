"""What the DMTF's base classes bring to every row and libvirt knows nothing of: null, each for its reason."""

ELEMENT = {
    "InstanceID": "The class has key properties of its own.",
    "Caption": "ElementName says it already.",
    "InstallDate": "libvirt does not record when an object came to be.",
    "StatusDescriptions": "OperationalStatus and the state properties say it already.",
    "CommunicationStatus": "The age of the rows tells whether the hypervisor answers.",
    "DetailedStatus": "OperationalStatus and the state properties say it already.",
    "OperatingStatus": "EnabledState says it already.",
    "PrimaryStatus": "HealthState says it already.",
}

ENABLED = {
    **ELEMENT,
    "OtherEnabledState": "EnabledState has a standard value for every state of libvirt.",
    "EnabledDefault": "libvirt has no such default.",
    "TimeOfLastStateChange": "libvirt does not record when a state was entered.",
    "AvailableRequestedStates": "It follows from the present state; see the methods of the class.",
    "TransitioningToState": "libvirt does not show a state that is on its way.",
}

SYSTEM = {
    **ENABLED,
    "PrimaryOwnerName": "libvirt knows no owner.",
    "PrimaryOwnerContact": "libvirt knows no owner.",
    "Roles": "libvirt knows no roles.",
    "OtherDedicatedDescriptions": "Dedicated has a standard value that fits.",
}

DEVICE = {
    **{k: v for k, v in ENABLED.items() if k != "InstanceID"},
    "InstanceID": "DeviceID is the key.",
    "Description": "ElementName says it already.",
    "OtherIdentifyingInfo": "The identifying columns are properties of their own.",
    "IdentifyingDescriptions": "The identifying columns are properties of their own.",
    "AdditionalAvailability": "libvirt knows no further availability of a virtual device.",
}

MEMORY = {
    **DEVICE,
    "Purpose": "ElementName says it already.",
    "ExtentStatus": "OperationalStatus says it already.",
    "StartingAddress": "libvirt does not tell where in the address space it lies.",
    "EndingAddress": "libvirt does not tell where in the address space it lies.",
}

STATISTICAL = {
    "Caption": "ElementName says it already.",
    "Description": "ElementName says it already.",
    "StartStatisticTime": "CountersSince of the domain tells it.",
    "StatisticTime": "Refreshed of the domain tells it.",
    "SampleInterval": "The pace of the agent's readings is the same for all rows, and told in its configuration.",
}
