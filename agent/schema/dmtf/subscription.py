"""Subscribing to indications: filters, destinations, and the service between them (DSP1054)."""

from agent.schema.dmtf.language import CimClass, CimProperty, value_map

CLASSES = (
    CimClass(
        "CIM_IndicationFilter",
        "CIM_ManagedElement",
        "2.31.1",
        "Which indications somebody wants: a query on classes of indications, and the namespaces it is asked of.",
        properties=(
            CimProperty(
                "SystemCreationClassName",
                "string",
                "The CreationClassName of the system that the filter belongs to.",
                key=True,
                max_len=256,
            ),
            CimProperty(
                "SystemName", "string", "The Name of the system that the filter belongs to.", key=True, max_len=256
            ),
            CimProperty("CreationClassName", "string", "The class the filter was created as.", key=True, max_len=256),
            CimProperty("Name", "string", "Identifies the filter on its system.", key=True),
            CimProperty(
                "SourceNamespace",
                "string",
                "The namespace that the query is about, as clients wrote it before SourceNamespaces came.",
            ),
            CimProperty(
                "SourceNamespaces",
                "string",
                "The namespaces that the query is about; empty or null for the one that the filter is in.",
                array=True,
            ),
            CimProperty(
                "IndividualSubscriptionSupported", "boolean", "Whether the filter may be subscribed to by itself."
            ),
            CimProperty("Query", "string", "The query, in the language that QueryLanguage names.", required=True),
            CimProperty("QueryLanguage", "string", "The language of the query.", required=True),
        ),
    ),
    CimClass(
        "CIM_ListenerDestination",
        "CIM_ManagedElement",
        "2.45.0",
        "Where indications are sent to.",
        abstract=True,
        properties=(
            CimProperty(
                "SystemCreationClassName",
                "string",
                "The CreationClassName of the system that the destination belongs to.",
                key=True,
                max_len=256,
            ),
            CimProperty(
                "SystemName", "string", "The Name of the system that the destination belongs to.", key=True, max_len=256
            ),
            CimProperty(
                "CreationClassName", "string", "The class the destination was created as.", key=True, max_len=256
            ),
            CimProperty("Name", "string", "Identifies the destination on its system.", key=True, max_len=256),
            CimProperty(
                "PersistenceType",
                "uint16",
                "Whether the destination is expected to be there for long, or may go at any time.",
                values=value_map("1 Other | 2 Permanent | 3 Transient"),
            ),
            CimProperty("OtherPersistenceType", "string", "Words for PersistenceType where it is Other."),
            CimProperty("Destination", "string", "The URL of the listener."),
            CimProperty("OtherProtocol", "string", "Names the protocol where Protocol is Other."),
            CimProperty(
                "Protocol",
                "uint16",
                "How indications travel to the listener.",
                values=value_map("1 Other | 2 CIM-XML | 3 SM CLP | 4 WS-Management | 5 WSDM | 6 SMTP"),
            ),
        ),
    ),
    CimClass(
        "CIM_ListenerDestinationCIMXML",
        "CIM_ListenerDestination",
        "2.22.0",
        "A listener that takes indications as CIM-XML.",
        properties=(CimProperty("Destination", "string", "The URL of the listener.", required=True, override=True),),
    ),
    CimClass(
        "CIM_IndicationHandler",
        "CIM_ListenerDestination",
        "2.8.0",
        "What destinations were called at first; there for clients that know no other name.",
        abstract=True,
        properties=(CimProperty("Owner", "string", "Who made the handler."),),
    ),
    CimClass(
        "CIM_IndicationHandlerCIMXML",
        "CIM_IndicationHandler",
        "2.8.0",
        "A listener that takes indications as CIM-XML, by its first name.",
        properties=(CimProperty("Destination", "string", "The URL of the listener.", required=True, override=True),),
    ),
    CimClass(
        "CIM_AbstractIndicationSubscription",
        None,
        "2.45.0",
        "What a filter, or something else that chooses indications, lets through is sent to a destination.",
        abstract=True,
        association=True,
        properties=(
            CimProperty("Filter", "reference", "What chooses.", key=True, reference="CIM_ManagedElement"),
            CimProperty("Handler", "reference", "Where it is sent.", key=True, reference="CIM_ListenerDestination"),
            CimProperty(
                "OnFatalErrorPolicy",
                "uint16",
                "What becomes of the subscription when its destination cannot be reached for good.",
                values=value_map("1 Other | 2 Ignore | 3 Disable | 4 Remove"),
            ),
            CimProperty("OtherOnFatalErrorPolicy", "string", "Words for OnFatalErrorPolicy where it is Other."),
            CimProperty(
                "FailureTriggerTimeInterval",
                "uint64",
                "How long a destination has to fail before OnFatalErrorPolicy applies.",
                punit="second",
            ),
            CimProperty(
                "SubscriptionState",
                "uint16",
                "Whether indications are sent.",
                values=value_map("0 Unknown | 1 Other | 2 Enabled | 3 Enabled Degraded | 4 Disabled"),
            ),
            CimProperty("OtherSubscriptionState", "string", "Words for SubscriptionState where it is Other."),
            CimProperty("TimeOfLastStateChange", "datetime", "When SubscriptionState last changed."),
            CimProperty(
                "SubscriptionDuration",
                "uint64",
                "How long the subscription is to last from its start; null for no end.",
                punit="second",
            ),
            CimProperty("SubscriptionStartTime", "datetime", "When the subscription began."),
            CimProperty(
                "SubscriptionTimeRemaining", "uint64", "How long the subscription is still to last.", punit="second"
            ),
            CimProperty(
                "RepeatNotificationPolicy",
                "uint16",
                "What is done with indications that say the same within a short time.",
                values=value_map("0 Unknown | 1 Other | 2 None | 3 Suppress | 4 Delay"),
            ),
            CimProperty(
                "OtherRepeatNotificationPolicy", "string", "Words for RepeatNotificationPolicy where it is Other."
            ),
            CimProperty(
                "RepeatNotificationInterval", "uint64", "The time within which the policy counts.", punit="second"
            ),
            CimProperty("RepeatNotificationGap", "uint64", "The time for which the policy holds back.", punit="second"),
            CimProperty("RepeatNotificationCount", "uint16", "How many the policy lets pass, or gathers."),
            CimProperty(
                "SubscriptionInfo", "string", "What the subscriber wants to know the subscription by; it is kept as is."
            ),
        ),
    ),
    CimClass(
        "CIM_IndicationSubscription",
        "CIM_AbstractIndicationSubscription",
        "2.16.0",
        "What a filter lets through is sent to a destination.",
        association=True,
        properties=(
            CimProperty(
                "Filter", "reference", "The filter.", key=True, reference="CIM_IndicationFilter", override=True
            ),
            CimProperty(
                "Handler",
                "reference",
                "The destination.",
                key=True,
                reference="CIM_ListenerDestination",
                override=True,
            ),
        ),
    ),
    CimClass(
        "CIM_IndicationService",
        "CIM_Service",
        "2.20.0",
        "What delivers indications: how often it tries, and when it gives up on a subscription.",
        properties=(
            CimProperty("FilterCreationEnabled", "boolean", "Whether clients may make filters of their own."),
            CimProperty(
                "DeliveryRetryAttempts", "uint16", "How often a delivery is tried again after the first attempt."
            ),
            CimProperty("DeliveryRetryInterval", "uint32", "The shortest time between two attempts.", punit="second"),
            CimProperty(
                "SubscriptionRemovalAction",
                "uint16",
                "What becomes of a subscription whose destination failed throughout SubscriptionRemovalTimeInterval.",
                values=value_map("2 Remove | 3 Disable | 4 Ignore"),
            ),
            CimProperty(
                "SubscriptionRemovalTimeInterval",
                "uint32",
                "How long deliveries have to fail, without one that succeeds, before that happens.",
                punit="second",
            ),
        ),
    ),
    CimClass(
        "CIM_IndicationServiceCapabilities",
        "CIM_Capabilities",
        "2.20.0",
        "What of the delivery of indications clients can change, and how much of it there can be.",
        properties=(
            CimProperty(
                "FilterCreationEnabledIsSettable", "boolean", "Whether clients can change FilterCreationEnabled."
            ),
            CimProperty(
                "DeliveryRetryAttemptsIsSettable", "boolean", "Whether clients can change DeliveryRetryAttempts."
            ),
            CimProperty(
                "DeliveryRetryIntervalIsSettable", "boolean", "Whether clients can change DeliveryRetryInterval."
            ),
            CimProperty(
                "SubscriptionRemovalActionIsSettable",
                "boolean",
                "Whether clients can change SubscriptionRemovalAction.",
            ),
            CimProperty(
                "SubscriptionRemovalTimeIntervalIsSettable",
                "boolean",
                "Whether clients can change SubscriptionRemovalTimeInterval.",
            ),
            CimProperty("MaxListenerDestinations", "uint32", "How many destinations there can be."),
            CimProperty("MaxActiveSubscriptions", "uint32", "How many subscriptions there can be."),
            CimProperty("SubscriptionsPersisted", "boolean", "Whether subscriptions outlive a restart of the server."),
        ),
    ),
)
