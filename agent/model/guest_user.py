"""The users that are logged in to a guest, as its agent tells."""

from agent.model.domain import Domain
from agent.schema.declare import Association, Row, column, constant, key, parent, taken
from agent.schema.types import Name, Timestamp, Uuid


class GuestUser(
    Row, table=13, of=Domain, cim="CIM_Identity", association=Association(
        name="Virtmap_DomainGuestUser", base="CIM_IdentityContext", far="ElementProvidingContext", near="ElementInContext",
        description="A user who is logged in to the guest of a domain.",
    ),
    fills={
        "InstanceID": taken("domain", "name", how="virtmap:{0}/user/{1}".format),
        "ElementName": taken("name"),
        "CurrentlyAuthenticated": constant(True),
    },
    nulls={"Caption": "ElementName says it already.", "Description": "ElementName says it already."},
):  # fmt: skip
    """A user who is logged in to the guest: once, however often he is."""

    domain: Uuid = parent("UUID of the domain.")
    name: Name = key(2, "The user; on Windows after the domain that he belongs to and a backslash.", api="virDomainGetGuestInfo")
    authority: Name | None = column(3, "The domain that he belongs to, on Windows.", api="virDomainGetGuestInfo")
    login: Timestamp | None = column(4, "Since when he is logged in: the earliest of his logins.", api="virDomainGetGuestInfo")
