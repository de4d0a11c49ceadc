"""The secret: a passphrase or key that libvirt keeps for others, such as volumes that are encrypted."""

from agent.model.host import Host
from agent.model.occurrence import Occurrence
from agent.schema.declare import (
    Access,
    Association,
    Event,
    Operation,
    Row,
    Severity,
    argument,
    column,
    key,
    out,
    taken,
)
from agent.schema.types import Enumeration, Flag, Flags, Name, SecretText, Text, Timestamp, Uuid, Xml


class SecretUsage(Enumeration):
    """What a secret is for."""

    NONE = 1, "none", "Whoever names its UUID.", "VIR_SECRET_USAGE_TYPE_NONE"
    VOLUME = 2, "volume", "An encrypted volume.", "VIR_SECRET_USAGE_TYPE_VOLUME"
    CEPH = 3, "ceph", "Logging in at a Ceph cluster.", "VIR_SECRET_USAGE_TYPE_CEPH"
    ISCSI = 4, "iscsi", "Logging in at an iSCSI target.", "VIR_SECRET_USAGE_TYPE_ISCSI"
    TLS = 5, "tls", "The private key of a TLS certificate.", "VIR_SECRET_USAGE_TYPE_TLS"
    VTPM = 6, "vtpm", "The encrypted state of a TPM.", "VIR_SECRET_USAGE_TYPE_VTPM"


class StoredSecret(
    Row, table=70, cim="CIM_Credential", abbreviation="Secret", action=3,
    fills={"ElementName": taken("usage_id", "uuid", how=lambda usage, uuid: usage or uuid)},
    nulls={
        "InstanceID": "The class has key properties of its own.",
        "Caption": "ElementName says it already.",
        "Issued": "libvirt does not record when a secret was made.",
        "Expires": "A secret does not expire.",
    },
):  # fmt: skip
    """A secret that libvirt keeps: what it is for and how it is kept. Its value can be set and compared, and is never shown."""

    uuid: Uuid = key(2, "Identifies the secret.", api=("virSecretGetUUIDString", "virSecretGetUUID"))
    usage: SecretUsage | None = column(4, "What it is for.", api=("virSecretGetUsageType", "virConnectListAllSecrets"))
    usage_id: Text | None = column(5, "Which one of what it is for: the path of a volume, the name of a login; empty for none.", api="virSecretGetUsageID")
    ephemeral: Flag | None = column(6, "Whether the value is kept in memory only, and is lost when libvirt's daemon ends.", api="virSecretGetXMLDesc")
    private: Flag | None = column(7, "Whether libvirt gives the value to nobody, not even to this agent.", api="virSecretGetXMLDesc")
    description: Text | None = column(8, "What people wrote about it.", api="virSecretGetXMLDesc", cim="Description")
    host: Name | None = column(
        9, "The host that keeps it.", api=("virConnectListAllSecrets", "virConnectListSecrets", "virConnectNumOfSecrets"), ref=Host,
        association=Association(
            name="Virtmap_HostedSecret", base="CIM_HostedDependency", far="Antecedent", near="Dependent",
            description="The host that keeps a secret.",
        ),
    )  # fmt: skip
    refreshed: Timestamp | None = column(90, "When this row was read from the hypervisor.")
    problem: Text | None = column(91, "Why the last attempt to read it failed; empty when it did not.")


class SecretDefineFlags(Flags):
    """How the definition of a secret is taken."""

    VALIDATE = 1, "validate", "Refuse XML that does not follow libvirt's schema.", "VIR_SECRET_DEFINE_VALIDATE"


VALUE = "The value. No way to read it back exists."
BASE64 = "Whether the text is the value in base64, so that it can have any bytes; else its UTF-8 is the value."


class DefineSecret(Operation, on=Host, number=30, needs=Access.ADMINISTER, api="virSecretDefineXML", makes=StoredSecret):
    """Define a secret, without a value, or redefine the one that has this UUID, which keeps its value."""

    xml: Xml = argument(1, "The definition, as libvirt's secret XML.")
    flags: SecretDefineFlags = argument(2, "How the definition is taken.", default=SecretDefineFlags(0))
    uuid: Uuid | None = out(3, "UUID of the secret that is now defined.")


class SetSecretValue(Operation, on=StoredSecret, number=1, needs=Access.ADMINISTER, api="virSecretSetValue", destroys="The value that it had before."):
    """Give the secret a value, in place of what it had."""

    value: SecretText = argument(1, VALUE)
    base64: Flag = argument(2, BASE64, default=False)


class VerifySecretValue(Operation, on=StoredSecret, number=2, needs=Access.ADMINISTER, api="virSecretGetValue"):
    """Tell whether the secret has a certain value. libvirt refuses to tell it of a private one."""

    value: SecretText = argument(1, "The value to compare with. No way to read it back exists.")
    base64: Flag = argument(2, BASE64, default=False)
    matches: Flag | None = out(3, "Whether it is the value that the secret has.")


class UndefineSecret(Operation, on=StoredSecret, number=3, needs=Access.ADMINISTER, api="virSecretUndefine", destroys="The secret with its value. What was encrypted with it cannot be read again without a copy of the value."):
    """Remove the secret."""


class ReadSecretXml(Operation, on=StoredSecret, number=4, needs=Access.OBSERVE, api="virSecretGetXMLDesc"):
    """Read the definition of the secret, which does not have its value."""

    xml: Xml | None = out(1, "The definition, as libvirt's secret XML.")


class SecretLifecycle(
    Occurrence, on=StoredSecret, number=1150, abstract=True, shows=("uuid", "usage", "usage_id"),
    api=("virConnectSecretEventRegisterAny", "virConnectSecretEventDeregisterAny"),
):  # fmt: skip
    """What all events of a secret tell."""


class SecretDefined(SecretLifecycle, number=1151, libvirt="VIR_SECRET_EVENT_DEFINED"):
    """A secret was defined, or its definition changed."""


class SecretUndefined(SecretLifecycle, number=1152, libvirt="VIR_SECRET_EVENT_UNDEFINED", severity=Severity.WARNING):
    """A secret was removed."""


class SecretValueChanged(SecretLifecycle, number=1153, libvirt="VIR_SECRET_EVENT_ID_VALUE_CHANGED"):
    """A secret was given a value."""


ROWS: tuple[type[Row], ...] = (StoredSecret,)
OPERATIONS: tuple[type[Operation], ...] = (
    DefineSecret,
    SetSecretValue,
    VerifySecretValue,
    UndefineSecret,
    ReadSecretXml,
)
EVENTS: tuple[type[Event], ...] = (SecretDefined, SecretUndefined, SecretValueChanged)
